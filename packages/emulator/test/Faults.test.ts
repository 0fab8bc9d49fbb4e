import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Chance from "../src/Chance.ts"
import { type FaultOptions, Faults, picker } from "../src/Faults.ts"
import * as FaultsJson from "../src/FaultsJson.ts"
import { emulate, request } from "./Fixture.ts"

const nameOf = (effect: Effect.Effect<unknown, { readonly name: string }>) =>
  Effect.map(Effect.result(effect), Result.match({ onFailure: (error) => error.name, onSuccess: () => "ok" }))

describe("triggers", () => {
  it("strike with their probability, or the next n times", () => {
    const faults = new Faults({ throttleGet: 0.3, throttleList: { next: 2 } }, Chance.make("a"))
    const share = Array.from({ length: 10_000 }, () => faults.strikes("throttleGet")).filter(Boolean).length / 10_000
    assert.closeTo(share, 0.3, 0.02)
    assert.deepStrictEqual(Array.from({ length: 4 }, () => faults.strikes("throttleList")), [true, true, false, false])
    assert.isFalse(faults.strikes("throttleStop"))
    faults.set({ throttleGet: undefined })
    assert.isFalse(Array.from({ length: 100 }, () => faults.strikes("throttleGet")).some(Boolean))
  })

  it("pick exactly n of the records, wherever they are", () => {
    for (const [next, total] of [[0, 10], [3, 10], [10, 10], [50, 10], [1, 5000]] as const) {
      const pick = picker({ next }, total, Chance.make(`${next}/${total}`))
      assert.strictEqual(Array.from({ length: total }, pick).filter(Boolean).length, Math.min(next, total))
    }
  })

  it("are read from JSON, each one", () => {
    const read = (json: unknown) => Result.getOrUndefined(FaultsJson.read(json))
    const plain = { throttleCreate: 0.5, quotaFull: { next: 1 }, token: "ignored", unprocessed: "missing" }
    assert.deepStrictEqual<unknown>(read(plain), plain)
    const onDemand = { throttleInvoke: 1, denyInvoke: 0, serverErrorOnInvoke: 0.5, invokeAnswerLost: { next: 1 } }
    assert.deepStrictEqual<unknown>(read({ ...onDemand, failWithOutput: 1 }), { ...onDemand, failWithOutput: 1 })
    assert.deepStrictEqual(read({ failJob: null }), { failJob: undefined })
    assert.isDefined(
      read({ counterLag: "1 minute", slowCreate: { by: 5, when: { next: 1 } }, token: { forgottenAfter: "1 hour" } })
    )
    const wrong: ReadonlyArray<unknown> = [
      [],
      { failJob: -1 },
      { failJob: { next: 0.5 } },
      { counterLag: "soon" },
      { slowCreate: 1 },
      { token: "lost" },
      { unprocessed: 1 },
      { constructor: 1 }
    ]
    for (const faults of wrong) assert.isUndefined(read(faults), JSON.stringify(faults))
  })

  it("are written as JSON that can be read again", () => {
    const durations = {
      counterLag: "1 minute",
      listLag: 5,
      slowCreate: { by: "2 seconds", when: { next: 1 } },
      slowInvoke: { by: "1 second", when: 1 },
      delayEvents: { by: 7, when: 0.5 },
      token: { forgottenAfter: "1 hour" },
      failJob: { next: 2 },
      unprocessed: "missing"
    }
    const options = Result.getOrThrow(FaultsJson.read(durations))
    const written = JSON.parse(JSON.stringify(FaultsJson.write(options)))
    assert.deepStrictEqual(written, {
      ...durations,
      counterLag: 60_000,
      slowCreate: { by: 2000, when: { next: 1 } },
      slowInvoke: { by: 1000, when: 1 },
      token: { forgottenAfter: 3_600_000 }
    })
    assert.deepStrictEqual(Result.getOrThrow(FaultsJson.read(written)), options)
    assert.deepStrictEqual(JSON.parse(JSON.stringify(FaultsJson.write({ counterLag: 5n }))), { counterLag: 0.000005 })
  })
})

