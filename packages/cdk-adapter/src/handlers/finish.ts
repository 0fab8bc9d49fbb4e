/**
 * Finishes a run by its ledger, whatever the map says of its jobs: collects what is not collected, and tells what the
 * run came to.
 *
 * @internal
 */
import { BatchError, RunConflict } from "@bedrock-batch/sdk/BatchError"
import { finish, type Report } from "@bedrock-batch/sdk/collect"
import { Ledger } from "@bedrock-batch/sdk/Ledger"
import { Outcome } from "@bedrock-batch/sdk/Outcome"
import type { Handle } from "@bedrock-batch/sdk/RunManifest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Input } from "../Input.ts"
import { TriedRun } from "../runtime/Events.ts"
import { handlerOf } from "../runtime/Lambda.ts"
import { measure } from "../runtime/Logging.ts"
import { writeResultList } from "../runtime/RunFiles.ts"
import { inputOf, runAt } from "../runtime/Runs.ts"

/** Paths that the answer names; all of them are in a list in the bucket. */
const mostPaths = 50

/** Whether there is something that another attempt may mend. */
const isMore = (report: Report, { retry }: Input): boolean => {
  const { errors = "mendable", outcomes } = retry
  if (outcomes === undefined) return errors === "all" ? report.mendable + report.counts.failed > 0 : report.mendable > 0
  return Outcome.literals.some((one) => one !== "succeeded" && outcomes.includes(one) && report.counts[one] > 0)
}

/** Why jobs of a run have not ended, by the last create call that was refused; null where there was none. */
const lastRefusal = Effect.fnUntraced(function*(runId: string) {
  const ledger = yield* Ledger
  const { jobs } = yield* ledger.entries(runId)
  const refused = [...jobs].flatMap(([key, { accepted, claims, ended }]) => {
    const claim = claims.at(-1)
    return accepted || ended || claim === undefined || !claim.refused ? [] : [{ key, ...claim }]
  })
  const last = refused.sort((a, b) => b.at - a.at)[0]
  const refusal = last === undefined ? null : yield* ledger.refusal({ runId, key: last.key }, last.number)
  return refusal === null ? null : `the last create call that was refused: ${refusal.code}: ${refusal.message}`
})

/** A run with jobs that nobody will end is not finished: the error says why, and what to do. */
const explained = Effect.fnUntraced(function*(run: Handle<object>, failure: BatchError) {
  const { reason } = failure
  if (reason._tag !== "RunConflict" || reason.problem !== "not-ended") return yield* failure
  const why = yield* lastRefusal(run.id)
  const message = `${reason.message}${why === null ? "" : `; ${why}`}. Nothing is lost: start an execution with the ` +
    "same input, and it goes on from here"
  return yield* new BatchError({
    module: "Pipeline",
    method: "finish",
    reason: new RunConflict({ runId: run.id, problem: "not-ended", differs: [], message })
  })
})

/** @internal */
export const handler = handlerOf({ name: "finish", event: TriedRun }, Effect.fnUntraced(function*(event) {
  const { attempt, deadline = null, runId } = event
  const input = yield* inputOf(event.input)
  const run = yield* runAt(runId, attempt)
  const { files, report } = yield* finish(run, { format: input.format, parallelism: 1 }).pipe(
    Effect.catch((failure) => explained(run, failure))
  )
  const folder = report.results.replace(/\/$/, "")
  const isLate = deadline !== null && (yield* Clock.currentTimeMillis) >= Date.parse(deadline)
  const again = !isLate && attempt < input.retry.attempts && isMore(report, input)
  const { counts, inputTokens, jobs, mendable, outputTokens, records } = report
  if (!again) yield* measure({ Records: records, RecordsSucceeded: counts.succeeded, RunsFinished: 1 })
  yield* Effect.logInfo("finished").pipe(Effect.annotateLogs({ runId, attempt, again, counts }))
  return {
    runId,
    attempt,
    records,
    jobs,
    counts,
    mendable,
    inputTokens,
    outputTokens,
    report: `${folder}/report.json`,
    results: {
      count: files.length,
      paths: files.slice(0, mostPaths),
      list: yield* writeResultList(runId, folder.split("/").at(-1) ?? "", files)
    },
    again
  }
}))
