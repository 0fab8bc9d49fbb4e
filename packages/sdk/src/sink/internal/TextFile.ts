/**
 * A file that is text, made row by row.
 *
 * @internal
 */
import * as Stream from "effect/Stream"
import type { Batch } from "../../internal/Batch.ts"

const pieceLength = 256 * 1024

/**
 * The bytes of a header and of each row, in pieces of about 256 KB.
 *
 * @internal
 */
export const textFile = <E, R>(
  header: string,
  batches: Stream.Stream<Batch, E, R>,
  rowText: (batch: Batch, row: number) => string
): Stream.Stream<Uint8Array, E, R> => {
  const pieces = (batch: Batch): ReadonlyArray<Uint8Array> => {
    const out: Array<Uint8Array> = []
    let text = ""
    for (let i = 0; i < batch.length; i++) {
      text += rowText(batch, i)
      if (text.length >= pieceLength) {
        out.push(Buffer.from(text))
        text = ""
      }
    }
    if (text !== "") out.push(Buffer.from(text))
    return out
  }
  const rows = batches.pipe(Stream.map(pieces), Stream.flattenIterable)
  return header === "" ? rows : Stream.concat(Stream.succeed<Uint8Array>(Buffer.from(header)), rows)
}
