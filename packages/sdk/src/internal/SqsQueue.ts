/**
 * A queue of SQS. This module loads the AWS client.
 *
 * @internal
 */
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  ReceiveMessageCommand,
  SQSClient
} from "@aws-sdk/client-sqs"
import type { Credentials } from "../bedrock/BedrockApi.ts"
import { credentialsOf } from "./Credentials.ts"

/** @internal */
export interface SqsQueueOptions {
  readonly queueUrl: string
  readonly region: string
  readonly endpoint: string | undefined
  readonly credentials: Credentials | undefined
  /** For so many seconds nobody else is given a message that was received. */
  readonly visibilitySeconds: number
}

/** A message that was received. @internal */
export interface SqsMessage {
  readonly id: string
  readonly receipt: string
  readonly body: string
  /** How often it was received, this time included. */
  readonly receives: number
}

/** @internal */
export interface SqsQueue {
  /** Gives up to ten messages; waits up to 20 s for the first. */
  readonly receive: (abortSignal: AbortSignal) => Promise<ReadonlyArray<SqsMessage>>
  readonly remove: (receipts: ReadonlyArray<string>, abortSignal: AbortSignal) => Promise<void>
  /** Lets messages be received again after some seconds. */
  readonly release: (
    messages: ReadonlyArray<{ readonly receipt: string; readonly seconds: number }>,
    abortSignal: AbortSignal
  ) => Promise<void>
  readonly destroy: () => void
}

/** SQS takes no more in one call. */
const atOnce = 10

const longPollSeconds = 20

/** Calls for ten at a time, each with ids of its own. */
const inTens = async <A>(
  all: ReadonlyArray<A>,
  call: (entries: Array<readonly [id: string, one: A]>) => Promise<unknown>
): Promise<void> => {
  for (let at = 0; at < all.length; at += atOnce) {
    await call(all.slice(at, at + atOnce).map((one, index) => [String(index), one] as const))
  }
}

/** @internal */
export const make = (options: SqsQueueOptions): SqsQueue => {
  const client = new SQSClient({
    region: options.region,
    requestHandler: { connectionTimeout: 5_000, socketTimeout: (longPollSeconds + 20) * 1000 },
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(options.credentials === undefined ? {} : { credentials: credentialsOf(options.credentials) })
  })
  const QueueUrl = options.queueUrl
  return {
    receive: async (abortSignal) => {
      const { Messages } = await client.send(
        new ReceiveMessageCommand({
          QueueUrl,
          MaxNumberOfMessages: atOnce,
          WaitTimeSeconds: longPollSeconds,
          VisibilityTimeout: options.visibilitySeconds,
          MessageSystemAttributeNames: ["ApproximateReceiveCount"]
        }),
        { abortSignal }
      )
      return (Messages ?? []).map(({ Attributes, Body, MessageId, ReceiptHandle }) => ({
        id: MessageId ?? "",
        receipt: ReceiptHandle ?? "",
        body: Body ?? "",
        receives: Number(Attributes?.ApproximateReceiveCount ?? 1)
      }))
    },
    remove: (receipts, abortSignal) =>
      inTens(receipts, (entries) =>
        client.send(
          new DeleteMessageBatchCommand({
            QueueUrl,
            Entries: entries.map(([Id, ReceiptHandle]) => ({ Id, ReceiptHandle }))
          }),
          { abortSignal }
        )),
    release: (messages, abortSignal) =>
      inTens(messages, (entries) =>
        client.send(
          new ChangeMessageVisibilityBatchCommand({
            QueueUrl,
            Entries: entries.map(([Id, { receipt, seconds }]) => ({
              Id,
              ReceiptHandle: receipt,
              VisibilityTimeout: seconds
            }))
          }),
          { abortSignal }
        )),
    destroy: () => client.destroy()
  }
}
