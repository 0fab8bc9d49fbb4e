// Builds the packages and calls the CDK for the app that is ready to deploy:
// `npm run cdk -- synth | bootstrap | deploy`.
import { spawnSync } from "node:child_process"
import { resolve } from "node:path"

/** Options whose values are paths. */
const paths = ["-o", "--output", "-O", "--outputs-file", "--template"]

/** Paths as seen from where npm was called: the CDK works in the folder of its app. */
const located = (args) => {
  const here = (path) => resolve(process.env.INIT_CWD ?? ".", path)
  return args.map((arg, i) => {
    if (paths.includes(args[i - 1])) return here(arg)
    const [, option, path] = /^(--[^=]+)=(.+)$/.exec(arg) ?? []
    return paths.includes(option) ? `${option}=${here(path)}` : arg
  })
}

const build = spawnSync("turbo", ["run", "build", "--filter=@bedrock-batch/cdk-adapter", "--output-logs=errors-only"], {
  stdio: ["ignore", 2, 2],
  env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" }
})
if (build.status !== 0) process.exit(build.status ?? 1)
const { status } = spawnSync("cdk", located(process.argv.slice(2)), {
  stdio: "inherit",
  cwd: "packages/cdk-adapter",
  env: { CDK_DISABLE_CLI_TELEMETRY: "true", ...process.env }
})
process.exit(status ?? 1)
