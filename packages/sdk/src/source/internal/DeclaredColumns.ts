/**
 * The columns that an option declares with a schema.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { BatchError } from "../../BatchError.ts"
import type { ColumnType } from "../../Column.ts"
import { type Field, fieldsOf } from "../../internal/ColumnsOf.ts"
import { invalidOption } from "./Failures.ts"

/**
 * The fields of the option `columns`; fails with `InvalidOption` where it is no struct of columns.
 *
 * @internal
 */
export const declaredFields = (
  method: string,
  columns: Schema.Constraint
): Effect.Effect<ReadonlyArray<Field>, BatchError> => {
  const fields = Schema.isSchema(columns) ? fieldsOf(columns) : null
  return fields !== null ? Effect.succeed(fields) : Effect.fail(invalidOption(
    method,
    "columns",
    "give a Schema.Struct with a property for each column, without checks or transformations of the whole row"
  ))
}

const jsonSchemaOf = (field: Field): Effect.Effect<Schema.Json> =>
  Effect.try(() => {
    const document = Schema.toJsonSchemaDocument(Schema.make<Schema.Constraint>(field.ast))
    return JSON.parse(JSON.stringify(document)) as Schema.Json
  }).pipe(Effect.orElseSucceed(() => null))

/**
 * What the identity of a source holds of its declared columns: name, type and JSON Schema of each.
 *
 * @internal
 */
export const describeFields = (
  fields: ReadonlyArray<Field>
): Effect.Effect<ReadonlyArray<readonly [name: string, type: ColumnType, schema: Schema.Json]>> =>
  Effect.forEach(fields, (field) =>
    Effect.map(jsonSchemaOf(field), (schema) => [field.name, field.type, schema] as const))
