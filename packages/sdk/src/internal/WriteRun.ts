/**
 * Writes a run: the plan first, then each job's files, the job list, and last the manifest, which makes the run
 * prepared.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { BatchError, InvalidOption, InvalidSource, RunConflict } from "../BatchError.ts"
import { type Impossible, Planner } from "../Planner.ts"
import * as Progress from "../Progress.ts"
import type { Fingerprint, Plan, RunManifest } from "../RunManifest.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"
import { type Batch, slice } from "./Batch.ts"
import type { Definition } from "./Definition.ts"
import { freshId, sha256 } from "./Digest.ts"
import * as EncodeRows from "./EncodeRows.ts"
import * as JobWriter from "./JobWriter.ts"
import * as Layout from "./Layout.ts"
import { jobLists, manifests, plans } from "./Manifest.ts"
import * as MediaCopies from "./MediaCopies.ts"
import * as PlannedJobs from "./PlannedJobs.ts"
import * as ReadMedia from "./ReadMedia.ts"
import type { Segment } from "./RecordEncoder.ts"

type Store = ObjectStore["Service"]

const error = (reason: BatchError["reason"]) => new BatchError({ module: "prepare", method: "prepare", reason })

/** Gives the run's manifest: the one that is there, or a new one. @internal */
export const writeRun = Effect.fnUntraced(function*(store: Store, definition: Definition) {
  const there = yield* manifests.read(store, Layout.manifest(definition.runId))
  if (there !== null) {
    yield* agree(definition, there.fingerprint)
    yield* prepared(there)
    return there
  }
  if ((yield* store.head(Layout.cancelled(definition.runId))) !== null) {
    return yield* error(
      new RunConflict({
        runId: definition.runId,
        problem: "cancelled",
        differs: [],
        message: `run ${definition.runId} was cancelled before it was prepared, or its deletion was cut off: delete it first`
      })
    )
  }
  // What the number of rows alone shows to be impossible fails before anything is written. A plan that is there holds.
  const begun = yield* plans.read(store, Layout.plan(definition.runId))
  if (begun !== null) yield* agree(definition, begun.fingerprint)
  yield* plannerOf(definition, (begun ?? definition).bounds)
  const prepareId = yield* freshId
  const { jobs, plan } = yield* writeJobs(store, definition, prepareId)
  const list = jobLists.encode(jobs)
  const key = Layout.jobList(definition.runId, prepareId)
  yield* store.write(key, Stream.make(list))
  const manifest: RunManifest = {
    version: 1,
    runId: definition.runId,
    name: plan.name,
    createdAt: plan.createdAt,
    fingerprint: plan.fingerprint,
    model: definition.model,
    region: definition.region,
    invocationType: definition.processor.invocationType,
    processor: definition.processor.id,
    source: definition.source.description,
    columns: definition.source.columns,
    answer: definition.answer,
    rename: definition.rename,
    bounds: plan.bounds,
    records: jobs.reduce((sum, job) => sum + job.records, 0),
    bytes: jobs.reduce((sum, job) => sum + job.bytes, 0),
    jobs: { key, count: jobs.length, sha256: sha256(list) }
  }
  const { value } = yield* manifests.createOrRead(store, Layout.manifest(definition.runId), manifest)
  yield* agree(definition, value.fingerprint)
  yield* prepared(value)
  return value
})

const prepared = ({ jobs, records, runId }: RunManifest): Effect.Effect<void> =>
  Progress.emit({ _tag: "Prepared", runId, records, jobs: jobs.count, done: true })

/** The same run id with another fingerprint is refused, with the difference named. */
const agree = (definition: Definition, fingerprint: Fingerprint): Effect.Effect<void, BatchError> => {
  const differs = Object.entries(definition.fingerprint).flatMap(([part, digest]) =>
    new Map(Object.entries(fingerprint)).get(part) === digest ? [] : [part]
  )
  return differs.length === 0 ? Effect.void : Effect.fail(error(
    new RunConflict({
      runId: definition.runId,
      problem: "different",
      differs,
      message: `run ${definition.runId} exists with another ${differs.join(", ")}: choose another runId, or delete that run if it is not needed`
    })
  ))
}

