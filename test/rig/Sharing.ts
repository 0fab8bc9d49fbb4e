/** Runs of several processes that share the slots of one quota. */
import { Aws, Prompt, run } from "@bedrock-batch/sdk"
import { layerShared } from "@bedrock-batch/sdk/schedule/SharedCapacity"
import { Layer } from "effect"
import { fileURLToPath } from "node:url"
import { type Child, startScript } from "./Crash.ts"
import { plainTable, sourceOf } from "./Data.ts"
import { haiku, soon, type Stack } from "./Stack.ts"

/** What a process is told, as JSON in its argument. */
export interface Task {
  readonly options: Stack["options"]
  readonly name: string
  readonly jobs: number
  readonly slots: number
}

export const rowsPerJob = 2

/** The run of one process. */
export const own = ({ jobs, name }: Pick<Task, "name" | "jobs">) =>
  run({
    name,
    source: sourceOf(plainTable(jobs * rowsPerJob)),
    model: haiku,
    prompt: Prompt.make("{id}: {topic}"),
    maxRecordsPerJob: rowsPerJob,
    wait: soon
  })

/** The services of one process: those on AWS, with shared slots that are looked at often. */
export const layerOf = ({ options, slots }: Pick<Task, "options" | "slots">) => {
  const limits = { minRecords: 1, maxOpenJobs: slots }
  const aws = Aws.layer({ ...options, limits })
  const look = { from: "100 millis", to: "500 millis" } as const
  return Layer.merge(aws, layerShared({ limits, look, quotaPause: "200 millis" }).pipe(Layer.provide(aws)))
}

const script = fileURLToPath(new URL("./sharing-run.ts", import.meta.url))

export const start = (task: Task): Child => startScript(script, task)
