/**
 * Reads CSV files, wherever they lie, as one table.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BatchError } from "../../BatchError.ts"
import type { Column } from "../../Column.ts"
import type { Batch } from "../../internal/Batch.ts"
import type { CsvOptions } from "../Csv.ts"
import type { OpenSource } from "../Source.ts"
import { type CellReader, makeReader } from "./CellReader.ts"
import { CsvFault, CsvParser } from "./CsvParser.ts"
import type { Cells, CsvDialect } from "./CsvText.ts"
import { declaredFields, describeFields } from "./DeclaredColumns.ts"
import { contentFrom, contentOf, withCompressed } from "./Decompress.ts"
import { invalidOption, invalidSource, missingColumns } from "./Failures.ts"
import type { Position } from "./Position.ts"
import { selectedPositions, selectionProblem } from "./Selected.ts"
import type { SourceFile } from "./SourceFile.ts"
import { commonUri, describeFiles, identityOf } from "./SourceFiles.ts"

/**
 * How the names of CSV files end.
 *
 * @internal
 */
export const csvExtensions: ReadonlyArray<string> = withCompressed([".csv", ".tsv", ".tab"])

/**
 * The options of `Source.csv`, with or without typed columns.
 *
 * @internal
 */
export interface AnyCsvOptions extends CsvOptions {
  readonly columns?: Schema.Constraint | undefined
}

const maxBatchRows = 5000
const maxBatchLength = 4 * 1024 * 1024

/** A column that is taken: how its cells become values. */
interface CellColumn extends Column {
  readonly read: CellReader | null
  readonly nullable: boolean
}

/** `positions` says which cell of a row is the value of each column. */
const transpose = (
  rows: ReadonlyArray<Cells>,
  from: number,
  to: number,
  rowsBefore: number,
  columns: ReadonlyArray<CellColumn>,
  positions: ReadonlyArray<number>,
  nulls: ReadonlySet<string>
): Batch => ({
  length: to - from,
  columns: columns.map(({ name, nullable, read }, j) => {
    const position = positions[j]!
    const values = new Array<unknown>(to - from)
    for (let i = from; i < to; i++) {
      const cell = rows[i]![position]!
      if (nulls.size > 0 && nulls.has(cell)) {
        if (!nullable) {
          throw new CsvFault("the cell is null, and the column's schema has no null", rowsBefore + i + 1, name)
        }
        values[i - from] = null
      } else if (read === null) {
        values[i - from] = cell
      } else {
        const value = read(cell)
        if (Result.isFailure(value)) {
          throw new CsvFault(`the cell does not decode: ${value.failure}`, rowsBefore + i + 1, name)
        }
        values[i - from] = value.success ?? null
      }
    }
    return values
  })
})

const isTextList = (value: unknown): boolean => Array.isArray(value) && value.every((text) => typeof text === "string")

const isCharacter = (value: unknown): value is string =>
  typeof value === "string" && value.length === 1 && !"\r\n\ufeff".includes(value)

