/**
 * From batches of rows to the lines that Bedrock reads.
 *
 * @internal
 */
import { forId } from "@bedrock-batch/processors/Families"
import type { ModelParameters, ModelRequest, Processor } from "@bedrock-batch/processors/Processor"
import type { CompiledPrompt, CompiledTurn, Turn } from "@bedrock-batch/processors/Prompt"
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
  | ({ readonly type: "chat" } & Pick<CompiledPrompt, "render" | "templates">)
  | { readonly type: "embed"; readonly column: number }

/** A prompt function, or a processor of the user's own, that threw. @internal */
export interface EncodeFailure {
  /** Row number in the run, from 0. */
  readonly row: number
  readonly cause: unknown
}

/** Segments are cut at about so many bytes. */
const segmentBytes = 4_000_000

/** Puts the texts of a row into `texts`; false where its request has another shape. */
type Reader = (columns: Batch["columns"], row: number, texts: Array<string>) => boolean

/**
 * Requests of one shape: constant bytes, and slots between them for texts. The first piece begins the line, with room
 * for the record id.
 */
interface Frame {
  readonly pieces: ReadonlyArray<Buffer>
  /** Which text stands after each piece but the last. */
  readonly order: ReadonlyArray<number>
  readonly read: Reader
}

const lineStart = "{\"recordId\":\""
const lineMiddle = "\",\"modelInput\":"
const lineEnd = "}\n"

/** Cuts a request that has these texts in it into a frame; null where one of them is not in it as it is. */
const frameOf = (processor: Processor<object>, request: ModelRequest, marks: ReadonlyArray<string>, read: Reader): Frame | null => {
  const line = lineStart + Layout.recordId(0) + lineMiddle + JSON.stringify(processor.encode(request)) + lineEnd
  const places = marks.map((mark, text) => ({ at: line.indexOf(mark), text })).sort((a, b) => a.at - b.at)
  if (places.some(({ at }) => at < 0)) return null
  const pieces: Array<Buffer> = []
  let from = 0
  for (const { at, text } of places) {
    pieces.push(Buffer.from(line.slice(from, at)))
    from = at + marks[text]!.length
  }
  pieces.push(Buffer.from(line.slice(from)))
  return { pieces, order: places.map(({ text }) => text), read }
}

const marksFor = (count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => `text ${i} of this request \u2015 not to be found in any other`)

/** Turns as templates: the slots are the values in them. A turn that comes out empty is another shape. */
const templatesFrame = (
  processor: Processor<object>,
  parameters: ModelParameters,
  templates: ReadonlyArray<CompiledTurn>
): Frame | null => {
  const columns = templates.flatMap((turn) => turn.columns)
  const marks = marksFor(columns.length)
  let slot = 0
  const turns = templates.map(({ literals, role }) => ({
    role,
    content: literals.reduce((content, literal) => content + marks[slot++]! + literal)
  }))
  /** The slots of each turn that has nothing but values. */
  const bare: Array<ReadonlyArray<number>> = []
  let first = 0
  for (const turn of templates) {
    const own = turn.columns.map((_, i) => first + i)
    if (turn.literals.every((literal) => literal === "")) bare.push(own)
    first += own.length
  }
  return frameOf(processor, { type: "chat", turns, parameters }, marks, (values, row, texts) => {
    for (let i = 0; i < columns.length; i++) texts[i] = renderValue(values[columns[i]!]![row])
    return bare.length === 0 || bare.every((own) => own.some((i) => texts[i] !== ""))
  })
}

/** Turns of a function: the slots are their contents; other roles, or an empty content, are another shape. */
const turnsFrame = (
  processor: Processor<object>,
  parameters: ModelParameters,
  first: ReadonlyArray<Turn>,
  render: CompiledPrompt["render"]
): Frame | null => {
  const marks = marksFor(first.length)
  const turns = first.map(({ role }, i) => ({ role, content: marks[i]! }))
  return frameOf(processor, { type: "chat", turns, parameters }, marks, (columns, row, texts) => {
    const rendered = render(columns, row)
    if (rendered.length !== first.length) return false
    for (let i = 0; i < rendered.length; i++) {
      const { content, role } = rendered[i]!
      if (content === "" || role !== first[i]!.role) return false
      texts[i] = content
    }
    return true
  })
}

