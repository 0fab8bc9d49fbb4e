// One of several processes that share slots: `node sharing-run.ts <task as JSON>`.
import { Effect } from "effect"
import { layerOf, own, type Task } from "./Sharing.ts"

const task: Task = JSON.parse(process.argv[2]!)

process.stdout.write("begun\n")
const { report } = await Effect.runPromise(Effect.provide(own(task), layerOf(task)))
process.stdout.write(`${JSON.stringify(report)}\n`)
