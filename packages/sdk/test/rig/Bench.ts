import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Services } from "../../src/Aws.ts"
import { BatchJobs } from "../../src/bedrock/BatchJobs.ts"
import { OnDemand } from "../../src/bedrock/OnDemand.ts"
import * as Ledger from "../../src/Ledger.ts"
import type { Limits } from "../../src/Limits.ts"
import { prepare } from "../../src/prepare.ts"
import * as Prompt from "@bedrock-batch/processors/Prompt"
import * as Capacity from "../../src/schedule/Capacity.ts"
import * as Source from "../../src/source/Source.ts"
import * as FileSystem from "../../src/store/FileSystem.ts"
import { ObjectStore } from "../../src/store/ObjectStore.ts"
import { ScriptedJobs } from "./ScriptedJobs.ts"
import { ScriptedOnDemand } from "./ScriptedOnDemand.ts"
import { type Around, watched } from "./WatchedStore.ts"

export const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

export interface ProcessOptions extends Around {
  readonly jobs?: BatchJobs["Service"] | undefined
  readonly onDemand?: OnDemand["Service"] | undefined
  readonly ledger?: Ledger.Options | undefined
  readonly limits?: Partial<Limits> | undefined
}

/** One process over a store and a service: runs effects with services of its own. */
export const processOf =
  (store: ObjectStore["Service"], jobs: ScriptedJobs, options: ProcessOptions = {}) =>
  <A, E>(effect: Effect.Effect<A, E, Services>): Effect.Effect<A, E> => {
    const files = Layer.succeed(ObjectStore, watched(store, options))
    return Effect.provide(
      effect,
      Layer.mergeAll(
        files,
        Layer.succeed(BatchJobs, options.jobs ?? jobs.service),
        Layer.succeed(OnDemand, options.onDemand ?? new ScriptedOnDemand().service),
        Ledger.layer(options.ledger).pipe(Layer.provide(files)),
        Capacity.layerFixed({ region: jobs.region, limits: { minRecords: 1, ...options.limits } })
      )
    )
  }

/** A folder of its own, with a store in it. */
export const folder = Effect.gen(function*() {
  const directory = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "bedrock-batch-test-"))),
    (directory) => Effect.promise(() => rm(directory, { recursive: true }))
  )
  return { directory, store: yield* FileSystem.make({ directory }) }
})

/** A prepared run of `count` jobs with two records each, in a folder, and the service that is to run them. */
export const bench = Effect.fnUntraced(function*(count = 1, limits: Partial<Limits> = {}) {
  yield* TestClock.setTime(Date.UTC(2026, 10, 23))
  const { directory, store } = yield* folder
  const jobs = new ScriptedJobs()
  const start = (options?: ProcessOptions) => processOf(store, jobs, options)
  const run = yield* start({ limits })(prepare({
    name: "jokes",
    source: Source.rows(Array.from({ length: 2 * count }, (_, i) => ({ topic: `topic ${i}` }))),
    model,
    prompt: Prompt.make("A joke about {topic}."),
    maxRecordsPerJob: 2
  }))
  const ledger = Effect.map(
    store.list(`${run.id}/jobs/`),
    ({ objects }) => objects.map(({ key }) => key.slice(`${run.id}/jobs/`.length))
  )
  return { directory, store, jobs, start, run, job: run.jobs[0]!, ledger }
})
