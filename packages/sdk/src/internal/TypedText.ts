/**
 * Days, times, timestamps, decimals and UUIDs as texts (`Column.ts`) and as the raw numbers and bytes that files hold.
 * There is one text for each value: what is read is what was written, and texts of another form are refused.
 *
 * @internal
 */
import type { TimeUnit } from "../Column.ts"

/**
 * Why a text or a number is no value of its type. The message holds nothing of the value.
 *
 * @internal
 */
export class TypedTextFault extends Error {}

const zero = 48
const hyphen = 45

/** Numbers under 100 as two digits. */
const pairs = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, "0"))

/** The whole number that the digits from `start` to `end` write, or -1 where one of them is no digit. */
const digitsAt = (text: string, start: number, end: number): number => {
  let value = 0
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - zero
    if (!(digit >= 0 && digit <= 9)) return -1
    value = value * 10 + digit
  }
  return value
}

const yearText = (year: number): string => {
  if (year >= 1000 && year <= 9999) return String(year)
  if (year >= 0 && year <= 9999) return String(year).padStart(4, "0")
  return `${year < 0 ? "-" : "+"}${String(Math.abs(year)).padStart(6, "0")}`
}

const isLeap = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)

const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** Days are counted in eras of 400 years, from 0000-03-01 on: leap days are then at the end of a year. */
const eraDays = 146_097
/** From 0000-03-01 to 1970-01-01. */
const epochDays = 719_468

/**
 * The day that is so many days after 1970-01-01: `2026-11-23`. Years before 0 or after 9999 have a sign and at least
 * six digits.
 *
 * @internal
 */
export const dayText = (days: number): string => {
  const shifted = days + epochDays
  const era = Math.floor(shifted / eraDays)
  const dayOfEra = shifted - era * eraDays
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  return `${yearText(year)}-${pairs[month]!}-${pairs[day]!}`
}

const noDay = (): never => {
  throw new TypedTextFault("expected a day such as 2026-11-23")
}

/** Where the month begins in a text that begins with a day. */
const monthAt = (text: string): number => {
  const first = text.charCodeAt(0)
  return first >= zero && first <= zero + 9 ? 5 : text.indexOf("-", 1) + 1
}

/** The year before the month, or NaN. */
const yearBefore = (text: string, month: number): number => {
  if (month === 5 && text.charCodeAt(4) === hyphen) {
    const year = digitsAt(text, 0, 4)
    return year < 0 ? NaN : year
  }
  const sign = text[0]
  // More than 14 digits are no year of any type here.
  if ((sign !== "+" && sign !== "-") || month < 8 || month > 16) return NaN
  const size = digitsAt(text, 1, month - 1)
  if (size < 0 || (month > 8 && text[1] === "0")) return NaN
  if (sign === "-") return size === 0 ? NaN : -size
  return size <= 9999 ? NaN : size
}

/** The day at the start of a text, or NaN; it takes `monthStart + 5` characters. */
const daysAt = (text: string, monthStart: number): number => {
  const year = yearBefore(text, monthStart)
  const month = digitsAt(text, monthStart, monthStart + 2)
  const day = digitsAt(text, monthStart + 3, monthStart + 5)
  if (Number.isNaN(year) || text.charCodeAt(monthStart + 2) !== hyphen || month < 1 || month > 12 || day < 1) {
    return NaN
  }
  if (day > monthDays[month - 1]! + (month === 2 && isLeap(year) ? 1 : 0)) return NaN
  const marchYear = month <= 2 ? year - 1 : year
  const era = Math.floor(marchYear / 400)
  const yearOfEra = marchYear - era * 400
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * eraDays + dayOfEra - epochDays
}

const mostDays = 2 ** 31

/**
 * How many days after 1970-01-01 a day is: 32 bits. Throws a `TypedTextFault`.
 *
 * @internal
 */
export const dayValue = (text: string): number => {
  const month = monthAt(text)
  const days = text.length === month + 5 ? daysAt(text, month) : NaN
  if (Number.isNaN(days)) return noDay()
  if (days < -mostDays || days >= mostDays) throw new TypedTextFault("the day does not fit 32 bits")
  return days
}

