/**
 * What is known of Bedrock's models: which family each belongs to, by rules on the id where a rule says enough. State
 * of November 2026; a new text model of a known provider needs no change here.
 *
 * @since 0.1.0
 */

/**
 * What is known of the models that a rule covers: the family that asks and reads them; or that Bedrock's batch
 * inference does not take them; or that no family here can read them.
 *
 * @since 0.1.0
 * @category models
 */
export type Support = "converse" | "titan-text-embeddings" | "not-batch-capable" | "no-processor"

/**
 * A rule: the ids of foundation models that it covers, and what is known of them.
 *
 * @since 0.1.0
 * @category models
 */
export interface ModelRule {
  readonly ids: RegExp
  readonly support: Support
}

/**
 * Rules on the ids of foundation models; the first that matches holds.
 *
 * @since 0.1.0
 * @category models
 */
export const rules: ReadonlyArray<ModelRule> = [
  { ids: /^amazon\.titan-embed-text-v2(?![0-9])/, support: "titan-text-embeddings" },
  // Absent from the list of batch models and from its quotas.
  { ids: /^(?:cohere|ai21|stability|twelvelabs|luma)\./, support: "not-batch-capable" },
  { ids: /^amazon\.titan-(?:text|tg1|embed-text-v1|embed-g1|image)/, support: "not-batch-capable" },
  { ids: /^amazon\.nova-(?:[0-9]+-)?(?:canvas|reel|sonic)/, support: "not-batch-capable" },
  { ids: /^writer\.palmyra-x/, support: "not-batch-capable" },
  // Refused by the API: "Batch inference is not supported for the requested model".
  {
    ids: /^anthropic\.claude-(?:opus-4-[78]|sonnet-5|fable-5(?:-1)?)(?:-[0-9]{8})?(?:-v[0-9]+)?(?::.*)?$/,
    support: "not-batch-capable"
  },
  { ids: /^openai\.gpt-[0-9]/, support: "not-batch-capable" },
  { ids: /^moonshot(?:ai)?\.kimi-k3(?![0-9])/, support: "not-batch-capable" },
  // Embeddings, images, video and speech of any provider.
  { ids: /embed|image|canvas|reel|video|sonic|speech|rerank|diffusion/, support: "no-processor" },
  { ids: /^amazon\.nova-/, support: "converse" },
  { ids: /^(?:anthropic|meta|mistral|deepseek|minimax|moonshot|moonshotai|nvidia|qwen|zai)\./, support: "converse" },
  { ids: /^(?:google\.gemma-|openai\.gpt-oss-|writer\.palmyra-)/, support: "converse" }
]

/**
 * The providers of models on Bedrock, as they stand before the first dot of an id.
 *
 * @since 0.1.0
 * @category models
 */
export const providers: ReadonlySet<string> = new Set([
  "ai21",
  "amazon",
  "anthropic",
  "cohere",
  "deepseek",
  "google",
  "luma",
  "meta",
  "minimax",
  "mistral",
  "moonshot",
  "moonshotai",
  "nvidia",
  "openai",
  "qwen",
  "stability",
  "twelvelabs",
  "writer",
  "zai"
])

/**
 * Ids of foundation models that batch inference takes and a family here reads, to suggest for mistyped ones.
 *
 * @since 0.1.0
 * @category models
 */
export const known: ReadonlyArray<string> = [
  "amazon.nova-2-lite-v1:0",
  "amazon.nova-lite-v1:0",
  "amazon.nova-micro-v1:0",
  "amazon.nova-premier-v1:0",
  "amazon.nova-pro-v1:0",
  "amazon.titan-embed-text-v2:0",
  "anthropic.claude-3-haiku-20240307-v1:0",
  "anthropic.claude-3-5-haiku-20241022-v1:0",
  "anthropic.claude-haiku-4-5-20251001-v1:0",
  "anthropic.claude-sonnet-4-20250514-v1:0",
  "anthropic.claude-sonnet-4-5-20250929-v1:0",
  "anthropic.claude-sonnet-4-6",
  "anthropic.claude-opus-4-5-20251101-v1:0",
  "anthropic.claude-opus-4-6-v1",
  "anthropic.claude-opus-5",
  "deepseek.v3-v1:0",
  "deepseek.v3.2",
  "google.gemma-3-4b-it",
  "google.gemma-3-12b-it",
  "google.gemma-3-27b-it",
  "meta.llama3-1-8b-instruct-v1:0",
  "meta.llama3-1-70b-instruct-v1:0",
  "meta.llama3-1-405b-instruct-v1:0",
  "meta.llama3-2-1b-instruct-v1:0",
  "meta.llama3-2-3b-instruct-v1:0",
  "meta.llama3-2-11b-instruct-v1:0",
  "meta.llama3-2-90b-instruct-v1:0",
  "meta.llama3-3-70b-instruct-v1:0",
  "meta.llama4-maverick-17b-instruct-v1:0",
  "meta.llama4-scout-17b-instruct-v1:0",
  "minimax.minimax-m2",
  "minimax.minimax-m2.1",
  "mistral.devstral-2-123b",
  "mistral.magistral-small-2509",
  "mistral.ministral-3-3b-instruct",
  "mistral.ministral-3-8b-instruct",
  "mistral.ministral-3-14b-instruct",
  "mistral.mistral-large-2407-v1:0",
  "mistral.mistral-large-3-675b-instruct",
  "mistral.mistral-small-2402-v1:0",
  "mistral.voxtral-mini-3b-2507",
  "mistral.voxtral-small-24b-2507",
  "moonshot.kimi-k2-thinking",
  "moonshotai.kimi-k2.5",
  "nvidia.nemotron-nano-3-30b",
  "nvidia.nemotron-nano-9b-v2",
  "nvidia.nemotron-nano-12b-v2",
  "openai.gpt-oss-20b-1:0",
  "openai.gpt-oss-120b-1:0",
  "openai.gpt-oss-safeguard-20b",
  "openai.gpt-oss-safeguard-120b",
  "qwen.qwen3-32b-v1:0",
  "qwen.qwen3-235b-a22b-2507-v1:0",
  "qwen.qwen3-coder-30b-a3b-v1:0",
  "qwen.qwen3-coder-480b-a35b-v1:0",
  "qwen.qwen3-coder-next",
  "qwen.qwen3-next-80b-a3b",
  "qwen.qwen3-vl-235b-a22b",
  "zai.glm-4.7",
  "zai.glm-4.7-flash"
]
