import { Effect } from "effect"
import { simulate } from "../rig/Simulation.ts"
const [jobs = 1000, quota = 100, seed = 1] = process.argv.slice(2).map(Number)
console.log(await Effect.runPromise(simulate({ jobs, quota, seed })))
