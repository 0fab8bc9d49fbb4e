import { assert, describe, it } from "@effect/vitest"
import { App, Duration, RemovalPolicy, Stack } from "aws-cdk-lib"
import { Template } from "aws-cdk-lib/assertions"
import * as ec2 from "aws-cdk-lib/aws-ec2"
import * as iam from "aws-cdk-lib/aws-iam"
import * as kms from "aws-cdk-lib/aws-kms"
import * as lambda from "aws-cdk-lib/aws-lambda"
import * as s3 from "aws-cdk-lib/aws-s3"
import * as sns from "aws-cdk-lib/aws-sns"
import { BedrockBatchPipeline, type BedrockBatchPipelineProps, PipelineStack } from "../src/index.ts"
import { grantsOf, type Json, makeStack, resolve, resourcesOf, synth } from "./rig/Synth.ts"

const vpcOf = (stack: Stack) =>
  ec2.Vpc.fromVpcAttributes(stack, "Vpc", {
    vpcId: "vpc-0123456789abcdef0",
    availabilityZones: ["us-east-1a", "us-east-1b"],
    privateSubnetIds: ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  })

const environmentOf = (template: Template, name: string) => {
  const [, found] = Object.entries(resourcesOf(template)).find(([id, { Type }]) =>
    Type === "AWS::Lambda::Function" && id.startsWith(`Pipeline${name}`)
  ) ?? []
  const { Variables } = found?.Properties["Environment"] as { readonly Variables: Record<string, Json> }
  return resolve(Variables) as Record<string, string>
}

type Listed = ReadonlyArray<Record<string, Json>>

const encryptedBy = (SSEAlgorithm: string) => ({
  ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm } }]
})

