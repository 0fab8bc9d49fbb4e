/**
 * Parquet files as a source: footers first, then the rows of one row group after another, page by page.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BatchError } from "../../BatchError.ts"
import type { Column, ColumnType } from "../../Column.ts"
import type { Batch } from "../../internal/Batch.ts"
import type { OpenSource } from "../Source.ts"
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
import { type ChunkBytes, type Fetching, GroupBytes, makeFetching } from "./ParquetBytes.ts"
import { type Decompress, makeDecompress } from "./ParquetCodecs.ts"
import { ColumnReader } from "./ParquetColumn.ts"
import { ParquetFault } from "./ParquetFault.ts"
import {
  type Footer,
  listKey,
  type ParseMetadata,
  parseFooter,
  readFooterBytes,
  type RowGroup
} from "./ParquetFooter.ts"
import { makeScratch, type Scratch } from "./ParquetPage.ts"
import { type ColumnPlan, planColumn } from "./ParquetRows.ts"
import { structEnd } from "./ParquetThrift.ts"
import { type Node, typeOf } from "./ParquetTree.ts"
import { fits } from "./ParquetTypes.ts"
import type { Position } from "./Position.ts"
import type { SourceFile } from "./SourceFile.ts"
import { commonUri, describeFiles, identityOf } from "./SourceFiles.ts"

/** What is loaded when a first file is read. */
interface Library {
  readonly parseMetadata: ParseMetadata
  readonly parseHeader: (typeof import("hyparquet/src/column.js"))["parquetHeader"]
  readonly decompress: Decompress
  readonly scratch: Scratch
}

const loadLibrary: Effect.Effect<Library> = Effect.promise(async () => {
  const [hyparquet, column, { compressors }] = await Promise.all([
    import("hyparquet"),
    import("hyparquet/src/column.js"),
    import("hyparquet-compressors")
  ])
  return {
    parseMetadata: hyparquet.parquetMetadata,
    parseHeader: column.parquetHeader,
    decompress: makeDecompress(compressors),
    scratch: makeScratch()
  }
})

/** Bytes that a column may add to a batch that is full. */
const leastBytes = 64 * 1024
const footersAtOnce = 8
/** Pages that are in memory as a whole: all of them together, and each. */
const allWholeBytes = 64 * 1024 * 1024
const mostWholeBytes = 16 * 1024 * 1024
const leastWholeBytes = 1024 * 1024
const maxHeaderBytes = 16 * 1024 * 1024

const attempt = (method: string, uri: string) => <A>(run: () => A): Effect.Effect<A, BatchError> =>
  Effect.try({ try: run, catch: (error) => failure(method, uri, error) })

const failure = (method: string, uri: string, error: unknown): BatchError => {
  const fault = error instanceof ParquetFault
    ? error
    : new ParquetFault("the file is damaged and cannot be decoded", {}, error)
  const { column, group, row } = fault.place
  const message = group === undefined ? fault.message : `row group ${group}: ${fault.message}`
  return invalidSource(method, "malformed", message, { uri, row, column, cause: fault.cause })
}

/** A file with the columns that are read of it. */
interface Table {
  readonly file: SourceFile
  readonly footer: Omit<Footer, "groups">
  readonly nodes: ReadonlyArray<Node>
  readonly groups: ReadonlyArray<RowGroup>
}

const loadFooter = Effect.fnUntraced(function*(method: string, file: SourceFile, { parseMetadata }: Library) {
  const run = attempt(method, file.uri)
  const read = Effect.gen(function*() {
    const bytes = yield* readFooterBytes(file, run)
    return yield* run(() => parseFooter(bytes, file.size, parseMetadata))
  })
  return yield* orChanged(file, read)
})

const tableOf = Effect.fnUntraced(function*(
  method: string,
  file: SourceFile,
  { groups, ...footer }: Footer,
  names: ReadonlyArray<string>
) {
  const byName = new Map(footer.tree.columns.map((node) => [node.name, node]))
  const nodes = names.map((name) => byName.get(name)!)
  const table: Table = { file, footer, nodes, groups: yield* attempt(method, file.uri)(() => groups(nodes)) }
  return table
})

const namesIn = ({ tree }: Footer): ReadonlyArray<string> => tree.columns.map(({ name }) => name)

