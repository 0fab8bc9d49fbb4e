/**
 * The object store in a folder, with the semantics of S3: written once and whole, listed in the order of bytes.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { BatchError, Damaged, InvalidOption, Refused } from "../BatchError.ts"
import { checkRange, digest, Tally } from "../internal/Blocks.ts"
import {
  absent,
  attempt,
  FileFailed,
  files,
  foldersIn,
  inspect,
  orOn,
  removeEmpty,
  syncFolder,
  tempFolder,
  toBatchError
} from "../internal/Files.ts"
import * as Key from "./Key.ts"
import { type ByteRange, ObjectStore, type WriteOptions } from "./ObjectStore.ts"

const module = "FileSystem"

/** Bytes of one chunk of a read. */
const chunkBytes = 512 * 1024

/** Bytes that are forced to the disk at once. */
const forceBytes = 32 * 1024 * 1024

/** Bytes that are written at once. */
const writeBytes = 1024 * 1024

/** Largest object that `create` takes, as on S3. */
const createBytes = 8 * 1024 * 1024

/** Temporary files older than this belong to processes that died. */
const abandonedAfter = 24 * 60 * 60 * 1000

/** Files that `removeAll` removes at the same time. */
const removalsAtOnce = 32

/** How often a write begins again because its folder was removed under it. */
const maximumTries = 100

/**
 * Options of `make` and `layer`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The folder; it is made if it is not there. Its file system must know hard links. */
  readonly directory: string
  /** Bucket in the `s3://` URIs by which objects of the folder are called; default `local-bedrock-batch`. */
  readonly bucket?: string | undefined
}

const failure = (method: string, reason: BatchError["reason"]) => new BatchError({ module, method, reason })

