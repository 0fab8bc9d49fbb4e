/**
 * Verb 2: one job, as a value; running it pays at most once, however often and wherever it is run.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { Services } from "./Aws.ts"
import { BatchError, InvalidOption, RunConflict, Undecided } from "./BatchError.ts"
import { BatchJobs, type CreateRequest, toBatchError } from "./bedrock/BatchJobs.ts"
import { OnDemand } from "./bedrock/OnDemand.ts"
import { checkFiles } from "./internal/CheckFiles.ts"
import { runOnDemand } from "./internal/OnDemandJob.ts"
import { lookFor, requestOf, settleClaims, unsettledClaims, waitToSettle } from "./internal/SettleClaims.ts"
import type { EndedJob, Job, SubmittedJob } from "./Job.ts"
import { Ledger, type Refusal } from "./Ledger.ts"
import { tellSubmitted } from "./Progress.ts"
import { Capacity } from "./schedule/Capacity.ts"
import { ObjectStore } from "./store/ObjectStore.ts"

/**
 * An effect that also says which job it submits: the scheduler orders, looks in the ledger and takes a slot before it
 * runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Submission<out R = never> extends Effect.Effect<SubmittedJob | EndedJob, BatchError, R> {
  readonly job: Job
  /** The services that it is bound to (see `submitWith`); null for those of whoever runs it. */
  readonly services: Context.Context<Services> | null
}

type Running<R> = Effect.Effect<SubmittedJob | EndedJob, BatchError, R>

/** Of a submission that waits only this much is there: its effect is made when it is run. */
class SubmissionEffect<R> extends Effectable.Class<SubmittedJob | EndedJob, BatchError, R> implements Submission<R> {
  readonly job: Job
  readonly services: Context.Context<Services> | null
  readonly #run: (job: Job) => Running<R>
  constructor(job: Job, services: Context.Context<Services> | null, run: (job: Job) => Running<R>) {
    super()
    this.job = job
    this.services = services
    this.#run = run
  }
  asEffect() {
    return this.#run(this.job)
  }
}

/**
 * Describes submitting a job: nothing happens until it is run, by `awaitAll` when a slot is free, or by itself.
 *
 * What the ledger knows is returned, not sent again: an ended job, or one that Bedrock has accepted. Else the input
 * folder is checked against the manifest (Bedrock bills every `.jsonl` it finds there), the request is stored, the
 * right to send it is claimed, and it is sent. After a call without an answer Bedrock's list decides; until it can,
 * this waits, also when the run is cancelled: a job that exists is paid for, and is returned.
 *
 * A job on demand, of records too few for a batch job, is run to its end: its records are asked for one by one, by one
 * process at a time. Answers are stored every few seconds; calls that a process which died may have made are made again
 * and counted in `repeatedCalls`. Running it again goes on where it was. Cancelled meanwhile, it ends as `Stopped`.
 *
 * Fails with `Refused` when Bedrock says no, `Unavailable` (`quota`, `throttled`) when it says not now, `RunConflict`
 * (`cancelled`, when the run or the job's attempt is, and the job does not exist), `Damaged` when the inputs are not
 * what `prepare` wrote, `Undecided` when several calls in a row had no answer that can be read. It has one parameter for
 * ever, for `run.jobs.map(submit)`.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { awaitAll, type Run, submit } from "@bedrock-batch/sdk"
 *
 * declare const run: Run.Run<{ readonly topic: string }>
 *
 * const jobs = awaitAll(run.jobs.map(submit), { concurrency: 20 })
 * ```
 */
export const submit = (job: Job): Submission<BatchJobs | OnDemand | Ledger | ObjectStore> =>
  new SubmissionEffect(job, null, submitOnce)

