/**
 * How results are collected: the options with their defaults, checked.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { BatchError, InvalidOption } from "../BatchError.ts"
import { Format } from "../sink/Sink.ts"

/** @internal */
export interface CollectSettings {
  readonly format: Format
  readonly memoryBudget: number
}

const defaultMemoryBudget = 256_000_000

const isFormat = Schema.is(Format)

/** @internal */
export const settingsOf = (
  method: string,
  options: { readonly format?: Format | undefined; readonly memoryBudget?: number | undefined } | undefined
): Effect.Effect<CollectSettings, BatchError> => {
  const { format = "parquet", memoryBudget = defaultMemoryBudget } = options ?? {}
  const invalid = (path: string, message: string) =>
    Effect.fail(new BatchError({ module: "collect", method, reason: new InvalidOption({ path, message }) }))
  if (!isFormat(format)) {
    return invalid("format", `format ${JSON.stringify(format)} is not known: give ${Format.literals.join(", ")}`)
  }
  return memoryBudget >= 1
    ? Effect.succeed({ format, memoryBudget })
    : invalid("memoryBudget", `memoryBudget is ${memoryBudget}, and must be at least 1 byte`)
}
