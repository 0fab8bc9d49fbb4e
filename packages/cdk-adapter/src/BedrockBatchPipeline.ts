/**
 * Amazon Bedrock batch inference inside AWS Step Functions, as a construct.
 *
 * @since 0.2.0
 */
import { Duration, Names, RemovalPolicy, Tags } from "aws-cdk-lib"
import type * as cloudwatch from "aws-cdk-lib/aws-cloudwatch"
import type * as dynamodb from "aws-cdk-lib/aws-dynamodb"
import * as ec2 from "aws-cdk-lib/aws-ec2"
import type * as iam from "aws-cdk-lib/aws-iam"
import type * as kms from "aws-cdk-lib/aws-kms"
import * as lambda from "aws-cdk-lib/aws-lambda"
import * as logs from "aws-cdk-lib/aws-logs"
import type * as s3 from "aws-cdk-lib/aws-s3"
import type * as sns from "aws-cdk-lib/aws-sns"
import type * as sqs from "aws-cdk-lib/aws-sqs"
import type * as sfn from "aws-cdk-lib/aws-stepfunctions"
import { Construct } from "constructs"
import { checkEnvironment, checkProps, keyOf } from "./construct/Checks.ts"
import { makeDeadLetters, makeRules } from "./construct/Events.ts"
import { makeFunctions } from "./construct/Functions.ts"
import { makeInventory } from "./construct/Inventory.ts"
import type { PipelineFunctions } from "./construct/LambdaCode.ts"
import { grantExecutions, makeMachine } from "./construct/Machine.ts"
import { modelArns } from "./construct/ModelArns.ts"
import { makeMonitoring } from "./construct/Monitoring.ts"
import * as Permissions from "./construct/Permissions.ts"
import { deployPrompts } from "./construct/PromptFiles.ts"
import { makeServiceRole } from "./construct/ServiceRole.ts"
import { makeBucket, mapResults } from "./construct/Storage.ts"
import { defaultNamespace } from "./Metrics.ts"
import type { PromptSource } from "./Prompts.ts"

/**
 * A network for the jobs and for the functions.
 *
 * Without a NAT gateway the functions need endpoints: gateways for S3 and DynamoDB, interfaces for Bedrock
 * (`bedrock`, and `bedrock-runtime` for calls on demand), Step Functions (`states`) and Service Quotas
 * (`servicequotas`). Datasets of the Hugging Face Hub come from the internet.
 *
 * @since 0.2.0
 * @category models
 */
export interface PipelineNetwork {
  readonly vpc: ec2.IVpc
  /** At most 16, best one in each Availability Zone. Default: private ones with a way out. */
  readonly subnets?: ec2.SubnetSelection | undefined
  /** At most 5. Default: one of their own, from which all outbound traffic is allowed. */
  readonly securityGroups?: ReadonlyArray<ec2.ISecurityGroup> | undefined
  /** Whether the Lambda functions are in it, too, or the jobs alone. Default true. */
  readonly functions?: boolean | undefined
}

/**
 * Properties of a {@link BedrockBatchPipeline}. All have a default.
 *
 * @since 0.2.0
 * @category configuration
 */
