/**
 * Nanoseconds per number of reading vectors from bytes, and microseconds per line of reading a whole output line with
 * both of Titan's arrays, beside `JSON.parse` of the same bytes, in turns in one process: `node
 * test/bench/float-scanner.ts [dimensions] [rounds]`. Both sides end with a Float32Array, in memory that they have.
 */
import { titanTextEmbeddings } from "@bedrock-batch/processors/TitanTextEmbeddings"
import { scanFloats } from "../../packages/sdk/src/internal/FloatScanner.ts"
import { parseOutputLine } from "../../packages/sdk/src/internal/OutputLine.ts"
import { random } from "./data.ts"
import { median } from "./measuring.ts"

const [dimensions = 1024, rounds = 60] = process.argv.slice(2).map(Number)
const lines = 64

const next = random(7)
const normal = (): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()) / 32

/** The shortest text that gives the same float32. */
const shortest = (value: number): string => {
  const float = Math.fround(value)
  let digits = 1
  while (Math.fround(Number(float.toPrecision(digits))) !== float) digits++
  return String(Number(float.toPrecision(digits)))
}

/** As Java writes floats. */
const java = (text: string): string =>
  Math.abs(Number(text)) < 1e-3 ? Number(text).toExponential().replace("e", "E") : text

const kinds = {
  "float32, shortest": () => shortest(normal()),
  "float32 of Java": () => java(shortest(normal())),
  "float32, not normalized": () => shortest(normal() * 1000),
  "float32, tiny": () => shortest(normal() * 1e-6),
  "double, shortest": () => String(normal()),
  "float32 as double": () => String(Math.fround(normal())),
  "whole, one byte": () => String(Math.floor(next() * 256) - 128)
}

/** Pieces of one buffer, as lines of a file are. */
const inOneBuffer = (texts: ReadonlyArray<string>): ReadonlyArray<Buffer> => {
  const bytes = Buffer.from(texts.join("\n"))
  let start = 0
  return texts.map((text) => {
    const piece = bytes.subarray(start, start + text.length)
    start += text.length + 1
    return piece
  })
}

const slab = new Float32Array(lines * dimensions)

/** The vectors that a reader puts into the slab. */
type Reader = (piece: Buffer, at: number) => void

const vectorsOf = (pieces: ReadonlyArray<Buffer>, reader: Reader): Buffer => {
  slab.fill(Number.NaN)
  for (const [i, piece] of pieces.entries()) reader(piece, i * dimensions)
  return Buffer.from(slab.slice().buffer)
}

/** Median times of one reading of all pieces, in nanoseconds. */
const compare = (pieces: ReadonlyArray<Buffer>, readers: { readonly ours: Reader; readonly json: Reader }) => {
  if (!vectorsOf(pieces, readers.ours).equals(vectorsOf(pieces, readers.json))) throw new Error("the vectors differ")
  const times = { ours: new Array<number>(), json: new Array<number>() }
  for (let round = 0; round < rounds; round++) {
    for (const name of ["ours", "json"] as const) {
      const start = performance.now()
      for (const [i, piece] of pieces.entries()) readers[name](piece, i * dimensions)
      // The compiler is not done in the first rounds.
      if (round >= rounds / 4) times[name].push((performance.now() - start) * 1e6)
    }
  }
  return { ours: median(times.ours), json: median(times.json) }
}

const rounded = (value: number): number => Number(value.toPrecision(3))

const arrays = Object.entries(kinds).map(([kind, make]) => {
  const texts = Array.from({ length: lines }, () => `[${Array.from({ length: dimensions }, make).join()}]`)
  const { json, ours } = compare(inOneBuffer(texts), {
    ours: (piece, at) => {
      scanFloats(piece, 0, piece.length, slab.subarray(at))
    },
    json: (piece, at) => slab.set(JSON.parse(piece.toString("latin1")), at)
  })
  const numbers = lines * dimensions
  return {
    numbers: kind,
    bytesPerNumber: rounded(texts.join().length / numbers),
    scannerNanoseconds: rounded(ours / numbers),
    jsonParseNanoseconds: rounded(json / numbers),
    ratio: rounded(json / ours)
  }
})

const processor = titanTextEmbeddings()
const input = { inputText: "some words of a text that is to be embedded, ".repeat(5) }

const wholeLines = Object.entries(kinds).slice(0, 6).map(([kind, make]) => {
  const texts = Array.from({ length: lines }, (_, i) => {
    const array = `[${Array.from({ length: dimensions }, make).join()}]`
    return `{"modelInput":${JSON.stringify(input)},"modelOutput":{"embedding":${array},"inputTextTokenCount":7,` +
      `"embeddingsByType":{"float":${array}}},"recordId":"r${String(i).padStart(10, "0")}"}`
  })
  const { json, ours } = compare(inOneBuffer(texts), {
    ours: (piece, at) => {
      const line = parseOutputLine(piece, true, (length) => slab.subarray(at, at + length))
      const status = processor.decodeVectors?.(line?.modelOutput ?? null).status
      if (status !== "succeeded") throw new Error(`the line was read as ${status}`)
    },
    json: (piece, at) => {
      const line = JSON.parse(piece.toString("utf8"))
      slab.set(line.modelOutput.embedding, at)
    }
  })
  return {
    numbers: kind,
    bytesPerLine: Math.round(texts.join().length / lines),
    lineMicroseconds: rounded(ours / lines / 1000),
    jsonParseMicroseconds: rounded(json / lines / 1000),
    ratio: rounded(json / ours)
  }
})

console.table(arrays)
console.table(wholeLines)
const benchmark = { benchmark: "float-scanner", node: process.version, dimensions, rounds }
console.log(JSON.stringify({ ...benchmark, arrays, wholeLines }))
