import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { Pipeline } from "../rig/Pipeline.ts"
import {
  columnsOf,
  csvInput,
  dataBucket,
  expectEveryAnswer,
  expectSettled,
  outputOf,
  resultsOf,
  startPipeline
} from "../rig/PipelineRuns.ts"

/** One for all tests of this file: its sandboxes are warm after the first. */
class Running extends Context.Service<Running, Pipeline>()("Running") {}

const runIds: Array<string> = []

describe("the pipeline of the synthesized template", () => {
  it.layer(Layer.effect(Running, startPipeline()), { timeout: "2 minutes", excludeTestServices: true })((it) => {
    it.effect("makes result files of a CSV file, and the same of the same input, without another job", () =>
      Effect.gen(function*() {
        const pipeline = yield* Running
        const input = yield* csvInput(pipeline, "twice", 350)
        const [first, second] = yield* Effect.all([pipeline.execute(input), pipeline.execute(input)], {
          concurrency: "unbounded"
        })
        yield* expectEveryAnswer(pipeline, first, 350)
        const third = yield* pipeline.execute(input)
        const { results, runId } = outputOf(first)
        assert.strictEqual(results.count, 3)
        for (const other of [second, third]) assert.deepStrictEqual(outputOf(other).results, results)
        assert.deepStrictEqual(
          third.history.path,
          ["Begin", "Prepare", "Prepared?", "Jobs", "Finish", "Again?", "Done"]
        )
        assert.isBelow(first.history.largest.bytes, 2_000)
        runIds.push(runId)
        yield* expectSettled(pipeline, runIds)
      }))

    it.effect("bears throttling, a full quota, and events that are lost, late, doubled and out of order", () =>
      Effect.gen(function*() {
        const pipeline = yield* Running
        pipeline.emulator.faults.set({
          throttleCreate: { next: 2 },
          quotaFull: { next: 2 },
          dropEvents: 0.4,
          duplicateEvents: 0.4,
          reorderEvents: 0.3,
          delayEvents: { when: 0.3, by: "200 millis" }
        })
        const input = yield* csvInput(pipeline, "faults", 500)
        const execution = yield* pipeline.execute(input).pipe(
          Effect.raceFirst(Effect.forever(Effect.andThen(Effect.sleep("1 second"), pipeline.sweep)))
        )
        pipeline.emulator.faults.clear()
        yield* expectEveryAnswer(pipeline, execution, 500)
        assert.includeMembers([...execution.history.errors("Submit")], ["CapacityFull", "Throttled"])
        runIds.push(outputOf(execution).runId)
        yield* expectSettled(pipeline, runIds)
      }))

    it.effect("keeps what failed and partial jobs have answered, and mends the rest where it is asked to", () =>
      Effect.gen(function*() {
        const pipeline = yield* Running
        pipeline.emulator.faults.set({ failJob: { next: 1 } })
        const failing = yield* csvInput(pipeline, "failing", 300, { output_format: "csv" })
        const failed = yield* pipeline.execute(failing)
        const { counts, runId } = outputOf(failed)
        assert.deepInclude(counts, { succeeded: 200, missing: 100 })
        const results = yield* resultsOf(pipeline, failed)
        const missing = columnsOf(results, "batch_status").filter(([status]) => status === "missing")
        assert.lengthOf(missing, 100)
        runIds.push(runId)

        pipeline.emulator.faults.set({ partialJob: { next: 1 }, failWithOutput: { next: 1 } })
        const mending = yield* csvInput(pipeline, "mending", 400, { retry: 2 })
        const mended = yield* pipeline.execute(mending)
        yield* expectEveryAnswer(pipeline, mended, 400)
        assert.deepStrictEqual(
          mended.history.path,
          ["Begin", "Prepare", "Prepared?", "Jobs", "Finish", "Again?", "Retry", "Jobs", "Finish", "Again?", "Done"]
        )
        runIds.push(outputOf(mended).runId)
        yield* expectSettled(pipeline, runIds)
      }))

    it.effect("fails before anything is paid for, by an error that says what is wrong", () =>
      Effect.gen(function*() {
        const pipeline = yield* Running
        const prompt = { prompt_template: undefined, prompt_id: "joke_about_nothing" }
        const input = yield* csvInput(pipeline, "wrong", 150, prompt)
        const joke = { ...input, prompt_id: "joke_about_topic" }
        const before = yield* pipeline.emulator.stats
        const attempts = [
          [input, "InvalidInput", /joke_about_nothing/],
          [{ ...input, prompt_id: "sentiment_classifier" }, "InvalidColumns", /input_text/],
          [{ ...joke, dataset_id: "a/b" }, "InvalidInput", /dataset_id/],
          [{ ...joke, s3_uri: `s3://${dataBucket}/none.csv` }, "InvalidSource", /none\.csv/],
          // What the sdk alone sees, it says of its own options.
          [{ ...joke, parameters: { dimensions: 5 } }, "InvalidInput", /parameters\.dimensions: /],
          [{ ...joke, result_columns: { answer: "joke" } }, "InvalidInput", /result_columns\.answer: .*response/],
          [{ ...joke, max_records_total: 50 }, "InvalidSource", /below_minimum: \\"on-demand\\"/],
          [{ ...joke, deadline_hours: 1e20 }, "InvalidInput", /deadline_hours: /]
        ] as const
        for (const [given, name, message] of attempts) {
          const { cause, error, history, status } = yield* pipeline.execute(given)
          assert.deepStrictEqual([status, error], ["FAILED", name], cause ?? "")
          assert.match(cause ?? "", message)
          assert.deepStrictEqual(history.path, ["Begin", "Prepare", "Failed"])
        }
        assert.strictEqual((yield* pipeline.emulator.stats).jobsCreated, before.jobsCreated)
      }))
  })
})
