/**
 * From the physical values of Parquet to those of a row (`Column.ts`), some thousands at a time.
 *
 * @internal
 */
import { isUtf8 } from "node:buffer"
import type { ColumnType, TimeUnit } from "../../Column.ts"
import { dayText, decimalText, timestampText, timeText, TypedTextFault, uuidText } from "../../internal/TypedText.ts"
import { ValueFault } from "./ParquetFault.ts"
import type { Leaf } from "./ParquetTree.ts"

/** Numbers as they lie in a file, and booleans as 0 and 1. */
export type Numbers = Uint8Array | Int32Array | BigInt64Array | Float32Array | Float64Array

/** Values of bytes: where each begins and ends. */
export interface Slices {
  readonly bytes: Buffer
  readonly starts: Int32Array
  readonly ends: Int32Array
}

/**
 * Converts the first `count` values into `out`, from `at` on. Throws a `ValueFault`.
 *
 * @internal
 */
export type Convert =
  | { readonly from: "numbers"; readonly run: (raw: Numbers, count: number, out: Array<unknown>, at: number) => void }
  | { readonly from: "slices"; readonly run: (raw: Slices, count: number, out: Array<unknown>, at: number) => void }

const each = (convert: (value: number, index: number) => unknown): Convert => ({
  from: "numbers",
  run: (raw, count, out, at) => {
    const values = raw as Int32Array | Float64Array
    for (let i = 0; i < count; i++) out[at + i] = convert(values[i]!, i)
  }
})

const asTheyAre: Convert = {
  from: "numbers",
  run: (raw, count, out, at) => {
    for (let i = 0; i < count; i++) out[at + i] = raw[i]
  }
}

const booleans: Convert = {
  from: "numbers",
  run: (raw, count, out, at) => {
    for (let i = 0; i < count; i++) out[at + i] = raw[i] === 1
  }
}

const within = (type: string, least: number, most: number): Convert =>
  each((value, i) => {
    if (value < least || value > most) throw new ValueFault(`the value does not fit ${type}`, i)
    return value
  })

const eachLong = (convert: (value: bigint, index: number) => unknown): Convert => ({
  from: "numbers",
  run: (raw, count, out, at) => {
    const values = raw as BigInt64Array
    for (let i = 0; i < count; i++) out[at + i] = convert(values[i]!, i)
  }
})

const word = 2 ** 32

/** Integers of 64 bits that are small enough to be numbers, without a bigint for each. */
const eachSafe = (unsigned: boolean, convert: (value: number, index: number) => unknown, unsafe: string): Convert => ({
  from: "numbers",
  run: (raw, count, out, at) => {
    const lows = new Uint32Array(raw.buffer, raw.byteOffset, 2 * count)
    const highs = unsigned ? lows : new Int32Array(raw.buffer, raw.byteOffset, 2 * count)
    for (let i = 0; i < count; i++) {
      const value = highs[2 * i + 1]! * word + lows[2 * i]!
      if (!Number.isSafeInteger(value)) throw new ValueFault(unsafe, i)
      out[at + i] = convert(value, i)
    }
  }
})

const notSafe = "the value is beyond what a number holds exactly; declare the column as Schema.BigInt"
const notDate = "the value is beyond what a Date holds; declare the column as Schema.String"
const notMillis =
  "the value has fractions of a millisecond, which a Date cannot hold; declare the column as Schema.String"

const notNanos = "the time is beyond what 64 bits of nanoseconds hold; declare the column as Schema.Date"

const dateOf = (millis: number, i: number): Date => {
  if (!Number.isInteger(millis)) throw new ValueFault(notMillis, i)
  if (!(Math.abs(millis) <= 8.64e15)) throw new ValueFault(notDate, i)
  return new Date(millis)
}

const perMilli: { readonly [U in TimeUnit]: bigint } = { s: 0n, ms: 1n, us: 1000n, ns: 1_000_000n }

const dateOfUnits = (value: bigint, unit: TimeUnit, i: number): Date => {
  const size = perMilli[unit]
  if (value % size !== 0n) throw new ValueFault(notMillis, i)
  return dateOf(Number(value / size), i)
}

const eachSlice = (convert: (bytes: Buffer, start: number, end: number, index: number) => unknown): Convert => ({
  from: "slices",
  run: ({ bytes, ends, starts }, count, out, at) => {
    for (let i = 0; i < count; i++) out[at + i] = convert(bytes, starts[i]!, ends[i]!, i)
  }
})

const replacement = "\ufffd"

