import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import type { Processor } from "../src/index.ts"
import { titanTextEmbeddings } from "../src/TitanTextEmbeddings.ts"
import { assertReading, nearly } from "./decoding.ts"

const embed = (text: string, parameters: Processor.ModelParameters = {}): Processor.ModelRequest => ({
  type: "embed",
  text,
  parameters
})
const plain = titanTextEmbeddings()
const short = titanTextEmbeddings({ dimensions: 256 })
const numbers = (length: number): Array<number> => Array.from({ length }, (_, index) => index / length)
const usage = { inputTokens: 3, outputTokens: null }

const output = nearly({
  embedding: Arbitrary.schema(Schema.Literals([255, 256])).pipe(Arbitrary.map(numbers)),
  embeddingsByType: nearly({ float: Arbitrary.Constant(numbers(256)) }),
  inputTextTokenCount: Arbitrary.schema(Schema.Natural),
  message: Arbitrary.Constant(null)
})

const isFinite32 = (value: unknown): value is number => typeof value === "number" && Number.isFinite(Math.fround(value))

/** The JSON with a vector for every array of numbers that has one. */
const withVectors = (json: Processor.Json): Processor.VectorJson => {
  if (typeof json !== "object" || json === null) return json
  if (!Array.isArray(json)) {
    return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, withVectors(value)]))
  }
  return json.length > 0 && json.every(isFinite32) ? Float32Array.from(json) : json.map(withVectors)
}

describe("id", () => {
  it("differs wherever the requests or the readings do", () => {
    const unscaled = titanTextEmbeddings({ normalize: false })
    const both = titanTextEmbeddings({ dimensions: 256, normalize: true })
    assert.deepStrictEqual([plain, short, unscaled, both].map((processor) => processor.id), [
      "titan-text-embeddings/1",
      "titan-text-embeddings/1?dimensions=256",
      "titan-text-embeddings/1?normalize=false",
      "titan-text-embeddings/1?dimensions=256&normalize=true"
    ])
  })
})

describe("encode", () => {
  it("sends what is given, from the options or the parameters", () => {
    assert.deepStrictEqual(plain.encode(embed("a")), { inputText: "a" })
    assert.deepStrictEqual(plain.encode(embed("a", { dimensions: 512, normalize: false })), {
      inputText: "a",
      dimensions: 512,
      normalize: false
    })
    assert.deepStrictEqual(short.encode(embed("a", { more: { embeddingTypes: ["float"] } })), {
      inputText: "a",
      dimensions: 256,
      embeddingTypes: ["float"]
    })
  })

  it("leaves an empty text to the model", () => {
    assert.deepStrictEqual(plain.encode(embed("")), { inputText: "" })
  })

  it("passes a raw body on unchanged", () => {
    const body = { inputText: "a", anything: 1 }
    assert.strictEqual(plain.encode({ type: "raw", body }), body)
  })
})

describe("check", () => {
  it.each<[name: string, processor: typeof plain, request: Processor.ModelRequest, problem: string | null]>([
    ["a plain text", plain, embed("a"), null],
    ["a length in the parameters", plain, embed("a", { dimensions: 512 }), null],
    ["the same length twice", short, embed("a", { dimensions: 256 }), null],
    ["a length that Titan has not", plain, embed("a", { dimensions: 300 }), "must be 256, 512 or 1024, not 300"],
    ["two lengths", short, embed("a", { dimensions: 512 }), "dimensions is 256 in the processor and 512"],
    ["two ways", titanTextEmbeddings({ normalize: true }), embed("a", { normalize: false }), "normalize is true"],
    ["a parameter of text models", plain, embed("a", { maxTokens: 1 }), "maxTokens is a parameter of text models"],
    ["stop sequences", plain, embed("a", { stopSequences: [] }), "stopSequences is a parameter of text models"],
    ["binary embeddings only", plain, embed("a", { more: { embeddingTypes: ["binary"] } }), "must include \"float\""],
    ["binary embeddings beside", plain, embed("a", { more: { embeddingTypes: ["binary", "float"] } }), null],
    ["dimensions in more", plain, embed("a", { more: { dimensions: 1 } }), "give dimensions instead"],
    ["the text in more", plain, embed("a", { more: { inputText: "b" } }), "must not have inputText"],
    ["a prompt", plain, { type: "chat", turns: [], parameters: {} }, "leave the prompt out"],
    ["a raw body", plain, { type: "raw", body: { inputText: "a" } }, null],
    ["a raw body without a text", plain, { type: "raw", body: {} }, "lacks inputText"]
  ])("of %s", (_, processor, request, problem) => {
    const message = processor.check?.(request)
    if (problem === null) assert.isNull(message)
    else assert.include(message, problem)
  })
})

