import { assert, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import type { Simulated } from "../rig/Simulation.ts"

const simulate = async (...options: ReadonlyArray<string>): Promise<Simulated> => {
  const script = join(import.meta.dirname, "../simulate/simulate.ts")
  const { stdout } = await promisify(execFile)(process.execPath, [script, "--json", ...options])
  return JSON.parse(stdout)
}

for (const seed of ["1", "2", "3"]) {
  it(`ten thousand jobs keep a hundred slots busy for three days, and leave little behind (seed ${seed})`, async () => {
    const simulated = await simulate("--seed", seed)
    assert.deepInclude(simulated, { jobs: 10_000, quota: 100, seed, maxOpen: 100 })
    assert.approximately(simulated.boundHours, 72, 4)
    assert.isAtMost(simulated.ratio, 1.03)
    assert.isAtMost(simulated.apiCalls, 2 * 10_000 + 2 * 60 * simulated.makespanHours)
    assert.isAbove(simulated.heldMb, 0)
    assert.isBelow(simulated.heldMb, 100)
  })
}

it("what is kept grows with the jobs, and not faster", async () => {
  const [some, many] = [await simulate("--jobs", "5000"), await simulate("--jobs", "20000")]
  assert.isAtMost(many.heldMb, 5 * some.heldMb)
  assert.isAtMost(many.ratio, 1.03)
})