/**
 * Makes the store. Removes temporary files that are more than 24 hours old, and fails with `Refused` if the folder
 * cannot be used or (code `LinkUnsupported`) its file system has no hard links.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<ObjectStore["Service"], BatchError> {
  const root = path.resolve(options.directory)
  const temp = path.join(root, tempFolder)
  const bucket = options.bucket ?? "local-bedrock-batch"
  if (!Key.isBucket(bucket)) {
    return yield* failure("make", new InvalidOption({
      path: "bucket",
      message: `${JSON.stringify(bucket)} cannot be a bucket: use 3 to 63 lower-case letters, digits, "-" and "."`
    }))
  }
  const base = `s3://${bucket}`
  const uri = (key: string) => `${base}/${key}`
  yield* open(root, temp)

  const foreign = (method: string, location: string): BatchError =>
    Key.invalid(
      location,
      `is not in this store: it keeps ${base} in a folder and cannot reach S3`,
      { module, method }
    )

  const locate = (method: string, location: string): Effect.Effect<{ key: string; file: string }, BatchError> => {
    const own = location.startsWith(`${base}/`)
    if (Key.isUri(location) && !own) return Effect.fail(foreign(method, location))
    const key = own ? location.slice(base.length + 1) : location
    const wrong = Key.problem(key) ?? (key.split("/")[0] === tempFolder ? "is the folder of temporary files" : null)
    if (wrong !== null) return Effect.fail(Key.invalid(location, wrong, { module, method }))
    const file = path.join(root, key)
    return file.startsWith(root + path.sep) || root === path.parse(root).root
      ? Effect.succeed({ key, file })
      : Effect.fail(Key.invalid(location, "leaves the folder", { module, method }))
  }

  const head = Effect.fn("FileSystem.head")(function*(location: string) {
    const { file } = yield* locate("head", location)
    return yield* inspect(location, file).pipe(
      Effect.mapError((failed) => toBatchError("head", `cannot look at ${file}`, failed))
    )
  })

  /** The prefix as the start of a key, and whether it was given as a URI. */
  const locatePrefix = (method: string, prefix: string) => {
    const own = prefix.startsWith(`${base}/`)
    if (Key.isUri(prefix) && !own) return Effect.fail(foreign(method, prefix))
    const start = own ? prefix.slice(base.length + 1) : prefix
    const wrong = Key.prefixProblem(start)
    return wrong === null ? Effect.succeed({ own, start }) : Effect.fail(Key.invalid(prefix, wrong, { module, method }))
  }

  const list = Effect.fn("FileSystem.list")(function*(prefix: string) {
    const { own, start } = yield* locatePrefix("list", prefix)
    const at = yield* Clock.currentTimeMillis
    const found = yield* files(root, start).pipe(
      Effect.mapError((failed) => toBatchError("list", `cannot list ${root} at ${JSON.stringify(prefix)}`, failed))
    )
    const objects = own ? found.map((info) => ({ ...info, key: uri(info.key) })) : found
    return { objects: objects.sort((a, b) => Key.compare(a.key, b.key)), at }
  })

  const folders = Effect.fn("FileSystem.folders")(function*(prefix: string) {
    const { start } = yield* locatePrefix("folders", prefix)
    yield* Key.checkFolder(start, { module, method: "folders" })
    if (start.startsWith(`${tempFolder}/`)) return []
    const names = yield* foldersIn(path.join(root, start)).pipe(
      Effect.mapError((failed) => toBatchError("folders", `cannot list ${root} at ${JSON.stringify(prefix)}`, failed))
    )
    return names.filter((name) => start !== "" || name !== tempFolder).sort(Key.compareFolders)
  })

  const get = Effect.fn("FileSystem.get")(function*(location: string) {
    const { file } = yield* locate("get", location)
    return yield* attempt(() => fs.readFile(file)).pipe(
      Effect.map((bytes) => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
      orOn([...absent, "EISDIR"], null),
      Effect.mapError((failed) => toBatchError("get", `cannot read ${file}`, failed))
    )
  })

  const read = (location: string, range?: ByteRange): Stream.Stream<Uint8Array, BatchError> =>
    Stream.unwrap(Effect.map(locate("read", location), ({ file }) => readFile(file, location, range)))

  // Folders that are known to be on the disk themselves, not only their content.
  const durable = new Set<string>()

  /** Forces the entry of a new file, and of each folder above it that may be new, to the disk. */
  const syncUp = Effect.fnUntraced(function*(folder: string) {
    yield* syncFolder(folder)
    for (let at = folder; at !== root && !durable.has(at); at = path.dirname(at)) {
      yield* syncFolder(path.dirname(at))
      durable.add(at)
    }
  })

  /** The object at a key that is to be written, null if the key is free; a key that is a folder is an error. */
  const occupant = Effect.fnUntraced(function*(method: string, key: string, file: string) {
    const there = yield* inspect(key, file).pipe(
      Effect.mapError((failed) => toBatchError(method, `cannot write ${file}`, failed))
    )
    if (there !== null) return there
    // Removes an empty folder that a removed object left behind.
    return yield* attempt(() => fs.rmdir(file)).pipe(
      Effect.as(null),
      orOn(absent, null),
      Effect.mapError(() =>
        Key.invalid(key, "is the folder of other objects, and in a folder a name cannot be both", { module, method })
      )
    )
  })

  /** Gives a finished temporary file its name; false if the name was taken. */
  const publish = Effect.fnUntraced(function*(method: string, key: string, file: string, made: string) {
    const folder = path.dirname(file)
    const broken = (failed: FileFailed) =>
      failed.code === "ENOTDIR" || failed.code === "EEXIST"
        ? Key.invalid(key, "lies below an object, and in a folder a name cannot be both", { module, method })
        : toBatchError(method, `cannot write ${file}`, failed)
    // EEXIST of mkdir is an error (the folder is a file), that of link an answer.
    const link = attempt(() => fs.mkdir(folder, { recursive: true })).pipe(
      Effect.mapError((failed) => (failed.code === "ENOENT" ? failed : broken(failed))),
      Effect.andThen(attempt(() => fs.link(made, file)).pipe(Effect.as("linked"), orOn(["EEXIST"], "taken")))
    )
    for (let tries = 1;; tries++) {
      const answer = yield* Effect.catchIf(
        link,
        (error) => error instanceof FileFailed,
        (failed) => (failed.code === "ENOENT" ? Effect.succeed("gone") : Effect.fail(broken(failed)))
      )
      if (answer === "linked") {
        yield* syncUp(folder).pipe(orOn(["ENOENT"], undefined), Effect.mapError(broken))
        return true
      }
      if (answer === "taken" && (yield* occupant(method, key, file)) !== null) return false
      if (tries === maximumTries) {
        return yield* failure(method, new Refused({
          code: "FolderRemoved",
          message: `cannot write ${file}: its folder is removed again and again, or something that is no file is there`
        }))
      }
    }
  })

  /** Fills a temporary file and gives it its name. */
  const store = Effect.fnUntraced(function*<E, R>(
    method: string,
    key: string,
    file: string,
    fill: (handle: fs.FileHandle) => Effect.Effect<void, E | FileFailed, R>
  ) {
    const made = path.join(temp, randomUUID())
    return yield* Effect.acquireUseRelease(
      attempt(() => fs.open(made, "wx")),
      Effect.fnUntraced(function*(handle: fs.FileHandle) {
        yield* fill(handle)
        const seconds = (yield* Clock.currentTimeMillis) / 1000
        yield* attempt(async () => {
          await handle.utimes(seconds, seconds)
          await handle.sync()
        })
        return yield* Effect.uninterruptible(publish(method, key, file, made))
      }),
      (handle) => Effect.ignore(attempt(() => handle.close().finally(() => fs.unlink(made))))
    ).pipe(
      Effect.catchIf(
        (error) => error instanceof FileFailed,
        (failed) => Effect.fail(toBatchError(method, `cannot write ${file}`, failed))
      )
    )
  })

  const create = Effect.fn("FileSystem.create")(function*(key: string, bytes: Uint8Array) {
    const { file } = yield* Effect.flatMap(Key.check(key, { module, method: "create" }), () => locate("create", key))
    if (bytes.byteLength > createBytes) {
      return yield* failure("create", new InvalidOption({
        path: "bytes",
        message: `${uri(key)} would have ${bytes.byteLength} bytes and create takes ${createBytes}; use write`
      }))
    }
    if ((yield* occupant("create", key, file)) !== null) return { created: false }
    return { created: yield* store("create", key, file, (handle) => attempt(() => handle.writeFile(bytes))) }
  })

  const write = Effect.fn("FileSystem.write")(function*<E, R>(
    key: string,
    bytes: Stream.Stream<Uint8Array, E, R>,
    options?: WriteOptions
  ) {
    const { file } = yield* Effect.flatMap(Key.check(key, { module, method: "write" }), () => locate("write", key))
    const before = yield* occupant("write", key, file)
    if (before !== null) return { created: false, info: before, sha256: yield* digest(bytes, options) }
    const tally = new Tally(options)
    const fill = Effect.fnUntraced(function*(handle: fs.FileHandle) {
      let waiting: Array<Uint8Array> = []
      let size = 0
      let unforced = 0
      let forcing: Promise<unknown> | null = null
      /** The first failure of the disk; a later call may not tell of it again. */
      let failed: unknown = null
      const flush = async () => {
        const blocks = waiting
        unforced += size
        waiting = []
        size = 0
        await writeAll(handle, blocks)
        // On the way to the disk already while more is made, so that the last call has little to wait for.
        if (unforced < forceBytes || forcing !== null) return
        unforced = 0
        forcing = handle.datasync().catch((error: unknown) => failed ??= error).finally(() => forcing = null)
      }
      yield* Stream.runForEachArray(bytes, (chunks) =>
        attempt(async () => {
          for (const chunk of chunks) {
            tally.add(chunk)
            waiting.push(chunk)
            size += chunk.byteLength
          }
          if (size >= writeBytes) await flush()
        }))
      yield* attempt(async () => {
        await flush()
        await forcing
        if (failed !== null) throw failed
      })
    })
    const created = yield* store("write", key, file, fill)
    const info = yield* occupant("write", key, file)
    if (info === null || (created && info.size !== tally.size)) {
      return yield* failure("write", new Damaged({
        key: uri(key),
        message: `${file} is not there, or not of the size that was written, right after it was written`
      }))
    }
    return { created, info, sha256: tally.digest() }
  })

  const copy = Effect.fn("FileSystem.copy")(function*(from: string, key: string) {
    yield* locate("copy", from)
    const { created } = yield* write(key, read(from), { digest: false })
    return { created }
  })

  const unlink = (method: string, file: string) =>
    attempt(() => fs.unlink(file)).pipe(
      // A folder is no object: EISDIR, on some platforms EPERM.
      Effect.catchIf(
        (failed) => failed.code === "EPERM",
        (failed) =>
          Effect.flatMap(attempt(() => fs.lstat(file)), (at) => (at.isDirectory() ? Effect.void : Effect.fail(failed)))
      ),
      orOn([...absent, "EISDIR"], undefined),
      Effect.mapError((failed) => toBatchError(method, `cannot remove ${file}`, failed))
    )

  const remove = Effect.fn("FileSystem.remove")(function*(key: string) {
    const { file } = yield* Effect.flatMap(Key.check(key, { module, method: "remove" }), () => locate("remove", key))
    durable.clear()
    yield* unlink("remove", file)
    yield* prune(root, path.dirname(file))
  })

  const removeAll = Effect.fn("FileSystem.removeAll")(function*(keys: ReadonlyArray<string>) {
    const at = { module, method: "removeAll" }
    const places = yield* Effect.forEach(keys, (key) =>
      Effect.flatMap(Key.check(key, at), () => locate("removeAll", key)))
    durable.clear()
    yield* Effect.forEach(places, ({ file }) => unlink("removeAll", file), {
      concurrency: removalsAtOnce,
      discard: true
    })
    const folders = new Set(places.map(({ file }) => path.dirname(file)).filter((folder) => folder !== root))
    for (const folder of folders) {
      yield* Effect.ignore(attempt(() => removeEmpty(folder)))
      yield* prune(root, path.dirname(folder))
    }
  })

  const checksum = Effect.fn("FileSystem.checksum")((location: string) => Effect.as(locate("checksum", location), null))

  return {
    base,
    uri,
    location: (key) => path.join(root, key),
    head,
    list,
    listsFolders: true,
    folders,
    get,
    read,
    create,
    write,
    copy,
    remove,
    removeAll,
    checksum
  }
})

