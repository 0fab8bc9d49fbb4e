import { Clock, Effect } from "effect"

/**
 * Runs an effect by a clock that goes on by a second each time that somebody asks it for the time in milliseconds, so that
 * a limit of time is reached after so much work, however fast it is. By default nobody's sleep ends.
 */
export const ticking = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  sleep: Clock.Clock["sleep"] = () => Effect.never
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    let now = Date.UTC(2026, 10, 23)
    const look = () => now += 1000
    const nanos = () => BigInt(now) * 1_000_000n
    return Effect.provideService(effect, Clock.Clock, {
      currentTimeMillisUnsafe: look,
      currentTimeMillis: Effect.sync(look),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep
    })
  })
