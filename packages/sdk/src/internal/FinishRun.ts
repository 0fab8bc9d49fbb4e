/**
 * Takes a prepared run to its end: awaits and collects its jobs, and makes further attempts as asked for.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { awaitAll, type AwaitOptions } from "../awaitAll.ts"
import { BatchError, InvalidOption } from "../BatchError.ts"
import type { BatchJobs } from "../bedrock/BatchJobs.ts"
import { OnDemand } from "../bedrock/OnDemand.ts"
import { type Collected, collect, collectJob, type CollectOptions } from "../collect.ts"
import type { EndedJob } from "../Job.ts"
import type { Ledger } from "../Ledger.ts"
import { Outcome } from "../Outcome.ts"
import type { Report } from "../Report.ts"
import { defaultOutcomes, retry, type RetryOptions, retryProblem } from "../retry.ts"
import type { Run } from "../RunManifest.ts"
import { ObjectStore } from "../store/ObjectStore.ts"
import { submit } from "../submit.ts"
import { awaitProblem } from "./AwaitProblem.ts"
import { settingsOf } from "./CollectSettings.ts"
import * as Layout from "./Layout.ts"
import { readAttempts, readJobs } from "./Manifest.ts"
import { isCancelled } from "./Refusals.ts"

/** How a run is taken to its end. @internal */
export interface Finishing<WR, HR, CR> 
  extends Omit<AwaitOptions<EndedJob, WR, HR, CR>, "rescue" | "reserve" | "whenFull">, CollectOptions
{
  readonly retry?: (RetryOptions & { readonly attempts: number }) | undefined
  readonly rescue?: "on-demand" | "stop" | "leave" | undefined
}

/** What the cut-off reckons with for one call on demand, in milliseconds. */
const perCallMillis = 5_000

/** Checks what the later verbs would fail with, before anything is written or paid for. @internal */
export const checkFinishing = Effect.fnUntraced(function*(
  method: string,
  options: Finishing<unknown, unknown, unknown> | undefined
) {
  yield* settingsOf(method, options)
  const { rescue, retry, ...rest } = options ?? {}
  const invalid = (path: string, message: string) => new InvalidOption({ path, message })
  const inner = retry === undefined ? null : retryProblem(retry)
  const wrong = awaitProblem(rest) ??
    (rescue === undefined || rescue === "on-demand" || rescue === "stop" || rescue === "leave"
      ? null
      : invalid("rescue", `rescue is ${JSON.stringify(rescue)}: give "on-demand", "stop" or "leave"`)) ??
    (retry === undefined || (Number.isSafeInteger(retry.attempts) && retry.attempts >= 1)
      ? null
      : invalid("retry.attempts", `retry.attempts is ${retry.attempts}, and must be an integer of at least 1`)) ??
    (inner === null ? null : invalid(`retry.${inner.path}`, inner.message))
  if (wrong !== null) return yield* new BatchError({ module: "run", method, reason: wrong })
})

/** Rows that another attempt with these options would take: never fewer than it takes. */
const leftovers = ({ counts }: Report, options: RetryOptions): number =>
  Outcome.literals.reduce(
    (sum, outcome) =>
      outcome !== "succeeded" && (options.outcomes ?? defaultOutcomes).includes(outcome) ? sum + counts[outcome] : sum,
    0
  )

/** What is asked for on demand after the deadline: what was to be tried again, and in any case what was not run. */
const rescuing = (again: RetryOptions | undefined): RetryOptions => ({
  ...again,
  outcomes: [...new Set([...(again?.outcomes ?? defaultOutcomes), "expired", "missing"] as const)],
  lane: "on-demand"
})

/** Whether the run is cancelled, and the attempts of which nothing more is submitted since their deadline was reached. */
const marksOf = Effect.fnUntraced(function*(store: ObjectStore["Service"], run: Run<object>) {
  const { objects } = yield* store.list(Layout.cancelled(run.id))
  const keys = new Set(objects.map(({ key }) => key))
  return {
    cancelled: keys.has(Layout.cancelled(run.id)),
    isCut: (attempt: number): boolean => keys.has(Layout.cancelledAttempt(run.id, attempt))
  }
})

