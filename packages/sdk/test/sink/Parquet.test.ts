import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { parquetMetadata, parquetReadObjects, parquetSchema } from "hyparquet"
import { compressors } from "hyparquet-compressors"
import type { Column } from "../../src/Column.ts"
import type { Batch } from "../../src/internal/Batch.ts"
import { make } from "../../src/sink/Parquet.ts"
import type { SinkOptions } from "../../src/sink/Sink.ts"
import { anyTable, batchesOf, batchOf, everyType, nastyRows, rowsOf } from "../rig/AnyTable.ts"
import { plain, readByArrow, readByHyparquet } from "./parquetReaders.ts"

const write = (
  columns: ReadonlyArray<Column>,
  batches: ReadonlyArray<Batch>,
  options?: SinkOptions
): Effect.Effect<ArrayBuffer> =>
  make(options).encode(columns, Stream.fromIterable(batches)).pipe(
    Stream.runCollect,
    Effect.map((pieces) => new Uint8Array(Buffer.concat(pieces)).buffer)
  )

/** Writes, and reads the same with every reader. */
const check = (columns: ReadonlyArray<Column>, batches: ReadonlyArray<Batch>, options?: SinkOptions) =>
  Effect.gen(function*() {
    const file = yield* write(columns, batches, options)
    const expected = rowsOf(batches).map((row) => columns.map(({ type }, j) => plain(type, row[j])))
    assert.deepStrictEqual(readByArrow(file, columns).rows, expected, "arrow-rs")
    assert.deepStrictEqual(yield* Effect.promise(() => readByHyparquet(file, columns)), expected, "hyparquet")
    return parquetMetadata(file)
  })

const integers: ReadonlyArray<Column> = [{ name: "n", type: "integer" }]