describe("calls", () => {
  it.effect("are refused, each in its own way, and make nothing", () =>
    Effect.gen(function*() {
      const { emulator } = yield* emulate()
      const refusals: ReadonlyArray<readonly [FaultOptions, string]> = [
        [{ throttleCreate: { next: 1 } }, "ThrottlingException"],
        [{ serverErrorOnCreate: { next: 1 } }, "InternalServerException"],
        [{ denyCreate: { next: 1 } }, "AccessDeniedException"],
        [{ quotaFull: { next: 1 } }, "ServiceQuotaExceededException"]
      ]
      for (const [faults, name] of refusals) {
        emulator.faults.set(faults)
        assert.strictEqual(yield* nameOf(emulator.create(request())), name)
      }
      assert.strictEqual((yield* emulator.stats).jobsCreated, 0)
      const { jobArn } = yield* emulator.create(request())
      emulator.faults.set({ throttleGet: { next: 1 }, throttleList: { next: 1 }, throttleStop: { next: 1 } })
      assert.strictEqual(yield* nameOf(emulator.get(jobArn)), "ThrottlingException")
      assert.strictEqual(yield* nameOf(emulator.list({})), "ThrottlingException")
      assert.strictEqual(yield* nameOf(emulator.stop(jobArn)), "ThrottlingException")
      assert.strictEqual(yield* nameOf(emulator.stop(jobArn)), "ok")
    }))

  it.effect("make the job and lose the answer", () =>
    Effect.gen(function*() {
      const { emulator } = yield* emulate({ faults: { serverErrorAfterCreate: { next: 1 } } })
      assert.strictEqual(
        yield* nameOf(emulator.create(request({ clientRequestToken: "t" }))),
        "InternalServerException"
      )
      emulator.faults.set({ answerLost: { next: 1 } })
      const lost = yield* Effect.flip(emulator.create(request({ clientRequestToken: "t" })))
      assert.strictEqual(lost._tag, "ConnectionLost")
      assert.strictEqual((yield* emulator.stats).jobsCreated, 1)
    }))

  it.effect("are acted upon late, even when the caller has gone away", () =>
    Effect.gen(function*() {
      const { emulator } = yield* emulate({ faults: { slowCreate: { by: "30 seconds", when: { next: 1 } } } })
      const caller = yield* Effect.forkChild(emulator.create(request()), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* emulator.stats).jobsCreated, 0)
      yield* Fiber.interrupt(caller)
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* emulator.stats).jobsCreated, 1)
      emulator.faults.set({ slowAnswer: { by: "1 minute" } })
      const slow = yield* Effect.forkChild(emulator.create(request()), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* emulator.stats).jobsCreated, 2)
      yield* TestClock.adjust("1 minute")
      assert.match((yield* Fiber.join(slow)).jobArn, /^arn:/)
    }))

  it.effect("ignore or forget their tokens", () =>
    Effect.gen(function*() {
      const { emulator } = yield* emulate()
      const create = emulator.create(request({ clientRequestToken: "t" }))
      const { jobArn } = yield* create
      assert.strictEqual((yield* create).jobArn, jobArn)
      emulator.faults.set({ token: { forgottenAfter: "8 hours" } })
      assert.strictEqual((yield* create).jobArn, jobArn)
      yield* TestClock.adjust("9 hours")
      assert.notStrictEqual((yield* create).jobArn, jobArn)
      emulator.faults.set({ token: "ignored" })
      yield* create
      assert.strictEqual((yield* emulator.stats).jobsCreated, 3)
    }))

  it.effect("show a list and counters that lag behind", () =>
    Effect.gen(function*() {
      const { after, emulator } = yield* emulate({ faults: { listLag: "2 minutes", counterLag: "5 minutes" } })
      const { jobArn } = yield* after("1 minute")
      assert.strictEqual((yield* emulator.list({})).invocationJobSummaries.length, 0)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* emulator.list({})).invocationJobSummaries.length, 1)
      yield* TestClock.adjust("4 minutes")
      assert.deepInclude(
        yield* emulator.get(jobArn),
        { status: "InProgress", processedRecordCount: 0, totalRecordCount: 0 }
      )
      yield* TestClock.adjust("5 minutes")
      assert.deepInclude(
        yield* emulator.get(jobArn),
        { status: "InProgress", processedRecordCount: 60, successRecordCount: 60 }
      )
      yield* TestClock.adjust("3 minutes")
      assert.deepInclude(yield* emulator.get(jobArn), { status: "Completed", processedRecordCount: 200 })
    }))
})

