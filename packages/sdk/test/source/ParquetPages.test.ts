import { assert, describe, it } from "@effect/vitest"
import * as Arrow from "apache-arrow"
import { Effect } from "effect"
import { brotliCompressSync, constants, gzipSync, zstdCompressSync } from "node:zlib"
import { Compression, Table, writeParquet, WriterPropertiesBuilder, WriterVersion } from "parquet-wasm"
import { codecs, converted, type Page, parquetFile, physical, repetition, slices } from "./parquetFile.ts"
import { faultOf, memoryFile, read, valuesOf } from "./parquetRig.ts"

/** More than 16 MB, so that pages are read piece by piece. */
const count = 60_000
const texts = Array.from({ length: count }, (_, i) => `${i} ${"some words to repeat é ".repeat(8 + (i % 9))}`)
const plain = Buffer.concat(texts.map((text) => slices(text)))

const fileOf = (codec: number, body: Buffer, options: Partial<Page> = {}) =>
  parquetFile([{ name: "t", physical: physical.bytes, converted: converted.utf8 }], [{
    rows: count,
    chunks: [{
      path: ["t"],
      physical: physical.bytes,
      codec,
      pages: [{ count, body, size: plain.length, crc: true, ...options }]
    }]
  }])

const same = (values: ReadonlyArray<unknown>): boolean =>
  values.length === count && values.every((text, i) => text === texts[i])

describe("large pages of Parquet", () => {
  const quick = { [constants.BROTLI_PARAM_QUALITY]: 1 }
  const compress: ReadonlyArray<readonly [name: string, codec: number, compress: (bytes: Buffer) => Uint8Array]> = [
    ["none", codecs.none, (bytes) => bytes],
    ["gzip", codecs.gzip, (bytes) => gzipSync(bytes, { level: 1 })],
    ["brotli", codecs.brotli, (bytes) => brotliCompressSync(bytes, { params: quick })],
    ["zstd", codecs.zstd, (bytes) => zstdCompressSync(bytes)]
  ]
  for (const [name, codec, run] of compress) {
    it.effect(`are read piece by piece with ${name}`, () =>
      Effect.gen(function*() {
        const body = Buffer.from(run(plain))
        const file = fileOf(codec, body)
        assert.isTrue(same(valuesOf(yield* read(file), "t")))
        assert.deepStrictEqual(valuesOf(yield* read(file, { limit: 3 }), "t"), texts.slice(0, 3))
        const cut = fileOf(codec, body.subarray(0, body.length / 2))
        assert.deepInclude(yield* faultOf(read(cut)), { problem: "malformed", column: "t" })
      }))
  }

  it.effect("are refused where their size or their checksum is not what the header says", () =>
    Effect.gen(function*() {
      const body = zstdCompressSync(plain)
      for (const options of [{ size: plain.length + 1 }, { size: plain.length - 1 }, { crc: 7 }]) {
        const fault = yield* faultOf(read(fileOf(codecs.zstd, body, options)))
        assert.deepInclude(fault, { problem: "malformed", column: "t" })
      }
    }))

  const written = [["Snappy", Compression.SNAPPY], ["LZ4", Compression.LZ4_RAW], ["zstd", Compression.ZSTD]] as const
  for (const [name, codec] of written) {
    for (const version of [WriterVersion.V1, WriterVersion.V2]) {
      it.effect(`are read as arrow-rs writes version ${version + 1} with ${name}`, () =>
        Effect.gen(function*() {
          // arrow-rs puts 20,000 rows in a page.
          const long = texts.slice(0, 20_000).map((text, i) => (i % 10 === 0 ? null : text.repeat(4)))
          const table = new Arrow.Table({ t: Arrow.vectorFromArray(long, new Arrow.Utf8()) })
          const properties = new WriterPropertiesBuilder().setWriterVersion(version).setCompression(codec)
            .setDictionaryEnabled(false).setDataPageSizeLimit(2 ** 28).build()
          const file = writeParquet(Table.fromIPCStream(Arrow.tableToIPC(table, "stream")), properties)
          assert.deepStrictEqual(valuesOf(yield* read(file), "t"), long)
          const damaged = Uint8Array.from(file)
          const middle = Math.floor(damaged.length / 2)
          damaged.fill(255, middle, middle + 100)
          const fault = yield* faultOf(Effect.asVoid(read(damaged)))
          assert.deepInclude(fault, { problem: "malformed", column: "t" })
        }))
    }
  }

  it.effect("hold lists of floats", () =>
    Effect.gen(function*() {
      const rows = 3000
      const dimensions = 1500
      const values = Float32Array.from({ length: rows * dimensions }, (_, i) => i)
      const levels = (level: (i: number) => number) => {
        // Runs of the first element of a row, and of the others.
        const parts: Array<number> = []
        const others = [((dimensions - 1) * 2) % 128 + 128, (dimensions - 1) >> 6]
        for (let i = 0; i < rows; i++) parts.push(2, level(0), ...others, level(1))
        const length = Buffer.alloc(4)
        length.writeUInt32LE(parts.length)
        return Buffer.concat([length, Buffer.from(parts)])
      }
      const pages = [{
        count: values.length,
        body: Buffer.concat([levels((i) => i), levels(() => 1), Buffer.from(values.buffer)])
      }]
      const file = parquetFile(
        [
          { name: "v", children: 1, converted: converted.list },
          { name: "list", repetition: repetition.repeated, children: 1 },
          { name: "element", physical: physical.float }
        ],
        [{
          rows,
          chunks: [{ path: ["v", "list", "element"], physical: physical.float, pages }]
        }]
      )
      const result = yield* read(file)
      assert.strictEqual(result.rows.length, rows)
      assert.isTrue(valuesOf(result, "v").every((vector, i) =>
        vector instanceof Float32Array && vector.length === dimensions && vector[0] === i * dimensions &&
        vector[dimensions - 1] === (i + 1) * dimensions - 1
      ))
      assert.isAtMost(Math.max(...result.batches.map(({ length }) => length)), 800)
    }))
})

