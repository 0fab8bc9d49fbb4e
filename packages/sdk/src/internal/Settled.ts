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
import * as Layout from "./Layout.ts"
import { readAllJobs } from "./Manifest.ts"
import type { Merging } from "./Merge.ts"
import { isFinal } from "./Refusals.ts"

/** @internal */
export type Settled = EndedJob | RefusedJob

/** Reads of the ledger at a time. */
const concurrency = 16

/** Which attempts of a run nobody submits jobs of any more; all of them where the run is cancelled. */
const cancelledAttempts = Effect.fnUntraced(function*(runId: string) {
  const store = yield* ObjectStore
  const { objects } = yield* store.list(Layout.cancelled(runId))
  const keys = new Set(objects.map(({ key }) => key))
  return (attempt: number): string | null =>
    keys.has(Layout.cancelled(runId))
      ? "the run was cancelled before this job was submitted"
      : keys.has(Layout.cancelledAttempt(runId, attempt))
      ? "the deadline was reached before this job was submitted"
      : null
})

/** What became of a job by the ledger: its end, or that it was never created; null while it may be open. */
const settledOf = Effect.fnUntraced(function*(job: Job, entry: Entry | undefined, cancelled: string | null) {
  const ledger = yield* Ledger
  if (entry?.ended) return yield* ledger.ended(job)
  const refused = (code: string, message: string): RefusedJob => ({ ...job, status: "Refused", code, message })
  const last = entry?.claims.at(-1)
  if (entry !== undefined && last !== undefined) {
    if (job.lane === "on-demand" || entry.accepted || entry.claims.some((claim) => !claim.refused)) return null
    const refusal = yield* ledger.refusal(job, last.number)
    if (refusal !== null && isFinal(refusal)) return refused(refusal.code, refusal.message)
  }
  return cancelled === null ? null : refused("Cancelled", cancelled)
})

/**
 * What became of the jobs of a run's attempts up to its current one, in their order; of those that are not `given` by
 * the ledger. Fails with `RunConflict` (`not-ended`) when one may still be open.
 *
 * @internal
 */
export const settledJobs = Effect.fnUntraced(function*(
  run: Pick<Handle<object>, "id" | "manifest" | "attempt">,
  given: ReadonlyMap<string, Settled> = new Map()
) {
  const jobs = yield* readAllJobs(yield* ObjectStore, run.manifest, run.attempt)
  if (jobs.every(({ key }) => given.has(key))) return jobs.map(({ key }) => given.get(key)!)
  // Whoever claims after the mark sees it and sends nothing; so it is looked for before the claims.
  const cancelled = yield* cancelledAttempts(run.id)
  const entries = yield* (yield* Ledger).entries(run.id)
  return yield* Effect.forEach(
    jobs,
    Effect.fnUntraced(function*(job) {
      const one = given.get(job.key) ??
        (yield* settledOf(job, entries.jobs.get(job.key), cancelled(job.attempt)))
      if (one !== null) return one
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
