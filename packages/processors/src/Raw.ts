/**
 * Any model, asked by finished request bodies and read as it answers.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import { checkRaw } from "./internal/Body.ts"
import { array, isObject, member, string } from "./internal/Json.ts"
import { errorOf, usageOf } from "./internal/TextReading.ts"
import { variantId, variantOptions } from "./internal/Variant.ts"
import type { Json, ModelRequest, Processor, Reading, Usage } from "./Processor.ts"

/**
 * Schema for what the answer of {@link raw} adds to a row: the column `output`, with the whole output of the model.
 *
 * @since 0.2.0
 * @category schemas
 */
export const RawAnswer = Schema.Struct({ output: Schema.Json })

/**
 * What the answer of {@link raw} adds to a row: the column `output`.
 *
 * @since 0.2.0
 * @category models
 */
export interface RawAnswer extends Schema.Schema.Type<typeof RawAnswer> {}

/**
 * Options of {@link raw}.
 *
 * @since 0.2.0
 * @category models
 */
export interface Options {
  /** Which API the bodies are written for; it applies to a whole job. Default: `InvokeModel`, the model's own body. */
  readonly invocationType?: "InvokeModel" | "Converse" | undefined
}

const name = "raw/1"

/** The first choice or output of an answer that has several. */
const firstOf = (output: Json) =>
  ["choices", "outputs", "results"].map((key) => array(member(output, key))?.[0]).find((first) => first !== undefined)

const stopReasonOf = (output: Json): string | null => {
  for (const place of [output, firstOf(output)]) {
    for (const key of ["stopReason", "stop_reason", "finish_reason", "completionReason"]) {
      const reason = string(member(place, key))
      if (reason !== undefined) return reason
    }
  }
  return null
}

const tokensOf = (output: Json): Usage => {
  const tokens = member(output, "usage")
  const cached = member(member(tokens, "prompt_tokens_details"), "cached_tokens")
  const input = member(tokens, "inputTokens") ?? member(tokens, "input_tokens")
  return input === undefined
    ? usageOf(
      member(tokens, "prompt_tokens") ?? member(output, "prompt_token_count") ?? member(output, "inputTextTokenCount"),
      member(tokens, "completion_tokens") ?? member(output, "generation_token_count") ??
        member(firstOf(output), "tokenCount"),
      { read: cached, apart: false }
    )
    : usageOf(input, member(tokens, "outputTokens") ?? member(tokens, "output_tokens"), {
      read: member(tokens, "cacheReadInputTokens") ?? member(tokens, "cacheReadInputTokenCount") ??
        member(tokens, "cache_read_input_tokens"),
      write: member(tokens, "cacheWriteInputTokens") ?? member(tokens, "cacheWriteInputTokenCount") ??
        member(tokens, "cache_creation_input_tokens"),
      apart: true
    })
}

const decode = (modelOutput: Json): Reading<RawAnswer> => {
  const rest = { stopReason: stopReasonOf(modelOutput), usage: tokensOf(modelOutput) }
  if (!isObject(modelOutput)) {
    return { status: "invalid", message: "the output is not a JSON object", raw: null, ...rest }
  }
  const message = errorOf(modelOutput)
  return message === null
    ? { status: "succeeded", answer: { output: modelOutput }, ...rest }
    : { status: "failed", message, raw: null, ...rest }
}

const check = (request: ModelRequest, converse: boolean): string | null => {
  if (request.type !== "raw") {
    return "raw takes finished request bodies: leave the prompt out, or choose the processor of the model's family"
  }
  return converse
    ? checkRaw(request.body, ["messages"], ["modelId", "toolConfig"])
    : checkRaw(request.body, [], ["modelId"])
}

const make = (options: Options): Processor<RawAnswer> => ({
  id: variantId(name, { invocationType: options.invocationType === "Converse" ? "Converse" : undefined }),
  invocationType: options.invocationType ?? "InvokeModel",
  accepts: "raw",
  columns: RawAnswer,
  check: (request) => check(request, options.invocationType === "Converse"),
  // A request that is no body is refused by `check`.
  encode: (request) =>
    request.type === "raw"
      ? request.body
      : { prompt: request.type === "chat" ? request.turns.map(({ content }) => content).join("\n\n") : request.text },
  decode
})

const invokeModel = make({})
const converse = make({ invocationType: "Converse" })

/**
 * Makes the processor for request bodies of one's own: each row brings its whole `modelInput`, which is sent untouched,
 * and the whole output comes back in the column `output`, as JSON. For models and features that no family has.
 *
 * Every output that is a JSON object is `succeeded`, whatever it says, for what an answer is, is not known here; only
 * one that reports an error (`error`, or a text in `message`) is `failed`. Stop reason and token counts are found where a
 * known family has them, null otherwise.
 *
 * `check` refuses what is known to fail: a body that is no object or names its model, and in Converse one without
 * `messages`, or with tools, which do not work in batch inference there.
 *
 * @since 0.2.0
 * @category families
 * @example
 * ```ts
 * import { Raw } from "@bedrock-batch/processors"
 *
 * const processor = Raw.raw()
 *
 * processor.encode({ type: "raw", body: { prompt: "Hi", max_gen_len: 10 } }) // { prompt: "Hi", max_gen_len: 10 }
 * Raw.raw({ invocationType: "Converse" }).id // "raw/1?invocationType=Converse"
 * ```
 */
export const raw = (options: Options = {}): Processor<RawAnswer> =>
  options.invocationType === "Converse" ? converse : invokeModel

/**
 * Finds the processor of an id that {@link raw} gave, or undefined for any other id.
 *
 * @since 0.2.0
 * @category getters
 */
export const fromId = (id: string): Processor<RawAnswer> | undefined => {
  const invocationType = variantOptions(name, id)?.get("invocationType")
  const found = invocationType === "Converse" ? converse : invokeModel
  return found.id === id ? found : undefined
}
