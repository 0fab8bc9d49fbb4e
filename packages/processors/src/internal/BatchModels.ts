/**
 * The rows of the catalogue. Regions are those of the User Guide's page; prefixes of profiles, ceilings and the rest
 * are from the sources that `Catalogue.source` names. What none of them says is null.
 *
 * @internal
 */
import type { BatchModel, Modality } from "../Catalogue.ts"

const words = (text: string): ReadonlyArray<string> => text.split(" ")

/** Regions that many models share. */
const seven = words("ap-northeast-1 ap-south-1 ap-southeast-2 sa-east-1 us-east-1 us-east-2 us-west-2")
const eight = words("ap-northeast-1 ap-south-1 ap-southeast-2 ap-southeast-3 eu-north-1 eu-west-2 us-east-2 us-west-2")
const ten = [...seven, ...words("eu-south-1 eu-west-1 eu-west-2")]
const otherTen = [...eight, ...words("sa-east-1 us-east-1")]
const thirteen = [...ten, ...words("ap-southeast-3 eu-central-1 eu-north-1")]

const asia = words("ap-northeast-1 ap-northeast-2 ap-south-1 ap-southeast-1 ap-southeast-2")
const europe = words("eu-central-1 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-3")
const america = words("us-east-1 us-east-2 us-west-1 us-west-2")
const micro = [
  ...asia,
  ...words("ap-east-2 ap-southeast-3 ap-southeast-5 ap-southeast-7 il-central-1 me-central-1"),
  ...europe,
  ...words("us-east-1 us-east-2 us-west-2")
]
const pro = [...micro, ...words("ap-southeast-4 us-west-1")]
const claude = [
  ...asia,
  ...words("ap-northeast-3 ap-south-2 ap-southeast-3 ap-southeast-4 ca-central-1 eu-central-2 eu-west-2 sa-east-1"),
  ...europe,
  ...america
]
const claudeWide = [
  ...claude,
  ...words(
    "af-south-1 ap-east-2 ap-southeast-5 ap-southeast-7 ca-west-1 il-central-1 me-central-1 me-south-1 mx-central-1"
  )
]
const llama = words("us-east-1 us-west-2")
const llamaSmall = [...llama, ...words("eu-central-1 eu-west-1 eu-west-3")]

const text: ReadonlyArray<Modality> = ["text"]
const images: ReadonlyArray<Modality> = ["text", "image"]
const documents: ReadonlyArray<Modality> = ["text", "image", "document"]
const videos: ReadonlyArray<Modality> = ["text", "image", "document", "video"]

/** Rows of one provider, or of one family of it. */
const rowsOf = (provider: string, family: BatchModel["family"], defaults: Partial<BatchModel> = {}) =>
(
  name: string,
  label: string,
  regions: ReadonlyArray<string>,
  own: Partial<BatchModel> = {}
): BatchModel => ({
  id: `${provider}.${name}`,
  name: label,
  provider,
  family,
  output: "text",
  inputs: text,
  regions,
  profileRegions: [],
  profiles: [],
  maxOutputTokens: null,
  sampling: "free",
  structuredOutput: null,
  legacy: null,
  ...defaults,
  ...own
})

const amazon = rowsOf("amazon", "nova", { inputs: videos })
const embedding = { output: "embedding" } as const
const novaProfiles = words("us eu apac")

const titanText = rowsOf("amazon", "titan-text-embeddings", embedding)
const titanImage = rowsOf("amazon", "titan-multimodal-embeddings", { ...embedding, inputs: images })
const novaEmbeddings = rowsOf("amazon", "nova-multimodal-embeddings", {
  ...embedding,
  inputs: ["text", "image", "video", "audio"]
})

