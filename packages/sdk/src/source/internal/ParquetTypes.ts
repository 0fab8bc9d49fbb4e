/**
 * The types that our own Parquet files carry beside their schema.
 *
 * @internal
 */
import type { Column, ColumnType } from "../../Column.ts"

const same = (a: ColumnType, b: ColumnType): boolean => JSON.stringify(a) === JSON.stringify(b)

const isFloatList = (type: ColumnType): boolean =>
  typeof type === "object" && type.type === "list" && type.element === "float32"

const allFields = (
  fields: ReadonlyArray<Column>,
  others: ReadonlyArray<Column>,
  fits: (stored: ColumnType, found: ColumnType) => boolean
): boolean =>
  fields.length === others.length &&
  fields.every(({ name, type }, j) => name === others[j]!.name && fits(type, others[j]!.type))

/**
 * Whether a type that one of our own files carries for a column is what the file has of it: Parquet does not have all
 * our types.
 *
 * @internal
 */
export const fits = (stored: ColumnType, found: ColumnType): boolean => {
  if (same(stored, found)) return true
  if (stored === "integer") return found === "bigint"
  if (stored === "vector") return isFloatList(found)
  if (typeof stored !== "object") return false
  if (found === "vector") return isFloatList(stored)
  if (stored.type === "timestamp") {
    const zone = stored.zone === null ? null : "UTC"
    const unit = stored.unit === "s" ? "ms" : stored.unit
    return unit === "ms" && zone !== null ? found === "date" : same({ type: "timestamp", unit, zone }, found)
  }
  // Parquet has no structs without fields and no values without bytes.
  if (found === "json") return stored.type === "struct" && stored.fields.length === 0
  if (found === "binary") return stored.type === "fixed" && stored.bytes === 0
  if (typeof found !== "object") return false
  switch (stored.type) {
    case "time":
      return stored.unit === "s" && same({ type: "time", unit: "ms" }, found)
    case "decimal":
      return found.type === "decimal" && found.scale === Math.max(0, stored.scale) &&
        found.precision >= stored.precision
    case "list":
      return found.type === "list" && fits(stored.element, found.element)
    case "struct":
      return found.type === "struct" && allFields(stored.fields, found.fields, fits)
    case "map":
      return found.type === "map" && fits(stored.key, found.key) && fits(stored.value, found.value)
    default:
      return false
  }
}
