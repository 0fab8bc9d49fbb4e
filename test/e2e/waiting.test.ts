import { Emulator, Local, Storage } from "@bedrock-batch/emulator"
import { awaitAll, BatchJobs, type Job, prepare, Prompt, run, submit, Wait } from "@bedrock-batch/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { submittedJob } from "../../packages/sdk/test/rig/SimulatedJobs.ts"
import { startSqsServer } from "../../packages/sdk/test/rig/SqsServer.ts"
import { audit } from "../rig/Audit.ts"
import { plainTable, sourceOf } from "../rig/Data.ts"
import { haiku, quick, start } from "../rig/Stack.ts"

const minute = 60_000

/** Half of the events are lost, half come twice, half after the next one, half minutes late. */
const badEvents = {
  dropEvents: 0.5,
  duplicateEvents: 0.5,
  reorderEvents: 0.5,
  delayEvents: { when: 0.5, by: "3 minutes" }
} as const

const line = (record: number) =>
  `{"recordId":"r${record}","modelInput":{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,` +
  `"messages":[{"role":"user","content":"hello"}]}}\n`

describe("events that are lost, doubled, late and out of order", () => {
  it.effect.each(["1", "2", "3"])("end the same jobs as polling, none later than the backstop (seed %s)", (seed) =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 10, 23))
      const storage = Storage.memory()
      storage.objects.set(
        "s3://bucket/in/part-0.jsonl",
        new TextEncoder().encode(Array.from({ length: 100 }, (_, i) => line(i)).join(""))
      )
      const emulator = yield* Emulator.make({
        storage,
        seed,
        faults: { ...badEvents, failJob: 0.1, partialJob: 0.1, expireJob: 0.1 },
        timing: {
          submitted: "20 seconds",
          validating: "1 minute",
          queued: ({ name }) => `${name.length + Number(name.slice(6, 12)) % 7} minutes`,
          running: ({ name }) => (5 + Number(name.slice(6, 12)) % 50) * minute
        }
      })
      const service = Local.batchJobs(emulator)
      const open = (strategy: Wait.WaitStrategy<Job.EndedJob, BatchJobs.BatchJobs>) =>
        Effect.provideService(strategy.open, BatchJobs.BatchJobs, service)
      const polling = yield* open(Wait.polling())
      const listening = yield* open(Wait.eventBridge(Stream.map(emulator.events, Wait.parseEvent)))
      const delays: Array<number> = []
      const one = Effect.fnUntraced(function*(index: number) {
        yield* Effect.sleep(index * minute)
        const now = yield* Clock.currentTimeMillis
        const planned = submittedJob("run", index, "", now)
        const { arn } = yield* service.create({
          ...service.settings,
          jobName: planned.name,
          clientRequestToken: planned.token,
          modelId: haiku,
          modelInvocationType: "InvokeModel",
          inputUri: "s3://bucket/in/",
          outputUri: `s3://bucket/out/${index}/`,
          timeoutHours: 24
        })
        const job = { ...planned, arn }
        const polled = yield* Effect.forkChild(polling.wait(job))
        const heard = yield* listening.wait(job)
        const noticed = yield* Clock.currentTimeMillis
        const { lastModifiedTime } = yield* emulator.get(arn)
        delays.push(noticed - Date.parse(lastModifiedTime))
        assert.deepStrictEqual(heard, yield* Fiber.join(polled))
        return heard.status
      })
      const fiber = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 80 }, (_, i) => i), one, { concurrency: "unbounded" })
      )
      while (fiber.pollUnsafe() === undefined) {
        yield* TestClock.adjust("10 seconds")
        // What the emulator does takes its turns of the event loop, and no time.
        for (let i = 0; i < 3; i++) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      const statuses = new Set(yield* Fiber.join(fiber))
      assert.sameMembers([...statuses], ["Completed", "Failed", "PartiallyCompleted", "Expired"])
      assert.lengthOf(delays, 80)
      assert.isAtMost(Math.max(...delays), 10 * minute + 20_000)
      assert.isAbove(delays.filter((delay) => delay <= 20_000).length, 8)
    }), 60_000)
})

describe.concurrent("a run whose ends are told by events", () => {
  const table = plainTable(600)
  const ask = (cells: ReadonlyMap<string, unknown>) => `${String(cells.get("id"))}: ${String(cells.get("topic"))}`
  const definition = {
    name: "told",
    source: sourceOf(table),
    model: haiku,
    prompt: Prompt.make("{id}: {topic}"),
    maxRecordsPerJob: 100,
    concurrency: 3
  } as const

  it.live("over HTTP, half of them lost, doubled and out of order, is the run that it would be", () =>
    Effect.gen(function*() {
      const stack = yield* start({ faults: { ...badEvents, delayEvents: { when: 0.5, by: "300 millis" } } })
      const events = async function*() {
        const { body } = await fetch(`${stack.url}/emulator/events`)
        let rest = ""
        for await (const chunk of body!.pipeThrough(new TextDecoderStream())) {
          const lines = (rest + chunk).split("\n")
          rest = lines.pop() ?? ""
          for (const line of lines) yield Wait.parseEvent(line)
        }
      }
      const wait = Wait.eventBridge(events(), { backstop: "1 second" })
      const collected = yield* run({ ...definition, wait }).pipe(Effect.provide(stack.layer()))
      yield* audit(stack, collected, table, ask)
      assert.strictEqual((yield* stack.emulator.stats).jobsCreated, 6)
    }), 60_000)

  it.live("through a queue, asks at most once for each job", () =>
    Effect.gen(function*() {
      const server = yield* Effect.acquireRelease(
        Effect.promise(startSqsServer),
        (server) => Effect.promise(() => server.close())
      )
      const queue = server.queue("batch-events")
      const stack = yield* start({ timing: { ...quick, running: 500 } })
      yield* Effect.forkScoped(
        Stream.runForEach(stack.events, (event) => Effect.sync(() => queue.send(JSON.stringify(event))))
      )
      const { credentials, endpoint, region } = server
      const wait = Wait.sqs({ queueUrl: queue.url, region, credentials, endpoint, visibilityTimeout: "2 seconds" })
      const collected = yield* run({ ...definition, wait }).pipe(Effect.provide(stack.layer()))
      const { calls } = yield* stack.emulator.stats
      yield* audit(stack, collected, table, ask)
      assert.strictEqual(calls.create, 6)
      assert.isAtMost(calls.get + calls.list, 6)
    }), 60_000)

  it.live("or by lists, whichever is first, waits for both at once", () =>
    Effect.gen(function*() {
      const stack = yield* start({ faults: { dropEvents: 1 } })
      const program = Effect.gen(function*() {
        const { jobs } = yield* prepare(definition)
        return yield* awaitAll(jobs.map(submit), {
          concurrency: 3,
          wait: Wait.any([
            Wait.eventBridge(Stream.map(stack.events, Wait.parseEvent)),
            Wait.polling({ from: "50 millis", to: "200 millis" })
          ])
        })
      })
      const ended = yield* Effect.provide(program, stack.layer())
      assert.deepStrictEqual(ended.map(({ status }) => status), Array.from({ length: 6 }, () => "Completed"))
    }), 60_000)
})
