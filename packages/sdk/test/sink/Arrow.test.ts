import { assert, describe, it } from "@effect/vitest"
import * as Arrow from "apache-arrow"
import { Effect, Stream } from "effect"
import { Table as WasmTable } from "parquet-wasm"
import type { Column } from "../../src/Column.ts"
import type { Batch } from "../../src/internal/Batch.ts"
import { sink } from "../../src/sink/ArrowIpc.ts"
import { forFormat } from "../../src/sink/Formats.ts"
import { anyTable, batchesOf, batchOf, everyType, nastyRows, rowsOf } from "../rig/AnyTable.ts"
import { fromArrow, plain } from "./parquetReaders.ts"

const write = (columns: ReadonlyArray<Column>, batches: ReadonlyArray<Batch>): Effect.Effect<Buffer> =>
  sink.encode(columns, Stream.fromIterable(batches)).pipe(
    Stream.runCollect,
    Effect.map((pieces) => Buffer.concat(pieces))
  )

/** The rows of a table, as its reader laid them in memory. */
const rowsIn = (table: Arrow.Table, columns: ReadonlyArray<Column>) =>
  table.batches.filter((batch) => batch.numRows > 0).flatMap((batch) => {
    const read = columns.map(({ type }, j) => fromArrow(type, batch.data.children[j]!))
    return Array.from({ length: batch.numRows }, (_, i) => read.map((values) => values[i]!))
  })

/** In a file the messages of a stream come after the magic. */
const asStream = (file: Buffer): Uint8Array => new Uint8Array(file.subarray(8))

/** Writes, and reads the same with every reader. */
const check = (columns: ReadonlyArray<Column>, batches: ReadonlyArray<Batch>) =>
  Effect.map(write(columns, batches), (file) => {
    const expected = rowsOf(batches).map((row) => columns.map(({ type }, j) => plain(type, row[j], 1n)))
    const table = Arrow.tableFromIPC(file)
    assert.deepStrictEqual(rowsIn(table, columns), expected, "apache-arrow, file")
    assert.deepStrictEqual(rowsIn(Arrow.tableFromIPC(asStream(file)), columns), expected, "apache-arrow, stream")
    const rust = Arrow.tableFromIPC(WasmTable.fromIPCStream(asStream(file)).intoIPCStream())
    assert.deepStrictEqual(rowsIn(rust, columns), expected, "arrow-rs")
    return table
  })

const numbers: ReadonlyArray<Column> = [{ name: "n", type: "int32" }]

describe("Arrow", () => {
  it.effect("holds every type, its extremes and its nulls", () =>
    Effect.gen(function*() {
      const table = yield* check(everyType, Array.from({ length: 15 }, () => batchOf(everyType, nastyRows)))
      assert.strictEqual(table.batches.length, 1)
      assert.deepStrictEqual(JSON.parse(table.schema.metadata.get("bedrock-batch:columns")!), everyType)
      assert.strictEqual(forFormat("arrow"), sink)
      assert.strictEqual(sink.extension, ".arrow")
    }))

  it.effect("is a file that begins and ends with the magic, its parts at places of eight bytes", () =>
    Effect.gen(function*() {
      const rows = Array.from({ length: 25_001 }, (_, i) => [i])
      const file = yield* write(numbers, batchesOf({ columns: numbers, rows }, 5000))
      assert.strictEqual(file.toString("latin1", 0, 8), "ARROW1\0\0")
      assert.strictEqual(file.toString("latin1", file.length - 6), "ARROW1")
      const reader = Arrow.RecordBatchReader.from(file).open()
      assert.isTrue(reader.isFile())
      const blocks = [0, 1, 2].map((i) => reader.footer!.getRecordBatch(i)!)
      assert.isNull(reader.footer!.getRecordBatch(3))
      for (const { bodyLength, metaDataLength, offset } of blocks) {
        for (const part of [offset, metaDataLength, bodyLength]) assert.strictEqual(part % 8, 0)
        assert.strictEqual(file.readInt32LE(offset), -1)
        assert.strictEqual(file.readInt32LE(offset + 4), metaDataLength - 8)
      }
      const lengths = [0, 1, 2].map((i) => Arrow.tableFromIPC(file).batches[i]!.numRows)
      assert.deepStrictEqual(lengths, [10_000, 10_000, 5001])
    }))

  it.effect("cuts record batches at about 16 MB, and lets one row be larger", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "v", type: "vector" }, { name: "t", type: "string" }]
      const rows = Array.from({ length: 5000 }, (_, i) => [new Float32Array(1024).fill(i), `row ${i}`])
      const large = [[new Float32Array(5_000_000).fill(1), "y".repeat(1024 * 1024)]]
      const batches = [batchOf(columns, rows), batchOf(columns, large), batchOf(columns, rows.slice(0, 5))]
      const table = Arrow.tableFromIPC(yield* write(columns, batches))
      const lengths = table.batches.map((batch) => batch.numRows)
      assert.deepStrictEqual(lengths.slice(-2), [1, 5])
      assert.isAbove(lengths.length, 3)
      for (const batch of table.batches.slice(0, -2)) assert.isBelow(batch.data.byteLength, 17 * 1024 * 1024)
      assert.strictEqual(table.getChild("t")?.get(5002), "row 1")
    }))

  it.effect("writes the file piece by piece", () =>
    Effect.gen(function*() {
      let pulled = 0
      const batches = Stream.range(1, 100).pipe(
        Stream.rechunk(1),
        Stream.map((n) => {
          pulled = n
          return batchOf(numbers, Array.from({ length: 5000 }, () => [n]))
        })
      )
      const first = yield* sink.encode(numbers, batches).pipe(Stream.drop(1), Stream.runHead)
      assert.strictEqual(first._tag, "Some")
      assert.isBelow(pulled, 10)
    }))

  it.effect("holds no rows, no columns, and columns of any name", () =>
    Effect.gen(function*() {
      const empty = yield* check(everyType, [])
      assert.strictEqual(empty.numCols, everyType.length)
      yield* check(everyType, [batchOf(everyType, [])])
      const names = ["__proto__", "constructor", "a.b", "é", "😀"]
      const columns = names.map((name): Column => ({ name, type: "string" }))
      const table = yield* check(columns, [batchOf(columns, [columns.map(({ name }) => name)])])
      assert.deepStrictEqual(table.schema.fields.map(({ name }) => name), names)
    }))

  it.effect("passes on the failure of the rows", () =>
    Effect.gen(function*() {
      const batches = Stream.concat(Stream.succeed(batchOf(numbers, [[1]])), Stream.fail("no more"))
      assert.strictEqual(yield* Effect.flip(Stream.runDrain(sink.encode(numbers, batches))), "no more")
    }))

  it.effect.prop("gives back any values of any columns", { table: anyTable() }, ({ table }) =>
    Effect.asVoid(check(table.columns, batchesOf(table, 5))), { arbitrary: { runs: 150 } })
})
