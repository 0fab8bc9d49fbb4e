/**
 * The schema of a Parquet file: a tree of columns, and the type that each has by its annotations.
 *
 * @internal
 */
import type { FileMetaData, ParquetType, SchemaElement } from "hyparquet"
import type { Column, ColumnType } from "../../Column.ts"
import { ParquetFault } from "./ParquetFault.ts"

/**
 * A column of values, without columns in it.
 *
 * @internal
 */
export interface Leaf {
  readonly kind: "leaf"
  readonly name: string
  readonly optional: boolean
  /** The position among all leaves of the file. */
  readonly index: number
  /** Names from the column down. */
  readonly path: ReadonlyArray<string>
  readonly physical: ParquetType
  /** Bytes of a value, where all have as many. */
  readonly width: number
  readonly type: ColumnType
  /** Whether it is said to hold nulls alone. */
  readonly nothing: boolean
  /** The definition level of a value that is not null, and the repetition level of the innermost list around it. */
  readonly definition: number
  readonly repetition: number
}

/**
 * A column with columns in it. `definition` is the level of a group that is not null; of a list and a map it is the
 * level at which there is an element.
 *
 * @internal
 */
export type Node =
  | Leaf
  | {
    readonly kind: "struct"
    readonly name: string
    readonly optional: boolean
    readonly definition: number
    readonly fields: ReadonlyArray<Node>
  }
  | {
    readonly kind: "list"
    readonly name: string
    readonly optional: boolean
    readonly definition: number
    readonly repetition: number
    readonly element: Node
  }
  | {
    readonly kind: "map"
    readonly name: string
    readonly optional: boolean
    readonly definition: number
    readonly repetition: number
    readonly key: Node
    readonly value: Node
  }

/**
 * The columns of a file, and all their leaves in the order in which row groups hold them.
 *
 * @internal
 */
export interface Tree {
  readonly columns: ReadonlyArray<Node>
  readonly leaves: ReadonlyArray<Leaf>
}

/** Levels are kept in a byte each. */
const maxDepth = 100

const widths: { readonly [P in ParquetType]: number } = {
  BOOLEAN: 1,
  INT32: 4,
  INT64: 8,
  INT96: 12,
  FLOAT: 4,
  DOUBLE: 8,
  BYTE_ARRAY: 0,
  FIXED_LEN_BYTE_ARRAY: 0
}

const units = { MILLIS: "ms", MICROS: "us", NANOS: "ns" } as const

const integers: { readonly [bits: string]: ColumnType } = {
  "INT32 8 true": "int8",
  "INT32 16 true": "int16",
  "INT32 32 true": "int32",
  "INT32 8 false": "uint8",
  "INT32 16 false": "uint16",
  "INT32 32 false": "uint32",
  "INT64 64 true": "bigint",
  "INT64 64 false": "uint64"
}

const timestamp = (unit: "ms" | "us" | "ns", utc: boolean): ColumnType =>
  unit === "ms" && utc ? "date" : { type: "timestamp", unit, zone: utc ? "UTC" : null }

const plainType = (physical: ParquetType, width: number): ColumnType => {
  switch (physical) {
    case "BOOLEAN":
      return "boolean"
    case "INT32":
      return "int32"
    case "INT64":
      return "bigint"
    case "INT96":
      return { type: "timestamp", unit: "ns", zone: null }
    case "FLOAT":
      return "float32"
    case "DOUBLE":
      return "number"
    case "BYTE_ARRAY":
      return "binary"
    case "FIXED_LEN_BYTE_ARRAY":
      return { type: "fixed", bytes: width }
  }
}

const isCount = (value: unknown): value is number => typeof value === "number" && Number.isSafeInteger(value)

const decimal = (physical: ParquetType, precision: unknown, scale: unknown): ColumnType | null => {
  if (physical === "BOOLEAN" || physical === "INT96" || physical === "FLOAT" || physical === "DOUBLE") return null
  if (!isCount(precision) || precision < 1 || !isCount(scale ?? 0) || Math.abs(Number(scale ?? 0)) > 1_000_000) {
    throw new ParquetFault("a decimal column has no precision, or a damaged scale")
  }
  return { type: "decimal", precision, scale: Number(scale ?? 0) }
}

