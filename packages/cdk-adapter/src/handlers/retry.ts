/**
 * Prepares the next attempt of a run: the records that may succeed when they are tried again.
 *
 * @internal
 */
import { retry } from "@bedrock-batch/sdk/retry"
import * as Effect from "effect/Effect"
import { type PreparedRun, TriedRun } from "../runtime/Events.ts"
import { handlerOf } from "../runtime/Lambda.ts"
import { writeJobList } from "../runtime/RunFiles.ts"
import { inputOf, runAt } from "../runtime/Runs.ts"

/** @internal */
export const handler = handlerOf({ name: "retry", event: TriedRun }, Effect.fnUntraced(function*(event) {
  const { attempt, deadline = null, runId } = event
  const input = yield* inputOf(event.input)
  const run = yield* runAt(runId, attempt)
  const { attempts: _, ...options } = input.retry
  const { jobs } = yield* retry(run, options).pipe(
    // Nothing more of a run is submitted that was cancelled: it ends with what it has.
    Effect.catchIf(
      ({ reason }) => reason._tag === "RunConflict" && reason.problem === "cancelled",
      () => Effect.succeed({ ...run, jobs: [] })
    )
  )
  const next: PreparedRun = {
    runId,
    prepared: true,
    round: 1,
    records: jobs.reduce((sum, { records }) => sum + records, 0),
    jobs: jobs.length,
    attempt: attempt + 1,
    list: yield* writeJobList(runId, attempt + 1, jobs),
    deadline,
    format: input.format
  }
  yield* Effect.logInfo("tried again").pipe(Effect.annotateLogs({ runId, attempt: next.attempt, jobs: next.jobs }))
  return next
}))
