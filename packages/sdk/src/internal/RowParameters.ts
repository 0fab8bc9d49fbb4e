/**
 * Parameters of single rows, from columns.
 *
 * @internal
 */
import type { ModelParameters } from "@bedrock-batch/processors/Processor"
import type { ParametersFrom } from "../prepare.ts"
import type { Batch } from "./Batch.ts"
import { CellProblem } from "./CellProblem.ts"

/** The parameters of a row. Throws `CellProblem` for a cell that holds none. @internal */
export type RowParameters = (columns: Batch["columns"], row: number) => ModelParameters

/** The parameters that a column can hold. @internal */
export const rowParameterNames = ["maxTokens", "temperature", "topP", "stopSequences"] as const

/** So many combinations of parameters are kept as one object each. */
const mostKept = 1000

const decimal = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/

const numberOf = (value: unknown): number | null => {
  const number = typeof value === "number" || typeof value === "bigint"
    ? Number(value)
    : typeof value === "string" && decimal.test(value.trim())
    ? Number(value)
    : Number.NaN
  // Neither JSON nor a text tells -0 from 0.
  return Number.isFinite(number) ? number + 0 : null
}

const isTexts = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((one) => typeof one === "string")

const textsOf = (value: unknown): ReadonlyArray<string> | null => {
  if (typeof value !== "string") return isTexts(value) ? value : null
  if (value.trimStart().startsWith("[")) {
    try {
      const parsed: unknown = JSON.parse(value)
      if (isTexts(parsed)) return parsed
    } catch {
      // It is a text that begins with a bracket.
    }
  }
  return [value]
}

const expected = {
  number: "it must hold a number, or nothing for the run's own parameter",
  texts: "it must hold an array of texts, a JSON array of texts or one text, or nothing for the run's own parameter"
}

/**
 * Binds the columns to their indexes. Equal parameters of neighbouring rows are one object.
 *
 * @internal
 */
export const rowParameters = (
  from: ParametersFrom,
  own: ModelParameters,
  indexOf: (column: string) => number
): RowParameters => {
  const bound = rowParameterNames.flatMap((name) => {
    const column = from[name]
    return column === undefined ? [] : [{ name, column, index: indexOf(column) }]
  })
  const kept = new Map<string, ModelParameters>()
  return (columns, row) => {
    const given: Record<string, unknown> = {}
    for (const { column, index, name } of bound) {
      const value = columns[index]![row]
      if (value === null || value === undefined || value === "") continue
      const parameter = name === "stopSequences" ? textsOf(value) : numberOf(value)
      if (parameter === null) {
        throw new CellProblem(column, name === "stopSequences" ? expected.texts : expected.number)
      }
      given[name] = parameter
    }
    const key = JSON.stringify(given)
    const known = kept.get(key)
    if (known !== undefined) return known
    if (kept.size === mostKept) kept.clear()
    const made: ModelParameters = { ...own, ...given }
    kept.set(key, made)
    return made
  }
}
