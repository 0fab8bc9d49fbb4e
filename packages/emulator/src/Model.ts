/**
 * Model ids: what they are a profile of, what family they belong to, and whether batch inference takes them.
 *
 * @since 0.1.0
 */

/**
 * The shape of a model's native InvokeModel body.
 *
 * @since 0.1.0
 * @category models
 */
export type Family =
  | "anthropic"
  | "nova"
  | "nova-embeddings"
  | "titan-text-embeddings"
  | "titan-image-embeddings"
  | "llama"
  | "mistral-chat"
  | "mistral-text"
  | "openai"
  | "unknown"

const customModel = "/custom-model"
const profile = /^(?:us-gov|us|eu|apac|jp|au|ca|sa|me|af|il|global)\.(?=[a-z0-9-]+\.)/

/**
 * Returns the base model of a model id, an inference profile id or an ARN: Region prefixes and ARN parts are taken off.
 * Application inference profiles do not tell their model: their own id is returned. All custom models of one base are
 * the base with `/custom-model` behind it, since they have a quota of their own.
 *
 * @since 0.1.0
 * @category converting
 * @example
 * ```ts
 * import { Model } from "@bedrock-batch/emulator"
 *
 * Model.base("us.anthropic.claude-haiku-4-5-20251001-v1:0") // "anthropic.claude-haiku-4-5-20251001-v1:0"
 * ```
 */
export const base = (modelId: string): string => {
  const name = modelId.startsWith("arn:") ? modelId.slice(modelId.indexOf("/") + 1) : modelId
  return name.replace(profile, "").replace(/\/[a-z0-9]{12}$/, customModel)
}

const partition = (region: string) =>
  region.startsWith("us-gov-") ? "aws-us-gov" : region.startsWith("cn-") ? "aws-cn" : "aws"

/**
 * Returns the ARN of a resource of the service in one account and Region; foundation models belong to no account.
 *
 * @since 0.1.0
 * @category converting
 */
export const arn = (region: string, accountId: string, resource: string): string =>
  `arn:${partition(region)}:bedrock:${region}:${accountId}:${resource}`

/**
 * Expands a model id as Bedrock does in its answers: a foundation model or an inference profile becomes its ARN; an ARN
 * stays.
 *
 * @since 0.1.0
 * @category converting
 */
export const expand = (modelId: string, region: string, accountId: string): string =>
  modelId.startsWith("arn:")
    ? modelId
    : profile.test(modelId)
    ? arn(region, accountId, `inference-profile/${modelId}`)
    : arn(region, "", `foundation-model/${modelId}`)

const families: ReadonlyArray<readonly [RegExp, Family]> = [
  [/^anthropic\./, "anthropic"],
  [/^amazon\.nova-\d+-multimodal-embeddings/, "nova-embeddings"],
  [/^amazon\.nova/, "nova"],
  [/^amazon\.titan-embed-text/, "titan-text-embeddings"],
  [/^amazon\.titan-embed-image/, "titan-image-embeddings"],
  [/^meta\.llama/, "llama"],
  [/^mistral\.mistral-large-2/, "mistral-chat"],
  [/^mistral\.(?:mistral-small-2402|mistral-7b|mixtral)/, "mistral-text"],
  [/^[a-z0-9-]+\./, "openai"]
]

/**
 * Finds the family of a model id or ARN: `unknown` where the id tells nothing.
 *
 * @since 0.1.0
 * @category getters
 */
export const family = (modelId: string): Family => {
  const id = base(modelId)
  return families.find(([pattern]) => pattern.test(id))?.[1] ?? "unknown"
}

const refused = [
  /^cohere\./,
  /^ai21\./,
  /^stability\./,
  /^twelvelabs\./,
  /^luma\./,
  /^writer\.palmyra-x/,
  /^amazon\.titan-text/,
  /^amazon\.titan-embed-(?:text-v1|g1)/,
  /^amazon\.(?:titan-image-generator|nova-canvas|nova-reel|nova-sonic|nova-\d-sonic|rerank)/,
  /^anthropic\.claude-(?:v2|instant|opus-4-[78]|sonnet-5|fable)/,
  /^openai\.gpt-\d/,
  /^moonshot(?:ai)?\.kimi-k3/,
  /^deepseek\.r1/
]

/**
 * Returns what stands for all custom models of a base.
 *
 * @since 0.1.0
 * @category converting
 */
export const custom = (baseModel: string): string => `${baseModel}${customModel}`

/**
 * Whether a base model stands for its custom models.
 *
 * @since 0.1.0
 * @category guards
 */
export const isCustom = (baseModel: string): boolean => baseModel.endsWith(customModel)

/**
 * Whether batch inference takes a model: every id but the families that are known to be refused (autumn 2026),
 * and custom models of Titan embeddings alone.
 *
 * @since 0.1.0
 * @category guards
 */
export const isBatchCapable = (modelId: string): boolean => {
  const id = base(modelId)
  return isCustom(id)
    ? /^amazon\.titan-embed-(?:image-v1|text-v2)/.test(id)
    : !refused.some((pattern) => pattern.test(id))
}
