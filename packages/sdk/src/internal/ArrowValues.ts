/**
 * The values of a record batch, read from the buffers of its message. The buffers are not trusted: what does not hold
 * is an `ArrowFault`, and nothing is allocated for what is not there.
 *
 * @internal
 */
import { isAscii, isUtf8 } from "node:buffer"
import type { ColumnType, TimeUnit } from "../Column.ts"
import {
  always,
  Body,
  type Dictionaries,
  halvesOf,
  longsOf,
  tooShort,
  typed,
  type Validity,
  viewOf
} from "./ArrowBody.ts"
import {
  type ArrowDictionary,
  ArrowFault,
  type ArrowField,
  type BufferPlace,
  type FieldNode,
  type RecordBatch
} from "./ArrowMessages.ts"
import type { Batch } from "./Batch.ts"
import { dayText, decimalText, timestampText, timeText, TypedTextFault, uuidText } from "./TypedText.ts"

/** Reads the values of one field. */
interface Reader {
  readonly length: number
  /** The values of the rows `from` (inclusive) to `to` (exclusive). */
  readonly read: (from: number, to: number) => Array<unknown>
  /** About how many bytes these rows take; 0 where there are none, however many rows are said to be. */
  readonly size: (from: number, to: number) => number
}

type Offsets = Int32Array | Float64Array

/** So many values that take no bytes, in a list or a dictionary, are damage: nothing is allocated for them. */
const mostEmpty = 2 ** 20

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

/** Whether so much of a buffer is read together that values may be views of it, and need no copy that is smaller. */
const isMost = (length: number, start: number, end: number): boolean => (end - start) * 2 >= length

/** Values of bytes, read as what they are or as texts. */
interface Pieces {
  readonly bytes: (from: number, to: number) => Array<unknown>
  readonly texts: (from: number, to: number) => Array<unknown>
  readonly size: (from: number, to: number) => number
}

/** The part of the bytes from `start` to `end`, which then is in a piece of memory that is not much larger. */
const ownBytes = (bytes: Uint8Array, start: number, end: number): Uint8Array => {
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return isMost(bytes.length, start, end) ? plain.subarray(start, end) : plain.slice(start, end)
}

const piecesOf = (width: 0 | 4 | 8, { length }: FieldNode, validity: Validity, body: Body): Pieces => {
  if (width === 0) return viewsOf(length, validity, body)
  const offsetBytes = body.next()
  const bytes = viewOf(body.next())
  const offsets = offsetsOf(offsetBytes, width, length, bytes.length)
  return {
    bytes: (from, to) => {
      const ends = offsets(from, to)
      const start = ends[0]!
      const own = ownBytes(bytes, start, ends[to - from]!)
      const out = new Array<unknown>(to - from).fill(null)
      for (let i = 0; i < out.length; i++) {
        if (validity(from + i)) out[i] = own.subarray(ends[i]! - start, ends[i + 1]! - start)
      }
      return out
    },
    texts: (from, to) => textsOf(bytes, offsets(from, to), from, to, validity),
    size: (from, to) => {
      const ends = offsets(from, to)
      return ends[to - from]! - ends[0]! + (to - from) * 8
    }
  }
}

/** Values of at most 12 bytes lie in the views themselves, others in buffers to which the views point. */
const viewsOf = (length: number, validity: Validity, body: Body): Pieces => {
  const views = viewOf(body.next())
  const buffers = Array.from({ length: body.nextViewBuffers() }, () => body.next())
  if (views.length < length * 16) return tooShort()
  const at = (i: number): Buffer => {
    const size = views.readInt32LE(i * 16)
    if (size < 0) throw new ArrowFault("a value has no size")
    if (size <= 12) return views.subarray(i * 16 + 4, i * 16 + 4 + size)
    const buffer = buffers[views.readInt32LE(i * 16 + 8)]
    const start = views.readInt32LE(i * 16 + 12)
    if (buffer === undefined || start < 0 || start + size > buffer.length) {
      throw new ArrowFault("a value points outside of its buffer")
    }
    return viewOf(buffer).subarray(start, start + size)
  }
  const each = (valueOf: (bytes: Buffer) => unknown) => (from: number, to: number): Array<unknown> => {
    const out = new Array<unknown>(to - from).fill(null)
    for (let i = from; i < to; i++) if (validity(i)) out[i - from] = valueOf(at(i))
    return out
  }
  return {
    bytes: each((bytes) => new Uint8Array(bytes)),
    texts: each((bytes) => isUtf8(bytes) ? bytes.toString() : notText()),
    size: (from, to) => {
      let size = (to - from) * 16
      for (let i = from; i < to; i++) size += Math.max(0, views.readInt32LE(i * 16))
      return size
    }
  }
}

