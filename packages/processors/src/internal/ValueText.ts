/**
 * How the value of a column becomes text.
 *
 * @internal
 */

const maxDepth = 500

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64")

const isoDate = (date: Date): string | undefined => Number.isNaN(date.getTime()) ? undefined : date.toISOString()

// What `JSON.stringify` gives, but for bigints, dates and bytes; undefined where JSON leaves a member out.
const json = (value: unknown, ancestors: ReadonlyArray<object>): string | undefined => {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value)
    case "number":
      return Number.isFinite(value) ? String(value) : "null"
    case "bigint":
    case "boolean":
      return String(value)
    case "object":
      return value === null || ancestors.length === maxDepth || ancestors.includes(value)
        ? "null"
        : jsonObject(value, [...ancestors, value])
    default:
      return undefined
  }
}

const jsonObject = (value: object, ancestors: ReadonlyArray<object>): string | undefined => {
  try {
    if (value instanceof Date) {
      const iso = isoDate(value)
      return iso === undefined ? "null" : `"${iso}"`
    }
    if (value instanceof Uint8Array) return `"${base64(value)}"`
    if (Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))) {
      const items = Array.from(value as ArrayLike<unknown>, (item) => json(item, ancestors) ?? "null")
      return `[${items.join(",")}]`
    }
    if ("toJSON" in value && typeof value.toJSON === "function") return json(value.toJSON(), ancestors)
    const members: Array<string> = []
    for (const [key, member] of Object.entries(value)) {
      const text = json(member, ancestors)
      if (text !== undefined) members.push(`${JSON.stringify(key)}:${text}`)
    }
    return `{${members.join(",")}}`
  } catch {
    return "null"
  }
}

/** @internal */
export const valueText = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return value
    case "number":
    case "bigint":
    case "boolean":
      return String(value)
    case "object":
      if (value === null) return ""
      if (value instanceof Date) return isoDate(value) ?? ""
      if (value instanceof Uint8Array) return base64(value)
      return json(value, []) ?? ""
    default:
      return ""
  }
}
