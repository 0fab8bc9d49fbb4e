/**
 * Jobs of which nothing more will come.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { BatchError, RunConflict } from "../BatchError.ts"
import type { EndedJob, Job, RefusedJob } from "../Job.ts"
import { Ledger } from "../Ledger.ts"
import { isFinal } from "./Refusals.ts"

/** @internal */
export type Settled = EndedJob | RefusedJob

/** What became of a job by the ledger: its end, or the refusal of its last claim; null while it may be open. */
const settledOf = Effect.fnUntraced(function*(job: Job) {
  const ledger = yield* Ledger
  const ended = yield* ledger.ended(job)
  if (ended !== null) return ended
  const { entry } = yield* ledger.look(job)
  const last = entry.claims.at(-1)
  if (last === undefined || entry.accepted || entry.claims.some((claim) => !claim.refused)) return null
  const refusal = yield* ledger.refusal(job, last.number)
  if (refusal === null || !isFinal(refusal)) return null
  const refused: RefusedJob = { ...job, status: "Refused", code: refusal.code, message: refusal.message }
  return refused
})

/**
 * What became of jobs, of those that are not `given` by the ledger. Fails with `RunConflict` (`not-ended`) when one may
 * still be open.
 *
 * @internal
 */
export const settledJobs = Effect.fnUntraced(function*(
  runId: string,
  jobs: ReadonlyArray<Job>,
  given: ReadonlyMap<string, Settled> = new Map()
) {
  const settled: Array<Settled> = []
  for (const job of jobs) {
    const one = given.get(job.key) ?? (yield* settledOf(job))
    if (one === null) {
      const message = `job ${job.key} of run ${runId} has not ended: await it first`
      const reason = new RunConflict({ runId, problem: "not-ended", differs: [], message })
      return yield* new BatchError({ module: "collect", method: "collect", reason })
    }
    settled.push(one)
  }
  return settled
})
