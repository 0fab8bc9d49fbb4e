/**
 * What single models refuse, in whichever format they are asked.
 *
 * @internal
 */
import type { JsonObject } from "../../Json.ts"
import { member } from "../../Json.ts"
import * as Model from "../../Model.ts"
import { isGiven } from "./Family.ts"

/**
 * The most tokens of an answer that a Nova or Llama model takes in a request; infinity for the others.
 *
 * @internal
 */
export const ceiling = (modelId: string): number => {
  const id = Model.base(modelId)
  switch (Model.family(modelId)) {
    case "nova":
      return id.startsWith("amazon.nova-2-lite") ? 65_535 : 10_000
    case "llama":
      return id.startsWith("meta.llama4") ? 8192 : 2048
    default:
      return Number.POSITIVE_INFINITY
  }
}

/**
 * The refusal of a `maxTokens` above a model's limit.
 *
 * @internal
 */
export const overCeiling = (most: number): string =>
  `The maximum tokens you requested exceeds the model limit of ${most}. ` +
  `Try again with a maximum tokens value that is lower than ${most}.`

const oneSampler = /^anthropic\.claude-(?:haiku|sonnet|opus)-4-[5-9]/
const noSampler = /^anthropic\.claude-(?:opus-4-[7-9]|opus-5|sonnet-5|fable)/

/**
 * The refusal of sampling parameters that a Claude model does not take, or null: from 4.5 on not both of them, from
 * Opus 4.7 on none but the default of 1.
 *
 * @internal
 */
export const samplingProblem = (modelId: string, temperature: unknown, topP: unknown): string | null => {
  const id = Model.base(modelId)
  if (noSampler.test(id)) {
    const isOther = (value: unknown) => isGiven(value) && value !== 1
    const name = isOther(temperature) ? "temperature" : isOther(topP) ? "top_p" : null
    return name === null ? null : `\`${name}\` is deprecated for this model.`
  }
  return isGiven(temperature) && isGiven(topP) && oneSampler.test(id)
    ? "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
    : null
}

const adaptive = /^anthropic\.claude-(?:(?:opus|sonnet)-4-6|opus-4-[7-9]|opus-5|sonnet-5|fable)/
const adaptiveAlone = noSampler
const thoughtless = /^anthropic\.claude-(?:3-(?!7)|v2|instant)/
const effort = ["low", "medium", "high"]

/**
 * Whether a model thinks before it answers a request with these fields of its own, or how it refuses them.
 *
 * @internal
 */
export const thinkingOf = (
  modelId: string,
  fields: JsonObject,
  sampling: {
    readonly maxTokens: unknown
    readonly temperature: unknown
    readonly topP: unknown
    /** Whether a tool must be called. */
    readonly forced: boolean
  }
): boolean | "redacted" | string => {
  const id = Model.base(modelId)
  if (Model.family(modelId) === "anthropic") {
    const thinking = fields["thinking"]
    // Opus 5 thinks unless it is told not to.
    if (!isGiven(thinking)) return /^anthropic\.claude-opus-5/.test(id) && !sampling.forced
    return claudeThinking(id, thinking, fields, sampling)
  }
  if (id.startsWith("amazon.nova-2-")) {
    const config = fields["reasoningConfig"] ?? member(fields["inferenceConfig"], "reasoningConfig")
    if (!isGiven(config) || member(config, "type") === "disabled") return false
    if (member(config, "type") !== "enabled") return "The type of a reasoningConfig must be enabled or disabled."
    const most = member(config, "maxReasoningEffort")
    if (typeof most !== "string" || !effort.includes(most)) {
      return "The maxReasoningEffort of a reasoningConfig must be low, medium or high."
    }
    return most === "high" && [sampling.maxTokens, sampling.temperature, sampling.topP].some(isGiven)
      ? "maxTokens, temperature and topP must be unset when maxReasoningEffort is high."
      : "redacted"
  }
  const wanted = fields["reasoning_effort"]
  if (isGiven(wanted) && !(typeof wanted === "string" && effort.includes(wanted))) {
    return "reasoning_effort: Input should be 'low', 'medium' or 'high'"
  }
  return /^(?:openai\.gpt-oss|moonshot\.kimi-k2-thinking|minimax\.minimax-m2)/.test(id)
}

const claudeThinking = (
  id: string,
  thinking: unknown,
  fields: JsonObject,
  { forced, maxTokens, temperature, topP }: Parameters<typeof thinkingOf>[2]
): boolean | string => {
  const type = member(thinking, "type")
  if (type === "disabled") return false
  if (type !== "enabled" && type !== "adaptive") {
    return `thinking: Input tag '${String(type)}' found using 'type' does not match any of the expected tags: ` +
      "'adaptive', 'disabled', 'enabled'"
  }
  if (thoughtless.test(id) || (type === "adaptive" && !adaptive.test(id))) {
    return `thinking.type: "${type}" thinking is not supported for this model.`
  }
  if (type === "enabled") {
    if (adaptiveAlone.test(id)) {
      return "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and " +
        "\"output_config.effort\" to control thinking behavior."
    }
    const budget = member(thinking, "budget_tokens")
    if (budget === undefined) return "thinking.enabled.budget_tokens: Field required"
    if (typeof budget !== "number" || !Number.isInteger(budget)) {
      return "thinking.enabled.budget_tokens: Input should be a valid integer"
    }
    if (budget < 1024) return "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
    if (typeof maxTokens === "number" && budget >= maxTokens) {
      return "`max_tokens` must be greater than `thinking.budget_tokens`."
    }
  }
  if (isGiven(temperature) && temperature !== 1) return "`temperature` may only be set to 1 when thinking is enabled."
  if (typeof topP === "number" && topP < 0.95) {
    return "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled."
  }
  if (isGiven(fields["top_k"])) return "`top_k` must be unset when thinking is enabled."
  return forced ? "Thinking may not be enabled when tool_choice forces tool use." : true
}

const heldToSchema = /^anthropic\.claude-(?:haiku-4-[5-9]|(?:opus|sonnet)-(?:4-[5-9]|5))/
const notHeldToSchema = /^(?:anthropic|amazon|meta)\.|^mistral\.mistral-(?:small-2402|large-2407)/

/**
 * Whether a model can be held to a JSON Schema, by the table of the documentation; one that is not known can.
 *
 * @internal
 */
export const isHeldToSchema = (modelId: string): boolean => {
  const id = Model.base(modelId)
  return Model.family(modelId) === "unknown" || heldToSchema.test(id) || !notHeldToSchema.test(id)
}
