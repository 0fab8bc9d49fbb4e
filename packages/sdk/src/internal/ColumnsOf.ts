/**
 * The columns that a schema of rows describes.
 *
 * @internal
 */
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import type { Column, ColumnType } from "../Column.ts"

/**
 * A property of a schema of rows: its name, its schema as written, and its column type.
 *
 * @internal
 */
export interface Field extends Column {
  readonly ast: SchemaAST.AST
  /** Whether a row may lack the value, or hold null in it. */
  readonly nullable: boolean
}

const isInteger = (ast: SchemaAST.Number): boolean => {
  const holds = (check: SchemaAST.Check<number>): boolean =>
    check._tag === "FilterGroup" ? check.checks.some(holds) : representationOf(check) === "effect/schema/isInt"
  return ast.checks?.some(holds) ?? false
}

const representationOf = (check: SchemaAST.Filter<number>): unknown => {
  const representation = check.annotations?.["representation"]
  return typeof representation === "object" && representation !== null && "id" in representation
    ? representation.id
    : undefined
}

const samples: ReadonlyArray<readonly [type: ColumnType | "other", value: unknown]> = [
  ["date", new Date(0)],
  ["binary", Buffer.alloc(0)],
  ["vector", new Float32Array(0)],
  ["other", new Float64Array(0)],
  ["other", new Map()],
  ["other", []],
  ["other", {}],
  ["other", ""]
]

/** A class is known by what it accepts; its own checks are left out. */
const ofDeclaration = (ast: SchemaAST.Declaration): ColumnType => {
  const accepts = Schema.is(Schema.make<Schema.Constraint>(new SchemaAST.Declaration(ast.typeParameters, ast.run)))
  const accepted = samples.filter(([, value]) => accepts(value)).map(([type]) => type)
  const only = accepted.length === 1 ? accepted[0]! : "other"
  return only === "other" ? "json" : only
}

const ofLiteral = (literal: SchemaAST.LiteralValue): ColumnType => {
  switch (typeof literal) {
    case "string":
      return "string"
    case "number":
      return Number.isSafeInteger(literal) && !Object.is(literal, -0) ? "integer" : "number"
    case "boolean":
      return "boolean"
    case "bigint":
      return "bigint"
  }
}

const isNullish = (ast: SchemaAST.AST): boolean =>
  SchemaAST.isNull(ast) || SchemaAST.isUndefined(ast) || (SchemaAST.isUnion(ast) && ast.types.every(isNullish))

const ofUnion = (ast: SchemaAST.Union, ofOthers: (ast: SchemaAST.AST) => ColumnType): ColumnType => {
  const members = ast.types.filter((member) => !isNullish(member))
  const [only] = members
  if (only !== undefined && members.length === 1) return typeOf(only, ofOthers)
  const types = new Set(members.map((member) => typeOf(member, () => "json")))
  if (types.size === 1) return [...types][0]!
  return types.size === 2 && types.has("integer") && types.has("number") ? "number" : "json"
}

/**
 * Values of several parts: structs, and lists of one kind of element. What holds JSON throughout is a column of JSON,
 * and so is what has no end.
 */
const nested = (ast: SchemaAST.AST): ColumnType => {
  switch (ast._tag) {
    case "Objects": {
      if (ast.indexSignatures.length > 0 || ast.propertySignatures.length === 0) return "json"
      const fields: Array<Column> = []
      for (const { name, type } of ast.propertySignatures) {
        if (typeof name !== "string") return "json"
        fields.push({ name, type: typeOf(type, nested) })
      }
      return { type: "struct", fields }
    }
    case "Arrays": {
      const parts = [...ast.elements, ...ast.rest]
      const types = parts.map((part) => typeOf(part, nested))
      const [element] = types
      return element === undefined || element === "json" || types.some((type) => !isSame(type, element))
        ? "json"
        : { type: "list", element }
    }
    default:
      return "json"
  }
}

const isSame = (a: ColumnType, b: ColumnType): boolean => JSON.stringify(a) === JSON.stringify(b)

/** The column type of a schema's values (the type side); `ofOthers` that of those which are of several parts. */
const typeOf = (ast: SchemaAST.AST, ofOthers: (ast: SchemaAST.AST) => ColumnType): ColumnType => {
  switch (ast._tag) {
    case "String":
    case "TemplateLiteral":
      return "string"
    case "Number":
      return isInteger(ast) ? "integer" : "number"
    case "Boolean":
      return "boolean"
    case "BigInt":
      return "bigint"
    case "Literal":
      return ofLiteral(ast.literal)
    case "Enum": {
      const types = new Set(ast.enums.map(([, value]) => ofLiteral(value)))
      return types.size === 1 ? [...types][0]! : "json"
    }
    case "Union":
      return ofUnion(ast, ofOthers)
    case "Declaration":
      return ofDeclaration(ast)
    default:
      return ofOthers(ast)
  }
}

const admitsNothing = (ast: SchemaAST.AST): boolean =>
  isNullish(ast) || (SchemaAST.isUnion(ast) && ast.types.some(admitsNothing))

/**
 * The fields of a schema of rows, of which all that has parts is `json`; null when it is not a `Schema.Struct` with
 * named properties, or transforms or checks the row as a whole.
 *
 * @internal
 */
export const fieldsOf = (schema: Schema.Constraint): ReadonlyArray<Field> | null => {
  const ast = schema.ast
  if (!SchemaAST.isObjects(ast) || ast.indexSignatures.length > 0) return null
  if (ast.encoding !== undefined || ast.checks !== undefined) return null
  const fields: Array<Field> = []
  for (const { name, type } of ast.propertySignatures) {
    if (typeof name !== "string") return null
    const values = SchemaAST.toType(type)
    fields.push({
      name,
      type: typeOf(values, () => "json"),
      ast: type,
      nullable: SchemaAST.isOptional(type) || admitsNothing(values)
    })
  }
  return fields
}

/**
 * The columns of the values that a struct schema describes, in its order: the type side, so `Schema.FiniteFromString`
 * is a number. Optional and nullable properties have the type of what they hold otherwise; structs are structs, arrays
 * of one kind of element lists. What is of several kinds, a record, or recursive is a `json` column. Null when the
 * schema is not a struct with named properties.
 *
 * @internal
 */
export const columnsOf = (schema: Schema.Constraint): ReadonlyArray<Column> | null => {
  const ast = SchemaAST.toType(schema.ast)
  if (!SchemaAST.isObjects(ast) || ast.indexSignatures.length > 0) return null
  const columns: Array<Column> = []
  for (const { name, type } of ast.propertySignatures) {
    if (typeof name !== "string") return null
    columns.push({ name, type: typeOf(type, nested) })
  }
  return columns
}
