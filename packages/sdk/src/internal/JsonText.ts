/**
 * Values as text, for the formats that are text.
 *
 * @internal
 */

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

/**
 * A float32 number with as few digits as read back to the same float32: `0.1`, not `0.10000000149011612`. The number
 * must be finite.
 *
 * @internal
 */
export const float32Text = (value: number): string => {
  const size = Math.abs(value)
  if (size >= 1e-12 && size < 1e5) {
    // A whole number of at most nine digits by an exact power of ten gives the decimal's own double.
    const exponent = Math.floor(Math.log10(size))
    for (let digits = 6; digits <= 9; digits++) {
      const scale = powersOfTen[digits - 1 - exponent]!
      const short = Math.round(size * scale) / scale
      if (Math.fround(short) === size) return value < 0 ? `-${short}` : String(short)
    }
  }
  if (Object.is(value, -0)) return "-0"
  for (let digits = size < smallestNormal ? 1 : 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return String(short)
  }
  return String(Number(value.toPrecision(9)))
}

/**
 * A vector as a JSON array; what is not finite is `null`.
 *
 * @internal
 */
export const vectorText = (vector: Float32Array): string => {
  let text = "["
  for (let i = 0; i < vector.length; i++) {
    const value = vector[i]!
    if (i > 0) text += ","
    text += Number.isFinite(value) ? float32Text(value) : "null"
  }
  return `${text}]`
}
