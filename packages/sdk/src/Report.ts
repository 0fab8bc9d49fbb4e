/**
 * What a job, and what a run came to.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Counts } from "./Outcome.ts"
import { Format } from "./sink/Sink.ts"

const totals = {
  /** Counts of outcomes; they sum to the number of rows. */
  counts: Counts,
  /**
   * Rows that another try may mend: expired, missing, or failed on the service's side (429, 5xx), not because of what
   * was asked (400).
   */
  mendable: Schema.Natural,
  inputTokens: Schema.Natural,
  outputTokens: Schema.Natural
}

const lines = {
  /** Output lines for a record that had one already; of several the best counts. */
  duplicates: Schema.Natural,
  /** Output lines whose record id is none of the job's. */
  unknown: Schema.Natural,
  /** Output lines that are not JSON or have no record id. */
  malformed: Schema.Natural,
  /**
   * Calls on demand that may have been paid for and were made again, since a process died or no answer came: at most so
   * many.
   */
  repeatedCalls: Schema.Natural
}

/**
 * Schema for a number that Bedrock gives otherwise than its output lines do.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Difference = Schema.Struct({
  job: Schema.String,
  /** `counters` of the job's description, or the output's `manifest.json.out`. */
  from: Schema.Literals(["counters", "manifest"]),
  /** Records in the job; run; with a model's output; with an error. */
  what: Schema.Literals(["total", "processed", "succeeded", "failed"]),
  /** What Bedrock says. */
  bedrock: Schema.Natural,
  /** What was read: records that were sent, or lines. */
  read: Schema.Natural
})

/**
 * A number that Bedrock gives otherwise than its output lines do.
 *
 * @since 0.1.0
 * @category models
 */
export interface Difference extends Schema.Schema.Type<typeof Difference> {}

/**
 * Schema for what one job came to.
 *
 * @since 0.1.0
 * @category schemas
 */
export const JobReport = Schema.Struct({
  version: Schema.Literal(1),
  runId: Schema.String,
  job: Schema.String,
  /** 1 is the first. */
  attempt: Schema.Natural,
  status: Schema.String,
  format: Format,
  records: Schema.Natural,
  ...totals,
  /** What the job's records came to in this job; the other totals are those of its rows over all attempts. */
  own: Schema.Struct(totals),
  ...lines,
  differences: Schema.Array(Difference),
  /** Keys of the result files, in the order of the rows: one, or the parts. None for a job of a later attempt. */
  results: Schema.Array(Schema.String)
})

/**
 * What one job came to.
 *
 * @since 0.1.0
 * @category models
 */
export interface JobReport extends Schema.Schema.Type<typeof JobReport> {}

/**
 * Schema for what one attempt came to, by itself.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AttemptReport = Schema.Struct({
  attempt: Schema.Natural,
  jobs: Schema.Natural,
  records: Schema.Natural,
  ...totals,
  ...lines
})

/**
 * What one attempt came to, by itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface AttemptReport extends Schema.Schema.Type<typeof AttemptReport> {}

/**
 * Schema for `report.json`: what a run came to. Its presence makes the generation of results whole.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Report = Schema.Struct({
  version: Schema.Literal(1),
  runId: Schema.String,
  format: Format,
  records: Schema.Natural,
  /** Jobs of all attempts. */
  jobs: Schema.Natural,
  ...totals,
  ...lines,
  /** Where Bedrock's own numbers are not those of its output; empty when all agree. */
  differences: Schema.Array(Difference),
  /** What each attempt came to, in order; with one attempt, the same as the run. */
  attempts: Schema.Array(AttemptReport),
  /** Where the result files are; in the order of their names they hold the rows in input order. */
  results: Schema.String
})

/**
 * What a run came to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report extends Schema.Schema.Type<typeof Report> {}
