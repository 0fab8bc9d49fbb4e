import { assert, describe, it } from "@effect/vitest"
import { tableFromArrays, tableFromIPC, tableToIPC } from "apache-arrow"
import { Cause, Effect, Stream } from "effect"
import type { Column } from "../../src/Column.ts"
import type { Batch } from "../../src/internal/Batch.ts"
import * as RowsFile from "../../src/internal/RowsFile.ts"
import { anyTable, batchesOf, batchOf, everyType, nastyRows, rowsOf } from "../rig/AnyTable.ts"

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

describe("RowsFile", () => {
  it.effect("gives back every type, its extremes and its nulls, however the bytes are cut", () =>
    Effect.gen(function*() {
      const more = nastyRows.slice(0, 3)
      const bytes = yield* write(everyType, [batchOf(everyType, nastyRows), batchOf(everyType, more)])
      for (const size of [bytes.length, 4096, 7, 1]) {
        const batches = yield* read(bytes, size)
        assert.deepStrictEqual(rowsOf(batches), [...nastyRows, ...more])
      }
    }))

  it.effect("is one Arrow stream that Arrow itself reads", () =>
    Effect.gen(function*() {
      const bytes = yield* write(everyType, [batchOf(everyType, nastyRows), batchOf(everyType, nastyRows)])
      const table = tableFromIPC(bytes)
      assert.strictEqual(table.numRows, nastyRows.length * 2)
      assert.deepStrictEqual(JSON.parse(table.schema.metadata.get("bedrock-batch:columns")!), everyType)
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
      const bytes = yield* write(everyType, [batchOf(everyType, nastyRows)])
      const why = (damaged: Uint8Array) => Effect.flip(read(damaged))
      assert.strictEqual(yield* why(bytes.subarray(0, bytes.length - 8)), "the file ends before its rows do")
      assert.strictEqual(yield* why(bytes.subarray(0, 3000)), "the file ends before its rows do")
      assert.strictEqual(yield* why(new Uint8Array(0)), "the file ends before its rows do")
      assert.strictEqual(yield* why(Buffer.from("a,b\n1,2\n")), "a message does not begin where one should")
    }))

  it.effect("refuses columns of types that are not in the file, and messages that come twice", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "n", type: "integer" }]
      const bytes = yield* write(columns, [batchOf(columns, [[1], [2]])])
      const other = Buffer.from(bytes.toString("latin1").replace("\"integer\"", "\"string\" "), "latin1")
      assert.strictEqual(yield* Effect.flip(read(other)), "the columns have no types of ours")
      const foreign = tableToIPC(tableFromArrays({ n: Int32Array.of(1) }), "stream")
      assert.strictEqual(yield* Effect.flip(read(foreign)), "the columns have no types of ours")
      const schema = bytes.subarray(0, 8 + bytes.readInt32LE(4))
      assert.strictEqual(yield* Effect.flip(read(Buffer.concat([schema, bytes]))), "a message is of another kind")
      assert.strictEqual(yield* Effect.flip(read(bytes.subarray(schema.length))), "a message is of another kind")
    }))

  it.effect("meets any damage with a failure or with rows, in little time", () =>
    Effect.gen(function*() {
      const bytes = yield* write(everyType, [batchOf(everyType, nastyRows)])
      let seed = 7
      const next = (below: number): number => (seed = (seed * 1103515245 + 12345) % 2147483648) % below
      for (let i = 0; i < 400; i++) {
        const damaged = Buffer.from(bytes)
        // Half of the damage is to the metadata, which are at the start.
        for (let k = 0; k < 1 + next(4); k++) damaged[next(i % 2 === 0 ? 12_000 : bytes.length)] = next(256)
        yield* Effect.exit(read(damaged)).pipe(Effect.map((exit) => {
          if (exit._tag === "Failure") assert.isTrue(Cause.hasFails(exit.cause), Cause.pretty(exit.cause))
        }))
      }
    }))

  it.effect("keeps texts that are not ASCII apart, whatever is at their ends", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "t", type: "string" }]
      const texts = ["a", "\u00e9", "", "\u{1f600}", "b", "\u4e2d\u6587", "\ufffd", "z".repeat(100)]
      const tables = [texts, [...Array.from({ length: 100 }, () => "ascii"), ...texts], texts.slice(1, 2)]
      for (const table of tables) {
        const batch = batchOf(columns, table.map((text) => [text]))
        assert.deepStrictEqual(rowsOf(yield* read(yield* write(columns, [batch]))), rowsOf([batch]))
      }
      // Halves of a pair have no UTF-8: each becomes the replacement character.
      const halves = batchOf(columns, [...Array.from({ length: 40 }, () => ["ascii"]), ["\ud83d"], ["\ude00"]])
      const kept = rowsOf(yield* read(yield* write(columns, [halves]))).slice(-2)
      assert.deepStrictEqual(kept, [["\ufffd"], ["\ufffd"]])
    }))

  it.effect.prop("gives back any values of any columns", { table: anyTable() }, ({ table }) =>
    Effect.gen(function*() {
      const batches = yield* read(yield* write(table.columns, batchesOf(table, 5)), 64)
      assert.deepStrictEqual(rowsOf(batches), table.rows)
    }).pipe(Effect.orDie), { arbitrary: { runs: 200 } })
})
