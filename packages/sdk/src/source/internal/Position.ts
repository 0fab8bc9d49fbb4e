/**
 * A place in a source from which it can be read on.
 *
 * @internal
 */
import * as Schema from "effect/Schema"

/**
 * Schema for a place.
 *
 * @internal
 */
export const Position = Schema.Struct({
  /** Which of the source's files, from 0. */
  file: Schema.Natural,
  /** The identity of that file: for an object its URI, ETag and size. */
  identity: Schema.String,
  /** Where in it: a byte of its unpacked content, a row group, or a record batch, from 0. */
  offset: Schema.Natural,
  /** Rows of that file before the place. */
  fileRow: Schema.Natural,
  /** Rows of the source before the place. */
  row: Schema.Natural
})

/**
 * A place.
 *
 * @internal
 */
export interface Position extends Schema.Schema.Type<typeof Position> {}
