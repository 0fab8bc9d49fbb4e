/**
 * Makes a run's requests as `prepare` does, plans its jobs, counts, and writes nothing.
 *
 * @internal
 */
import * as Prices from "@bedrock-batch/processors/Prices"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { BatchError, InvalidOption } from "../BatchError.ts"
import type { Estimate, EstimateOptions } from "../estimate.ts"
import type { Planner } from "../Planner.ts"
import { ObjectStore } from "../store/ObjectStore.ts"
import { type Batch, slice } from "./Batch.ts"
import type { Definition } from "./Definition.ts"
import * as EncodeRows from "./EncodeRows.ts"
import { openFolder } from "./MediaCopies.ts"
import { type PriceOf, priceOf } from "./PriceOf.ts"
import { NoCount, RequestTokens } from "./RequestTokens.ts"
import * as ReadMedia from "./ReadMedia.ts"
import { impossible, plannerOf } from "./PlanOf.ts"

/** Records that are planned at once: others get their turn in between. */
const plannedAtOnce = 100_000

/** What was counted. */
interface Counted {
  readonly records: number
  readonly jobs: number
  readonly few: boolean
  /** The rows that were made into requests, and their bytes. */
  readonly rows: number
  readonly bytes: number
  readonly tokens: RequestTokens
}

const tokenizerFailed = (cause: unknown): BatchError =>
  new BatchError({
    module: "estimate",
    method: "estimate",
    reason: new InvalidOption({
      path: "tokenizer",
      message: cause instanceof NoCount
        ? "the tokenizer must give a number of tokens for each text, and gave something else"
        : `the tokenizer threw ${cause instanceof Error ? cause.name : typeof cause}`,
      cause
    })
  })

/** Takes records, of so many bytes each, as the plan has room for them. */
class Plan {
  records = 0
  jobs = 0
  readonly #definition: Definition
  readonly planner: Planner

  constructor(definition: Definition, planner: Planner) {
    this.#definition = definition
    this.planner = planner
  }

