/**
 * Verb 3: runs submissions as slots allow, and waits for each job's end.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Services } from "./Aws.ts"
import { BatchError, InvalidOption } from "./BatchError.ts"
import type { BatchJobs } from "./bedrock/BatchJobs.ts"
import { type Call, isRefused, runOne } from "./internal/AwaitJob.ts"
import { awaitProblem } from "./internal/AwaitProblem.ts"
import { confirmed, planOf, planOfAll } from "./internal/Confirm.ts"
import * as CutOff from "./internal/CutOff.ts"
import { deadlineOf } from "./internal/Deadline.ts"
import * as Interrupted from "./internal/Interrupted.ts"
import * as JobMetrics from "./internal/JobMetrics.ts"
import { inLanes } from "./internal/Lanes.ts"
import * as SlotWaits from "./internal/SlotWaits.ts"
import { makeStanding, type Standing } from "./internal/Standing.ts"
import { sorted } from "./internal/SubmitOrder.ts"
import * as Throttle from "./internal/Throttle.ts"
import { makeViews, type Views } from "./internal/Views.ts"
import type { EndedJob, Job, RefusedJob, SubmittedJob } from "./Job.ts"
import { Ledger } from "./Ledger.ts"
import * as Progress from "./Progress.ts"
import type { Capacity } from "./schedule/Capacity.ts"
import * as Slots from "./schedule/Slots.ts"
import type { ObjectStore } from "./store/ObjectStore.ts"
import type { Submission } from "./submit.ts"
import { polling } from "./wait/Polling.ts"
import type { WaitStrategy } from "./wait/Wait.ts"

/**
 * What is about to be submitted for the first time: of the attempts of which no job was claimed before.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConfirmPlan {
  readonly runs: ReadonlyArray<{ readonly runId: string; readonly attempt: number }>
  /** Records in all those jobs: what Bedrock bills. */
  readonly records: number
  readonly jobs: number
  /** Bytes of their input files. */
  readonly bytes: number
}

