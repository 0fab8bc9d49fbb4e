/**
 * Finds the built-in processor of a model.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { anthropicMessages } from "./AnthropicMessages.ts"
import { converse } from "./Converse.ts"
import { familyOf } from "./internal/ModelFamily.ts"
import { ranked } from "./internal/Nearest.ts"
import * as Wrapping from "./internal/Wrapping.ts"
import { llama } from "./Llama.ts"
import { mistralChat } from "./MistralChat.ts"
import { mistralText } from "./MistralText.ts"
import { isModelId, parse } from "./ModelId.ts"
import { known, rules } from "./Models.ts"
import { nova } from "./Nova.ts"
import * as NovaMultimodalEmbeddings from "./NovaMultimodalEmbeddings.ts"
import { openAiChat } from "./OpenAiChat.ts"
import type { Processor, TextAnswer } from "./Processor.ts"
import * as Raw from "./Raw.ts"
import { withoutReasoning, withReasoning } from "./Reasoning.ts"
import * as TitanMultimodalEmbeddings from "./TitanMultimodalEmbeddings.ts"
import * as TitanTextEmbeddings from "./TitanTextEmbeddings.ts"

/**
 * A processor of this package that a model's name leads to; `accepts` tells text models (`chat`) from embedding models
 * (`embed`).
 *
 * @since 0.2.0
 * @category models
 */
export type OfModel =
  | Processor<TextAnswer>
  | TitanTextEmbeddings.AnyTitanTextEmbeddings
  | NovaMultimodalEmbeddings.AnyNovaMultimodalEmbeddings

/**
 * Any processor of this package; `accepts` tells text models (`chat`) from embedding models (`embed`) and from `raw`.
 *
 * @since 0.1.0
 * @category models
 */
export type BuiltIn = OfModel | Processor<Raw.RawAnswer>

/**
 * Why there is no processor for a model: its id is not known (`near` lists known ids that are close, the closest
 * first); its name does not reveal which model it is; Bedrock's batch inference is not known to take it; or none of the
 * families here can read it. `message` says so, and what to do.
 *
 * @since 0.1.0
 * @category models
 */
export interface UnknownModel {
  readonly model: string
  readonly problem: "unknown" | "unresolved" | "not-batch-capable" | "no-processor"
  readonly near: ReadonlyArray<string>
  readonly message: string
}

/**
 * Finds the processor of a model id, an inference-profile id or an ARN: Converse for text models, of providers known
 * for them also those that are newer than this package, and the embedding models' own for those. For everything
 * else the answer says why there is none; a processor of one's own, or a built-in one given explicitly, does not need
 * this function.
 *
 * @since 0.1.0
 * @category getters
 * @example
 * ```ts
 * import { Families } from "@bedrock-batch/processors"
 * import { Result } from "effect"
 *
 * const family = Families.forModel("us.anthropic.claude-haiku-4-5-20251001-v1:0")
 *
 * Result.isSuccess(family) ? family.success.id : family.failure.message // "converse/1"
 * ```
 */
export const forModel = (model: string): Result.Result<OfModel, UnknownModel> => {
  const unknown = (problem: UnknownModel["problem"], what: string, near: ReadonlyArray<string> = []) => {
    const close = near.length === 0 ? "" : ` Known ids that are close: ${near.join(", ")}.`
    return Result.fail({ model, problem, near, message: `${what}.${close} ${advice}` })
  }
  const parsed = parse(model)
  if (Result.isFailure(parsed)) {
    return unknown("unresolved", `cannot tell how to ask the model ${model}: ${parsed.failure.message}`)
  }
  const id = parsed.success.baseModel
  if (!isModelId(model)) return notTaken(model, id)
  switch (rules.find((rule) => rule.ids.test(id))?.support) {
    case "converse":
      return Result.succeed(converse)
    case "titan-text-embeddings":
      return Result.succeed(TitanTextEmbeddings.titanTextEmbeddings())
    case "titan-multimodal-embeddings":
      return Result.succeed(TitanMultimodalEmbeddings.titanMultimodalEmbeddings())
    case "nova-multimodal-embeddings":
      return Result.succeed(NovaMultimodalEmbeddings.novaMultimodalEmbeddings())
    case "not-batch-capable":
      return unknown("not-batch-capable", `Bedrock's batch inference is not known to take the model ${model}`)
    case "no-processor":
      return unknown("no-processor", `no built-in processor reads the model ${model}`)
    case undefined:
      return unknown("unknown", `the model ${model} is not known`, ranked(id, known).slice(0, 3))
  }
}

/**
 * Finds the processor of a model's own format, for InvokeModel: that of Claude, Nova, Llama, Mistral or OpenAI's chat
 * completions for text models, and the same as {@link forModel} for embedding models. It offers what Converse does not,
 * such as tools in batch inference. Where `forModel` fails, so does this.
 *
 * @since 0.2.0
 * @category getters
 * @example
 * ```ts
 * import { Families } from "@bedrock-batch/processors"
 * import { Result } from "effect"
 *
 * const family = Families.native("us.anthropic.claude-haiku-4-5-20251001-v1:0")
 *
 * Result.isSuccess(family) ? family.success.id : family.failure.message // "anthropic-messages/1"
 * ```
 */
export const native = (model: string): Result.Result<OfModel, UnknownModel> =>
  Result.map(forModel(model), (processor): OfModel => {
    if (processor.accepts !== "chat") return processor
    switch (familyOf(model)) {
      case "anthropic-messages":
        return anthropicMessages
      case "nova":
        return nova
      case "llama":
        return llama
      case "mistral-chat":
        return mistralChat
      case "mistral-text":
        return mistralText
      default:
        return openAiChat
    }
  })

/** No processor helps where Bedrock does not take the name. */
const notTaken = (model: string, id: string): Result.Result<never, UnknownModel> => {
  const near = ranked(id, known).slice(0, 3)
  const close = near.length === 0 ? "" : ` Known ids that are close: ${near.join(", ")}.`
  const message = `${JSON.stringify(model)} is not a model id, inference profile id or ARN that Bedrock takes.${close}`
  return Result.fail({ model, problem: "unknown", near, message })
}

const advice = "To use it all the same, pass a `processor` for it to `prepare`, for a text model for example " +
  "`Converse.converse`."

/** Processors without options. */
const texts: ReadonlyMap<string, Processor<TextAnswer>> = new Map(
  [converse, anthropicMessages, nova, llama, mistralChat, mistralText, openAiChat].map((processor) => [
    processor.id,
    processor
  ])
)

/**
 * Finds the built-in processor with an id, as it is stored with a run, or undefined for the id of any other processor.
 *
 * @since 0.1.0
 * @category getters
 */
export const forId = (id: string): BuiltIn | undefined =>
  texts.get(id) ??
    Raw.fromId(id) ??
    TitanTextEmbeddings.fromId(id) ??
    TitanMultimodalEmbeddings.fromId(id) ??
    NovaMultimodalEmbeddings.fromId(id) ??
    reasoningFor(id)

/** Text models whose reasoning is a column. */
const reasoningFor = (id: string): Processor<TextAnswer> | undefined => {
  const inner = withoutReasoning(id)
  const processor = inner === null ? undefined : texts.get(inner)
  return processor === undefined ? undefined : withReasoning(processor)
}

/**
 * The processor that writes the requests: of one that `structured` or `withReasoning` made the one that it was made from,
 * any other itself. What stands around it adds to all requests of a run the same.
 *
 * @since 0.2.0
 * @category getters
 */
export const innermost = (processor: Processor<object>): Processor<object> => Wrapping.innermost(processor)
