import { assert, describe, it } from "@effect/vitest"
import * as Responder from "../src/Responder.ts"
import { anthropic, converse, haiku } from "./Fixture.ts"
import { jpeg, mp3, pdf, png } from "./media.ts"

type Body = Record<string, unknown>
type Request = Responder.RecordRequest
const refusal = (modelId: string, modelInput: Body, more: Partial<Request> = {}): string | undefined => {
  const answer = Responder.standard({ modelId, modelInvocationType: "InvokeModel", recordId: "r", modelInput, ...more })
  return Responder.isRecordError(answer) ? answer.error.errorMessage : undefined
}
const talk = (modelId: string, modelInput: Body, more: Partial<Request> = {}) =>
  refusal(modelId, modelInput, { modelInvocationType: "Converse", ...more })

const opus5 = "us.anthropic.claude-opus-5"
const claude3 = "anthropic.claude-3-haiku-20240307-v1:0"
const nova = "us.amazon.nova-lite-v1:0"
const micro = "us.amazon.nova-micro-v1:0"
const nova2 = "us.amazon.nova-2-lite-v1:0"
const oss = "openai.gpt-oss-20b-1:0"
const gemma = "google.gemma-3-4b-it"
const chat = { messages: [{ role: "user", content: "x" }] }
const native = (content: ReadonlyArray<unknown> = [{ text: "x" }]) => ({ messages: [{ role: "user", content }] })
const blocks = (...content: ReadonlyArray<unknown>) => ({ ...anthropic("x"), messages: [{ role: "user", content }] })

describe("the body of another family", () => {
  const bodies: { readonly [family: string]: Body } = {
    anthropic: anthropic("x"),
    converse: converse("x"),
    nova: { schemaVersion: "messages-v1", ...native() },
    llama: { prompt: "x" },
    openai: { ...chat, max_completion_tokens: 5 },
    titan: { inputText: "x" }
  }
  const models: ReadonlyArray<readonly [model: string, accepted: ReadonlyArray<string>]> = [
    [haiku, ["anthropic"]],
    // A Converse body happens to be one of Nova's, too.
    [nova, ["nova", "converse"]],
    ["meta.llama3-1-8b-instruct-v1:0", ["llama"]],
    ["mistral.mistral-small-2402-v1:0", ["llama"]],
    ["mistral.mistral-large-2407-v1:0", []],
    [oss, ["openai"]],
    ["amazon.titan-embed-text-v2:0", ["titan"]],
    ["amazon.titan-embed-image-v1", ["titan"]],
    ["amazon.nova-2-multimodal-embeddings-v1:0", []]
  ]
  for (const [model, accepted] of models) {
    it(`is refused by ${model}`, () => {
      for (const [family, body] of Object.entries(bodies)) {
        assert.strictEqual(refusal(model, body) === undefined, accepted.includes(family), family)
      }
    })
  }
})

it("a Claude model refuses what is missing or strange in its words", () => {
  const own = (more: Body) => refusal(haiku, { ...anthropic("x"), ...more })
  assert.strictEqual(own({ max_tokens: undefined }), "max_tokens: Field required")
  assert.strictEqual(own({ max_tokens: 0 }), "max_tokens: Input should be greater than or equal to 1")
  assert.strictEqual(own({ stream: false }), "stream: Extra inputs are not permitted")
  assert.match(String(own({ messages: [{ role: "system", content: "x" }] })), /Unexpected role "system"/)
  assert.match(
    String(own({ messages: [{ role: "user", content: "" }] })),
    /messages\.0: all messages must have non-empty/
  )
  assert.match(
    String(own({ messages: [{ role: "user", content: [{ text: "x" }] }] })),
    /content\.0\.type: Field required/
  )
  assert.match(
    String(own({ messages: [{ role: "user", content: [{ type: "image_url", image_url: {} }] }] })),
    /^messages\.0\.content\.0: Input tag 'image_url' found using 'type' does not match/
  )
  assert.match(
    String(own({ messages: [{ role: "assistant", content: "x" }] })),
    /first message must use the "user" role/
  )
  assert.match(String(own({ stop_sequences: [" "] })), /non-whitespace/)
  assert.match(String(own({ temperature: 1.5 })), /range/)
})