describe("Parquet", () => {
  for (const compression of ["zstd", "snappy", "none"] as const) {
    it.effect(`holds every type, its extremes and its nulls with ${compression}`, () =>
      Effect.gen(function*() {
        const batches = Array.from({ length: 15 }, () => batchOf(everyType, nastyRows))
        const metadata = yield* check(everyType, batches, { compression })
        assert.strictEqual(metadata.created_by, "bedrock-batch")
        assert.strictEqual(Number(metadata.num_rows), 15 * nastyRows.length)
        const codecs = new Set(metadata.row_groups[0]!.columns.map((column) => column.meta_data!.codec))
        assert.deepStrictEqual(
          [...codecs].toSorted(),
          compression === "none" ? ["UNCOMPRESSED"] : [compression.toUpperCase(), "UNCOMPRESSED"].toSorted()
        )
      }))
  }

  it.effect("is compressed with Zstandard unless told otherwise, but for vectors", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [
        { name: "t", type: "string" },
        { name: "n", type: "integer" },
        { name: "v", type: "vector" },
        { name: "nothing", type: "string" }
      ]
      const rows = Array.from({ length: 2000 }, (_, i) => [`text number ${i}`, i, Float32Array.of(i, i, i), null])
      const metadata = yield* check(columns, [batchOf(columns, rows)])
      assert.deepStrictEqual(
        metadata.row_groups[0]!.columns.map((column) => column.meta_data!.codec),
        ["ZSTD", "ZSTD", "UNCOMPRESSED", "UNCOMPRESSED"]
      )
    }))

  it.effect("declares the logical types in both notations", () =>
    Effect.gen(function*() {
      const { schema } = parquetMetadata(yield* write(everyType, []))
      const of = (name: string): ReadonlyArray<unknown> => {
        const element = schema.find((element) => element.name === name)!
        const { converted_type, logical_type, precision, repetition_type, scale, type, type_length } = element
        assert.strictEqual(repetition_type, "OPTIONAL")
        return [type, type_length, converted_type, logical_type, precision, scale].filter((part) => part !== undefined)
      }
      const integer = (bitWidth: number, isSigned: boolean) => ({ type: "INTEGER", bitWidth, isSigned })
      const time = (type: string, isAdjustedToUTC: boolean, unit: string) => ({ type, isAdjustedToUTC, unit })
      assert.deepStrictEqual(of("text"), ["BYTE_ARRAY", "UTF8", { type: "STRING" }])
      assert.deepStrictEqual(of("data.json"), ["BYTE_ARRAY", "JSON", { type: "JSON" }])
      assert.deepStrictEqual(of("bytes"), ["BYTE_ARRAY"])
      assert.deepStrictEqual(of("whole"), ["INT64"])
      assert.deepStrictEqual(of("big"), ["INT64"])
      assert.deepStrictEqual(of("number"), ["DOUBLE"])
      assert.deepStrictEqual(of("float32"), ["FLOAT"])
      assert.deepStrictEqual(of("flag"), ["BOOLEAN"])
      assert.deepStrictEqual(of("int8"), ["INT32", "INT_8", integer(8, true)])
      assert.deepStrictEqual(of("uint16"), ["INT32", "UINT_16", integer(16, false)])
      assert.deepStrictEqual(of("uint64"), ["INT64", "UINT_64", integer(64, false)])
      assert.deepStrictEqual(of("day"), ["INT32", "DATE", { type: "DATE" }])
      assert.deepStrictEqual(of("uuid"), ["FIXED_LEN_BYTE_ARRAY", 16, { type: "UUID" }])
      assert.deepStrictEqual(of("fixed"), ["FIXED_LEN_BYTE_ARRAY", 3])
      assert.deepStrictEqual(of("price"), ["INT32", "DECIMAL", { type: "DECIMAL", precision: 9, scale: 2 }, 9, 2])
      assert.deepStrictEqual(of("decimal 38").slice(0, 2), ["FIXED_LEN_BYTE_ARRAY", 16])
      assert.deepStrictEqual(of("at"), ["INT64", "TIMESTAMP_MILLIS", time("TIMESTAMP", true, "MILLIS")])
      assert.deepStrictEqual(of("seconds"), ["INT64", "TIMESTAMP_MILLIS", time("TIMESTAMP", false, "MILLIS")])
      assert.deepStrictEqual(of("micros UTC"), ["INT64", "TIMESTAMP_MICROS", time("TIMESTAMP", true, "MICROS")])
      assert.deepStrictEqual(of("nanos"), ["INT64", time("TIMESTAMP", false, "NANOS")])
      assert.deepStrictEqual(of("time ms"), ["INT32", "TIME_MILLIS", time("TIME", false, "MILLIS")])
      assert.deepStrictEqual(of("time us"), ["INT64", "TIME_MICROS", time("TIME", false, "MICROS")])
      assert.deepStrictEqual(of("time ns"), ["INT64", time("TIME", false, "NANOS")])
      assert.deepStrictEqual(of("embedding"), ["LIST", { type: "LIST" }])
      assert.deepStrictEqual(of("map"), ["MAP", { type: "MAP" }])
      assert.deepStrictEqual(of("struct"), [])
      const tree = parquetSchema(parquetMetadata(yield* write(everyType, [])))
      const child = (name: string) => tree.children.find(({ element }) => element.name === name)!
      assert.deepStrictEqual(child("embedding").children[0]!.children[0]!.path, ["embedding", "list", "element"])
      const [key, value] = child("map").children[0]!.children
      assert.deepStrictEqual([key!.path, key!.element.repetition_type], [["map", "key_value", "key"], "REQUIRED"])
      assert.deepStrictEqual(value!.path, ["map", "key_value", "value"])
    }))

  it.effect("is of the same types to Arrow", () =>
    Effect.gen(function*() {
      const { types } = readByArrow(yield* write(everyType, [batchOf(everyType, nastyRows)]), everyType)
      assert.strictEqual(types["time ns"], "Time64<NANOSECOND>")
      assert.strictEqual(types["micros UTC"], "Timestamp<MICROSECOND, UTC>")
      assert.strictEqual(types["nanos"], "Timestamp<NANOSECOND>")
      assert.strictEqual(types["price"], "Decimal[9e+2]")
      assert.strictEqual(types["uint64"], "Uint64")
      assert.strictEqual(types["int8"], "Int8")
      assert.strictEqual(types["day"], "Date32<DAY>")
      assert.strictEqual(types["list of lists"], "List<List<Bool>>")
      assert.strictEqual(types["map"], "Map<{key:Utf8, value:Int64}>")
    }))

  it.effect("carries its columns in the footer", () =>
    Effect.gen(function*() {
      const { key_value_metadata } = parquetMetadata(yield* write(everyType, []))
      assert.deepStrictEqual(key_value_metadata?.map(({ key }) => key), ["bedrock-batch:columns"])
      assert.deepStrictEqual(JSON.parse(key_value_metadata![0]!.value!), everyType)
    }))

  it.effect("holds a text that occurs again and again once", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [
        { name: "same", type: "string" },
        { name: "few", type: "string" },
        { name: "many", type: "string" },
        { name: "listed", type: { type: "list", element: "string" } }
      ]
      const rows = Array.from({ length: 12_000 }, (_, i) => [
        "x".repeat(3000),
        i % 11 === 0 ? null : `${"y".repeat(50)}${i * i % 900}`,
        `${"z".repeat(50)}${i}`,
        Array.from({ length: i % 20 }, (_, k) => k % 7 === 0 ? null : `${"w".repeat(40)}${(i + k) % 600}`)
      ])
      const metadata = yield* check(columns, [batchOf(columns, rows)], { compression: "none" })
      const chunks = metadata.row_groups.flatMap(({ columns }) => columns.map((column) => column.meta_data!))
      const bytes = (name: string) =>
        chunks.filter(({ path_in_schema }) => path_in_schema[0] === name)
          .reduce((sum, { total_uncompressed_size }) => sum + Number(total_uncompressed_size), 0)
      assert.isBelow(bytes("same"), 10_000)
      assert.isBelow(bytes("few"), 500_000)
      assert.isAbove(bytes("many"), 600_000)
      assert.isBelow(bytes("listed"), 1_000_000)
    }))

  it.effect("counts nulls as other writers do: entries without a value, in empty lists too", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [
        { name: "v", type: "vector" },
        { name: "l", type: { type: "list", element: "string" } },
        { name: "s", type: { type: "struct", fields: [{ name: "a", type: "int32" }] } },
        { name: "n", type: "integer" }
      ]
      const rows = [
        [null, null, null, 1],
        [new Float32Array(0), [], { a: null }, 2],
        [Float32Array.of(1, 2, 3), ["a", null], { a: 1 }, 3],
        [null, null, null, 4]
      ]
      const metadata = yield* check(columns, [batchOf(columns, rows)])
      assert.deepStrictEqual(
        metadata.row_groups[0]!.columns.map(({ meta_data }) => [
          meta_data!.path_in_schema.join("."),
          Number(meta_data!.num_values),
          Number(meta_data!.statistics!.null_count)
        ]),
        // What pyarrow 25 writes for these rows.
        [["v.list.element", 6, 3], ["l.list.element", 5, 4], ["s.a", 4, 3], ["n", 4, 0]]
      )
    }))

  it.effect("writes files without rows, and without columns, that are whole", () =>
    Effect.gen(function*() {
      const metadata = yield* check(everyType, [])
      assert.strictEqual(metadata.row_groups.length, 0)
      assert.strictEqual((yield* check(everyType, [batchOf(everyType, [])])).row_groups.length, 0)
      const bare = parquetMetadata(yield* write([], [{ length: 3, columns: [] }]))
      assert.strictEqual(Number(bare.num_rows), 3)
    }))

  it.effect("gathers small batches into a row group, and cuts one at 10,000 rows", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [
        ...integers,
        { name: "t", type: "string" },
        { name: "l", type: { type: "list", element: { type: "struct", fields: [{ name: "a", type: "int8" }] } } }
      ]
      const part = (from: number, length: number) =>
        batchOf(
          columns,
          Array.from({ length }, (_, i) => [
            from + i,
            i % 3 === 0 ? null : `t${from + i}`,
            i % 5 === 0 ? null : Array.from({ length: i % 4 }, (_, k) => k === 1 ? null : { a: i % 100 })
          ])
        )
      const metadata = yield* check(columns, [part(0, 5000), part(5000, 4000), part(9000, 5000), part(14_000, 7001)])
      assert.deepStrictEqual(metadata.row_groups.map((group) => Number(group.num_rows)), [10_000, 10_000, 1001])
    }))

  it.effect("cuts pages at rows, so that a list is whole in one", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [
        { name: "l", type: { type: "list", element: "int32" } },
        { name: "t", type: { type: "list", element: "string" } },
        { name: "v", type: { type: "list", element: "vector" } },
        { name: "b", type: { type: "list", element: "boolean" } }
      ]
      const rows = [70_000, 3, 0, 66_000, 1, 140_000].map((length, row) => [
        Array.from({ length }, (_, i) => i % 9 === 0 ? null : i),
        Array.from({ length }, (_, i) => i % 2 === 0 ? null : `${row} ${i}`),
        Array.from({ length: length / 100 }, (_, i) => i % 3 === 0 ? null : new Float32Array(i % 5).fill(i)),
        Array.from({ length }, (_, i) => i % 3 === 0)
      ])
      yield* check(columns, [batchOf(columns, rows)])
    }))

  it.effect("cuts a row group at about 16 MB, a page at about 1 MB, and lets one row be larger", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "v", type: "vector" }, { name: "t", type: "string" }]
      const rows = Array.from({ length: 5000 }, (_, i) => [new Float32Array(1024).fill(i), `row ${i}`])
      const large = [[new Float32Array(5_000_000).fill(1), "yé".repeat(10 * 1024 * 1024)]]
      const batches = [batchOf(columns, rows), batchOf(columns, large), batchOf(columns, rows.slice(0, 5))]
      const file = yield* write(columns, batches)
      const metadata = parquetMetadata(file)
      const groups = metadata.row_groups.map((group) => Number(group.num_rows))
      assert.deepStrictEqual(groups.slice(-2), [1, 5])
      assert.isAbove(groups.length, 3)
      const range = { rowStart: 5000, rowEnd: 5006 }
      const read = yield* Effect.promise(() => parquetReadObjects({ file, compressors, ...range }))
      assert.isTrue(read[0]!.t === large[0]![1])
      assert.strictEqual(read[0]!.v.length, 5_000_000)
      assert.deepStrictEqual(read[5], { v: new Array(1024).fill(4), t: "row 4" })
      for (const group of metadata.row_groups.slice(0, -2)) {
        assert.isBelow(Number(group.total_byte_size), 17 * 1024 * 1024)
      }
    }))

  it.effect("writes a thousand columns", () =>
    Effect.gen(function*() {
      const columns = Array.from({ length: 1000 }, (_, j): Column => ({
        name: `c${j}`,
        type: j % 3 === 0 ? "string" : j % 3 === 1 ? "integer" : { type: "list", element: "number" }
      }))
      const value = (i: number, j: number) => j % 3 === 0 ? `${i}.${j}` : j % 3 === 1 ? i * j : [i, null, j]
      const rows = Array.from({ length: 20 }, (_, i) => columns.map((_, j) => value(i, j)))
      yield* check(columns, [batchOf(columns, rows)])
    }))

  it.effect("writes what Parquet has not as what it has", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [
        { name: "nothing", type: { type: "struct", fields: [] } },
        { name: "no bytes", type: { type: "fixed", bytes: 0 } },
        { name: "thousands", type: { type: "decimal", precision: 2, scale: -3 } },
        { name: "parts", type: { type: "decimal", precision: 2, scale: 5 } }
      ]
      const rows = [
        [{}, new Uint8Array(0), "99000", "0.00099"],
        [null, null, null, null],
        [{}, null, "-1000", "-0.00001"]
      ]
      const file = yield* write(columns, [batchOf(columns, rows)])
      assert.deepStrictEqual(yield* Effect.promise(() => parquetReadObjects({ file, compressors })), [
        { nothing: {}, "no bytes": "", thousands: 99_000, parts: 0.00099 },
        { nothing: null, "no bytes": null, thousands: null, parts: null },
        { nothing: {}, "no bytes": null, thousands: -1000, parts: -0.00001 }
      ])
      const { types } = readByArrow(file, [])
      assert.deepStrictEqual(types, {
        nothing: "Utf8",
        "no bytes": "Binary",
        thousands: "Decimal[5e0]",
        parts: "Decimal[5e+5]"
      })
    }))

  for (
    const [what, type, value] of [
      ["a text in a column of integers", "integer", "1"],
      ["an integer that is not safe", "integer", 2 ** 53],
      ["a number in a column of bigints", "bigint", 1],
      ["a date that is none", "date", new Date(NaN)],
      ["an array in a column of vectors", "vector", [1, 2]],
      ["bytes of another length", { type: "fixed", bytes: 2 }, Uint8Array.of(1)],
      ["a decimal with too many digits", { type: "decimal", precision: 2, scale: 1 }, "10.0"],
      ["a timestamp that does not fit", { type: "timestamp", unit: "s", zone: null }, "+300000000-01-01T00:00:00"],
      ["a map with a null key", { type: "map", key: "string", value: "string" }, [{ key: null, value: "x" }]]
    ] as const
  ) {
    it.effect(`refuses ${what} rather than write another value`, () =>
      Effect.gen(function*() {
        const columns: ReadonlyArray<Column> = [{ name: "c", type }]
        const exit = yield* Effect.exit(write(columns, [batchOf(columns, [[value]])]))
        assert.strictEqual(exit._tag, "Failure")
      }))
  }

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

  it.effect("gives pieces that stay as they are, and takes nothing of the rows away", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "v", type: "vector" }, { name: "t", type: "string" }]
      const slab = new Float32Array(9000 * 256).map((_, i) => i)
      const before = slab.slice()
      const rows = Array.from(
        { length: 9000 },
        (_, i) => [slab.subarray(i * 256, (i + 1) * 256), `${"t".repeat(300)}${i}`]
      )
      const batches = batchesOf({ columns, rows }, 2500)
      const copies: Array<Uint8Array> = []
      const pieces = yield* make().encode(columns, Stream.fromIterable(batches)).pipe(
        Stream.tap((piece) => Effect.sync(() => copies.push(piece.slice()))),
        Stream.runCollect
      )
      assert.isTrue(Buffer.concat(pieces).equals(Buffer.concat(copies)))
      assert.isBelow(pieces.length, 40)
      for (const { buffer, byteLength } of pieces) {
        assert.isFalse(buffer === slab.buffer && byteLength === slab.byteLength)
      }
      assert.isTrue(Buffer.from(slab.buffer).equals(Buffer.from(before.buffer)))
      const file = new Uint8Array(Buffer.concat(pieces)).buffer
      const read = yield* Effect.promise(() => parquetReadObjects({ file, compressors, columns: ["v"] }))
      assert.isTrue(read.every(({ v }, i) => v.length === 256 && v[0] === i * 256 && v[255] === i * 256 + 255))
    }))

  it.effect.prop("gives back any values of any columns", { table: anyTable() }, ({ table }) =>
    Effect.asVoid(check(table.columns, batchesOf(table, 5))), { arbitrary: { runs: 150 } })
})
