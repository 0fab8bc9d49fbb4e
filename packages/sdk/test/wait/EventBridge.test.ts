import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Logger, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import { BatchError, Refused, Unavailable } from "../../src/BatchError.ts"
import { BatchJobs } from "../../src/bedrock/BatchJobs.ts"
import * as Progress from "../../src/Progress.ts"
import * as Wait from "../../src/wait/Wait.ts"
import { envelope } from "../rig/events.ts"
import { random } from "../rig/random.ts"
import { ScriptedJobs } from "../rig/ScriptedJobs.ts"
import { made, SimulatedJobs } from "../rig/SimulatedJobs.ts"

const minute = 60_000
const hour = 60 * minute

const openBy = (jobs: { readonly service: BatchJobs["Service"] }, strategy: ReturnType<typeof Wait.polling>) =>
  Effect.provideService(strategy.open, BatchJobs, jobs.service)

/** A wait by events that the test sends. */
const listening = Effect.fnUntraced(function*(
  jobs: { readonly service: BatchJobs["Service"] },
  options?: Wait.EventBridgeOptions
) {
  const queue = yield* Queue.unbounded<Wait.JobEvent>()
  const waiter = yield* openBy(jobs, Wait.eventBridge(Stream.fromQueue(queue), options))
  return { waiter, send: (arn: string, status: string) => Queue.offer(queue, { arn, status }) }
})

/** Runs an effect, and gives the warnings that it logs beside what it gives. */
const withWarnings = Effect.fnUntraced(function*<A, E, R>(f: (warnings: Array<string>) => Effect.Effect<A, E, R>) {
  const warnings: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel === "Warn") warnings.push(String(Array.isArray(message) ? message.join(" ") : message))
  })
  return yield* Effect.provide(f(warnings), Logger.layer([logger]))
})

const unavailable = new BatchError({
  module: "BatchJobs",
  method: "get",
  reason: new Unavailable({ code: "throttled", message: "slow down", retryAfterMillis: null })
})
const refused = new BatchError({
  module: "BatchJobs",
  method: "get",
  reason: new Refused({ code: "AccessDeniedException", message: "no" })
})

