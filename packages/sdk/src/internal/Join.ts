/**
 * Joins a job's answers to its rows: one output row per input row, in input order.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { tmpdir } from "node:os"
import { BatchError, Damaged } from "../BatchError.ts"
import type { EndedJob, RefusedJob } from "../Job.ts"
import type { Counts, Outcome } from "../Outcome.ts"
import { noCounts } from "../Outcome.ts"
import type { Handle } from "../RunManifest.ts"
import { type Answer, Answers, type Oddities } from "./Answers.ts"
import { type Batch, slice } from "./Batch.ts"
import * as Outputs from "./Outputs.ts"
import type { Readable } from "./OutputSlice.ts"
import * as RowsFile from "./RowsFile.ts"

/** What the rows of one job came to; complete when its stream has ended. @internal */
export interface Tally extends Oddities {
  counts: Counts
  inputTokens: number
  outputTokens: number
}

/** @internal */
export const emptyTally = (): Tally => ({
  counts: noCounts,
  duplicates: 0,
  unknown: 0,
  malformed: 0,
  inputTokens: 0,
  outputTokens: 0
})

/** What a record came to of which no line came back. */
const withoutLine = (job: EndedJob | RefusedJob): Answer => {
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
      return answer("missing", job.code, `Bedrock refused the job${said}`)
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

/** The job's rows with the added columns, in batches; `tally` is that of the last run of the stream. @internal */
export const joined = (
  store: Readable,
  run: Pick<Handle<object>, "manifest" | "processor">,
  job: EndedJob | RefusedJob,
  memoryBudget: number,
  tally: Tally,
  readers: Outputs.SliceReaders | null = null,
  temporary = tmpdir()
): Stream.Stream<Batch, BatchError> =>
  Stream.unwrap(Effect.gen(function*() {
    const { answer } = run.manifest
    Object.assign(tally, emptyTally())
    const ranges = job.status === "Refused"
      ? []
      : yield* Outputs.ranges(store, job, run.processor, answer, memoryBudget, tally, readers, temporary)
    const silent = withoutLine(job)
    let range = 0
    let answers: Answers | null = null
    let row = job.firstRow

    const damaged = (message: string, cause?: unknown) =>
      new BatchError({
        module: "collect",
        method: "join",
        reason: new Damaged({
          key: job.rows.key,
          message: `${job.rows.key}: ${message}`,
          ...(cause === undefined ? {} : { cause })
        })
      })

    /** The answers to the next range of records, silence among them. */
    const load = Effect.fnUntraced(function*() {
      const next = ranges[range++]
      const loaded = next === undefined
        ? new Answers(row, job.firstRow + job.records, answer.length)
        : yield* next.load
      loaded.fill(silent)
      loaded.count(tally)
      return loaded
    })

    /** Cuts a batch where the ranges change. */
    const join = Effect.fnUntraced(function*(batch: Batch) {
      const parts: Array<Batch> = []
      if (row + batch.length > job.firstRow + job.records) {
        return yield* damaged(`it holds more rows than the ${job.records} records of job ${job.key}`)
      }
      for (let from = 0; from < batch.length;) {
        if (answers === null || row >= answers.to) {
          // The range before is let go of first.
          answers = null
          answers = yield* load()
        }
        const to = Math.min(batch.length, from + answers.to - row)
        const own = slice(batch, from, to)
        parts.push({ length: own.length, columns: [...own.columns, ...answers.columns(row, row + own.length)] })
        row += own.length
        from = to
      }
      return parts
    })

    const hash = createHash("sha256")
    const bytes = Stream.map(store.read(job.rows.key), (piece) => {
      hash.update(piece)
      return piece
    })
    const end = Effect.suspend(() =>
      row !== job.firstRow + job.records
        ? Effect.fail(damaged(`it holds ${row - job.firstRow} rows, and job ${job.key} has ${job.records} records`))
        : hash.digest("hex") !== job.rows.sha256
        ? Effect.fail(damaged("it is not what prepare wrote"))
        : Effect.void
    )

    return RowsFile.read(bytes, damaged).pipe(
      Stream.mapEffect(join),
      Stream.flattenIterable,
      Stream.concat(Stream.drain(Stream.fromEffect(end)))
    )
  }))
