import type { VectorJson } from "@bedrock-batch/processors/Processor"
import { titanTextEmbeddings } from "@bedrock-batch/processors/TitanTextEmbeddings"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { parseOutputLine } from "../../src/internal/OutputLine.ts"
import { random } from "../rig/random.ts"

const numbers = (length: number, first = 0): Array<number> => Array.from({ length }, (_, i) => (first + i) / 1024)
const vector = (length: number, first = 0): Float32Array => Float32Array.from(numbers(length, first))

/** What JSON.parse makes of a line's record, with the vectors that were to be. */
const expected = (text: string) => {
  const { error, modelOutput, recordId } = JSON.parse(text)
  return { recordId, modelOutput: error == null ? withVectors(modelOutput) : modelOutput, error }
}

const withVectors = (json: unknown): unknown => {
  if (typeof json !== "object" || json === null) return json
  if (!Array.isArray(json)) {
    const copy = {}
    for (const [key, value] of Object.entries(json)) {
      const property = { value: withVectors(value), enumerable: true, configurable: true, writable: true }
      Object.defineProperty(copy, key, property)
    }
    return copy
  }
  const isVector = json.length >= 8 &&
    json.every((item) => typeof item === "number" && Number.isFinite(Math.fround(item)))
  return isVector ? Float32Array.from(json) : json.map(withVectors)
}

/** Looks at everything, and gives what is thrown on the way. */
const lookAtAll = (root: unknown): unknown => {
  const left = [root]
  try {
    for (let value = left.pop(); value !== undefined; value = left.pop()) {
      if (typeof value === "object" && value !== null && !(value instanceof Float32Array)) {
        left.push(...Object.values(value))
      }
    }
  } catch (cause) {
    return cause
  }
}

const parse = (text: string, vectors = true) => {
  const line = parseOutputLine(Buffer.from(text), vectors)
  if (line === null) return null
  const { error, modelOutput, recordId } = line
  return { recordId, modelOutput, error }
}

const pick = <A>(next: () => number, items: ReadonlyArray<A>): A => items[Math.floor(next() * items.length)]!

const pieces = [
  "a", "\\\"", "\\\\", "[", "]", "{", "}", ",", ":", "[1,2,3,4,5,6,7,8]", "\\u0022", "\\n", "\u00e9", "\u2028",
  "\u{1f600}", "1", " "
]
const scalars = ["0", "-1", "17", "2.5e-3", "true", "false", "null", "\"\"", "\"[\"", "\"]\"", "\"\\\"\""]
const floats = ["0", "-0", "1.5", "-0.0123456", "3.1E-5", "123456", "1e-50", "7", "0.1"]
/** No two of which are one byte apart, so that spoiling a byte of a key makes no other one's. */
const keys = ["embedding", "float", "recordId", "modelOutput", "", "__proto__", "10", "2\\u0022", "a[1,2]b"]

/** The text of some JSON, of every kind and spacing; no key twice in an object. */
const randomJson = (next: () => number, depth: number): string => {
  const space = (): string => pick(next, ["", "", "", " ", "\t", "\r \n"])
  const list = (items: ReadonlyArray<string>) => items.map((item) => `${space()}${item}${space()}`).join(",") || space()
  const several = <A>(most: number, make: () => A): Array<A> => Array.from({ length: Math.floor(next() * most) }, make)
  const numbers = (most: number): Array<string> => several(most, () => pick(next, floats))
  const inner = (): string => randomJson(next, depth - 1)
  const kind = Math.floor(next() * (depth > 0 ? 7 : 4))
  if (kind === 0) return pick(next, scalars)
  if (kind === 1) return `"${several(9, () => pick(next, pieces)).join("")}"`
  if (kind === 2) return `[${list(numbers(14))}]`
  if (kind === 3) return `[${list([...numbers(14), pick(next, [...scalars, "1e39", "-1e400"])])}]`
  if (kind === 4) return `[${list([...numbers(3), ...several(4, inner)])}]`
  if (kind === 5) return `[${list(several(5, inner))}]`
  const used = keys.filter(() => next() < 0.4)
  return `{${list(used.map((key) => `"${key}"${space()}:${space()}${inner()}`))}}`
}

