/**
 * A stack that is ready to deploy: a pipeline, configured by the context of the app.
 *
 * @since 0.2.0
 */
import { CfnOutput, Duration, Stack, type StackProps } from "aws-cdk-lib"
import * as s3 from "aws-cdk-lib/aws-s3"
import type { Construct } from "constructs"
import { BedrockBatchPipeline } from "./BedrockBatchPipeline.ts"
import { bounds } from "./construct/Checks.ts"

/** A whole number from the context, where it may come as a string from the command line. */
const count = (scope: Construct, key: string, fallback: number, [least, most]: readonly [number, number]): number => {
  const value: unknown = scope.node.tryGetContext(key)
  if (value === undefined) return fallback
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value
  if (typeof number !== "number" || !Number.isInteger(number) || number < least || number > most) {
    throw new Error(`context ${key} is ${JSON.stringify(value)}, and must be an integer from ${least} to ${most}`)
  }
  return number
}

const text = (scope: Construct, key: string): string | undefined => {
  const value: unknown = scope.node.tryGetContext(key)
  return typeof value === "string" && value !== "" ? value : undefined
}

/**
 * A pipeline in a stack of its own. The context keys, in `cdk.json` or by `--context`:
 *
 * | key | default | |
 * | --- | --- | --- |
 * | `maxSubmittedAndInProgressJobs` | 20 | jobs that an execution has open at a time |
 * | `bedrockBatchInferenceTimeoutHours` | 24 | when Bedrock gives a job up, 24 to 168 |
 * | `preprocessFunctionMemoryMb` | 3008 | MiB of memory of the functions that write requests |
 * | `postprocessFunctionMemoryMb` | 3008 | MiB of memory of the functions that write results |
 * | `promptsFolder` | none | a folder of prompts to deploy |
 * | `sourceBuckets` | none | names of other buckets that rows are read from, with commas between them |
 *
 * The outputs: `bucketName`, `stepFunctionName`, `stepFunctionArn`, `serviceRoleArn` and `runsPrefix`.
 *
 * @since 0.2.0
 * @category constructs
 */
export class PipelineStack extends Stack {
  readonly pipeline: BedrockBatchPipeline

  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, { description: "Amazon Bedrock batch inference by AWS Step Functions", ...props })
    const folder = text(this, "promptsFolder")
    const named = text(this, "sourceBuckets")?.split(",").map((name) => name.trim()) ?? []
    const sources = [...new Set(named)].filter((name) => name !== "")
    this.pipeline = new BedrockBatchPipeline(this, "Pipeline", {
      maxConcurrency: count(this, "maxSubmittedAndInProgressJobs", 20, bounds.maxConcurrency),
      jobTimeout: Duration.hours(count(this, "bedrockBatchInferenceTimeoutHours", 24, bounds.jobTimeout)),
      prepareMemory: count(this, "preprocessFunctionMemoryMb", 3008, bounds.memory),
      collectMemory: count(this, "postprocessFunctionMemoryMb", 3008, bounds.memory),
      prompts: folder === undefined ? undefined : { folder },
      sources: sources.map((name) => s3.Bucket.fromBucketName(this, `Source-${name}`, name))
    })
    const { bucket, prefix, serviceRole, stateMachine } = this.pipeline
    const outputs = {
      bucketName: bucket.bucketName,
      stepFunctionName: stateMachine.stateMachineName,
      stepFunctionArn: stateMachine.stateMachineArn,
      serviceRoleArn: serviceRole.roleArn,
      runsPrefix: prefix
    }
    for (const [name, value] of Object.entries(outputs)) new CfnOutput(this, name, { value })
  }
}
