import { assert, describe, it } from "@effect/vitest"
import * as Arrow from "apache-arrow"
import { Effect, Schema, Stream } from "effect"
import { parquetWriteBuffer } from "hyparquet-writer"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Compression, Encoding, Table, writeParquet, WriterPropertiesBuilder, WriterVersion } from "parquet-wasm"
import { Processor } from "@bedrock-batch/processors"
import type { Column, ColumnType } from "../../src/Column.ts"
import type { Batch } from "../../src/internal/Batch.ts"
import { make } from "../../src/sink/Parquet.ts"
import type { SinkOptions } from "../../src/sink/Sink.ts"
import { parquet } from "../../src/source/Parquet.ts"
import type { Source, UntypedRow } from "../../src/source/Source.ts"
import * as FileSystem from "../../src/store/FileSystem.ts"
import { ObjectStore } from "../../src/store/ObjectStore.ts"
import { anyTable, batchesOf, batchOf, everyType, nastyRows, rowsOf } from "../rig/AnyTable.ts"
import {
  bool,
  converted,
  type Element,
  encodings,
  floats,
  i32,
  int32s,
  int64s,
  parquetFile,
  physical,
  repetition,
  runs,
  slices,
  struct
} from "./parquetFile.ts"
import { faultOf, memoryFile, read, reasonOf, valuesOf } from "./parquetRig.ts"

const written = (columns: ReadonlyArray<Column>, batches: ReadonlyArray<Batch>, options?: SinkOptions) =>
  make(options).encode(columns, Stream.fromIterable(batches)).pipe(
    Stream.runCollect,
    Effect.map((pieces) => Buffer.concat(pieces))
  )

type Form = Omit<Element, "name">

/** A file with one column of one group, of one page. */
const oneColumn = (
  element: Element,
  body: Buffer,
  count: number,
  options: Partial<Parameters<typeof parquetFile>[1][number]["chunks"][number]["pages"][number]> = {}
) =>
  parquetFile([element], [{
    rows: count,
    chunks: [{ path: [element.name], physical: element.physical!, pages: [{ count, body, ...options }] }]
  }])

const utc = (unit: number, adjusted: boolean) =>
  [[8, struct([[1, bool(adjusted)], [2, struct([[unit, struct([])]])]])]] as const

