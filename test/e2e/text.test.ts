import { assert, describe, it } from "@effect/vitest"
import { AnthropicMessages, Prompt, run, Source } from "@bedrock-batch/sdk"
import { Responder } from "@bedrock-batch/emulator"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { audit, cell } from "../rig/Audit.ts"
import { csvOf, nastyColumns, nastyTable, plainTable } from "../rig/Data.ts"
import { bucket, folder, haiku, soon, start } from "../rig/Stack.ts"

const table = nastyTable(230)
const prompt = Prompt.make(
  "About {topic}: {__proto__}, it costs {Cost Total $} ({constructor}); {{as is}} {7} {a.b[c]} {ключ \"q\"}"
)
const ask = (cells: ReadonlyMap<string, unknown>) => {
  const of = (name: typeof nastyColumns[number]) => String(cells.get(name))
  return `About ${of("topic")}: ${of("__proto__")}, it costs ${of("Cost Total $")} (${of("constructor")}); {as is} ` +
    `${of("7")} ${of("a.b[c]")} ${of("ключ \"q\"")}`
}

const families = { converse: undefined, anthropic: AnthropicMessages.anthropicMessages }
const formats = ["parquet", "csv", "jsonl", "arrow"] as const

describe("a text run from CSV", () => {
  for (const family of ["converse", "anthropic"] as const) {
    for (const format of formats) {
      it.live(`gives every row of an object in S3 its own answer, in order: ${family}, ${format}`, () =>
        Effect.gen(function*() {
          const stack = yield* start()
          yield* stack.put("data/nasty rows.csv", csvOf(table))
          const collected = yield* run({
            name: "nasty",
            source: Source.csv(`s3://${bucket}/data/nasty rows.csv`),
            model: haiku,
            prompt,
            processor: families[family],
            maxRecordsPerJob: 110,
            wait: soon,
            format
          }).pipe(Effect.provide(stack.layer()))
          const { counts, results, statuses } = yield* audit(stack, collected, table, ask)
          assert.deepStrictEqual(counts, { succeeded: 230 })
          assert.deepStrictEqual(statuses, ["Completed", "Completed"])
          assert.strictEqual(collected.files.length, 2)
          for (let i = 0; i < 230; i++) {
            const cells = new Map(table.columns.map((name, j) => [name, table.rows[i]![j]]))
            assert.strictEqual(cell(results, i, "response"), `echo: ${ask(cells)}`)
          }
          const added = [
            "record_id",
            "response",
            "batch_status",
            "batch_stop_reason",
            "batch_error_code",
            "batch_error_message",
            "batch_input_tokens",
            "batch_output_tokens"
          ]
          // JSON objects put integer-like names first.
          const columns = [...nastyColumns, ...added]
          assert.deepStrictEqual(
            results.columns,
            format === "jsonl" ? ["7", ...columns.filter((column) => column !== "7")] : columns
          )
          const stats = yield* stack.emulator.stats
          assert.deepInclude(stats, { jobsCreated: 2, recordsProcessed: 230 })
          assert.strictEqual(stats.calls.create, 2)
        }))
    }
  }

  it.live("reads a local path, a file URL and a key of the store, and a base below a prefix", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const directory = yield* folder
      const file = path.join(directory, "nasty rows.csv")
      fs.writeFileSync(file, csvOf(table))
      yield* stack.put("below/a prefix/data.csv".replaceAll(" ", "-"), csvOf(table))
      const layer = stack.layer({ prefix: "below/a-prefix" })
      const sources = {
        path: Source.csv(file),
        url: Source.csv(pathToFileURL(file)),
        store: Source.csv("store://data.csv")
      }
      for (const [name, source] of Object.entries(sources)) {
        const collected = yield* run({ name, source, model: haiku, prompt, wait: soon, runId: name }).pipe(
          Effect.provide(layer)
        )
        const { counts } = yield* audit(stack, collected, table, ask, { prefix: "below/a-prefix" })
        assert.deepStrictEqual(counts, { succeeded: 230 })
      }
      assert.strictEqual((yield* stack.emulator.stats).jobsCreated, 3)
    }))

  it.live("keeps answers that the model cut short, and renames the columns it adds", () =>
    Effect.gen(function*() {
      const stack = yield* start({ responder: Responder.standard })
      const short = plainTable(150)
      yield* stack.put("short.csv", csvOf(short))
      const collected = yield* run({
        name: "short",
        source: Source.csv(`s3://${bucket}/short.csv`),
        model: haiku,
        prompt: Prompt.make("{id}: {topic}", { system: "Be brief about {topic}." }),
        parameters: { maxTokens: 4 },
        rename: { response: "joke" },
        wait: soon
      }).pipe(Effect.provide(stack.layer()))
      const { counts, results } = yield* audit(
        stack,
        collected,
        short,
        (cells) => `${cells.get("id")}: ${cells.get("topic")}`,
        { answer: "joke" }
      )
      assert.deepStrictEqual(counts, { truncated: 150 })
      assert.strictEqual(cell(results, 3, "batch_stop_reason"), "max_tokens")
      assert.notInclude(results.columns, "response")
    }))
})
