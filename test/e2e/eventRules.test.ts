import { assert, describe, it } from "@effect/vitest"
import { matches, type Pattern } from "../rig/EventRules.ts"

const event = {
  version: "0",
  id: "1",
  account: "123456789012",
  source: "aws.bedrock",
  time: "2026-01-01T00:00:00Z",
  region: "us-east-1",
  resources: ["arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/abc"],
  "detail-type": "Batch Inference Job State Change",
  detail: {
    jobArn: "arn:x",
    status: "Completed",
    n: 5,
    arr: ["a", "b"],
    nul: null,
    ip: "10.1.2.3",
    nested: { k: "Val-1" },
    b: true
  }
}

/** EventBridge's own matcher agreed with each of these. */
describe("the rig's event rules", () => {
  it.each<[string, Pattern]>([
    [
      "exact source+status",
      {
        source: ["aws.bedrock"],
        "detail-type": ["Batch Inference Job State Change"],
        detail: { status: ["Completed", "Failed"] }
      }
    ],
    ["prefix", { resources: [{ prefix: "arn:aws:bedrock:" }] }],
    ["suffix", { detail: { nested: { k: [{ suffix: "-1" }] } } }],
    ["anything-but list", { detail: { status: [{ "anything-but": ["InProgress", "Submitted"] }] } }],
    ["numeric", { detail: { n: [{ numeric: [">", 0, "<=", 5] }] } }],
    ["exists true", { detail: { n: [{ exists: true }] } }],
    ["exists false", { detail: { zz: [{ exists: false }] } }],
    ["equals-ignore-case", { detail: { status: [{ "equals-ignore-case": "COMPLETED" }] } }],
    ["prefix equals-ignore-case", { detail: { status: [{ prefix: { "equals-ignore-case": "COMP" } }] } }],
    ["wildcard", { resources: [{ wildcard: "arn:aws:bedrock:*:*:model-invocation-job/*" }] }],
    ["cidr", { detail: { ip: [{ cidr: "10.0.0.0/8" }] } }],
    ["$or", { $or: [{ source: ["x"] }, { detail: { status: ["Completed"] } }] }],
    ["$or nested in detail", { detail: { $or: [{ status: ["Nope"] }, { n: [{ numeric: ["=", 5] }] }] } }],
    ["array any", { detail: { arr: ["b", "c"] } }],
    ["null", { detail: { nul: [null] } }],
    ["bool", { detail: { b: [true] } }],
    ["numeric literal 5", { detail: { n: [5] } }]
  ])("match: %s", (_, pattern) => assert.isTrue(matches(pattern, event)))

  it.each<[string, Pattern]>([
    ["not match", { source: ["aws.s3"] }],
    ["anything-but prefix", { detail: { status: [{ "anything-but": { prefix: "Comp" } }] } }],
    ["anything-but wildcard", { detail: { status: [{ "anything-but": { wildcard: "Comp*" } }] } }],
    ["anything-but suffix", { detail: { status: [{ "anything-but": { suffix: "ted" } }] } }],
    [
      "anything-but equals-ignore-case",
      { detail: { status: [{ "anything-but": { "equals-ignore-case": "completed" } }] } }
    ],
    ["exists false on present", { detail: { n: [{ exists: false }] } }],
    ["bool vs string", { detail: { b: ["true"] } }],
    ["number vs string", { detail: { n: ["5"] } }],
    ["missing field", { detail: { missing: ["x"] } }]
  ])("do not match: %s", (_, pattern) => assert.isFalse(matches(pattern, event)))

  it("take no pattern that they do not know", () => {
    assert.throws(() => matches({ source: [{ sounds: "like" }] }, event), /knows no event pattern/)
    assert.throws(() => matches({ source: "aws.bedrock" }, event), /where a list belongs/)
  })
})
