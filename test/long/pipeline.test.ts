import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { parquetWriteBuffer } from "hyparquet-writer"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"
import { startFakeHub } from "../../packages/sdk/test/rig/FakeHub.ts"
import { hasMoto } from "../rig/Moto.ts"
import { needsOf, rolesOf } from "../rig/Permissions.ts"
import {
  assemblyOf,
  columnsOf,
  csvInput,
  dataBucket,
  expectEveryAnswer,
  expectSettled,
  inventoryOf,
  outputOf,
  resultsOf,
  startPipeline
} from "../rig/PipelineRuns.ts"
import type { Pipeline } from "../rig/Pipeline.ts"
import { quick, titan } from "../rig/Stack.ts"
import type { TappedCall } from "../rig/Tap.ts"

/** Runs an execution while the schedules of the template strike every second. */
const swept = (pipeline: Pipeline, input: unknown) =>
  pipeline.execute(input).pipe(
    Effect.raceFirst(Effect.forever(Effect.andThen(Effect.sleep("1 second"), pipeline.sweep)))
  )

/** What a call does, whatever its run, job and random ids; null where it changes nothing. */
const stepOf = ({ method, operation, server, url }: TappedCall): string | null => {
  if (server === "DYNAMODB" || server === "SFN") {
    return operation === null || /^(Get|Query)/.test(operation) ? null : `${server} ${operation}`
  }
  if (method === "GET" || method === "HEAD" || server === "SERVICE_QUOTAS") return null
  const [path = ""] = url.split("?")
  if (server === "BEDROCK") return `${server} ${method} ${path.replace(/job\/.*/, "job/...")}`
  const kind = decodeURIComponent(path).replace(/[0-9a-f]{16}/g, "ID").replace(/\d+-\d{6}/g, "JOB")
    .replace(/\/[^/]*capacity\/.*/, "/capacity").replace(/(map-results|runs)\/[^/]+/, "$1/RUN").replace(/\d+/g, "N")
  return `${method} ${kind}`
}

/** Jobs of the largest run; `JOBS` in the environment says otherwise. */
const manyJobs = Number(process.env["JOBS"] ?? 2_500)

