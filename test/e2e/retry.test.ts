import { type Faults, Responder } from "@bedrock-batch/emulator"
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
  Source,
  submit
} from "@bedrock-batch/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { createHash } from "node:crypto"
import { cell, readResults } from "../rig/Audit.ts"
import { csvOf, plainTable, sourceOf } from "../rig/Data.ts"
import * as Line from "../rig/Line.ts"
import { echo, haiku, promptOf, quick, soon, type Stack, start } from "../rig/Stack.ts"

const prompt = Prompt.make("{id}: {topic}")

/** Fails each asking with a probability, by what is asked and how often it was asked before; then as `echo`. */
const failing = (probability: number, errors: ReadonlyArray<number | "throw">): Responder.Responder => {
  const asked = new Map<string, number>()
  return (request) => {
    const text = promptOf(request.modelInput)
    const times = asked.get(text) ?? 0
    asked.set(text, times + 1)
    const draw = createHash("sha256").update(`${times}\n${text}`).digest()
    if (draw.readUInt32LE() / 2 ** 32 >= probability) return echo(request)
    const error = errors[draw[4]! % errors.length]!
    if (error === "throw") throw new Error("the responder threw")
    return { error: { errorCode: error, errorMessage: `scripted ${error}` } }
  }
}

/** Every row once, in order, with its own columns and its answer. */
const expectAll = Effect.fnUntraced(function*(stack: Stack, collected: Collected<object>, rows: number) {
  const table = plainTable(rows)
  const results = yield* readResults(stack, collected)
  assert.strictEqual(results.rows.length, rows)
  for (let i = 0; i < rows; i++) {
    const [id, topic] = table.rows[i]!
    assert.deepStrictEqual(
      ["id", "topic", "record_id", "batch_status", "response"].map((column) => cell(results, i, column)),
      [id, topic, `r${String(i).padStart(10, "0")}`, "succeeded", `echo: ${id}: ${topic}`],
      `row ${i}`
    )
  }
  assert.strictEqual(collected.report.counts.succeeded, rows)
  assert.strictEqual(collected.report.records, rows)
  assert.deepStrictEqual(collected.report.differences, [])
})

/** No more batch jobs were made than the manifests plan. */
const expectOnce = Effect.fnUntraced(function*(stack: Stack, runId: string) {
  const manifests = [yield* stack.json(`${runId}/run.json`)]
  for (const key of yield* stack.keys(`${runId}/attempts/`)) manifests.push(yield* stack.json(key))
  let planned = 0
  for (const { jobs } of manifests) {
    const list: ReadonlyArray<{ readonly lane: string }> = yield* stack.json(jobs.key)
    planned += list.filter(({ lane }) => lane === "batch").length
  }
  assert.strictEqual((yield* stack.emulator.stats).jobsCreated, planned)
})

