import { afterAll, assert, beforeAll, beforeEach, describe, it, vi } from "vitest"
import { type Bench, execution, inputOf, type Life, start, topics } from "../rig/Handlers.ts"
import { atOnce } from "../rig/PipelineAtOnce.ts"
import { kills } from "../rig/PipelineKills.ts"
import { endOf, execute, isSettled, itemsOf, jobsOf, openItems, prepare, submit, until } from "../rig/PipelineRun.ts"

let bench: Bench
let life: Life
let lines: Array<any> = []

beforeAll(async () => {
  // One model that the service does not take.
  bench = await start({ emulator: { models: (id) => !id.includes("nova-micro") } })
  life = await bench.life()
})
afterAll(() => bench.close())

beforeEach(() => {
  lines = []
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    for (const line of String(text).split("\n")) if (line.startsWith("{")) lines.push(JSON.parse(line))
    return true
  })
})

/** A run of so many jobs, prepared. */
const runOf = async (name: string, jobs = 1, more: object = {}) => {
  await bench.put(`inputs/${name}.csv`, topics(100 * jobs))
  const input = inputOf(name, more)
  const run = await prepare(life, input)
  return { input, run, items: await itemsOf(bench, run) }
}

const failureOf = async (promise: Promise<unknown>): Promise<Error> => {
  const error: unknown = await promise.then(() => null, (error) => error)
  assert.instanceOf(error, Error)
  return error as Error
}

const nameOf = (run: any, { key }: any): string =>
  bench.events.find(({ detail }) => detail.batchJobName.startsWith(`${run.runId}-${key}`))!.detail.batchJobName

const arnOf = (run: any, { key }: any): string =>
  bench.events.find(({ detail }) => detail.batchJobName.startsWith(`${run.runId}-${key}`))!.detail.batchJobArn

/** Waits until Bedrock says that a job has a status. */
const comesTo = (run: any, item: any, status: string) => {
  const isIt = ({ detail }: Bench["events"][number]) =>
    detail.batchJobArn === arnOf(run, item) && detail.status === status
  return until(() => bench.events.some(isIt))
}

/** The sum of a metric's data points so far. */
const metric = (name: string): number => {
  const values = lines.filter((line) => line._aws !== undefined && name in line).map((line) => line[name])
  return values.reduce((sum, value) => sum + value, 0)
}

describe("the functions of a pipeline", () => {
  it("take an input to its results, and say where they are", async () => {
    await bench.put("inputs/whole.csv", topics(250))
    const input = inputOf("whole", { result_columns: { response: "joke" } })
    const done = await execute(bench, life, input)
    assert.deepInclude(done, { records: 250, jobs: 2, attempt: 1, again: false, mendable: 0 })
    assert.deepInclude(done.counts, { succeeded: 250, missing: 0 })
    assert.strictEqual(done.results.count, 2)
    assert.deepStrictEqual(JSON.parse(await bench.get(done.results.list)), done.results.paths)
    assert.strictEqual(JSON.parse(await bench.get(done.report)).counts.succeeded, 250)
    assert.isBelow(JSON.stringify(done).length, 2_000)
    assert.deepStrictEqual(await openItems(bench), [])
    assert.deepStrictEqual(["JobsSubmitted", "JobsEnded", "JobsFailed", "RunsFinished"].map(metric), [2, 2, 0, 1])
    assert.deepStrictEqual(["Records", "RecordsSucceeded"].map(metric), [250, 250])
  })

  it("log no contents of records, no prompts and no tokens", async () => {
    await bench.put("inputs/secret.csv", topics(100).replaceAll("topic ", "whisper "))
    const input = inputOf("secret", { prompt_id: null, prompt_template: "murmur {topic}", system: "mumble" })
    await execute(bench, life, input)
    const answers = bench.tokens.answers.map(({ token }) => token)
    const text = JSON.stringify(lines)
    for (const secret of ["whisper", "murmur", "mumble", ...answers]) assert.notInclude(text, secret)
    assert.isNotEmpty(lines)
    for (const line of lines.filter(({ _aws }) => _aws === undefined)) {
      assert.isString(line.requestId)
      assert.isString(line.function)
    }
  })

  it("join one run when an execution is started twice at once, and pay once", async () => {
    await bench.put("inputs/twice.csv", topics(300))
    const input = inputOf("twice")
    const other = await bench.life()
    const [one, two] = await Promise.all([
      execute(bench, life, input),
      execute(bench, other, input, { ...execution, name: "execution-2" })
    ])
    assert.deepStrictEqual(one.results, two.results)
    for (const key of ["1-000000", "1-000001", "1-000002"]) assert.strictEqual(jobsOf(bench, one.runId, key), 1)
    assert.deepStrictEqual(await openItems(bench), [])
  })

  it("make another run of other rows under the same prefix", async () => {
    await bench.put("inputs/prefix.csv", topics(100))
    const input = inputOf("prefix")
    const first = await prepare(life, input)
    await bench.put("inputs/prefix.csv", topics(101))
    const second = await prepare(life, input)
    assert.notStrictEqual(first.runId, second.runId)
    assert.match(second.runId, /^prefix-[0-9a-f]{10}$/)
  })

  it("send the trace of a call on to the services", async () => {
    const trace = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1"
    const traced = await bench.life({ env: { _X_AMZN_TRACE_ID: trace, AWS_LAMBDA_FUNCTION_NAME: "sweep" } })
    await traced.call("sweep", {})
    assert.strictEqual(traced.calls[0]?.headers["x-amzn-trace-id"], trace)
    assert.include(lines.map(({ traceId }) => traceId), trace)
  })
})

