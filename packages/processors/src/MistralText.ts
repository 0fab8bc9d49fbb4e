/**
 * Mistral AI's own text format, of Mistral Small (24.02): one prompt, written with the model's template.
 *
 * @since 0.2.0
 */
import { checkRaw } from "./internal/Body.ts"
import { checkChat, type Rules } from "./internal/ChatChecks.ts"
import { conversation, type Message, textOf, turnsOf } from "./internal/Conversation.ts"
import { array, given, member, string } from "./internal/Json.ts"
import { readStranger, readText, type StopMeaning, usageOf } from "./internal/TextReading.ts"
import { maxTokensOf } from "./internal/Thinking.ts"
import { type Processor, TextAnswer } from "./Processor.ts"

const meanings: ReadonlyMap<string, StopMeaning> = new Map([
  ["length", "truncated"],
  ["model_length", "truncated"],
  ["content_filtered", "refused"]
])

const rules: Rules = {
  family: "Mistral text",
  own: new Map([
    ["prompt", null],
    ["stream", null],
    ["max_tokens", "maxTokens"],
    ["stop", "stopSequences"],
    ["temperature", "temperature"],
    ["top_p", "topP"]
  ]),
  media: {},
  stopSequences: 10,
  ways: () => ["instruction"],
  thinker: () => "none"
}

/** The beginning of a control token of the template; a space inside makes it text. */
const control = /\[(?=\/?[A-Z_]{2,32}\])|<(?=\/?s>)/g

const plain = (text: string): string => text.replace(control, "$& ")

/** The system text stands before that of the first user turn. A last assistant turn is left open. */
const promptOf = (system: string | null, messages: ReadonlyArray<Message>): string => {
  let prompt = "<s>"
  messages.forEach((message, index) => {
    const text = textOf(message)
    if (message.role === "assistant") {
      prompt += ` ${plain(text)}${index === messages.length - 1 ? "" : "</s> "}`
    } else {
      prompt += `[INST] ${plain(index === 0 && system !== null ? `${system}\n\n${text}` : text)} [/INST]`
    }
  })
  return prompt
}

/**
 * Processor for Mistral Small (24.02) in Mistral's text format; the default for it is Converse. `maxTokens` is sent as
 * 1024 where it is not given; `temperature`, `topP` and `stopSequences` (at most 10) only where given. `more` goes to
 * the top of the body (`top_k`).
 *
 * The prompt is written with the model's template, `<s>[INST] ... [/INST]`. No text can end its turn or speak for the
 * other role: where a text holds a control token of the template, `[INST]`, `[/INST]`, `<s>`, `</s>` or another word in
 * capitals in brackets, it is written with a space after the bracket, `[ /INST]`. All other texts are sent as they are.
 *
 * The format has no system text: all system turns stand, an empty line between them, before the text of the first user
 * turn. The first turn that is not a system turn must be a user turn; from a last assistant turn the model goes on.
 * Media is refused by `check`.
 *
 * The shape of an answer is told by instruction. The model tells no token counts.
 *
 * @since 0.2.0
 * @category families
 * @example
 * ```ts
 * import { MistralText } from "@bedrock-batch/processors"
 *
 * MistralText.mistralText.encode({ type: "chat", turns: [{ role: "user", content: "Hi" }], parameters: {} })
 * // { prompt: "<s>[INST] Hi [/INST]", max_tokens: 1024 }
 * ```
 */
export const mistralText: Processor<TextAnswer> = {
  id: "mistral-text/1",
  invocationType: "InvokeModel",
  accepts: "chat",
  columns: TextAnswer,
  outputWays: rules.ways,
  "~@bedrock-batch/processors/changesTexts": true,
  check: (request) =>
    request.type === "raw"
      ? checkRaw(request.body, ["prompt"], ["modelId", "messages", "stream"])
      : checkChat(rules, request),
  encode: (request) => {
    if (request.type === "raw") return request.body
    const { more, stopSequences, temperature, topP } = request.parameters
    const { messages, system } = conversation(turnsOf(request))
    return {
      ...more,
      ...given({
        prompt: promptOf(system, messages),
        max_tokens: maxTokensOf(request.parameters, "none"),
        stop: stopSequences,
        temperature,
        top_p: topP
      })
    }
  },
  decode: (modelOutput) => {
    const usage = usageOf(undefined, undefined)
    const output = array(member(modelOutput, "outputs"))?.[0]
    const text = string(member(output, "text"))
    const stopReason = string(member(output, "stop_reason")) ?? null
    return text === undefined && stopReason === null
      ? readStranger(modelOutput, "the output is not an answer of Mistral text: it has no outputs with a text", usage)
      : readText({ text: text ?? "", stopReason, usage }, meanings)
  }
}
