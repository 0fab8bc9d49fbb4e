/**
 * The columns of a result: every input column, then those that the model and the batch add.
 *
 * @internal
 */
import { InvalidColumns, InvalidOption } from "../BatchError.ts"
import type { Column } from "../Column.ts"

/** @internal */
export const after: ReadonlyArray<Column> = [
  { name: "batch_status", type: "string" },
  { name: "batch_stop_reason", type: "string" },
  { name: "batch_error_code", type: "string" },
  { name: "batch_error_message", type: "string" },
  { name: "batch_input_tokens", type: "integer" },
  { name: "batch_output_tokens", type: "integer" }
]

/** The columns that a result adds, before renaming. @internal */
export const added = (answer: ReadonlyArray<Column>): ReadonlyArray<Column> => [
  { name: "record_id", type: "string" },
  ...answer,
  ...after
]

const renamed = (columns: ReadonlyArray<Column>, rename: { readonly [column: string]: string }): ReadonlyArray<Column> =>
  columns.map((column) => Object.hasOwn(rename, column.name) ? { ...column, name: rename[column.name]! } : column)

/** All columns of a result, renamed, in order. @internal */
export const all = (
  input: ReadonlyArray<Column>,
  answer: ReadonlyArray<Column>,
  rename: { readonly [column: string]: string }
): ReadonlyArray<Column> => [...input, ...renamed(added(answer), rename)]

/** What is wrong with the columns together, or null. @internal */
export const check = (
  input: ReadonlyArray<Column>,
  answer: ReadonlyArray<Column>,
  rename: { readonly [column: string]: string }
): InvalidColumns | InvalidOption | null => {
  const names = added(answer).map((column) => column.name)
  for (const [name, to] of Object.entries(rename)) {
    if (!names.includes(name)) {
      return new InvalidOption({
        path: `rename.${name}`,
        message: `rename names ${JSON.stringify(name)}, and the result adds no such column: it adds ${names.join(", ")}`
      })
    }
    if (typeof to !== "string" || to === "") {
      return new InvalidOption({ path: `rename.${name}`, message: `rename gives ${name} no name` })
    }
  }
  const available = input.map((column) => column.name)
  const taken = new Set(available)
  const clashing: Array<string> = []
  for (const { name } of renamed(added(answer), rename)) {
    if (taken.has(name)) clashing.push(name)
    taken.add(name)
  }
  if (clashing.length === 0) return null
  return new InvalidColumns({
    missing: [],
    clashing,
    available,
    nearest: {},
    message: `the result adds columns that are there already: ${clashing.map((name) => JSON.stringify(name)).join(", ")}; ` +
      `give the added ones other names, for example rename: { ${JSON.stringify(clashing[0]!)}: ${JSON.stringify(`model_${clashing[0]!}`)} }`
  })
}
