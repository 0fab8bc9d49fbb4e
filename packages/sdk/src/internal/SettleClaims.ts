/**
 * What became of create calls without an answer: Bedrock's list decides. Nothing is sent here.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { BatchJobs, type CreateRequest, type JobState } from "../bedrock/BatchJobs.ts"
import type { Job, SubmittedJob } from "../Job.ts"
import { type Claim, type Entry, Ledger } from "../Ledger.ts"
import * as Progress from "../Progress.ts"
import { ObjectStore } from "../store/ObjectStore.ts"

/** Claims whose call is not known to have given no job. @internal */
export const unsettledClaims = (entry: Entry | undefined): ReadonlyArray<Claim> =>
  entry === undefined ? [] : entry.claims.filter((claim) => !claim.refused)

/** The create request of a job, as this client would send it. @internal */
export const requestOf = Effect.fnUntraced(function*(job: Job) {
  const store = yield* ObjectStore
  const jobs = yield* BatchJobs
  const request: CreateRequest = {
    ...jobs.settings,
    jobName: job.name,
    clientRequestToken: job.token,
    modelId: job.model,
    modelInvocationType: job.invocationType,
    inputUri: store.uri(job.input),
    outputUri: store.uri(job.output),
    timeoutHours: job.timeoutHours
  }
  return request
})

/** A job whose claims are to be settled: the request that was stored, and the claims. @internal */
export interface Asked {
  readonly job: Job
  readonly request: CreateRequest
  readonly claims: ReadonlyArray<Claim>
}

/** What one look at Bedrock's list says of a job. @internal */
export type Seen =
  /** It is there. */
  | { readonly _tag: "Found"; readonly job: SubmittedJob; readonly state: JobState }
  /** It may still come: look again after so many milliseconds. */
  | { readonly _tag: "Wait"; readonly millis: number }
  /** It is not there, and will not come. */
  | { readonly _tag: "Nowhere" }

/** The longest pause, in milliseconds, before Bedrock's list is asked again while a claim waits for its answer. */
const settlePause = 15_000

const day = 86_400_000

const same = (uri: string | null, ours: string) => uri !== null && uri.replace(/\/$/, "") === ours.replace(/\/$/, "")

const isOf = (state: JobState, request: CreateRequest): boolean =>
  same(state.inputUri, request.inputUri) && same(state.outputUri, request.outputUri) &&
  (state.token === null || state.token === request.clientRequestToken)

/**
 * Looks for jobs of one run in Bedrock's whole list, by one list for all of them: by input and output URIs, and by
 * token where it is shown. `at` is the store's clock before the look.
 *
 * @internal
 */
export const lookFor = Effect.fnUntraced(function*(asked: ReadonlyArray<Asked>, at: number) {
  const ledger = yield* Ledger
  const jobs = yield* BatchJobs
  const [first] = asked
  if (first === undefined) return []
  const waiting = new Set(asked)
  const found = new Map<Asked, JobState>()
  yield* jobs.list({
    nameContains: asked.length === 1 ? first.request.jobName : first.job.runId,
    submittedAfter: asked.reduce((oldest, { claims }) => Math.min(oldest, claims[0]!.at), Infinity) - day
  }).pipe(
    Stream.runForEachWhile((state) =>
      Effect.sync(() => {
        for (const one of waiting) {
          if (!isOf(state, one.request)) continue
          waiting.delete(one)
          found.set(one, state)
        }
        return waiting.size > 0
      })
    )
  )
  return asked.map((one): Seen => {
    const state = found.get(one)
    if (state !== undefined) {
      const job: SubmittedJob = { ...one.job, arn: state.arn, submittedAt: state.submittedAt, adopted: true }
      return { _tag: "Found", job, state }
    }
    const youngest = Math.max(...one.claims.filter((claim) => !claim.refused).map((claim) => claim.at))
    const wait = youngest + ledger.settleAfter - at
    if (wait <= 0) return { _tag: "Nowhere" }
    const pause = Math.max(settlePause / 15, Math.min(settlePause, (at - youngest) / 2))
    return { _tag: "Wait", millis: Math.ceil(Math.min(wait, pause)) }
  })
})

