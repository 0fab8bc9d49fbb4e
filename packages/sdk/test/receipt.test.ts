import * as Prices from "@bedrock-batch/processors/Prices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { awaitAll } from "../src/awaitAll.ts"
import type { EndedJob, TerminalStatus } from "../src/Job.ts"
import { Receipt, receipt } from "../src/receipt.ts"
import { submit } from "../src/submit.ts"
import { bench, model } from "./rig/Bench.ts"
import { drive } from "./rig/WatchedStore.ts"

const row: Prices.PriceRow = {
  model,
  region: "us-east-1",
  batch: { input: 1, output: 10 },
  onDemand: { input: 2, output: 20 },
  asOf: "2026-11-01",
  source: "a test"
}
const prices = [row]

/** A run whose jobs have ended. */
const ended = Effect.fnUntraced(function*(count: number, status: TerminalStatus = "Completed") {
  const fixture = yield* bench(count)
  const { jobs, run, start, store } = fixture
  yield* drive(start()(Effect.forEach(run.jobs, submit)))
  jobs.endAll(status)
  const awaited = yield* drive(start()(awaitAll(run.jobs.map(submit))))
  const done = awaited.filter((job): job is EndedJob => "arn" in job)
  const write = (job: number, name: string, content: unknown) => {
    const { arn, output } = done[job]!
    const text = typeof content === "string" ? content : JSON.stringify(content)
    return store.create(`${output}${arn.slice(arn.lastIndexOf("/") + 1)}/${name}`, Buffer.from(text))
  }
  return { ...fixture, write, receipt: start()(receipt(run, { prices })) }
})

const manifest = (inputTokenCount: number, outputTokenCount: number, more: object = {}) => ({
  totalRecordCount: 2,
  processedRecordCount: 2,
  successRecordCount: 2,
  errorRecordCount: 0,
  inputTokenCount,
  outputTokenCount,
  ...more
})

const answer = (inputTokens: number | null, outputTokens = 5, more: object = {}) =>
  JSON.stringify({
    recordId: "r0000000000",
    modelInput: {},
    modelOutput: {
      output: { message: { role: "assistant", content: [{ text: "a" }] } },
      stopReason: "end_turn",
      usage: inputTokens === null ? null : { inputTokens, outputTokens, ...more }
    }
  })

const close = (actual: number | null | undefined, micros: number) => assert.closeTo(actual ?? NaN, micros / 1e6, 1e-12)

