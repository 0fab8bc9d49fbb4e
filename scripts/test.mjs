// Builds and tests every workspace: `npm test`. A workspace's output is shown if it fails; each ends with a line of its
// own, and the whole with "N passed, N failed", whatever happened.
import { spawn } from "node:child_process"
import { existsSync, globSync, readFileSync, rmSync } from "node:fs"
import { availableParallelism } from "node:os"
import { dirname, join } from "node:path"

const workspaces = globSync(["packages/*/package.json", "test/package.json"]).map((file) => dirname(file)).sort()
const resultsOf = (workspace) => join(workspace, "test-results.json")
for (const workspace of workspaces) rmSync(resultsOf(workspace), { force: true })

let passed = 0
let failed = 0
const waiting = new Set(workspaces)

/** Counts the workspaces whose results are there. */
const count = () => {
  for (const workspace of waiting) {
    if (!existsSync(resultsOf(workspace))) continue
    let report
    try {
      report = JSON.parse(readFileSync(resultsOf(workspace), "utf8"))
    } catch {
      continue // It is being written.
    }
    waiting.delete(workspace)
    // A file that fails to load has no failed test.
    const broken = report.success || report.numFailedTests > 0 ? 0 : 1
    passed += report.numPassedTests
    failed += report.numFailedTests + broken
    const seconds = Math.round((Date.now() - report.startTime) / 1000)
    console.log(`${workspace}: ${report.numPassedTests} passed, ${report.numFailedTests + broken} failed (${seconds} s)`)
  }
}

console.log(`Building and testing ${workspaces.join(", ")}`)
// Vitest itself fills the cores: more workspaces at a time would only slow down tests that look at the clock.
const atOnce = Math.max(1, Math.floor(availableParallelism() / 2))
const turbo = spawn(
  "turbo",
  [
    "run",
    "test",
    "--continue=dependencies-successful",
    "--output-logs=errors-only",
    `--concurrency=${atOnce}`,
    ...process.argv.slice(2)
  ],
  {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" }
  }
)
const timer = setInterval(count, 500)
turbo.on("close", (status) => {
  clearInterval(timer)
  count()
  for (const workspace of waiting) {
    failed++
    console.log(`${workspace}: no results`)
  }
  console.log(`${passed} passed, ${failed} failed`)
  process.exit(status !== 0 || failed > 0 || passed === 0 ? 1 : 0)
})
