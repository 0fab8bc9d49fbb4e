import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import type { Processor } from "../src/index.ts"
import { novaMultimodalEmbeddings, type Options } from "../src/NovaMultimodalEmbeddings.ts"
import { assertReading, bytes, embed, inS3, nearly, numbers, withVectors } from "./decoding.ts"

const plain = novaMultimodalEmbeddings()
const short = novaMultimodalEmbeddings({ dimensions: 256 })
const separate = novaMultimodalEmbeddings({ videoMode: "separate", dimensions: 256 })

/** The body around the parameters of one embedding, as the User Guide documents it. */
const body = (singleEmbeddingParams: Processor.Json): Processor.Json => ({
  schemaVersion: "nova-multimodal-embed-v1",
  taskType: "SINGLE_EMBEDDING",
  singleEmbeddingParams
})

const purposes = [
  "GENERIC_INDEX",
  "GENERIC_RETRIEVAL",
  "TEXT_RETRIEVAL",
  "IMAGE_RETRIEVAL",
  "VIDEO_RETRIEVAL",
  "DOCUMENT_RETRIEVAL",
  "AUDIO_RETRIEVAL",
  "CLASSIFICATION",
  "CLUSTERING"
] as const

const Source = Schema.Union([
  Schema.Struct({ bytes: Schema.String }),
  Schema.Struct({ s3Location: Schema.Struct({ uri: Schema.String }) })
])
const Media = Schema.Struct({ format: Schema.String, source: Source })
const about = {
  embeddingPurpose: Schema.Literals(purposes),
  embeddingDimension: Schema.optionalKey(Schema.Literals([256, 384, 1024, 3072]))
}
const Text = Schema.Struct({ truncationMode: Schema.Literals(["START", "END", "NONE"]), value: Schema.String })
const Image = Schema.Struct({ ...Media.fields, detailLevel: Schema.optionalKey(Schema.String) })
const Video = Schema.Struct({
  ...Media.fields,
  embeddingMode: Schema.Literals(["AUDIO_VIDEO_COMBINED", "AUDIO_VIDEO_SEPARATE"])
})

/** The documented body: exactly one of text, image, audio and video. */
const Body = Schema.Struct({
  schemaVersion: Schema.Literal("nova-multimodal-embed-v1"),
  taskType: Schema.Literal("SINGLE_EMBEDDING"),
  singleEmbeddingParams: Schema.Union([
    Schema.Struct({ ...about, text: Text }),
    Schema.Struct({ ...about, image: Image }),
    Schema.Struct({ ...about, audio: Media }),
    Schema.Struct({ ...about, video: Video })
  ])
})

const entry = (types: ReadonlyArray<string>) =>
  nearly({
    embeddingType: Arbitrary.schema(Schema.Literals(types)),
    embedding: Arbitrary.schema(Schema.Literals([255, 256])).pipe(Arbitrary.map(numbers)),
    truncatedCharLength: Arbitrary.schema(Schema.NullOr(Schema.Natural))
  })
const output = nearly({
  embeddings: Arbitrary.all({
    first: entry(["TEXT", "VIDEO"]),
    second: entry(["AUDIO", "IMAGE"]),
    both: Arbitrary.schema(Schema.Boolean)
  }).pipe(Arbitrary.map(({ both, first, second }): Processor.Json => both ? [first, second] : [first]))
})

describe("id", () => {
  it("has the options that were given, in one order", () => {
    const all: Options = {
      detailLevel: "DOCUMENT_IMAGE",
      videoMode: "combined",
      truncate: "end",
      dimensions: 384,
      purpose: "CLUSTERING"
    }
    assert.deepStrictEqual([plain, short, separate, novaMultimodalEmbeddings(all)].map(({ id }) => id), [
      "nova-multimodal-embeddings/1",
      "nova-multimodal-embeddings/1?dimensions=256",
      "nova-multimodal-embeddings/1?dimensions=256&videoMode=separate",
      "nova-multimodal-embeddings/1?purpose=CLUSTERING&dimensions=384&truncate=end&videoMode=combined&" +
      "detailLevel=DOCUMENT_IMAGE"
    ])
    assert.strictEqual(novaMultimodalEmbeddings(all), novaMultimodalEmbeddings({ ...all }))
  })
})

