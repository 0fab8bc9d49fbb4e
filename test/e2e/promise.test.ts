import { assert, describe, it } from "@effect/vitest"
import { type Progress, Prompt, run } from "@bedrock-batch/sdk"
import { BatchError, BedrockBatch } from "@bedrock-batch/sdk/promise"
import { Effect, Stream } from "effect"
import { audit } from "../rig/Audit.ts"
import { plainTable, sourceOf } from "../rig/Data.ts"
import { folder, haiku, quick, soon, type Stack, start } from "../rig/Stack.ts"

const table = plainTable(330)
const definition = {
  name: "promises",
  source: sourceOf(table),
  model: haiku,
  prompt: Prompt.make("{id}: {topic}"),
  maxRecordsPerJob: 110,
  wait: soon
} as const
const ask = (cells: ReadonlyMap<string, unknown>) => `${cells.get("id")}: ${cells.get("topic")}`

/** A test body in promises, with a client that is closed behind it. */
const using = (stack: Stack, body: (batch: BedrockBatch) => Promise<void>) =>
  Effect.promise(async () => {
    await using batch = BedrockBatch.make(stack.options)
    await body(batch)
  })

const all = async <A>(items: AsyncIterable<A>): Promise<Array<A>> => {
  const found: Array<A> = []
  for await (const item of items) found.push(item)
  return found
}

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => assert.fail("the promise must be rejected"), (error: unknown) => error)

