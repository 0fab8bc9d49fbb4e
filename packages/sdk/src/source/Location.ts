/**
 * Where the file of a source lies, and its bytes.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { open as openHandle, stat } from "node:fs/promises"
import { fileURLToPath, pathToFileURL } from "node:url"
import type { BatchError } from "../BatchError.ts"
import { type ObjectInfo, ObjectStore } from "../store/ObjectStore.ts"
import { invalidOption, invalidSource } from "./internal/Failures.ts"
import type { SourceFile } from "./internal/SourceFile.ts"

/** Bytes of a local file that are digested at once. */
const digestBytes = 1024 * 1024

const pieceBytes = 256 * 1024

/**
 * A location that is understood; nothing says yet that anything is there.
 *
 * @internal
 */
export type Place =
  | { readonly kind: "store"; readonly key: string }
  | { readonly kind: "s3"; readonly uri: string }
  | { readonly kind: "file"; readonly path: string }

const forms = "give an s3://bucket/key URI, a store://key URI, a file:// URL or a local path"

const decoded = (method: string, text: string): Effect.Effect<string, BatchError> =>
  Effect.try({
    try: () => decodeURIComponent(text),
    catch: (cause) => invalidOption(method, "location", `${text} has a percent sign that starts no escape`, cause)
  })

/**
 * Understands a location.
 *
 * @internal
 */
export const placeOf = (method: string, location: string | URL): Effect.Effect<Place, BatchError> => {
  if (typeof location !== "string" && !(location instanceof URL)) {
    return Effect.fail(invalidOption(method, "location", `the location is no text and no URL: ${forms}`))
  }
  const text = typeof location === "string" ? location : location.href
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase()
  const rest = scheme === undefined ? text : text.slice(scheme.length + 3)
  // In a URL object spaces and other characters are escaped; in a string a key stands as it is.
  const plain = typeof location === "string" ? Effect.succeed(rest) : decoded(method, rest)
  switch (scheme) {
    case undefined:
      return text === ""
        ? Effect.fail(invalidOption(method, "location", `the location is empty: ${forms}`))
        : Effect.succeed({ kind: "file", path: text })
    case "file":
      return Effect.try({
        try: (): Place => ({ kind: "file", path: fileURLToPath(text) }),
        catch: (cause) => invalidOption(method, "location", `${text} is no URL of a local file`, cause)
      })
    case "s3":
      return Effect.flatMap(plain, (rest) =>
        /^[^/]+\//s.test(rest)
          ? Effect.succeed<Place>({ kind: "s3", uri: `s3://${rest}` })
          : Effect.fail(invalidOption(method, "location", `${text} names no object: write s3://bucket/key`)))
    case "store":
      return Effect.flatMap(plain, (key) =>
        key === ""
          ? Effect.fail(invalidOption(method, "location", `${text} names no key: write store://key`))
          : Effect.succeed<Place>({ kind: "store", key }))
    default:
      return Effect.fail(invalidOption(method, "location", `${scheme}:// is not understood: ${forms}`))
  }
}

const changed = (method: string, uri: string): BatchError =>
  invalidSource(method, "failed", "the file changed while it was read; run again when nobody writes to it", { uri })

const wholeOf = (piece: Uint8Array): Buffer<ArrayBuffer> =>
  piece.buffer instanceof ArrayBuffer
    ? Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    : Buffer.from(piece)

/** The bytes of a range, which must be as many as were asked for. */
const wholeRange = Effect.fnUntraced(function*(
  method: string,
  uri: string,
  start: number,
  end: number,
  read: Effect.Effect<ReadonlyArray<Uint8Array>, BatchError>
) {
  const pieces = yield* read
  const bytes = pieces.length === 1 ? wholeOf(pieces[0]!) : Buffer.concat(pieces)
  return bytes.length === end - start ? bytes : yield* invalidSource(
    method,
    "failed",
    `bytes ${start} to ${end} were asked for, and ${bytes.length} bytes came`,
    { uri }
  )
})

/**
 * An object of the store of which everything is known, from a list or a look at it. `location` is how the store is
 * asked for it.
 *
 * @internal
 */
export const objectFile = (
  store: ObjectStore["Service"],
  method: string,
  location: string,
  uri: string,
  info: ObjectInfo
): SourceFile => {
  const unchanged = Effect.flatMap(store.head(location), (now) =>
    now?.etag === info.etag && now.size === info.size ? Effect.void : Effect.fail(changed(method, uri)))
  return {
    uri,
    size: info.size,
    identity: JSON.stringify([uri, info.etag, info.size]),
    description: { uri, etag: info.etag, size: info.size },
    bytes: store.read(location).pipe(Stream.concat(Stream.fromEffectDrain(unchanged))),
    from: (start) =>
      store.read(location, { start, end: info.size }).pipe(Stream.concat(Stream.fromEffectDrain(unchanged))),
    range: (start, end) =>
      wholeRange(method, uri, start, end, Stream.runCollect(store.read(location, { start, end }))),
    unchanged
  }
}

