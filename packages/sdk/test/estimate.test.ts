import * as Prices from "@bedrock-batch/processors/Prices"
import * as Prompt from "@bedrock-batch/processors/Prompt"
import * as Tokens from "@bedrock-batch/processors/Tokens"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Estimate, estimate } from "../src/estimate.ts"
import { prepare } from "../src/prepare.ts"
import * as Source from "../src/source/Source.ts"
import { folder, model, processOf } from "./rig/Bench.ts"
import { ScriptedJobs } from "./rig/ScriptedJobs.ts"

const titan = "amazon.titan-embed-text-v2:0"
const topics = Array.from({ length: 23 }, (_, i) => ({ topic: `topic ${i} ${"long ".repeat(i)}`, n: i }))
const prompt = Prompt.make("A joke about {topic}.", { system: "Be brief." })
const limits = { minRecords: 3, maxRecords: 10, maxFileRecords: 4 }
const options = {
  name: "jokes",
  source: Source.rows(topics),
  model,
  prompt,
  limits,
  maxRecordsPerJob: 7,
  parameters: { maxTokens: 50 }
} as const

const row = (
  batch: Prices.Rate | null,
  onDemand: Prices.Rate | null,
  region = "us-east-1",
  id = model
): Prices.PriceRow => ({
  model: id,
  region,
  batch,
  onDemand,
  asOf: "2026-11-01",
  source: "a test"
})
const prices = [row({ input: 1, output: 10 }, { input: 2, output: 20 })]

const stage = Effect.map(folder, ({ store }) => ({
  store,
  start: processOf(store, new ScriptedJobs()),
  reading: processOf(store, new ScriptedJobs(), {
    before: (operation) => Effect.die(`the store was asked: ${operation}`)
  })
}))

