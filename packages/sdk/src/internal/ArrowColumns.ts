/**
 * Columns as an Arrow schema, and their values as Arrow data, by the table in `Column.ts`.
 *
 * The data are made of plain buffers: Arrow's builders are several times slower.
 *
 * @internal
 */
import type * as Arrow from "apache-arrow"
import * as Effect from "effect/Effect"
import type { Column, ColumnType, ParametricType, ScalarType, TimeUnit } from "../Column.ts"
import { columnsKey, mostDigits } from "./ArrowTypes.ts"
import type { Batch } from "./Batch.ts"
import { jsonText } from "./JsonText.ts"
import { dayValue, decimalValue, timestampValue, timeValue, TypedTextFault, uuidBytes } from "./TypedText.ts"

/**
 * Loads Arrow, on first use.
 *
 * @internal
 */
export const loadArrow: Effect.Effect<typeof Arrow> = Effect.promise(() => import("apache-arrow"))

const timeUnit = (arrow: typeof Arrow, unit: TimeUnit): Arrow.TimeUnit => {
  switch (unit) {
    case "s":
      return arrow.TimeUnit.SECOND
    case "ms":
      return arrow.TimeUnit.MILLISECOND
    case "us":
      return arrow.TimeUnit.MICROSECOND
    case "ns":
      return arrow.TimeUnit.NANOSECOND
  }
}

type Values = ReadonlyArray<unknown>

/** An Arrow type, and how values become data of it. */
interface Encoder {
  readonly type: Arrow.DataType
  readonly encode: (values: Values) => Arrow.Data
}

const isNothing = (value: unknown): value is null | undefined => value === null || value === undefined

interface Validity {
  readonly nullCount: number
  readonly nullBitmap?: Uint8Array
}

/** Which values are there: a bit each, or no bitmap where none is null. */
const validityOf = (values: Values): Validity => {
  let nullCount = 0
  for (let i = 0; i < values.length; i++) if (isNothing(values[i])) nullCount++
  if (nullCount === 0) return { nullCount }
  const nullBitmap = new Uint8Array(Math.ceil(values.length / 8))
  for (let i = 0; i < values.length; i++) if (!isNothing(values[i])) nullBitmap[i >> 3]! |= 1 << (i & 7)
  return { nullCount, nullBitmap }
}

interface Pieces {
  readonly valueOffsets: Int32Array
  readonly data: Uint8Array
}

const mostBytes = 2 ** 31 - 1

const checkBytes = (bytes: number): void => {
  if (bytes > mostBytes) throw new RangeError("the values of a column take more than 2 GB in one batch")
}

/** Texts written one by one. */
const writtenOf = (texts: ReadonlyArray<string>, characters: number): Pieces => {
  const valueOffsets = new Int32Array(texts.length + 1)
  let out = Buffer.allocUnsafeSlow(characters + (characters >> 2) + 64)
  let at = 0
  for (let i = 0; i < texts.length; i++) {
    const text = texts[i]!
    if (at + text.length * 3 > out.length) {
      const bytes = Buffer.byteLength(text)
      if (at + bytes > out.length) {
        checkBytes(at + bytes)
        const larger = Buffer.allocUnsafeSlow(Math.min(mostBytes, Math.max(out.length * 2, at + bytes)))
        out.copy(larger, 0, 0, at)
        out = larger
      }
    }
    at += out.write(text, at, "utf8")
    valueOffsets[i + 1] = at
  }
  return { valueOffsets, data: new Uint8Array(out.buffer, out.byteOffset, at) }
}