/** The type by the newer annotation; null where there is none that fits. */
const logicalType = (element: SchemaElement, physical: ParquetType, width: number): ColumnType | null => {
  const logical = element.logical_type
  switch (logical?.type) {
    case "STRING":
    case "ENUM":
      return physical === "BYTE_ARRAY" ? "string" : null
    case "JSON":
      return physical === "BYTE_ARRAY" ? "json" : null
    case "UUID":
      return physical === "FIXED_LEN_BYTE_ARRAY" && width === 16 ? "uuid" : null
    case "FLOAT16":
      return physical === "FIXED_LEN_BYTE_ARRAY" && width === 2 ? "float32" : null
    case "DATE":
      return physical === "INT32" ? "day" : null
    case "DECIMAL":
      return decimal(physical, logical.precision, logical.scale)
    case "TIME": {
      const unit = units[logical.unit]
      return physical === (unit === "ms" ? "INT32" : "INT64") ? { type: "time", unit } : null
    }
    case "TIMESTAMP":
      return physical === "INT64" ? timestamp(units[logical.unit], logical.isAdjustedToUTC === true) : null
    case "INTEGER":
      return integers[`${physical} ${logical.bitWidth} ${logical.isSigned}`] ?? null
    default:
      return null
  }
}

/** The type by the older annotation. */
const convertedType = (element: SchemaElement, physical: ParquetType): ColumnType | null => {
  const converted = element.converted_type
  switch (converted) {
    case "UTF8":
    case "ENUM":
      return physical === "BYTE_ARRAY" ? "string" : null
    case "JSON":
      return physical === "BYTE_ARRAY" ? "json" : null
    case "DATE":
      return physical === "INT32" ? "day" : null
    case "DECIMAL":
      return decimal(physical, element.precision, element.scale)
    case "TIME_MILLIS":
      return physical === "INT32" ? { type: "time", unit: "ms" } : null
    case "TIME_MICROS":
      return physical === "INT64" ? { type: "time", unit: "us" } : null
    case "TIMESTAMP_MILLIS":
      return physical === "INT64" ? "date" : null
    case "TIMESTAMP_MICROS":
      return physical === "INT64" ? timestamp("us", true) : null
    default: {
      const parts = /^(U?)INT_(\d+)$/.exec(converted ?? "")
      return parts === null ? null : integers[`${physical} ${parts[2]} ${parts[1] === ""}`] ?? null
    }
  }
}

const annotation = (element: SchemaElement): "list" | "map" | null => {
  const { converted_type: converted, logical_type: logical } = element
  if (logical?.type === "LIST" || converted === "LIST") return "list"
  return logical?.type === "MAP" || converted === "MAP" || converted === "MAP_KEY_VALUE" ? "map" : null
}

/** An element with the elements in it. */
interface Group {
  readonly element: SchemaElement
  readonly children: ReadonlyArray<Group>
}

const grouped = (elements: ReadonlyArray<SchemaElement>): Group => {
  let next = 0
  const take = (depth: number): Group => {
    const element = elements[next++]
    if (element === undefined) throw new ParquetFault("the schema ends before its last column")
    if (depth > maxDepth) throw new ParquetFault(`columns are nested more than ${maxDepth} times`)
    const count = element.num_children ?? 0
    if (!isCount(count) || count < 0 || count > elements.length) throw new ParquetFault("the schema is damaged")
    const children: Array<Group> = []
    while (children.length < count) children.push(take(depth + 1))
    const names = new Set(children.map((child) => child.element.name))
    if (names.size < children.length) {
      const seen = new Set<string>()
      const name = children.find((child) => seen.size === seen.add(child.element.name).size)?.element.name
      throw new ParquetFault(
        "two columns have this name; rename one of them where the file is written",
        depth === 0 ? { column: name } : {}
      )
    }
    return { element, children }
  }
  const root = take(0)
  if (next < elements.length) throw new ParquetFault("the schema goes on after its last column")
  return root
}

/** Where a column lies: the levels around it and the names down to it. */
interface Above {
  readonly definition: number
  readonly repetition: number
  readonly path: ReadonlyArray<string>
}

class TreeBuilder {
  readonly leaves: Array<Leaf> = []

  /** A column. A repeated one that no list or map contains is a list of its own. */
  column(group: Group, above: Above): Node {
    const { element } = group
    if (element.repetition_type !== "REPEATED") return this.single(group, above)
    const inside = this.inside(group, above)
    return {
      kind: "list",
      name: element.name,
      optional: false,
      definition: inside.definition,
      repetition: inside.repetition,
      element: this.content(group, inside, false)
    }
  }

  private inside({ element }: Group, above: Above): Above {
    return {
      definition: above.definition + (element.repetition_type === "REQUIRED" ? 0 : 1),
      repetition: above.repetition + (element.repetition_type === "REPEATED" ? 1 : 0),
      path: [...above.path, element.name]
    }
  }

