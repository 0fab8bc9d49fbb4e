/**
 * Which of the jobs of one call are submitted first.
 *
 * @internal
 */
import { baseModel } from "@bedrock-batch/processors/ModelId"
import type { Job } from "../Job.ts"
import { mayBeOpen, type Views } from "./Views.ts"

/**
 * Ended jobs, jobs that may be open, and all others: these by what shares a quota, since none waits for another's.
 *
 * @internal
 */
export const sorted = (
  places: ReadonlyArray<number>,
  jobOf: (place: number) => Job,
  views: Views,
  order: "turns" | "given" | "largest-first" = "turns"
) => {
  const ended: Array<number> = []
  const open: Array<number> = []
  const fresh = new Map<string, Array<number>>()
  for (const place of places) {
    const job = jobOf(place)
    const entry = views.entryOf(job)
    if (entry?.ended) ended.push(place)
    else if (job.lane === "batch" && mayBeOpen(entry)) open.push(place)
    else {
      const target = job.lane === "batch" ? `${job.region}/${baseModel(job.model) ?? job.model}` : job.lane
      const known = fresh.get(target)
      if (known === undefined) fresh.set(target, [place])
      else known.push(place)
    }
  }
  const lanes = [...fresh.values()].map((lane) => order === "given" ? lane : inTurns(lane, jobOf))
  if (order === "largest-first") {
    const bySize = (a: Job, b: Job) => b.records - a.records || b.bytes - a.bytes
    for (const lane of lanes) lane.sort((a, b) => bySize(jobOf(a), jobOf(b)))
  }
  return { ended, open, fresh: lanes }
}

/** One of each run, and so on for as long as there are more. */
const inTurns = (places: ReadonlyArray<number>, jobOf: (place: number) => Job): Array<number> => {
  const runs = new Map<string, Array<number>>()
  for (const place of places) {
    const { runId } = jobOf(place)
    const known = runs.get(runId)
    if (known === undefined) runs.set(runId, [place])
    else known.push(place)
  }
  const turns: Array<number> = []
  for (let turn = 0; turns.length < places.length; turn++) {
    for (const run of runs.values()) if (turn < run.length) turns.push(run[turn]!)
  }
  return turns
}
