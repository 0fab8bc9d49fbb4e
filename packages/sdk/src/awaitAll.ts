/**
 * Verb 3: runs submissions as slots allow, and waits for each job's end.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { BatchError } from "./BatchError.ts"
import type { BatchJobs } from "./bedrock/BatchJobs.ts"
import { awaitProblem } from "./internal/AwaitProblem.ts"
import { concernsEveryJob } from "./internal/Refusals.ts"
import { type EndedJob, isTerminal, type Job, type RefusedJob, type SubmittedJob } from "./Job.ts"
import { type Entries, type Entry, Ledger } from "./Ledger.ts"
import * as Progress from "./Progress.ts"
import { Capacity } from "./schedule/Capacity.ts"
import * as Slots from "./schedule/Slots.ts"
import type { Submission } from "./submit.ts"
import { polling } from "./wait/Polling.ts"
import type { Waiter, WaitStrategy } from "./wait/Wait.ts"

/**
 * Options of `awaitAll`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface AwaitOptions<A extends SubmittedJob, WR, HR = never> {
  /** Open jobs of this call at most; `Capacity` bounds them further. Default: as many as `Capacity` allows. */
  readonly concurrency?: number | undefined
  /** How to learn of a job's end; default `Wait.polling()`. */
  readonly wait?: WaitStrategy<A, WR> | undefined
  /** Runs at each job's end, one at a time, for instance to collect it while others still run. */
  readonly onEnded?: ((job: A | EndedJob) => Effect.Effect<unknown, BatchError, HR>) | undefined
}

/** Milliseconds between two tries of a throttled or unanswered submission: doubled each time, with full jitter. */
const backoff = { first: 1_000, most: 60_000 }

/** So many failures of the network, the store or the service in a row end the wait. */
const maxTroubles = 12

/** Failures to record the end of a job are tried again for about ten minutes. */
const patience = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("1 minute")]).pipe(
  Schedule.jittered,
  Schedule.upTo({ times: maxTroubles })
)

/**
 * Runs submissions as slots allow and waits for each job's end; gives one element a submission, in their order.
 *
 * The ledger is read first: jobs that have ended need no slot, jobs that are open already count without waiting for
 * one, and only new ones wait. "Quota" and "throttled" are no failures: the job waits and is sent again. A job that
 * Bedrock refuses, or that fails, is an element of the result and never a failure of the run; this fails only for what
 * concerns every job (credentials, store, ledger). Interrupting it leaves paid jobs running and the ledger true: call
 * it again.
 *
 * @since 0.1.0
 * @category combinators
 * @example
 * ```ts
 * import { awaitAll, collect, type Run, submit, Wait } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * declare const run: Run.Run<{ readonly topic: string }>
 *
 * const program = Effect.gen(function*() {
 *   const jobs = yield* awaitAll(run.jobs.map(submit), { concurrency: 20, wait: Wait.polling() })
 *   return yield* collect(run, jobs)
 * })
 * ```
 */
export const awaitAll = Effect.fn("awaitAll")(function*<SR, A extends SubmittedJob = EndedJob, WR = BatchJobs, HR = never>(
  submissions: Iterable<Submission<SR>>,
  options?: AwaitOptions<A, WR, HR>
): Effect.fn.Return<ReadonlyArray<A | EndedJob | RefusedJob>, BatchError, SR | WR | HR | Capacity | Ledger> {
  const wrong = awaitProblem(options)
  if (wrong !== null) return yield* new BatchError({ module: "awaitAll", method: "awaitAll", reason: wrong })
  const all = [...submissions]
  const ledger = yield* Ledger
  const runs = new Map<string, Entries>()
  for (const { job } of all) {
    if (!runs.has(job.runId)) runs.set(job.runId, yield* ledger.entries(job.runId))
  }
  const slots = Slots.make(options?.concurrency ?? Infinity)
  const entryOf = ({ job }: Submission<SR>) => runs.get(job.runId)?.jobs.get(job.key)
  // What is open already counts before anything new takes a slot.
  const openFirst = [...all.keys()].sort((a, b) => Number(mayBeOpen(entryOf(all[b]!))) - Number(mayBeOpen(entryOf(all[a]!))))
  // Without the option, A and WR are what their defaults say: those of polling.
  const strategy = (options?.wait ?? polling()) as WaitStrategy<A, WR>
  const waitForAll = Effect.gen(function*() {
    const waiter = yield* strategy.open
    const one = yield* Semaphore.make(1)
    const results = new Array<A | EndedJob | RefusedJob>(all.length)
    yield* Effect.forEach(
      openFirst,
      Effect.fnUntraced(function*(index: number) {
        const submission = all[index]!
        const ended = yield* Effect.scoped(runOne(submission, entryOf(submission), slots, waiter))
        if (options?.onEnded !== undefined && !isRefused(ended)) {
          yield* Semaphore.withPermit(one, options.onEnded(ended))
        }
        results[index] = ended
      }),
      { concurrency: "unbounded", discard: true }
    )
    return results
  })
  return yield* Effect.scoped(waitForAll)
})

