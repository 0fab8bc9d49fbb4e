/**
 * From levels and values to the values of a row: lists, structs and maps are put together from their leaves.
 *
 * @internal
 */
import type { ColumnType } from "../../Column.ts"
import type { ColumnReader, LeafPlan } from "./ParquetColumn.ts"
import { convertTo } from "./ParquetConvert.ts"
import { ParquetFault } from "./ParquetFault.ts"
import type { Node } from "./ParquetTree.ts"

/**
 * A column as it is to be read: what to read of each leaf, and how to put it together.
 *
 * @internal
 */
export interface ColumnPlan {
  readonly leaves: ReadonlyArray<LeafPlan>
  /** Makes what takes the next rows from the readers of the leaves, as many as the rows that each has. */
  readonly take: (readers: ReadonlyArray<ColumnReader>) => (rows: number) => ReadonlyArray<unknown>
}

/** Takes the next value of a column from its readers. */
type Take = () => unknown

/** A part of a column; `make` is given the readers of its leaves. */
interface Part {
  readonly leaves: ReadonlyArray<LeafPlan>
  readonly make: (readers: ReadonlyArray<ColumnReader>) => Take
}

const disagree = (): never => {
  throw new ParquetFault("the parts of a nested column do not agree")
}

/** Passes over the entry of a value that is null, or of a list that is empty: the same in every leaf. */
const skip = (readers: ReadonlyArray<ColumnReader>, level: number): void => {
  for (const reader of readers) if (reader.definitions[reader.entryAt++] !== level) disagree()
}

/** What stands for no elements, by the level of the only entry: an empty list, or none at all. */
const without = <A>(
  { definition, optional }: Node & { readonly kind: "list" | "map" },
  level: number,
  empty: A
): A | null => {
  if (level === definition - 1) return empty
  return optional && level === definition - 2 ? null : disagree()
}

/** Whether an element of the list at this repetition level follows: the same in every leaf. */
const goesOn = (readers: ReadonlyArray<ColumnReader>, level: number): boolean => {
  const first = readers[0]!.repetitions[readers[0]!.entryAt]!
  for (const reader of readers) if (reader.repetitions[reader.entryAt] !== first) disagree()
  if (first > level) disagree()
  return first === level
}

const leafPart = (node: Node & { readonly kind: "leaf" }, type: ColumnType): Part | null => {
  const convert = convertTo(node, type)
  return convert && {
    leaves: [{ leaf: node, convert, floats: false, flat: false }],
    make: ([reader]) => {
      const { definition, optional } = node
      return () => {
        const level = reader!.definitions[reader!.entryAt++]!
        if (level === definition) return reader!.values[reader!.valueAt++]
        return optional && level === definition - 1 ? null : disagree()
      }
    }
  }
}

const vectorPart = (node: Node & { readonly kind: "list" }): Part | null => {
  const { definition, element, repetition } = node
  const convert = element.kind === "leaf" ? convertTo(element, "float32") : null
  if (convert === null || element.kind !== "leaf") return null
  const present = element.definition
  return {
    leaves: [{ leaf: element, convert, floats: true, flat: false }],
    make: ([reader]) => () => {
      const { definitions, repetitions, valueAt } = reader!
      let at = reader!.entryAt
      const level = definitions[at]!
      if (level < definition) {
        reader!.entryAt++
        return without(node, level, new Float32Array(0))
      }
      const start = at
      do {
        if (definitions[at] !== present) {
          throw new ParquetFault("an element of a vector is null; declare the column as an array of nullable numbers")
        }
        at++
      } while (repetitions[at] === repetition)
      reader!.entryAt = at
      reader!.valueAt = valueAt + at - start
      return reader!.floats.subarray(valueAt, valueAt + at - start)
    }
  }
}

