/**
 * The durable record of every job: what was intended, claimed, refused, accepted and how it ended.
 *
 * It is made of objects that are written once (`<runId>/jobs/<jobKey>.intent`, `.claim-<n>`, `.refused-<n>`, `.arn`,
 * `.end`): the state is which objects exist, so it only moves forward, one list rebuilds it, and nothing needs a lock.
 * Where nothing more is sent of an attempt, `.unlisted-<n>` says that Bedrock's list shows no job for claims without an
 * answer.
 * The claims of a job on demand are leases: each says who may make calls, and for which records. Such a job has no
 * intent, no refusals and no ARN.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { BatchError } from "./BatchError.ts"
import { CreateRequest } from "./bedrock/BatchJobs.ts"
import { stored } from "./internal/Stored.ts"
import * as Layout from "./internal/Layout.ts"
import { EndedJob, type Job, SubmittedJob } from "./Job.ts"
import { type Listing, type ObjectInfo, ObjectStore } from "./store/ObjectStore.ts"

/**
 * Schema for why a claimed create call gave no job: `sent` tells whether it was sent at all.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Refusal = Schema.Struct({
  version: Schema.Literal(1),
  sent: Schema.Boolean,
  /** The service's error name; `NotSent` for a call that was given up before it was sent. */
  code: Schema.String,
  message: Schema.String
})

/**
 * Why a claimed create call gave no job.
 *
 * @since 0.1.0
 * @category models
 */
export interface Refusal extends Schema.Schema.Type<typeof Refusal> {}

/**
 * Schema for the content of a claim of a job on demand: the right of one process to make its calls, for as long as the
 * claim is the newest and younger than `leaseFor`, and for the records below `upTo` only. So whoever takes over knows
 * which calls may have been made.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Lease = Schema.Struct({
  version: Schema.Literal(1),
  /** 1 is the first. */
  number: Schema.Natural,
  /** Fresh id of one execution: its claims carry the same. */
  owner: Schema.String,
  /** Position in the job, from 0 and exclusive, up to which calls may have been made. */
  upTo: Schema.Natural,
  /** Calls of the job, under this claim and all before, that may have been paid for before they were made again. */
  repeats: Schema.Natural,
  /** Whether the owner has stopped: nobody makes calls under this claim, and the next one may follow at once. */
  released: Schema.Boolean
})

/**
 * The content of a claim of a job on demand.
 *
 * @since 0.1.0
 * @category models
 */
export interface Lease extends Schema.Schema.Type<typeof Lease> {}

/**
 * One claim: of the right to make one create call, or of the right to make the calls of a job on demand.
 *
 * @since 0.1.0
 * @category models
 */
export interface Claim {
  /** 1 is the first. */
  readonly number: number
  /** When it was written, by the store's clock, in milliseconds since 1970. */
  readonly at: number
  /** Whether the call is known to have given no job; never so for a job on demand. */
  readonly refused: boolean
}

/**
 * What the ledger holds of one job: which objects exist.
 *
 * @since 0.1.0
 * @category models
 */
export interface Entry {
  readonly intended: boolean
  /** In order of their numbers. */
  readonly claims: ReadonlyArray<Claim>
  readonly accepted: boolean
  readonly ended: boolean
  /** The claims up to this number made no job, by Bedrock's list; 0 where that is not recorded. */
  readonly unlisted: number
}

/**
 * The entries of a run's jobs, as one list showed them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Entries {
  /** By job key; a job without any object is absent. */
  readonly jobs: ReadonlyMap<string, Entry>
  /** The store's clock when the list began, in milliseconds since 1970. */
  readonly at: number
}

/**
 * The service. It needs nothing but the store.
 *
 * @since 0.1.0
 * @category services
 */
