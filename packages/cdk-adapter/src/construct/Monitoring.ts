/**
 * Alarms and the dashboard.
 *
 * @internal
 */
import { Duration, Stack } from "aws-cdk-lib"
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch"
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions"
import type * as sns from "aws-cdk-lib/aws-sns"
import type * as sqs from "aws-cdk-lib/aws-sqs"
import type * as sfn from "aws-cdk-lib/aws-stepfunctions"
import type { Construct } from "constructs"
import { type Metric, Metrics, pipelineDimension } from "../Metrics.ts"
import { functionNames, type PipelineFunctions } from "./LambdaCode.ts"

/** @internal */
export interface MonitoringProps {
  readonly name: string
  readonly namespace: string
  readonly topic: sns.ITopic | undefined
  readonly machine: sfn.StateMachine
  readonly functions: PipelineFunctions
  readonly deadLetters: sqs.IQueue
  readonly sweepInterval: Duration
  readonly dashboard: boolean
}

/** Alarms by what they tell. @internal */
export interface Alarms {
  readonly jobsFailed: cloudwatch.Alarm
  readonly jobsStuck: cloudwatch.Alarm
  readonly sweepFinds: cloudwatch.Alarm
  readonly runsFailed: cloudwatch.Alarm
  readonly unhandledEvents: cloudwatch.Alarm
}

/** @internal */
export const makeMonitoring = (scope: Construct, props: MonitoringProps): Alarms => {
  const { deadLetters, machine, name, namespace, topic } = props
  const minutes5 = Duration.minutes(5)
  const own = ({ name: metricName }: Metric, statistic = "Sum", period = minutes5) =>
    new cloudwatch.Metric({ namespace, metricName, dimensionsMap: { [pipelineDimension]: name }, statistic, period })

  const alarm = (id: string, metric: cloudwatch.IMetric, alarmDescription: string): cloudwatch.Alarm => {
    const made = new cloudwatch.Alarm(scope, id, {
      metric,
      alarmDescription: `${name}: ${alarmDescription}`,
      threshold: 1,
      evaluationPeriods: 1,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING
    })
    if (topic !== undefined) made.addAlarmAction(new SnsAction(topic))
    return made
  }
  // A gauge is told once a sweep: over a shorter period it would seem to come and go.
  const gauge = Duration.minutes(Math.max(5, props.sweepInterval.toMinutes()))
  const alarms: Alarms = {
    jobsFailed: alarm(
      "JobsFailedAlarm",
      own(Metrics.JobsFailed),
      "a job was refused, or ended Failed, Stopped or Expired. The run goes on without it; its report says why"
    ),
    jobsStuck: alarm(
      "JobsStuckAlarm",
      own(Metrics.JobsStuck, "Maximum", gauge),
      "a job is open though its time is over. Look at it in Bedrock's list of batch inference jobs"
    ),
    sweepFinds: alarm(
      "SweepFindsAlarm",
      own(Metrics.SweepFinds, "Sum", gauge),
      "a task was waiting for a job that had ended: its event was lost, or its handler failed. It has been answered"
    ),
    runsFailed: alarm(
      "RunsFailedAlarm",
      machine.metricFailed({ statistic: "Sum", period: minutes5 }),
      "an execution failed. Its error says what to do; started again with the same input it takes the run up"
    ),
    unhandledEvents: alarm(
      "UnhandledEventsAlarm",
      deadLetters.metricApproximateNumberOfMessagesVisible({ statistic: "Maximum", period: minutes5 }),
      "an event of a job could not be handled. The sweep looks after the job; the queue has the event"
    )
  }
  if (props.dashboard) makeDashboard(scope, props, alarms, own)
  return alarms
}

const makeDashboard = (
  scope: Construct,
  { deadLetters, functions, machine, name }: MonitoringProps,
  alarms: Alarms,
  own: (metric: Metric, statistic?: string) => cloudwatch.Metric
): void => {
  const graph = (title: string, left: Array<cloudwatch.IMetric>, rest: Partial<cloudwatch.GraphWidgetProps> = {}) =>
    new cloudwatch.GraphWidget({ title, left, width: 8, height: 6, leftYAxis: { min: 0 }, ...rest })
  const each = (of: (name: keyof PipelineFunctions) => cloudwatch.IMetric) => functionNames.map(of)
  new cloudwatch.Dashboard(scope, "Dashboard", {
    defaultInterval: Duration.days(1),
    widgets: [
      [
        new cloudwatch.TextWidget({
          width: 24,
          height: 1,
          markdown: `**${name}**, Amazon Bedrock batch inference in ${Stack.of(scope).region}`
        })
      ],
      [
        new cloudwatch.AlarmStatusWidget({ title: "Alarms", width: 24, height: 2, alarms: Object.values(alarms) })
      ],
      [
        graph("Jobs", [own(Metrics.JobsSubmitted), own(Metrics.JobsEnded), own(Metrics.JobsFailed)], {
          right: [own(Metrics.JobsOpen, "Maximum")],
          rightYAxis: { min: 0 }
        }),
        graph("Rows of finished runs", [own(Metrics.Records), own(Metrics.RecordsSucceeded)]),
        graph("Runs", [
          machine.metricStarted({ statistic: "Sum" }),
          machine.metricSucceeded({ statistic: "Sum" }),
          machine.metricFailed({ statistic: "Sum" })
        ])
      ],
      [
        graph("Waiting for the quota", [own(Metrics.CapacityWaits)]),
        graph("Lost events, stuck jobs", [
          own(Metrics.SweepFinds),
          own(Metrics.JobsStuck, "Maximum"),
          deadLetters.metricApproximateNumberOfMessagesVisible({ statistic: "Maximum" })
        ]),
        graph("Errors of functions", each((one) => functions[one].metricErrors({ label: one, statistic: "Sum" })))
      ],
      [
        graph(
          "Longest call, of 15 minutes",
          each((one) => functions[one].metricDuration({ label: one, statistic: "Maximum" })),
          { width: 24 }
        )
      ]
    ]
  })
}
