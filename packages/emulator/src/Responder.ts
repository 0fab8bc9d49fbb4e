/**
 * What the emulated models answer.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import { answer } from "./Answers.ts"
import type { JsonObject } from "./Json.ts"
import { isObject, member } from "./Json.ts"

/**
 * One record of a job, or one on-demand call, as a responder sees it.
 *
 * @since 0.1.0
 * @category models
 */
export interface RecordRequest {
  /** The model as the job or the call names it: an id or an ARN. */
  readonly modelId: string
  readonly modelInvocationType: "InvokeModel" | "Converse"
  /** The record's id; of on-demand calls `on-demand-1`, `on-demand-2` and so on, in the order in which they came. */
  readonly recordId: string
  readonly modelInput: JsonObject
  /**
   * The input of the job, an object or a folder: what a record refers to in S3 must be in that folder. Left out on
   * demand.
   *
   * @since 0.2.0
   */
  readonly inputUri?: string | undefined
}

/**
 * The error of one record. On demand its code is that of the answer: 400 is a `ValidationException`, 403
 * `AccessDeniedException`, 404 `ResourceNotFoundException`, 408 `ModelTimeoutException`, 424 `ModelErrorException`, 429
 * `ThrottlingException`, 500 `InternalServerException`, 503 `ServiceUnavailableException`.
 *
 * @since 0.1.0
 * @category models
 */
export interface RecordError {
  readonly error: {
    readonly errorCode: number
    readonly errorMessage: string
  }
}

/**
 * Answers records and on-demand calls: gives the `modelOutput`, or a `RecordError`; at once, as a Promise or as an
 * Effect. A function that throws, rejects or fails gives its record an error 500.
 *
 * @since 0.1.0
 * @category models
 * @example
 * ```ts
 * import { type Responder } from "@bedrock-batch/emulator"
 *
 * const shout: Responder.Responder = ({ modelInput }) =>
 *   typeof modelInput["inputText"] === "string"
 *     ? { embedding: [1, 0], inputTextTokenCount: 1 }
 *     : { error: { errorCode: 400, errorMessage: "inputText is missing" } }
 * ```
 */
export type Responder = (
  request: RecordRequest
) => unknown | RecordError | Promise<unknown> | Effect.Effect<unknown, unknown>

/**
 * Whether a responder's result is the error of a record.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRecordError = (value: unknown): value is RecordError => {
  const error = member(value, "error")
  return isObject(error) && typeof error["errorCode"] === "number" && typeof error["errorMessage"] === "string"
}

/**
 * Which prompts something happens to: this share of them, from 0 to 1, or those for which a function says so. A prompt
 * is the text of the last user turn, or the text to embed. The same prompt always meets the same end.
 *
 * @since 0.2.0
 * @category models
 */
export type Picking = number | ((prompt: string) => boolean)

/**
 * What a responder of {@link make} does besides answering. Everything that is left out never happens.
 *
 * @since 0.2.0
 * @category models
 */
export interface StandardOptions {
  /**
   * The model declines to answer, in its own word for it: `refusal`, `content_filtered`, `content_filter`. Llama and
   * the Mistral models of 2024 have no word for it, and say so in their text alone.
   */
  readonly refusals?: Picking | undefined
  /** The answer ends before its time, as if at the token limit. */
  readonly truncations?: Picking | undefined
  /** An error inside a record that counts as a success: the `message` of Titan Multimodal Embeddings. */
  readonly hiddenErrors?: Picking | undefined
  /** Every object of the answer has a field that no documentation names, and its content a block of an unknown kind. */
  readonly unknownFields?: Picking | undefined
  /** Tokens of the request count as read from or written to a prompt cache, in families that tell. */
  readonly cacheReads?: Picking | undefined
}

/**
 * Creates a responder that answers as the model's family would, as {@link standard} does, and on request refuses, cuts
 * short, hides an error or adds fields of the future, to test what becomes of them.
 *
 * @since 0.2.0
 * @category responders
 * @example
 * ```ts
 * import { Local, Responder } from "@bedrock-batch/emulator"
 *
 * const services = Local.layer({
 *   directory: "./batches",
 *   responder: Responder.make({ refusals: 0.02, truncations: (prompt) => prompt.length > 10_000 })
 * })
 * ```
 */
export const make = (options: StandardOptions = {}) => (request: RecordRequest): JsonObject | RecordError => {
  const result = answer(request, options)
  return typeof result === "string" ? { error: { errorCode: 400, errorMessage: result } } : result
}

/**
 * Answers as the model's family would: deterministic, in the family's own shape, with text that names the hash and the
 * first words of the prompt, plausible token counts, unit vectors for embeddings, reasoning of models that reason,
 * calls of tools that must be called, JSON where a JSON Schema is asked for (in the request's own field, or in the
 * prompt behind the words `JSON Schema:`), and the provider's words for a body that it would refuse.
 *
 * @since 0.1.0
 * @category responders
 */
export const standard: (request: RecordRequest) => JsonObject | RecordError = make()
