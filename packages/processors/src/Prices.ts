/**
 * What models cost, as data: rates by model, inference profile and Region, each with its date and its source, and the
 * rules by which one is found. Prices change; put rows of your own in front.
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { parse } from "./ModelId.ts"

/**
 * Schema for the rate of a model: US dollars for a million tokens.
 *
 * @since 0.2.0
 * @category schemas
 */
export const Rate = Schema.Struct({
  /** US dollars for a million tokens of requests. */
  input: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
  /** US dollars for a million tokens of answers, reasoning included. 0 for embedding models. */
  output: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
})

/**
 * The rate of a model: US dollars for a million tokens.
 *
 * @since 0.2.0
 * @category models
 */
export interface Rate extends Schema.Schema.Type<typeof Rate> {}

/**
 * Schema for what one model costs in one Region.
 *
 * @since 0.2.0
 * @category schemas
 */
export const PriceRow = Schema.Struct({
  /**
   * The id as it is given to Bedrock, with the prefix of its inference profile (`us.`, `global.`), since the profiles
   * of a model can have different prices; or an ARN.
   */
  model: Schema.String,
  /** The Region in which the job is created. */
  region: Schema.String,
  /** In batch jobs; null where it is not known. */
  batch: Schema.NullOr(Rate),
  /** Of calls on demand; null where it is not known. */
  onDemand: Schema.NullOr(Rate),
  /** When the rates were read, for example `2026-09`. */
  asOf: Schema.String,
  /** Where they were read. */
  source: Schema.String
})

/**
 * What one model costs in one Region.
 *
 * @since 0.2.0
 * @category models
 */
export interface PriceRow extends Schema.Schema.Type<typeof PriceRow> {}

/**
 * Schema for a price table: plain JSON, so that it can come from a file. Of two rows for the same the first counts.
 *
 * @since 0.2.0
 * @category schemas
 * @example
 * ```ts
 * import { Prices } from "@bedrock-batch/processors"
 * import { Schema } from "effect"
 * import { readFileSync } from "node:fs"
 *
 * const own = Schema.decodeUnknownSync(Schema.fromJsonString(Prices.PriceTable))(readFileSync("prices.json", "utf8"))
 *
 * export const prices: Prices.PriceTable = [...own, ...Prices.table]
 * ```
 */
export const PriceTable = Schema.Array(PriceRow)

/**
 * A price table. Of two rows for the same the first counts.
 *
 * @since 0.2.0
 * @category models
 */
export type PriceTable = ReadonlyArray<PriceRow>

/**
 * What a price on demand is, where only the batch price was read: Bedrock's batch inference costs half the price on
 * demand, in every row of its Price List in which both were read.
 *
 * @since 0.2.0
 * @category constants
 */
export const onDemandFactor = 2

const asOf = "2026-09"
const source = "batch rates of the AWS Price List for us-west-2, read in August and September 2026; " +
  "on demand: their double"

const row = (model: string, input: number, output: number): PriceRow => ({
  model,
  region: "us-west-2",
  batch: { input, output },
  onDemand: { input: input * onDemandFactor, output: output * onDemandFactor },
  asOf,
  source
})

/**
 * The price table of this package: batch rates of the AWS Price List in us-west-2, read in August and September 2026,
 * and their double as the price on demand. It has those models only whose row was read; of all others, embedding models
 * among them, the price is unknown until you add a row.
 *
 * @since 0.2.0
 * @category constants
 */
export const table: PriceTable = [
  row("us.amazon.nova-micro-v1:0", 0.0175, 0.07),
  row("global.amazon.nova-2-lite-v1:0", 0.15, 1.25),
  row("us.amazon.nova-2-lite-v1:0", 0.1595, 1.3255),
  row("openai.gpt-oss-20b-1:0", 0.035, 0.15),
  row("openai.gpt-oss-120b-1:0", 0.075, 0.3),
  row("mistral.ministral-3-8b-instruct", 0.07, 0.07),
  row("mistral.ministral-3-14b-instruct", 0.1, 0.1),
  row("mistral.mistral-large-3-675b-instruct", 0.25, 0.75),
  row("google.gemma-3-12b-it", 0.05, 0.15),
  row("google.gemma-3-27b-it", 0.12, 0.19),
  row("us.meta.llama4-scout-17b-instruct-v1:0", 0.085, 0.33),
  row("us.meta.llama4-maverick-17b-instruct-v1:0", 0.12, 0.485),
  row("qwen.qwen3-235b-a22b-2507-v1:0", 0.11, 0.44),
  row("qwen.qwen3-32b-v1:0", 0.075, 0.3),
  row("qwen.qwen3-next-80b-a3b", 0.07, 0.6),
  row("nvidia.nemotron-nano-3-30b", 0.03, 0.12),
  row("zai.glm-4.7", 0.3, 1.1),
  row("zai.glm-4.7-flash", 0.035, 0.2),
  row("minimax.minimax-m2.1", 0.15, 0.6),
  row("moonshot.kimi-k2-thinking", 0.3, 1.25),
  row("moonshotai.kimi-k2.5", 0.3, 1.5),
  row("deepseek.v3.2", 0.31, 0.925),
  row("global.anthropic.claude-haiku-4-5-20251001-v1:0", 0.5, 2.5),
  row("global.anthropic.claude-opus-5", 2.5, 12.5)
]