  private single(group: Group, above: Above): Node {
    const { element } = group
    const inside = this.inside(group, above)
    const optional = element.repetition_type !== "REQUIRED"
    const kind = group.children.length === 1 ? annotation(element) : null
    const child = group.children[0]
    if (kind === null || child?.element.repetition_type !== "REPEATED") return this.content(group, inside, optional)
    const each = this.inside(child, inside)
    const outer = { name: element.name, optional, definition: each.definition, repetition: each.repetition }
    if (kind === "map" && child.children.length === 2) {
      const [key, value] = child.children
      return { kind, ...outer, key: this.column(key!, each), value: this.column(value!, each) }
    }
    const only = child.children.length === 1 ? child.children[0]! : null
    // Of older writers, the repeated group is the element itself.
    const isElement = only === null || (kind === "list" && (only.element.repetition_type === "REPEATED" ||
      child.element.name === "array" || child.element.name === `${element.name}_tuple`))
    return {
      kind: "list",
      ...outer,
      element: isElement ? this.element(child, inside, each) : this.column(only, each)
    }
  }

  /** A repeated column as the element of the list around it; it may be a list or a map itself. */
  private element(group: Group, above: Above, inside: Above): Node {
    const nested = group.children.length === 1 && annotation(group.element) !== null &&
      group.children[0]!.element.repetition_type === "REPEATED"
    if (!nested) return this.content(group, inside, false)
    const required: Group = { element: { ...group.element, repetition_type: "REQUIRED" }, children: group.children }
    return this.single(required, { ...inside, path: above.path })
  }

  /** What a column holds, whatever its repetition. */
  private content({ children, element }: Group, inside: Above, optional: boolean): Node {
    const { name } = element
    const { definition, path, repetition } = inside
    if (children.length > 0) {
      const fields = children.map((child) => this.column(child, inside))
      return { kind: "struct", name, optional, definition, fields }
    }
    const physical = element.type
    const fixed = physical === "FIXED_LEN_BYTE_ARRAY"
    if (physical === undefined || (fixed && !(isCount(element.type_length) && element.type_length > 0))) {
      throw new ParquetFault("the column has no type", { column: path[0] })
    }
    const width = fixed ? element.type_length! : widths[physical]
    const leaf: Leaf = {
      kind: "leaf",
      name,
      optional,
      index: this.leaves.length,
      path,
      physical,
      width,
      type: logicalType(element, physical, width) ?? convertedType(element, physical) ?? plainType(physical, width),
      nothing: element.logical_type?.type === "NULL",
      definition,
      repetition
    }
    this.leaves.push(leaf)
    return leaf
  }
}

/**
 * The columns of a file. Throws a `ParquetFault`.
 *
 * @internal
 */
export const makeTree = ({ schema }: Pick<FileMetaData, "schema">): Tree => {
  const root = grouped(schema)
  const builder = new TreeBuilder()
  const above: Above = { definition: 0, repetition: 0, path: [] }
  const columns = root.children.map((child) => builder.column(child, above))
  return { columns, leaves: builder.leaves }
}

/**
 * The leaves of a column.
 *
 * @internal
 */
export const leavesOf = (node: Node): ReadonlyArray<Leaf> => {
  switch (node.kind) {
    case "leaf":
      return [node]
    case "struct":
      return node.fields.flatMap(leavesOf)
    case "list":
      return leavesOf(node.element)
    case "map":
      return [...leavesOf(node.key), ...leavesOf(node.value)]
  }
}

/**
 * Where a list of floats lies in its column, by field names alone: the same in files whose writers name the groups of
 * lists differently.
 */
type Place = string

/**
 * The places of lists of float32 and their elements.
 *
 * @internal
 */
export const floatLists = (node: Node, place: Place = ""): ReadonlyArray<readonly [Place, Leaf]> => {
  switch (node.kind) {
    case "leaf":
      return []
    case "struct":
      return node.fields.flatMap((field) => floatLists(field, `${place}.${JSON.stringify(field.name)}`))
    case "list":
      return node.element.kind === "leaf"
        ? node.element.type === "float32" ? [[place, node.element]] : []
        : floatLists(node.element, `${place}[]`)
    case "map":
      return [...floatLists(node.key, `${place}<key>`), ...floatLists(node.value, `${place}<value>`)]
  }
}

/**
 * The type of a column by its annotations; a list of float32 is a vector where `isVector` says so of its place.
 *
 * @internal
 */
export const typeOf = (node: Node, isVector: (place: Place) => boolean, place: Place = ""): ColumnType => {
  switch (node.kind) {
    case "leaf":
      return node.type
    case "struct":
      return {
        type: "struct",
        fields: node.fields.map((field): Column => ({
          name: field.name,
          type: typeOf(field, isVector, `${place}.${JSON.stringify(field.name)}`)
        }))
      }
    case "list":
      return node.element.kind === "leaf" && node.element.type === "float32" && isVector(place)
        ? "vector"
        : { type: "list", element: typeOf(node.element, isVector, `${place}[]`) }
    case "map":
      return {
        type: "map",
        key: typeOf(node.key, isVector, `${place}<key>`),
        value: typeOf(node.value, isVector, `${place}<value>`)
      }
  }
}
