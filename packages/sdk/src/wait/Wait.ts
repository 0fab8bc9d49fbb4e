/**
 * How we learn that a job ended.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { BatchError } from "../BatchError.ts"
import type { EndedJob, Job, SubmittedJob } from "../Job.ts"
export { polling, type PollingOptions } from "./Polling.ts"

/**
 * An open wait: told of each job before the paid call, asked for it after.
 *
 * @since 0.1.0
 * @category models
 */
export interface Waiter<out A extends SubmittedJob> {
  /** Runs before a job may be created, so that nothing about its end can be missed. */
  readonly before: (job: Job) => Effect.Effect<void, BatchError>
  /** Gives the job when it has ended. */
  readonly wait: (job: SubmittedJob) => Effect.Effect<A, BatchError>
}

/**
 * A way of waiting; `A` is what a wait gives, `R` the services that it needs.
 *
 * @since 0.1.0
 * @category models
 */
export interface WaitStrategy<out A extends SubmittedJob = EndedJob, out R = never> {
  readonly "~@bedrock-batch/sdk/WaitStrategy": string
  /** Opens the wait once per `awaitAll`; it lasts as long as the scope. */
  readonly open: Effect.Effect<Waiter<A>, BatchError, R | Scope.Scope>
}
