/**
 * The buffers of a record batch, in their order, and what their bytes stand for. They are not trusted: what does not
 * hold is an `ArrowFault`.
 *
 * @internal
 */
import { zstdDecompressSync } from "node:zlib"
import type { ColumnType } from "../Column.ts"
import { ArrowFault, type BufferPlace, type FieldNode, type RecordBatch } from "./ArrowMessages.ts"
import { decodeLz4Frame } from "./Lz4Frame.ts"

/**
 * The values of the dictionaries so far, by `dictionaryKey`.
 *
 * @internal
 */
export type Dictionaries = ReadonlyMap<string, ReadonlyArray<unknown>>

/**
 * The values of one dictionary can be read as several types.
 *
 * @internal
 */
export const dictionaryKey = (id: bigint, type: ColumnType): string => `${id} ${JSON.stringify(type)}`

/** Whether the value at a place is there. @internal */
export type Validity = (i: number) => boolean

const largestBuffer = 2 ** 31

/** The same bytes as a `Buffer`. @internal */
export const viewOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** @internal */
export const tooShort = (): never => {
  throw new ArrowFault("a buffer is shorter than its values")
}

/** The bytes of `count` values of so many bytes each, at a place that typed arrays can begin at. */
const aligned = (bytes: Uint8Array, width: number, count: number): Uint8Array => {
  const length = width * count
  if (bytes.length < length) return tooShort()
  return bytes.byteOffset % width === 0 ? bytes : Uint8Array.prototype.slice.call(bytes, 0, length)
}

interface TypedArray<out A> {
  readonly BYTES_PER_ELEMENT: number
  new(buffer: ArrayBufferLike, at: number, count: number): A
}

const as = <A>(type: TypedArray<A>) => (bytes: Uint8Array, count: number): A => {
  const own = aligned(bytes, type.BYTES_PER_ELEMENT, count)
  return new type(own.buffer, own.byteOffset, count)
}

/** So many values, as views of their bytes. @internal */
export const typed = {
  int8: as(Int8Array),
  uint8: as(Uint8Array),
  int16: as(Int16Array),
  uint16: as(Uint16Array),
  int32: as(Int32Array),
  uint32: as(Uint32Array),
  int64: as(BigInt64Array),
  uint64: as(BigUint64Array),
  float32: as(Float32Array),
  float64: as(Float64Array)
}

const halfOf = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25)
}

/** Floats of 16 bits. @internal */
export const halvesOf = (bytes: Uint8Array, count: number): Float32Array =>
  Float32Array.from(typed.uint16(bytes, count), halfOf)

const word = 2 ** 32

/** Integers of 64 bits as numbers, without a bigint each. @internal */
export const longsOf = (bytes: Uint8Array, count: number, signed = true): (i: number) => number => {
  const low = typed.uint32(bytes, count * 2)
  const high = signed ? typed.int32(bytes, count * 2) : low
  return (i) => high[i * 2 + 1]! * word + low[i * 2]!
}

/** Every value is there. @internal */
export const always: Validity = () => true

/** A message's body: the buffers are taken in the order of the fields. @internal */
export class Body {
  private readonly batch: RecordBatch
  private readonly bytesAt: (place: BufferPlace) => Uint8Array
  private readonly dictionaries: Dictionaries
  private node = 0
  private buffer = 0
  private views = 0

  constructor(batch: RecordBatch, bytesAt: (place: BufferPlace) => Uint8Array, dictionaries: Dictionaries) {
    this.batch = batch
    this.bytesAt = bytesAt
    this.dictionaries = dictionaries
  }

  get version(): number {
    return this.batch.version
  }

  nextNode(): FieldNode {
    const node = this.batch.nodes[this.node++]
    if (node === undefined) throw new ArrowFault("the record batch lacks columns")
    return node
  }

  nextViewBuffers(): number {
    const count = this.batch.viewBuffers[this.views++]
    if (count === undefined || count > this.batch.buffers.length) throw new ArrowFault("the record batch lacks buffers")
    return count
  }

  nextPlace(): BufferPlace {
    const place = this.batch.buffers[this.buffer++]
    if (place === undefined) throw new ArrowFault("the record batch lacks buffers")
    return place
  }

  next(): Uint8Array {
    const place = this.nextPlace()
    if (place.length === 0) return new Uint8Array(0)
    const bytes = this.bytesAt(place)
    const { compression } = this.batch
    if (compression === null) return bytes
    if (bytes.length < 8) return tooShort()
    const size = viewOf(bytes).readBigInt64LE(0)
    const content = bytes.subarray(8)
    if (size === -1n) return content
    if (size < 0n || size >= largestBuffer) throw new ArrowFault("a compressed buffer says no size that can be")
    return compression === "lz4" ? decodeLz4Frame(content, Number(size)) : inflate(content, Number(size))
  }

  validity({ length, nullCount }: FieldNode): Validity {
    const bits = this.next()
    if (nullCount === 0) return always
    if (bits.length * 8 < length) return tooShort()
    return (i) => ((bits[i >> 3]! >> (i & 7)) & 1) === 1
  }

  /** Empty where it has not come: a batch may hold nothing of it. */
  dictionary(id: bigint, type: ColumnType): ReadonlyArray<unknown> {
    return this.dictionaries.get(dictionaryKey(id, type)) ?? []
  }
}

const inflate = (bytes: Uint8Array, size: number): Uint8Array => {
  let content: Uint8Array
  try {
    content = zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, size) })
  } catch (cause) {
    throw new ArrowFault("the zstd data are damaged", { cause })
  }
  if (content.length !== size) throw new ArrowFault("the zstd data are damaged")
  return content
}
