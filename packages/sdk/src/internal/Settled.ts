/**
 * Jobs of which nothing more will come.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { BatchError, RunConflict } from "../BatchError.ts"
import type { EndedJob, Job, RefusedJob } from "../Job.ts"
import { type Entry, Ledger } from "../Ledger.ts"
import type { Handle } from "../RunManifest.ts"
import { ObjectStore } from "../store/ObjectStore.ts"
import { cancelledBy, reasons } from "./CancelMarks.ts"
import { readAllJobs } from "./Manifest.ts"
import type { Merging } from "./Merge.ts"
import { cancelledCode, isFinal } from "./Refusals.ts"

/** @internal */
export type Settled = EndedJob | RefusedJob

/** Reads of the ledger at a time. */
const concurrency = 16

/** What became of a job by the ledger: its end, or that it was never created; null while it may be open. */
const settledOf = Effect.fnUntraced(function*(job: Job, entry: Entry | undefined, cancelled: string | null) {
  const ledger = yield* Ledger
  if (entry?.ended) return yield* ledger.ended(job)
  const refused = (code: string, message: string): RefusedJob => ({ ...job, status: "Refused", code, message })
  const last = entry?.claims.at(-1)
  if (entry !== undefined && last !== undefined) {
    if (job.lane === "on-demand" || entry.accepted) return null
    if (!last.refused) {
      return cancelled === null || entry.unlisted < last.number
        ? null
        : refused(cancelledCode, `${cancelled}; a create call of it had no answer, and Bedrock's list shows no job`)
    }
    // The claims before it are known to have given no job, or it would not have been made.
    const refusal = yield* ledger.refusal(job, last.number)
    if (refusal !== null && isFinal(refusal)) return refused(refusal.code, refusal.message)
  }
  return cancelled === null ? null : refused(cancelledCode, cancelled)
})

/**
 * What became of the jobs of a run's attempts, `from` one up to its current one, in their order; of those that are not
 * `given` by the ledger. Fails with `RunConflict` (`not-ended`) when one may still be open.
 *
 * @internal
 */
export const settledJobs = Effect.fnUntraced(function*(
  run: Pick<Handle<object>, "id" | "manifest" | "attempt">,
  given: ReadonlyMap<string, Settled> = new Map(),
  from = 1
) {
  const store = yield* ObjectStore
  const jobs = (yield* readAllJobs(store, run.manifest, run.attempt)).filter(({ attempt }) => attempt >= from)
  // Why a job was not submitted is told by the store alone, so that all processes say the same.
  const known = ({ key }: Job): Settled | undefined => {
    const one = given.get(key)
    return one?.status === "Refused" && one.code === cancelledCode ? undefined : one
  }
  if (jobs.every((job) => known(job) !== undefined)) return jobs.map((job) => known(job)!)
  // Whoever claims after the mark sees it and sends nothing; so it is looked for before the claims.
  const by = yield* cancelledBy(store, run.id)
  const entries = yield* (yield* Ledger).entries(run.id)
  return yield* Effect.forEach(
    jobs,
    Effect.fnUntraced(function*(job) {
      const why = by(job.attempt)
      const one = known(job) ??
        (yield* settledOf(job, entries.jobs.get(job.key), why === null ? null : reasons[why])) ?? given.get(job.key)
      if (one !== undefined) return one
      const message = `job ${job.key} of run ${run.id} has not ended: await it first`
      const reason = new RunConflict({ runId: run.id, problem: "not-ended", differs: [], message })
      return yield* new BatchError({ module: "collect", method: "collect", reason })
    }),
    { concurrency }
  )
})

/** The jobs of the first attempt, each with those of later attempts, which may hold some of its rows. @internal */
export const mergingsOf = (
  run: Merging["run"],
  jobs: ReadonlyArray<Settled>
): ReadonlyArray<Merging> => {
  const later = jobs.filter(({ attempt }) => attempt > 1)
  return jobs.filter(({ attempt }) => attempt === 1).map((job) => ({
    run,
    job,
    later: later.filter(({ firstRow, lastRow }) => firstRow <= job.lastRow && lastRow >= job.firstRow)
  }))
}
