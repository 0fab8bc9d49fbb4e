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
import { mapResults } from "./Storage.ts"

/** @internal */
export interface MachineProps {
  readonly name: string | undefined
  readonly functions: PipelineFunctions
  readonly bucket: s3.IBucket
  readonly prefix: string
  readonly key: kms.IKey | undefined
  readonly maxConcurrency: number
  readonly jobTimeoutSeconds: number
  readonly logRetention: logs.RetentionDays
}

/** @internal */
export const makeMachine = (scope: Construct, id: string, props: MachineProps): sfn.StateMachine => {
  const stack = Stack.of(scope)
  const { bucket, functions, jobTimeoutSeconds, key, maxConcurrency, prefix } = props
  const { collect, finish, prepare, retry, submit } = functions
  const called = { collect, finish, prepare, retry, submit }
  const role = new iam.Role(scope, `${id}Role`, {
    description: "What the state machine of batch inference may do",
    assumedBy: new iam.ServicePrincipal("states.amazonaws.com", {
      conditions: { StringEquals: { "aws:SourceAccount": stack.account } }
    })
  })
  const allow = (sid: string, actions: Array<string>, resources: Array<string>) =>
    new iam.PolicyStatement({ sid, actions, resources })
  role.addToPolicy(allow("CallFunctions", ["lambda:InvokeFunction"], Object.values(called).map((one) => one.functionArn)))
  // The map reads the list of jobs, and no other object of a run.
  role.addToPolicy(allow("ReadJobLists", ["s3:GetObject"], [bucket.arnForObjects(`${prefix}/*/pipeline/*`)]))
  role.addToPolicy(
    allow(
      "WriteMapResults",
      ["s3:PutObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"],
      [bucket.arnForObjects(`${mapResults}/*`)]
    )
  )
  key?.grantEncryptDecrypt(role)

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
  const executions = (resourceName: string) =>
    stack.formatArn({ service: "states", resource: "execution", resourceName, arnFormat: ArnFormat.COLON_RESOURCE_NAME })
  // Children of the map are executions of the machine itself. A policy of its own, since the machine's role comes first.
  const children = new iam.Policy(scope, `${id}Children`, {
    statements: [
      allow("StartChildren", ["states:StartExecution"], [machine.stateMachineArn]),
      allow("FollowChildren", ["states:DescribeExecution", "states:StopExecution", "states:RedriveExecution"], [
        executions(`${machine.stateMachineName}:*`),
        executions(`${machine.stateMachineName}/*`)
      ])
    ]
  })
  role.attachInlinePolicy(children)
  return machine
}
