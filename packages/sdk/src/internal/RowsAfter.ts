/**
 * The rows of a source from the one on at which a checkpoint was made.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { BatchError, Damaged } from "../BatchError.ts"
import type { Column, ColumnType } from "../Column.ts"
import type { Job } from "../Job.ts"
import { tagged } from "../source/internal/Values.ts"
import type { OpenSource } from "../source/Source.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"
import { type Batch, slice } from "./Batch.ts"
import type { TakenUp } from "./Checkpoints.ts"
import { canonicalJson } from "./Digest.ts"
import * as RowsFile from "./RowsFile.ts"

type Store = ObjectStore["Service"]
type Batches = Stream.Stream<Batch, BatchError>

/** What comes after the first `count` rows; `look` sees those. */
const after = (
  batches: Batches,
  count: number,
  look: (passed: Batch) => Effect.Effect<void, BatchError> = () => Effect.void
): Batches =>
  Stream.suspend(() => {
    let left = count
    return batches.pipe(
      Stream.mapEffect((batch) => {
        if (left === 0) return Effect.succeed(batch)
        const passed = Math.min(left, batch.length)
        left -= passed
        const { position } = batch
        const rest = slice(batch, passed, batch.length)
        return Effect.as(look(slice(batch, 0, passed)), position === undefined ? rest : { ...rest, position })
      }),
      Stream.filter((batch) => batch.length > 0)
    )
  })

const textOf = (type: ColumnType, value: unknown): string =>
  typeof type === "string" ? tagged(type, value) : canonicalJson(value)

/** Compares rows with those that jobs hold, one batch after the other. */
const comparer = Effect.fnUntraced(function*(
  store: Store,
  columns: ReadonlyArray<Column>,
  jobs: ReadonlyArray<Job>,
  different: (row: number) => BatchError
) {
  const damaged = ({ rows: { key } }: Job) => (message: string, cause: unknown) =>
    new BatchError({
      module: "prepare",
      method: "prepare",
      reason: new Damaged({ key, cause, message: `the rows ${key} cannot be read: ${message}; delete the run` })
    })
  const pull = yield* Stream.toPull(
    Stream.fromIterable(jobs).pipe(
      Stream.rechunk(1),
      Stream.flatMap((job) => RowsFile.read(store.read(job.rows.key), damaged(job)))
    )
  )
  let row = 0
  let waiting: ReadonlyArray<Batch> = []
  let at = 0
  return Effect.fnUntraced(function*(batch: Batch) {
    for (let i = 0; i < batch.length; i++) {
      while (waiting[0] === undefined || at === waiting[0].length) {
        at = 0
        waiting = waiting.length > 1 ? waiting.slice(1) : yield* Pull.catchDone(pull, () => Effect.fail(different(row)))
      }
      const kept = waiting[0].columns
      const isSame = columns.every(({ type }, j) => textOf(type, batch.columns[j]![i]) === textOf(type, kept[j]![at]))
      if (!isSame) return yield* different(row)
      row++
      at++
    }
  })
})

/**
 * The rows that come after those of the jobs that are taken up: read on from the checkpoint's place where the source can
 * be, else read again from the beginning and passed over. Where nothing else says that they are the same rows as before,
 * they are compared with the jobs' own; `different` is the failure of a row, from 0, that is another one.
 *
 * @internal
 */
export const rowsAfter = (
  store: Store,
  source: OpenSource,
  { jobs, position, row }: TakenUp,
  different: (row: number) => BatchError
): Batches => {
  if (position !== null && source.from !== undefined) return after(source.from(position), row - position.row)
  return source.mayDiffer === true
    ? Stream.unwrap(Effect.map(comparer(store, source.columns, jobs, different), (look) => after(source.batches, row, look)))
    : after(source.batches, row)
}