describe("encode", () => {
  it.each<[name: string, options: Options, request: Processor.ModelRequest, params: Processor.Json]>([
    ["a text", {}, embed("a cat"), {
      embeddingPurpose: "GENERIC_INDEX",
      text: { truncationMode: "NONE", value: "a cat" }
    }],
    ["a text to be cut", { truncate: "start", dimensions: 3072, purpose: "TEXT_RETRIEVAL" }, embed("a cat"), {
      embeddingPurpose: "TEXT_RETRIEVAL",
      embeddingDimension: 3072,
      text: { truncationMode: "START", value: "a cat" }
    }],
    ["the parameters' settings", {}, embed("a", { dimensions: 384, truncate: "end" }), {
      embeddingPurpose: "GENERIC_INDEX",
      embeddingDimension: 384,
      text: { truncationMode: "END", value: "a" }
    }],
    ["an image", {}, embed("", {}, bytes("image", "png")), {
      embeddingPurpose: "GENERIC_INDEX",
      image: { format: "png", source: { bytes: "AAEC" } }
    }],
    ["an image of a page", { detailLevel: "DOCUMENT_IMAGE" }, embed("", {}, inS3("image", "jpeg")), {
      embeddingPurpose: "GENERIC_INDEX",
      image: { format: "jpeg", source: { s3Location: { uri: "s3://bucket/a" } }, detailLevel: "DOCUMENT_IMAGE" }
    }],
    ["a sound", {}, embed("", {}, bytes("audio", "wav")), {
      embeddingPurpose: "GENERIC_INDEX",
      audio: { format: "wav", source: { bytes: "AAEC" } }
    }],
    ["a video", {}, embed("", {}, inS3("video", "mp4")), {
      embeddingPurpose: "GENERIC_INDEX",
      video: {
        format: "mp4",
        source: { s3Location: { uri: "s3://bucket/a" } },
        embeddingMode: "AUDIO_VIDEO_COMBINED"
      }
    }],
    ["a video apart from its sound", { videoMode: "separate" }, embed("", {}, bytes("video", "three_gp")), {
      embeddingPurpose: "GENERIC_INDEX",
      video: { format: "3gp", source: { bytes: "AAEC" }, embeddingMode: "AUDIO_VIDEO_SEPARATE" }
    }],
    ["nothing, which the model refuses", {}, embed(""), {
      embeddingPurpose: "GENERIC_INDEX",
      text: { truncationMode: "NONE", value: "" }
    }],
    ["both, which the model refuses", {}, embed("a", {}, bytes("audio", "mp3")), {
      embeddingPurpose: "GENERIC_INDEX",
      text: { truncationMode: "NONE", value: "a" },
      audio: { format: "mp3", source: { bytes: "AAEC" } }
    }]
  ])("writes %s", (_, options, request, params) => {
    assert.deepStrictEqual(novaMultimodalEmbeddings(options).encode(request), body(params))
  })

  it("cuts a text to the documented characters, and none without being asked to", () => {
    const text = `${"a".repeat(8191)}🦜b`
    const value = (truncate: Options["truncate"]) => {
      const { singleEmbeddingParams: { text: sent } } = Schema.decodeUnknownSync(
        Schema.Struct({ singleEmbeddingParams: Schema.Struct({ text: Text }) })
      )(novaMultimodalEmbeddings({ truncate }).encode(embed(text)))
      return sent.value
    }
    assert.strictEqual(value("end"), "a".repeat(8191))
    assert.strictEqual(value("start"), `${"a".repeat(8189)}🦜b`)
    assert.strictEqual(value("none"), text)
    assert.strictEqual(value(undefined), text)
  })

  it("passes a raw body on unchanged, and puts fields of the model's own beside its own", () => {
    const raw = { taskType: "SINGLE_EMBEDDING" }
    assert.strictEqual(plain.encode({ type: "raw", body: raw }), raw)
    const more = { anything: 1 }
    assert.deepInclude(plain.encode(embed("a", { more })), { anything: 1, taskType: "SINGLE_EMBEDDING" })
  })

  it.prop("writes the documented body for every modality", [
    Schema.Struct({
      modality: Schema.Literals(["text", "image", "audio", "video"]),
      text: Schema.NonEmptyString,
      inS3: Schema.Boolean,
      options: Schema.Struct({
        purpose: Schema.optionalKey(Schema.Literals(purposes)),
        dimensions: Schema.optionalKey(Schema.Literals([256, 384, 1024, 3072])),
        truncate: Schema.optionalKey(Schema.Literals(["none", "start", "end"])),
        videoMode: Schema.optionalKey(Schema.Literals(["combined", "separate"])),
        detailLevel: Schema.optionalKey(Schema.Literals(["STANDARD_IMAGE", "DOCUMENT_IMAGE"]))
      })
    })
  ], ([{ inS3: named, modality, options, text }]) => {
    const request = modality === "text" ? embed(text) : embed("", {}, (named ? inS3 : bytes)(modality, "mp4", text))
    const written = novaMultimodalEmbeddings(options).encode(request)
    const read = Schema.decodeUnknownSync(Body, { onExcessProperty: "error" })(written)
    assert.property(read.singleEmbeddingParams, modality)
    assert.strictEqual(read.singleEmbeddingParams.embeddingPurpose, options.purpose ?? "GENERIC_INDEX")
    assert.strictEqual(read.singleEmbeddingParams.embeddingDimension, options.dimensions)
  })
})

