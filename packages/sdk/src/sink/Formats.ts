/**
 * The sinks by format.
 *
 * @since 0.1.0
 */
import * as ArrowIpc from "./ArrowIpc.ts"
import * as Csv from "./Csv.ts"
import * as Jsonl from "./Jsonl.ts"
import * as Parquet from "./Parquet.ts"
import type { Format, Sink, SinkOptions } from "./Sink.ts"

/**
 * Gives the sink of a format; options that are not for the format have no effect.
 *
 * @since 0.1.0
 * @category getters
 */
export const forFormat = (format: Format, options?: SinkOptions): Sink => {
  switch (format) {
    case "parquet":
      return Parquet.make(options)
    case "arrow":
      return ArrowIpc.sink
    case "csv":
      return Csv.sink
    case "jsonl":
      return Jsonl.sink
  }
}
