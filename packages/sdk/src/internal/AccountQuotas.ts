/**
 * The account's quotas as they are believed: read from Service Quotas, remembered for a while, and given otherwise
 * where they cannot be read.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { BatchError } from "../BatchError.ts"
import { defaults, type Limits } from "../Limits.ts"
import { find, isBatchQuota, modelQuotas, type Quota, ServiceQuotas, type Subject } from "../schedule/Quotas.ts"

/** Milliseconds until Service Quotas is asked again after trouble with it. */
const troublePause = 5 * 60_000

/** A list is one for all models that are asked for within so many milliseconds. */
const listHolds = 60_000

/** The custom models of a base may have so many open jobs where the quota cannot be read. */
const customOpenJobs = 3

const kinds = ["minRecords", "maxRecords", "maxFileRecords", "maxFileBytes", "maxJobBytes", "maxOpenJobs"] as const

const bytesInGigabyte = 1_000_000_000

/** What a row's value comes to; null for one that can be no quota. */
const valueOf = (kind: keyof Limits, { value }: Quota): number | null => {
  const limit = Math.floor(kind === "maxFileBytes" || kind === "maxJobBytes" ? value * bytesInGigabyte : value)
  if (!Number.isSafeInteger(limit) || limit < 0) return null
  // A quota of no open jobs is asked for with one job, so that the service itself says no.
  if (limit === 0) return kind === "minRecords" ? 0 : kind === "maxOpenJobs" ? 1 : null
  return limit
}

/** What was read of one subject. */
interface Entry {
  readonly lock: Semaphore.Semaphore
  read: Partial<Limits>
  /** Until when the number of open jobs, and the others, need not be asked for. */
  openJobsUntil: number
  allUntil: number
}

/** @internal */
export interface AccountQuotas {
  /** The number of open jobs, where it is known and not old at a time. */
  readonly known: (subject: Subject, now: number) => number | null
  readonly openJobs: (subject: Subject) => Effect.Effect<number>
  readonly limits: (subject: Subject) => Effect.Effect<Limits>
}

/** Rows that were listed, and until when they hold. */
interface Listed {
  readonly rows: ReadonlyArray<Quota>
  readonly until: number
}

/**
 * Makes a reader. `given` bounds what is read, and holds where nothing can be; `every` is how long what was read holds,
 * in milliseconds.
 *
 * @internal
 */
