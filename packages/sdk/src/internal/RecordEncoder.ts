/**
 * From batches of rows to the lines that Bedrock reads.
 *
 * @internal
 */
import { forId } from "@bedrock-batch/processors/Families"
import type { ModelParameters, ModelRequest, Processor } from "@bedrock-batch/processors/Processor"
import type { Turn } from "@bedrock-batch/processors/Prompt"
import { renderValue } from "@bedrock-batch/processors/Prompt"
import * as Result from "effect/Result"
import { type Batch, slice } from "./Batch.ts"
import * as Layout from "./Layout.ts"

/** Rows with their encoded records: `ends[i]` is where record `i` ends in `bytes`, its line feed included. @internal */
export interface Segment {
  readonly batch: Batch
  readonly bytes: Uint8Array
  readonly ends: ReadonlyArray<number>
}

/** How a row becomes a request: by a prompt, or by the text of one column. @internal */
export type Asking =
  | { readonly type: "chat"; readonly render: (columns: Batch["columns"], row: number) => ReadonlyArray<Turn> }
  | { readonly type: "embed"; readonly column: number }

/** A prompt function, or a processor of the user's own, that threw. @internal */
export interface EncodeFailure {
  /** Row number in the run, from 0. */
  readonly row: number
  readonly cause: unknown
}

/** Segments are cut at about so many bytes. */
const segmentBytes = 4_000_000

const open = Buffer.from("{\"recordId\":\"")
const afterId = Buffer.from("\",\"modelInput\":")
const close = Buffer.from("}\n")

const textsOf = (request: ModelRequest): ReadonlyArray<string> =>
  request.type === "chat" ? request.turns.map((turn) => turn.content) : request.type === "embed" ? [request.text] : []

const withTexts = (request: ModelRequest, texts: ReadonlyArray<string>): ModelRequest =>
  request.type === "chat"
    ? { ...request, turns: request.turns.map(({ role }, i) => ({ role, content: texts[i]! })) }
    : request.type === "embed"
    ? { ...request, text: texts[0]! }
    : request

/** A request whose texts are left out: the bytes around them, and which text stands between two pieces. */
interface Frame {
  readonly roles: ReadonlyArray<Turn["role"]>
  readonly pieces: ReadonlyArray<Buffer>
  readonly order: ReadonlyArray<number>
}

/**
 * Makes the frame of requests like this one, or null where there is none. Only the built-in families are known to copy
 * texts unchanged whatever they say; empty ones they may leave out, so those have no frame.
 */
const frameOf = (processor: Processor<object>, request: ModelRequest): Frame | null => {
  if (forId(processor.id) !== processor || request.type === "raw") return null
  const marks = textsOf(request).map((_, i) => `text ${i} of this request \u2015 not to be found in any other`)
  const json = JSON.stringify(processor.encode(withTexts(request, marks)))
  const places = marks
    .map((mark, text) => ({ at: json.indexOf(JSON.stringify(mark)), length: JSON.stringify(mark).length, text }))
    .sort((a, b) => a.at - b.at)
  if (places.some(({ at }) => at < 0)) return null
  const pieces: Array<Buffer> = []
  let from = 0
  for (const { at, length } of places) {
    pieces.push(Buffer.from(json.slice(from, at)))
    from = at + length
  }
  pieces.push(Buffer.from(json.slice(from)))
  return {
    roles: request.type === "chat" ? request.turns.map((turn) => turn.role) : [],
    pieces,
    order: places.map(({ text }) => text)
  }
}

const fits = (frame: Frame, request: ModelRequest, texts: ReadonlyArray<string>): boolean =>
  texts.length === frame.order.length && texts.every((text) => text !== "") &&
  (request.type !== "chat" || request.turns.every(({ role }, i) => role === frame.roles[i]))

/** Bytes that are added to a buffer which grows. */
class Output {
  length = 0
  #buffer: Buffer
  constructor(capacity: number) {
    this.#buffer = Buffer.allocUnsafe(capacity)
  }
  bytes(piece: Buffer): void {
    this.#room(piece.length)
    this.#buffer.set(piece, this.length)
    this.length += piece.length
  }
  text(text: string): void {
    if (this.length + text.length * 3 > this.#buffer.length) this.#room(Buffer.byteLength(text))
    this.length += this.#buffer.write(text, this.length)
  }
  get view(): Uint8Array {
    return this.#buffer.subarray(0, this.length)
  }
  #room(bytes: number): void {
    if (this.length + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.length + bytes))
    this.#buffer.copy(larger, 0, 0, this.length)
    this.#buffer = larger
  }
}

/** @internal */
export class RecordEncoder {
  readonly #asking: Asking
  readonly #processor: Processor<object>
  readonly #parameters: ModelParameters
  /** Bytes that the next segment will probably take. */
  #expected = 1 << 18
  /** Undefined before the first request; null where every request is encoded by itself. */
  #frame: Frame | null | undefined = undefined

  constructor(asking: Asking, processor: Processor<object>, parameters: ModelParameters) {
    this.#asking = asking
    this.#processor = processor
    this.#parameters = parameters
  }

  /** The request of one row, before the processor gives it its shape. */
  request(batch: Batch, row: number): ModelRequest {
    return this.#asking.type === "chat"
      ? { type: "chat", turns: this.#asking.render(batch.columns, row), parameters: this.#parameters }
      : { type: "embed", text: renderValue(batch.columns[this.#asking.column]![row]), parameters: this.#parameters }
  }

  /** Encodes a batch whose first row is row `firstRow` of the run. */
  encode(batch: Batch, firstRow: number): Result.Result<ReadonlyArray<Segment>, EncodeFailure> {
    const segments: Array<Segment> = []
    let output = new Output(this.#expected)
    let from = 0
    let ends: Array<number> = []
    let row = 0
    const cut = () => {
      segments.push({ batch: slice(batch, from, row), bytes: output.view, ends })
      this.#expected = Math.ceil(output.length * 1.1) + 1024
      from = row
      ends = []
      if (row < batch.length) output = new Output(this.#expected)
    }
    try {
      while (row < batch.length) {
        output.bytes(open)
        output.text(Layout.recordId(firstRow + row))
        output.bytes(afterId)
        this.#write(output, this.request(batch, row))
        output.bytes(close)
        ends.push(output.length)
        row++
        if (output.length >= segmentBytes) cut()
      }
    } catch (cause) {
      return Result.fail({ row: firstRow + row, cause })
    }
    if (ends.length > 0) cut()
    return Result.succeed(segments)
  }

  /** Writes a `modelInput`: into the frame of the requests before it, where it has the same. */
  #write(output: Output, request: ModelRequest): void {
    const texts = textsOf(request)
    if (this.#frame === undefined && texts.every((text) => text !== "")) this.#frame = frameOf(this.#processor, request)
    const frame = this.#frame
    if (frame === undefined || frame === null || !fits(frame, request, texts)) {
      output.text(JSON.stringify(this.#processor.encode(request)))
      return
    }
    frame.pieces.forEach((piece, i) => {
      output.bytes(piece)
      if (i < frame.order.length) output.text(JSON.stringify(texts[frame.order[i]!]))
    })
  }
}
