/**
 * Ends a run before its time: nothing more is submitted, and what is open is stopped.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { BatchError, InvalidOption, RunConflict } from "./BatchError.ts"
import { BatchJobs, type CreateRequest } from "./bedrock/BatchJobs.ts"
import { cancelRun } from "./internal/CancelMarks.ts"
import * as Layout from "./internal/Layout.ts"
import { manifests, readAllJobs } from "./internal/Manifest.ts"
import { endCancelled } from "./internal/OnDemandJob.ts"
import { patiently } from "./internal/Patience.ts"
import { endOf, recordEnds } from "./internal/RecordEnds.ts"
import { cancelledCode } from "./internal/Refusals.ts"
import * as RunId from "./internal/RunId.ts"
import { settleRound, unsettledClaims } from "./internal/SettleClaims.ts"
import { makeStop } from "./internal/StopJobs.ts"
import { cancelledJob } from "./internal/Views.ts"
import type { Counters, Job, SubmittedJob } from "./Job.ts"
import { type Entries, type Entry, Ledger } from "./Ledger.ts"
import * as Progress from "./Progress.ts"
import { ObjectStore } from "./store/ObjectStore.ts"
import { polling } from "./wait/Polling.ts"

/**
 * Options of `cancel`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface CancelOptions {
  /**
   * Whether to wait until every job has ended, and until it is known of every create call without an answer whether it
   * made a job (up to the ledger's `settleAfter`, 5 minutes). Without it the call returns when the open jobs that are
   * known have been asked to stop; call it again for the rest. Default: true.
   */
  readonly wait?: boolean | undefined
}

/**
 * Schema for what `cancel` found and did, over the jobs of all attempts. Its numbers of jobs sum to `total`, but for
 * `uncounted`; those of records sum to theirs.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Cancelled = Schema.Struct({
  runId: Schema.String,
  /** When the run was cancelled first, ISO 8601, by the store's clock. */
  at: Schema.String,
  jobs: Schema.Struct({
    total: Schema.Natural,
    /** Had ended before. */
    ended: Schema.Natural,
    /** Were open, were asked to stop by this call, and have ended. */
    stopped: Schema.Natural,
    /** Were open and were asked to stop; they are not known to have ended. Only without `wait`. */
    stopping: Schema.Natural,
    /** Were never sent, or were told "not now" each time. */
    neverSent: Schema.Natural,
    /** Were refused by Bedrock for good. */
    refused: Schema.Natural,
    /** Of a create call without an answer Bedrock's list shows no job: most probably there is none. */
    settledByList: Schema.Natural,
    /** It is not known yet whether a create call without an answer made a job. Only without `wait`. */
    unsettled: Schema.Natural,
    /** Of all those: jobs of which it is not known how many records were processed. */
    uncounted: Schema.Natural
  }),
  /** Keys of the jobs that were settled by Bedrock's list alone. */
  settledByList: Schema.Array(Schema.String),
  /** Keys of the jobs of which it is not known yet whether they exist. */
  unsettled: Schema.Array(Schema.String),
  /** A record that was tried in several attempts counts in each of them. */
  records: Schema.Struct({
    total: Schema.Natural,
    /** Processed, by Bedrock's counters: these are billed, and their answers can be collected. */
    processed: Schema.Natural,
    /** Not processed, and never will be. */
    notRun: Schema.Natural,
    /** Records of `uncounted` jobs. */
    unknown: Schema.Natural
  })
})

/**
 * What `cancel` found and did.
 *
 * @since 0.1.0
 * @category models
 */
export interface Cancelled extends Schema.Schema.Type<typeof Cancelled> {}

type Fate =
  | { readonly _tag: "ended" | "stopped"; readonly counters: Counters | null }
  | { readonly _tag: "stopping" | "neverSent" | "refused" | "settledByList" | "unsettled" }

/** Calls to the store at a time. */
const concurrency = 16

const fail = (reason: BatchError["reason"]) => new BatchError({ module: "cancel", method: "cancel", reason })

/**
 * Cancels a run, for good: from the moment on that its mark is stored nobody submits anything more of it, whatever
 * process that is. Then it finds the jobs of create calls without an answer, asks open jobs to stop, waits until all
 * have ended, and records their ends. Records that Bedrock has processed are billed; their answers are there to be
 * collected, and all other rows are `missing`.
 *
 * It can be called at any time and by anybody who knows the run id, also while other processes are at work on the run;
 * called again it finishes what an earlier call began. Of a run that has ended it changes nothing at Bedrock: `stopped`
 * and `stopping` are 0.
 *
 * Fails with `RunConflict` (`not-found`), with `InvalidOption` for a client of another Region than that of open jobs,
 * and as the services do. Whatever it fails with later, the run is cancelled once its mark is stored.
 *
 * @since 0.1.0
 * @category combinators
 * @example
 * ```ts
 * import { Run } from "@bedrock-batch/sdk"
 * import { Console, Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const { jobs, records } = yield* Run.cancel("jokes-0123456789")
 *   yield* Console.log(`${jobs.stopped} jobs were stopped; ${records.processed} records are billed`)
 * })
 * ```
 */
