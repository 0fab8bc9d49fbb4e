import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { CellProblem } from "../../src/internal/CellProblem.ts"
import { bodyOf, bodyText } from "../../src/internal/RawBody.ts"

const isRefused = (value: unknown): boolean => {
  try {
    bodyText(value, "body")
    return false
  } catch (cause) {
    return cause instanceof CellProblem && cause.column === "body"
  }
}

describe("bodyText", () => {
  it("leaves a JSON text as it is, digits, spaces and order of members too, on one line", () => {
    const text = "{\"n\": 12345678901234567890, \"f\":1.0, \"2\":[1E5], \"1\":\"a\\n\\u2028\u2028\", \"n\":-0}"
    assert.strictEqual(bodyText(text, "body"), text)
    assert.strictEqual(bodyText(" {\r\n  \"a\":\n1.50\n}\n", "body"), " {  \"a\":1.50}")
    assert.strictEqual(bodyText("{\"a\":\"\ud800x\"}", "body"), "{\"a\":\"\\ud800x\"}")
  })

  it("writes an object with the digits of its bigints", () => {
    const text = "{\"n\":12345678901234567890,\"d\":null,\"s\":\"\\n\"}"
    assert.strictEqual(bodyText({ n: 12345678901234567890n, d: null, s: "\n" }, "body"), text)
  })

  it("refuses what holds no object", () => {
    const none: ReadonlyArray<unknown> = [null, undefined, 1, true, [], [{}], new Date(0), Buffer.from("{}")]
    for (const value of [...none, "", "null", "[]", "\"{}\"", "{", "{}{}", "\ufeff{}", "{'a':1}", "{\"a\":\"\n\"}"]) {
      assert.isTrue(isRefused(value), JSON.stringify(value))
    }
  })

  const objects = Arbitrary.schema(Schema.Record(Schema.String, Schema.Json))
  it.prop("keeps the value of every JSON text, on one line", [objects], ([value]) => {
    for (const text of [JSON.stringify(value), JSON.stringify(value, null, 2), JSON.stringify(value, null, "\r\n")]) {
      const line = bodyText(text, "body")
      assert.notMatch(line, /[\r\n]/)
      assert.deepStrictEqual(JSON.parse(line), JSON.parse(text))
      assert.deepStrictEqual(bodyOf(text, "body"), JSON.parse(text))
    }
  })
})
