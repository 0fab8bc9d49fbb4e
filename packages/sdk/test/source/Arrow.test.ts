import { assert, describe, it } from "@effect/vitest"
import * as Arrow from "apache-arrow"
import { Effect, Schema, Stream } from "effect"
import type { Column } from "../../src/Column.ts"
import type { Batch } from "../../src/internal/Batch.ts"
import * as RowsFile from "../../src/internal/RowsFile.ts"
import { sink } from "../../src/sink/ArrowIpc.ts"
import { arrow } from "../../src/source/ArrowIpc.ts"
import { openArrow } from "../../src/source/internal/ArrowSource.ts"
import type { SourceFile } from "../../src/source/internal/SourceFile.ts"
import type { OpenSource } from "../../src/source/Source.ts"
import { ObjectStore } from "../../src/store/ObjectStore.ts"
import { anyTable, batchesOf, batchOf, everyType, nastyRows, rowsOf } from "../rig/AnyTable.ts"
import { faultOf, inFolder, readAll, reasonOf } from "./folder.ts"
import { pyarrowFiles } from "./pyarrowFiles.ts"

const write = (columns: ReadonlyArray<Column>, batches: ReadonlyArray<Batch>): Effect.Effect<Buffer> =>
  Effect.map(Stream.runCollect(sink.encode(columns, Stream.fromIterable(batches))), (pieces) => Buffer.concat(pieces))

/** Ranges that were read. */
type Reads = Array<readonly [start: number, end: number]>

/** A file in memory, given in pieces. */
const fileOf = (bytes: Uint8Array, { pieceSize = 4096, reads = [] as Reads } = {}): SourceFile => ({
  uri: "memory:file",
  size: bytes.length,
  identity: "",
  description: {},
  bytes: Stream.fromIterable(
    Array.from({ length: Math.ceil(bytes.length / pieceSize) }, (_, i) =>
      bytes.subarray(i * pieceSize, (i + 1) * pieceSize))
  ),
  from: (start) => Stream.succeed(bytes.subarray(start)),
  range: (start, end) =>
    Effect.sync(() => {
      assert.isTrue(start >= 0 && start <= end && end <= bytes.length, `range ${start} to ${end}`)
      reads.push([start, end])
      return new Uint8Array(bytes.subarray(start, end))
    }),
  unchanged: Effect.void
})

const open = (bytes: Uint8Array, options: Parameters<typeof openArrow>[2] = {}) =>
  openArrow("arrow", [fileOf(bytes)], options)

const read = (bytes: Uint8Array, options: Parameters<typeof openArrow>[2] = {}) =>
  Effect.flatMap(open(bytes, options), (opened) =>
    Effect.map(Stream.runCollect(opened.batches), (batches) => ({ ...opened, batches, rows: rowsOf(batches) })))

const columnsOf = ({ batches, columns }: { readonly batches: ReadonlyArray<Batch> } & Pick<OpenSource, "columns">) =>
  Object.fromEntries(columns.map(({ name }, j) => [name, batches.flatMap((batch) => batch.columns[j]!)]))

const messageOf = (bytes: Uint8Array, options: Parameters<typeof openArrow>[2] = {}) =>
  Effect.map(reasonOf(read(bytes, options)), (reason) => {
    if (reason._tag !== "InvalidSource") assert.fail(reason._tag)
    assert.isTrue(["malformed", "empty"].includes(reason.problem))
    return reason.message
  })

const fileBy = (table: Arrow.Table): Uint8Array => Arrow.tableToIPC(table, "file")
const streamBy = (table: Arrow.Table): Uint8Array => Arrow.tableToIPC(table, "stream")

const f32 = (...values: ReadonlyArray<number>) => Float32Array.from(values)
const bytes = (...values: ReadonlyArray<number>) => Uint8Array.from(values)

