/**
 * The answers of a job, range by range of its records. An output that is larger than the memory it may take is read once
 * all the same: its answers, which are much smaller than its lines, wait in temporary files, one for each range.
 *
 * @internal
 */
import type { Processor } from "@bedrock-batch/processors/Processor"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import { readFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { deserialize, serialize } from "node:v8"
import { BatchError, Damaged, Refused } from "../BatchError.ts"
import type { Column } from "../Column.ts"
import type { EndedJob } from "../Job.ts"
import type { ObjectInfo, ObjectStore } from "../store/ObjectStore.ts"
import { type Answer, answerAt, type AnswerColumns, AnswerReader, Answers, type Oddities, putAnswer } from "./Answers.ts"
import { splitLines } from "./Lines.ts"

/** What is read of a store to collect a job. @internal */
export type Readable = Pick<ObjectStore["Service"], "list" | "read">

/** A range of records whose answers fit into memory. @internal */
export interface Range {
  readonly load: Effect.Effect<Answers, BatchError>
}

/** Answers that wait for their file come from so many bytes of lines, over all ranges. */
const waitingBytes = 16_000_000

/** More ranges than this are not made: each has answers that wait for its file. */
const mostRanges = 64

const localFailure = (cause: unknown) =>
  new BatchError({
    module: "collect",
    method: "outputs",
    reason: new Refused({ code: "TemporaryFile", message: "a temporary file of the join cannot be written or read", cause })
  })

/** Bytes of one call, and calls at the same time: one connection alone is slower than the join. */
const callBytes = 8 * 1024 * 1024
const callsAtOnce = 3

/** The bytes of a file, fetched ahead in ranges. */
const readAhead = (store: Readable, { key, size }: ObjectInfo): Stream.Stream<Uint8Array, BatchError> => {
  if (size <= callBytes) return store.read(key)
  const starts = Array.from({ length: Math.ceil(size / callBytes) }, (_, i) => i * callBytes)
  return Stream.fromIterable(starts).pipe(
    Stream.mapEffect((start) => {
      const end = Math.min(size, start + callBytes)
      return Effect.flatMap(Stream.runCollect(store.read(key, { start, end })), (pieces) => {
        const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
        return bytes === end - start ? Effect.succeed(pieces) : Effect.fail(shorter(key, size, start + bytes))
      })
    }, { concurrency: callsAtOnce }),
    Stream.flattenIterable
  )
}

const shorter = (key: string, size: number, end: number) =>
  new BatchError({
    module: "collect",
    method: "outputs",
    reason: new Damaged({ key, message: `${key} has ${size} bytes by the store's list, and ends at byte ${end}` })
  })

/** Answers in the order in which they came, and the rows that they are of. */
interface Block extends AnswerColumns {
  readonly rows: Array<number>
}

const emptyBlock = (answers: number): Block => ({
  rows: [],
  ranks: [],
  values: Array.from({ length: answers }, () => []),
  stopReasons: [],
  codes: [],
  messages: [],
  inputTokens: [],
  outputTokens: []
})

/** The answers of one range, in blocks in a temporary file, each after its length. */
class Spill {
  readonly from: number
  readonly to: number
  readonly #path: string
  readonly #answers: number
  readonly #limit: number
  #block: Block
  #bytes = 0

  constructor(path: string, from: number, to: number, answers: number, limit: number) {
    this.from = from
    this.to = to
    this.#path = path
    this.#answers = answers
    this.#limit = limit
    this.#block = emptyBlock(answers)
  }

  /** Takes an answer that was read from so many bytes. */
  put(row: number, answer: Answer, bytes: number): void {
    putAnswer(this.#block, this.#block.rows.length, answer)
    this.#block.rows.push(row)
    this.#bytes += bytes
    if (this.#bytes >= this.#limit) this.flush()
  }

  flush(): void {
    const bytes = serialize(this.#block)
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(bytes.length))
    fs.appendFileSync(this.#path, Buffer.concat([length, bytes]), { mode: 0o600 })
    this.#block = emptyBlock(this.#answers)
    this.#bytes = 0
  }

  load(oddities: Oddities): Effect.Effect<Answers, BatchError> {
    return Effect.tryPromise({
      try: async () => {
        const answers = new Answers(this.from, this.to, this.#answers)
        const bytes = await readFile(this.#path)
        for (let at = 0; at < bytes.length;) {
          const end = at + 8 + Number(bytes.readBigUInt64LE(at))
          const block: Block = deserialize(bytes.subarray(at + 8, end))
          for (let i = 0; i < block.rows.length; i++) answers.put(block.rows[i]!, answerAt(block, i)!, oddities)
          at = end
        }
        return answers
      },
      catch: localFailure
    })
  }
}

/** The ranges of a job's output, in order; together they cover its records. @internal */
export const ranges = Effect.fnUntraced(function*(
  store: Readable,
  job: EndedJob,
  processor: Processor<object>,
  columns: ReadonlyArray<Column>,
  memoryBudget: number,
  oddities: Oddities
): Effect.fn.Return<ReadonlyArray<Range>, BatchError, Scope.Scope> {
  const { objects } = yield* store.list(`${job.output}${job.arn.slice(job.arn.lastIndexOf("/") + 1)}/`)
  const files = objects.filter(({ key }) => key.endsWith(".jsonl.out"))
  const bytes = files.reduce((sum, file) => sum + file.size, 0)
  const [from, to] = [job.firstRow, job.firstRow + job.records]
  const reader = new AnswerReader(processor, columns)
  const lines = Stream.fromIterable(files).pipe(Stream.flatMap((file) => splitLines(readAhead(store, file))))

  const count = Math.min(mostRanges, Math.ceil(bytes / memoryBudget), job.records)
  if (count <= 1) {
    const load = Effect.suspend(() => {
      const answers = new Answers(from, to, columns.length)
      return Effect.as(
        Stream.runForEach(lines, (group) =>
          Effect.sync(() => {
            for (const line of group) {
              const answer = reader.read(line, from, to, oddities)
              if (answer !== null) answers.put(reader.row, answer, oddities)
            }
          })),
        answers
      )
    })
    return [{ load }]
  }

  const size = Math.ceil(job.records / count)
  const folder = yield* Effect.acquireRelease(
    Effect.try({ try: () => fs.mkdtempSync(join(tmpdir(), "bedrock-batch-")), catch: localFailure }),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
  )
  const spills = Array.from({ length: Math.ceil(job.records / size) }, (_, i) => {
    const first = from + i * size
    return new Spill(join(folder, String(i)), first, Math.min(to, first + size), columns.length, waitingBytes / count)
  })
  yield* Stream.runForEach(lines, (group) =>
    Effect.try({
      try: () => {
        for (const line of group) {
          const answer = reader.read(line, from, to, oddities)
          if (answer !== null) spills[Math.floor((reader.row - from) / size)]!.put(reader.row, answer, line.length)
        }
      },
      catch: localFailure
    }))
  yield* Effect.try({ try: () => spills.forEach((spill) => spill.flush()), catch: localFailure })
  return spills.map((spill) => ({ load: spill.load(oddities) }))
})
