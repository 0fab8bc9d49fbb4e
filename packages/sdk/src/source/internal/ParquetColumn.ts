/**
 * Reads a column chunk page by page: the levels and values of so many rows at a time.
 *
 * @internal
 */
import type { Encoding, PageHeader } from "hyparquet"
import { crc32 } from "node:zlib"
import { checkPageSize, type Decompress } from "./ParquetCodecs.ts"
import type { Convert } from "./ParquetConvert.ts"
import { faultAt, type FaultPlace, ParquetFault, ValueFault } from "./ParquetFault.ts"
import type { Chunk } from "./ParquetFooter.ts"
import { type Inflate, makeInflate } from "./ParquetInflate.ts"
import {
  blockValues,
  type Dictionary,
  isInOrder,
  makeValues,
  PageBytes,
  readDictionary,
  type Scratch,
  type Values
} from "./ParquetPage.ts"
import { Runs } from "./ParquetRuns.ts"
import type { Leaf } from "./ParquetTree.ts"

/**
 * A column of values as it is to be read.
 *
 * @internal
 */
export interface LeafPlan {
  readonly leaf: Leaf
  readonly convert: Convert
  /** Whether the values are the elements of vectors. */
  readonly floats: boolean
  /** Whether each value is that of a row: nulls are then among the values, and levels are not needed. */
  readonly flat: boolean
}

/** A damaged page can say in five bytes that a row has billions of elements. */
const mostEntries = 2 ** 26

/** Room for floats that is made beforehand. */
const keptFloats = 2 * 1024 * 1024

type DataPageHeader = NonNullable<PageHeader["data_page_header"]>
type DataPageHeaderV2 = NonNullable<PageHeader["data_page_header_v2"]>

/** What the readers of all columns share. */
interface Tools {
  readonly decompress: Decompress
  readonly scratch: Scratch
  /** A page with more bytes is decompressed piece by piece. */
  readonly wholePageBytes: number
}

const damaged = (): never => {
  throw new ParquetFault("the header of a page is damaged")
}

const countIn = (value: unknown): number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : damaged()

const bitsFor = (most: number): number => 32 - Math.clz32(most)

/** Where the levels end that a page of version 1 writes after their length; it may be after the bytes. */
const levelsEnd = (page: Buffer, at: number): number =>
  at + 4 > page.length ? Infinity : at + 4 + page.readUInt32LE(at)

type LevelRuns = Pick<Page, "repetition" | "definition">

/** The levels with which a page of version 1 begins, and where they end; null where they are not all there. */
const levelsOf = (
  page: Buffer,
  { definition, repetition }: Leaf,
  header: Partial<DataPageHeader>
): readonly [runs: LevelRuns, end: number] | null => {
  const encodings = [
    repetition === 0 ? "RLE" : header.repetition_level_encoding,
    definition === 0 ? "RLE" : header.definition_level_encoding
  ]
  for (const encoding of encodings) {
    if (encoding !== "RLE") throw new ParquetFault(`levels in the encoding ${String(encoding)} are not supported`)
  }
  const middle = repetition === 0 ? 0 : levelsEnd(page, 0)
  const end = definition === 0 ? middle : levelsEnd(page, middle)
  if (end > page.length) return null
  return [{
    repetition: repetition === 0 ? null : new Runs(page, 4, middle, bitsFor(repetition), repetition),
    definition: definition === 0 ? null : new Runs(page, middle + 4, end, bitsFor(definition), definition)
  }, end]
}

/** The levels before a page of version 2. */
const levelsBefore = (bytes: Buffer, { definition, repetition }: Leaf, middle: number): LevelRuns => ({
  repetition: repetition === 0 ? null : new Runs(bytes, 0, middle, bitsFor(repetition), repetition),
  definition: definition === 0 ? null : new Runs(bytes, middle, bytes.length, bitsFor(definition), definition)
})

const wrongChecksum = (): ParquetFault =>
  new ParquetFault("the checksum of a page is not that of its bytes: the file is damaged")

/** The header of the data in a data page. */
const dataOf = (header: PageHeader): DataPageHeader | DataPageHeaderV2 | undefined =>
  header.type === "DATA_PAGE"
    ? header.data_page_header
    : header.type === "DATA_PAGE_V2"
    ? header.data_page_header_v2
    : undefined