/**
 * Options of `awaitAll`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface AwaitOptions<A extends SubmittedJob, WR, HR = never, CR = never> {
  /** Open jobs of this call at most; `Capacity` bounds them further. Default: as many as `Capacity` allows. */
  readonly concurrency?: number | undefined
  /**
   * Which jobs are submitted first. `turns`: those of each run as they are given, and the runs take turns, so that a
   * small run does not wait behind a large one. `given`: as they are given. `largest-first`: those with the most
   * records, of as many records those with the most bytes, so that no long job is left for the end; of as many bytes
   * the runs take turns. Default `turns`. It is kept among jobs of one model in one Region; none waits for a job of
   * another. Results are in the order of the submissions in any case.
   */
  readonly order?: "turns" | "given" | "largest-first" | undefined
  /**
   * How to learn of a job's end; default `Wait.polling()`. It is opened once, or once for each context of services that
   * submissions are bound to (`submitWith`).
   */
  readonly wait?: WaitStrategy<A, WR> | undefined
  /**
   * Runs at each job's end, one at a time, for instance to collect it while others still run; with the services that
   * its submission is bound to, if it is.
   */
  readonly onEnded?: ((job: A | EndedJob) => Effect.Effect<unknown, BatchError, HR>) | undefined
  /**
   * When the results are wanted: a moment, or a time from the call on. With `rescue: "stop"` open jobs are asked to
   * stop some time before it, at the cut-off, so that what they have is there at the deadline: ten minutes before, but
   * not more than a tenth of the time from the call to the deadline. (`run` adds the time for calls on demand, where it
   * is to make them.) A deadline that is past cuts off at once. Default: none.
   */
  readonly deadline?: Duration.Input | Date | undefined
  /**
   * What is done about jobs that have not ended in time. `stop`: from the cut-off on nothing more of those attempts is
   * submitted, by anybody, for good; open jobs are stopped and waited for, and what they have processed is billed and
   * counts. `leave`: at the deadline the call fails with `RunConflict` (`not-ended`), nothing is stopped, and the same
   * call takes the jobs up. Default `stop`.
   */
  readonly rescue?: "stop" | "leave" | undefined
  /**
   * So many records are submitted without asking; of more than that `confirm` decides, and without it the call fails
   * with `RunConflict` (`unconfirmed`). Default: no bound.
   */
  readonly confirmAbove?: number | undefined
  /**
   * Asked once, before the first job is claimed and anything is paid for; `false` fails with `RunConflict`
   * (`unconfirmed`). Without `confirmAbove` it is always asked. It is not asked for an attempt of which some job was
   * claimed before, nor where there is nothing to submit.
   */
  readonly confirm?: ((plan: ConfirmPlan) => Effect.Effect<boolean, BatchError, CR>) | undefined
  /**
   * What becomes of open jobs when the call is interrupted (Ctrl-C under `runMain`, an `AbortSignal`). `leave`: they go
   * on and are billed. `stop`: they are asked to stop, for up to a minute and without waiting for their ends; what they
   * have processed is billed and kept, and the rest is for `retry`. Either way the ledger is true, a warning is logged
   * that names the runs, and the same call, or `resume`, goes on from there. Default `leave`.
   */
  readonly onInterrupt?: "leave" | "stop" | undefined
  /**
   * Where no slot is free for a new job, or the service says "quota" or asks for fewer calls. `wait`: the job waits, for
   * as long as it takes. `fail`: the call fails at once with `Unavailable` (`quota`, `throttled`), and no job was made by
   * the call that found no room: for a process that costs while it waits, and that is begun again later. Default `wait`.
   */
  readonly whenFull?: "wait" | "fail" | undefined
  /**
   * What the cut-off leaves time for beside stopping: calls on demand for the records that are not processed.
   *
   * @internal
   */
  readonly reserve?: { readonly perCallMillis: number; readonly concurrency: number } | undefined
}

/** Calls to the store at a time for what the ledger knows already. */
const ledgerReads = 16

/** On-demand jobs that run at a time: each makes many calls at once itself. */
const onDemandJobs = 2

/**
 * Runs submissions as slots allow and waits for each job's end; gives one element a submission, in their order.
 *
 * The ledger is read first: jobs that have ended need no slot, jobs that are open already count without waiting for
 * one, and only new ones wait. "Quota" and "throttled" are no failures: the job waits and is sent again. A job that
 * Bedrock refuses, that fails, or that is cancelled before it was submitted (code `Cancelled`), is an element of the
 * result and never a failure of the run; this fails only for what concerns every job (credentials, store, ledger), with
 * `RunConflict` `unconfirmed` or `not-ended` (see the options), and with `InvalidOption`. Interrupting it leaves paid
 * jobs running (see `onInterrupt`) and the ledger true: call it again.
 *
 * The submissions may be of several runs, models and Regions. Jobs of one model in one Region share the slots of
 * `Capacity`, and wait for no others; all of the call share `concurrency`. Jobs of other Regions than that of the
 * client bring their own services: see `submitWith`. What waits for a slot costs next to nothing, so tens of thousands
 * of submissions are no matter.
 *
 * @since 0.1.0
 * @category combinators
 * @example
 * ```ts
 * import { awaitAll, collect, type Run, submit, Wait } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * declare const run: Run.Run<{ readonly topic: string }>
 *
 * const program = Effect.gen(function*() {
 *   const jobs = yield* awaitAll(run.jobs.map(submit), { concurrency: 20, wait: Wait.polling() })
 *   return yield* collect(run, jobs)
 * })
 * ```
 */
