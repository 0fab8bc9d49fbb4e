/**
 * Amazon Nova's own format, for its understanding models (Micro, Lite, Pro, Premier, 2 Lite).
 *
 * @since 0.2.0
 */
import { checkMore, checkRaw } from "./internal/Body.ts"
import { andOwn, checkChat, type Rules } from "./internal/ChatChecks.ts"
import { conversation, turnsOf } from "./internal/Conversation.ts"
import { messagesOf, readConverse } from "./internal/ConverseShape.ts"
import { given, objectIn } from "./internal/Json.ts"
import { maxTokensOf, novaReasoning, type Thinker, thinkerOf } from "./internal/Thinking.ts"
import { formats } from "./Media.ts"
import { type ModelRequest, type Processor, TextAnswer } from "./Processor.ts"

const own: ReadonlyMap<string, string | null> = new Map([
  ["schemaVersion", null],
  ["messages", null],
  ["system", "a system text in the prompt"]
])

const ownConfig: ReadonlyMap<string, string | null> = new Map([
  ["maxTokens", "maxTokens"],
  ["temperature", "temperature"],
  ["topP", "topP"],
  ["stopSequences", "stopSequences"]
])

/** A model whose name does not reveal it is taken for one of Nova 2. */
const thinker = (model: string | undefined): Thinker => thinkerOf(model) === "none" ? "none" : "nova-effort"

const rules: Rules = {
  family: "Nova",
  own,
  media: {
    image: { formats: formats.image, s3: true },
    document: { formats: formats.document, s3: true },
    audio: { formats: formats.audio, s3: true },
    video: { formats: formats.video, s3: true }
  },
  stopSequences: Number.POSITIVE_INFINITY,
  ways: () => ["instruction"],
  thinker
}

const check = (request: ModelRequest): string | null => {
  if (request.type === "raw") {
    return checkRaw(request.body, ["messages"], ["modelId", "max_tokens", "anthropic_version"])
  }
  const thinks = request.parameters?.thinking !== undefined && "thinking"
  return checkChat(rules, request) ??
    checkMore(objectIn(request.parameters.more, "inferenceConfig"), andOwn(ownConfig, { reasoningConfig: thinks }))
}

/**
 * Processor for Amazon Nova's understanding models in their own format; the default for them is Converse, whose answers
 * are the same. `maxTokens` is sent as 1024 where it is not given; `temperature`, `topP` and `stopSequences` are sent
 * only where given. `more` goes to the top of the body (`toolConfig`), and its `inferenceConfig` beside the parameters,
 * for `topK`: `more: { inferenceConfig: { topK: 20 } }`.
 *
 * All system turns go, in order, into the one system text, an empty line between them. Neighbouring turns of one role
 * become one message. The first turn that is not a system turn must be a user turn.
 *
 * Images, documents, sounds and videos are sent as bytes, or by reference where they lie in S3; Nova Micro takes none.
 *
 * `thinking: { effort }` becomes `reasoningConfig` of Nova 2. With high effort Nova refuses `maxTokens`, `temperature`
 * and `topP`: none is sent then.
 *
 * The shape of an answer is told by instruction. An answer without text that calls a tool is the JSON of the tool's
 * input; one that calls several, a JSON array of `{ name, input }`. Reasoning is kept apart. Cache reads and writes
 * count as input tokens.
 *
 * @since 0.2.0
 * @category families
 * @example
 * ```ts
 * import { Nova } from "@bedrock-batch/processors"
 *
 * Nova.nova.encode({
 *   type: "chat",
 *   turns: [{ role: "user", content: "Hi" }],
 *   parameters: { maxTokens: 100 }
 * })
 * // { schemaVersion: "messages-v1", messages: [{ role: "user", content: [{ text: "Hi" }] }],
 * //   inferenceConfig: { maxTokens: 100 } }
 * ```
 */
export const nova: Processor<TextAnswer> = {
  id: "nova/1",
  invocationType: "InvokeModel",
  accepts: "chat",
  columns: TextAnswer,
  outputWays: rules.ways,
  check,
  encode: (request) => {
    if (request.type === "raw") return request.body
    const { more, stopSequences, temperature, topP } = request.parameters
    const { messages, system } = conversation(turnsOf(request))
    const maxTokens = maxTokensOf(request.parameters, "nova-effort")
    return {
      ...more,
      ...given({
        schemaVersion: "messages-v1",
        system: system === null ? undefined : [{ text: system }],
        messages: messagesOf(messages),
        inferenceConfig: {
          ...objectIn(more, "inferenceConfig"),
          ...given({ maxTokens, temperature, topP, stopSequences, reasoningConfig: novaReasoning(request.parameters) })
        }
      })
    }
  },
  decode: (modelOutput) => readConverse(modelOutput, "Nova", { tools: true })
}
