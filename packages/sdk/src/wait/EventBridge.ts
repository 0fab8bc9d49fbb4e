/**
 * Waits by listening to state-change events, with slow polling behind them.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { BatchJobs, JobState } from "../bedrock/BatchJobs.ts"
import { listen } from "../internal/Listening.ts"
import type { EndedJob } from "../Job.ts"
import type { WaitStrategy } from "./Wait.ts"

/**
 * What an event says: that a job came to a status.
 *
 * @since 0.1.0
 * @category models
 */
export type JobEvent = Pick<JobState, "arn" | "status">

/**
 * Options of `eventBridge`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface EventBridgeOptions {
  /** Pause between two lists that find what no event told; default 10 minutes. */
  readonly backstop?: Duration.Input | undefined
}

const Envelope = Schema.Struct({
  source: Schema.Literal("aws.bedrock"),
  "detail-type": Schema.Literal("Batch Inference Job State Change"),
  detail: Schema.Struct({ batchJobArn: Schema.NonEmptyString, status: Schema.NonEmptyString })
})
const decodeEnvelope = Schema.decodeUnknownOption(Envelope)
const decodeText = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))
const decodeNotification = Schema.decodeUnknownOption(
  Schema.Struct({ Type: Schema.Literal("Notification"), Message: Schema.String })
)

/**
 * Reads EventBridge's event of a batch job: the event itself, its JSON, or an SNS notification that carries it (as an
 * object or as JSON). Gives null for anything else, of whatever type.
 *
 * @since 0.1.0
 * @category converting
 * @example
 * ```ts
 * import { Wait } from "@bedrock-batch/sdk"
 *
 * // In a Lambda that a rule invokes.
 * export const handler = (event: unknown) => {
 *   const heard = Wait.parseEvent(event)
 *   if (heard !== null) console.log(`${heard.arn} is ${heard.status}`)
 * }
 * ```
 */
export const parseEvent = (event: unknown): JobEvent | null => {
  const outer = parsed(event)
  const notification = decodeNotification(outer)
  const envelope = decodeEnvelope(Option.isSome(notification) ? parsed(notification.value.Message) : outer)
  if (Option.isNone(envelope)) return null
  const { batchJobArn, status } = envelope.value.detail
  return { arn: batchJobArn, status }
}

const parsed = (value: unknown): unknown =>
  typeof value === "string" ? Option.getOrNull(decodeText(value)) : value

/**
 * Waits by events: a stream of what `parseEvent` gives, from whatever brings EventBridge's events to the process (for a
 * queue there is `sqs`). Nothing is asked for while nothing happens.
 *
 * **Details**
 *
 * An event is only a hint. Of a job that is said to have ended the state is fetched before it counts as such: by one
 * call, or by one list for all those of which events came within a second. Events that come early, late, twice, in
 * another order, that are of other jobs, made up, or `null` do no harm. A lost one is made up for by a list each
 * `backstop`; the first list comes 5 seconds after a job that was submitted earlier, by another process for instance,
 * is waited for.
 *
 * A stream that ends or fails is logged as a warning and run again, after 1 second to 1 minute; until an event comes,
 * jobs are listed as by `polling`. An async iterable is iterated again likewise.
 *
 * Needs `bedrock:GetModelInvocationJob` and `bedrock:ListModelInvocationJobs`. Fails with `InvalidOption` when
 * `backstop` is not above 0, and as `polling` does.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { awaitAll, type Run, submit, Wait } from "@bedrock-batch/sdk"
 * import { PubSub, Stream } from "effect"
 *
 * declare const run: Run.Run<{ readonly topic: string }>
 * // What an HTTP route of this backend publishes, to which EventBridge sends its events.
 * declare const received: PubSub.PubSub<unknown>
 *
 * const events = Stream.map(Stream.fromPubSub(received), Wait.parseEvent)
 * const jobs = awaitAll(run.jobs.map(submit), { wait: Wait.eventBridge(events) })
 * ```
 */
export const eventBridge = <E, R = never>(
  events: Stream.Stream<JobEvent | null, E, R> | AsyncIterable<JobEvent | null>,
  options?: EventBridgeOptions
): WaitStrategy<EndedJob, BatchJobs | R> => {
  const stream: Stream.Stream<JobEvent | null, unknown, R> = Stream.isStream(events)
    ? events
    : Stream.fromAsyncIterable(events, (error) => error)
  return {
    "~@bedrock-batch/sdk/WaitStrategy": "eventBridge",
    open: Effect.map(
      listen("eventBridge", options?.backstop, ({ hear, works }) =>
        Stream.runForEach(stream, (event) => {
          const { arn, status } = Option.getOrElse(decodeEvent(event), () => nothing)
          return Effect.andThen(works, hear(arn, status))
        })),
      ({ wait }) => ({ before: () => Effect.void, wait })
    )
  }
}

const decodeEvent = Schema.decodeUnknownOption(Schema.Struct({ arn: Schema.String, status: Schema.String }))
const nothing: JobEvent = { arn: "", status: "" }
