import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { createHash } from "node:crypto"
import * as zlib from "node:zlib"
import type { BatchError } from "../../src/BatchError.ts"
import { contentOf } from "../../src/source/internal/Decompress.ts"
import type { SourceFile } from "../../src/source/internal/SourceFile.ts"

/** A file in memory, given in pieces. */
const fileOf = (bytes: Uint8Array, pieceSize: number, name = "a.csv"): SourceFile => {
  const pieces: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length; at += pieceSize) pieces.push(bytes.subarray(at, at + pieceSize))
  return {
    uri: `memory://${name}`,
    size: bytes.length,
    identity: name,
    description: {},
    bytes: Stream.fromIterable(pieces, { chunkSize: 1 }),
    from: (start) => Stream.succeed(bytes.subarray(start)),
    range: (start, end) => Effect.succeed(Uint8Array.from(bytes.subarray(start, end))),
    unchanged: Effect.void
  }
}

const read = (file: SourceFile) =>
  Effect.map(Stream.runCollect(contentOf("csv", file)), (pieces) => Buffer.concat(pieces))

const failureOf = (file: SourceFile) => Effect.map(Effect.flip(read(file)), (error) => error.message)

const noise = (bytes: number): Buffer => {
  const parts: Array<Buffer> = []
  for (let i = 0; i * 32 < bytes; i++) parts.push(createHash("sha256").update(String(i)).digest())
  return Buffer.concat(parts).subarray(0, bytes)
}

const texts = [
  Buffer.from("a\n1\n"),
  Buffer.alloc(0),
  Buffer.from("hello,world\n".repeat(50_000)),
  // The output ends where a buffer of the decompressor does.
  Buffer.alloc(512 * 1024, "x"),
  noise(300_000)
]

const pieceSizes = [1e9, 4096, 7, 1]

const kinds = [
  { name: "gzip", pack: (bytes: Uint8Array): Buffer => zlib.gzipSync(bytes) },
  { name: "zstd", pack: (bytes: Uint8Array): Buffer => zlib.zstdCompressSync(bytes) },
  {
    name: "zstd",
    pack: (bytes: Uint8Array): Buffer =>
      zlib.zstdCompressSync(bytes, {
        params: { [zlib.constants.ZSTD_c_checksumFlag]: 1 },
        pledgedSrcSize: bytes.length
      })
  }
]

const pieceSizesFor = (bytes: Uint8Array) => pieceSizes.filter((size) => bytes.length / size < 5000)

