/**
 * What goes wrong on request: every fault is a probability or a number of times, drawn from a seeded generator, and can
 * be changed while the emulator runs.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type { Chance } from "./Chance.ts"

/**
 * When a fault strikes: with a probability from 0 to 1, or the next `next` times.
 *
 * @since 0.1.0
 * @category models
 */
export type Trigger = number | { readonly next: number }

/**
 * A fault that takes time.
 *
 * @since 0.1.0
 * @category models
 */
export interface Delay {
  /** When it strikes; default always. */
  readonly when?: Trigger | undefined
  /** How long it takes, in real time (the fiber's clock, not the emulated one). */
  readonly by: Duration.Input
}

/**
 * The faults. Everything that is left out never strikes.
 *
 * **Details**
 *
 * Faults of a job or of its records are drawn when the job is created: `{ next: n }` of a record fault strikes n
 * records of the next job. All others are drawn when the call is made or the event is sent.
 *
 * @since 0.1.0
 * @category models
 */
export interface FaultOptions {
  /** Create answers `ThrottlingException`. */
  readonly throttleCreate?: Trigger | undefined
  /** Get answers `ThrottlingException`. */
  readonly throttleGet?: Trigger | undefined
  /** List answers `ThrottlingException`. */
  readonly throttleList?: Trigger | undefined
  /** Stop answers `ThrottlingException`. */
  readonly throttleStop?: Trigger | undefined
  /** Create answers `AccessDeniedException`. */
  readonly denyCreate?: Trigger | undefined
  /** Create answers `InternalServerException` and creates nothing. */
  readonly serverErrorOnCreate?: Trigger | undefined
  /** Create answers `ServiceQuotaExceededException` however few jobs are open. */
  readonly quotaFull?: Trigger | undefined
  /** Create makes the job, then answers `InternalServerException`. */
  readonly serverErrorAfterCreate?: Trigger | undefined
  /** Create makes the job, then the connection breaks. */
  readonly answerLost?: Trigger | undefined
  /** Create takes its time before it makes the job, which is made even if the caller has gone away meanwhile. */
  readonly slowCreate?: Delay | undefined
  /** Create makes the job at once and takes its time to answer. */
  readonly slowAnswer?: Delay | undefined
  /** An on-demand call answers `ThrottlingException`; the model is not asked. */
  readonly throttleInvoke?: Trigger | undefined
  /** An on-demand call answers `AccessDeniedException`; the model is not asked. */
  readonly denyInvoke?: Trigger | undefined
  /** An on-demand call answers `InternalServerException`; the model is not asked. */
  readonly serverErrorOnInvoke?: Trigger | undefined
  /** The model answers an on-demand call, then the connection breaks. */
  readonly invokeAnswerLost?: Trigger | undefined
  /** An on-demand call takes its time before the model answers, which it does even if the caller has gone away. */
  readonly slowInvoke?: Delay | undefined
  /** A call to Service Quotas answers `TooManyRequestsException`. */
  readonly throttleQuotas?: Trigger | undefined
  /** A call to Service Quotas answers `AccessDeniedException`. */
  readonly denyQuotas?: Trigger | undefined
  /** Where quotas are found: `applied`, the default, everywhere; `defaults` in AWS's defaults alone; `none` nowhere. */
  readonly quotaRows?: "applied" | "defaults" | "none" | undefined
  /** Names of quotas as documented, the default, or with stray periods, spaces and capitals. */
  readonly quotaNames?: "documented" | "stray" | undefined
  /** Codes of quotas as documented, the default, or others. */
  readonly quotaCodes?: "documented" | "reissued" | undefined
  /** ListFoundationModels, ListInferenceProfiles and GetFoundationModelAvailability answer `ThrottlingException`. */
  readonly throttleModels?: Trigger | undefined
  /** ListFoundationModels answers `AccessDeniedException`. */
  readonly denyModels?: Trigger | undefined
  /** ListInferenceProfiles answers `AccessDeniedException`. */
  readonly denyProfiles?: Trigger | undefined
  /** GetFoundationModelAvailability answers `AccessDeniedException`. */
  readonly denyAvailability?: Trigger | undefined
  /** What a client request token is worth; default `honoured`. */
  readonly token?: "honoured" | "ignored" | { readonly forgottenAfter: Duration.Input } | undefined
  /** The counters of a running job are this old; default as they are. In emulated time. */
  readonly counterLag?: Duration.Input | undefined
  /** A new job is not listed for so long; in emulated time. */
  readonly listLag?: Duration.Input | undefined
  /** The job ends `Failed` after it ran, without output. */
  readonly failJob?: Trigger | undefined
  /** The job ends `Failed` after it ran, with the output of the first half of its records. */
  readonly failWithOutput?: Trigger | undefined
  /** The job ends `Expired` when it would have begun, without waiting for its expiration time. */
  readonly expireJob?: Trigger | undefined
  /** The job ends `PartiallyCompleted` with half of its records processed. */
  readonly partialJob?: Trigger | undefined
  /** Records that were not run have a line with `expired: true` (the default), or no line at all. */
  readonly unprocessed?: "expired" | "missing" | undefined
  /** Every record of the job fails with error 400. */
  readonly failAllRecords?: Trigger | undefined
  /** Records without an output line. */
  readonly missingLines?: Trigger | undefined
  /** Records whose output line comes twice. */
  readonly duplicateLines?: Trigger | undefined
  /** Records beside which a line with an id that was never sent appears. */
  readonly unknownIds?: Trigger | undefined
  /** Records whose output line is cut in the middle. */
  readonly malformedLines?: Trigger | undefined
  /** Records that fail with error 429. */
  readonly throttledRecords?: Trigger | undefined
  /** Records that fail with error 500. */
  readonly brokenRecords?: Trigger | undefined
  /** Events that are never sent. */
  readonly dropEvents?: Trigger | undefined
  /** Events that are sent twice. */
  readonly duplicateEvents?: Trigger | undefined
  /** Events that are sent after the one that follows them. */
  readonly reorderEvents?: Trigger | undefined
  /** Events that are late. */
  readonly delayEvents?: Delay | undefined
}

