/**
 * What happens by itself: Bedrock's events, and the sweep for those that were lost.
 *
 * @internal
 */
import { Duration } from "aws-cdk-lib"
import * as events from "aws-cdk-lib/aws-events"
import * as targets from "aws-cdk-lib/aws-events-targets"
import * as sqs from "aws-cdk-lib/aws-sqs"
import type { Construct } from "constructs"
import type { PipelineFunctions } from "./LambdaCode.ts"
import { acknowledge } from "./Statements.ts"

/** Where events go that no function could handle. They name jobs, and hold nothing of their contents. @internal */
export const makeDeadLetters = (scope: Construct, id: string): sqs.Queue => {
  const queue = new sqs.Queue(scope, id, {
    encryption: sqs.QueueEncryption.SQS_MANAGED,
    enforceSSL: true,
    retentionPeriod: Duration.days(14)
  })
  acknowledge(queue, { SQS3: "It is itself the queue of what could not be handled" })
  return queue
}

/** @internal */
export const makeRules = (
  scope: Construct,
  { event, sweep }: Pick<PipelineFunctions, "event" | "sweep">,
  props: { readonly deadLetters: sqs.IQueue; readonly sweepInterval: Duration }
): void => {
  const { deadLetters: deadLetterQueue, sweepInterval } = props
  new events.Rule(scope, "JobStateChange", {
    description: "Changes of the state of Bedrock's batch inference jobs, of this pipeline and of others",
    eventPattern: { source: ["aws.bedrock"], detailType: ["Batch Inference Job State Change"] },
    targets: [new targets.LambdaFunction(event, { deadLetterQueue, retryAttempts: 8, maxEventAge: Duration.hours(2) })]
  })
  new events.Rule(scope, "SweepSchedule", {
    description: "Looks after jobs whose events were lost",
    schedule: events.Schedule.rate(sweepInterval),
    // The next sweep finds the same.
    targets: [
      new targets.LambdaFunction(sweep, { deadLetterQueue, retryAttempts: 2, maxEventAge: Duration.minutes(15) })
    ]
  })
}
