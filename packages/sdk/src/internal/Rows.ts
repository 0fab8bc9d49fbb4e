/**
 * From batches to rows: the plain objects that users see.
 *
 * @internal
 */
import type { Column } from "../Column.ts"
import type { Batch } from "./Batch.ts"

/** @internal */
export interface RowObject {
  [column: string]: unknown
}

const put = (row: RowObject, name: string, value: unknown): void => {
  if (name === "__proto__") {
    Object.defineProperty(row, name, { value, writable: true, enumerable: true, configurable: true })
  } else {
    row[name] = value
  }
}

/**
 * One row of a batch as a plain object with its columns in order. Every column is an own property, whatever its name
 * (`__proto__` and `constructor` too).
 *
 * @internal
 */
export const rowAt = (columns: ReadonlyArray<Column>, batch: Batch, index: number): RowObject => {
  const row: RowObject = {}
  for (let j = 0; j < columns.length; j++) put(row, columns[j]!.name, batch.columns[j]![index])
  return row
}

/**
 * The rows of a batch, as `rowAt` makes them.
 *
 * @internal
 */
export const toRows = (columns: ReadonlyArray<Column>, batch: Batch): Array<RowObject> => {
  const rows = new Array<RowObject>(batch.length)
  for (let i = 0; i < batch.length; i++) rows[i] = rowAt(columns, batch, i)
  return rows
}
