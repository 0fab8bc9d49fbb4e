/**
 * From row objects to batches: which columns there are, and the values of each.
 *
 * @internal
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Column, ColumnType } from "../../Column.ts"
import type { Batch } from "../../internal/Batch.ts"
import type { Field } from "../../internal/ColumnsOf.ts"
import { common, kindOf, misfit } from "./Values.ts"

/**
 * What is wrong with a row from memory, and where; rows count from 1.
 *
 * @internal
 */
export class RowFault {
  readonly message: string
  readonly row: number
  readonly column: string | null

  constructor(message: string, row: number, column: string | null = null) {
    this.message = message
    this.row = row
    this.column = column
  }
}

const isRow = (row: unknown): row is { readonly [column: string]: unknown } =>
  typeof row === "object" && row !== null && !Array.isArray(row) && !ArrayBuffer.isView(row) && !(row instanceof Date)

const checkRow = (row: unknown, number: number): { readonly [column: string]: unknown } => {
  if (isRow(row)) return row
  const what = row === null ? "null" : Array.isArray(row) ? "an array" : `a ${typeof row}`
  throw new RowFault(`a row is an object of columns, not ${what}`, number)
}

/**
 * Finds the columns of rows as they come: every own property, in order of first appearance, with the type that all its
 * values have.
 *
 * @internal
 */
export class ColumnFinder {
  private readonly types = new Map<string, ColumnType | null>()
  private seen = 0
  /** How many columns have had no value yet. */
  private open = 0
  private readonly wholeIntegers: boolean

  /** Only where every row is seen can a column be said to hold integers alone. */
  constructor(options: { readonly wholeIntegers: boolean }) {
    this.wholeIntegers = options.wholeIntegers
  }

  /** Throws a `RowFault`. */
  add(value: unknown): void {
    const row = checkRow(value, ++this.seen)
    for (const name of Object.keys(row)) {
      const cell = row[name] ?? null
      const before = this.types.get(name)
      if (before === undefined) {
        this.types.set(name, cell === null ? null : kindOf(cell))
        if (cell === null) this.open++
      } else if (cell !== null) {
        if (before === null) this.open--
        this.types.set(name, common(before, kindOf(cell)))
      }
    }
  }

  /** Whether every column has had a value. */
  get settled(): boolean {
    return this.open === 0
  }

  get columns(): ReadonlyArray<Column> {
    return Array.from(this.types, ([name, type]) => ({
      name,
      type: type === null ? "string" : type === "integer" && !this.wholeIntegers ? "number" : type
    }))
  }
}

type Check = (value: unknown) => string | null

const checkOf = (column: Column, field: Field | undefined): Check => {
  if (field === undefined) return (value) => misfit(column.type, value)
  const decode = Schema.decodeUnknownResult(Schema.toType(Schema.make<Schema.ConstraintDecoder<unknown>>(field.ast)))
  return (value) => {
    const read = decode(value)
    return Result.isFailure(read) ? read.failure.message : misfit(column.type, value)
  }
}

/**
 * Turns rows into batches of known columns.
 *
 * @internal
 */
export class RowReader {
  readonly columns: ReadonlyArray<Column>
  private readonly declared: boolean
  private readonly positions: ReadonlyMap<string, number>
  private readonly checks: ReadonlyArray<Check>
  private readonly nullable: ReadonlyArray<boolean>
  private rows = 0

  constructor(columns: ReadonlyArray<Column>, fields: ReadonlyArray<Field> | null) {
    const byName = new Map(fields?.map((field) => [field.name, field]))
    this.columns = columns
    this.declared = fields !== null
    this.positions = new Map(columns.map((column, j) => [column.name, j]))
    this.checks = columns.map((column) => checkOf(column, byName.get(column.name)))
    this.nullable = columns.map((column) => byName.get(column.name)?.nullable ?? true)
  }

  /** The rows `from` (inclusive) to `to` (exclusive) as a batch. Throws a `RowFault`. */
  read(source: ReadonlyArray<unknown>, from: number, to: number): Batch {
    const length = to - from
    const columns = this.columns.map(() => new Array<unknown>(length).fill(null))
    for (let i = 0; i < length; i++) {
      const row = checkRow(source[from + i], ++this.rows)
      for (const name of Object.keys(row)) {
        const value = row[name]
        const j = this.positions.get(name)
        if (j === undefined) throw new RowFault(this.unknownColumn(), this.rows, name)
        if (value === null || value === undefined) continue
        const fault = this.checks[j]!(value)
        if (fault !== null) throw new RowFault(`${fault}${this.advice(this.columns[j]!.type)}`, this.rows, name)
        columns[j]![i] = value
      }
      this.checkNulls(columns, i)
    }
    return { length, columns }
  }

  private checkNulls(columns: ReadonlyArray<ReadonlyArray<unknown>>, i: number): void {
    if (!this.declared) return
    for (let j = 0; j < columns.length; j++) {
      if (columns[j]![i] === null && !this.nullable[j]!) {
        const { name } = this.columns[j]!
        throw new RowFault("the value is missing, and the column's schema has no null", this.rows, name)
      }
    }
  }

  private unknownColumn(): string {
    return this.declared
      ? "the row has a column that `columns` does not declare"
      : "the column first appears after the rows from which the columns were found; declare `columns`"
  }

  private advice(type: ColumnType): string {
    return this.declared || type === "json"
      ? ""
      : `; the first rows make this a ${type} column: declare \`columns\`, or convert the value`
  }
}
