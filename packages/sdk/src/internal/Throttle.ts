/**
 * The pace of calls to a service that asks for fewer: however many wait, one of them is tried at a time.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Semaphore from "effect/Semaphore"

/** Milliseconds until a throttled call is made again: doubled each time, with full jitter. @internal */
export const backoff = { first: 1_000, most: 60_000 }

/** The longest pause after so many in a row, in milliseconds. @internal */
export const longestPause = (before: number): number =>
  Math.min(backoff.most, backoff.first * 2 ** Math.min(before, 16))

/** @internal */
export interface Throttle {
  /**
   * Comes when a call may be made: at once, or while calls are throttled when those who came before had their turn, and
   * after a pause, which `pause` makes.
   */
  readonly turn: <E, R>(pause: (millis: number) => Effect.Effect<void, E, R>) => Effect.Effect<void, E, R>
  /** How often calls were throttled. */
  readonly time: () => number
  /** Tells that a call was throttled that was made at a `time`. Calls of the same time count once. */
  readonly struck: (time: number) => void
  /** Tells that a call was answered. */
  readonly passed: () => void
}

/** @internal */
export const make = (): Throttle => {
  const line = Semaphore.makeUnsafe(1)
  /** How often in a row calls were throttled. */
  let strikes = 0
  let time = 0
  return {
    turn: (pause) =>
      Effect.suspend(() =>
        strikes === 0 ? Effect.void : Semaphore.withPermit(
          line,
          // Who waited for his turn may find that it is over.
          Effect.suspend(() =>
            strikes === 0
              ? Effect.void
              : Effect.flatMap(Random.nextBetween(0, 1), (chance) => pause(chance * longestPause(strikes - 1)))
          )
        )
      ),
    time: () => time,
    struck: (at) => {
      if (at !== time) return
      time++
      strikes++
    },
    passed: () => void (strikes = 0)
  }
}
