import { assert, it } from "@effect/vitest"
import { simulate } from "../rig/Simulation.ts"

for (const [jobs, quota, seed] of [[1_000, 100, "many"], [400, 7, "few slots"], [30, 100, "few jobs"]] as const) {
  it(`keeps ${quota} slots busy with ${jobs} jobs of random length, and asks Bedrock seldom`, async () => {
    const { apiCalls, boundHours, makespanHours, maxOpen, ratio } = await simulate({ jobs, quota, seed })
    assert.strictEqual(maxOpen, Math.min(jobs, quota))
    assert.isAtLeast(makespanHours, boundHours)
    assert.isAtMost(ratio, 1.03)
    assert.isAtMost(apiCalls, 2 * jobs + 2 * 60 * makespanHours)
  })
}
