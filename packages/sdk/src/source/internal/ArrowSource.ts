/**
 * Arrow IPC files and streams as a source: schemas first, then the rows of one record batch after another.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { BatchError } from "../../BatchError.ts"
import type { Column, ColumnType } from "../../Column.ts"
import type { ArrowField } from "../../internal/ArrowMessages.ts"
import { columnsIn, columnTypeOf, fits, NoColumnType } from "../../internal/ArrowTypes.ts"
import type { BatchRows } from "../../internal/ArrowValues.ts"
import type { Batch } from "../../internal/Batch.ts"
import type { Field } from "../../internal/ColumnsOf.ts"
import type { OpenSource } from "../Source.ts"
import { type ArrowFile, failureOf, openArrowFile, orChanged, recordBatches, sparseKey } from "./ArrowFiles.ts"
import { type ColumnCheck, columnCheck } from "./ColumnChecks.ts"
import { declaredFields, describeFields } from "./DeclaredColumns.ts"
import { invalidOption, invalidSource, missingColumns } from "./Failures.ts"
import { declaredType } from "./ParquetTypes.ts"
import { selectColumns, selectionProblem } from "./Selected.ts"
import type { SourceFile } from "./SourceFile.ts"
import { commonUri, describeFiles, identityOf } from "./SourceFiles.ts"

/**
 * The options of `Source.arrow`, whichever of its forms they have.
 *
 * @internal
 */
export interface AnyArrowOptions {
  readonly select?: ReadonlyArray<string> | undefined
  readonly limit?: number | undefined
  readonly columns?: Schema.Constraint | undefined
}

const batchRows = 5000
const batchBytes = 4 * 1024 * 1024
const schemasAtOnce = 8

const checkOptions = Effect.fnUntraced(function*(method: string, options: AnyArrowOptions) {
  if (typeof options !== "object" || options === null) return yield* invalidOption(method, "options", "give an object")
  const problem = selectionProblem(method, options)
  if (problem !== null) return yield* problem
  const { columns, select } = options
  if (columns === undefined) return { fields: null, names: select ?? null, schemas: null }
  if (select !== undefined) {
    return yield* invalidOption(method, "select", "give `columns` or `select`: `columns` takes the columns it declares")
  }
  const fields = yield* declaredFields(method, columns)
  return { fields, names: fields.map(({ name }) => name), schemas: yield* describeFields(fields) }
})

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

const differs = (method: string, uri: string, column: string, message: string): BatchError =>
  invalidSource(method, "malformed", `${message}; the files of a source have the same columns`, { uri, column })

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
  const missing = chosen?.filter((name) => !available.includes(name)) ?? []
  if (missing.length > 0) return yield* missingColumns(method, uri, missing, available, option)
  const names = chosen ?? available
  if (names.length === 0) return yield* invalidSource(method, "malformed", "the file has no columns", { uri })
  const first = yield* tableOf(method, head, names)
  const others: Array<Table> = []
  for (const opened of rest) {
    const has = new Set(namesIn(opened))
    const lacking = names.find((name) => !has.has(name))
    if (lacking !== undefined) {
      return yield* differs(method, opened.file.uri, lacking, `the file lacks the column, which ${uri} has`)
    }
    const more = chosen === null ? [...has].find((name) => !available.includes(name)) : undefined
    if (more !== undefined) return yield* differs(method, opened.file.uri, more, `${uri} has no such column`)
    others.push(yield* tableOf(method, opened, names))
  }
  return [first, ...others] as const
})

const nameOf = (type: ColumnType): string => (typeof type === "string" ? type : JSON.stringify(type))

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

/** The types that the columns have in all files, but for files that have nulls alone in them. */
const commonTypes = Effect.fnUntraced(function*(method: string, tables: readonly [Table, ...Array<Table>]) {
  const sparse = new Set(tables.flatMap(({ opened }) => [...opened.sparse]))
  const types: Array<ColumnType | null> = tables[0].places.map(() => null)
  const uris: Array<string> = []
  for (const { opened, places } of tables) {
    const found = yield* typesIn(method, { opened, places }, sparse)
    for (const [j, type] of found.entries()) {
      const before = types[j] ?? null
      if (type === null || (before !== null && nameOf(type) === nameOf(before))) continue
      if (before !== null) {
        const message = `the column is ${nameOf(type)} here, and ${nameOf(before)} in ${uris[j]!}`
        return yield* differs(method, opened.file.uri, opened.schema.fields[places[j]!]!.name, message)
      }
      types[j] = type
      uris[j] = opened.file.uri
    }
  }
  return types
})

