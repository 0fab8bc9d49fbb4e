/**
 * Files of JSON Lines as sources.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { ObjectStore } from "../store/ObjectStore.ts"
import { type AnyJsonlOptions, checkJsonlOptions, jsonlExtensions, openJsonl } from "./internal/JsonlSource.ts"
import { type FileLocations, openFiles } from "./internal/SourceFiles.ts"
import * as Recipe from "./internal/Recipe.ts"
import { sourceOf } from "./internal/SourceOf.ts"
import type { Selection } from "./Selection.ts"
import type { Source, UntypedRow } from "./Source.ts"

/**
 * How a file of JSON Lines is read.
 *
 * @since 0.1.0
 * @category models
 */
export interface JsonlOptions<out Name extends string = string> extends Selection<Name> {}

/**
 * How a file of JSON Lines with declared columns is read.
 *
 * @since 0.1.0
 * @category models
 */
export interface TypedJsonlOptions<Row extends object, out Name extends string = keyof Row & string>
  extends JsonlOptions<Name>
{
  /**
   * A `Schema.Struct` with one property for each column. Values are decoded with `Schema.toCodecJson`; bigints are read
   * from JSON integers of any size too, and `Float32Array`s from arrays of numbers.
   */
  readonly columns: Schema.ConstraintDecoder<Row>
}

/**
 * Reads files with one JSON object a line, from `s3://bucket/key`, `store://key` (a key of the store), a `file://` URL
 * or a local path (relative to the working directory); or several, given as an array, as a local folder, or as a prefix
 * that ends in `/`. A folder or prefix stands for all files below it whose names end in `.jsonl`, `.ndjson` or `.json`
 * (also with `.gz` or `.zst`), in the order of their names, without those of which a part starts with `_` or `.`. Files
 * that are compressed with gzip or zstd are unpacked as they are read.
 *
 * The columns are those of `columns`, or they are found: the first 1,000 lines are looked at, and on to 10,000 (or 64
 * MB) until each column has had a value. Texts, numbers and booleans make columns of their type; integers beyond 2^53
 * make a `bigint` column, with all their digits; arrays, objects and mixtures make a JSON column, as does a column
 * without a value. A key that a line lacks is null there. `select` takes some of the columns, and leaves all other keys
 * out; `limit` takes the first rows.
 *
 * Lines end at a line feed; blank lines are no rows, and a byte order mark is understood. A number is never rounded to
 * another integer: where a column cannot hold it, reading fails, unless `columns` makes the column a number.
 *
 * Fails with `InvalidSource` (`not-found`; `empty` without a line from which columns could be found; `malformed`,
 * naming file, row and column, for a line that is no JSON object, is not UTF-8 or is longer than 64 MB, a key that is
 * no column, a value that does not fit its column, or compressed data that are cut short), `InvalidColumns` when
 * `select` names a column that is not there, or `InvalidOption`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Source } from "@bedrock-batch/sdk"
 * import { Schema } from "effect"
 *
 * const tweets = Source.jsonl("s3://my-bucket/tweets/", { select: ["id", "text"] })
 *
 * const documents = Source.jsonl(["a.jsonl", "b.jsonl.gz"], {
 *   columns: Schema.Struct({ id: Schema.BigInt, title: Schema.String, at: Schema.NullOr(Schema.Date) })
 * })
 * ```
 */
export const jsonl: {
  <Row extends object, const Name extends keyof Row & string>(
    locations: FileLocations,
    options: TypedJsonlOptions<Row, Name> & { readonly select: ReadonlyArray<Name> }
  ): Source<Pick<Row, Name>, ObjectStore>
  <Row extends object>(
    locations: FileLocations,
    options: TypedJsonlOptions<Row> & { readonly select?: undefined }
  ): Source<Row, ObjectStore>
  <const Name extends string>(
    locations: FileLocations,
    options: JsonlOptions<Name> & { readonly select: ReadonlyArray<Name>; readonly columns?: undefined }
  ): Source<{ readonly [K in Name]: unknown }, ObjectStore>
  (
    locations: FileLocations,
    options?: JsonlOptions & { readonly select?: undefined; readonly columns?: undefined }
  ): Source<UntypedRow, ObjectStore>
} = (locations: FileLocations, options: AnyJsonlOptions = {}) => 
  sourceOf<never, ObjectStore>(open(locations, options), Recipe.ofFiles("jsonl", locations, options))

const open = Effect.fn("Source.jsonl")(function*(locations: FileLocations, options: AnyJsonlOptions) {
  yield* checkJsonlOptions("jsonl", options)
  return yield* openJsonl("jsonl", yield* openFiles("jsonl", locations, jsonlExtensions), options)
})
