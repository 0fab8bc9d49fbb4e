/**
 * Reads flatbuffers, the form of Arrow's metadata, from bytes that nobody has checked: every place and every length is
 * held against the bytes that are there, so damaged bytes cost an error and never memory or time.
 *
 * @internal
 */

/**
 * Bytes that are not what they should be.
 *
 * @internal
 */
export class FlatFault extends Error {}

/** Tables in tables, and elements of vectors, that one reading may come to. */
const mostTables = 200_000

/**
 * Some bytes that hold one flatbuffer.
 *
 * @internal
 */
export class FlatBytes {
  readonly bytes: Buffer
  private tables = 0

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  root(): FlatTable {
    return this.table(this.uint32(0))
  }

  table(at: number): FlatTable {
    if (++this.tables > mostTables) throw new FlatFault("the metadata holds too much")
    return new FlatTable(this, at)
  }

  check(at: number, length: number): void {
    if (!(at >= 0 && at + length <= this.bytes.length)) throw new FlatFault("the metadata points outside of itself")
  }

  uint8(at: number): number {
    this.check(at, 1)
    return this.bytes[at]!
  }

  int16(at: number): number {
    this.check(at, 2)
    return this.bytes.readInt16LE(at)
  }

  uint16(at: number): number {
    this.check(at, 2)
    return this.bytes.readUInt16LE(at)
  }

  int32(at: number): number {
    this.check(at, 4)
    return this.bytes.readInt32LE(at)
  }

  uint32(at: number): number {
    this.check(at, 4)
    return this.bytes.readUInt32LE(at)
  }

  /** A number of 64 bits that must be a length or a place: not negative, and safe. */
  size(at: number): number {
    this.check(at, 8)
    const value = this.bytes.readBigInt64LE(at)
    if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw new FlatFault("a size in the metadata is none")
    return Number(value)
  }

  int64(at: number): bigint {
    this.check(at, 8)
    return this.bytes.readBigInt64LE(at)
  }
}

/**
 * A table in some bytes. Fields are named by their number in Arrow's schema of its metadata.
 *
 * @internal
 */
export class FlatTable {
  readonly buffer: FlatBytes
  private readonly at: number
  private readonly vtable: number
  private readonly vtableSize: number

  constructor(buffer: FlatBytes, at: number) {
    this.buffer = buffer
    this.at = at
    this.vtable = at - buffer.int32(at)
    this.vtableSize = buffer.uint16(this.vtable)
  }

  private field(number: number): number | null {
    const slot = 4 + number * 2
    if (slot + 2 > this.vtableSize) return null
    const offset = this.buffer.uint16(this.vtable + slot)
    return offset === 0 ? null : this.at + offset
  }

  private target(number: number): number | null {
    const at = this.field(number)
    return at === null ? null : at + this.buffer.uint32(at)
  }

  boolean(number: number): boolean {
    return this.uint8(number) !== 0
  }

  uint8(number: number, other = 0): number {
    const at = this.field(number)
    return at === null ? other : this.buffer.uint8(at)
  }

  int16(number: number, other = 0): number {
    const at = this.field(number)
    return at === null ? other : this.buffer.int16(at)
  }

  int32(number: number, other = 0): number {
    const at = this.field(number)
    return at === null ? other : this.buffer.int32(at)
  }

  size(number: number): number {
    const at = this.field(number)
    return at === null ? 0 : this.buffer.size(at)
  }

  int64(number: number): bigint {
    const at = this.field(number)
    return at === null ? 0n : this.buffer.int64(at)
  }

  text(number: number): string | null {
    const at = this.target(number)
    if (at === null) return null
    const length = this.buffer.uint32(at)
    this.buffer.check(at + 4, length)
    return this.buffer.bytes.toString("utf8", at + 4, at + 4 + length)
  }

  table(number: number): FlatTable | null {
    const at = this.target(number)
    return at === null ? null : this.buffer.table(at)
  }

  tables(number: number): ReadonlyArray<FlatTable> {
    return this.elements(number, 4, (at) => this.buffer.table(at + this.buffer.uint32(at)))
  }

  /** The elements of a vector, each of so many bytes. */
  elements<A>(number: number, size: number, read: (at: number) => A): Array<A> {
    const start = this.target(number)
    if (start === null) return []
    const length = this.buffer.uint32(start)
    this.buffer.check(start + 4, length * size)
    const elements: Array<A> = []
    for (let i = 0; i < length; i++) elements.push(read(start + 4 + i * size))
    return elements
  }
}
