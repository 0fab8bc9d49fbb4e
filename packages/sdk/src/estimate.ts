/**
 * What a run would come to, before anything is written or paid for.
 *
 * @since 0.2.0
 */
import * as Prices from "@bedrock-batch/processors/Prices"
import type * as Prompt from "@bedrock-batch/processors/Prompt"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { BatchError, InvalidOption } from "./BatchError.ts"
import { define } from "./internal/Definition.ts"
import { estimateOf } from "./internal/EstimateRun.ts"
import type { Embed, PrepareOptions } from "./prepare.ts"
import type { Capacity } from "./schedule/Capacity.ts"
import type { ObjectStore } from "./store/ObjectStore.ts"

/**
 * What `estimate` takes beside the options of `prepare`.
 *
 * @since 0.2.0
 * @category configuration
 */
export interface EstimateOptions {
  /**
   * Rows that are made into requests and counted, the first ones of the source; what they come to is scaled to all
   * rows. Where the number of rows is not known beforehand the rest of the source is read all the same, to count its
   * rows: give `sourceRows` to spare that. Default: all rows are counted.
   */
  readonly sampleRows?: number | undefined
  /** How many rows the source has, where you know it: with `sampleRows` only the sample is read then. */
  readonly sourceRows?: number | undefined
  /** Counts the tokens of a text as the model does. Default: a heuristic, `Tokens.estimate`. */
  readonly tokenizer?: ((text: string) => number) | undefined
  /** Tokens of an answer that you expect on the average, reasoning included; for the expected price. */
  readonly expectedOutputTokens?: number | undefined
  /** Tokens that an image, a document or another piece of media has on the average. Default: unknown. */
  readonly mediaTokens?: number | undefined
  /** Default: the table of this package, `Prices.table`. */
  readonly prices?: Prices.PriceTable | undefined
}

const dollars = Schema.NullOr(Schema.Finite)

/**
 * Schema for what a run would come to. What is not known is null, and `notes` say why.
 *
 * @since 0.2.0
 * @category schemas
 */
export const Estimate = Schema.Struct({
  /** The id that `prepare` would give the run. */
  runId: Schema.String,
  model: Schema.String,
  region: Schema.String,
  /** Rows that would be sent. */
  records: Schema.Natural,
  /** Jobs, as they would be planned; 1 on demand. */
  jobs: Schema.Natural,
  /** How the records would be run: by batch jobs, or by a call each, since there are too few. */
  lane: Schema.Literals(["batch", "on-demand"]),
  /** Bytes of all input files. */
  bytes: Schema.Natural,
  /** The rows that were counted; `scaled` is whether all other numbers are reckoned from these. */
  counted: Schema.Struct({ rows: Schema.Natural, scaled: Schema.Boolean }),
  /** Tokens of the requests, media among them where `mediaTokens` was given. */
  inputTokens: Schema.Natural,
  /** Who counted them. */
  tokensBy: Schema.Literals(["heuristic", "tokenizer"]),
  /** Images, documents and so on in the requests. */
  media: Schema.Natural,
  outputTokens: Schema.Struct({
    /** If every answer is as long as it may be: the sum of `maxTokens`. */
    most: Schema.NullOr(Schema.Natural),
    /** By `expectedOutputTokens`, and never more than `most`. */
    expected: Schema.NullOr(Schema.Natural)
  }),
  /** In US dollars, without what S3 costs. */
  price: Schema.Struct({
    /** The row of the table that was used, and how well it fits; null where there is none. */
    row: Schema.NullOr(Prices.Price),
    /** Of the requests alone. */
    input: dollars,
    /** With the longest answers. */
    most: dollars,
    /** With answers as expected. */
    expected: dollars,
    /** The same on demand. */
    onDemand: Schema.Struct({ most: dollars, expected: dollars })
  }),
  /** What the numbers rest on, and why some are null: sentences for people. */
  notes: Schema.Array(Schema.String)
})

/**
 * What a run would come to.
 *
 * @since 0.2.0
 * @category models
 */
export interface Estimate extends Schema.Schema.Type<typeof Estimate> {}

const checkOptions = (options: EstimateOptions): BatchError | null => {
  const invalid = (path: string, message: string) =>
    new BatchError({ module: "estimate", method: "estimate", reason: new InvalidOption({ path, message }) })
  for (const path of ["sampleRows", "sourceRows"] as const) {
    const value = options[path]
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1)) {
      return invalid(path, `${path} is ${value}, and must be an integer of at least 1`)
    }
  }
  for (const path of ["expectedOutputTokens", "mediaTokens"] as const) {
    const value = options[path]
    if (value !== undefined && !(Number.isFinite(value) && value >= 0)) {
      return invalid(path, `${path} is ${value}, and must be a number of at least 0`)
    }
  }
  return options.tokenizer === undefined || typeof options.tokenizer === "function"
    ? null
    : invalid("tokenizer", "tokenizer must be a function that gives the number of tokens of a text")
}

/**
 * Says what a run would come to: records, jobs, bytes, tokens and their price. It takes the options of `prepare` and
 * makes the same requests, but writes nothing and asks no model, so it costs no more than reading the source. Memory
 * stays bounded. Fails with what `prepare` would fail with, and with `InvalidOption` for options of its own.
 *
 * Tokens are counted by a heuristic on the characters, unless you give the model's `tokenizer`. Those of images and
 * other media are unknown, unless you give `mediaTokens`. Rates are those of `Prices.table`, unless you give `prices`;
 * an unknown price is null, never 0.
 *
 * @since 0.2.0
 * @category constructors
 * @example
 * ```ts
 * import { estimate, Prompt, Source } from "@bedrock-batch/sdk"
 * import { Console, Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const { jobs, notes, price, records } = yield* estimate({
 *     name: "jokes",
 *     source: Source.csv("s3://my-bucket/topics.csv"),
 *     model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
 *     prompt: Prompt.make("Tell me a joke about {topic} in less than 50 words."),
 *     parameters: { maxTokens: 200 },
 *     expectedOutputTokens: 70,
 *     sampleRows: 10_000
 *   })
 *   yield* Console.log(`${records} records in ${jobs} jobs: about $${price.expected}, at most $${price.most}`)
 *   for (const note of notes) yield* Console.log(note)
 * })
 * ```
 */
export const estimate = Effect.fn("estimate")(function*<
  Row extends object,
  SR,
  const P extends Prompt.Any | undefined = undefined,
  X extends object = never,
  const N extends { readonly [column: string]: string } = {},
  const E extends Embed = "input_text",
  const B extends string | undefined = undefined,
  O extends object = {},
  const G extends boolean = false
>(
  options: PrepareOptions<Row, SR, P, X, N, E, B, O, G> & EstimateOptions
): Effect.fn.Return<Estimate, BatchError, ObjectStore | Capacity | SR> {
  const wrong = checkOptions(options)
  if (wrong !== null) return yield* wrong
  return yield* Effect.scoped(Effect.flatMap(define(options), (definition) => estimateOf(definition, options)))
})
