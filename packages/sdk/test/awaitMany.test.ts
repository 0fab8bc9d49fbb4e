import * as Prompt from "@bedrock-batch/processors/Prompt"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Logger } from "effect"
import { TestClock } from "effect/testing"
import { awaitAll, type AwaitOptions, type ConfirmPlan } from "../src/awaitAll.ts"
import type { Services } from "../src/Aws.ts"
import { BatchJobs } from "../src/bedrock/BatchJobs.ts"
import { cancel } from "../src/cancel.ts"
import * as Layout from "../src/internal/Layout.ts"
import { type EndedJob, isTerminal } from "../src/Job.ts"
import type { Limits } from "../src/Limits.ts"
import { prepare } from "../src/prepare.ts"
import { Capacity } from "../src/schedule/Capacity.ts"
import * as Source from "../src/source/Source.ts"
import { ObjectStore } from "../src/store/ObjectStore.ts"
import { submit, submitWith } from "../src/submit.ts"
import { model, type ProcessOptions, processOf } from "./rig/Bench.ts"
import { memoryStore } from "./rig/MemoryStore.ts"
import { ScriptedJobs } from "./rig/ScriptedJobs.ts"

const sonnet = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
const minutes = (count: number) => count * 60_000
const midnight = Date.UTC(2026, 10, 23)

/** A Region: a store in memory and a service, and processes over both. */
const regionOf = (region = "us-east-1") => {
  const store = memoryStore()
  const jobs = new ScriptedJobs(region)
  const start = (options?: ProcessOptions) => processOf(store, jobs, options)
  const prepared = (name: string, count: number, of = model) =>
    start()(prepare({
      name,
      source: Source.rows(Array.from({ length: count }, (_, i) => ({ topic: `topic ${i}` }))),
      model: of,
      prompt: Prompt.make("A joke about {topic}."),
      maxRecordsPerJob: 1
    }))
  /** The services, for submissions that bring their own. */
  const services = (limits: Partial<Limits> = {}) => start({ limits })(Effect.context<Services>())
  return { store, jobs, start, prepared, services }
}

/** Ends jobs that have been open for so long, while an effect runs. */
const whileLasting = <A, E, R>(all: ReadonlyArray<ScriptedJobs>, millis: number, effect: Effect.Effect<A, E, R>) =>
  Effect.raceFirst(
    effect,
    Effect.forever(Effect.delay(
      Effect.map(Clock.currentTimeMillis, (now) => {
        for (const jobs of all) {
          jobs.made.forEach(({ at, state }, i) => {
            if (!isTerminal(state.status) && now - at >= millis) jobs.change(i, { status: "Completed" })
          })
        }
      }),
      1_000
    ))
  )

/** Runs an effect to its end, by the clock alone: nothing else is waited for. */
const pass = Effect.fnUntraced(function*<A, E>(effect: Effect.Effect<A, E>) {
  const fiber = yield* Effect.forkChild(effect)
  for (let steps = 0; steps < 10_000 && fiber.pollUnsafe() === undefined; steps++) yield* TestClock.adjust("10 seconds")
  return yield* Fiber.join(fiber)
})

const openOf = (jobs: ScriptedJobs, model: string) =>
  jobs.made.filter(({ request, state }) => request.modelId === model && !isTerminal(state.status)).length

const statuses = (ended: ReadonlyArray<{ readonly status: string }>) => ended.map(({ status }) => status)
const completed = (count: number) => Array.from({ length: count }, () => "Completed")

