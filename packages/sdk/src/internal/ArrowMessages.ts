/**
 * The messages that Arrow's IPC formats are made of: their metadata, and a stream cut into them. The bytes are not
 * trusted: what does not hold is an `ArrowFault`.
 *
 * @internal
 */
import type { TimeUnit } from "../Column.ts"
import { FlatBytes, FlatFault, type FlatTable } from "./FlatTable.ts"

/**
 * What is wrong with bytes in an Arrow format.
 *
 * @internal
 */
export class ArrowFault extends Error {
  /** The row, from 0 in its record batch, or null. */
  readonly row: number | null
  /** The column's name, or null. */
  readonly column: string | null

  constructor(
    message: string,
    place: { readonly row?: number; readonly column?: string; readonly cause?: unknown } = {}
  ) {
    super(message, place.cause === undefined ? {} : { cause: place.cause })
    this.row = place.row ?? null
    this.column = place.column ?? null
  }
}

/**
 * How the values of a field are laid out.
 *
 * @internal
 */
export type ArrowType =
  | { readonly id: "null" | "bool" | "struct" | "map" }
  | { readonly id: "int"; readonly bits: number; readonly signed: boolean }
  | { readonly id: "float"; readonly bits: number }
  /** `width` is that of the offsets in bytes; of views it is 0. */
  | { readonly id: "utf8" | "binary"; readonly width: 0 | 4 | 8 }
  | { readonly id: "list"; readonly width: 4 | 8 }
  | { readonly id: "fixed-list" | "fixed"; readonly size: number }
  | { readonly id: "decimal"; readonly precision: number; readonly scale: number; readonly bits: number }
  | { readonly id: "date"; readonly unit: "day" | "ms" }
  | { readonly id: "time"; readonly unit: TimeUnit; readonly bits: number }
  | { readonly id: "timestamp"; readonly unit: TimeUnit; readonly zone: string | null }
  /** `buffers` are those of the field itself; unions had one more for their validity before version 5. */
  | { readonly id: "union"; readonly buffers: 1 | 2 }
  | { readonly id: "unsupported"; readonly name: string; readonly buffers: number }

/**
 * The values of a dictionary, and the integers that stand for them.
 *
 * @internal
 */
export interface ArrowDictionary {
  readonly id: bigint
  readonly bits: number
  readonly signed: boolean
}

/**
 * A field of a schema. With a dictionary, `type` and `children` are those of its values.
 *
 * @internal
 */
export interface ArrowField {
  readonly name: string
  readonly type: ArrowType
  readonly children: ReadonlyArray<ArrowField>
  readonly dictionary: ArrowDictionary | null
  /** What the field's metadata says the values are beyond their layout. */
  readonly extension: string | null
}

/** @internal */
export interface ArrowSchema {
  readonly fields: ReadonlyArray<ArrowField>
  readonly metadata: ReadonlyMap<string, string>
}

/** @internal */
export interface FieldNode {
  readonly length: number
  readonly nullCount: number
}

/**
 * A place in the body of a message.
 *
 * @internal
 */
export interface BufferPlace {
  readonly offset: number
  readonly length: number
}

/**
 * The metadata of a record batch: one node for each field in depth-first order, and the places of their buffers.
 *
 * @internal
 */
export interface RecordBatch {
  /** Of the metadata, from 0. */
  readonly version: number
  readonly length: number
  readonly nodes: ReadonlyArray<FieldNode>
  readonly buffers: ReadonlyArray<BufferPlace>
  readonly compression: "lz4" | "zstd" | null
  /** How many buffers each field of views has. */
  readonly viewBuffers: ReadonlyArray<number>
}

/** @internal */
export type Message =
  & { readonly bodyLength: number }
  & (
    | { readonly header: "schema"; readonly schema: ArrowSchema }
    | { readonly header: "batch"; readonly batch: RecordBatch }
    | { readonly header: "dictionary"; readonly id: bigint; readonly isDelta: boolean; readonly batch: RecordBatch }
    | { readonly header: "other" }
  )

