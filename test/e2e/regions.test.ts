import { assert, describe, it } from "@effect/vitest"
import { awaitAll, collect, collectJob, prepare, Prompt, retry, submit, submitWith } from "@bedrock-batch/sdk"
import { BedrockBatch } from "@bedrock-batch/sdk/promise"
import { Effect, Fiber, Layer } from "effect"
import { audit } from "../rig/Audit.ts"
import { plainTable, sourceOf } from "../rig/Data.ts"
import { haiku, quick, soon, start, titan } from "../rig/Stack.ts"

const table = plainTable(500)
const definition = {
  name: "many",
  source: sourceOf(table),
  model: haiku,
  prompt: Prompt.make("{id}: {topic}"),
  maxRecordsPerJob: 100
} as const
const ask = (cells: ReadonlyMap<string, unknown>) => `${cells.get("id")}: ${cells.get("topic")}`
const baseModel = "anthropic.claude-haiku-4-5-20251001-v1:0"
const timing = { ...quick, running: 200 }

describe.concurrent("runs of several Regions", () => {
  it.live("are awaited together, each with its bucket, its service and slots of its own", () =>
    Effect.gen(function*() {
      const limits = { maxOpenJobs: 2 }
      const east = yield* start({ timing, limits })
      const west = yield* start({ timing, limits }, "us-west-2")
      const there = yield* Layer.build(west.layer({ limits }))
      yield* Effect.gen(function*() {
        const text = yield* prepare(definition)
        const vectors = yield* prepare({
          name: "vectors",
          source: definition.source,
          model: titan,
          embed: "topic",
          maxRecordsPerJob: 100
        })
        const far = yield* Effect.provideContext(prepare(definition), there)
        const collected: Array<string> = []
        const jobs = yield* awaitAll(
          [...text.jobs.map(submit), ...far.jobs.map(submitWith(there)), ...vectors.jobs.map(submit)],
          {
            wait: soon,
            onEnded: (job) =>
              Effect.gen(function*() {
                const run = job.runId === vectors.id ? vectors : job.region === "us-west-2" ? far : text
                yield* collectJob(run, job)
                collected.push(`${job.region} ${job.runId} ${job.key}`)
              })
          }
        )
        assert.deepStrictEqual(
          jobs.map(({ key, region, runId }) => `${region} ${runId} ${key}`),
          [text, far, vectors].flatMap((run) => run.jobs.map(({ key, region, runId }) => `${region} ${runId} ${key}`))
        )
        assert.strictEqual(new Set(collected).size, 15)
        const ofRegion = (region: string, runId: string) =>
          jobs.filter((job) => job.region === region && job.runId === runId)
        yield* audit(east, yield* collect(text, ofRegion("us-east-1", text.id)), table, ask)
        const embedded = yield* collect(vectors, ofRegion("us-east-1", vectors.id))
        yield* audit(east, embedded, table, (cells) => String(cells.get("topic")), { answer: "embedding" })
        yield* audit(
          west,
          yield* Effect.provideContext(collect(far, ofRegion("us-west-2", far.id)), there),
          table,
          ask
        )
      }).pipe(Effect.provide(east.layer({ limits })))
      const [here, far] = [yield* east.emulator.stats, yield* west.emulator.stats]
      assert.deepStrictEqual([here.jobsCreated, far.jobsCreated], [10, 5])
      assert.deepStrictEqual(here.maxOpenSeen, { [baseModel]: 2, [titan]: 2 })
      assert.deepStrictEqual(far.maxOpenSeen, { [baseModel]: 2 })
    }))

  it.live("are awaited together by a client with Promises, with the client of each Region", () =>
    Effect.gen(function*() {
      const limits = { maxOpenJobs: 2 }
      const [east, west] = [yield* start({ timing, limits }), yield* start({ timing, limits }, "us-west-2")]
      yield* Effect.promise(async () => {
        await using here = BedrockBatch.make({ ...east.options, limits })
        await using there = BedrockBatch.make({ ...west.options, limits })
        const near = await here.prepare(definition)
        const far = await there.prepare({ ...definition, name: "far" })
        const regions = new Map<string, string>()
        const ended = await here.awaitAll([...there.bind(far.jobs), ...near.jobs, ...here.bind(near.jobs.slice(0, 1))], {
          wait: soon,
          onEnded: async ({ region, runId }) => void regions.set(runId, region),
          onProgress: (_, summary) => assert.isAtMost(summary().runs.length, 2)
        })
        assert.deepStrictEqual(
          ended.map(({ key, runId }) => `${runId} ${key}`),
          [...far.jobs, ...near.jobs, near.jobs[0]!].map(({ key, runId }) => `${runId} ${key}`)
        )
        assert.deepStrictEqual([regions.get(near.id), regions.get(far.id)], ["us-east-1", "us-west-2"])
        const collected = await there.collect(far, ended.filter(({ runId }) => runId === far.id))
        assert.deepInclude(collected.report.counts, { succeeded: 500 })
        const wrong = await here.awaitAll(far.jobs).then(() => null, (error: unknown) => error)
        assert.deepInclude((wrong as { readonly reason: object }).reason, { _tag: "InvalidOption", path: "region" })
      })
      const stats = [yield* east.emulator.stats, yield* west.emulator.stats]
      assert.deepStrictEqual(stats.map(({ jobsCreated, maxOpenSeen }) => [jobsCreated, maxOpenSeen[baseModel]]), [
        [5, 2],
        [5, 2]
      ])
    }))

  it.live("are left together and taken up again", () =>
    Effect.gen(function*() {
      const east = yield* start({ timing: { ...quick, running: 600 } })
      const west = yield* start({ timing: { ...quick, running: 600 } }, "us-west-2")
      const life = Effect.gen(function*() {
        const there = yield* Layer.build(west.layer())
        const near = yield* prepare(definition)
        const far = yield* Effect.provideContext(prepare(definition), there)
        const jobs = yield* awaitAll([...near.jobs.map(submit), ...far.jobs.map(submitWith(there))], {
          concurrency: 4,
          wait: soon
        })
        const { report } = yield* collect(near, jobs.filter(({ region }) => region === "us-east-1"))
        return { jobs, report }
      }).pipe(Effect.scoped, Effect.provide(east.layer()))
      const created = Effect.all([east.emulator.stats, west.emulator.stats]).pipe(
        Effect.map((stats) => stats.reduce((sum, { jobsCreated }) => sum + jobsCreated, 0))
      )
      for (const many of [2, 4, 7]) {
        const fiber = yield* Effect.forkChild(life)
        while ((yield* created) < many) yield* Effect.sleep(20)
        yield* Fiber.interrupt(fiber)
      }
      const { jobs, report } = yield* life
      assert.deepStrictEqual(jobs.map(({ status }) => status), Array.from({ length: 10 }, () => "Completed"))
      assert.deepStrictEqual(report.counts.succeeded, 500)
      assert.strictEqual(yield* created, 10)
    }))
})

