/**
 * Verb 4: joins the answers to the rows, one output row per input row, in input order.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { BatchError, RunConflict } from "./BatchError.ts"
import { type CollectSettings, settingsOf } from "./internal/CollectSettings.ts"
import { sha256 } from "./internal/Digest.ts"
import * as Join from "./internal/Join.ts"
import * as Layout from "./internal/Layout.ts"
import { readJobs } from "./internal/Manifest.ts"
import { isFinal } from "./internal/Refusals.ts"
import * as ResultColumns from "./internal/ResultColumns.ts"
import { toRows } from "./internal/Rows.ts"
import { stored } from "./internal/Stored.ts"
import type { EndedJob, Job, RefusedJob } from "./Job.ts"
import { Ledger } from "./Ledger.ts"
import { addCounts, Counts, noCounts } from "./Outcome.ts"
import * as Progress from "./Progress.ts"
import type { Handle, Run } from "./RunManifest.ts"
import { forFormat } from "./sink/Formats.ts"
import { Format } from "./sink/Sink.ts"
import { ObjectStore } from "./store/ObjectStore.ts"

const totals = {
  /** Counts of outcomes; they sum to the number of rows. */
  counts: Counts,
  /** Output lines for a record that had one already; of several the best counts. */
  duplicates: Schema.Natural,
  /** Output lines whose record id is none of the job's. */
  unknown: Schema.Natural,
  /** Output lines that are not JSON or have no record id. */
  malformed: Schema.Natural,
  inputTokens: Schema.Natural,
  outputTokens: Schema.Natural
}

/**
 * Schema for what one job came to.
 *
 * @since 0.1.0
 * @category schemas
 */
export const JobReport = Schema.Struct({
  version: Schema.Literal(1),
  runId: Schema.String,
  job: Schema.String,
  status: Schema.String,
  format: Format,
  records: Schema.Natural,
  ...totals,
  /** Key of the result file. */
  result: Schema.String
})

/**
 * What one job came to.
 *
 * @since 0.1.0
 * @category models
 */
export interface JobReport extends Schema.Schema.Type<typeof JobReport> {}

/**
 * Schema for `report.json`: what a run came to. Its presence makes the generation of results whole.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Report = Schema.Struct({
  version: Schema.Literal(1),
  runId: Schema.String,
  format: Format,
  records: Schema.Natural,
  jobs: Schema.Natural,
  ...totals,
  /** Where the result files are: one a job, in the order of their names. */
  results: Schema.String
})

/**
 * What a run came to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report extends Schema.Schema.Type<typeof Report> {}

/**
 * A report, and the rows to read it by.
 *
 * @since 0.1.0
 * @category models
 */
export interface Collected<out Row extends object> {
  readonly report: Report
  /** Where each result file is, in the order of the rows: a path in a folder store, an `s3://` URI otherwise. */
  readonly files: ReadonlyArray<string>
  /** Every row with the model's columns, in input order; can be run more than once. */
  readonly rows: Stream.Stream<Row, BatchError>
}

/**
 * Options of `collect`, `collectJob` and `finish`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface CollectOptions {
  /** Format of the result files; default `parquet`. */
  readonly format?: Format | undefined
  /** Bytes of one job's output above which its lines are divided into temporary files first; default 256 MB. */
  readonly memoryBudget?: number | undefined
}

const jobReports = stored("collect", JobReport)
const reports = stored("collect", Report)

type Settled = EndedJob | RefusedJob

/** The generation of results that holds what `refused` jobs came to beside all others. */
const generationOf = (format: Format, attempt: number, refused: ReadonlyArray<string>): string =>
  `${attempt}-${format}` + (refused.length === 0 ? "" : `-without-${sha256(refused.join("\n")).slice(0, 8)}`)

const collectInto = Effect.fnUntraced(
  function*(run: Handle<object>, job: Settled, generation: string, { format, memoryBudget }: CollectSettings) {
    const store = yield* ObjectStore
    const sink = forFormat(format)
    const folder = Layout.results(run.id, generation)
    const reportKey = `${folder}${job.key}.json`
    const there = yield* jobReports.read(store, reportKey)
    if (there !== null) return there
    const tally = Join.emptyTally()
    const { answer, columns, rename } = run.manifest
    const batches = Join.joined(store, run, job, memoryBudget, tally)
    const result = `${folder}${job.key}${sink.extension}`
    // Where the file is there already, of the same output, the rows are run through and counted all the same.
    yield* store.write(result, sink.encode(ResultColumns.all(columns, answer, rename), batches))
    const report: JobReport = {
      version: 1,
      runId: run.id,
      job: job.key,
      status: job.status,
      format,
      records: job.records,
      ...tally,
      result
    }
    const { value } = yield* jobReports.createOrRead(store, reportKey, report)
    yield* Progress.emit({ _tag: "Collected", runId: run.id, job: job.key, records: job.records })
    return value
  }
)

/**
 * Collects one ended job: its rows with the model's columns become one result file. Done again, it finds its result.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { awaitAll, collectJob, finish, type Run, submit } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * declare const run: Run.Run<{ readonly topic: string }>
 *
 * const program = Effect.gen(function*() {
 *   yield* awaitAll(run.jobs.map(submit), { onEnded: (job) => collectJob(run, job) })
 *   return yield* finish(run)
 * })
 * ```
 */
export const collectJob = Effect.fn("collectJob")(
  function*(
    run: Handle<object>,
    job: EndedJob,
    options?: CollectOptions
  ): Effect.fn.Return<JobReport, BatchError, ObjectStore> {
    const settings = yield* settingsOf("collectJob", options)
    return yield* collectInto(run, job, generationOf(settings.format, job.attempt, []), settings)
  }
)

