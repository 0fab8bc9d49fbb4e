/**
 * Joins a job's answers to its rows: one output row per input row, in input order.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { BatchError, Damaged } from "../BatchError.ts"
import type { Answers } from "./Answers.ts"
import { type Batch, slice } from "./Batch.ts"
import * as Merge from "./Merge.ts"
import type { Readable } from "./OutputSlice.ts"
import * as RowsFile from "./RowsFile.ts"

/** The job's rows with the added columns, in batches; `tally` is that of the last run of the stream. @internal */
export const joined = (
  store: Readable,
  merging: Merge.Merging,
  reading: Merge.Reading,
  tally: Merge.Tally = Merge.emptyTally()
): Stream.Stream<Batch, BatchError> =>
  Stream.unwrap(Effect.gen(function*() {
    const { job } = merging
    Object.assign(tally, Merge.emptyTally())
    const ranges = yield* Merge.ranges(store, merging, reading, tally)
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
          answers = yield* ranges[range++]!
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
