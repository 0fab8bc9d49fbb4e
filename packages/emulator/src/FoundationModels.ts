/**
 * The lists of models of the control plane: what an account sees in a Region. The models are those of the catalogue
 * that have batch inference there, and some that it does not take.
 *
 * @since 0.2.0
 */
import * as Catalogue from "@bedrock-batch/processors/Catalogue"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { Faults } from "./Faults.ts"
import * as Model from "./Model.ts"
import { type ExceptionName, ServiceException } from "./ServiceException.ts"
import type { Operation, Tally } from "./Stats.ts"
import { constraints, Findings } from "./Validation.ts"

/**
 * What the service answers from.
 *
 * @since 0.2.0
 * @category models
 */
export interface Source {
  readonly region: string
  readonly accountId: string
  /** Ids of models that the account may not use. */
  readonly withoutAccess: ReadonlyArray<string>
  /** Base models of the account's application inference profiles, by the names of the profiles. */
  readonly applicationProfiles: { readonly [name: string]: string }
  readonly faults: Faults
  readonly tally: Tally
}

/**
 * The query of a list, as it stands in the URL.
 *
 * @since 0.2.0
 * @category models
 */
export interface Query {
  readonly [name: string]: string | undefined
}

/**
 * A foundation model as ListFoundationModels shows it.
 *
 * @since 0.2.0
 * @category models
 */
export interface ModelSummary {
  readonly modelArn: string
  readonly modelId: string
  readonly modelName: string
  readonly providerName: string
  readonly inputModalities: ReadonlyArray<string>
  readonly outputModalities: ReadonlyArray<string>
  readonly responseStreamingSupported: boolean
  readonly customizationsSupported: ReadonlyArray<string>
  readonly inferenceTypesSupported: ReadonlyArray<string>
  readonly modelLifecycle: { readonly status: string; readonly endOfLifeTime?: string }
}

/**
 * An inference profile as ListInferenceProfiles shows it.
 *
 * @since 0.2.0
 * @category models
 */
export interface ProfileSummary {
  readonly inferenceProfileName: string
  readonly description: string
  readonly createdAt: string
  readonly updatedAt: string
  readonly inferenceProfileArn: string
  readonly models: ReadonlyArray<{ readonly modelArn: string }>
  readonly inferenceProfileId: string
  readonly status: "ACTIVE"
  readonly type: "SYSTEM_DEFINED" | "APPLICATION"
}

/**
 * What GetFoundationModelAvailability answers.
 *
 * @since 0.2.0
 * @category models
 */
export interface ModelAvailability {
  readonly modelId: string
  readonly agreementAvailability: { readonly status: string }
  readonly authorizationStatus: string
  readonly entitlementAvailability: string
  readonly regionAvailability: string
}

/**
 * The three operations.
 *
 * @since 0.2.0
 * @category models
 */
export interface FoundationModels {
  readonly list: (
    query: Query
  ) => Effect.Effect<{ readonly modelSummaries: ReadonlyArray<ModelSummary> }, ServiceException>
  readonly profiles: (query: Query) => Effect.Effect<{
    readonly inferenceProfileSummaries: ReadonlyArray<ProfileSummary>
    readonly nextToken?: string
  }, ServiceException>
  readonly availability: (modelId: string) => Effect.Effect<ModelAvailability, ServiceException>
}

const providers: { readonly [provider: string]: string } = {
  amazon: "Amazon",
  anthropic: "Anthropic",
  cohere: "Cohere",
  deepseek: "DeepSeek",
  google: "Google",
  meta: "Meta",
  minimax: "MiniMax",
  mistral: "Mistral AI",
  moonshot: "Moonshot AI",
  moonshotai: "Moonshot AI",
  nvidia: "NVIDIA",
  openai: "OpenAI",
  qwen: "Qwen",
  zai: "Z.AI"
}

const onDemand = ["ON_DEMAND"]

