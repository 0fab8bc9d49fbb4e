/**
 * The shape of an answer as an instruction, for models that are told of it in no other way.
 *
 * @internal
 */
import type { OutputFormat } from "../Processor.ts"
import type { RenderedTurn } from "../Prompt.ts"

const texts = new WeakMap<object, string>()

/** A JSON Schema as text; made once for each. @internal */
export const schemaText = ({ schema }: OutputFormat): string => {
  const made = texts.get(schema) ?? JSON.stringify(schema)
  texts.set(schema, made)
  return made
}

/** What the model is told. @internal */
export const instruction = (output: OutputFormat): string =>
  "Answer with one JSON object and nothing else: no words before or after it, and no code fence. " +
  `The object must match this JSON Schema:\n${schemaText(output)}`

/** The turns with the instruction at the end of the last user turn. @internal */
export const instructed = (turns: ReadonlyArray<RenderedTurn>, output: OutputFormat): ReadonlyArray<RenderedTurn> => {
  const last = turns.findLastIndex(({ role }) => role === "user")
  return turns.map((turn, index) => {
    if (index !== last) return turn
    const content = turn.content === "" ? instruction(output) : `${turn.content}\n\n${instruction(output)}`
    return { ...turn, content }
  })
}
