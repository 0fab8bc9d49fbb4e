/**
 * The account's quotas through the AWS SDK.
 *
 * @since 0.1.0
 */
import type { ServiceQuota } from "@aws-sdk/client-service-quotas"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { failureOf } from "../internal/AwsFailure.ts"
import type { QuotasClient } from "../internal/QuotasClient.ts"
import { type Quota, ServiceQuotas } from "../schedule/Quotas.ts"
import { toBatchError } from "./BatchJobs.ts"
import type { Credentials } from "./BedrockApi.ts"

/**
 * Options of `layer`.
 *
 * @since 0.1.0
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

/** One call, with the SDK's own retries, ends within this time, in milliseconds. */
const callLimit = 30_000

const toQuota = (quota: ServiceQuota): Quota => ({
  code: quota.QuotaCode ?? "",
  name: quota.QuotaName ?? "",
  value: quota.Value ?? NaN
})

/**
 * Layer of `ServiceQuotas` over `@aws-sdk/client-service-quotas`, which is loaded by the first call. The SDK's own
 * retries are on: the calls only read.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<ServiceQuotas> =>
  Layer.effect(
    ServiceQuotas,
    Effect.gen(function*() {
      let loading: Promise<QuotasClient> | null = null
      // Shared by all calls, so none of them may interrupt it.
      const load = Effect.promise(() => {
        loading ??= import("../internal/QuotasClient.ts").then(({ make }) => make(options))
        return loading
      })
      yield* Effect.addFinalizer(() =>
        Effect.promise(async () => loading?.then((client) => client.destroy(), () => undefined))
      )
      const call = Effect.fnUntraced(function*<A>(
        method: string,
        send: (client: QuotasClient, abortSignal: AbortSignal) => Promise<A>
      ) {
        const client = yield* load
        return yield* Effect.tryPromise({
          try: (abortSignal) => send(client, abortSignal),
          catch: (cause) => toBatchError(method, failureOf(cause), "ServiceQuotas")
        }).pipe(
          Effect.timeoutOrElse({
            duration: callLimit,
            orElse: () =>
              Effect.fail(
                toBatchError(
                  method,
                  { code: null, status: null, message: `no answer within ${callLimit} ms` },
                  "ServiceQuotas"
                )
              )
          })
        )
      })
      const pages = (method: "list" | "defaults") =>
        Stream.paginate(undefined as string | undefined, (nextToken) =>
          Effect.map(call(method, (client, abortSignal) => client[method](nextToken, abortSignal)), (page) =>
            [
              (page.Quotas ?? []).map(toQuota),
              Option.filter(Option.fromUndefinedOr(page.NextToken), (token) => token !== "")
            ] as const))
      return ServiceQuotas.of({
        get: Effect.fn("ServiceQuotas.get")((code: string) =>
          call("get", (client, abortSignal) => client.get(code, abortSignal)).pipe(
            Effect.map((output) => output.Quota === undefined ? null : toQuota(output.Quota)),
            Effect.catchIf(
              ({ reason }) => reason._tag === "Refused" && reason.code === "NoSuchResourceException",
              () => Effect.succeed(null)
            )
          )
        ),
        list: pages("list"),
        defaults: pages("defaults")
      })
    })
  )
