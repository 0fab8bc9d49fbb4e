/**
 * Numbers from 0 to 1 that look random, the same for the same seed.
 */
export const random = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What is left to chance, from a seed. */
export const chanceOf = (seed: number) => {
  const next = random(seed)
  return {
    /** A whole number from 0, below the limit. */
    below: (limit: number) => Math.floor(next() * limit),
    happens: (probability: number) => next() < probability
  }
}
