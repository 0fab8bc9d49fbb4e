/**
 * What is known of Bedrock's models: which family each belongs to, by rules on the id where a rule says enough. State
 * of November 2026; a new text model of a known provider needs no change here. What is known of single models is in
 * `Catalogue`.
 *
 * @since 0.1.0
 */
import { batchModels } from "./internal/BatchModels.ts"

/**
 * What is known of the models that a rule covers: the family that asks and reads them; or that Bedrock's batch
 * inference does not take them; or that no family here can read them.
 *
 * @since 0.1.0
 * @category models
 */
export type Support =
  | "converse"
  | "titan-text-embeddings"
  | "titan-multimodal-embeddings"
  | "nova-multimodal-embeddings"
  | "not-batch-capable"
  | "no-processor"

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
  { ids: /^amazon\.titan-embed-image-v1(?![0-9])/, support: "titan-multimodal-embeddings" },
  { ids: /^amazon\.nova-2-multimodal-embeddings-v1(?![0-9])/, support: "nova-multimodal-embeddings" },
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
 * Ids of the foundation models in the catalogue, to suggest for mistyped ones.
 *
 * @since 0.1.0
 * @category models
 */
export const known: ReadonlyArray<string> = batchModels.map((model) => model.id)
