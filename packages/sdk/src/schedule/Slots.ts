/**
 * A counter with a limit: who takes a slot waits until one is free, first come first served.
 *
 * @internal
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** @internal */
export interface Slots<E = never> {
  /** Waits for a free slot and keeps it until the scope closes. */
  readonly take: Effect.Effect<void, E, Scope.Scope>
  /** Keeps a slot until the scope closes if one is free; false, at once, where none is. */
  readonly takeNow: Effect.Effect<boolean, never, Scope.Scope>
  /** Waits until a slot is free, and takes none. */
  readonly room: Effect.Effect<void>
  /** Counts a holder that is there already, beyond the limit if need be, until the scope closes. */
  readonly hold: Effect.Effect<void, never, Scope.Scope>
  /** How many slots are held. */
  readonly held: () => number
  /** Changes the limit; holders beyond it keep their slots. */
  readonly resize: (limit: number) => Effect.Effect<void>
  /** Fails everybody who waits now. */
  readonly fail: (error: E) => Effect.Effect<void>
}

/** Who waits, and whether a slot was given to it meanwhile. */
interface Waiter<E> {
  readonly turn: Deferred.Deferred<void, E>
  granted: boolean
}

/** @internal */
export const make = <E = never>(limit: number): Slots<E> => {
  let most = limit
  let held = 0
  const waiting: Array<Waiter<E>> = []
  let vacancy: Deferred.Deferred<void> | null = null
  const isRoom = () => held < most && waiting.length === 0
  const room: Effect.Effect<void> = Effect.suspend(() => {
    if (isRoom()) return Effect.void
    vacancy ??= Deferred.makeUnsafe<void>()
    return Effect.andThen(Deferred.await(vacancy), room)
  })
  let waking = false
  const wake = Effect.sync(() => {
    // Who is woken may run at once, and change what there is: the loop that goes on sees it.
    if (waking) return
    waking = true
    while (held < most && waiting.length > 0) {
      held++
      const waiter = waiting.shift()!
      waiter.granted = true
      Deferred.doneUnsafe(waiter.turn, Effect.void)
    }
    waking = false
    if (vacancy === null || !isRoom()) return
    Deferred.doneUnsafe(vacancy, Effect.void)
    vacancy = null
  })
  const release = Effect.suspend(() => {
    held--
    return wake
  })
  const acquire = Effect.suspend((): Effect.Effect<void, E> => {
    if (isRoom()) {
      held++
      return Effect.void
    }
    const waiter: Waiter<E> = { turn: Deferred.makeUnsafe<void, E>(), granted: false }
    waiting.push(waiter)
    return Effect.interruptible(Deferred.await(waiter.turn)).pipe(Effect.onInterrupt(() =>
      Effect.suspend(() => {
        if (waiter.granted) return release
        const at = waiting.indexOf(waiter)
        if (at >= 0) waiting.splice(at, 1)
        return wake
      })
    ))
  })
  return {
    // Only the wait can be interrupted, never the moment between getting a slot and being bound to release it.
    take: Effect.acquireRelease(acquire, () => release),
    takeNow: Effect.acquireRelease(
      Effect.sync(() => {
        if (!isRoom()) return false
        held++
        return true
      }),
      (taken) => (taken ? release : Effect.void)
    ),
    room,
    hold: Effect.acquireRelease(Effect.sync(() => void held++), () => release),
    held: () => held,
    resize: (limit) => Effect.andThen(Effect.sync(() => void (most = limit)), wake),
    fail: (error) =>
      Effect.sync(() => {
        for (const { turn } of waiting.splice(0)) Deferred.doneUnsafe(turn, Effect.fail(error))
      })
  }
}