/** The files with the chosen columns, or with all columns of the first file, in its order. */
const readTables = Effect.fnUntraced(function*(
  method: string,
  files: ReadonlyArray<SourceFile>,
  chosen: ReadonlyArray<string> | null,
  option: string,
  library: Library
) {
  const [first, ...others] = files
  if (first === undefined) return yield* invalidSource(method, "empty", "there are no files", { uri: null })
  const footer = yield* loadFooter(method, first, library)
  const available = namesIn(footer)
  const names = yield* takenNames(method, first.uri, available, chosen, option)
  const head = yield* tableOf(method, first, footer, names)
  const rest = yield* Effect.forEach(others, (file) =>
    Effect.gen(function*() {
      const footer = yield* loadFooter(method, file, library)
      const problem = namesProblem(method, file.uri, namesIn(footer), names, chosen, first.uri)
      if (problem !== null) return yield* problem
      return yield* tableOf(method, file, footer, names)
    }), { concurrency: footersAtOnce })
  return [head, ...rest] as const
})

/**
 * The types of a file's columns: as the file carries them, where it is one of ours, or as Parquet has them; null for
 * those that hold nulls alone.
 */
const typesOf = ({ footer, nodes }: Table, sparse: ReadonlySet<string>): ReadonlyArray<ColumnType | null> => {
  const stored = new Map(footer.stored.map(({ name, type }) => [name, type]))
  return nodes.map((node) => {
    if (node.kind === "leaf" && node.nothing) return null
    const found = typeOf(node, (place) => !sparse.has(listKey(node.name, place)))
    const carried = stored.get(node.name)
    return carried !== undefined && fits(carried, found) && planColumn(node, carried) !== null ? carried : found
  })
}

/** A row group that is still to be read, and how many of its rows. */
interface Work {
  readonly table: Table
  readonly plans: ReadonlyArray<ColumnPlan>
  readonly group: RowGroup
  /** From 1 in its file. */
  readonly number: number
  /** The first row in its file, from 1. */
  readonly firstRow: number
  readonly rows: number
  /** Whether it is the last of its file that is read. */
  readonly last: boolean
  readonly position: Position
}

/** The row groups from `start` on. */
function* workOf(
  tables: ReadonlyArray<Table>,
  types: ReadonlyArray<ColumnType>,
  limit: number,
  start: Pick<Position, "file" | "offset" | "row">
): Generator<Work, void, void> {
  let left = limit - start.row
  if (left === 0) return
  for (const [file, table] of tables.entries()) {
    if (file < start.file) continue
    const plans = table.nodes.map((node, j) => planColumn(node, types[j]!)!)
    const lastGroup = table.groups.findLastIndex((group) => group.rows > 0)
    let firstRow = 1
    for (const [i, group] of table.groups.entries()) {
      if (file > start.file || i >= start.offset) {
        const rows = Math.min(left, group.rows)
        const fileRow = firstRow - 1
        const position = { file, identity: table.file.identity, offset: i, fileRow, row: limit - left }
        left -= rows
        const last = left === 0 || i === lastGroup
        if (rows > 0) yield { table, plans, group, number: i + 1, firstRow, rows, last, position }
        if (left === 0) return
      }
      firstRow += group.rows
    }
  }
}

/** A row group that is being read. */
class OpenGroup {
  readonly work: Work
  private readonly method: string
  private readonly bytes: GroupBytes
  private readonly library: Library
  private readonly readers: ReadonlyArray<ColumnReader>
  private readonly takes: ReadonlyArray<(rows: number) => ReadonlyArray<unknown>>
  private readonly run: <A>(run: () => A) => Effect.Effect<A, BatchError>
  private read = 0
  /** Rows of the batch before: the next one will hardly have many more. */
  private before = batchRows

  constructor(method: string, work: Work, bytes: GroupBytes, library: Library) {
    const { firstRow, group, number, plans, table } = work
    this.method = method
    this.work = work
    this.bytes = bytes
    this.library = library
    this.run = attempt(method, table.file.uri)
    const leaves = plans.flatMap((plan) => plan.leaves)
    const wholePageBytes = Math.min(mostWholeBytes, Math.max(leastWholeBytes, allWholeBytes / leaves.length))
    const tools = { ...library, wholePageBytes }
    this.readers = leaves.map((leaf, j) =>
      new ColumnReader(leaf, group.chunks[j]!, tools, { group: number, row: firstRow })
    )
    let at = 0
    this.takes = plans.map((plan) => plan.take(this.readers.slice(at, at += plan.leaves.length)))
  }

