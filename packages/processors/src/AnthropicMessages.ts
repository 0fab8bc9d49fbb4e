/**
 * Anthropic's own Messages format, for Claude models.
 *
 * @since 0.1.0
 */
import { checkMore, checkRaw } from "./internal/Body.ts"
import { andOwn, checkChat, type Rules } from "./internal/ChatChecks.ts"
import { type Asked, type Block, conversation, turnsOf, wayOf } from "./internal/Conversation.ts"
import { array, given, member, objectIn, string } from "./internal/Json.ts"
import { takesSchema } from "./internal/ModelFamily.ts"
import { readStranger, readText, type StopMeaning, type ToolCall, usageOf } from "./internal/TextReading.ts"
import { claudeThinking, maxTokensOf, type Thinker, thinkerOf } from "./internal/Thinking.ts"
import { formats } from "./Media.ts"
import {
  type Json,
  type ModelParameters,
  type ModelRequest,
  type OutputWay,
  type Processor,
  type Reading,
  TextAnswer,
  type VectorJson
} from "./Processor.ts"

const meanings: ReadonlyMap<string, StopMeaning> = new Map([
  ["max_tokens", "truncated"],
  ["model_context_window_exceeded", "truncated"],
  ["refusal", "refused"],
  ["content_filtered", "refused"],
  ["guardrail_intervened", "refused"],
  ["pause_turn", "malformed"]
])

const own: ReadonlyMap<string, string | null> = new Map([
  ["anthropic_version", null],
  ["messages", null],
  ["model", null],
  ["stream", null],
  ["system", "a system text in the prompt"],
  ["max_tokens", "maxTokens"],
  ["temperature", "temperature"],
  ["top_p", "topP"],
  ["stop_sequences", "stopSequences"]
])

/** Documents that are sent as text, for the format has no others but PDF. */
const textDocuments = ["txt", "md", "html", "csv"]

const outputWays = (model: string): ReadonlyArray<OutputWay> =>
  takesSchema(model) === false ? ["tool", "instruction"] : ["tool", "schema", "instruction"]

/** Where the name does not reveal a Claude model, either form. */
const thinker = (model: string | undefined): Thinker | null => {
  const known = thinkerOf(model)
  return known === "none" || known === "budget" || known === "adaptive" ? known : null
}

const rules: Rules = {
  family: "Anthropic Messages",
  own,
  media: {
    image: { formats: formats.image, s3: false },
    document: { formats: ["pdf", ...textDocuments], s3: false }
  },
  stopSequences: 8191,
  ways: outputWays,
  thinker
}

const contentOf = (block: Block): Json => {
  if (typeof block === "string") return { type: "text", text: block }
  const { format, kind, name, source } = block
  const title = kind === "document" && name !== null && name !== "document" ? name : undefined
  if (source.type === "s3") return { type: kind, source: { type: "url", url: source.uri } }
  if (kind === "document" && textDocuments.includes(format)) {
    const data = Buffer.from(source.base64, "base64").toString("utf8")
    return given({ type: kind, source: { type: "text", media_type: "text/plain", data }, title })
  }
  const type = kind === "document" ? "application" : kind
  return given({ type: kind, source: { type: "base64", media_type: `${type}/${format}`, data: source.base64 }, title })
}

/** The API refuses a tool that must be called together with thinking. */
const wayIn = (request: Asked): OutputWay | null => {
  const way = wayOf(request)
  return way === "tool" && request.parameters.thinking !== undefined ? "instruction" : way
}

/** Further members of the field for the shape of an answer, the effort of thinking among them. */
const outputConfigOf = (parameters: ModelParameters): { readonly [key: string]: Json } =>
  objectIn({ ...parameters.more, ...claudeThinking(parameters) }, "output_config")

const outputFields = (request: Asked): { readonly [key: string]: Json | undefined } => {
  if (request.type === "embed" || request.output === undefined) return {}
  const { name, schema } = request.output
  switch (wayIn(request)) {
    case "tool":
      return {
        tools: [{ name, description: "Takes the answer.", input_schema: schema }],
        tool_choice: { type: "tool", name }
      }
    case "schema":
      return {
        output_config: {
          ...outputConfigOf(request.parameters),
          format: { type: "json_schema", schema }
        }
      }
    default:
      return {}
  }
}

