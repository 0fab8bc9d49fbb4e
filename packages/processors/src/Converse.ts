/**
 * The Converse format: one request and one answer for every chat model of Bedrock, whoever made it.
 *
 * @since 0.1.0
 */
import { checkMore, checkRaw } from "./internal/Body.ts"
import { andOwn, checkChat, type Rules } from "./internal/ChatChecks.ts"
import { conversation, turnsOf, wayOf } from "./internal/Conversation.ts"
import { messagesOf, readConverse } from "./internal/ConverseShape.ts"
import { given, objectIn } from "./internal/Json.ts"
import { waysBySchema } from "./internal/ModelFamily.ts"
import { schemaText } from "./internal/OutputInstruction.ts"
import {
  budgetOf,
  claudeThinking,
  effortOf,
  maxTokensOf,
  novaReasoning,
  type Thinker,
  thinkerOf
} from "./internal/Thinking.ts"
import { formats } from "./Media.ts"
import {
  type Json,
  type ModelParameters,
  type ModelRequest,
  type Processor,
  TextAnswer
} from "./Processor.ts"

const own: ReadonlyMap<string, string | null> = new Map()

const rules: Rules = {
  family: "Converse",
  own,
  media: {
    image: { formats: formats.image, s3: true },
    document: { formats: formats.document, s3: true, besideText: true },
    audio: { formats: formats.audio, s3: true },
    video: { formats: formats.video, s3: true }
  },
  stopSequences: 2500,
  ways: waysBySchema,
  thinker: thinkerOf
}

const thinkingFields = (parameters: ModelParameters, thinker: Thinker | null): { readonly [key: string]: Json } => {
  switch (thinker) {
    case "budget":
    case "adaptive":
      return claudeThinking(parameters)
    case "nova-effort":
      return given({ reasoningConfig: novaReasoning(parameters) })
    default:
      return budgetOf(parameters) === undefined
        ? given({ reasoning_effort: effortOf(parameters) })
        : claudeThinking(parameters)
  }
}

const check = (request: ModelRequest): string | null => {
  if (request.type === "raw") return checkRaw(request.body, ["messages"], ["modelId", "toolConfig"])
  const thinks = request.parameters?.thinking !== undefined && "thinking"
  const set = andOwn(own, { thinking: thinks, reasoningConfig: thinks, reasoning_effort: thinks })
  return checkChat(rules, request, set) ??
    checkMore(objectIn(request.parameters.more, "output_config"), andOwn(own, { effort: thinks }))
}

/**
 * Processor for text models through Converse, the default for all of them. `maxTokens` is sent as 1024 where it is not
 * given; `temperature`, `topP` and `stopSequences` are sent only where given; `more` becomes
 * `additionalModelRequestFields`.
 *
 * All system turns go, in order, into the one system text, an empty line between them. Neighbouring turns of one role
 * become one message. The first turn that is not a system turn must be a user turn.
 *
 * Images, documents, sounds and videos are sent as bytes, or by reference where they lie in S3. A document needs a text
 * beside it. Names of documents are made legal (letters, digits, single spaces, hyphens, parentheses and brackets) and
 * different from each other.
 *
 * `thinking` becomes the field of the model's own: `thinking` for Claude (then `maxTokens` is, where it is not given,
 * 1024 more than the budget), adaptive thinking with an effort for Claude Opus 4.7, 5 and later, `reasoningConfig` for
 * Nova 2 (with high effort no `maxTokens` is sent, since Nova refuses
 * it), `reasoning_effort` for models of OpenAI's format. Where the name does not reveal the model, a budget is sent as
 * Claude has it, and an effort as OpenAI.
 *
 * The shape of an answer is told by `schema` (`outputConfig.textFormat`) to models that are known to take one, else by
 * instruction. Tools do not work in batch inference with Converse, so `check` refuses a raw body that has a
 * `toolConfig`.
 *
 * The answer is all text of the output; reasoning is kept apart. Cache reads and writes count as input tokens.
 *
 * @since 0.1.0
 * @category families
 * @example
 * ```ts
 * import { Converse } from "@bedrock-batch/processors"
 *
 * Converse.converse.encode({
 *   type: "chat",
 *   turns: [{ role: "user", content: "Tell me a joke." }],
 *   parameters: { maxTokens: 200 }
 * })
 * // { messages: [{ role: "user", content: [{ text: "Tell me a joke." }] }], inferenceConfig: { maxTokens: 200 } }
 * ```
 */
export const converse: Processor<TextAnswer> = {
  id: "converse/1",
  invocationType: "Converse",
  accepts: "chat",
  columns: TextAnswer,
  outputWays: waysBySchema,
  check,
  encode: (request) => {
    if (request.type === "raw") return request.body
    const { more, stopSequences, temperature, topP } = request.parameters
    const { messages, system } = conversation(turnsOf(request))
    const thinker = request.parameters.thinking === undefined ? null : thinkerOf(request.model)
    const thinking = thinkingFields(request.parameters, thinker)
    const output = request.type === "chat" && wayOf(request) === "schema" ? request.output : undefined
    return given({
      system: system === null ? undefined : [{ text: system }],
      messages: messagesOf(messages),
      inferenceConfig: given({ maxTokens: maxTokensOf(request.parameters, thinker), temperature, topP, stopSequences }),
      additionalModelRequestFields: Object.keys(thinking).length === 0 ? more : { ...more, ...thinking },
      outputConfig: output === undefined ? undefined : {
        textFormat: {
          type: "json_schema",
          structure: { jsonSchema: { schema: schemaText(output), name: output.name } }
        }
      }
    })
  },
  decode: (modelOutput) => readConverse(modelOutput, "Converse", { tools: false })
}
