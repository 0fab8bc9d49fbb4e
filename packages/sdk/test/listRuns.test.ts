import * as Prompt from "@bedrock-batch/processors/Prompt"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { BatchError, Refused } from "../src/BatchError.ts"
import * as Layout from "../src/internal/Layout.ts"
import { listRuns, RunSummary } from "../src/listRuns.ts"
import { prepare } from "../src/prepare.ts"
import * as Source from "../src/source/Source.ts"
import { memoryStore } from "./rig/MemoryStore.ts"
import { model, processOf } from "./rig/Bench.ts"
import { ScriptedJobs } from "./rig/ScriptedJobs.ts"
import { places } from "./rig/Stores.ts"
import type { Around } from "./rig/WatchedStore.ts"
import type { ObjectStore } from "../src/store/ObjectStore.ts"

const start = (store: ObjectStore["Service"], around?: Around) => processOf(store, new ScriptedJobs(), around)

const refusal = (code: string) =>
  new BatchError({ module: "test", method: "test", reason: new Refused({ code, message: code }) })

const prepared = (runId: string, rows = 4) =>
  prepare({
    name: "jokes",
    runId,
    source: Source.rows(Array.from({ length: rows }, (_, i) => ({ topic: `topic ${i}` }))),
    model,
    prompt: Prompt.make("A joke about {topic}."),
    maxRecordsPerJob: 2
  })

describe("the list of runs", () => {
  for (const [name, make] of places) {
    it.effect(`shows every run of ${name}, the newest first, and no other folder`, () =>
      Effect.gen(function*() {
        const { plant, store } = yield* make
        assert.deepStrictEqual(yield* start(store)(listRuns()), [])
        yield* TestClock.setTime(Date.UTC(2026, 10, 23))
        yield* start(store)(prepared("old", 6))
        yield* TestClock.adjust("1 hour")
        yield* Effect.flip(
          start(store, {
            before: (operation) => (operation === "write" ? Effect.fail(refusal("Full")) : Effect.void)
          })(prepared("half"))
        )
        yield* TestClock.adjust("1 hour")
        yield* start(store)(prepared("new"))
        yield* store.create(Layout.cancelled("new"), Buffer.from("{}"))
        for (const key of ["capacity/us-east-1.model/0/1", "data/topics.csv", "_no-id/plan.json", "notes/run.json"]) {
          yield* plant(key, "{}")
        }
        const runs = yield* start(store)(listRuns())
        const common = { name: "jokes", model, cancelled: false, prepared: true, preparing: null, problem: null }
        assert.deepStrictEqual(runs, [
          { ...common, runId: "new", createdAt: "2026-11-23T02:00:00.000Z", records: 4, jobs: 2, cancelled: true },
          {
            ...common,
            runId: "half",
            createdAt: "2026-11-23T01:00:00.000Z",
            prepared: false,
            preparing: { jobs: 0, records: 0 },
            model: null,
            records: null,
            jobs: null
          },
          { ...common, runId: "old", createdAt: "2026-11-23T00:00:00.000Z", records: 6, jobs: 3 }
        ])
        const codec = Schema.toCodecJson(Schema.Array(RunSummary))
        assert.deepStrictEqual(Schema.decodeUnknownSync(codec)(JSON.parse(JSON.stringify(runs))), runs)
      }))

    it.effect(`shows a damaged run of ${name} with its problem, beside the others`, () =>
      Effect.gen(function*() {
        const { plant, store } = yield* make
        for (const id of ["cut", "good", "mixed", "plan-cut"]) yield* start(store)(prepared(id))
        yield* plant(Layout.manifest("cut"), "{\"version\":1")
        yield* plant(Layout.plan("plan-cut"), "")
        yield* plant(Layout.manifest("mixed"), (yield* store.get(Layout.manifest("good")))!)
        const runs = yield* start(store)(listRuns())
        const problems = Object.fromEntries(runs.map(({ problem, runId }) => [runId, problem]))
        assert.deepStrictEqual(Object.keys(problems).sort(), ["cut", "good", "mixed", "plan-cut"])
        assert.isNull(problems["good"])
        assert.include(problems["cut"], "cut/run.json")
        assert.include(problems["plan-cut"], "plan-cut/plan.json is empty")
        assert.include(problems["mixed"], "holds the files of run good")
        const cut = runs.find(({ runId }) => runId === "cut")
        assert.deepStrictEqual([cut?.prepared, cut?.model, cut?.name], [true, null, "jokes"])
      }))
  }

  it.effect("fails when the store does not answer, and does not say that there is less", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      yield* start(store)(prepared("one"))
      const denied = start(store, {
        before: (operation, key) =>
          operation === "get" && key === "one/plan.json" ? Effect.fail(refusal("Denied")) : Effect.void
      })
      const { reason } = yield* Effect.flip(denied(listRuns()))
      assert.strictEqual(reason._tag === "Refused" && reason.code, "Denied")
    }))

  it.effect("looks at ten runs at a time", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const ids = Array.from({ length: 25 }, (_, i) => `run-${i}`)
      for (const id of ids) yield* start(store)(prepared(id))
      const open = new Set<string>()
      let most = 0
      const slow = start(store, {
        before: (operation, key) =>
          operation === "folders" ? Effect.void : Effect.andThen(
            Effect.sync(() => {
              open.add(key.split("/")[0]!)
              most = Math.max(most, open.size)
            }),
            Effect.yieldNow
          ),
        after: (_, key) => Effect.sync(() => void (key.endsWith("/cancelled") && open.delete(key.split("/")[0]!)))
      })
      const runs = yield* slow(listRuns())
      assert.sameMembers(runs.map(({ runId }) => runId), ids)
      assert.isAbove(most, 1)
      assert.isAtMost(most, 10)
    }))
})
