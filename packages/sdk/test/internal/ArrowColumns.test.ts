import { assert, describe, it } from "@effect/vitest"
import * as Arrow from "apache-arrow"
import { Effect, Stream } from "effect"
import type { ColumnType } from "../../src/Column.ts"
import { arrowSchema, batchEncoder } from "../../src/internal/ArrowColumns.ts"
import { tableOf } from "../../src/internal/ArrowTable.ts"
import { anyTable, batchesOf, batchOf, everyType, nastyRows, type Row, type Table } from "../rig/AnyTable.ts"

const tableOfRows = (table: Table, size = 7): Effect.Effect<Arrow.Table> =>
  tableOf(table.columns, Stream.fromIterable(batchesOf(table, size)))

const typeOf = (type: ColumnType): string => String(arrowSchema(Arrow, [{ name: "a", type }]).fields[0]!.type)

/** What Arrow's own vectors give for a value of a column type. */
const fromArrow = (type: ColumnType, value: unknown): unknown => {
  if (value === null) return null
  if (type === "json") return JSON.parse(String(value))
  if (type === "integer") return Number(value)
  if (type === "date") return new Date(Number(value))
  if (type === "vector") return Float32Array.from(value as Arrow.Vector<Arrow.Float32>)
  if (type === "uuid") return Buffer.from(value as Uint8Array).toString("hex")
  if (typeof type === "string") return value
  switch (type.type) {
    case "list":
      return Array.from(value as Arrow.Vector, (element: unknown) => fromArrow(type.element, element))
    case "struct": {
      const row = value as Readonly<Record<string, unknown>>
      return type.fields.map((field) => fromArrow(field.type, row[field.name] ?? null))
    }
    default:
      return value
  }
}

/** The values as `fromArrow` gives them. */
const expected = (type: ColumnType, value: unknown): unknown => {
  if (value === null) return null
  if (type === "uuid") return String(value).replaceAll("-", "")
  if (typeof type === "string") return value
  switch (type.type) {
    case "list":
      return (value as ReadonlyArray<unknown>).map((element) => expected(type.element, element))
    case "struct": {
      const row = value as Readonly<Record<string, unknown>>
      return type.fields.map((field) => expected(field.type, row[field.name]))
    }
    default:
      return value
  }
}

/** Types whose values Arrow's vectors give without loss. */
const plain = [
  "string",
  "integer",
  "bigint",
  "number",
  "boolean",
  "date",
  "binary",
  "json",
  "vector",
  "int8",
  "int16",
  "int32",
  "uint8",
  "uint16",
  "uint32",
  "uint64",
  "float32",
  "uuid",
  "fixed",
  "list",
  "struct"
] as const

const sameAs = (table: Arrow.Table, { columns, rows }: Table): void => {
  assert.strictEqual(table.numRows, rows.length)
  for (const [j, { type }] of columns.entries()) {
    const vector = table.getChildAt(j)!
    assert.strictEqual(vector.nullCount, rows.filter((row) => row[j] === null).length)
    const values = rows.map((_, i) => fromArrow(type, vector.get(i)))
    assert.deepStrictEqual(values, rows.map((row) => expected(type, row[j])))
  }
}