const isVersion2 = (data: DataPageHeader | DataPageHeaderV2): data is DataPageHeaderV2 => "num_rows" in data

/** How many bytes of levels come before the values of a page of version 2. */
const levelBytes = (header: PageHeader, data: DataPageHeaderV2): number => {
  const bytes = countIn(data.repetition_levels_byte_length) + countIn(data.definition_levels_byte_length)
  if (bytes > header.compressed_page_size || bytes > countIn(header.uncompressed_page_size)) throw shortLevels()
  return bytes
}

const shortLevels = (): ParquetFault => new ParquetFault("a page ends before its levels do")

/** A data page that is being read. */
interface Page {
  readonly repetition: Runs | null
  readonly definition: Runs | null
  readonly bytes: PageBytes
  readonly encoding: Encoding | undefined
  /** Made when the first value is needed: where all are null there may be no bytes to make it from. */
  values: Values | null
}

/** A page that is decompressed piece by piece. */
interface LargePage {
  readonly header: PageHeader
  readonly data: DataPageHeader | DataPageHeaderV2
  readonly inflate: Inflate
  readonly count: number
  /** Bytes of values, with levels in version 1. */
  readonly size: number
  /** The bytes up to the end of the levels, while these are not read. */
  head: Buffer
  /** The bytes of the values; null while the levels are not read. */
  bytes: PageBytes | null
  compressedLeft: number
  /** Whether all compressed bytes were given. */
  closed: boolean
  crc: number
  taken: number
}

/** So many compressed bytes at a time. */
const pieceBytes = 256 * 1024

/** The checksum with the next bytes, where there is one to compare it with. */
const checksum = ({ crc, header }: LargePage, bytes: Buffer): number =>
  header.crc === undefined ? 0 : crc32(bytes, crc)

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const grown = <A extends Uint8Array | Float32Array>(array: A, needed: number, make: (length: number) => A): A => {
  if (needed <= array.length) return array
  const larger = make(Math.max(needed, array.length * 2))
  larger.set(array)
  return larger
}

/**
 * The reader of one column chunk. Entries are values or nulls, with their levels; a row of a list has several.
 *
 * @internal
 */
export class ColumnReader {
  readonly plan: LeafPlan
  /** Levels of the entries that wait, where they are needed. After them there is a repetition level of 0. */
  definitions: Uint8Array = new Uint8Array(0)
  repetitions: Uint8Array = new Uint8Array(0)
  /** Values that wait: with nulls where the column is flat, without nulls otherwise. */
  values: Array<unknown> = []
  floats: Float32Array = new Float32Array(0)
  floatCount = 0
  entries = 0
  /** Where the next row begins, for what assembles rows. */
  entryAt = 0
  valueAt = 0
  /** About how many bytes the values that wait have. */
  bytes = 0

  private readonly chunk: Chunk
  private readonly tools: Tools
  private readonly place: FaultPlace & { readonly row: number }
  private dictionary: Dictionary | null = null
  private large: LargePage | null = null
  private page: Page | null = null
  private pageLeft = 0
  private chunkLeft: number
  /** Rows that have begun in the entries that wait. */
  private begun = 0
  /** Rows that were taken. */
  private taken = 0

  /** `place.row` is the first row of the row group. */
  constructor(
    plan: LeafPlan,
    chunk: Chunk,
    tools: Tools,
    place: FaultPlace & { readonly row: number }
  ) {
    this.plan = plan
    this.chunk = chunk
    this.tools = tools
    this.place = { ...place, column: plan.leaf.path[0] }
    this.chunkLeft = chunk.values
  }

  /** Whether all entries were read from their pages. */
  get ended(): boolean {
    return this.pageLeft === 0 && this.chunkLeft === 0
  }

  /** Rows that can be taken: of those with lists, the last is whole only when the next has begun. */
  get rows(): number {
    return this.plan.leaf.repetition === 0 || this.ended ? this.begun : Math.max(0, this.begun - 1)
  }

  /**
   * Reads until there are `rows` rows, or about `budget` bytes in at least one. False where a page is needed first.
   */
  fill(rows: number, budget: number): boolean {
    while (this.rows < rows && (this.rows === 0 || this.bytes < budget)) {
      if (this.ended) return true
      if (this.pageLeft === 0) return false
      const most = this.plan.leaf.repetition === 0 ? rows - this.begun : blockValues
      if (!this.readEntries(Math.min(most, blockValues, this.pageLeft), Math.max(1, budget - this.bytes))) return false
    }
    return true
  }

