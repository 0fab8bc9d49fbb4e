import { assert, describe, it } from "@effect/vitest"
import { prepare, Prompt, Run, run } from "@bedrock-batch/sdk"
import { Effect, Fiber } from "effect"
import { plainTable, sourceOf } from "../rig/Data.ts"
import { haiku, quick, soon, type Stack, start } from "../rig/Stack.ts"

const definition = {
  name: "stopped",
  source: sourceOf(plainTable(360)),
  model: haiku,
  prompt: Prompt.make("{id}: {topic}"),
  maxRecordsPerJob: 120,
  wait: soon,
  concurrency: 2
} as const

/** Waits until the ledger of a run has so many objects that end like this. */
const until = Effect.fnUntraced(function*(stack: Stack, runId: string, suffix: string, count: number) {
  for (;;) {
    const keys = yield* stack.keys(`${runId}/jobs/`)
    if (keys.filter((key) => key.endsWith(suffix)).length >= count) return
    yield* Effect.sleep("20 millis")
  }
})

const states = Effect.fnUntraced(function*(stack: Stack) {
  const { invocationJobSummaries } = yield* Effect.orDie(stack.emulator.list({}))
  return invocationJobSummaries.map(({ status }) => status)
})

describe.concurrent("cancelling a run while another process works on it", () => {
  it.live("stops what is open and submits nothing more; what was answered is collected", () =>
    Effect.gen(function*() {
      const running = ({ name }: { readonly name: string }) => name.includes("1-000000") ? 50 : 600_000
      const stack = yield* start({ timing: { ...quick, running } })
      const { id } = yield* prepare(definition).pipe(Effect.provide(stack.layer()))
      // The first job ends, the second runs, the third waits for its slot, which it gets.
      const working = yield* Effect.forkChild(run(definition).pipe(Effect.provide(stack.layer())))
      yield* until(stack, id, ".end", 1)
      yield* until(stack, id, ".arn", 3)
      const cancelled = yield* Run.cancel(id).pipe(Effect.provide(stack.layer()))
      assert.deepInclude(cancelled.jobs, { total: 3, ended: 1, stopped: 2, unsettled: 0, settledByList: 0 })
      assert.deepStrictEqual(cancelled.records, { total: 360, processed: 120, notRun: 240, unknown: 0 })
      assert.sameMembers(yield* states(stack), ["Completed", "Stopped", "Stopped"])
      const { report } = yield* Fiber.join(working)
      assert.deepInclude(report.counts, { succeeded: 120, missing: 240 })
      const again = yield* run(definition).pipe(Effect.provide(stack.layer()))
      assert.deepStrictEqual(again.report, report)
      assert.strictEqual((yield* stack.emulator.stats).calls.create, 3)
      const { stop } = (yield* stack.emulator.stats).calls
      assert.deepInclude((yield* Run.cancel(id).pipe(Effect.provide(stack.layer()))).jobs, { ended: 3, stopped: 0 })
      assert.strictEqual((yield* stack.emulator.stats).calls.stop, stop)
    }), 60_000)

  it.live("finds the job of a lost answer, though nobody lives who sent it", () =>
    Effect.gen(function*() {
      const stack = yield* start({
        timing: { ...quick, running: 600_000 },
        faults: { answerLost: { next: 1 }, token: "ignored", listLag: "500 millis" }
      })
      const aws = stack.layer({ settleAfter: "3 seconds" })
      const { id } = yield* prepare(definition).pipe(Effect.provide(aws))
      const working = yield* Effect.forkChild(run({ ...definition, concurrency: 1 }).pipe(Effect.provide(aws)))
      yield* until(stack, id, ".claim-1", 1)
      while ((yield* stack.emulator.stats).jobsCreated === 0) yield* Effect.sleep("10 millis")
      yield* Fiber.interrupt(working)
      const cancelled = yield* Run.cancel(id).pipe(Effect.provide(aws))
      assert.deepInclude(cancelled.jobs, { total: 3, stopped: 1, neverSent: 2 })
      assert.deepStrictEqual(yield* states(stack), ["Stopped"])
      const { report } = yield* run(definition).pipe(Effect.provide(aws))
      assert.deepInclude(report.counts, { missing: 360 })
      assert.strictEqual((yield* stack.emulator.stats).jobsCreated, 1)
    }), 60_000)
})
