/**
 * The jobs of an emulator, as the entries of its journal make them.
 *
 * @since 0.1.0
 */
import { isTerminal } from "@bedrock-batch/sdk/Job"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { JobRecord } from "./JobRecord.ts"
import type { Entry, Journal } from "./Journal.ts"
import * as Model from "./Model.ts"
import type { TimedJob } from "./Timing.ts"

/**
 * What a register tells of the changes that entries make.
 *
 * @since 0.1.0
 * @category models
 */
export interface RegisterOptions {
  readonly journal: Journal
  /** The entries that were read of the journal already. */
  readonly remembered: ReadonlyArray<Entry>
  readonly region: string
  readonly accountId: string
  /** How long a job stays in `Submitted`, in milliseconds of emulated time. */
  readonly submitted: (job: TimedJob) => number
  /** Told of each new job; `isNews` is false for those that were there when the register was made. */
  readonly created: (job: JobRecord, isNews: boolean) => void
  /** Told that a job is to stop as of a time. */
  readonly stopping: (job: JobRecord, at: number) => void
  /** Told of each job that ended elsewhere or before. */
  readonly ended: (job: JobRecord) => void
}

/**
 * Finds jobs, and adds entries.
 *
 * @since 0.1.0
 * @category models
 */
export interface Register {
  /** In the order of their creation. */
  readonly jobs: ReadonlyArray<JobRecord>
  readonly byId: ReadonlyMap<string, JobRecord>
  /** Whether there is a job of an id, in whatever Region and account. */
  readonly isTaken: (id: string) => boolean
  /** The job that a client request token made last. */
  readonly byToken: ReadonlyMap<string, JobRecord>
  /** Takes in what was added to the journal, by whomever. */
  readonly sync: () => void
  /** Adds an entry and takes it in. */
  readonly add: (entry: Entry) => void
}

/**
 * Returns the emulated clock: it goes on where the journal's last entry about it left it, at the wanted speed.
 *
 * @since 0.1.0
 * @category constructors
 */
export const clock = Effect.fnUntraced(function*(journal: Journal, entries: ReadonlyArray<Entry>, speed: number) {
  const time = yield* Clock.currentTimeMillis
  const last = entries.findLast((entry) => entry.type === "clock")
  const from = last !== undefined && last.speed === speed ? last : {
    type: "clock" as const,
    clock: time,
    emulated: last === undefined ? time : last.emulated + (time - last.clock) * last.speed,
    speed
  }
  if (from !== last) journal.append(from)
  const now = Effect.map(Clock.currentTimeMillis, (now) => Math.floor(from.emulated + (now - from.clock) * speed))
  return { now }
})

/**
 * Creates a register out of the entries that were there.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: RegisterOptions): Register => {
  const jobs: Array<JobRecord> = []
  const byId = new Map<string, JobRecord>()
  const byToken = new Map<string, JobRecord>()
  // One text for all jobs of a model.
  const models = new Map<string, Pick<JobRecord, "modelArn" | "baseModel">>()
  const modelOf = (id: string) => {
    const known = models.get(id) ??
      { modelArn: Model.expand(id, options.region, options.accountId), baseModel: Model.base(id) }
    models.set(id, known)
    return known
  }
  // Jobs of another Region or account, whose emulators share the journal.
  const elsewhere = new Set<string>()

  const created = (entry: Extract<Entry, { readonly type: "created" }>, isNews: boolean) => {
    const { at, id, request } = entry
    const token = request.clientRequestToken
    if (entry.region !== options.region || entry.accountId !== options.accountId) {
      elsewhere.add(id)
      return
    }
    if (byId.has(id) || (entry.exclusive && token !== null && byToken.has(token))) return
    const timed = { id, name: request.jobName, modelId: request.modelId, records: 0 }
    const job: JobRecord = {
      index: jobs.length,
      id,
      arn: Model.arn(options.region, options.accountId, `model-invocation-job/${id}`),
      ...modelOf(request.modelId),
      request,
      submittedAt: at,
      latestAt: Math.max(at, jobs.at(-1)?.latestAt ?? at),
      expiresAt: at + request.timeoutDurationInHours * 3_600_000,
      faults: entry.faults,
      seed: entry.seed,
      tags: request.tags,
      status: "Submitted",
      message: null,
      changedAt: at,
      endedAt: null,
      stopAt: null,
      running: null,
      input: null,
      totals: null,
      step: { at: at + options.submitted(timed), to: "Validating" },
      moving: null,
      shown: null
    }
    jobs.push(job)
    byId.set(id, job)
    if (token !== null) byToken.set(token, job)
    options.created(job, isNews)
  }

  const take = (entry: Entry, isNews: boolean) => {
    if (entry.type === "clock") return
    if (entry.type === "created") return created(entry, isNews)
    const job = byId.get(entry.id)
    if (job === undefined) return
    if (entry.type === "tagged") {
      job.tags = entry.tags
    } else if (isTerminal(job.status)) {
      return
    } else if (entry.type === "stopping") {
      options.stopping(job, entry.at)
    } else if (job.moving === null) {
      job.status = entry.status
      job.message = entry.message
      job.changedAt = entry.changedAt
      job.endedAt = entry.endedAt
      job.totals = entry.totals
      job.step = null
      options.ended(job)
    }
  }

  const sync = () => {
    for (const entry of options.journal.read()) take(entry, true)
  }
  const over = new Set(options.remembered.flatMap((entry) => entry.type === "ended" ? [entry.id] : []))
  for (const entry of options.remembered) {
    if (entry.type !== "stopping" || !over.has(entry.id)) take(entry, false)
  }
  return {
    jobs,
    byId,
    isTaken: (id) => byId.has(id) || elsewhere.has(id),
    byToken,
    sync,
    add: (entry) => {
      options.journal.append(entry)
      sync()
    }
  }
}