  /** Whether there are pieces of a page to come. */
  get hasPieces(): boolean {
    return this.large !== null
  }

  /** Whether a page is taken up in pieces; then how many bytes of levels come before them, and null otherwise. */
  beginPieces(header: PageHeader): number | null {
    const data = dataOf(header)
    const { uncompressed_page_size: size } = header
    const large = size > this.tools.wholePageBytes
    if (data === undefined || !large || !isInOrder(data.encoding, this.plan.leaf)) return null
    try {
      checkPageSize(size)
      const levels = isVersion2(data) ? levelBytes(header, data) : 0
      if (isVersion2(data)) this.checkRows(data)
      const codec = isVersion2(data) && data.is_compressed === false ? "UNCOMPRESSED" : this.chunk.codec
      const inflate = makeInflate(codec, size - levels)
      if (inflate === null) return null
      this.large = {
        header,
        data,
        inflate,
        count: countIn(data.num_values),
        size: size - levels,
        head: Buffer.alloc(0),
        bytes: null,
        compressedLeft: header.compressed_page_size - levels,
        closed: false,
        crc: 0,
        taken: 0
      }
      return levels
    } catch (error) {
      throw this.fault(error)
    }
  }

  /** Takes up the levels that come before the pieces of a page. */
  acceptLevels(levels: Buffer): void {
    const large = this.large!
    const { data } = large
    large.crc = checksum(large, levels)
    if (!isVersion2(data)) return
    try {
      this.beginLarge(large, levelsBefore(levels, this.plan.leaf, data.repetition_levels_byte_length))
    } catch (error) {
      throw this.fault(error)
    }
  }

  /** Compressed bytes of the page that are to be given. */
  get compressedLeft(): number {
    return this.large?.compressedLeft ?? 0
  }

  /** Gives compressed bytes, of which `available` are at hand, to the page; gives how many it took. */
  give(available: Buffer): number {
    const large = this.large!
    const piece = available.subarray(0, Math.min(pieceBytes, large.compressedLeft))
    large.closed = large.compressedLeft === 0
    large.compressedLeft -= piece.length
    large.crc = checksum(large, piece)
    large.inflate.give(large.closed ? null : piece)
    return piece.length
  }

  /** The next bytes of the page; null where compressed bytes are to be given first, or the page has ended. */
  takePiece(): Buffer | null | Promise<Buffer | null> {
    try {
      return this.large!.inflate.take()
    } catch (error) {
      throw this.fault(error)
    }
  }

  /** Lets go of a page of which no more is read. */
  close(): void {
    this.large?.inflate.close()
    this.large = null
  }

  /** Takes up the next bytes of the page, or its end; false where compressed bytes are to be given first. */
  acceptPiece(piece: Buffer | null): boolean {
    const large = this.large!
    try {
      if (piece !== null) {
        this.addPiece(large, piece)
        return true
      }
      if (!large.closed) return false
      this.endPieces(large)
      return true
    } catch (error) {
      throw this.fault(error)
    }
  }

  /** Takes up the next page of the chunk. */
  accept(header: PageHeader, body: Buffer): void {
    try {
      if (header.crc !== undefined && crc32(body) !== Number(header.crc) >>> 0) throw wrongChecksum()
      this.acceptKind(header, body)
    } catch (error) {
      throw this.fault(error)
    }
  }

  /** What went wrong, where it did: at the first row that has not been read. */
  fault(error: unknown): ParquetFault {
    return faultAt(error, { ...this.place, row: this.place.row + this.taken + this.begun })
  }

  /** What went wrong in one of the rows that wait. */
  faultInRow(error: unknown, index: number): ParquetFault {
    return faultAt(error, { ...this.place, row: this.place.row + this.taken + index })
  }

  /** Takes the values of `rows` rows of a flat column. */
  takeFlat(rows: number): ReadonlyArray<unknown> {
    const { values } = this
    this.taken += rows
    this.begun -= rows
    if (values.length === rows) {
      this.values = []
      this.bytes = 0
      return values
    }
    this.values = values.slice(rows)
    this.bytes *= this.values.length / values.length
    values.length = rows
    return values
  }

