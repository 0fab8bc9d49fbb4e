/**
 * JSON Lines result files.
 *
 * @since 0.1.0
 */
import { valueJson } from "../internal/JsonText.ts"
import { textFile } from "./internal/TextFile.ts"
import type { Sink } from "./Sink.ts"

/**
 * Writes one JSON object a line, in UTF-8, with every column as a key in the order of the columns. Integers of any size
 * are JSON numbers with all their digits; other numbers, also in vectors, have the fewest digits that read back the
 * same. Decimals, days, times, timestamps and UUIDs are strings, dates ISO 8601 strings in UTC, bytes base64 strings,
 * structs objects, and maps arrays of `{"key": ..., "value": ...}`. JSON has no NaN and no infinities: they become
 * `null`.
 *
 * @since 0.1.0
 * @category sinks
 */
export const sink: Sink = {
  extension: ".jsonl",
  encode: (columns, batches) => {
    const keys = columns.map(({ name }, j) => `${j === 0 ? "{" : ","}${JSON.stringify(name)}:`)
    return textFile("", batches, (batch, i) => {
      let line = columns.length === 0 ? "{" : ""
      for (let j = 0; j < columns.length; j++) {
        line += keys[j]! + valueJson(columns[j]!.type, batch.columns[j]![i])
      }
      return `${line}}\n`
    })
  }
}
