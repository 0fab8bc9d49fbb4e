import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Aws from "../src/Aws.ts"
import { BatchJobs } from "../src/bedrock/BatchJobs.ts"
import { OnDemand } from "../src/bedrock/OnDemand.ts"
import { Ledger } from "../src/Ledger.ts"
import { Capacity } from "../src/schedule/Capacity.ts"
import { ObjectStore } from "../src/store/ObjectStore.ts"
import { startRuntime } from "./rig/ScriptedRuntime.ts"

const good: Aws.Options = {
  bucket: "my-bucket",
  roleArn: "arn:aws:iam::123456789012:role/bedrock-batch",
  region: "us-east-1",
  credentials: { accessKeyId: "id", secretAccessKey: "secret" }
}

const build = (options: Aws.Options) => Effect.scoped(Layer.build(Aws.layer(options)))

describe("Aws", () => {
  it.live("gives all services, with what the options say", () =>
    Effect.gen(function*() {
      const jobs = yield* BatchJobs
      const store = yield* ObjectStore
      const capacity = yield* Capacity
      assert.strictEqual(jobs.region, "us-east-1")
      assert.strictEqual(capacity.region, "us-east-1")
      assert.strictEqual(store.base, "s3://my-bucket/some/prefix")
      assert.strictEqual((yield* capacity.limits({ region: "us-east-1", model: "m" })).maxOpenJobs, 7)
      assert.strictEqual((yield* Ledger).settleAfter, 600_000)
      assert.deepStrictEqual(jobs.settings, {
        roleArn: good.roleArn,
        tags: { team: "a b" },
        outputKmsKeyId: "alias/key",
        vpc: { subnetIds: ["subnet-1"], securityGroupIds: ["sg-1"] },
        inputBucketOwner: "123456789012",
        outputBucketOwner: "123456789012"
      })
    }).pipe(Effect.provide(Aws.layer({
      ...good,
      prefix: "some/prefix",
      tags: { team: "a b" },
      outputKmsKeyId: "alias/key",
      vpc: { subnetIds: ["subnet-1"], securityGroupIds: ["sg-1"] },
      bucketOwner: "123456789012",
      limits: { maxOpenJobs: 7 },
      settleAfter: "10 minutes"
    }))))

  it.live("leaves out what is not given", () =>
    Effect.gen(function*() {
      const { settings } = yield* BatchJobs
      assert.deepStrictEqual(settings, {
        roleArn: good.roleArn,
        tags: {},
        outputKmsKeyId: null,
        vpc: null,
        inputBucketOwner: null,
        outputBucketOwner: null
      })
      assert.strictEqual((yield* Ledger).settleAfter, 300_000)
    }).pipe(Effect.provide(Aws.layer(good))))

  it.effect("fails with the option that is wrong, before anything is asked", () =>
    Effect.gen(function*() {
      const many = Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`t${i}`, ""]))
      const wrong: ReadonlyArray<readonly [string, Partial<Aws.Options>]> = [
        ["bucket", { bucket: "" }],
        ["roleArn", { roleArn: "" }],
        ["roleArn", { roleArn: "bedrock-batch" }],
        ["roleArn", { roleArn: "arn:aws:iam::123456789012:user/bedrock-batch" }],
        ["roleArn", { roleArn: `arn:aws:iam::123456789012:role/${"r".repeat(2048)}` }],
        ["tags", { tags: many }],
        ["tags.a,b", { tags: { "a,b": "" } }],
        ["tags.a", { tags: { a: "v".repeat(257) } }],
        ["vpc.subnetIds", { vpc: { subnetIds: [], securityGroupIds: ["sg-1"] } }],
        ["vpc.securityGroupIds", { vpc: { subnetIds: ["subnet-1"], securityGroupIds: ["sg 1"] } }],
        ["bucketOwner", { bucketOwner: "me" }],
        ["endpoints.bedrock", { endpoints: { bedrock: "localhost:9000" } }],
        ["endpoints.runtime", { endpoints: { runtime: "localhost:9000" } }],
        ["endpoints.quotas", { endpoints: { quotas: "localhost:9000" } }],
        ["capacity", { capacity: "dead" as "live" }],
        ["onDemand.concurrency", { onDemand: { concurrency: 0 } }],
        ["onDemand.concurrency", { onDemand: { concurrency: Number.NaN } }],
        ["onDemand.callTimeout", { onDemand: { callTimeout: "2 days" } }]
      ]
      for (const [path, change] of wrong) {
        const { reason } = yield* Effect.flip(build({ ...good, ...change }))
        assert.strictEqual(reason._tag, "InvalidOption", path)
        assert.propertyVal(reason, "path", path)
      }
    }))

  it.live("makes on-demand calls where the options say, and never at AWS where only the jobs' endpoint is given", () =>
    Effect.gen(function*() {
      const jobs = yield* startRuntime
      const runtime = yield* startRuntime
      const call = Effect.gen(function*() {
        const onDemand = yield* OnDemand
        assert.strictEqual(onDemand.region, "us-east-1")
        assert.strictEqual(onDemand.concurrency, 4)
        return yield* onDemand.invoke({ model: "amazon.nova-lite-v1:0", invocationType: "Converse", body: {} })
      })
      const options = { ...good, onDemand: { concurrency: 4, callTimeout: "1 minute" } } as const
      yield* Effect.provide(call, Aws.layer({ ...options, endpoints: { bedrock: jobs.url } }))
      assert.deepStrictEqual([jobs.calls.length, runtime.calls.length], [1, 0])
      yield* Effect.provide(call, Aws.layer({ ...options, endpoints: { bedrock: jobs.url, runtime: runtime.url } }))
      assert.deepStrictEqual([jobs.calls.length, runtime.calls.length], [1, 1])
    }))

  it.effect("takes the roles of other partitions, with paths", () =>
    Effect.gen(function*() {
      for (const roleArn of ["arn:aws-us-gov:iam::123456789012:role/a/b", "arn:aws-cn:iam::123456789012:role/x"]) {
        yield* build({ ...good, roleArn })
      }
    }))
})
