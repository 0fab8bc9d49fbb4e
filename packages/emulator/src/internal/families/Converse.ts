/**
 * Converse: one request and one answer for all chat models, with the restrictions that hold in a batch.
 *
 * @internal
 */
import * as Chance from "../../Chance.ts"
import { elements, isObject, member, parse } from "../../Json.ts"
import * as Model from "../../Model.ts"
import { compose, mediaOf, textOf, tokens } from "../../Text.ts"
import { signature, unknownField } from "./Anthropic.ts"
import { blockMembers, blockProblem, failed } from "./ConverseBlocks.ts"
import { type Asked, type Family, inputOf, isGiven } from "./Family.ts"
import { subsetProblem } from "./SchemaSubset.ts"
import { ceiling, isHeldToSchema, overCeiling, samplingProblem, thinkingOf } from "./Traps.ts"

const noCaching = "Prompt caching is not supported for batch inference Converse requests."

const messageProblem = (message: unknown, index: number, asked: Asked): string | null => {
  const path = `messages.${index + 1}.member`
  const role = member(message, "role")
  if (role !== "user" && role !== "assistant" && role !== "system") {
    return failed(`${path}.role`, "Member must satisfy enum value set: [user, assistant, system]")
  }
  const content = member(message, "content")
  if (!Array.isArray(content)) return failed(`${path}.content`, "Member must be a list of content blocks")
  if (content.length === 0) {
    return "The content field in the Message object at messages is empty. " +
      "Add a ContentBlock object to the content field and try again."
  }
  for (const [place, block] of content.entries()) {
    if (isGiven(member(block, "cachePoint"))) return noCaching
    const problem = blockProblem(block, `${path}.content.${place + 1}.member`, role, asked)
    if (problem !== null) return problem
  }
  const documents = content.filter((block) => isGiven(member(block, "document")))
  if (documents.length > 5) return "A message can include up to 5 documents."
  if (documents.length > 0 && textOf(content) === "") {
    return "A text block must be included with documents in the content of a message."
  }
  return content.filter((block) => isGiven(member(block, "image"))).length > 20
    ? "A message can include up to 20 images."
    : null
}

const systemProblem = (system: unknown): string | null => {
  if (!isGiven(system)) return null
  if (!Array.isArray(system)) return failed("system", "Member must be a list of system content blocks")
  for (const [index, block] of system.entries()) {
    if (isGiven(member(block, "cachePoint"))) return noCaching
    if (!isGiven(member(block, "text")) && !isGiven(member(block, "guardContent"))) {
      return failed(`system.${index + 1}.member`, "Member must have exactly one of its members set")
    }
    if (member(block, "text") === "") {
      return failed(`system.${index + 1}.member.text`, "Member must have length greater than or equal to 1")
    }
  }
  return null
}

const configProblem = (config: unknown, modelId: string): string | null => {
  if (!isGiven(config)) return null
  if (!isObject(config)) return failed("inferenceConfig", "Member must be a structure")
  const { maxTokens, stopSequences } = config
  if (isGiven(maxTokens)) {
    if (typeof maxTokens !== "number" || !Number.isInteger(maxTokens)) {
      return failed("inferenceConfig.maxTokens", "Member must be an integer")
    }
    if (maxTokens < 1) return failed("inferenceConfig.maxTokens", "Member must have value greater than or equal to 1")
    if (maxTokens > ceiling(modelId)) return overCeiling(ceiling(modelId))
  }
  for (const name of ["temperature", "topP"]) {
    const value = config[name]
    if (isGiven(value) && (typeof value !== "number" || value < 0 || value > 1)) {
      return failed(`inferenceConfig.${name}`, "Member must have value between 0 and 1")
    }
  }
  if (!isGiven(stopSequences)) return null
  if (!Array.isArray(stopSequences) || stopSequences.some((stop) => typeof stop !== "string" || stop === "")) {
    return failed("inferenceConfig.stopSequences", "Member must be a list of texts of at least 1 character")
  }
  return stopSequences.length > 2500
    ? failed("inferenceConfig.stopSequences", "Member must have length less than or equal to 2500")
    : null
}

const outputProblem = (config: unknown, modelId: string): string | null => {
  const format = member(config, "textFormat")
  if (!isGiven(format)) return null
  if (member(format, "type") !== "json_schema") {
    return failed("outputConfig.textFormat.type", "Member must satisfy enum value set: [json_schema]")
  }
  const schema = member(member(member(format, "structure"), "jsonSchema"), "schema")
  const path = "outputConfig.textFormat.structure.jsonSchema.schema"
  if (typeof schema !== "string") return failed(path, "Member must be a string")
  const parsed = parse(schema)
  if (!isObject(parsed)) return failed(path, "Member must be a JSON Schema")
  if (!isHeldToSchema(modelId)) return "This model doesn't support structured outputs in the outputConfig field."
  return Model.family(modelId) === "anthropic" ? subsetProblem(parsed, "output_config.format.schema") : null
}

