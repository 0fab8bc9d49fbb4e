import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { type Processor, Tokens } from "../src/index.ts"
import { titanTextEmbeddings } from "../src/TitanTextEmbeddings.ts"
import { assertReading, bytes, embed, nearly, numbers, withVectors } from "./decoding.ts"

const plain = titanTextEmbeddings()
const short = titanTextEmbeddings({ dimensions: 256 })
const bits = titanTextEmbeddings({ dimensions: 256, embeddingTypes: ["binary"] })
const mixed = titanTextEmbeddings({ dimensions: 256, embeddingTypes: ["float", "binary"] })
/** 256 ones and zeros, and the same as bytes: one, three zeros, four ones, and so on. */
const ones = Array.from({ length: 256 }, (_, index) => index % 8 === 0 || index % 8 > 3 ? 1 : 0)
const packed = new Uint8Array(32).fill(0b1000_1111)
const usage = { inputTokens: 3, outputTokens: null }

const output = nearly({
  embedding: Arbitrary.schema(Schema.Literals([255, 256])).pipe(Arbitrary.map(numbers)),
  embeddingsByType: nearly({
    float: Arbitrary.Constant(numbers(256)),
    binary: Arbitrary.schema(Schema.Literals([0, 1, 1e-50, 2])).pipe(Arbitrary.map((last) => [...ones.slice(1), last]))
  }),
  inputTextTokenCount: Arbitrary.schema(Schema.Natural),
  message: Arbitrary.Constant(null)
})

