/**
 * Files in Arrow's IPC formats: which of the two a file has, its schema, and its record batches one after another.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { BatchError } from "../../BatchError.ts"
import type { ColumnType } from "../../Column.ts"
import { dictionaryKey } from "../../internal/ArrowBody.ts"
import {
  ArrowFault,
  type ArrowField,
  type ArrowSchema,
  type BufferPlace,
  type FileBlock,
  type Footer,
  footerOf,
  type Message,
  MessageCutter,
  messageOf,
  type RecordBatch
} from "../../internal/ArrowMessages.ts"
import { type BatchRows, dictionaryOf, placesOf, rowsOf, within } from "../../internal/ArrowValues.ts"
import { invalidSource } from "./Failures.ts"
import { orChanged } from "./FileColumns.ts"
import type { SourceFile } from "./SourceFile.ts"

/**
 * A file of which all is known but its rows.
 *
 * @internal
 */
export interface ArrowFile {
  readonly file: SourceFile
  readonly schema: ArrowSchema
  /** Null for a stream, which has no footer. */
  readonly footer: Footer | null
  /** The number of rows, where it is known. */
  readonly rows: number | null
  /** Lists that have null elements: the column's name, and the path of the elements below it. */
  readonly sparse: ReadonlySet<string>
}

/**
 * How a list that has null elements is named.
 *
 * @internal
 */
export const sparseKey = (column: string, path: string): string => `${path} ${column}`

const edgeBytes = 64 * 1024
const magic = "ARROW1"
/** With the magic before it and, at the end, the footer's length. */
const endBytes = magic.length + 4
/** The metadata of so many record batches are read before the first row. */
const mostKnown = 64
const readsAtOnce = 8

/**
 * The failure that says what is wrong with a file.
 *
 * @internal
 */
export const failureOf = (method: string, uri: string, cause: unknown, firstRow = 1): BatchError => {
  const fault = cause instanceof ArrowFault
    ? cause
    : new ArrowFault("the file is damaged and cannot be decoded", { cause })
  const row = fault.row === null ? undefined : firstRow + fault.row
  const place = { uri, row, column: fault.column ?? undefined, cause: fault.cause }
  return invalidSource(method, "malformed", fault.message, place)
}

const attempt = <A>(method: string, uri: string, run: () => A): Effect.Effect<A, BatchError> =>
  Effect.try({ try: run, catch: (cause) => failureOf(method, uri, cause) })

/** The message at the start of some bytes, and where its body begins. Before Arrow 0.15 (2019) it had no marker. */
const messageAt = (bytes: Uint8Array): readonly [message: Message, start: number] => {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (buffer.length < 8) throw new ArrowFault("a message has no size")
  const prefix = buffer.readInt32LE(0) === -1 ? 8 : 4
  const length = buffer.readInt32LE(prefix - 4)
  if (length < 0 || prefix + length > buffer.length) throw new ArrowFault("a message has no size")
  return [messageOf(buffer.subarray(prefix, prefix + length)), prefix + length]
}

const checkBlocks = (file: SourceFile, blocks: ReadonlyArray<FileBlock>): void => {
  let bytes = 0
  for (const { bodyLength, metadataLength, offset } of blocks) {
    bytes += metadataLength + bodyLength
    if (offset + metadataLength + bodyLength > file.size) {
      throw new ArrowFault("the footer points outside of the file; it may have been cut off or overwritten")
    }
  }
  if (bytes > file.size) throw new ArrowFault("the messages that the footer names are larger than the file")
}

const footerIn = Effect.fnUntraced(function*(method: string, file: SourceFile) {
  const run = <A>(read: () => A) => attempt(method, file.uri, read)
  const start = Math.max(0, file.size - edgeBytes)
  const bytes = yield* file.range(start, file.size)
  const tail = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = yield* run(() => {
    if (tail.length < endBytes || tail.toString("latin1", tail.length - magic.length) !== magic) {
      throw new ArrowFault("the file ends before its footer: it was not written to the end, or cut off")
    }
    const length = tail.readInt32LE(tail.length - endBytes)
    if (length <= 0 || length + endBytes > file.size) throw new ArrowFault("the footer has no size")
    return length
  })
  const end = file.size - endBytes
  const footer = end - length >= start
    ? tail.subarray(end - length - start, end - start)
    : yield* file.range(end - length, end)
  return yield* run(() => {
    const read = footerOf(footer)
    checkBlocks(file, [...read.dictionaries, ...read.batches])
    return read
  })
})

