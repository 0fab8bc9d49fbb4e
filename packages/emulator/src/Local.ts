/**
 * The emulator in this process, over a folder: the sdk runs against it with no AWS account.
 *
 * @since 0.1.0
 */
import type { Json } from "@bedrock-batch/processors/Processor"
import type * as Aws from "@bedrock-batch/sdk/Aws"
import type { BatchError } from "@bedrock-batch/sdk/BatchError"
import {
  BatchJobs,
  type CreateRequest,
  type JobSettings,
  type JobState,
  type ListQuery,
  toBatchError
} from "@bedrock-batch/sdk/bedrock/BatchJobs"
import {
  type FoundationModel,
  FoundationModels,
  type InferenceProfile,
  type ProfileType
} from "@bedrock-batch/sdk/bedrock/FoundationModels"
import { OnDemand, type OnDemandRequest } from "@bedrock-batch/sdk/bedrock/OnDemand"
import * as Ledger from "@bedrock-batch/sdk/Ledger"
import * as Capacity from "@bedrock-batch/sdk/schedule/Capacity"
import { type Quota, ServiceQuotas } from "@bedrock-batch/sdk/schedule/Quotas"
import { layerShared } from "@bedrock-batch/sdk/schedule/SharedCapacity"
import * as FileSystem from "@bedrock-batch/sdk/store/FileSystem"
import { ObjectStore } from "@bedrock-batch/sdk/store/ObjectStore"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Emulator from "./Emulator.ts"
import type { ModelSummary, ProfileSummary } from "./FoundationModels.ts"
import type { JobDescription } from "./JobRecord.ts"
import * as Journal from "./Journal.ts"
import { elements, member } from "./Json.ts"
import type { ListParameters } from "./ListQuery.ts"
import type { ConnectionLost, ServiceException } from "./ServiceException.ts"
import * as Storage from "./Storage.ts"

/**
 * How on-demand calls are made.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface OnDemandOptions {
  /** Calls at the same time at most; default 10. Others wait. */
  readonly concurrency?: number | undefined
}

/**
 * Options of the layers.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface Options extends Omit<Emulator.Options, "storage" | "journal"> {
  /** The folder: it is the bucket `bucket`; other buckets are sub-folders of it. */
  readonly directory: string
  /** The bucket that the folder stands for; default `local-bedrock-batch`. */
  readonly bucket?: string | undefined
  /**
   * Whether the folder remembers the jobs, so that a later process goes on with them and others beside it see them;
   * default true.
   */
  readonly remember?: boolean | undefined
  /** What every create request carries; by default a role that does not exist, and nothing else. */
  readonly settings?: Partial<JobSettings> | undefined
  /** How on-demand calls are made. */
  readonly onDemand?: OnDemandOptions | undefined
  /** How old a create call without an answer must be before the list of jobs decides; default as in `Ledger.layer`. */
  readonly settleAfter?: Duration.Input | undefined
  /**
   * How long the calls of a job on demand stay with a process that is not heard of, before another makes them, as in
   * `Ledger.layer`; default 2 minutes.
   */
  readonly leaseFor?: Duration.Input | undefined
  /** How long to wait after the service said "quota"; default 1 second. */
  readonly quotaPause?: Duration.Input | undefined
  /**
   * How many jobs may be open. `fixed`: this process has `limits.maxOpenJobs` slots per model. `shared`: all processes
   * over the folder that have this option have them together; those that wait look at them every 0.2 to 1 second.
   * Default `fixed`.
   */
  readonly capacity?: "fixed" | "shared" | undefined
}

const defaultBucket = "local-bedrock-batch"
const defaultSettings: JobSettings = {
  roleArn: "arn:aws:iam::123456789012:role/local-bedrock-batch",
  tags: {},
  outputKmsKeyId: null,
  vpc: null,
  inputBucketOwner: null,
  outputBucketOwner: null
}
const pageSize = "1000"
/** Jobs here are over in seconds. */
const look = { from: "200 millis", to: "1 second" } as const
const defaultConcurrency = 10

