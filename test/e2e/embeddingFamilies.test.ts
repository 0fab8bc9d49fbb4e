import { assert, describe, it } from "@effect/vitest"
import { Local, Responder } from "@bedrock-batch/emulator"
import {
  awaitAll,
  type BatchError,
  collect,
  NovaMultimodalEmbeddings,
  prepare,
  Prompt,
  type Run,
  Source,
  submit,
  TitanMultimodalEmbeddings,
  TitanTextEmbeddings
} from "@bedrock-batch/sdk"
import { Effect, type Layer, Stream } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { cell, readers, type Table } from "../rig/Audit.ts"
import { folder, quick, soon } from "../rig/Stack.ts"

type Services = Layer.Success<ReturnType<typeof Local.layer>>

const nova = "amazon.nova-2-multimodal-embeddings-v1:0"
const titanImage = "amazon.titan-embed-image-v1"
const titanText = "amazon.titan-embed-text-v2:0"
const count = 100

const prose = "The quick brown fox jumps over the lazy dog. ".repeat(1200)
/** The smallest of files that are told by their first bytes. */
const png = (i: number) => Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, i)
const mp4 = (i: number) => Uint8Array.of(0, 0, 0, 24, ...Buffer.from("ftypmp42"), 0, 0, 0, i)
const rowsOf = <A>(row: (i: number) => A): ReadonlyArray<A> => Array.from({ length: count }, (_, i) => row(i))

/** As `numpy.packbits` packs them. */
const packed = (bits: ReadonlyArray<number>): Uint8Array =>
  Uint8Array.from({ length: bits.length / 8 }, (_, i) => Number.parseInt(bits.slice(i * 8, i * 8 + 8).join(""), 2))

/** The lines of a run's inputs or outputs by record id. */
const linesOf = (directory: string, kind: "inputs" | "outputs"): ReadonlyMap<string, any> => {
  const files = fs.readdirSync(directory, { recursive: true, encoding: "utf8" })
  return new Map(
    files.filter((file) => file.includes(`/${kind}/`) && /part-\d+\.jsonl(?:\.out)?$/.test(file)).flatMap((file) =>
      fs.readFileSync(path.join(directory, file), "utf8").trimEnd().split("\n").map((line) => {
        const record = JSON.parse(line)
        return [record.recordId, record] as const
      })
    )
  )
}

/** What a format writes for bytes and numbers, as the values that were meant. */
const bytesOf = (value: unknown): Uint8Array =>
  value instanceof Uint8Array ? Uint8Array.from(value) : Uint8Array.from(Buffer.from(String(value), "base64"))
const vectorOf = (value: unknown): Float32Array | null => {
  const numbers: any = typeof value === "string" && value.startsWith("[") ? JSON.parse(value) : value
  return typeof numbers === "object" && numbers !== null ? Float32Array.from(numbers) : null
}

/** Runs a run once, and collects it in every format. */
const everyFormat = Effect.fnUntraced(function*<Row extends object>(
  prepared: Effect.Effect<Run.Run<Row>, BatchError.BatchError, Services>,
  conduct: Responder.StandardOptions = {}
) {
  const directory = yield* folder
  return yield* Effect.gen(function*() {
    const run = yield* prepared
    const jobs = yield* awaitAll(run.jobs.map(submit), { wait: soon })
    const tables: Array<readonly [format: string, table: Table]> = []
    let rows: ReadonlyArray<Row> = []
    for (const [format, read] of Object.entries(readers)) {
      // In threads, too, which find the processor by its id.
      const parallelism = format === "arrow" ? 2 : 1
      const collected = yield* collect(run, jobs, { format: format as keyof typeof readers, parallelism })
      assert.strictEqual(collected.files.length, 1)
      const file = fs.readFileSync(collected.files[0]!)
      const table = yield* Effect.promise(async () => read(new Uint8Array(file)))
      assert.strictEqual(table.rows.length, count, format)
      tables.push([format, table])
      rows = yield* Stream.runCollect(collected.rows)
    }
    const ids = rowsOf((i) => `r${String(i).padStart(10, "0")}`)
    const [inputs, outputs] = [linesOf(directory, "inputs"), linesOf(directory, "outputs")]
    return {
      tables,
      rows,
      inputs: ids.map((id) => inputs.get(id).modelInput),
      outputs: ids.map((id) => outputs.get(id))
    }
  }).pipe(Effect.provide(Local.layer({ directory, timing: quick, responder: Responder.make(conduct) })))
})

