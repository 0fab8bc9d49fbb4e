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

/** The texts of a row, as many as there are slots, put at a place of each slot; false where it has another shape. */
type Reader = (columns: Batch["columns"], row: number, slots: ReadonlyArray<Array<string>>, at: number) => boolean

/**
 * Requests of one shape: constant bytes, and slots between them for texts. The first piece begins the line, with room
 * for the record id.
 */
interface Frame {
  readonly pieces: ReadonlyArray<Buffer>
  /** Bytes of all pieces. */
  readonly constant: number
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
  return {
    pieces,
    constant: pieces.reduce((sum, piece) => sum + piece.length, 0),
    order: places.map(({ text }) => text),
    read
  }
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
  return frameOf(processor, { type: "chat", turns, parameters }, marks, (values, row, slots, at) => {
    for (let i = 0; i < columns.length; i++) slots[i]![at] = renderValue(values[columns[i]!]![row])
    return bare.every((own) => own.some((i) => slots[i]![at] !== ""))
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
  return frameOf(processor, { type: "chat", turns, parameters }, marks, (columns, row, slots, at) => {
    const rendered = render(columns, row)
    if (rendered.length !== first.length) return false
    for (let i = 0; i < rendered.length; i++) {
      const { content, role } = rendered[i]!
      if (content === "" || role !== first[i]!.role) return false
      slots[i]![at] = content
    }
    return true
  })
}

const embedFrame = (processor: Processor<object>, parameters: ModelParameters, column: number): Frame | null => {
  const marks = marksFor(1)
  return frameOf(processor, { type: "embed", text: marks[0]!, parameters }, marks, (columns, row, slots, at) => {
    const text = renderValue(columns[column]![row])
    slots[0]![at] = text
    return text !== ""
  })
}

const quote = 0x22
const backslash = 0x5c
/** What stands between two texts of an array of texts as JSON. */
const between = Buffer.from("\",\"")

/** Whether the quote at a place of a JSON text is escaped: an odd number of backslashes stands before it. */
const isEscaped = (bytes: Uint8Array, at: number): boolean => {
  let before = at
  while (bytes[before - 1] === backslash) before--
  return (at - before) % 2 === 1
}

/** Many texts with JSON's escapes, without their quotes, side by side. */
class Escaped {
  bytes: Buffer = Buffer.allocUnsafe(1 << 16)
  /** Where text `i` begins: `starts[i]`. */
  starts = new Uint32Array(0)
  /** Where text `i` ends: `ends[i]`. */
  ends = new Uint32Array(0)

  /** One call for all of them: a call for each costs more than the work. */
  set(texts: ReadonlyArray<string>): void {
    if (this.starts.length < texts.length) {
      this.starts = new Uint32Array(texts.length)
      this.ends = new Uint32Array(texts.length)
    }
    const json = JSON.stringify(texts)
    if (json.length * 3 > this.bytes.length) this.bytes = Buffer.allocUnsafe(json.length * 3)
    const { bytes } = this
    const length = bytes.write(json)
    let plain = 1
    for (const text of texts) plain += text.length + 3
    let at = 2
    if (plain === length) {
      for (let i = 0; i < texts.length; i++) {
        this.starts[i] = at
        at += texts[i]!.length
        this.ends[i] = at
        at += 3
      }
      return
    }
    for (let i = 0; i < texts.length; i++) {
      this.starts[i] = at
      let end = i === texts.length - 1 ? length - 2 : bytes.indexOf(between, at)
      while (bytes[end] === quote && isEscaped(bytes, end)) end = bytes.indexOf(between, end + 1)
      this.ends[i] = end
      at = end + 3
    }
  }
}

/** @internal */
export class RecordEncoder {
  readonly #asking: Asking
  readonly #processor: Processor<object>
  readonly #parameters: ModelParameters
  /** Undefined before the first request; null where every request is encoded by itself. */
  #frame: Frame | null | undefined = undefined
  readonly #escaped: Array<Escaped> = []

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
    for (let from = 0; from < batch.length;) {
      const segment = this.#segment(batch, from, firstRow)
      if (Result.isFailure(segment)) return Result.fail(segment.failure)
      segments.push(segment.success)
      from += segment.success.ends.length
    }
    return Result.succeed(segments)
  }

  /** Encodes the rows from `from` on, up to about the size of a segment. */
  #segment(batch: Batch, from: number, firstRow: number): Result.Result<Segment, EncodeFailure> {
    let row = from
    try {
      const frame = this.#frame === undefined ? this.#frameFor(batch, from) : this.#frame
      const slots = frame?.order.map((): Array<string> => []) ?? []
      /** The lines of rows that do not fit the frame, by their place. */
      const odd = new Map<number, Buffer>()
      let bytes = 0
      for (; row < batch.length && bytes < segmentBytes; row++) {
        const at = row - from
        if (frame !== null && frame.read(batch.columns, row, slots, at)) {
          bytes += frame.constant
          for (const texts of slots) bytes += texts[at]!.length
        } else {
          for (const texts of slots) texts[at] = ""
          const line = this.#line(batch, row, firstRow)
          odd.set(at, line)
          bytes += line.length
        }
      }
      const ends = new Array<number>(row - from)
      const encoded = frame === null
        ? Buffer.concat([...odd.values()])
        : this.#fill(frame, slots, odd, ends, firstRow + from)
      if (frame === null) {
        let end = 0
        for (let i = 0; i < ends.length; i++) ends[i] = end += odd.get(i)!.length
      }
      return Result.succeed({ batch: slice(batch, from, row), bytes: encoded, ends })
    } catch (cause) {
      return Result.fail({ row: firstRow + row, cause })
    }
  }

