/**
 * Amazon Titan Text Embeddings V2.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { checkMore, checkRaw } from "./internal/Body.ts"
import { checkSettings, truncations } from "./internal/EmbeddingRequest.ts"
import { array, count, given, member, string } from "./internal/Json.ts"
import { fitCharacters, fitTokens } from "./internal/TextLimit.ts"
import { oneOf, variantId, variantOptions } from "./internal/Variant.ts"
import { numbersOf, readBits, readVector } from "./internal/Vectors.ts"
import {
  EmbeddingAnswer,
  type ModelParameters,
  type Processor,
  type Reading,
  Vector,
  type VectorJson
} from "./Processor.ts"

/**
 * The lengths that Titan's embeddings can have.
 *
 * @since 0.1.0
 * @category models
 */
export type Dimensions = 256 | 512 | 1024

/**
 * The kinds of embeddings that Titan gives: numbers, bits, or both.
 *
 * @since 0.2.0
 * @category models
 */
export type EmbeddingTypes = readonly ["float"] | readonly ["binary"] | readonly ["float", "binary"]

/**
 * Options of {@link titanTextEmbeddings}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The length of the embeddings. Default: not sent, for which the model gives 1024. */
  readonly dimensions?: Dimensions | undefined
  /** Whether embeddings are scaled to length 1. Default: not sent, for which the model does. */
  readonly normalize?: boolean | undefined
  /**
   * `float`: the column `embedding`; `binary`: the column `embedding_binary`, a bit for each dimension. Default: not
   * sent, for which the model gives `float`.
   *
   * @since 0.2.0
   */
  readonly embeddingTypes?: EmbeddingTypes | undefined
  /**
   * What becomes of a text that is longer than the model takes. Default: `none`, the model refuses it.
   *
   * @since 0.2.0
   */
  readonly truncate?: ModelParameters["truncate"]
}

/**
 * Schema for what bits add to a row: the column `embedding_binary`.
 *
 * @since 0.2.0
 * @category schemas
 */
export const BinaryAnswer = Schema.Struct({ embedding_binary: Schema.Uint8Array })

/**
 * What bits add to a row: the column `embedding_binary`, eight dimensions a byte, of eight the first in the highest
 * bit, as `numpy.packbits` writes them: 128 bytes for 1024 dimensions.
 *
 * @since 0.2.0
 * @category models
 */
export interface BinaryAnswer extends Schema.Schema.Type<typeof BinaryAnswer> {}

/**
 * Schema for what numbers and bits add to a row: the columns `embedding` and `embedding_binary`.
 *
 * @since 0.2.0
 * @category schemas
 */
export const FloatAndBinaryAnswer = Schema.Struct({ embedding: Vector, embedding_binary: Schema.Uint8Array })

/**
 * What numbers and bits add to a row: the columns `embedding` and `embedding_binary`.
 *
 * @since 0.2.0
 * @category models
 */
export interface FloatAndBinaryAnswer extends Schema.Schema.Type<typeof FloatAndBinaryAnswer> {}

/**
 * A processor for Titan Text Embeddings V2, whatever its options.
 *
 * @since 0.2.0
 * @category models
 */
export type AnyTitanTextEmbeddings =
  | Processor<EmbeddingAnswer>
  | Processor<BinaryAnswer>
  | Processor<FloatAndBinaryAnswer>

const name = "titan-text-embeddings/1"

const lengths: ReadonlyArray<Dimensions> = [256, 512, 1024]

const kinds: ReadonlyArray<EmbeddingTypes> = [["float"], ["binary"], ["float", "binary"]]

const mostTokens = 8192
const mostCharacters = 50_000

const fit = (text: string, truncate: ModelParameters["truncate"]): string =>
  fitTokens(fitCharacters(text, mostCharacters, truncate), mostTokens, truncate)

const own: ReadonlyMap<string, string | null> = new Map([
  ["inputText", null],
  ["dimensions", "dimensions"],
  ["normalize", "normalize"]
])