/** What is in the files of pyarrow with every type. */
const pyarrowColumns: {
  readonly [name: string]: readonly [type: Column["type"], ...values: ReadonlyArray<unknown>]
} = {
  null: ["string", null, null, null],
  i8: ["int8", 1, null, -128],
  u64: ["uint64", 1n, null, 2n ** 64n - 1n],
  i64: ["bigint", 1n, null, -(2n ** 63n)],
  f16: ["float32", 1.5, null, -65504],
  f32: ["float32", Math.fround(0.1), null, -1],
  f64: ["number", 0.1, null, -1],
  s: ["string", "a", null, "é😀"],
  ls: ["string", "a", null, "é😀"],
  sv: ["string", "a", null, "longer than twelve é"],
  b: ["binary", bytes(97), null, bytes(255)],
  lb: ["binary", bytes(97), null, bytes(255)],
  bv: ["binary", bytes(97), null, new Uint8Array(20).fill(120)],
  bool: ["boolean", true, null, false],
  d32: [{ type: "decimal", precision: 4, scale: 2 }, "1.50", null, "-99.99"],
  d64: [{ type: "decimal", precision: 15, scale: 2 }, "1.50", null, "-99.99"],
  d128: [{ type: "decimal", precision: 20, scale: 2 }, "1.50", null, "-99.99"],
  d256: [{ type: "decimal", precision: 50, scale: 2 }, "1.50", null, "-99.99"],
  dneg: [{ type: "decimal", precision: 20, scale: -3 }, "15000", null, "-9000"],
  date32: ["day", "2026-11-23", null, "0001-01-01"],
  date64: ["date", new Date("2026-11-23"), null, new Date("0001-01-01")],
  t32: [{ type: "time", unit: "s" }, "12:30:00", null, "23:59:59"],
  t64: [{ type: "time", unit: "ns" }, "12:30:00.000000000", null, "23:59:59.999999000"],
  ts: [
    { type: "timestamp", unit: "us", zone: null },
    "2026-11-23T12:30:00.000000",
    null,
    "0001-01-01T00:00:00.000000"
  ],
  tsutc: ["date", new Date("2026-11-23T12:30:00Z"), null, new Date("1969-01-01")],
  tsz: [
    { type: "timestamp", unit: "ns", zone: "Europe/Paris" },
    "2026-11-23T12:30:00.000000000Z",
    null,
    "1969-01-01T00:00:00.000000000Z"
  ],
  fsb: [{ type: "fixed", bytes: 3 }, bytes(97, 98, 99), null, bytes(120, 121, 122)],
  uuid: ["uuid", "00000000-0000-0000-0000-000000000001", null, "ffffffff-ffff-ffff-ffff-ffffffffffff"],
  json: ["json", { a: 1 }, null, []],
  lf: ["vector", f32(0.5, 1), null, f32()],
  lfn: [{ type: "list", element: "float32" }, [0.5, null], null, []],
  fslf: ["vector", f32(0.5, 1), null, f32(2, 3)],
  fsli: [{ type: "list", element: "int16" }, [1, null], null, [2, 3]],
  ll: [{ type: "list", element: "string" }, ["x", null], null, []],
  lh: ["vector", f32(0.5, 1), null, f32()],
  st: [
    {
      type: "struct",
      fields: [{ name: "a", type: "bigint" }, { name: "b", type: { type: "list", element: "string" } }]
    },
    { a: 1n, b: ["x"] },
    null,
    { a: null, b: null }
  ],
  map: [{ type: "map", key: "string", value: "int32" }, [{ key: "k", value: 1 }], null, []],
  dict: ["string", "x", null, "y"],
  ldict: [{ type: "list", element: "string" }, ["x", "y"], [], ["x"]],
  sdict: [{ type: "struct", fields: [{ name: "f", type: "string" }] }, { f: "x" }, { f: null }, { f: "y" }],
  ddate: ["day", "2026-11-23", null, "2026-11-23"]
}

const checkPyarrow = (bytes: Uint8Array, leftOut: ReadonlyArray<string> = []) =>
  Effect.gen(function*() {
    const names = Object.keys(pyarrowColumns).filter((name) => !leftOut.includes(name))
    const opened = yield* read(bytes, leftOut.length === 0 ? {} : { select: names })
    assert.deepStrictEqual(opened.columns, names.map((name): Column => ({ name, type: pyarrowColumns[name]![0] })))
    const expected = Object.fromEntries(names.map((name) => [name, pyarrowColumns[name]!.slice(1)]))
    assert.deepStrictEqual(columnsOf(opened), expected)
    return opened
  })

