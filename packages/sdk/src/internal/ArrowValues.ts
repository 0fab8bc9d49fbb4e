/**
 * The values of a record batch, read from the buffers of its message. The buffers are not trusted: what does not hold
 * is an `ArrowFault`, and nothing is allocated for what is not there.
 *
 * @internal
 */
import { isAscii, isUtf8 } from "node:buffer"
import { zstdDecompressSync } from "node:zlib"
import type { ColumnType } from "../Column.ts"
import {
  type ArrowDictionary,
  ArrowFault,
  type ArrowField,
  type BufferPlace,
  type FieldNode,
  type RecordBatch
} from "./ArrowMessages.ts"
import type { Batch } from "./Batch.ts"
import { decodeLz4Frame } from "./Lz4Frame.ts"
import { dayText, decimalText, timestampText, timeText, TypedTextFault, uuidText } from "./TypedText.ts"

/**
 * The values of the dictionaries so far, by id.
 *
 * @internal
 */
export type Dictionaries = ReadonlyMap<bigint, ReadonlyArray<unknown>>

/** Reads the values of one field. */
interface Reader {
  readonly length: number
  /** The values of the rows `from` (inclusive) to `to` (exclusive). */
  readonly read: (from: number, to: number) => Array<unknown>
  /** About how many bytes these rows take; 0 where there are none, however many rows are said to be. */
  readonly size: (from: number, to: number) => number
}

type Offsets = Int32Array | Float64Array

type Validity = (i: number) => boolean

const largestBuffer = 2 ** 31

/** So many values that take no bytes, in a list or a dictionary, are damage: nothing is allocated for them. */
const mostEmpty = 2 ** 20

const viewOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const tooShort = (): never => {
  throw new ArrowFault("a buffer is shorter than its values")
}

/** The bytes of `count` values of so many bytes each, at a place that typed arrays can begin at. */
const aligned = (bytes: Uint8Array, width: number, count: number): Uint8Array => {
  const length = width * count
  if (bytes.length < length) return tooShort()
  return bytes.byteOffset % width === 0 ? bytes : Uint8Array.prototype.slice.call(bytes, 0, length)
}

const typed = {
  int8: (bytes: Uint8Array, count: number) => {
    const own = aligned(bytes, 1, count)
    return new Int8Array(own.buffer, own.byteOffset, count)
  },
  uint8: (bytes: Uint8Array, count: number) => {
    const own = aligned(bytes, 1, count)
    return new Uint8Array(own.buffer, own.byteOffset, count)
  },
  int16: (bytes: Uint8Array, count: number) => {
    const own = aligned(bytes, 2, count)
    return new Int16Array(own.buffer, own.byteOffset, count)
  },
  uint16: (bytes: Uint8Array, count: number) => {
    const own = aligned(bytes, 2, count)
    return new Uint16Array(own.buffer, own.byteOffset, count)
  },
  int32: (bytes: Uint8Array, count: number) => {
    const own = aligned(bytes, 4, count)
    return new Int32Array(own.buffer, own.byteOffset, count)
  },
  uint32: (bytes: Uint8Array, count: number) => {
    const own = aligned(bytes, 4, count)
    return new Uint32Array(own.buffer, own.byteOffset, count)
  },
  int64: (bytes: Uint8Array, count: number) => {
    const own = aligned(bytes, 8, count)
    return new BigInt64Array(own.buffer, own.byteOffset, count)
  },
  uint64: (bytes: Uint8Array, count: number) => {
    const own = aligned(bytes, 8, count)
    return new BigUint64Array(own.buffer, own.byteOffset, count)
  },
  float32: (bytes: Uint8Array, count: number) => {
    const own = aligned(bytes, 4, count)
    return new Float32Array(own.buffer, own.byteOffset, count)
  },
  float64: (bytes: Uint8Array, count: number) => {
    const own = aligned(bytes, 8, count)
    return new Float64Array(own.buffer, own.byteOffset, count)
  }
}

const halfOf = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25)
}

const halvesOf = (bytes: Uint8Array, count: number): Float32Array => Float32Array.from(typed.uint16(bytes, count), halfOf)

const word = 2 ** 32

/** Integers of 64 bits as numbers, without a bigint each. */
const longsOf = (bytes: Uint8Array, count: number): (i: number) => number => {
  const low = typed.uint32(bytes, count * 2)
  const high = typed.int32(bytes, count * 2)
  return (i) => high[i * 2 + 1]! * word + low[i * 2]!
}

