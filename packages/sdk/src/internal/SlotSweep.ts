/**
 * Which slots are held for nothing: by jobs that are over, and by claims that came to nothing or never will be.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { BatchError } from "../BatchError.ts"
import { BatchJobs, type JobState } from "../bedrock/BatchJobs.ts"
import type { SubmittedJob } from "../Job.ts"
import { type Entry, Ledger, type Refusal } from "../Ledger.ts"
import { ObjectStore } from "../store/ObjectStore.ts"
import * as Layout from "./Layout.ts"
import { manifests, readAllJobs } from "./Manifest.ts"
import { endOf } from "./RecordEnds.ts"
import { lookFor, requestOf, unsettledClaims } from "./SettleClaims.ts"
import type { Holder, Place } from "./SlotObjects.ts"

/** A slot and who holds it. @internal */
export interface Held {
  readonly place: Place
  readonly holder: Holder
  /** When it was taken, by the store's clock, in milliseconds since 1970. */
  readonly at: number
  /** Whether this process waits for the job's end itself. */
  readonly isWatched: boolean
}

/** Calls to the store at a time. */
const concurrency = 8

/** Bedrock's clock and ours may differ by so much, in milliseconds. */
const clockMargin = 15 * 60_000

const abandoned: Refusal = {
  version: 1,
  sent: false,
  code: "NotSent",
  message: "whoever took a slot of the quota for this call did not claim it"
}

/** A holder as the ledger shows it. */
interface Judged extends Held {
  readonly verdict: Verdict
  /** Whether the claim that it holds the slot for was there. */
  readonly isClaimed: boolean
  /** When the job was claimed first, by the store's clock; Infinity for never. */
  readonly since: number
}

type Verdict =
  | "over"
  | "holds"
  /** The job is at Bedrock: it may have ended there. */
  | "open"
  /** The claim is of a call without an answer, or there are such claims before it: Bedrock's list decides. */
  | "unsettled"
  /** All claims before it came to nothing, and it is long that it was to be written. */
  | "unclaimed"
  /** The job is at Bedrock by another claim than this, which is not there. */
  | "surplus"

const verdict = (
  { at, holder }: Held,
  entry: Entry | undefined,
  now: number,
  settleAfter: number,
  claimWithin: number
): Verdict => {
  const claims = entry?.claims ?? []
  const last = claims.at(-1)?.number ?? 0
  if (entry?.ended) return "over"
  const mine = claims.find(({ number }) => number === holder.claim)
  if (mine?.refused) return "over"
  if (entry?.accepted) return mine === undefined ? "surplus" : "open"
  // The next one was claimed when it was settled.
  if (mine !== undefined && (holder.claim < last || holder.claim <= (entry?.unlisted ?? 0))) return "over"
  // It was to be written in a ledger that was deleted since.
  if (holder.claim > last + 1) return "over"
  if (mine === undefined && now - at < claimWithin) return "holds"
  const unsettled = unsettledClaims(entry)
  if (unsettled.some((claim) => now - claim.at < settleAfter)) return "holds"
  return unsettled.length > 0 ? "unsettled" : "unclaimed"
}

const commonStart = (keys: ReadonlyArray<string>): string => {
  const [first = "", ...others] = keys
  let length = first.length
  for (const key of others) while (!key.startsWith(first.slice(0, length))) length--
  return first.slice(0, length)
}

const byRun = <A extends Held>(held: ReadonlyArray<A>): ReadonlyMap<string, ReadonlyArray<A>> => {
  const runs = new Map<string, Array<A>>()
  for (const one of held) {
    const same = runs.get(one.holder.runId)
    if (same === undefined) runs.set(one.holder.runId, [one])
    else same.push(one)
  }
  return runs
}

const idOf = ({ job, runId }: Holder): string => `${runId}/${job}`

const jobOf = ({ job, runId }: Holder) => ({ runId, key: job })

/** @internal */
export interface Sweep {
  /** Gives the places that are held for nothing, of those that are given: what the ledger says, then Bedrock's list. */
  readonly of: (held: ReadonlyArray<Held>) => Effect.Effect<ReadonlyArray<Place>, BatchError>
}

/**
 * Makes sweeps: each reads the ledger of each holder's run by one list, and Bedrock's by one for what is open there and
 * one for what is unsettled, `every` so many milliseconds at most. `claimWithin` is how long a slot may be held, in
 * milliseconds by the store's clock, before its claim is written.
 *
 * @internal
 */