/** A node, by the column that it is of and the path below that. */
interface Place {
  readonly key: string
  /** The node of the list, for elements of lists. */
  readonly list: number | null
  readonly size: number | null
}

const nodePlaces = (fields: ReadonlyArray<ArrowField>): ReadonlyArray<Place> => {
  const places: Array<Place> = []
  const add = (field: ArrowField, column: string, path: string, list: Omit<Place, "key">): void => {
    const node = places.length
    places.push({ key: sparseKey(column, path), ...list })
    if (field.dictionary !== null) return
    const { type } = field
    const isList = type.id === "list" || type.id === "fixed-list"
    const size = type.id === "fixed-list" ? type.size : null
    for (const [j, child] of field.children.entries()) {
      add(child, column, `${path}/${j}`, { list: isList ? node : null, size })
    }
  }
  for (const field of fields) add(field, field.name, "", { list: null, size: null })
  return places
}

/** Lists of a batch that have null elements. Those of null lists of a fixed size are no elements. */
const sparseIn = (places: ReadonlyArray<Place>, { nodes }: RecordBatch): ReadonlyArray<string> =>
  places
    .filter(({ list, size }, i) => {
      const nulls = nodes[i]?.nullCount ?? 0
      return list !== null && nulls > (size === null ? 0 : (nodes[list]?.nullCount ?? 0) * size)
    })
    .map(({ key }) => key)

/** Of a file with few record batches, how many rows they have, and which lists have null elements. */
const lookAhead = Effect.fnUntraced(function*(method: string, file: SourceFile, footer: Footer) {
  const sparse = new Set<string>()
  if (footer.batches.length > mostKnown) return { rows: null, sparse }
  const places = nodePlaces(footer.schema.fields)
  const counts = yield* Effect.forEach(footer.batches, ({ metadataLength, offset }) =>
    Effect.gen(function*() {
      const bytes = yield* file.range(offset, offset + metadataLength)
      return yield* attempt(method, file.uri, () => {
        const [message] = messageAt(bytes)
        if (message.header !== "batch") throw new ArrowFault("a message is not the record batch it should be")
        for (const key of sparseIn(places, message.batch)) sparse.add(key)
        return message.batch.length
      })
    }), { concurrency: readsAtOnce })
  return { rows: counts.reduce((sum, rows) => sum + rows, 0), sparse }
})

/** The schema of a stream, of which the first bytes are given. */
const schemaIn = Effect.fnUntraced(function*(method: string, file: SourceFile, head: Uint8Array) {
  const run = <A>(read: () => A) => attempt(method, file.uri, read)
  const buffer = Buffer.from(head.buffer, head.byteOffset, head.byteLength)
  const length = yield* run(() => {
    if (buffer.length < 8) throw new ArrowFault("the file ends before its schema")
    if (buffer.readInt32LE(0) !== -1) {
      throw new ArrowFault(
        buffer.toString("latin1", 0, 4) === "FEA1"
          ? "the file is in Feather's first version, which is not supported: write it again as Arrow IPC"
          : "the file is no Arrow IPC file and no Arrow IPC stream"
      )
    }
    const length = buffer.readInt32LE(4)
    if (length < 0) throw new ArrowFault("a message has no size")
    if (length === 0 || 8 + length > file.size) throw new ArrowFault("the file ends before its schema")
    return length
  })
  const metadata = 8 + length <= head.length ? head : yield* file.range(0, 8 + length)
  return yield* run(() => {
    const [message] = messageAt(metadata)
    if (message.header !== "schema") throw new ArrowFault("the stream does not begin with its schema")
    return message.schema
  })
})

/**
 * Opens a file: reads its footer, or the schema at the start of a stream.
 *
 * @internal
 */
export const openArrowFile = Effect.fnUntraced(function*(method: string, file: SourceFile) {
  if (file.size === 0) return yield* invalidSource(method, "empty", "the file is empty", { uri: file.uri })
  const read = Effect.gen(function*() {
    const head = yield* file.range(0, Math.min(file.size, edgeBytes))
    if (Buffer.from(head.subarray(0, magic.length)).toString("latin1") !== magic) {
      const schema = yield* schemaIn(method, file, head)
      const stream: ArrowFile = { file, schema, footer: null, rows: null, sparse: new Set() }
      return stream
    }
    const footer = yield* footerIn(method, file)
    const opened: ArrowFile = { file, schema: footer.schema, footer, ...(yield* lookAhead(method, file, footer)) }
    return opened
  })
  return yield* orChanged(file, read)
})

