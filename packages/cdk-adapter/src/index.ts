/**
 * Amazon Bedrock batch inference inside AWS Step Functions, as a construct of the AWS CDK.
 */
export * from "./BedrockBatchPipeline.ts"

/** The input of an execution. */
export * as Input from "./Input.ts"

/** Metrics of a pipeline. */
export * from "./Metrics.ts"

export type { FunctionName, PipelineFunctions } from "./construct/LambdaCode.ts"
export * from "./PipelineStack.ts"
export * from "./Prompts.ts"