const always: Validity = () => true

/** A message's body: the buffers are taken in the order of the fields. */
class Body {
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

  dictionary(id: bigint): ReadonlyArray<unknown> {
    const values = this.dictionaries.get(id)
    if (values === undefined) throw new ArrowFault("the values of a dictionary have not come before it is used")
    return values
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

const flat = (
  { length }: FieldNode,
  validity: Validity,
  width: number,
  valueAt: (i: number) => unknown
): Reader => ({
  length,
  read: (from, to) => {
    const out = new Array<unknown>(to - from).fill(null)
    if (validity === always) {
      for (let i = from; i < to; i++) out[i - from] = valueAt(i)
    } else {
      for (let i = from; i < to; i++) if (validity(i)) out[i - from] = valueAt(i)
    }
    return out
  },
  size: (from, to) => (to - from) * width
})

/** Offsets of the rows from `from` to `to`, and of where the last one ends; they ascend and are in the bounds. */
type OffsetsAt = (from: number, to: number) => Offsets

const offsetsOf = (bytes: Uint8Array, width: 4 | 8, count: number, bound: number): OffsetsAt => {
  // Without values there need be no offsets.
  const all = count === 0 && bytes.length === 0 ? new Uint8Array(width) : bytes
  const longAt = width === 8 ? longsOf(all, count + 1) : null
  const ints = width === 4 ? typed.int32(all, count + 1) : null
  return (from, to) => {
    const offsets = ints === null
      ? Float64Array.from({ length: to - from + 1 }, (_, i) => longAt!(from + i))
      : ints.subarray(from, to + 1)
    let before = 0
    for (let i = 0; i < offsets.length; i++) {
      const offset = offsets[i]!
      if (offset < before) throw new ArrowFault("the offsets of values do not ascend")
      before = offset
    }
    if (before > bound) throw new ArrowFault("the offsets of values are beyond the values")
    return offsets
  }
}

const notText = (): never => {
  throw new ArrowFault("the text is not UTF-8")
}

/** Texts that lie one after the other. */
const textsOf = (bytes: Buffer, offsets: Offsets, from: number, to: number, validity: Validity): Array<unknown> => {
  const out = new Array<unknown>(to - from).fill(null)
  const start = offsets[0]!
  const all = bytes.subarray(start, offsets[to - from])
  if (isAscii(all)) {
    // One text, of which the values are slices: a call into the runtime for each costs several times more.
    const text = all.toString("latin1")
    for (let i = 0; i < out.length; i++) {
      if (validity(from + i)) out[i] = text.substring(offsets[i]! - start, offsets[i + 1]! - start)
    }
    return out
  }
  const isWhole = isUtf8(all)
  for (let i = 0; i < out.length; i++) {
    if (!validity(from + i)) continue
    const begin = offsets[i]!
    const end = offsets[i + 1]!
    // Where the whole is UTF-8, so is a part that begins and ends with a character.
    const isPart = isWhole && (begin === end || (bytes[begin]! & 0xc0) !== 0x80) && (bytes[end]! & 0xc0) !== 0x80
    if (!isPart && !isUtf8(bytes.subarray(begin, end))) return notText()
    out[i] = bytes.toString("utf8", begin, end)
  }
  return out
}

/** The bytes of each value, whatever they are. */
interface Pieces {
  readonly at: (i: number) => Uint8Array
  readonly size: (from: number, to: number) => number
  readonly texts: (from: number, to: number) => Array<unknown>
}

const piecesOf = (width: 0 | 4 | 8, { length }: FieldNode, validity: Validity, body: Body): Pieces => {
  if (width === 0) return viewsOf(length, validity, body)
  const offsetBytes = body.next()
  const bytes = viewOf(body.next())
  const offsets = offsetsOf(offsetBytes, width, length, bytes.length)
  return {
    at: (i) => {
      const [start, end] = offsets(i, i + 1)
      return new Uint8Array(bytes.buffer, bytes.byteOffset + start!, end! - start!)
    },
    size: (from, to) => {
      const ends = offsets(from, to)
      return ends[to - from]! - ends[0]! + (to - from) * 8
    },
    texts: (from, to) => textsOf(bytes, offsets(from, to), from, to, validity)
  }
}

/** Values of at most 12 bytes lie in the views themselves, others in buffers to which the views point. */
const viewsOf = (length: number, validity: Validity, body: Body): Pieces => {
  const views = viewOf(body.next())
  const buffers = Array.from({ length: body.nextViewBuffers() }, () => body.next())
  if (views.length < length * 16) return tooShort()
  const at = (i: number): Uint8Array => {
    const size = views.readInt32LE(i * 16)
    if (size < 0) throw new ArrowFault("a value has no size")
    if (size <= 12) return new Uint8Array(views.buffer, views.byteOffset + i * 16 + 4, size)
    const buffer = buffers[views.readInt32LE(i * 16 + 8)]
    const start = views.readInt32LE(i * 16 + 12)
    if (buffer === undefined || start < 0 || start + size > buffer.length) {
      throw new ArrowFault("a value points outside of its buffer")
    }
    return new Uint8Array(buffer.buffer, buffer.byteOffset + start, size)
  }
  return {
    at,
    size: (from, to) => {
      let size = (to - from) * 16
      for (let i = from; i < to; i++) size += Math.max(0, views.readInt32LE(i * 16))
      return size
    },
    texts: (from, to) => {
      const out = new Array<unknown>(to - from).fill(null)
      for (let i = from; i < to; i++) {
        if (!validity(i)) continue
        const bytes = viewOf(at(i))
        out[i - from] = isUtf8(bytes) ? bytes.toString() : notText()
      }
      return out
    }
  }
}

const furthestDate = 8.64e15

const dateOf = (milliseconds: number): Date => {
  if (Math.abs(milliseconds) > furthestDate) throw new ArrowFault("the time is beyond those of a Date")
  return new Date(milliseconds)
}

const safeOf = (value: number): number => {
  if (!Number.isSafeInteger(value)) throw new ArrowFault("the number is beyond the safe integers")
  return value
}

const unscaledOf = (bytes: Uint8Array, bits: number, count: number): (i: number) => bigint => {
  if (bits === 32) {
    const ints = typed.int32(bytes, count)
    return (i) => BigInt(ints[i]!)
  }
  const words = bits / 64
  const low = typed.uint64(bytes, count * words)
  const high = typed.int64(bytes, count * words)
  return (i) => {
    let value = high[(i + 1) * words - 1]!
    for (let k = words - 2; k >= 0; k--) value = (value << 64n) | low[i * words + k]!
    return value
  }
}

/** The values of a list field: where those of each row begin and end. */
const rangesOf = (field: ArrowField, node: FieldNode, offsets: Uint8Array | null, elements: number): OffsetsAt => {
  const { type } = field
  if (type.id !== "fixed-list") return offsetsOf(offsets!, type.id === "list" ? type.width : 4, node.length, elements)
  if (elements < node.length * type.size) throw new ArrowFault("a list has fewer elements than it should")
  return (from, to) => Float64Array.from({ length: to - from + 1 }, (_, i) => (from + i) * type.size)
}

const vectorReader = (field: ArrowField, body: Body): Reader => {
  const node = body.nextNode()
  const validity = body.validity(node)
  const offsets = field.type.id === "list" ? body.next() : null
  const child = field.children[0]!
  const elements = body.nextNode()
  const isElement = body.validity(elements)
  const bytes = body.next()
  const floats = child.type.id === "float" && child.type.bits === 16
    ? halvesOf(bytes, elements.length)
    : typed.float32(bytes, elements.length)
  const ranges = rangesOf(field, node, offsets, elements.length)
  const vector = (start: number, end: number): Float32Array => {
    for (let k = start; isElement !== always && k < end; k++) {
      if (!isElement(k)) throw new ArrowFault("an element of the vector is null")
    }
    // A view: the batch's vectors lie in one piece of memory.
    return floats.subarray(start, end)
  }
  return {
    length: node.length,
    read: (from, to) => {
      const ends = ranges(from, to)
      const out = new Array<unknown>(to - from).fill(null)
      for (let i = 0; i < out.length; i++) if (validity(from + i)) out[i] = vector(ends[i]!, ends[i + 1]!)
      return out
    },
    size: (from, to) => {
      const ends = ranges(from, to)
      return (ends[to - from]! - ends[0]!) * 4 + (to - from) * 8
    }
  }
}

/** Reads some values at once, unless they are too many for what they take. */
const readAll = (reader: Reader, from: number, to: number): Array<unknown> => {
  if (to - from > mostEmpty && reader.size(from, to) < to - from) {
    throw new ArrowFault("there are more empty values than can be")
  }
  return reader.read(from, to)
}

const listReader = (
  field: ArrowField,
  body: Body,
  elementReader: (body: Body) => Reader
): Reader => {
  const node = body.nextNode()
  const validity = body.validity(node)
  const offsets = field.type.id === "fixed-list" ? null : body.next()
  const element = elementReader(body)
  const ranges = rangesOf(field, node, offsets, element.length)
  return {
    length: node.length,
    read: (from, to) => {
      const ends = ranges(from, to)
      const start = ends[0]!
      const elements = readAll(element, start, ends[to - from]!)
      const out = new Array<unknown>(to - from).fill(null)
      for (let i = 0; i < out.length; i++) {
        if (validity(from + i)) out[i] = elements.slice(ends[i]! - start, ends[i + 1]! - start)
      }
      return out
    },
    size: (from, to) => {
      const ends = ranges(from, to)
      return element.size(ends[0]!, ends[to - from]!) + (offsets === null ? 0 : (to - from) * 8)
    }
  }
}

const checkLength = (length: number, children: ReadonlyArray<Reader>): void => {
  if (children.some((child) => child.length < length)) {
    throw new ArrowFault("a field of a struct has fewer values than it should")
  }
}

const structReader = (field: ArrowField, types: ReadonlyArray<ColumnType>, body: Body): Reader => {
  const node = body.nextNode()
  const validity = body.validity(node)
  const fields = field.children.map((child, j) => readerOf(types[j]!, child, body))
  checkLength(node.length, fields)
  const names = field.children.map(({ name }) => name)
  // Assigning to this name would set an object's prototype.
  const isPlain = !names.includes("__proto__")
  return {
    length: node.length,
    read: (from, to) => {
      const values = fields.map((reader) => reader.read(from, to))
      const out = new Array<unknown>(to - from).fill(null)
      for (let i = 0; i < out.length; i++) {
        if (!validity(from + i)) continue
        if (isPlain) {
          const row: Record<string, unknown> = {}
          for (let j = 0; j < names.length; j++) row[names[j]!] = values[j]![i]
          out[i] = row
        } else {
          out[i] = Object.fromEntries(names.map((name, j) => [name, values[j]![i]]))
        }
      }
      return out
    },
    size: (from, to) => fields.reduce((size, reader) => size + reader.size(from, to), 0)
  }
}

const entryReader = (field: ArrowField, key: ColumnType, value: ColumnType, body: Body): Reader => {
  const node = body.nextNode()
  body.validity(node)
  const keys = readerOf(key, field.children[0]!, body)
  const values = readerOf(value, field.children[1]!, body)
  checkLength(node.length, [keys, values])
  return {
    length: node.length,
    read: (from, to) => {
      const valueOf = values.read(from, to)
      return keys.read(from, to).map((key, i) => {
        if (key === null) throw new ArrowFault("a key of the map is null")
        return { key, value: valueOf[i] }
      })
    },
    size: (from, to) => keys.size(from, to) + values.size(from, to)
  }
}

const indexed = (
  dictionary: ArrowDictionary,
  { length }: FieldNode,
  validity: Validity,
  body: Body
): Reader => {
  const bytes = body.next()
  const indexOf = intsOf(dictionary.bits, dictionary.signed, bytes, length)
  const values = body.dictionary(dictionary.id)
  return flat({ length, nullCount: 0 }, validity, 8, (i) => {
    const value = values[indexOf(i)]
    if (value === undefined) throw new ArrowFault("the dictionary has no such value")
    return value
  })
}

const intsOf = (bits: number, signed: boolean, bytes: Uint8Array, length: number): (i: number) => number => {
  if (bits === 64) return longsOf(bytes, length)
  const ints = bits === 32
    ? (signed ? typed.int32 : typed.uint32)(bytes, length)
    : bits === 16
    ? (signed ? typed.int16 : typed.uint16)(bytes, length)
    : (signed ? typed.int8 : typed.uint8)(bytes, length)
  return (i) => ints[i]!
}

const textReader = (width: 0 | 4 | 8, body: Body, read: ((text: string) => unknown) | null): Reader => {
  const node = body.nextNode()
  const pieces = piecesOf(width, node, body.validity(node), body)
  return {
    length: node.length,
    read: (from, to) => {
      const texts = pieces.texts(from, to)
      if (read === null) return texts
      for (let i = 0; i < texts.length; i++) {
        const text = texts[i]
        if (typeof text === "string") texts[i] = read(text)
      }
      return texts
    },
    size: pieces.size
  }
}

/** The parser's own message would quote the text. */
const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw new ArrowFault("the text is not JSON")
  }
}

