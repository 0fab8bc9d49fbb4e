import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import Papa from "papaparse"
import type { Column, ColumnType } from "../../src/Column.ts"
import type { Batch } from "../../src/internal/Batch.ts"
import { sink } from "../../src/sink/Csv.ts"
import { anyTable, batchesOf, batchOf, everyType, nastyRows, rowsOf } from "../rig/AnyTable.ts"
import { difference, Digits, parse } from "./jsonReader.ts"

const write = (columns: ReadonlyArray<Column>, batches: ReadonlyArray<Batch>): Effect.Effect<string> =>
  sink.encode(columns, Stream.fromIterable(batches)).pipe(
    Stream.runCollect,
    Effect.map((pieces) => Buffer.concat(pieces).toString())
  )

const texts = new Set<ColumnType>(["string", "date", "binary", "day", "uuid"])
const numbers = new Set<ColumnType>(["number", "float32"])

/** What a cell says, as JSON would say it. */
const asJson = (type: ColumnType, value: unknown, cell: string): unknown => {
  const kind = typeof type === "string" ? type : type.type
  if (typeof type === "string" ? texts.has(type) : !["list", "struct", "map"].includes(kind)) return cell
  if (typeof value === "number" && !Number.isFinite(value)) return cell === String(value) ? null : cell
  if (typeof type === "string" && numbers.has(type)) return new Digits(cell)
  return parse(cell)
}

const check = (columns: ReadonlyArray<Column>, batches: ReadonlyArray<Batch>) =>
  Effect.gen(function*() {
    const text = yield* write(columns, batches)
    const { data, errors } = Papa.parse<ReadonlyArray<string>>(text, { delimiter: ",", newline: "\n" })
    assert.deepStrictEqual(errors, [])
    assert.deepStrictEqual(data.pop(), [""])
    assert.deepStrictEqual(data.shift(), columns.map(({ name }) => name))
    const rows = rowsOf(batches)
    assert.strictEqual(data.length, rows.length)
    rows.forEach((row, i) =>
      columns.forEach(({ name, type }, j) => {
        const cell = data[i]![j]!
        if (row[j] === null) assert.strictEqual(cell, "")
        else assert.isNull(difference(type, row[j], asJson(type, row[j], cell)), `${name} of row ${i}`)
      })
    )
  })

describe("Csv sink", () => {
  it.effect("writes every type as its shortest exact text", () =>
    Effect.gen(function*() {
      const lines = (yield* write(everyType, [batchOf(everyType, nastyRows.slice(0, 2))])).split("\n")
      assert.strictEqual(lines[0], everyType.map(({ name }) => name).join())
      assert.strictEqual(
        lines[1],
        "plain,1,1,1.5,true,1970-01-01T00:00:00.000Z,AQI=,\"{\"\"a\"\":[1,null]}\",\"[0.1,-2]\",1,1,1,1,1,1,1,0.5," +
          "1970-01-01,01234567-89ab-cdef-0123-456789abcdef,1.50,1,1.0000000000000000000000000000000000000001," +
          "2026-11-23T12:30:00,2026-11-23T12:30:00.001,2026-11-23T12:30:00.000001Z,2026-11-23T12:30:00.000000001," +
          "12:30:00,12:30:00.001,12:30:00.000001,12:30:00.000000001,AQID,\"[\"\"a\"\",null,\"\"\"\"]\"," +
          "\"[[true,null],null,[]]\"," +
          "\"{\"\"\"\":\"\"x\"\",\"\"__proto__\"\":7,\"\"a.b\"\":{\"\"at\"\":\"\"1970-01-01T00:00:00.001Z\"\"," +
          "\"\"v\"\":[1,2]}}\"," +
          "\"[{\"\"key\"\":\"\"a\"\",\"\"value\"\":1},{\"\"key\"\":\"\"b\"\",\"\"value\"\":null}," +
          "{\"\"key\"\":\"\"a\"\",\"\"value\"\":2}]\"," +
          "\"[{\"\"key\"\":\"\"2026-11-23\"\",\"\"value\"\":[" +
          "{\"\"uuid\"\":\"\"ffffffff-ffff-ffff-ffff-ffffffffffff\"\"}," +
          "null,{\"\"uuid\"\":null}]}]\""
      )
      assert.strictEqual(lines[2], ",".repeat(everyType.length - 1))
    }))

  it.effect("writes the values that are easily got wrong", () => check(everyType, [batchOf(everyType, nastyRows)]))

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
      assert.strictEqual(yield* write(everyType.slice(0, 2), []), "text,whole\n")
    }))

  it.effect("writes numbers that are not finite, extremes and negative zero", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [
        { name: "n", type: "number" },
        { name: "v", type: "vector" },
        { name: "f", type: "float32" }
      ]
      const odd = Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, -0)
      const rows = [
        [Number.NaN, odd, Number.NEGATIVE_INFINITY],
        [-0, new Float32Array(0), -0],
        [1e21, null, Math.fround(1e-40)]
      ]
      assert.strictEqual(
        yield* write(columns, [batchOf(columns, rows)]),
        "n,v,f\nNaN,\"[null,null,-0]\",-Infinity\n-0,[],-0\n1e+21,,1e-40\n"
      )
    }))

  it.effect.prop("is read back as the values it wrote", { table: anyTable() }, ({ table }) =>
    // A blank line is no row of a file of one column, so a null there cannot differ from the empty string.
    check(table.columns, batchesOf(table, 5)), { arbitrary: { runs: 150 } })
})
