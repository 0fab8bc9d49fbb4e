import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Duration, Effect, Exit, Fiber, Layer, Logger, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { awaitAll } from "../../src/awaitAll.ts"
import { BatchJobs, type CreateRequest, type ListQuery, toBatchError } from "../../src/bedrock/BatchJobs.ts"
import * as Limits from "../../src/Limits.ts"
import { Capacity, type Taker } from "../../src/schedule/Capacity.ts"
import { layerLive, type LiveOptions } from "../../src/schedule/LiveCapacity.ts"
import { customPhrase, modelQuotas, phrases, type Quota, ServiceQuotas } from "../../src/schedule/Quotas.ts"
import { submit } from "../../src/submit.ts"
import { bench, model as profile } from "../rig/Bench.ts"
import { ScriptedJobs, settings } from "../rig/ScriptedJobs.ts"
import { ScriptedQuotas } from "../rig/ScriptedQuotas.ts"
import { SimulatedJobs } from "../rig/SimulatedJobs.ts"
import { drive } from "../rig/WatchedStore.ts"

const model = "anthropic.claude-haiku-4-5-20251001-v1:0"
const titan = "amazon.titan-embed-text-v2:0"
const code = modelQuotas(model)!.codes.maxOpenJobs!
const region = "us-east-1"

/** More than the time between two looks, with its jitter. */
const look = Duration.toMillis("75 seconds")

const rows = (of: string, limits: Partial<Limits.Limits>): Array<Quota> =>
  Object.entries(limits).map(([name, value]) => {
    const kind = name as keyof Limits.Limits
    const { codes, name: display } = modelQuotas(of)!
    return { code: codes[kind] ?? `L-${kind}`, name: `${phrases[kind]} for ${display}`, value }
  })

const requestOf = (jobName: string, modelId: string): CreateRequest => ({
  ...settings,
  jobName,
  clientRequestToken: jobName,
  modelId,
  modelInvocationType: "Converse",
  inputUri: `s3://bucket/${jobName}/`,
  outputUri: `s3://bucket/${jobName}/out/`,
  timeoutHours: 24
})

type Slots = Capacity["Service"]

/** An account with a quota, the jobs in it, and a process with live capacity. */
const account = Effect.fnUntraced(function*(quota: number | null, options: LiveOptions = {}) {
  yield* TestClock.setTime(Date.UTC(2026, 10, 23))
  const jobs = new ScriptedJobs()
  const quotas = new ScriptedQuotas(
    quota === null ? [] : [...rows(model, { maxOpenJobs: quota }), ...rows(titan, { maxOpenJobs: quota })]
  )
  const warnings: Array<string> = []
  const log = Logger.layer([Logger.make(({ message }) => void warnings.push(String(message)))])
  const start = (own: LiveOptions = {}) =>
    Layer.build(layerLive({ ...options, ...own }).pipe(
      Layer.provide(Layer.mergeAll(
        Layer.succeed(BatchJobs, jobs.service),
        Layer.succeed(ServiceQuotas, quotas.service)
      )),
      Layer.provide(log)
    )).pipe(Effect.map((context): Slots => {
      const { limits, take, ...service } = Context.get(context, Capacity)
      return {
        ...service,
        limits: (target) => Effect.provide(limits(target), log),
        take: (taker) => Effect.provide(take(taker), log)
      }
    }))
  const capacity = yield* start()
  let foreign = 0
  return {
    jobs,
    quotas,
    warnings,
    /** What another process would have. */
    start,
    capacity,
    /** Opens jobs of others. */
    others: (count: number, modelId = model) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        for (let i = 0; i < count; i++) jobs.accept(requestOf(`other-${foreign++}`, modelId), now)
      })
  }
})

/** Somebody who wants a slot for a job. */
const wanting = Effect.fnUntraced(function*(capacity: Slots, taker: Partial<Taker>) {
  const scope = yield* Scope.make()
  const state = { has: false, failed: false }
  const fiber = yield* capacity.take({ region, model, ...taker }).pipe(
    Scope.provide(scope),
    Effect.tap(() => Effect.sync(() => void (state.has = true))),
    Effect.tapError(() => Effect.sync(() => void (state.failed = true))),
    Effect.forkChild({ startImmediately: true })
  )
  return {
    state,
    fiber,
    /** The job has ended. */
    end: Scope.close(scope, Exit.void),
    /** Whoever watched the job is gone, it is not. */
    leave: Effect.andThen(Fiber.interrupt(fiber), Scope.close(scope, Exit.interrupt()))
  }
})

type Wanting = Effect.Success<ReturnType<typeof wanting>>

/** Somebody for each of so many jobs, which are named `job-<n>`. */
const many = Effect.fnUntraced(function*(capacity: Slots, count: number, taker: Partial<Taker> = {}, from = 0) {
  const all = yield* Effect.forEach(
    Array.from({ length: count }),
    (_, i) => wanting(capacity, { name: `job-${from + i}`, ...taker })
  )
  yield* TestClock.adjust(1)
  return all
})

