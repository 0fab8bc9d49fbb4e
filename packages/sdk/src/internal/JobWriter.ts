/**
 * Writes the files of one job after the other, as the plan's steps say.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { BatchError, Damaged } from "../BatchError.ts"
import type { Column } from "../Column.ts"
import type { Job, JobFile } from "../Job.ts"
import type { Step } from "../Planner.ts"
import * as Progress from "../Progress.ts"
import type { ObjectStore, Written } from "../store/ObjectStore.ts"
import type { Batch } from "./Batch.ts"
import { sha256 } from "./Digest.ts"
import * as Layout from "./Layout.ts"
import * as MediaCopies from "./MediaCopies.ts"
import type { Segment } from "./RecordEncoder.ts"
import * as RowsFile from "./RowsFile.ts"
import * as Upload from "./Upload.ts"

/** What all jobs of an attempt have in common. @internal */
export interface Common
  extends Pick<Job, "runId" | "attempt" | "model" | "region" | "invocationType" | "prepareId" | "timeoutHours">
{
  readonly nonce: string
  readonly columns: ReadonlyArray<Column>
  /** The row number of the first row that is written; default 0. */
  readonly startRow?: number | undefined
  /** The row number of a row; by default rows are numbered as they come, from `startRow` on. */
  readonly rowOf?: ((batch: Batch, at: number) => number) | undefined
  /** The failure of an object that records name and that could not be copied. */
  readonly uncopied: (reference: MediaCopies.Reference, failed: BatchError) => BatchError
}

interface OpenJob {
  readonly index: number
  readonly key: string
  firstRow: number
  lastRow: number
  readonly rows: Upload.Upload<Batch>
  readonly files: Array<JobFile>
  file: { readonly index: number; readonly key: string; readonly upload: Upload.Upload<Uint8Array>; records: number } | null
  records: number
  /** Names of the copies that its records name. */
  readonly copies: Set<string>
}

/** @internal */
export interface JobWriter {
  /** Writes the segments of one step. A job that the step closes is stored while the next one is written. */
  readonly write: (
    step: Step,
    segments: ReadonlyArray<Segment>,
    lane: Job["lane"]
  ) => Effect.Effect<void, BatchError, Scope.Scope>
  /** Jobs that were closed so far. */
  readonly closed: () => number
  /** Those of them that are stored. */
  readonly stored: () => ReadonlyArray<Job>
  /** The row number of the next row, where rows are numbered as they come. */
  readonly nextRow: () => number
  /** All jobs, as soon as they are stored. */
  readonly jobs: Effect.Effect<ReadonlyArray<Job>, BatchError>
}

const fileOf = (key: string, written: Written, records: number): JobFile => ({
  key,
  size: written.info.size,
  etag: written.info.etag,
  sha256: written.sha256,
  records
})

