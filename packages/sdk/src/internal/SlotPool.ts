/**
 * What one process knows of the slots of a quota that it shares with others: those that it has, who waits for one, and
 * what the last look showed.
 *
 * @internal
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { BatchError } from "../BatchError.ts"
import type { Taker } from "../schedule/Capacity.ts"
import type { Subject } from "../schedule/Quotas.ts"
import * as SlotObjects from "./SlotObjects.ts"
import type * as SlotSweep from "./SlotSweep.ts"

/** A slot that this process has. @internal */
export interface Place extends SlotObjects.Place {
  readonly claim: number
  /** Whether the claim may have been written. */
  used: boolean
}

/** A job of this process. @internal */
export interface Holding {
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

/** Who waits for a slot. @internal */
export interface Waiter {
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

/** The slots of one quota. @internal */
export interface Pool {
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

/** @internal */
export const make = (subject: Subject, folder: string, sweep: SlotSweep.Sweep): Pool => ({
  subject,
  folder,
  sweep,
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
})

/** The name of a job among all runs'. @internal */
export const idOf = ({ key, runId }: Taker): string => `${runId}/${key}`

/** The job of a taker, which is entered if it was not known. @internal */
export const holdingOf = (pool: Pool, taker: Taker): Holding => {
  const id = idOf(taker)
  const found = pool.holdings.get(id)
  if (found !== undefined) return found
  const { key = "", runId = "" } = taker
  const holding: Holding = { id, runId, key, users: 0, waits: 0, place: null, kept: false }
  pool.holdings.set(id, holding)
  return holding
}

/** @internal */
export const keyOf = (pool: Pool, place: SlotObjects.Place) => SlotObjects.keyOf(pool.folder, place)

/** Lets the next look be no later than at a time. @internal */
export const hurry = (pool: Pool, at: number) => {
  if (at >= pool.lookAt) return
  pool.lookAt = at
  const { hurried } = pool
  // Whoever is told may wait again at once.
  pool.hurried = Deferred.makeUnsafe()
  Deferred.doneUnsafe(hurried, Effect.void)
}

/** How many slots this process has, or jobs that it counts as open. @internal */
export const counted = (pool: Pool): number => {
  let count = 0
  for (const { place, users, waits } of pool.holdings.values()) if (place !== null || users > waits) count++
  return count
}

/** Ends a wait. @internal */
export const done = (pool: Pool, waiter: Waiter): void => {
  leaveLine(pool, waiter)
  Deferred.doneUnsafe(waiter.turn, Effect.void)
}

/** Whoever waits no more leaves the line. @internal */
export const leaveLine = ({ waiting }: Pool, waiter: Waiter): void => {
  const at = waiting.indexOf(waiter)
  if (at >= 0) waiting.splice(at, 1)
}
