/**
 * A run of one family through the emulator over HTTP and a local S3, with every row of its result held against the
 * answer that the emulator gives to that very row. Some prompts are refused, cut short or answered with fields of the future.
 */
import { Responder } from "@bedrock-batch/emulator"
import { type BatchJobs, type Prompt, run, type RunOptions, Source } from "@bedrock-batch/sdk"
import { Clock, Effect, References, Stream } from "effect"
import { type FamilyCase, type Row, rowOf } from "./FamilyCases.ts"
import type { Read } from "./FamilyReading.ts"
import { soon, start } from "./Stack.ts"

type AnyPrompt = Prompt.Any | undefined
/** The compiler cannot follow options that differ from case to case. */
type Options = RunOptions<Row, never, AnyPrompt, object, {}, any, any, BatchJobs.BatchJobs, never, never, {}, boolean>

/** What came of a run. */
export interface Checked {
  readonly family: string
  readonly model: string
  readonly rows: number
  readonly ok: boolean
  /** Rows that are not as they must be, missing ones included. */
  readonly wrong: number
  /** The rows by what became of them. */
  readonly counts: { readonly [status: string]: number }
  /** Of the whole run, without the check. */
  readonly seconds: number
  readonly rowsPerSecond: number
  /** What is not as it must be, the first five. */
  readonly problems: ReadonlyArray<string>
}

const answers = Responder.make({
  refusals: 0.03,
  truncations: 0.03,
  hiddenErrors: 0.1,
  unknownFields: 0.3,
  cacheReads: 0.3
})

const codes: { readonly [status: string]: string } = {
  refused: "Refused",
  invalid: "InvalidAnswer",
  failed: "ModelError"
}

/** Numbers of a vector may be rounded once, or by way of a JavaScript number twice. */
const isSame = (found: unknown, expected: unknown): boolean => {
  if (expected instanceof Float32Array) {
    return found instanceof Float32Array && found.length === expected.length &&
      found.every((value, i) => Math.abs(value - expected[i]!) < 1e-7)
  }
  if (expected instanceof Uint8Array) return found instanceof Uint8Array && Buffer.compare(found, expected) === 0
  return JSON.stringify(found) === JSON.stringify(expected)
}

const shown = (value: unknown): string =>
  value instanceof Float32Array ? `${value.length} numbers` : JSON.stringify(value)?.slice(0, 200) ?? "nothing"

/** What a row must be, in all its columns. */
const expectedOf = (
  { body, invocationType, model, read }: FamilyCase,
  row: Row
): { readonly [name: string]: unknown } => {
  const recordId = `r${String(row.id).padStart(10, "0")}`
  const request = { modelId: model, modelInvocationType: invocationType, recordId, modelInput: body(row) }
  const answer = answers(request)
  const told: Read = Responder.isRecordError(answer)
    ? { status: "failed", stop: null, input: null, output: null, columns: {} }
    : read(answer)
  return {
    ...row,
    record_id: recordId,
    ...told.columns,
    batch_status: told.status,
    batch_stop_reason: told.stop,
    batch_error_code: codes[told.status] ?? null,
    batch_input_tokens: told.input,
    batch_output_tokens: told.output
  }
}

/** Runs a family with so many rows, at least 100, and checks what comes of it. */
export const check = Effect.fn("check")(function*(one: FamilyCase, rows: number) {
  const problems: Array<string> = []
  const counts: { [status: string]: number } = {}
  let seconds = Number.NaN
  let next = 0
  let wrong = 0
  const problem = (text: string) => {
    if (problems.length < 5) problems.push(text)
  }

  const checkRow = (result: object) => {
    const found: { readonly [name: string]: unknown } = { ...result }
    const id = next++
    const expected = expectedOf(one, rowOf(id))
    const status = String(found["batch_status"])
    counts[status] = (counts[status] ?? 0) + 1
    // Columns that an answer may have, and this run has not.
    const names = Object.keys(expected).filter((name) => name in found || expected[name] !== null)
    const differing = names.filter((name) => !isSame(found[name], expected[name]))
    if (differing.length === 0) return
    wrong++
    const what = differing.map((name) => `${name} is ${shown(found[name])} and not ${shown(expected[name])}`)
    const message = found["batch_error_message"]
    problem(`row ${id}: ${what.join("; ")}${typeof message === "string" ? ` (${message})` : ""}`)
  }

  const program = Effect.gen(function*() {
    const stack = yield* start({ responder: answers })
    const began = yield* Clock.currentTimeMillis
    const source = Source.rows(Array.from({ length: rows }, (_, id) => rowOf(id)))
    const options: Options = {
      name: "families",
      source,
      model: one.model,
      ...one.told,
      maxRecordsPerJob: Math.max(100, Math.ceil(rows / 2)),
      wait: soon
    }
    const collected = yield* run(options).pipe(Effect.provide(stack.layer()))
    seconds = ((yield* Clock.currentTimeMillis) - began) / 1000
    yield* Stream.runForEachArray(collected.rows, (batch) =>
      Effect.sync(() => {
        for (const row of batch) checkRow(row)
      })).pipe(Effect.provide(stack.layer()))
    if (next !== rows) problem(`the result has ${next} rows and not ${rows}`)
    wrong += Math.max(0, rows - next)
    const sums = Object.fromEntries(Object.entries(collected.report.counts).filter(([, count]) => count > 0))
    const sorted = (given: object) => JSON.stringify(Object.entries(given).sort())
    if (sorted(sums) !== sorted(counts)) problem(`the report counts ${shown(sums)}, the rows are ${shown(counts)}`)
    const { recordsProcessed } = yield* stack.emulator.stats
    if (recordsProcessed !== rows) problem(`${recordsProcessed} records were paid for and not ${rows}`)
  })
  yield* Effect.scoped(program).pipe(
    // Advice about models that are on their way out.
    Effect.provideService(References.MinimumLogLevel, "Error"),
    Effect.catchCause((cause) => Effect.sync(() => {
      wrong = rows
      problem(`the run failed: ${String(cause).slice(0, 2000)}`)
    }))
  )
  const checked: Checked = {
    family: one.family,
    model: one.model,
    rows,
    ok: problems.length === 0,
    wrong,
    counts,
    seconds: Number.isNaN(seconds) ? 0 : seconds,
    rowsPerSecond: Number.isNaN(seconds) ? 0 : Math.round(rows / seconds),
    problems
  }
  return checked
})
