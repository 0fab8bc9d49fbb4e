import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { dying } from "../rig/Deaths.ts"

describe("a process that dies", () => {
  it.live("at any of its writes, before or after it is done, leaves a run that another finishes without paying twice", () =>
    Effect.gen(function*() {
      const [whole] = yield* dying([])
      const shape = whole!.map((write) => write.replace(/\/crashing-[0-9a-f]+/, "").replaceAll(/[0-9a-f]{16}/g, "p"))
      assert.includeMembers(shape, [
        "PUT /e2e-bucket/plan.json",
        "PUT /e2e-bucket/run.json",
        "PUT /e2e-bucket/jobs/1-000000.intent",
        "PUT /e2e-bucket/jobs/1-000000.claim-1",
        "POST /model-invocation-job",
        "PUT /e2e-bucket/jobs/1-000001.arn",
        "PUT /e2e-bucket/jobs/1-000001.end"
      ])
      const cuts = whole!.flatMap((_, write) => (["before", "after"] as const).map((when) => ({ write, when })))
      const lives = yield* Effect.forEach(cuts, (cut) => Effect.map(dying([cut]), ({ length }) => length), { concurrency: 6 })
      // Jobs race, so a process may be done with a write less.
      assert.isAtLeast(lives.filter((processes) => processes === 2).length, cuts.length - 4)
    }), 120_000)
})
