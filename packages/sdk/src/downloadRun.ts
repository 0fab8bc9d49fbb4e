/**
 * Copies what a run left from its store into a folder of this machine.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as path from "node:path"
import { BatchError, InvalidOption } from "./BatchError.ts"
import { at, broken, type Copied, copyObject, hashOf } from "./internal/CopyObject.ts"
import * as Layout from "./internal/Layout.ts"
import * as LocalFolder from "./internal/LocalFolder.ts"
import { checkRunId, notFound } from "./internal/RunKeys.ts"
import * as Key from "./store/Key.ts"
import { type ObjectInfo, ObjectStore } from "./store/ObjectStore.ts"

/**
 * Schema for a kind of files of a run: `outputs` are the lines that Bedrock wrote, and those of calls on demand;
 * `results` the rows with the model's columns; `inputs` what Bedrock read; `rows` the original columns.
 *
 * @since 0.1.0
 * @category schemas
 */
export const RunPart = Schema.Literals(["outputs", "results", "inputs", "rows"])

/**
 * A kind of files of a run.
 *
 * @since 0.1.0
 * @category models
 */
export type RunPart = typeof RunPart.Type

/**
 * Schema for a file that was downloaded.
 *
 * @since 0.1.0
 * @category schemas
 */
export const DownloadedFile = Schema.Struct({
  /** Key in the store, and path below the folder. */
  key: Schema.String,
  /** Size in bytes. */
  size: Schema.Natural,
  /** The store's ETag of what was copied. */
  etag: Schema.String,
  /** SHA-256 of the content, in hex. */
  sha256: Schema.String,
  /** Whether the content was held against a checksum that the store keeps, or, where it keeps none, its size alone. */
  verified: Schema.Literals(["checksum", "size"])
})

/**
 * A file that was downloaded.
 *
 * @since 0.1.0
 * @category models
 */
export interface DownloadedFile extends Schema.Schema.Type<typeof DownloadedFile> {}

/**
 * Schema for `download.json`, which lies beside the files.
 *
 * @since 0.1.0
 * @category schemas
 */
export const DownloadList = Schema.Struct({
  version: Schema.Literal(1),
  runId: Schema.String,
  /** In the order of their keys. */
  files: Schema.Array(DownloadedFile)
})

/**
 * What `download.json` holds.
 *
 * @since 0.1.0
 * @category models
 */
export interface DownloadList extends Schema.Schema.Type<typeof DownloadList> {}

/**
 * Schema for what a download came to. Counts are of the files that were asked for.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Download = Schema.Struct({
  runId: Schema.String,
  /** The folder that holds the run's folder, as an absolute path. */
  directory: Schema.String,
  files: Schema.Natural,
  /** Bytes of all files. */
  bytes: Schema.Natural,
  /** Files that were fetched now. */
  fetched: Schema.Natural,
  /** Files that were there already. */
  skipped: Schema.Natural,
  /** Files whose content was held against a checksum of the store. */
  byChecksum: Schema.Natural,
  /** Files of which the store keeps no checksum, so that only their size could be compared. */
  bySize: Schema.Natural,
  /** Generations of results that are not whole (they have no `report.json` yet) and were left out. */
  partial: Schema.Array(Schema.String)
})

/**
 * What a download came to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Download extends Schema.Schema.Type<typeof Download> {}

/**
 * Options of `downloadRun`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface DownloadOptions {
  /** What is copied, beside the run's description; default `["outputs", "results"]`. */
  readonly what?: ReadonlyArray<RunPart> | undefined
  /**
   * How a file that is there already is held against what was noted of it: `full` reads it again, `size` looks at its
   * size; default `full`.
   */
  readonly verify?: "full" | "size" | undefined
  /** Files that are copied at the same time; default 8. */
  readonly concurrency?: number | undefined
}

const defaultConcurrency = 8

const isPart = Schema.is(RunPart)
const List = Schema.fromJsonString(DownloadList)
const decodeList = Schema.decodeUnknownOption(List)
const encodeList = Schema.encodeSync(List)
const Line = Schema.fromJsonString(DownloadedFile)
const decodeLine = Schema.decodeUnknownOption(Line)
const encodeLine = Schema.encodeSync(Line)

const invalid = (path: string, message: string) =>
  new BatchError({ ...at, reason: new InvalidOption({ path, message }) })

