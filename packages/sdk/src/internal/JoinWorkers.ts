/**
 * Joins jobs in worker threads, several at a time. Where no worker can be started, as in a program bundled into one
 * file, jobs are joined in this thread.
 *
 * @internal
 */
import { forId } from "@bedrock-batch/processors/Families"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import { BatchError, Refused } from "../BatchError.ts"
import type { ByteRange, ObjectStore } from "../store/ObjectStore.ts"
import type { Oddities } from "./Answers.ts"
import * as Blocks from "./Blocks.ts"
import type { CollectSettings } from "./CollectSettings.ts"
import { decodeError, encodeError, own, piecesAhead, type Reply, type Request } from "./JoinMessages.ts"
import * as JobResult from "./JobResult.ts"
import { emptyTally, type Tally } from "./Merge.ts"
import type { SliceReaders } from "./Outputs.ts"
import type { OutputSlice } from "./OutputSlice.ts"
import { spill, type Spills } from "./Spills.ts"

type Store = ObjectStore["Service"]

/** Joins jobs: as many at a time as there are threads. @internal */
export interface JoinWorkers {
  /** Waits for a free thread; the scope gives it back. */
  readonly join: (
    store: Store,
    collecting: JobResult.Collecting
  ) => Effect.Effect<JobResult.JobResult, never, Scope.Scope>
}

/** Megabytes of a worker's heap for what lives shortly: with the default, V8 lets it grow to several times that. */
const youngGenerationMb = 16

/** The worker's file beside this one, of the build all in one file; null where there is none. */
const workerFile = (): URL | null => {
  try {
    const names = import.meta.url.endsWith(".ts") ? ["JoinWorker.ts"] : ["JoinWorker.bundle.js", "JoinWorker.js"]
    const urls = names.map((name) => new URL(name, import.meta.url))
    return urls.find((url) => existsSync(fileURLToPath(url))) ?? null
  } catch {
    return null
  }
}

/** What a part that is being made needs to hear. */
interface Part {
  readonly run: number
  readonly pieces: Queue.Queue<Uint8Array, BatchError | Cause.Done>
}

/** One thread, which joins one job after the other. */
class Thread {
  readonly #worker: Worker
  readonly #reads = new Map<number, { readonly fiber: Fiber.Fiber<void>; readonly credits: Queue.Queue<void> }>()
  /** Whether the thread has started; false where it cannot. */
  readonly started: Promise<boolean>
  #start: (started: boolean) => void = () => {}
  #store: Store | null = null
  #context: Context.Context<never> | null = null
  #part: Part | null = null
  #slice: ((exit: Effect.Effect<Oddities, BatchError>) => void) | null = null
  #runs = 0
  #more = true
  #tally: Tally = emptyTally()
  #dead: BatchError | null = null

  constructor(file: URL) {
    this.started = new Promise((resolve) => {
      this.#start = resolve
    })
    this.#worker = new Worker(file, { resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb } })
    this.#worker.on("message", (reply: Reply) => this.#hear(reply))
    this.#worker.on("error", (cause) => this.#die(cause))
    this.#worker.on("exit", () => this.#die(undefined))
  }

  get dead(): boolean {
    return this.#dead !== null
  }