  readonly add = Effect.fnUntraced({ self: this }, function*(
    this: Plan,
    sizeOf: (record: number) => number,
    count: number
  ) {
    for (let first = 0; first < count && !this.planner.ended; first += plannedAtOnce) {
      const last = Math.min(count, first + plannedAtOnce)
      for (let record = first; record < last; record++) {
        const added = this.planner.add(sizeOf(record))
        if (Result.isFailure(added)) return yield* impossible(this.#definition, added.failure)
        if (!added.success) break
        this.records++
      }
      this.#takeSteps()
      if (last < count) yield* Effect.yieldNow
    }
  })

  readonly end = Effect.fnUntraced({ self: this }, function*(this: Plan) {
    const ended = this.planner.end()
    if (Result.isFailure(ended)) return yield* impossible(this.#definition, ended.failure)
    this.#takeSteps()
  })

  #takeSteps(): void {
    for (const { closes } of this.planner.takeSteps()) if (closes) this.jobs++
  }
}

const count = Effect.fnUntraced(function*(definition: Definition, options: EstimateOptions) {
  const { encoder, processor, source } = definition
  const { sampleRows = Infinity, sourceRows, tokenizer } = options
  const total = source.count ?? sourceRows ?? null
  const plan = new Plan(definition, yield* plannerOf(definition, definition.bounds))
  const tokens = new RequestTokens(processor, tokenizer)
  let rows = 0
  let bytes = 0

  const store = yield* ObjectStore
  // Copies are made of nothing here: the folder has the length that it will have.
  const folder = openFolder(store, definition.runId, "0".repeat(16), 1)
  const encode = EncodeRows.make(
    definition,
    encoder.attachments.length === 0 ? null : ReadMedia.make(store, definition, encoder.attachments, folder)
  )

  const measure = Effect.fnUntraced(function*({ request, segments }: EncodeRows.Encoded) {
    const sizes: Array<number> = []
    for (const segment of segments) {
      let start = 0
      for (const end of segment.ends) {
        sizes.push(end - start)
        start = end
      }
    }
    const before = plan.records
    yield* plan.add((record) => sizes[record]!, sizes.length)
    const taken = plan.records - before
    for (let record = 0; record < taken; record++) bytes += sizes[record]!
    const requests = yield* Effect.try({
      try: () => Array.from({ length: taken }, (_, row) => request(row)),
      catch: (cause) => EncodeRows.unencodable(source, rows, cause)
    })
    yield* Effect.try({ try: () => requests.forEach((request) => tokens.add(request)), catch: tokenizerFailed })
    rows += taken
  })

  /** Rows beyond the sample are as large as those in it are on the average. */
  const take = Effect.fnUntraced(function*(batch: Batch) {
    const part = slice(batch, 0, Math.min(batch.length, plan.planner.room, sampleRows - rows))
    if (part.length > 0) yield* Stream.runForEach(encode(part, rows), measure)
    const rest = batch.length - part.length
    const isCounted = rows >= sampleRows
    if (isCounted && total === null && rest > 0) yield* plan.add(() => Math.ceil(bytes / rows), rest)
    return plan.planner.ended || (isCounted && total !== null)
  })

  yield* source.batches.pipe(
    Stream.mapEffect(take),
    Stream.takeUntil((isEnough) => isEnough),
    Stream.runDrain
  )
  if (rows === 0) return yield* impossible(definition, { problem: "empty", row: null, message: "there are no rows" })
  if (rows >= sampleRows && total !== null) {
    yield* plan.add(() => Math.ceil(bytes / rows), Math.max(0, total - plan.records))
  }
  yield* plan.end()
  const counted: Counted = { records: plan.records, jobs: plan.jobs, few: plan.planner.few, rows, bytes, tokens }
  return counted
})

const dollarsOf = (rate: Prices.Rate | null | undefined, input: number | null, output: number | null): number | null =>
  rate === null || rate === undefined || input === null || output === null ? null : Prices.cost(rate, { input, output })

const notesOf = (
  { few, records, rows, tokens }: Counted,
  { mediaTokens, tokenizer }: EstimateOptions,
  { note, row }: PriceOf,
  most: number | null
): ReadonlyArray<string> => [
  ...(rows < records ? [`bytes and tokens are scaled from the first ${rows} of ${records} rows`] : []),
  ...(tokenizer === undefined
    ? ["tokens are estimated from the characters of the requests; the model's own count can be a third off, or more"]
    : []),
  ...(tokens.media > 0 && mediaTokens === undefined
    ? ["the tokens of images and other media are not known, so neither is the price: give mediaTokens"]
    : []),
  ...(most === null ? ["the requests do not say how long an answer may be: give maxTokens"] : []),
  ...(note === null ? [] : [note]),
  ...(row !== null && (few ? row.onDemand : row.batch) === null
    ? [`the price table does not tell what ${row.model} costs ${few ? "on demand" : "in batch"}`]
    : [])
]

/** @internal */
export const estimateOf = Effect.fnUntraced(function*(definition: Definition, options: EstimateOptions) {
  const { model, processor, region, runId } = definition
  const price = yield* priceOf("estimate", options.prices, model, region)
  const counted = yield* count(definition, options)
  const { few, jobs, records, rows, tokens } = counted
  const scale = (value: number): number => Math.round(value * (records / rows))
  const media = scale(tokens.media)
  const inputTokens = scale(tokens.input + tokens.media * (options.mediaTokens ?? 0))
  const isKnown = media === 0 || options.mediaTokens !== undefined
  const isEmbedding = processor.accepts === "embed"
  const most = isEmbedding ? 0 : tokens.most === null ? null : scale(tokens.most)
  const wanted = options.expectedOutputTokens === undefined ? null : Math.round(options.expectedOutputTokens * records)
  const expected = isEmbedding ? 0 : wanted === null ? null : Math.min(wanted, most ?? Infinity)
  const input = isKnown ? inputTokens : null
  const rate = few ? price.row?.onDemand : price.row?.batch
  const estimate: Estimate = {
    runId,
    model,
    region,
    records,
    jobs,
    lane: few ? "on-demand" : "batch",
    bytes: scale(counted.bytes),
    counted: { rows, scaled: rows < records },
    inputTokens,
    tokensBy: options.tokenizer === undefined ? "heuristic" : "tokenizer",
    media,
    outputTokens: { most, expected },
    price: {
      row: price.row,
      input: dollarsOf(rate, input, 0),
      most: dollarsOf(rate, input, most),
      expected: dollarsOf(rate, input, expected),
      onDemand: {
        most: dollarsOf(price.row?.onDemand, input, most),
        expected: dollarsOf(price.row?.onDemand, input, expected)
      }
    },
    notes: notesOf(counted, options, price, most)
  }
  return estimate
})