const noReader = (): never => {
  throw new ArrowFault("the values are of another type than the schema says")
}

/** Values that take so many bytes each, whatever they are. */
const wordReader = (columnType: ColumnType, field: ArrowField, body: Body): Reader => {
  const { type } = field
  const node = body.nextNode()
  const { length } = node
  const validity = body.validity(node)
  const bytes = body.next()
  switch (type.id) {
    case "bool": {
      if (bytes.length * 8 < length) return tooShort()
      return flat(node, validity, 1, (i) => ((bytes[i >> 3]! >> (i & 7)) & 1) === 1)
    }
    case "int": {
      if (columnType === "integer") {
        const longs = longsOf(bytes, length)
        return flat(node, validity, 8, (i) => safeOf(longs(i)))
      }
      if (type.bits === 64) {
        const longs = type.signed ? typed.int64(bytes, length) : typed.uint64(bytes, length)
        return flat(node, validity, 8, (i) => longs[i])
      }
      return flat(node, validity, type.bits / 8, intsOf(type.bits, type.signed, bytes, length))
    }
    case "float": {
      const floats = type.bits === 64
        ? typed.float64(bytes, length)
        : type.bits === 32
        ? typed.float32(bytes, length)
        : halvesOf(bytes, length)
      return flat(node, validity, type.bits / 8, (i) => floats[i])
    }
    case "decimal": {
      const unscaled = unscaledOf(bytes, type.bits, length)
      return flat(node, validity, type.bits / 8, (i) => decimalText(unscaled(i), type.scale))
    }
    case "date": {
      if (type.unit === "day") {
        const days = typed.int32(bytes, length)
        return flat(node, validity, 4, (i) => dayText(days[i]!))
      }
      const longs = longsOf(bytes, length)
      return flat(node, validity, 8, (i) => dateOf(longs(i)))
    }
    case "time": {
      const times = intsOf(type.bits, true, bytes, length)
      return flat(node, validity, type.bits / 8, (i) => timeText(times(i), type.unit))
    }
    case "timestamp": {
      if (columnType === "date") {
        const longs = longsOf(bytes, length)
        return flat(node, validity, 8, (i) => dateOf(longs(i)))
      }
      const longs = typed.int64(bytes, length)
      return flat(node, validity, 8, (i) => timestampText(longs[i]!, type.unit, type.zone))
    }
    case "fixed": {
      const { size } = type
      if (bytes.length < length * size) return tooShort()
      return columnType === "uuid"
        ? flat(node, validity, size, (i) => uuidText(bytes, i * size))
        : flat(node, validity, size, (i) => new Uint8Array(bytes.buffer, bytes.byteOffset + i * size, size))
    }
    default:
      return noReader()
  }
}

