/**
 * The memory in which a page of a Parquet file is made: its levels, which are known last, end where its values begin.
 *
 * @internal
 */

/**
 * About how large pages become.
 *
 * @internal
 */
export const pageBytes = 1024 * 1024

/** Kept free for levels; a multiple of eight, so that words are aligned. */
const levelBytes = 32 * 1024

/** @internal */
export class Page {
  /** Values go here, from `end` on, once there is room for them. */
  bytes = Buffer.from(new ArrayBuffer(levelBytes + pageBytes + 64 * 1024))
  end = levelBytes
  private start = levelBytes

  clear(): void {
    this.start = levelBytes
    this.end = levelBytes
  }

  /** How many bytes of values there are. */
  get used(): number {
    return this.end - levelBytes
  }

  /** Makes room for so many more bytes of values. */
  reserve(more: number): void {
    if (this.end + more > this.bytes.length) this.grow(more, this.start)
  }

  /** Puts levels before the values, and before the levels that are there. */
  prepend(levels: Uint8Array): void {
    if (levels.length > this.start) {
      const start = this.start + Math.ceil(levels.length / 8) * 8
      this.grow(start - this.start, start)
    }
    this.start -= levels.length
    this.bytes.set(levels, this.start)
  }

  /** The levels and the values; written over once the page is cleared. */
  get content(): Uint8Array {
    return this.bytes.subarray(this.start, this.end)
  }

  /** Whether the page has outgrown what is worth keeping. */
  get isLarge(): boolean {
    return this.bytes.length > 4 * pageBytes
  }

  private grow(more: number, start: number): void {
    const larger = Buffer.from(new ArrayBuffer(Math.max(this.bytes.length * 2, Math.ceil((this.end + more) / 8) * 8)))
    this.bytes.copy(larger, start, this.start, this.end)
    this.end += start - this.start
    this.start = start
    this.bytes = larger
  }
}
