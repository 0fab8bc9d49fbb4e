/**
 * The client of Bedrock's control plane, as its layers share it.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { BatchError, InvalidOption } from "../BatchError.ts"
import type { Credentials } from "../bedrock/BedrockApi.ts"
import { credentialsOf } from "./Credentials.ts"

/** @internal */
export interface Options {
  readonly region?: string | undefined
  readonly endpoint?: string | undefined
  readonly credentials?: Credentials | undefined
}

/** The SDK takes a tenth of a second and some 30 MB to load: it is, where it is used. */
const load = Effect.promise(() => import("@aws-sdk/client-bedrock"))

/**
 * Opens a client without retries of its own, which closes with the scope, and finds its Region. `socketTimeout` in
 * milliseconds. Gives the commands beside it. Fails with `InvalidOption` when no Region is configured.
 *
 * @internal
 */
export const open = Effect.fnUntraced(function*(module: string, socketTimeout: number, options: Options) {
  const sdk = yield* load
  const client = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new sdk.BedrockClient({
        maxAttempts: 1,
        requestHandler: { connectionTimeout: 5_000, socketTimeout },
        ...(options.region === undefined ? {} : { region: options.region }),
        ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
        ...(options.credentials === undefined ? {} : { credentials: credentialsOf(options.credentials) })
      })
    ),
    (client) => Effect.sync(() => client.destroy())
  )
  const region = yield* Effect.tryPromise({
    try: () => client.config.region(),
    catch: (cause) =>
      new BatchError({
        module,
        method: "layer",
        reason: new InvalidOption({
          path: "region",
          message: "Region is missing: give it as region, or set AWS_REGION or a Region in the profile",
          cause
        })
      })
  })
  return { client, region, sdk }
})
