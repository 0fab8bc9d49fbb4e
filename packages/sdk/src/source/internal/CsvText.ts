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

const lineFeed = 0x0a
const carriageReturn = 0x0d

/**
 * Where the line that begins at `from` ends, outside quotes; -1 where it does not end in this text.
 *
 * @internal
 */
export const endOfLine = (text: string, from: number, dialect: CsvDialect): number => {
  const comment = dialect.comment !== null && text.startsWith(dialect.comment, from)
  const delimiter = dialect.delimiter.charCodeAt(0)
  const quote = comment ? -1 : dialect.quote?.charCodeAt(0) ?? -1
  const escape = dialect.escape?.charCodeAt(0) ?? quote
  let quoted = false
  let fieldStart = true
  for (let i = from; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (quoted) {
      if (char === escape && char !== quote) {
        const next = text.charCodeAt(i + 1)
        if (next === quote || next === escape) i++
      } else if (char === quote) {
        if (escape === quote && text.charCodeAt(i + 1) === quote) i++
        else quoted = false
      }
    } else if (char === quote && fieldStart) {
      quoted = true
      fieldStart = false
    } else if (char === lineFeed || char === carriageReturn) {
      return i
    } else {
      fieldStart = char === delimiter
    }
  }
  return -1
}

/**
 * The first line end outside quotes, or null while there is none.
 *
 * @internal
 */
export const lineEndOf = (text: string, dialect: CsvDialect, last: boolean): LineEnd | null => {
  const at = endOfLine(text, 0, dialect)
  if (at < 0) return last ? "\n" : null
  if (text.charCodeAt(at) === lineFeed) return "\n"
  if (at + 1 === text.length) return last ? "\r" : null
  return text.charCodeAt(at + 1) === lineFeed ? "\r\n" : "\r"
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
  for (let at = endOfLine(text, 0, dialect); at >= 0;) {
    const both = text.charCodeAt(at) === carriageReturn && text.charCodeAt(at + 1) === lineFeed
    const end = both ? "\r\n" : text[at]
    const own = end === newline || (newline === "\n" && (both || at + 1 === text.length))
    if (!own) return at
    at = endOfLine(text, at + (both ? 2 : 1), dialect)
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
  let nextDelimiter = -2
  let nextNewline = -2
  let nextEscape = -2
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
    let nextQuote = text.indexOf(quote, from)
    if (nextEscape !== -1 && nextEscape < from) nextEscape = text.indexOf(escape, from)
    while (nextQuote >= 0) {
      if (nextEscape < 0 || nextQuote < nextEscape) {
        value += text.slice(from, nextQuote)
        at = nextQuote + 1
        return value
      }
      const char = text[nextEscape + 1]
      const escapes = char === quote || char === escape
      const to = nextEscape + (escapes ? 2 : 1)
      value += text.slice(from, escapes ? nextEscape : to) + (escapes ? char : "")
      from = to
      if (nextQuote < from) nextQuote = text.indexOf(quote, from)
      nextEscape = text.indexOf(escape, from)
    }
    return null
  }
  while (at < text.length) {
    if (row.length === 0 && comment !== null && text.startsWith(comment, at)) {
      const end = text.indexOf(newline, at)
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
        const end = text.indexOf(newline, at)
        if (end < 0) break
        endRow(end + newline.length)
      }
      continue
    }
    if (nextDelimiter !== -1 && nextDelimiter < at) nextDelimiter = text.indexOf(delimiter, at)
    if (nextNewline !== -1 && nextNewline < at) nextNewline = text.indexOf(newline, at)
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
