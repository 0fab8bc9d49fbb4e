/**
 * The next attempt: what did not succeed, once more.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { BatchError, Damaged, InvalidOption, RunConflict } from "./BatchError.ts"
import { supersedeAttempt } from "./internal/CancelMarks.ts"
import { freshId, sha256 } from "./internal/Digest.ts"
import * as JobWriter from "./internal/JobWriter.ts"
import * as Layout from "./internal/Layout.ts"
import * as Leftovers from "./internal/Leftovers.ts"
import { attempts, jobLists, plans, readJobs } from "./internal/Manifest.ts"
import { isMendable } from "./internal/Mendable.ts"
import { openFolder } from "./internal/MediaCopies.ts"
import * as PlannedJobs from "./internal/PlannedJobs.ts"
import { cancelledCode } from "./internal/Refusals.ts"
import * as RowNumbers from "./internal/RowNumbers.ts"
import { mergingsOf, type Settled, settledJobs } from "./internal/Settled.ts"
import type { Ledger } from "./Ledger.ts"
import { Outcome } from "./Outcome.ts"
import { type Bounds, Planner } from "./Planner.ts"
import * as Progress from "./Progress.ts"
import { type Attempt, type Handle, Lane, type Run } from "./RunManifest.ts"
import { ObjectStore } from "./store/ObjectStore.ts"

/**
 * Options of `retry`. They are those of the process that makes the attempt: who finds it made takes it as it is.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface RetryOptions {
  /** Which outcomes are tried again; default `failed`, `expired` and `missing`. */
  readonly outcomes?: ReadonlyArray<Exclude<Outcome, "succeeded">> | undefined
  /**
   * Of `failed` records, `mendable` (the default) takes those whose error may pass (429, 5xx and the like), and `all` also
   * those that were refused for what they are (400).
   */
  readonly errors?: "mendable" | "all" | undefined
  /**
   * How they are run: `batch` by batch jobs alone, so that fewer than a job must have stay as they are; `on-demand` by one
   * call a record, at the full price; `auto`, the default, by batch jobs, and on demand where they are fewer than a job
   * must have.
   */
  readonly lane?: Lane | undefined
  /** Records that a job is cut at; default as the run was prepared. */
  readonly maxRecordsPerJob?: number | undefined
  /** Hours until Bedrock gives a job up, 24 to 168; default as the run was prepared. */
  readonly timeoutHours?: number | undefined
}

/** What is tried again where nothing is said. @internal */
export const defaultOutcomes: ReadonlyArray<Exclude<Outcome, "succeeded">> = ["failed", "expired", "missing"]

const fail = (reason: BatchError["reason"]) => new BatchError({ module: "retry", method: "retry", reason })

const isOutcome = Schema.is(Outcome)
const isLane = Schema.is(Lane)

/** The first thing that is wrong with the options, or null. @internal */
export const retryProblem = (options: RetryOptions | undefined): InvalidOption | null => {
  const { errors, lane, maxRecordsPerJob, outcomes, timeoutHours } = options ?? {}
  const invalid = (path: string, message: string) => new InvalidOption({ path, message })
  const isCount = (value: number, least: number, most: number) =>
    Number.isSafeInteger(value) && value >= least && value <= most
  const names: ReadonlyArray<Outcome> = outcomes ?? []
  if (outcomes !== undefined && !(Array.isArray(outcomes) && names.every((one) => isOutcome(one) && one !== "succeeded"))) {
    const known = Outcome.literals.filter((one) => one !== "succeeded").join(", ")
    return invalid("outcomes", `outcomes is ${JSON.stringify(outcomes)}, and must be a list of ${known}`)
  }
  if (errors !== undefined && errors !== "mendable" && errors !== "all") {
    return invalid("errors", `errors is ${JSON.stringify(errors)}: give "mendable" or "all"`)
  }
  if (lane !== undefined && !isLane(lane)) {
    return invalid("lane", `lane is ${JSON.stringify(lane)}: give ${Lane.literals.join(", ")}`)
  }
  if (maxRecordsPerJob !== undefined && !isCount(maxRecordsPerJob, 1, Number.MAX_SAFE_INTEGER)) {
    return invalid("maxRecordsPerJob", `maxRecordsPerJob is ${maxRecordsPerJob}, and must be an integer of at least 1`)
  }
  if (timeoutHours !== undefined && !isCount(timeoutHours, 24, 168)) {
    return invalid("timeoutHours", `timeoutHours is ${timeoutHours}, and must be an integer from 24 to 168`)
  }
  return null
}

/** Which records are tried again. @internal */
export const isWanted = (options: RetryOptions | undefined) => {
  const outcomes = new Set<Outcome>(options?.outcomes ?? defaultOutcomes)
  return (outcome: Outcome, code: string | null): boolean =>
    outcomes.has(outcome) && (outcome !== "failed" || options?.errors === "all" || isMendable(outcome, code))
}

/**
 * Prepares the next attempt of a run whose jobs have all ended: those of its records that did not succeed, with the
 * requests that they were sent with, pooled from all jobs into new ones. Gives the run whose `jobs` are these: submit,
 * await and collect it as before, and its results are merged, still one row per input row. With nothing to try again,
 * or too little for a batch job in the lane `batch`, the run comes back with no jobs.
 *
 * Neither the source nor the prompt is needed again. The attempt is stored: done again for the same run, by another
 * process too, this finds it and pays for nothing twice; each attempt after it needs the run that this one gave. A job
 * that Bedrock refused is not sent again in its own attempt when its records are in the next one.
 *
 * Fails with `RunConflict` (`not-ended` when a job has not ended, `cancelled`), `InvalidOption`, or `Damaged` when an
 * input file is no longer what was sent.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { awaitAll, collect, retry, type Run, submit } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * declare const run: Run.Run<{ readonly topic: string; readonly response: string | null }>
 *
 * const program = Effect.gen(function*() {
 *   const second = yield* retry(run)
 *   const jobs = yield* awaitAll(second.jobs.map(submit))
 *   return yield* collect(second, jobs)
 * })
 * ```
 */
