/**
 * What is done when a job may have ended, by whoever hears of it: the end goes into the ledger, the inventory moves
 * forward, and then the tasks that wait for it are answered. Each step may be done twice.
 *
 * @internal
 */
import { BatchJobs, type JobState } from "@bedrock-batch/sdk/bedrock/BatchJobs"
import { type EndedJob, isTerminal, type SubmittedJob, type TerminalStatus } from "@bedrock-batch/sdk/Job"
import { Ledger } from "@bedrock-batch/sdk/Ledger"
import { ObjectStore } from "@bedrock-batch/sdk/store/ObjectStore"
import * as Effect from "effect/Effect"
import { Inventory, type JobId, type JobItem, type TokenItem } from "../Inventory.ts"
import { measure } from "./Logging.ts"
import { jobOf } from "./RunFiles.ts"
import { Tasks } from "./Tasks.ts"

/** What became of a look at a job. @internal */
export type Settled =
  /** Nobody here knows it. */
  | { readonly _tag: "Stranger" }
  /** It is not known to be at Bedrock. */
  | { readonly _tag: "NotSubmitted" }
  | { readonly _tag: "Open"; readonly arn: string; readonly status: string }
  /** `moved`: nobody had seen it before; so many tasks waited for it and were answered. */
  | { readonly _tag: "Ended"; readonly status: string; readonly moved: boolean; readonly answered: number }

const same = (uri: string | null, ours: string) => uri !== null && uri.replace(/\/$/, "") === ours.replace(/\/$/, "")

/** The job as it was accepted; one whose create call had no answer is adopted, if it is ours. */
const acceptedAs = Effect.fnUntraced(function*(id: JobId, state: JobState) {
  const ledger = yield* Ledger
  const accepted = yield* ledger.accepted({ runId: id.runId, key: id.jobKey })
  if (accepted !== null) return accepted.arn === state.arn ? accepted : null
  const { job } = yield* jobOf(id.runId, id.jobKey)
  const store = yield* ObjectStore
  const isOurs = state.token === job.token && same(state.inputUri, store.uri(job.input)) &&
    same(state.outputUri, store.uri(job.output))
  if (!isOurs) return null
  const adopted: SubmittedJob = { ...job, arn: state.arn, submittedAt: state.submittedAt, adopted: true }
  return yield* ledger.accept(adopted)
})

/** Records in the ledger that a job has ended. @internal */
export const recordEnd = Effect.fnUntraced(function*(accepted: SubmittedJob, state: JobState, status: TerminalStatus) {
  const { counters, message } = state
  const ended: EndedJob = { ...accepted, status, message, counters, repeatedCalls: 0 }
  return yield* (yield* Ledger).end(ended)
})

/** Bedrock's state of a job; null for one that it does not have. @internal */
export const stateOf = Effect.fnUntraced(function*(arn: string) {
  const jobs = yield* BatchJobs
  return yield* jobs.get(arn).pipe(
    Effect.catchIf(
      ({ reason }) => reason._tag === "Refused" && reason.code === "ResourceNotFoundException",
      () => Effect.succeed(null)
    )
  )
})

/** Answers a task, and then marks its token: one that is marked and was not answered would never be. @internal */
export const answer = Effect.fnUntraced(function*(token: TokenItem, status: string) {
  const isWaiting = yield* (yield* Tasks).answer(token.token, status)
  yield* (yield* Inventory).answered(token)
  return isWaiting
})

const failed: ReadonlySet<string> = new Set(["Failed", "Stopped", "Expired", "Refused"])

/** Counts the end of a job. @internal */
export const countEnd = (status: string) => measure({ JobsEnded: 1, JobsFailed: failed.has(status) ? 1 : 0 })

/** Moves the inventory, and then answers all who wait: whoever stores a token later reads that the job has ended. */
const tell = Effect.fnUntraced(function*(id: JobId, job: JobItem | null, ended: EndedJob) {
  const inventory = yield* Inventory
  const { arn, status, submittedAt } = ended
  const moved = yield* inventory.advance({ ...(job ?? {}), ...id }, { status, arn, submittedAt })
  if (moved) yield* countEnd(status)
  // Read after the move.
  const { tokens } = yield* inventory.look(id.name)
  const answers = yield* Effect.forEach(tokens, (token) => answer(token, status))
  const settled: Settled = { _tag: "Ended", status, moved, answered: answers.filter((waited) => waited).length }
  return settled
})

/**
 * Looks whether a job has ended, and tells those who wait for it. `told` is its ARN where somebody said so.
 *
 * @internal
 */
export const settle = Effect.fnUntraced(function*(name: string, told: string | null) {
  const inventory = yield* Inventory
  const ledger = yield* Ledger
  const { job, tokens } = yield* inventory.look(name)
  const known = job ?? tokens[0]
  const stranger: Settled = { _tag: "Stranger" }
  if (known === undefined) return stranger
  const id: JobId = { name, runId: known.runId, jobKey: known.jobKey, clientToken: known.clientToken }
  const place = { runId: id.runId, key: id.jobKey }
  const ended = yield* ledger.ended(place)
  if (ended !== null) return yield* tell(id, job, ended)
  const arn = told ?? job?.arn ?? (yield* ledger.accepted(place))?.arn ?? null
  const notSubmitted: Settled = { _tag: "NotSubmitted" }
  if (arn === null) return notSubmitted
  const state = yield* stateOf(arn)
  // Others may give their jobs the same name.
  if (state === null || (state.token !== null && state.token !== id.clientToken)) return stranger
  const accepted = yield* acceptedAs(id, state)
  if (accepted === null) return stranger
  const { status, submittedAt } = state
  if (isTerminal(status)) return yield* tell(id, job, yield* recordEnd(accepted, state, status))
  yield* inventory.advance({ ...(job ?? {}), ...id }, { status, arn, submittedAt })
  const open: Settled = { _tag: "Open", arn, status }
  return open
})
