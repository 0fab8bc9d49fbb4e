// Copies what a run left in a bucket into a local folder: `npm run download -- <bucket> <run or prefix> [directory]`.
import { spawnSync } from "node:child_process"
import { resolve } from "node:path"
import { parseArgs } from "node:util"

const usage = `Usage: npm run download -- <bucket> <run or prefix> [directory] [options]

Copies the answers and results of a run from its bucket, each file held against the checksum that S3 keeps of it. Done
again it fetches what is missing. The run is named by its id, or by the job_name_prefix that it was started with; where
several runs have it, they are shown.

  [directory]        default: downloads/<run or prefix>; the run is below it, in a folder of its id
  --what <list>      outputs, results, inputs, rows, with commas between them; default outputs,results
  --prefix <prefix>  key prefix of the runs in the bucket; default runs, "" for none
  --region <name>    default: the environment's (AWS_REGION, or the profile's)
  --json             what came of it, as JSON
  --help

Permissions: s3:ListBucket on the bucket, s3:GetObject below the prefix.
`

const fail = (message, status = 1) => {
  console.error(message)
  process.exit(status)
}

const parse = () => {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: {
        what: { type: "string" },
        prefix: { type: "string", default: "runs" },
        region: { type: "string" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false }
      }
    })
    if (values.help) {
      console.log(usage)
      process.exit(0)
    }
    const [bucket, given = "", directory, ...others] = positionals
    const name = given.replace(/\/+$/, "")
    if (bucket === undefined || name === "" || others.length > 0) {
      throw new RangeError("Give a bucket, a run or prefix, and a directory or none")
    }
    return { ...values, bucket, name, directory: directory ?? `downloads/${name}` }
  } catch (error) {
    return fail(`${error.message}\n\n${usage}`, 2)
  }
}

const { bucket, directory, json, name, prefix, region, what } = parse()

/** The sdk, which is built first if it is not. */
const load = async () => {
  const names = ["@bedrock-batch/sdk", "@bedrock-batch/sdk/store/S3", "@bedrock-batch/sdk/store/ObjectStore", "effect"]
  const modules = () => Promise.all(names.map((name) => import(name)))
  try {
    return await modules()
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error
    const build = spawnSync("turbo", ["run", "build", "--filter=@bedrock-batch/sdk", "--output-logs=errors-only"], {
      stdio: ["ignore", 2, 2],
      env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" }
    })
    if (build.status !== 0) fail("The packages are not built, and cannot be: run npm run build")
    return modules()
  }
}
const [{ Run }, S3, { ObjectStore }, { Effect, Result }] = await load()

/** The ids of the runs that the name may mean. */
const find = Effect.gen(function*() {
  const store = yield* ObjectStore
  if (/^[A-Za-z0-9][A-Za-z0-9.-]{0,39}$/.test(name)) {
    const { objects } = yield* store.list(`${name}/plan.json`)
    if (objects.length > 0) return [name]
  }
  return (yield* Run.list()).filter((run) => run.name === name).map(({ runId }) => runId)
})

const program = Effect.gen(function*() {
  const found = yield* find
  const [runId, ...others] = found
  const place = `s3://${bucket}/${prefix === "" ? "" : `${prefix}/`}`
  if (runId === undefined) return fail(`${place} has no run ${name}, and none that was started with that prefix`)
  if (others.length > 0) {
    const ids = found.map((id) => `\n  ${id}`).join("")
    return fail(`${found.length} runs were started with the prefix ${name}; name one of them:${ids}`)
  }
  // As seen from where npm was called.
  const to = resolve(process.env.INIT_CWD ?? ".", directory)
  return yield* Run.download(runId, to, what === undefined ? {} : { what: what.split(",").map((part) => part.trim()) })
})

const store = S3.layer({ bucket, region, prefix: prefix === "" ? undefined : prefix })
const result = await Effect.runPromise(Effect.result(Effect.provide(program, store)))
if (Result.isFailure(result)) fail(result.failure.message)
const { success } = result
if (json) console.log(JSON.stringify(success))
else {
  const { byChecksum, bySize, bytes, fetched, files, partial, runId, skipped } = success
  console.log(`${resolve(success.directory, runId)}`)
  console.log(`${files} files, ${bytes} bytes: ${fetched} fetched, ${skipped} there already`)
  console.log(`${byChecksum} held against a checksum${bySize === 0 ? "" : `, ${bySize} against their size`}`)
  for (const generation of partial) console.log(`left out, since it is not whole: ${generation}`)
}
