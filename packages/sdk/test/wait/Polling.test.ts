import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { BatchError, Refused, Unavailable } from "../../src/BatchError.ts"
import { BatchJobs } from "../../src/bedrock/BatchJobs.ts"
import * as Progress from "../../src/Progress.ts"
import * as Wait from "../../src/wait/Wait.ts"
import { ScriptedJobs } from "../rig/ScriptedJobs.ts"
import { made, SimulatedJobs } from "../rig/SimulatedJobs.ts"

const open = (jobs: ScriptedJobs, options?: Wait.PollingOptions) =>
  Effect.provideService(Wait.polling(options).open, BatchJobs, jobs.service)

const hour = 3_600_000

/** Counts the lists in so many minutes. */
const listsOf = (jobs: ScriptedJobs) =>
  Effect.fnUntraced(function*(minutes: number) {
    const before = jobs.lists.length
    yield* TestClock.adjust(`${minutes} minutes`)
    return jobs.lists.length - before
  })

const unavailable = new BatchError({
  module: "BatchJobs",
  method: "list",
  reason: new Unavailable({ code: "throttled", message: "slow down", retryAfterMillis: null })
})
const refused = new BatchError({
  module: "BatchJobs",
  method: "list",
  reason: new Refused({ code: "AccessDeniedException", message: "no" })
})

