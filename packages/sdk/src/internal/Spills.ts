/**
 * Answers that wait in temporary files until the rows that they belong to are written: a file for each range of records
 * and each slice of the output.
 *
 * @internal
 */
import type { Processor } from "@bedrock-batch/processors/Processor"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { deserialize, serialize } from "node:v8"
import type { BatchError } from "../BatchError.ts"
import type { Column } from "../Column.ts"
import {
  type Answer,
  answerAt,
  type AnswerColumns,
  AnswerReader,
  Answers,
  noOddities,
  type Oddities,
  putAnswer
} from "./Answers.ts"
import { forEachLine, localFailure, type OutputSlice, type Readable } from "./OutputSlice.ts"

/** Where the answers of a job wait. @internal */
export interface Spills {
  /** A folder that is removed with the job. */
  readonly folder: string
  /** The first record, as a row number in the run. */
  readonly from: number
  /** The record after the last one. */
  readonly to: number
  /** Records of a range; the last range may have fewer. */
  readonly size: number
  /** Ranges. */
  readonly count: number
}

/** Answers that wait for their file come from so many bytes of lines, over all ranges of a slice. */
const waitingBytes = 48_000_000

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

/** A column of a block in a file: its vectors lie side by side behind the block, since each alone costs more than its elements. */
interface Packed {
  /** Elements of each vector; -1 where the value is no vector, but among `others`. */
  readonly lengths: ReadonlyArray<number>
  readonly others: ReadonlyArray<unknown>
}

interface PackedBlock extends Omit<Block, "values"> {
  readonly values: ReadonlyArray<Packed>
}

const pack = (values: ReadonlyArray<unknown>): Packed => ({
  lengths: values.map((value) => value instanceof Float32Array ? value.length : -1),
  others: values.filter((value) => !(value instanceof Float32Array))
})

/**
 * The bytes of a block: the length of its head and of all of it, the head, and from a multiple of eight on the vectors.
 */
const encode = (block: Block): Buffer => {
  const head = serialize({ ...block, values: block.values.map(pack) })
  const start = 16 + Math.ceil(head.length / 8) * 8
  let length = start
  for (const values of block.values) {
    for (const value of values) if (value instanceof Float32Array) length += value.byteLength
  }
  length = Math.ceil(length / 8) * 8
  const bytes = Buffer.allocUnsafeSlow(length)
  bytes.writeDoubleLE(head.length)
  bytes.writeDoubleLE(length, 8)
  bytes.set(head, 16)
  const floats = new Float32Array(bytes.buffer)
  let at = start / 4
  for (const values of block.values) {
    for (const value of values) {
      if (!(value instanceof Float32Array)) continue
      floats.set(value, at)
      at += value.length
    }
  }
  return bytes
}

/** The blocks of a file; their vectors are views of its bytes. */
function* decode(bytes: Buffer): Generator<Block> {
  for (let at = 0; at < bytes.length;) {
    const head = bytes.readDoubleLE(at)
    const packed: PackedBlock = deserialize(bytes.subarray(at + 16, at + 16 + head))
    let place = bytes.byteOffset + at + 16 + Math.ceil(head / 8) * 8
    const values = packed.values.map(({ lengths, others }) => {
      let other = 0
      return lengths.map((length) => {
        if (length < 0) return others[other++]
        const vector = new Float32Array(bytes.buffer, place, length)
        place += vector.byteLength
        return vector
      })
    })
    yield { ...packed, values }
    at += bytes.readDoubleLE(at + 8)
  }
}

const fileOf = (spills: Spills, range: number, slice: number): string => join(spills.folder, `${range}-${slice}`)

/** The answers of one range on their way to a file, in blocks, each after its length. */
class Spill {
  readonly #path: string
  readonly #answers: number
  readonly #limit: number
  #block: Block
  #bytes = 0

  constructor(path: string, answers: number, limit: number) {
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
    fs.appendFileSync(this.#path, encode(this.#block), { mode: 0o600 })
    this.#block = emptyBlock(this.#answers)
    this.#bytes = 0
  }
}

/** Reads the lines of a slice, puts their answers into the files of their ranges, and tells what was odd. @internal */
export const spill = Effect.fnUntraced(function*(
  store: Readable,
  spills: Spills,
  slice: OutputSlice,
  number: number,
  processor: Processor<object>,
  columns: ReadonlyArray<Column>
): Effect.fn.Return<Oddities, BatchError> {
  const oddities = noOddities()
  const reader = new AnswerReader(processor, columns)
  const { count, from, size, to } = spills
  const files = Array.from({ length: count }, (_, range) =>
    new Spill(fileOf(spills, range, number), columns.length, waitingBytes / count))
  yield* forEachLine(store, slice, (line) => {
    const answer = reader.read(line, from, to, oddities)
    if (answer !== null) files[Math.floor((reader.row - from) / size)]!.put(reader.row, answer, line.length)
  })
  yield* Effect.try({ try: () => files.forEach((file) => file.flush()), catch: localFailure })
  return oddities
})

/** The answers of a range, from the files of all slices. @internal */
export const load = (
  spills: Spills,
  range: number,
  slices: number,
  answers: number,
  oddities: Oddities
): Effect.Effect<Answers, BatchError> =>
  Effect.tryPromise({
    try: async () => {
      const first = spills.from + range * spills.size
      const loaded = new Answers(first, Math.min(spills.to, first + spills.size), answers)
      for (let slice = 0; slice < slices; slice++) {
        const bytes = await readFile(fileOf(spills, range, slice))
        for (const block of decode(bytes.byteOffset % 8 === 0 ? bytes : Buffer.from(new Uint8Array(bytes).buffer))) {
          for (let i = 0; i < block.rows.length; i++) loaded.put(block.rows[i]!, answerAt(block, i)!, oddities)
        }
      }
      return loaded
    },
    catch: localFailure
  })