const checkOptions = Effect.fnUntraced(function*(directory: string, options: DownloadOptions | undefined) {
  const { concurrency = defaultConcurrency, verify = "full", what = ["outputs", "results"] } = options ?? {}
  if (directory === "" || directory.includes("\0")) {
    return yield* invalid("directory", `${JSON.stringify(directory)} is no folder: name the one to download into`)
  }
  const unknown = what.find((part) => !isPart(part))
  if (unknown !== undefined) {
    const known = RunPart.literals.join(", ")
    return yield* invalid("what", `${JSON.stringify(unknown)} is nothing to download: give ${known}`)
  }
  if (verify !== "full" && verify !== "size") {
    return yield* invalid("verify", `verify is ${JSON.stringify(verify)}, and must be "full" or "size"`)
  }
  if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
    return yield* invalid("concurrency", `concurrency is ${concurrency}, and must be a whole number of at least 1`)
  }
  return { concurrency, verify, what: new Set(what) }
})

const isReport = (key: string): boolean => key.endsWith("/report.json")

/** The objects of whole generations, and the names of the others. */
const generations = (folder: string, objects: ReadonlyArray<ObjectInfo>) => {
  const nameOf = (key: string) => key.slice(folder.length).split("/")[0] ?? ""
  const names = new Set(objects.map(({ key }) => nameOf(key)))
  const keys = new Set(objects.map(({ key }) => key))
  const whole = new Set([...names].filter((name) => keys.has(`${folder}${name}/report.json`)))
  return {
    whole: objects.filter(({ key }) => whole.has(nameOf(key))),
    partial: [...names].filter((name) => name !== "" && !whole.has(name))
  }
}

/** What is to be copied: the objects in the order in which they may become visible. */
const select = Effect.fnUntraced(function*(store: ObjectStore["Service"], runId: string, what: ReadonlySet<RunPart>) {
  const heads = yield* Effect.forEach([Layout.plan(runId), Layout.manifest(runId)], store.head, { concurrency: 2 })
  const descriptions = heads.filter((info) => info !== null)
  if (descriptions.length === 0) return yield* notFound(at, runId, store.base)
  const prefixes = {
    outputs: [`${runId}/outputs/`, `${runId}/ondemand/`],
    results: [],
    inputs: [`${runId}/inputs/`],
    rows: [`${runId}/rows/`]
  }
  const wanted = [...[...what].flatMap((part) => prefixes[part]), Layout.attempts(runId)]
  const lists = yield* Effect.forEach(wanted, (prefix) => store.list(prefix), { concurrency: 4 })
  const folder = `${runId}/results/`
  const results = generations(folder, what.has("results") ? (yield* store.list(folder)).objects : [])
  const all = [...lists.flatMap(({ objects }) => objects), ...results.whole, ...descriptions]
  // Consoles mark folders by empty objects with a slash at the end.
  const objects = all.filter(({ key, size }) => !(key.endsWith("/") && size === 0))
  for (const { key } of objects) yield* Key.check(key, at)
  const problem = LocalFolder.unfit(objects.map(({ key }) => key), process.platform)
  if (problem !== null) return yield* Key.invalid(problem.key, problem.what, at)
  return { objects, partial: results.partial }
})

/** What is known of files that were copied: from `download.json`, and from the lines of a download that was cut off. */
const readNotes = Effect.fnUntraced(function*(list: string, journal: string) {
  const notes = new Map<string, Copied>()
  const whole = decodeList((yield* LocalFolder.readText(list)) ?? "")
  if (Option.isSome(whole)) for (const file of whole.value.files) notes.set(file.key, file)
  for (const text of ((yield* LocalFolder.readText(journal)) ?? "").split("\n")) {
    const line = decodeLine(text)
    if (Option.isSome(line)) notes.set(line.value.key, line.value)
  }
  return notes
})

