/**
 * Runs the state machine of the CDK app on this machine: its own definition, its functions as they would be deployed,
 * and a local S3, DynamoDB and Bedrock.
 *
 *     npm run pipeline -- --input FILE.json [--put LOCAL=s3://bucket/key]... [--json]
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { parseArgs } from "node:util"
import type { Pipeline } from "../rig/Pipeline.ts"

const help = `npm run pipeline -- --input FILE.json [options]

Synthesizes the CDK app of packages/cdk-adapter and runs its state machine on this machine: the definition of the
template, the bundled functions in processes of their own, a local S3 and DynamoDB, and the emulated Bedrock, whose
events the rule of the template routes. Nothing leaves the machine, unless the input names a dataset of the Hugging Face
Hub that no --dataset stands in for. Pauses before retries are short; else things take the time that they take.

  --input FILE                the input of the execution, as JSON
  --put LOCAL=s3://BUCKET/KEY copies a local file into the local S3 first; buckets are made; may be repeated
  --dataset LOCAL=OWNER/NAME  a local file as the split train of a dataset, in place of the Hub's; may be repeated
  --context KEY=VALUE         context of the app, as cdk takes it, for instance maxSubmittedAndInProgressJobs=5
  --faults JSON               what goes wrong in Bedrock, as the emulator takes it: '{"partialJob":{"next":1}}'
  --interpreter rig|moto      who runs the state machine: aws-local-stepfunctions, with what it lacks, or the moto of
                              python3 (rig)
  --keep DIR                  copies all objects of the local S3 into this folder, by bucket, and the functions' logs
  --json                      prints one JSON object: status, output, history and more; npm run --silent pipeline keeps
                              npm's own lines off it
  --verbose                   prints what the functions log, to stderr

Without --keep the result files are copied into output/pipeline/<execution>. Exits with 1 if the execution does not
succeed, and with 2 if it cannot be started.
`

const usage = (message: string): never => {
  console.error(`${message}\n\n${help}`)
  process.exit(2)
}

const parse = () => {
  try {
    return parseArgs({
      options: {
        input: { type: "string" },
        put: { type: "string", multiple: true, default: [] },
        dataset: { type: "string", multiple: true, default: [] },
        context: { type: "string", multiple: true, default: [] },
        faults: { type: "string", default: "{}" },
        interpreter: { type: "string", default: "rig" },
        keep: { type: "string" },
        json: { type: "boolean", default: false },
        verbose: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false }
      }
    }).values
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error))
  }
}

const values = parse()
if (values.help) {
  console.log(help)
  process.exit(0)
}

/** The user's own folder: npm runs scripts in the package's. */
const from = process.env["INIT_CWD"] ?? process.cwd()
const root = join(import.meta.dirname, "../..")

const messageOf = (error: unknown) => error instanceof Error ? error.message : String(error)

const readFile = (path: string, option: string): Buffer => {
  try {
    return fs.readFileSync(resolve(from, path))
  } catch (error) {
    return usage(`${option} ${path}: ${messageOf(error)}`)
  }
}

const readJson = (text: string, option: string): any => {
  try {
    return JSON.parse(text)
  } catch (error) {
    return usage(`${option} is no JSON: ${messageOf(error)}`)
  }
}

/** Splits `LOCAL=rest`, where the local name may hold `=` itself. */
const pairOf = (text: string, pattern: RegExp, option: string, form: string): ReadonlyArray<string> => {
  const [, ...parts] = pattern.exec(text) ?? usage(`${option} ${text}: give ${form}`)
  return parts.map((part) => part ?? "")
}

/** What S3 takes for a new bucket. */
const isBucket = (name: string): boolean =>
  /^[a-z0-9](?!.*(?:\.\.|\.-|-\.))[a-z0-9.-]{1,61}[a-z0-9]$/.test(name) && !/^\d+\.\d+\.\d+\.\d+$/.test(name)

