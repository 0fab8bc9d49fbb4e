/**
 * Waits by letting a Step Functions task wait.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { BatchError, InvalidOption } from "../BatchError.ts"
import type { Job, SubmittedJob } from "../Job.ts"
import type { WaitStrategy } from "./Wait.ts"

/**
 * The service: keeps the tokens of waiting Step Functions tasks, until somebody who learns of a job's end sends the
 * answers.
 *
 * @since 0.1.0
 * @category services
 */
export class TaskTokens extends Context.Service<TaskTokens, {
  /**
   * Stores that the task of this token waits for the job. A job may have several tokens, and the same one may come
   * again: it then waits again.
   */
  readonly register: (job: Job, token: string) => Effect.Effect<void, BatchError>
}>()("@bedrock-batch/sdk/TaskTokens") {}

/**
 * Hands one job over to a Step Functions task that waits for its token: the token is stored before the job is created,
 * so that no end can be missed, and `awaitAll` gives the `SubmittedJob` at once, without waiting.
 *
 * **Details**
 *
 * It takes exactly one submission: more, or none, fail with `InvalidOption` before anything is paid for, for a task has
 * one answer. So does an empty token. A job that needs no waiting comes back as it is: one that has ended already, a
 * refused one, or one that runs on demand. Nobody will hear of those, so the caller answers the task itself.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { awaitAll, type Job, submit, Wait } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * // In the Lambda of a `lambda:invoke.waitForTaskToken` state.
 * const handle = Effect.fn(function*(job: Job.Job, token: string) {
 *   const [submitted] = yield* awaitAll([submit(job)], { wait: Wait.taskToken(token) })
 *   // With a status it has ended, or was refused: this Lambda answers the task. Without one, who hears of events does.
 *   return submitted !== undefined && "status" in submitted ? submitted.status : null
 * })
 * ```
 */
export const taskToken = (token: string): WaitStrategy<SubmittedJob, TaskTokens> => ({
  "~@bedrock-batch/sdk/WaitStrategy": "taskToken",
  atMost: 1,
  atLeast: 1,
  open: Effect.gen(function*() {
    if (typeof token !== "string" || token === "") return yield* invalid("the task token is empty")
    const tokens = yield* TaskTokens
    let one: string | null = null
    return {
      before: Effect.fnUntraced(function*(job: Job) {
        const id = `${job.runId}/${job.key}`
        if (one !== null && one !== id) {
          return yield* invalid(`a task token is for one job, and is given for ${one} and for ${id}`)
        }
        one = id
        yield* tokens.register(job, token)
      }),
      wait: Effect.succeed
    }
  })
})

const invalid = (message: string) =>
  new BatchError({ module: "Wait", method: "taskToken", reason: new InvalidOption({ path: "wait", message }) })