export class Ledger extends Context.Service<Ledger, {
  /** Age, in milliseconds by the store's clock, from which a claim without an answer may be settled by a full list. */
  readonly settleAfter: number
  /** A claim older than this, in milliseconds by the store's clock, is given up instead of sent. */
  readonly sendWithin: number
  /**
   * Age, in milliseconds by the store's clock, up to which the newest claim of a job on demand keeps all others from
   * making its calls.
   */
  readonly leaseFor: number
  /**
   * The entries of a run: all, those of the jobs whose keys begin as `keys` says, or that of the one job whose key it is
   * with a period behind it.
   */
  readonly entries: (runId: string, keys?: string) => Effect.Effect<Entries, BatchError>
  /**
   * The entry of one job, the time of the list that showed it, and whether nothing more is submitted of the run or of
   * the job's attempt.
   */
  readonly look: (
    job: Job
  ) => Effect.Effect<{ readonly entry: Entry; readonly at: number; readonly cancelled: boolean }, BatchError>
  /** Stores the create request; gives the one that was stored first. */
  readonly intend: (job: Job, request: CreateRequest) => Effect.Effect<CreateRequest, BatchError>
  /** Claims the right to make create call `number`; false when somebody else has it. */
  readonly claim: (job: Pick<Job, "runId" | "key">, number: number) => Effect.Effect<boolean, BatchError>
  /**
   * Claims a job on demand; false when somebody else has the number. The same lease may be written again after a
   * failure.
   */
  readonly lease: (job: Job, lease: Lease) => Effect.Effect<boolean, BatchError>
  /** What claim `number` of a job on demand says, or null. */
  readonly leased: (job: Job, number: number) => Effect.Effect<Lease | null, BatchError>
  /** Records that the call of claim `number` gave no job. */
  readonly refuse: (
    job: Pick<Job, "runId" | "key">,
    number: number,
    refusal: Refusal
  ) => Effect.Effect<void, BatchError>
  /** The refusal of claim `number`, or null. */
  readonly refusal: (job: Pick<Job, "runId" | "key">, number: number) => Effect.Effect<Refusal | null, BatchError>
  /** Records that Bedrock's list shows no job for the claims up to `number`, of a job of which nothing more is sent. */
  readonly unlist: (job: Pick<Job, "runId" | "key">, number: number) => Effect.Effect<void, BatchError>
  /** Records Bedrock's ARN; gives the job as it was recorded first. */
  readonly accept: (job: SubmittedJob) => Effect.Effect<SubmittedJob, BatchError>
  /** The job as accepted, or null. */
  readonly accepted: (job: Pick<Job, "runId" | "key">) => Effect.Effect<SubmittedJob | null, BatchError>
  /** Records the end; gives the job as it was recorded first. */
  readonly end: (job: EndedJob) => Effect.Effect<EndedJob, BatchError>
  /** The job as ended, or null. */
  readonly ended: (job: Pick<Job, "runId" | "key">) => Effect.Effect<EndedJob | null, BatchError>
}>()("@bedrock-batch/sdk/Ledger") {}

const Claimed = Schema.Struct({ version: Schema.Literal(1), number: Schema.Natural })

const requests = stored("Ledger", CreateRequest)
const claims = stored("Ledger", Claimed)
const leases = stored("Ledger", Lease)
const refusals = stored("Ledger", Refusal)
const submittedJobs = stored("Ledger", SubmittedJob)
const endedJobs = stored("Ledger", EndedJob)

const keyOf = (job: Pick<Job, "runId" | "key">, suffix: string) => `${Layout.ledger(job.runId)}${job.key}.${suffix}`

const empty: Entry = { intended: false, claims: [], accepted: false, ended: false, unlisted: 0 }

const named = /^(.+)\.(intent|arn|end|claim-(\d+)|refused-(\d+)|unlisted-(\d+))$/

/** Rebuilds entries from the objects under `<runId>/jobs/`. */
const rebuild = (prefix: string, objects: ReadonlyArray<ObjectInfo>): Map<string, Entry> => {
  const drafts = new Map<string, {
    intended: boolean
    claims: Map<number, number>
    refused: Set<number>
    accepted: boolean
    ended: boolean
    unlisted: number
  }>()
  for (const { key, modifiedAt } of objects) {
    const match = named.exec(key.slice(prefix.length))
    if (match === null) continue
    const jobKey = match[1]!
    let draft = drafts.get(jobKey)
    if (draft === undefined) {
      draft = { intended: false, claims: new Map(), refused: new Set(), accepted: false, ended: false, unlisted: 0 }
      drafts.set(jobKey, draft)
    }
    if (match[3] !== undefined) draft.claims.set(Number(match[3]), modifiedAt)
    else if (match[4] !== undefined) draft.refused.add(Number(match[4]))
    else if (match[5] !== undefined) draft.unlisted = Math.max(draft.unlisted, Number(match[5]))
    else if (match[2] === "intent") draft.intended = true
    else if (match[2] === "arn") draft.accepted = true
    else draft.ended = true
  }
  const entries = new Map<string, Entry>()
  for (const [jobKey, draft] of drafts) {
    entries.set(jobKey, {
      intended: draft.intended,
      accepted: draft.accepted,
      ended: draft.ended,
      unlisted: draft.unlisted,
      claims: [...draft.claims]
        .map(([number, at]) => ({ number, at, refused: draft.refused.has(number) }))
        .sort((a, b) => a.number - b.number)
    })
  }
  return entries
}

/** The objects of one job, by their names: a folder with those of thousands of jobs is not read for it. */
const byNames = Effect.fnUntraced(function*(store: ObjectStore["Service"], job: Pick<Job, "runId" | "key">) {
  const found: Array<ObjectInfo> = []
  const look = Effect.fnUntraced(function*(suffixes: ReadonlyArray<string>) {
    const seen = yield* Effect.forEach(suffixes, (suffix) => store.head(keyOf(job, suffix)), {
      concurrency: "unbounded"
    })
    for (const info of seen) if (info !== null) found.push(info)
    return seen
  })
  yield* look(["intent", "arn", "end"])
  // No number is left out: claim `n + 1` is written by who has seen claim `n`.
  for (let number = 1, many = 1;; number += many, many *= 2) {
    const numbers = Array.from({ length: many }, (_, i) => number + i)
    const claimed = yield* look(numbers.map((number) => `claim-${number}`))
    const there = numbers.filter((_, i) => claimed[i] !== null)
    yield* look(there.flatMap((number) => [`refused-${number}`, `unlisted-${number}`]))
    if (there.length < many) return found
  }
})

