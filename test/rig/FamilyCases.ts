/**
 * Every family and form of answer, each as a run: what the run is told, what each row's request must be, and how its
 * answer is read by hand.
 */
import {
  AnthropicMessages,
  Converse,
  Families,
  Llama,
  Nova,
  NovaMultimodalEmbeddings,
  OpenAiChat,
  type Processor,
  StructuredOutput,
  TitanMultimodalEmbeddings,
  TitanTextEmbeddings
} from "@bedrock-batch/processors"
import { Prompt } from "@bedrock-batch/sdk"
import { Result, Schema } from "effect"
import { nasty } from "./Data.ts"
import * as Reading from "./FamilyReading.ts"

/** A row of the input. */
export interface Row {
  readonly id: number
  readonly topic: string
  /** A picture, in base64: the first bytes of a PNG file, different in each row. */
  readonly photo: string
  /** A sound, a video and a document, in base64. */
  readonly sound: string
  readonly film: string
  readonly paper: string
  /** Finished bodies, as JSON. */
  readonly native: string
  readonly spoken: string
}

const base64 = (start: ReadonlyArray<number> | string, id: number) =>
  Buffer.concat([Buffer.from(start as string), Buffer.from(` ${id}`)]).toString("base64")

const anthropicBody = (content: unknown, more: object = {}) => ({
  anthropic_version: "bedrock-2023-05-31",
  max_tokens: 1024,
  system: "Be brief.",
  messages: [{ role: "user", content }],
  ...more
})

const converseBody = (content: ReadonlyArray<unknown>, more: object = {}) => ({
  system: [{ text: "Be brief." }],
  messages: [{ role: "user", content }],
  inferenceConfig: { maxTokens: 1024 },
  ...more
})

/** Makes one row. */
export const rowOf = (id: number): Row => {
  const topic = `${nasty[id % nasty.length]} ${id}`
  return {
    id,
    topic,
    photo: base64([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], id),
    sound: base64("ID3", id),
    film: base64("\0\0\0\u0018ftypmp42", id),
    paper: base64("%PDF-1.7\n", id),
    native: JSON.stringify(anthropicBody(topic)),
    spoken: JSON.stringify(converseBody([{ text: topic }]))
  }
}

/** What a run is told besides its name and its source. */
export interface Told {
  readonly prompt?: Prompt.Any
  readonly embed?: "topic" | Prompt.Attachment | { readonly text: "topic"; readonly media: Prompt.Attachment }
  readonly body?: "native" | "spoken"
  readonly processor?: Processor.Processor<object>
  readonly output?: Schema.ConstraintDecoder<{}>
  readonly outputWay?: Processor.OutputWay
  readonly reasoning?: boolean
  readonly parameters?: Processor.ModelParameters
}

/** One run. */
export interface FamilyCase {
  readonly family: string
  readonly model: string
  readonly told: Told
  readonly invocationType: "InvokeModel" | "Converse"
  /** The request that a row must become, as far as its answer depends on it. */
  readonly body: (row: Row) => { readonly [key: string]: unknown }
  readonly read: (answer: any) => Reading.Read
}

const prompt = Prompt.make("What about {topic}?", { system: "Be brief." })
const ask = ({ topic }: Row) => `What about ${topic}?`
const seeing = Prompt.make("What about {topic}?", { system: "Be brief.", media: [Prompt.image("photo")] })
const hearing = Prompt.make("What about {topic}?", { system: "Be brief.", media: [Prompt.audio("sound")] })

const reading = Prompt.make("What about {topic}?", { system: "Be brief.", media: [Prompt.document("paper")] })

const haiku = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
const nova2 = "us.amazon.nova-2-lite-v1:0"
const oss = "openai.gpt-oss-20b-1:0"
const gemma = "google.gemma-3-4b-it"

const native = (model: string): Processor.Processor<object> => Result.getOrThrow(Families.native(model))

const asked = (row: Row) => [{ text: ask(row) }]
const inConverse: Omit<FamilyCase, "family" | "model"> = {
  told: { prompt },
  invocationType: "Converse",
  body: (row) => converseBody(asked(row)),
  read: Reading.converse
}
const own = (
  model: string,
  body: FamilyCase["body"],
  read: FamilyCase["read"],
  told: Told = { prompt }
): Omit<FamilyCase, "family"> => ({
  model,
  told: { processor: native(model), ...told },
  invocationType: "InvokeModel",
  body,
  read
})