describe("an estimate", () => {
  it.effect("has the run, records, jobs and bytes of what prepare then writes, and touches no store", () =>
    Effect.gen(function*() {
      const { reading, start } = yield* stage
      const estimated = yield* reading(estimate({ ...options, prices }))
      const run = yield* start(prepare(options))
      assert.deepStrictEqual(
        [estimated.runId, estimated.records, estimated.jobs, estimated.bytes, estimated.lane],
        [run.id, 23, run.jobs.length, run.manifest.bytes, "batch"]
      )
      assert.deepStrictEqual(estimated.counted, { rows: 23, scaled: false })
      assert.deepStrictEqual(Schema.decodeUnknownSync(Estimate)(JSON.parse(JSON.stringify(estimated))), estimated)
    }))

  it.effect("takes as many rows and makes as many jobs as the plan does, whatever bounds it", () =>
    Effect.gen(function*() {
      const bounds = [
        { maxRecordsTotal: 11 },
        { maxJobs: 2 },
        { maxRecordsPerJob: 3 },
        { limits: { ...limits, maxJobBytes: 2_000 } }
      ]
      for (const bound of bounds) {
        // An iterable has no length: its plan is another one than that of an array.
        for (const source of [Source.rows(topics), Source.rows(new Set(topics))]) {
          const { reading, start } = yield* stage
          const bounded = { ...options, source, runId: "bounded", ...bound }
          const estimated = yield* reading(estimate(bounded))
          const { jobs, manifest } = yield* start(prepare(bounded))
          assert.deepStrictEqual(
            [estimated.records, estimated.jobs, estimated.bytes],
            [manifest.records, jobs.length, manifest.bytes],
            JSON.stringify(bound)
          )
        }
      }
    }))

  it.effect("counts the texts that are sent by the heuristic, with something for each turn", () =>
    Effect.gen(function*() {
      const { reading } = yield* stage
      const { inputTokens, notes, tokensBy } = yield* reading(estimate({ ...options, prices }))
      const expected = topics.reduce(
        (sum, { topic }) => sum + Tokens.estimate("Be brief.") + Tokens.estimate(`A joke about ${topic}.`) + 2 * 4,
        0
      )
      assert.deepStrictEqual([inputTokens, tokensBy], [expected, "heuristic"])
      assert.isTrue(notes.some((note) => note.includes("estimated from the characters")))
    }))

  it.effect("counts by the user's tokenizer, and prices both ends of the answers", () =>
    Effect.gen(function*() {
      const { reading } = yield* stage
      const tokenizer = (text: string) => text.split(" ").length
      const { inputTokens, notes, outputTokens, price, tokensBy } = yield* reading(
        estimate({ ...options, tokenizer, expectedOutputTokens: 12.5, prices })
      )
      const words = topics.reduce((sum, { topic }) => sum + 2 + `A joke about ${topic}.`.split(" ").length, 0)
      assert.deepStrictEqual([inputTokens, tokensBy], [words, "tokenizer"])
      assert.deepStrictEqual(outputTokens, { most: 23 * 50, expected: 288 })
      const close = (actual: number | null, expected: number) => assert.closeTo(actual ?? NaN, expected / 1e6, 1e-12)
      close(price.input, words)
      close(price.most, words + 10 * 23 * 50)
      close(price.expected, words + 10 * 288)
      close(price.onDemand.most, 2 * words + 20 * 23 * 50)
      close(price.onDemand.expected, 2 * words + 20 * 288)
      assert.deepStrictEqual(price.row, { ...prices[0]!, match: "exact" })
      assert.deepStrictEqual(notes, [])
    }))

  it.effect("never expects more than the answers may have, and takes the family's limit where none is given", () =>
    Effect.gen(function*() {
      const { reading } = yield* stage
      const short = yield* reading(estimate({ ...options, expectedOutputTokens: 1_000 }))
      assert.deepStrictEqual(short.outputTokens, { most: 23 * 50, expected: 23 * 50 })
      const usual = yield* reading(estimate({ ...options, parameters: {} }))
      assert.deepStrictEqual(usual.outputTokens, { most: 23 * 1024, expected: null })
      assert.isNull(usual.price.expected)
      assert.isNotNull(usual.price.most)
    }))

  it.effect("of embeddings has no tokens of answers, and of a model without a row no price", () =>
    Effect.gen(function*() {
      const { reading } = yield* stage
      const embedding = { name: "vectors", source: Source.rows(topics), model: titan, embed: "topic", limits } as const
      const unknown = yield* reading(estimate(embedding))
      assert.deepStrictEqual(unknown.outputTokens, { most: 0, expected: 0 })
      assert.strictEqual(unknown.inputTokens, topics.reduce((sum, { topic }) => sum + Tokens.estimate(topic), 0))
      assert.deepStrictEqual(unknown.price, {
        row: null,
        input: null,
        most: null,
        expected: null,
        onDemand: { most: null, expected: null }
      })
      assert.isTrue(unknown.notes.some((note) => note.includes(`no row for the model ${titan}`)))
      const own = [row({ input: 0.01, output: 0 }, null, "us-east-1", titan)]
      const { inputTokens, price } = yield* reading(estimate({ ...embedding, prices: own }))
      assert.closeTo(price.most ?? NaN, inputTokens * 0.01 / 1e6, 1e-12)
      assert.isNull(price.onDemand.most)
    }))

  it.effect("says which row of the table stands for one that is missing", () =>
    Effect.gen(function*() {
      const { reading } = yield* stage
      const { notes, price } = yield* reading(estimate(options))
      assert.deepInclude(price.row, { region: "us-west-2", match: "other-profile-and-region" })
      assert.isTrue(notes.some((note) => note.includes("in us-west-2: the table has no row for us.anthropic")))
      const without = yield* reading(estimate({ ...options, prices: [row(null, { input: 1, output: 1 })] }))
      assert.isNull(without.price.most)
      assert.isNotNull(without.price.onDemand.most)
      assert.isTrue(without.notes.some((note) => note.includes("costs in batch")))
    }))

  it.effect("of fewer rows than a job needs is that of calls on demand, where these are wanted", () =>
    Effect.gen(function*() {
      const { reading } = yield* stage
      const few = { ...options, limits: { minRecords: 100 }, prices }
      const refused = yield* Effect.flip(reading(estimate(few)))
      assert.deepInclude(refused.reason, { _tag: "InvalidSource", problem: "below-minimum" })
      const { jobs, lane, price } = yield* reading(estimate({ ...few, belowMinimum: "on-demand" }))
      assert.deepStrictEqual([jobs, lane, price.most], [1, "on-demand", price.onDemand.most])
    }))
})