export const cancel = Effect.fn("cancel")(
  function*(
    runId: string,
    options?: CancelOptions
  ): Effect.fn.Return<Cancelled, BatchError, BatchJobs | Ledger | ObjectStore> {
    yield* Effect.annotateCurrentSpan({ run: runId })
    const wait = options?.wait ?? true
    if (typeof wait !== "boolean") {
      const message = `wait is ${JSON.stringify(wait)}, and must be true or false`
      return yield* fail(new InvalidOption({ path: "wait", message }))
    }
    const at = yield* markCancelled(runId)
    const store = yield* ObjectStore
    const ledger = yield* Ledger
    const manifest = yield* manifests.read(store, Layout.manifest(runId))
    // Without a manifest nothing was submitted, and nothing will be.
    const jobs = manifest === null ? [] : yield* readAllJobs(store, manifest)
    const entries = yield* ledger.entries(runId)
    const fates = yield* Effect.scoped(settle(jobs, entries, wait))
    return summary(runId, at, jobs, fates)
  }
)

/** Stores the mark of an existing run; gives the time of the first one. */
const markCancelled = Effect.fnUntraced(function*(runId: string) {
  const store = yield* ObjectStore
  if (!RunId.isLegal(runId)) {
    return yield* fail(new InvalidOption({ path: "runId", message: RunId.explain("runId", runId) }))
  }
  if ((yield* store.head(Layout.plan(runId))) === null && (yield* store.head(Layout.manifest(runId))) === null) {
    const message = `there is no run ${runId} under ${store.base}; nothing was cancelled`
    return yield* fail(new RunConflict({ runId, problem: "not-found", differs: [], message }))
  }
  yield* patiently(cancelRun(store, runId))
  const mark = yield* store.head(Layout.cancelled(runId))
  return new Date(mark?.modifiedAt ?? 0).toISOString()
})

const ofOtherRegion = (job: Job, region: string) =>
  fail(
    new InvalidOption({
      path: "region",
      message: `run ${job.runId} is cancelled, and nothing more of it is submitted; but it is in Region ${job.region}, ` +
        `and the client is for ${region}, so its open jobs were not stopped: cancel it again with a client for the first`
    })
  )