describe("Source.parquet", () => {
  for (const compression of ["zstd", "snappy", "none"] as const) {
    it.effect(`gives back every type that the sink wrote with ${compression}`, () =>
      Effect.gen(function*() {
        const batches = Array.from({ length: 15 }, () => batchOf(everyType, nastyRows))
        const result = yield* read(yield* written(everyType, batches, { compression }))
        assert.deepStrictEqual(result.columns, everyType)
        assert.strictEqual(result.count, 15 * nastyRows.length)
        assert.deepStrictEqual(rowsOf(result.batches), rowsOf(batches))
      }))
  }

  it.effect.prop("gives back any table that the sink wrote", [anyTable()], ([table]) =>
    Effect.gen(function*() {
      const result = yield* read(yield* written(table.columns, batchesOf(table, 5)))
      assert.deepStrictEqual(result.columns, table.columns)
      assert.deepStrictEqual(rowsOf(result.batches), table.rows)
    }))

  it.effect("reads what arrow-rs writes, with every codec, encoding and version", () =>
    Effect.gen(function*() {
      const rows = 3000
      const each = <A>(valueOf: (i: number) => A) => Array.from({ length: rows }, (_, i) => valueOf(i))
      const texts = each((i) => (i % 7 === 0 ? null : i % 3 === 0 ? `é😀${i % 50}` : `text ${i}`))
      const longs = each((i) => (i % 11 === 0 ? null : BigInt.asIntN(64, 7919n ** BigInt(i % 40))))
      const ints = each((i) => (i % 5 === 0 ? null : (i * 2654435761) | 0))
      const numbers = each((i) => Math.sin(i) * 10 ** (i % 20))
      const flags = each((i) => (i % 13 === 0 ? null : i % 100 < 50))
      const vectors = {
        text: Arrow.vectorFromArray(texts, new Arrow.Utf8()),
        long: Arrow.vectorFromArray(longs, new Arrow.Int64()),
        int: Arrow.vectorFromArray(ints, new Arrow.Int32()),
        number: Arrow.vectorFromArray(numbers, new Arrow.Float64()),
        flag: Arrow.vectorFromArray(flags, new Arrow.Bool())
      }
      const ipc = Arrow.tableToIPC(new Arrow.Table(vectors), "stream")
      const expected = texts.map((text, i) => [text, longs[i], ints[i], numbers[i], flags[i]])
      const check = (build: (builder: WriterPropertiesBuilder) => WriterPropertiesBuilder, what: string) =>
        Effect.gen(function*() {
          const builder = new WriterPropertiesBuilder().setDataPageSizeLimit(4000).setMaxRowGroupSize(1100)
          const file = writeParquet(Table.fromIPCStream(ipc), build(builder).build())
          const result = yield* read(file)
          const types = result.columns.map(({ type }) => type)
          assert.deepStrictEqual(types, ["string", "bigint", "int32", "number", "boolean"])
          assert.deepStrictEqual(rowsOf(result.batches), expected, what)
        })
      for (const version of [WriterVersion.V1, WriterVersion.V2]) {
        const { BROTLI, GZIP, LZ4_RAW, SNAPPY, UNCOMPRESSED, ZSTD } = Compression
        for (const codec of [UNCOMPRESSED, SNAPPY, GZIP, BROTLI, ZSTD, LZ4_RAW]) {
          yield* check((builder) => builder.setWriterVersion(version).setCompression(codec), `${version} ${codec}`)
        }
        yield* check((builder) =>
          builder.setWriterVersion(version).setDictionaryEnabled(false)
            .setColumnEncoding("text", Encoding.DELTA_BYTE_ARRAY)
            .setColumnEncoding("long", Encoding.DELTA_BINARY_PACKED)
            .setColumnEncoding("int", Encoding.DELTA_BINARY_PACKED)
            .setColumnEncoding("number", Encoding.BYTE_STREAM_SPLIT)
            .setColumnEncoding("flag", Encoding.RLE), `${version} delta`)
        yield* check((builder) =>
          builder.setWriterVersion(version).setDictionaryEnabled(false)
            .setColumnEncoding("text", Encoding.DELTA_LENGTH_BYTE_ARRAY)
            .setColumnEncoding("long", Encoding.BYTE_STREAM_SPLIT)
            .setColumnEncoding("int", Encoding.BYTE_STREAM_SPLIT), `${version} lengths`)
      }
    }))

  it.effect("reads what hyparquet-writer writes, nested columns too", () =>
    Effect.gen(function*() {
      const data = Array.from({ length: 500 }, (_, i) =>
        i % 9 === 0 ? null : i % 4 === 0 ? [] : [null, { a: i, b: null }, { a: null, b: [`x${i}`, null, ""] }])
      const file = parquetWriteBuffer({
        columnData: [
          { name: "nested", data },
          { name: "at", data: data.map((_, i) => new Date(i * 1e9)) },
          { name: "id", data: data.map(() => "123e4567-e89b-12d3-a456-426614174000") }
        ],
        schema: [
          { name: "root", num_children: 3 },
          { name: "nested", repetition_type: "OPTIONAL", converted_type: "LIST", num_children: 1 },
          { name: "list", repetition_type: "REPEATED", num_children: 1 },
          { name: "element", repetition_type: "OPTIONAL", num_children: 2 },
          { name: "a", repetition_type: "OPTIONAL", type: "INT32" },
          { name: "b", repetition_type: "OPTIONAL", converted_type: "LIST", num_children: 1 },
          { name: "list", repetition_type: "REPEATED", num_children: 1 },
          { name: "element", repetition_type: "OPTIONAL", type: "BYTE_ARRAY", converted_type: "UTF8" },
          { name: "at", repetition_type: "REQUIRED", type: "INT64", converted_type: "TIMESTAMP_MILLIS" },
          {
            name: "id",
            repetition_type: "REQUIRED",
            type: "FIXED_LEN_BYTE_ARRAY",
            type_length: 16,
            logical_type: { type: "UUID" }
          }
        ],
        rowGroupSize: 130,
        pageSize: 500
      })
      const result = yield* read(new Uint8Array(file))
      assert.deepStrictEqual(valuesOf(result, "nested"), data)
      assert.deepStrictEqual(valuesOf(result, "at"), data.map((_, i) => new Date(i * 1e9)))
      assert.deepStrictEqual([...new Set(valuesOf(result, "id"))], ["123e4567-e89b-12d3-a456-426614174000"])
      assert.deepStrictEqual(result.columns.map(({ type }) => type), [
        {
          type: "list",
          element: {
            type: "struct",
            fields: [{ name: "a", type: "int32" }, { name: "b", type: { type: "list", element: "string" } }]
          }
        },
        "date",
        "uuid"
      ])
    }))

  describe("types", () => {
    const day = 86_400_000_000_000n
    const int96 = (nanos: bigint, julian: number) => Buffer.concat([int64s(nanos), int32s(julian)])
    const cases: ReadonlyArray<
      readonly [what: string, element: Form, body: Buffer, type: ColumnType, values: ReadonlyArray<unknown>]
    > = [
      ["bytes without an annotation", { physical: physical.bytes }, slices("text", Buffer.of(255)), "binary",
        [Uint8Array.from(Buffer.from("text")), Uint8Array.of(255)]],
      ["an enum", { physical: physical.bytes, converted: converted.enum }, slices("A", ""), "string", ["A", ""]],
      ["BSON", { physical: physical.bytes, converted: 20 }, slices(Buffer.of(5, 0, 0, 0, 0)), "binary",
        [Uint8Array.of(5, 0, 0, 0, 0)]],
      ["JSON", { physical: physical.bytes, converted: converted.json }, slices("{\"a\":[1,null]}", "null", " 7 "),
        "json", [{ a: [1, null] }, null, 7]],
      ["an interval", { physical: physical.fixed, width: 12, converted: converted.interval }, int32s(1, 2, 3),
        { type: "fixed", bytes: 12 }, [Uint8Array.from(int32s(1, 2, 3))]],
      ["a decimal of 32 bits", { physical: physical.int32, converted: converted.decimal, precision: 4, scale: 2 },
        int32s(1234, -5, 0), { type: "decimal", precision: 4, scale: 2 }, ["12.34", "-0.05", "0.00"]],
      ["a decimal of 64 bits", { physical: physical.int64, logical: [[5, struct([[1, i32(0)], [2, i32(18)]])]] },
        int64s(-(10n ** 18n) + 1n, 7n), { type: "decimal", precision: 18, scale: 0 }, ["-999999999999999999", "7"]],
      ["a decimal of any bytes", { physical: physical.bytes, converted: converted.decimal, precision: 60, scale: 3 },
        slices(Buffer.of(0x80), Buffer.from("0123456789abcdef0123456789", "hex"), Buffer.of()),
        { type: "decimal", precision: 60, scale: 3 }, ["-0.128", "90144042682896311822508713.865", "0.000"]],
      ["a decimal of fixed bytes", { physical: physical.fixed, width: 5, converted: converted.decimal, precision: 11 },
        Buffer.of(255, 255, 255, 255, 254), { type: "decimal", precision: 11, scale: 0 }, ["-2"]],
      ["96-bit times", { physical: physical.int96 },
        Buffer.concat([int96(1n, 2_440_588), int96(day - 1n, 2_440_587), int96(45_000_000_000_000n, 2_461_368)]),
        { type: "timestamp", unit: "ns", zone: null },
        ["1970-01-01T00:00:00.000000001", "1969-12-31T23:59:59.999999999", "2026-11-23T12:30:00.000000000"]],
      ["local milliseconds", { physical: physical.int64, logical: utc(1, false) }, int64s(-1n),
        { type: "timestamp", unit: "ms", zone: null }, ["1969-12-31T23:59:59.999"]],
      ["microseconds in UTC", { physical: physical.int64, logical: utc(2, true) }, int64s(-(2n ** 63n)),
        { type: "timestamp", unit: "us", zone: "UTC" }, ["-290308-12-21T19:59:05.224192Z"]],
      ["old microseconds", { physical: physical.int64, converted: 10 }, int64s(1n),
        { type: "timestamp", unit: "us", zone: "UTC" }, ["1970-01-01T00:00:00.000001Z"]],
      ["nanoseconds", { physical: physical.int64, logical: utc(3, true) }, int64s(2n ** 63n - 1n),
        { type: "timestamp", unit: "ns", zone: "UTC" }, ["2262-04-11T23:47:16.854775807Z"]],
      ["days", { physical: physical.int32, converted: 6 }, int32s(-719_529, 2_932_897, 2 ** 31 - 1), "day",
        ["-000001-12-31", "+010000-01-01", "+5881580-07-11"]],
      ["times", { physical: physical.int32, converted: 7 }, int32s(45_000_001), { type: "time", unit: "ms" },
        ["12:30:00.001"]],
      ["unsigned bytes", { physical: physical.int32, converted: 11 }, int32s(255), "uint8", [255]],
      ["unsigned 32 bits", { physical: physical.int32, converted: 13 }, int32s(-1), "uint32", [4294967295]],
      ["unsigned 64 bits", { physical: physical.int64, converted: 14 }, int64s(-1n), "uint64", [2n ** 64n - 1n]],
      ["halves", { physical: physical.fixed, width: 2, logical: [[15, struct([])]] },
        Buffer.from("003c00c0ff7b010000000080007c00fc007e", "hex"), "float32",
        [1, -2, 65504, 2 ** -24, 0, -0, Infinity, -Infinity, NaN]],
      ["nothing known", { physical: physical.int64, logical: [[42, struct([])]] }, int64s(1n), "bigint", [1n]]
    ]
    for (const [what, element, body, type, values] of cases) {
      it.effect(`reads ${what}`, () =>
        Effect.gen(function*() {
          const result = yield* read(oneColumn({ name: "c", ...element }, body, values.length))
          assert.deepStrictEqual(result.columns, [{ name: "c", type }])
          assert.deepStrictEqual(valuesOf(result, "c"), values)
        }))
    }

    const wrong: ReadonlyArray<readonly [what: string, element: Form, body: Buffer, row: number]> = [
      ["text that is not UTF-8", { physical: physical.bytes, converted: converted.utf8 },
        slices("\ufffd", Buffer.of(0xc3)), 2],
      ["JSON that is none", { physical: physical.bytes, converted: converted.json }, slices("1", "{\"secret\":"), 2],
      ["int8 that does not fit", { physical: physical.int32, converted: 15 }, int32s(-128, 128), 2],
      ["uint16 that does not fit", { physical: physical.int32, converted: 12 }, int32s(65536, 1), 1],
      ["a time after midnight", { physical: physical.int32, converted: 7 }, int32s(0, 86_400_000), 2],
      ["a date beyond all dates", { physical: physical.int64, converted: 9 }, int64s(0n, 8640000000000001n), 2],
      ["a decimal of too many digits", { physical: physical.int32, converted: 5, precision: 2, scale: 0 },
        int32s(99, 100), 2],
      ["a 96-bit time beyond 64 bits", { physical: physical.int96 },
        Buffer.concat([int96(0n, 2_440_588), int96(0n, 5_373_484)]), 2]
    ]
    for (const [what, element, body, row] of wrong) {
      it.effect(`refuses ${what}`, () =>
        Effect.gen(function*() {
          const fault = yield* faultOf(read(oneColumn({ name: "c", ...element }, body, 2)))
          assert.deepInclude(fault, { problem: "malformed", row, column: "c", uri: "memory://file.parquet" })
          assert.include(fault.message, "row group 1")
          assert.notInclude(JSON.stringify(fault), "secret")
        }))
    }

    it.effect("names the row of a wrong value that a dictionary holds, and minds no value that no row has", () =>
      Effect.gen(function*() {
        const texts = slices("a", Buffer.of(0xff), "b")
        const file = (indices: Buffer, count: number) =>
          parquetFile([{ name: "c", physical: physical.bytes, converted: converted.utf8 }], [{
            rows: count,
            chunks: [{
              path: ["c"],
              physical: physical.bytes,
              pages: [
                { count: 3, body: texts, dictionary: true },
                { count, body: indices, encoding: encodings.dictionary }
              ]
            }]
          }])
        const clean = yield* read(file(Buffer.of(2, 4, 0, 6, 2), 5))
        assert.deepStrictEqual(valuesOf(clean, "c"), ["a", "a", "b", "b", "b"])
        const fault = yield* faultOf(read(file(Buffer.of(2, 4, 0, 2, 1), 3)))
        assert.deepInclude(fault, { row: 3, column: "c" })
        const outside = yield* faultOf(read(file(Buffer.of(2, 6, 3), 3)))
        assert.include(outside.message, "out of range")
      }))
  })

  describe("nested columns", () => {
    type Levels = ReadonlyArray<number>
    const optional = repetition.optional
    const repeated = repetition.repeated
    const listOf = (inner: ReadonlyArray<Element>): ReadonlyArray<Element> => [
      { name: "l", repetition: optional, children: 1, converted: converted.list },
      ...inner
    ]
    const file = (
      elements: ReadonlyArray<Element>,
      rows: number,
      leaves: ReadonlyArray<
        readonly [path: string, repetitions: Levels | null, definitions: Levels, values: Buffer]
      >
    ) =>
      parquetFile(elements, [{
        rows,
        chunks: leaves.map(([path, repetitions, definitions, values]) => ({
          path: path.split("."),
          physical: physical.int32,
          pages: [{
            count: definitions.length,
            body: Buffer.concat([
              ...(repetitions === null ? [] : [runs(repetitions)]),
              ...(Math.max(...definitions) > 0 ? [runs(definitions)] : []),
              values
            ])
          }]
        }))
      }])
    const int: Element = { name: "element", physical: physical.int32 }
    const shapes: ReadonlyArray<readonly [what: string, file: Buffer, values: ReadonlyArray<unknown>]> = [
      [
        "a list of three levels with null and empty lists and null elements",
        file(listOf([{ name: "list", repetition: repeated, children: 1 }, { ...int, repetition: optional }]), 4, [
          ["l.list.element", [0, 0, 0, 0, 1, 1], [0, 1, 2, 3, 2, 3], int32s(7, 8)]
        ]),
        [null, [], [null], [7, null, 8]]
      ],
      [
        "a list of two levels",
        file(listOf([{ name: "array", physical: physical.int32, repetition: repeated }]), 3, [
          ["l.array", [0, 0, 1, 0], [1, 2, 2, 0], int32s(1, 2)]
        ]),
        [[], [1, 2], null]
      ],
      [
        "a list of two levels whose elements are groups of one field",
        file(listOf([{ name: "array", repetition: repeated, children: 1 }, int]), 1, [
          ["l.array.element", [0, 1], [2, 2], int32s(1, 2)]
        ]),
        [[{ element: 1 }, { element: 2 }]]
      ],
      [
        "a list of two levels in a list of two levels",
        file(
          listOf([
            { name: "array", repetition: repeated, children: 1, converted: converted.list },
            { name: "array", physical: physical.int32, repetition: repeated }
          ]),
          2,
          [["l.array.array", [0, 2, 1, 0], [3, 3, 2, 3], int32s(1, 2, 3)]]
        ),
        [[[1, 2], []], [[3]]]
      ],
      [
        "a repeated column without a list",
        file([{ name: "l", physical: physical.int32, repetition: repeated }], 3, [
          ["l", [0, 0, 1, 0], [1, 1, 1, 0], int32s(1, 2, 3)]
        ]),
        [[1], [2, 3], []]
      ],
      [
        "a struct that is null, and one whose fields are",
        file(
          [
            { name: "l", repetition: optional, children: 2 },
            { name: "a", physical: physical.int32, repetition: optional },
            { name: "__proto__", physical: physical.int32 }
          ],
          3,
          [["l.a", null, [0, 1, 2], int32s(1)], ["l.__proto__", null, [0, 1, 1], int32s(8, 9)]]
        ),
        [null, JSON.parse("{\"a\":null,\"__proto__\":8}"), JSON.parse("{\"a\":1,\"__proto__\":9}")]
      ],
      [
        "a map with null values, and an old one",
        file(
          [
            { name: "l", repetition: optional, children: 1, converted: converted.mapKeyValue },
            { name: "map", repetition: repeated, children: 2 },
            { name: "k", physical: physical.int32 },
            { name: "v", physical: physical.int32, repetition: optional }
          ],
          3,
          [
            ["l.map.k", [0, 1, 0, 0], [2, 2, 1, 0], int32s(1, 1)],
            ["l.map.v", [0, 1, 0, 0], [2, 3, 1, 0], int32s(5)]
          ]
        ),
        [[{ key: 1, value: null }, { key: 1, value: 5 }], [], null]
      ]
    ]
    for (const [what, bytes, values] of shapes) {
      it.effect(`reads ${what}`, () =>
        Effect.gen(function*() {
          assert.deepStrictEqual(valuesOf(yield* read(bytes), "l"), values)
        }))
    }

    const disagreeing: ReadonlyArray<readonly [what: string, file: Buffer]> = [
      [
        "leaves of a struct of which only one is null",
        file(
          [
            { name: "l", repetition: optional, children: 2 },
            { name: "a", physical: physical.int32 },
            { name: "b", physical: physical.int32 }
          ],
          1,
          [["l.a", null, [0], int32s()], ["l.b", null, [1], int32s(8)]]
        )
      ],
      [
        "leaves of a map of different lengths",
        file(
          [
            { name: "l", repetition: optional, children: 1, converted: converted.map },
            { name: "map", repetition: repeated, children: 2 },
            { name: "k", physical: physical.int32 },
            { name: "v", physical: physical.int32 }
          ],
          2,
          [["l.map.k", [0, 1, 0], [2, 2, 2], int32s(1, 1, 1)], ["l.map.v", [0, 0, 1], [2, 2, 2], int32s(1, 1, 1)]]
        )
      ],
      [
        "a column that begins within a row",
        file([{ name: "l", physical: physical.int32, repetition: repeated }], 1, [["l", [1], [1], int32s(1)]])
      ],
      [
        "fewer rows than the row group has",
        file([{ name: "l", physical: physical.int32, repetition: repeated }], 2, [["l", [0, 1], [1, 1], int32s(1, 2)]])
      ],
      [
        "more rows than the row group has",
        file([{ name: "l", physical: physical.int32, repetition: repeated }], 1, [["l", [0, 0], [1, 1], int32s(1, 2)]])
      ]
    ]
    for (const [what, bytes] of disagreeing) {
      it.effect(`refuses ${what}`, () =>
        Effect.gen(function*() {
          assert.deepInclude(yield* faultOf(read(bytes)), { problem: "malformed", column: "l" })
        }))
    }
  })

  describe("lists of floats", () => {
    const vectorFile = (element: number, nulls: number | undefined, values: ReadonlyArray<number>, missing = false) => {
      const definition = element === repetition.optional ? 3 : 2
      return parquetFile(
        [
          { name: "v", repetition: repetition.optional, children: 1, converted: converted.list },
          { name: "list", repetition: repetition.repeated, children: 1 },
          { name: "element", repetition: element, physical: physical.float }
        ],
        [{
          rows: 2,
          chunks: [{
            path: ["v", "list", "element"],
            physical: physical.float,
            pages: [{
              count: values.length + 1,
              body: Buffer.concat([
                runs(values.map((_, i) => (i === 0 ? 0 : 1)).concat(0)),
                runs(values.map((_, i) => (missing && i === 0 ? definition - 1 : definition)).concat(1)),
                floats(...(missing ? values.slice(1) : values))
              ])
            }],
            ...(nulls === undefined ? {} : { nulls })
          }]
        }]
      )
    }

    it.effect("are vectors where no element can be null, or the statistics tell of none", () =>
      Effect.gen(function*() {
        const { optional, required } = repetition
        const values = [Float32Array.of(0.1, 2), new Float32Array(0)]
        for (const file of [vectorFile(required, undefined, [0.1, 2]), vectorFile(optional, 0, [0.1, 2])]) {
          const result = yield* read(file)
          assert.deepStrictEqual(result.columns, [{ name: "v", type: "vector" }])
          assert.deepStrictEqual(valuesOf(result, "v"), values)
        }
        for (const nulls of [undefined, 1]) {
          const result = yield* read(vectorFile(optional, nulls, [0.1, 2], true))
          assert.deepStrictEqual(result.columns, [{ name: "v", type: { type: "list", element: "float32" } }])
          assert.deepStrictEqual(valuesOf(result, "v"), [[null, 2], []])
        }
      }))

    it.effect("are vectors only where they are in all files", () =>
      Effect.gen(function*() {
        const files = [
          memoryFile(vectorFile(repetition.required, undefined, [1]), { uri: "memory://a" }),
          memoryFile(vectorFile(repetition.optional, undefined, [2]), { uri: "memory://b" })
        ]
        const result = yield* read(files)
        assert.deepStrictEqual(result.columns, [{ name: "v", type: { type: "list", element: "float32" } }])
        assert.deepStrictEqual(valuesOf(result, "v"), [[1], [], [2], []])
      }))

    it.effect("are refused where statistics lie of their nulls", () =>
      Effect.gen(function*() {
        const fault = yield* faultOf(read(vectorFile(repetition.optional, 0, [1, 2], true)))
        assert.deepInclude(fault, { row: 1, column: "v" })
      }))

    it.effect("are read as the schema of the column says", () =>
      Effect.gen(function*() {
        const file = vectorFile(repetition.optional, undefined, [1, 2])
        const vector = yield* read(file, { columns: Schema.Struct({ v: Processor.Vector }) })
        assert.deepStrictEqual(valuesOf(vector, "v"), [Float32Array.of(1, 2), new Float32Array(0)])
        const array = yield* read(vectorFile(repetition.required, undefined, [1, 2]), {
          columns: Schema.Struct({ v: Schema.Array(Schema.Finite) })
        })
        assert.deepStrictEqual(valuesOf(array, "v"), [[1, 2], []])
      }))
  })

  describe("select and limit", () => {
    const columns: ReadonlyArray<Column> = [
      { name: "a", type: "string" },
      { name: "b", type: "binary" },
      { name: "c", type: "integer" }
    ]
    const table = Array.from({ length: 25_000 }, (_, i) => [`row ${i}`, Buffer.alloc(100, i % 251), i])
    const file = written(columns, batchesOf({ columns, rows: table }, 5000), { compression: "none" })

    it.effect("take columns in the order asked for, and fetch no others", () =>
      Effect.gen(function*() {
        const bytes = yield* file
        const reads: Array<readonly [number, number]> = []
        const result = yield* read(memoryFile(bytes, { reads }), { select: ["c", "a"] })
        assert.deepStrictEqual(result.columns.map(({ name }) => name), ["c", "a"])
        assert.deepStrictEqual(rowsOf(result.batches), table.map(([a, , c]) => [c, a]))
        // The footer, and two runs for each of three row groups.
        const [footer, ...rest] = reads
        assert.deepStrictEqual(footer, [bytes.length - 512 * 1024, bytes.length])
        assert.strictEqual(rest.length, 6)
        const fetched = rest.reduce((sum, [start, end]) => sum + end - start, 0)
        assert.isBelow(fetched, bytes.length / 4)
        rest.toSorted(([a], [b]) => a - b).reduce((end, [start, next]) => {
          assert.isAtLeast(start, end)
          return next
        }, 0)
      }))

    it.effect("stop at the limit, over row groups and files", () =>
      Effect.gen(function*() {
        const bytes = yield* file
        const files = [memoryFile(bytes, { uri: "memory://a" }), memoryFile(bytes, { uri: "memory://b" })]
        for (const limit of [1, 9_999, 10_000, 10_001, 25_000, 25_001, 49_999, 60_000]) {
          const result = yield* read(files, { limit })
          const expected = [...table, ...table].slice(0, limit)
          assert.strictEqual(result.count, expected.length)
          assert.deepStrictEqual(valuesOf(result, "c"), expected.map((row) => row[2]))
        }
      }))

    it.effect("fetch little of a row group of which little is taken", () =>
      Effect.gen(function*() {
        const data = Array.from({ length: 40_000 }, (_, i) => `${i} ${"x".repeat(100)}`)
        const bytes = new Uint8Array(parquetWriteBuffer({
          columnData: [{ name: "a", data }, { name: "b", data }],
          codec: "UNCOMPRESSED",
          rowGroupSize: data.length,
          pageSize: 20_000
        }))
        const reads: Array<readonly [number, number]> = []
        const result = yield* read(memoryFile(bytes, { reads }), { limit: 10 })
        assert.deepStrictEqual(valuesOf(result, "b"), data.slice(0, 10))
        const fetched = reads.slice(1).reduce((sum, [start, end]) => sum + end - start, 0)
        assert.isBelow(fetched, bytes.length / 10)
      }))

    it.effect("keep batches within 5,000 rows and about 4 MB, however the sizes of rows vary", () =>
      Effect.gen(function*() {
        const times = (length: number, size: number) => Array.from({ length }, () => size)
        const sizes = [...times(6000, 1), ...times(40, 700_000), 1, 9_000_000, 1]
        const rows = sizes.map((size, i) => [i, Buffer.alloc(size, 65 + i % 20).toString()])
        const two: ReadonlyArray<Column> = [{ name: "i", type: "int32" }, { name: "t", type: "string" }]
        const result = yield* read(yield* written(two, batchesOf({ columns: two, rows }, 1000)))
        assert.isTrue(rowsOf(result.batches).every(([i, t], at) => i === at && t === rows[at]![1]))
        for (const { columns, length } of result.batches) {
          const bytes = columns[1]!.reduce((sum: number, text) => sum + String(text).length, 0)
          assert.isAtMost(length, 5000)
          assert.isTrue(bytes <= 5 * 1024 * 1024 || length === 1)
        }
      }))

    it.effect("name a column that is not there, and the one that was probably meant", () =>
      Effect.gen(function*() {
        const reason = yield* reasonOf(read(yield* file, { select: ["a", "cc"] }))
        assert.strictEqual(reason._tag, "InvalidColumns")
        if (reason._tag === "InvalidColumns") assert.deepStrictEqual(reason.nearest, { cc: "c" })
        const wrong = [{ select: [] }, { select: ["a", "a"] }, { limit: 0 }, { columns: Schema.String }, null]
        for (const options of wrong) {
          assert.strictEqual((yield* reasonOf(read(yield* file, options as never)))._tag, "InvalidOption")
        }
      }))
  })

  describe("declared columns", () => {
    const columns: ReadonlyArray<Column> = [
      { name: "id", type: "bigint" },
      { name: "text", type: "string" },
      { name: "at", type: { type: "timestamp", unit: "us", zone: "UTC" } },
      { name: "price", type: { type: "decimal", precision: 9, scale: 2 } },
      { name: "day", type: "day" },
      { name: "data", type: "json" },
      { name: "items", type: { type: "list", element: { type: "struct", fields: [{ name: "n", type: "bigint" }] } } },
      { name: "doubles", type: { type: "list", element: "number" } }
    ]
    const row = [1n, "a", "2026-11-23T12:30:00.001000Z", "1.50", "2026-11-23", [1], [{ n: 5n }, { n: null }], [0.5, 2]]
    const nulls = columns.map(() => null)
    const file = (...rows: ReadonlyArray<ReadonlyArray<unknown>>) => written(columns, [batchOf(columns, rows)])
    const one = <A>(name: string, schema: Schema.Codec<A>) => ({ columns: Schema.Struct({ [name]: schema }) })

    it.effect("are read as their schemas say", () =>
      Effect.gen(function*() {
        const bytes = yield* file(row)
        const cases: ReadonlyArray<
          readonly [name: string, schema: Schema.Codec<any>, type: ColumnType, value: unknown]
        > = [
          ["id", Schema.Int, "integer", 1],
          ["id", Schema.Finite, "number", 1],
          ["id", Schema.Number, "number", 1],
          ["id", Schema.BigInt, "bigint", 1n],
          ["id", Schema.NullOr(Schema.Int), "integer", 1],
          ["at", Schema.Date, "date", new Date("2026-11-23T12:30:00.001Z")],
          ["at", Schema.String, columns[2]!.type, row[2]],
          ["price", Schema.String, columns[3]!.type, "1.50"],
          ["day", Schema.String, "day", "2026-11-23"],
          ["day", Schema.Date, "date", new Date("2026-11-23T00:00:00Z")],
          ["data", Schema.Array(Schema.Int), "json", [1]],
          ["data", Schema.String, "string", "[1]"],
          ["data", Schema.Unknown, "json", [1]],
          [
            "items",
            Schema.Array(Schema.Struct({ n: Schema.NullOr(Schema.Int) })),
            { type: "list", element: { type: "struct", fields: [{ name: "n", type: "integer" }] } },
            [{ n: 5 }, { n: null }]
          ],
          ["items", Schema.Unknown, columns[6]!.type, row[6]],
          ["doubles", Schema.Array(Schema.Finite), columns[7]!.type, [0.5, 2]],
          ["doubles", Processor.Vector, "vector", Float32Array.of(0.5, 2)]
        ]
        for (const [name, schema, type, value] of cases) {
          const result = yield* read(bytes, one(name, schema))
          assert.deepStrictEqual(result.columns, [{ name, type }])
          assert.deepStrictEqual(valuesOf(result, name), [value])
        }
      }))

    it.effect("come in the order of the schema", () =>
      Effect.gen(function*() {
        const columns = Schema.Struct({ text: Schema.String, id: Schema.Int })
        const result = yield* read(yield* file(row), { columns })
        assert.deepStrictEqual(result.rows, [{ text: "a", id: 1 }])
        assert.deepStrictEqual(result.columns.map(({ name }) => name), ["text", "id"])
      }))

    it.effect("are checked value by value, and the row is named", () =>
      Effect.gen(function*() {
        const bytes = yield* file(
          row,
          nulls,
          [2n ** 60n, "b", "2026-11-23T12:30:00.000001Z", "2.00", "2026-11-24", {}, [], [0.1]]
        )
        const cases: ReadonlyArray<readonly [name: string, schema: Schema.Codec<any>, row: number]> = [
          ["text", Schema.String, 2],
          ["id", Schema.BigInt, 2],
          ["id", Schema.NullOr(Schema.Int), 3],
          ["id", Schema.NullOr(Schema.Finite), 3],
          ["at", Schema.NullOr(Schema.Date), 3],
          ["data", Schema.NullOr(Schema.Array(Schema.Int)), 3],
          ["text", Schema.NullOr(Schema.Literals(["a"])), 3],
          ["doubles", Schema.NullOr(Processor.Vector), 3],
          ["items", Schema.NullOr(Schema.Array(Schema.Struct({ n: Schema.Int }))), 1]
        ]
        for (const [name, schema, row] of cases) {
          const fault = yield* faultOf(read(bytes, one(name, schema)))
          assert.deepInclude(fault, { problem: "malformed", row, column: name })
        }
      }))

    it.effect("are refused where the file has other values", () =>
      Effect.gen(function*() {
        const bytes = yield* file(row)
        const cases: ReadonlyArray<readonly [name: string, schema: Schema.Codec<any>]> = [
          ["text", Schema.Int],
          ["id", Schema.String],
          ["price", Schema.Finite],
          ["day", Schema.Int],
          ["text", Schema.Date],
          ["id", Schema.Boolean],
          ["text", Processor.Vector]
        ]
        for (const [name, schema] of cases) {
          const fault = yield* faultOf(read(bytes, one(name, schema)))
          assert.deepInclude(fault, { problem: "malformed", row: null, column: name })
        }
        const missing = yield* reasonOf(read(bytes, one("txt", Schema.String)))
        assert.strictEqual(missing._tag, "InvalidColumns")
      }))
  })

  it("tells the compiler what rows hold", () => {
    const declared: Source<{ readonly id: number; readonly text: string | null }, ObjectStore> = parquet("a.parquet", {
      columns: Schema.Struct({ id: Schema.Int, text: Schema.NullOr(Schema.String) })
    })
    const selected: Source<{ readonly id: unknown; readonly text: unknown }, ObjectStore> = parquet(["a.parquet"], {
      select: ["id", "text"],
      limit: 5
    })
    const untyped: Source<UntypedRow, ObjectStore> = parquet(new URL("file:///a.parquet"))
    // @ts-expect-error: only what is selected is there
    const other: Source<{ readonly id: unknown }, ObjectStore> = parquet("a.parquet", { select: ["text"] })
    // @ts-expect-error: `columns` takes the columns it declares
    const both = parquet("a.parquet", { columns: Schema.Struct({ id: Schema.Int }), select: ["id"] })
    assert.lengthOf([declared, selected, untyped, other, both], 5)
  })

  describe("several files", () => {
    const of = (columns: ReadonlyArray<Column>, row: ReadonlyArray<unknown>, uri: string) =>
      Effect.map(written(columns, [batchOf(columns, [row])]), (bytes) => memoryFile(bytes, { uri }))
    const a: Column = { name: "a", type: "string" }
    const b: Column = { name: "b", type: "integer" }

    it.effect("have the columns of the first one, whatever their order", () =>
      Effect.gen(function*() {
        const files = [yield* of([a, b], ["x", 1], "memory://1"), yield* of([b, a], [2, "y"], "memory://2")]
        const result = yield* read(files)
        assert.deepStrictEqual(result.columns, [a, b])
        assert.strictEqual(result.count, 2)
        assert.deepStrictEqual(result.rows, [{ a: "x", b: 1 }, { a: "y", b: 2 }])
      }))

    it.effect("take the type of a column that one file has nulls alone in from the others", () =>
      Effect.gen(function*() {
        const table = new Arrow.Table({ a: Arrow.vectorFromArray([null, null], new Arrow.Null()) })
        const nothing = writeParquet(Table.fromIPCStream(Arrow.tableToIPC(table, "stream")))
        const list: Column = { name: "a", type: { type: "list", element: "bigint" } }
        for (const { name, type } of [a, { ...b, name: "a" }, list]) {
          const value = type === "string" ? "x" : type === "integer" ? 5 : [1n]
          const files = [memoryFile(nothing, { uri: "memory://1" }), yield* of([{ name, type }], [value], "memory://2")]
          for (const ordered of [files, files.toReversed()]) {
            const result = yield* read(ordered)
            assert.deepStrictEqual(result.columns, [{ name, type }])
            assert.sameDeepMembers([...valuesOf(result, "a")], [null, null, value])
          }
        }
        assert.deepStrictEqual((yield* read(nothing)).columns, [a])
        const declared = { columns: Schema.Struct({ a: Schema.NullOr(Schema.Int) }) }
        assert.deepStrictEqual((yield* read(nothing, declared)).columns, [{ name: "a", type: "integer" }])
      }))

    it.effect("are refused where one lacks a column, has another, or one of another type", () =>
      Effect.gen(function*() {
        const first = yield* of([a, b], ["x", 1], "memory://1")
        const others: ReadonlyArray<readonly [ReadonlyArray<Column>, ReadonlyArray<unknown>, string]> = [
          [[a], ["y"], "b"],
          [[a, b, { name: "c", type: "string" }], ["y", 2, "z"], "c"],
          [[a, { name: "b", type: "number" }], ["y", 2], "b"]
        ]
        for (const [columns, row, column] of others) {
          const second = yield* of(columns, row, "memory://2")
          const fault = yield* faultOf(read([first, second]))
          assert.deepInclude(fault, { problem: "malformed", uri: "memory://2", column })
          assert.include(fault.message, "memory://1")
          const chosen = yield* read([first, second], { select: ["a"] })
          assert.deepStrictEqual(chosen.rows, [{ a: "x" }, { a: "y" }])
        }
      }))
  })

  it.effect("is opened by path, URL, key of the store and folder, and its identity is that of its files", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "parquet-"))),
        (path) => Effect.promise(() => rm(path, { recursive: true }))
      )
      const columns: ReadonlyArray<Column> = [{ name: "t", type: "string" }]
      const bytes = yield* written(columns, [batchOf(columns, [["a"], ["b"]])])
      yield* Effect.promise(async () => {
        await mkdir(join(folder, "files"))
        await writeFile(join(folder, "files", "one.parquet"), bytes)
      })
      yield* Effect.gen(function*() {
        const store = yield* ObjectStore
        yield* store.create("data/two.parquet", bytes)
        for (const location of [
          join(folder, "files", "one.parquet"),
          join(folder, "files"),
          "store://data/two.parquet",
          "store://data/"
        ]) {
          const opened = yield* parquet(location).open
          assert.deepStrictEqual(opened.columns, columns)
          assert.strictEqual(opened.count, 2)
          const batches = yield* Stream.runCollect(opened.batches)
          assert.deepStrictEqual(rowsOf(batches), [["a"], ["b"]])
        }
        const identityOf = (options?: { readonly select?: ReadonlyArray<"t">; readonly limit?: number }) =>
          Effect.map(parquet("store://data/two.parquet", options as never).open, ({ identity }) => identity)
        const identities = [yield* identityOf(), yield* identityOf({ limit: 1 }), yield* identityOf({ select: ["t"] })]
        assert.strictEqual(new Set(identities).size, 3)
        assert.strictEqual(yield* identityOf(), identities[0])
      }).pipe(Effect.provide(FileSystem.layer({ directory: join(folder, "store") })))
    }).pipe(Effect.scoped))

  it.effect("has columns and no batches where there are no rows", () =>
    Effect.gen(function*() {
      const ours = yield* written([{ name: "t", type: "string" }], [])
      for (const file of [ours, parquetFile([{ name: "t", physical: physical.int32 }], [])]) {
        const result = yield* read(file)
        assert.strictEqual(result.columns[0]!.name, "t")
        assert.strictEqual(result.count, 0)
        assert.deepStrictEqual(result.batches, [])
      }
    }))
})
