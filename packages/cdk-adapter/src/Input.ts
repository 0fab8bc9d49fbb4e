/**
 * The input of an execution: that of the AWS sample which this pipeline takes the place of, and optional fields beside.
 *
 * @since 0.2.0
 */
import type { ModelParameters } from "@bedrock-batch/processors/Processor"
import type * as Prompt from "@bedrock-batch/processors/Prompt"
import type { BelowMinimum } from "@bedrock-batch/sdk/Planner"
import type { RetryOptions } from "@bedrock-batch/sdk/retry"
import { Lane } from "@bedrock-batch/sdk/RunManifest"
import { Format } from "@bedrock-batch/sdk/sink/Sink"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import {
  crossProblems,
  formatOf,
  isGiven,
  isObject,
  longest,
  mostDeadlineHours,
  mostJobs,
  patterns,
  retried,
  shapeProblems,
  templateOf,
  unknownFields
} from "./internal/InputProblems.ts"
import { schemaRules } from "./internal/InputRules.ts"

/** What is absent may also be null, as in the sample. */
const optional = <S extends Schema.Top>(schema: S, description: string) =>
  Schema.optionalKey(Schema.NullOr(schema).annotate({ description }))

const count = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }))
const text = Schema.NonEmptyString

const share = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
const template = text.check(Schema.isPattern(patterns.template))

const name = (most: number) => Schema.String.check(Schema.isMaxLength(most), Schema.isPattern(patterns.name))

/**
 * Schema for the parameters of a model, in the names that the input has for them.
 *
 * @since 0.2.0
 * @category schemas
 */
export const Parameters = Schema.Struct({
  max_tokens: optional(count, "The most tokens of an answer. Default: 1024."),
  temperature: optional(share, "How random answers are, 0 to 1. Default: the model's own."),
  top_p: optional(share, "Nucleus sampling, 0 to 1. Default: the model's own."),
  stop_sequences: optional(Schema.Array(text), "Texts at which the model stops."),
  thinking: optional(
    Schema.Union([
      Schema.Struct({ budget_tokens: count }),
      Schema.Struct({ effort: Schema.Literals(["low", "medium", "high"]) })
    ]),
    "Thinking before the answer: { \"budget_tokens\": 2048 } or { \"effort\": \"low\" }, as the model takes it."
  ),
  dimensions: optional(count, "The length of an embedding."),
  normalize: optional(Schema.Boolean, "Whether embeddings are scaled to length 1."),
  truncate: optional(Schema.Literals(["none", "start", "end"]), "What becomes of a text that is too long to embed."),
  more: optional(Schema.Record(Schema.String, Schema.Json), "Further fields of the model's own request, as they are.")
})

/**
 * Schema for what is tried again, where more is said of it than the number of attempts.
 *
 * @since 0.2.0
 * @category schemas
 */
export const Retry = Schema.Struct({
  attempts: count.annotate({ description: "Attempts in all, the first one counted." }),
  outcomes: optional(
    Schema.Array(Schema.Literals(retried)),
    "Which outcomes are tried again. Default: failed, expired and missing."
  ),
  errors: optional(
    Schema.Literals(["mendable", "all"]),
    "Of failed records, those whose error may pass, or all. Default: mendable."
  ),
  lane: optional(Lane, "By batch jobs, on demand (at the full price), or as it fits. Default: auto.")
})

/**
 * Schema for the input of an execution. Fields that may be left out may also be null.
 *
 * @since 0.2.0
 * @category schemas
 */