describe("prepare", () => {
  it("tells all that is wrong with an input at once, by the name InvalidInput", async () => {
    const input = { ...inputOf("wrong_name"), prompt_id: null, promt: 1, max_num_jobs: 0 }
    const error = await failureOf(life.call("prepare", { input, execution, run: null }))
    assert.strictEqual(error.name, "InvalidInput")
    for (const field of ["promt", "job_name_prefix", "prompt_id", "max_num_jobs"]) {
      assert.include(error.message, `${field}: `)
    }
  })

  it("says which column a prompt lacks, by the name InvalidColumns, before anything is written", async () => {
    await bench.put("inputs/columns.csv", "topics\n".concat("x\n".repeat(100)))
    const error = await failureOf(life.call("prepare", { input: inputOf("columns"), execution, run: null }))
    assert.strictEqual(error.name, "InvalidColumns")
    assert.include(error.message, "topics")
    assert.deepStrictEqual(await bench.keys("runs/columns-"), [])
  })

  it("takes prompts of the bucket by their ids, and names ids that are near", async () => {
    await bench.put("prompts/limerick.txt", "A limerick about {topic}, please.\n")
    await bench.put("inputs/limerick.csv", topics(100))
    const own = await bench.life({ env: { PROMPTS_PREFIX: "prompts" } })
    const run = await prepare(own, inputOf("limerick", { prompt_id: "limerick" }))
    const [key] = (await bench.keys(`runs/${run.runId}/inputs/`))
    assert.include(await bench.get(key!), "A limerick about topic 0, please.")
    const error = await failureOf(prepare(own, inputOf("limerick", { prompt_id: "limerik" })))
    assert.strictEqual(error.name, "InvalidInput")
    assert.include(error.message, "limerick")
    const none = await bench.life({ env: { PROMPTS_PREFIX: "nothing-here" } })
    assert.isTrue((await prepare(none, inputOf("limerick"))).prepared)
  })

  it("says that the rows changed between two rounds, and what to do, by the name RunConflict", async () => {
    const { input, run } = await runOf("changed")
    const begun = { ...run, prepared: false }
    await bench.put("inputs/changed.csv", topics(150))
    const error = await failureOf(life.call("prepare", { input, execution, run: begun }))
    assert.strictEqual(error.name, "RunConflict")
    assert.include(error.message, "changed while it was prepared")
    assert.include(error.message, "start an execution with the same input")
    const named = { ...input, run_id: run.runId }
    const other = await failureOf(life.call("prepare", { input: named, execution, run: null }))
    assert.include(other.message, "choose another run_id")
  })

  it("answers a deadline that counts from the execution's start", async () => {
    const { run } = await runOf("deadline", 1, { deadline_hours: 1.5 })
    assert.strictEqual(run.deadline, "2026-11-23T01:30:00.000Z")
  })

  it("refuses a model that the deployment does not allow, and takes a profile of one that it does", async () => {
    const env = { ALLOWED_MODELS: "[\"anthropic.claude-haiku-4-5-20251001-v1:0\"]" }
    const strict = await bench.life({ env })
    await bench.put("inputs/allowed.csv", topics(100))
    assert.isTrue((await prepare(strict, inputOf("allowed"))).prepared)
    const error = await failureOf(prepare(strict, inputOf("allowed", { model_id: "amazon.nova-lite-v1:0" })))
    assert.strictEqual(error.name, "InvalidInput")
    assert.include(error.message, "does not allow")
  })

  it("fails each call with what is wrong with the deployment", async () => {
    const wrong = await bench.life({ env: { JOB_TIMEOUT_HOURS: "a day" } })
    for (const _ of [1, 2]) {
      const error = await failureOf(wrong.call("sweep", {}))
      assert.strictEqual(error.name, "InvalidInput")
      assert.include(error.message, "JOB_TIMEOUT_HOURS")
    }
  })
})