const have = (all: ReadonlyArray<Wanting>) => all.filter(({ state }) => state.has).length

/** The jobs of those who have a slot come into being. */
const submitted = (jobs: ScriptedJobs, all: ReadonlyArray<Wanting>, from = 0) =>
  Effect.map(Clock.currentTimeMillis, (now) =>
    all.forEach(({ state }, i) => {
      if (state.has) jobs.accept(requestOf(`job-${from + i}`, profile), now)
    }))

const ends = (jobs: ScriptedJobs, name: string) =>
  jobs.change(jobs.made.findIndex(({ state }) => state.name === name), { status: "Completed" })

describe("live capacity", () => {
  it.effect("gives what the quota leaves free beside the open jobs of others, whatever they call the model", () =>
    Effect.gen(function*() {
      const { capacity, jobs, others } = yield* account(5)
      yield* others(1)
      yield* others(1, `arn:aws:bedrock:us-east-1::foundation-model/${model}`)
      yield* others(1, `arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.${model}`)
      yield* others(9, titan)
      const all = yield* many(capacity, 3, { model: profile })
      assert.strictEqual(have(all), 2)
      ends(jobs, "other-1")
      assert.strictEqual(have(all), 2)
      yield* TestClock.adjust(look)
      assert.strictEqual(have(all), 3)
    }))

  it.effect("counts every open status, and no ended one", () =>
    Effect.gen(function*() {
      const { capacity, jobs, others } = yield* account(20)
      yield* others(10)
      const statuses = ["Submitted", "Validating", "Scheduled", "InProgress", "Stopping"] as const
      const ended = ["Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"] as const
      const all = [...statuses, ...ended]
      all.forEach((status, i) => jobs.change(i, { status }))
      assert.strictEqual(have(yield* many(capacity, 20)), 15)
    }))

  it.effect("sees a job that moves on while it looks", () =>
    Effect.gen(function*() {
      const { jobs, others, quotas } = yield* account(3)
      yield* others(2)
      const list = jobs.service.list
      const statuses = ["Submitted", "Validating", "Scheduled", "InProgress", "Stopping"]
      let lists = 0
      const moving = {
        ...jobs.service,
        list: (query: ListQuery) => {
          // Between any two lists the first job goes one further, the second two.
          jobs.change(0, { status: statuses[Math.min(3, lists)]! })
          jobs.change(1, { status: statuses[Math.min(3, 2 * lists)]! })
          lists++
          return list(query)
        }
      }
      const context = yield* Layer.build(layerLive().pipe(Layer.provide(Layer.mergeAll(
        Layer.succeed(BatchJobs, moving),
        Layer.succeed(ServiceQuotas, quotas.service)
      ))))
      assert.strictEqual(have(yield* many(Context.get(context, Capacity), 3)), 1)
    }))

  it.effect("knows of what ended, was taken or was left while it looked", () =>
    Effect.gen(function*() {
      const { jobs, quotas } = yield* account(3)
      const slow = {
        ...jobs.service,
        list: (query: ListQuery) =>
          Stream.concat(jobs.service.list(query), Stream.fromEffectDrain(Effect.sleep("5 seconds")))
      }
      const context = yield* Layer.build(layerLive().pipe(Layer.provide(Layer.mergeAll(
        Layer.succeed(BatchJobs, slow),
        Layer.succeed(ServiceQuotas, quotas.service)
      ))))
      const capacity = Context.get(context, Capacity)
      const all = yield* many(capacity, 4)
      assert.strictEqual(have(all), 0)
      yield* TestClock.adjust("25 seconds")
      assert.strictEqual(have(all), 3)
      yield* submitted(jobs, all.slice(0, 2))
      const lists = jobs.lists.length
      while (jobs.lists.length === lists) yield* TestClock.adjust("1 second")
      // It has seen all that is submitted now, and looks for 5 seconds.
      yield* submitted(jobs, all.slice(2, 3), 2)
      ends(jobs, "job-0")
      yield* all[0]!.end
      yield* TestClock.adjust(1)
      assert.strictEqual(have(all), 4)
      yield* all[2]!.leave
      ends(jobs, "job-1")
      yield* all[1]!.end
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(jobs.lists.length, lists + 1)
      const next = yield* many(capacity, 2, {}, 4)
      assert.strictEqual(have(next), 1, "one has a slot, and one that was left is open")
      yield* TestClock.adjust(2 * look)
      assert.strictEqual(have(next), 1)
      jobs.endAll()
      yield* TestClock.adjust(2 * look)
      assert.strictEqual(have(next), 2)
    }))

  it.effect("looks again for those who come when the last look is old", () =>
    Effect.gen(function*() {
      const { capacity, jobs, others } = yield* account(2)
      const [first] = yield* many(capacity, 1)
      yield* first!.end
      yield* others(2)
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(jobs.lists, 5)
      assert.strictEqual(have(yield* many(capacity, 1, {}, 1)), 0)
      assert.lengthOf(jobs.lists, 6)
    }))

  it.effect("looks once a minute at most, for all models at once, and only while somebody waits", () =>
    Effect.gen(function*() {
      const { capacity, jobs, others, quotas } = yield* account(2)
      yield* others(2)
      yield* others(2, titan)
      const waiting = [...(yield* many(capacity, 50)), ...(yield* many(capacity, 50, { model: titan }, 50))]
      assert.lengthOf(jobs.lists, 5)
      assert.deepStrictEqual(jobs.lists.map(({ status }) => status), [
        "Submitted",
        "Validating",
        "Scheduled",
        "InProgress",
        "Stopping"
      ])
      yield* TestClock.adjust("1 hour")
      // Statuses again after an hour.
      assert.isAtLeast(jobs.lists.length, 45)
      assert.isAtMost(jobs.lists.length, 61 + 2 * 5)
      assert.isTrue(jobs.lists.every(({ submittedAfter }) => submittedAfter !== undefined))
      assert.lengthOf(jobs.gets, 0)
      assert.lengthOf(quotas.calls, 2)
      for (const one of waiting) yield* one.leave
      const before = jobs.lists.length
      yield* TestClock.adjust("1 day")
      assert.strictEqual(jobs.lists.length, before)
    }))

  it.effect("sees what is open by one list, and by five where it takes many pages back to the oldest job", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 10, 23))
      const jobs = new SimulatedJobs(10)
      const now = yield* Clock.currentTimeMillis
      const [minute, hour] = [60_000, 3_600_000]
      // One job is open for days; of those that come every minute two are open at a time.
      jobs.submit("old", 0, now - hour, 72 * hour)
      let count = 0
      const young = Effect.fnUntraced(function*(minutes: number) {
        const before = jobs.pages
        for (let i = 0; i < minutes; i++) {
          jobs.submit("young", count++, yield* Clock.currentTimeMillis, 2.5 * minute)
          yield* TestClock.adjust(minute)
        }
        return (jobs.pages - before) / minutes
      })
      yield* young(2)
      const context = yield* Layer.build(layerLive({ limits: { maxOpenJobs: 3 } }).pipe(Layer.provide(Layer.mergeAll(
        Layer.succeed(BatchJobs, jobs.service),
        Layer.succeed(ServiceQuotas, new ScriptedQuotas([]).service)
      ))))
      const all = yield* many(Context.get(context, Capacity), 1, { model: "model" })
      // A page a look at first, then one more for each ten jobs, and never as many as lead back to the oldest.
      yield* young(1)
      assert.isAtMost(yield* young(5), 1)
      assert.isAtMost(yield* young(30), 5)
      assert.isAtMost(yield* young(60), 6)
      assert.strictEqual(have(all), 0)
      yield* TestClock.adjust(5 * minute)
      assert.strictEqual(have(all), 1)
    }), 30_000)

  it.effect("counts its own jobs once, whether the list shows them yet or not", () =>
    Effect.gen(function*() {
      const { capacity, jobs } = yield* account(6)
      jobs.listLag = 4 * look
      const first = yield* many(capacity, 4)
      yield* submitted(jobs, first)
      const rest = yield* many(capacity, 5, {}, 4)
      assert.deepStrictEqual([have(first), have(rest)], [4, 2])
      for (let i = 0; i < 8; i++) {
        yield* TestClock.adjust(look)
        assert.strictEqual(have(rest), 2)
      }
      yield* submitted(jobs, rest, 4)
      yield* TestClock.adjust(8 * look)
      assert.strictEqual(have(rest), 2)
    }))

  it.effect("gives the slot of a job that ended to the next at once, though the last look shows it open", () =>
    Effect.gen(function*() {
      const { capacity, jobs } = yield* account(3)
      const all = yield* many(capacity, 9)
      assert.strictEqual(have(all), 3)
      yield* submitted(jobs, all)
      yield* TestClock.adjust(look)
      for (let ended = 0; ended < 6; ended++) {
        ends(jobs, `job-${ended}`)
        yield* all[ended]!.end
        yield* TestClock.adjust(1)
        assert.strictEqual(have(all), ended + 4)
        yield* submitted(jobs, all)
      }
      assert.strictEqual(jobs.mostOpen, 3)
    }))

  it.effect("counts open jobs that it only watches once, and frees their slots", () =>
    Effect.gen(function*() {
      const { capacity, jobs, others } = yield* account(4)
      yield* others(3)
      const scope = yield* Scope.make()
      for (let i = 0; i < 3; i++) {
        yield* Scope.provide(capacity.hold({ region, model: profile, name: `other-${i}` }), scope)
      }
      const all = yield* many(capacity, 9)
      assert.strictEqual(have(all), 1)
      jobs.endAll()
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(1)
      assert.strictEqual(have(all), 4)
    }))

  it.effect("counts a job of others once that it begins to watch while somebody waits", () =>
    Effect.gen(function*() {
      const { capacity, others } = yield* account(3)
      yield* others(2)
      const all = yield* many(capacity, 2)
      assert.strictEqual(have(all), 1)
      yield* capacity.hold({ region, model, name: "other-0" })
      yield* all[0]!.end
      yield* TestClock.adjust(1)
      assert.strictEqual(have(all), 2)
    }))

  it.effect("counts a job that was handed over, or whose watcher is gone, until a look shows what became of it", () =>
    Effect.gen(function*() {
      const { capacity, jobs } = yield* account(2)
      const [over, left] = yield* many(capacity, 2)
      yield* submitted(jobs, [over!, left!])
      const rest = yield* many(capacity, 3, {}, 2)
      yield* capacity.keep({ region, model, name: "job-0" })
      yield* over!.end
      yield* left!.leave
      assert.strictEqual(have(rest), 0)
      yield* TestClock.adjust(3 * look)
      assert.strictEqual(have(rest), 0)
      ends(jobs, "job-0")
      yield* TestClock.adjust(look)
      assert.strictEqual(have(rest), 1)
      ends(jobs, "job-1")
      yield* TestClock.adjust(look)
      assert.strictEqual(have(rest), 2)
    }))

  it.effect("counts a job once that was left and is watched again", () =>
    Effect.gen(function*() {
      const { capacity, jobs } = yield* account(3)
      const all = yield* many(capacity, 3)
      yield* submitted(jobs, all)
      yield* all[0]!.leave
      yield* capacity.hold({ region, model, name: "job-0" })
      const next = yield* many(capacity, 2, {}, 3)
      assert.strictEqual(have(next), 0)
      yield* all[1]!.end
      yield* TestClock.adjust(1)
      assert.strictEqual(have(next), 1)
    }))

  it.effect("leaves a headroom, but uses one slot at least", () =>
    Effect.gen(function*() {
      for (const [headroom, slots] of [[0, 10], [3, 7], [10, 1], [99, 1]] as const) {
        const { capacity } = yield* account(10, { headroom })
        assert.strictEqual(have(yield* many(capacity, 12)), slots)
      }
    }))

  it.effect("respects what another process has open, and gives both no more than the quota one after the other", () =>
    Effect.gen(function*() {
      const { capacity, jobs, start } = yield* account(5)
      const other = yield* start()
      const first = yield* many(capacity, 3)
      yield* submitted(jobs, first)
      const second = yield* many(other, 9, {}, 100)
      assert.deepStrictEqual([have(first), have(second)], [3, 2])
      yield* submitted(jobs, second, 100)
      assert.strictEqual(jobs.mostOpen, 5)
      ends(jobs, "job-0")
      yield* first[0]!.end
      yield* TestClock.adjust(look)
      assert.strictEqual(have(second), 3)
    }))

  it.effect("gives slots in the order in which they are wanted, and passes nobody over who comes or goes", () =>
    Effect.gen(function*() {
      const { capacity, jobs, others } = yield* account(2)
      yield* others(2)
      const all: Array<Wanting> = []
      const order: Array<number> = []
      for (let i = 0; i < 12; i++) {
        all.push(yield* wanting(capacity, { name: `job-${i}` }))
        yield* TestClock.adjust(i % 3 === 0 ? look : 1)
      }
      yield* all[4]!.leave
      jobs.endAll()
      yield* TestClock.adjust(look)
      for (let round = 0; round < 11; round++) {
        const next = all.findIndex(({ state }, i) => state.has && !order.includes(i))
        order.push(next)
        yield* all[next]!.end
        yield* TestClock.adjust(1)
      }
      assert.deepStrictEqual(order, [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11])
    }))

  it.effect("lets no model wait for another, neither for its slots nor for its quota", () =>
    Effect.gen(function*() {
      const { capacity, jobs, others, quotas } = yield* account(2)
      yield* others(2)
      const full = yield* many(capacity, 5)
      const open = yield* many(capacity, 2, { model: titan }, 5)
      assert.deepStrictEqual([have(full), have(open)], [0, 2])
      const titans = yield* many(capacity, 1, { model: titan }, 7)
      quotas.takes = 3_600_000
      const slow = yield* many(capacity, 1, { model: "anthropic.claude-opus-5" }, 8)
      yield* open[0]!.end
      yield* TestClock.adjust(1)
      assert.deepStrictEqual([have(titans), have(slow), have(full)], [1, 0, 0])
      jobs.endAll()
      yield* TestClock.adjust(look)
      assert.deepStrictEqual([have(slow), have(full)], [0, 2])
      yield* TestClock.adjust("4 hours")
      assert.strictEqual(have(slow), 1)
    }))

  describe("when the service says quota", () => {
    it.effect("waits with everybody, and then for a look, which shows who took the slots", () =>
      Effect.gen(function*() {
        const { capacity, jobs, others } = yield* account(10)
        const [first] = yield* many(capacity, 1)
        // Others were faster than this process after its look.
        yield* others(10)
        assert.strictEqual(yield* capacity.exceeded({ region, model, name: "job-0" }), 60_000)
        yield* first!.end
        const rest = yield* many(capacity, 12, {}, 1)
        yield* TestClock.adjust("29 seconds")
        assert.lengthOf(jobs.lists, 5)
        yield* TestClock.adjust("3 minutes")
        assert.strictEqual(have(rest), 0)
        for (let i = 0; i < 7; i++) ends(jobs, `other-${i}`)
        yield* TestClock.adjust(look)
        assert.strictEqual(have(rest), 7, "all that is free, though little was known to be open before")
      }))

    it.effect("believes in no more than a look then shows open, and tries one more at a time, ever more seldom", () =>
      Effect.gen(function*() {
        const { capacity, jobs } = yield* account(100)
        const all = yield* many(capacity, 30)
        assert.strictEqual(have(all), 30)
        // The quota is 20, whatever Service Quotas says.
        const now = yield* Clock.currentTimeMillis
        for (let i = 0; i < 20; i++) jobs.accept(requestOf(`job-${i}`, model), now)
        for (let i = 20; i < 30; i++) yield* capacity.exceeded({ region, model, name: `job-${i}` })
        for (let i = 20; i < 30; i++) yield* all[i]!.end
        const rest = yield* many(capacity, 60, {}, 30)
        let tried = 0
        const gaps: Array<number> = []
        let since = yield* Clock.currentTimeMillis
        while (tried < 8) {
          yield* TestClock.adjust("10 seconds")
          if (have(rest) === tried) continue
          assert.strictEqual(have(rest), tried + 1)
          const at = yield* Clock.currentTimeMillis
          gaps.push(at - since)
          since = at
          yield* capacity.exceeded({ region, model, name: `job-${30 + tried}` })
          yield* rest[tried]!.end
          tried++
        }
        // Of eight tries the first comes within minutes, and later ones a quarter of an hour apart.
        assert.isAtMost(gaps[0]!, Duration.toMillis("5 minutes"))
        assert.isAtLeast(Math.min(...gaps.slice(5)), Duration.toMillis("15 minutes"))
        assert.isAtMost(Math.max(...gaps), Duration.toMillis("20 minutes"))
      }))

    it.effect("gives nothing by what it saw before, however short the pause", () =>
      Effect.gen(function*() {
        const { capacity, jobs, others } = yield* account(10, { quotaPause: "10 seconds" })
        const [first] = yield* many(capacity, 1)
        yield* others(10)
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* capacity.exceeded({ region, model, name: "job-0" }), 10_000)
        yield* first!.end
        yield* TestClock.adjust("25 seconds")
        const rest = yield* many(capacity, 3, {}, 1)
        yield* TestClock.adjust("20 seconds")
        assert.lengthOf(jobs.lists, 5)
        yield* TestClock.adjust("1 minute")
        assert.lengthOf(jobs.lists, 6)
        assert.strictEqual(have(rest), 0)
      }))

    it.effect("believes in a quota that changes", () =>
      Effect.gen(function*() {
        const { capacity, jobs, quotas } = yield* account(100, { quotaPause: "1 hour" })
        const all = yield* many(capacity, 6)
        yield* submitted(jobs, all.slice(0, 3))
        for (let i = 3; i < 6; i++) {
          yield* capacity.exceeded({ region, model, name: `job-${i}` })
          yield* all[i]!.end
        }
        quotas.set(code, 50)
        const rest = yield* many(capacity, 60, {}, 6)
        yield* TestClock.adjust("95 minutes")
        assert.strictEqual(have(rest), 47)
      }))

    it.effect("grows back to the quota when the service allows it", () =>
      Effect.gen(function*() {
        const { capacity, jobs } = yield* account(10)
        const first = yield* many(capacity, 5)
        yield* submitted(jobs, first.slice(0, 4))
        yield* capacity.exceeded({ region, model, name: "job-4" })
        yield* first[4]!.end
        const rest = yield* many(capacity, 9, {}, 5)
        for (let minute = 0; minute < 20; minute++) {
          yield* TestClock.adjust("1 minute")
          yield* submitted(jobs, rest, 5)
        }
        assert.strictEqual(have(rest), 6)
      }))

    it.effect("comes back at other times than other processes", () =>
      Effect.gen(function*() {
        const { capacity, start } = yield* account(10)
        const times: Array<number> = []
        const others = yield* Effect.forEach(Array.from({ length: 7 }), () => start())
        const waiting: Array<Wanting> = []
        for (const one of [capacity, ...others]) {
          yield* one.exceeded({ region, model })
          waiting.push(yield* wanting(one, { name: `job-${waiting.length}` }))
        }
        while (times.length < waiting.length) {
          yield* TestClock.adjust("1 second")
          const now = yield* Clock.currentTimeMillis
          for (let n = times.length; n < have(waiting); n++) times.push(now)
        }
        assert.isAtLeast(new Set(times).size, 4)
      }))
  })

  describe("reads the quota", () => {
    it.effect("by one call, and again each hour while slots are wanted, so that it follows its changes", () =>
      Effect.gen(function*() {
        const { capacity, jobs, quotas } = yield* account(3)
        const all = yield* many(capacity, 12)
        yield* submitted(jobs, all)
        assert.strictEqual(have(all), 3)
        assert.deepStrictEqual(quotas.calls, [`get ${code}`])
        quotas.set(code, 5)
        yield* TestClock.adjust("59 minutes")
        assert.strictEqual(have(all), 3)
        yield* TestClock.adjust("3 minutes")
        assert.strictEqual(have(all), 5)
        yield* submitted(jobs, all)
        quotas.set(code, 2)
        yield* TestClock.adjust("62 minutes")
        for (let ended = 0; ended < 3; ended++) {
          ends(jobs, `job-${ended}`)
          yield* all[ended]!.end
          yield* TestClock.adjust(look)
          assert.strictEqual(have(all), 5)
        }
        ends(jobs, "job-3")
        yield* all[3]!.end
        yield* TestClock.adjust(1)
        assert.strictEqual(have(all), 6)
        assert.deepStrictEqual(quotas.calls, Array.from({ length: 3 }, () => `get ${code}`))
      }))

    it.effect("by the model's name where the code is another, and from AWS's defaults where none is applied", () =>
      Effect.gen(function*() {
        const { capacity, quotas } = yield* account(null)
        const [row] = rows(model, { maxOpenJobs: 4 })
        quotas.applied = [{ code: "L-00000001", name: "Something else", value: 1 }, {
          ...row!,
          code: "L-00000002",
          name: `${row!.name.toUpperCase()}.`
        }]
        assert.strictEqual(have(yield* many(capacity, 9)), 4)
        assert.deepStrictEqual(quotas.calls, [`get ${code}`, "list"])
        const second = yield* account(null)
        second.quotas.defaults = rows(model, { maxOpenJobs: 6 })
        assert.strictEqual(have(yield* many(second.capacity, 9)), 6)
        assert.deepStrictEqual(second.quotas.calls, [`get ${code}`, "list", "defaults"])
        assert.deepStrictEqual(second.warnings, [])
      }))

    it.effect("by name as often as by code, and for each model anew", () =>
      Effect.gen(function*() {
        const { capacity, quotas } = yield* account(null)
        const named = (value: number) =>
          [...rows(model, { maxOpenJobs: value }), ...rows(titan, { maxOpenJobs: value })].map((row, i) => ({
            ...row,
            code: `L-0000000${i}`
          }))
        quotas.applied = named(4)
        const all = yield* many(capacity, 9)
        assert.strictEqual(have(all), 4)
        quotas.applied = named(7)
        yield* TestClock.adjust("30 minutes")
        assert.deepStrictEqual([have(all), have(yield* many(capacity, 9, { model: titan }, 9))], [4, 7])
        yield* TestClock.adjust("32 minutes")
        assert.strictEqual(have(all), 7)
      }))

    it.effect("for custom models apart from their base", () =>
      Effect.gen(function*() {
        const { capacity, quotas } = yield* account(9)
        quotas.applied.push({ code: "L-00000001", name: `${customPhrase} for Titan Text Embeddings V2`, value: 2 })
        const custom = (name: string) => `arn:aws:bedrock:us-east-1:123456789012:custom-model/${titan}/${name}`
        const all = [
          ...(yield* many(capacity, 2, { model: custom("aaaaaaaaaaaa") })),
          ...(yield* many(capacity, 2, { model: custom("bbbbbbbbbbbb") }, 2))
        ]
        assert.strictEqual(have(all), 2)
        assert.strictEqual(have(yield* many(capacity, 10, { model: titan }, 4)), 9)
      }))

    it.effect("or takes what was given, warns once, and asks again an hour later where it may not", () =>
      Effect.gen(function*() {
        const { capacity, quotas, warnings } = yield* account(9, { limits: { maxOpenJobs: 2 } })
        quotas.fail("AccessDeniedException")
        const all = [...(yield* many(capacity, 4)), ...(yield* many(capacity, 4, { model: titan }, 4))]
        assert.strictEqual(have(all), 4)
        yield* TestClock.adjust("59 minutes")
        assert.lengthOf(quotas.calls, 2)
        assert.lengthOf(warnings, 1)
        assert.match(warnings[0]!, /AccessDenied/)
        quotas.fail(null)
        quotas.set(code, 1)
        yield* TestClock.adjust("3 minutes")
        assert.strictEqual(quotas.calls.filter((call) => call === `get ${code}`).length, 2)
      }))

    it.effect("or takes the default, and asks again after five minutes where Service Quotas cannot answer", () =>
      Effect.gen(function*() {
        const { capacity, quotas, warnings } = yield* account(120)
        quotas.fail("TooManyRequestsException")
        const all = yield* many(capacity, 130)
        assert.strictEqual(have(all), Limits.defaults.maxOpenJobs)
        yield* TestClock.adjust("14 minutes")
        assert.isAtMost(quotas.calls.length, 3)
        assert.lengthOf(warnings, 1)
        quotas.fail(null)
        yield* TestClock.adjust("8 minutes")
        assert.strictEqual(have(all), 120)
        quotas.fail("TooManyRequestsException")
        yield* TestClock.adjust("2 hours")
        assert.lengthOf(warnings, 2, "it is told again when it was well in between")
      }))

    it.effect("and keeps what it read when it cannot read it again", () =>
      Effect.gen(function*() {
        const { capacity, quotas } = yield* account(3)
        const all = yield* many(capacity, 6)
        quotas.fail("AccessDeniedException")
        yield* TestClock.adjust("3 hours")
        assert.strictEqual(have(all), 3)
      }))

    it.effect("or takes the default where there is none, and says so once", () =>
      Effect.gen(function*() {
        const { capacity, warnings } = yield* account(null, { limits: { maxOpenJobs: 4 } })
        const unknown = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl"
        assert.strictEqual(have(yield* many(capacity, 9)), 4)
        assert.strictEqual(have(yield* many(capacity, 9, { model: unknown }, 9)), 4)
        yield* TestClock.adjust("5 hours")
        assert.lengthOf(warnings, 2)
      }))

    it.effect("as no more than what was given", () =>
      Effect.gen(function*() {
        const { capacity } = yield* account(50, { limits: { maxOpenJobs: 4 } })
        assert.strictEqual(have(yield* many(capacity, 9)), 4)
      }))

    it.effect("and leaves a value that can be none out of account, but tries a quota of 0 with one job", () =>
      Effect.gen(function*() {
        for (const value of [NaN, Infinity, -1, 1e300]) {
          const { capacity, warnings } = yield* account(value, { limits: { maxOpenJobs: 4 } })
          assert.strictEqual(have(yield* many(capacity, 9)), 4)
          assert.lengthOf(warnings, 1)
        }
        const { capacity, warnings } = yield* account(0)
        assert.strictEqual(have(yield* many(capacity, 9)), 1)
        assert.match(warnings.join(), /is 0/)
      }))
  })

  describe("tells the other quotas", () => {
    const all: Limits.Limits = {
      minRecords: 200,
      maxRecords: 50_000,
      maxFileRecords: 40_000,
      maxFileBytes: 0.5,
      maxJobBytes: 2,
      maxOpenJobs: 17
    }
    const read: Limits.Limits = { ...all, maxFileBytes: 500_000_000, maxJobBytes: 2_000_000_000 }

    it.effect("as Service Quotas has them, by one list", () =>
      Effect.gen(function*() {
        const { capacity, quotas } = yield* account(null)
        quotas.applied = [...rows(model, all), ...rows(titan, { minRecords: 100 })]
        assert.deepStrictEqual(yield* capacity.limits({ region, model: profile }), read)
        assert.deepStrictEqual(yield* capacity.limits({ region, model }), read)
        assert.deepStrictEqual(quotas.calls, ["list"])
        assert.strictEqual(have(yield* many(capacity, 20)), 17)
        assert.deepStrictEqual(quotas.calls, ["list"])
      }))

    it.effect("within the limits that were given, and these where there is none", () =>
      Effect.gen(function*() {
        const limits = { minRecords: 300, maxRecords: 60_000, maxJobBytes: 1_000_000_000 }
        const { capacity, quotas } = yield* account(null, { limits })
        quotas.applied = rows(model, all)
        assert.deepStrictEqual(yield* capacity.limits({ region, model }), {
          ...read,
          minRecords: 300,
          maxJobBytes: 1_000_000_000
        })
        assert.deepStrictEqual(yield* capacity.limits({ region, model: titan }), { ...Limits.defaults, ...limits })
      }))

    it.effect("without those that make no sense", () =>
      Effect.gen(function*() {
        const { capacity, quotas } = yield* account(null)
        quotas.applied = rows(model, { ...all, minRecords: 60_000, maxFileRecords: 0, maxFileBytes: -1 })
        assert.deepStrictEqual(yield* capacity.limits({ region, model }), {
          ...read,
          minRecords: 100,
          maxRecords: 100_000,
          maxFileRecords: 100_000,
          maxFileBytes: 1_000_000_000
        })
      }))
  })

  describe("when Bedrock's list", () => {
    it.effect("cannot be had, gives nothing, and goes on when it can", () =>
      Effect.gen(function*() {
        const { capacity, jobs } = yield* account(3)
        for (let i = 0; i < 5; i++) {
          jobs.listFailures.push(toBatchError("list", { code: "ThrottlingException", status: 429, message: "no" }))
        }
        const all = yield* many(capacity, 2)
        yield* TestClock.adjust("4 minutes")
        assert.strictEqual(have(all), 0)
        yield* TestClock.adjust("3 minutes")
        assert.strictEqual(have(all), 2)
      }))

    it.effect("is throttled for hours, goes on when it is no more", () =>
      Effect.gen(function*() {
        const { capacity, jobs } = yield* account(3)
        for (let i = 0; i < 120; i++) {
          jobs.listFailures.push(toBatchError("list", { code: "ThrottlingException", status: 429, message: "no" }))
        }
        const all = yield* many(capacity, 2)
        yield* TestClock.adjust("2 hours")
        assert.deepStrictEqual([have(all), all.some(({ state }) => state.failed)], [0, false])
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(have(all), 2)
      }))

    it.effect("cannot be had a dozen times, fails", () =>
      Effect.gen(function*() {
        const { capacity, jobs } = yield* account(3)
        for (let i = 0; i < 20; i++) {
          jobs.listFailures.push(toBatchError("list", { code: "InternalServerException", status: 500, message: "no" }))
        }
        const all = yield* many(capacity, 2)
        yield* TestClock.adjust("10 minutes")
        assert.isFalse(all.some(({ state }) => state.failed))
        yield* TestClock.adjust("10 minutes")
        assert.isTrue(all.every(({ state }) => state.failed))
        yield* TestClock.adjust("10 minutes")
        const again = yield* many(capacity, 2)
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual(have(again), 2)
      }))

    it.effect("is refused, fails at once", () =>
      Effect.gen(function*() {
        const { capacity, jobs } = yield* account(3)
        jobs.listFailures.push(toBatchError("list", { code: "AccessDeniedException", status: 403, message: "no" }))
        const all = yield* many(capacity, 2)
        assert.isTrue(all.every(({ state }) => state.failed))
        const error = yield* Effect.flip(Fiber.join(all[0]!.fiber))
        assert.deepInclude(error.reason, { _tag: "Refused", code: "AccessDeniedException" })
      }))
  })

  it.effect("refuses options that are wrong, and another Region", () =>
    Effect.gen(function*() {
      const { capacity, start } = yield* account(3)
      const elsewhere = yield* Effect.flip(Effect.scoped(capacity.take({ region: "eu-west-1", model })))
      assert.deepInclude(elsewhere.reason, { _tag: "InvalidOption", path: "region" })
      for (
        const [path, options] of [
          ["headroom", { headroom: -1 }],
          ["headroom", { headroom: 0.5 }],
          ["lookEvery", { lookEvery: 0 }],
          ["quotasEvery", { quotasEvery: Infinity }],
          ["quotaPause", { quotaPause: -1 }],
          ["limits.maxOpenJobs", { limits: { maxOpenJobs: 0 } }]
        ] as const
      ) {
        const error = yield* Effect.flip(start(options))
        assert.deepInclude(error.reason, { _tag: "InvalidOption", path })
      }
    }))

  it.effect("lets several runs of one process take turns, and never passes the quota", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(20)
      const quotas = new ScriptedQuotas(rows(model, { maxOpenJobs: 4 }))
      const live = layerLive().pipe(Layer.provide(Layer.mergeAll(
        Layer.succeed(BatchJobs, jobs.service),
        Layer.succeed(ServiceQuotas, quotas.service)
      )))
      const mine = run.jobs.map(submit)
      const halves = [mine.slice(0, 10), mine.slice(10)]
      const ended: Array<string> = []
      const both = Effect.forEach(halves, (half, i) =>
        awaitAll(half, { onEnded: () => Effect.sync(() => void ended.push(String(i))) }), { concurrency: 2 })
      const ending = Effect.forever(Effect.andThen(Effect.sleep("1 minute"), Effect.sync(() => jobs.endFirst())))
      const results = yield* drive(start()(Effect.provide(Effect.raceFirst(both, ending), live)), 30_000)
      assert.isTrue(results.flat().every((job) => "status" in job && job.status === "Completed"))
      assert.deepStrictEqual([jobs.mostOpen, jobs.creates.length], [4, 20])
      // Neither of them has to wait for the other's end.
      const firstHalf = ended.slice(0, 10)
      assert.isAtLeast(firstHalf.filter((i) => i === "0").length, 3)
      assert.isAtLeast(firstHalf.filter((i) => i === "1").length, 3)
    }), 30_000)
})
