/**
 * What the embedding families check alike.
 *
 * @internal
 */
import type { ModelParameters } from "../Processor.ts"
import { checkNames } from "./Body.ts"

/**
 * Settings that an embedding family takes in its options, in the request's parameters, or the same in both.
 *
 * @internal
 */
export interface EmbeddingSettings {
  readonly dimensions?: number | undefined
  readonly normalize?: boolean | undefined
  readonly truncate?: ModelParameters["truncate"]
}

/** @internal */
export const truncations = ["none", "start", "end"] as const

const oneOf = (values: ReadonlyArray<string | number>): string =>
  `${values.slice(0, -1).join(", ")} or ${String(values.at(-1))}`

/**
 * Checks the parameters of a request to an embedding family, all but `more`: `lengths` are those that its vectors can
 * have.
 *
 * @internal
 */
export const checkSettings = (
  family: string,
  lengths: ReadonlyArray<number>,
  options: EmbeddingSettings,
  parameters: ModelParameters
): string | null => {
  const names = checkNames(parameters)
  if (names !== null) return names
  const dimensions = parameters.dimensions ?? options.dimensions
  if (dimensions !== undefined && !lengths.includes(dimensions)) {
    return `dimensions must be ${oneOf(lengths)}, not ${dimensions}`
  }
  const truncate = parameters.truncate ?? options.truncate
  if (truncate !== undefined && !truncations.includes(truncate)) {
    return `truncate must be ${oneOf(truncations)}, not ${String(truncate)}`
  }
  for (const key of ["dimensions", "normalize", "truncate"] as const) {
    if (parameters[key] !== undefined && options[key] !== undefined && parameters[key] !== options[key]) {
      return `${key} is ${options[key]} in the processor and ${parameters[key]} in the parameters; give it once`
    }
  }
  for (const key of ["maxTokens", "temperature", "topP", "stopSequences", "thinking"] as const) {
    if (parameters[key] !== undefined) return `${key} is a parameter of text models, ${family} has none`
  }
  return null
}
