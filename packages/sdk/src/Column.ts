/**
 * The columns of a source and of a result: a name and the type of its values. The types are those that data files
 * have; what a row holds of each is chosen so that nothing is lost.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * A type that takes no parameters.
 *
 * @since 0.1.0
 * @category models
 */
export type ScalarType =
  | "string"
  | "integer"
  | "bigint"
  | "number"
  | "boolean"
  | "date"
  | "binary"
  | "json"
  | "vector"
  | "int8"
  | "int16"
  | "int32"
  | "uint8"
  | "uint16"
  | "uint32"
  | "uint64"
  | "float32"
  | "day"
  | "uuid"

/**
 * How fine a time is: seconds, milli-, micro- or nanoseconds.
 *
 * @since 0.1.0
 * @category models
 */
export type TimeUnit = "s" | "ms" | "us" | "ns"

/**
 * A type that takes parameters.
 *
 * @since 0.1.0
 * @category models
 */
export type ParametricType =
  | { readonly type: "decimal"; readonly precision: number; readonly scale: number }
  | { readonly type: "timestamp"; readonly unit: TimeUnit; readonly zone: string | null }
  | { readonly type: "time"; readonly unit: TimeUnit }
  | { readonly type: "fixed"; readonly bytes: number }
  | { readonly type: "list"; readonly element: ColumnType }
  | { readonly type: "struct"; readonly fields: ReadonlyArray<Column> }
  | { readonly type: "map"; readonly key: ColumnType; readonly value: ColumnType }

/**
 * The type of a column's values; every type admits null, also inside lists and structs.
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
 * | `vector` | `Float32Array`, none of its elements null | List(Float32) | list of FLOAT |
 * | `int8` to `int32`, `uint8` to `uint32` | `number` | the same | INT32 (Integer) |
 * | `uint64` | `bigint` | Uint64 | INT64 (Integer) |
 * | `float32` | `number` | Float32 | FLOAT |
 * | `day` | `string`, `2026-11-23` | Date32 | INT32 (Date) |
 * | `uuid` | `string`, lower case with hyphens | FixedSizeBinary(16) | FIXED_LEN_BYTE_ARRAY(16) (UUID) |
 * | `decimal` | `string` with `scale` digits after the point | Decimal (128 or 256 bits) | INT32 up to 9 digits, INT64 up to 18, else FIXED_LEN_BYTE_ARRAY (Decimal) |
 * | `timestamp` | `string`, ISO 8601 with the digits of its unit; with a `zone` in UTC, ending in `Z` | Timestamp(unit, zone) | INT64 (Timestamp; seconds as milliseconds) |
 * | `time` | `string`, `12:30:00` with the digits of its unit | Time32 or Time64 | INT32 or INT64 (Time; seconds as milliseconds) |
 * | `fixed` | `Uint8Array` of that many bytes | FixedSizeBinary | FIXED_LEN_BYTE_ARRAY |
 * | `list` | array | List | list of three levels |
 * | `struct` | object with its fields | Struct | group |
 * | `map` | array of `{ key, value }` | Map | map of three levels |
 *
 * A timestamp of milliseconds in UTC is a `date`. A list of float32 without nulls inside is a `vector`.
 *
 * @since 0.1.0
 * @category models
 */
export type ColumnType = ScalarType | ParametricType

/**
 * A column: its name and the type of its values.
 *
 * @since 0.1.0
 * @category models
 */
export type Column = {
  readonly name: string
  readonly type: ColumnType
}

const unit = Schema.Literals(["s", "ms", "us", "ns"])

/**
 * Schema for the type of a column's values.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ColumnType: Schema.Codec<ColumnType> = Schema.Union([
  Schema.Literals([
    "string",
    "integer",
    "bigint",
    "number",
    "boolean",
    "date",
    "binary",
    "json",
    "vector",
    "int8",
    "int16",
    "int32",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float32",
    "day",
    "uuid"
  ]),
  Schema.Struct({ type: Schema.Literal("decimal"), precision: Schema.Int, scale: Schema.Int }),
  Schema.Struct({ type: Schema.Literal("timestamp"), unit, zone: Schema.NullOr(Schema.String) }),
  Schema.Struct({ type: Schema.Literal("time"), unit }),
  Schema.Struct({ type: Schema.Literal("fixed"), bytes: Schema.Int }),
  Schema.Struct({ type: Schema.Literal("list"), element: Schema.suspend((): Schema.Codec<ColumnType> => ColumnType) }),
  Schema.Struct({
    type: Schema.Literal("struct"),
    fields: Schema.Array(Schema.suspend((): Schema.Codec<Column> => Column))
  }),
  Schema.Struct({
    type: Schema.Literal("map"),
    key: Schema.suspend((): Schema.Codec<ColumnType> => ColumnType),
    value: Schema.suspend((): Schema.Codec<ColumnType> => ColumnType)
  })
])

/**
 * Schema for a column: its name and the type of its values.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Column: Schema.Codec<Column> = Schema.Struct({ name: Schema.String, type: ColumnType })
