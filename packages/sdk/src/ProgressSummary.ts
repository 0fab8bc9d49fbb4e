/**
 * Where runs stand, folded from their events.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { RunFold } from "./internal/RunFold.ts"
import { type Event, Progress } from "./Progress.ts"

const records = Schema.Struct({
  /** All records; while a run is prepared, those that are written. */
  total: Schema.Natural,
  /** Processed, by Bedrock's counters; these are billed. What lags or goes back does not make it less. */
  processed: Schema.Natural,
  /** Of the processed ones, those that Bedrock counted as failed. */
  failed: Schema.Natural,
  /** Of ended and refused jobs: not processed, and not run any more. */
  notRun: Schema.Natural,
  /** Of ended jobs without counters: it is not known how many were processed. */
  unknown: Schema.Natural
})

const jobs = Schema.Struct({
  /** All jobs; while a run is prepared, those that are written. */
  total: Schema.Natural,
  /** Not submitted yet. */
  waiting: Schema.Natural,
  /** At Bedrock, or run on demand, by status as Bedrock names it. */
  open: Schema.Record(Schema.String, Schema.Natural),
  /** Ended, by status; those that were never submitted are `Refused`. */
  ended: Schema.Record(Schema.String, Schema.Natural),
  /** Whose results were stored. Of a later attempt: the first attempt's jobs, whose rows its answers belong to. */
  collected: Schema.Natural
})

/**
 * Schema for a time from now on, in milliseconds: between `from` and `to`, both rounded.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TimeLeft = Schema.Struct({ from: Schema.Natural, to: Schema.Natural })

/**
 * A time from now on, in milliseconds: between `from` and `to`, both rounded.
 *
 * @since 0.1.0
 * @category models
 */
export interface TimeLeft extends Schema.Schema.Type<typeof TimeLeft> {}

/**
 * Schema for where one run stands, at its newest attempt: all numbers are that attempt's.
 *
 * @since 0.1.0
 * @category schemas
 */
export const RunProgress = Schema.Struct({
  runId: Schema.String,
  /** `running` until all jobs have ended, then `collecting` until the results are stored. */
  phase: Schema.Literals(["preparing", "prepared", "running", "stopping", "collecting", "finished"]),
  attempt: Schema.Natural,
  records,
  jobs,
  /**
   * Records a minute over the last ten minutes, or since the first job was seen; null until one was seen to be
   * processed. What other processes had done before does not count.
   */
  recordsPerMinute: Schema.NullOr(Schema.Finite),
  /**
   * Until the last job ends; null where nothing says how long that takes: while no record was seen to be processed and
   * no job to end, while jobs wait and none is open, and when the run is being stopped. It rests on Bedrock's counters,
   * on how long ended jobs took, and on how many are open at once. How long results take to be collected is not in it.
   */
  left: Schema.NullOr(TimeLeft),
  /** What is waited for now, and for how many more milliseconds at most, as far as that is known. */
  waiting: Schema.NullOr(Schema.Struct({ why: Schema.String, job: Schema.String, millis: Schema.Natural }))
})

/**
 * Where one run stands, at its newest attempt: all numbers are that attempt's.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunProgress extends Schema.Schema.Type<typeof RunProgress> {}

/**
 * Schema for where all runs stand.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Summary = Schema.Struct({
  /** In the order in which they were heard of; of finished ones the last 100. */
  runs: Schema.Array(RunProgress),
  /** The sums of those runs; `left` until the last of them ends, null where that of one is. */
  all: Schema.Struct({
    runs: Schema.Natural,
    finished: Schema.Natural,
    records,
    jobs,
    recordsPerMinute: Schema.NullOr(Schema.Finite),
    left: Schema.NullOr(TimeLeft)
  })
})

/**
 * Where all runs stand.
 *
 * @since 0.1.0
 * @category models
 */
export interface Summary extends Schema.Schema.Type<typeof Summary> {}

/**
 * What events come to. It keeps what is open, and of each ended job one bit.
 *
 * @since 0.1.0
 * @category models
 */
export interface Folding {
  /** Takes an event of the moment `at`, in milliseconds since 1970. The same end told twice counts once. */
  readonly follow: (event: Event, at: number) => void
  /** Where things stand at a moment. */
  readonly summary: (at: number) => Summary
}

/** Finished runs that are kept. */
const mostFinished = 100

/**
 * Makes an empty folding: nothing is read but what it is given.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Progress, ProgressSummary } from "@bedrock-batch/sdk"
 * import { Clock, Console, Effect } from "effect"
 *
 * declare const program: Effect.Effect<void>
 *
 * const folding = ProgressSummary.make()
 * const followed = program.pipe(
 *   Effect.provideService(Progress.Progress, (event) =>
 *     Effect.gen(function*() {
 *       const now = yield* Clock.currentTimeMillis
 *       folding.follow(event, now)
 *       yield* Console.log(folding.summary(now).all.records.processed)
 *     }))
 * )
 * ```
 */
