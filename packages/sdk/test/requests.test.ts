import type { ModelParameters } from "@bedrock-batch/processors/Processor"
import * as Prompt from "@bedrock-batch/processors/Prompt"
import { raw } from "@bedrock-batch/processors/Raw"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import type { Services } from "../src/Aws.ts"
import type { BatchError } from "../src/BatchError.ts"
import { define } from "../src/internal/Definition.ts"
import { canonicalJson, sha256 } from "../src/internal/Digest.ts"
import * as Layout from "../src/internal/Layout.ts"
import { plans } from "../src/internal/Manifest.ts"
import { optionsFrom } from "../src/internal/Recipe.ts"
import { prepare, type RunDefinition } from "../src/prepare.ts"
import type { Run } from "../src/RunManifest.ts"
import * as Source from "../src/source/Source.ts"
import type { ObjectStore } from "../src/store/ObjectStore.ts"
import { folder, model, processOf } from "./rig/Bench.ts"
import { ScriptedJobs } from "./rig/ScriptedJobs.ts"

type Store = ObjectStore["Service"]

const limits = { minRecords: 1 }
const prompt = Prompt.make("About {topic}")
const png = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex").toString("base64")

const start = (store: Store) => processOf(store, new ScriptedJobs())
const reasonOf = <A>(effect: Effect.Effect<A, BatchError>) => Effect.map(Effect.flip(effect), ({ reason }) => reason)

/** The lines of a run, in order. */
const linesOf = (store: Store, run: Run<object>) =>
  Effect.map(
    Effect.forEach(run.jobs.flatMap(({ files }) => files), ({ key }) => store.get(key)),
    (files) => files.flatMap((bytes) => Buffer.from(bytes!).toString().trimEnd().split("\n"))
  )

const inputsOf = (store: Store, run: Run<object>) =>
  Effect.map(linesOf(store, run), (lines) => lines.map((line) => JSON.parse(line).modelInput))

/** Prepares a run of loosely typed options, as JavaScript gives them. */
const attempt = (store: Store, options: object): Effect.Effect<Run<object>, BatchError> =>
  start(store)(
    (prepare as (options: object) => Effect.Effect<Run<object>, BatchError, Services>)({
      name: "a",
      model,
      limits,
      ...options
    })
  )

describe("parameters of single rows", () => {
  const rows = [
    { topic: "cats", max: 10, heat: "0.5", stops: ["END", "STOP"] },
    { topic: "dogs", max: null, heat: "", stops: null },
    { topic: "owls", max: 30, heat: "1e-1", stops: ["END"] }
  ]
  const from = { maxTokens: "max", temperature: "heat", stopSequences: "stops" } as const

  it.effect("go into their row's request, and the run's own into the others", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const run = yield* start(store)(prepare({
        name: "rows",
        source: Source.rows(rows),
        model,
        prompt,
        limits,
        parameters: { maxTokens: 99, topP: 0.9 },
        parametersFrom: from
      }))
      assert.deepStrictEqual((yield* inputsOf(store, run)).map(({ inferenceConfig }) => inferenceConfig), [
        { maxTokens: 10, temperature: 0.5, topP: 0.9, stopSequences: ["END", "STOP"] },
        { maxTokens: 99, topP: 0.9 },
        { maxTokens: 30, temperature: 0.1, topP: 0.9, stopSequences: ["END"] }
      ])
    }))

  it.effect("are refused with row and column where a cell holds none, and where the family refuses them", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const wrong = (change: object) =>
        reasonOf(attempt(store, {
          source: Source.rows([...rows, { ...rows[0]!, ...change }]),
          prompt,
          parametersFrom: from
        }))
      const hot = yield* wrong({ heat: "hot" })
      assert.deepInclude(hot, { _tag: "InvalidSource", row: 4, column: "heat", problem: "malformed" })
      const refused = yield* wrong({ max: 0 })
      assert.deepInclude(refused, { _tag: "InvalidSource", row: 4, column: null })
      assert.include(refused.message, "maxTokens must be a whole number of at least 1")
      assert.include((yield* wrong({ heat: "1.5" })).message, "row 4: temperature must be between 0 and 1")
      assert.deepStrictEqual((yield* store.list("")).objects, [])
    }))

  it.effect("get the advice that those of the run get, each once", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const told: Array<string> = []
      const logger = Logger.make(({ message }) => void told.push(String(message)))
      const haiku = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
      const advised = (parameters: ModelParameters) =>
        Effect.suspend(() => {
          told.length = 0
          const given = { source: Source.rows(rows), prompt, parameters, parametersFrom: from }
          const options = { ...given, model: haiku, runId: "b" }
          return Effect.provide(Effect.result(attempt(store, options)), Logger.layer([logger]))
        })
      yield* advised({ topP: 0.5 })
      assert.lengthOf(told, 1)
      assert.match(told[0]!, /^row 1: the model anthropic\..* refuses temperature together with topP, in every record/)
      yield* advised({ topP: 0.5, temperature: 0.5 })
      assert.lengthOf(told, 1)
      assert.match(told[0]!, /^the model /)
      yield* advised({})
      assert.deepStrictEqual(told, [])
    }))

  it.effect("need columns that are there and parameters that rows can have", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const wrong = (parametersFrom: unknown) =>
        reasonOf(attempt(store, { source: Source.rows(rows), prompt, parametersFrom }))
      const missing = yield* wrong({ maxTokens: "maxx", topP: "nowhere" })
      assert.deepInclude(missing, { _tag: "InvalidColumns", missing: ["maxx", "nowhere"], nearest: { maxx: "max" } })
      for (const [given, path] of [["max", "parametersFrom"], [{ topK: "max" }, "parametersFrom.topK"]] as const) {
        assert.deepInclude(yield* wrong(given), { _tag: "InvalidOption", path })
      }
      assert.include((yield* wrong({ maxToken: "max" })).message, "did you mean maxTokens?")
    }))
})

