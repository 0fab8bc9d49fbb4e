/**
 * When to stop, so that the results are there at the deadline.
 *
 * @internal
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

/** What it takes to run the rest on demand: how long one call lasts, and how many are made at a time. @internal */
export interface Reserve {
  readonly perCallMillis: number
  readonly concurrency: number
}

/** What the cut-off depends on; times in milliseconds since 1970. @internal */
export interface Remaining {
  /** When the deadline was set. */
  readonly from: number
  readonly deadline: number
  /** Records that are not processed yet. */
  readonly remaining: number
  /** Null where the rest is not run on demand. */
  readonly reserve: Reserve | null
}

/** How long jobs take to stop and to write what they have, in milliseconds. */
const stopping = 10 * 60_000

/** The part of the whole time that is kept for the end at most. */
const share = 0.1

/**
 * The moment from which nothing more is submitted and open jobs are stopped: as long before the deadline as stopping
 * takes and the calls on demand for the remaining records, but not by more than a tenth of the time from `from` to the
 * deadline.
 *
 * @internal
 */
export const cutOff = ({ deadline, from, remaining, reserve }: Remaining): number => {
  const calls = reserve === null ? 0 : remaining * reserve.perCallMillis / reserve.concurrency
  return deadline - Math.min(stopping + calls, share * Math.max(0, deadline - from))
}

/** A deadline in milliseconds since 1970: a duration counts from `from`; NaN for what is none. @internal */
export const deadlineOf = (deadline: Duration.Input | Date, from: number): number => {
  if (deadline instanceof Date) return deadline.getTime()
  // A duration of NaN would count as none at all.
  if (Number.isNaN(deadline)) return NaN
  const millis = Option.getOrElse(Option.map(Duration.fromInput(deadline), Duration.toMillis), () => NaN)
  return millis >= 0 ? from + millis : NaN
}
