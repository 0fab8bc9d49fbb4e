/**
 * Mistral AI's own chat format, of Mistral Large (24.07).
 *
 * @since 0.2.0
 */
import { checkRaw } from "./internal/Body.ts"
import { checkChat, type Rules } from "./internal/ChatChecks.ts"
import { readChatCompletion } from "./internal/ChatCompletion.ts"
import { conversation, textOf, turnsOf } from "./internal/Conversation.ts"
import { given } from "./internal/Json.ts"
import { maxTokensOf } from "./internal/Thinking.ts"
import { type Processor, TextAnswer } from "./Processor.ts"

const rules: Rules = {
  family: "Mistral chat",
  own: new Map([
    ["messages", "the prompt"],
    ["stream", null],
    ["max_tokens", "maxTokens"],
    ["temperature", "temperature"],
    ["top_p", "topP"]
  ]),
  media: {},
  stopSequences: 0,
  ways: () => ["instruction"],
  thinker: () => "none"
}

/**
 * Processor for Mistral Large (24.07) in Mistral's chat format; the default for it is Converse. Newer Mistral models
 * have OpenAI's format (`OpenAiChat`). `maxTokens` is sent as 1024 where it is not given, `temperature` and `topP` only
 * where given; the format has no stop sequences. `more` goes to the top of the body (`tools`, `tool_choice`).
 *
 * All system turns go, in order, into one system message, an empty line between them, and neighbouring turns of one
 * role into one message likewise. The first turn that is not a system turn must be a user turn. Media is refused by `check`.
 *
 * The shape of an answer is told by instruction. An answer without text that calls a tool is the JSON of the tool's
 * arguments; one that calls several, a JSON array of `{ name, input }`. The model tells no token counts.
 *
 * @since 0.2.0
 * @category families
 * @example
 * ```ts
 * import { MistralChat } from "@bedrock-batch/processors"
 *
 * MistralChat.mistralChat.encode({ type: "chat", turns: [{ role: "user", content: "Hi" }], parameters: {} })
 * // { messages: [{ role: "user", content: "Hi" }], max_tokens: 1024 }
 * ```
 */
export const mistralChat: Processor<TextAnswer> = {
  id: "mistral-chat/1",
  invocationType: "InvokeModel",
  accepts: "chat",
  columns: TextAnswer,
  outputWays: rules.ways,
  check: (request) =>
    request.type === "raw"
      ? checkRaw(request.body, ["messages"], ["modelId", "stream"])
      : checkChat(rules, request),
  encode: (request) => {
    if (request.type === "raw") return request.body
    const { more, temperature, topP } = request.parameters
    const { messages, system } = conversation(turnsOf(request))
    return {
      ...more,
      ...given({
        messages: [
          ...(system === null ? [] : [{ role: "system", content: system }]),
          ...messages.map((message) => ({ role: message.role, content: textOf(message) }))
        ],
        max_tokens: maxTokensOf(request.parameters, "none"),
        temperature,
        top_p: topP
      })
    }
  },
  decode: (modelOutput) => readChatCompletion(modelOutput, "Mistral chat")
}