describe("submit", () => {
  it("leaves the answer to the event of the job's end", async () => {
    const { items: [item], run } = await runOf("event")
    const task = submit(bench, life, run, item)
    assert.deepStrictEqual(await task.called, { key: "1-000000", status: null })
    const end = await endOf(bench, run.runId, item.key)
    assert.isFalse(await isSettled(task.answer))
    await life.call("event", end)
    assert.deepStrictEqual(await task.answer, { status: "Completed" })
    assert.include(await bench.keys(`runs/${run.runId}/jobs/`), `runs/${run.runId}/jobs/1-000000.end`)
  })

  it("answers a token that comes after the job has ended and its event was heard", async () => {
    const { items: [item], run } = await runOf("late-token")
    const first = submit(bench, life, run, item)
    await first.called
    await life.call("event", await endOf(bench, run.runId, item.key))
    const second = submit(bench, life, run, item)
    assert.deepStrictEqual(await second.called, { key: "1-000000", status: "Completed" })
    assert.deepStrictEqual(await second.answer, { status: "Completed" })
    assert.strictEqual(jobsOf(bench, run.runId, item.key), 1)
  })

  it("answers a token that comes after the job has ended and its event was lost", async () => {
    const { items: [item], run } = await runOf("lost-event")
    const first = submit(bench, life, run, item)
    await first.called
    await endOf(bench, run.runId, item.key)
    const second = submit(bench, life, run, item)
    await second.called
    assert.deepStrictEqual(await second.answer, { status: "Completed" })
    assert.deepStrictEqual(await first.answer, { status: "Completed" })
    assert.deepStrictEqual(await openItems(bench), [])
  })

  it("stores a token that comes again as one that waits", async () => {
    const { items: [item], run } = await runOf("slow-again")
    const task = submit(bench, life, run, item)
    await task.called
    await life.call("submit", task.event)
    await bench.stop(arnOf(run, item))
    await life.call("event", await endOf(bench, run.runId, item.key))
    assert.deepStrictEqual(await task.answer, { status: "Stopped" })
    assert.strictEqual(bench.tokens.answers.filter(({ token }) => token === task.token).length, 1)
  })

  it("fails with CapacityFull where all slots are taken, and has one when a job has ended", async () => {
    const { items, run } = await runOf("slow-full", 2)
    const narrow = await bench.life({ env: { MAX_OPEN_JOBS: "1" } })
    await submit(bench, narrow, run, items[0]).called
    const error = await failureOf(submit(bench, narrow, run, items[1]).called)
    assert.strictEqual(error.name, "CapacityFull")
    assert.strictEqual(metric("CapacityWaits"), 1)
    assert.isFalse((await openItems(bench)).some((id) => id.includes("1-000001")))
    await bench.stop(arnOf(run, items[0]))
    await narrow.call("event", await endOf(bench, run.runId, "1-000000"))
    await submit(bench, narrow, run, items[1]).called
    await bench.stop(arnOf(run, items[1]))
    await narrow.call("event", await endOf(bench, run.runId, "1-000001"))
  })

  for (const [fault, name] of [["quotaFull", "CapacityFull"], ["throttleCreate", "Throttled"]] as const) {
    it(`fails with ${name} where Bedrock says so, and leaves nothing open`, async () => {
      const { items: [item], run } = await runOf(`not-now-${name.toLowerCase()}`)
      bench.emulator.faults.set({ [fault]: { next: 1 } })
      // A process to which Bedrock said so asks no more for about a minute.
      const refused = await bench.life()
      assert.strictEqual((await failureOf(submit(bench, refused, run, item).called)).name, name)
      assert.deepStrictEqual(await openItems(bench), [])
      const again = await bench.life()
      const task = submit(bench, again, run, item)
      await task.called
      await again.call("event", await endOf(bench, run.runId, item.key))
      assert.deepStrictEqual(await task.answer, { status: "Completed" })
    })
  }

  it("answers that a job was refused, whose rows are then missing", async () => {
    const { input, items: [item], run } = await runOf("refused", 1, { model_id: "amazon.nova-micro-v1:0" })
    const task = submit(bench, life, run, item)
    await task.called
    assert.deepStrictEqual(await task.answer, { status: "Refused" })
    assert.deepStrictEqual(await openItems(bench), [])
    await life.call("collect", { runId: run.runId, key: item.key, format: "csv" })
    const done = await life.call("finish", { runId: run.runId, attempt: 1, input })
    assert.deepInclude(done.counts, { missing: 100, succeeded: 0 })
    assert.strictEqual(metric("JobsFailed"), 1)
  })

  it("fails by the name Refused where Bedrock says no to all jobs, and finish says why", async () => {
    const { input, items: [item], run } = await runOf("denied")
    bench.emulator.faults.set({ denyCreate: { next: 1 } })
    assert.strictEqual((await failureOf(submit(bench, life, run, item).called)).name, "Refused")
    assert.deepStrictEqual(await openItems(bench), [])
    const error = await failureOf(life.call("finish", { runId: run.runId, attempt: 1, input }))
    assert.strictEqual(error.name, "RunConflict")
    for (const part of ["has not ended", "AccessDeniedException", "start an execution with the same"]) {
      assert.include(error.message, part)
    }
    const done = await execute(bench, life, input)
    assert.strictEqual(done.counts.succeeded, 100)
  })

  it("submits nothing after the deadline, and the rows are missing", async () => {
    const { input, items: [item], run } = await runOf("too-late")
    const task = submit(bench, life, run, item, "2026-11-22T00:00:00.000Z")
    await task.called
    assert.deepStrictEqual(await task.answer, { status: "Refused" })
    assert.strictEqual(jobsOf(bench, run.runId, item.key), 0)
    const deadline = "2026-11-22T00:00:00.000Z"
    const done = await life.call("finish", { runId: run.runId, attempt: 1, input: { ...input, retry: 2 }, deadline })
    assert.deepInclude(done, { again: false })
    assert.strictEqual(done.counts.missing, 100)
  })

  it("runs a job on demand itself, and goes on with it in the next call when its time is over", async () => {
    await bench.put("inputs/on-demand.csv", topics(12))
    const input = inputOf("on-demand", { below_minimum: "on-demand" })
    const run = await prepare(life, input)
    const [item] = await itemsOf(bench, run)
    assert.strictEqual(item.lane, "on-demand")
    bench.emulator.faults.set({ slowInvoke: { by: "2 seconds" } })
    const short = await bench.life({ timeout: 1_500 })
    const first = await failureOf(submit(bench, short, run, item).called)
    assert.strictEqual(first.name, "OutOfTime")
    bench.emulator.faults.set({ slowInvoke: undefined })
    const task = submit(bench, life, run, item)
    await task.called
    assert.deepStrictEqual(await task.answer, { status: "OnDemand" })
    await life.call("collect", { runId: run.runId, key: item.key, format: "csv" })
    const done = await life.call("finish", { runId: run.runId, attempt: 1, input })
    assert.strictEqual(done.counts.succeeded, 12)
    assert.deepStrictEqual(await openItems(bench), [])
  })

  it("refuses a key that is none, and a job that its run does not have", async () => {
    const { items: [item], run } = await runOf("keys")
    for (const [key, name] of [["../../x", "InvalidInput"], ["1-000009", "InvalidOption"]] as const) {
      assert.strictEqual((await failureOf(submit(bench, life, run, { ...item, key }).called)).name, name)
    }
    const gone = await failureOf(submit(bench, life, { ...run, runId: "nobody" }, item).called)
    assert.strictEqual(gone.name, "RunConflict")
  })
})