describe.concurrent("retry", () => {
  it.live.each([0.01, 0.1, 0.5])("completes a run whose model fails with a probability of %d", (probability) =>
    Effect.gen(function*() {
      const stack = yield* start({ responder: failing(probability, [429, 500, 503, "throw"]) })
      const collected = yield* run({
        name: "failing",
        source: sourceOf(plainTable(600)),
        model: haiku,
        prompt,
        maxRecordsPerJob: 200,
        wait: soon,
        retry: { attempts: 30 }
      }).pipe(Effect.provide(stack.layer()))
      yield* expectAll(stack, collected, 600)
      const { attempts } = collected.report
      assert.isAtLeast(attempts.length, 2)
      for (const [i, { counts, records }] of attempts.slice(1).entries()) {
        assert.strictEqual(records, attempts[i]!.counts.failed)
        assert.strictEqual(counts.succeeded + counts.failed, records)
      }
      yield* expectOnce(stack, collected.report.runId)
    }), 60_000)

  const ends: ReadonlyArray<readonly [string, Faults.FaultOptions]> = [
    ["expired jobs", { expireJob: { next: 2 } }],
    ["jobs that are partially completed, with lines for the rest", { partialJob: { next: 2 } }],
    ["jobs that are partially completed, without lines for the rest", { partialJob: { next: 2 }, unprocessed: "missing" }],
    ["failed jobs", { failJob: { next: 2 } }],
    ["failed jobs with output", { failWithOutput: { next: 2 } }],
    ["lost, doubled, cut and foreign lines", { missingLines: 0.1, duplicateLines: 0.1, malformedLines: 0.1, unknownIds: 0.1 }]
  ]
  it.live.each(ends)("completes a run with %s", ([, faults]) =>
    Effect.gen(function*() {
      const stack = yield* start()
      stack.emulator.faults.set(faults)
      const options = { name: "ends", source: sourceOf(plainTable(500)), model: haiku, prompt, maxRecordsPerJob: 125, wait: soon }
      const first = yield* run(options).pipe(Effect.provide(stack.layer()))
      assert.isAbove(first.report.mendable, 0)
      assert.strictEqual(Object.values(first.report.counts).reduce((a, b) => a + b, 0), 500)
      stack.emulator.faults.clear()
      const collected = yield* run({ ...options, retry: { attempts: 2 } }).pipe(Effect.provide(stack.layer()))
      assert.strictEqual(collected.report.counts.succeeded, 500)
      assert.deepStrictEqual(collected.report.attempts[0]!.counts, first.report.counts)
      assert.strictEqual(collected.report.attempts[1]!.records, first.report.mendable)
      yield* expectOnce(stack, collected.report.runId)
    }), 60_000)

  it.live("leaves what the model refused to read alone, unless all errors are asked for", () =>
    Effect.gen(function*() {
      const stack = yield* start({ responder: failing(0.3, [400, 500]) })
      const collected = yield* Effect.gen(function*() {
        const first = yield* prepare({ name: "final", source: sourceOf(plainTable(800)), model: haiku, prompt })
        const jobs = yield* awaitAll(first.jobs.map(submit), { wait: soon })
        const { report } = yield* collect(first, jobs)
        const second = yield* retry(first)
        assert.strictEqual(second.jobs.reduce((sum, { records }) => sum + records, 0), report.mendable)
        assert.isBelow(report.mendable, report.counts.failed)
        const again = yield* awaitAll(second.jobs.map(submit), { wait: soon })
        const left = yield* collect(second, again)
        const third = yield* retry(second, { errors: "all", lane: "on-demand" })
        assert.strictEqual(third.jobs.reduce((sum, { records }) => sum + records, 0), left.report.counts.failed)
        assert.isTrue(third.jobs.every(({ lane }) => lane === "on-demand"))
        return left
      }).pipe(Effect.provide(stack.layer()))
      yield* expectOnce(stack, collected.report.runId)
    }), 60_000)

  it.live("completes a run of which a job was stopped, and merges what it had done", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing: { ...quick, running: 2000 } })
      const options = { name: "stopped", source: sourceOf(plainTable(300)), model: haiku, prompt, wait: soon }
      const running = yield* Effect.forkChild(run(options).pipe(Effect.provide(stack.layer())))
      let arn: string | undefined
      while (arn === undefined) {
        yield* Effect.sleep("50 millis")
        const { invocationJobSummaries } = yield* Effect.orDie(stack.emulator.list({ statusEquals: "InProgress" }))
        arn = invocationJobSummaries[0]?.jobArn
      }
      yield* Effect.sleep("900 millis")
      yield* Effect.orDie(stack.emulator.stop(arn))
      const { report } = yield* Fiber.join(running)
      assert.isAbove(report.counts.succeeded, 0)
      assert.isAbove(report.counts.missing, 0)
      const collected = yield* run({ ...options, retry: { attempts: 2 } }).pipe(Effect.provide(stack.layer()))
      yield* expectAll(stack, collected, 300)
    }), 60_000)
})

