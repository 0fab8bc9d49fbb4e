import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Deferred, Effect, Exit, Fiber, Latch, Layer, Metric, Schema, Stream, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { awaitAll } from "../src/awaitAll.ts"
import { collect } from "../src/collect.ts"
import type { JobState } from "../src/bedrock/BatchJobs.ts"
import * as Progress from "../src/Progress.ts"
import * as ProgressJson from "../src/ProgressJson.ts"
import * as ProgressSummary from "../src/ProgressSummary.ts"
import { submit } from "../src/submit.ts"
import { bench } from "./rig/Bench.ts"
import { drive } from "./rig/WatchedStore.ts"

const tell = (event: Progress.Event) => Effect.flatMap(Progress.Progress, (listener) => listener(event))
const prepared = (records: number, done = false): Progress.Event =>
  ({ _tag: "Prepared", runId: "run", records, jobs: 1, done })
const changed = (job: string, processed: number, status = "InProgress"): Progress.Event =>
  ({ _tag: "JobChanged", runId: "run", job, status, records: 100, processed })
const waiting = (millis: number): Progress.Event =>
  ({ _tag: "Waiting", runId: "run", job: "1-000000", why: "quota", millis })
const collected = (job: number): Progress.Event => ({ _tag: "Collected", runId: "run", job: String(job), records: 1 })

/** A consumer that takes an event and is then busy until it is let go on; and what it got. */
const busy = Effect.fnUntraced(function*(events: Stream.Stream<Progress.Event>) {
  const got: Array<Progress.Event> = []
  const free = yield* Latch.make(false)
  const begun = yield* Deferred.make<void>()
  const consuming = Stream.runForEach(events, (event) =>
    Effect.gen(function*() {
      got.push(event)
      yield* Deferred.succeed(begun, void 0)
      yield* Latch.await(free)
    }))
  return { got, free, begun, consuming }
})

