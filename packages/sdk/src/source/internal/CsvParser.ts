/**
 * From the bytes of a CSV to its rows, piece by piece. papaparse's own streaming loses characters that two pieces
 * share, keeps the byte order mark and guesses line ends from whatever the first piece holds; so the bytes are decoded
 * here, and only its core, which parses a text, is used.
 *
 * @internal
 */
import { isUtf8 } from "node:buffer"
import {
  type Cells,
  type CsvDialect,
  type LineEnd,
  lineEndOf,
  LineEnds,
  rowEnds,
  rowsOf,
  strayLineEnd
} from "./CsvText.ts"

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
export interface CsvParserOptions extends CsvDialect {
  /** The names of the columns of a file that has no header line; null where it has one. */
  readonly names?: ReadonlyArray<string> | null
  /** Lines before the header, whatever they hold. */
  readonly skipLines?: number
  /** Data rows to give; what comes after them is not looked at. */
  readonly limit?: number
  /** How much text is parsed at once, in characters. */
  readonly parseAt?: number
  /** The longest row, in characters: a quote that is never closed must not take in the whole file. */
  readonly maxRowLength?: number
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

/** @internal */
export class CsvParser {
  /** The column names, as soon as they are known. */
  header: ReadonlyArray<string> | null
  /** How much text the rows that were given last were part of. */
  parsedLength = 0
  /**
   * At which byte the text of the rows that were given last began; 0 where the header was in it, so that the file is
   * read from its beginning to come to them.
   */
  parsedFrom = 0
  private readonly dialect: CsvDialect
  private readonly headerless: boolean
  private readonly parseAt: number
  private readonly maxRowLength: number
  private readonly limit: number
  /** The beginning of a character whose end has not come yet. */
  private tail: Buffer = Buffer.alloc(0)
  private text = ""
  private started = false
  private linesToSkip: number
  private threshold: number
  private newline: LineEnd | null = null
  private rows = 0
  /** Bytes that were taken in. */
  private bytes = 0
  /** At which byte the text begins. */
  private from = 0

  constructor(options: CsvParserOptions) {
    const { comment, delimiter, escape, names, quote } = options
    this.dialect = { delimiter, quote, escape, comment }
    this.header = names ?? null
    this.headerless = this.header !== null
    this.linesToSkip = options.skipLines ?? 0
    this.parseAt = options.parseAt ?? 256 * 1024
    this.maxRowLength = options.maxRowLength ?? 64 * 1024 * 1024
    this.limit = options.limit ?? Number.POSITIVE_INFINITY
    this.threshold = this.parseAt
  }

  /** Whether it is known how lines end, so that the parser can go on in the middle of the file. */
  get isSettled(): boolean {
    return this.header !== null && this.newline !== null
  }

  /** Goes on at a byte at which a row begins, with so many rows before it. */
  goOn(byte: number, rows: number): void {
    this.tail = Buffer.alloc(0)
    this.text = ""
    this.started = true
    this.threshold = this.parseAt
    this.rows = rows
    this.bytes = byte
    this.from = byte
  }

  /** Whether all rows up to the limit have been given. */
  get full(): boolean {
    return this.rows >= this.limit
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
    this.bytes += piece.length
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
    while (this.linesToSkip > 0 && this.skipLine());
  }

  /** Drops the text up to the end of a line that is left out; false where it does not end yet. */
  private skipLine(): boolean {
    const end = /\r\n|\n|\r(?=[^])/.exec(this.text)
    if (end === null) {
      this.text = this.text.endsWith("\r") ? "\r" : ""
      return false
    }
    this.text = this.text.slice(end.index + end[0].length)
    this.linesToSkip--
    return true
  }

  /** The text up to the bad byte says in which row and column it is. */
  private notUtf8(): CsvFault {
    this.parse(false)
    const begun = this.header === null || this.newline === null
      ? undefined
      : rowsOf(this.text, this.dialect, this.newline, true).rows[0]
    return new CsvFault(
      "the text is not UTF-8; convert the file to UTF-8",
      this.header === null ? null : this.rows + 1,
      this.header?.[Math.max(0, (begun?.length ?? 1) - 1)] ?? null
    )
  }

