import { Responder } from "@bedrock-batch/emulator"
import {
  AnthropicMessages,
  type Collected,
  Converse,
  Processor,
  prepare,
  Prompt,
  Reasoning,
  resume,
  Run,
  run,
  StructuredOutput
} from "@bedrock-batch/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { readResults, type Table } from "../rig/Audit.ts"
import { plainTable, sourceOf } from "../rig/Data.ts"
import { haiku, promptOf, soon, type Stack, start } from "../rig/Stack.ts"

const rows = 110
const table = plainTable(rows)
const prompt = Prompt.make("Review {id}: {topic}")

const Review = Schema.Struct({
  mood: Schema.Literals(["good", "bad"]),
  score: Schema.NullOr(Schema.Finite),
  at: Schema.Date,
  author: Schema.optionalKey(Schema.Struct({ name: Schema.String, age: Schema.OptionFromNullOr(Schema.Int) })),
  items: Schema.Array(Schema.Struct({ name: Schema.String, tags: Schema.Array(Schema.String) })),
  counts: Schema.Record(Schema.String, Schema.Int)
})

/** What the model says of a row: lists of every length, nulls at every depth. */
const review = (id: number) => ({
  mood: id % 2 === 0 ? "good" : "bad",
  score: id % 3 === 0 ? null : id / 4,
  at: new Date(Date.UTC(2026, 0, 1, 0, 0, id)).toISOString(),
  author: id % 5 === 0 ? null : { name: `author "${id}"`, age: id % 7 === 0 ? null : id },
  items: Array.from({ length: id % 4 }, (_, i) => ({
    name: `item ${i}\n`,
    tags: Array.from({ length: (id + i) % 3 }, (_, tag) => `#${tag}`)
  })),
  counts: { [`word ${id}`]: id }
})

const broken = new Set([7, 21, 22, 100])

const idOf = (text: string): number => Number(/^Review (\d+)/.exec(text)?.[1])

/** Answers in Converse with the review of the row; some rows are broken, as often as it is told. */
const reviewer = (times: number): Responder.Responder => {
  const asked = new Map<number, number>()
  return ({ modelInput }) => {
    const id = idOf(promptOf(modelInput))
    const before = asked.get(id) ?? 0
    asked.set(id, before + 1)
    const whole = review(id)
    const isBroken = broken.has(id) && before < times
    const text = JSON.stringify(isBroken ? { ...whole, items: [{ name: "secret", tags: [3] }] } : whole)
    return {
      output: {
        message: {
          role: "assistant",
          content: [{ reasoningContent: { reasoningText: { text: `thought of ${id}` } } }, { text }]
        }
      },
      stopReason: "end_turn",
      usage: { inputTokens: 10, outputTokens: 20, totalTokens: 30 }
    }
  }
}

/** Values as JSON has them, whatever the reader makes of them. */
const plain = (value: unknown): unknown => {
  if (value === undefined || value === null) return null
  if (typeof value === "bigint") return Number(value)
  if (value instanceof Date) return value.toISOString()
  if (typeof value !== "object") return value
  if (Symbol.iterator in value && !("toJSON" in value)) return Array.from(value as Iterable<unknown>, plain)
  const json: unknown = "toJSON" in value && typeof value.toJSON === "function" ? value.toJSON() : value
  if (Array.isArray(json)) return json.map(plain)
  return Object.fromEntries(Object.entries(Object(json)).map(([name, member]) => [name, plain(member)]))
}

/** Times are milliseconds in some formats. */
const dated = (value: unknown): unknown => typeof value === "number" ? new Date(value).toISOString() : value

