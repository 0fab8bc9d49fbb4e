/**
 * OpenAI's chat completions, which gpt-oss and most open models on Bedrock have as their own format.
 *
 * @since 0.2.0
 */
import { checkRaw } from "./internal/Body.ts"
import { andOwn, checkChat, type Rules } from "./internal/ChatChecks.ts"
import { readChatCompletion } from "./internal/ChatCompletion.ts"
import { type Block, conversation, type Message, textOf, turnsOf, wayOf } from "./internal/Conversation.ts"
import { given } from "./internal/Json.ts"
import { waysBySchema } from "./internal/ModelFamily.ts"
import { effortOf, maxTokensOf } from "./internal/Thinking.ts"
import { formats } from "./Media.ts"
import { type Json, type ModelRequest, type Processor, TextAnswer } from "./Processor.ts"

const own: ReadonlyMap<string, string | null> = new Map([
  ["messages", "the prompt"],
  ["model", null],
  ["stream", null],
  ["max_completion_tokens", "maxTokens"],
  ["max_tokens", "maxTokens"],
  ["temperature", "temperature"],
  ["top_p", "topP"],
  ["stop", "stopSequences"]
])

const rules: Rules = {
  family: "OpenAI chat",
  own,
  media: {
    image: { formats: formats.image, s3: false },
    audio: { formats: ["mp3", "wav"], s3: false }
  },
  stopSequences: Number.POSITIVE_INFINITY,
  ways: waysBySchema,
  thinker: () => "effort"
}

const partOf = (block: Block): Json => {
  if (typeof block === "string") return { type: "text", text: block }
  const { format, kind, source } = block
  const content = source.type === "bytes" ? source.base64 : source.uri
  if (kind === "audio") return { type: "input_audio", input_audio: { data: content, format } }
  const type = kind === "image" ? `image/${format}` : `application/${format}`
  return { type: "image_url", image_url: { url: source.type === "bytes" ? `data:${type};base64,${content}` : content } }
}

const contentOf = (message: Message): Json =>
  message.blocks.every((block) => typeof block === "string") ? textOf(message) : message.blocks.map(partOf)

const check = (request: ModelRequest): string | null =>
  request.type === "raw"
    ? checkRaw(request.body, ["messages"], ["modelId", "stream", "inferenceConfig"])
    : checkChat(
      rules,
      request,
      andOwn(own, {
        reasoning_effort: request.parameters?.thinking !== undefined && "thinking",
        response_format: wayOf(request) === "schema" && "output"
      })
    )

/**
 * Processor for models with OpenAI's chat completions as their own format: gpt-oss, Qwen, DeepSeek V3, Gemma, GLM,
 * Kimi, MiniMax, Nemotron, and the newer Mistral models (Large 3, Ministral, Magistral, Devstral, Voxtral). The default
 * for them is Converse.
 *
 * `maxTokens` is sent as `max_completion_tokens`, 1024 where it is not given; reasoning counts among these tokens, so
 * that small numbers end some answers before they begin. `temperature`, `topP` and `stopSequences` are sent only where
 * given. `more` goes to the top of the body. `thinking: { effort }` becomes `reasoning_effort`.
 *
 * All system turns go, in order, into one system message, an empty line between them, and neighbouring turns of one
 * role into one message likewise. The first turn that is not a system turn must be a user turn. Images are sent inline
 * to models that see, as `image_url` with a `data:` URL, MP3 and WAV sounds to those that hear (Voxtral), as
 * `input_audio`; documents, videos and S3 are refused by `check`.
 *
 * The shape of an answer is told by `schema` (`response_format`) to models that are known to take one, else by
 * instruction.
 *
 * Reasoning is kept apart from the answer: what stands in `<reasoning>` tags before the text, as gpt-oss writes it, or
 * in `reasoning_content` or `reasoning`. An answer that was cut off in its reasoning is truncated and empty. An answer
 * without text that calls a tool is the JSON of the tool's arguments; one that calls several, a JSON array of
 * `{ name, input }`. Input tokens that were read from a cache are told where the model tells them.
 *
 * @since 0.2.0
 * @category families
 * @example
 * ```ts
 * import { OpenAiChat } from "@bedrock-batch/processors"
 *
 * OpenAiChat.openAiChat.encode({
 *   type: "chat",
 *   turns: [{ role: "user", content: "Hi" }],
 *   parameters: { maxTokens: 4096, thinking: { effort: "low" } }
 * })
 * // { messages: [{ role: "user", content: "Hi" }], max_completion_tokens: 4096, reasoning_effort: "low" }
 * ```
 */
export const openAiChat: Processor<TextAnswer> = {
  id: "openai-chat/1",
  invocationType: "InvokeModel",
  accepts: "chat",
  columns: TextAnswer,
  outputWays: waysBySchema,
  check,
  encode: (request) => {
    if (request.type === "raw") return request.body
    const { more, stopSequences, temperature, topP } = request.parameters
    const { messages, system } = conversation(turnsOf(request))
    const output = request.type === "chat" && wayOf(request) === "schema" ? request.output : undefined
    return {
      ...more,
      ...given({
        messages: [
          ...(system === null ? [] : [{ role: "system", content: system }]),
          ...messages.map((message) => ({ role: message.role, content: contentOf(message) }))
        ],
        max_completion_tokens: maxTokensOf(request.parameters, "effort"),
        temperature,
        top_p: topP,
        stop: stopSequences,
        reasoning_effort: effortOf(request.parameters),
        response_format: output === undefined ? undefined : {
          type: "json_schema",
          json_schema: { name: output.name, schema: output.schema, strict: true }
        }
      })
    }
  },
  decode: (modelOutput) => readChatCompletion(modelOutput, "OpenAI chat")
}
