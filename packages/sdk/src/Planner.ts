/**
 * How many records go into which job. A pure state machine: it is told the size of one record after the other and says
 * which job and file each belongs to, never giving a job fewer records than the minimum, and nothing beyond a quota.
 *
 * Rows keep their order: a job holds a range of them. To keep the last job above the minimum, the last `minRecords`
 * records of the current job are held back until the next job is sure of its minimum, so at most twice that many
 * records wait at a time.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Limits } from "./Limits.ts"

/**
 * Schema for what bounds a plan; it is frozen in `plan.json`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Bounds = Schema.Struct({
  ...Limits.fields,
  /**
   * Records that a job is cut at: a wish, kept within the quotas. With a known number of rows the jobs are made equal;
   * else a rest under the minimum joins the job before it, up to `maxRecords`.
   */
  maxRecordsPerJob: Schema.Natural,
  /** Jobs at most; rows beyond them are left out. Null for no limit. */
  maxJobs: Schema.NullOr(Schema.Natural),
  /** Rows at most; those beyond are left out. Null for no limit. */
  maxRecordsTotal: Schema.NullOr(Schema.Natural)
})

/**
 * What bounds a plan.
 *
 * @since 0.1.0
 * @category models
 */
export interface Bounds extends Schema.Schema.Type<typeof Bounds> {}

/**
 * A step of the plan: the next `records` pending records belong to file `file` of job `job`; `closes` when they are the
 * job's last.
 *
 * @since 0.1.0
 * @category models
 */
export interface Step {
  /** Position of the job, from 0. */
  readonly job: number
  /** Position of the file in its job, from 0. */
  readonly file: number
  /** How many of the pending records, in order. */
  readonly records: number
  /** Whether the job ends with them. */
  readonly closes: boolean
}

/**
 * Why no plan exists.
 *
 * - `below-minimum`: fewer records than one job needs (none at all: `empty`);
 * - `record-too-large`: one record, or the fewest records a job may have, are larger than a file or a job may be;
 * - `no-plan`: the quotas leave no way to divide this number of records.
 *
 * @since 0.1.0
 * @category errors
 */
export interface Impossible {
  readonly problem: "empty" | "below-minimum" | "record-too-large" | "no-plan"
  readonly message: string
  /** Data row, from 1, where one is to blame. */
  readonly row: number | null
}

/**
 * What becomes of records that are fewer than a job must have: no plan (`fail`, the default), or one job of them all, to
 * be run on demand.
 *
 * @since 0.1.0
 * @category models
 */
export type BelowMinimum = "on-demand" | "fail"

/**
 * Jobs of a plan that are closed, and their records: where the plan is to go on. From there on it says what it would have
 * said in one go.
 *
 * @since 0.2.0
 * @category models
 */
export interface Planned {
  readonly jobs: number
  readonly records: number
}

/** A first-in-first-out queue of record sizes, with their sum. */
class Sizes {
  #items: Array<number> = []
  #head = 0
  bytes = 0

  get length(): number {
    return this.#items.length - this.#head
  }
  push(size: number): void {
    this.#items.push(size)
    this.bytes += size
  }
  shift(): number {
    const size = this.#items[this.#head++]!
    this.bytes -= size
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return size
  }
  /** Takes the last `count` sizes out, in order. */
  takeLast(count: number): ReadonlyArray<number> {
    const taken = this.#items.splice(this.#items.length - count, count)
    for (const size of taken) this.bytes -= size
    return taken
  }
}

/**
 * Plans one run.
 *
 * @since 0.1.0
 * @category models
 */
export class Planner {
  readonly #bounds: Bounds
  readonly #total: number | null
  readonly #belowMinimum: BelowMinimum
  readonly #soft: number
  #steps: Array<{ job: number; file: number; records: number; closes: boolean }> = []
  #job = 0
  #file = 0
  #fileRecords = 0
  #fileBytes = 0
  /** Records and bytes that are the current job's for good. */
  #given = 0
  #givenBytes = 0
  /** The current job's last records, held back. */
  readonly #held = new Sizes()
  /** Records after a current job that is full: the next job's, if they reach the minimum. */
  readonly #tail = new Sizes()
  #full = false
  #target: number
  #seen = 0
  #ended = false
  #few = false