/** Writes blocks behind each other with as few calls as it takes. */
const writeAll = async (handle: fs.FileHandle, blocks: ReadonlyArray<Uint8Array>): Promise<void> => {
  let rest = blocks.filter((block) => block.byteLength > 0)
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest)
    let written = bytesWritten
    const left: Array<Uint8Array> = []
    for (const block of rest) {
      if (written < block.byteLength) left.push(block.subarray(written))
      written = Math.max(0, written - block.byteLength)
    }
    rest = left
  }
}

/** Removes folders that hold nothing any more, as S3 has none. */
const prune = (root: string, from: string): Effect.Effect<void> =>
  Effect.ignore(attempt(async () => {
    for (let folder = from; folder !== root; folder = path.dirname(folder)) await fs.rmdir(folder)
  }))

/** Makes the folder, clears what dead processes left, and tries what the store rests on. */
const open = Effect.fnUntraced(function*(root: string, temp: string) {
  const now = yield* Clock.currentTimeMillis
  const answers = yield* attempt(async () => {
    await fs.mkdir(temp, { recursive: true })
    await sweep(temp, now - abandonedAfter)
    return await linkTwice(temp)
  }).pipe(
    Effect.tap(() => Effect.ignore(syncFolder(path.dirname(root)))),
    Effect.mapError((failed) => toBatchError("make", `cannot use the folder ${root}`, failed))
  )
  if (answers[0] !== null || answers[1] !== "EEXIST") {
    return yield* failure("make", new Refused({
      code: "LinkUnsupported",
      message: `the file system of ${root} has no hard links (${answers[0] ?? "a second one replaced the first"}), ` +
        "without which objects cannot be written once and whole; use a folder on a local disk"
    }))
  }
})

