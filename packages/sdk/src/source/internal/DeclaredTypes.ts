/**
 * The types as which the columns of typed files are read that `columns` declares.
 *
 * @internal
 */
import * as SchemaAST from "effect/SchemaAST"
import * as Schema from "effect/Schema"
import type { ColumnType } from "../../Column.ts"
import type { Field } from "../../internal/ColumnsOf.ts"
import { withoutNull } from "./CellReader.ts"

const kindOf = (type: ColumnType): string => (typeof type === "object" ? type.type : type)

const same = (a: ColumnType, b: ColumnType): boolean => JSON.stringify(a) === JSON.stringify(b)

const isFloatList = (type: ColumnType): boolean => same(type, { type: "list", element: "float32" })

const whole = new Set(["int8", "int16", "int32", "uint8", "uint16", "uint32", "integer"])
const wide = new Set(["bigint", "uint64"])
const numeric = new Set([...whole, "float32", "number"])
const texts = new Set(["string", "day", "uuid", "decimal", "timestamp", "time"])

const asList = (found: ColumnType): ColumnType =>
  found === "vector" ? { type: "list", element: "float32" } : found

const ofArrays = (ast: SchemaAST.Arrays, found: ColumnType): ColumnType => {
  const list = asList(found)
  const element = ast.elements.length === 0 && ast.rest.length === 1 ? ast.rest[0]! : null
  if (typeof list !== "object" || element === null) return list
  if (list.type === "list") return { type: "list", element: declared(element, list.element) ?? list.element }
  const entry = withoutNull(element)
  if (list.type !== "map" || !SchemaAST.isObjects(entry)) return list
  const property = (name: string, type: ColumnType): ColumnType => {
    const signature = entry.propertySignatures.find((property) => property.name === name)
    return signature === undefined ? type : declared(signature.type, type) ?? type
  }
  return { type: "map", key: property("key", list.key), value: property("value", list.value) }
}

const ofObjects = (ast: SchemaAST.Objects, found: ColumnType): ColumnType => {
  if (typeof found !== "object" || found.type !== "struct") return found
  const types = new Map(ast.propertySignatures.map(({ name, type }) => [name, type]))
  return {
    type: "struct",
    fields: found.fields.map(({ name, type }) => {
      const schema = types.get(name)
      return { name, type: schema === undefined ? type : declared(schema, type) ?? type }
    })
  }
}

/** The type as which a column is read whose values a schema describes; null where it has no such values. */
const declared = (schema: SchemaAST.AST, found: ColumnType): ColumnType | null => {
  const ast = withoutNull(schema)
  switch (ast._tag) {
    case "Arrays":
      return ofArrays(ast, found)
    case "Objects":
      return ofObjects(ast, found)
    default:
      return asScalar(scalarOf(ast), found)
  }
}

const samples: ReadonlyArray<readonly [type: ColumnType, value: unknown]> = [
  ["date", new Date(0)],
  ["binary", Buffer.alloc(0)],
  ["vector", new Float32Array(0)]
]

/** What the values of a schema within a column are; json stands for what cannot be told. */
const scalarOf = (ast: SchemaAST.AST): ColumnType => {
  switch (ast._tag) {
    case "String":
    case "TemplateLiteral":
      return "string"
    case "Number":
      return ast === Schema.Int.ast ? "integer" : "number"
    case "Boolean":
      return "boolean"
    case "BigInt":
      return "bigint"
    case "Declaration": {
      const accepts = Schema.is(Schema.make<Schema.Constraint>(ast))
      const accepted = samples.filter(([, value]) => accepts(value))
      return accepted.length === 1 ? accepted[0]![0] : "json"
    }
    default:
      return "json"
  }
}

const asScalar = (wanted: ColumnType, found: ColumnType): ColumnType | null => {
  const kind = kindOf(found)
  switch (wanted) {
    case "string":
      if (kind === "json") return "string"
      if (kind === "date") return { type: "timestamp", unit: "ms", zone: "UTC" }
      return texts.has(kind) ? found : null
    case "integer":
      return wide.has(kind) ? "integer" : numeric.has(kind) ? found : null
    case "number":
      return wide.has(kind) ? "number" : numeric.has(kind) ? found : null
    case "bigint":
      return whole.has(kind) ? "bigint" : wide.has(kind) ? found : null
    case "date":
      return kind === "timestamp" || kind === "day" ? "date" : kind === "date" ? found : null
    case "binary":
      return kind === "binary" || kind === "fixed" ? found : null
    case "vector":
      return found === "vector" || isFloatList(found) || same(found, { type: "list", element: "number" })
        ? "vector"
        : null
    case "boolean":
      return kind === "boolean" ? found : null
    default:
      return found
  }
}

/**
 * The type as which a declared column is read, given the one that the file has; null where the file's values cannot be
 * those of the schema.
 *
 * @internal
 */
export const declaredType = (field: Field, found: ColumnType): ColumnType | null => {
  const ast = withoutNull(SchemaAST.toType(field.ast))
  return SchemaAST.isArrays(ast) || SchemaAST.isObjects(ast) ? declared(ast, found) : asScalar(field.type, found)
}

const guaranteeing: { readonly [tag: string]: ReadonlySet<string> } = {
  String: texts,
  Number: numeric,
  Boolean: new Set(["boolean"]),
  BigInt: wide
}

/**
 * Whether every value of a column type is one of the schema, so that none needs to be looked at.
 *
 * @internal
 */
export const isGuaranteed = (field: Field, type: ColumnType): boolean => {
  const ast = withoutNull(SchemaAST.toType(field.ast))
  const kind = kindOf(type)
  if (ast === Schema.Int.ast || ast === Schema.Finite.ast) return whole.has(kind)
  if (ast === Schema.Date.ast) return kind === "date"
  if (ast === Schema.Uint8Array.ast) return kind === "binary" || kind === "fixed"
  return ast.checks === undefined && (guaranteeing[ast._tag]?.has(kind) ?? false)
}
