/**
 * Reads files of JSON Lines, wherever they lie, as one table.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BatchError } from "../../BatchError.ts"
import type { Batch } from "../../internal/Batch.ts"
import type { Field } from "../../internal/ColumnsOf.ts"
import { LineSplitter } from "../../internal/Lines.ts"
import type { JsonlOptions } from "../Jsonl.ts"
import type { OpenSource } from "../Source.ts"
import { declaredFields, describeFields } from "./DeclaredColumns.ts"
import { contentFrom, withCompressed } from "./Decompress.ts"
import { invalidOption, invalidSource, missingColumns } from "./Failures.ts"
import { type JsonColumn, JsonColumnFinder, JsonRowReader } from "./JsonRows.ts"
import { makeJsonReader } from "./JsonValues.ts"
import type { Position } from "./Position.ts"
import { RowFault } from "./RowReader.ts"
import { selectionProblem } from "./Selected.ts"
import type { SourceFile } from "./SourceFile.ts"
import { commonUri, describeFiles, identityOf } from "./SourceFiles.ts"

/**
 * How the names of files of JSON Lines end.
 *
 * @internal
 */
export const jsonlExtensions: ReadonlyArray<string> = withCompressed([".jsonl", ".ndjson", ".json"])

/**
 * The options of `Source.jsonl`, with or without typed columns.
 *
 * @internal
 */
export interface AnyJsonlOptions extends JsonlOptions {
  readonly columns?: Schema.Constraint | undefined
}

const maxLineBytes = 64 * 1024 * 1024
const chunkBytes = 256 * 1024
const maxBatchRows = 5000
const maxBatchBytes = 4 * 1024 * 1024
const lookAtRows = 1000
const lookOnRows = 10_000
const lookOnBytes = 64 * 1024 * 1024

/**
 * Looks at the options, before any file is: what the compiler does not see in JavaScript, in a notebook, or behind a
 * cast. Gives the columns that are declared and taken.
 *
 * @internal
 */
export const checkJsonlOptions = Effect.fnUntraced(function*(method: string, options: AnyJsonlOptions) {
  if (typeof options !== "object" || options === null) return yield* invalidOption(method, "options", "give an object")
  const selection = selectionProblem(method, options)
  if (selection !== null) return yield* selection
  const { columns, select } = options
  if (columns === undefined) return null
  const fields = yield* declaredFields(method, columns)
  const names = fields.map(({ name }) => name)
  const missing = (select ?? []).filter((name) => !names.includes(name))
  if (missing.length > 0) return yield* missingColumns(method, null, missing, names, "select")
  const declared: Array<JsonColumn & { readonly field: Field }> = []
  for (const name of select ?? names) {
    const field = fields[names.indexOf(name)]!
    const read = makeJsonReader(field)
    if (read === null) {
      return yield* invalidOption(method, `columns.${name}`, "its schema has no JSON form; use one that decodes")
    }
    declared.push({ name, type: field.type, field, read })
  }
  return declared
})

/** Where the lines of a file are read from. */
type Start = Pick<Position, "offset" | "fileRow">

const beginning: Start = { offset: 0, fileRow: 0 }

/** Lines of one file that are not blank; a row each. */
interface Lines {
  readonly file: SourceFile
  /** Which of the source's files. */
  readonly index: number
  /** The byte of its content at which they, or blank lines before them, begin. */
  readonly offset: number
  readonly lines: ReadonlyArray<Buffer>
  /** How many rows of the file come before. */
  readonly rowsBefore: number
}

const isBlank = (line: Buffer): boolean => {
  for (const byte of line) if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false
  return true
}

const withoutMark = (line: Buffer): Buffer =>
  line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf ? line.subarray(3) : line

