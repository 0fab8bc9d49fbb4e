/**
 * Fetches the bytes of row groups: only the column chunks that are read, each byte once, ahead of what is read and in
 * bounded memory.
 *
 * Of a row group of ordinary size every contiguous run of wanted chunks is one read. A larger one is read in rounds:
 * the chunks are cut into windows, and the first windows of all of them are fetched before the second ones, as they
 * are needed in step.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { BatchError } from "../../BatchError.ts"
import type { Chunk } from "./ParquetFooter.ts"
import type { SourceFile } from "./SourceFile.ts"

/** Bytes that are fetched and not read yet, about: all files together. */
const aheadBytes = 48 * 1024 * 1024
/** A row group with more wanted bytes is read in rounds of this many. */
const roundBytes = 16 * 1024 * 1024
/** A row group with no more wanted bytes is fetched as it lies in the file. */
const wholeBytes = 32 * 1024 * 1024
const largestRead = 16 * 1024 * 1024
const smallestWindow = 64 * 1024
/** Unwanted bytes between two chunks that are fetched rather than asked for the second chunk apart. */
const gapBytes = 64 * 1024
const readsAtOnce = 8

/** Bytes of a file that are fetched with one read. */
interface Segment {
  readonly start: number
  readonly end: number
  /** Whether it is fetched before it is asked for. */
  readonly ahead: boolean
  /** Chunks that still need it. */
  users: number
  fetching: Fiber.Fiber<Buffer, BatchError> | null
  bytes: Buffer | null
}

/**
 * What all fetching of a source shares.
 *
 * @internal
 */
export interface Fetching {
  readonly scope: Scope.Scope
  readonly permits: Semaphore.Semaphore
  /** Bytes that are fetched, or being fetched, and not read yet. */
  held: number
}

/** @internal */
export const makeFetching: Effect.Effect<Fetching, never, Scope.Scope> = Effect.gen(function*() {
  return { scope: yield* Effect.scope, permits: yield* Semaphore.make(readsAtOnce), held: 0 }
})

const segment = (start: number, end: number, ahead: boolean): Segment =>
  ({ start, end, ahead, users: 0, fetching: null, bytes: null })

const cut = (start: number, end: number, size: number, ahead: (at: number) => boolean): Array<Segment> => {
  const segments: Array<Segment> = []
  for (let from = start; from < end; from += size) segments.push(segment(from, Math.min(end, from + size), ahead(from)))
  return segments
}

const runsOf = (chunks: ReadonlyArray<Chunk>): Array<Segment> => {
  const sorted = [...chunks].sort((a, b) => a.start - b.start)
  const segments: Array<Segment> = []
  let start = 0
  let end = -1
  for (const chunk of sorted) {
    if (end >= 0 && chunk.start - end > gapBytes) {
      segments.push(...cut(start, end, largestRead, () => true))
      end = -1
    }
    if (end < 0) start = chunk.start
    end = Math.max(end, chunk.end)
  }
  if (end >= 0) segments.push(...cut(start, end, largestRead, () => true))
  return segments
}

/** The segments that hold a chunk; those given are in order and apart. */
const overlapping = (segments: ReadonlyArray<Segment>, { end, start }: Chunk): ReadonlyArray<Segment> => {
  let low = 0
  for (let high = segments.length; low < high;) {
    const middle = (low + high) >> 1
    if (segments[middle]!.end <= start) low = middle + 1
    else high = middle
  }
  let last = low
  while (last < segments.length && segments[last]!.start < end) last++
  return segments.slice(low, last)
}

/** What is fetched, in order, and what of it each chunk has. */
interface Reads {
  readonly segments: ReadonlyArray<Segment>
  readonly ofChunk: ReadonlyArray<ReadonlyArray<Segment>>
}

const inRuns = (chunks: ReadonlyArray<Chunk>): Reads => {
  const segments = runsOf(chunks)
  return { segments, ofChunk: chunks.map((chunk) => overlapping(segments, chunk)) }
}

const inRounds = (chunks: ReadonlyArray<Chunk>, total: number, part: number): Reads => {
  const rounds = Math.ceil((total * part) / roundBytes)
  const ofChunk = chunks.map(({ end, start }) => {
    const wanted = (end - start) * part
    const window = Math.max(smallestWindow, Math.ceil(wanted / rounds))
    return cut(start, end, window, (at) => at - start < wanted)
  })
  const shares = ofChunk.flatMap((segments, j) => {
    const { end, start } = chunks[j]!
    return segments.map((segment) => ({ segment, share: (segment.start - start) / (end - start) }))
  })
  return { segments: shares.sort((a, b) => a.share - b.share).map(({ segment }) => segment), ofChunk }
}