describe.concurrent("a small set", () => {
  it.live("of 7 rows gives the columns and files of a large one, and is asked for once", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const options = (rows: number) => ({
        name: `small${rows}`,
        source: sourceOf(plainTable(rows)),
        model: haiku,
        prompt,
        wait: soon,
        belowMinimum: "on-demand" as const
      })
      const small = yield* run(options(7)).pipe(Effect.provide(stack.layer()))
      yield* expectAll(stack, small, 7)
      const large = yield* run(options(100)).pipe(Effect.provide(stack.layer()))
      yield* expectAll(stack, large, 100)
      const [few, many] = [yield* readResults(stack, small), yield* readResults(stack, large)]
      assert.deepStrictEqual(few, { columns: many.columns, rows: many.rows.slice(0, 7) })
      const before = yield* stack.emulator.stats
      assert.strictEqual(before.jobsCreated, 1)
      assert.strictEqual(before.callsAnswered, 7)
      const again = yield* run(options(7)).pipe(Effect.provide(stack.layer()))
      assert.deepStrictEqual(again.report, small.report)
      assert.strictEqual((yield* stack.emulator.stats).callsAnswered, 7)
      const status = yield* Run.status(small.report.runId).pipe(Effect.provide(stack.layer()))
      assert.deepInclude(status, { next: "nothing", records: 7 })
      assert.strictEqual(status.jobs.ended, 1)
    }), 60_000)

  it.live("is read to its end through throttling, errors and lost answers", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      stack.emulator.faults.set({ throttleInvoke: 0.2, serverErrorOnInvoke: 0.1, invokeAnswerLost: { next: 3 } })
      const collected = yield* run({
        name: "rough",
        source: sourceOf(plainTable(40)),
        model: haiku,
        prompt,
        belowMinimum: "on-demand"
      }).pipe(Effect.provide(stack.layer()))
      yield* expectAll(stack, collected, 40)
      assert.isAtLeast(collected.report.repeatedCalls, 3)
      const { callsAnswered } = yield* stack.emulator.stats
      assert.isAtMost(callsAnswered, 40 + collected.report.repeatedCalls)
    }), 60_000)
})

describe.concurrent("a deadline", () => {
  const slow = (stack: Stack, rescue: "on-demand" | "stop" | "leave") =>
    run({
      name: "late",
      source: sourceOf(plainTable(360)),
      model: haiku,
      prompt,
      maxRecordsPerJob: 120,
      wait: soon,
      concurrency: 2,
      deadline: "3 seconds",
      rescue
    }).pipe(Effect.provide(stack.layer()))
  const timing = { ...quick, running: ({ name }: { readonly name: string }) => name.includes("1-000000") ? 50 : 600_000 }

  it.live("stops what is open, keeps what is done, and runs the rest on demand", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing })
      const collected = yield* slow(stack, "on-demand")
      yield* expectAll(stack, collected, 360)
      assert.deepInclude(collected.report.attempts[0]!.counts, { succeeded: 120, missing: 240 })
      assert.deepInclude(collected.report.attempts[1], { attempt: 2, records: 240 })
      const { invocationJobSummaries } = yield* Effect.orDie(stack.emulator.list({}))
      assert.sameMembers(invocationJobSummaries.map(({ status }) => status), ["Completed", "Stopped", "Stopped"])
      assert.strictEqual((yield* stack.emulator.stats).callsAnswered, 240)
      assert.deepStrictEqual((yield* slow(stack, "on-demand")).report, collected.report)
      assert.strictEqual((yield* stack.emulator.stats).callsAnswered, 240)
    }), 60_000)

  it.live("stops what is open, and leaves the rest unanswered", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing })
      const { report } = yield* slow(stack, "stop")
      assert.deepInclude(report.counts, { succeeded: 120, missing: 240 })
      assert.strictEqual(report.mendable, 240)
      const status = yield* Run.status(report.runId).pipe(Effect.provide(stack.layer()))
      assert.deepInclude(status, { next: "nothing", cancelled: false })
    }), 60_000)

  it.live("leaves open jobs alone, and another call takes them up", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing: { ...quick, running: 5000 } })
      const { message, reason } = yield* Effect.flip(slow(stack, "leave"))
      assert.deepInclude(reason, { _tag: "RunConflict", problem: "not-ended" })
      const [, runId] = /run (late-[0-9a-f]+)/.exec(message) ?? []
      const { invocationJobSummaries } = yield* Effect.orDie(stack.emulator.list({}))
      assert.isTrue(invocationJobSummaries.every(({ status }) => status !== "Stopped" && status !== "Stopping"))
      const collected = yield* resume(runId!, { wait: soon }).pipe(Effect.provide(stack.layer()))
      yield* expectAll(stack, collected, 360)
      yield* expectOnce(stack, runId!)
    }), 60_000)
})

