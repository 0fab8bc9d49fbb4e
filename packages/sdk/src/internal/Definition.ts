/**
 * From the options of `prepare` to a definition: checked, with its source opened, its prompt bound to the source's
 * columns and its fingerprint known. Nothing is written here.
 *
 * @internal
 */
import { forModel } from "@bedrock-batch/processors/Families"
import { isModelId } from "@bedrock-batch/processors/ModelId"
import type { Processor } from "@bedrock-batch/processors/Processor"
import { raw } from "@bedrock-batch/processors/Raw"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { BatchError, InvalidOption, InvalidSource } from "../BatchError.ts"
import type { Column } from "../Column.ts"
import type { Limits } from "../Limits.ts"
import type { BelowMinimum, Bounds } from "../Planner.ts"
import type { RunDefinition } from "../prepare.ts"
import type { Fingerprint } from "../RunManifest.ts"
import { Capacity } from "../schedule/Capacity.ts"
import type { OpenSource } from "../source/Source.ts"
import { advise } from "./Advise.ts"
import { askedOf, askingOf, askingProblem, parametersOf } from "./AskingOf.ts"
import { columnsOf } from "./ColumnsOf.ts"
import { canonicalJson, sha256 } from "./Digest.ts"
import { limitsProblem } from "./LimitsCheck.ts"
import { outputProcessor } from "./OutputProcessor.ts"
import { recipeOf } from "./Recipe.ts"
import { RecordEncoder } from "./RecordEncoder.ts"
import * as ResultColumns from "./ResultColumns.ts"
import * as RunId from "./RunId.ts"

/** @internal */
export interface Definition {
  readonly runId: string
  readonly name: string
  readonly model: string
  readonly region: string
  readonly processor: Processor<object>
  readonly encoder: RecordEncoder
  readonly source: OpenSource
  readonly answer: ReadonlyArray<Column>
  readonly rename: { readonly [column: string]: string }
  readonly bounds: Bounds
  readonly belowMinimum: BelowMinimum
  readonly timeoutHours: number
  readonly fingerprint: Fingerprint
  /** The options as data; null where some are not. */
  readonly recipe: Schema.Json
}

const error = (reason: BatchError["reason"]) => new BatchError({ module: "prepare", method: "prepare", reason })
const invalid = (path: string, message: string) => error(new InvalidOption({ path, message }))

const defaultRecordsPerJob = 50_000
const defaultTimeoutHours = 72

const checkCount = (path: string, value: number | undefined, least: number, most: number): BatchError | null =>
  value === undefined || (Number.isSafeInteger(value) && value >= least && value <= most) ? null : invalid(
    path,
    `${path} is ${value}, and must be an integer of at least ${least}` + (most < Number.MAX_SAFE_INTEGER ? ` and at most ${most}` : "")
  )

const checkOptions = (options: RunDefinition<unknown>): BatchError | null => {
  const most = Number.MAX_SAFE_INTEGER
  const wrong = (RunId.isLegal(options.name, RunId.maxNameLength)
    ? null
    : invalid("name", RunId.explain("name", options.name, RunId.maxNameLength))) ??
    (options.runId === undefined || RunId.isLegal(options.runId)
      ? null
      : invalid("runId", RunId.explain("runId", options.runId))) ??
    (options.runId !== RunId.reserved
      ? null
      : invalid("runId", `runId ${JSON.stringify(RunId.reserved)} is the name of a folder beside the runs: choose another`)) ??
    checkCount("maxRecordsTotal", options.maxRecordsTotal, 1, most) ??
    checkCount("maxJobs", options.maxJobs, 1, 999_999) ??
    checkCount("maxRecordsPerJob", options.maxRecordsPerJob, 1, most) ??
    checkCount("timeoutHours", options.timeoutHours, 24, 168)
  if (wrong !== null) return wrong
  const limits = limitsProblem(options.limits ?? {})
  if (limits !== null) return error(limits)
  if (Object.hasOwn(options.limits ?? {}, "maxOpenJobs")) {
    return invalid(
      "limits.maxOpenJobs",
      "maxOpenJobs bounds all runs of a client: give it to the layer, or bound one wait with concurrency"
    )
  }
  return checkKinds(options)
}

/** What the compiler does not see in JavaScript, in a notebook, or behind a cast. */
const checkKinds = (options: RunDefinition<unknown>): BatchError | null => {
  const has = (value: unknown, key: string) => typeof value === "object" && value !== null && key in value
  if (!has(options.source, "~@bedrock-batch/sdk/Source")) {
    return invalid(
      "source",
      "source is no source: give for example Source.csv(\"s3://bucket/key\") or Source.rows([...])"
    )
  }
  if (typeof options.model !== "string" || options.model === "") {
    return invalid("model", "model must be a text: a model id, an inference profile id or an ARN")
  }
  if (options.prompt !== undefined && !has(options.prompt, "~@bedrock-batch/processors/Prompt")) {
    return invalid("prompt", "prompt is no prompt: give for example Prompt.make(\"... {column} ...\")")
  }
  if (options.processor !== undefined && !isProcessor(options.processor)) {
    return invalid(
      "processor",
      "processor is no processor: it needs id, invocationType, accepts, columns, encode and decode"
    )
  }
  const asked = askingProblem(options)
  if (asked !== null) return error(asked)
  if (options.belowMinimum !== undefined && options.belowMinimum !== "on-demand" && options.belowMinimum !== "fail") {
    return invalid("belowMinimum", `belowMinimum is ${JSON.stringify(options.belowMinimum)}: give "on-demand" or "fail"`)
  }
  for (const name of ["parameters", "rename"] as const) {
    const value: unknown = options[name]
    if (value !== undefined && (typeof value !== "object" || value === null || Array.isArray(value))) {
      return invalid(name, `${name} must be an object`)
    }
  }
  return null
}

