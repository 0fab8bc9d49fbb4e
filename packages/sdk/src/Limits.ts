/**
 * The quotas that shape a job: data, never constants in code.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Schema for the quotas of one model in one Region.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Limits = Schema.Struct({
  /** Fewest records in a job. */
  minRecords: Schema.Natural,
  /** Most records in a job. */
  maxRecords: Schema.Natural,
  /** Most records in one input file. */
  maxFileRecords: Schema.Natural,
  /** Most bytes in one input file. */
  maxFileBytes: Schema.Natural,
  /** Most bytes in all input files of a job. */
  maxJobBytes: Schema.Natural,
  /** Most jobs that may be open (submitted and not ended) at a time. */
  maxOpenJobs: Schema.Natural
})

/**
 * Quotas of one model in one Region.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits extends Schema.Schema.Type<typeof Limits> {}

/**
 * The default Service Quotas of Bedrock batch inference, per model and Region (AWS General Reference, "Amazon Bedrock
 * endpoints and quotas", autumn 2026): 100 to 100,000 records a job, 1 GB a file, 5 GB a job, 100 open jobs.
 *
 * @since 0.1.0
 * @category configuration
 */
export const defaults: Limits = {
  minRecords: 100,
  maxRecords: 100_000,
  maxFileRecords: 100_000,
  maxFileBytes: 1_000_000_000,
  maxJobBytes: 5_000_000_000,
  maxOpenJobs: 100
}
