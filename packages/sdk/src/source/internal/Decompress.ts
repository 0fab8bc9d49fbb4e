/**
 * The content of a text file: as it is, or unpacked from gzip or zstd.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress } from "node:zlib"
import type { BatchError } from "../../BatchError.ts"
import { invalidSource } from "./Failures.ts"
import type { SourceFile } from "./SourceFile.ts"

/**
 * The endings of names whose files are read, for files of the given kinds that may be compressed.
 *
 * @internal
 */
export const withCompressed = (extensions: ReadonlyArray<string>): ReadonlyArray<string> =>
  extensions.flatMap((extension) => [extension, `${extension}.gz`, `${extension}.zst`])

const pieceBytes = 256 * 1024

type Compression = "gzip" | "zstd"

/** What the ending of a name says. */
const namedCompression = (uri: string): Compression | null =>
  /\.gz(ip)?$/i.test(uri) ? "gzip" : /\.zstd?$/i.test(uri) ? "zstd" : null

/** No text in UTF-8 begins with these. */
const magics: ReadonlyArray<readonly [Compression, RegExp]> = [
  ["gzip", /^\x1f\x8b\x08/],
  ["zstd", /^\x28\xb5\x2f\xfd/]
]

/** Containers that are not unpacked: to say more of them than that they are no text. */
const containers: ReadonlyArray<readonly [string, RegExp]> = [
  ["a zip archive", /^PK\x03\x04/],
  ["an xz file", /^\xfd7zXZ\0/],
  ["a bzip2 file", /^BZh[1-9]1AY&SY/]
]

const skippable = /^[\x50-\x5f]\x2a\x4d\x18/

const headBytes = 10

const frameMagic = 0xfd2fb528
const skippableMagic = 0x184d2a50

/** The sizes of a zstd frame header's fields, by their flags. */
const dictionaryBytes = [0, 1, 2, 4]
const contentSizeBytes = [0, 2, 4, 8]

/**
 * Finds where the frames of a zstd file end. Node's decompressor stops at the end of a frame and drops what follows it
 * in the same piece; and before Node 24 it takes a file that ends inside a frame for a whole one.
 *
 * @internal
 */
export class ZstdFrames {
  /** Whether something that is no frame follows a frame. */
  garbage = false
  private state: "magic" | "descriptor" | "block" | "skippable" | "content" = "magic"
  private readonly field = Buffer.alloc(4)
  private filled = 0
  private wanted = 4
  /** Bytes to pass over before the next field, and what that is. */
  private left = 0
  private next: "block" | "checksum" | "end" = "end"
  private checksum = false
  /** Whether the bytes belong to a frame that is read. */
  private reading = false
  private ended = false

  /** Whether the bytes so far end where a frame does. */
  get whole(): boolean {
    return this.state === "magic" && this.filled === 0
  }

  /** The bytes of the frames in a piece, in parts that end where a frame does; without the frames to be skipped. */
  push(piece: Buffer): Array<Buffer> {
    const parts: Array<Buffer> = []
    let start = 0
    let at = 0
    while (at < piece.length && !this.garbage) {
      const before = this.reading
      if (this.state === "content") {
        const taken = Math.min(this.left, piece.length - at)
        this.left -= taken
        at += taken
        if (this.left === 0) this.endContent()
      } else {
        this.field[this.filled++] = piece[at++]!
        if (this.filled === this.wanted) this.endField()
      }
      if (this.reading && !before) {
        parts.push(Buffer.from(this.field))
        start = at
      }
      if (this.ended) {
        if (this.reading) parts.push(piece.subarray(start, at))
        this.reading = false
        this.ended = false
      }
    }
    if (this.reading && at > start) parts.push(piece.subarray(start, at))
    return parts
  }

