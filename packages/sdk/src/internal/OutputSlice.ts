/**
 * Slices of a job's output: ranges of bytes that several threads read, each the lines that begin in its own.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { BatchError, Damaged } from "../BatchError.ts"
import type { ObjectInfo, ObjectStore } from "../store/ObjectStore.ts"
import { splitLines } from "./Lines.ts"

/** What is read of a store to collect a job. @internal */
export type Readable = Pick<ObjectStore["Service"], "list" | "read">

/** The lines of a file that begin in a range of its bytes. @internal */
export interface OutputSlice {
  readonly key: string
  /** Size of the file in bytes. */
  readonly size: number
  /** First byte of the range. */
  readonly start: number
  /** The byte after the range. */
  readonly end: number
}

/** The whole of each file. @internal */
export const whole = (files: ReadonlyArray<ObjectInfo>): ReadonlyArray<OutputSlice> =>
  files.map(({ key, size }) => ({ key, size, start: 0, end: size }))

/** Cuts files into slices of about so many bytes. @internal */
export const cut = (files: ReadonlyArray<ObjectInfo>, bytes: number): ReadonlyArray<OutputSlice> =>
  files.flatMap(({ key, size }) => {
    const count = Math.max(1, Math.round(size / bytes))
    const at = (i: number): number => Math.floor((size * i) / count)
    return Array.from({ length: count }, (_, i) => ({ key, size, start: at(i), end: at(i + 1) }))
  })

/** Bytes of one call, and calls at the same time: one connection alone is slower than the join. */
const callBytes = 8 * 1024 * 1024
const callsAtOnce = 3

/** Bytes of a call for the end of a line. */
const tailBytes = 256 * 1024

const lineFeed = 0x0a

/** The bytes from `start` to `end`, fetched ahead in ranges. */
const readAhead = (
  store: Readable,
  { key, size }: OutputSlice,
  start: number,
  end: number,
  bytes: number,
  concurrency: number
): Stream.Stream<Uint8Array, BatchError> => {
  const starts = Array.from({ length: Math.ceil((end - start) / bytes) }, (_, i) => start + i * bytes)
  return Stream.fromIterable(starts).pipe(
    Stream.mapEffect((from) => {
      const to = Math.min(end, from + bytes)
      return Effect.flatMap(Stream.runCollect(store.read(key, { start: from, end: to })), (pieces) => {
        const read = pieces.reduce((sum, piece) => sum + piece.length, 0)
        return read === to - from ? Effect.succeed(pieces) : Effect.fail(
          new BatchError({
            module: "collect",
            method: "outputs",
            reason: new Damaged({
              key,
              message: `${key} has ${size} bytes by the store's list, and ends at byte ${from + read}`
            })
          })
        )
      })
    }, { concurrency }),
    Stream.flattenIterable
  )
}

/** The bytes after the first line feed; all of them where the slice begins the file. */
const fromFirstLine = (
  bytes: Stream.Stream<Uint8Array, BatchError>,
  slice: OutputSlice
): Stream.Stream<Uint8Array, BatchError> => {
  if (slice.start === 0) return bytes
  return Stream.suspend(() => {
    let begun = false
    return bytes.pipe(
      Stream.map((piece) => {
        if (begun) return piece
        const at = piece.indexOf(lineFeed)
        begun = at >= 0
        return begun ? piece.subarray(at + 1) : piece.subarray(piece.length)
      })
    )
  })
}

/** The lines that begin in a slice. @internal */
export const lines = (store: Readable, slice: OutputSlice): Stream.Stream<ReadonlyArray<Buffer>, BatchError> => {
  const { end, size, start } = slice
  return Stream.suspend(() => {
    /** Whether a line has begun that has not ended. */
    let open = false
    // The byte before the slice tells whether a line begins with it.
    const own = fromFirstLine(readAhead(store, slice, Math.max(0, start - 1), end, callBytes, callsAtOnce), slice).pipe(
      Stream.map((piece) => {
        if (piece.length > 0) open = piece[piece.length - 1] !== lineFeed
        return piece
      })
    )
    const rest = Stream.suspend(() => {
      if (!open || end === size) return Stream.empty
      let ended = false
      return readAhead(store, slice, end, size, tailBytes, 1).pipe(
        Stream.map((piece) => {
          const at = piece.indexOf(lineFeed)
          ended = at >= 0
          return ended ? piece.subarray(0, at) : piece
        }),
        Stream.takeUntil(() => ended)
      )
    })
    return splitLines(Stream.concat(own, rest))
  })
}
