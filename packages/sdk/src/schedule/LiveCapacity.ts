/**
 * How many jobs may be open now, by what is open in the account.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import { BatchError, InvalidOption } from "../BatchError.ts"
import { BatchJobs } from "../bedrock/BatchJobs.ts"
import * as AccountJobs from "../internal/AccountJobs.ts"
import * as AccountQuotas from "../internal/AccountQuotas.ts"
import { limitsProblem } from "../internal/LimitsCheck.ts"
import { isThrottled, maxTroubles } from "../internal/Patience.ts"
import type * as Limits from "../Limits.ts"
import { Capacity, full, type Taker } from "./Capacity.ts"
import { type ServiceQuotas, type Subject, subjectOf } from "./Quotas.ts"
import * as Slots from "./Slots.ts"

/**
 * Options of `layerLive`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface LiveOptions {
  /**
   * Bounds on what Service Quotas tells: the smaller maximum and the larger minimum hold. Where it cannot be read,
   * these hold alone, and `Limits.defaults` for what is not given.
   */
  readonly limits?: Partial<Limits.Limits> | undefined
  /**
   * Open jobs of a model that are left to others; default 0. What others have open is counted in any case, and to be
   * late costs no more than a refused call, so a slot that is left free is only lost time. One slot is always used.
   */
  readonly headroom?: number | undefined
  /** Shortest time between two looks at the open jobs; default 1 minute. There is none while nobody wants a slot. */
  readonly lookEvery?: Duration.Input | undefined
  /** How long a quota is believed before it is read again; default 1 hour. */
  readonly quotasEvery?: Duration.Input | undefined
  /**
   * How long to wait after the service said "quota" before asking again, and before a lost slot is believed in again;
   * default 1 minute, with jitter of a half.
   */
  readonly quotaPause?: Duration.Input | undefined
}

/** The pause before a lost slot is believed in again doubles so many times when it keeps being refused. */
const mostDoublings = 4

/** A job that this process left open, or may have. */
interface Left {
  readonly name: string | undefined
  readonly at: number
}

/** The slots of one subject. */
interface Pool {
  readonly subject: Subject
  readonly slots: Slots.Slots<BatchError>
  /** How many wait for a slot or are about to have one. */
  takers: number
  /** Names of the jobs that hold slots. */
  readonly holders: Map<string, number>
  readonly kept: Set<string>
  /** Holders to whom the service said "quota". */
  readonly refused: Set<string>
  left: Array<Left>
  /** Names of jobs that ended, and when. */
  readonly ended: Map<string, number>
  /** Open jobs by name, of the last look, less those that have ended since. */
  listed: Map<string, number>
  /** When the look began that `listed` is of. */
  listedAt: number
  /** The quota less the headroom; null before it was read. */
  limit: number | null
  /** What the service was seen to allow, where that is less than the limit. */
  cap: { limit: number; readonly every: number; since: number } | null
  /** Times in a row that the service said "quota" after a pause. */
  refusals: number
  /** Nothing is given before that time, nor before a look that began after it. */
  shutUntil: number
  /** Whether slots may be given by what is known. */
  isOpen: boolean
  isPumped: boolean
}

const wrong = (reason: InvalidOption) => new BatchError({ module: "LiveCapacity", method: "layerLive", reason })

const invalid = (path: string, message: string) => wrong(new InvalidOption({ path, message }))

const millisOf = (path: string, input: Duration.Input) => {
  const duration = Duration.fromInput(input)
  const millis = Option.isSome(duration) ? Duration.toMillis(duration.value) : NaN
  return millis >= 1 && millis <= 86_400_000
    ? Effect.succeed(millis)
    : Effect.fail(invalid(path, `${path} must be a duration of 1 ms to 1 day; one is for example "1 minute"`))
}

/** How many open jobs there are that no holder stands for. */
const others = (pool: Pool): number => {
  let count = 0
  for (const [name, jobs] of pool.listed) if (!pool.holders.has(name)) count += jobs
  for (const { name } of pool.left) {
    if (name === undefined || !(pool.listed.has(name) || pool.holders.has(name))) count++
  }
  return count
}

const resize = (pool: Pool) =>
  Effect.suspend(() => {
    if (!pool.isOpen || pool.limit === null) return pool.slots.resize(-Infinity)
    return pool.slots.resize(Math.min(pool.limit, pool.cap?.limit ?? Infinity) - others(pool))
  })

const shut = (pool: Pool) => {
  pool.isOpen = false
  return resize(pool)
}

const count = (names: Map<string, number>, name: string, by: 1 | -1): void => {
  const left = (names.get(name) ?? 0) + by
  if (left > 0) names.set(name, left)
  else names.delete(name)
}

