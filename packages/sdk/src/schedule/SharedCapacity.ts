/**
 * How many jobs may be open now, by slots that several processes share.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import { BatchError, InvalidOption } from "../BatchError.ts"
import { BatchJobs } from "../bedrock/BatchJobs.ts"
import * as AccountQuotas from "../internal/AccountQuotas.ts"
import { freshId } from "../internal/Digest.ts"
import { limitsProblem } from "../internal/LimitsCheck.ts"
import { millisOf } from "../internal/Millis.ts"
import { isThrottled, maxTroubles, patiently } from "../internal/Patience.ts"
import * as SlotLook from "../internal/SlotLook.ts"
import * as SlotObjects from "../internal/SlotObjects.ts"
import * as SlotPool from "../internal/SlotPool.ts"
import type { Holding, Place, Pool, Waiter } from "../internal/SlotPool.ts"
import * as SlotSweep from "../internal/SlotSweep.ts"
import { Ledger } from "../Ledger.ts"
import * as Limits from "../Limits.ts"
import { ObjectStore } from "../store/ObjectStore.ts"
import { Capacity, full, type Taker } from "./Capacity.ts"
import { ServiceQuotas, type Subject, subjectOf } from "./Quotas.ts"

/**
 * Options of `layerShared`. All that share slots should be given the same.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface SharedOptions {
  /**
   * Quotas that differ from `Limits.defaults`; `maxOpenJobs` less `headroom` is the number of slots. Where there is a
   * `ServiceQuotas`, they are bounds on what it tells.
   */
  readonly limits?: Partial<Limits.Limits> | undefined
  /** Open jobs of a model that are left to who does not share the slots; default 0. There is always one slot. */
  readonly headroom?: number | undefined
  /**
   * How often a process that waits for a slot looks at them: `from`, default 15 seconds, while it has few, up to
   * `to`, default 1 minute. `to` is also how often Bedrock is asked at most, and how long a slot may be held before
   * its create call is claimed.
   */
  readonly look?: { readonly from?: Duration.Input | undefined; readonly to?: Duration.Input | undefined } | undefined
  /** How long a quota of Service Quotas is believed before it is read again; default 1 hour. */
  readonly quotasEvery?: Duration.Input | undefined
  /**
   * How long to wait after the service said "quota" before asking again, and before a lost slot is believed in again;
   * default 1 minute, with jitter of a half.
   */
  readonly quotaPause?: Duration.Input | undefined
  /**
   * How many objects of old generations are removed at once.
   *
   * @internal
   */
  readonly manyOld?: number | undefined
}

/** For so long, in milliseconds, what the ledger said of a job that waits is believed. */
const believed = 5_000

const invalid = (path: string, message: string) =>
  new BatchError({ module: "SharedCapacity", method: "layerShared", reason: new InvalidOption({ path, message }) })

const durationOf = (path: string, input: Duration.Input) => {
  const millis = millisOf(input)
  return millis >= 1 && millis <= 86_400_000
    ? Effect.succeed(millis)
    : Effect.fail(invalid(path, `${path} must be a duration of 1 ms to 1 day; one is for example "1 minute"`))
}

/**
 * Layer with slots that are shared by all processes that have the same store: one object a slot in
 * `capacity/<region>.<base model>/`, written before a create call is claimed. So no more of their jobs are open at a
 * time than there are slots, whichever process and run they are of. The jobs of who does not share the slots are not
 * counted: where they fill the quota the service says so, no job fails, and fewer slots are used for a while.
 *
 * A slot is free again when its job has ended. Nobody need tell: who waits looks at the slots, reads the ledgers of the
 * runs that hold them, and asks Bedrock for the jobs of others. So a process that died blocks nobody for longer than
 * two looks, or, where it died during a create call, than the ledger's `settleAfter`. Where the limit was lowered the
 * highest slots are not given again. In a process those who come first are served first. Between processes chance
 * decides, in favour of who has fewer: who frees a slot while all are taken leaves it to the others for some seconds,
 * and of what is free he takes a part.
 *
 * On S3 it needs `s3:ListBucket`, `s3:GetObject`, `s3:PutObject` and, to remove what is old, `s3:DeleteObject`. Nobody
 * else should remove objects under `capacity/` while a job is open, a lifecycle rule of the bucket neither.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import * as Ledger from "@bedrock-batch/sdk/Ledger"
 * import { layerShared } from "@bedrock-batch/sdk/schedule/SharedCapacity"
 * import * as FileSystem from "@bedrock-batch/sdk/store/FileSystem"
 * import { Layer } from "effect"
 *
 * const store = FileSystem.layer({ directory: "./batches" })
 * const capacity = layerShared({ headroom: 10 }).pipe(Layer.provide(Ledger.layer()), Layer.provide(store))
 * ```
 */
