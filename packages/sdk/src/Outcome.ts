/**
 * What became of each record, and the columns that say so.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Schema for the outcome of one record:
 *
 * - `succeeded`: answered;
 * - `truncated`: answered, but the model stopped at its token limit;
 * - `refused`: the model or a content filter refused;
 * - `invalid`: the answer is not what was asked for;
 * - `failed`: Bedrock reported an error for this record;
 * - `expired`: not run in time: an error line that says so, or no line in a job that expired or was only partially completed;
 * - `missing`: no line came back.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Outcome = Schema.Literals([
  "succeeded",
  "truncated",
  "refused",
  "invalid",
  "failed",
  "expired",
  "missing"
])

/**
 * The outcome of one record.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome = typeof Outcome.Type

/**
 * Schema for counts of outcomes; they sum to the number of input rows.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Counts = Schema.Struct({
  succeeded: Schema.Natural,
  truncated: Schema.Natural,
  refused: Schema.Natural,
  invalid: Schema.Natural,
  failed: Schema.Natural,
  expired: Schema.Natural,
  missing: Schema.Natural
})

/**
 * Counts of outcomes; they sum to the number of input rows.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counts extends Schema.Schema.Type<typeof Counts> {}

/**
 * Counts of nothing.
 *
 * @since 0.1.0
 * @category constructors
 */
export const noCounts: Counts = {
  succeeded: 0,
  truncated: 0,
  refused: 0,
  invalid: 0,
  failed: 0,
  expired: 0,
  missing: 0
}

/**
 * Adds counts, outcome by outcome.
 *
 * @since 0.1.0
 * @category combinators
 */
export const addCounts = (a: Counts, b: Counts): Counts => ({
  succeeded: a.succeeded + b.succeeded,
  truncated: a.truncated + b.truncated,
  refused: a.refused + b.refused,
  invalid: a.invalid + b.invalid,
  failed: a.failed + b.failed,
  expired: a.expired + b.expired,
  missing: a.missing + b.missing
})

/**
 * Columns that every result row has, beside the answer and the outcome.
 *
 * @since 0.1.0
 * @category models
 */
export interface RecordColumns {
  /** `r` and the ten-digit row number in the run, from 0. */
  readonly record_id: string
  /** The model's own word for why it stopped. */
  readonly batch_stop_reason: string | null
  readonly batch_input_tokens: number | null
  readonly batch_output_tokens: number | null
}

/**
 * The columns of a row whose record was answered.
 *
 * @since 0.1.0
 * @category models
 */
export type Answered<A> = A & RecordColumns & {
  readonly batch_status: "succeeded" | "truncated"
  readonly batch_error_code: null
  readonly batch_error_message: null
}

/**
 * The columns of a row whose record was not answered: the answer's columns are null, the error says why. An `invalid` row
 * keeps the text of its answer, where there is one, in `response`, and what the model thought in `reasoning`.
 *
 * @since 0.1.0
 * @category models
 */
export type Unanswered<A> = { readonly [K in keyof A]: A[K] | null } & RecordColumns & {
  readonly batch_status: Exclude<Outcome, "succeeded" | "truncated">
  readonly batch_error_code: string
  readonly batch_error_message: string
}

/**
 * Names of the columns that a result adds to its row.
 *
 * @since 0.1.0
 * @category models
 */
export type AddedColumn<A> = keyof A | keyof Answered<{}>

/**
 * `T` with the columns of `N` renamed.
 *
 * @since 0.1.0
 * @category models
 */
export type Renamed<T, N> = T extends unknown ? { readonly [K in keyof T as K extends keyof N ? N[K] & string : K]: T[K] }
  : never

/**
 * A source row plus the model's columns; `batch_status` narrows whether the answer is there.
 *
 * @since 0.1.0
 * @category models
 */
export type ResultRow<Row, A, N = {}> = Row & Renamed<Answered<A> | Unanswered<A>, N>

/**
 * Compile-time message: the source already has columns that the result would add.
 *
 * @since 0.1.0
 * @category models
 */
export interface ColumnClash<Clashing extends PropertyKey> {
  readonly "the source already has these columns; rename the result's with `rename`": Clashing
}

/**
 * Added column names, after renaming.
 *
 * @since 0.1.0
 * @category models
 */
export type AddedNames<A, N> = keyof Renamed<Answered<A>, N>

/**
 * `unknown` when no added column clashes with one of `Row`, a readable error type otherwise.
 *
 * @since 0.1.0
 * @category models
 */
export type CheckClash<Row, A, N> = string extends keyof Row ? unknown
  : [keyof Row & AddedNames<A, N>] extends [never] ? unknown
  : ColumnClash<keyof Row & AddedNames<A, N>>

/**
 * `unknown` when `N` renames only columns that the result adds.
 *
 * @since 0.1.0
 * @category models
 */
export type CheckRename<A, N> = { readonly [K in Exclude<keyof N, AddedColumn<A>>]: never }
