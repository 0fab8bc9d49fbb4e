/**
 * What Bedrock lists of models, and how it is joined with the catalogue.
 *
 * @internal
 */
import * as Catalogue from "@bedrock-batch/processors/Catalogue"
import { forModel } from "@bedrock-batch/processors/Families"
import { baseModel, isModelId } from "@bedrock-batch/processors/ModelId"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { BatchError } from "../BatchError.ts"
import type { Availability, FoundationModel, FoundationModels, InferenceProfile } from "../bedrock/FoundationModels.ts"
import type { Access, Gap, ModelInfo } from "../models.ts"

/** Asks; without the permission the answer is null, and said so. */
const orGap = <A>(action: string, gaps: Array<Gap>, asking: Effect.Effect<A, BatchError>) =>
  Effect.catchIf(
    asking,
    ({ reason }) => reason._tag === "Refused" && reason.code === "AccessDeniedException",
    ({ reason }) =>
      Effect.sync(() => {
        if (!gaps.some((gap) => gap.action === action)) gaps.push({ action, message: reason.message })
        return null
      })
  )

const verdictOf = (parts: Availability): Access["verdict"] => {
  const told = [parts.agreement, parts.authorization, parts.entitlement, parts.region]
  if (told.some((part) => part !== null && part !== "AVAILABLE" && part !== "AUTHORIZED")) return "no"
  return told.includes(null) ? "unknown" : "yes"
}

/** Whether the account may use a model. @internal */
export const accessOf = (service: FoundationModels["Service"], id: string, gaps: Array<Gap>) =>
  orGap("bedrock:GetFoundationModelAvailability", gaps, service.availability(id)).pipe(
    // A model that is not known here.
    Effect.catchIf(
      ({ reason }) =>
        reason._tag === "Refused" &&
        (reason.code === "ResourceNotFoundException" || reason.code === "ValidationException"),
      () => Effect.succeed(null)
    ),
    Effect.map((parts): Access => ({ verdict: parts === null ? "unknown" : verdictOf(parts), parts }))
  )

/** What Bedrock lists in the Region; null where it may not be asked. @internal */
export interface Listed {
  readonly region: string
  readonly models: ReadonlyMap<string, FoundationModel> | null
  readonly profiles: ReadonlyMap<string, ReadonlyArray<InferenceProfile>> | null
  readonly application: ReadonlyArray<InferenceProfile>
}

/** The foundation models behind a profile. @internal */
export const basesOf = ({ models }: InferenceProfile): ReadonlySet<string> =>
  new Set(models.flatMap((arn) => baseModel(arn) ?? []))

/** Asks for all lists at once. @internal */
export const look = Effect.fnUntraced(function*(service: FoundationModels["Service"], gaps: Array<Gap>) {
  const profilesOf = (type: "SYSTEM_DEFINED" | "APPLICATION") =>
    orGap("bedrock:ListInferenceProfiles", gaps, Stream.runCollect(service.profiles(type)))
  const [models, system, application] = yield* Effect.all(
    [
      orGap("bedrock:ListFoundationModels", gaps, service.list),
      profilesOf("SYSTEM_DEFINED"),
      profilesOf("APPLICATION")
    ],
    { concurrency: "unbounded" }
  )
  let profiles: Map<string, Array<InferenceProfile>> | null = null
  if (system !== null || application !== null) {
    profiles = new Map()
    for (const profile of [...system ?? [], ...application ?? []]) {
      for (const base of basesOf(profile)) profiles.set(base, [...profiles.get(base) ?? [], profile])
    }
  }
  const listed: Listed = {
    region: service.region,
    models: models === null ? null : new Map(models.map((model) => [model.id, model])),
    profiles,
    application: application ?? []
  }
  return listed
})

/** The Region's own part of the world first, then the whole world, then the account's profiles. */
const rankOf = ({ id, type }: InferenceProfile): number => type === "APPLICATION" ? 2 : id.startsWith("global.") ? 1 : 0

const namesOf = (
  model: Catalogue.BatchModel | null,
  seen: FoundationModel | null,
  profiles: ReadonlyArray<InferenceProfile> | null,
  region: string
): ReadonlyArray<string> => {
  if (model !== null && (profiles === null || profiles.length === 0)) return Catalogue.namesIn(model, region)
  // What is not in the catalogue is likely to be named as it is on demand.
  const bare = model === null
    ? seen?.isOnDemand === true ? [seen.id] : []
    : model.regions.includes(region)
    ? [model.id]
    : []
  if (profiles === null) return bare
  const usable = profiles.filter(({ isActive }) => isActive).sort((a, b) => rankOf(a) - rankOf(b))
  // Application profiles are named by their ARN, and so are ids with more dots than Bedrock takes.
  return [...bare, ...usable.map(({ arn, id, type }) => type === "APPLICATION" || !isModelId(id) ? arn : id)]
}

const whyNot = (id: string, model: Catalogue.BatchModel | null, region: string): Pick<ModelInfo, "batch" | "why"> => {
  if (model !== null && (model.regions.includes(region) || model.profileRegions.includes(region))) {
    return { batch: "yes", why: null }
  }
  const said = Catalogue.advice({ model: id, region })
  const about = (kind: Catalogue.AdviceKind) => said.find((advice) => advice.kind === kind)?.message
  const no = about("refused") ?? about("not-in-region")
  return no === undefined ? { batch: "unknown", why: about("unlisted") ?? null } : { batch: "no", why: no }
}

/** Joins what is listed of a model with the catalogue. @internal */
export const join = (id: string, { models, profiles, region }: Listed): ModelInfo => {
  const model = Catalogue.find(id)
  const seen = models?.get(id) ?? null
  const own = profiles === null ? null : profiles.get(id) ?? []
  const processor = forModel(id)
  const known = model === null ? null : model.legacy !== null
  return {
    id,
    name: seen?.name ?? model?.name ?? null,
    provider: seen?.provider ?? model?.provider ?? null,
    ...whyNot(id, model, region),
    names: namesOf(model, seen, own, region),
    needsProfile: model === null ? null : !model.regions.includes(region),
    family: model?.family ?? null,
    processor: Result.isSuccess(processor) ? processor.success.id : null,
    inputs: seen?.inputs ?? null,
    outputs: seen?.outputs ?? null,
    isListed: models === null ? null : seen !== null,
    isLegacy: seen === null || seen.lifecycle === null ? known : seen.lifecycle === "LEGACY",
    endOfLife: seen?.endOfLife?.slice(0, 10) ?? model?.legacy?.endOfLife ?? null,
    profiles: own,
    access: null,
    catalogue: model
  }
}

/**
 * Bedrock lists variants such as `amazon.nova-lite-v1:0:24k` beside their model; they are for provisioned use.
 *
 * @internal
 */
export const isVariant = (id: string, ids: ReadonlySet<string>): boolean => {
  const shorter = id.replace(/:[^:]*$/, "")
  return shorter !== id && ids.has(shorter)
}
