/**
 * OpenAI's chat completions, which gpt-oss and the other open models of Bedrock take.
 *
 * @internal
 */
import * as Chance from "../../Chance.ts"
import type { JsonObject } from "../../Json.ts"
import { elements, isObject, member } from "../../Json.ts"
import * as Model from "../../Model.ts"
import { type Composed, compose, mediaOf, tokens } from "../../Text.ts"
import { formats, isBase64, problemOf, takes } from "../Media.ts"
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
  wrongType
} from "./Family.ts"
import { type Tool, toolCall, toolOf } from "./Tools.ts"
import { thinkingOf } from "./Traps.ts"

const roles = ["system", "developer", "user", "assistant", "tool"]
/** Members of other families' bodies. */
const strange = ["inferenceConfig", "anthropic_version", "system", "prompt", "inputText"]

const partProblem = (part: unknown, at: string, { modelId }: Asked): string | null => {
  if (!isObject(part)) return wrongType(at, "JSONObject", part)
  switch (part["type"]) {
    case "text":
      return typeof part["text"] === "string" ? null : wrongType(`${at}/text`, "String", part["text"])
    case "image_url": {
      if (!takes(modelId, "image")) return "This model doesn't support images."
      const url = member(part["image_url"], "url")
      if (typeof url !== "string") return missing("url")
      const [, format, data] = /^data:image\/([a-z]+);base64,([^]*)$/.exec(url) ?? []
      if (format === undefined || data === undefined) {
        return malformed(`${at}/image_url/url: not of the form data:image/<format>;base64,<data>`)
      }
      if (!formats.image.includes(format)) return notAllowed(`${at}/image_url/url`, format)
      const problem = problemOf(data, format)
      if (problem === null) return null
      return problem === "base64"
        ? malformed(`${at}/image_url/url: not a base64 text`)
        : `The image at ${at} could not be read as ${format}.`
    }
    case "input_audio": {
      if (!takes(modelId, "audio")) return "This model doesn't support audio."
      if (!isBase64(member(part["input_audio"], "data"))) return malformed(`${at}/input_audio/data: not a base64 text`)
      return typeof member(part["input_audio"], "format") === "string" ? null : missing("format")
    }
    case undefined:
      return missing("type")
    default:
      return notAllowed(`${at}/type`, part["type"])
  }
}

const messageProblem = (message: unknown, index: number, asked: Asked): string | null => {
  const path = `#/messages/${index}`
  if (!isObject(message)) return wrongType(path, "JSONObject", message)
  const { content, role, tool_calls: calls } = message
  if (typeof role !== "string" || !roles.includes(role)) return notAllowed(`${path}/role`, role)
  if (typeof content === "string" || (role === "assistant" && isGiven(calls))) return null
  if (!Array.isArray(content)) return wrongType(`${path}/content`, "String", content)
  for (const [place, part] of content.entries()) {
    const problem = partProblem(part, `${path}/content/${place}`, asked)
    if (problem !== null) return problem
  }
  return null
}

const formatProblem = (format: unknown): string | null => {
  if (!isGiven(format)) return null
  const type = member(format, "type")
  if (type === "text" || type === "json_object") return null
  if (type !== "json_schema") return notAllowed("#/response_format/type", type)
  const schema = member(format, "json_schema")
  if (typeof member(schema, "name") !== "string") return missing("name")
  return isObject(member(schema, "schema")) ? null : missing("schema")
}

