// One process of a run that several processes share: `node crashing-run.ts <task as JSON>`.
import { Aws, Capacity } from "@bedrock-batch/sdk"
import { Effect, Layer } from "effect"
import { shared, type Task } from "./Crash.ts"

const task: Task = JSON.parse(process.argv[2]!)
const layer = Layer.merge(Aws.layer(task.options), Capacity.layerFixed({ region: task.options.region!, quotaPause: "100 millis" }))

process.stdout.write("begun\n")
const { report } = await Effect.runPromise(Effect.provide(shared(task), layer))
process.stdout.write(`${JSON.stringify(report)}\n`)
