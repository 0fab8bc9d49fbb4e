/**
 * The services on AWS.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { BatchError, InvalidOption } from "./BatchError.ts"
import { BatchJobs } from "./bedrock/BatchJobs.ts"
import * as BedrockApi from "./bedrock/BedrockApi.ts"
import type { FoundationModels } from "./bedrock/FoundationModels.ts"
import * as ModelsApi from "./bedrock/ModelsApi.ts"
import type { OnDemand } from "./bedrock/OnDemand.ts"
import * as RuntimeApi from "./bedrock/RuntimeApi.ts"
import * as ServiceQuotasApi from "./bedrock/ServiceQuotasApi.ts"
import { credentialsOf } from "./internal/Credentials.ts"
import { limitsProblem } from "./internal/LimitsCheck.ts"
import * as Ledger from "./Ledger.ts"
import type * as Limits from "./Limits.ts"
import * as Capacity from "./schedule/Capacity.ts"
import { layerLive } from "./schedule/LiveCapacity.ts"
import { layerShared } from "./schedule/SharedCapacity.ts"
import type { ObjectStore } from "./store/ObjectStore.ts"
import * as S3 from "./store/S3.ts"
export type { Credentials } from "./bedrock/BedrockApi.ts"
export type { CallOptions } from "./bedrock/RuntimeApi.ts"

/**
 * All that runs need, from `prepare` to `collect`.
 *
 * @since 0.1.0
 * @category models
 */
export type Services = ObjectStore | BatchJobs | OnDemand | Ledger.Ledger | Capacity.Capacity

/**
 * All that a client is made of: what runs need, and the lists of models.
 *
 * @since 0.2.0
 * @category models
 */
export type ClientServices = Services | FoundationModels

/**
 * Options of `layer`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface Options {
  /** Bucket of inputs, ledger and results, in the jobs' Region. */
  readonly bucket: string
  /** Key prefix in the bucket; default none. Only characters that Bedrock takes in an S3 URI. */
  readonly prefix?: string | undefined
  /** ARN of the service role that Bedrock assumes to read and write the bucket. The caller needs `iam:PassRole` on it. */
  readonly roleArn: string
  /** Default: the environment's. */
  readonly region?: string | undefined
  /**
   * Other endpoints than the Region's own, for instance of local servers. `runtime` is that of on-demand calls,
   * `quotas` that of Service Quotas: where only `bedrock` is given, they go there too, never to AWS unasked. The
   * environment's `AWS_ENDPOINT_URL_BEDROCK` is not passed on like that: set `AWS_ENDPOINT_URL_BEDROCK_RUNTIME` and
   * `AWS_ENDPOINT_URL_SERVICE_QUOTAS` with it.
   */
  readonly endpoints?: {
    readonly bedrock?: string | undefined
    readonly runtime?: string | undefined
    readonly quotas?: string | undefined
    readonly s3?: string | undefined
  } | undefined
  /** Default: the SDK's chain (environment, profile, role). */
  readonly credentials?: BedrockApi.Credentials | undefined
  /** Tags of each job; at most 50. */
  readonly tags?: { readonly [key: string]: string } | undefined
  /** KMS key (ARN, id or alias) that encrypts the jobs' outputs. */
  readonly outputKmsKeyId?: string | undefined
  /** VPC of the jobs: 1 to 16 subnets, 1 to 5 security groups. */
  readonly vpc?: { readonly subnetIds: ReadonlyArray<string>; readonly securityGroupIds: ReadonlyArray<string> } | undefined
  /** Account that owns the bucket, where it is not the caller's. */
  readonly bucketOwner?: string | undefined
  /**
   * Quotas of the account that differ from `Limits.defaults`; `maxOpenJobs` bounds the open jobs per model. With `live`
   * and `shared` capacity they bound what Service Quotas tells, and hold where it tells nothing.
   */
  readonly limits?: Partial<Limits.Limits> | undefined
  /**
   * How many jobs may be open. `fixed`: this process has `limits.maxOpenJobs` slots per model, whatever else is open in
   * the account. `live`: as many as the model's quota, read from Service Quotas, leaves free beside all open jobs of
   * the account, seen in Bedrock's list about once a minute. `shared`: as many as that quota, for all processes
   * together that have this option and the same bucket and prefix; what others have open is not counted. Default
   * `fixed`, which needs no more permissions or calls.
   */
  readonly capacity?: "fixed" | "live" | "shared" | undefined
  /**
   * How long a create call without an answer waits before Bedrock's list decides; default 5 minutes. Less than 90
   * seconds and the lag of that list together leaves only Bedrock's own token between a lost answer and a second job.
   */
  readonly settleAfter?: Duration.Input | undefined
  /**
   * How long the calls of a job on demand stay with a process that is not heard of, before another makes them; default 2
   * minutes, at least half a minute, and the same in all processes of a run.
   */
  readonly leaseFor?: Duration.Input | undefined
  /** How long to wait after Bedrock said "quota" before asking again; default 1 minute. */
  readonly quotaPause?: Duration.Input | undefined
  /** How on-demand calls are made: `concurrency`, default 10, and `callTimeout`, default 5 minutes. */
  readonly onDemand?: RuntimeApi.CallOptions | undefined
}

