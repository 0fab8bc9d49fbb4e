/**
 * Slices of a job's output: ranges of bytes that several threads read, each the lines that begin in its own.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { BatchError, Damaged, Refused } from "../BatchError.ts"
import type { ObjectInfo, ObjectStore } from "../store/ObjectStore.ts"
import { LineSplitter } from "./Lines.ts"

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

/** Bytes that are fetched for the end of a line. */
const tailBytes = 256 * 1024

/** Smaller files are read in one call. */
const wholeBytes = 64_000_000

const lineFeed = 0x0a

/** Fails where fewer bytes come than the list of the store has said. */
const complete = ({ key, size }: OutputSlice, end: number, read: number): Effect.Effect<void, BatchError> =>
  read === end ? Effect.void : Effect.fail(
    new BatchError({
      module: "collect",
      method: "outputs",
      reason: new Damaged({ key, message: `${key} has ${size} bytes by the store's list, and ends at byte ${read}` })
    })
  )

/** Gives the memory of a piece back at once, where nothing else lies in it: the collector would take its time. */
const free = ({ buffer, byteLength }: Uint8Array): void => {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}

/**
 * Calls `use` with each line that begins in a slice; a line is not to be kept. What `use` throws is a failure of a
 * temporary file.
 *
 * @internal
 */
export const forEachLine = (
  store: Readable,
  slice: OutputSlice,
  use: (line: Buffer) => void
): Effect.Effect<void, BatchError> =>
  Effect.suspend(() => {
    const { end, size, start } = slice
    const splitter = new LineSplitter()
    /** Whether a line has begun that has not ended. */
    let open = false
    let begun = start === 0
    let position = Math.max(0, start - 1)
    const take = (piece: Uint8Array) =>
      Effect.try({
        try: () => {
          if (piece.length === 0) return
          position += piece.length
          const from = begun ? 0 : piece.indexOf(lineFeed) + 1
          begun ||= from > 0
          if (begun && from < piece.length) {
            for (const line of splitter.push(piece.subarray(from))) use(line)
          }
          open = begun && piece[piece.length - 1] !== lineFeed
          free(piece)
        },
        catch: localFailure
      })
    const last = Effect.try({ try: () => splitter.end().forEach(use), catch: localFailure })

    /** The rest of the last line, which ends in the next slice. */
    const takeRest = Effect.gen(function*() {
      while (open && position < size) {
        const to = Math.min(size, position + tailBytes)
        const pieces = yield* Stream.runCollect(store.read(slice.key, { start: position, end: to }))
        const bytes = Buffer.concat(pieces)
        yield* complete(slice, to, position + bytes.length)
        const at = bytes.indexOf(lineFeed)
        yield* take(at < 0 ? bytes : bytes.subarray(0, at))
        if (at >= 0) return
      }
    })
    // Read as a whole, an object is held against its checksum; in ranges, large ones are fetched by several calls. The
    // byte before the slice tells whether a line begins with it.
    const isWhole = start === 0 && end === size && size <= wholeBytes
    return store.read(slice.key, isWhole ? undefined : { start: position, end }).pipe(
      Stream.runForEach(take),
      Effect.andThen(Effect.suspend(() => complete(slice, end, position))),
      Effect.andThen(takeRest),
      Effect.andThen(last)
    )
  })

/** @internal */
export const localFailure = (cause: unknown) =>
  new BatchError({
    module: "collect",
    method: "outputs",
    reason: new Refused({ code: "TemporaryFile", message: "a temporary file of the join cannot be written or read", cause })
  })