/** Texts written as one, or null where that is not the same. `ends` are theirs in characters. */
const joinedOf = (texts: ReadonlyArray<string>, ends: Int32Array): Pieces | null => {
  const all = Buffer.from(texts.join(""), "utf8")
  const data = new Uint8Array(all.buffer, all.byteOffset, all.length)
  if (data.length === ends[texts.length]) return { valueOffsets: ends, data }
  const valueOffsets = new Int32Array(texts.length + 1)
  for (let i = 0; i < texts.length; i++) valueOffsets[i + 1] = valueOffsets[i]! + Buffer.byteLength(texts[i]!)
  // Halves of a surrogate pair, at the end of a text and at the start of the next, have become one character.
  return valueOffsets[texts.length] === data.length ? { valueOffsets, data } : null
}

/** Larger batches of texts are not joined to one text. */
const mostJoined = 2 ** 27

/** One call into the runtime for all texts is the faster way where most are ASCII: some of them are asked. */
const isMostlyAscii = (texts: ReadonlyArray<string>): boolean => {
  const step = Math.max(1, Math.floor(texts.length / 16))
  for (let i = 0; i < texts.length; i += step) if (Buffer.byteLength(texts[i]!) !== texts[i]!.length) return false
  return true
}

const textsOf = (values: Values, textOf: (value: unknown) => string): Pieces => {
  const texts = new Array<string>(values.length)
  const ends = new Int32Array(values.length + 1)
  let characters = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    const text = isNothing(value) ? "" : textOf(value)
    texts[i] = text
    characters += text.length
    ends[i + 1] = characters
  }
  checkBytes(characters)
  const joined = characters <= mostJoined && isMostlyAscii(texts) ? joinedOf(texts, ends) : null
  return joined ?? writtenOf(texts, characters)
}

const bytesOf = (values: ReadonlyArray<Uint8Array | null>): Pieces => {
  const bytes = values.reduce((sum, value) => sum + (value?.length ?? 0), 0)
  checkBytes(bytes)
  const data = new Uint8Array(bytes)
  const valueOffsets = new Int32Array(values.length + 1)
  let at = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (!isNothing(value)) data.set(value, at)
    at += value?.length ?? 0
    valueOffsets[i + 1] = at
  }
  return { valueOffsets, data }
}

/** Values of the same number of bytes each. */
const fixedOf = (values: Values, size: number, bytesOf: (value: unknown) => Uint8Array): Uint8Array => {
  const data = new Uint8Array(values.length * size)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (isNothing(value)) continue
    const bytes = bytesOf(value)
    if (bytes.length !== size) throw new RangeError(`a value of ${size} bytes has ${bytes.length}`)
    data.set(bytes, i * size)
  }
  return data
}

const longsOf = (values: Values, longOf: (value: unknown) => bigint): BigInt64Array => {
  const data = new BigInt64Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (!isNothing(value)) data[i] = longOf(value)
  }
  return data
}

const intsOf = (values: Values, intOf: (value: unknown) => number): Int32Array => {
  const data = new Int32Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (!isNothing(value)) data[i] = intOf(value)
  }
  return data
}

const word = 2 ** 32

/** Safe integers as 64 bits, without a bigint each. */
const wordsOf = (values: Values, numberOf: (value: unknown) => number): BigInt64Array => {
  const data = new BigInt64Array(values.length)
  const words = new Uint32Array(data.buffer)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (isNothing(value)) continue
    const number = numberOf(value)
    const high = Math.floor(number / word)
    words[i * 2] = number - high * word
    words[i * 2 + 1] = high
  }
  return data
}

const bitsOf = (values: Values): Uint8Array => {
  const data = new Uint8Array(Math.ceil(values.length / 8))
  for (let i = 0; i < values.length; i++) if (values[i] === true) data[i >> 3]! |= 1 << (i & 7)
  return data
}

const unscaledOf = (values: Values, precision: number, scale: number, words: number): Uint32Array => {
  const limit = 10n ** BigInt(precision)
  const longs = new BigInt64Array(values.length * words)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (isNothing(value)) continue
    let unscaled = decimalValue(String(value), scale)
    if (unscaled >= limit || unscaled <= -limit) {
      throw new TypedTextFault(`expected a decimal number of at most ${precision} digits`)
    }
    for (let k = 0; k < words; k++) {
      longs[i * words + k] = unscaled
      unscaled >>= 64n
    }
  }
  return new Uint32Array(longs.buffer)
}

