/**
 * Decompresses a page piece by piece: some writers make pages of 100 MB, of which only a small part is held at a time.
 *
 * @internal
 */
import type { CompressionCodec } from "hyparquet"
import type { Transform } from "node:stream"
import { createBrotliDecompress, createUnzip, createZstdDecompress } from "node:zlib"
import { ParquetFault } from "./ParquetFault.ts"

/**
 * Takes compressed bytes and gives decompressed ones.
 *
 * @internal
 */
export interface Inflate {
  /** Gives it the next compressed bytes; null after the last ones. */
  readonly give: (piece: Buffer | null) => void
  /** The next bytes, until the next call; null where more must be given to it, or where there are no more. */
  readonly take: () => Buffer | null | Promise<Buffer | null>
  /** Lets go of what it holds before its end. */
  readonly close: () => void
}

const damaged = (cause?: unknown): ParquetFault =>
  new ParquetFault("the compressed data of a page is damaged", {}, cause)

/** How far back compressed data refers: encoders of Snappy and LZ4 do so within 64 KB. */
const historyBytes = 256 * 1024
const outputBytes = 1024 * 1024

/** Input in pieces, and output that later output refers to. */
abstract class Sliding implements Inflate {
  protected input: Buffer = Buffer.alloc(0)
  protected from = 0
  protected output: Buffer = Buffer.allocUnsafeSlow(historyBytes + outputBytes)
  protected to = 0
  private taken = 0
  private ended = false

  give(piece: Buffer | null): void {
    if (piece === null) {
      this.ended = true
    } else {
      this.input = this.from === this.input.length ? piece : Buffer.concat([this.input.subarray(this.from), piece])
      this.from = 0
    }
  }

  close(): void {
    this.input = Buffer.alloc(0)
    this.output = this.input
  }

  take(): Buffer | null {
    if (this.to > this.output.length - outputBytes / 2) {
      const kept = Math.min(historyBytes, this.to)
      this.output.copyWithin(0, this.to - kept, this.to)
      this.to = kept
      this.taken = kept
    }
    this.run()
    if (this.to === this.taken) {
      if (this.ended && !this.isWhole()) throw damaged()
      return null
    }
    const bytes = this.output.subarray(this.taken, this.to)
    this.taken = this.to
    return bytes
  }

  /** Decodes until the input is used up or the output is full. */
  protected abstract run(): void
  protected abstract isWhole(): boolean

  /** Copies as much of `count` bytes of input as there is and as fits; gives what is left to copy. */
  protected literals(count: number): number {
    const copied = Math.min(count, this.input.length - this.from, this.output.length - this.to)
    this.input.copy(this.output, this.to, this.from, this.from + copied)
    this.from += copied
    this.to += copied
    return count - copied
  }

  /** Repeats as much of `count` bytes from `offset` back as fits; gives what is left to repeat. */
  protected repeat(offset: number, count: number): number {
    const { output, to } = this
    const from = to - offset
    if (offset === 0 || from < 0) throw damaged()
    const copied = Math.min(count, output.length - to)
    if (copied > 32 && offset >= copied) output.copyWithin(to, from, from + copied)
    else for (let i = 0; i < copied; i++) output[to + i] = output[from + i]!
    this.to = to + copied
    return count - copied
  }
}

class Snappy extends Sliding {
  private readonly size: number
  private begun = false
  private written = 0
  private literalLeft = 0

  constructor(size: number) {
    super()
    this.size = size
  }

  protected isWhole(): boolean {
    return this.written === this.size && this.literalLeft === 0 && this.from === this.input.length
  }

  protected run(): void {
    if (!this.begun && !this.begin()) return
    const { input, output } = this
    const end = output.length - 64
    while (this.to < end) {
      if (this.literalLeft > 0) {
        this.literalLeft = this.literals(this.literalLeft)
        if (this.literalLeft > 0) return
      }
      const before = this.to
      let { from, to } = this
      let length = 0
      while (to < end && from < input.length) {
        const tag = input[from]!
        const kind = tag & 3
        const extra = kind === 0 ? Math.max(0, (tag >> 2) - 59) : kind === 3 ? 4 : kind
        if (from + extra >= input.length) break
        if (kind === 0) {
          length = extra === 0 ? (tag >> 2) + 1 : input.readUIntLE(from + 1, extra) + 1
          from += 1 + extra
          if (length > 64 || from + length > input.length) break
          for (const last = to + length; to < last;) output[to++] = input[from++]!
          length = 0
        } else {
          const count = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
          const offset = kind === 1
            ? ((tag >> 5) << 8) | input[from + 1]!
            : kind === 2
            ? input[from + 1]! | (input[from + 2]! << 8)
            : input.readUInt32LE(from + 1)
          if (offset === 0 || offset > to) throw damaged()
          for (const last = to + count; to < last; to++) output[to] = output[to - offset]!
          from += 1 + extra
        }
      }
      this.from = from
      this.to = to
      this.add(to - before + length)
      this.literalLeft = length
      if (length === 0) return
    }
  }

