/**
 * The batch service of Amazon Bedrock through the AWS SDK.
 *
 * @since 0.1.0
 */
import type { CreateModelInvocationJobCommandInput, ModelInvocationJobSummary } from "@aws-sdk/client-bedrock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { BatchError } from "../BatchError.ts"
import { failureOf } from "../internal/AwsFailure.ts"
import { open } from "../internal/BedrockClient.ts"
import { BatchJobs, type CreateRequest, type JobSettings, type JobState, toBatchError } from "./BatchJobs.ts"

/**
 * Credentials of an AWS client, where they do not come from the environment.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

/**
 * Options of `layer`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface Options {
  readonly settings: JobSettings
  /** Default: the environment's. */
  readonly region?: string | undefined
  /** URL of another endpoint than the Region's own. */
  readonly endpoint?: string | undefined
  /** Default: the SDK's chain (environment, profile, role). */
  readonly credentials?: Credentials | undefined
}

/** One call ends within this time, in milliseconds; `settleAfter` of the ledger counts on it. */
const callLimit = 60_000

/**
 * Layer of `BatchJobs` over `@aws-sdk/client-bedrock`, which is loaded when the layer is built. The SDK's own retries are off: what a failed call means is
 * decided by the ledger's rules. Fails when no Region is configured.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<BatchJobs, BatchError> =>
  Layer.effect(
    BatchJobs,
    Effect.gen(function*() {
      const { client, region, sdk } = yield* open("BatchJobs", callLimit, options)
      const call = <A>(method: string, send: (abortSignal: AbortSignal) => Promise<A>) =>
        Effect.tryPromise({ try: send, catch: (cause) => toBatchError(method, failureOf(cause)) }).pipe(
          Effect.timeoutOrElse({
            duration: callLimit,
            orElse: () =>
              Effect.fail(toBatchError(method, { code: null, status: null, message: `no answer within ${callLimit} ms` }))
          })
        )
      return BatchJobs.of({
        region,
        settings: options.settings,
        create: Effect.fn("BatchJobs.create")(function*(request) {
          const output = yield* call("create", (abortSignal) =>
            client.send(new sdk.CreateModelInvocationJobCommand(toInput(request)), { abortSignal }))
          if (typeof output.jobArn === "string" && output.jobArn !== "") return { arn: output.jobArn }
          return yield* toBatchError("create", { code: null, status: 200, message: "the answer has no jobArn" })
        }),
        get: Effect.fn("BatchJobs.get")(function*(arn) {
          return toState(yield* call("get", (abortSignal) =>
            client.send(new sdk.GetModelInvocationJobCommand({ jobIdentifier: arn }), { abortSignal })))
        }),
        list: ({ nameContains, status, submittedAfter }) =>
          Stream.paginate(undefined as string | undefined, (nextToken) =>
            Effect.map(
              call("list", (abortSignal) =>
                client.send(
                  new sdk.ListModelInvocationJobsCommand({
                    maxResults: 1000,
                    sortBy: "CreationTime",
                    sortOrder: "Descending",
                    ...(nextToken === undefined ? {} : { nextToken }),
                    ...(nameContains === undefined ? {} : { nameContains }),
                    ...(status === undefined ? {} : { statusEquals: status }),
                    ...(submittedAfter === undefined ? {} : { submitTimeAfter: new Date(submittedAfter) })
                  }),
                  { abortSignal }
                )),
              (page) =>
                [
                  (page.invocationJobSummaries ?? []).map(toState),
                  page.nextToken === undefined || page.nextToken === ""
                    ? Option.none<string | undefined>()
                    : Option.some<string | undefined>(page.nextToken)
                ] as const
            )),
        stop: Effect.fn("BatchJobs.stop")(function*(arn) {
          yield* call("stop", (abortSignal) =>
            client.send(new sdk.StopModelInvocationJobCommand({ jobIdentifier: arn }), { abortSignal })).pipe(
              Effect.catchIf((error) => isOver(error), () => Effect.void)
            )
        })
      })
    })
  )

/** A job that is over already answers Stop with a conflict or a validation error. */
const isOver = ({ reason }: BatchError): boolean =>
  (reason._tag === "Unavailable" && reason.code === "conflict") ||
  (reason._tag === "Refused" && reason.code === "ValidationException")

const toInput = (request: CreateRequest): CreateModelInvocationJobCommandInput => ({
  jobName: request.jobName,
  clientRequestToken: request.clientRequestToken,
  roleArn: request.roleArn,
  modelId: request.modelId,
  modelInvocationType: request.modelInvocationType,
  timeoutDurationInHours: request.timeoutHours,
  inputDataConfig: {
    s3InputDataConfig: {
      s3InputFormat: "JSONL",
      s3Uri: request.inputUri,
      ...(request.inputBucketOwner === null ? {} : { s3BucketOwner: request.inputBucketOwner })
    }
  },
  outputDataConfig: {
    s3OutputDataConfig: {
      s3Uri: request.outputUri,
      ...(request.outputBucketOwner === null ? {} : { s3BucketOwner: request.outputBucketOwner }),
      ...(request.outputKmsKeyId === null ? {} : { s3EncryptionKeyId: request.outputKmsKeyId })
    }
  },
  ...(request.vpc === null ? {} : {
    vpcConfig: { subnetIds: [...request.vpc.subnetIds], securityGroupIds: [...request.vpc.securityGroupIds] }
  }),
  tags: Object.entries(request.tags).map(([key, value]) => ({ key, value }))
})

const toState = (job: Omit<ModelInvocationJobSummary, "jobName"> & { readonly jobName?: string | undefined }): JobState => ({
  arn: job.jobArn ?? "",
  name: job.jobName ?? "",
  token: job.clientRequestToken ?? null,
  model: job.modelId ?? "",
  status: job.status ?? "Submitted",
  message: job.message ?? null,
  submittedAt: (job.submitTime ?? new Date(0)).toISOString(),
  inputUri: job.inputDataConfig?.s3InputDataConfig?.s3Uri ?? null,
  outputUri: job.outputDataConfig?.s3OutputDataConfig?.s3Uri ?? null,
  counters: job.totalRecordCount === undefined ? null : {
    total: job.totalRecordCount,
    processed: job.processedRecordCount ?? 0,
    succeeded: job.successRecordCount ?? 0,
    failed: job.errorRecordCount ?? 0
  }
})
