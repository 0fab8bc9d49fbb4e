/**
 * Finds the built-in processor of a model.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { anthropicMessages } from "./AnthropicMessages.ts"
import { converse } from "./Converse.ts"
import { ranked } from "./internal/Nearest.ts"
import { isModelId, parse } from "./ModelId.ts"
import { known, rules } from "./Models.ts"
import type { EmbeddingAnswer, Processor, TextAnswer } from "./Processor.ts"
import { titanTextEmbeddings } from "./TitanTextEmbeddings.ts"

/**
 * Any processor of this package; `accepts` tells text models (`chat`) from embedding models (`embed`).
 *
 * @since 0.1.0
 * @category models
 */
export type BuiltIn = Processor<TextAnswer> | Processor<EmbeddingAnswer>

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
 * for them also those that are newer than this package, and Titan's own for Titan Text Embeddings V2. For everything
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
export const forModel = (model: string): Result.Result<BuiltIn, UnknownModel> => {
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
      return Result.succeed(titan)
    case "not-batch-capable":
      return unknown("not-batch-capable", `Bedrock's batch inference is not known to take the model ${model}`)
    case "titan-multimodal-embeddings":
    case "nova-multimodal-embeddings":
    case "no-processor":
      return unknown("no-processor", `no built-in processor reads the model ${model}`)
    case undefined:
      return unknown("unknown", `the model ${model} is not known`, ranked(id, known).slice(0, 3))
  }
}

/** No processor helps where Bedrock does not take the name. */
const notTaken = (model: string, id: string): Result.Result<never, UnknownModel> => {
  const near = ranked(id, known).slice(0, 3)
  const close = near.length === 0 ? "" : ` Known ids that are close: ${near.join(", ")}.`
  const message = `${JSON.stringify(model)} is not a model id, inference profile id or ARN that Bedrock takes.${close}`
  return Result.fail({ model, problem: "unknown", near, message })
}

const advice = "To use it all the same, pass a `processor` for it to `prepare`, for a text model for example " +
  "`Converse.converse`."

const titan = titanTextEmbeddings()

const builtIn: ReadonlyMap<string, BuiltIn> = new Map(
  [
    converse,
    anthropicMessages,
    ...([undefined, 256, 512, 1024] as const).flatMap((dimensions) =>
      [undefined, true, false].map((normalize) => titanTextEmbeddings({ dimensions, normalize }))
    )
  ].map((processor) => [processor.id, processor])
)

/**
 * Finds the built-in processor with an id, as it is stored with a run, or undefined for the id of any other processor.
 *
 * @since 0.1.0
 * @category getters
 */
export const forId = (id: string): BuiltIn | undefined => builtIn.get(id)
