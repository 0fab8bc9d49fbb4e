/**
 * The jobs that a waiter waits for, and how it finds out where they stand: by lists for all of them, and by hints that
 * one of them may have ended. Nothing is kept of a job that has ended.
 *
 * @internal
 */
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BatchError } from "../BatchError.ts"
import { BatchJobs, type JobState, type ListQuery } from "../bedrock/BatchJobs.ts"
import { type Counters, type EndedJob, isTerminal, OpenStatus, type SubmittedJob } from "../Job.ts"
import * as Progress from "../Progress.ts"
import { isThrottled } from "./Patience.ts"
import { makeRecent } from "./Recent.ts"

/**
 * How often lists are asked for, in milliseconds.
 *
 * @internal
 */
export interface Pace {
  /** The shortest pause between two lists. */
  readonly from: number
  /** The longest. */
  readonly to: number
  /** How soon there is a look at a job that was submitted before it was waited for. */
  readonly soon: number
}

/** The pace where nothing else is said. @internal */
export const usual: Pace = { from: 5_000, to: 60_000, soon: 5_000 }

/** @internal */
export interface OpenJobs {
  /** Gives the job when it has ended. */
  readonly wait: (job: SubmittedJob) => Effect.Effect<EndedJob, BatchError>
  /**
   * Takes note of what is said of a job's status: an end is looked at soon, and what is said else is shown. Gives
   * whether the job is waited for; one that is waited for only later is looked at then.
   */
  readonly hear: (arn: string, status: string) => Effect.Effect<boolean>
  /** Changes the pace from now on. */
  readonly setPace: (pace: Pace) => Effect.Effect<void>
}

interface Open {
  readonly job: SubmittedJob
  readonly submittedAt: number
  readonly ended: Deferred.Deferred<EndedJob, BatchError>
  waiters: number
  /** As it was seen last; empty when it was not seen yet. */
  status: string
  processed: number
  /** Lists in a row that should have shown the job and did not. */
  unseen: number
  /** Whether so many newer jobs are listed before it that it is looked for among those of its status. */
  isOld: boolean
  /** How often in a row it was asked for by itself to no avail, and when it may be again. */
  asks: number
  askAt: number
}

interface Hint {
  at: number
  tries: number
}

/** A job that so many lists in a row do not show is asked for by itself. */
const unseenLimit = 5

/** Bedrock's clock and ours may differ by so much, in milliseconds. */
const clockMargin = 15 * 60_000

/** The pause between two lists is this part of how long jobs last. */
const part = 1 / 25

/** How many of the newest jobs a list looks through: one or two pages, however large the service makes them. */
const newest = { least: 200, most: 1_000 }

/** A job that was submitted so long before it is waited for may have ended meanwhile. In milliseconds. */
const fresh = 60_000

/** The longest pause between two looks at old jobs, if that between two lists is no longer. In milliseconds. */
const longestForOld = 10 * 60_000

/** The longest pause between two calls for one job that no list shows, in milliseconds. */
const longestAsk = 60 * 60_000

/** The longest pause after a list that failed, if that between two lists is no shorter. In milliseconds. */
const longestAfterFailure = 60_000

/** Hints that come within this time, in milliseconds, are looked at together. */
const gathering = 1_000

/** From so many hints on a list is asked for first. */
const listFrom = 3

/** So often a hint that was not borne out is looked at again, after ever longer pauses. */
const mostTries = 8

/** Of so many jobs that were said to have ended while nobody waited for them it is remembered. */
const rememberedEnds = 1_000

/** The mean of how long jobs last follows about so many of the last ones. */
const meanOver = 20

const isOpenStatus = Schema.is(OpenStatus)

/** Open statuses in the order in which a job goes through them. */
const order: ReadonlyArray<string> = OpenStatus.literals

const commonStart = (texts: ReadonlyArray<string>): string => {
  let common = texts[0] ?? ""
  for (const text of texts) {
    let length = 0
    while (length < common.length && common[length] === text[length]) length++
    common = common.slice(0, length)
  }
  return common
}