/** What reads a field whose values are known to have the column type (`fits` or `columnTypeOf` in `ArrowTypes.ts`). */
const readerOf = (columnType: ColumnType, field: ArrowField, body: Body): Reader => {
  const { dictionary, type } = field
  if (dictionary !== null) {
    const node = body.nextNode()
    return indexed(dictionary, node, body.validity(node), body)
  }
  switch (type.id) {
    case "null": {
      const { length } = body.nextNode()
      return { length, read: (from, to) => new Array<unknown>(to - from).fill(null), size: () => 0 }
    }
    case "utf8":
      return textReader(type.width, body, columnType === "json" ? jsonOf : null)
    case "binary": {
      const node = body.nextNode()
      const validity = body.validity(node)
      const pieces = piecesOf(type.width, node, validity, body)
      return { ...flat(node, validity, 0, pieces.at), size: pieces.size }
    }
    case "list":
    case "fixed-list": {
      if (columnType === "vector") return vectorReader(field, body)
      if (typeof columnType === "string" || columnType.type !== "list") return noReader()
      return listReader(field, body, (body) => readerOf(columnType.element, field.children[0]!, body))
    }
    case "map": {
      if (typeof columnType === "string" || columnType.type !== "map") return noReader()
      const { key, value } = columnType
      return listReader(field, body, (body) => entryReader(field.children[0]!, key, value, body))
    }
    case "struct": {
      if (typeof columnType === "string" || columnType.type !== "struct") return noReader()
      return structReader(field, columnType.fields.map(({ type }) => type), body)
    }
    default:
      return wordReader(columnType, field, body)
  }
}

