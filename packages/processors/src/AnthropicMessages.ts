/**
 * Anthropic's own Messages format, for Claude models.
 *
 * @since 0.1.0
 */
import { checkRaw } from "./internal/Body.ts"
import {
  type Block,
  checkChat,
  conversation,
  defaultMaxTokens,
  readText,
  type StopMeaning,
  turnsOf
} from "./internal/Conversation.ts"
import { array, count, given, member, string } from "./internal/Json.ts"
import { type Json, type Processor, TextAnswer } from "./Processor.ts"

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

const contentOf = (block: Block): Json => {
  if (typeof block === "string") return { type: "text", text: block }
  const { format, kind, source } = block
  return {
    type: kind,
    source: source.type === "bytes"
      ? { type: "base64", media_type: kind === "image" ? `image/${format}` : `application/${format}`, data: source.base64 }
      : { type: "url", url: source.uri }
  }
}

/**
 * Processor for Claude models in Anthropic's Messages format: what Converse does not offer, such as `top_k`, `thinking`
 * or tools, goes into `more`, at the top of the body. Pass it as `processor`; the default for Claude is Converse.
 *
 * `anthropic_version` is always sent, and `max_tokens` too, as 1024 where `maxTokens` is not given. `temperature` and
 * `topP` are sent only where given: newer models refuse the two together, and some refuse both.
 *
 * All system turns go, in order, into the one system text, an empty line between them. Neighbouring turns of one role
 * become one message. The first turn that is not a system turn must be a user turn.
 *
 * The answer is all text of the output, without thinking. Cache reads and writes count as input tokens.
 *
 * @since 0.1.0
 * @category families
 */
export const anthropicMessages: Processor<TextAnswer> = {
  id: "anthropic-messages/1",
  invocationType: "InvokeModel",
  accepts: "chat",
  columns: TextAnswer,
  check: (request) =>
    request.type === "raw"
      ? checkRaw(request.body, ["anthropic_version", "max_tokens", "messages"], ["model", "modelId", "stream"])
      : checkChat("Anthropic Messages", request, own),
  encode: (request) => {
    if (request.type === "raw") return request.body
    const { maxTokens = defaultMaxTokens, more, stopSequences, temperature, topP } = request.parameters
    const { messages, system } = conversation(turnsOf(request))
    return {
      ...more,
      ...given({
        anthropic_version: "bedrock-2023-05-31",
        max_tokens: maxTokens,
        system: system ?? undefined,
        messages: messages.map(({ blocks, role }) => ({
          role,
          content: blocks.length === 1 && typeof blocks[0] === "string" ? blocks[0] : blocks.map(contentOf)
        })),
        temperature,
        top_p: topP,
        stop_sequences: stopSequences
      })
    }
  },
  decode: (modelOutput) => {
    const stopReason = string(member(modelOutput, "stop_reason")) ?? null
    const tokens = member(modelOutput, "usage")
    const usage = {
      inputTokens: count(
        member(tokens, "input_tokens"),
        member(tokens, "cache_read_input_tokens"),
        member(tokens, "cache_creation_input_tokens")
      ),
      outputTokens: count(member(tokens, "output_tokens"))
    }
    const content = array(member(modelOutput, "content"))
    if (content === undefined && stopReason === null) {
      return {
        status: "invalid",
        message: "the output is not an Anthropic message: it has no content and no stop_reason",
        raw: null,
        stopReason,
        usage
      }
    }
    let text = ""
    for (const block of content ?? []) {
      if (member(block, "type") === "text") text += string(member(block, "text")) ?? ""
    }
    return readText(text, stopReason, usage, meanings)
  }
}
