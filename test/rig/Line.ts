/**
 * The line between one process and the servers. It can be cut at any write: from then on nothing that the process does
 * reaches anybody, which is what a death looks like from outside. Or one call over it goes wrong.
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

/**
 * What goes wrong with a call. It is refused unread (`throttled`, `broken`, `conflicting`), does not arrive (`lost`), is
 * never answered (`hanging`) or is done without an answer (`unanswered`), or its answer breaks off (`cut off`). A write
 * is done twice, so that the second one finds the first (`repeated`), or comes after that of somebody else
 * (`forestalled`).
 */
export type Kind =
  | "throttled"
  | "broken"
  | "conflicting"
  | "lost"
  | "hanging"
  | "unanswered"
  | "cut off"
  | "repeated"
  | "forestalled"

/** Which call goes wrong, and how. */
export interface Fault {
  readonly kind: Kind
  /** The call's name. */
  readonly call: string
  /** 1 is the first call of that name. */
  readonly nth: number
  /** What somebody else does before, where the call is `forestalled`. */
  readonly before?: (url: URL, body: string) => Promise<void>
}

/** A call that was made. */
export interface Call {
  readonly name: string
  readonly server: "s3" | "bedrock"
  readonly method: string
  /** Whether it is a write that must be the first. */
  readonly conditional: boolean
  /** Bytes of its answer; 0 where there was none. */
  answered: number
}

/** A line. */
export interface Line {
  /** Where the process finds the servers. */
  readonly endpoints: { readonly s3: string; readonly bedrock: string }
  /** Completes when the line is cut. */
  readonly cut: Effect.Effect<void>
  /** What was written over it so far: `PUT /bucket/key`. */
  readonly writes: ReadonlyArray<string>
  /** The calls over it so far, in order. */
  readonly calls: ReadonlyArray<Call>
  /** Whether the fault has struck. */
  readonly struck: () => boolean
}

/** Options of `make`. */
export interface Options {
  /** Where the servers are. */
  readonly endpoints: { readonly s3: string; readonly bedrock: string }
  readonly cut?: Cut | null
  readonly fault?: Fault | null
  /** The name of a call by its target; default the target. */
  readonly nameOf?: (server: "s3" | "bedrock", method: string, url: URL) => string
}

const bytesOf = async (message: http.IncomingMessage): Promise<Buffer> => {
  const parts: Array<Buffer> = []
  for await (const part of message) parts.push(part)
  return Buffer.concat(parts)
}

const refusals = {
  s3: {
    throttled: [503, "SlowDown"],
    broken: [500, "InternalError"],
    conflicting: [409, "ConditionalRequestConflict"]
  },
  bedrock: {
    throttled: [429, "ThrottlingException"],
    broken: [500, "InternalServerException"],
    conflicting: [400, "ConflictException"]
  }
} as const

/** Refuses a call in the words of the server that it was meant for. */
const refuse = (
  server: "s3" | "bedrock",
  kind: keyof (typeof refusals)["s3"],
  method: string,
  response: http.ServerResponse
) => {
  const [status, code] = refusals[server][kind]
  const message = "Please try again."
  if (server === "bedrock") {
    response.writeHead(status, { "content-type": "application/json", "x-amzn-ErrorType": code })
    return void response.end(JSON.stringify({ message }))
  }
  response.writeHead(status, { "content-type": "application/xml" })
  const document = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`
  response.end(method === "HEAD" ? undefined : document)
}

/** Makes a line. */
export const make = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<Line, never, Scope.Scope> {
  const { cut = null, fault = null, nameOf = (_, method, url) => `${method} ${url.pathname}${url.search}` } = options
  const writes: Array<string> = []
  const calls: Array<Call> = []
  let named = 0
  let dead = false
  let died = () => {}
  const death = new Promise<void>((resolve) => died = resolve)
  const sever = (response: http.ServerResponse) => {
    response.socket?.resetAndDestroy()
    if (dead) died()
  }

  // One for each line: what it leaves open ends with it.
  const agent = new http.Agent({ keepAlive: true })

  const ask = async (target: URL, request: http.IncomingMessage, body: Buffer, rest: http.IncomingHttpHeaders = {}) => {
    const { headers, method, url } = request
    const onward = http.request(new URL(url ?? "/", target), { method, headers: { ...headers, ...rest }, agent })
    onward.end(body)
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      onward.once("response", resolve).once("error", reject)
    })
    return { status: answer.statusCode ?? 500, headers: answer.headers, body: await bytesOf(answer) }
  }

  const relay = async (
    server: "s3" | "bedrock",
    target: URL,
    request: http.IncomingMessage,
    response: http.ServerResponse
  ): Promise<void> => {
    const { headers, method = "GET", url = "/" } = request
    const body = await bytesOf(request)
    if (dead) return sever(response)
    let after = false
    if (/PUT|POST|DELETE/.test(method)) {
      const number = writes.push(`${method} ${url.split("?")[0]}`) - 1
      if (number === cut?.write) {
        dead = true
        if (cut.when === "before") return sever(response)
        after = true
      }
    }
    const call: Call = {
      name: nameOf(server, method, new URL(url, target)),
      server,
      method,
      conditional: headers["if-none-match"] !== undefined,
      answered: 0
    }
    calls.push(call)
    const kind = fault !== null && call.name === fault.call && ++named === fault.nth ? fault.kind : null
    switch (kind) {
      case "throttled":
      case "broken":
      case "conflicting":
        return refuse(server, kind, method, response)
      case "lost":
        return sever(response)
      case "hanging":
        return
      case "repeated":
        await ask(target, request, body)
        break
      case "forestalled":
        await fault?.before?.(new URL(url, target), body.toString("utf8"))
        break
    }
    const answer = await ask(target, request, body)
    call.answered = answer.body.length
    if (kind === "unanswered" || after || dead) return sever(response)
    response.writeHead(answer.status, answer.headers)
    if (kind !== "cut off") return void response.end(answer.body)
    response.write(answer.body.subarray(0, answer.body.length >> 1))
    // Lets the bytes arrive before the connection breaks.
    setTimeout(() => response.destroy(), 20)
  }

  const listen = (server: "s3" | "bedrock") =>
    Effect.acquireRelease(
      Effect.promise(async () => {
        const target = new URL(options.endpoints[server])
        const listening = http.createServer((request, response) => {
          relay(server, target, request, response).catch(() => sever(response))
        })
        await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve))
        return listening
      }),
      (listening) =>
        Effect.promise(() =>
          new Promise<void>((resolve) => {
            listening.close(() => resolve())
            listening.closeAllConnections()
          })
        )
    ).pipe(Effect.map((listening) => `http://127.0.0.1:${(listening.address() as AddressInfo).port}`))

  yield* Effect.addFinalizer(() => Effect.sync(() => agent.destroy()))
  return {
    endpoints: { s3: yield* listen("s3"), bedrock: yield* listen("bedrock") },
    cut: Effect.promise(() => death),
    writes,
    calls,
    struck: () => fault !== null && named >= fault.nth
  }
})

/** Makes a line to a stack's servers, that is cut as said, or never. */
export const between = (stack: Pick<Stack, "s3" | "url">, cut: Cut | null): Effect.Effect<Line, never, Scope.Scope> =>
  make({ endpoints: { s3: stack.s3.endpoint, bedrock: stack.url }, cut })
