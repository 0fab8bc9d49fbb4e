/**
 * The rows that a job of a later attempt is of: it holds records of several earlier jobs, and its file of rows holds
 * their numbers in the run.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { BatchError, Damaged } from "../BatchError.ts"
import type { Column } from "../Column.ts"
import type { Job } from "../Job.ts"
import type { Readable } from "./OutputSlice.ts"
import * as RowsFile from "./RowsFile.ts"

/** The one column of such a file. @internal */
export const columns: ReadonlyArray<Column> = [{ name: "row", type: "integer" }]

/** Reads the numbers of a job, ascending, and compares the file with what was written. @internal */
export const read = Effect.fnUntraced(function*(store: Readable, job: Job) {
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
  const hash = createHash("sha256")
  const bytes = Stream.map(store.read(job.rows.key), (piece) => {
    hash.update(piece)
    return piece
  })
  const rows: Array<number> = []
  yield* Stream.runForEach(RowsFile.read(bytes, damaged), ({ columns: [values] }) =>
    Effect.sync(() => {
      for (const value of values ?? []) if (typeof value === "number") rows.push(value)
    }))
  if (hash.digest("hex") !== job.rows.sha256 || rows.length !== job.records) {
    return yield* damaged("it is not what was written")
  }
  return rows
})

/** Where the first number is that is no less than `row`: the numbers ascend. @internal */
export const firstFrom = (rows: ReadonlyArray<number>, row: number): number => {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (rows[middle]! < row) low = middle + 1
    else high = middle
  }
  return low
}
