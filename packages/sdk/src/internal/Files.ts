/**
 * Calls to the file system: failures classified once, folders made durable, files listed as S3 would.
 *
 * @internal
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { BigIntStats } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { BatchError, type Reason, Refused, Unavailable } from "../BatchError.ts"
import type { ObjectInfo } from "../store/ObjectStore.ts"

/** Where objects are written before they get their name; never listed. */
export const tempFolder = ".tmp"

/**
 * A call that failed, with the system's code, for example `ENOENT`.
 *
 * @internal
 */
export class FileFailed extends Data.TaggedError("FileFailed")<{
  readonly code: string
  readonly detail: string
  readonly cause: unknown
}> {}

/**
 * Makes a call of `node:fs/promises`.
 *
 * @internal
 */
export const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, FileFailed> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) =>
      new FileFailed({
        code: cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "Unknown",
        detail: cause instanceof Error ? cause.message : String(cause),
        cause
      })
  })

/**
 * Gives `value` where a call fails with one of the codes.
 *
 * @internal
 */
export const orOn =
  <B>(codes: ReadonlyArray<string>, value: B) =>
  <A, R>(self: Effect.Effect<A, FileFailed, R>): Effect.Effect<A | B, FileFailed, R> =>
    Effect.catchIf(self, (failure) => codes.includes(failure.code), () => Effect.succeed(value))

/** There is no such file; `ENOTDIR`: nor can there be, because one of its folders is a file. */
export const absent = ["ENOENT", "ENOTDIR"]

const passing = new Set(["EMFILE", "ENFILE", "EAGAIN", "EBUSY", "EIO", "ETIMEDOUT", "ESTALE"])

const hints: { readonly [code: string]: string } = {
  EACCES: "check the permissions of the folder",
  EPERM: "check the permissions of the folder",
  EROFS: "the file system can only be read",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  ENAMETOOLONG: "use shorter names: a file system takes about 255 bytes between two slashes",
  EMFILE: "too many files are open",
  ELOOP: "a symbolic link is not followed there: remove it, or choose another folder"
}

/**
 * The typed error of a failed call. `what` says what was tried and on which file.
 *
 * @internal
 */
export const toBatchError = (
  method: string,
  what: string,
  failure: FileFailed,
  module: string = "FileSystem"
): BatchError => {
  const hint = hints[failure.code]
  const message = `${what}: ${failure.detail}${hint === undefined ? "" : `; ${hint}`}`
  const { cause, code } = failure
  const reason: Reason = passing.has(code)
    ? new Unavailable({ code: "server", message, retryAfterMillis: null, cause })
    : new Refused({ code, message, cause })
  return new BatchError({ module, method, reason })
}

/**
 * What is known of a file; null if there is none, or if it is a folder.
 *
 * @internal
 */
export const inspect = (key: string, file: string): Effect.Effect<ObjectInfo | null, FileFailed> =>
  attempt(() => fs.stat(file, { bigint: true })).pipe(
    Effect.map((stat) => (stat.isFile() ? toInfo(key, stat) : null)),
    orOn(absent, null)
  )

/**
 * What is known of an object from its file.
 *
 * @internal
 */
export const toInfo = (key: string, stat: BigIntStats): ObjectInfo => ({
  key,
  size: Number(stat.size),
  etag: `${stat.ino}-${stat.size}-${stat.mtimeNs}`,
  // A time set in milliseconds may come back some nanoseconds early.
  modifiedAt: Math.round(Number(stat.mtimeNs) / 1e6)
})

/**
 * Forces a folder's entries to the disk, where the platform can.
 *
 * @internal
 */
export const syncFolder = (folder: string): Effect.Effect<void, FileFailed> =>
  attempt(async () => {
    const handle = await fs.open(folder, "r")
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
    // Windows opens no folders, and some network file systems do not sync them.
  }).pipe(Effect.asVoid, orOn(["EPERM", "EISDIR", "EINVAL", "ENOTSUP", "ENOSYS"], undefined))

/**
 * The names of the folders in a folder; none where it is not there. Links to folders are not counted.
 *
 * @internal
 */
export const foldersIn = (folder: string): Effect.Effect<Array<string>, FileFailed> =>
  attempt(async () => (await entries(folder)).filter((entry) => entry.isDirectory()).map((entry) => entry.name))

/**
 * Removes a folder and those below it, as far as they hold no file.
 *
 * @internal
 */
export const removeEmpty = async (folder: string): Promise<void> => {
  for (const entry of await entries(folder)) {
    if (entry.isDirectory()) await removeEmpty(path.join(folder, entry.name))
  }
  await fs.rmdir(folder).catch(() => {})
}

/** Files whose size and time are asked for at the same time. */
const statsAtOnce = 64

/**
 * The files below `root` whose key starts with `prefix`, in no order. Links to files count as files, links to folders
 * are not followed. A file that goes away meanwhile is left out.
 *
 * @internal
 */
export const files = (root: string, prefix: string): Effect.Effect<Array<ObjectInfo>, FileFailed> =>
  attempt(async () => {
    const keys: Array<string> = []
    const top = prefix.slice(0, prefix.lastIndexOf("/") + 1)
    const folders = top.startsWith(`${tempFolder}/`) ? [] : [top]
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      for (const entry of await entries(path.join(root, folder))) {
        const key = folder + entry.name
        if (key === tempFolder || (folder === top && !key.startsWith(prefix))) continue
        if (entry.isDirectory()) folders.push(`${key}/`)
        else keys.push(key)
      }
    }
    const found: Array<ObjectInfo> = []
    for (let i = 0; i < keys.length; i += statsAtOnce) {
      const infos = await Promise.all(keys.slice(i, i + statsAtOnce).map((key) => statOf(root, key)))
      for (const info of infos) if (info !== null) found.push(info)
    }
    return found
  })

const missing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && typeof error.code === "string" && absent.includes(error.code)

const unlessMissing = <A>(value: A) => (error: unknown): A => {
  if (missing(error)) return value
  throw error
}

const entries = (folder: string) => fs.readdir(folder, { withFileTypes: true }).catch(unlessMissing([]))

const statOf = async (root: string, key: string): Promise<ObjectInfo | null> => {
  const stat = await fs.stat(path.join(root, key), { bigint: true }).catch(unlessMissing(null))
  return stat?.isFile() === true ? toInfo(key, stat) : null
}
