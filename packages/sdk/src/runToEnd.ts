/**
 * The four verbs in one, and again for what did not succeed.
 *
 * @since 0.1.0
 */
import type { Processor } from "@bedrock-batch/processors/Processor"
import type * as Prompt from "@bedrock-batch/processors/Prompt"
import * as Effect from "effect/Effect"
import type { AwaitOptions } from "./awaitAll.ts"
import type { Services } from "./Aws.ts"
import { BatchError, RunConflict } from "./BatchError.ts"
import type { BatchJobs } from "./bedrock/BatchJobs.ts"
import type { Collected, CollectOptions } from "./collect.ts"
import { define } from "./internal/Definition.ts"
import { checkFinishing, finishRun } from "./internal/FinishRun.ts"
import * as Layout from "./internal/Layout.ts"
import { manifests, plans, readManifest, runOf } from "./internal/Manifest.ts"
import { optionsFrom } from "./internal/Recipe.ts"
import * as RunId from "./internal/RunId.ts"
import { writeRun } from "./internal/WriteRun.ts"
import type { EndedJob } from "./Job.ts"
import type { ResultRow } from "./Outcome.ts"
import { type AnswerOf, type Embed, prepare, type PrepareOptions, type RunDefinition } from "./prepare.ts"
import type { RetryOptions } from "./retry.ts"
import { load, type UntypedResultRow } from "./Run.ts"
import { ObjectStore } from "./store/ObjectStore.ts"

/**
 * What `run` adds to the options of `prepare`, and what `resume` takes.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface FinishOptions<WR, HR = never, CR = never>
  extends Omit<AwaitOptions<EndedJob, WR, HR, CR>, "rescue" | "reserve">, CollectOptions
{
  /**
   * Tries again what did not succeed, as `retry` does, until nothing is left to try or there were so many `attempts`, the
   * first one counted. Default: one attempt.
   */
  readonly retry?: (RetryOptions & { readonly attempts: number }) | undefined
  /**
   * What is done at the `deadline` of the whole run. `stop`, the default: open jobs are stopped before it, what they have
   * is kept, and the rest is `missing`. `on-demand`: the same, and when the stopped jobs have ended and their output is
   * read, the rest is asked for on demand, at the full price; the cut-off leaves time for it. The rest are the records
   * that were not run, and those that `retry` takes; it has no deadline and is not confirmed. `leave`: nothing is stopped,
   * and the call fails with `RunConflict` (`not-ended`) at the deadline; `resume` takes the run up.
   */
  readonly rescue?: "on-demand" | "stop" | "leave" | undefined
}

/**
 * Options of `run`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface RunOptions<
  Row extends object,
  SR,
  P,
  X extends object,
  N,
  E,
  B,
  WR,
  HR,
  CR = never,
  O extends object = {},
  G = false
> extends PrepareOptions<Row, SR, P, X, N, E, B, O, G>, FinishOptions<WR, HR, CR> {}

/**
 * Prepares, submits, awaits and collects; each job is collected when it ends, while others still run. Run again after a
 * crash it goes on where it was, at the attempt where it was, and pays for nothing twice.
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
 *   retry: { attempts: 3 },
 *   deadline: "20 hours",
 *   rescue: "on-demand",
 *   confirmAbove: 1_000_000,
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
  const E extends Embed = "input_text",
  const B extends string | undefined = undefined,
  WR = BatchJobs,
  HR = never,
  CR = never,
  O extends object = {},
  const G extends boolean = false
>(
  options: RunOptions<Row, SR, P, X, N, E, B, WR, HR, CR, O, G>
): Effect.fn.Return<Collected<ResultRow<Row, AnswerOf<P, X, B, O, G>, N>>, BatchError, Services | SR | WR | HR | CR> {
  yield* checkFinishing("run", options)
  const prepared = yield* prepare<Row, SR, P, X, N, E, B, O, G>(options)
  yield* Effect.annotateCurrentSpan({ run: prepared.id })
  return yield* finishRun<ResultRow<Row, AnswerOf<P, X, B, O, G>, N>, WR, HR, CR>(prepared, options)
})

/**
 * Options of `resume`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface ResumeOptions<WR, HR = never, CR = never, SR = never> extends FinishOptions<WR, HR, CR> {
  /**
   * What the run was prepared from, where that is not all data: rows from memory, a schema of columns or of the answer,
   * a prompt function. It is needed to prepare the run to its end; of a prepared run it is compared with what the run is.
   */
  readonly definition?: RunDefinition<SR> | undefined
  /** The processor that the run was prepared with, where it is one of the user's own, or has an `output` around it. */
  readonly processor?: Processor<object> | undefined
}

/**
 * Takes up a run by its id, wherever it was left and by whom: prepares it to its end, settles what may have been sent,
 * waits for what is open, submits the rest, and collects. Nothing is paid for twice, and nothing that is paid for is
 * lost. A run that has ended gives its results again; one that is cancelled gives what its jobs had.
 *
 * A run that was not prepared to its end is prepared on from its last checkpoint, by its plan, if its source and prompt
 * are data (files, a dataset of the hub, a template); else `definition` has to say what they are.
 *
 * Fails with `RunConflict`: `not-found`; `not-prepared` where `definition` is needed; `different`, with the parts that
 * differ, when the definition, or the files that the plan names, are no longer those of the run. Otherwise as `run`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { resume } from "@bedrock-batch/sdk"
 *
 * const jokes = resume("jokes-0123456789", { format: "csv", retry: { attempts: 2 } })
 * ```
 */
export const resume = Effect.fn("resume")(
  function*<WR = BatchJobs, HR = never, CR = never, SR = never>(
    runId: string,
    options: ResumeOptions<WR, HR, CR, SR> = {}
  ): Effect.fn.Return<Collected<UntypedResultRow>, BatchError, Services | SR | WR | HR | CR> {
    yield* Effect.annotateCurrentSpan({ run: runId })
    yield* checkFinishing("resume", options)
    const store = yield* ObjectStore
    const { definition } = options
    const isPrepared = RunId.isLegal(runId) && (yield* manifests.read(store, Layout.manifest(runId))) !== null
    if (isPrepared && definition === undefined) {
      return yield* finishRun(yield* load(runId, { processor: options.processor }), options)
    }
    const again: RunDefinition<SR | ObjectStore> | null = definition === undefined
      ? yield* fromPlan(runId)
      : { ...definition, processor: definition.processor ?? options.processor, runId }
    if (again === null) {
      return yield* new BatchError({
        module: "run",
        method: "resume",
        reason: new RunConflict({
          runId,
          problem: "not-prepared",
          differs: [],
          message: `run ${runId} is not prepared to its end, and its source, columns, prompt, output or processor is ` +
            `code or was in memory: pass what it was prepared from as definition`
        })
      })
    }
    const prepared = Effect.gen(function*() {
      const defined = yield* define(again)
      const manifest = yield* writeRun(store, defined)
      return yield* runOf<UntypedResultRow>(store, manifest, defined.processor, 1)
    })
    return yield* finishRun(yield* Effect.scoped(prepared), options)
  }
)

/** What a run that is not prepared is made from, by its plan; null where that does not say. */
const fromPlan = Effect.fnUntraced(function*(runId: string) {
  const store = yield* ObjectStore
  const plan = RunId.isLegal(runId) ? yield* plans.read(store, Layout.plan(runId)) : null
  if (plan !== null) return optionsFrom(plan)
  // Says what is wrong: there is no such run, or its id is none.
  yield* readManifest(store, runId)
  return null
})
