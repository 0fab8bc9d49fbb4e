/**
 * How the pages of a Parquet file are compressed.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { promisify } from "node:util"
import { constants, zstdCompress, zstdCompressSync } from "node:zlib"
import type { Compression } from "../Sink.ts"

/** @internal */
export interface Codec {
  /** As the footer names it. */
  readonly id: number
  /** The bytes compressed, now or later; they are not to be written to until then. Null where they stay as they are. */
  readonly compress: ((bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>) | null
}

/** @internal */
export const uncompressed: Codec = { id: 0, compress: null }

const params = { [constants.ZSTD_c_compressionLevel]: 1 }
const inThread = promisify(zstdCompress)

/** Smaller pages are compressed sooner than they are handed to another thread. */
const threadBytes = 32 * 1024
/** Each takes about 4 MB while it waits. */
const mostInThreads = 16

const zstd = (): Codec => {
  let inThreads = 0
  const later = async (bytes: Uint8Array): Promise<Uint8Array> => {
    inThreads++
    try {
      const chunkSize = bytes.length + (bytes.length >> 7) + 1024
      // A copy, for the result lies in a buffer of that size.
      return new Uint8Array(await inThread(bytes, { params, chunkSize, pledgedSrcSize: bytes.length }))
    } finally {
      inThreads--
    }
  }
  return {
    id: 6,
    compress: (bytes) =>
      bytes.length < threadBytes || inThreads >= mostInThreads ? zstdCompressSync(bytes, { params }) : later(bytes)
  }
}

/** @internal */
export const codecOf = (compression: Compression): Effect.Effect<Codec> => {
  switch (compression) {
    case "zstd":
      return Effect.sync(zstd)
    case "snappy":
      return Effect.map(
        Effect.promise(() => import("hyparquet-writer/src/snappy.js")),
        ({ snappyCompress }) => ({ id: 1, compress: snappyCompress })
      )
    case "none":
      return Effect.succeed(uncompressed)
  }
}
