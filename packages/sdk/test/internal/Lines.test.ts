import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { LineSplitter } from "../../src/internal/Lines.ts"

const pieces = (bytes: Uint8Array, size: number): Array<Uint8Array> =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))

const linesOf = (text: string, size: number): ReadonlyArray<string> => {
  const splitter = new LineSplitter()
  const lines = pieces(Buffer.from(text), size).flatMap((piece) => splitter.push(piece))
  return [...lines, ...splitter.end()].map((line) => line.toString("utf8"))
}

const sizes = [1024, 5, 3, 2, 1]

describe("Lines", () => {
  it("cuts at line feeds alone, however the bytes come", () => {
    const text = "{\"a\":\"x\u2028y\u2029z\u0085\"}\n{\"b\":1}\r\n\n\r\n{\"c\":\"é😀\"}\n  \nlast"
    const expected = ["{\"a\":\"x\u2028y\u2029z\u0085\"}", "{\"b\":1}\r", "{\"c\":\"é😀\"}", "  ", "last"]
    for (const size of sizes) assert.deepStrictEqual(linesOf(text, size), expected)
  })

  it("has no lines in no bytes and in blank lines", () => {
    for (const text of ["", "\n", "\n\r\n\n", "\r", "\n\r"]) {
      for (const size of sizes) assert.deepStrictEqual(linesOf(text, size), [])
    }
  })

  it("puts together a line that is longer than many pieces", () => {
    const long = "x".repeat(100_000)
    assert.deepStrictEqual(linesOf(`a\n${long}\nb`, 7), ["a", long, "b"])
  })

  it("gives views of the piece where a line lies in it", () => {
    const piece = Buffer.from("one\ntwo\nthr")
    const lines = new LineSplitter().push(piece)
    assert.strictEqual(lines.length, 2)
    assert.isTrue(lines.every((line) => line.buffer === piece.buffer))
  })

  it("names a line over the limit before it has ended", () => {
    const tooLong = (text: string, size: number) => {
      const splitter = new LineSplitter(5)
      for (const piece of pieces(Buffer.from(text), size)) splitter.push(piece)
      return splitter.tooLong
    }
    for (const size of sizes) {
      assert.strictEqual(tooLong("12345\n\nabcdef\nx\n", size), 3)
      assert.strictEqual(tooLong("1\nabcdefgh", size), 2)
      assert.strictEqual(tooLong("12345\n12345", size), null)
    }
  })

  it.prop("agrees with splitting the text", {
    lines: Schema.Array(Schema.Literals(["", "a", "\r", "é", "b\u2028", "\r\r"])),
    size: Schema.Literals([1, 2, 3, 7])
  }, ({ lines, size }) => {
    const expected = lines.filter((line) => line !== "" && line !== "\r")
    assert.deepStrictEqual(linesOf(lines.join("\n"), size), expected)
  })
})
