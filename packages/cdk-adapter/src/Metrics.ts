/**
 * The metrics that the Lambda functions of a pipeline emit, by CloudWatch's embedded metric format.
 *
 * Each has one dimension, {@link pipelineDimension}, whose value is the pipeline's name, so that an alarm names its
 * metric in full. The names here are those of the alarms and of the dashboard, too.
 *
 * @since 0.2.0
 */

/**
 * A metric: its name, CloudWatch's unit, and what one data point says.
 *
 * @since 0.2.0
 * @category models
 */
export interface Metric {
  readonly name: string
  readonly unit: "Count" | "Milliseconds"
  readonly description: string
}

/**
 * The namespace of the metrics, where no other is given.
 *
 * @since 0.2.0
 * @category constants
 */
export const defaultNamespace = "BedrockBatch"

/**
 * The one dimension of every metric; its value is the pipeline's name.
 *
 * @since 0.2.0
 * @category constants
 */
export const pipelineDimension = "Pipeline"

/**
 * All metrics of a pipeline, by their names.
 *
 * @since 0.2.0
 * @category constants
 */
export const Metrics = {
  JobsSubmitted: {
    name: "JobsSubmitted",
    unit: "Count",
    description: "Jobs that Bedrock took, and those that ran on demand"
  },
  CapacityWaits: {
    name: "CapacityWaits",
    unit: "Count",
    description: "Submissions put off because all slots, or the account's quota, were taken"
  },
  JobsEnded: {
    name: "JobsEnded",
    unit: "Count",
    description: "Jobs seen to have ended, whatever they came to"
  },
  JobsFailed: {
    name: "JobsFailed",
    unit: "Count",
    description: "Jobs that Bedrock refused, or that ended Failed, Stopped or Expired"
  },
  JobsStuck: {
    name: "JobsStuck",
    unit: "Count",
    description: "Jobs still open after their timeout, counted at each sweep"
  },
  JobsOpen: {
    name: "JobsOpen",
    unit: "Count",
    description: "Jobs open in the inventory, counted at each sweep"
  },
  SweepFinds: {
    name: "SweepFinds",
    unit: "Count",
    description: "Ended jobs whose waiting task only the sweep told: their event was lost, or its handler failed"
  },
  Records: {
    name: "Records",
    unit: "Count",
    description: "Input rows of finished runs"
  },
  RecordsSucceeded: {
    name: "RecordsSucceeded",
    unit: "Count",
    description: "Input rows of finished runs that have an answer"
  },
  RunsFinished: {
    name: "RunsFinished",
    unit: "Count",
    description: "Runs whose results were written"
  }
} as const satisfies Record<string, Metric>
