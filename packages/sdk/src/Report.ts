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
  /** Output lines for a record that had one already; of several the best counts. */
  duplicates: Schema.Natural,
  /** Output lines whose record id is none of the job's. */
  unknown: Schema.Natural,
  /** Output lines that are not JSON or have no record id. */
  malformed: Schema.Natural,
  inputTokens: Schema.Natural,
  outputTokens: Schema.Natural
}

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
  status: Schema.String,
  format: Format,
  records: Schema.Natural,
  ...totals,
  /** Keys of the result files, in the order of the rows: one, or the parts. */
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
  jobs: Schema.Natural,
  ...totals,
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
