/**
 * What a run is doing, as data.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as EventBuffer from "./internal/EventBuffer.ts"
import * as Metrics from "./internal/Metrics.ts"
import { Counters, type EndedJob, type Job, type RefusedJob, type SubmittedJob, TerminalStatus } from "./Job.ts"
import { Counts } from "./Outcome.ts"

/**
 * Schema for one event: JSON, without prompts and answers. Job keys are `<attempt>-<six digits>`.
 *
 * - `Prepared`: so many records were written so far; `done` when the run's manifest is stored;
 * - `Uploaded`: the files of a job are stored, so many bytes of requests;
 * - `Retrying`: another attempt is prepared, of so many records;
 * - `Awaiting`: an `awaitAll` begins with so many jobs of a run's attempt, whether they have ended or not;
 * - `Submitted`: a job is at Bedrock: it was `sent` now, `found` in Bedrock's list after a call without an answer, or
 *   `known` by the ledger from an earlier call;
 * - `JobChanged`: a job has another status, or Bedrock counted more of its records as processed; `counters` are
 *   Bedrock's own, where it shows any;
 * - `Waiting`: something cannot be done now, and is tried again after so many milliseconds. `quota`, `throttled`,
 *   `unavailable`: the service said so, to a job's create call or to the list of those that are open, `job` then being
 *   the first. `unsettled`: it is not known yet whether a job exists, or another process works on it. `slots`: jobs of
 *   the run, `job` being the first, wait until others have ended; told each minute;
 * - `Stopping`: nothing more is submitted, for good, and why; so many open jobs are asked to stop;
 * - `Ended`: a job has ended, or was refused and never will be submitted; `known` when that was so before this call;
 * - `Collected`: a job's results are stored, and what its rows came to;
 * - `Finished`: the results and the report of a run, up to an attempt, are stored.
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
  Schema.TaggedStruct("Uploaded", {
    runId: Schema.String,
    job: Schema.String,
    records: Schema.Natural,
    bytes: Schema.Natural
  }),
  Schema.TaggedStruct("Retrying", {
    runId: Schema.String,
    attempt: Schema.Natural,
    records: Schema.Natural,
    jobs: Schema.Natural
  }),
  Schema.TaggedStruct("Awaiting", {
    runId: Schema.String,
    attempt: Schema.Natural,
    records: Schema.Natural,
    jobs: Schema.Natural
  }),
  Schema.TaggedStruct("Submitted", {
    runId: Schema.String,
    job: Schema.String,
    records: Schema.Natural,
    arn: Schema.String,
    how: Schema.Literals(["sent", "found", "known"]),
    submittedAt: Schema.String
  }),
  Schema.TaggedStruct("JobChanged", {
    runId: Schema.String,
    job: Schema.String,
    status: Schema.String,
    records: Schema.Natural,
    processed: Schema.Natural,
    counters: Schema.optionalKey(Schema.NullOr(Counters))
  }),
  Schema.TaggedStruct("Waiting", {
    runId: Schema.String,
    job: Schema.String,
    why: Schema.Literals(["slots", "quota", "throttled", "unavailable", "unsettled"]),
    millis: Schema.Natural
  }),
  Schema.TaggedStruct("Stopping", {
    runId: Schema.String,
    why: Schema.Literals(["deadline", "cancel"]),
    open: Schema.Natural
  }),
  Schema.TaggedStruct("Ended", {
    runId: Schema.String,
    job: Schema.String,
    status: Schema.Literals([...TerminalStatus.literals, "Refused"]),
    records: Schema.Natural,
    counters: Schema.NullOr(Counters),
    known: Schema.Boolean
  }),
  Schema.TaggedStruct("Collected", {
    runId: Schema.String,
    job: Schema.String,
    records: Schema.Natural,
    counts: Schema.optionalKey(Counts),
    inputTokens: Schema.optionalKey(Schema.Natural),
    outputTokens: Schema.optionalKey(Schema.Natural)
  }),
  Schema.TaggedStruct("Finished", {
    runId: Schema.String,
    attempt: Schema.Natural,
    records: Schema.Natural,
    jobs: Schema.Natural,
    counts: Counts,
    inputTokens: Schema.Natural,
    outputTokens: Schema.Natural
  })
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
 * Where events go; by default nowhere. Provide another listener with `Effect.provideService`, or `layer` to add one.
 * The run waits for what a listener does with each event: what takes long is better done with `stream`.
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
 * Layer that adds a listener to the one that is there when the layer is built, by `Layer.provideMerge` or by an
 * `Effect.provide` further out. Of layers that are merged beside each other the last one counts.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { Progress, ProgressLine } from "@bedrock-batch/sdk"
 * import { Effect, Layer } from "effect"
 *
 * const seen: Array<Progress.Event> = []
 * const both = Progress.layer((event) => Effect.sync(() => seen.push(event))).pipe(
 *   Layer.provideMerge(ProgressLine.layer)
 * )
 * ```
 */
