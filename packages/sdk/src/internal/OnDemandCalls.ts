/**
 * The calls of a job on demand, made by the one process that holds its lease.
 *
 * A call is begun only while the lease is fresh, and only for a record below its `upTo`; a call that may be paid for
 * twice is begun only when a claim has counted it. So whoever takes over knows from the newest claim and the stored
 * answers which calls may have been made.
 *
 * @internal
 */
import type { Json } from "@bedrock-batch/processors/Processor"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BatchError, Refused } from "../BatchError.ts"
import { OnDemand } from "../bedrock/OnDemand.ts"
import type { EndedJob, Job } from "../Job.ts"
import { type Lease, Ledger } from "../Ledger.ts"
import * as Progress from "../Progress.ts"
import { ObjectStore } from "../store/ObjectStore.ts"
import {
  type Answered,
  answeredOf,
  type OnDemandAnswers,
  type OnDemandRecord,
  records,
  type Said
} from "./OnDemandAnswers.ts"
import { patiently } from "./Patience.ts"
import { concernsEveryJob } from "./Refusals.ts"

/** An answer waits for its part so many milliseconds at most, unless another part is being written. */
const storeAfter = 5_000

/** So many bytes of answers are a part at once. */
const partBytes = 4_000_000

/** While more bytes of answers than this are not stored, no call is begun. */
const mostUnstored = 4 * partBytes

/** Milliseconds between two looks whether the run is cancelled. */
const lookAfter = 5_000

/** A claim is for about the calls of so many milliseconds. */
const windowMillis = 10_000

/** Retries wait so many milliseconds for the claim that counts them, so that one counts many. */
const countAfter = 1_000

/** How often a call without an answer that can be read is made again. */
const mostRetries = 5

/** Milliseconds before a call is made again: doubled each time, with full jitter. */
const backoff = { first: 1_000, most: 60_000 }

/** How long an execution that is interrupted waits for running calls, and then for the store, in milliseconds. */
const grace = { calls: 10_000, store: 30_000 }

/** Calls are begun while the claim is younger than this part of `leaseFor`, and the next claim follows at that part. */
const shares = { fresh: 0.6, renew: 0.25 }

/** Records that the first claim is for. @internal */
export const firstWindow = (concurrency: number): number => 4 * concurrencyOf(concurrency)

const concurrencyOf = (concurrency: number): number => Math.max(1, Math.floor(concurrency))

/** HTTP status of what the service refuses to do for a record. */
const statusOf = ({ code }: Refused): number => (code === "ResourceNotFoundException" ? 404 : 400)

const pauseOf = (tries: number, chance: number): number =>
  Math.ceil(chance * Math.min(backoff.most, backoff.first * 2 ** Math.min(tries, 16)))

/** A record that is asked for. */
interface Task {
  readonly record: OnDemandRecord
  /** How often its call was made again. */
  readonly retries: number
}

/**
 * Claims the job and makes its calls until all records have an answer or the run is cancelled; then the job has ended.
 * Null when the lease is somebody else's. When it fails or is interrupted, what has been answered is stored, and the
 * lease is given back.
 *
 * @internal
 */
export const hold = Effect.fnUntraced(
  function*(
    job: Job,
    answers: OnDemandAnswers,
    claim: Lease
  ): Effect.fn.Return<EndedJob | null, BatchError, OnDemand | Ledger | ObjectStore> {
    const onDemand = yield* OnDemand
    const ledger = yield* Ledger
    const clock = yield* Clock.Clock
    return yield* Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
      const claimedAt = clock.currentTimeMillisUnsafe()
      if (!(yield* ledger.lease(job, claim))) return null
      const scope = yield* Scope.make()
      const calls = new Calls(job, answers, claim, claimedAt, onDemand, ledger, clock, scope)
      const exit = yield* Effect.exit(restore(calls.run))
      if (Exit.isFailure(exit)) yield* Effect.exit(calls.leave)
      yield* Scope.close(scope, exit)
      return yield* exit
    }))
  }
)

/** What all fibers of one lease share. Each changes it in one go, and then wakes the one that decides. */
class Calls {
  readonly #job: Job
  readonly #answers: OnDemandAnswers
  readonly #onDemand: OnDemand["Service"]
  readonly #ledger: Ledger["Service"]
  readonly #clock: Clock.Clock
  readonly #scope: Scope.Closeable
  readonly #changed = Latch.makeUnsafe(false)

