/**
 * What `awaitAll` does so that the results are there at its deadline.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { BatchError, RunConflict } from "../BatchError.ts"
import type { Job, SubmittedJob } from "../Job.ts"
import { Ledger } from "../Ledger.ts"
import * as Progress from "../Progress.ts"
import { ObjectStore } from "../store/ObjectStore.ts"
import { cancelAttempt } from "./CancelMarks.ts"
import { cutOff, type Reserve } from "./Deadline.ts"
import { patiently, persistently } from "./Patience.ts"
import { recordEnds } from "./RecordEnds.ts"
import { cancelledCode, concernsEveryJob } from "./Refusals.ts"
import type { Standing } from "./Standing.ts"
import { makeStop } from "./StopJobs.ts"
import { cancelledJob, mayBeOpen, type Views } from "./Views.ts"

/** @internal */
export interface CutOff {
  /** Runs an effect, but no longer than until the job's cut-off comes. */
  readonly orCut: <E, R>(job: Job, effect: Effect.Effect<void, E, R>) => Effect.Effect<void, E, R>
  /** Waits for a job's end; from its cut-off on it is asked to stop. */
  readonly orStop: <A>(job: SubmittedJob, wait: Effect.Effect<A, BatchError>) => Effect.Effect<A, BatchError>
  /** Comes when the wait is to fail, and never otherwise. */
  readonly watch: Effect.Effect<never, BatchError>
}

/** Without a deadline. @internal */
export const none: CutOff = { orCut: (_, effect) => effect, orStop: (_, wait) => wait, watch: Effect.never }

/** A deadline and since when it counts, in milliseconds since 1970. @internal */
export interface Limit {
  readonly from: number
  readonly deadline: number
}

const groupOf = ({ attempt, runId }: Job): string => `${runId}/${attempt}`

/** The longest sleep, in milliseconds. */
const longest = 24 * 60 * 60_000

const until = Effect.fnUntraced(function*(moment: () => number) {
  for (;;) {
    const left = moment() - (yield* Clock.currentTimeMillis)
    if (left <= 0) return
    yield* Effect.sleep(Math.min(left, longest))
  }
})

/**
 * From the cut-off on nothing more of the runs' attempts is submitted, and open jobs are asked to stop. What an earlier
 * call began is gone on with at once.
 *
 * @internal
 */
export const stopping = Effect.fnUntraced(function*(
  views: Views,
  standing: Standing,
  limit: Limit,
  reserve: Reserve | null
) {
  const store = yield* ObjectStore
  const stop = yield* makeStop(persistently)
  const cuts = new Map<string, Deferred.Deferred<void>>()
  const cutOf = (job: Job) => {
    const group = groupOf(job)
    const known = cuts.get(group) ?? Deferred.makeUnsafe<void>()
    cuts.set(group, known)
    return known
  }
  const isCut = (job: Job) => Effect.suspend(() => Deferred.await(cutOf(job)))
  const moment = () => cutOff({ ...limit, remaining: standing.remaining(), reserve })

  const cut = Effect.gen(function*() {
    const jobs = standing.unfinished()
    const groups = [...new Map(jobs.map((job) => [groupOf(job), job])).values()]
    for (const { attempt, runId } of groups) yield* patiently(cancelAttempt(store, runId, attempt))
    for (const runId of new Set(jobs.map((job) => job.runId))) {
      yield* patiently(views.refresh(runId))
      const open = jobs.filter((job) => job.runId === runId && mayBeOpen(views.entryOf(job))).length
      yield* Progress.emit({ _tag: "Stopping", runId, why: "deadline", open })
    }
    for (const job of groups) Deferred.doneUnsafe(cutOf(job), Effect.void)
  })

  if (standing.unfinished().length > 0 && (yield* Clock.currentTimeMillis) >= moment()) yield* cut
  else {
    for (const job of standing.unfinished()) {
      if (views.cancelled(job) === "deadline") Deferred.doneUnsafe(cutOf(job), Effect.void)
    }
  }

  /** A job that cannot be asked to stop runs on, and is waited for; who we are concerns all of them. */
  const ask = (job: SubmittedJob) =>
    stop(job).pipe(Effect.catch((error) =>
      error.reason._tag === "Refused" && concernsEveryJob(error.reason.code)
        ? Effect.fail(error)
        : Effect.logWarning(`job ${job.key} of run ${job.runId} cannot be stopped: ${error.reason.message}`)
    ))

  const made: CutOff = {
    orCut: (job, effect) =>
      Effect.suspend(() => Deferred.isDoneUnsafe(cutOf(job)) ? effect : Effect.raceFirst(effect, isCut(job))),
    orStop: (job, wait) =>
      Effect.raceFirst(wait, isCut(job).pipe(Effect.andThen(ask(job)), Effect.andThen(Effect.never))),
    watch: until(moment).pipe(Effect.andThen(cut), Effect.andThen(Effect.never))
  }
  return made
})

const notEnded = (standings: ReadonlyArray<Standing>, deadline: number): BatchError => {
  const jobs = standings.flatMap((standing) => standing.unfinished())
  const runs = [...new Set(jobs.map(({ runId }) => runId))]
  const open = standings.reduce((sum, standing) => sum + standing.accepted(), 0)
  const message = `${jobs.length} job${jobs.length === 1 ? "" : "s"} of run ${runs.join(", ")} had not ended at the ` +
    `deadline (${new Date(deadline).toISOString()}): ${open} go on at Bedrock and will be billed, ` +
    `${jobs.length - open} are not submitted or not answered; nothing was stopped. The same call, or resume, takes them up`
  const reason = new RunConflict({ runId: runs[0] ?? "", problem: "not-ended", differs: [], message })
  return new BatchError({ module: "awaitAll", method: "awaitAll", reason })
}

/**
 * At the deadline the wait fails, and all is left as it is. One that is over already is only a look at what has ended.
 * `standings` are those of the whole call.
 *
 * @internal
 */
export const leaving = Effect.fnUntraced(function*(
  views: Views,
  standing: Standing,
  { deadline }: Limit,
  standings: ReadonlyArray<Standing>
) {
  const watch = Effect.andThen(until(() => deadline), Effect.suspend(() => Effect.fail(notEnded(standings, deadline))))
  if ((yield* Clock.currentTimeMillis) >= deadline) {
    const ledger = yield* Ledger
    const jobs = standing.unfinished()
    const open = jobs.filter((job) => job.lane === "batch" && views.entryOf(job)?.accepted)
    const accepted = yield* Effect.forEach(open, (job) => ledger.accepted(job), { concurrency: 16 })
    for (const { ended, submitted } of yield* recordEnds(accepted.filter((job) => job !== null))) {
      if (ended !== null) standing.finish(submitted)
      else standing.accept(submitted)
    }
    for (const job of jobs) {
      const entry = views.entryOf(job)
      if (job.lane === "on-demand" || entry === undefined || entry.claims.length === 0 || mayBeOpen(entry)) continue
      const { code } = yield* cancelledJob(job, entry, "")
      if (code !== cancelledCode) standing.finish(job)
    }
    if (standing.unfinished().length > 0) return yield* notEnded([standing], deadline)
    for (const runId of new Set(jobs.map((job) => job.runId))) yield* views.refresh(runId)
    views.close()
    return none
  }
  const made: CutOff = { ...none, watch }
  return made
})