describe("awaitAll of several models", () => {
  it.effect("lets no job wait for the slots of another model", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { jobs, prepared, start } = regionOf()
      const first = yield* prepared("first", 6)
      const second = yield* prepared("second", 6, sonnet)
      const waiting = awaitAll([...first.jobs, ...second.jobs].map(submit), { concurrency: 3 })
      const fiber = yield* Effect.forkChild(
        start({ limits: { maxOpenJobs: 2 } })(whileLasting([jobs], minutes(10), waiting))
      )
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([openOf(jobs, model), openOf(jobs, sonnet)], [2, 1])
      const ended = yield* pass(Fiber.join(fiber))
      assert.deepStrictEqual(statuses(ended), completed(12))
      assert.deepStrictEqual(ended.map(({ runId }) => runId), [...first.jobs, ...second.jobs].map(({ runId }) => runId))
      assert.deepStrictEqual([jobs.mostOpen, jobs.creates.length], [3, 12])
    }))

  it.effect("goes on with one model while others have taken all slots of another", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { jobs, prepared, start } = regionOf()
      const first = yield* prepared("first", 2)
      const second = yield* prepared("second", 2, sonnet)
      let isFull = true
      const crowded = Effect.map(Capacity, (capacity) =>
        Capacity.of({
          ...capacity,
          take: (taker) =>
            isFull && taker.model === model
              ? Effect.suspend(() => isFull ? Effect.sleep("1 minute") : Effect.void).pipe(
                Effect.repeat({ while: () => isFull }),
                Effect.andThen(capacity.take(taker))
              )
              : capacity.take(taker)
        }))
      const waiting = awaitAll([...first.jobs, ...second.jobs].map(submit), {
        concurrency: 1,
        onEnded: ({ runId }) => Effect.sync(() => void (isFull = runId === first.id))
      })
      const ended = yield* pass(
        start()(whileLasting([jobs], minutes(5), Effect.provideServiceEffect(waiting, Capacity, crowded)))
      )
      assert.deepStrictEqual(statuses(ended), completed(4))
      assert.strictEqual(jobs.made[0]!.request.modelId, sonnet)
    }))
})

describe("awaitAll in an order", () => {
  const submitted = Effect.fnUntraced(function*(order: "given" | "largest-first" | undefined) {
    yield* TestClock.setTime(midnight)
    const { jobs, prepared, start } = regionOf()
    const run = yield* prepared("jokes", 5)
    const sizes = [[1, 10], [3, 10], [2, 10], [3, 20], [1, 10]] as const
    const given = run.jobs.map((job, i) => submit({ ...job, records: sizes[i]![0], bytes: sizes[i]![1] }))
    const waiting = awaitAll(given, { concurrency: 1, order })
    const ended = yield* pass(start()(whileLasting([jobs], minutes(1), waiting)))
    assert.deepStrictEqual(ended.map(({ index }) => index), [0, 1, 2, 3, 4])
    return jobs.creates.map(({ jobName }) => run.jobs.findIndex(({ name }) => name === jobName))
  })

  it.effect("submits jobs as they are given", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* submitted(undefined), [0, 1, 2, 3, 4])
      assert.deepStrictEqual(yield* submitted("given"), [0, 1, 2, 3, 4])
    }))

  /** The runs of the jobs of a large and a small run of one model, in the order in which they were created. */
  const created = Effect.fnUntraced(function*(order: "turns" | "given" | "largest-first" | undefined) {
    yield* TestClock.setTime(midnight)
    const { jobs, prepared, start } = regionOf()
    const large = yield* prepared("large", 8)
    const small = yield* prepared("small", 2)
    const given = [...large.jobs, ...small.jobs].map((job) => submit({ ...job, records: 1, bytes: 10 }))
    const waiting = awaitAll(given, { concurrency: 1, order })
    const ended = yield* pass(start()(whileLasting([jobs], minutes(1), waiting)))
    assert.deepStrictEqual(ended.map(({ key, runId }) => [runId, key]), given.map(({ job }) => [job.runId, job.key]))
    return jobs.creates.map(({ jobName }) => jobName.slice(0, 1)).join("")
  })

  it.effect("lets runs take turns, so that a small one does not wait behind a large one", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* created(undefined), "lslsllllll")
      assert.strictEqual(yield* created("turns"), "lslsllllll")
      assert.strictEqual(yield* created("largest-first"), "lslsllllll")
      assert.strictEqual(yield* created("given"), "llllllllss")
    }))

  it.effect("submits those with the most records first, and of as many those with the most bytes", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* submitted("largest-first"), [3, 1, 2, 0, 4])
    }))
})

it.effect("awaitAll refuses orders and interruptions that it does not know", () =>
  Effect.gen(function*() {
    const { start } = regionOf()
    for (const [path, value] of [["order", "smallest-first"], ["onInterrupt", "cancel"]] as const) {
      const options: object = { [path]: value }
      const { reason } = yield* Effect.flip(start()(awaitAll([], options)))
      assert.deepInclude(reason, { _tag: "InvalidOption", path })
      assert.include(reason.message, value)
    }
  }))

