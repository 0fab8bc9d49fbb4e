/**
 * The emulator over HTTP: the wire of the real services, of batch jobs and on-demand calls (restJson1) and of Service
 * Quotas (awsJson1.1), for the AWS SDKs and the `aws` command, and routes of its own under `/emulator/` for tests.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import * as http from "node:http"
import * as http2 from "node:http2"
import * as net from "node:net"
import type { Readable, Writable } from "node:stream"
import * as Chance from "./Chance.ts"
import * as Emulator from "./Emulator.ts"
import * as FaultsJson from "./FaultsJson.ts"
import { parse } from "./Json.ts"
import { ConnectionLost, ServiceException } from "./ServiceException.ts"
import { inputTokens, outputTokens } from "./Usage.ts"

/**
 * Options of `serve`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface Options extends Emulator.Options {
  /** Port; 0, the default, takes any free one. */
  readonly port?: number | undefined
  /** Address to listen on; default `127.0.0.1`. There is no authentication: think before you open it wider. */
  readonly host?: string | undefined
}

/**
 * The server cannot listen.
 *
 * @since 0.1.0
 * @category errors
 */
export class ListenError extends Data.TaggedError("ListenError")<{
  readonly host: string
  readonly port: number
  readonly cause: unknown
}> {
  /** Where, and why not. */
  override get message(): string {
    const why = this.cause instanceof Error ? this.cause.message : "unknown"
    return `Cannot listen on ${this.host}:${this.port}: ${why}`
  }
}

/**
 * A server that listens.
 *
 * @since 0.1.0
 * @category models
 */
export interface Served {
  readonly port: number
  /** What clients take as their endpoint. */
  readonly url: string
  /** The emulator behind the server. */
  readonly emulator: Emulator.Emulator["Service"]
}

/** A request of HTTP/1.1 or HTTP/2. */
interface Incoming extends Readable {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: { readonly [name: string]: string | ReadonlyArray<string> | undefined }
  readonly socket: { readonly destroy: () => unknown }
}

/** Its answer. */
interface Outgoing extends Writable {
  readonly setHeader: (name: string, value: string) => unknown
  readonly writeHead: (status: number, headers: { readonly [name: string]: string }) => unknown
  /** Not declared for HTTP/2, where it exists too. */
  readonly flushHeaders?: () => void
}

const largestBody = 4 << 20

/** What the service declares for the bodies of on-demand calls. */
const largestModelBody = 25_000_000

const tooLarge = () => new ServiceException({ name: "SerializationException", message: "The body is too large" })
const modelBodyTooLarge = () =>
  new ServiceException({
    name: "ValidationException",
    message: "1 validation error detected: Value at 'body' failed to satisfy constraint: " +
      `Member must have length less than or equal to ${largestModelBody}`
  })

const bodyOf = (
  request: Incoming,
  most = largestBody,
  refusal = tooLarge
): Effect.Effect<string, ConnectionLost | ServiceException> =>
  Effect.callback((resume) => {
    const parts: Array<Buffer> = []
    let size = 0
    request.on("data", (part: Buffer) => {
      size += part.length
      if (size <= most) parts.push(part)
    })
    request.on("end", () =>
      resume(size > most ? Effect.fail(refusal()) : Effect.succeed(Buffer.concat(parts).toString("utf8"))))
    request.on("error", () => resume(Effect.fail(new ConnectionLost())))
  })

const notJson = () => new ServiceException({ name: "SerializationException", message: "The body is not JSON" })

/** A body that is not there counts as an empty structure. */
const toJson = (text: string): Effect.Effect<unknown, ServiceException> => {
  const json = text === "" ? {} : parse(text)
  return json === undefined ? Effect.fail(notJson()) : Effect.succeed(json)
}

const jsonOf = (request: Incoming) => Effect.flatMap(bodyOf(request), toJson)

const modelBodyOf = (request: Incoming) => bodyOf(request, largestModelBody, modelBodyTooLarge)

const unknownOperation = () =>
  new ServiceException({ name: "UnknownOperationException", message: "There is no such operation" })

