/**
 * The values of a leaf in one row group, as pages.
 *
 * @internal
 */
import { type Codec, uncompressed } from "./ParquetCompression.ts"
import { Page, pageBytes } from "./ParquetPage.ts"
import { RunWriter } from "./ParquetRuns.ts"
import type { Entries, Leaf } from "./ParquetSchema.ts"
import { fillPage, floatsOf, isNothing, isRowStart, pageEnd, putText } from "./ParquetValues.ts"
import { encodeStruct, i32, i64, list, struct, text, type ThriftFields, type ThriftValue } from "./Thrift.ts"

const encoding = { plain: 0, rle: 3, dictionary: 8 }

/** What is smaller is not worth compressing. */
const smallBytes = 256

/** A page: `body` is what follows its header, null while it is being compressed. */
interface MadePage {
  /** Its kind, and the part of the header that is for this kind. */
  readonly kind: number
  readonly header: readonly [id: number, value: ThriftValue]
  /** The length of the body before it was compressed. */
  readonly plainBytes: number
  body: ReadonlyArray<Uint8Array> | null
}

/** The bytes of a leaf in a row group, and what the footer says of it. @internal */
export interface WrittenColumn {
  readonly pieces: ReadonlyArray<Uint8Array>
  readonly plainBytes: number
  readonly storedBytes: number
  readonly metadata: ThriftFields
}

const dataHeader = (entries: number, values: number): MadePage["header"] => [
  5,
  struct([[1, i32(entries)], [2, i32(values)], [3, i32(encoding.rle)], [4, i32(encoding.rle)]])
]

const dictionaryHeader = (values: number): MadePage["header"] => [
  7,
  struct([[1, i32(values)], [2, i32(encoding.plain)]])
]

const bitsFor = (most: number): number => 32 - Math.clz32(most)

/**
 * A leaf in a row group.
 *
 * @internal
 */
export class MadeColumn {
  /** What is to be waited for before it can be written. */
  readonly waiting: Array<Promise<void>> = []
  entries = 0
  /** Entries without a value. */
  nulls = 0
  private readonly leaf: Leaf
  private readonly codec: Codec
  private readonly pages: Array<MadePage> = []

  constructor(leaf: Leaf, codec: Codec) {
    this.leaf = leaf
    this.codec = codec
  }

  /** Adds a page that stays as it is. */
  addPlain(header: MadePage["header"], body: ReadonlyArray<Uint8Array>): void {
    const plainBytes = body.reduce((sum, piece) => sum + piece.length, 0)
    this.pages.push({ kind: 0, header, plainBytes, body })
  }

  /** Adds a page, and is done with its memory when `done` is called. */
  add(kind: number, header: MadePage["header"], content: Uint8Array, done: () => void): void {
    const page: MadePage = { kind, header, plainBytes: content.length, body: null }
    this.pages.push(page)
    const take = (bytes: Uint8Array): void => {
      page.body = [bytes]
      done()
    }
    const bytes = this.codec.compress === null ? new Uint8Array(content) : this.codec.compress(content)
    if (bytes instanceof Uint8Array) take(bytes)
    else this.waiting.push(bytes.then(take))
  }

