import { assert, describe, it } from "@effect/vitest"
import { Families, ModelId, Prices } from "../src/index.ts"
import { Result, Schema } from "effect"

/** The rates as they were read: US dollars for a million tokens in batch, of requests and of answers. */
const read = new Map([
  ["us.amazon.nova-micro-v1:0", [0.0175, 0.07]],
  ["global.amazon.nova-2-lite-v1:0", [0.15, 1.25]],
  ["us.amazon.nova-2-lite-v1:0", [0.1595, 1.3255]],
  ["openai.gpt-oss-20b-1:0", [0.035, 0.15]],
  ["openai.gpt-oss-120b-1:0", [0.075, 0.30]],
  ["mistral.ministral-3-8b-instruct", [0.07, 0.07]],
  ["mistral.ministral-3-14b-instruct", [0.10, 0.10]],
  ["mistral.mistral-large-3-675b-instruct", [0.25, 0.75]],
  ["google.gemma-3-12b-it", [0.05, 0.15]],
  ["google.gemma-3-27b-it", [0.12, 0.19]],
  ["us.meta.llama4-scout-17b-instruct-v1:0", [0.085, 0.33]],
  ["us.meta.llama4-maverick-17b-instruct-v1:0", [0.12, 0.485]],
  ["qwen.qwen3-235b-a22b-2507-v1:0", [0.11, 0.44]],
  ["qwen.qwen3-32b-v1:0", [0.075, 0.30]],
  ["qwen.qwen3-next-80b-a3b", [0.07, 0.60]],
  ["nvidia.nemotron-nano-3-30b", [0.03, 0.12]],
  ["zai.glm-4.7", [0.30, 1.10]],
  ["zai.glm-4.7-flash", [0.035, 0.20]],
  ["minimax.minimax-m2.1", [0.15, 0.60]],
  ["moonshot.kimi-k2-thinking", [0.30, 1.25]],
  ["moonshotai.kimi-k2.5", [0.30, 1.50]],
  ["deepseek.v3.2", [0.31, 0.925]],
  ["global.anthropic.claude-haiku-4-5-20251001-v1:0", [0.50, 2.50]],
  ["global.anthropic.claude-opus-5", [2.50, 12.50]]
])

const region = "us-west-2"

const found = (prices: Prices.PriceTable, model: string, where: string) => {
  const price = Prices.find(prices, model, where)
  return Result.isSuccess(price)
    ? [price.success.model, price.success.region, price.success.match]
    : price.failure.message
}

describe("the price table", () => {
  it("holds every rate that was read, dated and with its source, and on demand the double", () => {
    assert.deepStrictEqual(Prices.table.map(({ model }) => model), [...read.keys()])
    for (const row of Prices.table) {
      const [input = NaN, output = NaN] = read.get(row.model) ?? []
      assert.deepStrictEqual(row.batch, { input, output }, row.model)
      assert.deepStrictEqual(row.onDemand, { input: 2 * input, output: 2 * output }, row.model)
      assert.deepStrictEqual([row.region, row.asOf], [region, "2026-09"])
      assert.include(row.source, "Price List")
    }
  })

  it("names models that Bedrock takes and a family here reads, each row found by its own id", () => {
    for (const { model } of Prices.table) {
      assert.isTrue(Result.isSuccess(Families.forModel(model)), model)
      assert.deepStrictEqual(found(Prices.table, model, region), [model, region, "exact"])
      const isProfile = /^(us|global)\./.test(model)
      const kind = isProfile ? "123456789012:inference-profile" : ":foundation-model"
      const arn = `arn:aws:bedrock:${region}:${kind}/${model}`
      assert.deepStrictEqual(found(Prices.table, arn, region), [model, region, "exact"])
    }
  })

  it("survives JSON, and refuses rates that are none", () => {
    const codec = Schema.fromJsonString(Prices.PriceTable)
    assert.deepStrictEqual(Schema.decodeUnknownSync(codec)(JSON.stringify(Prices.table)), Prices.table)
    const [row] = Prices.table
    for (const input of [-1, NaN, null, "1"]) {
      const decoded = Schema.decodeUnknownResult(Prices.PriceTable)([{ ...row, batch: { input, output: 1 } }])
      assert.isTrue(Result.isFailure(decoded))
    }
  })
})