describe("event", () => {
  it("may come twice, and late, and out of order", async () => {
    const { items: [item], run } = await runOf("doubled")
    const task = submit(bench, life, run, item)
    await task.called
    const end = await endOf(bench, run.runId, item.key)
    const all = bench.events.filter(({ detail }) => detail.batchJobName === end.detail.batchJobName)
    for (const event of [end, ...all, end]) await life.call("event", event)
    assert.deepStrictEqual(await task.answer, { status: "Completed" })
    assert.strictEqual(bench.tokens.answers.filter(({ token }) => token === task.token).length, 1)
    assert.strictEqual(metric("JobsEnded"), 1)
  })

  it("of a stranger's job is ignored, also of one with our name", async () => {
    const { items: [item], run } = await runOf("slow-mine")
    const task = submit(bench, life, run, item)
    await task.called
    await until(() => jobsOf(bench, run.runId, item.key) === 1)
    const jobName = nameOf(run, item)
    const inputUri = `s3://pipeline-bucket/runs/${run.runId}/rows/`
    const request = {
      inputDataConfig: { s3InputDataConfig: { s3Uri: inputUri } },
      outputDataConfig: { s3OutputDataConfig: { s3Uri: "s3://pipeline-bucket/strangers/" } }
    }
    const clientRequestToken = "somebody-elses-token-0123456789abcdef"
    const arn = await bench.stranger({ ...request, jobName, clientRequestToken })
    await bench.stop(arn)
    const theirs = () =>
      bench.events.find(({ detail }) => detail.batchJobArn === arn && ["Stopped", "Failed"].includes(detail.status))
    await until(() => theirs() !== undefined)
    assert.deepStrictEqual(await life.call("event", theirs()), { job: "Stranger" })
    const unknown = { ...theirs()!, detail: { ...theirs()!.detail, batchJobName: "nobody-knows" } }
    assert.deepStrictEqual(await life.call("event", unknown), { job: "Stranger" })
    assert.isFalse(await isSettled(task.answer))
    await bench.stop(arnOf(run, item))
    await comesTo(run, item, "Stopped")
    await life.call("sweep", {})
    assert.deepStrictEqual(await task.answer, { status: "Stopped" })
  })

  it("that is none fails by its name", async () => {
    assert.strictEqual((await failureOf(life.call("event", { source: "aws.s3" }))).name, "InvalidInput")
  })

  it("of a task that waits no more is no failure", async () => {
    const { items: [item], run } = await runOf("gone-task")
    const task = submit(bench, life, run, item)
    await task.called
    task.abandon()
    await life.call("event", await endOf(bench, run.runId, item.key))
    assert.deepStrictEqual(await openItems(bench), [])
  })
})

