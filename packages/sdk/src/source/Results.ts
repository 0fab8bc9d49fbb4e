/**
 * The results of a run as a source of the next one.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { BatchError, InvalidColumns } from "../BatchError.ts"
import type { Column } from "../Column.ts"
import type { Batch } from "../internal/Batch.ts"
import { defaultMemoryBudget } from "../internal/CollectSettings.ts"
import { canonicalJson, sha256 } from "../internal/Digest.ts"
import * as Join from "../internal/Join.ts"
import * as Layout from "../internal/Layout.ts"
import * as ResultColumns from "../internal/ResultColumns.ts"
import { mergingsOf, settledJobs } from "../internal/Settled.ts"
import type { Ledger } from "../Ledger.ts"
import { Outcome } from "../Outcome.ts"
import type { Handle } from "../RunManifest.ts"
import { ObjectStore } from "../store/ObjectStore.ts"
import { invalidOption } from "./internal/Failures.ts"
import { selectedSource, selectionProblem } from "./internal/Selected.ts"
import { sourceOf } from "./internal/SourceOf.ts"
import type { Selection } from "./Selection.ts"
import type { OpenSource, Source, UntypedRow } from "./Source.ts"

/**
 * Which results are taken, and how their columns are called.
 *
 * @since 0.1.0
 * @category models
 */
export interface ResultsOptions<out Name extends string = string> extends Selection<Name> {
  /** Stands, with an underscore, before the names of the columns that the run added. Default: the run's name. */
  readonly prefix?: string | undefined
  /** Take the rows with one of these outcomes. Default: all rows. */
  readonly outcomes?: ReadonlyArray<Outcome> | undefined
}

const isOutcomes = Schema.is(Schema.Array(Outcome))

const problem = (run: Handle<object>, options: ResultsOptions): BatchError | null => {
  if (typeof run !== "object" || run === null || !("manifest" in run)) {
    return invalidOption("results", "run", "give a run, as prepare or Run.load gives it")
  }
  if (typeof options !== "object" || options === null) return invalidOption("results", "options", "give an object")
  const { outcomes, prefix } = options
  if (prefix !== undefined && (typeof prefix !== "string" || prefix === "")) {
    return invalidOption("results", "prefix", "give a text that is not empty")
  }
  if (outcomes !== undefined && !(isOutcomes(outcomes) && outcomes.length > 0)) {
    return invalidOption("results", "outcomes", `give one or more of ${Outcome.literals.join(", ")}`)
  }
  return selectionProblem("results", options)
}

/** The columns of the source, and where each is among the columns of a result. */
const columnsFor = (run: Handle<object>, prefix: string) => {
  const { answer, columns, rename } = run.manifest
  const batch = new Set(ResultColumns.after.map(({ name }) => name))
  const added = ResultColumns.added(answer).flatMap(({ name, type }, i) =>
    batch.has(name) ? [] : [{
      name: Object.hasOwn(rename, name) ? rename[name]! : `${prefix}_${name}`,
      type,
      at: columns.length + i
    }]
  )
  return {
    chosen: [...columns.map((column, at) => ({ ...column, at })), ...added],
    status: columns.length + 1 + answer.length
  }
}

const open = Effect.fn("Source.results")(function*(run: Handle<object>, options: ResultsOptions) {
  const wrong = problem(run, options)
  if (wrong !== null) return yield* wrong
  const { manifest } = run
  const { chosen, status } = columnsFor(run, options.prefix ?? manifest.name)
  const columns: ReadonlyArray<Column> = chosen.map(({ name, type }) => ({ name, type }))
  const names = columns.map(({ name }) => name)
  const clashing = names.filter((name, i) => names.indexOf(name) !== i)
  if (clashing.length > 0) {
    return yield* new BatchError({
      module: "Source",
      method: "results",
      reason: new InvalidColumns({
        missing: [],
        clashing,
        available: names,
        nearest: {},
        message: `the columns that run ${run.id} added clash with its input columns: ${
          clashing.map((name) => JSON.stringify(name)).join(", ")
        }; give another prefix`
      })
    })
  }
  const store = yield* ObjectStore
  const jobs = yield* settledJobs(run)
  const outcomes = options.outcomes === undefined ? null : Outcome.literals.filter((one) => options.outcomes!.includes(one))
  const taken = new Set<unknown>(outcomes)

  const choose = (batch: Batch): Batch => {
    const statuses = batch.columns[status]!
    const rows = outcomes === null ? null : [...statuses.keys()].filter((row) => taken.has(statuses[row]))
    return {
      length: rows?.length ?? batch.length,
      columns: chosen.map(({ at }) => rows === null ? batch.columns[at]! : rows.map((row) => batch.columns[at]![row]))
    }
  }
  const uri = store.uri(Layout.manifest(run.id))
  const ends = jobs.map((job) => [job.key, job.status, "arn" in job ? job.arn : job.code])
  const source: OpenSource = {
    columns,
    count: outcomes === null ? manifest.records : null,
    uri,
    identity: JSON.stringify({
      type: "results",
      run: uri,
      fingerprint: sha256(canonicalJson(manifest.fingerprint)),
      ends: sha256(canonicalJson(ends)),
      names,
      outcomes
    }),
    description: { type: "results", run: run.id, uri, records: manifest.records, outcomes },
    batches: Stream.fromIterable(mergingsOf(run, jobs)).pipe(
      Stream.flatMap((merging) => Join.joined(store, merging, { memoryBudget: defaultMemoryBudget })),
      Stream.map(choose),
      Stream.filter((batch) => batch.length > 0)
    )
  }
  return yield* selectedSource("results", source, options)
})

/**
 * Takes the rows of a run that has ended, with its answers, as a source: for a chain of runs. The columns are those that
 * the run had as input, then its record id and its answer with the run's name before theirs (`jokes_record_id`,
 * `jokes_response`), so that the next run can add its own; columns that the run renamed keep their names. The `batch_*`
 * columns are left out; `outcomes` says which rows are taken.
 *
 * The rows are joined from the run's own files in the store, with their types; nothing needs to be collected before. They
 * are those of the run's attempts up to the one of the run in hand: `collect` gives the run that it collected, and
 * `Run.load` the last one.
 *
 * Fails with `RunConflict` (`not-ended`) when a job of the run has neither ended nor been refused, `InvalidColumns` when
 * names clash or a selected column is not there, or `InvalidOption`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { prepare, Prompt, type Run, Source } from "@bedrock-batch/sdk"
 *
 * declare const jokes: Run.Run<{ readonly topic: string; readonly response: string | null }>
 *
 * const ratings = prepare({
 *   name: "ratings",
 *   source: Source.results(jokes, { outcomes: ["succeeded"] }),
 *   model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
 *   prompt: Prompt.make("Is this joke about {topic} funny? {jokes_response}")
 * })
 * ```
 */
export const results: {
  <const Name extends string>(
    run: Handle<object>,
    options: ResultsOptions<Name> & { readonly select: ReadonlyArray<Name> }
  ): Source<{ readonly [K in Name]: unknown }, ObjectStore | Ledger>
  (run: Handle<object>, options?: ResultsOptions): Source<UntypedRow, ObjectStore | Ledger>
} = (run: Handle<object>, options: ResultsOptions = {}) => sourceOf<never, ObjectStore | Ledger>(open(run, options))