export interface BedrockBatchPipelineProps {
  /**
   * Name of the pipeline: of its state machine, and the dimension of its metrics. Letters, digits and hyphens, at
   * most 60. Default: made from the construct's path, with the state machine's name left to CloudFormation.
   */
  readonly name?: string | undefined
  /**
   * Bucket of requests, answers, results and of the record of jobs, in the Region of the stack. Default: a new one,
   * encrypted, closed to the public, open to TLS alone.
   */
  readonly bucket?: s3.IBucket | undefined
  /**
   * Key prefix of the runs. Default `runs`. Letters, digits, `.`, `_`, `-` and slashes, as Bedrock takes in an S3
   * URI; not `inputs`, `prompts` or `map-results`, nor anything below them.
   */
  readonly prefix?: string | undefined
  /** Other buckets that rows are read from. Default none: rows are read from the pipeline's bucket. */
  readonly sources?: ReadonlyArray<s3.IBucket> | undefined
  /**
   * Prompts to deploy, beside those that come with the library. More may be put below `prompts/` in the bucket at any
   * time.
   */
  readonly prompts?: PromptSource | undefined
  /** Jobs that one execution has submitted or in progress at a time, 1 to 1,000. Default 20. */
  readonly maxConcurrency?: number | undefined
  /**
   * Jobs of a model that all executions together have open. Default: the account's quota for the model, which the
   * functions read from Service Quotas.
   */
  readonly maxOpenJobs?: number | undefined
  /** When Bedrock gives a job up: whole hours, 24 to 168. Default 24 hours. */
  readonly jobTimeout?: Duration | undefined
  /** MiB of memory of the functions that write requests. Default 3008, the most that some accounts may have. */
  readonly prepareMemory?: number | undefined
  /** MiB of memory of the functions that write results. Default 3008. */
  readonly collectMemory?: number | undefined
  /** Rows that a run takes where its input does not say. Default all. */
  readonly maxRecordsTotal?: number | undefined
  /** Records of a job where the input does not say. Default 1000. */
  readonly maxRecordsPerJob?: number | undefined
  /**
   * Ids or ARNs of the models that may be used; others are refused before anything is written, and by IAM. The id of
   * a model allows its inference profiles, too (`anthropic.claude-haiku-4-5-20251001-v1:0`), that of a profile no
   * other one (`us.anthropic.claude-haiku-4-5-20251001-v1:0`). Default: all that the account has access to.
   */
  readonly allowedModels?: ReadonlyArray<string> | undefined
  /** Network of the jobs and the functions. Default none. */
  readonly network?: PipelineNetwork | undefined
  /**
   * Key that encrypts a new bucket, the table and the jobs' outputs; that of a bucket that is there, where the stack
   * does not know it. Default: keys of AWS.
   */
  readonly encryptionKey?: kms.IKey | undefined
  /** Tags of all resources, and of the jobs. At most 50, and in all, with `allowedModels`, some 3 KB. */
  readonly tags?: { readonly [key: string]: string } | undefined
  /** Where alarms go. Default nowhere: they are seen in CloudWatch. */
  readonly alarmTopic?: sns.ITopic | undefined
  /** How long logs are kept. Default a month. */
  readonly logRetention?: logs.RetentionDays | undefined
  /** What becomes of a new bucket and of the table when the stack is removed. Default: they are kept. */
  readonly removalPolicy?: RemovalPolicy | undefined
  /** How often jobs are looked after whose events were lost, 5 minutes to a day. Default 15 minutes. */
  readonly sweepInterval?: Duration | undefined
  /** Whether there is a dashboard. Default true. */
  readonly dashboard?: boolean | undefined
  /** Runtime of the functions: Node.js 22 or newer. Default Node.js 24. */
  readonly runtime?: lambda.Runtime | undefined
}

const promptsPrefix = "prompts"

/** Where inputs are put by those who may start executions. */
const inputsPrefix = "inputs"

/**
 * A pipeline: a state machine that takes rows from S3 or the Hugging Face Hub, has Bedrock run them in batch inference
 * jobs, and writes the same rows with the model's columns. Its input is described by `Input`.
 *
 * The bucket holds all of its state. The table, the events and the tokens can be rebuilt from it, and every verb of
 * `@bedrock-batch/sdk` works on a pipeline's runs from elsewhere, too:
 * {@link BedrockBatchPipeline.grantBatchInference}.
 *
 * @since 0.2.0
 * @category constructs
 * @example
 * ```ts
 * import { BedrockBatchPipeline } from "@bedrock-batch/cdk-adapter"
 * import { App, CfnOutput, Stack } from "aws-cdk-lib"
 *
 * const stack = new Stack(new App(), "Tickets")
 * const pipeline = new BedrockBatchPipeline(stack, "Pipeline", {
 *   prompts: { texts: { urgency: "How urgent is this ticket, from 1 to 5? {text}" } },
 *   allowedModels: ["us.anthropic.claude-haiku-4-5-20251001-v1:0"]
 * })
 * new CfnOutput(stack, "stateMachine", { value: pipeline.stateMachine.stateMachineArn })
 * ```
 */
