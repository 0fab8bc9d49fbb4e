import { assert, describe, it } from "@effect/vitest"
import { Catalogue, Families, ModelId, Models } from "../src/index.ts"

/** The ids of the User Guide's page, as read in September and October 2026, and how many Regions it has for them. */
const page: ReadonlyArray<readonly [id: string, single: number, profile: number]> = [
  ["amazon.nova-2-multimodal-embeddings-v1:0", 1, 0],
  ["amazon.nova-2-lite-v1:0", 0, 25],
  ["amazon.nova-lite-v1:0", 3, 24],
  ["amazon.nova-micro-v1:0", 2, 20],
  ["amazon.nova-pro-v1:0", 4, 22],
  ["amazon.nova-premier-v1:0", 0, 3],
  ["amazon.titan-embed-image-v1", 10, 0],
  ["amazon.titan-embed-text-v2:0", 12, 0],
  ["anthropic.claude-3-haiku-20240307-v1:0", 14, 0],
  ["anthropic.claude-3-sonnet-20240229-v1:0", 11, 10],
  ["anthropic.claude-3-opus-20240229-v1:0", 1, 1],
  ["anthropic.claude-3-5-haiku-20241022-v1:0", 1, 1],
  ["anthropic.claude-3-5-sonnet-20240620-v1:0", 7, 10],
  ["anthropic.claude-3-5-sonnet-20241022-v2:0", 1, 10],
  ["anthropic.claude-3-7-sonnet-20250219-v1:0", 0, 13],
  ["anthropic.claude-haiku-4-5-20251001-v1:0", 0, 23],
  ["anthropic.claude-sonnet-4-20250514-v1:0", 0, 24],
  ["anthropic.claude-sonnet-4-5-20250929-v1:0", 0, 29],
  ["anthropic.claude-sonnet-4-6", 1, 32],
  ["anthropic.claude-opus-4-5-20251101-v1:0", 0, 23],
  ["anthropic.claude-opus-4-6-v1", 0, 32],
  ["anthropic.claude-opus-5", 0, 33],
  ["deepseek.v3.2", 10, 0],
  ["deepseek.v3-v1:0", 8, 0],
  ["google.gemma-3-4b-it", 10, 0],
  ["google.gemma-3-12b-it", 10, 0],
  ["google.gemma-3-27b-it", 10, 0],
  ["meta.llama3-1-8b-instruct-v1:0", 1, 2],
  ["meta.llama3-1-70b-instruct-v1:0", 1, 2],
  ["meta.llama3-1-405b-instruct-v1:0", 1, 0],
  ["meta.llama3-2-1b-instruct-v1:0", 0, 5],
  ["meta.llama3-2-3b-instruct-v1:0", 0, 5],
  ["meta.llama3-2-11b-instruct-v1:0", 0, 2],
  ["meta.llama3-2-90b-instruct-v1:0", 0, 2],
  ["meta.llama3-3-70b-instruct-v1:0", 1, 3],
  ["meta.llama4-scout-17b-instruct-v1:0", 0, 4],
  ["meta.llama4-maverick-17b-instruct-v1:0", 0, 4],
  ["minimax.minimax-m2", 10, 0],
  ["minimax.minimax-m2.1", 13, 0],
  ["mistral.mistral-small-2402-v1:0", 1, 0],
  ["mistral.mistral-large-2407-v1:0", 1, 0],
  ["mistral.mistral-large-3-675b-instruct", 7, 0],
  ["mistral.magistral-small-2509", 7, 0],
  ["mistral.ministral-3-3b-instruct", 7, 0],
  ["mistral.ministral-3-8b-instruct", 10, 0],
  ["mistral.ministral-3-14b-instruct", 10, 0],
  ["mistral.devstral-2-123b", 13, 0],
  ["mistral.voxtral-mini-3b-2507", 10, 0],
  ["mistral.voxtral-small-24b-2507", 10, 0],
  ["moonshot.kimi-k2-thinking", 7, 0],
  ["moonshotai.kimi-k2.5", 10, 0],
  ["nvidia.nemotron-nano-9b-v2", 10, 0],
  ["nvidia.nemotron-nano-12b-v2", 10, 0],
  ["nvidia.nemotron-nano-3-30b", 10, 0],
  ["openai.gpt-oss-20b-1:0", 14, 0],
  ["openai.gpt-oss-120b-1:0", 14, 0],
  ["openai.gpt-oss-safeguard-20b", 10, 0],
  ["openai.gpt-oss-safeguard-120b", 10, 0],
  ["qwen.qwen3-32b-v1:0", 13, 0],
  ["qwen.qwen3-235b-a22b-2507-v1:0", 10, 0],
  ["qwen.qwen3-coder-30b-a3b-v1:0", 13, 0],
  ["qwen.qwen3-coder-480b-a35b-v1:0", 8, 0],
  ["qwen.qwen3-coder-next", 3, 0],
  ["qwen.qwen3-next-80b-a3b", 10, 0],
  ["qwen.qwen3-vl-235b-a22b", 10, 0],
  ["zai.glm-4.7", 10, 0],
  ["zai.glm-4.7-flash", 13, 0]
]

