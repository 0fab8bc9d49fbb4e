import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { LineSplitter, splitLines } from "../../src/internal/Lines.ts"

const pieces = (bytes: Uint8Array, size: number): Array<Uint8Array> =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))

const linesOf = (text: string | Uint8Array, size: number): Effect.Effect<ReadonlyArray<string>> =>
  splitLines(Stream.fromIterable(pieces(typeof text === "string" ? Buffer.from(text) : text, size))).pipe(
    Stream.runCollect,
    Effect.map((arrays) => arrays.flat().map((line) => line.toString("utf8")))
  )

const sizes = [1024, 5, 3, 2, 1]

describe("Lines", () => {
  it.effect("cuts at line feeds alone, however the bytes come", () =>
    Effect.gen(function*() {
      const text = "{\"a\":\"x\u2028y\u2029z\u0085\"}\n{\"b\":1}\r\n\n\r\n{\"c\":\"é😀\"}\n  \nlast"
      const expected = ["{\"a\":\"x\u2028y\u2029z\u0085\"}", "{\"b\":1}\r", "{\"c\":\"é😀\"}", "  ", "last"]
      for (const size of sizes) assert.deepStrictEqual(yield* linesOf(text, size), expected)
    }))

  it.effect("has no lines in no bytes and in blank lines", () =>
    Effect.gen(function*() {
      for (const text of ["", "\n", "\n\r\n\n", "\r", "\n\r"]) {
        for (const size of sizes) assert.deepStrictEqual(yield* linesOf(text, size), [])
      }
    }))

  it.effect("puts together a line that is longer than many pieces", () =>
    Effect.gen(function*() {
      const long = "x".repeat(100_000)
      assert.deepStrictEqual(yield* linesOf(`a\n${long}\nb`, 7), ["a", long, "b"])
    }))

  it("gives views of the piece where a line lies in it", () => {
    const piece = Buffer.from("one\ntwo\nthr")
    const lines = new LineSplitter().push(piece)
    assert.strictEqual(lines.length, 2)
    assert.isTrue(lines.every((line) => line.buffer === piece.buffer))
  })

  it.effect("fails at a line over the limit, before it has ended, and names it", () =>
    Effect.gen(function*() {
      const run = (text: string, size: number) =>
        splitLines(Stream.fromIterable(pieces(Buffer.from(text), size)), {
          maxLineBytes: 5,
          tooLong: (line) => `line ${line}`
        }).pipe(Stream.runCollect)
      for (const size of sizes) {
        assert.strictEqual(yield* Effect.flip(run("12345\n\nabcdef\nx\n", size)), "line 3")
        assert.strictEqual(yield* Effect.flip(run("1\nabcdefgh", size)), "line 2")
        assert.strictEqual((yield* run("12345\n12345", size)).flat().length, 2)
      }
    }))

  it.effect.prop("agrees with splitting the text", {
    lines: Schema.Array(Schema.Literals(["", "a", "\r", "é", "b\u2028", "\r\r"])),
    size: Schema.Literals([1, 2, 3, 7])
  }, ({ lines, size }) =>
    Effect.gen(function*() {
      const expected = lines.filter((line) => line !== "" && line !== "\r")
      assert.deepStrictEqual(yield* linesOf(lines.join("\n"), size), expected)
    }))
})
