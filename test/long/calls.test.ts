import { assert, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import type { Share, Summary } from "../rig/Calls.ts"

const script = fileURLToPath(new URL("../rig/calls-run.ts", import.meta.url))

const shareOf = async (share: Share): Promise<ReadonlyArray<Summary>> => {
  const child = spawn(process.execPath, [script, JSON.stringify(share)], { stdio: ["ignore", "pipe", "inherit"] })
  let output = ""
  child.stdout.on("data", (part) => output += part)
  const [code] = await once(child, "close")
  assert.strictEqual(code, 0)
  return JSON.parse(output)
}

it("whichever call of a run goes wrong, in whichever way: the results are the same, and nothing is paid for twice", async () => {
  const of = Math.min(8, availableParallelism())
  const shares = await Promise.all(Array.from({ length: of }, (_, index) => shareOf({ index, of })))
  const summaries = shares.flat()
  assert.deepStrictEqual(summaries.flatMap(({ violations }) => violations), [])
  assert.deepStrictEqual(summaries.flatMap(({ spared }) => spared), [])
  assert.isAbove(summaries.reduce((sum, { runs }) => sum + runs, 0), 600)
  // Inputs and rows are made while they are stored, and only once: S3 asks for them again in vain, and the run is run again.
  for (const name of summaries.flatMap(({ again }) => again)) {
    assert.match(name, /PUT \/run\/(inputs|rows)\/.*conflicting$/)
  }
})
