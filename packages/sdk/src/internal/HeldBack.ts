/**
 * Segments that wait for the decision which job they belong to, first in first out. Above a limit of bytes they wait in a
 * temporary file.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { deserialize, serialize } from "node:v8"
import { slice } from "./Batch.ts"
import type { Segment } from "./RecordEncoder.ts"

type Waiting =
  | { readonly in: "memory"; readonly segment: Segment }
  | { readonly in: "file"; readonly at: number; readonly length: number; readonly records: number }

/** @internal */
export class HeldBack {
  readonly #limit: number
  readonly #waiting: Array<Waiting> = []
  #memory = 0
  #file: { readonly descriptor: number; readonly folder: string; length: number } | null = null

  constructor(limit: number) {
    this.#limit = limit
  }

  push(segment: Segment): void {
    const size = segment.bytes.length
    if (this.#memory + size <= this.#limit) {
      this.#memory += size
      this.#waiting.push({ in: "memory", segment })
      return
    }
    if (this.#file === null) {
      const folder = fs.mkdtempSync(join(tmpdir(), "bedrock-batch-"))
      this.#file = { descriptor: fs.openSync(join(folder, "held-back"), "w+", 0o600), folder, length: 0 }
    }
    const bytes = serialize(segment)
    let written = 0
    while (written < bytes.length) {
      written += fs.writeSync(this.#file.descriptor, bytes, written, bytes.length - written, this.#file.length + written)
    }
    this.#waiting.push({ in: "file", at: this.#file.length, length: bytes.length, records: segment.ends.length })
    this.#file.length += bytes.length
  }

  /** Takes the next `records` records out; a segment that is cut stays behind with its rest. */
  take(records: number): ReadonlyArray<Segment> {
    const taken: Array<Segment> = []
    let wanted = records
    while (wanted > 0) {
      const segment = this.#load(this.#waiting.shift()!)
      if (segment.ends.length <= wanted) {
        taken.push(segment)
        wanted -= segment.ends.length
      } else {
        const [head, rest] = split(segment, wanted)
        taken.push(head)
        this.#memory += rest.bytes.length
        this.#waiting.unshift({ in: "memory", segment: rest })
        wanted = 0
      }
    }
    return taken
  }

  #load(waiting: Waiting): Segment {
    if (waiting.in === "memory") {
      this.#memory -= waiting.segment.bytes.length
      return waiting.segment
    }
    const bytes = Buffer.allocUnsafe(waiting.length)
    let read = 0
    while (read < bytes.length) {
      read += fs.readSync(this.#file!.descriptor, bytes, read, bytes.length - read, waiting.at + read)
    }
    if (this.#waiting.every((other) => other.in === "memory")) {
      fs.ftruncateSync(this.#file!.descriptor, 0)
      this.#file!.length = 0
    }
    const segment: Segment = deserialize(bytes)
    return segment
  }

  close(): void {
    if (this.#file === null) return
    fs.closeSync(this.#file.descriptor)
    fs.rmSync(this.#file.folder, { recursive: true, force: true })
    this.#file = null
  }
}

const split = (segment: Segment, records: number): readonly [Segment, Segment] => {
  const at = segment.ends[records - 1]!
  return [
    {
      batch: slice(segment.batch, 0, records),
      bytes: segment.bytes.subarray(0, at),
      ends: segment.ends.slice(0, records)
    },
    {
      batch: slice(segment.batch, records, segment.batch.length),
      bytes: segment.bytes.subarray(at),
      ends: segment.ends.slice(records).map((end) => end - at)
    }
  ]
}

/** The first `records` records of a segment. @internal */
export const head = (segment: Segment, records: number): Segment =>
  records === segment.ends.length ? segment : split(segment, records)[0]

/**
 * A queue that is closed with the scope; `limit` is in bytes.
 *
 * @internal
 */
export const make = (limit: number): Effect.Effect<HeldBack, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new HeldBack(limit)),
    (held) => Effect.sync(() => held.close())
  )