/**
 * Describes submitting jobs with services of their own, where those of one call are of several Regions: each Region has
 * a client, a bucket and quotas of its own. `awaitAll` reads the ledger of such a job, waits for it, stops it and runs
 * `onEnded` for it with these services, too. Pass the same context for all jobs of a Region.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Aws, awaitAll, collect, prepare, Prompt, Source, submit, submitWith } from "@bedrock-batch/sdk"
 * import { Effect, Layer } from "effect"
 *
 * const roleArn = "arn:aws:iam::123456789012:role/bedrock-batch"
 * const definition = {
 *   name: "jokes",
 *   source: Source.csv("topics.csv"),
 *   model: "anthropic.claude-haiku-4-5-20251001-v1:0",
 *   prompt: Prompt.make("Tell me a joke about {topic}.")
 * } as const
 *
 * const program = Effect.gen(function*() {
 *   const west = yield* Layer.build(Aws.layer({ region: "us-west-2", bucket: "my-bucket-west", roleArn }))
 *   const here = yield* prepare(definition)
 *   const there = yield* Effect.provideContext(prepare({ ...definition, name: "jokes-west" }), west)
 *   const jobs = yield* awaitAll([...here.jobs.map(submit), ...there.jobs.map(submitWith(west))], { concurrency: 20 })
 *   const mine = jobs.filter(({ runId }) => runId === there.id)
 *   return yield* Effect.provideContext(collect(there, mine), west)
 * })
 *
 * const scoped = Effect.scoped(program).pipe(
 *   Effect.provide(Aws.layer({ region: "us-east-1", bucket: "my-bucket-east", roleArn }))
 * )
 * ```
 */
export const submitWith = (services: Context.Context<Services>): (job: Job) => Submission => {
  // A context may hold more, such as the listener or the scope of whoever made it.
  const own = Context.pick(BatchJobs, Capacity, Ledger, ObjectStore, OnDemand)(services)
  const run = (job: Job) => Effect.provideContext(submitOnce(job), own)
  return (job) => new SubmissionEffect(job, own, run)
}

/**
 * Changes how a submission runs (retry, log, time out) and keeps its job.
 *
 * @since 0.1.0
 * @category combinators
 */
export const mapSubmission = <R, R2>(
  self: Submission<R>,
  f: (
    effect: Effect.Effect<SubmittedJob | EndedJob, BatchError, R>
  ) => Effect.Effect<SubmittedJob | EndedJob, BatchError, R2>
): Submission<R2> => new SubmissionEffect(self.job, self.services, () => f(self))

const fail = (reason: BatchError["reason"]) => new BatchError({ module: "submit", method: "submit", reason })

const submitOnce = Effect.fn("submit")(function*(job: Job) {
  yield* Effect.annotateCurrentSpan({ run: job.runId, job: job.key, attempt: job.attempt })
  const ledger = yield* Ledger
  const jobs = yield* BatchJobs
  const isOnDemand = job.lane === "on-demand"
  const { region } = isOnDemand ? yield* OnDemand : jobs
  if (region !== job.region) {
    return yield* fail(
      new InvalidOption({
        path: "region",
        message: `job ${job.key} of run ${job.runId} was prepared for Region ${job.region}, and the client is for ` +
          `${region}: run it with the services of its Region (submitWith binds it to them)`
      })
    )
  }
  if (isOnDemand) return yield* runOnDemand(job)
  const capacity = yield* Effect.serviceOption(Capacity)
  let request: CreateRequest | null = null
  let unanswered = 0
  /** When the list that showed no job of ours began; null when none was needed. */
  let listedAt: number | null = null
  for (;;) {
    const { at, cancelled, entry } = yield* ledger.look(job)
    if (entry.ended) {
      const ended = yield* ledger.ended(job)
      if (ended !== null) return ended
    }
    if (entry.accepted) {
      const accepted = yield* ledger.accepted(job)
      if (accepted !== null) return yield* tellSubmitted(accepted, "known")
    }
    if (cancelled) {
      const settlement = yield* settleClaims(job)
      return yield* "adopted" in settlement
        ? tellSubmitted(settlement.adopted, "found")
        : fail(conflict(job, settlement.none === "by-list"))
    }
    if (request === null) {
      // Who claims a call that he never makes, to free a slot, has looked at nothing.
      if (entry.claims.length === 0 || !entry.intended) yield* checkFiles(job)
      request = yield* ledger.intend(job, yield* requestOf(job))
    }
    if (unsettledClaims(entry).length > 0) {
      const beganAt = yield* Clock.currentTimeMillis
      const [seen] = yield* lookFor([{ job, request, claims: entry.claims }], at)
      if (seen?._tag === "Found") return yield* tellSubmitted(yield* ledger.accept(seen.job), "found")
      if (seen?._tag === "Wait") {
        yield* waitToSettle(job, seen.millis)
        yield* Effect.sleep(seen.millis)
        continue
      }
      listedAt = beganAt
    } else {
      listedAt = null
    }
    const number = (entry.claims.at(-1)?.number ?? 0) + 1
    if (Option.isSome(capacity) && !(yield* capacity.value.mayClaim(job, number))) continue
    const outcome = yield* Effect.uninterruptible(claimAndSend(job, request, number, listedAt))
    if (outcome === null) continue
    if (outcome._tag === "Accepted") return yield* tellSubmitted(outcome.job, "sent")
    const { error } = outcome
    yield* Effect.logWarning(`job ${job.key} of run ${job.runId}: a create call has no answer: ${error.reason.message}`)
    if (++unanswered >= mostUnanswered) {
      return yield* fail(
        new Undecided({
          job: job.key,
          message: `${unanswered} create calls of job ${job.key} had no answer that can be read; the last: ${error.reason.message}`,
          cause: error
        })
      )
    }
  }
})