export const ExecutionInput = Schema.Struct({
  job_name_prefix: name(longest.name).annotate({
    description: "Name of the run: letters, digits, \".\" and \"-\", the first a letter or digit, at most " +
      `${longest.name} characters.`
  }),
  model_id: text.annotate({ description: "Model id, inference profile id or ARN." }),
  s3_uri: optional(
    Schema.String.check(Schema.isPattern(patterns.s3)),
    "The rows: a file s3://bucket/key, or all files below a prefix that ends in \"/\". CSV, TSV, Parquet, JSON Lines " +
      "or Arrow, by the ending of the name; text files may be packed (.gz, .zst). This or dataset_id."
  ),
  dataset_id: optional(
    Schema.String.check(Schema.isPattern(patterns.dataset)),
    "The rows: a dataset of the Hugging Face Hub. This or s3_uri."
  ),
  split: optional(text, "Split of the dataset; without meaning with s3_uri. Default: train."),
  prompt_id: optional(
    text,
    "Id of a prompt of the library: joke_about_topic, sentiment_classifier, question_answering, or one of the " +
      "bucket's prompts. Text models need it, or prompt_template; null for embedding models."
  ),
  max_records_total: optional(count, "Rows at most. Default: MAX_TOTAL_RECORDS of the environment, else all."),
  max_num_jobs: optional(
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: mostJobs })),
    `Jobs at most, up to ${mostJobs}; rows beyond them are left out. Default: as many as it takes.`
  ),
  max_records_per_job: optional(
    count,
    "Records that a job is cut at. Default: MAX_RECORDS_PER_JOB of the environment, else 1000."
  ),
  max_records_per_batch: optional(count, "Another name of max_records_per_job."),
  prompt_template: optional(
    template,
    "A prompt of this execution alone, with {column} placeholders, in place of prompt_id."
  ),
  system: optional(template, "System text of prompt_template; it may have placeholders, too."),
  embed_column: optional(text, "The column that an embedding model reads. Default: input_text."),
  input_format: optional(
    Schema.Literals(["csv", "parquet", "jsonl", "arrow"]),
    "Format of s3_uri, where the name does not tell. Needed for a prefix."
  ),
  dataset_config: optional(text, "Config (subset) of the dataset. Default: its only or default one."),
  dataset_revision: optional(text, "Branch, tag or commit of the dataset. Default: main."),
  parameters: optional(Parameters, "Parameters of the model."),
  output_format: optional(Format, "Format of the result files. Default: parquet."),
  result_columns: optional(
    Schema.Record(Schema.String, text),
    "New names of columns that the results add, by their old ones: { \"response\": \"joke\" }."
  ),
  below_minimum: optional(
    Schema.Literals(["fail", "on-demand"]),
    "What becomes of fewer rows than a batch job must have: fail before anything is paid for, or ask for each row on " +
      "demand, at the full price. Default: fail."
  ),
  retry: optional(
    Schema.Union([count, Retry]),
    "Attempts in all, or { \"attempts\": 2, \"outcomes\": [...], \"errors\": ..., \"lane\": ... }. Default: 1."
  ),
  deadline_hours: optional(
    Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThanOrEqualTo(mostDeadlineHours)),
    "Hours from the start of the execution after which nothing more is submitted and open jobs are stopped; at most " +
      `${mostDeadlineHours}. Default: none.`
  ),
  timeout_hours: optional(
    Schema.Int.check(Schema.isBetween({ minimum: 24, maximum: 168 })),
    "Hours until Bedrock gives a job up, 24 to 168. Default: that of the deployment."
  ),
  run_id: optional(
    name(longest.id).check(Schema.isPattern(patterns.runId)),
    `Id of the run, at most ${longest.id} characters. Default: job_name_prefix, at most its first 29 characters, and ` +
      "ten digits that stand for all that makes the run what it is."
  )
})

/**
 * The input of an execution, as it is written.
 *
 * @since 0.2.0
 * @category models
 */
export type ExecutionInput = typeof ExecutionInput.Encoded

/**
 * Where the rows of a run come from.
 *
 * @since 0.2.0
 * @category models
 */
export type Rows =
  | { readonly kind: "s3"; readonly uri: string; readonly format: "csv" | "parquet" | "jsonl" | "arrow" }
  | {
    readonly kind: "dataset"
    readonly id: string
    readonly split: string
    readonly config: string | undefined
    readonly revision: string | undefined
  }

/**
 * An input that was checked, with its defaults.
 *
 * @since 0.2.0
 * @category models
 */
export interface Input {
  readonly name: string
  readonly runId: string | undefined
  readonly model: string
  readonly rows: Rows
  /** Null for an embedding model. */
  readonly prompt: { readonly id: string } | { readonly prompt: Prompt.Any } | null
  readonly embed: string | undefined
  readonly parameters: ModelParameters
  readonly maxRecordsTotal: number | undefined
  readonly maxJobs: number | undefined
  readonly maxRecordsPerJob: number
  readonly format: typeof Format.Type
  readonly rename: { readonly [column: string]: string }
  readonly belowMinimum: BelowMinimum
  /** At least 1 attempt. */
  readonly retry: RetryOptions & { readonly attempts: number }
  readonly deadlineHours: number | null
  readonly timeoutHours: number
}

/**
 * One thing that is wrong with an input: the path of the field, as `parameters.top_p`, and what to do.
 *
 * @since 0.2.0
 * @category models
 */
export interface Problem {
  readonly field: string
  readonly message: string
}

/**
 * An input cannot be used. It names all that is wrong at once; nothing was read or paid for.
 *
 * @since 0.2.0
 * @category errors
 */
export class InvalidInput extends Schema.TaggedError<InvalidInput>("@bedrock-batch/cdk-adapter/InvalidInput")(
  "InvalidInput",
  { problems: Schema.Array(Schema.Struct({ field: Schema.String, message: Schema.String })) }
) {
  /** All problems, one after the other. */
  override get message(): string {
    const { problems } = this
    const all = problems.map(({ field, message }) => `${field}: ${message}`).join("; ")
    return problems.length === 1 ? all : `${problems.length} fields of the input are wrong. ${all}`
  }
}

/**
 * What the deployment says about inputs.
 *
 * @since 0.2.0
 * @category configuration
 */
export interface Defaults {
  /** Rows of a run at most, where the input does not say; null for all. */
  readonly maxRecordsTotal: number | null
  /** Records that a job is cut at, where the input does not say. */
  readonly maxRecordsPerJob: number
  /** Hours until Bedrock gives a job up, where the input does not say. */
  readonly timeoutHours: number
  /** Models that may be used, a profile by its model too; null for all. */
  readonly allowedModels: ReadonlyArray<string> | null
}

