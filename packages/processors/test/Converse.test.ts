import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { converse } from "../src/Converse.ts"
import type { Processor, Prompt } from "../src/index.ts"
import { assertReading, nearly } from "./decoding.ts"

const chat = (
  turns: ReadonlyArray<Prompt.RenderedTurn>,
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

  it("sends media before the text, by bytes or by reference", () => {
    const turn: Prompt.RenderedTurn = {
      role: "user",
      content: "What is this?",
      media: [
        { kind: "image", format: "png", name: null, source: { type: "bytes", base64: "AAAA" } },
        { kind: "video", format: "mp4", name: null, source: { type: "s3", uri: "s3://b/k.mp4" } },
        { kind: "audio", format: "mp3", name: null, source: { type: "bytes", base64: "BBBB" } }
      ]
    }
    assert.deepInclude(converse.encode(chat([turn])), {
      messages: [{
        role: "user",
        content: [
          { image: { format: "png", source: { bytes: "AAAA" } } },
          { video: { format: "mp4", source: { s3Location: { uri: "s3://b/k.mp4" } } } },
          { audio: { format: "mp3", source: { bytes: "BBBB" } } },
          { text: "What is this?" }
        ]
      }]
    })
    assert.deepInclude(converse.encode(chat([{ ...turn, content: "", media: turn.media!.slice(0, 1) }])), {
      messages: [{ role: "user", content: [{ image: { format: "png", source: { bytes: "AAAA" } } }] }]
    })
  })

  it("makes the names of documents legal and different from each other", () => {
    const document = (name: string | null): Prompt.Media => ({
      kind: "document",
      format: "pdf",
      name,
      source: { type: "bytes", base64: "AAAA" }
    })
    const media = ["Report (2026) [a]-b", "a_b.pdf", null, "document", "  x   y  ", "...", "J\u00e4nner"].map(document)
    const body = JSON.parse(JSON.stringify(converse.encode(chat([{ ...user("a"), media }]))))
    const names = body.messages[0].content.slice(0, -1).map((one: { document: { name: string } }) => one.document.name)
    assert.deepStrictEqual(names, [
      "Report (2026) [a]-b",
      "a-b-pdf",
      "document",
      "document (2)",
      "x y",
      "-",
      "J\u00e4nner"
    ])
  })

  it.each<[model: string | undefined, parameters: Processor.ModelParameters, expected: object]>([
    ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", { thinking: { budgetTokens: 2000 }, maxTokens: 3000 }, {
      inferenceConfig: { maxTokens: 3000 },
      additionalModelRequestFields: { thinking: { type: "enabled", budget_tokens: 2000 } }
    }],
    ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", { thinking: { budgetTokens: 2000 }, more: { top_k: 1 } }, {
      inferenceConfig: { maxTokens: 3024 },
      additionalModelRequestFields: { top_k: 1, thinking: { type: "enabled", budget_tokens: 2000 } }
    }],
    ["us.amazon.nova-2-lite-v1:0", { thinking: { effort: "low" } }, {
      inferenceConfig: { maxTokens: 1024 },
      additionalModelRequestFields: { reasoningConfig: { type: "enabled", maxReasoningEffort: "low" } }
    }],
    ["us.amazon.nova-2-lite-v1:0", { thinking: { effort: "high" } }, {
      inferenceConfig: {},
      additionalModelRequestFields: { reasoningConfig: { type: "enabled", maxReasoningEffort: "high" } }
    }],
    ["us.anthropic.claude-opus-5", { thinking: { effort: "high" }, more: { output_config: { a: 1 } } }, {
      inferenceConfig: { maxTokens: 1024 },
      additionalModelRequestFields: { thinking: { type: "adaptive" }, output_config: { a: 1, effort: "high" } }
    }],
    ["openai.gpt-oss-120b-1:0", { thinking: { effort: "high" } }, {
      inferenceConfig: { maxTokens: 1024 },
      additionalModelRequestFields: { reasoning_effort: "high" }
    }],
    [undefined, { thinking: { effort: "medium" } }, {
      inferenceConfig: { maxTokens: 1024 },
      additionalModelRequestFields: { reasoning_effort: "medium" }
    }],
    [undefined, { thinking: { budgetTokens: 1024 } }, {
      inferenceConfig: { maxTokens: 2048 },
      additionalModelRequestFields: { thinking: { type: "enabled", budget_tokens: 1024 } }
    }]
  ])("tells %s to think in its own words: %j", (model, parameters, expected) => {
    assert.deepStrictEqual<unknown>(converse.encode({ type: "chat", turns: [user("Hi")], parameters, model }), {
      messages: [{ role: "user", content: [{ text: "Hi" }] }],
      ...expected
    })
  })

  it("tells of the shape of the answer by outputConfig, or by instruction, but never by tools", () => {
    const schema = { type: "object", properties: { a: { type: "string" } }, required: ["a"] }
    const request = (way: Processor.OutputWay): Processor.ModelRequest => ({
      type: "chat",
      turns: [user("Hi"), assistant("Well,")],
      parameters: {},
      output: { name: "label", schema, way }
    })
    assert.deepInclude(converse.encode(request("schema")), {
      messages: [
        { role: "user", content: [{ text: "Hi" }] },
        { role: "assistant", content: [{ text: "Well," }] }
      ],
      outputConfig: {
        textFormat: {
          type: "json_schema",
          structure: { jsonSchema: { schema: JSON.stringify(schema), name: "label" } }
        }
      }
    })
    const instructed = JSON.parse(JSON.stringify(converse.encode(request("instruction"))))
    assert.notProperty(instructed, "outputConfig")
    const text: string = instructed.messages[0].content[0].text
    assert.isTrue(text.startsWith("Hi\n\nAnswer with one JSON object and nothing else"))
    assert.isTrue(text.endsWith(`\n${JSON.stringify(schema)}`))
    assert.notProperty(converse.encode(request("tool")), "toolConfig")
    assert.include(converse.check!(request("tool")), "cannot tell the model of the shape of its answer by tool")
  })

  it.each([
    ["us.anthropic.claude-haiku-4-5-20251001-v1:0", ["schema", "instruction"]],
    ["amazon.nova-micro-v1:0", ["instruction"]],
    ["meta.llama3-1-8b-instruct-v1:0", ["instruction"]],
    ["minimax.minimax-m2", ["instruction", "schema"]],
    ["arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc", ["instruction", "schema"]]
  ])("tells %s of the shape of its answer by %j", (model, ways) => {
    assert.deepStrictEqual<unknown>(converse.outputWays!(model), ways)
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
    [
      "a parameter in the model's own words",
      chat([user("a")], JSON.parse("{\"max_tokens\":1}")),
      "did you mean maxTokens?"
    ],
    ["a strange parameter", chat([user("a")], JSON.parse("{\"seed\":1}")), "there is no parameter seed: "],
    ["parameters that are a text", chat([user("a")], JSON.parse("\"x\"")), "must be an object"],
    ["parameters that are null", chat([user("a")], JSON.parse("null")), "must be an object"],
    ["a parameter left undefined", chat([user("a")], { maxTokens: undefined, more: undefined }), null],
    ["thinking that is a text", chat([user("a")], JSON.parse("{\"thinking\":\"x\"}")), "thinking must be an object"],
    [
      "both kinds of thinking",
      chat([user("a")], JSON.parse("{\"thinking\":{\"effort\":\"low\",\"budgetTokens\":1}}")),
      "thinking must be"
    ],
    ["a small budget", chat([user("a")], { thinking: { budgetTokens: 1023 } }), "at least 1024"],
    [
      "a budget of all tokens",
      chat([user("a")], { thinking: { budgetTokens: 2000 }, maxTokens: 2000 }),
      "more than thinking.budgetTokens"
    ],
    [
      "a temperature with a budget",
      chat([user("a")], { thinking: { budgetTokens: 2000 }, temperature: 0 }),
      "no temperature but 1"
    ],
    ["a temperature of 1 with a budget", chat([user("a")], { thinking: { budgetTokens: 2000 }, temperature: 1 }), null],
    ["a low topP with a budget", chat([user("a")], { thinking: { budgetTokens: 2000 }, topP: 0.5 }), "topP below 0.95"],
    [
      "thinking before a begun answer",
      chat([user("a"), assistant("b")], { thinking: { budgetTokens: 2000 } }),
      "user turn"
    ],
    ["a begun answer", chat([user("a"), assistant("b")]), null],
    [
      "thinking twice",
      chat([user("a")], { thinking: { budgetTokens: 2000 }, more: { thinking: {} } }),
      "give thinking instead"
    ],
    ["thinking by more", chat([user("a")], { more: { thinking: { type: "adaptive" } } }), null],
    [
      "a strange effort",
      chat([user("a")], JSON.parse("{\"thinking\":{\"effort\":\"max\"}}")),
      "\"low\", \"medium\" or \"high\""
    ],
    [
      "2,501 stop sequences",
      chat([user("a")], { stopSequences: Array.from({ length: 2501 }, String) }),
      "at most 2500"
    ],
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

describe("check of a model", () => {
  const think = (
    model: string,
    thinking: Processor.ModelParameters["thinking"],
    more: Processor.ModelParameters = {}
  ) => converse.check!({ type: "chat", turns: [user("a")], parameters: { ...more, thinking }, model })

  it("lets each model think in its own way only", () => {
    const budget = { budgetTokens: 2000 }
    const effort = { effort: "high" } as const
    const claude = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
    assert.isNull(think(claude, budget))
    assert.include(think(claude, effort), "takes thinking.budgetTokens")
    for (const newer of ["us.anthropic.claude-opus-5", "anthropic.claude-opus-4-7", "anthropic.claude-sonnet-5"]) {
      assert.isNull(think(newer, effort))
      assert.include(think(newer, budget), "takes thinking.effort")
      assert.include(think(newer, effort, { more: { output_config: { effort: "low" } } }), "give thinking instead")
    }
    assert.isNull(think("openai.gpt-oss-20b-1:0", effort))
    assert.include(think("openai.gpt-oss-20b-1:0", budget), "takes thinking.effort")
    assert.isNull(think("us.amazon.nova-2-lite-v1:0", effort))
    for (const key of ["maxTokens", "temperature", "topP"] as const) {
      assert.include(think("us.amazon.nova-2-lite-v1:0", effort, { [key]: 1 }), `Nova refuses ${key}`)
      assert.isNull(think("us.amazon.nova-2-lite-v1:0", { effort: "low" }, { [key]: 1 }))
    }
    for (
      const model of [
        "amazon.nova-pro-v1:0",
        "meta.llama3-1-8b-instruct-v1:0",
        "mistral.mistral-large-2407-v1:0",
        "anthropic.claude-3-haiku-20240307-v1:0"
      ]
    ) {
      assert.include(think(model, effort), "not one that thinks")
      assert.include(think(model, budget), "not one that thinks")
    }
  })

  it("refuses media where no model takes it", () => {
    const media: ReadonlyArray<Prompt.Media> = [
      { kind: "image", format: "png", name: null, source: { type: "s3", uri: "s3://b/k.png" } }
    ]
    const check = (turns: ReadonlyArray<Prompt.RenderedTurn>, model?: string) =>
      converse.check!({ type: "chat", turns, parameters: {}, model })
    assert.isNull(check([{ ...user("a"), media }]))
    assert.isNull(check([{ ...user("a"), media }], "amazon.nova-lite-v1:0"))
    assert.include(check([{ ...system("a"), media }, user("b")]), "an image may stand in user turns only")
    assert.include(check([user("a"), { ...assistant("b"), media }]), "in user turns only")
    assert.include(check([{ ...user("a"), media }], "us.amazon.nova-micro-v1:0"), "takes text alone")
    assert.include(check([{ ...user("a"), media: [{ ...media[0]!, format: "bmp" }] }]), "not as \"bmp\"")
    assert.isNull(check([{ ...user(""), media }]))
  })

  it("refuses a document without a text in its message", () => {
    const media: ReadonlyArray<Prompt.Media> = [
      { kind: "document", format: "pdf", name: null, source: { type: "bytes", base64: "AAAA" } }
    ]
    const check = (...turns: ReadonlyArray<Prompt.RenderedTurn>) =>
      converse.check!({ type: "chat", turns, parameters: {} })
    assert.include(check({ ...user(""), media }), "a document beside a text only")
    assert.include(check(user("a"), assistant("b"), { ...user(""), media }), "a document beside a text only")
    assert.isNull(check({ ...user(""), media }, user("a")))
    assert.isNull(check({ ...user("a"), media }))
  })
})

describe("decode", () => {
  it("concatenates all text blocks and keeps reasoning apart", () => {
    const reasoning = block({
      reasoningContent: { reasoningText: { text: "hm", signature: null }, redactedContent: null }
    })
    const redacted = block({ reasoningContent: { reasoningText: null, redactedContent: "AAAA" } })
    const unknown = block({ holograms: [{ text: "no" }], text: null })
    const blocks = [reasoning, redacted, block({ text: "a" }), unknown, block({ text: "b" })]
    assert.deepStrictEqual(converse.decode(output(blocks)), {
      status: "succeeded",
      answer: { response: "ab" },
      stopReason: "end_turn",
      usage: { inputTokens: 10, outputTokens: 5 },
      reasoning: "hm"
    })
  })

  it("says nothing of reasoning where there is none", () => {
    assert.notProperty(converse.decode(output([block({ text: "a" })])), "reasoning")
  })

  it("counts the text of cited passages as text", () => {
    const cited = block({ citationsContent: { content: [{ text: "a" }, null, { other: 1 }], citations: [] } })
    assert.deepInclude(converse.decode(output([cited, block({ text: "b" })])), { answer: { response: "ab" } })
  })

  it("reads blocks without the null members too", () => {
    assert.deepInclude(converse.decode(output([{ text: "a" }])), { status: "succeeded", answer: { response: "a" } })
  })

  it("counts cache reads and writes as input tokens", () => {
    const tokens = { ...usage, cacheReadInputTokens: 100, cacheWriteInputTokens: 7 }
    assert.deepInclude(converse.decode(output([block({ text: "a" })], "end_turn", tokens)), {
      usage: { inputTokens: 117, outputTokens: 5, cacheReadTokens: 100, cacheWriteTokens: 7 }
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
    assert.deepStrictEqual<unknown>(read([reasoning]), { ...truncated, answer: { response: "" }, reasoning: "hm" })
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

  it("an error in place of an answer is a failure", () => {
    const reading = converse.decode({ error: { message: "The model is not ready." } })
    assert.deepInclude(reading, { status: "failed", message: "The model is not ready.", raw: null })
    assert.deepInclude(converse.decode({ message: "Timeout." }), { status: "failed", message: "Timeout." })
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
