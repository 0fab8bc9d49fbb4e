/**
 * From batches of rows to the lines that Bedrock reads.
 *
 * @internal
 */
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

/** @internal */
export class RecordEncoder {
  readonly #asking: Asking
  readonly #processor: Processor<object>
  readonly #parameters: ModelParameters
  /** Bytes that the next segment will probably take. */
  #expected = 1 << 18

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
    let buffer = Buffer.allocUnsafe(this.#expected)
    let length = 0
    let from = 0
    let ends: Array<number> = []
    let row = 0
    const cut = () => {
      segments.push({ batch: slice(batch, from, row), bytes: buffer.subarray(0, length), ends })
      this.#expected = Math.ceil(length * 1.1) + 1024
      buffer = row < batch.length ? Buffer.allocUnsafe(this.#expected) : buffer
      length = 0
      from = row
      ends = []
    }
    try {
      for (; row < batch.length;) {
        const modelInput = this.#processor.encode(this.request(batch, row))
        const line = JSON.stringify({ recordId: Layout.recordId(firstRow + row), modelInput })
        if (length + line.length * 3 + 1 > buffer.length && length + Buffer.byteLength(line) + 1 > buffer.length) {
          const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, length + line.length * 3 + 1))
          buffer.copy(larger, 0, 0, length)
          buffer = larger
        }
        length += buffer.write(line, length)
        buffer[length++] = 10
        ends.push(length)
        row++
        if (length >= segmentBytes) cut()
      }
    } catch (cause) {
      return Result.fail({ row: firstRow + row, cause })
    }
    if (ends.length > 0) cut()
    return Result.succeed(segments)
  }
}
