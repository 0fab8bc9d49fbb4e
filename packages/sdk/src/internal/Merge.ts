/**
 * What the rows of a first-attempt job came to over all attempts: of several answers the success of the lowest attempt
 * counts, and without one the outcome of the highest.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { tmpdir } from "node:os"
import type { BatchError } from "../BatchError.ts"
import type { EndedJob } from "../Job.ts"
import { type Counts, noCounts, type Outcome } from "../Outcome.ts"
import type { Handle } from "../RunManifest.ts"
import { type Answer, Answers, noOddities, type Oddities } from "./Answers.ts"
import * as Outputs from "./Outputs.ts"
import type { Readable } from "./OutputSlice.ts"
import * as RowNumbers from "./RowNumbers.ts"
import type { Settled } from "./Settled.ts"

/** A job of the first attempt, and those of later attempts that may hold some of its rows, by attempt. @internal */
export interface Merging {
  readonly run: Pick<Handle<object>, "manifest" | "processor">
  readonly job: Settled
  readonly later: ReadonlyArray<Settled>
}

/** @internal */
export interface Totals {
  counts: Counts
  /** Records that another try may mend. */
  mendable: number
  inputTokens: number
  outputTokens: number
}

/** What the rows of one job came to; complete when the last range was taken. @internal */
export interface Tally extends Totals, Oddities {
  /** What they came to in the first attempt. */
  readonly own: Totals
}

/** @internal */
export const noTotals = (): Totals => ({ counts: noCounts, mendable: 0, inputTokens: 0, outputTokens: 0 })

/** @internal */
export const emptyTally = (): Tally => ({ ...noTotals(), ...noOddities(), own: noTotals() })

/** What a record came to of which no line came back. @internal */
export const withoutLine = (job: Settled): Answer => {
  const answer = (outcome: Outcome, code: string, message: string): Answer => ({
    outcome,
    values: null,
    stopReason: null,
    code,
    message,
    inputTokens: null,
    outputTokens: null
  })
  const said = job.message === null || job.message === "" ? "" : `: ${job.message}`
  switch (job.status) {
    case "Refused":
      return job.code === "Cancelled"
        ? answer("missing", "Cancelled", job.message)
        : answer("missing", job.code, `Bedrock refused the job${said}`)
    case "Expired":
      return answer("expired", "JobExpired", `the job expired before it was run${said}`)
    case "PartiallyCompleted":
      return answer("expired", "JobPartiallyCompleted", `the job's time was over before this record was run${said}`)
    case "Stopped":
      return answer("missing", "JobStopped", `the job was stopped before this record was run${said}`)
    case "Failed":
      return answer("missing", "JobFailed", `the job failed${said}`)
    case "Completed":
      return answer("missing", "NoOutput", "the job is completed, and no line came back for this record")
  }
}

/** @internal */
export const isEnded = (job: Settled): job is EndedJob => job.status !== "Refused"

/** A later job, and the rows of the first one that it holds. */
interface Layer {
  readonly job: Settled
  readonly rows: ReadonlyArray<number>
}

const layerOf = Effect.fnUntraced(function*(store: Readable, job: Settled, from: number, to: number) {
  const rows = yield* RowNumbers.read(store, job)
  const layer: Layer = { job, rows: rows.slice(RowNumbers.firstFrom(rows, from), RowNumbers.firstFrom(rows, to)) }
  return layer
})

/** How answers are read. @internal */
export interface Reading {
  readonly memoryBudget: number
  readonly readers?: Outputs.SliceReaders | null | undefined
  /** The folder for temporary files; default that of the system. */
  readonly temporary?: string | undefined
}

/**
 * The answers to all rows of a job, one range of rows after the other, silence among them; `tally` is counted as they
 * are taken.
 *
 * @internal
 */
export const ranges = Effect.fnUntraced(function*(
  store: Readable,
  { job, later, run }: Merging,
  { memoryBudget, readers = null, temporary = tmpdir() }: Reading,
  tally: Tally
): Effect.fn.Return<ReadonlyArray<Effect.Effect<Answers, BatchError>>, BatchError, Scope.Scope> {
  const { answer: columns } = run.manifest
  const [from, to] = [job.firstRow, job.firstRow + job.records]
  const all = yield* Effect.forEach(
    later.filter(({ firstRow, lastRow }) => firstRow < to && lastRow >= from),
    (one) => layerOf(store, one, from, to)
  )
  const layers = all.filter(({ rows }) => rows.length > 0)
  const outputs: Array<Outputs.Output> = []
  if (isEnded(job)) outputs.push({ job, share: 1, oddities: tally })
  for (const { job, rows } of layers) {
    if (isEnded(job)) outputs.push({ job, share: rows.length / job.records, oddities: noOddities() })
  }
  const read = yield* Outputs.ranges(
    store,
    outputs,
    { from, to },
    run.processor,
    columns,
    memoryBudget,
    readers,
    temporary
  )
  return read.map(({ load }) =>
    Effect.map(load, (answers) => {
      const of = (job: Settled): Answers | undefined => answers[outputs.findIndex((output) => output.job === job)]
      const [first] = answers
      const merged = of(job) ?? new Answers(first?.from ?? from, first?.to ?? to, columns.length)
      merged.fill(withoutLine(job))
      merged.count(tally.own)
      for (const { job, rows } of layers) merged.overlay(rows, of(job) ?? null, withoutLine(job))
      merged.count(tally)
      return merged
    })
  )
})