it("thinking has a budget of at least 1024 tokens, below max_tokens, and no other sampling", () => {
  const think = (more: Body, budget_tokens: unknown = 1024, model = haiku) =>
    refusal(model, { ...anthropic("x"), max_tokens: 2000, thinking: { type: "enabled", budget_tokens }, ...more })
  assert.isUndefined(think({}))
  assert.isUndefined(think({ temperature: 1 }))
  assert.strictEqual(
    think({}, 1000),
    "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
  )
  assert.strictEqual(think({}, 2000), "`max_tokens` must be greater than `thinking.budget_tokens`.")
  assert.match(String(think({ temperature: 0.5 })), /`temperature` may only be set to 1/)
  assert.match(String(think({ top_k: 5 })), /`top_k` must be unset/)
  const forced = { tools: [{ name: "t", input_schema: { type: "object" } }], tool_choice: { type: "any" } }
  assert.match(String(think(forced)), /Thinking may not be enabled when tool_choice forces tool use/)
  assert.match(String(think({}, 1024, claude3)), /not supported for this model/)
  assert.match(String(think({}, 1024, opus5)), /Use "thinking.type.adaptive"/)
  assert.isUndefined(refusal(opus5, { ...anthropic("x"), thinking: { type: "adaptive" } }))
  const inConverse = talk(haiku, {
    ...converse("x"),
    additionalModelRequestFields: { thinking: { type: "enabled", budget_tokens: 1024 } }
  })
  assert.strictEqual(inConverse, "`max_tokens` must be greater than `thinking.budget_tokens`.")
})

it("Nova 2 takes an effort, and with the highest no limit and no sampling", () => {
  const think = (maxReasoningEffort: unknown, config: Body = {}) =>
    refusal(nova2, { ...native(), inferenceConfig: config, reasoningConfig: { type: "enabled", maxReasoningEffort } })
  assert.isUndefined(think("medium", { maxTokens: 500 }))
  assert.isUndefined(think("high"))
  for (const config of [{ maxTokens: 500 }, { temperature: 0.5 }, { topP: 0.5 }]) {
    assert.match(String(think("high", config)), /must be unset/)
  }
  assert.match(String(think("highest")), /low, medium or high/)
})