/** The lines of a file, some hundred kilobytes at a time. */
const linesOf = (
  method: string,
  file: SourceFile,
  index: number,
  { fileRow, offset: start }: Start
): Stream.Stream<Lines, BatchError> =>
  Stream.unwrap(Effect.map(Stream.toPull(contentFrom(method, file, start)), (pieces) => {
    const splitter = new LineSplitter(maxLineBytes)
    let rowsBefore = fileRow
    let end = start
    let started = start > 0
    let ended = false
    const rowsAmong = (found: Array<Buffer>): Array<Buffer> => {
      if (!started && found.length > 0) {
        started = true
        found[0] = withoutMark(found[0]!)
      }
      const mayBeBlank = found.some((line) => line.length === 0 || line[0]! <= 0x20)
      return mayBeBlank ? found.filter((line) => !isBlank(line)) : found
    }
    const next = Effect.gen(function*() {
      let lines: Array<Buffer> = []
      let bytes = 0
      const offset = end - splitter.unfinished
      while ((lines.length === 0 || (bytes < chunkBytes && lines.length < maxBatchRows)) && !ended) {
        const found = yield* pieces.pipe(
          Effect.map((taken) => {
            for (const piece of taken) bytes += piece.length
            return taken.length === 1 ? splitter.push(taken[0]) : taken.flatMap((piece) => splitter.push(piece))
          }),
          Pull.catchDone(() => {
            ended = true
            return Effect.succeed(splitter.end())
          })
        )
        const rows = rowsAmong(found)
        if (splitter.tooLong !== null) {
          const whole = rows.findIndex((line) => line.length > maxLineBytes)
          const row = rowsBefore + lines.length + (whole < 0 ? rows.length : whole) + 1
          return yield* invalidSource(
            method,
            "malformed",
            `the line is longer than ${maxLineBytes} bytes; a file of JSON Lines has one object a line`,
            { uri: file.uri, row }
          )
        }
        if (lines.length === 0) lines = rows
        else { for (const row of rows) lines.push(row) }
      }
      if (lines.length === 0) return yield* Cause.done()
      end += bytes
      const read: Lines = { file, index, offset, lines, rowsBefore }
      rowsBefore += lines.length
      return [read] as const
    })
    return Stream.fromPull(Effect.succeed(next))
  }))

/** What is wrong with a key that is no column, or null where such keys are left out. */
const othersOf = ({ columns, select }: AnyJsonlOptions): string | null =>
  select !== undefined
    ? null
    : columns === undefined
    ? "the key first appears after the lines from which the columns were found; declare `columns`, or name the " +
      "columns to take in `select`"
    : "the line has a key that `columns` does not declare; declare it, or name the columns to take in `select`"

/** Runs what may throw a `RowFault` about a row of the file. */
const attempt = <A>(method: string, file: SourceFile, read: () => A): Effect.Effect<A, BatchError> =>
  Effect.try({
    try: read,
    catch: (cause) =>
      cause instanceof RowFault
        ? invalidSource(method, "malformed", cause.message, {
          uri: file.uri,
          row: cause.row,
          column: cause.column ?? undefined
        })
        : invalidSource(method, "failed", "the file cannot be read", { uri: file.uri, cause })
  }).pipe(
    // A file that is replaced while it is read may look malformed.
    Effect.catch((failure) => Effect.andThen(file.unchanged, Effect.fail(failure)))
  )

/** The next lines, or null after the last. */
type Next = Effect.Effect<Lines | null, BatchError>

/** Lines that were read to find the columns, and are given once more. */
class LookedAt {
  private readonly held: Array<Lines> = []
  private readonly pull: Next

  constructor(pull: Next) {
    this.pull = pull
  }

  readonly look: Next = Effect.suspend(() =>
    Effect.map(this.pull, (lines) => {
      if (lines !== null) this.held.push(lines)
      return lines
    }))

  readonly next: Next = Effect.suspend(() => {
    const first = this.held.shift()
    return first === undefined ? this.pull : Effect.succeed(first)
  })
}

