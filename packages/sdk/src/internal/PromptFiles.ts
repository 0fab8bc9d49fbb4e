/**
 * The files directly in a folder, or directly below a prefix, that may hold prompts.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { open, readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { BatchError, InvalidOption, InvalidSource } from "../BatchError.ts"
import { placeOf, unreadable } from "../source/Location.ts"
import { ObjectStore } from "../store/ObjectStore.ts"

/** The most bytes of a prompt file. @internal */
export const mostBytes = 256 * 1024

const mostFiles = 1_000

/** A file that is there, and has not been read. @internal */
export interface PromptFile {
  readonly uri: string
  /** Its name before the ending. */
  readonly id: string
  readonly extension: "txt" | "md" | "json"
  /** In bytes. */
  readonly size: number
  /** Not more than its size. */
  readonly content: Effect.Effect<Uint8Array, BatchError>
}

const endings: ReadonlyMap<string, PromptFile["extension"]> = new Map([["txt", "txt"], ["md", "md"], ["json", "json"]])

const method = "fromStore"

const invalidPlace = (problem: InvalidSource["problem"], uri: string, message: string) =>
  new BatchError({
    module: "Prompts",
    method,
    reason: new InvalidSource({ problem, uri, row: null, column: null, message: `${uri}: ${message}` })
  })

/** Null for a file that holds no prompt. */
const named = (name: string): Pick<PromptFile, "id" | "extension"> | null => {
  const dot = name.lastIndexOf(".")
  const extension = endings.get(name.slice(dot + 1).toLowerCase())
  return extension === undefined || dot <= 0 || name.startsWith(".") ? null : { id: name.slice(0, dot), extension }
}

const below = Effect.fnUntraced(function*(prefix: string, uri: string) {
  const store = yield* ObjectStore
  const { objects } = yield* store.list(prefix)
  return objects.flatMap(({ key, size }): ReadonlyArray<PromptFile> => {
    const name = key.slice(prefix.length)
    const known = name.includes("/") ? null : named(name)
    // A file that grew meanwhile is not read beyond what it was.
    const content = Effect.map(
      Stream.runCollect(store.read(key, { start: 0, end: size })),
      (pieces) => Buffer.concat(pieces)
    )
    return known === null ? [] : [{ ...known, uri: uri + name, size, content }]
  })
})

const readStart = async (path: string, size: number): Promise<Uint8Array> => {
  const file = await open(path)
  try {
    const bytes = Buffer.alloc(size)
    let length = 0
    while (length < size) {
      const { bytesRead } = await file.read(bytes, length, size - length, length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    return bytes.subarray(0, length)
  } finally {
    await file.close()
  }
}

const within = Effect.fnUntraced(function*(path: string) {
  const uri = pathToFileURL(path.endsWith("/") ? path : `${path}/`).href
  const names = yield* Effect.tryPromise({
    try: () => readdir(path),
    catch: (cause) => unreadable(method, "folder", uri, cause)
  })
  const known = names.sort().flatMap((name) => {
    const parts = named(name)
    return parts === null ? [] : [{ ...parts, name }]
  })
  const files = yield* Effect.forEach(
    known.slice(0, mostFiles + 1),
    Effect.fnUntraced(function*({ extension, id, name }) {
      const file = join(path, name)
      const fileUri = pathToFileURL(file).href
      const failed = (cause: unknown) => unreadable(method, "file", fileUri, cause)
      const info = yield* Effect.tryPromise({ try: () => stat(file), catch: failed })
      if (!info.isFile()) return []
      const content = Effect.tryPromise({ try: () => readStart(file, info.size), catch: failed })
      const found: PromptFile = { id, extension, uri: fileUri, size: info.size, content }
      return [found]
    }),
    { concurrency: 16 }
  )
  return { uri, files: files.flat() }
})

/** In the order of their names. @internal */
export const openPromptFiles = Effect.fnUntraced(function*(location: string | URL) {
  const place = yield* placeOf(method, location)
  const ended = (text: string): string => text.endsWith("/") ? text : `${text}/`
  const opened = Effect.gen(function*() {
    switch (place.kind) {
      case "file":
        return yield* within(place.path)
      case "s3": {
        const uri = ended(place.uri)
        return { uri, files: yield* below(uri, uri) }
      }
      case "store": {
        const { uri } = yield* ObjectStore
        const prefix = ended(place.key)
        return { uri: uri(prefix), files: yield* below(prefix, uri(prefix)) }
      }
    }
  })
  const { files, uri } = yield* opened
  if (files.length === 0) {
    return yield* invalidPlace("empty", uri, "there is no file whose name ends in .txt, .md or .json directly below it")
  }
  if (files.length > mostFiles) {
    return yield* new BatchError({
      module: "Prompts",
      method,
      reason: new InvalidOption({
        path: "location",
        message: `${uri} holds more than ${mostFiles} files of prompts: give a folder or a prefix with fewer`
      })
    })
  }
  return files
})
