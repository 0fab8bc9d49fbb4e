/**
 * What the events of one run come to, in memory that does not grow with the jobs that have ended, but for a bit of
 * each.
 *
 * @internal
 */
import { isTerminal } from "../Job.ts"
import type { Event } from "../Progress.ts"
import type { RunProgress } from "../ProgressSummary.ts"
import { timeLeft } from "./Estimate.ts"

type EndedEvent = Extract<Event, { readonly _tag: "Ended" }>

const minute = 60_000

/** The time over which the pace is taken, in milliseconds, and in how many steps it moves on. */
const window = { millis: 10 * minute, steps: 40 }

/** Jobs by their number: one bit each. */
class JobSet {
  #bits = new Uint32Array(8)
  /** Keys of another form than ours. */
  readonly #strange = new Set<string>()
  size = 0

  #numberOf(key: string): number | null {
    const number = Number(key.slice(key.indexOf("-") + 1))
    return Number.isSafeInteger(number) && number >= 0 && number < 2 ** 24 ? number : null
  }

  has(key: string): boolean {
    const number = this.#numberOf(key)
    return number === null ? this.#strange.has(key) : ((this.#bits[number >>> 5] ?? 0) & (1 << (number & 31))) !== 0
  }

  /** False when it is in already. */
  add(key: string): boolean {
    if (this.has(key)) return false
    this.size++
    const number = this.#numberOf(key)
    if (number === null) this.#strange.add(key)
    else {
      const at = number >>> 5
      if (at >= this.#bits.length) {
        const more = new Uint32Array(Math.max(at + 1, 2 * this.#bits.length))
        more.set(this.#bits)
        this.#bits = more
      }
      this.#bits[at] = this.#bits[at]! | (1 << (number & 31))
    }
    return true
  }
}

/** How fast records are processed of late. */
class Pace {
  readonly #samples: Array<{ readonly at: number; readonly processed: number }> = []

  take(at: number, processed: number): void {
    const last = this.#samples.at(-1)
    if (last !== undefined && at - last.at < window.millis / window.steps) return
    this.#samples.push({ at, processed })
    // The one before the window is kept: the window begins between two.
    while (this.#samples.length > 2 && this.#samples[1]!.at <= at - window.millis) this.#samples.shift()
  }

  /** Records a minute. */
  of(at: number, processed: number): number | null {
    const from = this.#samples.findLast((sample) => sample.at <= at - window.millis) ?? this.#samples[0]
    if (from === undefined || at <= from.at) return null
    return (processed - from.processed) * minute / (at - from.at)
  }
}

interface OpenJob {
  status: string
  records: number
  processed: number
  failed: number
  /** What had been processed when it was first seen; null while that is not known. */
  before: number | null
  /** Since when it is open. */
  since: number
  /** Whether it was seen from its beginning. */
  whole: boolean
}

/** One attempt of a run. */
class Attempt {
  readonly number: number
  records = 0
  jobs = 0
  readonly open = new Map<string, OpenJob>()
  readonly #ended = new JobSet()
  readonly byStatus = new Map<string, number>()
  /** Of ended jobs. */
  readonly sums = { processed: 0, failed: 0, notRun: 0, unknown: 0 }
  /** Sums of open jobs. */
  processedOpen = 0
  failedOpen = 0
  /** Records that were seen to be processed, and since when one looks. */
  observed = 0
  observedFrom: number | null = null
  readonly pace = new Pace()
  /** Jobs that were seen from their beginning to their end, how long they took, and the squares of that. */
  readonly durations = { jobs: 0, millis: 0, squares: 0 }

  constructor(number: number) {
    this.number = number
  }

  get ended(): number {
    return this.#ended.size
  }

  #look(at: number): void {
    if (this.observedFrom !== null) return
    this.observedFrom = at
    this.pace.take(at, 0)
  }

  submitted(key: string, records: number, isNew: boolean, since: number, at: number): void {
    if (this.#ended.has(key)) return
    this.#look(at)
    const job = this.open.get(key)
    if (job !== undefined) {
      job.since = Math.min(job.since, since)
      job.whole = true
      return
    }
    const before = isNew ? 0 : null
    this.open.set(key, { status: "Submitted", records, processed: 0, failed: 0, before, since, whole: true })
  }

  changed(key: string, status: string, records: number, processed: number, failed: number, at: number): void {
    if (this.#ended.has(key)) return
    this.#look(at)
    let job = this.open.get(key)
    if (job === undefined) {
      job = { status, records, processed: 0, failed: 0, before: null, since: at, whole: false }
      this.open.set(key, job)
    }
    job.status = status
    this.#count(job, processed, failed, at)
  }

  /** What lags or goes back does not count. */
  #count(job: OpenJob, processed: number, failed: number, at: number): void {
    const now = Math.max(job.processed, Math.min(processed, job.records))
    const failedNow = Math.max(job.failed, Math.min(failed, now))
    if (job.before === null) job.before = now
    else this.observed += now - job.processed
    this.processedOpen += now - job.processed
    this.failedOpen += failedNow - job.failed
    job.processed = now
    job.failed = failedNow
    this.pace.take(at, this.observed)
  }

  end(key: string, status: EndedEvent["status"], records: number, counters: EndedEvent["counters"], at: number): void {
    if (!this.#ended.add(key)) return
    this.byStatus.set(status, (this.byStatus.get(status) ?? 0) + 1)
    const job = this.open.get(key)
    const isCounted = counters !== null || status === "Completed"
    if (job !== undefined) {
      this.#look(at)
      if (isCounted) this.#count(job, counters?.processed ?? records, counters?.failed ?? 0, at)
      this.open.delete(key)
      this.processedOpen -= job.processed
      this.failedOpen -= job.failed
      const ran = status === "Completed" || status === "PartiallyCompleted"
      if (job.whole && ran) {
        this.durations.jobs++
        const millis = Math.max(0, at - job.since)
        this.durations.millis += millis
        this.durations.squares += millis * millis
      }
    }
    const processed = Math.min(records, Math.max(job?.processed ?? 0, counters?.processed ?? (isCounted ? records : 0)))
    this.sums.processed += processed
    this.sums.failed += Math.min(processed, Math.max(job?.failed ?? 0, counters?.failed ?? 0))
    this.sums[isCounted || status === "Refused" ? "notRun" : "unknown"] += records - processed
  }
}

const spreadOf = ({ jobs, millis, squares }: Attempt["durations"]): number =>
  jobs === 0 ? 0 : Math.sqrt(Math.max(0, squares / jobs - (millis / jobs) ** 2))

/** @internal */
export class RunFold {
  readonly #runId: string
  #attempt = new Attempt(1)
  #collected = new JobSet()
  #phase: "preparing" | "prepared" | "running" | "stopping" | "finished" = "preparing"
  #waiting: { readonly why: string; readonly job: string; readonly until: number } | null = null

  constructor(runId: string) {
    this.#runId = runId
  }

  get isFinished(): boolean {
    return this.#phase === "finished"
  }

  follow(event: Event, at: number): void {
    switch (event._tag) {
      case "Prepared":
        if (this.#attempt.number > 1) return
        this.#total(event.records, event.jobs)
        if (event.done && this.#phase === "preparing") this.#phase = "prepared"
        return
      case "Uploaded":
        return
      case "Retrying":
        this.#begin(event.attempt)
        if (event.attempt === this.#attempt.number) this.#total(event.records, event.jobs)
        return
      case "Awaiting":
        this.#begin(event.attempt)
        if (event.attempt !== this.#attempt.number) return
        this.#total(event.records, event.jobs)
        if (this.#phase !== "finished") this.#phase = "running"
        return
      case "Waiting": {
        const until = at + event.millis
        const { job, why } = event
        if (this.#waiting === null || this.#waiting.until <= Math.max(at, until)) this.#waiting = { why, job, until }
        return
      }
      case "Stopping":
        if (this.#phase !== "finished") this.#phase = "stopping"
        this.#waiting = null
        return
      case "Collected":
        this.#collected.add(event.job)
        return
      case "Finished":
        if (event.attempt >= this.#attempt.number) this.#phase = "finished"
        return
      case "Submitted":
      case "JobChanged":
      case "Ended":
        this.#followJob(event, at)
    }
  }

  #followJob(event: Extract<Event, { readonly _tag: "Submitted" | "JobChanged" | "Ended" }>, at: number): void {
    const { job, records } = event
    const number = Number.parseInt(job, 10)
    if (number > this.#attempt.number) this.#begin(number)
    if (number < this.#attempt.number) return
    const attempt = this.#attempt
    if (this.#waiting?.job === job) this.#waiting = null
    if (this.#phase === "preparing" || this.#phase === "prepared") this.#phase = "running"
    if (event._tag === "Submitted") {
      const since = Date.parse(event.submittedAt)
      attempt.submitted(job, records, event.how === "sent", Number.isNaN(since) ? at : Math.min(since, at), at)
    } else if (event._tag === "Ended") attempt.end(job, event.status, records, event.counters, at)
    else if (isTerminal(event.status)) {
      // Without counters what it says of processed records is all there is.
      const { counters, processed } = event
      const counted = counters === undefined ? { total: records, processed, succeeded: processed, failed: 0 } : counters
      attempt.end(job, event.status, records, counted, at)
    } else attempt.changed(job, event.status, records, event.processed, event.counters?.failed ?? 0, at)
  }

  /** Goes on to another attempt, if it is a later one. */
  #begin(number: number): void {
    if (!(number > this.#attempt.number)) return
    this.#attempt = new Attempt(number)
    this.#collected = new JobSet()
    this.#phase = "prepared"
    this.#waiting = null
  }

  #total(records: number, jobs: number): void {
    this.#attempt.records = Math.max(this.#attempt.records, records)
    this.#attempt.jobs = Math.max(this.#attempt.jobs, jobs)
  }

  summary(at: number): RunProgress {
    const { byStatus, durations, ended, failedOpen, number, observed, observedFrom, open, pace, processedOpen, sums } =
      this.#attempt
    const total = Math.max(this.#attempt.jobs, ended + open.size)
    const processed = sums.processed + processedOpen
    const settled = processed + sums.notRun + sums.unknown
    const records = Math.max(this.#attempt.records, settled)
    const isOver = ended === total && total > 0
    const states: Record<string, number> = {}
    const ages: Array<number> = []
    for (const job of open.values()) {
      states[job.status] = (states[job.status] ?? 0) + 1
      ages.push(Math.max(0, at - job.since))
    }
    const phase = isOver && (this.#phase === "running" || this.#phase === "stopping") ? "collecting" : this.#phase
    const rate = observed > 0 ? pace.of(at, observed) : null
    const waiting = total - ended - open.size
    const isKnown = phase === "running" || phase === "collecting" || phase === "finished"
    const left = !isKnown ? null : timeLeft({
      remaining: isOver ? 0 : records - settled,
      waiting,
      open: ages,
      observed,
      observedMillis: observedFrom === null ? 0 : at - observedFrom,
      recent: rate,
      ended: durations.jobs,
      endedMillis: durations.millis,
      spreadMillis: spreadOf(durations)
    })
    return {
      runId: this.#runId,
      phase,
      attempt: number,
      records: {
        total: records,
        processed,
        failed: sums.failed + failedOpen,
        notRun: sums.notRun,
        unknown: sums.unknown
      },
      jobs: {
        total,
        waiting,
        open: states,
        ended: Object.fromEntries(byStatus),
        collected: this.#collected.size
      },
      recordsPerMinute: rate === null ? null : Math.max(0, rate),
      left,
      waiting: this.#waiting === null || this.#waiting.until <= at
        ? null
        : { why: this.#waiting.why, job: this.#waiting.job, millis: Math.ceil(this.#waiting.until - at) }
    }
  }
}
