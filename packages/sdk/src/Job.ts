/**
 * A job and its states: plain JSON, so that a file, a queue or a Lambda can carry it.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Schema for one stored file of a job.
 *
 * @since 0.1.0
 * @category schemas
 */
export const JobFile = Schema.Struct({
  /** Key relative to the store's base. */
  key: Schema.String,
  /** Size in bytes. */
  size: Schema.Natural,
  /** The store's ETag when it was written. */
  etag: Schema.String,
  /** SHA-256 of the content, in hex. */
  sha256: Schema.String,
  /** Rows or records in it. */
  records: Schema.Natural
})

/**
 * One stored file of a job.
 *
 * @since 0.1.0
 * @category models
 */
export interface JobFile extends Schema.Schema.Type<typeof JobFile> {}

const planned = {
  version: Schema.Literal(1),
  runId: Schema.String,
  /** `<attempt>-<six digits>`: the job's name within its run. */
  key: Schema.String,
  /** 1 is the first attempt. */
  attempt: Schema.Natural,
  /** Position in its attempt, from 0. */
  index: Schema.Natural,
  /** How its records are run: by a batch job, or one call a record where there are too few for one. */
  lane: Schema.Literals(["batch", "on-demand"]),
  model: Schema.String,
  region: Schema.String,
  invocationType: Schema.Literals(["InvokeModel", "Converse"]),
  /** Bedrock's job name, derived from the base URI, the run, the plan's nonce, the job key and the inputs' digest. */
  name: Schema.String,
  /** Bedrock's client request token, derived from the same. */
  token: Schema.String,
  /** Who wrote the files: the id of one life of `prepare`. */
  prepareId: Schema.String,
  /** Key prefix of the input files: the folder that Bedrock is told. */
  input: Schema.String,
  /** Key prefix of the output folder: the one that Bedrock is told, or that of the answers on demand. */
  output: Schema.String,
  /** The input files, in order. */
  files: Schema.Array(JobFile),
  /**
   * What the records are of (Arrow IPC stream), in their order: the original rows; for a job of a later attempt, which
   * holds records of several earlier jobs, their row numbers in the run, as a column `row`.
   */
  rows: JobFile,
  /** Row number in the run of the first record, from 0. */
  firstRow: Schema.Natural,
  /** Row number in the run of the last record. A job of the first attempt holds all rows from `firstRow` on. */
  lastRow: Schema.Natural,
  /** Records in the job. */
  records: Schema.Natural,
  /** Bytes of all input files. */
  bytes: Schema.Natural,
  /**
   * Objects that the records name, as copies in the input folder, whose names begin with `media-`: how many, their bytes,
   * and the SHA-256 of their names and sizes. Left out where the records name none.
   */
  media: Schema.optionalKey(Schema.Struct({
    count: Schema.Natural,
    bytes: Schema.Natural,
    sha256: Schema.String
  })),
  /** Hours until Bedrock gives up: 24 to 168. */
  timeoutHours: Schema.Natural
}

const submitted = {
  ...planned,
  /** Bedrock's ARN of the job; `on-demand` for a job on demand, of which Bedrock knows nothing. */
  arn: Schema.String,
  /** When Bedrock took it, or its first call was made, ISO 8601. */
  submittedAt: Schema.String,
  /** Whether the job was found by listing after a create call without an answer. */
  adopted: Schema.Boolean
}

/**
 * Schema for Bedrock's own counters of a job's records.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Counters = Schema.Struct({
  total: Schema.Natural,
  processed: Schema.Natural,
  succeeded: Schema.Natural,
  failed: Schema.Natural
})

/**
 * Bedrock's own counters of a job's records; while a job runs they may lag by a minute.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counters extends Schema.Schema.Type<typeof Counters> {}

/**
 * Schema for the statuses of a job that still holds a slot of the quota.
 *
 * @since 0.1.0
 * @category schemas
 */
export const OpenStatus = Schema.Literals(["Submitted", "Validating", "Scheduled", "InProgress", "Stopping"])

/**
 * Schema for the statuses that never change again.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TerminalStatus = Schema.Literals(["Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"])

/**
 * Status of a job that still holds a slot of the quota.
 *
 * @since 0.1.0
 * @category models
 */
export type OpenStatus = typeof OpenStatus.Type

/**
 * Status that never changes again.
 *
 * @since 0.1.0
 * @category models
 */
export type TerminalStatus = typeof TerminalStatus.Type

/**
 * Status of a job as Bedrock names it. A status that this version does not know counts as open.
 *
 * @since 0.1.0
 * @category models
 */
export type JobStatus = OpenStatus | TerminalStatus

/**
 * Whether a status never changes again.
 *
 * @since 0.1.0
 * @category guards
 */
export const isTerminal: (status: string) => status is TerminalStatus = Schema.is(TerminalStatus) as (
  status: string
) => status is TerminalStatus

/**
 * Schema for a planned job.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Job = Schema.Struct(planned)

/**
 * A planned job.
 *
 * @since 0.1.0
 * @category models
 */
export interface Job extends Schema.Schema.Type<typeof Job> {}

/**
 * Schema for a job that Bedrock accepted.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SubmittedJob = Schema.Struct(submitted)

/**
 * A job that Bedrock accepted.
 *
 * @since 0.1.0
 * @category models
 */
export interface SubmittedJob extends Schema.Schema.Type<typeof SubmittedJob> {}

/**
 * Schema for a job in a terminal state, whichever it is: all of them may hold paid output.
 *
 * @since 0.1.0
 * @category schemas
 */
export const EndedJob = Schema.Struct({
  ...submitted,
  status: TerminalStatus,
  /** Bedrock's own words about a failure. */
  message: Schema.NullOr(Schema.String),
  counters: Schema.NullOr(Counters),
  /**
   * Calls on demand that may have been paid for and were made again, since a process died or no answer came: at most so
   * many. 0 for a batch job.
   */
  repeatedCalls: Schema.Natural
})

/**
 * A job in a terminal state.
 *
 * @since 0.1.0
 * @category models
 */
export interface EndedJob extends Schema.Schema.Type<typeof EndedJob> {}

/**
 * Schema for a job that was not created: Bedrock refused it, or the run (or its attempt) was cancelled before it was
 * submitted. Its records are `missing`, the run goes on.
 *
 * @since 0.1.0
 * @category schemas
 */
export const RefusedJob = Schema.Struct({
  ...planned,
  status: Schema.Literal("Refused"),
  /** Bedrock's error name, for example `ValidationException`; `Cancelled` where nothing was sent. */
  code: Schema.String,
  /** Bedrock's own words, or why nothing was sent. */
  message: Schema.String
})

/**
 * A job that was not created.
 *
 * @since 0.1.0
 * @category models
 */
export interface RefusedJob extends Schema.Schema.Type<typeof RefusedJob> {}