describe("an estimate of requests that are more than a template", () => {
  const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
  const base = { name: "more", model, limits, prices } as const

  it.effect("counts the texts beside media, and prices media only by what the user says of it", () =>
    Effect.gen(function*() {
      const { reading, start } = yield* stage
      const rows = Array.from({ length: 12 }, (_, i) => ({ question: "What is it?", photo: i % 3 === 0 ? null : png }))
      const asking = {
        ...base,
        source: Source.rows(rows),
        prompt: Prompt.chat([{ role: "user", content: "{question}", media: [Prompt.image("photo")] }])
      } as const
      const estimated = yield* reading(estimate(asking))
      assert.deepInclude(estimated, { media: 8, inputTokens: 12 * (Tokens.estimate("What is it?") + 4) })
      const { input, most, onDemand } = estimated.price
      assert.deepStrictEqual([input, most, onDemand.most], [null, null, null])
      assert.isTrue(estimated.notes.some((note) => note.includes("give mediaTokens")))
      const told = yield* reading(estimate({ ...asking, mediaTokens: 1_500 }))
      assert.strictEqual(told.inputTokens, estimated.inputTokens + 8 * 1_500)
      assert.closeTo(told.price.input ?? NaN, told.inputTokens / 1e6, 1e-12)
      const { manifest } = yield* start(prepare(asking))
      assert.deepStrictEqual([told.bytes, told.runId], [manifest.bytes, manifest.runId])
    }))

  it.effect("adds up the limits that rows have of their own", () =>
    Effect.gen(function*() {
      const { reading } = yield* stage
      const rows = Array.from({ length: 12 }, (_, i) => ({ topic: "cats", limit: i % 2 === 0 ? 10 : null }))
      const { outputTokens } = yield* reading(estimate({
        ...base,
        source: Source.rows(rows),
        prompt,
        parameters: { maxTokens: 70 },
        parametersFrom: { maxTokens: "limit" }
      }))
      assert.strictEqual(outputTokens.most, 6 * 10 + 6 * 70)
    }))

  it.effect("reads bodies of the user's own, and says when they do not bound the answer", () =>
    Effect.gen(function*() {
      const { reading } = yield* stage
      const large = Buffer.alloc(3_000, png).toString("base64")
      const bodies = (limit: object) =>
        Array.from({ length: 6 }, () => ({
          body: JSON.stringify({
            messages: [{ role: "user", content: [{ text: "Why?" }, { image: { source: { bytes: large } } }] }],
            inferenceConfig: limit
          })
        }))
      const of = (limit: object) =>
        reading(estimate({ ...base, source: Source.rows(bodies(limit)), body: "body", mediaTokens: 100 }))
      const bounded = yield* of({ maxTokens: 9 })
      assert.deepStrictEqual([bounded.media, bounded.outputTokens.most], [6, 54])
      assert.isAtLeast(bounded.inputTokens, 6 * 102)
      assert.isBelow(bounded.inputTokens, 6 * 110)
      const unbounded = yield* of({})
      assert.deepStrictEqual([unbounded.outputTokens.most, unbounded.price.most], [null, null])
      assert.isTrue(unbounded.notes.some((note) => note.includes("give maxTokens")))
    }))

  it.effect("counts the shape that answers are to have with every request", () =>
    Effect.gen(function*() {
      const { reading, start } = yield* stage
      const Joke = Schema.Struct({ joke: Schema.String, score: Schema.Finite })
      const plain = yield* reading(estimate(options))
      const shaped = { ...options, output: Joke }
      const estimated = yield* reading(estimate(shaped))
      const each = (estimated.inputTokens - plain.inputTokens) / 23
      assert.isTrue(each > 20 && each < 400, String(each))
      assert.strictEqual(each, Math.round(each))
      assert.strictEqual(estimated.bytes, (yield* start(prepare(shaped))).manifest.bytes)
    }))
})

