/**
 * The answer of chat completions, as OpenAI's format and Mistral's have it.
 *
 * @internal
 */
import type { Reading, TextAnswer, VectorJson } from "../Processor.ts"
import { array, member, string } from "./Json.ts"
import { readStranger, readText, type StopMeaning, type ToolCall, usageOf } from "./TextReading.ts"

const meanings: ReadonlyMap<string, StopMeaning> = new Map([
  ["length", "truncated"],
  ["max_tokens", "truncated"],
  ["model_length", "truncated"],
  ["content_filter", "refused"],
  ["content_filtered", "refused"],
  ["refusal", "refused"],
  ["error", "malformed"]
])

interface Parts {
  readonly text: string
  readonly reasoning: string
}

/** A text, or a list of parts of which some are text and some are thoughts. */
const partsOf = (content: VectorJson | undefined): Parts => {
  let text = string(content) ?? ""
  let reasoning = ""
  for (const part of array(content) ?? []) {
    const thought = member(part, "thinking")
    if (thought === undefined) text += string(member(part, "text")) ?? ""
    else reasoning += string(thought) ?? partsOf(thought).text
  }
  return { text, reasoning }
}

const open = "<reasoning>"
const close = "</reasoning>"

/** gpt-oss writes its reasoning in tags before the text; what it did not come to the end of is no answer. */
const split = (text: string): Parts => {
  const start = text.length - text.trimStart().length
  if (!text.startsWith(open, start)) return { text, reasoning: "" }
  const end = text.indexOf(close, start)
  const from = start + open.length
  return end < 0
    ? { text: "", reasoning: text.slice(from) }
    : { text: text.slice(end + close.length), reasoning: text.slice(from, end) }
}

/** Arguments are JSON as text. */
const inputOf = (input: VectorJson | undefined): VectorJson => {
  const text = string(input)
  if (text === undefined) return input ?? null
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

const callsOf = (message: VectorJson | undefined): ReadonlyArray<ToolCall> =>
  (array(member(message, "tool_calls")) ?? []).flatMap((call) => {
    const tool = member(call, "function")
    if (tool === undefined) return []
    return [{ name: string(member(tool, "name")) ?? null, input: inputOf(member(tool, "arguments")) }]
  })

/** Reads the first choice. @internal */
export const readChatCompletion = (modelOutput: VectorJson, family: string): Reading<TextAnswer> => {
  const tokens = member(modelOutput, "usage")
  const usage = usageOf(member(tokens, "prompt_tokens"), member(tokens, "completion_tokens"), {
    read: member(member(tokens, "prompt_tokens_details"), "cached_tokens"),
    apart: false
  })
  const choice = array(member(modelOutput, "choices"))?.[0]
  const message = member(choice, "message")
  const stopReason = string(member(choice, "finish_reason")) ?? string(member(choice, "stop_reason")) ?? null
  if (message === undefined && stopReason === null) {
    return readStranger(modelOutput, `the output is not an answer of ${family}: it has no choice with a message`, usage)
  }
  const parts = partsOf(member(message, "content"))
  const { reasoning, text } = split(parts.text)
  const told = string(member(message, "reasoning_content")) ?? string(member(message, "reasoning")) ?? ""
  return readText({
    text,
    stopReason,
    usage,
    reasoning: told + parts.reasoning + reasoning,
    calls: callsOf(message),
    refusal: string(member(message, "refusal"))
  }, meanings)
}
