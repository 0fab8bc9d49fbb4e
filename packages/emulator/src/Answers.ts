/**
 * The answer of each model family to a body, and its words for a body that it refuses.
 *
 * @since 0.1.0
 */
import * as Chance from "./Chance.ts"
import { ceiling, converse, overCeiling, samplingProblem } from "./ConverseAnswer.ts"
import { embed } from "./Embeddings.ts"
import type { JsonObject } from "./Json.ts"
import { elements, isObject, member } from "./Json.ts"
import * as Model from "./Model.ts"
import type { RecordRequest } from "./Responder.ts"
import { compose, textOf, tokens } from "./Text.ts"

const malformed = (problem: string) =>
  `Malformed input request: ${problem}, please reformat your input and try again.`
const missing = (key: string) => malformed(`#: required key [${key}] not found`)
const extraneous = (key: string) => malformed(`#: extraneous key [${key}] is not permitted`)
const lastUserText = (messages: ReadonlyArray<unknown>) => {
  const user = messages.findLast((message) => member(message, "role") === "user") ?? messages.at(-1)
  return textOf(member(user, "content"))
}
const isWhole = (value: unknown) => typeof value === "number" && Number.isInteger(value) && value >= 1

const anthropicKeys = new Set([
  "anthropic_version",
  "anthropic_beta",
  "max_tokens",
  "messages",
  "system",
  "temperature",
  "top_p",
  "top_k",
  "stop_sequences",
  "tools",
  "tool_choice",
  "thinking",
  "output_config",
  "output_format",
  "context_management",
  "metadata",
  "mcp_servers",
  "container"
])

const anthropic = (body: JsonObject, model: string): JsonObject | string => {
  if (body["anthropic_version"] === undefined) return "anthropic_version: Field required"
  if (body["anthropic_version"] !== "bedrock-2023-05-31") {
    return "anthropic_version: Input should be 'bedrock-2023-05-31'"
  }
  if (body["max_tokens"] === undefined) return "max_tokens: Field required"
  if (typeof body["max_tokens"] !== "number" || !Number.isInteger(body["max_tokens"])) {
    return "max_tokens: Input should be a valid integer"
  }
  if (body["max_tokens"] < 1) return "max_tokens: Input should be greater than or equal to 1"
  if (body["messages"] === undefined) return "messages: Field required"
  if (!Array.isArray(body["messages"])) return "messages: Input should be a valid list"
  if (body["messages"].length === 0) return "messages: at least one message is required"
  for (const [index, message] of body["messages"].entries()) {
    const role = member(message, "role")
    if (role !== "user" && role !== "assistant") return `messages.${index}.role: Input should be 'user' or 'assistant'`
    const content = member(message, "content")
    if (typeof content !== "string" && !Array.isArray(content)) return `messages.${index}.content: Field required`
  }
  const unknown = Object.keys(body).find((key) => !anthropicKeys.has(key))
  if (unknown !== undefined) return `${unknown}: Extra inputs are not permitted`
  if (body["temperature"] !== undefined && typeof body["temperature"] !== "number") {
    return "temperature: Input should be a valid number"
  }
  const sampling = samplingProblem(model, body["temperature"], body["top_p"])
  if (sampling !== null) return sampling
  const format = member(body["output_config"], "format") ?? body["output_format"]
  const prompt = lastUserText(body["messages"])
  const made = compose(prompt, body["max_tokens"], member(format, "schema"))
  return {
    id: `msg_bdrk_${Chance.make(prompt).id(24)}`,
    type: "message",
    role: "assistant",
    model: Model.base(model),
    content: [{ type: "text", text: made.text }],
    stop_reason: made.cut ? "max_tokens" : "end_turn",
    stop_sequence: null,
    usage: { input_tokens: tokens(body["system"], body["messages"]), output_tokens: made.tokens }
  }
}

const novaKeys = new Set(["schemaVersion", "system", "messages", "inferenceConfig", "toolConfig"])

const nova = (body: JsonObject, model: string): JsonObject | string => {
  if (body["messages"] === undefined) return missing("messages")
  const unknown = Object.keys(body).find((key) => !novaKeys.has(key))
  if (unknown !== undefined) return extraneous(unknown)
  const messages = elements(body["messages"])
  if (messages.length === 0) return malformed("#/messages: expected minimum item count: 1, found: 0")
  for (const [index, message] of messages.entries()) {
    if (!Array.isArray(member(message, "content"))) {
      return malformed(`#/messages/${index}/content: expected type: JSONArray, found: String`)
    }
  }
  const maxTokens = member(body["inferenceConfig"], "maxTokens")
  if (maxTokens !== undefined && !isWhole(maxTokens)) {
    const found = maxTokens === null ? "Null" : "String"
    return malformed(`#/inferenceConfig/maxTokens: expected type: Integer, found: ${found}`)
  }
  if (typeof maxTokens === "number" && maxTokens > ceiling(model)) return overCeiling(ceiling(model))
  const made = compose(lastUserText(messages), maxTokens)
  const inputTokens = tokens(body["system"], messages)
  return {
    output: { message: { role: "assistant", content: [{ text: made.text }] } },
    stopReason: made.cut ? "max_tokens" : "end_turn",
    usage: {
      inputTokens,
      outputTokens: made.tokens,
      totalTokens: inputTokens + made.tokens,
      cacheReadInputTokenCount: 0,
      cacheWriteInputTokenCount: 0
    }
  }
}

