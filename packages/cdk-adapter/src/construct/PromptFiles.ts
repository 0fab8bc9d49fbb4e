/**
 * Puts prompts into the bucket when the stack is deployed: an object each, by a call to S3, so that what deploys them
 * may write below their prefix and nothing else. Prompts that are put there by hand stay.
 *
 * @internal
 */
import { RemovalPolicy } from "aws-cdk-lib"
import * as logs from "aws-cdk-lib/aws-logs"
import type * as s3 from "aws-cdk-lib/aws-s3"
import * as cr from "aws-cdk-lib/custom-resources"
import { Construct } from "constructs"
import { type PromptSource, promptFiles } from "../Prompts.ts"
import { acknowledge, explain, type Statement, statementOf } from "./Statements.ts"

/** @internal */
export const deployPrompts = (
  scope: Construct,
  id: string,
  props: {
    readonly bucket: s3.IBucket
    readonly prefix: string
    readonly prompts: PromptSource
    readonly logRetention: logs.RetentionDays
  }
): void => {
  const { bucket, logRetention: retention, prefix, prompts } = props
  const folder = new Construct(scope, id)
  const logGroup = new logs.LogGroup(folder, "Log", { retention, removalPolicy: RemovalPolicy.DESTROY })
  const write: Statement = {
    sid: "WritePrompts",
    reason: "Prompts lie below a prefix of their own",
    actions: ["s3:PutObject"],
    resources: [bucket.arnForObjects(`${prefix}/*`)]
  }
  const policy = cr.AwsCustomResourcePolicy.fromStatements([
    statementOf(write),
    ...(bucket.encryptionKey === undefined ? [] : [
      statementOf({
        sid: "EncryptPrompts",
        reason: "The bucket's own key",
        actions: ["kms:GenerateDataKey"],
        resources: [bucket.encryptionKey.keyArn]
      })
    ])
  ])
  for (const { body, name } of promptFiles(prompts)) {
    const call: cr.AwsSdkCall = {
      service: "S3",
      action: "PutObject",
      parameters: {
        Bucket: bucket.bucketName,
        Key: `${prefix}/${name}`,
        Body: body,
        ContentType: "text/plain; charset=utf-8"
      },
      physicalResourceId: cr.PhysicalResourceId.of(`${prefix}/${name}`),
      outputPaths: ["ETag"]
    }
    const made = new cr.AwsCustomResource(folder, name, {
      resourceType: "Custom::BedrockBatchPrompt",
      onUpdate: call,
      policy,
      logGroup,
      installLatestAwsSdk: false
    })
    explain(made, write)
    const { grantPrincipal } = made
    if (Construct.isConstruct(grantPrincipal)) {
      acknowledge(grantPrincipal, {
        "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]":
          "The CDK's own function for calls at deployment, one a stack, writes its log by AWS's policy"
      })
    }
  }
}
