/**
 * The account's quotas of batch inference: which rows of Service Quotas they are, and the service that reads them.
 *
 * @since 0.1.0
 */
import { baseModel } from "@bedrock-batch/processors/ModelId"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { BatchError } from "../BatchError.ts"
import type { Limits } from "../Limits.ts"

/**
 * One row of Service Quotas.
 *
 * @since 0.1.0
 * @category models
 */
export interface Quota {
  /** For example `L-63020993`. */
  readonly code: string
  readonly name: string
  /** As it is told: sizes in GB. */
  readonly value: number
}

/**
 * The service: the quotas of Amazon Bedrock in one account and Region. Failures are `BatchError`s of reason `Refused`
 * (not permitted) or `Unavailable`.
 *
 * @since 0.1.0
 * @category services
 */
export class ServiceQuotas extends Context.Service<ServiceQuotas, {
  /** One applied quota by its code; null where there is none. */
  readonly get: (code: string) => Effect.Effect<Quota | null, BatchError>
  /** The applied quotas. Some accounts have rows only in `defaults`. */
  readonly list: Stream.Stream<Quota, BatchError>
  /** The values that AWS gives to accounts that have none of their own. */
  readonly defaults: Stream.Stream<Quota, BatchError>
}>()("@bedrock-batch/sdk/ServiceQuotas") {}

/**
 * How Service Quotas knows a model: its name in the names of quotas, and the codes of quotas that have one.
 *
 * @since 0.1.0
 * @category models
 */
export interface ModelQuotas {
  readonly name: string
  readonly codes: { readonly [kind in keyof Limits]?: string }
}

const row = (name: string, maxOpenJobs: string, maxRecords: string, maxFileRecords: string): ModelQuotas => ({
  name,
  codes: { maxOpenJobs, maxRecords, maxFileRecords }
})

/**
 * The models that have quotas of batch inference, by base model, from the table of quotas in "Amazon Bedrock endpoints
 * and quotas" of the AWS General Reference, autumn 2026. The table shows codes of adjustable quotas only; the others
 * are found by name.
 *
 * @since 0.1.0
 * @category configuration
 */
