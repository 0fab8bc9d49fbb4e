/**
 * The values of a data page, in every encoding, read some thousands at a time: a page that says it has billions of
 * values takes no memory for them.
 *
 * @internal
 */
import type { Encoding } from "hyparquet"
import type { Convert, Numbers } from "./ParquetConvert.ts"
import { Delta } from "./ParquetDelta.ts"
import { ParquetFault, ValueFault } from "./ParquetFault.ts"
import { Runs } from "./ParquetRuns.ts"
import type { Leaf } from "./ParquetTree.ts"

/** The most values that are read at a time. */
export const blockValues = 4096

const tooShort = (): never => {
  throw new ParquetFault("a page ends before its values do")
}

/**
 * The bytes of a page's values. Of a large page they come in pieces.
 *
 * @internal
 */
export class PageBytes {
  bytes: Buffer
  /** Where the next value begins. */
  at = 0
  /** Whether these are the last ones. */
  ended: boolean
  private room: Buffer = Buffer.alloc(0)

  constructor(bytes: Buffer, ended: boolean) {
    this.bytes = bytes
    this.ended = ended
  }

  /** Adds a copy of a piece to what is left, in the same memory where it has room. */
  add(piece: Buffer): void {
    const left = this.bytes.length - this.at
    const needed = left + piece.length
    const { room } = this
    if (needed > room.length) this.room = Buffer.allocUnsafeSlow(Math.max(needed, room.length * 2))
    this.bytes.copy(this.room, 0, this.at)
    piece.copy(this.room, left)
    this.bytes = this.room.subarray(0, needed)
    this.at = 0
  }

  /** How many of the next `count` values of `width` bytes are there. Nulls are counted too. */
  whole(count: number, width: number): number {
    return this.ended ? count : Math.min(count, Math.floor((this.bytes.length - this.at) / width))
  }
}

/**
 * The values of a page that are not null.
 *
 * @internal
 */
export interface Values {
  /**
   * How many of the next `count` values are there and have together not more than about so many bytes: at least 1, or 0
   * where the next one is not there yet.
   */
  readonly fit: (count: number, bytes: number) => number
  /** Puts the next `count` (at most `blockValues`) values into `out`, from `at` on; gives their bytes. */
  readonly read: (out: Array<unknown>, at: number, count: number) => number
  /** Puts floats into an array of floats, where the page holds such. */
  readonly readFloats: ((out: Float32Array, at: number, count: number) => void) | null
}

interface ReadNumbers {
  /** How many of the next `count` are there. */
  readonly whole: (count: number) => number
  /** Puts the next `count` numbers into `target`. */
  readonly read: (target: Numbers, from: number, count: number) => void
}

const plainNumbers = (page: PageBytes, width: number): ReadNumbers => ({
  whole: (count) => page.whole(count, width),
  read: (target, from, count) => {
    const end = page.at + count * width
    if (end > page.bytes.length) tooShort()
    new Uint8Array(target.buffer, target.byteOffset).set(page.bytes.subarray(page.at, end), from * width)
    page.at = end
  }
})

const all = (count: number): number => count

const plainBooleans = (page: Buffer): ReadNumbers => {
  let at = 0
  return {
    whole: all,
    read: (target, from, count) => {
      if (at + count > page.length * 8) tooShort()
      for (let i = from; i < from + count; i++, at++) target[i] = (page[at >> 3]! >> (at & 7)) & 1
    }
  }
}

const runBooleans = (page: Buffer): ReadNumbers => {
  if (page.length < 4 || page.readUInt32LE(0) > page.length - 4) tooShort()
  const runs = new Runs(page, 4, 4 + page.readUInt32LE(0), 1, 1)
  return { whole: all, read: (target, from, count) => runs.read(target as Uint8Array, from, count) }
}

const splitNumbers = (page: Buffer, width: number): ReadNumbers => {
  const total = page.length / width
  if (!Number.isInteger(total)) throw new ParquetFault("a page of split bytes has a part of a value")
  let at = 0
  return {
    whole: all,
    read: (target, from, count) => {
      if (at + count > total) tooShort()
      const bytes = new Uint8Array(target.buffer, target.byteOffset)
      for (let b = 0; b < width; b++) {
        const plane = b * total + at
        for (let i = 0, to = from * width + b; i < count; i++, to += width) bytes[to] = page[plane + i]!
      }
      at += count
    }
  }
}

