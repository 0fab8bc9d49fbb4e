/**
 * The objects in S3 that a record refers to, and whether they are there.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { isObject, member } from "../Json.ts"
import type { Storage, StorageError } from "../Storage.ts"

const collect = (value: unknown, found: Array<string>): void => {
  if (Array.isArray(value)) {
    for (const one of value) collect(one, found)
  } else if (isObject(value)) {
    const uri = member(value["s3Location"], "uri")
    if (typeof uri === "string") found.push(uri)
    for (const one of Object.values(value)) collect(one, found)
  }
}

/**
 * Gives what looks for the objects of records of one job: the error of a record that refers to an object of the input
 * folder which is not there, or null. The folder is listed once, for the first record that refers to anything.
 *
 * @internal
 */
export const lookup = (storage: Storage, inputUri: string) => {
  const folder = inputUri.endsWith("/") ? inputUri : `${inputUri}/`
  let objects: ReadonlySet<string> | null = null
  return Effect.fnUntraced(function*(line: string, modelInput: unknown): Effect.fn.Return<string | null, StorageError> {
    if (!line.includes("s3Location")) return null
    const uris: Array<string> = []
    collect(modelInput, uris)
    const own = uris.filter((uri) => uri.startsWith(folder))
    if (own.length === 0) return null
    const there = objects ??= new Set((yield* storage.list(folder)).map(({ uri }) => uri))
    return own.every((uri) => there.has(uri)) ? null : "An object that the record refers to does not exist."
  })
}
