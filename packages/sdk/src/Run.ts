/**
 * A run: its durable manifest, its jobs, and where it stands.
 *
 * @since 0.1.0
 */
import { forId } from "@bedrock-batch/processors/Families"
import type { Processor } from "@bedrock-batch/processors/Processor"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { BatchError, InvalidOption } from "./BatchError.ts"
import { Reached, reached } from "./internal/Checkpoints.ts"
import * as Layout from "./internal/Layout.ts"
import { handleOf, readAttempts, readManifest, runOf } from "./internal/Manifest.ts"
import { isFinal } from "./internal/Refusals.ts"
import { type Entry, Ledger } from "./Ledger.ts"
import { type Handle, type Run, type RunManifest } from "./RunManifest.ts"
import type { Outcome, RecordColumns } from "./Outcome.ts"
import { ObjectStore } from "./store/ObjectStore.ts"

export { cancel, Cancelled, type CancelOptions } from "./cancel.ts"
export { type DeleteOptions, deleteRun as delete, Deletion } from "./deleteRun.ts"
export {
  Download,
  DownloadedFile,
  DownloadList,
  type DownloadOptions,
  downloadRun as download,
  RunPart
} from "./downloadRun.ts"
export { listRuns as list, RunSummary } from "./listRuns.ts"
export * from "./RunManifest.ts"

/**
 * A row of a run that was loaded by its id alone: its columns are not known to the compiler.
 *
 * @since 0.1.0
 * @category models
 */
export interface UntypedResultRow extends RecordColumns {
  readonly [column: string]: unknown
  readonly batch_status: Outcome
  readonly batch_error_code: string | null
  readonly batch_error_message: string | null
}

const jobCounts = Schema.Struct({
  planned: Schema.Natural,
  claimed: Schema.Natural,
  refused: Schema.Natural,
  submitted: Schema.Natural,
  ended: Schema.Natural
})

/**
 * Schema for where a run stands.
 *
 * @since 0.1.0
 * @category schemas
 */
export const RunStatus = Schema.Struct({
  runId: Schema.String,
  /** Rows of the run; 0 while it is not prepared. */
  records: Schema.Natural,
  /** While it is not prepared: the jobs that are complete by the furthest checkpoint, and their records; else null. */
  preparing: Schema.NullOr(Reached),
  /**
   * Jobs of all attempts, by what the ledger holds of them. `claimed`: a create call was begun and has no answer yet, or
   * the job runs on demand.
   */
  jobs: jobCounts,
  /** The attempts, in order. `cancelled`: nothing more of it is submitted, since its deadline was reached. */
  attempts: Schema.Array(Schema.Struct({
    attempt: Schema.Natural,
    /** Records in its jobs. */
    records: Schema.Natural,
    jobs: jobCounts,
    cancelled: Schema.Boolean
  })),
  /** Whether the whole run is cancelled. */
  cancelled: Schema.Boolean,
  /** Where the whole generations of results of the last attempt are. */
  results: Schema.Array(Schema.String),
  /** The verb that the run waits for; `nothing` when its last attempt is collected. */
  next: Schema.Literals(["prepare", "submit", "await", "collect", "nothing"])
})

/**
 * Where a run stands.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunStatus extends Schema.Schema.Type<typeof RunStatus> {}

/**
 * Options of `load` and `open`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface LoadOptions {
  /**
   * The processor that the run was prepared with, where it is one of the user's own or has an `output` schema around it:
   * `StructuredOutput.structured(Converse.converse, schema, { model })`.
   */
  readonly processor?: Processor<object> | undefined
  /** The attempt at which the run is given, one that was made; default its last. 1 is the first. */
  readonly attempt?: number | undefined
}

/** The attempt that was asked for, which must be there. */
const attemptOf = Effect.fnUntraced(function*(store: ObjectStore["Service"], runId: string, wanted: number | undefined) {
  if (wanted === 1) return 1
  const last = (yield* readAttempts(store, runId)).at(-1)?.attempt ?? 1
  if (wanted === undefined) return last
  if (Number.isSafeInteger(wanted) && wanted >= 1 && wanted <= last) return wanted
  const message = `run ${runId} has no attempt ${wanted}: its last is ${last}`
  const reason = new InvalidOption({ path: "attempt", message })
  return yield* new BatchError({ module: "Run", method: "load", reason })
})

const processorOf = (manifest: RunManifest, options: LoadOptions | undefined): Effect.Effect<Processor<object>, BatchError> => {
  const processor = options?.processor ?? forId(manifest.processor)
  return processor !== undefined && processor.id === manifest.processor ? Effect.succeed(processor) : Effect.fail(
    new BatchError({
      module: "Run",
      method: "load",
      reason: new InvalidOption({
        path: "processor",
        message: `run ${manifest.runId} was prepared with the processor ${manifest.processor}: pass it as processor` +
          (processor === undefined ? "" : `, not ${processor.id}`) +
          (manifest.processor.includes("+output:")
            ? " (an output schema is made one with StructuredOutput.structured, for the same model and way)"
            : "")
      })
    })
  )
}

/**
 * Opens a prepared run at its last attempt, or at another, without reading its job list. Fails with `RunConflict`
 * (`not-found`, `not-prepared`).
 *
 * @since 0.1.0
 * @category constructors
 */
export const open = Effect.fn("Run.open")(
  function*(runId: string, options?: LoadOptions): Effect.fn.Return<Handle<UntypedResultRow>, BatchError, ObjectStore> {
    yield* Effect.annotateCurrentSpan({ run: runId })
    const store = yield* ObjectStore
    const manifest = yield* readManifest(store, runId)
    return handleOf<UntypedResultRow>(
      manifest,
      yield* processorOf(manifest, options),
      yield* attemptOf(store, runId, options?.attempt)
    )
  }
)

