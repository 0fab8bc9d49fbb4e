/**
 * CSV files as sources.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { BatchError } from "../BatchError.ts"
import type { Column } from "../Column.ts"
import type { Batch } from "../internal/Batch.ts"
import { type Field, fieldsOf } from "../internal/ColumnsOf.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"
import { type CellReader, makeReader } from "./internal/CellReader.ts"
import { type Cells, CsvFault, CsvParser } from "./internal/CsvParser.ts"
import { invalidOption, invalidSource, missingColumns } from "./internal/Failures.ts"
import { sourceOf } from "./internal/SourceOf.ts"
import * as Location from "./Location.ts"
import type { OpenSource, Source, UntypedRow } from "./Source.ts"

/**
 * How a CSV is read.
 *
 * @since 0.1.0
 * @category models
 */
export interface CsvOptions {
  /** The character between fields; `"\t"` for a TSV. Default: a comma. */
  readonly delimiter?: string | undefined
  /** The texts that mean null, compared with the whole cell. Default: none, so an empty cell is the empty string. */
  readonly nullValues?: ReadonlyArray<string> | undefined
}

/**
 * How a CSV with typed columns is read.
 *
 * @since 0.1.0
 * @category models
 */
export interface TypedCsvOptions<Row extends object> extends CsvOptions {
  /**
   * A `Schema.Struct` with one property for each column that is not text. Its cells are decoded with
   * `Schema.toCodecStringTree`; structured values and vectors are read as JSON text.
   */
  readonly columns: Schema.ConstraintDecoder<Row>
}

const maxBatchRows = 5000

/** A column of the file: how its cells become values. */
interface CellColumn extends Column {
  readonly read: CellReader | null
  readonly nullable: boolean
}

const transpose = (
  rows: ReadonlyArray<Cells>,
  firstRow: number,
  columns: ReadonlyArray<CellColumn>,
  nulls: ReadonlySet<string>
): Batch => ({
  length: rows.length,
  columns: columns.map(({ name, nullable, read }, j) => {
    const values = new Array<unknown>(rows.length)
    for (let i = 0; i < rows.length; i++) {
      const cell = rows[i]![j]!
      if (nulls.size > 0 && nulls.has(cell)) {
        if (!nullable) throw new CsvFault("the cell is null, and the column's schema has no null", firstRow + i, name)
        values[i] = null
      } else if (read === null) {
        values[i] = cell
      } else {
        const value = read(cell)
        if (Result.isFailure(value)) {
          throw new CsvFault(`the cell does not decode: ${value.failure}`, firstRow + i, name)
        }
        values[i] = value.success ?? null
      }
    }
    return values
  })
})

const jsonSchemaOf = (field: Field): Effect.Effect<Schema.Json> =>
  Effect.try(() => {
    const document = Schema.toJsonSchemaDocument(Schema.make<Schema.Constraint>(field.ast))
    return JSON.parse(JSON.stringify(document)) as Schema.Json
  }).pipe(Effect.orElseSucceed(() => null))

interface AnyCsvOptions extends CsvOptions {
  readonly columns?: Schema.Constraint | undefined
}

const isTextList = (value: unknown): boolean => Array.isArray(value) && value.every((text) => typeof text === "string")

const checkOptions = Effect.fnUntraced(function*(options: AnyCsvOptions) {
  if (typeof options !== "object" || options === null) return yield* invalidOption("csv", "options", "give an object")
  if (options.nullValues !== undefined && !isTextList(options.nullValues)) {
    return yield* invalidOption("csv", "nullValues", "give an array of texts, for example [\"\", \"NA\"]")
  }
  const delimiter = options.delimiter ?? ","
  if (typeof delimiter !== "string" || delimiter.length !== 1 || "\"\r\n\ufeff".includes(delimiter)) {
    return yield* invalidOption("csv", "delimiter", "give one character that is no quote and no line end")
  }
  const { columns } = options
  const fields = columns === undefined ? [] : Schema.isSchema(columns) ? fieldsOf(columns) : null
  if (fields === null) {
    return yield* invalidOption(
      "csv",
      "columns",
      "give a Schema.Struct with a property for each column, without checks or transformations of the whole row"
    )
  }
  const readers = new Map<string, CellReader>()
  for (const field of fields) {
    const reader = makeReader(field)
    if (reader === null) {
      return yield* invalidOption("csv", `columns.${field.name}`, "its schema has no text form; use one that decodes")
    }
    readers.set(field.name, reader)
  }
  const schemas = yield* Effect.forEach(fields, jsonSchemaOf)
  return {
    delimiter,
    nulls: new Set(options.nullValues),
    fields,
    readers,
    identity: {
      delimiter,
      nullValues: [...(options.nullValues ?? [])].sort(),
      columns: fields.map((field, j) => [field.name, field.type, schemas[j]!] as const)
    }
  }
})

