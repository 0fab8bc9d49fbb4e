/**
 * Finished requests in a column.
 *
 * @internal
 */
import type { Json } from "@bedrock-batch/processors/Processor"
import { renderValue } from "@bedrock-batch/processors/Prompt"
import { CellProblem } from "./CellProblem.ts"

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value)

const parsed = (text: string, column: string): Json => {
  try {
    return JSON.parse(text)
  } catch {
    throw new CellProblem(column, "the text is not JSON, and must be that of a request's object")
  }
}

/** A surrogate that stands alone cannot be written as UTF-8; in JSON its escape says the same. */
const alone = /\p{Surrogate}/gu

const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16)}`

/**
 * The JSON text of the object in a cell, on one line: a text as it is, without the line breaks between its tokens.
 * Throws `CellProblem` for what is no object.
 *
 * @internal
 */
export const bodyText = (value: unknown, column: string): string => {
  if (typeof value === "string") {
    if (!isObject(parsed(value, column))) throw new CellProblem(column, "the JSON text holds no object")
    // JSON has no line breaks in its strings.
    return value.replace(/[\r\n]+/g, "").replace(alone, escaped)
  }
  if (!isObject(value) || value instanceof Uint8Array || value instanceof Date) {
    throw new CellProblem(column, "it must hold a request: an object, or the JSON text of one")
  }
  const text = renderValue(value)
  if (!text.startsWith("{")) throw new CellProblem(column, "it must hold a request: an object, or the JSON text of one")
  return text
}

/**
 * The same as a value, for checks.
 *
 * @internal
 */
export const bodyOf = (value: unknown, column: string): Json => parsed(bodyText(value, column), column)
