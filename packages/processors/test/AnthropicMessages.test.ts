import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { anthropicMessages } from "../src/AnthropicMessages.ts"
import type { Processor, Prompt } from "../src/index.ts"
import { assertReading, nearly } from "./decoding.ts"

const chat = (
  turns: ReadonlyArray<Prompt.RenderedTurn>,
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

  it("sends images and documents before the text", () => {
    const bytes = { type: "bytes", base64: "AAAA" } as const
    const media: ReadonlyArray<Prompt.Media> = [
      { kind: "image", format: "webp", name: null, source: bytes },
      { kind: "document", format: "pdf", name: "document", source: bytes },
      { kind: "document", format: "md", name: "Notes", source: { type: "bytes", base64: btoa("# Hi") } }
    ]
    assert.deepInclude(anthropicMessages.encode(chat([{ ...user("What?"), media }])), {
      messages: [{
        role: "user",
        content: [
          { type: "image", source: { type: "base64", media_type: "image/webp", data: "AAAA" } },
          { type: "document", source: { type: "base64", media_type: "application/pdf", data: "AAAA" } },
          { type: "document", source: { type: "text", media_type: "text/plain", data: "# Hi" }, title: "Notes" },
          { type: "text", text: "What?" }
        ]
      }]
    })
  })

  it("thinks with a budget, beside which 1024 tokens are left for the answer", () => {
    const thinking = { budgetTokens: 5000 }
    assert.deepInclude(anthropicMessages.encode(chat([user("Hi")], { thinking })), {
      max_tokens: 6024,
      thinking: { type: "enabled", budget_tokens: 5000 }
    })
    assert.deepInclude(anthropicMessages.encode(chat([user("Hi")], { thinking, maxTokens: 9000 })), {
      max_tokens: 9000
    })
  })

  it("thinks with an effort, as newer models do, and is held to a schema beside", () => {
    const parameters = { thinking: { effort: "low" } } as const
    assert.deepInclude(anthropicMessages.encode(chat([user("Hi")], parameters)), {
      max_tokens: 1024,
      thinking: { type: "adaptive" },
      output_config: { effort: "low" }
    })
    const schema = { type: "object" }
    const output = { name: "label", schema, way: "schema" } as const
    assert.deepInclude(anthropicMessages.encode({ type: "chat", turns: [user("Hi")], parameters, output }), {
      output_config: { effort: "low", format: { type: "json_schema", schema } }
    })
  })

  it("tells of the shape of the answer by a tool, a schema or an instruction", () => {
    const schema = { type: "object", properties: { a: { type: "string" } } }
    const request = (
      way: Processor.OutputWay,
      parameters: Processor.ModelParameters = {}
    ): Processor.ModelRequest => ({
      type: "chat",
      turns: [user("Hi")],
      parameters,
      output: { name: "label", schema, way }
    })
    const plain = { anthropic_version: version, max_tokens: 1024, messages: [{ role: "user", content: "Hi" }] }
    assert.deepStrictEqual<unknown>(anthropicMessages.encode(request("tool")), {
      ...plain,
      tools: [{ name: "label", description: "Takes the answer.", input_schema: schema }],
      tool_choice: { type: "tool", name: "label" }
    })
    assert.deepStrictEqual<unknown>(
      anthropicMessages.encode(request("schema", { more: { output_config: { effort: "low" } } })),
      { ...plain, output_config: { effort: "low", format: { type: "json_schema", schema } } }
    )
    const thinking = request("tool", { thinking: { budgetTokens: 1024 } })
    const instructed = JSON.parse(JSON.stringify(anthropicMessages.encode(thinking)))
    assert.notProperty(instructed, "tools")
    assert.notProperty(instructed, "tool_choice")
    assert.include(instructed.messages[0].content, `JSON Schema:\n${JSON.stringify(schema)}`)
    assert.deepStrictEqual(
      anthropicMessages.encode(request("instruction", { thinking: { budgetTokens: 1024 } })),
      anthropicMessages.encode(thinking)
    )
    assert.deepStrictEqual(anthropicMessages.outputWays!("us.anthropic.claude-haiku-4-5-20251001-v1:0"), [
      "tool",
      "schema",
      "instruction"
    ])
    assert.deepStrictEqual(anthropicMessages.outputWays!("us.anthropic.claude-opus-5"), ["tool", "instruction"])
  })

  it("passes a raw body on unchanged", () => {
    const body = { anything: 1 }
    assert.strictEqual(anthropicMessages.encode({ type: "raw", body }), body)
  })
})

