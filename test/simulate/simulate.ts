/**
 * Runs thousands of jobs over days of virtual time, and tells how well their slots were used, what was asked of Bedrock
 * and what it took.
 *
 *     npm run simulate -- [--jobs N] [--quota Q] [--seed S] [--capacity C] [--json]
 */
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { buildIfMissing, command } from "../rig/Command.ts"
import type { Settings, Simulated } from "../rig/Simulation.ts"

const capacities: ReadonlyArray<NonNullable<Settings["capacity"]>> = ["fixed", "live", "shared"]

const help = `npm run simulate -- [options]

Submits and awaits jobs of random length, from 3 minutes to 3 hours and 43 minutes on average, with the real awaitAll,
submit, Ledger, Capacity and Wait.polling against the emulator in one process, under a virtual clock. The store is a file
with an index in memory, so that neither S3 nor a folder is measured; all jobs share one input of one record.

  --jobs N     how many jobs                                               (10000)
  --quota Q    how many of them may be open at a time                      (100)
  --capacity C fixed, live or shared: how the slots are counted; with shared the emulator takes any number   (fixed)
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

const { usage, values } = command(help, {
  options: {
    jobs: { type: "string", default: "10000" },
    quota: { type: "string", default: "100" },
    seed: { type: "string", default: "1" },
    capacity: { type: "string", default: "fixed" },
    json: { type: "boolean", default: false }
  }
})
for (const name of ["jobs", "quota"] as const) {
  const most = name === "jobs" ? 1_000_000 : Number.MAX_SAFE_INTEGER
  if (!/^[1-9]\d*$/.test(values[name]) || Number(values[name]) > most) {
    const range = name === "jobs" ? "from 1 to 1000000" : "from 1"
    usage(`--${name} is ${JSON.stringify(values[name])}, and must be a whole number ${range}`)
  }
}

if (!capacities.some((name) => name === values.capacity)) {
  usage(`--capacity is ${JSON.stringify(values.capacity)}, and must be one of ${capacities.join(", ")}`)
}

buildIfMissing("emulator")

const { status, stdout } = spawnSync(
  process.execPath,
  // Young garbage may be 24 MB in place of twice as much and more: it is part of the peak.
  [
    "--max-semi-space-size=8",
    join(import.meta.dirname, "child.ts"),
    values.jobs,
    values.quota,
    values.seed,
    values.capacity
  ],
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
