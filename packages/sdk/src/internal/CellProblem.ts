/**
 * A cell of the source that cannot be part of a request.
 *
 * @internal
 */
import { BatchError, InvalidSource } from "../BatchError.ts"
import type { OpenSource } from "../source/Source.ts"

/** Thrown where a request is made; the message quotes nothing of the cell. @internal */
export class CellProblem extends Error {
  readonly column: string

  constructor(column: string, message: string) {
    super(message)
    this.column = column
  }
}

/** The error of a cell in row `row` of the run, from 0. @internal */
export const cellError = (
  source: Pick<OpenSource, "uri">,
  row: number,
  column: string,
  problem: InvalidSource["problem"],
  message: string,
  cause?: unknown
): BatchError => {
  const file = source.uri === null ? "" : `${source.uri}, `
  return new BatchError({
    module: "prepare",
    method: "prepare",
    reason: new InvalidSource({
      problem,
      uri: source.uri,
      row: row + 1,
      column,
      message: `${file}row ${row + 1}, column ${JSON.stringify(column)}: ${message}`,
      ...(cause === undefined ? {} : { cause })
    })
  })
}
