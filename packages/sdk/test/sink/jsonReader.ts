import type { ColumnType } from "../../src/Column.ts"

/** A number as it is written. */
export class Digits {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** Parses JSON; numbers keep their digits. */
export const parse = (text: string): unknown =>
  JSON.parse(text, (_: string, value: unknown, { source }: { source?: string } = {}) =>
    typeof value === "number" ? new Digits(source!) : value)

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

const own = (value: object, name: string): unknown => Object.getOwnPropertyDescriptor(value, name)?.value

/** What is wrong with a parsed JSON value as that of a value of a type, or null. */
export const difference = (type: ColumnType, value: any, read: any): string | null => {
  const wrong = (what: string) => `${what}: ${JSON.stringify(type)} was read as ${JSON.stringify(read)}`
  const same = (expected: unknown) => (Object.is(read, expected) ? null : wrong(String(expected)))
  const number = (isSame: (text: string) => boolean) => {
    if (typeof value === "number" && !Number.isFinite(value)) return same(null)
    return read instanceof Digits && isSame(read.text) ? null : wrong(String(value))
  }
  const float = (float32: number) => {
    const shortest = () =>
      Array.from({ length: 9 }, (_, i) => Number(float32.toPrecision(i + 1))).find((short) =>
        Math.fround(short) === float32
      )! * (Object.is(float32, -0) ? -1 : 1)
    return Number.isFinite(float32)
      ? read instanceof Digits && Object.is(Number(read.text), shortest()) ? null : wrong(String(float32))
      : same(null)
  }
  const all = (items: ReadonlyArray<unknown>, of: (item: any, read: any) => string | null) =>
    Array.isArray(read) && read.length === items.length
      ? items.map((item, i) => of(item, read[i])).find((problem) => problem !== null) ?? null
      : wrong(`${items.length} items`)
  if (value === null || value === undefined) return same(null)
  if (typeof type === "string") {
    switch (type) {
      case "string":
      case "boolean":
      case "day":
      case "uuid":
        return same(value)
      case "date":
        return same(value.toISOString())
      case "binary":
        return same(base64(value))
      case "json": {
        const digits = (item: unknown): unknown => parse(JSON.stringify(item))
        return JSON.stringify(digits(value)) === JSON.stringify(read) ? null : wrong("JSON")
      }
      case "vector":
        return all(Array.from(value as Float32Array), (item, readItem) => difference("float32", item, readItem))
      case "float32":
        return float(value)
      case "number":
        return number((text) => Object.is(Number(text), value))
      default:
        return number((text) => text === (Object.is(value, -0) ? "-0" : String(value)))
    }
  }
  switch (type.type) {
    case "decimal":
    case "timestamp":
    case "time":
      return same(value)
    case "fixed":
      return same(base64(value))
    case "list":
      return all(value, (item, readItem) => difference(type.element, item, readItem))
    case "map":
      return all(value, (item, readItem) =>
        difference(type.key, item.key, readItem?.key) ?? difference(type.value, item.value, readItem?.value))
    case "struct": {
      const names = JSON.stringify(type.fields.map(({ name }) => name))
      if (JSON.stringify(Object.keys(read)) !== names) return wrong("fields")
      const problems = type.fields.map((field) => difference(field.type, own(value, field.name), own(read, field.name)))
      return problems.find((problem) => problem !== null) ?? null
    }
  }
}
