import type { Faults, Responder } from "@bedrock-batch/emulator"
import {
  type Aws,
  awaitAll,
  type BatchError,
  collect,
  type Collected,
  prepare,
  Prompt,
  retry,
  run,
  Source,
  submit
} from "@bedrock-batch/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { createHash } from "node:crypto"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { bucket, folder, soon, type Stack, start } from "../rig/Stack.ts"

const nova = "us.amazon.nova-lite-v1:0"
const head = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex")
const pngOf = (n: number) => Buffer.concat([head, Buffer.from(`image ${n}`)])
const digest = (bytes: string | Uint8Array) => createHash("sha256").update(bytes).digest("hex").slice(0, 12)

const count = 120
const ids = Array.from({ length: count }, (_, i) => i)
const prompt = <const A extends Prompt.Attachment<"photo">>(photo: A) => Prompt.make("Photo {id}", { media: [photo] })

/** Answers with what the request shows: its text, and the digest of its image, which it reads as Bedrock does. */
const looking = (stack: () => Stack): Responder.Responder => (request) =>
  Effect.gen(function*() {
    const { modelInput } = request
    const content: ReadonlyArray<any> = (modelInput as any).messages[0].content
    const source = content.find(({ image }) => image !== undefined)?.image.source
    const bytes = source === undefined
      ? Buffer.from("none")
      : source.bytes !== undefined
      ? Buffer.from(source.bytes, "base64")
      : yield* stack().get(source.s3Location.uri.slice(`s3://${bucket}/`.length))
    const text = `${content.at(-1).text}: ${digest(bytes)}`
    return {
      output: { message: { role: "assistant", content: [{ text }] } },
      stopReason: "end_turn",
      usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 }
    }
  })

const startLooking = Effect.fnUntraced(function*(faults: Faults.FaultOptions = {}) {
  const state: { stack: Stack | null } = { stack: null }
  const stack = yield* start({ responder: looking(() => state.stack!), faults, limits: { minRecords: 10 } })
  state.stack = stack
  return stack
})

const answers = <Row extends { readonly response: string | null }, E, R>(rows: Stream.Stream<Row, E, R>) =>
  Effect.map(Stream.runCollect(rows), (all) => all.map(({ response }) => response))

const expected = (imageOf: (i: number) => Uint8Array | null) =>
  ids.map((i) => `Photo ${i}: ${digest(imageOf(i) ?? Buffer.from("none"))}`)

describe("images", () => {
  it.live("reach the model from bytes, base64, files and objects, and leave rows without one alone", () =>
    Effect.gen(function*() {
      const stack = yield* startLooking()
      const directory = yield* folder
      yield* Effect.promise(() => mkdir(join(directory, "sub")))
      for (const i of [0, 1, 2]) {
        yield* Effect.promise(() => writeFile(join(directory, "sub", `${i}.png`), pngOf(i)))
        yield* stack.put(`photos/${i} +=.png`, pngOf(i))
      }
      const has = (i: number) => i % 4 !== 3
      const imageOf = (i: number) => has(i) ? pngOf(i % 3) : null
      const base64 = (i: number) => has(i) ? pngOf(i % 3).toString("base64") : ""
      const path = (i: number) => has(i) ? `sub/${i % 3}.png` : null
      const uri = (i: number) => has(i) ? `s3://${bucket}/photos/${i % 3} +=.png` : null
      const finishing = { model: nova, wait: soon, maxRecordsPerJob: count }
      const check = Effect.fnUntraced(function*<Row extends { readonly response: string | null }>(
        running: Effect.Effect<Collected<Row>, BatchError.BatchError, Aws.Services>
      ) {
        const collected = yield* Effect.provide(running, stack.layer())
        assert.deepStrictEqual(yield* answers(collected.rows), expected(imageOf))
        assert.strictEqual(collected.report.counts.succeeded, count)
      })
      yield* check(
        run({
          ...finishing,
          name: "bytes",
          source: Source.rows(ids.map((id) => ({ id, photo: imageOf(id) }))),
          prompt: prompt(Prompt.image("photo"))
        })
      )
      yield* check(
        run({
          ...finishing,
          name: "base64",
          source: Source.rows(ids.map((id) => ({ id, photo: base64(id) }))),
          prompt: prompt(Prompt.image("photo", { format: "png" }))
        })
      )
      yield* check(
        run({
          ...finishing,
          name: "paths",
          source: Source.rows(ids.map((id) => ({ id, photo: path(id) }))),
          prompt: prompt(Prompt.image("photo", { directory }))
        })
      )
      yield* check(
        run({
          ...finishing,
          name: "inline",
          source: Source.rows(ids.map((id) => ({ id, photo: uri(id) }))),
          prompt: prompt(Prompt.image("photo"))
        })
      )
    }))

  it.live("are copied beside the input where they are sent by reference, and go along with a retry", () =>
    Effect.gen(function*() {
      const stack = yield* startLooking({ throttledRecords: { next: 20 } })
      for (const i of [0, 1, 2, 3, 4]) yield* stack.put(`photos/${i}.png`, pngOf(i))
      const without = (i: number) => i % 6 === 5
      const program = Effect.gen(function*() {
        const first = yield* prepare({
          name: "reference",
          source: Source.rows(
            ids.map((id) => ({ id, photo: without(id) ? null : `s3://${bucket}/photos/${id % 5}.png` }))
          ),
          model: nova,
          prompt: prompt(Prompt.image("photo", { s3: "reference" })),
          maxRecordsPerJob: 60,
          limits: { minRecords: 10 }
        })
        assert.deepStrictEqual(first.jobs.map(({ media }) => media?.count), [5, 5])
        yield* awaitAll(first.jobs.map(submit), { wait: soon })
        const second = yield* retry(first, { lane: "batch" })
        assert.deepStrictEqual(second.jobs.map(({ records }) => records), [20])
        for (const { input, media } of second.jobs) {
          const copies = (yield* stack.keys(input)).filter((key) => key.includes("/media-"))
          assert.strictEqual(copies.length, media?.count)
        }
        return yield* collect(second, yield* awaitAll(second.jobs.map(submit), { wait: soon }))
      })
      const collected = yield* Effect.provide(program, stack.layer())
      assert.deepStrictEqual(yield* answers(collected.rows), expected((i) => without(i) ? null : pngOf(i % 5)))
      const client = stack.s3.log.filter(({ url }) => url.includes("/media-"))
      assert.isTrue(client.filter(({ method }) => method === "PUT").every(({ bytes }) => bytes === 0))
      assert.isTrue(stack.s3.log.every(({ method, url }) => method !== "GET" || !url.includes("/photos/")))
    }))
})

