/**
 * The codecs of Parquet's pages. Each gives exactly the bytes that the page's header announces, or a fault: what is
 * allocated is bounded by that number, and that number by what the compressed bytes can hold.
 *
 * @internal
 */
import type { CompressionCodec } from "hyparquet"
import type { Compressors } from "hyparquet-compressors"
import { brotliDecompressSync, unzipSync, zstdDecompressSync } from "node:zlib"
import { ParquetFault } from "./ParquetFault.ts"

/** The most bytes that a page may have. */
const maxPageBytes = 1024 ** 3

const damaged = (): never => {
  throw new ParquetFault("the compressed data of a page is damaged")
}

/**
 * Throws a `ParquetFault` for what no page can have.
 *
 * @internal
 */
export const checkPageSize = (size: number): void => {
  if (size > maxPageBytes) throw new ParquetFault(`a page of ${size} bytes is too large`)
}

/** The bytes that a Snappy block says it holds. */
const snappyLength = (input: Uint8Array): number => {
  let length = 0
  for (let i = 0; i < 5; i++) {
    const byte = input[i] ?? damaged()
    length += (byte & 127) * 2 ** (7 * i)
    if (byte < 128) return length
  }
  return damaged()
}

/** Decompresses an LZ4 block into all of `output`, from `at` on; gives where it ended. */
const lz4Block = (input: Uint8Array, output: Uint8Array, start: number): number => {
  let from = 0
  let to = start
  const extended = (length: number): number => {
    let total = length
    if (length < 15) return total
    for (;;) {
      const byte = input[from++] ?? damaged()
      total += byte
      if (byte < 255) return total
    }
  }
  while (from < input.length) {
    const token = input[from++]!
    const literals = extended(token >> 4)
    if (from + literals > input.length || to + literals > output.length) damaged()
    output.set(input.subarray(from, from + literals), to)
    from += literals
    to += literals
    if (from === input.length) return to
    if (from + 2 > input.length) damaged()
    const offset = input[from]! | (input[from + 1]! << 8)
    from += 2
    const matched = extended(token & 15) + 4
    if (offset === 0 || offset > to || to + matched > output.length) damaged()
    if (offset >= matched) {
      output.copyWithin(to, to - offset, to - offset + matched)
      to += matched
    } else {
      for (const end = to + matched; to < end; to++) output[to] = output[to - offset]!
    }
  }
  return to
}

const lz4Raw = (input: Uint8Array, size: number): Uint8Array => {
  const output = new Uint8Array(size)
  return lz4Block(input, output, 0) === size ? output : damaged()
}

/** Hadoop's blocks, each after its two lengths; null where the input is not in that form. */
const lz4Hadoop = (input: Buffer, size: number): Uint8Array | null => {
  let blocks = 0
  let total = 0
  for (let from = 0; from < input.length; blocks++) {
    if (from + 8 > input.length) return null
    total += input.readUInt32BE(from)
    from += 8 + input.readUInt32BE(from + 4)
    if (from > input.length || total > size) return null
  }
  if (blocks === 0 || total !== size) return null
  const output = new Uint8Array(size)
  let to = 0
  for (let from = 0; from < input.length;) {
    const end = to + input.readUInt32BE(from)
    const next = from + 8 + input.readUInt32BE(from + 4)
    if (lz4Block(input.subarray(from + 8, next), output.subarray(0, end), to) !== end) damaged()
    to = end
    from = next
  }
  return output
}

const buffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** What zlib is told: it allocates in steps, up to the size. */
const bounds = (size: number) => ({ maxOutputLength: Math.max(1, size), chunkSize: Math.min(size + 64, 1024 * 1024) })

/** The most bytes that a byte of the codec's output can stand for, where the output is allocated beforehand. */
const expansion: { readonly [codec: string]: number } = { SNAPPY: 22, LZ4: 256, LZ4_RAW: 256 }

/**
 * Gives the `size` bytes of which `input` is the compressed form. Throws a `ParquetFault`.
 *
 * @internal
 */
export type Decompress = (codec: CompressionCodec, input: Uint8Array, size: number) => Uint8Array

/**
 * Whether files with a codec can be read.
 *
 * @internal
 */
export const isCodec = (codec: unknown): codec is CompressionCodec =>
  typeof codec === "string" && ["UNCOMPRESSED", "SNAPPY", "GZIP", "BROTLI", "ZSTD", "LZ4", "LZ4_RAW"].includes(codec)

/**
 * Snappy comes from `hyparquet-compressors`; zlib has gzip, Brotli and Zstandard.
 *
 * @internal
 */
export const makeDecompress = (compressors: Compressors): Decompress => {
  const run = (codec: CompressionCodec, input: Uint8Array, size: number): Uint8Array => {
    switch (codec) {
      case "UNCOMPRESSED":
        return input
      case "SNAPPY":
        if (snappyLength(input) !== size) damaged()
        return compressors.SNAPPY!(input, size)
      case "GZIP":
        return unzipSync(input, bounds(size))
      case "BROTLI":
        return brotliDecompressSync(input, bounds(size))
      case "ZSTD":
        return zstdDecompressSync(input, bounds(size))
      case "LZ4":
        return lz4Hadoop(buffer(input), size) ?? lz4Raw(input, size)
      case "LZ4_RAW":
        return lz4Raw(input, size)
      default:
        throw new ParquetFault(`the codec ${codec} is not supported`)
    }
  }
  return (codec, input, size) => {
    checkPageSize(size)
    if (size === 0) return new Uint8Array(0)
    if (size > input.length * (expansion[codec] ?? Infinity)) damaged()
    let output: Uint8Array
    try {
      output = run(codec, input, size)
    } catch (cause) {
      if (cause instanceof ParquetFault) throw cause
      throw new ParquetFault("the compressed data of a page is damaged", {}, cause)
    }
    if (output.length !== size) {
      throw new ParquetFault(`a page has ${output.length} bytes, where its header says ${size}`)
    }
    return output
  }
}
