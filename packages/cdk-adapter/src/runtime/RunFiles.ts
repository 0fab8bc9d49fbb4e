/**
 * What the functions read of a run, and what they write beside it: the lists that the state machine's map reads, and
 * those of result files, below `<run id>/pipeline/`.
 *
 * @internal
 */
import { BatchError, InvalidOption } from "@bedrock-batch/sdk/BatchError"
import type { Job } from "@bedrock-batch/sdk/Job"
import * as Run from "@bedrock-batch/sdk/Run"
import { ObjectStore } from "@bedrock-batch/sdk/store/ObjectStore"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** The attempt of a job, by its key `<attempt>-<six digits>`. @internal */
export const attemptOf = (jobKey: string): number => Number(jobKey.split("-")[0])

/** The jobs of the runs that this process worked on last: a list is read once, not for each of its jobs. */
const known = new Map<string, ReadonlyMap<string, Job>>()

/** Lists may have thousands of jobs. */
const mostKnown = 3

const remember = (id: string, jobs: ReadonlyArray<Job>): ReadonlyMap<string, Job> => {
  const byKey = new Map(jobs.map((job) => [job.key, job]))
  known.delete(id)
  known.set(id, byKey)
  for (const oldest of [...known.keys()].slice(0, -mostKnown)) known.delete(oldest)
  return byKey
}

/** A run at the attempt of a job, and the job. @internal */
export const jobOf = Effect.fnUntraced(function*(runId: string, jobKey: string) {
  const attempt = attemptOf(jobKey)
  const run = yield* Run.open(runId, { attempt })
  // A run may be removed and prepared anew under its id.
  const id = `${runId} ${attempt} ${run.manifest.createdAt} ${run.manifest.jobs.key}`
  const jobs = known.get(id) ?? remember(id, (yield* Run.load(runId, { attempt })).jobs)
  const job = jobs.get(jobKey)
  if (job !== undefined) return { run, job }
  const reason = new InvalidOption({ path: "key", message: `run ${runId} has no job ${jobKey}` })
  return yield* new BatchError({ module: "Pipeline", method: "jobOf", reason })
})

/** Seconds that a task waits longer than Bedrock works on its job: until its end is heard of. */
const waitsLonger = 2 * 3600

/** @internal */
export interface ListedJob {
  readonly key: string
  readonly lane: Job["lane"]
  /** How long the task that waits for it waits. */
  readonly timeoutSeconds: number
}

/** Where an object is, as the state machine names it. @internal */
export interface Place {
  readonly bucket: string
  readonly key: string
}

const placeOf = (uri: string): Place => {
  const [, bucket = "", key = ""] = /^s3:\/\/([^/]+)\/(.*)$/.exec(uri) ?? []
  return { bucket, key }
}

const writeJson = Effect.fnUntraced(function*(key: string, value: unknown) {
  const store = yield* ObjectStore
  // Whoever was here before wrote the same.
  yield* store.write(key, Stream.make(Buffer.from(JSON.stringify(value))), { digest: false })
  return store.uri(key)
})

/** Writes the list that the map reads, or finds it. @internal */
export const writeJobList = Effect.fnUntraced(function*(runId: string, attempt: number, jobs: ReadonlyArray<Job>) {
  const items = jobs.map(({ key, lane, timeoutHours }): ListedJob => ({
    key,
    lane,
    timeoutSeconds: timeoutHours * 3600 + waitsLonger
  }))
  // An attempt with nothing to do is none: another execution may make one of its number.
  const list = items.length === 0 ? "none" : String(attempt)
  return placeOf(yield* writeJson(`${runId}/pipeline/jobs-${list}.json`, items))
})

/** Writes the list of all result files of a generation, or finds it; gives its URI. @internal */
export const writeResultList = (runId: string, generation: string, files: ReadonlyArray<string>) =>
  writeJson(`${runId}/pipeline/results-${generation}.json`, files)
