/**
 * Many jobs in virtual time: the real `awaitAll`, `submit`, `Ledger`, `Capacity` and `Wait.polling`, against the
 * emulator in this process. The store is one file with an index in memory: what is measured is the scheduler and what it
 * asks for, and neither S3 nor a folder.
 */
import * as Emulator from "@bedrock-batch/emulator/Emulator"
import * as Local from "@bedrock-batch/emulator/Local"
import * as Storage from "@bedrock-batch/emulator/Storage"
import * as Prompt from "@bedrock-batch/processors/Prompt"
import { awaitAll } from "@bedrock-batch/sdk/awaitAll"
import type * as Job from "@bedrock-batch/sdk/Job"
import * as Ledger from "@bedrock-batch/sdk/Ledger"
import { prepare } from "@bedrock-batch/sdk/prepare"
import * as Capacity from "@bedrock-batch/sdk/schedule/Capacity"
import { layerLive } from "@bedrock-batch/sdk/schedule/LiveCapacity"
import { layerShared } from "@bedrock-batch/sdk/schedule/SharedCapacity"
import * as Source from "@bedrock-batch/sdk/source/Source"
import * as ObjectStore from "@bedrock-batch/sdk/store/ObjectStore"
import { submit } from "@bedrock-batch/sdk/submit"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { type Shelf, storeOn } from "../../packages/sdk/test/rig/MemoryStore.ts"
import { random } from "../../packages/sdk/test/rig/random.ts"
import { inVirtualTime } from "./VirtualTime.ts"

/** What is simulated. */
export interface Settings {
  readonly jobs: number
  /** Jobs that may be open at a time. */
  readonly quota: number
  readonly seed: string
  /** How slots are counted; default `fixed`. With `shared` the emulator itself takes any number of jobs. */
  readonly capacity?: "fixed" | "live" | "shared"
}

/** What came of it. */
export interface Simulated extends Omit<Settings, "capacity"> {
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
  /** What `awaitAll` took in real time. */
  readonly wallSeconds: number
  /** The most memory that this process had, and what it had before the jobs were planned. */
  readonly peakRssMb: number
  readonly baselineRssMb: number
  /**
   * The most that the heap held at a time, beyond what it held before the jobs were planned: what the sdk, the emulator
   * and the store's index keep of all jobs together.
   */
  readonly heldMb: number
}

const model = "anthropic.claude-haiku-4-5-20251001-v1:0"
const hour = 3_600_000
const megabyte = 1024 * 1024

/** From 3 minutes to 3 hours, short ones more often than long ones: 43 minutes on average. */
const shortest = 3 * 60_000
const longest = 3 * hour

/** How long a job is with Bedrock before its records are run, in milliseconds; it is part of its length. */
const phases = { submitted: 20_000, validating: 40_000, queued: 60_000 }