const textOf = (bytes: Buffer, start: number, end: number, i: number): string => {
  const text = bytes.toString("utf8", start, end)
  // Decoding puts the character in the place of what is not UTF-8; it may also stand in the text itself.
  if (text.includes(replacement) && !isUtf8(bytes.subarray(start, end))) {
    throw new ValueFault("the text is not valid UTF-8", i)
  }
  return text
}

const texts = eachSlice(textOf)

const jsons = eachSlice((bytes, start, end, i): unknown => {
  const text = textOf(bytes, start, end, i)
  try {
    return JSON.parse(text)
  } catch {
    // The parser's message quotes the text.
    throw new ValueFault("the value of a JSON column is not JSON", i)
  }
})

/** Copies, so that no page stays in memory for a few bytes of it. */
const copies: Convert = {
  from: "slices",
  run: ({ bytes, ends, starts }, count, out, at) => {
    let size = 0
    for (let i = 0; i < count; i++) size += ends[i]! - starts[i]!
    const copy = new Uint8Array(size)
    let to = 0
    for (let i = 0; i < count; i++) {
      const length = ends[i]! - starts[i]!
      copy.set(bytes.subarray(starts[i]!, ends[i]!), to)
      out[at + i] = copy.subarray(to, to + length)
      to += length
    }
  }
}

const halfOf = (bytes: Buffer, start: number): number => {
  const half = bytes.readUInt16LE(start)
  const sign = half >> 15 === 1 ? -1 : 1
  const exponent = (half >> 10) & 31
  const fraction = half & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1024 + fraction) * 2 ** (exponent - 25)
}

/** A signed integer, its highest byte first. */
const integerOf = (bytes: Buffer, start: number, end: number): bigint => {
  if (end - start === 16) return (bytes.readBigInt64BE(start) << 64n) | bytes.readBigUInt64BE(start + 8)
  if (end === start) return 0n
  let value = BigInt(bytes.readInt8(start))
  let at = start + 1
  for (; at + 8 <= end; at += 8) value = (value << 64n) | bytes.readBigUInt64BE(at)
  for (; at < end; at++) value = (value << 8n) | BigInt(bytes[at]!)
  return value
}

type Decimal = Extract<ColumnType, { readonly type: "decimal" }>

/** Writes unscaled values of the file as decimals of the column. */
const decimals = (leaf: Leaf, stored: Decimal, type: Decimal): Convert | null => {
  // Parquet has no scales under zero: our own files keep such values whole.
  if (stored.scale !== type.scale && !(stored.scale === 0 && type.scale < 0)) return null
  const whole = type.scale < 0 && stored.scale === 0
  const step = whole ? 10n ** BigInt(-type.scale) : 1n
  const most = 10n ** BigInt(stored.precision)
  const write = (value: bigint, i: number): string => {
    if (value >= most || value <= -most) {
      throw new ValueFault(`the value has more digits than decimal(${stored.precision}, ${stored.scale}) has`, i)
    }
    if (value % step !== 0n) throw new ValueFault(`the value does not end in ${-type.scale} zeros`, i)
    return decimalText(value, stored.scale)
  }
  switch (leaf.physical) {
    case "INT32":
      return each((value, i) => write(BigInt(value), i))
    case "INT64":
      return eachLong(write)
    default:
      return eachSlice((bytes, start, end, i) => write(integerOf(bytes, start, end), i))
  }
}

const epochJulianDay = 2_440_588

/** Nanoseconds since 1970 of a timestamp of 96 bits: nanoseconds of a day, and the Julian day. */
const int96Of = (bytes: Buffer, start: number): bigint =>
  BigInt(bytes.readInt32LE(start + 8) - epochJulianDay) * 86_400_000_000_000n + bytes.readBigInt64LE(start)

const isNamed = <T extends string>(type: ColumnType, name: T): type is Extract<ColumnType, { readonly type: T }> =>
  typeof type === "object" && type.type === name

const same = (a: ColumnType, b: ColumnType): boolean => JSON.stringify(a) === JSON.stringify(b)

const timestamps = (leaf: Leaf, unit: TimeUnit, type: ColumnType): Convert | null => {
  if (leaf.physical === "INT96") {
    if (type === "date") return eachSlice((bytes, start, _, i) => dateOfUnits(int96Of(bytes, start), "ns", i))
    return same(leaf.type, type)
      ? eachSlice((bytes, start, _, i) => {
        const value = int96Of(bytes, start)
        if (BigInt.asIntN(64, value) !== value) {
          throw new ValueFault(notNanos, i)
        }
        return timestampText(value, "ns", null)
      })
      : null
  }
  if (type === "date") {
    return unit === "ms"
      ? eachSafe(false, dateOf, notDate)
      : eachLong((value, i) => dateOfUnits(value, unit, i))
  }
  if (!isNamed(type, "timestamp")) return null
  const { zone } = type
  if (type.unit === unit) return eachLong((value) => timestampText(value, unit, zone))
  return type.unit === "s" && unit === "ms"
    ? eachLong((value, i) => {
      if (value % 1000n !== 0n) throw new ValueFault("the time has fractions of a second", i)
      return timestampText(value / 1000n, "s", zone)
    })
    : null
}