/** What is read of a file: a type for each field, or null where the field is left out. */
type Types = ReadonlyArray<ColumnType | null>

/** A dictionary that is read, with each type that its values are read as. */
interface WantedDictionary {
  readonly field: ArrowField
  readonly types: Map<string, ColumnType>
}

const childTypes = (type: ColumnType, count: number): ReadonlyArray<ColumnType> => {
  if (type === "vector") return Array.from({ length: count }, () => "float32" as const)
  if (typeof type === "string") return []
  switch (type.type) {
    case "list":
      return [type.element]
    case "struct":
      return type.fields.map(({ type }) => type)
    case "map":
      return [{ type: "struct", fields: [{ name: "key", type: type.key }, { name: "value", type: type.value }] }]
    default:
      return []
  }
}

const wantedDictionaries = (
  fields: ReadonlyArray<ArrowField>,
  types: Types
): ReadonlyMap<bigint, WantedDictionary> => {
  const wanted = new Map<bigint, WantedDictionary>()
  const add = (field: ArrowField, type: ColumnType): void => {
    if (field.dictionary !== null) {
      const { id } = field.dictionary
      const dictionary = wanted.get(id) ?? { field, types: new Map<string, ColumnType>() }
      dictionary.types.set(dictionaryKey(id, type), type)
      wanted.set(id, dictionary)
    }
    const children = childTypes(type, field.children.length)
    for (const [j, child] of field.children.entries()) if (children[j] !== undefined) add(child, children[j])
  }
  for (const [j, field] of fields.entries()) {
    const type = types[j] ?? null
    if (type !== null) add(field, type)
  }
  return wanted
}

/** The dictionaries as they come. */
class DictionaryValues {
  readonly values = new Map<string, Array<unknown>>()
  readonly wanted: ReadonlyMap<bigint, WantedDictionary>

  constructor(fields: ReadonlyArray<ArrowField>, types: Types) {
    this.wanted = wantedDictionaries(fields, types)
  }

  add(
    message: Extract<Message, { readonly header: "dictionary" }>,
    bytesAt: (place: BufferPlace) => Uint8Array
  ): void {
    const wanted = this.wanted.get(message.id)
    if (wanted === undefined) return
    for (const [key, type] of wanted.types) {
      const values = dictionaryOf(wanted.field, type, message.batch, bytesAt, this.values)
      const before = message.isDelta ? this.values.get(key) : undefined
      if (before === undefined) this.values.set(key, values)
      else for (const value of values) before.push(value)
    }
  }
}

/** Record batches that are no larger are fetched while the rows of the one before are taken. */
const aheadBytes = 8 * 1024 * 1024

/** Places nearer to each other than this are fetched together. */
const gapBytes = 128 * 1024

/** Some of the bytes of a body. */
interface Segment {
  readonly start: number
  readonly end: number
}

const segmentsOf = (places: ReadonlyArray<BufferPlace>, bodyLength: number): ReadonlyArray<Segment> => {
  const sorted = places.filter(({ length }) => length > 0).sort((a, b) => a.offset - b.offset)
  const segments: Array<Segment> = []
  for (const { length, offset } of sorted) {
    const end = offset + length
    if (end > bodyLength) throw new ArrowFault("a buffer is outside of its message")
    const last = segments.at(-1)
    if (last !== undefined && offset - last.end <= gapBytes) {
      segments[segments.length - 1] = { start: last.start, end: Math.max(last.end, end) }
    } else {
      segments.push({ start: offset, end })
    }
  }
  return segments
}