export const make = (): Folding => {
  const runs = new Map<string, RunFold>()
  const forget = () => {
    const finished = [...runs].filter(([, run]) => run.isFinished)
    for (const [runId] of finished.slice(0, Math.max(0, finished.length - mostFinished))) runs.delete(runId)
  }
  return {
    follow: (event, at) => {
      let run = runs.get(event.runId)
      if (run === undefined) {
        run = new RunFold(event.runId)
        runs.set(event.runId, run)
      }
      run.follow(event, at)
      if (event._tag === "Finished") forget()
    },
    summary: (at) => {
      const all = [...runs.values()].map((run) => run.summary(at))
      return { runs: all, all: sumOf(all) }
    }
  }
}

const sumOf = (runs: ReadonlyArray<RunProgress>): Summary["all"] => {
  const sum = (of: (run: RunProgress) => number): number => runs.reduce((total, run) => total + of(run), 0)
  const states = (of: (run: RunProgress) => Readonly<Record<string, number>>): Record<string, number> => {
    const sums: Record<string, number> = {}
    for (const run of runs) {
      for (const [state, jobs] of Object.entries(of(run))) sums[state] = (sums[state] ?? 0) + jobs
    }
    return sums
  }
  const rates = runs.flatMap((run) => run.recordsPerMinute === null ? [] : [run.recordsPerMinute])
  const unfinished = runs.filter(({ phase }) => phase !== "finished")
  const lefts = unfinished.map(({ left }) => left)
  const known = lefts.filter((left) => left !== null)
  return {
    runs: runs.length,
    finished: runs.length - unfinished.length,
    records: {
      total: sum(({ records }) => records.total),
      processed: sum(({ records }) => records.processed),
      failed: sum(({ records }) => records.failed),
      notRun: sum(({ records }) => records.notRun),
      unknown: sum(({ records }) => records.unknown)
    },
    jobs: {
      total: sum(({ jobs }) => jobs.total),
      waiting: sum(({ jobs }) => jobs.waiting),
      open: states(({ jobs }) => jobs.open),
      ended: states(({ jobs }) => jobs.ended),
      collected: sum(({ jobs }) => jobs.collected)
    },
    recordsPerMinute: rates.length === 0 ? null : rates.reduce((total, rate) => total + rate, 0),
    left: known.length < lefts.length || runs.length === 0 ? null : {
      from: known.reduce((most, { from }) => Math.max(most, from), 0),
      to: known.reduce((most, { to }) => Math.max(most, to), 0)
    }
  }
}

/**
 * Options of `stream`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface StreamOptions {
  /** Shortest time between two summaries; default 1 second. */
  readonly every?: Duration.Input | undefined
}

/**
 * Runs an effect and gives where its runs stand: after events, but not more often than `every`, and once at the end.
 * Fails as the effect fails. A slow consumer gets fewer summaries, each of them whole, and never slows the run down. To
 * end the stream earlier interrupts the effect. The listener that is there hears the events, too.
 *
 * @since 0.1.0
 * @category combinators
 * @example
 * ```ts
 * import { ProgressSummary } from "@bedrock-batch/sdk"
 * import { Console, Effect, Stream } from "effect"
 *
 * declare const program: Effect.Effect<void>
 *
 * const told = ProgressSummary.stream(program, { every: "10 seconds" }).pipe(
 *   Stream.runForEach(({ all }) => Console.log(`${all.records.processed} of ${all.records.total}`))
 * )
 * ```
 */
export const stream = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options?: StreamOptions
): Stream.Stream<Summary, E, R> =>
  Stream.unwrap(Effect.gen(function*() {
    const folding = make()
    const news = Latch.makeUnsafe(false)
    const ended = Latch.makeUnsafe(false)
    const pause = Duration.fromInputUnsafe(options?.every ?? "1 second")
    const outer = yield* Progress
    const state: { over: Exit.Exit<A, E> | null; told: boolean; toldEnd: boolean } = {
      over: null,
      told: false,
      toldEnd: false
    }
    const running = effect.pipe(
      Effect.provideService(Progress, (event) =>
        Effect.flatMap(Clock.currentTimeMillis, (at) => {
          folding.follow(event, at)
          Latch.openUnsafe(news)
          return outer(event)
        })),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          state.over = exit
          Latch.openUnsafe(news)
          Latch.openUnsafe(ended)
        })
      )
    )
    yield* Effect.forkScoped(running)
    const pull = Effect.gen(function*() {
      if (state.told) yield* Effect.raceFirst(Effect.sleep(pause), Latch.await(ended))
      yield* Latch.await(news)
      if (state.toldEnd) {
        const { over } = state
        return yield* over === null || Exit.isSuccess(over) ? Cause.done() : Effect.failCause(over.cause)
      }
      if (state.over === null) Latch.closeUnsafe(news)
      else state.toldEnd = true
      state.told = true
      return [folding.summary(yield* Clock.currentTimeMillis)] as const
    })
    return Stream.fromPull(Effect.succeed(pull))
  }))