/**
 * Schema for how well a row fits what was asked for: `exact`, the same model, profile and Region; `other-profile`, the
 * same model in the same Region by another inference profile, or by none; `other-region`, the same model and profile in
 * another Region; `other-profile-and-region`, the same model alone.
 *
 * @since 0.2.0
 * @category schemas
 */
export const Match = Schema.Literals(["exact", "other-profile", "other-region", "other-profile-and-region"])

/**
 * How well a row fits what was asked for.
 *
 * @since 0.2.0
 * @category models
 */
export type Match = typeof Match.Type

/**
 * Schema for a row that was found, and how well it fits.
 *
 * @since 0.2.0
 * @category schemas
 */
export const Price = Schema.Struct({ ...PriceRow.fields, match: Match })

/**
 * A row that was found, and how well it fits.
 *
 * @since 0.2.0
 * @category models
 */
export interface Price extends Schema.Schema.Type<typeof Price> {}

/**
 * Why there is no price; `message` says so, and what to do.
 *
 * @since 0.2.0
 * @category models
 */
export interface UnknownPrice {
  readonly model: string
  readonly region: string
  readonly message: string
}

/** The model without its profile; a name that does not reveal it stands for itself. */
const baseOf = (model: string): string => {
  const parsed = parse(model)
  return Result.isSuccess(parsed) ? parsed.success.baseModel : model
}

/** The id of a profile or a model without the rest of its ARN. */
const idOf = (model: string): string => {
  const parsed = parse(model)
  if (Result.isFailure(parsed)) return model
  const { baseModel, profile } = parsed.success
  return profile === null ? baseModel : `${profile}.${baseModel}`
}

/** The row with the higher price in batch, or on demand where that is not known. */
const dearest = (rows: ReadonlyArray<PriceRow>): PriceRow | undefined => {
  const weight = ({ batch, onDemand }: PriceRow): number => {
    const rate = batch ?? onDemand
    return rate === null ? -1 : rate.input + rate.output
  }
  let most: PriceRow | undefined
  for (const row of rows) if (most === undefined || weight(row) > weight(most)) most = row
  return most
}

/**
 * Finds what a model costs in a Region: by the id as it stands (an ARN counts as the id that it names) and the Region;
 * else the same model in that Region by another inference profile; else the same id in another Region; else the same
 * model anywhere. Among several rows of one of the last three kinds the dearest is taken, so that an estimate is rather
 * too high. `match` says which kind it is, and {@link note} says it in words. A model of which no row tells is unknown,
 * and so is an application inference profile or a custom model, unless a row has its very ARN.
 *
 * @since 0.2.0
 * @category getters
 * @example
 * ```ts
 * import { Prices } from "@bedrock-batch/processors"
 * import { Result } from "effect"
 *
 * const price = Prices.find(Prices.table, "us.anthropic.claude-opus-5", "us-west-2")
 *
 * Result.isSuccess(price) ? [price.success.model, price.success.match] : price.failure.message
 * // ["global.anthropic.claude-opus-5", "other-profile"]
 * ```
 */
export const find = (prices: PriceTable, model: string, region: string): Result.Result<Price, UnknownPrice> => {
  const [id, base] = [idOf(model), baseOf(model)]
  const same = prices.filter((row) => baseOf(row.model) === base)
  const sameId = same.filter((row) => row.model === model || idOf(row.model) === id)
  const found = (row: PriceRow | undefined, match: Match) => row === undefined ? [] : [{ ...row, match }]
  const [price] = [
    ...found(sameId.find((row) => row.region === region), "exact"),
    ...found(dearest(same.filter((row) => row.region === region)), "other-profile"),
    ...found(dearest(sameId), "other-region"),
    ...found(dearest(same), "other-profile-and-region")
  ]
  return price !== undefined ? Result.succeed(price) : Result.fail({
    model,
    region,
    message: `the price table has no row for the model ${model}: add one, from https://aws.amazon.com/bedrock/pricing/`
  })
}

/**
 * Says in words which row a price is from, where it is not that of the model, profile and Region that was asked for;
 * null for an exact one.
 *
 * @since 0.2.0
 * @category getters
 */
export const note = (price: Price, model: string, region: string): string | null => {
  const from = `the price is that of ${price.model} in ${price.region}`
  switch (price.match) {
    case "exact":
      return null
    case "other-profile":
      return `${from}: the table has no row for ${model}, and profiles can differ in price`
    case "other-region":
      return `${from}: the table has no row for ${region}, and Regions can differ in price`
    case "other-profile-and-region":
      return `${from}: the table has no row for ${model} and none for ${region}, and both can differ in price`
  }
}

/**
 * What tokens cost at a rate, in US dollars.
 *
 * @since 0.2.0
 * @category combinators
 */
export const cost = (rate: Rate, tokens: { readonly input: number; readonly output: number }): number =>
  (tokens.input * rate.input + tokens.output * rate.output) / 1_000_000
