/**
 * The result files of one job: one, or parts of about a given size.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Arr from "effect/Array"
import { type Batch, slice } from "./Batch.ts"
import { rowSize } from "./RowSize.ts"

/** @internal */
export interface ResultParts<out E> {
  /**
   * The bytes of a part, from 0. Parts are made one after the other; to run one again starts the job over, and gives
   * the same rows.
   */
  readonly part: (index: number) => Stream.Stream<Uint8Array, E>
  /** Whether there is a part after the one that was made last. */
  readonly more: Effect.Effect<boolean, E>
}

/** Rows on their way into parts: those of the part `index` come next. */
interface Position<out E> {
  readonly scope: Scope.Closeable
  readonly pull: Pull.Pull<Arr.NonEmptyReadonlyArray<Batch>, E>
  readonly waiting: Array<Batch>
  index: number
  /** Whether the part has had no rows yet. */
  untouched: boolean
  /** Bytes of values that the part has had. */
  size: number
  ended: boolean
}

/** The rows of a batch that still go into the part, which ends with the row that brings it to its size. */
const fitting = (batch: Batch, size: number, partBytes: number): { readonly rows: number; readonly size: number } => {
  let rows = 0
  let total = size
  while (rows < batch.length && total < partBytes) total += rowSize(batch, rows++)
  return { rows, size: total }
}

/**
 * Cuts batches into parts whose values take about `partBytes` bytes each, or makes one part of them. Where the parts are
 * cut depends on the rows alone, so that another process, after a crash, cuts them at the same rows.
 *
 * @internal
 */
export const make = Effect.fnUntraced(function*<E>(
  batches: Stream.Stream<Batch, E>,
  encode: (batches: Stream.Stream<Batch, E>) => Stream.Stream<Uint8Array, E>,
  partBytes: number | null
): Effect.fn.Return<ResultParts<E>, never, Scope.Scope> {
  const outer = yield* Effect.scope
  let position: Position<E> | null = null

  const start = Effect.gen(function*() {
    if (position !== null) yield* Scope.close(position.scope, Exit.void)
    position = null
    const scope = yield* Scope.fork(outer)
    const pull = yield* Scope.provide(Stream.toPull(batches), scope)
    const begun: Position<E> = { scope, pull, waiting: [], index: 0, untouched: true, size: 0, ended: false }
    position = begun
    return begun
  })

  /** Makes sure that a batch waits, or that there are no more. */
  const fill = Effect.fnUntraced(function*(at: Position<E>) {
    while (at.waiting.length === 0 && !at.ended) {
      const batches = yield* at.pull.pipe(
        // What the rows were made of, temporary files too, is given back now and not with the job.
        Pull.catchDone(() => {
          at.ended = true
          return Effect.as(Scope.close(at.scope, Exit.void), [])
        })
      )
      at.waiting.push(...batches.filter((batch) => batch.length > 0))
    }
  })

  /** The next rows of the current part; null at its end, from where the next one begins. */
  const next = Effect.fnUntraced(function*(at: Position<E>) {
    yield* fill(at)
    at.untouched = false
    const batch = at.waiting[0]
    if (batch !== undefined && partBytes === null) return at.waiting.shift()!
    const fits = batch === undefined || partBytes === null ? null : fitting(batch, at.size, partBytes)
    if (batch === undefined || fits === null || fits.rows === 0) {
      at.index++
      at.untouched = true
      at.size = 0
      return null
    }
    at.size = fits.size
    if (fits.rows === batch.length) at.waiting.shift()
    else at.waiting[0] = slice(batch, fits.rows, batch.length)
    return slice(batch, 0, fits.rows)
  })

  const rowsOf = (index: number): Stream.Stream<Batch, E> =>
    Stream.unwrap(Effect.gen(function*() {
      const at = position !== null && position.index === index && position.untouched ? position : yield* start
      while (at.index < index) yield* next(at)
      const pull: Pull.Pull<Arr.NonEmptyReadonlyArray<Batch>, E> = Effect.gen(function*() {
        const batch = yield* next(at)
        if (batch === null) return yield* Cause.done()
        return [batch] as const
      })
      return Stream.fromPull(Effect.succeed(pull))
    }))

  return {
    part: (index) => encode(rowsOf(index)),
    more: Effect.suspend(() => position === null ? Effect.succeed(true) : Effect.map(fill(position), () => position!.waiting.length > 0))
  }
})