const randomLine = (next: () => number): string => {
  const members = [
    "\"recordId\":\"r0000000001\"",
    `"modelOutput":${randomJson(next, 4)}`,
    `"modelInput":{"inputText":"${pick(next, pieces)}"}`,
    ...(next() < 0.1 ? [`"error":${randomJson(next, 2)}`] : [])
  ]
  const order = members.map((text) => ({ text, place: next() })).sort((a, b) => a.place - b.place)
  return `{${order.map(({ text }) => text).join(pick(next, [",", " , "]))}}`
}

/** The bytes with one of them changed, left out or put in, or cut off. */
const spoil = (bytes: Buffer, next: () => number): Buffer => {
  const at = Math.floor(next() * bytes.length)
  const byte = next() < 0.2 ? Math.floor(next() * 256) : pick(next, [...Buffer.from("[]{}\",:-.0e\\ x")])
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at + 1)]
  return pick(next, [
    Buffer.concat([before, Buffer.of(byte), after]),
    Buffer.concat([before, Buffer.of(byte), bytes.subarray(at)]),
    Buffer.concat([before, after]),
    before
  ])
}

/** What is at a path in an output. */
const at = (json: VectorJson | undefined, ...path: ReadonlyArray<string | number>): unknown => {
  let value: unknown = json
  for (const key of path) value = Reflect.get(Object(value), key)
  return value
}

const eight = JSON.stringify(numbers(8))

const record = (modelOutput: string): string => `{"modelOutput":${modelOutput},"recordId":"r1"}`