/** What is wrong with the options that say how the text is written: what and where, or null. */
const dialectProblem = (options: AnyCsvOptions): readonly [path: string, message: string] | null => {
  const { comment, delimiter, escape, names, quote, skipLines } = options
  if (delimiter !== undefined && (!isCharacter(delimiter) || delimiter === "\"" || delimiter === quote)) {
    return ["delimiter", "give one character that is no quote and no line end"]
  }
  if (quote !== undefined && quote !== null && (!isCharacter(quote) || quote.trim() === "")) {
    return ["quote", "give one character that is no space and no line end, or null where no field is quoted"]
  }
  if (
    escape !== undefined &&
    (!isCharacter(escape) || escape === delimiter || escape.trim() === "" || quote === null)
  ) {
    return ["escape", "give one character that is no delimiter and no line end, of a file whose fields are quoted"]
  }
  if (
    comment !== undefined &&
    !(typeof comment === "string" && isCharacter(comment[0]) && !/[\r\n"]/.test(comment) && comment[0] !== delimiter &&
      comment[0] !== quote)
  ) {
    return ["comment", "give the text that lines to leave out begin with, such as \"#\", without quote or line end"]
  }
  if (skipLines !== undefined && !(Number.isSafeInteger(skipLines) && skipLines >= 0)) {
    return ["skipLines", "give the number of lines before the header"]
  }
  if (names !== undefined && !(isTextList(names) && names.length > 0 && !names.includes(""))) {
    return ["names", "give the names of all columns of a file that has no header line"]
  }
  return names !== undefined && new Set(names).size < names.length ? ["names", "name each column once"] : null
}

/**
 * Looks at the options, before any file is: what the compiler does not see in JavaScript, in a notebook, or behind a
 * cast.
 *
 * @internal
 */
export const checkCsvOptions = Effect.fnUntraced(function*(method: string, options: AnyCsvOptions) {
  if (typeof options !== "object" || options === null) return yield* invalidOption(method, "options", "give an object")
  if (options.nullValues !== undefined && !isTextList(options.nullValues)) {
    return yield* invalidOption(method, "nullValues", "give an array of texts, for example [\"\", \"NA\"]")
  }
  const wrong = dialectProblem(options)
  if (wrong !== null) return yield* invalidOption(method, ...wrong)
  const selection = selectionProblem(method, options)
  if (selection !== null) return yield* selection
  const { columns, select } = options
  const fields = columns === undefined ? [] : yield* declaredFields(method, columns)
  const readers = new Map<string, CellReader>()
  for (const field of fields) {
    const reader = makeReader(field)
    if (reader === null) {
      return yield* invalidOption(method, `columns.${field.name}`, "its schema has no text form; use one that decodes")
    }
    if (select === undefined || select.includes(field.name)) readers.set(field.name, reader)
  }
  return { fields, readers }
})

/** Where nothing else is said, fields are separated as the file's name says. */
const delimiterOf = (file: SourceFile, options: AnyCsvOptions): string =>
  options.delimiter ?? (/\.(tsv|tab)(\.gz|\.gzip|\.zst|\.zstd)?$/i.test(file.uri) ? "\t" : ",")

const dialectOf = (file: SourceFile, options: AnyCsvOptions): CsvDialect => {
  const quote = options.quote === undefined ? "\"" : options.quote
  return {
    delimiter: delimiterOf(file, options),
    quote,
    escape: quote === null ? null : options.escape ?? quote,
    comment: options.comment ?? null
  }
}

/** Rows that were parsed, and how many of a batch are no more than 4 MB. */
interface Parsed {
  readonly rows: ReadonlyArray<Cells>
  /** The byte from which the file is read to come to them. */
  readonly offset: number
  readonly perBatch: number
}

/** A file whose header has been read. */
interface OpenFile {
  readonly header: ReadonlyArray<string>
  /** The next rows; run again and again until it is done. */
  readonly next: Effect.Effect<Parsed, BatchError | Cause.Done>
  /** Runs what may throw a `CsvFault`. */
  readonly attempt: <A>(read: () => A) => Effect.Effect<A, BatchError>
}

/** Opens a file to read it on from `start`, or from its beginning. `limit` is how many of its rows are taken. */
const openFile = Effect.fnUntraced(function*(
  method: string,
  file: SourceFile,
  options: AnyCsvOptions,
  limit: number,
  start: Pick<Position, "offset" | "fileRow"> | null
): Effect.fn.Return<OpenFile, BatchError, Scope.Scope> {
  const { uri } = file
  const attempt = <A>(read: () => A): Effect.Effect<A, BatchError> =>
    Effect.try({
      try: read,
      catch: (cause) => {
        if (!(cause instanceof CsvFault)) {
          return invalidSource(method, "failed", "the file cannot be read", { uri, cause })
        }
        const place = { uri, row: cause.row ?? undefined, column: cause.column ?? undefined }
        return invalidSource(method, "malformed", cause.message, place)
      }
    }).pipe(
      // A file that is replaced while it is read may look malformed.
      Effect.catch((failure) => Effect.andThen(file.unchanged, Effect.fail(failure)))
    )

  const { names, skipLines } = options
  const parser = new CsvParser({
    ...dialectOf(file, options),
    names: names ?? null,
    skipLines: skipLines ?? 0,
    limit
  })
  const heading = yield* Scope.fork(yield* Scope.Scope)
  let pieces = yield* Scope.provide(Stream.toPull(contentOf(method, file)), heading)
  let ended = false
  let offset = 0
  const parsed = (rows: ReadonlyArray<Cells>): ReadonlyArray<Cells> => {
    offset = parser.parsedFrom
    return rows
  }
  const parseAll = (bytes: ReadonlyArray<Uint8Array>): ReadonlyArray<Cells> => {
    let rows: ReadonlyArray<Cells> = []
    for (const piece of bytes) rows = rows.length === 0 ? parsed(parser.push(piece)) : [...rows, ...parser.push(piece)]
    return rows
  }
  const parse: Effect.Effect<ReadonlyArray<Cells>, BatchError> = Effect.suspend(() =>
    pieces.pipe(
      Effect.flatMap((bytes) => attempt(() => parseAll(bytes))),
      Pull.catchDone(() => {
        ended = true
        return attempt(() => parsed(parser.end()))
      })
    )
  )
  let rows: ReadonlyArray<Cells> = []
  while (!(start === null ? parser.header !== null : parser.isSettled) && !ended) rows = yield* parse
  if (parser.header === null) {
    return yield* invalidSource(method, "empty", "the file is empty: it has no header line", { uri })
  }
  if (start !== null) {
    yield* Scope.close(heading, Exit.void)
    rows = []
    ended = false
    parser.goOn(start.offset, start.fileRow)
    pieces = yield* Stream.toPull(contentFrom(method, file, start.offset))
  }
  const next = Effect.gen(function*() {
    while (rows.length === 0) {
      if (ended) return yield* Cause.done()
      if (parser.full) {
        // What is not read to its end may have changed all the same.
        yield* file.unchanged
        return yield* Cause.done()
      }
      rows = yield* parse
    }
    const parsed = rows
    rows = []
    const fitting = Math.floor(parsed.length * maxBatchLength / Math.max(1, parser.parsedLength))
    return { rows: parsed, offset, perBatch: Math.max(1, Math.min(maxBatchRows, fitting)) }
  })
  return { header: parser.header, next, attempt }
})

const named = (names: ReadonlyArray<string>): string => names.map((name) => JSON.stringify(name)).join(", ")

/** How the columns of a later file differ from those of the first, or null. */
const difference = (first: OpenFile, later: OpenFile): string | null => {
  const names = new Set(later.header)
  const missing = first.header.filter((name) => !names.has(name))
  if (missing.length > 0) return `lacks the columns ${named(missing)}`
  const known = new Set(first.header)
  const extra = later.header.filter((name) => !known.has(name))
  return extra.length > 0 ? `has the columns ${named(extra)} besides` : null
}

/**
 * Opens CSV files as one table: the first file's columns, in its order; every other file has the same ones, in any
 * order.
 *
 * @internal
 */
export const openCsv = Effect.fnUntraced(function*(
  method: string,
  files: ReadonlyArray<SourceFile>,
  options: AnyCsvOptions
): Effect.fn.Return<OpenSource, BatchError, Scope.Scope> {
  const { fields, readers } = yield* checkCsvOptions(method, options)
  const [firstFile] = files
  if (firstFile === undefined) return yield* invalidOption(method, "location", "give at least one location")
  for (const file of files) {
    const clash = dialectProblem({ ...options, delimiter: delimiterOf(file, options) })
    if (clash !== null) return yield* invalidOption(method, ...clash)
  }
  const { limit } = options
  const most = limit ?? Number.POSITIVE_INFINITY
  const scope = yield* Scope.fork(yield* Scope.Scope)
  const first = yield* Scope.provide(openFile(method, firstFile, options, most, null), scope)
  const missing = fields.map((field) => field.name).filter((name) => !first.header.includes(name))
  if (missing.length > 0) return yield* missingColumns(method, firstFile.uri, missing, first.header)
  const selected = yield* selectedPositions(method, firstFile.uri, first.header, options.select)
  const typed = new Map(fields.map((field) => [field.name, field]))
  const columns = selected.map((position): CellColumn => {
    const name = first.header[position]!
    const field = typed.get(name)
    return {
      name,
      type: field?.type ?? "string",
      read: readers.get(name) ?? null,
      nullable: field?.nullable ?? true
    }
  })
  const nulls = new Set(options.nullValues)

  /** Rows of the source that were read. */
  let row = 0
  const batchesOf = ({ attempt, header, next }: OpenFile, file: number, fileRow: number): Stream.Stream<Batch, BatchError> => {
    const positions = columns.map(({ name }) => header.indexOf(name))
    const { identity } = files[file]!
    let rowsBefore = fileRow
    const batches = Effect.flatMap(next, ({ offset, perBatch, rows }) =>
      attempt(() => {
        const position: Position = offset === 0
          ? { file, identity, offset, fileRow: 0, row: row - rowsBefore }
          : { file, identity, offset, fileRow: rowsBefore, row }
        const cut = (from: number): Batch => ({
          ...transpose(rows, from, Math.min(rows.length, from + perBatch), rowsBefore, columns, positions, nulls),
          position
        })
        const batches: [Batch, ...Array<Batch>] = [cut(0)]
        for (let from = perBatch; from < rows.length; from += perBatch) batches.push(cut(from))
        rowsBefore += rows.length
        row += rows.length
        return batches
      }))
    return Stream.fromPull(Effect.succeed(batches))
  }
  const openLater = Effect.fnUntraced(function*(index: number, start: Position | null) {
    const before = start === null ? row : start.row - start.fileRow
    if (before === most) return Stream.empty
    const file = files[index]!
    const opened = yield* openFile(method, file, options, most - before, start)
    const differs = difference(first, opened)
    if (differs === null) return batchesOf(opened, index, start?.fileRow ?? 0)
    const message = `the file ${differs}; all files must have the columns of ${firstFile.uri}`
    return yield* invalidSource(method, "malformed", message, { uri: file.uri })
  })
  const filesFrom = (from: number) =>
    Stream.fromIterable([...files.keys()].slice(from), { chunkSize: 1 }).pipe(
      Stream.flatMap((index) => Stream.unwrap(openLater(index, null)))
    )
  const from = (position: Position): Stream.Stream<Batch, BatchError> =>
    Stream.unwrap(Effect.gen(function*() {
      yield* Scope.close(scope, Exit.void)
      row = position.row
      const opened = openLater(position.file, position.offset === 0 ? null : position)
      return Stream.concat(Stream.unwrap(opened), filesFrom(position.file + 1))
    }))
  const delimiters = files.map((file) => delimiterOf(file, options))
  const { comment, escape, quote } = dialectOf(firstFile, options)
  const schemas = yield* describeFields(fields)
  const settings = {
    delimiter: new Set(delimiters).size === 1 ? delimiters[0]! : delimiters,
    quote,
    escape,
    comment,
    skipLines: options.skipLines ?? 0,
    names: options.names ?? null,
    nullValues: [...nulls].sort(),
    select: options.select ?? null,
    limit: limit ?? null
  }
  return {
    columns: columns.map(({ name, type }) => ({ name, type })),
    count: null,
    uri: commonUri(files),
    identity: JSON.stringify({ type: "csv", files: identityOf(files), ...settings, columns: schemas }),
    description: { type: "csv", files: describeFiles(files), ...settings },
    batches: Stream.concat(batchesOf(first, 0, 0), filesFrom(1)),
    from
  }
})
