/**
 * Collects the jobs of a run into a generation of results.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BatchError } from "../BatchError.ts"
import type { EndedJob, RefusedJob } from "../Job.ts"
import { addCounts, noCounts } from "../Outcome.ts"
import * as Progress from "../Progress.ts"
import { JobReport, Report } from "../Report.ts"
import type { Handle } from "../RunManifest.ts"
import { forFormat } from "../sink/Formats.ts"
import { ObjectStore } from "../store/ObjectStore.ts"
import { account } from "./Account.ts"
import type { CollectSettings } from "./CollectSettings.ts"
import { differencesOf } from "./Differences.ts"
import { sha256 } from "./Digest.ts"
import type { Collecting, JobResult } from "./JobResult.ts"
import { emptyTally, isEnded, type Merging, type Tally } from "./Merge.ts"
import type { JoinWorkers } from "./JoinWorkers.ts"
import * as Layout from "./Layout.ts"
import { mergingsOf, type Settled } from "./Settled.ts"
import { stored } from "./Stored.ts"

type Store = ObjectStore["Service"]

const jobReports = stored("collect", JobReport)
const reports = stored("collect", Report)

/** Their rows say why they were refused. */
const digestOf = (refused: ReadonlyArray<RefusedJob>): string =>
  sha256(JSON.stringify(refused.map(({ code, key, message }) => [key, code, message]))).slice(0, 8)

/**
 * The generation of results that holds what `refused` jobs came to beside all others; other settings that shape the
 * files make another one.
 */
const generationOf = (settings: CollectSettings, attempt: number, refused: ReadonlyArray<RefusedJob>): string =>
  [
    `${attempt}-${settings.format}`,
    ...(settings.format !== "parquet" || settings.compression === "zstd" ? [] : [settings.compression]),
    ...(settings.partBytes === null ? [] : [`parts-${settings.partBytes}`]),
    ...(refused.length === 0 ? [] : [`without-${digestOf(refused)}`])
  ].join("-")

/**
 * The bytes of a job's parts. A thread is held only while they are made: the last bytes are stored, which may take a
 * while, when it has been given back. To make a part again a thread is taken again.
 */
const partsOf = Effect.fnUntraced(function*(workers: JoinWorkers, store: Store, collecting: Collecting) {
  const outer = yield* Effect.scope
  let open: { readonly scope: Scope.Closeable; readonly result: JobResult } | null = null
  let more = true
  let tally = emptyTally()

  const take = Effect.gen(function*() {
    const scope = yield* Scope.fork(outer)
    const result = yield* Scope.provide(workers.join(store, collecting), scope)
    open = { scope, result }
    return open
  })
  const part = (index: number): Stream.Stream<Uint8Array, BatchError> =>
    Stream.unwrap(Effect.gen(function*() {
      const { result, scope } = open ?? (yield* take)
      const end = Effect.gen(function*() {
        more = yield* result.more
        if (more) return
        tally = yield* result.tally
        open = null
        yield* Scope.close(scope, Exit.void)
      })
      return Stream.concat(result.part(index), Stream.fromEffectDrain(end))
    }))
  return { part, more: () => more, tally: () => tally }
})

/** What `collectInto` gives beside the result files. */
const reportOf = (
  store: Store,
  run: Handle<object>,
  job: Settled,
  settings: CollectSettings,
  { counts, duplicates, errors, inputTokens, malformed, mendable, outputTokens, outputs, own, unknown }: Tally,
  results: ReadonlyArray<string>
): Effect.Effect<JobReport, BatchError> =>
  Effect.map(differencesOf(store, job, { errors, outputs }), (differences) => ({
    version: 1,
    runId: run.id,
    job: job.key,
    attempt: job.attempt,
    status: job.status,
    format: settings.format,
    records: job.records,
    counts,
    mendable,
    inputTokens,
    outputTokens,
    own,
    duplicates,
    unknown,
    malformed,
    repeatedCalls: isEnded(job) ? job.repeatedCalls : 0,
    differences,
    results
  }))

/** Writes the result files of a job of the first attempt and its report, or finds them. */
const collectInto = Effect.fnUntraced(
  function*(workers: JoinWorkers, run: Handle<object>, merging: Merging, generation: string, settings: CollectSettings) {
    const store = yield* ObjectStore
    const { job } = merging
    const folder = Layout.results(run.id, generation)
    const reportKey = Layout.jobReport(run.id, generation, job.key)
    const there = yield* jobReports.read(store, reportKey)
    if (there !== null) return there
    const { extension } = forFormat(settings.format)
    const parts = yield* partsOf(workers, store, { ...merging, settings })
    const results: Array<string> = []
    do {
      const part = settings.partBytes === null ? "" : `-${String(results.length).padStart(6, "0")}`
      const key = `${folder}${job.key}${part}${extension}`
      // Where the file is there already, of the same rows, they are run through and counted all the same.
      yield* store.write(key, parts.part(results.length), { digest: false })
      results.push(key)
    } while (parts.more())
    const report = yield* reportOf(store, run, job, settings, parts.tally(), results)
    const { value } = yield* jobReports.createOrRead(store, reportKey, report)
    const { counts, inputTokens, outputTokens } = value
    const rows = { counts, inputTokens, outputTokens }
    yield* Progress.emit({ _tag: "Collected", runId: run.id, job: job.key, records: job.records, ...rows })
    return value
  },
  Effect.scoped
)

