/**
 * Verb 1: writes a run's inputs and its manifest; nothing is paid for.
 *
 * @since 0.1.0
 */
import type {
  EmbeddingAnswer,
  ModelParameters,
  OutputWay,
  Processor,
  TextAnswer
} from "@bedrock-batch/processors/Processor"
import type * as Prompt from "@bedrock-batch/processors/Prompt"
import type { RawAnswer } from "@bedrock-batch/processors/Raw"
import type { ReasoningAnswer } from "@bedrock-batch/processors/Reasoning"
import type { CheckFields, OutputColumns } from "@bedrock-batch/processors/StructuredOutput"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
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
 * The columns of the answer: those of the model's own, those of the output schema `O`, and `reasoning` where `G` is
 * true.
 *
 * @since 0.1.0
 * @category models
 */
export type AnswerOf<P, X, B = undefined, O = {}, G = false> = WithReasoning<WithOutput<ModelAnswer<P, X, B>, O>, G>

/**
 * The columns of the model's own answer: a custom processor's, else of bodies of one's own the whole output, else an
 * embedding's without a prompt, else text.
 *
 * @since 0.2.0
 * @category models
 */
export type ModelAnswer<P, X, B = undefined> = [X] extends [never]
  ? [B] extends [undefined] ? [P] extends [undefined] ? EmbeddingAnswer : TextAnswer : RawAnswer
  : X

/**
 * `A` and the columns of an output schema.
 *
 * @since 0.2.0
 * @category models
 */
export type WithOutput<A, O> = [keyof O] extends [never] ? A : A & OutputColumns<O>

/**
 * `A` and the column `reasoning`, where `G` is true.
 *
 * @since 0.2.0
 * @category models
 */
export type WithReasoning<A, G> = [G] extends [true] ? A & ReasoningAnswer : A

/**
 * Compile-time message: an output schema, and no text to read it from.
 *
 * @since 0.2.0
 * @category models
 */
export interface NoTextAnswer<Answer> {
  readonly "an output schema is read from a text, and the answer has no column `response`": Answer
}

/**
 * `unknown` when the fields of `O` can be read from the answer and have names of their own, a readable error type
 * otherwise.
 *
 * @since 0.2.0
 * @category models
 */
export type CheckOutput<P, X, B, O, G> = [keyof O] extends [never] ? unknown
  : [ModelAnswer<P, X, B>] extends [TextAnswer] ? CheckFields<O, WithReasoning<ModelAnswer<P, X, B>, G>>
  : NoTextAnswer<ModelAnswer<P, X, B>>

/**
 * What is embedded where there is no prompt: a column of texts, a column of media (`Prompt.image("photo")`), or both at
 * once for models that take them together.
 *
 * @since 0.2.0
 * @category models
 */
export type Embed<Column extends string = string> =
  | Column
  | Prompt.Attachment<Column>
  | { readonly text?: Column | undefined; readonly media: Prompt.Attachment<Column> }

/**
 * The columns that an `embed` option names.
 *
 * @since 0.2.0
 * @category models
 */
export type EmbedColumns<E> = E extends string ? E
  : E extends Prompt.Attachment<infer C> ? C
  : E extends { readonly media: Prompt.Attachment<infer C> }
    ? C | (E extends { readonly text: infer T extends string } ? T : never)
  : never

/**
 * Columns that hold parameters of their row, in place of those in `parameters`; a null or empty cell is a row that
 * takes the run's own. Numbers may be numbers, bigints or decimal texts. `stopSequences` are an array of texts, a JSON
 * array of texts, or one text.
 *
 * @since 0.2.0
 * @category models
 */
export interface ParametersFrom<out Column extends string = string> {
  readonly maxTokens?: Column | undefined
  readonly temperature?: Column | undefined
  readonly topP?: Column | undefined
  readonly stopSequences?: Column | undefined
}

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
 * `unknown` when there is a prompt or a column of bodies, or the columns to embed are of `Row`; a readable error type
 * otherwise.
 *
 * @since 0.1.0
 * @category models
 */
export type CheckEmbed<Row, P, E, B = undefined> = [P] extends [undefined]
  ? [B] extends [undefined]
    ? [EmbedColumns<E>] extends [keyof Row] ? unknown : NoTextColumn<Exclude<EmbedColumns<E>, keyof Row>, keyof Row>
  : unknown
  : unknown

/**
 * Compile-time message: there is no such column.
 *
 * @since 0.2.0
 * @category models
 */
export interface NoSuchColumn<Column, Available> {
  readonly "the source lacks this column": Column
  readonly "columns of the source": Available
}

/**
 * `unknown` when the column is one of `Row`; a readable error type otherwise.
 *
 * @since 0.2.0
 * @category models
 */
