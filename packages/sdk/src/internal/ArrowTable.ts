/**
 * Rows as an Arrow table in memory.
 *
 * @internal
 */
import type * as Arrow from "apache-arrow"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Column } from "../Column.ts"
import { batchEncoder, loadArrow } from "./ArrowColumns.ts"
import type { Batch } from "./Batch.ts"
import { BatchGroups } from "./BatchGroups.ts"

/**
 * The table of all rows, with the types of `Column.ts`, in record batches of at most 10,000 rows and about 16 MB.
 *
 * @internal
 */
export const tableOf = <E, R>(
  columns: ReadonlyArray<Column>,
  batches: Stream.Stream<Batch, E, R>
): Effect.Effect<Arrow.Table, E, R> =>
  Effect.flatMap(loadArrow, (arrow) => {
    const encoder = batchEncoder(arrow, columns)
    const groups = new BatchGroups()
    const parts: Array<Arrow.RecordBatch> = []
    const take = (full: ReadonlyArray<Batch>): void => {
      for (const group of full) parts.push(encoder.encode(group))
    }
    return Stream.runForEach(batches, (batch) => Effect.sync(() => take(groups.push(batch)))).pipe(
      Effect.map(() => {
        take(groups.end())
        return new arrow.Table(encoder.schema, parts)
      })
    )
  })
