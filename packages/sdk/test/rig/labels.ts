import type { Processor } from "@bedrock-batch/processors/Processor"
import { Schema } from "effect"

const Label = Schema.Struct({ label: Schema.String, score: Schema.NullOr(Schema.Finite) })

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A processor of a user's own: it reads `{ label, score }`, `{ cut }`, `{ no }`, `{ bad }`, `{ broken }` and `{ throw }`. */
export const labels: Processor<typeof Label.Type> = {
  id: "labels/1",
  invocationType: "InvokeModel",
  accepts: "chat",
  columns: Label,
  encode: (request) =>
    request.type === "chat" ? { prompt: request.turns.map(({ content }) => content).join("\n") } : null,
  decode: (output) => {
    if (!isObject(output)) throw new TypeError("not an object")
    const usage = {
      inputTokens: typeof output.in === "number" ? output.in : null,
      outputTokens: typeof output.out === "number" ? output.out : null
    }
    if ("throw" in output) throw new RangeError(String(output.throw))
    if ("no" in output) return { status: "refused", message: "declined", raw: null, stopReason: "refusal", usage }
    if ("bad" in output) return { status: "invalid", message: "no label", raw: null, stopReason: null, usage }
    if ("broken" in output) return { status: "failed", message: "the model broke", raw: null, stopReason: null, usage }
    return {
      status: "cut" in output ? "truncated" : "succeeded",
      answer: {
        label: typeof output.label === "string" ? output.label : "",
        score: typeof output.score === "number" ? output.score : null
      },
      stopReason: "cut" in output ? "max_tokens" : "end_turn",
      usage
    }
  }
}

export const labelColumns = [{ name: "label", type: "string" }, { name: "score", type: "number" }] as const