/** Decodes one path segment; an ARN's slash comes as `%2F`. */
const decoded = (segment: string) => {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

interface Target {
  readonly path: string
  readonly query: URLSearchParams
}

/**
 * Takes a request's target apart. The path is routed as it came: decoding it first would turn an ARN's slash into a
 * separator, and not everything that a client may send is a URL.
 */
const targetOf = (request: Incoming): Target => {
  const target = (request.url ?? "/").replace(/^https?:\/\/[^/?]*/, "")
  const question = target.indexOf("?")
  return question < 0
    ? { path: target, query: new URLSearchParams() }
    : { path: target.slice(0, question), query: new URLSearchParams(target.slice(question + 1)) }
}

type Handled = Effect.Effect<unknown, ServiceException | ConnectionLost>

const handleService = (
  emulator: Emulator.Emulator["Service"],
  request: Incoming,
  { path, query }: Target
): Handled | null => {
  const segments = path.split("/").slice(1)
  const [root, identifier, action] = segments
  if (segments.length > 3) return null
  const below = `${segments.length > 1 ? "/{id}" : ""}${segments.length > 2 ? `/${action}` : ""}`
  const route = `${request.method} /${root}${below}`
  switch (route) {
    case "POST /model-invocation-job":
      return Effect.flatMap(jsonOf(request), emulator.create)
    case "GET /model-invocation-job/{id}":
      return emulator.get(decoded(identifier ?? ""))
    case "POST /model-invocation-job/{id}/stop":
      return Effect.andThen(bodyOf(request), emulator.stop(decoded(identifier ?? "")))
    case "GET /model-invocation-jobs":
      return emulator.list(Object.fromEntries(query))
    case "GET /foundation-models":
      return emulator.models.list(Object.fromEntries(query))
    case "GET /inference-profiles":
      return emulator.models.profiles(Object.fromEntries(query))
    case "GET /foundation-model-availability/{id}":
      return emulator.models.availability(decoded(identifier ?? ""))
    case "POST /tagResource":
      return Effect.flatMap(jsonOf(request), emulator.tag)
    case "POST /untagResource":
      return Effect.flatMap(jsonOf(request), emulator.untag)
    case "POST /listTagsForResource":
      return Effect.flatMap(jsonOf(request), emulator.listTags)
    default:
      return null
  }
}

/** What is sent with an answer of status 200. */
interface Reply {
  readonly headers: { readonly [name: string]: string }
  readonly body: unknown
}

const plain = (body: unknown): Reply => ({ headers: {}, body })

/** The on-demand operations; null for any other route. */
const handleRuntime = (
  emulator: Emulator.Emulator["Service"],
  request: Incoming,
  { path }: Target
): Effect.Effect<Reply, ServiceException | ConnectionLost> | null => {
  const [root, identifier, action, ...rest] = path.split("/").slice(1)
  if (request.method !== "POST" || root !== "model" || rest.length > 0) return null
  const modelId = decoded(identifier ?? "")
  switch (action) {
    case "converse":
      return modelBodyOf(request).pipe(
        Effect.flatMap(toJson),
        Effect.flatMap((body) => emulator.converse(modelId, body)),
        Effect.map(plain)
      )
    case "invoke":
      return Effect.gen(function*() {
        // The body is the model's: what is no JSON is for the operation to refuse.
        const body = parse(yield* modelBodyOf(request))
        const from = yield* Clock.currentTimeMillis
        const output = yield* emulator.invoke(modelId, body)
        const latency = (yield* Clock.currentTimeMillis) - from
        return {
          headers: {
            "x-amzn-bedrock-invocation-latency": String(latency),
            "x-amzn-bedrock-input-token-count": String(inputTokens(output)),
            "x-amzn-bedrock-output-token-count": String(outputTokens(output))
          },
          body: output
        }
      })
    default:
      return null
  }
}

const quotasTarget = "ServiceQuotasV20190624."

/** Service Quotas speaks awsJson1.1: one route, the operation is in a header; null for any other request. */
const handleQuotas = (
  emulator: Emulator.Emulator["Service"],
  request: Incoming,
  { path }: Target
): Handled | null => {
  const target = request.headers["x-amz-target"]
  if (request.method !== "POST" || path !== "/" || typeof target !== "string" || !target.startsWith(quotasTarget)) {
    return null
  }
  return Effect.flatMap(jsonOf(request), (body) => emulator.quotas(target.slice(quotasTarget.length), body))
}

const handleAdmin = (
  emulator: Emulator.Emulator["Service"],
  request: Incoming,
  path: string
): Handled | null => {
  const { faults } = emulator
  const change = (replace: boolean) =>
    Effect.flatMap(jsonOf(request), (json) =>
      Result.match(FaultsJson.read(json), {
        onFailure: ({ message }) => Effect.fail(new ServiceException({ name: "ValidationException", message })),
        onSuccess: (options) =>
          Effect.sync(() => {
            if (replace) faults.clear()
            faults.set(options)
            return FaultsJson.write(faults.current)
          })
      }))
  switch (`${request.method} ${path}`) {
    case "GET /emulator/state":
      return Effect.map(Effect.all([emulator.stats, emulator.now]), ([stats, now]) => ({
        region: emulator.region,
        accountId: emulator.accountId,
        now: new Date(now).toISOString(),
        stats,
        faults: FaultsJson.write(faults.current)
      }))
    case "GET /emulator/stats":
      return emulator.stats
    case "GET /emulator/faults":
      return Effect.sync(() => FaultsJson.write(faults.current))
    case "PUT /emulator/faults":
      return change(true)
    case "PATCH /emulator/faults":
      return change(false)
    case "DELETE /emulator/faults":
      return Effect.sync(() => {
        faults.clear()
        return FaultsJson.write(faults.current)
      })
    default:
      return null
  }
}

const send = (response: Outgoing, status: number, headers: { readonly [name: string]: string }, body: unknown) =>
  Effect.sync(() => {
    if (response.destroyed) return
    response.writeHead(status, { "content-type": "application/json", ...headers })
    response.end(JSON.stringify(body))
  })

const sendException = (response: Outgoing, exception: ServiceException) =>
  send(response, exception.status, { "x-amzn-ErrorType": exception.name }, {
    __type: exception.name,
    message: exception.message,
    ...(exception.resourceName === undefined ? {} : { resourceName: exception.resourceName })
  })

const streamEvents = (emulator: Emulator.Emulator["Service"], response: Outgoing) =>
  Effect.sync(() => {
    response.writeHead(200, { "content-type": "application/x-ndjson" })
    response.flushHeaders?.()
  }).pipe(
    Effect.andThen(Stream.runForEach(emulator.events, (event) =>
      Effect.sync(() => response.write(`${JSON.stringify(event)}\n`)))),
    Effect.raceFirst(Effect.callback<void>((resume) => {
      response.once("close", () => resume(Effect.void))
    }))
  )

const respond = (emulator: Emulator.Emulator["Service"], request: Incoming, response: Outgoing) => {
  const target = targetOf(request)
  if (request.method === "GET" && target.path === "/emulator/events") return streamEvents(emulator, response)
  const handled = target.path.startsWith("/emulator/")
    ? handleAdmin(emulator, request, target.path)
    : handleQuotas(emulator, request, target) ?? handleService(emulator, request, target)
  const replied = handled === null ? handleRuntime(emulator, request, target) : Effect.map(handled, plain)
  return (replied ?? Effect.fail(unknownOperation())).pipe(
    Effect.flatMap(({ body, headers }) => send(response, 200, headers, body)),
    Effect.catchTag("ServiceException", (exception) => sendException(response, exception)),
    Effect.catchTag("ConnectionLost", () => Effect.sync(() => request.socket.destroy())),
    Effect.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.void
        : sendException(
          response,
          new ServiceException({ name: "InternalServerException", message: Cause.pretty(cause) })
        )
    )
  )
}

