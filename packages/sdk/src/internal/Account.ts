/**
 * What the records of one job of a later attempt came to in it. Their rows are elsewhere: in the results of the first
 * attempt's jobs.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { BatchError } from "../BatchError.ts"
import { AnswerReader, Answers, noOddities } from "./Answers.ts"
import * as Merge from "./Merge.ts"
import * as Outputs from "./Outputs.ts"
import { forEachLine, type Readable, whole } from "./OutputSlice.ts"
import * as RowNumbers from "./RowNumbers.ts"
import type { Settled } from "./Settled.ts"

/** Counts a job's own outcomes. Memory holds a few bytes a record. @internal */
export const account = Effect.fnUntraced(function*(
  store: Readable,
  run: Merge.Merging["run"],
  job: Settled
): Effect.fn.Return<Merge.Tally, BatchError> {
  const rows = yield* RowNumbers.read(store, job)
  const oddities = noOddities()
  // By position in the job, and without the values: only what is counted is kept.
  const answers = new Answers(0, rows.length, 0)
  if (Merge.isEnded(job)) {
    const reader = new AnswerReader(run.processor, run.manifest.answer)
    for (const slice of whole(yield* Outputs.filesOf(store, job))) {
      yield* forEachLine(store, slice, (line) => {
        const answer = reader.read(line, job.firstRow, job.lastRow + 1, oddities)
        if (answer === null) return
        const at = RowNumbers.firstFrom(rows, reader.row)
        if (rows[at] === reader.row) answers.put(at, { ...answer, values: null }, oddities)
        else oddities.unknown++
      })
    }
  }
  answers.fill(Merge.withoutLine(job))
  const own = Merge.noTotals()
  answers.count(own)
  return { ...own, ...oddities, own }
})
