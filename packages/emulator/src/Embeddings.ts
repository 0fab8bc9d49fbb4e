/**
 * Vectors out of a hash.
 *
 * @since 0.1.0
 */
import * as Chance from "./Chance.ts"

/**
 * Creates a vector for a text: the same text gives the same vector, of length 1 if `unit` is true.
 *
 * @since 0.1.0
 * @category constructors
 */
export const embed = (text: string, dimensions: number, unit: boolean): Array<number> => {
  const chance = Chance.make(text)
  const vector = Array.from({ length: dimensions }, () => chance.next() * 2 - 1)
  const length = unit ? Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0)) : 1
  return vector.map((value) => Math.round(value / length * 1e9) / 1e9)
}