const isProcessor = (value: unknown): boolean => {
  const members: ReadonlyMap<string, unknown> = new Map(typeof value === "object" && value !== null ? Object.entries(value) : [])
  const is = (name: string, type: string) => typeof members.get(name) === type
  return is("id", "string") && is("encode", "function") && is("decode", "function") &&
    Schema.isSchema(members.get("columns")) &&
    (members.get("invocationType") === "InvokeModel" || members.get("invocationType") === "Converse") &&
    (members.get("accepts") === "chat" || members.get("accepts") === "embed" || members.get("accepts") === "raw")
}

/** The processor, and whether it and the prompt go together. */
const processorOf = Effect.fnUntraced(function*(options: RunDefinition<unknown>) {
  const found: Result.Result<Processor<object>, { readonly message: string }> = options.processor === undefined && options.body === undefined
    ? forModel(options.model)
    : isModelId(options.model)
    ? Result.succeed(options.processor ?? raw())
    : Result.fail({ message: `${JSON.stringify(options.model)} is not a model id, inference profile id or ARN that Bedrock takes` })
  if (Result.isFailure(found)) return yield* invalid("model", found.failure.message)
  const processor = found.success
  if (options.body !== undefined) return processor
  if (processor.accepts === "raw") {
    return yield* invalid(
      "body",
      `processor ${processor.id} takes whole request bodies: name the column that holds them with body`
    )
  }
  if (processor.accepts === "chat" && options.prompt === undefined) {
    return yield* invalid(
      "prompt",
      `model ${options.model} is a text model and needs a prompt: Prompt.make("... {column} ...")`
    )
  }
  if (processor.accepts === "embed" && options.prompt !== undefined) {
    return yield* invalid(
      "prompt",
      `model ${options.model} is an embedding model and takes no prompt: name the column of the texts with embed`
    )
  }
  return processor
})

/** @internal */
export const define = Effect.fnUntraced(function*<SR>(options: RunDefinition<SR>) {
  const wrong = checkOptions(options)
  if (wrong !== null) return yield* wrong
  const processor = yield* Effect.mapError(
    Effect.flatMap(processorOf(options), (found) => Effect.fromResult(outputProcessor(found, options))),
    (cause) => cause._tag === "InvalidOption" ? error(cause) : cause
  )
  const answer = columnsOf(processor.columns)
  if (answer === null) {
    return yield* invalid(
      "processor",
      `the columns of processor ${processor.id} must be a Schema.Struct with named fields`
    )
  }
  const source = yield* options.source.open
  if (source.count === 0) {
    return yield* error(
      new InvalidSource({ problem: "empty", uri: source.uri, row: null, column: null, message: "there are no rows" })
    )
  }
  const rename = options.rename ?? {}
  const clash = ResultColumns.check(source.columns, answer, rename)
  if (clash !== null) return yield* error(clash)
  const { asking, rowParameters } = yield* askingOf(options, source.columns)
  const parameters = options.parameters ?? {}

  const digest = (value: unknown) => sha256(canonicalJson(value))
  const selection = {
    maxRecordsTotal: options.maxRecordsTotal ?? null,
    maxJobs: options.maxJobs ?? null,
    maxRecordsPerJob: options.maxJobs === undefined ? null : (options.maxRecordsPerJob ?? defaultRecordsPerJob)
  }
  const fingerprint: Fingerprint = {
    source: digest(source.identity),
    model: digest(options.model),
    invocationType: digest(processor.invocationType),
    prompt: digest(askedOf(options)),
    parameters: digest(parametersOf(parameters, options.parametersFrom)),
    processor: digest(processor.id),
    selection: digest(selection),
    rename: digest(rename)
  }
  if (options.runId === undefined && source.identity === null) {
    return yield* invalid(
      "runId",
      "this source is read once and has no identity of its own: name the run with runId, so that it can be taken up again"
    )
  }
  const capacity = yield* Capacity
  yield* advise({ model: options.model, region: capacity.region, parameters })
  const quotas = yield* capacity.limits({ region: capacity.region, model: options.model })
  const definition: Definition = {
    runId: options.runId ?? RunId.fromName(options.name, fingerprint, digest),
    name: options.name,
    model: options.model,
    region: capacity.region,
    processor,
    encoder: new RecordEncoder(asking, processor, parameters, { model: options.model, rowParameters }),
    source,
    answer,
    rename,
    bounds: {
      ...quotas,
      ...withoutUndefined(options.limits ?? {}),
      maxRecordsPerJob: options.maxRecordsPerJob ?? defaultRecordsPerJob,
      maxJobs: options.maxJobs ?? null,
      maxRecordsTotal: options.maxRecordsTotal ?? null
    },
    belowMinimum: options.belowMinimum ?? "fail",
    timeoutHours: options.timeoutHours ?? defaultTimeoutHours,
    fingerprint,
    recipe: recipeOf(options)
  }
  return definition
})

const withoutUndefined = (limits: Partial<Omit<Limits, "maxOpenJobs">>): Partial<Limits> =>
  Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined))
