import { assert, describe, it } from "@effect/vitest"
import { awaitAll, collect, Prompt, prepare, run, submit } from "@bedrock-batch/sdk"
import * as ServiceQuotasApi from "@bedrock-batch/sdk/bedrock/ServiceQuotasApi"
import { layerLive, type LiveOptions } from "@bedrock-batch/sdk/schedule/LiveCapacity"
import { Effect, Layer, Logger } from "effect"
import { audit } from "../rig/Audit.ts"
import { plainTable, sourceOf } from "../rig/Data.ts"
import { haiku, quick, soon, type Stack, start } from "../rig/Stack.ts"

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

/** A process with live capacity that looks often. */
const lively = (stack: Stack, options: LiveOptions = {}) =>
  layerLive({ lookEvery: "100 millis", quotasEvery: "100 millis", quotaPause: "200 millis", ...options }).pipe(
    Layer.provide(ServiceQuotasApi.layer({
      region: stack.s3.region,
      credentials: stack.s3.credentials,
      endpoint: stack.url
    })),
    Layer.provideMerge(stack.layer())
  )

/** What was created, of how many calls, and how much of it was open at a time. */
const seen = (stack: Stack) =>
  Effect.map(stack.emulator.stats, ({ calls, jobsCreated, maxOpenSeen }) => ({
    creates: calls.create,
    jobs: jobsCreated,
    most: maxOpenSeen[baseModel]
  }))

describe.concurrent("live capacity", () => {
  it.live("opens as many jobs as Service Quotas tells, and none is refused", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing, limits: { maxOpenJobs: 3 } })
      const collected = yield* run(definition).pipe(Effect.provide(stack.layer({ capacity: "live" })))
      yield* audit(stack, collected, table, ask)
      assert.deepStrictEqual(yield* seen(stack), { creates: 10, jobs: 10, most: 3 })
    }))

  it.live("plans by the quotas that Service Quotas tells", () =>
    Effect.gen(function*() {
      const stack = yield* start({ limits: { minRecords: 150, maxRecords: 250 } })
      const { jobs } = yield* prepare({ ...definition, maxRecordsPerJob: 100_000 }).pipe(
        Effect.provide(stack.layer({ capacity: "live" }))
      )
      assert.deepStrictEqual(jobs.map(({ records }) => records), [250, 250, 250, 250])
    }))

  it.live("leaves the jobs of others their slots", () =>
    Effect.gen(function*() {
      const stack = yield* start({
        timing: { ...quick, running: ({ name }) => name.startsWith("foreign") ? "1 hour" : 200 },
        limits: { maxOpenJobs: 4 }
      })
      const foreign = Effect.gen(function*() {
        const { jobs } = yield* prepare({ ...definition, name: "foreign", model: baseModel })
        yield* Effect.forEach(jobs.slice(0, 2), submit)
      })
      yield* Effect.provide(foreign, stack.layer())
      const collected = yield* run(definition).pipe(Effect.provide(stack.layer({ capacity: "live" })))
      yield* audit(stack, collected, table, ask)
      assert.deepStrictEqual(yield* seen(stack), { creates: 12, jobs: 12, most: 4 })
    }))

  it.live("counts a model and its profiles together", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing, limits: { maxOpenJobs: 3 } })
      yield* Effect.gen(function*() {
        const plain = yield* prepare({ ...definition, model: baseModel })
        const profile = yield* prepare(definition)
        const jobs = yield* awaitAll([...plain.jobs, ...profile.jobs].map(submit), { wait: soon })
        for (const one of [plain, profile]) {
          yield* audit(stack, yield* collect(one, jobs.filter(({ runId }) => runId === one.id)), table, ask)
        }
      }).pipe(Effect.provide(stack.layer({ capacity: "live" })))
      assert.deepStrictEqual(yield* seen(stack), { creates: 20, jobs: 20, most: 3 })
    }))

  it.live("goes by what was given, and warns once, where quotas may not be read", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing, faults: { denyQuotas: 1 } })
      const warnings: Array<string> = []
      const log = Logger.layer([Logger.make(({ logLevel, message }) => {
        if (logLevel === "Warn") warnings.push(String(message))
      })])
      const collected = yield* run(definition).pipe(
        Effect.provide(stack.layer({ capacity: "live", limits: { maxOpenJobs: 2 } })),
        Effect.provide(log)
      )
      yield* audit(stack, collected, table, ask)
      assert.deepStrictEqual(yield* seen(stack), { creates: 10, jobs: 10, most: 2 })
      assert.lengthOf(warnings.filter((text) => text.includes("Service Quotas")), 1)
    }))

  it.live("finds quotas by their names where codes are others, in AWS's defaults where the account has none", () =>
    Effect.gen(function*() {
      const stack = yield* start({
        timing: { ...quick, running: 2_000 },
        faults: { quotaCodes: "reissued", quotaNames: "stray", quotaRows: "defaults" }
      })
      const collected = yield* run(definition).pipe(
        Effect.provide(stack.layer({ capacity: "live", limits: { maxOpenJobs: 1_000 } }))
      )
      yield* audit(stack, collected, table, ask)
      const { calls } = yield* stack.emulator.stats
      assert.strictEqual(calls.listQuotas, 1)
      assert.isAbove(calls.listDefaultQuotas, 3)
      assert.deepStrictEqual(yield* seen(stack), { creates: 10, jobs: 10, most: 10 })
    }))

  it.live("follows a quota that is raised and lowered while jobs run", () =>
    Effect.gen(function*() {
      let maxOpenJobs = 2
      const stack = yield* start({ timing: { ...quick, running: 3_000 }, limits: () => ({ maxOpenJobs }) })
      const change = Effect.gen(function*() {
        while ((yield* stack.emulator.stats).jobsCreated < 3) yield* Effect.sleep(10)
        const most = (yield* seen(stack)).most
        maxOpenJobs = 5
        while ((yield* stack.emulator.stats).open[baseModel]! < 5) yield* Effect.sleep(10)
        maxOpenJobs = 3
        return most
      })
      const [collected, most] = yield* Effect.all([run(definition), change], { concurrency: 2 }).pipe(
        Effect.provide(lively(stack))
      )
      yield* audit(stack, collected, table, ask)
      assert.strictEqual(most, 2)
      const { jobs, most: mostOfAll } = yield* seen(stack)
      assert.deepStrictEqual([jobs, mostOfAll], [10, 5])
    }))

  it.live("of two processes at a time shares the quota, and all their jobs end", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing, limits: { maxOpenJobs: 3 } })
      const runs = ["one", "two"].map((runId) => run({ ...definition, runId }).pipe(Effect.provide(lively(stack))))
      for (const collected of yield* Effect.all(runs, { concurrency: 2 })) yield* audit(stack, collected, table, ask)
      const { jobs, most } = yield* seen(stack)
      assert.deepStrictEqual([jobs, most], [20, 3])
    }))
})