const check = (request: ModelRequest): string | null => {
  if (request.type === "raw") {
    return checkRaw(request.body, ["anthropic_version", "max_tokens", "messages"], ["model", "modelId", "stream"])
  }
  const blank = Array.isArray(request.parameters?.stopSequences) &&
    request.parameters.stopSequences.some((text) => typeof text === "string" && text !== "" && text.trim() === "")
  if (blank) return "Claude refuses a stop sequence of nothing but whitespace"
  const byTool = wayIn(request) === "tool" && "output"
  const bySchema = wayIn(request) === "schema" && "output"
  const thinks = request.parameters?.thinking !== undefined && "thinking"
  return checkChat(rules, request, andOwn(own, { thinking: thinks, tools: byTool, tool_choice: byTool })) ??
    checkMore(
      objectIn(request.parameters.more, "output_config"),
      andOwn(new Map(), { effort: thinks, format: bySchema })
    )
}

const read = (modelOutput: VectorJson): Reading<TextAnswer> => {
  const stopReason = string(member(modelOutput, "stop_reason")) ?? null
  const tokens = member(modelOutput, "usage")
  const usage = usageOf(member(tokens, "input_tokens"), member(tokens, "output_tokens"), {
    read: member(tokens, "cache_read_input_tokens"),
    write: member(tokens, "cache_creation_input_tokens"),
    apart: true
  })
  const content = array(member(modelOutput, "content"))
  if (content === undefined && stopReason === null) {
    const what = "the output is not an Anthropic message: it has no content and no stop_reason"
    return readStranger(modelOutput, what, usage)
  }
  let text = ""
  let reasoning = ""
  const calls: Array<ToolCall> = []
  for (const block of content ?? []) {
    switch (member(block, "type")) {
      case "text":
        text += string(member(block, "text")) ?? ""
        break
      case "thinking":
        reasoning += string(member(block, "thinking")) ?? ""
        break
      case "tool_use":
        calls.push({ name: string(member(block, "name")) ?? null, input: member(block, "input") ?? null })
    }
  }
  return readText({ text, stopReason, usage, reasoning, calls }, meanings)
}

/**
 * Processor for Claude models in Anthropic's Messages format: what Converse does not offer, such as `top_k` or tools of
 * one's own, goes into `more`, at the top of the body. Pass it as `processor`; the default for Claude is Converse.
 *
 * `anthropic_version` is always sent, and `max_tokens` too, as 1024 where `maxTokens` is not given, after the budget
 * where there is `thinking`. `temperature` and `topP` are sent only where given: newer models refuse the two together,
 * and some refuse both. `thinking` takes a budget, for Claude Opus 4.7, 5 and later an effort: these think as much as
 * they see fit (adaptive), within it.
 *
 * All system turns go, in order, into the one system text, an empty line between them. Neighbouring turns of one role
 * become one message. The first turn that is not a system turn must be a user turn.
 *
 * Images are sent inline, PDF documents too; text, Markdown, HTML and CSV documents are sent as plain text. S3, sounds
 * and videos are refused by `check`.
 *
 * The shape of an answer is told by `tool`: a tool that the model must call, whose input is the answer. With
 * `thinking`, which the API refuses beside it, the model is told by instruction instead. `schema` sends
 * `output_config.format`, which Claude 4.5 and 4.6 take.
 *
 * The answer is all text of the output; thinking is kept apart. An answer without text that calls a tool is the JSON of
 * the tool's input; one that calls several, a JSON array of `{ name, input }`. Cache reads and writes count as input
 * tokens.
 *
 * @since 0.1.0
 * @category families
 * @example
 * ```ts
 * import { AnthropicMessages } from "@bedrock-batch/processors"
 *
 * AnthropicMessages.anthropicMessages.encode({
 *   type: "chat",
 *   turns: [{ role: "user", content: "Hi" }],
 *   parameters: { maxTokens: 4096, thinking: { budgetTokens: 2048 } }
 * })
 * // { anthropic_version: "bedrock-2023-05-31", max_tokens: 4096, messages: [...],
 * //   thinking: { type: "enabled", budget_tokens: 2048 } }
 * ```
 */
export const anthropicMessages: Processor<TextAnswer> = {
  id: "anthropic-messages/1",
  invocationType: "InvokeModel",
  accepts: "chat",
  columns: TextAnswer,
  outputWays,
  check,
  encode: (request) => {
    if (request.type === "raw") return request.body
    const { more, stopSequences, temperature, topP } = request.parameters
    const { messages, system } = conversation(turnsOf(request, wayIn(request)))
    return {
      ...more,
      ...given({
        anthropic_version: "bedrock-2023-05-31",
        max_tokens: maxTokensOf(request.parameters, "budget"),
        system: system ?? undefined,
        messages: messages.map(({ blocks, role }) => ({
          role,
          content: blocks.length === 1 && typeof blocks[0] === "string" ? blocks[0] : blocks.map(contentOf)
        })),
        temperature,
        top_p: topP,
        stop_sequences: stopSequences,
        ...claudeThinking(request.parameters),
        ...outputFields(request)
      })
    }
  },
  decode: read
}
