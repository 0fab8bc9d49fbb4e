/**
 * From the text of a CSV cell to the value of a typed column.
 *
 * @internal
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import type { Field } from "../../internal/ColumnsOf.ts"
import { misfit } from "./Values.ts"

/**
 * Reads one cell; a failure says what was expected, never what the cell holds.
 *
 * @internal
 */
export type CellReader = (cell: string) => Result.Result<unknown, string>

const isNullish = (ast: SchemaAST.AST): boolean => SchemaAST.isNull(ast) || SchemaAST.isUndefined(ast)

/**
 * What a schema admits besides null: in a CSV nulls are named by `nullValues`, so that the text `null` stays a text.
 *
 * @internal
 */
export const withoutNull = (ast: SchemaAST.AST): SchemaAST.AST => {
  if (!SchemaAST.isUnion(ast) || ast.encoding !== undefined || ast.checks !== undefined) return ast
  const members = ast.types.filter((member) => !isNullish(member))
  if (members.length === 0 || members.length === ast.types.length) return ast
  return members.length === 1 ? withoutNull(members[0]!) : new SchemaAST.Union(members, ast.options)
}

/** Whether the JSON form of a value is not a plain text, number or boolean. */
const isStructured = (ast: SchemaAST.AST): boolean => {
  const encoded = SchemaAST.toEncoded(ast)
  switch (encoded._tag) {
    case "Arrays":
    case "Objects":
    case "Unknown":
    case "Any":
    case "ObjectKeyword":
    case "Declaration":
    case "Suspend":
      return true
    case "Union":
      return encoded.types.some(isStructured)
    default:
      return false
  }
}

type Decodable = Schema.ConstraintDecoder<unknown>

const decoder = (codec: Decodable): CellReader => {
  const decode = Schema.decodeUnknownResult(codec)
  return (cell) => Result.mapError(decode(cell), (error) => error.message)
}

const numbers = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Array(Schema.Number)))

const vectorReader = (schema: Decodable): CellReader => {
  const accepts = Schema.is(Schema.toType(schema))
  return (cell) => {
    const read = numbers(cell)
    if (Result.isFailure(read)) return Result.fail("Expected a JSON array of numbers")
    const vector = Float32Array.from(read.success)
    return accepts(vector) ? Result.succeed(vector) : Result.fail("Expected another vector")
  }
}

const plainInteger = /^(?:0|-?[1-9][0-9]{0,14})$/
const plainNumber = /^-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?$/

/** Cells of the plainest form, of which the codec is known to make the same: it takes several times longer. */
const plain: ReadonlyMap<SchemaAST.AST, (cell: string) => unknown> = new Map<
  SchemaAST.AST,
  (cell: string) => unknown
>([
  [Schema.Int.ast, (cell) => plainInteger.test(cell) ? Number(cell) : null],
  [Schema.Finite.ast, (cell) => plainNumber.test(cell) ? Number(cell) : null],
  [Schema.Number.ast, (cell) => plainNumber.test(cell) ? Number(cell) : null],
  [Schema.Boolean.ast, (cell) => cell === "true" ? true : cell === "false" ? false : null]
])

/**
 * A reader whose bigints fit the 64 bits that a column has for them.
 *
 * @internal
 */
export const fitting = <A>(
  field: Field,
  read: (value: A) => Result.Result<unknown, string>
): (value: A) => Result.Result<unknown, string> =>
  field.type !== "bigint" ? read : (value) =>
    Result.flatMap(read(value), (taken) => {
      const fault = taken === null || taken === undefined ? null : misfit("bigint", taken)
      return fault === null ? Result.succeed(taken) : Result.fail(fault)
    })

/**
 * Makes the reader of a column. Texts, numbers, booleans, dates and bytes are read with the schema's string codec;
 * structured values and vectors are JSON text, as the CSV sink writes them. Null when text cannot hold its values:
 * those of a class without a codec.
 *
 * @internal
 */
export const makeReader = (field: Field): CellReader | null => {
  const ast = withoutNull(field.ast)
  if (SchemaAST.isString(ast) && ast.encoding === undefined && ast.checks === undefined) return Result.succeed
  const schema = Schema.make<Decodable>(ast)
  if (field.type === "vector") return vectorReader(schema)
  if (field.type === "json") {
    const json = Schema.toCodecJson(schema)
    if (SchemaAST.isDeclaration(ast) && SchemaAST.isDeclaration(SchemaAST.toEncoded(json.ast))) return null
    if (isStructured(json.ast)) return decoder(Schema.fromJsonString(json))
  }
  const read = fitting(field, decoder(Schema.toCodecStringTree(schema)))
  const short = plain.get(ast)
  if (short === undefined) return read
  return (cell) => {
    const value = short(cell)
    return value === null ? read(cell) : Result.succeed(value)
  }
}
