/**
 * One column of a Parquet row group: its place in the schema, and its values as pages.
 *
 * Every column is optional. A flat column has definition level 0 for null and 1 for a value. A vector is the standard
 * list of three levels, so its definition levels are 0 for null, 1 for an empty vector and 3 for an element, and its
 * repetition levels 0 for the first element of a row and 1 for the others.
 *
 * @internal
 */
import { snappyCompress } from "hyparquet-writer/src/snappy.js"
import type { Column, ColumnType } from "../../Column.ts"
import { jsonText } from "../../internal/JsonText.ts"
import { bool, encodeStruct, i32, i64, list, pushVarint, struct, text, type ThriftFields } from "./Thrift.ts"

const physical = { boolean: 0, int64: 2, float: 4, double: 5, bytes: 6 }
const encoding = { plain: 0, rle: 3 }
const codec = { uncompressed: 0, snappy: 1 }
const optional = 1
const repeated = 2

const physicals: ReadonlyMap<ColumnType, number> = new Map<ColumnType, number>(Object.entries({
  string: physical.bytes,
  json: physical.bytes,
  binary: physical.bytes,
  integer: physical.int64,
  bigint: physical.int64,
  date: physical.int64,
  number: physical.double,
  boolean: physical.boolean,
  vector: physical.float
}) as Array<[ColumnType, number]>)

const physicalOf = (type: ColumnType): number => physicals.get(type) ?? physical.bytes

/** The older annotation and the newer one: readers know the one or the other. */
const annotationOf = (type: ColumnType): ThriftFields => {
  switch (type) {
    case "string":
      return [[6, i32(0)], [10, struct([[1, struct([])]])]]
    case "json":
      return [[6, i32(19)], [10, struct([[12, struct([])]])]]
    case "date":
      return [[6, i32(9)], [10, struct([[8, struct([[1, bool(true)], [2, struct([[1, struct([])]])]])]])]]
    default:
      return []
  }
}

/**
 * The schema elements of a column, in depth-first order.
 *
 * @internal
 */
export const schemaOf = ({ name, type }: Column): ReadonlyArray<ThriftFields> =>
  type === "vector"
    ? [
      [[3, i32(optional)], [4, text(name)], [5, i32(1)], [6, i32(3)], [10, struct([[3, struct([])]])]],
      [[3, i32(repeated)], [4, text("list")], [5, i32(1)]],
      [[1, i32(physical.float)], [3, i32(optional)], [4, text("element")]]
    ]
    : [[[1, i32(physicalOf(type))], [3, i32(optional)], [4, text(name)], ...annotationOf(type)]]

/** Levels as runs of the hybrid encoding, after their length. All levels here fit one byte. */
class Levels {
  private readonly out: Array<number> = []
  private level = 0
  private length = 0

  push(level: number, count: number): void {
    if (count === 0) return
    if (level !== this.level) {
      this.flush()
      this.level = level
    }
    this.length += count
  }

  bytes(): Uint8Array {
    this.flush()
    const bytes = Buffer.allocUnsafe(4 + this.out.length)
    bytes.writeUInt32LE(this.out.length)
    bytes.set(this.out, 4)
    return bytes
  }

  private flush(): void {
    if (this.length === 0) return
    pushVarint(this.out, this.length * 2)
    this.out.push(this.level)
    this.length = 0
  }
}

/** The pages of a column in one row group, and what the footer says of them. */
class ColumnChunk {
  readonly pieces: Array<Uint8Array> = []
  /** Values with their nulls: as many as there are definition levels. */
  values = 0
  /** With the pages' headers. */
  uncompressedBytes = 0
  /** With the pages' headers. */
  compressedBytes = 0
  readonly codec: number

  constructor(type: ColumnType) {
    this.codec = physicalOf(type) === physical.bytes ? codec.snappy : codec.uncompressed
  }

  addPage(values: number, levels: ReadonlyArray<Uint8Array>, data: Uint8Array): void {
    const plain = levels.reduce((bytes, level) => bytes + level.length, data.length)
    const parts = [...levels, data]
    const body = this.codec === codec.snappy ? [snappyCompress(Buffer.concat(parts, plain))] : parts
    const stored = body.reduce((bytes, piece) => bytes + piece.length, 0)
    const header = encodeStruct([
      [1, i32(0)],
      [2, i32(plain)],
      [3, i32(stored)],
      [5, struct([[1, i32(values)], [2, i32(encoding.plain)], [3, i32(encoding.rle)], [4, i32(encoding.rle)]])]
    ])
    this.pieces.push(header, ...body)
    this.values += values
    this.uncompressedBytes += header.length + plain
    this.compressedBytes += header.length + stored
  }
}

const pageBytes = 1024 * 1024

const isNothing = (value: unknown): boolean => value === null || value === undefined

const levelsOf = (values: ReadonlyArray<unknown>, from: number, to: number): ReadonlyArray<Uint8Array> => {
  const levels = new Levels()
  for (let i = from; i < to; i++) levels.push(isNothing(values[i]) ? 0 : 1, 1)
  return [levels.bytes()]
}

const addTexts = (chunk: ColumnChunk, values: ReadonlyArray<unknown>, textOf: (value: unknown) => string): void => {
  let page: Buffer = Buffer.allocUnsafe(64 * 1024)
  let used = 0
  let from = 0
  const flush = (to: number): void => {
    if (to > from) chunk.addPage(to - from, levelsOf(values, from, to), page.subarray(0, used))
    from = to
    used = 0
  }
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (isNothing(value)) continue
    const content = textOf(value)
    const most = 4 + content.length * 3
    if (used > 0 && used + most > pageBytes) flush(i)
    if (used + most > page.length) {
      const larger = Buffer.allocUnsafe(Math.max(page.length * 2, used + most))
      page.copy(larger, 0, 0, used)
      page = larger
    }
    const length = page.write(content, used + 4, "utf8")
    page.writeUInt32LE(length, used)
    used += 4 + length
  }
  flush(values.length)
}