  /** Opens a job; the one before is over. */
  open(
    store: Store,
    context: Context.Context<never>,
    { job, later, run, settings }: JobResult.Collecting,
    temporary: string
  ): JobResult.JobResult {
    this.#store = store
    this.#context = context
    this.#tally = emptyTally()
    this.#more = true
    this.#send({ type: "job", manifest: run.manifest, processor: run.processor.id, job, later, settings, temporary })
    return {
      part: (index) => this.#makePart(index),
      more: Effect.sync(() => this.#more),
      tally: Effect.sync(() => this.#tally)
    }
  }

  /** Reads a slice of a job's output into the job's temporary files; interrupted, the thread ends. */
  spill(
    store: Store,
    context: Context.Context<never>,
    { run }: JobResult.Collecting,
    spills: Spills,
    slice: OutputSlice,
    number: number
  ): Effect.Effect<Oddities, BatchError> {
    return Effect.callback((resume) => {
      if (this.#dead !== null) return resume(Effect.fail(this.#dead))
      this.#store = store
      this.#context = context
      this.#slice = resume
      this.#send({ type: "slice", manifest: run.manifest, processor: run.processor.id, spills, slice, number })
      return Effect.promise(() => this.terminate())
    })
  }

  terminate(): Promise<unknown> {
    this.#dead ??= lost(undefined)
    return this.#worker.terminate()
  }

  #makePart(index: number): Stream.Stream<Uint8Array, BatchError> {
    return Stream.unwrap(Effect.gen({ self: this }, function*() {
      if (this.#dead !== null) return Stream.fail(this.#dead)
      const run = ++this.#runs
      const pieces = yield* Queue.unbounded<Uint8Array, BatchError | Cause.Done>()
      this.#part = { run, pieces }
      this.#send({ type: "part", run, index })
      return Stream.fromQueue(pieces).pipe(
        Stream.map((piece) => {
          this.#send({ type: "taken", run })
          return piece
        }),
        Stream.ensuring(Effect.sync(() => this.#abandon(run)))
      )
    }))
  }

  /** Nothing more of a part is wanted, nor of what is read for it. */
  #abandon(run: number): void {
    if (this.#part?.run !== run) return
    this.#part = null
    this.#send({ type: "abandon", run })
  }

  #send(request: Request, transfer: ReadonlyArray<ArrayBuffer> = []): void {
    this.#worker.postMessage(request, transfer)
  }

  #hear(reply: Reply): void {
    switch (reply.type) {
      case "ready":
        return this.#start(true)
      case "piece":
        if (this.#part?.run === reply.run) Queue.offerUnsafe(this.#part.pieces, reply.piece)
        return
      case "partEnd":
        if (this.#part?.run !== reply.run) return
        this.#more = reply.more
        this.#tally = reply.tally
        Queue.endUnsafe(this.#part.pieces)
        this.#part = null
        return
      case "partFailed": {
        if (this.#part?.run !== reply.run) return
        const error = decodeError(reply.failure) ?? lost(new Error(reply.failure.defect ?? "unknown"))
        Effect.runSync(Queue.fail(this.#part.pieces, error))
        this.#part = null
        return
      }
      case "sliceEnd":
        return this.#slice?.(Effect.succeed(reply.oddities))
      case "sliceFailed":
        return this.#slice?.(Effect.fail(decodeError(reply.failure) ?? lost(new Error(reply.failure.defect ?? "unknown"))))
      case "list":
        return this.#list(reply.call, reply.prefix)
      case "readStart":
        return this.#read(reply.call, reply.location, reply.range)
      case "used": {
        const read = this.#reads.get(reply.call)
        if (read !== undefined) Queue.offerUnsafe(read.credits, undefined)
        return
      }
      case "readStop": {
        const read = this.#reads.get(reply.call)
        this.#reads.delete(reply.call)
        if (read !== undefined) Effect.runFork(Fiber.interrupt(read.fiber))
      }
    }
  }

  #list(call: number, prefix: string): void {
    if (this.#store === null || this.#context === null) return
    Effect.runForkWith(this.#context)(
      this.#store.list(prefix).pipe(
        Effect.matchCause({
          onFailure: (cause) => this.#failed(call, cause),
          onSuccess: (listing) => this.#send({ type: "listed", call, listing })
        })
      )
    )
  }

  #read(call: number, location: string, range: ByteRange | undefined): void {
    if (this.#store === null || this.#context === null) return
    const credits = Effect.runSync(Queue.unbounded<void>())
    for (let i = 0; i < piecesAhead; i++) Queue.offerUnsafe(credits, undefined)
    const bytes = this.#store.read(location, range)
    const fiber = Effect.runForkWith(this.#context)(
      Stream.runForEachArray(bytes, (chunks) =>
        Effect.forEach(Blocks.join(chunks), (block) =>
          Effect.map(Queue.take(credits), () => {
            const piece = own(block)
            this.#send({ type: "read", call, piece }, [piece.buffer])
          }), { discard: true })).pipe(
          Effect.matchCause({
            onFailure: (cause) => this.#failed(call, cause),
            onSuccess: () => this.#send({ type: "readEnd", call })
          })
        )
    )
    this.#reads.set(call, { fiber, credits })
  }

  #failed(call: number, cause: Cause.Cause<BatchError>): void {
    this.#send({ type: "failed", call, failure: encodeError(Cause.squash(cause)) })
  }

  #die(cause: unknown): void {
    this.#dead ??= lost(cause)
    this.#start(false)
    if (this.#part !== null) Effect.runSync(Queue.fail(this.#part.pieces, this.#dead))
    this.#part = null
    this.#slice?.(Effect.fail(this.#dead))
    for (const { fiber } of this.#reads.values()) Effect.runFork(Fiber.interrupt(fiber))
    this.#reads.clear()
  }
}

const lost = (cause: unknown) =>
  new BatchError({
    module: "collect",
    method: "join",
    reason: new Refused({
      code: "WorkerDied",
      message: "the thread that joined a job has died; collect again, with parallelism: 1 if it was out of memory",
      ...(cause === undefined ? {} : { cause })
    })
  })

/** A folder for all threads, or null where none can be made: the join will say why, if it needs one. */
const temporaryFolder = (): string | null => {
  try {
    return mkdtempSync(join(tmpdir(), "bedrock-batch-"))
  } catch {
    return null
  }
}

/** A thread that starts, or null where none may be: Node.js can be told to have none. */
const start = (file: URL): Thread | null => {
  try {
    return new Thread(file)
  } catch {
    return null
  }
}

/** Whether another thread has the same processor under its id. */
const isBuiltIn = ({ run: { processor } }: JobResult.Collecting): boolean => forId(processor.id) === processor

/**
 * Makes workers for so many jobs at a time; threads are started when they are first needed, and end with the scope. With
 * one job at a time, and for processors of the user's own, which cannot be sent, jobs are joined in this thread.
 *
 * @internal
 */
export const make = Effect.fnUntraced(function*(
  { fewestRecords, parallelism }: CollectSettings,
  jobs: ReadonlyArray<{ readonly records: number }>
): Effect.fn.Return<JoinWorkers, never, Scope.Scope> {
  const records = jobs.reduce((sum, job) => sum + job.records, 0)
  let file = parallelism > 1 && records >= fewestRecords ? workerFile() : null
  const permits = yield* Semaphore.make(parallelism)
  const here = yield* Semaphore.make(1)
  const threads = new Set<Thread>()
  const idle: Array<Thread> = []
  let temporary: string | null = null
  yield* Effect.addFinalizer(() =>
    Effect.promise(() => Promise.all(Array.from(threads, (thread) => thread.terminate()))).pipe(
      // A thread that was ended could not remove its files.
      Effect.andThen(Effect.ignore(Effect.try(() => {
        if (temporary !== null) rmSync(temporary, { recursive: true, force: true })
      })))
    )
  )

  const thread = Effect.acquireRelease(
    Effect.promise(async () => {
      if (file === null) return null
      const taken = idle.pop() ?? start(file)
      if (taken === null || !(await taken.started)) {
        file = null
        return null
      }
      threads.add(taken)
      return taken
    }),
    (taken) =>
      Effect.sync(() => {
        if (taken !== null && !taken.dead) idle.push(taken)
      })
  )

  /** Several threads for one job, where there are fewer jobs than threads. */
  const readersFor = (store: Store, context: Context.Context<never>, collecting: JobResult.Collecting): SliceReaders | null =>
    file === null || jobs.length >= parallelism || !isBuiltIn(collecting) ? null : {
      count: parallelism,
      spill: (spills, slice, number) =>
        Effect.scoped(Effect.flatMap(thread, (taken) =>
          taken === null
            // No thread can be started after all.
            ? spill(store, spills, slice, number, collecting.run.processor, collecting.run.manifest.answer)
            : taken.spill(store, context, collecting, spills, slice, number)))
    }

  return {
    join: Effect.fnUntraced(function*(store, collecting) {
      yield* permits.takeScoped(1)
      const context = yield* Effect.context<never>()
      const readers = readersFor(store, context, collecting)
      const taken = isBuiltIn(collecting) && readers === null ? yield* thread : null
      if (taken !== null) {
        temporary ??= temporaryFolder()
        return taken.open(store, context, collecting, temporary ?? tmpdir())
      }
      yield* here.takeScoped(1)
      return yield* JobResult.make(store, collecting, readers)
    })
  }
})