/**
 * The bytes of a column chunk. What has been passed is let go of.
 *
 * @internal
 */
export class ChunkBytes {
  readonly end: number
  /** Where the next page begins. */
  at: number
  private readonly group: GroupBytes
  private readonly segments: ReadonlyArray<Segment>
  private passed = 0

  constructor(group: GroupBytes, chunk: Chunk, segments: ReadonlyArray<Segment>) {
    this.group = group
    this.at = chunk.start
    this.end = chunk.end
    this.segments = segments
    for (const segment of segments) segment.users++
  }

  /** What is there of the next bytes without waiting, and in one piece; it may be empty. */
  peek(): Buffer {
    const segment = this.segments[this.passed]
    if (segment === undefined || segment.bytes === null) return Buffer.alloc(0)
    return segment.bytes.subarray(this.at - segment.start, Math.min(segment.end, this.end) - segment.start)
  }

  /** The next `count` bytes, if they are there. */
  get(count: number): Buffer | null {
    const first = this.segments[this.passed]
    const to = this.at + count
    if (first === undefined || count === 0) return count === 0 ? Buffer.alloc(0) : null
    if (to <= first.end) return first.bytes?.subarray(this.at - first.start, to - first.start) ?? null
    const parts: Array<Buffer> = []
    for (let i = this.passed; i < this.segments.length; i++) {
      const { bytes, end, start } = this.segments[i]!
      if (bytes === null) return null
      parts.push(bytes.subarray(Math.max(this.at, start) - start, Math.min(to, end) - start))
      if (to <= end) break
    }
    return Buffer.concat(parts, count)
  }

  /** Fetches the next `count` bytes, which the chunk must have. */
  load(count: number): Effect.Effect<Buffer, BatchError> {
    return Effect.gen({ self: this }, function*() {
      const needed = this.segments.slice(this.passed).filter(({ start }) => start < this.at + count)
      for (const segment of needed) yield* this.group.start(segment)
      for (const segment of needed) {
        if (segment.bytes === null && segment.fetching !== null) segment.bytes = yield* Fiber.join(segment.fetching)
      }
      return this.get(count)!
    })
  }

  /** Passes the next `count` bytes. */
  pass(count: number): void {
    this.at += count
    while (this.passed < this.segments.length && this.segments[this.passed]!.end <= this.at) this.leave()
  }

  /** Lets go of all that is left. */
  close(): void {
    while (this.passed < this.segments.length) this.leave()
  }

  private leave(): void {
    this.group.release(this.segments[this.passed]!)
    this.passed++
  }
}

/**
 * The bytes of the wanted chunks of a row group.
 *
 * @internal
 */
export class GroupBytes {
  readonly chunks: ReadonlyArray<ChunkBytes>
  private readonly file: SourceFile
  private readonly fetching: Fetching
  private readonly segments: ReadonlyArray<Segment>
  private started = 0

  /** Of the rows only a `part` (up to 1) is read. */
  constructor(file: SourceFile, chunks: ReadonlyArray<Chunk>, part: number, fetching: Fetching) {
    this.file = file
    this.fetching = fetching
    const total = chunks.reduce((sum, { end, start }) => sum + end - start, 0)
    const { ofChunk, segments } = total > wholeBytes || (part < 0.5 && total > smallestWindow * chunks.length)
      ? inRounds(chunks, total, part)
      : inRuns(chunks)
    this.segments = segments
    this.chunks = chunks.map((chunk, j) => new ChunkBytes(this, chunk, ofChunk[j]!))
  }

  /** Starts fetching what is to come while there is room; true when nothing is left to start. */
  ahead(): Effect.Effect<boolean> {
    return Effect.gen({ self: this }, function*() {
      const { fetching, segments } = this
      for (; this.started < segments.length; this.started++) {
        const segment = segments[this.started]!
        if (!segment.ahead || segment.users === 0) continue
        if (fetching.held > 0 && fetching.held + segment.end - segment.start > aheadBytes) return false
        yield* this.start(segment)
      }
      return true
    })
  }

  start(segment: Segment): Effect.Effect<void> {
    if (segment.fetching !== null || segment.bytes !== null) return Effect.void
    const { fetching, file } = this
    fetching.held += segment.end - segment.start
    const read = file.range(segment.start, segment.end).pipe(
      Effect.map((bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    )
    return Effect.forkIn(fetching.permits.withPermits(1)(read), fetching.scope).pipe(
      Effect.map((fiber) => {
        segment.fetching = fiber
      })
    )
  }

  release(segment: Segment): void {
    if (--segment.users > 0) return
    if (segment.fetching !== null) this.fetching.held -= segment.end - segment.start
    segment.bytes = null
    segment.fetching = null
  }
}