  get rowsLeft(): number {
    return this.work.rows - this.read
  }

  /** The first row of the next batch, from 1 in the file. */
  get firstRow(): number {
    return this.work.firstRow + this.read
  }

  /** Starts to fetch what is to come; true when nothing of this row group is left to start. */
  ahead(): Effect.Effect<boolean> {
    return this.bytes.ahead()
  }

  next(): Effect.Effect<Batch, BatchError> {
    return Effect.gen({ self: this }, function*() {
      let rows = Math.min(batchRows, this.rowsLeft, this.before * 2)
      let budget = batchBytes
      for (const [j, reader] of this.readers.entries()) {
        while (!(yield* this.run(() => reader.fill(rows, Math.max(budget, leastBytes))))) yield* this.nextPage(j)
        const { bytes, rows: filled } = reader
        if (filled === 0) {
          return yield* this.run(() => {
            throw reader.fault(new ParquetFault("the column has fewer rows than its row group"))
          })
        }
        rows = Math.min(rows, filled)
        budget -= (bytes * rows) / filled
      }
      const columns = yield* this.run(() => this.takes.map((take) => take(rows)))
      this.read += rows
      this.before = rows
      return { length: rows, columns }
    })
  }

  /** Fails where the group has more rows than it says; lets go of its bytes. */
  close(): Effect.Effect<void, BatchError> {
    return Effect.gen({ self: this }, function*() {
      if (this.work.rows === this.work.group.rows) {
        for (const [j, reader] of this.readers.entries()) {
          while (reader.hasPieces) yield* this.nextPiece(j)
          yield* this.run(() => {
            if (reader.rows === 0 && reader.ended) return
            throw reader.fault(new ParquetFault("the column has more rows than its row group"))
          })
        }
      }
      for (const reader of this.readers) reader.close()
      for (const chunk of this.bytes.chunks) chunk.close()
    })
  }

  /** Takes up a page, or a piece of a large one. */
  private nextPage(j: number): Effect.Effect<void, BatchError> {
    const bytes = this.bytes.chunks[j]!
    const reader = this.readers[j]!
    if (reader.hasPieces) return this.nextPiece(j)
    return Effect.gen({ self: this }, function*() {
      const headerBytes = yield* this.headerOf(bytes, reader)
      const header = yield* this.run(() => {
        const view = new DataView(headerBytes.buffer, headerBytes.byteOffset, headerBytes.byteLength)
        const header = this.library.parseHeader({ view, offset: 0 })
        bytes.pass(headerBytes.length)
        const size = header.compressed_page_size
        if (!(Number.isSafeInteger(size) && size >= 0 && size <= bytes.end - bytes.at)) {
          throw reader.fault(new ParquetFault("a page is longer than its column"))
        }
        return header
      })
      const levels = yield* this.run(() => reader.beginPieces(header))
      const size = levels ?? header.compressed_page_size
      const body = bytes.get(size) ?? (yield* bytes.load(size))
      yield* this.run(() => (levels === null ? reader.accept(header, body) : reader.acceptLevels(body)))
      bytes.pass(size)
    })
  }

  private nextPiece(j: number): Effect.Effect<void, BatchError> {
    const bytes = this.bytes.chunks[j]!
    const reader = this.readers[j]!
    return Effect.gen({ self: this }, function*() {
      for (;;) {
        const taken = yield* this.run(() => reader.takePiece())
        const piece = taken instanceof Promise
          ? yield* Effect.tryPromise({ try: () => taken, catch: (error) => this.failure(reader.fault(error)) })
          : taken
        if (yield* this.run(() => reader.acceptPiece(piece))) return
        const available = bytes.peek()
        if (available.length === 0 && reader.compressedLeft > 0) yield* bytes.load(1)
        else bytes.pass(reader.give(available))
      }
    })
  }

  private failure(error: unknown): BatchError {
    return failure(this.method, this.work.table.file.uri, error)
  }

