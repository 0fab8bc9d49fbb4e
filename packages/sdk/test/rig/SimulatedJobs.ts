import { Clock, Effect, Option, Stream } from "effect"
import { BatchJobs, type JobState, type ListQuery, toBatchError } from "../../src/bedrock/BatchJobs.ts"
import type { JobStatus, SubmittedJob } from "../../src/Job.ts"
import { type ScriptedJobs, settings } from "./ScriptedJobs.ts"

interface Simulated {
  readonly name: string
  readonly arn: string
  readonly at: number
  readonly submittedAt: string
  /** When it begins to run, and when it ends. */
  readonly runsAt: number
  readonly endsAt: number
}

/** A submitted job by name and ARN; all else of it is of no matter to who waits. */
export const submittedJob = (runId: string, index: number, arn: string, at: number): SubmittedJob => {
  const key = `1-${String(index).padStart(6, "0")}`
  return {
    version: 1,
    runId,
    key,
    attempt: 1,
    index,
    lane: "batch",
    model: "model",
    region: "us-east-1",
    invocationType: "Converse",
    name: `${runId}-${key}-00000000`,
    token: `${runId}-${index}`,
    prepareId: "p",
    input: "in/",
    output: "out/",
    files: [],
    rows: { key: "rows", size: 0, etag: "", sha256: "", records: 0 },
    firstRow: 0,
    lastRow: 99,
    records: 100,
    bytes: 0,
    timeoutHours: 72,
    arn,
    submittedAt: new Date(at).toISOString(),
    adopted: false
  }
}

/** A job that a scripted service has. */
export const made = (jobs: ScriptedJobs, runId: string, index: number, at = 0): SubmittedJob => {
  const { name, token } = submittedJob(runId, index, "", at)
  const arn = jobs.accept({
    ...settings,
    jobName: name,
    clientRequestToken: token,
    modelId: "model",
    modelInvocationType: "Converse",
    inputUri: `s3://b/${runId}/in/${index}/`,
    outputUri: `s3://b/${runId}/out/${index}/`,
    timeoutHours: 72
  }, at)
  return submittedJob(runId, index, arn, at)
}

/** The statuses of a job before it runs, and the part of that time after which each begins. */
const before: ReadonlyArray<readonly [JobStatus, number]> = [["Scheduled", 0.4], ["Validating", 0.1], ["Submitted", 0]]

/**
 * Bedrock's batch service with any number of jobs whose times are known beforehand. It counts calls as the service
 * does: each page of a list is one.
 */
export class SimulatedJobs {
  readonly jobs: Array<Simulated> = []
  gets = 0
  pages = 0
  readonly #byArn = new Map<string, Simulated>()
  readonly #pageSize: number

  constructor(pageSize = 1_000) {
    this.#pageSize = pageSize
  }

  /** Takes a job that lasts `millis`, of which it spends a tenth, and no more than five minutes, before it runs. */
  submit(runId: string, index: number, at: number, millis: number): SubmittedJob {
    const arn = `arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/${String(1e11 + this.jobs.length)}`
    const job = submittedJob(runId, index, arn, at)
    const { name, submittedAt } = job
    const simulated = { name, arn, at, submittedAt, runsAt: at + Math.min(300_000, millis / 10), endsAt: at + millis }
    this.jobs.push(simulated)
    this.#byArn.set(arn, simulated)
    return job
  }

  endOf(arn: string): number {
    return this.#byArn.get(arn)?.endsAt ?? NaN
  }

  #statusAt({ at, endsAt, runsAt }: Simulated, now: number): JobStatus {
    if (now >= endsAt) return "Completed"
    if (now >= runsAt) return "InProgress"
    return before.find(([, part]) => now - at >= part * (runsAt - at))?.[0] ?? "Submitted"
  }

  #stateAt(job: Simulated, now: number): JobState {
    const status = this.#statusAt(job, now)
    const done = Math.floor(100 * Math.max(0, Math.min(1, (now - job.runsAt) / (job.endsAt - job.runsAt))))
    return {
      arn: job.arn,
      name: job.name,
      token: null,
      model: "model",
      status,
      message: null,
      submittedAt: job.submittedAt,
      inputUri: null,
      outputUri: null,
      counters: { total: 100, processed: done, succeeded: done, failed: 0 }
    }
  }

  #page(query: ListQuery, behind: number, now: number): readonly [ReadonlyArray<JobState>, Option.Option<number>] {
    this.pages++
    const page: Array<JobState> = []
    for (let at = behind - 1; at >= 0; at--) {
      const job = this.jobs[at]!
      if (job.at <= (query.submittedAfter ?? -Infinity)) break
      if (query.nameContains !== undefined && !job.name.includes(query.nameContains)) continue
      if (query.status !== undefined && this.#statusAt(job, now) !== query.status) continue
      if (page.length === this.#pageSize) return [page, Option.some(at + 1)]
      page.push(this.#stateAt(job, now))
    }
    return [page, Option.none()]
  }

  get service(): BatchJobs["Service"] {
    return BatchJobs.of({
      region: "us-east-1",
      settings,
      create: () => Effect.die(new Error("jobs are submitted by hand")),
      stop: () => Effect.die(new Error("no job is stopped")),
      get: (arn) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          this.gets++
          const job = this.#byArn.get(arn)
          return job === undefined
            ? Effect.fail(toBatchError("get", { code: "ResourceNotFoundException", status: 404, message: arn }))
            : Effect.succeed(this.#stateAt(job, now))
        }),
      list: (query) =>
        Stream.paginate(this.jobs.length, (behind) =>
          Effect.map(Clock.currentTimeMillis, (now) => this.#page(query, behind, now)))
    })
  }
}
