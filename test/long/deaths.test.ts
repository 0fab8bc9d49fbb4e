import { assert, it } from "@effect/vitest"
import { Chance } from "@bedrock-batch/emulator"
import { Effect } from "effect"
import { audit } from "../rig/Audit.ts"
import * as Crash from "../rig/Crash.ts"
import { plainTable } from "../rig/Data.ts"
import { dying } from "../rig/Deaths.ts"
import { quick, start } from "../rig/Stack.ts"

const seeds = Array.from({ length: Number(process.env["SEEDS"] ?? 60) }, (_, i) => `death/${i}`)

it.live("three processes that die at writes of their own leave a run that the fourth finishes", () =>
  Effect.forEach(seeds, (seed) => {
    const chance = Chance.make(seed)
    const cuts = Array.from({ length: 3 }, () => ({
      write: chance.below(24),
      when: chance.next() < 0.5 ? "before" as const : "after" as const
    }))
    const options = { seed, faults: { slowCreate: { when: 0.3, by: "200 millis" }, listLag: "300 millis" } } as const
    return Effect.tapCause(dying(cuts, options), () => Effect.logError(seed, JSON.stringify(cuts)))
  }, { concurrency: 6, discard: true }))

it.live("processes that are killed at random leave a run that another finishes", () =>
  Effect.forEach(seeds.slice(0, 25), (seed) =>
    Effect.scoped(Effect.gen(function*() {
      const chance = Chance.make(seed)
      const task = { rows: 500, rowsPerJob: 100 }
      const stack = yield* start({
        seed,
        timing: { ...quick, running: 300 },
        faults: { token: "ignored", slowAnswer: { by: "100 millis" }, slowCreate: { by: "50 millis" }, answerLost: 0.2 }
      })
      for (let round = 0; round < 5; round++) {
        const children = [1, 2].map(() => Crash.start({ ...task, options: stack.options }))
        for (const child of children) {
          yield* Effect.promise(() => child.begun)
          yield* Effect.sleep(chance.below(500) * (round + 1))
          child.kill()
        }
        for (const child of children) yield* Effect.promise(() => child.ended)
      }
      stack.emulator.faults.set({ answerLost: 0 })
      const collected = yield* Crash.here(stack, task)
      stack.emulator.faults.clear()
      const { counts } = yield* audit(stack, collected, plainTable(500), Crash.askPlain)
      assert.deepStrictEqual(counts, { succeeded: 500 })
      assert.strictEqual((yield* stack.emulator.stats).jobsCreated, 5, seed)
    })), { concurrency: 2, discard: true }))
