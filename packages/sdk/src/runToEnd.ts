/**
 * The four verbs in one.
 *
 * @since 0.1.0
 */
import type * as Prompt from "@bedrock-batch/processors/Prompt"
import * as Effect from "effect/Effect"
import { awaitAll, type AwaitOptions } from "./awaitAll.ts"
import type { Services } from "./Aws.ts"
import { BatchError } from "./BatchError.ts"
import type { BatchJobs } from "./bedrock/BatchJobs.ts"
import { type Collected, collect, collectJob, type CollectOptions } from "./collect.ts"
import { awaitProblem } from "./internal/AwaitProblem.ts"
import { settingsOf } from "./internal/CollectSettings.ts"
import type { EndedJob } from "./Job.ts"
import type { ResultRow } from "./Outcome.ts"
import { type AnswerOf, prepare, type PrepareOptions } from "./prepare.ts"
import { submit } from "./submit.ts"

/**
 * What `run` adds to the options of `prepare`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface FinishOptions<WR, HR = never> extends AwaitOptions<EndedJob, WR, HR>, CollectOptions {}

/**
 * Options of `run`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface RunOptions<Row extends object, SR, P, X extends object, N, E, WR, HR>
  extends PrepareOptions<Row, SR, P, X, N, E>, FinishOptions<WR, HR>
{}

/**
 * Prepares, submits, awaits and collects; each job is collected when it ends, while others still run. Run again after a
 * crash it goes on where it was, and pays for nothing twice.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Prompt, run, Source } from "@bedrock-batch/sdk"
 *
 * const jokes = run({
 *   name: "jokes",
 *   source: Source.csv("topics.csv"),
 *   model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
 *   prompt: Prompt.make("Tell me a joke about {topic}."),
 *   concurrency: 20,
 *   format: "parquet"
 * })
 * ```
 */
export const run = Effect.fn("run")(function*<
  Row extends object,
  SR,
  const P extends Prompt.Any | undefined = undefined,
  X extends object = never,
  const N extends { readonly [column: string]: string } = {},
  const E extends string = "input_text",
  WR = BatchJobs,
  HR = never
>(
  options: RunOptions<Row, SR, P, X, N, E, WR, HR>
): Effect.fn.Return<Collected<ResultRow<Row, AnswerOf<P, X>, N>>, BatchError, Services | SR | WR | HR> {
  // What the later verbs would fail with is found out before anything is written or paid for.
  yield* settingsOf("run", options)
  const wrong = awaitProblem(options)
  if (wrong !== null) return yield* new BatchError({ module: "run", method: "run", reason: wrong })
  const prepared = yield* prepare<Row, SR, P, X, N, E>(options)
  const jobs = yield* awaitAll(prepared.jobs.map(submit), {
    concurrency: options.concurrency,
    wait: options.wait,
    onEnded: Effect.fnUntraced(function*(job: EndedJob) {
      yield* collectJob(prepared, job, options)
      if (options.onEnded !== undefined) yield* options.onEnded(job)
    })
  })
  return yield* collect(prepared, jobs, options)
})
