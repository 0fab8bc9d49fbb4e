/**
 * The catalogue of models that Bedrock's batch inference takes, as data, and early advice from it. It is a list of one
 * day: a model that is not in it may work, and nothing here forbids anything.
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import { batchModels } from "./internal/BatchModels.ts"
import { isModelId, parse } from "./ModelId.ts"
import { rules } from "./Models.ts"
import type { ModelParameters } from "./Processor.ts"

/**
 * The shape of a model's own InvokeModel body.
 *
 * @since 0.2.0
 * @category models
 */
export type Family =
  | "anthropic-messages"
  | "nova"
  | "llama"
  | "mistral-chat"
  | "mistral-text"
  | "openai-chat"
  | "titan-text-embeddings"
  | "titan-multimodal-embeddings"
  | "nova-multimodal-embeddings"

/**
 * What a model takes.
 *
 * @since 0.2.0
 * @category models
 */
export type Modality = "text" | "image" | "document" | "video" | "audio"

/**
 * A foundation model that batch inference takes.
 *
 * @since 0.2.0
 * @category models
 */
export interface BatchModel {
  /** For example `anthropic.claude-haiku-4-5-20251001-v1:0`. */
  readonly id: string
  readonly name: string
  /** As it stands before the first dot of the id. */
  readonly provider: string
  readonly family: Family
  readonly output: "text" | "embedding"
  /** What it is known to take; it may take more. */
  readonly inputs: ReadonlyArray<Modality>
  /** Regions in which the bare id works, in alphabetical order. */
  readonly regions: ReadonlyArray<string>
  /** Regions in which an inference profile works, in alphabetical order. */
  readonly profileRegions: ReadonlyArray<string>
  /** Prefixes of its inference profiles that are known, for example `us` and `global`; there may be more. */
  readonly profiles: ReadonlyArray<string>
  /** The most tokens of an answer; null where it is not known. */
  readonly maxOutputTokens: number | null
  /**
   * What it makes of `temperature` and `topP`: it takes both (`free`), refuses them together (`one-of-both`), or
   * refuses each, but for its default of 1 (`neither`).
   */
  readonly sampling: "free" | "one-of-both" | "neither"
  /**
   * Whether it can be held to a JSON Schema (`outputConfig.textFormat` in Converse, `output_config` or
   * `response_format` in its own body), which batch inference supports wherever the model does; null where it is not
   * known.
   */
  readonly structuredOutput: boolean | null
  /** Set where the model is on its way out; `endOfLife` is a day such as `2027-03-30`, null where it is not known. */
  readonly legacy: { readonly endOfLife: string | null } | null
}

/**
 * Where the catalogue is from, and of which day.
 *
 * @since 0.2.0
 * @category models
 */
export interface Source {
  /** Year and month in which the pages were read. */
  readonly asOf: string
  /** Of ids and Regions. */
  readonly page: string
  /** Of the rest. */
  readonly others: ReadonlyArray<string>
}

/**
 * Where the catalogue is from. Regions and ids are from the page alone. Ceilings are those that users saw enforced
 * (Nova), else those of the models' pages.
 *
 * @since 0.2.0
 * @category configuration
 */
export const source: Source = {
  asOf: "2026-10",
  page: "https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-supported.html",
  others: [
    // Lifecycles, profiles and structured output, as far as the models have a page.
    "https://docs.aws.amazon.com/bedrock/latest/userguide/model-cards.html",
    "https://docs.aws.amazon.com/bedrock/latest/userguide/model-lifecycle-legacy.html",
    // That structured output works in batch inference.
    "https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html",
    // Modalities, and structured output of models whose page was not read (July 2026).
    "https://models.dev"
  ]
}

/**
 * The models, in the order of their ids.
 *
 * @since 0.2.0
 * @category models
 */
export const models: ReadonlyArray<BatchModel> = batchModels

const byId: ReadonlyMap<string, BatchModel> = new Map(models.map((model) => [model.id, model]))

const ofBase = (base: string): BatchModel | null => byId.get(base) ?? byId.get(base.replace(/:[^:]*$/, "")) ?? null

