/**
 * What Bedrock would have written for a job: generated piece by piece, the same each time, never on a disk. The lines
 * are copies of prepared ones, each with its record's id, in an order that is shuffled.
 */
import { setImmediate } from "node:timers/promises"
import { random, recordIdOf, requestOf, rowAt, textOf } from "./data.ts"

export const answers = ["text", "embeddings"] as const
export type Answer = typeof answers[number]

/** One output file: that of the records `firstRow` and following of one input file. */
export interface Output {
  readonly firstRow: number
  readonly records: number
}

export const dimensions = 1024
const pieceBytes = 1 << 20
const digitsOfId = 10
/** Where the digits of the record id begin in a line. */
const idAt = "{\"recordId\":\"r".length

/** A prepared line, and where the digits of the record's id stand in it. */
interface Line {
  readonly bytes: Buffer
  readonly ids: ReadonlyArray<number>
  readonly inputTokens: number
  readonly outputTokens: number
}

/** The shortest text that gives the same float32. */
const shortest = (value: number): string => {
  const float = Math.fround(value)
  for (let digits = 6; digits < 9; digits++) {
    const text = String(Number(float.toPrecision(digits)))
    if (Math.fround(Number(text)) === float) return text
  }
  return String(Number(float.toPrecision(9)))
}

const vectorsOfRows = 512
const linesOfText = 4096

/** The vector of a row, as its numbers are written. */
const numbersOf = (row: number): ReadonlyArray<string> => {
  const next = random(1_000_000 + row % vectorsOfRows)
  return Array.from({ length: dimensions }, () => shortest((next() * 2 - 1) * Math.sqrt(3 / dimensions)))
}

/** The embedding of a row. */
export const vectorOf = (row: number): Float32Array => Float32Array.from(numbersOf(row), Number)

/** The answer to a row: with the record's id, so that no two are the same. */
export const answerOf = (row: number): string => `${recordIdOf(row)} ${textOf(row % linesOfText, 300)}`

const lineOf = (answer: Answer, row: number): Line => {
  const id = recordIdOf(row)
  const { text, topic } = rowAt(row)
  const inputTokens = 60 + row % 31
  if (answer === "embeddings") {
    const vector = `[${numbersOf(row).join(",")}]`
    const line = `{"recordId":"${id}","modelInput":${JSON.stringify({ inputText: text })},"modelOutput":{"embedding":` +
      `${vector},"embeddingsByType":{"float":${vector}},"inputTextTokenCount":${inputTokens}}}\n`
    return { bytes: Buffer.from(line), ids: [idAt], inputTokens, outputTokens: 0 }
  }
  const outputTokens = 50 + row % 43
  const next = random(2_000_000 + row)
  const bytes = Buffer.from(`${
    JSON.stringify({
      recordId: id,
      modelInput: requestOf({ text, topic }),
      modelOutput: {
        model: "claude-haiku-4-5-20251001",
        id: `msg_bdrk_01${Array.from({ length: 22 }, () => "0123456789abcdef"[Math.floor(next() * 16)]).join("")}`,
        type: "message",
        role: "assistant",
        content: [{ type: "text", text: answerOf(row) }],
        stop_reason: "end_turn",
        stop_sequence: null,
        usage: {
          input_tokens: inputTokens,
          cache_creation_input_tokens: 0,
          cache_read_input_tokens: 0,
          output_tokens: outputTokens
        }
      }
    })
  }\n`)
  return { bytes, ids: [idAt, bytes.indexOf(id, idAt + digitsOfId) + 1], inputTokens, outputTokens }
}

/** The order of a file's lines, and where each begins; one more is where the file ends. */
interface Arrangement {
  readonly order: Uint32Array
  readonly starts: Float64Array
}

/** Files whose arrangements are kept. */
const mostArrangements = 8

/** Makes the output files of jobs. */
export class Outputs {
  readonly #lines: ReadonlyArray<Line>
  readonly #arrangements = new Map<number, Arrangement>()

  constructor(answer: Answer) {
    const length = answer === "text" ? linesOfText : vectorsOfRows
    this.#lines = Array.from({ length }, (_, row) => lineOf(answer, row))
  }

  #lineOf(row: number): Line {
    return this.#lines[row % this.#lines.length]!
  }

  #sum(output: Output, of: (line: Line) => number): number {
    let sum = 0
    for (let i = 0; i < output.records; i++) sum += of(this.#lineOf(output.firstRow + i))
    return sum
  }

  #arrangement({ firstRow, records }: Output): Arrangement {
    const there = this.#arrangements.get(firstRow)
    if (there !== undefined) return there
    const order = shuffled(records, firstRow)
    const starts = new Float64Array(records + 1)
    for (let i = 0; i < records; i++) starts[i + 1] = starts[i]! + this.#lineOf(firstRow + order[i]!).bytes.length
    if (this.#arrangements.size === mostArrangements) this.#arrangements.delete(this.#arrangements.keys().next().value!)
    this.#arrangements.set(firstRow, { order, starts })
    return { order, starts }
  }

  /** Bytes of the file. */
  size(output: Output): number {
    return this.#sum(output, (line) => line.bytes.length)
  }

  /** Tokens of all answers in the file. */
  tokens(output: Output): { readonly input: number; readonly output: number } {
    return {
      input: this.#sum(output, (line) => line.inputTokens),
      output: this.#sum(output, (line) => line.outputTokens)
    }
  }

  /** The bytes `start` (inclusive) to `end` (exclusive) of the file, each piece in memory of its own. */
  *pieces(output: Output, start = 0, end = Infinity): Generator<Buffer, void> {
    const { order, starts } = this.#arrangement(output)
    const last = Math.min(end, starts[output.records]!)
    let i = lineAt(starts, start)
    for (let from = start; from < last; from += pieceBytes) {
      const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, last - from))
      for (let filled = 0; filled < piece.length;) {
        const row = output.firstRow + order[i]!
        const { bytes, ids } = this.#lineOf(row)
        for (const at of ids) writeDigits(bytes, at, row)
        filled += bytes.copy(piece, filled, from + filled - starts[i]!)
        if (from + filled === starts[i + 1]) i++
      }
      yield piece
    }
  }
}

/** The line that holds a byte. */
const lineAt = (starts: Float64Array, byte: number): number => {
  let [low, high] = [0, starts.length - 1]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (starts[middle]! <= byte) low = middle
    else high = middle
  }
  return low
}

const writeDigits = (bytes: Buffer, at: number, row: number): void => {
  for (let i = at + digitsOfId - 1, rest = row; i >= at; i--, rest = Math.floor(rest / 10)) bytes[i] = 48 + rest % 10
}

/** The numbers from 0 on in another order, the same for the same seed. */
const shuffled = (length: number, seed: number): Uint32Array => {
  const next = random(seed)
  const order = Uint32Array.from({ length }, (_, i) => i)
  for (let i = length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1))
    const kept = order[i]!
    order[i] = order[j]!
    order[j] = kept
  }
  return order
}

/** Pieces as they come from a disk or a network: after a turn of the event loop each. */
export async function* arriving(pieces: Iterable<Buffer>): AsyncGenerator<Buffer, void> {
  for (const piece of pieces) {
    await setImmediate()
    yield piece
  }
}
