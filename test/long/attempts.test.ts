import {
  awaitAll,
  collect,
  type Collected,
  prepare,
  Prompt,
  resume,
  retry,
  Run,
  run,
  submit
} from "@bedrock-batch/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cell, readResults } from "../rig/Audit.ts"
import { plainTable, sourceOf } from "../rig/Data.ts"
import { echo, haiku, promptOf, quick, soon, type Stack, start } from "../rig/Stack.ts"

const prompt = Prompt.make("{id}: {topic}")

/** Answers 500 to every prompt the first times that it comes, in batch jobs and on demand together; then as `echo`. */
const failingFirst = (times: number, which: (id: number) => boolean) => {
  const asked = new Map<string, number>()
  const responder: typeof echo = (request) => {
    const text = promptOf(request.modelInput)
    const nth = asked.get(text) ?? 0
    asked.set(text, nth + 1)
    if (nth >= times || !which(parseInt(text, 10))) return echo(request)
    return { error: { errorCode: 500, errorMessage: "scripted" } }
  }
  return { asked, responder }
}

const expectAll = Effect.fnUntraced(function*(stack: Stack, collected: Collected<object>, rows: number) {
  const results = yield* readResults(stack, collected)
  const table = plainTable(rows)
  assert.strictEqual(results.rows.length, rows)
  for (let i = 0; i < rows; i++) {
    const [id, topic] = table.rows[i]!
    assert.strictEqual(cell(results, i, "response"), `echo: ${id}: ${topic}`, `row ${i}`)
  }
})

const options = (name: string, rows: number) => ({
  name,
  runId: name,
  source: sourceOf(plainTable(rows)),
  model: haiku,
  prompt,
  wait: soon
})

/** The first job ends at once, others not in time. */
const timing = {
  ...quick,
  running: ({ name }: { readonly name: string }) => name.includes("1-000000") ? 50 : 600_000
}

describe.concurrent("after a deadline", () => {
  it.live("a create call that was never answered does not keep the rest from being rescued", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      stack.emulator.faults.set({ serverErrorOnCreate: { next: 3 } })
      const collected = yield* run({
        ...options("unanswered", 240),
        maxRecordsPerJob: 120,
        deadline: "1 second",
        rescue: "on-demand"
      }).pipe(Effect.provide(stack.layer()))
      yield* expectAll(stack, collected, 240)
      const { callsAnswered, jobsCreated } = yield* stack.emulator.stats
      assert.strictEqual(jobsCreated, 0)
      assert.strictEqual(callsAnswered, 240)
      const again = yield* resume("unanswered", { wait: soon }).pipe(Effect.provide(stack.layer()))
      assert.deepStrictEqual(again.report, collected.report)
      assert.strictEqual((yield* stack.emulator.stats).callsAnswered, 240)
    }), 60_000)

  it.live("what was not run is rescued whatever else is tried again", () =>
    Effect.gen(function*() {
      const { responder } = failingFirst(1, (id) => id % 50 === 0)
      const stack = yield* start({ timing, responder })
      const collected = yield* run({
        ...options("rescued", 240),
        maxRecordsPerJob: 120,
        deadline: "3 seconds",
        rescue: "on-demand",
        retry: { attempts: 3, outcomes: ["failed"] }
      }).pipe(Effect.provide(stack.layer()))
      yield* expectAll(stack, collected, 240)
      const [, second] = collected.report.attempts
      assert.isAtLeast(second!.records, 120)
      const { callsAnswered, jobsCreated } = yield* stack.emulator.stats
      assert.isAtMost(jobsCreated, 2)
      assert.isAtLeast(callsAnswered, second!.records)
    }), 60_000)

  it.live("batch jobs of another attempt have a deadline and are confirmed", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing })
      const all = { ...options("another", 240), maxRecordsPerJob: 120 }
      const first = yield* run({ ...all, deadline: "2 seconds" }).pipe(Effect.provide(stack.layer()))
      assert.isAtLeast(first.report.counts.missing, 120)
      yield* retry(first.run).pipe(Effect.provide(stack.layer()))
      const again = (confirmAbove: number) =>
        Effect.provide(run({ ...all, deadline: "2 seconds", confirmAbove }), stack.layer())
      const asked = yield* Effect.flip(again(100))
      assert.deepInclude(asked.reason, { _tag: "RunConflict", problem: "unconfirmed" })
      const second = yield* again(240)
      assert.strictEqual(second.report.attempts[1]!.records, first.report.counts.missing)
      const { invocationJobSummaries } = yield* Effect.orDie(stack.emulator.list({}))
      for (const { status } of invocationJobSummaries) assert.include(["Completed", "Stopped"], status)
    }), 60_000)
})

