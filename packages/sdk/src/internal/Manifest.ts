/**
 * The manifest of a run and its job list, read and written.
 *
 * @internal
 */
import type { Processor } from "@bedrock-batch/processors/Processor"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { BatchError, Damaged, InvalidOption, RunConflict } from "../BatchError.ts"
import { Job } from "../Job.ts"
import { Attempt, type Handle, Plan, type Run, RunManifest } from "../RunManifest.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"
import { sha256 } from "./Digest.ts"
import * as Layout from "./Layout.ts"
import * as RunId from "./RunId.ts"
import { stored } from "./Stored.ts"

type Store = ObjectStore["Service"]

/** @internal */
export const plans = stored("prepare", Plan)
/** @internal */
export const manifests = stored("Run", RunManifest)
/** @internal */
export const attempts = stored("Run", Attempt)
/** @internal */
export const jobLists = stored("Run", Schema.Array(Job))

/** The jobs of an attempt: `manifest` is that of the run for the first one. @internal */
export const readJobs = Effect.fnUntraced(function*(store: Store, manifest: Pick<RunManifest, "jobs">) {
  const { key, sha256: digest } = manifest.jobs
  const bytes = yield* Effect.flatMap(store.get(key), (bytes) =>
    bytes === null || sha256(bytes) !== digest
      ? Effect.fail(
        new BatchError({
          module: "Run",
          method: "load",
          reason: new Damaged({ key, message: `the job list ${key} is ${bytes === null ? "gone" : "not what prepare wrote"}` })
        })
      )
      : Effect.succeed(bytes))
  return yield* jobLists.decode(key, bytes)
})

/** @internal */
export const handleOf = <Row extends object>(
  manifest: RunManifest,
  processor: Processor<object>,
  attempt: number
): Handle<Row> => ({
  // The type parameter lives in the compiler alone.
  "~@bedrock-batch/sdk/Run": {} as { readonly Row: Row },
  id: manifest.runId,
  manifest,
  attempt,
  processor
})

/** The attempts after the first, in order. @internal */
export const readAttempts = Effect.fnUntraced(function*(store: Store, runId: string) {
  const { objects } = yield* store.list(Layout.attempts(runId))
  const found = yield* Effect.forEach(objects, ({ key }) => attempts.read(store, key), { concurrency: 8 })
  return found.filter((attempt) => attempt !== null).sort((a, b) => a.attempt - b.attempt)
})

/** The jobs of all attempts up to this one, in order. @internal */
export const readAllJobs = Effect.fnUntraced(function*(store: Store, manifest: RunManifest, attempt = Infinity) {
  const later = attempt === 1 ? [] : yield* readAttempts(store, manifest.runId)
  const lists = yield* Effect.forEach(
    [manifest, ...later.filter((one) => one.attempt <= attempt)],
    (one) => readJobs(store, one)
  )
  return lists.flat()
})

/** The run at an attempt; without one at its last. @internal */
export const runOf = Effect.fnUntraced(
  function*<Row extends object>(store: Store, manifest: RunManifest, processor: Processor<object>, attempt?: number) {
    const later = attempt === 1 ? [] : yield* readAttempts(store, manifest.runId)
    const current = attempt === undefined ? later.at(-1) : later.find((one) => one.attempt === attempt)
    const run: Run<Row> = {
      ...handleOf<Row>(manifest, processor, current?.attempt ?? 1),
      jobs: yield* readJobs(store, current ?? manifest)
    }
    return run
  }
)

/** @internal */
export const readManifest = Effect.fnUntraced(function*(store: Store, runId: string) {
  if (!RunId.isLegal(runId)) {
    return yield* new BatchError({
      module: "Run",
      method: "load",
      reason: new InvalidOption({ path: "runId", message: RunId.explain("runId", runId) })
    })
  }
  const manifest = yield* manifests.read(store, Layout.manifest(runId))
  if (manifest !== null) return manifest
  const plan = yield* plans.read(store, Layout.plan(runId))
  return yield* new BatchError({
    module: "Run",
    method: "load",
    reason: new RunConflict({
      runId,
      problem: plan === null ? "not-found" : "not-prepared",
      differs: [],
      message: plan === null
        ? `there is no run ${runId} under ${store.base}`
        : `run ${runId} is not prepared to its end: call prepare with the same options again`
    })
  })
})
