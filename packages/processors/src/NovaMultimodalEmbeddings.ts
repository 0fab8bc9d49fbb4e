/**
 * Amazon Nova Multimodal Embeddings.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import { checkMore, checkRaw } from "./internal/Body.ts"
import { checkSettings, truncations } from "./internal/EmbeddingRequest.ts"
import { array, count, given, isObject, member } from "./internal/Json.ts"
import { fitCharacters } from "./internal/TextLimit.ts"
import { readStranger } from "./internal/TextReading.ts"
import { oneOf, variantId, variantOptions } from "./internal/Variant.ts"
import { numbersOf, readVector } from "./internal/Vectors.ts"
import {
  EmbeddingAnswer,
  type Json,
  type ModelParameters,
  type ModelRequest,
  type Processor,
  type Reading,
  Vector,
  type VectorJson
} from "./Processor.ts"
import type { Media } from "./Prompt.ts"

/**
 * The lengths that the embeddings can have.
 *
 * @since 0.2.0
 * @category models
 */
export type Dimensions = 256 | 384 | 1024 | 3072

/**
 * What the embeddings are for, in the model's own words.
 *
 * | purpose | embeddings of |
 * | --- | --- |
 * | `GENERIC_INDEX` | what is to be found, of any kind |
 * | `GENERIC_RETRIEVAL` | queries to an index of several kinds |
 * | `TEXT_RETRIEVAL`, `AUDIO_RETRIEVAL` | queries to an index of texts, of sounds |
 * | `IMAGE_RETRIEVAL` | queries to an index of images, with `STANDARD_IMAGE` |
 * | `DOCUMENT_RETRIEVAL` | queries to an index of images, with `DOCUMENT_IMAGE` |
 * | `VIDEO_RETRIEVAL` | queries to an index of videos, of whichever mode |
 * | `CLASSIFICATION` | what is to be classified |
 * | `CLUSTERING` | what is to be grouped |
 *
 * @since 0.2.0
 * @category models
 */
export type Purpose =
  | "GENERIC_INDEX"
  | "GENERIC_RETRIEVAL"
  | "TEXT_RETRIEVAL"
  | "IMAGE_RETRIEVAL"
  | "VIDEO_RETRIEVAL"
  | "DOCUMENT_RETRIEVAL"
  | "AUDIO_RETRIEVAL"
  | "CLASSIFICATION"
  | "CLUSTERING"

/**
 * How finely images are looked at: `DOCUMENT_IMAGE` with more pixels, to read the text in them.
 *
 * @since 0.2.0
 * @category models
 */
export type DetailLevel = "STANDARD_IMAGE" | "DOCUMENT_IMAGE"

/**
 * Options of {@link novaMultimodalEmbeddings}.
 *
 * @since 0.2.0
 * @category models
 */
export interface Options {
  /** What the embeddings are for. Default: `GENERIC_INDEX`. */
  readonly purpose?: Purpose | undefined
  /** The length of the embeddings. Default: not sent, for which the model gives 3072. */
  readonly dimensions?: Dimensions | undefined
  /** What becomes of a text that is longer than the model takes. Default: `none`, the model refuses it. */
  readonly truncate?: ModelParameters["truncate"]
  /**
   * `combined`: one embedding of what a video shows and sounds like; `separate`: one of each, for runs that have only
   * videos. Default: `combined`.
   */
  readonly videoMode?: "combined" | "separate" | undefined
  /** How finely images are looked at. Default: not sent, for which the model takes `STANDARD_IMAGE`. */
  readonly detailLevel?: DetailLevel | undefined
}

/**
 * Schema for what a video adds to a row with `videoMode: "separate"`: the columns `audio_embedding` and
 * `video_embedding`.
 *
 * @since 0.2.0
 * @category schemas
 */
export const SeparateAnswer = Schema.Struct({ audio_embedding: Schema.NullOr(Vector), video_embedding: Vector })

/**
 * What a video adds to a row with `videoMode: "separate"`: `audio_embedding`, null where the model gave none, as for a
 * video without sound, and `video_embedding`.
 *
 * @since 0.2.0
 * @category models
 */
export interface SeparateAnswer extends Schema.Schema.Type<typeof SeparateAnswer> {}

/**
 * A processor for Nova Multimodal Embeddings, whatever its options.
 *
 * @since 0.2.0
 * @category models
 */
export type AnyNovaMultimodalEmbeddings = Processor<EmbeddingAnswer> | Processor<SeparateAnswer>

const name = "nova-multimodal-embeddings/1"

const family = "Nova Multimodal Embeddings"

const lengths: ReadonlyArray<Dimensions> = [256, 384, 1024, 3072]

const purposes: ReadonlyArray<Purpose> = [
  "GENERIC_INDEX",
  "GENERIC_RETRIEVAL",
  "TEXT_RETRIEVAL",
  "IMAGE_RETRIEVAL",
  "VIDEO_RETRIEVAL",
  "DOCUMENT_RETRIEVAL",
  "AUDIO_RETRIEVAL",
  "CLASSIFICATION",
  "CLUSTERING"
]