/** Models that an account sees and batch inference does not take, and a variant for provisioned use. */
const others = [
  { id: "amazon.nova-2-sonic-v1:0", name: "Nova 2 Sonic", inputs: ["SPEECH"], outputs: ["SPEECH", "TEXT"] },
  { id: "anthropic.claude-opus-4-8", name: "Claude Opus 4.8", inputs: ["TEXT", "IMAGE"], outputs: ["TEXT"] },
  { id: "cohere.embed-v4:0", name: "Embed v4", inputs: ["TEXT", "IMAGE"], outputs: ["EMBEDDING"] },
  { id: "zai.glm-5", name: "GLM 5", inputs: ["TEXT"], outputs: ["TEXT"] }
] as const
const variant = "amazon.nova-lite-v1:0:24k"

const isHere = (region: string) => (model: Catalogue.BatchModel) =>
  model.regions.includes(region) || model.profileRegions.includes(region)

/** Documents are no modality in Bedrock's words. */
const modalityOf = (modality: Catalogue.Modality) =>
  modality === "document" ? [] : [modality === "audio" ? "SPEECH" : modality.toUpperCase()]

const time = "2026-01-01T00:00:00Z"
const largestPage = 1000
const defaultPage = 100

const refuse = (name: ExceptionName, message: string) => new ServiceException({ name, message })

/**
 * Makes the operations.
 *
 * @since 0.2.0
 * @category constructors
 */
