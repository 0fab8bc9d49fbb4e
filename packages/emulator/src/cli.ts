#!/usr/bin/env node
/**
 * The command `bedrock-batch-emulator`.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { parseArgs } from "node:util"
import * as Emulator from "./Emulator.ts"
import * as Journal from "./Journal.ts"
import { serve } from "./Server.ts"
import * as Storage from "./Storage.ts"
import { realistic } from "./Timing.ts"

const usage = `Usage: bedrock-batch-emulator [options]

A local Amazon Bedrock batch inference service, with on-demand calls beside it.

  --port <n>             port to listen on (default 9290; 0 takes any free one)
  --host <address>       address to listen on (default 127.0.0.1)
  --directory <path>     folder whose sub-folders are the buckets (default ./.bedrock-batch)
  --bucket <name>        the bucket that the folder itself is
  --s3-endpoint <url>    keep objects in S3 at this endpoint instead of in a folder
                         (default: AWS_ENDPOINT_URL_S3, where it is set and --directory is not)
  --region <name>        default AWS_REGION or us-east-1
  --account-id <id>      default 123456789012
  --speed <factor>       emulated seconds in a second (default 1)
  --realistic            phases as long as at AWS: about five minutes until a job begins
  --min-records <n>      fewest records in a job (default 100)
  --max-open-jobs <n>    most open jobs of a model (default 100)
  --forget               do not remember the jobs in the folder when the process ends
  --seed <text>          the same seed gives the same ids and outputs
  --help
`

const options = {
  port: { type: "string", default: "9290" },
  host: { type: "string", default: "127.0.0.1" },
  directory: { type: "string" },
  bucket: { type: "string" },
  "s3-endpoint": { type: "string" },
  region: { type: "string" },
  "account-id": { type: "string" },
  speed: { type: "string", default: "1" },
  realistic: { type: "boolean", default: false },
  "min-records": { type: "string" },
  "max-open-jobs": { type: "string" },
  forget: { type: "boolean", default: false },
  seed: { type: "string" },
  help: { type: "boolean", default: false }
} as const

const numeric = (name: string, value: string | undefined, low: number, high = Number.MAX_SAFE_INTEGER) => {
  if (value === undefined) return undefined
  const number = value.trim() === "" ? Number.NaN : Number(value)
  if (Number.isFinite(number) && number >= low && number <= high) return number
  const upTo = high === Number.MAX_SAFE_INTEGER ? "" : ` to ${high}`
  throw new RangeError(`--${name} must be a number from ${low}${upTo}, not ${value}`)
}

const whole = (name: string, value: string | undefined, low: number, high?: number) => {
  const number = numeric(name, value, low, high)
  if (number === undefined || Number.isInteger(number)) return number
  throw new RangeError(`--${name} must be a whole number, not ${value}`)
}

const main = Effect.fnUntraced(function*(args: ReadonlyArray<string>, env: NodeJS.ProcessEnv) {
  const { values } = parseArgs({ args: [...args], options, strict: true, allowPositionals: false })
  if (values.help) return process.stdout.write(usage)
  const region = values.region ?? env["AWS_REGION"] ?? Emulator.defaultRegion
  const endpoint = values["s3-endpoint"] ?? (values.directory === undefined ? env["AWS_ENDPOINT_URL_S3"] : undefined)
  if (endpoint !== undefined && !/^https?:$/.test(URL.parse(endpoint)?.protocol ?? "")) {
    throw new RangeError(`the S3 endpoint (--s3-endpoint, or AWS_ENDPOINT_URL_S3) must be a URL, not ${endpoint}`)
  }
  const directory = values.directory ?? "./.bedrock-batch"
  const credentials = env["AWS_ACCESS_KEY_ID"] === undefined && env["AWS_PROFILE"] === undefined
    ? { credentials: { accessKeyId: "local", secretAccessKey: "local" } }
    : {}
  const storage = endpoint === undefined
    ? Storage.folder(directory, { bucket: values.bucket })
    : Storage.s3({ endpoint, region, forcePathStyle: true, ...credentials })
  const accountId = values["account-id"]
  if (accountId !== undefined && !/^\d{12}$/.test(accountId)) {
    throw new RangeError(`--account-id must be twelve digits, not ${accountId}`)
  }
  if (!/^[a-z0-9-]{1,20}$/.test(region)) {
    throw new RangeError(`the Region (--region, or AWS_REGION) must be a name such as us-east-1, not ${region}`)
  }
  const minRecords = whole("min-records", values["min-records"], 1)
  const maxOpenJobs = whole("max-open-jobs", values["max-open-jobs"], 1)
  const served = yield* serve({
    port: whole("port", values.port, 0, 65_535),
    host: values.host,
    storage,
    journal: endpoint !== undefined || values.forget ? undefined : Journal.folder(directory),
    region,
    accountId,
    speed: numeric("speed", values.speed, 0.001),
    timing: values.realistic ? realistic : undefined,
    seed: values.seed,
    limits: {
      ...(minRecords === undefined ? {} : { minRecords }),
      ...(maxOpenJobs === undefined ? {} : { maxOpenJobs })
    }
  })
  process.stdout.write(
    `Bedrock batch emulator at ${served.url} (${region}, objects in ${endpoint ?? directory}). ` +
      `SDK and CLI: AWS_ENDPOINT_URL_BEDROCK=${served.url} AWS_ENDPOINT_URL_BEDROCK_RUNTIME=${served.url}, or ` +
      `aws --region ${region} --endpoint-url ${served.url} bedrock list-model-invocation-jobs\n`
  )
  return yield* Effect.never
})

const fiber = Effect.runFork(
  Effect.scoped(Effect.suspend(() => main(process.argv.slice(2), process.env))).pipe(
    Effect.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.sync(() => {
        const error = Cause.squash(cause)
        process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
        process.exitCode = 1
      })
    )
  )
)
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void Effect.runFork(Fiber.interrupt(fiber)))
}