const amazonModels = [
  amazon("nova-2-lite-v1:0", "Nova 2 Lite", [], {
    profileRegions: [...pro, ...words("ca-central-1 ca-west-1 eu-west-2")],
    profiles: words("us eu jp global"),
    maxOutputTokens: 65_535,
    structuredOutput: false
  }),
  amazon("nova-lite-v1:0", "Nova Lite", words("me-central-1 us-east-1 us-gov-west-1"), {
    profileRegions: [...pro, ...words("ca-central-1 ca-west-1")],
    profiles: novaProfiles,
    structuredOutput: false
  }),
  amazon("nova-micro-v1:0", "Nova Micro", words("us-east-1 us-gov-west-1"), {
    inputs: text,
    profileRegions: micro,
    profiles: novaProfiles,
    maxOutputTokens: 10_000,
    structuredOutput: false
  }),
  amazon("nova-premier-v1:0", "Nova Premier", [], {
    profileRegions: words("us-east-1 us-east-2 us-west-2"),
    profiles: words("us")
  }),
  amazon("nova-pro-v1:0", "Nova Pro", words("ap-southeast-3 me-central-1 us-east-1 us-gov-west-1"), {
    profileRegions: pro,
    profiles: novaProfiles
  }),
  novaEmbeddings("nova-2-multimodal-embeddings-v1:0", "Nova Multimodal Embeddings", words("us-east-1")),
  titanImage(
    "titan-embed-image-v1",
    "Titan Multimodal Embeddings G1",
    words(
      "ap-south-1 ap-southeast-2 ca-central-1 eu-central-1 eu-west-1 eu-west-2 eu-west-3 sa-east-1 us-east-1 us-west-2"
    )
  ),
  titanText(
    "titan-embed-text-v2:0",
    "Titan Text Embeddings V2",
    words(
      "ap-northeast-1 ap-northeast-2 ca-central-1 eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 " +
        "eu-west-2 sa-east-1 us-east-1 us-west-2"
    )
  )
]

const claude3 = rowsOf("anthropic", "anthropic-messages", { inputs: images, legacy: { endOfLife: null } })
const claude4 = rowsOf("anthropic", "anthropic-messages", {
  inputs: documents,
  maxOutputTokens: 64_000,
  sampling: "one-of-both",
  structuredOutput: true
})
const oldProfiles = words("us eu apac")

const anthropicModels = [
  claude3(
    "claude-3-haiku-20240307-v1:0",
    "Claude 3 Haiku",
    [...asia, ...words("ca-central-1 eu-central-1 eu-central-2 eu-west-1 eu-west-2 eu-west-3 sa-east-1"), ...llama],
    { maxOutputTokens: 4096, legacy: { endOfLife: "2026-09-10" } }
  ),
  claude3("claude-3-opus-20240229-v1:0", "Claude 3 Opus", words("us-west-2"), {
    maxOutputTokens: 4096,
    profileRegions: words("us-east-1"),
    profiles: words("us")
  }),
  claude3(
    "claude-3-sonnet-20240229-v1:0",
    "Claude 3 Sonnet",
    words(
      "ap-northeast-2 ap-south-1 ap-southeast-2 ca-central-1 eu-central-1 eu-west-1 eu-west-2 eu-west-3 sa-east-1 " +
        "us-east-1 us-west-2"
    ),
    {
      maxOutputTokens: 4096,
      profileRegions: [...asia, ...words("eu-central-1 eu-west-1 eu-west-3"), ...llama],
      profiles: oldProfiles
    }
  ),
  claude3("claude-3-5-haiku-20241022-v1:0", "Claude 3.5 Haiku", words("us-west-2"), {
    inputs: text,
    profileRegions: words("us-east-1"),
    profiles: words("us")
  }),
  claude3(
    "claude-3-5-sonnet-20240620-v1:0",
    "Claude 3.5 Sonnet",
    words("ap-northeast-1 ap-northeast-2 ap-southeast-1 eu-central-1 us-east-1 us-east-2 us-west-2"),
    {
      profileRegions: [...asia, ...words("eu-central-1 eu-west-1 eu-west-3"), ...llama],
      profiles: oldProfiles
    }
  ),
  claude3("claude-3-5-sonnet-20241022-v2:0", "Claude 3.5 Sonnet v2", words("us-west-2"), {
    inputs: documents,
    profileRegions: [...asia, ...words("ap-northeast-3 ap-south-2 us-east-1 us-east-2 us-west-2")],
    profiles: words("us apac")
  }),
  claude3("claude-3-7-sonnet-20250219-v1:0", "Claude 3.7 Sonnet", [], {
    inputs: documents,
    profileRegions: [
      ...asia,
      ...words("ap-south-2 eu-central-1 eu-north-1 eu-west-1 eu-west-3 us-east-1 us-east-2 us-west-2")
    ],
    profiles: oldProfiles
  }),
  claude4("claude-haiku-4-5-20251001-v1:0", "Claude Haiku 4.5", [], {
    profileRegions: claude,
    profiles: words("us eu au jp global")
  }),
  claude4("claude-sonnet-4-20250514-v1:0", "Claude Sonnet 4", [], {
    profileRegions: [
      ...asia,
      ...words("ap-east-2 ap-northeast-3 ap-south-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-7"),
      ...europe,
      ...words("il-central-1 me-central-1"),
      ...america
    ],
    profiles: words("us eu apac global"),
    sampling: "free",
    structuredOutput: null,
    legacy: { endOfLife: "2026-10-14" }
  }),
  claude4("claude-sonnet-4-5-20250929-v1:0", "Claude Sonnet 4.5", [], {
    profileRegions: [
      ...claude,
      ...words("af-south-1 ca-west-1 me-south-1 mx-central-1 us-gov-east-1 us-gov-west-1")
    ],
    profiles: words("us us-gov eu au jp global")
  }),
  claude4("claude-sonnet-4-6", "Claude Sonnet 4.6", words("eu-west-2"), {
    profileRegions: claudeWide,
    profiles: words("us eu au jp global")
  }),
  claude4("claude-opus-4-5-20251101-v1:0", "Claude Opus 4.5", [], {
    profileRegions: claude,
    profiles: words("us eu global")
  }),
  claude4("claude-opus-4-6-v1", "Claude Opus 4.6", [], {
    profileRegions: claudeWide,
    profiles: words("us eu au global"),
    maxOutputTokens: 128_000
  }),
  claude4("claude-opus-5", "Claude Opus 5", [], {
    profileRegions: [...claudeWide, "ap-southeast-6"],
    profiles: words("us eu au global"),
    maxOutputTokens: 128_000,
    sampling: "neither",
    structuredOutput: false
  })
]

