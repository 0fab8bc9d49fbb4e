/**
 * The part of JSON Schema that Claude models can be held to. Everything else is refused before the model is asked.
 *
 * @internal
 */
import type { JsonObject } from "../../Json.ts"
import { isObject } from "../../Json.ts"

const ofNumbers = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]
const unsupported: ReadonlyArray<readonly [type: string, keywords: ReadonlyArray<string>]> = [
  ["integer", ofNumbers],
  ["number", ofNumbers],
  ["string", ["minLength", "maxLength"]],
  ["array", ["maxItems", "uniqueItems", "contains"]],
  ["object", ["minProperties", "maxProperties", "patternProperties"]]
]

const typesOf = (schema: JsonObject): ReadonlyArray<unknown> =>
  Array.isArray(schema["type"]) ? schema["type"] : [schema["type"]]

/**
 * What of a schema is not supported, in Anthropic's words behind `path`, or null.
 *
 * @internal
 */
export const subsetProblem = (schema: unknown, path: string): string | null => {
  if (!isObject(schema)) return `${path}: Input should be a valid dictionary`
  const types = typesOf(schema)
  if (types.includes("object") && schema["additionalProperties"] !== false) {
    return `${path}: For 'object' type, 'additionalProperties' must be explicitly set to false`
  }
  for (const [type, keywords] of unsupported) {
    // A part of `allOf` has no type of its own.
    const isOfType = types.includes(type) || schema["type"] === undefined
    const found = isOfType ? keywords.filter((keyword) => schema[keyword] !== undefined) : []
    if (found.length > 0) return `${path}: For '${type}' type, properties ${found.join(", ")} are not supported`
  }
  const minItems = schema["minItems"]
  if (types.includes("array") && minItems !== undefined && minItems !== 0 && minItems !== 1) {
    return `${path}: For 'array' type, 'minItems' values other than 0 or 1 are not supported`
  }
  const reference = schema["$ref"]
  if (typeof reference === "string" && !reference.startsWith("#")) return `${path}: External $ref is not supported`
  for (const key of ["properties", "$defs", "definitions"]) {
    const inner = schema[key]
    for (const one of isObject(inner) ? Object.values(inner) : []) {
      const problem = subsetProblem(one, path)
      if (problem !== null) return problem
    }
  }
  for (const key of ["items", "anyOf", "allOf", "prefixItems"]) {
    const inner = schema[key]
    for (const one of Array.isArray(inner) ? inner : inner === undefined ? [] : [inner]) {
      const problem = typeof one === "boolean" ? null : subsetProblem(one, path)
      if (problem !== null) return problem
    }
  }
  return null
}