export const make = (source: Source): FoundationModels => {
  const { accountId, applicationProfiles, faults, region, tally, withoutAccess } = source
  const here = Catalogue.models.filter(isHere(region))

  const arnOf = (id: string, destination = region) => Model.arn(destination, "", `foundation-model/${id}`)
  const summaryOf = (
    id: string,
    name: string,
    inputs: ReadonlyArray<string>,
    outputs: ReadonlyArray<string>,
    inferenceTypes: ReadonlyArray<string>,
    legacy: Catalogue.BatchModel["legacy"] = null
  ): ModelSummary => ({
    modelArn: arnOf(id),
    modelId: id,
    modelName: name,
    providerName: providers[id.slice(0, id.indexOf("."))] ?? "",
    inputModalities: inputs,
    outputModalities: outputs,
    responseStreamingSupported: outputs.includes("TEXT"),
    customizationsSupported: [],
    inferenceTypesSupported: inferenceTypes,
    modelLifecycle: legacy === null ? { status: "ACTIVE" } : {
      status: "LEGACY",
      ...(legacy.endOfLife === null ? {} : { endOfLifeTime: `${legacy.endOfLife}T00:00:00Z` })
    }
  })
  const summaries = [
    ...here.map((model) =>
      summaryOf(
        model.id,
        model.name,
        model.inputs.flatMap(modalityOf),
        [model.output === "embedding" ? "EMBEDDING" : "TEXT"],
        model.regions.includes(region) ? onDemand : [],
        model.legacy
      )
    ),
    ...others.map(({ id, inputs, name, outputs }) => summaryOf(id, name, inputs, outputs, onDemand)),
    summaryOf(variant, "Nova Lite", ["TEXT", "IMAGE", "VIDEO"], ["TEXT"], ["PROVISIONED"])
  ]

  const summaryOfProfile = (
    id: string,
    name: string,
    resource: string,
    type: ProfileSummary["type"],
    models: ReadonlyArray<string>
  ): ProfileSummary => ({
    inferenceProfileName: name,
    description: "",
    createdAt: time,
    updatedAt: time,
    inferenceProfileArn: Model.arn(region, accountId, `${resource}/${id}`),
    models: models.map((modelArn) => ({ modelArn })),
    inferenceProfileId: id,
    status: "ACTIVE",
    type
  })
  const systemDefined = here.flatMap((model) =>
    Catalogue.namesIn(model, region).filter((name) => name !== model.id).map((id) => {
      const prefix = id.slice(0, id.length - model.id.length - 1)
      const area = region.split("-", 1)[0]
      const destinations = model.profileRegions.filter((name) => prefix === "global" || name.startsWith(`${area}-`))
      return summaryOfProfile(
        id,
        `${prefix.toUpperCase()} ${model.name}`,
        "inference-profile",
        "SYSTEM_DEFINED",
        destinations.map((destination) => arnOf(model.id, destination))
      )
    })
  )
  const application = Object.entries(applicationProfiles).map(([name, base]) =>
    summaryOfProfile(
      createHash("sha256").update(name).digest("hex").slice(0, 12),
      name,
      "application-inference-profile",
      "APPLICATION",
      [arnOf(base)]
    )
  )

  const asked = <A>(
    operation: Operation,
    action: string,
    denied: "denyModels" | "denyProfiles" | "denyAvailability",
    answer: () => A | ServiceException
  ) =>
    Effect.suspend((): Effect.Effect<A, ServiceException> => {
      tally.called(operation)
      if (faults.strikes("throttleModels")) {
        return Effect.fail(refuse("ThrottlingException", "Too many requests, please wait before trying again."))
      }
      if (faults.strikes(denied)) {
        return Effect.fail(refuse("AccessDeniedException", `User is not authorized to perform: bedrock:${action}`))
      }
      const answered = answer()
      return answered instanceof ServiceException ? Effect.fail(answered) : Effect.succeed(answered)
    })

  return {
    list: (query) =>
      asked("listModels", "ListFoundationModels", "denyModels", () => {
        const findings = new Findings()
        const modalities = ["TEXT", "IMAGE", "EMBEDDING", "VIDEO", "SPEECH"] as const
        const output = findings.oneOf("byOutputModality", query["byOutputModality"], modalities)
        const inference = findings.oneOf("byInferenceType", query["byInferenceType"], ["ON_DEMAND", "PROVISIONED"])
        if (findings.problem !== null) return new ServiceException(findings.problem)
        const provider = query["byProvider"]?.toLowerCase()
        return {
          modelSummaries: summaries.filter((summary) =>
            (provider === undefined || summary.providerName.toLowerCase() === provider) &&
            (output === undefined || summary.outputModalities.includes(output)) &&
            (inference === undefined || summary.inferenceTypesSupported.includes(inference))
          )
        }
      }),
    profiles: (query) =>
      asked("listProfiles", "ListInferenceProfiles", "denyProfiles", () => {
        const findings = new Findings()
        const type = findings.oneOf("type", query["type"], ["SYSTEM_DEFINED", "APPLICATION"])
        const wanted = query["maxResults"] === undefined ? defaultPage : Number(query["maxResults"])
        const size = findings.integer("maxResults", wanted, 1, largestPage)
        const token = findings.text("nextToken", query["nextToken"], constraints.nextToken)
        if (findings.problem !== null || size === undefined) {
          return new ServiceException(findings.problem ?? { name: "ValidationException", message: "maxResults" })
        }
        const start = token === undefined ? 0 : Number(Buffer.from(token, "base64url").toString("utf8"))
        if (!Number.isInteger(start) || start < 0) return refuse("ValidationException", "The token is not valid")
        // Without a type the service shows its own profiles.
        const all = type === "APPLICATION" ? application : systemDefined
        const end = start + size
        return {
          inferenceProfileSummaries: all.slice(start, end),
          ...(end < all.length ? { nextToken: Buffer.from(String(end)).toString("base64url") } : {})
        }
      }),
    availability: (modelId) =>
      asked("getAvailability", "GetFoundationModelAvailability", "denyAvailability", () => {
        if (!summaries.some((summary) => summary.modelId === modelId)) {
          return refuse("ResourceNotFoundException", `The foundation model ${modelId} was not found`)
        }
        const mayUse = !withoutAccess.includes(modelId)
        return {
          modelId,
          agreementAvailability: { status: mayUse ? "AVAILABLE" : "NOT_AVAILABLE" },
          authorizationStatus: mayUse ? "AUTHORIZED" : "NOT_AUTHORIZED",
          entitlementAvailability: mayUse ? "AVAILABLE" : "NOT_AVAILABLE",
          regionAvailability: "AVAILABLE"
        }
      })
  }
}
