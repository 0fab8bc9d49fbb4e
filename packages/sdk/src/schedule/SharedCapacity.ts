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
import * as SlotObjects from "../internal/SlotObjects.ts"
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

/** A slot that this process has. */
interface Place extends SlotObjects.Place {
  readonly claim: number
  /** Whether the claim may have been written. */
  used: boolean
}

/** A job of this process. */
interface Holding {
  readonly id: string
  readonly runId: string
  readonly key: string
  /** Who waits for its end, or for a slot for it. */
  users: number
  /** How many of them wait for a slot. */
  waits: number
  place: Place | null
  kept: boolean
}

interface Waiter {
  readonly holding: Holding
  /** The claim that the slot is for. */
  claim: number
  /** When the ledger was read for it. */
  readAt: number
  /** Whether the job has had a slot before. */
  readonly isAgain: boolean
  /** What it is told where one look finds no slot for it; null where it waits. */
  readonly full: BatchError | null
  readonly turn: Deferred.Deferred<void, BatchError>
}

/** The slots of one quota. */
interface Pool {
  readonly subject: Subject
  readonly folder: string
  readonly sweep: SlotSweep.Sweep
  readonly holdings: Map<string, Holding>
  readonly waiting: Array<Waiter>
  /** Who took a slot never changes. By the key of the place. */
  readonly holders: Map<string, SlotObjects.Holder>
  /** Slots that the last look showed as free and left to this process. */
  free: Array<SlotObjects.Slot>
  /** Until when they are believed in. */
  freeUntil: number
  /** Not before that time is looked again. */
  lookAt: number
  /** How many other processes have slots, as far as it was seen. */
  others: number
  /** Until when they are believed to want some. */
  othersUntil: number
  /** How many slots each of them would have if they were shared evenly. */
  part: number
  /** Whether the last look left no slot free. */
  isTight: boolean
  /** Whether `lookAt` leaves a freed slot to others for a while already. */
  isYielding: boolean
  /** Told when `lookAt` is earlier. */
  hurried: Deferred.Deferred<void>
  isLooking: boolean
  /** How many slots this process may have since the service said "quota". */
  cap: { readonly limit: number; readonly since: number } | null
}

/** Calls to the store at a time. */
const concurrency = 8

/** For so long, in milliseconds, what the ledger said of a job that waits is believed. */
const believed = 5_000

/** Processes that had slots are believed to want more for so many times the shortest pause between looks. */
const rememberedLooks = 60

const invalid = (path: string, message: string) =>
  new BatchError({ module: "SharedCapacity", method: "layerShared", reason: new InvalidOption({ path, message }) })

const durationOf = (path: string, input: Duration.Input) => {
  const millis = millisOf(input)
  return millis >= 1 && millis <= 86_400_000
    ? Effect.succeed(millis)
    : Effect.fail(invalid(path, `${path} must be a duration of 1 ms to 1 day; one is for example "1 minute"`))
}

