/**
 * How long each phase of a job takes, in emulated time.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"

/**
 * A job, as timings see it. `records` is 0 until validation has counted them.
 *
 * @since 0.1.0
 * @category models
 */
export interface TimedJob {
  readonly id: string
  readonly name: string
  readonly modelId: string
  readonly records: number
}

/**
 * A duration, or one that depends on the job.
 *
 * @since 0.1.0
 * @category models
 */
export type Span = Duration.Input | ((job: TimedJob) => Duration.Input)

/**
 * How long each phase takes. The defaults let a job of 2,500 records end in about a second.
 *
 * @since 0.1.0
 * @category models
 */
export interface Timing {
  /** In `Submitted`; default 50 ms. */
  readonly submitted?: Span | undefined
  /** In `Validating`; default 100 ms. */
  readonly validating?: Span | undefined
  /** In `Scheduled`, that is, in the queue; default 150 ms. */
  readonly queued?: Span | undefined
  /** For each record in `InProgress`, beside 100 ms for the job; default 0.2 ms. */
  readonly perRecord?: Duration.Input | undefined
  /** In `InProgress` as a whole; `perRecord` is then not looked at. */
  readonly running?: Span | undefined
  /** In `Stopping`; default 100 ms. */
  readonly stopping?: Span | undefined
}

const defaults = { submitted: 50, validating: 100, queued: 150, stopping: 100 } as const
const runningFloor = 100
const perRecord = 0.2

/**
 * Returns how long a phase of a job takes, in milliseconds.
 *
 * @since 0.1.0
 * @category getters
 */
export const millis = (
  timing: Timing,
  phase: "submitted" | "validating" | "queued" | "running" | "stopping",
  job: TimedJob
): number => {
  const span = timing[phase]
  if (span !== undefined) return Duration.toMillis(typeof span === "function" ? span(job) : span)
  if (phase !== "running") return defaults[phase]
  const each = timing.perRecord === undefined ? perRecord : Duration.toMillis(timing.perRecord)
  return runningFloor + each * job.records
}

/**
 * Timings that are close to what was observed of the real service in 2026: about five minutes until a job begins, then
 * some two seconds a record, at most six hours.
 *
 * @since 0.1.0
 * @category configuration
 */
export const realistic: Timing = {
  submitted: "20 seconds",
  validating: "100 seconds",
  queued: "180 seconds",
  running: ({ records }) => Math.min(60_000 + records * 2000, 6 * 3_600_000),
  stopping: "60 seconds"
}
