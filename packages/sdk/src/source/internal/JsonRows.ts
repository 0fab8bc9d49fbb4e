/**
 * From lines of JSON to batches: which columns there are, and the values of each.
 *
 * @internal
 */
import * as Result from "effect/Result"
import { isUtf8 } from "node:buffer"
import type { Column, ScalarType } from "../../Column.ts"
import type { Batch } from "../../internal/Batch.ts"
import type { Field } from "../../internal/ColumnsOf.ts"
import {
  asDoubles,
  asJson,
  asNumber,
  InexactNumber,
  isUnsure,
  type JsonReader,
  maybeUnsure,
  parseExact
} from "./JsonValues.ts"
import { RowFault } from "./RowReader.ts"
import { misfit } from "./Values.ts"

type Row = { readonly [column: string]: unknown }

const replacement = "\ufffd"

/** The text of a line. Throws a `RowFault`. */
const textOf = (line: Buffer, row: number): string => {
  const text = line.toString("utf8")
  if (text.includes(replacement) && !isUtf8(line)) {
    throw new RowFault("the text is not UTF-8; convert the file to UTF-8", row)
  }
  return text
}

const isRow = (value: unknown): value is Row => typeof value === "object" && value !== null && !Array.isArray(value)

const notJson = (row: number, cause: unknown): RowFault => {
  const at = cause instanceof Error ? /at position \d+/.exec(cause.message)?.[0] : undefined
  const where = at === undefined ? "" : ` (${at})`
  return new RowFault(`the line is not JSON${where}; a file of JSON Lines has one object a line`, row)
}

const notObject = (row: number, value: unknown): RowFault => {
  const what = value === null ? "null" : Array.isArray(value) ? "an array" : `a ${typeof value}`
  return new RowFault(`the line is ${what}, not an object; a file of JSON Lines has one object a line`, row)
}

/** The object of a line. Throws a `RowFault`, which says nothing of the content. */
const rowOf = (text: string, row: number): Row => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw notJson(row, cause)
  }
  if (isRow(value)) return value
  throw notObject(row, value)
}

/** The object of a line, with its exact integers as bigints. Throws a `RowFault`. */
const exactRowOf = (text: string, row: number): Row => {
  let value: unknown
  try {
    value = parseExact(text)
  } catch (cause) {
    throw notJson(row, cause)
  }
  if (isRow(value)) return value
  throw notObject(row, value)
}

const kind = { text: 1, integer: 2, fraction: 4, large: 8, boolean: 16, structured: 32 }

const kindOf = (value: unknown): number => {
  switch (typeof value) {
    case "string":
      return kind.text
    case "boolean":
      return kind.boolean
    case "number":
      return Number.isSafeInteger(value) ? kind.integer : kind.fraction
    case "bigint":
      return kind.large
    default:
      return kind.structured
  }
}

/**
 * Where a row is: the number is that within the file.
 *
 * @internal
 */
export interface Place {
  readonly uri: string
  readonly row: number
}

/** What the lines say of a column. */
interface Seen {
  kinds: number
  /** The first row with an integer that no double holds. */
  inexact: Place | null
  /** Whether an integer has more than 64 bits. */
  wide: boolean
}

/**
 * Finds the columns of lines as they come: every key, in order of first appearance, with the type that all its values
 * have.
 *
 * @internal
 */
export class JsonColumnFinder {
  private readonly columns = new Map<string, Seen>()

  /** Throws a `RowFault`. */
  add(line: Buffer, place: Place): void {
    const text = textOf(line, place.row)
    const values = (maybeUnsure(text) ? exactRowOf : rowOf)(text, place.row)
    for (const name of Object.keys(values)) {
      let seen = this.columns.get(name)
      if (seen === undefined) {
        seen = { kinds: 0, inexact: null, wide: false }
        this.columns.set(name, seen)
      }
      const value = values[name]
      if (value === null) continue
      seen.kinds |= kindOf(value)
      if (typeof value !== "bigint") continue
      if (asNumber(value) === null) seen.inexact ??= place
      if (misfit("bigint", value) !== null) seen.wide = true
    }
  }

  get names(): ReadonlyArray<string> {
    return [...this.columns.keys()]
  }

  /** Whether each of the columns has had a value. */
  settled(select: ReadonlyArray<string> | undefined): boolean {
    return (select ?? this.names).every((name) => (this.columns.get(name)?.kinds ?? 0) > 0)
  }

  /** The type of a column, or the place of an integer that no type holds beside the column's other values. */
  typeOf(name: string): ScalarType | Place {
    const { inexact, kinds, wide } = this.columns.get(name)!
    switch (kinds) {
      case kind.text:
        return "string"
      case kind.boolean:
        return "boolean"
    }
    const numbers = kind.integer | kind.fraction | kind.large
    if (kinds === 0 || (kinds & ~numbers) !== 0) return "json"
    if ((kinds & kind.large) === 0) return "number"
    if ((kinds & kind.fraction) === 0 && !wide) return "bigint"
    return inexact ?? "number"
  }
}

