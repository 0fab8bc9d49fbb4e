/**
 * What a run came to in tokens and in money.
 *
 * @since 0.2.0
 */
import * as Prices from "@bedrock-batch/processors/Prices"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { BatchError } from "./BatchError.ts"
import { jobTokens, type JobTokens } from "./internal/JobTokens.ts"
import { readAllJobs } from "./internal/Manifest.ts"
import { type PriceOf, priceOf } from "./internal/PriceOf.ts"
import type { EndedJob, Job } from "./Job.ts"
import { type Entry, Ledger } from "./Ledger.ts"
import type { Handle } from "./RunManifest.ts"
import { ObjectStore } from "./store/ObjectStore.ts"

/**
 * Options of `receipt`.
 *
 * @since 0.2.0
 * @category configuration
 */
export interface ReceiptOptions {
  /** Default: the table of this package, `Prices.table`. */
  readonly prices?: Prices.PriceTable | undefined
}

const tokens = Schema.NullOr(Schema.Natural)
const dollars = Schema.NullOr(Schema.Finite)

/**
 * Schema for what one job came to.
 *
 * @since 0.2.0
 * @category schemas
 */
export const JobReceipt = Schema.Struct({
  /** Its key. */
  job: Schema.String,
  /** 1 is the first attempt. */
  attempt: Schema.Natural,
  lane: Schema.Literals(["batch", "on-demand"]),
  /** Bedrock's status of a job that has ended; `Open`, or `NotSent` for a job that nothing was sent of. */
  status: Schema.String,
  records: Schema.Natural,
  /** Records that were run; null where that is not known. */
  processed: tokens,
  /** Tokens of the requests, those of prompt caches among them; null where they are not known. */
  inputTokens: tokens,
  /** Tokens of the answers; null where they are not known. */
  outputTokens: tokens,
  /** Those of `inputTokens` that were read from or written to a prompt cache. */
  cachedTokens: Schema.Natural,
  /**
   * Who counted: the `manifest` that Bedrock writes beside its output; the `answers` themselves, on demand and where
   * there is no manifest; the job's `counters`, by which no record was run; `nothing` for a job that was not sent. Null
   * where nobody did.
   */
  from: Schema.NullOr(Schema.Literals(["manifest", "answers", "counters", "nothing"])),
  /** US dollars, at the rate of its lane; null where it is not known. */
  price: dollars,
  /** US dollars that the same tokens cost on demand; null where that is not known. */
  onDemand: dollars,
  /** Why something is null; null where nothing is. */
  unknown: Schema.NullOr(Schema.String)
})

/**
 * What one job came to.
 *
 * @since 0.2.0
 * @category models
 */
export interface JobReceipt extends Schema.Schema.Type<typeof JobReceipt> {}

/**
 * Schema for what a run came to. What is not known is null, and `notes` say why.
 *
 * @since 0.2.0
 * @category schemas
 */
export const Receipt = Schema.Struct({
  runId: Schema.String,
  model: Schema.String,
  region: Schema.String,
  /** The row of the table that was used, and how well it fits; null where there is none. */
  row: Schema.NullOr(Prices.Price),
  /** The jobs of all attempts, in order. */
  jobs: Schema.Array(JobReceipt),
  total: Schema.Struct({
    /** Of the jobs whose tokens are known. */
    inputTokens: Schema.Natural,
    /** Of the jobs whose tokens are known. */
    outputTokens: Schema.Natural,
    /** Jobs whose tokens are not known. */
    unknownJobs: Schema.Natural,
    /** US dollars; null where that of one job is not known. */
    price: dollars,
    /** US dollars of the jobs whose price is known; null where there is none. */
    atLeast: dollars,
    /** US dollars that the same tokens cost on demand; null where that of one job is not known. */
    onDemand: dollars
  }),
  /** What the numbers rest on, and why some are null: sentences for people. */
  notes: Schema.Array(Schema.String)
})

/**
 * What a run came to.
 *
 * @since 0.2.0
 * @category models
 */
export interface Receipt extends Schema.Schema.Type<typeof Receipt> {}

/** Reads of the store at a time. */
const concurrency = 16

/** What the ledger says of a job that has not ended. */
const standing = (job: Job, entry: Entry | undefined): "Open" | "NotSent" => {
  const last = entry?.claims.at(-1)
  if (entry === undefined || last === undefined) return "NotSent"
  if (entry.accepted || job.lane === "on-demand") return "Open"
  return last.refused || entry.unlisted >= last.number ? "NotSent" : "Open"
}

const priced = (rate: Prices.Rate | null | undefined, { cached, input, output }: JobTokens): number | null =>
  input === null || output === null
    ? null
    : input === 0 && output === 0
    ? 0
    : rate === null || rate === undefined || cached > 0
    ? null
    : Prices.cost(rate, { input, output })

