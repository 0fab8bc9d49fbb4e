/**
 * What a run is doing, as data.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * Schema for one event.
 *
 * - `Prepared`: so many records were written so far; `done` when the run's manifest is stored;
 * - `JobChanged`: a job has another status, or Bedrock counted more of its records as processed;
 * - `Waiting`: nothing can be submitted now, and why;
 * - `Stopping`: nothing more is submitted, for good, and why; so many open jobs are asked to stop;
 * - `Collected`: a job's results are stored.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Event = Schema.Union([
  Schema.TaggedStruct("Prepared", {
    runId: Schema.String,
    records: Schema.Natural,
    jobs: Schema.Natural,
    done: Schema.Boolean
  }),
  Schema.TaggedStruct("JobChanged", {
    runId: Schema.String,
    job: Schema.String,
    status: Schema.String,
    records: Schema.Natural,
    processed: Schema.Natural
  }),
  Schema.TaggedStruct("Waiting", {
    runId: Schema.String,
    job: Schema.String,
    why: Schema.Literals(["quota", "throttled", "unavailable", "unsettled"]),
    millis: Schema.Natural
  }),
  Schema.TaggedStruct("Stopping", {
    runId: Schema.String,
    why: Schema.Literals(["deadline", "cancel"]),
    open: Schema.Natural
  }),
  Schema.TaggedStruct("Collected", { runId: Schema.String, job: Schema.String, records: Schema.Natural })
])

/**
 * One event.
 *
 * @since 0.1.0
 * @category models
 */
export type Event = typeof Event.Type

/**
 * Takes events.
 *
 * @since 0.1.0
 * @category models
 */
export type Listener = (event: Event) => Effect.Effect<void>

/**
 * Where events go; by default nowhere. Provide another listener with `Effect.provideService`.
 *
 * @since 0.1.0
 * @category configuration
 * @example
 * ```ts
 * import { Progress } from "@bedrock-batch/sdk"
 * import { Console, Effect } from "effect"
 *
 * declare const program: Effect.Effect<void>
 *
 * const loud = program.pipe(
 *   Effect.provideService(Progress.Progress, (event) => Console.error(JSON.stringify(event)))
 * )
 * ```
 */
export const Progress: Context.Reference<Listener> = Context.Reference("@bedrock-batch/sdk/Progress", {
  defaultValue: (): Listener => () => Effect.void
})

/**
 * Sends an event to the listener.
 *
 * @internal
 */
export const emit = (event: Event): Effect.Effect<void> => Effect.flatMap(Progress, (listener) => listener(event))
