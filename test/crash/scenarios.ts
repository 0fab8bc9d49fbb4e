/** The runs of the crash test: what each process of a run is told to do, and what must come of it. */
import type { Aws, Sink } from "@bedrock-batch/sdk"
import { durableWrites, type Phase } from "../../packages/sdk/src/internal/DurableWrites.ts"

/** One kind of run. */
export interface Scenario {
  readonly name: string
  readonly rows: number
  readonly rowsPerJob: number
  readonly format: Sink.Format
  readonly partBytes: number | undefined
  /** Share of the records whose first answer is an error 429 or 500. */
  readonly failing: number
  /** Whether its rows name photos in S3, which are copied beside the input of their jobs. */
  readonly photos: boolean
  /** Whether it is prepared in rounds. */
  readonly rounds: boolean
  /**
   * How it ends: with a retry of what failed; with one of the rows of a job that was refused; cancelled when jobs are
   * open; or with its jobs stopped at a deadline, and retries of what they left.
   */
  readonly ending: "retry" | "refused" | "cancel" | "deadline"
}

/** The quota of the emulated service: records in a batch job at least. */
export const minRecords = 10

const usual = {
  rows: 160,
  rowsPerJob: 40,
  format: "csv",
  partBytes: undefined,
  failing: 0,
  photos: false,
  rounds: false,
  ending: "retry"
} as const

/**
 * A retry as one more batch job of a run that is prepared in rounds, one on demand, one of results in several parts, and one of records that name photos; a
 * run too small for a batch job; one with a job that is refused, one that is cancelled, and one with a deadline.
 */
export const scenarios: ReadonlyArray<Scenario> = [
  { ...usual, name: "batch", rows: 240, rowsPerJob: 60, format: "parquet", failing: 0.15, rounds: true },
  { ...usual, name: "few", failing: 0.025 },
  { ...usual, name: "parts", rows: 180, rowsPerJob: 60, format: "jsonl", partBytes: 8_000, failing: 0.25 },
  { ...usual, name: "photos", rows: 120, format: "jsonl", failing: 0.25, photos: true },
  { ...usual, name: "small", rows: 8, format: "arrow" },
  { ...usual, name: "refused", ending: "refused" },
  { ...usual, name: "cancel", ending: "cancel" },
  { ...usual, name: "deadline", format: "parquet", ending: "deadline" }
]

/** Whether its jobs are to be stopped. */
export const isCut = ({ ending }: Scenario): boolean => ending === "cancel" || ending === "deadline"

export const haiku = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

/** The rows of a run; `id` is different in each. */
export const rowsOf = ({ rows }: Scenario): ReadonlyArray<{ readonly id: string; readonly topic: string }> =>
  Array.from({ length: rows }, (_, i) => ({ id: String(i), topic: `topic ${i % 7}` }))

/** What the model is asked for a row. */
export const prompt = "{id}: {topic}"

/** The photos that rows name, of all runs, by their keys beside the folders of runs. */
export const photos: ReadonlyArray<string> = [0, 1, 2].map((i) => `photos/${i}.png`)

/** Where a process stops for good, to be killed: at the `nth` time that it comes to a point. */
export interface Stop {
  readonly point: string
  readonly phase: Phase
  readonly when: "before" | "after"
  readonly nth: number
}

/** What a process is told, as JSON in its argument. */
export interface Task {
  readonly scenario: Scenario
  readonly options: Aws.Options
  readonly stops: ReadonlyArray<Stop>
}

/** What a process says on its third channel, a line each. */
export type Message =
  | { readonly _tag: "State"; readonly phase: Phase }
  | { readonly _tag: "Point"; readonly point: string; readonly phase: Phase; readonly when: "before" | "after" }
  /** It has come to the stop with this position and does nothing more. */
  | { readonly _tag: "Stopped"; readonly stop: number }
  /** It is done: the result files, as URIs, and what the report counts. */
  | {
    readonly _tag: "Done"
    readonly files: ReadonlyArray<string>
    readonly counts: { readonly [outcome: string]: number }
  }

/** The exit code of a process that met a durable write which is of no kind, or of several. */
export const unnamedWrite = 97

/** A point of a run. */
export interface Point {
  readonly name: string
  readonly phase: Phase
}

/** The name of a point in a later attempt, where the key of what is written does not tell. */
export const later = (name: string): string => `${name} of a later attempt`

const calls: ReadonlyArray<Point> = [
  { name: "stop call", phase: "cancel" },
  { name: "create call", phase: "submit" },
  { name: "invoke call", phase: "submit" },
  { name: "list call", phase: "await" }
]

/** All points, in the order in which a run comes to them: durable writes, then calls to Bedrock. */
export const points: ReadonlyArray<Point> = [
  ...durableWrites,
  { name: later("job list"), phase: "retry" },
  ...calls,
  ...calls.filter(({ phase }) => phase !== "cancel").map(({ name }): Point => ({ name: later(name), phase: "retry" }))
]
