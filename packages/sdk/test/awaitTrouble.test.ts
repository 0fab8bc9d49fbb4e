import * as Prompt from "@bedrock-batch/processors/Prompt"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { awaitAll } from "../src/awaitAll.ts"
import { BatchJobs, toBatchError } from "../src/bedrock/BatchJobs.ts"
import { prepare } from "../src/prepare.ts"
import * as Progress from "../src/Progress.ts"
import { layerLive } from "../src/schedule/LiveCapacity.ts"
import { ServiceQuotas } from "../src/schedule/Quotas.ts"
import { layerShared } from "../src/schedule/SharedCapacity.ts"
import * as Source from "../src/source/Source.ts"
import { submit } from "../src/submit.ts"
import { model, processOf } from "./rig/Bench.ts"
import { memoryStore } from "./rig/MemoryStore.ts"
import { ScriptedJobs } from "./rig/ScriptedJobs.ts"
import { ScriptedQuotas } from "./rig/ScriptedQuotas.ts"

const minute = 60_000
const limits = { minRecords: 1, maxOpenJobs: 20 }

const capacities = ["fixed", "live", "shared"] as const

/** Awaits 30 jobs of ten minutes, 20 at a time, of a service that answers every create call with an error at first. */
const awaited = Effect.fnUntraced(function*(capacity: (typeof capacities)[number], code: string, forMillis: number) {
  yield* TestClock.setTime(Date.UTC(2026, 10, 23))
  const from = yield* Clock.currentTimeMillis
  const [store, jobs] = [memoryStore(), new ScriptedJobs()]
  const service = BatchJobs.of({
    ...jobs.service,
    create: (request) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        if (now - from >= forMillis) return jobs.create(request)
        jobs.creates.push(request)
        return Effect.fail(toBatchError("create", { code, status: 400, message: "not now" }))
      })
  })
  const start = processOf(store, jobs, { jobs: service, limits })
  const { jobs: planned } = yield* start(prepare({
    name: "jokes",
    source: Source.rows(Array.from({ length: 30 }, (_, i) => ({ topic: `topic ${i}` }))),
    model,
    prompt: Prompt.make("A joke about {topic}."),
    maxRecordsPerJob: 1
  }))
  const account = Layer.merge(
    Layer.succeed(BatchJobs, service),
    Layer.succeed(ServiceQuotas, new ScriptedQuotas([]).service)
  )
  const waiting = awaitAll(planned.map(submit))
  const told = new Map<string, number>()
  const listener: Progress.Listener = (event) =>
    Effect.sync(() => {
      if (event._tag === "Waiting") told.set(event.why, (told.get(event.why) ?? 0) + 1)
    })
  const fiber = yield* Effect.forkChild(
    Effect.raceFirst(
      capacity === "fixed"
        ? waiting
        : capacity === "live"
        ? Effect.provide(waiting, layerLive({ limits }).pipe(Layer.provide(account)))
        : Effect.provide(waiting, layerShared({ limits })),
      Effect.forever(Effect.delay(Effect.sync(() => jobs.endAll()), 10 * minute))
    ).pipe(Effect.provideService(Progress.Progress, listener), start)
  )
  for (let at = 0; at < forMillis; at += 10_000) yield* TestClock.adjust("10 seconds")
  const refused = jobs.creates.length
  while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("10 seconds")
  const ended = yield* Fiber.join(fiber)
  return { refused, told, jobs, statuses: new Set(ended.map(({ status }) => status)) }
})

describe.each(capacities)("awaitAll with %s slots", (capacity) => {
  it.effect("asks about once a minute while the service says quota for hours, and every job ends", () =>
    Effect.gen(function*() {
      const { jobs, refused, statuses, told } = yield* awaited(capacity, "ServiceQuotaExceededException", 180 * minute)
      assert.deepStrictEqual([...statuses], ["Completed"])
      assert.lengthOf(jobs.made, 30)
      assert.isAtMost(refused, 180 + 30)
      assert.strictEqual(told.get("quota"), refused)
    }), 30_000)

  it.effect("asks a few times a minute while the service throttles for hours, and every job ends", () =>
    Effect.gen(function*() {
      const { jobs, refused, statuses, told } = yield* awaited(capacity, "ThrottlingException", 180 * minute)
      assert.deepStrictEqual([...statuses], ["Completed"])
      assert.lengthOf(jobs.made, 30)
      assert.isAtMost(refused, 2.5 * 180 + 30)
      assert.isAtLeast(told.get("throttled") ?? 0, refused - 30)
    }), 30_000)
})
