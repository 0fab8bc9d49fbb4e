/**
 * One line of a job's output, as JSON, with the vectors in it read from its bytes when they are looked at.
 *
 * @internal
 */
import type { Json, VectorJson } from "@bedrock-batch/processors/Processor"
import { scanVector } from "./FloatScanner.ts"

/** @internal */
export interface OutputLine {
  readonly recordId: string
  readonly modelOutput: VectorJson | undefined
  readonly error: Json | undefined
  /** Becomes true when an array is looked at that is not JSON: then nothing of the line counts. */
  readonly malformed: boolean
}

const quote = 0x22
const comma = 0x2c
const minus = 0x2d
const open = 0x5b
const backslash = 0x5c
const close = 0x5d

/** Arrays of fewer numbers stay arrays. */
const leastNumbers = 8

/** Makes the room for a vector of so many numbers. */
type Allocate = (length: number) => Float32Array

type JsonObject = { readonly [key: string]: Json }

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isArray: (value: unknown) => value is Array<unknown> = Array.isArray

/** Where a value begins that may begin at `p`. */
const skipSpace = (line: Buffer, p: number): number => {
  for (;; p++) {
    const c = line[p]
    if (c !== 0x20 && c !== 0x09 && c !== 0x0d && c !== 0x0a) return p
  }
}

/** The position after the string that begins at `start`; -1 where it does not end. */
const skipString = (line: Buffer, start: number): number => {
  for (let end = line.indexOf(quote, start + 1); end !== -1; end = line.indexOf(quote, end + 1)) {
    let before = end - 1
    while (line[before] === backslash) before--
    if ((end - before) % 2 === 1) return end + 1
  }
  return -1
}

/** Whether at least `leastNumbers` values begin from `start` to before `end`. */
const isLong = (line: Buffer, start: number, end: number): boolean => {
  let values = 1
  for (let p = start; p < end && values < leastNumbers; p++) if (line[p] === comma) values++
  return values === leastNumbers
}

/**
 * A line without its long arrays of numbers. In `text` every array that began with a number begins with one that says
 * which it is: `[0]` and `[1]` stand for the first and the second array that was cut out, `[-1,7,"a"]` for `[7,"a"]`.
 * So nothing that a line can hold is taken for an array that was cut out.
 */
interface Skeleton {
  readonly text: string
  /** The first byte and the one after the last of each array that was cut out. */
  readonly cuts: Array<number>
}

/**
 * Strings are skipped and arrays are found by the byte, whatever else there is: `JSON.parse` of the skeleton tells
 * whether it is JSON. No byte of a character that is not ASCII, whole or not, is mistaken for a quote or a bracket.
 */
const cutVectors = (line: Buffer): Skeleton => {
  const cuts: Array<number> = []
  let text = ""
  let copied = 0
  // The next of each kind from where the walk is, looked for once: of brackets also those in strings.
  let string = line.indexOf(quote)
  let array = line.indexOf(open)
  let end = line.indexOf(close)
  while (array !== -1) {
    if (string !== -1 && string < array) {
      const after = skipString(line, string)
      if (after === -1) break
      string = line.indexOf(quote, after)
      if (array < after) array = line.indexOf(open, after)
      continue
    }
    const first = skipSpace(line, array + 1)
    const next = line.indexOf(open, first)
    const c = line[first]
    if (c !== undefined && (c === minus || (c >= 0x30 && c <= 0x39))) {
      if (end !== -1 && end < first) end = line.indexOf(close, first)
      const isFlat = end !== -1 && (string === -1 || end < string) && (next === -1 || end < next)
      if (isFlat && isLong(line, first, end)) {
        text += `${line.toString("utf8", copied, array + 1)}${cuts.length / 2}`
        copied = end
        cuts.push(array, end + 1)
      } else {
        text += `${line.toString("utf8", copied, first)}-1,`
        copied = first
      }
    }
    array = next
  }
  return { text: text + line.toString("utf8", copied), cuts }
}

/** Makes a member what `read` gives, asked when the member is looked at for the first time. */
const defer = (holder: object, key: string | number, read: () => VectorJson): void => {
  Object.defineProperty(holder, key, {
    get: () => {
      const value = read()
      Object.defineProperty(holder, key, { value, writable: true })
      return value
    }
  })
}

/** Undoes `cutVectors` in what was parsed, with what `read` gives for the arrays that were cut out. */
const restore = (root: object, read: (cut: number) => VectorJson): void => {
  const holders = [root]
  const visit = (holder: object, key: string | number, value: unknown): void => {
    if (typeof value !== "object" || value === null) return
    if (isArray(value) && typeof value[0] === "number") {
      const cut = value[0]
      if (cut >= 0) return defer(holder, key, () => read(cut))
      value.shift()
    }
    holders.push(value)
  }
  for (let holder = holders.pop(); holder !== undefined; holder = holders.pop()) {
    if (isArray(holder)) holder.forEach((value, i) => visit(holder, i, value))
    else for (const [key, value] of Object.entries(holder)) visit(holder, key, value)
  }
}

const readPlain = (line: Buffer): OutputLine | null => {
  const value: unknown = JSON.parse(line.toString("utf8"))
  if (!isObject(value) || typeof value.recordId !== "string") return null
  return { recordId: value.recordId, modelOutput: value.modelOutput, error: value.error, malformed: false }
}

const readVectors = (line: Buffer, allocate: Allocate): OutputLine | null => {
  const { cuts, text } = cutVectors(line)
  const value: unknown = JSON.parse(text)
  if (!isObject(value) || typeof value.recordId !== "string") return null
  if (value.error !== undefined && value.error !== null) return readPlain(line)
  let malformed = false
  const output: { readonly modelOutput: VectorJson | undefined } = { modelOutput: value.modelOutput }
  restore(output, (cut) => {
    const start = cuts[2 * cut]!
    const end = cuts[2 * cut + 1]!
    const vector = scanVector(line, start, end, allocate)
    if (vector !== null) return vector
    try {
      const value: Json = JSON.parse(line.toString("utf8", start, end))
      return value
    } catch {
      malformed = true
      throw new SyntaxError("an array of numbers in the line is not JSON")
    }
  })
  return {
    recordId: value.recordId,
    modelOutput: output.modelOutput,
    error: value.error,
    get malformed() {
      return malformed
    }
  }
}

/**
 * Reads a line as JSON; null where it is not JSON or has no record id.
 *
 * With `vectors`, arrays of eight and more numbers in the model's output are `Float32Array`s, in what `allocate` gives
 * for their length; arrays with a number that is not finite as float32 stay arrays. Each is read when it is looked at
 * for the first time, and keeps the line's bytes until then. Of the inside of an array that is never looked at no more
 * is known than that it begins like a number and holds no string and no array: what else JSON forbids there is not
 * found. Looking at an array that is not JSON throws a `SyntaxError` and makes the line `malformed`.
 *
 * A line with an error is read without vectors.
 *
 * @internal
 */
export const parseOutputLine = (
  line: Buffer,
  vectors: boolean,
  allocate: Allocate = (length) => new Float32Array(length)
): OutputLine | null => {
  try {
    return vectors ? readVectors(line, allocate) : readPlain(line)
  } catch {
    return null
  }
}