describe("sweep", () => {
  it("finds what lost events would have told", async () => {
    const { items, run } = await runOf("swept", 3)
    const tasks = items.map((item) => submit(bench, life, run, item))
    for (const task of tasks) await task.called
    for (const { key } of items) await endOf(bench, run.runId, key)
    const swept = await life.call("sweep", { "detail-type": "Scheduled Event" })
    assert.deepInclude(swept, { found: 3, open: 0, failures: 0 })
    for (const task of tasks) assert.deepStrictEqual(await task.answer, { status: "Completed" })
    assert.deepInclude(await life.call("sweep", {}), { looked: 0, found: 0 })
    assert.strictEqual(metric("SweepFinds"), 3)
  })

  it("stops jobs whose deadline is past", async () => {
    const { items: [item], run } = await runOf("slow-deadline")
    const task = submit(bench, life, run, item, new Date(Date.now() + 2_000).toISOString())
    await task.called
    await comesTo(run, item, "InProgress")
    assert.deepInclude(await life.call("sweep", {}), { open: 1, stopped: 0 })
    await until(async () => (await life.call("sweep", {})).stopped === 1)
    await life.call("event", await endOf(bench, run.runId, item.key))
    assert.deepStrictEqual(await task.answer, { status: "Stopped" })
  })

  it("counts open jobs, and those that should have ended long ago", async () => {
    const { items: [item], run } = await runOf("slow-stuck")
    await submit(bench, life, run, item).called
    await comesTo(run, item, "InProgress")
    assert.deepInclude(await life.call("sweep", {}), { open: 1, stuck: 0 })
    const job = (await bench.items()).find(({ pk, sk }) => pk.S.includes(run.runId) && sk.S === "job")!
    await bench.changeItem(job, "submittedAt", "2026-11-01T00:00:00.000Z")
    assert.deepInclude(await life.call("sweep", {}), { open: 1, stuck: 1 })
    assert.deepStrictEqual([metric("JobsOpen"), metric("JobsStuck")], [2, 1])
    await bench.stop(arnOf(run, item))
    await life.call("event", await endOf(bench, run.runId, item.key))
  })

  it("makes a run's inventory anew from the ledger", async () => {
    const { items, run } = await runOf("slow-rebuilt", 2)
    for (const item of items) await submit(bench, life, run, item).called
    await bench.stop(arnOf(run, items[0]))
    await life.call("event", await endOf(bench, run.runId, items[0].key))
    const jobs = async () =>
      (await bench.items()).filter(({ sk }) => sk.S === "job").map(({ arn, pk, status }) => [pk.S, arn.S, status.S])
    const before = (await jobs()).filter(([name]) => name.includes(run.runId)).map(([name, arn]) => [name, arn])
    await bench.clearTable()
    assert.deepStrictEqual(await life.call("sweep", { rebuild: run.runId }), { runId: run.runId, entered: 2 })
    assert.sameDeepMembers((await jobs()).map(([name, arn]) => [name, arn]), before)
    assert.sameMembers((await jobs()).map(([, , status]) => status), ["Stopped", "Submitted"])
    const task = submit(bench, life, run, items[1])
    await task.called
    await bench.stop(arnOf(run, items[1]))
    await life.call("event", await endOf(bench, run.runId, items[1].key))
    assert.deepStrictEqual(await task.answer, { status: "Stopped" })
  })
})

