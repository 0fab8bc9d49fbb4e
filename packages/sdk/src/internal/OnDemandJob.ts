/**
 * A job whose records are asked for one by one, at the full price, because they are too few for a batch job.
 *
 * There is no token that would keep a call from being paid for twice. So one process at a time makes the calls, by a
 * lease made of write-once claims, answers are stored every few seconds, and what a process that died may have asked
 * for without storing the answer is counted when it is asked for again.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { BatchError, RunConflict } from "../BatchError.ts"
import { OnDemand } from "../bedrock/OnDemand.ts"
import type { EndedJob, Job } from "../Job.ts"
import { type Lease, Ledger } from "../Ledger.ts"
import * as Progress from "../Progress.ts"
import { ObjectStore } from "../store/ObjectStore.ts"
import { checkFiles } from "./CheckFiles.ts"
import { freshId } from "./Digest.ts"
import { OnDemandAnswers } from "./OnDemandAnswers.ts"
import { endedOf, firstWindow, hold, tellEnd } from "./OnDemandCalls.ts"

/** Pauses, in milliseconds, between two looks at a job that another process works on: doubled up to the longest. */
const pauses = { first: 1_000, most: 15_000 }

/** A job that nobody works on. */
interface Free {
  /** What its newest claim says; null where there is none. */
  readonly last: Lease | null
  /** By the store's clock, in milliseconds since 1970. */
  readonly firstClaimAt: number
  readonly cancelled: boolean
}

/** Waits until the job has ended, or nobody works on it. */
const untilFree = Effect.fnUntraced(
  function*(job: Job): Effect.fn.Return<{ readonly ended: EndedJob } | Free, BatchError, Ledger> {
    const ledger = yield* Ledger
    for (let pause = pauses.first;; pause = Math.min(pauses.most, 2 * pause)) {
      const { at, cancelled, entry } = yield* ledger.look(job)
      const ended = entry.ended ? yield* ledger.ended(job) : null
      if (ended !== null) return { ended }
      const newest = entry.claims.at(-1)
      const last = newest === undefined ? null : yield* ledger.leased(job, newest.number)
      if (newest === undefined || last === null) return { last: null, firstClaimAt: at, cancelled }
      const left = newest.at + ledger.leaseFor - at
      if (last.released || left <= 0) return { last, firstClaimAt: entry.claims[0]!.at, cancelled }
      const millis = Math.ceil(Math.min(left, pause))
      yield* Progress.emit({ _tag: "Waiting", runId: job.runId, job: job.key, why: "unsettled", millis })
      yield* Effect.sleep(millis)
    }
  }
)

/**
 * Runs a job on demand to its end, or waits for the end while another process runs it.
 *
 * The inputs are checked before the first call. Records that have a stored answer are never asked for again. A call
 * that is throttled waits for as long as it takes, and slows all others down with it; one without an answer that can be
 * read is made again up to five times, which is counted in `repeatedCalls`; then, and where the service refuses the
 * record, the answer is an error line. When the run or the attempt is cancelled, running calls are let finish, and the
 * job ends as `Stopped`.
 *
 * Fails with `RunConflict` (`cancelled`) where nothing was begun, `Refused` when the service refuses who asks,
 * `Damaged` when the inputs are not what `prepare` wrote, and as the store does; what has been answered is then stored.
 * Interrupted, it waits a moment for the running calls, stores what has been answered and gives the job back.
 *
 * @internal
 */
export const runOnDemand: (job: Job) => Effect.Effect<EndedJob, BatchError, OnDemand | Ledger | ObjectStore> = Effect
  .fnUntraced(function*(job: Job) {
    const store = yield* ObjectStore
    const { concurrency } = yield* OnDemand
    const owner = yield* freshId
    const answers = new OnDemandAnswers(store, job)
    let isChecked = false
    for (;;) {
      const free = yield* untilFree(job)
      if ("ended" in free) return free.ended
      const { cancelled, last } = free
      if (cancelled && last !== null) {
        const stopped = yield* endHere(job, answers, owner, free, last)
        if (stopped !== null) return stopped
        continue
      }
      if (cancelled) {
        return yield* new BatchError({
          module: "submit",
          method: "submit",
          reason: new RunConflict({
            runId: job.runId,
            problem: "cancelled",
            differs: [],
            message: `run ${job.runId} is cancelled: no record of job ${job.key} is asked for`
          })
        })
      }
      if (!isChecked) yield* checkFiles(job)
      isChecked = true
      yield* answers.load()
      const ended = yield* hold(job, answers, {
        version: 1,
        number: (last?.number ?? 0) + 1,
        owner,
        upTo: Math.max(last?.upTo ?? 0, Math.min(job.records, firstWindow(concurrency))),
        repeats: (last?.repeats ?? 0) + (last === null ? 0 : yield* answers.lacking(last.upTo)),
        released: false
      })
      if (ended !== null) return ended
    }
  })

/** Takes a cancelled job over and ends it, without a call; null when somebody else did. */
const endHere = Effect.fnUntraced(
  function*(job: Job, answers: OnDemandAnswers, owner: string, { firstClaimAt }: Free, last: Lease) {
    const ledger = yield* Ledger
    const lease: Lease = { ...last, number: last.number + 1, owner, released: false }
    if (!(yield* ledger.lease(job, lease))) return null
    yield* answers.load()
    const ended = yield* ledger.end(endedOf(job, answers, lease, firstClaimAt))
    yield* tellEnd(ended)
    return ended
  }
)

/**
 * Ends a job on demand whose run or attempt is cancelled, if nobody else does: waits until the process that works on it
 * has ended it, or has not been heard of for as long as its lease lasts, and then ends it with the answers that are
 * stored. Makes no call. Null where nothing was ever begun.
 *
 * @internal
 */
export const endCancelled: (job: Job) => Effect.Effect<EndedJob | null, BatchError, Ledger | ObjectStore> = Effect
  .fnUntraced(function*(job: Job) {
    const answers = new OnDemandAnswers(yield* ObjectStore, job)
    const owner = yield* freshId
    for (;;) {
      const free = yield* untilFree(job)
      if ("ended" in free) return free.ended
      if (free.last === null) return null
      const ended = yield* endHere(job, answers, owner, free, free.last)
      if (ended !== null) return ended
    }
  })