/**
 * Where a message lies in a file.
 *
 * @internal
 */
export interface FileBlock {
  readonly offset: number
  readonly metadataLength: number
  readonly bodyLength: number
}

/** @internal */
export interface Footer {
  readonly schema: ArrowSchema
  readonly dictionaries: ReadonlyArray<FileBlock>
  readonly batches: ReadonlyArray<FileBlock>
}

const units: ReadonlyArray<TimeUnit> = ["s", "ms", "us", "ns"]

const unitOf = (number: number): TimeUnit => {
  const unit = units[number]
  if (unit === undefined) throw new FlatFault("a unit of time is none")
  return unit
}

const oneOf = <A extends number>(value: number, values: ReadonlyArray<A>, what: string): A => {
  const known = values.find((one) => one === value)
  if (known === undefined) throw new FlatFault(`${what} is none`)
  return known
}

const positive = (size: number): number => {
  if (size < 0) throw new FlatFault("a size in the metadata is none")
  return size
}

const intOf = (type: FlatTable | null): { readonly bits: number; readonly signed: boolean } => ({
  bits: oneOf(type?.int32(0) ?? 32, [8, 16, 32, 64], "the width of an integer"),
  signed: type?.boolean(1) ?? true
})

const typeOf = (number: number, type: FlatTable | null): ArrowType => {
  switch (number) {
    case 1:
      return { id: "null" }
    case 2:
      return { id: "int", ...intOf(type) }
    case 3:
      return { id: "float", bits: 16 << oneOf(type?.int16(0) ?? 0, [0, 1, 2], "the precision of a number") }
    case 4:
      return { id: "binary", width: 4 }
    case 5:
      return { id: "utf8", width: 4 }
    case 6:
      return { id: "bool" }
    case 7: {
      const bits = oneOf(type?.int32(2, 128) ?? 128, [32, 64, 128, 256], "the width of a decimal")
      const precision = type?.int32(0) ?? 0
      const scale = type?.int32(1) ?? 0
      if (precision < 1 || precision > 76 || Math.abs(scale) > 1000) throw new FlatFault("a decimal type is none")
      return { id: "decimal", precision, scale, bits }
    }
    case 8:
      return { id: "date", unit: (type?.int16(0, 1) ?? 1) === 0 ? "day" : "ms" }
    case 9: {
      const unit = unitOf(type?.int16(0, 1) ?? 1)
      const bits = type?.int32(1, 32) ?? 32
      if (bits !== (unit === "s" || unit === "ms" ? 32 : 64)) throw new FlatFault("a time type is none")
      return { id: "time", unit, bits }
    }
    case 10:
      return { id: "timestamp", unit: unitOf(type?.int16(0) ?? 0), zone: type?.text(1) || null }
    case 11:
      return { id: "unsupported", name: "Interval", buffers: 2 }
    case 12:
      return { id: "list", width: 4 }
    case 13:
      return { id: "struct" }
    case 14:
      return { id: "union", buffers: (type?.int16(0) ?? 0) === 1 ? 2 : 1 }
    case 15:
      return { id: "fixed", size: positive(type?.int32(0) ?? 0) }
    case 16:
      return { id: "fixed-list", size: positive(type?.int32(0) ?? 0) }
    case 17:
      return { id: "map" }
    case 18:
      return { id: "unsupported", name: "Duration", buffers: 2 }
    case 19:
      return { id: "binary", width: 8 }
    case 20:
      return { id: "utf8", width: 8 }
    case 21:
      return { id: "list", width: 8 }
    case 22:
      return { id: "unsupported", name: "RunEndEncoded", buffers: 0 }
    case 23:
      return { id: "binary", width: 0 }
    case 24:
      return { id: "utf8", width: 0 }
    case 25:
    case 26:
      return { id: "unsupported", name: "ListView", buffers: 3 }
    default:
      throw new FlatFault(`type number ${number} is not supported`)
  }
}

