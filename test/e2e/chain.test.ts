import { assert, describe, it } from "@effect/vitest"
import { awaitAll, prepare, Prompt, run, Source, submit } from "@bedrock-batch/sdk"
import { Effect, Stream } from "effect"
import { plainTable, sourceOf } from "../rig/Data.ts"
import { haiku, soon, start } from "../rig/Stack.ts"

const jokes = {
  name: "jokes",
  source: sourceOf(plainTable(220)),
  model: haiku,
  prompt: Prompt.make("A joke about {topic}, number {id}."),
  maxRecordsPerJob: 110
}

describe("a chain of runs", () => {
  it.live("takes the results of a run as the source of the next, with what the first one added under its name", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const { first, rows } = yield* Effect.gen(function*() {
        const first = yield* prepare(jokes)
        yield* awaitAll(first.jobs.map(submit), { wait: soon })
        const { rows } = yield* run({
          name: "ratings",
          source: Source.results(first),
          model: haiku,
          prompt: Prompt.make("Is this funny? {jokes_response}"),
          wait: soon
        })
        return { first, rows: yield* Stream.runCollect(rows) }
      }).pipe(Effect.provide(stack.layer()))
      assert.deepStrictEqual(Object.keys(rows[0] ?? {}).slice(0, 7), [
        "id",
        "topic",
        "jokes_record_id",
        "jokes_response",
        "record_id",
        "response",
        "batch_status"
      ])
      assert.deepStrictEqual(
        rows.map((row) => [row["id"], row["jokes_record_id"], row["jokes_response"], row["response"]]),
        plainTable(220).rows.map(([id, topic], i) => {
          const joke = `echo: A joke about ${topic}, number ${id}.`
          return [id, `r${String(i).padStart(10, "0")}`, joke, `echo: Is this funny? ${joke}`]
        })
      )
      assert.strictEqual(first.jobs.length, 2)
    }))

  it.live("takes the rows of some outcomes, and some columns, and is the same run again", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const ids = yield* Effect.gen(function*() {
        const first = yield* prepare(jokes)
        yield* awaitAll(first.jobs.map(submit), { wait: soon })
        const ratings = (outcomes: Source.ResultsOptions["outcomes"]) =>
          prepare({
            name: "ratings",
            source: Source.results(first, { prefix: "first", outcomes, select: ["first_response", "topic"], limit: 110 }),
            model: haiku,
            prompt: Prompt.make("Is this funny? {first_response}")
          })
        const one = yield* ratings(["succeeded", "truncated"])
        assert.deepStrictEqual(one.manifest.columns.map(({ name }) => name), ["first_response", "topic"])
        assert.strictEqual(one.manifest.records, 110)
        const { reason } = yield* Effect.flip(ratings(["failed"]))
        assert.strictEqual(reason._tag, "InvalidSource")
        return [one.id, (yield* ratings(["truncated", "succeeded"])).id]
      }).pipe(Effect.provide(stack.layer()))
      assert.strictEqual(ids[0], ids[1])
    }))

  it.live("refuses a run that has not ended, and names that clash", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      yield* Effect.gen(function*() {
        const first = yield* prepare(jokes)
        const next = (prefix: string, source = Source.results(first, { prefix })) =>
          Effect.map(Effect.flip(prepare({ name: "next", source, model: haiku, prompt: Prompt.make("{topic}") })), ({ reason }) => reason)
        assert.deepInclude(yield* next("jokes"), { _tag: "RunConflict", problem: "not-ended" })
        yield* awaitAll(first.jobs.map(submit), { wait: soon })
        assert.deepInclude(yield* next(""), { _tag: "InvalidOption", path: "prefix" })
        const clashing = yield* prepare({
          ...jokes,
          name: "clash",
          source: Source.rows(plainTable(100).rows.map(([id, topic]) => ({ x_response: id, topic, id })))
        })
        yield* awaitAll(clashing.jobs.map(submit), { wait: soon })
        assert.deepInclude(yield* next("x", Source.results(clashing, { prefix: "x" })), {
          _tag: "InvalidColumns",
          clashing: ["x_response"]
        })
      }).pipe(Effect.provide(stack.layer()))
    }))
})
