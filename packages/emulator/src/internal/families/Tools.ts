/**
 * Tools in the format of OpenAI, which Mistral's is, too.
 *
 * @internal
 */
import { elements, member } from "../../Json.ts"

/** @internal */
export interface Tool {
  readonly name: string
  readonly schema: unknown
}

/**
 * The tool of a name, or the first one; null where there is none.
 *
 * @internal
 */
export const toolOf = (tools: unknown, name?: unknown): Tool | null => {
  for (const tool of elements(tools)) {
    const called = member(member(tool, "function"), "name")
    if (typeof called === "string" && (name === undefined || called === name)) {
      return { name: called, schema: member(member(tool, "function"), "parameters") ?? { type: "object" } }
    }
  }
  return null
}

/**
 * A call of a tool; its arguments are JSON in a text.
 *
 * @internal
 */
export const toolCall = (name: string, argumentsText: string, id: string) => ({
  id,
  type: "function",
  function: { name, arguments: argumentsText }
})
