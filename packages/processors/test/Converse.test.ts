import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { converse } from "../src/Converse.ts"
import type { Processor, Prompt } from "../src/index.ts"
import { assertReading, nearly } from "./decoding.ts"

const chat = (
  turns: ReadonlyArray<Prompt.Turn>,
  parameters: Processor.ModelParameters = {}
): Processor.ModelRequest => ({ type: "chat", turns, parameters })

const user = (content: string): Prompt.Turn => ({ role: "user", content })
const assistant = (content: string): Prompt.Turn => ({ role: "assistant", content })
const system = (content: string): Prompt.Turn => ({ role: "system", content })

const usage = { inputTokens: 10, outputTokens: 5, totalTokens: 15 }

// A content block as Bedrock's batch output writes it: every member of the union, null but for one.
const block = (members: { readonly [key: string]: Processor.Json }): Processor.Json => ({
  text: null,
  image: null,
  document: null,
  video: null,
  audio: null,
  toolUse: null,
  toolResult: null,
  guardContent: null,
  cachePoint: null,
  reasoningContent: null,
  citationsContent: null,
  searchResult: null,
  ...members
})

const output = (
  blocks: ReadonlyArray<Processor.Json>,
  stopReason = "end_turn",
  tokens: Processor.Json = usage
): Processor.Json => ({
  output: { message: { role: "assistant", content: blocks } },
  stopReason,
  usage: tokens,
  metrics: { latencyMs: 12 },
  additionalModelResponseFields: null,
  trace: null
})

describe("encode", () => {
  it("sends 1024 as maxTokens and nothing else that was not asked for", () => {
    assert.deepStrictEqual(converse.encode(chat([user("Hi")])), {
      messages: [{ role: "user", content: [{ text: "Hi" }] }],
      inferenceConfig: { maxTokens: 1024 }
    })
  })

  it("sends all parameters that are given", () => {
    const parameters = { maxTokens: 5, temperature: 0, topP: 0.5, stopSequences: ["."], more: { top_k: 3 } }
    assert.deepStrictEqual(converse.encode(chat([user("Hi")], parameters)), {
      messages: [{ role: "user", content: [{ text: "Hi" }] }],
      inferenceConfig: { maxTokens: 5, temperature: 0, topP: 0.5, stopSequences: ["."] },
      additionalModelRequestFields: { top_k: 3 }
    })
  })

  it("joins the system turns in order, leaving out empty ones", () => {
    const encoded = converse.encode(chat([system("a"), user("u"), system(""), system("b")]))
    assert.deepInclude(encoded, {
      system: [{ text: "a\n\nb" }],
      messages: [{ role: "user", content: [{ text: "u" }] }]
    })
    assert.notProperty(converse.encode(chat([system(""), user("u")])), "system")
  })

  it("makes one message of neighbouring turns of one role", () => {
    const turns = [user("a"), user("b"), assistant("c"), user("d"), system("s"), user("e")]
    assert.deepInclude(converse.encode(chat(turns)), {
      messages: [
        { role: "user", content: [{ text: "a" }, { text: "b" }] },
        { role: "assistant", content: [{ text: "c" }] },
        { role: "user", content: [{ text: "d" }, { text: "e" }] }
      ]
    })
  })

  it("passes a raw body on unchanged", () => {
    const body = { messages: [], anything: 1 }
    assert.strictEqual(converse.encode({ type: "raw", body }), body)
  })
})