  /** Drops what `rows` rows were made of, up to `entryAt` and `valueAt`. */
  drop(rows: number): void {
    const { entries, entryAt, valueAt } = this
    this.taken += rows
    this.begun -= rows
    this.definitions.copyWithin(0, entryAt, entries)
    this.repetitions.copyWithin(0, entryAt, entries + 1)
    this.bytes = entries === 0 ? 0 : this.bytes * ((entries - entryAt) / entries)
    this.entries = entries - entryAt
    this.entryAt = 0
    if (this.plan.floats) {
      // The vectors that were made are views of the old array.
      const floats = new Float32Array(Math.max(this.floatCount - valueAt, Math.min(this.floats.length, keptFloats)))
      floats.set(this.floats.subarray(valueAt, this.floatCount))
      this.floats = floats
      this.floatCount -= valueAt
    } else {
      this.values = this.values.slice(valueAt)
    }
    this.valueAt = 0
  }

  private acceptKind(header: PageHeader, body: Buffer): void {
    switch (header.type) {
      case "DICTIONARY_PAGE":
        return this.acceptDictionary(header, body)
      case "DATA_PAGE":
        return this.acceptData(header, body)
      case "DATA_PAGE_V2":
        return this.acceptDataV2(header, body)
      case "INDEX_PAGE":
        return
      default:
        throw new ParquetFault("a page has a type that is not known")
    }
  }

  private acceptDictionary(header: PageHeader, body: Buffer): void {
    const count = countIn(header.dictionary_page_header?.num_values)
    const page = asBuffer(this.tools.decompress(this.chunk.codec, body, countIn(header.uncompressed_page_size)))
    this.dictionary = readDictionary(page, count, this.plan.leaf, this.plan.convert, this.tools.scratch)
  }

  private begin(count: number, page: Page): void {
    if (count > this.chunkLeft) throw new ParquetFault("a column has more values than the footer says")
    this.chunkLeft -= count
    this.pageLeft = count
    this.page = page
  }

  private acceptData({ data_page_header: data, uncompressed_page_size: size }: PageHeader, body: Buffer): void {
    const count = countIn(data?.num_values)
    if (data === undefined || count === 0) return
    const page = asBuffer(this.tools.decompress(this.chunk.codec, body, countIn(size)))
    const levels = levelsOf(page, this.plan.leaf, data)
    if (levels === null) throw shortLevels()
    const [runs, end] = levels
    this.begin(count, {
      ...runs,
      bytes: new PageBytes(page.subarray(end), true),
      encoding: data.encoding,
      values: null
    })
  }

  private acceptDataV2(header: PageHeader, body: Buffer): void {
    const { data_page_header_v2: data, uncompressed_page_size: size } = header
    const count = countIn(data?.num_values)
    if (data === undefined || count === 0) return
    const levels = levelBytes(header, data)
    this.checkRows(data)
    const codec = data.is_compressed === false ? "UNCOMPRESSED" : this.chunk.codec
    const bytes = asBuffer(this.tools.decompress(codec, body.subarray(levels), size - levels))
    this.begin(count, {
      ...levelsBefore(body.subarray(0, levels), this.plan.leaf, data.repetition_levels_byte_length),
      bytes: new PageBytes(bytes, true),
      encoding: data.encoding,
      values: null
    })
  }

  private checkRows(data: DataPageHeaderV2): void {
    if (this.plan.leaf.repetition === 0 && countIn(data.num_rows) !== data.num_values) {
      throw new ParquetFault("a page has another number of rows than of values")
    }
  }

  private beginLarge(large: LargePage, levels: LevelRuns): void {
    large.bytes = new PageBytes(Buffer.alloc(0), false)
    this.begin(large.count, { ...levels, bytes: large.bytes, encoding: large.data.encoding, values: null })
  }

  private addPiece(large: LargePage, piece: Buffer): void {
    large.taken += piece.length
    if (large.taken > large.size) throw new ParquetFault("a page has more bytes than its header says")
    if (large.bytes !== null) {
      if (this.pageLeft > 0) large.bytes.add(piece)
      return
    }
    large.head = Buffer.concat([large.head, piece])
    const levels = levelsOf(large.head, this.plan.leaf, large.data)
    if (levels === null) return
    this.beginLarge(large, levels[0])
    large.bytes!.add(large.head.subarray(levels[1]))
  }

