/**
 * How large rows are, whatever format they are written in.
 *
 * @internal
 */
import type { Batch } from "./Batch.ts"

const sizeOf = (value: unknown): number => {
  switch (typeof value) {
    case "string":
      return value.length
    case "object": {
      if (value === null) return 0
      if (ArrayBuffer.isView(value)) return value.byteLength
      if (value instanceof Date) return 8
      let size = 0
      for (const member of Object.values(value)) size += sizeOf(member)
      return size
    }
    default:
      return 8
  }
}

/**
 * About how many bytes the values of a row take before any compression; the same for the same row in every process.
 *
 * @internal
 */
export const rowSize = (batch: Batch, row: number): number => {
  let size = 0
  for (const values of batch.columns) size += sizeOf(values[row])
  return size
}