export const layerShared = (
  options: SharedOptions = {}
): Layer.Layer<Capacity, BatchError, BatchJobs | Ledger | ObjectStore> =>
  Layer.effect(
    Capacity,
    Effect.gen(function*() {
      const given = options.limits ?? {}
      const problem = limitsProblem(given)
      if (problem !== null) {
        return yield* new BatchError({ module: "SharedCapacity", method: "layerShared", reason: problem })
      }
      const headroom = options.headroom ?? 0
      if (!(Number.isSafeInteger(headroom) && headroom >= 0)) {
        return yield* invalid("headroom", `headroom is ${headroom}, and must be an integer of at least 0`)
      }
      const from = yield* durationOf("look.from", options.look?.from ?? "15 seconds")
      const to = yield* durationOf("look.to", options.look?.to ?? "1 minute")
      if (to < from) return yield* invalid("look", `looks are from ${from} ms to ${to} ms: the second must be no less`)
      const quotasEvery = yield* durationOf("quotasEvery", options.quotasEvery ?? "1 hour")
      const pause = yield* durationOf("quotaPause", options.quotaPause ?? "1 minute")
      const scope = yield* Effect.scope
      const store = yield* ObjectStore
      const jobs = yield* BatchJobs
      const service = yield* Effect.serviceOption(ServiceQuotas)
      const quotas = Option.isNone(service) ? null : yield* AccountQuotas.make(given, quotasEvery).pipe(
        Effect.provideService(ServiceQuotas, service.value)
      )
      const limits: Limits.Limits = { ...Limits.defaults, ...given }
      const slotsOf = (subject: Subject) =>
        Effect.map(
          quotas === null ? Effect.succeed(limits.maxOpenJobs) : quotas.openJobs(subject),
          (quota) => Math.max(1, quota - headroom)
        )
      const owner = yield* freshId
      const sweepOf = yield* SlotSweep.make({ every: to, claimWithin: to })
      const { manyOld = 64 } = options
      const { freed, look, nextClaim } = yield* SlotLook.make({ slotsOf, owner, from, to, manyOld })

      const pools = new Map<string, Pool>()
      const poolOf = ({ model, region }: Taker): Pool => {
        const subject = subjectOf(model)
        const folder = SlotObjects.folderOf(region, subject.key)
        const found = pools.get(folder)
        if (found !== undefined) return found
        const pool = SlotPool.make(subject, folder, sweepOf())
        pools.set(folder, pool)
        return pool
      }

      /** What a taker must be to get a slot. */
      const checked = ({ key, region, runId }: Taker): Effect.Effect<void, BatchError> => {
        const wrong = region !== jobs.region
          ? new InvalidOption({
            path: "region",
            message: `a slot is wanted in Region ${region}, and the client is for ${jobs.region}`
          })
          : runId === undefined || key === undefined
          ? new InvalidOption({ path: "taker", message: "a shared slot is taken for a job: give its runId and key" })
          : null
        return wrong === null
          ? Effect.void
          : Effect.fail(new BatchError({ module: "Capacity", method: "take", reason: wrong }))
      }

      const freeOwn = (pool: Pool, holding: Holding) =>
        Effect.suspend(() => {
          const { place } = holding
          if (place === null) return Effect.void
          holding.place = null
          return SlotObjects.free(store, pool.folder, place)
        })

      /** How many more slots this process may take since the service said "quota". */
      const allowed = (pool: Pool, now: number): number => {
        if (pool.cap === null) return Infinity
        if (now < pool.cap.since) return 0
        const limit = pool.cap.limit + Math.floor((now - pool.cap.since) / pause)
        if (limit >= limits.maxOpenJobs) pool.cap = null
        return limit - SlotPool.counted(pool)
      }

      /** Gives a slot to who waits. */
      const give = Effect.fnUntraced(function*(pool: Pool, waiter: Waiter, slot: SlotObjects.Slot) {
        const { holding } = waiter
        const now = yield* Clock.currentTimeMillis
        if (!waiter.isAgain && now - waiter.readAt > believed) {
          waiter.claim = yield* nextClaim(holding)
          waiter.readAt = now
        }
        // There is nothing to send any more, or another who waits for the job has got the slot.
        const { claim } = waiter
        if (claim === 0 || holding.place !== null) {
          SlotPool.done(pool, waiter)
          return "unneeded"
        }
        const place: Place = { slot: slot.slot, generation: slot.generation + 1, claim, used: false }
        const holder = { version: 1, runId: holding.runId, job: holding.key, claim, owner } as const
        if (!(yield* SlotObjects.take(store, pool.folder, place, holder))) return "lost"
        if (holding.place === null && pool.waiting.includes(waiter)) {
          holding.place = place
          SlotPool.done(pool, waiter)
        } else yield* SlotObjects.free(store, pool.folder, place)
        return "given"
      })

      /** Gives the slots that are believed to be free to those who wait, in their order. */
      const grant = Effect.fnUntraced(function*(pool: Pool) {
        for (;;) {
          const now = yield* Clock.currentTimeMillis
          const most = Math.min(allowed(pool, now), pool.free.length, pool.waiting.length, SlotLook.concurrency)
          if (most <= 0) break
          const waiters = pool.waiting.slice(0, most)
          const slots = pool.free.splice(0, most)
          const given = yield* Effect.forEach(waiters, (waiter, i) => give(pool, waiter, slots[i]!), {
            concurrency: SlotLook.concurrency
          })
          given.forEach((what, i) => {
            if (what === "unneeded") pool.free.push(slots[i]!)
          })
        }
        if (pool.waiting.length === 0) return
        // What is free is not for this process, or was taken by others.
        pool.free = []
        const soon = (yield* Clock.currentTimeMillis) + (yield* Random.nextBetween(0.1, 0.5)) * from
        pool.lookAt = Math.max(pool.lookAt, soon, pool.cap?.since ?? 0)
      })

      const untilLook = Effect.fnUntraced(function*(pool: Pool) {
        for (;;) {
          const left = Math.ceil(pool.lookAt - (yield* Clock.currentTimeMillis))
          if (left <= 0 || pool.waiting.length === 0) return
          yield* Effect.raceFirst(Effect.sleep(left), Deferred.await(pool.hurried))
        }
      })

      const round = Effect.fnUntraced(function*(pool: Pool) {
        const looks = pool.free.length === 0 || (yield* Clock.currentTimeMillis) >= pool.freeUntil
        if (looks) {
          yield* untilLook(pool)
          if (pool.waiting.length === 0) return
          yield* look(pool)
        }
        yield* grant(pool)
        if (looks) turnAway(pool, null)
        // What was believed to be free is not: they are told after a look.
        else if (pool.waiting.some(({ full }) => full !== null)) pool.lookAt = yield* Clock.currentTimeMillis
      })

      /** Tells those who do not wait that there is no slot for them, or why it cannot be known. */
      const turnAway = (pool: Pool, failure: BatchError | null): void => {
        for (const waiter of pool.waiting.filter(({ full }) => full !== null)) {
          SlotPool.leaveLine(pool, waiter)
          Deferred.doneUnsafe(waiter.turn, Effect.fail(failure ?? waiter.full!))
        }
      }

      /** Goes on while somebody waits. */
      const lookOn = Effect.fnUntraced(function*(pool: Pool) {
        let troubles = 0
        while (pool.waiting.length > 0) {
          const result = yield* Effect.result(round(pool))
          if (result._tag === "Success") {
            troubles = 0
            continue
          }
          pool.free = []
          const { failure } = result
          turnAway(pool, failure)
          if (!isThrottled(failure) && (!failure.isRetryable || ++troubles >= maxTroubles)) {
            for (const { turn } of pool.waiting.splice(0)) Deferred.doneUnsafe(turn, Effect.fail(failure))
          } else {
            yield* Effect.logWarning(`the slots of the quota cannot be looked at now: ${failure.reason.message}`)
            pool.lookAt = (yield* Clock.currentTimeMillis) + (yield* Random.nextBetween(0.5, 1.5)) * from
          }
        }
        pool.isLooking = false
      })

      /** Waits for a slot. A job that has had one goes first. */
      const wait = Effect.fnUntraced(function*(
        pool: Pool,
        holding: Holding,
        claim: number,
        isAgain: boolean,
        full: BatchError | null = null
      ) {
        const readAt = yield* Clock.currentTimeMillis
        const waiter: Waiter = { holding, claim, readAt, isAgain, full, turn: Deferred.makeUnsafe() }
        if (full !== null) SlotPool.hurry(pool, readAt)
        pool.waiting.splice(isAgain ? pool.waiting.filter(({ isAgain }) => isAgain).length : Infinity, 0, waiter)
        if (!pool.isLooking) {
          pool.isLooking = true
          yield* Effect.forkIn(Effect.interruptible(lookOn(pool)), scope)
        }
        yield* Effect.interruptible(Deferred.await(waiter.turn)).pipe(
          Effect.ensuring(Effect.sync(() => SlotPool.leaveLine(pool, waiter)))
        )
      })

      /** Counts who waits for a slot. */
      const counting = <E>(holding: Holding, effect: Effect.Effect<void, E>): Effect.Effect<void, E> =>
        Effect.suspend(() => {
          holding.waits++
          return Effect.ensuring(effect, Effect.sync(() => void holding.waits--))
        })

      const leave = Effect.fnUntraced(function*(pool: Pool, holding: Holding, exit: Exit.Exit<unknown, unknown>) {
        if (--holding.users > 0) return
        if (holding.waits === 0) pool.holdings.delete(holding.id)
        // A claim that may be written is left to whoever reads the ledger.
        if (!holding.place?.used || (Exit.isSuccess(exit) && !holding.kept)) {
          yield* freeOwn(pool, holding).pipe(
            Effect.catch(({ reason }) => Effect.logDebug(`a slot is left to others to be freed: ${reason.message}`))
          )
          yield* freed(pool)
        }
      })

      const enter = Effect.fnUntraced(function*(taker: Taker, waits: boolean) {
        const pool = poolOf(taker)
        const holding = SlotPool.holdingOf(pool, taker)
        // Of several who wait for one job each is content with what another has.
        const isOpen = holding.place !== null || holding.users > holding.waits
        holding.users++
        if (waits && !isOpen) {
          const turn = Effect.gen(function*() {
            const claim = yield* Effect.interruptible(patiently(nextClaim(holding)))
            if (claim > 0) yield* wait(pool, holding, claim, false, taker.whenFull === "fail" ? full(taker) : null)
          })
          yield* counting(holding, turn).pipe(
            Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : leave(pool, holding, exit)))
          )
        }
        return { pool, holding }
      })

      return Capacity.of({
        region: jobs.region,
        limits: ({ model }) => quotas === null ? Effect.succeed(limits) : quotas.limits(subjectOf(model)),
        take: (taker) =>
          Effect.acquireRelease(
            Effect.andThen(checked(taker), enter(taker, true)),
            ({ holding, pool }, exit) => leave(pool, holding, exit)
          ),
        hold: (taker) =>
          Effect.acquireRelease(enter(taker, false), ({ holding, pool }, exit) => leave(pool, holding, exit)).pipe(
            Effect.orDie
          ),
        keep: (taker) =>
          Effect.sync(() => {
            const holding = poolOf(taker).holdings.get(SlotPool.idOf(taker))
            if (holding !== undefined) holding.kept = true
          }),
        mayClaim: Effect.fnUntraced(function*(taker: Taker, claim: number) {
          yield* checked(taker)
          const pool = poolOf(taker)
          const holding = SlotPool.holdingOf(pool, taker)
          const { place } = holding
          if (place !== null && place.claim === claim) {
            place.used = true
            // Nobody waits for its end here: whoever needs the slot sees it.
            if (holding.users === 0) pool.holdings.delete(holding.id)
            return true
          }
          // The claim that it was for is settled, or the next one could not be written.
          yield* freeOwn(pool, holding)
          SlotPool.hurry(pool, yield* Clock.currentTimeMillis)
          yield* counting(holding, wait(pool, holding, claim, true)).pipe(
            Effect.timeoutOption(to),
            Effect.ensuring(Effect.sync(() => {
              if (holding.users + holding.waits === 0 && holding.place === null) pool.holdings.delete(holding.id)
            }))
          )
          return false
        }),
        exceeded: Effect.fnUntraced(function*(taker: Taker) {
          const pool = poolOf(taker)
          const now = yield* Clock.currentTimeMillis
          if (pool.cap === null || now >= pool.cap.since) {
            const since = now + pause * (yield* Random.nextBetween(0.5, 1.5))
            pool.cap = { limit: Math.max(1, SlotPool.counted(pool) - 1), since }
          }
          return pause
        })
      })
    })
  )
