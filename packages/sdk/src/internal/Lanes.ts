/**
 * Beginning work in turn: a fiber is forked only for what may begin, so that what waits costs no more than its place in
 * a list.
 *
 * @internal
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"

/**
 * A piece of work; it runs `admitted` when the next one may begin, and goes on beside it.
 *
 * @internal
 */
export type Work<E, R> = (admitted: Effect.Effect<void>) => Effect.Effect<void, E, R>

/**
 * Begins a piece of work, and waits until it is admitted or over.
 *
 * @internal
 */
export type Begin<E, R> = (work: Work<E, R>) => Effect.Effect<void, never, R>

/**
 * Runs an effect, and all work that it begins, to the end of the last piece. The first failure ends everything.
 *
 * @internal
 */
export const inLanes = <E, R, E2, R2>(
  use: (begin: Begin<E, R>) => Effect.Effect<void, E2, R2>
): Effect.Effect<void, E | E2, R2> =>
  Effect.scoped(Effect.gen(function*() {
    const pieces = yield* FiberSet.make<void, E>()
    const begin: Begin<E, R> = (work) =>
      Effect.suspend(() => {
        const turn = Deferred.makeUnsafe<void>()
        const admitted = Effect.sync(() => void Deferred.doneUnsafe(turn, Effect.void))
        const piece = Effect.ensuring(Effect.suspend(() => work(admitted)), admitted)
        return Effect.andThen(FiberSet.run(pieces, piece, { propagateInterruption: true }), Deferred.await(turn))
      })
    const failure = FiberSet.join(pieces)
    const ended = Effect.andThen(FiberSet.awaitEmpty(pieces), Effect.suspend(() =>
      // The last piece may just have failed.
      Deferred.isDoneUnsafe(pieces.deferred) ? failure : Effect.void
    ))
    yield* Effect.raceFirst(Effect.andThen(use(begin), ended), failure)
  }))