it("a model that cannot be held to a JSON Schema refuses one, and Claude refuses what it cannot keep", () => {
  const held = (schema: unknown) => ({
    ...converse("x"),
    outputConfig: { textFormat: { type: "json_schema", structure: { jsonSchema: { name: "s", schema } } } }
  })
  const good = { type: "object", properties: { n: { type: "integer" } }, additionalProperties: false }
  const text = JSON.stringify(good)
  for (const model of [haiku, opus5, oss, gemma]) assert.isUndefined(talk(model, held(text)), model)
  for (const model of [nova, claude3, "us.meta.llama4-scout-17b-instruct-v1:0"]) {
    assert.match(String(talk(model, held(text))), /doesn't support structured outputs/, model)
  }
  assert.match(String(talk(haiku, held(good))), /must be a string/)
  assert.match(String(talk(haiku, held("{"))), /must be a JSON Schema/)
  const open = { type: "object", properties: { inner: { type: "object" } }, additionalProperties: false }
  const refused = "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to " +
    "false"
  assert.strictEqual(talk(haiku, held(JSON.stringify(open))), refused)
  assert.isUndefined(talk(oss, held(JSON.stringify(open))))
  const format = (schema: unknown) =>
    refusal(haiku, { ...anthropic("x"), output_config: { format: { type: "json_schema", schema } } })
  assert.isUndefined(format(good))
  assert.strictEqual(format(open), refused)
  const bounded = { ...good, properties: { n: { type: "integer", allOf: [{ minimum: 0 }] } } }
  assert.match(String(format(bounded)), /properties minimum are not supported/)
  assert.match(String(format({ ...good, properties: { n: { type: "string", maxLength: 5 } } })), /maxLength/)
})

it("tools in a native body are looked at", () => {
  const tools = [{ name: "t", input_schema: { type: "object" } }]
  const own = (more: Body) => refusal(haiku, { ...anthropic("x"), ...more })
  assert.match(String(own({ tools, tool_choice: { type: "tool", name: "u" } })), /Tool 'u' not found/)
  assert.match(String(own({ tool_choice: { type: "any" } })), /only be specified while providing tools/)
  assert.match(String(own({ tools: [{ name: "a b", input_schema: {} }] })), /should match pattern/)
  assert.match(String(own({ tools: [{ name: "t" }] })), /input_schema: Field required/)
  assert.match(String(refusal(oss, { ...chat, tool_choice: "required" })), /there is no tool/)
  assert.match(String(refusal(oss, { ...chat, response_format: { type: "json_schema", json_schema: {} } })), /\[name\]/)
  assert.match(String(refusal(nova, { ...native(), toolConfig: { tools: [] } })), /minimum item count/)
})

describe("media", () => {
  const image = (format: unknown, source: unknown) => native([{ image: { format, source } }, { text: "x" }])
  const inS3 = (uri: string) => image("png", { s3Location: { uri } })

  it("must be base64 of the format that they are said to have", () => {
    for (const ask of [talk, refusal]) {
      assert.isUndefined(ask(nova, image("png", { bytes: png })))
      assert.isUndefined(ask(nova, image("jpeg", { bytes: jpeg })))
      for (const [format, source] of [
        ["jpeg", { bytes: png }],
        ["png", { bytes: "not base64!" }],
        ["png", { bytes: Buffer.from("a text").toString("base64") }],
        ["jpg", { bytes: jpeg }],
        ["png", {}],
        ["png", { bytes: png, s3Location: { uri: "s3://bucket/a.png" } }]
      ] as const) {
        assert.isDefined(ask(nova, image(format, source)), JSON.stringify([format, source]))
      }
    }
    const claude = (media_type: string, data: string, type = "base64") =>
      refusal(haiku, blocks({ type: "image", source: { type, media_type, data } }, { type: "text", text: "x" }))
    assert.isUndefined(claude("image/png", png))
    assert.strictEqual(
      claude("image/png", jpeg),
      "messages.0.content.0.image.source.base64.data: The image was specified using the image/png media type, but " +
        "the image appears to be a image/jpeg image"
    )
    assert.match(String(claude("image/png", "??")), /invalid base64 data/)
    assert.match(
      String(claude("image/bmp", png)),
      /Input should be 'image\/jpeg', 'image\/png', 'image\/gif' or 'image\/webp'$/
    )
    assert.match(String(claude("image/png", png, "url")), /Input tag 'url'/)
    const document = (media_type: string) =>
      refusal(
        haiku,
        blocks({ type: "document", source: { type: "base64", media_type, data: pdf } }, { type: "text", text: "x" })
      )
    assert.isUndefined(document("application/pdf"))
    assert.match(String(document("application/docx")), /Input should be 'application\/pdf'$/)
  })

  it("are refused by models that do not take them", () => {
    for (const model of [micro, oss, "meta.llama3-3-70b-instruct-v1:0", "deepseek.v3.2"]) {
      assert.match(String(talk(model, image("png", { bytes: png }))), /doesn't support the image content block/, model)
    }
    const video = native([{ video: { format: "mp4", source: { bytes: mp3 } } }, { text: "x" }])
    assert.isUndefined(talk(nova, video))
    assert.match(String(talk(haiku, video)), /video content block/)
    const audio = native([{ audio: { format: "mp3", source: { bytes: mp3 } } }, { text: "x" }])
    assert.isUndefined(talk("mistral.voxtral-small-24b-2507", audio))
    assert.match(String(talk(haiku, audio)), /audio content block/)
    const url = (url: string) => ({
      messages: [{ role: "user", content: [{ type: "image_url", image_url: { url } }] }]
    })
    assert.isUndefined(refusal(gemma, url(`data:image/png;base64,${png}`)))
    assert.isDefined(refusal(oss, url(`data:image/png;base64,${png}`)))
    assert.isDefined(refusal(gemma, url("https://example.com/a.png")))
    assert.isDefined(refusal(gemma, url(`data:image/png;base64,${jpeg}`)))
    assert.match(
      String(refusal("meta.llama3-1-8b-instruct-v1:0", { prompt: "x", images: [png] })),
      /extraneous key \[images\]/
    )
    assert.isDefined(refusal("us.meta.llama4-scout-17b-instruct-v1:0", { prompt: "x", images: ["?"] }))
  })

  it("in S3 must be in the folder that is the job's input, and only Nova takes them from there", () => {
    for (const ask of [talk, refusal]) {
      const at = (inputUri: string) => ask(nova, inS3("s3://bucket/in/media/a.png"), { inputUri })
      assert.isUndefined(ask(nova, inS3("s3://bucket/in/media/a.png")))
      assert.isUndefined(at("s3://bucket/in/"))
      assert.isUndefined(at("s3://bucket/in"))
      assert.match(String(at("s3://bucket/other/")), /must be in the folder/)
      assert.match(String(at("s3://bucket/i")), /must be in the folder/)
      assert.match(String(at("s3://bucket/in/records.jsonl")), /not a single JSONL file/)
      assert.isDefined(ask(nova, inS3("https://bucket/a.png")))
    }
    assert.match(String(talk(haiku, inS3("s3://bucket/a.png"))), /doesn't support the s3Location/)
  })

  it("of Converse: documents have a name and a text beside them, and only the user sends media", () => {
    const document = (name: unknown, more: Body = {}) => ({
      document: { format: "pdf", name, source: { bytes: pdf }, ...more }
    })
    assert.isUndefined(talk(haiku, native([document("A contract (1)"), { text: "x" }])))
    assert.match(String(talk(haiku, native([document("a.pdf"), { text: "x" }]))), /alphanumeric/)
    assert.match(String(talk(haiku, native([document(undefined), { text: "x" }]))), /name/)
    assert.match(String(talk(haiku, native([document("A contract")]))), /text block must be included/)
    assert.match(
      String(talk(haiku, native([document("A contract", { format: "ppt" }), { text: "x" }]))),
      /enum value set/
    )
    const six = Array.from({ length: 6 }, (_, i) => document(`Contract ${i}`))
    assert.match(String(talk(haiku, native([...six, { text: "x" }]))), /up to 5 documents/)
    const answer = { role: "assistant", content: [{ image: { format: "png", source: { bytes: png } } }] }
    assert.match(String(talk(haiku, { messages: [...native().messages, answer] })), /messages of the user alone/)
    assert.match(
      String(talk(haiku, native([{ text: "x", image: { format: "png", source: { bytes: png } } }]))),
      /exactly one/
    )
    assert.match(String(talk(haiku, native([{ text: "" }]))), /blank/)
  })
})

it("Converse in a batch knows no tools, guardrails or cache points, and passes over a service tier", () => {
  const more = (fields: Body) => talk(haiku, { ...converse("x"), ...fields })
  assert.strictEqual(more({ toolConfig: {} }), "Tool use is not supported for batch inference Converse requests.")
  assert.match(String(more({ guardrailConfig: { guardrailIdentifier: "g" } })), /Guardrails/)
  assert.match(String(more({ system: [{ text: "x" }, { cachePoint: { type: "default" } }] })), /caching/)
  assert.isUndefined(more({ serviceTier: { type: "default" }, requestMetadata: { a: "b" } }))
  assert.isUndefined(more({ toolConfig: null, guardrailConfig: null }))
  assert.strictEqual(more({ additionalModelRequestFields: { tok_k: 1 } }), "tok_k: Extra inputs are not permitted")
  assert.isDefined(more({ additionalModelRequestFields: "x" }))
  assert.isDefined(more({ additionalModelResponseFieldPaths: Array.from({ length: 11 }, () => "/a") }))
  assert.isDefined(more({ inferenceConfig: { stopSequences: [""] } }))
})

it("answers have a ceiling, which is not that of the model's card", () => {
  const ceilings = [[micro, 10_000], [nova2, 65_535], ["us.meta.llama3-3-70b-instruct-v1:0", 2048]] as const
  for (const [model, most] of ceilings) {
    assert.isUndefined(talk(model, { ...converse("x"), inferenceConfig: { maxTokens: most } }))
    assert.strictEqual(
      talk(model, { ...converse("x"), inferenceConfig: { maxTokens: most + 1 } }),
      `The maximum tokens you requested exceeds the model limit of ${most}. ` +
        `Try again with a maximum tokens value that is lower than ${most}.`
    )
  }
})

it("Nova refuses the names that other families have for things", () => {
  assert.match(String(refusal(nova, { ...native(), max_tokens: 5 })), /extraneous key \[max_tokens\]/)
  assert.match(
    String(refusal(nova, native([{ type: "text", text: "x" }]))),
    /#\/messages\/0\/content\/0: extraneous key \[type\]/
  )
  assert.match(String(refusal(nova, native([{ image_url: { url: "x" } }]))), /extraneous key \[image_url\]/)
  assert.match(
    String(refusal(nova, { ...native(), inferenceConfig: { max_tokens: 5 } })),
    /extraneous key \[max_tokens\]/
  )
  assert.match(
    String(refusal(nova, { ...native(), system: "x" })),
    /#\/system: expected type: JSONArray, found: String/
  )
  assert.match(String(refusal(nova, { ...native(), inferenceConfig: { topK: 500 } })), /not less or equal to 128/)
  assert.isUndefined(refusal(nova, { ...native(), inferenceConfig: { topK: 50 } }))
})

describe("embeddings", () => {
  it("of Titan refuse texts over the limits", () => {
    const titan = "amazon.titan-embed-text-v2:0"
    assert.match(String(refusal(titan, { inputText: "" })), /expected minLength: 1, actual: 0/)
    assert.isUndefined(refusal(titan, { inputText: "a".repeat(32_768) }))
    assert.match(
      String(refusal(titan, { inputText: "a".repeat(32_769) })),
      /Too many input tokens\. Max input tokens: 8192, request input token count: 8193/
    )
    assert.match(String(refusal(titan, { inputText: "a".repeat(50_001) })), /expected maxLength: 50000, actual: 50001/)
    assert.match(String(refusal(titan, { inputText: "a", embeddingTypes: ["int8"] })), /int8 is not a valid enum value/)
    assert.match(String(refusal(titan, { inputText: "a", texts: ["a"] })), /extraneous key \[texts\]/)
    const image = "amazon.titan-embed-image-v1"
    assert.isDefined(refusal(image, {}))
    assert.isDefined(refusal(image, { inputImage: "?" }))
    assert.isDefined(refusal(image, { inputText: "a".repeat(1025) }))
    assert.isDefined(refusal(image, { inputText: "a", embeddingConfig: { outputEmbeddingLength: 512 } }))
  })

  it("of Nova take exactly one content, of a known format", () => {
    const embed = (params: Body) =>
      refusal("amazon.nova-2-multimodal-embeddings-v1:0", {
        schemaVersion: "nova-multimodal-embed-v1",
        taskType: "SINGLE_EMBEDDING",
        singleEmbeddingParams: { embeddingPurpose: "GENERIC_INDEX", ...params }
      })
    const text = { truncationMode: "END", value: "a" }
    const bytes = { bytes: png }
    assert.isUndefined(embed({ text }))
    assert.isUndefined(embed({ image: { format: "png", source: bytes, detailLevel: "DOCUMENT_IMAGE" } }))
    assert.isUndefined(embed({ audio: { format: "mp3", source: bytes } }))
    for (const params of [
      {},
      { text, image: { format: "png", source: bytes } },
      { text: { value: "a" } },
      { text: { truncationMode: "NONE", value: "a".repeat(8193) } },
      { text: { truncationMode: "END", value: "" } },
      { text, embeddingDimension: 512 },
      { image: { format: "bmp", source: bytes } },
      { image: { format: "png", source: { bytes: "?" } } },
      { image: { format: "png", source: bytes, detailLevel: "FINE" } },
      { video: { format: "mp4", source: bytes } }
    ]) assert.isDefined(embed(params), JSON.stringify(params))
    assert.match(
      String(refusal("amazon.nova-2-multimodal-embeddings-v1:0", { taskType: "SEGMENTED_EMBEDDING" })),
      /SEGMENTED_EMBEDDING is not a valid enum value/
    )
  })
})