const detailLevels: ReadonlyArray<DetailLevel> = ["STANDARD_IMAGE", "DOCUMENT_IMAGE"]

const videoModes = ["combined", "separate"] as const

const truncationModes = { none: "NONE", start: "START", end: "END" } as const

const mostCharacters = 8192

const own: ReadonlyMap<string, string | null> = new Map([
  ["schemaVersion", null],
  ["taskType", null],
  ["singleEmbeddingParams", null]
])

const checkOption = (option: string, value: string | undefined, values: ReadonlyArray<string>): string | null =>
  value === undefined || values.includes(value) ? null : `${option} must be one of ${values.join(", ")}, not ${value}`

const checkRequest = (options: Options, request: ModelRequest): string | null => {
  if (request.type === "raw") return checkRaw(request.body, ["taskType", "singleEmbeddingParams"], ["modelId"])
  if (request.type === "chat") {
    return `${family} takes a text or media, no prompt: leave the prompt out and name the column to embed`
  }
  const { media, parameters, text } = request
  const wrong = checkOption("purpose", options.purpose, purposes) ??
    checkOption("videoMode", options.videoMode, videoModes) ??
    checkOption("detailLevel", options.detailLevel, detailLevels)
  if (wrong !== null) return wrong
  if (media?.kind === "document") {
    return `${family} takes no documents: give their pages as images, with detailLevel: "DOCUMENT_IMAGE"`
  }
  if (media !== undefined && text !== "") return `${family} takes a text or media, not both in one record: embed one`
  if (options.videoMode === "separate" && media?.kind !== "video") {
    return "videoMode: \"separate\" is for videos: embed a column of videos, or leave it out"
  }
  if (parameters.normalize !== undefined) {
    return `normalize is a parameter of Titan Text Embeddings, ${family} has none`
  }
  return checkSettings(family, lengths, options, parameters) ?? checkMore(parameters.more, own)
}

/** Bedrock's word in Converse is not this model's. */
const formatOf = (format: string): string => format === "three_gp" ? "3gp" : format

const mediaOf = ({ format, kind, source }: Media, options: Options): { readonly [kind: string]: Json } => ({
  [kind]: given({
    format: formatOf(format),
    source: source.type === "bytes" ? { bytes: source.base64 } : { s3Location: { uri: source.uri } },
    detailLevel: kind === "image" ? options.detailLevel : undefined,
    embeddingMode: kind === "video"
      ? options.videoMode === "separate" ? "AUDIO_VIDEO_SEPARATE" : "AUDIO_VIDEO_COMBINED"
      : undefined
  })
})

const encode = (options: Options, request: ModelRequest): Json => {
  if (request.type === "raw") return request.body
  const { dimensions = options.dimensions, more, truncate = options.truncate } = request.parameters
  const text = request.type === "embed" ? request.text : request.turns.map((turn) => turn.content).join("\n\n")
  const media = request.type === "embed" ? request.media : undefined
  return {
    ...more,
    schemaVersion: "nova-multimodal-embed-v1",
    taskType: "SINGLE_EMBEDDING",
    singleEmbeddingParams: given({
      embeddingPurpose: options.purpose ?? "GENERIC_INDEX",
      embeddingDimension: dimensions,
      // Of a row with both the model embeds neither: it refuses the record.
      text: text === "" && media !== undefined ? undefined : {
        truncationMode: truncationModes[truncate ?? "none"] ?? "NONE",
        value: fitCharacters(text, mostCharacters, truncate)
      },
      ...media === undefined ? {} : mediaOf(media, options)
    })
  }
}

/** What the video mode decides: the columns, and how they are read. */
interface Kind<A extends object> {
  readonly columns: Schema.ConstraintDecoder<A>
  /** The answer, or what is wrong with it. */
  readonly read: (embeddings: ReadonlyArray<VectorJson>, expected: ReadonlyArray<number>) => A | string
}

const vectorOf = (embedding: VectorJson | undefined, expected: ReadonlyArray<number>, column?: string) =>
  readVector(numbersOf(member(embedding, "embedding")), expected, column)

const one: Kind<EmbeddingAnswer> = {
  columns: EmbeddingAnswer,
  read: (embeddings, expected) => {
    if (embeddings.length > 1) {
      return `the output has ${embeddings.length} embeddings, not one; for those of a video give videoMode: "separate"`
    }
    const embedding = vectorOf(embeddings[0], expected)
    return typeof embedding === "string" ? embedding : { embedding }
  }
}

const separate: Kind<SeparateAnswer> = {
  columns: SeparateAnswer,
  read: (embeddings, expected) => {
    const of = (type: string) => embeddings.find((embedding) => member(embedding, "embeddingType") === type)
    const video = vectorOf(of("VIDEO"), expected, "video embedding")
    if (typeof video === "string") return video
    const sound = of("AUDIO")
    const audio = sound === undefined ? null : vectorOf(sound, [video.length], "audio embedding")
    return typeof audio === "string" ? audio : { audio_embedding: audio, video_embedding: video }
  }
}

