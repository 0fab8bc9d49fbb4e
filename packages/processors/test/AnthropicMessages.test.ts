import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { anthropicMessages } from "../src/AnthropicMessages.ts"
import type { Processor, Prompt } from "../src/index.ts"
import { assertReading, nearly } from "./decoding.ts"

const chat = (
  turns: ReadonlyArray<Prompt.Turn>,
  parameters: Processor.ModelParameters = {}
): Processor.ModelRequest => ({ type: "chat", turns, parameters })

const user = (content: string): Prompt.Turn => ({ role: "user", content })
const version = "bedrock-2023-05-31"

const output = (content: ReadonlyArray<Processor.Json>, stop_reason = "end_turn"): Processor.Json => ({
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "claude",
  content,
  stop_reason,
  stop_sequence: null,
  usage: { input_tokens: 10, output_tokens: 5 }
})

describe("encode", () => {
  it("always sends the version and max_tokens, and no sampling parameter that was not given", () => {
    assert.deepStrictEqual(anthropicMessages.encode(chat([user("Hi")])), {
      anthropic_version: version,
      max_tokens: 1024,
      messages: [{ role: "user", content: "Hi" }]
    })
  })

  it("sends all parameters that are given, further ones at the top of the body", () => {
    const parameters = {
      maxTokens: 5,
      temperature: 0,
      topP: 0.5,
      stopSequences: ["."],
      more: { top_k: 3, thinking: { type: "enabled", budget_tokens: 1024 } }
    }
    assert.deepStrictEqual(anthropicMessages.encode(chat([user("Hi")], parameters)), {
      anthropic_version: version,
      max_tokens: 5,
      messages: [{ role: "user", content: "Hi" }],
      temperature: 0,
      top_p: 0.5,
      stop_sequences: ["."],
      top_k: 3,
      thinking: { type: "enabled", budget_tokens: 1024 }
    })
  })

  it("never lets a further field replace the prompt or a parameter", () => {
    const more = { messages: [], max_tokens: 1, anthropic_version: "x", system: "x" }
    assert.deepStrictEqual(anthropicMessages.encode(chat([{ role: "system", content: "s" }, user("Hi")], { more })), {
      anthropic_version: version,
      max_tokens: 1024,
      system: "s",
      messages: [{ role: "user", content: "Hi" }]
    })
  })

  it("joins the system turns in order and merges neighbouring turns of one role", () => {
    const turns: ReadonlyArray<Prompt.Turn> = [
      { role: "system", content: "a" },
      user("b"),
      user("c"),
      { role: "assistant", content: "d" },
      { role: "system", content: "e" },
      user("f")
    ]
    assert.deepInclude(anthropicMessages.encode(chat(turns)), {
      system: "a\n\ne",
      messages: [
        { role: "user", content: [{ type: "text", text: "b" }, { type: "text", text: "c" }] },
        { role: "assistant", content: "d" },
        { role: "user", content: "f" }
      ]
    })
  })

  it("passes a raw body on unchanged", () => {
    const body = { anything: 1 }
    assert.strictEqual(anthropicMessages.encode({ type: "raw", body }), body)
  })
})

describe("check", () => {
  const raw = { anthropic_version: version, max_tokens: 1, messages: [] }
  it.each<[name: string, request: Processor.ModelRequest, problem: string | null]>([
    ["a plain request", chat([user("a")], { more: { top_k: 1 } }), null],
    ["temperature with topP, which is the caller's choice", chat([user("a")], { temperature: 1, topP: 1 }), null],
    ["an assistant first", chat([{ role: "assistant", content: "a" }]), "must be a user turn"],
    ["a text to embed", { type: "embed", text: "a", parameters: {} }, "embedding models"],
    ["max_tokens in more", chat([user("a")], { more: { max_tokens: 1 } }), "max_tokens; give maxTokens instead"],
    ["messages in more", chat([user("a")], { more: { messages: [] } }), "more must not have messages"],
    ["a stream", chat([user("a")], { more: { stream: true } }), "more must not have stream"],
    ["a raw body", { type: "raw", body: raw }, null],
    ["a raw body of Converse", { type: "raw", body: { messages: [] } }, "lacks anthropic_version, max_tokens"],
    ["a model in a raw body", { type: "raw", body: { ...raw, model: "a" } }, "must not have model"]
  ])("of %s", (_, request, problem) => {
    const message = anthropicMessages.check?.(request)
    if (problem === null) assert.isNull(message)
    else assert.include(message, problem)
  })
})

