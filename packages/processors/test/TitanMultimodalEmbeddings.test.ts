import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import type { Processor } from "../src/index.ts"
import { titanMultimodalEmbeddings } from "../src/TitanMultimodalEmbeddings.ts"
import { assertReading, bytes, embed, inS3, nearly, numbers, withVectors } from "./decoding.ts"

const plain = titanMultimodalEmbeddings()
const short = titanMultimodalEmbeddings({ dimensions: 384 })
const image = bytes("image", "jpeg", "/9j/AA==")

/** The body as the User Guide documents it: one or both of text and image. */
const Body = Schema.Struct({
  inputText: Schema.optionalKey(Schema.String),
  inputImage: Schema.optionalKey(Schema.String),
  embeddingConfig: Schema.optionalKey(Schema.Struct({ outputEmbeddingLength: Schema.Literals([256, 384, 1024]) }))
})

const output = nearly({
  embedding: Arbitrary.schema(Schema.Literals([383, 384])).pipe(Arbitrary.map(numbers)),
  inputTextTokenCount: Arbitrary.schema(Schema.Natural),
  message: Arbitrary.schema(Schema.NullOr(Schema.Literal("no")))
})

describe("id", () => {
  it("differs wherever the requests or the readings do", () => {
    const cut = titanMultimodalEmbeddings({ truncate: "start", dimensions: 256 })
    assert.deepStrictEqual([plain, short, cut].map(({ id }) => id), [
      "titan-multimodal-embeddings/1",
      "titan-multimodal-embeddings/1?dimensions=384",
      "titan-multimodal-embeddings/1?dimensions=256&truncate=start"
    ])
  })
})

describe("encode", () => {
  it.each<[name: string, request: Processor.ModelRequest, body: Processor.Json]>([
    ["a text", embed("a cat"), { inputText: "a cat" }],
    ["an image", embed("", {}, image), { inputImage: "/9j/AA==" }],
    ["both", embed("a cat", {}, image), { inputText: "a cat", inputImage: "/9j/AA==" }],
    ["neither, which the model refuses", embed(""), { inputText: "" }],
    ["a length", embed("a", { dimensions: 256 }), {
      inputText: "a",
      embeddingConfig: { outputEmbeddingLength: 256 }
    }],
    ["fields of the model's own", embed("a", { more: { anything: 1 } }), { inputText: "a", anything: 1 }]
  ])("sends %s", (_, request, body) => assert.deepStrictEqual(plain.encode(request), body))

  it("sends the length of its options", () => {
    assert.deepStrictEqual(short.encode(embed("", {}, image)), {
      inputImage: "/9j/AA==",
      embeddingConfig: { outputEmbeddingLength: 384 }
    })
  })

  it("cuts a long text where asked to", () => {
    const text = "A cat sat on the mat. ".repeat(100)
    const cut = titanMultimodalEmbeddings({ truncate: "end" }).encode(embed(text))
    assert(typeof cut === "object" && cut !== null && "inputText" in cut && typeof cut.inputText === "string")
    assert.isTrue(text.startsWith(cut.inputText))
    assert.isAbove(cut.inputText.length, 800)
    assert.isBelow(cut.inputText.length, 1024)
    assert.deepStrictEqual(plain.encode(embed(text)), { inputText: text })
  })

  it("lets no row lose its image in silence", () => {
    assert.deepStrictEqual(plain.encode(embed("a", {}, inS3("image", "png"))), {
      inputText: "a",
      inputImage: "s3://bucket/a"
    })
  })

  it("passes a raw body on unchanged", () => {
    const body = { inputText: "a", anything: 1 }
    assert.strictEqual(plain.encode({ type: "raw", body }), body)
  })

  it.prop("writes the documented body for every text and image", [
    Schema.Struct({
      text: Schema.String,
      base64: Schema.NullOr(Schema.NonEmptyString),
      dimensions: Schema.optionalKey(Schema.Literals([256, 384, 1024]))
    })
  ], ([{ base64, text, ...parameters }]) => {
    const body = plain.encode(embed(text, parameters, base64 === null ? undefined : bytes("image", "png", base64)))
    const read = Schema.decodeUnknownSync(Body, { onExcessProperty: "error" })(body)
    assert.strictEqual(read.inputText ?? "", text)
    assert.strictEqual(read.inputImage, base64 ?? undefined)
    assert.strictEqual(read.embeddingConfig?.outputEmbeddingLength, parameters.dimensions)
    assert.isTrue("inputText" in read || "inputImage" in read)
  })
})