const photoOf = ({ photo }: Row) => ({ image: { format: "png", source: { bytes: photo } } })
const thinking = { budgetTokens: 1024 }
const claudeThinking = { thinking: { type: "enabled", budget_tokens: 1024 } }

const chatBody = (content: unknown) => ({
  messages: [{ role: "system", content: "Be brief." }, { role: "user", content }],
  max_completion_tokens: 1024
})
const ownChat = (model: string, told?: Told) => own(model, (row) => chatBody(ask(row)), Reading.openai, told)

const llama3Prompt = (text: string) =>
  "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>" +
  `<|start_header_id|>user<|end_header_id|>\n\n${text}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n`
const llama4Prompt = (text: string) =>
  "<|begin_of_text|><|header_start|>system<|header_end|>\n\nBe brief.<|eot|>" +
  `<|header_start|>user<|header_end|>\n\n${text}<|eot|><|header_start|>assistant<|header_end|>\n\n`

const texts: ReadonlyArray<FamilyCase> = [
  { family: "converse", model: haiku, ...inConverse },
  {
    ...inConverse,
    family: "converse, thinking",
    model: haiku,
    told: { prompt, parameters: { thinking }, reasoning: true },
    body: (row) =>
      converseBody(asked(row), { inferenceConfig: { maxTokens: 2048 }, additionalModelRequestFields: claudeThinking })
  },
  {
    ...inConverse,
    family: "converse, effort",
    model: nova2,
    told: { prompt, parameters: { thinking: { effort: "medium" } }, reasoning: true },
    body: (row) =>
      converseBody(asked(row), {
        additionalModelRequestFields: { reasoningConfig: { type: "enabled", maxReasoningEffort: "medium" } }
      })
  },
  { ...inConverse, family: "converse, reasoning", model: oss, told: { prompt, reasoning: true } },
  {
    ...inConverse,
    family: "converse, image",
    model: "us.amazon.nova-lite-v1:0",
    told: { prompt: seeing },
    body: (row) => converseBody([photoOf(row), ...asked(row)])
  },
  {
    ...inConverse,
    family: "converse, document",
    model: "global.anthropic.claude-opus-5",
    told: { prompt: reading, reasoning: true },
    body: (row) =>
      converseBody([{ document: { format: "pdf", name: "document", source: { bytes: row.paper } } }, ...asked(row)])
  },
  {
    family: "anthropic-messages",
    ...own(haiku, (row) => anthropicBody(ask(row)), Reading.anthropic)
  },
  {
    family: "anthropic-messages, thinking",
    ...own(
      haiku,
      (row) => anthropicBody(ask(row), { max_tokens: 2048, ...claudeThinking }),
      Reading.anthropic,
      { prompt, parameters: { thinking }, reasoning: true }
    )
  },
  {
    family: "anthropic-messages, image",
    ...own(
      haiku,
      (row) =>
        anthropicBody([
          { type: "image", source: { type: "base64", media_type: "image/png", data: row.photo } },
          { type: "text", text: ask(row) }
        ]),
      Reading.anthropic,
      { prompt: seeing }
    )
  },
  { family: "nova", ...own("us.amazon.nova-micro-v1:0", (row) => converseBody(asked(row)), Reading.converse) },
  {
    family: "nova, effort",
    ...own(
      nova2,
      (row) =>
        converseBody(asked(row), {
          inferenceConfig: { reasoningConfig: { type: "enabled", maxReasoningEffort: "high" } }
        }),
      Reading.converse,
      { prompt, parameters: { thinking: { effort: "high" } }, reasoning: true }
    )
  },
  {
    family: "nova, image",
    ...own(
      "us.amazon.nova-lite-v1:0",
      (row) => converseBody([photoOf(row), ...asked(row)]),
      Reading.converse,
      { prompt: seeing }
    )
  },
  {
    family: "llama 3",
    ...own(
      "us.meta.llama3-3-70b-instruct-v1:0",
      (row) => ({ prompt: llama3Prompt(ask(row)), max_gen_len: 1024 }),
      Reading.llama
    )
  },
  {
    family: "llama 4",
    ...own(
      "us.meta.llama4-scout-17b-instruct-v1:0",
      (row) => ({ prompt: llama4Prompt(ask(row)), max_gen_len: 1024 }),
      Reading.llama
    )
  },
  {
    family: "llama 4, image",
    ...own(
      "us.meta.llama4-maverick-17b-instruct-v1:0",
      (row) => ({ prompt: llama4Prompt(`<|image|>${ask(row)}`), max_gen_len: 1024, images: [row.photo] }),
      Reading.llama,
      { prompt: seeing }
    )
  },
  {
    family: "mistral-chat",
    ...own(
      "mistral.mistral-large-2407-v1:0",
      (row) => ({ messages: chatBody(ask(row)).messages, max_tokens: 1024 }),
      Reading.mistralChat
    )
  },
  {
    family: "mistral-text",
    ...own(
      "mistral.mistral-small-2402-v1:0",
      (row) => ({ prompt: `<s>[INST] Be brief.\n\n${ask(row)} [/INST]`, max_tokens: 1024 }),
      Reading.mistralText
    )
  },
  { family: "openai-chat, gpt-oss", ...ownChat(oss, { prompt, reasoning: true }) },
  { family: "openai-chat, Qwen", ...ownChat("qwen.qwen3-32b-v1:0") },
  { family: "openai-chat, DeepSeek", ...ownChat("deepseek.v3.2") },
  { family: "openai-chat, GLM", ...ownChat("zai.glm-4.7") },
  { family: "openai-chat, Kimi", ...ownChat("moonshot.kimi-k2-thinking", { prompt, reasoning: true }) },
  { family: "openai-chat, MiniMax", ...ownChat("minimax.minimax-m2", { prompt, reasoning: true }) },
  { family: "openai-chat, Nemotron", ...ownChat("nvidia.nemotron-nano-9b-v2") },
  { family: "openai-chat, Ministral", ...ownChat("mistral.ministral-3-8b-instruct") },
  {
    family: "openai-chat, Gemma, image",
    ...own(
      gemma,
      (row) =>
        chatBody([
          { type: "image_url", image_url: { url: `data:image/png;base64,${row.photo}` } },
          { type: "text", text: ask(row) }
        ]),
      Reading.openai,
      { prompt: seeing }
    )
  },
  {
    family: "openai-chat, Voxtral, audio",
    ...own(
      "mistral.voxtral-mini-3b-2507",
      (row) =>
        chatBody([
          { type: "input_audio", input_audio: { data: row.sound, format: "mp3" } },
          { type: "text", text: ask(row) }
        ]),
      Reading.openai,
      { prompt: hearing }
    )
  }
]

