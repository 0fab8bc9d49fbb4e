/**
 * Waits by asking: one paged list for all open jobs, often while something happens and seldom while nothing does.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
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
  status: string
  processed: number
  /** Lists in a row that did not show the job. */
  unseen: number
}

/** A job that so many lists in a row do not show is asked for by itself. */
const unseenLimit = 5

/** Bedrock's clock and ours may differ by so much, in milliseconds. */
const clockMargin = 15 * 60_000

/**
 * Waits by paged `ListModelInvocationJobs` calls, one list for all open jobs at once and never one call a job. The pause
 * between two lists is a tenth of the time since anything last changed, between `from` and `to`. A list that fails for
 * lack of capacity or network is asked again after the longest pause; one that is refused fails the wait.
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
    const from = Duration.toMillis(Duration.fromInputUnsafe(options?.from ?? "5 seconds"))
    const to = Duration.toMillis(Duration.fromInputUnsafe(options?.to ?? "1 minute"))
    if (!(from > 0) || to < from) {
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
      waiting.unseen = 0
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
      yield* Deferred.succeed(waiting.ended, { ...waiting.job, status, message, counters })
    })

    const look = Effect.gen(function*() {
      let oldest = Infinity
      const runs = new Set<string>()
      for (const { job } of open.values()) {
        oldest = Math.min(oldest, Date.parse(job.submittedAt))
        runs.add(job.runId)
      }
      for (const waiting of open.values()) waiting.unseen++
      yield* jobs.list({
        submittedAfter: oldest - clockMargin,
        nameContains: runs.size === 1 ? [...runs][0] : undefined
      }).pipe(Stream.runForEach(see))
      for (const waiting of [...open.values()]) {
        if (waiting.unseen >= unseenLimit) yield* Effect.flatMap(jobs.get(waiting.job.arn), see)
      }
    })

    const poll = Effect.gen(function*() {
      for (;;) {
        if (open.size === 0) yield* Latch.close(work)
        yield* Latch.await(work)
        const pause = ((yield* Clock.currentTimeMillis) - changedAt) / 10
        yield* Effect.sleep(Math.max(from, Math.min(to, pause)))
        if (open.size === 0) continue
        yield* look.pipe(
          Effect.catchIf((error) => error.isRetryable, () => Effect.sleep(to))
        )
      }
    })

    yield* Effect.forkScoped(
      Effect.catch(poll, (error) =>
        Effect.suspend(() => {
          const waiting = [...open.values()]
          open.clear()
          return Effect.forEach(waiting, ({ ended }) => Deferred.fail(ended, error), { discard: true })
        }))
    )

    return {
      before: () => Effect.void,
      wait: Effect.fnUntraced(function*(job: SubmittedJob) {
        const ended = yield* Deferred.make<EndedJob, BatchError>()
        open.set(job.arn, { job, ended, status: "", processed: 0, unseen: 0 })
        changedAt = yield* Clock.currentTimeMillis
        yield* Latch.open(work)
        return yield* Deferred.await(ended).pipe(
          Effect.onInterrupt(() => Effect.sync(() => void open.delete(job.arn)))
        )
      })
    }
  })
})