export class BedrockBatchPipeline extends Construct {
  /** Takes an `Input`, and answers with counts, the report and the paths of the results. */
  readonly stateMachine: sfn.StateMachine
  /** Bucket of the runs. */
  readonly bucket: s3.IBucket
  /** Key prefix of the runs in the bucket: `prefix` of `Aws.layer`, to work on them from elsewhere. */
  readonly prefix: string
  /** Key prefix of the prompts in the bucket. */
  readonly promptsPrefix: string
  /** What Bedrock assumes to read requests and to write answers: `roleArn` of `Aws.layer`. */
  readonly serviceRole: iam.Role
  /** Jobs and task tokens; all of it can be rebuilt from the bucket. */
  readonly table: dynamodb.Table
  /** Events that could not be handled. */
  readonly deadLetterQueue: sqs.Queue
  /** The Lambda functions by their names. */
  readonly functions: PipelineFunctions
  /** The alarms: each has the alarm topic as its action, if there is one. */
  readonly alarms: ReadonlyArray<cloudwatch.Alarm>
  /** Value of the metrics' dimension. */
  readonly name: string

  readonly #resources: Permissions.Resources

  constructor(scope: Construct, id: string, props: BedrockBatchPipelineProps = {}) {
    super(scope, id)
    checkProps(props, [promptsPrefix, inputsPrefix, mapResults])
    const logRetention = props.logRetention ?? logs.RetentionDays.ONE_MONTH
    const removalPolicy = props.removalPolicy ?? RemovalPolicy.RETAIN
    const timeoutHours = props.jobTimeout?.toHours() ?? 24
    const sweepInterval = props.sweepInterval ?? Duration.minutes(15)
    const memory = { prepareMemory: props.prepareMemory ?? 3008, collectMemory: props.collectMemory ?? 3008 }
    this.name = props.name ?? Names.uniqueResourceName(this, { maxLength: 60, separator: "-" })
    this.prefix = props.prefix ?? "runs"
    this.promptsPrefix = promptsPrefix
    const encryptionKey = keyOf(props.encryptionKey)
    const made = { key: encryptionKey, removalPolicy }
    this.bucket = props.bucket ?? makeBucket(this, "Bucket", made)
    this.table = makeInventory(this, "Inventory", made)
    this.deadLetterQueue = makeDeadLetters(this, "DeadLetters")

    const network = props.network === undefined ? undefined : this.#place(props.network)
    const models = modelArns(this, props.allowedModels)
    // A bucket that is there may have a key of its own beside the one that is given.
    const keys = [...new Set([encryptionKey, this.bucket.encryptionKey].filter((key) => key !== undefined))]
    this.serviceRole = makeServiceRole(this, "ServiceRole", {
      bucket: this.bucket,
      prefix: this.prefix,
      keys,
      models,
      network: network?.ids
    })
    this.#resources = { bucket: this.bucket, prefix: this.prefix, keys, role: this.serviceRole, models }

    const optional = {
      OUTPUT_KMS_KEY: keys[0]?.keyArn,
      ALLOWED_MODELS: props.allowedModels && JSON.stringify(props.allowedModels),
      MAX_TOTAL_RECORDS: props.maxRecordsTotal?.toString(),
      MAX_RECORDS_PER_JOB: props.maxRecordsPerJob?.toString(),
      MAX_OPEN_JOBS: props.maxOpenJobs?.toString(),
      JOB_TAGS: props.tags && JSON.stringify(props.tags),
      VPC_SUBNETS: network && JSON.stringify(network.ids.subnetIds),
      VPC_SECURITY_GROUPS: network && JSON.stringify(network.ids.securityGroupIds)
    }
    const environment: Record<string, string> = {
      BUCKET: this.bucket.bucketName,
      PREFIX: this.prefix,
      PROMPTS_PREFIX: promptsPrefix,
      SERVICE_ROLE_ARN: this.serviceRole.roleArn,
      TABLE: this.table.tableName,
      JOB_TIMEOUT_HOURS: String(timeoutHours),
      METRICS_NAMESPACE: defaultNamespace,
      PIPELINE: this.name
    }
    for (const [name, value] of Object.entries(optional)) {
      if (value !== undefined) environment[name] = value
    }
    checkEnvironment(environment)
    this.functions = makeFunctions(this, {
      ...this.#resources,
      ...memory,
      table: this.table,
      tableKey: encryptionKey,
      sources: props.sources ?? [],
      environment,
      runtime: props.runtime ?? lambda.Runtime.NODEJS_24_X,
      logRetention,
      deadLetters: this.deadLetterQueue,
      network: props.network?.functions === false ? undefined : network
    })
    this.stateMachine = makeMachine(this, "StateMachine", {
      name: props.name,
      functions: this.functions,
      bucket: this.bucket,
      prefix: this.prefix,
      keys,
      maxConcurrency: props.maxConcurrency ?? 20,
      jobTimeoutSeconds: (timeoutHours + 2) * 3600,
      logRetention
    })
    makeRules(this, this.functions, { deadLetters: this.deadLetterQueue, sweepInterval })
    const alarms = makeMonitoring(this, {
      name: this.name,
      namespace: defaultNamespace,
      topic: props.alarmTopic,
      machine: this.stateMachine,
      functions: this.functions,
      deadLetters: this.deadLetterQueue,
      sweepInterval,
      dashboard: props.dashboard ?? true
    })
    this.alarms = Object.values(alarms)
    if (props.prompts !== undefined) {
      const { prompts } = props
      deployPrompts(this, "Prompts", { bucket: this.bucket, keys, prefix: promptsPrefix, prompts, logRetention })
    }
    for (const [tag, value] of Object.entries(props.tags ?? {})) Tags.of(this).add(tag, value)
  }

