/**
 * What Converse and Nova's own format share: content blocks, and the form of an answer.
 *
 * @internal
 */
import type { Json, Reading, TextAnswer, VectorJson } from "../Processor.ts"
import type { Media } from "../Prompt.ts"
import type { Message } from "./Conversation.ts"
import { array, given, member, string } from "./Json.ts"
import { readStranger, readText, type StopMeaning, type ToolCall, usageOf } from "./TextReading.ts"

const refusedInNames = /[^\p{L}\p{N} \-()[\]]+/gu

/** A document's name as Bedrock takes it: letters, digits, single spaces, hyphens, parentheses and brackets. */
const legalName = (name: string | null): string => {
  const legal = (name ?? "").replace(refusedInNames, "-").replace(/ {2,}/g, " ").trim().slice(0, 200)
  return legal === "" ? "document" : legal
}

/** Documents of one request must have different names. */
const namesOf = (): (name: string | null) => string => {
  const taken = new Set<string>()
  return (name) => {
    const legal = legalName(name)
    let unique = legal
    for (let number = 2; taken.has(unique); number++) unique = `${legal} (${number})`
    taken.add(unique)
    return unique
  }
}

const mediaBlock = ({ format, kind, name, source }: Media, nameOf: (name: string | null) => string): Json => ({
  [kind]: given({
    format,
    name: kind === "document" ? nameOf(name) : undefined,
    source: source.type === "bytes" ? { bytes: source.base64 } : { s3Location: { uri: source.uri } }
  })
})

/** The messages of a conversation, each a list of content blocks. @internal */
export const messagesOf = (messages: ReadonlyArray<Message>): ReadonlyArray<Json> => {
  const nameOf = namesOf()
  return messages.map(({ blocks, role }) => ({
    role,
    content: blocks.map((block) => typeof block === "string" ? { text: block } : mediaBlock(block, nameOf))
  }))
}

const meanings: ReadonlyMap<string, StopMeaning> = new Map([
  ["max_tokens", "truncated"],
  ["model_context_window_exceeded", "truncated"],
  ["content_filtered", "refused"],
  ["guardrail_intervened", "refused"],
  ["refusal", "refused"],
  ["malformed_model_output", "malformed"],
  ["malformed_tool_use", "malformed"]
])

/** The text of a block; that of cited passages is part of the answer. */
const textOf = (block: VectorJson): string =>
  string(member(block, "text")) ??
    (array(member(member(block, "citationsContent"), "content")) ?? [])
      .map((part) => string(member(part, "text")) ?? "").join("")

const callOf = (block: VectorJson): ReadonlyArray<ToolCall> => {
  const tool = member(block, "toolUse")
  if (tool === undefined) return []
  return [{ name: string(member(tool, "name")) ?? null, input: member(tool, "input") ?? null }]
}

/**
 * Reads an answer. Blocks of Bedrock's batch output have a null for each member that they do not have, and blocks that
 * are not known are passed over. With `tools`, tools that the model wants called are the answer where it has no text.
 *
 * @internal
 */
export const readConverse = (
  modelOutput: VectorJson,
  family: string,
  options: { readonly tools: boolean }
): Reading<TextAnswer> => {
  const stopReason = string(member(modelOutput, "stopReason")) ?? null
  const tokens = member(modelOutput, "usage")
  const usage = usageOf(member(tokens, "inputTokens"), member(tokens, "outputTokens"), {
    read: member(tokens, "cacheReadInputTokens") ?? member(tokens, "cacheReadInputTokenCount"),
    write: member(tokens, "cacheWriteInputTokens") ?? member(tokens, "cacheWriteInputTokenCount"),
    apart: true
  })
  const content = array(member(member(member(modelOutput, "output"), "message"), "content"))
  if (content === undefined && stopReason === null) {
    const what = `the output is not a ${family} answer: it has no output.message and no stopReason`
    return readStranger(modelOutput, what, usage)
  }
  const blocks = content ?? []
  const reasoning = blocks.map((block) =>
    string(member(member(member(block, "reasoningContent"), "reasoningText"), "text")) ?? ""
  ).join("")
  const calls = options.tools ? blocks.flatMap(callOf) : []
  return readText({ text: blocks.map(textOf).join(""), stopReason, usage, reasoning, calls }, meanings)
}
