import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { Column } from "../../src/Column.ts"
import type { Batch } from "../../src/internal/Batch.ts"
import { forFormat } from "../../src/sink/Formats.ts"
import { sink } from "../../src/sink/Jsonl.ts"
import { anyTable, batchesOf, batchOf, everyType, nastyRows, rowsOf } from "../rig/AnyTable.ts"
import { difference, parse } from "./jsonReader.ts"

const write = (columns: ReadonlyArray<Column>, batches: ReadonlyArray<Batch>): Effect.Effect<string> =>
  sink.encode(columns, Stream.fromIterable(batches)).pipe(
    Stream.runCollect,
    Effect.map((pieces) => Buffer.concat(pieces).toString())
  )

/** Every line is an object with the columns in order, and their values. */
const check = (columns: ReadonlyArray<Column>, batches: ReadonlyArray<Batch>) =>
  Effect.gen(function*() {
    const lines = (yield* write(columns, batches)).split("\n")
    assert.strictEqual(lines.pop(), "")
    const rows = rowsOf(batches)
    assert.strictEqual(lines.length, rows.length)
    const type = { type: "struct", fields: columns } as const
    rows.forEach((row, i) => {
      const value = Object.fromEntries(columns.map(({ name }, j) => [name, row[j]]))
      assert.isNull(difference(type, value, parse(lines[i]!)), `row ${i}`)
    })
  })

describe("Jsonl sink", () => {
  it.effect("writes every column of every row, in order", () =>
    Effect.gen(function*() {
      const lines = (yield* write(everyType, [batchOf(everyType, nastyRows.slice(0, 2))])).split("\n")
      assert.strictEqual(
        lines[0],
        "{\"text\":\"plain\",\"whole\":1,\"big\":1,\"number\":1.5,\"flag\":true,\"at\":\"1970-01-01T00:00:00.000Z\"," +
          "\"bytes\":\"AQI=\",\"data.json\":{\"a\":[1,null]},\"embedding\":[0.1,-2]," +
          "\"int8\":1,\"int16\":1,\"int32\":1," +
          "\"uint8\":1,\"uint16\":1,\"uint32\":1,\"uint64\":1,\"float32\":0.5,\"day\":\"1970-01-01\"," +
          "\"uuid\":\"01234567-89ab-cdef-0123-456789abcdef\",\"price\":\"1.50\",\"decimal 38\":\"1\"," +
          "\"decimal 76\":\"1.0000000000000000000000000000000000000001\",\"seconds\":\"2026-11-23T12:30:00\"," +
          "\"millis\":\"2026-11-23T12:30:00.001\",\"micros UTC\":\"2026-11-23T12:30:00.000001Z\"," +
          "\"nanos\":\"2026-11-23T12:30:00.000000001\",\"time s\":\"12:30:00\",\"time ms\":\"12:30:00.001\"," +
          "\"time us\":\"12:30:00.000001\",\"time ns\":\"12:30:00.000000001\",\"fixed\":\"AQID\"," +
          "\"list\":[\"a\",null,\"\"],\"list of lists\":[[true,null],null,[]]," +
          "\"struct\":{\"\":\"x\",\"__proto__\":7,\"a.b\":{\"at\":\"1970-01-01T00:00:00.001Z\",\"v\":[1,2]}}," +
          "\"map\":[{\"key\":\"a\",\"value\":1},{\"key\":\"b\",\"value\":null},{\"key\":\"a\",\"value\":2}]," +
          "\"map of lists\":[{\"key\":\"2026-11-23\",\"value\":[{\"uuid\":\"ffffffff-ffff-ffff-ffff-ffffffffffff\"}," +
          "null,{\"uuid\":null}]}]}"
      )
      assert.strictEqual(lines[1], `{${everyType.map(({ name }) => `${JSON.stringify(name)}:null`).join()}}`)
    }))

  it.effect("writes the values that are easily got wrong", () => check(everyType, [batchOf(everyType, nastyRows)]))

  it.effect("keeps all digits of integers, leaves separators raw, and writes null for what JSON has not", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [
        { name: "__proto__", type: "bigint" },
        { name: "n", type: "number" },
        { name: "t", type: "string" },
        { name: "v", type: "vector" },
        { name: "l", type: { type: "list", element: "uint64" } },
        { name: "f", type: "float32" }
      ]
      const odd = Float32Array.of(Number.NaN, 1e-45, 0.3)
      const rows = [
        [2n ** 63n - 1n, Number.NaN, "a\u2028\n\"b", odd, [2n ** 64n - 1n, null], Math.fround(0.1)],
        [-1n, Number.NEGATIVE_INFINITY, "", new Float32Array(0), [], Number.NaN],
        [0n, -0, "\ud800", null, null, -0]
      ]
      assert.strictEqual(
        yield* write(columns, [batchOf(columns, rows)]),
        "{\"__proto__\":9223372036854775807,\"n\":null,\"t\":\"a\u2028\\n\\\"b\",\"v\":[null,1e-45,0.3]," +
          "\"l\":[18446744073709551615,null],\"f\":0.1}\n" +
          "{\"__proto__\":-1,\"n\":null,\"t\":\"\",\"v\":[],\"l\":[],\"f\":null}\n" +
          "{\"__proto__\":0,\"n\":-0,\"t\":\"\\ud800\",\"v\":null,\"l\":null,\"f\":-0}\n"
      )
    }))

  it.effect("writes nothing for no rows, and an empty object for a row without columns", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* write(everyType, []), "")
      assert.strictEqual(yield* write([], [{ length: 2, columns: [] }]), "{}\n{}\n")
    }))

  it.effect("takes no value from what an object inherits", () =>
    Effect.gen(function*() {
      const fields: ReadonlyArray<Column> = [{ name: "constructor", type: "json" }, { name: "a", type: "int8" }]
      const columns: ReadonlyArray<Column> = [{ name: "s", type: { type: "struct", fields } }]
      assert.strictEqual(
        yield* write(columns, [batchOf(columns, [[{ a: 1 }]])]),
        "{\"s\":{\"constructor\":null,\"a\":1}}\n"
      )
    }))

  it.effect("writes texts of many megabytes, in pieces", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "t", type: "string" }]
      const rows = [["é".repeat(10_000_000)], ["x"], ...Array.from({ length: 3000 }, (_, i) => [`${i}`.repeat(100)])]
      const pieces = yield* sink.encode(columns, Stream.make(batchOf(columns, rows))).pipe(Stream.runCollect)
      assert.isAbove(pieces.length, 3)
      const lines = Buffer.concat(pieces).toString().split("\n")
      assert.isTrue(lines.length === rows.length + 1 && rows.every(([text], i) => JSON.parse(lines[i]!).t === text))
    }))

  it.effect.prop("is JSON that has the values", { table: anyTable() }, ({ table }) =>
    check(table.columns, batchesOf(table, 5)), { arbitrary: { runs: 150 } })

  it("is found by its format, like the others", () => {
    assert.deepStrictEqual(
      (["parquet", "csv", "jsonl"] as const).map((format) => forFormat(format).extension),
      [".parquet", ".csv", ".jsonl"]
    )
  })
})
