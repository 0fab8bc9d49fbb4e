/**
 * One life of `prepare` as a round: when it is to stop, and the checkpoints that it leaves.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { BatchError } from "../BatchError.ts"
import type { Position } from "../source/internal/Position.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"
import * as Checkpoints from "./Checkpoints.ts"
import type { JobWriter } from "./JobWriter.ts"

/** A life that is not to stop leaves a checkpoint after so many jobs, or so much time. */
const checkpointAfter = { jobs: 16, millis: 30_000 }

/** A round stops at the end of a job where not so many times its longest job is left. */
const spare = 1.5

/** @internal */
export interface RoundOptions extends Pick<Checkpoints.Checkpoint, "runId" | "nonce" | "content"> {
  readonly prepareId: string
  readonly taken: Checkpoints.TakenUp | null
  /** When it is to stop, by the clock; null where it goes on to the end. */
  readonly until: number | null
  /** The places that were come to, in order; those that are passed are taken out. */
  readonly places: Array<Position>
}

/** @internal */
export interface Round {
  /** Is run when a job is closed; gives whether the round is to stop there. */
  readonly closed: Effect.Effect<boolean, BatchError>
  /** Leaves a checkpoint after the jobs that are stored. */
  readonly keep: Effect.Effect<void, BatchError>
  /** Whether it was to stop. */
  readonly stopped: () => boolean
  /** How far checkpoints go: jobs of this round, of all, and their records. */
  readonly kept: () => { readonly own: number; readonly jobs: number; readonly records: number }
}

/** @internal */
export const make = Effect.fnUntraced(function*(
  store: ObjectStore["Service"],
  writer: Pick<JobWriter, "nextRow" | "stored">,
  options: RoundOptions
) {
  const { content, nonce, places, prepareId, runId, taken, until } = options
  const before = taken?.jobs.length ?? 0
  /** Where the jobs end that were closed here. */
  const ends: Array<{ readonly row: number; readonly position: Position | null }> = []
  const begun = yield* Clock.currentTimeMillis
  let stopped = false
  let closedAt = begun
  let longest = 0
  let kept = 0
  let keptAt = begun
  let previous = taken?.key ?? null

  const keep = Effect.gen(function*() {
    // The last jobs are closed by the end of the source, and nothing goes on after them.
    const count = Math.min(writer.stored().length, ends.length)
    if (count === kept) return
    const jobs = writer.stored().slice(kept, count)
    const round = (taken?.round ?? 0) + 1
    const { position, row } = ends[count - 1]!
    const checkpoint = { version: 1, runId, nonce, content, round, row, position, jobs, previous } as const
    previous = yield* Checkpoints.write(store, prepareId, before + count, checkpoint)
    kept = count
    keptAt = yield* Clock.currentTimeMillis
  })

  const round: Round = {
    closed: Effect.gen(function*() {
      const row = writer.nextRow()
      while (places[1] !== undefined && places[1].row <= row) places.shift()
      ends.push({ row, position: places[0] ?? null })
      const now = yield* Clock.currentTimeMillis
      longest = Math.max(longest, now - closedAt)
      closedAt = now
      stopped = until !== null && until - now < longest * spare
      if (stopped) return true
      const isDue = writer.stored().length - kept >= checkpointAfter.jobs || now - keptAt >= checkpointAfter.millis
      if (isDue) yield* keep
      return false
    }),
    keep,
    stopped: () => stopped,
    kept: () => ({ own: kept, jobs: before + kept, records: kept === 0 ? taken?.row ?? 0 : ends[kept - 1]!.row })
  }
  return round
})