  private headerOf(bytes: ChunkBytes, reader: ColumnReader): Effect.Effect<Buffer, BatchError> {
    return Effect.gen({ self: this }, function*() {
      const left = bytes.end - bytes.at
      let some = bytes.peek()
      for (;;) {
        const end = yield* this.run(() => {
          try {
            const end = structEnd(some, 0)
            if (end !== null) return end
            if (some.length < left && some.length < maxHeaderBytes) return null
            throw new ParquetFault(
              left === 0 ? "the column ends before its last row" : "the column ends within the header of a page"
            )
          } catch (error) {
            throw reader.fault(error)
          }
        })
        if (end !== null) return some.subarray(0, end)
        const wanted = Math.min(left, Math.max(some.length * 4, 4096))
        some = bytes.get(wanted) ?? (yield* bytes.load(wanted))
      }
    })
  }
}

const batchesOf = (
  method: string,
  works: Iterator<Work>,
  checks: ReadonlyArray<ColumnCheck>,
  library: Library,
  fetching: Fetching
): Stream.Stream<Batch, BatchError> => {
  const next = () => {
    const { done, value } = works.next()
    if (done === true) return null
    const { group, rows, table } = value
    return { work: value, bytes: new GroupBytes(table.file, group.chunks, rows / group.rows, fetching) }
  }
  let following = next()
  let open: OpenGroup | null = null
  return Stream.fromPull(Effect.succeed(Effect.gen(function*() {
    if (open === null) {
      if (following === null) return yield* Cause.done()
      open = new OpenGroup(method, following.work, following.bytes, library)
      following = next()
    }
    const group: OpenGroup = open
    const { last, position, table: { file, nodes } } = group.work
    const read = Effect.gen(function*() {
      if ((yield* group.ahead()) && following !== null) yield* following.bytes.ahead()
      const { firstRow } = group
      const batch = yield* group.next()
      const problem = batchProblem(method, file.uri, nodes, checks, batch, firstRow)
      if (problem !== null) return yield* problem
      if (group.rowsLeft > 0) return batch
      yield* group.close()
      open = null
      return batch
    })
    const batch = yield* orChanged(file, read)
    if (last && open === null) yield* file.unchanged
    return [{ ...batch, position }] as const
  })))
}

/**
 * Opens Parquet files as one source. `method` is the source that asks, for messages.
 *
 * @internal
 */
export const openParquet: (
  method: string,
  files: ReadonlyArray<SourceFile>,
  options: AnyFileOptions
) => Effect.Effect<OpenSource, BatchError, Scope.Scope> = Effect.fnUntraced(
  function*(method: string, files: ReadonlyArray<SourceFile>, options: AnyFileOptions) {
    const { fields, names, schemas } = yield* checkFileOptions(method, options)
    const library = yield* loadLibrary
    const tables = yield* readTables(method, files, names, fields === null ? "select" : "columns", library)
    const { nodes } = tables[0]
    const sparse = new Set(tables.flatMap(({ footer }) => [...footer.sparse]))
    const found = yield* commonTypes(
      method,
      nodes.map(({ name }) => name),
      tables.map((table) => ({ uri: table.file.uri, types: typesOf(table, sparse) }))
    )
    const uri = commonUri(files)
    const { checks, types } = yield* declareTypes(method, uri, fields, found, (column, type) =>
      tables.every(({ nodes }) => planColumn(nodes[column]!, type) !== null))
    const limit = options.limit ?? Infinity
    const rows = tables.reduce((sum, { footer }) => sum + footer.rows, 0)
    const count = Math.min(rows, limit)
    const fetching = yield* makeFetching
    const from = (start: Pick<Position, "file" | "offset" | "row">) =>
      Stream.suspend(() => batchesOf(method, workOf(tables, types, count, start), checks, library, fetching))
    const chosen = { select: names, limit: options.limit ?? null }
    const opened: OpenSource = {
      columns: nodes.map(({ name }, j): Column => ({ name, type: types[j]! })),
      count,
      uri,
      identity: JSON.stringify({ type: "parquet", files: identityOf(files), columns: schemas, ...chosen }),
      description: { type: "parquet", files: describeFiles(files), ...chosen },
      batches: from({ file: 0, offset: 0, row: 0 }),
      from
    }
    return opened
  }
)
