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
import type { EndedJob } from "../Job.ts"
import { addCounts, noCounts } from "../Outcome.ts"
import * as Progress from "../Progress.ts"
import { JobReport, Report } from "../Report.ts"
import type { Handle } from "../RunManifest.ts"
import { forFormat } from "../sink/Formats.ts"
import { ObjectStore } from "../store/ObjectStore.ts"
import type { CollectSettings } from "./CollectSettings.ts"
import { sha256 } from "./Digest.ts"
import type { Collecting, JobResult } from "./JobResult.ts"
import { emptyTally } from "./Join.ts"
import type { JoinWorkers } from "./JoinWorkers.ts"
import * as Layout from "./Layout.ts"
import type { Settled } from "./Settled.ts"
import { stored } from "./Stored.ts"

type Store = ObjectStore["Service"]

const jobReports = stored("collect", JobReport)
const reports = stored("collect", Report)

/**
 * The generation of results that holds what `refused` jobs came to beside all others; other settings that shape the
 * files make another one.
 */
const generationOf = (settings: CollectSettings, attempt: number, refused: ReadonlyArray<string>): string =>
  [
    `${attempt}-${settings.format}`,
    ...(settings.format !== "parquet" || settings.compression === "zstd" ? [] : [settings.compression]),
    ...(settings.partBytes === null ? [] : [`parts-${settings.partBytes}`]),
    ...(refused.length === 0 ? [] : [`without-${sha256(refused.join("\n")).slice(0, 8)}`])
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

/** Writes the result files of a job and its report, or finds them. */
const collectInto = Effect.fnUntraced(
  function*(workers: JoinWorkers, run: Handle<object>, job: Settled, generation: string, settings: CollectSettings) {
    const store = yield* ObjectStore
    const folder = Layout.results(run.id, generation)
    const reportKey = `${folder}${job.key}.json`
    const there = yield* jobReports.read(store, reportKey)
    if (there !== null) return there
    const { extension } = forFormat(settings.format)
    const parts = yield* partsOf(workers, store, { run, job, settings })
    const results: Array<string> = []
    do {
      const part = settings.partBytes === null ? "" : `-${String(results.length).padStart(6, "0")}`
      const key = `${folder}${job.key}${part}${extension}`
      // Where the file is there already, of the same rows, they are run through and counted all the same.
      yield* store.write(key, parts.part(results.length), { digest: false })
      results.push(key)
    } while (parts.more())
    const report: JobReport = {
      version: 1,
      runId: run.id,
      job: job.key,
      status: job.status,
      format: settings.format,
      records: job.records,
      ...parts.tally(),
      results
    }
    const { value } = yield* jobReports.createOrRead(store, reportKey, report)
    yield* Progress.emit({ _tag: "Collected", runId: run.id, job: job.key, records: job.records })
    return value
  },
  Effect.scoped
)

/** Collects one ended job. @internal */
export const collectOne = (
  workers: JoinWorkers,
  run: Handle<object>,
  job: EndedJob,
  settings: CollectSettings
) => collectInto(workers, run, job, generationOf(settings, job.attempt, []), settings)

/** Collects all jobs and stores the run's report. @internal */
export const collectAll = Effect.fnUntraced(
  function*(workers: JoinWorkers, run: Handle<object>, jobs: ReadonlyArray<Settled>, settings: CollectSettings) {
    const store = yield* ObjectStore
    const refused = jobs.filter((job) => job.status === "Refused").map((job) => job.key)
    const generation = generationOf(settings, jobs[0]?.attempt ?? 1, refused)
    const folder = Layout.results(run.id, generation)
    const collected = yield* Effect.forEach(
      jobs,
      (job) => collectInto(workers, run, job, generation, settings),
      // One more than are made at a time: its last bytes are being stored.
      { concurrency: settings.parallelism + 1 }
    )
    const sum = (of: (report: JobReport) => number): number => collected.reduce((total, report) => total + of(report), 0)
    const report: Report = {
      version: 1,
      runId: run.id,
      format: settings.format,
      records: sum((report) => report.records),
      jobs: collected.length,
      counts: collected.reduce((total, { counts }) => addCounts(total, counts), noCounts),
      duplicates: sum((report) => report.duplicates),
      unknown: sum((report) => report.unknown),
      malformed: sum((report) => report.malformed),
      inputTokens: sum((report) => report.inputTokens),
      outputTokens: sum((report) => report.outputTokens),
      results: store.location(folder)
    }
    const { value } = yield* reports.createOrRead(store, `${folder}report.json`, report)
    return { report: value, files: collected.flatMap(({ results }) => results.map((key) => store.location(key))) }
  }
)
