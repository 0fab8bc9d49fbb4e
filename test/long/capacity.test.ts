import { assert, describe, it } from "@effect/vitest"
import { awaitAll, collect, Prompt, prepare, run, submit, Wait } from "@bedrock-batch/sdk"
import { Effect, Fiber } from "effect"
import { audit } from "../rig/Audit.ts"
import { plainTable, sourceOf } from "../rig/Data.ts"
import { haiku, type LayerOptions, type Options, quick, soon, start, titan } from "../rig/Stack.ts"

const table = plainTable(1000)
const definition = {
  name: "many",
  source: sourceOf(table),
  model: haiku,
  prompt: Prompt.make("{id}: {topic}"),
  maxRecordsPerJob: 100,
  wait: soon
} as const
const ask = (cells: ReadonlyMap<string, unknown>) => `${cells.get("id")}: ${cells.get("topic")}`
const baseModel = "anthropic.claude-haiku-4-5-20251001-v1:0"
const timing = { ...quick, running: 200 }

/** Ten jobs of 100 rows; gives the most that were open at a time. */
const tenJobs = Effect.fnUntraced(function*(concurrency: number | undefined, options: Options = {}, layer: LayerOptions = {}) {
  const stack = yield* start({ timing, ...options })
  const collected = yield* run({ ...definition, concurrency }).pipe(Effect.provide(stack.layer(layer)))
  const { counts } = yield* audit(stack, collected, table, ask)
  assert.deepStrictEqual(counts, { succeeded: 1000 })
  const { calls, jobsCreated, maxOpenSeen } = yield* stack.emulator.stats
  assert.strictEqual(jobsCreated, 10)
  return { most: maxOpenSeen[baseModel]!, creates: calls.create }
})

describe.concurrent("open jobs", () => {
  for (const concurrency of [1, 3]) {
    it.live(`are ${concurrency} at most with concurrency ${concurrency}`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* tenJobs(concurrency), { most: concurrency, creates: 10 })
      }))
  }

  it.live("are as many as the limit of the layer allows", () =>
    Effect.gen(function*() {
      const { creates, most } = yield* tenJobs(undefined, {}, { limits: { maxOpenJobs: 4 } })
      assert.deepStrictEqual({ creates, most }, { creates: 10, most: 4 })
    }))

  it.live("are all at once where nothing limits them", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* tenJobs(undefined, { timing: { ...quick, running: 2000 } }), { most: 10, creates: 10 })
    }))

  it.live("are no more than a quota that is smaller than was believed, and the run finishes", () =>
    Effect.gen(function*() {
      const { creates, most } = yield* tenJobs(6, { limits: { maxOpenJobs: 2 } }, { quotaPause: "200 millis" })
      assert.strictEqual(most, 2)
      assert.isAbove(creates, 10)
    }))

  it.live("of two runs that share a quota all end", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing, limits: { maxOpenJobs: 3 } })
      const runs = ["one", "two"].map((runId) =>
        run({ ...definition, runId, concurrency: 3 }).pipe(Effect.provide(stack.layer({ quotaPause: "200 millis" })))
      )
      for (const collected of yield* Effect.all(runs, { concurrency: 2 })) yield* audit(stack, collected, table, ask)
      const stats = yield* stack.emulator.stats
      assert.strictEqual(stats.jobsCreated, 20)
      assert.strictEqual(stats.maxOpenSeen[baseModel], 3)
    }))

  it.live("of two models are counted apart, and several runs are awaited together", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing, limits: { maxOpenJobs: 2 } })
      yield* Effect.gen(function*() {
        const text = yield* prepare(definition)
        const vectors = yield* prepare({
          name: "vectors",
          source: definition.source,
          model: titan,
          embed: "topic",
          maxRecordsPerJob: 250
        })
        const jobs = yield* awaitAll([...text.jobs, ...vectors.jobs].map(submit), { wait: soon })
        assert.deepStrictEqual(jobs.map(({ key, runId }) => [runId, key]), [
          ...text.jobs.map(({ key }) => [text.id, key]),
          ...vectors.jobs.map(({ key }) => [vectors.id, key])
        ])
        yield* audit(stack, yield* collect(text, jobs.filter(({ runId }) => runId === text.id)), table, ask)
        const rows = yield* collect(vectors, jobs.filter(({ runId }) => runId === vectors.id))
        yield* audit(stack, rows, table, (cells) => String(cells.get("topic")), { answer: "embedding" })
      }).pipe(Effect.provide(stack.layer({ limits: { maxOpenJobs: 2 } })))
      assert.deepStrictEqual((yield* stack.emulator.stats).maxOpenSeen, { [baseModel]: 2, [titan]: 2 })
    }))

  it.live("that end at the same time are collected one after the other", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      let reading = 0
      let most = 0
      stack.s3.faults.push({
        match: ({ method, url }) => method === "GET" && url.includes(".jsonl.out"),
        act: async () => {
          most = Math.max(most, ++reading)
          await new Promise((resolve) => setTimeout(resolve, 100))
          reading--
        }
      })
      // One look at the jobs finds most of them ended.
      const wait = Wait.polling({ from: "1 second", to: "1 second" })
      const collected = yield* run({ ...definition, wait }).pipe(Effect.provide(stack.layer()))
      assert.strictEqual(most, 1)
      stack.s3.faults.length = 0
      yield* audit(stack, collected, table, ask)
    }))

  it.live("of an interrupted run count when it goes on", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing: { ...quick, running: 800 } })
      const limited = run({ ...definition, concurrency: 3 })
      const fiber = yield* Effect.forkChild(Effect.provide(limited, stack.layer()))
      while ((yield* stack.emulator.stats).jobsCreated < 3) yield* Effect.sleep(20)
      yield* Effect.sleep(100)
      yield* Fiber.interrupt(fiber)
      const collected = yield* Effect.provide(limited, stack.layer())
      yield* audit(stack, collected, table, ask)
      const stats = yield* stack.emulator.stats
      assert.strictEqual(stats.jobsCreated, 10)
      assert.strictEqual(stats.maxOpenSeen[baseModel], 3)
    }))
})