describe("jobs", () => {
  it.effect("fail, expire or end in part", () =>
    Effect.gen(function*() {
      const { after, emulator, output } = yield* emulate({ faults: { failJob: { next: 1 } } })
      const failed = yield* after("1 hour")
      assert.deepInclude(failed, { status: "Failed", totalRecordCount: 200, processedRecordCount: 0 })
      assert.deepStrictEqual(yield* output(failed), [])
      emulator.faults.set({ expireJob: { next: 1 } })
      const expired = yield* after("1 hour")
      assert.strictEqual(expired.status, "Expired")
      assert.deepStrictEqual(yield* output(expired), [])
      emulator.faults.set({ partialJob: { next: 2 } })
      const partial = yield* after("1 hour")
      assert.deepInclude(partial, { status: "PartiallyCompleted", totalRecordCount: 200, processedRecordCount: 100 })
      const lines = yield* output(partial)
      assert.strictEqual(lines.length, 200)
      assert.strictEqual(lines.filter((line) => line.error?.expired === true).length, 100)
      emulator.faults.set({ unprocessed: "missing" })
      assert.strictEqual((yield* output(yield* after("1 hour"))).length, 100)
      assert.strictEqual((yield* after("1 hour")).status, "Completed")
    }))

  it.effect("fail with the output of the first half of their records", () =>
    Effect.gen(function*() {
      const { after, emulator, output, storage } = yield* emulate({ faults: { failWithOutput: { next: 1 } } })
      const job = yield* after("1 hour")
      assert.deepInclude(job, {
        status: "Failed",
        totalRecordCount: 200,
        processedRecordCount: 100,
        successRecordCount: 100,
        errorRecordCount: 0
      })
      assert.match(job.message ?? "", /^Internal server error/)
      const ids = (yield* output(job)).map((line) => line.recordId)
      assert.sameMembers(ids, Array.from({ length: 100 }, (_, index) => `r${index}`))
      const manifest = storage.objects.get(`s3://bucket/out/${job.jobArn.slice(-12)}/manifest.json.out`)
      assert.deepInclude(JSON.parse(Buffer.from(manifest ?? []).toString()), {
        totalRecordCount: 200,
        processedRecordCount: 100,
        successRecordCount: 100
      })
      assert.strictEqual((yield* emulator.stats).recordsProcessed, 100)
      assert.strictEqual((yield* after("1 hour")).status, "Completed")
    }))

  it.effect("run records that fail", () =>
    Effect.gen(function*() {
      const { after, emulator, output } = yield* emulate({ faults: { failAllRecords: { next: 1 } } })
      const all = yield* after("1 hour")
      assert.deepInclude(all, { status: "Completed", successRecordCount: 0, errorRecordCount: 200 })
      assert.isTrue((yield* output(all)).every((line) => line.error.errorCode === 400 && line.error.expired === false))
      emulator.faults.set({ throttledRecords: { next: 7 }, brokenRecords: { next: 3 } })
      const some = yield* after("1 hour")
      const codes = (yield* output(some)).map((line) => line.error?.errorCode)
      assert.strictEqual(codes.filter((code) => code === 429).length, 7)
      assert.strictEqual(some.successRecordCount + some.errorRecordCount, 200)
      assert.isTrue(some.errorRecordCount >= 7 && some.errorRecordCount <= 10)
    }))

  it.effect("write output with lines missing, doubled, strange or cut", () =>
    Effect.gen(function*() {
      const { after, emulator, storage } = yield* emulate({
        faults: {
          missingLines: { next: 5 },
          duplicateLines: { next: 4 },
          unknownIds: { next: 3 },
          malformedLines: { next: 2 }
        }
      })
      const job = yield* after("1 hour")
      assert.deepInclude(job, { status: "Completed", successRecordCount: 200 })
      const bytes = storage.objects.get(`s3://bucket/out/${job.jobArn.slice(-12)}/a.jsonl.out`)
      const lines = Buffer.from(bytes ?? []).toString().trimEnd().split("\n")
      assert.strictEqual(lines.length, 200 - 5 + 4 + 3)
      const parsed = lines.flatMap((line) => {
        try {
          return [JSON.parse(line).recordId]
        } catch {
          return []
        }
      })
      const cut = lines.length - parsed.length
      assert.isTrue(cut >= 1 && cut <= 2)
      assert.strictEqual(parsed.filter((id) => id.startsWith("unknown-")).length, 3)
      // The faults were taken by that job; the next one is whole.
      const next = yield* after("1 hour")
      assert.isUndefined(emulator.faults.current.failJob)
      const whole = storage.objects.get(`s3://bucket/out/${next.jobArn.slice(-12)}/a.jsonl.out`)
      assert.strictEqual(Buffer.from(whole ?? []).toString().trimEnd().split("\n").length, 200)
    }))
})