/**
 * Options of `layer`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface Options {
  /** Default 5 minutes: more than `sendWithin`, the longest call (60 s) and the lag of Bedrock's list together. */
  readonly settleAfter?: Duration.Input | undefined
  /** Default 30 seconds. */
  readonly sendWithin?: Duration.Input | undefined
  /**
   * How long the calls of a job on demand stay with a process that is not heard of, at least half a minute. The same in
   * all processes of a run. Default 2 minutes.
   */
  readonly leaseFor?: Duration.Input | undefined
}

/**
 * Layer of the ledger over the store.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<Ledger, never, ObjectStore> =>
  Layer.effect(
    Ledger,
    Effect.gen(function*() {
      const store = yield* ObjectStore
      /** The marks that say of what nothing more is submitted: a short list, and the store's clock. */
      const marksOf = (runId: string) => store.list(Layout.cancelled(runId))
      /** What there is of one job; `at` is the time of an earlier list. */
      const objectsOf = (job: Pick<Job, "runId" | "key">, at: number): Effect.Effect<Listing, BatchError> =>
        store.listsFolders === true
          ? Effect.map(byNames(store, job), (objects) => ({ objects, at }))
          : store.list(`${Layout.ledger(job.runId)}${job.key}.`)
      const entries = Effect.fn("Ledger.entries")(function*(runId: string, keys = "") {
        const prefix = Layout.ledger(runId)
        const listing = yield* store.listsFolders === true && keys.endsWith(".")
          ? Effect.flatMap(marksOf(runId), ({ at }) => objectsOf({ runId, key: keys.slice(0, -1) }, at))
          : store.list(prefix + keys)
        return { jobs: rebuild(prefix, listing.objects), at: listing.at }
      })
      const look = Effect.fn("Ledger.look")(function*(job: Job) {
        const prefix = Layout.ledger(job.runId)
        const marks = yield* marksOf(job.runId)
        const ours = [Layout.cancelled, Layout.cancelledAttempt, Layout.superseded]
          .map((keyOf) => keyOf(job.runId, job.attempt))
        const listing = yield* objectsOf(job, marks.at)
        return {
          entry: rebuild(prefix, listing.objects).get(job.key) ?? empty,
          at: listing.at,
          cancelled: marks.objects.some(({ key }) => ours.includes(key))
        }
      })
      return Ledger.of({
        settleAfter: Duration.toMillis(Duration.fromInputUnsafe(options?.settleAfter ?? "5 minutes")),
        sendWithin: Duration.toMillis(Duration.fromInputUnsafe(options?.sendWithin ?? "30 seconds")),
        leaseFor: Duration.toMillis(Duration.fromInputUnsafe(options?.leaseFor ?? "2 minutes")),
        entries,
        look,
        intend: Effect.fn("Ledger.intend")(function*(job, request) {
          return (yield* requests.createOrRead(store, keyOf(job, "intent"), request)).value
        }),
        claim: Effect.fn("Ledger.claim")(function*(job, number) {
          return (yield* store.create(keyOf(job, `claim-${number}`), claims.encode({ version: 1, number }))).created
        }),
        lease: Effect.fn("Ledger.lease")(function*(job, lease) {
          const { value } = yield* leases.createOrRead(store, keyOf(job, `claim-${lease.number}`), lease)
          return value.owner === lease.owner
        }),
        leased: (job, number) => leases.read(store, keyOf(job, `claim-${number}`)),
        refuse: Effect.fn("Ledger.refuse")(function*(job, number, refusal) {
          yield* store.create(keyOf(job, `refused-${number}`), refusals.encode(refusal))
        }),
        unlist: Effect.fn("Ledger.unlist")(function*(job, number) {
          yield* store.create(keyOf(job, `unlisted-${number}`), claims.encode({ version: 1, number }))
        }),
        refusal: (job, number) => refusals.read(store, keyOf(job, `refused-${number}`)),
        accept: Effect.fn("Ledger.accept")(function*(job) {
          return (yield* submittedJobs.createOrRead(store, keyOf(job, "arn"), job)).value
        }),
        accepted: (job) => submittedJobs.read(store, keyOf(job, "arn")),
        end: Effect.fn("Ledger.end")(function*(job) {
          return (yield* endedJobs.createOrRead(store, keyOf(job, "end"), job)).value
        }),
        ended: (job) => endedJobs.read(store, keyOf(job, "end"))
      })
    })
  )