/** How long each job is open. */
const lengthsOf = ({ jobs, seed }: Settings): ReadonlyArray<number> => {
  const next = random(createHash("sha256").update(seed).digest().readUInt32LE())
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

/** One job with one record. */
const definition = {
  name: "simulation",
  source: Source.rows([{ topic: "time" }]),
  model: `us.${model}`,
  prompt: Prompt.make("{topic}"),
  maxRecordsPerJob: 1
} as const

/** Another job of the same run, over the same input: what its records are is of no matter here. */
const jobAt = (job: Job.Job, index: number): Job.Job => {
  const key = `1-${String(index).padStart(6, "0")}`
  const at = (text: string) => text.replaceAll(job.key, key)
  return { ...job, key, index, name: at(job.name), token: `${job.token.slice(0, 50)}-${index}`, output: at(job.output) }
}

const indexOf = (name: string): number => Number(/-1-(\d{6})/.exec(name)![1])

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
  // What was written last, from `start` on, before it is in the file.
  const buffer = Buffer.alloc(megabyte)
  let start = 0
  let filled = 0
  const flush = () => {
    fs.writeSync(file, buffer, 0, filled, start)
    start += filled
    filled = 0
  }
  const shelf: Shelf<number> = {
    put: (bytes) => {
      if (filled + bytes.length > buffer.length) flush()
      const at = start + filled
      if (bytes.length > buffer.length) start += fs.writeSync(file, bytes, 0, bytes.length, at)
      else {
        buffer.set(bytes, filled)
        filled += bytes.length
      }
      return at
    },
    get: (at, size) => {
      if (at >= start) return Uint8Array.from(buffer.subarray(at - start, at - start + size))
      const bytes = new Uint8Array(size)
      fs.readSync(file, bytes, 0, size, at)
      return bytes
    }
  }
  return shelf
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

const peakRss = () => process.resourceUsage().maxRSS * 1024 / megabyte
/** What the heap holds, without what is too young to have been looked at. */
const heap = () =>
  v8.getHeapSpaceStatistics().reduce(
    (sum, { space_name, space_used_size }) => space_name.startsWith("new_") ? sum : sum + space_used_size,
    0
  ) / megabyte

/** So much garbage, in MB, may come together before it is collected. */
const garbageMb = 24

v8.setFlagsFromString("--expose-gc")
const collect: () => void = vm.runInNewContext("gc")

/**
 * Watches what the heap holds. Node would let garbage of some hundred MB come together first, and the peak would tell of
 * that.
 */
const watchHeap = () => {
  let start = 0
  let live = 0
  let most = 0
  return {
    begin: () => {
      collect()
      start = live = most = heap()
    },
    look: () => {
      if (heap() < live + garbageMb) return
      collect()
      live = heap()
      most = Math.max(most, live)
    },
    held: () => most - start
  }
}

const simulated = Effect.fnUntraced(function*(settings: Settings, watch: ReturnType<typeof watchHeap>) {
  const { capacity = "fixed", jobs, quota, seed } = settings
  const limits = { minRecords: 1, maxOpenJobs: quota }
  const lengths = lengthsOf(settings)
  const store = storeOn(yield* inFile)
  const emulator = yield* Emulator.make({
    storage: storageOf(store),
    seed,
    limits: capacity === "shared" ? { minRecords: 1, maxOpenJobs: Number.MAX_SAFE_INTEGER } : limits,
    timing: {
      ...phases,
      running: ({ name }) => lengths[indexOf(name)]! - phases.submitted - phases.validating - phases.queued
    }
  })
  const files = Layer.succeed(ObjectStore.ObjectStore, store)
  const account = Layer.mergeAll(
    Local.layerBatchJobsOf(),
    Local.layerOnDemandOf(),
    Local.layerServiceQuotasOf
  ).pipe(Layer.provide(Layer.succeed(Emulator.Emulator, emulator)))
  const ledger = Ledger.layer().pipe(Layer.provide(files))
  const slots = capacity === "fixed"
    ? Capacity.layerFixed({ region: emulator.region, limits })
    : capacity === "live"
    ? layerLive({ limits }).pipe(Layer.provide(account))
    : layerShared({ limits }).pipe(Layer.provide(Layer.mergeAll(account, ledger, files)))
  const services = Layer.mergeAll(files, account, ledger, slots)
  return yield* Effect.gen(function*() {
    const [first, ...others] = (yield* prepare(definition)).jobs
    if (first === undefined || others.length > 0) return yield* Effect.die(new Error("the run has not one job"))
    watch.begin()
    const baselineRssMb = peakRss()
    const planned = lengths.map((_, index) => jobAt(first, index))
    const began = performance.now()
    const from = yield* Clock.currentTimeMillis
    const ended = yield* awaitAll(planned.map(submit))
    const makespan = (yield* Clock.currentTimeMillis) - from
    const wallSeconds = (performance.now() - began) / 1000
    const bound = boundOf(lengths, quota)
    const { calls, jobsCreated, maxOpenSeen } = yield* emulator.stats
    const isWrong = ended.some(({ index, status }, place) => status !== "Completed" || index !== place)
    if (isWrong || jobsCreated !== jobs) return yield* Effect.die(new Error("not every job was run once to its end"))
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
      peakRssMb: peakRss(),
      baselineRssMb,
      heldMb: watch.held()
    }
    return result
  }).pipe(Effect.provide(services))
})

/** Prepares a job with one record, and awaits it and others like it in virtual time. */
export const simulate = (settings: Settings): Promise<Simulated> => {
  const watch = watchHeap()
  return inVirtualTime(Date.UTC(2026, 10, 23), Effect.scoped(Effect.orDie(simulated(settings, watch))), watch.look)
}
