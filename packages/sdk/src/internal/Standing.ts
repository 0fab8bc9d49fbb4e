/**
 * Where the jobs of one call stand.
 *
 * @internal
 */
import type { Job } from "../Job.ts"
import type { Event } from "../Progress.ts"

/** @internal */
export interface Standing {
  /** Jobs that have neither ended nor been refused. */
  readonly unfinished: () => ReadonlyArray<Job>
  /** How many of those Bedrock has accepted. */
  readonly accepted: () => number
  /** Their records, less those that are known to be processed. */
  readonly remaining: () => number
  readonly accept: (job: Job) => void
  readonly finish: (job: Job) => void
  /** Learns from an event how many records are processed. */
  readonly follow: (event: Event) => void
}

const idOf = (runId: string, key: string): string => `${runId}/${key}`

/** @internal */
export const makeStanding = (jobs: Iterable<Job>): Standing => {
  const unfinished = new Map<string, Job>()
  const accepted = new Set<string>()
  const processed = new Map<string, number>()
  for (const job of jobs) unfinished.set(idOf(job.runId, job.key), job)
  return {
    unfinished: () => [...unfinished.values()],
    accepted: () => accepted.size,
    remaining: () => {
      let records = 0
      for (const [id, job] of unfinished) records += Math.max(0, job.records - (processed.get(id) ?? 0))
      return records
    },
    accept: (job) => void accepted.add(idOf(job.runId, job.key)),
    finish: (job) => {
      const id = idOf(job.runId, job.key)
      unfinished.delete(id)
      accepted.delete(id)
      processed.delete(id)
    },
    follow: (event) => {
      if (event._tag !== "JobChanged") return
      const id = idOf(event.runId, event.job)
      // What lags may show less than was seen before.
      if (unfinished.has(id)) processed.set(id, Math.max(event.processed, processed.get(id) ?? 0))
    }
  }
}