describe.concurrent("a call that is interrupted", () => {
  it.live("asks its jobs to stop where that is wanted; what they have is kept, and the rest is retried", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing: { ...quick, running: 3_000 } })
      const layer = stack.layer()
      const batch = yield* Effect.acquireRelease(
        Effect.sync(() => BedrockBatch.make({ layer })),
        (batch) => Effect.promise(() => batch[Symbol.asyncDispose]())
      )
      const run = yield* Effect.provide(prepare(definition), layer)
      const controller = new AbortController()
      const reason = new Error("enough")
      const waiting = batch.awaitAll(run.jobs, { onInterrupt: "stop", wait: soon, signal: controller.signal }).then(
        () => null,
        (error: unknown) => error
      )
      const statuses = Effect.map(
        stack.emulator.list({}),
        ({ invocationJobSummaries }) => invocationJobSummaries.map(({ status }) => status)
      )
      while ((yield* statuses).filter((status) => status === "InProgress").length < 5) yield* Effect.sleep(20)
      yield* Effect.sleep(500)
      controller.abort(reason)
      assert.strictEqual(yield* Effect.promise(() => waiting), reason)
      assert.strictEqual((yield* stack.emulator.stats).calls.stop, 5)
      yield* Effect.gen(function*() {
        const ended = yield* awaitAll(run.jobs.map(submit), { wait: soon })
        assert.deepStrictEqual(ended.map(({ status }) => status), Array.from({ length: 5 }, () => "Stopped"))
        const { report } = yield* collect(run, ended)
        assert.strictEqual(report.counts.succeeded + report.counts.missing, 500)
        assert.isAbove(report.counts.succeeded, 0)
        assert.isAbove(report.counts.missing, 0)
        const again = yield* retry(run)
        const rest = yield* awaitAll(again.jobs.map(submit), { wait: soon })
        assert.deepStrictEqual((yield* collect(again, rest)).report.counts.succeeded, 500)
      }).pipe(Effect.provide(layer))
    }))
})