export const awaitAll = Effect.fn("awaitAll")(function*<
  SR,
  A extends SubmittedJob = EndedJob,
  WR = BatchJobs,
  HR = never,
  CR = never
>(
  submissions: Iterable<Submission<SR>>,
  options?: AwaitOptions<A, WR, HR, CR>
): Effect.fn.Return<
  ReadonlyArray<A | EndedJob | RefusedJob>,
  BatchError,
  SR | WR | HR | CR | BatchJobs | Capacity | Ledger | ObjectStore
> {
  const wrong = awaitProblem(options)
  if (wrong !== null) return yield* new BatchError({ module: "awaitAll", method: "awaitAll", reason: wrong })
  const from = yield* Clock.currentTimeMillis
  const all = [...submissions]
  yield* Effect.annotateCurrentSpan({
    runs: [...new Set(all.map(({ job }) => job.runId))],
    attempts: [...new Set(all.map(({ job }) => job.attempt))],
    jobs: all.length
  })
  const { atLeast = 0, atMost = Infinity } = options?.wait ?? {}
  if (all.length > atMost || all.length < atLeast) {
    const bound = all.length > atMost ? atMost : atLeast
    const many = `${bound} submission${bound === 1 ? "" : "s"} at ${all.length > atMost ? "most" : "least"}`
    const message = `the wait strategy takes ${many}, and not ${all.length}`
    const reason = new InvalidOption({ path: "wait", message })
    return yield* new BatchError({ module: "awaitAll", method: "awaitAll", reason })
  }
  const standings: Array<Standing> = []
  const parts = yield* Effect.forEach(byServices(all), ({ places, services }) =>
    within(services, Effect.gen(function*() {
      const jobs = places.map((place) => all[place]!.job)
      const views = yield* makeViews(jobs, options?.confirmAbove !== undefined)
      const standing = makeStanding(jobs.filter((job) => !views.entryOf(job)?.ended))
      standings.push(standing)
      const cut = yield* cutOffOf(options, from, views, standing, standings)
      const part: Part = { services, places, views, standing, cut }
      return part
    })))
  const plans = parts.map(({ standing, views }) => planOf(standing.unfinished(), views))
  yield* confirmed(planOfAll(plans), options?.confirmAbove, options?.confirm)
  // Without the option, A and WR are what their defaults say: those of polling.
  const strategy = (options?.wait ?? polling()) as WaitStrategy<A, WR>
  const slots = Slots.make(options?.concurrency ?? Infinity)
  let over = false
  const one = yield* Semaphore.make(1)
  const results = new Array<A | EndedJob | RefusedJob>(all.length)
  const waitForPart = Effect.fnUntraced(function*({ cut, places, standing, views }: Part) {
    const waiter = yield* strategy.open
    const onDemand = yield* Semaphore.make(onDemandJobs)
    const isOver = () => over
    const slotWaits = yield* SlotWaits.make
    const throttle = Throttle.make()
    const { whenFull = "wait" } = options ?? {}
    const call: Call<A> = { views, standing, cut, slots, slotWaits, onDemand, throttle, waiter, isOver, whenFull }
    const runAt = Effect.fnUntraced(function*(place: number, admitted: Effect.Effect<void>) {
      const submission = all[place]!
      const ended = yield* runOne(submission, call, admitted)
      standing.finish(submission.job)
      if (options?.onEnded !== undefined && !isRefused(ended)) {
        yield* Semaphore.withPermit(one, options.onEnded(ended))
      }
      results[place] = ended
    }, Effect.onError(() => Effect.sync(() => void (over = true))))
    const { ended, fresh, open } = sorted(places, (place) => all[place]!.job, views, options?.order)
    type Needed = SR | WR | HR | Ledger | Capacity
    yield* inLanes<BatchError, Needed, BatchError, Needed>((begin) => {
      const lane = (places: ReadonlyArray<number>, concurrency: number) =>
        Effect.forEach(places, (place) => begin((admitted) => runAt(place, admitted)), { concurrency, discard: true })
      // What is open already counts before anything new takes a slot.
      const others = Effect.andThen(
        lane(open, ledgerReads),
        Effect.forEach(fresh, (places) => lane(places, 1), { concurrency: "unbounded", discard: true })
      )
      const known = Effect.forEach(ended, (place) => runAt(place, Effect.void), {
        concurrency: ledgerReads,
        discard: true
      })
      return Effect.asVoid(Effect.all([known, others], { concurrency: "unbounded", discard: true }))
    })
  })
  const listener = yield* Progress.Progress
  const following = ({ standing }: Part): Progress.Listener => (event) => {
    standing.follow(event)
    return listener(event)
  }
  yield* tellOf(all)
  yield* Effect.forEach(parts, (part) =>
    Effect.raceFirst(Effect.scoped(waitForPart(part)), part.cut.watch).pipe(
      JobMetrics.watched(part.standing.unfinished().length),
      // How far jobs are is of no matter but to a deadline.
      Effect.provideService(Progress.Progress, options?.deadline === undefined ? listener : following(part)),
      (waiting) => within(part.services, waiting)
    ), { concurrency: "unbounded", discard: true }).pipe(
      Effect.onInterrupt(() => interrupted(parts, options?.onInterrupt))
    )
  return results
})

