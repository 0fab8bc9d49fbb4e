/**
 * What moves jobs from state to state: by the emulated clock, when somebody looks or when their time comes.
 *
 * @since 0.1.0
 */
import { isTerminal, type OpenStatus, type TerminalStatus } from "@bedrock-batch/sdk/Job"
import type { Limits } from "@bedrock-batch/sdk/Limits"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { type JobRecord, processedAt, runnable, type Step } from "./JobRecord.ts"
import * as JobRunner from "./JobRunner.ts"
import type { Responder } from "./Responder.ts"
import type { Storage, StorageError } from "./Storage.ts"
import { Timetable } from "./Timetable.ts"
import * as Timing from "./Timing.ts"

/**
 * What an engine works with.
 *
 * @since 0.1.0
 * @category models
 */
export interface EngineOptions {
  readonly storage: Storage
  readonly timing: Timing.Timing
  /** The emulated time, in milliseconds since 1970. */
  readonly now: Effect.Effect<number>
  /** Emulated seconds in a second of the fiber's clock. */
  readonly speed: number
  readonly limits: (baseModel: string) => Limits
  readonly responder: Responder
  readonly nullFilledUnions: boolean
  /** Told of each change of a job's status, after it. */
  readonly changed: (job: JobRecord) => void
}

/**
 * Moves jobs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Engine {
  /** Takes up a job whose `step` is set. */
  readonly add: (job: JobRecord) => void
  /**
   * Takes every job (or one) through the steps that are due, so that what is reported is true. Waits at most five
   * seconds: a job that takes longer to write its output is reported as it was before.
   */
  readonly settle: (job?: JobRecord) => Effect.Effect<void>
  /** Stops an open job as of a time; a step that is being taken is finished first. */
  readonly stop: (job: JobRecord, at: number) => void
}

const concurrentJobs = 8
const patience = "5 seconds"
const longestSleep = 86_400_000
const longestMessage = 2048
const internalError = "Internal server error. Submit the job again; if it fails again, contact AWS Support."

const timed = (job: JobRecord): Timing.TimedJob => ({
  id: job.id,
  name: job.request.jobName,
  modelId: job.request.modelId,
  records: job.input?.records ?? 0
})

