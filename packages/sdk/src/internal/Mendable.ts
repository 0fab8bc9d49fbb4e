/**
 * Which records another try may mend: those that were not run, and those that failed on the service's side. What the
 * model refused to read will be refused again.
 *
 * @internal
 */
import type { Outcome } from "../Outcome.ts"

/** Statuses of the 4xx that speak of the moment, not of the request: timeout, conflict, failed model, too many. */
const moment: ReadonlySet<number> = new Set([408, 409, 424, 425, 429])

/** Names of errors that speak of the request; `ModelError` is a model that answered with an error of its own. */
const final =
  /^(ModelError|ValidationException|AccessDeniedException|ResourceNotFoundException|SerializationException)$/

const isPassing = (code: string): boolean => {
  const status = Number(code)
  return Number.isInteger(status) && status >= 400 && status < 500 ? moment.has(status) : !final.test(code)
}

/** @internal */
export const isMendable = (outcome: Outcome, code: string | null): boolean =>
  outcome === "expired" || outcome === "missing" || (outcome === "failed" && isPassing(code ?? ""))
