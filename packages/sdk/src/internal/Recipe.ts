/**
 * What a run is prepared from, as data, and back.
 *
 * @internal
 */
import * as Prompt from "@bedrock-batch/processors/Prompt"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { RunDefinition } from "../prepare.ts"
import type { Plan } from "../RunManifest.ts"
import { arrow } from "../source/ArrowIpc.ts"
import { csv } from "../source/Csv.ts"
import { huggingFace } from "../source/HuggingFace.ts"
import { SourceRecipe } from "../source/internal/Recipe.ts"
import { jsonl } from "../source/Jsonl.ts"
import { parquet } from "../source/Parquet.ts"
import type { Source } from "../source/Source.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"

const Parameters = Schema.Struct({
  maxTokens: Schema.optionalKey(Schema.Finite),
  temperature: Schema.optionalKey(Schema.Finite),
  topP: Schema.optionalKey(Schema.Finite),
  stopSequences: Schema.optionalKey(Schema.Array(Schema.String)),
  thinking: Schema.optionalKey(Schema.Union([
    Schema.Struct({ budgetTokens: Schema.Finite }),
    Schema.Struct({ effort: Schema.Literals(["low", "medium", "high"]) })
  ])),
  dimensions: Schema.optionalKey(Schema.Finite),
  normalize: Schema.optionalKey(Schema.Boolean),
  truncate: Schema.optionalKey(Schema.Literals(["none", "start", "end"])),
  more: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))
})

const Attachment = Schema.Struct({
  kind: Schema.Literals(["image", "document", "audio", "video"]),
  column: Schema.String,
  format: Schema.NullOr(Schema.String),
  name: Schema.NullOr(Schema.String),
  directory: Schema.NullOr(Schema.String),
  s3: Schema.Literals(["inline", "reference"])
})

const Embed = Schema.Union([
  Schema.String,
  Attachment,
  Schema.Struct({ text: Schema.optionalKey(Schema.String), media: Attachment })
])

const ParametersFrom = Schema.Struct({
  maxTokens: Schema.optionalKey(Schema.String),
  temperature: Schema.optionalKey(Schema.String),
  topP: Schema.optionalKey(Schema.String),
  stopSequences: Schema.optionalKey(Schema.String)
})

const Turn = Schema.Struct({
  role: Schema.Literals(["system", "user", "assistant"]),
  content: Schema.String,
  media: Schema.optionalKey(Schema.Array(Attachment))
})

const Recipe = Schema.Struct({
  source: SourceRecipe,
  model: Schema.String,
  /** Templates; null for an embedding model. */
  turns: Schema.NullOr(Schema.Array(Turn)),
  embed: Schema.NullOr(Embed),
  body: Schema.optionalKey(Schema.String),
  parameters: Parameters,
  parametersFrom: Schema.optionalKey(ParametersFrom),
  rename: Schema.Record(Schema.String, Schema.String),
  belowMinimum: Schema.Literals(["on-demand", "fail"]),
  reasoning: Schema.optionalKey(Schema.Boolean)
})

const Templates = Schema.Struct({ type: Schema.Literal("templates"), turns: Schema.Array(Turn) })

const decode = Schema.decodeUnknownResult(Recipe)
const decodeTemplates = Schema.decodeUnknownResult(Templates)

/** Null where some of the options are code, or rows that are not kept. @internal */
export const recipeOf = ({ source, ...options }: RunDefinition<unknown>): Schema.Json => {
  const templates = options.prompt === undefined ? null : decodeTemplates(Prompt.fingerprint(options.prompt))
  if (source.recipe === null || options.processor !== undefined || options.output !== undefined) return null
  if (templates !== null && Result.isFailure(templates)) return null
  const recipe = decode(JSON.parse(JSON.stringify({
    source: source.recipe,
    model: options.model,
    turns: templates === null ? null : templates.success.turns,
    embed: options.embed ?? null,
    body: options.body,
    parameters: options.parameters ?? {},
    parametersFrom: options.parametersFrom,
    rename: options.rename ?? {},
    belowMinimum: options.belowMinimum ?? "fail",
    ...(options.reasoning === true ? { reasoning: true } : {})
  })))
  return Result.isSuccess(recipe) ? recipe.success : null
}

/** The options are checked when the source is opened, as those are that JavaScript gives. */
const sourceFrom = (recipe: SourceRecipe): Source<object, ObjectStore> => {
  switch (recipe.type) {
    case "csv":
      return csv(recipe.locations, recipe.options as object)
    case "jsonl":
      return jsonl(recipe.locations, recipe.options as object)
    case "parquet":
      return parquet(recipe.locations, recipe.options as object)
    case "arrow":
      return arrow(recipe.locations, recipe.options as object)
    case "huggingFace":
      return huggingFace(recipe.id, recipe.options as object)
  }
}

/** The options of `prepare` for a run that was not prepared to its end; null where its plan has no recipe. @internal */
export const optionsFrom = ({ bounds, name, recipe, runId, timeoutHours }: Plan): RunDefinition<ObjectStore> | null => {
  const decoded = decode(recipe)
  if (Result.isFailure(decoded)) return null
  const { belowMinimum, body, embed, model, parameters, parametersFrom, reasoning, rename, source, turns } = decoded.success
  return {
    name,
    runId,
    source: sourceFrom(source),
    model,
    prompt: turns === null ? undefined : Prompt.chat(turns),
    embed: embed ?? undefined,
    body,
    parameters,
    parametersFrom,
    rename,
    belowMinimum,
    reasoning,
    maxRecordsTotal: bounds.maxRecordsTotal ?? undefined,
    maxJobs: bounds.maxJobs ?? undefined,
    maxRecordsPerJob: bounds.maxRecordsPerJob,
    timeoutHours
  }
}
