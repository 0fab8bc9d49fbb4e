import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { Column } from "../../src/Column.ts"
import type { Batch } from "../../src/internal/Batch.ts"
import { sink } from "../../src/sink/Csv.ts"
import { CsvParser } from "../../src/source/internal/CsvParser.ts"
import { anyTable, batchOf, everyColumn, nastyRows } from "./columns.ts"

const write = (columns: ReadonlyArray<Column>, batches: ReadonlyArray<Batch>): Effect.Effect<string> =>
  sink.encode(columns, Stream.fromIterable(batches)).pipe(
    Stream.runCollect,
    Effect.map((pieces) => Buffer.concat(pieces).toString())
  )

describe("Csv sink", () => {
  it.effect("writes every type as its shortest exact text", () =>
    Effect.gen(function*() {
      const text = yield* write(everyColumn, [batchOf(everyColumn, nastyRows.slice(0, 2))])
      assert.strictEqual(
        text,
        "text,whole,big,number,flag,at,bytes,data.json,embedding\n" +
          "plain,1,1,1.5,true,1970-01-01T00:00:00.000Z,AQI=,\"{\"\"a\"\":[1,null]}\",\"[0.1,-2]\"\n" +
          ",,,,,,,,\n"
      )
    }))

  it.effect("tells null from the empty string, and quotes only what needs it", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "a,b", type: "string" }, { name: "c", type: "string" }]
      const rows = [["", null], ["x,y", "\"q\""], ["l1\nl2", "r\r"], [" space ", "\u2028"], ["007", "é"]]
      assert.strictEqual(
        yield* write(columns, [batchOf(columns, rows)]),
        "\"a,b\",c\n\"\",\n\"x,y\",\"\"\"q\"\"\"\n\"l1\nl2\",\"r\r\"\n space ,\u2028\n007,é\n"
      )
    }))

  it.effect("loses no row of a file of one column", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "a", type: "string" }]
      assert.strictEqual(yield* write(columns, [batchOf(columns, [[null], [""], ["x"]])]), "a\n\"\"\n\"\"\nx\n")
    }))

  it.effect("writes the header of a file without rows", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* write(everyColumn.slice(0, 2), []), "text,whole\n")
    }))

  it.effect("writes numbers that are not finite, extremes and negative zero", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "n", type: "number" }, { name: "v", type: "vector" }]
      const odd = Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, -0)
      const rows = [[Number.NaN, odd], [-0, new Float32Array(0)], [1e21, null]]
      assert.strictEqual(
        yield* write(columns, [batchOf(columns, rows)]),
        "n,v\nNaN,\"[null,null,-0]\"\n-0,[]\n1e+21,\n"
      )
    }))

  it.effect.prop("is read back as the texts it wrote", { table: anyTable }, ({ table }) =>
    Effect.gen(function*() {
      const text = yield* write(table.columns, table.batches)
      const parser = new CsvParser({ delimiter: "," })
      const rows = [...parser.push(Buffer.from(text)), ...parser.end()]
      const expected = table.batches.flatMap((batch) =>
        Array.from({ length: batch.length }, (_, i) => batch.columns.map((values) => values[i])))
      assert.strictEqual(rows.length, expected.length)
      rows.forEach((row, i) =>
        row.forEach((cell, j) => {
          const value = expected[i]![j]
          if (typeof value === "string") assert.strictEqual(cell, value)
          if (typeof value === "number" || typeof value === "bigint") assert.strictEqual(Number(cell), Number(value))
          if (value instanceof Float32Array) assert.deepStrictEqual(Float32Array.from(JSON.parse(cell)), value)
          if (value === null) assert.strictEqual(cell, "")
        }))
    }), { arbitrary: { runs: 100 } })
})