/** A list of what `each` takes, one entry or more for each element. */
const listPart = (
  node: Node & { readonly kind: "list" | "map" },
  leaves: ReadonlyArray<LeafPlan>,
  each: (readers: ReadonlyArray<ColumnReader>) => Take
): Part => ({
  leaves,
  make: (readers) => {
    const { definition, repetition } = node
    const take = each(readers)
    const first = readers[0]!
    return () => {
      const level = first.definitions[first.entryAt]!
      if (level < definition) {
        skip(readers, level)
        return without(node, level, [])
      }
      const list: Array<unknown> = []
      do list.push(take()); while (goesOn(readers, repetition))
      return list
    }
  }
})

const setField = (object: Record<string, unknown>, name: string, value: unknown): void => {
  if (name !== "__proto__") object[name] = value
  else Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
}

const split = <A>(all: ReadonlyArray<A>, parts: ReadonlyArray<Part>): ReadonlyArray<ReadonlyArray<A>> => {
  let at = 0
  return parts.map(({ leaves }) => all.slice(at, at += leaves.length))
}

const allParts = (parts: ReadonlyArray<Part | null>): ReadonlyArray<Part> | null => {
  const whole: Array<Part> = []
  for (const part of parts) {
    if (part === null) return null
    whole.push(part)
  }
  return whole
}

const structPart = (
  { definition, optional }: Node & { readonly kind: "struct" },
  names: ReadonlyArray<string>,
  parts: ReadonlyArray<Part>
): Part => ({
  leaves: parts.flatMap(({ leaves }) => leaves),
  make: (readers) => {
    const own = split(readers, parts)
    const fields = parts.map(({ make }, j) => make(own[j]!))
    const first = readers[0]!
    return () => {
      const level = first.definitions[first.entryAt]!
      if (level < definition) {
        if (!optional || level !== definition - 1) disagree()
        skip(readers, level)
        return null
      }
      const object: Record<string, unknown> = {}
      for (let j = 0; j < fields.length; j++) setField(object, names[j]!, fields[j]!())
      return object
    }
  }
})

/** How a column is read as a type; null where it cannot be. */
const partOf = (node: Node, type: ColumnType): Part | null => {
  switch (node.kind) {
    case "leaf":
      return leafPart(node, type)
    case "struct": {
      if (typeof type !== "object" || type.type !== "struct" || type.fields.length !== node.fields.length) return null
      const names = node.fields.map(({ name }) => name)
      if (type.fields.some(({ name }, j) => name !== names[j])) return null
      const parts = allParts(node.fields.map((field, j) => partOf(field, type.fields[j]!.type)))
      return parts && structPart(node, names, parts)
    }
    case "list": {
      if (type === "vector") return vectorPart(node)
      const element = typeof type === "object" && type.type === "list" ? partOf(node.element, type.element) : null
      return element && listPart(node, element.leaves, element.make)
    }
    case "map": {
      if (typeof type !== "object" || type.type !== "map") return null
      const parts = allParts([partOf(node.key, type.key), partOf(node.value, type.value)])
      return parts && listPart(node, parts.flatMap(({ leaves }) => leaves), (readers) => {
        const own = split(readers, parts)
        const [key, value] = parts.map(({ make }, j) => make(own[j]!))
        return () => ({ key: key!(), value: value!() })
      })
    }
  }
}

/**
 * Plans how a column is read as a type; null where it cannot be read as that.
 *
 * @internal
 */
export const planColumn = (node: Node, type: ColumnType): ColumnPlan | null => {
  const part = partOf(node, type)
  if (part === null) return null
  if (node.kind === "leaf") {
    return {
      leaves: part.leaves.map((leaf) => ({ ...leaf, flat: true })),
      take: ([reader]) => (rows) => reader!.takeFlat(rows)
    }
  }
  return {
    leaves: part.leaves,
    take: (readers) => {
      const next = part.make(readers)
      return (rows) => {
        const values = new Array<unknown>(rows)
        for (let i = 0; i < rows; i++) {
          try {
            values[i] = next()
            goesOn(readers, 0)
          } catch (error) {
            throw readers[0]!.faultInRow(error, i)
          }
        }
        for (const reader of readers) reader.drop(rows)
        return values
      }
    }
  }
}
