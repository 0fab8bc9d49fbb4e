/**
 * Metrics of the jobs of one call: what its events say together.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { isTerminal } from "../Job.ts"
import { type Event, Progress } from "../Progress.ts"
import * as Metrics from "./Metrics.ts"

interface Seen {
  status: string
  /** Null until it is known where the job was when this process came to it. */
  processed: number | null
}

const waiting = "Waiting"

class Watch {
  readonly #open = new Map<string, Seen>()
  #waiting: number

  /** `waiting`: jobs that have neither ended nor are known to be at Bedrock. */
  constructor(waiting: number) {
    this.#waiting = waiting
  }

  readonly begin: Effect.Effect<void> = Effect.suspend(() => move(waiting, this.#waiting))

  follow(event: Event): Effect.Effect<void> {
    if (event._tag !== "Submitted" && event._tag !== "JobChanged" && event._tag !== "Ended") return Effect.void
    const id = `${event.runId}/${event.job}`
    const seen = this.#open.get(id)
    if (event._tag === "Ended") {
      if (seen === undefined) return event.known ? Effect.void : this.#leave()
      this.#open.delete(id)
      return Effect.andThen(progressOf(seen, event.counters?.processed ?? 0), move(seen.status, -1))
    }
    if (event._tag === "Submitted") {
      if (seen !== undefined) return Effect.void
      this.#open.set(id, { status: "Submitted", processed: event.how === "known" ? null : 0 })
      return Effect.andThen(this.#leave(), move("Submitted", 1))
    }
    if (seen === undefined) {
      if (isTerminal(event.status)) return Effect.void
      this.#open.set(id, { status: event.status, processed: event.processed })
      return Effect.andThen(this.#leave(), move(event.status, 1))
    }
    const progress = progressOf(seen, event.processed)
    seen.processed = Math.max(seen.processed ?? 0, event.processed)
    // Its end is told by another event.
    if (seen.status === event.status || isTerminal(event.status)) return progress
    const { status } = seen
    seen.status = event.status
    return Effect.all([progress, move(status, -1), move(event.status, 1)], { discard: true })
  }

  #leave(): Effect.Effect<void> {
    if (this.#waiting === 0) return Effect.void
    this.#waiting--
    return move(waiting, -1)
  }

  /** What is still open or waits is no longer looked after here. */
  readonly end: Effect.Effect<void> = Effect.suspend(() => {
    const left = new Map([[waiting, this.#waiting]])
    for (const { status } of this.#open.values()) left.set(status, (left.get(status) ?? 0) + 1)
    this.#open.clear()
    this.#waiting = 0
    return Effect.forEach(left, ([state, jobs]) => move(state, -jobs), { discard: true })
  })
}

/** Runs an effect and keeps the gauges and the counter of processed records by its events. @internal */
export const watched = (waiting: number) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Progress, (outer) => {
    const watch = new Watch(waiting)
    return watch.begin.pipe(
      Effect.andThen(effect),
      Effect.provideService(Progress, (event) => Effect.andThen(watch.follow(event), outer(event))),
      Effect.ensuring(watch.end)
    )
  })

const move = (state: string, by: number): Effect.Effect<void> =>
  by === 0 ? Effect.void : Metric.modify(Metric.withAttributes(Metrics.jobs, { state }), by)

const progressOf = (seen: Seen | undefined, processed: number): Effect.Effect<void> => {
  const before = seen?.processed ?? null
  if (before === null || processed <= before) return Effect.void
  return Metric.update(Metrics.recordsProcessed, processed - before)
}