describe("each embedding family gives the vectors of its outputs, in every format", () => {
  it.live("Titan Text Embeddings: numbers, bits, and a text that is too long", () =>
    Effect.gen(function*() {
      const { inputs, outputs, rows, tables } = yield* everyFormat(prepare({
        name: "text",
        source: Source.rows(rowsOf((i) => ({ id: i, chunk: i === 7 ? prose : `chunk ${i}` }))),
        model: titanText,
        embed: "chunk",
        parameters: { truncate: "end" },
        processor: TitanTextEmbeddings.titanTextEmbeddings({ dimensions: 256, embeddingTypes: ["float", "binary"] })
      }))
      assert.deepStrictEqual(inputs[0], { inputText: "chunk 0", dimensions: 256, embeddingTypes: ["float", "binary"] })
      assert.isTrue(prose.startsWith(inputs[7].inputText) && inputs[7].inputText.length < prose.length)
      for (const [format, table] of tables) {
        for (let i = 0; i < count; i++) {
          const { embedding, embeddingsByType } = outputs[i].modelOutput
          assert.strictEqual(cell(table, i, "batch_status"), "succeeded", format)
          assert.strictEqual(cell(table, i, "chunk"), i === 7 ? prose : `chunk ${i}`)
          assert.deepStrictEqual(vectorOf(cell(table, i, "embedding")), Float32Array.from(embedding), format)
          assert.deepStrictEqual(bytesOf(cell(table, i, "embedding_binary")), packed(embeddingsByType.binary), format)
        }
      }
      const first = rows[0]!
      assert(first.batch_status === "succeeded")
      assert.strictEqual(first.embedding.length, 256)
      assert.strictEqual(first.embedding_binary.length, 32)
    }))

  it.live("Titan Text Embeddings: bits alone", () =>
    Effect.gen(function*() {
      const { outputs, rows, tables } = yield* everyFormat(prepare({
        name: "bits",
        source: Source.rows(rowsOf((i) => ({ input_text: `chunk ${i}` }))),
        model: titanText,
        processor: TitanTextEmbeddings.titanTextEmbeddings({ embeddingTypes: ["binary"] })
      }))
      for (const [format, table] of tables) {
        assert.notInclude(table.columns, "embedding")
        for (let i = 0; i < count; i++) {
          const { binary } = outputs[i].modelOutput.embeddingsByType
          assert.deepStrictEqual(bytesOf(cell(table, i, "embedding_binary")), packed(binary), format)
        }
      }
      assert.strictEqual(rows[0]!.embedding_binary!.length, 128)
    }))

  it.live("Titan Multimodal Embeddings: texts, images and both", () =>
    Effect.gen(function*() {
      const { inputs, outputs, tables } = yield* everyFormat(prepare({
        name: "photos",
        source: Source.rows(
          rowsOf((i) => ({ caption: i % 3 === 1 ? null : `photo ${i}`, photo: i % 3 === 2 ? null : png(i) }))
        ),
        model: titanImage,
        embed: { text: "caption", media: Prompt.image("photo") },
        processor: TitanMultimodalEmbeddings.titanMultimodalEmbeddings({ dimensions: 384 })
      }), { hiddenErrors: (text) => text === "photo 5", unknownFields: 1 })
      const embeddingConfig = { outputEmbeddingLength: 384 }
      const base64 = (i: number) => Buffer.from(png(i)).toString("base64")
      assert.deepStrictEqual(inputs.slice(0, 3), [
        { inputText: "photo 0", inputImage: base64(0), embeddingConfig },
        { inputImage: base64(1), embeddingConfig },
        { inputText: "photo 2", embeddingConfig }
      ])
      for (const [format, table] of tables) {
        for (let i = 0; i < count; i++) {
          const { embedding, inputTextTokenCount, message } = outputs[i].modelOutput
          assert.strictEqual(cell(table, i, "batch_status"), i === 5 ? "failed" : "succeeded", format)
          if (i === 5) {
            assert.isString(message)
            assert.strictEqual(cell(table, i, "batch_error_message"), message)
            continue
          }
          assert.strictEqual(Number(cell(table, i, "batch_input_tokens")), inputTextTokenCount)
          assert.deepStrictEqual(vectorOf(cell(table, i, "embedding")), Float32Array.from(embedding), format)
        }
      }
    }))

  it.live("Nova Multimodal Embeddings: texts, of which one is too long", () =>
    Effect.gen(function*() {
      const { inputs, outputs, rows, tables } = yield* everyFormat(prepare({
        name: "nova",
        source: Source.rows(rowsOf((i) => ({ input_text: i === 99 ? prose : `chunk ${i}` }))),
        model: nova,
        parameters: { dimensions: 256 }
      }))
      assert.deepStrictEqual(inputs[0].singleEmbeddingParams, {
        embeddingPurpose: "GENERIC_INDEX",
        embeddingDimension: 256,
        text: { truncationMode: "NONE", value: "chunk 0" }
      })
      for (const [format, table] of tables) {
        for (let i = 0; i < count - 1; i++) {
          const [{ embedding }] = outputs[i].modelOutput.embeddings
          assert.deepStrictEqual(vectorOf(cell(table, i, "embedding")), Float32Array.from(embedding), format)
        }
        assert.strictEqual(cell(table, 99, "batch_status"), "failed", format)
        assert.isNull(vectorOf(cell(table, 99, "embedding")))
      }
      assert.isNull(rows[99]!.embedding)
      assert.strictEqual(rows[0]!.batch_status, "succeeded")
    }))

  it.live("Nova Multimodal Embeddings: bodies of one's own, whose texts the model cuts", () =>
    Effect.gen(function*() {
      const { outputs, rows, tables } = yield* everyFormat(prepare({
        name: "bodies",
        source: Source.rows(rowsOf((i) => ({
          body: {
            taskType: "SINGLE_EMBEDDING",
            singleEmbeddingParams: {
              embeddingPurpose: "CLUSTERING",
              embeddingDimension: 384,
              text: { truncationMode: "END", value: i === 3 ? prose : `chunk ${i}` }
            }
          }
        }))),
        model: nova,
        body: "body",
        processor: NovaMultimodalEmbeddings.novaMultimodalEmbeddings({ dimensions: 384 })
      }))
      const cutAt: unknown = outputs[3].modelOutput.embeddings[0].truncatedCharLength
      assert.isNumber(cutAt)
      for (const [format, table] of tables) {
        assert.strictEqual(cell(table, 3, "batch_stop_reason"), `truncatedCharLength=${cutAt}`, format)
        assert.strictEqual(vectorOf(cell(table, 3, "embedding"))!.length, 384)
      }
      assert.deepStrictEqual(new Set(rows.map((row) => row.batch_status)), new Set(["succeeded"]))
      assert.isNull(rows[0]!.batch_stop_reason)
    }))

  it.live("Nova Multimodal Embeddings: videos and their sound", () =>
    Effect.gen(function*() {
      const { inputs, outputs, rows, tables } = yield* everyFormat(prepare({
        name: "clips",
        source: Source.rows(rowsOf((i) => ({ clip: mp4(i) }))),
        model: nova,
        embed: Prompt.video("clip"),
        processor: NovaMultimodalEmbeddings.novaMultimodalEmbeddings({ videoMode: "separate", dimensions: 256 })
      }))
      assert.deepStrictEqual(inputs[0].singleEmbeddingParams.video, {
        format: "mp4",
        source: { bytes: Buffer.from(mp4(0)).toString("base64") },
        embeddingMode: "AUDIO_VIDEO_SEPARATE"
      })
      for (const [format, table] of tables) {
        assert.notInclude(table.columns, "embedding")
        for (let i = 0; i < count; i++) {
          for (const { embedding, embeddingType } of outputs[i].modelOutput.embeddings) {
            const column = `${embeddingType.toLowerCase()}_embedding`
            const there = vectorOf(cell(table, i, column))
            assert.deepStrictEqual(there, Float32Array.from(embedding), `${format} ${column}`)
          }
        }
      }
      assert.strictEqual(rows[0]!.video_embedding!.length, 256)
      assert.notDeepEqual(rows[0]!.audio_embedding, rows[0]!.video_embedding)
    }))
})
