/**
 * The values of rows from memory: which column type they have, and whether they fit one.
 *
 * @internal
 */
import type { ColumnType, ParametricType } from "../../Column.ts"

/**
 * What a value by itself would make of its column. `integer` is a number that would fit an integer column.
 *
 * @internal
 */
export const kindOf = (value: unknown): ColumnType => {
  switch (typeof value) {
    case "string":
      return "string"
    case "number":
      return Number.isSafeInteger(value) && !Object.is(value, -0) ? "integer" : "number"
    case "boolean":
      return "boolean"
    case "bigint":
      return "bigint"
    default:
      if (value instanceof Date) return "date"
      if (value instanceof Float32Array) return "vector"
      return value instanceof Uint8Array ? "binary" : "json"
  }
}

/**
 * The type of a column that holds values of both types.
 *
 * @internal
 */
export const common = (a: ColumnType | null, b: ColumnType): ColumnType => {
  if (a === null || a === b) return b
  return (a === "integer" && b === "number") || (a === "number" && b === "integer") ? "number" : "json"
}

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}

/** What in a value JSON cannot hold, or null. Undefined properties are left out by JSON, so they are no fault. */
const notJson = (value: unknown, depth: number): string | null => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return null
    case "number":
      return Number.isFinite(value) ? null : "a number that is not finite"
    case "object": {
      if (value === null) return null
      if (depth > 100) return "a value nested too deeply, or in itself"
      if (Array.isArray(value)) {
        for (const element of value) {
          const fault = notJson(element, depth + 1)
          if (fault !== null) return fault
        }
        return null
      }
      if (!isPlain(value)) return `an object of class ${value.constructor?.name ?? "unknown"}`
      for (const member of Object.values(value)) {
        const fault = member === undefined ? null : notJson(member, depth + 1)
        if (fault !== null) return fault
      }
      return null
    }
    default:
      return `a value of type ${typeof value}`
  }
}

const lowest = -(2n ** 63n)
const highest = 2n ** 63n - 1n

/**
 * Why a value (not null) does not fit a column, or null if it does.
 *
 * @internal
 */
export const misfit = (type: ColumnType, value: unknown): string | null => {
  switch (type) {
    case "integer":
      return typeof value === "number" && Number.isSafeInteger(value) ? null : "expected a safe integer"
    case "bigint":
      if (typeof value !== "bigint") return "expected a bigint"
      return value >= lowest && value <= highest ? null : "the bigint does not fit 64 bits; convert it to a string"
    case "date":
      if (!(value instanceof Date)) return "expected a Date"
      return Number.isNaN(value.getTime()) ? "the Date is invalid" : null
    case "binary":
      return value instanceof Uint8Array ? null : "expected a Uint8Array"
    case "vector":
      return value instanceof Float32Array ? null : "expected a Float32Array"
    case "json": {
      const fault = notJson(value, 0)
      return fault === null ? null : `the column holds JSON, and the value has ${fault}; convert it`
    }
    default:
      return typeof type === "object" ? misfitWithin(type, value) : typeof value === type ? null : `expected a ${type}`
  }
}

const misfitAt = (place: string, type: ColumnType, value: unknown): string | null => {
  const fault = value === null || value === undefined ? null : misfit(type, value)
  return fault === null ? null : fault.startsWith("at ") ? `at ${place}${fault.slice(3)}` : `at ${place}: ${fault}`
}

/** A value of a type that has parameters; those that only files have are taken as they come. */
const misfitWithin = (type: ParametricType, value: unknown): string | null => {
  switch (type.type) {
    case "list": {
      if (!Array.isArray(value)) return "expected an array"
      for (let i = 0; i < value.length; i++) {
        const fault = misfitAt(`[${i}]`, type.element, value[i])
        if (fault !== null) return fault
      }
      return null
    }
    case "struct": {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return "expected an object"
      for (const { name, type: field } of type.fields) {
        const held: unknown = Object.hasOwn(value, name) ? Reflect.get(value, name) : null
        const fault = misfitAt(`[${JSON.stringify(name)}]`, field, held)
        if (fault !== null) return fault
      }
      return null
    }
    default:
      return null
  }
}

const base64 = (value: ArrayBufferView): string =>
  Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64")

/**
 * A text that differs for values that differ, of a column whose type is known: for digests.
 *
 * @internal
 */
export const tagged = (type: ColumnType, value: unknown): string => {
  if (value === null) return "null"
  switch (type) {
    case "number":
    case "integer":
      return Object.is(value, -0) ? "-0" : String(value)
    case "bigint":
      return `${String(value)}n`
    case "date":
      return `d${value instanceof Date ? value.getTime() : ""}`
    case "binary":
    case "vector":
      return ArrayBuffer.isView(value) ? `b${base64(value)}` : ""
    default:
      return JSON.stringify(value)
  }
}