const bodyProblem = (asked: Asked): string | null => {
  const { body, modelId } = asked
  if (body["messages"] === undefined) return missing("messages")
  if (!Array.isArray(body["messages"])) return wrongType("#/messages", "JSONArray", body["messages"])
  if (body["messages"].length === 0) return malformed("#/messages: expected minimum item count: 1, found: 0")
  for (const name of ["max_completion_tokens", "max_tokens"]) {
    if (isGiven(body[name]) && !isWhole(body[name])) return wrongType(`#/${name}`, "Integer", body[name])
  }
  if (body["stream"] === true) return "Streaming is not supported for batch inference."
  const other = strange.find((name) => body[name] !== undefined)
  if (other !== undefined) return extraneous(other)
  for (const [index, message] of body["messages"].entries()) {
    const problem = messageProblem(message, index, asked)
    if (problem !== null) return problem
  }
  const { model: named } = body
  if (Model.base(modelId).startsWith("openai.") && named !== undefined && named !== Model.base(modelId)) {
    return `The model in the body (${String(named)}) is not the model of the request.`
  }
  return firstOf(
    rangeProblem("#/temperature", body["temperature"] ?? undefined, 0, 2),
    rangeProblem("#/top_p", body["top_p"] ?? undefined, 0, 1),
    formatProblem(body["response_format"])
  )
}

/** The tool that must be called, null where none must. */
const forcedTool = ({ tool_choice: choice, tools }: JsonObject): Tool | null | string => {
  if (!isGiven(choice) || choice === "auto" || choice === "none") return null
  const name = choice === "required" ? undefined : member(member(choice, "function"), "name")
  if (choice !== "required" && name === undefined) return notAllowed("#/tool_choice", choice)
  return toolOf(tools, name) ?? malformed(`#/tool_choice: there is no tool ${String(name ?? "")}`)
}

const schemaOf = (format: unknown): unknown =>
  member(format, "type") === "json_object"
    ? { type: "object", properties: { answer: { type: "string" } } }
    : member(member(format, "json_schema"), "schema")

const endings = { whole: "stop", limit: "length", stop: "stop", refusal: "content_filter" }

/** gpt-oss has its reasoning in front of its answer; the others have it in a member of its own. */
const messageOf = (made: Composed, tool: Tool | null, asked: Asked, callId: string): JsonObject => {
  const isTagged = Model.base(asked.modelId).startsWith("openai.gpt-oss")
  const tagged = made.reasoning !== null && isTagged ? `<reasoning>${made.reasoning}</reasoning>` : ""
  const apart = made.reasoning !== null && !isTagged ? { reasoning_content: made.reasoning } : {}
  return tool === null || made.ending === "refusal"
    ? { role: "assistant", content: tagged + made.text, ...apart }
    : {
      role: "assistant",
      content: tagged === "" ? null : tagged,
      ...apart,
      tool_calls: [toolCall(tool.name, made.text, callId)]
    }
}

/** @internal */
export const openai: Family = (asked) => {
  const { body, conduct, modelId, prompt } = asked
  const problem = bodyProblem(asked)
  if (problem !== null) return problem
  const tool = forcedTool(body)
  if (typeof tool === "string") return tool
  const maxTokens = body["max_completion_tokens"] ?? body["max_tokens"]
  const { temperature, top_p: topP } = body
  const reasoning = thinkingOf(modelId, body, { maxTokens, temperature, topP, forced: tool !== null })
  if (typeof reasoning === "string" && reasoning !== "redacted") return reasoning
  const messages = elements(body["messages"])
  const made = compose(prompt, {
    conduct,
    media: messages.map((message) => mediaOf(member(message, "content"))).join(""),
    maxTokens,
    reasoning,
    schema: tool === null ? schemaOf(body["response_format"]) : tool.schema,
    stops: tool === null ? body["stop"] : []
  })
  const chance = Chance.make(prompt)
  const id = `chatcmpl-${chance.id(24)}`
  const input = inputOf(tokens(messages), conduct)
  const promptTokens = input.fresh + input.read + input.written
  return {
    id,
    object: "chat.completion",
    created: 1_767_225_600,
    model: Model.base(modelId),
    choices: [{
      index: 0,
      message: messageOf(made, tool, asked, `call_${chance.id(24)}`),
      finish_reason: tool !== null && made.ending === "whole" ? "tool_calls" : endings[made.ending]
    }],
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: made.tokens,
      total_tokens: promptTokens + made.tokens,
      ...(input.read > 0 ? { prompt_tokens_details: { cached_tokens: input.read } } : {})
    }
  }
}
