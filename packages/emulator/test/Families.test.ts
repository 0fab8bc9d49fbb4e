import { assert, describe, it } from "@effect/vitest"
import { withNulls } from "../src/internal/families/Converse.ts"
import * as Responder from "../src/Responder.ts"
import { anthropic, converse, haiku } from "./Fixture.ts"
import { jpeg, mp3, pdf, png } from "./media.ts"

type Kind = "InvokeModel" | "Converse"
const ask = (modelId: string, modelInput: Record<string, unknown>, modelInvocationType: Kind = "InvokeModel"): any =>
  Responder.standard({ modelId, modelInvocationType, recordId: "r", modelInput })
const talk = (modelId: string, modelInput: Record<string, unknown>) => ask(modelId, modelInput, "Converse")

const opus5 = "us.anthropic.claude-opus-5"
const nova2 = "us.amazon.nova-2-lite-v1:0"
const oss = "openai.gpt-oss-20b-1:0"
const kimi = "moonshot.kimi-k2-thinking"
const question = "What is up?"
const text = "Answer 5a802b86 to: What is up?"
const thought = "The question is 5a802b86, and its answer is short."
const chat = { messages: [{ role: "user", content: question }] }
const novaBody = { messages: [{ role: "user", content: [{ text: question }] }] }
const verdict = {
  type: "object",
  properties: { good: { type: "boolean" }, note: { type: "string" } },
  required: ["good", "note"],
  additionalProperties: false
}
const isVerdict = (value: any) =>
  typeof value.good === "boolean" && typeof value.note === "string" && Object.keys(value).length === 2

