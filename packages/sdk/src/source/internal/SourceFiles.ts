/**
 * The files of a source: one location, several, or all that lie below a folder or a prefix.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import type { BatchError } from "../../BatchError.ts"
import * as Key from "../../store/Key.ts"
import { ObjectStore } from "../../store/ObjectStore.ts"
import { objectFile, openFile, openPlace, type Place, placeOf, unreadable } from "../Location.ts"
import { invalidOption, invalidSource } from "./Failures.ts"
import type { SourceFile } from "./SourceFile.ts"

/**
 * Where the files of a source lie: one location or several, each a file (`s3://bucket/key`, `store://key`, a `file://`
 * URL or a local path), a local folder, or a prefix that ends in `/`.
 *
 * @since 0.1.0
 * @category models
 */
export type FileLocations = string | URL | ReadonlyArray<string | URL>

/** Locations that are looked at, and files of a folder that are digested, at the same time. */
const looksAtOnce = 16
const digestsAtOnce = 2

/** The most files that a description names one by one. */
const maxListed = 100

const isHidden = (relative: string): boolean =>
  relative.split("/").some((segment) => segment.startsWith("_") || segment.startsWith("."))

/** Of all the names below a prefix those of data files, in the order of their bytes. */
const dataFiles = <A extends { readonly relative: string }>(
  found: ReadonlyArray<A>,
  extensions: ReadonlyArray<string>
): Array<A> =>
  found
    .filter(({ relative }) => {
      const name = relative.toLowerCase()
      return extensions.some((extension) => name.endsWith(extension)) && !isHidden(relative)
    })
    .sort((a, b) => Key.compare(a.relative, b.relative))

const noFiles = (
  method: string,
  uri: string,
  found: ReadonlyArray<{ readonly relative: string }>,
  extensions: ReadonlyArray<string>
): BatchError => {
  if (found.length === 0) return invalidSource(method, "not-found", "there are no files below this prefix", { uri })
  const hidden = found.filter(({ relative }) => isHidden(relative)).length
  const shown = found.slice(0, 3).map(({ relative }) => JSON.stringify(relative)).join(", ")
  return invalidSource(
    method,
    "empty",
    `none of the files below this prefix is read: their names must end in ${extensions.join(", ")}, and no part of ` +
      `them may start with "_" or "."; there are ${found.length} others (${hidden} of them hidden), such as ${shown}`,
    { uri }
  )
}

const openPrefix = Effect.fnUntraced(function*(
  method: string,
  place: { readonly prefix: string; readonly uri: string },
  extensions: ReadonlyArray<string>
) {
  const { prefix, uri } = place
  const store = yield* ObjectStore
  const { objects } = yield* store.list(prefix)
  const found = objects
    .filter(({ key }) => !key.endsWith("/"))
    .map((info) => ({ relative: info.key.slice(prefix.length), info }))
  const files = dataFiles(found, extensions)
  if (files.length === 0) return yield* noFiles(method, uri, found, extensions)
  return files.map(({ info, relative }) => objectFile(store, method, info.key, uri + relative, info))
})

interface LocalFile {
  readonly relative: string
  readonly path: string
}

/** The files below a folder. Links to files count as files; links to folders are not followed. */
const filesBelow = async (root: string): Promise<Array<LocalFile>> => {
  const found: Array<LocalFile> = []
  const folders = [""]
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
      const relative = folder + entry.name
      const path = join(root, relative)
      const isFile = entry.isFile() || (entry.isSymbolicLink() && !(await leadsToFolder(path)))
      if (isFile) found.push({ relative, path })
      else if (entry.isDirectory()) folders.push(`${relative}/`)
    }
  }
  return found
}

/** A link that leads nowhere is taken for a file, so that it is named and not passed over. */
const leadsToFolder = (path: string): Promise<boolean> => stat(path).then((at) => at.isDirectory(), () => false)

const openFolder = Effect.fnUntraced(function*(method: string, path: string, extensions: ReadonlyArray<string>) {
  const uri = pathToFileURL(path).href
  const found = yield* Effect.tryPromise({
    try: () => filesBelow(path),
    catch: (cause) => unreadable(method, "folder", uri, cause)
  })
  const files = dataFiles(found, extensions)
  if (files.length === 0) return yield* noFiles(method, uri, found, extensions)
  return yield* Effect.forEach(files, (file) => openFile(method, file.path), { concurrency: digestsAtOnce })
})