const toBody = (request: CreateRequest) => ({
  jobName: request.jobName,
  roleArn: request.roleArn,
  clientRequestToken: request.clientRequestToken,
  modelId: request.modelId,
  modelInvocationType: request.modelInvocationType,
  timeoutDurationInHours: request.timeoutHours,
  inputDataConfig: {
    s3InputDataConfig: { s3InputFormat: "JSONL", s3Uri: request.inputUri, s3BucketOwner: request.inputBucketOwner }
  },
  outputDataConfig: {
    s3OutputDataConfig: {
      s3Uri: request.outputUri,
      s3EncryptionKeyId: request.outputKmsKeyId,
      s3BucketOwner: request.outputBucketOwner
    }
  },
  vpcConfig: request.vpc,
  tags: Object.entries(request.tags).map(([key, value]) => ({ key, value }))
})

/** The emulator describes a job that has not changed by the same object. */
const states = new WeakMap<JobDescription, JobState>()

const toState = (job: JobDescription): JobState => {
  const known = states.get(job)
  if (known !== undefined) return known
  const state = stateOf(job)
  states.set(job, state)
  return state
}

const stateOf = (job: JobDescription): JobState => ({
  arn: job.jobArn,
  name: job.jobName,
  token: job.clientRequestToken ?? null,
  model: job.modelId,
  status: job.status,
  message: job.message ?? null,
  submittedAt: job.submitTime,
  inputUri: job.inputDataConfig.s3InputDataConfig.s3Uri,
  outputUri: job.outputDataConfig.s3OutputDataConfig.s3Uri,
  counters: {
    total: job.totalRecordCount,
    processed: job.processedRecordCount,
    succeeded: job.successRecordCount,
    failed: job.errorRecordCount
  }
})

type Failure = ServiceException | ConnectionLost

type CalledModule = Parameters<typeof toBatchError>[2]

const classify = (method: string, module?: CalledModule) => (failure: Failure): BatchError => {
  const told = failure._tag === "ConnectionLost"
    ? { code: null, status: null }
    : { code: failure.name, status: failure.status }
  return toBatchError(method, { ...told, message: failure.message, cause: failure }, module)
}

/**
 * Makes the sdk's service out of an emulator.
 *
 * @since 0.1.0
 * @category constructors
 */
export const batchJobs = (
  emulator: Emulator.Emulator["Service"],
  settings: Partial<JobSettings> = {}
): BatchJobs["Service"] =>
  BatchJobs.of({
    region: emulator.region,
    settings: { ...defaultSettings, ...settings },
    create: Effect.fn("BatchJobs.create")((request: CreateRequest) =>
      emulator.create(toBody(request)).pipe(
        Effect.map(({ jobArn }) => ({ arn: jobArn })),
        Effect.mapError(classify("create"))
      )
    ),
    get: Effect.fn("BatchJobs.get")((arn: string) =>
      emulator.get(arn).pipe(Effect.map(toState), Effect.mapError(classify("get")))
    ),
    list: (query: ListQuery) =>
      Stream.paginate<string | undefined, JobState, BatchError>(undefined, (nextToken) => {
        const { submittedAfter } = query
        const parameters: ListParameters = {
          submitTimeAfter: submittedAfter === undefined ? undefined : new Date(submittedAfter).toISOString(),
          nameContains: query.nameContains,
          statusEquals: query.status,
          maxResults: pageSize,
          nextToken
        }
        return emulator.list(parameters).pipe(
          Effect.map((page) =>
            [page.invocationJobSummaries.map(toState), Option.fromUndefinedOr(page.nextToken)] as const
          ),
          Effect.mapError(classify("list"))
        )
      }),
    stop: Effect.fn("BatchJobs.stop")((arn: string) =>
      emulator.stop(arn).pipe(
        Effect.asVoid,
        Effect.catchIf((failure) => failure.name === "ConflictException", () => Effect.void),
        Effect.mapError(classify("stop"))
      )
    )
  })

