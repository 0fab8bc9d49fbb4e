/**
 * A run of many jobs under a virtual clock, against the emulator in this process: how long it takes, what it asks of the
 * service and what it holds in memory.
 */
import { Emulator, Local, Storage } from "@bedrock-batch/emulator"
import { awaitAll, Capacity, Ledger, ObjectStore, prepare, Prompt, Source, submit } from "@bedrock-batch/sdk"
import { Clock, Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { type Keep, memoryStore } from "../../packages/sdk/test/rig/MemoryStore.ts"
import { random } from "../../packages/sdk/test/rig/random.ts"

/** What is simulated. */
export interface Settings {
  readonly jobs: number
  /** Jobs that may be open at a time. */
  readonly quota: number
  readonly seed: number
}

/** What came of it. */
export interface Simulated extends Settings {
  /** From the call of `awaitAll` to its answer, in virtual time. */
  readonly makespanHours: number
  /** What it would be if each end were known at once: each job goes to the first of `quota` machines that is free. */
  readonly boundHours: number
  readonly ratio: number
  /** Calls to Bedrock that the emulator counted. */
  readonly apiCalls: number
  readonly callsPerJob: number
  /** The most jobs that were open at a time, by the emulator's count. */
  readonly maxOpen: number
  /** What `awaitAll` took in real time, and `prepare` before it. */
  readonly wallSeconds: number
  readonly prepareSeconds: number
  /** The most memory of this process, and what it had before the run was prepared. */
  readonly peakRssMb: number
  readonly baselineRssMb: number
}

const model = "anthropic.claude-haiku-4-5-20251001-v1:0"
const hour = 3_600_000

/** From 3 minutes to 3 hours, short ones more often than long ones: 43 minutes on average. */
const shortest = 3 * 60_000
const longest = 3 * hour

/** How long a job is with Bedrock before its records are run, in milliseconds; it is part of its length. */
const phases = { submitted: 20_000, validating: 40_000, queued: 60_000 }

/** How long each job is open. */
const lengthsOf = ({ jobs, seed }: Settings): ReadonlyArray<number> => {
  const next = random(seed)
  return Array.from({ length: jobs }, () => Math.round(shortest * (longest / shortest) ** next()))
}

/** When the last job ends if each goes, in order, to the machine that is free first. */
const boundOf = (lengths: ReadonlyArray<number>, machines: number): number => {
  const freeAt = new Array<number>(Math.min(machines, lengths.length)).fill(0)
  for (const length of lengths) {
    let first = 0
    for (let i = 1; i < freeAt.length; i++) if (freeAt[i]! < freeAt[first]!) first = i
    freeAt[first]! += length
  }
  return Math.max(0, ...freeAt)
}

/** Keeps bytes in a file that is gone when the scope closes: what a store holds is no memory of the process. */
const inFile = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "simulate-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
  )
  const file = yield* Effect.acquireRelease(
    Effect.sync(() => fs.openSync(path.join(folder, "objects"), "w+")),
    (file) => Effect.sync(() => fs.closeSync(file))
  )
  let end = 0
  const keep: Keep = (bytes) => {
    const at = end
    const size = bytes.length
    end += fs.writeSync(file, bytes, 0, size, at)
    return () => {
      const read = new Uint8Array(size)
      fs.readSync(file, read, 0, size, at)
      return read
    }
  }
  return keep
})

/** What the emulator sees of a store. */
const storageOf = (store: ObjectStore.ObjectStore["Service"]): Storage.Storage => {
  const keyOf = (uri: string) => uri.slice(store.base.length + 1)
  const failed = (operation: Storage.StorageError["operation"], uri: string) => (cause: unknown) =>
    new Storage.StorageError({ operation, uri, cause })
  return {
    list: (prefix) =>
      store.list(keyOf(prefix)).pipe(
        Effect.map(({ objects }) => objects.map(({ key, size }) => ({ uri: store.uri(key), size }))),
        Effect.mapError(failed("list", prefix))
      ),
    read: (uri) => store.read(keyOf(uri)).pipe(Stream.mapError(failed("read", uri))),
    write: (uri, bytes) => store.write(keyOf(uri), bytes).pipe(Effect.mapError(failed("write", uri)))
  }
}

const megabyte = 1024 * 1024
const peak = () => process.resourceUsage().maxRSS * 1024 / megabyte

const simulated = Effect.fnUntraced(function*(settings: Settings) {
  const { jobs, quota, seed } = settings
  const lengths = lengthsOf(settings)
  const byName = new Map<string, number>()
  yield* TestClock.setTime(Date.UTC(2026, 10, 23))
  const store = memoryStore(yield* inFile)
  const emulator = yield* Emulator.make({
    storage: storageOf(store),
    seed: String(seed),
    limits: { minRecords: 1, maxOpenJobs: quota },
    timing: {
      ...phases,
      running: ({ name }) => byName.get(name)! - phases.submitted - phases.validating - phases.queued
    }
  })
  const files = Layer.succeed(ObjectStore.ObjectStore, store)
  const services = Layer.mergeAll(
    files,
    Layer.provide(Layer.merge(Local.layerBatchJobsOf(), Local.layerOnDemandOf()), Layer.succeed(Emulator.Emulator, emulator)),
    Ledger.layer().pipe(Layer.provide(files)),
    Capacity.layerFixed({ region: emulator.region, limits: { minRecords: 1, maxOpenJobs: quota } })
  )
  return yield* Effect.gen(function*() {
    const baselineRssMb = peak()
    const began = performance.now()
    const run = yield* prepare({
      name: "simulation",
      source: Source.rows(Array.from({ length: jobs }, (_, i) => ({ topic: `topic ${i}` }))),
      model,
      prompt: Prompt.make("{topic}"),
      maxRecordsPerJob: 1
    })
    run.jobs.forEach(({ name }, i) => byName.set(name, lengths[i]!))
    const prepared = performance.now()
    const from = yield* Clock.currentTimeMillis
    const fiber = yield* Effect.forkChild(Effect.andThen(awaitAll(run.jobs.map(submit)), Clock.currentTimeMillis))
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("1 hour")
    const makespan = (yield* Fiber.join(fiber)) - from
    const wallSeconds = (performance.now() - prepared) / 1000
    const bound = boundOf(lengths, quota)
    const { calls, maxOpenSeen } = yield* emulator.stats
    const apiCalls = Object.values(calls).reduce((sum, count) => sum + count, 0)
    const result: Simulated = {
      jobs,
      quota,
      seed,
      makespanHours: makespan / hour,
      boundHours: bound / hour,
      ratio: makespan / bound,
      apiCalls,
      callsPerJob: apiCalls / jobs,
      maxOpen: maxOpenSeen[model] ?? 0,
      wallSeconds,
      prepareSeconds: (prepared - began) / 1000,
      peakRssMb: peak(),
      baselineRssMb
    }
    return result
  }).pipe(Effect.provide(services))
})

/** Prepares a run of jobs with a record each, and awaits them all under a virtual clock. */
export const simulate = (settings: Settings) =>
  Effect.scoped(simulated(settings)).pipe(Effect.provide(TestClock.layer({ warningDelay: "1 minute" })))