describe("check", () => {
  const withMedia = (
    kind: Prompt.MediaKind,
    format: string,
    source: Prompt.Media["source"] = { type: "bytes", base64: "AAAA" }
  ): Processor.ModelRequest => chat([{ ...user("a"), media: [{ kind, format, name: null, source }] }])
  const ofModel = (model: string, parameters: Processor.ModelParameters): Processor.ModelRequest => ({
    type: "chat",
    turns: [user("a")],
    parameters,
    model
  })
  const withOutput = (parameters: Processor.ModelParameters, name = "label"): Processor.ModelRequest => ({
    type: "chat",
    turns: [user("a")],
    parameters,
    output: { name, schema: { type: "object" }, way: "tool" }
  })
  const raw = { anthropic_version: version, max_tokens: 1, messages: [] }
  it.each<[name: string, request: Processor.ModelRequest, problem: string | null]>([
    ["a plain request", chat([user("a")], { more: { top_k: 1 } }), null],
    ["temperature with topP, which is the caller's choice", chat([user("a")], { temperature: 1, topP: 1 }), null],
    ["an assistant first", chat([{ role: "assistant", content: "a" }]), "must be a user turn"],
    ["a text to embed", { type: "embed", text: "a", parameters: {} }, "embedding models"],
    ["max_tokens in more", chat([user("a")], { more: { max_tokens: 1 } }), "max_tokens; give maxTokens instead"],
    ["messages in more", chat([user("a")], { more: { messages: [] } }), "more must not have messages"],
    ["a sound", withMedia("audio", "mp3"), "takes no audio"],
    ["a video", withMedia("video", "mp4"), "takes no video"],
    ["an image", withMedia("image", "png"), null],
    ["a spreadsheet", withMedia("document", "xlsx"), "pdf, txt, md, html, csv, not as \"xlsx\""],
    ["an image in S3", withMedia("image", "png", { type: "s3", uri: "s3://b/k" }), "cannot read an image from S3"],
    ["an effort", ofModel("anthropic.claude-opus-5", { thinking: { effort: "low" } }), null],
    ["a budget", ofModel("anthropic.claude-sonnet-4-6", { thinking: { budgetTokens: 2048 } }), null],
    [
      "an effort of Claude 4",
      ofModel("anthropic.claude-sonnet-4-6", { thinking: { effort: "low" } }),
      "takes thinking.budget"
    ],
    [
      "a budget of Claude 5",
      ofModel("anthropic.claude-opus-5", { thinking: { budgetTokens: 2048 } }),
      "takes thinking.effort"
    ],
    [
      "thinking of Claude 3",
      ofModel("anthropic.claude-3-haiku-20240307-v1:0", { thinking: { effort: "low" } }),
      "not one that"
    ],
    [
      "an effort twice",
      chat([user("a")], { thinking: { effort: "low" }, more: { output_config: { effort: "low" } } }),
      "give"
    ],
    [
      "another output_config",
      chat([user("a")], { thinking: { effort: "low" }, more: { output_config: { a: 1 } } }),
      null
    ],
    [
      "thinking twice",
      chat([user("a")], { thinking: { budgetTokens: 1024 }, more: { thinking: {} } }),
      "give thinking"
    ],
    ["a blank stop sequence", chat([user("a")], { stopSequences: [" \n"] }), "nothing but whitespace"],
    ["an output", withOutput({}), null],
    ["an output beside tools", withOutput({ more: { tools: [] } }), "tools; give output instead"],
    ["an instruction beside tools", withOutput({ more: { tools: [] }, thinking: { budgetTokens: 1024 } }), null],
    ["an output without a legal name", withOutput({}, "a b"), "the name of an output"],
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
  it("concatenates all text blocks and keeps thinking apart and leaves tools out", () => {
    const content = [
      { type: "thinking", thinking: "hm", signature: "s", text: "no" },
      { type: "text", text: "a" },
      { type: "redacted_thinking", data: "AAAA" },
      { type: "tool_use", id: "1", name: "f", input: { text: "no" } },
      { type: "hologram", text: "no" },
      { type: "text", text: "b" }
    ]
    assert.deepStrictEqual(anthropicMessages.decode(output(content)), {
      status: "succeeded",
      answer: { response: "ab" },
      stopReason: "end_turn",
      usage: { inputTokens: 10, outputTokens: 5 },
      reasoning: "hm"
    })
  })

  it("takes the input of a tool for the answer where there is no text", () => {
    const call = (name: string, input: Processor.Json): Processor.Json => ({ type: "tool_use", id: "1", name, input })
    assert.deepInclude(anthropicMessages.decode(output([call("label", { a: [1] })], "tool_use")), {
      status: "succeeded",
      answer: { response: "{\"a\":[1]}" },
      stopReason: "tool_use"
    })
    assert.deepInclude(anthropicMessages.decode(output([call("f", {}), call("g", null)], "tool_use")), {
      answer: { response: "[{\"name\":\"f\",\"input\":{}},{\"name\":\"g\",\"input\":null}]" }
    })
    assert.deepInclude(anthropicMessages.decode(output([call("label", {})], "max_tokens")), {
      status: "truncated",
      answer: { response: "{}" }
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
      usage: { inputTokens: 111, outputTokens: 2, cacheReadTokens: 100, cacheWriteTokens: 10 }
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
