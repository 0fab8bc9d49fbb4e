/**
 * Cutting texts to what a model takes.
 *
 * @internal
 */
import type { ModelParameters } from "../Processor.ts"
import { estimate } from "../Tokens.ts"

/** Which side of a text is cut off. @internal */
export type Truncate = ModelParameters["truncate"]

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit < 0xe000

/** Cuts a text to `length` UTF-16 units, or one fewer where that would halve a character. */
const cut = (text: string, length: number, truncate: "start" | "end"): string => {
  const at = truncate === "end" ? length : text.length - length
  const halves = isHigh(text.charCodeAt(at - 1)) && isLow(text.charCodeAt(at))
  return truncate === "end" ? text.slice(0, halves ? at - 1 : at) : text.slice(halves ? at + 1 : at)
}

/**
 * Cuts a text that has more UTF-16 units than `characters`.
 *
 * @internal
 */
export const fitCharacters = (text: string, characters: number, truncate: Truncate): string =>
  truncate === undefined || truncate === "none" || text.length <= characters ? text : cut(text, characters, truncate)

/**
 * Cuts a text that has probably more than `tokens` tokens, by `Tokens.estimate`, so a text of at most `tokens` UTF-16
 * units never.
 *
 * @internal
 */
export const fitTokens = (text: string, tokens: number, truncate: Truncate): string => {
  if (truncate === undefined || truncate === "none" || text.length <= tokens || estimate(text) <= tokens) return text
  let fits = tokens
  let tooLong = text.length
  while (tooLong - fits > 1) {
    const middle = Math.floor((fits + tooLong) / 2)
    if (estimate(cut(text, middle, truncate)) <= tokens) fits = middle
    else tooLong = middle
  }
  return cut(text, fits, truncate)
}
