/**
 * Where results go: a format turns batches of rows into the bytes of a file, in bounded memory.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Column } from "../Column.ts"
import type { Batch } from "../internal/Batch.ts"

/**
 * Schema for the format of a result file.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Format = Schema.Literals(["parquet", "csv", "jsonl", "arrow"])

/**
 * The format of a result file: `parquet` or `arrow` (typed; vectors as `list<float32>`), `csv` (vectors and JSON values
 * as JSON text, null as the empty field) or `jsonl` (one JSON object a line).
 *
 * @since 0.1.0
 * @category models
 */
export type Format = typeof Format.Type

/**
 * Schema for the compression of a Parquet file.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Compression = Schema.Literals(["zstd", "snappy", "none"])

/**
 * The compression of a Parquet file: `zstd` (small and fast), `snappy` (for readers that do not know Zstandard) or
 * `none`.
 *
 * @since 0.1.0
 * @category models
 */
export type Compression = typeof Compression.Type

/**
 * How a file is written, beside its format.
 *
 * @internal
 */
export interface SinkOptions {
  /** Of Parquet files; `zstd` by default. */
  readonly compression?: Compression | undefined
}

/**
 * Encodes a file of one format.
 *
 * @internal
 */
export interface Sink {
  /** The file name's extension, with the dot: `.parquet`. */
  readonly extension: string
  /**
   * The bytes of a file. Pieces are not written to once they are given, but may be views of vectors in the batches, whose
   * values are to stay as they are.
   */
  readonly encode: <E, R>(
    columns: ReadonlyArray<Column>,
    batches: Stream.Stream<Batch, E, R>
  ) => Stream.Stream<Uint8Array, E, R>
}