describe("Wait.polling", () => {
  it.effect("settles all jobs by one list, and never by a call for each", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const waiter = yield* open(jobs)
      const submitted = Array.from({ length: 500 }, (_, i) => made(jobs, "run", i))
      const fiber = yield* Effect.forkChild(
        Effect.forEach(submitted, (job) => waiter.wait(job), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("10 minutes")
      const before = jobs.lists.length
      jobs.endAll()
      yield* TestClock.adjust("1 minute")
      const ended = yield* Fiber.join(fiber)
      assert.isTrue(ended.every(({ arn, status }, i) => status === "Completed" && arn === submitted[i]!.arn))
      assert.isAtMost(jobs.lists.length - before, 2)
      assert.isAtMost(before, 70)
      assert.lengthOf(jobs.gets, 0)
      assert.deepStrictEqual(jobs.lists[0], { nameContains: "run", submittedAfter: -15 * 60_000 })
    }))

  it.effect("asks for the jobs of several runs at once, as old as the oldest", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      yield* TestClock.setTime(10_000_000)
      const waiter = yield* open(jobs)
      const submitted = [made(jobs, "b", 0, 9_000_000), made(jobs, "a", 0, 5_000_000)]
      const fiber = yield* Effect.forkChild(
        Effect.forEach(submitted, (job) => waiter.wait(job), { concurrency: "unbounded" })
      )
      jobs.endAll("Expired")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual((yield* Fiber.join(fiber)).map(({ status }) => status), ["Expired", "Expired"])
      assert.deepStrictEqual(jobs.lists, [{ nameContains: undefined, submittedAfter: 5_000_000 - 15 * 60_000 }])
    }))

  it.effect("gives the end with Bedrock's message and counters, and takes an unknown status for open", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const waiter = yield* open(jobs)
      const submitted = made(jobs, "run", 0)
      const fiber = yield* Effect.forkChild(waiter.wait(submitted))
      jobs.change(0, { status: "Hibernating" })
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(fiber.pollUnsafe())
      const counters = { total: 100, processed: 70, succeeded: 60, failed: 10 }
      jobs.change(0, { status: "PartiallyCompleted", message: "time is over", counters })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* Fiber.join(fiber), {
        ...submitted,
        status: "PartiallyCompleted",
        message: "time is over",
        counters,
        repeatedCalls: 0
      })
    }))

  it.effect("narrows the lists of several runs to what their names have in common", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const waiter = yield* open(jobs)
      const submitted = [made(jobs, "jokes-of-may", 0), made(jobs, "jokes-of-june", 1)]
      const fiber = yield* Effect.forkChild(
        Effect.forEach(submitted, (job) => waiter.wait(job), { concurrency: "unbounded" })
      )
      jobs.endAll()
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(yield* Fiber.join(fiber), 2)
      assert.deepStrictEqual(jobs.lists.map(({ nameContains }) => nameContains), ["jokes-of-"])
    }))

  it.effect("asks every five seconds at first, and ever more seldom while nothing ends", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const waiter = yield* open(jobs)
      const fiber = yield* Effect.forkChild(waiter.wait(made(jobs, "run", 0)))
      const listsIn = listsOf(jobs)
      assert.strictEqual(yield* listsIn(1), 12)
      yield* listsIn(9)
      assert.approximately(yield* listsIn(1), 3, 1)
      jobs.change(0, { status: "InProgress" })
      assert.approximately(yield* listsIn(1), 3, 1)
      yield* listsIn(120)
      assert.approximately(yield* listsIn(10), 10, 1)
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("asks as often as suits the time that jobs last", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const waiter = yield* open(jobs)
      const rounds = Effect.gen(function*() {
        for (let index = 0; index < 20; index++) {
          yield* waiter.wait(made(jobs, "run", index, yield* Clock.currentTimeMillis))
        }
      })
      const fiber = yield* Effect.forkChild(rounds)
      const listsIn = listsOf(jobs)
      for (let index = 0; index < 10; index++) {
        yield* TestClock.adjust("10 minutes")
        jobs.endAll()
      }
      // Every 25th of ten minutes.
      assert.approximately(yield* listsIn(9), 9 * 60 / 24, 3)
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("looks soon at a job that was submitted before it is waited for", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      yield* TestClock.setTime(10 * 3_600_000)
      const waiter = yield* open(jobs)
      const first = yield* Effect.forkChild(waiter.wait(made(jobs, "run", 0, 10 * 3_600_000)))
      yield* TestClock.adjust("5 hours")
      const earlier = made(jobs, "run", 1, 0)
      jobs.endAll("Stopped")
      const second = yield* Effect.forkChild(waiter.wait(earlier))
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual((yield* Fiber.join(second)).status, "Stopped")
      assert.strictEqual((yield* Fiber.join(first)).status, "Stopped")
    }))

  it.effect("looks for jobs with thousands of newer ones by their status, and asks for those that left it", () =>
    Effect.gen(function*() {
      const jobs = new SimulatedJobs()
      yield* TestClock.setTime(0)
      const waiter = yield* Effect.provideService(Wait.polling().open, BatchJobs, jobs.service)
      const old = [jobs.submit("run", 0, 0, 6 * hour), jobs.submit("run", 9_999, 0, 9 * hour)]
      for (let index = 1; index < 3_000; index++) jobs.submit("run", index, 60_000, hour)
      const fibers = yield* Effect.forEach(old, (job) => Effect.forkChild(waiter.wait(job)))
      yield* TestClock.adjust("5 hours")
      const before = jobs.gets
      yield* TestClock.adjust("110 minutes")
      assert.strictEqual((yield* Fiber.join(fibers[0]!)).status, "Completed")
      assert.isUndefined(fibers[1]!.pollUnsafe())
      assert.strictEqual(jobs.gets, before + 1)
      yield* TestClock.adjust("3 hours")
      assert.strictEqual((yield* Fiber.join(fibers[1]!)).status, "Completed")
      assert.strictEqual(jobs.gets, before + 2)
    }))

  it.effect("asks nothing while nobody waits", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const waiter = yield* open(jobs)
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(jobs.lists, 0)
      const fiber = yield* Effect.forkChild(waiter.wait(made(jobs, "run", 0)))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.interrupt(fiber)
      const before = jobs.lists.length
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(jobs.lists.length, before)
      const again = yield* Effect.forkChild(waiter.wait(made(jobs, "run", 1, 3_000_000)))
      jobs.endAll()
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(again)).status, "Completed")
    }))

  it.effect("asks by itself for a job that five lists in a row do not show", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const waiter = yield* open(jobs, { from: "10 seconds", to: "10 seconds" })
      const [seen, hidden] = [made(jobs, "run", 0), made(jobs, "run", 1)]
      jobs.hidden.add(hidden.arn)
      const fibers = yield* Effect.forEach([seen, hidden], (job) => Effect.forkChild(waiter.wait(job)))
      yield* TestClock.adjust("40 seconds")
      assert.lengthOf(jobs.gets, 0)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(jobs.gets, [hidden.arn])
      jobs.endAll()
      yield* TestClock.adjust("1 minute")
      const ended = yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(ended.map(({ status }) => status), ["Completed", "Completed"])
      assert.isTrue(jobs.gets.every((arn) => arn === hidden.arn))
    }))

  it.effect("outlives lists that fail for the moment, and asks again after the longest pause", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      for (let i = 0; i < 7; i++) jobs.listFailures.push(unavailable)
      const waiter = yield* open(jobs, { from: "1 second", to: "30 seconds" })
      const fiber = yield* Effect.forkChild(waiter.wait(made(jobs, "run", 0)))
      jobs.endAll()
      yield* TestClock.adjust("3 minutes")
      assert.isUndefined(fiber.pollUnsafe())
      assert.lengthOf(jobs.lists, 6)
      yield* TestClock.adjust("31 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).status, "Completed")
      assert.lengthOf(jobs.gets, 0, "a list that failed does not count as one that did not show the job")
    }))

  it.effect("tells each run, by its first job, of a list that is throttled or cannot be had", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const told: Array<string> = []
      const broken = new Unavailable({ code: "server", message: "no", retryAfterMillis: null })
      jobs.listFailures.push(unavailable, new BatchError({ module: "BatchJobs", method: "list", reason: broken }))
      const waiter = yield* Effect.provideService(
        open(jobs, { from: "1 second", to: "30 seconds" }),
        Progress.Progress,
        (event) =>
          Effect.sync(() => {
            if (event._tag === "Waiting") told.push(`${event.runId} ${event.job} ${event.why} ${event.millis}`)
          })
      )
      for (const [runId, index] of [["one", 0], ["one", 1], ["two", 0]] as const) {
        yield* Effect.forkChild(waiter.wait(made(jobs, runId, index)))
      }
      yield* TestClock.adjust("3 minutes")
      assert.deepStrictEqual(
        told,
        ["throttled", "unavailable"].flatMap((why) => ["one", "two"].map((runId) => `${runId} 1-000000 ${why} 30000`))
      )
    }))

  it.effect("fails every wait, also one that comes later, when the list is refused or breaks", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      jobs.listFailures.push(refused)
      const waiter = yield* open(jobs)
      const fibers = yield* Effect.forEach([0, 1], (i) => Effect.forkChild(waiter.wait(made(jobs, "run", i))))
      yield* TestClock.adjust("1 minute")
      for (const fiber of fibers) assert.strictEqual(yield* Effect.flip(Fiber.join(fiber)), refused)
      assert.strictEqual(yield* Effect.flip(waiter.wait(made(jobs, "run", 2))), refused)

      const broken = new ScriptedJobs()
      const service = { ...broken.service, list: () => Stream.die(new Error("a bug")) }
      const other = yield* Effect.provideService(Wait.polling().open, BatchJobs, service)
      const fiber = yield* Effect.forkChild(other.wait(made(broken, "run", 0)))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
    }))

  it.effect("tells everybody who waits for the same job", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const waiter = yield* open(jobs)
      const job = made(jobs, "run", 0)
      const fibers = yield* Effect.forEach([0, 1, 2], () => Effect.forkChild(waiter.wait(job)))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.interrupt(fibers[1]!)
      jobs.endAll()
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(fibers[0]!)).status, "Completed")
      assert.strictEqual((yield* Fiber.join(fibers[2]!)).status, "Completed")
    }))

  it.effect("tells of each change of a job, once", () =>
    Effect.gen(function*() {
      const events: Array<Progress.Event> = []
      const jobs = new ScriptedJobs()
      const waiter = yield* Effect.provideService(
        Wait.polling({ from: "10 seconds", to: "10 seconds" }).open,
        BatchJobs,
        jobs.service
      ).pipe(
        Effect.provideService(Progress.Progress, (event) => Effect.sync(() => void events.push(event)))
      )
      const fiber = yield* Effect.forkChild(waiter.wait(made(jobs, "run", 0)))
      yield* TestClock.adjust("1 minute")
      jobs.change(0, { status: "InProgress", counters: { total: 100, processed: 5, succeeded: 5, failed: 0 } })
      yield* TestClock.adjust("1 minute")
      jobs.change(0, { counters: { total: 100, processed: 9, succeeded: 9, failed: 0 } })
      yield* TestClock.adjust("1 minute")
      jobs.endAll()
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        events.map((event) => event._tag === "JobChanged" ? [event.status, event.processed, event.records] : []),
        [["Submitted", 0, 100], ["InProgress", 5, 100], ["InProgress", 9, 100], ["Completed", 9, 100]]
      )
    }))

  it.effect("refuses pauses that are none", () =>
    Effect.gen(function*() {
      for (const options of [{ from: 0 }, { from: "10 seconds", to: "5 seconds" }] as const) {
        const { reason } = yield* Effect.flip(open(new ScriptedJobs(), options))
        assert.strictEqual(reason._tag, "InvalidOption")
      }
    }))
})
