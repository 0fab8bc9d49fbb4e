/**
 * Verb 4: joins the answers to the rows, one output row per input row, in input order.
 *
 * @since 0.1.0
 */
import type { Table } from "apache-arrow"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { BatchError, InvalidOption, RunConflict } from "./BatchError.ts"
import { tableOf } from "./internal/ArrowTable.ts"
import { collectAll, collectOne } from "./internal/CollectRun.ts"
import { type CollectSettings, settingsOf } from "./internal/CollectSettings.ts"
import * as Join from "./internal/Join.ts"
import * as JoinWorkers from "./internal/JoinWorkers.ts"
import * as ResultColumns from "./internal/ResultColumns.ts"
import { toRows } from "./internal/Rows.ts"
import { mergingsOf, type Settled, settledJobs } from "./internal/Settled.ts"
import type { EndedJob, RefusedJob } from "./Job.ts"
import type { Ledger } from "./Ledger.ts"
import type { JobReport, Report } from "./Report.ts"
import type { Handle, Run } from "./RunManifest.ts"
import type { Compression, Format } from "./sink/Sink.ts"
import { ObjectStore } from "./store/ObjectStore.ts"

export { AttemptReport, Difference, JobReport, Report } from "./Report.ts"

/**
 * A report, and the rows to read it by.
 *
 * @since 0.1.0
 * @category models
 */
export interface Collected<out Row extends object> {
  /** The run, at the attempt that was collected: for `retry`, or for `Source.results`. */
  readonly run: Handle<Row>
  readonly report: Report
  /** Where each result file is, in the order of the rows: a path in a folder store, an `s3://` URI otherwise. */
  readonly files: ReadonlyArray<string>
  /** Every row with the model's columns, in input order; can be run more than once. */
  readonly rows: Stream.Stream<Row, BatchError>
  /** All rows as an Arrow table, in memory. */
  readonly table: Effect.Effect<Table, BatchError>
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
  /** Compression of Parquet files; default `zstd`. */
  readonly compression?: Compression | undefined
  /**
   * Bytes after which a job's rows go on in another result file: of values, before any compression, so that the same
   * rows are always cut at the same places. Default: one file a job.
   */
  readonly partBytes?: number | undefined
  /**
   * Bytes of one job's output above which its answers wait in temporary files until it is their turn; default 64 MB. Of
   * embeddings, which take a fraction of their text, five times as much.
   */
  readonly memoryBudget?: number | undefined
  /**
   * Jobs that are joined at the same time, each in a thread of its own; where there are fewer jobs, the threads read one
   * job's output together. 1 is this thread. Default: the machine's cores, at most 8, and one for each 512 MB of its
   * memory; 1 for fewer than 10,000 rows. In a program that is bundled into one file, and with a processor of your own or
   * an `output` schema, jobs are joined in this thread.
   */
  readonly parallelism?: number | undefined
}

/**
 * Collects one ended job of the first attempt: its rows with the model's columns become one result file. Done again, it
 * finds its result. Answers of later attempts, up to the run's current one, are merged as in `collect`; of a job of a
 * later attempt the rows are in the results of earlier ones, so it is refused with `InvalidOption`.
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
  ): Effect.fn.Return<JobReport, BatchError, ObjectStore | Ledger> {
    yield* Effect.annotateCurrentSpan({ run: run.id, job: job.key, attempt: run.attempt })
    const settings = yield* settingsOf("collectJob", options)
    if (job.attempt > 1) {
      return yield* new BatchError({
        module: "collect",
        method: "collectJob",
        reason: new InvalidOption({
          path: "job",
          message: `job ${job.key} is of attempt ${job.attempt}, whose answers belong to rows of earlier jobs: collect those`
        })
      })
    }
    const later = run.attempt === 1 ? [] : yield* settledJobs(run, undefined, 2)
    return yield* Effect.scoped(Effect.gen(function*() {
      const workers = yield* JoinWorkers.make(settings, [job])
      return yield* collectOne(workers, run, job, later, settings)
    }))
  }
)

/** Collects what has ended, and says how its rows are read. */
const collectSettled = Effect.fnUntraced(
  function*<Row extends object>(run: Handle<Row>, jobs: ReadonlyArray<Settled>, settings: CollectSettings) {
    const store = yield* ObjectStore
    const { files, report } = yield* Effect.scoped(Effect.gen(function*() {
      // Those of later attempts are not joined by themselves.
      const workers = yield* JoinWorkers.make(settings, jobs.filter(({ attempt }) => attempt === 1))
      return yield* collectAll(workers, run, jobs, settings)
    }))
    const { answer, columns, rename } = run.manifest
    const names = ResultColumns.all(columns, answer, rename)
    const batches = Stream.fromIterable(mergingsOf(run, jobs)).pipe(
      Stream.flatMap((merging) => Join.joined(store, merging, { memoryBudget: settings.memoryBudget }))
    )
    const collected: Collected<Row> = {
      run,
      report,
      files,
      table: tableOf(names, batches),
      rows: batches.pipe(
        // The rows have the columns of `Row` by construction: the manifest names them.
        Stream.map((batch) => toRows(names, batch) as ReadonlyArray<object> as ReadonlyArray<Row>),
        Stream.flattenIterable
      )
    }
    return collected
  }
)

const conflict = (runId: string, message: string) =>
  new BatchError({
    module: "collect",
    method: "collect",
    reason: new RunConflict({ runId, problem: "not-ended", differs: [], message })
  })

/**
 * Finishes a run whose jobs have all ended, by the ledger, up to its current attempt: collects those that are not
 * collected yet, sums the job reports and stores `report.json`. Fails with `RunConflict` (`not-ended`) when a job has
 * neither ended nor been refused.
 *
 * @since 0.1.0
 * @category constructors
 */
export const finish = Effect.fn("finish")(
  function*<Row extends object>(
    run: Handle<Row>,
    options?: CollectOptions
  ): Effect.fn.Return<Collected<Row>, BatchError, ObjectStore | Ledger> {
    yield* Effect.annotateCurrentSpan({ run: run.id, attempt: run.attempt })
    const settings = yield* settingsOf("finish", options)
    return yield* collectSettled(run, yield* settledJobs(run), settings)
  }
)

/**
 * Collects all jobs and finishes: one result file a job, each input row once and in order, and a report whose counts
 * sum to the number of rows. A job of any status is read: what it has answered is paid for. Rows without an answer say
 * why in `batch_status`, `batch_error_code` and `batch_error_message`. Jobs of the run that are not among `jobs` are
 * taken from the ledger. Done again, it finds its results.
 *
 * For a run after `retry`, the answers of all its attempts are merged: for each row the success of the lowest attempt
 * counts, and without one the outcome of the highest. The results of earlier attempts stay where they are.
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
    yield* Effect.annotateCurrentSpan({ run: run.id, attempt: run.attempt })
    const settings = yield* settingsOf("collect", options)
    const given = new Map<string, Settled>()
    for (const job of jobs) {
      if (job.runId !== run.id) {
        return yield* conflict(
          run.id,
          `job ${job.key} is of run ${job.runId}, and cannot be collected as run ${run.id}`
        )
      }
      if (job.attempt > run.attempt) {
        const message = `job ${job.key} is of attempt ${job.attempt}, and the run that was given is at attempt ` +
          `${run.attempt}: give the run that retry gave`
        const reason = new InvalidOption({ path: "run", message })
        return yield* new BatchError({ module: "collect", method: "collect", reason })
      }
      given.set(job.key, job)
    }
    return yield* collectSettled(run, yield* settledJobs(run, given), settings)
  }
)
