/**
 * Rows from memory as sources: arrays, iterables, async iterables and streams.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { BatchError } from "../BatchError.ts"
import type { Column } from "../Column.ts"
import type { Batch } from "../internal/Batch.ts"
import { type Field, fieldsOf } from "../internal/ColumnsOf.ts"
import { invalidOption, invalidSource } from "./internal/Failures.ts"
import { ColumnFinder, RowFault, RowReader } from "./internal/RowReader.ts"
import { selectedSource, selectionProblem } from "./internal/Selected.ts"
import { sourceOf } from "./internal/SourceOf.ts"
import { tagged } from "./internal/Values.ts"
import type { Selection } from "./Selection.ts"
import type { OpenSource, Source } from "./Source.ts"

/**
 * How rows from memory are taken.
 *
 * @since 0.1.0
 * @category models
 */
export interface RowsOptions<Row extends object> extends Selection {
  /**
   * Stands for the content in the run's fingerprint. Default: the digest of an array's rows; an iterable or a stream
   * has no identity without it.
   */
  readonly version?: string | undefined
  /** A `Schema.Struct` of the columns (its type side). Default: they are found from the rows. */
  readonly columns?: Schema.ConstraintDecoder<Row> | undefined
}

const batchRows = 1000
const lookAheadRows = 10_000

const failed = (cause: unknown): BatchError =>
  cause instanceof BatchError
    ? cause
    : invalidSource("rows", "failed", "reading the rows failed", { uri: null, cause })

const attempt = <A>(read: () => A): Effect.Effect<A, BatchError> =>
  Effect.try({
    try: read,
    catch: (cause) =>
      cause instanceof RowFault
        ? invalidSource("rows", "malformed", cause.message, {
          uri: null,
          row: cause.row,
          column: cause.column ?? undefined
        })
        : failed(cause)
  })

const declaredFields = (options: RowsOptions<object>): Effect.Effect<ReadonlyArray<Field> | null, BatchError> => {
  if (options.columns === undefined) return Effect.succeed(null)
  const fields = Schema.isSchema(options.columns) ? fieldsOf(options.columns) : null
  return fields === null
    ? Effect.fail(
      invalidOption(
        "rows",
        "columns",
        "give a Schema.Struct with a property for each column, without checks or transformations of the whole row"
      )
    )
    : Effect.succeed(fields)
}

const asColumns = (fields: ReadonlyArray<Field>): ReadonlyArray<Column> =>
  fields.map(({ name, type }) => ({ name, type }))

/** Equal for equal rows, whatever the order of their columns. */
const digestOf = (rows: ReadonlyArray<unknown>, reader: RowReader): string => {
  const { columns } = reader
  const order = columns.map((_, j) => j).sort((a, b) => (columns[a]!.name < columns[b]!.name ? -1 : 1))
  const hash = createHash("sha256")
  hash.update(JSON.stringify(order.map((j) => [columns[j]!.name, columns[j]!.type])))
  for (let from = 0; from < rows.length; from += batchRows) {
    const batch = reader.read(rows, from, Math.min(rows.length, from + batchRows))
    const lines = new Array<string>(batch.length)
    for (let i = 0; i < batch.length; i++) {
      lines[i] = order.map((j) => tagged(columns[j]!.type, batch.columns[j]![i])).join()
    }
    hash.update(`\n${lines.join("\n")}`)
  }
  return hash.digest("hex")
}

const openArray = Effect.fnUntraced(function*(rows: ReadonlyArray<unknown>, options: RowsOptions<object>) {
  const fields = yield* declaredFields(options)
  const columns = fields !== null ? asColumns(fields) : yield* attempt(() => {
    const finder = new ColumnFinder({ wholeIntegers: true })
    for (const row of rows) finder.add(row)
    return finder.columns
  })
  const version = options.version ??
    `sha256:${yield* attempt(() => digestOf(rows, new RowReader(columns, fields)))}`
  const reader = new RowReader(columns, fields)
  let from = 0
  const batches: Stream.Stream<Batch, BatchError> = Stream.fromPull(Effect.succeed(Effect.gen(function*() {
    if (from >= rows.length) return yield* Cause.done()
    const start = from
    from = Math.min(rows.length, start + batchRows)
    return yield* attempt(() => [reader.read(rows, start, from)] as const)
  })))
  const opened: OpenSource = {
    columns,
    count: rows.length,
    uri: null,
    identity: `rows:${version}`,
    description: { type: "rows", version, count: rows.length },
    batches,
    mayDiffer: options.version !== undefined
  }
  return opened
})

