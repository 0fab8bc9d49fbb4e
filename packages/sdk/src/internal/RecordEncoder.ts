/**
 * From batches of rows to the lines that Bedrock reads.
 *
 * @internal
 */
import { forId, innermost } from "@bedrock-batch/processors/Families"
import type { ModelParameters, ModelRequest, Processor } from "@bedrock-batch/processors/Processor"
import type { CompiledAttachment, CompiledPrompt, CompiledTurn, Media, Turn } from "@bedrock-batch/processors/Prompt"
import { renderValue } from "@bedrock-batch/processors/Prompt"
import * as Result from "effect/Result"
import { type Batch, slice } from "./Batch.ts"
import * as Layout from "./Layout.ts"
import type { Reference } from "./MediaCopies.ts"
import { bodyOf, bodyText } from "./RawBody.ts"
import type { RowParameters } from "./RowParameters.ts"

/** Rows with their encoded records: `ends[i]` is where record `i` ends in `bytes`, its line feed included. @internal */
export interface Segment {
  readonly batch: Batch
  readonly bytes: Uint8Array
  readonly ends: ReadonlyArray<number>
  /** The objects that the records name, in their order; left out where they name none. */
  readonly references?: ReadonlyArray<Reference>
}

/**
 * How a row becomes a request: by a prompt; by the text of one column (null: none), its media or both; or as the column
 * holds it.
 *
 * @internal
 */
export type Asking =
  | (
    & { readonly type: "chat" }
    & Pick<CompiledPrompt, "render" | "templates">
    & Partial<Pick<CompiledPrompt, "attachments">>
  )
  | { readonly type: "embed"; readonly column: number | null; readonly media?: CompiledAttachment | undefined }
  | { readonly type: "body"; readonly column: number; readonly name: string }

/** What all requests of a run have, and parameters of their own that rows have. @internal */
export interface Common {
  /** The model as the user named it. */
  readonly model?: string | undefined
  readonly rowParameters?: RowParameters | null | undefined
}

/** The media of one row: an entry for each attachment, and the objects that it names. @internal */
export interface RowMedia {
  readonly media: ReadonlyArray<Media | null>
  readonly references: ReadonlyArray<Omit<Reference, "record">>
}

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

/** What a request has beside what is asked. */
type Shared = { readonly parameters: ModelParameters; readonly model?: string }

/** Turns as templates: the slots are the values in them. A turn that comes out empty is another shape. */
const templatesFrame = (
  processor: Processor<object>,
  shared: Shared,
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
  return frameOf(processor, { type: "chat", turns, ...shared }, marks, (values, row, texts) => {
    for (let i = 0; i < columns.length; i++) texts[i] = renderValue(values[columns[i]!]![row])
    return bare.length === 0 || bare.every((own) => own.some((i) => texts[i] !== ""))
  })
}

