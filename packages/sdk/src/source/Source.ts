/**
 * Where rows come from. Inside, rows travel in batches; the type of a source is that of one row.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { BatchError } from "../BatchError.ts"
import type { Column } from "../Column.ts"
import type { Batch } from "../internal/Batch.ts"
import type { Position } from "./internal/Position.ts"
import type { SourceRecipe } from "./internal/Recipe.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"
export { arrow, type ArrowOptions, type TypedArrowOptions } from "./ArrowIpc.ts"
export { csv, type CsvOptions, type TypedCsvOptions } from "./Csv.ts"
export type { FileLocations } from "./internal/SourceFiles.ts"
export { huggingFace, type HuggingFaceOptions, type TypedHuggingFaceOptions } from "./HuggingFace.ts"
export { parquet, type ParquetOptions, type TypedParquetOptions } from "./Parquet.ts"
export { jsonl, type JsonlOptions, type TypedJsonlOptions } from "./Jsonl.ts"
export { results, type ResultsOptions } from "./Results.ts"
export { rows, type RowsOptions } from "./Rows.ts"
export type { Selection } from "./Selection.ts"

/**
 * An opened source: its columns are known before the first row.
 *
 * @internal
 */
export interface OpenSource {
  readonly columns: ReadonlyArray<Column>
  /** The number of rows, where it is known beforehand. */
  readonly count: number | null
  /** What the rows come from, for messages: a URI, or null for rows from memory. */
  readonly uri: string | null
  /** What the fingerprint holds, or null where the source has no identity (an iterable, a stream). */
  readonly identity: string | null
  /** What the manifest records of the source. */
  readonly description: Schema.Json
  /** Batches of at most 5,000 rows and about 4 MB. Run once. */
  readonly batches: Stream.Stream<Batch, BatchError>
  /**
   * Batches from a place on that a batch has told, in place of `batches`; left out where a source is read from its
   * beginning alone.
   */
  readonly from?: (position: Position) => Stream.Stream<Batch, BatchError>
  /** Whether equal identities promise no equal rows, since they say what the caller says and not what the rows are. */
  readonly mayDiffer?: boolean
}

/**
 * Rows of type `Row`, read with the services `R`. Made by `csv` and `rows`; opened by `prepare`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Source<out Row extends object, out R = never> {
  readonly "~@bedrock-batch/sdk/Source": { readonly Row: Row; readonly R: R }
  /** @internal */
  readonly open: Effect.Effect<OpenSource, BatchError, R | ObjectStore | Scope.Scope>
  /**
   * The source as data; null where it is not.
   *
   * @internal
   */
  readonly recipe: SourceRecipe | null
}

/**
 * A row whose columns are not known to the compiler.
 *
 * @since 0.1.0
 * @category models
 */
export interface UntypedRow<out Cell = unknown> {
  readonly [column: string]: Cell
}
