/**
 * Parquet result files.
 *
 * @since 0.1.0
 */
import * as Stream from "effect/Stream"
import { ParquetWriter } from "./internal/ParquetWriter.ts"
import type { Sink, SinkOptions } from "./Sink.ts"

/**
 * Writes Parquet with the types of `Column.ts`: texts, JSON and bytes compressed with Snappy, vectors as
 * `list<element: float>`, in row groups of at most 10,000 rows and about 16 MB. Memory holds one row group.
 *
 * @since 0.1.0
 * @category sinks
 */
export const make = (_options?: SinkOptions): Sink => ({
  extension: ".parquet",
  encode: (columns, batches) =>
    Stream.suspend(() => {
      const writer = new ParquetWriter(columns)
      return Stream.fromIterable(writer.begin()).pipe(
        Stream.concat(batches.pipe(Stream.map((batch) => writer.push(batch)), Stream.flattenIterable)),
        Stream.concat(Stream.suspend(() => Stream.fromIterable(writer.end())))
      )
    })
})
