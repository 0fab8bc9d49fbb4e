import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { type ParquetParsers, parquetMetadata, parquetReadObjects, parquetSchema } from "hyparquet"
import { compressors } from "hyparquet-compressors"
import type { Column } from "../../src/Column.ts"
import type { Batch } from "../../src/internal/Batch.ts"
import { make } from "../../src/sink/Parquet.ts"
import { anyTable, batchOf, everyColumn, nastyRows } from "./columns.ts"

const write = (columns: ReadonlyArray<Column>, batches: ReadonlyArray<Batch>): Effect.Effect<ArrayBuffer> =>
  make().encode(columns, Stream.fromIterable(batches)).pipe(
    Stream.runCollect,
    Effect.map((pieces) => new Uint8Array(Buffer.concat(pieces)).buffer)
  )

/** Values as they lie in the file: times as 64-bit integers, texts as bytes. */
const raw: Partial<ParquetParsers> = {
  stringFromBytes: (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString("utf8")
}

const read = (file: ArrayBuffer): Effect.Effect<Array<Record<string, unknown>>> =>
  Effect.promise(() => parquetReadObjects({ file, compressors, utf8: false, parsers: raw }))

/** What hyparquet makes of a value of ours. */
const seen = (type: Column["type"], value: unknown): unknown => {
  if (value === null) return type === "vector" ? undefined : null
  switch (type) {
    case "integer":
      return BigInt(Number(value))
    case "vector":
      return value instanceof Float32Array ? Array.from(value) : undefined
    default:
      return value
  }
}

const nothing = (value: unknown): unknown => value ?? null

const check = (columns: ReadonlyArray<Column>, batches: ReadonlyArray<Batch>) =>
  Effect.gen(function*() {
    const file = yield* write(columns, batches)
    const rows = yield* read(file)
    let at = 0
    for (const batch of batches) {
      for (let i = 0; i < batch.length; i++, at++) {
        columns.forEach(({ name, type }, j) => {
          const expected = nothing(seen(type, batch.columns[j]![i]))
          assert.deepStrictEqual(nothing(rows[at]![name]), expected, `${name} of row ${at}`)
        })
      }
    }
    assert.strictEqual(rows.length, at)
    return parquetMetadata(file)
  })

describe("Parquet", () => {
  it.effect("holds every type, its extremes and its nulls", () =>
    Effect.gen(function*() {
      const metadata = yield* check(everyColumn, [batchOf(everyColumn, nastyRows)])
      assert.strictEqual(metadata.created_by, "bedrock-batch")
      assert.strictEqual(Number(metadata.num_rows), nastyRows.length)
    }))

  it.effect("declares the logical types in both notations", () =>
    Effect.gen(function*() {
      const { schema } = parquetMetadata(yield* write(everyColumn, []))
      const of = (name: string) => {
        const element = schema.find((element) => element.name === name)
        const { converted_type, logical_type, repetition_type, type } = element!
        return [repetition_type, type, converted_type, logical_type?.type]
      }
      assert.deepStrictEqual(of("text"), ["OPTIONAL", "BYTE_ARRAY", "UTF8", "STRING"])
      assert.deepStrictEqual(of("data.json"), ["OPTIONAL", "BYTE_ARRAY", "JSON", "JSON"])
      assert.deepStrictEqual(of("at"), ["OPTIONAL", "INT64", "TIMESTAMP_MILLIS", "TIMESTAMP"])
      assert.deepStrictEqual(of("whole"), ["OPTIONAL", "INT64", undefined, undefined])
      assert.deepStrictEqual(of("big"), ["OPTIONAL", "INT64", undefined, undefined])
      assert.deepStrictEqual(of("number"), ["OPTIONAL", "DOUBLE", undefined, undefined])
      assert.deepStrictEqual(of("flag"), ["OPTIONAL", "BOOLEAN", undefined, undefined])
      assert.deepStrictEqual(of("bytes"), ["OPTIONAL", "BYTE_ARRAY", undefined, undefined])
      assert.deepStrictEqual(of("embedding"), ["OPTIONAL", undefined, "LIST", "LIST"])
      const at = schema.find((element) => element.name === "at")?.logical_type
      assert.deepStrictEqual(at, { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MILLIS" })
      const vector = parquetSchema(parquetMetadata(yield* write(everyColumn, []))).children.at(-1)!
      assert.deepStrictEqual(vector.children[0]!.children[0]!.path, ["embedding", "list", "element"])
    }))

  it.effect("counts an entry for each null and each empty vector", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "v", type: "vector" }]
      const rows = [[null], [new Float32Array(0)], [Float32Array.of(1, 2, 3)], [null]]
      const metadata = yield* check(columns, [batchOf(columns, rows)])
      const column = metadata.row_groups[0]!.columns[0]!.meta_data!
      assert.strictEqual(Number(column.num_values), 1 + 1 + 3 + 1)
      assert.deepStrictEqual(column.path_in_schema, ["v", "list", "element"])
    }))

  it.effect("writes a file without rows that is whole", () =>
    Effect.gen(function*() {
      const metadata = yield* check(everyColumn, [])
      assert.strictEqual(metadata.row_groups.length, 0)
      assert.strictEqual((yield* check(everyColumn, [batchOf(everyColumn, [])])).row_groups.length, 0)
    }))

  it.effect("gathers small batches into a row group, and cuts one at 10,000 rows", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "n", type: "integer" }, { name: "t", type: "string" }]
      const part = (from: number, length: number) =>
        batchOf(columns, Array.from({ length }, (_, i) => [from + i, i % 3 === 0 ? null : `t${from + i}`]))
      const metadata = yield* check(columns, [part(0, 5000), part(5000, 4000), part(9000, 5000), part(14_000, 7001)])
      assert.deepStrictEqual(metadata.row_groups.map((group) => Number(group.num_rows)), [10_000, 10_000, 1001])
    }))

  it.effect("cuts a row group at about 16 MB, a page at about 1 MB, and lets one row be larger", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "v", type: "vector" }, { name: "t", type: "string" }]
      const rows = Array.from({ length: 5000 }, (_, i) => [new Float32Array(1024).fill(i), `row ${i}`])
      const large = [[new Float32Array(5_000_000).fill(1), "y".repeat(17 * 1024 * 1024)]]
      const batches = [batchOf(columns, rows), batchOf(columns, large), batchOf(columns, rows.slice(0, 5))]
      const file = yield* write(columns, batches)
      const metadata = parquetMetadata(file)
      const groups = metadata.row_groups.map((group) => Number(group.num_rows))
      assert.deepStrictEqual(groups.slice(-2), [1, 5])
      assert.isAbove(groups.length, 3)
      const range = { rowStart: 5005, rowEnd: 5006 }
      const [last] = yield* Effect.promise(() => parquetReadObjects({ file, compressors, ...range }))
      assert.deepStrictEqual(last, { v: new Array(1024).fill(4), t: "row 4" })
      for (const group of metadata.row_groups.slice(0, -2)) {
        assert.isBelow(Number(group.total_byte_size), 17 * 1024 * 1024)
      }
    }))

  it.effect("writes the file piece by piece", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "n", type: "number" }]
      let pulled = 0
      const batches = Stream.range(1, 100).pipe(
        Stream.rechunk(1),
        Stream.map((n) => {
          pulled = n
          return batchOf(columns, Array.from({ length: 5000 }, () => [n]))
        })
      )
      const first = yield* make().encode(columns, batches).pipe(Stream.drop(1), Stream.runHead)
      assert.strictEqual(first._tag, "Some")
      assert.isBelow(pulled, 10)
    }))

  it.effect.prop("gives back any values of any columns", { table: anyTable }, ({ table }) =>
    Effect.asVoid(check(table.columns, table.batches)), { arbitrary: { runs: 150 } })
})