/** What an interrupted call does last. */
const interrupted = Effect.fnUntraced(function*(
  parts: ReadonlyArray<Part>,
  onInterrupt: "leave" | "stop" = "leave"
): Effect.fn.Return<void, never, Ledger | ObjectStore | BatchJobs> {
  const asked = onInterrupt === "leave" ? null : yield* Effect.forEach(
    parts,
    ({ services, standing, views }) => within(services, Interrupted.stopOpen(views, standing)),
    { concurrency: "unbounded" }
  )
  const sum = asked?.reduce((sum, { open, stopped }) => ({ open: sum.open + open, stopped: sum.stopped + stopped }))
  yield* Interrupted.tell(parts.map(({ standing }) => standing), sum ?? null)
})

/** Submissions that share their services: those of one Region. */
interface Part {
  /** Null for those of whoever awaits them. */
  readonly services: Context.Context<Services> | null
  /** Where they are among all. */
  readonly places: ReadonlyArray<number>
  readonly views: Views
  readonly standing: Standing
  readonly cut: CutOff.CutOff
}

const byServices = (all: ReadonlyArray<Submission<unknown>>): ReadonlyArray<Pick<Part, "services" | "places">> => {
  const places = new Map<Part["services"], Array<number>>()
  all.forEach(({ services }, place) => {
    const known = places.get(services)
    if (known === undefined) places.set(services, [place])
    else known.push(place)
  })
  return [...places].map(([services, places]) => ({ services, places }))
}

const within = <A, E, R>(services: Part["services"], effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  services === null ? effect : Effect.provideContext(effect, services)

const cutOffOf = (
  options: Pick<AwaitOptions<SubmittedJob, never>, "deadline" | "rescue" | "reserve"> | undefined,
  from: number,
  views: Views,
  standing: Standing,
  standings: ReadonlyArray<Standing>
) => {
  if (options?.deadline === undefined) return Effect.succeed(CutOff.none)
  const limit = { from, deadline: deadlineOf(options.deadline, from) }
  return options.rescue === "leave"
    ? CutOff.leaving(views, standing, limit, standings)
    : CutOff.stopping(views, standing, limit, options.reserve ?? null)
}

/** Tells what is awaited, of each run and attempt. */
const tellOf = (submissions: ReadonlyArray<{ readonly job: Job }>) => {
  const groups = new Map<string, { readonly runId: string; readonly attempt: number; records: number; jobs: number }>()
  for (const { job: { attempt, records, runId } } of submissions) {
    const key = `${runId}/${attempt}`
    const group = groups.get(key) ?? { runId, attempt, records: 0, jobs: 0 }
    group.records += records
    group.jobs++
    groups.set(key, group)
  }
  return Effect.forEach(groups.values(), (group) => Progress.emit({ _tag: "Awaiting", ...group }), { discard: true })
}
