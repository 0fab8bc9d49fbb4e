/**
 * Takes some of the columns and some of the rows of a source.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { BatchError } from "../../BatchError.ts"
import type { Column } from "../../Column.ts"
import { type Batch, slice } from "../../internal/Batch.ts"
import type { Selection } from "../Selection.ts"
import type { OpenSource } from "../Source.ts"
import { invalidOption, missingColumns } from "./Failures.ts"

/**
 * What is wrong with a selection, or null: what the compiler does not see in JavaScript, in a notebook, or behind a
 * cast.
 *
 * @internal
 */
export const selectionProblem = (method: string, { limit, select }: Selection): BatchError | null => {
  const names: unknown = select
  if (
    names !== undefined &&
    !(Array.isArray(names) && names.length > 0 && names.every((name) => typeof name === "string"))
  ) {
    return invalidOption(method, "select", "give the names of one or more columns")
  }
  if (new Set(select).size < (select?.length ?? 0)) return invalidOption(method, "select", "name each column once")
  return limit === undefined || (Number.isSafeInteger(limit) && limit >= 1)
    ? null
    : invalidOption(method, "limit", "give a whole number of rows, at least 1")
}

/**
 * The positions of the selected columns; all of them where none are selected. Fails with `InvalidColumns`.
 *
 * @internal
 */
export const selectedPositions = (
  method: string,
  uri: string | null,
  available: ReadonlyArray<string>,
  select: ReadonlyArray<string> | undefined
): Effect.Effect<ReadonlyArray<number>, BatchError> => {
  if (select === undefined) return Effect.succeed(available.map((_, j) => j))
  const missing = select.filter((name) => !available.includes(name))
  return missing.length === 0
    ? Effect.succeed(select.map((name) => available.indexOf(name)))
    : Effect.fail(missingColumns(method, uri, missing, available, "select"))
}

/**
 * The selected columns of a batch.
 *
 * @internal
 */
export const selectColumns = (batch: Batch, positions: ReadonlyArray<number>): Batch => ({
  length: batch.length,
  columns: positions.map((j) => batch.columns[j]!)
})

/**
 * The first `limit` rows of batches; nothing is read beyond them.
 *
 * @internal
 */
export const limitRows = <E, R>(
  batches: Stream.Stream<Batch, E, R>,
  limit: number | undefined
): Stream.Stream<Batch, E, R> => {
  if (limit === undefined) return batches
  return Stream.suspend(() => {
    let left = limit
    return batches.pipe(
      Stream.map((batch) => {
        const taken = slice(batch, 0, Math.min(left, batch.length))
        left -= taken.length
        return { taken, isLast: left === 0 }
      }),
      Stream.takeUntil(({ isLast }) => isLast),
      Stream.map(({ taken }) => taken)
    )
  })
}

/**
 * A source of which only some columns and rows are taken, for sources that cannot leave the others unread. The
 * selection is part of the identity and of the description.
 *
 * @internal
 */
export const selectedSource = Effect.fnUntraced(function*(method: string, source: OpenSource, selection: Selection) {
  const { limit, select } = selection
  if (limit === undefined && select === undefined) return source
  const positions = yield* selectedPositions(method, source.uri, source.columns.map(({ name }) => name), select)
  const columns: ReadonlyArray<Column> = positions.map((j) => source.columns[j]!)
  const chosen = { select: select ?? null, limit: limit ?? null }
  const taken: OpenSource = {
    columns,
    count: source.count === null || limit === undefined ? source.count : Math.min(source.count, limit),
    uri: source.uri,
    identity: source.identity === null ? null : JSON.stringify([source.identity, chosen]),
    description: { source: source.description, ...chosen },
    batches: limitRows(Stream.map(source.batches, (batch) => selectColumns(batch, positions)), limit),
    mayDiffer: source.mayDiffer ?? false
  }
  return taken
})