const read = <A extends object>(
  kind: Kind<A>,
  modelOutput: VectorJson,
  expected: ReadonlyArray<number>
): Reading<A> => {
  const list = member(modelOutput, "embeddings")
  if (list === undefined) {
    return readStranger(modelOutput, "the output has no embedding", { inputTokens: null, outputTokens: null })
  }
  const embeddings = (array(list) ?? []).filter(isObject)
  const cutAt = count(member(embeddings[0], "truncatedCharLength"))
  const rest = {
    stopReason: cutAt === null ? null : `truncatedCharLength=${cutAt}`,
    usage: { inputTokens: null, outputTokens: null }
  }
  const answer = kind.read(embeddings, expected)
  return typeof answer === "string"
    ? { status: "invalid", message: answer, raw: null, ...rest }
    : { status: "succeeded", answer, ...rest }
}

/** Makes processors of one kind: one for one id, so that a built-in one is known from a user's own by what it is. */
const maker = <A extends object>(kind: Kind<A>): (options: Options) => Processor<A> => {
  const made = new Map<string, Processor<A>>()
  return (options) => {
    const { detailLevel, dimensions, purpose, truncate, videoMode } = options
    const id = variantId(name, { purpose, dimensions, truncate, videoMode, detailLevel })
    const there = made.get(id)
    if (there !== undefined) return there
    const expected = dimensions === undefined ? lengths : [dimensions]
    const processor: Processor<A> = {
      id,
      invocationType: "InvokeModel",
      accepts: "embed",
      columns: kind.columns,
      check: (request) => checkRequest(options, request),
      encode: (request) => encode(options, request),
      decode: (modelOutput) => read(kind, modelOutput, expected),
      decodeVectors: (modelOutput) => read(kind, modelOutput, expected)
    }
    made.set(id, processor)
    return processor
  }
}

const ones = maker(one)
const separates = maker(separate)

/**
 * Makes the processor for Amazon Nova Multimodal Embeddings: one text, image, sound or video a record, one embedding
 * back, or two of a video with `videoMode: "separate"`. The default for that model, without options.
 *
 * Media are sent in the request, or named in S3 (`s3: "reference"`). Only one of text and media may be there: `check`
 * refuses both in the first row, the model in others. `dimensions` and `truncate` may also come with the request's
 * parameters; the two must not differ. Give `dimensions` here to have every answer held to it: an embedding of another
 * length is `invalid`. Otherwise 256, 384, 1024 and 3072 are accepted. The model tells no token counts.
 *
 * A text may have 8,192 characters, a sound or a video 30 seconds (Nova User Guide, [Complete embeddings request and
 * response schema](https://docs.aws.amazon.com/nova/latest/userguide/embeddings-schema.html), November 2026). With
 * `truncate` a text is cut to so many characters, never inside one, and the model is told to cut it further where it
 * has too many tokens. Where it did, the stop reason is its own note of how many characters it read,
 * `truncatedCharLength=...`. Without `truncate` it refuses such a record.
 *
 * @since 0.2.0
 * @category families
 * @example
 * ```ts
 * import { NovaMultimodalEmbeddings } from "@bedrock-batch/processors"
 *
 * const processor = NovaMultimodalEmbeddings.novaMultimodalEmbeddings({ purpose: "CLUSTERING", dimensions: 384 })
 *
 * processor.encode({ type: "embed", text: "a cat", parameters: {} })
 * // {
 * //   schemaVersion: "nova-multimodal-embed-v1",
 * //   taskType: "SINGLE_EMBEDDING",
 * //   singleEmbeddingParams: {
 * //     embeddingPurpose: "CLUSTERING",
 * //     embeddingDimension: 384,
 * //     text: { truncationMode: "NONE", value: "a cat" }
 * //   }
 * // }
 * ```
 */
export function novaMultimodalEmbeddings(
  options?: Options & { readonly videoMode?: "combined" | undefined }
): Processor<EmbeddingAnswer>
export function novaMultimodalEmbeddings(
  options: Options & { readonly videoMode: "separate" }
): Processor<SeparateAnswer>
export function novaMultimodalEmbeddings(options?: Options): AnyNovaMultimodalEmbeddings
export function novaMultimodalEmbeddings(options: Options = {}): AnyNovaMultimodalEmbeddings {
  return options.videoMode === "separate" ? separates(options) : ones(options)
}

/**
 * Finds the processor of {@link novaMultimodalEmbeddings} that has an id, as it is stored with a run, or undefined
 * where the id is none of its.
 *
 * @since 0.2.0
 * @category getters
 */
export const fromId = (id: string): AnyNovaMultimodalEmbeddings | undefined => {
  const texts = variantOptions(name, id)
  if (texts === null) return undefined
  const processor = novaMultimodalEmbeddings({
    purpose: oneOf(purposes, texts.get("purpose")),
    dimensions: oneOf(lengths, texts.get("dimensions")),
    truncate: oneOf(truncations, texts.get("truncate")),
    videoMode: oneOf(videoModes, texts.get("videoMode")),
    detailLevel: oneOf(detailLevels, texts.get("detailLevel"))
  })
  return processor.id === id ? processor : undefined
}