/** Counts a job of a later attempt, whose rows are in the results of the first one's jobs, and writes its report. */
const accountInto = Effect.fnUntraced(
  function*(run: Handle<object>, job: Settled, generation: string, settings: CollectSettings) {
    const store = yield* ObjectStore
    const reportKey = Layout.jobReport(run.id, generation, job.key)
    const there = yield* jobReports.read(store, reportKey)
    if (there !== null) return there
    const report = yield* reportOf(store, run, job, settings, yield* account(store, run, job), [])
    return (yield* jobReports.createOrRead(store, reportKey, report)).value
  }
)

/** The generation of the jobs of all attempts. */
const generationFor = (settings: CollectSettings, run: Handle<object>, jobs: ReadonlyArray<Settled>): string =>
  generationOf(settings, run.attempt, jobs.filter((job) => job.status === "Refused"))

/** Collects one ended job of the first attempt; `later` are the jobs of later attempts, all of them. @internal */
export const collectOne = (
  workers: JoinWorkers,
  run: Handle<object>,
  job: EndedJob,
  later: ReadonlyArray<Settled>,
  settings: CollectSettings
) => {
  const [merging] = mergingsOf(run, [job, ...later])
  return collectInto(workers, run, merging!, generationFor(settings, run, later), settings)
}

/** The sums of what jobs came to; `of` says which totals of theirs. */
const sumOf = (reports: ReadonlyArray<JobReport>, of: (report: JobReport) => JobReport["own"]) => {
  const sum = (of: (report: JobReport) => number): number => reports.reduce((total, report) => total + of(report), 0)
  return {
    records: sum(({ records }) => records),
    jobs: reports.length,
    counts: reports.reduce((total, report) => addCounts(total, of(report).counts), noCounts),
    mendable: sum((report) => of(report).mendable),
    inputTokens: sum((report) => of(report).inputTokens),
    outputTokens: sum((report) => of(report).outputTokens),
    duplicates: sum(({ duplicates }) => duplicates),
    unknown: sum(({ unknown }) => unknown),
    malformed: sum(({ malformed }) => malformed),
    repeatedCalls: sum(({ repeatedCalls }) => repeatedCalls)
  }
}

/** Collects all jobs, those of later attempts among them, and stores the run's report. @internal */
export const collectAll = Effect.fnUntraced(
  function*(workers: JoinWorkers, run: Handle<object>, jobs: ReadonlyArray<Settled>, settings: CollectSettings) {
    const store = yield* ObjectStore
    const generation = generationFor(settings, run, jobs)
    const folder = Layout.results(run.id, generation)
    const first = yield* Effect.forEach(
      mergingsOf(run, jobs),
      (merging) => collectInto(workers, run, merging, generation, settings),
      // One more than are made at a time: its last bytes are being stored.
      { concurrency: settings.parallelism + 1 }
    )
    const later = yield* Effect.forEach(
      jobs.filter(({ attempt }) => attempt > 1),
      (job) => accountInto(run, job, generation, settings)
    )
    const all = [...first, ...later]
    const everyAttempt = sumOf(all, (report) => report)
    const report: Report = {
      version: 1,
      runId: run.id,
      format: settings.format,
      ...sumOf(first, (report) => report),
      jobs: all.length,
      duplicates: everyAttempt.duplicates,
      unknown: everyAttempt.unknown,
      malformed: everyAttempt.malformed,
      repeatedCalls: everyAttempt.repeatedCalls,
      differences: all.flatMap(({ differences }) => differences),
      attempts: Array.from({ length: run.attempt }, (_, i) => ({
        attempt: i + 1,
        ...sumOf(all.filter(({ attempt }) => attempt === i + 1), ({ own }) => own)
      })),
      results: store.location(folder)
    }
    const { value } = yield* reports.createOrRead(store, Layout.report(run.id, generation), report)
    if (value.differences.length > 0) {
      yield* Effect.logWarning(
        `run ${run.id}: Bedrock's own numbers of ${
          new Set(value.differences.map(({ job }) => job)).size
        } jobs are not those of its output; the report says which`
      )
    }
    const { counts, inputTokens, outputTokens, records } = value
    const rows = { records, jobs: value.jobs, counts, inputTokens, outputTokens }
    yield* Progress.emit({ _tag: "Finished", runId: run.id, attempt: run.attempt, ...rows })
    return { report: value, files: first.flatMap(({ results }) => results.map((key) => store.location(key))) }
  }
)