  #lease: Lease
  /** When the claim was begun to be written, by the own clock. */
  #claimedAt: number
  #firstClaimAt = 0
  #renewing = false
  /** Records that a claim reaches beyond the next one, and that one when the claim was made. */
  #window: number
  #windowFrom = 0
  #lookedAt = 0
  #looking = false

  /** Records in the order of the input, those with an answer left out. */
  #read: ReadonlyArray<OnDemandRecord> = []
  #at = 0
  #next: OnDemandRecord | null = null
  #noMore = false

  #running = 0
  /** To be begun before records that were not asked for yet. */
  readonly #ready: Array<Task> = []
  /** To be begun once a claim has counted them, from a time on. */
  #retries: Array<{ readonly task: Task; readonly from: number }> = []
  /** Positions of records whose call may have been paid for and whose answer is not stored. */
  readonly #open = new Set<number>()

  #waiting: Array<Answered> = []
  #waitingSince = 0
  #waitingBytes = 0
  #unstored = 0
  #storing = false

  /** Calls at the same time at most: fewer while the service throttles. */
  #allowed: number
  readonly #concurrency: number
  #throttles = 0
  #throttledInARow = 0
  #pausedUntil = 0

  /** Why no more calls are begun. */
  #over: "cancelled" | "lost" | "failed" | null = null
  #failure: Cause.Cause<BatchError> | null = null
  /** Whether the failure leaves no time to wait for running calls. */
  #broken = false

  #answered = 0
  #told = -1
  #toldAt = -Infinity
  #wakeAt = Infinity

  constructor(
    job: Job,
    answers: OnDemandAnswers,
    lease: Lease,
    claimedAt: number,
    onDemand: OnDemand["Service"],
    ledger: Ledger["Service"],
    clock: Clock.Clock,
    scope: Scope.Closeable
  ) {
    this.#job = job
    this.#answers = answers
    this.#onDemand = onDemand
    this.#ledger = ledger
    this.#clock = clock
    this.#scope = scope
    this.#lease = lease
    this.#claimedAt = claimedAt
    this.#concurrency = concurrencyOf(onDemand.concurrency)
    this.#allowed = this.#concurrency
    this.#window = firstWindow(this.#concurrency)
  }

