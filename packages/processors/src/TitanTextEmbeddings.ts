/**
 * Amazon Titan Text Embeddings V2.
 *
 * @since 0.1.0
 */
import { checkMore, checkNames, checkRaw } from "./internal/Body.ts"
import { array, count, given, member, string } from "./internal/Json.ts"
import { EmbeddingAnswer, type ModelParameters, type Processor, type Reading, type VectorJson } from "./Processor.ts"

/**
 * The lengths that Titan's embeddings can have.
 *
 * @since 0.1.0
 * @category models
 */
export type Dimensions = 256 | 512 | 1024

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
}

const lengths: ReadonlyArray<number> = [256, 512, 1024]

const own: ReadonlyMap<string, string | null> = new Map([
  ["inputText", null],
  ["dimensions", "dimensions"],
  ["normalize", "normalize"]
])

const checkParameters = (options: Options, parameters: ModelParameters): string | null => {
  const dimensions = parameters.dimensions ?? options.dimensions
  if (dimensions !== undefined && !lengths.includes(dimensions)) {
    return `dimensions must be 256, 512 or 1024, not ${dimensions}`
  }
  for (const key of ["dimensions", "normalize"] as const) {
    if (parameters[key] !== undefined && options[key] !== undefined && parameters[key] !== options[key]) {
      return `${key} is ${options[key]} in the processor and ${parameters[key]} in the parameters; give it once`
    }
  }
  for (const key of ["maxTokens", "temperature", "topP", "stopSequences"] as const) {
    if (parameters[key] !== undefined) return `${key} is a parameter of text models, Titan Text Embeddings has none`
  }
  const types = member(parameters.more, "embeddingTypes")
  if (types !== undefined && array(types)?.includes("float") !== true) return "embeddingTypes must include \"float\""
  return checkMore(parameters.more, own)
}

type Numbers = Float32Array | ReadonlyArray<VectorJson>

const numbersOf = (json: VectorJson | undefined): Numbers | undefined =>
  json instanceof Float32Array ? json : array(json)

/** The numbers as 32-bit floats, themselves where they are; undefined where one is not finite. */
const vector = (numbers: Numbers): Float32Array | undefined => {
  if (numbers instanceof Float32Array) return numbers
  const values = new Float32Array(numbers.length)
  for (let index = 0; index < numbers.length; index++) {
    const number = numbers[index]
    if (typeof number !== "number") return undefined
    values[index] = number
    if (!Number.isFinite(values[index])) return undefined
  }
  return values
}

const read = (modelOutput: VectorJson, expected: ReadonlyArray<number>): Reading<EmbeddingAnswer> => {
  const stopReason = null
  const usage = { inputTokens: count(member(modelOutput, "inputTextTokenCount")), outputTokens: null }
  const invalid = (message: string) => ({ status: "invalid", message, raw: null, stopReason, usage }) as const
  const problem = member(modelOutput, "message")
  if (problem !== undefined) {
    const message = string(problem) ?? "the model reports an error without a text"
    return { status: "failed", message, raw: null, stopReason, usage }
  }
  const numbers = numbersOf(member(modelOutput, "embedding")) ??
    numbersOf(member(member(modelOutput, "embeddingsByType"), "float"))
  if (numbers === undefined) return invalid("the output has no embedding")
  if (!expected.includes(numbers.length)) {
    return invalid(`the embedding has ${numbers.length} dimensions, not ${expected.join(", ")}`)
  }
  const embedding = vector(numbers)
  return embedding === undefined
    ? invalid("the embedding has values that are not finite numbers")
    : { status: "succeeded", answer: { embedding }, stopReason, usage }
}

/** One processor for one id, so that a built-in one is known from a user's own by what it is. */
const made = new Map<string, Processor<EmbeddingAnswer>>()

/**
 * Makes the processor for Amazon Titan Text Embeddings V2: one text a record, one embedding back. The default for that
 * model, without options.
 *
 * `dimensions` and `normalize` may also come with the request's parameters; the two must not differ. Give `dimensions`
 * here to have every answer held to it: an embedding of another length is `invalid`. Otherwise 256, 512 and 1024 are
 * accepted. Embeddings with anything but finite numbers are `invalid`.
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
export const titanTextEmbeddings = (options: Options = {}): Processor<EmbeddingAnswer> => {
  const variant = [
    options.dimensions === undefined ? [] : [`dimensions=${options.dimensions}`],
    options.normalize === undefined ? [] : [`normalize=${options.normalize}`]
  ].flat().join("&")
  const id = `titan-text-embeddings/1${variant === "" ? "" : `?${variant}`}`
  const there = made.get(id)
  if (there !== undefined) return there
  const expected = options.dimensions === undefined ? lengths : [options.dimensions]
  const processor: Processor<EmbeddingAnswer> = {
    id,
    invocationType: "InvokeModel",
    accepts: "embed",
    columns: EmbeddingAnswer,
    check: (request) => {
      if (request.type === "raw") return checkRaw(request.body, ["inputText"], ["modelId"])
      return request.type === "chat"
        ? "Titan Text Embeddings takes a text, no prompt: leave the prompt out and name the column to embed"
        : checkNames(request.parameters) ?? checkParameters(options, request.parameters)
    },
    encode: (request) => {
      if (request.type === "raw") return request.body
      const { dimensions = options.dimensions, more, normalize = options.normalize } = request.parameters
      const inputText = request.type === "embed" ? request.text : request.turns.map((turn) => turn.content).join("\n\n")
      return { ...more, ...given({ inputText, dimensions, normalize }) }
    },
    decode: (modelOutput) => read(modelOutput, expected),
    decodeVectors: (modelOutput) => read(modelOutput, expected)
  }
  made.set(id, processor)
  return processor
}
