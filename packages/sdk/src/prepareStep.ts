/**
 * `prepare` in rounds, for programs that may only run for some minutes at a time.
 *
 * @since 0.2.0
 */
import type * as Prompt from "@bedrock-batch/processors/Prompt"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { BatchError, InvalidOption } from "./BatchError.ts"
import { define } from "./internal/Definition.ts"
import { outOfTime } from "./internal/WriteJobs.ts"
import { writeOn } from "./internal/WriteRun.ts"
import type { Embed, PrepareOptions } from "./prepare.ts"
import { Capacity } from "./schedule/Capacity.ts"
import { ObjectStore } from "./store/ObjectStore.ts"

/**
 * Schema for what a round of `prepareStep` came to.
 *
 * @since 0.2.0
 * @category schemas
 */
export const PrepareRound = Schema.Struct({
  runId: Schema.String,
  /** Whether the run is prepared to its end; else another round is to be made. */
  prepared: Schema.Boolean,
  /** Records in the jobs that are complete, of all rounds. */
  records: Schema.Natural,
  /** Jobs that are complete, of all rounds. */
  jobs: Schema.Natural,
  /** How many rounds came so far, this one counted; 0 where the run was prepared before. */
  round: Schema.Natural
})

/**
 * What a round of `prepareStep` came to.
 *
 * @since 0.2.0
 * @category models
 */
export interface PrepareRound extends Schema.Schema.Type<typeof PrepareRound> {}

const error = (reason: BatchError["reason"]) => new BatchError({ module: "prepare", method: "prepareStep", reason })

const millisOf = (budget: Duration.Input): Effect.Effect<number, BatchError> => {
  const millis = Option.map(Duration.fromInput(budget), Duration.toMillis)
  return Option.isSome(millis) && millis.value > 0 && Number.isFinite(millis.value)
    ? Effect.succeed(millis.value)
    : Effect.fail(error(new InvalidOption({ path: "budget", message: "budget must be a time, for example \"10 minutes\"" })))
}

/**
 * Prepares a run for as long as `budget` and keeps how far it came in the store: call it again, here or elsewhere, until
 * the run is `prepared`. A run that is prepared in rounds is the one that `prepare` would have made in one go: the same
 * jobs with the same requests.
 *
 * A round ends at the end of a job, when the time that is left is hardly enough for another. When the time is over amidst
 * a job, that job is given up and made in the next round; only one small object is written after that, so leave some
 * seconds between the budget and the end of the program. `prepare` and `resume` go on from where a round ended, too; and
 * rounds from where a `prepare` was cut off. Two that prepare one run at the same time do no harm.
 *
 * A round reads the source on from where the last one ended: CSV and JSON Lines from a byte, Parquet from a row group,
 * Arrow files from a record batch. What is compressed as a whole (`.csv.gz`), Arrow streams, results of runs and rows from
 * memory are read again from their beginning and passed over. An iterable or a stream must give the same rows in each
 * round: they are compared with those of the jobs. A dataset of the Hub must stay at its commit: give one as `revision`.
 *
 * Fails as `prepare` does, with `RunConflict` (`different`) where the source is no longer the same and the options name
 * the run with `runId` (as the answer of the first round has it; without it, other content is another run, which begins
 * with its first round), and with `OutOfTime` where the budget is too short for one job: what earlier rounds made is kept,
 * and more time or a smaller `maxRecordsPerJob` (of another run) help.
 *
 * @since 0.2.0
 * @category constructors
 * @example
 * ```ts
 * import { prepareStep, Prompt, Source } from "@bedrock-batch/sdk"
 *
 * const round = prepareStep({
 *   name: "jokes",
 *   source: Source.csv("s3://my-bucket/topics.csv"),
 *   model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
 *   prompt: Prompt.make("Tell me a joke about {topic} in less than 50 words.")
 * }, "13 minutes")
 * ```
 */
export const prepareStep = Effect.fn("prepareStep")(function*<
  Row extends object,
  SR,
  const P extends Prompt.Any | undefined = undefined,
  X extends object = never,
  const N extends { readonly [column: string]: string } = {},
  const E extends Embed = "input_text",
  const B extends string | undefined = undefined,
  O extends object = {},
  const G extends boolean = false
>(
  options: PrepareOptions<Row, SR, P, X, N, E, B, O, G>,
  budget: Duration.Input
): Effect.fn.Return<PrepareRound, BatchError, ObjectStore | Capacity | SR> {
  const begun = yield* Clock.currentTimeMillis
  const millis = yield* millisOf(budget)
  const round = Effect.gen(function*() {
    const store = yield* ObjectStore
    const defined = yield* Effect.timeoutOption(define(options), millis)
    if (Option.isNone(defined)) return yield* error(outOfTime(options.runId ?? null, 0))
    const definition = defined.value
    const { runId } = definition
    yield* Effect.annotateCurrentSpan({ run: runId })
    const came = yield* writeOn(store, definition, begun + millis)
    if (came.to === "checkpoint") {
      const { jobs, records, round } = came
      const on: PrepareRound = { runId, prepared: false, records, jobs, round }
      return on
    }
    const { jobs, records } = came.manifest
    const end: PrepareRound = { runId, prepared: true, records, jobs: jobs.count, round: came.round }
    return end
  })
  return yield* Effect.scoped(round)
})