describe("requests", () => {
  it.live("have parameters of their own row", () =>
    Effect.gen(function*() {
      const stack = yield* start({
        responder: ({ modelInput }) => {
          const text = JSON.stringify((modelInput as any).inferenceConfig)
          return {
            output: { message: { role: "assistant", content: [{ text }] } },
            stopReason: "end_turn",
            usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 }
          }
        }
      })
      const csv = ["id,max,heat", ...ids.map((i) => `${i},${i % 3 === 0 ? "" : i + 1},${i % 2 === 0 ? "" : "0.5"}`)]
      yield* stack.put("rows.csv", csv.join("\n"))
      const collected = yield* run({
        name: "parameters",
        source: Source.csv(`s3://${bucket}/rows.csv`),
        model: nova,
        prompt: Prompt.make("{id}"),
        parameters: { maxTokens: 7 },
        parametersFrom: { maxTokens: "max", temperature: "heat" },
        wait: soon
      }).pipe(Effect.provide(stack.layer()))
      const wanted = ids.map((i) => ({
        maxTokens: i % 3 === 0 ? 7 : i + 1,
        ...(i % 2 === 0 ? {} : { temperature: 0.5 })
      }))
      assert.deepStrictEqual((yield* answers(collected.rows)).map((text) => JSON.parse(text!)), wanted)
    }))

  for (const rows of [count, 5]) {
    it.live(`of one's own are sent as they are, ${rows === count ? "by batch" : "on demand"}`, () =>
      Effect.gen(function*() {
        const stack = yield* start({ responder: ({ modelInput }) => ({ saw: modelInput, list: [1.5, null] }) })
        const body = (i: number) => `{ "prompt": "${i}", "n": 12345678901234567890, "f":1.0 }`
        const collected = yield* run({
          name: "raw",
          source: Source.rows(ids.slice(0, rows).map((id) => ({ id, body: body(id) }))),
          model: "my.model-v1:0",
          body: "body",
          belowMinimum: "on-demand",
          wait: soon
        }).pipe(Effect.provide(stack.layer()))
        const [input] = (yield* stack.keys(`${collected.report.runId}/inputs/`)).filter((key) => key.endsWith(".jsonl"))
        const lines = (yield* stack.text(input!)).trimEnd().split("\n")
        assert.deepStrictEqual(lines, ids.slice(0, rows).map((i) =>
          `{"recordId":"r${String(i).padStart(10, "0")}","modelInput":${body(i)}}`
        ))
        const output = yield* Stream.runCollect(collected.rows)
        assert.strictEqual(collected.report.counts.succeeded, rows)
        for (const [i, row] of output.entries()) {
          assert.deepStrictEqual(row.output, { saw: JSON.parse(body(i)), list: [1.5, null] })
        }
      }))
  }
})
