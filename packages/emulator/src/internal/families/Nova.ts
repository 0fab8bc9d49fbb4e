/**
 * Amazon's Nova models for understanding, in their own format.
 *
 * @internal
 */
import * as Chance from "../../Chance.ts"
import type { JsonObject } from "../../Json.ts"
import { elements, isObject, member, parse } from "../../Json.ts"
import { compose, mediaOf, textOf, tokens } from "../../Text.ts"
import { formats, type Kind, kinds, placeProblem, problemOf, takes } from "../Media.ts"
import {
  type Asked,
  extraneous,
  type Family,
  firstOf,
  inputOf,
  isGiven,
  isWhole,
  malformed,
  missing,
  notAllowed,
  rangeProblem,
  unknownKey,
  wrongType
} from "./Family.ts"
import { ceiling, overCeiling, thinkingOf } from "./Traps.ts"

const bodyKeys = new Set(["schemaVersion", "system", "messages", "inferenceConfig", "toolConfig", "reasoningConfig"])
const blockKeys = new Set<string>(["text", ...kinds, "toolUse", "toolResult", "reasoningContent", "cachePoint"])
const configKeys = new Set(["maxTokens", "temperature", "topP", "topK", "stopSequences", "reasoningConfig"])

const mediaProblem = (kind: Kind, media: unknown, path: string, { folder, modelId }: Asked): string | null => {
  if (!takes(modelId, kind)) return `This model doesn't support the ${kind} content block that you provided.`
  if (!isObject(media)) return wrongType(path, "JSONObject", media)
  const { format, source } = media
  if (format === undefined) return missing("format")
  if (typeof format !== "string" || !formats[kind].includes(format)) return notAllowed(`${path}/format`, format)
  if (source === undefined) return missing("source")
  if (!isObject(source)) return wrongType(`${path}/source`, "JSONObject", source)
  const isBytes = isGiven(source["bytes"])
  if (isBytes === isGiven(source["s3Location"])) {
    return malformed(`${path}/source: exactly one of bytes, s3Location is required`)
  }
  if (!isBytes) return placeProblem(source["s3Location"], folder)
  const problem = problemOf(source["bytes"], format)
  if (problem === null) return null
  return problem === "base64"
    ? malformed(`${path}/source/bytes: not a base64 text`)
    : `The ${kind} at ${path} could not be read as ${format}.`
}

const messageProblem = (message: unknown, index: number, asked: Asked): string | null => {
  const path = `#/messages/${index}`
  if (!isObject(message)) return wrongType(path, "JSONObject", message)
  const { content, role } = message
  if (role !== "user" && role !== "assistant") return notAllowed(`${path}/role`, role)
  if (!Array.isArray(content)) return wrongType(`${path}/content`, "JSONArray", content)
  if (content.length === 0) return malformed(`${path}/content: expected minimum item count: 1, found: 0`)
  for (const [place, block] of content.entries()) {
    const at = `${path}/content/${place}`
    if (!isObject(block)) return wrongType(at, "JSONObject", block)
    const unknown = unknownKey(block, blockKeys)
    if (unknown !== undefined) return extraneous(unknown, at)
    const { text } = block
    if (isGiven(text) && typeof text !== "string") return wrongType(`${at}/text`, "String", text)
    for (const kind of kinds) {
      const problem = isGiven(block[kind]) ? mediaProblem(kind, block[kind], `${at}/${kind}`, asked) : null
      if (problem !== null) return problem
    }
  }
  return null
}

const configProblem = (config: unknown, modelId: string): string | null => {
  if (config === undefined) return null
  if (!isObject(config)) return wrongType("#/inferenceConfig", "JSONObject", config)
  const unknown = unknownKey(config, configKeys)
  if (unknown !== undefined) return extraneous(unknown, "#/inferenceConfig")
  const { maxTokens, stopSequences, temperature, topK, topP } = config
  if (maxTokens !== undefined && !isWhole(maxTokens)) {
    return wrongType("#/inferenceConfig/maxTokens", "Integer", maxTokens)
  }
  if (typeof maxTokens === "number" && maxTokens > ceiling(modelId)) return overCeiling(ceiling(modelId))
  if (stopSequences !== undefined && !Array.isArray(stopSequences)) {
    return wrongType("#/inferenceConfig/stopSequences", "JSONArray", stopSequences)
  }
  return firstOf(
    rangeProblem("#/inferenceConfig/temperature", temperature, 0, 1),
    rangeProblem("#/inferenceConfig/topP", topP, 0, 1),
    rangeProblem("#/inferenceConfig/topK", topK, 0, 128)
  )
}