/** What JSON makes of a value: what would come over a wire. */
const overWire = (value: unknown): Json => JSON.parse(JSON.stringify(value))

/**
 * Makes the sdk's service for on-demand calls out of an emulator.
 *
 * @since 0.1.0
 * @category constructors
 */
export const onDemand = (
  emulator: Emulator.Emulator["Service"],
  options: OnDemandOptions = {}
): OnDemand["Service"] => {
  const concurrency = options.concurrency ?? defaultConcurrency
  const turns = Semaphore.makeUnsafe(concurrency)
  return OnDemand.of({
    region: emulator.region,
    concurrency,
    invoke: Effect.fn("OnDemand.invoke")(({ body, invocationType, model }: OnDemandRequest) =>
      (invocationType === "Converse" ? emulator.converse(model, body) : emulator.invoke(model, body)).pipe(
        Effect.map(overWire),
        Effect.mapError(classify("invoke", "OnDemand")),
        turns.withPermits(1)
      )
    )
  })
}

/**
 * Layer with the sdk's `BatchJobs` over an emulator that is provided.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerBatchJobsOf = (settings?: Partial<JobSettings>): Layer.Layer<BatchJobs, never, Emulator.Emulator> =>
  Layer.effect(BatchJobs, Effect.map(Emulator.Emulator, (emulator) => batchJobs(emulator, settings)))

/**
 * Layer with the sdk's `OnDemand` over an emulator that is provided.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerOnDemandOf = (options?: OnDemandOptions): Layer.Layer<OnDemand, never, Emulator.Emulator> =>
  Layer.effect(OnDemand, Effect.map(Emulator.Emulator, (emulator) => onDemand(emulator, options)))

const toQuota = (json: unknown): Quota => ({
  code: String(member(json, "QuotaCode")),
  name: String(member(json, "QuotaName")),
  value: Number(member(json, "Value"))
})

/**
 * Layer with the sdk's `ServiceQuotas` over an emulator that is provided.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerServiceQuotasOf: Layer.Layer<ServiceQuotas, never, Emulator.Emulator> = Layer.effect(
  ServiceQuotas,
  Effect.map(Emulator.Emulator, (emulator) => {
    const call = (method: string, operation: string, body: object) =>
      Effect.mapError(
        emulator.quotas(operation, { ServiceCode: "bedrock", ...body }),
        classify(method, "ServiceQuotas")
      )
    const pages = (method: string, operation: string) =>
      Stream.paginate(undefined as unknown, (NextToken) =>
        Effect.map(call(method, operation, { NextToken }), (page) =>
          [
            elements(member(page, "Quotas")).map(toQuota),
            Option.fromUndefinedOr(member(page, "NextToken"))
          ] as const))
    return ServiceQuotas.of({
      get: (QuotaCode) =>
        call("get", "GetServiceQuota", { QuotaCode }).pipe(
          Effect.map((output) => toQuota(member(output, "Quota"))),
          Effect.catchIf(
            ({ reason }) => reason._tag === "Refused" && reason.code === "NoSuchResourceException",
            () => Effect.succeed(null)
          )
        ),
      list: pages("list", "ListServiceQuotas"),
      defaults: pages("defaults", "ListAWSDefaultServiceQuotas")
    })
  })
)

const toModel = (summary: ModelSummary): FoundationModel => ({
  id: summary.modelId,
  arn: summary.modelArn,
  name: summary.modelName,
  provider: summary.providerName,
  inputs: summary.inputModalities,
  outputs: summary.outputModalities,
  isOnDemand: summary.inferenceTypesSupported.includes("ON_DEMAND"),
  lifecycle: summary.modelLifecycle.status,
  endOfLife: summary.modelLifecycle.endOfLifeTime ?? null
})

const toProfile = (summary: ProfileSummary): InferenceProfile => ({
  id: summary.inferenceProfileId,
  arn: summary.inferenceProfileArn,
  name: summary.inferenceProfileName,
  type: summary.type,
  isActive: true,
  models: summary.models.map(({ modelArn }) => modelArn)
})

/**
 * Makes the sdk's service for the lists of models out of an emulator.
 *
 * @since 0.2.0
 * @category constructors
 */
