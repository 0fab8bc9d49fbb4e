/**
 * Task tokens of Step Functions: what waits for an answer, and the endpoint at which the AWS SDK answers it, with the
 * names of AWS's errors.
 */
import { randomBytes } from "node:crypto"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { deferred } from "./Deferred.ts"
import { StateError, stateLimit } from "./StateError.ts"

/** A task that waits. */
interface Waiting {
  readonly succeed: (output: unknown) => void
  readonly fail: (error: StateError) => void
  readonly beat: () => void
}

/** An answer that came in. */
export interface Answered {
  readonly operation: string
  readonly token: string
  /** The name of the error that it was refused with; null where it was taken. */
  readonly refused: string | null
}

/** An error of the API. */
class ApiError extends Error {
  constructor(name: string, message: string) {
    super(message)
    this.name = name
  }
}

/** As long as AWS's. */
const makeToken = () => `AQC4AAAAKgAAAAMAAAAA${randomBytes(450).toString("base64")}`

/** The tokens of one account. */
export class TaskTokens {
  readonly #waiting = new Map<string, Waiting>()
  readonly #over = new Set<string>()
  /** Every answer so far. */
  readonly answers: Array<Answered> = []

  /** Makes a token and waits for its answer, so long; `null` is for ever. */
  make(timeoutMillis: number | null, heartbeatMillis: number | null) {
    const token = makeToken()
    const { promise, reject, resolve } = deferred<unknown>()
    let heartbeat: NodeJS.Timeout | undefined
    let timeout: NodeJS.Timeout | undefined
    const settle = (act: () => void) => {
      clearTimeout(heartbeat)
      clearTimeout(timeout)
      if (this.#waiting.delete(token)) this.#over.add(token)
      act()
    }
    const fail = (error: StateError) => settle(() => reject(error))
    const beat = () => {
      clearTimeout(heartbeat)
      if (heartbeatMillis === null) return
      heartbeat = setTimeout(() => fail(new StateError("States.HeartbeatTimeout", "")), heartbeatMillis)
    }
    this.#waiting.set(token, { succeed: (output) => settle(() => resolve(output)), fail, beat })
    beat()
    if (timeoutMillis !== null) timeout = setTimeout(() => fail(new StateError("States.Timeout", "")), timeoutMillis)
    /** Nobody waits any more, for instance because the task could not be started. */
    const abandon = () => settle(() => {})
    return { token, answer: promise, abandon }
  }

  /** How many tokens wait. */
  get open(): number {
    return this.#waiting.size
  }

  /** Does what a call asks, or throws an `ApiError`. */
  call(operation: string, body: { readonly [name: string]: unknown }): void {
    const token = body["taskToken"]
    if (typeof token !== "string" || token === "") throw new ApiError("ValidationException", "taskToken is missing")
    let refused: string | null = null
    try {
      this.#answer(operation, token, body)
    } catch (error) {
      refused = error instanceof Error ? error.name : "Error"
      throw error
    } finally {
      this.answers.push({ operation, token, refused })
    }
  }

  #answer(operation: string, token: string, body: { readonly [name: string]: unknown }): void {
    const waiting = this.#waiting.get(token)
    const text = (name: string) => (typeof body[name] === "string" ? (body[name] as string) : "")
    if (waiting === undefined) {
      if (this.#over.has(token)) {
        throw new ApiError("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
      }
      if (!token.startsWith("AQC")) throw new ApiError("InvalidToken", "Invalid Token: 'Invalid token'")
      throw new ApiError("TaskDoesNotExist", "Task does not exist")
    }
    switch (operation) {
      case "SendTaskSuccess": {
        if (Buffer.byteLength(text("output")) > stateLimit) {
          throw new ApiError("ValidationException", `output has more than ${stateLimit} bytes`)
        }
        let output: unknown
        try {
          output = JSON.parse(text("output"))
        } catch {
          throw new ApiError("InvalidOutput", "Invalid Output: 'Output is not JSON'")
        }
        return waiting.succeed(output)
      }
      case "SendTaskFailure":
        return waiting.fail(new StateError(text("error"), text("cause")))
      case "SendTaskHeartbeat":
        return waiting.beat()
      default:
        throw new ApiError("UnknownOperationException", `the rig does not have ${operation}`)
    }
  }
}

/** A running endpoint. */
export interface TaskTokenServer {
  readonly endpoint: string
  readonly close: () => Promise<void>
}

const target = "AWSStepFunctions."

/** Starts the endpoint; it speaks awsJson1.0. */
export const serve = async (tokens: TaskTokens): Promise<TaskTokenServer> => {
  const server = http.createServer((request, response) => {
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => parts.push(part))
    request.on("end", () => {
      const operation = String(request.headers["x-amz-target"]).replace(target, "")
      let status = 200
      let answer: unknown = {}
      try {
        tokens.call(operation, JSON.parse(Buffer.concat(parts).toString("utf8")))
      } catch (error) {
        const { message, name } = error instanceof Error ? error : new Error(String(error))
        status = error instanceof ApiError ? 400 : 500
        answer = { __type: `com.amazonaws.swf.service.v2.model#${name}`, message }
      }
      response.writeHead(status, { "content-type": "application/x-amz-json-1.0" })
      response.end(JSON.stringify(answer))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}
