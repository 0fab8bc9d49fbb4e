/**
 * The output lines of a job, range by range of its records. An output that is larger than the memory it may take is
 * first divided by range into temporary files.
 *
 * @internal
 */
import type { Processor } from "@bedrock-batch/processors/Processor"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { BatchError, Refused } from "../BatchError.ts"
import type { Column } from "../Column.ts"
import type { EndedJob } from "../Job.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"
import { Answers, type Oddities, parseLine } from "./Answers.ts"
import * as Layout from "./Layout.ts"
import { splitLines } from "./Lines.ts"

type Store = ObjectStore["Service"]

/** A range of records whose answers fit into memory. @internal */
export interface Range {
  readonly load: Effect.Effect<Answers, BatchError>
}

/** Lines wait for their temporary file up to so many bytes. */
const pieceBytes = 1_000_000

/** More ranges than this are not made: each has lines that wait for its file. */
const mostRanges = 64

/** Reads a local file in pieces. */
const readFile = (path: string): Stream.Stream<Uint8Array, BatchError> =>
  Stream.suspend(() => Stream.fromAsyncIterable(fs.createReadStream(path, { highWaterMark: 1 << 20 }), localFailure))

const localFailure = (cause: unknown) =>
  new BatchError({
    module: "collect",
    method: "outputs",
    reason: new Refused({ code: "TemporaryFile", message: "a temporary file of the join cannot be written or read", cause })
  })

/** The ranges of a job's output, in order; together they cover its records. @internal */
export const ranges = Effect.fnUntraced(function*(
  store: Store,
  job: EndedJob,
  processor: Processor<object>,
  columns: ReadonlyArray<Column>,
  memoryBudget: number,
  oddities: Oddities
): Effect.fn.Return<ReadonlyArray<Range>, BatchError, Scope.Scope> {
  const { objects } = yield* store.list(`${job.output}${job.arn.slice(job.arn.lastIndexOf("/") + 1)}/`)
  const files = objects.filter(({ key }) => key.endsWith(".jsonl.out"))
  const bytes = files.reduce((sum, file) => sum + file.size, 0)
  const end = job.firstRow + job.records
  const lines = Stream.fromIterable(files).pipe(Stream.flatMap((file) => splitLines(store.read(file.key))))
  const load = (from: number, to: number, lines: Stream.Stream<ReadonlyArray<Buffer>, BatchError>): Range => ({
    load: Effect.suspend(() => {
      const answers = new Answers(from, to, processor, columns)
      return Effect.as(
        Stream.runForEach(lines, (group) =>
          Effect.sync(() => {
            for (const line of group) answers.add(line, oddities)
          })),
        answers
      )
    })
  })
  const count = Math.min(mostRanges, Math.ceil(bytes / memoryBudget), job.records)
  if (count <= 1) return [load(job.firstRow, end, lines)]

  const size = Math.ceil(job.records / count)
  const folder = yield* Effect.acquireRelease(
    Effect.try({ try: () => fs.mkdtempSync(join(tmpdir(), "bedrock-batch-")), catch: localFailure }),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
  )
  const parts = Array.from({ length: Math.ceil(job.records / size) }, (_, i) => ({
    path: join(folder, String(i)),
    from: job.firstRow + i * size,
    to: Math.min(end, job.firstRow + (i + 1) * size),
    waiting: new Array<Buffer>(),
    bytes: 0
  }))
  const flush = (part: typeof parts[number]) => {
    fs.appendFileSync(part.path, Buffer.concat(part.waiting), { mode: 0o600 })
    part.waiting = []
    part.bytes = 0
  }
  const newline = Buffer.from("\n")
  yield* Stream.runForEach(lines, (group) =>
    Effect.try({
      try: () => {
        for (const line of group) {
          const parsed = parseLine(line)
          if (parsed === null) {
            oddities.malformed++
            continue
          }
          const row = Layout.rowOf(parsed.recordId)
          if (row < job.firstRow || row >= end) {
            oddities.unknown++
            continue
          }
          const part = parts[Math.floor((row - job.firstRow) / size)]!
          // A copy: the line is a view of a piece that would stay in memory as long as it.
          part.waiting.push(Buffer.from(line), newline)
          part.bytes += line.length + 1
          if (part.bytes >= pieceBytes) flush(part)
        }
      },
      catch: localFailure
    }))
  yield* Effect.try({ try: () => parts.forEach(flush), catch: localFailure })
  return parts.map(({ from, path, to }) => load(from, to, splitLines(readFile(path))))
})
