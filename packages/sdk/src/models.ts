/**
 * The models of an account, and whether batch inference takes them: what Bedrock lists, joined with the catalogue.
 *
 * @since 0.2.0
 */
import * as Catalogue from "@bedrock-batch/processors/Catalogue"
import { baseModel } from "@bedrock-batch/processors/ModelId"
import * as Effect from "effect/Effect"
import { BatchError, InvalidOption } from "./BatchError.ts"
import { type Availability, FoundationModels, type InferenceProfile } from "./bedrock/FoundationModels.ts"
import { accessOf, basesOf, isVariant, join, look } from "./internal/ModelJoin.ts"

/**
 * Something that could not be asked for want of a permission. What it would have told is null or `unknown`.
 *
 * @since 0.2.0
 * @category models
 */
export interface Gap {
  /** The IAM action that is missing, for example `bedrock:ListInferenceProfiles`. */
  readonly action: string
  /** Bedrock's own words. */
  readonly message: string
}

/**
 * Whether the account may use a model: by the four parts of Bedrock's answer together.
 *
 * @since 0.2.0
 * @category models
 */
export interface Access {
  readonly verdict: "yes" | "no" | "unknown"
  /** Null where it could not be asked. */
  readonly parts: Availability | null
}

/**
 * A foundation model: what Bedrock lists of it in the account and Region, and what the catalogue knows.
 *
 * @since 0.2.0
 * @category models
 */
export interface ModelInfo {
  readonly id: string
  readonly name: string | null
  readonly provider: string | null
  /**
   * Whether batch inference takes it in this Region, by the catalogue: Bedrock has no call that tells, but for
   * `probe`.
   */
  readonly batch: "yes" | "no" | "unknown"
  /** Why `batch` is not `yes`; null where it is. */
  readonly why: string | null
  /** What to give as `model` in this Region, the best first; empty where that is not known. */
  readonly names: ReadonlyArray<string>
  /** Whether only an inference profile will do; null where it is not known. */
  readonly needsProfile: boolean | null
  /** The shape of its own bodies; null where it is not known. */
  readonly family: Catalogue.Family | null
  /** Id of the built-in processor that `prepare` would take, for example `converse/1`; null where there is none. */
  readonly processor: string | null
  /** In Bedrock's words, for example `TEXT`; null where they are not told. */
  readonly inputs: ReadonlyArray<string> | null
  /** As `inputs`. */
  readonly outputs: ReadonlyArray<string> | null
  /** Whether Bedrock lists it in this Region; null where it could not be asked. */
  readonly isListed: boolean | null
  /** Whether it is on its way out, by Bedrock's list, else by the catalogue. */
  readonly isLegacy: boolean | null
  /** The day, for example `2027-03-30`; null where it is not known. */
  readonly endOfLife: string | null
  /** Its inference profiles, Bedrock's own and the account's; null where they could not be listed. */
  readonly profiles: ReadonlyArray<InferenceProfile> | null
  /** Null where it was not asked for. */
  readonly access: Access | null
  /** What the catalogue has of it; null where it is not listed there. */
  readonly catalogue: Catalogue.BatchModel | null
}

/**
 * The models of an account in a Region.
 *
 * @since 0.2.0
 * @category models
 */
export interface ModelList {
  readonly region: string
  /** In the order of their ids; models that the catalogue has in the Region among them, listed by Bedrock or not. */
  readonly models: ReadonlyArray<ModelInfo>
  /** What could not be asked. */
  readonly gaps: ReadonlyArray<Gap>
}

/**
 * One model in full.
 *
 * @since 0.2.0
 * @category models
 */
export interface ModelDetails extends ModelInfo {
  readonly region: string
  /** What the catalogue has to say against the name that was asked for, in this Region. */
  readonly advice: ReadonlyArray<Catalogue.Advice>
  /** What could not be asked. */
  readonly gaps: ReadonlyArray<Gap>
}

/**
 * Options of `models`.
 *
 * @since 0.2.0
 * @category configuration
 */
export interface ModelsOptions {
  /**
   * Whether to ask, for each model that batch inference may take, whether the account may use it: one call a model.
   * Default: false.
   */
  readonly access?: boolean | undefined
  /** Such calls at a time; default 4. */
  readonly concurrency?: number | undefined
}