export const models: { readonly [baseModel: string]: ModelQuotas } = {
  "amazon.nova-2-lite-v1:0": row("Nova 2 Lite", "L-10F69CA1", "L-ECCE76C6", "L-4A832410"),
  "amazon.nova-2-multimodal-embeddings-v1:0": row(
    "Amazon Nova 2 Multimodal Embeddings V1",
    "L-AF2A00BD",
    "L-7DCA4380",
    "L-7EAC9E78"
  ),
  "amazon.nova-lite-v1:0": row("Nova Lite V1", "L-E2ED42E6", "L-916C9264", "L-B8626674"),
  "amazon.nova-micro-v1:0": row("Nova Micro V1", "L-564C017C", "L-57DC56A1", "L-D56DF585"),
  "amazon.nova-premier-v1:0": row("Amazon Nova Premier", "L-654787A4", "L-131D4EED", "L-169A395B"),
  "amazon.nova-pro-v1:0": row("Nova Pro V1", "L-FE130012", "L-89197AE6", "L-9B651738"),
  "amazon.titan-embed-image-v1": row("Titan Multimodal Embeddings G1", "L-7F2C6F33", "L-3BD2251E", "L-81E26054"),
  "amazon.titan-embed-text-v2:0": row("Titan Text Embeddings V2", "L-1AC1CABC", "L-AAC5F6D6", "L-D1151D45"),
  "anthropic.claude-3-haiku-20240307-v1:0": row("Claude 3 Haiku", "L-1570CF9E", "L-1F644C2A", "L-EBB72C32"),
  "anthropic.claude-3-opus-20240229-v1:0": row("Claude 3 Opus", "L-9A0F509C", "L-E8FA49DB", "L-642905B5"),
  "anthropic.claude-3-sonnet-20240229-v1:0": row("Claude 3 Sonnet", "L-67BD0D49", "L-16E25672", "L-E93C745B"),
  "anthropic.claude-3-5-haiku-20241022-v1:0": row("Claude 3.5 Haiku", "L-220B8A25", "L-274AA31F", "L-C39B6D57"),
  "anthropic.claude-3-5-sonnet-20240620-v1:0": row("Claude 3.5 Sonnet", "L-4E7EE0B5", "L-1E2B9998", "L-5AB0EE48"),
  "anthropic.claude-3-5-sonnet-20241022-v2:0": row("Claude 3.5 Sonnet v2", "L-C2FA9AEC", "L-6EBFEB27", "L-897F8151"),
  "anthropic.claude-3-7-sonnet-20250219-v1:0": row("Claude 3.7 Sonnet", "L-E455959C", "L-FABEE48F", "L-A985813D"),
  "anthropic.claude-haiku-4-5-20251001-v1:0": row("Claude Haiku 4.5", "L-63020993", "L-28612175", "L-9EDE6039"),
  "anthropic.claude-sonnet-4-20250514-v1:0": row("Claude Sonnet 4", "L-79EFF176", "L-8A6B31EE", "L-02DB18B4"),
  "anthropic.claude-sonnet-4-5-20250929-v1:0": row("Claude Sonnet 4.5", "L-A0300844", "L-FFFEDD8D", "L-4DFF050E"),
  "anthropic.claude-sonnet-4-6": row("Claude Sonnet 4.6", "L-3030E098", "L-01A2DC4B", "L-391CEF89"),
  "anthropic.claude-opus-4-5-20251101-v1:0": row("Claude Opus 4.5", "L-E83AC604", "L-2767B9A9", "L-F7440010"),
  "anthropic.claude-opus-4-6-v1": row("Claude Opus 4.6", "L-B0F56DCF", "L-9AA02BEF", "L-D8E451A7"),
  "anthropic.claude-opus-5": row("Claude Opus 5", "L-16941C66", "L-5E3E0013", "L-55F225F6"),
  "deepseek.v3-v1:0": row("DeepSeek v3", "L-1C19AAE8", "L-35900968", "L-48DD3868"),
  "deepseek.v3.2": row("DeepSeek V3.2", "L-D1C9F3B9", "L-73951D97", "L-9E38DD81"),
  "google.gemma-3-4b-it": row("Gemma 3 4B", "L-DC465F65", "L-E1D21B18", "L-65D1D550"),
  "google.gemma-3-12b-it": row("Gemma 3 12B", "L-71A1F0FA", "L-5A51050A", "L-114ABFC3"),
  "google.gemma-3-27b-it": row("Gemma 3 27B", "L-C6AAFCD0", "L-ECD87E6C", "L-FD7B3EB8"),
  "meta.llama3-1-8b-instruct-v1:0": row("Llama 3.1 8B Instruct", "L-391478D2", "L-FA06C205", "L-AFE8E0CD"),
  "meta.llama3-1-70b-instruct-v1:0": row("Llama 3.1 70B Instruct", "L-62E2A345", "L-8D07E980", "L-E038D932"),
  "meta.llama3-1-405b-instruct-v1:0": row("Llama 3.1 405B Instruct", "L-A0AAB785", "L-AA411D03", "L-8651ED26"),
  "meta.llama3-2-1b-instruct-v1:0": row("Llama 3.2 1B Instruct", "L-8CC57EDA", "L-FF73AE42", "L-478319B0"),
  "meta.llama3-2-3b-instruct-v1:0": row("Llama 3.2 3B Instruct", "L-059C1AAB", "L-982DE2DB", "L-F2E6F90D"),
  "meta.llama3-2-11b-instruct-v1:0": row("Llama 3.2 11B Instruct", "L-3CCB3548", "L-95CACD43", "L-D30E6B4B"),
  "meta.llama3-2-90b-instruct-v1:0": row("Llama 3.2 90B Instruct", "L-89923E2C", "L-4821684D", "L-51B0DEE7"),
  "meta.llama3-3-70b-instruct-v1:0": row("Llama 3.3 70B Instruct", "L-FE24F76E", "L-E293C7C7", "L-F77743B5"),
  "meta.llama4-maverick-17b-instruct-v1:0": row("Llama 4 Maverick", "L-4E7DDF49", "L-6FAB43BE", "L-B4B995D8"),
  "meta.llama4-scout-17b-instruct-v1:0": row("Llama 4 Scout", "L-B1E11F5B", "L-D41E62E4", "L-92E7FE32"),
  "minimax.minimax-m2": row("MiniMax M2", "L-A94DA744", "L-CDF99FD2", "L-F2107865"),
  "minimax.minimax-m2.1": row("MiniMax M2.1", "L-C05EB25B", "L-4D2272DC", "L-FB43CE55"),
  "minimax.minimax-m2.5": row("MiniMax M2.5", "L-B49AA29C", "L-C4659D61", "L-BC9ED53F"),
  "mistral.devstral-2-123b": row("Devstral 2 123B", "L-95CB8E2F", "L-11C1CE94", "L-92349F9F"),
  "mistral.magistral-small-2509": row("Magistral Small 2509", "L-53B814D7", "L-78C12D54", "L-37A44E24"),
  "mistral.ministral-3-3b-instruct": row("Ministral 3B", "L-D13C968B", "L-1AD2F2A2", "L-9335BC45"),
  "mistral.ministral-3-8b-instruct": row("Ministral 3 8B", "L-89117837", "L-1F923A43", "L-1401504A"),
  "mistral.ministral-3-14b-instruct": row("Ministral 3 14B", "L-29BDACF9", "L-DBFC8DC8", "L-E3C8B9C9"),
  "mistral.mistral-large-2407-v1:0": row("Mistral Large 2 (24.07)", "L-5D367E5C", "L-CA80888F", "L-BAE2EB93"),
  "mistral.mistral-large-3-675b-instruct": row("Mistral Large 3", "L-090C78B9", "L-90807536", "L-B1E4F57A"),
  "mistral.mistral-small-2402-v1:0": row("Mistral Small", "L-A986092E", "L-072E11FC", "L-E6489B37"),
  "mistral.voxtral-mini-3b-2507": row("Voxtral Mini 3B 2507", "L-BA72E406", "L-CD4E1CD6", "L-7C1813A6"),
  "mistral.voxtral-small-24b-2507": row("Voxtral Small 24B 2507", "L-C540484E", "L-FE086D36", "L-DE84A1A0"),
  "moonshot.kimi-k2-thinking": row("Kimi K2 Thinking", "L-78B4AF01", "L-CEEE0EE8", "L-852FB779"),
  "moonshotai.kimi-k2.5": row("Kimi K2.5", "L-EC77BD96", "L-63010E1B", "L-15B51EC1"),
  "nvidia.nemotron-nano-9b-v2": row("NVIDIA Nemotron Nano 9B", "L-864449ED", "L-5325EC5D", "L-F225D073"),
  "nvidia.nemotron-nano-12b-v2": row("NVIDIA Nemotron Nano 12B", "L-EEE88DB2", "L-214BEB81", "L-FDE45816"),
  "nvidia.nemotron-nano-3-30b": row("NVIDIA Nemotron Nano 3 30B", "L-0ED8E85F", "L-87934C8F", "L-AE040A57"),
  "openai.gpt-oss-20b-1:0": row("OpenAI GPT OSS 20b", "L-50CC95A8", "L-F361DF0F", "L-EF804815"),
  "openai.gpt-oss-120b-1:0": row("OpenAI GPT OSS 120b", "L-07844084", "L-3C5D1B25", "L-9EF11C18"),
  "openai.gpt-oss-safeguard-20b": row("OpenAI GPT OSS Safeguard 20b", "L-811E997F", "L-142AED8F", "L-135AE4B7"),
  "openai.gpt-oss-safeguard-120b": row("OpenAI GPT OSS Safeguard 120b", "L-D9E467C0", "L-1D2360E7", "L-EDE20AF1"),
  "qwen.qwen3-32b-v1:0": row("Qwen3 32B", "L-7B9A79C8", "L-DF5FF3C8", "L-28258E5D"),
  "qwen.qwen3-235b-a22b-2507-v1:0": row("Qwen3 235B", "L-91E3DBE2", "L-C19807B8", "L-FD509977"),
  "qwen.qwen3-coder-30b-a3b-v1:0": row("Qwen3 Coder 30B", "L-F30EAB98", "L-38EFD889", "L-46EFABBA"),
  "qwen.qwen3-coder-480b-a35b-v1:0": row("Qwen3 Coder 480B", "L-A02F87EC", "L-BF9B3702", "L-AE136EE5"),
  "qwen.qwen3-coder-next": row("Qwen3 Coder Next", "L-091EBF74", "L-273728E2", "L-0D1F6A84"),
  "qwen.qwen3-next-80b-a3b": row("Qwen3 Next 80B", "L-EA6F6B5F", "L-320BE465", "L-962E1C58"),
  "qwen.qwen3-vl-235b-a22b": row("Qwen3 VL 235B", "L-990A2394", "L-1F7ACACC", "L-DFE5A893"),
  "writer.palmyra-vision-7b": row("Writer Palmyra Vision 7B", "L-88DE0CAC", "L-121F4E1E", "L-8A361B65"),
  "zai.glm-4.7": row("GLM 4.7", "L-EA873E18", "L-ECA45411", "L-7BE9625C"),
  "zai.glm-4.7-flash": row("GLM 4.7 Flash", "L-E453CCF3", "L-BB255931", "L-8CE8B022"),
  "zai.glm-5": row("GLM 5", "L-5BA88337", "L-64CF3679", "L-8A232422")
}