const times = (leaf: Leaf, unit: TimeUnit, type: ColumnType): Convert | null => {
  if (!isNamed(type, "time")) return null
  const seconds = type.unit === "s" && unit === "ms"
  if (type.unit !== unit && !seconds) return null
  const write = (value: number, i: number): string => {
    if (seconds && value % 1000 !== 0) throw new ValueFault("the time has fractions of a second", i)
    try {
      return timeText(seconds ? value / 1000 : value, type.unit)
    } catch (error) {
      throw error instanceof TypedTextFault ? new ValueFault(error.message, i) : error
    }
  }
  return leaf.physical === "INT32" ? each(write) : eachSafe(false, write, "the time is not within a day")
}

const smallIntegers: { readonly [type: string]: Convert } = {
  int8: within("int8", -128, 127),
  int16: within("int16", -32768, 32767),
  int32: asTheyAre,
  uint8: within("uint8", 0, 255),
  uint16: within("uint16", 0, 65535),
  uint32: each((value) => value >>> 0)
}

const integers = (stored: string, type: ColumnType): Convert | null => {
  if (stored === type || type === "integer" || type === "number") return smallIntegers[stored]!
  return type === "bigint" ? each((value) => BigInt(stored === "uint32" ? value >>> 0 : value)) : null
}

const longs = (unsigned: boolean, type: ColumnType): Convert | null => {
  switch (type) {
    case "integer":
    case "number":
      return eachSafe(unsigned, (value) => value, notSafe)
    case "bigint":
      return unsigned
        ? eachLong((value, i) => {
          if (value < 0n) throw new ValueFault("the value does not fit 64 bits with a sign", i)
          return value
        })
        : asTheyAre
    case "uint64":
      return unsigned ? eachLong((value) => BigInt.asUintN(64, value)) : null
    default:
      return null
  }
}

const numeric = { BOOLEAN: 0, INT32: 0, INT64: 0, FLOAT: 0, DOUBLE: 0 }

/** Some writers put values into a column of nulls that may not be null. */
const none = (_: unknown, count: number, out: Array<unknown>, at: number): void => {
  for (let i = 0; i < count; i++) out[at + i] = null
}

/**
 * How the values of a leaf become values of a type; null where they cannot.
 *
 * @internal
 */
export const convertTo = (leaf: Leaf, type: ColumnType): Convert | null => {
  const stored = leaf.type
  if (leaf.nothing) return leaf.physical in numeric ? { from: "numbers", run: none } : { from: "slices", run: none }
  if (typeof stored === "object") {
    switch (stored.type) {
      case "decimal":
        return isNamed(type, "decimal") ? decimals(leaf, stored, type) : null
      case "timestamp":
        return timestamps(leaf, stored.unit, type)
      case "time":
        return times(leaf, stored.unit, type)
      default:
        return same(stored, type) ? copies : null
    }
  }
  switch (stored) {
    case "boolean":
      return type === stored ? booleans : null
    case "date":
      return timestamps(leaf, "ms", type)
    case "day":
      if (type === stored) return each((value) => dayText(value))
      return type === "date" ? each((value, i) => dateOf(value * 86_400_000, i)) : null
    case "bigint":
    case "uint64":
      return longs(stored === "uint64", type)
    case "float32":
      if (type !== stored) return null
      return leaf.physical === "FLOAT" ? asTheyAre : eachSlice((bytes, start) => halfOf(bytes, start))
    case "number":
      if (type === stored) return asTheyAre
      return type === "float32"
        ? each((value, i) => {
          if (Math.fround(value) !== value && !Number.isNaN(value)) {
            throw new ValueFault("the value has more digits than a float of 32 bits holds", i)
          }
          return value
        })
        : null
    case "string":
      return type === stored ? texts : null
    case "json":
      return type === stored || isNamed(type, "struct") ? jsons : type === "string" ? texts : null
    case "binary":
      return type === stored || isNamed(type, "fixed") ? copies : null
    case "uuid":
      return type === stored ? eachSlice((bytes, start) => uuidText(bytes, start)) : null
    default:
      return integers(stored, type)
  }
}
