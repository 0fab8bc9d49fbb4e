/**
 * From batches of rows to segments: media is read some rows at a time, and requests are checked before they are
 * written.
 *
 * @internal
 */
import type { ModelParameters, ModelRequest, Processor } from "@bedrock-batch/processors/Processor"
import type { Media } from "@bedrock-batch/processors/Prompt"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { BatchError, InvalidOption, InvalidSource } from "../BatchError.ts"
import type { OpenSource } from "../source/Source.ts"
import { rowAdvice } from "./Advise.ts"
import { type Batch, slice } from "./Batch.ts"
import { CellProblem, cellError } from "./CellProblem.ts"
import type { MediaReader } from "./ReadMedia.ts"
import type { RecordEncoder, RowMedia, Segment } from "./RecordEncoder.ts"

/** What is needed of a definition. @internal */
export interface Encoding {
  readonly encoder: RecordEncoder
  readonly model: string
  readonly region: string
  readonly processor: Processor<object>
  readonly source: OpenSource
}

/** Rows that were made into requests. @internal */
export interface Encoded {
  /** The rows. */
  readonly batch: Batch
  readonly segments: ReadonlyArray<Segment>
  /** The request of one of the rows, as it was made. Throws as the encoder does. */
  readonly request: (row: number) => ModelRequest
}

const error = (reason: BatchError["reason"]) => new BatchError({ module: "prepare", method: "prepare", reason })

/** What the request of a row, from 0, could not be made of. @internal */
export const unencodable = (source: OpenSource, row: number, cause: unknown): BatchError =>
  cause instanceof CellProblem
    ? cellError(source, row, cause.column, "malformed", cause.message)
    : error(
      new InvalidSource({
        problem: "failed",
        uri: source.uri,
        row: row + 1,
        column: null,
        message: `the request of row ${row + 1} cannot be made: the prompt or the processor threw ${
          cause instanceof Error ? cause.name : typeof cause
        }`,
        cause
      })
    )

/** What a check may refuse of a request beside its parameters: the kinds of its media, and a text beside them. */
const shapeOf = (request: ModelRequest, media: ReadonlyArray<Media | null>): string => {
  const kinds = media.map((one) => (one === null ? "-" : `${one.kind}/${one.format}/${one.source.type}`)).join(" ")
  return request.type === "embed" && request.text !== "" ? `text ${kinds}` : kinds
}

/** So many pairs of parameters and media are known to be right at the same time. */
const mostKnown = 10_000

/** Checks the first request of the run, and of the others each pair of parameters and kinds of media once. */
class Checks {
  readonly #encoding: Encoding
  readonly #known = new Map<ModelParameters | null, Set<string>>()
  readonly #advise: ReturnType<typeof rowAdvice>
  #advice: Array<string> = []
  #size = 0

  constructor(encoding: Encoding) {
    this.#encoding = encoding
    this.#advise = rowAdvice({ model: encoding.model, region: encoding.region }, encoding.encoder.parameters)
  }

  /** The advice on rows that were checked since it was last asked for. */
  advice(): ReadonlyArray<string> {
    const given = this.#advice
    if (given.length > 0) this.#advice = []
    return given
  }

  /** What is wrong with a row's request, or null; the row is that of the run. Throws as the encoder does. */
  problem(batch: Batch, at: number, row: number, media: ReadonlyArray<Media | null> | undefined): BatchError | null {
    const { encoder, processor, source } = this.#encoding
    if (processor.check === undefined) return null
    const request = encoder.request(batch, at, media)
    if (row > 0 && this.#isKnown(request, media ?? [])) return null
    const problem = processor.check(request)
    if (problem === null) {
      const parameters = encoder.hasRowParameters && request.type !== "raw" ? request.parameters : null
      if (parameters !== null) this.#advice.push(...this.#advise(parameters, row))
      return null
    }
    if (row === 0) return error(new InvalidOption({ path: "parameters", message: problem }))
    return error(
      new InvalidSource({
        problem: "malformed",
        uri: source.uri,
        row: row + 1,
        column: null,
        message: `${source.uri === null ? "" : `${source.uri}, `}row ${row + 1}: ${problem}`
      })
    )
  }

  #isKnown(request: ModelRequest, media: ReadonlyArray<Media | null>): boolean {
    const parameters = request.type === "raw" ? null : request.parameters
    const shape = shapeOf(request, media)
    const shapes = this.#known.get(parameters)
    if (shapes?.has(shape) === true) return true
    if (++this.#size > mostKnown) {
      this.#known.clear()
      this.#size = 1
    }
    const known = this.#known.get(parameters)
    if (known === undefined) this.#known.set(parameters, new Set([shape]))
    else known.add(shape)
    return false
  }
}

/**
 * Gives what makes requests of the batches of one run: of all rows of a batch at once, or with media of some at a time.
 * `media` is null for a run without. The first row of a batch is row `firstRow` of the run.
 *
 * @internal
 */
export const make = (
  encoding: Encoding,
  media: MediaReader | null
): (batch: Batch, firstRow: number) => Stream.Stream<Encoded, BatchError> => {
  const { encoder, source } = encoding
  const checks = new Checks(encoding)
  const everyRow = media !== null || encoder.hasRowParameters

  const encode = Effect.fnUntraced(function*(batch: Batch, firstRow: number, own: ReadonlyArray<RowMedia> | undefined) {
    const checked = everyRow ? batch.length : firstRow === 0 ? Math.min(1, batch.length) : 0
    for (let at = 0; at < checked; at++) {
      const problem = yield* Effect.try({
        try: () => checks.problem(batch, at, firstRow + at, own?.[at]?.media),
        catch: (cause) => unencodable(source, firstRow + at, cause)
      })
      if (problem !== null) return yield* problem
    }
    for (const message of checks.advice()) yield* Effect.logWarning(message)
    const segments = encoder.encode(batch, firstRow, own)
    if (Result.isFailure(segments)) return yield* unencodable(source, segments.failure.row, segments.failure.cause)
    const encoded: Encoded = {
      batch,
      segments: segments.success,
      request: (row) => encoder.request(batch, row, own?.[row]?.media)
    }
    return encoded
  })

  return (batch, firstRow) =>
    media === null
      ? Stream.fromEffect(encode(batch, firstRow, undefined))
      : Stream.unfold(0, Effect.fnUntraced(function*(from: number) {
        if (from >= batch.length) return undefined
        const own = yield* media.read(batch, from, firstRow)
        const rows = slice(batch, from, from + own.length)
        return [yield* encode(rows, firstRow + from, own), from + own.length] as const
      }))
}
