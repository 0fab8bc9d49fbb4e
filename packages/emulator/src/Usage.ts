/**
 * The tokens that an answer says it took, in whichever family's words.
 *
 * @since 0.1.0
 */
import { member } from "./Json.ts"

const inputNames = ["inputTokens", "input_tokens", "prompt_tokens", "prompt_token_count", "inputTextTokenCount"]
const outputNames = ["outputTokens", "output_tokens", "completion_tokens", "generation_token_count"]

const cacheReadNames = ["cacheReadInputTokens", "cacheReadInputTokenCount", "cache_read_input_tokens"]
const cacheWriteNames = ["cacheWriteInputTokens", "cacheWriteInputTokenCount", "cache_creation_input_tokens"]

const count = (modelOutput: unknown, names: ReadonlyArray<string>): number => {
  const usage = member(modelOutput, "usage")
  for (const name of names) {
    const value = member(usage, name) ?? member(modelOutput, name)
    if (typeof value === "number") return value
  }
  return 0
}

/**
 * Returns the input tokens of an answer, 0 where it tells none.
 *
 * @since 0.1.0
 * @category getters
 */
export const inputTokens = (modelOutput: unknown): number => count(modelOutput, inputNames)

/**
 * Returns the output tokens of an answer, 0 where it tells none.
 *
 * @since 0.1.0
 * @category getters
 */
export const outputTokens = (modelOutput: unknown): number => count(modelOutput, outputNames)

/**
 * Returns the input tokens of an answer that were read from a prompt cache, 0 where it tells none.
 *
 * @since 0.2.0
 * @category getters
 */
export const cacheReadTokens = (modelOutput: unknown): number => count(modelOutput, cacheReadNames)

/**
 * Returns the input tokens of an answer that were written to a prompt cache, 0 where it tells none.
 *
 * @since 0.2.0
 * @category getters
 */
export const cacheWriteTokens = (modelOutput: unknown): number => count(modelOutput, cacheWriteNames)