const parsed = (value: unknown): unknown => typeof value === "string" && /^[[{]/.test(value) ? JSON.parse(value) : value

/** A row of a result file: in CSV what has parts is JSON, and null is an empty cell. */
const read = (results: Table, row: number, format: string) => {
  const cells = new Map(results.columns.map((name, j) => [name, results.rows[row]![j]]))
  const text = (name: string) => format === "csv" && cells.get(name) === "" ? null : cells.get(name)
  const score = text("score")
  return {
    response: text("response"),
    status: text("batch_status"),
    message: text("batch_error_message"),
    fields: {
      mood: text("mood"),
      score: score === null ? null : Number(score),
      at: dated(plain(text("at"))),
      author: plain(parsed(text("author"))),
      items: plain(parsed(text("items"))),
      counts: plain(parsed(text("counts")))
    }
  }
}

const nothing = { mood: null, score: null, at: null, author: null, items: null, counts: null }

const options = { name: "reviews", model: haiku, prompt, output: Review, wait: soon }

const expectRows = Effect.fnUntraced(function*(
  stack: Stack,
  collected: Collected<object>,
  invalid: ReadonlySet<number>
) {
  const { format } = collected.report
  const results = yield* readResults(stack, collected)
  assert.strictEqual(results.rows.length, rows)
  for (let i = 0; i < rows; i++) {
    const { fields, message, response, status } = read(results, i, format)
    if (invalid.has(i)) {
      assert.deepStrictEqual(
        { fields, message, status },
        {
          fields: nothing,
          message: "the answer does not decode: at [\"items\"][0][\"tags\"][0]: expected a string",
          status: "invalid"
        }
      )
      assert.include(String(response), "secret")
    } else {
      assert.deepStrictEqual({ fields, status }, { fields: review(i), status: "succeeded" }, `row ${i}`)
      assert.strictEqual(response, JSON.stringify(review(i)))
    }
  }
})

describe("answers of a shape", () => {
  for (const format of ["parquet", "arrow", "csv", "jsonl"] as const) {
    it.live(`are columns, nested ones too, and the text of an invalid one is kept: ${format}`, () =>
      Effect.gen(function*() {
        const stack = yield* start({ responder: reviewer(Infinity) })
        // So little memory that answers wait in files.
        const collecting = { format, memoryBudget: 5000, parallelism: 2 }
        const collected = yield* run({ ...options, source: sourceOf(table), ...collecting }).pipe(
          Effect.provide(stack.layer())
        )
        assert.deepInclude(collected.report.counts, { succeeded: rows - broken.size, invalid: broken.size })
        yield* expectRows(stack, collected, broken)
        let at = 0
        yield* Stream.runForEach(collected.rows, (row) =>
          Effect.sync(() => {
            if (row.batch_status === "succeeded") {
              assert.strictEqual(row.at.getTime(), Date.UTC(2026, 0, 1, 0, 0, at))
              assert.deepStrictEqual(plain(row.items), review(at).items)
              assert.deepStrictEqual(row.author?.age ?? null, review(at).author?.age ?? null)
            }
            at++
          }))
        assert.strictEqual(at, rows)
      }))
  }

  it.live("that are invalid are asked for again on request, and a success counts", () =>
    Effect.gen(function*() {
      const stack = yield* start({ responder: reviewer(1) })
      const retry = { attempts: 2, outcomes: ["invalid"], lane: "on-demand" } as const
      const collected = yield* run({ ...options, source: sourceOf(table), retry, format: "jsonl" }).pipe(
        Effect.provide(stack.layer())
      )
      assert.strictEqual(collected.report.counts.succeeded, rows)
      yield* expectRows(stack, collected, new Set())
    }))

  it.live("need their schema to be read by another process, and give the same there", () =>
    Effect.gen(function*() {
      const stack = yield* start({ responder: reviewer(Infinity) })
      const definition = { ...options, source: sourceOf(table) }
      const prepared = yield* prepare(definition).pipe(Effect.provide(stack.layer()))
      const refused = yield* Effect.flip(Run.load(prepared.id)).pipe(Effect.provide(stack.layer()))
      assert.strictEqual(refused.reason._tag, "InvalidOption")
      assert.match(refused.message, /converse\/1\+output:[0-9a-f]{16}.*StructuredOutput\.structured/)
      const unknown = yield* Effect.flip(resume(prepared.id, { wait: soon })).pipe(Effect.provide(stack.layer()))
      assert.strictEqual(unknown.reason._tag, "InvalidOption")
      const again = StructuredOutput.structured(Converse.converse, Review, { model: haiku })
      const { processor } = yield* Run.load(prepared.id, { processor: again }).pipe(Effect.provide(stack.layer()))
      assert.strictEqual(processor.id, prepared.processor.id)
      const collected = yield* resume(prepared.id, { definition, wait: soon, format: "jsonl" }).pipe(
        Effect.provide(stack.layer())
      )
      yield* expectRows(stack, collected, broken)
      const other = yield* Effect.flip(
        prepare({ ...definition, runId: prepared.id, output: Schema.Struct({ mood: Schema.String }) })
      ).pipe(Effect.provide(stack.layer()))
      assert.deepInclude(other.reason, { _tag: "RunConflict", problem: "different", differs: ["processor"] })
    }))

  it.live("are refused before anything is written where they cannot be", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const source = sourceOf(table)
      const refusal = (more: object) =>
        Effect.flip(prepare({ name: "no", model: haiku, prompt, source, ...more })).pipe(
          Effect.provide(stack.layer()),
          Effect.map(({ reason }) => [reason._tag, reason.message])
        )
      const wrong: ReadonlyArray<readonly [object, string, RegExp]> = [
        [{ output: Schema.String }, "InvalidOption", /output: the schema must be a Schema\.Struct/],
        [{ output: Schema.Struct({ response: Schema.String }) }, "InvalidOption", /"response"/],
        [{ output: Schema.Struct({ topic: Schema.String }) }, "InvalidColumns", /"topic"/],
        [{ output: Review, outputWay: "tool" }, "InvalidOption", /"tool"/],
        [{ output: Review, outputWay: "magic" }, "InvalidOption", /outputWay/],
        [{ outputWay: "schema" }, "InvalidOption", /there is none/],
        [{ output: Schema.Struct({ reasoning: Schema.String }), reasoning: true }, "InvalidOption", /reasoning/],
        [{ reasoning: "yes" }, "InvalidOption", /reasoning/],
        [{ output: { type: "object" } }, "InvalidOption", /give a schema/]
      ]
      for (const [more, tag, message] of wrong) {
        const [found, text] = yield* refusal(more)
        assert.strictEqual(found, tag)
        assert.match(String(text), message)
      }
      assert.deepStrictEqual(yield* stack.keys(""), [])
    }))
})

