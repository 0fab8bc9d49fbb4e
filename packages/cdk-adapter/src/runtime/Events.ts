/**
 * What several functions take.
 *
 * @internal
 */
import * as Schema from "effect/Schema"

/** The key of a job: `<attempt>-<six digits>`. @internal */
export const JobKey = Schema.String.check(Schema.isPattern(/^[1-9]\d{0,5}-\d{6}$/))

/** What `prepare` and `retry` answer, and the state machine keeps. @internal */
export const PreparedRun = Schema.Struct({
  runId: Schema.NonEmptyString,
  prepared: Schema.Boolean,
  /** Rounds of `prepare` so far. */
  round: Schema.Natural,
  /** Records in the jobs that are complete. */
  records: Schema.Natural,
  /** Jobs of this attempt that are complete. */
  jobs: Schema.Natural,
  /** How often the run was tried: at least the number of its attempts. */
  attempt: Schema.Natural,
  /** Where the map reads the jobs; null while the run is not prepared. */
  list: Schema.NullOr(Schema.Struct({ bucket: Schema.String, key: Schema.String })),
  /** When nothing more is to be submitted, ISO 8601. */
  deadline: Schema.NullOr(Schema.String),
  /** Format of the result files. */
  format: Schema.String
})

/** @internal */
export interface PreparedRun extends Schema.Schema.Type<typeof PreparedRun> {}

/** What `finish` and `retry` take. @internal */
export const TriedRun = Schema.Struct({
  runId: Schema.NonEmptyString,
  /** How often the run was tried. */
  attempt: Schema.Natural,
  /** The input of the execution. */
  input: Schema.Json,
  deadline: Schema.optionalKey(Schema.NullOr(Schema.String))
})

/** @internal */
export interface TriedRun extends Schema.Schema.Type<typeof TriedRun> {}
