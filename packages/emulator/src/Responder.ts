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
 * Answers records and on-demand calls: gives the `modelOutput`, or a `RecordError`; at once, as a Promise or as an Effect. A function that
 * throws, rejects or fails gives its record an error 500.
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
 * Answers as the model's family would: deterministic, in the family's own shape, with text that names the prompt's hash
 * and first words, plausible token counts, unit vectors for embeddings, JSON where a JSON Schema is asked for, and the
 * provider's words for a body that it would refuse.
 *
 * @since 0.1.0
 * @category responders
 */
export const standard = (request: RecordRequest): JsonObject | RecordError => {
  const result = answer(request)
  return typeof result === "string" ? { error: { errorCode: 400, errorMessage: result } } : result
}
