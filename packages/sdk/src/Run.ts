/**
 * A run: its durable manifest, its jobs, and where it stands.
 *
 * @since 0.1.0
 */
import { forId } from "@bedrock-batch/processors/Families"
import type { Processor } from "@bedrock-batch/processors/Processor"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { BatchError, InvalidOption } from "./BatchError.ts"
import * as Layout from "./internal/Layout.ts"
import { handleOf, readManifest, runOf } from "./internal/Manifest.ts"
import { Ledger } from "./Ledger.ts"
import { type Handle, type Run, type RunManifest } from "./RunManifest.ts"
import type { Outcome, RecordColumns } from "./Outcome.ts"
import { ObjectStore } from "./store/ObjectStore.ts"

export * from "./RunManifest.ts"

/**
 * A row of a run that was loaded by its id alone: its columns are not known to the compiler.
 *
 * @since 0.1.0
 * @category models
 */
export interface UntypedResultRow extends RecordColumns {
  readonly [column: string]: unknown
  readonly batch_status: Outcome
  readonly batch_error_code: string | null
  readonly batch_error_message: string | null
}

/**
 * Schema for where a run stands.
 *
 * @since 0.1.0
 * @category schemas
 */
export const RunStatus = Schema.Struct({
  runId: Schema.String,
  /** Rows in all jobs. */
  records: Schema.Natural,
  /** Jobs by what the ledger holds of them. `claimed`: a create call was begun and has no answer yet. */
  jobs: Schema.Struct({
    planned: Schema.Natural,
    claimed: Schema.Natural,
    refused: Schema.Natural,
    submitted: Schema.Natural,
    ended: Schema.Natural
  }),
  cancelled: Schema.Boolean,
  /** The verb that the run waits for. */
  next: Schema.Literals(["submit", "await", "collect"])
})

/**
 * Where a run stands.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunStatus extends Schema.Schema.Type<typeof RunStatus> {}

/**
 * Options of `load` and `open`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface LoadOptions {
  /** The processor that the run was prepared with, where it is one of the user's own. */
  readonly processor?: Processor<object> | undefined
}

const processorOf = (manifest: RunManifest, options: LoadOptions | undefined): Effect.Effect<Processor<object>, BatchError> => {
  const processor = options?.processor ?? forId(manifest.processor)
  return processor !== undefined && processor.id === manifest.processor ? Effect.succeed(processor) : Effect.fail(
    new BatchError({
      module: "Run",
      method: "load",
      reason: new InvalidOption({
        path: "processor",
        message: `run ${manifest.runId} was prepared with the processor ${manifest.processor}: pass it as processor` +
          (processor === undefined ? "" : `, not ${processor.id}`)
      })
    })
  )
}

/**
 * Opens a prepared run without reading its job list. Fails with `RunConflict` (`not-found`, `not-prepared`).
 *
 * @since 0.1.0
 * @category constructors
 */
export const open = Effect.fn("Run.open")(
  function*(runId: string, options?: LoadOptions): Effect.fn.Return<Handle<UntypedResultRow>, BatchError, ObjectStore> {
    const manifest = yield* readManifest(yield* ObjectStore, runId)
    return handleOf<UntypedResultRow>(manifest, yield* processorOf(manifest, options), 1)
  }
)

/**
 * Loads a prepared run by its id; calling `prepare` again with the same options gives it typed. Fails with
 * `RunConflict` (`not-found`, `not-prepared`).
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { awaitAll, collect, Run, submit } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const run = yield* Run.load("jokes-0123456789")
 *   const jobs = yield* awaitAll(run.jobs.map(submit))
 *   return yield* collect(run, jobs)
 * })
 * ```
 */
export const load = Effect.fn("Run.load")(
  function*(runId: string, options?: LoadOptions): Effect.fn.Return<Run<UntypedResultRow>, BatchError, ObjectStore> {
    const store = yield* ObjectStore
    const manifest = yield* readManifest(store, runId)
    return yield* runOf<UntypedResultRow>(store, manifest, yield* processorOf(manifest, options))
  }
)

/**
 * Says where a run stands, from its manifest and one list of its ledger; Bedrock is not asked.
 *
 * @since 0.1.0
 * @category getters
 */
export const status = Effect.fn("Run.status")(
  function*(runId: string): Effect.fn.Return<RunStatus, BatchError, ObjectStore | Ledger> {
    const store = yield* ObjectStore
    const ledger = yield* Ledger
    const manifest = yield* readManifest(store, runId)
    const cancelled = (yield* store.head(Layout.cancelled(runId))) !== null
    const entries = yield* ledger.entries(runId)
    const jobs = { planned: manifest.jobs.count, claimed: 0, refused: 0, submitted: 0, ended: 0 }
    for (const entry of entries.jobs.values()) {
      if (entry.claims.length === 0 && !entry.accepted && !entry.ended) continue
      jobs.planned--
      if (entry.ended) jobs.ended++
      else if (entry.accepted) jobs.submitted++
      else if (entry.claims.some((claim) => !claim.refused)) jobs.claimed++
      else jobs.refused++
    }
    const result: RunStatus = {
      runId,
      records: manifest.records,
      jobs,
      cancelled,
      next: jobs.planned + jobs.claimed + jobs.refused > 0 && !cancelled
        ? "submit"
        : jobs.submitted > 0
        ? "await"
        : "collect"
    }
    return result
  }
)
