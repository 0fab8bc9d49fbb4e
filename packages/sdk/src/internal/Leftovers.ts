/**
 * The records of a run that are to be tried again: found by what they came to, and taken from the input files, as they
 * were sent before.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { BatchError, Damaged } from "../BatchError.ts"
import type { Outcome } from "../Outcome.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"
import { defaultMemoryBudget } from "./CollectSettings.ts"
import * as Layout from "./Layout.ts"
import { LineSplitter } from "./Lines.ts"
import * as MediaCopies from "./MediaCopies.ts"
import type { Reference } from "./MediaCopies.ts"
import * as Merge from "./Merge.ts"
import type { Segment } from "./RecordEncoder.ts"

type Store = ObjectStore["Service"]

/** The records of one job of the first attempt that are to be tried again, a bit each. @internal */
export interface Leftovers {
  readonly job: Merge.Merging["job"]
  readonly count: number
  readonly has: (row: number) => boolean
}

/** Finds what came to such an outcome, over all attempts. Memory holds a bit a record beside one range of answers. @internal */
export const find = Effect.fnUntraced(function*(
  store: Store,
  merging: Merge.Merging,
  wanted: (outcome: Outcome, code: string | null) => boolean
) {
  const { firstRow, records } = merging.job
  const bits = new Uint8Array(Math.ceil(records / 8))
  let count = 0
  const ranges = yield* Merge.ranges(store, merging, { memoryBudget: defaultMemoryBudget }, Merge.emptyTally())
  for (const load of ranges) {
    const answers = yield* load
    answers.forEach(wanted, (row) => {
      bits[(row - firstRow) >> 3]! |= 1 << ((row - firstRow) & 7)
      count++
    })
  }
  const found: Leftovers = {
    job: merging.job,
    count,
    has: (row) => (bits[(row - firstRow) >> 3]! & (1 << ((row - firstRow) & 7))) !== 0
  }
  return found
}, Effect.scoped)

/** Segments are cut at about so many bytes. */
const segmentBytes = 4_000_000

const damaged = (key: string, message: string) =>
  new BatchError({ module: "retry", method: "retry", reason: new Damaged({ key, message: `${key} ${message}` }) })

/** Lines on their way into a segment. */
class Lines {
  #lines: Array<Buffer> = []
  #rows: Array<number> = []
  #references: Array<Reference> = []
  #bytes = 0

  get full(): boolean {
    return this.#bytes >= segmentBytes
  }

  /** Takes a line without its line feed; it is copied. */
  add(line: Buffer, row: number, references: ReadonlyArray<Omit<Reference, "record">>): void {
    for (const one of references) this.#references.push({ ...one, record: this.#rows.length })
    const own = Buffer.allocUnsafe(line.length + 1)
    own.set(line)
    own[line.length] = 0x0a
    this.#lines.push(own)
    this.#rows.push(row)
    this.#bytes += own.length
  }

  /** What was added since the last time. */
  take(): ReadonlyArray<Segment> {
    const [lines, references, rows] = [this.#lines, this.#references, this.#rows]
    if (lines.length === 0) return []
    const ends: Array<number> = []
    let end = 0
    for (const line of lines) ends.push(end += line.length)
    this.#lines = []
    this.#references = []
    this.#rows = []
    this.#bytes = 0
    const segment: Segment = { batch: { length: rows.length, columns: [rows] }, bytes: Buffer.concat(lines, end), ends }
    return [references.length === 0 ? segment : { ...segment, references }]
  }
}

/**
 * The records as they were sent, and their row numbers as the one column; those that name copies in their job's folder
 * name them in `folder`. Fails with `Damaged` where an input file is no longer what was written.
 *
 * @internal
 */
export const segments = (
  store: Store,
  { count, has, job }: Leftovers,
  folder: string
): Stream.Stream<Segment, BatchError> => {
  if (count === 0) return Stream.empty
  const add = (lines: Lines, line: Buffer, row: number) => {
    if (job.media === undefined) return lines.add(line, row, [])
    const to = MediaCopies.moved(line, store.uri(job.input), folder)
    lines.add(to.line, row, Array.from(to.names, (name) => ({ row, column: null, from: job.input + name, name })))
  }
  let row = job.firstRow
  const segmentsOf = (file: (typeof job.files)[number]): Stream.Stream<Segment, BatchError> =>
    Stream.suspend(() => {
      const splitter = new LineSplitter()
      const hash = createHash("sha256")
      const waiting = new Lines()
      const take = Effect.fnUntraced(function*(lines: ReadonlyArray<Buffer>) {
        for (const line of lines) {
          const start = `{"recordId":"${Layout.recordId(row)}"`
          if (line.toString("latin1", 0, start.length) !== start) {
            return yield* damaged(file.key, `has another record than ${Layout.recordId(row)} in its place`)
          }
          if (has(row)) add(waiting, line, row)
          row++
        }
        return waiting.full ? waiting.take() : []
      })
      return store.read(file.key).pipe(
        Stream.mapEffect((piece) => {
          hash.update(piece)
          return take(splitter.push(piece))
        }),
        Stream.concat(Stream.fromEffect(Effect.suspend(() => take(splitter.end())))),
        Stream.concat(Stream.fromEffect(Effect.suspend(() =>
          hash.digest("hex") === file.sha256
            ? Effect.succeed(waiting.take())
            : Effect.fail(damaged(file.key, "is not what prepare wrote"))
        ))),
        Stream.flattenIterable
      )
    })
  return Stream.flatMap(Stream.fromIterable(job.files), segmentsOf)
}
