import { assert, it } from "@effect/vitest"
import { prepare, Prompt, run } from "@bedrock-batch/sdk"
import { Effect, Fiber } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { audit } from "../rig/Audit.ts"
import { plainTable, sourceOf } from "../rig/Data.ts"
import { bucket, haiku, quick, roleArn, soon, start } from "../rig/Stack.ts"

const command = (name: string, args: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const child = spawn(name, args, {
      env: { ...process.env, AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b", AWS_DEFAULT_REGION: "us-east-1", AWS_PAGER: "" }
    })
    let output = ""
    child.stdout.on("data", (part) => output += part)
    child.stderr.on("data", (part) => output += part)
    const code: number | null = await once(child, "close").then(([code]) => code, () => null)
    return { code, output }
  })

it.live("the aws command and the sdk see the same jobs: create, get, list, stop", (context) =>
  Effect.gen(function*() {
    if ((yield* command("aws", ["--version"])).code !== 0) {
      process.stderr.write("SKIPPED: there is no aws command on the PATH, so the wire is not checked against it\n")
      return context.skip("no aws command on the PATH")
    }
    const stack = yield* start({ timing: { ...quick, running: 60_000 } })
    const aws = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
      const { code, output } = yield* command("aws", ["--endpoint-url", stack.url, "--output", "json", "bedrock", ...args])
      assert.strictEqual(code, 0, output)
      return output.trim() === "" ? null : JSON.parse(output)
    })
    const table = plainTable(120)
    const definition = { name: "cli", source: sourceOf(table), model: haiku, prompt: Prompt.make("{id}: {topic}"), wait: soon } as const
    const prepared = yield* prepare(definition).pipe(Effect.provide(stack.layer()))
    const [job] = prepared.jobs
    const { jobArn } = yield* aws(
      ...["create-model-invocation-job", "--job-name", "by-hand", "--role-arn", roleArn, "--model-id", haiku],
      ...["--input-data-config", JSON.stringify({ s3InputDataConfig: { s3Uri: `s3://${bucket}/${job!.input}` } })],
      ...["--output-data-config", JSON.stringify({ s3OutputDataConfig: { s3Uri: `s3://${bucket}/by-hand/` } })],
      ...["--timeout-duration-in-hours", "24"]
    )
    const got = yield* aws("get-model-invocation-job", "--job-identifier", jobArn)
    assert.deepInclude(got, { jobName: "by-hand", timeoutDurationInHours: 24, roleArn })
    while ((yield* stack.emulator.get(jobArn)).status !== "InProgress") yield* Effect.sleep(20)
    const listed = yield* aws("list-model-invocation-jobs", "--name-contains", "hand", "--status-equals", "InProgress")
    assert.deepStrictEqual(listed.invocationJobSummaries.map((one: { readonly jobArn: string }) => one.jobArn), [jobArn])
    yield* aws("stop-model-invocation-job", "--job-identifier", jobArn)
    let status = ""
    while (status !== "Stopped") status = (yield* aws("get-model-invocation-job", "--job-identifier", jobArn)).status
    const none = yield* command("aws", ["--endpoint-url", stack.url, "bedrock", "get-model-invocation-job", "--job-identifier", "a".repeat(12)])
    assert.match(none.output, /ResourceNotFoundException/)

    // The sdk's own job of the same run is another one: somebody else's is never taken for it.
    const submitting = run(definition).pipe(Effect.provide(stack.layer()))
    const fiber = yield* Effect.forkChild(submitting)
    let mine: string | undefined
    while (mine === undefined) {
      const { invocationJobSummaries: jobs } = yield* aws("list-model-invocation-jobs", "--name-contains", prepared.id)
      mine = jobs.find((one: { readonly status: string }) => one.status === "InProgress")?.jobArn
    }
    assert.notStrictEqual(mine, jobArn)
    yield* aws("stop-model-invocation-job", "--job-identifier", mine)
    const collected = yield* Fiber.join(fiber)
    const { statuses } = yield* audit(stack, collected, table, (cells) => `${cells.get("id")}: ${cells.get("topic")}`)
    assert.deepStrictEqual(statuses, ["Stopped"])
    assert.strictEqual((yield* stack.emulator.stats).jobsCreated, 2)
  }), 60_000)

it.live("npm run pipeline says what is wrong with a bucket to copy into, and ends", () =>
  Effect.gen(function*() {
    const script = fileURLToPath(new URL("../pipeline/pipeline.ts", import.meta.url))
    const topics = fileURLToPath(new URL("../../examples/pipeline/topics.csv", import.meta.url))
    const input = fileURLToPath(new URL("../../examples/pipeline/jokes.json", import.meta.url))
    for (const name of ["My_Data", "b", "a..b", "10.0.0.1"]) {
      const put = `${topics}=s3://${name}/topics.csv`
      const { code, output } = yield* command(process.execPath, [script, "--input", input, "--put", put])
      assert.strictEqual(code, 2, output)
      assert.include(output, `${name} is no name of a bucket`)
    }
  }))
