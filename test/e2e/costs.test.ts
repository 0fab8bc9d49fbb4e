import { Responder } from "@bedrock-batch/emulator"
import { estimate, Prices, prepare, Prompt, PromptLibrary, Prompts, receipt, Run, run, Source } from "@bedrock-batch/sdk"
import { BedrockBatch } from "@bedrock-batch/sdk/promise"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { csvOf, plainTable } from "../rig/Data.ts"
import { bucket, echo, haiku, promptOf, quick, soon, type Stack, start, titan } from "../rig/Stack.ts"

const prices: Prices.PriceTable = [haiku, titan].map((model) => ({
  model,
  region: "us-east-1",
  batch: { input: 1, output: 10 },
  onDemand: { input: 2, output: 20 },
  asOf: "2026-11-01",
  source: "a test"
}))

const dollars = (input: number, output: number) => Prices.cost({ input: 1, output: 10 }, { input, output })

/** The sums of the manifests that the emulator wrote. */
const written = Effect.fnUntraced(function*(stack: Stack, runId: string) {
  const keys = (yield* stack.keys(`${runId}/outputs/`)).filter((key) => key.endsWith("manifest.json.out"))
  const manifests = yield* Effect.forEach(keys, stack.json)
  const sum = (name: string) => manifests.reduce((total, manifest) => total + manifest[name], 0)
  return { jobs: keys.length, input: sum("inputTokenCount"), output: sum("outputTokenCount") }
})