describe("BedrockBatchPipeline", () => {
  it("has functions on arm64 that are traced, log for a month, and have room for what they spill", () => {
    const template = synth()
    const functions = Object.entries(resourcesOf(template)).filter(([, { Type }]) => Type === "AWS::Lambda::Function")
    assert.strictEqual(functions.length, 7)
    for (const [id, { Properties }] of functions) {
      assert.deepStrictEqual(Properties["Architectures"], ["arm64"], id)
      assert.strictEqual(Properties["Runtime"], "nodejs24.x", id)
      assert.strictEqual(Properties["Handler"], "index.handler", id)
      assert.deepStrictEqual(Properties["TracingConfig"], { Mode: "Active" }, id)
      assert.strictEqual((Properties["LoggingConfig"] as Record<string, Json>)["LogFormat"], "JSON", id)
    }
    template.resourcePropertiesCountIs("AWS::Lambda::Function", { MemorySize: 3008, Timeout: 900 }, 4)
    template.resourcePropertiesCountIs("AWS::Lambda::Function", { EphemeralStorage: { Size: 10_240 } }, 2)
    template.allResourcesProperties("AWS::Logs::LogGroup", { RetentionInDays: 30 })
  })

  it("tells the functions where they are, and nothing that is not given", () => {
    const variables = environmentOf(synth(), "Submit")
    assert.deepStrictEqual(Object.keys(variables).sort(), [
      "BUCKET",
      "JOB_TIMEOUT_HOURS",
      "METRICS_NAMESPACE",
      "NODE_OPTIONS",
      "PIPELINE",
      "PREFIX",
      "PROMPTS_PREFIX",
      "SERVICE_ROLE_ARN",
      "TABLE"
    ])
    assert.strictEqual(variables["PREFIX"], "runs")
    assert.strictEqual(variables["JOB_TIMEOUT_HOURS"], "24")
  })

  it("has a table that is paid by use, forgets what is over, and can be restored", () => {
    synth().hasResourceProperties("AWS::DynamoDB::Table", {
      BillingMode: "PAY_PER_REQUEST",
      KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }],
      TimeToLiveSpecification: { AttributeName: "ttl", Enabled: true },
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      GlobalSecondaryIndexes: [{ IndexName: "open", KeySchema: [{ AttributeName: "open" }, { AttributeName: "pk" }] }]
    })
  })

  it("has a bucket that is encrypted and closed, and loses nothing of a run with time", () => {
    const template = synth()
    template.hasResource("AWS::S3::Bucket", { DeletionPolicy: "Retain" })
    const [bucket] = Object.values(resourcesOf(template)).filter(({ Type }) => Type === "AWS::S3::Bucket")
    const { Rules } = bucket?.Properties["LifecycleConfiguration"] as { readonly Rules: Listed }
    const expiring = Rules.filter((rule) => "ExpirationInDays" in rule)
    assert.deepStrictEqual(expiring.map(({ Prefix }) => Prefix), ["map-results/"])
    template.hasResourceProperties("AWS::S3::Bucket", {
      BucketEncryption: encryptedBy("AES256"),
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true
      }
    })
    const [policy] = Object.values(resourcesOf(template)).filter(({ Type }) => Type === "AWS::S3::BucketPolicy")
    const { Statement } = policy?.Properties["PolicyDocument"] as { readonly Statement: Listed }
    assert.deepInclude(
      Statement.map(({ Condition, Effect }) => ({ Condition, Effect })),
      { Condition: { Bool: { "aws:SecureTransport": "false" } }, Effect: "Deny" }
    )
  })

  it("lets only Bedrock's batch inference jobs of this account be the service role", () => {
    const roles = Object.entries(resourcesOf(synth())).filter(([id]) => id.startsWith("PipelineServiceRole"))
    const role = roles.find(([, { Type }]) => Type === "AWS::IAM::Role")?.[1]
    assert.deepStrictEqual(resolve(role?.Properties["AssumeRolePolicyDocument"] ?? null), {
      Version: "2012-10-17",
      Statement: [{
        Effect: "Allow",
        Action: "sts:AssumeRole",
        Principal: { Service: "bedrock.amazonaws.com" },
        Condition: {
          StringEquals: { "aws:SourceAccount": "123456789012" },
          ArnLike: { "aws:SourceArn": "arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/*" }
        }
      }]
    })
  })

  it("passes no role but its own, to nobody but Bedrock, and from the submitter alone", () => {
    const grants = grantsOf(synth()).filter(({ actions }) => actions.includes("iam:PassRole"))
    assert.strictEqual(grants.length, 1)
    assert.match(grants[0]!.policy, /^PipelineSubmitRole/)
    assert.deepStrictEqual(grants[0]!.conditions, { StringEquals: { "iam:PassedToService": "bedrock.amazonaws.com" } })
    assert.match(grants[0]!.resources.join(), /^PipelineServiceRole\w+\.Arn$/)
  })

  it("deletes nothing but old slots, and names no action by a wildcard", () => {
    for (const { actions, policy, resources } of grantsOf(synth())) {
      for (const action of actions) {
        assert.notInclude(action, "*", policy)
        if (action.startsWith("s3:Delete")) assert.match(resources.join(), /\/runs\/capacity\/\*$/)
      }
    }
  })

  it("allows the models that it is told, and through profiles what they lead to", () => {
    const template = synth({
      allowedModels: [
        "amazon.nova-micro-v1:0",
        "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"
      ]
    })
    const grants = grantsOf(template)
    const resources = (sid: string) => grants.filter((grant) => grant.sid === sid).flatMap((grant) => grant.resources)
    const own = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"
    const named = [
      "arn:aws:bedrock:us-east-1:123456789012:inference-profile/*.amazon.nova-micro-v1:0",
      "arn:aws:bedrock:*::foundation-model/amazon.nova-micro-v1:0",
      "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0",
      "arn:aws:bedrock:*::foundation-model/anthropic.claude-haiku-4-5-20251001-v1:0",
      own
    ]
    const any = "arn:aws:bedrock:*::foundation-model/*"
    assert.deepStrictEqual(resources("InvokeThroughProfiles"), [...named, any])
    assert.deepStrictEqual(resources("InvokeOnDemand"), named)
    const [throughOwn] = grants.filter(({ sid }) => sid === "InvokeOnDemandThroughProfiles")
    assert.deepStrictEqual(throughOwn?.resources, [any])
    assert.deepStrictEqual(throughOwn?.conditions, { ArnEquals: { "bedrock:InferenceProfileArn": [own] } })
    assert.deepStrictEqual(resources("CreateJobs"), [
      ...named,
      any,
      "arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/*"
    ])
    assert.include(environmentOf(template, "Prepare")["ALLOWED_MODELS"], "nova-micro")
  })

  it("gives the service role no model at all where none is reached by a profile", () => {
    const grants = grantsOf(
      synth({ allowedModels: ["arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0"] })
    )
    assert.isUndefined(grants.find(({ sid }) => sid === "InvokeThroughProfiles"))
  })

  it("encrypts by a key of one's own, and lets everybody use it who must", () => {
    const template = synth((stack) => ({ encryptionKey: new kms.Key(stack, "Key") }))
    template.hasResourceProperties("AWS::S3::Bucket", {
      BucketEncryption: encryptedBy("aws:kms")
    })
    template.hasResourceProperties("AWS::DynamoDB::Table", { SSESpecification: { SSEType: "KMS" } })
    assert.match(environmentOf(template, "Submit")["OUTPUT_KMS_KEY"] ?? "", /^Key\w+\.Arn$/)
    const decrypting = grantsOf(template).filter(({ actions }) => actions.includes("kms:Decrypt"))
    const users = new Set(decrypting.map(({ policy }) => policy.replace(/Default.*/, "")))
    assert.deepStrictEqual([...users].sort(), [
      "PipelineCollectRole",
      "PipelineEventRole",
      "PipelineFinishRole",
      "PipelinePrepareRole",
      "PipelineRetryRole",
      "PipelineServiceRole",
      "PipelineStateMachineRole",
      "PipelineSubmitRole",
      "PipelineSweepRole"
    ])
  })

  it("places jobs and functions into a network, or the jobs alone", () => {
    const both = synth((stack) => ({ network: { vpc: vpcOf(stack) } }))
    assert.strictEqual(
      environmentOf(both, "Submit")["VPC_SUBNETS"],
      "[\"subnet-0123456789abcdef0\",\"subnet-0123456789abcdef1\"]"
    )
    both.resourcePropertiesCountIs("AWS::Lambda::Function", {
      VpcConfig: { SubnetIds: ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"] }
    }, 7)
    const created = grantsOf(both).find(({ sid }) => sid === "CreateInterfaces")
    assert.match(created?.policy ?? "", /^PipelineServiceRole/)
    assert.deepStrictEqual(created?.conditions, {
      StringEquals: { "aws:RequestTag/BedrockManaged": "true" },
      ArnLike: {
        "aws:RequestTag/BedrockModelInvocationJobArn": "arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/*"
      }
    })
    const jobs = synth((stack) => ({ network: { vpc: vpcOf(stack), functions: false } }))
    assert.property(environmentOf(jobs, "Submit"), "VPC_SUBNETS")
    for (const { Properties, Type } of Object.values(resourcesOf(jobs))) {
      if (Type === "AWS::Lambda::Function") assert.notProperty(Properties, "VpcConfig")
    }
    assert.isUndefined(grantsOf(jobs).find(({ sid }) => sid === "JoinNetwork"))
  })

  it("uses a bucket that is there, and reads rows from others", () => {
    const template = synth((stack) => ({
      bucket: s3.Bucket.fromBucketName(stack, "Own", "own-bucket"),
      sources: [s3.Bucket.fromBucketName(stack, "Rows", "rows-bucket")],
      prefix: "team/batches"
    }))
    template.resourceCountIs("AWS::S3::Bucket", 0)
    const read = grantsOf(template).find(({ sid }) => sid === "ReadSources")
    assert.deepStrictEqual(read?.resources, ["arn:aws:s3:::own-bucket/*", "arn:aws:s3:::rows-bucket/*"])
    const served = grantsOf(template).find(({ sid }) => sid === "ReadRequestsAndWriteAnswers")
    assert.deepStrictEqual(served?.resources, ["arn:aws:s3:::own-bucket/team/batches/*"])
    assert.strictEqual(environmentOf(template, "Collect")["BUCKET"], "own-bucket")
  })

  it("puts prompts below their prefix, and may write nowhere else", () => {
    const template = synth({ prompts: { texts: { haiku: "Write a haiku about {subject}." } } })
    const [prompt] = Object.values(template.findResources("Custom::BedrockBatchPrompt"))
    const call = String(resolve(prompt?.["Properties"]["Update"] ?? prompt?.["Properties"]["Create"]))
    assert.deepInclude(JSON.parse(call).parameters, {
      Key: "prompts/haiku.json",
      Body: "{\"template\":\"Write a haiku about {subject}.\"}"
    })
    const grant = grantsOf(template).find(({ sid }) => sid === "WritePrompts")
    assert.match(grant?.resources.join() ?? "", /\/prompts\/\*$/)
  })

  it("tells a topic of every alarm", () => {
    const template = synth((stack) => ({ alarmTopic: new sns.Topic(stack, "Topic") }))
    const alarms = Object.values(resourcesOf(template)).filter(({ Type }) => Type === "AWS::CloudWatch::Alarm")
    assert.strictEqual(alarms.length, 5)
    for (const { Properties } of alarms) assert.lengthOf(Properties["AlarmActions"] as Listed, 1)
  })

  it("hears of jobs from Bedrock and looks after them by the clock, and keeps what could not be handled", () => {
    const template = synth({ sweepInterval: Duration.minutes(10) })
    template.hasResourceProperties("AWS::Events::Rule", {
      EventPattern: { source: ["aws.bedrock"], "detail-type": ["Batch Inference Job State Change"] }
    })
    template.hasResourceProperties("AWS::Events::Rule", { ScheduleExpression: "rate(10 minutes)" })
    const rules = Object.values(resourcesOf(template)).filter(({ Type }) => Type === "AWS::Events::Rule")
    for (const { Properties } of rules) {
      for (const target of Properties["Targets"] as Listed) assert.property(target, "DeadLetterConfig")
    }
    const kept = Object.entries(resourcesOf(template)).filter(([, { Properties }]) => "DeadLetterConfig" in Properties)
    assert.deepStrictEqual(
      kept.map(([id]) => id.replace(/[0-9A-F]{8}$/, "")).sort(),
      ["PipelineEvent", "PipelineSweep"]
    )
  })

  it("lets others submit and collect, start executions, or read results, and no more", () => {
    const { pipeline, stack } = makeStack({ name: "tickets" })
    const role = (id: string) => new iam.Role(stack, id, { assumedBy: new iam.AccountRootPrincipal() })
    pipeline.grantBatchInference(role("Worker"))
    pipeline.grantStart(role("Starter"))
    pipeline.grantReadResults(role("Reader"))
    const template = Template.fromStack(stack)
    const actions = (id: string) =>
      grantsOf(template).filter(({ policy }) => policy.startsWith(id)).flatMap((grant) => grant.actions)
    assert.includeMembers(actions("Worker"), [
      "bedrock:CreateModelInvocationJob",
      "bedrock:GetModelInvocationJob",
      "bedrock:ListModelInvocationJobs",
      "bedrock:StopModelInvocationJob",
      "iam:PassRole",
      "s3:PutObject"
    ])
    assert.notInclude(actions("Worker"), "states:StartExecution")
    assert.includeMembers(actions("Starter"), ["states:StartExecution", "states:DescribeExecution", "s3:PutObject"])
    assert.isEmpty(actions("Starter").filter((action) => action.startsWith("bedrock:")))
    const on = (id: string, sid: string) =>
      grantsOf(template).find((grant) => grant.policy.startsWith(id) && grant.sid === sid)?.resources.join() ?? ""
    assert.match(on("Starter", "PutInputs"), /\/inputs\/\*$/)
    assert.match(on("Worker", "ReadInputs"), /\/inputs\/\*,.*\/prompts\/\*$/)
    assert.deepStrictEqual(actions("Reader"), ["s3:ListBucket", "s3:GetObject"])
  })

  it("refuses what cannot be deployed, and says what may be", () => {
    const wrong: ReadonlyArray<[BedrockBatchPipelineProps, RegExp]> = [
      [{ maxConcurrency: 0 }, /maxConcurrency is 0, and must be an integer from 1 to 1000/],
      [{ jobTimeout: Duration.hours(12) }, /jobTimeout is 12 hours, and must be 24 to 168/],
      [{ prefix: "a b" }, /prefix is "a b"/],
      [{ prefix: "prompts/x" }, /which is taken/],
      [{ name: "my pipeline" }, /name is "my pipeline"/],
      [{ prepareMemory: 100_000 }, /prepareMemory is 100000/],
      [{ allowedModels: [] }, /allowedModels is empty/],
      [{ allowedModels: ["no model"] }, /"no model"/],
      [{ prefix: "inputs" }, /which is taken/],
      [{ prefix: "runs/../inputs" }, /no part "." or ".."/],
      [{ sweepInterval: Duration.minutes(1) }, /5 minutes or more/],
      // An alarm looks back over a day at most, and a rule knows whole minutes.
      [{ sweepInterval: Duration.days(2) }, /2880 minutes.* at most a day/],
      [{ sweepInterval: Duration.seconds(330) }, /5.5 minutes/],
      [{ runtime: lambda.Runtime.NODEJS_20_X }, /runtime is nodejs20.x, and must be Node.js 22 or newer/],
      [{ runtime: lambda.Runtime.PYTHON_3_13 }, /must be Node.js 22 or newer/],
      [{ tags: { "aws:team": "x" } }, /tags have "aws:team"/],
      [{ tags: { team: "support #1" } }, /tags have "team"/],
      [{ tags: { "": "x" } }, /tags have ""/],
      [{ prompts: { texts: { broken: "Tell {" } } }, /broken/]
    ]
    for (const [props, message] of wrong) assert.throws(() => makeStack(props), message)
  })

  it("removes a new bucket and the table with the stack where that is asked for", () => {
    const template = synth({ removalPolicy: RemovalPolicy.DESTROY })
    for (const type of ["AWS::S3::Bucket", "AWS::DynamoDB::Table"]) {
      template.hasResource(type, { DeletionPolicy: "Delete" })
    }
  })

  it("stands twice in one stack", () => {
    const { stack } = makeStack()
    new BedrockBatchPipeline(stack, "Second", { prompts: { texts: { haiku: "Write a haiku about {subject}." } } })
    Template.fromStack(stack).resourceCountIs("AWS::StepFunctions::StateMachine", 2)
  })
})

