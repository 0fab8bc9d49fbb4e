/**
 * One request at a time, for what is too little for a job.
 *
 * @since 0.1.0
 */
import type { Json } from "@bedrock-batch/processors/Processor"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { BatchError } from "../BatchError.ts"

/**
 * One call.
 *
 * @since 0.1.0
 * @category models
 */
export interface OnDemandRequest {
  /** Model id, inference profile id or ARN. */
  readonly model: string
  readonly invocationType: "InvokeModel" | "Converse"
  /** The `modelInput` of a record, as an input file holds it. */
  readonly body: Json
  /**
   * The JSON text of `body` where that says more than it does, as of numbers with more digits than JavaScript's: it is
   * what is sent.
   *
   * @since 0.2.0
   */
  readonly text?: string | undefined
}

/**
 * The service: calls that are paid for one by one, at the full price. No method retries; failures are `BatchError`s of
 * reason `Refused` (the service read the request and said no; `code` is its name for it, for example
 * `ValidationException`) or `Unavailable` (`throttled` and `quota`: refused unread; `server`, `network`: unknown whether
 * it acted). There is no token that would keep a call that is made again from being paid for again.
 *
 * @since 0.1.0
 * @category services
 * @example
 * ```ts
 * import { OnDemand } from "@bedrock-batch/sdk/bedrock/OnDemand"
 * import { Effect } from "effect"
 *
 * const sky = Effect.flatMap(OnDemand, ({ invoke }) =>
 *   invoke({
 *     model: "amazon.nova-lite-v1:0",
 *     invocationType: "Converse",
 *     body: { messages: [{ role: "user", content: [{ text: "Why is the sky blue?" }] }] }
 *   }))
 * ```
 */
export class OnDemand extends Context.Service<OnDemand, {
  readonly region: string
  /** Calls that one client makes at the same time at most; `invoke` makes others wait. */
  readonly concurrency: number
  /** Asks the model; gives the `modelOutput`, as an output file of a batch job would hold it. */
  readonly invoke: (request: OnDemandRequest) => Effect.Effect<Json, BatchError>
}>()("@bedrock-batch/sdk/OnDemand") {}