const digitsOf: { readonly [U in TimeUnit]: number } = { s: 0, ms: 3, us: 6, ns: 9 }

const perSecond: { readonly [U in TimeUnit]: number } = { s: 1, ms: 1e3, us: 1e6, ns: 1e9 }

const secondsPerDay = 86_400

/** A time of day as text; `value` is in the day. */
const timeOfDay = (value: number, unit: TimeUnit): string => {
  const scale = perSecond[unit]
  const seconds = Math.floor(value / scale)
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const whole = `${pairs[hours]!}:${pairs[minutes - hours * 60]!}:${pairs[seconds - minutes * 60]!}`
  return unit === "s" ? whole : `${whole}.${String(value - seconds * scale).padStart(digitsOf[unit], "0")}`
}

/** The time of day between two places of a text, or NaN. */
const timeBetween = (text: string, start: number, end: number, unit: TimeUnit): number => {
  const digits = digitsOf[unit]
  if (end - start !== (digits === 0 ? 8 : 9 + digits)) return NaN
  const hours = digitsAt(text, start, start + 2)
  const minutes = digitsAt(text, start + 3, start + 5)
  const seconds = digitsAt(text, start + 6, start + 8)
  const fraction = digits === 0 ? 0 : digitsAt(text, start + 9, end)
  const isTime = hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60 && seconds >= 0 && seconds < 60 &&
    fraction >= 0 && text[start + 2] === ":" && text[start + 5] === ":" && (digits === 0 || text[start + 8] === ".")
  return isTime ? ((hours * 60 + minutes) * 60 + seconds) * perSecond[unit] + fraction : NaN
}

/**
 * The time that is so many units after midnight: `12:30:00`, then a point and the digits of the unit. Throws a
 * `TypedTextFault` for what is not within a day.
 *
 * @internal
 */
export const timeText = (value: number, unit: TimeUnit): string => {
  if (!(value >= 0 && value < secondsPerDay * perSecond[unit])) {
    throw new TypedTextFault("the time is not within a day")
  }
  return timeOfDay(value, unit)
}

const fractionOf = (unit: TimeUnit): string => (unit === "s" ? "" : `.${"0".repeat(digitsOf[unit])}`)

/**
 * How many units after midnight a time is. Throws a `TypedTextFault`.
 *
 * @internal
 */
export const timeValue = (text: string, unit: TimeUnit): number => {
  const value = timeBetween(text, 0, text.length, unit)
  if (Number.isNaN(value)) throw new TypedTextFault(`expected a time such as 12:30:00${fractionOf(unit)}`)
  return value
}

const unitsPerDay: { readonly [U in TimeUnit]: bigint } = {
  s: 86_400n,
  ms: 86_400_000n,
  us: 86_400_000_000n,
  ns: 86_400_000_000_000n
}

const isSafe = (value: bigint): boolean => value >= -9_007_199_254_740_991n && value <= 9_007_199_254_740_991n

const timestampParts = (value: bigint, unit: TimeUnit): readonly [days: number, rest: number] => {
  if (isSafe(value)) {
    const size = secondsPerDay * perSecond[unit]
    const units = Number(value)
    const days = Math.floor(units / size)
    const rest = units - days * size
    // The quotient of large numbers can be rounded up to the next day.
    return rest < 0 ? [days - 1, rest + size] : [days, rest]
  }
  const size = unitsPerDay[unit]
  const rest = value % size
  return rest < 0n ? [Number(value / size) - 1, Number(rest + size)] : [Number(value / size), Number(rest)]
}

/**
 * The timestamp that is so many units after 1970-01-01T00:00:00: `2026-11-23T12:30:00`, then a point and the digits of
 * the unit, then `Z` where there is a zone (values are then in UTC, whatever the zone).
 *
 * @internal
 */
