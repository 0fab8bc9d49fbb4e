/**
 * The open jobs of an account and Region, of whomever, as Bedrock's list shows them.
 *
 * @internal
 */
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { BatchError } from "../BatchError.ts"
import { BatchJobs, type JobState, type ListQuery } from "../bedrock/BatchJobs.ts"
import { OpenStatus } from "../Job.ts"
import { subjectOf } from "../schedule/Quotas.ts"

/** A job is open for 7 days at most, by its timeout; and for a while after it, while it ends. In milliseconds. */
const longestOpen = 14 * 86_400_000

/** In the order in which a job goes through them: one that moves on while they are listed is seen at least once. */
const openStatuses = OpenStatus.literals

/** So often, in milliseconds, open jobs are listed by their statuses, however old they are. */
const wholeEvery = 3_600_000

/** Bedrock's clock and ours may differ by so much, and its list may lag so much, in milliseconds. */
const margin = 15 * 60_000

/** A list of the latest jobs that takes more pages than this costs as much as one for each status. */
const fewPages = 3

/** One look: how many open jobs of a name there are, by what shares a quota. @internal */
export interface Look {
  /** When it began. */
  readonly at: number
  readonly open: ReadonlyMap<string, ReadonlyMap<string, number>>
}

/** @internal */
export interface AccountJobs {
  /** The last look if it is young enough, else a new one; who comes meanwhile waits for the same. */
  readonly look: Effect.Effect<Look, BatchError>
  /** The last look, if it did not fail. */
  readonly last: () => Look | null
  /** When a new look may be made. */
  readonly nextAt: () => number
}

const isOpen = Schema.is(OpenStatus)

/**
 * Makes a looker: at most one look in `every` milliseconds, for all models together.
 *
 * Open jobs are listed by their statuses at first, and each hour. In between all jobs are listed that are no older than
 * the oldest of those that were open: that is one page, mostly, in place of five. Where so many have ended since that
 * it is not, it is statuses again until that oldest one has ended.
 *
 * @internal
 */
export const make = Effect.fnUntraced(function*(every: number) {
  const jobs = yield* BatchJobs
  /** When the last list by statuses began. */
  let wholeAt = -Infinity
  /** Nothing that was submitted before is open. */
  let oldest = -Infinity
  /** The latest `oldest` that took too many pages. */
  let tooOld = -Infinity

  /** The open jobs that a list shows, page by page; null where it has more than so many pages. */
  const openOf = Effect.fnUntraced(function*(query: ListQuery, mostPages: number, found: Map<string, JobState>) {
    let pages = 0
    yield* jobs.list(query).pipe(
      Stream.mapArray((page) => Arr.of(page)),
      Stream.runForEachWhile((page) =>
        Effect.sync(() => {
          for (const state of page) if (isOpen(state.status)) found.set(state.arn, state)
          return ++pages <= mostPages
        })
      )
    )
    return pages <= mostPages
  })

  const lookNow = Effect.fnUntraced(function*(at: number) {
    let found = new Map<string, JobState>()
    const isLatest = at - wholeAt < wholeEvery && oldest > tooOld &&
      (yield* openOf({ submittedAfter: oldest - margin }, fewPages, found))
    if (!isLatest) {
      if (at - wholeAt < wholeEvery) tooOld = oldest
      found = new Map()
      for (const status of openStatuses) {
        yield* openOf({ status, submittedAfter: at - longestOpen }, Infinity, found)
      }
      wholeAt = at
    }
    const open = new Map<string, Map<string, number>>()
    oldest = at
    for (const { model, name, submittedAt } of found.values()) {
      const { key } = subjectOf(model)
      const names = open.get(key) ?? new Map<string, number>()
      open.set(key, names.set(name, (names.get(name) ?? 0) + 1))
      oldest = Math.min(oldest, Date.parse(submittedAt))
    }
    const look: Look = { at, open }
    return look
  })

  const looking = Semaphore.makeUnsafe(1)
  let last: { readonly at: number; readonly exit: Exit.Exit<Look, BatchError> } | null = null
  const made: AccountJobs = {
    look: Semaphore.withPermit(looking, Effect.gen(function*() {
      const at = yield* Clock.currentTimeMillis
      if (last === null || at >= last.at + every) last = { at, exit: yield* Effect.exit(lookNow(at)) }
      return yield* last.exit
    })),
    last: () => last !== null && Exit.isSuccess(last.exit) ? last.exit.value : null,
    nextAt: () => last === null ? -Infinity : last.at + every
  }
  return made
})
