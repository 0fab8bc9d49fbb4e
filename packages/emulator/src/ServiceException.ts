/**
 * How the emulated service says no.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

const statuses = {
  AccessDeniedException: 403,
  ConflictException: 400,
  IllegalArgumentException: 400,
  InternalServerException: 500,
  InvalidPaginationTokenException: 400,
  ModelErrorException: 424,
  ModelTimeoutException: 408,
  NoSuchResourceException: 400,
  ResourceNotFoundException: 404,
  SerializationException: 400,
  ServiceQuotaExceededException: 400,
  ServiceUnavailableException: 503,
  ThrottlingException: 429,
  TooManyRequestsException: 400,
  TooManyTagsException: 400,
  UnknownOperationException: 404,
  ValidationException: 400
} as const

/**
 * Names of the exceptions, of batch jobs, of on-demand calls and of Service Quotas. All but `SerializationException`
 * (a body that is no JSON, or a value of the wrong JSON type) and `UnknownOperationException` (no such route) are
 * declared in the services' models.
 *
 * @since 0.1.0
 * @category models
 */
export type ExceptionName = keyof typeof statuses

/**
 * An answer that is an AWS exception.
 *
 * @since 0.1.0
 * @category errors
 */
export class ServiceException extends Data.TaggedError("ServiceException")<{
  readonly name: ExceptionName
  readonly message: string
  /** The resource of a `TooManyTagsException`. */
  readonly resourceName?: string
}> {
  /** HTTP status of the exception. */
  get status(): number {
    return statuses[this.name]
  }
}

/**
 * The connection broke before an answer came: whether the service acted is not told.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConnectionLost extends Data.TaggedError("ConnectionLost")<{}> {
  /** What a client would see. */
  override get message(): string {
    return "The connection was closed before an answer came"
  }
}
