/**
 * Arrow IPC files and streams as a source: schemas first, then the rows of one record batch after another.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { BatchError } from "../../BatchError.ts"
import type { Column, ColumnType } from "../../Column.ts"
import type { ArrowField } from "../../internal/ArrowMessages.ts"
import { columnsIn, columnTypeOf, fits, NoColumnType } from "../../internal/ArrowTypes.ts"
import type { BatchRows } from "../../internal/ArrowValues.ts"
import type { Batch } from "../../internal/Batch.ts"
import type { OpenSource } from "../Source.ts"
import { type ArrowFile, failureOf, openArrowFile, recordBatches, sparseKey } from "./ArrowFiles.ts"
import type { ColumnCheck } from "./ColumnChecks.ts"
import { invalidSource } from "./Failures.ts"
import {
  type AnyFileOptions,
  batchBytes,
  batchProblem,
  batchRows,
  checkFileOptions,
  commonTypes,
  declareTypes,
  namesProblem,
  orChanged,
  takenNames
} from "./FileColumns.ts"
import type { Position } from "./Position.ts"
import { selectColumns } from "./Selected.ts"
import type { SourceFile } from "./SourceFile.ts"
import { commonUri, describeFiles, identityOf } from "./SourceFiles.ts"

const schemasAtOnce = 8

/** A file with the columns that are read of it, in the order of the source: their places in its schema. */
interface Table {
  readonly opened: ArrowFile
  readonly places: ReadonlyArray<number>
}

const namesIn = ({ schema }: ArrowFile): ReadonlyArray<string> => schema.fields.map(({ name }) => name)

const tableOf = Effect.fnUntraced(function*(method: string, opened: ArrowFile, names: ReadonlyArray<string>) {
  const available = namesIn(opened)
  const twice = names.find((name) => available.indexOf(name) !== available.lastIndexOf(name))
  if (twice !== undefined) {
    const place = { uri: opened.file.uri, column: twice }
    return yield* invalidSource(method, "malformed", "two columns of the file have this name", place)
  }
  const table: Table = { opened, places: names.map((name) => available.indexOf(name)) }
  return table
})

/** The files with the chosen columns, or with all columns of the first file, in its order. */
const readTables = Effect.fnUntraced(function*(
  method: string,
  files: ReadonlyArray<SourceFile>,
  chosen: ReadonlyArray<string> | null,
  option: string
) {
  const [head, ...rest] = yield* Effect.forEach(files, (file) => openArrowFile(method, file), {
    concurrency: schemasAtOnce
  })
  if (head === undefined) return yield* invalidSource(method, "empty", "there are no files", { uri: null })
  const { uri } = head.file
  const available = namesIn(head)
  const names = yield* takenNames(method, uri, available, chosen, option)
  if (names.length === 0) return yield* invalidSource(method, "malformed", "the file has no columns", { uri })
  const first = yield* tableOf(method, head, names)
  const others: Array<Table> = []
  for (const opened of rest) {
    const problem = namesProblem(method, opened.file.uri, namesIn(opened), names, chosen, uri)
    if (problem !== null) return yield* problem
    others.push(yield* tableOf(method, opened, names))
  }
  return [first, ...others] as const
})

/**
 * The types of a file's columns: as the file carries them, where it is one of ours, or as Arrow has them; null for
 * those that hold nulls alone.
 */
const typesIn = Effect.fnUntraced(function*(method: string, table: Table, sparse: ReadonlySet<string>) {
  const { file, schema } = table.opened
  const carried = new Map(columnsIn(schema).map(({ name, type }) => [name, type]))
  const types: Array<ColumnType | null> = []
  for (const place of table.places) {
    const field = schema.fields[place]!
    if (field.type.id === "null") {
      types.push(null)
      continue
    }
    const own = carried.get(field.name)
    const type = own !== undefined && fits(own, field) ? own : typeOf(field, sparse)
    if (type instanceof NoColumnType) {
      const message = `${type.message}; leave the column out with \`select\``
      return yield* invalidSource(method, "malformed", message, { uri: file.uri, column: field.name })
    }
    types.push(type)
  }
  return types
})

const typeOf = (field: ArrowField, sparse: ReadonlySet<string>): ColumnType | NoColumnType =>
  columnTypeOf(field, (path) => sparse.has(sparseKey(field.name, path)))

/** As many rows as a batch may have. */
const cutAt = (rows: BatchRows, from: number, most: number): number => {
  let to = Math.min(rows.length, from + Math.min(batchRows, most))
  while (to - from > 1 && rows.size(from, to) > batchBytes) to = from + Math.floor((to - from) / 2)
  return to
}

/** What is read of the source's files, and how. */
interface Reading {
  readonly method: string
  readonly columns: ReadonlyArray<Column>
  readonly checks: ReadonlyArray<ColumnCheck>
  /** Rows that were read. */
  row: number
  /** Rows that are still to be read. */
  left: number
}

