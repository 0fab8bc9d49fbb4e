/**
 * Events on their way to a consumer that may be slow: of what is superseded only the newest is kept.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Stream from "effect/Stream"
import { isTerminal } from "../Job.ts"
import type { Event } from "../Progress.ts"

/** @internal */
export interface EventBuffer<E> {
  readonly offer: (event: Event) => void
  /** No event comes any more. */
  readonly end: (exit: Exit.Exit<unknown, E>) => Effect.Effect<void>
  /** The events, and then how it ended; for one consumer. */
  readonly events: Stream.Stream<Event, E>
}

/** What an event supersedes events of; null where each one counts. */
const topicOf = (event: Event): string | null => {
  switch (event._tag) {
    case "Prepared":
      return event.done ? null : `Prepared/${event.runId}`
    case "JobChanged":
      return isTerminal(event.status) ? null : `JobChanged/${event.runId}/${event.job}`
    case "Waiting":
      return `Waiting/${event.runId}/${event.why}`
    default:
      return null
  }
}

interface Numbered {
  readonly number: number
  readonly event: Event
}

/** @internal */
export const make = <E>(capacity = 4_096): EventBuffer<E> => {
  const most = Math.max(1, capacity)
  const latch = Latch.makeUnsafe(false)
  /** In the order of their numbers, both. */
  const updates = new Map<string, Numbered>()
  const others = new Map<number, Numbered>()
  let number = 0
  let over: Exit.Exit<unknown, E> | null = null

  const drop = <K>(from: Map<K, Numbered>): void => {
    for (const oldest of from.keys()) return void from.delete(oldest)
  }
  const take = (): Array<Event> => {
    const taken = [...updates.values(), ...others.values()].sort((a, b) => a.number - b.number)
    updates.clear()
    others.clear()
    return taken.map(({ event }) => event)
  }
  const pull = Effect.gen(function*() {
    yield* Latch.await(latch)
    const [first, ...rest] = take()
    if (first !== undefined) {
      if (over === null) Latch.closeUnsafe(latch)
      return [first, ...rest] as const
    }
    return yield* over === null || Exit.isSuccess(over) ? Cause.done() : Effect.failCause(over.cause)
  })
  return {
    offer: (event) => {
      const topic = topicOf(event)
      number++
      if (topic === null) others.set(number, { number, event })
      else {
        updates.delete(topic)
        updates.set(topic, { number, event })
      }
      if (updates.size + others.size > most) {
        if (updates.size > 0) drop(updates)
        else drop(others)
      }
      Latch.openUnsafe(latch)
    },
    end: (exit) =>
      Effect.sync(() => {
        over = exit
        Latch.openUnsafe(latch)
      }),
    events: Stream.fromPull(Effect.succeed(pull))
  }
}