/** Turns of a function: the slots are their contents; other roles, or an empty content, are another shape. */
const turnsFrame = (
  processor: Processor<object>,
  shared: Shared,
  first: ReadonlyArray<Turn>,
  render: CompiledPrompt["render"]
): Frame | null => {
  const marks = marksFor(first.length)
  const turns = first.map(({ role }, i) => ({ role, content: marks[i]! }))
  return frameOf(processor, { type: "chat", turns, ...shared }, marks, (columns, row, texts) => {
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
const embedFrame = (processor: Processor<object>, shared: Shared, column: number): Frame | null => {
  const marks = marksFor(1)
  if (!JSON.stringify(processor.encode({ type: "embed", text: longText, ...shared })).includes(longText)) return null
  return frameOf(processor, { type: "embed", text: marks[0]!, ...shared }, marks, (columns, row, texts) => {
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

/** The built-in families are known to copy texts unchanged whatever they say, but for those that say otherwise. */
const copiesTexts = (processor: Processor<object>): boolean =>
  forId(processor.id) === processor && processor["~@bedrock-batch/processors/changesTexts"] !== true

/** Where the digits of the record id begin in a line. */
const digitsAt = lineStart.length + 1

/** @internal */
export class RecordEncoder {
  readonly #asking: Asking
  readonly #processor: Processor<object>
  readonly #shared: Shared
  readonly #rowParameters: RowParameters | null
  /** Undefined before the first request; null where every request is encoded by itself. */
  #frame: Frame | null | undefined = undefined
  /** Bytes that the next segment will probably take. */
  #expected = 1 << 18

  constructor(asking: Asking, processor: Processor<object>, parameters: ModelParameters, common: Common = {}) {
    const { model, rowParameters } = common
    this.#asking = asking
    this.#processor = processor
    this.#shared = model === undefined ? { parameters } : { parameters, model }
    this.#rowParameters = asking.type === "body" ? null : rowParameters ?? null
  }

  /** The media that is to be read before rows are encoded. */
  get attachments(): ReadonlyArray<CompiledAttachment> {
    const asking = this.#asking
    if (asking.type === "chat") return asking.attachments ?? []
    return asking.type === "embed" && asking.media !== undefined ? [asking.media] : []
  }

  /** Those of rows that have none of their own. */
  get parameters(): ModelParameters {
    return this.#shared.parameters
  }

  /** Whether rows have parameters of their own. */
  get hasRowParameters(): boolean {
    return this.#rowParameters !== null
  }

  /**
   * The request of one row, before the processor gives it its shape. Throws what a prompt function throws, and
   * `CellProblem`.
   */
  request(batch: Batch, row: number, media: ReadonlyArray<Media | null> = []): ModelRequest {
    const asking = this.#asking
    const { columns } = batch
    if (asking.type === "body") return { type: "raw", body: bodyOf(columns[asking.column]![row], asking.name) }
    const shared = this.#rowParameters === null
      ? this.#shared
      : { ...this.#shared, parameters: this.#rowParameters(columns, row) }
    if (asking.type === "chat") return { type: "chat", turns: asking.render(columns, row, media), ...shared }
    const text = asking.column === null ? "" : renderValue(columns[asking.column]![row])
    const [only] = media
    return only == null ? { type: "embed", text, ...shared } : { type: "embed", text, media: only, ...shared }
  }

  /** Encodes a batch whose first row is row `firstRow` of the run, with the media of its rows where it has some. */
  encode(
    batch: Batch,
    firstRow: number,
    media?: ReadonlyArray<RowMedia> | undefined
  ): Result.Result<ReadonlyArray<Segment>, EncodeFailure> {
    const segments: Array<Segment> = []
    let references: Array<Reference> = []
    let output = new Output(this.#expected)
    let from = 0
    let ends: Array<number> = []
    let row = 0
    const texts: Array<string> = []
    const cut = () => {
      const segment: Segment = { batch: slice(batch, from, row), bytes: output.view, ends }
      segments.push(references.length === 0 ? segment : { ...segment, references })
      this.#expected = Math.ceil(output.length * 1.1) + 1024
      from = row
      ends = []
      references = []
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
          const own = media?.[row]
          output.text(this.#line(batch, row, firstRow, own?.media))
          for (const one of own?.references ?? []) references.push({ ...one, record: ends.length })
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
  #line(batch: Batch, row: number, firstRow: number, media: ReadonlyArray<Media | null> | undefined): string {
    const asking = this.#asking
    const input = asking.type === "body"
      ? bodyText(batch.columns[asking.column]![row], asking.name)
      : JSON.stringify(this.#processor.encode(this.request(batch, row, media)))
    return lineStart + Layout.recordId(firstRow + row) + lineMiddle + input + lineEnd
  }

  /**
   * The frame of the run's requests. Only the built-in families are known to copy texts unchanged whatever they say;
   * empty ones they may leave out. The shape of a function's turns is that of its first row. Requests with media,
   * parameters or bodies of their own have no shape in common.
   */
  #frameFor(batch: Batch, row: number): Frame | null {
    const [asking, processor, shared] = [this.#asking, this.#processor, this.#shared]
    const isPlain = this.attachments.length === 0 && !this.hasRowParameters
    this.#frame = !isPlain || asking.type === "body" || !copiesTexts(innermost(processor))
      ? null
      : asking.type === "embed"
      ? asking.column === null ? null : embedFrame(processor, shared, asking.column)
      : asking.templates !== null
      ? templatesFrame(processor, shared, asking.templates)
      : turnsFrame(processor, shared, asking.render(batch.columns, row), asking.render)
    return this.#frame
  }
}