const furthestDate = 8.64e15

const dateOf = (milliseconds: number): Date => {
  if (Math.abs(milliseconds) > furthestDate) throw new ArrowFault("the value is beyond what a Date holds")
  return new Date(milliseconds)
}

const safeOf = (value: number): number => {
  if (!Number.isSafeInteger(value)) throw new ArrowFault("the value is beyond what a number holds exactly")
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

const nullElement =
  "an element of the vector is null: declare the column as an array whose elements admit null, or leave it out"

const exactOf = (value: number): number => {
  if (Math.fround(value) === value || Number.isNaN(value)) return value
  throw new ArrowFault("a value has more digits than a float of 32 bits holds")
}

const vectorReader = (field: ArrowField, body: Body): Reader => {
  const node = body.nextNode()
  const validity = body.validity(node)
  const offsets = field.type.id === "list" ? body.next() : null
  const child = field.children[0]!
  const elements = body.nextNode()
  const isElement = body.validity(elements)
  const bytes = body.next()
  const bits = child.type.id === "float" ? child.type.bits : 0
  const floats = bits === 64
    ? Float32Array.from(typed.float64(bytes, elements.length), exactOf)
    : bits === 32
    ? typed.float32(bytes, elements.length)
    : halvesOf(bytes, elements.length)
  const ranges = rangesOf(field, node, offsets, elements.length)
  const checkElements = (start: number, end: number): void => {
    for (let k = start; isElement !== always && k < end; k++) {
      if (!isElement(k)) throw new ArrowFault(nullElement)
    }
  }
  return {
    length: node.length,
    read: (from, to) => {
      const ends = ranges(from, to)
      const start = ends[0]!
      const end = ends[to - from]!
      const own = isMost(floats.length, start, end) ? floats.subarray(start, end) : floats.slice(start, end)
      const out = new Array<unknown>(to - from).fill(null)
      for (let i = 0; i < out.length; i++) {
        if (!validity(from + i)) continue
        checkElements(ends[i]!, ends[i + 1]!)
        out[i] = own.subarray(ends[i]! - start, ends[i + 1]! - start)
      }
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

const indexedReader = (columnType: ColumnType, dictionary: ArrowDictionary, body: Body): Reader => {
  const node = body.nextNode()
  const validity = body.validity(node)
  const indexOf = intsOf(dictionary.bits, dictionary.signed, body.next(), node.length)
  const values = body.dictionary(dictionary.id, columnType)
  return flat(node, validity, 8, (i) => {
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

const perMilli: { readonly [U in TimeUnit]: bigint } = { s: 0n, ms: 1n, us: 1000n, ns: 1_000_000n }

const millisOf = (value: bigint, unit: TimeUnit): number => {
  if (unit === "s") return Number(value) * 1000
  const size = perMilli[unit]
  if (value % size !== 0n) {
    throw new ArrowFault(
      "the value has fractions of a millisecond, which a Date cannot hold; declare the column as Schema.String"
    )
  }
  return Number(value / size)
}

const positiveOf = (value: bigint): bigint => {
  if (value >= 2n ** 63n) throw new ArrowFault("the value does not fit 64 bits with a sign")
  return value
}

/** Integers, as integers or as the numbers or bigints that are asked for. */
const integerReader = (
  columnType: ColumnType,
  { bits, signed }: { readonly bits: number; readonly signed: boolean },
  node: FieldNode,
  validity: Validity,
  bytes: Uint8Array
): Reader => {
  const { length } = node
  if (bits < 64) {
    const ints = intsOf(bits, signed, bytes, length)
    return flat(node, validity, bits / 8, columnType === "bigint" ? (i) => BigInt(ints(i)) : ints)
  }
  if (columnType === "integer" || columnType === "number") {
    const longs = longsOf(bytes, length, signed)
    return flat(node, validity, 8, (i) => safeOf(longs(i)))
  }
  const longs = signed ? typed.int64(bytes, length) : typed.uint64(bytes, length)
  return flat(node, validity, 8, !signed && columnType === "bigint" ? (i) => positiveOf(longs[i]!) : (i) => longs[i])
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
    case "int":
      return integerReader(columnType, type, node, validity, bytes)
    case "float": {
      const floats = type.bits === 64
        ? typed.float64(bytes, length)
        : type.bits === 32
        ? typed.float32(bytes, length)
        : halvesOf(bytes, length)
      return flat(node, validity, type.bits / 8, (i) => floats[i])
    }
    case "decimal": {
      const { bits, precision, scale } = type
      const unscaled = unscaledOf(bytes, bits, length)
      const limit = 10n ** BigInt(precision)
      return flat(node, validity, bits / 8, (i) => {
        const value = unscaled(i)
        if (value >= limit || value <= -limit) {
          throw new ArrowFault(`the value has more than the ${precision} digits of its type`)
        }
        return decimalText(value, scale)
      })
    }
    case "date": {
      if (type.unit === "day") {
        const days = typed.int32(bytes, length)
        return columnType === "date"
          ? flat(node, validity, 4, (i) => dateOf(days[i]! * 86_400_000))
          : flat(node, validity, 4, (i) => dayText(days[i]!))
      }
      return instantReader(columnType, "ms", "UTC", node, validity, bytes)
    }
    case "time": {
      const times = intsOf(type.bits, true, bytes, length)
      return flat(node, validity, type.bits / 8, (i) => timeText(times(i), type.unit))
    }
    case "timestamp":
      return instantReader(columnType, type.unit, type.zone, node, validity, bytes)
    case "fixed": {
      const { size } = type
      if (bytes.length < length * size) return tooShort()
      if (columnType === "uuid") return flat(node, validity, size, (i) => uuidText(bytes, i * size))
      return {
        length,
        read: (from, to) => {
          const own = ownBytes(bytes, from * size, to * size)
          const out = new Array<unknown>(to - from).fill(null)
          for (let i = 0; i < out.length; i++) {
            if (validity(from + i)) out[i] = own.subarray(i * size, (i + 1) * size)
          }
          return out
        },
        size: (from, to) => (to - from) * size
      }
    }
    default:
      return noReader()
  }
}

const instantReader = (
  columnType: ColumnType,
  unit: TimeUnit,
  zone: string | null,
  node: FieldNode,
  validity: Validity,
  bytes: Uint8Array
): Reader => {
  if (columnType === "date" && unit === "ms") {
    const longs = longsOf(bytes, node.length)
    return flat(node, validity, 8, (i) => dateOf(longs(i)))
  }
  const longs = typed.int64(bytes, node.length)
  return columnType === "date"
    ? flat(node, validity, 8, (i) => dateOf(millisOf(longs[i]!, unit)))
    : flat(node, validity, 8, (i) => timestampText(longs[i]!, unit, zone))
}

/** What reads a field whose values are known to have the column type (`fits` or `columnTypeOf` in `ArrowTypes.ts`). */
const readerOf = (columnType: ColumnType, field: ArrowField, body: Body): Reader => {
  const { dictionary, type } = field
  if (dictionary !== null) return indexedReader(columnType, dictionary, body)
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
      return { length: node.length, read: pieces.bytes, size: pieces.size }
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

/** Passes over the buffers of a field that is not read; `places` takes where they are. */
const skip = (field: ArrowField, body: Body, places: Array<BufferPlace> = []): void => {
  const { dictionary, type } = field
  body.nextNode()
  const pass = (buffers: number): void => {
    for (let i = 0; i < buffers; i++) places.push(body.nextPlace())
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
    case "union":
      pass(type.buffers + (body.version < 4 ? 1 : 0))
      break
    case "unsupported":
      pass(type.buffers)
      break
    default:
      pass(2)
  }
  for (const child of field.children) skip(child, body, places)
}

/**
 * Where the buffers of the fields lie that are read (those with a type). Throws an `ArrowFault`.
 *
 * @internal
 */
export const placesOf = (
  fields: ReadonlyArray<ArrowField>,
  types: ReadonlyArray<ColumnType | null>,
  batch: RecordBatch
): ReadonlyArray<BufferPlace> => {
  const body = new Body(batch, noBytes, new Map())
  const places: Array<BufferPlace> = []
  for (const [j, field] of fields.entries()) skip(field, body, (types[j] ?? null) === null ? [] : places)
  return places
}

const noBytes = (): Uint8Array => new Uint8Array(0)

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
): Array<unknown> => {
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
