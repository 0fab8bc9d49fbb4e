/**
 * Lines of a byte stream.
 *
 * @since 0.1.0
 */

import { isUtf8 } from "node:buffer"

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
  /** Whether the lines so far were UTF-8; bytes that are not come out as U+FFFD. */
  readonly isUtf8: () => boolean
}

/**
 * Creates a splitter. Only the byte 0x0A ends a line: U+2028, U+2029 and U+0085 may stand raw inside JSON strings.
 *
 * @since 0.1.0
 * @category constructors
 */
export const splitter = (): Splitter => {
  let pending: Array<Uint8Array> = []
  let isValid = true
  const decode = (bytes: Buffer) => {
    isValid &&= isUtf8(bytes)
    return bytes.toString("utf8")
  }
  return {
    isUtf8: () => isValid,
    push: (bytes) => {
      const end = bytes.lastIndexOf(0x0a)
      if (end < 0) {
        pending.push(bytes)
        return []
      }
      pending.push(bytes.subarray(0, end))
      const lines = decode(Buffer.concat(pending)).split("\n")
      pending = end + 1 < bytes.length ? [bytes.subarray(end + 1)] : []
      return lines
    },
    rest: () => {
      const text = decode(Buffer.concat(pending))
      pending = []
      return text === "" ? null : text
    }
  }
}