/**
 * Copies a run into `directory`, below a folder of its id, each file under its own key: what is asked for, and the
 * run's description (`plan.json`, `run.json`, `attempts/`). Of results only whole generations are taken. A run that is
 * still going is copied as far as it has come.
 *
 * Each file is streamed to `<name>.part` beside it, held against its size and, where the store keeps one, its checksum,
 * forced to the disk and renamed; one that came damaged is fetched once more. At the end `download.json` in the run's
 * folder lists all of them with their SHA-256. Done again after a crash it goes on where it was, within a file too;
 * files that are there and as they were noted are not fetched again; others are replaced. Files that are no longer
 * stored are left alone. Two downloads must not write into the same folder at the same time.
 *
 * Nothing is written outside of `directory`, whatever the keys are and whatever links lie there. It fails with
 * `RunConflict` (`not-found`), `InvalidOption` for a key that cannot be a file here, `Damaged`, and `Refused` with the
 * system's code (`ENOSPC`, `EACCES`, `ELOOP`) for what the disk does not take. On S3 it needs `s3:ListBucket` and
 * `s3:GetObject` (and `kms:Decrypt` where objects are encrypted with a key).
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Run } from "@bedrock-batch/sdk"
 *
 * const download = Run.download("jokes-0123456789", "./downloads", { what: ["results"] })
 * ```
 */
export const downloadRun = Effect.fn("Run.download")(
  function*(
    runId: string,
    directory: string,
    options?: DownloadOptions
  ): Effect.fn.Return<Download, BatchError, ObjectStore> {
    yield* Effect.annotateCurrentSpan({ run: runId })
    const store = yield* ObjectStore
    yield* checkRunId(at, runId)
    const { concurrency, verify, what } = yield* checkOptions(directory, options)
    const { objects, partial } = yield* select(store, runId, what)
    const failing = broken(`cannot download run ${runId} into ${path.resolve(directory)}`)
    const folder = yield* Effect.mapError(LocalFolder.open(directory), failing)
    const list = yield* Effect.mapError(folder.fileOf(`${runId}/download.json`), failing)
    const journal = `${list}l`
    const before = yield* Effect.mapError(readNotes(list, journal), failing)
    const turn = yield* Semaphore.make(1)

    /** Notes a file, so that a download that is cut off knows of it. The line before may have been cut itself. */
    const note = (copied: Copied) =>
      turn.withPermits(1)(LocalFolder.append(journal, `\n${encodeLine(copied)}`)).pipe(
        Effect.mapError(broken(`cannot write ${journal}`))
      )

    /** What was noted of a file that is there as it was noted, and as it is stored; else null. */
    const present = Effect.fnUntraced(function*(file: string, { etag, key, size }: ObjectInfo) {
      const there = yield* LocalFolder.sizeOf(file)
      const noted = before.get(key)
      if (noted === undefined || noted.etag !== etag || noted.size !== size || there !== size) return null
      if (verify === "full" && (yield* hashOf(file, size)) !== noted.sha256) return null
      yield* Effect.forEach([`${file}.part`, `${file}.part.json`], LocalFolder.removeFile, { discard: true })
      return noted
    })

    const take = Effect.fnUntraced(function*(info: ObjectInfo) {
      const file = yield* Effect.mapError(folder.fileOf(info.key), failing)
      const there = yield* Effect.mapError(present(file, info), broken(`cannot read ${file}`))
      if (there !== null) return { copied: there, fetched: false }
      const copied = yield* copyObject(store, file, info)
      yield* note(copied)
      return { copied, fetched: true }
    })

    // What makes other files whole comes after them: a reader of the copy takes it for that.
    const late = (key: string) =>
      key === Layout.manifest(runId) || (key.startsWith(`${runId}/results/`) && isReport(key))
    const taken = yield* Effect.forEach(
      [objects.filter(({ key }) => !late(key)), objects.filter(({ key }) => late(key))],
      (some) => Effect.forEach(some, take, { concurrency })
    )
    const files = taken.flat()
    const notes = new Map(before)
    for (const { copied } of files) notes.set(copied.key, copied)
    const listed: DownloadList = {
      version: 1,
      runId,
      files: [...notes.values()].sort((a, b) => Key.compare(a.key, b.key))
    }
    yield* folder.sync.pipe(
      Effect.andThen(LocalFolder.replaceText(list, encodeList(listed))),
      Effect.andThen(LocalFolder.removeFile(journal)),
      Effect.mapError(broken(`cannot write ${list}`))
    )
    const fetched = files.filter((file) => file.fetched).length
    const byChecksum = files.filter(({ copied }) => copied.verified === "checksum").length
    return {
      runId,
      directory: folder.path,
      files: files.length,
      bytes: files.reduce((sum, { copied }) => sum + copied.size, 0),
      fetched,
      skipped: files.length - fetched,
      byChecksum,
      bySize: files.length - byChecksum,
      partial
    }
  }
)
