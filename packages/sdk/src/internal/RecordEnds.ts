/**
 * Recording ends that the service knows of, without waiting for any.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { BatchJobs, type JobState } from "../bedrock/BatchJobs.ts"
import { type EndedJob, isTerminal, type SubmittedJob } from "../Job.ts"
import { Ledger } from "../Ledger.ts"
import { patiently } from "./Patience.ts"

/** Calls to the store at a time. */
const concurrency = 16

/** Bedrock's clock and ours may differ by so much, in milliseconds. */
const clockMargin = 15 * 60_000

/** A job by its state at the service: as it ended, or null while it has not. @internal */
export const endOf = (job: SubmittedJob, state: JobState | null | undefined): EndedJob | null => {
  if (state === null || state === undefined || !isTerminal(state.status)) return null
  const { counters, message, status } = state
  return { ...job, status, message, counters, repeatedCalls: 0 }
}

/** A job that was accepted, and its end if there is one. @internal */
export interface Stood {
  readonly submitted: SubmittedJob
  readonly ended: EndedJob | null
}

/** Records the ends of accepted jobs by one list; gives each as it stands, in their order. @internal */
export const recordEnds = Effect.fnUntraced(function*(accepted: ReadonlyArray<SubmittedJob>) {
  const jobs = yield* BatchJobs
  const ledger = yield* Ledger
  if (accepted.length === 0) return []
  const runs = new Set(accepted.map(({ runId }) => runId))
  const wanted = new Set(accepted.map(({ arn }) => arn))
  const states = new Map<string, JobState>()
  const oldest = accepted.reduce((oldest, job) => Math.min(oldest, Date.parse(job.submittedAt)), Infinity)
  const list = jobs.list({
    nameContains: runs.size === 1 ? [...runs][0] : undefined,
    submittedAfter: oldest - clockMargin
  }).pipe(Stream.runForEach((state) =>
    Effect.sync(() => {
      if (wanted.has(state.arn)) states.set(state.arn, state)
    })
  ))
  yield* patiently(list)
  return yield* Effect.forEach(
    accepted,
    Effect.fnUntraced(function*(submitted) {
      const end = endOf(submitted, states.get(submitted.arn))
      const stood: Stood = { submitted, ended: end === null ? null : yield* patiently(ledger.end(end)) }
      return stood
    }),
    { concurrency }
  )
})