/** The record batches of a file in Arrow's file format. Of each only the columns that are read are fetched. */
const batchesOfFile = (
  method: string,
  { file, schema }: ArrowFile,
  footer: Footer,
  types: Types,
  first: number
): Stream.Stream<BatchRows, BatchError> => {
  const run = <A>(read: () => A) => attempt(method, file.uri, read)
  const { fields } = schema
  const isAll = fields.every((_, j) => (types[j] ?? null) !== null)
  const dictionaries = new DictionaryValues(fields, types)

  const loadDictionary = Effect.fnUntraced(function*({ bodyLength, metadataLength, offset }: FileBlock) {
    const metadata = yield* file.range(offset, offset + metadataLength)
    const [message, start] = yield* run(() => messageAt(metadata))
    if (message.header !== "dictionary" || !dictionaries.wanted.has(message.id)) return
    const body = yield* file.range(offset + start, offset + metadataLength + bodyLength)
    yield* run(() => dictionaries.add(message, within(body)))
  })

  const loadBatch = Effect.fnUntraced(function*({ bodyLength, metadataLength, offset }: FileBlock) {
    const whole = isAll ? metadataLength + bodyLength : metadataLength
    const bytes = yield* file.range(offset, offset + whole)
    const [message, start] = yield* run(() => messageAt(bytes))
    if (message.header !== "batch") {
      return yield* run(() => {
        throw new ArrowFault("a message is not the record batch it should be")
      })
    }
    const { batch } = message
    if (isAll) return yield* run(() => rowsOf(fields, types, batch, within(bytes.subarray(start)), dictionaries.values))
    const body = offset + start
    const segments = yield* run(() => segmentsOf(placesOf(fields, types, batch), metadataLength - start + bodyLength))
    const parts = yield* Effect.forEach(segments, (segment) =>
      file.range(body + segment.start, body + segment.end), { concurrency: readsAtOnce })
    const bytesAt = ({ length, offset }: BufferPlace): Uint8Array => {
      const i = segments.findIndex(({ end, start }) => start <= offset && offset + length <= end)
      return parts[i]!.subarray(offset - segments[i]!.start, offset - segments[i]!.start + length)
    }
    return yield* run(() => rowsOf(fields, types, batch, bytesAt, dictionaries.values))
  })

  const blocks = dictionaries.wanted.size === 0 ? [] : footer.dictionaries
  const batches = Stream.fromIterable(footer.batches.slice(first)).pipe(
    Stream.rechunk(1),
    Stream.mapEffect((block) => orChanged(file, loadBatch(block)))
  )
  const isSmall = footer.batches.every(({ bodyLength }) => bodyLength <= aheadBytes)
  return Stream.fromEffectDrain(Effect.forEach(blocks, loadDictionary, { discard: true })).pipe(
    Stream.concat(isSmall ? Stream.buffer(batches, { capacity: 1 }) : batches)
  )
}

/** The record batches of a file in Arrow's stream format. */
const batchesOfStream = (
  method: string,
  { file, schema }: ArrowFile,
  types: Types
): Stream.Stream<BatchRows, BatchError> =>
  Stream.suspend(() => {
    const run = <A>(read: () => A) => attempt(method, file.uri, read)
    const { fields } = schema
    const cutter = new MessageCutter(file.size)
    const dictionaries = new DictionaryValues(fields, types)
    let begun = false
    const push = (piece: Uint8Array): ReadonlyArray<BatchRows> => {
      const found: Array<BatchRows> = []
      for (const { body, message } of cutter.push(piece)) {
        switch (message.header) {
          case "schema":
            if (begun) throw new ArrowFault("the stream has a second schema")
            begun = true
            break
          case "dictionary":
            dictionaries.add(message, within(body))
            break
          case "batch":
            found.push(rowsOf(fields, types, message.batch, within(body), dictionaries.values))
        }
      }
      return found
    }
    const end = Effect.suspend(() =>
      run(() => {
        // Arrow lets a writer leave the end out, but then rows may be missing that nobody would miss.
        if (!cutter.ended) throw new ArrowFault("the stream has no end: it was cut off, or its writer was not closed")
      })
    )
    return file.bytes.pipe(
      Stream.mapEffect((piece) => run(() => push(piece))),
      Stream.concat(Stream.fromEffectDrain(end)),
      Stream.flattenIterable
    )
  })

/**
 * The record batches of a file from the given one on, one at a time; a stream begins with its first.
 *
 * @internal
 */
export const recordBatches = (
  method: string,
  opened: ArrowFile,
  types: Types,
  first = 0
): Stream.Stream<BatchRows, BatchError> =>
  opened.footer === null
    ? batchesOfStream(method, opened, types)
    : batchesOfFile(method, opened, opened.footer, types, first)
