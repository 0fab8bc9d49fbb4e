import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import * as Chance from "../src/Chance.ts"
import * as CreateRequest from "../src/CreateRequest.ts"
import * as Model from "../src/Model.ts"
import { constraints, Findings } from "../src/Validation.ts"
import { request } from "./Fixture.ts"

const matches = (name: keyof typeof constraints, value: string) => {
  const findings = new Findings()
  findings.text(name, value, constraints[name], true)
  return findings.problem === null
}
const problemOf = (body: Record<string, unknown>) => {
  const findings = new Findings()
  CreateRequest.read(findings, body)
  return findings.problem
}
const accepts = (overrides: Record<string, unknown>) => problemOf(request(overrides)) === null

it("takes the job names that the service takes", () => {
  const good = ["a-", "a--b", "a.b", "a+b", "1a", "a".repeat(63), "a" + "-".repeat(62)]
  const bad = ["", "a_b", "a b", "a/b", "-a", ".a", "a".repeat(64), "a\n"]
  for (const name of good) assert.isTrue(matches("jobName", name), name)
  for (const name of bad) assert.isFalse(matches("jobName", name), name)
})

it("comes to an end where the service's own pattern backtracks exponentially", () => {
  const script = join(import.meta.dirname, "hostileTexts.ts")
  const { error, status, stderr } = spawnSync(process.execPath, [script], { encoding: "utf8", timeout: 60_000 })
  assert.deepStrictEqual([error, status], [undefined, 0], stderr)
}, 90_000)

it("takes the client request tokens that the service takes", () => {
  const good = ["a", "a-b", "a--b", "0".repeat(64), "3f2504e0-4f89-11d3-9a0c-0305e82c3301"]
  const bad = ["", "-a", "a-", "a_b", "a.b", "a".repeat(257)]
  for (const token of good) assert.isTrue(matches("clientRequestToken", token), token)
  for (const token of bad) assert.isFalse(matches("clientRequestToken", token), token)
})

it("takes the S3 URIs that the service takes", () => {
  const good = ["s3://bucket", "s3://bucket/", "s3://my.bucket-1/a/b.jsonl", "s3://bucket/(x)'*!_-/", "s3://bucket/A/"]
  for (const uri of good) assert.isTrue(matches("s3Uri", uri), uri)
  for (
    const uri of [
      "s3://bucket//a",
      "s3://bucket/a//",
      "s3://bucket/dt=2026-01-01/",
      "s3://bucket/a b",
      "s3://bucket/a%20b",
      "s3://bucket/a+b",
      "s3://bucket/a:b",
      "s3://bucket/é",
      "s3://my_bucket/a",
      "s3://Bucket/a",
      "s3://ab/a".replace("ab", "a"),
      "https://bucket/a",
      `s3://bucket/${"a".repeat(1024)}`
    ]
  ) assert.isFalse(matches("s3Uri", uri), uri)
})

it("takes the model ids that the service takes, with at most two dots", () => {
  for (
    const id of [
      "us.anthropic.claude-haiku-4-5-20251001-v1:0",
      "deepseek.v3.2",
      "openai.gpt-5.6-sol",
      "amazon.nova-pro-v1:0:300k",
      "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0",
      "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.openai.gpt-5.6-sol",
      "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:application-inference-profile/abc123",
      "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.titan-embed-image-v1/abcdefghijkl",
      "model_1-a"
    ]
  ) assert.isTrue(matches("modelId", id), id)
  for (
    const id of [
      "us.openai.gpt-5.6-sol",
      "us.deepseek.v3.2",
      "a model",
      "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdefghijkl",
      ""
    ]
  ) assert.isFalse(matches("modelId", id), id)
})

it("checks roles, keys, accounts and identifiers", () => {
  assert.isTrue(matches("roleArn", "arn:aws-cn:iam::123456789012:role/path/name"))
  assert.isFalse(matches("roleArn", "arn:aws:iam::1234:role/name"))
  assert.isFalse(matches("roleArn", "arn:aws:iam::123456789012:user/name"))
  assert.isTrue(matches("kmsKeyId", "alias/my-key"))
  assert.isTrue(matches("kmsKeyId", "arn:aws:kms:us-east-1:123456789012:key/3f2504e0-4f89-11d3-9a0c-0305e82c3301"))
  assert.isFalse(matches("kmsKeyId", "my key"))
  assert.isTrue(matches("jobIdentifier", "abcdefghijkl"))
  assert.isTrue(matches("jobIdentifier", "arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/abcdefghijkl"))
  assert.isFalse(matches("jobIdentifier", "job-name"))
  assert.isFalse(matches("accountId", "12345678901"))
})

it("writes refusals in the words of the service", () => {
  assert.deepStrictEqual(problemOf(request({ jobName: "a_b" })), {
    name: "ValidationException",
    message: "1 validation error detected: Value 'a_b' at 'jobName' failed to satisfy constraint: " +
      "Member must satisfy regular expression pattern: [a-zA-Z0-9]{1,63}(-*[a-zA-Z0-9\\+\\-\\.]){0,63}"
  })
  assert.strictEqual(
    problemOf(request({ roleArn: undefined, timeoutDurationInHours: 169 }))?.message,
    "2 validation errors detected: Value null at 'roleArn' failed to satisfy constraint: Member must not be null; " +
      "Value '169' at 'timeoutDurationInHours' failed to satisfy constraint: " +
      "Member must have value less than or equal to 168"
  )
  assert.strictEqual(
    problemOf(request({ modelInvocationType: "converse" }))?.message,
    "1 validation error detected: Value 'converse' at 'modelInvocationType' failed to satisfy constraint: " +
      "Member must satisfy enum value set: [InvokeModel, Converse]"
  )
  assert.strictEqual(problemOf(request({ jobName: 7 }))?.name, "SerializationException")
  assert.match(problemOf({})?.message ?? "", /^5 validation errors detected/)
})