  /** The bytes; `offset` is where the first lies in the file. */
  write(offset: number): WrittenColumn {
    const pieces: Array<Uint8Array> = []
    let plainBytes = 0
    let storedBytes = 0
    let dataOffset = offset
    for (const { body, header, kind, plainBytes: plain } of this.pages) {
      if (body === null) throw new Error("a page is still being compressed")
      const stored = body.reduce((sum, piece) => sum + piece.length, 0)
      const head = encodeStruct([[1, i32(kind)], [2, i32(plain)], [3, i32(stored)], header])
      pieces.push(head, ...body)
      plainBytes += head.length + plain
      storedBytes += head.length + stored
      if (kind === dictionaryPage) dataOffset = offset + storedBytes
    }
    const { path, type } = this.leaf
    const hasDictionary = dataOffset > offset
    const encodings = [encoding.plain, encoding.rle, ...(hasDictionary ? [encoding.dictionary] : [])]
    const metadata: ThriftFields = [
      [2, i64(offset)],
      [3, struct([
        [1, i32(type.physical)],
        [2, list("i32", encodings.map(i32))],
        [3, list("text", path.map(text))],
        [4, i32(this.codec.id)],
        [5, i64(this.entries)],
        [6, i64(plainBytes)],
        [7, i64(storedBytes)],
        [9, i64(dataOffset)],
        [11, hasDictionary ? i64(offset) : undefined],
        [12, struct([[3, i64(this.nulls)]])]
      ])]
    ]
    return { pieces, plainBytes, storedBytes, metadata }
  }
}

const dataPage = 0
const dictionaryPage = 2

/** The places of values in a dictionary. */
interface Dictionary {
  readonly values: ReadonlyArray<string>
  /** By entry; of no meaning where an entry has no value. */
  readonly places: Uint16Array
}

/** A dictionary has at most this many values, and pays where most of them occur more than once. */
const mostDistinct = 4096
const isTooVaried = (distinct: number, seen: number): boolean =>
  distinct > mostDistinct || distinct > 256 + (seen >> 3)

const dictionaryOf = (values: ReadonlyArray<unknown>): Dictionary | null => {
  const found = new Map<string, number>()
  const places = new Uint16Array(values.length)
  let seen = 0
  let last: string | null = null
  let place = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (isNothing(value)) continue
    if (value !== last) {
      if (typeof value !== "string") return null
      last = value
      const known = found.get(value)
      place = known ?? found.size
      if (known === undefined) {
        found.set(value, place)
        if (isTooVaried(found.size, seen)) return null
      }
    }
    places[i] = place
    seen++
  }
  return found.size * 2 <= seen ? { values: [...found.keys()], places } : null
}

/**
 * Makes pages of values. The memory of the pages is used again once they are compressed.
 *
 * @internal
 */
export class ColumnEncoder {
  private readonly codec: Codec
  private readonly runs = new RunWriter()
  private readonly spare: Array<Page> = []

  constructor(codec: Codec) {
    this.codec = codec
  }

  encode(leaf: Leaf, entries: Entries): MadeColumn {
    if (leaf.type.form === "vector") return this.vectors(leaf, entries)
    const isText = leaf.type.form === "text" && leaf.type.from === undefined
    const dictionary = isText ? dictionaryOf(entries.values) : null
    return dictionary === null ? this.plain(leaf, entries) : this.distinct(leaf, entries, dictionary)
  }

  private plain(leaf: Leaf, entries: Entries): MadeColumn {
    const { length } = entries.values
    let made: MadeColumn | null = null
    for (let from = 0; from < length;) {
      const page = this.page()
      const to = fillPage(page, leaf, entries, from)
      made ??= new MadeColumn(leaf, to === length && page.used < smallBytes ? uncompressed : this.codec)
      this.levels(page, made, leaf, entries, from, to)
      this.add(made, dataPage, dataHeader(to - from, encoding.plain), page)
      from = to
    }
    return made ?? new MadeColumn(leaf, uncompressed)
  }

