/**
 * From a piece of the text of a CSV to its rows: with papaparse's core, or, where quotes are escaped with another
 * character (papaparse takes `\\"` for an escaped quote), with a parser of our own.
 *
 * @internal
 */
import Papa from "papaparse"

/** @internal */
export type Cells = Array<string>

/**
 * How a CSV is written.
 *
 * @internal
 */
export interface CsvDialect {
  readonly delimiter: string
  /** Null where no field is quoted. */
  readonly quote: string | null
  /** What stands before a quote inside quotes: the quote itself, or another character. */
  readonly escape: string | null
  /** What lines that are left out begin with. */
  readonly comment: string | null
}

/** @internal */
export type LineEnd = "\n" | "\r\n" | "\r"

/** The next place of a text in another, asked for from left to right. */
class Finder {
  private readonly text: string
  private readonly wanted: string
  private at = -2

  constructor(text: string, wanted: string) {
    this.text = text
    this.wanted = wanted
  }

  /** The first place at or after `from`, or -1. */
  from(from: number): number {
    if (this.at !== -1 && this.at < from) this.at = this.text.indexOf(this.wanted, from)
    return this.at
  }
}

/**
 * Finds where the lines of a text end, outside quotes.
 *
 * @internal
 */
export class LineEnds {
  private readonly text: string
  private readonly dialect: CsvDialect
  private readonly delimiters: Finder
  private readonly lineFeeds: Finder
  private readonly carriageReturns: Finder
  private readonly quotes: Finder | null
  /** Of characters that are not the quote. */
  private readonly escapes: Finder | null

  constructor(text: string, dialect: CsvDialect) {
    const { delimiter, escape, quote } = dialect
    this.text = text
    this.dialect = dialect
    this.delimiters = new Finder(text, delimiter)
    this.lineFeeds = new Finder(text, "\n")
    this.carriageReturns = new Finder(text, "\r")
    this.quotes = quote === null ? null : new Finder(text, quote)
    this.escapes = escape === null || escape === quote ? null : new Finder(text, escape)
  }

  /** Where the line that begins at `from` ends; -1 where it does not end in this text. Asked for from left to right. */
  next(from: number): number {
    const { comment, quote } = this.dialect
    if (comment !== null && this.text.startsWith(comment, from)) return this.end(from)
    let at = from
    while (true) {
      if (quote !== null && this.text[at] === quote) {
        at = this.afterQuotes(at + 1)
        if (at < 0) return -1
      }
      const delimiter = this.delimiters.from(at)
      const end = this.end(at)
      if (delimiter < 0 || (end >= 0 && end < delimiter)) return end
      at = delimiter + 1
    }
  }

  private end(from: number): number {
    const lineFeed = this.lineFeeds.from(from)
    const carriageReturn = this.carriageReturns.from(from)
    return lineFeed < 0 || (carriageReturn >= 0 && carriageReturn < lineFeed) ? carriageReturn : lineFeed
  }

  /** The place after the closing quote of what begins at `from`, or -1. */
  private afterQuotes(from: number): number {
    const { text } = this
    const { escape, quote } = this.dialect
    let at = from
    while (true) {
      const closing = this.quotes?.from(at) ?? -1
      if (closing < 0) return -1
      const escaped = this.escapes?.from(at) ?? -1
      if (escaped >= 0 && escaped < closing) {
        at = escaped + (text[escaped + 1] === quote || text[escaped + 1] === escape ? 2 : 1)
      } else if (this.escapes === null && text[closing + 1] === quote) {
        at = closing + 2
      } else {
        return closing + 1
      }
    }
  }
}

/**
 * The first line end outside quotes, or null while there is none.
 *
 * @internal
 */
export const lineEndOf = (text: string, dialect: CsvDialect, last: boolean): LineEnd | null => {
  const at = new LineEnds(text, dialect).next(0)
  if (at < 0) return last ? "\n" : null
  if (text[at] === "\n") return "\n"
  if (at + 1 === text.length) return last ? "\r" : null
  return text[at + 1] === "\n" ? "\r\n" : "\r"
}

/** Line ends that are not the file's own; a file of bare line feeds may have a carriage return before them. */
const foreignTo: { readonly [K in LineEnd]: RegExp } = {
  "\n": /\r(?!\n)/,
  "\r\n": /\r(?!\n)|(?<!\r)\n/,
  "\r": /\n/
}

/**
 * Where the first line end outside quotes is that is not the file's own; -1 where there is none.
 *
 * @internal
 */
export const strayLineEnd = (text: string, dialect: CsvDialect, newline: LineEnd): number => {
  if (!foreignTo[newline].test(text)) return -1
  const ends = new LineEnds(text, dialect)
  for (let at = ends.next(0); at >= 0;) {
    const both = text[at] === "\r" && text[at + 1] === "\n"
    const end = both ? "\r\n" : text[at]
    const own = end === newline || (newline === "\n" && (both || at + 1 === text.length))
    if (!own) return at
    at = ends.next(at + (both ? 2 : 1))
  }
  return -1
}

/**
 * The rows of a text.
 *
 * @internal
 */
export interface Parsed {
  readonly rows: Array<Cells>
  /** The rows whose quotes are wrong; the row that has begun may be among them. */
  readonly misquoted: ReadonlySet<number>
  /** Where the last whole row ends. */
  readonly end: number
}

const none: ReadonlySet<number> = new Set()

