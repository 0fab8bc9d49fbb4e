import { Effect, type Scope } from "effect"
import * as http from "node:http"
import type { AddressInfo } from "node:net"

/** One call, as it arrived. */
export interface Arrived {
  readonly method: string
  readonly path: string
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

/** What becomes of a call. */
export type Script = (call: Arrived, response: http.ServerResponse) => void

/** The on-demand endpoint of Bedrock as a script plays it, over HTTP/1.1. */
export interface ScriptedRuntime {
  readonly url: string
  readonly calls: Array<Arrived>
  /** What becomes of the calls from now on. */
  script: Script
}

/** Answers JSON text, or any text. */
export const answer = (text: string, status = 200, headers: http.OutgoingHttpHeaders = {}): Script => (_, response) => {
  response.writeHead(status, { "content-type": "application/json", ...headers })
  response.end(text)
}

/** Answers an exception of the service. */
export const exception = (name: string, status: number, message = `${name}, says the script`): Script =>
  answer(JSON.stringify({ message }), status, { "x-amzn-ErrorType": name })

/** Starts the endpoint; it ends with the scope. */
export const startRuntime: Effect.Effect<ScriptedRuntime, never, Scope.Scope> = Effect.gen(function*() {
  const calls: Array<Arrived> = []
  const server = http.createServer((request, response) => {
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => parts.push(part))
    request.on("end", () => {
      const { headers, method, url } = request
      const call = { method: method ?? "", path: url ?? "", headers, body: Buffer.concat(parts).toString("utf8") }
      calls.push(call)
      runtime.script(call, response)
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () =>
      Effect.promise(() =>
        new Promise<void>((resolve) => {
          server.close(() => resolve())
          server.closeAllConnections()
        })
      )
  )
  const { port } = server.address() as AddressInfo
  const runtime: ScriptedRuntime = { url: `http://127.0.0.1:${port}`, calls, script: answer("{}") }
  return runtime
})