/** Offsets of arrays, and what is in them one after the other. */
const elementsOf = (values: ReadonlyArray<Values | null>): { valueOffsets: Int32Array; elements: Array<unknown> } => {
  const valueOffsets = new Int32Array(values.length + 1)
  const elements: Array<unknown> = []
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (!isNothing(value)) for (let k = 0; k < value.length; k++) elements.push(value[k])
    valueOffsets[i + 1] = elements.length
  }
  return { valueOffsets, elements }
}

const floatsOf = (vectors: ReadonlyArray<Float32Array | null>): { valueOffsets: Int32Array; data: Float32Array } => {
  const valueOffsets = new Int32Array(vectors.length + 1)
  for (let i = 0; i < vectors.length; i++) valueOffsets[i + 1] = valueOffsets[i]! + (vectors[i]?.length ?? 0)
  const data = new Float32Array(valueOffsets[vectors.length]!)
  for (let i = 0; i < vectors.length; i++) {
    const vector = vectors[i]
    if (!isNothing(vector)) data.set(vector, valueOffsets[i])
  }
  return { valueOffsets, data }
}

/** The values of one field of structs. */
const membersOf = (values: Values, name: string): Array<unknown> =>
  values.map((value) => {
    const struct = value as Readonly<Record<string, unknown>> | null | undefined
    return isNothing(struct) || !Object.hasOwn(struct, name) ? null : struct[name]
  })

/** Makes data of buffers: offsets, then values. */
type MakeData = (
  values: Values,
  valueOffsets: Int32Array | undefined,
  data: ArrayBufferView | undefined,
  children?: Array<Arrow.Data>
) => Arrow.Data

/** What other readers are told of values whose layout alone does not say it. */
const extensionOf = (type: ColumnType): Map<string, string> =>
  new Map(
    type === "json" || type === "uuid"
      ? [["ARROW:extension:name", `arrow.${type}`], ["ARROW:extension:metadata", ""]]
      : []
  )

/**
 * Makes the encoders of an Arrow library. A batch holds values of its columns' types (`Batch.ts`); here that is relied
 * on.
 */
class Encoders {
  private readonly arrow: typeof Arrow

  constructor(arrow: typeof Arrow) {
    this.arrow = arrow
  }

  of(columnType: ColumnType): Encoder {
    return typeof columnType === "string" ? this.scalar(columnType) : this.parametric(columnType)
  }

  field({ name, type }: Column, encoder: Encoder, nullable = true): Arrow.Field {
    return new this.arrow.Field(name, encoder.type, nullable, extensionOf(type))
  }

  private make(type: Arrow.DataType): MakeData {
    return (values, valueOffsets, data, children) => {
      const { nullBitmap, nullCount } = validityOf(values)
      const { DATA, OFFSET, VALIDITY } = this.arrow.BufferType
      const buffers = {
        ...(valueOffsets === undefined ? {} : { [OFFSET]: valueOffsets }),
        ...(data === undefined ? {} : { [DATA]: data }),
        ...(nullBitmap === undefined ? {} : { [VALIDITY]: nullBitmap })
      }
      return new this.arrow.Data(type, 0, values.length, nullCount, buffers, children)
    }
  }

  private plain(type: Arrow.DataType, dataOf: (values: Values) => ArrayBufferView): Encoder {
    const make = this.make(type)
    return { type, encode: (values) => make(values, undefined, dataOf(values)) }
  }

  private pieces(type: Arrow.DataType, piecesOf: (values: Values) => Pieces): Encoder {
    const make = this.make(type)
    return {
      type,
      encode: (values) => {
        const { data, valueOffsets } = piecesOf(values)
        return make(values, valueOffsets, data)
      }
    }
  }

