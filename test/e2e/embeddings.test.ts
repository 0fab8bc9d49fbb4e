import { assert, describe, it } from "@effect/vitest"
import { run, Source, TitanTextEmbeddings } from "@bedrock-batch/sdk"
import { Effect, Stream } from "effect"
import { parquetMetadata, parquetSchema } from "hyparquet"
import { audit, cell } from "../rig/Audit.ts"
import { nasty, plainTable, sourceOf } from "../rig/Data.ts"
import { bucket, soon, start, titan } from "../rig/Stack.ts"

const items = Array.from({ length: 260 }, (_, i) => ({
  id: i,
  input_text: `${nasty[i % nasty.length]} ${i}`,
  price: i % 5 === 0 ? null : i / 3,
  sold: i % 2 === 0,
  at: new Date(Date.UTC(2026, 0, 1) + i * 1001)
}))
const columns = ["id", "input_text", "price", "sold", "at"] as const
const table = { columns, rows: items.map((item) => columns.map((column) => item[column])) }
const ask = (cells: ReadonlyMap<string, unknown>) => String(cells.get("input_text"))
const length = (vector: ReadonlyArray<number>) => Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0))

describe("an embedding run", () => {
  for (const normalize of [true, false]) {
    it.live(`gives each row its vector as a list of float32, normalize ${normalize}`, () =>
      Effect.gen(function*() {
        const stack = yield* start()
        const collected = yield* run({
          name: "vectors",
          source: Source.rows(items),
          model: titan,
          parameters: { dimensions: 256, normalize },
          maxRecordsPerJob: 130,
          wait: soon
        }).pipe(Effect.provide(stack.layer()))
        const { counts, results } = yield* audit(stack, collected, table, ask, { answer: "embedding" })
        assert.deepStrictEqual(counts, { succeeded: 260 })

        const sent: Array<any> = []
        for (const key of yield* stack.keys(`${collected.report.runId}/inputs/`)) {
          sent.push(...(yield* stack.text(key)).trimEnd().split("\n").map((line) => JSON.parse(line).modelInput))
        }
        for (const [i, item] of items.entries()) {
          assert.deepStrictEqual(sent[i], { inputText: item.input_text, dimensions: 256, normalize })
          const vector = cell(results, i, "embedding")
          assert(Array.isArray(vector))
          assert.strictEqual(vector.length, 256)
          if (normalize) assert.closeTo(length(vector), 1, 1e-5)
          else assert.isTrue(Math.abs(length(vector) - 1) > 1e-3)
          assert.deepStrictEqual(vector, Array.from(Float32Array.from(vector)))
        }
        const [file] = collected.files
        const bytes = yield* stack.get(file!.slice(`s3://${bucket}/`.length))
        const schema = parquetSchema(parquetMetadata(new Uint8Array(bytes).buffer))
        const embedding = schema.children.find(({ element }) => element.name === "embedding")!
        assert.strictEqual(embedding.element.logical_type?.type ?? embedding.element.converted_type, "LIST")
        assert.strictEqual(embedding.children[0]!.children[0]!.element.type, "FLOAT")
        const [first] = yield* Stream.runCollect(Stream.take(collected.rows, 1))
        assert.instanceOf(first!.embedding, Float32Array)
      }))
  }

  for (const format of ["csv", "jsonl"] as const) {
    it.live(`embeds another column, with a processor of its own, as ${format}`, () =>
      Effect.gen(function*() {
        const stack = yield* start()
        const plain = plainTable(120)
        const collected = yield* run({
          name: "topics",
          source: sourceOf(plain),
          model: titan,
          embed: "topic",
          processor: TitanTextEmbeddings.titanTextEmbeddings({ dimensions: 512 }),
          wait: soon,
          format
        }).pipe(Effect.provide(stack.layer()))
        const { counts, results } = yield* audit(stack, collected, plain, (cells) => String(cells.get("topic")), {
          answer: "embedding"
        })
        assert.deepStrictEqual(counts, { succeeded: 120 })
        const text = cell(results, 0, "embedding")
        assert.strictEqual((typeof text === "string" ? JSON.parse(text) : text).length, 512)
      }))
  }
})