describe("Wait.eventBridge", () => {
  it.effect("gives the end of a job by one call when an event tells of it, and calls nothing before", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const { send, waiter } = yield* listening(jobs)
      const job = made(jobs, "run", 0)
      const fiber = yield* Effect.forkChild(waiter.wait(job))
      yield* TestClock.adjust("9 minutes")
      assert.deepStrictEqual([jobs.lists.length, jobs.gets.length], [0, 0])
      const counters = { total: 100, processed: 70, succeeded: 60, failed: 10 }
      jobs.change(0, { status: "PartiallyCompleted", message: "time is over", counters })
      yield* send(job.arn, "PartiallyCompleted")
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), {
        ...job,
        status: "PartiallyCompleted",
        message: "time is over",
        counters,
        repeatedCalls: 0
      })
      assert.deepStrictEqual([jobs.lists.length, jobs.gets.length], [0, 1])
    }))

  it.effect("settles many events at once by one list", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const { send, waiter } = yield* listening(jobs)
      const submitted = Array.from({ length: 200 }, (_, i) => made(jobs, "run", i))
      const fiber = yield* Effect.forkChild(
        Effect.forEach(submitted, (job) => waiter.wait(job), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 minute")
      jobs.endAll("Failed")
      for (const { arn } of submitted) yield* send(arn, "Failed")
      yield* TestClock.adjust("2 seconds")
      assert.isTrue((yield* Fiber.join(fiber)).every(({ status }) => status === "Failed"))
      assert.deepStrictEqual([jobs.lists.length, jobs.gets.length], [1, 0])
    }))

  it.effect("heeds an event that came before its job was waited for", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const { send, waiter } = yield* listening(jobs)
      const job = made(jobs, "run", 0)
      jobs.endAll("Expired")
      yield* send(job.arn, "Expired")
      yield* TestClock.adjust("10 seconds")
      const fiber = yield* Effect.forkChild(waiter.wait(job))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).status, "Expired")
    }))

  it.effect("takes no event's word: of a job that has not ended it asks a few times, and waits on", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const { send, waiter } = yield* listening(jobs, { backstop: "10 hours" })
      const job = made(jobs, "run", 0)
      const fiber = yield* Effect.forkChild(waiter.wait(job))
      yield* TestClock.adjust("1 second")
      yield* send(job.arn, "Completed")
      for (let i = 0; i < 50; i++) yield* send(job.arn, "Stopped")
      yield* TestClock.adjust("2 hours")
      assert.isUndefined(fiber.pollUnsafe())
      assert.isAtMost(jobs.gets.length, 8)
      yield* send(job.arn, "Stopped")
      yield* TestClock.adjust("1 second")
      // The service shows the end later than it tells of it.
      jobs.endAll("Stopped")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).status, "Stopped")
    }))

  it.effect("is not disturbed by events of others, double ones, and what is no event", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const rubbish: ReadonlyArray<unknown> = [
        null,
        undefined,
        7,
        {},
        { arn: 7, status: "Completed" },
        { arn: "arn:foreign", status: "Completed" },
        { arn: "arn:foreign", status: "Completed" },
        { status: "Completed" }
      ]
      const job = made(jobs, "run", 0)
      jobs.endAll()
      const event: Wait.JobEvent = { arn: job.arn, status: "Completed" }
      const events = Stream.fromIterable([...rubbish, event, event]).pipe(
        Stream.map((event) => event as Wait.JobEvent),
        Stream.concat(Stream.never)
      )
      const waiter = yield* openBy(jobs, Wait.eventBridge(events))
      const fiber = yield* Effect.forkChild(waiter.wait(job))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).status, "Completed")
      assert.deepStrictEqual([jobs.gets, jobs.lists.length], [[job.arn], 0])
    }))

  it.effect("makes up for lost events by a list, ten minutes after the last", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const { waiter } = yield* listening(jobs)
      const fiber = yield* Effect.forkChild(waiter.wait(made(jobs, "run", 0)))
      yield* TestClock.adjust("65 minutes")
      assert.strictEqual(jobs.lists.length, 6)
      jobs.endAll()
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual((yield* Fiber.join(fiber)).status, "Completed")
      assert.strictEqual(jobs.lists.length, 7)
    }))

  it.effect("looks at once for a job that was submitted earlier: its event may be gone", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      yield* TestClock.setTime(hour)
      const { waiter } = yield* listening(jobs)
      const job = made(jobs, "run", 0)
      jobs.endAll()
      const fiber = yield* Effect.forkChild(waiter.wait(job))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).status, "Completed")
    }))

  it.effect("shows the statuses that events tell of, and never goes back", () =>
    Effect.gen(function*() {
      const shown: Array<string> = []
      const jobs = new ScriptedJobs()
      const { send, waiter } = yield* Effect.provideService(listening(jobs), Progress.Progress, (event) =>
        Effect.sync(() => void (event._tag === "JobChanged" && shown.push(event.status))))
      const job = made(jobs, "run", 0)
      const fiber = yield* Effect.forkChild(waiter.wait(job))
      yield* TestClock.adjust("1 second")
      for (const status of ["Validating", "InProgress", "Scheduled", "InProgress", "Hibernating", "Submitted"]) {
        yield* send(job.arn, status)
      }
      jobs.endAll()
      yield* send(job.arn, "Completed")
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(shown, ["Validating", "InProgress", "Completed"])
    }))

  it.effect("polls while the stream is gone, warns once, and runs it again", () =>
    withWarnings((warnings) =>
      Effect.gen(function*() {
        const jobs = new ScriptedJobs()
        const queue = yield* Queue.unbounded<Wait.JobEvent>()
        let runs = 0
        const events = Stream.suspend((): Stream.Stream<Wait.JobEvent, string> =>
          ++runs < 6 ? (runs % 2 === 0 ? Stream.empty : Stream.fail("out of order")) : Stream.fromQueue(queue)
        )
        const waiter = yield* openBy(jobs, Wait.eventBridge(events))
        const submitted = [made(jobs, "run", 0), made(jobs, "run", 1)]
        const fibers = yield* Effect.forEach(submitted, (job) => Effect.forkChild(waiter.wait(job)))
        yield* TestClock.adjust("10 seconds")
        jobs.endFirst()
        yield* TestClock.adjust("6 seconds")
        assert.strictEqual((yield* Fiber.join(fibers[0]!)).status, "Completed")
        yield* TestClock.adjust("30 minutes")
        assert.strictEqual(runs, 6)
        // Nothing was heard yet: the stream may be as dead as before.
        const before = jobs.lists.length
        yield* TestClock.adjust("30 minutes")
        assert.isAtLeast(jobs.lists.length - before, 20)
        yield* Queue.offer(queue, { arn: "arn:of-another", status: "InProgress" })
        yield* TestClock.adjust("1 minute")
        const heard = jobs.lists.length
        yield* TestClock.adjust("30 minutes")
        assert.strictEqual(jobs.lists.length - heard, 3)
        assert.lengthOf(warnings, 1)
        assert.include(warnings[0], "out of order")
        yield* Fiber.interrupt(fibers[1]!)
      })
    ))

  it.effect("listens to an async iterable", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const job = made(jobs, "run", 0)
      jobs.endAll()
      const events = async function*() {
        yield { arn: job.arn, status: "Completed" }
        await new Promise(() => {})
      }
      const waiter = yield* openBy(jobs, Wait.eventBridge(events()))
      const fiber = yield* Effect.forkChild(waiter.wait(job))
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).status, "Completed")
      assert.lengthOf(jobs.lists, 0)
    }))

  it.effect("outlives calls that fail for the moment, and fails with one that is refused", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const failures = [unavailable, unavailable]
      const service = {
        ...jobs.service,
        get: (arn: string) => Effect.suspend(() => {
          const failure = failures.shift()
          return failure === undefined ? jobs.service.get(arn) : Effect.fail(failure)
        })
      }
      const { send, waiter } = yield* listening({ service })
      const submitted = [made(jobs, "run", 0), made(jobs, "run", 1)]
      const fibers = yield* Effect.forEach(submitted, (job) => Effect.forkChild(waiter.wait(job)))
      yield* TestClock.adjust("1 second")
      jobs.endFirst()
      yield* send(submitted[0]!.arn, "Completed")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(fibers[0]!)).status, "Completed")
      failures.push(refused)
      yield* send(submitted[1]!.arn, "Completed")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Effect.flip(Fiber.join(fibers[1]!)), refused)
    }))

  it.effect("refuses a backstop that is none", () =>
    Effect.gen(function*() {
      for (const backstop of [0, "soon"]) {
        const strategy = Wait.eventBridge(Stream.never, { backstop: backstop as number })
        const { reason } = yield* Effect.flip(openBy(new ScriptedJobs(), strategy))
        assert.strictEqual(reason._tag, "InvalidOption")
      }
    }))

  it.effect.each([1, 2, 3])("notices ends no later than the backstop, whatever becomes of events (seed %s)", (seed) =>
    Effect.gen(function*() {
      const chance = random(seed)
      yield* TestClock.setTime(hour)
      const jobs = new SimulatedJobs()
      const { send, waiter } = yield* listening(jobs)
      const delays: Array<number> = []
      let heard = 0
      /** Half of the events are lost, the others come twice, at once or at any time around what they tell of. */
      const tell = Effect.fnUntraced(function*(arn: string, status: string, at: number) {
        if (chance() < 0.5) return
        heard++
        for (let copy = 0; copy < 2; copy++) {
          const now = yield* Clock.currentTimeMillis
          const late = chance() < 0.5 ? 0 : Math.round((chance() - 0.3) * 20 * minute)
          yield* Effect.sleep(Math.max(0, Math.round(at - now + late)))
          yield* send(arn, status)
        }
      })
      const one = Effect.fnUntraced(function*(index: number) {
        yield* Effect.sleep(Math.round(chance() * 5 * hour))
        const now = yield* Clock.currentTimeMillis
        const job = jobs.submit("run", index, now, Math.round((5 + chance() * 120) * minute))
        const end = jobs.endOf(job.arn)
        yield* Effect.forkChild(tell(job.arn, "InProgress", (now + end) / 2))
        yield* Effect.forkChild(tell(job.arn, "Completed", end))
        const ended = yield* waiter.wait(job)
        assert.deepStrictEqual([ended.arn, ended.status, ended.counters?.processed], [job.arn, "Completed", 100])
        delays.push((yield* Clock.currentTimeMillis) - end)
      })
      const fiber = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 200 }, (_, i) => i), one, { concurrency: "unbounded" })
      )
      for (let hours = 0; hours < 9; hours++) yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      assert.isTrue(delays.every((delay) => delay >= 0 && delay <= 10 * minute + 1000))
      assert.isAbove(delays.filter((delay) => delay <= 1000).length, 40)
      assert.isAtMost(jobs.pages, 6 * 9 + heard)
      assert.isAtMost(jobs.gets, 6 * heard)
    }))

  it.effect("stops listening when the wait is over", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      let open = 0
      const events = Stream.never.pipe(
        Stream.onStart(Effect.sync(() => void open++)),
        Stream.ensuring(Effect.sync(() => void open--))
      )
      const exit = yield* Effect.exit(Effect.scoped(Effect.gen(function*() {
        yield* openBy(jobs, Wait.eventBridge(events))
        yield* TestClock.adjust("1 second")
        assert.strictEqual(open, 1)
      })))
      assert.isTrue(Exit.isSuccess(exit))
      assert.strictEqual(open, 0)
    }))
})

