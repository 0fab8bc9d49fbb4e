/**
 * Writes a run: the plan first, then each job's files, the job list, and last the manifest, which makes the run
 * prepared. It goes on where another life has left a checkpoint, and ends at one where it has a limit of time.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { RunConflict } from "../BatchError.ts"
import * as Progress from "../Progress.ts"
import type { RunManifest } from "../RunManifest.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"
import * as Checkpoints from "./Checkpoints.ts"
import type { Definition } from "./Definition.ts"
import { freshId, sha256 } from "./Digest.ts"
import * as Layout from "./Layout.ts"
import { jobLists, manifests, plans } from "./Manifest.ts"
import { agree, contentOf, error, plannerOf } from "./PlanOf.ts"
import { type Stopped, writeJobs } from "./WriteJobs.ts"

type Store = ObjectStore["Service"]

/** What a life of `prepare` came to. @internal */
export type Came =
  /** In so many rounds, or in 0 where the run was prepared before. */
  | { readonly to: "end"; readonly manifest: RunManifest; readonly round: number }
  | Stopped

/** Gives the run's manifest: the one that is there, or a new one. @internal */
export const writeRun = Effect.fnUntraced(function*(store: Store, definition: Definition) {
  const came = yield* writeOn(store, definition, null)
  return came.to === "end" ? came.manifest : yield* Effect.die(new Error("prepare stopped without a limit of time"))
})

/** Goes on with a run, as far as it comes `until` a time by the clock; null for its end. @internal */
export const writeOn = Effect.fnUntraced(function*(store: Store, definition: Definition, until: number | null) {
  const there = yield* manifests.read(store, Layout.manifest(definition.runId))
  if (there !== null) {
    yield* agree(definition, there.fingerprint)
    yield* prepared(there)
    const came: Came = { to: "end", manifest: there, round: 0 }
    return came
  }
  if ((yield* store.head(Layout.cancelled(definition.runId))) !== null) {
    return yield* error(
      new RunConflict({
        runId: definition.runId,
        problem: "cancelled",
        differs: [],
        message: `run ${definition.runId} was cancelled before it was prepared, or its deletion was cut off: delete it first`
      })
    )
  }
  // What the number of rows alone shows to be impossible fails before anything is written. A plan that is there holds.
  const begun = yield* plans.read(store, Layout.plan(definition.runId))
  if (begun !== null) yield* agree(definition, begun.fingerprint)
  yield* plannerOf(definition, (begun ?? definition).bounds)
  const prepareId = yield* freshId
  const taken = begun === null || (until === null && definition.source.mayDiffer === true)
    ? null
    : yield* Checkpoints.latest(store, { runId: definition.runId, nonce: begun.nonce, content: contentOf(definition) })
  const written = yield* writeJobs(store, { definition, prepareId, taken, until })
  if (written.to === "checkpoint") {
    const came: Came = written
    return came
  }
  const { jobs, plan } = written
  const list = jobLists.encode(jobs)
  const key = Layout.jobList(definition.runId, prepareId)
  yield* store.write(key, Stream.make(list))
  const manifest: RunManifest = {
    version: 1,
    runId: definition.runId,
    name: plan.name,
    createdAt: plan.createdAt,
    fingerprint: plan.fingerprint,
    model: definition.model,
    region: definition.region,
    invocationType: definition.processor.invocationType,
    processor: definition.processor.id,
    source: definition.source.description,
    columns: definition.source.columns,
    answer: definition.answer,
    rename: definition.rename,
    bounds: plan.bounds,
    records: jobs.reduce((sum, job) => sum + job.records, 0),
    bytes: jobs.reduce((sum, job) => sum + job.bytes, 0),
    jobs: { key, count: jobs.length, sha256: sha256(list) }
  }
  const { value } = yield* manifests.createOrRead(store, Layout.manifest(definition.runId), manifest)
  yield* agree(definition, value.fingerprint)
  yield* prepared(value)
  const came: Came = { to: "end", manifest: value, round: (taken?.round ?? 0) + 1 }
  return came
})

const prepared = ({ jobs, records, runId }: RunManifest): Effect.Effect<void> =>
  Progress.emit({ _tag: "Prepared", runId, records, jobs: jobs.count, done: true })
