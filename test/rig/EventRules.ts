/**
 * EventBridge's patterns: whether an event is one that a rule asks for. After
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html.
 */
import { BlockList } from "node:net"

type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }

/** An event pattern, as a rule has it. */
export type Pattern = { readonly [key: string]: Json }

const isRecord = (value: unknown): value is { readonly [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const unknown = (what: string): never => {
  throw new Error(`the rig knows no event pattern with ${what}`)
}

/** The values of a field: an array matches as any of its elements does. */
const valuesOf = (value: Json | undefined): ReadonlyArray<Json> =>
  value === undefined ? [] : Array.isArray(value) ? value : [value as Json]

const listOf = (operand: Json): ReadonlyArray<Json> => (Array.isArray(operand) ? operand : [operand as Json])

/** `*` stands for any text; a backslash takes a star or a backslash as it is. */
const wildcardOf = (pattern: string): RegExp => {
  const parts = pattern.match(/\\[*\\]|\*|[^*\\]+|\\/g) ?? []
  const escaped = parts.map((part) =>
    part === "*" ? ".*" : part.replace(/^\\([*\\])$/, "$1").replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")
  )
  return new RegExp(`^${escaped.join("")}$`, "s")
}

const compare: { readonly [operator: string]: (a: number, b: number) => boolean } = {
  "=": (a, b) => a === b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b
}

const numeric = (value: Json, operand: Json): boolean => {
  if (typeof value !== "number" || !Array.isArray(operand)) return false
  for (let i = 0; i < operand.length; i += 2) {
    const holds = compare[String(operand[i])] ?? unknown(`the numeric comparison ${JSON.stringify(operand[i])}`)
    if (!holds(value, Number(operand[i + 1]))) return false
  }
  return true
}

const inCidr = (value: Json, operand: Json): boolean => {
  if (typeof value !== "string") return false
  const [address = "", bits = ""] = String(operand).split("/")
  const block = new BlockList()
  block.addSubnet(address, Number(bits), address.includes(":") ? "ipv6" : "ipv4")
  return block.check(value, value.includes(":") ? "ipv6" : "ipv4")
}

/** Texts that a text is held against. `equals-ignore-case` may stand inside of `prefix` and `suffix`. */
const textMatches = (value: Json, operator: string, operand: Json): boolean => {
  if (typeof value !== "string") return false
  if (isRecord(operand)) {
    const folded = operand["equals-ignore-case"]
    if (typeof folded !== "string") return unknown(`${operator} of ${JSON.stringify(operand)}`)
    return textMatches(value.toLowerCase(), operator, folded.toLowerCase())
  }
  const text = String(operand)
  switch (operator) {
    case "prefix":
      return value.startsWith(text)
    case "suffix":
      return value.endsWith(text)
    case "wildcard":
      return wildcardOf(text).test(value)
    case "equals-ignore-case":
      return value.toLowerCase() === text.toLowerCase()
    default:
      return unknown(operator)
  }
}

/** Whether a value is none of those named. */
const anythingBut = (value: Json, operand: Json): boolean => {
  if (!isRecord(operand)) return !listOf(operand).includes(value)
  return Object.entries(operand).every(([operator, operands]) =>
    listOf(operands).every((one) => !textMatches(value, operator, one))
  )
}

/** Whether the values of a field satisfy one entry of a pattern's list. */
const entryMatches = (values: ReadonlyArray<Json>, isThere: boolean, entry: Json): boolean => {
  if (!isRecord(entry)) return values.includes(entry)
  return Object.entries(entry).every(([operator, operand]) => {
    switch (operator) {
      case "exists":
        return isThere === operand
      case "numeric":
        return values.some((value) => numeric(value, operand))
      case "cidr":
        return values.some((value) => inCidr(value, operand))
      case "anything-but":
        return isThere && values.every((value) => anythingBut(value, operand))
      default:
        return values.some((value) => textMatches(value, operator, operand))
    }
  })
}

const fieldMatches = (value: Json | undefined, pattern: Json): boolean => {
  if (Array.isArray(pattern)) {
    return pattern.some((entry) => entryMatches(valuesOf(value), value !== undefined, entry))
  }
  if (!isRecord(pattern)) return unknown(`${JSON.stringify(pattern)} where a list belongs`)
  if (Array.isArray(value)) return value.some((one) => fieldMatches(one, pattern))
  return matches(pattern, isRecord(value) ? value : {})
}

/** Whether an event matches a pattern. A pattern that the rig does not know is an error, not a mismatch. */
export const matches = (pattern: Pattern, event: unknown): boolean => {
  const fields = isRecord(event) ? event : {}
  return Object.entries(pattern).every(([name, wanted]) =>
    name === "$or" && Array.isArray(wanted)
      ? wanted.some((one) => (isRecord(one) ? matches(one, fields) : unknown("a $or that is no list of patterns")))
      : fieldMatches(fields[name], wanted)
  )
}