describe("Wait.parseEvent", () => {
  const arn = "arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/abcdefghwxyz"
  const event = envelope(arn, "Completed")
  const notification = {
    Type: "Notification",
    TopicArn: "arn:aws:sns:us-east-1:123456789012:topic",
    Message: JSON.stringify(event)
  }

  it("reads the documented event, its JSON, and a notification of SNS that carries it", () => {
    for (const given of [event, JSON.stringify(event), notification, JSON.stringify(notification)]) {
      assert.deepStrictEqual(Wait.parseEvent(given), { arn, status: "Completed" })
    }
  })

  it("gives null for anything else", () => {
    const { detail, ...rest } = event
    const others: ReadonlyArray<unknown> = [
      null,
      undefined,
      7,
      "",
      "{",
      "null",
      [],
      {},
      rest,
      { ...event, source: "aws.s3" },
      { ...event, "detail-type": "Object Created" },
      { ...event, detail: { ...detail, batchJobArn: "" } },
      { ...event, detail: { ...detail, status: 3 } },
      { Type: "Notification" },
      { Type: "SubscriptionConfirmation", Message: JSON.stringify(event) },
      { Type: "Notification", Message: JSON.stringify(notification) }
    ]
    for (const other of others) assert.isNull(Wait.parseEvent(other))
  })
})
