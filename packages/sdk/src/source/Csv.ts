/**
 * CSV files as sources.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { ObjectStore } from "../store/ObjectStore.ts"
import { type AnyCsvOptions, checkCsvOptions, csvExtensions, openCsv } from "./internal/CsvSource.ts"
import { type FileLocations, openFiles } from "./internal/SourceFiles.ts"
import * as Recipe from "./internal/Recipe.ts"
import { sourceOf } from "./internal/SourceOf.ts"
import type { Selection } from "./Selection.ts"
import type { Source, UntypedRow } from "./Source.ts"

/**
 * How a CSV is read.
 *
 * @since 0.1.0
 * @category models
 */
export interface CsvOptions<out Name extends string = string> extends Selection<Name> {
  /** The character between fields. Default: a tab for names that end in `.tsv` or `.tab`, else a comma. */
  readonly delimiter?: string | undefined
  /** The character around fields that hold delimiters or line ends; null where no field is quoted. Default: `"`. */
  readonly quote?: string | null | undefined
  /**
   * The character that stands, inside quotes, before a quote or before itself. Default: the quote, so that a quote is
   * written twice.
   */
  readonly escape?: string | undefined
  /** What lines to leave out begin with, for example `#`. Default: none is left out. */
  readonly comment?: string | undefined
  /** Lines before the header, whatever they hold. Default: 0. */
  readonly skipLines?: number | undefined
  /** The names of all columns, where the file has no header line. Default: the first line has them. */
  readonly names?: ReadonlyArray<string> | undefined
  /** The texts that mean null, compared with the whole cell. Default: none, so an empty cell is the empty string. */
  readonly nullValues?: ReadonlyArray<string> | undefined
}

/**
 * How a CSV with typed columns is read.
 *
 * @since 0.1.0
 * @category models
 */
export interface TypedCsvOptions<Row extends object, out Name extends string = keyof Row & string>
  extends CsvOptions<Name>
{
  /**
   * A `Schema.Struct` with one property for each column that is not text. Its cells are decoded with
   * `Schema.toCodecStringTree`; structured values and vectors are read as JSON text.
   */
  readonly columns: Schema.ConstraintDecoder<Row>
}

/**
 * Reads CSV files with a header line, from `s3://bucket/key`, `store://key` (a key of the store), a `file://` URL or a
 * local path (relative to the working directory); or several, given as an array, as a local folder, or as a prefix that
 * ends in `/`. A folder or prefix stands for all files below it whose names end in `.csv`, `.tsv` or `.tab` (also with
 * `.gz` or `.zst`), in the order of their names, without those of which a part starts with `_` or `.`. Files that are
 * compressed with gzip or zstd are unpacked as they are read. Several files have the same columns; their order is that
 * of the first.
 *
 * Every cell stays text unless `columns` gives its type: `007` and `NA` are texts. Columns that `columns` does not name
 * are read as text beside the typed ones. `select` takes some of the columns, and `limit` the first rows.
 *
 * Quotes, line ends inside quotes, `\n`, `\r\n` or `\r` line ends and a byte order mark are understood. Blank lines are
 * no rows; in a file of one column the empty value is written `""`.
 *
 * Fails with `InvalidSource` (`not-found`; `empty` without a header; `malformed`, naming file, row and column, for text
 * that is not UTF-8, a quote left open, too few or too many fields, unnamed or repeated columns, a cell that does not
 * decode, a file with other columns than the first, or compressed data that are cut short), `InvalidColumns` when
 * `columns` or `select` names a column that the file does not have, or `InvalidOption`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Source } from "@bedrock-batch/sdk"
 * import { Schema } from "effect"
 *
 * const topics = Source.csv("s3://my-bucket/topics.csv")
 *
 * const days = Source.csv("s3://my-bucket/tweets/2026/", { select: ["id", "text"] })
 *
 * const scores = Source.csv(["scores-1.tsv.gz", "scores-2.tsv.gz"], {
 *   nullValues: ["", "NA"],
 *   columns: Schema.Struct({ id: Schema.Int, score: Schema.NullOr(Schema.Finite) })
 * })
 *
 * const log = Source.csv("log.txt", { delimiter: "|", quote: null, comment: "#", names: ["time", "message"] })
 * ```
 */
export const csv: {
  <Row extends object, const Name extends keyof Row & string>(
    locations: FileLocations,
    options: TypedCsvOptions<Row, Name> & { readonly select: ReadonlyArray<Name> }
  ): Source<Pick<Row, Name>, ObjectStore>
  <Row extends object>(
    locations: FileLocations,
    options: TypedCsvOptions<Row> & { readonly select?: undefined }
  ): Source<Row, ObjectStore>
  <const Name extends string>(
    locations: FileLocations,
    options: CsvOptions<Name> & {
      readonly select: ReadonlyArray<Name>
      readonly nullValues: ReadonlyArray<string>
      readonly columns?: undefined
    }
  ): Source<{ readonly [K in Name]: string | null }, ObjectStore>
  <const Name extends string>(
    locations: FileLocations,
    options: CsvOptions<Name> & {
      readonly select: ReadonlyArray<Name>
      readonly nullValues?: undefined
      readonly columns?: undefined
    }
  ): Source<{ readonly [K in Name]: string }, ObjectStore>
  (
    locations: FileLocations,
    options: CsvOptions & {
      readonly nullValues: ReadonlyArray<string>
      readonly select?: undefined
      readonly columns?: undefined
    }
  ): Source<UntypedRow<string | null>, ObjectStore>
  (
    locations: FileLocations,
    options?: CsvOptions & {
      readonly nullValues?: undefined
      readonly select?: undefined
      readonly columns?: undefined
    }
  ): Source<UntypedRow<string>, ObjectStore>
} = (locations: FileLocations, options: AnyCsvOptions = {}) => 
  sourceOf<never, ObjectStore>(open(locations, options), Recipe.ofFiles("csv", locations, options))

const open = Effect.fn("Source.csv")(function*(locations: FileLocations, options: AnyCsvOptions) {
  yield* checkCsvOptions("csv", options)
  return yield* openCsv("csv", yield* openFiles("csv", locations, csvExtensions), options)
})
