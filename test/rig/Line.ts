/**
 * The line between one process and the two servers. It can be cut at any write: from then on nothing that the process does
 * reaches anybody, which is what a death looks like from outside.
 */
import { Effect, type Scope } from "effect"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import type { Stack } from "./Stack.ts"

/** When the line is cut: around the write with this number, from 0, before it arrives or after it was done. */
export interface Cut {
  readonly write: number
  readonly when: "before" | "after"
}

/** A line. */
export interface Line {
  /** The stack's options, with the line's endpoints. */
  readonly options: Stack["options"]
  /** Completes when the line is cut. */
  readonly cut: Effect.Effect<void>
  /** What was written over it so far: `PUT /bucket/key`. */
  readonly writes: ReadonlyArray<string>
}

/** Makes a line that is cut as said, or never. */
export const make = Effect.fnUntraced(function*(stack: Stack, cut: Cut | null): Effect.fn.Return<Line, never, Scope.Scope> {
  const writes: Array<string> = []
  let dead = false
  let died = () => {}
  const death = new Promise<void>((resolve) => died = resolve)
  const sever = (socket: http.IncomingMessage["socket"]) => {
    socket.resetAndDestroy()
    died()
  }

  const relay = (target: string) => {
    const { hostname: host, port } = new URL(target)
    return http.createServer((request, response) => {
      const { headers, method = "GET", socket, url = "/" } = request
      if (dead) return void socket.resetAndDestroy()
      let after = false
      if (/PUT|POST|DELETE/.test(method)) {
        const number = writes.push(`${method} ${url.split("?")[0]}`) - 1
        if (number === cut?.write) {
          dead = true
          if (cut.when === "before") return sever(socket)
          after = true
        }
      }
      const onward = http.request({ host, port, method, path: url, headers, agent: false }, (answer) => {
        if (dead) {
          answer.resume().on("end", () => sever(socket))
          return
        }
        response.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(response)
      })
      onward.on("error", () => after ? sever(socket) : socket.destroy())
      request.pipe(onward)
    })
  }
  const listen = (target: string) =>
    Effect.acquireRelease(
      Effect.promise(async () => {
        const server = relay(target)
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
        return server
      }),
      (server) =>
        Effect.promise(() =>
          new Promise<void>((resolve) => {
            server.close(() => resolve())
            server.closeAllConnections()
          })
        )
    ).pipe(Effect.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`))

  const s3 = yield* listen(stack.s3.endpoint)
  const bedrock = yield* listen(stack.url)
  return {
    options: { ...stack.options, endpoints: { s3, bedrock } },
    cut: Effect.promise(() => death),
    writes
  }
})
