/**
 * Made-up text that tells which prompt it answers.
 *
 * @since 0.1.0
 */
import * as Chance from "./Chance.ts"
import { elements, member } from "./Json.ts"
import * as SampleJson from "./SampleJson.ts"

const charactersPerToken = 4

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

const count = (value: unknown): number =>
  typeof value === "string"
    ? value.length
    : Array.isArray(value)
    ? value.reduce<number>((sum, one) => sum + count(one), 0)
    : Math.max(count(textOf(member(value, "content"))), count(member(value, "text") ?? ""))

/**
 * Estimates the tokens of prompts, messages or content blocks: a quarter of the characters, at least 1.
 *
 * @since 0.1.0
 * @category getters
 */
export const tokens = (...parts: ReadonlyArray<unknown>): number => {
  const characters = parts.reduce<number>((sum, part) => part === undefined ? sum : sum + count(part), 0)
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
  readonly tokens: number
  /** Whether the text ends because `maxTokens` was reached. */
  readonly cut: boolean
}

/**
 * Composes the answer to a prompt: the prompt's hash and first words, or JSON for a JSON Schema (also one in text
 * form); cut where it is longer than `maxTokens`, if that is a number.
 *
 * @since 0.1.0
 * @category constructors
 */
export const compose = (prompt: string, maxTokens: unknown, schema?: unknown): Composed => {
  const seed = Chance.hash(prompt).toString(16).padStart(8, "0")
  const words = prompt.trim().split(/\s+/, 12).join(" ").slice(0, 120)
  const whole = schema === undefined
    ? `Answer ${seed} to: ${words}`
    : JSON.stringify(SampleJson.make(schema, Chance.make(seed)))
  const limit = typeof maxTokens === "number" ? maxTokens * charactersPerToken : Number.POSITIVE_INFINITY
  const text = whole.slice(0, limit)
  return { text, tokens: tokens(text), cut: text.length < whole.length }
}
