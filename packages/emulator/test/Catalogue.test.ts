import { Catalogue } from "@bedrock-batch/processors"
import { assert, it } from "@effect/vitest"
import { takes } from "../src/internal/Media.ts"
import { ceiling, isHeldToSchema, samplingProblem } from "../src/internal/families/Traps.ts"
import * as Model from "../src/Model.ts"

const families: { readonly [F in Catalogue.Family]: Model.Family } = {
  "anthropic-messages": "anthropic",
  nova: "nova",
  llama: "llama",
  "mistral-chat": "mistral-chat",
  "mistral-text": "mistral-text",
  "openai-chat": "openai",
  "titan-text-embeddings": "titan-text-embeddings",
  "titan-multimodal-embeddings": "titan-image-embeddings",
  "nova-multimodal-embeddings": "nova-embeddings"
}

it("has the family of every model of the catalogue, takes its jobs, and refuses what it warns of", () => {
  const differing: Array<string> = []
  for (const model of Catalogue.models) {
    const { family, id, inputs, maxOutputTokens, output, sampling, structuredOutput } = model
    const expect = (what: string, isSame: boolean) => {
      if (!isSame) differing.push(`${id}: ${what}`)
    }
    expect("family", Model.family(id) === families[family])
    expect("batch", Model.isBatchCapable(id))
    if (output === "embedding") continue
    expect("both samplers", (samplingProblem(id, 0.5, 0.5) === null) === (sampling === "free"))
    expect("one sampler", (samplingProblem(id, 0.5, undefined) === null) === (sampling !== "neither"))
    if (maxOutputTokens !== null) expect("ceiling", ceiling(id) === Infinity || ceiling(id) === maxOutputTokens)
    for (const kind of ["image", "document", "video", "audio"] as const) {
      if (inputs.includes(kind)) expect(kind, takes(id, kind))
    }
    if (structuredOutput === true) expect("structured output", isHeldToSchema(id))
  }
  assert.deepStrictEqual(differing, [])
})
