import * as Arrow from "apache-arrow"
import { type FileMetaData, parquetMetadata, parquetReadObjects, type SchemaElement } from "hyparquet"
import { compressors } from "hyparquet-compressors"
import { readParquet } from "parquet-wasm"
import type { Column, ColumnType } from "../../src/Column.ts"

/**
 * A value as any reader can give it: whole numbers of all types (days, times, timestamps, unscaled decimals too) as
 * bigints, bytes of all types as hexadecimal digits, lists as arrays, structs as arrays of their fields, maps as arrays
 * of pairs, and JSON as its text.
 */
export type Plain = null | string | number | bigint | boolean | ReadonlyArray<Plain>

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

const perSecond = { ms: 1000n, us: 1_000_000n, ns: 1_000_000_000n }

/** The units of a fraction such as `.004`; whole seconds have none. */
const fraction = (text: string): bigint => BigInt(/\.(\d+)/.exec(text)?.[1] ?? 0)

const days = (text: string): bigint => BigInt(new Date(`${text}T00:00:00Z`).getTime()) / 86_400_000n

const plainFields = (fields: ReadonlyArray<Column>, value: object, second: bigint): ReadonlyArray<Plain> =>
  fields.map(({ name, type }) => plain(type, Object.getOwnPropertyDescriptor(value, name)?.value, second))

/** A value of a row as it should be read. Seconds are `second` units: Parquet has them as milliseconds. */
export const plain = (type: ColumnType, value: any, second = 1000n): Plain => {
  if (value === null || value === undefined) return null
  if (typeof type === "string") {
    switch (type) {
      case "string":
      case "boolean":
      case "number":
      case "float32":
        return value
      case "json":
        return JSON.stringify(value)
      case "date":
        return BigInt(value.getTime())
      case "binary":
        return hex(value)
      case "vector":
        return Array.from(value)
      case "day":
        return days(value)
      case "uuid":
        return value.replaceAll("-", "")
      default:
        return BigInt(value)
    }
  }
  switch (type.type) {
    case "decimal":
      return BigInt(value.replace(".", ""))
    case "timestamp": {
      const seconds = BigInt(new Date(`${value.replace(/\.\d+|Z$/g, "").replace("Z", "")}Z`).getTime() / 1000)
      return seconds * (type.unit === "s" ? second : perSecond[type.unit]) + fraction(value)
    }
    case "time": {
      const [hours, minutes, seconds] = value.slice(0, 8).split(":").map(Number)
      const units = type.unit === "s" ? second : perSecond[type.unit]
      return BigInt(hours * 3600 + minutes * 60 + seconds) * units + fraction(value)
    }
    case "fixed":
      return hex(value)
    case "list":
      return Array.from(value, (item) => plain(type.element, item, second))
    case "struct":
      return plainFields(type.fields, value, second)
    case "map":
      return value.map((entry: { key: unknown; value: unknown }) => [
        plain(type.key, entry.key, second),
        plain(type.value, entry.value, second)
      ])
  }
}

const bigEndian = (bytes: Uint8Array): bigint => BigInt.asIntN(bytes.length * 8, BigInt(`0x${hex(bytes)}`))

const propertyOf = (name: string): string => (name === "__proto__" ? "proto" : name)

/** What hyparquet reads when it knows of no annotation but those of lists: values as they lie in the file. */
const fromHyparquet = (type: ColumnType, value: any): Plain => {
  if (value === null || value === undefined) return null
  if (typeof type === "string") {
    switch (type) {
      case "string":
      case "json":
        return Buffer.from(value).toString()
      case "binary":
      case "uuid":
        return hex(value)
      case "vector":
        return Array.from(value)
      case "boolean":
      case "number":
      case "float32":
        return value
      case "uint32":
        return BigInt(value >>> 0)
      case "uint64":
        return BigInt.asUintN(64, value)
      default:
        return BigInt(value)
    }
  }
  switch (type.type) {
    case "decimal":
      return value instanceof Uint8Array ? bigEndian(value) : BigInt(value)
    case "fixed":
      return hex(value)
    case "list":
      return value.map((item: unknown) => fromHyparquet(type.element, item))
    case "struct":
      return type.fields.map(({ name, type }) => fromHyparquet(type, value[propertyOf(name)]))
    case "map":
      return value.key_value.map((entry: { key: unknown; value: unknown }) => [
        fromHyparquet(type.key, entry.key),
        fromHyparquet(type.value, entry.value)
      ])
    default:
      return BigInt(value)
  }
}

