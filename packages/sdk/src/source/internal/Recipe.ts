/**
 * Sources as data: what a source is read from and how, where that is all data, so that a run can be prepared to its end
 * by somebody who has its plan alone.
 *
 * @internal
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { resolve } from "node:path"

type Json = Schema.Json

const FileRecipe = Schema.Struct({
  type: Schema.Literals(["csv", "jsonl", "parquet", "arrow"]),
  locations: Schema.Union([Schema.String, Schema.Array(Schema.String)]),
  options: Schema.Record(Schema.String, Schema.Json)
})

const HubRecipe = Schema.Struct({
  type: Schema.Literal("huggingFace"),
  id: Schema.String,
  options: Schema.Record(Schema.String, Schema.Json)
})

/** @internal */
export const SourceRecipe = Schema.Union([FileRecipe, HubRecipe])

/** @internal */
export type SourceRecipe = typeof SourceRecipe.Type

const decode = Schema.decodeUnknownResult(SourceRecipe)

/** A copy without the members that are undefined; undefined itself for what is no data. */
const dataOf = (value: unknown): Json | undefined => {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined
  if (Array.isArray(value)) {
    const elements = value.map(dataOf)
    return elements.some((element) => element === undefined) ? undefined : elements.map((element) => element ?? null)
  }
  if (typeof value !== "object" || Object.getPrototypeOf(value) !== Object.prototype) return undefined
  const entries: Array<readonly [string, Json]> = []
  for (const [name, member] of Object.entries(value)) {
    if (member === undefined) continue
    const data = dataOf(member)
    if (data === undefined) return undefined
    entries.push([name, data])
  }
  return Object.fromEntries(entries)
}

const unescaped = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    // To open it fails, too.
    return text
  }
}

/** A path means another file where another process is at work. */
const absolute = (location: unknown): unknown => {
  // In a URL object characters are escaped, and in the text of an object's location they stand for themselves.
  if (location instanceof URL) return location.protocol === "file:" ? location.href : unescaped(location.href)
  if (typeof location !== "string" || /^[a-z0-9]+:\/\//i.test(location)) return location
  return resolve(location) + (/[/\\]$/.test(location) ? "/" : "")
}

const recipeOf = (value: unknown): SourceRecipe | null => {
  const decoded = decode(dataOf(value))
  return Result.isSuccess(decoded) ? decoded.success : null
}

/** The recipe of a source of files; null where an option is no data, as a schema is. @internal */
export const ofFiles = (type: typeof FileRecipe.Type["type"], locations: unknown, options: object): SourceRecipe | null =>
  recipeOf({ type, locations: Array.isArray(locations) ? locations.map(absolute) : absolute(locations), options })

/** The recipe of a dataset of the hub, without its token. @internal */
export const ofDataset = (id: unknown, options: object): SourceRecipe | null =>
  recipeOf({ type: "huggingFace", id, options: { ...options, token: undefined } })
