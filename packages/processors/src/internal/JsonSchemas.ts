/**
 * JSON Schemas as models take them: in plain words, and within the part of JSON Schema that a strict mode has.
 *
 * @internal
 */
import type { Json } from "../Processor.ts"

/** @internal */
export type JsonSchema = { readonly [key: string]: Json }

/** @internal */
export const isSchema = (json: Json | undefined): json is JsonSchema =>
  typeof json === "object" && json !== null && !Array.isArray(json)

const isArray: (json: Json | undefined) => json is ReadonlyArray<Json> = Array.isArray

const put = (object: object, key: string, value: unknown): void => {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
}

const mapValues = (schemas: JsonSchema, change: (schema: JsonSchema, key: string) => Json): JsonSchema => {
  const changed = {}
  for (const [key, schema] of Object.entries(schemas)) {
    put(changed, key, isSchema(schema) ? change(schema, key) : schema)
  }
  return changed
}

const named = new Set(["properties", "patternProperties", "$defs"])
const single = new Set(["items", "additionalProperties", "propertyNames"])
const several = new Set(["prefixItems", "anyOf", "oneOf", "allOf"])

/** The schema with its parts changed. `at` is the name of the property, where the part is one. */
const mapParts = (schema: JsonSchema, change: (schema: JsonSchema, at?: string) => Json): JsonSchema => {
  const changed = {}
  for (const [key, value] of Object.entries(schema)) {
    put(
      changed,
      key,
      named.has(key) && isSchema(value)
        ? mapValues(value, (part, name) => change(part, key === "properties" ? name : undefined))
        : single.has(key) && isSchema(value)
        ? change(value)
        : several.has(key) && isArray(value)
        ? value.map((part) => isSchema(part) ? change(part) : part)
        : value
    )
  }
  return changed
}

const without = (schema: JsonSchema, keys: ReadonlyArray<string>): JsonSchema =>
  Object.fromEntries(Object.entries(schema).filter(([key]) => !keys.includes(key)))

const same = (a: Json | undefined, b: Json | undefined): boolean => JSON.stringify(a) === JSON.stringify(b)

/** What Effect says of every number of a kind: models know it. */
const idle = new Set(["a finite number", "an integer", "a number", "a string"])

const described = (schema: JsonSchema, more: ReadonlyArray<string>): JsonSchema => {
  const texts = [schema["description"], ...more].filter((text) => typeof text === "string" && !idle.has(text))
  const rest = without(schema, ["description"])
  return texts.length === 0 ? rest : { ...rest, description: [...new Set(texts)].join("; ") }
}

/** Constraints that stand beside a schema in `allOf` become its own, where it has none of the name. */
const merged = (schema: JsonSchema): JsonSchema => {
  const all = schema["allOf"]
  if (!isArray(all) || !all.every((part) => isSchema(part) && !("$ref" in part))) return schema
  let own = without(schema, ["allOf"])
  const left: Array<Json> = []
  for (const part of all.filter(isSchema)) {
    const constraints = without(part, ["description"])
    const clashes = Object.entries(constraints).some(([key, value]) => key in own && !same(own[key], value))
    if (clashes) left.push(constraints)
    else own = { ...own, ...constraints }
    own = described(own, typeof part["description"] === "string" ? [part["description"]] : [])
  }
  return left.length === 0 ? own : { ...own, allOf: left }
}

const isNotFinite = (part: Json): boolean =>
  isSchema(part) && part["type"] === "string" && isArray(part["enum"]) && part["enum"].includes("NaN")

/** Numbers are numbers: those that JSON lacks are not asked for. A union of one is that one. */
const united = (schema: JsonSchema): JsonSchema => {
  const members = schema["anyOf"]
  if (!isArray(members)) return schema
  const kept = members.filter((part) => !isNotFinite(part))
  const [only] = kept
  return kept.length === 1 && isSchema(only)
    ? { ...only, ...without(schema, ["anyOf"]) }
    : { ...schema, anyOf: kept }
}

const dated = (schema: JsonSchema): JsonSchema =>
  schema["type"] === "string" && schema["description"] === "a string that will be decoded as a Date"
    ? { ...without(schema, ["description"]), format: "date-time" }
    : schema

const unbounded = (schema: JsonSchema): JsonSchema =>
  without(schema, [
    ...(schema["minimum"] === Number.MIN_SAFE_INTEGER ? ["minimum"] : []),
    ...(schema["maximum"] === Number.MAX_SAFE_INTEGER ? ["maximum"] : [])
  ])

/** A list of which the first elements are like all others. */
const listed = (schema: JsonSchema): JsonSchema => {
  const { items, prefixItems } = schema
  return isArray(prefixItems) && items !== undefined && prefixItems.every((element) => same(element, items))
    ? without(schema, ["prefixItems"])
    : schema
}

