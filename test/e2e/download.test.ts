import { assert, describe, it } from "@effect/vitest"
import { Prompt, run } from "@bedrock-batch/sdk"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { plainTable, sourceOf } from "../rig/Data.ts"
import { bucket, haiku, soon, type Stack, start } from "../rig/Stack.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** What is run by `npm run download`, called from a folder of its own. */
const download = Effect.fnUntraced(function*(stack: Stack, args: ReadonlyArray<string>) {
  const from = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "download-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
  )
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("AWS_"))
  const child = spawn(process.execPath, ["scripts/download.mjs", ...args], {
    cwd: root,
    env: {
      ...Object.fromEntries(own),
      INIT_CWD: from,
      AWS_REGION: stack.s3.region,
      AWS_ACCESS_KEY_ID: stack.s3.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: stack.s3.credentials.secretAccessKey,
      AWS_ENDPOINT_URL_S3: stack.s3.endpoint
    }
  })
  let stdout = ""
  let stderr = ""
  child.stdout.on("data", (part) => stdout += part)
  child.stderr.on("data", (part) => stderr += part)
  const code = yield* Effect.promise(() => new Promise<number | null>((resolve) => child.on("close", resolve)))
  return { code, stdout, stderr, from }
})

const jokes = (topics: number) =>
  run({
    name: "jokes",
    source: sourceOf(plainTable(topics)),
    model: haiku,
    prompt: Prompt.make("{topic}"),
    maxRecordsPerJob: 110,
    wait: soon
  })

describe.concurrent("npm run download", () => {
  it.live("copies the results of a run, by its id and by the prefix that it was started with", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const { run: { id } } = yield* Effect.provide(jokes(110), stack.layer({ prefix: "runs" }))
      // As shells complete it.
      const byPrefix = yield* download(stack, [bucket, "jokes/", "--what", "outputs, results"])
      assert.strictEqual(byPrefix.code, 0, byPrefix.stderr)
      const folder = join(byPrefix.from, "downloads/jokes", id)
      assert.include(byPrefix.stdout, folder)
      assert.isTrue(fs.existsSync(join(folder, "results/1-parquet/1-000000.parquet")))
      const byId = yield* download(stack, [bucket, id, "here", "--what", "outputs", "--json"])
      assert.strictEqual(byId.code, 0, byId.stderr)
      assert.deepInclude(JSON.parse(byId.stdout), { runId: id, directory: fs.realpathSync(join(byId.from, "here")) })
      assert.isFalse(fs.existsSync(join(byId.from, "here", id, "results")))
    }))

  it.live("names the runs of a prefix that has several, and copies none", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const layer = stack.layer({ prefix: "runs" })
      const one = yield* Effect.provide(jokes(100), layer)
      const two = yield* Effect.provide(jokes(101), layer)
      const { code, from, stderr } = yield* download(stack, [bucket, "jokes"])
      assert.strictEqual(code, 1)
      for (const { run: { id } } of [one, two]) assert.include(stderr, `  ${id}`)
      assert.deepStrictEqual(fs.readdirSync(from), [])
    }))

  it.live("says that there is no such run, and what it is called with", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const missing = yield* download(stack, [bucket, "poems"])
      assert.deepInclude(missing, {
        code: 1,
        stderr: `s3://${bucket}/runs/ has no run poems, and none that was started with that prefix\n`
      })
      const bare = yield* download(stack, [bucket])
      assert.strictEqual(bare.code, 2)
      assert.match(bare.stderr, /Usage: npm run download -- <bucket> <run or prefix> \[directory\]/)
    }))
})