/** Where a file is read from. */
type Start = Pick<Position, "file" | "offset" | "fileRow">

/** The rows of one file. */
const batchesOf = (reading: Reading, { opened, places }: Table, start: Start): Stream.Stream<Batch, BatchError> => {
  const { method } = reading
  const { file, schema } = opened
  // Columns come in the order of the file.
  const sorted = [...places].sort((a, b) => a - b)
  const order = places.map((place) => sorted.indexOf(place))
  const types = schema.fields.map((_, place) => {
    const j = places.indexOf(place)
    return j < 0 ? null : reading.columns[j]!.type
  })
  let firstRow = start.fileRow + 1
  let offset = start.offset
  const positionHere = (): Position => ({
    file: start.file,
    identity: file.identity,
    offset,
    fileRow: firstRow - 1,
    row: reading.row
  })
  const beginning = positionHere()
  const read = (rows: BatchRows, from: number): Effect.Effect<Batch, BatchError> =>
    Effect.suspend(() => {
      const start = firstRow
      let batch: Batch
      try {
        const cut = rows.read(from, cutAt(rows, from, reading.left))
        batch = selectColumns(cut, order)
      } catch (cause) {
        return Effect.fail(failureOf(method, file.uri, cause, start - from))
      }
      const wrong = batchProblem(method, file.uri, reading.columns, reading.checks, batch, start)
      if (wrong !== null) return Effect.fail(wrong)
      firstRow += batch.length
      reading.row += batch.length
      reading.left -= batch.length
      return Effect.succeed(batch)
    })
  const cuts = (rows: BatchRows): Stream.Stream<Batch, BatchError> => {
    let from = 0
    // A stream cannot be read from its middle.
    const position = opened.footer === null ? beginning : positionHere()
    offset++
    return Stream.fromPull(Effect.succeed(Effect.gen(function*() {
      if (from >= rows.length || reading.left === 0) return yield* Cause.done()
      const batch = yield* orChanged(file, read(rows, from))
      from += batch.length
      if (reading.left === 0) yield* file.unchanged
      return [{ ...batch, position }] as const
    })))
  }
  return recordBatches(method, opened, types, start.offset).pipe(
    Stream.flatMap(cuts),
    Stream.concat(Stream.fromEffectDrain(file.unchanged))
  )
}

/**
 * Opens Arrow IPC files and streams as one source. `method` is the source that asks, for messages.
 *
 * @internal
 */
export const openArrow: (
  method: string,
  files: ReadonlyArray<SourceFile>,
  options: AnyFileOptions
) => Effect.Effect<OpenSource, BatchError> = Effect.fnUntraced(
  function*(method: string, files: ReadonlyArray<SourceFile>, options: AnyFileOptions) {
    const { fields, names, schemas } = yield* checkFileOptions(method, options)
    const tables = yield* readTables(method, files, names, fields === null ? "select" : "columns")
    const [first] = tables
    const taken = first.places.map((place) => first.opened.schema.fields[place]!.name)
    const sparse = new Set(tables.flatMap(({ opened }) => [...opened.sparse]))
    const found = yield* commonTypes(
      method,
      taken,
      yield* Effect.forEach(tables, (table) =>
        Effect.map(typesIn(method, table, sparse), (types) => ({ uri: table.opened.file.uri, types })))
    )
    const uri = commonUri(files)
    const { checks, types } = yield* declareTypes(method, uri, fields, found)
    const columns = taken.map((name, j): Column => ({ name, type: types[j]! }))
    const limit = options.limit ?? Infinity
    let count: number | null = 0
    for (const { opened } of tables) count = count === null || opened.rows === null ? null : count + opened.rows
    const chosen = { select: names, limit: options.limit ?? null }
    const from = (position: Omit<Position, "identity">) =>
      Stream.suspend(() => {
        const reading: Reading = { method, columns, checks, row: position.row, left: limit - position.row }
        return Stream.fromIterable([...tables.entries()].slice(position.file)).pipe(
          Stream.rechunk(1),
          Stream.flatMap(([file, table]) =>
            reading.left === 0
              ? Stream.empty
              : batchesOf(reading, table, file === position.file ? position : { file, offset: 0, fileRow: 0 })
          ),
          Stream.takeUntil(() => reading.left === 0)
        )
      })
    const source: OpenSource = {
      columns,
      count: count === null ? null : Math.min(count, limit),
      uri,
      identity: JSON.stringify({ type: "arrow", files: identityOf(files), columns: schemas, ...chosen }),
      description: { type: "arrow", files: describeFiles(files), ...chosen },
      batches: from({ file: 0, offset: 0, fileRow: 0, row: 0 }),
      from
    }
    return source
  }
)
