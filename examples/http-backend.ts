/**
 * Batch inference behind an HTTP API, on the emulator:
 *
 *     POST /runs               {"name": "jokes", "prompt": "A joke about {topic}", "rows": [{"topic": "cats"}, ...]}
 *     GET  /runs/:id           where the run stands
 *     GET  /runs/:id/results   one JSON object a row
 *
 * The runs live in the store, not in this process: whoever posts a run again takes it up, and results outlast a restart.
 * Start it with `npm run http-backend -w examples`; it prints its address. `BedrockBatch.make({ bucket, roleArn })` moves it
 * to AWS, where jobs outlast a restart, too.
 */
import { Local } from "@bedrock-batch/emulator"
import { BatchError, BedrockBatch, Prompt, Source, Wait } from "@bedrock-batch/sdk/promise"
import { Schema } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"

const model = process.env["MODEL"] ?? "us.amazon.nova-micro-v1:0"
const directory = process.env["DIRECTORY"] ?? "output/http-backend"
const maxBodyBytes = 10_000_000

const batch = BedrockBatch.make({ layer: Local.layer({ directory }) })
const stopping = new AbortController()
const working = new Map<string, Promise<void>>()

/** What a request did wrong; anything else that is thrown is our fault. */
class HttpError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const NewRun = Schema.Struct({
  name: Schema.String.check(Schema.isPattern(/^[A-Za-z0-9][A-Za-z0-9.-]{0,28}$/)),
  prompt: Schema.NonEmptyString,
  rows: Schema.Array(Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Finite, Schema.Boolean, Schema.Null])))
})

const readNewRun = async (request: IncomingMessage): Promise<typeof NewRun.Type> => {
  const pieces: Array<Buffer> = []
  let bytes = 0
  for await (const piece of request) {
    bytes += piece.length
    if (bytes > maxBodyBytes) throw new HttpError(413, `the body is larger than ${maxBodyBytes} bytes`)
    pieces.push(piece)
  }
  try {
    return Schema.decodeUnknownSync(Schema.fromJsonString(NewRun))(Buffer.concat(pieces).toString("utf8"))
  } catch (error) {
    throw new HttpError(400, error instanceof Error ? error.message : "the body is no run")
  }
}

const promptOf = (template: string): Prompt.Any => {
  try {
    return Prompt.make(template)
  } catch (error) {
    throw error instanceof Prompt.PromptSyntaxError ? new HttpError(400, error.message) : error
  }
}

/** Sends the run's jobs and collects their results; runs on after the request was answered. */
const work = async (id: string): Promise<void> => {
  try {
    const run = await batch.load(id, { signal: stopping.signal })
    const wait = Wait.polling({ from: "200 millis", to: "5 seconds" })
    const jobs = await batch.awaitAll(run.jobs, { wait, signal: stopping.signal })
    await batch.collect(run, jobs, { signal: stopping.signal })
  } catch (error) {
    if (!stopping.signal.aborted) console.error(`run ${id}: ${error instanceof Error ? error.message : "failed"}`)
  }
}

const start = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const { name, prompt, rows } = await readNewRun(request)
  const run = await batch.prepare({ name, source: Source.rows(rows), model, prompt: promptOf(prompt) })
  if (!working.has(run.id)) working.set(run.id, work(run.id).finally(() => working.delete(run.id)))
  response.setHeader("location", `/runs/${run.id}`)
  send(response, 202, { id: run.id, records: run.manifest.records, jobs: run.jobs.length })
}

const sendResults = async (id: string, response: ServerResponse): Promise<void> => {
  const { rows } = await batch.finish(await batch.load(id))
  response.writeHead(200, { "content-type": "application/jsonl" })
  const lines = async function*() {
    for await (const row of rows) yield `${JSON.stringify(row)}\n`
  }
  await pipeline(Readable.from(lines()), response)
}

const send = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(body)}\n`)
}

const statusOf = (error: unknown): number => {
  if (error instanceof HttpError) return error.status
  if (!(error instanceof BatchError.BatchError)) return 500
  switch (error.reason._tag) {
    case "InvalidOption":
    case "InvalidColumns":
    case "InvalidSource":
      return 400
    case "RunConflict":
      return error.reason.problem === "not-found" ? 404 : 409
    default:
      return error.isRetryable ? 503 : 500
  }
}

const handle = (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const { pathname } = new URL(request.url ?? "/", "http://localhost")
  if (pathname === "/runs" && request.method === "POST") return start(request, response)
  const [, id, results] = /^\/runs\/([A-Za-z0-9][A-Za-z0-9.-]{0,39})(\/results)?$/.exec(pathname) ?? []
  if (id === undefined || request.method !== "GET") throw new HttpError(404, "there is no such resource")
  return results === undefined
    ? batch.status(id).then((status) => send(response, 200, status))
    : sendResults(id, response)
}

const server = createServer(async (request, response) => {
  try {
    await handle(request, response)
  } catch (error) {
    // A stream that broke off in the middle cannot be answered any more.
    if (response.headersSent) return response.destroy()
    const status = statusOf(error)
    if (status === 500) console.error(error)
    const message = status === 500 || !(error instanceof Error) ? "internal error" : error.message
    send(response, status, { error: message })
  }
})

server.listen(Number(process.env["PORT"] ?? 0), "127.0.0.1", () => {
  console.log(`listening at http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})

const stop = async (): Promise<void> => {
  stopping.abort()
  server.close()
  server.closeIdleConnections()
  await Promise.all(working.values())
  await batch[Symbol.asyncDispose]()
}
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, stop)
