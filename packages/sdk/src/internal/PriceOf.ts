/**
 * The price of a run's model, from the table of this package or from that of the user.
 *
 * @internal
 */
import * as Prices from "@bedrock-batch/processors/Prices"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { BatchError, InvalidOption } from "../BatchError.ts"

const decodeTable = Schema.decodeUnknownResult(Prices.PriceTable)

/** What is known of a price. @internal */
export interface PriceOf {
  /** Null where the table tells nothing of the model. */
  readonly row: Prices.Price | null
  /** Why it is unknown, or which other row stands for it; null for an exact one. */
  readonly note: string | null
}

/** Fails with `InvalidOption` for a table that is none. @internal */
export const priceOf = Effect.fnUntraced(function*(
  method: "estimate" | "receipt",
  table: Prices.PriceTable | undefined,
  model: string,
  region: string
): Effect.fn.Return<PriceOf, BatchError> {
  const decoded = table === undefined ? Result.succeed(Prices.table) : decodeTable(table)
  if (Result.isFailure(decoded)) {
    return yield* new BatchError({
      module: method,
      method,
      reason: new InvalidOption({
        path: "prices",
        message: `prices is no price table: ${decoded.failure.message}`,
        cause: decoded.failure
      })
    })
  }
  const found = Prices.find(decoded.success, model, region)
  return Result.isSuccess(found)
    ? { row: found.success, note: Prices.note(found.success, model, region) }
    : { row: null, note: found.failure.message }
})
