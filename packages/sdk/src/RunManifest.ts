/**
 * The durable description of a run, and the run as the verbs pass it on.
 *
 * @since 0.1.0
 */
import type { Processor } from "@bedrock-batch/processors/Processor"
import * as Schema from "effect/Schema"
import { Column } from "./Column.ts"
import type { Job } from "./Job.ts"
import { Outcome } from "./Outcome.ts"
import { Bounds } from "./Planner.ts"

/**
 * Schema for the fingerprint of a run: a digest (SHA-256, hex) for each part of what makes it that run, so that a
 * refusal can name what differs. Planning limits are not in it; which rows are taken (`maxRecordsTotal`, `maxJobs`) is.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Fingerprint = Schema.Struct({
  source: Schema.String,
  model: Schema.String,
  invocationType: Schema.String,
  prompt: Schema.String,
  parameters: Schema.String,
  processor: Schema.String,
  selection: Schema.String,
  rename: Schema.String
})

/**
 * The fingerprint of a run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Fingerprint extends Schema.Schema.Type<typeof Fingerprint> {}

/**
 * Schema for `plan.json`: what is frozen when `prepare` begins.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Plan = Schema.Struct({
  version: Schema.Literal(1),
  runId: Schema.String,
  name: Schema.String,
  /** ISO 8601. */
  createdAt: Schema.String,
  fingerprint: Fingerprint,
  /** Fresh random text: job names and tokens are derived from it, so that a deleted run's are never used again. */
  nonce: Schema.String,
  bounds: Bounds,
  timeoutHours: Schema.Natural,
  /** The id of the life of `prepare` that created the plan. */
  prepareId: Schema.String,
  /**
   * What the run is prepared from, where all of it is data, so that `resume` can prepare it to its end; null where some
   * of it is code (a prompt function, a schema, a processor of one's own) or is not kept (rows from memory).
   */
  recipe: Schema.Json
})

/**
 * What is frozen when `prepare` begins.
 *
 * @since 0.1.0
 * @category models
 */
export interface Plan extends Schema.Schema.Type<typeof Plan> {}

/**
 * Schema for `run.json`: the durable description of a prepared run.
 *
 * @since 0.1.0
 * @category schemas
 */
export const RunManifest = Schema.Struct({
  version: Schema.Literal(1),
  runId: Schema.String,
  name: Schema.String,
  /** ISO 8601. */
  createdAt: Schema.String,
  fingerprint: Fingerprint,
  model: Schema.String,
  region: Schema.String,
  invocationType: Schema.Literals(["InvokeModel", "Converse"]),
  /** Id of the processor, with its version. */
  processor: Schema.String,
  /** What the source says of itself. */
  source: Schema.Json,
  /** The input columns, in order. */
  columns: Schema.Array(Column),
  /** The columns of the answer, in order, before renaming. */
  answer: Schema.Array(Column),
  /** New names of added columns, by their old ones. */
  rename: Schema.Record(Schema.String, Schema.String),
  bounds: Bounds,
  /** Rows in all jobs. */
  records: Schema.Natural,
  /** Bytes of all input files. */
  bytes: Schema.Natural,
  /** The job list, an object of its own: an array of `Job` as JSON. */
  jobs: Schema.Struct({ key: Schema.String, count: Schema.Natural, sha256: Schema.String })
})

/**
 * The durable description of a prepared run.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunManifest extends Schema.Schema.Type<typeof RunManifest> {}

/**
 * Schema for how the records of an attempt are run: `batch` by batch jobs alone, `on-demand` by one call a record, `auto`
 * by batch jobs, and on demand where there are too few for one.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Lane = Schema.Literals(["auto", "batch", "on-demand"])

/**
 * How the records of an attempt are run.
 *
 * @since 0.1.0
 * @category models
 */
export type Lane = typeof Lane.Type

/**
 * Schema for `attempts/<n>.json`: the durable description of an attempt after the first.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Attempt = Schema.Struct({
  version: Schema.Literal(1),
  runId: Schema.String,
  /** 2 or more. */
  attempt: Schema.Natural,
  /** ISO 8601. */
  createdAt: Schema.String,
  /** Which outcomes were to be tried again. */
  outcomes: Schema.Array(Outcome),
  /** Whether records were taken whose error another try does not mend. */
  errors: Schema.Literals(["mendable", "all"]),
  lane: Lane,
  /** Records in all jobs. */
  records: Schema.Natural,
  /** The job list, an object of its own: an array of `Job` as JSON. */
  jobs: Schema.Struct({ key: Schema.String, count: Schema.Natural, sha256: Schema.String })
})

/**
 * The durable description of an attempt after the first.
 *
 * @since 0.1.0
 * @category models
 */
export interface Attempt extends Schema.Schema.Type<typeof Attempt> {}

/**
 * A run without its job list: enough to collect, and one small read to get.
 *
 * @since 0.1.0
 * @category models
 */
export interface Handle<out Row extends object> {
  readonly "~@bedrock-batch/sdk/Run": { readonly Row: Row }
  readonly id: string
  readonly manifest: RunManifest
  /** The current attempt: 1 for a run as it was prepared, one more after each `retry`. */
  readonly attempt: number
  /** Reads the answers. */
  readonly processor: Processor<object>
}

/**
 * A prepared run whose results are rows of type `Row`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Run<out Row extends object> extends Handle<Row> {
  /** The jobs of the current attempt; those of earlier ones have ended. */
  readonly jobs: ReadonlyArray<Job>
}
