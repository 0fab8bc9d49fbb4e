/**
 * JSON texts with the exact integers that they hold, and the values of JSON as those of typed columns.
 *
 * @internal
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import type { Field } from "../../internal/ColumnsOf.ts"
import { fitting, withoutNull } from "./CellReader.ts"

/**
 * What a JSON text holds that a JavaScript number does not.
 *
 * @internal
 */
export class InexactNumber {
  readonly message: string

  constructor(message: string) {
    this.message = message
  }
}

const limit = 2 ** 53

/**
 * Whether a number may stand for another one: JSON texts hold integers of any size.
 *
 * @internal
 */
export const isUnsure = (value: number): boolean => value >= limit || value <= -limit

/** Where nothing of a text matches, it has no number that is unsure. */
const suspicious = /[0-9]{16}|[eE]\+?[0-9]{3}/

/**
 * Whether a text may hold a number that is unsure.
 *
 * @internal
 */
export const maybeUnsure = (text: string): boolean => suspicious.test(text)

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown

/** TypeScript's library does not know yet that a reviver is told the source of a number. */
const parseWith = JSON.parse as (text: string, reviver: Reviver) => unknown

const integerLiteral = /^-?[0-9]+$/

/**
 * Parses a JSON text; integers that are not safe are bigints.
 *
 * @internal
 */
export const parseExact = (text: string): unknown =>
  parseWith(text, (_, value, { source }) =>
    typeof value === "number" && isUnsure(value) && source !== undefined && integerLiteral.test(source)
      ? BigInt(source)
      : value)

/**
 * An integer as a number, where that holds it or is written so: JavaScript writes the doubles above 2^53 with fewer
 * digits than they have.
 *
 * @internal
 */
export const asNumber = (value: bigint): number | null => {
  const near = Number(value)
  if (!Number.isFinite(near)) return null
  return BigInt(near) === value || (Math.abs(near) < 1e21 && String(near) === String(value)) ? near : null
}

/**
 * A value as plain JSON. Throws `InexactNumber` where a number in it is not held exactly.
 *
 * @internal
 */
export const asJson = (value: unknown): unknown => {
  switch (typeof value) {
    case "bigint": {
      const number = asNumber(value)
      if (number === null) {
        throw new InexactNumber(
          "the value holds an integer of more digits than a JSON value keeps; write it as a text, or leave the " +
            "column out with `select`"
        )
      }
      return number
    }
    case "number":
      if (!Number.isFinite(value)) throw new InexactNumber("the value holds a number that is too large for a double")
      return value
    case "object":
      if (value === null) return null
      if (Array.isArray(value)) return value.map(asJson)
      return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, asJson(member)]))
    default:
      return value
  }
}

/**
 * A value for a column that takes any number as the nearest double: its bigints as numbers.
 *
 * @internal
 */
export const asDoubles = (value: unknown): unknown =>
  typeof value === "bigint" ? Number(value) : Array.isArray(value) ? value.map(asDoubles) : value

/**
 * Makes a value (not null) of a typed column from one of JSON; a failure says what was expected, never what the value
 * is.
 *
 * @internal
 */
export type JsonReader = (value: unknown) => Result.Result<unknown, string>

type Decodable = Schema.ConstraintDecoder<unknown>

const codecReader = (schema: Decodable): JsonReader => {
  const decode = Schema.decodeUnknownResult(Schema.toCodecJson(schema))
  return (value) => Result.mapError(decode(value), (error) => error.message)
}

const bigintReader = (schema: Decodable): JsonReader => {
  const accepts = Schema.is(schema)
  const decode = codecReader(schema)
  return (value) => {
    const read = typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : value
    if (typeof read !== "bigint") return typeof read === "string" ? decode(read) : Result.fail("Expected an integer")
    return accepts(read) ? Result.succeed(read) : decode(String(read))
  }
}

const vectorReader = (schema: Decodable): JsonReader => {
  const accepts = Schema.is(Schema.toType(schema))
  return (value) => {
    if (!Array.isArray(value) || !value.every((element) => typeof element === "number")) {
      return Result.fail("Expected an array of numbers")
    }
    const vector = Float32Array.from(value)
    return accepts(vector) ? Result.succeed(vector) : Result.fail("Expected another vector")
  }
}

/** Schemas whose JSON is the value itself. */
const plain: ReadonlyMap<SchemaAST.AST, (value: unknown) => boolean> = new Map<
  SchemaAST.AST,
  (value: unknown) => boolean
>([
  [Schema.String.ast, (value) => typeof value === "string"],
  [Schema.Boolean.ast, (value) => typeof value === "boolean"],
  [Schema.Number.ast, (value) => typeof value === "number" && Number.isFinite(value)],
  [Schema.Finite.ast, (value) => typeof value === "number" && Number.isFinite(value)],
  [Schema.Int.ast, (value) => typeof value === "number" && Number.isSafeInteger(value)]
])

/**
 * Makes the reader of a column, which reads what the schema's JSON codec does; and beside it integers as bigints, and
 * vectors as arrays of numbers. Null when JSON cannot hold its values: those of a class without a codec.
 *
 * @internal
 */
export const makeJsonReader = (field: Field): JsonReader | null => {
  const ast = withoutNull(field.ast)
  const schema = Schema.make<Decodable>(ast)
  if (SchemaAST.isBigInt(ast) && ast.encoding === undefined) return fitting(field, bigintReader(schema))
  if (field.type === "vector") return vectorReader(schema)
  const json = Schema.toCodecJson(schema)
  if (SchemaAST.isDeclaration(ast) && SchemaAST.isDeclaration(SchemaAST.toEncoded(json.ast))) return null
  const decode = fitting(field, codecReader(schema))
  const accepts = plain.get(ast)
  return accepts === undefined ? decode : (value) => accepts(value) ? Result.succeed(value) : decode(value)
}
