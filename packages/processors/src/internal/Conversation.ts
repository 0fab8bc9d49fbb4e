/**
 * What the text families share: the form of a conversation, the checks of its parameters, and how a stop reason makes
 * an answer succeeded, truncated, refused or invalid.
 *
 * @internal
 */
import type { ModelParameters, ModelRequest, Reading, TextAnswer, Usage } from "../Processor.ts"
import type { Media, RenderedTurn } from "../Prompt.ts"
import { checkMore, checkNames } from "./Body.ts"

/** @internal */
export const defaultMaxTokens = 1024

/** @internal */
export interface Conversation {
  /** The system turns, joined by an empty line; null where there is none, or only empty ones. */
  readonly system: string | null
  /** The other turns; neighbours of one role are one message of several blocks, since models want them to alternate. */
  readonly messages: ReadonlyArray<Message>
}

/** A text, or media. @internal */
export type Block = string | Media

/** @internal */
export interface Message {
  readonly role: "user" | "assistant"
  /** The media of a turn stands before its text. */
  readonly blocks: ReadonlyArray<Block>
}

/** @internal */
export const conversation = (turns: ReadonlyArray<RenderedTurn>): Conversation => {
  const system: Array<string> = []
  const messages: Array<{ readonly role: "user" | "assistant"; readonly blocks: Array<Block> }> = []
  for (const { content, media = [], role } of turns) {
    const last = messages.at(-1)
    if (role === "system") {
      if (content !== "") system.push(content)
    } else if (last?.role === role) {
      last.blocks.push(...media, content)
    } else {
      messages.push({ role, blocks: [...media, content] })
    }
  }
  return { system: system.length === 0 ? null : system.join("\n\n"), messages }
}

/**
 * A text to embed, as a conversation. Only a request that its family's `check` refuses comes here.
 *
 * @internal
 */
export const turnsOf = (request: Exclude<ModelRequest, { readonly type: "raw" }>): ReadonlyArray<RenderedTurn> =>
  request.type === "chat" ? request.turns : [{ role: "user", content: request.text }]

const isShare = (value: number | undefined): boolean => value === undefined || (value >= 0 && value <= 1)

const checkParameters = (family: string, parameters: ModelParameters): string | null => {
  const { dimensions, maxTokens, normalize, stopSequences, temperature, topP } = parameters
  if (maxTokens !== undefined && !(Number.isSafeInteger(maxTokens) && maxTokens >= 1)) {
    return `maxTokens must be a whole number of at least 1, not ${maxTokens}`
  }
  if (!isShare(temperature)) return `temperature must be between 0 and 1, not ${temperature}`
  if (!isShare(topP)) return `topP must be between 0 and 1, not ${topP}`
  const stops: unknown = stopSequences
  if (stops !== undefined && !(Array.isArray(stops) && stops.every((text) => typeof text === "string"))) {
    return "stopSequences must be an array of texts"
  }
  if (stopSequences?.some((text) => text === "") === true) return "a stop sequence must not be empty"
  if (dimensions !== undefined) return `dimensions is a parameter of embedding models, ${family} has none`
  if (normalize !== undefined) return `normalize is a parameter of embedding models, ${family} has none`
  return null
}

/**
 * Checks a conversation and its parameters; `own` are the fields that the family sets itself, with the parameter that
 * sets them, where there is one.
 *
 * @internal
 */
export const checkChat = (
  family: string,
  request: Exclude<ModelRequest, { readonly type: "raw" }>,
  own: ReadonlyMap<string, string | null>
): string | null => {
  if (request.type === "embed") return `${family} answers prompts; a text without a prompt is for embedding models`
  const first = request.turns.find((turn) => turn.role !== "system")
  if (first === undefined) return "the prompt has no user turn"
  if (first.role !== "user") return "the first turn after the system text must be a user turn"
  return checkNames(request.parameters) ?? checkParameters(family, request.parameters) ?? checkMore(request.parameters.more, own)
}

/**
 * What a stop reason says about the answer; all others end a whole answer.
 *
 * @internal
 */
export type StopMeaning = "truncated" | "refused" | "malformed"

/**
 * Makes a reading of the text of an answer and the reason for which it ended.
 *
 * @internal
 */
export const readText = (
  text: string,
  stopReason: string | null,
  usage: Usage,
  meanings: ReadonlyMap<string, StopMeaning>
): Reading<TextAnswer> => {
  const noAnswer = (status: "refused" | "invalid", message: string): Reading<TextAnswer> =>
    ({ status, message, raw: text === "" ? null : text, stopReason, usage })
  switch (stopReason === null ? undefined : meanings.get(stopReason)) {
    case "truncated":
      return { status: "truncated", answer: { response: text }, stopReason, usage }
    case "refused":
      return noAnswer("refused", `the model or a filter declined to answer (${stopReason})`)
    case "malformed":
      return noAnswer("invalid", `the model did not end its answer (${stopReason})`)
    default:
      return text === ""
        ? noAnswer("invalid", `the answer has no text (stop reason: ${stopReason ?? "none"})`)
        : { status: "succeeded", answer: { response: text }, stopReason, usage }
  }
}
