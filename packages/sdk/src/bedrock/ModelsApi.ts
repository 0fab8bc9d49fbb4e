/**
 * The models of an account through the AWS SDK.
 *
 * @since 0.2.0
 */
import type { FoundationModelSummary, InferenceProfileSummary } from "@aws-sdk/client-bedrock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { BatchError } from "../BatchError.ts"
import { failureOf } from "../internal/AwsFailure.ts"
import { open } from "../internal/BedrockClient.ts"
import { toBatchError } from "./BatchJobs.ts"
import type { Credentials } from "./BedrockApi.ts"
import { type FoundationModel, FoundationModels, type InferenceProfile, type ProfileType } from "./FoundationModels.ts"

/**
 * Options of `layer`.
 *
 * @since 0.2.0
 * @category configuration
 */
export interface Options {
  /** Default: the environment's. */
  readonly region?: string | undefined
  /** URL of another endpoint than the Region's own. */
  readonly endpoint?: string | undefined
  /** Default: the SDK's chain (environment, profile, role). */
  readonly credentials?: Credentials | undefined
}

/** One try ends within this time, in milliseconds. */
const callLimit = 30_000

/** The calls only read, so what was throttled, broken or cut off is tried again for some seconds. */
const again = Schedule.exponential("300 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 4 }))

const toModel = (summary: FoundationModelSummary): FoundationModel => ({
  id: summary.modelId ?? "",
  arn: summary.modelArn ?? "",
  name: summary.modelName ?? null,
  provider: summary.providerName ?? null,
  inputs: summary.inputModalities ?? [],
  outputs: summary.outputModalities ?? [],
  isOnDemand: summary.inferenceTypesSupported?.includes("ON_DEMAND") ?? false,
  lifecycle: summary.modelLifecycle?.status ?? null,
  endOfLife: summary.modelLifecycle?.endOfLifeTime?.toISOString() ?? null
})

const toProfile = (type: ProfileType) => (summary: InferenceProfileSummary): InferenceProfile => ({
  id: summary.inferenceProfileId ?? "",
  arn: summary.inferenceProfileArn ?? "",
  name: summary.inferenceProfileName ?? null,
  type: summary.type ?? type,
  isActive: summary.status === "ACTIVE",
  models: (summary.models ?? []).flatMap(({ modelArn }) => modelArn === undefined ? [] : [modelArn])
})

/**
 * Layer of `FoundationModels` over `@aws-sdk/client-bedrock`, which is loaded when the layer is built. Each call is tried up to five times, with a limit of 30
 * seconds a try. Fails when no Region is configured.
 *
 * @since 0.2.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<FoundationModels, BatchError> =>
  Layer.effect(
    FoundationModels,
    Effect.gen(function*() {
      const { client, region, sdk } = yield* open("FoundationModels", callLimit, options)
      const call = <A>(method: string, send: (abortSignal: AbortSignal) => Promise<A>) =>
        Effect.tryPromise({
          try: send,
          catch: (cause) => toBatchError(method, failureOf(cause), "FoundationModels")
        }).pipe(
          Effect.timeoutOrElse({
            duration: callLimit,
            orElse: () => {
              const message = `no answer within ${callLimit} ms`
              return Effect.fail(toBatchError(method, { code: null, status: null, message }, "FoundationModels"))
            }
          }),
          Effect.retry({ while: (error) => error.isRetryable, schedule: again })
        )
      return FoundationModels.of({
        region,
        list: call("list", (abortSignal) => client.send(new sdk.ListFoundationModelsCommand({}), { abortSignal })).pipe(
          Effect.map(({ modelSummaries }) => (modelSummaries ?? []).map(toModel)),
          Effect.withSpan("FoundationModels.list")
        ),
        profiles: (typeEquals) =>
          Stream.paginate(undefined as string | undefined, (nextToken) =>
            Effect.map(
              call("profiles", (abortSignal) =>
                client.send(
                  new sdk.ListInferenceProfilesCommand({
                    maxResults: 1000,
                    typeEquals,
                    ...(nextToken === undefined ? {} : { nextToken })
                  }),
                  { abortSignal }
                )),
              (page) =>
                [
                  (page.inferenceProfileSummaries ?? []).map(toProfile(typeEquals)),
                  Option.filter(Option.fromUndefinedOr(page.nextToken), (token) => token !== "")
                ] as const
            )),
        availability: Effect.fn("FoundationModels.availability")((modelId: string) =>
          call("availability", (abortSignal) =>
            client.send(new sdk.GetFoundationModelAvailabilityCommand({ modelId }), { abortSignal })).pipe(
              Effect.map((output) => ({
                agreement: output.agreementAvailability?.status ?? null,
                authorization: output.authorizationStatus ?? null,
                entitlement: output.entitlementAvailability ?? null,
                region: output.regionAvailability ?? null
              }))
            )
        )
      })
    })
  )
