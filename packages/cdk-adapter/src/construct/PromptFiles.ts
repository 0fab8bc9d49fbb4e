/**
 * Puts prompts into the bucket when the stack is deployed: an object each, by a call to S3, so that what deploys them
 * may write below their prefix and nothing else. Prompts that are put there by hand stay.
 *
 * @internal
 */
import { RemovalPolicy } from "aws-cdk-lib"
import * as iam from "aws-cdk-lib/aws-iam"
import type * as kms from "aws-cdk-lib/aws-kms"
import * as logs from "aws-cdk-lib/aws-logs"
import type * as s3 from "aws-cdk-lib/aws-s3"
import * as cr from "aws-cdk-lib/custom-resources"
import { Construct } from "constructs"
import { type PromptFile, type PromptSource, promptFiles } from "../Prompts.ts"
import { acknowledge, explain, type Statement, statementOf } from "./Statements.ts"

/** Bytes that all prompts may have in the template, of which AWS takes a megabyte. */
const mostBytes = 700_000

/** What a prompt has in the template: it is told twice there, as text in text. */
const bytesOf = ({ body }: PromptFile) => 2 * Buffer.byteLength(JSON.stringify(JSON.stringify(body)))

/** @internal */
export const deployPrompts = (
  scope: Construct,
  id: string,
  props: {
    readonly bucket: s3.IBucket
    readonly keys: ReadonlyArray<kms.IKey>
    readonly prefix: string
    readonly prompts: PromptSource
    readonly logRetention: logs.RetentionDays
  }
): void => {
  const { bucket, keys, logRetention: retention, prefix, prompts } = props
  const files = promptFiles(prompts)
  const bytes = files.reduce((sum, file) => sum + bytesOf(file), 0)
  if (bytes > mostBytes) {
    throw new Error(
      `prompts: ${files.length} prompts would be ${bytes} bytes of the template, and ${mostBytes} can be deployed: ` +
        `put some below the bucket's ${prefix}/ yourself`
    )
  }
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
    ...(keys.length === 0 ? [] : [
      statementOf({
        sid: "EncryptPrompts",
        reason: "The bucket's own key",
        actions: ["kms:GenerateDataKey"],
        resources: keys.map(({ keyArn }) => keyArn)
      })
    ])
  ])
  let first: cr.AwsCustomResource | undefined
  for (const { body, name } of files) {
    const role = first !== undefined && iam.Role.isRole(first.grantPrincipal) ? first.grantPrincipal : undefined
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
      // One function makes all calls: a policy for each prompt would be more than its role has room for.
      ...(role === undefined ? { policy } : { role }),
      logGroup,
      installLatestAwsSdk: false
    })
    if (first === undefined) {
      first = made
      explain(made, write)
      const { grantPrincipal } = made
      if (iam.Role.isRole(grantPrincipal)) {
        acknowledge(grantPrincipal, {
          "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]":
            "The CDK's own function for calls at deployment, one a stack, writes its log by AWS's policy"
        })
      }
    } else made.node.addDependency(first)
  }
}