/** Takes each job of a cancelled run to its end, or says why it has none. */
const settle = Effect.fnUntraced(function*(jobs: ReadonlyArray<Job>, entries: Entries, wait: boolean) {
  const ledger = yield* Ledger
  const service = yield* BatchJobs
  const stop = yield* makeStop(patiently)
  const waiter = yield* polling().open
  const fates = new Map<Job, Fate>()
  const accepted = new Map<string, Job>()
  const calledOnDemand: Array<Job> = []
  const unsettled: Array<Job> = []

  yield* Effect.forEach(
    jobs,
    Effect.fnUntraced(function*(job) {
      const entry = entries.jobs.get(job.key)
      const ended = entry?.ended ? yield* ledger.ended(job) : null
      if (ended !== null) fates.set(job, { _tag: "ended", counters: ended.counters })
      else if (entry === undefined || (entry.claims.length === 0 && !entry.accepted)) {
        fates.set(job, { _tag: "neverSent" })
      } else if (job.lane === "on-demand") calledOnDemand.push(job)
      else if (entry.accepted) accepted.set(job.key, job)
      else if (unsettledClaims(entry).length > 0) unsettled.push(job)
      else fates.set(job, { _tag: yield* whyNone(job, entry) })
    }),
    { concurrency, discard: true }
  )
  const elsewhere = [...accepted.values(), ...unsettled].find(({ region }) => region !== service.region)
  if (elsewhere !== undefined) return yield* ofOtherRegion(elsewhere, service.region)

  const failures: Array<BatchError> = []
  /** Stops a job that is open as far as we know. */
  const finish = Effect.fnUntraced(function*(job: Job, submitted: SubmittedJob) {
    const asked = yield* Effect.result(stop(submitted))
    if (asked._tag === "Failure") {
      failures.push(asked.failure)
      return
    }
    if (!wait) return void fates.set(job, { _tag: "stopping" })
    const ended = yield* patiently(ledger.end(yield* waiter.wait(submitted)))
    fates.set(job, { _tag: "stopped", counters: ended.counters })
  })

  const stopAccepted = Effect.gen(function*() {
    const known = yield* Effect.forEach(accepted.values(), (job) => ledger.accepted(job), { concurrency })
    const standing = yield* recordEnds(known.filter((job) => job !== null))
    const open: Array<SubmittedJob> = []
    for (const { ended, submitted } of standing) {
      if (ended !== null) fates.set(accepted.get(ended.key)!, { _tag: "ended", counters: ended.counters })
      else open.push(submitted)
    }
    const runId = jobs[0]?.runId
    if (runId !== undefined) yield* Progress.emit({ _tag: "Stopping", runId, why: "cancel", open: open.length })
    yield* Effect.forEach(open, (one) => finish(accepted.get(one.key)!, one), {
      concurrency: "unbounded",
      discard: true
    })
  })

  const requests = new Map<Job, CreateRequest>()
  /** Settles by rounds; a job that is found is stopped while others are still looked for. */
  const settleRest = (
    rest: ReadonlyArray<Job>,
    { at, jobs }: Entries
  ): Effect.Effect<void, BatchError, BatchJobs | Ledger | ObjectStore> =>
    Effect.gen(function*() {
      const { millis, settled, waiting } = yield* patiently(
        settleRound(rest, ({ key }) => jobs.get(key), at, requests)
      )
      const found = Effect.forEach(
        settled,
        Effect.fnUntraced(function*([job, settlement]) {
          if ("none" in settlement) {
            fates.set(job, {
              _tag: settlement.none === "by-list"
                ? "settledByList"
                : settlement.none === "refused"
                ? yield* whyNone(job, jobs.get(job.key))
                : "neverSent"
            })
            return
          }
          const ended = endOf(settlement.adopted, settlement.state)
          if (ended === null) return yield* finish(job, settlement.adopted)
          const { counters } = yield* patiently(ledger.end(ended))
          fates.set(job, { _tag: "ended", counters })
        }),
        { concurrency: "unbounded", discard: true }
      )
      const later = Effect.gen(function*() {
        if (!wait) {
          for (const job of waiting) fates.set(job, { _tag: "unsettled" })
        } else if (waiting.length > 0) {
          yield* Effect.sleep(millis)
          yield* settleRest(waiting, yield* patiently(ledger.entries(waiting[0]!.runId)))
        }
      })
      yield* Effect.all([found, later], { concurrency: 2, discard: true })
    })

  const endOnDemand = Effect.forEach(
    calledOnDemand,
    Effect.fnUntraced(function*(job) {
      if (!wait) return void fates.set(job, { _tag: "stopping" })
      const ended = yield* endCancelled(job)
      fates.set(job, ended === null ? { _tag: "neverSent" } : { _tag: "stopped", counters: ended.counters })
    }),
    { concurrency, discard: true }
  )

  yield* Effect.all([stopAccepted, settleRest(unsettled, entries), endOnDemand], { concurrency: 3, discard: true })
  const [failure] = failures
  if (failure !== undefined) return yield* failure
  return fates
})

/** Of a job whose every create call gave none: whether that was for good. */
const whyNone = Effect.fnUntraced(function*(job: Job, entry: Entry | undefined) {
  const { code } = yield* cancelledJob(job, entry, "")
  return code === cancelledCode ? "neverSent" as const : "refused" as const
})

const summary = (runId: string, at: string, jobs: ReadonlyArray<Job>, fates: ReadonlyMap<Job, Fate>): Cancelled => {
  const counts = { ended: 0, stopped: 0, stopping: 0, neverSent: 0, refused: 0, settledByList: 0, unsettled: 0 }
  const records = { total: 0, processed: 0, notRun: 0, unknown: 0 }
  const keys = { settledByList: new Array<string>(), unsettled: new Array<string>() }
  let uncounted = 0
  for (const job of jobs) {
    const fate: Fate = fates.get(job) ?? { _tag: "unsettled" }
    counts[fate._tag]++
    records.total += job.records
    if (fate._tag === "settledByList" || fate._tag === "unsettled") keys[fate._tag].push(job.key)
    const isNone = fate._tag === "neverSent" || fate._tag === "refused" || fate._tag === "settledByList"
    if (isNone) records.notRun += job.records
    else if ("counters" in fate && fate.counters !== null) {
      const processed = Math.min(fate.counters.processed, job.records)
      records.processed += processed
      records.notRun += job.records - processed
    } else {
      uncounted++
      records.unknown += job.records
    }
  }
  return { runId, at, jobs: { total: jobs.length, ...counts, uncounted }, ...keys, records }
}
