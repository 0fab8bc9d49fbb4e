/**
 * Parquet result files.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { codecOf } from "./internal/ParquetCompression.ts"
import { ParquetWriter } from "./internal/ParquetWriter.ts"
import type { Sink, SinkOptions } from "./Sink.ts"

/**
 * Makes the sink that writes Parquet with the types of `Column.ts`, in row groups of at most 10,000 rows and about
 * 16 MB. Pages are compressed with Zstandard (or as `compression` says), but for vectors, which are lists of floats as
 * they lie in memory. Texts that occur again and again are written once a row group. Lists, structs and maps have the
 * standard shapes; a struct without fields, which Parquet has not, is JSON text. The footer's metadata has the columns
 * as JSON under `bedrock-batch:columns`. Memory holds two row groups.
 *
 * @since 0.1.0
 * @category sinks
 */
export const make = (options?: SinkOptions): Sink => ({
  extension: ".parquet",
  encode: (columns, batches) =>
    Stream.unwrap(Effect.map(codecOf(options?.compression ?? "zstd"), (codec) => {
      const writer = new ParquetWriter(columns, codec)
      const pieces = (make: () => Promise<ReadonlyArray<Uint8Array>>) => Effect.promise(make)
      return Stream.fromIterable(writer.begin()).pipe(
        Stream.concat(
          batches.pipe(Stream.mapEffect((batch) => pieces(() => writer.push(batch))), Stream.flattenIterable)
        ),
        Stream.concat(Stream.fromEffect(pieces(() => writer.end())).pipe(Stream.flattenIterable))
      )
    }))
})