/** @internal */
export const plannerOf = (definition: Definition, bounds: Plan["bounds"]): Effect.Effect<Planner, BatchError> => {
  const planner = Planner.make(bounds, definition.source.count, definition.belowMinimum)
  return Result.isSuccess(planner) ? Effect.succeed(planner.success) : Effect.fail(impossible(definition, planner.failure))
}

/** @internal */
export const impossible = (definition: Definition, { message, problem, row }: Impossible): BatchError =>
  problem === "no-plan"
    ? error(new InvalidOption({ path: "limits", message }))
    : error(
      new InvalidSource({
        problem,
        uri: definition.source.uri,
        row,
        column: null,
        message: definition.source.uri === null ? message : `${definition.source.uri}: ${message}`
      })
    )

/** Creates `plan.json`, or takes up the one that is there. */
const begin = Effect.fnUntraced(function*(store: Store, definition: Definition, prepareId: string) {
  const createdAt = new Date(yield* Clock.currentTimeMillis).toISOString()
  const { value: plan } = yield* plans.createOrRead(store, Layout.plan(definition.runId), {
    version: 1,
    runId: definition.runId,
    name: definition.name,
    createdAt,
    fingerprint: definition.fingerprint,
    nonce: yield* freshId,
    bounds: definition.bounds,
    timeoutHours: definition.timeoutHours,
    prepareId,
    recipe: definition.recipe
  })
  yield* agree(definition, plan.fingerprint)
  const writer = JobWriter.make(store, {
    runId: definition.runId,
    attempt: 1,
    model: definition.model,
    region: definition.region,
    invocationType: definition.processor.invocationType,
    prepareId,
    timeoutHours: plan.timeoutHours,
    nonce: plan.nonce,
    columns: definition.source.columns,
    uncopied: ({ column, from, row }, failed) => ReadMedia.uncopied(definition.source, row, column, from, failed)
  })
  const planner = yield* plannerOf(definition, plan.bounds)
  const planned = yield* PlannedJobs.make(planner, writer, "prepare", (why) => impossible(definition, why))
  return { plan, planned, planner, writer }
})

/**
 * Reads the source and writes the jobs' files. The plan is created when the first rows have become requests: a mistake
 * that shows in them leaves nothing behind.
 */
const writeJobs = Effect.fnUntraced(function*(store: Store, definition: Definition, prepareId: string) {
  const { source } = definition
  const state: { begun: Effect.Success<ReturnType<typeof begin>> | null } = { begun: null }
  let rows = 0
  const { attachments } = definition.encoder
  const folder = MediaCopies.openFolder(store, definition.runId, prepareId, 1)
  const encode = EncodeRows.make(
    definition,
    attachments.length === 0 ? null : ReadMedia.make(store, definition, attachments, folder)
  )

  const write = Effect.fnUntraced(function*(segments: ReadonlyArray<Segment>) {
    const { planned, writer } = state.begun ??= yield* begin(store, definition, prepareId)
    for (const segment of segments) rows += yield* planned.take(segment)
    yield* Progress.emit({ _tag: "Prepared", runId: definition.runId, records: rows, jobs: writer.closed(), done: false })
  })

  const take = Effect.fnUntraced(function*(batch: Batch) {
    const room = state.begun?.planner.room ?? definition.bounds.maxRecordsTotal ?? Infinity
    const part = slice(batch, 0, Math.min(batch.length, room))
    const firstRow = rows
    yield* Stream.runForEach(encode(part, firstRow), ({ segments }) => write(segments))
    return state.begun?.planner.ended ?? false
  })

  yield* source.batches.pipe(
    Stream.mapEffect(take),
    Stream.takeUntil((ended) => ended),
    Stream.runDrain
  )
  if (state.begun === null) {
    return yield* impossible(definition, { problem: "empty", row: null, message: "there are no rows" })
  }
  return { jobs: yield* state.begun.planned.end, plan: state.begun.plan }
})