  private add(length: number): void {
    this.written += length
    if (this.written > this.size) throw damaged()
  }

  /** The length stands first. */
  private begin(): boolean {
    let length = 0
    for (let i = 0; i < 5; i++) {
      const byte = this.input[this.from + i]
      if (byte === undefined) return false
      length += (byte & 127) * 2 ** (7 * i)
      if (byte >= 128) continue
      if (length !== this.size) throw damaged()
      this.from += i + 1
      this.begun = true
      return true
    }
    throw damaged()
  }
}

class Lz4 extends Sliding {
  private state: "token" | "literals" | "offset" | "match" = "token"
  private token = 0
  private literalLeft = 0
  private offset = 0
  private matchLeft = 0

  protected isWhole(): boolean {
    return this.from === this.input.length && this.literalLeft === 0 &&
      (this.state === "offset" || this.state === "token")
  }

  protected run(): void {
    const { output } = this
    while (this.to < output.length) {
      switch (this.state) {
        case "token": {
          if (this.from >= this.input.length) return
          const token = this.input[this.from]!
          const length = this.extended(token >> 4, this.from + 1)
          if (length === null) return
          this.token = token
          this.literalLeft = length
          this.state = "literals"
          break
        }
        case "literals":
          this.literalLeft = this.literals(this.literalLeft)
          if (this.literalLeft > 0) return
          this.state = "offset"
          break
        case "offset": {
          const { from, input, token } = this
          if (from + 2 > input.length) return
          const length = this.extended(token & 15, from + 2)
          if (length === null) return
          this.offset = input.readUInt16LE(from)
          this.matchLeft = length + 4
          this.state = "match"
          break
        }
        case "match":
          this.matchLeft = this.repeat(this.offset, this.matchLeft)
          if (this.matchLeft > 0) return
          this.state = "token"
      }
    }
  }

  /** A length that goes on in the bytes from `at`; null where they are not all there, and else they are passed. */
  private extended(length: number, at: number): number | null {
    let total = length
    let next = at
    if (length === 15) {
      for (;;) {
        const byte = this.input[next++]
        if (byte === undefined) return null
        total += byte
        if (byte < 255) break
      }
    }
    this.from = next
    return total
  }
}

class Stored implements Inflate {
  private piece: Buffer | null = null

  give(piece: Buffer | null): void {
    this.piece = piece
  }

  close(): void {
    this.piece = null
  }

  take(): Buffer | null {
    const { piece } = this
    this.piece = null
    return piece
  }
}

/** A stream of zlib, from which no more is taken than is asked for. */
class Zlib implements Inflate {
  private readonly stream: Transform
  private readonly output: AsyncIterator<Buffer>
  private next: Promise<Buffer | null> | null = null
  private used: Promise<null> = Promise.resolve(null)
  private ended = false

  constructor(stream: Transform) {
    this.stream = stream
    this.output = stream[Symbol.asyncIterator]()
  }

  give(piece: Buffer | null): void {
    if (piece === null) {
      this.ended = true
      this.stream.end()
    } else {
      // What goes wrong is told by the output.
      this.used = new Promise((resolve) => this.stream.write(piece, () => resolve(null)))
    }
  }

  close(): void {
    this.stream.destroy()
  }

  async take(): Promise<Buffer | null> {
    if (this.next === null) {
      this.next = this.output.next().then(({ done, value }) => (done === true ? null : value))
      // It may fail when nobody waits for it any more.
      this.next.catch(() => null)
    }
    try {
      const bytes = await (this.ended ? this.next : Promise.race([this.next, this.used]))
      if (bytes !== null) this.next = null
      return bytes
    } catch (cause) {
      throw damaged(cause)
    }
  }
}

const chunkSize = 256 * 1024

/**
 * Makes what decompresses a page of `size` bytes; null for codecs whose pages are decompressed whole.
 *
 * @internal
 */
export const makeInflate = (codec: CompressionCodec, size: number): Inflate | null => {
  switch (codec) {
    case "UNCOMPRESSED":
      return new Stored()
    case "SNAPPY":
      return new Snappy(size)
    case "LZ4_RAW":
      return new Lz4()
    case "GZIP":
      return new Zlib(createUnzip({ chunkSize }))
    case "BROTLI":
      return new Zlib(createBrotliDecompress({ chunkSize }))
    case "ZSTD":
      return new Zlib(createZstdDecompress({ chunkSize }))
    default:
      return null
  }
}