/** Passes over the buffers of a field that is not read. */
const skip = (field: ArrowField, body: Body): void => {
  const { dictionary, type } = field
  body.nextNode()
  const pass = (buffers: number): void => {
    for (let i = 0; i < buffers; i++) body.nextPlace()
  }
  if (dictionary !== null) return pass(2)
  switch (type.id) {
    case "null":
      return
    case "utf8":
    case "binary":
      return pass(type.width === 0 ? 2 + body.nextViewBuffers() : 3)
    case "struct":
    case "fixed-list":
      pass(1)
      break
    case "unsupported":
      pass(type.buffers)
      break
    default:
      pass(2)
  }
  for (const child of field.children) skip(child, body)
}

/**
 * The rows of a record batch, read as they are asked for.
 *
 * @internal
 */
export interface BatchRows {
  readonly length: number
  /** The rows `from` (inclusive) to `to` (exclusive). Throws an `ArrowFault` that names row and column. */
  readonly read: (from: number, to: number) => Batch
  /** About how many bytes these rows take. */
  readonly size: (from: number, to: number) => number
}

const isFault = (cause: unknown): cause is ArrowFault | TypedTextFault =>
  cause instanceof ArrowFault || cause instanceof TypedTextFault

/** The first row that cannot be read, where it can be told. */
const faultAt = (name: string, reader: Reader, from: number, to: number, fault: Error): ArrowFault => {
  for (let i = from; i < to; i++) {
    try {
      reader.read(i, i + 1)
    } catch (cause) {
      if (!isFault(cause)) throw cause
      return new ArrowFault(cause.message, { row: i, column: name, cause: cause.cause })
    }
  }
  return new ArrowFault(fault.message, { column: name, cause: fault.cause })
}

