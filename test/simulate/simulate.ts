/**
 * Runs thousands of jobs over days of virtual time, and tells how well their slots were used, what was asked of Bedrock
 * and what it took.
 *
 *     npm run simulate -- [--jobs N] [--quota Q] [--seed S] [--json]
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import type { Simulated } from "../rig/Simulation.ts"

const help = `npm run simulate -- [options]

Submits and awaits jobs of random length, from 3 minutes to 3 hours and 43 minutes on average, with the real awaitAll,
submit, Ledger, Capacity and Wait.polling against the emulator in one process, under a virtual clock. The store is a file
with an index in memory, so that neither S3 nor a folder is measured; all jobs share one input of one record.

  --jobs N     how many jobs                                               (10000)
  --quota Q    how many of them may be open at a time                      (100)
  --seed S     their lengths follow from it, and so does what the emulator leaves to chance  (1)
  --json       prints one JSON object instead of a table

  makespanHours   virtual time from the first to the last
  boundHours      the same where each job goes, in order, to the first of Q machines that is free: each end known at once
  ratio           the one by the other
  apiCalls        calls to Bedrock, as the emulator counts them; callsPerJob of them for each job
  maxOpen         the most jobs that were open at a time, as the emulator counts them
  wallSeconds     real time of awaitAll, with the collection of garbage that keeps the peak telling
  peakRssMb       the most memory of the process; baselineRssMb of it was there before there was any job
  heldMb          by how much the heap grew: what the sdk, the emulator and the index of the store keep together
`

const usage = (message: string): never => {
  console.error(`${message}\n\n${help}`)
  process.exit(2)
}

const parse = () => {
  try {
    return parseArgs({
      options: {
        jobs: { type: "string", default: "10000" },
        quota: { type: "string", default: "100" },
        seed: { type: "string", default: "1" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false }
      }
    }).values
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error))
  }
}

const values = parse()
if (values.help) {
  console.log(help)
  process.exit(0)
}
for (const name of ["jobs", "quota"] as const) {
  const most = name === "jobs" ? 1_000_000 : Number.MAX_SAFE_INTEGER
  if (!/^[1-9]\d*$/.test(values[name]) || Number(values[name]) > most) {
    const range = name === "jobs" ? "from 1 to 1000000" : "from 1"
    usage(`--${name} is ${JSON.stringify(values[name])}, and must be a whole number ${range}`)
  }
}

const root = join(import.meta.dirname, "../..")
if (!["sdk", "emulator"].every((name) => fs.existsSync(join(root, "packages", name, "dist/index.js")))) {
  const { error, status } = spawnSync(
    join(root, "node_modules/.bin/turbo"),
    ["run", "build", "--filter=@bedrock-batch/emulator", "--output-logs=errors-only"],
    { cwd: root, stdio: ["ignore", 2, 2], env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" } }
  )
  if (status !== 0) throw new Error("the packages cannot be built", { cause: error })
}

const { status, stdout } = spawnSync(
  process.execPath,
  // Young garbage may be 24 MB in place of twice as much and more: it is part of the peak.
  ["--max-semi-space-size=8", join(import.meta.dirname, "child.ts"), values.jobs, values.quota, values.seed],
  { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1e8 }
)
if (status !== 0) process.exit(status ?? 1)
const simulated: Simulated = JSON.parse(stdout)
if (values.json) console.log(JSON.stringify(simulated))
else {
  const digits: Partial<Record<keyof Simulated, number>> = {
    makespanHours: 2,
    boundHours: 2,
    ratio: 4,
    callsPerJob: 3,
    wallSeconds: 1,
    peakRssMb: 0,
    baselineRssMb: 0,
    heldMb: 0
  }
  for (const name of Object.keys(simulated) as ReadonlyArray<keyof Simulated>) {
    const value = simulated[name]
    const text = typeof value === "string" ? value : value.toLocaleString("en-US", {
      minimumFractionDigits: digits[name] ?? 0,
      maximumFractionDigits: digits[name] ?? 0
    })
    console.log(`${name.padEnd(15)}${text.padStart(10)}`)
  }
}
