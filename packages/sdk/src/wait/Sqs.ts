/**
 * Waits by state-change events that EventBridge puts into a queue of SQS.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { BatchError, InvalidOption } from "../BatchError.ts"
import type { Credentials } from "../bedrock/BedrockApi.ts"
import { BatchJobs } from "../bedrock/BatchJobs.ts"
import { failureOf } from "../internal/AwsFailure.ts"
import { type Ear, listen } from "../internal/Listening.ts"
import { millisOf } from "../internal/Millis.ts"
import { makeRecent } from "../internal/Recent.ts"
import type { SqsMessage } from "../internal/SqsQueue.ts"
import { type EndedJob, isTerminal } from "../Job.ts"
import { type EventBridgeOptions, parseEvent } from "./EventBridge.ts"
import type { WaitStrategy } from "./Wait.ts"

/**
 * Options of `sqs`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface SqsOptions extends EventBridgeOptions {
  /** For example `https://sqs.us-east-1.amazonaws.com/123456789012/batch-events`. */
  readonly queueUrl: string
  /** Region of the queue. Default: that of its URL, or of the jobs where the URL names none. */
  readonly region?: string | undefined
  /** URL of another endpoint than the queue's own. */
  readonly endpoint?: string | undefined
  /** Default: the SDK's chain (environment, profile, role). */
  readonly credentials?: Credentials | undefined
  /**
   * How long a message of one of our jobs is kept from others: from when it is received until the job's end is stored.
   * If that takes longer, it comes again, which does no harm. 1 second to 12 hours; default 2 minutes.
   */
  readonly visibilityTimeout?: Duration.Input | undefined
  /**
   * A message of a job that nobody waits for is deleted when it was received so often; default 10, which takes about
   * five minutes.
   */
  readonly maxReceives?: number | undefined
}

const defaultVisibility = 2 * 60_000
const defaultReceives = 10

/** Seconds until a message of an unknown job may be received again: doubled each time. */
const forOthers = { first: 1, most: 60 }

/** The same for a message that is no event. */
const putAside = { first: 60, most: 6 * 3600 }

const later = ({ first, most }: typeof forOthers, receives: number) =>
  Math.min(most, first * 2 ** Math.min(receives - 1, 16))

/** Of so many ends it is remembered that they are stored, for messages of theirs that come later. */
const rememberedEnds = 1_000

/** The longest time, in milliseconds, that deleting a message holds up the end of a job. */
const deletionLimit = 5_000

const invalid = (path: string, message: string) =>
  new BatchError({ module: "Wait", method: "sqs", reason: new InvalidOption({ path, message }) })

const settingsOf = Effect.fnUntraced(function*(options: SqsOptions) {
  const { maxReceives = defaultReceives, queueUrl, visibilityTimeout = defaultVisibility } = options
  if (typeof queueUrl !== "string" || !URL.canParse(queueUrl)) {
    return yield* invalid(
      "wait.queueUrl",
      `queueUrl is ${JSON.stringify(queueUrl)}, and must be the URL of a queue, ` +
        `for example "https://sqs.us-east-1.amazonaws.com/123456789012/batch-events"`
    )
  }
  const visibilitySeconds = Math.round(millisOf(visibilityTimeout) / 1000)
  if (!(visibilitySeconds >= 1 && visibilitySeconds <= 12 * 3600)) {
    return yield* invalid(
      "wait.visibilityTimeout",
      `visibilityTimeout is ${visibilitySeconds} s, and must be 1 second to 12 hours`
    )
  }
  if (!(Number.isSafeInteger(maxReceives) && maxReceives >= 1)) {
    return yield* invalid("wait.maxReceives", `maxReceives is ${maxReceives}, and must be an integer of at least 1`)
  }
  const { region } = yield* BatchJobs
  return {
    queueUrl,
    region: options.region ?? /^sqs\.([a-z0-9-]+)\.amazonaws\.com/.exec(new URL(queueUrl).hostname)?.[1] ?? region,
    endpoint: options.endpoint,
    credentials: options.credentials,
    visibilitySeconds,
    maxReceives
  }
})

