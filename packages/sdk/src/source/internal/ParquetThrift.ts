/**
 * Checks Thrift's compact protocol before it is parsed: hyparquet's parser trusts lengths and counts, and damaged or
 * hostile ones would make it allocate or run without bound.
 *
 * @internal
 */
import { ParquetFault } from "./ParquetFault.ts"

/** Where the bytes end before the struct does. */
class Short extends Error {}

const maxDepth = 32

const damaged = (): never => {
  throw new ParquetFault("a Thrift structure is damaged")
}

class Walker {
  readonly bytes: Uint8Array
  at: number

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes
    this.at = at
  }

  struct(depth: number): void {
    if (depth > maxDepth) damaged()
    while (true) {
      const byte = this.byte()
      const type = byte & 15
      if (type === 0) return
      if (byte >> 4 === 0) this.varint(3)
      this.value(type, depth, false)
    }
  }

  private byte(): number {
    const byte = this.bytes[this.at++]
    if (byte === undefined) throw new Short()
    return byte
  }

  private skip(count: number): void {
    if (this.at + count > this.bytes.length) throw new Short()
    this.at += count
  }

  /** A number below 2^31; ones of more bytes are walked over. */
  private varint(maxBytes: number): number {
    let value = 0
    for (let i = 0; i < maxBytes; i++) {
      const byte = this.byte()
      value += (byte & 127) * 2 ** (7 * i)
      if (byte < 128) return value
    }
    return damaged()
  }

  private length(): number {
    const value = this.varint(5)
    return value < 2 ** 31 ? value : damaged()
  }

  private value(type: number, depth: number, inList: boolean): void {
    switch (type) {
      case 1:
      case 2:
        if (inList) this.skip(1)
        return
      case 3:
        return this.skip(1)
      case 4:
      case 5:
        this.varint(5)
        return
      case 6:
        this.varint(10)
        return
      case 7:
        return this.skip(8)
      case 8:
        return this.skip(this.length())
      case 9: {
        const byte = this.byte()
        const count = byte >> 4 === 15 ? this.length() : byte >> 4
        // Each element takes a byte at least.
        if (this.at + count > this.bytes.length) throw new Short()
        if (depth >= maxDepth) damaged()
        for (let i = 0; i < count; i++) this.value(byte & 15, depth + 1, true)
        return
      }
      case 12:
        return this.struct(depth + 1)
      default:
        damaged()
    }
  }
}

/**
 * Where the struct that begins at `start` ends; null where the bytes end before. Throws a `ParquetFault`.
 *
 * @internal
 */
export const structEnd = (bytes: Uint8Array, start: number): number | null => {
  const walker = new Walker(bytes, start)
  try {
    walker.struct(0)
    return walker.at
  } catch (error) {
    if (error instanceof Short) return null
    throw error
  }
}
