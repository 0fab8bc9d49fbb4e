/**
 * Tells of jobs that wait for a slot.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Job } from "../Job.ts"
import * as Progress from "../Progress.ts"
import { countWait } from "./Metrics.ts"

/** @internal */
export interface SlotWaits {
  /** Takes a slot; where that lasts, it is told. */
  readonly during: <E, R>(job: Job, take: Effect.Effect<void, E, R>) => Effect.Effect<void, E, R>
}

/** Milliseconds until a wait is told of, and until it is told of again. */
const pauses = { first: 1_000, then: 60_000 }

/** What waits in one call: one event a run and minute, however many jobs it is of. @internal */
export const make: Effect.Effect<SlotWaits, never, Scope.Scope> = Effect.gen(function*() {
  const scope = yield* Effect.scope
  const waiting = new Set<Job>()
  let telling = false

  const tell = Effect.gen(function*() {
    yield* Effect.sleep(pauses.first)
    while (waiting.size > 0) {
      const first = new Map<string, Job>()
      for (const job of waiting) if (!first.has(job.runId)) first.set(job.runId, job)
      for (const { key, runId } of first.values()) {
        yield* Progress.emit({ _tag: "Waiting", runId, job: key, why: "slots", millis: pauses.then })
      }
      yield* Effect.sleep(pauses.then)
    }
    telling = false
  })

  return {
    during: (job, take) =>
      Effect.gen(function*() {
        const from = yield* Clock.currentTimeMillis
        waiting.add(job)
        if (!telling) {
          telling = true
          yield* Effect.forkIn(tell, scope)
        }
        yield* Effect.ensuring(take, Effect.sync(() => void waiting.delete(job)))
        const millis = (yield* Clock.currentTimeMillis) - from
        if (millis > 0) yield* countWait("slots", millis)
      })
  }
})
