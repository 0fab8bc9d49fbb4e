/**
 * On-demand calls of Amazon Bedrock through the AWS SDK.
 *
 * @since 0.1.0
 */
import type { Json } from "@bedrock-batch/processors/Processor"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import { BatchError, InvalidOption } from "../BatchError.ts"
import { failureOf } from "../internal/AwsFailure.ts"
import type { RuntimeClient } from "../internal/RuntimeClient.ts"
import { toBatchError } from "./BatchJobs.ts"
import type { Credentials } from "./BedrockApi.ts"
import { OnDemand } from "./OnDemand.ts"

/**
 * How calls are made.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface CallOptions {
  /** Calls at the same time at most; default 10. Others wait. */
  readonly concurrency?: number | undefined
  /**
   * How long one call may take, up to a day; default 5 minutes. A long answer takes minutes, and nothing of it arrives
   * before it is complete; a call that is given up is paid for all the same.
   */
  readonly callTimeout?: Duration.Input | undefined
}

/**
 * Options of `layer`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface Options extends CallOptions {
  /** Default: the environment's. */
  readonly region?: string | undefined
  /** URL of another endpoint than the Region's own, with HTTP/1.1. */
  readonly endpoint?: string | undefined
  /** Default: the SDK's chain (environment, profile, role). */
  readonly credentials?: Credentials | undefined
}

const defaultConcurrency = 10
const defaultTimeout: Duration.Input = "5 minutes"
const longestTimeout = 86_400_000

/**
 * The first thing that is wrong with how calls are to be made, or null.
 *
 * @internal
 */
export const callsProblem = ({ callTimeout, concurrency }: CallOptions, prefix = ""): InvalidOption | null => {
  if (concurrency !== undefined && !(Number.isSafeInteger(concurrency) && concurrency >= 1)) {
    const path = `${prefix}concurrency`
    return new InvalidOption({ path, message: `${path} is ${concurrency}, and must be an integer of at least 1` })
  }
  if (callTimeout !== undefined) {
    const path = `${prefix}callTimeout`
    const duration = Duration.fromInput(callTimeout)
    if (Option.isNone(duration)) {
      return new InvalidOption({ path, message: `${path} is no duration; one is for example "5 minutes"` })
    }
    const millis = Duration.toMillis(duration.value)
    if (!(millis >= 1 && millis <= longestTimeout)) {
      return new InvalidOption({ path, message: `${path} is ${millis} ms, and must be 1 ms to 1 day` })
    }
  }
  return null
}

const invalid = (reason: InvalidOption) => new BatchError({ module: "OnDemand", method: "layer", reason })

const unreadable = (why: string) =>
  toBatchError("invoke", { code: null, status: 200, message: `the model's answer ${why}` }, "OnDemand")

const parsed = (text: string): Effect.Effect<Json, BatchError> =>
  // What is no JSON is not shown: it may be an answer.
  Effect.try({ try: (): Json => JSON.parse(text), catch: () => unreadable("is no JSON") })

/**
 * Layer of `OnDemand` over `@aws-sdk/client-bedrock-runtime`, which is loaded by the first call (or at once, to find
 * the Region where none is given). Bodies are sent, and answers taken, as the JSON that they are. The SDK's own retries
 * are off. Fails when no Region is configured, or an option is wrong.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { OnDemand } from "@bedrock-batch/sdk/bedrock/OnDemand"
 * import * as RuntimeApi from "@bedrock-batch/sdk/bedrock/RuntimeApi"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const { invoke } = yield* OnDemand
 *   return yield* invoke({
 *     model: "amazon.nova-lite-v1:0",
 *     invocationType: "Converse",
 *     body: { messages: [{ role: "user", content: [{ text: "Why is the sky blue?" }] }] }
 *   })
 * }).pipe(Effect.provide(RuntimeApi.layer({ region: "us-east-1" })))
 * ```
 */
export const layer = (options: Options): Layer.Layer<OnDemand, BatchError> =>
  Layer.effect(
    OnDemand,
    Effect.gen(function*() {
      const problem = callsProblem(options)
      if (problem !== null) return yield* invalid(problem)
      const concurrency = options.concurrency ?? defaultConcurrency
      const callLimit = Duration.toMillis(options.callTimeout ?? defaultTimeout)
      let loading: Promise<RuntimeClient> | null = null
      // Shared by all calls, so none of them may interrupt it.
      const load = Effect.promise(() => {
        loading ??= import("../internal/RuntimeClient.ts").then(({ make }) =>
          make({
            region: options.region,
            endpoint: options.endpoint,
            credentials: options.credentials,
            connections: concurrency,
            socketTimeout: callLimit
          })
        )
        return loading
      })
      yield* Effect.addFinalizer(() =>
        Effect.promise(async () => loading?.then((client) => client.destroy(), () => undefined))
      )
      const region = options.region ?? (yield* Effect.flatMap(load, (client) =>
        Effect.tryPromise({
          try: () => client.region(),
          catch: (cause) =>
            invalid(
              new InvalidOption({
                path: "region",
                message: "Region is missing: give it as region, or set AWS_REGION or a Region in the profile",
                cause
              })
            )
        })))
      const turns = yield* Semaphore.make(concurrency)
      const noAnswer = () =>
        toBatchError("invoke", { code: null, status: null, message: `no answer within ${callLimit} ms` }, "OnDemand")
      return OnDemand.of({
        region,
        concurrency,
        invoke: Effect.fn("OnDemand.invoke")(
          function*(request) {
            const client = yield* load
            const text = yield* Effect.tryPromise({
              try: (abortSignal) => client.send(request, abortSignal),
              catch: (cause) => toBatchError("invoke", failureOf(cause), "OnDemand")
            }).pipe(Effect.timeoutOrElse({ duration: callLimit, orElse: () => Effect.fail(noAnswer()) }))
            return text === null ? yield* unreadable("broke off, or is not UTF-8") : yield* parsed(text)
          },
          turns.withPermits(1)
        )
      })
    })
  )