/** Longer than any text that a model embeds. */
const longText = "word ".repeat(20_000)

/** Null where long texts are cut, as some families do where they are asked to: then each is encoded by itself. */
const embedFrame = (processor: Processor<object>, parameters: ModelParameters, column: number): Frame | null => {
  const marks = marksFor(1)
  if (!JSON.stringify(processor.encode({ type: "embed", text: longText, parameters })).includes(longText)) return null
  return frameOf(processor, { type: "embed", text: marks[0]!, parameters }, marks, (columns, row, texts) => {
    texts[0] = renderValue(columns[column]![row])
    return texts[0] !== ""
  })
}

/** What JSON writes otherwise than it is: to look for it is faster than to write JSON. */
const escapes = /[\u0000-\u001f"\\\ud800-\udfff]/

/** Bytes that are added to a buffer which grows. */
class Output {
  length = 0
  #buffer: Buffer
  constructor(capacity: number) {
    this.#buffer = Buffer.allocUnsafeSlow(capacity)
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
  /** A text as JSON without its quotes; something stands before it, and something follows. */
  escaped(text: string): void {
    if (!escapes.test(text)) {
      this.text(text)
      return
    }
    const before = this.length - 1
    const kept = this.#buffer[before]!
    this.length = before
    this.text(JSON.stringify(text))
    this.#buffer[before] = kept
    this.length--
  }
  /** The ten digits of a row number, so many bytes before the end. */
  digits(row: number, back: number): void {
    const buffer = this.#buffer
    const first = this.length - back
    for (let place = first + 9, rest = row; place >= first; place--) {
      const next = Math.floor(rest / 10)
      buffer[place] = 48 + rest - next * 10
      rest = next
    }
  }
  get view(): Uint8Array {
    return this.#buffer.subarray(0, this.length)
  }
  #room(bytes: number): void {
    if (this.length + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.length + bytes))
    this.#buffer.copy(larger, 0, 0, this.length)
    this.#buffer = larger
  }
}

/** Where the digits of the record id begin in a line. */
const digitsAt = lineStart.length + 1

/** @internal */
export class RecordEncoder {
  readonly #asking: Asking
  readonly #processor: Processor<object>
  readonly #parameters: ModelParameters
  /** Undefined before the first request; null where every request is encoded by itself. */
  #frame: Frame | null | undefined = undefined
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
    let output = new Output(this.#expected)
    let from = 0
    let ends: Array<number> = []
    let row = 0
    const texts: Array<string> = []
    const cut = () => {
      segments.push({ batch: slice(batch, from, row), bytes: output.view, ends })
      this.#expected = Math.ceil(output.length * 1.1) + 1024
      from = row
      ends = []
      if (row < batch.length) output = new Output(this.#expected)
    }
    try {
      while (row < batch.length) {
        const frame = this.#frame === undefined ? this.#frameFor(batch, row) : this.#frame
        if (frame !== null && frame.read(batch.columns, row, texts)) {
          const { order, pieces } = frame
          output.bytes(pieces[0]!)
          output.digits(firstRow + row, pieces[0]!.length - digitsAt)
          for (let i = 0; i < order.length; i++) {
            output.escaped(texts[order[i]!]!)
            output.bytes(pieces[i + 1]!)
          }
        } else {
          output.text(this.#line(batch, row, firstRow))
        }
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

  /** A line made by itself. */
  #line(batch: Batch, row: number, firstRow: number): string {
    const input = JSON.stringify(this.#processor.encode(this.request(batch, row)))
    return lineStart + Layout.recordId(firstRow + row) + lineMiddle + input + lineEnd
  }

  /**
   * The frame of the run's requests. Only the built-in families are known to copy texts unchanged whatever they say;
   * empty ones they may leave out. The shape of a function's turns is that of its first row.
   */
  #frameFor(batch: Batch, row: number): Frame | null {
    const [asking, processor, parameters] = [this.#asking, this.#processor, this.#parameters]
    this.#frame = forId(processor.id) !== processor
      ? null
      : asking.type === "embed"
      ? embedFrame(processor, parameters, asking.column)
      : asking.templates !== null
      ? templatesFrame(processor, parameters, asking.templates)
      : turnsFrame(processor, parameters, asking.render(batch.columns, row), asking.render)
    return this.#frame
  }
}
