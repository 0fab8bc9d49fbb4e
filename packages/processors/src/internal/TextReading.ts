/**
 * How a text, its reasoning and the reason for which it ended make a reading.
 *
 * @internal
 */
import type { Reading, TextAnswer, Usage, VectorJson } from "../Processor.ts"
import { count, isObject, member, string } from "./Json.ts"

/**
 * What a stop reason says about the answer; all others end a whole answer.
 *
 * @internal
 */
export type StopMeaning = "truncated" | "refused" | "malformed"

/** A tool that the model wants called. @internal */
export interface ToolCall {
  readonly name: string | null
  readonly input: VectorJson
}

/** What an output says, whatever its family. @internal */
export interface Said {
  readonly text: string
  readonly stopReason: string | null
  readonly usage: Usage
  /** Empty where there is none. */
  readonly reasoning?: string
  /** Read as the answer where there is no text. */
  readonly calls?: ReadonlyArray<ToolCall>
  /** The wording of a refusal that stands apart from the text. */
  readonly refusal?: string | undefined
}

/** Null where it is nested too deep. */
const jsonText = (json: unknown): string | null => {
  try {
    return JSON.stringify(json)
  } catch {
    return null
  }
}

/** One tool: its input, as the tools that stand for the shape of an answer are meant. Several: all of them. */
const callsText = (calls: ReadonlyArray<ToolCall>): string => {
  const [first] = calls
  if (first === undefined) return ""
  const json = calls.length === 1 ? first.input : calls.map(({ input, name }) => ({ name, input }))
  return jsonText(json) ?? ""
}

const called = new WeakMap<Reading<object>, ReadonlyArray<ToolCall>>()

/**
 * The JSON of the input of a tool that an answer calls once, whatever text it has beside; null where it does not.
 *
 * @internal
 */
export const inputOf = (reading: Reading<object>, tool: string): string | null => {
  const [call, another] = called.get(reading)?.filter(({ name }) => name === tool) ?? []
  return call === undefined || another !== undefined ? null : jsonText(call.input)
}

/**
 * Makes the reading of an answer.
 *
 * @internal
 */
export const readText = (said: Said, meanings: ReadonlyMap<string, StopMeaning>): Reading<TextAnswer> => {
  const reading = readSaid(said, meanings)
  if (said.calls !== undefined && said.calls.length > 0) called.set(reading, said.calls)
  return reading
}

const readSaid = (said: Said, meanings: ReadonlyMap<string, StopMeaning>): Reading<TextAnswer> => {
  const { calls = [], reasoning = "", refusal, stopReason, usage } = said
  const text = said.text === "" ? callsText(calls) : said.text
  const rest = reasoning === "" ? { stopReason, usage } : { stopReason, usage, reasoning }
  const noAnswer = (status: "refused" | "invalid", message: string, raw: string): Reading<TextAnswer> =>
    ({ status, message, raw: raw === "" ? null : raw, ...rest })
  if (refusal !== undefined && refusal !== "") return noAnswer("refused", "the model declined to answer", refusal)
  switch (stopReason === null ? undefined : meanings.get(stopReason)) {
    case "truncated":
      return { status: "truncated", answer: { response: text }, ...rest }
    case "refused":
      return noAnswer("refused", `the model or a filter declined to answer (${stopReason})`, text)
    case "malformed":
      return noAnswer("invalid", `the model did not end its answer (${stopReason})`, text)
    default:
      return text === ""
        ? noAnswer("invalid", `the answer has no text (stop reason: ${stopReason ?? "none"})`, text)
        : { status: "succeeded", answer: { response: text }, ...rest }
  }
}

/**
 * Reads the output of which its family knows nothing: an error of the model's own, or no answer at all.
 *
 * @internal
 */
export const readStranger = (modelOutput: VectorJson, what: string, usage: Usage): Reading<never> => {
  const message = errorOf(modelOutput)
  return message === null
    ? { status: "invalid", message: what, raw: null, stopReason: null, usage }
    : { status: "failed", message, raw: null, stopReason: null, usage }
}

/**
 * The error that an output reports of itself: in `error`, as a text or with a `message`, or as a `message` at the top;
 * null where there is none.
 *
 * @internal
 */
export const errorOf = (modelOutput: VectorJson): string | null => {
  const error = member(modelOutput, "error")
  const message = string(error) ?? string(member(error, "message")) ?? string(member(modelOutput, "message"))
  if (message !== undefined && message !== "") return message
  return isObject(error) ? "the model reports an error without a text" : null
}

/**
 * The token counts of an output. `cached` are those of the input tokens that were read from a prompt cache or written
 * to it; `apart`: the model does not count them among its input tokens. What it does not tell of them is left out.
 *
 * @internal
 */
export const usageOf = (
  input: VectorJson | undefined,
  output: VectorJson | undefined,
  cached: {
    readonly read?: VectorJson | undefined
    readonly write?: VectorJson | undefined
    readonly apart: boolean
  } = { apart: false }
): Usage => {
  const read = count(cached.read)
  const write = count(cached.write)
  return {
    inputTokens: cached.apart ? count(input, cached.read, cached.write) : count(input),
    outputTokens: count(output),
    ...(read === null ? {} : { cacheReadTokens: read }),
    ...(write === null ? {} : { cacheWriteTokens: write })
  }
}
