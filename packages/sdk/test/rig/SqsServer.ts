/**
 * A local SQS for tests: fauxqs, in this process and on a free port.
 */
import { startFauxqs } from "fauxqs"

/** A queue of the server. */
export interface TestQueue {
  readonly url: string
  readonly send: (body: string) => void
  /** How many messages there are: that can be received, and that somebody has received. */
  readonly counts: () => { readonly ready: number; readonly inFlight: number }
  /** The bodies of all messages. */
  readonly bodies: () => ReadonlyArray<string>
}

/** A running server. */
export interface SqsServer {
  readonly endpoint: string
  readonly region: string
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  readonly queue: (name: string) => TestQueue
  /** Publishes to a topic that delivers to the queue. */
  readonly topic: (name: string, queue: string) => (body: string) => void
  readonly close: () => Promise<void>
}

const region = "us-east-1"

/** Starts the server. */
export const startSqsServer = async (): Promise<SqsServer> => {
  const server = await startFauxqs({ port: 0, logger: false })
  const messagesOf = (name: string) => {
    const queue = server.inspectQueue(name)
    if (queue === undefined) throw new Error(`there is no queue ${name}`)
    return queue.messages
  }
  return {
    endpoint: `http://127.0.0.1:${server.port}`,
    region,
    credentials: { accessKeyId: "TESTKEY", secretAccessKey: "TESTSECRET" },
    queue: (name) => {
      const { queueUrl } = server.createQueue(name, { region })
      return {
        url: queueUrl,
        send: (body) => void server.sendMessage(name, body),
        counts: () => {
          const { delayed, inflight, ready } = messagesOf(name)
          return { ready: ready.length + delayed.length, inFlight: inflight.length }
        },
        bodies: () => {
          const { delayed, inflight, ready } = messagesOf(name)
          return [...ready, ...delayed, ...inflight.map(({ message }) => message)].map(({ body }) => body)
        }
      }
    },
    topic: (name, queue) => {
      server.createTopic(name, { region })
      server.subscribe({ topic: name, queue, region })
      return (body) => void server.publish(name, body)
    },
    close: () => server.stop()
  }
}