export const foundationModels = ({ models, region }: Emulator.Emulator["Service"]): FoundationModels["Service"] =>
  FoundationModels.of({
    region,
    list: models.list({}).pipe(
      Effect.map(({ modelSummaries }) => modelSummaries.map(toModel)),
      Effect.mapError(classify("list", "FoundationModels"))
    ),
    profiles: (type: ProfileType) =>
      Stream.paginate(undefined as string | undefined, (nextToken) =>
        models.profiles({ type, nextToken }).pipe(
          Effect.map((page) =>
            [page.inferenceProfileSummaries.map(toProfile), Option.fromUndefinedOr(page.nextToken)] as const
          ),
          Effect.mapError(classify("profiles", "FoundationModels"))
        )),
    availability: Effect.fn("FoundationModels.availability")((id: string) =>
      models.availability(id).pipe(
        Effect.map((output) => ({
          agreement: output.agreementAvailability.status,
          authorization: output.authorizationStatus,
          entitlement: output.entitlementAvailability,
          region: output.regionAvailability
        })),
        Effect.mapError(classify("availability", "FoundationModels"))
      )
    )
  })

/**
 * Layer with the sdk's `FoundationModels` over an emulator that is provided.
 *
 * @since 0.2.0
 * @category layers
 */
export const layerFoundationModelsOf: Layer.Layer<FoundationModels, never, Emulator.Emulator> = Layer.effect(
  FoundationModels,
  Effect.map(Emulator.Emulator, foundationModels)
)

/**
 * Layer with the emulator over a folder, and with the sdk's `BatchJobs` on it.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerBatchJobs = (options: Options): Layer.Layer<BatchJobs | Emulator.Emulator> =>
  layerBatchJobsOf(options.settings).pipe(
    Layer.provideMerge(Emulator.layer({
      ...options,
      journal: options.remember === false ? undefined : Journal.folder(options.directory),
      storage: Storage.folder(options.directory, { bucket: options.bucket ?? defaultBucket })
    }))
  )

/**
 * Layer of all services of the sdk over one folder, with no AWS account: the files in the folder, the jobs and the
 * on-demand calls in the emulator, the ledger in the folder, a number of slots. The `Emulator` is provided beside
 * them, for tests that look at its counts or make things go wrong.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { Local } from "@bedrock-batch/emulator"
 * import { Prompt, run, Source } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * const jokes = run({
 *   name: "jokes",
 *   source: Source.csv("topics.csv"),
 *   model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
 *   prompt: Prompt.make("Tell me a joke about {topic}.")
 * })
 *
 * const program = jokes.pipe(Effect.provide(Local.layer({ directory: "./batches" })))
 * ```
 */
export const layer = (options: Options): Layer.Layer<Aws.ClientServices | Emulator.Emulator, BatchError> => {
  const bucket = options.bucket ?? defaultBucket
  const store = FileSystem.layer({ directory: options.directory, bucket })
  const bounds = {
    limits: typeof options.limits === "function" ? undefined : options.limits,
    quotaPause: options.quotaPause ?? "1 second"
  }
  const ledger = Ledger.layer({ settleAfter: options.settleAfter, leaseFor: options.leaseFor }).pipe(Layer.provide(store))
  // The store is made first: it says what is wrong with the folder.
  const calls = Layer.merge(layerOnDemandOf(options.onDemand), layerFoundationModelsOf).pipe(
    Layer.provideMerge(layerBatchJobs(options))
  )
  const jobs = Layer.unwrap(Effect.as(ObjectStore, calls)).pipe(Layer.provide(store))
  const capacity = options.capacity === "shared"
    ? layerShared({ ...bounds, look }).pipe(Layer.provide(Layer.mergeAll(store, jobs, ledger)))
    : Capacity.layerFixed({ region: options.region ?? Emulator.defaultRegion, ...bounds })
  return Layer.mergeAll(store, jobs, capacity, ledger)
}
