/**
 * A batch of rows, stored by column: `columns[j][i]` is the value of column `j` in row `i` of the batch, as the type of
 * that column says (`Column.ts`), or null. Rows travel in batches of thousands, never one by one.
 *
 * @internal
 */
import type { Position } from "../source/internal/Position.ts"

/** @internal */
export interface Batch {
  readonly length: number
  readonly columns: ReadonlyArray<ReadonlyArray<unknown>>
  /** Where a source can be read on to come to these rows: at or before the first of them. */
  readonly position?: Position
}

/**
 * The rows `from` (inclusive) to `to` (exclusive) of a batch.
 *
 * @internal
 */
export const slice = (batch: Batch, from: number, to: number): Batch =>
  from === 0 && to === batch.length
    ? batch
    : { length: to - from, columns: batch.columns.map((values) => values.slice(from, to)) }
