/**
 * A folder of this machine that objects are copied into under their own keys: nothing is read or written outside of it,
 * whatever the keys and the links that lie there.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { constants, type Stats } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { absent, attempt, FileFailed, orOn, syncFolder } from "./Files.ts"

/** Windows has no such flag; there the look before alone must do. */
const noFollow = constants.O_NOFOLLOW ?? 0

/** Bytes of one read. */
const chunkBytes = 1024 * 1024

const devices = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)/i
const notOnWindows = /[<>:"|?*\u0000-\u001f]|[. ]$/

/** What forbids a key's name on a platform, or null. */
const namesProblem = (key: string, platform: NodeJS.Platform): string | null => {
  if (platform !== "win32") return null
  const wrong = key.split("/").find((name) => notOnWindows.test(name) || devices.test(name))
  return wrong === undefined ? null : `has the name ${JSON.stringify(wrong)}, which Windows does not take`
}

/**
 * The first of the keys that cannot be a file here beside the others, and why; null if all can. A file is written as
 * `<name>.part`, with notes in `<name>.part.json`.
 *
 * @internal
 */
export const unfit = (
  keys: ReadonlyArray<string>,
  platform: NodeJS.Platform
): { readonly key: string; readonly what: string } | null => {
  const foldsCase = platform === "win32" || platform === "darwin"
  const fold = (name: string) => (foldsCase ? name.normalize("NFC").toLowerCase() : name)
  const taken = new Map<string, string>()
  for (const key of keys) {
    const wrong = namesProblem(key, platform)
    if (wrong !== null) return { key, what: wrong }
    for (const name of [key, `${key}.part`, `${key}.part.json`]) {
      const other = taken.get(fold(name))
      if (other !== undefined) return { key, what: `would be in the same file as ${JSON.stringify(other)}` }
      taken.set(fold(name), key)
    }
  }
  return null
}

/** @internal */
export interface LocalFolder {
  /** Absolute, without links. */
  readonly path: string
  /** The file of a key, in a folder that is made if need be. Fails where a link or a file stands in its way. */
  readonly fileOf: (key: string) => Effect.Effect<string, FileFailed>
  /** Forces the entries of all folders that were used to the disk. */
  readonly sync: Effect.Effect<void, FileFailed>
}

const failed = (code: string, detail: string) => new FileFailed({ code, detail, cause: undefined })

/** What is at a path, itself and not what it links to; null if nothing. */
const look = (file: string): Effect.Effect<Stats | null, FileFailed> =>
  attempt(() => fs.lstat(file)).pipe(orOn(absent, null))

/** @internal */
export const open = Effect.fnUntraced(function*(directory: string): Effect.fn.Return<LocalFolder, FileFailed> {
  const root = yield* attempt(async () => {
    await fs.mkdir(directory, { recursive: true })
    return await fs.realpath(directory)
  })
  const known = new Set([root])

  /** Makes a folder below a known one, or finds that it is one. */
  const enter = Effect.fnUntraced(function*(folder: string) {
    if (known.has(folder)) return
    const there = yield* look(folder)
    if (there === null) yield* attempt(() => fs.mkdir(folder)).pipe(orOn(["EEXIST"], undefined))
    const now = there ?? (yield* look(folder))
    if (now?.isDirectory() !== true) {
      return yield* now?.isSymbolicLink() === true
        ? failed("ELOOP", `${folder} is a symbolic link`)
        : failed("ENOTDIR", `${folder} is no folder`)
    }
    known.add(folder)
  })

  return {
    path: root,
    fileOf: Effect.fnUntraced(function*(key: string) {
      const names = key.split("/")
      let folder = root
      for (const name of names.slice(0, -1)) {
        folder = path.join(folder, name)
        yield* enter(folder)
      }
      const file = path.join(folder, names.at(-1) ?? "")
      if (path.dirname(file) !== folder || path.resolve(root, key) !== file) {
        return yield* failed("EINVAL", `${key} would leave ${root}`)
      }
      return file
    }),
    sync: Effect.suspend(() => Effect.forEach(known, syncFolder, { discard: true }))
  }
})

/**
 * The size of a file; null if there is nothing. Fails where something else than a file is.
 *
 * @internal
 */
export const sizeOf = Effect.fnUntraced(function*(file: string) {
  const there = yield* look(file)
  if (there === null) return null
  if (there.isFile()) return there.size
  return yield* there.isSymbolicLink()
    ? failed("ELOOP", `${file} is a symbolic link`)
    : failed(there.isDirectory() ? "EISDIR" : "EINVAL", `${file} is no file`)
})

/**
 * Uses a file that is opened for reading and writing, made if need be, and closed afterwards; a link is not followed.
 *
 * @internal
 */
export const withFile = <A, E, R>(
  file: string,
  use: (handle: fs.FileHandle) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | FileFailed, R> =>
  Effect.andThen(
    sizeOf(file),
    Effect.acquireUseRelease(
      attempt(() => fs.open(file, constants.O_RDWR | constants.O_CREAT | noFollow)),
      use,
      (handle) => Effect.ignore(attempt(() => handle.close()))
    )
  )

/** Uses a file that is there, opened for reading; a link is not followed. @internal */
export const reading = <A, E, R>(
  file: string,
  use: (handle: fs.FileHandle) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | FileFailed, R> =>
  Effect.acquireUseRelease(
    attempt(() => fs.open(file, constants.O_RDONLY | noFollow)),
    use,
    (handle) => Effect.ignore(attempt(() => handle.close()))
  )

/**
 * Gives the bytes of a file up to `end` to `take`, piece by piece.
 *
 * @internal
 */
export const readTo = (handle: fs.FileHandle, end: number, take: (bytes: Uint8Array) => void) =>
  Effect.gen(function*() {
    const chunk = Buffer.allocUnsafeSlow(Math.min(chunkBytes, Math.max(end, 1)))
    for (let position = 0; position < end;) {
      const wanted = Math.min(chunk.length, end - position)
      const { bytesRead } = yield* attempt(() => handle.read(chunk, 0, wanted, position))
      if (bytesRead === 0) return yield* failed("EIO", "the file was cut short while it was read")
      take(chunk.subarray(0, bytesRead))
      position += bytesRead
    }
  })

/** Writes all bytes at a position. @internal */
export const writeAt = async (handle: fs.FileHandle, bytes: Uint8Array, position: number): Promise<void> => {
  for (let done = 0; done < bytes.length;) {
    done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten
  }
}

/** The text of a small file; null if there is none. @internal */
export const readText = (file: string): Effect.Effect<string | null, FileFailed> =>
  Effect.flatMap(sizeOf(file), (size) =>
    size === null
      ? Effect.succeed(null)
      : reading(file, (handle) => attempt(() => handle.readFile("utf8"))))

/** Replaces a small file, whole or not at all. @internal */
export const replaceText = Effect.fnUntraced(function*(file: string, text: string) {
  const part = `${file}.part`
  yield* attempt(() => fs.rm(part, { force: true }))
  yield* withFile(part, (handle) =>
    attempt(async () => {
      await handle.writeFile(text)
      await handle.sync()
    }))
  yield* sizeOf(file)
  yield* attempt(() => fs.rename(part, file))
  yield* syncFolder(path.dirname(file))
})

/** Adds to the end of a file. @internal */
export const append = (file: string, text: string): Effect.Effect<void, FileFailed> =>
  withFile(file, (handle) =>
    attempt(async () => {
      const { size } = await handle.stat()
      await writeAt(handle, Buffer.from(text), size)
    }))

/** Removes a file; one that is not there is no error. @internal */
export const removeFile = (file: string): Effect.Effect<void, FileFailed> => attempt(() => fs.rm(file, { force: true }))
