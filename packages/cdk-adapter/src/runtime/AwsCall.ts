/**
 * Calls of the AWS SDK as effects that fail in the sdk's words.
 *
 * @internal
 */
import { BatchError, Refused, Unavailable } from "@bedrock-batch/sdk/BatchError"
import * as Effect from "effect/Effect"

/** What the clients take: a call that gets no answer ends. @internal */
export const requestHandler = { connectionTimeout: 5_000, socketTimeout: 30_000, throwOnRequestTimeout: true }

const throttles: ReadonlySet<string> = new Set([
  "ThrottlingException",
  "Throttling",
  "TooManyRequestsException",
  "ProvisionedThroughputExceededException",
  "RequestLimitExceeded",
  "ThrottledException"
])

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null && name in value ? Reflect.get(value, name) : undefined

/** The name of an error that the service answered. */
const codeOf = (cause: unknown): string => {
  const name = fieldOf(cause, "name")
  return typeof name === "string" ? name : "Unknown"
}

const toBatchError = (module: string, method: string, cause: unknown): BatchError => {
  const code = codeOf(cause)
  const status = fieldOf(fieldOf(cause, "$metadata"), "httpStatusCode")
  const message = `${code}: ${String(fieldOf(cause, "message") ?? cause)}`
  const isRefused = typeof status === "number" && status >= 400 && status < 500 && !throttles.has(code)
  const reason = isRefused || code === "CredentialsProviderError"
    ? new Refused({ code, message, cause })
    : new Unavailable({
      code: throttles.has(code) ? "throttled" : typeof status === "number" ? "server" : "network",
      message,
      retryAfterMillis: null,
      cause
    })
  return new BatchError({ module, method, reason })
}

/**
 * Makes a call that is given up when the effect is interrupted. Errors whose names are in `expected` are answers, given
 * by their names.
 *
 * @internal
 */
export const call = <A, const Code extends string = never>(
  module: string,
  method: string,
  send: (abortSignal: AbortSignal) => Promise<A>,
  expected: ReadonlyArray<Code> = []
): Effect.Effect<A | Code, BatchError> =>
  Effect.tryPromise({ try: send, catch: (cause) => toBatchError(module, method, cause) }).pipe(
    Effect.catch((failure) => {
      const { reason } = failure
      const code = reason._tag === "Refused" ? expected.find((one) => one === reason.code) : undefined
      return code === undefined ? Effect.fail(failure) : Effect.succeed(code)
    })
  )
