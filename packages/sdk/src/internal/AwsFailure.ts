/**
 * What the AWS clients throw, in our words.
 *
 * @internal
 */
import type { ServiceFailure } from "../bedrock/BatchJobs.ts"

/**
 * What the SDK threw, read by its shape: exceptions of several SDK copies and plain network errors look alike.
 *
 * @internal
 */
export const failureOf = (cause: unknown): ServiceFailure => {
  const error = typeof cause === "object" && cause !== null ? cause : {}
  const metadata = "$metadata" in error && typeof error.$metadata === "object" ? error.$metadata : null
  const status = metadata !== null && "httpStatusCode" in metadata && typeof metadata.httpStatusCode === "number"
    ? metadata.httpStatusCode
    : null
  const message = "message" in error && typeof error.message === "string" ? error.message : String(cause)
  const name = "name" in error && typeof error.name === "string" ? error.name : null
  // An error answer without a type of AWS's, say of a proxy, becomes the SDK's base exception of this name.
  const modelled = "$fault" in error && name !== "Unknown" && name !== "UnknownError" && name !== ""
  // Without credentials nothing is sent: that is a refusal, whoever speaks it.
  if (name === "CredentialsProviderError") return { code: name, status: 400, message, cause }
  return { code: modelled ? name : null, status, message, cause }
}
