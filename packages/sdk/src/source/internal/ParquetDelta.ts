/**
 * Parquet's delta encoding of integers of 32 and 64 bits.
 *
 * @internal
 */
import { ParquetFault } from "./ParquetFault.ts"

const damaged = (): never => {
  throw new ParquetFault("a page has a damaged delta encoding")
}

/**
 * Reads delta-encoded integers, as many at a time as are asked for. A number is kept in two halves of 32 bits: bigints
 * would be several times slower.
 *
 * @internal
 */
export class Delta {
  /** How many there are, as the page says. */
  readonly total: number
  private readonly bytes: Uint8Array
  private readonly end: number
  private readonly miniblocks: number
  private readonly perMiniblock: number
  private at: number
  private given = 0
  private low = 0
  private high = 0
  private minLow = 0
  private minHigh = 0
  private widthsAt = 0
  private miniblock: number
  private width = 0
  private left = 0
  /** Where the current miniblock is read. */
  private bodyAt = 0
  private bit = 0

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes
    this.at = start
    this.end = end
    const blockSize = this.count()
    this.miniblocks = this.count()
    this.total = this.count()
    this.perMiniblock = blockSize / this.miniblocks
    if (!(this.perMiniblock >= 8) || this.perMiniblock % 8 !== 0) damaged()
    this.miniblock = this.miniblocks
    this.number()
    this.low = this.minLow
    this.high = this.minHigh
  }

  /** Reads integers of 32 bits. */
  readInts(target: Int32Array, from: number, count: number): void {
    for (let i = from; i < from + count; i++) {
      this.step()
      target[i] = this.low
    }
  }

  /** Reads integers of 64 bits; `target` is a view of them as halves. */
  readLongs(target: Int32Array, from: number, count: number): void {
    for (let i = 2 * from; i < 2 * (from + count); i += 2) {
      this.step()
      target[i] = this.low
      target[i + 1] = this.high
    }
  }

  /** Where the encoded integers end. To be asked of a reader that has read nothing. */
  encodedEnd(): number {
    for (let left = this.total - 1; left > 0; left -= this.perMiniblock) {
      this.nextMiniblock(Math.min(left, this.perMiniblock))
    }
    return this.at
  }

  private step(): void {
    if (this.given >= this.total) throw new ParquetFault("a page has fewer values than it says")
    if (this.given++ === 0) return
    if (this.left === 0) {
      const count = Math.min(this.perMiniblock, this.total - this.given + 1)
      this.nextMiniblock(count)
      this.left = count
    }
    this.left--
    const { width } = this
    let low = this.minLow
    let high = this.minHigh
    if (width > 0) {
      const sum = (low >>> 0) + (this.bits(Math.min(width, 32)) >>> 0)
      low = sum | 0
      high = (high + (width > 32 ? this.bits(width - 32) : 0) + (sum > 0xffffffff ? 1 : 0)) | 0
    }
    const sum = (this.low >>> 0) + (low >>> 0)
    this.low = sum | 0
    this.high = (this.high + high + (sum > 0xffffffff ? 1 : 0)) | 0
  }

  private bits(count: number): number {
    const { bit, bodyAt, bytes } = this
    let value =
      (bytes[bodyAt]! | (bytes[bodyAt + 1]! << 8) | (bytes[bodyAt + 2]! << 16) | (bytes[bodyAt + 3]! << 24)) >>> bit
    if (bit + count > 32) value |= bytes[bodyAt + 4]! << (32 - bit)
    this.bodyAt = bodyAt + ((bit + count) >> 3)
    this.bit = (bit + count) & 7
    return count === 32 ? value : value & ((1 << count) - 1)
  }

  /** Begins the next miniblock, of which so many values are needed. */
  private nextMiniblock(needed: number): void {
    if (this.miniblock === this.miniblocks) {
      this.number()
      this.widthsAt = this.at
      this.at += this.miniblocks
      if (this.at > this.end) damaged()
      this.miniblock = 0
    }
    this.width = this.bytes[this.widthsAt + this.miniblock]!
    this.miniblock++
    // The padding of the last miniblock may be missing.
    if (this.width > 64 || this.at + Math.ceil((needed * this.width) / 8) > this.end) damaged()
    this.bodyAt = this.at
    this.bit = 0
    this.at = Math.min(this.end, this.at + (this.perMiniblock / 8) * this.width)
  }

  private count(): number {
    let value = 0
    for (let i = 0; i < 5; i++) {
      if (this.at >= this.end) damaged()
      const byte = this.bytes[this.at++]!
      value += (byte & 127) * 2 ** (7 * i)
      if (byte < 128) return value
    }
    return damaged()
  }

  /** Reads a zigzag number into the minimum. */
  private number(): void {
    let low = 0
    let high = 0
    for (let i = 0;; i++) {
      if (i === 10 || this.at >= this.end) damaged()
      const byte = this.bytes[this.at++]!
      const part = byte & 127
      if (i < 4) low |= part << (7 * i)
      else if (i === 4) {
        low |= part << 28
        high = part >> 4
      } else high |= part << (7 * i - 32)
      if (byte < 128) break
    }
    const sign = -(low & 1)
    this.minLow = ((low >>> 1) | (high << 31)) ^ sign
    this.minHigh = (high >>> 1) ^ sign
  }
}
