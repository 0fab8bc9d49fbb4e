/**
 * The answer of each model family to a body, and its words for a body that it refuses.
 *
 * @since 0.1.0
 */
import { conductOf, promptOf, withUnknownFields } from "./internal/Behaviour.ts"
import { anthropic } from "./internal/families/Anthropic.ts"
import { converse } from "./internal/families/Converse.ts"
import type { Asked, Family } from "./internal/families/Family.ts"
import { llama } from "./internal/families/Llama.ts"
import { mistralChat, mistralText } from "./internal/families/Mistral.ts"
import { nova } from "./internal/families/Nova.ts"
import { novaEmbeddings } from "./internal/families/NovaEmbeddings.ts"
import { openai } from "./internal/families/OpenAi.ts"
import { titanImage, titanText } from "./internal/families/Titan.ts"
import type { JsonObject } from "./Json.ts"
import { isObject } from "./Json.ts"
import * as Model from "./Model.ts"
import type { RecordRequest, StandardOptions } from "./Responder.ts"

/** The family that a body looks like, of a model whose name does not tell. */
const guess = (body: JsonObject): Exclude<Model.Family, "unknown"> =>
  body["anthropic_version"] !== undefined
    ? "anthropic"
    : body["inputText"] !== undefined
    ? "titan-text-embeddings"
    : body["singleEmbeddingParams"] !== undefined
    ? "nova-embeddings"
    : body["inferenceConfig"] !== undefined || body["schemaVersion"] === "messages-v1"
    ? "nova"
    : typeof body["prompt"] === "string"
    ? "llama"
    : "openai"

const families: { readonly [K in Exclude<Model.Family, "unknown">]: Family } = {
  anthropic,
  nova,
  "nova-embeddings": novaEmbeddings,
  "titan-text-embeddings": titanText,
  "titan-image-embeddings": titanImage,
  llama,
  "mistral-chat": mistralChat,
  "mistral-text": mistralText,
  openai
}

const ask = (asked: Asked, invocationType: RecordRequest["modelInvocationType"]): JsonObject | string => {
  const known = Model.family(asked.modelId)
  if (invocationType === "Converse") {
    return known.endsWith("embeddings")
      ? `This action doesn't support the model that you provided. Try again with a supported text or chat model.`
      : converse(asked)
  }
  return families[known === "unknown" ? guess(asked.body) : known](asked)
}

/**
 * Answers a record: the model output, or the text of the error 400 that the record ends with.
 *
 * @since 0.1.0
 * @category answers
 */
export const answer = (request: RecordRequest, options: StandardOptions = {}): JsonObject | string => {
  const { inputUri, modelId, modelInput: body, modelInvocationType } = request
  const prompt = promptOf(body)
  const conduct = conductOf(options, prompt)
  const output = ask({ modelId, body, prompt, conduct, folder: inputUri }, modelInvocationType)
  if (typeof output === "string" || !conduct.unknownFields) return output
  const extended = withUnknownFields(output)
  return isObject(extended) ? extended : output
}
