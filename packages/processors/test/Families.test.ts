import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import {
  AnthropicMessages,
  Catalogue,
  Converse,
  Families,
  Llama,
  MistralChat,
  MistralText,
  Models,
  Nova,
  NovaMultimodalEmbeddings,
  OpenAiChat,
  Raw,
  TitanMultimodalEmbeddings,
  TitanTextEmbeddings
} from "../src/index.ts"

const account = "arn:aws:bedrock:us-east-1:123456789012"
const idOf = (model: string): string => Result.getOrThrow(Families.forModel(model)).id
/** The processors of the embedding models. */
const embeddings: { readonly [id: string]: string } = {
  "amazon.titan-embed-text-v2:0": "titan-text-embeddings/1",
  "amazon.titan-embed-image-v1": "titan-multimodal-embeddings/1",
  "amazon.nova-2-multimodal-embeddings-v1:0": "nova-multimodal-embeddings/1"
}
const failure = (model: string): Families.UnknownModel => Result.getOrThrow(Result.flip(Families.forModel(model)))

describe("forModel", () => {
  it("has a processor for every known model", () => {
    for (const id of Models.known) {
      assert.strictEqual(idOf(id), embeddings[id] ?? "converse/1", id)
    }
  })

  it("knows the provider of every known model", () => {
    assert.deepStrictEqual(Models.known.filter((id) => !Models.providers.has(id.slice(0, id.indexOf(".")))), [])
  })

  it.each([
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "anthropic.claude-opus-9",
    "anthropic.claude-sonnet-5-5",
    "global.amazon.nova-3-pro-v1:0",
    "meta.llama5-8b-instruct-v1:0",
    "mistral.pixtral-large-2502-v1:0",
    "writer.palmyra-vision-7b",
    "zai.glm-5",
    "arn:aws:bedrock:us-east-1::foundation-model/openai.gpt-oss-20b-1:0",
    `${account}:inference-profile/us.deepseek.v3.2`
  ])("%s is asked through Converse", (model) => {
    assert.strictEqual(Result.getOrThrow(Families.forModel(model)), Converse.converse)
  })

  it.each(Object.entries(embeddings))("%s is asked as an embedding model, by its ARN, too", (model, id) => {
    for (const name of [model, `arn:aws:bedrock:us-east-1::foundation-model/${model}`]) {
      assert.deepInclude(Result.getOrThrow(Families.forModel(name)), { accepts: "embed", id })
    }
  })

  it.each([
    "us.amazon.nova-3-omni-embeddings-v1:0",
    "mistral.mistral-embed-2",
    "qwen.qwen3-embedding-8b",
    "qwen.qwen-image",
    "google.embeddinggemma-300m",
    "anthropic.claude-video-1",
    "amazon.rerank-v1:0"
  ])("%s is not asked as a text model", (model) => {
    assert.deepInclude(failure(model), { model, problem: "no-processor" })
  })

  it.each([
    "cohere.embed-v4:0",
    "cohere.command-r-plus-v1:0",
    "ai21.jamba-1-5-large-v1:0",
    "stability.sd3-5-large-v1:0",
    "amazon.titan-embed-text-v1",
    "amazon.titan-text-express-v1",
    "amazon.nova-canvas-v1:0",
    "amazon.nova-2-sonic-v1:0",
    "anthropic.claude-opus-4-7",
    "us.anthropic.claude-opus-4-8-v1:0",
    "global.anthropic.claude-sonnet-5",
    "anthropic.claude-fable-5-1-20260801-v1:0",
    "openai.gpt-5.6-sol",
    "moonshotai.kimi-k3",
    "writer.palmyra-x5-v1:0"
  ])("%s is known not to be batch-capable", (model) => {
    const reason = failure(model)
    assert.deepInclude(reason, { model, problem: "not-batch-capable", near: [] })
    assert.include(reason.message, "not known to take")
    assert.include(reason.message, "pass a `processor`")
  })

  it("lists known ids that are close to an unknown one, and says what to do", () => {
    const reason = failure("antropic.claude-opus-5")
    assert.strictEqual(reason.problem, "unknown")
    assert.strictEqual(reason.near[0], "anthropic.claude-opus-5")
    assert.isAtMost(reason.near.length, 3)
    assert.strictEqual(
      reason.message,
      `the model antropic.claude-opus-5 is not known. Known ids that are close: ${reason.near.join(", ")}. ` +
        "To use it all the same, pass a `processor` for it to `prepare`, for a text model for example " +
        "`Converse.converse`."
    )
    assert.deepInclude(failure("something.else-entirely-9"), { problem: "unknown", near: [] })
  })

  it.each([
    " us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "anthropic.claude-haiku-4-5-20251001-v1:0\n",
    "us.anthropic.claude haiku",
    "us.deepseek.v3.2",
    " amazon.titan-embed-text-v2:0"
  ])("%j is refused, for Bedrock takes no such name, with or without a processor", (model) => {
    const reason = failure(model)
    assert.strictEqual(reason.problem, "unknown")
    assert.include(reason.message, "that Bedrock takes")
    assert.notInclude(reason.message, "pass a `processor`")
  })

  it("does not guess what an application inference profile or a custom model is", () => {
    const reason = failure(`${account}:application-inference-profile/a1b2c3d4e5f6`)
    assert.strictEqual(reason.problem, "unresolved")
    assert.include(reason.message, "does not say which model it uses. To use it")
    assert.strictEqual(failure(`${account}:custom-model/meta.llama3-1-8b:0/abcdefghijkl`).problem, "unresolved")
    assert.strictEqual(failure("").problem, "unresolved")
  })
})

