/**
 * Asking before anything is paid for.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { ConfirmPlan } from "../awaitAll.ts"
import { BatchError, RunConflict } from "../BatchError.ts"
import type { Job } from "../Job.ts"
import type { Views } from "./Views.ts"

/** What would be submitted for the first time, of attempts of which nothing was claimed before. @internal */
export const planOf = (jobs: Iterable<Job>, views: Views): ConfirmPlan => {
  const begun = new Map<string, boolean>()
  const runs = new Map<string, { readonly runId: string; readonly attempt: number }>()
  const counted = new Set<string>()
  let records = 0
  let bytes = 0
  for (const job of jobs) {
    const { attempt, key, runId } = job
    const group = `${runId}/${attempt}`
    const known = begun.get(group) ?? views.begun(runId, attempt)
    begun.set(group, known)
    if (known || views.cancelled(job) !== null || counted.has(`${runId}/${key}`)) continue
    counted.add(`${runId}/${key}`)
    runs.set(group, { runId, attempt })
    records += job.records
    bytes += job.bytes
  }
  return { runs: [...runs.values()], records, jobs: counted.size, bytes }
}

/** One plan of several, which have no run in common. @internal */
export const planOfAll = (plans: ReadonlyArray<ConfirmPlan>): ConfirmPlan => {
  const sum = (count: (plan: ConfirmPlan) => number) => plans.reduce((sum, plan) => sum + count(plan), 0)
  return {
    runs: plans.flatMap(({ runs }) => runs),
    records: sum(({ records }) => records),
    jobs: sum(({ jobs }) => jobs),
    bytes: sum(({ bytes }) => bytes)
  }
}

/**
 * Goes on only where there is nothing to ask, or the answer is yes.
 *
 * @internal
 */
export const confirmed = Effect.fnUntraced(function*<R>(
  plan: ConfirmPlan,
  above: number | undefined,
  confirm: ((plan: ConfirmPlan) => Effect.Effect<boolean, BatchError, R>) | undefined
): Effect.fn.Return<void, BatchError, R> {
  const [first] = plan.runs
  if (first === undefined || (above === undefined && confirm === undefined)) return
  if (above !== undefined && plan.records <= above) return
  if (confirm !== undefined && (yield* confirm(plan))) return
  const runs = plan.runs.map(({ attempt, runId }) => attempt === 1 ? runId : `${runId} (attempt ${attempt})`).join(", ")
  const what = `${plan.records} records in ${plan.jobs} job${plan.jobs === 1 ? "" : "s"} of run ${runs}`
  const why = confirm !== undefined
    ? "were not confirmed"
    : `are more than confirmAbove (${above}) lets through: raise it, or pass a confirm that says yes`
  const message = `${what} ${why}; nothing was submitted`
  return yield* new BatchError({
    module: "awaitAll",
    method: "awaitAll",
    reason: new RunConflict({ runId: first.runId, problem: "unconfirmed", differs: [], message })
  })
})
