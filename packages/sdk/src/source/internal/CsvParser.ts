/**
 * From the bytes of a CSV to its rows, piece by piece. papaparse's own streaming loses characters that two pieces
 * share, keeps the byte order mark and guesses line ends from whatever the first piece holds; so the bytes are decoded
 * here, and only its core, which parses a text, is used.
 *
 * @internal
 */
import { isUtf8 } from "node:buffer"
import Papa from "papaparse"

/**
 * What is wrong with a CSV, and where. `row` is the data row, from 1; null in the header.
 *
 * @internal
 */
export class CsvFault {
  readonly message: string
  readonly row: number | null
  readonly column: string | null

  constructor(message: string, row: number | null, column: string | null = null) {
    this.message = message
    this.row = row
    this.column = column
  }
}

/** @internal */
export type Cells = Array<string>

/** @internal */
export interface CsvParserOptions {
  readonly delimiter: string
  /** How much text is parsed at once, in characters. */
  readonly parseAt?: number
  /** The longest row, in characters: a quote that is never closed must not take in the whole file. */
  readonly maxRowLength?: number
}

interface Parsed {
  readonly data: Array<Cells>
  readonly errors: ReadonlyArray<{ readonly type: string; readonly code: string; readonly row: number }>
  readonly meta: { readonly cursor: number }
}

/** How many bytes at the end begin a character that does not end there. */
const unfinished = (bytes: Buffer): number => {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!
    if ((byte & 0xc0) === 0x80) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return length > back ? back : 0
  }
  return 0
}

/** The length of the longest beginning that is UTF-8. */
const validLength = (bytes: Buffer): number => {
  const whole = (length: number): number => length - unfinished(bytes.subarray(0, length))
  let low = 0
  let high = bytes.length
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (isUtf8(bytes.subarray(0, whole(middle)))) low = middle
    else high = middle - 1
  }
  return whole(low)
}

type LineEnd = "\n" | "\r\n" | "\r"

/** The first line end outside quotes, or null while there is none. */
const lineEndOf = (text: string, delimiter: string, last: boolean): LineEnd | null => {
  let quoted = false
  let fieldStart = true
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!
    if (quoted) {
      if (char !== "\"") continue
      if (text[i + 1] === "\"") i++
      else quoted = false
    } else if (char === "\"" && fieldStart) {
      quoted = true
      fieldStart = false
    } else if (char === "\n") {
      return "\n"
    } else if (char === "\r") {
      if (i + 1 < text.length) return text[i + 1] === "\n" ? "\r\n" : "\r"
      return last ? "\r" : null
    } else {
      fieldStart = char === delimiter
    }
  }
  return last ? "\n" : null
}

/** Line ends that are not the file's own; a file of bare line feeds may have a carriage return before them. */
const foreignTo: { readonly [K in LineEnd]: RegExp } = {
  "\n": /\r(?!\n)/,
  "\r\n": /\r(?!\n)|(?<!\r)\n/,
  "\r": /\n/
}

/** Where the first line end outside quotes is that is not the file's own; -1 where there is none. */
const strayLineEnd = (text: string, delimiter: string, newline: LineEnd): number => {
  if (!foreignTo[newline].test(text)) return -1
  let quoted = false
  let fieldStart = true
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!
    if (quoted) {
      if (char !== "\"") continue
      if (text[i + 1] === "\"") i++
      else quoted = false
    } else if (char === "\"" && fieldStart) {
      quoted = true
      fieldStart = false
    } else if (char === "\n" || char === "\r") {
      const length = char === "\r" && text[i + 1] === "\n" ? 2 : 1
      const end = text.slice(i, i + length)
      const own = end === newline || (newline === "\n" && (length === 2 || i + 1 === text.length))
      if (!own) return i
      i += length - 1
      fieldStart = true
    } else {
      fieldStart = char === delimiter
    }
  }
  return -1
}

/** @internal */
export class CsvParser {
  /** The column names, as soon as the first line has ended. */
  header: ReadonlyArray<string> | null = null
  private readonly delimiter: string
  private readonly parseAt: number
  private readonly maxRowLength: number
  /** The beginning of a character whose end has not come yet. */
  private tail: Buffer = Buffer.alloc(0)
  private text = ""
  private started = false
  private threshold: number
  private newline: LineEnd | null = null
  private rows = 0

  constructor(options: CsvParserOptions) {
    this.delimiter = options.delimiter
    this.parseAt = options.parseAt ?? 256 * 1024
    this.maxRowLength = options.maxRowLength ?? 64 * 1024 * 1024
    this.threshold = this.parseAt
  }

