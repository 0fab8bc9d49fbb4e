/**
 * Claude models in Anthropic's Messages format.
 *
 * @internal
 */
import * as Chance from "../../Chance.ts"
import type { JsonObject } from "../../Json.ts"
import { elements, isObject, member, parse } from "../../Json.ts"
import * as Model from "../../Model.ts"
import { type Composed, compose, mediaOf, textOf, tokens } from "../../Text.ts"
import { problemOf } from "../Media.ts"
import { type Family, firstOf, inputOf, isGiven, unknownKey } from "./Family.ts"
import { subsetProblem } from "./SchemaSubset.ts"
import { isHeldToSchema, samplingProblem, thinkingOf } from "./Traps.ts"

const keys = new Set([
  "anthropic_version",
  "anthropic_beta",
  "max_tokens",
  "messages",
  "system",
  "temperature",
  "top_p",
  "top_k",
  "stop_sequences",
  "tools",
  "tool_choice",
  "thinking",
  "output_config",
  "output_format",
  "context_management",
  "metadata",
  "mcp_servers",
  "container"
])

/**
 * The fields of a Messages body that Converse hands on from `additionalModelRequestFields`.
 *
 * @internal
 */
export const unknownField = (fields: JsonObject): string | null => {
  const unknown = unknownKey(fields, keys)
  return unknown === undefined ? null : `${unknown}: Extra inputs are not permitted`
}

const blockTypes = [
  "document",
  "image",
  "redacted_thinking",
  "search_result",
  "server_tool_use",
  "text",
  "thinking",
  "tool_result",
  "tool_use"
]

const mediaProblem = (kind: "image" | "document", source: unknown, at: string): string | null => {
  const path = `${at}.${kind}.source`
  if (!isObject(source)) return `${path}: Field required`
  const { data, media_type: mediaType, type } = source
  if (kind === "document" && (type === "text" || type === "content")) return null
  if (type !== "base64") {
    return `${path}: Input tag '${String(type)}' found using 'type' does not match any of the expected tags: 'base64'`
  }
  const types = kind === "image" ? ["image/jpeg", "image/png", "image/gif", "image/webp"] : ["application/pdf"]
  if (typeof mediaType !== "string" || !types.includes(mediaType)) {
    const [last, ...others] = [...types].reverse().map((one) => `'${one}'`)
    const list = others.length === 0 ? last : `${others.reverse().join(", ")} or ${last}`
    return `${path}.base64.media_type: Input should be ${list}`
  }
  const problem = problemOf(data, mediaType.slice(mediaType.indexOf("/") + 1))
  if (problem === null) return null
  if (problem === "base64") return `${path}.base64: invalid base64 data`
  if (kind === "document") return `${path}.base64.data: The PDF specified was not valid.`
  return problem === "unreadable"
    ? `${path}.base64.data: Could not process image`
    : `${path}.base64.data: The image was specified using the ${mediaType} media type, but the image appears to be a ` +
      `image/${problem.is} image`
}

const blockProblem = (block: unknown, at: string): string | null => {
  if (!isObject(block)) return `${at}: Input should be a valid dictionary`
  const { text, type } = block
  if (type === undefined) return `${at}.type: Field required`
  if (typeof type !== "string" || !blockTypes.includes(type)) {
    const tags = blockTypes.map((tag) => `'${tag}'`).join(", ")
    return `${at}: Input tag '${String(type)}' found using 'type' does not match any of the expected tags: ${tags}`
  }
  if (type === "text") {
    if (text === undefined) return `${at}.text.text: Field required`
    if (typeof text !== "string") return `${at}.text.text: Input should be a valid string`
    return text === "" ? "messages: text content blocks must be non-empty" : null
  }
  return type === "image" || type === "document" ? mediaProblem(type, block["source"], at) : null
}

const messagesProblem = (messages: unknown): string | null => {
  if (messages === undefined) return "messages: Field required"
  if (!Array.isArray(messages)) return "messages: Input should be a valid list"
  if (messages.length === 0) return "messages: at least one message is required"
  for (const [index, message] of messages.entries()) {
    const { content, role } = isObject(message) ? message : {}
    if (role === "system") {
      return "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter, not " +
        "\"system\" as an input message role."
    }
    if (role !== "user" && role !== "assistant") return `messages.${index}.role: Input should be 'user' or 'assistant'`
    if (typeof content !== "string" && !Array.isArray(content)) return `messages.${index}.content: Field required`
    if (content.length === 0 && (role === "user" || index < messages.length - 1)) {
      return `messages.${index}: all messages must have non-empty content except for the optional final assistant ` +
        "message"
    }
    for (const [place, block] of elements(content).entries()) {
      const problem = blockProblem(block, `messages.${index}.content.${place}`)
      if (problem !== null) return problem
    }
  }
  return member(messages[0], "role") === "assistant" ? "messages: first message must use the \"user\" role" : null
}

const numberProblem = (name: string, value: unknown): string | null =>
  value === undefined
    ? null
    : typeof value !== "number"
    ? `${name}: Input should be a valid number`
    : value < 0 || value > 1
    ? `${name}: range: 0..1`
    : null

