/**
 * Reads the source of a run and writes the files of its jobs, to the end or to a checkpoint.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type BatchError, OutOfTime, RunConflict, Unavailable } from "../BatchError.ts"
import type { Job } from "../Job.ts"
import * as Progress from "../Progress.ts"
import type { Plan } from "../RunManifest.ts"
import type { Position } from "../source/internal/Position.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"
import { type Batch, slice } from "./Batch.ts"
import type { TakenUp } from "./Checkpoints.ts"
import type { Definition } from "./Definition.ts"
import { freshId } from "./Digest.ts"
import * as EncodeRows from "./EncodeRows.ts"
import * as JobWriter from "./JobWriter.ts"
import * as Layout from "./Layout.ts"
import { plans } from "./Manifest.ts"
import * as MediaCopies from "./MediaCopies.ts"
import * as PlannedJobs from "./PlannedJobs.ts"
import { agree, contentOf, error, impossible, plannerOf } from "./PlanOf.ts"
import * as ReadMedia from "./ReadMedia.ts"
import type { Segment } from "./RecordEncoder.ts"
import * as Round from "./Round.ts"
import { rowsAfter } from "./RowsAfter.ts"

type Store = ObjectStore["Service"]

/** What a life writes, and where it begins. @internal */
export interface Life {
  readonly definition: Definition
  readonly prepareId: string
  /** What it takes up; null where it begins with the first row. */
  readonly taken: TakenUp | null
  /** When it is to stop, by the clock; null where it goes on to the end. */
  readonly until: number | null
}

/** It stopped at a checkpoint. @internal */
export interface Stopped {
  readonly to: "checkpoint"
  /** Records in the jobs that are complete, and those jobs, of all rounds. */
  readonly records: number
  readonly jobs: number
  readonly round: number
}

/** It has written all jobs. @internal */
export interface Ended {
  readonly to: "end"
  readonly jobs: ReadonlyArray<Job>
  readonly plan: Plan
}

/** Creates `plan.json`, or takes up the one that is there. */
const begin = Effect.fnUntraced(function*(
  store: Store,
  { definition, prepareId, taken, until }: Life,
  places: Array<Position>
) {
  const createdAt = new Date(yield* Clock.currentTimeMillis).toISOString()
  const { runId } = definition
  const { value: plan } = yield* plans.createOrRead(store, Layout.plan(runId), {
    version: 1,
    runId,
    name: definition.name,
    createdAt,
    fingerprint: definition.fingerprint,
    nonce: yield* freshId,
    bounds: definition.bounds,
    timeoutHours: definition.timeoutHours,
    prepareId,
    recipe: definition.recipe
  })
  yield* agree(definition, plan.fingerprint)
  if (taken !== null && taken.nonce !== plan.nonce) {
    const message = `run ${runId} was deleted while it was prepared; prepare it again`
    return yield* error(new Unavailable({ code: "conflict", retryAfterMillis: null, message }))
  }
  const writer = JobWriter.make(store, {
    runId,
    attempt: 1,
    model: definition.model,
    region: definition.region,
    invocationType: definition.processor.invocationType,
    prepareId,
    timeoutHours: plan.timeoutHours,
    nonce: plan.nonce,
    columns: definition.source.columns,
    startRow: taken?.row,
    uncopied: ({ column, from, row }, failed) => ReadMedia.uncopied(definition.source, row, column, from, failed)
  })
  const before = taken === null ? undefined : { jobs: taken.jobs.length, records: taken.row }
  const planner = yield* plannerOf(definition, plan.bounds, before)
  const { nonce } = plan
  const round = yield* Round.make(store, writer, {
    runId,
    nonce,
    content: contentOf(definition),
    prepareId,
    taken,
    until,
    places
  })
  const planned = yield* PlannedJobs.make(planner, writer, "prepare", (why) => impossible(definition, why), {
    closed: round.closed
  })
  return { plan, planned, planner, round, writer }
})

/** The failure of a source that gives other rows than those that jobs were made of. */
const otherRows = ({ runId }: Definition, what: string): BatchError =>
  error(
    new RunConflict({
      runId,
      problem: "different",
      differs: ["source"],
      message: `run ${runId} was prepared up to here from other rows: ${what}; give the same rows, or delete that run if ` +
        `it is not needed`
    })
  )

