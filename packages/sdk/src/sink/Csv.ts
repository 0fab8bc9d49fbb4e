/**
 * CSV result files.
 *
 * @since 0.1.0
 */
import type { ColumnType } from "../Column.ts"
import { base64Text, float32Text, valueJson } from "../internal/JsonText.ts"
import { textFile } from "./internal/TextFile.ts"
import type { Sink } from "./Sink.ts"

const quoted = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text)

const bytesText = (value: unknown): string =>
  value instanceof Uint8Array ? base64Text(value) || "\"\"" : ""

const fieldText = (type: ColumnType, value: unknown): string => {
  if (typeof type === "string") {
    switch (type) {
      case "string":
        return value === "" ? "\"\"" : quoted(String(value))
      case "date":
        return value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : ""
      case "float32":
        return typeof value === "number" && Number.isFinite(value) ? float32Text(value) : String(value)
      case "binary":
        return bytesText(value)
      case "vector":
      case "json":
        return quoted(valueJson(type, value))
      default:
        return Object.is(value, -0) ? "-0" : String(value)
    }
  }
  switch (type.type) {
    case "fixed":
      return bytesText(value)
    case "list":
    case "struct":
    case "map":
      return quoted(valueJson(type, value))
    default:
      return quoted(String(value))
  }
}

/**
 * Writes CSV as in RFC 4180, in UTF-8, with `\n` line ends and always a header. Fields are quoted where needed. Null is
 * the empty field and the empty string is `""`, so the two differ (in a file of one column both are `""`, for a blank
 * line is no row). Numbers have the fewest digits that read back the same, integers all of theirs; dates are ISO 8601
 * in UTC, bytes base64. Vectors, lists, structs, maps (as arrays of `{"key": ..., "value": ...}`) and JSON values are
 * JSON text, in which a number that is not finite is `null`.
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