const openLocation = Effect.fnUntraced(function*(method: string, place: Place, extensions: ReadonlyArray<string>) {
  switch (place.kind) {
    case "file":
      return place.path.endsWith("/") || (yield* Effect.promise(() => leadsToFolder(place.path)))
        ? yield* openFolder(method, place.path, extensions)
        : [yield* openPlace(method, place)]
    case "s3":
      return place.uri.endsWith("/")
        ? yield* openPrefix(method, { prefix: place.uri, uri: place.uri }, extensions)
        : [yield* openPlace(method, place)]
    case "store": {
      if (!place.key.endsWith("/")) return [yield* openPlace(method, place)]
      const store = yield* ObjectStore
      return yield* openPrefix(method, { prefix: place.key, uri: store.uri(place.key) }, extensions)
    }
  }
})

/**
 * Opens the files at the locations, in the order of the locations. A local folder, or a prefix that ends in `/`, stands
 * for all files below it, however deep, in the order of the UTF-8 bytes of their names: those that end in one of the
 * `extensions` (lower case, with the dot, `.csv.gz` beside `.csv`; the case of the names does not matter) and have no
 * segment that starts with `_` or `.`. Objects found by a list are not asked for one by one; local files are read once,
 * for their digests.
 *
 * Fails with `InvalidSource` (`not-found`; `empty` where a folder has files, but none of these) or with
 * `InvalidOption`, also where a file is given twice.
 *
 * @internal
 */
export const openFiles: (
  method: string,
  locations: FileLocations,
  extensions: ReadonlyArray<string>
) => Effect.Effect<ReadonlyArray<SourceFile>, BatchError, ObjectStore> = Effect.fnUntraced(
  function*(method: string, locations: FileLocations, extensions: ReadonlyArray<string>) {
    const given: ReadonlyArray<string | URL> = isList(locations) ? locations : [locations]
    if (given.length === 0) return yield* invalidOption(method, "location", "give at least one location")
    const places = yield* Effect.forEach(given, (location) => placeOf(method, location))
    const opened = yield* Effect.forEach(places, (place) => openLocation(method, place, extensions), {
      concurrency: looksAtOnce
    })
    const files = opened.flat()
    const seen = new Set<string>()
    for (const { uri } of files) {
      if (seen.has(uri)) return yield* invalidOption(method, "location", `${uri} is given twice; name each file once`)
      seen.add(uri)
    }
    return files
  }
)

const isList = (locations: FileLocations): locations is ReadonlyArray<string | URL> => Array.isArray(locations)

const sha256 = (value: Schema.Json): string => createHash("sha256").update(JSON.stringify(value)).digest("hex")

/**
 * What the manifest records of the files: each one, or of more than 100 their number, their size and a digest.
 *
 * @internal
 */
export const describeFiles = (files: ReadonlyArray<SourceFile>): Schema.Json => {
  const descriptions = files.map(({ description }) => description)
  return files.length <= maxListed ? descriptions : {
    count: files.length,
    size: files.reduce((size, file) => size + file.size, 0),
    sha256: sha256(descriptions)
  }
}

/**
 * Equal for files of equal content in the same order.
 *
 * @internal
 */
export const identityOf = (files: ReadonlyArray<SourceFile>): string => {
  const identities = files.map(({ identity }) => identity)
  return files.length === 1 ? identities[0]! : JSON.stringify(
    files.length <= maxListed ? identities : [files.length, sha256(identities)]
  )
}

/**
 * What several files have in common, for messages: the URI of the one file, or of the folder in which all lie; null
 * where there is none.
 *
 * @internal
 */
export const commonUri = (files: ReadonlyArray<SourceFile>): string | null => {
  const [first, ...others] = files.map(({ uri }) => uri)
  if (first === undefined || others.length === 0) return first ?? null
  let common = first.slice(0, first.lastIndexOf("/") + 1)
  for (const uri of others) {
    while (!uri.startsWith(common)) common = common.slice(0, common.lastIndexOf("/", common.length - 2) + 1)
  }
  return /^(\w+:)?\/*$/.test(common) ? null : common
}