const meta = rowsOf("meta", "llama", { maxOutputTokens: 2048 })
const meta4 = rowsOf("meta", "llama", {
  inputs: images,
  profileRegions: america,
  profiles: words("us"),
  maxOutputTokens: 8192
})
const viaUs = { profileRegions: llama, profiles: words("us") }
const viaUsAndEurope = { profileRegions: llamaSmall, profiles: words("us eu") }

const metaModels = [
  meta("llama3-1-8b-instruct-v1:0", "Llama 3.1 8B Instruct", words("us-west-2"), viaUs),
  meta("llama3-1-70b-instruct-v1:0", "Llama 3.1 70B Instruct", words("us-west-2"), viaUs),
  meta("llama3-1-405b-instruct-v1:0", "Llama 3.1 405B Instruct", words("us-west-2")),
  meta("llama3-2-1b-instruct-v1:0", "Llama 3.2 1B Instruct", [], viaUsAndEurope),
  meta("llama3-2-3b-instruct-v1:0", "Llama 3.2 3B Instruct", [], viaUsAndEurope),
  meta("llama3-2-11b-instruct-v1:0", "Llama 3.2 11B Instruct", [], { ...viaUs, inputs: images }),
  meta("llama3-2-90b-instruct-v1:0", "Llama 3.2 90B Instruct", [], { ...viaUs, inputs: images }),
  meta("llama3-3-70b-instruct-v1:0", "Llama 3.3 70B Instruct", words("us-east-2"), {
    profileRegions: words("us-east-1 us-east-2 us-west-2"),
    profiles: words("us"),
    structuredOutput: false,
    legacy: { endOfLife: "2027-03-30" }
  }),
  meta4("llama4-maverick-17b-instruct-v1:0", "Llama 4 Maverick 17B Instruct", []),
  meta4("llama4-scout-17b-instruct-v1:0", "Llama 4 Scout 17B Instruct", [], {
    structuredOutput: false,
    legacy: { endOfLife: "2027-03-30" }
  })
]

const schema = { structuredOutput: true } as const
const schemaAndImages = { ...schema, inputs: images } as const
const schemaAndAudio: Partial<BatchModel> = { ...schema, inputs: ["text", "audio"] }

const mistral = rowsOf("mistral", "openai-chat", schema)
const mistralChat = rowsOf("mistral", "mistral-chat")
const mistralText = rowsOf("mistral", "mistral-text")

