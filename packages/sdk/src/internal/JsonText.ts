/**
 * Values as text, for the formats that are text.
 *
 * @internal
 */
import type { Column, ColumnType } from "../Column.ts"

/**
 * The value of a `json` column as JSON text. What JSON cannot hold becomes what `JSON.stringify` makes of it, and a
 * bigint inside a value its decimal digits as a string.
 *
 * @internal
 */
export const jsonText = (value: unknown): string => {
  try {
    return JSON.stringify(value) ?? "null"
  } catch {
    return JSON.stringify(value, (_, member: unknown) => typeof member === "bigint" ? String(member) : member) ?? "null"
  }
}

/** Below this a float32 has fewer than six exact digits. */
const smallestNormal = 2 ** -126

const powersOfTen = Array.from({ length: 23 }, (_, power) => Number(`1e${power}`))

/** The largest power of ten that is not above a number from 1e-6 to 1e5. */
const exponentOf = (size: number): number => {
  if (size >= 1) return size < 10 ? 0 : size < 100 ? 1 : size < 1000 ? 2 : size < 10_000 ? 3 : 4
  return size >= 0.1 ? -1 : size >= 0.01 ? -2 : size >= 0.001 ? -3 : size >= 0.0001 ? -4 : size >= 0.00001 ? -5 : -6
}

/** The most characters of a float32. */
const floatLength = 24

const zero = 48

/** The digits of the numbers from 0 to 99. */
const pairs = Uint8Array.from({ length: 200 }, (_, i) => zero + (i % 2 === 0 ? Math.floor(i / 20) : (i >> 1) % 10))

/** Writes a whole number from 0 to 2^31 in so many digits. */
const putDigits = (bytes: Uint8Array, at: number, digits: number, value: number): number => {
  let rest = value
  let end = at + digits
  while (end - at >= 2) {
    const hundredth = (rest / 100) | 0
    const pair = (rest - hundredth * 100) * 2
    end -= 2
    bytes[end] = pairs[pair]!
    bytes[end + 1] = pairs[pair + 1]!
    rest = hundredth
  }
  if (end > at) bytes[at] = zero + rest
  return at + digits
}

/**
 * Whether a whole number by a power of ten is that float32. A whole number of at most nine digits by an exact power of
 * ten gives the decimal's own double.
 */
const isFloat = (whole: number, scale: number, size: number): boolean => Math.fround(whole / scale) === size

const float = new Float32Array(1)
const floatBits = new Int32Array(float.buffer)

/** Below a power of two, numbers are twice as close as above: of two decimals, the nearer can be another float32. */
const isPowerOfTwo = (size: number): boolean => {
  float[0] = size
  return (floatBits[0]! & 0x7fffff) === 0
}

/** Writes a finite float32 as `float32Text` does, and gives the place after it. */
const putFloat32 = (bytes: Uint8Array, start: number, value: number): number => {
  const size = Math.abs(value)
  if (!(size >= 1e-6 && size < 1e5) || isPowerOfTwo(size)) {
    const text = unusualText(value)
    for (let i = 0; i < text.length; i++) bytes[start + i] = text.charCodeAt(i)
    return start + text.length
  }
  // Most numbers need eight digits in all; none needs more than nine, and with six a shorter one is found too.
  let places = 7 - exponentOf(size)
  let whole = Math.round(size * powersOfTen[places]!)
  if (isFloat(whole, powersOfTen[places]!, size)) {
    for (const least = places - 2; places > least; places--) {
      const shorter = Math.round(size * powersOfTen[places - 1]!)
      if (!isFloat(shorter, powersOfTen[places - 1]!, size)) break
      whole = shorter
    }
  } else {
    places++
    whole = Math.round(size * powersOfTen[places]!)
  }
  // Arithmetic on 32-bit integers is fast.
  let digits = whole | 0
  while (places > 0 && digits % 10 === 0) {
    digits = (digits / 10) | 0
    places--
  }
  const before = Math.floor(digits / powersOfTen[places]!)
  let at = start
  if (value < 0) bytes[at++] = 45
  at = putDigits(bytes, at, before < 10 ? 1 : exponentOf(before) + 1, before)
  if (places === 0) return at
  bytes[at++] = 46
  return putDigits(bytes, at, places, digits - before * powersOfTen[places]!)
}

/** A finite float32 that is very large or very small, or a power of two. */
const unusualText = (value: number): string => {
  if (value === 0) return Object.is(value, -0) ? "-0" : "0"
  for (let digits = Math.abs(value) < smallestNormal ? 1 : 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return String(short)
  }
  return String(Number(value.toPrecision(9)))
}

