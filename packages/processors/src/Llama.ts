/**
 * Meta Llama's own format: one prompt, written with the model's template.
 *
 * @since 0.2.0
 */
import { checkRaw } from "./internal/Body.ts"
import { checkChat, type Rules } from "./internal/ChatChecks.ts"
import { conversation, type Message, textOf, turnsOf } from "./internal/Conversation.ts"
import { given, member, string } from "./internal/Json.ts"
import { isLlama4, known } from "./internal/ModelFamily.ts"
import { readStranger, readText, type StopMeaning, usageOf } from "./internal/TextReading.ts"
import { maxTokensOf } from "./internal/Thinking.ts"
import { formats } from "./Media.ts"
import { type ModelRequest, type Processor, TextAnswer } from "./Processor.ts"

const meanings: ReadonlyMap<string, StopMeaning> = new Map([
  ["length", "truncated"],
  ["content_filter", "refused"],
  ["content_filtered", "refused"]
])

const own: ReadonlyMap<string, string | null> = new Map([
  ["prompt", null],
  ["images", "images in the prompt"],
  ["max_gen_len", "maxTokens"],
  ["temperature", "temperature"],
  ["top_p", "topP"]
])

const rules: Rules = {
  family: "Llama",
  own,
  media: { image: { formats: formats.image, s3: false } },
  stopSequences: 0,
  ways: () => ["instruction"],
  thinker: () => "none"
}

interface Template {
  readonly header: (role: string) => string
  readonly end: string
}

const llama3: Template = { header: (role) => `<|start_header_id|>${role}<|end_header_id|>\n\n`, end: "<|eot_id|>" }

const llama4: Template = { header: (role) => `<|header_start|>${role}<|header_end|>\n\n`, end: "<|eot|>" }

/** The beginning of a special token of the template; a space inside makes it text. */
const special = /<\|(?=[A-Za-z0-9_]+\|>)/g

const plain = (text: string): string => text.replace(special, "< |")

const contentOf = (message: Message): string => {
  const images = message.blocks.filter((block) => typeof block !== "string" && block.kind === "image")
  return "<|image|>".repeat(images.length) + plain(textOf(message))
}

/** A last assistant turn is left open, so that the model goes on from it. */
const promptOf = ({ end, header }: Template, system: string | null, messages: ReadonlyArray<Message>): string => {
  const turns = messages.map((message) => header(message.role) + contentOf(message))
  const closed = [...(system === null ? [] : [header("system") + plain(system)]), ...turns].join(end)
  return `<|begin_of_text|>${closed}${messages.at(-1)?.role === "assistant" ? "" : end + header("assistant")}`
}

/** Documented for Llama 3; seen enforced for Llama 4. */
const mostTokens = (model: string | undefined): number =>
  known(model)?.maxOutputTokens ?? (isLlama4(model) ? 8192 : 2048)

const check = (request: ModelRequest): string | null => {
  if (request.type === "raw") return checkRaw(request.body, ["prompt"], ["modelId", "messages", "max_tokens"])
  const problem = checkChat(rules, request)
  if (problem !== null) return problem
  const { maxTokens } = request.parameters
  const most = mostTokens(request.model)
  return maxTokens !== undefined && maxTokens > most && request.model !== undefined
    ? `maxTokens must be at most ${most} for the model ${request.model}, not ${maxTokens}`
    : null
}

/**
 * Processor for Llama models in their own format; the default for them is Converse. It writes the prompt with the
 * template of the model: that of Llama 4 where `model` names one, that of Llama 3 otherwise. `maxTokens` is sent as
 * 1024 where it is not given (at most 2048, Llama 4: 8192); `temperature` and `topP` only where given. There are no
 * stop sequences. `more` goes to the top of the body.
 *
 * No text can end its turn or speak for another role: where a text holds a special token of the template, such as
 * `<|eot_id|>`, it is written with a space in it, `< |eot_id|>`. All other texts are sent as they are.
 *
 * All system turns go, in order, into the one system turn, an empty line between them. The first turn that is not a
 * system turn must be a user turn; from a last assistant turn the model goes on. Images are sent inline, to models that
 * see (Llama 3.2 11B and 90B, Llama 4).
 *
 * The shape of an answer is told by instruction.
 *
 * @since 0.2.0
 * @category families
 * @example
 * ```ts
 * import { Llama } from "@bedrock-batch/processors"
 *
 * Llama.llama.encode({
 *   type: "chat",
 *   turns: [{ role: "user", content: "Hi" }],
 *   parameters: {},
 *   model: "meta.llama3-1-8b-instruct-v1:0"
 * })
 * // { prompt: "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>" +
 * //     "<|start_header_id|>assistant<|end_header_id|>\n\n", max_gen_len: 1024 }
 * ```
 */
export const llama: Processor<TextAnswer> = {
  id: "llama/1",
  invocationType: "InvokeModel",
  accepts: "chat",
  columns: TextAnswer,
  outputWays: rules.ways,
  "~@bedrock-batch/processors/changesTexts": true,
  check,
  encode: (request) => {
    if (request.type === "raw") return request.body
    const { more, temperature, topP } = request.parameters
    const { messages, system } = conversation(turnsOf(request))
    const images = messages.flatMap(({ blocks }) =>
      blocks.flatMap((block) =>
        typeof block !== "string" && block.kind === "image" && block.source.type === "bytes"
          ? [block.source.base64]
          : []
      )
    )
    return {
      ...more,
      ...given({
        prompt: promptOf(isLlama4(request.model) ? llama4 : llama3, system, messages),
        max_gen_len: maxTokensOf(request.parameters, "none"),
        temperature,
        top_p: topP,
        images: images.length === 0 ? undefined : images
      })
    }
  },
  decode: (modelOutput) => {
    const stopReason = string(member(modelOutput, "stop_reason")) ?? null
    const usage = usageOf(member(modelOutput, "prompt_token_count"), member(modelOutput, "generation_token_count"))
    const text = string(member(modelOutput, "generation"))
    if (text === undefined && stopReason === null) {
      const what = "the output is not a Llama answer: it has no generation and no stop_reason"
      return readStranger(modelOutput, what, usage)
    }
    return readText({ text: text ?? "", stopReason, usage }, meanings)
  }
}