const deltaNumbers = (page: Buffer): ReadNumbers => {
  const delta = new Delta(page, 0, page.length)
  return {
    whole: all,
    read: (target, from, count) =>
      target instanceof Int32Array
        ? delta.readInts(target, from, count)
        : delta.readLongs(new Int32Array(target.buffer, target.byteOffset), from, count)
  }
}

class NumberValues implements Values {
  readonly readFloats: Values["readFloats"]
  private readonly next: ReadNumbers
  private readonly scratch: Numbers
  private readonly convert: Extract<Convert, { readonly from: "numbers" }>
  private readonly width: number

  constructor(
    next: ReadNumbers,
    scratch: Numbers,
    convert: Extract<Convert, { readonly from: "numbers" }>,
    width: number
  ) {
    this.next = next
    this.scratch = scratch
    this.convert = convert
    this.width = width
    this.readFloats = scratch instanceof Float32Array ? next.read : null
  }

  fit(count: number, bytes: number): number {
    return this.next.whole(Math.max(1, Math.min(count, Math.floor(bytes / this.width))))
  }

  read(out: Array<unknown>, at: number, count: number): number {
    this.next.read(this.scratch, 0, count)
    this.convert.run(this.scratch, count, out, at)
    return count * this.width
  }
}

/** Values of bytes, one after another: how long the next ones are, and where they lie. */
interface ReadSlices {
  readonly fit: Values["fit"]
  /** Sets the places of the next `count` values, and gives the bytes in which they lie. */
  readonly read: (starts: Int32Array, ends: Int32Array, count: number) => Buffer
}

const plainSlices = (page: PageBytes): ReadSlices => ({
  fit: (count, most) => {
    const { at, bytes, ended } = page
    let end = at
    for (let i = 0; i < count; i++) {
      // Nulls are counted too: there may be fewer values than that.
      if (end + 4 > bytes.length) return ended ? count : i
      end += 4 + bytes.readUInt32LE(end)
      if (end > bytes.length && !ended) return i
      if (end - at > most) return Math.max(1, i)
    }
    return count
  },
  read: (starts, ends, count) => {
    const { bytes } = page
    let start = page.at
    for (let i = 0; i < count; i++) {
      if (start + 4 > bytes.length) tooShort()
      const end = start + 4 + (bytes[start]! | (bytes[start + 1]! << 8) | (bytes[start + 2]! << 16)) +
        bytes[start + 3]! * 2 ** 24
      if (end > bytes.length) tooShort()
      starts[i] = start + 4
      ends[i] = end
      start = end
    }
    page.at = start
    return bytes
  }
})

const fixedSlices = (page: PageBytes, width: number): ReadSlices => ({
  fit: (count, most) => page.whole(Math.max(1, Math.min(count, Math.floor(most / width))), width),
  read: (starts, ends, count) => {
    if (page.at + count * width > page.bytes.length) tooShort()
    for (let i = 0; i < count; i++) {
      starts[i] = page.at
      page.at += width
      ends[i] = page.at
    }
    return page.bytes
  }
})

const splitSlices = (page: Buffer, width: number): ReadSlices => {
  const next = splitNumbers(page, width)
  return {
    fit: (count, bytes) => Math.max(1, Math.min(count, Math.floor(bytes / width))),
    read: (starts, ends, count) => {
      const bytes = Buffer.allocUnsafe(count * width)
      next.read(bytes, 0, count)
      for (let i = 0; i < count; i++) {
        starts[i] = i * width
        ends[i] = (i + 1) * width
      }
      return bytes
    }
  }
}

/** Lengths, read ahead by a block at a time. */
class Lengths {
  readonly values = new Int32Array(blockValues)
  readonly total: number
  private readonly delta: Delta
  private read = 0
  private given = 0
  private from = 0
  private to = 0

  constructor(page: Buffer, start: number) {
    this.delta = new Delta(page, start, page.length)
    this.total = this.delta.total
  }