const invalid = (path: string, message: string) =>
  new BatchError({ module: "Aws", method: "layer", reason: new InvalidOption({ path, message }) })

/** Bedrock's pattern `arn:aws(-[^:]+)?:iam::([0-9]{12})?:role/.+`. */
const rolePattern = /^arn:aws(-[^:]+)?:iam::([0-9]{12})?:role\/.+$/

/** With a run id and a job key behind it, a URI stays within the 1,024 characters that Bedrock takes. */
const longestPrefix = 800

/** Bedrock's pattern for a KMS key: an ARN of a key or alias, a key id, or an alias. */
const kmsPattern = /^(arn:aws(-[^:]+)?:kms:[a-zA-Z0-9-]*:[0-9]{12}:)?((key\/)?[a-zA-Z0-9-]{36}|alias\/[a-zA-Z0-9/_-]+)$/

/** What the compiler does not see in JavaScript. */
const Kinds = Schema.Struct({
  prefix: Schema.optional(Schema.String),
  region: Schema.optional(Schema.String),
  endpoints: Schema.optional(
    Schema.Struct({
      bedrock: Schema.optional(Schema.String),
      runtime: Schema.optional(Schema.String),
      quotas: Schema.optional(Schema.String),
      s3: Schema.optional(Schema.String)
    })
  ),
  credentials: Schema.optional(Schema.Struct({
    accessKeyId: Schema.NonEmptyString,
    secretAccessKey: Schema.NonEmptyString,
    sessionToken: Schema.optional(Schema.String)
  })),
  tags: Schema.optional(Schema.Record(Schema.String, Schema.String)),
  outputKmsKeyId: Schema.optional(Schema.String),
  vpc: Schema.optional(
    Schema.Struct({ subnetIds: Schema.Array(Schema.String), securityGroupIds: Schema.Array(Schema.String) })
  ),
  bucketOwner: Schema.optional(Schema.String),
  capacity: Schema.optional(Schema.Literals(["fixed", "live", "shared"])),
  onDemand: Schema.optional(Schema.Struct({ concurrency: Schema.optional(Schema.Finite) }))
})

const decodeKinds = Schema.decodeUnknownResult(Kinds)
const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

const tagPattern = /^[a-zA-Z0-9\s._:/=+@-]*$/

/** The first thing that is wrong with the options, as Bedrock would see it. */
const check = (options: Options): BatchError | null => {
  if (typeof options.bucket !== "string" || options.bucket === "") {
    return invalid("bucket", "bucket is missing: name the S3 bucket that holds inputs and results")
  }
  if (typeof options.roleArn !== "string" || options.roleArn === "") {
    return invalid("roleArn", "roleArn is missing: name the role that Bedrock assumes to read and write the bucket")
  }
  if (options.roleArn.length > 2048 || !rolePattern.test(options.roleArn)) {
    return invalid(
      "roleArn",
      `roleArn ${JSON.stringify(options.roleArn)} is not the ARN of a role (arn:aws:iam::<account>:role/<name>)`
    )
  }
  const kinds = decodeKinds(options)
  if (Result.isFailure(kinds)) {
    const [issue] = issuesOf(kinds.failure.issue).issues
    const path = (issue?.path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".")
    return invalid(path, `${path}: ${issue?.message ?? "not what is expected"}`)
  }
  const { endpoints, leaseFor, limits, prefix, quotaPause, region, settleAfter } = options
  if (prefix !== undefined && prefix.length > longestPrefix) {
    return invalid(
      "prefix",
      `prefix has ${prefix.length} characters, and may have ${longestPrefix}: Bedrock takes URIs of 1,024`
    )
  }
  if (region !== undefined && !/^[a-z0-9-]{1,63}$/.test(region)) {
    return invalid("region", `region ${JSON.stringify(region)} is no Region; one is for example us-east-1`)
  }
  for (const name of ["bedrock", "runtime", "quotas"] as const) {
    const url = endpoints?.[name]
    if (url !== undefined && !/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
      return invalid(`endpoints.${name}`, `${JSON.stringify(url)} is no URL; give one such as http://127.0.0.1:9000`)
    }
  }
  for (const [name, value] of [["settleAfter", settleAfter], ["leaseFor", leaseFor], ["quotaPause", quotaPause]] as const) {
    if (value !== undefined && Option.isNone(Duration.fromInput(value))) {
      return invalid(name, `${name} is no duration; one is for example "5 minutes"`)
    }
  }
  const limit = limitsProblem(limits ?? {})
  if (limit !== null) return new BatchError({ module: "Aws", method: "layer", reason: limit })
  const calls = RuntimeApi.callsProblem(options.onDemand ?? {}, "onDemand.")
  if (calls !== null) return new BatchError({ module: "Aws", method: "layer", reason: calls })
  const tags = Object.entries(options.tags ?? {})
  if (tags.length > 50) return invalid("tags", `there are ${tags.length} tags, and a job may have 50`)
  for (const [key, value] of tags) {
    if (key.length < 1 || key.length > 128 || value.length > 256 || !tagPattern.test(key) || !tagPattern.test(value)) {
      return invalid(
        `tags.${key}`,
        `tag ${JSON.stringify(key)}: 1 to 128 characters, its value at most 256, of letters, digits, spaces and . _ : / = + @ -`
      )
    }
  }
  if (options.outputKmsKeyId !== undefined && (options.outputKmsKeyId.length > 2048 || !kmsPattern.test(options.outputKmsKeyId))) {
    return invalid(
      "outputKmsKeyId",
      `outputKmsKeyId ${JSON.stringify(options.outputKmsKeyId)} is no KMS key: give its ARN, its id or an alias`
    )
  }
  const { vpc } = options
  if (vpc !== undefined) {
    const ids = (list: ReadonlyArray<string>, most: number) =>
      list.length >= 1 && list.length <= most && list.every((id) => /^[-0-9a-zA-Z]{1,32}$/.test(id))
    if (!ids(vpc.subnetIds, 16)) return invalid("vpc.subnetIds", "vpc.subnetIds must hold 1 to 16 subnet ids")
    if (!ids(vpc.securityGroupIds, 5)) {
      return invalid(
        "vpc.securityGroupIds",
        "vpc.securityGroupIds must hold 1 to 5 security group ids"
      )
    }
  }
  if (options.bucketOwner !== undefined && !/^[0-9]{12}$/.test(options.bucketOwner)) {
    return invalid(
      "bucketOwner",
      `bucketOwner ${JSON.stringify(options.bucketOwner)} is not an account id of 12 digits`
    )
  }
  return null
}