describe("parseOutputLine", () => {
  it("reads the same with vectors as without, where there are none", () => {
    for (
      const text of [
        "{\"recordId\":\"a\"}",
        " {\"recordId\" : \"\\u0061\\\"[1,2,3,4,5,6,7,8]\" , \"modelOutput\" :\t{ } , \"error\":null }\r",
        `{"recordId":"r","modelOutput":{"text":"${eight}\\\\","more":"\\\\\\"${eight}"}}`,
        "{\"recordId\":\"r\",\"modelOutput\":[1,\"a\",[2,[],{}],[[]]]}",
        "{\"recordId\":\"r\",\"recordId\":\"s\",\"modelOutput\":1,\"modelOutput\":[ -0 , 2 ]}",
        "{\"recordId\":\"r\",\"modelOutput\":[1,2,3,4,5,6,7]}",
        "{\"recordId\":\"r\",\"modelOutput\":{\"__proto__\":[1],\"constructor\":[-1,2],\"0\":[0],\"\":[7.5]}}",
        "{\"recordId\":\"r\",\"modelOutput\":\"\u2028\u{1f600}\"}"
      ]
    ) {
      assert.deepStrictEqual(parse(text), expected(text))
      assert.deepStrictEqual(parse(text, false), expected(text))
    }
  })

  it("refuses lines that are not JSON or without an id, with vectors and without", () => {
    for (
      const text of [
        "", " ", "not json", "[]", "null", "7", "\"recordId\"", eight, `[{"recordId":"r"}]`, "{\"recordId\":", "{}",
        "{\"recordId\":10}", `{"recordId":${eight}}`, "{\"recordId\":\"r\"}}", "{\"recordId\":\"r\"} {}",
        "{\"recordId\":\"r}", `${record(eight)}]`, `[${record(eight)}`, record(`${eight}${eight}`),
        record(`${eight}[0]`), record(`[0]${eight}`), record(`{"a":${eight}"b":1}`), record(`{"a"${eight}}`),
        record(`{${eight}}`), record(`[${eight},]`), record(`[${eight} ${eight}]`), record("[1,2,3,4,5,6,7,8"),
        record("[1,2,3]4]"), record(`[1 2]`), record("[01]"), record("[-]"), record("[1,]"),
        record("[1,2,3,4,5,6,7,[8],]"), record("[1,2,3,4,5,6,7,8,\"]"), record(`\\${eight}`),
        `\ufeff${record(eight)}`, record(`\u00a0${eight}`), record(`"\t${eight}"`), record("[1,2,3,4,5,6,7,\"\n\"]")
      ]
    ) {
      assert.isNull(parse(text), text)
      assert.isNull(parse(text, false), text)
    }
  })

  it("reads arrays of eight and more finite numbers as vectors, wherever they are in the output", () => {
    const [a, b] = [JSON.stringify(numbers(8)), JSON.stringify(numbers(20, 5), null, " ")]
    for (
      const output of [
        a,
        `[${a}, ${b}]`,
        `{"embeddings":[${a},${b},[],[${a}]],"id":"[${a}"}`,
        `{"a":{"b":[{"c":${a}},"]",${b}]},"d":${b}}`,
        `[1,${a},"x",[-1,[0,${b}]]]`,
        `{"a":${a},"a":${b},"b":1,"\\u0062":${a},"__proto__":${b}}`,
        `{"a":${a},"a":3,"7":${a},"1":${b}}`,
        "[1,2,3,4,5,6,7,1e39]",
        "[1,2,3,4,5,6,7,1e999]",
        "[1,2,3,4,5,6,7,null]",
        "[1,2,3,4,5,6,7,{}]",
        "[1,2,3,4,5,6,7,\"]\"]",
        "[1,2,3,4,5,6,7,[8]]",
        "[null,1,2,3,4,5,6,7,8]",
        "[ 1,2 ,3,4,5,6,7,-0.0e5 ]"
      ]
    ) {
      const text = `{"modelInput":{"a":${a}},"modelOutput":${output},"recordId":"r\\n1"}`
      assert.deepStrictEqual(parse(text), expected(text))
      const plain = { recordId: "r\n1", modelOutput: JSON.parse(output), error: undefined }
      assert.deepStrictEqual(parse(text, false), plain)
    }
  })

  it("keeps the order of members, and lets what it read be written as JSON", () => {
    const text = `{"b":${eight},"a":[${eight}],"2":1,"c":{"z":[1,2],"y":${eight}}}`
    const output = parse(record(text))?.modelOutput
    const plain = (_: string, value: unknown) => value instanceof Float32Array ? Array.from(value) : value
    assert.strictEqual(JSON.stringify(output, plain), JSON.stringify(JSON.parse(text)))
  })

  it("reads a vector when it is first looked at, once, into what it is given", () => {
    const slab = new Float32Array(40)
    let used = 0
    const allocate = (length: number): Float32Array => slab.subarray(used, used += length)
    const text = record(`{"a":${JSON.stringify(numbers(20))},"b":[${eight},[1,2,3,4,5,6,7,1e40]]}`)
    const line = parseOutputLine(Buffer.from(text), true, allocate)
    assert.strictEqual(used, 0)
    const output = line?.modelOutput
    assert.deepStrictEqual(Object.keys(Object(output)), ["a", "b"])
    assert.strictEqual(used, 0)
    assert.deepStrictEqual(at(output, "b", 0), vector(8))
    assert.strictEqual(used, 8)
    assert.strictEqual(at(output, "a"), at(output, "a"))
    assert.deepStrictEqual(at(output, "a"), vector(20))
    assert.deepStrictEqual(Array.from(slab), [...numbers(8), ...numbers(20), ...new Array<number>(12).fill(0)])
    assert.deepStrictEqual(at(output, "b", 1), [1, 2, 3, 4, 5, 6, 7, 1e40])
    assert.strictEqual(used, 28)
  })

  it("reads one of Titan's two copies", () => {
    const lengths: Array<number> = []
    const allocate = (length: number): Float32Array => {
      lengths.push(length)
      return new Float32Array(length)
    }
    const embedding = JSON.stringify(numbers(1024))
    const titan = titanTextEmbeddings()
    for (
      const output of [
        `{"embedding":${embedding},"inputTextTokenCount":7,"embeddingsByType":{"float":${embedding}}}`,
        `{"embeddingsByType": {"float": ${embedding}, "binary": ${embedding}}, "inputTextTokenCount": 7}`
      ]
    ) {
      const line = parseOutputLine(Buffer.from(record(output)), true, allocate)
      assert.deepStrictEqual(titan.decodeVectors?.(line?.modelOutput ?? null), {
        status: "succeeded",
        answer: { embedding: vector(1024) },
        stopReason: null,
        usage: { inputTokens: 7, outputTokens: null }
      })
    }
    assert.deepStrictEqual(lengths, [1024, 1024])
  })

  it("is malformed once an array is looked at that is not JSON, and not before", () => {
    for (const last of ["x", "", ".8", "08", "8 9", "}8,{9"]) {
      const array = `[1,2,3,4,5,6,7,${last}]`
      assert.isNull(parse(record(array)))
      const line = parseOutputLine(Buffer.from(record(`{"a":[${array}],"b":${eight}}`)), true)
      assert.deepStrictEqual(at(line?.modelOutput, "b"), vector(8))
      assert.isFalse(line?.malformed)
      for (let look = 0; look < 2; look++) {
        assert.throws(() => at(line?.modelOutput, "a", 0), SyntaxError, /^an array of numbers in the line is not JSON$/)
        assert.isTrue(line?.malformed)
      }
    }
  })

  it("reads a line with an error without vectors", () => {
    const text = `{"error":{"errorCode":400,"a":${eight}},"modelOutput":${eight},"recordId":"r"}`
    assert.deepStrictEqual(parse(text), JSON.parse(text))
    assert.isNull(parse(text.replace("[0,", "[x,")))
    assert.isNull(parse(text.replace(",\"a\"", "a\"")))
  })

  it("reads bytes that are no UTF-8 as JSON.parse of their text does", () => {
    const others = [[0xff], [0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x98], [0xc0, 0xa2], [0xed, 0xa0, 0x80], [0x80, 0x5b]]
    for (const bytes of others.map((other) => Buffer.from(other))) {
      const withBytes = (text: string): Buffer =>
        Buffer.concat(text.split("?").flatMap((part, i) => i === 0 ? [Buffer.from(part)] : [bytes, Buffer.from(part)]))
      for (const text of [`{"?":${eight},"b":["?",${eight}]}`, `{"a":"?","b":${eight},"c":"${eight}?"}`]) {
        const line = withBytes(record(text))
        const { error, modelOutput, recordId } = parseOutputLine(line, true)!
        assert.deepStrictEqual({ recordId, modelOutput, error }, expected(line.toString()))
      }
      assert.isNull(parseOutputLine(withBytes(record(`[?${eight}]`)), true))
    }
  })

  it("reads long lines in time that grows with their length", () => {
    const deep = 50_000
    const times = 50_000
    const outputs = [
      `${"[1,".repeat(deep)}0${"]".repeat(deep)}`,
      `${"[".repeat(deep)}${eight}${"]".repeat(deep)}`,
      `["${"[1,".repeat(times)}"]`,
      `["${"\\\\".repeat(times)}","${"\\\"".repeat(times)}"]`,
      `[${"[1],".repeat(times)}0]`,
      `[${"\"]\",[],".repeat(times)}0]`,
      `[1,${"{\"a\":[1]},".repeat(times)}0]`
    ]
    for (const output of outputs) {
      const line = parseOutputLine(Buffer.from(record(output)), true)
      assert.strictEqual(line?.recordId, "r1")
      assert.isNull(parseOutputLine(Buffer.from(record(output.slice(0, -1))), true))
    }
    const long = numbers(300_000)
    assert.deepStrictEqual(parse(record(JSON.stringify(long)))?.modelOutput, Float32Array.from(long))
  })

  it.prop("reads any line as JSON.parse does, but for its vectors", [Schema.Int], ([seed]) => {
    const next = random(seed)
    for (let i = 0; i < 20; i++) {
      const text = randomLine(next)
      const line = parseOutputLine(Buffer.from(text), true)
      assert.deepStrictEqual({ ...line }, { ...expected(text), malformed: false }, text)
    }
  }, { arbitrary: { runs: 100 } })

  it.prop("refuses what JSON.parse refuses, once all was looked at", [Schema.Int], ([seed]) => {
    const next = random(seed)
    for (let i = 0; i < 40; i++) {
      const bytes = spoil(Buffer.from(randomLine(next)), next)
      const plain = parseOutputLine(bytes, false)
      const line = parseOutputLine(bytes, true)
      if (plain !== null) {
        assert.deepStrictEqual({ ...line }, { ...expected(bytes.toString()), malformed: false })
      } else if (line !== null) {
        assert.instanceOf(lookAtAll(line.modelOutput), SyntaxError, bytes.toString())
        assert.isTrue(line.malformed)
      }
    }
  }, { arbitrary: { runs: 100 } })
})