describe.concurrent("resume", () => {
  const runId = "taken-up"
  const begun = Effect.fnUntraced(function*(stack: Stack, write: number) {
    const line = yield* Line.between(stack, { write, when: "after" })
    const options = {
      name: "taken",
      runId,
      source: Source.csv("store://topics.csv"),
      model: haiku,
      prompt,
      maxRecordsPerJob: 100,
      wait: soon
    }
    const life = run(options).pipe(Effect.provide(stack.layer({ endpoints: line.endpoints })))
    yield* Effect.raceFirst(Effect.exit(life), line.cut)
    return options
  })

  it.live("takes up a run by its id, at whichever write it was left", () =>
    Effect.gen(function*() {
      for (const write of [0, 1, 3, 4, 5, 7, 10, 13]) {
        yield* Effect.scoped(Effect.gen(function*() {
          const stack = yield* start()
          yield* stack.put("topics.csv", csvOf(plainTable(220)))
          yield* begun(stack, write)
          const collected = yield* resume(runId, { wait: soon }).pipe(Effect.provide(stack.layer()))
          yield* expectAll(stack, collected, 220)
          yield* expectOnce(stack, runId)
          assert.strictEqual((yield* Run.status(runId).pipe(Effect.provide(stack.layer()))).next, "nothing")
        }))
      }
    }), 120_000)

  it.live("refuses a run that is not there, one whose source has changed, and another definition, naming the difference", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      yield* stack.put("topics.csv", csvOf(plainTable(220)))
      const none = yield* Effect.flip(resume(runId).pipe(Effect.provide(stack.layer())))
      assert.deepInclude(none.reason, { _tag: "RunConflict", problem: "not-found" })
      const options = yield* begun(stack, 1)
      const definition = { ...options, prompt: Prompt.make("{topic}") }
      const other = yield* Effect.flip(resume(runId, { definition }).pipe(Effect.provide(stack.layer())))
      assert.deepInclude(other.reason, { _tag: "RunConflict", problem: "different", differs: ["prompt"] })
      yield* stack.put("topics.csv", csvOf(plainTable(221)))
      const changed = yield* Effect.flip(resume(runId).pipe(Effect.provide(stack.layer())))
      assert.deepInclude(changed.reason, { _tag: "RunConflict", problem: "different", differs: ["source"] })
    }), 60_000)

  it.live("asks for the definition of a run that was not prepared and is not all data", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const source = sourceOf(plainTable(150))
      const definition = { name: "rows", runId, source, model: haiku, prompt }
      const line = yield* Line.between(stack, { write: 1, when: "before" })
      const life = run({ ...definition, wait: soon }).pipe(Effect.provide(stack.layer({ endpoints: line.endpoints })))
      yield* Effect.raceFirst(Effect.exit(life), line.cut)
      const { reason } = yield* Effect.flip(resume(runId).pipe(Effect.provide(stack.layer())))
      assert.deepInclude(reason, { _tag: "RunConflict", problem: "not-prepared" })
      const collected = yield* resume(runId, { definition, wait: soon }).pipe(Effect.provide(stack.layer()))
      yield* expectAll(stack, collected, 150)
    }), 60_000)
})