  private numbers<A extends ArrayBufferView & { [i: number]: number }>(
    type: Arrow.DataType,
    allocate: (length: number) => A
  ): Encoder {
    return this.plain(type, (values) => {
      const data = allocate(values.length)
      for (let i = 0; i < values.length; i++) data[i] = values[i] as number
      return data
    })
  }

  private scalar(columnType: ScalarType): Encoder {
    const { arrow } = this
    switch (columnType) {
      case "string":
        return this.pieces(new arrow.Utf8(), (values) => textsOf(values, String))
      case "json":
        return this.pieces(new arrow.Utf8(), (values) => textsOf(values, jsonText))
      case "binary":
        return this.pieces(new arrow.Binary(), (values) => bytesOf(values as ReadonlyArray<Uint8Array | null>))
      case "integer":
        return this.plain(new arrow.Int64(), (values) => wordsOf(values, (value) => value as number))
      case "bigint":
        return this.plain(new arrow.Int64(), (values) => longsOf(values, (value) => value as bigint))
      case "uint64":
        return this.plain(
          new arrow.Uint64(),
          (values) => new BigUint64Array(longsOf(values, (value) => value as bigint).buffer)
        )
      case "date":
        return this.plain(
          new arrow.Timestamp(arrow.TimeUnit.MILLISECOND, "UTC"),
          (values) => wordsOf(values, (value) => (value as Date).getTime())
        )
      case "number":
        return this.numbers(new arrow.Float64(), (length) => new Float64Array(length))
      case "float32":
        return this.numbers(new arrow.Float32(), (length) => new Float32Array(length))
      case "int8":
        return this.numbers(new arrow.Int8(), (length) => new Int8Array(length))
      case "int16":
        return this.numbers(new arrow.Int16(), (length) => new Int16Array(length))
      case "int32":
        return this.numbers(new arrow.Int32(), (length) => new Int32Array(length))
      case "uint8":
        return this.numbers(new arrow.Uint8(), (length) => new Uint8Array(length))
      case "uint16":
        return this.numbers(new arrow.Uint16(), (length) => new Uint16Array(length))
      case "uint32":
        return this.numbers(new arrow.Uint32(), (length) => new Uint32Array(length))
      case "boolean":
        return this.plain(new arrow.Bool(), bitsOf)
      case "day":
        return this.plain(new arrow.DateDay(), (values) => intsOf(values, (value) => dayValue(String(value))))
      case "uuid":
        return this.plain(
          new arrow.FixedSizeBinary(16),
          (values) => fixedOf(values, 16, (value) => uuidBytes(String(value)))
        )
      case "vector": {
        const floats = new arrow.Float32()
        const type = new arrow.List(new arrow.Field("element", floats, true))
        const make = this.make(type)
        return {
          type,
          encode: (values) => {
            const { data, valueOffsets } = floatsOf(values as ReadonlyArray<Float32Array | null>)
            const child = arrow.makeData({ type: floats, length: data.length, nullCount: 0, data })
            return make(values, valueOffsets, undefined, [child])
          }
        }
      }
    }
  }

  private parametric(columnType: ParametricType): Encoder {
    const { arrow } = this
    switch (columnType.type) {
      case "decimal": {
        const { precision, scale } = columnType
        if (precision > mostDigits) return this.scalar("string")
        const bits = precision <= 38 ? 128 : 256
        return this.plain(
          new arrow.Decimal(scale, precision, bits),
          (values) => unscaledOf(values, precision, scale, bits / 64)
        )
      }
      case "timestamp": {
        const { unit, zone } = columnType
        return this.plain(
          new arrow.Timestamp(timeUnit(arrow, unit), zone),
          (values) => longsOf(values, (value) => timestampValue(String(value), unit))
        )
      }
      case "time": {
        const { unit } = columnType
        const timeOf = (value: unknown): number => timeValue(String(value), unit)
        return unit === "s" || unit === "ms"
          ? this.plain(new arrow.Time(timeUnit(arrow, unit), 32), (values) => intsOf(values, timeOf))
          : this.plain(new arrow.Time(timeUnit(arrow, unit), 64), (values) => wordsOf(values, timeOf))
      }
      case "fixed": {
        const { bytes } = columnType
        return this.plain(
          new arrow.FixedSizeBinary(bytes),
          (values) => fixedOf(values, bytes, (value) => value as Uint8Array)
        )
      }
      case "list":
        return this.list(columnType.element)
      case "struct":
        return this.struct(columnType.fields)
      case "map":
        return this.map(columnType.key, columnType.value)
    }
  }