/** The types as which the columns are read, and the checks of declared ones. */
interface Declared {
  readonly types: ReadonlyArray<ColumnType>
  readonly checks: ReadonlyArray<ColumnCheck>
}

const declare = Effect.fnUntraced(function*(
  method: string,
  uri: string | null,
  fields: ReadonlyArray<Field> | null,
  found: ReadonlyArray<ColumnType | null>
) {
  if (fields === null) return { types: found.map((type) => type ?? "string"), checks: [] } satisfies Declared
  const types: Array<ColumnType> = []
  for (const [j, field] of fields.entries()) {
    const known = found[j] ?? field.type
    const type = declaredType(field, known)
    if (type === null) {
      const message = `the column is ${nameOf(known)}, and \`columns\` declares other values; change its schema`
      return yield* invalidSource(method, "malformed", message, { uri, column: field.name })
    }
    types.push(type)
  }
  return { types, checks: fields.map((field, j) => columnCheck(field, types[j]!)) } satisfies Declared
})

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
  /** Rows that are still to be read. */
  left: number
}

const checkBatch = (reading: Reading, uri: string, { columns }: Batch, firstRow: number): BatchError | null => {
  for (const [j, check] of reading.checks.entries()) {
    const wrong = check(columns[j]!)
    if (wrong === null) continue
    const [index, fault] = wrong
    const place = { uri, row: firstRow + index, column: reading.columns[j]!.name }
    return invalidSource(reading.method, "malformed", fault, place)
  }
  return null
}

/** The rows of one file, from `reading.left` on. */
const batchesOf = (reading: Reading, { opened, places }: Table): Stream.Stream<Batch, BatchError> => {
  const { method } = reading
  const { file, schema } = opened
  // Columns come in the order of the file.
  const sorted = [...places].sort((a, b) => a - b)
  const order = places.map((place) => sorted.indexOf(place))
  const types = schema.fields.map((_, place) => {
    const j = places.indexOf(place)
    return j < 0 ? null : reading.columns[j]!.type
  })
  let firstRow = 1
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
      const wrong = checkBatch(reading, file.uri, batch, start)
      if (wrong !== null) return Effect.fail(wrong)
      firstRow += batch.length
      reading.left -= batch.length
      return Effect.succeed(batch)
    })
  const cuts = (rows: BatchRows): Stream.Stream<Batch, BatchError> => {
    let from = 0
    return Stream.fromPull(Effect.succeed(Effect.gen(function*() {
      if (from >= rows.length || reading.left === 0) return yield* Cause.done()
      const batch = yield* orChanged(file, read(rows, from))
      from += batch.length
      if (reading.left === 0) yield* file.unchanged
      return [batch] as const
    })))
  }
  return recordBatches(method, opened, types).pipe(
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
  options: AnyArrowOptions
) => Effect.Effect<OpenSource, BatchError> = Effect.fnUntraced(
  function*(method: string, files: ReadonlyArray<SourceFile>, options: AnyArrowOptions) {
    const { fields, names, schemas } = yield* checkOptions(method, options)
    const tables = yield* readTables(method, files, names, fields === null ? "select" : "columns")
    const found = yield* commonTypes(method, tables)
    const uri = commonUri(files)
    const { checks, types } = yield* declare(method, uri, fields, found)
    const [first] = tables
    const columns = first.places.map((place, j): Column => ({
      name: first.opened.schema.fields[place]!.name,
      type: types[j]!
    }))
    const limit = options.limit ?? Infinity
    let count: number | null = 0
    for (const { opened } of tables) count = count === null || opened.rows === null ? null : count + opened.rows
    const chosen = { select: names, limit: options.limit ?? null }
    const batches = Stream.suspend(() => {
      const reading: Reading = { method, columns, checks, left: limit }
      return Stream.fromIterable(tables).pipe(
        Stream.rechunk(1),
        Stream.flatMap((table) => (reading.left === 0 ? Stream.empty : batchesOf(reading, table))),
        Stream.takeUntil(() => reading.left === 0)
      )
    })
    const source: OpenSource = {
      columns,
      count: count === null ? null : Math.min(count, limit),
      uri,
      identity: JSON.stringify({ type: "arrow", files: identityOf(files), columns: schemas, ...chosen }),
      description: { type: "arrow", files: describeFiles(files), ...chosen },
      batches
    }
    return source
  }
)