const { interpreter } = values
if (interpreter !== "rig" && interpreter !== "moto") usage(`--interpreter is rig or moto, not ${interpreter}`)
if (values.input === undefined) usage("--input is missing")
const input = readJson(readFile(values.input ?? "", "--input").toString("utf8"), `--input ${values.input}`)
const faultsJson = readJson(values.faults, "--faults")
const puts = values.put.map((text) => {
  const pattern = /^(.+)=s3:\/\/([^/]+)\/(.+)$/
  const [local = "", bucket = "", key = ""] = pairOf(text, pattern, "--put", "LOCAL=s3://BUCKET/KEY")
  if (!isBucket(bucket)) {
    usage(`--put ${text}: ${bucket} is no name of a bucket: 3 to 63 lower-case letters, digits, "." and "-"`)
  }
  return { bucket, key, content: readFile(local, "--put") }
})
const datasets = values.dataset.map((text) => {
  const [local = "", id = ""] = pairOf(text, /^(.+)=([\w.-]+(?:\/[\w.-]+)?)$/, "--dataset", "LOCAL=OWNER/NAME")
  return { id, file: local.split("/").at(-1) ?? local, content: readFile(local, "--dataset") }
})
const context = Object.fromEntries(
  values.context.map((text) => pairOf(text, /^([^=]+)=(.*)$/, "--context", "KEY=VALUE"))
)

