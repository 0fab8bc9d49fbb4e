/**
 * What the families share: what they are given, and their words for what they refuse.
 *
 * @internal
 */
import type { JsonObject } from "../../Json.ts"
import type { Conduct } from "../Behaviour.ts"

/**
 * A record, as a family sees it.
 *
 * @internal
 */
export interface Asked {
  readonly modelId: string
  readonly body: JsonObject
  /** The text that the record asks about. */
  readonly prompt: string
  readonly conduct: Conduct
  /** The input of the job, in whose folder referenced media must lie; left out on demand. */
  readonly folder?: string | undefined
}

/**
 * Answers a body: the model output, or the text of the error 400 that the record ends with.
 *
 * @internal
 */
export type Family = (asked: Asked) => JsonObject | string

/** @internal */
export const malformed = (problem: string): string =>
  `Malformed input request: ${problem}, please reformat your input and try again.`

/** @internal */
export const missing = (key: string): string => malformed(`#: required key [${key}] not found`)

/** @internal */
export const extraneous = (key: string, path = "#"): string =>
  malformed(`${path}: extraneous key [${key}] is not permitted`)

const nameOf = (value: unknown): string =>
  value === null
    ? "Null"
    : Array.isArray(value)
    ? "JSONArray"
    : typeof value === "number"
    ? Number.isInteger(value) ? "Integer" : "Number"
    : typeof value === "object"
    ? "JSONObject"
    : typeof value === "boolean"
    ? "Boolean"
    : "String"

/** @internal */
export const wrongType = (path: string, expected: string, value: unknown): string =>
  malformed(`${path}: expected type: ${expected}, found: ${nameOf(value)}`)

/** @internal */
export const notAllowed = (path: string, value: unknown): string =>
  malformed(`${path}: ${String(value)} is not a valid enum value`)

/**
 * The first key of a body that is not among those that are known.
 *
 * @internal
 */
export const unknownKey = (body: JsonObject, known: ReadonlySet<string>): string | undefined =>
  Object.keys(body).find((key) => !known.has(key))

/** @internal */
export const isGiven = (value: unknown): boolean => value !== undefined && value !== null

/** @internal */
export const isWhole = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 1

/**
 * What is wrong with a number that must lie in a range, or null; one that is not given is not wrong.
 *
 * @internal
 */
export const rangeProblem = (path: string, value: unknown, least: number, most: number): string | null => {
  if (value === undefined) return null
  if (typeof value !== "number") return wrongType(path, "Number", value)
  if (value < least) return malformed(`${path}: ${value} is not greater or equal to ${least}`)
  return value > most ? malformed(`${path}: ${value} is not less or equal to ${most}`) : null
}

/** The first problem of several. @internal */
export const firstOf = (...problems: ReadonlyArray<string | null>): string | null =>
  problems.find((problem) => problem !== null) ?? null

/**
 * The tokens of a request by where they came from: all new, or three quarters of them from a cache.
 *
 * @internal
 */
export const inputOf = (inputTokens: number, conduct: Conduct) => {
  const read = conduct.cached ? Math.floor(inputTokens / 2) : 0
  const written = conduct.cached ? Math.floor(inputTokens / 4) : 0
  return { fresh: inputTokens - read - written, read, written }
}
