/**
 * A second interpreter of the Amazon States Language: moto's, which calls Lambda and S3 at an address where this module
 * answers for both.
 */
import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  DescribeMapRunCommand,
  GetExecutionHistoryCommand,
  type HistoryEvent,
  ListMapRunsCommand,
  SFNClient,
  StartExecutionCommand
} from "@aws-sdk/client-sfn"
import { spawn, spawnSync } from "node:child_process"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { History } from "./History.ts"
import type { Definition, Ended } from "./StateMachine.ts"
import { StateError } from "./StateError.ts"

const program = join(import.meta.dirname, "moto_states.py")

/** Whether moto is on this machine. */
export const hasMoto = (): boolean => {
  const program = "import moto.stepfunctions.models, moto.server, flask"
  return spawnSync("python3", ["-c", program], { stdio: "ignore" }).status === 0
}

/** What moto's machines call. */
export interface Called {
  /** Calls a function by its ARN or name, or throws a `StateError`. */
  readonly task: (resource: string, parameters: any) => Promise<any>
  readonly objects: {
    readonly get: (bucket: string, key: string) => Promise<Uint8Array>
    readonly put: (bucket: string, key: string, content: Uint8Array) => Promise<void>
  }
}

/** An execution that is over. */
export interface Executed extends Ended {
  /** Without the steps of a Map's children, which moto does not tell. */
  readonly history: History
}

/** A running moto. */
export interface Moto {
  /** Where Step Functions answers. */
  readonly endpoint: string
  /** Says what its machines call; before that they call in vain. */
  readonly connect: (called: Called) => void
  /** Runs a definition to the end. */
  readonly execute: (definition: Definition, name: string, input: unknown) => Promise<Executed>
  readonly close: () => Promise<void>
}

const bytesOf = async (message: http.IncomingMessage): Promise<Buffer> => {
  const parts: Array<Buffer> = []
  for await (const part of message) parts.push(part)
  return Buffer.concat(parts)
}

const sleep = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

const freePort = async (): Promise<number> => {
  const server = http.createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}

const answerLambda = async (
  called: Called,
  url: string,
  body: Buffer,
  response: http.ServerResponse
): Promise<void> => {
  const name = decodeURIComponent(/^\/2015-03-31\/functions\/([^/]+)\/invocations/.exec(url)?.[1] ?? "")
  try {
    const parameters = { FunctionName: name, Payload: JSON.parse(body.toString("utf8") || "{}") }
    const { Payload } = await called.task("arn:aws:states:::lambda:invoke", parameters)
    response.writeHead(200, { "content-type": "application/json", "x-amz-executed-version": "$LATEST" })
    response.end(JSON.stringify(Payload ?? null))
  } catch (error) {
    const isTold = error instanceof StateError && error.message.startsWith("{")
    const told = isTold ? error.message : JSON.stringify({ errorType: "Lambda.Unknown", errorMessage: String(error) })
    response.writeHead(200, { "content-type": "application/json", "x-amz-function-error": "Unhandled" })
    response.end(told)
  }
}

const answerS3 = async (
  { objects }: Called,
  request: http.IncomingMessage,
  body: Buffer,
  response: http.ServerResponse
): Promise<void> => {
  const { pathname } = new URL(request.url ?? "/", "http://localhost")
  const [, bucket = "", ...rest] = pathname.split("/").map(decodeURIComponent)
  const key = rest.join("/")
  try {
    if (request.method === "PUT") {
      await objects.put(bucket, key, body)
      response.writeHead(200, { etag: "\"0\"" }).end()
    } else {
      const bytes = await objects.get(bucket, key)
      response.writeHead(200, { "content-length": String(bytes.length), etag: "\"0\"" }).end(bytes)
    }
  } catch {
    response.writeHead(404, { "content-type": "application/xml" })
    response.end(`<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>`)
  }
}

/** Steps as the rig's own interpreter records them. */
const stepsOf = (event: HistoryEvent) => {
  const type = event.type ?? ""
  const at = event.timestamp?.getTime() ?? 0
  const kind = type.replace(/State(Entered|Exited)$/, "")
  const size = (text: string | undefined) => ({ bytes: Buffer.byteLength(text ?? "") })
  if (type.endsWith("StateEntered")) {
    const { input, name = "" } = event.stateEnteredEventDetails ?? {}
    return [{ at, child: null, state: name, type: kind, event: "entered" as const, ...size(input) }]
  }
  if (type.endsWith("StateExited")) {
    const { name = "", output } = event.stateExitedEventDetails ?? {}
    return [{ at, child: null, state: name, type: kind, event: "exited" as const, ...size(output) }]
  }
  return []
}

