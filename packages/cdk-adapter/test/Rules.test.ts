import { assert, describe, it } from "@effect/vitest"
import { App, type Stack, Validations } from "aws-cdk-lib"
import * as ec2 from "aws-cdk-lib/aws-ec2"
import * as iam from "aws-cdk-lib/aws-iam"
import * as kms from "aws-cdk-lib/aws-kms"
import * as s3 from "aws-cdk-lib/aws-s3"
import { AwsSolutionsChecks } from "cdk-nag"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { BedrockBatchPipeline, BedrockBatchPipelineProps } from "../src/index.ts"
import { makeStack, synth } from "./rig/Synth.ts"

interface Violation {
  readonly ruleName: string
  readonly acknowledgedId?: string
  readonly reason?: string
}

interface Report {
  readonly pluginReports: ReadonlyArray<{
    readonly pluginName: string
    readonly conclusion: string
    readonly violations: ReadonlyArray<Violation>
    readonly suppressedViolations?: ReadonlyArray<Violation>
  }>
}

type Make = BedrockBatchPipelineProps | ((stack: Stack) => BedrockBatchPipelineProps)

/** What AWS's rules for solutions, and the CDK's own validation, say of a stack. */
const reportOf = (props: Make, use: (pipeline: BedrockBatchPipeline, stack: Stack) => void = () => {}): Report => {
  const outdir = mkdtempSync(join(tmpdir(), "bedrock-batch-cdk-"))
  try {
    const app = new App({ analyticsReporting: false, outdir })
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app))
    const { pipeline, stack } = makeStack(props, app)
    use(pipeline, stack)
    try {
      app.synth()
    } catch (error) {
      // It throws what the report says.
      if (!String(error).includes("ValidationFailed")) throw error
    }
    return JSON.parse(readFileSync(join(outdir, "validation-report.json"), "utf8"))
  } finally {
    rmSync(outdir, { recursive: true, force: true })
  }
}

const everything = (stack: Stack): BedrockBatchPipelineProps => ({
  encryptionKey: new kms.Key(stack, "Key", { enableKeyRotation: true }),
  network: {
    vpc: ec2.Vpc.fromVpcAttributes(stack, "Vpc", {
      vpcId: "vpc-0123456789abcdef0",
      availabilityZones: ["us-east-1a"],
      privateSubnetIds: ["subnet-0123456789abcdef0"]
    })
  },
  prompts: { texts: { haiku: "Write a haiku about {subject}." } },
  sources: [s3.Bucket.fromBucketName(stack, "Rows", "rows-bucket")],
  allowedModels: ["us.anthropic.claude-haiku-4-5-20251001-v1:0", "amazon.nova-micro-v1:0"],
  maxOpenJobs: 50,
  tags: { team: "tickets" }
})

const pipelines: ReadonlyArray<[string, Make]> = [["without properties", {}], ["with all of them", everything]]

const roles = ["grantBatchInference", "grantStart", "grantReadResults"] as const

describe("AWS's rules for solutions", () => {
  for (const [which, props] of pipelines) {
    it(`have no finding in a pipeline ${which} that is not answered`, () => {
      const report = reportOf(props)
      for (const { conclusion, pluginName, violations } of report.pluginReports) {
        assert.strictEqual(conclusion, "success", `${pluginName}: ${violations.map(({ ruleName }) => ruleName).join()}`)
      }
      assert.include(report.pluginReports.map(({ pluginName }) => pluginName), "AwsSolutions")
    })
  }

  it("have no finding in what others are granted, nor in policies that are split", () => {
    const allowedModels = Array.from({ length: 40 }, (_, i) => `us.anthropic.claude-haiku-${100 + i}-20251001-v1:0`)
    const report = reportOf({ allowedModels }, (pipeline, stack) => {
      for (const role of roles) pipeline[role](new iam.Role(stack, role, { assumedBy: new iam.AccountRootPrincipal() }))
    })
    assert.deepStrictEqual(report.pluginReports.flatMap(({ violations }) => violations), [])
  })

  it("find a bucket that is open", () => {
    const report = reportOf((stack) => {
      new s3.Bucket(stack, "Open")
      return {}
    })
    const found = report.pluginReports.flatMap(({ violations }) => violations.map(({ ruleName }) => ruleName))
    assert.includeMembers(found, ["AwsSolutions-S1", "AwsSolutions-S10"])
  })
})

interface Diagnostic {
  readonly ruleId: string
  readonly severity: string
  readonly message: string
}

/** The rules that the CDK carries with it: the providers' schemas, and those of `cfn-lint`. */
const engine = () => {
  const require = createRequire(import.meta.resolve("aws-cdk-lib"))
  const { CompositeEngine, TemplateFile } = require("@aws/cloudformation-validate")
  const made = new CompositeEngine()
  return (file: string): ReadonlyArray<Diagnostic> => made.validateTemplate(new TemplateFile(file)).diagnostics
}

/** The CDK makes functions depend on their roles, which the reference to the role does already. */
const notOurs = "W3005"

/** What every template of the CDK would be told, and nothing is to be done about. */
const weighty = ({ ruleId, severity }: Diagnostic) => severity !== "INFO" && severity !== "DEBUG" && ruleId !== notOurs

describe("the template", () => {
  let made: ReturnType<typeof engine> | undefined
  const diagnose = (file: string) => (made ??= engine())(file)

  const inFile = <A>(template: unknown, use: (file: string) => A): A => {
    const folder = mkdtempSync(join(tmpdir(), "bedrock-batch-template-"))
    try {
      const file = join(folder, "template.json")
      writeFileSync(file, JSON.stringify(template))
      return use(file)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  it("is valid by the schemas and rules that the CDK carries with it", () => {
    for (const [, props] of pipelines) {
      assert.deepStrictEqual(inFile(synth(props).toJSON(), diagnose).filter(weighty), [])
    }
  })

  it("would be found invalid by them if it were", () => {
    const template = synth({}).toJSON()
    for (const resource of Object.values<{ Type: string; Properties: object }>(template["Resources"])) {
      if (resource.Type === "AWS::Lambda::Function") Object.assign(resource.Properties, { MemorySize: 1 })
    }
    assert.isNotEmpty(inFile(template, diagnose).filter(weighty))
  })

  const { status } = spawnSync("cfn-lint", ["--version"])
  if (status !== 0) console.warn("SKIPPED: cfn-lint is not installed, so the template is not held against it")
  it.skipIf(status !== 0)("is clean by cfn-lint", () => {
    // Older versions do not know which resources have had tags for some months.
    const template = synth((stack) => ({ ...everything(stack), tags: undefined })).toJSON()
    const { status, stderr, stdout } = inFile(template, (file) =>
      spawnSync("cfn-lint", ["--regions", "us-east-1", "--ignore-checks", notOurs, "--", file], { encoding: "utf8" }))
    assert.strictEqual(status, 0, stdout + stderr)
  })
})