describe("native", () => {
  it.each([
    ["us.anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic-messages/1"],
    ["anthropic.claude-opus-9", "anthropic-messages/1"],
    ["amazon.nova-micro-v1:0", "nova/1"],
    ["us.amazon.nova-2-lite-v1:0", "nova/1"],
    ["global.amazon.nova-3-pro-v1:0", "nova/1"],
    ["us.meta.llama4-scout-17b-instruct-v1:0", "llama/1"],
    ["meta.llama5-8b-instruct-v1:0", "llama/1"],
    ["mistral.mistral-large-2407-v1:0", "mistral-chat/1"],
    ["mistral.mistral-small-2402-v1:0", "mistral-text/1"],
    ["mistral.mistral-large-3-675b-instruct", "openai-chat/1"],
    ["mistral.voxtral-mini-3b-2507", "openai-chat/1"],
    ["arn:aws:bedrock:us-east-1::foundation-model/openai.gpt-oss-20b-1:0", "openai-chat/1"],
    ["writer.palmyra-vision-7b", "openai-chat/1"],
    ["zai.glm-5", "openai-chat/1"],
    ...Object.entries(embeddings)
  ])("asks %s by %s", (model, id) => {
    assert.strictEqual(Result.getOrThrow(Families.native(model)).id, id)
  })

  it("has a processor for every known model, in its own format", () => {
    for (const id of Models.known) {
      const processor = Result.getOrThrow(Families.native(id))
      assert.strictEqual(processor.invocationType, "InvokeModel", id)
      assert.strictEqual(processor.id, `${Catalogue.find(id)!.family}/1`, id)
    }
  })

  it("fails where there is no processor of any kind", () => {
    for (const model of ["antropic.claude-opus-5", "cohere.embed-v4:0", "amazon.rerank-v1:0", ""]) {
      assert.deepStrictEqual(Result.getOrThrow(Result.flip(Families.native(model))), failure(model))
    }
  })
})

describe("forId", () => {
  it("finds every built-in processor by the id that a run stores", () => {
    const processors: ReadonlyArray<Families.BuiltIn> = [
      Converse.converse,
      AnthropicMessages.anthropicMessages,
      Nova.nova,
      Llama.llama,
      MistralChat.mistralChat,
      MistralText.mistralText,
      OpenAiChat.openAiChat,
      Raw.raw(),
      Raw.raw({ invocationType: "Converse" }),
      TitanTextEmbeddings.titanTextEmbeddings(),
      TitanTextEmbeddings.titanTextEmbeddings({ dimensions: 512 }),
      TitanTextEmbeddings.titanTextEmbeddings({ dimensions: 1024, normalize: false }),
      TitanTextEmbeddings.titanTextEmbeddings({ embeddingTypes: ["float"], truncate: "none" }),
      TitanTextEmbeddings.titanTextEmbeddings({ embeddingTypes: ["binary"], dimensions: 256, normalize: true }),
      TitanTextEmbeddings.titanTextEmbeddings({ embeddingTypes: ["float", "binary"], truncate: "end" }),
      TitanMultimodalEmbeddings.titanMultimodalEmbeddings(),
      TitanMultimodalEmbeddings.titanMultimodalEmbeddings({ dimensions: 384, truncate: "start" }),
      NovaMultimodalEmbeddings.novaMultimodalEmbeddings(),
      NovaMultimodalEmbeddings.novaMultimodalEmbeddings({ videoMode: "separate", dimensions: 3072 }),
      NovaMultimodalEmbeddings.novaMultimodalEmbeddings({
        purpose: "DOCUMENT_RETRIEVAL",
        truncate: "end",
        videoMode: "combined",
        detailLevel: "DOCUMENT_IMAGE"
      })
    ]
    for (const processor of processors) {
      const found = Families.forId(processor.id)
      assert.strictEqual(found, processor)
      assert.strictEqual(found?.id, processor.id)
      assert.deepStrictEqual(
        found?.encode({ type: "embed", text: "a", parameters: {} }),
        processor.encode({ type: "embed", text: "a", parameters: {} })
      )
    }
  })

  it("knows no other id", () => {
    assert.isUndefined(Families.forId("own/1"))
    for (
      const id of [
        "titan-text-embeddings/1?dimensions=300",
        "titan-text-embeddings/1?normalize=true&dimensions=256",
        "titan-text-embeddings/1?dimensions=256&dimensions=256",
        "titan-text-embeddings/1?",
        "titan-text-embeddings/1?dimensions=256&",
        "titan-text-embeddings/1?embeddingTypes=binary,float",
        "titan-text-embeddings/10",
        "titan-multimodal-embeddings/1?normalize=true",
        "nova-multimodal-embeddings/1?purpose=SEARCH",
        "nova-multimodal-embeddings/2"
      ]
    ) {
      assert.isUndefined(Families.forId(id), id)
    }
    assert.isUndefined(Families.forId("constructor"))
  })
})