describe("id", () => {
  it("differs wherever the requests or the readings do", () => {
    const unscaled = titanTextEmbeddings({ normalize: false })
    const both = titanTextEmbeddings({ dimensions: 256, normalize: true })
    const cut = titanTextEmbeddings({ truncate: "end", normalize: true, embeddingTypes: ["float"] })
    assert.deepStrictEqual([plain, short, unscaled, both, bits, mixed, cut].map((processor) => processor.id), [
      "titan-text-embeddings/1",
      "titan-text-embeddings/1?dimensions=256",
      "titan-text-embeddings/1?normalize=false",
      "titan-text-embeddings/1?dimensions=256&normalize=true",
      "titan-text-embeddings/1?dimensions=256&embeddingTypes=binary",
      "titan-text-embeddings/1?dimensions=256&embeddingTypes=float,binary",
      "titan-text-embeddings/1?normalize=true&embeddingTypes=float&truncate=end"
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

  it("asks for the types that its columns are made of", () => {
    assert.deepStrictEqual(bits.encode(embed("a")), { inputText: "a", dimensions: 256, embeddingTypes: ["binary"] })
    assert.deepStrictEqual(mixed.encode(embed("a")), {
      inputText: "a",
      dimensions: 256,
      embeddingTypes: ["float", "binary"]
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

describe("truncate", () => {
  const sent = (text: string, truncate: Processor.ModelParameters["truncate"]): string => {
    const body = plain.encode(embed(text, { truncate }))
    assert(typeof body === "object" && body !== null && "inputText" in body && typeof body.inputText === "string")
    assert.deepStrictEqual(titanTextEmbeddings({ truncate }).encode(embed(text)), body)
    return body.inputText
  }
  const prose = "The quick brown fox jumps over the lazy dog. ".repeat(2000)

  it("cuts a text that is too long at one end, none by default", () => {
    const end = sent(prose, "end")
    const start = sent(prose, "start")
    assert.isTrue(prose.startsWith(end) && prose.endsWith(start))
    for (const text of [end, start]) {
      assert.isAtMost(Tokens.estimate(text), 8192)
      assert.isAbove(text.length, 30_000)
      assert.isBelow(text.length, 33_000)
    }
    assert.strictEqual(sent(prose, "none"), prose)
    assert.strictEqual(sent(prose, undefined), prose)
  })

  it("cuts what has many characters and few tokens, too", () => {
    assert.strictEqual(sent(`a${" ".repeat(60_000)}b`, "end").length, 50_000)
    assert.strictEqual(sent(`a${" ".repeat(60_000)}b`, "start").length, 50_000)
  })

  it("never cuts inside a character", () => {
    // Each is two UTF-16 units and two tokens; the letters make the middle of one the place to cut.
    for (const text of ["🦜".repeat(5000), `${"a".repeat(4)}${"🦜".repeat(5000)}`, `${"🦜".repeat(5000)}aaaa`]) {
      for (const side of ["start", "end"] as const) {
        const cut = sent(text, side)
        assert.notMatch(cut, /\p{Surrogate}/u, `${side} of ${text.slice(0, 6)}`)
        assert.isAbove(cut.length, 8000)
        assert.isBelow(cut.length, 8200)
      }
    }
  })

  it.prop(
    "leaves a text of at most 8,192 characters as it is, and of others a part of at most so many tokens",
    [Schema.NonEmptyString, Schema.Literals([1, 8192, 9000]), Schema.Literals(["start", "end"])],
    ([piece, length, side]) => {
      const text = piece.repeat(Math.ceil(length / piece.length))
      const cut = sent(text, side)
      if (text.length <= 8192) assert.strictEqual(cut, text)
      assert.isTrue(side === "end" ? text.startsWith(cut) : text.endsWith(cut))
      assert.isAtMost(Tokens.estimate(cut), 8192)
      assert.isAtLeast(cut.length, Math.min(text.length, 8191))
      if (!/\p{Surrogate}/u.test(text)) assert.notMatch(cut, /\p{Surrogate}/u)
    },
    { arbitrary: { runs: 100 } }
  )
})

describe("check", () => {
  type Case = [
    name: string,
    processor: Processor.Processor<object>,
    request: Processor.ModelRequest,
    problem: string | null
  ]
  const disordered = titanTextEmbeddings({ embeddingTypes: ["binary", "float"] as never })
  it.each<Case>([
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
    ["types of the processor's own", bits, embed("a"), null],
    ["types given twice", bits, embed("a", { more: { embeddingTypes: ["float"] } }), "the processor has it"],
    ["thinking", plain, embed("a", { thinking: { effort: "low" } }), "thinking is a parameter of text models"],
    ["an end to cut", plain, embed("a", { truncate: "start" }), null],
    ["two ends", titanTextEmbeddings({ truncate: "end" }), embed("a", { truncate: "none" }), "truncate is end in the"],
    ["media", plain, embed("", {}, bytes("image", "png")), "takes a text, no media"],
    ["dimensions in more", plain, embed("a", { more: { dimensions: 1 } }), "give dimensions instead"],
    ["the text in more", plain, embed("a", { more: { inputText: "b" } }), "must not have inputText"],
    ["a prompt", plain, { type: "chat", turns: [], parameters: {} }, "leave the prompt out"],
    ["types in another order", disordered, embed("a"), "must be"],
    ["no end of a text", plain, embed("a", { truncate: "END" as never }), "must be none, start or end, not END"],
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
    const untold = { status: "failed", message: "the model reports an error without a text" } as const
    assert.deepInclude(short.decode({ ...output, message: { a: 1 } }), untold)
    assert.deepInclude(short.decode({ ...output, message: "" }), untold)
    assert.deepInclude(short.decode({ ...output, message: null }), { status: "succeeded" })
  })

  it.prop("never throws, whatever JSON it reads", [output], ([json]) => {
    assertReading(short, json)
    assertReading(bits, json)
    assertReading(mixed, json)
  }, { arbitrary: { runs: 300 } })
})

describe("binary embeddings", () => {
  /** As documented: `embedding` is there for floats alone. */
  const onlyBits = { embeddingsByType: { binary: ones }, inputTextTokenCount: 3 }
  const both = { ...onlyBits, embedding: numbers(256), embeddingsByType: { float: numbers(256), binary: ones } }

  it("are packed eight to a byte, the first in the highest bit", () => {
    assert.deepStrictEqual(bits.decode(onlyBits), {
      status: "succeeded",
      answer: { embedding_binary: packed },
      stopReason: null,
      usage
    })
    assert.deepStrictEqual(bits.decode(both), bits.decode(onlyBits))
  })

  it("stand beside the numbers where both were asked for", () => {
    assert.deepStrictEqual(mixed.decode(both), {
      status: "succeeded",
      answer: { embedding: Float32Array.from(numbers(256)), embedding_binary: packed },
      stopReason: null,
      usage
    })
    assert.deepInclude(mixed.decode(onlyBits), { status: "invalid", message: "the output has no embedding" })
  })

  it.each<[name: string, output: Processor.Json, problem: string]>([
    ["numbers alone", { embedding: numbers(256) }, "the output has no binary embedding"],
    ["another length", { embeddingsByType: { binary: ones.slice(8) } }, "has 248 dimensions, not 256"],
    ["a number between", { embeddingsByType: { binary: numbers(256) } }, "values other than 0 and 1"],
    ["a sign", { embeddingsByType: { binary: ones.map((one) => one * 2 - 1) } }, "values other than 0 and 1"],
    ["a null", { embeddingsByType: { binary: [...ones.slice(1), null] } }, "values other than 0 and 1"],
    ["a truth value", { embeddingsByType: { binary: [...ones.slice(1), true] } }, "values other than 0 and 1"]
  ])("with %s are invalid", (_, output, problem) => {
    for (const reading of [bits.decode(output), bits.decodeVectors!(withVectors(output))]) {
      assert.deepInclude(reading, { status: "invalid", raw: null })
      assert.include("message" in reading ? reading.message : "", problem)
    }
  })

  it("must be as long as the numbers", () => {
    const processor = titanTextEmbeddings({ embeddingTypes: ["float", "binary"] })
    const output = { embedding: numbers(512), embeddingsByType: { binary: ones } }
    assert.deepInclude(processor.decode(output), { status: "invalid" })
  })

  it("fail with the model's message", () => {
    assert.deepInclude(bits.decode({ ...onlyBits, message: "too long" }), { status: "failed", message: "too long" })
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
    assert.deepStrictEqual(bits.decodeVectors!(withVectors(json)), bits.decode(json))
    assert.deepStrictEqual(mixed.decodeVectors!(withVectors(json)), mixed.decode(json))
  }, { arbitrary: { runs: 300 } })
})
