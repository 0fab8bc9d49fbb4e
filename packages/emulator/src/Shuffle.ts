/**
 * The order of output lines, which is not that of the input.
 *
 * @since 0.1.0
 */
import type { Chance } from "./Chance.ts"

const encoder = new TextEncoder()
const shuffleRecords = 4096
const shuffleBytes = 32 << 20
const writeBytes = 1 << 18

/**
 * Lets lines out in random order, each with a line feed behind it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Shuffler {
  /** Adds a line; those that leave for it go to `out`. */
  readonly add: (line: string, out: Array<Uint8Array>) => void
  /** Takes out some of the lines that are left, or null if none is. */
  readonly drain: () => Uint8Array | null
}

/**
 * Creates a shuffler: a line waits until some thousand lines or many bytes are there, then a random one leaves.
 *
 * @since 0.1.0
 * @category constructors
 */
export const shuffler = (chance: Chance): Shuffler => {
  // As bytes: a string would keep the whole chunk in memory that it was cut from.
  const waiting: Array<Uint8Array> = []
  let size = 0
  const leave = () => {
    const at = chance.below(waiting.length)
    const line = waiting[at] ?? new Uint8Array(0)
    const last = waiting.pop()
    if (last !== undefined && at < waiting.length) waiting[at] = last
    size -= line.byteLength
    return line
  }
  return {
    add: (line, out) => {
      const bytes = encoder.encode(`${line}\n`)
      waiting.push(bytes)
      size += bytes.byteLength
      while (waiting.length > shuffleRecords || (size > shuffleBytes && waiting.length > 1)) out.push(leave())
    },
    drain: () => {
      const out: Array<Uint8Array> = []
      const before = size
      while (waiting.length > 0 && before - size < writeBytes) out.push(leave())
      return out.length === 0 ? null : Buffer.concat(out)
    }
  }
}