describe("check", () => {
  it.each<[name: string, processor: typeof plain, request: Processor.ModelRequest, problem: string | null]>([
    ["a text", plain, embed("a"), null],
    ["an image", plain, embed("", {}, image), null],
    ["both", short, embed("a", { dimensions: 384 }, image), null],
    ["an image in S3", plain, embed("a", {}, inS3("image", "png")), "takes no images by reference"],
    ["a video", plain, embed("", {}, bytes("video", "mp4")), "takes images, no video"],
    ["a length of another model", plain, embed("a", { dimensions: 512 }), "must be 256, 384 or 1024, not 512"],
    ["two lengths", short, embed("a", { dimensions: 256 }), "dimensions is 384 in the processor and 256"],
    ["normalize", plain, embed("a", { normalize: true }), "normalize is a parameter of Titan Text Embeddings"],
    ["a parameter of text models", plain, embed("a", { topP: 1 }), "topP is a parameter of text models"],
    ["the image in more", plain, embed("a", { more: { inputImage: "" } }), "more must not have inputImage"],
    ["the length in more", plain, embed("a", { more: { embeddingConfig: {} } }), "give dimensions instead"],
    ["a prompt", plain, { type: "chat", turns: [], parameters: {} }, "leave the prompt out"],
    ["a raw body", plain, { type: "raw", body: { inputImage: "" } }, null],
    ["a raw body with neither", plain, { type: "raw", body: { inputText: null } }, "inputText, inputImage or both"],
    ["a raw body with a model", plain, { type: "raw", body: { inputText: "a", modelId: "" } }, "must not have modelId"]
  ])("of %s", (_, processor, request, problem) => {
    const message = processor.check?.(request)
    if (problem === null) assert.isNull(message)
    else assert.include(message, problem)
  })
})

describe("decode", () => {
  it.each([256, 384, 1024])("reads an embedding of %i numbers", (length) => {
    assert.deepStrictEqual(plain.decode({ embedding: numbers(length), inputTextTokenCount: 7, message: null }), {
      status: "succeeded",
      answer: { embedding: Float32Array.from(numbers(length)) },
      stopReason: null,
      usage: { inputTokens: 7, outputTokens: null }
    })
  })

  it("takes a message for a failure, even beside an embedding", () => {
    const failed = { embedding: numbers(384), inputTextTokenCount: 7, message: "the image is too large" }
    assert.deepStrictEqual(short.decode(failed), {
      status: "failed",
      message: "the image is too large",
      raw: null,
      stopReason: null,
      usage: { inputTokens: 7, outputTokens: null }
    })
    const untold = { status: "failed", message: "the model reports an error without a text" } as const
    assert.deepInclude(short.decode({ message: 1 }), untold)
    assert.deepInclude(short.decode({ embedding: numbers(384), message: "" }), untold)
  })

  it.each<[name: string, output: Processor.Json, problem: string]>([
    ["another length than asked for", { embedding: numbers(256) }, "has 256 dimensions, not 384"],
    ["a null among the numbers", { embedding: [...numbers(383), null] }, "not finite numbers"],
    ["no embedding", { embedding: null, inputTextTokenCount: 0 }, "no embedding"],
    ["null", null, "no embedding"]
  ])("%s is invalid", (_, output, problem) => {
    const reading = short.decode(output)
    assert.deepInclude(reading, { status: "invalid", raw: null, stopReason: null })
    assert.include("message" in reading ? reading.message : "", problem)
  })

  it("gives the vector itself", () => {
    const embedding = Float32Array.from(numbers(384))
    const reading = short.decodeVectors!({ embedding, inputTextTokenCount: 0, message: null })
    assert.strictEqual("answer" in reading ? reading.answer.embedding : undefined, embedding)
  })

  it.prop("reads any JSON without a fault, and vectors alike", [output], ([json]) => {
    assertReading(short, json)
    assert.deepStrictEqual(short.decodeVectors!(json), short.decode(json))
    assert.deepStrictEqual(short.decodeVectors!(withVectors(json)), short.decode(json))
  }, { arbitrary: { runs: 300 } })
})
