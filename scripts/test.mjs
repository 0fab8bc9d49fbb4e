// Runs every workspace's tests and ends with one line "N passed, N failed", whatever happened.
import { spawnSync } from "node:child_process"
import { globSync, readFileSync, rmSync } from "node:fs"

const results = ["packages/*/test-results.json", "test/test-results.json"]
for (const file of globSync(results)) rmSync(file)
const turbo = spawnSync("turbo", ["run", "test", "--continue=dependencies-successful", ...process.argv.slice(2)], {
  stdio: ["ignore", "inherit", "inherit"],
  env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" }
})
let passed = 0
let failed = 0
for (const manifest of globSync(["packages/*/package.json", "test/package.json"])) {
  try {
    const report = JSON.parse(readFileSync(manifest.replace("package.json", "test-results.json"), "utf8"))
    passed += report.numPassedTests
    failed += report.numFailedTests
    // A file that fails to load has no failed test.
    if (!report.success && report.numFailedTests === 0) failed++
  } catch {
    failed++
  }
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(turbo.status !== 0 || failed > 0 || passed === 0 ? 1 : 0)
