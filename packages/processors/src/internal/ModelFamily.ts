/**
 * Which family's own body a model takes, and what is sure of single models.
 *
 * @internal
 */
import { type BatchModel, type Family, find } from "../Catalogue.ts"
import { baseModel } from "../ModelId.ts"
import type { OutputWay } from "../Processor.ts"

/** For models that the catalogue does not have yet. */
const families: ReadonlyArray<readonly [ids: RegExp, family: Family]> = [
  [/^anthropic\./, "anthropic-messages"],
  [/^amazon\.titan-embed-text/, "titan-text-embeddings"],
  [/^amazon\.titan-embed-image/, "titan-multimodal-embeddings"],
  [/^amazon\.nova-(?:[0-9]+-)?multimodal-embeddings/, "nova-multimodal-embeddings"],
  [/^amazon\.nova-/, "nova"],
  [/^meta\.llama/, "llama"],
  [/^mistral\.mistral-large-24/, "mistral-chat"],
  [/^mistral\.(?:mistral-small-2402|mistral-7b|mixtral)/, "mistral-text"],
  [/^(?:deepseek|google|minimax|mistral|moonshot|moonshotai|nvidia|openai|qwen|writer|zai)\./, "openai-chat"]
]

/** Null where the name does not reveal the model, or the model is of none of them. @internal */
export const familyOf = (model: string | undefined): Family | null => {
  const base = model === undefined ? undefined : baseModel(model)
  if (model === undefined || base === undefined) return null
  return find(model)?.family ?? families.find(([ids]) => ids.test(base))?.[1] ?? null
}

/** Models that are documented to take text alone. */
const blind: ReadonlyArray<RegExp> = [
  /^amazon\.nova-micro/,
  /^meta\.llama3-(?:[13]-|2-[13]b)/,
  /^mistral\.mistral-(?:large-2407|small-2402)/,
  /^openai\.gpt-oss/,
  /^deepseek\./
]

/** Whether it is sure that a model takes nothing but text. @internal */
export const isBlind = (model: string | undefined): boolean => {
  const base = model === undefined ? undefined : baseModel(model)
  return base !== undefined && blind.some((ids) => ids.test(base))
}

const llama4 = /^meta\.llama(?:[4-9]|[1-9][0-9])/

/** Whether a model has the prompt template of Llama 4, which later ones are expected to keep. @internal */
export const isLlama4 = (model: string | undefined): boolean => {
  const base = model === undefined ? undefined : baseModel(model)
  return base !== undefined && llama4.test(base)
}

/**
 * Whether a model takes a JSON Schema for its answer; null where that is not known. Of the models in the catalogue of
 * which it does not say so, those with OpenAI's format may, since their engine does.
 *
 * @internal
 */
export const takesSchema = (model: string): boolean | null => {
  const entry = find(model)
  return entry === null ? null : entry.structuredOutput ?? (entry.family === "openai-chat" ? null : false)
}

/** The ways of a family that has a field for a JSON Schema, which comes last where it is not sure. @internal */
export const waysBySchema = (model: string): ReadonlyArray<OutputWay> => {
  const takes = takesSchema(model)
  return takes === null ? ["instruction", "schema"] : takes ? ["schema", "instruction"] : ["instruction"]
}

/** What is known of a model; null where nothing is. @internal */
export const known = (model: string | undefined): BatchModel | null => model === undefined ? null : find(model)
