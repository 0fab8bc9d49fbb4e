/**
 * Lines of a byte stream.
 *
 * @since 0.1.0
 */

/**
 * Takes chunks of bytes and gives the lines that are complete.
 *
 * @since 0.1.0
 * @category models
 */
export interface Splitter {
  /** Adds bytes; returns the lines that they complete, without their line feeds. */
  readonly push: (bytes: Uint8Array) => Array<string>
  /** Returns what follows the last line feed, or null if nothing does. */
  readonly rest: () => string | null
}

/**
 * Creates a splitter. Only the byte 0x0A ends a line: U+2028, U+2029 and U+0085 may stand raw inside JSON strings.
 *
 * @since 0.1.0
 * @category constructors
 */
export const splitter = (): Splitter => {
  let pending: Array<Uint8Array> = []
  return {
    push: (bytes) => {
      const end = bytes.lastIndexOf(0x0a)
      if (end < 0) {
        pending.push(bytes)
        return []
      }
      pending.push(bytes.subarray(0, end))
      const lines = Buffer.concat(pending).toString("utf8").split("\n")
      pending = end + 1 < bytes.length ? [bytes.subarray(end + 1)] : []
      return lines
    },
    rest: () => {
      const text = Buffer.concat(pending).toString("utf8")
      pending = []
      return text === "" ? null : text
    }
  }
}
