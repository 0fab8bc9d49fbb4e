/**
 * One job from its slot to its end.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { BatchError } from "../BatchError.ts"
import { type EndedJob, isTerminal, type Job, type RefusedJob, type SubmittedJob } from "../Job.ts"
import { Ledger } from "../Ledger.ts"
import * as Progress from "../Progress.ts"
import { Capacity, full } from "../schedule/Capacity.ts"
import type * as Slots from "../schedule/Slots.ts"
import type { Submission } from "../submit.ts"
import type { Waiter } from "../wait/Wait.ts"
import type * as CutOff from "./CutOff.ts"
import { isThrottled, maxTroubles, patiently } from "./Patience.ts"
import { concernsEveryJob, isCancelled } from "./Refusals.ts"
import type * as SlotWaits from "./SlotWaits.ts"
import type { Standing } from "./Standing.ts"
import * as Throttle from "./Throttle.ts"
import { cancelledJob, mayBeOpen, neverSent, type Views } from "./Views.ts"

/** Milliseconds until an on-demand job that cannot run now is tried again. */
const onDemandPause = 60_000

/** What the jobs of one call share. @internal */
export interface Call<A extends SubmittedJob> {
  readonly views: Views
  readonly standing: Standing
  readonly cut: CutOff.CutOff
  readonly slots: Slots.Slots
  readonly slotWaits: SlotWaits.SlotWaits
  readonly onDemand: Semaphore.Semaphore
  readonly throttle: Throttle.Throttle
  readonly waiter: Waiter<A>
  /** Whether the call comes to its end, by a failure or an interruption: nothing more is begun. */
  readonly isOver: () => boolean
  readonly whenFull: "wait" | "fail"
}

/**
 * Runs one job to its end; while the service has no room for it, it holds no slot. `admitted` is run when it has a
 * slot, or needs none.
 *
 * @internal
 */
export const runOne = Effect.fnUntraced(function*<SR, A extends SubmittedJob>(
  submission: Submission<SR>,
  call: Call<A>,
  admitted: Effect.Effect<void>
) {
  const { job } = submission
  const ledger = yield* Ledger
  const entry = call.views.entryOf(job)
  if (entry?.ended) {
    const ended = yield* patiently(ledger.ended(job))
    if (ended !== null) {
      yield* reportEnd(ended)
      return ended
    }
  }
  let open = mayBeOpen(entry)
  for (;;) {
    const settled = yield* job.lane === "on-demand"
      ? Semaphore.withPermit(call.onDemand, Effect.andThen(admitted, attemptOnDemand(submission, call)))
      : Effect.scoped(attempt(submission, open, call, admitted))
    if (settled._tag === "Settled") {
      if (isRefused(settled.job) || isEnded(settled.job)) yield* Progress.tellEnded(settled.job, false)
      return settled.job
    }
    if (call.whenFull === "fail") return yield* settled.error
    open = false
    yield* call.cut.orCut(job, pause(job, "quota", settled.millis * (yield* Random.nextBetween(0.5, 1.5))))
  }
})

type Attempt<A> =
  | { readonly _tag: "Settled"; readonly job: A }
  /** The service has no room: to be tried again after so many milliseconds. */
  | { readonly _tag: "NoRoom"; readonly millis: number; readonly error: BatchError }

/** Takes a slot, submits, waits and records the end; the slot is free when the scope closes. */
const attempt = Effect.fnUntraced(function*<SR, A extends SubmittedJob>(
  submission: Submission<SR>,
  open: boolean,
  call: Call<A>,
  admitted: Effect.Effect<void>
): Effect.fn.Return<Attempt<A | EndedJob | RefusedJob>, BatchError, SR | Ledger | Capacity | Scope.Scope> {
  const { job } = submission
  const { cut, slots, slotWaits, standing, views, waiter, whenFull } = call
  const ledger = yield* Ledger
  const capacity = yield* Capacity
  const never = yield* patiently(neverSent(views, job))
  if (never !== null) return { _tag: "Settled", job: never }
  if (open || views.cancelled(job) !== null) yield* Effect.andThen(slots.hold, capacity.hold(job))
  else {
    // No slot of one kind is held while the other is waited for: other targets, or other processes, may use it.
    const taken = slots.room.pipe(
      Effect.andThen(capacity.take(whenFull === "fail" ? { ...job, whenFull } : job)),
      Effect.andThen(slots.take)
    )
    yield* cut.orCut(job, slotWaits.during(job, taken))
    // Whoever is interrupted first frees a slot, and others of the call are to be interrupted before they use it.
    yield* Effect.yieldNow
    if (call.isOver()) return yield* Effect.never
    const cancelled = yield* patiently(neverSent(views, job))
    if (cancelled !== null) return { _tag: "Settled", job: cancelled }
  }
  yield* admitted
  yield* waiter.before(job)
  const submitted = yield* persist(submission, call)
  if (submitted instanceof BatchError) {
    const millis = isThrottled(submitted) ? 0 : yield* capacity.exceeded(job)
    return { _tag: "NoRoom", millis, error: submitted }
  }
  if ("status" in submitted) return { _tag: "Settled", job: submitted }
  standing.accept(job)
  const ended = yield* cut.orStop(submitted, waiter.wait(submitted))
  if (isEnded(ended)) {
    const recorded = yield* patiently(ledger.end(ended))
    yield* waiter.recorded?.(recorded) ?? Effect.void
    return { _tag: "Settled", job: recorded }
  }
  yield* capacity.keep(job)
  return { _tag: "Settled", job: ended }
})

