/**
 * Early advice: what the catalogue has to say against a run, as warnings in the log. Nothing is refused.
 *
 * @internal
 */
import { advice, type AdviceOptions } from "@bedrock-batch/processors/Catalogue"
import * as Effect from "effect/Effect"

/** Logs each piece of advice as a warning. @internal */
export const advise = (options: AdviceOptions): Effect.Effect<void> =>
  Effect.forEach(advice(options), ({ message }) => Effect.logWarning(message), { discard: true })