  /** Makes sure of the next `count` lengths, or of all that there are; gives the place of the first. */
  ahead(count: number): number {
    if (this.to - this.from < count) {
      this.values.copyWithin(0, this.from, this.to)
      this.to -= this.from
      this.from = 0
      const more = Math.min(blockValues - this.to, this.total - this.read)
      this.delta.readInts(this.values, this.to, more)
      for (let i = this.to; i < this.to + more; i++) {
        if (this.values[i]! < 0) throw new ParquetFault("a page has a length under zero")
      }
      this.to += more
      this.read += more
    }
    return this.from
  }

  take(count: number): void {
    this.given += count
    this.from += count
    if (this.given > this.total) tooShort()
  }
}

const deltaLengthSlices = (page: Buffer): ReadSlices => {
  const lengths = new Lengths(page, 0)
  let at = new Delta(page, 0, page.length).encodedEnd()
  return {
    fit: (count, bytes) => {
      const from = lengths.ahead(count)
      let size = 0
      for (let i = 0; i < count; i++) {
        size += lengths.values[from + i]!
        if (size > bytes) return Math.max(1, i)
      }
      return count
    },
    read: (starts, ends, count) => {
      const from = lengths.ahead(count)
      lengths.take(count)
      for (let i = 0; i < count; i++) {
        starts[i] = at
        at += lengths.values[from + i]!
        if (at > page.length) tooShort()
        ends[i] = at
      }
      return page
    }
  }
}

/** Each value begins with some of the bytes of the one before. */
const deltaSlices = (page: Buffer): ReadSlices => {
  const prefixes = new Lengths(page, 0)
  const suffixesAt = new Delta(page, 0, page.length).encodedEnd()
  const suffixes = new Lengths(page, suffixesAt)
  let at = new Delta(page, suffixesAt, page.length).encodedEnd()
  let last: Buffer = Buffer.alloc(0)
  const sizeOf = (count: number, bytes: number): readonly [count: number, size: number] => {
    const prefix = prefixes.ahead(count)
    const suffix = suffixes.ahead(count)
    const known = Math.min(count, prefixes.total, suffixes.total)
    let size = 0
    for (let i = 0; i < known; i++) {
      const length = prefixes.values[prefix + i]! + suffixes.values[suffix + i]!
      if (i > 0 && size + length > bytes) return [i, size]
      size += length
    }
    return [count, size]
  }
  return {
    fit: (count, bytes) => sizeOf(count, bytes)[0],
    read: (starts, ends, count) => {
      const [, size] = sizeOf(count, Infinity)
      const prefix = prefixes.ahead(count)
      const suffix = suffixes.ahead(count)
      prefixes.take(count)
      suffixes.take(count)
      // A value is no longer than the suffixes so far, which are all in the page.
      if (size > count * page.length) tooShort()
      const bytes = Buffer.allocUnsafe(size)
      let to = 0
      for (let i = 0; i < count; i++) {
        const shared = prefixes.values[prefix + i]!
        const own = suffixes.values[suffix + i]!
        if (shared > last.length || at + own > page.length) tooShort()
        starts[i] = to
        last.copy(bytes, to, 0, shared)
        page.copy(bytes, to + shared, at, at + own)
        at += own
        to += shared + own
        ends[i] = to
        last = bytes.subarray(starts[i]!, to)
      }
      return bytes
    }
  }
}

class SliceValues implements Values {
  readonly readFloats = null
  private readonly next: ReadSlices
  private readonly convert: Extract<Convert, { readonly from: "slices" }>
  private readonly starts: Int32Array
  private readonly ends: Int32Array

  constructor(next: ReadSlices, convert: Extract<Convert, { readonly from: "slices" }>, scratch: Scratch) {
    this.next = next
    this.convert = convert
    this.starts = scratch.starts
    this.ends = scratch.ends
  }

  fit(count: number, bytes: number): number {
    return this.next.fit(count, bytes)
  }

  read(out: Array<unknown>, at: number, count: number): number {
    const { ends, starts } = this
    const bytes = this.next.read(starts, ends, count)
    this.convert.run({ bytes, starts, ends }, count, out, at)
    let size = 0
    for (let i = 0; i < count; i++) size += ends[i]! - starts[i]!
    return size
  }
}