  private parse(last: boolean): Array<Cells> {
    const { text } = this
    const rows = this.isOneRow(text, last) ? [] : this.parseRows(text, last)
    // A row much longer than a piece is not parsed from its start for every piece.
    this.threshold = Math.max(this.parseAt, Math.min(this.text.length * 2, this.maxRowLength + 1))
    if (this.text.length > this.maxRowLength && !this.full) {
      throw this.fault(`the row is longer than ${this.maxRowLength} characters; is a quote left open in it?`)
    }
    return rows
  }

  /** Whether a long text is the beginning of one row: its cells would be made in vain. */
  private isOneRow(text: string, last: boolean): boolean {
    return !last && text.length > 4 * this.parseAt && new LineEnds(text, this.dialect).next(0) < 0
  }

  private parseRows(text: string, last: boolean): Array<Cells> {
    this.newline ??= lineEndOf(text, this.dialect, last)
    const { newline } = this
    if (newline === null) return []
    this.parsedFrom = this.header === null ? 0 : this.from
    const parsed = rowsOf(text, this.dialect, newline, last)
    const rows = this.accept(parsed.rows, parsed.misquoted, newline, last)
    this.parsedLength = parsed.end
    this.text = last ? "" : text.slice(parsed.end)
    // What is left is short, and what it is left of may be long.
    if (parsed.end > 0) this.from = this.bytes - this.tail.length - Buffer.byteLength(this.text)
    return rows
  }

  private fault(message: string, column: string | null = null): CsvFault {
    return this.header === null
      ? new CsvFault(`in the header: ${message}`, null, column)
      : new CsvFault(message, this.rows + 1, column)
  }

  private accept(data: Array<Cells>, misquoted: ReadonlySet<number>, newline: LineEnd, last: boolean): Array<Cells> {
    const { dialect, text } = this
    const rows: Array<Cells> = []
    let ends: ReadonlyArray<number> | null = null
    const endOf = (i: number): number => (ends ??= rowEnds(text, dialect, newline, last))[i]!
    const raw = (i: number): string => text.slice(i === 0 ? 0 : endOf(i - 1), endOf(i))
    const emptyQuotes = dialect.quote !== null && text.includes(dialect.quote + dialect.quote)
    const stray = strayLineEnd(text, dialect, newline)
    for (let i = 0; i < data.length && !this.full; i++) {
      const cells = data[i]!
      if (misquoted.size > 0 && misquoted.has(i)) throw this.misquoted()
      if (stray >= 0 && endOf(i) > stray) throw this.strayEnd()
      // In a file of bare line feeds, a row that ends with both characters has a stray carriage return, unless quoted.
      const lastCell = cells[cells.length - 1]!
      if (newline === "\n" && lastCell.endsWith("\r") && /\r\n?$/.test(raw(i))) {
        cells[cells.length - 1] = lastCell.slice(0, -1)
      }
      // A blank line is no row; a line that is an empty quoted field is one.
      if (cells.length === 1 && cells[0] === "" && !(emptyQuotes && this.endsQuoted(raw(i)))) continue
      if (this.header === null) {
        this.header = this.checkHeader(cells)
        continue
      }
      this.checkWidth(cells, this.header)
      this.rows++
      rows.push(cells)
    }
    if (this.full) return rows
    if (misquoted.has(data.length)) throw this.misquoted()
    // In a comment that the end of the file follows.
    if (last && stray >= 0) throw this.strayEnd()
    return rows
  }

  /** Whether the last line of a text, blank lines and comments before it left out, is an empty quoted field. */
  private endsQuoted(raw: string): boolean {
    const { quote } = this.dialect
    const line = raw.trimEnd()
    return quote !== null && line.slice(Math.max(line.lastIndexOf("\n"), line.lastIndexOf("\r")) + 1) === quote + quote
  }

  private misquoted(): CsvFault {
    return this.fault(
      "a quoted field is not closed, or text follows its closing quote; write a quote inside a field twice"
    )
  }

  private strayEnd(): CsvFault {
    return this.fault(
      "a line ends otherwise than the first line of the file does; give all lines the same end, and quote fields " +
        "that contain line ends"
    )
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
    const declared = this.headerless ? "`names`" : "the header"
    if (cells.length < header.length) {
      const column = header[cells.length]!
      throw this.fault(
        `the row has ${cells.length} of ${header.length} fields; the first missing one is ${JSON.stringify(column)}`,
        column
      )
    }
    if (cells.length > header.length) {
      throw this.fault(
        `the row has ${cells.length} fields, ${declared} ${header.length}; quote fields that contain the delimiter`,
        `extra field ${header.length + 1}`
      )
    }
  }
}
