/**
 * Reads LZ4 frames, as record batches of Arrow have them.
 *
 * @internal
 */
import { ArrowFault } from "./ArrowMessages.ts"

const magic = 0x184d2204

const damaged = (): never => {
  throw new ArrowFault("the LZ4 data are damaged")
}

/** Writes a block's content to `out` from `at` on, and gives where it ends. A block may refer to what is before it. */
const decodeBlock = (block: Uint8Array, out: Uint8Array, start: number): number => {
  let at = start
  let i = 0
  const length = (nibble: number): number => {
    let size = nibble
    if (nibble === 15) {
      let more: number
      do {
        if (i >= block.length) damaged()
        more = block[i++]!
        size += more
      } while (more === 255)
    }
    return size
  }
  while (i < block.length) {
    const token = block[i++]!
    const literals = length(token >> 4)
    if (i + literals > block.length || at + literals > out.length) damaged()
    if (literals > 16) out.set(block.subarray(i, i + literals), at)
    else for (let k = 0; k < literals; k++) out[at + k] = block[i + k]!
    i += literals
    at += literals
    if (i === block.length) return at
    if (i + 2 > block.length) damaged()
    const distance = block[i]! | (block[i + 1]! << 8)
    i += 2
    const match = length(token & 15) + 4
    if (distance === 0 || distance > at || at + match > out.length) damaged()
    if (distance >= match && match > 16) {
      out.copyWithin(at, at - distance, at - distance + match)
    } else {
      // The match may overlap what it writes.
      for (let k = 0; k < match; k++) out[at + k] = out[at + k - distance]!
    }
    at += match
  }
  return at
}

/**
 * The content of a frame that is known to have `size` bytes. Checksums are not looked at. Throws an `ArrowFault`.
 *
 * @internal
 */
export const decodeLz4Frame = (frame: Uint8Array, size: number): Uint8Array => {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength)
  // A byte makes 255 bytes at most.
  if (bytes.length < 7 || bytes.readUInt32LE(0) !== magic || size > bytes.length * 255) return damaged()
  const flags = bytes[4]!
  if (flags >> 6 !== 1 || (flags & 1) === 1) return damaged()
  const hasBlockChecksum = (flags & 16) !== 0
  const out = new Uint8Array(size)
  let at = 0
  let i = 7 + ((flags & 8) === 0 ? 0 : 8)
  for (;;) {
    if (i + 4 > bytes.length) return damaged()
    const header = bytes.readUInt32LE(i)
    i += 4
    if (header === 0) return at === size ? out : damaged()
    const length = header & 0x7fffffff
    if (i + length > bytes.length) return damaged()
    const block = bytes.subarray(i, i + length)
    if (header === length) {
      at = decodeBlock(block, out, at)
    } else {
      if (at + length > size) return damaged()
      out.set(block, at)
      at += length
    }
    i += length + (hasBlockChecksum ? 4 : 0)
  }
}
