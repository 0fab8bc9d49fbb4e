/**
 * Looking at slots that processes share: which are free, which of those are for this process, and when to look again.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { BatchError } from "../BatchError.ts"
import { Ledger } from "../Ledger.ts"
import type { Subject } from "../schedule/Quotas.ts"
import { ObjectStore } from "../store/ObjectStore.ts"
import * as SlotObjects from "./SlotObjects.ts"
import * as SlotPool from "./SlotPool.ts"
import type { Holding, Pool } from "./SlotPool.ts"
import type * as SlotSweep from "./SlotSweep.ts"

/** Calls to the store at a time. @internal */
export const concurrency = 8

/** Processes that had slots are believed to want more for so many times the shortest pause between looks. */
const rememberedLooks = 60

/** @internal */
export interface Options {
  /** How many slots there are. */
  readonly slotsOf: (subject: Subject) => Effect.Effect<number>
  /** The life of this process. */
  readonly owner: string
  /** Milliseconds between two looks. */
  readonly from: number
  readonly to: number
  /** How many objects of old generations are removed at once. */
  readonly manyOld: number
}

/** @internal */
export interface Looking {
  /** Looks at all slots; where none is free, those that are held for nothing are freed. */
  readonly look: (pool: Pool) => Effect.Effect<void, BatchError>
  /** The next claim of a job; 0 where there is nothing to send any more. */
  readonly nextClaim: (holding: Holding) => Effect.Effect<number, BatchError>
  /** After a slot is free: where all were taken others may come first, lest who has slots keeps them for ever. */
  readonly freed: (pool: Pool) => Effect.Effect<void>
}

/** @internal */
export const make = Effect.fnUntraced(function*({ from, manyOld, owner, slotsOf, to }: Options) {
  const store = yield* ObjectStore
  const ledger = yield* Ledger
  /** Removing may not be permitted. */
  let removes = true

  const held = Effect.fnUntraced(function*(pool: Pool, slots: ReadonlyArray<SlotObjects.Slot>) {
    const keys = new Set(slots.map((slot) => SlotPool.keyOf(pool, slot)))
    for (const key of pool.holders.keys()) if (!keys.has(key)) pool.holders.delete(key)
    const read = yield* Effect.forEach(
      slots,
      Effect.fnUntraced(function*(slot) {
        const key = SlotPool.keyOf(pool, slot)
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
        if (claim === 0) SlotPool.done(pool, waiter)
      }), { concurrency, discard: true })
  })

  /** Frees what is held for nothing; gives it. */
  const swept = Effect.fnUntraced(function*(pool: Pool, holders: ReadonlyArray<SlotSweep.Held>) {
    const over = yield* pool.sweep.of(holders)
    yield* Effect.forEach(over, (place) => SlotObjects.free(store, pool.folder, place), {
      concurrency,
      discard: true
    })
    return new Set(over.map((place) => SlotPool.keyOf(pool, place)))
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
      own.add(SlotPool.keyOf(pool, place))
      if (place.used) used.add(SlotPool.keyOf(pool, place))
    }
    let taken = [...slots.values()].filter(({ isFree }) => !isFree)
    const free: Array<SlotObjects.Slot> = []
    for (let slot = 0; slot < limit; slot++) {
      const known = slots.get(slot) ?? { slot, generation: 0, isFree: true, at: 0 }
      if (known.isFree) free.push(known)
    }
    const room = () => Math.max(0, Math.min(limit - taken.length - bare.size, free.length))
    if (bare.size > 0 || room() === 0) {
      const holders = yield* held(pool, taken.filter((slot) => !used.has(SlotPool.keyOf(pool, slot))))
      for (const { holder } of holders) bare.delete(`${holder.runId}/${holder.job}`)
      pool.others = new Set(holders.map(({ holder }) => holder.owner).filter((other) => other !== owner)).size
      if (room() === 0) {
        const gone = yield* swept(pool, holders)
        for (const slot of taken) if (gone.has(SlotPool.keyOf(pool, slot)) && slot.slot < limit) free.push(slot)
        taken = taken.filter((slot) => !gone.has(SlotPool.keyOf(pool, slot)))
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

  /** After a slot is free: where all were taken others may come first, lest who has slots keeps them for ever. */
  const freed = Effect.fnUntraced(function*(pool: Pool) {
    const now = yield* Clock.currentTimeMillis
    if (!pool.isTight) return SlotPool.hurry(pool, now)
    if (pool.isYielding) return
    pool.isYielding = true
    const [least, most] = pool.others === 0 ? [0.25, 1.25] : SlotPool.counted(pool) < pool.part ? [0, 0.5] : [0.5, 2]
    const at = now + (yield* Random.nextBetween(least, most)) * from
    if (pool.lookAt <= now) pool.lookAt = at
    else SlotPool.hurry(pool, at)
  })

  const looking: Looking = { look, nextClaim, freed }
  return looking
})
