/**
 * Amazon Bedrock batch inference inside AWS Step Functions, as a construct of the AWS CDK.
 */
export * from "./Metrics.ts"
