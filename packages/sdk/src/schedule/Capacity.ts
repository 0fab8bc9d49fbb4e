/**
 * How many jobs may be open now, and the quotas that shape a job.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { baseModel } from "@bedrock-batch/processors/ModelId"
import { BatchError, Unavailable } from "../BatchError.ts"
import * as Limits from "../Limits.ts"
import * as Slots from "./Slots.ts"

/**
 * What shares one quota: the jobs of one model in one Region. Inference profiles count as their base model.
 *
 * @since 0.1.0
 * @category models
 */
export interface Target {
  readonly region: string
  /** Model id, inference profile id or ARN. */
  readonly model: string
}

/**
 * Who asks for a slot. A job is one: it says all of this itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface Taker extends Target {
  /** The job's name at Bedrock: by it an open job in Bedrock's list is known as the holder of a slot. */
  readonly name?: string | undefined
  /** The run whose progress tells of the wait. */
  readonly runId?: string | undefined
  /** The job's key in its run. */
  readonly key?: string | undefined
  /** Where no slot is free: `wait`, the default, or `fail` at once with `Unavailable` (`quota`). */
  readonly whenFull?: "wait" | "fail" | undefined
}

/** What a taker is told who does not wait. @internal */
export const full = ({ key, model, region }: Taker): BatchError =>
  new BatchError({
    module: "Capacity",
    method: "take",
    reason: new Unavailable({
      code: "quota",
      retryAfterMillis: null,
      message: `there is no slot now for ${key === undefined ? "a job" : `job ${key}`} of ${model} in ${region}: ` +
        "as many jobs are open as may be"
    })
  })

/**
 * The service: slots for open jobs, per Region and base model. Takers of one target are served first come first served,
 * and none waits for another target.
 *
 * @since 0.1.0
 * @category services
 */
export class Capacity extends Context.Service<Capacity, {
  /** The Region that `prepare` plans for. */
  readonly region: string
  /** The quotas of a model. */
  readonly limits: (target: Target) => Effect.Effect<Limits.Limits, BatchError>
  /**
   * Waits for a slot, or fails (see `Taker.whenFull`); it is held until the scope closes. One that closes with success says that the job has ended or
   * never was, unless `keep` said otherwise; one that closes with a failure or an interruption leaves that open.
   */
  readonly take: (taker: Taker) => Effect.Effect<void, BatchError, Scope.Scope>
  /** Counts a job that is open already, without waiting for a slot; the scope is that of `take`. */
  readonly hold: (taker: Taker) => Effect.Effect<void, never, Scope.Scope>
  /** Tells that the taker's job stays open when the scope closes: it was handed over. */
  readonly keep: (taker: Taker) => Effect.Effect<void>
  /**
   * Asked before claim `number` of a job is written. True: there is a slot for a create call of exactly this claim.
   * False: time has passed to get one, with or without success; read the ledger again, and ask again for the claim
   * that is then the next. Where slots are not objects in the store it is always true.
   */
  readonly mayClaim: (taker: Taker, number: number) => Effect.Effect<boolean, BatchError>
  /**
   * Tells that the service said "quota" to a taker: there are fewer slots than was believed. Gives the time to wait, in
   * milliseconds, before it asks again.
   */
  readonly exceeded: (taker: Taker) => Effect.Effect<number>
}>()("@bedrock-batch/sdk/Capacity") {}

/**
 * Options of `layerFixed`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface FixedOptions {
  /** The Region that `prepare` plans for. */
  readonly region: string
  /** Quotas that differ from `Limits.defaults`; `maxOpenJobs` is the number of slots. */
  readonly limits?: Partial<Limits.Limits> | undefined
  /** How long to wait after the service said "quota" before asking again, and before a lost slot is believed in again; default 1 minute. */
  readonly quotaPause?: Duration.Input | undefined
}

interface Pool {
  readonly slots: Slots.Slots
  limit: number
  /** When the limit last changed. */
  changedAt: number
  growing: boolean
}

/**
 * Layer with a fixed number of slots (`limits.maxOpenJobs`) per Region and base model. When the service says "quota",
 * there are others at work: the number shrinks to what is open, and grows again by one each `quotaPause`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerFixed = (options: FixedOptions): Layer.Layer<Capacity> =>
  Layer.effect(
    Capacity,
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      const limits: Limits.Limits = { ...Limits.defaults, ...options.limits }
      const pause = Math.max(1, Duration.toMillis(Duration.fromInputUnsafe(options.quotaPause ?? "1 minute")))
      const pools = new Map<string, Pool>()
      const pool = (target: Target) => {
        const key = `${target.region}/${baseModel(target.model) ?? target.model}`
        let found = pools.get(key)
        if (found === undefined) {
          found = { slots: Slots.make(limits.maxOpenJobs), limit: limits.maxOpenJobs, changedAt: 0, growing: false }
          pools.set(key, found)
        }
        return found
      }
      const grow = Effect.fnUntraced(function*(state: Pool) {
        while (state.limit < limits.maxOpenJobs) {
          const now = yield* Clock.currentTimeMillis
          if (now - state.changedAt < pause) {
            yield* Effect.sleep(state.changedAt + pause - now)
          } else {
            state.limit++
            state.changedAt = now
            yield* state.slots.resize(state.limit)
          }
        }
        state.growing = false
      })
      return Capacity.of({
        region: options.region,
        limits: () => Effect.succeed(limits),
        take: (taker) =>
          Effect.suspend(() => {
            const { slots } = pool(taker)
            if (taker.whenFull !== "fail") return slots.take
            return Effect.flatMap(slots.takeNow, (taken) => taken ? Effect.void : Effect.fail(full(taker)))
          }),
        hold: (target) => Effect.suspend(() => pool(target).slots.hold),
        // Slots are of this process alone, and what it hands over is not counted.
        keep: () => Effect.void,
        mayClaim: () => Effect.succeed(true),
        exceeded: Effect.fnUntraced(function*(target: Target) {
          const state = pool(target)
          // Nobody else tries the slot before the pause is over.
          state.limit = Math.max(0, Math.min(state.limit, state.slots.held() - 1))
          state.changedAt = yield* Clock.currentTimeMillis
          yield* state.slots.resize(state.limit)
          if (!state.growing) {
            state.growing = true
            yield* Effect.forkIn(grow(state), scope)
          }
          return pause
        })
      })
    })
  )