/** How the claims of a job were settled. @internal */
export type Settlement =
  /** The job exists. `state` is what Bedrock's list showed of it, where it was asked. */
  | { readonly adopted: SubmittedJob; readonly state: JobState | null }
  /** It does not: Bedrock refused every call, or its list alone says so, or there was none. */
  | { readonly none: "refused" | "by-list" | "never-claimed" }

/** One round of settling: what is settled, and what is to be looked at again after so many milliseconds. @internal */
export interface Round {
  readonly settled: ReadonlyMap<Job, Settlement>
  readonly waiting: ReadonlyArray<Job>
  readonly millis: number
}

/** Calls to the store at a time. */
const concurrency = 16

/**
 * One round of settling jobs of one run of which nothing more is sent, by their entries in the ledger as they were
 * listed at `at`, and by at most one list of Bedrock's jobs. `requests` keeps what was read from one round to the next.
 *
 * @internal
 */
export const settleRound = Effect.fnUntraced(function*(
  jobs: ReadonlyArray<Job>,
  entryOf: (job: Job) => Entry | undefined,
  at: number,
  requests: Map<Job, CreateRequest>
) {
  const ledger = yield* Ledger
  const settled = new Map<Job, Settlement>()
  const asked: Array<Asked> = []
  yield* Effect.forEach(
    jobs,
    Effect.fnUntraced(function*(job) {
      const entry = entryOf(job)
      const accepted = entry?.accepted ? yield* ledger.accepted(job) : null
      if (accepted !== null) settled.set(job, { adopted: accepted, state: null })
      else if (entry === undefined || entry.claims.length === 0) settled.set(job, { none: "never-claimed" })
      else if (unsettledClaims(entry).length === 0) settled.set(job, { none: "refused" })
      else {
        const request = requests.get(job) ?? (yield* ledger.intend(job, yield* requestOf(job)))
        requests.set(job, request)
        asked.push({ job, request, claims: entry.claims })
      }
    }),
    { concurrency, discard: true }
  )
  const seen = yield* lookFor(asked, at)
  const waiting: Array<Job> = []
  let millis = Infinity
  yield* Effect.forEach(
    asked,
    Effect.fnUntraced(function*({ claims, job }, i) {
      const one = seen[i]!
      if (one._tag === "Found") settled.set(job, { adopted: yield* ledger.accept(one.job), state: one.state })
      else if (one._tag === "Nowhere") {
        // Who reads the ledger alone, as another attempt and the results do, would take it for open for ever.
        yield* ledger.unlist(job, claims.at(-1)!.number)
        settled.set(job, { none: "by-list" })
      } else {
        yield* waitToSettle(job, one.millis)
        waiting.push(job)
        millis = Math.min(millis, one.millis)
      }
    }),
    { concurrency, discard: true }
  )
  const round: Round = { settled, waiting, millis }
  return round
})

/** Tells that a job waits until it is known whether it exists. @internal */
export const waitToSettle = ({ key, runId }: Job, millis: number) =>
  Progress.emit({ _tag: "Waiting", runId, job: key, why: "unsettled", millis })

/**
 * Waits until it is known whether a job exists at Bedrock, and sends nothing. It is for jobs whose run or attempt is
 * cancelled: others may be claimed again meanwhile.
 *
 * @internal
 */
export const settleClaims = Effect.fnUntraced(function*(job: Job) {
  const ledger = yield* Ledger
  const requests = new Map<Job, CreateRequest>()
  for (;;) {
    const { at, entry } = yield* ledger.look(job)
    const { millis, settled } = yield* settleRound([job], () => entry, at, requests)
    const settlement = settled.get(job)
    if (settlement !== undefined) return settlement
    yield* Effect.sleep(millis)
  }
})
