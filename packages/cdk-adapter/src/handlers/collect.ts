/**
 * Collects one job: its rows with the model's columns become a result file.
 *
 * @internal
 */
import { BatchError, Unavailable } from "@bedrock-batch/sdk/BatchError"
import { collectJob } from "@bedrock-batch/sdk/collect"
import { isTerminal, type Job } from "@bedrock-batch/sdk/Job"
import { Ledger } from "@bedrock-batch/sdk/Ledger"
import { Format } from "@bedrock-batch/sdk/sink/Sink"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { JobKey } from "../runtime/Events.ts"
import { handlerOf } from "../runtime/Lambda.ts"
import { jobOf } from "../runtime/RunFiles.ts"
import { recordEnd, stateOf } from "../runtime/Settle.ts"

const CollectEvent = Schema.Struct({
  runId: Schema.NonEmptyString,
  key: JobKey,
  format: Schema.optionalKey(Schema.NullOr(Format))
})

/** The job as it ended; null for one that was never created, whose rows the report counts as missing. */
const endOf = Effect.fnUntraced(function*(job: Job) {
  const ledger = yield* Ledger
  const ended = yield* ledger.ended(job)
  if (ended !== null) return ended
  const accepted = yield* ledger.accepted(job)
  if (accepted === null) return null
  const state = yield* stateOf(accepted.arn)
  if (state !== null && isTerminal(state.status)) return yield* recordEnd(accepted, state, state.status)
  const reason = new Unavailable({
    code: "conflict",
    retryAfterMillis: null,
    message: `job ${job.key} of run ${job.runId} was said to have ended, and Bedrock says ${state?.status ?? "nothing"}`
  })
  return yield* new BatchError({ module: "Pipeline", method: "collect", reason })
})

/** @internal */
export const handler = handlerOf({ name: "collect", event: CollectEvent }, Effect.fnUntraced(function*(event) {
  const { job, run } = yield* jobOf(event.runId, event.key)
  const ended = yield* endOf(job)
  // Answers of later attempts are merged into the rows of the first when the run is finished.
  if (ended !== null && job.attempt === 1) {
    yield* collectJob(run, ended, { format: event.format ?? "parquet", parallelism: 1 })
  }
  return { key: job.key, ok: true }
}))
