/**
 * The sidecar of a job: its original rows, with their types, as one Arrow IPC stream. It is written once by prepare and
 * read back, message by message, for the join; any Arrow reader opens it too.
 *
 * Each column is made of plain buffers: Arrow's builders are several times slower. Arrow is loaded on first use.
 *
 * @internal
 */
import type * as Arrow from "apache-arrow"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type Column, ColumnType } from "../Column.ts"
import { type Batch, slice } from "./Batch.ts"
import { jsonText } from "./JsonText.ts"

const maxMessageRows = 10_000

const loadArrow: Effect.Effect<typeof Arrow> = Effect.promise(() => import("apache-arrow"))

/** The key of a field's metadata that holds the column type. */
const typeKey = "bedrock-batch:type"

const arrowType = (arrow: typeof Arrow, type: ColumnType): Arrow.DataType => {
  switch (type) {
    case "string":
    case "json":
      return new arrow.Utf8()
    case "integer":
    case "bigint":
      return new arrow.Int64()
    case "number":
      return new arrow.Float64()
    case "boolean":
      return new arrow.Bool()
    case "date":
      return new arrow.Timestamp(arrow.TimeUnit.MILLISECOND, "UTC")
    case "binary":
      return new arrow.Binary()
    case "vector":
      return new arrow.List(new arrow.Field("element", new arrow.Float32(), true))
    default:
      throw new Error(`columns of type ${JSON.stringify(type)} cannot be stored yet`)
  }
}

const schemaOf = (arrow: typeof Arrow, columns: ReadonlyArray<Column>): Arrow.Schema =>
  new arrow.Schema(
    columns.map(({ name, type }) => new arrow.Field(name, arrowType(arrow, type), true, new Map([[typeKey, String(type)]])))
  )

const isNothing = (value: unknown): boolean => value === null || value === undefined

interface Validity {
  readonly nullCount: number
  readonly nullBitmap?: Uint8Array
}

/** Which values are there: a bit each, or no bitmap where none is null. */
const validityOf = (values: ReadonlyArray<unknown>): Validity => {
  let nullCount = 0
  for (const value of values) if (isNothing(value)) nullCount++
  if (nullCount === 0) return { nullCount }
  const nullBitmap = new Uint8Array(Math.ceil(values.length / 8))
  for (let i = 0; i < values.length; i++) if (!isNothing(values[i])) nullBitmap[i >> 3]! |= 1 << (i & 7)
  return { nullCount, nullBitmap }
}

interface Lengths {
  readonly valueOffsets: Int32Array
  readonly data: Uint8Array<ArrayBuffer>
}

const textsOf = (values: ReadonlyArray<unknown>, textOf: (value: unknown) => string): Lengths => {
  const texts = values.map((value) => isNothing(value) ? "" : textOf(value))
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  const data = new Uint8Array(bytes)
  const out = Buffer.from(data.buffer)
  const valueOffsets = new Int32Array(values.length + 1)
  let at = 0
  for (let i = 0; i < texts.length; i++) {
    if (texts[i] !== "") at += out.write(texts[i]!, at, "utf8")
    valueOffsets[i + 1] = at
  }
  return { valueOffsets, data }
}

const bytesOf = (values: ReadonlyArray<Uint8Array | null>): Lengths => {
  const data = new Uint8Array(values.reduce((sum, value) => sum + (value?.length ?? 0), 0))
  const valueOffsets = new Int32Array(values.length + 1)
  let at = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (value !== null && value !== undefined) data.set(value, at)
    at += value?.length ?? 0
    valueOffsets[i + 1] = at
  }
  return { valueOffsets, data }
}

const longsOf = <A>(values: ReadonlyArray<A | null>, longOf: (value: A) => bigint): BigInt64Array => {
  const data = new BigInt64Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (value !== null && value !== undefined) data[i] = longOf(value)
  }
  return data
}

type Values<A> = ReadonlyArray<A | null>