describe("ArrowColumns", () => {
  it("has the Arrow type of each column type", () => {
    const types = everyType.map(({ name, type }) => `${name}: ${typeOf(type)}`)
    assert.deepStrictEqual(types, [
      "text: Utf8",
      "whole: Int64",
      "big: Int64",
      "number: Float64",
      "flag: Bool",
      "at: Timestamp<MILLISECOND, UTC>",
      "bytes: Binary",
      "data.json: Utf8",
      "embedding: List<Float32>",
      "int8: Int8",
      "int16: Int16",
      "int32: Int32",
      "uint8: Uint8",
      "uint16: Uint16",
      "uint32: Uint32",
      "uint64: Uint64",
      "float32: Float32",
      "day: Date32<DAY>",
      "uuid: FixedSizeBinary[16]",
      "price: Decimal[9e+2]",
      "decimal 38: Decimal[38e0]",
      "decimal 76: Decimal[76e+40]",
      "seconds: Timestamp<SECOND>",
      "millis: Timestamp<MILLISECOND>",
      "micros UTC: Timestamp<MICROSECOND, UTC>",
      "nanos: Timestamp<NANOSECOND>",
      "time s: Time32<SECOND>",
      "time ms: Time32<MILLISECOND>",
      "time us: Time64<MICROSECOND>",
      "time ns: Time64<NANOSECOND>",
      "fixed: FixedSizeBinary[3]",
      "list: List<Utf8>",
      "list of lists: List<List<Bool>>",
      "struct: Struct<{:Utf8, __proto__:Int32, a.b:Struct<{at:Timestamp<MILLISECOND, UTC>, v:List<Float32>}>}>",
      "map: Map<{key:Utf8, value:Int64}>",
      "map of lists: Map<{key:Date32<DAY>, value:List<Struct<{uuid:FixedSizeBinary[16]}>>}>"
    ])
  })

  it("takes 128 bits for a decimal where they are enough, then 256, then text", () => {
    const bitsOf = (precision: number) => {
      const [field] = arrowSchema(Arrow, [{ name: "d", type: { type: "decimal", precision, scale: 2 } }]).fields
      return field!.type instanceof Arrow.Decimal ? field!.type.bitWidth : String(field!.type)
    }
    assert.deepStrictEqual([1, 38, 39, 76, 77].map(bitsOf), [128, 128, 256, 256, "Utf8"])
  })

  it("says in the schema what the columns are, and in its fields what other readers would not know", () => {
    const schema = arrowSchema(Arrow, everyType)
    assert.deepStrictEqual(JSON.parse(schema.metadata.get("bedrock-batch:columns")!), everyType)
    const named = schema.fields.filter((field) => field.metadata.size > 0)
    assert.deepStrictEqual(named.map((field) => [field.name, field.metadata.get("ARROW:extension:name")]), [
      ["data.json", "arrow.json"],
      ["uuid", "arrow.uuid"]
    ])
    assert.isTrue(schema.fields.every((field) => field.nullable))
  })

  it.effect("makes a table that Arrow's own vectors read", () =>
    Effect.gen(function*() {
      const positions = everyType.flatMap(({ type }, j) => plain.some((kind) => kind === type) ? [j] : [])
      const columns = positions.map((j) => everyType[j]!)
      const rows = nastyRows.map((row): Row => positions.map((j) => row[j]))
      sameAs(yield* tableOfRows({ columns, rows }), { columns, rows })
    }))

  it.effect("makes decimals, times and maps that Arrow's own vectors read", () =>
    Effect.gen(function*() {
      const table = yield* tableOfRows({ columns: everyType, rows: nastyRows })
      const values = (name: string, row: number): unknown => table.getChild(name)!.get(row)
      const unscaled = (name: string, row: number): string => {
        const words = Array.from(values(name, row) as Uint32Array, BigInt).reverse()
        const value = words.reduce((sum, word) => (sum << 32n) | word)
        return String(BigInt.asIntN(words.length * 32, value))
      }
      assert.strictEqual(unscaled("price", 0), "150")
      assert.strictEqual(unscaled("price", 6), "-999999999")
      assert.strictEqual(unscaled("decimal 38", 3), "9".repeat(38))
      assert.strictEqual(unscaled("decimal 76", 6), `-${"9".repeat(76)}`)
      assert.strictEqual(values("time s", 3), 86_399)
      assert.strictEqual(values("time ns", 3), 86_399_999_999_999n)
      assert.strictEqual(Number(values("day", 2)), -86_400_000)
      assert.deepStrictEqual([...(values("map", 3) as Arrow.MapRow<Arrow.Utf8, Arrow.Int64>)], [["", 2n ** 63n - 1n]])
      assert.isNull(values("map", 1))
    }))

  it.effect.prop(
    "makes tables of any values that Arrow's own vectors read",
    { table: anyTable({ kinds: plain }) },
    ({ table }) => Effect.map(tableOfRows(table, 3), (made) => sameAs(made, table)),
    { arbitrary: { runs: 150 } }
  )

  it.effect("makes record batches of at most 10,000 rows and about 16 MB", () =>
    Effect.gen(function*() {
      const columns = [{ name: "n", type: "int32" }, { name: "t", type: "string" }] as const
      const small = batchOf(columns, Array.from({ length: 1500 }, (_, i) => [i, "x"]))
      const large = batchOf(columns, Array.from({ length: 40 }, (_, i) => [i, "y".repeat(1_000_000)]))
      const huge = batchOf(columns, [[-1, "z".repeat(20_000_000)], [-2, "z"]])
      const batches = [...Array.from({ length: 15 }, () => small), large, huge]
      const table = yield* tableOf(columns, Stream.fromIterable(batches))
      const lengths = table.batches.map((batch) => batch.numRows)
      assert.deepStrictEqual(lengths.slice(0, 2), [10_000, 10_000])
      assert.strictEqual(lengths.reduce((sum, rows) => sum + rows, 0), 22_542)
      assert.deepStrictEqual(lengths.slice(-2), [1, 1])
      assert.isBelow(Math.max(...lengths.slice(2, -2)), 2600)
    }))

  it.effect("makes an empty table", () =>
    Effect.gen(function*() {
      const table = yield* tableOf(everyType, Stream.empty)
      assert.strictEqual(table.numRows, 0)
      assert.strictEqual(table.numCols, everyType.length)
    }))

  it("refuses texts that are not of their column's type", () => {
    const encode = (type: ColumnType, value: unknown) => () =>
      batchEncoder(Arrow, [{ name: "a", type }]).encode({ length: 1, columns: [[value]] })
    assert.throws(encode("day", "2026-02-30"), /expected a day/)
    assert.throws(encode("uuid", "1"), /expected a UUID/)
    assert.throws(encode({ type: "decimal", precision: 3, scale: 1 }, "100.0"), /at most 3 digits/)
    assert.throws(encode({ type: "decimal", precision: 3, scale: 1 }, "1.00"), /1 digits after the point/)
    assert.throws(encode({ type: "timestamp", unit: "s", zone: null }, "2026-11-23"), /expected a timestamp/)
    assert.throws(encode({ type: "time", unit: "ms" }, "24:00:00.000"), /expected a time/)
    assert.throws(encode({ type: "fixed", bytes: 2 }, new Uint8Array(3)), /a value of 2 bytes has 3/)
    assert.throws(encode({ type: "map", key: "string", value: "string" }, [{ key: null, value: "" }]), /a key of a map/)
  })
})