  private list(elementType: ColumnType): Encoder {
    const element = this.of(elementType)
    const type = new this.arrow.List(this.field({ name: "element", type: elementType }, element))
    const make = this.make(type)
    return {
      type,
      encode: (values) => {
        const { elements, valueOffsets } = elementsOf(values as ReadonlyArray<Values | null>)
        return make(values, valueOffsets, undefined, [element.encode(elements)])
      }
    }
  }

  private struct(fields: ReadonlyArray<Column>): Encoder {
    const members = fields.map(({ type }) => this.of(type))
    const type = new this.arrow.Struct(fields.map((field, j) => this.field(field, members[j]!)))
    const make = this.make(type)
    return {
      type,
      encode: (values) =>
        make(
          values,
          undefined,
          undefined,
          members.map((member, j) => member.encode(membersOf(values, fields[j]!.name)))
        )
    }
  }

  private map(keyType: ColumnType, valueType: ColumnType): Encoder {
    const { arrow } = this
    const key = this.of(keyType)
    const value = this.of(valueType)
    const entryType = new arrow.Struct<{ key: Arrow.DataType; value: Arrow.DataType }>([
      this.field({ name: "key", type: keyType }, key, false),
      this.field({ name: "value", type: valueType }, value)
    ])
    const type = new arrow.Map_(new arrow.Field("entries", entryType, false))
    const makeEntries = this.make(entryType)
    const make = this.make(type)
    return {
      type,
      encode: (values) => {
        const { elements, valueOffsets } = elementsOf(values as ReadonlyArray<Values | null>)
        const keys = membersOf(elements, "key")
        if (keys.some(isNothing)) throw new TypedTextFault("a key of a map is null")
        const children = [key.encode(keys), value.encode(membersOf(elements, "value"))]
        return make(values, valueOffsets, undefined, [makeEntries(elements, undefined, undefined, children)])
      }
    }
  }
}

/**
 * Batches as record batches of a schema.
 *
 * @internal
 */
export interface BatchEncoder {
  readonly schema: Arrow.Schema
  readonly encode: (batch: Batch) => Arrow.RecordBatch
}

/**
 * Makes the record batches of columns. The schema's metadata hold the columns too, for types that Arrow does not tell
 * apart.
 *
 * @internal
 */
export const batchEncoder = (arrow: typeof Arrow, columns: ReadonlyArray<Column>): BatchEncoder => {
  const encoders = new Encoders(arrow)
  const own = columns.map(({ type }) => encoders.of(type))
  const schema = new arrow.Schema(
    columns.map((column, j) => encoders.field(column, own[j]!)),
    new Map([[columnsKey, JSON.stringify(columns)]])
  )
  const type = new arrow.Struct(schema.fields)
  return {
    schema,
    encode: (batch) => {
      const children = own.map((encoder, j) => encoder.encode(batch.columns[j]!))
      return new arrow.RecordBatch(schema, new arrow.Data(type, 0, batch.length, 0, undefined, children))
    }
  }
}

/**
 * The Arrow schema of columns.
 *
 * @internal
 */
export const arrowSchema = (arrow: typeof Arrow, columns: ReadonlyArray<Column>): Arrow.Schema =>
  batchEncoder(arrow, columns).schema
