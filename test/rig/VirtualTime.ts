/** Time that passes as fast as the work that is done in it. */
import { Timetable } from "@bedrock-batch/emulator/Timetable"
import { Clock, Context, Duration, Effect, Exit, Fiber, Scheduler } from "effect"

const turn = () => new Promise<void>((resolve) => void setImmediate(resolve))

interface Sleeper {
  readonly wake: () => void
}

/**
 * Runs an effect from a moment on, under a clock that moves to the next sleeper as soon as nothing else is to be done:
 * what `TestClock` does, without the pauses of the event loop and the looking out for fibers that hang. While somebody
 * sleeps, nothing but time may be waited for: what is read and written then is so synchronously. `each` is called
 * whenever an hour has passed.
 */
export const inVirtualTime = async <A, E>(from: number, effect: Effect.Effect<A, E>, each: () => void): Promise<A> => {
  let now = from
  let hour = from
  const sleepers = new Timetable<Sleeper>()
  let tasks: Array<() => void> = []
  const scheduler = new Scheduler.MixedScheduler("async", (task) => {
    let cancelled = false
    tasks.push(() => {
      if (!cancelled) task()
    })
    return () => void (cancelled = true)
  })
  const drain = () => {
    while (tasks.length > 0) {
      const due = tasks
      tasks = []
      for (const task of due) task()
    }
  }
  const nanos = () => BigInt(Math.round(now * 1_000)) * 1_000n
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => now,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: nanos,
    monotonicTimeNanos: Effect.sync(nanos),
    sleep: (duration) => {
      const millis = Duration.toMillis(duration)
      if (millis <= 0) return Effect.void
      return Effect.callback<void>((resume) => {
        let awake = false
        sleepers.add(now + millis, { wake: () => awake || resume(Effect.void) })
        return Effect.sync(() => void (awake = true))
      })
    }
  }
  const context = Context.make(Clock.Clock, clock).pipe(Context.add(Scheduler.Scheduler, scheduler))
  const fiber = Effect.runForkWith(context)(effect)
  for (;;) {
    drain()
    // Lets promises go on.
    await null
    if (tasks.length > 0) continue
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return Exit.isSuccess(exit) ? exit.value : Effect.runPromise(Fiber.join(fiber))
    const { nextAt } = sleepers
    const sleeper = sleepers.takeDue(nextAt)
    if (sleeper === undefined) {
      await turn()
      continue
    }
    now = nextAt
    for (; hour <= now; hour += 3_600_000) {
      each()
      // The collector of garbage has work of its own to do in the event loop.
      await turn()
    }
    sleeper.wake()
  }
}