const titan = "amazon.titan-embed-text-v2:0"
const titanText = (
  what: string,
  fields: { readonly [key: string]: unknown },
  told: Told
): FamilyCase => ({
  family: `titan-text-embeddings, ${what}`,
  model: titan,
  told: { embed: "topic", ...told },
  invocationType: "InvokeModel",
  body: ({ topic }) => ({ inputText: topic, ...fields }),
  read: Reading.titanText
})

const titanImage = (what: string, told: Told, body: FamilyCase["body"]): FamilyCase => ({
  family: `titan-multimodal-embeddings, ${what}`,
  model: "amazon.titan-embed-image-v1",
  told,
  invocationType: "InvokeModel",
  body,
  read: Reading.titanImage
})

const novaEmbeddings = (what: string, told: Told, params: (row: Row) => object): FamilyCase => ({
  family: `nova-multimodal-embeddings, ${what}`,
  model: "amazon.nova-2-multimodal-embeddings-v1:0",
  told,
  invocationType: "InvokeModel",
  body: (row) => ({
    schemaVersion: "nova-multimodal-embed-v1",
    taskType: "SINGLE_EMBEDDING",
    singleEmbeddingParams: { embeddingPurpose: "GENERIC_INDEX", ...params(row) }
  }),
  read: Reading.novaEmbeddings
})

const novaText = ({ topic }: Row) => ({ truncationMode: "NONE", value: topic })
const separate = NovaMultimodalEmbeddings.novaMultimodalEmbeddings({ videoMode: "separate", dimensions: 256 })

