/**
 * Lambda functions as processes of their own: their bundles as they are deployed, in sandboxes that speak Lambda's
 * Runtime API. A function that takes too long is killed (SIGKILL) as Lambda kills it, and the next event finds a fresh
 * sandbox.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes, randomUUID } from "node:crypto"
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Deferred, deferred } from "./Deferred.ts"

/** A function. */
export interface FunctionOptions {
  readonly name: string
  readonly arn: string
  /** The folder of its bundle. */
  readonly directory: string
  /** `<file without its ending>.<export>`. */
  readonly handler: string
  readonly timeoutMillis: number
  readonly memoryMegabytes: number
  readonly environment: { readonly [name: string]: string }
  /** Sandboxes at most; further events wait. */
  readonly concurrency: number
  /** Takes what the function writes to stdout and stderr. */
  readonly onLog?: (text: string) => void
}

/** An error as Lambda describes it. */
export interface FunctionError {
  readonly errorType: string
  readonly errorMessage: string
  readonly trace?: ReadonlyArray<string>
}

/** How an invocation ended. */
export type Answer =
  | { readonly ok: true; readonly payload: unknown }
  | { readonly ok: false; readonly error: FunctionError }

/** What a function did so far. */
export interface Tally {
  invocations: number
  errors: number
  sandboxes: number
  longestMillis: number
  /** The largest peak of a sandbox's resident memory, in MB; 0 where the system does not tell. */
  peakMegabytes: number
}

interface Invocation {
  readonly id: string
  readonly body: string
  readonly answer: Deferred<Answer>
  began: number
}

const client = join(import.meta.dirname, "lambda-client.ts")

const route = /^\/2018-06-01\/runtime\/(?:invocation|init)\/(?:([^/]+)\/)?([^/]+)$/

/** Bytes that a function may answer. */
const largestAnswer = 6_291_556

const bytesOf = async (request: http.IncomingMessage): Promise<string> => {
  const parts: Array<Buffer> = []
  for await (const part of request) parts.push(part)
  return Buffer.concat(parts).toString("utf8")
}