describe("large row groups of Parquet", () => {
  it.effect("are fetched in rounds, each byte once", () =>
    Effect.gen(function*() {
      const rows = 12
      const large = Buffer.alloc(3 * 1024 * 1024, "x")
      const small = Buffer.alloc(1024 * 1024, "y")
      const column = (name: string, value: Buffer) => ({
        path: [name],
        physical: physical.bytes,
        pages: Array.from({ length: rows }, () => ({ count: 1, body: slices(value) }))
      })
      const file = parquetFile(
        ["a", "b", "c"].map((name) => ({ name, physical: physical.bytes })),
        [{ rows, chunks: [column("a", large), column("b", small), column("c", large)] }]
      )
      const reads: Array<readonly [number, number]> = []
      const result = yield* read(memoryFile(file, { reads }))
      assert.isTrue(result.rows.every(({ a, b, c }) =>
        large.equals(a as Uint8Array) && small.equals(b as Uint8Array) && large.equals(c as Uint8Array)
      ))
      const [, ...fetched] = reads
      assert.isAbove(fetched.length, 10)
      assert.isTrue(fetched.every(([start, end]) => end - start <= 8 * 1024 * 1024))
      const sorted = fetched.toSorted(([a], [b]) => a - b)
      assert.strictEqual(sorted[0]![0], 4)
      for (let i = 1; i < sorted.length; i++) assert.strictEqual(sorted[i]![0], sorted[i - 1]![1])
      // The columns are read in step: the last byte of the first one is not fetched before the others begin.
      const endOf = (at: number) => fetched.findIndex(([start, end]) => start <= at && at < end)
      assert.isAbove(endOf(rows * 3 * 1024 * 1024), endOf(file.length - rows * 3 * 1024 * 1024))
    }))

  it.effect("have rows that are null in billions without memory for them", () =>
    Effect.gen(function*() {
      const rows = 2 ** 31 - 1
      const run = Buffer.from([6, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0])
      const file = parquetFile([{ name: "n", repetition: repetition.optional, physical: physical.double }], [{
        rows,
        chunks: [{ path: ["n"], physical: physical.double, pages: [{ count: rows, body: run }] }]
      }])
      const result = yield* read(file, { limit: 12_000 })
      assert.strictEqual(result.count, 12_000)
      assert.deepStrictEqual([...new Set(valuesOf(result, "n"))], [null])
    }))

  it.effect("are refused where a row has billions of elements", () =>
    Effect.gen(function*() {
      const count = 2 ** 31 - 1
      const run = (level: number) => Buffer.from([6, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f, level])
      const first = Buffer.from([8, 0, 0, 0, 2, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f, 1])
      const file = parquetFile(
        [
          { name: "l", children: 1, converted: converted.list },
          { name: "list", repetition: repetition.repeated, children: 1 },
          { name: "element", repetition: repetition.optional, physical: physical.double }
        ],
        [{
          rows: 1,
          chunks: [{
            path: ["l", "list", "element"],
            physical: physical.double,
            pages: [{ count, body: Buffer.concat([first, run(1)]) }]
          }]
        }]
      )
      assert.include((yield* faultOf(read(file))).message, "a row has more than")
    }))
})

