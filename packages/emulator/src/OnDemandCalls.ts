/**
 * On-demand calls: one body, one answer of the model, no job.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { asking } from "./Asking.ts"
import type { Faults } from "./Faults.ts"
import { isObject } from "./Json.ts"
import { isRecordError, type Responder } from "./Responder.ts"
import { ConnectionLost, type ExceptionName, ServiceException } from "./ServiceException.ts"
import type { Tally } from "./Stats.ts"
import { constraints, Findings } from "./Validation.ts"

/**
 * What on-demand calls work with.
 *
 * @since 0.1.0
 * @category models
 */
export interface OnDemandOptions {
  readonly responder: Responder
  readonly faults: Faults
  readonly tally: Tally
}

/**
 * Answers one call: gives the model output, which for Converse is the answer's JSON and for InvokeModel its body.
 *
 * @since 0.1.0
 * @category models
 */
export type Answer = (
  operation: "invoke" | "converse",
  modelId: string,
  body: unknown
) => Effect.Effect<unknown, ServiceException | ConnectionLost>

const refuse = (name: ExceptionName, message: string) => new ServiceException({ name, message })

const names: ReadonlyMap<number, ExceptionName> = new Map([
  [400, "ValidationException"],
  [403, "AccessDeniedException"],
  [404, "ResourceNotFoundException"],
  [408, "ModelTimeoutException"],
  [424, "ModelErrorException"],
  [429, "ThrottlingException"],
  [500, "InternalServerException"],
  [503, "ServiceUnavailableException"]
])

/** The exception for the error code of a record; one that the service does not use is rounded to one that it does. */
const nameOf = (errorCode: number): ExceptionName =>
  names.get(errorCode) ?? (errorCode >= 400 && errorCode < 500 ? "ValidationException" : "InternalServerException")

/**
 * Makes the function that answers calls. They are numbered as they come: the `recordId` of the first is `on-demand-1`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = ({ faults, responder, tally }: OnDemandOptions): Answer => {
  const ask = asking(responder)
  let calls = 0
  return Effect.fnUntraced(function*(operation, modelId, body) {
    tally.called(operation)
    if (faults.strikes("throttleInvoke")) {
      return yield* refuse("ThrottlingException", "Too many requests, please wait before trying again.")
    }
    if (faults.strikes("serverErrorOnInvoke")) {
      return yield* refuse(
        "InternalServerException",
        "The system encountered an unexpected error during processing. Try your request again."
      )
    }
    const findings = new Findings()
    findings.text("modelId", modelId, constraints.modelId, true)
    if (findings.problem !== null) {
      return yield* refuse("ValidationException", "The provided model identifier is invalid.")
    }
    if (!isObject(body)) {
      return yield* refuse("ValidationException", "Malformed input request, please reformat your input and try again.")
    }
    if (faults.strikes("denyInvoke")) {
      return yield* refuse(
        "AccessDeniedException",
        `User is not authorized to perform: bedrock:InvokeModel on resource: ${modelId}`
      )
    }
    yield* Effect.sleep(faults.delay("slowInvoke"))
    const modelInvocationType = operation === "converse" ? "Converse" : "InvokeModel"
    const recordId = `on-demand-${++calls}`
    const [result] = yield* ask([{ modelId, modelInvocationType, recordId, modelInput: body }])
    if (isRecordError(result)) return yield* refuse(nameOf(result.error.errorCode), result.error.errorMessage)
    tally.answered()
    if (faults.strikes("invokeAnswerLost")) return yield* new ConnectionLost()
    return result ?? null
  })
}
