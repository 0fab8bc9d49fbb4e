import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { BatchError, Unavailable } from "../../src/BatchError.ts"
import { BatchJobs } from "../../src/bedrock/BatchJobs.ts"
import type { EndedJob, SubmittedJob } from "../../src/Job.ts"
import * as Wait from "../../src/wait/Wait.ts"
import { ScriptedJobs } from "../rig/ScriptedJobs.ts"
import { made, submittedJob } from "../rig/SimulatedJobs.ts"

const failure = (message: string) =>
  new BatchError({
    module: "Test",
    method: "wait",
    reason: new Unavailable({ code: "server", message, retryAfterMillis: null })
  })

const endedOf = (job: SubmittedJob, message: string): EndedJob =>
  ({ ...job, status: "Completed", message, counters: null, repeatedCalls: 0 })

/** A way of waiting that ends, or fails, when it is told to. */
const scripted = (name: string) => {
  const told = Deferred.makeUnsafe<void, BatchError>()
  const seen = { before: 0, waits: 0, interrupted: 0, recorded: 0 }
  const waiter: Wait.Waiter<EndedJob> = {
    before: () => Effect.sync(() => void seen.before++),
    wait: (job) =>
      Effect.suspend(() => {
        seen.waits++
        return Effect.as(Deferred.await(told), endedOf(job, name))
      }).pipe(Effect.onInterrupt(() => Effect.sync(() => void seen.interrupted++))),
    recorded: () => Effect.sync(() => void seen.recorded++)
  }
  const strategy: Wait.WaitStrategy<EndedJob> = {
    "~@bedrock-batch/sdk/WaitStrategy": name,
    open: Effect.succeed(waiter)
  }
  return { strategy, seen, told, tell: Deferred.succeed(told, undefined) }
}

const broken = (error: BatchError): Wait.WaitStrategy<EndedJob> => ({
  "~@bedrock-batch/sdk/WaitStrategy": "broken",
  open: Effect.fail(error)
})

const job = submittedJob("run", 0, "arn:0", 0)

describe("Wait.any", () => {
  it.effect("gives what the first knows, and lets the others go", () =>
    Effect.gen(function*() {
      const [slow, fast] = [scripted("slow"), scripted("fast")]
      const waiter = yield* Wait.any([slow.strategy, fast.strategy]).open
      yield* waiter.before(job)
      const fiber = yield* Effect.forkChild(waiter.wait(job), { startImmediately: true })
      yield* fast.tell
      const ended = yield* Fiber.join(fiber)
      assert.strictEqual(ended.message, "fast")
      yield* waiter.recorded?.(ended) ?? Effect.void
      assert.deepStrictEqual(slow.seen, { before: 1, waits: 1, interrupted: 1, recorded: 1 })
      assert.deepStrictEqual(fast.seen, { before: 1, waits: 1, interrupted: 0, recorded: 1 })
    }))

  it.effect("leaves out what fails, for all jobs, and goes on with the others", () =>
    Effect.gen(function*() {
      const [lost, kept] = [scripted("lost"), scripted("kept")]
      const waiter = yield* Wait.any([broken(failure("never there")), lost.strategy, kept.strategy]).open
      const fibers = yield* Effect.forEach([0, 1], () => Effect.forkChild(waiter.wait(job), { startImmediately: true }))
      yield* Deferred.fail(lost.told, failure("gone"))
      const late = yield* Effect.forkChild(waiter.wait(job), { startImmediately: true })
      assert.strictEqual(lost.seen.waits, 2)
      yield* kept.tell
      for (const fiber of [...fibers, late]) assert.strictEqual((yield* Fiber.join(fiber)).message, "kept")
      assert.strictEqual(kept.seen.waits, 3)
    }))

  it.effect("leaves out what cannot be told of a job", () =>
    Effect.gen(function*() {
      const kept = scripted("kept")
      const deaf: Wait.WaitStrategy<EndedJob> = {
        "~@bedrock-batch/sdk/WaitStrategy": "deaf",
        open: Effect.succeed({ before: () => Effect.fail(failure("deaf")), wait: () => Effect.never })
      }
      const waiter = yield* Wait.any([deaf, kept.strategy]).open
      yield* waiter.before(job)
      yield* kept.tell
      assert.strictEqual((yield* waiter.wait(job)).message, "kept")
      const alone = yield* Wait.any([deaf]).open
      assert.strictEqual((yield* Effect.flip(alone.before(job))).reason.message, "deaf")
    }))

  it.effect("fails when all fail, with the last failure", () =>
    Effect.gen(function*() {
      const never = yield* Effect.flip(Wait.any([broken(failure("one")), broken(failure("two"))]).open)
      assert.strictEqual(never.reason.message, "two")
      const [one, two] = [scripted("one"), scripted("two")]
      const waiter = yield* Wait.any([one.strategy, two.strategy]).open
      const fiber = yield* Effect.forkChild(waiter.wait(job), { startImmediately: true })
      yield* Deferred.fail(one.told, failure("first"))
      yield* Deferred.fail(two.told, failure("second"))
      assert.strictEqual((yield* Effect.flip(Fiber.join(fiber))).reason.message, "second")
      assert.strictEqual((yield* Effect.flip(waiter.wait(job))).reason.message, "second")
    }))

  it.effect("is interrupted without leaving anything out", () =>
    Effect.gen(function*() {
      const one = scripted("one")
      const waiter = yield* Wait.any([one.strategy]).open
      const fiber = yield* Effect.forkChild(waiter.wait(job), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      yield* one.tell
      assert.strictEqual((yield* waiter.wait(job)).message, "one")
    }))

  it.effect("combines strategies that need services", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const combined: Wait.WaitStrategy<EndedJob, BatchJobs> = Wait.any([
        Wait.polling({ from: "1 hour", to: "1 hour" }),
        Wait.polling({ from: "1 minute", to: "1 minute" }),
        scripted("never").strategy
      ])
      const waiter = yield* Effect.provideService(combined.open, BatchJobs, jobs.service)
      const fiber = yield* Effect.forkChild(waiter.wait(made(jobs, "run", 0)))
      jobs.endAll("Stopped")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(fiber)).status, "Stopped")
      assert.lengthOf(jobs.lists, 1)
    }))

  it.effect("takes no more submissions than the most modest of its strategies", () =>
    Effect.gen(function*() {
      const one = { ...scripted("one").strategy, atMost: 3 }
      assert.strictEqual(Wait.any([one, scripted("two").strategy]).atMost, 3)
      assert.isUndefined(Wait.any([scripted("two").strategy]).atMost)
      const none = Wait.any([] as unknown as [Wait.WaitStrategy])
      assert.strictEqual((yield* Effect.flip(none.open)).reason._tag, "InvalidOption")
    }))
})