const bodyProblem = (asked: Asked): string | null => {
  const { body, modelId } = asked
  if (isGiven(body["toolConfig"])) return "Tool use is not supported for batch inference Converse requests."
  if (isGiven(body["guardrailConfig"])) return "Guardrails are not supported for batch inference Converse requests."
  const { messages } = body
  if (!Array.isArray(messages)) return failed("messages", "Member must not be null")
  if (messages.length === 0) return "The messages field is empty. Add at least one message and try again."
  for (const [index, message] of messages.entries()) {
    const problem = messageProblem(message, index, asked)
    if (problem !== null) return problem
  }
  if (member(messages[0], "role") === "assistant") {
    return "A conversation must start with a user message. Try again with a conversation that starts with a user " +
      "message."
  }
  const fields = body["additionalModelRequestFields"]
  if (isGiven(fields) && !isObject(fields)) return failed("additionalModelRequestFields", "Member must be a structure")
  if (elements(body["additionalModelResponseFieldPaths"]).length > 10) {
    return failed("additionalModelResponseFieldPaths", "Member must have length less than or equal to 10")
  }
  const config = body["inferenceConfig"]
  const extra = isObject(fields) && Model.family(modelId) === "anthropic" ? unknownField(fields) : null
  return systemProblem(body["system"]) ??
    configProblem(config, modelId) ??
    samplingProblem(modelId, member(config, "temperature"), member(config, "topP")) ??
    extra ??
    outputProblem(body["outputConfig"], modelId)
}

const endings = { whole: "end_turn", limit: "max_tokens", stop: "stop_sequence", refusal: "content_filtered" }

/** @internal */
export const converse: Family = (asked) => {
  const { body, conduct, modelId, prompt } = asked
  const problem = bodyProblem(asked)
  if (problem !== null) return problem
  const config = body["inferenceConfig"]
  const maxTokens = member(config, "maxTokens")
  const fields = body["additionalModelRequestFields"]
  const reasoning = thinkingOf(modelId, isObject(fields) ? fields : {}, {
    maxTokens,
    temperature: member(config, "temperature"),
    topP: member(config, "topP"),
    forced: false
  })
  if (typeof reasoning === "string" && reasoning !== "redacted") return reasoning
  const messages = elements(body["messages"])
  const schema = member(member(member(member(body["outputConfig"], "textFormat"), "structure"), "jsonSchema"), "schema")
  const made = compose(prompt, {
    conduct,
    media: messages.map((message) => mediaOf(member(message, "content"))).join(""),
    maxTokens,
    reasoning,
    schema: typeof schema === "string" ? parse(schema) : undefined,
    stops: member(config, "stopSequences")
  })
  const signed = Model.family(modelId) === "anthropic" ? { signature: signature(Chance.make(prompt)) } : {}
  const thought = made.reasoning === null
    ? []
    : [{ reasoningContent: { reasoningText: { text: made.reasoning, ...signed } } }]
  const input = inputOf(tokens(textOf(body["system"]), messages), conduct)
  return {
    output: {
      message: {
        role: "assistant",
        content: made.text === "" && thought.length > 0 ? thought : [...thought, { text: made.text }]
      }
    },
    stopReason: endings[made.ending],
    usage: {
      inputTokens: input.fresh,
      outputTokens: made.tokens,
      totalTokens: input.fresh + input.read + input.written + made.tokens,
      cacheReadInputTokens: input.read,
      cacheWriteInputTokens: input.written
    },
    metrics: { latencyMs: 200 + made.tokens * 10 }
  }
}

const empty = (members: ReadonlyArray<string>) => Object.fromEntries(members.map((name) => [name, null]))
const emptyBlock = empty(blockMembers)
const emptyThought = empty(["reasoningText", "redactedContent"])

const filledBlock = (block: unknown): unknown => {
  if (!isObject(block)) return block
  const thought = block["reasoningContent"]
  return {
    ...emptyBlock,
    ...block,
    ...(isObject(thought) ? { reasoningContent: { ...emptyThought, ...thought } } : {})
  }
}

/**
 * Writes every member of each content block of a Converse answer, the absent ones as null, and of the union inside it,
 * as Bedrock's batch output does.
 *
 * @internal
 */
export const withNulls = (modelOutput: unknown): unknown => {
  const output = member(modelOutput, "output")
  const message = member(output, "message")
  const content = member(message, "content")
  if (!isObject(modelOutput) || !isObject(output) || !isObject(message) || !Array.isArray(content)) return modelOutput
  return { ...modelOutput, output: { ...output, message: { ...message, content: content.map(filledBlock) } } }
}