/**
 * Finds a model by its id, an inference profile of it, or an ARN of either; a suffix such as `:128k` does not count.
 * Null where it is not in the catalogue, or the name does not reveal it.
 *
 * @since 0.2.0
 * @category getters
 * @example
 * ```ts
 * import { Catalogue } from "@bedrock-batch/processors"
 *
 * Catalogue.find("us.amazon.nova-micro-v1:0")?.maxOutputTokens // 10000
 * ```
 */
export const find = (model: string): BatchModel | null => {
  const parsed = parse(model)
  return Result.isSuccess(parsed) ? ofBase(parsed.success.baseModel) : null
}

/** Prefixes of profiles that may be called from a Region, the nearest first. */
const prefixesFrom = (region: string): ReadonlyArray<string> => {
  const [area = "", part = "", zone = ""] = region.split("-")
  if (area === "us" && part === "gov") return ["us-gov"]
  if (area === "us" || area === "eu") return [area, "global"]
  if (area === "ca") return ["us", "global"]
  const near = area !== "ap"
    ? []
    : part === "northeast" && (zone === "1" || zone === "3")
    ? ["jp"]
    : part === "southeast" && (zone === "2" || zone === "4")
    ? ["au"]
    : []
  return [...near, ...(area === "ap" ? ["apac"] : []), "global"]
}

/**
 * The names by which a model may be used for batch inference in a Region, the nearest first: the bare id where it works
 * there, then inference profiles that are known. An id that Bedrock takes only as an ARN is left out. Empty where the
 * list has none.
 *
 * @since 0.2.0
 * @category getters
 * @example
 * ```ts
 * import { Catalogue } from "@bedrock-batch/processors"
 *
 * const nova = Catalogue.find("amazon.nova-lite-v1:0")
 *
 * nova === null ? [] : Catalogue.namesIn(nova, "eu-west-1") // ["eu.amazon.nova-lite-v1:0"]
 * ```
 */
export const namesIn = (model: BatchModel, region: string): ReadonlyArray<string> => [
  ...(model.regions.includes(region) ? [model.id] : []),
  ...(model.profileRegions.includes(region)
    ? prefixesFrom(region).filter((prefix) => model.profiles.includes(prefix)).map((prefix) => `${prefix}.${model.id}`)
    : []).filter(isModelId)
]

/**
 * Whether Bedrock is known to refuse batch jobs of a model, whatever the name it is given by.
 *
 * @since 0.2.0
 * @category guards
 */
export const isRefused = (model: string): boolean => {
  const parsed = parse(model)
  if (Result.isFailure(parsed) || ofBase(parsed.success.baseModel) !== null) return false
  return rules.find((rule) => rule.ids.test(parsed.success.baseModel))?.support === "not-batch-capable"
}

/**
 * What a piece of advice is about.
 *
 * | kind | meaning |
 * | --- | --- |
 * | `profile-needed` | in this Region the model is reached by an inference profile only |
 * | `profile-elsewhere` | the inference profile is of another part of the world than the Region |
 * | `not-in-region` | the model is on the list, but not for this Region |
 * | `legacy` | the model is on its way out |
 * | `refused` | Bedrock is known to refuse batch jobs of the model |
 * | `unlisted` | the model is not on the list |
 * | `temperature-with-top-p` | the model refuses the two together, in every record |
 * | `no-sampling` | the model refuses `temperature` and `topP`, in every record |
 * | `max-tokens` | `maxTokens` is above what the model gives, which fails every record |
 *
 * @since 0.2.0
 * @category models
 */
export type AdviceKind =
  | "profile-needed"
  | "profile-elsewhere"
  | "not-in-region"
  | "legacy"
  | "refused"
  | "unlisted"
  | "temperature-with-top-p"
  | "no-sampling"
  | "max-tokens"

/**
 * Something to look at before a job is paid for. It never forbids: the list may be older than the model.
 *
 * @since 0.2.0
 * @category models
 */
export interface Advice {
  readonly kind: AdviceKind
  readonly severity: "warning"
  /** What is the matter, and what to do; no contents of records. */
  readonly message: string
}

/**
 * What advice is asked for.
 *
 * @since 0.2.0
 * @category configuration
 */
export interface AdviceOptions {
  /** Model id, inference profile id or ARN. */
  readonly model: string
  /** Region of the job. */
  readonly region: string
  readonly parameters?: ModelParameters | undefined
}

const warning = (kind: AdviceKind, message: string): Advice => ({ kind, severity: "warning", message })

