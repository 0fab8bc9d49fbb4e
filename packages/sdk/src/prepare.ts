/**
 * Verb 1: writes a run's inputs and its manifest; nothing is paid for.
 *
 * @since 0.1.0
 */
import type { EmbeddingAnswer, ModelParameters, Processor, TextAnswer } from "@bedrock-batch/processors/Processor"
import type * as Prompt from "@bedrock-batch/processors/Prompt"
import * as Effect from "effect/Effect"
import type { BatchError } from "./BatchError.ts"
import { define } from "./internal/Definition.ts"
import { runOf } from "./internal/Manifest.ts"
import { writeRun } from "./internal/WriteRun.ts"
import type { CheckClash, CheckRename, ResultRow } from "./Outcome.ts"
import type { Limits } from "./Limits.ts"
import type { BelowMinimum } from "./Planner.ts"
import type { Run } from "./RunManifest.ts"
import { Capacity } from "./schedule/Capacity.ts"
import type { Source } from "./source/Source.ts"
import { ObjectStore } from "./store/ObjectStore.ts"

/**
 * The columns of the answer: a custom processor's, else an embedding's without a prompt, else text.
 *
 * @since 0.1.0
 * @category models
 */
export type AnswerOf<P, X> = [X] extends [never] ? [P] extends [undefined] ? EmbeddingAnswer : TextAnswer : X

/**
 * Compile-time message: no prompt, and no such column to embed.
 *
 * @since 0.1.0
 * @category models
 */
export interface NoTextColumn<Column, Available> {
  readonly "without a prompt this column is embedded, and the source lacks it (name another with `embed`)": Column
  readonly "columns of the source": Available
}

/**
 * `unknown` when there is a prompt, or the column to embed is one of `Row`; a readable error type otherwise.
 *
 * @since 0.1.0
 * @category models
 */
export type CheckEmbed<Row, P, E> = [P] extends [undefined] ? E extends keyof Row ? unknown : NoTextColumn<E, keyof Row>
  : unknown

/**
 * Options of `prepare`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface PrepareOptions<Row extends object, SR, P, X extends object, N, E> {
  /** Name of the run: letters, digits, `.` and `-`, at most 29 characters (40 with `runId`), the first a letter or digit. */
  readonly name: string
  /**
   * Id of the run, `[A-Za-z0-9][A-Za-z0-9.-]{0,39}`. Default: `name` and ten digits of the fingerprint, so that the
   * same script run again takes up the same run. An iterable or a stream as source needs one.
   */
  readonly runId?: string | undefined
  readonly source: Source<Row, SR> & CheckEmbed<Row, P, E> & CheckClash<Row, AnswerOf<P, X>, N>
  /** Model id, inference profile id or ARN. */
  readonly model: string
  /** What the model is told. Without it the model is an embedding model. */
  readonly prompt?: (P & Prompt.CheckColumns<P, Row>) | undefined
  /** Column to embed when there is no prompt; default `input_text`. */
  readonly embed?: E | undefined
  /** How the model is asked and read; default: found by the model id. */
  readonly processor?: Processor<X> | undefined
  readonly parameters?: ModelParameters | undefined
  /** New names for added columns, by their old ones. */
  readonly rename?: (N & CheckRename<AnswerOf<P, X>, N>) | undefined
  /** Quotas that differ from those of `Capacity`. */
  readonly limits?: Partial<Omit<Limits, "maxOpenJobs">> | undefined
  /** Rows at most; those beyond are left out. */
  readonly maxRecordsTotal?: number | undefined
  /** Jobs at most; rows beyond them are left out. */
  readonly maxJobs?: number | undefined
  /**
   * Records that a job is cut at; default 50,000. A wish: it is raised to the minimum and lowered to the quota where
   * need be. Where the number of rows is known (an array), the jobs are made equal; else a rest under the minimum joins
   * the job before it.
   */
  readonly maxRecordsPerJob?: number | undefined
  /** Hours until Bedrock gives a job up, 24 to 168; default 72. */
  readonly timeoutHours?: number | undefined
  /**
   * What becomes of a run with fewer rows than a batch job must have (100 for most models): `fail`, the default, or
   * `on-demand`: the model is asked row by row, at its full price; ledger, results and columns are the same.
   */
  readonly belowMinimum?: BelowMinimum | undefined
}

/**
 * The options of `prepare` without the types that only the compiler needs: what a run is made from.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface RunDefinition<SR> {
  /** As of `PrepareOptions`. */
  readonly name: string
  /** As of `PrepareOptions`. */
  readonly runId?: string | undefined
  readonly source: Source<object, SR>
  /** Model id, inference profile id or ARN. */
  readonly model: string
  readonly prompt?: Prompt.Any | undefined
  /** Column to embed when there is no prompt; default `input_text`. */
  readonly embed?: string | undefined
  /** How the model is asked and read; default: found by the model id. */
  readonly processor?: Processor<object> | undefined
  readonly parameters?: ModelParameters | undefined
  /** New names for added columns, by their old ones. */
  readonly rename?: { readonly [column: string]: string } | undefined
  /** Quotas that differ from those of `Capacity`. */
  readonly limits?: Partial<Omit<Limits, "maxOpenJobs">> | undefined
  /** Rows at most. */
  readonly maxRecordsTotal?: number | undefined
  /** Jobs at most. */
  readonly maxJobs?: number | undefined
  /** Records that a job is cut at; default 50,000. */
  readonly maxRecordsPerJob?: number | undefined
  /** Hours until Bedrock gives a job up, 24 to 168; default 72. */
  readonly timeoutHours?: number | undefined
  /** What becomes of fewer rows than a batch job must have; default `fail`. */
  readonly belowMinimum?: BelowMinimum | undefined
}

/**
 * Prepares a run, or finds it prepared: writes each job's input files and original rows, and last the manifest. The
 * same options give the same run, in another process and on another day; other content under its id is refused. A
 * `prepare` that was cut off is done again and hurts nothing.
 *
 * Fails before anything is paid for, with `InvalidOption`, `InvalidColumns` (missing placeholder columns with the
 * nearest existing ones, clashing result columns), `InvalidSource` (file, row and column) or `RunConflict`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { prepare, Prompt, Source } from "@bedrock-batch/sdk"
 *
 * const run = prepare({
 *   name: "jokes",
 *   source: Source.csv("s3://my-bucket/topics.csv"),
 *   model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
 *   prompt: Prompt.make("Tell me a joke about {topic} in less than 50 words."),
 *   maxRecordsPerJob: 10_000
 * })
 * ```
 */
export const prepare = Effect.fn("prepare")(function*<
  Row extends object,
  SR,
  const P extends Prompt.Any | undefined = undefined,
  X extends object = never,
  const N extends { readonly [column: string]: string } = {},
  const E extends string = "input_text"
>(
  options: PrepareOptions<Row, SR, P, X, N, E>
): Effect.fn.Return<Run<ResultRow<Row, AnswerOf<P, X>, N>>, BatchError, ObjectStore | Capacity | SR> {
  const prepared = Effect.gen(function*() {
    const store = yield* ObjectStore
    const definition = yield* define(options)
    yield* Effect.annotateCurrentSpan({ run: definition.runId })
    const manifest = yield* writeRun(store, definition)
    return yield* runOf<ResultRow<Row, AnswerOf<P, X>, N>>(store, manifest, definition.processor, 1)
  })
  return yield* Effect.scoped(prepared)
})
