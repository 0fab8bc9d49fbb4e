/** EventBridge's event of a batch job, as the User Guide shows it. */
export const envelope = (arn: string, status: string) => ({
  version: "0",
  id: "a1b2c3d4",
  "detail-type": "Batch Inference Job State Change",
  source: "aws.bedrock",
  account: "123456789012",
  time: "Wed Aug 28 22:58:30 UTC 2024",
  region: "us-east-1",
  resources: [arn],
  detail: {
    version: "0.0",
    accountId: "123456789012",
    batchJobName: "dummy-batch-job-name",
    batchJobArn: arn,
    batchModelId: "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-sonnet-20240229-v1:0",
    status,
    failureMessage: "",
    creationTime: "Aug 28, 2024, 10:47:53 PM"
  }
})