describe("models", () => {
  it("are those of the page, no more and no fewer, with as many Regions", () => {
    const inOrder = [...page].sort(([a], [b]) => (a < b ? -1 : 1))
    assert.deepStrictEqual(
      Catalogue.models.map(({ id, profileRegions, regions }) => [id, regions.length, profileRegions.length]),
      inOrder.map((row) => [...row])
    )
  })
})

describe("the rows", () => {
  it("have ids that Bedrock takes, of known providers", () => {
    for (const { id, provider } of Catalogue.models) {
      assert.isTrue(ModelId.isModelId(id), id)
      assert.isTrue(id.startsWith(`${provider}.`) && Models.providers.has(provider), id)
      assert.strictEqual(ModelId.baseModel(id), id)
    }
  })

  it("are reached somewhere, by a bare id or by a profile whose prefix is known", () => {
    for (const { id, profileRegions, profiles, regions } of Catalogue.models) {
      assert.isAbove(regions.length + profileRegions.length, 0, id)
      assert.strictEqual(profiles.length > 0, profileRegions.length > 0, id)
      for (const places of [regions, profileRegions]) {
        assert.deepStrictEqual(places, [...new Set(places)].sort(), id)
        for (const region of places) assert.match(region, /^(?:af|ap|ca|eu|il|me|mx|sa|us)(?:-gov)?-[a-z]+-[0-9]$/)
      }
    }
  })

  it("have names for each of their Regions in America and Europe that name the model", () => {
    for (const model of Catalogue.models) {
      for (const region of [...model.regions, ...model.profileRegions].filter((name) => /^(?:us|eu)-/.test(name))) {
        const names = Catalogue.namesIn(model, region)
        assert.isAbove(names.length, 0, `${model.id} in ${region}`)
        for (const name of names) assert.strictEqual(Catalogue.find(name)?.id, model.id)
      }
    }
  })

  it("are none that a rule says Bedrock refuses", () => {
    assert.deepStrictEqual(Models.known.filter((id) => Catalogue.isRefused(id)), [])
    for (const id of Models.known) {
      assert.notStrictEqual(Models.rules.find((rule) => rule.ids.test(id))?.support, "not-batch-capable", id)
    }
  })

  it("embed where they have a family of embeddings, and take text, all of them", () => {
    for (const { family, id, inputs, output } of Catalogue.models) {
      assert.strictEqual(output === "embedding", family.endsWith("-embeddings"), id)
      assert.strictEqual(inputs[0], "text", id)
    }
  })

  it("know the ceilings and traps that users met", () => {
    const pick = (model: string) => {
      const found = Catalogue.find(model)
      return [found?.maxOutputTokens, found?.sampling, found?.structuredOutput]
    }
    assert.deepStrictEqual(pick("amazon.nova-micro-v1:0"), [10_000, "free", false])
    assert.deepStrictEqual(pick("global.amazon.nova-2-lite-v1:0"), [65_535, "free", false])
    assert.deepStrictEqual(pick("meta.llama3-1-8b-instruct-v1:0:128k"), [2048, "free", null])
    assert.deepStrictEqual(pick("us.meta.llama4-scout-17b-instruct-v1:0"), [8192, "free", false])
    assert.deepStrictEqual(pick("eu.anthropic.claude-haiku-4-5-20251001-v1:0"), [64_000, "one-of-both", true])
    assert.deepStrictEqual(pick("us.anthropic.claude-opus-5"), [128_000, "neither", false])
    assert.deepStrictEqual(pick("qwen.qwen3-32b-v1:0"), [null, "free", true])
  })
})