describe("requests of one's own", () => {
  const bodies = [
    "{\"prompt\": \"a\", \"n\": 12345678901234567890, \"t\": 1.0}",
    "{\n  \"prompt\": \"b\\n\",\r\n  \"2\": 1E5, \"1\": 0\n}"
  ]

  it.effect("are sent as they are, digits and order of members too", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const run = yield* start(store)(
        prepare({ name: "raw", source: Source.rows(bodies.map((body) => ({ body }))), model, body: "body", limits })
      )
      assert.strictEqual(run.manifest.processor, raw().id)
      assert.deepStrictEqual(run.manifest.answer, [{ name: "output", type: "json" }])
      assert.deepStrictEqual(yield* linesOf(store, run), [
        `{"recordId":"r0000000000","modelInput":${bodies[0]}}`,
        "{\"recordId\":\"r0000000001\",\"modelInput\":{  \"prompt\": \"b\\n\",  \"2\": 1E5, \"1\": 0}}"
      ])
      const objects = Source.rows([{ body: { prompt: "a", list: [1.5, null] } }])
      const other = yield* start(store)(prepare({ name: "objects", source: objects, model, body: "body", limits }))
      assert.deepStrictEqual(yield* inputsOf(store, other), [{ prompt: "a", list: [1.5, null] }])
    }))

  it.effect("are refused with row and column where a cell holds no object", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      for (const body of ["[]", "{", "", null, "null"]) {
        const source = Source.rows([{ body: bodies[0]! }, { body }])
        const reason = yield* reasonOf(attempt(store, { source, body: "body" }))
        assert.deepInclude(reason, { _tag: "InvalidSource", row: 2, column: "body", problem: "malformed" })
      }
      const named = yield* reasonOf(
        attempt(store, { source: Source.rows([{ body: "{\"modelId\":\"m\"}" }]), body: "body" })
      )
      assert.deepInclude(named, { _tag: "InvalidOption", path: "parameters" })
      assert.deepStrictEqual((yield* store.list("")).objects, [])
    }))

  it.effect("exclude what a request is made from otherwise, and need their column", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const source = Source.rows([{ body: "{}", topic: "a" }])
      const path = (options: object) =>
        Effect.map(reasonOf(attempt(store, { source, body: "body", ...options })), (reason) =>
          reason._tag === "InvalidOption" ? reason.path : reason._tag)
      assert.strictEqual(yield* path({ prompt }), "prompt")
      assert.strictEqual(yield* path({ embed: "topic" }), "embed")
      assert.strictEqual(yield* path({ parameters: { maxTokens: 1 } }), "parameters")
      assert.strictEqual(yield* path({ parametersFrom: {} }), "parametersFrom")
      assert.strictEqual(yield* path({ body: 1 }), "body")
      assert.strictEqual(yield* path({ model: "no model" }), "model")
      const reason = yield* reasonOf(attempt(store, { source, body: "boddy" }))
      assert.deepInclude(reason, { _tag: "InvalidColumns", missing: ["boddy"], nearest: { boddy: "body" } })
      const without = yield* reasonOf(attempt(store, { source, processor: raw() }))
      assert.deepInclude(without, { _tag: "InvalidOption", path: "body" })
    }))
})