describe("PipelineStack", () => {
  it("takes the context keys of the sample that it follows, as numbers or as text", () => {
    const app = new App({
      analyticsReporting: false,
      context: {
        maxSubmittedAndInProgressJobs: "7",
        bedrockBatchInferenceTimeoutHours: 48,
        preprocessFunctionMemoryMb: 2048,
        postprocessFunctionMemoryMb: 4096
      }
    })
    const template = Template.fromStack(new PipelineStack(app, "Stack"))
    const machine = Object.values(resourcesOf(template)).find(({ Type }) => Type === "AWS::StepFunctions::StateMachine")
    const definition = String(resolve(machine?.Properties["DefinitionString"] ?? null))
    assert.include(definition, "\"MaxConcurrency\":7")
    assert.include(definition, `"TimeoutSeconds":${50 * 3600}`)
    template.resourcePropertiesCountIs("AWS::Lambda::Function", { MemorySize: 2048 }, 2)
    template.resourcePropertiesCountIs("AWS::Lambda::Function", { MemorySize: 4096 }, 2)
  })

  it("has the sample's outputs, and what the sdk needs to work on the same runs", () => {
    const template = Template.fromStack(new PipelineStack(new App({ analyticsReporting: false }), "Stack"))
    assert.deepStrictEqual(
      Object.keys(template.toJSON()["Outputs"]).sort(),
      ["bucketName", "runsPrefix", "serviceRoleArn", "stepFunctionArn", "stepFunctionName"]
    )
  })

  it("reads rows from other buckets that the context names", () => {
    const app = new App({ analyticsReporting: false, context: { sourceBuckets: "old-bucket, other-bucket,,old-bucket," } })
    const read = grantsOf(Template.fromStack(new PipelineStack(app, "Stack"))).find(({ sid }) => sid === "ReadSources")
    assert.includeMembers([...read?.resources ?? []], ["arn:aws:s3:::old-bucket/*", "arn:aws:s3:::other-bucket/*"])
  })

  it("refuses context that is no number, or out of bounds, by the name of the key", () => {
    const wrong: ReadonlyArray<[string, unknown]> = [
      ["maxSubmittedAndInProgressJobs", "many"],
      ["maxSubmittedAndInProgressJobs", "0"],
      ["bedrockBatchInferenceTimeoutHours", -1],
      ["bedrockBatchInferenceTimeoutHours", "12"],
      ["preprocessFunctionMemoryMb", ""],
      ["postprocessFunctionMemoryMb", 20_000]
    ]
    for (const [key, value] of wrong) {
      const app = new App({ analyticsReporting: false, context: { [key]: value } })
      const message = `context ${key} is ${JSON.stringify(value)}, and must be an integer from`
      assert.throws(() => new PipelineStack(app, "Stack"), message)
    }
  })
})
