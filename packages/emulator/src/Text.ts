/**
 * Made-up text that tells which prompt it answers.
 *
 * @since 0.1.0
 */
import type { Conduct } from "./internal/Behaviour.ts"
import * as Chance from "./Chance.ts"
import { elements, isObject, member, parse, valueEnd } from "./Json.ts"
import * as SampleJson from "./SampleJson.ts"

const charactersPerToken = 4
const tokensOfMedia = 500

/**
 * Joins the text of a message's content: a string, or blocks that hold `text`.
 *
 * @since 0.1.0
 * @category getters
 */
export const textOf = (content: unknown): string =>
  typeof content === "string"
    ? content
    : elements(content).map((block) => member(block, "text")).filter((text) => typeof text === "string").join("\n")

const mediaMembers = ["image", "document", "video", "audio", "image_url", "input_audio", "source"]

/** Whether a content block, in whichever family, is an image, a document, a sound or a film. */
const isMedia = (block: unknown): boolean =>
  isObject(block) && mediaMembers.some((name) => block[name] !== undefined && block[name] !== null)

/**
 * The media of a message's content as one text, empty where there is none.
 *
 * @internal
 */
export const mediaOf = (content: unknown): string => {
  const media = elements(content).filter(isMedia)
  return media.length === 0 ? "" : JSON.stringify(media)
}

const count = (value: unknown): number =>
  typeof value === "string"
    ? value.length
    : Array.isArray(value)
    ? value.reduce<number>((sum, one) => sum + count(one), 0)
    : isMedia(value)
    ? tokensOfMedia * charactersPerToken
    : isObject(value)
    ? count(value["content"] ?? value["text"] ?? "")
    : 0

/**
 * Estimates the tokens of prompts, messages or content blocks: a quarter of the characters, 500 for each image,
 * document, sound or film, at least 1.
 *
 * @since 0.1.0
 * @category getters
 */
export const tokens = (...parts: ReadonlyArray<unknown>): number => {
  const characters = parts.reduce<number>((sum, part) => sum + count(part), 0)
  return Math.max(1, Math.ceil(characters / charactersPerToken))
}

/**
 * An answer's text.
 *
 * @since 0.1.0
 * @category models
 */
export interface Composed {
  readonly text: string
  /** What was thought before, null where nothing was. */
  readonly reasoning: string | null
  /** Of the reasoning and the text. */
  readonly tokens: number
  /** Why the text ends: it is whole; `maxTokens` was reached; a stop sequence came; the model declines to answer. */
  readonly ending: "whole" | "limit" | "stop" | "refusal"
  /** The stop sequence that came. */
  readonly stop: string | null
}

/**
 * What an answer is composed of.
 *
 * @internal
 */
export interface ComposeOptions {
  readonly conduct: Conduct
  /** What else the answer depends on. */
  readonly media?: string
  /** Not looked at unless it is a number. */
  readonly maxTokens?: unknown
  /** Texts before which the answer ends. */
  readonly stops?: unknown
  /** A JSON Schema that the text satisfies. */
  readonly schema?: unknown
  /** Whether the model thinks before it answers, and what is shown of it. */
  readonly reasoning?: boolean | "redacted"
}

/** The JSON Schema that a prompt asks for in so many words, undefined where it does not. */
const schemaIn = (prompt: string): unknown => {
  const words = prompt.lastIndexOf("JSON Schema:")
  const start = words < 0 ? -1 : prompt.indexOf("{", words)
  const schema = start < 0 ? undefined : parse(prompt.slice(start, valueEnd(prompt, start)))
  return isObject(schema) && isObject(schema["properties"]) ? schema : undefined
}

const declined = "I cannot help with that request."

/**
 * Composes the answer to a prompt: the hash of prompt and media with the prompt's first words, or JSON for a JSON
 * Schema, which may stand in the prompt itself; cut where reasoning and text are longer than `maxTokens`.
 *
 * @internal
 */
export const compose = (prompt: string, options: ComposeOptions): Composed => {
  const { conduct, maxTokens, media = "", reasoning: thinks = false, schema = schemaIn(prompt) } = options
  const seed = Chance.hash(prompt + media).toString(16).padStart(8, "0")
  const words = prompt.trim().split(/\s+/, 12).join(" ").slice(0, 120)
  const whole = conduct.refused
    ? declined
    : schema === undefined
    ? `Answer ${seed} to: ${words}`
    : JSON.stringify(SampleJson.make(schema, Chance.make(seed)))
  const stops = (typeof options.stops === "string" ? [options.stops] : elements(options.stops)).filter((stop) =>
    typeof stop === "string" && stop !== "" && whole.includes(stop)
  ) as ReadonlyArray<string>
  const [stop = null] = [...stops].sort((a, b) => whole.indexOf(a) - whole.indexOf(b))
  const ended = stop === null ? whole : whole.slice(0, whole.indexOf(stop))
  const thought = thinks === false ? null : `The question is ${seed}, and its answer is short.`
  const most = typeof maxTokens === "number" ? maxTokens : Number.POSITIVE_INFINITY
  // As many as would be needed, less one.
  const limit = conduct.truncated ? Math.min(most, Math.max(1, total(thought, ended) - 1)) : most
  const reasoning = thought?.slice(0, limit * charactersPerToken) ?? null
  const left = reasoning === null ? limit : limit - tokens(reasoning)
  const text = ended.slice(0, left * charactersPerToken)
  const cut = text.length < ended.length || (reasoning?.length ?? 0) < (thought?.length ?? 0)
  return {
    text,
    reasoning: reasoning === null ? null : thinks === "redacted" ? "[REDACTED]" : reasoning,
    tokens: total(reasoning, text),
    ending: cut ? "limit" : conduct.refused ? "refusal" : stop === null ? "whole" : "stop",
    stop: cut ? null : stop
  }
}

const total = (reasoning: string | null, text: string): number =>
  reasoning === null ? tokens(text) : tokens(reasoning) + Math.ceil(text.length / charactersPerToken)