describe("check", () => {
  it.each<[name: string, options: Options, request: Processor.ModelRequest, problem: string | null]>([
    ["a text", {}, embed("a"), null],
    ["an image in S3", {}, embed("", {}, inS3("image", "png")), null],
    ["a sound", {}, embed("", {}, bytes("audio", "mp3")), null],
    ["a video", { videoMode: "separate" }, embed("", { dimensions: 1024 }, bytes("video", "mp4")), null],
    ["a document", {}, embed("", {}, bytes("document", "pdf")), "give their pages as images"],
    ["a text and an image", {}, embed("a", {}, bytes("image", "png")), "not both in one record"],
    ["a text where videos are wanted", { videoMode: "separate" }, embed("a"), "is for videos"],
    ["a sound where videos are wanted", { videoMode: "separate" }, embed("", {}, bytes("audio", "mp3")), "for videos"],
    ["a length of another model", {}, embed("a", { dimensions: 512 }), "must be 256, 384, 1024 or 3072, not 512"],
    ["two lengths", { dimensions: 256 }, embed("a", { dimensions: 384 }), "dimensions is 256 in the processor"],
    ["two ends", { truncate: "end" }, embed("a", { truncate: "start" }), "truncate is end in the processor"],
    ["normalize", {}, embed("a", { normalize: false }), "normalize is a parameter of Titan Text Embeddings"],
    ["a parameter of text models", {}, embed("a", { temperature: 0 }), "temperature is a parameter of text models"],
    ["its own field in more", {}, embed("a", { more: { taskType: "x" } }), "more must not have taskType"],
    ["another purpose", { purpose: "SEARCH" as never }, embed("a"), "purpose must be one of GENERIC_INDEX"],
    ["another mode", { videoMode: "AUDIO_VIDEO_SEPARATE" as never }, embed("a"), "one of combined, separate, not"],
    ["another detail", { detailLevel: "HIGH" as never }, embed("a"), "detailLevel must be one of STANDARD_IMAGE"],
    ["a prompt", {}, { type: "chat", turns: [], parameters: {} }, "leave the prompt out"],
    ["a raw body", {}, { type: "raw", body: body({}) }, null],
    ["a raw body of the asynchronous API", {}, { type: "raw", body: { taskType: "x" } }, "lacks singleEmbeddingParams"]
  ])("of %s", (_, options, request, problem) => {
    const message = novaMultimodalEmbeddings(options).check?.(request)
    if (problem === null) assert.isNull(message)
    else assert.include(message, problem)
  })
})