/**
 * Reads the source and writes the jobs' files. The plan is created when the first rows have become requests: a mistake
 * that shows in them leaves nothing behind. With a limit of time it ends at the end of a job, or gives up the one that it
 * is at when the time is over; then it fails with `OutOfTime` if there is no other.
 *
 * @internal
 */
export const writeJobs = Effect.fnUntraced(function*(
  store: Store,
  life: Life
): Effect.fn.Return<Ended | Stopped, BatchError, Scope.Scope> {
  const { definition, prepareId, taken, until } = life
  const { runId, source } = definition
  const places: Array<Position> = []
  const state: { begun: Effect.Success<ReturnType<typeof begin>> | null } = {
    begun: taken === null ? null : yield* begin(store, life, places)
  }
  let rows = taken?.row ?? 0
  const { attachments } = definition.encoder
  const folder = MediaCopies.openFolder(store, runId, prepareId, 1)
  const encode = EncodeRows.make(
    definition,
    attachments.length === 0 ? null : ReadMedia.make(store, definition, attachments, folder)
  )

  const write = Effect.fnUntraced(function*(segments: ReadonlyArray<Segment>) {
    const { planned, round, writer } = state.begun ??= yield* begin(store, life, places)
    for (const segment of segments) {
      rows += yield* planned.take(segment)
      if (round.stopped()) return true
    }
    const jobs = (taken?.jobs.length ?? 0) + writer.closed()
    yield* Progress.emit({ _tag: "Prepared", runId, records: rows, jobs, done: false })
    return false
  })

  const take = Effect.fnUntraced(function*(batch: Batch) {
    const room = state.begun?.planner.room ?? definition.bounds.maxRecordsTotal ?? Infinity
    const part = slice(batch, 0, Math.min(batch.length, room))
    const firstRow = rows
    const { position } = batch
    if (position !== undefined && position !== places.at(-1)) places.push(position)
    yield* encode(part, firstRow).pipe(
      Stream.mapEffect(({ segments }) => write(segments)),
      Stream.takeUntil((stopped) => stopped),
      Stream.runDrain
    )
    return state.begun !== null && (state.begun.planner.ended || state.begun.round.stopped())
  })

  const all = Effect.gen(function*() {
    const batches = taken === null
      ? source.batches
      : rowsAfter(store, source, taken, (row) => otherRows(definition, `row ${row + 1} is another one`))
    yield* batches.pipe(
      Stream.mapEffect(take),
      Stream.takeUntil((ended) => ended),
      Stream.runDrain
    )
    if (state.begun === null) {
      return yield* impossible(definition, { problem: "empty", row: null, message: "there are no rows" })
    }
    if (rows === taken?.row) return yield* otherRows(definition, `there are no more than ${rows}`)
    const { plan, planned, round, writer } = state.begun
    if (round.stopped()) {
      yield* writer.jobs
      return null
    }
    const ended: Ended = { to: "end", jobs: [...taken?.jobs ?? [], ...(yield* planned.end)], plan }
    return ended
  })

  if (until === null) return (yield* all) ?? (yield* Effect.die(new Error("it stopped without a limit of time")))
  const ended = yield* Effect.timeoutOption(all, Math.max(0, until - (yield* Clock.currentTimeMillis)))
  if (Option.isSome(ended) && ended.value !== null) return ended.value
  if (state.begun !== null) yield* state.begun.round.keep
  const { jobs, own, records } = state.begun?.round.kept() ?? { jobs: 0, own: 0, records: 0 }
  if (own === 0) return yield* error(outOfTime(runId, records))
  const stopped: Stopped = { to: "checkpoint", records, jobs, round: (taken?.round ?? 0) + 1 }
  return stopped
})

/** @internal */
export const outOfTime = (runId: string | null, records: number): OutOfTime =>
  new OutOfTime({
    runId,
    records,
    message: `the time of the round was over before a job was complete` +
      (records === 0 ? "" : ` (${records} records are in jobs of earlier rounds, which are kept)`) +
      `: give it more time, or make smaller jobs with maxRecordsPerJob`
  })