describe("the answer of a family, to the letter", () => {
  it("Anthropic Messages", () => {
    assert.deepStrictEqual(ask(haiku, { ...anthropic(question), system: "Be brief." }), {
      id: "msg_bdrk_dd82fcagj1oxbugyqarzru2m",
      type: "message",
      role: "assistant",
      model: "anthropic.claude-haiku-4-5-20251001-v1:0",
      content: [{ type: "text", text }],
      stop_reason: "end_turn",
      stop_sequence: null,
      usage: { input_tokens: 5, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 8 }
    })
  })

  it("Anthropic Messages with thinking: a signed block before the text", () => {
    const thinking = { type: "enabled", budget_tokens: 1024 }
    const { content, usage } = ask(haiku, { ...anthropic(question), max_tokens: 2000, thinking })
    assert.deepStrictEqual(content.map(({ type }: any) => type), ["thinking", "text"])
    assert.strictEqual(content[0].thinking, thought)
    assert.match(content[0].signature, /^[A-Za-z0-9+/]+$/)
    assert.strictEqual(content[1].text, text)
    assert.strictEqual(usage.output_tokens, 21)
  })

  it("Claude Opus 5 thinks unless it is told not to", () => {
    assert.strictEqual(ask(opus5, anthropic(question)).content[0].type, "thinking")
    const silent = ask(opus5, { ...anthropic(question), thinking: { type: "disabled" } })
    assert.deepStrictEqual(silent.content, [{ type: "text", text }])
    const { content } = talk(opus5, converse(question)).output.message
    assert.deepStrictEqual(Object.keys(content[0]), ["reasoningContent"])
    assert.strictEqual(content[1].text, text)
  })

  it("Anthropic Messages with a tool that must be called", () => {
    const tools = [{ name: "other", input_schema: { type: "object" } }, { name: "verdict", input_schema: verdict }]
    const forced = { ...anthropic(question), tools, tool_choice: { type: "tool", name: "verdict" } }
    const { content, stop_reason } = ask(haiku, forced)
    assert.strictEqual(stop_reason, "tool_use")
    assert.lengthOf(content, 1)
    assert.deepInclude(content[0], { type: "tool_use", name: "verdict" })
    assert.match(content[0].id, /^toolu_bdrk_/)
    assert.isTrue(isVerdict(content[0].input))
    const cut = ask(haiku, { ...forced, max_tokens: 1 })
    assert.deepInclude(cut, { stop_reason: "max_tokens" })
    assert.deepStrictEqual(cut.content[0].input, {})
    assert.strictEqual(ask(haiku, { ...anthropic(question), tools }).content[0].text, text)
  })

  it("Converse, and with its absent members as null, those of reasoningContent too", () => {
    const answer = talk(haiku, { ...converse(question), additionalModelRequestFields: { top_k: 5 } })
    assert.deepStrictEqual(answer, {
      output: { message: { role: "assistant", content: [{ text }] } },
      stopReason: "end_turn",
      usage: { inputTokens: 3, outputTokens: 8, totalTokens: 11, cacheReadInputTokens: 0, cacheWriteInputTokens: 0 },
      metrics: { latencyMs: 280 }
    })
    const filled: any = withNulls(talk(oss, converse(question)))
    assert.deepStrictEqual(filled.output.message.content, [
      {
        text: null,
        image: null,
        document: null,
        video: null,
        audio: null,
        toolUse: null,
        toolResult: null,
        guardContent: null,
        cachePoint: null,
        reasoningContent: { reasoningText: { text: thought }, redactedContent: null },
        citationsContent: null,
        searchResult: null
      },
      {
        text,
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
        searchResult: null
      }
    ])
  })

  it("Nova, whose cache counts have names of their own", () => {
    assert.deepStrictEqual(ask("amazon.nova-pro-v1:0", { ...novaBody, schemaVersion: "messages-v1" }), {
      output: { message: { role: "assistant", content: [{ text }] } },
      stopReason: "end_turn",
      usage: {
        inputTokens: 3,
        outputTokens: 8,
        totalTokens: 11,
        cacheReadInputTokenCount: 0,
        cacheWriteInputTokenCount: 0
      }
    })
  })

  it("Nova 2 with reasoning, which it does not show", () => {
    const reasoningConfig = { type: "enabled", maxReasoningEffort: "low" }
    const expected = [{ reasoningContent: { reasoningText: { text: "[REDACTED]" } } }, { text }]
    for (const answer of [
      ask(nova2, { ...novaBody, reasoningConfig }),
      ask(nova2, { ...novaBody, inferenceConfig: { reasoningConfig } }),
      talk(nova2, { ...converse(question), additionalModelRequestFields: { reasoningConfig } })
    ]) {
      assert.deepStrictEqual(answer.output.message.content, expected)
      assert.strictEqual(answer.usage.outputTokens, 21)
    }
    assert.lengthOf(ask("amazon.nova-lite-v1:0", novaBody).output.message.content, 1)
  })

  it("Nova with a tool that must be called", () => {
    const tools = [{ toolSpec: { name: "verdict", inputSchema: { json: verdict } } }]
    const answer = ask(nova2, { ...novaBody, toolConfig: { tools, toolChoice: { tool: { name: "verdict" } } } })
    assert.strictEqual(answer.stopReason, "tool_use")
    const [{ toolUse }] = answer.output.message.content
    assert.deepStrictEqual(Object.keys(toolUse), ["toolUseId", "name", "input"])
    assert.isTrue(isVerdict(toolUse.input))
    assert.strictEqual(ask(nova2, { ...novaBody, toolConfig: { tools } }).stopReason, "end_turn")
  })

  it("Llama", () => {
    assert.deepStrictEqual(ask("meta.llama3-1-8b-instruct-v1:0", { prompt: question }), {
      generation: text,
      prompt_token_count: 3,
      generation_token_count: 8,
      stop_reason: "stop"
    })
    const scout = "us.meta.llama4-scout-17b-instruct-v1:0"
    const [one, other] = [png, jpeg].map((image) => ask(scout, { prompt: question, images: [image] }).generation)
    assert.notStrictEqual(one, other)
  })

  it("Mistral, text and chat", () => {
    assert.deepStrictEqual(ask("mistral.mistral-small-2402-v1:0", { prompt: question }), {
      outputs: [{ text, stop_reason: "stop" }]
    })
    const large = "mistral.mistral-large-2407-v1:0"
    assert.deepStrictEqual(ask(large, chat), {
      choices: [{ index: 0, message: { role: "assistant", content: text }, stop_reason: "stop" }]
    })
    const tools = [{ type: "function", function: { name: "verdict", parameters: verdict } }]
    const [choice] = ask(large, { ...chat, tools, tool_choice: "any" }).choices
    assert.strictEqual(choice.stop_reason, "tool_calls")
    assert.isTrue(isVerdict(JSON.parse(choice.message.tool_calls[0].function.arguments)))
  })

  it("OpenAI's chat completions", () => {
    assert.deepStrictEqual(ask("qwen.qwen3-32b-v1:0", { ...chat, max_completion_tokens: 100 }), {
      id: "chatcmpl-dd82fcagj1oxbugyqarzru2m",
      object: "chat.completion",
      created: 1767225600,
      model: "qwen.qwen3-32b-v1:0",
      choices: [{ index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }],
      usage: { prompt_tokens: 3, completion_tokens: 8, total_tokens: 11 }
    })
  })

  it("gpt-oss, whose reasoning stands before the answer and takes tokens from it", () => {
    const { choices, usage } = ask(oss, { ...chat, reasoning_effort: "high" })
    assert.strictEqual(choices[0].message.content, `<reasoning>${thought}</reasoning>${text}`)
    assert.strictEqual(usage.completion_tokens, 21)
    const cut = ask(oss, { ...chat, max_completion_tokens: 13 })
    assert.strictEqual(cut.choices[0].message.content, `<reasoning>${thought}</reasoning>`)
    assert.deepInclude(cut.choices[0], { finish_reason: "length" })
    assert.strictEqual(cut.usage.completion_tokens, 13)
    const apart = ask(kimi, chat).choices[0].message
    assert.deepStrictEqual(apart, { role: "assistant", content: text, reasoning_content: thought })
  })

  it("OpenAI's tools and response formats", () => {
    const tools = [{ type: "function", function: { name: "verdict", parameters: verdict } }]
    for (const tool_choice of ["required", { type: "function", function: { name: "verdict" } }]) {
      const [choice] = ask("qwen.qwen3-32b-v1:0", { ...chat, tools, tool_choice }).choices
      assert.strictEqual(choice.finish_reason, "tool_calls")
      assert.isNull(choice.message.content)
      assert.isTrue(isVerdict(JSON.parse(choice.message.tool_calls[0].function.arguments)))
    }
    const response_format = { type: "json_schema", json_schema: { name: "verdict", schema: verdict, strict: true } }
    const [choice] = ask("qwen.qwen3-32b-v1:0", { ...chat, response_format }).choices
    assert.isTrue(isVerdict(JSON.parse(choice.message.content)))
    const [free] = ask("qwen.qwen3-32b-v1:0", { ...chat, response_format: { type: "json_object" } }).choices
    assert.isObject(JSON.parse(free.message.content))
  })

  it("Titan's embeddings", () => {
    const titan = "amazon.titan-embed-text-v2:0"
    const both = ask(titan, { inputText: question, embeddingTypes: ["float", "binary"], dimensions: 256 })
    assert.deepStrictEqual(Object.keys(both), ["embedding", "embeddingsByType", "inputTextTokenCount"])
    assert.deepStrictEqual(Object.keys(both.embeddingsByType), ["float", "binary"])
    assert.deepStrictEqual(both.embeddingsByType.binary, both.embedding.map((value: number) => value > 0 ? 1 : 0))
    const bits = ask(titan, { inputText: question, embeddingTypes: ["binary"], dimensions: 256 })
    assert.deepStrictEqual(Object.keys(bits), ["embeddingsByType", "inputTextTokenCount"])
    assert.deepStrictEqual(bits.embeddingsByType.binary, both.embeddingsByType.binary)
    const image = "amazon.titan-embed-image-v1"
    const seen = ask(image, { inputImage: png, embeddingConfig: { outputEmbeddingLength: 256 } })
    assert.deepStrictEqual(Object.keys(seen), ["embedding", "inputTextTokenCount", "message"])
    assert.deepInclude(seen, { inputTextTokenCount: 0, message: null })
    assert.notDeepEqual(
      ask(image, { inputText: question, inputImage: png }).embedding,
      ask(image, { inputText: question }).embedding
    )
  })

  it("Nova's embeddings: two for a video whose sound is embedded apart, and what was cut off a text", () => {
    const model = "amazon.nova-2-multimodal-embeddings-v1:0"
    const embed = (params: Record<string, unknown>) =>
      ask(model, {
        taskType: "SINGLE_EMBEDDING",
        singleEmbeddingParams: { embeddingPurpose: "GENERIC_INDEX", embeddingDimension: 256, ...params }
      })
    const video = { format: "mp4", source: { bytes: mp3 } }
    const apart = embed({ video: { ...video, embeddingMode: "AUDIO_VIDEO_SEPARATE" } }).embeddings
    assert.deepStrictEqual(apart.map((one: any) => [one.embeddingType, one.embedding.length]), [
      ["VIDEO", 256],
      ["AUDIO", 256]
    ])
    assert.notDeepEqual(apart[0].embedding, apart[1].embedding)
    const combined = embed({ video: { ...video, embeddingMode: "AUDIO_VIDEO_COMBINED" } }).embeddings
    assert.deepStrictEqual(combined.map((one: any) => one.embeddingType), ["AUDIO_VIDEO_COMBINED"])
    const long = `${"a".repeat(8192)}b`
    const [end] = embed({ text: { truncationMode: "END", value: long } }).embeddings
    assert.deepStrictEqual(Object.keys(end), ["embeddingType", "embedding", "truncatedCharLength"])
    assert.strictEqual(end.truncatedCharLength, 8192)
    const [start] = embed({ text: { truncationMode: "START", value: long } }).embeddings
    assert.notDeepEqual(end.embedding, start.embedding)
    const [whole] = embed({ text: { truncationMode: "NONE", value: "a" } }).embeddings
    assert.deepStrictEqual(Object.keys(whole), ["embeddingType", "embedding"])
  })

  it("media, on which the answer depends", () => {
    const claude = (data: string) => ({
      ...anthropic(question),
      messages: [{
        role: "user",
        content: [
          { type: "image", source: { type: "base64", media_type: data === png ? "image/png" : "image/jpeg", data } },
          { type: "text", text: question }
        ]
      }]
    })
    const answers = [png, jpeg].map((data) => ask(haiku, claude(data)))
    assert.notStrictEqual(answers[0].content[0].text, answers[1].content[0].text)
    assert.strictEqual(answers[0].usage.input_tokens, 503)
    const document = { document: { format: "pdf", name: "A contract", source: { bytes: pdf } } }
    const read = talk(haiku, { messages: [{ role: "user", content: [document, { text: question }] }] })
    assert.match(read.output.message.content[0].text, /to: What is up\?$/)
    const seen = ask("google.gemma-3-4b-it", {
      messages: [{
        role: "user",
        content: [
          { type: "text", text: question },
          { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } }
        ]
      }]
    })
    assert.match(seen.choices[0].message.content, /to: What is up\?$/)
    const heard = ask("mistral.voxtral-mini-3b-2507", {
      messages: [{
        role: "user",
        content: [{ type: "input_audio", input_audio: { data: mp3, format: "mp3" } }, { type: "text", text: question }]
      }]
    })
    assert.notStrictEqual(heard.choices[0].message.content, seen.choices[0].message.content)
  })

  it("JSON where the prompt asks for a JSON Schema, inside a template too", () => {
    const told = `Rate it.\n\nThe object must match this JSON Schema:\n${JSON.stringify(verdict)}`
    assert.isTrue(isVerdict(JSON.parse(talk(haiku, converse(told)).output.message.content[0].text)))
    const templated = `<|begin_of_text|>${told}<|eot_id|><|start_header_id|>assistant<|end_header_id|>`
    const { generation } = ask("meta.llama3-1-8b-instruct-v1:0", { prompt: templated })
    assert.isTrue(isVerdict(JSON.parse(generation)))
    assert.match(talk(haiku, converse("What is a JSON Schema: {?")).output.message.content[0].text, /^Answer/)
  })

  it("ends before a stop sequence", () => {
    const claude = ask(haiku, { ...anthropic(question), stop_sequences: ["is", " to:"] })
    assert.deepInclude(claude, { stop_reason: "stop_sequence", stop_sequence: " to:" })
    assert.strictEqual(claude.content[0].text, "Answer 5a802b86")
    const inferenceConfig = { stopSequences: [" to:"] }
    assert.strictEqual(talk(haiku, { ...converse(question), inferenceConfig }).stopReason, "stop_sequence")
    assert.strictEqual(
      ask("qwen.qwen3-32b-v1:0", { ...chat, stop: " to:" }).choices[0].message.content,
      "Answer 5a802b86"
    )
  })
})
