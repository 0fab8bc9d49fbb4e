/**
 * What an emulator counts, so that tests can prove that nothing was paid for twice.
 *
 * @since 0.1.0
 */
import type { Totals } from "./JobRunner.ts"

/**
 * The operations that are counted.
 *
 * @since 0.1.0
 * @category models
 */
export type Operation =
  | "create"
  | "get"
  | "list"
  | "stop"
  | "tag"
  | "untag"
  | "listTags"
  | "invoke"
  | "converse"
  | "getQuota"
  | "listQuotas"
  | "listDefaultQuotas"
  | "listModels"
  | "listProfiles"
  | "getAvailability"

/**
 * What was counted so far.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stats {
  /** Calls of each operation, refused ones included. */
  readonly calls: { readonly [operation in Operation]: number }
  /** Jobs that were created: each would have been billed. */
  readonly jobsCreated: number
  /** Records that were run by jobs that have ended: each would have been billed. */
  readonly recordsProcessed: number
  /** On-demand calls that a model answered, also where the answer was lost: each would have been billed. */
  readonly callsAnswered: number
  /** Jobs that are open now, by base model. */
  readonly open: { readonly [baseModel: string]: number }
  /** The most jobs that were ever open at a time, by base model. */
  readonly maxOpenSeen: { readonly [baseModel: string]: number }
}

/**
 * Counts.
 *
 * @since 0.1.0
 * @category models
 */
export class Tally {
  readonly #calls: { [operation in Operation]: number } = {
    create: 0,
    get: 0,
    list: 0,
    stop: 0,
    tag: 0,
    untag: 0,
    listTags: 0,
    invoke: 0,
    converse: 0,
    getQuota: 0,
    listQuotas: 0,
    listDefaultQuotas: 0,
    listModels: 0,
    listProfiles: 0,
    getAvailability: 0
  }
  readonly #open = new Map<string, number>()
  readonly #most = new Map<string, number>()
  #created = 0
  #processed = 0
  #answered = 0

  /** Counts a call. */
  called(operation: Operation): void {
    this.#calls[operation]++
  }

  /** Counts an on-demand call that a model answered. */
  answered(): void {
    this.#answered++
  }

  /** Counts a new job. */
  created(baseModel: string): void {
    this.#created++
    const open = this.open(baseModel) + 1
    this.#open.set(baseModel, open)
    this.#most.set(baseModel, Math.max(open, this.#most.get(baseModel) ?? 0))
  }

  /** Counts the end of a job. */
  ended(baseModel: string, totals: Totals | null): void {
    this.#open.set(baseModel, this.open(baseModel) - 1)
    this.#processed += totals?.processed ?? 0
  }

  /** Returns how many jobs of a model are open. */
  open(baseModel: string): number {
    return this.#open.get(baseModel) ?? 0
  }

  /** What was counted so far. */
  get stats(): Stats {
    return {
      calls: { ...this.#calls },
      jobsCreated: this.#created,
      recordsProcessed: this.#processed,
      callsAnswered: this.#answered,
      open: Object.fromEntries(this.#open),
      maxOpenSeen: Object.fromEntries(this.#most)
    }
  }
}
