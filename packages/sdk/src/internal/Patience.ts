/**
 * How long what must be done is tried again.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { BatchError } from "../BatchError.ts"

/** So many failures of the network, the store or the service in a row end a wait. @internal */
export const maxTroubles = 12

/** Whether the service asks for fewer calls: that passes, however long it lasts. @internal */
export const isThrottled = ({ reason }: BatchError): boolean =>
  reason._tag === "Unavailable" && reason.code === "throttled"

/** Ever longer pauses, up to a minute. */
const pauses = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("1 minute")]).pipe(Schedule.jittered)

const patience = pauses.pipe(Schedule.upTo({ times: maxTroubles }))

/** Tries again for about ten minutes while the store or the service is not to be reached. @internal */
export const patiently = <A, R>(effect: Effect.Effect<A, BatchError, R>): Effect.Effect<A, BatchError, R> =>
  Effect.retry(effect, { while: (error) => error.isRetryable, schedule: patience })

/** Tries again for as long as it takes. @internal */
export const persistently = <A, R>(effect: Effect.Effect<A, BatchError, R>): Effect.Effect<A, BatchError, R> =>
  Effect.retry(effect, { while: (error) => error.isRetryable, schedule: pauses })
