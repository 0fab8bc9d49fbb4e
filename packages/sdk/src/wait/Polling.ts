/**
 * Waits by asking: one paged list for all open jobs, often while something happens and seldom while nothing does.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { BatchError, InvalidOption } from "../BatchError.ts"
import { BatchJobs, type JobState } from "../bedrock/BatchJobs.ts"
import { type EndedJob, isTerminal, type SubmittedJob } from "../Job.ts"
import * as Progress from "../Progress.ts"
import type { WaitStrategy } from "./Wait.ts"

/**
 * Options of `polling`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface PollingOptions {
  /** Shortest pause between two lists; default 5 seconds. */
  readonly from?: Duration.Input | undefined
  /** Longest pause between two lists; default 1 minute. */
  readonly to?: Duration.Input | undefined
}

interface Open {
  readonly job: SubmittedJob
  readonly ended: Deferred.Deferred<EndedJob, BatchError>
  waiters: number
  status: string
  processed: number
  seen: boolean
  /** Lists in a row that did not show the job. */
  unseen: number
}

/** A job that so many lists in a row do not show is asked for by itself. */
const unseenLimit = 5

/** Bedrock's clock and ours may differ by so much, in milliseconds. */
const clockMargin = 15 * 60_000

/**
 * Waits by paged `ListModelInvocationJobs` calls, one list for all open jobs at once and never one call a job. The
 * pause between two lists is a tenth of the time since anything last changed, between `from` and `to`. A list that
 * fails for lack of capacity or network is asked again after the longest pause; one that is refused fails the wait.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { awaitAll, type Run, submit, Wait } from "@bedrock-batch/sdk"
 *
 * declare const run: Run.Run<{ readonly topic: string }>
 *
 * const jobs = awaitAll(run.jobs.map(submit), { wait: Wait.polling({ from: "10 seconds", to: "5 minutes" }) })
 * ```
 */
export const polling = (options?: PollingOptions): WaitStrategy<EndedJob, BatchJobs> => ({
  "~@bedrock-batch/sdk/WaitStrategy": "polling",
  open: Effect.gen(function*() {
    const millis = (input: Duration.Input) => Option.getOrElse(Option.map(Duration.fromInput(input), Duration.toMillis), () => NaN)
    const from = millis(options?.from ?? "5 seconds")
    const to = millis(options?.to ?? "1 minute")
    if (!(from > 0 && to >= from)) {
      return yield* new BatchError({
        module: "Wait",
        method: "polling",
        reason: new InvalidOption({ path: "wait", message: `polling from ${from} ms to ${to} ms: the first must be above 0, the second no less` })
      })
    }
    const jobs = yield* BatchJobs
    const open = new Map<string, Open>()
    const work = yield* Latch.make(false)
    let changedAt = yield* Clock.currentTimeMillis

    const see = Effect.fnUntraced(function*(state: JobState) {
      const waiting = open.get(state.arn)
      if (waiting === undefined) return
      waiting.seen = true
      const processed = state.counters?.processed ?? 0
      if (state.status !== waiting.status || processed !== waiting.processed) {
        waiting.status = state.status
        waiting.processed = processed
        changedAt = yield* Clock.currentTimeMillis
        yield* Progress.emit({
          _tag: "JobChanged",
          runId: waiting.job.runId,
          job: waiting.job.key,
          status: state.status,
          records: waiting.job.records,
          processed
        })
      }
      if (!isTerminal(state.status)) return
      open.delete(state.arn)
      const { message, counters, status } = state
      yield* Deferred.succeed(waiting.ended, { ...waiting.job, status, message, counters, repeatedCalls: 0 })
    })

    const look = Effect.gen(function*() {
      const asked = [...open.values()]
      const runs = new Set(asked.map(({ job }) => job.runId))
      const oldest = asked.reduce((oldest, { job }) => Math.min(oldest, Date.parse(job.submittedAt)), Infinity)
      yield* jobs.list({
        submittedAfter: oldest - clockMargin,
        nameContains: runs.size === 1 ? [...runs][0] : undefined
      }).pipe(Stream.runForEach(see))
      for (const waiting of asked) {
        if (open.get(waiting.job.arn) !== waiting) continue
        waiting.unseen = waiting.seen ? 0 : waiting.unseen + 1
        waiting.seen = false
        if (waiting.unseen >= unseenLimit) yield* Effect.flatMap(jobs.get(waiting.job.arn), see)
      }
    })

    const poll = Effect.gen(function*() {
      let failed = false
      for (;;) {
        yield* Effect.sync(() => {
          if (open.size === 0) Latch.closeUnsafe(work)
        })
        yield* Latch.await(work)
        const pause = ((yield* Clock.currentTimeMillis) - changedAt) / 10
        yield* Effect.sleep(failed ? to : Math.max(from, Math.min(to, pause)))
        if (open.size === 0) continue
        failed = yield* look.pipe(
          Effect.as(false),
          Effect.catchIf((error) => error.isRetryable, () => Effect.succeed(true))
        )
      }
    })

    /** Why nobody looks any more. */
    let over: Exit.Exit<never, BatchError> | null = null
    yield* Effect.exit(poll).pipe(
      Effect.tap((exit) =>
        Effect.sync(() => {
          over = exit
          for (const { ended } of open.values()) Deferred.doneUnsafe(ended, exit)
        })
      ),
      Effect.forkScoped
    )

    return {
      before: () => Effect.void,
      wait: Effect.fnUntraced(function*(job: SubmittedJob) {
        if (over !== null) return yield* over
        changedAt = yield* Clock.currentTimeMillis
        const waiting = open.get(job.arn) ??
          { job, ended: Deferred.makeUnsafe(), waiters: 0, status: "", processed: 0, seen: false, unseen: 0 }
        open.set(job.arn, waiting)
        waiting.waiters++
        return yield* Latch.open(work).pipe(
          Effect.andThen(Deferred.await(waiting.ended)),
          Effect.ensuring(Effect.sync(() => {
            if (--waiting.waiters === 0 && open.get(job.arn) === waiting) open.delete(job.arn)
          }))
        )
      })
    }
  })
})
