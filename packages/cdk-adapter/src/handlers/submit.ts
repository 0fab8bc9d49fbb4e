/**
 * Submits one job, and hands it over to the task whose token came with it: the job is entered in the inventory, the
 * token stored, the job submitted or adopted, and then its state is read. What has ended, was refused or ran on demand
 * is answered here; nobody else will hear of it.
 *
 * @internal
 */
import { awaitAll } from "@bedrock-batch/sdk/awaitAll"
import { type EndedJob, isTerminal, type Job, type RefusedJob, type SubmittedJob } from "@bedrock-batch/sdk/Job"
import { Ledger } from "@bedrock-batch/sdk/Ledger"
import { submit } from "@bedrock-batch/sdk/submit"
import * as Wait from "@bedrock-batch/sdk/wait/Wait"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { Inventory, type TokenItem } from "../Inventory.ts"
import { JobKey } from "../runtime/Events.ts"
import { nameOf } from "../runtime/Failure.ts"
import { Call, handlerOf } from "../runtime/Lambda.ts"
import { measure } from "../runtime/Logging.ts"
import { jobOf } from "../runtime/RunFiles.ts"
import { answer, countEnd, settle } from "../runtime/Settle.ts"

const SubmitEvent = Schema.Struct({
  runId: Schema.NonEmptyString,
  key: JobKey,
  /** ISO 8601; null for none. */
  deadline: Schema.optionalKey(Schema.NullOr(Schema.String)),
  /** How long the task waits. */
  timeoutSeconds: Schema.optionalKey(Schema.Natural),
  token: Schema.NonEmptyString
})

interface SubmitEvent extends Schema.Schema.Type<typeof SubmitEvent> {}

/** What this call wrote, before the job could be created. */
interface Written {
  /** Whether the token may be stored. */
  token: boolean
  /** Whether the job was not in the inventory before. */
  entered: boolean
}

/** Keeps the token before the job may be created, so that no end can be missed. */
const tokensOf = Effect.fnUntraced(
  function*(item: TokenItem, deadline: string | null, seconds: number, written: Written) {
    const inventory = yield* Inventory
    return Wait.TaskTokens.of({
      register: Effect.fnUntraced(function*({ timeoutHours }: Job) {
        const { clientToken, jobKey, name, runId } = item
        written.entered = yield* inventory.enter({ name, runId, jobKey, clientToken, deadline, timeoutHours })
        written.token = true
        yield* inventory.store(item, seconds)
      })
    })
  }
)

/** Takes a job out of the inventory that Bedrock does not have: nobody would ever see its end. */
const leave = Effect.fnUntraced(function*({ key, name, runId }: Job) {
  const { jobs } = yield* (yield* Ledger).entries(runId, `${key}.`)
  const { accepted, claims, ended } = jobs.get(key) ?? { accepted: false, claims: [], ended: false }
  // A call without an answer may have made it.
  if (accepted || ended || claims.some(({ refused }) => !refused)) return
  yield* (yield* Inventory).leave(name)
})

/** What a job came to, or null; and whether it is left to this call to answer the task. */
interface Standing {
  readonly status: string | null
  readonly isMine: boolean
}

const open: Standing = { status: null, isMine: false }

const mine = (status: string): Standing => ({ status, isMine: true })

/** Submits the job, or adopts it, and looks where it stands. */
const standing = Effect.fnUntraced(function*(job: Job, item: TokenItem, event: SubmitEvent) {
  const inventory = yield* Inventory
  const deadline = event.deadline ?? null
  const written: Written = { token: false, entered: false }
  const tokens = yield* tokensOf(item, deadline, event.timeoutSeconds ?? job.timeoutHours * 3600, written)
  const [submitted] = yield* awaitAll([submit(job)], {
    wait: Wait.taskToken(item.token),
    whenFull: "fail",
    deadline: deadline === null ? undefined : new Date(deadline),
    rescue: "stop"
  }).pipe(
    Effect.provideService(Wait.TaskTokens, tokens),
    Effect.tapError(() => written.token ? Effect.ignore(leave(job)) : Effect.void),
    // The task fails with this call, so nobody waits for the token. If it stays, an answer to it is no error.
    Effect.onExit((exit) =>
      Exit.isFailure(exit) && written.token ? Effect.ignore(inventory.takeBack(item)) : Effect.void
    )
  )
  if (submitted === undefined) return open
  if (isRefused(submitted)) {
    yield* inventory.leave(job.name)
    yield* countEnd(submitted.status)
    return mine(submitted.status)
  }
  if (job.lane === "on-demand") {
    yield* measure({ JobsSubmitted: 1, JobsEnded: 1, JobsFailed: 0 })
    return mine("OnDemand")
  }
  if (isEnded(submitted)) return mine(submitted.status)
  const { adopted, arn, submittedAt } = submitted
  const { timeoutHours } = job
  yield* inventory.advance({ ...item, deadline, timeoutHours }, { status: "Submitted", arn, submittedAt })
  // Whoever heard of its end before the token was there has moved it.
  const { status = "" } = (yield* inventory.read(job.name)) ?? {}
  if (isTerminal(status)) return mine(status)
  // The event of a job that was there before may be gone.
  if (written.entered && !adopted) return open
  const settled = yield* settle(job.name, arn)
  const told: Standing = settled._tag === "Ended" ? { status: settled.status, isMine: false } : open
  return told
})

type Submitted = SubmittedJob | EndedJob | RefusedJob

const isRefused = (job: Submitted): job is RefusedJob => "status" in job && job.status === "Refused"

const isEnded = (job: Submitted): job is EndedJob => "status" in job && isTerminal(job.status)

/** @internal */
export const handler = handlerOf({ name: "submit", event: SubmitEvent }, Effect.fnUntraced(function*(event) {
  const { job } = yield* jobOf(event.runId, event.key)
  const { requestId } = yield* Call
  const item: TokenItem = {
    name: job.name,
    runId: job.runId,
    jobKey: job.key,
    clientToken: job.token,
    token: event.token,
    by: requestId
  }
  const { isMine, status } = yield* standing(job, item, event).pipe(
    Effect.tapError((failure) => nameOf(failure) === "CapacityFull" ? measure({ CapacityWaits: 1 }) : Effect.void)
  )
  if (isMine && status !== null) yield* answer(item, status)
  return { key: job.key, status }
}))
