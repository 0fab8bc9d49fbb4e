/**
 * Waits in several ways at once.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { BatchError, InvalidOption } from "../BatchError.ts"
import type { EndedJob, Job, SubmittedJob } from "../Job.ts"
import type { Waiter, WaitStrategy } from "./Wait.ts"

/**
 * The services that some of several strategies need.
 *
 * @since 0.1.0
 * @category utility types
 */
export type Needs<S extends WaitStrategy<EndedJob, unknown>> = S extends WaitStrategy<EndedJob, infer R> ? R : never

interface Way {
  readonly name: string
  readonly waiter: Waiter<EndedJob>
}

/**
 * Waits in several ways at once: the first to know of a job's end wins, and the others stop waiting for it.
 *
 * A way that fails, when it is opened or later, is logged as a warning and left out from then on. Only when none is
 * left does the wait fail, with what the last one failed with.
 *
 * @since 0.1.0
 * @category combinators
 * @example
 * ```ts
 * import { awaitAll, type Run, submit, Wait } from "@bedrock-batch/sdk"
 *
 * declare const run: Run.Run<{ readonly topic: string }>
 *
 * const queueUrl = "https://sqs.us-east-1.amazonaws.com/123456789012/batch-events"
 * const wait = Wait.any([Wait.sqs({ queueUrl }), Wait.polling({ from: "1 minute", to: "5 minutes" })])
 * const jobs = awaitAll(run.jobs.map(submit), { wait })
 * ```
 */
export const any = <
  const S extends readonly [WaitStrategy<EndedJob, unknown>, ...ReadonlyArray<WaitStrategy<EndedJob, unknown>>]
>(strategies: S): WaitStrategy<EndedJob, Needs<S[number]>> => {
  const most = Math.min(...strategies.map(({ atMost }) => atMost ?? Infinity))
  const least = Math.max(0, ...strategies.map(({ atLeast }) => atLeast ?? 0))
  return {
    "~@bedrock-batch/sdk/WaitStrategy": "any",
    ...(most === Infinity ? {} : { atMost: most }),
    ...(least === 0 ? {} : { atLeast: least }),
    open: openAll(strategies as ReadonlyArray<WaitStrategy<EndedJob, Needs<S[number]>>>)
  }
}

const openAll = Effect.fnUntraced(function*<R>(strategies: ReadonlyArray<WaitStrategy<EndedJob, R>>) {
  const ways: Array<Way> = []
  let last: Cause.Cause<BatchError> = Cause.fail(
    new BatchError({
      module: "Wait",
      method: "any",
      reason: new InvalidOption({ path: "wait", message: "any is given no strategy to wait by" })
    })
  )

  const leaveOut = (name: string, cause: Cause.Cause<BatchError>) => {
    last = cause
    return Effect.logWarning(`waiting by ${name} fails, and is left out from now on`, cause)
  }

  /** Runs what one way does; if that fails, the way is lost. */
  const by = <A>(way: Way, effect: Effect.Effect<A, BatchError>): Effect.Effect<A, BatchError> =>
    Effect.tapCause(effect, (cause) => {
      const index = ways.indexOf(way)
      if (index < 0 || Cause.hasInterruptsOnly(cause)) return Effect.void
      ways.splice(index, 1)
      return leaveOut(way.name, cause)
    })

  const noneLeft = Effect.suspend(() => ways.length === 0 ? Effect.failCause(last) : Effect.void)

  for (const strategy of strategies) {
    const name = strategy["~@bedrock-batch/sdk/WaitStrategy"]
    yield* strategy.open.pipe(
      Effect.map((waiter) => void ways.push({ name, waiter })),
      Effect.catchCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : leaveOut(name, cause))
    )
  }
  yield* noneLeft
  const opened = ways.map(({ waiter }) => waiter)

  const waiter: Waiter<EndedJob> = {
    before: (job: Job) =>
      Effect.suspend(() =>
        Effect.forEach([...ways], (way) => Effect.exit(by(way, way.waiter.before(job))), {
          concurrency: "unbounded",
          discard: true
        })
      ).pipe(Effect.andThen(noneLeft)),
    wait: (job: SubmittedJob) =>
      Effect.suspend(() =>
        ways.length === 0
          ? Effect.failCause(last)
          : Effect.raceAll(ways.map((way) => by(way, way.waiter.wait(job)))).pipe(
            Effect.catchCause((cause) => Effect.failCause(Cause.hasInterruptsOnly(cause) ? cause : last))
          )
      ),
    recorded: (job) => Effect.forEach(opened, ({ recorded }) => recorded?.(job) ?? Effect.void, { discard: true })
  }
  return waiter
})
