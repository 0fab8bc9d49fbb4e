/**
 * Thinking before the answer: which models take which form of it, and its default for the length of an answer.
 *
 * @internal
 */
import { baseModel } from "../ModelId.ts"
import type { Json, ModelParameters } from "../Processor.ts"
import { objectIn } from "./Json.ts"
import { familyOf } from "./ModelFamily.ts"

/**
 * How a model is told to think: by a budget of tokens (Claude), by an effort in the form of newer Claude models, of
 * Nova or of OpenAI, or not at all.
 *
 * @internal
 */
export type Thinker = "budget" | "adaptive" | "nova-effort" | "effort" | "none"

const defaultMaxTokens = 1024
const leastBudget = 1024
const efforts: ReadonlyArray<unknown> = ["low", "medium", "high"]

const thoughtlessClaude = /^anthropic\.claude-(?:v2|instant|3-(?:haiku|sonnet|opus|5))/
const adaptiveClaude = /^anthropic\.claude-(?:opus-(?:4-[7-9]|[5-9])|(?:sonnet|haiku)-[5-9]|fable)/
const thinkingNova = /^amazon\.nova-(?:[2-9]|[1-9][0-9])-/

/** Null where the model is not known. @internal */
export const thinkerOf = (model: string | undefined): Thinker | null => {
  const base = model === undefined ? undefined : baseModel(model)
  if (base === undefined) return null
  switch (familyOf(model)) {
    case "anthropic-messages":
      return thoughtlessClaude.test(base) ? "none" : adaptiveClaude.test(base) ? "adaptive" : "budget"
    case "nova":
      return thinkingNova.test(base) ? "nova-effort" : "none"
    case "openai-chat":
      return "effort"
    case null:
      return null
    default:
      return "none"
  }
}

/** @internal */
export const budgetOf = ({ thinking }: ModelParameters): number | undefined =>
  thinking !== undefined && "budgetTokens" in thinking ? thinking.budgetTokens : undefined

/** @internal */
export const effortOf = ({ thinking }: ModelParameters): string | undefined =>
  thinking !== undefined && "effort" in thinking ? thinking.effort : undefined

/** The fields of Claude's own request; none where it is not to think. @internal */
export const claudeThinking = (parameters: ModelParameters): { readonly [key: string]: Json } => {
  const budget = budgetOf(parameters)
  const effort = effortOf(parameters)
  if (budget !== undefined) return { thinking: { type: "enabled", budget_tokens: budget } }
  return effort === undefined
    ? {}
    : { thinking: { type: "adaptive" }, output_config: { ...objectIn(parameters.more, "output_config"), effort } }
}

/** The field of Nova's own request; undefined where it is not to think. @internal */
export const novaReasoning = (parameters: ModelParameters): Json | undefined => {
  const effort = effortOf(parameters)
  return effort === undefined ? undefined : { type: "enabled", maxReasoningEffort: effort }
}

/**
 * What is sent as the most tokens of an answer: where it is not given, 1024 after the thinking budget; nothing for Nova
 * with high effort, which refuses it.
 *
 * @internal
 */
export const maxTokensOf = (parameters: ModelParameters, thinker: Thinker | null): number | undefined => {
  if (parameters.maxTokens !== undefined) return parameters.maxTokens
  if (thinker === "nova-effort" && effortOf(parameters) === "high") return undefined
  return (budgetOf(parameters) ?? 0) + defaultMaxTokens
}

const checkBudget = (budget: unknown, { maxTokens, temperature, topP }: ModelParameters): string | null => {
  if (typeof budget !== "number" || !Number.isSafeInteger(budget) || budget < leastBudget) {
    return `thinking.budgetTokens must be a whole number of at least ${leastBudget}`
  }
  if (maxTokens !== undefined && maxTokens <= budget) {
    return "maxTokens must be more than thinking.budgetTokens, which is part of it: " +
      `${maxTokens} is not more than ${budget}`
  }
  if (temperature !== undefined && temperature !== 1) {
    return `a Claude model that thinks takes no temperature but 1, not ${temperature}`
  }
  return topP !== undefined && topP < 0.95 ? `a Claude model that thinks takes no topP below 0.95, not ${topP}` : null
}

const checkEffort = (effort: unknown, thinker: Thinker | null, parameters: ModelParameters): string | null => {
  if (!efforts.includes(effort)) return "thinking.effort must be \"low\", \"medium\" or \"high\""
  if (thinker !== "nova-effort" || effort !== "high") return null
  for (const key of ["maxTokens", "temperature", "topP"] as const) {
    if (parameters[key] !== undefined) return `Nova refuses ${key} together with thinking.effort "high": leave it out`
  }
  return null
}

/** Says what is wrong with `thinking`; `thinker` is what the model takes, null where it is not known. @internal */
export const checkThinking = (parameters: ModelParameters, thinker: Thinker | null): string | null => {
  const thinking: unknown = parameters.thinking
  if (thinking === undefined) return null
  const members = typeof thinking === "object" && thinking !== null ? new Map(Object.entries(thinking)) : new Map()
  const [key] = members.keys()
  if (members.size !== 1 || (key !== "budgetTokens" && key !== "effort")) {
    return "thinking must be an object with budgetTokens or effort"
  }
  if (thinker === "none") return "the model is not one that thinks: leave thinking out"
  if (key === "budgetTokens") {
    return thinker === null || thinker === "budget"
      ? checkBudget(members.get(key), parameters)
      : "the model takes thinking.effort, not thinking.budgetTokens"
  }
  return thinker === "budget"
    ? "this Claude model takes thinking.budgetTokens, not thinking.effort"
    : checkEffort(members.get(key), thinker, parameters)
}
