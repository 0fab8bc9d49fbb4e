import { assert, describe, it } from "@effect/vitest"
import { Chance } from "@bedrock-batch/emulator"
import { BatchError, Prompt, run } from "@bedrock-batch/sdk"
import { Effect } from "effect"
import { audit } from "../rig/Audit.ts"
import { plainTable, sourceOf } from "../rig/Data.ts"
import * as Line from "../rig/Line.ts"
import { haiku, soon, start } from "../rig/Stack.ts"
import type { Fault } from "../../packages/sdk/test/rig/S3Server.ts"

const table = plainTable(330)
const definition = {
  name: "flaky",
  source: sourceOf(table),
  model: haiku,
  prompt: Prompt.make("{id}: {topic}"),
  maxRecordsPerJob: 110,
  wait: soon
} as const
const ask = (cells: ReadonlyMap<string, unknown>) => `${cells.get("id")}: ${cells.get("topic")}`

/** Outputs are read by the sdk alone, so that what goes wrong with them is not the emulator's trouble. */
const ours = (share: number, chance: Chance.Chance) => ({ url }: { readonly url: string }) =>
  (url.includes("/jobs/") || url.includes("/results/") || url.includes(".json") || url.includes("/rows/")) &&
  !url.includes("jsonl") && chance.next() < share

describe.concurrent("an S3 that is not well", () => {
  const troubles: ReadonlyArray<readonly [string, Omit<Fault, "match">]> = [
    ["is overloaded", { status: 503 }],
    ["has internal errors", { status: 500, code: "InternalError" }],
    ["resets connections", { reset: true }],
    ["does what is asked and loses the answer", { dropAfter: true }],
    ["breaks off in the middle of answers", { truncate: 10 }]
  ]
  for (const [name, trouble] of troubles) {
    it.live(`${name}: every row is answered in the end, and each job created once`, () =>
      Effect.gen(function*() {
        const stack = yield* start({ faults: { token: "ignored" } })
        stack.s3.faults.push({ match: ours(0.15, Chance.make(name)), ...trouble })
        const collected = yield* run(definition).pipe(
          Effect.tapError((error) =>
            Effect.sync(() => {
              assert.instanceOf(error, BatchError.BatchError)
              assert.isTrue(error.isRetryable, error.message)
            })),
          Effect.retry({ times: 20, while: (error) => error.isRetryable }),
          Effect.provide(stack.layer())
        )
        stack.s3.faults.length = 0
        const { counts } = yield* audit(stack, collected, table, ask)
        assert.deepStrictEqual(counts, { succeeded: 330 })
        assert.deepInclude(yield* stack.emulator.stats, { jobsCreated: 3, recordsProcessed: 330 })
      }), 60_000)
  }

  it.live("changes bytes of what it gives: nothing wrong is taken for an answer", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      stack.s3.faults.push({ match: ({ method, url }) => method === "GET" && url.includes(".jsonl.out"), times: 1, corrupt: true })
      const error = yield* Effect.flip(run(definition).pipe(Effect.provide(stack.layer())))
      assert.strictEqual(error.reason._tag, "Damaged")
      assert.match(error.message, /part-0\.jsonl\.out does not match its own checksum/)
      const collected = yield* run(definition).pipe(Effect.provide(stack.layer()))
      const { counts } = yield* audit(stack, collected, table, ask)
      assert.deepStrictEqual(counts, { succeeded: 330 })
    }))

  it.live("holds other rows than prepare wrote: damage is told, nothing is guessed", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const first = yield* run(definition).pipe(Effect.provide(stack.layer()))
      for (const key of yield* stack.keys(`${first.report.runId}/results/`)) yield* stack.remove(key)
      const rows = (yield* stack.keys(`${first.report.runId}/rows/`))[0]!
      const good = yield* stack.get(rows)
      const damages = {
        "cut at its end": good.slice(0, -40),
        "cut at its beginning": good.slice(0, 100),
        empty: new Uint8Array(0),
        doubled: Buffer.concat([good, good]),
        "changed in one cell": Buffer.from(Buffer.from(good).toString("latin1").replace("topic 3", "topic 4"), "latin1")
      }
      for (const [name, bad] of Object.entries(damages)) {
        yield* stack.put(rows, bad)
        const result = yield* Effect.result(run(definition).pipe(Effect.provide(stack.layer())))
        assert(result._tag === "Failure", name)
        assert.deepInclude(result.failure.reason, { _tag: "Damaged", key: rows }, name)
      }
      yield* stack.put(rows, good)
      const again = yield* run(definition).pipe(Effect.provide(stack.layer()))
      yield* audit(stack, again, table, ask)
    }))
})

it.live("a line that is never cut changes nothing", () =>
  Effect.gen(function*() {
    const stack = yield* start()
    const line = yield* Line.between(stack, null)
    const collected = yield* run(definition).pipe(Effect.provide(stack.layer({ endpoints: line.endpoints })))
    yield* audit(stack, collected, table, ask)
    assert.strictEqual(line.writes.filter((write) => write === "POST /model-invocation-job").length, 3)
  }))