/** The next rows (at least one), or null at the end. */
type Next = Effect.Effect<ReadonlyArray<unknown> | null, BatchError>

const nextOfIterable = (rows: Iterable<unknown>): Effect.Effect<Next, BatchError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      attempt(() => ({ iterator: rows[Symbol.iterator](), ended: false })),
      (state) => Effect.sync(() => state.ended ? undefined : state.iterator.return?.()).pipe(Effect.ignore)
    ),
    (state) =>
      attempt(() => {
        const taken: Array<unknown> = []
        while (taken.length < batchRows && !state.ended) {
          const { done, value } = state.iterator.next()
          if (done === true) state.ended = true
          else taken.push(value)
        }
        return taken.length === 0 ? null : taken
      })
  )

const nextOfAsyncIterable = (rows: AsyncIterable<unknown>): Effect.Effect<Next, BatchError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      attempt(() => ({ iterator: rows[Symbol.asyncIterator](), ended: false, waiting: false })),
      // A generator that is waiting would take up its end only after the wait, which may last for ever.
      (state) =>
        state.ended || state.waiting
          ? Effect.void
          : Effect.ignore(Effect.tryPromise(async () => state.iterator.return?.()))
    ),
    (state) =>
      Effect.tryPromise({
        try: async (signal) => {
          const taken: Array<unknown> = []
          while (taken.length < batchRows && !state.ended && !signal.aborted) {
            state.waiting = true
            const { done, value } = await state.iterator.next()
            state.waiting = false
            if (done === true) state.ended = true
            else taken.push(value)
          }
          return taken.length === 0 ? null : taken
        },
        catch: failed
      })
  )

const nextOfStream = <E, R>(rows: Stream.Stream<unknown, E, R>): Effect.Effect<Next, never, R | Scope.Scope> =>
  Effect.context<R>().pipe(
    Effect.flatMap((context) => Stream.toPull(Stream.provideContext(rows, context))),
    Effect.map((pull): Next =>
      pull.pipe(
        Effect.map((taken): ReadonlyArray<unknown> | null => taken),
        Pull.catchDone(() => Effect.succeed(null)),
        Effect.mapError(failed)
      )
    )
  )

/** The rows that were taken and are not in a batch yet. */
class Held {
  rows: Array<unknown> = []
  ended = false
  private readonly next: Next

  constructor(next: Next) {
    this.next = next
  }

  /** Takes rows until there are `count`, or no more. */
  fill(count: number): Effect.Effect<void, BatchError> {
    return Effect.gen({ self: this }, function*() {
      while (this.rows.length < count && !this.ended) {
        const taken = yield* this.next
        if (taken === null) this.ended = true
        else if (this.rows.length === 0) this.rows = [...taken]
        else { for (const row of taken) this.rows.push(row) }
      }
    })
  }
}

const findColumns = Effect.fnUntraced(function*(held: Held) {
  const finder = new ColumnFinder({ wholeIntegers: false })
  let seen = 0
  while (seen < batchRows || (!finder.settled && seen < lookAheadRows)) {
    yield* held.fill(seen + 1)
    if (seen === held.rows.length) break
    yield* attempt(() => {
      while (seen < held.rows.length && (seen < batchRows || (!finder.settled && seen < lookAheadRows))) {
        finder.add(held.rows[seen])
        seen++
      }
    })
  }
  return finder.columns
})

const openMoving = Effect.fnUntraced(function*(next: Next, options: RowsOptions<object>) {
  const fields = yield* declaredFields(options)
  const held = new Held(next)
  const columns = fields === null ? yield* findColumns(held) : asColumns(fields)
  const reader = new RowReader(columns, fields)
  let from = 0
  const batches: Stream.Stream<Batch, BatchError> = Stream.fromPull(Effect.succeed(Effect.gen(function*() {
    if (from === held.rows.length) {
      held.rows = []
      from = 0
      yield* held.fill(batchRows)
      if (held.rows.length === 0) return yield* Cause.done()
    }
    const start = from
    from = Math.min(held.rows.length, start + batchRows)
    return yield* attempt(() => [reader.read(held.rows, start, from)] as const)
  })))
  const { version } = options
  const opened: OpenSource = {
    columns,
    count: held.ended && held.rows.length === 0 ? 0 : null,
    uri: null,
    identity: version === undefined ? null : `rows:${version}`,
    description: { type: "rows", version: version ?? null },
    batches,
    mayDiffer: true
  }
  return opened
})

