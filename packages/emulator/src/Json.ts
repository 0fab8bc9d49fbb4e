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
