import { afterAll, assert, beforeAll, describe, it, vi } from "vitest"
import { type Bench, start } from "../rig/Handlers.ts"
import { atOnce } from "../rig/PipelineAtOnce.ts"
import { kills } from "../rig/PipelineKills.ts"

let bench: Bench

beforeAll(async () => {
  vi.spyOn(process.stdout, "write").mockImplementation(() => true)
  bench = await start()
})
afterAll(() => bench.close())

describe("a function that is killed after any of its calls to AWS", () => {
  for (const victim of ["submit", "event", "sweep"] as const) {
    for (const answered of [true, false]) {
      const last = `its last call ${answered ? "" : "not "}answered`
      it(`leaves nothing undone and nothing paid for twice: ${victim}, ${last}`, async () => {
        const deaths = await kills(bench, { victim, answered })
        assert.isAtLeast(deaths.length, 5)
        for (const death of deaths) {
          assert.deepInclude(death, { status: "Completed", jobs: 1, open: [] }, JSON.stringify(death))
        }
      })
    }
  }
})

describe("functions at work at the same time", () => {
  for (let seed = 1; seed <= 8; seed++) {
    it(`pay once for each job, and answer every task, whose call comes first (${seed})`, async () => {
      assert.deepStrictEqual(await atOnce(bench, seed, 25), { told: ["Completed"], jobs: [1], open: [] })
    })
  }
})
