/**
 * Segments that wait for the decision which job they belong to, first in first out. Above a limit of bytes they wait in
 * a temporary files of about that size.
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

/** A temporary file; it is removed when all that was put into it has been taken out, and nothing more is put into it. */
interface Spill {
  readonly descriptor: number
  readonly path: string
  length: number
  waiting: number
}

type Waiting =
  | { readonly in: "memory"; readonly segment: Segment }
  | { readonly in: "file"; readonly file: Spill; readonly at: number; readonly length: number }

/** @internal */
export class HeldBack {
  readonly #limit: number
  readonly #waiting: Array<Waiting> = []
  readonly #files = new Set<Spill>()
  #memory = 0
  #folder: string | null = null
  #current: Spill | null = null
  #created = 0

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
    const bytes = serialize(segment)
    const file = this.#fileFor(bytes.length)
    let written = 0
    while (written < bytes.length) {
      written += fs.writeSync(file.descriptor, bytes, written, bytes.length - written, file.length + written)
    }
    this.#waiting.push({ in: "file", file, at: file.length, length: bytes.length })
    file.length += bytes.length
    file.waiting++
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

  close(): void {
    for (const file of this.#files) this.#remove(file)
    if (this.#folder !== null) fs.rmSync(this.#folder, { recursive: true, force: true })
    this.#folder = null
    this.#current = null
  }

  /** The file to write so many bytes to: the current one up to the limit, then a new one. */
  #fileFor(bytes: number): Spill {
    const current = this.#current
    if (current !== null && current.length + bytes <= this.#limit) return current
    this.#folder ??= fs.mkdtempSync(join(tmpdir(), "bedrock-batch-"))
    const path = join(this.#folder, String(this.#created++))
    const file: Spill = { descriptor: fs.openSync(path, "w+", 0o600), path, length: 0, waiting: 0 }
    this.#files.add(file)
    this.#current = file
    if (current?.waiting === 0) this.#remove(current)
    return file
  }

  #load(waiting: Waiting): Segment {
    if (waiting.in === "memory") {
      this.#memory -= waiting.segment.bytes.length
      return waiting.segment
    }
    const { at, file, length } = waiting
    const bytes = Buffer.allocUnsafe(length)
    let read = 0
    while (read < length) {
      const count = fs.readSync(file.descriptor, bytes, read, length - read, at + read)
      if (count === 0) throw new Error(`${file.path} is shorter than what was written to it`)
      read += count
    }
    file.waiting--
    if (file.waiting === 0 && file !== this.#current) this.#remove(file)
    const segment: Segment = deserialize(bytes)
    return segment
  }

  #remove(file: Spill): void {
    fs.closeSync(file.descriptor)
    fs.rmSync(file.path, { force: true })
    this.#files.delete(file)
  }
}

const split = (segment: Segment, records: number): readonly [Segment, Segment] => {
  const at = segment.ends[records - 1]!
  const { references } = segment
  return [
    {
      batch: slice(segment.batch, 0, records),
      bytes: segment.bytes.subarray(0, at),
      ends: segment.ends.slice(0, records),
      ...(references === undefined ? {} : { references: references.filter(({ record }) => record < records) })
    },
    {
      batch: slice(segment.batch, records, segment.batch.length),
      bytes: segment.bytes.subarray(at),
      ends: segment.ends.slice(records).map((end) => end - at),
      ...(references === undefined ? {} : {
        references: references.flatMap((one) =>
          one.record < records ? [] : [{ ...one, record: one.record - records }]
        )
      })
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
