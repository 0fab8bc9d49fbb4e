import { assert, describe, it } from "@effect/vitest"
import { CsvFault, CsvParser } from "../../src/source/internal/CsvParser.ts"
import type { Cells, CsvDialect } from "../../src/source/internal/CsvText.ts"
import { csvCases } from "./csvCases.ts"

interface Read {
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
  readonly fault: string | null
}

const commas: CsvDialect = { delimiter: ",", quote: "\"", escape: "\"", comment: null }

const describeFault = (fault: CsvFault): string => {
  const place = [
    ...(fault.row === null ? [] : [`row ${fault.row}`]),
    ...(fault.column === null ? [] : [`column ${JSON.stringify(fault.column)}`])
  ]
  return `${place.join(", ")}: ${fault.message}`
}

const parse = (
  bytes: Uint8Array,
  pieceSize: number,
  options: { parseAt?: number; maxRowLength?: number } = {}
): Read => {
  const parser = new CsvParser({ ...commas, parseAt: 1, ...options })
  const rows: Array<Cells> = []
  try {
    for (let at = 0; at < bytes.length; at += pieceSize) rows.push(...parser.push(bytes.subarray(at, at + pieceSize)))
    rows.push(...parser.end())
    return { rows: [...(parser.header === null ? [] : [[...parser.header]]), ...rows], fault: null }
  } catch (fault) {
    if (!(fault instanceof CsvFault)) throw fault
    return { rows, fault: describeFault(fault) }
  }
}

const sizes = [1024 * 1024, 64, 7, 3, 1]

const check = (text: string | Uint8Array, expected: ReadonlyArray<ReadonlyArray<string>> | string) => {
  for (const size of sizes) {
    for (const parseAt of [1, 256 * 1024]) {
      const read = parse(typeof text === "string" ? Buffer.from(text) : text, size, { parseAt })
      if (typeof expected === "string") {
        assert.include(read.fault ?? "no fault", expected, `in pieces of ${size}`)
      } else {
        assert.deepStrictEqual(read, { rows: expected, fault: null }, `in pieces of ${size}`)
      }
    }
  }
}

describe("CsvParser", () => {
  it("has the 32 cases", () => {
    assert.strictEqual(csvCases.length, 32)
  })

  for (const { expected, name, text } of csvCases) {
    it(`reads or refuses the same however the bytes are cut: ${name}`, () => check(text, expected))
  }

  it("finds the line end outside quotes, in the header too", () => {
    check("\"a\nx\",b\r\n1,2\r\n", [["a\nx", "b"], ["1", "2"]])
    check("a,b\r1,2\r3,4", [["a", "b"], ["1", "2"], ["3", "4"]])
    check("a,5\" b\n1,2\n", [["a", "5\" b"], ["1", "2"]])
    check("a,b\r", [["a", "b"]])
    check("\"a\"\"\n\",b\n1,2", [["a\"\n", "b"], ["1", "2"]])
  })

  it("takes a stray carriage return at a row's end for a line end, and a quoted one for text", () => {
    check("a,b\n1,2\r\n3,\"4\r\"\n5,6\r", [["a", "b"], ["1", "2"], ["3", "4\r"], ["5", "6"]])
    check("a,b\n\r\n1,2\n", [["a", "b"], ["1", "2"]])
  })

  it("refuses line ends outside quotes that are not those of the first line, and glues no rows together", () => {
    check("a\r\n1\r\n2\n3\n", "row 2: a line ends otherwise")
    check("a\n1\n2\r3\r", "row 2: a line ends otherwise")
    check("a\r1\r2\n3\n", "row 2: a line ends otherwise")
    check("a,b\r\n1,2\n3,4\n", "row 1: a line ends otherwise")
    check("a,b\r\n1,x\ny\r\n3,4\r\n", "row 1: a line ends otherwise")
    check("a,b\r\n1,\"x\ny\rz\"\r\n\"\"\"\n\",4\r\n", [["a", "b"], ["1", "x\ny\rz"], ["\"\n", "4"]])
    check("a,b\n1,\"x\r\ny\"\r\n3,\"\r\"\n", [["a", "b"], ["1", "x\r\ny"], ["3", "\r"]])
    check("a\r1\r\"2\n\"\r", [["a"], ["1"], ["2\n"]])
  })

  it("keeps an empty quoted value of a one-column file and skips blank lines", () => {
    check("a\n1\n\n\"\"\n2\n", [["a"], ["1"], [""], ["2"]])
    check("a,b\n1,2\n\"\"\n", "row 2, column \"b\"")
  })

  it("counts data rows, not lines, across pieces", () => {
    const rows = Array.from({ length: 1000 }, (_, i) => `${i},"x\ny"\n\n`)
    check(`a,b\n${rows.join("")}7\n`, "row 1001, column \"b\"")
  })

  it("names the row in which a quote was left open", () => {
    check("a,b\n1,2\n3,\"4\n5,6\n", "row 2: a quoted field is not closed")
    check("a,\"b\n1,2\n", "in the header: a quoted field is not closed")
  })

  it("does not take in the whole file after an open quote", () => {
    const text = `a,b\n1,2\n3,"${"x".repeat(5000)}`
    for (const size of [64, 7]) {
      const { fault } = parse(Buffer.from(text), size, { maxRowLength: 1000 })
      assert.include(fault ?? "", "row 2: the row is longer than 1000")
    }
  })

  it("refuses an unnamed column, with the likely reason", () => {
    check(",text\n0,hello\n", "the header has no name for column 1")
    check("a,\n0,hello\n", "the header has no name for column 2")
  })

  it("has no header in an empty file", () => {
    for (const text of ["", "\ufeff", "\n\n", "\r\n"]) check(text, [])
  })

  it("names row and column of bytes that are not UTF-8", () => {
    const bad = (before: string, bytes: ReadonlyArray<number>, after: string) =>
      Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)])
    check(bad("a,b\n1,2\n3,é", [0xff], "x\n5,6\n"), "row 2, column \"b\": the text is not UTF-8")
    check(bad("a,b\n1,2\n", [0xc3, 0x28], ",4\n"), "row 2, column \"a\": the text is not UTF-8")
    check(bad("a,b\n1,2\n3,", [0xe2, 0x82], ""), "row 2, column \"b\": the text is not UTF-8")
    check(bad("a", [0xe9], ",b\n1,2\n"), "the text is not UTF-8")
    // A surrogate, an overlong form and a code point above the last.
    for (const bytes of [[0xed, 0xa0, 0x80], [0xc0, 0xaf], [0xf4, 0x90, 0x80, 0x80]]) {
      check(bad("a,b\n1,2\n3,4\n5,", bytes, "\n"), "row 3, column \"b\": the text is not UTF-8")
    }
  })

  it("keeps a replacement character that the text really has", () => {
    check("a,b\n1,\ufffd\n", [["a", "b"], ["1", "\ufffd"]])
  })
})