describe("Progress", () => {
  describe("Event", () => {
    it.prop("is JSON", { event: Arbitrary.schema(Progress.Event) }, ({ event }) => {
      const decoded = Schema.decodeUnknownSync(Progress.Event)(JSON.parse(JSON.stringify(event)))
      assert.deepStrictEqual(decoded, event)
    })
  })

  describe("stream", () => {
    it.effect("gives the events of an effect and ends with it, and lets the listener hear them", () =>
      Effect.gen(function*() {
        const heard: Array<Progress.Event> = []
        const told = [prepared(1), prepared(1, true), changed("1-000000", 5)]
        const program = Effect.forEach(told, (event) => Effect.andThen(tell(event), Effect.yieldNow))
        const got = yield* Stream.runCollect(Progress.stream(program)).pipe(
          Effect.provideService(Progress.Progress, (event) => Effect.sync(() => void heard.push(event)))
        )
        assert.deepStrictEqual(got, told)
        assert.deepStrictEqual(heard, told)
      }))

    it.effect("fails as the effect fails, after its events", () =>
      Effect.gen(function*() {
        const got: Array<Progress.Event> = []
        const exit = yield* Effect.exit(Stream.runForEach(
          Progress.stream(Effect.andThen(tell(prepared(1)), Effect.fail("no"))),
          (event) => Effect.sync(() => got.push(event))
        ))
        assert.deepStrictEqual(exit, Exit.fail("no"))
        assert.deepStrictEqual(got, [prepared(1)])
      }))

    it.effect("interrupts the effect when nobody wants more", () =>
      Effect.gen(function*() {
        let interrupted = false
        const endless = Effect.forever(Effect.delay(tell(prepared(1)), 1000)).pipe(
          Effect.onInterrupt(() => Effect.sync(() => (interrupted = true)))
        )
        const fiber = yield* Effect.forkChild(Stream.runCollect(Stream.take(Progress.stream(endless), 2)))
        yield* TestClock.adjust(10_000)
        assert.lengthOf(yield* Fiber.join(fiber), 2)
        assert.isTrue(interrupted)
      }))
  })

  describe("observe", () => {
    it.effect("gives what the effect gives when its events are used up", () =>
      Effect.gen(function*() {
        const got: Array<Progress.Event> = []
        const value = yield* Progress.observe(Effect.as(tell(prepared(1)), "value"), (events) =>
          Stream.runForEach(events, (event) =>
            Effect.sync(() => got.push(event))))
        assert.deepStrictEqual([value, got], ["value", [prepared(1)]])
      }))

    it.effect("does not wait for a busy consumer, and keeps of what is superseded the newest", () =>
      Effect.gen(function*() {
        const done = yield* Deferred.make<void>()
        const program = (begun: Deferred.Deferred<void>) =>
          Effect.gen(function*() {
            yield* tell(prepared(0))
            yield* Deferred.await(begun)
            for (let i = 1; i <= 1000; i++) {
              yield* tell(prepared(i))
              yield* tell(changed("1-000000", i))
              yield* tell(changed("1-000001", i))
              yield* tell(waiting(i))
            }
            yield* tell(changed("1-000001", 1001, "Completed"))
            yield* Deferred.succeed(done, void 0)
          })
        let consumer: Effect.Success<ReturnType<typeof busy>> | null = null
        const begun = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(Progress.observe(program(begun), (events) =>
          Effect.gen(function*() {
            consumer = yield* busy(events)
            yield* Effect.forkChild(Effect.andThen(Deferred.await(consumer.begun), Deferred.succeed(begun, void 0)))
            yield* consumer.consuming
          })))
        yield* Deferred.await(done)
        const { free, got } = consumer!
        assert.deepStrictEqual(got, [prepared(0)])
        yield* Latch.open(free)
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(got.slice(1), [
          prepared(1000),
          changed("1-000000", 1000),
          changed("1-000001", 1000),
          waiting(1000),
          changed("1-000001", 1001, "Completed")
        ])
      }))

    it.effect("drops what can be superseded first beyond its capacity, then the oldest", () =>
      Effect.gen(function*() {
        const got: Array<Progress.Event> = []
        const events = [changed("1-000000", 1), changed("1-000001", 1), ...[1, 2, 3, 4, 5].map(collected)]
        // The consumer begins when all has been told.
        const late = (events: Stream.Stream<Progress.Event>) =>
          Effect.andThen(Effect.yieldNow, Stream.runForEach(events, (event) => Effect.sync(() => got.push(event))))
        yield* Progress.observe(Effect.forEach(events.slice(0, 4), tell), late, { capacity: 3 })
        assert.deepStrictEqual(got, [changed("1-000001", 1), collected(1), collected(2)])
        got.length = 0
        yield* Progress.observe(Effect.forEach(events, tell), late, { capacity: 3 })
        assert.deepStrictEqual(got, [collected(3), collected(4), collected(5)])
      }))

    it.effect("goes on when the consumer ends early, and fails when it fails", () =>
      Effect.gen(function*() {
        const program = Effect.gen(function*() {
          yield* tell(prepared(1))
          yield* Effect.sleep(1000)
          yield* tell(prepared(2))
          return "value"
        })
        const early = yield* Effect.forkChild(
          Progress.observe(program, (events) => Stream.runDrain(Stream.take(events, 1)))
        )
        const failing = yield* Effect.forkChild(
          Effect.exit(Progress.observe(program, (events) => Stream.runForEach(events, () => Effect.fail("mine"))))
        )
        yield* TestClock.adjust(2000)
        assert.strictEqual(yield* Fiber.join(early), "value")
        assert.deepStrictEqual(yield* Fiber.join(failing), Exit.fail("mine"))
      }))
  })

  describe("layer", () => {
    it.effect("adds a listener to those that are there", () =>
      Effect.gen(function*() {
        const heard: Array<string> = []
        const named = (name: string) => Progress.layer(() => Effect.sync(() => heard.push(name)))
        const both = Layer.provideMerge(named("inner"), named("outer"))
        yield* Effect.provide(tell(prepared(1)), both)
        assert.deepStrictEqual(heard, ["inner", "outer"])
      }))
  })

  describe("ProgressJson", () => {
    it.effect("writes an event a line, with its time", () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(Date.UTC(2026, 0, 1))
        const written: Array<string> = []
        const program = Effect.andThen(tell(waiting(5)), tell(prepared(7, true)))
        yield* Effect.provide(program, ProgressJson.layerTo((line) => written.push(line)))
        assert.deepStrictEqual(written, [
          `{"at":"2026-01-01T00:00:00.000Z","_tag":"Waiting","runId":"run","job":"1-000000","why":"quota","millis":5}\n`,
          `{"at":"2026-01-01T00:00:00.000Z","_tag":"Prepared","runId":"run","records":7,"jobs":1,"done":true}\n`
        ])
        const decode = Schema.decodeUnknownSync(Progress.Event)
        assert.deepStrictEqual(decode(JSON.parse(written[0]!)), waiting(5))
      }))
  })

  describe("of a run", () => {
    const counters = (processed: number, failed = 0): JobState["counters"] =>
      ({ total: 2, processed, succeeded: processed - failed, failed })

    /** Runs three jobs, one at a time: one processed in two steps, one expired, one refused; then awaits them again. */
    const threeJobs = Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(3)
      jobs.turns.push("throttled", "accept", "lost", "validation")
      const events: Array<Progress.Event> = []
      const metrics = new Map()
      const spans: Array<Tracer.NativeSpan> = []
      const gauges: Array<Readonly<Record<string, number>>> = []
      const states = Metric.snapshot.pipe(Effect.map((all) =>
        Object.fromEntries(all.flatMap((one) =>
          one.type === "Gauge" && one.id === "bedrock_batch_jobs" && one.state.value !== 0
            ? [[String(one.attributes?.["state"]), Number(one.state.value)]]
            : []
        ))
      ))
      const script = Effect.gen(function*() {
        yield* Effect.sleep(70_000)
        gauges.push(yield* states)
        jobs.change(0, { status: "InProgress", counters: counters(1) })
        yield* Effect.sleep(70_000)
        gauges.push(yield* states)
        jobs.change(0, { status: "Completed", counters: counters(2, 1) })
        yield* Effect.sleep(70_000)
        while (jobs.made.length < 2) yield* Effect.sleep(1000)
        jobs.change(1, { status: "Expired", counters: counters(1) })
        return yield* Effect.never
      })
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const waits = Effect.raceFirst(awaitAll(run.jobs.map(submit), { concurrency: 1 }), script)
      const both = Effect.gen(function*() {
        const ended = yield* waits
        gauges.push(yield* states)
        const first = events.length
        yield* awaitAll(run.jobs.slice(0, 2).map(submit))
        const again = events.slice(first)
        // The scripted service writes no output: what is collected are rows without answers.
        yield* collect(run, ended)
        const counts = yield* Metric.snapshot
        return { again, counts, ended }
      })
      const result = yield* drive(
        start()(both).pipe(
          Effect.provideService(Progress.Progress, (event) => Effect.sync(() => void events.push(event))),
          Effect.provideService(Metric.MetricRegistry, metrics),
          Effect.provideService(Tracer.Tracer, tracer)
        ),
        5_000
      )
      return { ...result, events, gauges, run, spans }
    })

    it.effect("tells each step of each job", () =>
      Effect.gen(function*() {
        const { again, events, run } = yield* threeJobs
        const of = (tag: Progress.Event["_tag"]) => events.filter((event) => event._tag === tag)
        assert.deepStrictEqual(events[0], { _tag: "Awaiting", runId: run.id, attempt: 1, records: 6, jobs: 3 })
        assert.deepStrictEqual(
          events.flatMap((event) => event._tag === "Submitted" ? [[event.job, event.how, event.arn.slice(-1)]] : []),
          [["1-000000", "sent", "0"], ["1-000001", "found", "1"]]
        )
        const ends = events.flatMap((event) => event._tag === "Ended" ? [event] : [])
        const first = ends.slice(0, 3).map(({ counters, job, known, status }) => [job, status, counters, known])
        assert.deepStrictEqual(first, [
          ["1-000000", "Completed", counters(2, 1), false],
          ["1-000001", "Expired", counters(1), false],
          ["1-000002", "Refused", null, false]
        ])
        assert.sameDeepMembers(
          again.flatMap((event) => event._tag === "Ended" && event.known ? [[event.job, event.status]] : []),
          [["1-000000", "Completed"], ["1-000001", "Expired"]]
        )
        const slots = of("Waiting").filter((event) => event._tag === "Waiting" && event.why === "slots")
        assert.isAtLeast(slots.length, 2)
        assert.lengthOf(of("Collected"), 3)
        assert.deepInclude(of("Finished").at(-1), { attempt: 1, records: 6, jobs: 3 })
        const folding = ProgressSummary.make()
        events.forEach((event, i) => folding.follow(event, i))
        assert.deepInclude(folding.summary(events.length).runs[0], {
          phase: "finished",
          records: { total: 6, processed: 3, failed: 1, notRun: 3, unknown: 0 },
          jobs: { total: 3, waiting: 0, open: {}, ended: { Completed: 1, Expired: 1, Refused: 1 }, collected: 3 }
        })
      }))

    it.effect("counts what it does", () =>
      Effect.gen(function*() {
        const { counts, events, gauges } = yield* threeJobs
        assert.deepStrictEqual(gauges, [{ Waiting: 2, Submitted: 1 }, { Waiting: 2, InProgress: 1 }, {}])
        const counted = Object.fromEntries(counts.flatMap((one) => {
          if (one.type !== "Counter") return []
          const name = [one.id.replace("bedrock_batch_", ""), ...Object.values(one.attributes ?? {})].join(" ")
          return [[name, Number(one.state.count)]]
        }))
        const {
          "waiting_milliseconds_total slots": slots,
          "waiting_milliseconds_total throttled": throttled,
          ...others
        } = counted
        assert.deepStrictEqual(others, {
          "jobs_ended_total Completed": 1,
          "jobs_ended_total Expired": 1,
          "jobs_ended_total Refused": 1,
          "jobs_submitted_total found": 1,
          "jobs_submitted_total sent": 1,
          "records_collected_total expired": 2,
          "records_collected_total missing": 4,
          "records_processed_total": 3,
          "tokens_total input": 0,
          "tokens_total output": 0
        })
        assert.isAbove(slots!, 140_000)
        const pauses = events.flatMap((event) =>
          event._tag === "Waiting" && event.why === "throttled" ? [event.millis] : []
        )
        assert.strictEqual(throttled, pauses.reduce((sum, millis) => sum + millis, 0))
      }))

    it.effect("has spans that say of which run and job they are, and nothing of its rows", () =>
      Effect.gen(function*() {
        const { run, spans } = yield* threeJobs
        const of = (name: string) => spans.filter((span) => span.name === name)
        assert.deepStrictEqual(
          of("submit").map(({ attributes }) => Object.fromEntries(attributes)),
          ["1-000000", "1-000000", "1-000001", "1-000002"].map((job) => ({ run: run.id, job, attempt: 1 }))
        )
        const awaited = { runs: [run.id], attempts: [1], jobs: 3 }
        assert.deepStrictEqual(Object.fromEntries(of("awaitAll")[0]!.attributes), awaited)
        assert.deepStrictEqual(Object.fromEntries(of("collect")[0]!.attributes), { run: run.id, attempt: 1 })
        const all = JSON.stringify(spans.map(({ attributes }) => [...attributes]))
        assert.notInclude(all, "topic")
        assert.notInclude(all, "joke about")
      }))
  })
})
