/**
 * The state machine, in Amazon States Language with JSONPath: rounds of prepare, a distributed map over the jobs, and
 * finish; then, where it is asked for, the same for what did not succeed.
 *
 * Its state is `{ input, run, result }` and never a list: the jobs are read from S3, and what the map's children came
 * to is read from the store, not from their answers. Timeouts and limits are literals, which every interpreter knows.
 *
 * @internal
 */

/** What the definition names. @internal */
export interface Names {
  /** ARNs of the functions. */
  readonly functions: Readonly<Record<"prepare" | "submit" | "collect" | "finish" | "retry", string>>
  /** The AWS partition, `aws` where nothing else is said. */
  readonly partition: string
  readonly bucket: string
  /** Key prefix of what the map writes about its children. */
  readonly mapResults: string
  /** Children that run at a time. */
  readonly maxConcurrency: number
  /** Seconds until a task that waits for a job asks again. */
  readonly jobTimeoutSeconds: number
}

type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }

/** Seconds of a function's longest run. */
export const longestInvocation = 900

/** A failing child is a value, which finish reads in the ledger: this only bounds what cannot be. */
const toleratedFailures = 1_000_000

/** The function could not end in its time, and has kept what it did: it goes on at once. */
const goOn: Json = { ErrorEquals: ["OutOfTime"], IntervalSeconds: 1, BackoffRate: 1, MaxAttempts: 1000 }

/** What passes by itself; a function that is killed or runs out of time is begun again, and finds what it did. */
const passing: Json = {
  ErrorEquals: [
    "Unavailable",
    "Throttled",
    "States.Timeout",
    "Sandbox.Timedout",
    "Runtime.ExitError",
    "Lambda.Unknown",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.ClientExecutionTimeoutException"
  ],
  IntervalSeconds: 2,
  BackoffRate: 2,
  MaxDelaySeconds: 120,
  MaxAttempts: 12,
  JitterStrategy: "FULL"
}

/**
 * A full quota is no failure. At five minutes on average this is two weeks, longer than jobs stay open; a child's
 * history, 25,000 events at most, has room for it.
 */
const full: Json = {
  ErrorEquals: ["CapacityFull"],
  IntervalSeconds: 30,
  BackoffRate: 2,
  MaxDelaySeconds: 600,
  MaxAttempts: 4000,
  JitterStrategy: "FULL"
}

/** No answer in the job's own time: submit finds the job and answers what became of it. */
const overdue: Json = { ErrorEquals: ["States.Timeout"], IntervalSeconds: 1, BackoffRate: 1, MaxAttempts: 10 }

const execution: Json = {
  "name.$": "$$.Execution.Name",
  "id.$": "$$.Execution.Id",
  "startedAt.$": "$$.Execution.StartTime"
}

