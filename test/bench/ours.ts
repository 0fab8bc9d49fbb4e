/**
 * The verbs as the benchmark runs them. Each fails when rows are missing from what it made.
 */
import {
  AnthropicMessages,
  Capacity,
  collect as collectRun,
  type Job,
  Ledger,
  type ObjectStore,
  prepare as prepareRun,
  Prompt,
  Run,
  Source
} from "@bedrock-batch/sdk"
import { Effect, Layer } from "effect"
import assert from "node:assert/strict"
import { type Format, question, recordIdOf, rowAt } from "./data.ts"
import { type Answer, answerOf, type Output, Outputs, vectorOf } from "./outputs.ts"
import * as Store from "./store.ts"

const runId = "bench"
const services = Layer.mergeAll(Ledger.layer(), Capacity.layerFixed({ region: "us-east-1" }))
const common = { name: "bench", runId, limits: { minRecords: 1, maxRecords: 1_000_000, maxFileRecords: 1_000_000 } }

const asked = {
  model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
  processor: AnthropicMessages.anthropicMessages,
  prompt: Prompt.make(question)
} as const

const sourceOf = (format: Format, path: string): Source.Source<Source.UntypedRow, ObjectStore.ObjectStore> => {
  switch (format) {
    case "csv":
      return Source.csv(path)
    case "jsonl":
      return Source.jsonl(path)
    case "parquet":
      return Source.parquet(path)
  }
}

const isInput = (key: string): boolean => key.startsWith(`${runId}/inputs/`)
const isRows = (key: string): boolean => key.startsWith(`${runId}/rows/`)
const isResult = (key: string): boolean => key.startsWith(`${runId}/results/`) && !key.endsWith(".json")

const checkPrepared = (run: Run.Run<object>, rows: number): void => {
  assert.equal(run.manifest.records, rows, "the run has another number of records than the file has rows")
  assert.equal(run.jobs.reduce((sum, job) => sum + job.records, 0), rows, "the jobs have other records than the run")
  for (const job of run.jobs) {
    const least = job.records * 100
    assert.ok(job.bytes > least && job.rows.size > least, `the files of job ${job.key} are too small`)
  }
}

/** Prepares a run of a file in an empty folder. Its files are written, and removed as soon as they are. */
export const prepare = async (format: Format, path: string, rows: number, directory: string): Promise<() => void> => {
  const store = Store.layer({
    directory,
    outputs: new Map(),
    generator: null,
    discards: (key) => isInput(key) || isRows(key)
  })
  const run = await Effect.runPromise(
    prepareRun({ ...common, ...asked, maxRecordsPerJob: 100_000, source: sourceOf(format, path) }).pipe(
      Effect.provide(Layer.provideMerge(services, store))
    )
  )
  return () => checkPrepared(run, rows)
}

function* rowsTo(end: number) {
  for (let row = 0; row < end; row++) yield rowAt(row)
}

/** Prepares the run that is collected, and gives the files that its jobs write. */
export const prepareJobs = async (
  answer: Answer,
  rows: number,
  recordsPerJob: number,
  directory: string
): Promise<ReadonlyArray<Output>> => {
  const store = Store.layer({ directory, outputs: new Map(), generator: null, discards: isInput })
  const options = {
    ...common,
    source: Source.rows({ [Symbol.iterator]: () => rowsTo(rows) }),
    maxRecordsPerJob: recordsPerJob
  }
  const run = await Effect.runPromise(
    Effect.provide(
      answer === "text"
        ? Effect.asVoid(prepareRun({ ...options, ...asked }))
        : Effect.asVoid(prepareRun({ ...options, model: "amazon.titan-embed-text-v2:0", embed: "text" })),
      Layer.provideMerge(services, store)
    ).pipe(
      Effect.andThen(Effect.provide(Run.load(runId), store))
    )
  )
  checkPrepared(run, rows)
  return [...outputsOf(run.jobs).values()]
}

