/**
 * Reads one key of the header of a dataset's card. Of YAML it takes what such headers use: block and flow collections
 * and scalars of one line. Whatever else there is (anchors, tags, block scalars, scalars of several lines) is a
 * `HubYamlFault` and never guessed.
 *
 * @internal
 */

/**
 * A value: scalars are their text, without regard to what type they would resolve to, or null.
 *
 * @internal
 */
export type Yaml = string | null | ReadonlyArray<Yaml> | ReadonlyMap<string, Yaml>

/**
 * What is not understood, and in which line of the header; lines count from 1.
 *
 * @internal
 */
export class HubYamlFault {
  readonly message: string
  readonly line: number

  constructor(message: string, line: number) {
    this.message = message
    this.line = line
  }
}

interface Line {
  readonly number: number
  readonly indent: number
  /** Without its indent and the white space at its end. */
  readonly text: string
}

const maxDepth = 64

const escapes: { readonly [letter: string]: string } = {
  "\"": "\"",
  "\\": "\\",
  "/": "/",
  " ": " ",
  "0": "\0",
  a: "\x07",
  b: "\b",
  e: "\x1b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v"
}

const isDash = (text: string): boolean => text === "-" || /^-[ \t]/.test(text)

/** A quoted scalar at the start of a text, and how long it is there. */
const quoted = (text: string, line: number): { readonly value: string; readonly length: number } => {
  const double = text.startsWith("\"")
  const match = (double ? /^"(?:[^"\\\n]|\\[^\n])*"/ : /^'(?:[^'\n]|'')*'/).exec(text)
  if (match === null) throw new HubYamlFault("a quote is not closed in its line", line)
  const inside = match[0].slice(1, -1)
  if (!double) return { value: inside.replaceAll("''", "'"), length: match[0].length }
  const value = inside.replace(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))/gsu,
    (_, two?: string, four?: string, eight?: string, letter = "") => {
      const code = two ?? four ?? eight
      const plain = code === undefined ? escapes[letter] : undefined
      if (plain !== undefined) return plain
      const point = Number.parseInt(code ?? "", 16)
      if (!(point <= 0x10ffff)) throw new HubYamlFault("a quoted text has an escape that is not understood", line)
      return String.fromCodePoint(point)
    }
  )
  return { value, length: match[0].length }
}

