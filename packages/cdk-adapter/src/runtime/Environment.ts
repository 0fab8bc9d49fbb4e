/**
 * What the deployment tells the Lambda functions, by their environment variables. Nothing else reads them.
 *
 * @internal
 */
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Defaults } from "../Input.ts"
import { defaultNamespace } from "../Metrics.ts"

/** @internal */
export interface Settings {
  readonly bucket: string
  /** Folder of the runs in the bucket. */
  readonly prefix: string
  readonly roleArn: string
  readonly table: string
  /** Folder of the user's prompts in the bucket; null for none. */
  readonly promptsPrefix: string | null
  readonly defaults: Defaults
  readonly outputKmsKeyId: string | null
  /** Tags of each job. */
  readonly tags: { readonly [name: string]: string }
  /** Open jobs of a model at most, of all executions; null for as many as the account's quota. */
  readonly maxOpenJobs: number | null
  readonly vpc: { readonly subnetIds: ReadonlyArray<string>; readonly securityGroupIds: ReadonlyArray<string> } | null
  readonly metricsNamespace: string
  /** Name of the pipeline: the metrics' dimension. */
  readonly pipeline: string
  /** How long a create call without an answer waits for Bedrock's list; null for as long as the sdk says. */
  readonly settleAfter: Duration.Duration | null
  /** How long a process that Bedrock refused for its quota asks for no other job; null for the sdk's own. */
  readonly quotaPause: Duration.Duration | null
  /** Seconds that `prepare` keeps of its time for what comes after a round. */
  readonly roundMargin: number
}

/** The service. @internal */
export class Environment extends Context.Service<Environment, Settings>()("@bedrock-batch/cdk-adapter/Environment") {}

const orNull = <A>(config: Config.Config<A>) => Config.option(config).pipe(Config.map(Option.getOrNull))

const optional = (name: string) => orNull(Config.String(name))

const texts = (name: string) => orNull(Config.schema(Schema.fromJsonString(Schema.Array(Schema.String)), name))

const count = (name: string) => orNull(Config.schema(Schema.NumberFromString.check(Schema.isInt()), name))

const limit = (name: string) =>
  orNull(Config.schema(Schema.NumberFromString.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(1)), name))

const all = Config.all({
  bucket: Config.NonEmptyString("BUCKET"),
  prefix: optional("PREFIX"),
  roleArn: Config.NonEmptyString("SERVICE_ROLE_ARN"),
  table: Config.NonEmptyString("TABLE"),
  promptsPrefix: optional("PROMPTS_PREFIX"),
  allowedModels: texts("ALLOWED_MODELS"),
  timeoutHours: count("JOB_TIMEOUT_HOURS"),
  maxRecordsTotal: limit("MAX_TOTAL_RECORDS"),
  maxRecordsPerJob: limit("MAX_RECORDS_PER_JOB"),
  outputKmsKeyId: optional("OUTPUT_KMS_KEY"),
  tags: orNull(Config.schema(Schema.fromJsonString(Schema.Record(Schema.String, Schema.String)), "JOB_TAGS")),
  maxOpenJobs: count("MAX_OPEN_JOBS"),
  subnetIds: texts("VPC_SUBNETS"),
  securityGroupIds: texts("VPC_SECURITY_GROUPS"),
  metricsNamespace: optional("METRICS_NAMESPACE"),
  pipeline: optional("PIPELINE"),
  settleAfter: orNull(Config.Duration("SETTLE_AFTER")),
  quotaPause: orNull(Config.Duration("QUOTA_PAUSE")),
  roundMargin: count("ROUND_MARGIN_SECONDS")
})

/** Hours that the sample gives Bedrock for a job. */
const defaultTimeoutHours = 24

/** Records of a job in the sample. */
const defaultRecordsPerJob = 1000

const defaultRoundMargin = 60

/** The settings of variables; one that is empty is as one that is not there. @internal */
export const read = (variables: { readonly [name: string]: string | undefined }) => {
  const given = Object.fromEntries(
    Object.entries(variables).flatMap(([name, value]) => value === undefined || value === "" ? [] : [[name, value]])
  )
  return Effect.map(all.parse(ConfigProvider.fromUnknown(given)), (found): Settings => ({
    bucket: found.bucket,
    prefix: found.prefix ?? "runs",
    roleArn: found.roleArn,
    table: found.table,
    promptsPrefix: found.promptsPrefix,
    defaults: {
      maxRecordsTotal: found.maxRecordsTotal,
      maxRecordsPerJob: found.maxRecordsPerJob ?? defaultRecordsPerJob,
      timeoutHours: found.timeoutHours ?? defaultTimeoutHours,
      allowedModels: found.allowedModels
    },
    outputKmsKeyId: found.outputKmsKeyId,
    tags: found.tags ?? {},
    maxOpenJobs: found.maxOpenJobs,
    vpc: found.subnetIds === null || found.securityGroupIds === null
      ? null
      : { subnetIds: found.subnetIds, securityGroupIds: found.securityGroupIds },
    metricsNamespace: found.metricsNamespace ?? defaultNamespace,
    pipeline: found.pipeline ?? found.table,
    settleAfter: found.settleAfter,
    quotaPause: found.quotaPause,
    roundMargin: found.roundMargin ?? defaultRoundMargin
  }))
}

/** The trace of the call that is running, as X-Ray names it; the AWS SDK sends it on by itself. @internal */
export const traceId = (): string | undefined => process.env["_X_AMZN_TRACE_ID"]

/** @internal */
export const layer = Layer.effect(Environment, Effect.suspend(() => read(process.env)))
