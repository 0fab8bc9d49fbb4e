import { assert, describe, it } from "@effect/vitest"
import { type ObjectStore, Prompt, run, Source } from "@bedrock-batch/sdk"
import { Effect } from "effect"
import { parquetMetadata, type SchemaElement } from "hyparquet"
import { parquetWriteBuffer } from "hyparquet-writer"
import { bucket, haiku, soon, start } from "../rig/Stack.ts"

const rows = 110

const schema: Array<SchemaElement> = [
  { name: "root", num_children: 6 },
  { name: "id", type: "INT64", repetition_type: "REQUIRED" },
  { name: "small", type: "INT32", converted_type: "INT_16", repetition_type: "OPTIONAL" },
  { name: "price", type: "INT32", converted_type: "DECIMAL", precision: 9, scale: 2, repetition_type: "OPTIONAL" },
  { name: "day", type: "INT32", converted_type: "DATE", repetition_type: "OPTIONAL" },
  { name: "at", type: "INT64", converted_type: "TIMESTAMP_MICROS", repetition_type: "OPTIONAL" },
  { name: "text", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" }
]

const file = (): Uint8Array => {
  const each = <A>(valueOf: (i: number) => A): Array<A> => Array.from({ length: rows }, (_, i) => valueOf(i))
  return new Uint8Array(parquetWriteBuffer({
    schema,
    columnData: [
      { name: "id", data: each((i) => 2n ** 60n + BigInt(i)) },
      { name: "small", data: each((i) => i - 50) },
      { name: "price", data: each((i) => i / 4) },
      { name: "day", data: each((i) => new Date(Date.UTC(2026, 0, i + 1))) },
      { name: "at", data: each((i) => new Date(Date.UTC(2026, 0, 1, 0, 0, i))) },
      { name: "text", data: each((i) => i % 10 === 9 ? null : `text ${i}`) }
    ]
  }))
}

const typesOf = (bytes: Uint8Array) =>
  parquetMetadata(bytes.slice().buffer).schema.slice(1, 7).map(({ converted_type, name, precision, scale, type }) =>
    [name, type, converted_type ?? null, precision ?? null, scale ?? null])

describe("typed files", () => {
  it.live("keep the types of their columns from Parquet to Parquet, and only the chosen columns are taken", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const bytes = file()
      yield* stack.put("data/part-0.parquet", bytes)
      const ask = (name: string, source: Source.Source<Source.UntypedRow, ObjectStore.ObjectStore>) =>
        run({ name, source, model: haiku, prompt: Prompt.make("{text} on {day}: {price}"), wait: soon }).pipe(
          Effect.provide(stack.layer())
        )
      const all = yield* ask("all", Source.parquet(`s3://${bucket}/data/`))
      const written = yield* stack.get(`${all.report.runId}/results/1-parquet/1-000000.parquet`)
      assert.deepStrictEqual(typesOf(written), typesOf(bytes))
      const table = yield* all.table.pipe(Effect.provide(stack.layer()))
      assert.strictEqual(table.getChild("id")?.get(109), 2n ** 60n + 109n)
      assert.strictEqual(table.getChild("response")?.get(1), "echo: text 1 on 2026-01-02: 0.25")

      const some = yield* ask("some", Source.parquet(`s3://${bucket}/data/`, { select: ["price", "day", "text"], limit: 100 }))
      assert.strictEqual(some.report.records, 100)
      const few = yield* stack.get(`${some.report.runId}/results/1-parquet/1-000000.parquet`)
      assert.deepStrictEqual(
        typesOf(few).slice(0, 3),
        ["price", "day", "text"].map((name) => typesOf(bytes).find(([of]) => of === name)!)
      )
    }))
})
