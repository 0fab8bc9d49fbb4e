import { assert, describe, it } from "@effect/vitest"
import { tableFromIPC } from "apache-arrow"
import { Effect, Stream } from "effect"
import type { Column } from "../../src/Column.ts"
import type { Batch } from "../../src/internal/Batch.ts"
import * as RowsFile from "../../src/internal/RowsFile.ts"
import { anyTable, batchOf, everyColumn, nastyRows } from "../sink/columns.ts"

const write = (columns: ReadonlyArray<Column>, batches: ReadonlyArray<Batch>): Effect.Effect<Buffer> =>
  RowsFile.encode(columns, Stream.fromIterable(batches)).pipe(
    Stream.runCollect,
    Effect.map((pieces) => Buffer.concat(pieces))
  )

const read = (bytes: Uint8Array, pieceSize = bytes.length): Effect.Effect<ReadonlyArray<Batch>, string> =>
  RowsFile.read(
    Stream.fromIterable(
      Array.from({ length: Math.ceil(bytes.length / pieceSize) }, (_, i) =>
        bytes.subarray(i * pieceSize, (i + 1) * pieceSize))
    ),
    (message) => message
  ).pipe(Stream.runCollect)

const rowsOf = (batches: ReadonlyArray<Batch>): ReadonlyArray<ReadonlyArray<unknown>> =>
  batches.flatMap((batch) => Array.from({ length: batch.length }, (_, i) => batch.columns.map((values) => values[i])))

describe("RowsFile", () => {
  it.effect("gives back every type, its extremes and its nulls, however the bytes are cut", () =>
    Effect.gen(function*() {
      const more = nastyRows.slice(0, 3)
      const bytes = yield* write(everyColumn, [batchOf(everyColumn, nastyRows), batchOf(everyColumn, more)])
      for (const size of [bytes.length, 4096, 7, 1]) {
        const batches = yield* read(bytes, size)
        assert.deepStrictEqual(rowsOf(batches), [...nastyRows, ...more])
      }
    }))

  it.effect("is one Arrow stream that Arrow itself reads", () =>
    Effect.gen(function*() {
      const bytes = yield* write(everyColumn, [batchOf(everyColumn, nastyRows), batchOf(everyColumn, nastyRows)])
      const table = tableFromIPC(bytes)
      assert.strictEqual(table.numRows, nastyRows.length * 2)
      assert.deepStrictEqual(table.schema.fields.map((field) => String(field.type)), [
        "Utf8",
        "Int64",
        "Int64",
        "Float64",
        "Bool",
        "Timestamp<MILLISECOND, UTC>",
        "Binary",
        "Utf8",
        "List<Float32>"
      ])
      assert.strictEqual(table.getChild("text")?.get(3), nastyRows[3]![0])
      assert.strictEqual(table.getChild("text")?.get(1), null)
      assert.deepStrictEqual(table.getChild("embedding")?.get(0)?.toArray(), Float32Array.of(0.1, -2))
    }))

  it.effect("cuts messages at 10,000 rows and leaves out empty batches", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "n", type: "integer" }]
      const large = batchOf(columns, Array.from({ length: 25_000 }, (_, i) => [i % 7 === 0 ? null : i]))
      const bytes = yield* write(columns, [large, batchOf(columns, []), batchOf(columns, [[1]])])
      const batches = yield* read(bytes)
      assert.deepStrictEqual(batches.map((batch) => batch.length), [10_000, 10_000, 5000, 1])
      assert.deepStrictEqual(rowsOf(batches), rowsOf([large, batchOf(columns, [[1]])]))
    }))

  it.effect("holds no rows, and columns of any name", () =>
    Effect.gen(function*() {
      const names = ["__proto__", "constructor", "", "a.b", "é"]
      const columns = names.map((name): Column => ({ name, type: "string" }))
      assert.deepStrictEqual(yield* read(yield* write(columns, [])), [])
      const row = columns.map(({ name }) => name)
      assert.deepStrictEqual(rowsOf(yield* read(yield* write(columns, [batchOf(columns, [row])]))), [row])
    }))

  it.effect("reads message by message", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "n", type: "number" }]
      const bytes = yield* write(columns, Array.from({ length: 50 }, (_, i) => batchOf(columns, [[i]])))
      let taken = 0
      const pieces = Stream.fromIterable(Array.from({ length: Math.ceil(bytes.length / 100) }, (_, i) => i)).pipe(
        Stream.rechunk(1),
        Stream.map((i) => {
          taken = i + 1
          return bytes.subarray(i * 100, (i + 1) * 100)
        })
      )
      yield* RowsFile.read(pieces, (message) => message).pipe(Stream.runHead)
      assert.isBelow(taken, 20)
    }))

  it.effect("refuses bytes that end early, are cut in the middle, or are something else", () =>
    Effect.gen(function*() {
      const bytes = yield* write(everyColumn, [batchOf(everyColumn, nastyRows)])
      const why = (damaged: Uint8Array) => Effect.flip(read(damaged))
      assert.strictEqual(yield* why(bytes.subarray(0, bytes.length - 8)), "the file ends before its rows do")
      assert.strictEqual(yield* why(bytes.subarray(0, 3000)), "the file ends before its rows do")
      assert.strictEqual(yield* why(new Uint8Array(0)), "the file ends before its rows do")
      assert.strictEqual(yield* why(Buffer.from("a,b\n1,2\n")), "a message does not begin where one should")
    }))

  it.effect.prop("gives back any values of any columns", { table: anyTable }, ({ table }) =>
    Effect.gen(function*() {
      const batches = yield* read(yield* write(table.columns, table.batches), 64)
      assert.deepStrictEqual(rowsOf(batches), rowsOf(table.batches))
    }).pipe(Effect.orDie), { arbitrary: { runs: 100 } })
})
