/**
 * CSV result files.
 *
 * @since 0.1.0
 */
import type { ColumnType } from "../Column.ts"
import { jsonText, vectorText } from "../internal/JsonText.ts"
import { textFile } from "./internal/TextFile.ts"
import type { Sink } from "./Sink.ts"

const quoted = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text)

const fieldText = (type: ColumnType, value: unknown): string => {
  switch (type) {
    case "string":
      return value === "" ? "\"\"" : quoted(String(value))
    case "number":
    case "integer":
      return Object.is(value, -0) ? "-0" : String(value)
    case "date":
      return value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : ""
    case "binary":
      return value instanceof Uint8Array
        ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64") || "\"\""
        : ""
    case "vector":
      return value instanceof Float32Array ? quoted(vectorText(value)) : ""
    case "json":
      return quoted(jsonText(value))
    default:
      return String(value)
  }
}

/**
 * Writes CSV as in RFC 4180, in UTF-8, with `\n` line ends and always a header. Fields are quoted where needed. Null is
 * the empty field and the empty string is `""`, so the two differ (in a file of one column both are `""`, for a blank
 * line is no row). Numbers have the fewest digits that read back the same; dates are ISO 8601 in UTC, bytes base64,
 * vectors and JSON values JSON text (a vector's element that is not finite is `null`).
 *
 * @since 0.1.0
 * @category sinks
 */
export const sink: Sink = {
  extension: ".csv",
  encode: (columns, batches) => {
    const header = columns.map(({ name }) => name === "" ? "\"\"" : quoted(name)).join() + "\n"
    const empty = columns.length === 1 ? "\"\"" : ""
    return textFile(header, batches, (batch, i) => {
      let line = ""
      for (let j = 0; j < columns.length; j++) {
        const value = batch.columns[j]![i]
        if (j > 0) line += ","
        line += (value ?? null) === null ? empty : fieldText(columns[j]!.type, value)
      }
      return `${line}\n`
    })
  }
}