/**
 * A column that is taken.
 *
 * @internal
 */
export interface JsonColumn extends Column {
  /** Null for a column that was found. */
  readonly field: Field | null
  readonly read: JsonReader | null
}

/** What a value is that the column takes as it is. */
const taken = new Set<unknown>(["string", "boolean", "number"])

/**
 * Turns lines into batches of known columns.
 *
 * @internal
 */
export class JsonRowReader {
  private readonly columns: ReadonlyArray<JsonColumn>
  private readonly names: ReadonlyArray<string>
  private readonly positions: ReadonlyMap<string, number>
  private readonly asTheyAre: ReadonlyArray<unknown>
  private readonly required: ReadonlyArray<number>
  private readonly others: string | null

  /** `others` says what is wrong with a key that is no column; null where such keys are left out. */
  constructor(columns: ReadonlyArray<JsonColumn>, others: string | null) {
    this.columns = columns
    this.names = columns.map(({ name }) => name)
    this.positions = new Map(this.names.map((name, j) => [name, j]))
    this.asTheyAre = columns.map(({ read, type }) => read === null && taken.has(type) ? type : null)
    this.required = columns.flatMap(({ field }, j) => field === null || field.nullable ? [] : [j])
    this.others = others
  }

  /** The lines `from` (inclusive) to `to` (exclusive) as a batch. Throws a `RowFault`. */
  read(lines: ReadonlyArray<Buffer>, from: number, to: number, rowsBefore: number): Batch {
    const { asTheyAre, names, others, positions } = this
    const length = to - from
    const columns = names.map(() => new Array<unknown>(length).fill(null))
    for (let i = 0; i < length; i++) {
      const number = rowsBefore + from + i + 1
      const text = textOf(lines[from + i]!, number)
      const row = rowOf(text, number)
      let expected = 0
      let suspicious: boolean | null = null
      let unsure = false
      for (const name in row) {
        let j: number | undefined = expected
        if (names[expected] !== name) {
          j = positions.get(name)
          if (j === undefined) {
            if (others === null) continue
            throw new RowFault(others, number, name)
          }
        }
        expected = j + 1
        const value = row[name]
        if (value === null) continue
        if (typeof value === "number" && isUnsure(value)) {
          unsure = true
        } else if (typeof value === "object" && (suspicious ??= maybeUnsure(text))) {
          unsure = true
        } else {
          columns[j]![i] = typeof value === asTheyAre[j] ? value : this.take(value, j, number)
        }
      }
      if (unsure) this.readExactly(exactRowOf(text, number), columns, i, number)
      if (this.required.length > 0) this.checkNulls(columns, i, number)
    }
    return { length, columns }
  }

  /** A row once more, where its numbers may not be those of its text. */
  private readExactly(row: Row, columns: ReadonlyArray<Array<unknown>>, i: number, number: number): void {
    for (const name of Object.keys(row)) {
      const value = row[name]
      const j = this.positions.get(name)
      if (j === undefined || value === null) continue
      try {
        columns[j]![i] = this.take(this.exact(value, j), j, number)
      } catch (fault) {
        if (fault instanceof InexactNumber) throw new RowFault(fault.message, number, name)
        throw fault
      }
    }
  }

  /** What the column takes of a value with exact integers. */
  private exact(value: unknown, j: number): unknown {
    const { read, type } = this.columns[j]!
    if (type === "bigint") return value
    if (type === "json" || (read === null && typeof value === "object")) return asJson(value)
    if (read !== null) return asDoubles(value)
    if (typeof value === "number" && !Number.isFinite(value)) {
      throw new InexactNumber("the number is too large for a double")
    }
    if (typeof value !== "bigint") return value
    const near = asNumber(value)
    if (near !== null) return near
    throw new InexactNumber(
      "the integer has more digits than a number holds; declare `columns`, where `Schema.BigInt` takes it exactly"
    )
  }

  private take(value: unknown, j: number, number: number): unknown {
    const { name, read, type } = this.columns[j]!
    if (read !== null) {
      const taken = read(value)
      if (Result.isSuccess(taken)) return taken.success ?? null
      throw new RowFault(`the value does not decode: ${taken.failure}`, number, name)
    }
    if (type === "json") return value
    const isInteger = typeof value === "number" && Number.isSafeInteger(value)
    const converted = type === "bigint" && isInteger ? BigInt(value) : value
    const fault = misfit(type, converted)
    if (fault === null) return converted
    throw new RowFault(
      `${fault}; the first lines make this a ${String(type)} column: declare \`columns\`, or convert the value`,
      number,
      name
    )
  }

  private checkNulls(columns: ReadonlyArray<ReadonlyArray<unknown>>, i: number, number: number): void {
    for (const j of this.required) {
      if (columns[j]![i] === null) {
        throw new RowFault("the value is missing, and the column's schema has no null", number, this.names[j]!)
      }
    }
  }
}