export const retry = Effect.fn("retry")(
  function*<Row extends object>(
    run: Handle<Row>,
    options?: RetryOptions
  ): Effect.fn.Return<Run<Row>, BatchError, ObjectStore | Ledger> {
    const wrong = retryProblem(options)
    if (wrong !== null) return yield* fail(wrong)
    const store = yield* ObjectStore
    const number = run.attempt + 1
    yield* Effect.annotateCurrentSpan({ run: run.id, attempt: number })
    const there = yield* attempts.read(store, Layout.attempt(run.id, number))
    const attempt = there ?? (yield* Effect.scoped(writeAttempt(store, run, number, options)))
    if (attempt !== null) {
      const { jobs, records } = attempt
      yield* Progress.emit({ _tag: "Retrying", runId: run.id, attempt: number, records, jobs: jobs.count })
    }
    const next: Run<Row> = attempt === null
      ? { ...run, jobs: [] }
      : { ...run, attempt: number, jobs: yield* readJobs(store, attempt) }
    return next
  }
)

/** A job that Bedrock refused is sent again when its attempt is awaited again. */
const mayBeSentAgain = (job: Settled): boolean => job.status === "Refused" && job.code !== cancelledCode

/** Writes the jobs of an attempt and its manifest; null where there is nothing to run. */
const writeAttempt = Effect.fnUntraced(function*(
  store: ObjectStore["Service"],
  run: Handle<object>,
  number: number,
  options: RetryOptions | undefined
) {
  const { manifest } = run
  if ((yield* store.head(Layout.cancelled(run.id))) !== null) {
    const message = `run ${run.id} is cancelled: no other attempt is made`
    return yield* fail(new RunConflict({ runId: run.id, problem: "cancelled", differs: [], message }))
  }
  const plan = yield* plans.read(store, Layout.plan(run.id))
  if (plan === null) {
    const key = Layout.plan(run.id)
    return yield* fail(new Damaged({ key, message: `${key} is gone: the jobs of another attempt cannot be named` }))
  }
  const wanted = isWanted(options)
  let settled = yield* settledJobs(run)
  if (wanted("missing", null) && settled.some((job) => job.attempt === run.attempt && mayBeSentAgain(job))) {
    // Nobody sends them again from here on, since their records go into other jobs; somebody may have done so before.
    yield* supersedeAttempt(store, run.id, run.attempt)
    settled = yield* settledJobs(run)
  }
  const leftovers = yield* Effect.forEach(
    mergingsOf(run, settled),
    (merging) => Leftovers.find(store, merging, wanted)
  )
  const records = leftovers.reduce((sum, { count }) => sum + count, 0)
  const lane = options?.lane ?? "auto"
  if (records === 0 || (lane === "batch" && records < manifest.bounds.minRecords)) {
    yield* Effect.logDebug(`run ${run.id}: ${records} records to try again, no job for them`)
    return null
  }
  const bounds: Bounds = {
    ...manifest.bounds,
    ...(lane === "on-demand" ? { minRecords: 1 } : {}),
    maxRecordsPerJob: options?.maxRecordsPerJob ?? manifest.bounds.maxRecordsPerJob,
    maxJobs: null,
    maxRecordsTotal: null
  }
  const impossible = (why: { readonly message: string }) =>
    fail(
      new InvalidOption({
        path: "lane",
        message: `the ${records} records to try again fit into no batch jobs (${why.message}): give lane: "on-demand"`
      })
    )
  const planner = Planner.make(bounds, records, "on-demand")
  if (Result.isFailure(planner)) return yield* impossible(planner.failure)
  const prepareId = yield* freshId
  const writer = JobWriter.make(store, {
    runId: run.id,
    attempt: number,
    model: manifest.model,
    region: manifest.region,
    invocationType: manifest.invocationType,
    prepareId,
    timeoutHours: options?.timeoutHours ?? plan.timeoutHours,
    nonce: plan.nonce,
    columns: RowNumbers.columns,
    rowOf: (batch, at) => Number(batch.columns[0]![at]),
    uncopied: (_, failed) => failed
  })
  const planned = yield* PlannedJobs.make(
    planner.success,
    writer,
    "retry",
    impossible,
    { lane: lane === "on-demand" ? lane : undefined }
  )
  const folder = openFolder(store, run.id, prepareId, number)
  yield* Stream.fromIterable(leftovers).pipe(
    Stream.flatMap((found) => Leftovers.segments(store, found, folder)),
    Stream.runForEach(planned.take)
  )
  const jobs = yield* planned.end
  const list = jobLists.encode(jobs)
  const key = Layout.jobList(run.id, prepareId)
  yield* store.write(key, Stream.make(list))
  const attempt: Attempt = {
    version: 1,
    runId: run.id,
    attempt: number,
    createdAt: new Date(yield* Clock.currentTimeMillis).toISOString(),
    outcomes: options?.outcomes ?? defaultOutcomes,
    errors: options?.errors ?? "mendable",
    lane,
    records,
    jobs: { key, count: jobs.length, sha256: sha256(list) }
  }
  return (yield* attempts.createOrRead(store, Layout.attempt(run.id, number), attempt)).value
})
