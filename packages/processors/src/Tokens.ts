/**
 * How many tokens a text has, about: for what is to be known before anything is asked.
 *
 * @since 0.2.0
 */

/** Quarters of a token that the UTF-16 code units below 128 count as. */
const ascii = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code)
  return /[A-Za-z ]/.test(character) ? 1 : /[0-9]/.test(character) ? 3 : 2
})

/**
 * Estimates the tokens of a text, without a tokenizer, by its characters:
 *
 * | characters | tokens each |
 * | --- | --- |
 * | letters from A to Z, spaces (several in a row count as one) | 1/4 |
 * | other ASCII: punctuation, line breaks | 1/2 |
 * | digits, Latin letters with accents | 3/4 |
 * | letters of other alphabets (Greek, Cyrillic, Arabic, Hebrew, those of India and Thailand) | 1/2 |
 * | Chinese, Japanese, Korean, symbols and all others | 1, emoji 2 |
 *
 * It is meant to be rather too high for prose in English and other European languages, and for Chinese, Japanese and
 * Korean. It may be too low for code, JSON and tables, and much too low for scripts that a model's tokenizer knows little
 * of (Bengali, Tamil, Georgian, Hebrew). Every model has its own tokenizer, and that of newer Claude models is not
 * public.
 *
 * @since 0.2.0
 * @category getters
 * @example
 * ```ts
 * import { Tokens } from "@bedrock-batch/processors"
 *
 * Tokens.estimate("Tell me a joke about cats.") // 7
 * ```
 */
export const estimate = (text: string): number => {
  let quarters = 0
  let afterSpace = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code < 0x80) {
      const isSpace = code === 0x20
      if (!(isSpace && afterSpace)) quarters += ascii[code]!
      afterSpace = isSpace
    } else {
      quarters += code < 0x370 ? 3 : code < 0x1200 ? 2 : 4
      afterSpace = false
    }
  }
  return Math.ceil(quarters / 4)
}