describe("finding a price", () => {
  const row = (model: string, region: string, input: number): Prices.PriceRow => ({
    model,
    region,
    batch: { input, output: input },
    onDemand: null,
    asOf: "2026-11-01",
    source: "a test"
  })
  const prices = [
    row("eu.amazon.nova-lite-v1:0", "eu-west-1", 3),
    row("eu.amazon.nova-lite-v1:0", "eu-west-1", 9),
    row("us.amazon.nova-lite-v1:0", "us-east-1", 1),
    row("us.amazon.nova-lite-v1:0", "us-west-2", 2),
    row("global.amazon.nova-lite-v1:0", "us-west-2", 4),
    row("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc", "us-east-1", 5)
  ]

  it("prefers the exact row, then the Region, then the profile, and of several the dearest", () => {
    const nova = "amazon.nova-lite-v1:0"
    assert.deepStrictEqual(found(prices, `us.${nova}`, "us-east-1"), [`us.${nova}`, "us-east-1", "exact"])
    assert.deepStrictEqual(found(prices, nova, "us-west-2"), [`global.${nova}`, "us-west-2", "other-profile"])
    assert.deepStrictEqual(found(prices, `global.${nova}`, "us-east-1"), [`us.${nova}`, "us-east-1", "other-profile"])
    assert.deepStrictEqual(found(prices, `us.${nova}`, "us-east-2"), [`us.${nova}`, "us-west-2", "other-region"])
    assert.deepStrictEqual(found(prices, `jp.${nova}`, "ap-northeast-1"), [
      `eu.${nova}`,
      "eu-west-1",
      "other-profile-and-region"
    ])
  })

  it("takes the first of two rows for the same, so that rows put in front count", () => {
    const price = Prices.find(prices, "eu.amazon.nova-lite-v1:0", "eu-west-1")
    assert.isTrue(Result.isSuccess(price) && price.success.batch?.input === 3)
  })

  it("knows an ARN that does not reveal its model by a row with that very ARN alone", () => {
    const arn = (name: string) => `arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/${name}`
    assert.isTrue(Result.isFailure(ModelId.parse(arn("abc"))))
    assert.deepStrictEqual(found(prices, arn("abc"), "us-east-1"), [arn("abc"), "us-east-1", "exact"])
    assert.include(found(prices, arn("other"), "us-east-1"), "has no row for the model")
  })

  it("says that a price is unknown, and never makes it 0", () => {
    for (const model of ["amazon.titan-embed-text-v2:0", "cohere.embed-english-v3", "", "no-such"]) {
      assert.include(found(Prices.table, model, region), `no row for the model ${model}`)
    }
  })

  it("says in words which row was used", () => {
    const noteOf = (model: string, where: string) => {
      const price = Prices.find(prices, model, where)
      return Result.isSuccess(price) ? Prices.note(price.success, model, where) : "unknown"
    }
    assert.isNull(noteOf("us.amazon.nova-lite-v1:0", "us-east-1"))
    assert.include(noteOf("amazon.nova-lite-v1:0", "us-east-1"), "us.amazon.nova-lite-v1:0 in us-east-1")
    assert.include(noteOf("us.amazon.nova-lite-v1:0", "us-east-2"), "in us-west-2: the table has no row for us-east-2")
    assert.include(noteOf("jp.amazon.nova-lite-v1:0", "ap-northeast-1"), "both can differ")
  })

  it("reckons in dollars for a million tokens", () => {
    assert.closeTo(Prices.cost({ input: 0.5, output: 2.5 }, { input: 2_000_000, output: 100_000 }), 1.25, 1e-12)
  })
})
