/**
 * Amazon Titan Multimodal Embeddings G1.
 *
 * @since 0.2.0
 */
import { checkMore, checkRaw } from "./internal/Body.ts"
import { checkSettings, truncations } from "./internal/EmbeddingRequest.ts"
import { count, given, member, string } from "./internal/Json.ts"
import { fitTokens } from "./internal/TextLimit.ts"
import { oneOf, variantId, variantOptions } from "./internal/Variant.ts"
import { numbersOf, readVector } from "./internal/Vectors.ts"
import {
  EmbeddingAnswer,
  type Json,
  type ModelParameters,
  type ModelRequest,
  type Processor,
  type Reading,
  type VectorJson
} from "./Processor.ts"

/**
 * The lengths that the embeddings can have.
 *
 * @since 0.2.0
 * @category models
 */
export type Dimensions = 256 | 384 | 1024

/**
 * Options of {@link titanMultimodalEmbeddings}.
 *
 * @since 0.2.0
 * @category models
 */
export interface Options {
  /** The length of the embeddings. Default: not sent, for which the model gives 1024. */
  readonly dimensions?: Dimensions | undefined
  /** What becomes of a text that is longer than the model takes. Default: `none`, the model refuses it. */
  readonly truncate?: ModelParameters["truncate"]
}

const name = "titan-multimodal-embeddings/1"

const family = "Titan Multimodal Embeddings"

const lengths: ReadonlyArray<Dimensions> = [256, 384, 1024]

const mostTokens = 256

const own: ReadonlyMap<string, string | null> = new Map([
  ["inputText", null],
  ["inputImage", null],
  ["embeddingConfig", "dimensions"]
])

const checkBody = (body: Json): string | null => {
  const wrong = checkRaw(body, [], ["modelId"])
  if (wrong !== null) return wrong
  return member(body, "inputText") === undefined && member(body, "inputImage") === undefined
    ? "the body of a record must have inputText, inputImage or both"
    : null
}

const checkRequest = (options: Options, request: ModelRequest): string | null => {
  if (request.type === "raw") return checkBody(request.body)
  if (request.type === "chat") {
    return `${family} takes a text or an image, no prompt: leave the prompt out and name the columns to embed`
  }
  const { media, parameters } = request
  if (media !== undefined && media.kind !== "image") return `${family} takes images, no ${media.kind}`
  if (media?.source.type === "s3") {
    return `${family} takes no images by reference: leave s3: "reference" out, so that they are sent in the requests`
  }
  if (parameters.normalize !== undefined) {
    return `normalize is a parameter of Titan Text Embeddings, ${family} has none`
  }
  return checkSettings(family, lengths, options, parameters) ?? checkMore(parameters.more, own)
}

const read = (modelOutput: VectorJson, expected: ReadonlyArray<number>): Reading<EmbeddingAnswer> => {
  const rest = {
    stopReason: null,
    usage: { inputTokens: count(member(modelOutput, "inputTextTokenCount")), outputTokens: null }
  }
  const problem = member(modelOutput, "message")
  if (problem !== undefined) {
    const text = string(problem) ?? ""
    const message = text === "" ? "the model reports an error without a text" : text
    return { status: "failed", message, raw: null, ...rest }
  }
  const embedding = readVector(numbersOf(member(modelOutput, "embedding")), expected)
  return typeof embedding === "string"
    ? { status: "invalid", message: embedding, raw: null, ...rest }
    : { status: "succeeded", answer: { embedding }, ...rest }
}

/** One processor for one id, so that a built-in one is known from a user's own by what it is. */
const made = new Map<string, Processor<EmbeddingAnswer>>()

/**
 * Makes the processor for Amazon Titan Multimodal Embeddings G1: a text, an image, or both a record, one embedding
 * back; of both it is the mean of the two. The default for that model, without options.
 *
 * Images are sent in the request; an image by reference (`s3: "reference"`) is refused by `check`. A row with neither
 * text nor image is left to the model, which refuses it. `dimensions` and `truncate` may also come with the request's
 * parameters; the two must not differ. Give `dimensions` here to have every answer held to it: an embedding of another
 * length is `invalid`. A `message` in the output is an error of the model, and the row `failed`.
 *
 * The model takes 256 tokens of text, and images of at most 25 MB and 2,048 x 2,048 pixels (User Guide, [Amazon Titan
 * Multimodal Embeddings G1](https://docs.aws.amazon.com/bedrock/latest/userguide/titan-multiemb-models.html), November
 * 2026). `truncate` cuts a longer text at one end, never inside a character. The tokens are those of `Tokens.estimate`,
 * so no text of 256 characters or fewer is cut, and English is at about 1,000. A text with more tokens than that can
 * still be refused, and then its row is `failed`.
 *
 * @since 0.2.0
 * @category families
 * @example
 * ```ts
 * import { TitanMultimodalEmbeddings } from "@bedrock-batch/processors"
 *
 * const processor = TitanMultimodalEmbeddings.titanMultimodalEmbeddings({ dimensions: 384 })
 *
 * processor.encode({ type: "embed", text: "a cat", parameters: {} })
 * // { inputText: "a cat", embeddingConfig: { outputEmbeddingLength: 384 } }
 * ```
 */
export const titanMultimodalEmbeddings = (options: Options = {}): Processor<EmbeddingAnswer> => {
  const id = variantId(name, { dimensions: options.dimensions, truncate: options.truncate })
  const there = made.get(id)
  if (there !== undefined) return there
  const expected = options.dimensions === undefined ? lengths : [options.dimensions]
  const processor: Processor<EmbeddingAnswer> = {
    id,
    invocationType: "InvokeModel",
    accepts: "embed",
    columns: EmbeddingAnswer,
    check: (request) => checkRequest(options, request),
    encode: (request) => {
      if (request.type === "raw") return request.body
      const { dimensions = options.dimensions, more, truncate = options.truncate } = request.parameters
      const text = request.type === "embed" ? request.text : request.turns.map((turn) => turn.content).join("\n\n")
      const source = request.type === "embed" ? request.media?.source : undefined
      return {
        ...more,
        ...given({
          inputText: text === "" && source !== undefined ? undefined : fitTokens(text, mostTokens, truncate),
          // What the model does not take it refuses for this row; left out, it would embed the rest in silence.
          inputImage: source?.type === "s3" ? source.uri : source?.base64,
          embeddingConfig: dimensions === undefined ? undefined : { outputEmbeddingLength: dimensions }
        })
      }
    },
    decode: (modelOutput) => read(modelOutput, expected),
    decodeVectors: (modelOutput) => read(modelOutput, expected)
  }
  made.set(id, processor)
  return processor
}

/**
 * Finds the processor of {@link titanMultimodalEmbeddings} that has an id, as it is stored with a run, or undefined
 * where the id is none of its.
 *
 * @since 0.2.0
 * @category getters
 */
export const fromId = (id: string): Processor<EmbeddingAnswer> | undefined => {
  const texts = variantOptions(name, id)
  if (texts === null) return undefined
  const processor = titanMultimodalEmbeddings({
    dimensions: oneOf(lengths, texts.get("dimensions")),
    truncate: oneOf(truncations, texts.get("truncate"))
  })
  return processor.id === id ? processor : undefined
}
