/**
 * Mistral AI's models of 2024, in their own formats: text and chat.
 *
 * @internal
 */
import * as Chance from "../../Chance.ts"
import { elements, isObject } from "../../Json.ts"
import { compose } from "../../Text.ts"
import {
  extraneous,
  type Family,
  firstOf,
  isGiven,
  isWhole,
  malformed,
  missing,
  notAllowed,
  rangeProblem,
  unknownKey,
  wrongType
} from "./Family.ts"
import { toolCall, toolOf } from "./Tools.ts"

const textKeys = new Set(["prompt", "max_tokens", "stop", "temperature", "top_p", "top_k"])
const chatKeys = new Set(["messages", "tools", "tool_choice", "max_tokens", "temperature", "top_p"])
const roles = ["system", "user", "assistant", "tool"]

const parameterProblem = (body: { readonly [key: string]: unknown }): string | null => {
  const { max_tokens: most, temperature, top_p: topP } = body
  return firstOf(
    most !== undefined && !isWhole(most) ? wrongType("#/max_tokens", "Integer", most) : null,
    rangeProblem("#/temperature", temperature, 0, 1),
    rangeProblem("#/top_p", topP, 0, 1)
  )
}

/** @internal */
export const mistralText: Family = ({ body, conduct }) => {
  const { max_tokens: maxTokens, prompt, stop: stops } = body
  if (prompt === undefined) return missing("prompt")
  const unknown = unknownKey(body, textKeys)
  if (unknown !== undefined) return extraneous(unknown)
  if (typeof prompt !== "string") return wrongType("#/prompt", "String", prompt)
  if (prompt === "") return malformed("#/prompt: expected minLength: 1, actual: 0")
  const problem = parameterProblem(body)
  if (problem !== null) return problem
  const made = compose(prompt, { conduct, maxTokens, stops })
  return { outputs: [{ text: made.text, stop_reason: made.ending === "limit" ? "length" : "stop" }] }
}

/** @internal */
export const mistralChat: Family = ({ body, conduct, prompt }) => {
  if (body["messages"] === undefined) return missing("messages")
  const unknown = unknownKey(body, chatKeys)
  if (unknown !== undefined) return extraneous(unknown)
  const messages = elements(body["messages"])
  if (messages.length === 0) return malformed("#/messages: expected minimum item count: 1, found: 0")
  for (const [index, message] of messages.entries()) {
    if (!isObject(message)) return wrongType(`#/messages/${index}`, "JSONObject", message)
    const { content, role, tool_calls: calls } = message
    if (typeof role !== "string" || !roles.includes(role)) return notAllowed(`#/messages/${index}/role`, role)
    if (typeof content !== "string" && !isGiven(calls)) {
      return wrongType(`#/messages/${index}/content`, "String", content)
    }
  }
  const problem = parameterProblem(body)
  if (problem !== null) return problem
  const choice = body["tool_choice"]
  if (choice !== undefined && choice !== "auto" && choice !== "none" && choice !== "any") {
    return notAllowed("#/tool_choice", choice)
  }
  const tool = choice === "any" ? toolOf(body["tools"]) : null
  if (choice === "any" && tool === null) return missing("tools")
  const made = compose(prompt, { conduct, maxTokens: body["max_tokens"], schema: tool?.schema })
  const isCall = tool !== null && made.ending !== "refusal"
  const message = isCall
    ? { role: "assistant", content: "", tool_calls: [toolCall(tool.name, made.text, Chance.make(prompt).id(9))] }
    : { role: "assistant", content: made.text }
  const ending = made.ending === "limit" ? "length" : isCall ? "tool_calls" : "stop"
  return { choices: [{ index: 0, message, stop_reason: ending }] }
}