const llama = (body: JsonObject, model: string): JsonObject | string => {
  if (body["prompt"] === undefined) return missing("prompt")
  if (typeof body["prompt"] !== "string") return malformed("#/prompt: expected type: String")
  const known = new Set(["prompt", "temperature", "top_p", "max_gen_len", "images"])
  const unknown = Object.keys(body).find((key) => !known.has(key))
  if (unknown !== undefined) return extraneous(unknown)
  if (body["max_gen_len"] !== undefined && !isWhole(body["max_gen_len"])) {
    return malformed("#/max_gen_len: expected type: Integer, found: String")
  }
  if (Number(body["max_gen_len"]) > ceiling(model)) return overCeiling(ceiling(model))
  const made = compose(body["prompt"], body["max_gen_len"] ?? 512)
  return {
    generation: made.text,
    prompt_token_count: tokens(body["prompt"]),
    generation_token_count: made.tokens,
    stop_reason: made.cut ? "length" : "stop"
  }
}

const mistralText = (body: JsonObject): JsonObject | string => {
  if (typeof body["prompt"] !== "string") return missing("prompt")
  const made = compose(body["prompt"], body["max_tokens"])
  return { outputs: [{ text: made.text, stop_reason: made.cut ? "length" : "stop" }] }
}

const chat = (body: JsonObject): { readonly messages: ReadonlyArray<unknown>; readonly cap: unknown } | string => {
  if (body["messages"] === undefined) return missing("messages")
  const messages = elements(body["messages"])
  if (messages.length === 0) return malformed("#/messages: expected minimum item count: 1, found: 0")
  const cap = body["max_completion_tokens"] ?? body["max_tokens"]
  if (cap !== undefined && cap !== null && !isWhole(cap)) {
    return malformed("#/max_tokens: expected type: Integer, found: String")
  }
  if (body["stream"] === true) return "Streaming is not supported for batch inference."
  if (body["inferenceConfig"] !== undefined) return extraneous("inferenceConfig")
  return { messages, cap }
}

const mistralChat = (body: JsonObject): JsonObject | string => {
  const read = chat(body)
  if (typeof read === "string") return read
  const made = compose(lastUserText(read.messages), read.cap)
  const message = { role: "assistant", content: made.text }
  return { choices: [{ index: 0, message, stop_reason: made.cut ? "length" : "stop" }] }
}

const openai = (body: JsonObject, model: string): JsonObject | string => {
  const read = chat(body)
  if (typeof read === "string") return read
  const { model: named } = body
  if (Model.base(model).startsWith("openai.") && named !== undefined && named !== Model.base(model)) {
    return `The model in the body (${String(named)}) is not the model of the request.`
  }
  const prompt = lastUserText(read.messages)
  const made = compose(prompt, read.cap, member(member(body["response_format"], "json_schema"), "schema"))
  const reasoning = Model.base(model).startsWith("openai.gpt-oss") ? "<reasoning>The prompt is short.</reasoning>" : ""
  const input = tokens(read.messages)
  return {
    id: `chatcmpl-${Chance.make(prompt).id(24)}`,
    object: "chat.completion",
    created: 1_767_225_600,
    model: Model.base(model),
    choices: [{
      index: 0,
      message: { role: "assistant", content: reasoning + made.text },
      finish_reason: made.cut ? "length" : "stop"
    }],
    usage: { prompt_tokens: input, completion_tokens: made.tokens, total_tokens: input + made.tokens }
  }
}

const titanText = (body: JsonObject): JsonObject | string => {
  if (typeof body["inputText"] !== "string") {
    return body["inputText"] === undefined ? missing("inputText") : malformed("#/inputText: expected type: String")
  }
  const known = new Set(["inputText", "dimensions", "normalize", "embeddingTypes"])
  const unknown = Object.keys(body).find((key) => !known.has(key))
  if (unknown !== undefined) return extraneous(unknown)
  const dimensions = body["dimensions"] ?? 1024
  if (dimensions !== 256 && dimensions !== 512 && dimensions !== 1024) {
    return malformed(`#/dimensions: ${String(dimensions)} is not a valid enum value`)
  }
  if (body["normalize"] !== undefined && typeof body["normalize"] !== "boolean") {
    return malformed("#/normalize: expected type: Boolean, found: String")
  }
  const types = body["embeddingTypes"] === undefined ? ["float"] : elements(body["embeddingTypes"])
  if (types.length === 0 || types.some((type) => type !== "float" && type !== "binary")) {
    return malformed("#/embeddingTypes: not a valid enum value")
  }
  const float = embed(body["inputText"], dimensions, body["normalize"] !== false)
  return {
    ...(types.includes("float") ? { embedding: float } : {}),
    embeddingsByType: {
      ...(types.includes("float") ? { float } : {}),
      ...(types.includes("binary") ? { binary: float.map((value) => value > 0 ? 1 : 0) } : {})
    },
    inputTextTokenCount: tokens(body["inputText"])
  }
}

