/**
 * What becomes of the jobs of an `awaitAll` that is interrupted.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { Ledger } from "../Ledger.ts"
import { patiently } from "./Patience.ts"
import type { Standing } from "./Standing.ts"
import { makeStop } from "./StopJobs.ts"
import type { Views } from "./Views.ts"

/** So long, in milliseconds, an interrupted call goes on asking open jobs to stop. */
const stopWithin = 60_000

/** Calls to the store at a time. */
const concurrency = 16

/** How many jobs are open, and how many of those were asked to stop. @internal */
export interface Asked {
  readonly open: number
  readonly stopped: number
}

/**
 * Asks all open jobs to stop, each once, and does not wait for their ends. By the ledger, since a create call that was
 * under way has been recorded meanwhile. Never fails: what cannot be done within a minute is left.
 *
 * @internal
 */
export const stopOpen = Effect.fnUntraced(function*(views: Views, standing: Standing) {
  const ledger = yield* Ledger
  const jobs = standing.unfinished().filter(({ lane }) => lane === "batch")
  let open = 0
  let stopped = 0
  const asking = Effect.gen(function*() {
    const stop = yield* makeStop(patiently)
    for (const runId of new Set(jobs.map((job) => job.runId))) yield* patiently(views.refresh(runId))
    const accepted = jobs.filter((job) => {
      const entry = views.entryOf(job)
      return entry !== undefined && entry.accepted && !entry.ended
    })
    open = accepted.length
    yield* Effect.forEach(
      accepted,
      Effect.fnUntraced(function*(job) {
        const submitted = yield* patiently(ledger.accepted(job))
        if (submitted === null) return
        yield* Effect.matchEffect(stop(submitted), {
          onSuccess: () => Effect.sync(() => stopped++),
          onFailure: (error) =>
            Effect.logWarning(`job ${job.key} of run ${job.runId} cannot be stopped: ${error.reason.message}`)
        })
      }),
      { concurrency, discard: true }
    )
  })
  yield* asking.pipe(
    Effect.timeoutOption(stopWithin),
    Effect.catch((error) => Effect.logWarning(`open jobs cannot be stopped: ${error.reason.message}`))
  )
  const asked: Asked = { open, stopped }
  return asked
})

/**
 * Says where an interrupted call leaves its runs, and how they are taken up. `asked` is null where nothing is stopped.
 *
 * @internal
 */
export const tell = (standings: ReadonlyArray<Standing>, asked: Asked | null) => {
  const jobs = standings.flatMap((standing) => standing.unfinished())
  if (jobs.length === 0) return Effect.void
  const runs = [...new Set(jobs.map(({ runId }) => runId))]
  const left = `${jobs.length} job${jobs.length === 1 ? " of" : "s of"} run ${runs.join(", ")} had not ended`
  const open = asked === null
    ? "those that are open go on at Bedrock and will be billed"
    : `${asked.stopped} of ${asked.open} open ones were asked to stop, and what they have processed is billed`
  const how = runs.map((runId) => `resume(${JSON.stringify(runId)})`).join(", ")
  return Effect.logWarning(`interrupted: ${left}; ${open}. The same call, or ${how}, goes on from here`)
}