  /** The data rows that end in the text so far. Throws a `CsvFault`. */
  push(piece: Uint8Array): Array<Cells> {
    this.decode(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength), false)
    return this.text.length < this.threshold ? [] : this.parse(false)
  }

  /** The last data rows. Throws a `CsvFault`. */
  end(): Array<Cells> {
    this.decode(Buffer.alloc(0), true)
    return this.parse(true)
  }

  private decode(piece: Buffer, last: boolean): void {
    const bytes = this.tail.length === 0 ? piece : Buffer.concat([this.tail, piece])
    const end = last ? bytes.length : bytes.length - unfinished(bytes)
    const whole = bytes.subarray(0, end)
    if (!isUtf8(whole)) {
      this.append(bytes.toString("utf8", 0, validLength(whole)))
      throw this.notUtf8()
    }
    // A copy, for the piece may be large and the tail lives on.
    this.tail = Buffer.from(bytes.subarray(end))
    this.append(bytes.toString("utf8", 0, end))
  }

  private append(text: string): void {
    if (text === "") return
    this.text += !this.started && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
    this.started = true
  }

  /** The text up to the bad byte says in which row and column it is. */
  private notUtf8(): CsvFault {
    this.parse(false)
    const begun = this.header === null ? undefined : this.run(this.text, false).data[0]
    return new CsvFault(
      "the text is not UTF-8; convert the file to UTF-8",
      this.header === null ? null : this.rows + 1,
      this.header?.[Math.max(0, (begun?.length ?? 1) - 1)] ?? null
    )
  }

  private run(text: string, ignoreLastRow: boolean): Parsed {
    const parser = new Papa.Parser({ delimiter: this.delimiter, newline: this.newline ?? "\n", quoteChar: "\"" })
    return parser.parse(text, 0, ignoreLastRow)
  }

  /** Where each row of a text ends: slower, and needed only where the cells alone leave a doubt. */
  private rowEnds(text: string, ignoreLastRow: boolean): ReadonlyArray<number> {
    const ends: Array<number> = []
    const parser = new Papa.Parser({
      delimiter: this.delimiter,
      newline: this.newline ?? "\n",
      quoteChar: "\"",
      step: (result) => {
        ends.push(result.meta.cursor)
      }
    })
    parser.parse(text, 0, ignoreLastRow)
    return ends
  }

  private parse(last: boolean): Array<Cells> {
    this.newline ??= lineEndOf(this.text, this.delimiter, last)
    const { data, errors, meta } = this.newline === null
      ? { data: [], errors: [], meta: { cursor: 0 } }
      : this.run(this.text, !last)
    const text = this.text
    const rows = this.accept(data, new Set(errors.map((error) => error.row)), () => this.rowEnds(text, !last))
    this.text = last ? "" : text.slice(meta.cursor)
    // A row much longer than a piece is not parsed from its start for every piece.
    this.threshold = Math.max(this.parseAt, Math.min(this.text.length * 2, this.maxRowLength + 1))
    if (this.text.length > this.maxRowLength) {
      throw this.fault(`the row is longer than ${this.maxRowLength} characters; is a quote left open in it?`)
    }
    return rows
  }

  private fault(message: string, column: string | null = null): CsvFault {
    return this.header === null
      ? new CsvFault(`in the header: ${message}`, null, column)
      : new CsvFault(message, this.rows + 1, column)
  }

  private accept(
    data: Array<Cells>,
    misquoted: ReadonlySet<number>,
    findEnds: () => ReadonlyArray<number>
  ): Array<Cells> {
    const rows: Array<Cells> = []
    let found: ReadonlyArray<number> | null = null
    const text = this.text
    const emptyQuotes = text.includes("\"\"")
    const raw = (i: number): string => {
      found ??= findEnds()
      return text.slice(i === 0 ? 0 : found[i - 1], found[i])
    }
    const stray = this.newline === null ? -1 : strayLineEnd(text, this.delimiter, this.newline)
    const isStray = (i: number): boolean => stray >= 0 && (found ??= findEnds())[i]! > stray
    for (let i = 0; i < data.length; i++) {
      const cells = data[i]!
      if (misquoted.has(i)) {
        throw this.fault(
          "a quoted field is not closed, or text follows its closing quote; write a quote inside a field twice"
        )
      }
      if (isStray(i)) {
        throw this.fault(
          "a line ends otherwise than the first line of the file does; give all lines the same end, and quote fields that " +
            "contain line ends"
        )
      }
      // In a file of bare line feeds, a row that ends with both characters has a stray carriage return, unless quoted.
      const lastCell = cells[cells.length - 1]!
      if (this.newline === "\n" && lastCell.endsWith("\r") && /\r\n?$/.test(raw(i))) {
        cells[cells.length - 1] = lastCell.slice(0, -1)
      }
      // A blank line is no row; a line that is an empty quoted field is one.
      if (cells.length === 1 && cells[0] === "" && !(emptyQuotes && raw(i).includes("\""))) continue
      if (this.header === null) {
        this.header = this.checkHeader(cells)
        continue
      }
      this.checkWidth(cells, this.header)
      this.rows++
      rows.push(cells)
    }
    return rows
  }

  private checkHeader(names: Cells): ReadonlyArray<string> {
    const seen = new Map<string, number>()
    for (const [index, name] of names.entries()) {
      if (name === "") {
        throw new CsvFault(
          `the header has no name for column ${index + 1}; name it (an unnamed first one is often a data frame's index)`,
          null
        )
      }
      const first = seen.get(name)
      if (first !== undefined) {
        throw new CsvFault(
          `the header names ${JSON.stringify(name)} twice, in columns ${first + 1} and ${index + 1}; rename one`,
          null,
          name
        )
      }
      seen.set(name, index)
    }
    return names
  }

  private checkWidth(cells: Cells, header: ReadonlyArray<string>): void {
    if (cells.length < header.length) {
      const column = header[cells.length]!
      throw this.fault(
        `the row has ${cells.length} of ${header.length} fields; the first missing one is ${JSON.stringify(column)}`,
        column
      )
    }
    if (cells.length > header.length) {
      throw this.fault(
        `the row has ${cells.length} fields, the header ${header.length}; quote fields that contain the delimiter`,
        `extra field ${header.length + 1}`
      )
    }
  }
}