  private endField(): void {
    this.filled = 0
    switch (this.state) {
      case "magic": {
        const magic = this.field.readUInt32LE(0)
        if (magic === frameMagic) {
          this.reading = true
          this.read("descriptor", 1)
        } else if ((magic & 0xfffffff0) >>> 0 === skippableMagic) {
          this.read("skippable", 4)
        } else {
          this.garbage = true
        }
        return
      }
      case "skippable":
        return this.pass(this.field.readUInt32LE(0), "end")
      case "descriptor": {
        const flags = this.field[0]!
        const single = (flags >> 5) & 1
        const contentSize = flags >> 6 === 0 ? single : contentSizeBytes[flags >> 6]!
        this.checksum = (flags & 4) !== 0
        return this.pass(1 - single + dictionaryBytes[flags & 3]! + contentSize, "block")
      }
      default: {
        const header = this.field.readUIntLE(0, 3)
        // A block of one repeated byte holds that byte once.
        const size = ((header >> 1) & 3) === 1 ? 1 : header >> 3
        return this.pass(size, (header & 1) === 0 ? "block" : this.checksum ? "checksum" : "end")
      }
    }
  }

  private read(state: "magic" | "descriptor" | "block" | "skippable", bytes: number): void {
    this.state = state
    this.wanted = bytes
  }

  private pass(bytes: number, next: "block" | "checksum" | "end"): void {
    this.state = "content"
    this.left = bytes
    this.next = next
    if (bytes === 0) this.endContent()
  }

  private endContent(): void {
    if (this.next === "block") return this.read("block", 3)
    if (this.next === "checksum") return this.pass(4, "end")
    this.ended = true
    this.read("magic", 4)
  }
}

/** What a decompressor is closed with, so that its reader sees the failure. */
class Stopped extends Error {
  readonly failure: BatchError

  constructor(failure: BatchError) {
    super(failure.message, { cause: failure })
    this.failure = failure
  }
}

type Engine = Gunzip | ZstdDecompress

/** Waits until the bytes are taken in, which is when their output has been read or has room. */
const write = (engine: Engine, bytes: Uint8Array): Effect.Effect<void> =>
  Effect.callback((resume) => {
    engine.write(bytes, () => resume(Effect.void))
  })

const decompress = (
  method: string,
  file: SourceFile,
  compression: Compression,
  packed: Stream.Stream<Uint8Array, BatchError>
): Stream.Stream<Uint8Array, BatchError> => {
  const { uri } = file
  const malformed = (what: string, cause?: unknown): BatchError =>
    invalidSource(method, "malformed", `the ${compression} data ${what}; compress the file again`, { uri, cause })
  const cut = "end too early: the file is cut short"
  const damaged = "are damaged"
  const garbage = "are followed by something else"
  return Stream.unwrap(Effect.gen(function*() {
    const engine: Engine = yield* Effect.acquireRelease(
      Effect.sync(() => (compression === "gzip" ? createGunzip : createZstdDecompress)({ chunkSize: pieceBytes })),
      (engine) => Effect.sync(() => engine.destroy())
    )
    const frames = compression === "zstd" ? new ZstdFrames() : null
    let size = 0
    const feed = packed.pipe(
      Stream.runForEach((piece) => {
        size += piece.length
        if (frames === null) return write(engine, piece)
        const parts = frames.push(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength))
        const written = Effect.forEach(parts, (part) => write(engine, part), { discard: true })
        return frames.garbage ? Effect.andThen(written, Effect.fail(malformed(garbage))) : written
      }),
      Effect.andThen(Effect.suspend(() => {
        if (frames?.whole === false) return Effect.fail(malformed(cut))
        engine.end()
        return Effect.void
      })),
      Effect.catch((failure) => Effect.sync(() => engine.destroy(new Stopped(failure)))),
      Effect.catchCause((cause) => Effect.sync(() => engine.destroy(new Error(Cause.pretty(cause)))))
    )
    yield* Effect.forkScoped(feed)
    const unpacked = Stream.fromAsyncIterable<Uint8Array, unknown>(engine, (cause) => cause)
    return unpacked.pipe(
      Stream.mapError((cause) => {
        if (cause instanceof Stopped) return cause.failure
        const early = cause instanceof Error && "code" in cause && cause.code === "Z_BUF_ERROR"
        return malformed(early ? cut : damaged, cause)
      }),
      // The decompressor of gzip stops at zeros that follow the data, whatever comes after them.
      Stream.concat(Stream.suspend(() =>
        frames === null && engine.bytesWritten !== size ? Stream.fail(malformed(garbage)) : Stream.empty
      )),
      // A file that is replaced while it is read looks damaged.
      Stream.catch((failure) => Stream.fromEffectDrain(Effect.andThen(file.unchanged, Effect.fail(failure))))
    )
  }))
}