const defaultConcurrency = 4

/** What does not hold for a profile of the account. */
const ofPlace: ReadonlySet<Catalogue.AdviceKind> = new Set(["profile-needed", "profile-elsewhere", "not-in-region"])

/**
 * Lists the models that the account sees in its Region, joined with the catalogue: whether batch inference takes them,
 * by which names, in which shape. Two paged lists and one call, however many models there are; `access` asks one more
 * for each model.
 *
 * Without the permission for one of the calls the rest is told all the same; `gaps` says what is missing. Fails with
 * `Unavailable` where Bedrock is not to be reached, and `Refused` without credentials.
 *
 * @since 0.2.0
 * @category verbs
 * @example
 * ```ts
 * import { Aws, models } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * const program = Effect.map(models(), (list) =>
 *   list.models.filter(({ batch }) => batch === "yes").map(({ names }) => names[0])
 * ).pipe(
 *   Effect.provide(Aws.layer({ bucket: "my-bucket", roleArn: "arn:aws:iam::123456789012:role/bedrock-batch" }))
 * )
 * ```
 */
export const models = Effect.fn("models")(function*(
  options: ModelsOptions = {}
): Effect.fn.Return<ModelList, BatchError, FoundationModels> {
  const concurrency = options.concurrency ?? defaultConcurrency
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    const message = `concurrency is ${concurrency}, and must be an integer of at least 1`
    return yield* new BatchError({
      module: "models",
      method: "models",
      reason: new InvalidOption({ path: "concurrency", message })
    })
  }
  const service = yield* FoundationModels
  const gaps: Array<Gap> = []
  const listed = yield* look(service, gaps)
  const { region } = listed
  const here = Catalogue.models.filter((model) =>
    model.regions.includes(region) || model.profileRegions.includes(region)
  )
  const ids = new Set([...listed.models?.keys() ?? [], ...listed.profiles?.keys() ?? [], ...here.map(({ id }) => id)])
  const all = [...ids].filter((id) => !isVariant(id, ids)).sort().map((id) => join(id, listed))
  const told = options.access !== true ? all : yield* Effect.forEach(
    all,
    (info) =>
      info.batch === "no"
        ? Effect.succeed(info)
        : Effect.map(accessOf(service, info.id, gaps), (access): ModelInfo => ({ ...info, access })),
    { concurrency }
  )
  return { region, models: told, gaps }
})

/**
 * Shows one model in full, by its id, an inference profile (an application inference profile, too, if it may be listed)
 * or an ARN: as `models` does, with whether the account may use it, and the advice that the catalogue has for just that
 * name in this Region. A model that nobody knows is shown as such. Fails with `InvalidOption` for a name that does not
 * lead to a model.
 *
 * @since 0.2.0
 * @category verbs
 * @example
 * ```ts
 * import { model } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * const program = Effect.map(model("anthropic.claude-haiku-4-5-20251001-v1:0"), ({ access, batch, names }) =>
 *   batch === "yes" && access?.verdict === "yes" ? names[0] : undefined
 * )
 * ```
 */
export const model = Effect.fn("model")(function*(
  name: string
): Effect.fn.Return<ModelDetails, BatchError, FoundationModels> {
  const service = yield* FoundationModels
  const gaps: Array<Gap> = []
  const listed = yield* look(service, gaps)
  const own = listed.application.find(({ arn, id }) => arn === name || id === name)
  const id = own === undefined ? baseModel(name) : [...basesOf(own)][0]
  if (id === undefined || id === "") {
    const hint = gaps.some(({ action }) => action === "bedrock:ListInferenceProfiles")
      ? "; bedrock:ListInferenceProfiles is not permitted, so that application inference profiles are not known"
      : ": give a model id, an inference profile or an ARN of one of this Region"
    return yield* new BatchError({
      module: "models",
      method: "model",
      reason: new InvalidOption({ path: "model", message: `${JSON.stringify(name)} does not lead to a model${hint}` })
    })
  }
  const access = yield* accessOf(service, id, gaps)
  const { region } = listed
  const advice = own === undefined
    ? Catalogue.advice({ model: name, region })
    : Catalogue.advice({ model: id, region }).filter(({ kind }) => !ofPlace.has(kind))
  return { ...join(id, listed), access, region, advice, gaps }
})
