/**
 * The one error of the sdk: `reason` says what went wrong, `isRetryable` whether the same call may succeed later.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const id = (tag: string) => `@bedrock-batch/sdk/BatchError/${tag}` as const
const what = { message: Schema.String, cause: Schema.optionalKey(Schema.Defect()) }

/**
 * An option is wrong; `path` says which one, for example `timeoutHours` or `limits.minRecords`.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidOption extends Schema.TaggedError<InvalidOption>(id("InvalidOption"))("InvalidOption", {
  ...what,
  path: Schema.String
}) {
  /** Whether the same call may succeed later. */
  readonly isRetryable = false
}

/**
 * Columns are missing from the source, or clash with columns that the result adds. `nearest` maps each missing column
 * to the existing column whose name is closest, where one is close.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidColumns extends Schema.TaggedError<InvalidColumns>(id("InvalidColumns"))("InvalidColumns", {
  ...what,
  missing: Schema.Array(Schema.String),
  clashing: Schema.Array(Schema.String),
  available: Schema.Array(Schema.String),
  nearest: Schema.Record(Schema.String, Schema.String)
}) {
  /** Whether the same call may succeed later. */
  readonly isRetryable = false
}

/**
 * A source cannot be used: it is empty, malformed, too small or too large for Bedrock's limits, or reading it failed.
 * `uri` names the file (null for rows from memory), `row` the data row (the first is 1; null where none is meant),
 * `column` the column.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidSource extends Schema.TaggedError<InvalidSource>(id("InvalidSource"))("InvalidSource", {
  ...what,
  problem: Schema.Literals(["empty", "not-found", "malformed", "below-minimum", "record-too-large", "too-many-records", "failed"]),
  uri: Schema.NullOr(Schema.String),
  row: Schema.NullOr(Schema.Natural),
  column: Schema.NullOr(Schema.String)
}) {
  /** Whether the same call may succeed later. */
  readonly isRetryable = false
}

/**
 * A file of prompts cannot be used: its name is no id, it is empty, too large, no text in UTF-8 or not the JSON that it
 * should be, or its template is malformed. `uri` names the file; `part` the text in it (`template`, `system`,
 * `turns[2]`), and `position` the index of the brace in that text, where one is to blame, null otherwise.
 *
 * @since 0.2.0
 * @category errors
 */
export class InvalidPrompt extends Schema.TaggedError<InvalidPrompt>(id("InvalidPrompt"))("InvalidPrompt", {
  ...what,
  uri: Schema.String,
  part: Schema.NullOr(Schema.String),
  position: Schema.NullOr(Schema.Natural)
}) {
  /** Whether the same call may succeed later. */
  readonly isRetryable = false
}

/**
 * The run does not exist (`not-found`), is not prepared to its end (`not-prepared`), was cancelled (`cancelled`), exists
 * with other content (`different`; `differs` then names the parts of the fingerprint that are not the same), has jobs
 * that have not ended (`not-ended`), or was not confirmed before its first paid call (`unconfirmed`).
 *
 * @since 0.1.0
 * @category errors
 */
export class RunConflict extends Schema.TaggedError<RunConflict>(id("RunConflict"))("RunConflict", {
  ...what,
  runId: Schema.String,
  problem: Schema.Literals(["not-found", "not-prepared", "different", "cancelled", "not-ended", "unconfirmed"]),
  differs: Schema.Array(Schema.String)
}) {
  /** Whether the same call may succeed later. */
  readonly isRetryable = false
}

/**
 * The time that a round of `prepareStep` was given is over, and no job is complete: the same call with the same time will
 * hardly come further. What was complete before is kept. `records` are those in the jobs of earlier rounds.
 *
 * @since 0.2.0
 * @category errors
 */
export class OutOfTime extends Schema.TaggedError<OutOfTime>(id("OutOfTime"))("OutOfTime", {
  ...what,
  runId: Schema.NullOr(Schema.String),
  records: Schema.Natural
}) {
  /** Whether the same call may succeed later. */
  readonly isRetryable = false
}

/**
 * AWS or the store said no for good; `code` is the service's own name for it, for example `ValidationException`.
 *
 * @since 0.1.0
 * @category errors
 */
export class Refused extends Schema.TaggedError<Refused>(id("Refused"))("Refused", { ...what, code: Schema.String }) {
  /** Whether the same call may succeed later. */
  readonly isRetryable = false
}

/**
 * AWS or the store said not now. `throttled` and `quota` mean that the request was refused unread; after `server`,
 * `network` and `conflict` it is unknown whether the service acted on it.
 *
 * @since 0.1.0
 * @category errors
 */
export class Unavailable extends Schema.TaggedError<Unavailable>(id("Unavailable"))("Unavailable", {
  ...what,
  code: Schema.Literals(["throttled", "quota", "server", "network", "conflict"]),
  retryAfterMillis: Schema.NullOr(Schema.Natural)
}) {
  /** Whether the same call may succeed later. */
  readonly isRetryable = true
}

/**
 * It cannot be known yet whether Bedrock accepted the job; nothing was sent again. `job` is the job's key.
 *
 * @since 0.1.0
 * @category errors
 */
export class Undecided extends Schema.TaggedError<Undecided>(id("Undecided"))("Undecided", { ...what, job: Schema.String }) {
  /** Whether the same call may succeed later. */
  readonly isRetryable = true
}

/**
 * An object of the run is not what it should be: empty, unreadable, or changed since it was written. `key` names it.
 * Nothing is guessed from a damaged object.
 *
 * @since 0.1.0
 * @category errors
 */
export class Damaged extends Schema.TaggedError<Damaged>(id("Damaged"))("Damaged", { ...what, key: Schema.String }) {
  /** Whether the same call may succeed later. */
  readonly isRetryable = false
}

/**
 * Schema for what went wrong.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Reason = Schema.Union([
  InvalidOption,
  InvalidColumns,
  InvalidSource,
  InvalidPrompt,
  RunConflict,
  OutOfTime,
  Refused,
  Unavailable,
  Undecided,
  Damaged
])

/**
 * What went wrong.
 *
 * @since 0.1.0
 * @category models
 */
export type Reason = typeof Reason.Type

/**
 * Error of every verb and service of the sdk: which module and method failed, and the `reason`.
 *
 * @since 0.1.0
 * @category errors
 * @example
 * ```ts
 * import { BatchError } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * declare const program: Effect.Effect<number, BatchError.BatchError>
 *
 * const handled = program.pipe(
 *   Effect.catchReason("BatchError", "InvalidColumns", (reason) => Effect.succeed(reason.missing.length)),
 *   Effect.retry({ times: 3, while: (error) => error.isRetryable })
 * )
 * ```
 */
export class BatchError extends Schema.TaggedError<BatchError>("@bedrock-batch/sdk/BatchError")("BatchError", {
  module: Schema.String,
  method: Schema.String,
  reason: Reason
}) {
  /** The reason, so that stack traces and `cause` chains show it. */
  override readonly cause = this.reason
  /** Module, method and the reason's message. */
  override get message(): string {
    return `${this.module}.${this.method}: ${this.reason.message}`
  }
  /** Whether the same call may succeed later. */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
}
