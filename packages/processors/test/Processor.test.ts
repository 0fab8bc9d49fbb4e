import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Processor } from "../src/index.ts"

describe("Vector", () => {
  it("accepts a Float32Array and nothing else", () => {
    const isVector = Schema.is(Processor.Vector)
    assert.isTrue(isVector(Float32Array.of(1)))
    assert.isFalse(isVector([1]))
    assert.isFalse(isVector(Float64Array.of(1)))
  })

  it("is an array of numbers in JSON", () => {
    const codec = Schema.toCodecJson(Processor.EmbeddingAnswer)
    const answer = { embedding: Float32Array.of(0.5, -1) }
    assert.deepStrictEqual<unknown>(Schema.encodeSync(codec)(answer), { embedding: [0.5, -1] })
    assert.deepStrictEqual(Schema.decodeUnknownSync(codec)({ embedding: [0.5, -1] }), answer)
  })
})

describe("answers", () => {
  it("have the columns that their schemas name", () => {
    assert.deepStrictEqual(Object.keys(Processor.TextAnswer.fields), ["response"])
    assert.deepStrictEqual(Object.keys(Processor.EmbeddingAnswer.fields), ["embedding"])
  })
})
