/**
 * How a function's failure reaches the state machine: as an error whose name its Retry and Catch know.
 *
 * @internal
 */
import type { BatchError } from "@bedrock-batch/sdk/BatchError"
import * as Schema from "effect/Schema"
import type { InvalidInput } from "../Input.ts"

/** The time of a function is nearly over; what was done is kept, and the same call goes on. @internal */
export class OutOfTime extends Schema.TaggedError<OutOfTime>("@bedrock-batch/cdk-adapter/OutOfTime")("OutOfTime", {
  message: Schema.String
}) {}

/** @internal */
export type Failure = BatchError | InvalidInput | OutOfTime

/**
 * The name of a failure. Those that are worth another try: `CapacityFull`, `Throttled`, `Unavailable`, `OutOfTime`.
 *
 * @internal
 */
export const nameOf = (failure: Failure): string => {
  if (failure._tag !== "BatchError") return failure._tag
  const { reason } = failure
  switch (reason._tag) {
    case "Unavailable":
      return reason.code === "quota" ? "CapacityFull" : reason.code === "throttled" ? "Throttled" : "Unavailable"
    // It is decided later whether a job exists.
    case "Undecided":
      return "Unavailable"
    default:
      return reason._tag
  }
}

/** What Lambda makes `errorType` and `errorMessage` of. @internal */
export class NamedError extends Error {
  constructor(name: string, message: string) {
    super(message)
    this.name = name
    // The stack names lines of a bundle, and goes into the history of states.
    this.stack = `${name}: ${message}`
  }
}

/** The longest message: Step Functions cuts an error's cause, and a history of states is read by people. */
const longest = 4_000

/** @internal */
export const toError = (failure: Failure): NamedError => {
  const { message } = failure
  return new NamedError(nameOf(failure), message.length > longest ? `${message.slice(0, longest)}...` : message)
}