/** How the content is compressed that has these first bytes. */
const compressionOf = Effect.fnUntraced(function*(method: string, file: SourceFile, head: Uint8Array) {
  const start = Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString("latin1")
  const malformed = (message: string): BatchError => invalidSource(method, "malformed", message, { uri: file.uri })
  const named = namedCompression(file.uri)
  const compression = named === "zstd" && skippable.test(start)
    ? named
    : magics.find(([, magic]) => magic.test(start))?.[0] ?? null
  if (named !== null && named !== compression) {
    return yield* malformed(`the name says that the content is ${named}, and it is not; give the file its right name`)
  }
  const container = containers.find(([, magic]) => magic.test(start))?.[0]
  if (container !== undefined) {
    return yield* malformed(`the content is ${container}; unpack it, or compress the text with gzip or zstd`)
  }
  return compression
})

/**
 * The content of a file: unpacked, where its first bytes are those of gzip or zstd, whatever the file's name; else as
 * it is. It fails with `InvalidSource` (`malformed`) for data that are damaged, cut short or followed by something
 * else, and where a name ends in `.gz` or `.zst` and the content is not compressed so. Memory is bounded, whatever the
 * file unpacks to.
 *
 * @internal
 */
export const contentOf = (method: string, file: SourceFile): Stream.Stream<Uint8Array, BatchError> =>
  Stream.unwrap(Effect.gen(function*() {
    const pull = yield* Stream.toPull(file.bytes)
    const pieces: Array<Uint8Array> = []
    let head = Buffer.alloc(0)
    let ended = false
    while (head.length < headBytes && !ended) {
      yield* pull.pipe(
        Effect.map((taken) => {
          for (const piece of taken) pieces.push(piece)
          head = Buffer.concat([head, ...taken.map((piece) => piece.subarray(0, headBytes))])
        }),
        Pull.catchDone(() => Effect.sync(() => { ended = true }))
      )
    }
    const rest = ended ? Stream.empty : Stream.fromPull(Effect.succeed(pull))
    const content = Stream.concat(Stream.fromArray(pieces), rest)
    const compression = yield* compressionOf(method, file, head)
    return compression === null ? content : decompress(method, file, compression, content)
  }))

/** The bytes after the first so many. */
const after = (content: Stream.Stream<Uint8Array, BatchError>, bytes: number): Stream.Stream<Uint8Array, BatchError> =>
  Stream.suspend(() => {
    let left = bytes
    return content.pipe(
      Stream.map((piece) => {
        const passed = Math.min(left, piece.length)
        left -= passed
        return piece.subarray(passed)
      }),
      Stream.filter((piece) => piece.length > 0)
    )
  })

/**
 * The content of a file from a byte of the unpacked content on. A compressed file is unpacked from its beginning: its
 * bytes up to there are read again.
 *
 * @internal
 */
export const contentFrom = (method: string, file: SourceFile, start: number): Stream.Stream<Uint8Array, BatchError> =>
  start === 0 ? contentOf(method, file) : Stream.unwrap(Effect.gen(function*() {
    const head = yield* file.range(0, Math.min(headBytes, file.size))
    const compression = yield* compressionOf(method, file, head)
    return compression === null ? file.from(start) : after(contentOf(method, file), start)
  }))
