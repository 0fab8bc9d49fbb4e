import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { Column } from "../../src/Column.ts"
import type { Batch } from "../../src/internal/Batch.ts"
import { forFormat } from "../../src/sink/Formats.ts"
import { sink } from "../../src/sink/Jsonl.ts"
import { anyTable, batchOf, everyColumn, nastyRows } from "./columns.ts"

const write = (columns: ReadonlyArray<Column>, batches: ReadonlyArray<Batch>): Effect.Effect<string> =>
  sink.encode(columns, Stream.fromIterable(batches)).pipe(
    Stream.runCollect,
    Effect.map((pieces) => Buffer.concat(pieces).toString())
  )

describe("Jsonl sink", () => {
  it.effect("writes every column of every row, in order", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* write(everyColumn, [batchOf(everyColumn, nastyRows.slice(0, 2))]),
        "{\"text\":\"plain\",\"whole\":1,\"big\":1,\"number\":1.5,\"flag\":true,\"at\":\"1970-01-01T00:00:00.000Z\"," +
          "\"bytes\":\"AQI=\",\"data.json\":{\"a\":[1,null]},\"embedding\":[0.1,-2]}\n" +
          "{\"text\":null,\"whole\":null,\"big\":null,\"number\":null,\"flag\":null,\"at\":null,\"bytes\":null," +
          "\"data.json\":null,\"embedding\":null}\n"
      )
    }))

  it.effect("keeps all digits of integers, leaves separators raw, and writes null for what JSON has not", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [
        { name: "__proto__", type: "bigint" },
        { name: "n", type: "number" },
        { name: "t", type: "string" },
        { name: "v", type: "vector" }
      ]
      const rows = [
        [2n ** 63n - 1n, Number.NaN, "a\u2028\n\"b", Float32Array.of(Number.NaN, 1e-45, 0.3)],
        [-1n, Number.NEGATIVE_INFINITY, "", new Float32Array(0)],
        [0n, -0, "\ud800", null]
      ]
      assert.strictEqual(
        yield* write(columns, [batchOf(columns, rows)]),
        "{\"__proto__\":9223372036854775807,\"n\":null,\"t\":\"a\u2028\\n\\\"b\",\"v\":[null,1e-45,0.3]}\n" +
          "{\"__proto__\":-1,\"n\":null,\"t\":\"\",\"v\":[]}\n" +
          "{\"__proto__\":0,\"n\":-0,\"t\":\"\\ud800\",\"v\":null}\n"
      )
    }))

  it.effect("writes nothing for no rows", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* write(everyColumn, []), "")
    }))

  it.effect.prop("is JSON that has the values", { table: anyTable }, ({ table }) =>
    Effect.gen(function*() {
      const text = yield* write(table.columns, table.batches)
      const lines = text.split("\n").slice(0, -1).map((line) => JSON.parse(line))
      const rows = table.batches.flatMap((batch) =>
        Array.from({ length: batch.length }, (_, i) => batch.columns.map((values) => values[i])))
      assert.strictEqual(lines.length, rows.length)
      rows.forEach((row, i) =>
        row.forEach((value, j) => {
          const read: unknown = lines[i][table.columns[j]!.name]
          if (value instanceof Float32Array) assert.deepStrictEqual(Float32Array.from(read as Array<number>), value)
          else if (typeof value === "number" && table.columns[j]!.type === "number") assert.strictEqual(read, value)
          else if (typeof value === "string") assert.strictEqual(read, value)
          else if (value === null) assert.isNull(read)
        }))
    }), { arbitrary: { runs: 100 } })

  it("is found by its format, like the others", () => {
    assert.deepStrictEqual(
      (["parquet", "csv", "jsonl"] as const).map((format) => forFormat(format).extension),
      [".parquet", ".csv", ".jsonl"]
    )
  })
})
