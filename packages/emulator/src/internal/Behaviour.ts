/**
 * What the standard responder does on request: refuse, cut short, hide an error, add fields of the future.
 *
 * @internal
 */
import * as Chance from "../Chance.ts"
import { elements, isObject, member } from "../Json.ts"
import type { JsonObject } from "../Json.ts"
import type { Picking, StandardOptions } from "../Responder.ts"
import { textOf } from "../Text.ts"

/**
 * What becomes of one record.
 *
 * @internal
 */
export interface Conduct {
  readonly refused: boolean
  readonly truncated: boolean
  readonly hiddenError: boolean
  readonly unknownFields: boolean
  readonly cached: boolean
}

/**
 * The text that a record asks about: the text to embed, the prompt, or the text of the last user turn.
 *
 * @internal
 */
export const promptOf = (body: JsonObject): string => {
  for (const text of [body["inputText"], body["prompt"]]) if (typeof text === "string") return text
  const embedded = member(member(body["singleEmbeddingParams"], "text"), "value")
  if (typeof embedded === "string") return embedded
  const messages = elements(body["messages"])
  const user = messages.findLast((message) => member(message, "role") === "user") ?? messages.at(-1)
  return textOf(member(user, "content"))
}

const strikes = (picking: Picking | undefined, name: string, prompt: string): boolean =>
  picking === undefined
    ? false
    : typeof picking === "function"
    ? picking(prompt)
    : picking > 0 && Chance.hash(`${name}/${prompt}`) < picking * 2 ** 32

/**
 * Draws what becomes of a record: always the same for the same prompt.
 *
 * @internal
 */
export const conductOf = (options: StandardOptions, prompt: string): Conduct => ({
  refused: strikes(options.refusals, "refusals", prompt),
  truncated: strikes(options.truncations, "truncations", prompt),
  hiddenError: strikes(options.hiddenErrors, "hiddenErrors", prompt),
  unknownFields: strikes(options.unknownFields, "unknownFields", prompt),
  cached: strikes(options.cacheReads, "cacheReads", prompt)
})

const future = { futureField: { since: 2030, values: [null, 1, "x", {}] } }

/**
 * Adds fields that no documentation names to every object of an answer, and a block of an unknown kind before those of
 * its content.
 *
 * @internal
 */
export const withUnknownFields = (value: unknown): unknown => {
  if (Array.isArray(value)) return typeof value[0] === "object" ? value.map(withUnknownFields) : value
  if (!isObject(value)) return value
  const entries = Object.entries(value).map(([key, inner]): [string, unknown] => {
    // What a model writes is the user's own, not the service's.
    if (key === "input") return [key, inner]
    const known = withUnknownFields(inner)
    const isContent = key === "content" && Array.isArray(known)
    return [key, isContent ? [{ type: "future_block", ...future }, ...known] : known]
  })
  return { ...Object.fromEntries(entries), ...future }
}