export const make = Effect.fnUntraced(function*(options: { readonly every: number; readonly claimWithin: number }) {
  const context = yield* Effect.context<ObjectStore | Ledger | BatchJobs>()
  const store = yield* ObjectStore
  const ledger = yield* Ledger
  const jobs = yield* BatchJobs
  /** The jobs that have ended at Bedrock; their ends are recorded. `known` are jobs as they were accepted. */
  const endedOf = Effect.fnUntraced(function*(held: ReadonlyArray<Judged>, known: Map<string, SubmittedJob>) {
    const accepted = yield* Effect.forEach(
      new Map(held.map((one) => [idOf(one.holder), one.holder])),
      Effect.fnUntraced(function*([id, holder]) {
        const job = known.get(id) ?? (yield* ledger.accepted(jobOf(holder)))
        if (job !== null) known.set(id, job)
        return job
      }),
      { concurrency }
    )
    const byArn = new Map(accepted.flatMap((job) => (job === null ? [] : [[job.arn, job]])))
    if (byArn.size === 0) return new Set<string>()
    const runs = new Set([...byArn.values()].map(({ runId }) => runId))
    // Whoever was slow to record that a job was accepted has recorded a later time.
    const oldest = held.reduce((oldest, { since }) => Math.min(oldest, since), Infinity)
    const states: Array<readonly [SubmittedJob, JobState]> = []
    yield* jobs.list({
      nameContains: runs.size === 1 ? [...runs][0] : undefined,
      submittedAfter: oldest - clockMargin
    }).pipe(Stream.runForEach((state) =>
      Effect.sync(() => {
        const job = byArn.get(state.arn)
        if (job !== undefined) states.push([job, state])
      })
    ))
    const ended = states.flatMap(([job, state]) => endOf(job, state) ?? [])
    yield* Effect.forEach(ended, (job) => ledger.end(job), { concurrency, discard: true })
    return new Set(ended.map(({ key, runId }) => `${runId}/${key}`))
  })

  /** The jobs of which Bedrock's list shows that no claim so far made any. Those that it shows are adopted. */
  const nowhereOf = Effect.fnUntraced(function*(runId: string, held: ReadonlyArray<Held>) {
    const keys = new Set(held.map(({ holder }) => holder.job))
    const manifest = yield* manifests.read(store, Layout.manifest(runId))
    // Whoever deleted the run made sure that nothing of it was open.
    if (manifest === null) return new Set([...keys].map((key) => `${runId}/${key}`))
    const mine = (yield* readAllJobs(store, manifest)).filter(({ key }) => keys.has(key))
    const { at, jobs: entries } = yield* ledger.entries(runId, commonStart([...keys]))
    const asked = yield* Effect.forEach(
      mine,
      Effect.fnUntraced(function*(job) {
        const claims = entries.get(job.key)?.claims ?? []
        return claims.length === 0 ? [] : [{ job, request: yield* ledger.intend(job, yield* requestOf(job)), claims }]
      }),
      { concurrency }
    )
    const all = asked.flat()
    const seen = yield* lookFor(all, at)
    const nowhere = new Set<string>()
    for (const [i, { job }] of all.entries()) {
      const one = seen[i]!
      if (one._tag === "Nowhere") nowhere.add(`${runId}/${job.key}`)
      else if (one._tag === "Found") yield* ledger.accept(one.job)
    }
    return nowhere
  }, Effect.provideContext(context))

  /** Whoever claims after the ARN is there sees it before he sends; a list of a folder may show it before the claim. */
  const isSurplus = Effect.fnUntraced(function*({ claim, job, runId }: Holder) {
    const entry = (yield* ledger.entries(runId, `${job}.`)).jobs.get(job)
    return entry !== undefined && entry.accepted && !entry.claims.some(({ number }) => number === claim)
  })

  /** Writes a claim in the place of who does not, so that he meets it; false when he was just in time. */
  const burn = Effect.fnUntraced(function*(holder: Holder) {
    // A run that was deleted is not to be begun again.
    if ((yield* store.head(Layout.manifest(holder.runId))) === null) return true
    if (!(yield* ledger.claim(jobOf(holder), holder.claim))) return false
    yield* ledger.refuse(jobOf(holder), holder.claim, abandoned)
    return true
  })

  /** What the ledger says of each holder, by one list a run. */
  const judged = Effect.fnUntraced(function*([runId, held]: readonly [string, ReadonlyArray<Held>]) {
    const { at, jobs } = yield* ledger.entries(runId, commonStart(held.map(({ holder }) => holder.job)))
    return held.map((one): Judged => {
      const entry = jobs.get(one.holder.job)
      const isClaimed = entry?.claims.some(({ number }) => number === one.holder.claim) ?? false
      const since = entry?.claims[0]?.at ?? Infinity
      return { ...one, isClaimed, since, verdict: verdict(one, entry, at, ledger.settleAfter, options.claimWithin) }
    })
  })

  /** What Bedrock's list says of jobs that are open by the ledger, and of claims that are unsettled. */
  const listed = Effect.fnUntraced(function*(
    open: ReadonlyArray<Judged>,
    unsettled: ReadonlyArray<Judged>,
    known: Map<string, SubmittedJob>
  ) {
    const ended = yield* endedOf(open, known)
    const over = open.filter(({ holder }) => ended.has(idOf(holder)))
    for (const [runId, held] of byRun(unsettled)) {
      const nowhere = yield* nowhereOf(runId, held)
      for (const one of held) {
        if (nowhere.has(idOf(one.holder)) && (one.isClaimed || (yield* burn(one.holder)))) over.push(one)
      }
    }
    return over
  })

  return (): Sweep => {
    const known = new Map<string, SubmittedJob>()
    let askedAt = -Infinity
    return {
      of: Effect.fnUntraced(function*(held) {
        const ids = new Set(held.map(({ holder }) => idOf(holder)))
        for (const id of known.keys()) if (!ids.has(id)) known.delete(id)
        const all = (yield* Effect.forEach(byRun(held), judged, { concurrency })).flat()
        const over = all.filter(({ verdict }) => verdict === "over")
        for (const one of all) {
          if (one.verdict === "unclaimed" && (yield* burn(one.holder))) over.push(one)
          if (one.verdict === "surplus" && (yield* isSurplus(one.holder))) over.push(one)
        }
        const open = all.filter(({ isWatched, verdict }) => verdict === "open" && !isWatched)
        const unsettled = all.filter(({ verdict }) => verdict === "unsettled")
        const now = yield* Clock.currentTimeMillis
        if (open.length + unsettled.length > 0 && now - askedAt >= options.every) {
          askedAt = now
          over.push(
            ...(yield* listed(open, unsettled, known).pipe(
              Effect.catch(({ reason }) =>
                Effect.as(Effect.logWarning(`it is not known which slots of others are over: ${reason.message}`), [])
              )
            ))
          )
        }
        return over.map(({ place }) => place)
      })
    }
  }
})
