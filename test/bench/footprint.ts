/**
 * What a program takes on with the sdk: the time to import it, and the bytes of a bundle.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"
import { median, type Measured, node, type Settings, withFolder } from "./measuring.ts"

const here = import.meta.dirname

/** Libraries that are loaded when they are first needed. */
const heavy = [
  "@aws-sdk/client-bedrock",
  "@aws-sdk/client-s3",
  "@aws-sdk/lib-storage",
  "apache-arrow",
  "hyparquet",
  "hyparquet-compressors",
  "hysnappy",
  "@huggingface/hub"
]

export interface Footprint extends Omit<Measured, "rowsPerSecond" | "peakRssMb"> {
  readonly rowsPerSecond: null
  readonly peakRssMb: number | null
}

const nothing = { rows: 0, parallelism: null, rowsPerSecond: null, ceilingRowsPerSecond: null, ratio: null } as const

export interface Imported extends Footprint {
  /** Median of several processes. */
  readonly milliseconds: number
  /** The heavy libraries that were loaded by it. */
  readonly loaded: ReadonlyArray<string>
}

const timed = `
const began = performance.now()
await import("@bedrock-batch/sdk")
console.log(JSON.stringify([performance.now() - began, process.resourceUsage().maxRSS / 1024]))
`

const watched = `
import { registerHooks } from "node:module"
const urls = []
registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) })
await import("@bedrock-batch/sdk")
console.log(JSON.stringify(urls))
`

export const measureImport = async ({ log, runs }: Settings): Promise<Imported> => {
  const program = (text: string) => node(["--input-type=module", "--eval", text], here)
  log("import: which files are loaded")
  const urls: ReadonlyArray<string> = JSON.parse(await program(watched))
  if (!urls.some((url) => url.endsWith("/sdk/dist/index.js"))) throw new Error("the sdk was not among what was loaded")
  const loaded = heavy.filter((name) => urls.some((url) => url.includes(`/node_modules/${name}/`)))
  const measured: Array<readonly [milliseconds: number, megabytes: number]> = []
  const times = Math.max(5, runs)
  for (let i = 1; i <= times; i++) {
    log(`import, run ${i} of ${times}`)
    measured.push(JSON.parse(await program(timed)))
  }
  return {
    ...nothing,
    name: "import",
    peakRssMb: Math.round(median(measured.map(([, megabytes]) => megabytes))),
    milliseconds: Math.round(median(measured.map(([milliseconds]) => milliseconds))),
    loaded
  }
}

export interface Bundled extends Footprint {
  /** Minified bytes that are loaded at the start. */
  readonly bytes: number
  /** Minified bytes that are loaded when they are needed. */
  readonly lazyBytes: number
  readonly limitBytes: number
}

const bundled = `
import { Aws, prepare, Prompt, Source } from "@bedrock-batch/sdk"
import * as Effect from "effect/Effect"

const run = prepare({
  name: "bundle",
  source: Source.csv("s3://my-bucket/rows.csv"),
  model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
  prompt: Prompt.make("{text}")
})
const layer = Aws.layer({ bucket: "my-bucket", roleArn: "arn:aws:iam::123456789012:role/batch" })
Effect.runPromise(Effect.provide(run, layer)).then((run) => console.log(run.jobs.length))
`

interface Metafile {
  readonly outputs: {
    readonly [file: string]: {
      readonly bytes: number
      readonly entryPoint?: string
      readonly imports: ReadonlyArray<{ readonly path: string; readonly kind: string }>
    }
  }
}

/** The files that a file imports at once, itself included. */
const closure = (outputs: Metafile["outputs"], file: string, seen = new Set<string>()): ReadonlySet<string> => {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const { kind, path } of outputs[file]!.imports) {
    if (kind === "import-statement" && outputs[path] !== undefined) closure(outputs, path, seen)
  }
  return seen
}

const limitBytes = 2_000_000

export const measureBundle = (_: Settings): Promise<Bundled> =>
  withFolder(async (folder) => {
    const metafile = join(folder, "meta.json")
    const { error, status } = spawnSync(
      join(here, "../../node_modules/.bin/esbuild"),
      [
        "--bundle",
        "--minify",
        "--splitting",
        "--platform=node",
        "--format=esm",
        "--sourcefile=program.ts",
        "--loader=ts",
        `--outdir=${join(folder, "out")}`,
        `--metafile=${metafile}`,
        "--log-level=warning"
      ],
      { cwd: here, input: bundled, stdio: ["pipe", "inherit", "inherit"] }
    )
    if (status !== 0) throw new Error("esbuild failed", { cause: error })
    const { outputs }: Metafile = JSON.parse(fs.readFileSync(metafile, "utf8"))
    const [entry] = Object.entries(outputs).find(([, output]) => output.entryPoint === "program.ts") ?? []
    if (entry === undefined) throw new Error("the program is not among what was bundled")
    const first = closure(outputs, entry)
    const sum = (files: ReadonlyArray<string>) => files.reduce((bytes, file) => bytes + outputs[file]!.bytes, 0)
    const bytes = sum([...first])
    return {
      ...nothing,
      name: "bundle",
      peakRssMb: null,
      bytes,
      lazyBytes: sum(Object.keys(outputs)) - bytes,
      limitBytes
    }
  })