export const make = Effect.fnUntraced(function*(given: Partial<Limits>, every: number) {
  const service = yield* ServiceQuotas
  const entries = new Map<string, Entry>()
  const entryOf = ({ key }: Subject): Entry => {
    const entry = entries.get(key) ?? { lock: Semaphore.makeUnsafe(1), read: {}, openJobsUntil: 0, allUntil: 0 }
    entries.set(key, entry)
    return entry
  }

  /** A list that all subjects share. */
  const listing = (rows: Stream.Stream<Quota, BatchError>) => {
    const lock = Semaphore.makeUnsafe(1)
    let listed: Listed | null = null
    return Semaphore.withPermit(lock, Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      if (listed === null || now >= listed.until) {
        listed = { rows: yield* Stream.runCollect(Stream.filter(rows, isBatchQuota)), until: now + listHolds }
      }
      return listed.rows
    }))
  }
  const applied = listing(service.list)
  const byDefault = listing(service.defaults)

  const told = new Set<string>()
  const warnOnce = (about: string, message: string) => {
    if (told.has(about)) return Effect.void
    told.add(about)
    return Effect.logWarning(message)
  }

  const take = Effect.fnUntraced(function*(entry: Entry, { key }: Subject, kind: keyof Limits, quota: Quota) {
    const value = valueOf(kind, quota)
    if (value === null || quota.value === 0) {
      const instead = value === null ? "it is left out of account" : "jobs are tried one at a time"
      yield* warnOnce(`${key}/${kind}`, `quota ${quota.code} (${quota.name}) is ${quota.value}: ${instead}`)
    }
    const { [kind]: _, ...others } = entry.read
    entry.read = value === null ? others : { ...others, [kind]: value }
  })

  /** Reads one quota by one call if that is all that is wanted, several by lists; whether there were all. */
  const read = Effect.fnUntraced(function*(entry: Entry, subject: Subject, wanted: ReadonlyArray<keyof Limits>) {
    const missing = new Set(wanted)
    const look = Effect.fnUntraced(function*(rows: Iterable<Quota>) {
      for (const kind of missing) {
        const quota = find(rows, kind, subject)
        if (quota === null) continue
        missing.delete(kind)
        yield* take(entry, subject, kind, quota)
      }
      return missing.size === 0
    })
    const known = subject.baseModel === null ? null : modelQuotas(subject.baseModel)
    if (known === null) return false
    const [only] = wanted
    const code = wanted.length > 1 || only === undefined || subject.custom ? undefined : known.codes[only]
    if (code !== undefined) {
      const quota = yield* service.get(code)
      if (quota !== null && (yield* look([quota]))) return true
    }
    return (yield* look(yield* applied)) || (yield* look(yield* byDefault))
  })

  const refresh = Effect.fnUntraced(function*(subject: Subject, all: boolean) {
    const entry = entryOf(subject)
    yield* Semaphore.withPermit(entry.lock, Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      if (now < (all ? entry.allUntil : entry.openJobsUntil)) return
      const result = yield* Effect.result(read(entry, subject, all ? kinds : ["maxOpenJobs"]))
      let until = now + every
      if (result._tag === "Failure") {
        const { isRetryable, reason } = result.failure
        const trouble = isRetryable ? "Service Quotas is not to be reached" : "Service Quotas may not be read"
        yield* warnOnce(
          trouble,
          `${trouble}: ${reason.message}; the limits that were given, or Bedrock's defaults, hold until it can be`
        )
        if (isRetryable) until = now + Math.min(every, troublePause)
      } else {
        told.delete("Service Quotas is not to be reached")
        told.delete("Service Quotas may not be read")
        if (!result.success) {
          yield* warnOnce(
            subject.key,
            `Service Quotas shows no quota of batch inference for ${subject.key}, or not all: ` +
              "the limits that were given, or Bedrock's defaults, hold instead"
          )
        }
      }
      entry.openJobsUntil = until
      if (all) entry.allUntil = until
    }))
    return entry
  })

  const openJobsOf = ({ read }: Entry, { custom }: Subject): number => {
    const most = given.maxOpenJobs
    return Math.min(read.maxOpenJobs ?? most ?? (custom ? customOpenJobs : defaults.maxOpenJobs), most ?? Infinity)
  }

  const quotas: AccountQuotas = {
    known: (subject, now) => {
      const entry = entries.get(subject.key)
      return entry !== undefined && now < entry.openJobsUntil ? openJobsOf(entry, subject) : null
    },
    openJobs: (subject) => Effect.map(refresh(subject, false), (entry) => openJobsOf(entry, subject)),
    limits: Effect.fnUntraced(function*(subject: Subject) {
      const entry = yield* refresh(subject, true)
      const limits: { -readonly [kind in keyof Limits]: number } = { ...defaults }
      for (const kind of kinds) {
        const bound = given[kind]
        const value = entry.read[kind] ?? bound ?? limits[kind]
        const tighter = kind === "minRecords" ? Math.max : Math.min
        limits[kind] = bound === undefined ? value : tighter(value, bound)
      }
      limits.maxOpenJobs = openJobsOf(entry, subject)
      if (limits.minRecords > limits.maxRecords) {
        yield* warnOnce(
          `${subject.key}/records`,
          `the quotas of ${subject.key} are at least ${limits.minRecords} records a job, and at most ` +
            `${limits.maxRecords}: they are left out of account`
        )
        limits.minRecords = given.minRecords ?? defaults.minRecords
        limits.maxRecords = given.maxRecords ?? defaults.maxRecords
      }
      return limits
    })
  }
  return quotas
})