/** A batch holds values of its columns' types (`Batch.ts`); this is where that is relied on. */
const encodeColumn = (arrow: typeof Arrow, type: ColumnType, values: ReadonlyArray<unknown>): Arrow.Data => {
  const { length } = values
  const validity = validityOf(values)
  switch (type) {
    case "string":
      return arrow.makeData({ type: new arrow.Utf8(), length, ...validity, ...textsOf(values, String) })
    case "json":
      return arrow.makeData({ type: new arrow.Utf8(), length, ...validity, ...textsOf(values, jsonText) })
    case "binary":
      return arrow.makeData({ type: new arrow.Binary(), length, ...validity, ...bytesOf(values as Values<Uint8Array>) })
    case "integer":
      return arrow.makeData({
        type: new arrow.Int64(),
        length,
        ...validity,
        data: longsOf(values as Values<number>, BigInt)
      })
    case "bigint":
      return arrow.makeData({
        type: new arrow.Int64(),
        length,
        ...validity,
        data: longsOf(values as Values<bigint>, (value) => value)
      })
    case "date":
      return arrow.makeData({
        type: new arrow.Timestamp(arrow.TimeUnit.MILLISECOND, "UTC"),
        length,
        ...validity,
        data: longsOf(values as Values<Date>, (value) => BigInt(value.getTime()))
      })
    case "number":
      return arrow.makeData({
        type: new arrow.Float64(),
        length,
        ...validity,
        data: Float64Array.from(values as Values<number>, (value) => value ?? 0)
      })
    case "boolean": {
      const data = new Uint8Array(Math.ceil(length / 8))
      for (let i = 0; i < length; i++) if (values[i] === true) data[i >> 3]! |= 1 << (i & 7)
      return arrow.makeData({ type: new arrow.Bool(), length, ...validity, data })
    }
    case "vector": {
      const vectors = values as Values<Float32Array>
      const valueOffsets = new Int32Array(length + 1)
      for (let i = 0; i < length; i++) valueOffsets[i + 1] = valueOffsets[i]! + (vectors[i]?.length ?? 0)
      const data = new Float32Array(valueOffsets[length]!)
      for (let i = 0; i < length; i++) data.set(vectors[i] ?? [], valueOffsets[i])
      const child = arrow.makeData({ type: new arrow.Float32(), length: data.length, nullCount: 0, data })
      const list = new arrow.List(new arrow.Field("element", new arrow.Float32(), true))
      return arrow.makeData({ type: list, length, ...validity, valueOffsets, child })
    }
    default:
      throw new Error(`columns of type ${JSON.stringify(type)} cannot be stored yet`)
  }
}

/** The length of the message at the start of the bytes: a marker, the length of the metadata, the metadata. */
const metadataEnd = (bytes: Buffer): number => 8 + bytes.readInt32LE(4)

const endOfStream = Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])