/** @internal */
export const make = (store: ObjectStore["Service"], common: Common): JobWriter => {
  let open: OpenJob | null = null
  let nextRow = common.startRow ?? 0
  const stored: Array<Job> = []
  let storing: Fiber.Fiber<number, BatchError> | null = null
  let closed = 0

  const rowOf = common.rowOf ?? ((_: Batch, at: number) => nextRow + at)

  /** Waits for the job before: at most one is stored while another is written. */
  const settle = Effect.suspend(() => {
    if (storing === null) return Effect.void
    return Effect.map(Fiber.join(storing), () => {
      storing = null
    })
  })

  const openJob = Effect.fnUntraced(function*(index: number) {
    const key = Layout.jobKey(common.attempt, index)
    const rows = yield* Upload.open<Batch>(
      store,
      Layout.rows(common.runId, common.prepareId, key),
      (batches) => RowsFile.encode(common.columns, batches)
    )
    const job: OpenJob = {
      index,
      key,
      firstRow: -1,
      lastRow: -1,
      rows,
      files: [],
      file: null,
      records: 0,
      copies: new Set()
    }
    return job
  })

  const openFolder = MediaCopies.openFolder(store, common.runId, common.prepareId, common.attempt)

  /** Copies what the records of a segment name into the job's folder, each object once, and has them name it there. */
  const place = Effect.fnUntraced(function*(job: OpenJob, { bytes, references = [] }: Segment) {
    if (references.length === 0) return
    const folder = Layout.inputs(common.runId, common.prepareId, job.key)
    MediaCopies.placeIn(bytes, openFolder, store.uri(folder))
    const wanted = new Map<string, MediaCopies.Reference>()
    for (const one of references) if (!job.copies.has(one.name) && !wanted.has(one.name)) wanted.set(one.name, one)
    yield* Effect.forEach(wanted.values(), (one) =>
      Effect.mapError(store.copy(one.from, folder + one.name), (failed) => common.uncopied(one, failed)), {
      concurrency: MediaCopies.copiesAtOnce,
      discard: true
    })
    for (const name of wanted.keys()) job.copies.add(name)
  })

  /** What lies in the job's folder of the objects that its records name. */
  const mediaOf = Effect.fnUntraced(function*(job: OpenJob) {
    if (job.copies.size === 0) return {}
    const folder = Layout.inputs(common.runId, common.prepareId, job.key)
    const { objects } = yield* store.list(`${folder}${MediaCopies.prefix}`)
    const copies = objects.filter(({ key }) => job.copies.has(key.slice(folder.length)))
    if (copies.length < job.copies.size) {
      const reason = new Damaged({ key: folder, message: `${folder} lacks media that was copied into it; prepare again` })
      return yield* new BatchError({ module: "prepare", method: "write", reason })
    }
    return { media: MediaCopies.entryOf(folder, copies) }
  })

  const closeFile = Effect.fnUntraced(function*(job: OpenJob) {
    if (job.file === null) return
    job.files.push(fileOf(job.file.key, yield* job.file.upload.close, job.file.records))
    job.file = null
  })

  const closeJob = Effect.fnUntraced(function*(job: OpenJob, lane: Job["lane"]) {
    yield* closeFile(job)
    const rowsKey = Layout.rows(common.runId, common.prepareId, job.key)
    const rows = fileOf(rowsKey, yield* job.rows.close, job.records)
    const digest = sha256(...job.files.map((file) => `${file.sha256}\n`))
    const identity = [store.base, common.runId, common.nonce, job.key, digest].join("\n")
    const closed: Job = {
      version: 1,
      runId: common.runId,
      key: job.key,
      attempt: common.attempt,
      index: job.index,
      lane,
      model: common.model,
      region: common.region,
      invocationType: common.invocationType,
      name: `${common.runId}-${job.key}-${sha256("name\n", identity).slice(0, 8)}`,
      token: sha256("token\n", identity),
      prepareId: common.prepareId,
      input: Layout.inputs(common.runId, common.prepareId, job.key),
      output: (lane === "batch" ? Layout.outputs : Layout.onDemand)(common.runId, job.key),
      files: job.files,
      rows,
      firstRow: job.firstRow,
      lastRow: job.lastRow,
      records: job.records,
      bytes: job.files.reduce((sum, file) => sum + file.size, 0),
      ...(yield* mediaOf(job)),
      timeoutHours: common.timeoutHours
    }
    const { bytes, records } = closed
    yield* Progress.emit({ _tag: "Uploaded", runId: common.runId, job: job.key, records, bytes })
    return closed
  })

  return {
    write: Effect.fnUntraced(function*(step: Step, segments: ReadonlyArray<Segment>, lane: Job["lane"]) {
      const job: OpenJob = open ?? (yield* openJob(step.job))
      open = job
      if (step.records > 0 && job.file?.index !== step.file) {
        yield* closeFile(job)
        const key = `${Layout.inputs(common.runId, common.prepareId, job.key)}part-${step.file}.jsonl`
        const upload = yield* Upload.open<Uint8Array>(store, key, (pieces) => pieces)
        job.file = { index: step.file, key, upload, records: 0 }
      }
      for (const segment of segments) {
        yield* place(job, segment)
        yield* job.file!.upload.offer(segment.bytes)
        yield* job.rows.offer(segment.batch)
        if (job.firstRow < 0) job.firstRow = rowOf(segment.batch, 0)
        job.lastRow = rowOf(segment.batch, segment.batch.length - 1)
        nextRow += segment.batch.length
      }
      if (job.file !== null) job.file.records += step.records
      job.records += step.records
      if (!step.closes) return
      open = null
      closed++
      yield* settle
      storing = yield* Effect.forkScoped(Effect.map(closeJob(job, lane), (whole) => stored.push(whole)))
    }),
    closed: () => closed,
    stored: () => stored,
    nextRow: () => nextRow,
    jobs: Effect.as(settle, stored)
  }
}
