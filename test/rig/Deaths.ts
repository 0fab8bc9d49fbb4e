/** Runs that die at chosen writes, and the process that comes after. */
import { assert } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { audit } from "./Audit.ts"
import * as Crash from "./Crash.ts"
import { plainTable } from "./Data.ts"
import * as Line from "./Line.ts"
import { type Options, start } from "./Stack.ts"

const task = { rows: 200, rowsPerJob: 100 }

/**
 * Lets one process after the other die at its write, then a last one finish: nothing may be paid twice, and every row is
 * answered. Gives what each process wrote, the last one too.
 */
export const dying = Effect.fnUntraced(function*(cuts: ReadonlyArray<Line.Cut>, options: Options = {}) {
  const stack = yield* start({ ...options, faults: { token: "ignored", ...options.faults } })
  const written: Array<ReadonlyArray<string>> = []
  for (const cut of [...cuts, null]) {
    const line = yield* Line.between(stack, cut)
    const layer = Layer.fresh(stack.layer({ endpoints: line.endpoints, settleAfter: "1500 millis", quotaPause: "100 millis" }))
    const fiber = yield* Effect.forkChild(Effect.provide(Crash.shared(task), layer))
    const ended = yield* Effect.raceFirst(
      Effect.as(line.cut, null),
      Fiber.join(fiber)
    )
    yield* Fiber.interrupt(fiber)
    written.push(line.writes)
    if (ended === null) continue
    stack.emulator.faults.clear()
    const { counts } = yield* audit(stack, ended, plainTable(task.rows), Crash.askPlain)
    assert.deepStrictEqual(counts, { succeeded: task.rows })
    assert.deepInclude(yield* stack.emulator.stats, { jobsCreated: 2, recordsProcessed: task.rows })
    break
  }
  return written
}, Effect.scoped)
