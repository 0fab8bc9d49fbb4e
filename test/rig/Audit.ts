/**
 * An independent account of a run: what every input line, output line and result row says, read from S3 with other
 * readers than the sdk's own, held against each other and against the report.
 */
import { DataType, tableFromIPC, type Vector } from "apache-arrow"
import type { Collected, Outcome } from "@bedrock-batch/sdk"
import { assert } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { parquetMetadata, parquetRead, parquetSchema } from "hyparquet"
import { compressors } from "hyparquet-compressors"
import Papa from "papaparse"
import { bucket, promptOf, type Stack } from "./Stack.ts"

/** Column names and rows of cells: an object would not do for a column called `__proto__`. */
export interface Table {
  readonly columns: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<unknown>>
}

/** A cell by the name of its column. */
export const cell = (table: Table, row: number, column: string): unknown => {
  const at = table.columns.indexOf(column)
  assert.isAtLeast(at, 0, `there is no column ${column}`)
  return table.rows[row]![at]
}

const exactText = { stringFromBytes: (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString("utf8") }

const plain = (value: unknown): unknown =>
  typeof value === "bigint"
    ? Number(value)
    : value instanceof Float32Array
    ? Array.from(value)
    : value === undefined
    ? null
    : value

const readParquet = async (bytes: Uint8Array): Promise<Table> => {
  const file = new Uint8Array(bytes).buffer
  const metadata = parquetMetadata(file)
  const columns = parquetSchema(metadata).children.map(({ element }) => element.name)
  let rows: Array<Array<unknown>> = []
  await parquetRead({
    file,
    metadata,
    compressors,
    utf8: false,
    parsers: exactText as never,
    rowFormat: "array",
    onComplete: (all) => void (rows = all as Array<Array<unknown>>)
  })
  return { columns, rows: rows.map((row) => columns.map((_, j) => plain(row[j]))) }
}

const readCsv = (bytes: Uint8Array): Table => {
  const { data, errors } = Papa.parse<Array<string>>(Buffer.from(bytes).toString("utf8"), { skipEmptyLines: false })
  assert.deepStrictEqual(errors.filter(({ code }) => code !== "UndetectableDelimiter"), [])
  const [columns, ...rows] = data
  return { columns: columns!, rows: rows.filter((row) => row.length > 1 || row[0] !== "") }
}

const readJsonl = (bytes: Uint8Array): Table => {
  const lines = Buffer.from(bytes).toString("utf8").split("\n")
  assert.strictEqual(lines.pop(), "")
  const objects: Array<Record<string, unknown>> = lines.map((line) => JSON.parse(line))
  const columns = Object.keys(objects[0] ?? {})
  for (const object of objects) assert.deepStrictEqual(Object.keys(object), columns)
  return { columns, rows: objects.map((object) => columns.map((column) => object[column])) }
}

/** The library drops a byte order mark from the beginning of a text, so texts are decoded here. */
const valuesOf = (column: Vector): ReadonlyArray<unknown> =>
  DataType.isUtf8(column.type)
    ? column.data.flatMap((data) =>
      Array.from({ length: data.length }, (_, i) =>
        data.getValid(i)
          ? Buffer.from(data.values.subarray(data.valueOffsets[i], data.valueOffsets[i + 1])).toString("utf8")
          : null)
    )
    : [...column]

const readArrow = (bytes: Uint8Array): Table => {
  const table = tableFromIPC(bytes)
  const columns = table.schema.fields.map(({ name }) => name)
  const values = columns.map((_, j) => valuesOf(table.getChildAt(j)!).map(plain))
  return { columns, rows: Array.from({ length: table.numRows }, (_, i) => values.map((column) => column[i])) }
}

/** The readers, by format. */
export const readers = { parquet: readParquet, csv: readCsv, jsonl: readJsonl, arrow: readArrow }

/** The result files of a run as one table. */
export const readResults = Effect.fnUntraced(function*(stack: Stack, collected: Collected<object>) {
  const { format } = collected.report
  const base = `s3://${bucket}/`
  const tables: Array<Table> = []
  for (const uri of collected.files) {
    assert.isTrue(uri.startsWith(base), uri)
    const bytes = yield* stack.get(uri.slice(base.length))
    tables.push(yield* Effect.promise(async () => readers[format](bytes)))
  }
  const [first] = tables
  for (const { columns } of tables) assert.deepStrictEqual(columns, first!.columns)
  const table: Table = { columns: first!.columns, rows: tables.flatMap(({ rows }) => rows) }
  return table
})

/** What one record came to, by the output lines. */
interface Expected {
  readonly outcome: Outcome.Outcome
  readonly answer: unknown
  readonly code: string | null
  readonly inputTokens: number | null
  readonly outputTokens: number | null
}

const none = { answer: null, inputTokens: null, outputTokens: null }

const read = (line: any): Expected => {
  if (line.error !== undefined) {
    const { errorCode, expired } = line.error
    return { ...none, outcome: expired === true ? "expired" : "failed", code: String(errorCode) }
  }
  const { modelOutput: output } = line
  if (output.embedding !== undefined) {
    return {
      outcome: "succeeded",
      code: null,
      answer: Array.from(Float32Array.from(output.embedding)),
      inputTokens: output.inputTextTokenCount,
      outputTokens: null
    }
  }
  const content: Array<any> = output.output?.message.content ?? output.content
  const stop = output.stopReason ?? output.stop_reason
  return {
    outcome: stop === "max_tokens" ? "truncated" : "succeeded",
    code: null,
    answer: content.map((block) => block.text ?? "").join(""),
    inputTokens: output.usage.inputTokens ?? output.usage.input_tokens,
    outputTokens: output.usage.outputTokens ?? output.usage.output_tokens
  }
}

/** What a record came to of which no line came back, by its job's status. */
const silent: { readonly [status: string]: Expected } = {
  Completed: { ...none, outcome: "missing", code: "NoOutput" },
  Failed: { ...none, outcome: "missing", code: "JobFailed" },
  Stopped: { ...none, outcome: "missing", code: "JobStopped" },
  Expired: { ...none, outcome: "expired", code: "JobExpired" },
  PartiallyCompleted: { ...none, outcome: "expired", code: "JobPartiallyCompleted" }
}

const best: ReadonlyArray<Outcome.Outcome> = ["succeeded", "truncated", "failed", "expired"]

const parse = (line: string): any => {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}

const linesOf = (text: string) => text.split("\n").filter((line) => line !== "")

/** What the rows of a run must come to. */
export interface Audited {
  readonly results: Table
  /** Recomputed from the result files. */
  readonly counts: { readonly [outcome: string]: number }
  /** Statuses of the service's jobs, in the order of the jobs. */
  readonly statuses: ReadonlyArray<string>
}

/**
 * Audits a finished run whose rows are `source`: `ask` says what the model must have been told for a row. Every job of the
 * run must have been created exactly once.
 */
export const audit = Effect.fnUntraced(function*<Row extends object>(
  stack: Stack,
  collected: Collected<Row>,
  source: Table,
  ask: (cells: ReadonlyMap<string, unknown>) => string,
  added: { readonly answer?: string; readonly prefix?: string } = {}
) {
  const { report } = collected
  const answerColumn = added.answer ?? "response"
  const prefix = added.prefix === undefined ? "" : `${added.prefix}/`
  const total = source.rows.length
  const { runId } = report
  const manifest = yield* stack.json(`${prefix}${runId}/run.json`)
  const jobs: Array<any> = yield* stack.json(prefix + manifest.jobs.key)
  const { invocationJobSummaries: created } = yield* Effect.orDie(stack.emulator.list({ nameContains: runId, maxResults: "1000" }))
  assert.strictEqual(created.length, jobs.length, "every job of the run is created exactly once")

  // The inputs: every row once, in order, with the right request.
  let row = 0
  const expected: Array<Expected> = []
  const statuses: Array<string> = []
  const oddities = { duplicates: 0, unknown: 0, malformed: 0 }
  for (const job of jobs) {
    const first = row
    for (const file of job.files) {
      for (const line of linesOf(yield* stack.text(prefix + file.key))) {
        const { modelInput, recordId } = JSON.parse(line)
        assert.strictEqual(recordId, `r${String(row).padStart(10, "0")}`)
        const cells = new Map(source.columns.map((name, j) => [name, source.rows[row]![j]]))
        assert.strictEqual(promptOf(modelInput), ask(cells), `the request of row ${row}`)
        row++
      }
    }
    assert.strictEqual(row - first, job.records)
    // The outputs: whatever the order of the lines.
    const state = created.find(({ jobName }) => jobName === job.name)
    assert.isDefined(state, `job ${job.name} was created`)
    const { jobArn, status } = state!
    statuses.push(status)
    const found = new Map<string, Expected>()
    const keys = yield* stack.keys(`${prefix}${job.output}${jobArn.slice(-12)}/`)
    for (const key of keys.filter((key) => key.endsWith(".jsonl.out"))) {
      for (const text of linesOf(yield* stack.text(key))) {
        const line = parse(text)
        if (line === null) {
          oddities.malformed++
        } else if (!/^r\d{10}$/.test(line.recordId)) {
          oddities.unknown++
        } else {
          const there = found.get(line.recordId)
          const one = read(line)
          if (there !== undefined) oddities.duplicates++
          if (there === undefined || best.indexOf(one.outcome) < best.indexOf(there.outcome)) found.set(line.recordId, one)
        }
      }
    }
    for (let at = first; at < row; at++) {
      expected.push(found.get(`r${String(at).padStart(10, "0")}`) ?? silent[status]!)
    }
  }
  assert.strictEqual(row, total, "every row is in the inputs")

  // The results: one row for each, in order.
  const results = yield* readResults(stack, collected)
  const csv = report.format === "csv"
  const shown = (value: unknown) => {
    if (!csv || Array.isArray(value)) return value ?? null
    return value === null || value === undefined ? "" : String(value)
  }
  /** A vector as float32 numbers, whatever text it was written as; anything else as it is. */
  const vectorOf = (value: unknown): unknown => {
    const list = csv && typeof value === "string" && value.startsWith("[") ? JSON.parse(value) : value
    return Array.isArray(list) ? list.map(Math.fround) : value
  }
  const readAnswer = answerColumn === "embedding" ? vectorOf : (value: unknown) => value
  assert.strictEqual(results.rows.length, total)
  assert.includeMembers([...results.columns], [...source.columns])
  const counts: { [outcome: string]: number } = {}
  const tokens = { input: 0, output: 0 }
  for (let i = 0; i < total; i++) {
    const of = (column: string) => cell(results, i, column)
    for (const [j, column] of source.columns.entries()) {
      assert.deepStrictEqual(of(column), shown(plain(source.rows[i]![j])), `row ${i}, column ${column}`)
    }
    const want = expected[i]!
    assert.deepStrictEqual(
      {
        id: of("record_id"),
        outcome: of("batch_status"),
        code: of("batch_error_code"),
        input: of("batch_input_tokens"),
        output: of("batch_output_tokens"),
        answer: readAnswer(of(answerColumn))
      },
      {
        id: `r${String(i).padStart(10, "0")}`,
        outcome: want.outcome,
        code: shown(want.code),
        input: shown(want.inputTokens),
        output: shown(want.outputTokens),
        answer: shown(want.answer)
      },
      `row ${i}`
    )
    counts[want.outcome] = (counts[want.outcome] ?? 0) + 1
    tokens.input += want.inputTokens ?? 0
    tokens.output += want.outputTokens ?? 0
  }

  // The report, and the rows that are streamed.
  const nonZero = Object.fromEntries(Object.entries(report.counts).filter(([, count]) => count > 0))
  assert.deepStrictEqual(nonZero, counts)
  assert.deepInclude(report, {
    records: total,
    jobs: jobs.length,
    inputTokens: tokens.input,
    outputTokens: tokens.output,
    ...oddities
  })
  let at = 0
  yield* Stream.runForEach(collected.rows, (streamed) =>
    Effect.sync(() => {
      const cells = new Map(Object.entries(streamed))
      for (const [j, column] of results.columns.entries()) {
        const there = results.rows[at]![j]
        assert.deepStrictEqual(
          shown(plain(cells.get(column))),
          column === answerColumn ? readAnswer(there) : there,
          `streamed row ${at}, column ${column}`
        )
      }
      at++
    }))
  assert.strictEqual(at, total)
  const audited: Audited = { results, counts, statuses }
  return audited
})