describe("Source.arrow", () => {
  it.effect("reads back every type of our own files, in one record batch or several", () =>
    Effect.gen(function*() {
      const batches = Array.from({ length: 3 }, () => batchOf(everyType, nastyRows))
      const opened = yield* read(yield* write(everyType, batches))
      assert.deepStrictEqual(opened.columns, everyType)
      assert.deepStrictEqual(opened.rows, rowsOf(batches))
      assert.strictEqual(opened.count, nastyRows.length * 3)
    }))

  it.effect("reads our own streams, however they are cut", () =>
    Effect.gen(function*() {
      const batches = [batchOf(everyType, nastyRows), batchOf(everyType, nastyRows.slice(0, 3))]
      const pieces = yield* Stream.runCollect(RowsFile.encode(everyType, Stream.fromIterable(batches)))
      const stream = Buffer.concat(pieces)
      for (const pieceSize of [stream.length, 4096, 7]) {
        const opened = yield* openArrow("arrow", [fileOf(stream, { pieceSize })], {})
        assert.deepStrictEqual(opened.columns, everyType)
        assert.isNull(opened.count)
        assert.deepStrictEqual(rowsOf(yield* Stream.runCollect(opened.batches)), rowsOf(batches))
      }
    }))

  it.effect.prop("reads back any values of any columns", { table: anyTable() }, ({ table }) =>
    Effect.gen(function*() {
      const opened = yield* read(yield* write(table.columns, batchesOf(table, 5)))
      assert.deepStrictEqual(opened.columns, table.columns)
      assert.deepStrictEqual(opened.rows, table.rows)
    }), { arbitrary: { runs: 200 } })

  for (const [what, file] of [
    ["plain", pyarrowFiles.all],
    ["compressed with LZ4", pyarrowFiles.allLz4],
    ["compressed with Zstandard", pyarrowFiles.allZstd],
    ["without the markers of messages", pyarrowFiles.allLegacy]
  ] as const) {
    it.effect(`reads every type of a file of pyarrow, ${what}`, () =>
      Effect.gen(function*() {
        const { count } = yield* checkPyarrow(file)
        assert.strictEqual(count, 3)
      }))
  }

  it.effect("reads every type of a stream of pyarrow, and of a file with older metadata", () =>
    Effect.gen(function*() {
      yield* checkPyarrow(pyarrowFiles.allStream, ["lfn"])
      yield* checkPyarrow(pyarrowFiles.allV4, ["null"])
    }))

  it.effect("reads LZ4 frames of many blocks, and of blocks that are not compressed", () =>
    Effect.gen(function*() {
      const texts = yield* read(pyarrowFiles.largeLz4)
      const expected = Array.from({ length: 2500 }, (_, i) => [BigInt(i), `${"the same words ".repeat(12)}${i % 7}`])
      assert.deepStrictEqual(texts.rows, expected)
      const noise = yield* read(pyarrowFiles.noiseLz4)
      assert.strictEqual(noise.rows.length, 20)
      assert.isTrue(noise.rows.every(([value]) => value instanceof Uint8Array && value.length === 40))
    }))

  it.effect("reads dictionaries that grow, and in streams dictionaries that are replaced", () =>
    Effect.gen(function*() {
      const valuesOf = (bytes: Uint8Array) => Effect.map(read(bytes), ({ rows }) => rows.map(([value]) => value))
      assert.deepStrictEqual(yield* valuesOf(pyarrowFiles.deltas), ["a", "b", "c", "a"])
      assert.deepStrictEqual(yield* valuesOf(pyarrowFiles.deltaStream), ["a", "b", "c", "a", "a", null])
      assert.deepStrictEqual(yield* valuesOf(pyarrowFiles.replacedStream), ["a", "b", "y", "z", "z", null])
    }))

  it.effect("names columns of types that are not supported, and reads the others", () =>
    Effect.gen(function*() {
      for (const file of [pyarrowFiles.unsupported, pyarrowFiles.unsupportedStream, pyarrowFiles.unsupportedV4]) {
        const opened = yield* read(file, { select: ["s", "id"] })
        assert.deepStrictEqual(opened.rows, [["a", 1], ["b", 2]])
        assert.strictEqual(
          yield* messageOf(file),
          "memory:file, column \"dur\": values of Arrow's type Duration are not supported; " +
            "leave the column out with `select`"
        )
      }
      for (const [name, type] of [["iv", "Interval"], ["un", "Union"], ["dun", "Union"], ["ree", "RunEndEncoded"]]) {
        const message = yield* messageOf(pyarrowFiles.unsupported, { select: ["id", name!] })
        assert.include(message, `column "${name}": values of Arrow's type ${type} are not supported`)
      }
    }))

  it.effect("reads what Arrow's own builders make, as a file and as a stream", () =>
    Effect.gen(function*() {
      const table = new Arrow.Table({
        floats: Arrow.makeVector(Float32Array.of(0.5, 1.5, -1)),
        longs: Arrow.makeVector(BigInt64Array.of(1n, -1n, 2n ** 62n)),
        words: Arrow.vectorFromArray(["a", null, "a"]),
        dates: Arrow.vectorFromArray([new Date(1), null, new Date(-1)]),
        flags: Arrow.vectorFromArray([true, null, false]),
        lists: Arrow.vectorFromArray([["x"], null, []], new Arrow.List(new Arrow.Field("item", new Arrow.Utf8()))),
        fixed: Arrow.vectorFromArray(
          [[1, 2], null, [3, 4]],
          new Arrow.FixedSizeList(2, new Arrow.Field("item", new Arrow.Float32()))
        ),
        structs: Arrow.vectorFromArray([{ a: 1, b: "x" }, { a: 2, b: "y" }, { a: 3, b: "z" }])
      })
      for (const file of [fileBy(table), streamBy(table)]) {
        assert.deepStrictEqual(columnsOf(yield* read(file)), {
          floats: [0.5, 1.5, -1],
          longs: [1n, -1n, 2n ** 62n],
          words: ["a", null, "a"],
          // Arrow makes timestamps without a zone of them.
          dates: ["1970-01-01T00:00:00.001", null, "1969-12-31T23:59:59.999"],
          flags: [true, null, false],
          lists: [["x"], null, []],
          fixed: [f32(1, 2), null, f32(3, 4)],
          structs: [{ a: 1, b: "x" }, { a: 2, b: "y" }, { a: 3, b: "z" }]
        })
      }
    }))

  it.effect("reads files of Arrow in several record batches with a dictionary for each", () =>
    Effect.gen(function*() {
      const part = (...words: ReadonlyArray<string>) => Arrow.tableFromArrays({ word: words })
      const table = part("a", "b").concat(part("b", "c"))
      assert.deepStrictEqual((yield* read(streamBy(table))).rows, [["a"], ["b"], ["b"], ["c"]])
    }))

  it.effect("takes types of ours only where names and layouts agree", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "a", type: "integer" }, { name: "b", type: "json" }]
      const other = new Arrow.Schema(
        [
          new Arrow.Field("a", new Arrow.Int32(), true),
          new Arrow.Field("b", new Arrow.Utf8(), true),
          new Arrow.Field("c", new Arrow.Utf8(), true)
        ],
        new Map([["bedrock-batch:columns", JSON.stringify(columns)]])
      )
      const data = Arrow.makeData({
        type: new Arrow.Struct(other.fields),
        length: 1,
        nullCount: 0,
        children: [
          Arrow.vectorFromArray([1], new Arrow.Int32()).data[0]!,
          Arrow.vectorFromArray(["[1]"], new Arrow.Utf8()).data[0]!,
          Arrow.vectorFromArray(["[1]"], new Arrow.Utf8()).data[0]!
        ]
      })
      const opened = yield* read(fileBy(new Arrow.Table(other, [new Arrow.RecordBatch(other, data)])))
      assert.deepStrictEqual(opened.columns.map(({ type }) => type), ["int32", "json", "string"])
      assert.deepStrictEqual(opened.rows, [[1, [1], "[1]"]])
    }))

  it.effect("selects columns in their order, and fetches no others of a file", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [
        { name: "id", type: "int32" },
        { name: "large", type: "string" },
        { name: "text", type: "string" },
        { name: "other", type: { type: "list", element: "string" } }
      ]
      const rows = Array.from({ length: 3000 }, (_, i) => [i, `${i}`.repeat(200), `text ${i}`, ["x".repeat(500)]])
      const file = yield* write(columns, [batchOf(columns, rows)])
      const reads: Reads = []
      const opened = yield* openArrow("arrow", [fileOf(file, { reads })], { select: ["text", "id"], limit: 2999 })
      assert.deepStrictEqual(opened.columns, [columns[2]!, columns[0]!])
      assert.strictEqual(opened.count, 2999)
      const before = reads.length
      const read = rowsOf(yield* Stream.runCollect(opened.batches))
      assert.deepStrictEqual(read, rows.slice(0, 2999).map(([id, , text]) => [text, id]))
      const fetched = reads.slice(before).reduce((sum, [start, end]) => sum + end - start, 0)
      assert.isBelow(fetched, 100_000)
      assert.isAbove(file.length, 3_500_000)
    }))

  it.effect("reads no record batch beyond the limit", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "v", type: "vector" }]
      const rows = Array.from({ length: 2000 }, (_, i) => [new Float32Array(9000).fill(i)])
      const file = yield* write(columns, batchesOf({ columns, rows }, 500))
      const reads: Reads = []
      const opened = yield* openArrow("arrow", [fileOf(file, { reads })], { limit: 3 })
      assert.strictEqual(opened.count, 3)
      const before = reads.length
      assert.strictEqual(rowsOf(yield* Stream.runCollect(opened.batches)).length, 3)
      assert.strictEqual(reads.length - before, 1)
    }))

  it.effect("cuts batches at 5,000 rows and about 4 MB, by the rows that are large", () =>
    Effect.gen(function*() {
      const table = new Arrow.Table({
        n: Arrow.makeVector(Int32Array.from({ length: 12_000 }, (_, i) => i)),
        t: Arrow.vectorFromArray(
          Array.from({ length: 12_000 }, (_, i) => (i < 100 ? "x".repeat(200_000) : "y")),
          new Arrow.Utf8()
        )
      })
      for (const file of [fileBy(table), streamBy(table)]) {
        const { batches } = yield* read(file)
        for (const { columns: [, texts], length } of batches) {
          assert.isAtMost(length, 5000)
          assert.isAtMost(texts!.reduce<number>((sum, text) => sum + String(text).length, 0), 4 * 1024 * 1024)
        }
        const numbers = batches.flatMap((batch) => batch.columns[0]!)
        assert.deepStrictEqual(numbers, Array.from({ length: 12_000 }, (_, i) => i))
        assert.isBelow(batches.length, 20)
      }
    }))

  it.effect("reads record batch by record batch", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "v", type: "vector" }]
      const rows = Array.from({ length: 400 }, (_, i) => [new Float32Array(20_000).fill(i)])
      const batches = batchesOf({ columns, rows }, 50)
      const file = yield* write(columns, batches)
      const reads: Reads = []
      const opened = yield* openArrow("arrow", [fileOf(file, { reads })], {})
      const before = reads.length
      yield* Stream.runHead(opened.batches)
      assert.isAtMost(reads.length - before, 1)
      const stream = Buffer.concat(yield* Stream.runCollect(RowsFile.encode(columns, Stream.fromIterable(batches))))
      let taken = 0
      const source = fileOf(stream, { pieceSize: 64 * 1024 })
      const bytes = source.bytes.pipe(Stream.rechunk(1), Stream.tap(() => Effect.sync(() => taken++)))
      const counted = { ...source, bytes }
      yield* Stream.runHead((yield* openArrow("arrow", [counted], {})).batches)
      assert.isBelow(taken * 64 * 1024, stream.length / 2)
    }))

  it.effect("reads typed rows, whose values it checks", () =>
    Effect.gen(function*() {
      const columns = Schema.Struct({
        f64: Schema.NullOr(Schema.Finite),
        i8: Schema.NullOr(Schema.BigInt),
        ts: Schema.NullOr(Schema.Date),
        date32: Schema.NullOr(Schema.Date),
        date64: Schema.NullOr(Schema.String),
        tsutc: Schema.NullOr(Schema.String),
        json: Schema.NullOr(Schema.String),
        dict: Schema.NullOr(Schema.Literals(["x", "y"])),
        ddate: Schema.NullOr(Schema.Date),
        lf: Schema.NullOr(Schema.Array(Schema.NullOr(Schema.Finite))),
        st: Schema.NullOr(
          Schema.Struct({ a: Schema.NullOr(Schema.Int), b: Schema.NullOr(Schema.Array(Schema.String)) })
        ),
        map: Schema.NullOr(Schema.Array(Schema.Struct({ key: Schema.String, value: Schema.Int })))
      })
      const { rows } = yield* read(pyarrowFiles.all, { columns })
      assert.deepStrictEqual(rows[0], [
        0.1,
        1n,
        new Date("2026-11-23T12:30:00Z"),
        new Date("2026-11-23"),
        "2026-11-23T00:00:00.000Z",
        "2026-11-23T12:30:00.000Z",
        "{\"a\":1}",
        "x",
        new Date("2026-11-23"),
        [0.5, 1],
        { a: 1, b: ["x"] },
        [{ key: "k", value: 1 }]
      ])
      const why = (columns: Schema.Constraint) => messageOf(pyarrowFiles.all, { columns })
      assert.strictEqual(
        yield* why(Schema.Struct({ i64: Schema.NullOr(Schema.Int) })),
        "memory:file, row 3, column \"i64\": the value is beyond what a number holds exactly"
      )
      assert.strictEqual(
        yield* why(Schema.Struct({ s: Schema.String })),
        "memory:file, row 2, column \"s\": the value is missing, and the column's schema has no null"
      )
      assert.include(
        yield* why(Schema.Struct({ s: Schema.Int })),
        "column \"s\": the column is string, and `columns` declares other values"
      )
      assert.include(yield* why(Schema.Struct({ dict: Schema.NullOr(Schema.Literal("x")) })), "row 3, column \"dict\"")
    }))

  it.effect("reads a list of floats with null elements as a list where it is declared so", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* messageOf(pyarrowFiles.allStream, { select: ["s", "lfn"] }),
        "memory:file, row 1, column \"lfn\": an element of the vector is null: " +
          "declare the column as an array whose elements admit null, or leave it out"
      )
      const columns = Schema.Struct({ lfn: Schema.NullOr(Schema.Array(Schema.NullOr(Schema.Number))) })
      assert.deepStrictEqual((yield* read(pyarrowFiles.allStream, { columns })).rows, [[[0.5, null]], [null], [[]]])
    }))

  it.effect("reads several files with the same columns, in any order", () =>
    inFolder((file, path) =>
      Effect.gen(function*() {
        const columns: ReadonlyArray<Column> = [{ name: "a", type: "integer" }, { name: "b", type: "string" }]
        const turned = [columns[1]!, columns[0]!]
        yield* file("d/1.arrow", yield* write(columns, [batchOf(columns, [[1, "x"], [2, null]])]))
        yield* file("d/2.feather", yield* write(turned, [batchOf(turned, [["y", 3]])]))
        yield* file("d/_hidden.arrow", "no")
        const rows = yield* readAll(arrow(`${path}/d/`, { limit: 3 }))
        assert.deepStrictEqual(rows, [{ a: 1, b: "x" }, { a: 2, b: null }, { a: 3, b: "y" }])
        assert.strictEqual((yield* readAll(arrow(`${path}/d/`, { limit: 1 }))).length, 1)
        const typed = arrow([`${path}/d/1.arrow`], { columns: Schema.Struct({ b: Schema.NullOr(Schema.String) }) })
        assert.deepStrictEqual(yield* readAll(typed), [{ b: "x" }, { b: null }])

        const other: ReadonlyArray<Column> = [{ name: "a", type: "int32" }, { name: "b", type: "string" }]
        const three = yield* file("3.arrow", yield* write(other, []))
        const wrong = yield* faultOf(arrow([`${path}/d/1.arrow`, three]))
        assert.include(wrong.message, "3.arrow, column \"a\": the column is int32 here, and integer in file://")
        const four = yield* file("4.arrow", yield* write(columns.slice(0, 1), []))
        const lacking = yield* faultOf(arrow([`${path}/d/1.arrow`, four]))
        assert.include(lacking.message, "4.arrow, column \"b\": the file lacks the column")
        const more = yield* faultOf(arrow([four, `${path}/d/1.arrow`]))
        assert.include(more.message, "1.arrow, column \"b\": ")
      })
    ))

  it.effect("takes a list of floats for a list in all files where one of them has null elements", () =>
    Effect.gen(function*() {
      const type = new Arrow.List(new Arrow.Field("item", new Arrow.Float32(), true))
      const tableOf = (...lists: ReadonlyArray<ReadonlyArray<number | null>>) =>
        fileBy(new Arrow.Table({ v: Arrow.vectorFromArray(lists, type) }))
      const files = [fileOf(tableOf([1, 2])), fileOf(tableOf([3, null]))]
      const opened = yield* openArrow("arrow", files, {})
      assert.deepStrictEqual(opened.columns, [{ name: "v", type: { type: "list", element: "float32" } }])
      assert.deepStrictEqual(rowsOf(yield* Stream.runCollect(opened.batches)), [[[1, 2]], [[3, null]]])
      assert.strictEqual((yield* open(tableOf([1]))).columns[0]!.type, "vector")
    }))

  it.effect("takes a column of nulls alone for one of the type that is declared, or that other files have", () =>
    Effect.gen(function*() {
      const nulls = fileBy(new Arrow.Table({ c: Arrow.vectorFromArray([null, null], new Arrow.Null()) }))
      const ints = fileBy(new Arrow.Table({ c: Arrow.vectorFromArray([1, 2], new Arrow.Int32()) }))
      for (const files of [[nulls, ints], [ints, nulls]]) {
        const opened = yield* openArrow("arrow", files.map((bytes) => fileOf(bytes)), {})
        assert.deepStrictEqual(opened.columns, [{ name: "c", type: "int32" }])
        const rows = rowsOf(yield* Stream.runCollect(opened.batches))
        assert.deepStrictEqual(rows.filter(([value]) => value !== null), [[1], [2]])
        assert.strictEqual(rows.length, 4)
      }
      const columns = Schema.Struct({ c: Schema.NullOr(Schema.Int) })
      const declared = yield* read(nulls, { columns })
      assert.deepStrictEqual(declared.columns, [{ name: "c", type: "integer" }])
      assert.deepStrictEqual(declared.rows, [[null], [null]])
    }))

  it.effect("has an identity of content and options", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const columns: ReadonlyArray<Column> = [{ name: "a", type: "int32" }, { name: "b", type: "int32" }]
        const one = yield* file("1.arrow", yield* write(columns, [batchOf(columns, [[1, 2]])]))
        const same = yield* file("2.arrow", yield* write(columns, [batchOf(columns, [[1, 2]])]))
        const identityOf = (source: ReturnType<typeof arrow>) =>
          Effect.scoped(Effect.map(source.open, ({ identity }) => identity))
        const identity = yield* identityOf(arrow(one))
        assert.strictEqual(yield* identityOf(arrow(same)), identity)
        assert.notStrictEqual(yield* identityOf(arrow(one, { select: ["a", "b"] })), identity)
        assert.notStrictEqual(yield* identityOf(arrow(one, { limit: 1 })), identity)
        const declared = Schema.Struct({ a: Schema.Int, b: Schema.Int })
        assert.notStrictEqual(yield* identityOf(arrow(one, { columns: declared })), identity)
      })
    ))

  it.effect("reads a key of the store", () =>
    inFolder(() =>
      Effect.gen(function*() {
        const store = yield* ObjectStore
        yield* store.create("data/rows.arrow", pyarrowFiles.deltas)
        assert.deepStrictEqual(yield* readAll(arrow("store://data/rows.arrow")), [
          { d: "a" },
          { d: "b" },
          { d: "c" },
          { d: "a" }
        ])
      })
    ))

  it.effect("refuses options and columns that cannot be", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file("a.arrow", pyarrowFiles.deltas)
        const pathOf = (options: unknown) =>
          Effect.map(reasonOf(Effect.scoped(arrow(path, options as { readonly limit: number }).open)), (reason) =>
            reason._tag === "InvalidOption" ? reason.path : reason._tag)
        assert.strictEqual(yield* pathOf(null), "options")
        assert.strictEqual(yield* pathOf({ limit: 0 }), "limit")
        assert.strictEqual(yield* pathOf({ select: [] }), "select")
        assert.strictEqual(yield* pathOf({ select: ["d"], columns: Schema.Struct({ d: Schema.String }) }), "select")
        assert.strictEqual(yield* pathOf({ columns: Schema.String }), "columns")
        assert.strictEqual(yield* pathOf({ select: ["e"] }), "InvalidColumns")
        assert.strictEqual(yield* pathOf({ columns: Schema.Struct({ e: Schema.String }) }), "InvalidColumns")
      })
    ))

  it.effect("refuses two columns of one name, unless others are selected", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = ["a", "a", "b"].map((name) => ({ name, type: "int32" }))
      const file = yield* write(columns, [batchOf(columns, [[1, 2, 3]])])
      const twice = "memory:file, column \"a\": two columns of the file have this name"
      assert.strictEqual(yield* messageOf(file), twice)
      assert.strictEqual(yield* messageOf(file, { select: ["a"] }), twice)
      assert.deepStrictEqual((yield* read(file, { select: ["b"] })).rows, [[3]])
    }))

  it.effect("says what is wrong with bytes that are something else, or cut off", () =>
    Effect.gen(function*() {
      const file = pyarrowFiles.all
      const stream = pyarrowFiles.allStream
      const select = ["s"]
      const cases: ReadonlyArray<readonly [bytes: Uint8Array, message: string]> = [
        [new Uint8Array(0), "the file is empty"],
        [Buffer.from("ARR"), "the file ends before its schema"],
        [Buffer.from("a,b\n1,2\n3,4\n"), "the file is no Arrow IPC file and no Arrow IPC stream"],
        [Buffer.from("PAR1aaaaaaaaaaaaaaaaaaaPAR1"), "the file is no Arrow IPC file and no Arrow IPC stream"],
        [Buffer.from("FEA1aaaaaaaaaaaaaaaaaaaFEA1"), "the file is in Feather's first version"],
        [Buffer.from("ARROW1\0\0"), "the file ends before its footer"],
        [Buffer.from("ARROW1\0\0\0\0\0\0ARROW1"), "the footer has no size"],
        [file.subarray(0, file.length - 1), "the file ends before its footer"],
        [file.subarray(0, 5000), "the file ends before its footer"],
        [Buffer.concat([file.subarray(0, 8), file.subarray(1000)]), "a message cannot be read"],
        [file.subarray(6000), "the file is no Arrow IPC file"],
        [Buffer.concat([file.subarray(0, 8), file.subarray(7000)]), "the footer points outside of the file"],
        [stream.subarray(0, 1000), "the file ends before its schema"],
        [stream.subarray(0, stream.length - 400), "a message is longer than the rest of the file: it was cut off"],
        [stream.subarray(0, stream.length - 8), "the stream has no end: it was cut off"],
        [stream.subarray(0, stream.length - 4), "the stream has no end: it was cut off"],
        [stream.subarray(0, 4), "the file ends before its schema"],
        [Buffer.concat([stream, stream]), "another stream follows in the same file"],
        [Buffer.from([255, 255, 255, 255, 0, 0, 0, 0]), "the file ends before its schema"],
        [Buffer.from([255, 255, 255, 255, 0, 0, 0, 128]), "a message has no size"]
      ]
      for (const [bytes, message] of cases) {
        assert.include(yield* messageOf(bytes, { select }), `memory:file: ${message}`)
      }
      const padded = yield* read(Buffer.concat([stream, new Uint8Array(16)]), { select })
      assert.deepStrictEqual(padded.rows, [["a"], [null], ["é😀"]])
    }))

  it.effect("meets any damage with a typed failure or with rows, in little time and memory", () =>
    Effect.gen(function*() {
      let seed = 11
      const next = (below: number): number => (seed = (seed * 1103515245 + 12345) % 2147483648) % below
      const ours = yield* write(everyType, [batchOf(everyType, nastyRows)])
      const files = [pyarrowFiles.all, pyarrowFiles.allStream, pyarrowFiles.allZstd, pyarrowFiles.allLz4, ours]
      for (let i = 0; i < 400; i++) {
        const damaged = Buffer.from(files[i % files.length]!)
        for (let k = 0; k < 1 + next(3); k++) damaged[next(damaged.length)] = [0, 1, 127, 128, 255, next(256)][next(6)]!
        const exit = yield* Effect.exit(read(damaged, i % 3 === 0 ? {} : { limit: 100 }))
        if (exit._tag === "Failure") {
          for (const reason of exit.cause.reasons) {
            assert.strictEqual(reason._tag === "Fail" ? reason.error.reason._tag : reason._tag, "InvalidSource")
          }
        }
      }
    }))

  it.effect("tells a file that changed from one that is damaged", () =>
    Effect.gen(function*() {
      const file = fileOf(pyarrowFiles.all.subarray(0, 5000))
      const changed = { ...file, unchanged: Effect.flatMap(open(new Uint8Array(0)), () => Effect.void) }
      const reason = yield* reasonOf(openArrow("arrow", [changed], {}))
      assert.include(reason.message, "the file is empty")
    }))

  it.effect("refuses values that their types do not have, by row", () =>
    Effect.gen(function*() {
      const one = (type: Arrow.DataType, data: unknown): Uint8Array => {
        const vector = new Arrow.Vector([Arrow.makeData({ type, length: 3, nullCount: 0, data } as never)])
        return fileBy(new Arrow.Table({ c: vector }))
      }
      const text = (bytes: ReadonlyArray<number>, ends: ReadonlyArray<number>): Uint8Array => {
        const valueOffsets = Int32Array.from(ends)
        const data = Arrow.makeData({ type: new Arrow.Utf8(), length: 3, valueOffsets, data: Uint8Array.from(bytes) })
        return fileBy(new Arrow.Table({ c: new Arrow.Vector([data]) }))
      }
      const decimals = Uint32Array.of(1, 0, 0, 0, 99, 0, 0, 0, 100, 0, 0, 0)
      const cases: ReadonlyArray<readonly [bytes: Uint8Array, message: string]> = [
        [one(new Arrow.TimeSecond(), Int32Array.of(0, 86_400, 0)), "row 2, column \"c\": the time is not within a day"],
        [one(new Arrow.TimeNanosecond(), BigInt64Array.of(0n, 0n, -1n)), "row 3, column \"c\": the time is not"],
        [one(new Arrow.DateMillisecond(), BigInt64Array.of(0n, 2n ** 60n, 0n)), "row 2, column \"c\": the value is"],
        [one(new Arrow.Decimal(0, 2, 128), decimals), "row 3, column \"c\": the value has more than the 2 digits"],
        [text([97, 0xff, 98], [0, 1, 2, 3]), "row 2, column \"c\": the text is not UTF-8"],
        // The parts of a character, of which the whole would be UTF-8.
        [text([97, 0xc3, 0xa9], [0, 1, 2, 3]), "row 2, column \"c\": the text is not UTF-8"]
      ]
      for (const [bytes, message] of cases) assert.include(yield* messageOf(bytes), message)
    }))

  it.effect("says which text of a JSON column is not JSON, and does not quote it", () =>
    Effect.gen(function*() {
      const columns: ReadonlyArray<Column> = [{ name: "j", type: "json" }]
      const file = yield* write(columns, [batchOf(columns, [[1], ["secret"]])])
      const damaged = Buffer.from(file.toString("latin1").replace("\"secret\"", "\"secret "), "latin1")
      const reason = yield* reasonOf(read(damaged))
      assert.strictEqual(reason.message, "memory:file, row 2, column \"j\": the text is not JSON")
      assert.notInclude(JSON.stringify(reason), "secret")
    }))
})