const arnOf = (job: Job.Job): string =>
  `arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/job${String(job.index).padStart(9, "0")}`

/** By their keys, the files that the jobs write: one for each of their input files. */
const outputsOf = (jobs: ReadonlyArray<Job.Job>): ReadonlyMap<string, Output> => {
  const outputs = new Map<string, Output>()
  for (const job of jobs) {
    let firstRow = job.firstRow
    for (const { key, records } of job.files) {
      const name = key.slice(key.lastIndexOf("/") + 1)
      outputs.set(`${job.output}${arnOf(job).split("/").at(-1)!}/${name}.out`, { firstRow, records })
      firstRow += records
    }
  }
  return outputs
}

const endOf = (job: Job.Job): Job.EndedJob => ({
  ...job,
  arn: arnOf(job),
  submittedAt: "2026-01-01T00:00:00.000Z",
  adopted: false,
  status: "Completed",
  message: null,
  counters: { total: job.records, processed: job.records, succeeded: job.records, failed: 0 },
  repeatedCalls: 0
})

/** Reads a result file with another reader, and compares its first and last rows. */
const checkResult = async (answer: Answer, path: string, job: Job.Job): Promise<void> => {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } = await import("hyparquet")
  const { compressors } = await import("hyparquet-compressors")
  const file = await asyncBufferFromFile(path)
  const metadata = await parquetMetadataAsync(file)
  assert.equal(Number(metadata.num_rows), job.records, `${path} has another number of rows than its job has records`)
  for (const first of new Set([0, Math.max(0, job.records - 50)])) {
    const read = await parquetReadObjects({ file, metadata, compressors, rowStart: first, rowEnd: first + 50 })
    read.forEach((result, i) => {
      const row = job.firstRow + first + i
      const { embedding, response, ...others } = result
      assert.deepEqual(
        { id: others["id"], text: others["text"], record_id: others["record_id"], status: others["batch_status"] },
        { id: String(row), text: rowAt(row).text, record_id: recordIdOf(row), status: "succeeded" }
      )
      if (answer === "text") assert.equal(response, answerOf(row))
      else assert.deepEqual(Float32Array.from(embedding), vectorOf(row))
    })
  }
}

/** Collects the prepared run. Results are written, and removed as soon as they are, but for those of the first job. */
export const collect = async (
  answer: Answer,
  rows: number,
  directory: string,
  generator: Outputs,
  parallelism: number | null
): Promise<() => Promise<void>> => {
  const outputs = new Map<string, Output>()
  let kept: string | null = null
  const store = Store.layer({
    directory,
    outputs,
    generator,
    discards: (key) => isResult(key) && !key.includes(`/${kept}.`)
  })
  const [run, collected] = await Effect.runPromise(
    Effect.gen(function*() {
      const run = yield* Run.load(runId)
      for (const [key, output] of outputsOf(run.jobs)) outputs.set(key, output)
      kept = run.jobs[0]!.key
      const options = { format: "parquet", ...(parallelism === null ? {} : { parallelism }) } as const
      return [run, yield* collectRun(run, run.jobs.map(endOf), options)] as const
    }).pipe(Effect.provide(Layer.provideMerge(services, store)))
  )
  return async () => {
    const { report } = collected
    assert.equal(collected.files.length, run.jobs.length, "result files are missing")
    const counted = Object.values(report.counts).reduce((sum, count) => sum + count, 0)
    assert.equal(counted, rows, "the counts do not sum to the rows")
    assert.equal(report.counts.succeeded, rows, "records without an answer")
    assert.deepEqual([report.duplicates, report.unknown, report.malformed], [0, 0, 0])
    const tokens = [...outputs.values()].map((output) => generator.tokens(output))
    assert.equal(report.inputTokens, tokens.reduce((sum, { input }) => sum + input, 0), "input tokens")
    assert.equal(report.outputTokens, tokens.reduce((sum, { output }) => sum + output, 0), "output tokens")
    await checkResult(answer, collected.files[0]!, run.jobs[0]!)
  }
}
