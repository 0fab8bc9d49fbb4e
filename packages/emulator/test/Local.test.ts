import { BatchJobs, type CreateRequest } from "@bedrock-batch/sdk/bedrock/BatchJobs"
import { OnDemand } from "@bedrock-batch/sdk/bedrock/OnDemand"
import { ObjectStore } from "@bedrock-batch/sdk/store/ObjectStore"
import { assert, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Emulator } from "../src/Emulator.ts"
import * as Local from "../src/Local.ts"
import type { RecordRequest } from "../src/Responder.ts"
import { converse, folder, haiku, lines, role } from "./Fixture.ts"

const request = (overrides: Partial<CreateRequest> = {}): CreateRequest => ({
  jobName: "job-1",
  clientRequestToken: "token-1",
  modelId: haiku,
  modelInvocationType: "Converse",
  inputUri: "s3://local-bedrock-batch/run/inputs/",
  outputUri: "s3://local-bedrock-batch/run/outputs/",
  timeoutHours: 24,
  roleArn: role,
  tags: { team: "a" },
  outputKmsKeyId: null,
  vpc: null,
  inputBucketOwner: null,
  outputBucketOwner: null,
  ...overrides
})

/** Jobs of which nothing is run need no input. */
const open = (directory: string, options: Partial<Local.Options> = {}) =>
  Local.layer({ directory, emptyInput: "accepted", ...options })

const ended = Effect.fnUntraced(function*(arn: string) {
  const jobs = yield* BatchJobs
  while (true) {
    const job = yield* jobs.get(arn)
    if (["Completed", "Failed", "Stopped"].includes(job.status)) return job
    yield* Effect.sleep(20)
  }
})

it.live("runs a job over a folder through the sdk's own services", () =>
  Effect.gen(function*() {
    const directory = yield* folder
    yield* Effect.gen(function*() {
      const jobs = yield* BatchJobs
      const store = yield* ObjectStore
      const input = lines(100, (index) => converse(`talk ${index}`))
      yield* store.create("run/inputs/part-0.jsonl", new TextEncoder().encode(input))
      assert.strictEqual(store.uri("run/inputs/"), request().inputUri)
      const { arn } = yield* jobs.create(request())
      const job = yield* ended(arn)
      assert.deepInclude(job, {
        name: "job-1",
        token: "token-1",
        status: "Completed",
        inputUri: request().inputUri,
        outputUri: request().outputUri,
        counters: { total: 100, processed: 100, succeeded: 100, failed: 0 }
      })
      const id = arn.slice(-12)
      const { objects } = yield* store.list("run/outputs/")
      assert.deepStrictEqual(objects.map((object) => object.key), [
        `run/outputs/${id}/manifest.json.out`,
        `run/outputs/${id}/part-0.jsonl.out`
      ])
      assert.isTrue(fs.existsSync(path.join(directory, "run/outputs", id, "part-0.jsonl.out")))
    }).pipe(Effect.provide(Local.layer({ directory })))
  }))

it.live("lists in pages, newest first, and classifies the service's refusals", () =>
  Effect.gen(function*() {
    const directory = yield* folder
    yield* Effect.gen(function*() {
      const jobs = yield* BatchJobs
      const emulator = yield* Emulator
      for (let index = 0; index < 1100; index++) {
        yield* jobs.create(request({ jobName: `job-${index}`, clientRequestToken: `token-${index}` }))
      }
      const all = yield* Stream.runCollect(jobs.list({}))
      assert.strictEqual(all.length, 1100)
      assert.strictEqual(all[0]?.name, "job-1099")
      const some = yield* Stream.runCollect(
        jobs.list({ nameContains: "job-109", status: "Submitted", submittedAfter: 0 })
      )
      assert.strictEqual(some.length, 11)
      const reasonOf = (faults: Parameters<typeof emulator.faults.set>[0], overrides: Partial<CreateRequest> = {}) =>
        Effect.gen(function*() {
          emulator.faults.set(faults)
          const { reason } = yield* Effect.flip(jobs.create(request({ clientRequestToken: "new", ...overrides })))
          return [reason._tag, "code" in reason ? reason.code : null]
        })
      assert.deepStrictEqual(yield* reasonOf({ throttleCreate: { next: 1 } }), ["Unavailable", "throttled"])
      assert.deepStrictEqual(yield* reasonOf({ quotaFull: { next: 1 } }), ["Unavailable", "quota"])
      assert.deepStrictEqual(yield* reasonOf({ serverErrorOnCreate: { next: 1 } }), ["Unavailable", "server"])
      assert.deepStrictEqual(yield* reasonOf({ answerLost: { next: 1 } }), ["Unavailable", "network"])
      assert.deepStrictEqual(
        yield* reasonOf({}, { clientRequestToken: "token-1", jobName: "other" }),
        ["Unavailable", "conflict"]
      )
      assert.deepStrictEqual(yield* reasonOf({}, { modelId: "cohere.embed-v4:0" }), ["Refused", "ValidationException"])
      assert.deepStrictEqual(yield* reasonOf({ denyCreate: { next: 1 } }), ["Refused", "AccessDeniedException"])
    }).pipe(Effect.provide(open(directory, { limits: { maxOpenJobs: 2000 }, timing: { submitted: "1 hour" } })))
  }))

it.live("answers on-demand calls from the same emulator, a few at a time", () =>
  Effect.gen(function*() {
    const directory = yield* folder
    let open = 0
    let most = 0
    const responder = ({ modelInput }: RecordRequest) =>
      Effect.gen(function*() {
        most = Math.max(most, ++open)
        yield* Effect.sleep(1)
        open--
        // A member that JSON does not know is not there on a wire either.
        return { asked: modelInput, lost: undefined }
      })
    yield* Effect.gen(function*() {
      const { concurrency, invoke, region } = yield* OnDemand
      const emulator = yield* Emulator
      assert.deepStrictEqual([concurrency, region], [3, "eu-west-1"])
      const answers = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, index) => index),
        (index) => invoke({ model: haiku, invocationType: "InvokeModel", body: { index } }),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(answers, answers.map((_, index) => ({ asked: { index } })))
      assert.strictEqual(most, 3)
      assert.deepInclude(yield* emulator.stats, { callsAnswered: 20, jobsCreated: 0 })
    }).pipe(Effect.provide(Local.layer({ directory, region: "eu-west-1", responder, onDemand: { concurrency: 3 } })))
  }))

it.live("stops a job, and takes one that is over as stopped", () =>
  Effect.gen(function*() {
    const directory = yield* folder
    yield* Effect.gen(function*() {
      const jobs = yield* BatchJobs
      const { arn } = yield* jobs.create(request())
      yield* jobs.stop(arn)
      assert.strictEqual((yield* ended(arn)).status, "Stopped")
      yield* jobs.stop(arn)
      const missing = yield* Effect.flip(jobs.stop(arn.slice(0, -12) + "a".repeat(12)))
      assert.strictEqual(missing.reason._tag, "Refused")
    }).pipe(Effect.provide(open(directory)))
  }))
