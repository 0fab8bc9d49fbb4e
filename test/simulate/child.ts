/** One simulation in a process of its own, so that its memory is its own: `child.ts JOBS QUOTA SEED`. */
import { simulate } from "../rig/Simulation.ts"

// Traces of calls that did not fail would cost a tenth of the time.
Error.stackTraceLimit = 0

const [jobs, quota, seed] = process.argv.slice(2)
process.stdout.write(JSON.stringify(await simulate({ jobs: Number(jobs), quota: Number(quota), seed: String(seed) })))