const peakOf = (pid: number | undefined): number => {
  try {
    const status = fs.readFileSync(`/proc/${pid}/status`, "utf8")
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

let sandboxes = 0

/** One sandbox: a process, and the server that it asks for events. */
class Sandbox {
  /** By which the servers know whose call one is: the SDK sends it with its name (`app/<id>`). */
  readonly id = `sandbox-${++sandboxes}`
  readonly #options: FunctionOptions
  readonly #server: http.Server
  readonly #onFree: (sandbox: Sandbox) => void
  readonly #onDead: (sandbox: Sandbox, stillborn: FunctionError | null) => void
  readonly #folder: string
  /** Resolves when the process is gone, and its folder. */
  readonly gone = deferred<void>()
  #child: ChildProcess | null = null
  #waiting: http.ServerResponse | null = null
  #current: Invocation | null = null
  #timer: NodeJS.Timeout | undefined
  #initError: FunctionError | null = null
  #asked = false
  dead = false
  peakMegabytes = 0

  constructor(
    options: FunctionOptions,
    onFree: (sandbox: Sandbox) => void,
    onDead: (sandbox: Sandbox, stillborn: FunctionError | null) => void
  ) {
    this.#options = options
    this.#onFree = onFree
    this.#onDead = onDead
    this.#folder = fs.mkdtempSync(join(tmpdir(), `lambda-${options.name.slice(0, 20)}-`))
    this.#server = http.createServer((request, response) => {
      this.#handle(request, response).catch(() => response.destroy())
    })
    this.#server.listen(0, "127.0.0.1", () => {
      if (!this.dead) return this.#spawn((this.#server.address() as AddressInfo).port)
      fs.rmSync(this.#folder, { recursive: true, force: true })
      this.gone.resolve()
    })
  }

  get busy(): boolean {
    return this.#current !== null
  }

  #spawn(port: number): void {
    const { directory, environment, handler, memoryMegabytes, name, onLog } = this.#options
    const stream = `2026/01/01/[$LATEST]${randomBytes(16).toString("hex")}`
    const child = spawn(process.execPath, [client, handler], {
      cwd: directory,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"],
        LANG: "en_US.UTF-8",
        TZ: ":UTC",
        TMPDIR: this.#folder,
        AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${port}`,
        AWS_LAMBDA_FUNCTION_NAME: name,
        AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMegabytes),
        AWS_LAMBDA_INITIALIZATION_TYPE: "on-demand",
        AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${name}`,
        AWS_LAMBDA_LOG_STREAM_NAME: stream,
        AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x",
        AWS_SDK_UA_APP_ID: this.id,
        LAMBDA_TASK_ROOT: directory,
        _HANDLER: handler,
        ...environment,
        // Node has the function's memory, and no more.
        NODE_OPTIONS: `${environment["NODE_OPTIONS"] ?? ""} --max-old-space-size=${memoryMegabytes}`.trim()
      }
    })
    this.#child = child
    for (const output of [child.stdout, child.stderr]) {
      output.setEncoding("utf8").on("data", (text: string) => onLog?.(text))
    }
    const remove = () => {
      fs.rmSync(this.#folder, { recursive: true, force: true })
      this.gone.resolve()
    }
    child.once("exit", remove).once("error", remove)
    child.once("error", (error) => this.#end({ errorType: "Runtime.ExitError", errorMessage: error.message }))
    child.once("exit", (code, signal) =>
      this.#end(this.#initError ?? {
        errorType: "Runtime.ExitError",
        errorMessage: `RequestId: ${this.#current?.id} Error: Runtime exited with error: ` +
          (signal === null ? `exit status ${code}` : `signal: ${signal === "SIGKILL" ? "killed" : signal}`)
      }))
  }

  async #handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const [, id, what] = route.exec(request.url ?? "") ?? []
    if (request.method === "GET" && what === "next") {
      this.#asked = true
      this.#waiting = response
      this.#onFree(this)
      return
    }
    const body = await bytesOf(request)
    response.writeHead(202, { "content-type": "application/json" })
    response.end("{\"status\":\"OK\"}")
    if (id === undefined) this.#initError = JSON.parse(body)
    if (id === undefined || id !== this.#current?.id) return
    if (what === "error") this.#settle({ ok: false, error: JSON.parse(body) })
    else if (body.length <= largestAnswer) this.#settle({ ok: true, payload: JSON.parse(body) })
    else {
      const errorMessage = `Response payload size exceeded maximum allowed payload size (${largestAnswer} bytes).`
      this.#settle({ ok: false, error: { errorType: "Function.ResponseSizeTooLarge", errorMessage } })
    }
  }

  /** Gives the process an event; it must be free. */
  give(invocation: Invocation): void {
    const { arn, timeoutMillis } = this.#options
    const response = this.#waiting
    this.#waiting = null
    this.#current = invocation
    invocation.began = Date.now()
    this.#timer = setTimeout(() => {
      const seconds = (timeoutMillis / 1000).toFixed(2)
      const errorMessage = `RequestId: ${invocation.id} Error: Task timed out after ${seconds} seconds`
      this.#end({ errorType: "Sandbox.Timedout", errorMessage })
    }, timeoutMillis)
    const trace = `Root=1-${"5".repeat(8)}-${randomBytes(12).toString("hex")}`
    response?.writeHead(200, {
      "content-type": "application/json",
      "lambda-runtime-aws-request-id": invocation.id,
      "lambda-runtime-deadline-ms": String(invocation.began + timeoutMillis),
      "lambda-runtime-invoked-function-arn": arn,
      "lambda-runtime-trace-id": `${trace};Parent=${"9".repeat(16)};Sampled=0`
    })
    response?.end(invocation.body)
  }

  #settle(answer: Answer): void {
    clearTimeout(this.#timer)
    const invocation = this.#current
    this.#current = null
    this.peakMegabytes = Math.max(this.peakMegabytes, peakOf(this.#child?.pid))
    invocation?.answer.resolve(answer)
  }

  #end(error: FunctionError): void {
    if (this.dead) return
    this.dead = true
    this.#settle({ ok: false, error })
    this.#child?.kill("SIGKILL")
    this.#server.close()
    this.#server.closeAllConnections()
    this.#onDead(this, this.#asked ? null : error)
  }

  /** Ends the process, whatever it does. */
  kill(): void {
    const errorMessage = `RequestId: ${this.#current?.id} Error: Runtime exited with error: signal: killed`
    this.#end({ errorType: "Runtime.ExitError", errorMessage })
  }
}

