/**
 * Early advice: what the catalogue has to say against a run, as warnings in the log. Nothing is refused.
 *
 * @internal
 */
import { advice, type AdviceKind, type AdviceOptions } from "@bedrock-batch/processors/Catalogue"
import type { ModelParameters } from "@bedrock-batch/processors/Processor"
import * as Effect from "effect/Effect"

/** Logs each piece of advice as a warning. @internal */
export const advise = (options: AdviceOptions): Effect.Effect<void> =>
  Effect.forEach(advice(options), ({ message }) => Effect.logWarning(message), { discard: true })

const ofParameters: ReadonlySet<AdviceKind> = new Set(["temperature-with-top-p", "no-sampling", "max-tokens"])

/**
 * Gives what has advice on the parameters of a row: each kind once, and none that the run's `own` parameters have got
 * already. Rows are counted from 0.
 *
 * @internal
 */
export const rowAdvice = (of: Omit<AdviceOptions, "parameters">, own: ModelParameters) => {
  const about = (parameters: ModelParameters) =>
    advice({ ...of, parameters }).filter(({ kind }) => ofParameters.has(kind))
  const told = new Set(about(own).map(({ kind }) => kind))
  return (parameters: ModelParameters, row: number): ReadonlyArray<string> => {
    const found = about(parameters).filter(({ kind }) => !told.has(kind))
    for (const { kind } of found) told.add(kind)
    return found.map(({ message }) => `row ${row + 1}: ${message}`)
  }
}