/** The metadata without annotations, but those of lists, and with names that hyparquet can make properties of. */
const bare = (metadata: FileMetaData): FileMetaData => ({
  ...metadata,
  schema: metadata.schema.map((element): SchemaElement => {
    const { converted_type, logical_type: _, ...rest } = element
    const renamed = { ...rest, name: propertyOf(rest.name) }
    return converted_type === "LIST" ? { ...renamed, converted_type } : renamed
  }),
  row_groups: metadata.row_groups.map((group) => ({
    ...group,
    columns: group.columns.map((column) => ({
      ...column,
      meta_data: { ...column.meta_data!, path_in_schema: column.meta_data!.path_in_schema.map(propertyOf) }
    }))
  }))
})

/** The rows of a file as hyparquet reads them. */
export const readByHyparquet = async (
  file: ArrayBuffer,
  columns: ReadonlyArray<Column>
): Promise<ReadonlyArray<ReadonlyArray<Plain>>> => {
  const metadata = bare(parquetMetadata(file))
  const rows = await parquetReadObjects({ file, metadata, compressors, utf8: false })
  return rows.map((row) =>
    columns.map(({ name, type }) => fromHyparquet(type, row[propertyOf(name)])))
}

const hasBit = (bits: Uint8Array, i: number): boolean => ((bits[i >> 3]! >> (i & 7)) & 1) === 1

/** The values in the memory of an Arrow column. */
export const fromArrow = (type: ColumnType, data: Arrow.Data): ReadonlyArray<Plain> => {
  const { length, offset } = data
  const values: any = data.values
  const ends: any = data.valueOffsets
  const each = (valueAt: (i: number) => Plain): ReadonlyArray<Plain> =>
    Array.from({ length }, (_, i) => data.getValid(i) ? valueAt(i) : null)
  const piece = (i: number): Uint8Array => values.subarray(Number(ends[i]), Number(ends[i + 1]))
  const block = (i: number): Uint8Array => values.subarray(i * data.stride, (i + 1) * data.stride)
  const items = (): ReadonlyArray<Plain> => {
    const child = data.children[0]!
    const ofMap = (map: Extract<ColumnType, { readonly type: "map" }>): ReadonlyArray<Plain> => {
      const keys = fromArrow(map.key, child.children[0]!)
      const mapped = fromArrow(map.value, child.children[1]!)
      return keys.map((key, i) => [key, mapped[i]!])
    }
    if (type === "vector") return fromArrow("float32", child)
    if (typeof type === "object" && type.type === "map") return ofMap(type)
    if (typeof type === "object" && type.type === "list") return fromArrow(type.element, child)
    throw new Error("no list")
  }
  const kind = typeof type === "string" ? type : type.type
  switch (kind) {
    case "string":
    case "json":
      return each((i) => Buffer.from(piece(i)).toString())
    case "binary":
      return each((i) => hex(piece(i)))
    case "boolean":
      return each((i) => hasBit(values, offset + i))
    case "number":
    case "float32":
      return each((i) => values[i])
    case "uuid":
    case "fixed":
      return each((i) => hex(block(i)))
    case "decimal":
      return each((i) => {
        const words: Uint32Array = values.subarray(i * data.stride, (i + 1) * data.stride)
        return BigInt.asIntN(words.length * 32, words.reduceRight((sum, word) => (sum << 32n) | BigInt(word), 0n))
      })
    case "list":
    case "vector":
    case "map": {
      const all = items()
      return each((i) => all.slice(ends[i], ends[i + 1]))
    }
    case "struct": {
      const { fields } = type as Extract<ColumnType, { readonly type: "struct" }>
      const all = fields.map((field, j) => fromArrow(field.type, data.children[j]!))
      return each((i) => all.map((column) => column[i]!))
    }
    default:
      return each((i) => BigInt(values[i]))
  }
}

/** The rows of a file, and their types, as arrow-rs reads them. */
export const readByArrow = (file: ArrayBuffer, columns: ReadonlyArray<Column>) => {
  const table = Arrow.tableFromIPC(readParquet(new Uint8Array(file)).intoIPCStream())
  const rows: Array<ReadonlyArray<Plain>> = []
  for (const batch of table.batches) {
    if (batch.numRows === 0) continue
    const read = columns.map(({ type }, j) => fromArrow(type, batch.data.children[j]!))
    for (let i = 0; i < batch.numRows; i++) rows.push(read.map((values) => values[i]!))
  }
  return { rows, types: Object.fromEntries(table.schema.fields.map(({ name, type }) => [name, String(type)])) }
}
