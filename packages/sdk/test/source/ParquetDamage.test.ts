import { assert, describe, it } from "@effect/vitest"
import * as Arrow from "apache-arrow"
import { Effect, Stream } from "effect"
import { Compression, Table, writeParquet, WriterPropertiesBuilder, WriterVersion } from "parquet-wasm"
import type { BatchError } from "../../src/BatchError.ts"
import { make } from "../../src/sink/Parquet.ts"
import { invalidSource } from "../../src/source/internal/Failures.ts"
import { batchOf, everyType, nastyRows, rowsOf } from "../rig/AnyTable.ts"
import {
  type Chunk,
  codecs,
  converted,
  type Element,
  encodings,
  int32s,
  type Page,
  parquetFile,
  physical,
  repetition,
  runs,
  slices
} from "./parquetFile.ts"
import { faultOf, memoryFile, read, reasonOf, valuesOf } from "./parquetRig.ts"

const int: Element = { name: "n", physical: physical.int32 }

const fileOf = (
  pages: ReadonlyArray<Page>,
  rows: number,
  options: Partial<Omit<Chunk, "path" | "pages">> & { readonly element?: Element } = {}
) => {
  const { element = int, ...chunk } = options
  return parquetFile([element], [{
    rows,
    chunks: [{ path: [element.name], physical: element.physical!, pages, ...chunk }]
  }])
}

const page = (...values: ReadonlyArray<number>): Page => ({ count: values.length, body: int32s(...values) })

