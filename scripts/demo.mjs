// Builds the packages and runs the main example: `npm run demo [-- --json]`.
import { spawnSync } from "node:child_process"

const options = { stdio: ["ignore", "inherit", "inherit"] }
const build = spawnSync("turbo", ["run", "build", "--output-logs=errors-only"], {
  ...options,
  stdio: ["ignore", 2, 2],
  env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" }
})
if (build.status !== 0) process.exit(build.status ?? 1)
const demo = spawnSync(process.execPath, ["birdstrikes.ts", ...process.argv.slice(2)], { ...options, cwd: "examples" })
process.exit(demo.status ?? 1)