type TriggerName = {
  [K in keyof FaultOptions]-?: NonNullable<FaultOptions[K]> extends Trigger ? K : never
}[keyof FaultOptions]
type DelayName = "slowCreate" | "slowAnswer" | "slowInvoke" | "delayEvents"

/**
 * The faults of one job, as they were drawn when it was created. The record faults are kept as they were set.
 *
 * @since 0.1.0
 * @category models
 */
export interface JobFaults {
  readonly end: "failed" | "failed-with-output" | "expired" | "partial" | null
  readonly unprocessed: "expired" | "missing"
  readonly failAllRecords: boolean
  readonly missingLines: Trigger
  readonly duplicateLines: Trigger
  readonly unknownIds: Trigger
  readonly malformedLines: Trigger
  readonly throttledRecords: Trigger
  readonly brokenRecords: Trigger
}

/**
 * The faults of a running emulator: a handle that tests change at any time.
 *
 * @since 0.1.0
 * @category models
 * @example
 * ```ts
 * import { Emulator } from "@bedrock-batch/emulator"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const emulator = yield* Emulator.Emulator
 *   emulator.faults.set({ throttleCreate: { next: 2 }, token: "ignored" })
 * })
 * ```
 */
export class Faults {
  #options: FaultOptions
  readonly #chance: Chance

  constructor(options: FaultOptions, chance: Chance) {
    this.#options = options
    this.#chance = chance
  }

  /** The faults as they stand: `next` counts go down as they strike. */
  get current(): FaultOptions {
    return this.#options
  }

  /** Changes some faults and leaves the others; an undefined member takes its fault away. */
  set(options: FaultOptions): void {
    this.#options = { ...this.#options, ...options }
  }

  /** Takes every fault away. */
  clear(): void {
    this.#options = {}
  }

  /** Whether a fault strikes now; a `next` count goes down by one. */
  strikes(name: TriggerName): boolean {
    const trigger = this.#options[name]
    return this.#draw(trigger, (left) => this.set({ [name]: left }))
  }

  /** How long a fault makes the caller wait now, in milliseconds of real time; 0 where it does not strike. */
  delay(name: DelayName): number {
    const delay = this.#options[name]
    if (delay === undefined) return 0
    const strikes = this.#draw(delay.when ?? 1, (left) => this.set({ [name]: { ...delay, when: left } }))
    return strikes ? Duration.toMillis(delay.by) : 0
  }

  /** Draws the faults of a new job. */
  forJob(): JobFaults {
    const take = (name: TriggerName): Trigger => {
      const trigger = this.#options[name] ?? 0
      if (typeof trigger !== "number") this.set({ [name]: { next: 0 } })
      return trigger
    }
    return {
      end: this.strikes("failJob")
        ? "failed"
        : this.strikes("failWithOutput")
        ? "failed-with-output"
        : this.strikes("expireJob")
        ? "expired"
        : this.strikes("partialJob")
        ? "partial"
        : null,
      unprocessed: this.#options.unprocessed ?? "expired",
      failAllRecords: this.strikes("failAllRecords"),
      missingLines: take("missingLines"),
      duplicateLines: take("duplicateLines"),
      unknownIds: take("unknownIds"),
      malformedLines: take("malformedLines"),
      throttledRecords: take("throttledRecords"),
      brokenRecords: take("brokenRecords")
    }
  }

  #draw(trigger: Trigger | undefined, keep: (left: { readonly next: number }) => void): boolean {
    if (trigger === undefined) return false
    if (typeof trigger === "number") return trigger > 0 && this.#chance.next() < trigger
    if (trigger.next <= 0) return false
    keep({ next: trigger.next - 1 })
    return true
  }
}

/**
 * Creates a function that says, record by record, whether a fault strikes: for `{ next: n }` exactly n of `total`
 * records (all where there are fewer), spread evenly by chance; for a probability each record on its own.
 *
 * @since 0.1.0
 * @category drawing
 */
export const picker = (trigger: Trigger, total: number, chance: Chance): () => boolean => {
  if (typeof trigger === "number") return trigger <= 0 ? () => false : () => chance.next() < trigger
  let wanted = trigger.next
  let left = total
  return () => {
    const picked = wanted > 0 && chance.next() * left < wanted
    left--
    if (picked) wanted--
    return picked
  }
}