const childCounts: { readonly [Id in ArrowType["id"]]?: number } = { list: 1, "fixed-list": 1, map: 1 }

const metadataOf = (pairs: ReadonlyArray<FlatTable>): ReadonlyMap<string, string> =>
  new Map(pairs.map((pair) => [pair.text(0) ?? "", pair.text(1) ?? ""]))

const fieldOf = (field: FlatTable, depth: number): ArrowField => {
  if (depth > 100) throw new FlatFault("the fields are nested too deeply")
  const type = typeOf(field.uint8(2), field.table(3))
  const children = field.tables(5).map((child) => fieldOf(child, depth + 1))
  const wanted = childCounts[type.id]
  if (wanted !== undefined && children.length !== wanted) throw new FlatFault("a list has no element type")
  if (type.id === "map" && (children[0]!.type.id !== "struct" || children[0]!.children.length !== 2)) {
    throw new FlatFault("a map has no key and value")
  }
  const dictionary = field.table(4)
  return {
    name: field.text(0) ?? "",
    type,
    children,
    dictionary: dictionary === null ? null : { id: dictionary.int64(0), ...intOf(dictionary.table(1)) },
    extension: metadataOf(field.tables(6)).get("ARROW:extension:name") ?? null
  }
}

const schemaOf = (schema: FlatTable | null): ArrowSchema => {
  if (schema === null) throw new FlatFault("there is no schema")
  if (schema.int16(0) !== 0) throw new FlatFault("the values are big-endian, which is not supported")
  return {
    fields: schema.tables(1).map((field) => fieldOf(field, 0)),
    metadata: metadataOf(schema.tables(2))
  }
}

/** Also Arrow's own limit. */
const mostRows = 2 ** 31 - 1

const batchOf = (batch: FlatTable | null, version: number): RecordBatch => {
  if (batch === null) throw new FlatFault("there is no record batch")
  const { buffer } = batch
  const length = batch.size(0)
  if (length > mostRows) throw new FlatFault(`a record batch of ${length} rows is not supported`)
  const compression = batch.table(3)
  return {
    version,
    length,
    nodes: batch.elements(1, 16, (at) => ({ length: buffer.size(at), nullCount: buffer.size(at + 8) })),
    buffers: batch.elements(2, 16, (at) => ({ offset: buffer.size(at), length: buffer.size(at + 8) })),
    compression: compression === null
      ? null
      : oneOf(compression.uint8(0), [0, 1], "the compression") === 0
      ? "lz4"
      : "zstd",
    viewBuffers: batch.elements(4, 8, (at) => buffer.size(at))
  }
}

/** The versions are counted from 0. Before version 4 (Arrow 0.8, 2017) the metadata was another. */
const versionOf = (version: number): number => {
  if (version < 3) throw new FlatFault("it is of a version before Arrow 0.8, which is not supported")
  return version
}

const reading = <A>(what: string, read: () => A): A => {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof FlatFault) throw new ArrowFault(`${what} cannot be read: ${cause.message}`, { cause })
    throw cause
  }
}

/**
 * What the metadata of a message says.
 *
 * @internal
 */
export const messageOf = (bytes: Uint8Array): Message =>
  reading("a message", (): Message => {
    const message = new FlatBytes(bytes).root()
    const version = versionOf(message.int16(0))
    const header = message.table(2)
    const bodyLength = message.size(3)
    switch (message.uint8(1)) {
      case 1:
        return { header: "schema", schema: schemaOf(header), bodyLength }
      case 2: {
        if (header === null) throw new FlatFault("there is no dictionary")
        const batch = batchOf(header.table(1), version)
        return { header: "dictionary", id: header.int64(0), isDelta: header.boolean(2), batch, bodyLength }
      }
      case 3:
        return { header: "batch", batch: batchOf(header, version), bodyLength }
      default:
        return { header: "other", bodyLength }
    }
  })

