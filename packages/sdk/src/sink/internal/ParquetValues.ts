/**
 * Values as they lie in a page, one after the other: Parquet's plain encoding. A batch holds values of its columns'
 * types (`Batch.ts`); what is not is refused, or it would be read back as another value.
 *
 * @internal
 */
import { type Page, pageBytes } from "./ParquetPage.ts"
import type { Entries, Form, Leaf } from "./ParquetSchema.ts"

/** Pages have at most about so many entries. */
const pageEntries = 64 * 1024

/** @internal */
export const isNothing = (value: unknown): value is null | undefined => value === null || value === undefined

/** Whether a row begins at a place of the entries. @internal */
export const isRowStart = ({ repetitions }: Entries, at: number): boolean =>
  repetitions === null || repetitions[at] === 0

/** The end of a page of values that take so many bytes each. @internal */
export const pageEnd = (entries: Entries, from: number, width = 1): number => {
  const { length } = entries.values
  let end = Math.min(length, from + Math.min(pageEntries, Math.ceil(pageBytes / width)))
  while (end < length && !isRowStart(entries, end)) end++
  return end
}

/** Shorter texts are written faster character by character, where they are ASCII. */
const shortText = 24

/** Writes a text after its length; there must be room for three bytes a character. @internal */
export const putText = (page: Page, content: string): void => {
  const { bytes, end } = page
  const at = end + 4
  let length = 0
  if (content.length < shortText) {
    while (length < content.length) {
      const code = content.charCodeAt(length)
      if (code >= 128) break
      bytes[at + length++] = code
    }
  }
  if (length < content.length) length = bytes.write(content, at, "utf8")
  bytes.writeUInt32LE(length, end)
  page.end = at + length
}

const wrong = (leaf: Leaf): never => {
  throw new Error(`${leaf.path.join(".")}: a value is not of the column's type`)
}

/** Texts and bytes end a page where the next one does not fit. */
const isFull = (page: Page, entries: Entries, from: number, at: number, more: number): boolean =>
  at > from && (page.used + more > pageBytes || at - from >= pageEntries) && isRowStart(entries, at)

const fillTexts = (page: Page, { type }: Leaf, entries: Entries, from: number): number => {
  const { values } = entries
  for (let i = from; i < values.length; i++) {
    const value = values[i]
    const isNull = isNothing(value)
    const content = isNull ? "" : type.from === undefined ? String(value) : String(type.from(value))
    const most = isNull ? 0 : 4 + content.length * 3
    if (isFull(page, entries, from, i, most)) return i
    if (isNull) continue
    page.reserve(most)
    putText(page, content)
  }
  return values.length
}

const fillBytes = (page: Page, leaf: Leaf, entries: Entries, from: number): number => {
  const { values } = entries
  for (let i = from; i < values.length; i++) {
    const value = values[i]
    const isNull = isNothing(value)
    if (!isNull && !(value instanceof Uint8Array)) return wrong(leaf)
    const most = isNull ? 0 : 4 + value.length
    if (isFull(page, entries, from, i, most)) return i
    if (isNull) continue
    page.reserve(most)
    page.bytes.writeUInt32LE(value.length, page.end)
    page.bytes.set(value, page.end + 4)
    page.end += most
  }
  return values.length
}

const word = 2 ** 32

const widths: { readonly [F in Form]: number } = {
  text: 1,
  bytes: 1,
  boolean: 1,
  int: 4,
  float: 4,
  vector: 4,
  safe: 8,
  long: 8,
  date: 8,
  double: 8,
  fixed: 8
}

const fillFixed = (page: Page, leaf: Leaf, { values }: Entries, from: number, to: number): void => {
  const { from: convert, length = 0 } = leaf.type
  page.reserve((to - from) * length)
  for (let i = from; i < to; i++) {
    if (isNothing(values[i])) continue
    const value = convert === undefined ? values[i] : convert(values[i])
    if (!(value instanceof Uint8Array) || value.length !== length) return wrong(leaf)
    page.bytes.set(value, page.end)
    page.end += length
  }
}

const fillBooleans = (page: Page, leaf: Leaf, { values }: Entries, from: number, to: number): void => {
  page.reserve(Math.ceil((to - from) / 8))
  let bits = 0
  let used = 0
  for (let i = from; i < to; i++) {
    const value = values[i]
    if (isNothing(value)) continue
    if (typeof value !== "boolean") return wrong(leaf)
    if (value) bits |= 1 << used
    if (++used === 8) {
      page.bytes[page.end++] = bits
      bits = 0
      used = 0
    }
  }
  if (used > 0) page.bytes[page.end++] = bits
}

