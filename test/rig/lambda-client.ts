/**
 * What runs in a sandbox of the rig: a client of Lambda's Runtime API that loads a function and gives it one event
 * after the other. After https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
 *
 *     node lambda-client.ts index.handler
 */
import * as fs from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"

const variable = (name: string): string => {
  const value = process.env[name]
  if (value === undefined) throw new Error(`${name} is not set`)
  return value
}

const api = `http://${variable("AWS_LAMBDA_RUNTIME_API")}/2018-06-01/runtime`
const wanted = process.argv[2] ?? ""
const dot = wanted.lastIndexOf(".")

const described = (error: unknown) => {
  const { message, name, stack = "" } = error instanceof Error ? error : new Error(String(error))
  return { errorType: name, errorMessage: message, trace: stack.split("\n") }
}

const post = (path: string, body: unknown) =>
  fetch(`${api}${path}`, { method: "POST", body: JSON.stringify(body ?? null) })

type Handler = (event: unknown, context: object) => Promise<unknown>

const load = async (): Promise<Handler> => {
  const root = variable("LAMBDA_TASK_ROOT")
  const files = [".mjs", ".js", ".cjs"].map((ending) => join(root, wanted.slice(0, dot) + ending))
  const file = files.find((path) => fs.existsSync(path))
  const module = file === undefined ? {} : await import(pathToFileURL(file).href)
  const handler: unknown = module[wanted.slice(dot + 1)]
  if (typeof handler === "function") return handler as Handler
  throw Object.assign(new Error(`${wanted} is not there or no function`), { name: "Runtime.HandlerNotFound" })
}

let handler: Handler
try {
  handler = await load()
} catch (error) {
  await post("/init/error", described(error))
  process.exit(1)
}

for (;;) {
  const next = await fetch(`${api}/invocation/next`)
  const header = (name: string) => next.headers.get(`lambda-runtime-${name}`) ?? ""
  const id = header("aws-request-id")
  const deadline = Number(header("deadline-ms"))
  const event: unknown = await next.json()
  process.env["_X_AMZN_TRACE_ID"] = header("trace-id")
  const context = {
    awsRequestId: id,
    callbackWaitsForEmptyEventLoop: true,
    functionName: variable("AWS_LAMBDA_FUNCTION_NAME"),
    functionVersion: variable("AWS_LAMBDA_FUNCTION_VERSION"),
    invokedFunctionArn: header("invoked-function-arn"),
    memoryLimitInMB: variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
    logGroupName: variable("AWS_LAMBDA_LOG_GROUP_NAME"),
    logStreamName: variable("AWS_LAMBDA_LOG_STREAM_NAME"),
    getRemainingTimeInMillis: () => Math.max(deadline - Date.now(), 0)
  }
  try {
    await post(`/invocation/${id}/response`, await handler(event, context))
  } catch (error) {
    await post(`/invocation/${id}/error`, described(error))
  }
}
