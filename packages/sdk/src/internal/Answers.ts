/**
 * From output lines to answers, and the answers to a range of a job's records, by position.
 *
 * @internal
 */
import { forId } from "@bedrock-batch/processors/Families"
import type { Json, Processor, Reading, VectorJson } from "@bedrock-batch/processors/Processor"
import type { Column } from "../Column.ts"
import type { Counts, Outcome } from "../Outcome.ts"
import { misfit } from "../source/internal/Values.ts"
import { canonicalJson } from "./Digest.ts"
import * as Layout from "./Layout.ts"
import { isMendable } from "./Mendable.ts"
import { type OutputLine, parseOutputLine } from "./OutputLine.ts"

/** Best first: of two lines for one record, the one whose outcome comes first counts. */
const outcomes: ReadonlyArray<Outcome> = [
  "succeeded",
  "truncated",
  "refused",
  "invalid",
  "failed",
  "expired",
  "missing"
]

/** The rank of those that need no other try. */
const succeeded = outcomes.indexOf("succeeded") + 1

/** What one record came to: the values of the columns that a result adds, but for the record's id. @internal */
export interface Answer {
  readonly outcome: Outcome
  readonly values: ReadonlyArray<unknown> | null
  readonly stopReason: string | null
  readonly code: string | null
  readonly message: string | null
  readonly inputTokens: number | null
  readonly outputTokens: number | null
}

/** The lines of an output, and those among them that are no record's answer, or not its first. @internal */
export interface Oddities {
  /** Lines with a model's output for a record of the job. */
  outputs: number
  /** Lines with an error for a record of the job, but for those that say that it was not run. */
  errors: number
  /** Lines for a record that had one already. */
  duplicates: number
  /** Lines whose id is none of the job's. */
  unknown: number
  /** Lines that are not JSON, or without an id. */
  malformed: number
}

/** @internal */
export const noOddities = (): Oddities => ({ outputs: 0, errors: 0, duplicates: 0, unknown: 0, malformed: 0 })

/** Adds what was odd in one slice, or one job, to `sum`. @internal */
export const addOddities = (sum: Oddities, { duplicates, errors, malformed, outputs, unknown }: Oddities): void => {
  sum.outputs += outputs
  sum.errors += errors
  sum.duplicates += duplicates
  sum.unknown += unknown
  sum.malformed += malformed
}

