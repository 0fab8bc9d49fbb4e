/**
 * The columns of typed files, Parquet and Arrow, as those of one source: which are taken, and as which types they are
 * read.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { BatchError } from "../../BatchError.ts"
import type { Column, ColumnType } from "../../Column.ts"
import type { Batch } from "../../internal/Batch.ts"
import type { Field } from "../../internal/ColumnsOf.ts"
import type { Selection } from "../Selection.ts"
import { type ColumnCheck, columnCheck } from "./ColumnChecks.ts"
import { declaredFields, describeFields } from "./DeclaredColumns.ts"
import { declaredType } from "./DeclaredTypes.ts"
import { invalidOption, invalidSource, missingColumns } from "./Failures.ts"
import { selectionProblem } from "./Selected.ts"
import type { SourceFile } from "./SourceFile.ts"

/**
 * The options of a source of typed files, whichever of its forms they have.
 *
 * @internal
 */
export interface AnyFileOptions extends Selection {
  readonly columns?: Schema.Constraint | undefined
}

/**
 * Batches have at most so many rows, and about so many bytes.
 *
 * @internal
 */
export const batchRows = 5000

/** @internal */
export const batchBytes = 4 * 1024 * 1024

/**
 * The declared columns, and the names of those that are taken; null for all.
 *
 * @internal
 */
export const checkFileOptions = Effect.fnUntraced(function*(method: string, options: AnyFileOptions) {
  if (typeof options !== "object" || options === null) return yield* invalidOption(method, "options", "give an object")
  const problem = selectionProblem(method, options)
  if (problem !== null) return yield* problem
  const { columns, select } = options
  if (columns === undefined) return { fields: null, names: select ?? null, schemas: null }
  if (select !== undefined) {
    return yield* invalidOption(method, "select", "give `columns` or `select`: `columns` takes the columns it declares")
  }
  const fields = yield* declaredFields(method, columns)
  if (fields.length === 0) return yield* invalidOption(method, "columns", "declare at least one column")
  return { fields, names: fields.map(({ name }) => name), schemas: yield* describeFields(fields) }
})

/**
 * A file that was written to meanwhile is told from one that is damaged.
 *
 * @internal
 */
export const orChanged = <A>(file: SourceFile, read: Effect.Effect<A, BatchError>): Effect.Effect<A, BatchError> =>
  Effect.catch(read, (error) => Effect.andThen(file.unchanged, Effect.fail(error)))

const differs = (method: string, uri: string, column: string, message: string): BatchError =>
  invalidSource(method, "malformed", `${message}; the files of a source have the same columns`, { uri, column })

/**
 * The names of the columns that are taken, in order, by those of the first file. Fails with `InvalidColumns` where it
 * lacks one; `option` is the one that names them.
 *
 * @internal
 */
export const takenNames = (
  method: string,
  uri: string,
  available: ReadonlyArray<string>,
  chosen: ReadonlyArray<string> | null,
  option: string
): Effect.Effect<ReadonlyArray<string>, BatchError> => {
  const missing = chosen?.filter((name) => !available.includes(name)) ?? []
  return missing.length === 0
    ? Effect.succeed(chosen ?? available)
    : Effect.fail(missingColumns(method, uri, missing, available, option))
}

/**
 * What another file has otherwise than the first one, `firstUri`: it lacks a column that is taken, or, where all are
 * taken, it has one more. Null where it agrees.
 *
 * @internal
 */
export const namesProblem = (
  method: string,
  uri: string,
  available: ReadonlyArray<string>,
  names: ReadonlyArray<string>,
  chosen: ReadonlyArray<string> | null,
  firstUri: string
): BatchError | null => {
  const has = new Set(available)
  const lacking = names.find((name) => !has.has(name))
  if (lacking !== undefined) return differs(method, uri, lacking, `the file lacks the column, which ${firstUri} has`)
  const more = chosen === null ? available.find((name) => !names.includes(name)) : undefined
  return more === undefined ? null : differs(method, uri, more, `${firstUri} has no such column`)
}

/** The types that a file's columns have, by the names that are taken; null for a column that holds nulls alone. */
interface FileTypes {
  readonly uri: string
  readonly types: ReadonlyArray<ColumnType | null>
}

const nameOf = (type: ColumnType): string => (typeof type === "string" ? type : JSON.stringify(type))

/**
 * The types that the columns have in all files, but for files that have nulls alone in them.
 *
 * @internal
 */
export const commonTypes = (
  method: string,
  names: ReadonlyArray<string>,
  files: ReadonlyArray<FileTypes>
): Effect.Effect<ReadonlyArray<ColumnType | null>, BatchError> => {
  const common: Array<ColumnType | null> = names.map(() => null)
  const uris: Array<string> = []
  for (const { types, uri } of files) {
    for (const [j, type] of types.entries()) {
      const before = common[j] ?? null
      if (type === null || (before !== null && nameOf(type) === nameOf(before))) continue
      if (before !== null) {
        const message = `the column is ${nameOf(type)} here, and ${nameOf(before)} in ${uris[j]!}`
        return Effect.fail(differs(method, uri, names[j]!, message))
      }
      common[j] = type
      uris[j] = uri
    }
  }
  return Effect.succeed(common)
}

/** The types as which the columns are read, and the checks of declared ones. */
interface Declared {
  readonly types: ReadonlyArray<ColumnType>
  readonly checks: ReadonlyArray<ColumnCheck>
}

/**
 * The types as which columns are read that the files have as `found`; `isReadable` says whether a column can be read as
 * another type. Fails where the values cannot be those that are declared.
 *
 * @internal
 */
export const declareTypes = Effect.fnUntraced(function*(
  method: string,
  uri: string | null,
  fields: ReadonlyArray<Field> | null,
  found: ReadonlyArray<ColumnType | null>,
  isReadable: (column: number, type: ColumnType) => boolean = () => true
) {
  if (fields === null) return { types: found.map((type) => type ?? "string"), checks: [] } satisfies Declared
  const types: Array<ColumnType> = []
  for (const [j, field] of fields.entries()) {
    const known = found[j] ?? field.type
    const type = declaredType(field, known)
    if (type === null || !isReadable(j, type)) {
      const message = `the column is ${nameOf(known)}, and \`columns\` declares other values; change its schema`
      return yield* invalidSource(method, "malformed", message, { uri, column: field.name })
    }
    types.push(type)
  }
  return { types, checks: fields.map((field, j) => columnCheck(field, types[j]!)) } satisfies Declared
})

/**
 * What is wrong with the values of a batch, whose first row has this number in its file; null where they are as
 * declared.
 *
 * @internal
 */
export const batchProblem = (
  method: string,
  uri: string,
  columns: ReadonlyArray<Pick<Column, "name">>,
  checks: ReadonlyArray<ColumnCheck>,
  batch: Batch,
  firstRow: number
): BatchError | null => {
  for (const [j, check] of checks.entries()) {
    const wrong = check(batch.columns[j]!)
    if (wrong === null) continue
    const [index, fault] = wrong
    return invalidSource(method, "malformed", fault, { uri, row: firstRow + index, column: columns[j]!.name })
  }
  return null
}
