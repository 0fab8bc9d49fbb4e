/**
 * How we learn that a job ended.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { BatchError } from "../BatchError.ts"
import type { EndedJob, Job, SubmittedJob } from "../Job.ts"
export { any, type Needs } from "./Any.ts"
export { eventBridge, type EventBridgeOptions, type JobEvent, parseEvent } from "./EventBridge.ts"
export { polling, type PollingOptions } from "./Polling.ts"
export { sqs, type SqsOptions } from "./Sqs.ts"
export { taskToken, TaskTokens } from "./TaskToken.ts"

/**
 * An open wait: told of each job before the paid call, asked for it after.
 *
 * @since 0.1.0
 * @category models
 */
export interface Waiter<out A extends SubmittedJob> {
  /**
   * Runs before a job may be created, so that nothing about its end can be missed; again for a job that the service had
   * no room for. A failure ends the call before that job is paid for.
   */
  readonly before: (job: Job) => Effect.Effect<void, BatchError>
  /** Gives the job when it has ended; interrupted when nobody wants to know any more. */
  readonly wait: (job: SubmittedJob) => Effect.Effect<A, BatchError>
  /** Runs when the end of a job that was waited for is stored: whatever told of it is not needed again. */
  readonly recorded?: ((job: EndedJob) => Effect.Effect<void>) | undefined
}

/**
 * A way of waiting; `A` is what a wait gives (an ended job, or one that was handed over and is still open), `R` the
 * services that it needs.
 *
 * @since 0.1.0
 * @category models
 */
export interface WaitStrategy<out A extends SubmittedJob = EndedJob, out R = never> {
  readonly "~@bedrock-batch/sdk/WaitStrategy": string
  /** So many submissions at most; `awaitAll` with more fails before anything is paid for. Default: any number. */
  readonly atMost?: number | undefined
  /** So many submissions at least; default 0. */
  readonly atLeast?: number | undefined
  /** Opens the wait once per `awaitAll`; it lasts as long as the scope. */
  readonly open: Effect.Effect<Waiter<A>, BatchError, R | Scope.Scope>
}
