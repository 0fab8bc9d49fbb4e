/**
 * Batches put together, and cut, to groups of rows of about the same size.
 *
 * @internal
 */
import { type Batch, slice } from "./Batch.ts"
import { rowSize } from "./RowSize.ts"

const maxRows = 10_000
const maxBytes = 16 * 1024 * 1024

const joined = (parts: ReadonlyArray<Batch>): Batch => {
  const [first] = parts
  if (parts.length === 1) return first!
  return {
    length: parts.reduce((rows, part) => rows + part.length, 0),
    columns: first!.columns.map((_, j) => parts.flatMap((part) => part.columns[j]!))
  }
}

/**
 * Groups of at most 10,000 rows and about 16 MB; a row that is larger is a group of its own.
 *
 * @internal
 */
export class BatchGroups {
  private parts: Array<Batch> = []
  private rows = 0
  private bytes = 0

  /** Takes a batch, and gives the groups that are then full. */
  push(batch: Batch): ReadonlyArray<Batch> {
    const full: Array<Batch> = []
    let from = 0
    for (let i = 0; i < batch.length; i++) {
      const size = rowSize(batch, i)
      if (this.rows === maxRows || (this.rows > 0 && this.bytes + size > maxBytes)) {
        this.take(batch, from, i)
        full.push(...this.end())
        from = i
      }
      this.rows++
      this.bytes += size
    }
    this.take(batch, from, batch.length)
    return full
  }

  /** The last group, if there are rows left. */
  end(): ReadonlyArray<Batch> {
    const last = this.parts.length === 0 ? [] : [joined(this.parts)]
    this.parts = []
    this.rows = 0
    this.bytes = 0
    return last
  }

  private take(batch: Batch, from: number, to: number): void {
    if (to > from) this.parts.push(slice(batch, from, to))
  }
}