/** What every list that is to show these jobs may leave out. */
const boundsOf = (asked: ReadonlyArray<Open>) => {
  // Job names begin with the run's id.
  const name = commonStart(asked.map(({ job }) => job.runId))
  return {
    submittedAfter: asked.reduce((oldest, { submittedAt }) => Math.min(oldest, submittedAt), Infinity) - clockMargin,
    nameContains: name === "" ? undefined : name
  }
}

/**
 * Begins to look; it lasts as long as the scope. When a look is refused, every wait fails with that.
 *
 * @internal
 */
export const make: (pace: Pace) => Effect.Effect<OpenJobs, never, BatchJobs | Scope.Scope> = Effect.fnUntraced(
  function*(initialPace: Pace) {
    const jobs = yield* BatchJobs
    const open = new Map<string, Open>()
    const hints = new Map<string, Hint>()
    const endedUnheard = makeRecent(rememberedEnds)
    const changed = yield* Latch.make(false)
    const hinted = yield* Latch.make(false)
    let pace = initialPace
    /** When a job last ended, or another reason came to look often. */
    let calmSince = yield* Clock.currentTimeMillis
    /** How long jobs last on average, in milliseconds; 0 where none has ended yet. */
    let mean = 0
    let ends = 0
    let largestPage = 0
    let lookedAt = calmSince
    /** When the next look is due. */
    let due = 0
    /** When the next look at old jobs is due. */
    let oldDue = 0

    // In whole milliseconds: clocks know no others.
    const pauseAt = (now: number) =>
      Math.ceil(Math.min(pace.to, Math.max(pace.from, Math.max(mean, now - calmSince) * part)))

    const hurry = (to: number) => {
      if (to >= due) return
      due = to
      Latch.openUnsafe(changed)
    }

    const hint = (arn: string, now: number) => {
      if (hints.has(arn)) return
      hints.set(arn, { at: now + gathering, tries: 0 })
      Latch.openUnsafe(hinted)
    }

    const forget = (arn: string) => {
      open.delete(arn)
      hints.delete(arn)
    }

    const show = (waiting: Open, status: string, counters?: Counters | null) => {
      const processed = counters === undefined ? waiting.processed : counters?.processed ?? 0
      if (status === waiting.status && processed === waiting.processed) return Effect.void
      waiting.status = status
      waiting.processed = processed
      const { key, records, runId } = waiting.job
      const shown = counters === undefined ? {} : { counters }
      return Progress.emit({ _tag: "JobChanged", runId, job: key, status, records, processed, ...shown })
    }

    const isWaiting = (waiting: Open) => open.get(waiting.job.arn) === waiting

    const see = Effect.fnUntraced(function*(state: JobState) {
      const waiting = open.get(state.arn)
      if (waiting === undefined) return
      const wasSeen = waiting.status !== ""
      waiting.unseen = 0
      yield* show(waiting, state.status, state.counters)
      if (!isTerminal(state.status) || !isWaiting(waiting)) return
      const now = yield* Clock.currentTimeMillis
      forget(state.arn)
      calmSince = now
      if (wasSeen) mean += (now - waiting.submittedAt - mean) / Math.min(++ends, meanOver)
      const { counters, message, status } = state
      Deferred.doneUnsafe(
        waiting.ended,
        Effect.succeed({ ...waiting.job, status, message, counters, repeatedCalls: 0 })
      )
    })

    /** What a list shows of jobs that are waited for, page by page; `go` says whether the next page is wanted. */
    const read = (query: ListQuery, go: (page: ReadonlyArray<JobState>) => boolean) =>
      jobs.list(query).pipe(
        Stream.mapArray((page) => Arr.of(page)),
        Stream.runForEachWhile((page) => {
          largestPage = Math.max(largestPage, page.length)
          const ours = page.filter(({ arn }) => open.has(arn))
          return Effect.as(Effect.forEach(ours, see, { discard: true }), go(page))
        })
      )

    /** Lists until all that are wanted were seen, but no more than the newest; gives those that were not. */
    const list = Effect.fnUntraced(function*(asked: ReadonlyArray<Open>) {
      const wanted = new Map(asked.map((waiting) => [waiting.job.arn, waiting]))
      let shown = 0
      let isCut = false
      yield* read(boundsOf(asked), (page) => {
        for (const { arn } of page) wanted.delete(arn)
        shown += page.length
        isCut = shown >= Math.min(newest.most, Math.max(newest.least, 2 * largestPage))
        return wanted.size > 0 && !isCut
      })
      return { unseen: [...wanted.values()].filter(isWaiting), isCut }
    })

    /** Asks for one job by itself; ever more rarely while that shows nothing new. */
    const ask = Effect.fnUntraced(function*(waiting: Open) {
      const now = yield* Clock.currentTimeMillis
      if (now < waiting.askAt) return
      const { status } = waiting
      const state = yield* jobs.get(waiting.job.arn)
      waiting.asks = state.status === status ? waiting.asks + 1 : 0
      waiting.askAt = now + Math.min(longestAsk, pace.soon * 2 ** waiting.asks)
      yield* see(state)
    })

    const lookAtNew = Effect.fnUntraced(function*(asked: ReadonlyArray<Open>) {
      const { isCut, unseen } = yield* list(asked)
      for (const waiting of unseen) {
        if (isCut) waiting.isOld = true
        else if (++waiting.unseen >= unseenLimit) yield* ask(waiting)
      }
    })

    /** Jobs with thousands of newer ones: there are few open ones of a status, however many have ended. */
    const lookAtOld = Effect.fnUntraced(function*(asked: ReadonlyArray<Open>) {
      const statuses = new Set(asked.map(({ status }) => (isOpenStatus(status) ? status : "InProgress")))
      const bounds = boundsOf(asked)
      const seen = new Set<string>()
      for (const status of statuses) {
        yield* read({ ...bounds, status }, (page) => {
          for (const { arn } of page) seen.add(arn)
          return true
        })
      }
      for (const waiting of asked) {
        if (isWaiting(waiting) && !seen.has(waiting.job.arn)) yield* ask(waiting)
      }
      const now = yield* Clock.currentTimeMillis
      const youngest = asked.reduce((latest, { submittedAt }) => Math.max(latest, submittedAt), -Infinity)
      oldDue = now + Math.min(Math.max(pace.to, longestForOld), Math.max(pace.to, (now - youngest) * part))
    })

    const look = Effect.gen(function*() {
      lookedAt = yield* Clock.currentTimeMillis
      const recent = [...open.values()].filter(({ isOld }) => !isOld)
      if (recent.length > 0) yield* lookAtNew(recent)
      const old = [...open.values()].filter(({ isOld }) => isOld)
      if (old.length > 0 && (yield* Clock.currentTimeMillis) >= oldDue) yield* lookAtOld(old)
    })

    /** Tells each run, by one of its jobs, that nothing is heard of it for a while. */
    const tellOf = (failure: BatchError, millis: number) => {
      const first = new Map<string, SubmittedJob>()
      for (const { job } of open.values()) if (!first.has(job.runId)) first.set(job.runId, job)
      const why = isThrottled(failure) ? "throttled" : "unavailable"
      return Effect.forEach(first.values(), ({ key, runId }) =>
        Progress.emit({ _tag: "Waiting", runId, job: key, why, millis }), { discard: true })
    }

    const lookForEver = Effect.gen(function*() {
      for (;;) {
        Latch.closeUnsafe(changed)
        const now = yield* Clock.currentTimeMillis
        if (open.size === 0) {
          yield* Latch.await(changed)
          continue
        }
        if (now < due) {
          yield* Effect.raceFirst(Effect.sleep(due - now), Latch.await(changed))
          continue
        }
        // Whoever comes meanwhile may want the next look sooner.
        due = Infinity
        const failure = yield* look.pipe(
          Effect.as(null),
          Effect.catchIf((error) => error.isRetryable, (error) => Effect.succeed(error))
        )
        const after = yield* Clock.currentTimeMillis
        if (failure === null) due = Math.min(due, after + pauseAt(after))
        else {
          const pause = Math.ceil(Math.min(pace.to, longestAfterFailure))
          due = Math.min(due, after + pause)
          yield* tellOf(failure, pause)
        }
      }
    })

    /** Looks at jobs that are said to have ended; gives those that, by what is seen, have not. */
    const lookAtHinted = Effect.fnUntraced(function*(asked: ReadonlyArray<Open>) {
      const listed = asked.filter(({ isOld }) => !isOld)
      const one = asked.filter(({ isOld }) => isOld)
      if (listed.length >= listFrom) one.push(...(yield* list(listed)).unseen)
      else one.push(...listed)
      for (const { job } of one) yield* Effect.flatMap(jobs.get(job.arn), see)
    })

    const heedHints = Effect.gen(function*() {
      for (;;) {
        Latch.closeUnsafe(hinted)
        const now = yield* Clock.currentTimeMillis
        let next = Infinity
        for (const { at } of hints.values()) next = Math.min(next, at)
        if (now < next) {
          yield* hints.size === 0
            ? Latch.await(hinted)
            : Effect.raceFirst(Effect.sleep(next - now), Latch.await(hinted))
          continue
        }
        const asked = [...hints].filter(([, { at }]) => at <= now + gathering)
        yield* lookAtHinted(asked.flatMap(([arn]) => open.get(arn) ?? [])).pipe(
          Effect.catchIf((error) => error.isRetryable, () => Effect.void)
        )
        const after = yield* Clock.currentTimeMillis
        for (const [arn, hint] of asked) {
          if (!open.has(arn) || ++hint.tries >= mostTries) hints.delete(arn)
          else hint.at = after + gathering * 2 ** hint.tries
        }
      }
    })

    /** Why nobody looks any more. */
    let over: Exit.Exit<never, BatchError> | null = null
    yield* Effect.exit(Effect.raceFirst(lookForEver, heedHints)).pipe(
      Effect.tap((exit) =>
        Effect.sync(() => {
          over = exit
          for (const { ended } of open.values()) Deferred.doneUnsafe(ended, exit)
        })
      ),
      Effect.forkScoped
    )

    const enter = (job: SubmittedJob, now: number): Open => {
      const known = open.get(job.arn)
      if (known !== undefined) return known
      const submittedAt = Date.parse(job.submittedAt)
      const waiting: Open = {
        job,
        submittedAt,
        ended: Deferred.makeUnsafe(),
        waiters: 0,
        status: "",
        processed: 0,
        unseen: 0,
        isOld: false,
        asks: 0,
        askAt: 0
      }
      const isFresh = now - submittedAt < fresh
      if (open.size === 0 || !isFresh) calmSince = now
      if (open.size === 0) {
        due = Infinity
        oldDue = 0
      }
      open.set(job.arn, waiting)
      hurry(now + (isFresh ? pauseAt(now) : Math.ceil(pace.soon)))
      if (endedUnheard.delete(job.arn)) hint(job.arn, now)
      return waiting
    }

    const made: OpenJobs = {
      wait: Effect.fnUntraced(function*(job: SubmittedJob) {
        if (over !== null) return yield* over
        const waiting = enter(job, yield* Clock.currentTimeMillis)
        waiting.waiters++
        return yield* Deferred.await(waiting.ended).pipe(
          Effect.ensuring(Effect.sync(() => {
            if (--waiting.waiters === 0 && isWaiting(waiting)) forget(job.arn)
          }))
        )
      }),
      hear: Effect.fnUntraced(function*(arn: string, status: string) {
        const waiting = open.get(arn)
        if (waiting === undefined) {
          if (isTerminal(status)) endedUnheard.add(arn)
          return false
        }
        if (isTerminal(status)) hint(arn, yield* Clock.currentTimeMillis)
        else if (order.indexOf(status) > order.indexOf(waiting.status)) yield* show(waiting, status)
        return true
      }),
      setPace: Effect.fnUntraced(function*(newPace: Pace) {
        pace = newPace
        const now = yield* Clock.currentTimeMillis
        if (open.size > 0) hurry(Math.max(now, lookedAt + pauseAt(now)))
      })
    }
    return made
  }
)