describe("what is embedded", () => {
  const titan = "amazon.titan-embed-image-v1"
  const source = Source.rows([
    { caption: "a cat", photo: png },
    { caption: "", photo: png },
    { caption: "a dog", photo: null }
  ])

  it.effect("is a text, an image, or both", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const sent = Effect.fnUntraced(function*(name: string, embed: RunDefinition<never>["embed"]) {
        return yield* inputsOf(store, yield* attempt(store, { name, source, model: titan, embed }))
      })
      const both = yield* sent("both", { text: "caption", media: Prompt.image("photo") })
      assert.deepStrictEqual(both.map(({ inputImage = null, inputText = "" }) => [inputText, inputImage]), [
        ["a cat", png],
        ["", png],
        ["a dog", null]
      ])
      const texts = yield* sent("text", "caption")
      assert.deepStrictEqual(texts.map(({ inputText = "" }) => inputText), ["a cat", "", "a dog"])
      const images = Source.rows([{ photo: png }])
      const image = yield* attempt(store, { name: "c", source: images, model: titan, embed: Prompt.image("photo") })
      assert.deepStrictEqual((yield* inputsOf(store, image)).map(({ inputImage }) => inputImage), [png])
    }))

  it.effect("names columns that are there", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const wrong = (embed: unknown) => reasonOf(attempt(store, { source, model: titan, embed }))
      const missing = yield* wrong({ text: "captoin", media: Prompt.image("photos") })
      assert.deepInclude(missing, { _tag: "InvalidColumns", missing: ["captoin", "photos"] })
      for (const embed of [1, null, {}, { media: "photo" }, { text: 1, media: Prompt.image("photo") }]) {
        assert.deepInclude(yield* wrong(embed), { _tag: "InvalidOption", path: "embed" })
      }
    }))
})

describe("the fingerprint", () => {
  const source = Source.rows([{ topic: "cats", body: "{}", max: 1, photo: png }])
  const digest = (value: unknown) => sha256(canonicalJson(value))
  const of = Effect.fnUntraced(function*(options: object) {
    const { store } = yield* folder
    return (yield* attempt(store, { source, ...options })).manifest.fingerprint
  })

  it.effect("of runs without these options is what it was", () =>
    Effect.gen(function*() {
      const parameters = { maxTokens: 7 }
      const text = yield* of({ prompt, parameters })
      assert.strictEqual(
        text.prompt,
        digest({ type: "templates", turns: [{ role: "user", content: "About {topic}" }] })
      )
      assert.strictEqual(text.parameters, digest(parameters))
      const titan = "amazon.titan-embed-text-v2:0"
      assert.strictEqual((yield* of({ model: titan, embed: "topic" })).prompt, digest({ embed: "topic" }))
      assert.deepStrictEqual(yield* of({ prompt, parameters, parametersFrom: {} }), text)
    }))

  it.effect("tells each of them", () =>
    Effect.gen(function*() {
      const image = (options: Prompt.AttachmentOptions) =>
        Prompt.make("About {topic}", { media: [Prompt.image("photo", options)] })
      const prints = yield* Effect.forEach([
        { prompt },
        { prompt, parametersFrom: { maxTokens: "max" } },
        { prompt, parametersFrom: { temperature: "max" } },
        { prompt: image({}) },
        { prompt: image({ format: "png" }) },
        { body: "body" },
        { model: "amazon.titan-embed-image-v1", embed: Prompt.image("photo") },
        { model: "amazon.titan-embed-image-v1", embed: { media: Prompt.image("photo"), text: "topic" } }
      ], of)
      assert.strictEqual(new Set(prints.map(canonicalJson)).size, prints.length)
    }))

  it.effect("is the same when the run is taken up by its plan alone", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const csv = `topic,body,max,photo\ncats,"{""prompt"":1}",1,${png}\n`
      yield* store.create("topics.csv", Buffer.from(csv))
      const definitions: ReadonlyArray<object> = [
        {
          prompt: Prompt.chat([
            { role: "system", content: "Short." },
            { role: "user", content: "{topic}", media: [Prompt.image("photo", { format: "png" })] }
          ]),
          parameters: { maxTokens: 2000, thinking: { budgetTokens: 1024 } },
          parametersFrom: { topP: "max" }
        },
        { body: "body" },
        { model: "amazon.titan-embed-image-v1", embed: Prompt.image("photo"), parameters: { dimensions: 256 } },
        { model: "amazon.titan-embed-image-v1", embed: { media: Prompt.image("photo"), text: "topic" } }
      ]
      for (const [i, options] of definitions.entries()) {
        const given = { source: Source.csv(store.uri("topics.csv")), name: `run-${i}`, ...options }
        const run = yield* attempt(store, given)
        const plan = (yield* plans.read(store, Layout.plan(run.id)))!
        const again = optionsFrom(plan)
        assert.isNotNull(again, "the plan says what the run is made from")
        const definition = yield* start(store)(Effect.scoped(define(again!)))
        assert.deepStrictEqual(definition.fingerprint, run.manifest.fingerprint)
      }
    }))
})