/** A text processor of a user's own, for InvokeModel. */
const own: Processor.Processor<Processor.TextAnswer> = {
  ...AnthropicMessages.anthropicMessages,
  id: "own/1",
  outputWays: undefined
}

describe("what a model thought", () => {
  it.live("is a column, which another process finds without being told", () =>
    Effect.gen(function*() {
      const stack = yield* start({ responder: reviewer(0) })
      const source = sourceOf(table)
      const prepared = yield* prepare({ name: "thinking", source, model: haiku, prompt, reasoning: true }).pipe(
        Effect.provide(stack.layer())
      )
      assert.strictEqual(prepared.manifest.processor, "converse/1+reasoning")
      const collecting = { format: "jsonl", parallelism: 2 } as const
      const collected = yield* resume(prepared.id, { wait: soon, ...collecting }).pipe(Effect.provide(stack.layer()))
      const results = yield* readResults(stack, collected)
      const at = results.columns.indexOf("reasoning")
      assert.deepStrictEqual(results.rows.map((row) => row[at]), results.rows.map((_, i) => `thought of ${i}`))
    }))

  it.live("stands beside the fields of the answer, in their order", () =>
    Effect.gen(function*() {
      const stack = yield* start({ responder: reviewer(0) })
      const rename = { mood: "feeling" } as const
      const collected = yield* run({ ...options, source: sourceOf(table), reasoning: true, rename }).pipe(
        Effect.provide(stack.layer())
      )
      const results = yield* readResults(stack, collected)
      const fields = ["feeling", "score", "at", "author", "items", "counts"]
      assert.deepStrictEqual(results.columns.slice(2, 11), ["record_id", "response", ...fields, "reasoning"])
      const [first] = yield* Stream.runCollect(Stream.take(collected.rows, 1))
      assert.deepStrictEqual([first?.reasoning, first?.feeling], ["thought of 0", "good"])
    }))
})

describe("every way of telling the model", () => {
  const Joke = Schema.Struct({
    joke: Schema.NonEmptyString,
    score: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })),
    words: Schema.Array(
      Schema.Struct({ word: Schema.String, note: Schema.optionalKey(Schema.String), at: Schema.Date })
    )
  })
  // A strict mode is told of bounds in words alone, which the emulated models do not read.
  const { score: _, ...unbounded } = Joke.fields

  const { anthropicMessages } = AnthropicMessages
  const cases: ReadonlyArray<readonly [string, object]> = [
    ["Converse, by schema", { output: Schema.Struct(unbounded) }],
    ["Converse, by instruction", { output: Joke, outputWay: "instruction" }],
    ["Converse, Nova, by its best way", { model: "us.amazon.nova-2-lite-v1:0", output: Joke }],
    ["Claude's own format, by its best way", { processor: anthropicMessages, output: Joke }],
    ["Claude's own format, by schema", {
      processor: anthropicMessages,
      output: Schema.Struct(unbounded),
      outputWay: "schema"
    }],
    ["a processor of one's own", { processor: own, output: Joke }],
    ["one around a processor of one's own", {
      processor: Reasoning.withReasoning(StructuredOutput.structured(own, Joke))
    }]
  ]
  it.live("makes columns of what the standard models answer", () =>
    Effect.gen(function*() {
      const stack = yield* start({ responder: Responder.standard })
      yield* Effect.forEach(cases, ([name, more], i) =>
        Effect.gen(function*() {
          const given = { name: `way-${i}`, source: sourceOf(table), model: haiku, prompt, wait: soon, ...more }
          const collected = yield* run(given).pipe(Effect.provide(stack.layer()))
          const { counts } = collected.report
          assert.strictEqual(counts.succeeded, rows, `${name}: ${JSON.stringify(counts)}`)
          const results = yield* readResults(stack, collected)
          const at = results.columns.indexOf("joke")
          assert.isTrue(results.rows.every((row) => typeof row[at] === "string" && row[at] !== ""), name)
        }), { concurrency: 3 })
    }))
})