describe("events", () => {
  const statuses = Effect.fnUntraced(function*(faults: FaultOptions) {
    const { after, emulator } = yield* emulate({ faults })
    const seen: Array<string> = []
    yield* Effect.forkScoped(
      Stream.runForEach(emulator.events, (event) => Effect.sync(() => seen.push(event.detail.status)))
    )
    yield* after("1 hour")
    yield* TestClock.adjust("1 hour")
    return seen
  })
  const all = ["Submitted", "Validating", "Scheduled", "InProgress", "Completed"]

  it.effect("come in order, one a change, in the documented shape", () =>
    Effect.gen(function*() {
      const { after, emulator } = yield* emulate({ faults: { failJob: { next: 1 } } })
      const job = yield* after("1 hour")
      const events = yield* emulator.events.pipe(Stream.take(5), Stream.runCollect)
      const last = events[4]
      assert.deepStrictEqual(last, {
        version: "0",
        id: last!.id,
        "detail-type": "Batch Inference Job State Change",
        source: "aws.bedrock",
        account: "123456789012",
        time: "1970-01-01T00:13:00Z",
        region: "us-east-1",
        resources: [job.jobArn],
        detail: {
          version: "0.0",
          accountId: "123456789012",
          batchJobName: "job-1",
          batchJobArn: job.jobArn,
          batchModelId: job.modelId,
          status: "Failed",
          failureMessage: job.message!,
          creationTime: "Jan 1, 1970, 12:00:00 AM"
        }
      })
      assert.deepStrictEqual(yield* statuses({}), all)
    }))

  it.effect("are dropped, doubled, swapped or late", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* statuses({ dropEvents: { next: 2 } }), all.slice(2))
      assert.deepStrictEqual(yield* statuses({ duplicateEvents: 1 }), all.flatMap((status) => [status, status]))
      assert.deepStrictEqual(yield* statuses({ dropEvents: 1 }), [])
      assert.deepStrictEqual(yield* statuses({ delayEvents: { by: "690 seconds", when: { next: 4 } } }), [
        "Submitted",
        "Validating",
        "Completed",
        "Scheduled",
        "InProgress"
      ])
      // An event that nothing follows within a second is not held back for longer.
      assert.deepStrictEqual(yield* statuses({ reorderEvents: 1 }), all)
    }))

  it.effect("swap places when they come close together", () =>
    Effect.gen(function*() {
      const { emulator } = yield* emulate({ faults: { reorderEvents: { next: 1 } } })
      yield* emulator.create(request({ jobName: "first" }))
      yield* emulator.create(request({ jobName: "second" }))
      const events = yield* emulator.events.pipe(Stream.take(2), Stream.runCollect)
      assert.deepStrictEqual(events.map((event) => event.detail.batchJobName), ["second", "first"])
    }))
})
