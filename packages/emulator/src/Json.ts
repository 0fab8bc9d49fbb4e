/**
 * Looking into JSON values of unknown shape.
 *
 * @since 0.1.0
 */

/**
 * A JSON object whose members are not known yet.
 *
 * @since 0.1.0
 * @category models
 */
export interface JsonObject {
  readonly [key: string]: unknown
}

/**
 * Whether a value is an object with members: neither null nor an array.
 *
 * @since 0.1.0
 * @category guards
 */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * Returns an own member of an object, or undefined.
 *
 * @since 0.1.0
 * @category getters
 */
export const member = (value: unknown, key: string): unknown =>
  isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined

/**
 * Returns an array's elements, or none for anything else.
 *
 * @since 0.1.0
 * @category getters
 */
export const elements = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []

/**
 * Parses JSON, or returns undefined where the text is no JSON.
 *
 * @since 0.1.0
 * @category converting
 */
export const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Index of the quotation mark that ends the string that begins at `start`. */
const stringEnd = (text: string, start: number): number => {
  let end = start
  while (true) {
    end = text.indexOf("\"", end + 1)
    if (end < 0) return text.length
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes++
    if (slashes % 2 === 0) return end
  }
}

/**
 * Index behind the value that begins at `start` of a text.
 *
 * @internal
 */
export const valueEnd = (text: string, start: number): number => {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    switch (text[at]) {
      case "\"":
        at = stringEnd(text, at)
        if (depth === 0) return at + 1
        break
      case "{":
      case "[":
        depth++
        break
      case "}":
      case "]":
        depth--
        if (depth === 0) return at + 1
        if (depth < 0) return at
        break
      case ",":
        if (depth === 0) return at
    }
  }
  return text.length
}

/**
 * Returns the text of a member's value as it stands in the text of an object, which must be valid JSON: with its
 * numbers, escapes, and order and number of members. The last of several members of the name counts, as in parsing.
 *
 * @since 0.1.0
 * @category getters
 */
export const memberText = (text: string, name: string): string | undefined => {
  let found: string | undefined
  let to = 0
  // Between a value and the next name there are no other quotation marks.
  for (let start = text.indexOf("\""); start >= 0; start = text.indexOf("\"", to)) {
    const end = stringEnd(text, start) + 1
    const from = text.indexOf(":", end) + 1
    to = valueEnd(text, from)
    if (parse(text.slice(start, end)) === name) found = text.slice(from, to).trim()
  }
  return found
}

/**
 * Writes a JSON value with the members of every object in alphabetical order, so that equal values give equal text.
 *
 * @since 0.1.0
 * @category converting
 */
export const canonical = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`
  if (!isObject(value)) return JSON.stringify(value) ?? "null"
  const members = Object.keys(value).filter((key) => value[key] !== undefined).sort()
  return `{${members.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`
}
