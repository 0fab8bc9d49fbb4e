import { assert, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { splitter } from "../src/Lines.ts"

const linesOf = (bytes: Uint8Array, sizes: ReadonlyArray<number>) => {
  const lines = splitter()
  const found: Array<string> = []
  let at = 0
  for (let turn = 0; at < bytes.length; turn++) {
    const size = sizes.length === 0 ? bytes.length : Math.max(1, sizes[turn % sizes.length] ?? 1)
    found.push(...lines.push(bytes.subarray(at, at + size)))
    at += size
  }
  const rest = lines.rest()
  return rest === null ? found : [...found, rest]
}

it.prop(
  "gives the same lines however the bytes are cut",
  {
    texts: Arbitrary.array(Arbitrary.schema(Schema.String), { maxLength: 8 }),
    sizes: Arbitrary.array(
      Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 7 }))),
      { maxLength: 5 }
    )
  },
  ({ sizes, texts }) => {
    const content = texts.map((text) => Buffer.from(text.replaceAll("\n", "\u2028")).toString()).join("\n")
    const bytes = new TextEncoder().encode(content)
    const expected = content === "" ? [] : content.split("\n")
    if (expected.at(-1) === "") expected.pop()
    assert.deepStrictEqual(linesOf(bytes, sizes), expected)
  }
)

it("tells bytes that are not UTF-8, also where chunks cut a character", () => {
  const valid = splitter()
  for (const byte of new TextEncoder().encode("é🙂\u2028\n\ufffd")) valid.push(Uint8Array.of(byte))
  assert.strictEqual(valid.rest(), "\ufffd")
  assert.isTrue(valid.isUtf8())
  const cut = splitter()
  cut.push(Uint8Array.of(0x61, 0xe2, 0x0a, 0x61))
  assert.isFalse(cut.isUtf8())
})

it("keeps carriage returns, and gives nothing for nothing", () => {
  assert.deepStrictEqual(linesOf(new TextEncoder().encode("a\r\nb"), [1]), ["a\r", "b"])
  assert.deepStrictEqual(linesOf(new Uint8Array(0), []), [])
})
