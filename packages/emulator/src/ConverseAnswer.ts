/**
 * Converse: one request and one answer for all chat models, with the restrictions that hold in a batch.
 *
 * @since 0.1.0
 */
import type { JsonObject } from "./Json.ts"
import { elements, isObject, member, parse } from "./Json.ts"
import * as Model from "./Model.ts"
import { compose, textOf, tokens } from "./Text.ts"

/**
 * The most tokens of an answer that a Nova or Llama model takes in a request; infinity for the others.
 *
 * @since 0.1.0
 * @category limits
 */
export const ceiling = (model: string): number => {
  const id = Model.base(model)
  switch (Model.family(model)) {
    case "nova":
      return id.startsWith("amazon.nova-2-lite") ? 65_535 : 10_000
    case "llama":
      return id.startsWith("meta.llama4") ? 8192 : 2048
    default:
      return Number.POSITIVE_INFINITY
  }
}

const oneSampler = /^anthropic\.claude-(?:haiku|sonnet|opus)-4-[5-9]/
const noSampler = /^anthropic\.claude-(?:opus-4-[7-9]|opus-5|sonnet-5|fable)/

/**
 * The refusal of sampling parameters that a Claude model does not take, or null: from 4.5 on not both of them, from
 * Opus 4.7 on none but the default of 1.
 *
 * @since 0.1.0
 * @category refusals
 */
export const samplingProblem = (model: string, temperature: unknown, topP: unknown): string | null => {
  const id = Model.base(model)
  const isSet = (value: unknown) => value !== undefined && value !== null
  if (noSampler.test(id)) {
    const isOther = (value: unknown) => isSet(value) && value !== 1
    const name = isOther(temperature) ? "temperature" : isOther(topP) ? "top_p" : null
    return name === null ? null : `\`${name}\` is deprecated for this model.`
  }
  return isSet(temperature) && isSet(topP) && oneSampler.test(id)
    ? "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
    : null
}

/**
 * The refusal of a `maxTokens` above a model's limit.
 *
 * @since 0.1.0
 * @category refusals
 */
export const overCeiling = (most: number): string =>
  `The maximum tokens you requested exceeds the model limit of ${most}. ` +
  `Try again with a maximum tokens value that is lower than ${most}.`

const failed = (path: string, constraint: string) =>
  `1 validation error detected: Value at '${path}' failed to satisfy constraint: ${constraint}`

const checkMessage = (message: unknown, index: number): string | null => {
  const path = `messages.${index + 1}.member`
  const role = member(message, "role")
  if (role !== "user" && role !== "assistant" && role !== "system") {
    return failed(`${path}.role`, "Member must satisfy enum value set: [user, assistant, system]")
  }
  const content = member(message, "content")
  if (!Array.isArray(content)) return failed(`${path}.content`, "Member must be a list of content blocks")
  if (content.length === 0) {
    return "The content field in the Message object at messages is empty. " +
      "Add a ContentBlock object to the content field and try again."
  }
  for (const block of content) {
    if (!isObject(block)) return failed(`${path}.content`, "Member must be a content block")
    if (block["cachePoint"] !== undefined && block["cachePoint"] !== null) {
      return "Prompt caching is not supported for batch inference Converse requests."
    }
    if (block["type"] !== undefined) return failed(`${path}.content`, "Member must have exactly one of its members set")
    if (block["text"] !== undefined && typeof block["text"] !== "string") {
      return failed(`${path}.content`, "text must be a string")
    }
  }
  return null
}

const check = (body: JsonObject, modelId: string): string | null => {
  if (body["toolConfig"] !== undefined && body["toolConfig"] !== null) {
    return "Tool use is not supported for batch inference Converse requests."
  }
  if (body["guardrailConfig"] !== undefined && body["guardrailConfig"] !== null) {
    return "Guardrails are not supported for batch inference Converse requests."
  }
  if (!Array.isArray(body["messages"])) return failed("messages", "Member must not be null")
  if (body["messages"].length === 0) return "The messages field is empty. Add at least one message and try again."
  for (const [index, message] of body["messages"].entries()) {
    const problem = checkMessage(message, index)
    if (problem !== null) return problem
  }
  if (body["system"] !== undefined && !Array.isArray(body["system"])) {
    return failed("system", "Member must be a list of system content blocks")
  }
  if (elements(body["system"]).some((block) => member(block, "cachePoint") !== undefined)) {
    return "Prompt caching is not supported for batch inference Converse requests."
  }
  const config = body["inferenceConfig"]
  if (config !== undefined && config !== null && !isObject(config)) {
    return failed("inferenceConfig", "Member must be a structure")
  }
  const maxTokens = member(config, "maxTokens")
  if (maxTokens !== undefined && maxTokens !== null) {
    if (typeof maxTokens !== "number" || !Number.isInteger(maxTokens)) {
      return failed("inferenceConfig.maxTokens", "Member must be an integer")
    }
    if (maxTokens < 1) return failed("inferenceConfig.maxTokens", "Member must have value greater than or equal to 1")
    if (maxTokens > ceiling(modelId)) return overCeiling(ceiling(modelId))
  }
  for (const name of ["temperature", "topP"]) {
    const value = member(config, name)
    if (value === undefined || value === null) continue
    if (typeof value !== "number" || value < 0 || value > 1) {
      return failed(`inferenceConfig.${name}`, "Member must have value between 0 and 1")
    }
  }
  return samplingProblem(modelId, member(config, "temperature"), member(config, "topP"))
}

/**
 * Answers a Converse body, or gives the text of the refusal.
 *
 * @since 0.1.0
 * @category answers
 */
export const converse = (body: JsonObject, modelId: string): JsonObject | string => {
  const problem = check(body, modelId)
  if (problem !== null) return problem
  const messages = elements(body["messages"])
  const user = messages.findLast((message) => member(message, "role") === "user") ?? messages.at(-1)
  const format = member(member(body["outputConfig"], "textFormat"), "structure")
  const schema = member(member(format, "jsonSchema"), "schema")
  const made = compose(
    textOf(member(user, "content")),
    member(body["inferenceConfig"], "maxTokens") ?? undefined,
    typeof schema === "string" ? parse(schema) : schema
  )
  const inputTokens = tokens(body["system"], messages)
  return {
    output: { message: { role: "assistant", content: [{ text: made.text }] } },
    stopReason: made.cut ? "max_tokens" : "end_turn",
    usage: { inputTokens, outputTokens: made.tokens, totalTokens: inputTokens + made.tokens },
    metrics: { latencyMs: 200 + made.tokens * 10 }
  }
}

const blockMembers = [
  "text",
  "image",
  "document",
  "video",
  "audio",
  "toolUse",
  "toolResult",
  "guardContent",
  "cachePoint",
  "reasoningContent",
  "citationsContent",
  "searchResult"
]
const empty = Object.fromEntries(blockMembers.map((name) => [name, null]))

/**
 * Writes every member of each content block of a Converse answer, the absent ones as null, as Bedrock's batch output
 * does.
 *
 * @since 0.1.0
 * @category converting
 */
export const withNulls = (modelOutput: unknown): unknown => {
  const output = member(modelOutput, "output")
  const message = member(output, "message")
  const content = member(message, "content")
  if (!isObject(modelOutput) || !isObject(output) || !isObject(message) || !Array.isArray(content)) return modelOutput
  const filled = content.map((block: unknown) => isObject(block) ? { ...empty, ...block } : block)
  return { ...modelOutput, output: { ...output, message: { ...message, content: filled } } }
}