export type CheckColumn<Row, C> = [C] extends [keyof Row] ? unknown : NoSuchColumn<Exclude<C, keyof Row>, keyof Row>

/**
 * Options of `prepare`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface PrepareOptions<
  Row extends object,
  SR,
  P,
  X extends object,
  N,
  E,
  B = undefined,
  O extends object = {},
  G = false
> {
  /** Name of the run: letters, digits, `.` and `-`, at most 63 characters, the first a letter or digit. */
  readonly name: string
  /**
   * Id of the run, `[A-Za-z0-9][A-Za-z0-9.-]{0,39}`. Default: `name`, at most its first 29 characters, and ten digits of
   * the fingerprint, so that the same script run again takes up the same run. An iterable or a stream as source needs
   * one.
   */
  readonly runId?: string | undefined
  readonly source: Source<Row, SR> & CheckEmbed<Row, P, E, B> & CheckClash<Row, AnswerOf<P, X, B, O, G>, N>
  /** Model id, inference profile id or ARN. */
  readonly model: string
  /** What the model is told. Without it, and without `body`, the model is an embedding model. */
  readonly prompt?: (P & Prompt.CheckColumns<P, Row>) | undefined
  /**
   * What to embed when there is no prompt: a column of texts, media such as `Prompt.image("photo")`, or both; default
   * the column `input_text`.
   */
  readonly embed?: E | undefined
  /**
   * Column of finished requests, in place of a prompt: an object or the JSON text of one in each row, which is sent as
   * it is, the digits of a text's numbers too. Their answers come back whole in the column `output`, or as `processor`
   * reads them.
   */
  readonly body?: (B & CheckColumn<Row, B>) | undefined
  /** How the model is asked and read; default: found by the model id. */
  readonly processor?: Processor<X> | undefined
  /**
   * The shape of the answer, a `Schema.Struct`: the model is told of it, and each field becomes a column beside
   * `response`, nested ones as structs and lists. An answer that does not decode is `invalid`, with its text in
   * `response`. See `StructuredOutput.structured` for what a schema can say.
   */
  readonly output?: (Schema.ConstraintDecoder<O> & CheckOutput<P, X, B, O, G>) | undefined
  /**
   * How the model is told of `output`: by the family's field for a JSON Schema, by a tool that it must call, or by an
   * instruction at the end of the last user turn. Default: the best that the family has for the model.
   */
  readonly outputWay?: OutputWay | undefined
  /** Adds the column `reasoning`: what a text model thought before it answered, or null. Default: false. */
  readonly reasoning?: G | undefined
  readonly parameters?: ModelParameters | undefined
  /** Columns that hold parameters of their row; see `ParametersFrom`. */
  readonly parametersFrom?: ParametersFrom<NoInfer<keyof Row & string>> | undefined
  /** New names for added columns, by their old ones. */
  readonly rename?: (N & CheckRename<AnswerOf<P, X, B, O, G>, N>) | undefined
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
  /** What to embed when there is no prompt; default the column `input_text`. */
  readonly embed?: Embed | undefined
  /** Column of finished requests, in place of a prompt. */
  readonly body?: string | undefined
  /** How the model is asked and read; default: found by the model id. */
  readonly processor?: Processor<object> | undefined
  /** The shape of the answer, a `Schema.Struct` whose fields become columns. */
  readonly output?: Schema.ConstraintDecoder<object> | undefined
  /** How the model is told of `output`; default: the best way that the family has for the model. */
  readonly outputWay?: OutputWay | undefined
  /** Adds the column `reasoning`; default: false. */
  readonly reasoning?: boolean | undefined
  readonly parameters?: ModelParameters | undefined
  /** Columns that hold parameters of their row. */
  readonly parametersFrom?: ParametersFrom | undefined
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
 * `prepare` that was cut off goes on where it has left a checkpoint (every 16 jobs or 30 seconds), or where a round of
 * `prepareStep` ended; of an iterable, a stream, or rows with a `version`, it begins anew.
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
  const E extends Embed = "input_text",
  const B extends string | undefined = undefined,
  O extends object = {},
  const G extends boolean = false
>(
  options: PrepareOptions<Row, SR, P, X, N, E, B, O, G>
): Effect.fn.Return<Run<ResultRow<Row, AnswerOf<P, X, B, O, G>, N>>, BatchError, ObjectStore | Capacity | SR> {
  const prepared = Effect.gen(function*() {
    const store = yield* ObjectStore
    const definition = yield* define(options)
    yield* Effect.annotateCurrentSpan({ run: definition.runId })
    const manifest = yield* writeRun(store, definition)
    return yield* runOf<ResultRow<Row, AnswerOf<P, X, B, O, G>, N>>(store, manifest, definition.processor, 1)
  })
  return yield* Effect.scoped(prepared)
})
