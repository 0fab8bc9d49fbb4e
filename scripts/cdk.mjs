// Builds the packages and calls the CDK for the app that is ready to deploy:
// `npm run cdk -- synth | bootstrap | deploy`.
import { spawnSync } from "node:child_process"

const build = spawnSync("turbo", ["run", "build", "--filter=@bedrock-batch/cdk-adapter", "--output-logs=errors-only"], {
  stdio: ["ignore", 2, 2],
  env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" }
})
if (build.status !== 0) process.exit(build.status ?? 1)
const { status } = spawnSync("cdk", process.argv.slice(2), {
  stdio: "inherit",
  cwd: "packages/cdk-adapter",
  env: { CDK_DISABLE_CLI_TELEMETRY: "true", ...process.env }
})
process.exit(status ?? 1)
