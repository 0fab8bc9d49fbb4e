// Runs `npm run demo -- --json` and checks its last line: `node scripts/check-demo.mjs`.
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { statSync } from "node:fs"

const { status, stderr, stdout } = spawnSync("npm", ["run", "demo", "--", "--json"], { encoding: "utf8", timeout: 60_000 })
assert.equal(status, 0, `the demo failed or took more than a minute:\n${stdout}\n${stderr}`)
const demo = JSON.parse(stdout.trimEnd().split("\n").at(-1))

assert.deepEqual([demo.rows, demo.jobs, demo.maxOpenJobs], [10_000, 4, 2])
for (const { counts, results, rows } of [demo, demo.embeddings]) {
  assert.equal(Object.values(counts).reduce((sum, count) => sum + count, 0), rows)
  assert.equal(counts.succeeded, 10_000)
  for (const file of results) assert.ok(statSync(file).size > 0, `${file} is empty`)
}
console.log(`demo: ${demo.rows} rows in ${demo.jobs} jobs, at most ${demo.maxOpenJobs} of them open`)