/**
 * What the name of a quota of batch inference begins with, before ` for <model>`.
 *
 * @since 0.1.0
 * @category configuration
 */
export const phrases: { readonly [kind in keyof Limits]: string } = {
  minRecords: "Minimum number of records per batch inference job",
  maxRecords: "Records per batch inference job",
  maxFileRecords: "Records per input file per batch inference job",
  maxFileBytes: "Batch inference input file size (in GB)",
  maxJobBytes: "Batch inference job size (in GB)",
  maxOpenJobs: "Sum of in-progress and submitted batch inference jobs using a base model"
}

/**
 * What the name of the quota of open jobs begins with for the custom models of a base, which share one.
 *
 * @since 0.1.0
 * @category configuration
 */
export const customPhrase = "Sum of in-progress and submitted batch inference jobs using a custom model"

/**
 * What shares one quota of open jobs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Subject {
  /** The same for all that share the quota. */
  readonly key: string
  /** Null where the model's name does not reveal it. */
  readonly baseModel: string | null
  /** Whether it stands for the custom models of the base. */
  readonly custom: boolean
}

const customModel = /^arn:aws(?:-[^:]+)?:bedrock:[a-z0-9-]+:[0-9]{12}:custom-model\/([a-z0-9-]+\.[^/]+)\/[^/]+$/