describe("check", () => {
  it.each<[name: string, request: Processor.ModelRequest, problem: string | null]>([
    ["a plain request", chat([user("a")], { maxTokens: 1, temperature: 1, topP: 0, stopSequences: ["a"] }), null],
    ["a system text and a question", chat([system("a"), user("b")]), null],
    ["an empty text", chat([user("")]), null],
    ["temperature with topP, which some models refuse", chat([user("a")], { temperature: 1, topP: 1 }), null],
    ["no turns", chat([]), "no user turn"],
    ["only a system text", chat([system("a")]), "no user turn"],
    ["an assistant first", chat([system("a"), assistant("b"), user("c")]), "must be a user turn"],
    ["a text to embed", { type: "embed", text: "a", parameters: {} }, "embedding models"],
    ["no tokens", chat([user("a")], { maxTokens: 0 }), "maxTokens must be"],
    ["half a token", chat([user("a")], { maxTokens: 1.5 }), "maxTokens must be"],
    ["a temperature of 2", chat([user("a")], { temperature: 2 }), "temperature must be between 0 and 1, not 2"],
    ["a topP that is no number", chat([user("a")], { topP: NaN }), "topP must be between 0 and 1"],
    ["an empty stop sequence", chat([user("a")], { stopSequences: ["a", ""] }), "stop sequence"],
    ["a text as stop sequences", chat([user("a")], JSON.parse("{\"stopSequences\":\"a\"}")), "array of texts"],
    ["numbers as stop sequences", chat([user("a")], JSON.parse("{\"stopSequences\":[1]}")), "array of texts"],
    ["a parameter in the model's own words", chat([user("a")], JSON.parse("{\"max_tokens\":1}")), "did you mean maxTokens?"],
    ["a strange parameter", chat([user("a")], JSON.parse("{\"seed\":1}")), "there is no parameter seed: "],
    ["parameters that are a text", chat([user("a")], JSON.parse("\"x\"")), "must be an object"],
    ["parameters that are null", chat([user("a")], JSON.parse("null")), "must be an object"],
    ["a parameter left undefined", chat([user("a")], { maxTokens: undefined, more: undefined }), null],
    ["dimensions", chat([user("a")], { dimensions: 256 }), "dimensions is a parameter of embedding models"],
    ["normalize", chat([user("a")], { normalize: true }), "normalize is a parameter of embedding models"],
    ["a raw body", { type: "raw", body: { messages: [] } }, null],
    ["a raw body without messages", { type: "raw", body: {} }, "lacks messages"],
    ["a raw body that is a list", { type: "raw", body: [] }, "must be a JSON object"],
    ["tools", { type: "raw", body: { messages: [], toolConfig: {} } }, "toolConfig"]
  ])("of %s", (_, request, problem) => {
    const message = converse.check?.(request)
    if (problem === null) assert.isNull(message)
    else assert.include(message, problem)
  })
})

