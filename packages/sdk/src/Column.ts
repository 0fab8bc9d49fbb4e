/**
 * The columns of a source and of a result: a name and the type of its values. The types are few on purpose: what every
 * format can hold without loss.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Schema for the type of a column's values; every type admits null.
 *
 * | type | value in a row | Arrow | Parquet |
 * | --- | --- | --- | --- |
 * | `string` | `string` | Utf8 | BYTE_ARRAY (String) |
 * | `integer` | `number`, a safe integer | Int64 | INT64 |
 * | `bigint` | `bigint` | Int64 | INT64 |
 * | `number` | `number` | Float64 | DOUBLE |
 * | `boolean` | `boolean` | Bool | BOOLEAN |
 * | `date` | `Date` (milliseconds, UTC) | Timestamp(ms, UTC) | INT64 (Timestamp) |
 * | `binary` | `Uint8Array` | Binary | BYTE_ARRAY |
 * | `json` | any JSON value | Utf8 | BYTE_ARRAY (Json) |
 * | `vector` | `Float32Array` | List(Float32) | list of FLOAT |
 *
 * @since 0.1.0
 * @category schemas
 */
export const ColumnType = Schema.Literals([
  "string",
  "integer",
  "bigint",
  "number",
  "boolean",
  "date",
  "binary",
  "json",
  "vector"
])

/**
 * The type of a column's values.
 *
 * @since 0.1.0
 * @category models
 */
export type ColumnType = typeof ColumnType.Type

/**
 * Schema for a column: its name and the type of its values.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Column = Schema.Struct({ name: Schema.String, type: ColumnType })

/**
 * A column: its name and the type of its values.
 *
 * @since 0.1.0
 * @category models
 */
export interface Column extends Schema.Schema.Type<typeof Column> {}
