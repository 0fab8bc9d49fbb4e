/**
 * One step of the benchmark, in a process of its own: `node child.ts <step as JSON>`. Its last line tells what it came
 * to. Files and rows are made ready, and results are checked, outside of what is timed.
 */
import { type Format, writeFile } from "./data.ts"
import { type Answer, type Output, Outputs } from "./outputs.ts"

export type Side = "ours" | "ceiling"

export type Step =
  | {
    readonly step: "file"
    readonly format: Format
    readonly path: string
    readonly rows: number
    readonly groupRows: number
  }
  | {
    readonly step: "jobs"
    readonly answer: Answer
    readonly rows: number
    readonly recordsPerJob: number
    readonly directory: string
  }
  | {
    readonly step: "prepare"
    readonly side: Side
    readonly format: Format
    readonly path: string
    readonly rows: number
    readonly directory: string
  }
  | {
    readonly step: "collect"
    readonly side: Side
    readonly answer: Answer
    readonly rows: number
    readonly outputs: ReadonlyArray<Output>
    readonly directory: string
    readonly parallelism: number | null
  }

/** What a step came to. */
export interface Came {
  readonly seconds: number
  readonly peakRssMb: number
  /** What the jobs write, of the step `jobs`. */
  readonly outputs: ReadonlyArray<Output>
}

/** What is left to do when the clock has stopped. */
type Check = () => void | Promise<void>

const checkRows = (rows: number, read: number): Check => () => {
  if (read !== rows) throw new Error(`the ceiling has read ${read} rows of ${rows}`)
}

/** Makes ready; gives what is timed. */
const begin = async (step: Step): Promise<() => Promise<Check>> => {
  switch (step.step) {
    case "prepare": {
      const { directory, format, path, rows, side } = step
      if (side === "ours") {
        const ours = await import("./ours.ts")
        return () => ours.prepare(format, path, rows, directory)
      }
      const ceilings = await import("./ceilings.ts")
      return async () => checkRows(rows, await ceilings.prepare(format, path))
    }
    case "collect": {
      const { answer, directory, outputs, parallelism, rows, side } = step
      const generator = new Outputs(answer)
      if (side === "ours") {
        const ours = await import("./ours.ts")
        return () => ours.collect(answer, rows, directory, generator, parallelism)
      }
      const ceilings = await import("./ceilings.ts")
      return async () => checkRows(rows, await ceilings.collect(generator, outputs))
    }
    case "file":
      return async () => {
        await writeFile(step.format, step.path, step.rows, step.groupRows)
        return () => {}
      }
    case "jobs": {
      const ours = await import("./ours.ts")
      return async () => {
        outputs = await ours.prepareJobs(step.answer, step.rows, step.recordsPerJob, step.directory)
        return () => {}
      }
    }
  }
}

let outputs: ReadonlyArray<Output> = []
const step: Step = JSON.parse(process.argv[2]!)
const run = await begin(step)
const began = performance.now()
const check = await run()
const seconds = (performance.now() - began) / 1000
const peakRssMb = process.resourceUsage().maxRSS / 1024
await check()
const came: Came = { seconds, peakRssMb, outputs }
console.log(JSON.stringify(came))