const papaConfig = ({ comment, delimiter, quote }: CsvDialect, newline: LineEnd) => ({
  delimiter,
  newline,
  ...(quote === null ? { fastMode: true } : { quoteChar: quote }),
  ...(comment === null ? {} : { comments: comment })
})

interface PapaResult {
  readonly data: Array<Cells>
  readonly errors: ReadonlyArray<{ readonly row: number }>
  readonly meta: { readonly cursor: number }
}

const papaRows = (text: string, dialect: CsvDialect, newline: LineEnd, last: boolean): Parsed => {
  const parsed: PapaResult = new Papa.Parser(papaConfig(dialect, newline)).parse(text, 0, !last)
  const { data, errors, meta } = parsed
  if (errors.length === 0) return { rows: data, misquoted: none, end: meta.cursor }
  const misquoted = new Set<number>()
  let begun = 0
  for (const { row } of errors) {
    if (row < data.length) misquoted.add(row)
    else if (++begun === 2) misquoted.add(row)
    // What follows the last quote of the text may be a line end of which half has come.
  }
  return { rows: data, misquoted, end: meta.cursor }
}

/** The rows of a text in which quotes are escaped with a character of their own, and where each ends. */
const escapedRows = (text: string, dialect: CsvDialect, newline: LineEnd, last: boolean) => {
  const { comment, delimiter } = dialect
  const quote = dialect.quote ?? ""
  const escape = dialect.escape ?? ""
  const rows: Array<Cells> = []
  const ends: Array<number> = []
  const misquoted = new Set<number>()
  /** What may stand between a closing quote and the end of the field. */
  const spaces = " \t".replace(delimiter, "")
  let row: Cells = []
  let at = 0
  const delimiters = new Finder(text, delimiter)
  const newlines = new Finder(text, newline)
  const quotes = new Finder(text, quote)
  const escapes = new Finder(text, escape)
  const endRow = (end: number): void => {
    rows.push(row)
    ends.push(end)
    row = []
    at = end
  }
  /** The field after the quote at `at`; null where it does not end in this text. */
  const quoted = (): string | null => {
    let value = ""
    let from = at + 1
    let nextQuote = quotes.from(from)
    while (nextQuote >= 0) {
      const nextEscape = escapes.from(from)
      if (nextEscape < 0 || nextQuote < nextEscape) {
        at = nextQuote + 1
        return value + text.slice(from, nextQuote)
      }
      const char = text[nextEscape + 1]
      const isEscaped = char === quote || char === escape
      const to = nextEscape + (isEscaped ? 2 : 1)
      value += isEscaped ? text.slice(from, nextEscape) + char : text.slice(from, to)
      from = to
      nextQuote = quotes.from(from)
    }
    return null
  }
  while (at < text.length) {
    if (row.length === 0 && comment !== null && text.startsWith(comment, at)) {
      const end = newlines.from(at)
      if (end < 0) break
      at = end + newline.length
      continue
    }
    if (text.startsWith(quote, at)) {
      const value = quoted()
      if (value === null) {
        if (!last) break
        misquoted.add(rows.length)
        endRow(text.length)
        break
      }
      row.push(value)
      while (at < text.length && spaces.includes(text[at]!)) at++
      if (newline === "\n" && text[at] === "\r") at++
      if (at === text.length || newline.startsWith(text.slice(at, at + newline.length))) {
        if (text.startsWith(newline, at)) endRow(at + newline.length)
        else if (last) endRow(text.length)
        else break
        continue
      }
      if (text.startsWith(delimiter, at)) {
        at++
        if (at === text.length && last) row.push("")
      } else {
        misquoted.add(rows.length)
        const end = newlines.from(at)
        if (end < 0) break
        endRow(end + newline.length)
      }
      continue
    }
    const nextDelimiter = delimiters.from(at)
    const nextNewline = newlines.from(at)
    if (nextDelimiter >= 0 && (nextNewline < 0 || nextDelimiter < nextNewline)) {
      row.push(text.slice(at, nextDelimiter))
      at = nextDelimiter + 1
      if (at === text.length && last) row.push("")
    } else if (nextNewline >= 0) {
      row.push(text.slice(at, nextNewline))
      endRow(nextNewline + newline.length)
    } else {
      if (!last) break
      row.push(text.slice(at))
      endRow(text.length)
    }
  }
  if (last && row.length > 0) endRow(text.length)
  return { rows, misquoted, end: ends[ends.length - 1] ?? 0, ends }
}

const hasOwnEscape = ({ escape, quote }: CsvDialect): boolean => quote !== null && escape !== null && escape !== quote

/**
 * The rows of a text; unless it is the file's last, without the row that has begun at its end.
 *
 * @internal
 */
export const rowsOf = (text: string, dialect: CsvDialect, newline: LineEnd, last: boolean): Parsed =>
  hasOwnEscape(dialect) ? escapedRows(text, dialect, newline, last) : papaRows(text, dialect, newline, last)

/**
 * Where each row of a text ends: slower, and needed only where the cells alone leave a doubt.
 *
 * @internal
 */
export const rowEnds = (
  text: string,
  dialect: CsvDialect,
  newline: LineEnd,
  last: boolean
): ReadonlyArray<number> => {
  if (hasOwnEscape(dialect)) return escapedRows(text, dialect, newline, last).ends
  const ends: Array<number> = []
  const parser = new Papa.Parser({
    ...papaConfig(dialect, newline),
    step: (result) => {
      ends.push(result.meta.cursor)
    }
  })
  parser.parse(text, 0, !last)
  return ends
}