const isObject = (value: unknown): value is { readonly [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const unanswered = (outcome: Outcome, code: string, message: string): Answer => ({
  outcome,
  values: null,
  stopReason: null,
  code,
  message,
  inputTokens: null,
  outputTokens: null
})

const textOf = (value: Json | undefined): string | null =>
  typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : null

const readError = (error: Json): Answer => {
  const fields = isObject(error) ? error : {}
  const code = textOf(fields.errorCode)
  const message = textOf(fields.errorMessage) ?? textOf(error)
  return fields.expired === true
    ? unanswered("expired", code ?? "Expired", message ?? "the record was not run before the job's time was over")
    : unanswered("failed", code ?? "Unknown", message ?? "Bedrock reported an error without a message")
}

const codes = { refused: "Refused", invalid: "InvalidAnswer", failed: "ModelError" } as const

/** A processor may be the user's own: what is no count counts as unknown. */
const tokens = (count: number | null): number | null =>
  count !== null && Number.isSafeInteger(count) && count >= 0 ? count : null

const fieldOf = (answer: object, name: string): unknown => {
  const value: unknown = Object.hasOwn(answer, name) ? Reflect.get(answer, name) : null
  return value ?? null
}

const toAnswer = (reading: Reading<object>, columns: ReadonlyArray<Column>): Answer => {
  const { stopReason } = reading
  const usage = { inputTokens: tokens(reading.usage.inputTokens), outputTokens: tokens(reading.usage.outputTokens) }
  if ("answer" in reading) {
    return {
      outcome: reading.status,
      values: columns.map(({ name }) => fieldOf(reading.answer, name)),
      stopReason,
      code: null,
      message: null,
      ...usage
    }
  }
  const { message, status } = reading
  const values = status === "invalid" ? unread(reading, columns) : null
  return { outcome: status, values, stopReason, code: codes[status], message, ...usage }
}

/** Of an answer that is not what was asked for, its text and what the model thought; null where there is neither. */
const unread = (
  { raw, reasoning }: { readonly raw: string | null; readonly reasoning?: string | undefined },
  columns: ReadonlyArray<Column>
): ReadonlyArray<unknown> | null => {
  const kept = columns.map(({ name, type }) =>
    type !== "string" ? null : name === "response" ? raw : name === "reasoning" ? reasoning ?? null : null
  )
  return kept.every((value) => value === null) ? null : kept
}

/** Without `decodeVectors` the line was read as plain JSON. */
const decode = (processor: Processor<object>, output: VectorJson): Reading<object> =>
  processor.decodeVectors === undefined ? processor.decode(output as Json) : processor.decodeVectors(output)

/** A processor of the user's own may give what its columns do not hold; null where all is well. */
const misfitOf = ({ values }: Answer, columns: ReadonlyArray<Column>): string | null => {
  for (let j = 0; values !== null && j < columns.length; j++) {
    const wrong = values[j] === null ? null : misfit(columns[j]!.type, values[j])
    if (wrong !== null) return `column ${JSON.stringify(columns[j]!.name)}: ${wrong}`
  }
  return null
}

/** The texts of an answer of which another value does not fit. */
const textsOf = (values: ReadonlyArray<unknown>, columns: ReadonlyArray<Column>) => {
  const text = (column: string): string | undefined => {
    const value = values[columns.findIndex(({ name }) => name === column)]
    return typeof value === "string" ? value : undefined
  }
  return { raw: text("response") ?? null, reasoning: text("reasoning") }
}

const readLine = (
  line: OutputLine,
  processor: Processor<object>,
  columns: ReadonlyArray<Column>,
  trusted: boolean
): Answer => {
  if (line.error !== undefined && line.error !== null) return readError(line.error)
  if (line.modelOutput === undefined || line.modelOutput === null) {
    return unanswered("invalid", codes.invalid, "the output line has neither modelOutput nor error")
  }
  try {
    const answer = toAnswer(decode(processor, line.modelOutput), columns)
    const wrong = trusted ? null : misfitOf(answer, columns)
    if (wrong === null) return answer
    const message = `the processor ${processor.id} gave a value that does not fit ${wrong}`
    const values = answer.values === null ? null : unread(textsOf(answer.values, columns), columns)
    return { ...unanswered("invalid", codes.invalid, message), values }
  } catch (cause) {
    const what = cause instanceof Error ? cause.name : typeof cause
    return unanswered("invalid", codes.invalid, `the processor ${processor.id} threw ${what}`)
  }
}

/** Floats of a slab: 256 KB. */
const slabLength = 65_536

/** Reads the output lines of a run. @internal */
export class AnswerReader {
  readonly #processor: Processor<object>
  readonly #columns: ReadonlyArray<Column>
  readonly #vectors: boolean
  readonly #trusted: boolean
  #slab = new Float32Array(0)
  #used = 0
  /** The row of the line that was read last. */
  row = 0

  constructor(processor: Processor<object>, columns: ReadonlyArray<Column>) {
    this.#processor = processor
    this.#columns = columns
    this.#vectors = processor.decodeVectors !== undefined
    this.#trusted = forId(processor.id) === processor
  }

  /** Room for a vector beside others: a buffer for each costs more than to fill it. */
  readonly #allocate = (length: number): Float32Array => {
    if (this.#used + length > this.#slab.length) {
      this.#slab = new Float32Array(Math.max(slabLength, length))
      this.#used = 0
    }
    const from = this.#used
    this.#used += length
    return this.#slab.subarray(from, this.#used)
  }

  /** Reads one line for the records `from` to `to`, and sets `row`; null where it is nobody's, which is counted. */
  read(line: Buffer, from: number, to: number, oddities: Oddities): Answer | null {
    const parsed = parseOutputLine(line, this.#vectors, this.#allocate)
    if (parsed === null) {
      oddities.malformed++
      return null
    }
    this.row = Layout.rowOf(parsed.recordId)
    if (this.row < from || this.row >= to) {
      oddities.unknown++
      return null
    }
    const answer = readLine(parsed, this.#processor, this.#columns, this.#trusted)
    if (parsed.malformed) {
      oddities.malformed++
      return null
    }
    if (parsed.error === undefined || parsed.error === null) oddities.outputs++
    else if (answer.outcome !== "expired") oddities.errors++
    return answer
  }
}

type Texts = Array<string | null>

/**
 * Answers by column, in the order in which they came or in that of the rows. What is absent among the tokens is -1.
 *
 * @internal
 */
export interface AnswerColumns {
  /** Positions in `outcomes`, from 1; 0 where there is no answer. */
  readonly ranks: Array<number> | Uint8Array
  readonly values: ReadonlyArray<Array<unknown>>
  readonly stopReasons: Texts
  readonly codes: Texts
  readonly messages: Texts
  readonly inputTokens: Array<number> | Float64Array
  readonly outputTokens: Array<number> | Float64Array
}

/** Puts an answer at a place of the columns. @internal */
export const putAnswer = (columns: AnswerColumns, at: number, answer: Answer): void => {
  columns.ranks[at] = outcomes.indexOf(answer.outcome) + 1
  for (let j = 0; j < columns.values.length; j++) {
    columns.values[j]![at] = answer.values === null ? null : answer.values[j]
  }
  columns.stopReasons[at] = answer.stopReason
  columns.codes[at] = answer.code
  columns.messages[at] = answer.message
  columns.inputTokens[at] = answer.inputTokens ?? -1
  columns.outputTokens[at] = answer.outputTokens ?? -1
}

const tokensAt = (tokens: Array<number> | Float64Array, at: number): number | null => tokens[at] === -1 ? null : tokens[at]!

/** The answer at a place of the columns, or undefined where there is none. @internal */
export const answerAt = (columns: AnswerColumns, at: number): Answer | undefined => {
  const outcome = outcomes[columns.ranks[at]! - 1]
  if (outcome === undefined) return undefined
  const answered = outcome === "succeeded" || outcome === "truncated"
  const values = answered || outcome === "invalid" ? columns.values.map((values) => values[at]) : null
  return {
    outcome,
    values: answered || values?.some((value) => value !== null) ? values : null,
    stopReason: columns.stopReasons[at]!,
    code: columns.codes[at]!,
    message: columns.messages[at]!,
    inputTokens: tokensAt(columns.inputTokens, at),
    outputTokens: tokensAt(columns.outputTokens, at)
  }
}

/** The answers to the records `from` (inclusive) to `to` (exclusive), as row numbers in the run. @internal */
export class Answers {
  readonly from: number
  readonly to: number
  readonly #columns: AnswerColumns

  /** `answers` is how many columns an answer has. */
  constructor(from: number, to: number, answers: number) {
    const length = to - from
    const nulls = (): Array<null> => new Array<null>(length).fill(null)
    this.from = from
    this.to = to
    this.#columns = {
      ranks: new Uint8Array(length),
      values: Array.from({ length: answers }, nulls),
      stopReasons: nulls(),
      codes: nulls(),
      messages: nulls(),
      inputTokens: new Float64Array(length).fill(-1),
      outputTokens: new Float64Array(length).fill(-1)
    }
  }

  /** Takes the answer to the record of a row; of several the same one counts, whatever their order. */
  put(row: number, answer: Answer, oddities: Oddities): void {
    const there = this.at(row)
    if (there !== undefined) {
      oddities.duplicates++
      if (!before(answer, there)) return
    }
    putAnswer(this.#columns, row - this.from, answer)
  }

  /** The answer to the record of a row, or undefined when no line came back. */
  at(row: number): Answer | undefined {
    return answerAt(this.#columns, row - this.from)
  }

  /**
   * Lets the answers of a later attempt to these rows, in their order, count in place of those that did not succeed;
   * `silent` is the answer of those without a line.
   */
  overlay(rows: ReadonlyArray<number>, later: Answers | null, silent: Answer): void {
    const { ranks } = this.#columns
    for (const row of rows) {
      if (row < this.from || row >= this.to || ranks[row - this.from] === succeeded) continue
      putAnswer(this.#columns, row - this.from, later?.at(row) ?? silent)
    }
  }

  /** Calls `use` with each row whose outcome, and error code, are so. */
  forEach(are: (outcome: Outcome, code: string | null) => boolean, use: (row: number) => void): void {
    const { codes, ranks } = this.#columns
    for (let at = 0; at < ranks.length; at++) {
      if (are(outcomes[ranks[at]! - 1]!, codes[at]!)) use(this.from + at)
    }
  }

  /** Gives the records that have no answer this one. */
  fill(answer: Answer): void {
    const { ranks } = this.#columns
    for (let at = 0; at < ranks.length; at++) if (ranks[at] === 0) putAnswer(this.#columns, at, answer)
  }

  /** The columns of the rows `from` (inclusive) to `to` (exclusive), each of which has an answer, as results have them. */
  columns(from: number, to: number): ReadonlyArray<ReadonlyArray<unknown>> {
    const { codes, inputTokens, messages, outputTokens, ranks, stopReasons, values } = this.#columns
    const [start, end] = [from - this.from, to - this.from]
    const each = <A>(valueAt: (at: number) => A): Array<A> => {
      const column = new Array<A>(end - start)
      for (let at = start; at < end; at++) column[at - start] = valueAt(at)
      return column
    }
    return [
      each((at) => Layout.recordId(this.from + at)),
      ...values.map((column) => column.slice(start, end)),
      each((at) => outcomes[ranks[at]! - 1]),
      stopReasons.slice(start, end),
      codes.slice(start, end),
      messages.slice(start, end),
      each((at) => tokensAt(inputTokens, at)),
      each((at) => tokensAt(outputTokens, at))
    ]
  }

  /** Counts the outcomes and tokens of all records, each of which has an answer. */
  count(tally: { counts: Counts; mendable: number; inputTokens: number; outputTokens: number }): void {
    const { codes, inputTokens, outputTokens, ranks } = this.#columns
    const counts: { -readonly [K in Outcome]: number } = { ...tally.counts }
    for (let at = 0; at < ranks.length; at++) {
      const outcome = outcomes[ranks[at]! - 1]!
      counts[outcome]++
      if (isMendable(outcome, codes[at]!)) tally.mendable++
      tally.inputTokens += tokensAt(inputTokens, at) ?? 0
      tally.outputTokens += tokensAt(outputTokens, at) ?? 0
    }
    tally.counts = counts
  }
}

/** Whether `a` counts rather than `b`: the better outcome, and of equal ones the one whose text comes first. */
const before = (a: Answer, b: Answer): boolean => {
  const rank = outcomes.indexOf(a.outcome) - outcomes.indexOf(b.outcome)
  return rank < 0 || (rank === 0 && canonicalJson(a) < canonicalJson(b))
}