const turbo = spawnSync(
  join(root, "node_modules/.bin/turbo"),
  [
    "run",
    "build",
    "--filter=@bedrock-batch/cdk-adapter",
    "--filter=@bedrock-batch/emulator",
    "--output-logs=errors-only",
    "--log-prefix=none"
  ],
  { cwd: root, stdio: ["ignore", "pipe", 2], env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" } }
)
if (turbo.status !== 0) {
  console.error(`The packages cannot be built:\n${turbo.stdout}`)
  process.exit(2)
}

const { Cause, Effect, Exit, Result } = await import("effect")
const { FaultsJson } = await import("@bedrock-batch/emulator")
const { startFakeHub } = await import("../../packages/sdk/test/rig/FakeHub.ts")
const { format } = await import("../rig/History.ts")
const { hasMoto } = await import("../rig/Moto.ts")
const { start } = await import("../rig/Pipeline.ts")
const { synthesize } = await import("../rig/Template.ts")

const faults = FaultsJson.read(faultsJson)
if (Result.isFailure(faults)) usage(`--faults: ${faults.failure.message}`)

if (interpreter === "moto" && !hasMoto()) usage("--interpreter moto: python3 has no moto (pip install 'moto[server]')")

const say = (text: string) => values.json ? undefined : console.log(text)

/** Says now and then what is going on, to whoever waits at a terminal. */
const watching = (began: number, { emulator, functions }: Pipeline) =>
  Effect.gen(function*() {
    if (!process.stderr.isTTY) return yield* Effect.never
    for (;;) {
      yield* Effect.sleep("5 seconds")
      const { jobsCreated, open } = yield* emulator.stats
      const waiting = Object.values(open).reduce((a, b) => a + b, 0)
      const collected = functions["Collect"]?.tally.invocations ?? 0
      const seconds = Math.round((Date.now() - began) / 1000)
      console.error(`${seconds} s: ${jobsCreated} jobs created, ${waiting} open, ${collected} collected`)
    }
  })

const run = Effect.gen(function*() {
  const out = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "pipeline-"))),
    (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
  )
  const assembly = synthesize(join(root, "packages/cdk-adapter"), out, context)
  const hub = datasets.length === 0 ? null : yield* Effect.acquireRelease(
    Effect.promise(startFakeHub),
    (hub) => Effect.promise(() => hub.close())
  )
  for (const { content, file, id } of datasets) hub?.commit(id, { [`data/train-${file}`]: content })
  const [, asked = ""] = /^s3:\/\/([^/]+)\//.exec(String(input?.s3_uri)) ?? []
  const buckets = new Set([...puts.map(({ bucket }) => bucket), asked].filter(isBucket))
  const written: Array<{ readonly called: string; readonly text: string }> = []
  const pipeline = yield* start({
    assembly,
    buckets: [...buckets],
    emulator: { faults: Result.getOrElse(faults, () => ({})) },
    environment: hub === null ? {} : { HF_ENDPOINT: hub.hubUrl },
    interpreter: interpreter === "moto" ? "moto" : "rig",
    clock: { longestPause: 500 },
    sweepEvery: 5_000,
    onLog: (called, text) => {
      written.push({ called, text })
      if (values.verbose) process.stderr.write(text.replace(/^(?=.)/gm, `${called}: `))
    }
  })
  for (const { bucket, content, key } of puts) yield* pipeline.put(bucket, key, content)
  const began = Date.now()
  const execution = yield* pipeline.execute(input).pipe(Effect.raceFirst(watching(began, pipeline)))
  const seconds = (Date.now() - began) / 1000
  const { cause, error, history, name, output, status } = execution

  const folder = resolve(from, values.keep ?? join("output/pipeline", name))
  const copy = Effect.fnUntraced(function*(bucket: string, key: string, to: string) {
    const bytes = yield* pipeline.get(bucket, key)
    fs.mkdirSync(dirname(to), { recursive: true })
    fs.writeFileSync(to, bytes)
  })
  if (values.keep !== undefined) {
    for (const bucket of new Set([pipeline.bucket, ...buckets])) {
      for (const key of yield* pipeline.keys(bucket, "")) yield* copy(bucket, key, join(folder, bucket, key))
    }
    fs.mkdirSync(join(folder, "logs"), { recursive: true })
    for (const called of new Set(written.map(({ called }) => called))) {
      const lines = written.filter((one) => one.called === called).map(({ text }) => text)
      fs.writeFileSync(join(folder, "logs", `${called}.log`), lines.join(""))
    }
  }
  const place = (uri: string) => {
    const [, bucket = "", key = ""] = /^s3:\/\/([^/]+)\/(.+)$/.exec(uri) ?? []
    return { bucket, key }
  }
  // The output names the first files, and a list of all.
  const list = output === null || typeof output !== "object" ? undefined : (output as any).results?.list
  const uris: ReadonlyArray<string> = typeof list === "string"
    ? JSON.parse(yield* pipeline.text(place(list).bucket, place(list).key))
    : []
  const results = yield* Effect.forEach(uris, (uri) => {
    const { bucket, key } = place(uri)
    const to = values.keep === undefined ? join(folder, key.split("/").slice(-2).join("/")) : join(folder, bucket, key)
    return values.keep === undefined ? Effect.as(copy(bucket, key, to), to) : Effect.succeed(to)
  })
  const functions = Object.fromEntries(Object.entries(pipeline.functions).map(([called, { tally }]) => [called, tally]))

  if (values.json) {
    const [first] = history.steps
    console.log(JSON.stringify(
      {
        status,
        name,
        input,
        output,
        error,
        cause,
        seconds,
        largestState: history.largest,
        history: history.steps.map(({ at, ...step }) => ({ ...step, at: at - (first?.at ?? at) })),
        mapRuns: history.mapRuns,
        functions,
        bucket: pipeline.bucket,
        folder: results.length === 0 && values.keep === undefined ? null : folder,
        results
      },
      null,
      1
    ))
  }
  say(`${format(history)}\n`)
  for (const [called, { errors, invocations, longestMillis, peakMegabytes }] of Object.entries(functions)) {
    if (invocations === 0) continue
    const counts = `${invocations} calls, ${errors} failed`.padEnd(28)
    say(`${called.padEnd(10)} ${counts} longest ${(longestMillis / 1000).toFixed(1)} s, peak ${peakMegabytes} MB`)
  }
  const { bytes, state } = history.largest
  say(`\nExecution ${name}: ${status} after ${seconds.toFixed(1)} s`)
  say(`The largest state had ${bytes} B of 262144 (${state})`)
  if (error !== null) say(`${error}: ${cause}`)
  else say(JSON.stringify(output, null, 2))
  if (results.length > 0) say(`\nResult files:\n${results.map((path) => `  ${path}`).join("\n")}`)
  if (values.keep !== undefined) say(`All objects: ${folder}`)
  return status
})

const interrupted = new AbortController()
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort())
const exit = await Effect.runPromiseExit(Effect.scoped(run), { signal: interrupted.signal })
if (Exit.isSuccess(exit)) {
  process.exitCode = exit.value === "SUCCEEDED" ? 0 : 1
} else {
  if (!interrupted.signal.aborted) console.error(Cause.pretty(exit.cause))
  // Whatever could not be started in full may hold the process.
  process.exit(interrupted.signal.aborted ? 130 : 2)
}