describe("find", () => {
  it.each([
    "us.anthropic.claude-opus-5",
    "anthropic.claude-opus-5",
    "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-5",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.anthropic.claude-opus-5"
  ])("knows the model behind %s", (model) => {
    assert.strictEqual(Catalogue.find(model)?.id, "anthropic.claude-opus-5")
  })

  it.each([
    "",
    "constructor",
    "anthropic.claude-opus-9",
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6"
  ])("does not know %j", (model) => {
    assert.isNull(Catalogue.find(model))
  })
})

describe("namesIn", () => {
  const sonnet = "anthropic.claude-sonnet-4-6"
  const olderSonnet = "anthropic.claude-sonnet-4-5-20250929-v1:0"
  const names = (model: string, region: string) => {
    const found = Catalogue.find(model)
    return found === null ? null : Catalogue.namesIn(found, region)
  }

  it.each([
    ["amazon.nova-lite-v1:0", "us-east-1", ["amazon.nova-lite-v1:0", "us.amazon.nova-lite-v1:0"]],
    ["amazon.nova-micro-v1:0", "us-west-2", ["us.amazon.nova-micro-v1:0"]],
    ["amazon.nova-lite-v1:0", "ap-south-1", ["apac.amazon.nova-lite-v1:0"]],
    [sonnet, "ap-southeast-2", [`au.${sonnet}`, `global.${sonnet}`]],
    [sonnet, "ap-northeast-1", [`jp.${sonnet}`, `global.${sonnet}`]],
    [sonnet, "sa-east-1", [`global.${sonnet}`]],
    [sonnet, "ca-central-1", [`us.${sonnet}`, `global.${sonnet}`]],
    [olderSonnet, "us-gov-west-1", [`us-gov.${olderSonnet}`]],
    ["amazon.nova-lite-v1:0", "sa-east-1", []],
    ["amazon.nova-lite-v1:0", "nowhere", []]
  ])("%s in %s", (model, region, expected) => {
    assert.deepStrictEqual(names(model, region), expected)
  })
})