describe("damaged Parquet", () => {
  const good = fileOf([page(1, 2, 3)], 3)
  const cases: ReadonlyArray<readonly [what: string, file: Uint8Array, message: string]> = [
    ["an empty file", new Uint8Array(0), "too short"],
    ["a file of another kind", Buffer.from("id,text\n1,some text that is long enough\n"), "no Parquet file"],
    ["a file that was not written to its end", good.subarray(0, good.length - 5), "no Parquet file"],
    ["a footer longer than the file", parquetFile([int], [], { footerBytes: 2 ** 31 - 1 }), "cannot hold"],
    ["a footer that is cut", parquetFile([int], [], { footerBytes: 20 }), "damaged"],
    ["an encrypted file", parquetFile([int], [], { magic: "PARE" }), "encrypted"],
    ["an encrypted column", parquetFile([int], [{
      rows: 1,
      chunks: [{ path: ["n"], physical: physical.int32, pages: [page(1)], encrypted: true }]
    }]), "encrypted"],
    ["a codec that is not supported", fileOf([page(1)], 1, { codec: codecs.lzo }), "codec LZO"],
    ["a codec that does not exist", fileOf([page(1)], 1, { codec: 42 }), "codec"],
    ["an encoding that does not exist", fileOf([{ ...page(1), encoding: encodings.unknown }], 1), "encoding"],
    ["an encoding that is not for the type", fileOf([{ ...page(1), encoding: encodings.deltaBytes }], 1), "encoding"],
    ["levels in an encoding of long ago", fileOf([{ ...page(1), levelEncoding: encodings.bitPacked }], 1, {
      element: { ...int, repetition: repetition.optional }
    }), "BIT_PACKED"],
    ["two columns of one name", parquetFile([int, int], []), "two columns have this name"],
    ["two fields of one name", parquetFile([{ name: "s", children: 2 }, int, int], []), "two columns have this name"],
    ["no columns", parquetFile([], []), "no columns"],
    ["a schema that ends early", parquetFile([int], [], { columns: 3 }), "schema"],
    ["a schema that goes on", parquetFile([int, { ...int, name: "m" }], [], { columns: 1 }), "schema"],
    ["a column without a type", parquetFile([{ name: "n" }], []), "no type"],
    ["a decimal without a precision", parquetFile([{ ...int, converted: converted.decimal }], []), "precision"],
    ["row groups with other rows than the file", parquetFile([int], [], { rows: 7 }), "7 rows"],
    ["a column with fewer values than rows", fileOf([page(1, 2)], 3), "2 values for 3 rows"],
    ["a row group without one of the columns", parquetFile([int, { ...int, name: "m" }], [{
      rows: 1,
      chunks: [{ path: ["n"], physical: physical.int32, pages: [page(1)] }]
    }]), "has 1 columns"],
    ["another column in the place of one", parquetFile([int], [{
      rows: 1,
      chunks: [{ path: ["m"], physical: physical.int32, pages: [page(1)] }]
    }]), "another column"],
    ["a column outside of the file", fileOf([page(1)], 1, { start: 10_000 }), "outside"],
    ["a column in the footer", fileOf([page(1)], 1, { bytes: 200 }), "outside"],
    ["pages with fewer values than the footer says", fileOf([page(1, 2)], 3, { values: 3 }), "before its last row"],
    ["pages with more values than the footer says", fileOf([page(1, 2, 3)], 2, { values: 2 }), "more values"],
    ["a page longer than its column", fileOf([{ ...page(1), stored: 500, size: 500 }], 1), "longer than its column"],
    ["a page of another size than its header says", fileOf([{ ...page(1), size: 5 }], 1), "has 4 bytes"],
    ["a page of an absurd size", fileOf([{ ...page(1), size: 2 ** 31 - 1 }], 1, { codec: codecs.zstd }), "too large"],
    ["a page that ends before its values", fileOf([{ ...page(1), count: 2 }], 2), "ends before its values"],
    ["a page that ends within a text", fileOf([{ count: 1, body: slices("abc").subarray(0, 5) }], 1, {
      element: { ...int, physical: physical.bytes }
    }), "ends before its values"],
    ["a page that ends within its levels", fileOf([{ count: 3, body: runs([1, 1]) }], 3, {
      element: { ...int, repetition: repetition.optional }
    }), "levels"],
    ["levels that are out of range", fileOf([{ count: 1, body: runs([5]) }], 1, {
      element: { ...int, repetition: repetition.optional }
    }), "out of range"],
    ["a dictionary that is not there", fileOf([
      { count: 1, body: Buffer.of(1, 2, 0), encoding: encodings.dictionary }
    ], 1), "dictionary"],
    ["a dictionary that ends early", fileOf([
      { count: 1000, body: int32s(1), dictionary: true },
      { count: 1, body: Buffer.of(1, 2, 0), encoding: encodings.dictionary }
    ], 1), "dictionary ends"],
    ["compressed data that is none", fileOf([page(1)], 1, { codec: codecs.gzip }), "compressed data"],
    ["a Snappy page that expands without end", fileOf([
      { count: 1, body: Buffer.of(255, 255, 255, 255, 7, 0), size: 2 ** 30 }
    ], 1, { codec: codecs.snappy }), "compressed data"],
    ["an LZ4 page that expands without end", fileOf([{ count: 1, body: Buffer.alloc(64, 255), size: 2 ** 30 }], 1, {
      codec: codecs.lz4Raw
    }), "compressed data"],
    ["a checksum that is not that of the page", fileOf([{ ...page(1), crc: 1 }], 1), "checksum"]
  ]
  for (const [what, file, message] of cases) {
    it.effect(`is refused: ${what}`, () =>
      Effect.gen(function*() {
        const fault = yield* faultOf(read(memoryFile(file)))
        assert.deepInclude(fault, { problem: "malformed", uri: "memory://file.parquet" })
        assert.include(fault.message, message)
      }))
  }

  it.effect("names the row group, the row and the column", () =>
    Effect.gen(function*() {
      const group = (body: Buffer) => ({
        rows: 2,
        chunks: [{ path: ["n"], physical: physical.int32, pages: [{ count: 1, body: int32s(1) }, { count: 1, body }] }]
      })
      const fault = yield* faultOf(read(parquetFile([int], [group(int32s(1)), group(int32s())])))
      assert.deepInclude(fault, { row: 4, column: "n" })
      assert.include(fault.message, "row group 2")
    }))

  it.effect("takes checksums that are right", () =>
    Effect.gen(function*() {
      const result = yield* read(fileOf([{ ...page(1), crc: true }, { ...page(2), crc: true }], 2))
      assert.deepStrictEqual(valuesOf(result, "n"), [1, 2])
    }))

  it.effect("is told from a file that changes while it is read", () =>
    Effect.gen(function*() {
      const changed = invalidSource("parquet", "failed", "the file changed", { uri: "memory://file.parquet" })
      for (const file of [good, good.subarray(0, good.length - 1), fileOf([{ ...page(1), size: 5 }], 1)]) {
        const reason = yield* reasonOf(read({ ...memoryFile(file), unchanged: Effect.fail(changed) }))
        assert.deepInclude(reason, { problem: "failed", message: "memory://file.parquet: the file changed" })
      }
    }))

  it.effect("passes on the failure of a read that comes later", () =>
    Effect.gen(function*() {
      const failure = invalidSource("parquet", "failed", "the connection broke", { uri: "memory://file.parquet" })
      const file = memoryFile(good)
      let reads = 0
      const reason = yield* reasonOf(read({
        ...file,
        range: (start, end) => (++reads > 1 ? Effect.fail(failure) : file.range(start, end))
      }))
      assert.deepInclude(reason, { problem: "failed" })
    }))

  describe("bytes that are changed or cut", () => {
    const arrow = (version: WriterVersion, codec: Compression) => {
      const list = new Arrow.List(new Arrow.Field("e", new Arrow.Int32(), true))
      const table = new Arrow.Table({
        text: Arrow.vectorFromArray(["a", null, "some text", "a", "é"], new Arrow.Utf8()),
        n: Arrow.vectorFromArray([1n, 2n, null, 3n, -1n], new Arrow.Int64()),
        list: Arrow.vectorFromArray([[1], null, [], [null, 2], [3]], list)
      })
      const properties = new WriterPropertiesBuilder().setWriterVersion(version).setCompression(codec).build()
      const ipc = Arrow.tableToIPC(table, "stream")
      return Effect.succeed(Buffer.from(writeParquet(Table.fromIPCStream(ipc), properties)))
    }
    const files: ReadonlyArray<readonly [what: string, file: Effect.Effect<Buffer, BatchError>]> = [
      ["our own file", Effect.map(
        Stream.runCollect(make().encode(everyType, Stream.make(batchOf(everyType, nastyRows.slice(0, 3))))),
        (pieces) => Buffer.concat(pieces)
      )],
      ["arrow-rs without compression", arrow(WriterVersion.V1, Compression.UNCOMPRESSED)],
      ["arrow-rs with Snappy", arrow(WriterVersion.V2, Compression.SNAPPY)],
      ["arrow-rs with gzip", arrow(WriterVersion.V1, Compression.GZIP)]
    ]
    /** Whatever happens is a typed failure, or rows. */
    const outcome = (content: Buffer) =>
      read(content).pipe(
        Effect.map(({ batches, count }) => {
          const rows = rowsOf(batches)
          assert.strictEqual(rows.length, count)
          return rows
        }),
        Effect.catch((error) => {
          assert.include(["InvalidSource", "InvalidColumns"], error.reason._tag)
          return Effect.succeed(null)
        })
      )
    for (const [what, make] of files) {
      it.effect(`fail with a typed error or leave rows: ${what}`, () =>
        Effect.gen(function*() {
          const file = yield* make
          const samples = 400
          let failed = 0
          for (let k = 0; k < samples; k++) {
            // Positions spread over the whole file.
            const at = Math.floor((k * 0.618034 % 1) * file.length)
            const changed = Buffer.from(file)
            changed[at] = changed[at]! ^ [1, 128, 255, 16][k % 4]!
            if ((yield* outcome(changed)) === null) failed++
            if (k % 4 === 0) assert.isNull(yield* outcome(file.subarray(0, at)))
          }
          assert.isAbove(failed, samples / 10)
        }))
    }

    it.effect("never give other rows where pages have checksums", () =>
      Effect.gen(function*() {
        const body = int32s(...Array.from({ length: 50 }, (_, i) => i))
        const file = fileOf([{ count: 50, body, crc: true }], 50)
        const start = file.indexOf(body)
        for (let at = start; at < start + body.length; at++) {
          const changed = Buffer.from(file)
          changed[at] = changed[at]! ^ 1
          assert.include((yield* faultOf(read(changed))).message, "checksum")
        }
      }))
  })
})