const openObject = Effect.fnUntraced(function*(method: string, location: string, uri: string) {
  const store = yield* ObjectStore
  const info = yield* store.head(location)
  if (info === null) {
    return yield* invalidSource(method, "not-found", "there is no such object; a prefix ends in \"/\"", { uri })
  }
  return objectFile(store, method, location, uri, info)
})

const hasCode = (cause: unknown, codes: ReadonlyArray<string>): boolean =>
  typeof cause === "object" && cause !== null && "code" in cause && codes.includes(String(cause.code))

/** Digests a local file in one buffer, the next bytes being read meanwhile. */
const digestOf = async (path: string, signal: AbortSignal): Promise<string> => {
  const file = await openHandle(path)
  try {
    const hash = createHash("sha256")
    let [full, empty] = [Buffer.allocUnsafeSlow(digestBytes), Buffer.allocUnsafeSlow(digestBytes)]
    let { bytesRead } = await file.read(full)
    while (bytesRead > 0) {
      signal.throwIfAborted()
      const next = file.read(empty)
      hash.update(full.subarray(0, bytesRead))
      ;({ bytesRead } = await next)
      ;[full, empty] = [empty, full]
    }
    return hash.digest("hex")
  } finally {
    await file.close()
  }
}

/** The bytes of a range of a local file, or as many of them as there are. */
const readRange = async (path: string, start: number, end: number): Promise<Buffer> => {
  const file = await openHandle(path)
  try {
    const bytes = Buffer.allocUnsafe(end - start)
    let length = 0
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length, start + length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    return bytes.subarray(0, length)
  } finally {
    await file.close()
  }
}

/**
 * Why a local file or folder cannot be read.
 *
 * @internal
 */
export const unreadable = (method: string, what: "file" | "folder", uri: string, cause: unknown): BatchError =>
  hasCode(cause, ["ENOENT", "ENOTDIR"])
    ? invalidSource(method, "not-found", `there is no such ${what}`, { uri, cause })
    : invalidSource(method, "failed", `the ${what} cannot be read`, { uri, cause })

/**
 * A local file, which is read once here for its digest.
 *
 * @internal
 */
export const openFile = Effect.fnUntraced(function*(method: string, path: string) {
  const uri = pathToFileURL(path).href
  const readable = (cause: unknown): BatchError => unreadable(method, "file", uri, cause)
  const look = Effect.tryPromise({ try: () => stat(path), catch: readable })
  const before = yield* look
  // A pipe could be read for its digest, and not once more for its rows.
  if (!before.isFile()) {
    return yield* invalidSource(method, "failed", "it is not a regular file; copy its content to one", { uri })
  }
  const unchanged = Effect.flatMap(look, (now) =>
    now.size === before.size && now.mtimeMs === before.mtimeMs ? Effect.void : Effect.fail(changed(method, uri)))
  const from = (start: number): Stream.Stream<Uint8Array, BatchError> =>
    Stream.suspend(() =>
      Stream.fromAsyncIterable<Uint8Array, BatchError>(
        createReadStream(path, { start, highWaterMark: pieceBytes }),
        readable
      )
    ).pipe(Stream.concat(Stream.fromEffectDrain(unchanged)))
  const sha256 = yield* Effect.tryPromise({ try: (signal) => digestOf(path, signal), catch: readable })
  yield* unchanged
  const local: SourceFile = {
    uri,
    size: before.size,
    identity: JSON.stringify([sha256, before.size]),
    description: { uri, sha256, size: before.size },
    bytes: from(0),
    from,
    range: (start, end) =>
      wholeRange(
        method,
        uri,
        start,
        end,
        Effect.tryPromise({ try: async () => [await readRange(path, start, end)], catch: readable })
      ),
    unchanged
  }
  return local
})

/**
 * Opens the file at a place.
 *
 * @internal
 */
export const openPlace = Effect.fnUntraced(function*(method: string, place: Place) {
  switch (place.kind) {
    case "file":
      return yield* openFile(method, place.path)
    case "s3":
      return yield* openObject(method, place.uri, place.uri)
    case "store": {
      const store = yield* ObjectStore
      return yield* openObject(method, place.key, store.uri(place.key))
    }
  }
})

/**
 * Finds a file by its `s3://` URI, `store://` key, `file://` URL or local path. `method` is the source that asks, for
 * messages. A local file is read once here, for its digest.
 *
 * @internal
 */
export const open: (
  method: string,
  location: string | URL
) => Effect.Effect<SourceFile, BatchError, ObjectStore> = Effect.fn("Location.open")(
  function*(method: string, location: string | URL) {
    return yield* openPlace(method, yield* placeOf(method, location))
  }
)