export const timestampText = (value: bigint, unit: TimeUnit, zone: string | null): string => {
  const [days, rest] = timestampParts(value, unit)
  const text = `${dayText(days)}T${timeOfDay(rest, unit)}`
  return zone === null ? text : `${text}Z`
}

/**
 * How many units after 1970-01-01T00:00:00 a timestamp is, with `Z` at its end or without: 64 bits. Throws a
 * `TypedTextFault`.
 *
 * @internal
 */
export const timestampValue = (text: string, unit: TimeUnit): bigint => {
  const month = monthAt(text)
  const end = text.endsWith("Z") ? text.length - 1 : text.length
  const days = text[month + 5] === "T" ? daysAt(text, month) : NaN
  const rest = timeBetween(text, month + 6, end, unit)
  if (Number.isNaN(days) || Number.isNaN(rest)) {
    throw new TypedTextFault(`expected a timestamp such as 2026-11-23T12:30:00${fractionOf(unit)}`)
  }
  const midnight = days * secondsPerDay * perSecond[unit]
  if (Number.isSafeInteger(midnight) && Number.isSafeInteger(midnight + rest)) return BigInt(midnight + rest)
  const value = BigInt(days) * unitsPerDay[unit] + BigInt(rest)
  if (BigInt.asIntN(64, value) !== value) throw new TypedTextFault("the timestamp does not fit 64 bits")
  return value
}

/**
 * A decimal as text: `scale` digits after the point; with a scale under zero, that many zeros at the end.
 *
 * @internal
 */
export const decimalText = (unscaled: bigint, scale: number): string => {
  if (scale <= 0) return unscaled === 0n ? "0" : String(unscaled) + "0".repeat(-scale)
  const negative = unscaled < 0n
  const digits = String(negative ? -unscaled : unscaled).padStart(scale + 1, "0")
  const point = digits.length - scale
  return `${negative ? "-" : ""}${digits.slice(0, point)}.${digits.slice(point)}`
}

const noDecimal = (scale: number): never => {
  throw new TypedTextFault(
    scale < 0
      ? `expected a whole number that ends in ${-scale} zeros`
      : `expected a decimal number with ${scale} digits after the point`
  )
}

/**
 * The unscaled value of a decimal. Throws a `TypedTextFault`.
 *
 * @internal
 */
export const decimalValue = (text: string, scale: number): bigint => {
  const start = text.charCodeAt(0) === hyphen ? 1 : 0
  const point = scale > 0 ? text.length - scale - 1 : text.length
  if (point <= start || (text[start] === "0" && point > start + 1)) return noDecimal(scale)
  for (let i = start; i < text.length; i++) {
    const digit = text.charCodeAt(i) - zero
    if (i === point ? text[i] !== "." : !(digit >= 0 && digit <= 9)) return noDecimal(scale)
  }
  const digits = scale > 0 ? text.slice(0, point) + text.slice(point + 1) : text
  const unscaled = BigInt(digits)
  if (start === 1 && unscaled === 0n) return noDecimal(scale)
  if (scale >= 0 || unscaled === 0n) return unscaled
  return text.endsWith("0".repeat(-scale)) ? BigInt(text.slice(0, text.length + scale)) : noDecimal(scale)
}

const hexOf = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

/**
 * The UUID of the 16 bytes from `at` on: lower case, with hyphens.
 *
 * @internal
 */
export const uuidText = (bytes: Uint8Array, at = 0): string => {
  const hex = (from: number, to: number): string => {
    let text = ""
    for (let i = at + from; i < at + to; i++) text += hexOf[bytes[i]!]!
    return text
  }
  return `${hex(0, 4)}-${hex(4, 6)}-${hex(6, 8)}-${hex(8, 10)}-${hex(10, 16)}`
}

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/**
 * The 16 bytes of a UUID. Throws a `TypedTextFault`.
 *
 * @internal
 */
export const uuidBytes = (text: string): Uint8Array => {
  if (!uuidForm.test(text)) throw new TypedTextFault("expected a UUID in lower case with hyphens")
  return Buffer.from(text.replaceAll("-", ""), "hex")
}