describe("decode", () => {
  const usage = { inputTokens: null, outputTokens: null }

  it.each([256, 384, 1024, 3072])("reads an embedding of %i numbers", (length) => {
    for (const embeddingType of ["TEXT", "IMAGE", "AUDIO", "VIDEO", "AUDIO_VIDEO_COMBINED", "LATER"]) {
      assert.deepStrictEqual(plain.decode({ embeddings: [{ embeddingType, embedding: numbers(length) }] }), {
        status: "succeeded",
        answer: { embedding: Float32Array.from(numbers(length)) },
        stopReason: null,
        usage
      })
    }
  })

  it("notes how much of a text the model read, and counts the answer as whole", () => {
    const embeddings = [{ embeddingType: "TEXT", embedding: numbers(256), truncatedCharLength: 6000 }]
    assert.deepInclude(short.decode({ embeddings }), { status: "succeeded", stopReason: "truncatedCharLength=6000" })
  })

  it("reads a video and its sound apart, in whichever order they come", () => {
    const video = { embeddingType: "VIDEO", embedding: numbers(256) }
    const audio = { embeddingType: "AUDIO", embedding: numbers(256).reverse() }
    for (const embeddings of [[video, audio], [audio, video]]) {
      assert.deepStrictEqual(separate.decode({ embeddings }), {
        status: "succeeded",
        answer: {
          audio_embedding: Float32Array.from(numbers(256)).reverse(),
          video_embedding: Float32Array.from(numbers(256))
        },
        stopReason: null,
        usage
      })
    }
  })

  it("keeps the embedding of a video without sound", () => {
    assert.deepInclude(separate.decode({ embeddings: [{ embeddingType: "VIDEO", embedding: numbers(256) }] }), {
      status: "succeeded",
      answer: { audio_embedding: null, video_embedding: Float32Array.from(numbers(256)) }
    })
  })

  const of = (type: string, length: number, ...second: [] | [type: string, length: number]): Processor.Json => ({
    embeddings: [[type, length] as const, ...second.length === 0 ? [] : [second]]
      .map(([embeddingType, length]) => ({ embeddingType, embedding: numbers(length) }))
  })

  it.each<[name: string, processor: Processor.Processor<object>, output: Processor.Json, problem: string]>([
    ["another length than asked for", short, of("TEXT", 384), "has 384 dimensions, not 256"],
    ["a length that the model has not", plain, of("TEXT", 300), "has 300 dimensions"],
    ["two embeddings", short, of("VIDEO", 256, "AUDIO", 256), "2 embeddings"],
    ["no embeddings", short, { embeddings: [] }, "no embedding"],
    ["numbers for embeddings", short, { embeddings: numbers(256) }, "no embedding"],
    ["a combined one", separate, of("AUDIO_VIDEO_COMBINED", 256), "no video embedding"],
    ["sound alone", separate, of("AUDIO", 256), "no video embedding"],
    ["sound of another length", separate, of("VIDEO", 256, "AUDIO", 384), "the audio embedding has 384 dimensions"],
    ["null", plain, null, "no embedding"]
  ])("%s is invalid", (_, processor, output, problem) => {
    const reading = processor.decode(output)
    assert.deepInclude(reading, { status: "invalid", raw: null, stopReason: null })
    assert.include("message" in reading ? reading.message : "", problem)
  })

  it("takes an error in place of embeddings for a failure", () => {
    assert.deepInclude(plain.decode({ message: "the image is too large" }), {
      status: "failed",
      message: "the image is too large"
    })
    assert.deepInclude(separate.decode({ embeddings: null, error: { code: 1 } }), { status: "failed" })
  })

  it("gives the vectors themselves", () => {
    const video = Float32Array.from(numbers(256))
    const audio = Float32Array.from(numbers(256))
    const reading = separate.decodeVectors!({
      embeddings: [{ embeddingType: "VIDEO", embedding: video }, { embeddingType: "AUDIO", embedding: audio }]
    })
    assert.strictEqual("answer" in reading ? reading.answer.video_embedding : undefined, video)
    assert.strictEqual("answer" in reading ? reading.answer.audio_embedding : undefined, audio)
  })

  it.prop("reads any JSON without a fault, and vectors alike", [output], ([json]) => {
    for (const processor of [short, separate] as ReadonlyArray<Processor.Processor<object>>) {
      assertReading(processor, json)
      assert.deepStrictEqual(processor.decodeVectors!(json), processor.decode(json))
      assert.deepStrictEqual(processor.decodeVectors!(withVectors(json)), processor.decode(json))
    }
  }, { arbitrary: { runs: 300 } })
})