describe("advice", () => {
  const kinds = (options: Catalogue.AdviceOptions) => Catalogue.advice(options).map(({ kind }) => kind)

  it("has nothing to say against a listed model that is named and asked as it wants", () => {
    for (const model of Catalogue.models.filter(({ legacy }) => legacy === null)) {
      for (const region of [...model.regions, ...model.profileRegions]) {
        for (const name of Catalogue.namesIn(model, region)) {
          assert.deepStrictEqual(Catalogue.advice({ model: name, region, parameters: { maxTokens: 1024 } }), [], name)
        }
      }
    }
  })

  it("names the profile that a bare id needs, in this Region", () => {
    const given = Catalogue.advice({ model: "amazon.nova-micro-v1:0", region: "us-west-2" })
    assert.deepStrictEqual(given, [{
      kind: "profile-needed",
      severity: "warning",
      message: "the model amazon.nova-micro-v1:0 is reached in us-west-2 by an inference profile only, by the list " +
        "of 2026-10: name us.amazon.nova-micro-v1:0"
    }])
    assert.deepStrictEqual(kinds({ model: "amazon.nova-micro-v1:0", region: "us-east-1" }), [])
    const unsure = Catalogue.advice({ model: "amazon.nova-micro-v1:0", region: "il-central-1" })
    assert.include(unsure[0]?.message, "ListInferenceProfiles shows which")
  })

  it("says where a model is, if it is not here", () => {
    const given = Catalogue.advice({ model: "qwen.qwen3-coder-next", region: "us-west-2" })
    assert.deepStrictEqual(given.map(({ kind }) => kind), ["not-in-region"])
    assert.include(given[0]?.message, "(ap-southeast-2, eu-west-2, us-east-1)")
  })

  it("sees a profile of another part of the world", () => {
    const given = Catalogue.advice({ model: "eu.anthropic.claude-opus-5", region: "us-east-1" })
    assert.deepStrictEqual(given.map(({ kind }) => kind), ["profile-elsewhere"])
    assert.include(given[0]?.message, "name us.anthropic.claude-opus-5 or global.anthropic.claude-opus-5")
    assert.deepStrictEqual(kinds({ model: "us.anthropic.claude-opus-5", region: "ca-central-1" }), [])
    assert.deepStrictEqual(kinds({ model: "global.anthropic.claude-opus-5", region: "eu-west-1" }), [])
  })

  it.each([
    ["us.anthropic.claude-haiku-4-5-20251001-v1:0", { temperature: 1, topP: 0.9 }, ["temperature-with-top-p"]],
    ["us.anthropic.claude-haiku-4-5-20251001-v1:0", { temperature: 0.2 }, []],
    ["us.anthropic.claude-opus-5", { temperature: 0.2 }, ["no-sampling"]],
    ["us.anthropic.claude-opus-5", { topP: 0.2, temperature: 1 }, ["no-sampling"]],
    ["us.anthropic.claude-opus-5", { temperature: 1, topP: 1 }, []],
    ["us.amazon.nova-pro-v1:0", { temperature: 0.2, topP: 0.9 }, []],
    ["us.meta.llama4-scout-17b-instruct-v1:0", { maxTokens: 8193 }, ["legacy", "max-tokens"]],
    ["us.meta.llama4-scout-17b-instruct-v1:0", { maxTokens: 8192 }, ["legacy"]],
    ["us.amazon.nova-micro-v1:0", { maxTokens: 10_001 }, ["max-tokens"]],
    ["qwen.qwen3-32b-v1:0", { maxTokens: 1_000_000 }, []]
  ])("%s with %j", (model, parameters, expected) => {
    assert.deepStrictEqual(kinds({ model, region: "us-east-1", parameters }), expected)
  })

  it("tells a legacy model's last day where it is known", () => {
    const ofModel = (model: string) => Catalogue.advice({ model, region: "us-east-1" }).map(({ message }) => message)
    assert.deepStrictEqual(ofModel("anthropic.claude-3-haiku-20240307-v1:0"), [
      "the model anthropic.claude-3-haiku-20240307-v1:0 is legacy, and ends on 2026-09-10 (in some Regions on " +
      "another day): choose another for new work"
    ])
    assert.deepStrictEqual(ofModel("us.anthropic.claude-3-opus-20240229-v1:0"), [
      "the model anthropic.claude-3-opus-20240229-v1:0 is legacy: choose another for new work"
    ])
  })

  it("tells models that are refused from models that are not known, and forbids neither", () => {
    assert.deepStrictEqual(kinds({ model: "us.anthropic.claude-opus-4-8-v1:0", region: "us-east-1" }), ["refused"])
    assert.deepStrictEqual(kinds({ model: "cohere.embed-v4:0", region: "us-east-1" }), ["refused"])
    for (const model of ["us.anthropic.claude-opus-9", "zai.glm-5", "something.else"]) {
      const given = Catalogue.advice({ model, region: "us-east-1", parameters: { temperature: 0, topP: 0 } })
      assert.deepStrictEqual(given.map(({ kind }) => kind), ["unlisted"], model)
      assert.include(given[0]?.message, "it may work; ask with probe")
    }
    assert.strictEqual(Families.forModel("us.anthropic.claude-opus-9")._tag, "Success")
  })

  it("says nothing of names that do not reveal a model", () => {
    const account = "arn:aws:bedrock:us-east-1:123456789012"
    const names = [
      `${account}:application-inference-profile/a1b2c3d4e5f6`,
      `${account}:custom-model/amazon.titan-embed-image-v1:0/abcdefghijkl`,
      ""
    ]
    for (const model of names) assert.deepStrictEqual(kinds({ model, region: "us-east-1" }), [])
  })
})