const open = <E, R>(
  rows: Iterable<unknown> | AsyncIterable<unknown> | Stream.Stream<unknown, E, R>,
  options: RowsOptions<object>
): Effect.Effect<OpenSource, BatchError, R | Scope.Scope> => {
  const wrong = checkKinds(rows, options) ?? selectionProblem("rows", options)
  if (wrong !== null) return Effect.fail(wrong)
  return Effect.flatMap(openAll(rows, options), (source) => selectedSource("rows", source, options))
}

const openAll = <E, R>(
  rows: Iterable<unknown> | AsyncIterable<unknown> | Stream.Stream<unknown, E, R>,
  options: RowsOptions<object>
): Effect.Effect<OpenSource, BatchError, R | Scope.Scope> => {
  if (Array.isArray(rows)) return openArray(rows, options)
  const next = Stream.isStream(rows)
    ? nextOfStream(rows)
    : Symbol.asyncIterator in rows
    ? nextOfAsyncIterable(rows)
    : nextOfIterable(rows)
  return Effect.flatMap(next, (next) => openMoving(next, options))
}

/** What the compiler does not see in JavaScript, in a notebook, or behind a cast. */
const checkKinds = (rows: unknown, options: unknown): BatchError | null => {
  const taken = typeof rows === "object" && rows !== null &&
    (Stream.isStream(rows) || Symbol.iterator in rows || Symbol.asyncIterator in rows)
  if (!taken) return invalidOption("rows", "rows", "give an array, an iterable, an async iterable or a Stream of row objects")
  if (typeof options !== "object" || options === null) return invalidOption("rows", "options", "give an object")
  const version: unknown = "version" in options ? options.version : undefined
  return version === undefined || typeof version === "string"
    ? null
    : invalidOption("rows", "version", "give a text that stands for the content of the rows")
}

/**
 * Takes rows from memory: an array, an iterable, an async iterable or an Effect `Stream`, whose failures become
 * `InvalidSource` (`failed`, with the cause). Rows are objects; a missing or undefined property is null.
 *
 * Column types come from `columns`, or from the values: an array is scanned whole; of anything else the first 1,000
 * rows are looked at, and on to 10,000 until each column has had a value. Values of several kinds, arrays and objects
 * make a JSON column. An iterable or a stream is read once, and needs a `version` or an explicit run id to be taken up
 * again.
 *
 * Fails with `InvalidSource` (`malformed`, naming row and column) for a row that is no object, a value that does not
 * fit its column, or a column that first appears later.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Source } from "@bedrock-batch/sdk"
 * import { Stream } from "effect"
 *
 * const fromArray = Source.rows([{ topic: "cats" }, { topic: "dogs" }])
 *
 * const fromStream = Source.rows(Stream.range(1, 1000).pipe(Stream.map((n) => ({ n }))), { version: "2026-11" })
 * ```
 */
export function rows<Row extends object, E, R, const Name extends keyof Row & string>(
  rows: Stream.Stream<Row, E, R>,
  options: RowsOptions<Row> & { readonly select: ReadonlyArray<Name> }
): Source<Pick<Row, Name>, R>
export function rows<Row extends object, const Name extends keyof Row & string>(
  rows: Iterable<Row> | AsyncIterable<Row>,
  options: RowsOptions<Row> & { readonly select: ReadonlyArray<Name> }
): Source<Pick<Row, Name>>
export function rows<Row extends object, E, R>(
  rows: Stream.Stream<Row, E, R>,
  options?: RowsOptions<Row>
): Source<Row, R>
export function rows<Row extends object>(
  rows: Iterable<Row> | AsyncIterable<Row>,
  options?: RowsOptions<Row>
): Source<Row>
export function rows<E, R>(
  rows: Iterable<unknown> | AsyncIterable<unknown> | Stream.Stream<unknown, E, R>,
  options: RowsOptions<object> = {}
): Source<object, R> {
  return sourceOf<object, R>(open(rows, options))
}
