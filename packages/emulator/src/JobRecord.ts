/**
 * A job in the emulator, and how the API shows it.
 *
 * @since 0.1.0
 */
import type { OpenStatus, TerminalStatus } from "@bedrock-batch/sdk/Job"
import type { Fiber } from "effect/Fiber"
import type { CreateRequest, Tag } from "./CreateRequest.ts"
import type { JobFaults } from "./Faults.ts"
import type { InputFile, RunnableJob, Totals } from "./JobRunner.ts"

/**
 * A step that a job takes by itself when its time comes.
 *
 * @since 0.1.0
 * @category models
 */
export type Step =
  | { readonly at: number; readonly to: "Validating" | "Validated" | "InProgress" | "Expired" }
  | { readonly at: number; readonly to: "Ended"; readonly status: TerminalStatus; readonly processed: number }

/**
 * A job of the emulator. Times are emulated, in milliseconds since 1970.
 *
 * @since 0.1.0
 * @category models
 */
export interface JobRecord {
  readonly index: number
  readonly id: string
  readonly arn: string
  readonly modelArn: string
  readonly baseModel: string
  readonly request: CreateRequest
  readonly submittedAt: number
  /** When it or any job before it was submitted, whichever is later. */
  readonly latestAt: number
  readonly expiresAt: number
  readonly faults: JobFaults
  readonly seed: string
  tags: ReadonlyArray<Tag>
  status: OpenStatus | TerminalStatus
  message: string | null
  changedAt: number
  endedAt: number | null
  /** Since when the job is to stop, if it is. */
  stopAt: number | null
  /** When records began and will have been run, where that is known. */
  running: { readonly from: number; readonly to: number } | null
  input: { readonly files: ReadonlyArray<InputFile>; readonly records: number } | null
  totals: Totals | null
  step: Step | null
  /** The fiber that takes the job through the steps that are due. */
  moving: Fiber<void> | null
  /** How it was shown last, if that is remembered. */
  shown: { readonly changedAt: number; readonly as: JobDescription } | null
}

/**
 * Returns what running a job needs.
 *
 * @since 0.1.0
 * @category converting
 */
export const runnable = (job: JobRecord): RunnableJob => ({
  id: job.id,
  arn: job.arn,
  modelId: job.request.modelId,
  modelInvocationType: job.request.modelInvocationType,
  inputUri: job.request.inputUri,
  outputUri: job.request.outputUri,
  faults: job.faults,
  seed: job.seed
})

/**
 * Returns how many records have been run at a time.
 *
 * @since 0.1.0
 * @category getters
 */
export const processedAt = (job: JobRecord, at: number): number => {
  if (job.running === null || job.input === null || at <= job.running.from) return 0
  const { from, to } = job.running
  const share = to <= from ? 1 : Math.min(1, (at - from) / (to - from))
  return Math.floor(job.input.records * share)
}

const countersAt = (job: JobRecord, at: number): Totals => {
  if (job.totals !== null) return job.totals
  if (job.running === null || job.input === null || at < job.running.from) {
    return { total: 0, processed: 0, success: 0, error: 0 }
  }
  const processed = processedAt(job, at)
  const error = job.faults.failAllRecords ? processed : 0
  return { total: job.input.records, processed, success: processed - error, error }
}

const iso = (time: number) => new Date(time).toISOString()

/**
 * Writes a job as Get and List show it. `countersAsOf` is the time whose counters a running job shows.
 *
 * @since 0.1.0
 * @category converting
 */
export const describe = (job: JobRecord, accountId: string, countersAsOf: number) => {
  const { request } = job
  const counters = countersAt(job, countersAsOf)
  return {
    jobArn: job.arn,
    jobName: request.jobName,
    modelId: job.modelArn,
    ...(request.clientRequestToken === null ? {} : { clientRequestToken: request.clientRequestToken }),
    roleArn: request.roleArn,
    status: job.status,
    ...(job.message === null ? {} : { message: job.message }),
    submitTime: iso(job.submittedAt),
    lastModifiedTime: iso(job.changedAt),
    ...(job.endedAt === null ? {} : { endTime: iso(job.endedAt) }),
    inputDataConfig: {
      s3InputDataConfig: {
        ...(request.inputFormat === null ? {} : { s3InputFormat: request.inputFormat }),
        s3Uri: request.inputUri,
        s3BucketOwner: request.inputBucketOwner ?? accountId
      }
    },
    outputDataConfig: {
      s3OutputDataConfig: {
        s3Uri: request.outputUri,
        ...(request.outputKmsKeyId === null ? {} : { s3EncryptionKeyId: request.outputKmsKeyId }),
        s3BucketOwner: request.outputBucketOwner ?? accountId
      }
    },
    ...(request.vpcConfig === null ? {} : { vpcConfig: request.vpcConfig }),
    timeoutDurationInHours: request.timeoutDurationInHours,
    jobExpirationTime: iso(job.expiresAt),
    modelInvocationType: request.modelInvocationType,
    totalRecordCount: counters.total,
    processedRecordCount: counters.processed,
    successRecordCount: counters.success,
    errorRecordCount: counters.error
  }
}

/** So many jobs are remembered as they were shown last. */
const mostShown = 2048

/**
 * Returns a function that writes jobs as `describe` does, and a job that has not changed only once: lists show the same
 * jobs again and again.
 *
 * @since 0.1.0
 * @category converting
 */
export const describer = (accountId: string) => {
  const shown: Array<JobRecord> = []
  let next = 0
  return (job: JobRecord, countersAsOf: number): JobDescription => {
    const { shown: last } = job
    if (last !== null && last.changedAt === job.changedAt && last.as.status === job.status) {
      // The counters of a job that is over are what they were.
      if (job.endedAt !== null) return last.as
      const { error, processed, success, total } = countersAt(job, countersAsOf)
      if (
        last.as.totalRecordCount === total && last.as.processedRecordCount === processed &&
        last.as.successRecordCount === success && last.as.errorRecordCount === error
      ) return last.as
    }
    const as = describe(job, accountId, countersAsOf)
    if (last === null) {
      const oldest = shown[next]
      if (oldest !== undefined) oldest.shown = null
      shown[next] = job
      next = (next + 1) % mostShown
    }
    job.shown = { changedAt: job.changedAt, as }
    return as
  }
}

/**
 * A job as Get and List show it.
 *
 * @since 0.1.0
 * @category models
 */
export type JobDescription = ReturnType<typeof describe>