const addBytes = (chunk: ColumnChunk, values: ReadonlyArray<Uint8Array | null>): void => {
  let parts: Array<Uint8Array> = []
  let used = 0
  let from = 0
  const flush = (to: number): void => {
    if (to > from) chunk.addPage(to - from, levelsOf(values, from, to), Buffer.concat(parts, used))
    from = to
    parts = []
    used = 0
  }
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (value === null || value === undefined) continue
    if (used > 0 && used + 4 + value.length > pageBytes) flush(i)
    const length = Buffer.allocUnsafe(4)
    length.writeUInt32LE(value.length)
    parts.push(length, value)
    used += 4 + value.length
  }
  flush(values.length)
}

/** Values of eight bytes each: one page. */
const addWords = <A>(
  chunk: ColumnChunk,
  values: ReadonlyArray<A | null>,
  write: (page: Buffer, value: A, at: number) => void
): void => {
  const page = Buffer.allocUnsafe(values.length * 8)
  let used = 0
  for (const value of values) {
    if (value === null || value === undefined) continue
    write(page, value, used)
    used += 8
  }
  chunk.addPage(values.length, levelsOf(values, 0, values.length), page.subarray(0, used))
}

const word = 2 ** 32

const writeInteger = (page: Buffer, value: number, at: number): void => {
  const high = Math.floor(value / word)
  page.writeUInt32LE(value - high * word, at)
  page.writeInt32LE(high, at + 4)
}

const addBooleans = (chunk: ColumnChunk, values: ReadonlyArray<boolean | null>): void => {
  const page = Buffer.alloc(Math.ceil(values.length / 8))
  let bit = 0
  for (const value of values) {
    if (value === null || value === undefined) continue
    if (value) page[bit >> 3]! |= 1 << (bit & 7)
    bit++
  }
  chunk.addPage(values.length, levelsOf(values, 0, values.length), page.subarray(0, Math.ceil(bit / 8)))
}

const addVectors = (chunk: ColumnChunk, values: ReadonlyArray<Float32Array | null>): void => {
  for (let from = 0; from < values.length;) {
    const repetition = new Levels()
    const definition = new Levels()
    let entries = 0
    let bytes = 0
    let to = from
    do {
      const vector = values[to++] ?? null
      const elements = vector?.length ?? 0
      repetition.push(0, 1)
      if (elements === 0) {
        definition.push(vector === null ? 0 : 1, 1)
      } else {
        repetition.push(1, elements - 1)
        definition.push(3, elements)
      }
      entries += Math.max(1, elements)
      bytes += elements * 4
    } while (to < values.length && bytes < pageBytes)
    const page = Buffer.allocUnsafe(bytes)
    let used = 0
    for (let i = from; i < to; i++) {
      const vector = values[i]
      if (vector === null || vector === undefined) continue
      page.set(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength), used)
      used += vector.byteLength
    }
    chunk.addPage(entries, [repetition.bytes(), definition.bytes()], page)
    from = to
  }
}

type Values<A> = ReadonlyArray<A | null>

/** A batch holds values of its columns' types (`Batch.ts`); this is where that is relied on. */
const addValues = (chunk: ColumnChunk, type: ColumnType, values: ReadonlyArray<unknown>): void => {
  switch (type) {
    case "string":
      return addTexts(chunk, values, String)
    case "json":
      return addTexts(chunk, values, jsonText)
    case "binary":
      return addBytes(chunk, values as Values<Uint8Array>)
    case "integer":
      return addWords(chunk, values as Values<number>, writeInteger)
    case "bigint":
      return addWords(chunk, values as Values<bigint>, (page, value, at) => page.writeBigInt64LE(value, at))
    case "date":
      return addWords(chunk, values as Values<Date>, (page, value, at) => writeInteger(page, value.getTime(), at))
    case "number":
      return addWords(chunk, values as Values<number>, (page, value, at) => page.writeDoubleLE(value, at))
    case "boolean":
      return addBooleans(chunk, values as Values<boolean>)
    case "vector":
      return addVectors(chunk, values as Values<Float32Array>)
  }
}

/**
 * A column of a row group: its bytes, and its part of the footer.
 *
 * @internal
 */
export interface EncodedColumn {
  readonly pieces: ReadonlyArray<Uint8Array>
  readonly uncompressedBytes: number
  readonly compressedBytes: number
  readonly metadata: ThriftFields
}

/**
 * Encodes the values of a column; `offset` is where its first page will lie in the file.
 *
 * @internal
 */
export const encodeColumn = ({ name, type }: Column, values: ReadonlyArray<unknown>, offset: number): EncodedColumn => {
  const chunk = new ColumnChunk(type)
  addValues(chunk, type, values)
  return {
    pieces: chunk.pieces,
    uncompressedBytes: chunk.uncompressedBytes,
    compressedBytes: chunk.compressedBytes,
    metadata: [
      [2, i64(offset)],
      [3, struct([
        [1, i32(physicalOf(type))],
        [2, list("i32", [i32(encoding.plain), i32(encoding.rle)])],
        [3, list("text", (type === "vector" ? [name, "list", "element"] : [name]).map(text))],
        [4, i32(chunk.codec)],
        [5, i64(chunk.values)],
        [6, i64(chunk.uncompressedBytes)],
        [7, i64(chunk.compressedBytes)],
        [9, i64(offset)]
      ])]
    ]
  }
}
