/**
 * What is wrong with a Parquet file.
 *
 * @internal
 */

/**
 * Where in a file something is wrong; rows count from 1 in the file, row groups from 1.
 *
 * @internal
 */
export interface FaultPlace {
  readonly group?: number | undefined
  readonly row?: number | undefined
  readonly column?: string | undefined
}

/**
 * Thrown by what decodes; the message holds nothing of the values.
 *
 * @internal
 */
export class ParquetFault extends Error {
  readonly place: FaultPlace

  constructor(message: string, place: FaultPlace = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.place = place
  }
}

/**
 * Thrown where the value at `index` of those that are being converted is wrong.
 *
 * @internal
 */
export class ValueFault extends Error {
  readonly index: number

  constructor(message: string, index: number) {
    super(message)
    this.index = index
  }
}

/**
 * The same fault at a place; what it says of the place itself stays. Errors of other kinds are thrown where bytes that
 * make no sense are decoded.
 *
 * @internal
 */
export const faultAt = (error: unknown, place: FaultPlace): ParquetFault =>
  error instanceof ParquetFault
    ? new ParquetFault(error.message, { ...place, ...error.place }, error.cause)
    : new ParquetFault("the data is damaged and cannot be decoded", place, error)
