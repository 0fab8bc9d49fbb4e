/**
 * Bedrock's batch service in our words: four calls, no SDK types.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { BatchError, Refused, Unavailable } from "../BatchError.ts"
import type { Counters, JobStatus } from "../Job.ts"

/**
 * Schema for the part of a create request that is the same for every job of a client: who runs it and where.
 *
 * @since 0.1.0
 * @category schemas
 */
export const JobSettings = Schema.Struct({
  /** ARN of the service role that Bedrock assumes to read the inputs and write the outputs. */
  roleArn: Schema.String,
  /** Tags of each job; at most 50. */
  tags: Schema.Record(Schema.String, Schema.String),
  /** KMS key (ARN, id or alias) that encrypts the outputs; null for the bucket's own encryption. */
  outputKmsKeyId: Schema.NullOr(Schema.String),
  /** VPC of the job; null for none. */
  vpc: Schema.NullOr(Schema.Struct({
    subnetIds: Schema.Array(Schema.String),
    securityGroupIds: Schema.Array(Schema.String)
  })),
  /** Account that owns the input bucket, where it is another one. */
  inputBucketOwner: Schema.NullOr(Schema.String),
  /** Account that owns the output bucket, where it is another one. */
  outputBucketOwner: Schema.NullOr(Schema.String)
})

/**
 * The part of a create request that is the same for every job of a client.
 *
 * @since 0.1.0
 * @category models
 */
export interface JobSettings extends Schema.Schema.Type<typeof JobSettings> {}

/**
 * Schema for a whole create request, as the ledger keeps it and as it is sent.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CreateRequest = Schema.Struct({
  ...JobSettings.fields,
  jobName: Schema.String,
  clientRequestToken: Schema.String,
  modelId: Schema.String,
  modelInvocationType: Schema.Literals(["InvokeModel", "Converse"]),
  /** `s3://` URI of the input folder, with a trailing slash. */
  inputUri: Schema.String,
  /** `s3://` URI of the output folder, with a trailing slash. */
  outputUri: Schema.String,
  /** 24 to 168. */
  timeoutHours: Schema.Natural
})

/**
 * A whole create request.
 *
 * @since 0.1.0
 * @category models
 */
export interface CreateRequest extends Schema.Schema.Type<typeof CreateRequest> {}

/**
 * A job as the service sees it.
 *
 * @since 0.1.0
 * @category models
 */
export interface JobState {
  readonly arn: string
  readonly name: string
  /** The client request token, where the service shows it. */
  readonly token: string | null
  /** The model's ARN: the service expands ids. */
  readonly model: string
  /** A status that this version does not know counts as open. */
  readonly status: JobStatus | (string & {})
  readonly message: string | null
  /** ISO 8601. */
  readonly submittedAt: string
  readonly inputUri: string | null
  readonly outputUri: string | null
  readonly counters: Counters | null
}

/**
 * Which jobs a list shows: all conditions must hold.
 *
 * @since 0.1.0
 * @category models
 */
export interface ListQuery {
  /** Submitted after this time, in milliseconds since 1970. */
  readonly submittedAfter?: number | undefined
  readonly nameContains?: string | undefined
  readonly status?: JobStatus | undefined
}

/**
 * The service: the model invocation jobs of one account in one Region. No method retries; failures are `BatchError`s of
 * reason `Refused` (the service read the request and said no) or `Unavailable` (`throttled` and `quota`: refused
 * unread;
 * `server`, `network`, `conflict`: unknown whether it acted).
 *
 * @since 0.1.0
 * @category services
 */
export class BatchJobs extends Context.Service<BatchJobs, {
  readonly region: string
  /** What every create request of this client carries; it is copied into the ledger's intent. */
  readonly settings: JobSettings
  /** The one paid call. It ends within 60 s, with an answer or with `Unavailable`. */
  readonly create: (request: CreateRequest) => Effect.Effect<{ readonly arn: string }, BatchError>
  readonly get: (arn: string) => Effect.Effect<JobState, BatchError>
  /** Newest first, in pages of up to 1,000. */
  readonly list: (query: ListQuery) => Stream.Stream<JobState, BatchError>
  /** Asks a job to stop; one that is over already is no error. */
  readonly stop: (arn: string) => Effect.Effect<void, BatchError>
}>()("@bedrock-batch/sdk/BatchJobs") {}

/**
 * A failed call, as an AWS client or a stand-in reports it.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServiceFailure {
  /** Name of the service's exception, for example `ThrottlingException`; null where no exception was read. */
  readonly code: string | null
  /** HTTP status, null where no answer came. */
  readonly status: number | null
  readonly message: string
  readonly cause?: unknown
}

/** Timeout, conflict, client gone: what a proxy answers while the service may still act. Bedrock uses none for jobs. */
const proxyStatuses: ReadonlySet<number> = new Set([408, 409, 499])

/** The model was asked, or may have been, and it is not the request that is wrong, though these are 4xx. */
const modelTroubles: ReadonlySet<string> = new Set([
  "ModelErrorException",
  "ModelNotReadyException",
  "ModelTimeoutException"
])

/**
 * Classifies a failed call once, for every implementation of the services of AWS: a modelled 4xx is `Refused`, but `ThrottlingException` and `ServiceQuotaExceededException` are `Unavailable` (refused unread), and
 * `ConflictException`, the exceptions of a model that failed, was not ready or took too long, 5xx, and anything
 * unreadable are `Unavailable` (unknown whether the service acted). `module` is the service that was called; default
 * `BatchJobs`.
 *
 * @since 0.1.0
 * @category converting
 */
export const toBatchError = (
  method: string,
  failure: ServiceFailure,
  module: "BatchJobs" | "OnDemand" | "ServiceQuotas" | "FoundationModels" = "BatchJobs"
): BatchError => {
  const cause = failure.cause === undefined ? {} : { cause: failure.cause }
  const unavailable = (code: Unavailable["code"]) =>
    new BatchError({
      module,
      method,
      reason: new Unavailable({ message: failure.message, code, retryAfterMillis: null, ...cause })
    })
  if (failure.code !== null && modelTroubles.has(failure.code)) return unavailable("server")
  if (failure.code === "ThrottlingException" || failure.code === "TooManyRequestsException" || failure.status === 429) {
    return unavailable("throttled")
  }
  if (failure.code === "ServiceQuotaExceededException") return unavailable("quota")
  if (failure.code === "ConflictException") return unavailable("conflict")
  if (failure.status === null) return unavailable("network")
  if (failure.code === null || failure.status < 400 || failure.status >= 500) return unavailable("server")
  if (proxyStatuses.has(failure.status)) return unavailable("server")
  return new BatchError({
    module,
    method,
    reason: new Refused({ message: failure.message, code: failure.code, ...cause })
  })
}
