/**
 * The models that an account sees in a Region, in our words: three calls, no SDK types.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { BatchError } from "../BatchError.ts"

/**
 * A foundation model as Bedrock lists it. It does not tell whether batch inference takes the model.
 *
 * @since 0.2.0
 * @category models
 */
export interface FoundationModel {
  readonly id: string
  readonly arn: string
  readonly name: string | null
  readonly provider: string | null
  /** In Bedrock's words, for example `TEXT`. */
  readonly inputs: ReadonlyArray<string>
  /** In Bedrock's words, for example `TEXT` or `EMBEDDING`. */
  readonly outputs: ReadonlyArray<string>
  /** Whether its bare id may be called on demand. */
  readonly isOnDemand: boolean
  /** `ACTIVE` or `LEGACY`; null where it is not told. */
  readonly lifecycle: string | null
  /** ISO 8601; null where it is not told. */
  readonly endOfLife: string | null
}

/**
 * An inference profile as Bedrock lists it.
 *
 * @since 0.2.0
 * @category models
 */
export interface InferenceProfile {
  /** For example `us.anthropic.claude-opus-5`; of an application profile twelve characters. */
  readonly id: string
  readonly arn: string
  readonly name: string | null
  readonly type: ProfileType
  readonly isActive: boolean
  /** ARNs of the foundation models behind it, one for each Region that it leads to. */
  readonly models: ReadonlyArray<string>
}

/**
 * Whose a profile is: Bedrock's own across Regions, or one that the account made.
 *
 * @since 0.2.0
 * @category models
 */
export type ProfileType = "SYSTEM_DEFINED" | "APPLICATION"

/**
 * Whether an account may use a model, in Bedrock's words; null where a part is not told.
 *
 * @since 0.2.0
 * @category models
 */
export interface Availability {
  /** `AVAILABLE`, `NOT_AVAILABLE`, `PENDING` or `ERROR`. */
  readonly agreement: string | null
  /** `AUTHORIZED` or `NOT_AUTHORIZED`. */
  readonly authorization: string | null
  /** `AVAILABLE` or `NOT_AVAILABLE`. */
  readonly entitlement: string | null
  /** `AVAILABLE` or `NOT_AVAILABLE`. */
  readonly region: string | null
}

/**
 * The service: the models of one account in one Region. Failures are `BatchError`s of reason `Refused` (not permitted,
 * no such model) or `Unavailable`, after tries of their own.
 *
 * @since 0.2.0
 * @category services
 */
export class FoundationModels extends Context.Service<FoundationModels, {
  readonly region: string
  /** All models of the Region, by one call. Needs `bedrock:ListFoundationModels`. */
  readonly list: Effect.Effect<ReadonlyArray<FoundationModel>, BatchError>
  /** The inference profiles of one type, in pages. Needs `bedrock:ListInferenceProfiles`. */
  readonly profiles: (type: ProfileType) => Stream.Stream<InferenceProfile, BatchError>
  /** Of one model, by its id. Needs `bedrock:GetFoundationModelAvailability`. */
  readonly availability: (id: string) => Effect.Effect<Availability, BatchError>
}>()("@bedrock-batch/sdk/FoundationModels") {}