describe("functions at work at the same time", () => {
  it("pay once for each job, and answer every task, whose call comes first", async () => {
    assert.deepStrictEqual(await atOnce(bench, 1, 5), { told: ["Completed"], jobs: [1], open: [] })
  })
})

describe("functions that are killed", () => {
  for (const [victim, every] of [["submit", 9], ["event", 4], ["sweep", 6]] as const) {
    it(`leave nothing undone, and nothing paid for twice: ${victim}`, async () => {
      for (const death of await kills(bench, { victim, answered: victim !== "event", every })) {
        assert.deepInclude(death, { status: "Completed", jobs: 1, open: [] }, JSON.stringify(death))
      }
    })
  }
})

describe("retry", () => {
  it("tries again what may be mended, and its answers are merged", async () => {
    await bench.put("inputs/mended.csv", topics(200))
    bench.emulator.faults.set({ throttledRecords: { next: 7 } })
    const input = inputOf("mended", { retry: 3, output_format: "csv" })
    const done = await execute(bench, life, input)
    bench.emulator.faults.set({ throttledRecords: undefined })
    assert.deepInclude(done, { attempt: 2, again: false, mendable: 0 })
    assert.strictEqual(done.counts.succeeded, 200)
    assert.match(done.results.paths[0], /\/results\/2-csv\/1-000000\.csv$/)
    const joined = await execute(bench, life, input)
    assert.deepStrictEqual(joined.results, done.results)
  })

  it("ends where there is nothing that a batch job could be made of", async () => {
    await bench.put("inputs/unmended.csv", topics(100))
    bench.emulator.faults.set({ throttledRecords: { next: 3 } })
    const input = inputOf("unmended", { retry: { attempts: 3, lane: "batch" } })
    const done = await execute(bench, life, input)
    bench.emulator.faults.set({ throttledRecords: undefined })
    assert.deepInclude(done, { attempt: 3, again: false, mendable: 3 })
    assert.strictEqual(done.counts.succeeded, 97)
  })
})