const plain = (text: string, line: number): string | null => {
  if (/^[&*!|>%@`"'#,\[\]{}]|^[?:-](?:\s|$)/.test(text)) {
    throw new HubYamlFault(`a text that starts with ${JSON.stringify(text[0])} is not understood`, line)
  }
  if (/:(?:\s|$)/.test(text)) throw new HubYamlFault("a text has a colon that is not quoted", line)
  return /^(?:~|null|Null|NULL)?$/.test(text) ? null : text
}

/** Reads flow collections from the text of one or more lines. */
class Flow {
  private position = 0
  private readonly text: string
  private readonly firstLine: number

  constructor(text: string, firstLine: number) {
    this.text = text
    this.firstLine = firstLine
  }

  get line(): number {
    return this.firstLine + this.text.slice(0, this.position).split("\n").length - 1
  }

  /** The collection that the text starts with; nothing but a comment may follow in its last line. */
  read(): Yaml {
    const value = this.value(0)
    const rest = this.text.slice(this.position).split("\n", 1)[0] ?? ""
    if (!/^\s*(?:\s#.*)?$/.test(rest)) throw new HubYamlFault("text follows a closing bracket", this.line)
    return value
  }

  private skip(): void {
    while (true) {
      const blank = /^\s+/.exec(this.text.slice(this.position))?.[0].length ?? 0
      this.position += blank
      if (this.text[this.position] !== "#" || blank === 0) return
      const end = this.text.indexOf("\n", this.position)
      this.position = end === -1 ? this.text.length : end
    }
  }

  private value(depth: number): Yaml {
    if (depth > maxDepth) throw new HubYamlFault("the brackets are nested too deeply", this.line)
    const start = this.text[this.position]
    if (start === "[") return this.sequence(depth)
    if (start === "{") return this.mapping(depth)
    return this.scalar()
  }

  private scalar(): string | null {
    const rest = this.text.slice(this.position)
    if (/^["']/.test(rest)) {
      const { length, value } = quoted(rest, this.line)
      this.position += length
      return value
    }
    const text = /^(?:[^,[\]{}\n:#]|:(?![\s,[\]{}])|(?<!\s)#)*/.exec(rest)?.[0] ?? ""
    const line = this.line
    this.position += text.length
    return plain(text.trimEnd(), line)
  }

  private sequence(depth: number): ReadonlyArray<Yaml> {
    const items: Array<Yaml> = []
    this.position++
    for (this.skip(); this.text[this.position] !== "]"; this.skip()) {
      if (this.text[this.position] === ",") throw new HubYamlFault("a list has an empty element", this.line)
      items.push(this.value(depth + 1))
      this.separate("]")
    }
    this.position++
    return items
  }

  private mapping(depth: number): ReadonlyMap<string, Yaml> {
    const entries = new Map<string, Yaml>()
    this.position++
    for (this.skip(); this.text[this.position] !== "}"; this.skip()) {
      const key = this.scalar()
      this.skip()
      if (key === null || this.text[this.position] !== ":") {
        throw new HubYamlFault("a key without a value", this.line)
      }
      this.position++
      this.skip()
      const empty = /^[,}]/.test(this.text.slice(this.position, this.position + 1))
      add(entries, key, empty ? null : this.value(depth + 1), this.line)
      this.separate("}")
    }
    this.position++
    return entries
  }

  /** Goes over a comma, which may be left out before the end. */
  private separate(end: string): void {
    this.skip()
    if (this.text[this.position] === ",") this.position++
    else if (this.text[this.position] !== end) {
      const what = this.position >= this.text.length ? "a bracket is not closed" : "a list is not understood"
      throw new HubYamlFault(what, this.line)
    }
  }
}

const add = (entries: Map<string, Yaml>, key: string, value: Yaml, line: number): void => {
  if (key === "<<") throw new HubYamlFault("merged keys are not understood", line)
  if (entries.has(key)) throw new HubYamlFault(`the key ${JSON.stringify(key)} is there twice`, line)
  entries.set(key, value)
}

/** The key at the start of a line, and where its value starts; null where the line has no key. */
const keyOf = ({ number, text }: Line): { readonly key: string; readonly from: number } | null => {
  const isQuoted = /^["']/.test(text)
  const read = isQuoted ? quoted(text, number) : null
  const length = read?.length ?? /^.*?(?=:(?:\s|$))/s.exec(text)?.[0].length ?? text.length
  const colon = /^\s*:(?:\s+|$)/.exec(text.slice(length))
  if (colon === null) return null
  // A colon in a comment makes no key.
  if (!isQuoted && /\s#/.test(text.slice(0, length))) return null
  const name = read?.value ?? plain(text.slice(0, length).trimEnd(), number)
  if (name === null) throw new HubYamlFault("a key is empty", number)
  return { key: name, from: length + colon[0].length }
}

class Block {
  private next = 0
  private readonly lines: Array<Line>

  constructor(lines: ReadonlyArray<Line>) {
    this.lines = [...lines]
  }

  mapping(indent: number, depth: number): ReadonlyMap<string, Yaml> {
    const entries = new Map<string, Yaml>()
    for (let line = this.at(indent); line !== null && !isDash(line.text); line = this.at(indent)) {
      const found = keyOf(line)
      if (found === null) throw new HubYamlFault("neither a key nor a list", line.number)
      add(entries, found.key, this.value(line, found.from, depth, true), line.number)
    }
    return entries
  }

  private sequence(indent: number, depth: number): ReadonlyArray<Yaml> {
    const items: Array<Yaml> = []
    for (let line = this.at(indent); line !== null && isDash(line.text); line = this.at(indent)) {
      const from = /^-\s*/.exec(line.text)?.[0].length ?? 1
      const rest = line.text.slice(from)
      if (isDash(rest) || (rest !== "" && !/^[#[{]/.test(rest) && keyOf({ ...line, text: rest }) !== null)) {
        // A collection that starts in the line of the dash is indented by where it starts.
        this.lines[this.next] = { number: line.number, indent: indent + from, text: rest }
        items.push(this.node(indent + from, depth + 1))
      } else {
        items.push(this.value(line, from, depth, false))
      }
    }
    return items
  }

  private node(indent: number, depth: number): Yaml {
    const line = this.lines[this.next]!
    if (depth > maxDepth) throw new HubYamlFault("the lines are nested too deeply", line.number)
    if (isDash(line.text)) return this.sequence(indent, depth)
    if (/^[[{]/.test(line.text) || keyOf(line) === null) return this.inline(line, 0)
    return this.mapping(indent, depth)
  }

  /** The value that starts within a line, or in the lines below it. */
  private value(line: Line, from: number, depth: number, ofKey: boolean): Yaml {
    if (!/^(?:#|$)/.test(line.text.slice(from))) return this.inline(line, from)
    this.next++
    const below = this.lines[this.next]
    if (below === undefined) return null
    const inside = below.indent > line.indent || (ofKey && below.indent === line.indent && isDash(below.text))
    return inside ? this.node(below.indent, depth + 1) : null
  }

  private inline(line: Line, from: number): Yaml {
    const text = line.text.slice(from)
    if (/^[[{]/.test(text)) {
      const below = this.lines.slice(this.next + 1).map(({ text }) => text)
      const flow = new Flow([text, ...below].join("\n"), line.number)
      const value = flow.read()
      this.next += flow.line - line.number + 1
      return value
    }
    this.next++
    if (/^["']/.test(text)) {
      const { length, value } = quoted(text, line.number)
      if (!/^(?:\s+#.*|\s*)$/.test(text.slice(length))) throw new HubYamlFault("text follows a quote", line.number)
      return value
    }
    return plain(text.replace(/\s+#.*$/s, ""), line.number)
  }

  /** The next line, which is of the collection with this indent, or null where that has ended. */
  private at(indent: number): Line | null {
    const line = this.lines[this.next]
    if (line === undefined || line.indent < indent) return null
    if (line.indent > indent) throw new HubYamlFault("a line is indented more than was expected", line.number)
    return line
  }
}

/**
 * The value of a key at the top level of a header, or undefined where it has no such key. Lines of other keys are not
 * looked at. Throws a `HubYamlFault`.
 *
 * @internal
 */
export const yamlKey = (header: string, name: string): Yaml | undefined => {
  const lines = header.split(/\r\n|\r|\n/)
  const isOwn = (text: string) => new RegExp(`^(["']?)${name}\\1\\s*:(?:\\s|$)`).test(text)
  const starts = lines.flatMap((text, i) => (isOwn(text) ? [i] : []))
  const start = starts[0]
  if (start === undefined) {
    const first = lines.findIndex((text) => !/^\s*(?:#|$)/.test(text))
    const other = lines.findIndex((text, i) => i === first ? /^[\s?{[]/.test(text) : /^\?/.test(text))
    if (other === -1 || !header.includes(name)) return undefined
    throw new HubYamlFault("the header is no plain list of keys", other + 1)
  }
  if (starts[1] !== undefined) throw new HubYamlFault(`the key "${name}" is there twice`, starts[1] + 1)
  const own: Array<Line> = []
  for (const [i, text] of lines.entries()) {
    if (i < start || /^\s*(?:#|$)/.test(text)) continue
    const indent = /^ */.exec(text)?.[0].length ?? 0
    if (text[indent] === "\t") throw new HubYamlFault("a line is indented by tabs", i + 1)
    if (i > start && indent === 0 && !isDash(text) && !/^[\]}]/.test(text)) break
    own.push({ number: i + 1, indent, text: text.slice(indent).trimEnd() })
  }
  return new Block(own).mapping(0, 0).get(name)
}