const inColumn = <A>(name: string, run: () => A): A => {
  try {
    return run()
  } catch (cause) {
    throw isFault(cause) ? new ArrowFault(cause.message, { column: name, cause: cause.cause }) : cause
  }
}

/**
 * The rows of a record batch. `types` has for each field of the schema how its values are read, or null where it is
 * left out. Throws an `ArrowFault`.
 *
 * @internal
 */
export const rowsOf = (
  fields: ReadonlyArray<ArrowField>,
  types: ReadonlyArray<ColumnType | null>,
  batch: RecordBatch,
  bytesAt: (place: BufferPlace) => Uint8Array,
  dictionaries: Dictionaries
): BatchRows => {
  const body = new Body(batch, bytesAt, dictionaries)
  const readers: Array<readonly [name: string, reader: Reader]> = []
  for (const [j, field] of fields.entries()) {
    const type = types[j] ?? null
    if (type === null) {
      skip(field, body)
      continue
    }
    const reader = inColumn(field.name, () => readerOf(type, field, body))
    if (reader.length !== batch.length) {
      throw new ArrowFault("the column has another number of rows than its record batch", { column: field.name })
    }
    readers.push([field.name, reader])
  }
  return {
    length: batch.length,
    read: (from, to) => ({
      length: to - from,
      columns: readers.map(([name, reader]) => {
        try {
          return reader.read(from, to)
        } catch (cause) {
          if (!isFault(cause)) throw cause
          throw faultAt(name, reader, from, to, cause)
        }
      })
    }),
    size: (from, to) =>
      readers.reduce((size, [name, reader]) => size + inColumn(name, () => reader.size(from, to)), 0)
  }
}

/**
 * The values of a dictionary batch. Throws an `ArrowFault`.
 *
 * @internal
 */
export const dictionaryOf = (
  field: ArrowField,
  type: ColumnType,
  batch: RecordBatch,
  bytesAt: (place: BufferPlace) => Uint8Array,
  dictionaries: Dictionaries
): ReadonlyArray<unknown> => {
  const reader = readerOf(type, { ...field, dictionary: null }, new Body(batch, bytesAt, dictionaries))
  if (reader.length !== batch.length) throw new ArrowFault("a dictionary has another number of values than it says")
  return readAll(reader, 0, reader.length)
}

/**
 * The bytes of a place in a body that is all there. Throws an `ArrowFault`.
 *
 * @internal
 */
export const within = (body: Uint8Array) => ({ length, offset }: BufferPlace): Uint8Array => {
  if (offset + length > body.length) throw new ArrowFault("a buffer is outside of its message")
  return body.subarray(offset, offset + length)
}