/** Runs a job on demand to its end: its submission makes the calls. It is no job at the service, and needs no slot. */
const attemptOnDemand = Effect.fnUntraced(function*<SR, A extends SubmittedJob>(
  submission: Submission<SR>,
  call: Call<A>
): Effect.fn.Return<Attempt<EndedJob | RefusedJob>, BatchError, SR | Ledger> {
  const never = yield* patiently(neverSent(call.views, submission.job))
  if (never !== null) return { _tag: "Settled", job: never }
  const submitted = yield* persist(submission, call)
  if (!(submitted instanceof BatchError) && "status" in submitted) return { _tag: "Settled", job: submitted }
  const error = submitted instanceof BatchError ? submitted : full(submitted)
  return { _tag: "NoRoom", millis: onDemandPause, error }
})

/** Tells of a job that had ended before this call. */
const reportEnd = (job: EndedJob) =>
  Effect.andThen(Progress.tellChanged(job, job.status, job.counters), Progress.tellEnded(job, true))

const isEnded = (job: SubmittedJob | EndedJob): job is EndedJob => "status" in job && isTerminal(job.status)

/** @internal */
export const isRefused = <A extends SubmittedJob>(job: A | EndedJob | RefusedJob): job is RefusedJob =>
  "status" in job && job.status === "Refused"

/** Runs a submission until it is accepted or refused for good; gives the error when the service has no room for the job. */
const persist = Effect.fnUntraced(function*<SR, A extends SubmittedJob>(
  submission: Submission<SR>,
  { cut, throttle, views, whenFull }: Call<A>
): Effect.fn.Return<SubmittedJob | EndedJob | RefusedJob | BatchError, BatchError, SR | Ledger> {
  const { job } = submission
  let troubles = 0
  let pauses = 0
  for (;;) {
    yield* cut.orCut(job, throttle.turn((millis) => pause(job, "throttled", millis)))
    const time = throttle.time()
    const result = yield* Effect.result(submission)
    if (result._tag === "Success") {
      throttle.passed()
      return result.success
    }
    const error = result.failure
    const reason = error.reason
    if (isThrottled(error)) {
      if (whenFull === "fail") return error
      throttle.struck(time)
      troubles = 0
      continue
    }
    throttle.passed()
    if (reason._tag === "Unavailable" && reason.code === "quota") return error
    if (error.isRetryable && ++troubles < maxTroubles) {
      const millis = (yield* Random.nextBetween(0, 1)) * Throttle.longestPause(pauses++)
      yield* cut.orCut(job, pause(job, "unavailable", millis))
    } else if (isCancelled(error)) {
      // What else of the run was not submitted need not be asked for one by one.
      if (views.cancelled(job) === null) yield* patiently(views.refresh(job.runId))
      return yield* patiently(cancelledJob(job, views.entryOf(job), reason.message))
    } else if (isRefusal(error) && reason._tag === "Refused") {
      const refused: RefusedJob = { ...job, status: "Refused", code: reason.code, message: reason.message }
      yield* Effect.logWarning(`job ${job.key} of run ${job.runId} was refused: ${reason.code}: ${reason.message}`)
      return refused
    } else {
      return yield* error
    }
  }
})

/** Whether the service refused this job, and not who we are or another call. */
const isRefusal = ({ method, module, reason }: BatchError): boolean =>
  module === "BatchJobs" && method === "create" && reason._tag === "Refused" && !concernsEveryJob(reason.code)

const pause = Effect.fnUntraced(function*(job: Job, why: "quota" | "throttled" | "unavailable", millis: number) {
  yield* Progress.emit({ _tag: "Waiting", runId: job.runId, job: job.key, why, millis: Math.round(millis) })
  yield* Effect.sleep(millis)
})
