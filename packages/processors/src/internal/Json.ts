/**
 * Reading JSON of which nothing is known: what is absent, null or of another type is undefined. Bedrock writes Converse
 * output with a null for every member that a union does not have, so null always means absent.
 *
 * @internal
 */
import type { Json, VectorJson } from "../Processor.ts"

type JsonObject = { readonly [key: string]: VectorJson }

/** @internal */
export const isObject = (json: VectorJson | undefined): json is JsonObject =>
  typeof json === "object" && json !== null && !Array.isArray(json) && !(json instanceof Float32Array)

/**
 * The member `key`, where `json` is an object that has it as its own and it is not null.
 *
 * @internal
 */
export const member = (json: VectorJson | undefined, key: string): VectorJson | undefined =>
  isObject(json) && Object.hasOwn(json, key) ? json[key] ?? undefined : undefined

const isArray: (json: VectorJson | undefined) => json is ReadonlyArray<VectorJson> = Array.isArray

/** @internal */
export const array = (json: VectorJson | undefined): ReadonlyArray<VectorJson> | undefined =>
  isArray(json) ? json : undefined

/** @internal */
export const string = (json: VectorJson | undefined): string | undefined => typeof json === "string" ? json : undefined

/**
 * The sum of counts; null where the first is no count. The others may be absent.
 *
 * @internal
 */
export const count = (json: VectorJson | undefined, ...more: ReadonlyArray<VectorJson | undefined>): number | null => {
  if (!isCount(json)) return null
  const sum = more.reduce<number>((total, other) => isCount(other) ? total + other : total, json)
  return Number.isSafeInteger(sum) ? sum : null
}

const isCount = (json: VectorJson | undefined): json is number =>
  typeof json === "number" && Number.isSafeInteger(json) && json >= 0

/**
 * Those of `fields` that have a value.
 *
 * @internal
 */
export const given = (fields: { readonly [key: string]: Json | undefined }): { readonly [key: string]: Json } => {
  const present: { [key: string]: Json } = {}
  for (const [key, value] of Object.entries(fields)) if (value !== undefined) present[key] = value
  return present
}

/** The JSON object in a further field of a request, for families that put members of their own beside. @internal */
export const objectIn = (
  more: { readonly [key: string]: Json } | undefined,
  field: string
): { readonly [key: string]: Json } => {
  const value = more?.[field]
  return isJsonObject(value) ? value : {}
}

const isJsonObject = (json: Json | undefined): json is { readonly [key: string]: Json } =>
  typeof json === "object" && json !== null && !Array.isArray(json)