const fieldsProblem = (body: JsonObject): string | null => {
  if (body["anthropic_version"] === undefined) return "anthropic_version: Field required"
  if (body["anthropic_version"] !== "bedrock-2023-05-31") {
    return "anthropic_version: Input should be 'bedrock-2023-05-31'"
  }
  const most = body["max_tokens"]
  if (most === undefined) return "max_tokens: Field required"
  if (typeof most !== "number" || !Number.isInteger(most)) return "max_tokens: Input should be a valid integer"
  if (most < 1) return "max_tokens: Input should be greater than or equal to 1"
  const stops = body["stop_sequences"]
  if (stops !== undefined && !Array.isArray(stops)) return "stop_sequences: Input should be a valid list"
  if (elements(stops).some((stop) => typeof stop !== "string" || stop.trim() === "")) {
    return "stop_sequences: each stop sequence must contain non-whitespace"
  }
  return firstOf(
    messagesProblem(body["messages"]),
    unknownField(body),
    numberProblem("temperature", body["temperature"]),
    numberProblem("top_p", body["top_p"])
  )
}

interface Tool {
  readonly name: string
  readonly schema: unknown
}

/** The tool that must be called, null where none must. */
const forcedTool = ({ tool_choice: choice, tools }: JsonObject): Tool | null | string => {
  const all = elements(tools)
  for (const [index, tool] of all.entries()) {
    // Anthropic's own tools have a type, and no schema.
    if (typeof member(tool, "type") === "string" && member(tool, "type") !== "custom") continue
    const name = member(tool, "name")
    if (name === undefined) return `tools.${index}.custom.name: Field required`
    if (!/^[a-zA-Z0-9_-]{1,128}$/.test(String(name))) {
      return `tools.${index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'`
    }
    const schema = member(tool, "input_schema")
    if (schema === undefined) return `tools.${index}.custom.input_schema: Field required`
    if (member(schema, "type") !== "object") return `tools.${index}.custom.input_schema.type: Input should be 'object'`
  }
  if (!isGiven(choice)) return null
  if (all.length === 0) return "tool_choice: tool_choice may only be specified while providing tools."
  const type = member(choice, "type")
  if (type === "auto" || type === "none") return null
  if (type !== "any" && type !== "tool") {
    return `tool_choice: Input tag '${String(type)}' found using 'type' does not match any of the expected tags: ` +
      "'any', 'auto', 'none', 'tool'"
  }
  const wanted = member(choice, "name")
  const tool = all.find((one) => type === "any" || member(one, "name") === wanted)
  return tool === undefined
    ? `tool_choice: Tool '${String(wanted)}' not found in provided tools`
    : { name: String(member(tool, "name")), schema: member(tool, "input_schema") }
}

const endings = { whole: "end_turn", limit: "max_tokens", stop: "stop_sequence", refusal: "refusal" }

const contentOf = (made: Composed, tool: Tool | null, chance: Chance.Chance): ReadonlyArray<JsonObject> => {
  const thinking = made.reasoning === null
    ? []
    : [{ type: "thinking", thinking: made.reasoning, signature: signature(chance) }]
  if (made.ending === "refusal") return made.text === "" ? thinking : [...thinking, { type: "text", text: made.text }]
  if (tool !== null) {
    // A call that was cut short has no input.
    const input = parse(made.text) ?? {}
    return [...thinking, { type: "tool_use", id: `toolu_bdrk_${chance.id(24)}`, name: tool.name, input }]
  }
  return made.text === "" ? thinking : [...thinking, { type: "text", text: made.text }]
}

/**
 * The signature of a thought, which tells nothing.
 *
 * @internal
 */
export const signature = (chance: Chance.Chance): string => Buffer.from(chance.id(48)).toString("base64")

/** @internal */
export const anthropic: Family = ({ body, conduct, modelId, prompt }) => {
  const { max_tokens: maxTokens, temperature, top_p: topP } = body
  const problem = firstOf(fieldsProblem(body), samplingProblem(modelId, temperature, topP))
  if (problem !== null) return problem
  const tool = forcedTool(body)
  if (typeof tool === "string") return tool
  const reasoning = thinkingOf(modelId, body, { maxTokens, temperature, topP, forced: tool !== null })
  if (typeof reasoning === "string" && reasoning !== "redacted") return reasoning
  const isNewName = isGiven(member(body["output_config"], "format"))
  const path = isNewName ? "output_config.format" : "output_format"
  const format = isNewName ? member(body["output_config"], "format") : body["output_format"]
  if (isGiven(format)) {
    const type = member(format, "type")
    if (!isHeldToSchema(modelId)) return `${path}: Structured outputs are not supported for this model.`
    if (type !== "json_schema") return `${path}.type: Input should be 'json_schema'`
    const wrong = subsetProblem(member(format, "schema"), `${path}.schema`)
    if (wrong !== null) return wrong
  }
  const messages = elements(body["messages"])
  const made = compose(prompt, {
    conduct,
    media: messages.map((message) => mediaOf(member(message, "content"))).join(""),
    maxTokens,
    reasoning,
    schema: tool === null ? member(format, "schema") : tool.schema,
    stops: tool === null ? body["stop_sequences"] : []
  })
  const chance = Chance.make(prompt)
  const id = `msg_bdrk_${chance.id(24)}`
  const input = inputOf(tokens(textOf(body["system"]), messages), conduct)
  return {
    id,
    type: "message",
    role: "assistant",
    model: Model.base(modelId),
    content: contentOf(made, tool, chance),
    stop_reason: tool !== null && made.ending === "whole" ? "tool_use" : endings[made.ending],
    stop_sequence: made.stop,
    usage: {
      input_tokens: input.fresh,
      cache_creation_input_tokens: input.written,
      cache_read_input_tokens: input.read,
      output_tokens: made.tokens
    }
  }
}
