/**
 * The answers of a job, range by range of its records. An output that is larger than the memory it may take is read once
 * all the same: its answers, which are much smaller than its lines, wait in temporary files.
 *
 * @internal
 */
import type { Processor } from "@bedrock-batch/processors/Processor"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import { join } from "node:path"
import type { BatchError } from "../BatchError.ts"
import type { Column } from "../Column.ts"
import type { EndedJob } from "../Job.ts"
import { AnswerReader, Answers, type Oddities } from "./Answers.ts"
import { cut, forEachLine, localFailure, type OutputSlice, type Readable, whole } from "./OutputSlice.ts"
import * as Spills from "./Spills.ts"

/** A range of records whose answers fit into memory. @internal */
export interface Range {
  readonly load: Effect.Effect<Answers, BatchError>
}

/** Threads that read slices of an output. @internal */
export interface SliceReaders {
  /** How many slices are read at the same time. */
  readonly count: number
  /** Reads a slice as `Spills.spill` does; gives what was odd in it. */
  readonly spill: (spills: Spills.Spills, slice: OutputSlice, number: number) => Effect.Effect<Oddities, BatchError>
}

/** A vector takes about this part of its line, in which a number has a dozen bytes and often stands twice. */
const vectorShare = 5

/** More ranges than this are not made: each has answers that wait for its file. */
const mostRanges = 64

/** While one range is written, the next one comes, and the collector has not seen the one before. */
const rangesInBudget = 4

/** A file of more than 2 GB cannot be read at once. */
const mostRangeBytes = 1_000_000_000

/** Smaller slices than this are not worth a thread. */
const leastSlice = 16_000_000

/** The ranges of a job's output, in order; together they cover its records. @internal */
export const ranges = Effect.fnUntraced(function*(
  store: Readable,
  job: EndedJob,
  processor: Processor<object>,
  columns: ReadonlyArray<Column>,
  memoryBudget: number,
  oddities: Oddities,
  readers: SliceReaders | null,
  temporary: string
): Effect.fn.Return<ReadonlyArray<Range>, BatchError, Scope.Scope> {
  const { objects } = yield* store.list(`${job.output}${job.arn.slice(job.arn.lastIndexOf("/") + 1)}/`)
  const files = objects.filter(({ key }) => key.endsWith(".jsonl.out"))
  const bytes = files.reduce((sum, file) => sum + file.size, 0)
  const [from, to] = [job.firstRow, job.firstRow + job.records]

  const answers = processor.decodeVectors === undefined ? bytes : bytes / vectorShare
  const wanted = Math.max(Math.ceil(answers / memoryBudget * rangesInBudget), Math.ceil(answers / mostRangeBytes))
  const count = answers <= memoryBudget ? 1 : Math.min(mostRanges, wanted, job.records)
  if (count <= 1) {
    const load = Effect.suspend(() => {
      const reader = new AnswerReader(processor, columns)
      const answers = new Answers(from, to, columns.length)
      return Effect.as(
        Effect.forEach(whole(files), (slice) =>
          forEachLine(store, slice, (line) => {
            const answer = reader.read(line, from, to, oddities)
            if (answer !== null) answers.put(reader.row, answer, oddities)
          }), { discard: true }),
        answers
      )
    })
    return [{ load }]
  }

  const folder = yield* Effect.acquireRelease(
    Effect.try({ try: () => fs.mkdtempSync(join(temporary, "bedrock-batch-")), catch: localFailure }),
    (folder) => Effect.ignore(Effect.try(() => fs.rmSync(folder, { recursive: true, force: true })))
  )
  const size = Math.ceil(job.records / count)
  const spills: Spills.Spills = { folder, from, to, size, count: Math.ceil(job.records / size) }
  const slices = readers === null ? whole(files) : cut(files, Math.max(leastSlice, bytes / (2 * readers.count)))
  const spill: SliceReaders["spill"] = readers?.spill ??
    ((spills, slice, number) => Spills.spill(store, spills, slice, number, processor, columns))
  const read = yield* Effect.forEach(slices, (slice, number) => spill(spills, slice, number), {
    concurrency: readers?.count ?? 1
  })
  for (const { malformed, unknown } of read) {
    oddities.malformed += malformed
    oddities.unknown += unknown
  }
  return Array.from({ length: spills.count }, (_, range) => ({
    load: Spills.load(spills, range, slices.length, columns.length, oddities)
  }))
})
