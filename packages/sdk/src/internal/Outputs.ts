/**
 * The answers to a job's rows, range by range. An output that is larger than the memory it may take is read once all the
 * same: its answers, which are much smaller than its lines, wait in temporary files.
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
import type { ObjectInfo } from "../store/ObjectStore.ts"
import { addOddities, AnswerReader, Answers, type Oddities } from "./Answers.ts"
import { cut, forEachLine, localFailure, type OutputSlice, type Readable, whole } from "./OutputSlice.ts"
import * as Spills from "./Spills.ts"

/** The output of one job, as far as it concerns the rows. @internal */
export interface Output {
  readonly job: EndedJob
  /** The part of its records that are among the rows: more than 0, at most 1. */
  readonly share: number
  /** What is odd in it is added here. */
  readonly oddities: Oddities
}

/** A range of rows whose answers fit into memory. @internal */
export interface Range {
  /** The answers of each output. */
  readonly load: Effect.Effect<ReadonlyArray<Answers>, BatchError>
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

/** The folder of a job's output. @internal */
export const folderOf = (job: EndedJob): string =>
  job.lane === "on-demand" ? job.output : `${job.output}${job.arn.slice(job.arn.lastIndexOf("/") + 1)}/`

/** The files of a job's output. @internal */
export const filesOf = (store: Readable, job: EndedJob): Effect.Effect<ReadonlyArray<ObjectInfo>, BatchError> =>
  Effect.map(store.list(folderOf(job)), ({ objects }) => objects.filter(({ key }) => key.endsWith(".jsonl.out")))

const sizeOf = (files: ReadonlyArray<ObjectInfo>): number => files.reduce((sum, { size }) => sum + size, 0)

/** The ranges of the rows `from` (inclusive) to `to` (exclusive), in order. @internal */
export const ranges = Effect.fnUntraced(function*(
  store: Readable,
  outputs: ReadonlyArray<Output>,
  rows: { readonly from: number; readonly to: number },
  processor: Processor<object>,
  columns: ReadonlyArray<Column>,
  memoryBudget: number,
  readers: SliceReaders | null,
  temporary: string
): Effect.fn.Return<ReadonlyArray<Range>, BatchError, Scope.Scope> {
  const { from, to } = rows
  const listed = yield* Effect.forEach(outputs, (output) =>
    Effect.map(filesOf(store, output.job), (files) => ({ ...output, files })))
  const bytes = listed.reduce((sum, { files, share }) => sum + sizeOf(files) * share, 0)
  const answers = processor.decodeVectors === undefined ? bytes : bytes / vectorShare
  const wanted = Math.max(Math.ceil(answers / memoryBudget * rangesInBudget), Math.ceil(answers / mostRangeBytes))
  const count = answers <= memoryBudget ? 1 : Math.min(mostRanges, wanted, to - from)
  if (count <= 1) {
    const load = Effect.forEach(listed, ({ files, oddities }) =>
      Effect.suspend(() => {
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
      }))
    return [{ load }]
  }

  const size = Math.ceil((to - from) / count)
  const spilled = yield* Effect.forEach(listed, Effect.fnUntraced(function*({ files, oddities }) {
    const folder = yield* Effect.acquireRelease(
      Effect.try({ try: () => fs.mkdtempSync(join(temporary, "bedrock-batch-")), catch: localFailure }),
      (folder) => Effect.ignore(Effect.try(() => fs.rmSync(folder, { recursive: true, force: true })))
    )
    const spills: Spills.Spills = { folder, from, to, size, count: Math.ceil((to - from) / size) }
    const slices = readers === null ? whole(files) : cut(files, Math.max(leastSlice, sizeOf(files) / (2 * readers.count)))
    const spill: SliceReaders["spill"] = readers?.spill ??
      ((spills, slice, number) => Spills.spill(store, spills, slice, number, processor, columns))
    const read = yield* Effect.forEach(slices, (slice, number) => spill(spills, slice, number), {
      concurrency: readers?.count ?? 1
    })
    for (const one of read) addOddities(oddities, one)
    return { spills, slices: slices.length, oddities }
  }))
  return Array.from({ length: Math.ceil((to - from) / size) }, (_, range) => ({
    load: Effect.forEach(spilled, ({ oddities, slices, spills }) =>
      Spills.load(spills, range, slices, columns.length, oddities))
  }))
})
