/**
 * How far a life of `prepare` has come, written down at ends of jobs, so that another life can go on from there. It goes
 * on under an id of its own and takes the jobs that are complete by reference: nobody writes into another's folder.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { BatchError } from "../BatchError.ts"
import { Job } from "../Job.ts"
import { Position } from "../source/internal/Position.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"
import * as Layout from "./Layout.ts"
import { stored } from "./Stored.ts"

type Store = ObjectStore["Service"]

/** What a checkpoint says. @internal */
export const Checkpoint = Schema.Struct({
  version: Schema.Literal(1),
  runId: Schema.String,
  /** That of the plan: another run of the same id has another. */
  nonce: Schema.String,
  /** Digest of what the jobs are made from: jobs of equal ones belong together. */
  content: Schema.String,
  /** How many rounds came so far, the one that wrote this counted. */
  round: Schema.Natural,
  /** The first row that is in no job yet: the first of those that are held back. */
  row: Schema.Natural,
  /** Where the source is read on to come to it; null where it is read from its beginning. */
  position: Schema.NullOr(Position),
  /** The jobs since the checkpoint before. */
  jobs: Schema.Array(Job),
  /** The key of that; null for the first. */
  previous: Schema.NullOr(Schema.String)
})

/** @internal */
export interface Checkpoint extends Schema.Schema.Type<typeof Checkpoint> {}

const checkpoints = stored("prepare", Checkpoint)

/** What a life takes up of those before it. @internal */
export interface TakenUp extends Pick<Checkpoint, "nonce" | "round" | "row" | "position"> {
  /** All jobs so far, in order. */
  readonly jobs: ReadonlyArray<Job>
  readonly key: string
}

/** Stores a checkpoint after so many jobs of the run, and gives its key. @internal */
export const write = Effect.fnUntraced(
  function*(store: Store, prepareId: string, jobs: number, checkpoint: Checkpoint) {
    const key = Layout.checkpoint(checkpoint.runId, prepareId, jobs)
    yield* checkpoints.createOrRead(store, key, checkpoint)
    return key
  }
)

/** A checkpoint that lies in the store. */
interface Found {
  readonly key: string
  readonly prepareId: string
  /** Jobs so far. */
  readonly jobs: number
}

const foundAt = (runId: string, key: string): Found | null => {
  const match = /^([0-9a-f]{16})\/checkpoint-(\d{6,15})$/.exec(key.slice(Layout.prepares(runId).length))
  return match === null ? null : { key, prepareId: match[1]!, jobs: Number(match[2]) }
}

/** The checkpoints of a run, the furthest first. */
const list = Effect.fnUntraced(function*(store: Store, runId: string) {
  const { objects } = yield* store.list(Layout.prepares(runId))
  return objects
    .flatMap(({ key }) => foundAt(runId, key) ?? [])
    .sort((a, b) => b.jobs - a.jobs || (a.key < b.key ? -1 : 1))
})

const readsAtOnce = 16

/** Reads a checkpoint; null where it is gone or damaged: the jobs are then made once more. */
const readOne = (store: Store, key: string): Effect.Effect<Checkpoint | null, BatchError> =>
  checkpoints.read(store, key).pipe(
    Effect.catchReason("BatchError", "Damaged", ({ message }) =>
      Effect.as(Effect.logWarning(`${message}; prepare does without it`), null))
  )

/** Whether jobs follow one another from the first row to the given one. */
const areWhole = (jobs: ReadonlyArray<Job>, row: number): boolean => {
  let next = 0
  for (const [index, job] of jobs.entries()) {
    if (job.index !== index || job.attempt !== 1 || job.firstRow !== next) return false
    next = job.lastRow + 1
  }
  return next === row
}

/** A checkpoint with all that it builds on; null where some of it cannot be used. */
const takeUp = Effect.fnUntraced(
  function*(store: Store, of: Pick<Checkpoint, "runId" | "nonce" | "content">, all: ReadonlyArray<Found>, last: Found) {
    const read = new Map<string, Checkpoint | null>()
    const chain: Array<Checkpoint> = []
    let at: Found | null = last
    while (at !== null) {
      const { jobs, prepareId }: Found = at
      if (!read.has(at.key)) {
        // Those of one life are read at once.
        const life = all.filter((one) => one.prepareId === prepareId && one.jobs <= jobs)
        const found = yield* Effect.forEach(life, ({ key }) => readOne(store, key), { concurrency: readsAtOnce })
        for (const [i, { key }] of life.entries()) read.set(key, found[i]!)
      }
      const one: Checkpoint | null = read.get(at.key) ?? null
      if (one === null || one.runId !== of.runId || one.nonce !== of.nonce || one.content !== of.content) return null
      chain.unshift(one)
      at = one.previous === null ? null : foundAt(of.runId, one.previous)
      if (one.previous !== null && (at === null || at.jobs >= jobs)) return null
    }
    const { nonce, position, round, row } = chain.at(-1)!
    const jobs = chain.flatMap((one) => one.jobs)
    const taken: TakenUp = { nonce, round, row, position, jobs, key: last.key }
    return jobs.length === last.jobs && areWhole(jobs, row) ? taken : null
  }
)

/** The furthest checkpoint that the same run has left, whoever wrote it; null where there is none. @internal */
export const latest = Effect.fnUntraced(
  function*(store: Store, of: Pick<Checkpoint, "runId" | "nonce" | "content">) {
    const all = yield* list(store, of.runId)
    for (const one of all) {
      const taken = yield* takeUp(store, of, all, one)
      if (taken !== null) return taken
    }
    return null
  }
)

/** Schema for how far a run that is not prepared has come. @internal */
export const Reached = Schema.Struct({ jobs: Schema.Natural, records: Schema.Natural })

/** How far a run that is not prepared has come, by its furthest checkpoint that can be read. @internal */
export const reached = Effect.fnUntraced(function*(store: Store, runId: string) {
  for (const { jobs, key } of yield* list(store, runId)) {
    const one = yield* readOne(store, key)
    if (one !== null) return { jobs, records: one.row }
  }
  return { jobs: 0, records: 0 }
})
