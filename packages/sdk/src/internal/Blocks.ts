/**
 * Bytes on their way into and out of a store: small chunks are joined, so that an effect is paid for per block and not
 * per chunk.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createHash, type Hash } from "node:crypto"
import { BatchError, InvalidOption } from "../BatchError.ts"
import type { ByteRange, WriteOptions } from "../store/ObjectStore.ts"

/** Chunks are joined up to about this size. */
const blockBytes = 1024 * 1024

/**
 * The same bytes in fewer chunks: runs of small ones are copied together, large ones are passed on, empty ones dropped.
 *
 * @internal
 */
export const join = (chunks: ReadonlyArray<Uint8Array>): Array<Uint8Array> => {
  const blocks: Array<Uint8Array> = []
  let small: Array<Uint8Array> = []
  let size = 0
  const flush = () => {
    const first = small[0]
    if (first !== undefined) blocks.push(small.length === 1 ? first : Buffer.concat(small, size))
    small = []
    size = 0
  }
  for (const chunk of chunks) {
    if (chunk.byteLength === 0) continue
    if (size + chunk.byteLength > blockBytes) flush()
    small.push(chunk)
    size += chunk.byteLength
  }
  flush()
  return blocks
}

/**
 * Counts the bytes that pass, and digests them where that is asked for.
 *
 * @internal
 */
export class Tally {
  /** Bytes so far. */
  size = 0
  readonly #hash: Hash | null
  constructor(options?: WriteOptions) {
    this.#hash = options?.digest === false ? null : createHash("sha256")
  }
  /** Takes the next bytes. */
  add(block: Uint8Array): void {
    this.size += block.byteLength
    this.#hash?.update(block)
  }
  /** SHA-256 in hex, or nothing; to be asked for once, at the end. */
  digest(): string {
    return this.#hash?.digest("hex") ?? ""
  }
}

/**
 * Runs a stream to its end for the SHA-256 of its bytes alone.
 *
 * @internal
 */
export const digest = <E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>,
  options?: WriteOptions
): Effect.Effect<string, E, R> =>
  Effect.suspend(() => {
    const tally = new Tally(options)
    return Stream.runForEachArray(bytes, (chunks) =>
      Effect.sync(() => {
        for (const chunk of chunks) tally.add(chunk)
      })).pipe(Effect.map(() => tally.digest()))
  })

/**
 * Fails with `InvalidOption` if a range is not one.
 *
 * @internal
 */
export const checkRange = (module: string, range: ByteRange | undefined): Effect.Effect<void, BatchError> => {
  const { end, start } = range ?? { start: 0 }
  return Number.isSafeInteger(start) && start >= 0 && (end === undefined || (Number.isSafeInteger(end) && end >= start))
    ? Effect.void
    : Effect.fail(
      new BatchError({
        module,
        method: "read",
        reason: new InvalidOption({
          path: "range",
          message: `bytes ${start} to ${end ?? "the end"} are no range: give whole numbers, 0 <= start <= end`
        })
      })
    )
}