const preface = "PRI"

/**
 * Serves HTTP/1.1, and HTTP/2 without encryption, on one port: what a connection speaks shows in its first bytes. The
 * SDK's client for on-demand calls speaks HTTP/2 unless it is told otherwise, the others HTTP/1.1.
 */
const bothVersions = (
  answer: (request: Incoming, response: Outgoing) => void,
  sockets: Set<net.Socket>
): net.Server => {
  const first = http.createServer(answer)
  const second = http2.createServer(answer)
  return net.createServer((socket) => {
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
    socket.on("error", () => socket.destroy())
    const look = () => {
      const bytes: Buffer | null = socket.read(preface.length)
      if (bytes === null) return void socket.once("readable", look)
      socket.unshift(bytes)
      const server = bytes.toString("latin1") === preface ? second : first
      server.emit("connection", socket)
    }
    look()
  })
}

/**
 * Starts an emulator behind an HTTP server; both end with the scope. It speaks HTTP/1.1, and HTTP/2 without encryption.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { BedrockClient } from "@aws-sdk/client-bedrock"
 * import { Server, Storage } from "@bedrock-batch/emulator"
 * import { Effect } from "effect"
 *
 * const program = Effect.scoped(Effect.gen(function*() {
 *   const { url } = yield* Server.serve({ storage: Storage.folder("./objects") })
 *   const client = new BedrockClient({ endpoint: url, region: "us-east-1" })
 *   return yield* Effect.never
 * }))
 * ```
 */
export const serve: (options: Options) => Effect.Effect<Served, ListenError, Scope.Scope> = Effect.fnUntraced(
  function*(options: Options) {
    const host = options.host ?? "127.0.0.1"
    const wanted = options.port ?? 0
    const emulator = yield* Emulator.make(options)
    const run = Effect.runForkWith(yield* Effect.context<never>())
    const requestIds = Chance.make(`${options.seed ?? randomUUID()}/requests`)
    const hex = (length: number) => Array.from({ length }, () => requestIds.below(16).toString(16)).join("")
    const answer = (request: Incoming, response: Outgoing) => {
      response.setHeader("x-amzn-RequestId", [8, 4, 4, 4, 12].map(hex).join("-"))
      run(respond(emulator, request, response))
    }
    const sockets = new Set<net.Socket>()
    const server = bothVersions(answer, sockets)
    const port = yield* Effect.acquireRelease(
      Effect.callback<number, ListenError>((resume) => {
        server.once("error", (cause) => resume(Effect.fail(new ListenError({ host, port: wanted, cause }))))
        server.listen(wanted, host, () => {
          const address = server.address()
          resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : wanted))
        })
      }),
      () =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const socket of sockets) socket.destroy()
        })
    )
    return { port, url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`, emulator }
  }
)
