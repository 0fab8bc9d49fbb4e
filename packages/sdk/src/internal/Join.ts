/**
 * Joins a job's answers to its rows: one output row per input row, in input order.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { BatchError, Damaged } from "../BatchError.ts"
import type { EndedJob, RefusedJob } from "../Job.ts"
import type { Counts, Outcome } from "../Outcome.ts"
import { noCounts } from "../Outcome.ts"
import type { Handle } from "../RunManifest.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"
import type { Answer, Answers, Oddities } from "./Answers.ts"
import { type Batch, slice } from "./Batch.ts"
import * as Layout from "./Layout.ts"
import * as Outputs from "./Outputs.ts"
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
  store: ObjectStore["Service"],
  run: Handle<object>,
  job: EndedJob | RefusedJob,
  memoryBudget: number,
  tally: Tally
): Stream.Stream<Batch, BatchError> =>
  Stream.unwrap(Effect.gen(function*() {
    const { answer } = run.manifest
    Object.assign(tally, emptyTally())
    const ranges = job.status === "Refused"
      ? []
      : yield* Outputs.ranges(store, job, run.processor, answer, memoryBudget, tally)
    const counts = { ...noCounts }
    tally.counts = counts
    const silent = withoutLine(job)
    let range = 0
    let answers: Answers | null = null
    let row = job.firstRow

    const answered = (batch: Batch): Batch => {
      const columns: ReadonlyArray<Array<unknown>> = Array.from(
        { length: answer.length + 7 },
        () => new Array<unknown>(batch.length)
      )
      const [ids, ...rest] = columns
      const values = rest.slice(0, answer.length)
      const [status, stop, code, message, input, output] = rest.slice(answer.length)
      for (let i = 0; i < batch.length; i++, row++) {
        const found = answers?.at(row) ?? silent
        ;(counts as { [K in Outcome]: number })[found.outcome]++
        tally.inputTokens += found.inputTokens ?? 0
        tally.outputTokens += found.outputTokens ?? 0
        ids![i] = Layout.recordId(row)
        for (let j = 0; j < values.length; j++) values[j]![i] = found.values === null ? null : found.values[j]
        status![i] = found.outcome
        stop![i] = found.stopReason
        code![i] = found.code
        message![i] = found.message
        input![i] = found.inputTokens
        output![i] = found.outputTokens
      }
      return { length: batch.length, columns: [...batch.columns, ...columns] }
    }

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

    /** Cuts a batch where the ranges change. */
    const join = Effect.fnUntraced(function*(batch: Batch) {
      const parts: Array<Batch> = []
      if (row + batch.length > job.firstRow + job.records) {
        return yield* damaged(`it holds more rows than the ${job.records} records of job ${job.key}`)
      }
      for (let from = 0; from < batch.length;) {
        if (ranges.length > 0 && (answers === null || row >= answers.to)) {
          answers = null
          answers = yield* ranges[range++]!.load
        }
        const to = answers === null ? batch.length : Math.min(batch.length, from + answers.to - row)
        parts.push(answered(slice(batch, from, to)))
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
