/**
 * Waits by asking: one list for all open jobs, often at first and seldom where jobs take long.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { BatchError, InvalidOption } from "../BatchError.ts"
import type { BatchJobs } from "../bedrock/BatchJobs.ts"
import { millisOf } from "../internal/Millis.ts"
import * as OpenJobs from "../internal/OpenJobs.ts"
import type { EndedJob } from "../Job.ts"
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

/**
 * Waits by `ListModelInvocationJobs`: one list for all open jobs at once, and never one call a job.
 *
 * **Details**
 *
 * The pause between two lists is a 25th of how long jobs last, or of the time since one last ended where that is
 * longer, between `from` and `to`: an end is noticed after about a 50th of a job's time, on average, and after a minute
 * at most.
 *
 * A list goes back to the oldest open job, newest first, and no further than 1,000 jobs, however many have ended since.
 * Open jobs that are older than that are listed by their status, after a 25th of their age, or 10 minutes where that is
 * less; one that has left its status is asked for by itself, and so is, ever more rarely, one that five lists in a row
 * did not show. 10,000 jobs of minutes to hours, 100 of them open at a time, cost about one call a minute beside the
 * calls that create them.
 *
 * A list that fails for lack of capacity or network is asked again, after the longest pause or a minute; one that is
 * refused fails the wait. Works wherever a process lives as long as the jobs. Needs `bedrock:ListModelInvocationJobs`
 * and `bedrock:GetModelInvocationJob`. Fails with `InvalidOption` when `from` is not above 0, or above `to`.
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
    const from = options?.from === undefined ? OpenJobs.usual.from : millisOf(options.from)
    const to = options?.to === undefined ? OpenJobs.usual.to : millisOf(options.to)
    if (!(from > 0 && to >= from)) {
      return yield* new BatchError({
        module: "Wait",
        method: "polling",
        reason: new InvalidOption({
          path: "wait",
          message: `polling from ${from} ms to ${to} ms: the first must be above 0, the second no less`
        })
      })
    }
    const { wait } = yield* OpenJobs.make({ from, to, soon: from })
    return { before: () => Effect.void, wait }
  })
})
