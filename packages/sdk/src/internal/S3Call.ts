/**
 * A call to S3: sent with the fiber's abort signal, and its failure classified once.
 *
 * @internal
 */
import { S3ServiceException } from "@aws-sdk/client-s3"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { BatchError, Damaged, InvalidOption, type Reason, Refused, Unavailable } from "../BatchError.ts"

/**
 * A call that failed, before it is known what that means for the caller: `status` is null where no answer was read.
 *
 * @internal
 */
export class CallFailed extends Data.TaggedError("CallFailed")<{
  readonly status: number | null
  readonly code: string
  readonly detail: string
  readonly cause: unknown
}> {}

/** S3 answers HEAD without a body, so that the SDK finds no name for the error. */
const codeOfStatus: { readonly [status: number]: string } = {
  301: "PermanentRedirect",
  400: "BadRequest",
  403: "AccessDenied",
  404: "NotFound",
  409: "ConditionalRequestConflict",
  412: "PreconditionFailed",
  416: "InvalidRange"
}

const nameless = (name: string) => name === "" || name === "Unknown" || name === "UnknownError" || /^\d+$/.test(name)

/**
 * What is known of a failure that the SDK threw.
 *
 * @internal
 */
export const fromCause = (cause: unknown): CallFailed => {
  if (cause instanceof S3ServiceException) {
    const status = cause.$metadata.httpStatusCode ?? null
    const code = status !== null && nameless(cause.name) ? codeOfStatus[status] ?? `HTTP${status}` : cause.name
    return new CallFailed({ status, code, detail: nameless(cause.message) ? code : cause.message, cause })
  }
  if (!(cause instanceof Error)) return new CallFailed({ status: null, code: "Unknown", detail: String(cause), cause })
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : cause.name
  return new CallFailed({ status: null, code, detail: cause.message === "" ? code : cause.message, cause })
}

/**
 * Sends a command; interruption aborts it.
 *
 * @internal
 */
export const call = <A>(send: (signal: AbortSignal) => Promise<A>): Effect.Effect<A, CallFailed> =>
  Effect.tryPromise({ try: send, catch: fromCause })

const throttles = new Set([
  "SlowDown",
  "Throttling",
  "ThrottlingException",
  "ThrottledException",
  "RequestThrottled",
  "RequestThrottledException",
  "RequestLimitExceeded",
  "TooManyRequestsException",
  "BandwidthLimitExceeded"
])

const hints: { readonly [code: string]: string } = {
  AccessDenied:
    "check that the credentials may do this there (without s3:ListBucket, a missing object looks like this too)",
  NoSuchBucket: "check the bucket's name and account",
  PermanentRedirect: "the bucket is in another Region: set `region`",
  AuthorizationHeaderMalformed: "the bucket is in another Region: set `region`",
  CredentialsProviderError:
    "no AWS credentials were found: set AWS_PROFILE, sign in with `aws sso login`, or pass `credentials`",
  ExpiredToken: "sign in again: the session of the credentials is over",
  InvalidAccessKeyId: "check the credentials: AWS does not know this key",
  SignatureDoesNotMatch: "check the credentials: the secret does not belong to this key",
  RequestTimeTooSkewed: "set the clock of this machine",
  NotImplemented: "this endpoint lacks an S3 feature that the store needs (conditional writes)"
}

const toReason = (failure: CallFailed, what: string): Reason => {
  const hint = hints[failure.code]
  const message = `${what}: ${failure.detail}${hint === undefined ? "" : `; ${hint}`}`
  const unavailable = (code: Unavailable["code"]) =>
    new Unavailable({ message, code, retryAfterMillis: null, cause: failure.cause })
  const refused = () => new Refused({ message, code: failure.code, cause: failure.cause })
  if (failure.status === null) {
    if (failure.code === "CredentialsProviderError") return refused()
    if (failure.detail === "Region is missing") {
      const message = `${what}: no AWS Region is known; set \`region\` or AWS_REGION`
      return new InvalidOption({ path: "region", message, cause: failure.cause })
    }
    return unavailable("network")
  }
  if (throttles.has(failure.code) || failure.status === 429) return unavailable("throttled")
  if (failure.status === 409) return unavailable("conflict")
  if (failure.code === "RequestTimeout") return unavailable("network")
  // A 2xx that is an error: an answer that was cut or could not be read.
  return (failure.status >= 300 && failure.status < 500) || failure.status === 501 ? refused() : unavailable("server")
}

/**
 * The typed error of a failed call. `what` says what was tried and on which URI.
 *
 * @internal
 */
export const toBatchError = (method: string, what: string, failure: CallFailed): BatchError =>
  new BatchError({ module: "S3", method, reason: toReason(failure, what) })

/**
 * The error for an object that is not what it was.
 *
 * @internal
 */
export const damaged = (method: string, uri: string, message: string, cause?: unknown): BatchError =>
  new BatchError({
    module: "S3",
    method,
    reason: new Damaged({ key: uri, message: `${uri} ${message}`, ...(cause === undefined ? {} : { cause }) })
  })

/**
 * Whether repeating the call may help.
 *
 * @internal
 */
export const isPassing = (failure: CallFailed): boolean => toReason(failure, "").isRetryable
