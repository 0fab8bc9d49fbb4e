/**
 * Checks of what a caller puts into a request body by hand.
 *
 * @internal
 */
import type { Json, ModelParameters } from "../Processor.ts"
import { isObject } from "./Json.ts"
import { ranked } from "./Nearest.ts"

/**
 * Checks the finished body of a raw request: an object with the members `required` and none of `refused`.
 *
 * @internal
 */
export const checkRaw = (
  body: Json,
  required: ReadonlyArray<string>,
  refused: ReadonlyArray<string>
): string | null => {
  if (!isObject(body)) return "the body of a record must be a JSON object"
  const missing = required.filter((key) => !Object.hasOwn(body, key))
  if (missing.length > 0) return `the body of a record lacks ${missing.join(", ")}`
  const extra = refused.filter((key) => Object.hasOwn(body, key))
  if (extra.length === 0) return null
  return `the body of a record must not have ${extra.join(", ")}: Bedrock refuses such records`
}

const parameterNames: { readonly [K in keyof Required<ModelParameters>]: K } = {
  maxTokens: "maxTokens",
  temperature: "temperature",
  topP: "topP",
  stopSequences: "stopSequences",
  thinking: "thinking",
  dimensions: "dimensions",
  normalize: "normalize",
  truncate: "truncate",
  more: "more"
}

/**
 * Checks that there are no parameters but those that exist: one that is mistyped would not be sent.
 *
 * @internal
 */
export const checkNames = (parameters: ModelParameters): string | null => {
  const given: unknown = parameters
  if (typeof given !== "object" || given === null || Array.isArray(given)) return "the parameters must be an object"
  const names = Object.values(parameterNames)
  for (const key of Object.keys(parameters)) {
    if (Object.hasOwn(parameterNames, key)) continue
    const near = ranked(key.replaceAll("_", ""), names)[0]
    const close = near === undefined ? "" : ` (did you mean ${near}?)`
    return `there is no parameter ${key}${close}: fields of the model's own go into more`
  }
  return null
}

/**
 * Checks that `more` has none of the fields that a family sets itself; `own` names them, each with the parameter that
 * sets it, or null where none does.
 *
 * @internal
 */
export const checkMore = (
  more: { readonly [key: string]: Json } | undefined,
  own: ReadonlyMap<string, string | null>
): string | null => {
  for (const key of Object.keys(more ?? {})) {
    const parameter = own.get(key)
    if (parameter === null) return `more must not have ${key}`
    if (parameter !== undefined) return `more must not have ${key}; give ${parameter} instead`
  }
  return null
}