  private endPieces(large: LargePage): void {
    const { crc } = large.header
    if (large.taken !== large.size) {
      throw new ParquetFault(`a page has ${large.taken} bytes, where its header says ${large.size}`)
    }
    if (crc !== undefined && large.crc !== Number(crc) >>> 0) throw wrongChecksum()
    if (large.bytes === null) throw shortLevels()
    large.bytes.ended = true
    this.large = null
  }

  /** False where the next bytes of the page are needed first. */
  private readEntries(count: number, budget: number): boolean {
    const page = this.page!
    let fitting = count
    try {
      if (page.bytes.bytes.length > 0 || !page.bytes.ended) fitting = this.valuesOf(page).fit(count, budget)
      if (fitting === 0) return false
      const rows = this.plan.flat ? this.readFlat(page, fitting) : this.readNested(page, fitting)
      this.begun += rows
      this.pageLeft -= fitting
      return true
    } catch (error) {
      if (!(error instanceof ValueFault)) throw this.fault(error)
      const row = this.place.row + this.taken + this.begun + this.rowsBefore(error.index)
      throw new ParquetFault(error.message, { ...this.place, row })
    }
  }

  private valuesOf(page: Page): Values {
    const { convert, leaf } = this.plan
    page.values ??= makeValues(page.bytes, page.encoding, leaf, convert, this.dictionary, this.tools.scratch)
    return page.values
  }

  /** In which row of those that are being read the value is that has `index` others before it. */
  private rowsBefore(index: number): number {
    const { flat, leaf } = this.plan
    let before = index
    if (flat) {
      if (leaf.definition === 0) return index
      for (let i = 0;; i++) if (this.tools.scratch.levels[i] === leaf.definition && before-- === 0) return i
    }
    let rows = -1
    for (let i = this.entries;; i++) {
      if (this.repetitions[i] === 0) rows++
      if (this.definitions[i] === leaf.definition && before-- === 0) return rows
    }
  }

  private readFlat(page: Page, count: number): number {
    const { definition } = this.plan.leaf
    const { tools: { scratch: { levels } }, values } = this
    const at = values.length
    let present = count
    if (page.definition !== null) {
      page.definition.read(levels, 0, count)
      present = 0
      for (let i = 0; i < count; i++) if (levels[i] === definition) present++
    }
    if (present > 0) this.bytes += this.valuesOf(page).read(values, at, present)
    if (present < count) {
      values.length = at + count
      for (let i = count - 1, from = at + present; i >= 0; i--) {
        values[at + i] = levels[i] === definition ? values[--from] : null
      }
    }
    return count
  }

  private readNested(page: Page, count: number): number {
    const { definition } = this.plan.leaf
    const { entries } = this
    const end = entries + count
    if (end > mostEntries) throw new ParquetFault(`a row has more than ${mostEntries} values in it`)
    this.definitions = grown(this.definitions, end, (length) => new Uint8Array(length))
    this.repetitions = grown(this.repetitions, end + 1, (length) => new Uint8Array(length))
    const { definitions, repetitions } = this
    if (page.definition === null) definitions.fill(definition, entries, end)
    else page.definition.read(definitions, entries, count)
    if (page.repetition === null) repetitions.fill(0, entries, end)
    else page.repetition.read(repetitions, entries, count)
    repetitions[end] = 0
    if (entries === 0 && repetitions[0] !== 0) throw new ParquetFault("a column begins within a row")
    let present = 0
    let rows = 0
    for (let i = entries; i < end; i++) {
      if (definitions[i] === definition) present++
      if (repetitions[i] === 0) rows++
    }
    if (present > 0) {
      const values = this.valuesOf(page)
      if (this.plan.floats) this.readFloats(values, present)
      else this.bytes += values.read(this.values, this.values.length, present)
    }
    this.entries = end
    this.bytes += count
    return rows
  }

  private readFloats(values: Values, count: number): void {
    const at = this.floatCount
    this.floats = grown(this.floats, at + count, (length) => new Float32Array(length))
    if (values.readFloats !== null) {
      values.readFloats(this.floats, at, count)
    } else {
      const block = new Array<unknown>(count)
      values.read(block, 0, count)
      for (let i = 0; i < count; i++) this.floats[at + i] = Number(block[i])
    }
    this.floatCount += count
    this.bytes += count * 4
  }
}
