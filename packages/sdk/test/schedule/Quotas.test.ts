import { known } from "@bedrock-batch/processors/Models"
import { assert, describe, it } from "@effect/vitest"
import type { Limits } from "../../src/Limits.ts"
import * as Quotas from "../../src/schedule/Quotas.ts"

const haiku = Quotas.subjectOf("us.anthropic.claude-haiku-4-5-20251001-v1:0")
const sonnet = Quotas.subjectOf("anthropic.claude-sonnet-4-5-20250929-v1:0")
const openJobs = "Sum of in-progress and submitted batch inference jobs using a base model"
const found = (name: string, kind: keyof Limits, subject = haiku, code = "L-00000000") =>
  Quotas.find([{ code, name, value: 7 }], kind, subject)?.value ?? null

describe("Quotas", () => {
  it("knows every model that is suggested for batch inference, by a name and codes of its own", () => {
    assert.deepStrictEqual(known.filter((model) => Quotas.modelQuotas(model) === null), [])
    const all = Object.values(Quotas.models)
    const codes = all.flatMap((model) => Object.values(model.codes))
    assert.lengthOf(codes, 3 * all.length)
    assert.strictEqual(new Set(codes).size, codes.length)
    assert.strictEqual(new Set(all.map(({ name }) => name)).size, all.length)
    for (const code of codes) assert.match(code, /^L-[0-9A-F]{8}$/)
  })

  it("takes a model, its profiles and their ARNs for one, and its custom models for another", () => {
    const titan = "amazon.titan-embed-text-v2:0"
    const custom = (name: string) => `arn:aws:bedrock:us-east-1:123456789012:custom-model/${titan}/${name}`
    for (const model of [titan, `us.${titan}`, `arn:aws:bedrock:us-east-1::foundation-model/${titan}`]) {
      assert.deepStrictEqual(Quotas.subjectOf(model), { key: titan, baseModel: titan, custom: false })
    }
    assert.deepStrictEqual(Quotas.subjectOf(custom("aaaaaaaaaaaa")), Quotas.subjectOf(custom("bbbbbbbbbbbb")))
    assert.deepStrictEqual(Quotas.subjectOf(custom("aaaaaaaaaaaa")), {
      key: `${titan}/custom-model`,
      baseModel: titan,
      custom: true
    })
    const profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl"
    assert.deepStrictEqual(Quotas.subjectOf(profile), { key: profile, baseModel: null, custom: false })
  })

  it("finds a model whose id has a suffix for its context length", () => {
    assert.strictEqual(Quotas.modelQuotas("anthropic.claude-3-haiku-20240307-v1:0:200k")?.name, "Claude 3 Haiku")
    assert.isNull(Quotas.modelQuotas("anthropic.claude-opus-99"))
    assert.isNull(Quotas.modelQuotas("constructor"))
  })

  it("finds a quota by its code, however the row is named", () => {
    assert.strictEqual(found(`${openJobs} for Haiku, the small one`, "maxOpenJobs", haiku, "L-63020993"), 7)
  })

  it("does not take a code that was given to another quota or another model", () => {
    assert.isNull(found("Records per batch inference job for Claude Haiku 4.5", "maxOpenJobs", haiku, "L-63020993"))
    assert.isNull(found(`${openJobs} for Claude Opus 5`, "maxOpenJobs", haiku, "L-63020993"))
  })

  it("prefers the row of the code to one of the name", () => {
    const rows = [
      { code: "L-63020993", name: `${openJobs} for Claude Haiku 4.5`, value: 1 },
      { code: "L-00000000", name: `${openJobs} for Claude Haiku 4.5`, value: 2 }
    ]
    for (const order of [rows, [...rows].reverse()]) {
      assert.strictEqual(Quotas.find(order, "maxOpenJobs", haiku)?.value, 1)
    }
  })

  it("finds a quota by its name, whatever its case, spaces and stray periods, with or without unit and provider", () => {
    for (
      const [name, kind] of [
        [`${openJobs} for Claude Haiku 4.5`, "maxOpenJobs"],
        [`${openJobs} for Claude Haiku 4.5.`, "maxOpenJobs"],
        [`${openJobs.toUpperCase()}  FOR anthropic claude haiku 4.5 . `, "maxOpenJobs"],
        ["Records per batch inference job for Claude Haiku 4.5", "maxRecords"],
        ["Records per batch inference job Claude Haiku 4.5", "maxRecords"],
        ["Records per input file per batch inference job for Claude Haiku 4.5", "maxFileRecords"],
        ["Minimum number of records per batch inference job for Claude Haiku 4.5", "minRecords"],
        ["Batch inference input file size (in GB) for Claude Haiku 4.5", "maxFileBytes"],
        ["Batch inference input file size for Claude Haiku 4.5 (in GB)", "maxFileBytes"],
        ["Batch inference job size (in GB) for Claude Haiku 4.5", "maxJobBytes"]
      ] as const
    ) {
      assert.strictEqual(found(name, kind), 7, name)
      assert.isTrue(Quotas.isBatchQuota({ code: "", name, value: 0 }), name)
    }
    assert.strictEqual(found(`${openJobs} for Claude Sonnet 4.5.`, "maxOpenJobs", sonnet), 7)
  })

  it("does not take a model for another whose name begins alike", () => {
    const four = Quotas.subjectOf("anthropic.claude-sonnet-4-20250514-v1:0")
    assert.isNull(found(`${openJobs} for Claude Sonnet 4.5.`, "maxOpenJobs", four))
    assert.isNull(found(`${openJobs} for Claude Sonnet 4`, "maxOpenJobs", sonnet))
    assert.isNull(found("Records per batch inference job for Claude Haiku 4.5", "minRecords"))
    assert.isNull(found("On-demand model inference requests per minute for Claude Haiku 4.5", "maxOpenJobs"))
  })

  it("counts custom models by their own quota, and all else by that of the base", () => {
    const subject = Quotas.subjectOf(
      "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.titan-embed-text-v2:0/abcdefghijkl"
    )
    assert.isNull(found(`${openJobs} for Titan Text Embeddings V2`, "maxOpenJobs", subject, "L-1AC1CABC"))
    assert.strictEqual(found(`${Quotas.customPhrase} for Titan Text Embeddings V2`, "maxOpenJobs", subject), 7)
    assert.strictEqual(found("Records per batch inference job for Titan Text Embeddings V2", "maxRecords", subject), 7)
  })
})
