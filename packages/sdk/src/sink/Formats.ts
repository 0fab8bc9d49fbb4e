/**
 * The sinks by format.
 *
 * @since 0.1.0
 */
import * as Csv from "./Csv.ts"
import * as Jsonl from "./Jsonl.ts"
import * as Parquet from "./Parquet.ts"
import type { Format, Sink } from "./Sink.ts"

/**
 * Gives the sink of a format.
 *
 * @since 0.1.0
 * @category getters
 */
export const forFormat = (format: Format): Sink => {
  switch (format) {
    case "parquet":
      return Parquet.sink
    case "csv":
      return Csv.sink
    case "jsonl":
      return Jsonl.sink
  }
}