/**
 * Finds what a model shares its quota of open jobs with. An inference profile counts as its base model; the custom
 * models of a base share a quota of their own; an application inference profile does not reveal its model and stands
 * alone.
 *
 * @since 0.1.0
 * @category converting
 */
export const subjectOf = (model: string): Subject => {
  const base = baseModel(model)
  if (base !== undefined) return { key: base, baseModel: base, custom: false }
  const custom = customModel.exec(model)?.[1]
  return custom === undefined
    ? { key: model, baseModel: null, custom: false }
    : { key: `${custom}/custom-model`, baseModel: custom, custom: true }
}

/**
 * The entry of a base model in the table; a suffix such as `:200k` does not count. Null where it is not known.
 *
 * @since 0.1.0
 * @category getters
 */
export const modelQuotas = (baseModel: string): ModelQuotas | null => {
  for (const id of [baseModel, baseModel.replace(/:[^:]*$/, "")]) {
    if (Object.hasOwn(models, id)) return models[id]!
  }
  return null
}

/** Case, white space, stray periods and the unit do not count. */
const plain = (text: string): string =>
  text.toLowerCase().replace(/\(in gb\)/g, " ").replace(/\s+/g, " ").replace(/[\s.]+$/, "").trim()

/** The provider stands in some names and not in others. */
const plainModel = (name: string): string => plain(name).replace(/^(?:amazon|anthropic|meta|nvidia|openai|writer) /, "")

const beginnings = [...Object.values(phrases), customPhrase].map(plain)

/**
 * Whether a row of Service Quotas has to do with batch inference.
 *
 * @since 0.1.0
 * @category guards
 */
export const isBatchQuota = ({ name }: Quota): boolean => {
  const text = plain(name)
  return beginnings.some((beginning) => text.startsWith(beginning))
}

/** What a quota's name says behind its phrase, or null where it is another quota. */
const modelIn = (name: string, phrase: string): string | null => {
  const text = plain(name)
  const beginning = `${plain(phrase)} `
  return text.startsWith(beginning) ? plainModel(text.slice(beginning.length).replace(/^for /, "")) : null
}

const names: ReadonlySet<string> = new Set(Object.values(models).map(({ name }) => plainModel(name)))

/**
 * Finds the row of one quota of a subject: by its code, unless the row's name says that it is another quota or another
 * model's, else by the model's name in the quota's. Null where there is none, or the model is not in the table.
 *
 * @since 0.1.0
 * @category getters
 */
export const find = (rows: Iterable<Quota>, kind: keyof Limits, { baseModel, custom }: Subject): Quota | null => {
  const known = baseModel === null ? null : modelQuotas(baseModel)
  if (known === null) return null
  const ofCustom = custom && kind === "maxOpenJobs"
  const phrase = ofCustom ? customPhrase : phrases[kind]
  const code = ofCustom ? undefined : known.codes[kind]
  const wanted = plainModel(known.name)
  let named: Quota | null = null
  for (const candidate of rows) {
    const model = modelIn(candidate.name, phrase)
    if (model === null) continue
    if (candidate.code === code && (model === wanted || !names.has(model))) return candidate
    if (model === wanted) named = candidate
  }
  return named
}
