/**
 * The names by which Bedrock knows a model: bare ids, inference-profile ids and ARNs.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { providers } from "./Models.ts"

/**
 * A model that its name reveals.
 *
 * @since 0.1.0
 * @category models
 */
export interface ResolvedModel {
  /** The id of the foundation model, for example `anthropic.claude-haiku-4-5-20251001-v1:0`. */
  readonly baseModel: string
  /** The prefix of the inference profile, for example `us`, `eu` or `global`; null where no profile is named. */
  readonly profile: string | null
}

/**
 * A name that does not reveal its model; `message` says why.
 *
 * @since 0.1.0
 * @category models
 */
export interface UnresolvedModel {
  readonly model: string
  readonly message: string
}

const bareId = /^[a-z0-9-]{1,63}\.(?:[a-z0-9-]{1,63}\.[a-z0-9-]{1,63}|[a-z0-9-]{2,126})(?::[a-z0-9-]{1,63}){0,2}$/
const plainName = /^(?:[0-9a-zA-Z][_-]?)+$/
const arnParts = /^arn:(aws(?:-[^:]+)?):bedrock:([a-z0-9-]{1,20}):([^]*)$/
const accountResource = /^[0-9]{12}:(custom-model|inference-profile|application-inference-profile)\/([^]*)$/
const customModel = /^[a-z0-9-]{1,63}\.[a-z0-9-:]{1,63}\/[a-z0-9]{12}$/
const profileName = /^[a-zA-Z0-9-:.]+$/
const foundationModel = ":foundation-model/"

/**
 * Whether Bedrock takes a string as the `modelId` of a batch job: the service's own pattern, but in time linear in the
 * string's length. It says nothing about whether the model exists.
 *
 * A bare id has at most two dots: `us.anthropic.claude-opus-5` and `deepseek.v3.2` pass, `us.deepseek.v3.2` does not;
 * for such a profile the ARN is needed.
 *
 * @since 0.1.0
 * @category guards
 */
export const isModelId = (model: string): boolean => {
  if (model.length < 1 || model.length > 2048) return false
  const resource = arnParts.exec(model)?.[3]
  if (resource === undefined) return bareId.test(model) || plainName.test(model)
  if (resource.startsWith(foundationModel)) return bareId.test(resource.slice(foundationModel.length))
  const [, kind, name = ""] = accountResource.exec(resource) ?? []
  if (kind === undefined) return plainName.test(resource)
  return (kind === "custom-model" ? customModel : profileName).test(name)
}

const geographies: ReadonlySet<string> = new Set([
  "global",
  "us",
  "us-gov",
  "eu",
  "apac",
  "jp",
  "au",
  "ca",
  "il",
  "me",
  "sa",
  "af",
  "in",
  "kr",
  "uk",
  "mx"
])

const fromId = (id: string): ResolvedModel => {
  const [profile = "", provider = "", name = ""] = id.split(".", 3)
  const isProfile = name !== "" && (geographies.has(profile) || (providers.has(provider) && !providers.has(profile)))
  return isProfile ? { baseModel: id.slice(profile.length + 1), profile } : { baseModel: id, profile: null }
}

/**
 * Finds the foundation model that a model id, an inference-profile id or an ARN of either names. Application inference
 * profiles and custom models have names of their own that do not say which model they use; these and other ARNs give an
 * {@link UnresolvedModel}.
 *
 * @since 0.1.0
 * @category combinators
 * @example
 * ```ts
 * import { ModelId } from "@bedrock-batch/processors"
 *
 * ModelId.parse("eu.amazon.nova-pro-v1:0")
 * // Success { baseModel: "amazon.nova-pro-v1:0", profile: "eu" }
 * ModelId.parse("arn:aws:bedrock:us-east-1::foundation-model/deepseek.v3.2")
 * // Success { baseModel: "deepseek.v3.2", profile: null }
 * ```
 */
export const parse = (model: string): Result.Result<ResolvedModel, UnresolvedModel> => {
  const unresolved = (message: string) => Result.fail({ model, message })
  if (!model.startsWith("arn:")) {
    return model === "" ? unresolved("the model id is empty") : Result.succeed(fromId(model))
  }
  const resource = arnParts.exec(model)?.[3]
  if (resource === undefined) return unresolved("it is not the ARN of a Bedrock model")
  if (resource.startsWith(foundationModel)) return Result.succeed(fromId(resource.slice(foundationModel.length)))
  const [, kind, name = ""] = accountResource.exec(resource) ?? []
  switch (kind) {
    case "inference-profile":
      return name === "" ? unresolved("it names no inference profile") : Result.succeed(fromId(name))
    case "application-inference-profile":
      return unresolved("the name of an application inference profile does not say which model it uses")
    case "custom-model":
      return unresolved("the name of a custom model does not say how it is asked")
    default:
      return unresolved("batch inference takes ARNs of foundation models, inference profiles and custom models only")
  }
}

/**
 * Strips a model's name to the id of the foundation model, which is also what Bedrock's quotas are counted by;
 * undefined where the name does not reveal it (see {@link parse}).
 *
 * @since 0.1.0
 * @category getters
 * @example
 * ```ts
 * import { ModelId } from "@bedrock-batch/processors"
 *
 * ModelId.baseModel("us.anthropic.claude-haiku-4-5-20251001-v1:0") // "anthropic.claude-haiku-4-5-20251001-v1:0"
 * ```
 */
export const baseModel = (model: string): string | undefined =>
  Result.getOrUndefined(Result.map(parse(model), (resolved) => resolved.baseModel))