/**
 * The dictionary of a column chunk: its values, and how many bytes each has.
 *
 * @internal
 */
export interface Dictionary {
  readonly values: ReadonlyArray<unknown>
  readonly sizes: Float64Array
  readonly largest: number
  /** Why values could not be converted: it matters where a row has them. */
  readonly faults: ReadonlyMap<number, string>
}

class DictionaryValues implements Values {
  readonly readFloats = null
  private readonly runs: Runs
  private readonly dictionary: Dictionary
  private readonly indices: Int32Array

  constructor(page: Buffer, dictionary: Dictionary, indices: Int32Array) {
    this.runs = new Runs(page, 1, page.length, page[0] ?? 0, Math.max(0, dictionary.values.length - 1))
    this.dictionary = dictionary
    this.indices = indices
  }

  fit(count: number, bytes: number): number {
    const { largest } = this.dictionary
    return count * largest <= bytes ? count : Math.max(1, Math.floor(bytes / largest))
  }

  read(out: Array<unknown>, at: number, count: number): number {
    const { dictionary: { faults, sizes, values }, indices } = this
    if (values.length === 0) throw new ParquetFault("a page refers to a dictionary that is empty")
    this.runs.read(indices, 0, count)
    let size = 0
    for (let i = 0; i < count; i++) {
      const index = indices[i]!
      out[at + i] = values[index]
      size += sizes[index]!
    }
    if (faults.size > 0) {
      for (let i = 0; i < count; i++) {
        const fault = faults.get(indices[i]!)
        if (fault !== undefined) throw new ValueFault(fault, i)
      }
    }
    return size
  }
}

/**
 * Where values are put on their way to a row: it is used again for every page.
 *
 * @internal
 */
export interface Scratch {
  readonly bytes: Uint8Array
  readonly ints: Int32Array
  readonly longs: BigInt64Array
  readonly floats: Float32Array
  readonly doubles: Float64Array
  readonly starts: Int32Array
  readonly ends: Int32Array
  readonly levels: Uint8Array
}

/** @internal */
export const makeScratch = (): Scratch => ({
  bytes: new Uint8Array(blockValues),
  ints: new Int32Array(blockValues),
  longs: new BigInt64Array(blockValues),
  floats: new Float32Array(blockValues),
  doubles: new Float64Array(blockValues),
  starts: new Int32Array(blockValues),
  ends: new Int32Array(blockValues),
  levels: new Uint8Array(blockValues)
})

const numbersIn = (scratch: Scratch, leaf: Leaf): Numbers => {
  switch (leaf.physical) {
    case "INT32":
      return scratch.ints
    case "INT64":
      return scratch.longs
    case "FLOAT":
      return scratch.floats
    case "DOUBLE":
      return scratch.doubles
    default:
      return scratch.bytes
  }
}

const unsupported = (encoding: Encoding | undefined, leaf: Leaf): never => {
  throw new ParquetFault(`the encoding ${encoding ?? "of a page"} is not supported for ${leaf.physical}`)
}

/**
 * Whether the values of a page can be read from pieces of it.
 *
 * @internal
 */
export const isInOrder = (encoding: Encoding | undefined, { physical }: Leaf): boolean =>
  encoding === "PLAIN" && physical !== "BOOLEAN"

const numbersOf = (page: PageBytes, encoding: Encoding | undefined, leaf: Leaf): ReadNumbers => {
  const { physical, width } = leaf
  switch (encoding) {
    case "PLAIN":
      return physical === "BOOLEAN" ? plainBooleans(page.bytes) : plainNumbers(page, width)
    case "RLE":
      return physical === "BOOLEAN" ? runBooleans(page.bytes) : unsupported(encoding, leaf)
    case "DELTA_BINARY_PACKED":
      return physical === "INT32" || physical === "INT64" ? deltaNumbers(page.bytes) : unsupported(encoding, leaf)
    case "BYTE_STREAM_SPLIT":
      return physical === "BOOLEAN" ? unsupported(encoding, leaf) : splitNumbers(page.bytes, width)
    default:
      return unsupported(encoding, leaf)
  }
}

