import { Arbitrary } from "effect"
import type { Column } from "../../src/Column.ts"
import type { Batch } from "../../src/internal/Batch.ts"
import * as AnyTable from "../rig/AnyTable.ts"

export { batchOf } from "../rig/AnyTable.ts"

const kinds = ["string", "integer", "bigint", "number", "boolean", "date", "binary", "json", "vector"] as const

/** A column of every type that rows from memory have. */
export const everyColumn: ReadonlyArray<Column> = AnyTable.everyType.slice(0, kinds.length)

/** Rows with the values that are easily got wrong. */
export const nastyRows: ReadonlyArray<AnyTable.Row> = AnyTable.nastyRows.map((row) => row.slice(0, kinds.length))

/** JSON texts and numbers in an array, so that what a value is says what text it becomes. */
const structured = (columns: ReadonlyArray<Column>, row: AnyTable.Row): AnyTable.Row =>
  row.map((value, j) =>
    columns[j]!.type === "json" && (typeof value === "string" || typeof value === "number") ? [value] : value
  )

/** Batches of columns of any of these types, a good part of their values null. */
export const anyTable: Arbitrary.Arbitrary<{
  readonly columns: ReadonlyArray<Column>
  readonly batches: ReadonlyArray<Batch>
}> = AnyTable.anyTable({ kinds, finite: true, maxRows: 60 }).pipe(
  Arbitrary.map(({ columns, rows }) => ({
    columns,
    batches: AnyTable.batchesOf({ columns, rows: rows.map((row) => structured(columns, row)) }, 20)
  }))
)