export const layer = (listener: (event: Event) => Effect.Effect<unknown>): Layer.Layer<never> =>
  Layer.effect(
    Progress,
    Effect.map(Progress, (outer): Listener => (event) => Effect.andThen(listener(event), outer(event)))
  )

/**
 * Options of `stream` and `observe`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface StreamOptions {
  /** Events that wait for the consumer at most, at least 1; default 4,096. */
  readonly capacity?: number | undefined
}

/**
 * Runs an effect and gives its events; fails as the effect fails, and ends with it. To end the stream earlier
 * interrupts the effect. The listener that is there hears the events, too.
 *
 * The consumer never slows the run down. While it is busy, of what is superseded only the newest event is kept: of
 * `Prepared` that are not `done` and of `Waiting` for each run and reason, and of `JobChanged` for each open job.
 * Beyond `capacity` those are dropped first, the oldest before others, then the oldest of all.
 *
 * @since 0.1.0
 * @category combinators
 * @example
 * ```ts
 * import { Progress } from "@bedrock-batch/sdk"
 * import { Console, Effect, Stream } from "effect"
 *
 * declare const program: Effect.Effect<void>
 *
 * const ends = Progress.stream(program).pipe(
 *   Stream.filter((event) => event._tag === "Ended"),
 *   Stream.runForEach((event) => Console.log(`${event.job}: ${event.status}`))
 * )
 * ```
 */
export const stream = <A, E, R>(effect: Effect.Effect<A, E, R>, options?: StreamOptions): Stream.Stream<Event, E, R> =>
  Stream.unwrap(Effect.gen(function*() {
    const buffer = EventBuffer.make<E>(options?.capacity)
    yield* Effect.forkScoped(Effect.onExit(into(effect, buffer), buffer.end))
    return buffer.events
  }))

/**
 * Runs an effect while `use` consumes the stream of its events, as `stream` gives them, and gives what the effect
 * gives. The events end when the effect has ended, and then `use` is waited for. When `use` ends before, the effect
 * goes on; when it fails, the effect is interrupted.
 *
 * @since 0.1.0
 * @category combinators
 */
export const observe = <A, E, R, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  use: (events: Stream.Stream<Event>) => Effect.Effect<unknown, E2, R2>,
  options?: StreamOptions
): Effect.Effect<A, E | E2, R | R2> =>
  Effect.scoped(Effect.gen(function*() {
    const buffer = EventBuffer.make<never>(options?.capacity)
    const using = yield* Effect.forkScoped(use(buffer.events))
    const value = yield* Effect.raceFirst(
      Effect.ensuring(into(effect, buffer), buffer.end(Exit.void)),
      Effect.andThen(Fiber.join(using), Effect.never)
    )
    yield* Fiber.join(using)
    return value
  }))

/** Has the buffer hear the events of an effect, and then whoever hears them anyway. */
const into = <A, E, R, E2>(
  effect: Effect.Effect<A, E, R>,
  buffer: EventBuffer.EventBuffer<E2>
): Effect.Effect<A, E, R> =>
  Effect.flatMap(Progress, (outer) =>
    Effect.provideService(effect, Progress, (event) => {
      buffer.offer(event)
      return outer(event)
    }))

/**
 * Counts an event and sends it to the listener.
 *
 * @internal
 */
export const emit = (event: Event): Effect.Effect<void> =>
  Effect.andThen(Metrics.count(event), Effect.flatMap(Progress, (listener) => listener(event)))

/** Tells that a job is at Bedrock, and gives it. @internal */
export const tellSubmitted = (job: SubmittedJob, how: "sent" | "found" | "known"): Effect.Effect<SubmittedJob> => {
  const { arn, key, records, runId, submittedAt } = job
  return Effect.as(emit({ _tag: "Submitted", runId, job: key, records, arn, how, submittedAt }), job)
}

/** Tells of a job's status and of Bedrock's counters. @internal */
export const tellChanged = (
  { key, records, runId }: Job,
  status: string,
  counters: Counters | null
): Effect.Effect<void> =>
  emit({ _tag: "JobChanged", runId, job: key, status, records, processed: counters?.processed ?? 0, counters })

/** Tells that a job has ended or was refused. @internal */
export const tellEnded = (job: EndedJob | RefusedJob, known: boolean): Effect.Effect<void> => {
  const { key, records, runId, status } = job
  const counters = job.status === "Refused" ? null : job.counters
  return emit({ _tag: "Ended", runId, job: key, status, records, counters, known })
}
