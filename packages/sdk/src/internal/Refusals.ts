/**
 * What a refused create call is about: this job, every job, or only this moment.
 *
 * @internal
 */
import type { BatchError } from "../BatchError.ts"
import type { Refusal } from "../Ledger.ts"

/** Error codes of a create call that concern every job: who we are, not what we ask for. */
const everyJob: ReadonlySet<string> = new Set([
  "AccessDenied",
  "AccessDeniedException",
  "CredentialsProviderError",
  "ExpiredToken",
  "ExpiredTokenException",
  "IncompleteSignatureException",
  "InvalidClientTokenId",
  "InvalidIdentityToken",
  "InvalidSignatureException",
  "MissingAuthenticationTokenException",
  "NotAuthorized",
  "SignatureDoesNotMatch",
  "UnrecognizedClientException"
])

/** Codes of a refusal that holds for the moment only. */
const moment: ReadonlySet<string> = new Set(["quota", "throttled"])

/** Whether a create call that was refused with this code would be refused for every other job too. @internal */
export const concernsEveryJob = (code: string): boolean => everyJob.has(code)

/** Whether the service read the request and refused this job for good. @internal */
export const isFinal = ({ code, sent }: Refusal): boolean => sent && !moment.has(code) && !everyJob.has(code)

/** The code of a job that was not sent since its run or attempt was cancelled. @internal */
export const cancelledCode = "Cancelled"

/** Whether a submission failed since its run or attempt is cancelled. @internal */
export const isCancelled = ({ reason }: BatchError): boolean =>
  reason._tag === "RunConflict" && reason.problem === "cancelled"