/**
 * Creates an engine; its fibers live as long as the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: (options: EngineOptions) => Effect.Effect<Engine, never, Scope.Scope> = Effect.fnUntraced(
  function*(options: EngineOptions) {
    const { now, speed, storage, timing } = options
    const run = yield* FiberSet.makeRuntime<never, void, never>()
    const io = yield* Semaphore.make(concurrentJobs)
    const wake = yield* Queue.sliding<void>(1)
    const timetable = new Timetable<JobRecord>()
    const moving = new Set<JobRecord>()

    const schedule = (job: JobRecord) => {
      if (job.step === null) return
      const isFirst = job.step.at < timetable.nextAt
      timetable.add(job.step.at, job)
      if (isFirst) Queue.offerUnsafe(wake, undefined)
    }
    const enter = (job: JobRecord, status: OpenStatus | TerminalStatus, at: number, message: string | null = null) => {
      job.status = status
      job.changedAt = at
      job.message = message?.slice(0, longestMessage) ?? null
      if (isTerminal(status)) {
        job.endedAt ??= at
        job.step = null
        // What is needed to run it is not kept of thousands of jobs.
        job.input = null
      }
      options.changed(job)
    }

    const validated = Effect.fnUntraced(function*(job: JobRecord, at: number) {
      const scan = yield* io.withPermits(1)(JobRunner.scan(storage, runnable(job), options.limits(job.baseModel)))
      if (!scan.valid) return enter(job, "Failed", at, scan.message)
      job.input = scan
      enter(job, "Scheduled", at)
      const begins = at + Timing.millis(timing, "queued", timed(job))
      job.step = begins >= job.expiresAt
        ? { at: Math.max(at, job.expiresAt), to: "Expired" }
        : { at: begins, to: job.faults.end === "expired" ? "Expired" : "InProgress" }
    })

    const begun = (job: JobRecord, at: number) => {
      const records = job.input?.records ?? 0
      const to = at + Timing.millis(timing, "running", timed(job))
      job.running = { from: at, to }
      enter(job, "InProgress", at)
      job.step = job.faults.end === "failed"
        ? { at: Math.min(to, job.expiresAt), to: "Ended", status: "Failed", processed: 0 }
        : job.faults.end === "failed-with-output"
        ? { at: Math.min(to, job.expiresAt), to: "Ended", status: "Failed", processed: records >> 1 }
        : to > job.expiresAt
        ? { at: job.expiresAt, to: "Ended", status: "PartiallyCompleted", processed: processedAt(job, job.expiresAt) }
        : job.faults.end === "partial"
        ? { at: to, to: "Ended", status: "PartiallyCompleted", processed: records >> 1 }
        : { at: to, to: "Ended", status: "Completed", processed: records }
    }

    const failed = (job: JobRecord, at: number, message: string) => {
      // There is no output: the counters do not speak of any.
      if (job.input !== null) job.totals = { total: job.input.records, processed: 0, success: 0, error: 0 }
      enter(job, "Failed", at, message)
    }

    const ended = Effect.fnUntraced(function*(job: JobRecord, step: Extract<Step, { readonly to: "Ended" }>) {
      if (step.status === "Failed" && step.processed === 0) return failed(job, step.at, internalError)
      if (job.input !== null && job.running !== null) {
        job.totals = yield* io.withPermits(1)(JobRunner.write(storage, runnable(job), job.input, {
          responder: options.responder,
          processed: step.processed,
          order: step.status === "Failed" ? "first" : "any",
          unprocessed: step.status === "Stopped" || step.status === "Failed" ? "missing" : job.faults.unprocessed,
          nullFilledUnions: options.nullFilledUnions
        }))
      }
      enter(job, step.status, step.at, step.status === "Failed" ? internalError : null)
    })

    const take = (job: JobRecord, step: Step): Effect.Effect<void, StorageError> => {
      switch (step.to) {
        case "Validating":
          return Effect.sync(() => {
            enter(job, "Validating", step.at)
            job.step = { at: step.at + Timing.millis(timing, "validating", timed(job)), to: "Validated" }
          })
        case "Validated":
          return validated(job, step.at)
        case "InProgress":
          return Effect.sync(() => begun(job, step.at))
        case "Expired":
          return Effect.sync(() => {
            // As seen of the real service: the end is the time when the job was queued, the last change its expiration.
            job.endedAt = job.changedAt
            enter(job, "Expired", step.at, "The job could not begin before its timeout.")
          })
        case "Ended":
          return ended(job, step)
      }
    }

    const stopped = (job: JobRecord, at: number): Step => {
      const processed = processedAt(job, at)
      enter(job, "Stopping", at)
      return { at: at + Timing.millis(timing, "stopping", timed(job)), to: "Ended", status: "Stopped", processed }
    }
    const move = Effect.fnUntraced(function*(job: JobRecord) {
      while (job.step !== null) {
        if (job.stopAt !== null && job.stopAt < job.step.at && job.status !== "Stopping") {
          job.step = stopped(job, job.stopAt)
        }
        if (job.step.at > (yield* now)) return
        const step: Step = job.step
        const fail = (why: unknown) => {
          const text = why instanceof Error ? why.message : String(why)
          failed(job, step.at, `The job's data could not be read or written: ${text}`)
        }
        yield* take(job, step).pipe(
          Effect.catch((error) => Effect.sync(() => fail(error))),
          Effect.catchDefect((defect) => Effect.sync(() => fail(defect)))
        )
      }
    })
    const start = (job: JobRecord) => {
      moving.add(job)
      const finished = Effect.sync(() => {
        moving.delete(job)
        job.moving = null
        schedule(job)
      })
      const fiber = run(Effect.ensuring(move(job), finished))
      // A job without I/O has moved already.
      if (moving.has(job)) job.moving = fiber
    }
    const startDue = (until: number) => {
      for (let job = timetable.takeDue(until); job !== undefined; job = timetable.takeDue(until)) {
        if (job.moving === null && job.step !== null && job.step.at <= until) start(job)
      }
    }

    yield* Effect.forkScoped(Effect.gen(function*() {
      while (true) {
        const time = yield* now
        startDue(time)
        const wait = Math.ceil((timetable.nextAt - time) / speed)
        const signal = Queue.take(wake)
        yield* Number.isFinite(wait)
          ? Effect.raceFirst(signal, Effect.sleep(Math.min(Math.max(wait, 1), longestSleep)))
          : signal
      }
    }))

    return {
      add: schedule,
      settle: Effect.fnUntraced(function*(job?: JobRecord) {
        startDue(yield* now)
        const concerned = job === undefined ? [...moving] : [job]
        const fibers = concerned.flatMap((one) => one.moving === null ? [] : [one.moving])
        if (fibers.length > 0) yield* Effect.timeoutOption(Fiber.awaitAll(fibers), patience)
      }),
      stop: (job, at) => {
        if (isTerminal(job.status) || job.stopAt !== null) return
        job.stopAt = at
        if (job.moving === null) start(job)
      }
    }
  }
)
