/**
 * Arrow IPC files as sources.
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
 * How Arrow IPC files are read. In the file format, columns that are not selected are not fetched.
 *
 * @since 0.1.0
 * @category models
 */
export interface ArrowOptions<out Name extends string = string> extends Selection<Name> {
  readonly columns?: undefined
}

/**
 * How Arrow IPC files are read whose rows are of a known type.
 *
 * @since 0.1.0
 * @category models
 */
export interface TypedArrowOptions<Row extends object> extends Omit<Selection, "select"> {
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

const open = Effect.fn("Source.arrow")(function*(locations: FileLocations, options: AnyFileOptions) {
  const files = yield* openFiles("arrow", locations, [".arrow", ".arrows", ".feather", ".ipc"])
  const { openArrow } = yield* Effect.promise(() => import("./internal/ArrowSource.ts"))
  return yield* openArrow("arrow", files, options)
})

/**
 * Reads Arrow IPC files: one or several of `s3://bucket/key`, `store://key` (a key of the store), a `file://` URL or a
 * local path, or all files below a local folder or a prefix that ends in `/`. The file format (Feather's second
 * version) and the stream format are told apart by their first bytes; record batches may be compressed with LZ4 or
 * Zstandard. Several files have the same columns, in any order; the first one's order holds.
 *
 * Every type keeps all of its values: the table of `ColumnType` says what a row holds of each. Integers of 64 bits are
 * `bigint`s; decimals, days, times and timestamps are texts (timestamps of milliseconds in UTC are `Date`s); a list of
 * 32-bit floats is a `Float32Array`; lists, structs and maps are arrays, objects and arrays of `{ key, value }`; values
 * of dictionaries are read as what they stand for. Files that this library wrote give back the types of the columns
 * that were written. Durations, intervals and unions are not supported: leave such columns out with `select`.
 *
 * Memory holds one record batch. In a file with more than 64 record batches, and in a stream, a list of floats is taken
 * to have no null elements; where one has, reading fails.
 *
 * Fails with `InvalidSource` (`not-found`; `empty` without a byte; `malformed`, naming file, row and column, for what
 * is no Arrow IPC, is damaged or cut off, for text that is not UTF-8, for a value that does not fit `columns`, and for
 * files that do not have the same columns; `failed` when a file changes while it is read), `InvalidColumns` when
 * `columns` or `select` names a column that is not there, or `InvalidOption`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Source } from "@bedrock-batch/sdk"
 * import { Schema } from "effect"
 *
 * const chunks = Source.arrow("s3://my-bucket/chunks.arrow", { select: ["id", "text"], limit: 10_000 })
 *
 * const typed = Source.arrow("chunks.feather", {
 *   columns: Schema.Struct({ id: Schema.Int, text: Schema.String, writtenAt: Schema.NullOr(Schema.Date) })
 * })
 * ```
 */
export const arrow: {
  <Row extends object>(locations: FileLocations, options: TypedArrowOptions<Row>): Source<Row, ObjectStore>
  <const Name extends string>(
    locations: FileLocations,
    options: ArrowOptions<Name> & { readonly select: ReadonlyArray<Name> }
  ): Source<{ readonly [K in Name]: unknown }, ObjectStore>
  (
    locations: FileLocations,
    options?: ArrowOptions & { readonly select?: undefined }
  ): Source<UntypedRow, ObjectStore>
} = (
  locations: FileLocations,
  options: AnyFileOptions = {}
) =>
  sourceOf<never, ObjectStore>(open(locations, options), Recipe.ofFiles("arrow", locations, options))
