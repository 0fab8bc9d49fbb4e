/**
 * Asking a responder, at once or in time, whether it answers, throws or fails.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { RecordRequest, Responder } from "./Responder.ts"

const brokenResponder = {
  error: { errorCode: 500, errorMessage: "The model could not process the request. Try again." }
}

const concurrentRecords = 16

/**
 * Asks for some records: gives what the responder gives, in their order, and an error 500 where it throws or fails.
 *
 * @since 0.1.0
 * @category models
 */
export type Ask = (requests: ReadonlyArray<RecordRequest>) => Effect.Effect<ReadonlyArray<unknown>>

/**
 * Makes one function of whatever a responder may be.
 *
 * @since 0.1.0
 * @category constructors
 */
export const asking = (responder: Responder): Ask => {
  const call = (request: RecordRequest): unknown => {
    try {
      return responder(request)
    } catch {
      return brokenResponder
    }
  }
  const toEffect = (result: unknown): Effect.Effect<unknown> => {
    if (!Effect.isEffect(result) && !(result instanceof Promise)) return Effect.succeed(result)
    const effect: Effect.Effect<unknown, unknown> = Effect.isEffect(result)
      // A responder's Effect is declared to need no services.
      ? result as Effect.Effect<unknown, unknown>
      : Effect.tryPromise(() => result)
    return Effect.catchCause(effect, () => Effect.succeed(brokenResponder))
  }
  return (requests) =>
    Effect.suspend(() => {
      const results: Array<unknown> = []
      for (const [index, request] of requests.entries()) {
        const result = call(request)
        if (Effect.isEffect(result) || result instanceof Promise) {
          // From the first answer that takes time on, records are asked a few at a time.
          const ask = (one: RecordRequest, offset: number) =>
            Effect.suspend(() => toEffect(offset === 0 ? result : call(one)))
          return Effect.map(
            Effect.forEach(requests.slice(index), ask, { concurrency: concurrentRecords }),
            (rest) => [...results, ...rest]
          )
        }
        results.push(result)
      }
      return Effect.succeed(results)
    })
}
