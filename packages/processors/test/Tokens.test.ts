import { assert, describe, it } from "@effect/vitest"
import { Tokens } from "../src/index.ts"

/** Texts with their tokens by the tokenizer of gpt-oss (o200k). */
const counted: ReadonlyArray<readonly [text: string, tokens: number]> = [
  ["The quick brown fox jumps over the lazy dog, and nobody has ever asked the dog what it thinks of that.", 23],
  ["Der schnelle braune Fuchs springt über den faulen Hund, und niemand hat je den Hund gefragt.", 22],
  ["敏捷的棕色狐狸跳过了懒狗，从来没有人问过狗是怎么想的。", 25],
  ["{\"id\": 17, \"name\": \"Mallard\", \"altitude\": 1500, \"speed\": 140}", 27],
  ["1990-01-08 00:00:00,DELTA AIR LINES,GA,B-727-2,4500,250", 30]
]

describe("an estimate of tokens", () => {
  it("is of the right order for prose, other scripts and data", () => {
    for (const [text, tokens] of counted) {
      const ratio = Tokens.estimate(text) / tokens
      assert.isTrue(ratio > 0.7 && ratio < 1.5, `${ratio}: ${text}`)
    }
  })

  it("counts characters as it says", () => {
    assert.strictEqual(Tokens.estimate(""), 0)
    assert.strictEqual(Tokens.estimate("abcd"), 1)
    assert.strictEqual(Tokens.estimate("a"), 1)
    assert.strictEqual(Tokens.estimate("1234"), 3)
    assert.strictEqual(Tokens.estimate("{}{}"), 2)
    assert.strictEqual(Tokens.estimate("a" + " ".repeat(1000) + "bc"), 1)
    assert.strictEqual(Tokens.estimate("éé"), 2)
    assert.strictEqual(Tokens.estimate("да"), 1)
    assert.strictEqual(Tokens.estimate("猫"), 1)
    assert.strictEqual(Tokens.estimate("😀"), 2)
  })
})
