/**
 * What came back for a range of a job's records, by position.
 *
 * @internal
 */
import type { Json, Processor, Reading } from "@bedrock-batch/processors/Processor"
import type { Column } from "../Column.ts"
import type { Outcome } from "../Outcome.ts"
import { canonicalJson } from "./Digest.ts"
import * as Layout from "./Layout.ts"

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

/** Lines that are no record's answer, or not its first. @internal */
export interface Oddities {
  /** Lines for a record that had one already. */
  duplicates: number
  /** Lines whose id is none of the job's. */
  unknown: number
  /** Lines that are not JSON, or without an id. */
  malformed: number
}

interface OutputLine {
  readonly recordId: string
  readonly modelOutput?: Json | undefined
  readonly error?: Json | undefined
}

const isObject = (value: unknown): value is { readonly [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Reads a line as far as its record id; null for one that is not JSON or has none. @internal */
export const parseLine = (line: Buffer): OutputLine | null => {
  let value: unknown
  try {
    value = JSON.parse(line.toString("utf8"))
  } catch {
    return null
  }
  if (!isObject(value) || typeof value.recordId !== "string") return null
  return { recordId: value.recordId, modelOutput: value.modelOutput, error: value.error }
}

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

const toAnswer = (reading: Reading<object>, columns: ReadonlyArray<Column>): Answer => {
  const { stopReason } = reading
  const usage = { inputTokens: tokens(reading.usage.inputTokens), outputTokens: tokens(reading.usage.outputTokens) }
  if ("answer" in reading) {
    const fields = new Map<string, unknown>(Object.entries(reading.answer))
    return {
      outcome: reading.status,
      values: columns.map(({ name }) => fields.get(name) ?? null),
      stopReason,
      code: null,
      message: null,
      ...usage
    }
  }
  const { message, status } = reading
  return { outcome: status, values: null, stopReason, code: codes[status], message, ...usage }
}

const readLine = (line: OutputLine, processor: Processor<object>, columns: ReadonlyArray<Column>): Answer => {
  if (line.error !== undefined && line.error !== null) return readError(line.error)
  if (line.modelOutput === undefined || line.modelOutput === null) {
    return unanswered("invalid", codes.invalid, "the output line has neither modelOutput nor error")
  }
  try {
    return toAnswer(processor.decode(line.modelOutput), columns)
  } catch (cause) {
    const what = cause instanceof Error ? cause.name : typeof cause
    return unanswered("invalid", codes.invalid, `the processor ${processor.id} threw ${what}`)
  }
}

/** The answers to the records `from` (inclusive) to `to` (exclusive), as row numbers in the run. @internal */
export class Answers {
  readonly from: number
  readonly to: number
  readonly #processor: Processor<object>
  readonly #columns: ReadonlyArray<Column>
  readonly #answers: Array<Answer | undefined>

  constructor(from: number, to: number, processor: Processor<object>, columns: ReadonlyArray<Column>) {
    this.from = from
    this.to = to
    this.#processor = processor
    this.#columns = columns
    this.#answers = new Array<Answer | undefined>(to - from)
  }

  /** Adds one output line and counts what is odd about it. The order of lines makes no difference. */
  add(line: Buffer, oddities: Oddities): void {
    const parsed = parseLine(line)
    if (parsed === null) {
      oddities.malformed++
      return
    }
    const row = Layout.rowOf(parsed.recordId)
    if (row < this.from || row >= this.to) {
      oddities.unknown++
      return
    }
    const answer = readLine(parsed, this.#processor, this.#columns)
    const there = this.#answers[row - this.from]
    if (there !== undefined) {
      oddities.duplicates++
      if (!before(answer, there)) return
    }
    this.#answers[row - this.from] = answer
  }

  /** The answer to the record of a row, or undefined when no line came back. */
  at(row: number): Answer | undefined {
    return this.#answers[row - this.from]
  }
}

/** Whether `a` counts rather than `b`: the better outcome, and of equal ones the one whose text comes first. */
const before = (a: Answer, b: Answer): boolean => {
  const rank = outcomes.indexOf(a.outcome) - outcomes.indexOf(b.outcome)
  return rank < 0 || (rank === 0 && canonicalJson(a) < canonicalJson(b))
}
