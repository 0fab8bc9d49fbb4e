/**
 * JSON Lines result files.
 *
 * @since 0.1.0
 */
import type { ColumnType } from "../Column.ts"
import { jsonText, vectorText } from "../internal/JsonText.ts"
import { textFile } from "./internal/TextFile.ts"
import type { Sink } from "./Sink.ts"

const valueText = (type: ColumnType, value: unknown): string => {
  switch (type) {
    case "bigint":
      return String(value)
    case "number":
    case "integer":
      return Object.is(value, -0) ? "-0" : Number.isFinite(value) ? String(value) : "null"
    case "binary":
      return value instanceof Uint8Array
        ? `"${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64")}"`
        : "null"
    case "vector":
      return value instanceof Float32Array ? vectorText(value) : "null"
    default:
      return jsonText(value)
  }
}

/**
 * Writes one JSON object a line, in UTF-8, with every column as a key in the order of the columns. Integers and bigints
 * are JSON numbers with all their digits, dates ISO 8601 strings in UTC, bytes base64 strings, vectors arrays with the
 * fewest digits that read back to the same float32. JSON has no NaN and no infinities: in number columns and vectors
 * they become `null`.
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
        const value = batch.columns[j]![i]
        line += keys[j]! + ((value ?? null) === null ? "null" : valueText(columns[j]!.type, value))
      }
      return `${line}}\n`
    })
  }
}