/** The run at its last attempt; nothing more comes of earlier ones. */
const lastAttempt = Effect.fnUntraced(function*<Row extends object>(store: ObjectStore["Service"], run: Run<Row>) {
  const last = (yield* readAttempts(store, run.id)).at(-1)
  const current: Run<Row> = last === undefined || last.attempt === run.attempt
    ? run
    : { ...run, attempt: last.attempt, jobs: yield* readJobs(store, last) }
  return current
})

/** So often a run is awaited again because a job of it was sent again meanwhile. */
const mostReopened = 8

const isNotEnded = ({ reason }: BatchError): boolean => reason._tag === "RunConflict" && reason.problem === "not-ended"

/** A deadline beyond what a date can be is none. */
const dateAt = (millis: number): Date | undefined => {
  const date = new Date(millis)
  return Number.isNaN(date.getTime()) ? undefined : date
}

/** @internal */
export const finishRun = Effect.fnUntraced(
  function*<Row extends object, WR = BatchJobs, HR = never, CR = never>(
    prepared: Run<Row>,
    options: Finishing<WR, HR, CR>
  ) {
    const store = yield* ObjectStore
    const { concurrency } = yield* OnDemand
    const { deadline, onEnded, rescue, retry: again } = options
    // The deadline is that of the whole run, whatever attempt it is at.
    const until = deadline === undefined || deadline instanceof Date
      ? deadline
      : dateAt((yield* Clock.currentTimeMillis) + Duration.toMillis(Duration.fromInputUnsafe(deadline)))
    let run = yield* lastAttempt(store, prepared)
    let reopened = 0
    /** Null where another process is sending a job again that was refused when this one saw it: it is awaited, too. */
    const unlessReopened = <A>(effect: Effect.Effect<A, BatchError, ObjectStore | Ledger>) =>
      Effect.catchIf(effect, (error) => isNotEnded(error) && ++reopened <= mostReopened, () => Effect.succeed(null))
    for (;;) {
      const { attempt } = run
      const before = yield* marksOf(store, run)
      // What is rescued after the deadline has none. Batch jobs are no rescue, whoever made them.
      const isRescue = Array.from({ length: attempt - 1 }, (_, i) => i + 1).some(before.isCut) &&
        run.jobs.every(({ lane }) => lane === "on-demand")
      const jobs = yield* awaitAll(run.jobs.map(submit), {
        concurrency: options.concurrency,
        order: options.order,
        onInterrupt: options.onInterrupt,
        wait: options.wait,
        confirmAbove: isRescue ? undefined : options.confirmAbove,
        confirm: isRescue ? undefined : options.confirm,
        deadline: isRescue ? undefined : until,
        rescue: rescue === "leave" ? "leave" : "stop",
        reserve: rescue === "on-demand" ? { perCallMillis, concurrency } : undefined,
        onEnded: Effect.fnUntraced(function*(job: EndedJob) {
          if (job.attempt === 1) yield* collectJob(run, job, options)
          if (onEnded !== undefined) yield* onEnded(job)
        })
      })
      const collected: Collected<Row> | null = yield* unlessReopened(collect(run, jobs, options))
      if (collected === null) continue
      const { cancelled, isCut } = yield* marksOf(store, run)
      if (cancelled) return collected
      const isTooLate = until !== undefined && isCut(attempt)
      const isMore = again !== undefined && attempt < again.attempts
      const wanted: RetryOptions | null = isTooLate
        ? rescue === "on-demand" ? rescuing(again) : null
        : !isMore
        ? null
        : isRescue && rescue === "on-demand"
        ? rescuing(again)
        : again
      if (wanted === null || leftovers(collected.report, wanted) === 0) return collected
      const next = yield* retry(run, wanted).pipe(
        Effect.catchIf(isCancelled, () => Effect.succeed("cancelled" as const)),
        unlessReopened
      )
      if (next === null) continue
      if (next === "cancelled" || next.jobs.length === 0) return collected
      run = next
    }
  }
)