describe("a receipt", () => {
  it.effect("adds up the token counts of the jobs' manifests, and prices them in batch and on demand", () =>
    Effect.gen(function*() {
      const { receipt, run, write } = yield* ended(3)
      yield* write(0, "manifest.json.out", manifest(100, 7))
      yield* write(1, "manifest.json.out", manifest(200, 8, { cacheReadInputTokenCount: null }))
      yield* write(2, "manifest.json.out", manifest(300, 9))
      const got = yield* receipt
      assert.deepStrictEqual(
        got.jobs.map(({ from, inputTokens, job, outputTokens, processed, status }) => [
          job,
          status,
          from,
          processed,
          inputTokens,
          outputTokens
        ]),
        run.jobs.map(({ key }, i) => [key, "Completed", "manifest", 2, 100 * (i + 1), 7 + i])
      )
      assert.deepInclude(got.total, { inputTokens: 600, outputTokens: 24, unknownJobs: 0 })
      close(got.jobs[1]?.price, 200 + 80)
      close(got.total.price, 600 + 240)
      close(got.total.atLeast, 600 + 240)
      close(got.total.onDemand, 1_200 + 480)
      assert.deepStrictEqual([got.row, got.notes], [{ ...row, match: "exact" }, []])
      assert.deepStrictEqual(Schema.decodeUnknownSync(Receipt)(JSON.parse(JSON.stringify(got))), got)
    }))

  it.effect("takes the answers' own counts where there is no manifest that tells", () =>
    Effect.gen(function*() {
      const { receipt, write } = yield* ended(3, "Stopped")
      const failed = JSON.stringify({ recordId: "r0000000001", error: { errorCode: 400, errorMessage: "no" } })
      yield* write(0, "part-0.jsonl.out", `${answer(30)}\n${failed}\n`)
      yield* write(1, "manifest.json.out", { totalRecordCount: 2 })
      yield* write(1, "part-0.jsonl.out", `${answer(10)}\n`)
      yield* write(1, "part-1.jsonl.out", `${answer(11)}\n`)
      yield* write(2, "manifest.json.out", "{")
      yield* write(2, "part-0.jsonl.out", `${answer(null)}\n${answer(1)}\nnot json\n`)
      const { jobs, notes, total } = yield* receipt
      assert.deepStrictEqual(
        jobs.map(({ from, inputTokens, outputTokens, processed }) => [from, processed, inputTokens, outputTokens]),
        [["answers", 2, 30, 5], ["answers", 2, 21, 10], ["answers", 3, null, null]]
      )
      assert.deepInclude(total, { inputTokens: 51, outputTokens: 15, unknownJobs: 1, price: null, onDemand: null })
      close(total.atLeast, 51 + 150)
      assert.deepStrictEqual(notes, ["job 1-000002: 2 of 3 answers tell no number of tokens"])
    }))

  it.effect("says that a job without any count is unknown, and that one that ran nothing cost nothing", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(3)
      yield* drive(start()(Effect.forEach(run.jobs.slice(0, 2), submit)))
      const before = yield* start()(receipt(run, { prices }))
      assert.deepStrictEqual(
        before.jobs.map(({ from, price, status }) => [status, from, price]),
        [["Open", null, null], ["Open", null, null], ["NotSent", "nothing", 0]]
      )
      assert.deepStrictEqual(before.notes, [
        "job 1-000000 and 1 more: it has not ended, as far as the ledger knows: await it"
      ])
      assert.deepInclude(before.total, { price: null, atLeast: 0, unknownJobs: 2 })
      jobs.change(0, { status: "Failed", counters: { total: 2, processed: 0, succeeded: 0, failed: 0 } })
      jobs.change(1, { status: "Failed", counters: { total: 2, processed: 1, succeeded: 0, failed: 1 } })
      yield* drive(start()(awaitAll(run.jobs.slice(0, 2).map(submit))))
      const after = yield* start()(receipt(run, { prices }))
      assert.deepStrictEqual(
        after.jobs.map(({ from, inputTokens, price, processed }) => [from, processed, inputTokens, price]),
        [["counters", 0, 0, 0], [null, 1, null, null], ["nothing", 0, 0, 0]]
      )
      assert.deepStrictEqual(after.notes, [
        "job 1-000001: its output has no manifest with token counts, and no answers"
      ])
    }))

  it.effect("has no price without a row, and none for tokens of a cache", () =>
    Effect.gen(function*() {
      const { run, start, write } = yield* ended(2)
      yield* write(0, "manifest.json.out", manifest(100, 7))
      const cached = { cacheReadInputTokenCount: 20, cacheWriteInputTokenCount: 5 }
      yield* write(1, "manifest.json.out", manifest(50, 8, cached))
      const priced = yield* start()(receipt(run, { prices }))
      assert.deepInclude(priced.jobs[1], { inputTokens: 75, cachedTokens: 25, price: null })
      assert.deepInclude(priced.total, { inputTokens: 175, price: null, unknownJobs: 0 })
      assert.include(priced.notes[0], "25 of its tokens are of a prompt cache")
      const without = yield* start()(receipt(run, { prices: [] }))
      assert.deepStrictEqual([without.row, without.total.price, without.total.atLeast], [null, null, null])
      assert.deepInclude(without.total, { inputTokens: 175, outputTokens: 15 })
      assert.include(without.notes[0], "job 1-000000 and 1 more: the price table has no row for the model")
      const half = yield* start()(receipt(run, { prices: [{ ...row, region: "eu-west-1", batch: null }] }))
      assert.deepInclude(half.row, { match: "other-region" })
      assert.deepInclude(half.jobs[0], { price: null, onDemand: (2 * 100 + 20 * 7) / 1e6 })
      assert.deepStrictEqual(half.notes.map((note) => /table/.test(note)), [true, true, true])
    }))
})
