/**
 * The Lambda functions: one verb each, and what each may do.
 *
 * @internal
 */
import { Duration, RemovalPolicy, Size } from "aws-cdk-lib"
import type * as dynamodb from "aws-cdk-lib/aws-dynamodb"
import type * as ec2 from "aws-cdk-lib/aws-ec2"
import * as iam from "aws-cdk-lib/aws-iam"
import * as lambda from "aws-cdk-lib/aws-lambda"
import type * as kms from "aws-cdk-lib/aws-kms"
import * as logs from "aws-cdk-lib/aws-logs"
import type * as s3 from "aws-cdk-lib/aws-s3"
import type * as sqs from "aws-cdk-lib/aws-sqs"
import type { Construct } from "constructs"
import { longestInvocation } from "./Definition.ts"
import { openIndex } from "./Inventory.ts"
import { codeOf, type FunctionName, functionNames, type PipelineFunctions } from "./LambdaCode.ts"
import * as Permissions from "./Permissions.ts"
import { acknowledge, add } from "./Statements.ts"

/** What the functions are made of. @internal */
export interface FunctionsProps extends Permissions.Resources {
  readonly table: dynamodb.ITable
  /** Key of the table, where it is not AWS's. */
  readonly tableKey: kms.IKey | undefined
  /** Other buckets that rows come from. */
  readonly sources: ReadonlyArray<s3.IBucket>
  readonly environment: { readonly [name: string]: string }
  readonly prepareMemory: number
  readonly collectMemory: number
  readonly runtime: lambda.Runtime
  readonly logRetention: logs.RetentionDays
  readonly deadLetters: sqs.IQueue
  readonly network: {
    readonly vpc: ec2.IVpc
    readonly subnets: ec2.SubnetSelection
    readonly securityGroups: ReadonlyArray<ec2.ISecurityGroup>
  } | undefined
}

interface Shape {
  readonly description: string
  readonly memory: number
  readonly seconds: number
  /** MiB of temporary files. */
  readonly storage: number
}

/** Lambda's largest temporary storage, MiB. */
const allStorage = 10_240

const shapesOf = ({ collectMemory, prepareMemory }: FunctionsProps): Readonly<Record<FunctionName, Shape>> => ({
  prepare: {
    description: "Reads rows and writes the requests of jobs, a round at a time",
    memory: prepareMemory,
    seconds: longestInvocation,
    // The rows of the tail that is held back, which are fewer than a job must have; a row may be large.
    storage: 4096
  },
  submit: {
    description: "Sends a job, once, and stores the token of the task that waits for it",
    memory: 1024,
    seconds: longestInvocation,
    storage: 512
  },
  collect: {
    description: "Joins the answers of a job to its rows",
    memory: collectMemory,
    seconds: longestInvocation,
    // The answers of a job wait in files until their rows are written: a job's requests may have 5 GB.
    storage: allStorage
  },
  finish: {
    description: "Writes the report of a run, and what its jobs have left",
    memory: collectMemory,
    seconds: longestInvocation,
    storage: allStorage
  },
  retry: {
    description: "Writes the requests of a run's next attempt",
    memory: prepareMemory,
    seconds: longestInvocation,
    storage: 4096
  },
  event: {
    description: "Hears of jobs from Bedrock, and answers the tasks that wait for them",
    memory: 512,
    seconds: 120,
    storage: 512
  },
  sweep: {
    description: "Looks after jobs whose events were lost",
    memory: 512,
    seconds: 600,
    storage: 512
  }
})

const grant = (functions: PipelineFunctions, props: FunctionsProps): void => {
  const { bucket, sources, table, tableKey } = props
  for (const name of functionNames) Permissions.grantRuns(functions[name], props)
  // Prompts lie in the bucket, too, and so may sources, and results of other runs.
  Permissions.grantSources(functions.prepare, [bucket, ...sources])
  Permissions.grantQuotas(functions.prepare)
  Permissions.grantSubmission(functions.submit, props)
  for (const name of ["submit", "sweep"] as const) {
    Permissions.grantFinding(functions[name])
    Permissions.grantStopping(functions[name], props)
  }
  for (const name of ["submit", "collect", "event", "sweep"] as const) Permissions.grantLooking(functions[name], props)
  for (const name of ["submit", "event", "sweep"] as const) {
    Permissions.grantAnswering(functions[name])
    Permissions.grantInventory(functions[name], table, tableKey)
  }
  Permissions.grantOpenJobs(functions.sweep, table, openIndex)
}

/** @internal */
export const makeFunctions = (scope: Construct, props: FunctionsProps): PipelineFunctions => {
  const shapes = shapesOf(props)
  const { deadLetters, logRetention, network, runtime } = props
  const make = (name: FunctionName): lambda.Function => {
    const { description, memory, seconds, storage } = shapes[name]
    const id = `${name[0]?.toUpperCase()}${name.slice(1)}`
    const group = new logs.LogGroup(scope, `${id}Log`, {
      retention: logRetention,
      removalPolicy: RemovalPolicy.DESTROY
    })
    const role = new iam.Role(scope, `${id}Role`, {
      description: `The function ${name}: ${description}`,
      assumedBy: new iam.ServicePrincipal("lambda.amazonaws.com")
    })
    add(role, [
      {
        sid: "WriteLog",
        reason: "Its own log",
        actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
        resources: [group.logGroupArn]
      }
    ])
    if (network !== undefined) Permissions.grantNetwork(role)
    // What the CDK adds for traces.
    acknowledge(role, { "IAM5[Resource::*]": "Traces take no narrower resource" })
    const asynchronous = name === "event" || name === "sweep"
    return new lambda.Function(scope, id, {
      description,
      role,
      runtime,
      architecture: lambda.Architecture.ARM_64,
      code: lambda.Code.fromAsset(codeOf(name)),
      handler: "index.handler",
      memorySize: memory,
      timeout: Duration.seconds(seconds),
      ephemeralStorageSize: Size.mebibytes(storage),
      environment: { ...props.environment, NODE_OPTIONS: "--enable-source-maps" },
      tracing: lambda.Tracing.ACTIVE,
      logGroup: group,
      loggingFormat: lambda.LoggingFormat.JSON,
      ...(asynchronous ? { deadLetterQueue: deadLetters, retryAttempts: 2 } : {}),
      ...(network === undefined
        ? {}
        : { vpc: network.vpc, vpcSubnets: network.subnets, securityGroups: [...network.securityGroups] })
    })
  }
  const functions = {
    prepare: make("prepare"),
    submit: make("submit"),
    collect: make("collect"),
    finish: make("finish"),
    retry: make("retry"),
    event: make("event"),
    sweep: make("sweep")
  }
  grant(functions, props)
  return functions
}