const mistralModels = [
  mistral("devstral-2-123b", "Devstral 2 123B", thirteen),
  mistral("magistral-small-2509", "Magistral Small 2509", seven, { inputs: images }),
  mistral("ministral-3-3b-instruct", "Ministral 3 3B", seven, { inputs: images }),
  mistral("ministral-3-8b-instruct", "Ministral 3 8B", ten),
  mistral("ministral-3-14b-instruct", "Ministral 3 14B", ten),
  mistralChat("mistral-large-2407-v1:0", "Mistral Large (24.07)", words("us-west-2")),
  mistral("mistral-large-3-675b-instruct", "Mistral Large 3", seven, { inputs: images }),
  mistralText("mistral-small-2402-v1:0", "Mistral Small (24.02)", words("us-east-1")),
  mistral("voxtral-mini-3b-2507", "Voxtral Mini 3B 2507", ten, schemaAndAudio),
  mistral("voxtral-small-24b-2507", "Voxtral Small 24B 2507", ten, schemaAndAudio)
]

const deepseek = rowsOf("deepseek", "openai-chat", schema)
const google = rowsOf("google", "openai-chat", { inputs: images })
const minimax = rowsOf("minimax", "openai-chat")
const moonshot = rowsOf("moonshot", "openai-chat", schema)
const moonshotai = rowsOf("moonshotai", "openai-chat", schemaAndImages)
const nvidia = rowsOf("nvidia", "openai-chat", schema)
const openai = rowsOf("openai", "openai-chat", schema)
const qwen = rowsOf("qwen", "openai-chat", schema)
const zai = rowsOf("zai", "openai-chat", schema)

const otherModels = [
  deepseek("v3-v1:0", "DeepSeek V3.1", eight),
  deepseek("v3.2", "DeepSeek V3.2", otherTen),
  google("gemma-3-4b-it", "Gemma 3 4B IT", ten),
  google("gemma-3-12b-it", "Gemma 3 12B IT", ten, schema),
  google("gemma-3-27b-it", "Gemma 3 27B IT", ten, schema),
  minimax("minimax-m2", "MiniMax M2", ten),
  minimax("minimax-m2.1", "MiniMax M2.1", thirteen, { ...schema, legacy: { endOfLife: "2027-03-30" } }),
  moonshot("kimi-k2-thinking", "Kimi K2 Thinking", seven),
  moonshotai("kimi-k2.5", "Kimi K2.5", otherTen),
  nvidia("nemotron-nano-3-30b", "Nemotron Nano 3 30B", ten),
  nvidia("nemotron-nano-9b-v2", "Nemotron Nano 9B v2", ten),
  nvidia("nemotron-nano-12b-v2", "Nemotron Nano 12B v2 VL", ten, { inputs: images }),
  openai("gpt-oss-20b-1:0", "gpt-oss-20b", [...thirteen, "us-gov-west-1"]),
  openai("gpt-oss-120b-1:0", "gpt-oss-120b", [...thirteen, "us-gov-west-1"]),
  openai("gpt-oss-safeguard-20b", "GPT OSS Safeguard 20B", ten),
  openai("gpt-oss-safeguard-120b", "GPT OSS Safeguard 120B", ten),
  qwen("qwen3-32b-v1:0", "Qwen3 32B", thirteen),
  qwen("qwen3-235b-a22b-2507-v1:0", "Qwen3 235B A22B 2507", [...eight, ...words("eu-central-1 eu-south-1")]),
  qwen("qwen3-coder-30b-a3b-v1:0", "Qwen3 Coder 30B A3B", thirteen),
  qwen("qwen3-coder-480b-a35b-v1:0", "Qwen3 Coder 480B A35B", eight),
  qwen("qwen3-coder-next", "Qwen3 Coder Next", words("ap-southeast-2 eu-west-2 us-east-1")),
  qwen("qwen3-next-80b-a3b", "Qwen3 Next 80B A3B", ten),
  qwen("qwen3-vl-235b-a22b", "Qwen3 VL 235B A22B", ten, { inputs: images }),
  zai("glm-4.7", "GLM 4.7", otherTen),
  zai("glm-4.7-flash", "GLM 4.7 Flash", thirteen)
]

const sorted = (model: BatchModel): BatchModel => ({
  ...model,
  regions: [...model.regions].sort(),
  profileRegions: [...model.profileRegions].sort()
})

/** @internal */
export const batchModels: ReadonlyArray<BatchModel> = [
  ...amazonModels,
  ...anthropicModels,
  ...metaModels,
  ...mistralModels,
  ...otherModels
].map(sorted).sort((a, b) => (a.id < b.id ? -1 : 1))
