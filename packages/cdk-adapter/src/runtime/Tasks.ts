/**
 * The answers to waiting tasks of Step Functions.
 *
 * @internal
 */
import { SendTaskSuccessCommand, SFNClient } from "@aws-sdk/client-sfn"
import type { BatchError } from "@bedrock-batch/sdk/BatchError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { call, requestHandler } from "./AwsCall.ts"

/** The service. @internal */
export class Tasks extends Context.Service<Tasks, {
  /**
   * Tells the task of a token what its job came to. A task that waits no more needs no answer, so that is no failure;
   * gives whether it waited.
   */
  readonly answer: (token: string, status: string) => Effect.Effect<boolean, BatchError>
}>()("@bedrock-batch/cdk-adapter/Tasks") {}

/** The task has timed out, its execution is over, or the token is none. */
const over = ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"] as const

/** @internal */
export const make = (client: SFNClient): Tasks["Service"] =>
  Tasks.of({
    answer: Effect.fn("Tasks.answer")(function*(taskToken: string, status: string) {
      const output = JSON.stringify({ status })
      const answer = yield* call("Tasks", "answer", (abortSignal) =>
        client.send(new SendTaskSuccessCommand({ taskToken, output }), { abortSignal }), over)
      return typeof answer !== "string"
    })
  })

/** @internal */
export const layer: Layer.Layer<Tasks> = Layer.effect(
  Tasks,
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new SFNClient({ requestHandler })),
      (client) => Effect.sync(() => client.destroy())
    ),
    make
  )
)