  private constructor(bounds: Bounds, total: number | null, belowMinimum: BelowMinimum, before: Planned) {
    this.#bounds = bounds
    this.#total = total
    this.#belowMinimum = belowMinimum
    this.#soft = Math.max(bounds.minRecords, 1, Math.min(bounds.maxRecordsPerJob, bounds.maxRecords))
    this.#job = before.jobs
    this.#seen = before.records
    this.#target = total === null
      ? this.#soft
      : before.jobs === 0
      ? Math.ceil(total / jobsFor(total, this.#soft, bounds.minRecords))
      : this.#targetAfter(before.records, total, Math.max(1, bounds.minRecords))
  }

  /**
   * Starts a plan, or goes on with one after the jobs `before`, with the same bounds and count. With a known `count` the
   * split is even. Fails at once when the count alone shows that no plan exists.
   */
  static make(
    bounds: Bounds,
    count: number | null,
    belowMinimum: BelowMinimum = "fail",
    before: Planned = { jobs: 0, records: 0 }
  ): Result.Result<Planner, Impossible> {
    const { maxRecords, minRecords } = bounds
    if (maxRecords < Math.max(1, minRecords)) {
      return Result.fail({
        problem: "no-plan",
        row: null,
        message: `a job must have at least ${minRecords} records and at most ${maxRecords}`
      })
    }
    if (count === null) {
      if (maxRecords < 2 * minRecords - 1) {
        return Result.fail({
          problem: "no-plan",
          row: null,
          message: `with at least ${minRecords} and at most ${maxRecords} records a job, rows can only be divided when ` +
            `their number is known beforehand: raise maxRecords to ${2 * minRecords - 1} or give an array of rows`
        })
      }
      return Result.succeed(new Planner(bounds, null, belowMinimum, before))
    }
    const soft = Math.max(minRecords, 1, Math.min(bounds.maxRecordsPerJob, maxRecords))
    const total = Math.min(
      count,
      bounds.maxRecordsTotal ?? Infinity,
      bounds.maxJobs === null ? Infinity : bounds.maxJobs * soft
    )
    const none = tooFew(total, minRecords, belowMinimum)
    if (none !== null) return Result.fail(none)
    if (total >= minRecords && Math.ceil(total / jobsFor(total, soft, minRecords)) > maxRecords) {
      return Result.fail({
        problem: "no-plan",
        row: null,
        message: `${total} records cannot be divided into jobs of at least ${minRecords} and at most ${maxRecords} records`
      })
    }
    return Result.succeed(new Planner(bounds, total, belowMinimum, before))
  }

  /** Whether the records were fewer than a batch job must have: known when the plan has ended. */
  get few(): boolean {
    return this.#few
  }

  /** Whether the plan takes no more records: `maxRecordsTotal` or `maxJobs` is reached. */
  get ended(): boolean {
    return this.#ended
  }

  /** How many more records the plan can take at most. */
  get room(): number {
    return this.#ended ? 0 : Math.min(this.#bounds.maxRecordsTotal ?? Infinity, this.#total ?? Infinity) - this.#seen
  }

  /** Records that wait for the decision which job they belong to. */
  get pending(): number {
    return this.#held.length + this.#tail.length
  }

  /** Adds the next record, of `size` bytes with its line end. False when the plan takes no more: the record is left out. */
  add(size: number): Result.Result<boolean, Impossible> {
    if (this.#ended) return Result.succeed(false)
    const { maxFileBytes, maxJobBytes, maxRecordsTotal, minRecords } = this.#bounds
    const row = this.#seen + 1
    if (size > maxFileBytes || size > maxJobBytes) {
      return Result.fail({
        problem: "record-too-large",
        row,
        message: `the request of row ${row} is ${size} bytes long, and an input file may have at most ${
          Math.min(maxFileBytes, maxJobBytes)
        }`
      })
    }
    if (!this.#full) {
      const records = this.#given + this.#held.length
      const bytes = this.#givenBytes + this.#held.bytes
      const small = records < minRecords
      if (records === this.#target || bytes + size > maxJobBytes) {
        if (small) return Result.fail(tooLarge(row, minRecords, maxJobBytes))
        this.#full = true
        if (this.#job + 1 === this.#bounds.maxJobs) {
          this.#ended = true
          return Result.succeed(false)
        }
      }
    }
    if (this.#full) {
      if (this.#tail.bytes + size > maxJobBytes) return Result.fail(tooLarge(row, minRecords, maxJobBytes))
      this.#tail.push(size)
      if (this.#tail.length >= minRecords) this.#advance()
    } else {
      this.#held.push(size)
      if (this.#held.length > minRecords) this.#give(this.#held.shift())
    }
    this.#seen = row
    if (row === maxRecordsTotal || row === this.#total) this.#ended = true
    return Result.succeed(true)
  }

  /** Ends the plan: what was held back is given to the last one or two jobs. */
  end(): Result.Result<void, Impossible> {
    this.#ended = true
    const { maxJobBytes, maxRecords, minRecords } = this.#bounds
    const none = tooFew(this.#seen, minRecords, this.#belowMinimum)
    if (none !== null) return Result.fail(none)
    this.#few = this.#seen < minRecords
    const tail = this.#tail.length
    if (tail > 0) {
      const records = this.#given + this.#held.length + tail
      const bytes = this.#givenBytes + this.#held.bytes + this.#tail.bytes
      const wanted = minRecords - tail
      if (records <= maxRecords && bytes <= maxJobBytes) {
        while (this.#tail.length > 0) this.#held.push(this.#tail.shift())
      } else if (records - tail - wanted >= minRecords) {
        const borrowed = this.#held.takeLast(wanted)
        const sizes = [...borrowed]
        while (this.#tail.length > 0) sizes.push(this.#tail.shift())
        if (sizes.reduce((a, b) => a + b, 0) > maxJobBytes) {
          return Result.fail(tooLarge(this.#seen, minRecords, maxJobBytes))
        }
        this.#close()
        for (const size of sizes) this.#held.push(size)
      } else {
        return Result.fail({
          problem: "no-plan",
          row: null,
          message: `the last ${tail} of ${this.#seen} records are fewer than the ${minRecords} a job needs, and the job ` +
            `before them can neither take them nor spare enough records`
        })
      }
    }
    this.#close()
    return Result.succeed(undefined)
  }

  /** The steps decided since the last call. */
  takeSteps(): ReadonlyArray<Step> {
    const steps = this.#steps
    this.#steps = []
    return steps
  }

  /** Closes the full job and makes the tail the current one. */
  #advance(): void {
    const closedAt = this.#seen + 1 - this.#tail.length
    this.#close()
    while (this.#tail.length > 0) this.#held.push(this.#tail.shift())
    if (this.#total !== null) this.#target = this.#targetAfter(closedAt, this.#total, this.#held.length)
  }

  /** The size of the next job after so many records in closed ones; it has `least` records already. */
  #targetAfter(closedAt: number, total: number, least: number): number {
    const { maxJobs, maxRecords, minRecords } = this.#bounds
    const most = maxJobs === null ? Infinity : maxJobs - this.#job
    const rest = Math.min(total - closedAt, most * this.#soft)
    const even = Math.ceil(rest / Math.min(most, jobsFor(rest, this.#soft, minRecords)))
    // After a job that its bytes cut short, the rest may be one that cannot be divided evenly.
    return Math.max(least, Math.min(maxRecords, even))
  }

  #give(size: number): void {
    const { maxFileBytes, maxFileRecords } = this.#bounds
    if (this.#fileRecords > 0 && (this.#fileRecords >= maxFileRecords || this.#fileBytes + size > maxFileBytes)) {
      this.#file++
      this.#fileRecords = 0
      this.#fileBytes = 0
    }
    this.#fileRecords++
    this.#fileBytes += size
    this.#given++
    this.#givenBytes += size
    const last = this.#steps.at(-1)
    if (last !== undefined && last.job === this.#job && last.file === this.#file) {
      last.records++
    } else {
      this.#steps.push({ job: this.#job, file: this.#file, records: 1, closes: false })
    }
  }

  #close(): void {
    while (this.#held.length > 0) this.#give(this.#held.shift())
    const last = this.#steps.at(-1)
    if (last !== undefined && last.job === this.#job) last.closes = true
    else this.#steps.push({ job: this.#job, file: this.#file, records: 0, closes: true })
    this.#job++
    this.#file = 0
    this.#fileRecords = 0
    this.#fileBytes = 0
    this.#given = 0
    this.#givenBytes = 0
    this.#full = false
  }
}

/** How many jobs `records` are split into: as few as the wished size allows, but none under the minimum. */
const jobsFor = (records: number, soft: number, minimum: number): number => {
  const wished = Math.ceil(records / soft)
  return Math.max(1, Math.floor(records / wished) >= minimum ? wished : Math.floor(records / minimum))
}

const tooFew = (records: number, minimum: number, belowMinimum: BelowMinimum): Impossible | null =>
  records === 0
    ? { problem: "empty", row: null, message: "there are no rows" }
    : records < minimum && belowMinimum === "fail"
    ? {
      problem: "below-minimum",
      row: null,
      message: `there are ${records} rows, and a batch job must have at least ${minimum} records: add rows, or give ` +
        `belowMinimum: "on-demand" to ask the model on demand, at its full price`
    }
    : null

const tooLarge = (row: number, minimum: number, maxJobBytes: number): Impossible => ({
  problem: "record-too-large",
  row,
  message: `around row ${row} the ${minimum} records that a job needs at least are larger than the ${maxJobBytes} ` +
    `bytes it may have`
})