const slicesOf = (page: PageBytes, encoding: Encoding | undefined, leaf: Leaf): ReadSlices => {
  const { physical, width } = leaf
  const { bytes } = page
  switch (encoding) {
    case "PLAIN":
      return width === 0 ? plainSlices(page) : fixedSlices(page, width)
    case "DELTA_LENGTH_BYTE_ARRAY":
      return width === 0 ? deltaLengthSlices(bytes) : unsupported(encoding, leaf)
    case "DELTA_BYTE_ARRAY":
      return physical === "INT96" ? unsupported(encoding, leaf) : checkedWidth(deltaSlices(bytes), width)
    case "BYTE_STREAM_SPLIT":
      return physical === "FIXED_LEN_BYTE_ARRAY" ? splitSlices(bytes, width) : unsupported(encoding, leaf)
    default:
      return unsupported(encoding, leaf)
  }
}

const checkedWidth = (slices: ReadSlices, width: number): ReadSlices =>
  width === 0 ? slices : {
    fit: slices.fit,
    read: (starts, ends, count) => {
      const bytes = slices.read(starts, ends, count)
      for (let i = 0; i < count; i++) {
        if (ends[i]! - starts[i]! !== width) throw new ValueFault(`the value has not ${width} bytes`, i)
      }
      return bytes
    }
  }

/**
 * Makes the reader of a page's values. Throws a `ParquetFault`, and its `read` a `ValueFault` too.
 *
 * @internal
 */
export const makeValues = (
  page: PageBytes,
  encoding: Encoding | undefined,
  leaf: Leaf,
  convert: Convert,
  dictionary: Dictionary | null,
  scratch: Scratch
): Values => {
  if (encoding === "PLAIN_DICTIONARY" || encoding === "RLE_DICTIONARY") {
    if (dictionary === null) throw new ParquetFault("a page refers to a dictionary that is not there")
    return new DictionaryValues(page.bytes, dictionary, scratch.ints)
  }
  return convert.from === "numbers"
    ? new NumberValues(numbersOf(page, encoding, leaf), numbersIn(scratch, leaf), convert, leaf.width)
    : new SliceValues(slicesOf(page, encoding, leaf), convert, scratch)
}

/**
 * Reads a dictionary page. Throws a `ParquetFault`.
 *
 * @internal
 */
export const readDictionary = (
  bytes: Buffer,
  count: number,
  leaf: Leaf,
  convert: Convert,
  scratch: Scratch
): Dictionary => {
  if (count * Math.max(1, leaf.width === 0 ? 4 : leaf.width) > bytes.length) {
    throw new ParquetFault("a dictionary ends before its values do")
  }
  const page = new PageBytes(bytes, true)
  const values = new Array<unknown>(count)
  const sizes = new Float64Array(count).fill(leaf.width)
  const faults = new Map<number, string>()
  const converted = (from: number, to: number, run: (skipped: number) => void): void => {
    for (let next = from; next < to;) {
      try {
        run(next - from)
        return
      } catch (error) {
        if (!(error instanceof ValueFault)) throw error
        next += error.index
        faults.set(next++, error.message)
      }
    }
  }
  const numbers = convert.from === "numbers" ? numbersOf(page, "PLAIN", leaf) : null
  const slices = convert.from === "slices" ? slicesOf(page, "PLAIN", leaf) : null
  const { ends, starts } = scratch
  for (let at = 0; at < count; at += blockValues) {
    const taken = Math.min(blockValues, count - at)
    if (convert.from === "numbers") {
      const raw = numbersIn(scratch, leaf)
      numbers!.read(raw, 0, taken)
      converted(at, at + taken, (skipped) =>
        convert.run(raw.subarray(skipped), taken - skipped, values, at + skipped))
    } else {
      const bytes = slices!.read(starts, ends, taken)
      for (let i = 0; i < taken; i++) sizes[at + i] = ends[i]! - starts[i]!
      converted(at, at + taken, (skipped) =>
        convert.run(
          { bytes, starts: starts.subarray(skipped), ends: ends.subarray(skipped) },
          taken - skipped,
          values,
          at + skipped
        ))
    }
  }
  return { values, sizes, largest: sizes.reduce((largest, size) => Math.max(largest, size), 1), faults }
}