/** A function that can be invoked. */
export class LambdaFunction {
  readonly options: FunctionOptions
  readonly tally: Tally = { invocations: 0, errors: 0, sandboxes: 0, longestMillis: 0, peakMegabytes: 0 }
  /** The ids of all sandboxes that it ever had. */
  readonly sandboxes = new Set<string>()
  readonly #sandboxes = new Set<Sandbox>()
  readonly #free: Array<Sandbox> = []
  readonly #queue: Array<Invocation> = []
  #closed = false

  constructor(options: FunctionOptions) {
    this.options = options
  }

  /** Invokes the function and waits for its answer. */
  async invoke(event: unknown): Promise<Answer> {
    const invocation = { id: randomUUID(), body: JSON.stringify(event ?? null), answer: deferred<Answer>(), began: 0 }
    this.tally.invocations++
    this.#queue.push(invocation)
    this.#work()
    const answer = await invocation.answer.promise
    if (!answer.ok) this.tally.errors++
    const { began } = invocation
    if (began > 0) this.tally.longestMillis = Math.max(this.tally.longestMillis, Date.now() - began)
    for (const { peakMegabytes } of this.#sandboxes) this.#peak(peakMegabytes)
    return answer
  }

  #peak(megabytes: number): void {
    this.tally.peakMegabytes = Math.max(this.tally.peakMegabytes, Math.round(megabytes))
  }

  #work(): void {
    while (this.#queue.length > 0) {
      const sandbox = this.#free.shift()
      if (sandbox === undefined) break
      if (!sandbox.dead) sandbox.give(this.#queue.shift()!)
    }
    const starting = [...this.#sandboxes].filter((sandbox) => !sandbox.busy && !this.#free.includes(sandbox)).length
    const wanted = Math.min(this.#queue.length - starting, this.options.concurrency - this.#sandboxes.size)
    for (let i = 0; i < wanted && !this.#closed; i++) this.#start()
  }

  #start(): void {
    const onFree = (sandbox: Sandbox) => {
      this.#free.push(sandbox)
      this.#work()
    }
    const onDead = (sandbox: Sandbox, stillborn: FunctionError | null) => {
      this.#peak(sandbox.peakMegabytes)
      this.#sandboxes.delete(sandbox)
      const at = this.#free.indexOf(sandbox)
      if (at >= 0) this.#free.splice(at, 1)
      // A function that cannot be loaded fails the event that it was started for.
      const error = this.#closed ? null : stillborn
      if (error !== null) this.#queue.shift()?.answer.resolve({ ok: false, error })
      this.#work()
    }
    const sandbox = new Sandbox(this.options, onFree, onDead)
    this.tally.sandboxes++
    this.sandboxes.add(sandbox.id)
    this.#sandboxes.add(sandbox)
  }

  /** Kills the sandbox of that id, if it is this function's and works on an event. */
  kill(id: string): boolean {
    const found = [...this.#sandboxes].find((sandbox) => sandbox.id === id && sandbox.busy)
    found?.kill()
    return found !== undefined
  }

  /** Ends all sandboxes. */
  async close(): Promise<void> {
    this.#closed = true
    const sandboxes = [...this.#sandboxes]
    for (const sandbox of sandboxes) sandbox.kill()
    await Promise.all(sandboxes.map(({ gone }) => gone.promise))
  }
}