describe("awaitAll that is interrupted", () => {
  const listening = () => {
    const lines: Array<string> = []
    const logger = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
    return { lines, quiet: <A, E>(effect: Effect.Effect<A, E>) => Effect.provide(effect, logger) }
  }

  it.effect("leaves jobs running, and says how they are taken up", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { jobs, prepared, start } = regionOf()
      const first = yield* prepared("first", 2)
      const second = yield* prepared("second", 1)
      const { lines, quiet } = listening()
      const submissions = [...first.jobs, ...second.jobs].map(submit)
      const fiber = yield* Effect.forkChild(quiet(start()(awaitAll(submissions, { concurrency: 2 }))))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual([jobs.open, jobs.stops.length], [2, 0])
      assert.deepStrictEqual(lines, [
        `interrupted: 3 jobs of run ${first.id}, ${second.id} had not ended; those that are open go on at Bedrock and ` +
        `will be billed. The same call, or resume("${first.id}"), resume("${second.id}"), goes on from here`
      ])
      yield* pass(quiet(start()(whileLasting([jobs], 0, awaitAll(submissions)))))
      assert.lengthOf(lines, 1)
    }))

  it.effect("says nothing where all have ended", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { jobs, prepared, start } = regionOf()
      const run = yield* prepared("jokes", 1)
      const { lines, quiet } = listening()
      const waiting = awaitAll(run.jobs.map(submit), { onEnded: () => Effect.never })
      const fiber = yield* Effect.forkChild(quiet(start()(whileLasting([jobs], 0, waiting))))
      yield* TestClock.adjust("10 minutes")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual([jobs.open, lines], [0, []])
    }))

  it.effect("asks open jobs to stop where that is wanted, and goes on with the rest when it is called again", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { jobs, prepared, start } = regionOf()
      const run = yield* prepared("jokes", 4)
      const { lines, quiet } = listening()
      const options = { concurrency: 2, onInterrupt: "stop" } as const
      const fiber = yield* Effect.forkChild(quiet(start()(awaitAll(run.jobs.map(submit), options))))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.interrupt(fiber)
      assert.sameMembers(jobs.stops, jobs.made.map(({ state }) => state.arn))
      assert.lengthOf(jobs.stops, 2)
      assert.deepStrictEqual(lines, [
        `interrupted: 4 jobs of run ${run.id} had not ended; 2 of 2 open ones were asked to stop, and what they have ` +
        `processed is billed. The same call, or resume("${run.id}"), goes on from here`
      ])
      const ended = yield* pass(start()(whileLasting([jobs], minutes(2), awaitAll(run.jobs.map(submit), options))))
      assert.deepStrictEqual(statuses(ended), ["Stopped", "Stopped", "Completed", "Completed"])
      assert.deepStrictEqual([jobs.creates.length, jobs.stops.length], [4, 2])
    }))

  it.effect("stops a job, too, whose create call was under way", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { jobs, prepared, start } = regionOf()
      const run = yield* prepared("jokes", 2)
      const { service } = jobs
      const slow = BatchJobs.of({ ...service, create: (request) => Effect.delay(service.create(request), "20 seconds") })
      const fiber = yield* Effect.forkChild(
        start({ jobs: slow })(awaitAll(run.jobs.map(submit), { onInterrupt: "stop" }))
      )
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(jobs.open, 0)
      yield* pass(Fiber.interrupt(fiber))
      assert.lengthOf(jobs.made, 2)
      assert.sameMembers(jobs.stops, jobs.made.map(({ state }) => state.arn))
    }))

  it.effect("gives up stopping after a minute", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(midnight)
      const { jobs, prepared, start } = regionOf()
      const run = yield* prepared("jokes", 2)
      const { lines, quiet } = listening()
      const deaf = BatchJobs.of({ ...jobs.service, stop: () => Effect.never })
      const fiber = yield* Effect.forkChild(
        quiet(start({ jobs: deaf })(awaitAll(run.jobs.map(submit), { onInterrupt: "stop" })))
      )
      yield* TestClock.adjust("1 minute")
      const before = yield* Clock.currentTimeMillis
      yield* pass(Fiber.interrupt(fiber))
      assert.strictEqual((yield* Clock.currentTimeMillis) - before, minutes(1))
      assert.include(lines[0], "0 of 2 open ones were asked to stop")
    }))

  for (const [every, lasts] of [[6, 15], [7, 60], [61, 180], [600, 1500]].map((times) => times.map((s) => s * 1000))) {
    it.effect(`is taken up again as often as it is left, every ${every! / 1000} seconds`, () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(midnight)
        const { jobs, prepared, start, store } = regionOf()
        jobs.tokenKept = 0
        const run = yield* prepared("jokes", 8)
        // Calls to the service take a while, so that some are under way when the call is left.
        const { service } = jobs
        const slow = BatchJobs.of({ ...service, create: (request) => Effect.delay(service.create(request), 1_500) })
        let lives = 0
        yield* whileLasting([jobs], lasts!, Effect.gen(function*() {
          for (; lives < 1_000; lives++) {
            const waiting = start({ jobs: slow })(awaitAll(run.jobs.map(submit), { concurrency: 3 }))
            const fiber = yield* Effect.forkChild(waiting)
            yield* Effect.sleep(every!)
            const exit = fiber.pollUnsafe()
            if (exit !== undefined) return
            yield* Fiber.interrupt(fiber)
          }
        })).pipe(Effect.provide(Logger.layer([])), pass)
        assert.isAbove(lives, 3)
        const ended = yield* pass(start()(awaitAll(run.jobs.map(submit))))
        assert.deepStrictEqual(statuses(ended), completed(8))
        assert.deepStrictEqual([jobs.creates.length, jobs.made.length, jobs.mostOpen], [8, 8, 3])
        const { objects } = yield* store.list(Layout.ledger(run.id))
        assert.deepStrictEqual(
          ["intent", "claim-1", "arn", "end"].map((kind) => objects.filter(({ key }) => key.endsWith(`.${kind}`)).length),
          [8, 8, 8, 8]
        )
        assert.lengthOf(objects, 32)
      }))
  }
})