const list = `the list of ${source.asOf}`

/** The parts of the world that a profile cannot be called from, where that is sure. */
const elsewhere: { readonly [prefix: string]: RegExp } = {
  us: /^(?:eu|ap|us-gov)-/,
  eu: /^(?:us|ap|ca|sa)-/,
  apac: /^(?:us|eu|ca|sa)-/,
  jp: /^(?:us|eu|ca|sa)-/,
  au: /^(?:us|eu|ca|sa)-/,
  global: /^us-gov-/,
  "us-gov": /^(?!us-gov-)/
}

const ofPlace = (model: BatchModel, profile: string | null, region: string): ReadonlyArray<Advice> => {
  const names = namesIn(model, region)
  const instead = names.length === 0 ? "" : `: name ${names.join(" or ")}`
  const isListed = model.regions.includes(region) || model.profileRegions.includes(region)
  if (!isListed) {
    const message = `batch inference has the model ${model.id} in other Regions than ${region}, by ${list} ` +
      `(${[...new Set([...model.regions, ...model.profileRegions])].sort().join(", ")}); probe asks Bedrock itself`
    return [warning("not-in-region", message)]
  }
  if (profile === null && !model.regions.includes(region)) {
    const message = `the model ${model.id} is reached in ${region} by an inference profile only, by ${list}${
      instead === "" ? "; ListInferenceProfiles shows which" : instead
    }`
    return [warning("profile-needed", message)]
  }
  if (profile === null || elsewhere[profile]?.test(region) !== true) return []
  const message = `the inference profile ${profile}.${model.id} is not one of ${region}, by its prefix${instead}`
  return [warning("profile-elsewhere", message)]
}

const ofParameters = (model: BatchModel, parameters: ModelParameters): ReadonlyArray<Advice> => {
  const { maxTokens, temperature, topP } = parameters
  const { id, maxOutputTokens, sampling } = model
  const isSet = (value: number | undefined) => value !== undefined && value !== 1
  const given: Array<Advice> = []
  if (sampling === "neither" && (isSet(temperature) || isSet(topP))) {
    const message = `the model ${id} refuses temperature and topP, in every record: leave them out`
    given.push(warning("no-sampling", message))
  } else if (sampling === "one-of-both" && temperature !== undefined && topP !== undefined) {
    const message = `the model ${id} refuses temperature together with topP, in every record: give one of them`
    given.push(warning("temperature-with-top-p", message))
  }
  if (maxOutputTokens !== null && maxTokens !== undefined && maxTokens > maxOutputTokens) {
    const message = `maxTokens is ${maxTokens}, and the model ${id} gives at most ${maxOutputTokens}, by ${list}: ` +
      "more may fail every record"
    given.push(warning("max-tokens", message))
  }
  return given
}

/**
 * What the catalogue has to say against a model in a Region with some parameters, before anything is written or paid
 * for; empty where there is nothing. Application inference profiles and custom models do not reveal their model: of
 * them nothing is said.
 *
 * @since 0.2.0
 * @category getters
 * @example
 * ```ts
 * import { Catalogue } from "@bedrock-batch/processors"
 *
 * Catalogue.advice({ model: "anthropic.claude-opus-5", region: "us-east-1" })[0]?.kind // "profile-needed"
 * ```
 */
export const advice = ({ model, parameters, region }: AdviceOptions): ReadonlyArray<Advice> => {
  const parsed = parse(model)
  if (Result.isFailure(parsed)) return []
  const { baseModel, profile } = parsed.success
  const known = ofBase(baseModel)
  if (known === null) {
    return [
      isRefused(model)
        ? warning("refused", `Bedrock is known to refuse batch jobs of the model ${baseModel}; probe asks it again`)
        : warning(
          "unlisted",
          `the model ${baseModel} is not on ${list} of batch inference: it may work; ask with probe`
        )
    ]
  }
  const { legacy } = known
  const endOfLife = legacy?.endOfLife ?? null
  return [
    ...ofPlace(known, profile, region),
    ...(legacy === null ? [] : [
      warning(
        "legacy",
        `the model ${known.id} is legacy${
          endOfLife === null ? "" : `, and ends on ${endOfLife} (in some Regions on another day)`
        }: choose another for new work`
      )
    ]),
    ...ofParameters(known, parameters ?? {})
  ]
}