const open = Effect.fn("Source.csv")(function*(
  location: string | URL,
  options: AnyCsvOptions
) {
  const { delimiter, fields, identity, nulls, readers } = yield* checkOptions(options)
  const file = yield* Location.open("csv", location)
  const { uri } = file
  const attempt = <A>(read: () => A): Effect.Effect<A, BatchError> =>
    Effect.try({
      try: read,
      catch: (cause) => {
        if (!(cause instanceof CsvFault)) {
          return invalidSource("csv", "failed", "the file cannot be read", { uri, cause })
        }
        const place = { uri, row: cause.row ?? undefined, column: cause.column ?? undefined }
        return invalidSource("csv", "malformed", cause.message, place)
      }
    })

  const parser = new CsvParser({ delimiter })
  const pieces = yield* Stream.toPull(file.bytes)
  let ended = false
  /** The rows that end in the next pieces. */
  const next: Effect.Effect<ReadonlyArray<Cells>, BatchError> = Effect.suspend(() =>
    pieces.pipe(
      Effect.flatMap((bytes) => attempt(() => bytes.flatMap((piece) => parser.push(piece)))),
      Pull.catchDone(() => {
        ended = true
        return attempt(() => parser.end())
      })
    )
  )

  let rows: ReadonlyArray<Cells> = []
  while (parser.header === null && !ended) rows = yield* next
  const header = parser.header
  if (header === null) {
    return yield* invalidSource("csv", "empty", "the file is empty: it has no header line", { uri })
  }
  const missing = fields.map((field) => field.name).filter((name) => !header.includes(name))
  if (missing.length > 0) return yield* missingColumns("csv", uri, missing, header)

  const typed = new Map(fields.map((field) => [field.name, field]))
  const columns = header.map((name): CellColumn => {
    const field = typed.get(name)
    return {
      name,
      type: field?.type ?? "string",
      read: readers.get(name) ?? null,
      nullable: field?.nullable ?? true
    }
  })
  let rowsBefore = 0
  const batches: Stream.Stream<Batch, BatchError> = Stream.fromPull(Effect.succeed(Effect.gen(function*() {
    while (rows.length === 0) {
      if (ended) return yield* Cause.done()
      rows = yield* next
    }
    const cut = rows
    rows = []
    return yield* attempt(() => {
      const first = transpose(cut.slice(0, maxBatchRows), rowsBefore + 1, columns, nulls)
      const more: Array<Batch> = []
      for (let from = maxBatchRows; from < cut.length; from += maxBatchRows) {
        more.push(transpose(cut.slice(from, from + maxBatchRows), rowsBefore + from + 1, columns, nulls))
      }
      rowsBefore += cut.length
      return [first, ...more] as const
    })
  })))
  const opened: OpenSource = {
    columns: columns.map(({ name, type }) => ({ name, type })),
    count: null,
    uri,
    identity: JSON.stringify({ type: "csv", file: file.identity, ...identity }),
    description: { type: "csv", ...file.description, delimiter, nullValues: identity.nullValues },
    batches
  }
  return opened
})

/**
 * Reads a CSV file with a header line, from `s3://bucket/key`, `store://key` (a key of the store), a `file://` URL or a
 * local path (relative to the working directory). Every cell stays text unless `columns` gives its type: `007` and `NA`
 * are texts. Columns that `columns` does not name are read as text beside the typed ones.
 *
 * Quotes, line ends inside quotes, `\n`, `\r\n` or `\r` line ends and a byte order mark are understood. Blank lines are
 * no rows; in a file of one column the empty value is written `""`.
 *
 * Fails with `InvalidSource` (`not-found`; `empty` without a header; `malformed`, naming row and column, for text that
 * is not UTF-8, a quote left open, too few or too many fields, unnamed or repeated columns, or a cell that does not
 * decode), `InvalidColumns` when `columns` names a column that the file does not have, or `InvalidOption`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Source } from "@bedrock-batch/sdk"
 * import { Schema } from "effect"
 *
 * const topics = Source.csv("s3://my-bucket/topics.csv")
 *
 * const scores = Source.csv("scores.tsv", {
 *   delimiter: "\t",
 *   nullValues: ["", "NA"],
 *   columns: Schema.Struct({ id: Schema.Int, score: Schema.NullOr(Schema.Finite) })
 * })
 * ```
 */
export const csv: {
  <Row extends object>(location: string | URL, options: TypedCsvOptions<Row>): Source<Row, ObjectStore>
  (
    location: string | URL,
    options: CsvOptions & { readonly nullValues: ReadonlyArray<string>; readonly columns?: undefined }
  ): Source<UntypedRow<string | null>, ObjectStore>
  (
    location: string | URL,
    options?: CsvOptions & { readonly nullValues?: undefined; readonly columns?: undefined }
  ): Source<UntypedRow<string>, ObjectStore>
} = (
  location: string | URL,
  options: AnyCsvOptions = {}
) => sourceOf<never, ObjectStore>(open(location, options))
