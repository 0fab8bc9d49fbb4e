/**
 * How results are collected: the options with their defaults, checked.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { BatchError, InvalidOption } from "../BatchError.ts"
import { availableParallelism, totalmem } from "node:os"
import { Compression, Format } from "../sink/Sink.ts"

/** @internal */
export interface CollectSettings {
  readonly format: Format
  /** Of Parquet files. */
  readonly compression: Compression
  readonly memoryBudget: number
  /** Null for one file a job. */
  readonly partBytes: number | null
  readonly parallelism: number
  /** Fewer records than this are joined in this thread, whatever the parallelism. */
  readonly fewestRecords: number
}

/** The options that `collect`, `collectJob` and `finish` take. @internal */
export interface Options {
  readonly format?: Format | undefined
  readonly compression?: Compression | undefined
  readonly memoryBudget?: number | undefined
  readonly partBytes?: number | undefined
  readonly parallelism?: number | undefined
}

/** Bytes of a job's output. @internal */
export const defaultMemoryBudget = 64_000_000

/** A worker takes about half of it. */
const workerMemory = 512 * 1024 * 1024

const mostWorkers = 8

/** For fewer records than this a thread takes longer to start than to join them. */
const worthAThread = 10_000

/** As many jobs at a time as the machine has cores and memory for. */
const defaultParallelism = (): number => {
  const memory = Math.min(totalmem(), process.constrainedMemory() || Infinity)
  return Math.max(1, Math.min(availableParallelism(), mostWorkers, Math.floor(memory / workerMemory)))
}

const isFormat = Schema.is(Format)
const isCompression = Schema.is(Compression)

/** @internal */
export const settingsOf = (
  method: string,
  options: Options | undefined
): Effect.Effect<CollectSettings, BatchError> => {
  const { compression = "zstd", format = "parquet", memoryBudget = defaultMemoryBudget, partBytes } = options ?? {}
  const parallelism = options?.parallelism ?? defaultParallelism()
  const invalid = (path: string, message: string) =>
    Effect.fail(new BatchError({ module: "collect", method, reason: new InvalidOption({ path, message }) }))
  if (!isFormat(format)) {
    return invalid("format", `format ${JSON.stringify(format)} is not known: give ${Format.literals.join(", ")}`)
  }
  if (!isCompression(compression)) {
    return invalid("compression", `compression ${JSON.stringify(compression)} is not known: give ${Compression.literals.join(", ")}`)
  }
  if (!(memoryBudget >= 1)) {
    return invalid("memoryBudget", `memoryBudget is ${memoryBudget}, and must be at least 1 byte`)
  }
  if (partBytes !== undefined && !(Number.isSafeInteger(partBytes) && partBytes >= 1)) {
    return invalid("partBytes", `partBytes is ${partBytes}, and must be a whole number of at least 1 byte`)
  }
  return Number.isSafeInteger(parallelism) && parallelism >= 1
    ? Effect.succeed({
      format,
      compression,
      memoryBudget,
      partBytes: partBytes ?? null,
      parallelism,
      fewestRecords: options?.parallelism === undefined ? worthAThread : 0
    })
    : invalid("parallelism", `parallelism is ${parallelism}, and must be a whole number of at least 1`)
}