describe("the Promise API", () => {
  it.live("gives what the Effect API gives: the same run, report, files and rows", () =>
    Effect.gen(function*() {
      const [effects, promises] = [yield* start(), yield* start()]
      const collected = yield* run(definition).pipe(Effect.provide(effects.layer()))
      const wanted = yield* Stream.runCollect(collected.rows)
      yield* using(promises, async (batch) => {
        const { files, report, rows } = await batch.run(definition)
        assert.deepStrictEqual(report, collected.report)
        assert.deepStrictEqual(files, collected.files)
        for (let twice = 0; twice < 2; twice++) assert.deepStrictEqual(await all(rows), [...wanted])
        for await (const row of rows) {
          assert.strictEqual(row.record_id, "r0000000000")
          break
        }
      })
      const again = yield* run(definition).pipe(Effect.provide(promises.layer()))
      yield* audit(promises, again, table, ask)
      assert.strictEqual((yield* promises.emulator.stats).calls.create, 3)
    }))

  it.live("tries again, asks before it spends, and takes runs by their id", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const directory = yield* folder
      stack.emulator.faults.set({ expireJob: { next: 1 } })
      yield* using(stack, async (batch) => {
        const asked: Array<unknown> = []
        const refused = await rejection(batch.run({
          ...definition,
          confirmAbove: 100,
          confirm: async (plan) => {
            asked.push([plan.records, plan.jobs, plan.runs.length])
            return false
          }
        }))
        assert.instanceOf(refused, BatchError.BatchError)
        assert.deepInclude(refused.reason, { _tag: "RunConflict", problem: "unconfirmed" })
        assert.deepStrictEqual(asked, [[330, 3, 1]])
        const first = await batch.run({ ...definition, confirm: () => true })
        assert.deepInclude(first.report.counts, { succeeded: 220, expired: 110 })
        const second = await batch.retry(first.run)
        const jobs = await batch.awaitAll(second.jobs, { wait: soon })
        const merged = await batch.collect(second, jobs)
        assert.strictEqual(merged.report.counts.succeeded, 330)
        const resumed = await batch.resume(first.run.id, { wait: soon })
        assert.deepStrictEqual(resumed.report, merged.report)
        const [summary] = await batch.list()
        assert.deepInclude(summary, { runId: first.run.id, records: 330, prepared: true, cancelled: false })
        const download = await batch.download(first.run.id, directory)
        assert.isAbove(download.files, 10)
        assert.strictEqual((await batch.download(first.run.id, directory)).fetched, 0)
        const cancelled = await batch.cancel(first.run.id)
        assert.deepInclude(cancelled.jobs, { total: 4, ended: 4 })
        const dry = await batch.delete(first.run.id, { dryRun: true })
        assert.isAbove(dry.objects, 20)
        assert.strictEqual((await batch.list()).length, 1)
        await batch.delete(first.run.id)
        assert.deepStrictEqual(await batch.list(), [])
      })
      assert.deepStrictEqual(yield* stack.keys(""), [])
    }))

  it.live("has the four verbs one by one, and the rest", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      yield* using(stack, async (batch) => {
        const round = await batch.prepareStep(definition, "5 minutes")
        const prepared = await batch.prepare(definition)
        assert.deepStrictEqual(round, {
          runId: prepared.id,
          prepared: true,
          records: prepared.manifest.records,
          jobs: prepared.jobs.length,
          round: 1
        })
        assert.strictEqual((await batch.status(prepared.id)).next, "submit")
        const first = await batch.submit(prepared.jobs[0]!)
        assert.strictEqual(first.key, "1-000000")
        const ended: Array<string> = []
        const jobs = await batch.awaitAll(prepared.jobs, {
          wait: soon,
          onEnded: async (job) => {
            ended.push(job.key)
            await batch.collectJob(prepared, job, { format: "csv" })
          }
        })
        assert.sameMembers(ended, ["1-000000", "1-000001", "1-000002"])
        const collected = await batch.collect(prepared, jobs, { format: "csv" })
        const loaded = await batch.load(prepared.id)
        assert.deepStrictEqual(loaded.jobs, prepared.jobs)
        const finished = await batch.finish(loaded, { format: "csv" })
        assert.deepStrictEqual(finished.report, collected.report)
        assert.strictEqual((await all(finished.rows)).length, 330)
        assert.strictEqual((await batch.status(prepared.id)).next, "nothing")
      })
      assert.strictEqual((yield* stack.emulator.stats).calls.create, 3)
    }))

  it.live("tells its progress, and takes no notice of a listener that throws", () =>
    Effect.gen(function*() {
      const stack = yield* start({ faults: { throttleCreate: { next: 1 } } })
      yield* using(stack, async (batch) => {
        const events: Array<Progress.Event> = []
        const processed: Array<number> = []
        const { report } = await batch.run({
          ...definition,
          onProgress: (event, summary) => {
            events.push(event)
            processed.push(summary().all.records.processed)
            throw new Error("a listener's own trouble")
          }
        })
        assert.deepInclude(report.counts, { succeeded: 330 })
        const of = (tag: string) => events.filter((event) => event._tag === tag)
        assert.deepStrictEqual(of("Prepared").at(-1), {
          _tag: "Prepared",
          runId: report.runId,
          records: 330,
          jobs: 3,
          done: true
        })
        const collected = events.flatMap((event) => event._tag === "Collected" ? [event] : [])
        assert.sameMembers(collected.map(({ job }) => job), ["1-000000", "1-000001", "1-000002"])
        for (const event of collected) {
          assert.deepInclude(event, { runId: report.runId, records: 110, counts: { ...report.counts, succeeded: 110 } })
        }
        const inputTokens = collected.reduce((sum, event) => sum + (event.inputTokens ?? 0), 0)
        assert.strictEqual(inputTokens, report.inputTokens)
        assert.isAtLeast(of("JobChanged").length, 3)
        assert.sameMembers(
          events.flatMap((event) => event._tag === "Submitted" ? [event.how] : []),
          ["sent", "sent", "sent"]
        )
        assert.deepInclude(of("Finished")[0]!, { attempt: 1, records: 330, jobs: 3, counts: report.counts })
        assert.deepStrictEqual(processed, [...processed].sort((a, b) => a - b))
        assert.deepStrictEqual([processed[0], processed.at(-1)], [0, 330])
        assert.deepInclude(of("Waiting")[0]!, { why: "throttled" })
        assert.isTrue(events.every(({ runId }) => runId === report.runId))
      })
    }))

  it.live("rejects with the signal's reason when it is aborted, and goes on later", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing: { ...quick, running: 700 } })
      yield* using(stack, async (batch) => {
        const reason = { because: "enough" }
        const early = new AbortController()
        early.abort(reason)
        assert.strictEqual(await rejection(batch.run({ ...definition, signal: early.signal })), reason)
        const late = new AbortController()
        const events: Array<string> = []
        const promise = batch.run({
          ...definition,
          signal: late.signal,
          onProgress: (event) => {
            events.push(event._tag)
            if (event._tag === "JobChanged") late.abort(reason)
          }
        })
        assert.strictEqual(await rejection(promise), reason)
        assert.notInclude(events, "Collected")
        const { report } = await batch.run(definition)
        assert.deepInclude(report.counts, { succeeded: 330 })
      })
      const { calls, jobsCreated } = yield* stack.emulator.stats
      assert.deepStrictEqual([jobsCreated, calls.create], [3, 3])
    }))

  it.live("rejects with a BatchError, or with what onEnded was rejected with", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      yield* using(stack, async (batch) => {
        const small = await rejection(batch.run({ ...definition, source: sourceOf(plainTable(5)) }))
        assert.instanceOf(small, BatchError.BatchError)
        assert.deepInclude(small.reason, { _tag: "InvalidSource", problem: "below-minimum" })
        assert.instanceOf(small, Error)
        const prepared = await batch.prepare(definition)
        const trouble = new Error("mine")
        assert.strictEqual(
          await rejection(batch.awaitAll(prepared.jobs, { wait: soon, onEnded: () => Promise.reject(trouble) })),
          trouble
        )
      })
      const wrong = BedrockBatch.make({ ...stack.options, roleArn: "" })
      const error = yield* Effect.promise(() => rejection(wrong.prepare(definition)))
      assert.instanceOf(error, BatchError.BatchError)
      assert.deepInclude(error.reason, { _tag: "InvalidOption", path: "roleArn" })
      yield* Effect.promise(() => wrong[Symbol.asyncDispose]())
    }))

  it.live("closes its connections, and can be closed twice", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      yield* Effect.promise(async () => {
        const batch = BedrockBatch.make(stack.options)
        await batch.prepare(definition)
        await batch[Symbol.asyncDispose]()
        await batch[Symbol.asyncDispose]()
        assert.isDefined(await rejection(batch.prepare(definition)))
      })
    }))
})
