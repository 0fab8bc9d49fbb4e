/**
 * Meta's Llama models, in their own format.
 *
 * @internal
 */
import { compose, tokens } from "../../Text.ts"
import { isBase64, takes } from "../Media.ts"
import {
  extraneous,
  type Family,
  firstOf,
  isWhole,
  malformed,
  missing,
  rangeProblem,
  unknownKey,
  wrongType
} from "./Family.ts"
import { ceiling, overCeiling } from "./Traps.ts"

const keys = new Set(["prompt", "temperature", "top_p", "max_gen_len", "images"])

/** @internal */
export const llama: Family = ({ body, conduct, modelId }) => {
  const { images, max_gen_len: most, prompt, temperature, top_p: topP } = body
  if (prompt === undefined) return missing("prompt")
  const unknown = unknownKey(body, keys)
  if (unknown !== undefined) return extraneous(unknown)
  if (typeof prompt !== "string") return wrongType("#/prompt", "String", prompt)
  if (prompt === "") return malformed("#/prompt: expected minLength: 1, actual: 0")
  if (most !== undefined && !isWhole(most)) return wrongType("#/max_gen_len", "Integer", most)
  if (Number(most) > ceiling(modelId)) return overCeiling(ceiling(modelId))
  const problem = firstOf(
    rangeProblem("#/temperature", temperature, 0, 1),
    rangeProblem("#/top_p", topP, 0, 1)
  )
  if (problem !== null) return problem
  if (images !== undefined) {
    if (!takes(modelId, "image")) return extraneous("images")
    if (!Array.isArray(images)) return wrongType("#/images", "JSONArray", images)
    const wrong = images.findIndex((image) => !isBase64(image))
    if (wrong >= 0) return malformed(`#/images/${wrong}: not a base64 text`)
  }
  const media = images === undefined ? "" : JSON.stringify(images)
  const made = compose(prompt, { conduct, media, maxTokens: most ?? 512 })
  return {
    generation: made.text,
    prompt_token_count: tokens(prompt),
    generation_token_count: made.tokens,
    stop_reason: made.ending === "limit" ? "length" : "stop"
  }
}
