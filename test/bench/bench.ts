/**
 * Rows per second and peak memory of `prepare` and `collect`, each beside its ceiling: plain parsing and JSON work on
 * the same bytes.
 *
 *     npm run bench -- [prepare|collect] [--rows N] [--json FILE]
 *
 * `docs/guides/performance.md` tells what the figures mean.
 */
import * as fs from "node:fs"
import { resolve } from "node:path"
import { buildIfMissing, command } from "../rig/Command.ts"
import { cases } from "./cases.ts"
import { type Bundled, type Imported, measureBundle, measureImport } from "./footprint.ts"
import { type Measured, measureCollect, measurePrepare, type Settings } from "./measuring.ts"

const help = `npm run bench -- [prepare] [collect] [options]

Measures rows per second and peak memory, each case in processes of their own, in turns with its ceiling.

  prepare, collect     only the cases of this verb
  --rows N[,N...]      rows of text; embeddings are a tenth of that          (100000)
  --all                the same as --rows 100000,1000000,10000000
  --case NAME          only this case; may be repeated. Beyond the usual ones there are
                       ${cases.filter((one) => !one.usual).map((one) => `"${one.name}"`).join(", ")}
  --parallelism N,...  run the cases of collect with each of these                   (1,2)
  --runs N             runs of each side, of which the median counts         (3)
  --json FILE          write the figures to a file too: an array of objects
  --profile FOLDER     write a CPU profile of each measured process of ours

The usual cases: ${cases.filter((one) => one.usual).map((one) => one.name).join(", ")}.

Files lie in the system's folder for temporary files (TMPDIR) and are removed. The outputs of jobs are generated while
they are read. 1,000,000 rows take about 0.3 GB of disk and some minutes; 10,000,000 take about 3 GB, and with --runs 1
a quarter of an hour or more. "job of 5 GB" takes about 2 GB, and some minutes.
`

const { positionals, usage, values } = command(help, {
  allowPositionals: true,
  options: {
    rows: { type: "string", default: "100000" },
    all: { type: "boolean", default: false },
    case: { type: "string", multiple: true, default: [] },
    parallelism: { type: "string", default: "1,2" },
    runs: { type: "string", default: "3" },
    json: { type: "string" },
    profile: { type: "string" }
  }
})

const numbers = (name: string, text: string, least: number): ReadonlyArray<number> =>
  text.split(",").map((part) => {
    const number = Number(part.replaceAll("_", "").trim() || "none")
    return Number.isSafeInteger(number) && number >= least
      ? number
      : usage(`--${name} takes whole numbers of at least ${least}, not ${JSON.stringify(part)}`)
  })

for (const verb of positionals) if (verb !== "prepare" && verb !== "collect") usage(`there is no verb ${verb}`)
for (const name of values.case) if (!cases.some((one) => one.name === name)) usage(`there is no case ${name}`)
const sizes = [...numbers("rows", values.all ? "100000,1000000,10000000" : values.rows, 200)].sort((a, b) => a - b)
const parallelisms = numbers("parallelism", values.parallelism, 1)
const chosen = cases.filter((one) =>
  (values.case.length === 0 ? one.usual : values.case.includes(one.name)) &&
  (positionals.length === 0 || positionals.includes(one.verb))
)
if (chosen.length === 0) usage("no case is of that verb")
const settings: Settings = {
  runs: numbers("runs", values.runs, 1)[0]!,
  profile: values.profile === undefined ? null : resolve(values.profile),
  log: (message) => console.error(message)
}

// Folders are removed and processes ended on the way out.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(130))

// What is measured is what `npm run build` has made.
buildIfMissing("sdk")
const measured: Array<Measured> = []
const footprints: Array<Imported | Bundled> = []

/** The others are measured all the same when one breaks. */
const attempt = async (name: string, measure: () => Promise<void>): Promise<void> => {
  try {
    await measure()
  } catch (error) {
    console.error(`${name} is broken:`, error)
    process.exitCode = 1
  }
}

for (const one of chosen) {
  if (one.verb === "footprint") {
    await attempt(one.name, async () => {
      footprints.push(await (one.name === "import" ? measureImport : measureBundle)(settings))
    })
    continue
  }
  for (const rows of new Set(sizes.map(one.rows))) {
    await attempt(one.name, async () => {
      measured.push(
        ...await (one.verb === "prepare"
          ? measurePrepare(one, rows, settings)
          : measureCollect(one, rows, one.usual ? parallelisms : [1], settings))
      )
    })
  }
}

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0]!.map((_, j) => Math.max(...rows.map((row) => row[j]!.length)))
  const line = (row: ReadonlyArray<string>) =>
    row.map((cell, j) => j === 0 ? cell.padEnd(widths[j]!) : cell.padStart(widths[j]!)).join("   ").trimEnd()
  return rows.map(line).join("\n")
}

const figure = (value: number | null, digits = 0): string =>
  value === null ? "-" : value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })

const nameOf = ({ name, parallelism }: Measured): string =>
  parallelism === null ? name : `${name}, parallelism ${parallelism}`

if (measured.length > 0) {
  console.log(table([
    ["case", "rows", "rows/s", "ceiling rows/s", "ratio", "peak RSS, MB"],
    ...measured.map((one) => [
      nameOf(one),
      figure(one.rows),
      figure(one.rowsPerSecond),
      figure(one.ceilingRowsPerSecond),
      figure(one.ratio, 2),
      figure(one.peakRssMb)
    ])
  ]))
}

// How memory and speed change with the number of rows, and with the parallelism.
const growth = measured.flatMap((one) => {
  const base = measured.find((other) => nameOf(other) === nameOf(one))!
  return base === one ? [] : [[
    nameOf(one),
    `${figure(one.rows)} rows against ${figure(base.rows)}`,
    `${figure(one.peakRssMb / base.peakRssMb, 2)} x peak RSS`
  ]]
})
const speedUps = measured.flatMap((one) => {
  const base = measured.find(({ name, rows }) => name === one.name && rows === one.rows)!
  return base === one ? [] : [[
    `${one.name}, ${figure(one.rows)} rows`,
    `parallelism ${one.parallelism} against ${base.parallelism}`,
    `${figure(one.rowsPerSecond / base.rowsPerSecond, 2)} x rows/s`
  ]]
})
for (const comparison of [growth, speedUps]) if (comparison.length > 0) console.log(`\n${table(comparison)}`)

for (const one of footprints) {
  if ("milliseconds" in one) {
    console.log(`\nimport: ${one.milliseconds} ms; heavy libraries loaded by it: ${one.loaded.join(", ") || "none"}`)
  } else {
    console.log(
      `\nbundle: ${figure(one.bytes)} bytes minified at the start (limit ${figure(one.limitBytes)}), ` +
        `${figure(one.lazyBytes)} more when they are needed`
    )
  }
}
if (values.json !== undefined) {
  fs.writeFileSync(values.json, `${JSON.stringify([...measured, ...footprints], null, 2)}\n`)
}

const broken = footprints.filter((one) => "milliseconds" in one ? one.loaded.length > 0 : one.bytes > one.limitBytes)
for (const { name } of broken) {
  console.error(`${name} is over its limit`)
  process.exitCode = 1
}
