/** What the commands of this folder have in common: options, mistakes in them, and packages that must be built. */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"
import { parseArgs, type ParseArgsConfig } from "node:util"

/** Options as `parseArgs` takes them; `help` is every command's. */
type Config = Pick<ParseArgsConfig, "options" | "allowPositionals">

type WithHelp<C extends Config> = C & { readonly options: { readonly help: { readonly type: "boolean" } } }

/** A command's options, and how it ends when one of them is wrong. */
export interface Command<C extends Config> extends Pick<ReturnType<typeof parseArgs<C>>, "values" | "positionals"> {
  readonly usage: (message: string) => never
}

/** Reads the options of this process. `--help` prints the help, a mistake ends with code 2 and prints both. */
export const command = <const C extends Config>(help: string, config: C): Command<C> => {
  const usage = (message: string): never => {
    console.error(`${message}\n\n${help}`)
    process.exit(2)
  }
  const parse = () => {
    try {
      const options = { ...config.options, help: { type: "boolean", short: "h" } as const }
      return parseArgs<WithHelp<C>>({ ...config, options } as WithHelp<C>)
    } catch (error) {
      return usage(error instanceof Error ? error.message : String(error))
    }
  }
  const { positionals, values } = parse()
  if ("help" in values && values.help === true) {
    console.log(help)
    process.exit(0)
  }
  return { positionals, values, usage } as Command<C>
}

const root = join(import.meta.dirname, "../..")

/** Builds what `npm run build` would, up to a package, where that was not done before. */
export const buildIfMissing = (name: "sdk" | "emulator"): void => {
  const packages = ["processors", "sdk", ...(name === "emulator" ? [name] : [])]
  if (packages.every((name) => fs.existsSync(join(root, "packages", name, "dist/index.js")))) return
  const { error, status } = spawnSync(
    join(root, "node_modules/.bin/turbo"),
    ["run", "build", `--filter=@bedrock-batch/${name}`, "--output-logs=errors-only"],
    { cwd: root, stdio: ["ignore", 2, 2], env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" } }
  )
  if (status !== 0) throw new Error("the packages cannot be built", { cause: error })
}
