/**
 * The state machine and what it may do.
 *
 * @internal
 */
import { ArnFormat, Aws, RemovalPolicy, Stack } from "aws-cdk-lib"
import * as iam from "aws-cdk-lib/aws-iam"
import type * as kms from "aws-cdk-lib/aws-kms"
import * as logs from "aws-cdk-lib/aws-logs"
import type * as s3 from "aws-cdk-lib/aws-s3"
import * as sfn from "aws-cdk-lib/aws-stepfunctions"
import type { Construct } from "constructs"
import { definition } from "./Definition.ts"
import type { PipelineFunctions } from "./LambdaCode.ts"
import { grantKeys } from "./Permissions.ts"
import { acknowledge, add, attach } from "./Statements.ts"
import { mapResults } from "./Storage.ts"

/** @internal */
export interface MachineProps {
  readonly name: string | undefined
  readonly functions: PipelineFunctions
  readonly bucket: s3.IBucket
  readonly prefix: string
  readonly keys: ReadonlyArray<kms.IKey>
  readonly maxConcurrency: number
  readonly jobTimeoutSeconds: number
  readonly logRetention: logs.RetentionDays
}

/** Executions of a machine, and what belongs to the runs of its map. */
const executionsOf = (machine: sfn.StateMachine, resource: "execution" | "mapRun"): ReadonlyArray<string> =>
  [":*", "/*"].map((rest) =>
    Stack.of(machine).formatArn({
      service: "states",
      resource,
      resourceName: `${machine.stateMachineName}${rest}`,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME
    })
  )

/** To start executions, and to see how far they are. @internal */
export const grantExecutions = (grantee: iam.IGrantable, machine: sfn.StateMachine): void =>
  add(grantee, [
    {
      sid: "StartExecutions",
      reason: "Of this state machine alone",
      actions: ["states:StartExecution", "states:ListExecutions", "states:DescribeStateMachine"],
      resources: [machine.stateMachineArn]
    },
    {
      sid: "FollowExecutions",
      reason: "Executions, and runs of their maps, have no names before they are started",
      actions: [
        "states:DescribeExecution",
        "states:GetExecutionHistory",
        "states:ListMapRuns",
        "states:DescribeMapRun"
      ],
      resources: [...executionsOf(machine, "execution"), ...executionsOf(machine, "mapRun")]
    }
  ])

/** @internal */
export const makeMachine = (scope: Construct, id: string, props: MachineProps): sfn.StateMachine => {
  const stack = Stack.of(scope)
  const { bucket, functions, jobTimeoutSeconds, keys, maxConcurrency, prefix } = props
  const { collect, finish, prepare, retry, submit } = functions
  const called = { collect, finish, prepare, retry, submit }
  const role = new iam.Role(scope, `${id}Role`, {
    description: "What the state machine of batch inference may do",
    assumedBy: new iam.ServicePrincipal("states.amazonaws.com", {
      conditions: { StringEquals: { "aws:SourceAccount": stack.account } }
    })
  })
  add(role, [
    {
      sid: "CallFunctions",
      reason: "The functions of the definition, and no version of them but the current",
      actions: ["lambda:InvokeFunction"],
      resources: Object.values(called).map(({ functionArn }) => functionArn)
    },
    {
      sid: "ReadJobLists",
      reason: "The map reads the list of a run's jobs, and no other object of it",
      actions: ["s3:GetObject"],
      resources: [bucket.arnForObjects(`${prefix}/*/pipeline/*`)]
    },
    {
      sid: "WriteMapResults",
      reason: "The map writes what its children came to, below a prefix of its own",
      actions: ["s3:PutObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"],
      resources: [bucket.arnForObjects(`${mapResults}/*`)]
    }
  ])
  grantKeys(role, keys, "kms:Decrypt", "kms:GenerateDataKey")

  const machine = new sfn.StateMachine(scope, id, {
    ...(props.name === undefined ? {} : { stateMachineName: props.name }),
    stateMachineType: sfn.StateMachineType.STANDARD,
    definitionBody: sfn.DefinitionBody.fromString(stack.toJsonString(definition({
      functions: {
        prepare: prepare.functionArn,
        submit: submit.functionArn,
        collect: collect.functionArn,
        finish: finish.functionArn,
        retry: retry.functionArn
      },
      partition: Aws.PARTITION,
      bucket: bucket.bucketName,
      mapResults,
      maxConcurrency,
      jobTimeoutSeconds
    }))),
    role,
    tracingEnabled: true,
    logs: {
      destination: new logs.LogGroup(scope, `${id}Log`, {
        // Under this prefix logs need no resource policy each, of which an account has ten.
        logGroupName: `/aws/vendedlogs/states/${props.name ?? stack.stackName}-${scope.node.addr.slice(-8)}`,
        retention: props.logRetention,
        removalPolicy: RemovalPolicy.DESTROY
      }),
      level: sfn.LogLevel.ALL,
      // An input may have a prompt in it.
      includeExecutionData: false
    }
  })
  // The machine's own role comes before the machine, and cannot name it.
  attach(role, scope, `${id}Children`, [
    {
      sid: "StartChildren",
      reason: "Children of the map are executions of the machine itself",
      actions: ["states:StartExecution"],
      resources: [machine.stateMachineArn]
    },
    {
      sid: "FollowChildren",
      reason: "Executions have no names before they are started",
      actions: ["states:DescribeExecution", "states:StopExecution", "states:RedriveExecution"],
      resources: executionsOf(machine, "execution")
    }
  ])
  // What the CDK adds for logs and traces.
  acknowledge(role, {
    "IAM5[Resource::*]": "Traces, and the delivery of logs by CloudWatch, take no narrower resource"
  })
  return machine
}