/** The definition as a value of JSON. @internal */
export const definition = (names: Names): Json => {
  const { bucket, functions, mapResults, maxConcurrency, jobTimeoutSeconds, partition } = names
  const invoke = (name: keyof Names["functions"], payload: Json, rest: { readonly [key: string]: Json }): Json => ({
    Type: "Task",
    Resource: `arn:${partition}:states:::lambda:invoke`,
    Parameters: { FunctionName: functions[name], Payload: payload },
    TimeoutSeconds: longestInvocation + 60,
    ...rest
  })
  const caught = { Catch: [{ ErrorEquals: ["States.ALL"], ResultPath: "$.error", Next: "Failed" }] }
  const run = {
    ResultSelector: {
      "runId.$": "$.Payload.runId",
      "prepared.$": "$.Payload.prepared",
      "round.$": "$.Payload.round",
      "records.$": "$.Payload.records",
      "jobs.$": "$.Payload.jobs",
      "attempt.$": "$.Payload.attempt",
      "format.$": "$.Payload.format",
      "list.$": "$.Payload.list",
      "deadline.$": "$.Payload.deadline"
    },
    ResultPath: "$.run"
  }
  const again: Json = {
    "runId.$": "$.run.runId",
    "attempt.$": "$.run.attempt",
    "deadline.$": "$.run.deadline",
    "input.$": "$.input"
  }

  const job: Json = {
    ProcessorConfig: { Mode: "DISTRIBUTED", ExecutionType: "STANDARD" },
    StartAt: "Submit",
    States: {
      Submit: {
        Type: "Task",
        Comment: "Sends the job, unless it is sent, and waits until somebody sees that it has ended",
        Resource: `arn:${partition}:states:::lambda:invoke.waitForTaskToken`,
        Parameters: {
          FunctionName: functions.submit,
          Payload: {
            "runId.$": "$.runId",
            "key.$": "$.key",
            "lane.$": "$.lane",
            "deadline.$": "$.deadline",
            "timeoutSeconds.$": "$.timeoutSeconds",
            "token.$": "$$.Task.Token"
          }
        },
        TimeoutSeconds: jobTimeoutSeconds,
        ResultSelector: { "status.$": "$.status" },
        ResultPath: "$.submitted",
        Retry: [goOn, full, overdue, passing],
        Catch: [{ ErrorEquals: ["States.ALL"], ResultPath: "$.error", Next: "JobFailed" }],
        Next: "Collect"
      },
      Collect: invoke(
        "collect",
        { "runId.$": "$.runId", "key.$": "$.key", "format.$": "$.format" },
        {
          Comment: "Joins the job's answers to its rows",
          ResultSelector: { "key.$": "$.Payload.key", "ok.$": "$.Payload.ok" },
          Retry: [goOn, passing],
          Catch: [{ ErrorEquals: ["States.ALL"], ResultPath: "$.error", Next: "JobFailed" }],
          End: true
        }
      ),
      JobFailed: {
        Type: "Pass",
        Comment: "The ledger knows more: finish reads it",
        Parameters: { "key.$": "$.key", ok: false, "error.$": "$.error.Error" },
        End: true
      }
    }
  }

  return {
    Comment: "Amazon Bedrock batch inference: rows in, the same rows with the model's columns out",
    StartAt: "Begin",
    States: {
      Begin: {
        Type: "Pass",
        Parameters: { "input.$": "$", run: null },
        Next: "Prepare"
      },
      Prepare: invoke("prepare", { "input.$": "$.input", execution, "run.$": "$.run" }, {
        Comment: "One round: it stops at the end of a job when time runs short",
        ...run,
        Retry: [passing],
        ...caught,
        Next: "Prepared?"
      }),
      "Prepared?": {
        Type: "Choice",
        Choices: [{ Variable: "$.run.prepared", BooleanEquals: true, Next: "Jobs" }],
        Default: "Prepare"
      },
      Jobs: {
        Type: "Map",
        Label: "Jobs",
        ItemReader: {
          Resource: `arn:${partition}:states:::s3:getObject`,
          ReaderConfig: { InputType: "JSON" },
          Parameters: { Bucket: bucket, "Key.$": "$.run.list.key" }
        },
        ItemSelector: {
          "runId.$": "$.run.runId",
          "format.$": "$.run.format",
          "deadline.$": "$.run.deadline",
          "key.$": "$$.Map.Item.Value.key",
          "lane.$": "$$.Map.Item.Value.lane",
          "timeoutSeconds.$": "$$.Map.Item.Value.timeoutSeconds"
        },
        MaxConcurrency: maxConcurrency,
        ToleratedFailureCount: toleratedFailures,
        ItemProcessor: job,
        ResultWriter: {
          Resource: `arn:${partition}:states:::s3:putObject`,
          Parameters: { Bucket: bucket, Prefix: mapResults }
        },
        ResultPath: null,
        ...caught,
        Next: "Finish"
      },
      Finish: invoke("finish", again, {
        Comment: "Counts, report and paths of the results",
        ResultSelector: { "answer.$": "$.Payload" },
        ResultPath: "$.result",
        Retry: [goOn, passing],
        ...caught,
        Next: "Again?"
      }),
      "Again?": {
        Type: "Choice",
        Choices: [{ Variable: "$.result.answer.again", BooleanEquals: true, Next: "Retry" }],
        Default: "Done"
      },
      Retry: invoke("retry", again, {
        Comment: "Prepares the next attempt, of what did not succeed",
        ...run,
        Retry: [goOn, passing],
        ...caught,
        Next: "Jobs"
      }),
      Done: { Type: "Succeed", OutputPath: "$.result.answer" },
      Failed: { Type: "Fail", ErrorPath: "$.error.Error", CausePath: "$.error.Cause" }
    }
  }
}