/** Whether a job may hold a slot at the service: it was accepted and has not ended, or a call has no answer yet. */
const mayBeOpen = (entry: Entry | undefined): boolean =>
  entry !== undefined && !entry.ended && (entry.accepted || entry.claims.some((claim) => !claim.refused))

/** Runs one job to its end; while the service has no room for it, it holds no slot. */
const runOne = Effect.fnUntraced(function*<SR, A extends SubmittedJob>(
  submission: Submission<SR>,
  entry: Entry | undefined,
  slots: Slots.Slots,
  waiter: Waiter<A>
) {
  const { job } = submission
  const ledger = yield* Ledger
  if (entry?.ended) {
    const ended = yield* patiently(ledger.ended(job))
    if (ended !== null) {
      yield* reportEnd(ended)
      return ended
    }
  }
  let open = mayBeOpen(entry)
  for (;;) {
    const settled = yield* Effect.scoped(attempt(submission, open, slots, waiter))
    if (settled._tag === "Settled") return settled.job
    open = false
    yield* pause(job, "quota", settled.millis * (yield* Random.nextBetween(0.5, 1.5)))
  }
})

type Attempt<A> =
  | { readonly _tag: "Settled"; readonly job: A }
  /** The service has no room: to be tried again after so many milliseconds. */
  | { readonly _tag: "NoRoom"; readonly millis: number }

/** Takes a slot, submits, waits and records the end; the slot is free when the scope closes. */
const attempt = Effect.fnUntraced(function*<SR, A extends SubmittedJob>(
  submission: Submission<SR>,
  open: boolean,
  slots: Slots.Slots,
  waiter: Waiter<A>
): Effect.fn.Return<Attempt<A | EndedJob | RefusedJob>, BatchError, SR | Ledger | Capacity | Scope.Scope> {
  const { job } = submission
  const ledger = yield* Ledger
  const capacity = yield* Capacity
  yield* open ? slots.hold : slots.take
  yield* open ? capacity.hold(job) : capacity.take(job)
  yield* waiter.before(job)
  const submitted = yield* persist(submission)
  if (submitted === null) return { _tag: "NoRoom", millis: yield* capacity.exceeded(job) }
  if ("status" in submitted) return { _tag: "Settled", job: submitted }
  const ended = yield* waiter.wait(submitted)
  return { _tag: "Settled", job: isEnded(ended) ? yield* patiently(ledger.end(ended)) : ended }
})

/** Tells of a job that had ended before this call. */
const reportEnd = ({ key, records, runId, status }: EndedJob) =>
  Progress.emit({ _tag: "JobChanged", runId, job: key, status, records, processed: records })

/** Tries again while the store is not to be reached: what is to be recorded is paid for. */
const patiently = <A>(effect: Effect.Effect<A, BatchError>): Effect.Effect<A, BatchError> =>
  Effect.retry(effect, { while: (error) => error.isRetryable, schedule: patience })

const isEnded = (job: SubmittedJob | EndedJob): job is EndedJob => "status" in job && isTerminal(job.status)

const isRefused = <A extends SubmittedJob>(job: A | EndedJob | RefusedJob): job is RefusedJob =>
  "status" in job && job.status === "Refused"

/** Runs a submission until it is accepted or refused for good; null when the service has no room for the job. */
const persist = Effect.fnUntraced(function*<SR>(submission: Submission<SR>) {
  const { job } = submission
  let troubles = 0
  let pauses = 0
  for (;;) {
    const result = yield* Effect.result(submission)
    if (result._tag === "Success") return result.success
    const error = result.failure
    const reason = error.reason
    if (reason._tag === "Unavailable" && reason.code === "quota") return null
    const throttled = reason._tag === "Unavailable" && reason.code === "throttled"
    if (error.isRetryable && (throttled || troubles + 1 < maxTroubles)) {
      troubles = throttled ? 0 : troubles + 1
      const most = Math.min(backoff.most, backoff.first * 2 ** Math.min(pauses++, 16))
      yield* pause(job, throttled ? "throttled" : "unavailable", (yield* Random.nextBetween(0, 1)) * most)
    } else if (isRefusal(error) && reason._tag === "Refused") {
      const refused: RefusedJob = { ...job, status: "Refused", code: reason.code, message: reason.message }
      yield* Effect.logWarning(`job ${job.key} of run ${job.runId} was refused: ${reason.code}: ${reason.message}`)
      return refused
    } else {
      return yield* error
    }
  }
})

/** Whether the service refused this job, and not who we are or another call. */
const isRefusal = ({ method, module, reason }: BatchError): boolean =>
  module === "BatchJobs" && method === "create" && reason._tag === "Refused" && !concernsEveryJob(reason.code)

const pause = Effect.fnUntraced(function*(job: Job, why: "quota" | "throttled" | "unavailable", millis: number) {
  yield* Progress.emit({ _tag: "Waiting", runId: job.runId, job: job.key, why, millis: Math.round(millis) })
  yield* Effect.sleep(millis)
})