const titanImage = (body: JsonObject): JsonObject | string => {
  const { inputImage, inputText } = body
  if (typeof inputText !== "string" && typeof inputImage !== "string") return missing("inputText")
  const length = member(body["embeddingConfig"], "outputEmbeddingLength") ?? 1024
  if (length !== 256 && length !== 384 && length !== 1024) {
    return malformed(`#/embeddingConfig/outputEmbeddingLength: ${String(length)} is not a valid enum value`)
  }
  const embedding = embed(`${String(inputText ?? "")}${String(inputImage ?? "")}`, length, true)
  return { embedding, inputTextTokenCount: typeof inputText === "string" ? tokens(inputText) : 0, message: null }
}

const embeddingPurposes = new Set<unknown>([
  "GENERIC_INDEX",
  "GENERIC_RETRIEVAL",
  "TEXT_RETRIEVAL",
  "IMAGE_RETRIEVAL",
  "VIDEO_RETRIEVAL",
  "DOCUMENT_RETRIEVAL",
  "AUDIO_RETRIEVAL",
  "CLASSIFICATION",
  "CLUSTERING"
])

const novaEmbeddings = (body: JsonObject): JsonObject | string => {
  if (body["taskType"] !== "SINGLE_EMBEDDING") return malformed("#/taskType: not a valid enum value")
  const params = body["singleEmbeddingParams"]
  if (!isObject(params)) return missing("singleEmbeddingParams")
  if (params["embeddingPurpose"] === undefined) return missing("embeddingPurpose")
  if (!embeddingPurposes.has(params["embeddingPurpose"])) {
    return malformed("#/singleEmbeddingParams/embeddingPurpose: not a valid enum value")
  }
  const dimension = params["embeddingDimension"] ?? 3072
  if (dimension !== 256 && dimension !== 384 && dimension !== 1024 && dimension !== 3072) {
    return malformed(`#/singleEmbeddingParams/embeddingDimension: ${String(dimension)} is not a valid enum value`)
  }
  const kinds = ["text", "image", "audio", "video"].filter((kind) => params[kind] !== undefined)
  const [kind] = kinds
  if (kind === undefined || kinds.length !== 1) {
    return malformed("#/singleEmbeddingParams: exactly one of text, image, audio, video is required")
  }
  const content = params[kind]
  const embedding = embed(JSON.stringify(content), dimension, true)
  const separate = member(content, "embeddingMode") === "AUDIO_VIDEO_SEPARATE"
  const types = kind !== "video" ? [kind.toUpperCase()] : separate ? ["VIDEO", "AUDIO"] : ["AUDIO_VIDEO_COMBINED"]
  return { embeddings: types.map((embeddingType) => ({ embeddingType, embedding })) }
}

const guess = (body: JsonObject): Model.Family =>
  body["anthropic_version"] !== undefined
    ? "anthropic"
    : body["inputText"] !== undefined
    ? "titan-text-embeddings"
    : body["inferenceConfig"] !== undefined || body["schemaVersion"] === "messages-v1"
    ? "nova"
    : typeof body["prompt"] === "string"
    ? "llama"
    : "openai"

/**
 * Answers a record: the model output, or the text of the error 400 that the record ends with.
 *
 * @since 0.1.0
 * @category answers
 */
export const answer = (request: RecordRequest): JsonObject | string => {
  const { modelId, modelInput: body } = request
  const known = Model.family(modelId)
  if (request.modelInvocationType === "Converse") {
    return known.endsWith("embeddings")
      ? `This action doesn't support the model that you provided. Try again with a supported text or chat model.`
      : converse(body, modelId)
  }
  switch (known === "unknown" ? guess(body) : known) {
    case "anthropic":
      return anthropic(body, modelId)
    case "nova":
      return nova(body, modelId)
    case "nova-embeddings":
      return novaEmbeddings(body)
    case "titan-text-embeddings":
      return titanText(body)
    case "titan-image-embeddings":
      return titanImage(body)
    case "llama":
      return llama(body, modelId)
    case "mistral-text":
      return mistralText(body)
    case "mistral-chat":
      return mistralChat(body)
    default:
      return openai(body, modelId)
  }
}