  private distinct(leaf: Leaf, entries: Entries, { places, values }: Dictionary): MadeColumn {
    const dictionary = this.page()
    for (const value of values) {
      dictionary.reserve(4 + value.length * 3)
      putText(dictionary, value)
    }
    const width = Math.max(1, bitsFor(values.length - 1))
    let made: MadeColumn | null = null
    for (let from = 0; from < places.length;) {
      const to = pageEnd(entries, from)
      const page = this.page()
      this.runs.begin(width)
      for (let i = from; i < to; i++) if (!isNothing(entries.values[i])) this.runs.push(places[i]!, 1)
      this.runs.end()
      page.reserve(1 + this.runs.length)
      page.bytes[page.end] = width
      page.bytes.set(this.runs.bytes.subarray(0, this.runs.length), page.end + 1)
      page.end += 1 + this.runs.length
      if (made === null) {
        const isSmall = to === places.length && dictionary.used + page.used < smallBytes
        made = new MadeColumn(leaf, isSmall ? uncompressed : this.codec)
        this.add(made, dictionaryPage, dictionaryHeader(values.length), dictionary)
      }
      this.levels(page, made, leaf, entries, from, to)
      this.add(made, dataPage, dataHeader(to - from, encoding.dictionary), page)
      from = to
    }
    return made ?? new MadeColumn(leaf, uncompressed)
  }

  /** Floats hardly compress, and vectors are mostly floats: their pages are as they lie in memory. */
  private vectors(leaf: Leaf, entries: Entries): MadeColumn {
    const { definitions, repetitions, values } = entries
    const made = new MadeColumn(leaf, uncompressed)
    for (let from = 0; from < values.length;) {
      let to = from
      let bytes = 0
      do {
        const value = values[to++]
        bytes += 4 + (value instanceof Float32Array ? value.byteLength : 0)
      } while (to < values.length && (bytes < pageBytes || !isRowStart(entries, to)))

      const levels = this.page()
      const lengthAt = (i: number): number => {
        const value = values[i]
        return value instanceof Float32Array ? value.length : 0
      }
      let count = 0
      this.runs.begin(bitsFor(leaf.definition))
      for (let i = from; i < to; i++) {
        const length = lengthAt(i)
        if (length > 0) {
          this.runs.push(leaf.definition, length)
          count += length
        } else {
          this.runs.push(definitions?.[i] ?? (isNothing(values[i]) ? 0 : 1), 1)
          made.nulls++
          count++
        }
      }
      this.prepend(levels)
      this.runs.begin(bitsFor(leaf.repetition))
      for (let i = from; i < to; i++) {
        this.runs.push(repetitions?.[i] ?? 0, 1)
        this.runs.push(leaf.repetition, Math.max(0, lengthAt(i) - 1))
      }
      this.prepend(levels)
      const data = floatsOf(leaf, values, from, to)
      made.addPlain(dataHeader(count, encoding.plain), [new Uint8Array(levels.content), data])
      this.spare.push(levels)
      made.entries += count
      from = to
    }
    return made
  }

  /** Puts the levels of entries before their values, and counts the entries. */
  private levels(page: Page, made: MadeColumn, leaf: Leaf, entries: Entries, from: number, to: number): void {
    const { definitions, repetitions, values } = entries
    this.runs.begin(bitsFor(leaf.definition))
    for (let i = from; i < to; i++) {
      const level = definitions === null ? (isNothing(values[i]) ? 0 : 1) : definitions[i]!
      this.runs.push(level, 1)
      if (level < leaf.definition) made.nulls++
    }
    this.prepend(page)
    if (repetitions !== null) {
      this.runs.begin(bitsFor(leaf.repetition))
      for (let i = from; i < to; i++) this.runs.push(repetitions[i]!, 1)
      this.prepend(page)
    }
    made.entries += to - from
  }

  /** Puts the runs before the levels and values that are in the page. */
  private prepend(page: Page): void {
    this.runs.end()
    page.prepend(this.runs.bytes.subarray(0, this.runs.length))
    const length = Buffer.allocUnsafe(4)
    length.writeUInt32LE(this.runs.length)
    page.prepend(length)
  }

  private page(): Page {
    const page = this.spare.pop() ?? new Page()
    page.clear()
    return page
  }

  private add(made: MadeColumn, kind: number, header: MadePage["header"], page: Page): void {
    made.add(kind, header, page.content, () => {
      if (!page.isLarge) this.spare.push(page)
    })
  }
}
