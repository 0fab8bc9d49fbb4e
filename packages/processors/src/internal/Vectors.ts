/**
 * Reading vectors, whether they are JSON or `Float32Array`s already. Both give the same: every number is rounded to 32
 * bits before it is looked at.
 *
 * @internal
 */
import type { VectorJson } from "../Processor.ts"
import { array } from "./Json.ts"

/** @internal */
export type Numbers = Float32Array | ReadonlyArray<VectorJson>

/** @internal */
export const numbersOf = (json: VectorJson | undefined): Numbers | undefined =>
  json instanceof Float32Array ? json : array(json)

/** The numbers as 32-bit floats, themselves where they are; undefined where one is not finite. */
const floats = (numbers: Numbers): Float32Array | undefined => {
  if (numbers instanceof Float32Array) return numbers
  const values = new Float32Array(numbers.length)
  for (let index = 0; index < numbers.length; index++) {
    const number = numbers[index]
    if (typeof number !== "number") return undefined
    values[index] = number
    if (!Number.isFinite(values[index])) return undefined
  }
  return values
}

/** The numbers as bits, of eight the first the highest; undefined where one is neither 0 nor 1. */
const bits = (numbers: Numbers): Uint8Array | undefined => {
  const bytes = new Uint8Array(Math.ceil(numbers.length / 8))
  for (let index = 0; index < numbers.length; index++) {
    const number = numbers[index]
    if (typeof number !== "number") return undefined
    const bit = Math.fround(number)
    if (bit === 1) bytes[index >> 3]! |= 0x80 >> (index & 7)
    else if (bit !== 0) return undefined
  }
  return bytes
}

const checkLength = (name: string, numbers: Numbers, expected: ReadonlyArray<number>): string | null =>
  expected.includes(numbers.length)
    ? null
    : `the ${name} has ${numbers.length} dimensions, not ${expected.join(", ")}`

/**
 * A vector of one of the `expected` lengths, or what is wrong with it; `name` is what the message calls it.
 *
 * @internal
 */
export const readVector = (
  numbers: Numbers | undefined,
  expected: ReadonlyArray<number>,
  name = "embedding"
): Float32Array | string =>
  numbers === undefined
    ? `the output has no ${name}`
    : checkLength(name, numbers, expected) ?? floats(numbers) ?? `the ${name} has values that are not finite numbers`

/**
 * A vector of ones and zeros, packed eight to a byte as `numpy.packbits` does, or what is wrong with it.
 *
 * @internal
 */
export const readBits = (
  numbers: Numbers | undefined,
  expected: ReadonlyArray<number>,
  name = "binary embedding"
): Uint8Array | string =>
  numbers === undefined
    ? `the output has no ${name}`
    : checkLength(name, numbers, expected) ?? bits(numbers) ?? `the ${name} has values other than 0 and 1`