const embeddings: ReadonlyArray<FamilyCase> = [
  titanText("1024", {}, {}),
  ...[256, 512, 1024].map((dimensions) =>
    titanText(`${dimensions} as they are`, { dimensions, normalize: false }, {
      parameters: { dimensions, normalize: false }
    })
  ),
  titanText("256 bits", { dimensions: 256, embeddingTypes: ["binary"] }, {
    processor: TitanTextEmbeddings.titanTextEmbeddings({ dimensions: 256, embeddingTypes: ["binary"] })
  }),
  titanText("512 and their bits", { dimensions: 512, embeddingTypes: ["float", "binary"] }, {
    processor: TitanTextEmbeddings.titanTextEmbeddings({ dimensions: 512, embeddingTypes: ["float", "binary"] })
  }),
  titanImage("text, 1024", { embed: "topic" }, ({ topic }) => ({ inputText: topic })),
  titanImage(
    "image, 384",
    { embed: Prompt.image("photo"), parameters: { dimensions: 384 } },
    ({ photo }) => ({ inputImage: photo, embeddingConfig: { outputEmbeddingLength: 384 } })
  ),
  titanImage(
    "text and image, 256",
    {
      embed: { text: "topic", media: Prompt.image("photo") },
      processor: TitanMultimodalEmbeddings.titanMultimodalEmbeddings({ dimensions: 256 })
    },
    ({ photo, topic }) => ({ inputText: topic, inputImage: photo, embeddingConfig: { outputEmbeddingLength: 256 } })
  ),
  novaEmbeddings("text, 3072", { embed: "topic" }, (row) => ({ text: novaText(row) })),
  ...[256, 384, 1024].map((dimensions) =>
    novaEmbeddings(`text, ${dimensions}`, { embed: "topic", parameters: { dimensions } }, (row) => ({
      embeddingDimension: dimensions,
      text: novaText(row)
    }))
  ),
  novaEmbeddings("image, 384", { embed: Prompt.image("photo"), parameters: { dimensions: 384 } }, ({ photo }) => ({
    embeddingDimension: 384,
    image: { format: "png", source: { bytes: photo } }
  })),
  novaEmbeddings("video and sound, 256", { embed: Prompt.video("film"), processor: separate }, ({ film }) => ({
    embeddingDimension: 256,
    video: { format: "mp4", source: { bytes: film }, embeddingMode: "AUDIO_VIDEO_SEPARATE" }
  }))
]

const bodies: ReadonlyArray<FamilyCase> = [
  {
    family: "raw",
    model: haiku,
    told: { body: "native" },
    invocationType: "InvokeModel",
    body: ({ native }) => JSON.parse(native),
    read: Reading.raw(Reading.anthropic)
  },
  {
    family: "raw, read as its family",
    model: haiku,
    told: { body: "spoken", processor: Converse.converse },
    invocationType: "Converse",
    body: ({ spoken }) => JSON.parse(spoken),
    read: Reading.converse
  }
]

/** The shape of an answer. */
export const Verdict = Schema.Struct({
  mood: Schema.Literals(["good", "bad"]),
  score: Schema.Finite,
  tags: Schema.Array(Schema.String),
  place: Schema.Struct({ name: Schema.String, floor: Schema.Int }),
  note: Schema.NullOr(Schema.String)
})

/** The request is the processor's own here: its words for a schema are nobody else's matter. */
const held = (
  model: string,
  processor: Processor.Processor<Processor.TextAnswer>,
  way: Processor.OutputWay,
  read: FamilyCase["read"]
): FamilyCase => {
  const whole = StructuredOutput.structured(processor, Verdict, { model, way })
  return {
    family: `${processor.id.split("/")[0]}, output by ${way}`,
    model,
    told: { prompt, processor, output: Verdict, outputWay: way, reasoning: true },
    invocationType: processor.invocationType,
    body: (row) => {
      const turns = [{ role: "system", content: "Be brief." }, { role: "user", content: ask(row) }] as const
      return Object(whole.encode({ type: "chat", turns, parameters: {}, model }))
    },
    read: Reading.structured(read)
  }
}

const outputs: ReadonlyArray<FamilyCase> = [
  held(haiku, Converse.converse, "schema", Reading.converse),
  held(nova2, Converse.converse, "instruction", Reading.converse),
  held(haiku, AnthropicMessages.anthropicMessages, "tool", Reading.anthropic),
  held(haiku, AnthropicMessages.anthropicMessages, "schema", Reading.anthropic),
  held(oss, OpenAiChat.openAiChat, "schema", Reading.openai),
  held("us.amazon.nova-pro-v1:0", Nova.nova, "instruction", Reading.converse),
  held("us.meta.llama3-3-70b-instruct-v1:0", Llama.llama, "instruction", Reading.llama)
]

/** All runs. */
export const cases: ReadonlyArray<FamilyCase> = [...texts, ...embeddings, ...bodies, ...outputs]
