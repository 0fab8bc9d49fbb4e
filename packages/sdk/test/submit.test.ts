import { assert, describe, it } from "@effect/vitest"
import { Clock, Data, Deferred, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { BatchError, Unavailable } from "../src/BatchError.ts"
import type { CreateRequest } from "../src/bedrock/BatchJobs.ts"
import type { EndedJob, Job } from "../src/Job.ts"
import { Ledger } from "../src/Ledger.ts"
import { mapSubmission, submit } from "../src/submit.ts"
import { bench } from "./rig/Bench.ts"
import { settings, type Turn } from "./rig/ScriptedJobs.ts"
import { type Around, drive } from "./rig/WatchedStore.ts"

/** The end of a process, wherever it is: nothing of it runs after. */
class Death extends Data.Error<{}> {}

const when = (operation: string, suffix: string, effect: Effect.Effect<unknown, BatchError>) => {
  let done = false
  return (at: string, key: string) =>
    Effect.suspend(() => {
      if (done || at !== operation || !key.endsWith(suffix)) return Effect.void
      done = true
      return Effect.asVoid(effect)
    })
}

const death = Effect.suspend(() => Effect.die(new Death()))
const diesBefore = (operation: string, suffix: string): Around => ({ before: when(operation, suffix, death) })
const diesAfter = (operation: string, suffix: string): Around => ({ after: when(operation, suffix, death) })

const text = (value: string) => new TextEncoder().encode(value)
const now = Clock.currentTimeMillis
const minutes = (count: number) => count * 60_000

/** The request of a job, as the first process to submit it stores it. */
const requestOf = (job: Job): CreateRequest => ({
  ...settings,
  jobName: job.name,
  clientRequestToken: job.token,
  modelId: job.model,
  modelInvocationType: "Converse",
  inputUri: `s3://local-bedrock-batch/${job.input}`,
  outputUri: `s3://local-bedrock-batch/${job.output}`,
  timeoutHours: 72
})

const unavailable = new BatchError({
  module: "test",
  method: "test",
  reason: new Unavailable({ code: "server", message: "not now", retryAfterMillis: null })
})

describe("submit", () => {
  it("is a value that shows its job, and takes one parameter", () => {
    const job = { key: "1-000000" } as Job
    assert.strictEqual(submit.length, 1)
    assert.strictEqual(submit(job).job, job)
    assert.strictEqual(mapSubmission(submit(job), Effect.retry({ times: 3 })).job, job)
  })

  it.effect("stores the request and a claim, sends, and records the ARN", () =>
    Effect.gen(function*() {
      const { job, jobs, ledger, start } = yield* bench()
      const submitted = yield* drive(start()(submit(job)))
      assert.deepStrictEqual(submitted, {
        ...job,
        arn: jobs.made[0]!.state.arn,
        submittedAt: "2026-11-23T00:00:00.000Z",
        adopted: false
      })
      assert.deepStrictEqual(yield* ledger, ["1-000000.arn", "1-000000.claim-1", "1-000000.intent"])
      assert.deepStrictEqual(jobs.creates, [requestOf(job)])
      assert.lengthOf(jobs.lists, 0)
    }))

  it.effect("gives back what the ledger knows, and sends nothing", () =>
    Effect.gen(function*() {
      const { job, jobs, start } = yield* bench()
      const submitted = yield* drive(start()(submit(job)))
      assert.deepStrictEqual(yield* drive(start()(submit(job))), submitted)
      assert.notProperty(submitted, "status")
      const { arn } = jobs.made[0]!.state
      const outcome = { status: "Failed", message: "m", counters: null, repeatedCalls: 0 } as const
      const ended: EndedJob = { ...job, arn, submittedAt: "x", adopted: false, ...outcome }
      yield* start()(Ledger.use((ledger) => ledger.end(ended)))
      assert.deepStrictEqual(yield* drive(start()(submit(job))), ended)
      assert.lengthOf(jobs.creates, 1)
    }))

  it.effect("makes one job when two processes submit it at once", () =>
    Effect.gen(function*() {
      const { job, jobs, start } = yield* bench()
      jobs.tokenKept = 0
      const [a, b] = yield* drive(Effect.all([start()(submit(job)), start()(submit(job))], { concurrency: 2 }))
      assert.strictEqual(a.arn, b.arn)
      assert.lengthOf(jobs.creates, 1)
    }))

  it.effect("sends at once after a death before the claim", () =>
    Effect.gen(function*() {
      const { job, jobs, start } = yield* bench()
      assert.isTrue(Exit.isFailure(yield* drive(Effect.exit(start(diesAfter("create", ".intent"))(submit(job))))))
      const before = yield* now
      yield* drive(start()(submit(job)))
      assert.strictEqual(yield* now, before)
      assert.lengthOf(jobs.creates, 1)
    }))

  it.effect("waits and asks the list after a death between claim and call", () =>
    Effect.gen(function*() {
      const { job, jobs, ledger, start } = yield* bench()
      jobs.tokenKept = 0
      assert.isTrue(Exit.isFailure(yield* drive(Effect.exit(start(diesAfter("create", ".claim-1"))(submit(job))))))
      assert.deepStrictEqual(yield* ledger, ["1-000000.claim-1", "1-000000.intent"])
      const before = yield* now
      const submitted = yield* drive(start()(submit(job)))
      assert.isAtLeast((yield* now) - before, minutes(5))
      assert.isAtMost((yield* now) - before, minutes(5.5))
      assert.isFalse(submitted.adopted)
      assert.isAbove(jobs.lists.length, 1)
      assert.lengthOf(jobs.made, 1)
      assert.deepStrictEqual(yield* ledger, ["1-000000.arn", "1-000000.claim-1", "1-000000.claim-2", "1-000000.intent"])
    }))

  it.effect("asks the list for the whole time in which an earlier call may have made the job", () =>
    Effect.gen(function*() {
      const { job, jobs, start } = yield* bench()
      const claimed = yield* now
      yield* drive(Effect.exit(start(diesAfter("create", ".claim-1"))(submit(job))))
      yield* TestClock.adjust("3 days")
      yield* drive(start()(submit(job)))
      assert.deepStrictEqual(jobs.lists, [{ nameContains: job.name, submittedAfter: claimed - 86_400_000 }])
    }))

  it.effect("adopts the job after a death between the answer and its record", () =>
    Effect.gen(function*() {
      for (const shows of [true, false]) {
        const { job, jobs, start } = yield* bench()
        jobs.tokenKept = 0
        jobs.showsTokens = shows
        jobs.listLag = minutes(2)
        assert.isTrue(Exit.isFailure(yield* drive(Effect.exit(start(diesBefore("create", ".arn"))(submit(job))))))
        const before = yield* now
        const submitted = yield* drive(start()(submit(job)))
        assert.isTrue(submitted.adopted)
        assert.isBelow((yield* now) - before, minutes(3))
        assert.deepStrictEqual([submitted.arn, jobs.creates.length], [jobs.made[0]!.state.arn, 1])
      }
    }))

  it.effect.each<Turn>(["lost", "error-accepted", "no-arn"])("adopts the job after a call that ends as %s", (turn) =>
    Effect.gen(function*() {
      const { job, jobs, start } = yield* bench()
      jobs.tokenKept = 0
      jobs.listLag = 20_000
      jobs.turns.push(turn)
      const submitted = yield* drive(start()(submit(job)))
      assert.isTrue(submitted.adopted)
      assert.deepStrictEqual([jobs.creates.length, jobs.made.length], [1, 1])
    }))

  it.effect.each<Turn>(["dropped", "error", "conflict"])("settles a call that ends as %s, and sends again", (turn) =>
    Effect.gen(function*() {
      const { job, jobs, ledger, start } = yield* bench()
      jobs.tokenKept = 0
      jobs.turns.push(turn)
      const before = yield* now
      const submitted = yield* drive(start()(submit(job)))
      assert.isFalse(submitted.adopted)
      assert.isAtLeast((yield* now) - before, minutes(5))
      assert.deepStrictEqual([jobs.creates.length, jobs.made.length], [2, 1])
      assert.deepStrictEqual(yield* ledger, ["1-000000.arn", "1-000000.claim-1", "1-000000.claim-2", "1-000000.intent"])
    }))

  it.effect.each<readonly [Turn, string, string]>([
    ["quota", "Unavailable", "quota"],
    ["throttled", "Unavailable", "throttled"],
    ["validation", "Refused", "ValidationException"],
    ["access", "Refused", "AccessDeniedException"]
  ])("records a refusal (%s), fails with it, and may send again at once", ([turn, tag, code]) =>
    Effect.gen(function*() {
      const { job, jobs, ledger, start } = yield* bench()
      jobs.turns.push(turn)
      const { reason } = yield* Effect.flip(drive(start()(submit(job))))
      assert.strictEqual(reason._tag, tag)
      assert.propertyVal(reason, "code", code)
      const refusal = yield* start()(Ledger.use((ledger) => ledger.refusal(job, 1)))
      assert.deepStrictEqual([refusal?.sent, refusal?.code], [true, code])
      const before = yield* now
      yield* drive(start()(submit(job)))
      assert.strictEqual(yield* now, before)
      assert.deepStrictEqual([jobs.creates.length, jobs.made.length, jobs.lists.length], [2, 1, 0])
      assert.deepStrictEqual(yield* ledger, [
        "1-000000.arn",
        "1-000000.claim-1",
        "1-000000.claim-2",
        "1-000000.intent",
        "1-000000.refused-1"
      ])
    }))

  it.effect("asks the list after a refusal too, when an earlier claim has no answer", () =>
    Effect.gen(function*() {
      const { job, jobs, start } = yield* bench()
      jobs.tokenKept = 0
      jobs.listLag = minutes(4)
      yield* drive(Effect.exit(start(diesBefore("create", ".arn"))(submit(job))))
      yield* start()(Ledger.use((ledger) =>
        Effect.andThen(
          ledger.claim(job, 2),
          ledger.refuse(job, 2, { version: 1, sent: true, code: "quota", message: "quota" })
        )
      ))
      const submitted = yield* drive(start()(submit(job)))
      assert.isTrue(submitted.adopted)
      assert.lengthOf(jobs.creates, 1)
    }))

  it.effect("does not send by a list that is older than sendWithin", () =>
    Effect.gen(function*() {
      const { job, jobs, ledger, start } = yield* bench()
      jobs.tokenKept = 0
      yield* drive(Effect.exit(start(diesAfter("create", ".claim-1"))(submit(job))))
      yield* TestClock.adjust("10 minutes")
      // The call of claim 1 arrives after the list that did not show it, and before claim 2.
      const late = Effect.gen(function*() {
        yield* Effect.sleep("31 seconds")
        jobs.accept(requestOf(job), yield* now)
      })
      const submitted = yield* drive(start({ before: when("create", ".claim-2", late) })(submit(job)))
      assert.isTrue(submitted.adopted)
      assert.lengthOf(jobs.creates, 0)
      assert.lengthOf(jobs.made, 1)
      assert.include(yield* ledger, "1-000000.refused-2")
    }))

  it.effect("gives a claim up that is older than sendWithin before its call", () =>
    Effect.gen(function*() {
      for (const at of ["after the claim", "before the second look"]) {
        const { job, jobs, ledger, start } = yield* bench()
        const sleep = Effect.sleep("31 seconds")
        let claimed = false
        const around: Around = at === "after the claim"
          ? { after: when("create", ".claim-1", sleep) }
          : {
            after: when("create", ".claim-1", Effect.sync(() => void (claimed = true))),
            before: (operation) =>
              Effect.suspend(() => {
                if (!claimed || operation !== "list") return Effect.void
                claimed = false
                return sleep
              })
          }
        yield* drive(start(around)(submit(job)))
        assert.deepStrictEqual(yield* ledger, [
          "1-000000.arn",
          "1-000000.claim-1",
          "1-000000.claim-2",
          "1-000000.intent",
          "1-000000.refused-1"
        ])
        const refusal = yield* start()(Ledger.use((ledger) => ledger.refusal(job, 1)))
        assert.deepStrictEqual([refusal?.sent, refusal?.code], [false, "NotSent"])
        assert.lengthOf(jobs.creates, 1)
      }
    }))

  it.effect("sends nothing for a cancelled run, even one that is cancelled after the claim", () =>
    Effect.gen(function*() {
      for (const suffix of ["before", ".intent", ".claim-1"]) {
        const { job, jobs, ledger, run, start, store } = yield* bench()
        const cancel = store.create(`${run.id}/cancelled`, text("{}"))
        if (suffix === "before") yield* cancel
        const { reason } = yield* Effect.flip(drive(start({ after: when("create", suffix, cancel) })(submit(job))))
        assert.strictEqual(reason._tag, "RunConflict")
        assert.propertyVal(reason, "problem", "cancelled")
        assert.lengthOf(jobs.creates, 0)
        const objects = yield* ledger
        assert.strictEqual(objects.includes("1-000000.claim-1"), objects.includes("1-000000.refused-1"))
      }
    }))

  it.effect("leaves a claim that is somebody else's alone", () =>
    Effect.gen(function*() {
      const { job, jobs, start } = yield* bench()
      jobs.tokenKept = 0
      const bystander = start()(Ledger.use((ledger) => ledger.claim(job, 1)))
      const before = yield* now
      yield* drive(start({ before: when("create", ".claim-1", bystander) })(submit(job)))
      assert.isAtLeast((yield* now) - before, minutes(5))
      assert.lengthOf(jobs.creates, 1)
    }))

  it.effect("does not send when another process's ARN appears between its claim and its call", () =>
    Effect.gen(function*() {
      const { job, jobs, ledger, start } = yield* bench()
      const theirs = { ...job, arn: "arn:theirs", submittedAt: "2026-11-23T00:00:00.000Z", adopted: false }
      const accept = start()(Ledger.use((ledger) => ledger.accept(theirs)))
      const submitted = yield* drive(start({ after: when("create", ".claim-1", accept) })(submit(job)))
      assert.deepStrictEqual(submitted, theirs)
      assert.lengthOf(jobs.creates, 0)
      assert.include(yield* ledger, "1-000000.refused-1")
    }))

  it.effect("sends exactly the stored request, whatever its own options say", () =>
    Effect.gen(function*() {
      const { job, jobs, start } = yield* bench()
      yield* drive(Effect.exit(start(diesAfter("create", ".intent"))(submit(job))))
      const roleArn = "arn:aws:iam::123456789012:role/other"
      const other = { ...jobs.service, settings: { ...settings, roleArn, tags: { team: "b" } } }
      yield* drive(start({ jobs: other })(submit({ ...job, timeoutHours: 24 })))
      assert.strictEqual(jobs.creates[0]?.roleArn, settings.roleArn)
      assert.deepStrictEqual(jobs.creates[0]?.tags, {})
      assert.strictEqual(jobs.creates[0]?.timeoutHours, 72)
    }))

  it.effect.each([".intent", ".arn", ".end"])("fails on an empty %s, which is damaged and not absent", (suffix) =>
    Effect.gen(function*() {
      const { job, jobs, run, start, store } = yield* bench()
      const key = `${run.id}/jobs/${job.key}${suffix}`
      yield* store.create(key, new Uint8Array(0))
      const { reason } = yield* Effect.flip(drive(start()(submit(job))))
      assert.strictEqual(reason._tag, "Damaged")
      assert.propertyVal(reason, "key", key)
      assert.include(reason.message, "is empty")
      assert.lengthOf(jobs.creates, 0)
    }))

  it.effect("takes an empty claim for a claim", () =>
    Effect.gen(function*() {
      const { job, jobs, run, start, store } = yield* bench()
      yield* store.create(`${run.id}/jobs/${job.key}.claim-1`, new Uint8Array(0))
      const before = yield* now
      yield* drive(start()(submit(job)))
      assert.isAtLeast((yield* now) - before, minutes(5))
      assert.lengthOf(jobs.creates, 1)
    }))

  it.effect("sends nothing when the input folder is not what prepare wrote", () =>
    Effect.gen(function*() {
      for (const fault of ["stray", "longer", "changed", "gone", "rows"] as const) {
        const { job, jobs, ledger, start, store } = yield* bench()
        const { key } = fault === "rows" ? job.rows : job.files[0]!
        const content = (yield* store.get(key))!
        if (fault === "stray") yield* store.create(`${job.input}part-1.jsonl`, content)
        else yield* store.remove(key)
        yield* TestClock.adjust("1 second")
        if (fault === "longer") yield* store.create(key, text(`${new TextDecoder().decode(content)}{}\n`))
        if (fault === "changed" || fault === "rows") {
          yield* store.create(key, content.map((byte, i) => (i === 100 ? byte ^ 1 : byte)))
        }
        const { reason } = yield* Effect.flip(drive(start()(submit(job))))
        assert.strictEqual(reason._tag, "Damaged", fault)
        assert.propertyVal(reason, "key", fault === "stray" ? `${job.input}part-1.jsonl` : key)
        assert.include(reason.message, fault === "stray" ? "bill" : fault === "gone" ? "is gone" : "is not what")
        assert.lengthOf(jobs.creates, 0)
        assert.deepStrictEqual(yield* ledger, [])
      }
    }))

  it.effect("checks the inputs before the first claim, also when another process stored the request", () =>
    Effect.gen(function*() {
      const { job, jobs, start, store } = yield* bench()
      yield* drive(Effect.exit(start(diesAfter("create", ".intent"))(submit(job))))
      yield* store.create(`${job.input}copy.jsonl`, text("{}\n"))
      const { reason } = yield* Effect.flip(drive(start()(submit(job))))
      assert.strictEqual(reason._tag, "Damaged")
      assert.lengthOf(jobs.creates, 0)
    }))

  it.effect("takes the same content for the same file, though it was written again", () =>
    Effect.gen(function*() {
      const { job, jobs, start, store } = yield* bench()
      const { key } = job.files[0]!
      const content = (yield* store.get(key))!
      yield* store.remove(key)
      yield* TestClock.adjust("1 second")
      yield* store.create(key, content)
      yield* drive(start()(submit(job)))
      assert.lengthOf(jobs.made, 1)
    }))

  it.effect("refuses a client of another Region", () =>
    Effect.gen(function*() {
      const { job, jobs, start } = yield* bench()
      const { reason } = yield* Effect.flip(start({ jobs: { ...jobs.service, region: "eu-west-1" } })(submit(job)))
      assert.strictEqual(reason._tag, "InvalidOption")
      assert.include(reason.message, "prepared for Region us-east-1, and the client is for eu-west-1")
    }))

  it.effect("adopts no job that only looks like its own", () =>
    Effect.gen(function*() {
      const { job, jobs, start } = yield* bench()
      yield* drive(Effect.exit(start(diesAfter("create", ".claim-1"))(submit(job))))
      const ours = requestOf(job)
      const at = yield* now
      jobs.accept({ ...ours, clientRequestToken: "1".repeat(64) }, at)
      jobs.accept({ ...ours, inputUri: `${ours.inputUri}deeper/`, clientRequestToken: "2".repeat(64) }, at)
      jobs.accept({ ...ours, outputUri: "s3://elsewhere/out/", clientRequestToken: "3".repeat(64) }, at)
      jobs.accept({ ...ours, jobName: "other", clientRequestToken: "4".repeat(64) }, at)
      const submitted = yield* drive(start()(submit(job)))
      assert.isFalse(submitted.adopted)
      assert.deepStrictEqual([jobs.creates.length, submitted.arn], [1, jobs.made[4]!.state.arn])
    }))

  it.effect("sends nothing while the list cannot be read", () =>
    Effect.gen(function*() {
      const { job, jobs, start } = yield* bench()
      yield* drive(Effect.exit(start(diesAfter("create", ".claim-1"))(submit(job))))
      yield* TestClock.adjust("1 hour")
      jobs.listFailures.push(unavailable)
      assert.strictEqual(yield* Effect.flip(drive(start()(submit(job)))), unavailable)
      assert.lengthOf(jobs.creates, 0)
    }))

  it.effect("finds its job again when the store fails to keep the answer or the refusal", () =>
    Effect.gen(function*() {
      for (const suffix of [".arn", ".refused-1"]) {
        const { job, jobs, start } = yield* bench()
        jobs.tokenKept = 0
        if (suffix === ".refused-1") jobs.turns.push("quota")
        const failing = start({ before: when("create", suffix, Effect.fail(unavailable)) })
        assert.strictEqual(yield* Effect.flip(drive(failing(submit(job)))), unavailable)
        const before = yield* now
        const submitted = yield* drive(failing(submit(job)))
        assert.strictEqual(submitted.adopted, suffix === ".arn")
        assert.strictEqual((yield* now) - before >= minutes(5), suffix === ".refused-1")
        assert.lengthOf(jobs.made, 1)
      }
    }))

  it.effect("records the answer of a call during which it was interrupted", () =>
    Effect.gen(function*() {
      const { job, jobs, ledger, start } = yield* bench()
      const called = yield* Deferred.make<void>()
      const slow = {
        ...jobs.service,
        create: (request: Parameters<typeof jobs.create>[0]) =>
          Effect.andThen(Deferred.succeed(called, undefined), Effect.delay(jobs.create(request), "20 seconds"))
      }
      const fiber = yield* Effect.forkChild(start({ jobs: slow })(submit(job)))
      yield* Deferred.await(called)
      yield* drive(Fiber.interrupt(fiber))
      assert.deepStrictEqual(yield* ledger, ["1-000000.arn", "1-000000.claim-1", "1-000000.intent"])
      assert.lengthOf(jobs.made, 1)
    }))

  it.effect("gives up a call after 60 s, and settles it by the list", () =>
    Effect.gen(function*() {
      const { job, jobs, start } = yield* bench()
      jobs.tokenKept = 0
      const hanging = {
        ...jobs.service,
        create: (request: Parameters<typeof jobs.create>[0]) => Effect.andThen(jobs.create(request), Effect.never)
      }
      const before = yield* now
      const submitted = yield* drive(start({ jobs: hanging })(submit(job)))
      assert.isTrue(submitted.adopted)
      assert.strictEqual((yield* now) - before, 60_000)
      assert.deepStrictEqual([jobs.creates.length, jobs.made.length], [1, 1])
    }))
})
