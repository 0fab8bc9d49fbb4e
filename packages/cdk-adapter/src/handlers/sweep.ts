/**
 * Looks, every few minutes, at all jobs that are open or have a task that waits: events may be lost, and who hears them
 * may die. Jobs whose deadline is past are stopped. Asked to `rebuild` a run, it makes the run's inventory anew from
 * the ledger.
 *
 * @internal
 */
import type { BatchError } from "@bedrock-batch/sdk/BatchError"
import { BatchJobs } from "@bedrock-batch/sdk/bedrock/BatchJobs"
import { Ledger } from "@bedrock-batch/sdk/Ledger"
import * as Run from "@bedrock-batch/sdk/Run"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Inventory, type JobItem } from "../Inventory.ts"
import { nameOf } from "../runtime/Failure.ts"
import { handlerOf } from "../runtime/Lambda.ts"
import { measure } from "../runtime/Logging.ts"
import type { Services } from "../runtime/Services.ts"
import { settle } from "../runtime/Settle.ts"

/** Jobs that are looked at at a time. */
const concurrency = 8

/** Milliseconds that a job may take beside its timeout before it is thought to be stuck. */
const slack = 2 * 3_600_000

const isStuck = (job: JobItem | null, now: number): boolean =>
  job !== null && job.submittedAt !== null && now > Date.parse(job.submittedAt) + job.timeoutHours * 3_600_000 + slack

const isLate = (job: JobItem | null, now: number): boolean =>
  job !== null && job.deadline !== null && now >= Date.parse(job.deadline)

const sweepOne = Effect.fnUntraced(function*(name: string) {
  const inventory = yield* Inventory
  const settled = yield* settle(name, null)
  if (settled._tag !== "Open") return { settled, stuck: false, stopped: false }
  const now = yield* Clock.currentTimeMillis
  const job = yield* inventory.read(name)
  const late = isLate(job, now) && settled.status !== "Stopping"
  if (late) {
    const jobs = yield* BatchJobs
    yield* Effect.logInfo(`job ${name} is stopped: its deadline is past`)
    yield* jobs.stop(settled.arn)
  }
  return { settled, stuck: isStuck(job, now), stopped: late }
})

const sweep = Effect.gen(function*() {
  const names = yield* (yield* Inventory).open
  let failures = 0
  const all = yield* Effect.forEach(names, (name) =>
    sweepOne(name).pipe(
      // One job's trouble is not the others'.
      Effect.catch((failure) => {
        failures++
        const message = `job ${name} could not be looked at: ${nameOf(failure)}: ${failure.message}`
        return Effect.as(Effect.logWarning(message), null)
      })
    ), { concurrency })
  const seen = all.filter((one) => one !== null)
  const found = seen.filter(({ settled }) => settled._tag === "Ended" && (settled.moved || settled.answered > 0)).length
  const open = seen.filter(({ settled }) => settled._tag === "Open").length
  const stuck = seen.filter(({ stuck }) => stuck).length
  yield* measure({ JobsOpen: open, JobsStuck: stuck, SweepFinds: found })
  const stopped = seen.filter(({ stopped }) => stopped).length
  const answer = { looked: names.length, open, found, stuck, stopped, failures }
  yield* Effect.logInfo("swept").pipe(Effect.annotateLogs(answer))
  return answer
})

/** Enters the jobs of a run that Bedrock has, as the ledger knows them; those that are there are left as they are. */
const rebuild = Effect.fnUntraced(function*(runId: string) {
  const inventory = yield* Inventory
  const ledger = yield* Ledger
  const last = yield* Run.open(runId)
  let entered = 0
  for (let attempt = 1; attempt <= last.attempt; attempt++) {
    const { jobs } = yield* Run.load(runId, { attempt })
    const { jobs: entries } = yield* ledger.entries(runId, `${attempt}-`)
    const isThere = (key: string) => entries.get(key)?.accepted || entries.get(key)?.ended
    const there = jobs.filter(({ key, lane }) => lane === "batch" && isThere(key))
    yield* Effect.forEach(there, Effect.fnUntraced(function*(job) {
      const known = (entries.get(job.key)?.ended ? yield* ledger.ended(job) : null) ?? (yield* ledger.accepted(job))
      if (known === null) return
      const id = { name: job.name, runId, jobKey: job.key, clientToken: job.token, timeoutHours: job.timeoutHours }
      const status = "status" in known && typeof known.status === "string" ? known.status : "Submitted"
      const { arn, submittedAt } = known
      if (yield* inventory.advance(id, { status, arn, submittedAt })) entered++
    }), { concurrency, discard: true })
  }
  return { runId, entered }
})

/** EventBridge's scheduled event, or the run to rebuild. */
const SweepEvent = Schema.Struct({ rebuild: Schema.optionalKey(Schema.NonEmptyString) })

/** @internal */
export const handler = handlerOf(
  { name: "sweep", event: SweepEvent },
  (event): Effect.Effect<object, BatchError, Services> =>
    event.rebuild === undefined ? sweep : rebuild(event.rebuild)
)