const checkTypes = (options: Options, parameters: ModelParameters): string | null => {
  const asked = options.embeddingTypes
  if (asked !== undefined && !kinds.some((types) => String(types) === String(asked))) {
    return "embeddingTypes must be [\"float\"], [\"binary\"] or [\"float\", \"binary\"]"
  }
  const more = member(parameters.more, "embeddingTypes")
  if (more === undefined) return null
  if (asked !== undefined) return "more must not have embeddingTypes; the processor has it"
  return array(more)?.includes("float") === true
    ? null
    : "embeddingTypes must include \"float\"; for binary embeddings give embeddingTypes to the processor instead"
}

/** What the embedding types decide: the columns, and how they are read. */
interface Kind<A extends object> {
  readonly columns: Schema.ConstraintDecoder<A>
  /** The answer, or what is wrong with it. */
  readonly read: (modelOutput: VectorJson, expected: ReadonlyArray<number>) => A | string
}

const readFloat = (modelOutput: VectorJson, expected: ReadonlyArray<number>): Float32Array | string =>
  readVector(
    numbersOf(member(modelOutput, "embedding")) ?? numbersOf(member(member(modelOutput, "embeddingsByType"), "float")),
    expected
  )

const readBinary = (modelOutput: VectorJson, expected: ReadonlyArray<number>): Uint8Array | string =>
  readBits(numbersOf(member(member(modelOutput, "embeddingsByType"), "binary")), expected)

const float: Kind<EmbeddingAnswer> = {
  columns: EmbeddingAnswer,
  read: (modelOutput, expected) => {
    const embedding = readFloat(modelOutput, expected)
    return typeof embedding === "string" ? embedding : { embedding }
  }
}

const binary: Kind<BinaryAnswer> = {
  columns: BinaryAnswer,
  read: (modelOutput, expected) => {
    const bits = readBinary(modelOutput, expected)
    return typeof bits === "string" ? bits : { embedding_binary: bits }
  }
}

const floatAndBinary: Kind<FloatAndBinaryAnswer> = {
  columns: FloatAndBinaryAnswer,
  read: (modelOutput, expected) => {
    const embedding = readFloat(modelOutput, expected)
    if (typeof embedding === "string") return embedding
    const bits = readBinary(modelOutput, [embedding.length])
    return typeof bits === "string" ? bits : { embedding, embedding_binary: bits }
  }
}

const read = <A extends object>(
  kind: Kind<A>,
  modelOutput: VectorJson,
  expected: ReadonlyArray<number>
): Reading<A> => {
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
  const answer = kind.read(modelOutput, expected)
  return typeof answer === "string"
    ? { status: "invalid", message: answer, raw: null, ...rest }
    : { status: "succeeded", answer, ...rest }
}

/** Makes processors of one kind: one for one id, so that a built-in one is known from a user's own by what it is. */
const maker = <A extends object>(kind: Kind<A>): (options: Options) => Processor<A> => {
  const made = new Map<string, Processor<A>>()
  return (options) => {
    const { dimensions, embeddingTypes, normalize, truncate } = options
    const id = variantId(name, { dimensions, normalize, embeddingTypes, truncate })
    const there = made.get(id)
    if (there !== undefined) return there
    const expected = dimensions === undefined ? lengths : [dimensions]
    const processor: Processor<A> = {
      id,
      invocationType: "InvokeModel",
      accepts: "embed",
      columns: kind.columns,
      check: (request) => {
        if (request.type === "raw") return checkRaw(request.body, ["inputText"], ["modelId"])
        if (request.type === "chat") {
          return "Titan Text Embeddings takes a text, no prompt: leave the prompt out and name the column to embed"
        }
        if (request.media !== undefined) return "Titan Text Embeddings takes a text, no media: embed a column of texts"
        return checkSettings("Titan Text Embeddings", lengths, options, request.parameters) ??
          checkTypes(options, request.parameters) ?? checkMore(request.parameters.more, own)
      },
      encode: (request) => {
        if (request.type === "raw") return request.body
        const { more, ...parameters } = request.parameters
        const text = request.type === "embed" ? request.text : request.turns.map((turn) => turn.content).join("\n\n")
        return {
          ...more,
          ...given({
            inputText: fit(text, parameters.truncate ?? truncate),
            dimensions: parameters.dimensions ?? dimensions,
            normalize: parameters.normalize ?? normalize,
            embeddingTypes
          })
        }
      },
      decode: (modelOutput) => read(kind, modelOutput, expected),
      decodeVectors: (modelOutput) => read(kind, modelOutput, expected)
    }
    made.set(id, processor)
    return processor
  }
}