describe("contentOf", () => {
  it.effect("gives a file that is not compressed as it is", () =>
    Effect.gen(function*() {
      for (const text of texts) {
        for (const size of pieceSizesFor(text)) assert.isTrue(text.equals(yield* read(fileOf(text, size))))
      }
    }))

  for (const [i, { name, pack }] of kinds.entries()) {
    it.effect(`unpacks ${name} (${i}), in one part or several, whatever the file is called`, () =>
      Effect.gen(function*() {
        for (const text of texts) {
          const packed = pack(text)
          const several = Buffer.concat([packed, pack(Buffer.from("tail")), pack(Buffer.alloc(0)), packed])
          const whole = Buffer.concat([text, Buffer.from("tail"), text])
          for (const size of pieceSizesFor(several)) {
            for (const file of ["a", name === "gzip" ? "a.csv.gz" : "a.csv.ZST"]) {
              assert.isTrue(text.equals(yield* read(fileOf(packed, size, file))), `pieces of ${size}`)
              assert.isTrue(whole.equals(yield* read(fileOf(several, size, file))), `parts in pieces of ${size}`)
            }
          }
        }
      }))

    it.effect(`fails where ${name} (${i}) is cut, damaged, or followed by something else`, () =>
      Effect.gen(function*() {
        for (const text of texts) {
          const packed = pack(text)
          for (const size of pieceSizesFor(packed)) {
            for (const length of [packed.length - 1, packed.length - 5, packed.length >> 1, 4]) {
              if (length < 4 || length >= packed.length) continue
              const message = yield* failureOf(fileOf(packed.subarray(0, length), size))
              assert.include(message, `memory://a.csv: the ${name} data end too early`)
              const second = Buffer.concat([packed, packed.subarray(0, length)])
              assert.include(yield* failureOf(fileOf(second, size)), `the ${name} data end too early`)
            }
            for (const garbage of ["garbage!", "\0".repeat(20), "\0\0\0\0\0garbage", "a,b\n1,2\n"]) {
              const followed = Buffer.concat([packed, Buffer.from(garbage)])
              assert.match(yield* failureOf(fileOf(followed, size)), /are (followed by something else|damaged)/)
            }
            for (const short of ["g", "\x1f\x8b"]) {
              const followed = Buffer.concat([packed, Buffer.from(short, "latin1")])
              assert.match(yield* failureOf(fileOf(followed, size)), /are followed by|end too early|damaged/)
            }
          }
        }
        const packed = pack(noise(200_000))
        for (const at of [20, 1000, packed.length >> 1]) {
          const damaged = Buffer.from(packed)
          damaged.fill(0xff, at, at + 16)
          if (name === "gzip" || i === 2) assert.match(yield* failureOf(fileOf(damaged, 4096)), /are damaged|too early/)
        }
      }))
  }

  it.effect("passes over the frames of zstd that are to be skipped", () =>
    Effect.gen(function*() {
      const skipped = (size: number) => {
        const frame = Buffer.alloc(8 + size, 0x28)
        frame.writeUInt32LE(0x184d2a53, 0)
        frame.writeUInt32LE(size, 4)
        return frame
      }
      const packed = zlib.zstdCompressSync("text")
      const all = Buffer.concat([skipped(12), packed, skipped(0), skipped(5000), packed, skipped(3)])
      for (const size of pieceSizesFor(all)) {
        assert.strictEqual((yield* read(fileOf(all, size, "a.zst"))).toString(), "texttext")
      }
      assert.include(yield* failureOf(fileOf(all.subarray(0, all.length - 1), 64, "a.zst")), "end too early")
    }))

  it.effect("names a file whose name says what its content is not", () =>
    Effect.gen(function*() {
      const named = (name: string, bytes: Uint8Array) => failureOf(fileOf(bytes, 64, name))
      assert.include(yield* named("a.csv.gz", Buffer.from("a\n1\n")), "the content is gzip, and it is not")
      assert.include(yield* named("a.csv.zst", Buffer.from("a\n1\n")), "the content is zstd, and it is not")
      assert.include(yield* named("a.gz", Buffer.alloc(0)), "the content is gzip, and it is not")
      assert.include(yield* named("a.gz", zlib.zstdCompressSync("a")), "the content is gzip, and it is not")
      assert.include(yield* named("a", Buffer.from("PK\x03\x04....", "latin1")), "a zip archive; unpack it")
      assert.include(yield* named("a", Buffer.from("BZh91AY&SY....", "latin1")), "a bzip2 file")
      assert.strictEqual((yield* read(fileOf(Buffer.from("BZh,PK\n"), 64))).toString(), "BZh,PK\n")
    }))

  it.effect("holds little, whatever a file unpacks to", () =>
    Effect.gen(function*() {
      const packed = zlib.gzipSync(Buffer.alloc(100_000_000, "a,b\n"))
      let size = 0
      let largest = 0
      let most = 0
      const before = process.memoryUsage().arrayBuffers
      yield* Stream.runForEachArray(contentOf("csv", fileOf(packed, 64 * 1024)), (pieces) =>
        Effect.sync(() => {
          for (const piece of pieces) {
            size += piece.length
            largest = Math.max(largest, piece.length)
          }
          most = Math.max(most, process.memoryUsage().arrayBuffers - before)
        }))
      assert.strictEqual(size, 100_000_000)
      assert.isAtMost(largest, 256 * 1024)
      assert.isBelow(most, 60_000_000)
    }))

  it.effect("closes what it reads when it is interrupted or not read to the end", () =>
    Effect.gen(function*() {
      let closed = 0
      const packed = zlib.gzipSync(noise(2_000_000))
      const reading = yield* Deferred.make<void>()
      const file = fileOf(packed, 4096)
      const watched = { ...file, bytes: file.bytes.pipe(Stream.ensuring(Effect.sync(() => void closed++))) }
      yield* Stream.runDrain(Stream.take(contentOf("csv", watched), 1))
      assert.strictEqual(closed, 1)
      const endless = { ...watched, bytes: watched.bytes.pipe(Stream.concat(Stream.never)) }
      const fiber = yield* Effect.forkChild(
        Stream.runForEach(contentOf("csv", endless), () => Deferred.succeed(reading, undefined))
      )
      yield* Deferred.await(reading)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(closed, 2)
    }))

  it.effect("passes on the failure of the file", () =>
    Effect.gen(function*() {
      const broken: BatchError = yield* Effect.flip(read(fileOf(Buffer.from("x"), 1, "a.gz")))
      const whole = zlib.gzipSync(noise(100_000))
      const file = fileOf(whole.subarray(0, 50_000), 4096)
      const failing = { ...file, bytes: Stream.concat(file.bytes, Stream.fail(broken)) }
      assert.strictEqual(yield* Effect.flip(read(failing)), broken)
      const changed = { ...fileOf(whole.subarray(0, 50_000), 4096), unchanged: Effect.fail(broken) }
      assert.strictEqual(yield* Effect.flip(read(changed)), broken)
    }))
})