/**
 * Waits by a queue of SQS into which an EventBridge rule puts the events "Batch Inference Job State Change", by itself
 * or through SNS (raw or not); otherwise as `eventBridge`. The queue is read by long polls, ten messages a time.
 *
 * **Details**
 *
 * - A message of a job that is waited for is deleted once the job's end is stored in the ledger. If the process dies
 *   before, it comes again to whoever reads the queue next.
 * - A message of another job stays: it may be of another process on the same queue, and can be received again after a
 *   second, then two, up to a minute. After `maxReceives` it is deleted: such a process has learnt of the end
 *   otherwise, or will when it starts. A queue of its own for each process is better, but none is needed.
 * - A message that is no such event is never deleted, in case the queue is the wrong one: it is put aside for a minute,
 *   then for two, up to six hours, until the queue's retention or its dead-letter queue takes it. The first is logged.
 *
 * A queue that cannot be read is logged as a warning and tried again, and jobs are meanwhile listed as by `polling`.
 * With a dead-letter queue, `maxReceiveCount` should be above `maxReceives`.
 *
 * `@aws-sdk/client-sqs` is loaded when the wait begins. Needs `sqs:ReceiveMessage`, `sqs:DeleteMessage` and
 * `sqs:ChangeMessageVisibility` on the queue, beside what `eventBridge` needs. Fails with `InvalidOption` for an option
 * out of its range, and as `polling` does.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { awaitAll, type Run, submit, Wait } from "@bedrock-batch/sdk"
 *
 * declare const run: Run.Run<{ readonly topic: string }>
 *
 * const queueUrl = "https://sqs.us-east-1.amazonaws.com/123456789012/batch-events"
 * const jobs = awaitAll(run.jobs.map(submit), { wait: Wait.sqs({ queueUrl }) })
 * ```
 */
export const sqs = (options: SqsOptions): WaitStrategy<EndedJob, BatchJobs> => ({
  "~@bedrock-batch/sdk/WaitStrategy": "sqs",
  open: Effect.gen(function*() {
    const settings = yield* settingsOf(options)
    const queue = yield* Effect.acquireRelease(
      Effect.promise(async () => (await import("../internal/SqsQueue.ts")).make(settings)),
      (queue) => Effect.sync(() => queue.destroy())
    )
    /** The newest receipt of each message, by ARN and message id, of ends that are not stored yet. */
    const held = new Map<string, Map<string, string>>()
    const stored = makeRecent(rememberedEnds)
    let warned = false

    const hold = (arn: string, { id, receipt }: SqsMessage) => {
      const receipts = held.get(arn) ?? new Map<string, string>()
      held.set(arn, receipts.set(id, receipt))
    }

    /** What becomes of a message: it is kept until its job's end is stored, deleted, or seen again later. */
    const sort = Effect.fnUntraced(function*(message: SqsMessage, hear: Ear["hear"]) {
      const { body, receives } = message
      const event = parseEvent(body)
      if (event === null) {
        if (!warned) {
          warned = true
          yield* Effect.logWarning(
            `the queue ${settings.queueUrl} holds messages that are no events of batch jobs; they are left there`
          )
        }
        return later(putAside, receives)
      }
      const { arn, status } = event
      if (stored.has(arn)) return "delete"
      if (held.has(arn) || (yield* hear(arn, status))) {
        if (!isTerminal(status)) return "delete"
        hold(arn, message)
        return "keep"
      }
      return receives >= settings.maxReceives ? "delete" : later(forOthers, receives)
    })

    const listenOnce = Effect.fnUntraced(function*({ hear, works }: Ear) {
      for (;;) {
        const messages = yield* Effect.tryPromise({ try: queue.receive, catch: failureOf })
        yield* works
        const deleted: Array<string> = []
        const released: Array<{ readonly receipt: string; readonly seconds: number }> = []
        for (const message of messages) {
          const fate = yield* sort(message, hear)
          if (fate === "delete") deleted.push(message.receipt)
          else if (fate !== "keep") released.push({ receipt: message.receipt, seconds: fate })
        }
        yield* Effect.tryPromise({
          try: async (abortSignal) => {
            await queue.remove(deleted, abortSignal)
            await queue.release(released, abortSignal)
          },
          catch: failureOf
        })
      }
    })

    const jobs = yield* listen("sqs", options.backstop, listenOnce)
    return {
      before: () => Effect.void,
      wait: jobs.wait,
      recorded: ({ arn }: EndedJob) =>
        Effect.suspend(() => {
          const receipts = [...held.get(arn)?.values() ?? []]
          held.delete(arn)
          stored.add(arn)
          if (receipts.length === 0) return Effect.void
          // What is not deleted comes again, and is deleted then.
          return Effect.tryPromise((abortSignal) => queue.remove(receipts, abortSignal)).pipe(
            Effect.timeoutOption(deletionLimit),
            Effect.ignore
          )
        })
    }
  })
})