const floats = maker(float)
const binaries = maker(binary)
const floatsAndBinaries = maker(floatAndBinary)

/**
 * Makes the processor for Amazon Titan Text Embeddings V2: one text a record, one embedding back, as numbers, as bits,
 * or as both. The default for that model, without options.
 *
 * `dimensions`, `normalize` and `truncate` may also come with the request's parameters; the two must not differ. Give
 * `dimensions` here to have every answer held to it: an embedding of another length is `invalid`. Otherwise 256, 512
 * and 1024 are accepted. Embeddings with anything but finite numbers are `invalid`, and so are bits other than 0 and 1.
 *
 * The model takes 8,192 tokens or 50,000 characters (User Guide, [Amazon Titan Text Embeddings
 * models](https://docs.aws.amazon.com/bedrock/latest/userguide/titan-embedding-models.html), November 2026) and refuses
 * a record with more. `truncate` cuts such a text at one end, never inside a character.
 * The tokens are those of `Tokens.estimate`, so no text of 8,192 characters or fewer is cut, and English is at about
 * 31,000, though the model takes 4.7 characters a token on average (the same source). A text with more tokens than the
 * estimate says can still be refused, and then its row is `failed`.
 *
 * @since 0.1.0
 * @category families
 * @example
 * ```ts
 * import { TitanTextEmbeddings } from "@bedrock-batch/processors"
 *
 * const processor = TitanTextEmbeddings.titanTextEmbeddings({ dimensions: 256 })
 *
 * processor.encode({ type: "embed", text: "a cat", parameters: {} }) // { inputText: "a cat", dimensions: 256 }
 * ```
 */
export function titanTextEmbeddings(
  options?: Options & { readonly embeddingTypes?: readonly ["float"] | undefined }
): Processor<EmbeddingAnswer>
export function titanTextEmbeddings(
  options: Options & { readonly embeddingTypes: readonly ["binary"] }
): Processor<BinaryAnswer>
export function titanTextEmbeddings(
  options: Options & { readonly embeddingTypes: readonly ["float", "binary"] }
): Processor<FloatAndBinaryAnswer>
export function titanTextEmbeddings(options?: Options): AnyTitanTextEmbeddings
export function titanTextEmbeddings(options: Options = {}): AnyTitanTextEmbeddings {
  switch (String(options.embeddingTypes)) {
    case "binary":
      return binaries(options)
    case "float,binary":
      return floatsAndBinaries(options)
    default:
      return floats(options)
  }
}

/**
 * Finds the processor of {@link titanTextEmbeddings} that has an id, as it is stored with a run, or undefined where the
 * id is none of its.
 *
 * @since 0.2.0
 * @category getters
 */
export const fromId = (id: string): AnyTitanTextEmbeddings | undefined => {
  const texts = variantOptions(name, id)
  if (texts === null) return undefined
  const processor = titanTextEmbeddings({
    dimensions: oneOf(lengths, texts.get("dimensions")),
    normalize: oneOf([true, false], texts.get("normalize")),
    embeddingTypes: oneOf(kinds, texts.get("embeddingTypes")),
    truncate: oneOf(truncations, texts.get("truncate"))
  })
  return processor.id === id ? processor : undefined
}