describe("decode", () => {
  it.each([256, 512, 1024])("reads an embedding of %i numbers", (length) => {
    const output = { embedding: numbers(length), embeddingsByType: { float: [] }, inputTextTokenCount: 3 }
    assert.deepStrictEqual(plain.decode(output), {
      status: "succeeded",
      answer: { embedding: Float32Array.from(numbers(length)) },
      stopReason: null,
      usage
    })
  })

  it("reads embeddingsByType where embedding is absent or null", () => {
    const byType = { embeddingsByType: { float: numbers(256), binary: null }, inputTextTokenCount: 3 }
    const expected = { status: "succeeded", answer: { embedding: Float32Array.from(numbers(256)) } } as const
    assert.deepInclude(short.decode(byType), expected)
    assert.deepInclude(short.decode({ ...byType, embedding: null }), expected)
  })

  it.each<[name: string, output: Processor.Json, problem: string]>([
    ["another length than asked for", { embedding: numbers(512) }, "has 512 dimensions, not 256"],
    ["no numbers", { embedding: [] }, "has 0 dimensions"],
    ["a null among the numbers", { embedding: [...numbers(255), null] }, "not finite numbers"],
    ["a string among the numbers", { embedding: [...numbers(255), "1"] }, "not finite numbers"],
    ["an infinite number", { embedding: [...numbers(255), Infinity] }, "not finite numbers"],
    ["a number too large for 32 bits", { embedding: [...numbers(255), 1e300] }, "not finite numbers"],
    ["binary numbers only", { embeddingsByType: { binary: numbers(256) } }, "no embedding"],
    ["nothing", {}, "no embedding"],
    ["a list", [], "no embedding"],
    ["null", null, "no embedding"]
  ])("%s is invalid", (_, output, problem) => {
    const reading = short.decode(output)
    assert.deepInclude(reading, { status: "invalid", raw: null, stopReason: null })
    assert.include("message" in reading ? reading.message : "", problem)
  })

  it("accepts only Titan's lengths where none was asked for", () => {
    assert.deepInclude(plain.decode({ embedding: numbers(300) }), {
      status: "invalid",
      message: "the embedding has 300 dimensions, not 256, 512, 1024"
    })
  })

  it("a message means failure, even beside an embedding, and a null one means nothing", () => {
    const output = { embedding: numbers(256), inputTextTokenCount: 3 }
    assert.deepStrictEqual(short.decode({ ...output, message: "too long" }), {
      status: "failed",
      message: "too long",
      raw: null,
      stopReason: null,
      usage
    })
    assert.deepInclude(short.decode({ ...output, message: { a: 1 } }), { status: "failed" })
    assert.deepInclude(short.decode({ ...output, message: null }), { status: "succeeded" })
  })

  it.prop("never throws, whatever JSON it reads", [output], ([json]) => assertReading(short, json), {
    arbitrary: { runs: 300 }
  })
})

describe("decodeVectors", () => {
  const decodeVectors = short.decodeVectors!
  const embedding = Float32Array.from(numbers(256))

  it("gives the vector itself for an answer", () => {
    for (const read of [{ embedding }, { embedding: null, embeddingsByType: { binary: [1], float: embedding } }]) {
      const reading = decodeVectors({ ...read, inputTextTokenCount: 3 })
      assert.deepStrictEqual(reading, { status: "succeeded", answer: { embedding }, stopReason: null, usage })
      assert.strictEqual("answer" in reading ? reading.answer.embedding : undefined, embedding)
    }
  })

  it("looks at one vector only", () => {
    const reading = decodeVectors({
      embedding,
      get embeddingsByType(): Processor.VectorJson {
        throw new Error("looked at")
      }
    })
    assert.strictEqual(reading.status, "succeeded")
  })

  it.each<[name: string, output: Processor.VectorJson, problem: string]>([
    ["another length than asked for", { embedding: new Float32Array(512) }, "has 512 dimensions, not 256"],
    ["no numbers", { embedding: new Float32Array(0) }, "has 0 dimensions"],
    ["a number too large for 32 bits", { embedding: [...numbers(255), 1e39] }, "not finite numbers"],
    ["a vector among the numbers", { embedding: [...numbers(255), embedding] }, "not finite numbers"],
    ["binary numbers only", { embeddingsByType: { binary: embedding } }, "no embedding"],
    ["a vector for an object", { embeddingsByType: embedding }, "no embedding"],
    ["a vector", embedding, "no embedding"]
  ])("%s is invalid", (_, json, problem) => {
    const reading = decodeVectors(json)
    assert.deepInclude(reading, { status: "invalid", raw: null, stopReason: null })
    assert.include("message" in reading ? reading.message : "", problem)
  })

  it("takes no vector for a count or a text", () => {
    assert.deepInclude(decodeVectors({ embedding, inputTextTokenCount: embedding }), {
      status: "succeeded",
      usage: { inputTokens: null, outputTokens: null }
    })
    assert.deepInclude(decodeVectors({ embedding, message: embedding }), {
      status: "failed",
      message: "the model reports an error without a text"
    })
  })

  it.prop("reads as decode does, whatever JSON it reads", [output], ([json]) => {
    assert.deepStrictEqual(decodeVectors(json), short.decode(json))
    assert.deepStrictEqual(decodeVectors(withVectors(json)), short.decode(json))
  }, { arbitrary: { runs: 300 } })
})
