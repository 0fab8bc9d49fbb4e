/**
 * The runs of a store.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { BatchError } from "./BatchError.ts"
import { Reached, reached } from "./internal/Checkpoints.ts"
import * as Layout from "./internal/Layout.ts"
import { manifests, plans } from "./internal/Manifest.ts"
import { mayBeRun } from "./internal/RunKeys.ts"
import { ObjectStore } from "./store/ObjectStore.ts"

/**
 * Schema for what a list says of a run.
 *
 * @since 0.1.0
 * @category schemas
 */
export const RunSummary = Schema.Struct({
  runId: Schema.String,
  /** The name that the run was prepared with; null where it cannot be read. */
  name: Schema.NullOr(Schema.String),
  /** When its first `prepare` began, ISO 8601; null where it cannot be read. */
  createdAt: Schema.NullOr(Schema.String),
  /** Whether it is prepared to its end. */
  prepared: Schema.Boolean,
  /** Model id, inference profile id or ARN; null while it is not prepared. */
  model: Schema.NullOr(Schema.String),
  /** Rows in all jobs; null while it is not prepared. */
  records: Schema.NullOr(Schema.Natural),
  /** Jobs of the first attempt; null while it is not prepared. */
  jobs: Schema.NullOr(Schema.Natural),
  /** While it is not prepared: the jobs that are complete by the furthest checkpoint, and their records; else null. */
  preparing: Schema.NullOr(Reached),
  /** Whether nothing more of it is submitted. */
  cancelled: Schema.Boolean,
  /** What is wrong with what is stored of it, and what to do; null if nothing is. */
  problem: Schema.NullOr(Schema.String)
})

/**
 * What a list says of a run.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunSummary extends Schema.Schema.Type<typeof RunSummary> {}

/** Runs that are looked at at the same time. */
const runsAtOnce = 10

interface Read<A> {
  readonly value: A | null
  readonly problem: string | null
}

/** What was read, or what is wrong with it; a store that does not answer fails. */
const orProblem = <A>(read: Effect.Effect<A | null, BatchError>): Effect.Effect<Read<A>, BatchError> =>
  read.pipe(
    Effect.map((value): Read<A> => ({ value, problem: null })),
    Effect.catchReason(
      "BatchError",
      "Damaged",
      ({ message }) => Effect.succeed<Read<A>>({ value: null, problem: message })
    )
  )

const summaryOf = Effect.fnUntraced(function*(store: ObjectStore["Service"], runId: string) {
  const [run, plan, mark] = yield* Effect.all([
    orProblem(manifests.read(store, Layout.manifest(runId))),
    orProblem(plans.read(store, Layout.plan(runId))),
    store.head(Layout.cancelled(runId))
  ], { concurrency: 3 })
  const cancelled = mark !== null
  const planned = plan.value !== null || plan.problem !== null
  // A folder of somebody else.
  if (!planned && !cancelled && run.value === null) return null
  const other = [run.value, plan.value].find((described) => described !== null && described.runId !== runId)
  const listed = run.value === null || !cancelled || (yield* store.head(run.value.jobs.key)) !== null
  const isPrepared = run.value !== null || run.problem !== null
  const summary: RunSummary = {
    runId,
    name: run.value?.name ?? plan.value?.name ?? null,
    createdAt: run.value?.createdAt ?? plan.value?.createdAt ?? null,
    prepared: isPrepared,
    model: run.value?.model ?? null,
    records: run.value?.records ?? null,
    jobs: run.value?.jobs.count ?? null,
    preparing: isPrepared ? null : yield* reached(store, runId),
    cancelled,
    problem: run.problem ?? plan.problem ?? (
      other !== undefined && other !== null
        ? `the folder ${runId} holds the files of run ${other.runId}`
        : cancelled && (!planned || !listed)
        ? `the deletion of run ${runId} was cut off: delete it again`
        : null
    )
  }
  return summary
})

/** Newest first; runs whose age is not known come last. */
const byAge = (a: RunSummary, b: RunSummary): number =>
  (b.createdAt ?? "").localeCompare(a.createdAt ?? "") || (a.runId < b.runId ? -1 : 1)

/**
 * Every run under the store's base, newest first. A run whose description is damaged, or whose deletion was cut off, is
 * there too, with its `problem`; folders that are no runs are passed over.
 *
 * It takes one list of folders and three small reads a run; a list and a read more for one that is not prepared. On S3 it needs `s3:ListBucket` and `s3:GetObject`.
 *
 * @since 0.1.0
 * @category getters
 * @example
 * ```ts
 * import { Run } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * const open = Effect.map(Run.list(), (runs) => runs.filter(({ cancelled, prepared }) => prepared && !cancelled))
 * ```
 */
export const listRuns = Effect.fn("Run.list")(
  function*(): Effect.fn.Return<ReadonlyArray<RunSummary>, BatchError, ObjectStore> {
    const store = yield* ObjectStore
    const names = yield* store.folders("")
    const found = yield* Effect.forEach(names.filter(mayBeRun), (name) => summaryOf(store, name), {
      concurrency: runsAtOnce
    })
    return found.filter((summary) => summary !== null).sort(byAge)
  }
)
