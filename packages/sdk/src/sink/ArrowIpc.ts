/**
 * Arrow result files.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { loadArrow } from "../internal/ArrowColumns.ts"
import { arrowWriter } from "../internal/ArrowWriter.ts"
import { BatchGroups } from "../internal/BatchGroups.ts"
import type { Sink } from "./Sink.ts"

/**
 * Writes Arrow's IPC file format (Feather's second version) with the types of `Column.ts`, uncompressed, in record
 * batches of at most 10,000 rows and about 16 MB. JSON and UUID columns have Arrow's extension types `arrow.json` and
 * `arrow.uuid`. The schema's metadata holds the columns as JSON under `bedrock-batch:columns`. Memory holds one record
 * batch.
 *
 * @since 0.1.0
 * @category sinks
 */
export const sink: Sink = {
  extension: ".arrow",
  encode: (columns, batches) =>
    Stream.unwrap(Effect.map(loadArrow, (arrow) => {
      const writer = arrowWriter(arrow, "file", columns)
      const groups = new BatchGroups()
      return Stream.fromIterable(writer.begin()).pipe(
        Stream.concat(
          batches.pipe(Stream.map((batch) => groups.push(batch).flatMap(writer.batch)), Stream.flattenIterable)
        ),
        Stream.concat(
          Stream.suspend(() => Stream.fromIterable([...groups.end().flatMap(writer.batch), ...writer.end()]))
        )
      )
    }))
}
