/**
 * What the store says of runs: which of their attempts are cancelled, and which claims there are.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { BatchError } from "../BatchError.ts"
import type { Job, RefusedJob } from "../Job.ts"
import { type Entries, type Entry, Ledger } from "../Ledger.ts"
import { ObjectStore } from "../store/ObjectStore.ts"
import { type CancelledBy, cancelledBy, reasons } from "./CancelMarks.ts"
import { cancelledCode, isFinal } from "./Refusals.ts"
import { unsettledClaims } from "./SettleClaims.ts"

/** @internal */
export interface Views {
  /** By which mark the job's attempt is cancelled, or null. */
  readonly cancelled: (job: Job) => ReturnType<CancelledBy>
  /** Listed after the marks: a claim that it does not show is never sent for a cancelled attempt. */
  readonly entryOf: (job: Job) => Entry | undefined
  /** Whether a job of the attempt was ever claimed, accepted or ended; of runs that are seen whole. */
  readonly begun: (runId: string, attempt: number) => boolean
  /** Reads marks and ledger of a run again. */
  readonly refresh: (runId: string) => Effect.Effect<void, BatchError>
  /** Takes all attempts for cancelled by their deadline; nothing is written. */
  readonly close: () => void
}

/**
 * Reads marks and ledger of the jobs' runs, by two lists for each. Of a run with one job the list is of that job alone,
 * unless the runs are to be seen whole: a pipeline awaits the jobs of a run one by one, thousands of them.
 *
 * @internal
 */
export const makeViews = Effect.fnUntraced(function*(jobs: ReadonlyArray<Job>, whole: boolean) {
  const store = yield* ObjectStore
  const ledger = yield* Ledger
  const seen = new Map<string, { readonly by: CancelledBy; readonly entries: Entries }>()
  const asked = new Map<string, Array<string>>()
  for (const { key, runId } of jobs) {
    const keys = asked.get(runId) ?? []
    asked.set(runId, keys)
    keys.push(key)
  }
  let closed = false
  const refresh = Effect.fnUntraced(function*(runId: string) {
    const by = yield* cancelledBy(store, runId)
    const keys = asked.get(runId) ?? []
    const [key] = keys
    seen.set(runId, { by, entries: yield* ledger.entries(runId, whole || keys.length !== 1 ? "" : `${key}.`) })
  })
  for (const runId of asked.keys()) yield* refresh(runId)
  const views: Views = {
    cancelled: ({ attempt, runId }) => closed ? "deadline" : seen.get(runId)?.by(attempt) ?? null,
    entryOf: ({ key, runId }) => seen.get(runId)?.entries.jobs.get(key),
    begun: (runId, attempt) => {
      for (const [key, { accepted, claims, ended }] of seen.get(runId)?.entries.jobs ?? []) {
        if (key.startsWith(`${attempt}-`) && (claims.length > 0 || accepted || ended)) return true
      }
      return false
    },
    refresh,
    close: () => void (closed = true)
  }
  return views
})

/**
 * Whether a job may be open at the service: it was accepted and has not ended, or a call has no answer yet.
 *
 * @internal
 */
export const mayBeOpen = (entry: Entry | undefined): boolean =>
  entry !== undefined && !entry.ended && (entry.accepted || unsettledClaims(entry).length > 0)

/**
 * What a job is that was cancelled before it was submitted: refused, for the service's own reason if it had refused it
 * for good before.
 *
 * @internal
 */
export const cancelledJob = Effect.fnUntraced(function*(job: Job, entry: Entry | undefined, why: string) {
  const ledger = yield* Ledger
  const last = entry?.claims.at(-1)
  const refusal = last?.refused ? yield* ledger.refusal(job, last.number) : null
  const refused: RefusedJob = refusal !== null && isFinal(refusal)
    ? { ...job, status: "Refused", code: refusal.code, message: refusal.message }
    : { ...job, status: "Refused", code: cancelledCode, message: why }
  return refused
})

/** A job that nobody will submit any more, as far as it was seen; null for any other. @internal */
export const neverSent = Effect.fnUntraced(function*(views: Views, job: Job) {
  const by = views.cancelled(job)
  if (by === null) return null
  const entry = views.entryOf(job)
  const begun = job.lane === "on-demand" ? entry !== undefined : entry?.ended || mayBeOpen(entry)
  if (begun) return null
  return yield* cancelledJob(job, entry, reasons[by])
})