  /**
   * Lets somebody work on this pipeline's runs from outside with `@bedrock-batch/sdk`: prepare, submit, await,
   * collect, retry, cancel and download, with the bucket, prefix and service role of the pipeline. Rows may be read
   * from `inputs/` in the bucket; where else they come from is granted apart. It takes no grant on the state machine,
   * and cannot delete runs.
   */
  grantBatchInference(grantee: iam.IGrantable): void {
    Permissions.grantRuns(grantee, this.#resources)
    Permissions.grantSubmission(grantee, this.#resources)
    Permissions.grantLooking(grantee, this.#resources)
    Permissions.grantFinding(grantee)
    Permissions.grantStopping(grantee, this.#resources)
    Permissions.grantReadingOf(grantee, this.#resources, [inputsPrefix, this.promptsPrefix])
  }

  /** Lets somebody start executions, follow them, and put inputs below `inputs/` in the bucket. */
  grantStart(grantee: iam.IGrantable): void {
    grantExecutions(grantee, this.stateMachine)
    Permissions.grantInputs(grantee, this.#resources, inputsPrefix)
  }

  /** Lets somebody list runs and read all that belongs to them, results first of all. */
  grantReadResults(grantee: iam.IGrantable): void {
    Permissions.grantReading(grantee, this.#resources)
  }

  #place({ securityGroups, subnets, vpc }: PipelineNetwork) {
    const selection = subnets ?? { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS }
    const groups = securityGroups ?? [
      new ec2.SecurityGroup(this, "SecurityGroup", {
        vpc,
        description: "Amazon Bedrock batch inference: jobs and functions",
        allowAllOutbound: true
      })
    ]
    const { subnetIds } = vpc.selectSubnets(selection)
    if (subnetIds.length < 1 || subnetIds.length > 16) {
      throw new Error(`BedrockBatchPipeline: network has ${subnetIds.length} subnets, and must have 1 to 16`)
    }
    const ids = { subnetIds, securityGroupIds: groups.map(({ securityGroupId }) => securityGroupId) }
    return { vpc, subnets: selection, securityGroups: groups, ids }
  }
}
