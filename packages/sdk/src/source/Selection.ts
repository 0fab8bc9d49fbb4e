/**
 * Which columns and how many rows a source takes.
 *
 * @since 0.1.0
 */

/**
 * What every source can be asked for: some of its columns, and some of its rows.
 *
 * @since 0.1.0
 * @category models
 */
export interface Selection<out Name extends string = string> {
  /** The columns to take, in this order; others are not read where the format allows it. Default: all. */
  readonly select?: ReadonlyArray<Name> | undefined
  /** Rows to take, from the first on, over all files; at least 1. Default: all. */
  readonly limit?: number | undefined
}