const decode = Schema.decodeUnknownResult(ExecutionInput, { errors: "all" })

type Decoded = typeof ExecutionInput.Type

/** Leaves out what is null. */
const present = <A extends object>(fields: A): { readonly [K in keyof A]?: Exclude<A[K], null | undefined> } => {
  const entries = Object.entries(fields).filter(([, value]) => isGiven(value))
  // The compiler does not follow entries.
  return Object.fromEntries(entries) as { readonly [K in keyof A]?: Exclude<A[K], null | undefined> }
}

const thinkingOf = (thinking: (typeof Parameters.Type)["thinking"]): ModelParameters["thinking"] => {
  if (thinking === undefined || thinking === null) return undefined
  return "budget_tokens" in thinking ? { budgetTokens: thinking.budget_tokens } : thinking
}

const parametersOf = (parameters: typeof Parameters.Type): ModelParameters => {
  const { max_tokens, stop_sequences, thinking, top_p, ...rest } = parameters
  return present({
    ...rest,
    maxTokens: max_tokens,
    topP: top_p,
    stopSequences: stop_sequences,
    thinking: thinkingOf(thinking)
  })
}

const retryOf = (retry: Decoded["retry"]): Input["retry"] => {
  if (retry === undefined || retry === null) return { attempts: 1 }
  return typeof retry === "number" ? { attempts: retry } : { ...present(retry), attempts: retry.attempts }
}

const rowsOf = (input: Decoded): Rows => {
  const { dataset_config, dataset_id, dataset_revision, input_format, s3_uri, split } = input
  if (isGiven(s3_uri)) return { kind: "s3", uri: s3_uri!, format: input_format ?? formatOf(s3_uri!) ?? "csv" }
  return {
    kind: "dataset",
    id: dataset_id ?? "",
    split: split ?? "train",
    config: dataset_config ?? undefined,
    revision: dataset_revision ?? undefined
  }
}

const promptOf = (input: Decoded): Input["prompt"] => {
  const template = templateOf(input)
  if (template !== null && Result.isSuccess(template)) return { prompt: template.success }
  return isGiven(input.prompt_id) ? { id: input.prompt_id! } : null
}

/**
 * Checks the input of an execution, and fills in what it leaves out. All that is wrong with it is told at once; whether
 * the library has the prompt, and the rows its columns, is seen when they are read.
 *
 * @since 0.2.0
 * @category converting
 */
export const fromUnknown = (value: unknown, defaults: Defaults): Result.Result<Input, InvalidInput> => {
  if (!isObject(value)) {
    const message = "must be a JSON object with job_name_prefix, model_id, and s3_uri or dataset_id"
    return Result.fail(new InvalidInput({ problems: [{ field: "input", message }] }))
  }
  const decoded = decode(value)
  const shape = Result.isFailure(decoded) ? shapeProblems(decoded.failure.issue) : []
  const problems = [
    ...unknownFields(value, Object.keys(ExecutionInput.fields)),
    ...unknownFields(value["parameters"], Object.keys(Parameters.fields), "parameters."),
    ...unknownFields(value["retry"], Object.keys(Retry.fields), "retry.")
  ]
  // What the rules say of a field is more than that it is not as it must be.
  for (const problem of [...crossProblems(value, defaults), ...shape]) {
    if (!problems.some(({ field }) => field === problem.field)) problems.push(problem)
  }
  if (problems.length > 0 || Result.isFailure(decoded)) return Result.fail(new InvalidInput({ problems }))
  const input = decoded.success
  return Result.succeed({
    name: input.job_name_prefix,
    runId: input.run_id ?? undefined,
    model: input.model_id,
    rows: rowsOf(input),
    prompt: promptOf(input),
    embed: input.embed_column ?? undefined,
    parameters: parametersOf(input.parameters ?? {}),
    maxRecordsTotal: input.max_records_total ?? defaults.maxRecordsTotal ?? undefined,
    maxJobs: input.max_num_jobs ?? undefined,
    maxRecordsPerJob: input.max_records_per_job ?? input.max_records_per_batch ?? defaults.maxRecordsPerJob,
    format: input.output_format ?? "parquet",
    rename: input.result_columns ?? {},
    belowMinimum: input.below_minimum ?? "fail",
    retry: retryOf(input.retry),
    deadlineHours: input.deadline_hours ?? null,
    timeoutHours: input.timeout_hours ?? defaults.timeoutHours
  })
}

/**
 * The JSON Schema (2020-12) of the input of an execution. It says what can be said without the deployment and without
 * knowing models: whether a model takes a prompt, `fromUnknown` alone tells.
 *
 * @since 0.2.0
 * @category converting
 */
export const jsonSchema = (): { readonly [key: string]: unknown } => {
  const { definitions, schema } = Schema.toJsonSchemaDocument(ExecutionInput, { onExcessProperty: "error" })
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Input of a Bedrock batch pipeline",
    ...schema,
    allOf: schemaRules,
    ...(Object.keys(definitions).length === 0 ? {} : { $defs: definitions })
  }
}