describe("awaitAll of several Regions", () => {
  /** Two Regions with a run in each, and the submissions of both in turns. */
  const both = Effect.fnUntraced(function*(count: number, limits: Partial<Limits> = {}) {
    yield* TestClock.setTime(midnight)
    const east = regionOf()
    const west = regionOf("us-west-2")
    const here = yield* east.prepared("jokes", count)
    const there = yield* west.prepared("jokes", count)
    const submitThere = submitWith(yield* west.services(limits))
    const submissions = here.jobs.flatMap((job, i) => [submit(job), submitThere(there.jobs[i]!)])
    const start = (options?: AwaitOptions<EndedJob, BatchJobs>) =>
      east.start({ limits })(whileLasting([east.jobs, west.jobs], minutes(10), awaitAll(submissions, options)))
    return { east, west, here, there, submissions, start }
  })

  it.effect("submits each job in its own, with slots of its own, and gives their ends in order", () =>
    Effect.gen(function*() {
      const { east, here, start, there, west } = yield* both(5, { maxOpenJobs: 2 })
      // The same definition gives the same run id in both: they are told apart by their stores.
      assert.strictEqual(here.id, there.id)
      const ended = yield* pass(start())
      assert.deepStrictEqual(statuses(ended), completed(10))
      assert.deepStrictEqual(
        ended.map(({ key, region }) => [region, key]),
        here.jobs.flatMap(({ key }) => [["us-east-1", key], ["us-west-2", key]])
      )
      for (const { jobs, store } of [east, west]) {
        assert.deepStrictEqual([jobs.creates.length, jobs.mostOpen], [5, 2])
        const { objects } = yield* store.list(Layout.ledger(here.id))
        assert.lengthOf(objects.filter(({ key }) => key.endsWith(".end")), 5)
      }
      const again = yield* pass(start())
      assert.deepStrictEqual(again, ended)
      assert.deepStrictEqual([east.jobs.creates.length, west.jobs.creates.length], [5, 5])
    }))

  it.effect("bounds the open jobs of all together", () =>
    Effect.gen(function*() {
      const { east, start, west } = yield* both(5)
      let most = 0
      const watching = Effect.forever(Effect.delay(
        Effect.sync(() => {
          most = Math.max(most, east.jobs.open + west.jobs.open)
        }),
        1_000
      ))
      const ended = yield* pass(Effect.raceFirst(start({ concurrency: 3 }), watching))
      assert.deepStrictEqual(statuses(ended), completed(10))
      assert.strictEqual(most, 3)
    }))

  it.effect("asks once for all of them before anything is paid for", () =>
    Effect.gen(function*() {
      const { east, here, start, there, west } = yield* both(3)
      const plans: Array<ConfirmPlan> = []
      const { reason } = yield* Effect.flip(pass(start({ confirm: (plan) => Effect.sync(() => plans.push(plan) === 0) })))
      assert.strictEqual(reason._tag === "RunConflict" ? reason.problem : reason._tag, "unconfirmed")
      assert.deepStrictEqual(plans, [{
        runs: [here, there].map(({ id }) => ({ runId: id, attempt: 1 })),
        records: 6,
        jobs: 6,
        bytes: [...here.jobs, ...there.jobs].reduce((sum, { bytes }) => sum + bytes, 0)
      }])
      assert.deepStrictEqual([east.jobs.creates.length, west.jobs.creates.length], [0, 0])
    }))

  it.effect("collects each job with the services of its Region", () =>
    Effect.gen(function*() {
      const { east, submissions, west } = yield* both(2)
      const seen: Array<boolean> = []
      const waiting = awaitAll(submissions, {
        onEnded: (job) =>
          Effect.all([ObjectStore, BatchJobs]).pipe(Effect.flatMap(([store, jobs]) =>
            Effect.map(store.head(`${Layout.ledger(job.runId)}${job.key}.end`), (end) => {
              seen.push(end !== null && jobs.region === job.region)
            })
          ))
      })
      yield* pass(east.start()(whileLasting([east.jobs, west.jobs], minutes(1), waiting)))
      assert.deepStrictEqual(seen, [true, true, true, true])
    }))

  it.effect("stops at its deadline what is open in each", () =>
    Effect.gen(function*() {
      const { east, here, start, west } = yield* both(2)
      east.jobs.stopLasts = 0
      const ended = yield* pass(start({ deadline: "5 minutes", concurrency: 3 }))
      assert.sameMembers(statuses(ended), ["Stopped", "Stopped", "Stopped", "Refused"])
      assert.strictEqual(east.jobs.stops.length + west.jobs.stops.length, 3)
      for (const { store } of [east, west]) assert.isNotNull(yield* store.head(Layout.cancelledAttempt(here.id, 1)))
    }))

  it.effect("names the runs of all of them when the deadline leaves them", () =>
    Effect.gen(function*() {
      const { start } = yield* both(2)
      const { reason } = yield* Effect.flip(pass(start({ deadline: "5 minutes", rescue: "leave" })))
      assert.include(reason.message, "4 jobs of run jokes-")
      assert.include(reason.message, "4 go on at Bedrock")
    }))

  it.effect("stops what is open in each when it is interrupted", () =>
    Effect.gen(function*() {
      const { east, start, west } = yield* both(2)
      const fiber = yield* Effect.forkChild(Effect.provide(start({ onInterrupt: "stop" }), Logger.layer([])))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual([east.jobs.stops.length, west.jobs.stops.length], [2, 2])
    }))

  it.effect("goes on in one where the run of the other is cancelled", () =>
    Effect.gen(function*() {
      const { east, here, start, west } = yield* both(3)
      yield* west.start()(cancel(here.id))
      const ended = yield* pass(start())
      assert.deepStrictEqual(statuses(ended), Array.from({ length: 3 }, () => ["Completed", "Refused"]).flat())
      assert.deepStrictEqual([east.jobs.creates.length, west.jobs.creates.length], [3, 0])
    }))

  it.effect("refuses a job that is not bound to the services of its Region, and says how to bind it", () =>
    Effect.gen(function*() {
      const { east, there, west } = yield* both(1)
      const { reason } = yield* Effect.flip(pass(east.start()(awaitAll(there.jobs.map(submit)))))
      assert.strictEqual(reason._tag, "InvalidOption")
      assert.include(reason.message, "was prepared for Region us-west-2, and the client is for us-east-1")
      assert.include(reason.message, "submitWith")
      assert.lengthOf(west.jobs.creates, 0)
      const wrong = submitWith(yield* east.services())
      const bound = yield* Effect.flip(pass(west.start()(awaitAll(there.jobs.map(wrong)))))
      assert.strictEqual(bound.reason._tag, "InvalidOption")
    }))
})
