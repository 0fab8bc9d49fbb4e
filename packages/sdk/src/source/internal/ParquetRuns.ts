/**
 * The hybrid of run lengths and packed bits in which Parquet writes levels, dictionary indices and booleans.
 *
 * @internal
 */
import { ParquetFault } from "./ParquetFault.ts"

const tooShort = (): never => {
  throw new ParquetFault("a page ends before its levels or indices do")
}

/**
 * Reads numbers of `width` bits (up to 32), none of them above `most`, as many at a time as are asked for.
 *
 * @internal
 */
export class Runs {
  private readonly bytes: Uint8Array
  private readonly end: number
  private readonly width: number
  private readonly most: number
  private at: number
  /** Values that are left of the current run. */
  private left = 0
  private packed = false
  /** The value of a run of equal ones. */
  private value = 0
  private bit = 0
  private packedEnd = 0

  constructor(bytes: Uint8Array, start: number, end: number, width: number, most: number) {
    if (width > 32) throw new ParquetFault("a page has levels or indices of more than 32 bits")
    this.bytes = bytes
    this.at = start
    this.end = end
    this.width = width
    this.most = most
  }

  /** Reads the next `count` numbers into `target`. */
  read(target: Uint8Array | Int32Array, from: number, count: number): void {
    if (this.width === 0) {
      target.fill(0, from, from + count)
      return
    }
    const to = from + count
    for (let i = from; i < to;) {
      if (this.left === 0) this.next()
      const taken = Math.min(this.left, to - i)
      if (this.packed) this.unpack(target, i, i + taken)
      else target.fill(this.value, i, i + taken)
      this.left -= taken
      i += taken
    }
  }

  private next(): void {
    if (this.packed) this.at = this.packedEnd
    const header = this.header()
    const { at, end, width } = this
    this.packed = (header & 1) === 1
    if (this.packed) {
      const groups = header >>> 1
      // Some writers leave out the last bytes of the last group, which are padding.
      this.left = Math.min(groups * 8, Math.floor(((end - at) * 8) / width))
      if (this.left === 0 && groups > 0) tooShort()
      this.packedEnd = Math.min(at + groups * width, end)
      this.bit = 0
    } else {
      this.left = header >>> 1
      const valueBytes = (width + 7) >> 3
      if (at + valueBytes > end) tooShort()
      let value = 0
      for (let i = 0; i < valueBytes; i++) value |= this.bytes[at + i]! << (8 * i)
      if (value >>> 0 > this.most) this.tooLarge()
      this.value = value
      this.at = at + valueBytes
    }
  }

  private header(): number {
    let value = 0
    for (let i = 0; i < 5; i++) {
      if (this.at >= this.end) tooShort()
      const byte = this.bytes[this.at++]!
      value |= (byte & 127) << (7 * i)
      if (byte < 128) return value
    }
    throw new ParquetFault("a page has a run of levels or indices with a damaged length")
  }

  private unpack(target: Uint8Array | Int32Array, from: number, to: number): void {
    const { bytes, width } = this
    let { at, bit } = this
    const mask = width === 32 ? -1 : (1 << width) - 1
    if (width <= 8) {
      for (let i = from; i < to; i++) {
        target[i] = ((bytes[at]! | (bytes[at + 1]! << 8)) >>> bit) & mask
        bit += width
        at += bit >> 3
        bit &= 7
      }
    } else {
      for (let i = from; i < to; i++) {
        const low = (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> bit
        target[i] = (bit + width > 32 ? low | (bytes[at + 4]! << (32 - bit)) : low) & mask
        bit += width
        at += bit >> 3
        bit &= 7
      }
    }
    this.at = at
    this.bit = bit
    if (mask >>> 0 <= this.most) return
    for (let i = from; i < to; i++) if (target[i]! >>> 0 > this.most) this.tooLarge()
  }

  private tooLarge(): never {
    throw new ParquetFault("a page has a level or a dictionary index that is out of range")
  }
}
