/**
 * Parquet files as sources.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { ObjectStore } from "../store/ObjectStore.ts"
import type { AnyFileOptions } from "./internal/FileColumns.ts"
import { type FileLocations, openFiles } from "./internal/SourceFiles.ts"
import * as Recipe from "./internal/Recipe.ts"
import { sourceOf } from "./internal/SourceOf.ts"
import type { Selection } from "./Selection.ts"
import type { Source, UntypedRow } from "./Source.ts"

/**
 * How Parquet files are read. Columns that are not selected are not fetched.
 *
 * @since 0.1.0
 * @category models
 */
export interface ParquetOptions<out Name extends string = string> extends Selection<Name> {
  readonly columns?: undefined
}

/**
 * How Parquet files are read whose rows are of a known type.
 *
 * @since 0.1.0
 * @category models
 */
export interface TypedParquetOptions<Row extends object> extends Omit<Selection, "select"> {
  /**
   * A `Schema.Struct` of the columns to take, in its order (its type side): each value is checked. A column of 64-bit
   * integers may be declared `Schema.Int` (every value must then be a safe integer), `Schema.BigInt` or a number; a
   * timestamp or a day `Schema.Date` or `Schema.String`; a decimal, a time or a UUID `Schema.String`; a list of floats
   * as an array, or as the `Vector` of `@bedrock-batch/processors`. Structs are `Schema.Struct`s, and maps arrays of
   * `key` and `value`.
   */
  readonly columns: Schema.ConstraintDecoder<Row>
  readonly select?: undefined
}

const open = Effect.fn("Source.parquet")(function*(locations: FileLocations, options: AnyFileOptions) {
  const files = yield* openFiles("parquet", locations, [".parquet", ".parq", ".pq"])
  const { openParquet } = yield* Effect.promise(() => import("./internal/ParquetSource.ts"))
  return yield* openParquet("parquet", files, options)
})

/**
 * Reads Parquet files: one or several of `s3://bucket/key`, `store://key` (a key of the store), a `file://` URL or a
 * local path, or all files below a local folder or a prefix that ends in `/` (their names end in `.parquet`, `.parq` or
 * `.pq`). Several files have the same columns, in any order; the first one's order holds.
 *
 * Every type keeps all of its values: the table of `ColumnType` says what a row holds of each. Integers of 64 bits are
 * `bigint`s; decimals, days, times and timestamps are texts (timestamps of milliseconds in UTC are `Date`s); a list of
 * 32-bit floats without nulls is a `Float32Array`; lists, structs and maps are arrays, objects and arrays of
 * `{ key, value }`. Files that this library wrote give back the types of the columns that were written. Bytes without
 * an annotation stay bytes: they are never taken for text.
 *
 * Only the chosen columns are fetched, each byte once; memory does not grow with the file or with its row groups. The
 * codecs none, Snappy, gzip, Brotli, Zstandard and LZ4 are read. Checksums of pages are verified where there are any.
 *
 * Fails with `InvalidSource` (`not-found`; `malformed`, naming file, row group, row and column, for what is no Parquet
 * file, is damaged, encrypted or of an unknown codec, for text that is not UTF-8, for a value that does not fit
 * `columns`, and for files that do not have the same columns; `failed` when a file changes while it is read),
 * `InvalidColumns` when `columns` or `select` names a column that is not there, or `InvalidOption`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Source } from "@bedrock-batch/sdk"
 * import { Schema } from "effect"
 *
 * const reviews = Source.parquet("s3://my-bucket/reviews/", { select: ["id", "text"], limit: 10_000 })
 *
 * const typed = Source.parquet("reviews.parquet", {
 *   columns: Schema.Struct({ id: Schema.Int, text: Schema.String, writtenAt: Schema.NullOr(Schema.Date) })
 * })
 * ```
 */
export const parquet: {
  <Row extends object>(locations: FileLocations, options: TypedParquetOptions<Row>): Source<Row, ObjectStore>
  <const Name extends string>(
    locations: FileLocations,
    options: ParquetOptions<Name> & { readonly select: ReadonlyArray<Name> }
  ): Source<{ readonly [K in Name]: unknown }, ObjectStore>
  (
    locations: FileLocations,
    options?: ParquetOptions & { readonly select?: undefined }
  ): Source<UntypedRow, ObjectStore>
} = (
  locations: FileLocations,
  options: AnyFileOptions = {}
) =>
  sourceOf<never, ObjectStore>(open(locations, options), Recipe.ofFiles("parquet", locations, options))