describe("decode", () => {
  it("concatenates all text blocks and leaves reasoning out", () => {
    const reasoning = block({ reasoningContent: { reasoningText: { text: "hm", signature: null } } })
    assert.deepStrictEqual(converse.decode(output([reasoning, block({ text: "a" }), block({ text: "b" })])), {
      status: "succeeded",
      answer: { response: "ab" },
      stopReason: "end_turn",
      usage: { inputTokens: 10, outputTokens: 5 }
    })
  })

  it("reads blocks without the null members too", () => {
    assert.deepInclude(converse.decode(output([{ text: "a" }])), { status: "succeeded", answer: { response: "a" } })
  })

  it("counts cache reads and writes as input tokens", () => {
    const tokens = { ...usage, cacheReadInputTokens: 100, cacheWriteInputTokens: 7 }
    assert.deepInclude(converse.decode(output([block({ text: "a" })], "end_turn", tokens)), {
      usage: { inputTokens: 117, outputTokens: 5 }
    })
  })

  it.each([null, {}, [], "no", { inputTokens: null, outputTokens: -1 }, { inputTokens: "1", outputTokens: 1.5 }])(
    "has no token counts for the usage %j",
    (tokens) => {
      assert.deepInclude(converse.decode(output([block({ text: "a" })], "end_turn", tokens)), {
        usage: { inputTokens: null, outputTokens: null }
      })
    }
  )

  it.each(["max_tokens", "model_context_window_exceeded"])("%s is a truncated answer, maybe empty", (stopReason) => {
    const truncated = { status: "truncated", stopReason, usage: { inputTokens: 10, outputTokens: 5 } }
    const reasoning = block({ reasoningContent: { reasoningText: { text: "hm" } } })
    const read = (blocks: ReadonlyArray<Processor.Json>) => converse.decode(output(blocks, stopReason))
    assert.deepStrictEqual<unknown>(read([block({ text: "a" })]), { ...truncated, answer: { response: "a" } })
    assert.deepStrictEqual<unknown>(read([reasoning]), { ...truncated, answer: { response: "" } })
    assert.deepStrictEqual<unknown>(read([]), { ...truncated, answer: { response: "" } })
    assert.deepInclude(converse.decode({ output: null, stopReason }), { status: "truncated", answer: { response: "" } })
  })

  it.each(["content_filtered", "guardrail_intervened", "refusal"])("%s is a refusal", (stopReason) => {
    assert.deepInclude(converse.decode(output([block({ text: "Sorry." })], stopReason)), {
      status: "refused",
      raw: "Sorry.",
      stopReason
    })
    assert.deepInclude(converse.decode(output([], stopReason)), { status: "refused", raw: null })
  })

  it.each(["malformed_model_output", "malformed_tool_use"])("%s is invalid", (stopReason) => {
    const reading = converse.decode(output([block({ text: "half" })], stopReason))
    assert.deepInclude(reading, { status: "invalid", raw: "half" })
  })

  it("a stop sequence and an unknown stop reason end a whole answer", () => {
    assert.deepInclude(converse.decode(output([block({ text: "a" })], "stop_sequence")), { status: "succeeded" })
    assert.deepInclude(converse.decode(output([block({ text: "a" })], "new_reason")), { status: "succeeded" })
  })

  it("no text is invalid", () => {
    assert.deepInclude(converse.decode(output([])), { status: "invalid", raw: null })
    assert.deepInclude(converse.decode(output([block({ text: "" })])), { status: "invalid", raw: null })
    const tool = block({ toolUse: { toolUseId: "1", name: "f", input: {} } })
    assert.deepInclude(converse.decode(output([tool], "tool_use")), { status: "invalid", stopReason: "tool_use" })
  })

  it("the output of another family is invalid, and says so", () => {
    const native = { type: "message", content: [{ type: "text", text: "a" }], stop_reason: "end_turn" }
    const reading = converse.decode(native)
    assert.deepInclude(reading, { status: "invalid", raw: null, stopReason: null })
    assert.include("message" in reading ? reading.message : "", "not a Converse answer")
  })

  it.prop("never throws, whatever JSON it reads", [
    nearly({
      output: nearly({
        message: nearly({
          content: Arbitrary.array(nearly({ text: Arbitrary.schema(Schema.String) }), { maxLength: 3 })
        })
      }),
      stopReason: Arbitrary.schema(Schema.Literals(["end_turn", "max_tokens", "content_filtered"])),
      usage: nearly({
        inputTokens: Arbitrary.schema(Schema.Natural),
        outputTokens: Arbitrary.schema(Schema.Natural),
        cacheReadInputTokens: Arbitrary.schema(Schema.Natural)
      })
    })
  ], ([json]) => assertReading(converse, json), { arbitrary: { runs: 500 } })

  it.prop(
    "what a model repeats comes back as it was asked",
    { texts: Arbitrary.array(Arbitrary.schema(Schema.NonEmptyString), { minLength: 1, maxLength: 4 }) },
    ({ texts }) => {
      const request = JSON.parse(JSON.stringify(converse.encode(chat([system("s"), ...texts.map(user)]))))
      const answered = output(request.messages[0].content.map((content: { text: string }) => block(content)))
      assert.deepInclude(converse.decode(JSON.parse(JSON.stringify(answered))), {
        status: "succeeded",
        answer: { response: texts.join("") }
      })
    }
  )
})
