/**
 * A JSON value that satisfies a JSON Schema: what a model answers when it is held to a schema.
 *
 * @since 0.1.0
 */
import type { Chance } from "./Chance.ts"
import type { JsonObject } from "./Json.ts"
import { elements, isObject, member } from "./Json.ts"

const deepest = 12
const words = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "jetty"]

/** What many patterns of strings take: bigints, codes, names. */
const common = ["7", "amber", "Amber", "AMBER", "amber-7", "2026-01-02", "07:00"]

const matches = (pattern: unknown, value: string): boolean => {
  try {
    return typeof pattern === "string" && new RegExp(pattern, "u").test(value)
  } catch {
    return false
  }
}

const resolve = (schema: unknown, root: unknown): unknown => {
  const reference = member(schema, "$ref")
  if (typeof reference !== "string" || !reference.startsWith("#")) return schema
  const steps = reference.slice(1).split("/").filter((step) => step !== "")
  return steps.reduce<unknown>((at, step) => member(at, step.replaceAll("~1", "/").replaceAll("~0", "~")), root)
}

const number = (schema: JsonObject, chance: Chance, integer: boolean): number => {
  const bound = (name: string) => typeof schema[name] === "number" ? schema[name] : undefined
  const step = integer ? 1 : 0.5
  const above = bound("exclusiveMinimum")
  const below = bound("exclusiveMaximum")
  const low = bound("minimum") ?? (above === undefined ? undefined : above + step)
  const high = bound("maximum") ?? (below === undefined ? undefined : below - step)
  const from = low ?? (high === undefined ? 0 : high - 100)
  const to = high ?? from + 100
  const value = from + chance.next() * Math.max(0, to - from)
  return integer ? Math.min(Math.floor(to), Math.max(Math.ceil(from), Math.round(value))) : value
}

const text = (schema: JsonObject, chance: Chance): string => {
  if (schema["format"] === "date-time") return "2026-01-02T03:04:05.000Z"
  if (schema["format"] === "date") return "2026-01-02"
  if (schema["format"] === "uri") return "https://example.com/"
  if (schema["format"] === "email") return "someone@example.com"
  const min = typeof schema["minLength"] === "number" ? schema["minLength"] : 0
  const max = typeof schema["maxLength"] === "number" ? schema["maxLength"] : Number.POSITIVE_INFINITY
  const fitting = common.find((one) => matches(schema["pattern"], one))
  if (fitting !== undefined) return fitting
  let value = words[chance.below(words.length)] ?? ""
  while (value.length < min) value += ` ${words[chance.below(words.length)]}`
  return value.slice(0, max)
}

const sample = (given: unknown, root: unknown, chance: Chance, depth: number): unknown => {
  const schema = resolve(given, root)
  if (!isObject(schema) || depth > deepest) return null
  const again = (inner: unknown) => sample(inner, root, chance, depth + 1)
  if (Object.hasOwn(schema, "const")) return schema["const"]
  const allowed = elements(schema["enum"])
  if (allowed.length > 0) return allowed[chance.below(allowed.length)]
  const choices = [...elements(schema["anyOf"]), ...elements(schema["oneOf"])]
  if (choices.length > 0) return again(choices[depth > 4 ? choices.length - 1 : 0])
  const all = elements(schema["allOf"])
  if (all.length > 0) {
    return again(all.reduce<JsonObject>(
      (merged, one) => {
        const part = resolve(one, root)
        return isObject(part) ? { ...merged, ...part } : merged
      },
      { ...schema, allOf: [] }
    ))
  }
  const types = Array.isArray(schema["type"]) ? schema["type"] : [schema["type"]]
  const type: unknown = types[0] ?? (isObject(schema["properties"]) ? "object" : "string")
  switch (type) {
    case "object": {
      const properties = isObject(schema["properties"]) ? schema["properties"] : {}
      return Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, again(inner)]))
    }
    case "array": {
      const prefix = elements(schema["prefixItems"]).map(again)
      const min = typeof schema["minItems"] === "number" ? schema["minItems"] : 1
      const max = typeof schema["maxItems"] === "number" ? schema["maxItems"] : Number.POSITIVE_INFINITY
      while (isObject(schema["items"]) && prefix.length < Math.min(min, max)) prefix.push(again(schema["items"]))
      return prefix
    }
    case "number":
    case "integer":
      return number(schema, chance, type === "integer")
    case "boolean":
      return chance.next() < 0.5
    case "null":
      return null
    default:
      return text(schema, chance)
  }
}

/**
 * Creates a value for a JSON Schema. Every named property of an object is present; of patterns of strings simple ones
 * are kept; a schema that refers to itself ends with null.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (schema: unknown, chance: Chance): unknown => sample(schema, schema, chance, 0)
