import { assert, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Chance from "../src/Chance.ts"
import { withNulls } from "../src/internal/families/Converse.ts"
import * as Responder from "../src/Responder.ts"
import * as SampleJson from "../src/SampleJson.ts"
import { anthropic, converse, haiku } from "./Fixture.ts"

type Kind = "InvokeModel" | "Converse"
const ask = (modelId: string, modelInput: Record<string, unknown>, modelInvocationType: Kind = "InvokeModel"): any =>
  Responder.standard({ modelId, modelInvocationType, recordId: "r", modelInput })
const refusal = (modelId: string, modelInput: Record<string, unknown>, type: Kind = "InvokeModel") =>
  ask(modelId, modelInput, type).error?.errorMessage
const chat = { messages: [{ role: "user", content: "What is up?" }] }

it("answers each family in its own shape, and says which prompt it answers", () => {
  const claude = ask(haiku, anthropic("What is up?"))
  assert.match(claude.content[0].text, /^Answer [0-9a-f]{8} to: What is up\?$/)
  assert.deepInclude(claude, { type: "message", stop_reason: "end_turn" })
  assert.isTrue(claude.usage.output_tokens > 1)
  assert.deepStrictEqual(claude, ask(haiku, anthropic("What is up?")))
  const nova = ask("amazon.nova-pro-v1:0", { messages: [{ role: "user", content: [{ text: "What is up?" }] }] })
  assert.strictEqual(nova.output.message.content[0].text, claude.content[0].text)
  assert.strictEqual(nova.usage.totalTokens, nova.usage.inputTokens + nova.usage.outputTokens)
  assert.match(ask("meta.llama3-1-8b-instruct-v1:0", { prompt: "What is up?" }).generation, /What is up/)
  assert.match(ask("mistral.mistral-large-2407-v1:0", chat).choices[0].message.content, /What is up/)
  assert.strictEqual(ask("mistral.mistral-large-2407-v1:0", chat).choices[0].stop_reason, "stop")
  assert.match(ask("mistral.mistral-small-2402-v1:0", { prompt: "[INST] What [/INST]" }).outputs[0].text, /What/)
  const oss = ask("openai.gpt-oss-20b-1:0", chat)
  assert.match(oss.choices[0].message.content, /^<reasoning>.*<\/reasoning>Answer/)
  assert.strictEqual(oss.usage.total_tokens, oss.usage.prompt_tokens + oss.usage.completion_tokens)
  assert.strictEqual(ask("qwen.qwen3-32b-v1:0", chat).choices[0].finish_reason, "stop")
  const profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
  assert.strictEqual(ask(profile, anthropic("hi")).type, "message")
})

it("cuts the text at the token limit and says so", () => {
  const cut = ask(haiku, { ...anthropic("a long question"), max_tokens: 2 })
  assert.strictEqual(cut.stop_reason, "max_tokens")
  assert.strictEqual(cut.usage.output_tokens, 2)
  assert.strictEqual(
    ask(haiku, { ...converse("a long question"), inferenceConfig: { maxTokens: 1 } }, "Converse").stopReason,
    "max_tokens"
  )
  assert.strictEqual(ask("meta.llama3-1-8b-instruct-v1:0", { prompt: "p", max_gen_len: 1 }).stop_reason, "length")
})

it("embeds texts as unit vectors of the asked dimensions", () => {
  const titan = "amazon.titan-embed-text-v2:0"
  const length = (vector: ReadonlyArray<number>) => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0))
  const plain = ask(titan, { inputText: "hello" })
  assert.strictEqual(plain.embedding.length, 1024)
  assert.closeTo(length(plain.embedding), 1, 1e-6)
  assert.deepStrictEqual(plain.embeddingsByType.float, plain.embedding)
  assert.notDeepEqual(ask(titan, { inputText: "bye" }).embedding, plain.embedding)
  const loose = ask(titan, { inputText: "hello", dimensions: 256, normalize: false })
  assert.strictEqual(loose.embedding.length, 256)
  assert.isTrue(length(loose.embedding) > 2)
  const binary = ask(titan, { inputText: "hello", embeddingTypes: ["binary"] })
  assert.isUndefined(binary.embedding)
  assert.isTrue(binary.embeddingsByType.binary.every((bit: number) => bit === 0 || bit === 1))
  const image = ask("amazon.titan-embed-image-v1", { inputText: "a", embeddingConfig: { outputEmbeddingLength: 384 } })
  assert.strictEqual(image.embedding.length, 384)
  assert.isNull(image.message)
  const nova = ask("amazon.nova-2-multimodal-embeddings-v1:0", {
    taskType: "SINGLE_EMBEDDING",
    singleEmbeddingParams: { embeddingPurpose: "GENERIC_INDEX", text: { truncationMode: "END", value: "a" } }
  })
  assert.deepStrictEqual(nova.embeddings.map((one: any) => [one.embeddingType, one.embedding.length]), [["TEXT", 3072]])
})

