/**
 * The client for on-demand calls, with the JSON of the wire as it is. The SDK signs, sends and reads exceptions; its
 * typed members would encode texts in base64 once more, and drop what they do not know.
 *
 * @internal
 */
import { BedrockRuntimeClient, ConverseCommand, InvokeModelCommand } from "@aws-sdk/client-bedrock-runtime"
import { NodeHttpHandler } from "@smithy/node-http-handler"
import type { Credentials } from "../bedrock/BedrockApi.ts"
import type { OnDemandRequest } from "../bedrock/OnDemand.ts"
import { credentialsOf } from "./Credentials.ts"

/**
 * Options of `make`.
 *
 * @internal
 */
export interface RuntimeClientOptions {
  readonly region: string | undefined
  readonly endpoint: string | undefined
  readonly credentials: Credentials | undefined
  /** The most connections at the same time. */
  readonly connections: number
  /** In milliseconds. */
  readonly socketTimeout: number
}

/**
 * A client.
 *
 * @internal
 */
export interface RuntimeClient {
  readonly region: () => Promise<string>
  /** The text of the answer; null where one of status 200 broke off or is not UTF-8. Rejects as the SDK does. */
  readonly send: (request: OnDemandRequest, abortSignal: AbortSignal) => Promise<string | null>
  readonly destroy: () => void
}

const connectionTimeout = 5_000
const contentType = "application/json"

interface Message {
  body?: unknown
  headers: { [name: string]: string }
}

const isMessage = (value: unknown): value is Message =>
  typeof value === "object" && value !== null && "headers" in value && typeof value.headers === "object"

/** Reads a body to its end. */
const textOf = async (body: unknown): Promise<string | null> => {
  if (typeof body !== "object" || body === null || !(Symbol.asyncIterator in body)) return null
  const decoder = new TextDecoder("utf-8", { fatal: true })
  let text = ""
  try {
    for await (const part of body as AsyncIterable<Uint8Array>) text += decoder.decode(part, { stream: true })
    return text + decoder.decode()
  } catch {
    return null
  }
}

/** What one call sends, and the text that it got. */
interface Call {
  readonly bytes: Uint8Array
  text: string | null
}

/**
 * Creates a client; it makes one attempt a call.
 *
 * @internal
 */
export const make = (options: RuntimeClientOptions): RuntimeClient => {
  const agent = { keepAlive: true, maxSockets: options.connections }
  const client = new BedrockRuntimeClient({
    maxAttempts: 1,
    // The client's own choice is HTTP/2, which local servers and proxies do not speak without encryption.
    requestHandler: new NodeHttpHandler({
      connectionTimeout,
      socketTimeout: options.socketTimeout,
      httpAgent: agent,
      httpsAgent: agent
    }),
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(options.credentials === undefined ? {} : { credentials: credentialsOf(options.credentials) })
  })
  const calls = new WeakMap<object, Call>()
  client.middlewareStack.add(
    (next) => (args) => {
      const bytes = calls.get(args.input)?.bytes
      if (bytes === undefined || !isMessage(args.request)) throw new Error("the SDK hands on another request")
      args.request.body = bytes
      args.request.headers["content-length"] = String(bytes.byteLength)
      return next(args)
    },
    // Before the signature is made.
    { step: "build", name: "bodyAsItIs", priority: "low" }
  )
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      const { response } = result
      const call = calls.get(args.input)
      if (call !== undefined && isMessage(response) && "statusCode" in response && response.statusCode === 200) {
        call.text = await textOf(response.body)
        response.body = new TextEncoder().encode("{}")
      }
      return result
    },
    // Next to the wire: the SDK then reads an answer that is empty.
    { step: "deserialize", name: "answerAsItIs", priority: "low" }
  )
  return {
    region: () => client.config.region(),
    destroy: () => client.destroy(),
    send: async ({ body, invocationType, model, text = JSON.stringify(body) }, abortSignal) => {
      const call: Call = { bytes: new TextEncoder().encode(text), text: null }
      if (invocationType === "Converse") {
        const command = new ConverseCommand({ modelId: model, messages: undefined })
        calls.set(command.input, call)
        await client.send(command, { abortSignal })
      } else {
        const command = new InvokeModelCommand({ modelId: model, contentType, accept: contentType })
        calls.set(command.input, call)
        await client.send(command, { abortSignal })
      }
      return call.text
    }
  }
}
