/**
 * The column types that Arrow fields have, and the fields that our own files have.
 *
 * @internal
 */
import * as Schema from "effect/Schema"
import { Column, type ColumnType } from "../Column.ts"
import type { ArrowField, ArrowSchema } from "./ArrowMessages.ts"

/**
 * The key of a schema's metadata that holds our columns as JSON. Files that others write lack it.
 *
 * @internal
 */
export const columnsKey = "bedrock-batch:columns"

/**
 * What makes a field's values of no column type.
 *
 * @internal
 */
export class NoColumnType {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

/**
 * Decimals of more digits are texts: Arrow has none.
 *
 * @internal
 */
export const mostDigits = 76

const isFloat32List = ({ children, type }: ArrowField): boolean => {
  const child = children[0]
  return (type.id === "list" || type.id === "fixed-list") && child !== undefined && child.dictionary === null &&
    child.type.id === "float" && child.type.bits !== 64
}

/** How a field is found below its column: the numbers of the children. */
type Path = string

const childPath = (path: Path, j: number): Path => `${path}/${j}`

const ofChild = (
  field: ArrowField,
  path: Path,
  hasNulls: (path: Path) => boolean,
  make: (element: ColumnType) => ColumnType
): ColumnType | NoColumnType => {
  const element = typeAt(field.children[0]!, childPath(path, 0), hasNulls)
  return element instanceof NoColumnType ? element : make(element)
}

const ofStruct = (
  fields: ReadonlyArray<ArrowField>,
  path: Path,
  hasNulls: (path: Path) => boolean
): ReadonlyArray<Column> | NoColumnType => {
  const columns: Array<Column> = []
  for (const [j, child] of fields.entries()) {
    if (columns.some(({ name }) => name === child.name)) {
      return new NoColumnType(`two fields of a struct have the name ${JSON.stringify(child.name)}`)
    }
    const type = typeAt(child, childPath(path, j), hasNulls)
    if (type instanceof NoColumnType) return type
    columns.push({ name: child.name, type })
  }
  return columns
}

const typeAt = (field: ArrowField, path: Path, hasNulls: (path: Path) => boolean): ColumnType | NoColumnType => {
  const { type } = field
  switch (type.id) {
    case "null":
      return "string"
    case "bool":
      return "boolean"
    case "int":
      if (type.bits === 64) return type.signed ? "bigint" : "uint64"
      return type.bits === 32
        ? type.signed ? "int32" : "uint32"
        : type.bits === 16
        ? type.signed ? "int16" : "uint16"
        : type.signed
        ? "int8"
        : "uint8"
    case "float":
      return type.bits === 64 ? "number" : "float32"
    case "utf8":
      return field.extension === "arrow.json" ? "json" : "string"
    case "binary":
      return "binary"
    case "fixed":
      return type.size === 16 && field.extension === "arrow.uuid" ? "uuid" : { type: "fixed", bytes: type.size }
    case "decimal":
      return { type: "decimal", precision: type.precision, scale: type.scale }
    case "date":
      return type.unit === "day" ? "day" : "date"
    case "time":
      return { type: "time", unit: type.unit }
    case "timestamp":
      return type.unit === "ms" && type.zone === "UTC"
        ? "date"
        : { type: "timestamp", unit: type.unit, zone: type.zone }
    case "list":
    case "fixed-list":
      return isFloat32List(field) && !hasNulls(childPath(path, 0))
        ? "vector"
        : ofChild(field, path, hasNulls, (element) => ({ type: "list", element }))
    case "struct": {
      const fields = ofStruct(field.children, path, hasNulls)
      return fields instanceof NoColumnType ? fields : { type: "struct", fields }
    }
    case "map": {
      const entry = ofStruct(
        field.children[0]!.children.map((child, j) => ({ ...child, name: j === 0 ? "key" : "value" })),
        childPath(path, 0),
        hasNulls
      )
      return entry instanceof NoColumnType ? entry : { type: "map", key: entry[0]!.type, value: entry[1]!.type }
    }
    case "union":
      return new NoColumnType("values of Arrow's type Union are not supported")
    case "unsupported":
      return new NoColumnType(`values of Arrow's type ${type.name} are not supported`)
  }
}

/**
 * The column type of a field's values. A list of float32 is a vector unless `hasNulls` says, of the path of its
 * elements (`/0` for those of the column's own list), that some are null.
 *
 * @internal
 */
export const columnTypeOf = (field: ArrowField, hasNulls: (path: string) => boolean): ColumnType | NoColumnType =>
  typeAt(field, "", hasNulls)

/**
 * Whether a field's values can be read as a column type.
 *
 * @internal
 */
export const fits = (columnType: ColumnType, field: ArrowField): boolean => {
  const { dictionary, type } = field
  if (dictionary !== null) return false
  if (typeof columnType === "string") {
    switch (columnType) {
      case "string":
      case "json":
        return type.id === "utf8"
      case "integer":
      case "bigint":
        return type.id === "int" && type.bits === 64 && type.signed
      case "number":
        return type.id === "float" && type.bits === 64
      case "date":
        return type.id === "timestamp" && type.unit === "ms" && type.zone === "UTC"
      case "uuid":
        return type.id === "fixed" && type.size === 16
      case "vector":
        return isFloat32List(field)
      default:
        return columnTypeOf(field, () => false) === columnType
    }
  }
  switch (columnType.type) {
    case "decimal":
      return columnType.precision > mostDigits
        ? type.id === "utf8"
        : type.id === "decimal" && type.precision === columnType.precision && type.scale === columnType.scale
    case "timestamp":
      return type.id === "timestamp" && type.unit === columnType.unit && type.zone === columnType.zone
    case "time":
      return type.id === "time" && type.unit === columnType.unit
    case "fixed":
      return type.id === "fixed" && type.size === columnType.bytes
    case "list":
      return (type.id === "list" || type.id === "fixed-list") && fits(columnType.element, field.children[0]!)
    case "struct":
      return type.id === "struct" && field.children.length === columnType.fields.length &&
        columnType.fields.every(({ name, type }, j) =>
          field.children[j]!.name === name && fits(type, field.children[j]!)
        )
    case "map": {
      if (type.id !== "map") return false
      const [key, value] = field.children[0]!.children
      return fits(columnType.key, key!) && fits(columnType.value, value!)
    }
  }
}

const decodeColumns = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Array(Column)))

/**
 * The columns that a schema's metadata names, or none where it is not one of ours.
 *
 * @internal
 */
export const columnsIn = (schema: ArrowSchema): ReadonlyArray<Column> => {
  const columns = decodeColumns(schema.metadata.get(columnsKey))
  return columns._tag === "Some" ? columns.value : []
}
