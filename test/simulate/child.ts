/** One simulation in a process of its own, so that its memory is its own: `child.ts JOBS QUOTA SEED CAPACITY`. */
import { simulate } from "../rig/Simulation.ts"

// Standard output is for the result alone: what is logged goes elsewhere.
console.log = console.error

// Traces of calls that did not fail would cost a tenth of the time.
Error.stackTraceLimit = 0

const [jobs, quota, seed, capacity] = process.argv.slice(2)
const settings = {
  jobs: Number(jobs),
  quota: Number(quota),
  seed: String(seed),
  capacity: capacity === "live" || capacity === "shared" ? capacity : "fixed"
} as const
process.stdout.write(JSON.stringify(await simulate(settings)))