const findColumns = Effect.fnUntraced(function*(
  method: string,
  uri: string | null,
  look: Next,
  { limit = Number.POSITIVE_INFINITY, select }: AnyJsonlOptions
) {
  const finder = new JsonColumnFinder()
  let rows = 0
  let bytes = 0
  const goesOn = (): boolean =>
    rows < limit && bytes < lookOnBytes && (rows < lookAtRows || (rows < lookOnRows && !finder.settled(select)))
  while (goesOn()) {
    const found = yield* look
    if (found === null) break
    const { file, lines, rowsBefore } = found
    yield* attempt(method, file, () => {
      for (let i = 0; i < lines.length && goesOn(); i++) {
        finder.add(lines[i]!, { uri: file.uri, row: rowsBefore + i + 1 })
        rows++
        bytes += lines[i]!.length
      }
    })
  }
  const { names } = finder
  if (names.length === 0) {
    const what = rows === 0 ? "there are no lines" : "the first lines have no keys"
    return yield* invalidSource(method, "empty", `${what}, so no columns are known; declare \`columns\``, { uri })
  }
  const missing = (select ?? []).filter((name) => !names.includes(name))
  if (missing.length > 0) return yield* missingColumns(method, uri, missing, names, "select")
  const columns: Array<JsonColumn> = []
  for (const name of select ?? names) {
    const type = finder.typeOf(name)
    if (typeof type !== "string") {
      return yield* invalidSource(
        method,
        "malformed",
        "the integer has more digits than a number holds, beside numbers that are no integers of 64 bits; declare " +
          "`columns`, where `Schema.Number` takes the nearest number, or leave the column out with `select`",
        { ...type, column: name }
      )
    }
    columns.push({ name, type, field: null, read: null })
  }
  return columns
})

/** Lines as batches of at most 5,000 rows and about 4 MB. */
const batchesOf = (reader: JsonRowReader, { lines, rowsBefore }: Lines, position: Position): Array<Batch> => {
  const batches: Array<Batch> = []
  for (let from = 0; from < lines.length;) {
    let to = from
    for (let bytes = 0; to < lines.length && to - from < maxBatchRows && bytes < maxBatchBytes; to++) {
      bytes += lines[to]!.length
    }
    batches.push({ ...reader.read(lines, from, to, rowsBefore), position })
    from = to
  }
  return batches
}

/**
 * Opens files of JSON Lines as one table.
 *
 * @internal
 */
export const openJsonl = Effect.fnUntraced(function*(
  method: string,
  files: ReadonlyArray<SourceFile>,
  options: AnyJsonlOptions
): Effect.fn.Return<OpenSource, BatchError, Scope.Scope> {
  const declared = yield* checkJsonlOptions(method, options)
  const uri = commonUri(files)
  const linesFrom = (first: number, start: Start): Effect.Effect<Next, never, Scope.Scope> =>
    Stream.fromIterable([...files.entries()].slice(first), { chunkSize: 1 }).pipe(
      Stream.flatMap(([index, file]) => linesOf(method, file, index, index === first ? start : beginning)),
      Stream.toPull,
      Effect.map((pull) =>
        pull.pipe(
          Effect.map(([lines]): Lines | null => lines),
          Pull.catchDone(() => Effect.succeed(null))
        )
      )
    )
  const lines = new LookedAt(yield* linesFrom(0, beginning))
  const columns = declared ?? (yield* findColumns(method, uri, lines.look, options))
  const reader = new JsonRowReader(columns, othersOf(options))
  const { limit, select } = options
  const batches = (next: Next, rowsBefore: number): Stream.Stream<Batch, BatchError> => {
    let row = rowsBefore
    let left = (limit ?? Number.POSITIVE_INFINITY) - rowsBefore
    let reading: SourceFile | null = null
    return Stream.fromPull(Effect.succeed(Effect.gen(function*() {
      if (left === 0) {
        // What is not read to its end may have changed all the same.
        if (reading !== null) yield* reading.unchanged
        return yield* Cause.done()
      }
      const read = yield* next
      reading = read?.file ?? null
      if (read === null) return yield* Cause.done()
      const taken = { ...read, lines: read.lines.slice(0, left) }
      const { index: file, offset, rowsBefore: fileRow } = read
      const position: Position = { file, identity: read.file.identity, offset, fileRow, row }
      row += taken.lines.length
      left -= taken.lines.length
      const [first, ...others] = yield* attempt(method, read.file, () => batchesOf(reader, taken, position))
      return [first!, ...others] as const
    })))
  }
  const settings = { select: select ?? null, limit: limit ?? null }
  const fields = declared === null ? null : yield* describeFields(declared.map(({ field }) => field))
  return {
    columns: columns.map(({ name, type }) => ({ name, type })),
    count: null,
    uri,
    identity: JSON.stringify({ type: "jsonl", files: identityOf(files), ...settings, columns: fields }),
    description: { type: "jsonl", files: describeFiles(files), ...settings },
    batches: batches(lines.next, 0),
    from: (position) =>
      Stream.unwrap(Effect.map(linesFrom(position.file, position), (next) => batches(next, position.row)))
  }
})
