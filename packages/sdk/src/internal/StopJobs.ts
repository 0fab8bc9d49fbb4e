/**
 * Asking jobs to stop.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { BatchError } from "../BatchError.ts"
import { BatchJobs } from "../bedrock/BatchJobs.ts"
import type { SubmittedJob } from "../Job.ts"

/** Calls at a time: Bedrock's rate for them is unknown and low. */
const concurrency = 4

/**
 * Asks jobs to stop: a few at a time, each once, and again by `retrying` after trouble.
 *
 * @internal
 */
export const makeStop = Effect.fnUntraced(function*(
  retrying: (call: Effect.Effect<void, BatchError>) => Effect.Effect<void, BatchError>
) {
  const jobs = yield* BatchJobs
  const turn = yield* Semaphore.make(concurrency)
  const asked = new Set<string>()
  return ({ arn }: SubmittedJob) =>
    Effect.suspend(() => {
      if (asked.has(arn)) return Effect.void
      asked.add(arn)
      return retrying(Semaphore.withPermit(turn, jobs.stop(arn)))
    })
})