/** So many create calls without an answer, each settled by Bedrock's list, and one submission gives up. */
const mostUnanswered = 3

/** `byList`: there were calls without an answer, and Bedrock's list alone says that they made no job. */
const conflict = ({ attempt, key, runId }: Job, byList: boolean) =>
  new RunConflict({
    runId,
    problem: "cancelled",
    differs: [],
    message: `run ${runId}, or its attempt ${attempt}, is cancelled: job ${key} is not submitted` +
      (byList ? "; a create call of it had no answer, and Bedrock's list shows no job" : "")
  })

type Outcome =
  | { readonly _tag: "Accepted"; readonly job: SubmittedJob }
  | { readonly _tag: "Unanswered"; readonly error: BatchError }

/**
 * One claim and at most one create call. Null when nothing was sent (somebody else has the claim, or it was given up):
 * the ledger is to be read again, as after a call whose answer is unknown.
 */
const claimAndSend = Effect.fnUntraced(
  function*(
    job: Job,
    request: CreateRequest,
    number: number,
    listedAt: number | null
  ): Effect.fn.Return<Outcome | null, BatchError, Ledger | BatchJobs> {
    const ledger = yield* Ledger
    const jobs = yield* BatchJobs
    const beganAt = yield* Clock.currentTimeMillis
    if (!(yield* ledger.claim(job, number))) return null
    const seen = yield* Effect.result(ledger.look(job))
    if (seen._tag === "Failure") {
      yield* Effect.ignore(ledger.refuse(job, number, notSent("the ledger could not be read")))
      return yield* seen.failure
    }
    const { at, cancelled, entry } = seen.success
    const mine = entry.claims.find((claim) => claim.number === number)
    const tooOld = mine === undefined || at - mine.at > ledger.sendWithin
    // By the own clock, too: the list that showed no job, or this process, may have stood still since.
    const stale = (yield* Clock.currentTimeMillis) - (listedAt ?? beganAt) > ledger.sendWithin
    if (entry.accepted || entry.ended || cancelled || tooOld || stale) {
      const why = entry.accepted || entry.ended
        ? "the job is accepted already"
        : cancelled
        ? "the run is cancelled"
        : "too much time passed between the claim and the call"
      yield* ledger.refuse(job, number, notSent(why))
      return null
    }
    const answer = yield* Effect.result(call(jobs.create(request)))
    if (answer._tag === "Success") {
      const now = yield* Clock.currentTimeMillis
      const submittedAt = new Date(now).toISOString()
      const accepted = yield* ledger.accept({ ...job, arn: answer.success.arn, submittedAt, adopted: false })
      return { _tag: "Accepted", job: accepted }
    }
    const reason = answer.failure.reason
    const refused = reason._tag === "Refused" ||
      (reason._tag === "Unavailable" && (reason.code === "quota" || reason.code === "throttled"))
    if (!refused) return { _tag: "Unanswered", error: answer.failure }
    yield* ledger.refuse(job, number, { version: 1, sent: true, code: reason.code, message: reason.message })
    return yield* answer.failure
  }
)

const notSent = (message: string): Refusal => ({ version: 1, sent: false, code: "NotSent", message })

/** The longest time, in milliseconds, that a create call may take: `settleAfter` of the ledger counts on it. */
const callLimit = 60_000

/**
 * Runs the create call to its end even when the submission is interrupted, so that its answer reaches the ledger; after
 * the limit it is given up.
 */
const call = <A>(create: Effect.Effect<A, BatchError>): Effect.Effect<A, BatchError> =>
  create.pipe(
    Effect.timeoutOrElse({
      duration: callLimit,
      orElse: () =>
        Effect.fail(toBatchError("create", { code: null, status: null, message: `no answer within ${callLimit} ms` }))
    }),
    Effect.forkDetach({ startImmediately: true }),
    Effect.flatMap(Fiber.join)
  )
