import { crc32 } from "node:zlib"
import { bool, encodeStruct, i32, i64, list, struct, text, type ThriftFields } from "../../src/sink/internal/Thrift.ts"

export const physical = { boolean: 0, int32: 1, int64: 2, int96: 3, float: 4, double: 5, bytes: 6, fixed: 7 }
export const repetition = { required: 0, optional: 1, repeated: 2 }
export const converted = { utf8: 0, map: 1, mapKeyValue: 2, list: 3, enum: 4, decimal: 5, json: 19, interval: 21 }
export const encodings = { plain: 0, rle: 3, bitPacked: 4, deltaBinary: 5, deltaBytes: 7, dictionary: 8, unknown: 77 }
export const codecs = { none: 0, snappy: 1, gzip: 2, lzo: 3, brotli: 4, lz4: 5, zstd: 6, lz4Raw: 7 }

/** An element of the schema, without its name. */
export interface Element {
  readonly name: string
  readonly repetition?: number
  readonly physical?: number
  readonly width?: number
  readonly children?: number
  readonly converted?: number
  readonly scale?: number
  readonly precision?: number
  readonly logical?: ThriftFields
}

const elementFields = (element: Element): ThriftFields => {
  const optional = (value: number | undefined) => (value === undefined ? undefined : i32(value))
  return [
    [1, optional(element.physical)],
    [2, optional(element.width)],
    [3, i32(element.repetition ?? repetition.required)],
    [4, text(element.name)],
    [5, optional(element.children)],
    [6, optional(element.converted)],
    [7, optional(element.scale)],
    [8, optional(element.precision)],
    [10, element.logical === undefined ? undefined : struct(element.logical)]
  ]
}

/** Levels as one run each. */
export const runs = (levels: ReadonlyArray<number>): Buffer => {
  const bytes = Buffer.concat(levels.map((level) => Buffer.from([2, level])))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(bytes.length)
  return Buffer.concat([length, bytes])
}

export const int32s = (...values: ReadonlyArray<number>): Buffer => Buffer.from(Int32Array.from(values).buffer)
export const int64s = (...values: ReadonlyArray<bigint>): Buffer => Buffer.from(BigInt64Array.from(values).buffer)
export const floats = (...values: ReadonlyArray<number>): Buffer => Buffer.from(Float32Array.from(values).buffer)
export const slices = (...values: ReadonlyArray<string | Uint8Array>): Buffer =>
  Buffer.concat(values.flatMap((value) => {
    const bytes = Buffer.from(value as Uint8Array)
    return [int32s(bytes.length), bytes]
  }))

export interface Page {
  /** Values with nulls. */
  readonly count: number
  readonly body: Buffer
  readonly dictionary?: boolean
  readonly encoding?: number
  readonly size?: number
  readonly stored?: number
  readonly crc?: boolean | number
  readonly levelEncoding?: number
}

const pageBytes = (page: Page): Buffer => {
  const { body, count, crc, dictionary, encoding = encodings.plain, levelEncoding = encodings.rle } = page
  const header = encodeStruct([
    [1, i32(dictionary === true ? 2 : 0)],
    [2, i32(page.size ?? body.length)],
    [3, i32(page.stored ?? body.length)],
    [4, crc === undefined || crc === false ? undefined : i32(crc === true ? crc32(body) | 0 : crc)],
    [5, dictionary === true
      ? undefined
      : struct([[1, i32(count)], [2, i32(encoding)], [3, i32(levelEncoding)], [4, i32(levelEncoding)]])],
    [7, dictionary === true ? struct([[1, i32(count)], [2, i32(encoding)]]) : undefined]
  ])
  return Buffer.concat([header, body])
}

export interface Chunk {
  readonly path: ReadonlyArray<string>
  readonly physical: number
  readonly pages: ReadonlyArray<Page>
  readonly codec?: number
  /** What the footer says, where it is not true. */
  readonly values?: number
  readonly bytes?: number
  readonly start?: number
  /** Nulls that the statistics tell. */
  readonly nulls?: number
  readonly encrypted?: boolean
}

export interface Group {
  readonly rows: number
  readonly chunks: ReadonlyArray<Chunk>
}

/** Puts a Parquet file together as it is told, be it right or wrong. */
export const parquetFile = (
  elements: ReadonlyArray<Element>,
  groups: ReadonlyArray<Group>,
  options: {
    readonly rows?: number
    readonly columns?: number
    readonly metadata?: Record<string, string>
    readonly footerBytes?: number
    readonly magic?: string
  } = {}
): Buffer => {
  const parts: Array<Buffer> = [Buffer.from("PAR1")]
  let at = 4
  const encodedGroups = groups.map(({ chunks, rows }) => {
    const columns = chunks.map((chunk) => {
      const start = at
      let count = 0
      let dictionaryAt: number | undefined
      let dataAt: number | undefined
      for (const page of chunk.pages) {
        if (page.dictionary === true) dictionaryAt = at
        else {
          dataAt ??= at
          count += page.count
        }
        const bytes = pageBytes(page)
        parts.push(bytes)
        at += bytes.length
      }
      return struct([
        [2, i64(start)],
        [3, struct([
          [1, i32(chunk.physical)],
          [2, list("i32", [])],
          [3, list("text", chunk.path.map(text))],
          [4, i32(chunk.codec ?? codecs.none)],
          [5, i64(chunk.values ?? count)],
          [6, i64(at - start)],
          [7, i64(chunk.bytes ?? at - start)],
          [9, i64(chunk.start ?? dataAt ?? start)],
          [11, dictionaryAt === undefined ? undefined : i64(dictionaryAt)],
          [12, chunk.nulls === undefined ? undefined : struct([[3, i64(chunk.nulls)]])]
        ])],
        [8, chunk.encrypted === true ? struct([[1, struct([])]]) : undefined]
      ])
    })
    return struct([[1, list("struct", columns)], [2, i64(at)], [3, i64(rows)]])
  })
  const columns = options.columns ?? elements.filter((_, i) => isTop(elements, i)).length
  const root: Element = { name: "schema", children: columns }
  const footer = Buffer.from(encodeStruct([
    [1, i32(2)],
    [2, list("struct", [root, ...elements].map((element) => struct(elementFields(element))))],
    [3, i64(options.rows ?? groups.reduce((sum, { rows }) => sum + rows, 0))],
    [4, list("struct", encodedGroups)],
    [5, options.metadata === undefined
      ? undefined
      : list("struct", Object.entries(options.metadata).map(keyValue))],
    [6, text("test")]
  ]))
  return Buffer.concat([
    ...parts,
    footer,
    int32s(options.footerBytes ?? footer.length),
    Buffer.from(options.magic ?? "PAR1")
  ])
}

const keyValue = ([key, value]: readonly [string, string]) => struct([[1, text(key)], [2, text(value)]])

/** Whether an element is no child of one before it. */
const isTop = (elements: ReadonlyArray<Element>, index: number): boolean => {
  let open = 0
  for (let i = 0; i < index; i++) open = Math.max(0, open - 1) + (elements[i]!.children ?? 0)
  return open === 0
}

export { bool, i32, struct, text }
