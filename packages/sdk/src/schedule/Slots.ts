/**
 * A counter with a limit: who takes a slot waits until one is free, first come first served.
 *
 * @internal
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** @internal */
export interface Slots {
  /** Waits for a free slot and keeps it until the scope closes. */
  readonly take: Effect.Effect<void, never, Scope.Scope>
  /** Counts a holder that is there already, beyond the limit if need be, until the scope closes. */
  readonly hold: Effect.Effect<void, never, Scope.Scope>
  /** How many slots are held. */
  readonly held: () => number
  /** Changes the limit; holders beyond it keep their slots. */
  readonly resize: (limit: number) => Effect.Effect<void>
}

/** @internal */
export const make = (limit: number): Slots => {
  let most = limit
  let held = 0
  const waiting: Array<Deferred.Deferred<void>> = []
  const wake = Effect.sync(() => {
    while (held < most && waiting.length > 0) {
      held++
      Deferred.doneUnsafe(waiting.shift()!, Effect.void)
    }
  })
  const release = Effect.suspend(() => {
    held--
    return wake
  })
  const acquire = Effect.suspend(() => {
    if (held < most && waiting.length === 0) {
      held++
      return Effect.void
    }
    const turn = Deferred.makeUnsafe<void>()
    waiting.push(turn)
    return Effect.interruptible(Deferred.await(turn)).pipe(Effect.onInterrupt(() =>
      Effect.suspend(() => {
        const at = waiting.indexOf(turn)
        if (at < 0) return release
        waiting.splice(at, 1)
        return Effect.void
      })
    ))
  })
  return {
    // Only the wait can be interrupted, never the moment between getting a slot and being bound to release it.
    take: Effect.acquireRelease(acquire, () => release),
    hold: Effect.acquireRelease(Effect.sync(() => void held++), () => release),
    held: () => held,
    resize: (limit) => Effect.andThen(Effect.sync(() => void (most = limit)), wake)
  }
}
