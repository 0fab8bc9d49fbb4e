/**
 * Hearing of jobs from events, with lists behind them.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { BatchError, InvalidOption } from "../BatchError.ts"
import type { BatchJobs } from "../bedrock/BatchJobs.ts"
import { millisOf } from "./Millis.ts"
import * as OpenJobs from "./OpenJobs.ts"

/** Milliseconds until a source that ended or failed is tried again: doubled each time, with jitter. */
const backoff = { first: 1_000, most: 60_000 }

const defaultBackstop = 10 * 60_000

/** What listening is to something that tells of jobs. */
export interface Ear {
  readonly hear: OpenJobs.OpenJobs["hear"]
  /** Tells that the source works. */
  readonly works: Effect.Effect<void>
}

/**
 * Listens as long as the scope lasts, to a source that should neither end nor fail; while it does, lists are asked for
 * as if there were no events. Gives the jobs that are waited for.
 *
 * @internal
 */
export const listen = Effect.fnUntraced(function*<R>(
  method: "eventBridge" | "sqs",
  backstop: Duration.Input | undefined,
  listenOnce: (ear: Ear) => Effect.Effect<void, unknown, R>
): Effect.fn.Return<OpenJobs.OpenJobs, BatchError, BatchJobs | R | Scope.Scope> {
  const slow = backstop === undefined ? defaultBackstop : millisOf(backstop)
  if (!(slow > 0)) {
    const message = `backstop is ${slow} ms, and must be above 0, for example "10 minutes"`
    const reason = new InvalidOption({ path: "wait.backstop", message })
    return yield* new BatchError({ module: "Wait", method, reason })
  }
  const behind: OpenJobs.Pace = { from: slow, to: slow, soon: Math.min(slow, OpenJobs.usual.soon) }
  const { from, to } = OpenJobs.usual
  const without: OpenJobs.Pace = { from: Math.min(slow, from), to: Math.min(slow, to), soon: behind.soon }
  const jobs = yield* OpenJobs.make(behind)
  let troubles = 0
  const works = Effect.suspend(() => {
    if (troubles === 0) return Effect.void
    troubles = 0
    return Effect.andThen(Effect.logInfo(`the events of ${method} are heard again`), jobs.setPace(behind))
  })
  const listenForEver = Effect.gen(function*() {
    for (;;) {
      const exit = yield* Effect.exit(listenOnce({ hear: jobs.hear, works }))
      if (troubles++ === 0) {
        const why = Exit.isSuccess(exit) ? "have ended" : "cannot be heard"
        yield* Effect.logWarning(
          `the events of ${method} ${why}; jobs are listed more often until they are heard again`,
          ...(Exit.isSuccess(exit) ? [] : [messageOf(exit.cause)])
        )
        yield* jobs.setPace(without)
      }
      const most = Math.min(backoff.most, backoff.first * 2 ** Math.min(troubles - 1, 16))
      yield* Effect.sleep(most * (yield* Random.nextBetween(0.5, 1)))
    }
  })
  yield* Effect.forkScoped(listenForEver)
  return jobs
})

const messageOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return typeof error === "object" && error !== null && "message" in error ? String(error.message) : String(error)
}