/** Whole numbers of 64 bits that are JavaScript numbers, as their lower and upper halves. */
const fillSafe = (page: Page, leaf: Leaf, { values }: Entries, from: number, to: number): void => {
  const { from: convert, form } = leaf.type
  const halves = new Int32Array(page.bytes.buffer, page.end, (to - from) * 2)
  let at = 0
  for (let i = from; i < to; i++) {
    const value = values[i]
    if (isNothing(value)) continue
    const number = form === "date" && value instanceof Date
      ? value.getTime()
      : convert === undefined
      ? value
      : convert(value)
    if (typeof number !== "number" || !Number.isSafeInteger(number)) return wrong(leaf)
    halves[at] = number
    halves[at + 1] = Math.floor(number / word)
    at += 2
  }
  page.end += at * 4
}

const fillLongs = (page: Page, leaf: Leaf, { values }: Entries, from: number, to: number): void => {
  const { from: convert } = leaf.type
  const longs = new BigInt64Array(page.bytes.buffer, page.end, to - from)
  let at = 0
  for (let i = from; i < to; i++) {
    if (isNothing(values[i])) continue
    const value = convert === undefined ? values[i] : convert(values[i])
    if (typeof value !== "bigint") return wrong(leaf)
    longs[at++] = value
  }
  page.end += at * 8
}

const fillNumbers = (
  page: Page,
  leaf: Leaf,
  { values }: Entries,
  from: number,
  to: number,
  numbers: Int32Array | Float32Array | Float64Array
): void => {
  const { from: convert } = leaf.type
  let at = 0
  for (let i = from; i < to; i++) {
    if (isNothing(values[i])) continue
    const value = convert === undefined ? values[i] : convert(values[i])
    if (typeof value !== "number") return wrong(leaf)
    numbers[at++] = value
  }
  page.end += at * numbers.BYTES_PER_ELEMENT
}

/**
 * Writes entries from a place on until the page is full, nulls left out; gives the place after the last one. A row is
 * never cut in two.
 *
 * @internal
 */
export const fillPage = (page: Page, leaf: Leaf, entries: Entries, from: number): number => {
  const { form, length } = leaf.type
  if (form === "text") return fillTexts(page, leaf, entries, from)
  if (form === "bytes") return fillBytes(page, leaf, entries, from)
  const width = length ?? widths[form]
  const to = pageEnd(entries, from, width)
  if (form === "fixed") {
    fillFixed(page, leaf, entries, from, to)
    return to
  }
  if (form === "boolean") {
    fillBooleans(page, leaf, entries, from, to)
    return to
  }
  page.reserve((to - from) * width)
  const { buffer } = page.bytes
  switch (form) {
    case "safe":
    case "date":
      fillSafe(page, leaf, entries, from, to)
      break
    case "long":
      fillLongs(page, leaf, entries, from, to)
      break
    case "int":
      fillNumbers(page, leaf, entries, from, to, new Int32Array(buffer, page.end, to - from))
      break
    case "double":
      fillNumbers(page, leaf, entries, from, to, new Float64Array(buffer, page.end, to - from))
      break
    default:
      fillNumbers(page, leaf, entries, from, to, new Float32Array(buffer, page.end, to - from))
  }
  return to
}

/** Below this, vectors are copied together rather than written where they are. */
const viewBytes = 64 * 1024

/**
 * The floats of vectors, as bytes: of those that follow each other in memory a view, unless it were the whole of their
 * buffer, which is then not ours to give away.
 *
 * @internal
 */
export const floatsOf = (leaf: Leaf, values: ReadonlyArray<unknown>, from: number, to: number): Uint8Array => {
  let first: Float32Array | null = null
  let floats = 0
  let isOne = true
  for (let i = from; i < to; i++) {
    const value = values[i]
    if (isNothing(value)) continue
    if (!(value instanceof Float32Array)) return wrong(leaf)
    if (value.length === 0) continue
    first ??= value
    if (value.buffer !== first.buffer || value.byteOffset !== first.byteOffset + floats * 4) isOne = false
    floats += value.length
  }
  const bytes = floats * 4
  if (first !== null && isOne && bytes >= viewBytes && bytes < first.buffer.byteLength) {
    return new Uint8Array(first.buffer, first.byteOffset, bytes)
  }
  const copy = new Float32Array(Buffer.allocUnsafeSlow(bytes).buffer, 0, floats)
  let at = 0
  for (let i = from; i < to; i++) {
    const value = values[i]
    if (!(value instanceof Float32Array)) continue
    copy.set(value, at)
    at += value.length
  }
  return new Uint8Array(copy.buffer)
}