/**
 * Layer of all services on AWS: S3 for the files, Bedrock for the jobs and for on-demand calls, the ledger in S3, and
 * slots for open jobs, as many as `capacity` says; and the lists of models.
 * Wrong options fail here as `InvalidOption`, before anything is read or paid for.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { Aws, Prompt, run, Source } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * const jokes = run({
 *   name: "jokes",
 *   source: Source.csv("topics.csv"),
 *   model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
 *   prompt: Prompt.make("Tell me a joke about {topic}.")
 * })
 *
 * const program = jokes.pipe(
 *   Effect.provide(Aws.layer({ bucket: "my-bucket", roleArn: "arn:aws:iam::123456789012:role/bedrock-batch" }))
 * )
 * ```
 */
export const layer = (options: Options): Layer.Layer<ClientServices, BatchError> =>
  Layer.unwrap(Effect.gen(function*() {
    const wrong = check(options)
    if (wrong !== null) return yield* wrong
    const jobs = BedrockApi.layer({
      region: options.region,
      credentials: options.credentials,
      endpoint: options.endpoints?.bedrock,
      settings: {
        roleArn: options.roleArn,
        tags: options.tags ?? {},
        outputKmsKeyId: options.outputKmsKeyId ?? null,
        vpc: options.vpc ?? null,
        inputBucketOwner: options.bucketOwner ?? null,
        outputBucketOwner: options.bucketOwner ?? null
      }
    })
    const store = S3.layer({
      region: options.region,
      credentials: options.credentials === undefined ? undefined : credentialsOf(options.credentials),
      bucket: options.bucket,
      prefix: options.prefix,
      endpoint: options.endpoints?.s3
    })
    const onDemand = Layer.unwrap(BatchJobs.useSync(({ region }) =>
      RuntimeApi.layer({
        ...options.onDemand,
        region,
        credentials: options.credentials,
        endpoint: options.endpoints?.runtime ?? options.endpoints?.bedrock
      })
    )).pipe(Layer.provide(jobs))
    const models = Layer.unwrap(BatchJobs.useSync(({ region }) =>
      ModelsApi.layer({ region, credentials: options.credentials, endpoint: options.endpoints?.bedrock })
    )).pipe(Layer.provide(jobs))
    const ledger = Ledger.layer({ settleAfter: options.settleAfter, leaseFor: options.leaseFor }).pipe(Layer.provide(store))
    const capacity = Layer.unwrap(
      BatchJobs.useSync(({ region }) => {
        const bounds = { limits: options.limits, quotaPause: options.quotaPause }
        const { capacity = "fixed" } = options
        if (capacity === "fixed") return Capacity.layerFixed({ region, ...bounds })
        const quotas = ServiceQuotasApi.layer({
          region,
          credentials: options.credentials,
          endpoint: options.endpoints?.quotas ?? options.endpoints?.bedrock
        })
        return capacity === "live"
          ? layerLive(bounds).pipe(Layer.provide(Layer.merge(quotas, jobs)))
          : layerShared(bounds).pipe(Layer.provide(Layer.mergeAll(quotas, jobs, ledger, store)))
      })
    ).pipe(Layer.provide(jobs))
    return Layer.mergeAll(store, jobs, onDemand, models, capacity, ledger)
  }))