it("refuses wrong bodies in the provider's words", () => {
  const { anthropic_version: _, ...versionless } = anthropic("x")
  assert.strictEqual(refusal(haiku, versionless), "anthropic_version: Field required")
  assert.strictEqual(refusal(haiku, { ...anthropic("x"), messages: undefined }), "messages: Field required")
  assert.strictEqual(
    refusal(haiku, { ...anthropic("x"), max_tokens: "100" }),
    "max_tokens: Input should be a valid integer"
  )
  assert.strictEqual(refusal(haiku, { ...anthropic("x"), model: haiku }), "model: Extra inputs are not permitted")
  assert.match(refusal(haiku, { ...anthropic("x"), temperature: 1, top_p: 1 }), /cannot both be specified/)
  assert.strictEqual(refusal(haiku, converse("x")), "anthropic_version: Field required")
  const nova = "us.amazon.nova-micro-v1:0"
  assert.match(refusal(nova, {}), /required key \[messages\] not found/)
  assert.match(
    refusal(nova, { messages: [{ role: "user", content: [{ text: "x" }] }], max_tokens: 5 }),
    /extraneous key \[max_tokens\]/
  )
  assert.match(
    refusal(nova, { messages: [{ role: "user", content: [{ text: "x" }] }], inferenceConfig: { maxTokens: 20_000 } }),
    /model limit of 10000/
  )
  assert.match(refusal("meta.llama3-1-8b-instruct-v1:0", chat), /required key \[prompt\] not found/)
  assert.match(refusal("amazon.titan-embed-text-v2:0", {}), /required key \[inputText\] not found/)
  assert.match(
    refusal("amazon.titan-embed-text-v2:0", { inputText: "a", dimensions: 300 }),
    /300 is not a valid enum value/
  )
  assert.match(refusal("qwen.qwen3-32b-v1:0", { ...chat, stream: true }), /Streaming/)
  const scout = "us.meta.llama4-scout-17b-instruct-v1:0"
  assert.isUndefined(refusal(scout, { prompt: "p", max_gen_len: 8192 }))
  assert.match(refusal(scout, { prompt: "p", max_gen_len: 8193 }), /model limit of 8192/)
  assert.match(refusal("meta.llama3-1-8b-instruct-v1:0", { prompt: "p", max_gen_len: 2049 }), /model limit of 2048/)
  assert.isUndefined(refusal("openai.gpt-oss-20b-1:0", { ...chat, model: "openai.gpt-oss-20b-1:0" }))
  assert.match(refusal("openai.gpt-oss-20b-1:0", { ...chat, model: "openai.gpt-oss-120b-1:0" }), /not the model/)
  const embedding = (params: unknown) =>
    refusal("amazon.nova-2-multimodal-embeddings-v1:0", {
      taskType: "SINGLE_EMBEDDING",
      singleEmbeddingParams: params
    })
  assert.match(embedding({ text: { truncationMode: "END", value: "a" } }), /required key \[embeddingPurpose\]/)
  assert.match(embedding({ embeddingPurpose: "ANY", text: {} }), /not a valid enum value/)
})