/** Takes over what a look shows. */
const see = (pool: Pool, look: AccountJobs.Look): void => {
  if (look.at === pool.listedAt) return
  pool.listedAt = look.at
  pool.listed = new Map(look.open.get(pool.subject.key))
  for (const [name, at] of pool.ended) {
    // What was released while the look went on may have been seen before its end.
    if (at >= look.at) pool.listed.delete(name)
    else pool.ended.delete(name)
  }
  pool.left = pool.left.filter(({ at }) => at >= look.at)
  if (pool.cap === null) return
  let seen = 0
  for (const jobs of pool.listed.values()) seen += jobs
  if (seen <= pool.cap.limit) return
  pool.cap.limit = seen
  pool.refusals = 0
}

/** Takes over a quota, and lets what was lost grow again. */
const believe = (pool: Pool, limit: number, now: number): void => {
  if (pool.limit !== limit) {
    pool.limit = limit
    pool.cap = null
  }
  const { cap } = pool
  if (cap === null) return
  const steps = Math.max(0, Math.floor((now - cap.since) / cap.every))
  cap.limit += steps
  cap.since += steps * cap.every
  if (cap.limit < limit) return
  pool.cap = null
  pool.refusals = 0
}

/**
 * Layer with as many slots per base model as its quota in the account's Region leaves free: the quota is read from
 * Service Quotas, and the jobs that are open, of whomever, are seen in Bedrock's list. One look is a list of all jobs
 * since the oldest open one, mostly one call; the first, and one each hour, is a list for each status of open jobs. It
 * is for all models together; there is one a minute at most, and only while somebody wants a slot. Jobs of this process
 * that a look cannot show yet are counted beside it.
 *
 * Others may take what a look showed as free. The service then says "quota", no job fails, and nothing is given until
 * another look after a pause. Where it says so though a look shows room, the number of slots shrinks to what was seen
 * open, and grows again by one each pause, ever slower while that is refused.
 *
 * Quotas that cannot be read, are not found or make no sense are replaced by `limits`, with one warning in the log,
 * and asked for again later. `take` fails when Bedrock's list is refused, or cannot be reached a dozen times in a row;
 * throttling is waited out for as long as it lasts.
 * Jobs of an application inference profile do not reveal their model: they are counted by themselves, against the
 * default.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { layerLive } from "@bedrock-batch/sdk/schedule/LiveCapacity"
 * import * as ServiceQuotasApi from "@bedrock-batch/sdk/bedrock/ServiceQuotasApi"
 * import { Layer } from "effect"
 *
 * const capacity = layerLive({ headroom: 10 }).pipe(Layer.provide(ServiceQuotasApi.layer({ region: "us-east-1" })))
 * ```
 */
