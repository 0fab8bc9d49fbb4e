import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result, Schema } from "effect"
import { ModelId, Models } from "../src/index.ts"

const account = "arn:aws:bedrock:us-east-1:123456789012"

// The service's own pattern, word for word. It backtracks exponentially: for short strings only.
const servicePattern = new RegExp(
  "^(?:(arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:" +
    "(([0-9]{12}:custom-model/[a-z0-9-]{1,63}[.]{1}[a-z0-9-:]{1,63}/[a-z0-9]{12}$)" +
    "|(:foundation-model/([a-z0-9-]{1,63}[.]{1}[a-z0-9-]{1,63}([.]?[a-z0-9-]{1,63})([:][a-z0-9-]{1,63}){0,2})" +
    "|(([0-9a-zA-Z][_-]?)+)$)|([0-9]{12}:(inference-profile|application-inference-profile)/[a-zA-Z0-9-:.]+$)))" +
    "|([a-z0-9-]{1,63}[.]{1}[a-z0-9-]{1,63}([.]?[a-z0-9-]{1,63})([:][a-z0-9-]{1,63}){0,2})|(([0-9a-zA-Z][_-]?)+))$"
)

describe("isModelId", () => {
  it.each([
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "deepseek.v3.2",
    "openai.gpt-5.6-sol",
    "anthropic.claude-3-haiku-20240307-v1:0:48k",
    "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0",
    "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/openai.gpt-oss-20b-1:0",
    `${account}:inference-profile/us.deepseek.v3.2`,
    `${account}:application-inference-profile/a1b2c3d4e5f6`,
    `${account}:custom-model/amazon.titan-embed-image-v1:0/abcdefghijkl`,
    "a-1_b"
  ])("accepts %s", (id) => {
    assert.isTrue(ModelId.isModelId(id))
    assert.isTrue(servicePattern.test(id))
  })

  it.each([
    "",
    "us.openai.gpt-5.6-sol",
    "us.deepseek.v3.2",
    "anthropic.Claude",
    "anthropic.a",
    "a.b:c:d:e",
    "a b",
    "anthropic.claude-opus-5\n",
    "arn:aws:bedrock:us-east-1::foundation-model/us.deepseek.v3.2",
    "arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefghijkl",
    "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdefghijkl",
    "arn:aws:s3:::bucket",
    `${account}:custom-model/amazon.titan-embed-image-v1:0/short`,
    `${account}:inference-profile/`,
    "anthropic..claude",
    "/anthropic.claude-opus-5"
  ])("refuses %j", (id) => {
    assert.isFalse(ModelId.isModelId(id))
    assert.isFalse(servicePattern.test(id))
  })

  it("refuses more than 2048 characters", () => {
    assert.isTrue(ModelId.isModelId("a".repeat(2048)))
    assert.isFalse(ModelId.isModelId("a".repeat(2049)))
  })

  it("takes no longer for hostile names", () => {
    for (const hostile of ["-", "a", "a-", ".", "a.", "a:", "a.a-", `${account}:inference-profile/a.`, "_"]) {
      assert.isFalse(ModelId.isModelId(`${hostile.repeat(Math.floor(2000 / hostile.length))}!`))
    }
  })

  it.prop("agrees with the service's own pattern", [
    Arbitrary.array(
      Arbitrary.schema(Schema.Literals([
        "a",
        "B",
        "1",
        "-",
        "_",
        ".",
        ":",
        "/",
        "ab.cd",
        "arn:aws:bedrock:us-east-1:",
        "arn:aws-cn:bedrock:x:",
        ":foundation-model/",
        "123456789012:custom-model/",
        "123456789012:inference-profile/",
        "/abcdefghijkl",
        "\n"
      ])),
      { maxLength: 8 }
    ).pipe(Arbitrary.map((parts) => parts.join("")))
  ], ([id]) => {
    assert.strictEqual(ModelId.isModelId(id), servicePattern.test(id), JSON.stringify(id))
  }, { arbitrary: { runs: 3_000 } })
})

describe("parse", () => {
  it.each<[model: string, baseModel: string, profile: string | null]>([
    ["anthropic.claude-opus-5", "anthropic.claude-opus-5", null],
    ["deepseek.v3.2", "deepseek.v3.2", null],
    ["minimax.minimax-m2.1", "minimax.minimax-m2.1", null],
    ["us.anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic.claude-haiku-4-5-20251001-v1:0", "us"],
    ["us-gov.anthropic.claude-opus-5", "anthropic.claude-opus-5", "us-gov"],
    ["global.amazon.nova-2-lite-v1:0", "amazon.nova-2-lite-v1:0", "global"],
    ["jp.newcomer.model-1", "newcomer.model-1", "jp"],
    ["moon.anthropic.claude-opus-5", "anthropic.claude-opus-5", "moon"],
    ["us.deepseek.v3.2", "deepseek.v3.2", "us"],
    ["arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0", null],
    ["arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/openai.gpt-oss-20b-1:0", "openai.gpt-oss-20b-1:0", null],
    [`${account}:inference-profile/apac.anthropic.claude-sonnet-4-6`, "anthropic.claude-sonnet-4-6", "apac"],
    [`${account}:inference-profile/us.deepseek.v3.2`, "deepseek.v3.2", "us"],
    ["my.model", "my.model", null],
    ["us.model", "us.model", null],
    ["model", "model", null]
  ])("finds the base model of %s", (model, baseModel, profile) => {
    assert.deepStrictEqual(ModelId.parse(model), Result.succeed({ baseModel, profile }))
    assert.strictEqual(ModelId.baseModel(model), baseModel)
  })

  it.each<[model: string, problem: string]>([
    [`${account}:application-inference-profile/a1b2c3d4e5f6`, "application inference profile"],
    [`${account}:custom-model/amazon.titan-embed-image-v1:0/abcdefghijkl`, "custom model"],
    [`${account}:imported-model/abcdefghijkl`, "takes ARNs of foundation models"],
    [`${account}:inference-profile/`, "names no inference profile"],
    ["arn:aws:s3:::bucket", "not the ARN of a Bedrock model"],
    ["", "empty"]
  ])("does not guess the base model of %j", (model, problem) => {
    const failure = Result.getOrThrow(Result.flip(ModelId.parse(model)))
    assert.strictEqual(failure.model, model)
    assert.include(failure.message, problem)
    assert.isUndefined(ModelId.baseModel(model))
  })

  it("every known model with every prefix comes back to itself", () => {
    for (const id of Models.known) {
      assert.isTrue(ModelId.isModelId(id), id)
      for (const prefix of ["us", "eu", "apac", "jp", "au", "ca", "us-gov", "global"]) {
        assert.strictEqual(ModelId.baseModel(`${account}:inference-profile/${prefix}.${id}`), id)
      }
    }
  })
})