it("refuses the sampling that a Claude model does not take, in its own body and in Converse", () => {
  const opus = "us.anthropic.claude-opus-5"
  const both = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
  const native = (model: string, more: Record<string, unknown>) => refusal(model, { ...anthropic("x"), ...more })
  const talk = (model: string, inferenceConfig: Record<string, unknown>) =>
    refusal(model, { ...converse("x"), inferenceConfig }, "Converse")
  assert.isUndefined(native(haiku, { temperature: 0.5 }))
  assert.strictEqual(talk(haiku, { temperature: 0.5, topP: 0.5 }), both)
  assert.isUndefined(talk(haiku, { topP: 0.5 }))
  assert.isUndefined(talk("anthropic.claude-3-haiku-20240307-v1:0", { temperature: 0.5, topP: 0.5 }))
  assert.isUndefined(native("us.anthropic.claude-sonnet-4-20250514-v1:0", { temperature: 0.5, top_p: 0.5 }))
  assert.strictEqual(native(opus, { temperature: 0.5 }), "`temperature` is deprecated for this model.")
  assert.strictEqual(talk(opus, { topP: 0.5 }), "`top_p` is deprecated for this model.")
  assert.isUndefined(talk(opus, { temperature: 1 }))
})

it("refuses in Converse what a batch does not know", () => {
  const talk = (more: Record<string, unknown>) => refusal(haiku, { ...converse("x"), ...more }, "Converse")
  assert.isUndefined(talk({}))
  assert.strictEqual(
    talk({ toolConfig: { tools: [] } }),
    "Tool use is not supported for batch inference Converse requests."
  )
  assert.match(talk({ inferenceConfig: { maxTokens: "100" } }), /maxTokens/)
  assert.match(talk({ inferenceConfig: { temperature: 2 } }), /temperature/)
  assert.match(talk({ messages: [{ role: "user", content: "x" }] }), /content blocks/)
  assert.match(talk({ messages: [{ role: "user", content: [{ type: "text", text: "x" }] }] }), /exactly one/)
  assert.match(talk({ messages: [{ role: "user", content: [{ cachePoint: { type: "default" } }] }] }), /caching/)
  assert.match(talk({ messages: undefined }), /messages/)
  assert.match(refusal("amazon.titan-embed-text-v2:0", converse("x"), "Converse"), /doesn't support the model/)
})

it("gives JSON where a schema is asked for", () => {
  const Verdict = Schema.Struct({
    label: Schema.Literals(["good", "bad"]),
    score: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })),
    tags: Schema.Array(Schema.String),
    count: Schema.Int,
    note: Schema.NullOr(Schema.String)
  })
  const { definitions, schema } = Schema.toJsonSchemaDocument(Verdict)
  const root = { ...schema, $defs: definitions }
  for (let seed = 0; seed < 50; seed++) {
    const value = SampleJson.make(root, Chance.make(String(seed)))
    assert.isTrue(Schema.is(Verdict)(value), JSON.stringify(value))
  }
  const structured = {
    ...converse("rate this"),
    inferenceConfig: { maxTokens: 1000 },
    outputConfig: {
      textFormat: { type: "json_schema", structure: { jsonSchema: { name: "v", schema: JSON.stringify(root) } } }
    }
  }
  const answer = ask("qwen.qwen3-32b-v1:0", structured, "Converse")
  assert.isTrue(Schema.is(Verdict)(JSON.parse(answer.output.message.content[0].text)))
  const recursive = { $ref: "#/$defs/n", $defs: { n: { type: "object", properties: { next: { $ref: "#/$defs/n" } } } } }
  assert.isObject(SampleJson.make(recursive, Chance.make("a")))
  const { schema: digits } = Schema.toJsonSchemaDocument(Schema.BigInt)
  assert.strictEqual(typeof BigInt(String(SampleJson.make(digits, Chance.make("a")))), "bigint")
  assert.isString(SampleJson.make({ type: "string", pattern: "(" }, Chance.make("a")))
})

it("fills the absent members of content blocks with null, and leaves other shapes alone", () => {
  const filled: any = withNulls(ask(haiku, converse("x"), "Converse"))
  const block = filled.output.message.content[0]
  assert.isString(block.text)
  assert.isNull(block.reasoningContent)
  assert.deepStrictEqual(withNulls({ a: 1 }), { a: 1 })
})