/** Starts moto. */
export const startMoto = async (): Promise<Moto> => {
  const target = await freePort()
  let called: Called | null = null
  const relay = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const { headers, method, url = "/" } = request
    const body = await bytesOf(request)
    if (headers["x-amz-target"] === undefined && called !== null) {
      return url.startsWith("/2015-03-31/functions/")
        ? answerLambda(called, url, body, response)
        : answerS3(called, request, body, response)
    }
    const onward = http.request({ host: "127.0.0.1", port: target, method, path: url, headers })
    onward.end(body)
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      onward.once("response", resolve).once("error", reject)
    })
    response.writeHead(answer.statusCode ?? 500, answer.headers)
    response.end(await bytesOf(answer))
  }
  const answer = (request: http.IncomingMessage, response: http.ServerResponse) =>
    void relay(request, response).catch(() => response.destroy())
  // moto calls "localhost", which may be either.
  const servers = [http.createServer(answer), http.createServer(answer)]
  await new Promise<void>((resolve) => servers[0]!.listen(0, "127.0.0.1", resolve))
  const { port } = servers[0]!.address() as AddressInfo
  await new Promise<void>((resolve) => servers[1]!.once("error", () => resolve()).listen(port, "::1", resolve))
  const endpoint = `http://127.0.0.1:${port}`
  const credentials = { AWS_ACCESS_KEY_ID: "TESTKEY", AWS_SECRET_ACCESS_KEY: "TESTSECRET" }
  const child = spawn("python3", [program, "-H", "127.0.0.1", "-p", String(target)], {
    stdio: "ignore",
    env: { ...process.env, ...credentials, MOTO_PORT: String(port), AWS_DEFAULT_REGION: "us-east-1" }
  })
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  const client = new SFNClient({
    endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "TESTKEY", secretAccessKey: "TESTSECRET" }
  })
  const isUp = () => fetch(`http://127.0.0.1:${target}/moto-api/`).then(({ ok }) => ok, () => false)
  for (let i = 0; !(await isUp()); i++) {
    if (child.exitCode !== null || i > 300) throw new Error("moto does not start")
    await sleep(100)
  }

  const historyOf = async (executionArn: string): Promise<History> => {
    const history = new History()
    let nextToken: string | undefined
    do {
      const page = await client.send(new GetExecutionHistoryCommand({ executionArn, nextToken, maxResults: 1000 }))
      for (const event of page.events ?? []) for (const step of stepsOf(event)) history.add(step)
      nextToken = page.nextToken
    } while (nextToken !== undefined)
    const { mapRuns = [] } = await client.send(new ListMapRunsCommand({ executionArn }))
    for (const { mapRunArn } of mapRuns) {
      const { itemCounts } = await client.send(new DescribeMapRunCommand({ mapRunArn }))
      const { failed = 0, succeeded = 0, total = 0 } = itemCounts ?? {}
      history.mapRuns.push({ map: "", items: total, succeeded, failed, mostAtOnce: 0 })
    }
    return history
  }
  return {
    endpoint,
    connect: (given) => void (called = given),
    execute: async (definition, name, input) => {
      const { stateMachineArn } = await client.send(
        new CreateStateMachineCommand({
          name: `machine-${name}`,
          definition: JSON.stringify(definition),
          roleArn: "arn:aws:iam::123456789012:role/local-state-machine"
        })
      )
      const { executionArn } = await client.send(
        new StartExecutionCommand({ stateMachineArn, name, input: JSON.stringify(input) })
      )
      for (;;) {
        const { cause, error, output, status } = await client.send(new DescribeExecutionCommand({ executionArn }))
        if (status === "RUNNING") {
          await sleep(200)
          continue
        }
        return {
          status: status === "SUCCEEDED" || status === "ABORTED" ? status : "FAILED",
          output: output === undefined ? null : JSON.parse(output),
          error: error ?? null,
          cause: cause ?? null,
          history: await historyOf(executionArn!)
        }
      }
    },
    close: async () => {
      client.destroy()
      child.kill("SIGKILL")
      await gone
      for (const server of servers) {
        server.close()
        server.closeAllConnections()
      }
    }
  }
}