/** Removes temporary files that nobody has touched since `before`. */
const sweep = async (temp: string, before: number): Promise<void> => {
  for (const name of await fs.readdir(temp)) {
    const file = path.join(temp, name)
    const stat = await fs.stat(file).catch(() => null)
    // The change time too: a file may have been given a time of modification from another clock.
    if (stat !== null && Math.max(stat.mtimeMs, stat.ctimeMs) < before) {
      await fs.rm(file, { force: true, recursive: true })
    }
  }
}

/** What two calls of link() for the same name answer: it must be null, then EEXIST. */
const linkTwice = async (temp: string): Promise<readonly [string | null, string | null]> => {
  const file = path.join(temp, randomUUID())
  const name = `${file}-link`
  const link = () => fs.link(file, name).then(() => null, (error: NodeJS.ErrnoException) => error.code ?? error.name)
  try {
    await fs.writeFile(file, "", { flag: "wx" })
    return [await link(), await link()]
  } finally {
    await Promise.all([file, name].map((made) => fs.rm(made, { force: true })))
  }
}

/** The bytes of a file as it was when it was opened: a name that is given to another file later does not matter. */
const readFile = (
  file: string,
  location: string,
  range: ByteRange | undefined
): Stream.Stream<Uint8Array, BatchError> => {
  const broken = (failed: FileFailed) =>
    absent.includes(failed.code)
      ? failure("read", new Refused({ code: "NoSuchKey", message: `there is no object ${location} (${file})` }))
      : toBatchError("read", `cannot read ${file}`, failed)
  return Stream.scoped(Stream.fromPull(Effect.gen(function*() {
    yield* checkRange(module, range)
    const handle = yield* Effect.acquireRelease(
      Effect.mapError(attempt(() => fs.open(file, "r")), broken),
      (opened) => Effect.ignore(attempt(() => opened.close()))
    )
    const stat = yield* Effect.mapError(attempt(() => handle.stat()), broken)
    if (!stat.isFile()) return yield* broken(new FileFailed({ code: "ENOENT", detail: "a folder", cause: undefined }))
    const end = Math.min(range?.end ?? stat.size, stat.size)
    let position = range?.start ?? 0
    const pull: Pull.Pull<Arr.NonEmptyReadonlyArray<Uint8Array>, BatchError> = Effect.gen(function*() {
      if (position >= end) return yield* Cause.done()
      const chunk = Buffer.allocUnsafeSlow(Math.min(chunkBytes, end - position))
      const { bytesRead } = yield* Effect.mapError(attempt(() => handle.read(chunk, 0, chunk.length, position)), broken)
      if (bytesRead === 0) {
        return yield* failure("read", new Damaged({
          key: location,
          message: `${file} was cut short while it was read`
        }))
      }
      position += bytesRead
      return [chunk.subarray(0, bytesRead)] as const
    })
    return pull
  })))
}

/**
 * Layer that keeps the files of runs in a folder. An object is a file, written under a temporary name in `.tmp`, forced
 * to the disk and then linked to its name, so that it is there whole or not at all, and never replaced. Its URI is
 * `s3://<bucket>/<key>` with a bucket of convenience, because that is how the local Bedrock is told of it.
 *
 * **Gotchas**
 *
 * A name cannot be both an object and the folder of others here, as it can on S3: that is `InvalidOption`.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import * as FileSystem from "@bedrock-batch/sdk/store/FileSystem"
 *
 * const store = FileSystem.layer({ directory: "./batches" })
 * ```
 */
export const layer = (options: Options): Layer.Layer<ObjectStore, BatchError> =>
  Layer.effect(ObjectStore, make(options))
