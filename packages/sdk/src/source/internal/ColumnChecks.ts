/**
 * Checks the values of declared columns against their schemas.
 *
 * @internal
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { ColumnType } from "../../Column.ts"
import type { Field } from "../../internal/ColumnsOf.ts"
import { isGuaranteed } from "./DeclaredTypes.ts"

/**
 * Checks values of a declared column; gives the index of the first one that is wrong, and why.
 *
 * @internal
 */
export type ColumnCheck = (values: ReadonlyArray<unknown>) => readonly [index: number, fault: string] | null

const isMissing = "the value is missing, and the column's schema has no null"

/**
 * The check of a declared column that is read as values of a type.
 *
 * @internal
 */
export const columnCheck = (field: Field, type: ColumnType): ColumnCheck => {
  const { nullable } = field
  if (isGuaranteed(field, type)) {
    return nullable ? () => null : (values) => {
      const index = values.indexOf(null)
      return index < 0 ? null : [index, isMissing]
    }
  }
  const schema = Schema.toType(Schema.make<Schema.ConstraintDecoder<unknown>>(field.ast))
  const accepts = Schema.is(schema)
  const decode = Schema.decodeUnknownResult(schema)
  return (values) => {
    for (let i = 0; i < values.length; i++) {
      const value = values[i]
      if (value === null) {
        if (!nullable) return [i, isMissing]
      } else if (!accepts(value)) {
        const read = decode(value)
        return [i, Result.isFailure(read) ? read.failure.message : "the value is not one of the column's schema"]
      }
    }
    return null
  }
}