/**
 * Loads a prepared run by its id, at its last attempt or at another; calling `prepare` again with the same options gives
 * it typed. Fails with `RunConflict` (`not-found`, `not-prepared`).
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { awaitAll, collect, Run, submit } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const run = yield* Run.load("jokes-0123456789")
 *   const jobs = yield* awaitAll(run.jobs.map(submit))
 *   return yield* collect(run, jobs)
 * })
 * ```
 */
export const load = Effect.fn("Run.load")(
  function*(runId: string, options?: LoadOptions): Effect.fn.Return<Run<UntypedResultRow>, BatchError, ObjectStore> {
    yield* Effect.annotateCurrentSpan({ run: runId })
    const store = yield* ObjectStore
    const manifest = yield* readManifest(store, runId)
    const processor = yield* processorOf(manifest, options)
    const attempt = yield* attemptOf(store, runId, options?.attempt)
    return yield* runOf<UntypedResultRow>(store, manifest, processor, attempt)
  }
)

/** Whether a call may be under way: the claims before the last one are known to have given no job. */
const isClaimed = ({ claims, unlisted }: Entry): boolean => {
  const last = claims.at(-1)
  return last !== undefined && !last.refused && last.number > unlisted
}

/** What of an attempt's refused jobs is to be sent again: not those that Bedrock refused for good. */
const toSendAgain = Effect.fnUntraced(function*(runId: string, attempt: number, entries: ReadonlyMap<string, Entry>) {
  const ledger = yield* Ledger
  const last = [...entries].flatMap(([key, { accepted, claims, ended }]) => {
    const claim = claims.at(-1)
    return !key.startsWith(`${attempt}-`) || accepted || ended || !claim?.refused ? [] : [{ key, claim }]
  })
  const refusals = yield* Effect.forEach(
    last,
    ({ claim, key }) => ledger.refusal({ runId, key }, claim.number),
    { concurrency: 16 }
  )
  return refusals.filter((refusal) => refusal === null || !isFinal(refusal)).length
})

/**
 * Says where a run stands, from its manifests and a list of its ledger; Bedrock is not asked. Fails with `RunConflict`
 * (`not-found`).
 *
 * @since 0.1.0
 * @category getters
 * @example
 * ```ts
 * import { Run } from "@bedrock-batch/sdk"
 * import { Console, Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const { jobs, next } = yield* Run.status("jokes-0123456789")
 *   yield* Console.log(`${jobs.ended} jobs have ended; next: ${next}`)
 * })
 * ```
 */
export const status = Effect.fn("Run.status")(
  function*(runId: string): Effect.fn.Return<RunStatus, BatchError, ObjectStore | Ledger> {
    yield* Effect.annotateCurrentSpan({ run: runId })
    const store = yield* ObjectStore
    const ledger = yield* Ledger
    const manifest = yield* readManifest(store, runId).pipe(
      Effect.catchIf(
        ({ reason }) => reason._tag === "RunConflict" && reason.problem === "not-prepared",
        () => Effect.succeed(null)
      )
    )
    const marks = new Set((yield* store.list(Layout.cancelled(runId))).objects.map(({ key }) => key))
    const cancelled = marks.has(Layout.cancelled(runId))
    const none = { planned: 0, claimed: 0, refused: 0, submitted: 0, ended: 0 }
    if (manifest === null) {
      const unprepared: RunStatus = {
        runId,
        records: 0,
        preparing: yield* reached(store, runId),
        jobs: none,
        attempts: [],
        cancelled,
        results: [],
        next: "prepare"
      }
      return unprepared
    }
    const entries = yield* ledger.entries(runId)
    const attempts = [{ attempt: 1, records: manifest.records, jobs: manifest.jobs }, ...(yield* readAttempts(store, runId))]
      .map(({ attempt, jobs: { count }, records }) => {
        const jobs = { ...none, planned: count }
        for (const [key, entry] of entries.jobs) {
          if (!key.startsWith(`${attempt}-`)) continue
          if (entry.claims.length === 0 && !entry.accepted && !entry.ended) continue
          jobs.planned--
          if (entry.ended) jobs.ended++
          else if (entry.accepted) jobs.submitted++
          else if (isClaimed(entry)) jobs.claimed++
          else jobs.refused++
        }
        return { attempt, records, jobs, cancelled: marks.has(Layout.cancelledAttempt(runId, attempt)) }
      })
    const last = attempts.at(-1)!
    const sum = (of: keyof typeof none): number => attempts.reduce((total, { jobs }) => total + jobs[of], 0)
    const generations = (yield* store.folders(Layout.resultsOf(runId))).filter((name) => name.startsWith(`${last.attempt}-`))
    const whole = yield* Effect.filter(
      generations,
      (name) => Effect.map(store.head(Layout.report(runId, name)), (report) => report !== null),
      { concurrency: 8 }
    )
    const { claimed, planned, submitted } = last.jobs
    const isToSend = !cancelled && !last.cancelled &&
      planned + claimed + (yield* toSendAgain(runId, last.attempt, entries.jobs)) > 0
    const result: RunStatus = {
      runId,
      records: manifest.records,
      preparing: null,
      jobs: {
        planned: sum("planned"),
        claimed: sum("claimed"),
        refused: sum("refused"),
        submitted: sum("submitted"),
        ended: sum("ended")
      },
      attempts,
      cancelled,
      results: whole.map((name) => store.location(Layout.results(runId, name))),
      next: isToSend ? "submit" : claimed + submitted > 0 ? "await" : whole.length === 0 ? "collect" : "nothing"
    }
    return result
  }
)