/** A place for the bytes of texts; it grows to what the longest vector needs. */
let scratch = Buffer.allocUnsafeSlow(4096)

/**
 * A float32 number with as few digits as read back to the same float32: `0.1`, not `0.10000000149011612`. The number
 * must be finite.
 *
 * @internal
 */
export const float32Text = (value: number): string => scratch.toString("latin1", 0, putFloat32(scratch, 0, value))

/**
 * A vector as a JSON array; what is not finite is `null`.
 *
 * @internal
 */
export const vectorText = (vector: Float32Array): string => {
  const most = 2 + vector.length * floatLength
  if (scratch.length < most) scratch = Buffer.allocUnsafeSlow(most)
  let at = 0
  scratch[at++] = 91
  for (let i = 0; i < vector.length; i++) {
    const value = vector[i]!
    if (i > 0) scratch[at++] = 44
    if (Number.isFinite(value)) at = putFloat32(scratch, at, value)
    else at += scratch.write("null", at, "latin1")
  }
  scratch[at++] = 93
  return scratch.toString("latin1", 0, at)
}

/** A double in JSON: with the fewest digits that read back the same, and null where it is not finite. */
const numberText = (value: unknown): string =>
  Object.is(value, -0) ? "-0" : Number.isFinite(value) ? String(value) : "null"

/**
 * Bytes as base64.
 *
 * @internal
 */
export const base64Text = (value: Uint8Array): string =>
  Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64")

const keys = new WeakMap<ReadonlyArray<Column>, ReadonlyArray<string>>()

/** The names of fields as they begin the members of an object: `{"a":`, `,"b":`. */
const keysOf = (fields: ReadonlyArray<Column>): ReadonlyArray<string> => {
  const known = keys.get(fields)
  if (known !== undefined) return known
  const texts = fields.map(({ name }, j) => `${j === 0 ? "{" : ","}${JSON.stringify(name)}:`)
  keys.set(fields, texts)
  return texts
}

const structText = (fields: ReadonlyArray<Column>, value: object): string => {
  const names = keysOf(fields)
  let text = fields.length === 0 ? "{" : ""
  for (let j = 0; j < fields.length; j++) {
    const { name, type } = fields[j]!
    // A name such as `constructor` is no value of an object that lacks it.
    const member = Object.hasOwn(value, name) ? (value as { readonly [name: string]: unknown })[name] : null
    text += names[j]! + valueJson(type, member)
  }
  return `${text}}`
}

/**
 * The value of a column as JSON text. Integers of any size are numbers with all their digits, other numbers have the
 * fewest digits that read back the same (as a float32 where that is the type), and are `null` where they are not
 * finite. Decimals, days, times, timestamps and UUIDs are strings, dates ISO 8601 strings in UTC, bytes base64 strings.
 * Structs are objects, maps arrays of `{"key": ..., "value": ...}`.
 *
 * @internal
 */
export const valueJson = (type: ColumnType, value: unknown): string => {
  if (value === null || value === undefined) return "null"
  if (typeof type === "string") {
    switch (type) {
      case "bigint":
      case "uint64":
      case "boolean":
        return String(value)
      case "float32":
        return typeof value === "number" && Number.isFinite(value) ? float32Text(value) : "null"
      case "vector":
        return value instanceof Float32Array ? vectorText(value) : "null"
      case "binary":
        return value instanceof Uint8Array ? `"${base64Text(value)}"` : "null"
      case "string":
      case "date":
      case "json":
      case "day":
      case "uuid":
        return jsonText(value)
      default:
        return numberText(value)
    }
  }
  switch (type.type) {
    case "fixed":
      return value instanceof Uint8Array ? `"${base64Text(value)}"` : "null"
    case "list":
      return Array.isArray(value) ? listText(type.element, value) : "null"
    case "struct":
      return typeof value === "object" ? structText(type.fields, value) : "null"
    case "map":
      return Array.isArray(value) ? listText(entryOf(type), value) : "null"
    default:
      return jsonText(value)
  }
}

const listText = (element: ColumnType, items: ReadonlyArray<unknown>): string => {
  let text = "["
  for (let i = 0; i < items.length; i++) text += (i === 0 ? "" : ",") + valueJson(element, items[i])
  return `${text}]`
}

type MapType = Extract<ColumnType, { readonly type: "map" }>

const entries = new WeakMap<MapType, ColumnType>()

/** The entries of a map as structs. */
const entryOf = (type: MapType): ColumnType => {
  const known = entries.get(type)
  if (known !== undefined) return known
  const entry: ColumnType = {
    type: "struct",
    fields: [{ name: "key", type: type.key }, { name: "value", type: type.value }]
  }
  entries.set(type, entry)
  return entry
}
