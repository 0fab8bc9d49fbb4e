/**
 * The answers of a job on demand as they are stored: which of its records have one, and where the next ones go.
 *
 * @internal
 */
import type { Json } from "@bedrock-batch/processors/Processor"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { BatchError, Damaged } from "../BatchError.ts"
import type { Counters, Job } from "../Job.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"
import { digest } from "./Blocks.ts"
import * as Layout from "./Layout.ts"
import { LineSplitter } from "./Lines.ts"
import { forEachLine, whole } from "./OutputSlice.ts"

type Store = ObjectStore["Service"]

/** One record of the input. @internal */
export interface OnDemandRecord {
  /** Place in the job, from 0. */
  readonly position: number
  /** Row number in the run. */
  readonly row: number
  readonly recordId: string
  readonly modelInput: Json
  /** The JSON text of the input. */
  readonly text: string
}

/** An answer that is not stored yet. @internal */
export interface Answered {
  readonly record: OnDemandRecord
  readonly succeeded: boolean
  readonly line: Uint8Array
}

/** What the service said of a record. @internal */
export type Said =
  | { readonly modelOutput: Json }
  | { readonly error: { readonly errorCode: number; readonly errorMessage: string } }

/** The line of an answer, as an output file of a batch job would hold it. @internal */
export const answeredOf = (record: OnDemandRecord, said: Said): Answered => {
  const { modelInput, recordId } = record
  const line = JSON.stringify({ modelInput, ...said, recordId })
  return { record, succeeded: "modelOutput" in said, line: Buffer.from(`${line}\n`) }
}

const isObject = (value: Json | undefined): value is { readonly [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const parse = (line: Buffer): { readonly [key: string]: Json } | null => {
  try {
    const value: Json = JSON.parse(line.toString("utf8"))
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

/** The text of the input in a line that `prepare` wrote. */
const inputOf = (line: Buffer): string => line.toString("utf8", inputStart, line.length - 1)
const inputStart = `{"recordId":"${Layout.recordId(0)}","modelInput":`.length

const damaged = (key: string, message: string) =>
  new BatchError({ module: "submit", method: "on-demand", reason: new Damaged({ key, message }) })

/** The records of a job's input files, in order; a run of them for each piece that is read. @internal */
export const records = (store: Store, job: Job): Stream.Stream<ReadonlyArray<OnDemandRecord>, BatchError> =>
  Stream.suspend(() => {
    let position = 0
    const recordsOf = (key: string, lines: ReadonlyArray<Buffer>) => {
      const found: Array<OnDemandRecord> = []
      for (const line of lines) {
        const { modelInput, recordId } = parse(line) ?? {}
        const row = typeof recordId === "string" ? Layout.rowOf(recordId) : -1
        if (typeof recordId !== "string" || modelInput === undefined || row < job.firstRow || row > job.lastRow) {
          return Effect.fail(damaged(key, `record ${position + 1} of job ${job.key}, in ${key}, is not one of the job`))
        }
        found.push({ position: position++, row, recordId, modelInput, text: inputOf(line) })
      }
      return Effect.succeed(found)
    }
    return Stream.fromIterable(job.files).pipe(
      Stream.flatMap(({ key }) => {
        const splitter = new LineSplitter()
        return store.read(key).pipe(
          Stream.map((piece) => splitter.push(piece)),
          Stream.concat(Stream.suspend(() => Stream.succeed(splitter.end()))),
          Stream.mapEffect((lines) => recordsOf(key, lines))
        )
      })
    )
  })

/** A set of the rows from `first` to `last`. */
class Rows {
  size = 0
  readonly #first: number
  readonly #last: number
  readonly #bits: Uint8Array
  constructor(first: number, last: number) {
    this.#first = first
    this.#last = last
    this.#bits = new Uint8Array(Math.ceil((last - first + 1) / 8))
  }
  has(row: number): boolean {
    const at = row - this.#first
    return (this.#bits[at >> 3]! & (1 << (at & 7))) !== 0
  }
  add(row: number): void {
    if (row < this.#first || row > this.#last || this.has(row)) return
    const at = row - this.#first
    this.#bits[at >> 3]! |= 1 << (at & 7)
    this.size++
  }
}

const part = /^part-(\d+)\.jsonl\.out$/

/** @internal */
export class OnDemandAnswers {
  readonly #store: Store
  readonly #job: Job
  readonly #answered: Rows
  readonly #succeeded: Rows
  readonly #read = new Set<string>()
  /** Number of the next part. */
  #next = 0

  constructor(store: Store, job: Job) {
    this.#store = store
    this.#job = job
    this.#answered = new Rows(job.firstRow, job.lastRow)
    this.#succeeded = new Rows(job.firstRow, job.lastRow)
  }

  /** Whether the record of a row has an answer. */
  has(row: number): boolean {
    return this.#answered.has(row)
  }

  /** What is stored, each record counted once; a success counts more than an error. */
  get counters(): Counters {
    const processed = this.#answered.size
    const succeeded = this.#succeeded.size
    return { total: this.#job.records, processed, succeeded, failed: processed - succeeded }
  }

  /** Reads the parts that are not known yet. */
  readonly load = Effect.fnUntraced({ self: this }, function*(this: OnDemandAnswers) {
    const { objects } = yield* this.#store.list(this.#job.output)
    for (const file of objects) {
      if (!file.key.endsWith(".jsonl.out") || this.#read.has(file.key)) continue
      for (const slice of whole([file])) {
        let unreadable = 0
        yield* forEachLine(this.#store, slice, (line) => {
          const { modelOutput, recordId } = parse(line) ?? {}
          if (typeof recordId !== "string") unreadable++
          else this.#add(Layout.rowOf(recordId), modelOutput !== undefined && modelOutput !== null)
        })
        if (unreadable > 0) {
          return yield* damaged(file.key, `${file.key} holds ${unreadable} lines that are no answers: restore it`)
        }
      }
      this.#read.add(file.key)
      const number = part.exec(file.key.slice(this.#job.output.length))
      if (number !== null) this.#next = Math.max(this.#next, Number(number[1]) + 1)
    }
  })

  /** How many of the first `upTo` records have no answer. */
  readonly lacking = Effect.fnUntraced({ self: this }, function*(this: OnDemandAnswers, upTo: number) {
    let lacking = 0
    yield* records(this.#store, this.#job).pipe(
      Stream.takeWhile((records) => records.length === 0 || records[0]!.position < upTo),
      Stream.runForEach((records) =>
        Effect.sync(() => {
          for (const { position, row } of records) if (position < upTo && !this.has(row)) lacking++
        })
      )
    )
    return lacking
  })

  /** Stores answers as one part. */
  readonly write = Effect.fnUntraced({ self: this }, function*(
    this: OnDemandAnswers,
    answers: ReadonlyArray<Answered>
  ) {
    const lines = answers.map(({ line }) => line)
    const size = lines.reduce((sum, { length }) => sum + length, 0)
    for (;;) {
      const key = `${this.#job.output}part-${String(this.#next).padStart(6, "0")}.jsonl.out`
      const { created, info, sha256 } = yield* this.#store.write(key, Stream.fromIterable(lines))
      // An earlier try may have come to its end without an answer.
      const ours = created || (info.size === size && (yield* digest(this.#store.read(key))) === sha256)
      this.#next++
      if (!ours) continue
      this.#read.add(key)
      for (const { record, succeeded } of answers) this.#add(record.row, succeeded)
      return
    }
  })

  #add(row: number, succeeded: boolean): void {
    this.#answered.add(row)
    if (succeeded) this.#succeeded.add(row)
  }
}