const collectAll = Effect.fnUntraced(
  function*<Row extends object>(run: Handle<Row>, jobs: ReadonlyArray<Settled>, settings: CollectSettings) {
    const store = yield* ObjectStore
    const { format, memoryBudget } = settings
    const refused = jobs.filter((job) => job.status === "Refused").map((job) => job.key)
    const generation = generationOf(format, jobs[0]?.attempt ?? 1, refused)
    const folder = Layout.results(run.id, generation)
    const files: Array<string> = []
    let report: Report = {
      version: 1,
      runId: run.id,
      format,
      records: 0,
      jobs: 0,
      counts: noCounts,
      duplicates: 0,
      unknown: 0,
      malformed: 0,
      inputTokens: 0,
      outputTokens: 0,
      results: store.location(folder)
    }
    for (const job of jobs) {
      const one = yield* collectInto(run, job, generation, settings)
      files.push(store.location(one.result))
      report = {
        ...report,
        records: report.records + one.records,
        jobs: report.jobs + 1,
        counts: addCounts(report.counts, one.counts),
        duplicates: report.duplicates + one.duplicates,
        unknown: report.unknown + one.unknown,
        malformed: report.malformed + one.malformed,
        inputTokens: report.inputTokens + one.inputTokens,
        outputTokens: report.outputTokens + one.outputTokens
      }
    }
    const { value } = yield* reports.createOrRead(store, `${folder}report.json`, report)
    const { answer, columns, rename } = run.manifest
    const names = ResultColumns.all(columns, answer, rename)
    const rows = Stream.fromIterable(jobs).pipe(
      Stream.flatMap((job) =>
        Join.joined(store, run, job, memoryBudget, Join.emptyTally())
      ),
      // The rows have the columns of `Row` by construction: the manifest names them.
      Stream.map((batch) => toRows(names, batch) as ReadonlyArray<object> as ReadonlyArray<Row>),
      Stream.flattenIterable
    )
    const collected: Collected<Row> = { report: value, files, rows }
    return collected
  }
)

const conflict = (runId: string, message: string) =>
  new BatchError({
    module: "collect",
    method: "collect",
    reason: new RunConflict({ runId, problem: "not-ended", differs: [], message })
  })

/** What became of a job by the ledger: its end, or the refusal of its last claim; null while it may be open. */
const settledOf = Effect.fnUntraced(function*(job: Job) {
  const ledger = yield* Ledger
  const ended = yield* ledger.ended(job)
  if (ended !== null) return ended
  const { entry } = yield* ledger.look(job)
  const last = entry.claims.at(-1)
  if (last === undefined || entry.accepted || entry.claims.some((claim) => !claim.refused)) return null
  const refusal = yield* ledger.refusal(job, last.number)
  if (refusal === null || !isFinal(refusal)) return null
  const refused: RefusedJob = { ...job, status: "Refused", code: refusal.code, message: refusal.message }
  return refused
})

/**
 * Finishes a run whose jobs have all ended, by the ledger: collects those that are not collected yet, sums the job
 * reports and stores `report.json`. Fails with `RunConflict` (`not-ended`) when a job has neither ended nor been
 * refused.
 *
 * @since 0.1.0
 * @category constructors
 */
export const finish = Effect.fn("finish")(
  function*<Row extends object>(
    run: Handle<Row>,
    options?: CollectOptions
  ): Effect.fn.Return<Collected<Row>, BatchError, ObjectStore | Ledger> {
    const settings = yield* settingsOf("finish", options)
    const jobs = yield* readJobs(yield* ObjectStore, run.manifest)
    const settled: Array<Settled> = []
    for (const job of jobs) {
      const one = yield* settledOf(job)
      if (one === null) return yield* conflict(run.id, `job ${job.key} of run ${run.id} has not ended: await it first`)
      settled.push(one)
    }
    return yield* collectAll(run, settled, settings)
  }
)

/**
 * Collects all jobs and finishes: one result file a job, each input row once and in order, and a report whose counts
 * sum to the number of rows. A job of any status is read: what it has answered is paid for. Rows without an answer say
 * why in
 * `batch_status`, `batch_error_code` and `batch_error_message`. Jobs of the run that are not among `jobs` are taken from
 * the ledger. Done again, it finds its results.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { collect, type Job, type Run } from "@bedrock-batch/sdk"
 *
 * declare const run: Run.Run<{ readonly topic: string; readonly response: string | null }>
 * declare const jobs: ReadonlyArray<Job.EndedJob>
 *
 * const collected = collect(run, jobs, { format: "csv" })
 * ```
 */
export const collect = Effect.fn("collect")(
  function*<Row extends object>(
    run: Run<Row>,
    jobs: Iterable<EndedJob | RefusedJob>,
    options?: CollectOptions
  ): Effect.fn.Return<Collected<Row>, BatchError, ObjectStore | Ledger> {
    const settings = yield* settingsOf("collect", options)
    const given = new Map<string, Settled>()
    for (const job of jobs) {
      if (job.runId !== run.id) {
        return yield* conflict(
          run.id,
          `job ${job.key} is of run ${job.runId}, and cannot be collected as run ${run.id}`
        )
      }
      given.set(job.key, job)
    }
    const settled: Array<Settled> = []
    for (const job of run.jobs) {
      const one = given.get(job.key) ?? (yield* settledOf(job))
      if (one === null) return yield* conflict(run.id, `job ${job.key} of run ${run.id} has not ended: await it first`)
      settled.push(one)
    }
    return yield* collectAll(run, settled, settings)
  }
)