export const layerLive = (
  options: LiveOptions = {}
): Layer.Layer<Capacity, BatchError, BatchJobs | ServiceQuotas> =>
  Layer.effect(
    Capacity,
    Effect.gen(function*() {
      const given = options.limits ?? {}
      const problem = limitsProblem(given)
      if (problem !== null) return yield* wrong(problem)
      const headroom = options.headroom ?? 0
      if (!(Number.isSafeInteger(headroom) && headroom >= 0)) {
        return yield* invalid("headroom", `headroom is ${headroom}, and must be an integer of at least 0`)
      }
      const lookEvery = yield* millisOf("lookEvery", options.lookEvery ?? "1 minute")
      const quotasEvery = yield* millisOf("quotasEvery", options.quotasEvery ?? "1 hour")
      const pause = yield* millisOf("quotaPause", options.quotaPause ?? "1 minute")
      const scope = yield* Effect.scope
      const jobs = yield* BatchJobs
      const quotas = yield* AccountQuotas.make(given, quotasEvery)
      const account = yield* AccountJobs.make(lookEvery)
      const limitOf = (quota: number) => Math.max(1, quota - headroom)

      const pools = new Map<string, Pool>()
      const poolOf = ({ model }: Taker): Pool => {
        const subject = subjectOf(model)
        const found = pools.get(subject.key)
        if (found !== undefined) return found
        const pool: Pool = {
          subject,
          slots: Slots.make<BatchError>(-Infinity),
          takers: 0,
          holders: new Map(),
          kept: new Set(),
          refused: new Set(),
          left: [],
          ended: new Map(),
          listed: new Map(),
          listedAt: -Infinity,
          limit: null,
          cap: null,
          refusals: 0,
          shutUntil: -Infinity,
          isOpen: false,
          isPumped: false
        }
        pools.set(subject.key, pool)
        return pool
      }

      /** One round for those who wait: makes new what is known, gives free slots, and says when the next is due. */
      const round = Effect.fnUntraced(function*(pool: Pool) {
        const limit = limitOf(yield* quotas.openJobs(pool.subject))
        const seen = yield* account.look
        const now = yield* Clock.currentTimeMillis
        if (now < pool.shutUntil || seen.at < pool.shutUntil) return Math.max(pool.shutUntil, account.nextAt())
        see(pool, seen)
        believe(pool, limit, now)
        pool.isOpen = true
        yield* resize(pool)
        return account.nextAt()
      })

      /** Goes on while somebody waits. */
      const pump = Effect.fnUntraced(function*(pool: Pool) {
        let troubles = 0
        while (pool.takers > 0) {
          const result = yield* Effect.result(round(pool))
          if (pool.takers === 0) break
          let next = account.nextAt()
          if (result._tag === "Success") {
            troubles = 0
            next = result.success
          } else if (isThrottled(result.failure) || (result.failure.isRetryable && ++troubles < maxTroubles)) {
            yield* Effect.logWarning(`open jobs cannot be listed now: ${result.failure.reason.message}`)
          } else {
            yield* shut(pool)
            yield* pool.slots.fail(result.failure)
            break
          }
          const now = yield* Clock.currentTimeMillis
          // Processes that began together do not look together for ever.
          const jitter = (yield* Random.nextBetween(0, 0.25)) * lookEvery
          yield* Effect.sleep(Math.max(1, next - now + jitter))
        }
        pool.isPumped = false
      })

      /** Before a slot is asked for: where nobody waits, what is too old to be believed is made new first. */
      const ready = Effect.fnUntraced(function*(pool: Pool) {
        if (pool.isPumped) return
        const now = yield* Clock.currentTimeMillis
        const quota = quotas.known(pool.subject, now)
        pool.isOpen = false
        const last = account.last()
        if (quota !== null && last !== null && now < account.nextAt()) {
          see(pool, last)
          believe(pool, limitOf(quota), now)
          pool.isOpen = last.at >= pool.shutUntil
        }
        yield* resize(pool)
        pool.isPumped = true
        yield* Effect.forkIn(pump(pool), scope)
      })

      /** Takes a slot that is free by what is known, or by one more look. */
      const takeNow = Effect.fnUntraced(function*(pool: Pool, taker: Taker) {
        if (yield* pool.slots.takeNow) return
        yield* round(pool)
        if (!(yield* pool.slots.takeNow)) return yield* full(taker)
      })

      const release = Effect.fnUntraced(function*(pool: Pool, { name }: Taker, exit: Exit.Exit<unknown, unknown>) {
        const at = yield* Clock.currentTimeMillis
        let isOver = Exit.isSuccess(exit)
        if (name !== undefined) {
          count(pool.holders, name, -1)
          pool.refused.delete(name)
          if (pool.kept.delete(name)) isOver = false
          if (isOver) {
            pool.listed.delete(name)
            pool.ended.set(name, at)
          }
        }
        if (isOver) return
        pool.left.push({ name, at })
        yield* resize(pool)
      })
      const bind = (pool: Pool, taker: Taker) =>
        Effect.acquireRelease(
          Effect.suspend(() => {
            if (taker.name === undefined) return Effect.void
            count(pool.holders, taker.name, 1)
            return pool.listed.has(taker.name) || pool.left.length > 0 ? resize(pool) : Effect.void
          }),
          (_, exit) => release(pool, taker, exit)
        )

      return Capacity.of({
        region: jobs.region,
        limits: (target) => quotas.limits(subjectOf(target.model)),
        take: Effect.fnUntraced(function*(taker: Taker) {
          if (taker.region !== jobs.region) {
            return yield* new BatchError({
              module: "Capacity",
              method: "take",
              reason: new InvalidOption({
                path: "region",
                message: `a slot is wanted in Region ${taker.region}, and the client is for ${jobs.region}`
              })
            })
          }
          const pool = poolOf(taker)
          pool.takers++
          yield* ready(pool).pipe(
            Effect.andThen(taker.whenFull === "fail" ? takeNow(pool, taker) : pool.slots.take),
            Effect.ensuring(Effect.sync(() => void pool.takers--))
          )
          yield* bind(pool, taker)
        }),
        hold: (taker) =>
          Effect.suspend(() => {
            const pool = poolOf(taker)
            return Effect.andThen(pool.slots.hold, bind(pool, taker))
          }),
        keep: (taker) =>
          Effect.sync(() => {
            if (taker.name !== undefined) poolOf(taker).kept.add(taker.name)
          }),
        mayClaim: () => Effect.succeed(true),
        exceeded: Effect.fnUntraced(function*(taker: Taker) {
          const pool = poolOf(taker)
          const now = yield* Clock.currentTimeMillis
          if (taker.name !== undefined && pool.holders.has(taker.name)) pool.refused.add(taker.name)
          if (now >= pool.shutUntil) {
            pool.shutUntil = now + pause * (yield* Random.nextBetween(0.5, 1.5))
            pool.refusals++
          }
          const open = pool.slots.held() + others(pool) - Math.max(1, pool.refused.size)
          pool.cap = {
            limit: Math.max(1, Math.min(pool.cap?.limit ?? Infinity, open)),
            every: pause * 2 ** Math.min(mostDoublings, pool.refusals - 1),
            since: pool.shutUntil
          }
          yield* shut(pool)
          return pause
        })
      })
    })
  )