  /** A line made by itself. */
  #line(batch: Batch, row: number, firstRow: number): Buffer {
    const input = JSON.stringify(this.#processor.encode(this.request(batch, row)))
    return Buffer.from(lineStart + Layout.recordId(firstRow + row) + lineMiddle + input + lineEnd)
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
    for (const _ of this.#frame?.order ?? []) this.#escaped.push(new Escaped())
    return this.#frame
  }

  /** Puts the texts into the frame, row by row; odd rows are copied. */
  #fill(
    frame: Frame,
    slots: ReadonlyArray<ReadonlyArray<string>>,
    odd: ReadonlyMap<number, Buffer>,
    ends: Array<number>,
    firstRow: number
  ): Buffer {
    const { constant, order, pieces } = frame
    const escaped = this.#escaped
    let size = 0
    for (let k = 0; k < slots.length; k++) {
      escaped[k]!.set(slots[k]!)
      for (let i = 0; i < ends.length; i++) size += escaped[k]!.ends[i]! - escaped[k]!.starts[i]!
    }
    size += constant * (ends.length - odd.size)
    for (const line of odd.values()) size += line.length
    const target = Buffer.allocUnsafeSlow(size)
    const last = pieces.length - 1
    let at = 0
    for (let i = 0; i < ends.length; i++) {
      const line = odd.size === 0 ? undefined : odd.get(i)
      if (line !== undefined) {
        target.set(line, at)
        at += line.length
      } else {
        target.set(pieces[0]!, at)
        writeRow(target, at + lineStart.length + 1, firstRow + i)
        at += pieces[0]!.length
        for (let k = 0; k < last; k++) {
          const { bytes, ends: to, starts } = escaped[order[k]!]!
          at += bytes.copy(target, at, starts[i]!, to[i]!)
          target.set(pieces[k + 1]!, at)
          at += pieces[k + 1]!.length
        }
      }
      ends[i] = at
    }
    return target
  }
}

/** Writes the ten digits of a row number. */
const writeRow = (target: Uint8Array, at: number, row: number): void => {
  for (let place = at + 9, rest = row; place >= at; place--) {
    const next = Math.floor(rest / 10)
    target[place] = 48 + rest - next * 10
    rest = next
  }
}
