import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { resolve, sep } from "node:path"
import * as Key from "../../src/store/Key.ts"

const pieces = [
  ...["a", "Z", "7", ".", "..", "/", "-", "_", "!", "'", "(", " ", "=", "\\", "\0"],
  ...["é", "\uE000", "\uFFFF", "😀", "\uD800"]
]

/** Text out of pieces that matter for keys. */
const text = Arbitrary.map(
  Arbitrary.array(
    Arbitrary.schema(Schema.Literals(pieces)),
    { minLength: 0, maxLength: 8 }
  ),
  (chosen) => chosen.join("")
)

describe("Key", () => {
  it.effect("check gives a key back, or fails and names the key and its caller", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Key.check("jokes/jobs/0-000001.intent"), "jokes/jobs/0-000001.intent")
      const error = yield* Effect.flip(Key.check("a/../b", { module: "S3", method: "get" }))
      assert.deepStrictEqual([error.module, error.method, error.reason._tag], ["S3", "get", "InvalidOption"])
      assert.include(error.message, "\"a/../b\" has a \".\" or \"..\" segment")
    }))

  it("measures a key in bytes", () => {
    assert.isNull(Key.problem("é".repeat(512)))
    assert.isNotNull(Key.problem("é".repeat(512) + "x"))
  })

  it("takes the start of a key as the prefix of a list", () => {
    for (const prefix of ["", "a", "a/", "a/b", "a/.", "a/..", ".."]) assert.isNull(Key.prefixProblem(prefix), prefix)
    for (const prefix of ["/", "a//", "../", "a/../b", "./a", "a\0", "a\\"]) {
      assert.isNotNull(Key.prefixProblem(prefix), prefix)
    }
  })

  it("splits URIs at the first slash after the bucket", () => {
    assert.deepStrictEqual(Key.fromUri("s3://b/k"), { bucket: "b", key: "k" })
    assert.deepStrictEqual(Key.fromUri("s3://b//k/"), { bucket: "b", key: "/k/" })
    for (const uri of ["", "b/k", "S3://b/k", "s3://", "s3://b", "s3://b/", "s3:///k", "https://b/k"]) {
      assert.isNull(Key.fromUri(uri), uri)
    }
  })

  it("knows the buckets that Bedrock takes", () => {
    for (const bucket of ["abc", "a.b", "a-b", "1ab", "a".repeat(63)]) assert.isTrue(Key.isBucket(bucket), bucket)
    for (const bucket of ["ab", "Abc", "a_b", "-ab", "ab-", "a".repeat(64)]) {
      assert.isFalse(Key.isBucket(bucket), bucket)
    }
  })

  it.prop("a key that passes stays below its folder", [text], ([key]) => {
    if (Key.problem(key) !== null) return
    assert.isTrue(resolve("/base", key).startsWith(`/base${sep}`))
    assert.strictEqual(resolve("/base", key), `/base/${key}`)
  }, { arbitrary: { runs: 2_000 } })

  it.prop("every start of a key is a prefix", [text], ([key]) => {
    if (Key.problem(key) !== null) return
    const characters = Array.from(key)
    for (let i = 0; i <= characters.length; i++) assert.isNull(Key.prefixProblem(characters.slice(0, i).join("")))
  })

  it.prop("compare orders as the UTF-8 bytes do", [text, text], ([a, b]) => {
    if (/\p{Surrogate}/u.test(a + b)) return
    assert.strictEqual(Math.sign(Key.compare(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)))
  }, { arbitrary: { runs: 2_000 } })

  it.prop("isUriSafe agrees with the pattern of Bedrock's API", [text], ([key]) => {
    const pattern =
      /^s3:\/\/[a-z0-9][-.a-z0-9]{1,61}[a-z0-9](?:\/[-!_*'().a-z0-9A-Z]+(?:\/[-!_*'().a-z0-9A-Z]+)*)?\/?$/
    if (key === "" || key.endsWith("/")) return assert.isFalse(Key.isUriSafe(key))
    assert.strictEqual(Key.isUriSafe(key), pattern.test(`s3://bucket/${key}`))
  }, { arbitrary: { runs: 2_000 } })
})
