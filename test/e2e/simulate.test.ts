import { assert, it } from "@effect/vitest"
import { simulate } from "../rig/Simulation.ts"

for (
  const [jobs, quota, capacity] of [
    [1_000, 100, "fixed"],
    [400, 7, "fixed"],
    [30, 100, "fixed"],
    [400, 40, "live"],
    [100, 3, "live"],
    [400, 40, "shared"],
    [100, 3, "shared"]
  ] as const
) {
  it(`keeps ${quota} ${capacity} slots busy with ${jobs} jobs of random length, and asks Bedrock seldom`, async () => {
    const { apiCalls, boundHours, makespanHours, maxOpen, ratio } = await simulate({
      jobs,
      quota,
      seed: `${quota}`,
      capacity
    })
    assert.strictEqual(maxOpen, Math.min(jobs, quota))
    assert.isAtLeast(makespanHours, boundHours)
    assert.isAtMost(ratio, 1.03)
    assert.isAtMost(apiCalls, 2 * jobs + 2 * 60 * makespanHours)
  })
}