describe("decode", () => {
  it("concatenates all text blocks and leaves thinking and tools out", () => {
    const content = [
      { type: "thinking", thinking: "hm", signature: "s", text: "no" },
      { type: "text", text: "a" },
      { type: "tool_use", id: "1", name: "f", input: { text: "no" } },
      { type: "text", text: "b" }
    ]
    assert.deepStrictEqual(anthropicMessages.decode(output(content)), {
      status: "succeeded",
      answer: { response: "ab" },
      stopReason: "end_turn",
      usage: { inputTokens: 10, outputTokens: 5 }
    })
  })

  it("counts cache reads and writes as input tokens", () => {
    const usage = {
      input_tokens: 1,
      output_tokens: 2,
      cache_creation_input_tokens: 10,
      cache_read_input_tokens: 100
    }
    assert.deepInclude(anthropicMessages.decode({ content: [{ type: "text", text: "a" }], usage }), {
      status: "succeeded",
      stopReason: null,
      usage: { inputTokens: 111, outputTokens: 2 }
    })
  })

  it.each<[stopReason: string, status: Processor.Reading<unknown>["status"]]>([
    ["end_turn", "succeeded"],
    ["stop_sequence", "succeeded"],
    ["tool_use", "succeeded"],
    ["max_tokens", "truncated"],
    ["model_context_window_exceeded", "truncated"],
    ["refusal", "refused"],
    ["pause_turn", "invalid"]
  ])("with text, %s means %s", (stopReason, status) => {
    const reading = anthropicMessages.decode(output([{ type: "text", text: "a" }], stopReason))
    assert.deepInclude(reading, { status, stopReason })
  })

  it.each<[stopReason: string, status: Processor.Reading<unknown>["status"]]>([
    ["end_turn", "invalid"],
    ["tool_use", "invalid"],
    ["max_tokens", "truncated"],
    ["refusal", "refused"]
  ])("without text, %s means %s", (stopReason, status) => {
    assert.deepInclude(anthropicMessages.decode(output([], stopReason)), { status, stopReason })
    assert.deepInclude(anthropicMessages.decode(output([{ type: "thinking", thinking: "hm" }], stopReason)), { status })
  })

  it("keeps the wording of a refusal", () => {
    assert.deepInclude(anthropicMessages.decode(output([{ type: "text", text: "No." }], "refusal")), { raw: "No." })
  })

  it("the output of another family is invalid, and says so", () => {
    const converse = { output: { message: { content: [{ text: "a" }] } }, stopReason: "end_turn" }
    const reading = anthropicMessages.decode(converse)
    assert.deepInclude(reading, { status: "invalid", raw: null, stopReason: null })
    assert.include("message" in reading ? reading.message : "", "not an Anthropic message")
  })

  it.prop("never throws, whatever JSON it reads", [
    nearly({
      content: Arbitrary.array(
        nearly({ type: Arbitrary.Constant("text"), text: Arbitrary.schema(Schema.String) }),
        { maxLength: 3 }
      ),
      stop_reason: Arbitrary.schema(Schema.Literals(["end_turn", "max_tokens", "refusal", "pause_turn"])),
      usage: nearly({
        input_tokens: Arbitrary.schema(Schema.Natural),
        output_tokens: Arbitrary.schema(Schema.Natural),
        cache_read_input_tokens: Arbitrary.schema(Schema.Natural)
      })
    })
  ], ([json]) => assertReading(anthropicMessages, json), { arbitrary: { runs: 500 } })

  it.prop("what a model repeats comes back as it was asked", [Schema.NonEmptyString], ([text]) => {
    const request = JSON.parse(JSON.stringify(anthropicMessages.encode(chat([user(text)]))))
    const answered = JSON.stringify(output([{ type: "text", text: request.messages[0].content }]))
    const reading = anthropicMessages.decode(JSON.parse(answered))
    assert.deepInclude(reading, { status: "succeeded", answer: { response: text } })
  })
})