const bodyProblem = (asked: Asked): string | null => {
  const { body, modelId } = asked
  if (body["messages"] === undefined) return missing("messages")
  const unknown = unknownKey(body, bodyKeys)
  if (unknown !== undefined) return extraneous(unknown)
  if (!Array.isArray(body["messages"])) return wrongType("#/messages", "JSONArray", body["messages"])
  if (body["messages"].length === 0) return malformed("#/messages: expected minimum item count: 1, found: 0")
  if (member(body["messages"][0], "role") === "assistant") return "A conversation must start with a user message."
  for (const [index, message] of body["messages"].entries()) {
    const problem = messageProblem(message, index, asked)
    if (problem !== null) return problem
  }
  if (body["system"] !== undefined && !Array.isArray(body["system"])) {
    return wrongType("#/system", "JSONArray", body["system"])
  }
  return configProblem(body["inferenceConfig"], modelId)
}

/** The tool that must be called, null where none must. */
const forcedTool = (config: unknown): { readonly name: string; readonly schema: unknown } | null | string => {
  if (!isGiven(config)) return null
  const tools = elements(member(config, "tools"))
  if (tools.length === 0) return malformed("#/toolConfig/tools: expected minimum item count: 1, found: 0")
  const specs = tools.map((tool) => member(tool, "toolSpec"))
  for (const [index, spec] of specs.entries()) {
    if (!/^[a-zA-Z0-9_-]{1,64}$/.test(String(member(spec, "name")))) {
      return malformed(`#/toolConfig/tools/${index}/toolSpec/name: does not match pattern`)
    }
    if (!isObject(member(member(spec, "inputSchema"), "json"))) return missing("inputSchema")
  }
  const choice = member(config, "toolChoice")
  const name = member(member(choice, "tool"), "name")
  const isForced = name !== undefined || isGiven(member(choice, "any"))
  const spec = isForced ? specs.find((one) => name === undefined || member(one, "name") === name) : undefined
  if (isForced && spec === undefined) return malformed(`#/toolConfig/toolChoice: there is no tool ${String(name)}`)
  return spec === undefined
    ? null
    : { name: String(member(spec, "name")), schema: member(member(spec, "inputSchema"), "json") }
}

const endings = { whole: "end_turn", limit: "max_tokens", stop: "stop_sequence", refusal: "content_filtered" }

/** @internal */
export const nova: Family = (asked) => {
  const { body, conduct, modelId, prompt } = asked
  const problem = bodyProblem(asked)
  if (problem !== null) return problem
  const tool = forcedTool(body["toolConfig"])
  if (typeof tool === "string") return tool
  const config = body["inferenceConfig"]
  const maxTokens = member(config, "maxTokens")
  const reasoning = thinkingOf(modelId, body, {
    maxTokens,
    temperature: member(config, "temperature"),
    topP: member(config, "topP"),
    forced: tool !== null
  })
  if (typeof reasoning === "string" && reasoning !== "redacted") return reasoning
  const messages = elements(body["messages"])
  const media = messages.map((message) => mediaOf(member(message, "content"))).join("")
  const made = compose(prompt, {
    conduct,
    media,
    maxTokens,
    reasoning,
    schema: tool?.schema,
    stops: member(config, "stopSequences")
  })
  const input = inputOf(tokens(textOf(body["system"]), messages), conduct)
  const thought = made.reasoning === null ? [] : [{ reasoningContent: { reasoningText: { text: made.reasoning } } }]
  const isCall = tool !== null && made.ending !== "refusal"
  return {
    output: {
      message: {
        role: "assistant",
        content: [...thought, isCall ? { toolUse: toolUse(tool.name, made.text, prompt) } : { text: made.text }]
      }
    },
    stopReason: isCall && made.ending === "whole" ? "tool_use" : endings[made.ending],
    usage: {
      inputTokens: input.fresh,
      outputTokens: made.tokens,
      totalTokens: input.fresh + input.read + input.written + made.tokens,
      cacheReadInputTokenCount: input.read,
      cacheWriteInputTokenCount: input.written
    }
  }
}

/** A call that was cut short has no input. */
const toolUse = (name: string, text: string, prompt: string): JsonObject =>
  ({ toolUseId: `tooluse_${Chance.make(prompt).id(22)}`, name, input: parse(text) ?? {} })
