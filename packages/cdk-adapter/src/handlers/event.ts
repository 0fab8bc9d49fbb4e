/**
 * Hears EventBridge's events of batch jobs: a job that has ended is recorded, and the tasks that wait for it go on.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { isTerminal } from "@bedrock-batch/sdk/Job"
import { handlerOf } from "../runtime/Lambda.ts"
import { settle } from "../runtime/Settle.ts"

/** What is read of an event; the rest of it may change. */
const JobEvent = Schema.Struct({
  source: Schema.Literal("aws.bedrock"),
  "detail-type": Schema.Literal("Batch Inference Job State Change"),
  detail: Schema.Struct({
    batchJobName: Schema.NonEmptyString,
    batchJobArn: Schema.NonEmptyString,
    status: Schema.NonEmptyString
  })
})

/** Milliseconds until Bedrock is asked again where it does not know yet what its event says. */
const pauses = [500, 2_000]

/** @internal */
export const handler = handlerOf({ name: "event", event: JobEvent }, Effect.fnUntraced(function*({ detail }) {
  const { batchJobArn, batchJobName, status } = detail
  let settled = yield* settle(batchJobName, batchJobArn)
  for (const pause of pauses) {
    if (settled._tag !== "Open" || !isTerminal(status)) break
    yield* Effect.sleep(pause)
    settled = yield* settle(batchJobName, batchJobArn)
  }
  // What is still not seen as ended is for the sweep.
  yield* Effect.logInfo(`job ${batchJobName}: ${status}`).pipe(Effect.annotateLogs({ settled }))
  return { job: settled._tag }
}))