/** A stream of one batch is the schema's message, the batch's, and the end; the parts make up a stream of many. */
const encodeMessages = (arrow: typeof Arrow, columns: ReadonlyArray<Column>) => {
  const schema = schemaOf(arrow, columns)
  const struct = new arrow.Struct(schema.fields)
  const whole = (batch: Batch): Buffer => {
    const children = batch.columns.map((values, j) => encodeColumn(arrow, columns[j]!.type, values))
    const data = arrow.makeData({ type: struct, length: batch.length, nullCount: 0, children })
    const writer = arrow.RecordBatchStreamWriter.writeAll([new arrow.RecordBatch(schema, data)])
    const bytes = writer.toUint8Array(true)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
  const empty = whole({ length: 0, columns: columns.map(() => []) })
  return {
    schema: empty.subarray(0, metadataEnd(empty)),
    batch: (batch: Batch): Uint8Array => {
      const bytes = whole(batch)
      return bytes.subarray(metadataEnd(bytes), bytes.length - endOfStream.length)
    }
  }
}

/**
 * Encodes batches as one Arrow IPC stream, in messages of at most 10,000 rows. Memory holds one batch.
 *
 * @internal
 */
export const encode = <E, R>(
  columns: ReadonlyArray<Column>,
  batches: Stream.Stream<Batch, E, R>
): Stream.Stream<Uint8Array, E, R> =>
  Stream.unwrap(Effect.map(loadArrow, (arrow) => {
    const messages = encodeMessages(arrow, columns)
    const encodeBatch = (batch: Batch): ReadonlyArray<Uint8Array> => {
      const out: Array<Uint8Array> = []
      for (let from = 0; from < batch.length; from += maxMessageRows) {
        out.push(messages.batch(slice(batch, from, Math.min(batch.length, from + maxMessageRows))))
      }
      return out
    }
    return Stream.succeed<Uint8Array>(messages.schema).pipe(
      Stream.concat(batches.pipe(Stream.map(encodeBatch), Stream.flattenIterable)),
      Stream.concat(Stream.succeed<Uint8Array>(endOfStream))
    )
  }))

/** What is wrong with a sidecar. */
class RowsFileFault {
  readonly message: string
  readonly cause: unknown
  constructor(message: string, cause?: unknown) {
    this.message = message
    this.cause = cause
  }
}

const hasBit = (bits: Uint8Array, i: number): boolean => ((bits[i >> 3]! >> (i & 7)) & 1) === 1

const decodeColumn = (type: ColumnType, data: Arrow.Data): ReadonlyArray<unknown> => {
  const { length } = data
  const values: unknown = data.values
  const offsets: unknown = data.valueOffsets
  const reading = (valueAt: (i: number) => unknown): ReadonlyArray<unknown> => {
    const out = new Array<unknown>(length).fill(null)
    const bits = data.nullCount > 0 ? data.nullBitmap : null
    for (let i = 0; i < length; i++) if (bits === null || hasBit(bits, i)) out[i] = valueAt(i)
    return out
  }
  const pieces = (): readonly [Buffer, Int32Array] => {
    if (values instanceof Uint8Array && offsets instanceof Int32Array) {
      return [Buffer.from(values.buffer, values.byteOffset, values.byteLength), offsets]
    }
    throw new RowsFileFault(`a ${type} column is not made of bytes`)
  }
  const longs = (): BigInt64Array => {
    if (values instanceof BigInt64Array) return values
    throw new RowsFileFault(`a ${type} column is not made of 64-bit integers`)
  }
  switch (type) {
    case "string":
    case "json": {
      const [bytes, ends] = pieces()
      const textAt = (i: number): string => bytes.toString("utf8", ends[i], ends[i + 1])
      return reading(type === "string" ? textAt : (i) => JSON.parse(textAt(i)))
    }
    case "binary": {
      const [bytes, ends] = pieces()
      return reading((i) => new Uint8Array(bytes.subarray(ends[i], ends[i + 1])))
    }
    case "integer": {
      const words = longs()
      return reading((i) => Number(words[i]))
    }
    case "bigint": {
      const words = longs()
      return reading((i) => words[i])
    }
    case "date": {
      const words = longs()
      return reading((i) => new Date(Number(words[i])))
    }
    case "number":
      if (!(values instanceof Float64Array)) throw new RowsFileFault("a number column is not made of doubles")
      return reading((i) => values[i])
    case "boolean":
      if (!(values instanceof Uint8Array)) throw new RowsFileFault("a boolean column is not made of bits")
      return reading((i) => hasBit(values, i))
    case "vector": {
      const floats: unknown = data.children[0]?.values
      if (!(floats instanceof Float32Array && offsets instanceof Int32Array)) {
        throw new RowsFileFault("a vector column is not made of floats")
      }
      return reading((i) => floats.slice(offsets[i], offsets[i + 1]))
    }
    default:
      throw new RowsFileFault(`columns of type ${JSON.stringify(type)} cannot be read yet`)
  }
}

const isColumnType = Schema.is(ColumnType)

const columnsOf = (schema: Arrow.Schema): ReadonlyArray<Column> =>
  schema.fields.map((field) => {
    const type = field.metadata.get(typeKey)
    if (!isColumnType(type)) throw new RowsFileFault(`the column ${JSON.stringify(field.name)} has no type of ours`)
    return { name: field.name, type }
  })

/** Cuts an IPC stream into its messages, and decodes them one by one. */
class MessageReader {
  private readonly arrow: typeof Arrow
  private pieces: Array<Uint8Array> = []
  private pending = 0
  /** How many bytes the message that is being read is known to have. */
  private wanted = 8
  private schema: Buffer | null = null
  private columns: ReadonlyArray<Column> = []
  private ended = false

  constructor(arrow: typeof Arrow) {
    this.arrow = arrow
  }

  push(piece: Uint8Array): ReadonlyArray<Batch> {
    this.pieces.push(piece)
    this.pending += piece.length
    const batches: Array<Batch> = []
    while (!this.ended && this.pending >= this.wanted) {
      const bytes = this.joined()
      const size = this.messageSize(bytes)
      if (size === null) continue
      this.take(bytes.subarray(0, size), batches)
      this.pieces = [bytes.subarray(size)]
      this.pending = bytes.length - size
      this.wanted = 8
    }
    return batches
  }

  end(): void {
    if (!this.ended) throw new RowsFileFault("the file ends before its rows do")
  }

  private joined(): Buffer {
    const only = this.pieces.length === 1 ? this.pieces[0] : undefined
    const bytes = only instanceof Buffer ? only : Buffer.concat(this.pieces, this.pending)
    this.pieces = [bytes]
    return bytes
  }

  /** The size of the first message once it is all there, else null and `wanted` says how much is needed. */
  private messageSize(bytes: Buffer): number | null {
    if (bytes.readInt32LE(0) !== -1) throw new RowsFileFault("a message does not begin where one should")
    const metadata = metadataEnd(bytes)
    if (metadata === 8) return 8
    if (metadata < 8) throw new RowsFileFault("a message has no size")
    if (bytes.length < metadata) {
      this.wanted = metadata
      return null
    }
    const size = metadata + this.arrow.Message.decode(bytes.subarray(8, metadata)).bodyLength
    if (bytes.length >= size) return size
    this.wanted = size
    return null
  }

  private take(message: Buffer, batches: Array<Batch>): void {
    if (message.length === 8) {
      this.ended = true
    } else if (this.schema === null) {
      this.schema = Buffer.from(message)
      const reader = this.arrow.RecordBatchReader.from(Buffer.concat([message, endOfStream]))
      this.columns = columnsOf(reader.open().schema)
    } else {
      // Copied together, the buffers are aligned as Arrow's typed arrays need them.
      const alone = Buffer.concat([this.schema, message, endOfStream])
      for (const batch of this.arrow.RecordBatchReader.from(alone)) {
        if (batch.numRows === 0) continue
        const columns = this.columns.map(({ type }, j) => decodeColumn(type, batch.data.children[j]!))
        batches.push({ length: batch.numRows, columns })
      }
    }
  }
}

/**
 * Reads the batches of a file that `encode` wrote, every value of the type and with the content it had. Memory holds
 * one message. `damaged` makes the failure when the bytes are not such a file, whole and unchanged in form.
 *
 * @internal
 */
export const read = <E, R, E2>(
  bytes: Stream.Stream<Uint8Array, E, R>,
  damaged: (message: string, cause: unknown) => E2
): Stream.Stream<Batch, E | E2, R> =>
  Stream.unwrap(Effect.map(loadArrow, (arrow) => {
    const reader = new MessageReader(arrow)
    const attempt = <A>(run: () => A): Effect.Effect<A, E2> =>
      Effect.try({
        try: run,
        catch: (cause) =>
          cause instanceof RowsFileFault
            ? damaged(cause.message, cause.cause)
            : damaged("the rows cannot be decoded", cause)
      })
    return bytes.pipe(
      Stream.mapEffect((piece) => attempt(() => reader.push(piece))),
      Stream.concat(Stream.fromEffectDrain(Effect.suspend(() => attempt(() => reader.end())))),
      Stream.flattenIterable
    )
  }))
