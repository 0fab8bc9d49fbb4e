/**
 * An object of the store that is written piece by piece while its bytes are made.
 *
 * @internal
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { BatchError, Unavailable } from "../BatchError.ts"
import type { ObjectStore, Written } from "../store/ObjectStore.ts"

/** @internal */
export interface Upload<A> {
  /** Gives the next piece; waits while the store is behind, and fails when the write has failed. */
  readonly offer: (piece: A) => Effect.Effect<void, BatchError>
  /** Ends the object and waits until it is stored. */
  readonly close: Effect.Effect<Written, BatchError>
}

/** Pieces that may wait for the store. */
const ahead = 1

/**
 * Starts writing to `key`; `encode` makes bytes of the pieces. What is not closed when the scope ends is given up.
 *
 * @internal
 */
export const open = Effect.fnUntraced(function*<A>(
  store: ObjectStore["Service"],
  key: string,
  encode: (pieces: Stream.Stream<A, BatchError>) => Stream.Stream<Uint8Array, BatchError>
): Effect.fn.Return<Upload<A>, never, Scope.Scope> {
  const queue = yield* Queue.bounded<A, Cause.Done>(ahead)
  let started = false
  const pieces = Stream.suspend((): Stream.Stream<A, BatchError> => {
    if (!started) {
      started = true
      return Stream.fromQueue(queue)
    }
    return Stream.fail(
      new BatchError({
        module: "prepare",
        method: "write",
        reason: new Unavailable({
          code: "conflict",
          retryAfterMillis: null,
          message: `the store asks for ${key} a second time, and it is made only once; prepare again`
        })
      })
    )
  })
  const writing = yield* store.write(key, encode(pieces)).pipe(
    Effect.onExit(() => Queue.shutdown(queue)),
    Effect.forkScoped
  )
  return {
    offer: Effect.fnUntraced(function*(piece: A) {
      if (!(yield* Queue.offer(queue, piece))) yield* Fiber.join(writing)
    }),
    close: Effect.andThen(Queue.end(queue), Fiber.join(writing))
  }
})
