import { assert, it } from "@effect/vitest"
import { Prompt, run } from "@bedrock-batch/sdk"
import { Effect } from "effect"
import { audit } from "../rig/Audit.ts"
import * as Crash from "../rig/Crash.ts"
import { plainTable, sourceOf, sum } from "../rig/Data.ts"
import { everything } from "../rig/Everything.ts"
import { haiku, soon, start } from "../rig/Stack.ts"

const seeds = Array.from({ length: Number(process.env["SEEDS"] ?? 60) }, (_, i) => `long/${i}`)
const table = plainTable(800)

it.live("whatever goes wrong at once, every row is accounted for and each job created once", () =>
  Effect.forEach(seeds, (seed) =>
    Effect.scoped(Effect.gen(function*() {
      const stack = yield* start({ seed, faults: everything, limits: { maxOpenJobs: 3 } })
      const collected = yield* run({
        name: "everything",
        source: sourceOf(table),
        model: haiku,
        prompt: Prompt.make("{id}: {topic}"),
        maxRecordsPerJob: 100,
        wait: soon,
        concurrency: 5
      }).pipe(Effect.provide(stack.layer({ quotaPause: "100 millis" })))
      stack.emulator.faults.clear()
      const { counts } = yield* audit(stack, collected, table, Crash.askPlain)
      assert.strictEqual(sum(counts), 800)
      const stats = yield* stack.emulator.stats
      assert.strictEqual(stats.jobsCreated, 8, seed)
      assert.isAtMost(Math.max(...Object.values(stats.maxOpenSeen)), 3)
    })), { concurrency: 4, discard: true }))

it.live("two processes of one run while everything goes wrong", () =>
  Effect.forEach(seeds.slice(0, 20), (seed) =>
    Effect.scoped(Effect.gen(function*() {
      const stack = yield* start({ seed, faults: everything })
      const task = { rows: 500, rowsPerJob: 100 }
      const one = Crash.here(stack, task)
      const [collected] = yield* Effect.all([one, one], { concurrency: 2 })
      stack.emulator.faults.clear()
      yield* audit(stack, collected, plainTable(500), Crash.askPlain)
      assert.strictEqual((yield* stack.emulator.stats).jobsCreated, 5, seed)
    })), { concurrency: 3, discard: true }))

it.live("with the layer's own pause after a quota error the run finishes", () =>
  Effect.scoped(Effect.gen(function*() {
    const stack = yield* start({ limits: { maxOpenJobs: 2 } })
    const collected = yield* Effect.provide(Crash.shared({ rows: 600, rowsPerJob: 100 }), stack.layer())
    yield* audit(stack, collected, plainTable(600), Crash.askPlain)
    assert.deepInclude(yield* stack.emulator.stats, { jobsCreated: 6 })
  })))