it("checks every member of a create call, and passes over members that it does not know", () => {
  assert.isTrue(accepts({ unknown: { a: 1 } }))
  assert.isTrue(accepts({ vpcConfig: { subnetIds: ["subnet-1"], securityGroupIds: ["sg-1"] } }))
  assert.isFalse(accepts({ vpcConfig: { subnetIds: ["subnet-1"] } }))
  assert.isFalse(accepts({ vpcConfig: { subnets: ["subnet-1"], securityGroupIds: ["sg-1"] } }))
  assert.isFalse(accepts({ vpcConfig: { subnetIds: Array(17).fill("subnet-1"), securityGroupIds: ["sg-1"] } }))
  assert.isFalse(accepts({ vpcConfig: { subnetIds: ["subnet-1"], securityGroupIds: Array(6).fill("sg-1") } }))
  assert.isFalse(accepts({ timeoutDurationInHours: 23 }))
  assert.isFalse(accepts({ timeoutDurationInHours: 24.5 }))
  assert.isFalse(accepts({ inputDataConfig: {} }))
  assert.isFalse(accepts({ inputDataConfig: { s3InputDataConfig: {} } }))
  assert.isFalse(accepts({ inputDataConfig: { s3InputDataConfig: { s3Uri: "s3://bucket/in", s3InputFormat: "CSV" } } }))
  assert.isFalse(
    accepts({ outputDataConfig: { s3OutputDataConfig: { s3Uri: "s3://bucket/out", s3BucketOwner: "1" } } })
  )
  assert.isFalse(
    accepts({ outputDataConfig: { s3OutputDataConfig: { s3Uri: "s3://bucket/out", s3EncryptionKeyId: "?" } } })
  )
  assert.isFalse(accepts({ tags: [{ key: "a" }] }))
  assert.isFalse(accepts({ tags: [{ key: "", value: "" }] }))
  assert.isFalse(accepts({ tags: [{ key: "a,b", value: "" }] }))
  assert.isFalse(accepts({ tags: "a" }))
})

it("knows base models, their ARNs and the ones that batch inference refuses", () => {
  assert.strictEqual(Model.base("global.anthropic.claude-opus-5"), "anthropic.claude-opus-5")
  assert.strictEqual(
    Model.base("arn:aws:bedrock:us-east-1:1:inference-profile/eu.amazon.nova-pro-v1:0"),
    "amazon.nova-pro-v1:0"
  )
  assert.strictEqual(Model.base("openai.gpt-oss-20b-1:0"), "openai.gpt-oss-20b-1:0")
  assert.strictEqual(
    Model.expand("amazon.nova-pro-v1:0", "us-gov-west-1", "123456789012"),
    "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/amazon.nova-pro-v1:0"
  )
  const refused = [
    "us.anthropic.claude-opus-4-7",
    "cohere.embed-v4:0",
    "openai.gpt-5.6-sol",
    "amazon.titan-embed-text-v1",
    "moonshotai.kimi-k3",
    "us.deepseek.r1-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0/abcdefghijkl"
  ]
  for (const id of refused) assert.isFalse(Model.isBatchCapable(id), id)
  const taken = [
    "us.anthropic.claude-opus-4-5-20251101-v1:0",
    "openai.gpt-oss-120b-1:0",
    "amazon.titan-embed-text-v2:0",
    "moonshotai.kimi-k2.5",
    "abc123",
    "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.titan-embed-image-v1:0/abcdefghijkl"
  ]
  for (const id of taken) assert.isTrue(Model.isBatchCapable(id), id)
})

it("decides as the service's own patterns do", () => {
  const alphabets = {
    jobName: "aZ0-+._ ",
    clientRequestToken: "aZ0-_.",
    s3Uri: "ab0/.-_=",
    modelId: "ab0.:-_ ",
    kmsKeyId: "ab/-_:",
    jobIdentifier: "ab0-"
  } as const
  const heads: Partial<Record<keyof typeof alphabets, ReadonlyArray<string>>> = {
    s3Uri: ["s3://", "s3://abc", "s3://abc/"],
    modelId: [
      "",
      "a.b",
      "arn:aws:bedrock:eu-west-1::foundation-model/a.b",
      "arn:aws:bedrock:a:123456789012:inference-profile/"
    ],
    kmsKeyId: ["alias/", "arn:aws:kms:a:123456789012:alias/"],
    jobIdentifier: ["abcdefghij", "arn:aws:bedrock:a:123456789012:model-invocation-job/abcdefghij"]
  }
  const chance = Chance.make("patterns")
  let taken = 0
  for (const name of Object.keys(alphabets) as Array<keyof typeof alphabets>) {
    // Short strings only: the literal patterns take exponential time on long ones.
    const literal = new RegExp(`^(?:${constraints[name].pattern.shown})$`)
    for (let turn = 0; turn < 4000; turn++) {
      const choices = heads[name] ?? [""]
      const head = choices[chance.below(choices.length)] ?? ""
      const tail = Array.from(
        { length: chance.below(8) },
        () => alphabets[name][chance.below(alphabets[name].length)]
      ).join("")
      const value = head + tail
      if (value === "") continue
      assert.strictEqual(constraints[name].pattern.test(value), literal.test(value), `${name}: ${value}`)
      if (literal.test(value)) taken++
    }
  }
  assert.isAbove(taken, 3000)
})