  /** Makes the calls; gives the ended job, or null when the lease was lost. */
  readonly run = Effect.gen({ self: this }, function*(this: Calls) {
    // What a process that was thought dead has stored since, and whether it is cancelled: the claim comes first.
    yield* patiently(this.#answers.load())
    yield* this.#look
    const store = yield* ObjectStore
    const pull = yield* Scope.provide(Stream.toPull(records(store, this.#job)), this.#scope)
    this.#answered = this.#answers.counters.processed
    for (;;) {
      Latch.closeUnsafe(this.#changed)
      if (this.#broken) break
      for (;;) {
        if (this.#over === null && this.#next === null) yield* this.#readNext(pull)
        const task = this.#mayBegin() ? this.#take() : null
        if (task === null) break
        yield* this.#begin(task)
      }
      if (this.#hasToRenew()) yield* this.#behind(this.#renew())
      if (this.#hasToStore()) yield* this.#behind(this.#store)
      if (this.#hasToLook()) yield* this.#behind(this.#look)
      yield* this.#tell
      if (this.#isIdle()) {
        if (this.#over === "lost") return null
        if (this.#over === "failed") break
        // The claim is fresh, or the next one would be under way.
        return yield* this.#end
      }
      yield* this.#wakeInTime
      yield* Latch.await(this.#changed)
    }
    return yield* Effect.failCause(this.#failure ?? Cause.empty)
  })

  /** Waits a moment for running calls, stores what has been answered and gives the lease back. */
  readonly leave = Effect.gen({ self: this }, function*(this: Calls) {
    this.#over ??= "failed"
    yield* Effect.timeoutOption(this.#until(() => this.#running === 0), grace.calls)
    const stored = this.#until(() => !this.#storing).pipe(
      Effect.andThen(Effect.suspend(() => this.#waiting.length === 0 ? Effect.void : this.#store))
    )
    const settled = Effect.andThen(Effect.exit(stored), this.#until(() => !this.#renewing))
    yield* Effect.timeoutOption(settled, grace.store)
    const { key, runId } = this.#job
    if (this.#unstored > 0) {
      yield* Effect.logWarning(`job ${key} of run ${runId}: answers could not be stored, and will be asked for again`)
    }
    if (this.#over === "lost") return
    let upTo = 0
    for (const position of this.#open) upTo = Math.max(upTo, position + 1)
    const release: Lease = { ...this.#lease, number: this.#lease.number + 1, upTo, released: true }
    yield* Effect.timeoutOption(Effect.exit(this.#ledger.lease(this.#job, release)), grace.store)
  })

  #now(): number {
    return this.#clock.currentTimeMillisUnsafe()
  }

  #wake(): void {
    Latch.openUnsafe(this.#changed)
  }

  readonly #until = Effect.fnUntraced({ self: this }, function*(this: Calls, isSo: () => boolean) {
    for (;;) {
      Latch.closeUnsafe(this.#changed)
      if (isSo()) return
      yield* Latch.await(this.#changed)
    }
  })

  #fail(cause: Cause.Cause<BatchError>, isBroken: boolean): void {
    this.#over = "failed"
    this.#failure ??= cause
    this.#broken ||= isBroken
  }

  /** Runs beside the calls; what fails there ends the execution. */
  #behind(effect: Effect.Effect<void, BatchError>): Effect.Effect<unknown> {
    const watched = Effect.map(Effect.exit(effect), (exit) => {
      if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) this.#fail(exit.cause, true)
      this.#wake()
    })
    return Effect.forkIn(watched, this.#scope, { startImmediately: true })
  }

  readonly #readNext = Effect.fnUntraced({ self: this }, function*(
    this: Calls,
    pull: Pull.Pull<ReadonlyArray<ReadonlyArray<OnDemandRecord>>, BatchError>
  ) {
    while (this.#next === null && !this.#noMore) {
      while (this.#next === null && this.#at < this.#read.length) {
        const record = this.#read[this.#at++]!
        if (!this.#answers.has(record.row)) this.#next = record
      }
      if (this.#next !== null) return
      const pieces = yield* Pull.catchDone(pull, () => Effect.succeed(null))
      this.#noMore = pieces === null
      this.#read = pieces?.flat() ?? []
      this.#at = 0
    }
  })

  // ---- calls

  #isFresh(): boolean {
    return this.#now() - this.#claimedAt < shares.fresh * this.#ledger.leaseFor
  }

  #mayBegin(): boolean {
    return this.#over === null && this.#running < Math.floor(this.#allowed) && this.#unstored < mostUnstored &&
      this.#now() >= this.#pausedUntil && this.#isFresh()
  }

  #take(): Task | null {
    const ready = this.#ready.shift()
    if (ready !== undefined) return ready
    const record = this.#next
    if (record === null || record.position >= this.#lease.upTo) return null
    this.#next = null
    return { record, retries: 0 }
  }

  #begin(task: Task): Effect.Effect<unknown> {
    this.#running++
    this.#open.add(task.record.position)
    const throttles = this.#throttles
    const { invocationType, model } = this.#job
    const { modelInput, text } = task.record
    const call = this.#onDemand.invoke({ model, invocationType, body: modelInput, text })
    // An answer is kept whatever happens to the fiber that waits for it.
    const kept = Effect.uninterruptibleMask(Effect.fnUntraced({ self: this }, function*(this: Calls, restore) {
      const chance = yield* Random.next
      const exit = yield* Effect.exit(restore(call))
      this.#running--
      const pause = this.#settle(task, exit, chance, throttles)
      this.#wake()
      if (pause !== null) yield* Progress.emit(pause)
    }))
    return Effect.forkIn(kept, this.#scope, { startImmediately: true })
  }

  /** Takes in what a call came to; gives the pause that it brings, or null. */
  #settle(task: Task, exit: Exit.Exit<Json, BatchError>, chance: number, throttles: number): Progress.Event | null {
    if (Exit.isSuccess(exit)) {
      this.#allowed = Math.min(this.#concurrency, this.#allowed + 1 / this.#allowed)
      if (throttles === this.#throttles) this.#throttledInARow = 0
      this.#answer(task, { modelOutput: exit.value })
      return null
    }
    const error = Option.getOrNull(Cause.findErrorOption(exit.cause))
    if (error === null) {
      if (!Cause.hasInterruptsOnly(exit.cause)) this.#fail(exit.cause, true)
      return null
    }
    const { reason } = error
    const { message } = reason
    if (reason._tag === "Unavailable" && (reason.code === "throttled" || reason.code === "quota")) {
      // Nothing was paid for. What an earlier call of the record may have cost is counted with this one.
      this.#open.delete(task.record.position)
      this.#ready.push(task)
      // Calls that were begun before the pause say nothing new.
      if (throttles !== this.#throttles) return null
      this.#throttles++
      this.#allowed = Math.max(1, Math.floor(this.#allowed / 2))
      const millis = Math.max(reason.retryAfterMillis ?? 0, pauseOf(this.#throttledInARow++, chance))
      this.#pausedUntil = this.#now() + millis
      return this.#waitingFor("throttled", millis)
    }
    if (reason._tag === "Unavailable") {
      if (task.retries === mostRetries) {
        const errorCode = reason.code === "network" ? 503 : 500
        this.#answer(task, { error: { errorCode, errorMessage: message } })
        return null
      }
      const millis = pauseOf(task.retries, chance)
      const again: Task = { ...task, retries: task.retries + 1 }
      this.#retries.push({ task: again, from: this.#now() + millis })
      return this.#waitingFor("unavailable", millis)
    }
    if (reason._tag === "Refused" && !concernsEveryJob(reason.code)) {
      this.#answer(task, { error: { errorCode: statusOf(reason), errorMessage: message } })
      return null
    }
    this.#open.delete(task.record.position)
    this.#fail(exit.cause, false)
    return null
  }

  #waitingFor(why: "throttled" | "unavailable", millis: number): Progress.Event {
    return { _tag: "Waiting", runId: this.#job.runId, job: this.#job.key, why, millis }
  }

  #answer({ record }: Task, said: Said): void {
    const answered = answeredOf(record, said)
    if (this.#waiting.length === 0) this.#waitingSince = this.#now()
    this.#waiting.push(answered)
    this.#waitingBytes += answered.line.length
    this.#unstored += answered.line.length
    this.#answered++
  }

  // ---- answers

  #hasToStore(): boolean {
    return this.#waiting.length > 0 && !this.#storing &&
      (this.#waitingBytes >= partBytes || this.#now() - this.#waitingSince >= storeAfter || this.#nothingRuns())
  }

  readonly #store: Effect.Effect<void, BatchError> = Effect.gen({ self: this }, function*(this: Calls) {
    const answers = this.#waiting
    const bytes = this.#waitingBytes
    this.#storing = true
    this.#waiting = []
    this.#waitingBytes = 0
    const exit = yield* Effect.exit(patiently(this.#answers.write(answers)))
    this.#storing = false
    this.#wake()
    if (Exit.isSuccess(exit)) {
      this.#unstored -= bytes
      for (const { record } of answers) this.#open.delete(record.position)
      return
    }
    this.#waiting = [...answers, ...this.#waiting]
    this.#waitingBytes += bytes
    return yield* exit
  })

  // ---- the lease

  #dueRetries(): number {
    return this.#over === null ? this.#retries.filter(({ from }) => from <= this.#now()).length : 0
  }

  #hasToRenew(): boolean {
    if (this.#renewing || this.#over === "lost") return false
    const age = this.#now() - this.#claimedAt
    const { upTo } = this.#lease
    const reached = this.#over === null && this.#next !== null && upTo < this.#job.records &&
      upTo - this.#next.position <= this.#window / 2
    return reached || age >= shares.renew * this.#ledger.leaseFor || (age >= countAfter && this.#dueRetries() > 0)
  }

  /** The next claim: for more records, and for the retries that are due. */
  #renew(): Effect.Effect<void, BatchError> {
    this.#renewing = true
    const now = this.#now()
    const from = this.#next?.position ?? this.#windowFrom
    const perMilli = (from - this.#windowFrom) / Math.max(1, now - this.#claimedAt)
    this.#window = Math.max(
      firstWindow(this.#concurrency),
      Math.min(2 * this.#window, Math.ceil(perMilli * windowMillis))
    )
    this.#windowFrom = from
    const isDue = (retry: { readonly from: number }) => this.#over === null && retry.from <= now
    const due = this.#retries.filter(isDue)
    this.#retries = this.#retries.filter((retry) => !isDue(retry))
    const next: Lease = {
      ...this.#lease,
      number: this.#lease.number + 1,
      upTo: this.#over === null && this.#next !== null
        ? Math.max(this.#lease.upTo, Math.min(this.#job.records, from + this.#window))
        : this.#lease.upTo,
      repeats: this.#lease.repeats + due.length
    }
    return patiently(this.#ledger.lease(this.#job, next)).pipe(
      Effect.flatMap((isOurs) => {
        if (!isOurs) {
          if (this.#over !== "failed") this.#over = "lost"
          return Effect.void
        }
        this.#lease = next
        return Effect.map(this.#look, () => {
          this.#claimedAt = now
          this.#ready.push(...due.map(({ task }) => task))
        })
      }),
      Effect.ensuring(Effect.sync(() => {
        this.#renewing = false
      }))
    )
  }

  #hasToLook(): boolean {
    return this.#over === null && !this.#looking && !this.#renewing && this.#now() - this.#lookedAt >= lookAfter
  }

  /** Looks whether the run is cancelled, and whether the job has a newer claim or its end. */
  readonly #look: Effect.Effect<void, BatchError> = Effect.gen({ self: this }, function*(this: Calls) {
    this.#looking = true
    const { number } = this.#lease
    const { cancelled, entry } = yield* patiently(this.#ledger.look(this.#job))
    this.#looking = false
    this.#lookedAt = this.#now()
    this.#firstClaimAt = entry.claims[0]?.at ?? this.#lookedAt
    if (this.#over === "failed") return
    const newest = entry.claims.at(-1)?.number ?? 0
    // While the own next claim is under way, a newer one may be it.
    if (entry.ended || (newest > number && !this.#renewing && number === this.#lease.number)) this.#over = "lost"
    else if (cancelled) this.#over ??= "cancelled"
  })

  // ---- the end

  #nothingRuns(): boolean {
    return this.#running === 0 &&
      (this.#over !== null ||
        (this.#noMore && this.#next === null && this.#ready.length === 0 && this.#retries.length === 0))
  }

  #isIdle(): boolean {
    return this.#nothingRuns() && this.#waiting.length === 0 && !this.#storing && !this.#renewing && !this.#looking
  }

  readonly #end: Effect.Effect<EndedJob, BatchError> = Effect.gen({ self: this }, function*(this: Calls) {
    const ended = yield* patiently(this.#ledger.end(
      endedOf(this.#job, this.#answers, this.#lease, this.#firstClaimAt)
    ))
    yield* tellEnd(ended)
    return ended
  })

  // ---- time

  readonly #tell: Effect.Effect<void> = Effect.suspend(() => {
    if (this.#told === this.#answered || this.#now() - this.#toldAt < 1_000) return Effect.void
    this.#told = this.#answered
    this.#toldAt = this.#now()
    const { key, records, runId } = this.#job
    const processed = this.#answered
    return Progress.emit({ _tag: "JobChanged", runId, job: key, status: "InProgress", records, processed })
  })

  /** Has the one that decides woken when time alone brings the next thing to do. */
  readonly #wakeInTime: Effect.Effect<unknown> = Effect.suspend(() => {
    const now = this.#now()
    const times = [
      this.#claimedAt + shares.renew * this.#ledger.leaseFor,
      this.#waiting.length > 0 ? this.#waitingSince + storeAfter : Infinity,
      this.#over === null ? this.#lookedAt + lookAfter : Infinity,
      this.#pausedUntil,
      this.#told === this.#answered ? Infinity : this.#toldAt + 1_000,
      ...this.#retries.map(({ from }) => Math.max(from, this.#claimedAt + countAfter))
    ]
    const at = Math.min(...times.filter((time) => time > now))
    if (at >= this.#wakeAt && this.#wakeAt > now) return Effect.void
    this.#wakeAt = at
    const waking = Effect.map(Effect.sleep(at - now), () => {
      if (this.#wakeAt === at) this.#wakeAt = Infinity
      this.#wake()
    })
    return at === Infinity ? Effect.void : Effect.forkIn(waking, this.#scope, { startImmediately: true })
  })
}

/** A job on demand at its end: `Completed` where every record has an answer, else `Stopped`. @internal */
export const endedOf = (job: Job, answers: OnDemandAnswers, lease: Lease, firstClaimAt: number): EndedJob => {
  const { counters } = answers
  return {
    ...job,
    arn: "on-demand",
    submittedAt: new Date(firstClaimAt).toISOString(),
    adopted: false,
    status: counters.processed === counters.total ? "Completed" : "Stopped",
    message: null,
    counters,
    repeatedCalls: lease.repeats
  }
}

/** @internal */
export const tellEnd = (job: EndedJob): Effect.Effect<void> => Progress.tellChanged(job, job.status, job.counters)