/**
 * What the footer of a file says.
 *
 * @internal
 */
export const footerOf = (bytes: Uint8Array): Footer =>
  reading("the footer", () => {
    const footer = new FlatBytes(bytes).root()
    versionOf(footer.int16(0))
    const { buffer } = footer
    const block = (at: number): FileBlock => ({
      offset: buffer.size(at),
      metadataLength: positive(buffer.int32(at + 8)),
      bodyLength: buffer.size(at + 16)
    })
    return {
      schema: schemaOf(footer.table(1)),
      dictionaries: footer.elements(2, 24, block),
      batches: footer.elements(3, 24, block)
    }
  })

/**
 * A message with its body.
 *
 * @internal
 */
export interface WholeMessage {
  readonly message: Message
  readonly body: Uint8Array
}

const noMessage = "a message does not begin where one should"

/**
 * Cuts the bytes of an IPC stream into its messages.
 *
 * @internal
 */
export class MessageCutter {
  /** Whether the end of the stream has been seen; what follows it is left out. */
  ended = false
  private pieces: Array<Uint8Array> = []
  private pending = 0
  /** How many bytes are needed to get on. */
  private wanted = 8
  private next: { readonly message: Message; readonly start: number } | null = null
  /** How many bytes the stream has at most. */
  private left: number

  constructor(size = Infinity) {
    this.left = size
  }

  /** Takes the next bytes, and gives the messages that are then all there. Throws an `ArrowFault`. */
  push(piece: Uint8Array): ReadonlyArray<WholeMessage> {
    this.pieces.push(piece)
    this.pending += piece.length
    const messages: Array<WholeMessage> = []
    while (!this.ended && this.pending >= this.wanted) {
      const bytes = this.joined()
      if (this.next === null) {
        this.begin(bytes)
      } else {
        const { message, start } = this.next
        const end = start + message.bodyLength
        messages.push({ message, body: bytes.subarray(start, end) })
        this.skip(bytes, end)
      }
    }
    if (this.ended) this.checkEnd()
    return messages
  }

  /** Nothing is passed over: after the end there may be padding, but no other stream. */
  private checkEnd(): void {
    if (this.pending < 8) return
    if (this.joined().readInt32LE(0) === -1) throw new ArrowFault("another stream follows in the same file")
    this.pieces = []
    this.pending = 0
  }

  /** Reads what the message at the start of the bytes is, as far as they go. */
  private begin(bytes: Buffer): void {
    if (bytes.readInt32LE(0) !== -1) throw new ArrowFault(noMessage)
    const length = bytes.readInt32LE(4)
    if (length === 0) {
      this.ended = true
      this.skip(bytes, 8)
      return
    }
    if (length < 0) throw new ArrowFault("a message has no size")
    const start = 8 + length
    this.want(start)
    if (bytes.length < start) return
    const message = messageOf(bytes.subarray(8, start))
    this.want(start + message.bodyLength)
    this.next = { message, start }
  }

  private want(bytes: number): void {
    if (bytes > this.left) throw new ArrowFault("a message is longer than the rest of the file: it was cut off")
    this.wanted = bytes
  }

  private skip(bytes: Buffer, length: number): void {
    this.left -= length
    this.pieces = bytes.length === length ? [] : [bytes.subarray(length)]
    this.pending = bytes.length - length
    this.wanted = 8
    this.next = null
  }

  private joined(): Buffer {
    const only = this.pieces.length === 1 ? this.pieces[0] : undefined
    const bytes = only === undefined
      ? Buffer.concat(this.pieces, this.pending)
      : Buffer.from(only.buffer, only.byteOffset, only.byteLength)
    this.pieces = [bytes]
    return bytes
  }
}
