import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { cases, type FamilyCase } from "../rig/FamilyCases.ts"
import { check } from "../rig/FamilyRun.ts"

it.live("every family gives each row the answer to its own request, in each of its forms", () =>
  Effect.gen(function*() {
    const checked = yield* Effect.forEach(cases, (one) => check(one, 100), { concurrency: 4 })
    const problems = checked.flatMap((one) => one.problems.map((problem) => `${one.family}: ${problem}`))
    assert.deepStrictEqual(problems, [])
    const statuses = new Set(checked.flatMap(({ counts }) => Object.keys(counts)))
    assert.includeMembers([...statuses], ["succeeded", "truncated", "refused", "invalid", "failed"])
  }))

it.live("a row that holds the answer to another request is found", () =>
  Effect.gen(function*() {
    const one = cases[0]!
    const other: FamilyCase = { ...one, body: (row) => one.body({ ...row, topic: `${row.topic}!` }) }
    const { ok, problems, wrong } = yield* check(other, 100)
    assert.isFalse(ok)
    assert.isAbove(wrong, 90)
    assert.lengthOf(problems, 5)
    assert.match(problems[0]!, /^row 0: response is "Answer/)
  }))

const script = join(import.meta.dirname, "../families/families.ts")

it("npm run families prints a JSON array, and refuses what it does not know", async () => {
  const options = ["--rows", "100", "--family", "mistral-text", "--json"]
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...options])
  const [checked, ...others] = JSON.parse(stdout)
  assert.deepStrictEqual(others, [])
  assert.deepInclude(checked, { model: "mistral.mistral-small-2402-v1:0", rows: 100, ok: true, wrong: 0, problems: [] })
  for (const args of [["--rows", "99"], ["--row", "100"], ["--family", "no such"]]) {
    const failure = await promisify(execFile)(process.execPath, [script, ...args]).then(() => null, (error) => error)
    assert.strictEqual(failure?.code, 2, args.join(" "))
  }
})
