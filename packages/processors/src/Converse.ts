/**
 * The Converse format: one request and one answer for every chat model of Bedrock, whoever made it.
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
  ["content_filtered", "refused"],
  ["guardrail_intervened", "refused"],
  ["refusal", "refused"],
  ["malformed_model_output", "malformed"],
  ["malformed_tool_use", "malformed"]
])

const contentOf = (block: Block): Json => {
  if (typeof block === "string") return { text: block }
  const { format, kind, name, source } = block
  const where = source.type === "bytes" ? { bytes: source.base64 } : { s3Location: { uri: source.uri } }
  return { [kind]: given({ format, name: kind === "document" ? name ?? "document" : undefined, source: where }) }
}

/**
 * Processor for text models through Converse, the default for all of them. `maxTokens` is sent as 1024 where it is not
 * given; `temperature`, `topP` and `stopSequences` are sent only where given; `more` becomes
 * `additionalModelRequestFields`.
 *
 * All system turns go, in order, into the one system text, an empty line between them. Neighbouring turns of one role
 * become one message. The first turn that is not a system turn must be a user turn.
 *
 * The answer is all text of the output, without reasoning. Cache reads and writes count as input tokens. Tools do not
 * work in batch inference with Converse, so `check` refuses a raw body that has a `toolConfig`.
 *
 * @since 0.1.0
 * @category families
 */
export const converse: Processor<TextAnswer> = {
  id: "converse/1",
  invocationType: "Converse",
  accepts: "chat",
  columns: TextAnswer,
  check: (request) =>
    request.type === "raw"
      ? checkRaw(request.body, ["messages"], ["modelId", "toolConfig"])
      : checkChat("Converse", request, new Map()),
  encode: (request) => {
    if (request.type === "raw") return request.body
    const { maxTokens = defaultMaxTokens, more, stopSequences, temperature, topP } = request.parameters
    const { messages, system } = conversation(turnsOf(request))
    return given({
      system: system === null ? undefined : [{ text: system }],
      messages: messages.map(({ blocks, role }) => ({ role, content: blocks.map(contentOf) })),
      inferenceConfig: given({ maxTokens, temperature, topP, stopSequences }),
      additionalModelRequestFields: more
    })
  },
  decode: (modelOutput) => {
    const stopReason = string(member(modelOutput, "stopReason")) ?? null
    const tokens = member(modelOutput, "usage")
    const usage = {
      inputTokens: count(
        member(tokens, "inputTokens"),
        member(tokens, "cacheReadInputTokens"),
        member(tokens, "cacheWriteInputTokens")
      ),
      outputTokens: count(member(tokens, "outputTokens"))
    }
    const content = array(member(member(member(modelOutput, "output"), "message"), "content"))
    if (content === undefined && stopReason === null) {
      return {
        status: "invalid",
        message: "the output is not a Converse answer: it has no output.message and no stopReason",
        raw: null,
        stopReason,
        usage
      }
    }
    const text = (content ?? []).map((block) => string(member(block, "text")) ?? "").join("")
    return readText(text, stopReason, usage, meanings)
  }
}