describe.concurrent("two processes on one run", () => {
  it.live("make the same attempts, pay for each record once an attempt, and give the same", () =>
    Effect.gen(function*() {
      const { asked, responder } = failingFirst(2, (id) => id % 3 === 0)
      const stack = yield* start({ responder })
      const life = run({
        ...options("twice", 420),
        maxRecordsPerJob: 140,
        format: "jsonl",
        retry: { attempts: 4 }
      })
      const both = yield* Effect.all(Array.from({ length: 2 }, () => Effect.provide(life, stack.layer())), {
        concurrency: "unbounded"
      })
      yield* expectAll(stack, both[0]!, 420)
      for (const { report } of both) assert.deepStrictEqual(report, both[0]!.report)
      assert.deepStrictEqual(both[0]!.report.attempts.map(({ records }) => records), [420, 140, 140])
      assert.strictEqual([...asked.values()].reduce((sum, n) => sum + n, 0), 700)
      assert.strictEqual((yield* stack.emulator.stats).jobsCreated, 3 + 1 + 1)
    }), 60_000)

  it.live("of which one has a deadline lose nothing and pay for nothing twice", () =>
    Effect.gen(function*() {
      const { asked, responder } = failingFirst(0, () => false)
      const stack = yield* start({ timing, responder })
      const all = { ...options("both", 360), maxRecordsPerJob: 120, concurrency: 2 }
      const [hurried, patient] = yield* Effect.all([
        Effect.provide(run({ ...all, deadline: "2 seconds", rescue: "on-demand" }), stack.layer()),
        Effect.provide(run(all), stack.layer())
      ], { concurrency: "unbounded" })
      yield* expectAll(stack, hurried, 360)
      assert.strictEqual(Object.values(patient.report.counts).reduce((a, b) => a + b, 0), 360)
      assert.strictEqual(Math.max(...asked.values()), 1)
    }), 60_000)

  it.live("of which one cancels end with what there was", () =>
    Effect.gen(function*() {
      const { responder } = failingFirst(1, (id) => id % 2 === 0)
      const stack = yield* start({ responder, timing: { ...quick, running: 700 } })
      const all = { ...options("gone", 480), maxRecordsPerJob: 120, retry: { attempts: 3 } }
      const cancelling = Effect.gen(function*() {
        // In the second attempt: when its first job is there.
        for (;;) {
          const { jobsCreated } = yield* stack.emulator.stats
          if (jobsCreated > 4) break
          yield* Effect.sleep("20 millis")
        }
        return yield* Run.cancel("gone")
      })
      const [collected, cancelled] = yield* Effect.all([
        Effect.provide(run(all), stack.layer()),
        Effect.provide(cancelling, stack.layer())
      ], { concurrency: "unbounded" })
      assert.strictEqual(cancelled.jobs.total, cancelled.jobs.ended + cancelled.jobs.stopped + cancelled.jobs.neverSent)
      assert.isAtLeast(collected.report.counts.succeeded, 240)
      assert.strictEqual(Object.values(collected.report.counts).reduce((a, b) => a + b, 0), 480)
      const again = yield* resume("gone").pipe(Effect.provide(stack.layer()))
      assert.deepStrictEqual(again.report, collected.report)
    }), 60_000)
})

describe.concurrent("later attempts", () => {
  it.live("come to the same in threads, in files and here, of more rows than a thread is worth", () =>
    Effect.gen(function*() {
      const { responder } = failingFirst(2, (id) => id % 7 === 0)
      const stack = yield* start({ responder })
      const { files, third } = yield* Effect.gen(function*() {
        let run: Run.Run<object> = yield* prepare({ ...options("many", 10_500), maxRecordsPerJob: 4_000 })
        for (let attempt = 1; attempt < 3; attempt++) {
          yield* awaitAll(run.jobs.map(submit), { wait: soon })
          run = yield* retry(run, { maxRecordsPerJob: 1_000 })
        }
        const jobs = yield* awaitAll(run.jobs.map(submit), { wait: soon })
        const files: Array<ReadonlyArray<string>> = []
        const ways = [{}, { memoryBudget: 200_000, parallelism: 1 }, { memoryBudget: 200_000, parallelism: 4 }]
        for (const way of ways) {
          const collected = yield* collect(run, jobs, { format: "jsonl", ...way })
          assert.strictEqual(collected.report.counts.succeeded, 10_500)
          const keys = yield* stack.keys("many/results/")
          files.push(yield* Effect.forEach(keys.filter((key) => key.endsWith(".jsonl")), stack.text))
          if (files.length === ways.length) return { files, third: collected }
          for (const key of keys) yield* stack.remove(key)
        }
        return yield* Effect.die(new Error("unreachable"))
      }).pipe(Effect.provide(stack.layer()))
      yield* expectAll(stack, third, 10_500)
      for (const other of files.slice(1)) assert.isTrue(other.every((text, i) => text === files[0]![i]))
      assert.deepStrictEqual(third.report.attempts.map(({ records }) => records), [10_500, 1_500, 1_500])
    }), 60_000)
})
