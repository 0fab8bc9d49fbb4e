import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { float32Text, jsonText, vectorText } from "../../src/internal/JsonText.ts"

/** All digits that could be needed, cut from the shortest on. */
const shortest = (value: number): number => {
  for (let digits = 1; digits <= 17; digits++) {
    const text = Number(value.toPrecision(digits))
    if (Math.fround(text) === value) return text
  }
  return value
}

describe("JsonText", () => {
  it("writes float32 numbers with their shortest digits", () => {
    const texts = [0.1, 0.2, 1 / 3, 16777216, 1e-45, 3.4028235e38, 1.17549435e-38, -5.5, 0, -0, 8388609, 9.5367e-7]
    assert.deepStrictEqual(texts.map((value) => float32Text(Math.fround(value))), [
      "0.1",
      "0.2",
      "0.33333334",
      "16777216",
      "1e-45",
      "3.4028235e+38",
      "1.1754944e-38",
      "-5.5",
      "0",
      "-0",
      "8388609",
      "9.5367e-7"
    ])
    assert.strictEqual(vectorText(Float32Array.of(0.1, Number.NaN)), "[0.1,null]")
  })

  it.prop("writes any float32 with as few digits as read back the same", [Schema.Int], ([seed]) => {
    const floats = new Float32Array(Int32Array.of(seed, seed * 2654435761, seed ^ 0x5bd1e995).buffer)
    for (const value of floats) {
      if (!Number.isFinite(value)) continue
      const text = float32Text(value)
      assert.isTrue(Object.is(Math.fround(Number(text)), value))
      assert.strictEqual(Number(text), Object.is(value, -0) ? -0 : shortest(value))
    }
  }, { arbitrary: { runs: 1000 } })

  it("writes the numbers of embeddings with their shortest digits", () => {
    for (let i = 1; i < 20_000; i++) {
      for (const value of [Math.sin(i) / 32, 30619.0625 - i, i / 64, Math.tan(i), 1 / i, i * 7.3, 1e-11 * i]) {
        const float = Math.fround(value)
        assert.strictEqual(Number(float32Text(float)), shortest(float))
      }
    }
  })

  it("writes JSON values, a bigint inside one as its digits", () => {
    assert.strictEqual(jsonText({ a: [1n], b: undefined }), "{\"a\":[\"1\"]}")
    assert.strictEqual(jsonText(undefined), "null")
  })
})
