import { Arbitrary, Schema } from "effect"
import type { Column, ColumnType } from "../../src/Column.ts"
import type { Batch } from "../../src/internal/Batch.ts"

/** A column of every type. */
export const everyColumn: ReadonlyArray<Column> = [
  { name: "text", type: "string" },
  { name: "whole", type: "integer" },
  { name: "big", type: "bigint" },
  { name: "number", type: "number" },
  { name: "flag", type: "boolean" },
  { name: "at", type: "date" },
  { name: "bytes", type: "binary" },
  { name: "data.json", type: "json" },
  { name: "embedding", type: "vector" }
]

const nullRow = everyColumn.map(() => null)

/** Rows with the values that are easily got wrong. */
export const nastyRows: ReadonlyArray<ReadonlyArray<unknown>> = [
  ["plain", 1, 1n, 1.5, true, new Date(0), Uint8Array.of(1, 2), { a: [1, null] }, Float32Array.of(0.1, -2)],
  nullRow,
  ["", 0, 0n, 0, false, new Date(-1), new Uint8Array(0), [], new Float32Array(0)],
  [
    "é😀\u2028\u0085\"x\",\r\n\0",
    Number.MAX_SAFE_INTEGER,
    2n ** 63n - 1n,
    5e-324,
    true,
    new Date(8.64e15),
    Uint8Array.from({ length: 300 }, (_, i) => i),
    "text \"in\" JSON",
    Float32Array.of(16777216, 1e-45, 3.4028235e38, -0)
  ],
  nullRow,
  nullRow,
  [" ", Number.MIN_SAFE_INTEGER, -(2n ** 63n), -0, false, new Date(-8.64e15), Uint8Array.of(0), 0, Float32Array.of(7)],
  ["x".repeat(3000), -1, -1n, 1e21, true, new Date(1_700_000_000_123), Uint8Array.of(9), false, new Float32Array(2000)]
]

/** The rows as one batch. */
export const batchOf = (columns: ReadonlyArray<Column>, rows: ReadonlyArray<ReadonlyArray<unknown>>): Batch => ({
  length: rows.length,
  columns: columns.map((_, j) => rows.map((row) => row[j]))
})

const arbitraries: { readonly [T in ColumnType]: Arbitrary.Arbitrary<unknown> } = {
  // A lone surrogate has no UTF-8.
  string: Arbitrary.schema(Schema.String).pipe(Arbitrary.map((text) => Buffer.from(text).toString())),
  integer: Arbitrary.schema(Schema.Int),
  bigint: Arbitrary.schema(Schema.BigInt).pipe(Arbitrary.map((value) => BigInt.asIntN(64, value))),
  number: Arbitrary.schema(Schema.Finite),
  boolean: Arbitrary.schema(Schema.Boolean),
  date: Arbitrary.schema(Schema.Date),
  binary: Arbitrary.schema(Schema.Uint8Array),
  json: Arbitrary.schema(
    Schema.Union([Schema.Array(Schema.Int), Schema.Struct({ a: Schema.Boolean }), Schema.Boolean])
  ),
  vector: Arbitrary.schema(Schema.Array(Schema.Finite)).pipe(
    Arbitrary.map((values) => Float32Array.from(values).map((value) => Number.isFinite(value) ? value : 0.1))
  )
}

const types = Object.keys(arbitraries) as Array<ColumnType>

/** Batches of columns of any types, a good part of their values null. */
export const anyTable: Arbitrary.Arbitrary<{
  readonly columns: ReadonlyArray<Column>
  readonly batches: ReadonlyArray<Batch>
}> =
  Arbitrary.array(Arbitrary.schema(Schema.Literals(types)), { minLength: 1, maxLength: 6 }).pipe(
    Arbitrary.flatMap((chosen) => {
      const columns = chosen.map((type, j): Column => ({ name: `c${j}`, type }))
      const nullable = (type: ColumnType) =>
        Arbitrary.schema(Schema.Boolean).pipe(
          Arbitrary.flatMap((isNull): Arbitrary.Arbitrary<unknown> =>
            isNull ? Arbitrary.Constant(null) : arbitraries[type]
          )
        )
      const rows = Arbitrary.array(Arbitrary.all(chosen.map(nullable)), { maxLength: 20 })
      return Arbitrary.array(rows, { maxLength: 4 }).pipe(
        Arbitrary.map((parts) => ({ columns, batches: parts.map((part) => batchOf(columns, part)) }))
      )
    })
  )
