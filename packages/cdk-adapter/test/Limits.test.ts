import { assert, describe, it } from "@effect/vitest"
import type { Stack } from "aws-cdk-lib"
import * as kms from "aws-cdk-lib/aws-kms"
import * as s3 from "aws-cdk-lib/aws-s3"
import type { Template } from "aws-cdk-lib/assertions"
import type { BedrockBatchPipelineProps } from "../src/index.ts"
import { grantsOf, type Json, makeStack, resolve, resourcesOf, synth } from "./rig/Synth.ts"

/** Characters that a role's own policies may have in all, and a managed one. */
const limits = { inline: 10_240, managed: 6144 }

/** What is known only after deployment is as long as it may become. */
const lengthOf = (document: Json): number =>
  JSON.stringify(resolve(document)).replace(/[A-Z][A-Za-z0-9]+[0-9A-F]{8}(\.Arn)?/g, "x".repeat(80)).length

const policies = (template: Template, type: string) =>
  Object.values(resourcesOf(template)).filter(({ Type }) => Type === type)

/** The longest policies that a role has in all, and the longest managed one. */
const longest = (template: Template) => {
  const inline: Record<string, number> = {}
  for (const { Properties } of policies(template, "AWS::IAM::Policy")) {
    const [role = ""] = (Properties["Roles"] as ReadonlyArray<Json>).map((one) => String(resolve(one)))
    inline[role] = (inline[role] ?? 0) + lengthOf(Properties["PolicyDocument"] ?? null)
  }
  const managed = policies(template, "AWS::IAM::ManagedPolicy").map(({ Properties }) =>
    lengthOf(Properties["PolicyDocument"] ?? null)
  )
  return { inline: Math.max(...Object.values(inline)), managed: Math.max(0, ...managed) }
}

const models = (count: number) =>
  Array.from({ length: count }, (_, i) => `us.anthropic.claude-haiku-${100 + i}-20251001-v1:0`)

const fit = (props: BedrockBatchPipelineProps) => {
  const template = synth(props)
  const found = longest(template)
  assert.isAtMost(found.inline, limits.inline)
  assert.isAtMost(found.managed, limits.managed)
  return template
}

describe("what AWS has room for", () => {
  it("takes policies on dozens of models, each of which is in one of them", () => {
    const allowedModels = models(60)
    const template = fit({ allowedModels })
    const statements = policies(template, "AWS::IAM::ManagedPolicy").concat(policies(template, "AWS::IAM::Policy"))
    const text = JSON.stringify(resolve(statements.map(({ Properties }) => Properties["PolicyDocument"] ?? null)))
    // To create jobs, to ask on demand, and to be invoked by jobs.
    for (const model of allowedModels) assert.lengthOf(text.split(`inference-profile/${model}"`), 4, model)
  })

  it("takes as many prompts as a stack has room for, whose function has one policy", () => {
    const ids = Array.from({ length: 60 }, (_, i) => `prompt-${i}`)
    const template = fit({ prompts: { texts: Object.fromEntries(ids.map((id) => [id, `About {topic}: ${id}`])) } })
    assert.lengthOf(grantsOf(template).filter(({ sid }) => sid === "WritePrompts"), 1)
    const prompts = Object.values(template.findResources("Custom::BedrockBatchPrompt"))
    assert.lengthOf(prompts, 60)
    // None is put before its function may.
    for (const { DependsOn } of prompts) assert.isNotEmpty(DependsOn)
  })

  it("has no room in a function's environment for more models and tags", () => {
    assert.throws(() => makeStack({ allowedModels: models(100) }), /allowedModels and tags make \d+ bytes/)
    const tags = Object.fromEntries(models(50).map((name) => [name, "x".repeat(100)]))
    assert.throws(() => makeStack({ tags }), /allowedModels and tags make \d+ bytes/)
  })

  it("has no room in a template for many prompts that are long", () => {
    const texts = Object.fromEntries(models(20).map((_, i) => [`prompt-${i}`, "x".repeat(32_000)]))
    assert.throws(() => makeStack({ prompts: { texts } }), /20 prompts would be \d+ bytes of the template/)
  })
})

describe("keys", () => {
  const usersOf = (template: Template, key: RegExp, action: string) =>
    grantsOf(template).filter(({ actions, resources }) => actions.includes(action) && key.test(resources.join()))
      .map(({ policy }) => policy.replace(/(Default.*|Custom.*)/, ""))

  it("of a bucket that is there are for all who use the bucket, beside the one that is given", () => {
    const template = synth((stack: Stack) => ({
      bucket: new s3.Bucket(stack, "Own", { encryptionKey: new kms.Key(stack, "BucketKey") }),
      encryptionKey: new kms.Key(stack, "OutputKey")
    }))
    for (const key of [/^BucketKey/, /^OutputKey/]) {
      for (const action of ["kms:Decrypt", "kms:GenerateDataKey"]) {
        assert.includeMembers(usersOf(template, key, action), [
          "PipelineCollectRole",
          "PipelineFinishRole",
          "PipelinePrepareRole",
          "PipelineServiceRole",
          "PipelineStateMachineRole",
          "PipelineSubmitRole"
        ], `${key} ${action}`)
      }
    }
  })

  it("are named by policies themselves, not by their aliases", () => {
    const template = synth((stack) => ({
      encryptionKey: new kms.Alias(stack, "Alias", { aliasName: "alias/own", targetKey: new kms.Key(stack, "Key") })
    }))
    assert.include(usersOf(template, /^Key/, "kms:Decrypt"), "PipelineServiceRole")
    for (const { resources } of grantsOf(template)) assert.notInclude(resources.join(), "alias/")
    const byName = (stack: Stack) => ({ encryptionKey: kms.Alias.fromAliasName(stack, "Alias", "alias/own") })
    assert.throws(() => synth(byName), /encryptionKey is an alias without its key/)
  })
})
