/**
 * Seeded randomness: the same seed gives the same numbers, so a job's output does not depend on when or where it runs.
 *
 * @since 0.1.0
 */

/**
 * A generator of pseudo-random numbers. It keeps its position, so share one only where the order of calls is fixed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Chance {
  /** A number from 0 (inclusive) to 1 (exclusive). */
  readonly next: () => number
  /** An integer from 0 to `bound - 1`. */
  readonly below: (bound: number) => number
  /** A string of `length` characters out of `a-z` and `0-9`. */
  readonly id: (length: number) => string
}

/**
 * Computes a 32-bit hash (FNV-1a) of a string's UTF-16 units.
 *
 * @since 0.1.0
 * @category hashing
 */
export const hash = (text: string): number => {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  return (value ^ (value >>> 13)) >>> 0
}

const letters = "abcdefghijklmnopqrstuvwxyz0123456789"

/**
 * Creates a generator from a seed.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Chance } from "@bedrock-batch/emulator"
 *
 * Chance.make("seed").id(12) === Chance.make("seed").id(12) // true
 * ```
 */
export const make = (seed: string): Chance => {
  // sfc32: with a single lane of 32 bits, ids would repeat after some ten thousand jobs.
  let a = hash(seed)
  let b = hash(`b/${seed}`)
  let c = hash(`c/${seed}`)
  let counter = 1
  const next = () => {
    const sum = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return (sum >>> 0) / 4294967296
  }
  for (let i = 0; i < 12; i++) next()
  const below = (bound: number) => Math.floor(next() * bound)
  return {
    next,
    below,
    id: (length) => {
      let text = ""
      for (let i = 0; i < length; i++) text += letters[below(letters.length)]
      return text
    }
  }
}