describe("an estimate from a sample", () => {
  const even = Array.from({ length: 1_000 }, (_, i) => ({ topic: `topic ${String(i).padStart(4, "0")}` }))
  const wider = { minRecords: 10, maxRecords: 200, maxFileRecords: 200 }
  const sampled = { ...options, limits: wider, maxRecordsPerJob: 150 }

  it.effect("comes to the same where rows are alike, and says that it is scaled", () =>
    Effect.gen(function*() {
      for (const source of [Source.rows(even), Source.rows(new Set(even))]) {
        const { reading } = yield* stage
        const all = yield* reading(estimate({ ...sampled, source, runId: "even" }))
        const part = yield* reading(estimate({ ...sampled, source, runId: "even", sampleRows: 40 }))
        assert.deepStrictEqual({ ...part, counted: all.counted, notes: all.notes }, all)
        assert.deepStrictEqual(part.counted, { rows: 40, scaled: true })
        assert.deepStrictEqual(part.notes[0], "bytes and tokens are scaled from the first 40 of 1000 rows")
      }
    }))

  it.effect("reads no more than the sample where the number of rows is given", () =>
    Effect.gen(function*() {
      const { reading } = yield* stage
      let read = 0
      const source = Source.rows((function*() {
        for (;;) yield { topic: `topic ${String(read++ % 10_000).padStart(4, "0")}` }
      })())
      const endless = { ...sampled, source, runId: "endless", sampleRows: 40, sourceRows: 1_000_000 }
      const { jobs, outputTokens, records } = yield* reading(estimate(endless))
      assert.deepStrictEqual([records, jobs, outputTokens.most], [1_000_000, 6_667, 50_000_000])
      assert.isBelow(read, 20_000)
    }))

  it.effect("larger than the source is no sample", () =>
    Effect.gen(function*() {
      const { reading } = yield* stage
      const all = yield* reading(estimate(options))
      assert.deepStrictEqual(yield* reading(estimate({ ...options, sampleRows: 24, sourceRows: 99 })), all)
    }))
})

describe("an estimate that cannot be made", () => {
  it.effect("fails as prepare does", () =>
    Effect.gen(function*() {
      const { reading } = yield* stage
      const of = (changes: object) => Effect.flip(reading(estimate({ ...options, ...changes })))
      const throwing = Prompt.fromColumns(["topic"], () => {
        throw new TypeError("no")
      }, { version: "1" })
      assert.strictEqual((yield* of({ prompt: Prompt.make("{nothing}") })).reason._tag, "InvalidColumns")
      assert.strictEqual((yield* of({ prompt: throwing })).reason._tag, "InvalidSource")
      assert.deepInclude((yield* of({ parameters: { maxTokens: -1 } })).reason, { _tag: "InvalidOption" })
      assert.deepInclude((yield* of({ source: Source.rows([]) })).reason, { problem: "empty" })
    }))

  it.effect("names the option of its own that is wrong", () =>
    Effect.gen(function*() {
      const { reading } = yield* stage
      const throws = () => {
        throw new Error("secret")
      }
      const wrong: ReadonlyArray<readonly [string, unknown]> = [
        ["sampleRows", 0],
        ["sampleRows", 1.5],
        ["sourceRows", NaN],
        ["expectedOutputTokens", -1],
        ["mediaTokens", Infinity],
        ["tokenizer", "words"],
        ["tokenizer", () => "12"],
        ["tokenizer", () => NaN],
        ["tokenizer", throws],
        ["prices", [{ model }]]
      ]
      for (const [path, value] of wrong) {
        const { message, reason } = yield* Effect.flip(reading(estimate({ ...options, [path]: value })))
        assert.deepInclude(reason, { _tag: "InvalidOption", path }, path)
        assert.notInclude(message, "secret")
      }
    }))
})