describe("the pipeline of the synthesized template", () => {
  it.live("carries many jobs in states of a few hundred bytes", () =>
    Effect.gen(function*() {
      const pipeline = yield* startPipeline({
        assembly: assemblyOf({ maxSubmittedAndInProgressJobs: 60 }),
        concurrency: 3,
        sweepEvery: 60_000
      })
      const input = yield* csvInput(pipeline, "many", manyJobs * 100)
      const execution = yield* pipeline.execute(input)
      const { counts, jobs, results, runId } = outputOf(execution)
      assert.deepStrictEqual([counts.succeeded, jobs, results.count, results.paths.length], [
        manyJobs * 100,
        manyJobs,
        manyJobs,
        50
      ])
      const { history } = execution
      assert.deepInclude(history.mapRuns, {
        map: "Jobs",
        items: manyJobs,
        succeeded: manyJobs,
        failed: 0,
        mostAtOnce: 60
      })
      assert.isBelow(history.largest.bytes, 8_000, history.largest.state)
      const children = history.steps.filter(({ child }) => child !== null)
      assert.isBelow(Math.max(...children.map(({ bytes = 0 }) => bytes)), 400)
      yield* expectSettled(pipeline, [runId])
    }))

  it.live("comes to the same end wherever a function is killed", () =>
    Effect.gen(function*() {
      const killed = new Set<string>()
      // A task is tried thirteen times, so that no execution loses more of one function.
      const mostOfOne = 8
      let ofExecution = new Map<unknown, number>()
      let running: Pipeline | null = null
      const pipeline = yield* startPipeline({
        emulator: { faults: { partialJob: { next: 2 } } },
        breaks: (call, when) => {
          const step = stepOf(call)
          if (step === null || call.sandbox === null) return false
          // The first to come to a step is killed before it, the second one after.
          const name = `${step}, ${when}`
          if (killed.has(name) || when === "after" && !killed.has(`${step}, before`)) return false
          const fn = running?.functionOf(call.sandbox)
          const times = ofExecution.get(fn) ?? 0
          if (times === mostOfOne) return false
          ofExecution.set(fn, times + 1)
          killed.add(name)
          running?.kill(call.sandbox)
          return true
        }
      })
      running = pipeline
      const runIds: Array<string> = []
      let before = -1
      while (before < killed.size) {
        before = killed.size
        ofExecution = new Map()
        const input = yield* csvInput(pipeline, `killed-${runIds.length}`, 1_500, { retry: 2 })
        const execution = yield* swept(pipeline, input)
        yield* expectEveryAnswer(pipeline, execution, 1_500)
        runIds.push(outputOf(execution).runId)
      }
      assert.includeMembers([...killed], [
        "BEDROCK POST /model-invocation-job, before",
        "BEDROCK POST /model-invocation-job, after",
        "DYNAMODB PutItem, before",
        "DYNAMODB PutItem, after",
        "DYNAMODB UpdateItem, before",
        "DYNAMODB UpdateItem, after",
        "SFN SendTaskSuccess, before",
        "SFN SendTaskSuccess, after"
      ])
      assert.isAtLeast(killed.size, 36)
      yield* expectSettled(pipeline, runIds, { mayHaveGivenUp: true })
    }))

  it.live("prepares in as many rounds as it takes", () =>
    Effect.gen(function*() {
      const pipeline = yield* startPipeline({
        environment: { ROUND_MARGIN_SECONDS: "2" },
        functionTimeouts: { Prepare: 6_000 }
      })
      // Each job takes a second.
      pipeline.s3.faults.push({
        match: ({ method, url }) => method === "PUT" && url.includes("/inputs/"),
        delayMs: 1_000
      })
      const input = yield* csvInput(pipeline, "rounds", 1_600)
      const execution = yield* pipeline.execute(input)
      yield* expectEveryAnswer(pipeline, execution, 1_600)
      const rounds = execution.history.path.filter((state) => state === "Prepare").length
      assert.isAtLeast(rounds, 5)
      assert.strictEqual(outputOf(execution).jobs, 16)
      yield* expectSettled(pipeline, [outputOf(execution).runId])
    }))

  it.live("embeds a Parquet file, and a dataset of the Hub up to its limits", () =>
    Effect.gen(function*() {
      const texts = Array.from({ length: 420 }, (_, i) => `text number ${i}`)
      const parquet = Buffer.from(parquetWriteBuffer({
        columnData: [
          { name: "id", data: texts.map((_, i) => i), type: "INT32" },
          { name: "input_text", data: texts, type: "STRING" }
        ]
      }))
      const hub = yield* Effect.acquireRelease(
        Effect.promise(startFakeHub),
        (hub) => Effect.promise(() => hub.close())
      )
      hub.commit("somebody/texts", { "data/train-00000-of-00001.parquet": parquet })
      const pipeline = yield* startPipeline({ environment: { HF_ENDPOINT: hub.hubUrl } })
      yield* pipeline.put(dataBucket, "texts.parquet", parquet)
      const model = { model_id: titan, prompt_id: null, max_records_per_batch: 200 }
      const inputs = [
        { ...model, job_name_prefix: "from-s3", s3_uri: `s3://${dataBucket}/texts.parquet` },
        { ...model, job_name_prefix: "from-hub", dataset_id: "somebody/texts", max_num_jobs: 1 }
      ]
      const [fromS3, fromHub] = yield* Effect.all(inputs.map((input) => pipeline.execute(input)), {
        concurrency: "unbounded"
      })
      for (const [execution, rows] of [[fromS3!, 420], [fromHub!, 200]] as const) {
        const results = yield* resultsOf(pipeline, execution)
        const cells = columnsOf(results, "id", "input_text", "batch_status")
        assert.deepStrictEqual(cells, texts.slice(0, rows).map((text, i) => [i, text, "succeeded"]))
        for (const [vector] of columnsOf(results, "embedding")) assert.lengthOf(vector as Array<number>, 1024)
      }
      yield* expectSettled(pipeline, [outputOf(fromS3!).runId, outputOf(fromHub!).runId])
    }))

  it.live("answers a task whose job had ended before its token was stored", () =>
    Effect.gen(function*() {
      let kills = 3
      let running: Pipeline | null = null
      const pipeline = yield* startPipeline({
        // The job is over and its event handled before submit is tried again.
        clock: { longestPause: 3_000 },
        breaks: ({ method, sandbox, server }, when) => {
          const isCreated = server === "BEDROCK" && method === "POST" && when === "after"
          if (!isCreated || sandbox === null || kills-- <= 0) return false
          running?.kill(sandbox)
          return true
        }
      })
      running = pipeline
      const input = yield* csvInput(pipeline, "early", 300)
      const execution = yield* pipeline.execute(input)
      yield* expectEveryAnswer(pipeline, execution, 300)
      assert.deepStrictEqual([...execution.history.errors("Submit")], Array(3).fill("Runtime.ExitError"))
      yield* expectSettled(pipeline, [outputOf(execution).runId])
    }))

  it.live("finds its job again when a task waits too long", () =>
    Effect.gen(function*() {
      const pipeline = yield* startPipeline({
        clock: { longestPause: 50, timeouts: { Submit: 3_000 } },
        emulator: { timing: { ...quick, running: 5_000 }, faults: { dropEvents: 1 } }
      })
      const input = yield* csvInput(pipeline, "slow", 200)
      const execution = yield* pipeline.execute(input)
      yield* expectEveryAnswer(pipeline, execution, 200)
      assert.include([...execution.history.errors("Submit")], "States.Timeout")
      // No event ever came: the sweep makes the inventory true.
      yield* pipeline.sweep
      yield* expectSettled(pipeline, [outputOf(execution).runId])
    }))

  it.live("keeps events that no function could handle, and answers by the sweep", () =>
    Effect.gen(function*() {
      let running: Pipeline | null = null
      const pipeline = yield* startPipeline({
        breaks: ({ sandbox, server }, when) =>
          server === "SFN" && when === "before" && sandbox !== null &&
          running?.functionOf(sandbox) === running?.functions["Event"]
      })
      running = pipeline
      const lettersOf = () => Object.values(pipeline.queues).flatMap((queue) => queue.bodies())
      // The schedule strikes once both events are given up.
      const sweeping = Effect.forever(Effect.andThen(
        Effect.sleep("100 millis"),
        Effect.suspend(() => lettersOf().length < 2 ? Effect.void : pipeline.sweep)
      ))
      const input = yield* csvInput(pipeline, "unheard", 200)
      const execution = yield* pipeline.execute(input).pipe(Effect.raceFirst(sweeping))
      yield* expectEveryAnswer(pipeline, execution, 200)
      const letters = lettersOf()
      assert.isAtLeast(letters.length, 2)
      for (const letter of letters) assert.strictEqual(JSON.parse(letter).source, "aws.bedrock")
      yield* pipeline.sweep
      yield* expectSettled(pipeline, [outputOf(execution).runId], { mayHaveGivenUp: true })
    }))

  it.live("stops what is open at its deadline, and keeps what was answered", () =>
    Effect.gen(function*() {
      const pipeline = yield* startPipeline({
        emulator: { timing: { ...quick, running: ({ name }) => name.includes("-1-000001") ? 600_000 : 60 } }
      })
      const input = yield* csvInput(pipeline, "late", 300, { deadline_hours: 10 / 3600, output_format: "jsonl" })
      const execution = yield* swept(pipeline, input)
      const { counts } = outputOf(execution)
      // Of the job that was stopped, what it had answered by then.
      assert.isTrue(counts.succeeded >= 200 && counts.succeeded < 300, JSON.stringify(counts))
      const rows = yield* resultsOf(pipeline, execution)
      assert.lengthOf(rows.rows, 300)
      yield* expectSettled(pipeline, [outputOf(execution).runId])
    }))

  it.live("emits what each alarm of the template looks at", () =>
    Effect.gen(function*() {
      const pipeline = yield* startPipeline({
        emulator: {
          timing: { ...quick, running: ({ name }) => name.includes("-1-000002") ? 8_000 : 60 },
          faults: { dropEvents: 1, failJob: { next: 1 } }
        }
      })
      const input = yield* csvInput(pipeline, "alarming", 300)
      // One of the jobs was submitted long ago, says the inventory.
      const age = Effect.gen(function*() {
        yield* Effect.sleep("300 millis")
        for (const { pk, sk, status } of yield* inventoryOf(pipeline)) {
          if (!pk?.S?.includes("-1-000002") || sk?.S !== "job" || status?.S !== "InProgress") continue
          const submittedAt = { S: "2026-01-01T00:00:00.000Z" }
          yield* Effect.promise(() => pipeline.tables.set(pipeline.table, { pk, sk }, "submittedAt", submittedAt))
        }
      })
      outputOf(yield* swept(pipeline, input).pipe(Effect.raceFirst(Effect.forever(age))))
      const points = pipeline.logs.join("").split("\n").flatMap((line) => {
        if (!line.includes("\"_aws\"")) return []
        const { _aws, ...values } = JSON.parse(line)
        return _aws.CloudWatchMetrics.flatMap(({ Dimensions, Metrics, Namespace }: any) =>
          Metrics.map(({ Name }: any) => ({
            namespace: Namespace,
            metric: Name,
            dimensions: Object.fromEntries(Dimensions[0].map((name: string) => [name, values[name]])),
            value: values[Name]
          }))
        )
      })
      const alarms = pipeline.template.of("AWS::CloudWatch::Alarm").filter(({ properties }) =>
        properties.Namespace === "BedrockBatch"
      )
      assert.isAtLeast(alarms.length, 3)
      for (const { id, properties } of alarms) {
        const { Dimensions = [], MetricName: metric, Namespace: namespace } = properties
        const dimensions = Object.fromEntries(Dimensions.map(({ Name, Value }: any) => [Name, Value]))
        const values = points.filter((point) =>
          point.namespace === namespace && point.metric === metric &&
          JSON.stringify(point.dimensions) === JSON.stringify(dimensions)
        ).map(({ value }) => value)
        assert.isAbove(Math.max(0, ...values), 0, `${id}: ${metric} was never above 0`)
      }
    }))

  it.live("calls nothing that the roles of the template do not allow", () =>
    Effect.gen(function*() {
      const calls: Array<TappedCall> = []
      let creations = 0
      const pipeline = yield* startPipeline({
        emulator: { timing: { ...quick, running: ({ name }) => name.includes("stopped") ? 600_000 : 60 } },
        breaks: (call, when) => {
          if (when === "before") calls.push(call)
          // Some creations are found in Bedrock's list alone.
          const isCreated = call.server === "BEDROCK" && call.method === "POST" && /job$/.test(call.url) && when === "after"
          return isCreated && creations++ % 3 === 0
        }
      })
      const { bucket, template } = pipeline
      // Rows in the pipeline's own bucket are what every deployment may read.
      const inputOf = Effect.fnUntraced(function*(name: string, rows: number, rest: object) {
        const input = yield* csvInput(pipeline, name, rows, { s3_uri: `s3://${bucket}/inputs/${name}.csv`, ...rest })
        yield* pipeline.put(bucket, `inputs/${name}.csv`, yield* pipeline.text(dataBucket, `${name}.csv`))
        return input
      })
      pipeline.emulator.faults.set({ partialJob: { next: 1 }, failJob: { next: 1 }, quotaFull: { next: 1 } })
      const mended = yield* swept(pipeline, yield* inputOf("mended", 900, { retry: 2 }))
      const stopped = yield* swept(pipeline, yield* inputOf("stopped", 150, { deadline_hours: 5 / 3600 }))
      const few = yield* swept(pipeline, yield* inputOf("few", 20, { below_minimum: "on-demand" }))
      assert.strictEqual(outputOf(few).counts.succeeded, 20)
      yield* Effect.promise(() => pipeline.functions["Sweep"]!.invoke({ rebuild: outputOf(mended).runId }))
      assert.strictEqual(outputOf(stopped).records, 150)

      const roles = rolesOf(template)
      const account = { region: pipeline.region, accountId: pipeline.emulator.accountId }
      const denied = new Set<string>()
      const needed = new Set<string>()
      for (const call of calls) {
        const fn = call.sandbox === null ? undefined : pipeline.functionOf(call.sandbox)
        assert.isDefined(fn, `${call.server} ${call.url}`)
        const [called] = Object.entries(pipeline.functions).find(([, one]) => one === fn)!
        for (const need of needsOf(call, account)) {
          needed.add(need.action)
          if (!roles.get(fn!.options.arn)!.allows(need)) denied.add(`${called}: ${need.action} ${need.resource}`)
        }
      }
      assert.deepStrictEqual([...denied], [])
      const expected = [
        "bedrock:CreateModelInvocationJob",
        "bedrock:GetModelInvocationJob",
        "bedrock:ListModelInvocationJobs",
        "bedrock:StopModelInvocationJob",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "iam:PassRole",
        "s3:ListBucket",
        "s3:PutObject",
        "states:SendTaskSuccess"
      ]
      assert.deepStrictEqual(expected.filter((action) => !needed.has(action)), [])
      const event = roles.get(pipeline.functions["Event"]!.options.arn)!
      assert.isFalse(event.allows({ action: "s3:DeleteObject", resource: `arn:aws:s3:::${bucket}/runs/x` }))
      assert.isFalse(event.allows({ action: "s3:PutObject", resource: "arn:aws:s3:::another/runs/x" }))
      const machine = roles.get(pipeline.machineArn)!
      for (const [called, { options }] of Object.entries(pipeline.functions)) {
        const may = machine.allows({ action: "lambda:InvokeFunction", resource: options.arn })
        assert.strictEqual(may, !["Event", "Sweep"].includes(called), called)
      }
      const { runId } = outputOf(mended)
      const list = `arn:aws:s3:::${bucket}/runs/${runId}/pipeline/jobs-1.json`
      assert.isTrue(machine.allows({ action: "s3:GetObject", resource: list }))
    }))

  it.live("makes the inventory of a run anew", () =>
    Effect.gen(function*() {
      const pipeline = yield* startPipeline()
      const execution = yield* pipeline.execute(yield* csvInput(pipeline, "rebuilt", 300))
      const { runId } = outputOf(execution)
      const jobs = (items: ReadonlyArray<any>) =>
        items.filter(({ sk }) => sk.S === "job").map(({ arn, pk, status }) => [pk.S, status.S, arn.S].join()).sort()
      const before = jobs(yield* inventoryOf(pipeline))
      yield* Effect.promise(() => pipeline.tables.clear(pipeline.table))
      const answer = yield* Effect.promise(() => pipeline.functions["Sweep"]!.invoke({ rebuild: runId }))
      assert.isTrue(answer.ok, JSON.stringify(answer))
      assert.deepStrictEqual(jobs(yield* inventoryOf(pipeline)), before)
      assert.lengthOf(before, 3)
    }))

  it.live("comes to the same on another interpreter, moto's", (context) =>
    Effect.gen(function*() {
      if (!hasMoto()) {
        process.stderr.write("SKIPPED: python3 has no moto, so no second interpreter runs the state machine\n")
        return context.skip("python3 has no moto")
      }
      const pipeline = yield* startPipeline({ interpreter: "moto" })
      pipeline.emulator.faults.set({ partialJob: { next: 1 }, throttleCreate: { next: 1 } })
      const input = yield* csvInput(pipeline, "other", 300, { retry: 2 })
      const execution = yield* swept(pipeline, input)
      yield* expectEveryAnswer(pipeline, execution, 300)
      assert.deepStrictEqual(
        execution.history.path,
        ["Begin", "Prepare", "Prepared?", "Jobs", "Finish", "Again?", "Retry", "Jobs", "Finish", "Again?", "Done"]
      )
      const failed = yield* pipeline.execute({ ...input, prompt_id: "joke_about_topic" })
      assert.deepStrictEqual([failed.status, failed.error], ["FAILED", "InvalidInput"])
      assert.deepStrictEqual(failed.history.path, ["Begin", "Prepare", "Failed"])
      yield* expectSettled(pipeline, [outputOf(execution).runId], { mayHaveGivenUp: true })
    }))

  it("is a command that prints the output and the history of states", () => {
    const root = join(import.meta.dirname, "../..")
    const folder = fs.mkdtempSync(join(root, "output-pipeline-"))
    const run = (...args: ReadonlyArray<string>) =>
      spawnSync("npm", ["run", "-s", "pipeline", "--", ...args], { cwd: root, encoding: "utf8" })
    try {
      const jokes = ["--input", "examples/pipeline/jokes.json"]
      const topics = ["--put", "examples/pipeline/topics.csv=s3://example-data/topics.csv"]
      const { status, stderr, stdout } = run(...jokes, ...topics, "--json", "--keep", folder)
      assert.strictEqual(status, 0, stderr)
      const { history, output, results, status: ended } = JSON.parse(stdout)
      assert.strictEqual(ended, "SUCCEEDED")
      assert.strictEqual(output.counts.succeeded, 240)
      assert.deepInclude(history[0], { state: "Begin", event: "entered", at: 0 })
      for (const file of results) assert.isTrue(fs.existsSync(file), file)
      const missing = run(...jokes)
      assert.strictEqual(missing.status, 1, missing.stderr)
      assert.include(missing.stdout, "InvalidSource")
      assert.strictEqual(run("--input", "none.json").status, 2)
    } finally {
      fs.rmSync(folder, { recursive: true })
    }
  })
})