const complete = (schema: JsonSchema): JsonSchema =>
  isSchema(schema["properties"]) ? { ...schema, required: Object.keys(schema["properties"]) } : schema

/** A JSON Schema of Effect's in the words that a model needs; every property is required. @internal */
export const plain = (schema: JsonSchema): JsonSchema =>
  complete(listed(dated(united(described(merged(unbounded(mapParts(schema, plain))), [])))))

const referenceOf = (schema: JsonSchema): string | null => {
  const reference = schema["$ref"]
  return typeof reference === "string" && reference.startsWith("#/$defs/")
    ? reference.slice(8).replaceAll("~1", "/").replaceAll("~0", "~")
    : null
}

const definitionOf = (root: JsonSchema, schema: JsonSchema): JsonSchema | null => {
  const name = referenceOf(schema)
  const definitions = root["$defs"]
  if (name === null || !isSchema(definitions) || !Object.hasOwn(definitions, name)) return null
  const found = definitions[name]
  return isSchema(found) ? found : null
}

/** A document whose root is no reference, without empty definitions. @internal */
export const resolved = (root: JsonSchema): JsonSchema => {
  const definitions = root["$defs"]
  const own = { ...without(root, ["$ref", "$defs"]), ...definitionOf(root, root) }
  return isSchema(definitions) && Object.keys(definitions).length > 0 ? { ...own, $defs: definitions } : own
}

/** What strict modes take: Bedrock's user guide, "Get validated JSON results from models", read in November 2026. */
const strictKeys = new Set([
  "$ref",
  "$defs",
  "type",
  "title",
  "description",
  "enum",
  "const",
  "anyOf",
  "properties",
  "required",
  "additionalProperties",
  "items",
  "minItems",
  "format"
])

const strictFormats = new Set<Json | undefined>([
  "date-time",
  "time",
  "date",
  "duration",
  "email",
  "hostname",
  "uri",
  "ipv4",
  "ipv6",
  "uuid"
])

const says = (schema: JsonSchema): boolean =>
  ["$ref", "type", "enum", "const", "anyOf", "oneOf"].some((key) => key in schema)

/** What stands in `allOf` beside the part that says what a value is only narrows it, or describes it. */
const widened = (schema: JsonSchema): JsonSchema => {
  const all = schema["allOf"]
  if (!isArray(all)) return schema
  const own = without(schema, ["allOf"])
  const [said, ...others] = [own, ...all.filter(isSchema)].filter(says)
  return said === undefined || others.length > 0 ? schema : "$ref" in said ? said : { ...own, ...said }
}

const strictProblem = (schema: JsonSchema): string | null => {
  if ("not" in schema) return "a value that there is none of"
  if ("allOf" in schema) return "a value that is several things at once"
  if ("prefixItems" in schema) return "a tuple: make it a struct"
  if (schema["type"] === "object" && (!isSchema(schema["properties"]) || schema["additionalProperties"] !== false)) {
    return "a record of any names: make it an array of structs with a name and a value"
  }
  return says(schema) ? null : "any JSON: say what it is"
}

/**
 * A JSON Schema within what strict modes take; what it cannot say, such as the bounds of a number, the codec checks. A
 * text says what in it has no strict form.
 *
 * @internal
 */
export const strict = (root: JsonSchema): JsonSchema | string => {
  const problems: Array<string> = []
  const checked = new Set<JsonSchema>()
  const within = (path: string, open: ReadonlyArray<JsonSchema>) => (given: JsonSchema, name?: string): JsonSchema => {
    const schema = widened(given)
    const at = name === undefined ? path : `${path}[${JSON.stringify(name)}]`
    const definition = definitionOf(root, schema)
    const isRecursive = definition !== null && open.includes(definition)
    const problem = strictProblem(schema) ?? (isRecursive ? "a recursive schema" : null)
    if (problem !== null) {
      problems.push(`at ${at === "" ? "the top" : at}: ${problem}`)
      return schema
    }
    if (definition !== null && !checked.has(definition)) {
      within(at, [...open, definition])(definition)
      checked.add(definition)
    }
    const { minItems, oneOf, ...rest } = mapParts(without(schema, ["$defs"]), within(at, open))
    const all = {
      ...rest,
      ...(oneOf === undefined ? {} : { anyOf: oneOf }),
      ...(minItems === 0 || minItems === 1 ? { minItems } : {})
    }
    return Object.fromEntries(Object.entries(all).filter(([key, value]) =>
      strictKeys.has(key) && (key !== "format" || strictFormats.has(value))
    ))
  }
  const schema = within("", [])(root)
  const definitions = root["$defs"]
  if (problems.length > 0) return problems[0]!
  return isSchema(definitions)
    ? { ...schema, $defs: mapValues(definitions, (definition) => within("", [definition])(definition)) }
    : schema
}