describe("what a run costs", () => {
  it.live("is on its receipt what the service's manifests add up to, and estimated before, to its requests", () =>
    Effect.gen(function*() {
      const stack = yield* start({ responder: Responder.standard })
      yield* stack.put("topics.csv", csvOf(plainTable(350)))
      const options = {
        name: "costs",
        source: Source.csv(`s3://${bucket}/topics.csv`),
        model: haiku,
        prompt: Prompt.make("{id}: {topic}"),
        parameters: { maxTokens: 64 },
        maxRecordsPerJob: 120
      } as const
      yield* Effect.gen(function*() {
        const estimated = yield* estimate({ ...options, prices })
        assert.deepStrictEqual(yield* stack.keys(""), ["topics.csv"])
        const collected = yield* run({ ...options, wait: soon })
        const { bytes, records } = collected.run.manifest
        const got = yield* receipt(collected.run, { prices })
        const sums = yield* written(stack, collected.run.id)
        assert.deepStrictEqual(
          [estimated.runId, estimated.records, estimated.jobs, estimated.bytes],
          [collected.run.id, records, sums.jobs, bytes]
        )
        assert.deepStrictEqual(
          [got.total.inputTokens, got.total.outputTokens, got.total.unknownJobs, got.jobs.length],
          [sums.input, sums.output, 0, 3]
        )
        assert.deepStrictEqual(
          [collected.report.inputTokens, collected.report.outputTokens],
          [sums.input, sums.output]
        )
        assert.isAbove(sums.output, 0)
        assert.closeTo(got.total.price ?? NaN, dollars(sums.input, sums.output), 1e-12)
        assert.isAtMost(sums.output, estimated.outputTokens.most ?? NaN)
        assert.deepStrictEqual(got.notes, [])
      }).pipe(Effect.provide(stack.layer()))
    }))

  it.live("counts every attempt, in batch and on demand", () =>
    Effect.gen(function*() {
      const failed = new Set<string>()
      const stack = yield* start({
        responder: (request) => {
          const text = promptOf(request.modelInput)
          if (!/^7/.test(text) || failed.has(text)) return echo(request)
          failed.add(text)
          return { error: { errorCode: 500, errorMessage: "not now" } }
        }
      })
      yield* stack.put("topics.csv", csvOf(plainTable(130)))
      yield* Effect.gen(function*() {
        const collected = yield* run({
          name: "attempts",
          source: Source.csv(`s3://${bucket}/topics.csv`),
          model: haiku,
          prompt: Prompt.make("{id}: {topic}"),
          wait: soon,
          retry: { attempts: 2, lane: "on-demand" }
        })
        assert.strictEqual(collected.report.counts.succeeded, 130)
        const got = yield* receipt(yield* Run.open(collected.run.id), { prices })
        const { input, output } = yield* written(stack, collected.run.id)
        const [batch, onDemand] = got.jobs
        assert.deepInclude(batch, { lane: "batch", from: "manifest", inputTokens: input, outputTokens: output })
        assert.deepInclude(onDemand, { lane: "on-demand", from: "answers", attempt: 2, processed: failed.size })
        assert.deepStrictEqual(
          [got.total.inputTokens, got.total.outputTokens],
          [collected.report.inputTokens, collected.report.outputTokens]
        )
        const later = { input: got.total.inputTokens - input, output: got.total.outputTokens - output }
        assert.isAbove(later.output, 0)
        const full = 2 * dollars(later.input, later.output)
        assert.closeTo(got.total.price ?? NaN, dollars(input, output) + full, 1e-12)
        assert.closeTo(onDemand?.price ?? NaN, full, 1e-12)
      }).pipe(Effect.provide(stack.layer()))
    }))

  it.live("is estimated and received by a client of promises, of prompts by id", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing: quick })
      yield* stack.put("prompts/tale.txt", "A tale about {topic}, {id}.\n")
      const rows = plainTable(110).rows.map(([id, topic]) => ({ id, topic }))
      yield* Effect.promise(async () => {
        await using batch = BedrockBatch.make(stack.options)
        const library = PromptLibrary.merge(PromptLibrary.builtIn, await batch.prompts(`s3://${bucket}/prompts/`))
        assert.deepStrictEqual(Object.keys(library.prompts).length, 4)
        const options = { name: "tales", source: Source.rows(rows), model: haiku, prompt: library.prompts["tale"]! }
        const estimated = await batch.estimate({ ...options, prices })
        assert.deepStrictEqual([estimated.records, estimated.jobs], [110, 1])
        const { report, run } = await batch.run({ ...options, wait: soon })
        const { total } = await batch.receipt(run, { prices })
        assert.deepStrictEqual([total.inputTokens, total.outputTokens], [report.inputTokens, report.outputTokens])
      })
    }))

  it.live("of embeddings has no tokens of answers", () =>
    Effect.gen(function*() {
      const stack = yield* start({ responder: Responder.standard })
      yield* Effect.gen(function*() {
        const rows = plainTable(100).rows.map(([, topic]) => ({ input_text: topic }))
        const collected = yield* run({ name: "vectors", source: Source.rows(rows), model: titan, wait: soon })
        const { input } = yield* written(stack, collected.run.id)
        const { total } = yield* receipt(collected.run, { prices })
        assert.deepInclude(total, { inputTokens: input, outputTokens: 0 })
        assert.closeTo(total.price ?? NaN, dollars(input, 0), 1e-12)
      }).pipe(Effect.provide(stack.layer()))
    }))
})

it.live("a malformed prompt below a prefix is named before anything is paid for", () =>
  Effect.gen(function*() {
    const stack = yield* start()
    yield* stack.put("prompts/broken.md", "fine\n{topic")
    yield* Effect.gen(function*() {
      const { reason } = yield* Effect.flip(Prompts.fromStore(`s3://${bucket}/prompts/`))
      assert.deepInclude(reason, {
        _tag: "InvalidPrompt",
        uri: `s3://${bucket}/prompts/broken.md`,
        part: "template",
        position: 5
      })
      const missing = { name: "none", source: Source.rows([{ other: "x" }]), model: haiku }
      const prompt: Prompt.Any = PromptLibrary.builtIn.prompts.joke_about_topic
      assert.strictEqual((yield* Effect.flip(prepare({ ...missing, prompt }))).reason._tag, "InvalidColumns")
    }).pipe(Effect.provide(stack.layer()))
  }))
