/**
 * Lines of a byte stream. A line ends at byte 0x0A and nowhere else: U+2028, U+2029 and U+0085 occur raw inside JSON
 * strings, and splitting on them would cut a record in two.
 *
 * @internal
 */

const lineFeed = 0x0a
const carriageReturn = 0x0d

/**
 * Cuts bytes into lines, piece by piece. A line that lies inside one piece is a view of it, not a copy; what is left of
 * a piece is copied, so that nothing of it is kept beyond its lines. Blank lines are dropped; a carriage return before
 * the line feed stays (it is white space in JSON).
 *
 * @internal
 */
export class LineSplitter {
  /** The number of the first line (from 1, blank ones counted) that is longer than the limit, or null. */
  tooLong: number | null = null
  private readonly maxLineBytes: number
  private pieces: Array<Buffer> = []
  private pending = 0
  private ended = 0

  constructor(maxLineBytes = Number.POSITIVE_INFINITY) {
    this.maxLineBytes = maxLineBytes
  }

  /** Bytes of the line that has begun and not ended. */
  get unfinished(): number {
    return this.pending
  }

  /** The lines that end in this piece. */
  push(piece: Uint8Array): Array<Buffer> {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    const lines: Array<Buffer> = []
    let start = 0
    for (let end = bytes.indexOf(lineFeed); end !== -1; end = bytes.indexOf(lineFeed, start)) {
      this.add(bytes.subarray(start, end))
      this.endLine(lines)
      start = end + 1
    }
    if (start < bytes.length) this.add(Buffer.from(bytes.subarray(start)))
    return lines
  }

  /** The last line, where the bytes did not end with a line feed. */
  end(): Array<Buffer> {
    const lines: Array<Buffer> = []
    if (this.pending > 0) this.endLine(lines)
    return lines
  }

  private add(bytes: Buffer): void {
    this.pieces.push(bytes)
    this.pending += bytes.length
    if (this.pending > this.maxLineBytes) this.tooLong ??= this.ended + 1
  }

  private endLine(lines: Array<Buffer>): void {
    const line = this.pieces.length === 1 ? this.pieces[0]! : Buffer.concat(this.pieces, this.pending)
    if (line.length > 1 || (line.length === 1 && line[0] !== carriageReturn)) lines.push(line)
    this.pieces = []
    this.pending = 0
    this.ended++
  }
}