const lineOf = (
  job: Job,
  status: string,
  counted: JobTokens,
  from: JobReceipt["from"],
  { note, row }: PriceOf
): JobReceipt => {
  const price = priced(job.lane === "batch" ? row?.batch : row?.onDemand, counted)
  const unknown = counted.unknown ??
    (price !== null
      ? null
      : row === null
      ? note
      : counted.cached > 0
      ? `${counted.cached} of its tokens are of a prompt cache, and the price table has no rates for these`
      : `the price table does not tell what ${row.model} costs ${job.lane === "batch" ? "in batch" : "on demand"}`)
  return {
    job: job.key,
    attempt: job.attempt,
    lane: job.lane,
    status,
    records: job.records,
    processed: counted.processed,
    inputTokens: counted.input,
    outputTokens: counted.output,
    cachedTokens: counted.cached,
    from,
    price,
    onDemand: priced(row?.onDemand, counted),
    unknown
  }
}

const nothing: JobTokens = { from: null, processed: 0, input: 0, output: 0, cached: 0, unknown: null }

const open: JobTokens = {
  from: null,
  processed: null,
  input: null,
  output: null,
  cached: 0,
  unknown: "it has not ended, as far as the ledger knows: await it"
}

/** The sum, or null where one is. */
const sum = (values: ReadonlyArray<number | null>): number | null =>
  values.reduce((total, value) => total === null || value === null ? null : total + value, 0)

const totalOf = (jobs: ReadonlyArray<JobReceipt>): Receipt["total"] => {
  const known = (values: ReadonlyArray<number | null>) => values.filter((value) => value !== null)
  const prices = known(jobs.map(({ price }) => price))
  return {
    inputTokens: sum(known(jobs.map(({ inputTokens }) => inputTokens))) ?? 0,
    outputTokens: sum(known(jobs.map(({ outputTokens }) => outputTokens))) ?? 0,
    unknownJobs: jobs.filter(({ inputTokens, outputTokens }) => inputTokens === null || outputTokens === null).length,
    price: sum(jobs.map(({ price }) => price)),
    atLeast: prices.length === 0 ? null : sum(prices),
    onDemand: sum(jobs.map(({ onDemand }) => onDemand))
  }
}

/** Each reason once, with the first job that it is the reason of. */
const reasonsOf = (jobs: ReadonlyArray<JobReceipt>): ReadonlyArray<string> => {
  const found = new Map<string, { readonly first: string; others: number }>()
  for (const { job, unknown } of jobs) {
    if (unknown === null) continue
    const one = found.get(unknown)
    if (one === undefined) found.set(unknown, { first: job, others: 0 })
    else one.others++
  }
  return [...found].map(([reason, { first, others }]) =>
    `job ${first}${others === 0 ? "" : ` and ${others} more`}: ${reason}`
  )
}

/**
 * Says what a run came to, by Bedrock's own counts of tokens: those of the manifest that Bedrock writes with each job's
 * output, and those of the stored answers on demand; with their price. Jobs of all attempts count, whatever their
 * status: what was processed is billed. Nobody is asked but the store: one list, and a small object or two for each job
 * (all answers of a job without a manifest).
 *
 * A job whose tokens are not known, and a price that no row of the table tells, are null, never 0, and the notes say
 * why. Rates are those of `Prices.table`, unless you give `prices`: the receipt is no bill, and taxes, discounts and
 * storage are not in it.
 *
 * @since 0.2.0
 * @category getters
 * @example
 * ```ts
 * import { receipt, Run } from "@bedrock-batch/sdk"
 * import { Console, Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const { notes, total } = yield* receipt(yield* Run.open("jokes-0123456789"))
 *   yield* Console.log(`${total.inputTokens} tokens in, ${total.outputTokens} out: $${total.price ?? "unknown"}`)
 *   for (const note of notes) yield* Console.log(note)
 * })
 * ```
 */
export const receipt = Effect.fn("receipt")(
  function*(
    run: Handle<object>,
    options?: ReceiptOptions
  ): Effect.fn.Return<Receipt, BatchError, ObjectStore | Ledger> {
    yield* Effect.annotateCurrentSpan({ run: run.id })
    const store = yield* ObjectStore
    const ledger = yield* Ledger
    const { model, region } = run.manifest
    const price = yield* priceOf("receipt", options?.prices, model, region)
    const planned = yield* readAllJobs(store, run.manifest)
    const entries = yield* ledger.entries(run.id)
    const counted = yield* Effect.forEach(
      planned,
      Effect.fnUntraced(function*(job) {
        const entry = entries.jobs.get(job.key)
        const ended: EndedJob | null = entry?.ended === true ? yield* ledger.ended(job) : null
        if (ended !== null) {
          const tokens = yield* jobTokens(store, ended, run.processor)
          const line = lineOf(job, ended.status, tokens, tokens.from, price)
          return { line, repeated: ended.repeatedCalls }
        }
        const status = standing(job, entry)
        const line = status === "Open"
          ? lineOf(job, status, open, null, price)
          : lineOf(job, status, nothing, "nothing", price)
        return { line, repeated: 0 }
      }),
      { concurrency }
    )
    const jobs = counted.map(({ line }) => line)
    const repeated = counted.reduce((calls, { repeated }) => calls + repeated, 0)
    const value: Receipt = {
      runId: run.id,
      model,
      region,
      row: price.row,
      jobs,
      total: totalOf(jobs),
      notes: [
        ...(price.note === null || price.row === null ? [] : [price.note]),
        ...(repeated === 0 ? [] : [`up to ${repeated} calls on demand may have been paid for beside these`]),
        ...reasonsOf(jobs)
      ]
    }
    return value
  }
)