const remove = <A>(list: Array<A>, element: A): void => {
  const at = list.indexOf(element)
  if (at >= 0) list.splice(at, 1)
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
      const ledger = yield* Ledger
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
      const manyOld = options.manyOld ?? 64
      const owner = yield* freshId
      const sweepOf = yield* SlotSweep.make({ every: to, claimWithin: to })
      /** Removing may not be permitted. */
      let removes = true

      const pools = new Map<string, Pool>()
      const poolOf = ({ model, region }: Taker): Pool => {
        const subject = subjectOf(model)
        const folder = SlotObjects.folderOf(region, subject.key)
        const found = pools.get(folder)
        if (found !== undefined) return found
        const pool: Pool = {
          subject,
          folder,
          sweep: sweepOf(),
          holdings: new Map(),
          waiting: [],
          holders: new Map(),
          free: [],
          freeUntil: 0,
          lookAt: 0,
          others: 0,
          othersUntil: 0,
          part: 0,
          isTight: false,
          isYielding: false,
          hurried: Deferred.makeUnsafe(),
          isLooking: false,
          cap: null
        }
        pools.set(folder, pool)
        return pool
      }

      const idOf = ({ key, runId }: Taker): string => `${runId}/${key}`

      const holdingOf = (pool: Pool, taker: Taker): Holding => {
        const id = idOf(taker)
        const found = pool.holdings.get(id)
        if (found !== undefined) return found
        const { key = "", runId = "" } = taker
        const holding: Holding = { id, runId, key, users: 0, waits: 0, place: null, kept: false }
        pool.holdings.set(id, holding)
        return holding
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

      const keyOf = (pool: Pool, place: SlotObjects.Place) => SlotObjects.keyOf(pool.folder, place)

      /** Lets the next look be no later than at a time. */
      const hurry = (pool: Pool, at: number) => {
        if (at >= pool.lookAt) return
        pool.lookAt = at
        const { hurried } = pool
        // Whoever is told may wait again at once.
        pool.hurried = Deferred.makeUnsafe()
        Deferred.doneUnsafe(hurried, Effect.void)
      }

      /** What this process has, or counts as open. */
      const counted = (pool: Pool): number => {
        let count = 0
        for (const { place, users, waits } of pool.holdings.values()) if (place !== null || users > waits) count++
        return count
      }

      /** After a slot is free: where all were taken others may come first, lest who has slots keeps them for ever. */
      const freed = Effect.fnUntraced(function*(pool: Pool) {
        const now = yield* Clock.currentTimeMillis
        if (!pool.isTight) return hurry(pool, now)
        if (pool.isYielding) return
        pool.isYielding = true
        const [least, most] = pool.others === 0 ? [0.25, 1.25] : counted(pool) < pool.part ? [0, 0.5] : [0.5, 2]
        const at = now + (yield* Random.nextBetween(least, most)) * from
        if (pool.lookAt <= now) pool.lookAt = at
        else hurry(pool, at)
      })

      const freeOwn = (pool: Pool, holding: Holding) =>
        Effect.suspend(() => {
          const { place } = holding
          if (place === null) return Effect.void
          holding.place = null
          return SlotObjects.free(store, pool.folder, place)
        })

      const held = Effect.fnUntraced(function*(pool: Pool, slots: ReadonlyArray<SlotObjects.Slot>) {
        const keys = new Set(slots.map((slot) => keyOf(pool, slot)))
        for (const key of pool.holders.keys()) if (!keys.has(key)) pool.holders.delete(key)
        const read = yield* Effect.forEach(
          slots,
          Effect.fnUntraced(function*(slot) {
            const key = keyOf(pool, slot)
            const holder = pool.holders.get(key) ?? (yield* SlotObjects.holderOf(store, pool.folder, slot))
            if (holder === null) return []
            pool.holders.set(key, holder)
            const holding = pool.holdings.get(`${holder.runId}/${holder.job}`)
            const isWatched = holding !== undefined && holding.users > holding.waits
            const one: SlotSweep.Held = { place: slot, holder, at: slot.at, isWatched }
            return [one]
          }),
          { concurrency }
        )
        return read.flat()
      })

      const clean = Effect.fnUntraced(function*(old: ReadonlyArray<string>) {
        if (!removes || old.length < manyOld) return
        const result = yield* Effect.result(store.removeAll(old.slice(0, 1000)))
        if (result._tag === "Failure" && !result.failure.isRetryable) {
          removes = false
          yield* Effect.logWarning(`old slots are not removed: ${result.failure.reason.message}`)
        }
      })

      const done = (pool: Pool, waiter: Waiter): void => {
        remove(pool.waiting, waiter)
        Deferred.doneUnsafe(waiter.turn, Effect.void)
      }

      /** The next claim of a job; 0 where there is nothing to send any more. */
      const nextClaim = Effect.fnUntraced(function*({ key, runId }: Holding) {
        const { jobs } = yield* ledger.entries(runId, `${key}.`)
        const entry = jobs.get(key)
        return entry?.accepted || entry?.ended ? 0 : (entry?.claims.at(-1)?.number ?? 0) + 1
      })

      /** Another process may have submitted what waits for a slot. */
      const passOn = Effect.fnUntraced(function*(pool: Pool) {
        const first = pool.waiting.filter(({ isAgain }) => !isAgain).slice(0, concurrency)
        yield* Effect.forEach(first, (waiter) =>
          Effect.map(nextClaim(waiter.holding), (claim) => {
            if (claim === 0) done(pool, waiter)
          }), { concurrency, discard: true })
      })

      /** Frees what is held for nothing; gives it. */
      const swept = Effect.fnUntraced(function*(pool: Pool, holders: ReadonlyArray<SlotSweep.Held>) {
        const over = yield* pool.sweep.of(holders)
        yield* Effect.forEach(over, (place) => SlotObjects.free(store, pool.folder, place), {
          concurrency,
          discard: true
        })
        return new Set(over.map((place) => keyOf(pool, place)))
      })

      /** Looks at all slots; where none is free, those that are held for nothing are freed. */
      const look = Effect.fnUntraced(function*(pool: Pool) {
        const limit = yield* slotsOf(pool.subject)
        const { old, slots } = yield* SlotObjects.look(store, pool.folder)
        yield* clean(old)
        const own = new Set<string>()
        const used = new Set<string>()
        // Jobs that this process waits for and that nobody has a slot for: they were submitted without.
        const bare = new Set<string>()
        for (const { id, place, users, waits } of pool.holdings.values()) {
          if (place === null && users > waits) bare.add(id)
          if (place === null || users === 0) continue
          own.add(keyOf(pool, place))
          if (place.used) used.add(keyOf(pool, place))
        }
        let taken = [...slots.values()].filter(({ isFree }) => !isFree)
        const free: Array<SlotObjects.Slot> = []
        for (let slot = 0; slot < limit; slot++) {
          const known = slots.get(slot) ?? { slot, generation: 0, isFree: true, at: 0 }
          if (known.isFree) free.push(known)
        }
        const room = () => Math.max(0, Math.min(limit - taken.length - bare.size, free.length))
        if (bare.size > 0 || room() === 0) {
          const holders = yield* held(pool, taken.filter((slot) => !used.has(keyOf(pool, slot))))
          for (const { holder } of holders) bare.delete(`${holder.runId}/${holder.job}`)
          pool.others = new Set(holders.map(({ holder }) => holder.owner).filter((other) => other !== owner)).size
          if (room() === 0) {
            const gone = yield* swept(pool, holders)
            for (const slot of taken) if (gone.has(keyOf(pool, slot)) && slot.slot < limit) free.push(slot)
            taken = taken.filter((slot) => !gone.has(keyOf(pool, slot)))
          }
        }
        if (room() === 0) yield* passOn(pool)
        yield* share(pool, { limit, room: room(), own: own.size, taken: taken.length }, free)
      })

      /** What of the free slots is for this process, and when to look again. Who has less than his part is quicker. */
      const share = Effect.fnUntraced(function*(
        pool: Pool,
        { limit, own, room, taken }: { readonly [name in "limit" | "room" | "own" | "taken"]: number },
        free: ReadonlyArray<SlotObjects.Slot>
      ) {
        const now = yield* Clock.currentTimeMillis
        if (taken > own) pool.othersUntil = now + rememberedLooks * from
        const isShared = now < pool.othersUntil
        if (!isShared) pool.others = 0
        pool.part = limit / (1 + pool.others)
        const most = isShared ? Math.max(Math.ceil(room / 2), Math.floor(pool.part - own)) : room
        pool.free = (yield* Random.shuffle(free)).slice(0, Math.min(room, most))
        pool.freeUntil = now + from
        pool.isYielding = false
        pool.isTight = room - pool.waiting.length <= 0
        const isLess = own < pool.part
        pool.lookAt = now + (room > 0 && !isShared
          ? 0
          : room > 0 || isLess
          ? (yield* Random.nextBetween(0.5, isLess ? 1 : 2)) * from
          : yield* Random.nextBetween(from, to))
      })

      /** How many more slots this process may take since the service said "quota". */
      const allowed = (pool: Pool, now: number): number => {
        if (pool.cap === null) return Infinity
        if (now < pool.cap.since) return 0
        const limit = pool.cap.limit + Math.floor((now - pool.cap.since) / pause)
        if (limit >= limits.maxOpenJobs) pool.cap = null
        return limit - counted(pool)
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
          done(pool, waiter)
          return "unneeded"
        }
        const place: Place = { slot: slot.slot, generation: slot.generation + 1, claim, used: false }
        const holder = { version: 1, runId: holding.runId, job: holding.key, claim, owner } as const
        if (!(yield* SlotObjects.take(store, pool.folder, place, holder))) return "lost"
        if (holding.place === null && pool.waiting.includes(waiter)) {
          holding.place = place
          done(pool, waiter)
        } else yield* SlotObjects.free(store, pool.folder, place)
        return "given"
      })

      /** Gives the slots that are believed to be free to those who wait, in their order. */
      const grant = Effect.fnUntraced(function*(pool: Pool) {
        for (;;) {
          const now = yield* Clock.currentTimeMillis
          const most = Math.min(allowed(pool, now), pool.free.length, pool.waiting.length, concurrency)
          if (most <= 0) break
          const waiters = pool.waiting.slice(0, most)
          const slots = pool.free.splice(0, most)
          const given = yield* Effect.forEach(waiters, (waiter, i) => give(pool, waiter, slots[i]!), { concurrency })
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
          remove(pool.waiting, waiter)
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
        if (full !== null) hurry(pool, readAt)
        pool.waiting.splice(isAgain ? pool.waiting.filter(({ isAgain }) => isAgain).length : Infinity, 0, waiter)
        if (!pool.isLooking) {
          pool.isLooking = true
          yield* Effect.forkIn(Effect.interruptible(lookOn(pool)), scope)
        }
        yield* Effect.interruptible(Deferred.await(waiter.turn)).pipe(
          Effect.ensuring(Effect.sync(() => remove(pool.waiting, waiter)))
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
        const holding = holdingOf(pool, taker)
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
            const holding = poolOf(taker).holdings.get(idOf(taker))
            if (holding !== undefined) holding.kept = true
          }),
        mayClaim: Effect.fnUntraced(function*(taker: Taker, claim: number) {
          yield* checked(taker)
          const pool = poolOf(taker)
          const holding = holdingOf(pool, taker)
          const { place } = holding
          if (place !== null && place.claim === claim) {
            place.used = true
            // Nobody waits for its end here: whoever needs the slot sees it.
            if (holding.users === 0) pool.holdings.delete(holding.id)
            return true
          }
          // The claim that it was for is settled, or the next one could not be written.
          yield* freeOwn(pool, holding)
          hurry(pool, yield* Clock.currentTimeMillis)
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
            pool.cap = { limit: Math.max(1, counted(pool) - 1), since }
          }
          return pause
        })
      })
    })
  )
