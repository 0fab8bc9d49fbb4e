import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Exit, Fiber, Layer, Random, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { Services } from "../../src/Aws.ts"
import { awaitAll } from "../../src/awaitAll.ts"
import { BatchError, Refused, Unavailable } from "../../src/BatchError.ts"
import { BatchJobs } from "../../src/bedrock/BatchJobs.ts"
import * as SlotObjects from "../../src/internal/SlotObjects.ts"
import type { Job, SubmittedJob } from "../../src/Job.ts"
import * as Ledger from "../../src/Ledger.ts"
import { Capacity } from "../../src/schedule/Capacity.ts"
import { ServiceQuotas } from "../../src/schedule/Quotas.ts"
import { layerShared, type SharedOptions } from "../../src/schedule/SharedCapacity.ts"
import * as Key from "../../src/store/Key.ts"
import { ObjectStore } from "../../src/store/ObjectStore.ts"
import { submit } from "../../src/submit.ts"
import { bench } from "../rig/Bench.ts"
import { memoryStore } from "../rig/MemoryStore.ts"
import { ScriptedJobs } from "../rig/ScriptedJobs.ts"
import { drive, watched } from "../rig/WatchedStore.ts"

type Store = ObjectStore["Service"]

const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
const region = "us-east-1"
const folder = "capacity/us-east-1.anthropic.claude-haiku-4-5-20251001-v1_3a0/"

/** A job as it was accepted. */
const accepted = (index: number, runId = "run"): SubmittedJob => {
  const key = `1-${String(index).padStart(6, "0")}`
  const file = { key: `${runId}/${key}`, size: 0, etag: "", sha256: "", records: 1 }
  return {
    version: 1,
    runId,
    key,
    attempt: 1,
    index,
    lane: "batch",
    model,
    region,
    invocationType: "Converse",
    name: `${runId}-${key}`,
    token: key,
    prepareId: "p",
    input: `${runId}/inputs/`,
    output: `${runId}/outputs/`,
    files: [file],
    rows: file,
    firstRow: 0,
    lastRow: 0,
    records: 1,
    bytes: 0,
    timeoutHours: 24,
    arn: `arn:${key}`,
    submittedAt: "2026-11-23T00:00:00.000Z",
    adopted: false
  }
}

const completed = { status: "Completed", message: null, counters: null, repeatedCalls: 0 } as const

const taker = (index: number, runId = "run") => ({ model, region, runId, key: `1-${String(index).padStart(6, "0")}` })

/** What a process shares slots with. */
const servicesOf = (store: Store, jobs = new ScriptedJobs()) => {
  const files = Layer.succeed(ObjectStore, store)
  return Layer.mergeAll(files, Layer.succeed(BatchJobs, jobs.service), Ledger.layer().pipe(Layer.provide(files)))
}

/** One process: its capacity, and the ledger. */
const process = Effect.fnUntraced(function*(store: Store, maxOpenJobs: number, options: SharedOptions = {}) {
  const services = servicesOf(store)
  const layer = layerShared({ limits: { maxOpenJobs }, ...options }).pipe(Layer.provideMerge(services))
  const context = yield* Layer.build(Layer.fresh(layer))
  return { ...Context.get(context, Capacity), ledger: Context.get(context, Ledger.Ledger) }
})

/** Slots that are taken one after the other, each for a job that is then submitted, until told. */
const takes = Effect.fnUntraced(function*(
  { ledger, ...capacity }: Effect.Success<ReturnType<typeof process>>,
  ...indexes: ReadonlyArray<number>
) {
  const scopes = new Map<number, Scope.Closeable>()
  const taken: Array<number> = []
  for (const index of indexes) {
    const scope = yield* Scope.make()
    const job = accepted(index)
    const take = Effect.gen(function*() {
      yield* capacity.take(job)
      taken.push(index)
      scopes.set(index, scope)
      if (!(yield* capacity.mayClaim(job, 1))) return
      yield* ledger.claim(job, 1)
      yield* ledger.accept(job)
    })
    yield* Effect.forkScoped(Scope.provide(take, scope), { startImmediately: true })
  }
  return {
    taken,
    /** The job has ended: it is in the ledger, and the process that had the slot says so. */
    end: Effect.fnUntraced(function*(index: number) {
      yield* ledger.end({ ...accepted(index), ...completed })
      yield* Scope.close(scopes.get(index)!, Exit.void)
    })
  }
})

const slotsIn = Effect.fnUntraced(function*(store: Store) {
  const { slots } = yield* SlotObjects.look(store, folder)
  return [...slots.values()].filter(({ isFree }) => !isFree).map(({ slot }) => slot).sort((a, b) => a - b)
})

const prepared = (store: Store, runId = "run") => store.create(`${runId}/run.json`, Buffer.from("{}"))

describe("shared slots", () => {
  it.effect("are as many as the limit says for all processes together, and are given again when they are free", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const [a, b] = [yield* process(store, 3), yield* process(store, 3)]
      const first = yield* takes(a, 1, 2)
      yield* TestClock.adjust("1 second")
      const second = yield* takes(b, 3, 4, 5)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([first.taken, second.taken], [[1, 2], [3]])
      yield* first.end(2)
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(second.taken, [3, 4])
      yield* first.end(1)
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(second.taken, [3, 4, 5])
      assert.deepStrictEqual(yield* slotsIn(store), [0, 1, 2])
    }))

  it.effect("are given at once while there are enough, without a look for each", () =>
    Effect.gen(function*() {
      const lists: Array<string> = []
      const store = watched(memoryStore(), {
        before: (operation, key) => Effect.sync(() => void (operation === "list" && lists.push(key)))
      })
      const { taken } = yield* takes(yield* process(store, 40), ...Array(40).keys())
      yield* TestClock.adjust("1 second")
      assert.lengthOf(taken, 40)
      assert.isAtMost(lists.filter((key) => key === folder).length, 2)
    }))

  it.effect("are given in the order in which they were asked for", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const { end, taken } = yield* takes(yield* process(store, 1), ...Array(6).keys())
      for (let ended = 0; ended < 5; ended++) {
        yield* TestClock.adjust("2 minutes")
        yield* end(ended)
      }
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(taken, [0, 1, 2, 3, 4, 5])
    }))

  it.effect("are told apart by base model and Region, under keys that are safe in a URI", () =>
    Effect.gen(function*() {
      const names = [
        "anthropic.claude-haiku-4-5-20251001-v1:0",
        "anthropic.claude-haiku-4-5-20251001-v1_0",
        "anthropic.claude-haiku-4-5-20251001-v1_3a0",
        "meta.llama3-1-8b-instruct-v1:0/custom-model",
        `arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/${"a".repeat(2_000)}`,
        `arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/${"a".repeat(2_001)}`
      ]
      const folders = names.map((name) => SlotObjects.folderOf(region, name))
      folders.push(SlotObjects.folderOf("eu-west-1", names[0]!))
      assert.strictEqual(new Set(folders).size, folders.length)
      for (const name of folders) {
        const key = SlotObjects.keyOf(name, { slot: 12, generation: 3 })
        assert.isTrue(Key.isUriSafe(key), key)
        assert.isBelow(key.length, 200)
      }
      const store = memoryStore()
      const capacity = yield* process(store, 1)
      yield* takes(capacity, 1)
      yield* Effect.scoped(capacity.take({ ...taker(2), model: "amazon.titan-embed-text-v2:0" }))
      const keys = (yield* store.list("")).objects.map(({ key }) => key)
      assert.include(keys, `${folder}0000/00000001`)
      assert.include(keys, "capacity/us-east-1.amazon.titan-embed-text-v2_3a0/0000/00000001.free")
    }))

  it.effect("are those below the limit: a lower one leaves the highest unused, and counts who still holds them", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const before = yield* takes(yield* process(store, 4), 0, 1, 2, 3)
      yield* TestClock.adjust("1 second")
      const { taken } = yield* takes(yield* process(store, 4, { headroom: 2 }), 4, 5, 6)
      for (const [ended, expected] of [[0, 0], [1, 0], [2, 1], [3, 2]] as const) {
        yield* before.end(ended)
        yield* TestClock.adjust("3 minutes")
        assert.lengthOf(taken, expected)
      }
      assert.deepStrictEqual(yield* slotsIn(store), [0, 1])
    }))

  it.effect("are one at least", () =>
    Effect.gen(function*() {
      const { taken } = yield* takes(yield* process(memoryStore(), 3, { headroom: 5 }), 1, 2)
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(taken, [1])
    }))

  it.effect("are as many as Service Quotas says, where it is asked", () =>
    Effect.gen(function*() {
      const quota = {
        code: "L-63020993",
        name: "Sum of in-progress and submitted batch inference jobs using a base model for Anthropic Claude Haiku 4.5",
        value: 2
      }
      const quotas = Layer.succeed(ServiceQuotas, {
        get: () => Effect.succeed(quota),
        list: Stream.make(quota),
        defaults: Stream.empty
      })
      const store = memoryStore()
      const layer = layerShared().pipe(Layer.provide(Layer.merge(quotas, servicesOf(store))))
      const capacity = Context.get(yield* Layer.build(layer), Capacity)
      for (const index of [1, 2, 3]) yield* Effect.forkScoped(capacity.take(taker(index)))
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(yield* slotsIn(store), [0, 1])
      assert.strictEqual((yield* capacity.limits({ model, region })).maxOpenJobs, 2)
    }))

  it.effect("are for a job and not for each who waits for it", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const { end, taken } = yield* takes(yield* process(store, 2), 1, 1, 2, 3)
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual([...taken].sort(), [1, 1, 2])
      yield* end(1)
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(yield* slotsIn(store), [0, 1])
      assert.notInclude(taken, 3)
    }))
})

describe("a slot that is given back", () => {
  const claimed = (how: "success" | "failure" | "kept" | "unclaimed") =>
    Effect.gen(function*() {
      const store = memoryStore()
      const capacity = yield* process(store, 1)
      const scope = yield* Scope.make()
      yield* Scope.provide(capacity.take(taker(1)), scope)
      assert.deepStrictEqual(yield* slotsIn(store), [0])
      if (how !== "unclaimed") assert.isTrue(yield* capacity.mayClaim(taker(1), 1))
      if (how === "kept") yield* capacity.keep(taker(1))
      yield* Scope.close(scope, how === "failure" || how === "unclaimed" ? Exit.die("gone") : Exit.void)
      return yield* slotsIn(store)
    })

  it.effect("is free when the job has ended", () =>
    Effect.map(claimed("success"), (held) => assert.deepStrictEqual(held, [])))

  it.effect("stays taken when it is open whether the job is", () =>
    Effect.map(claimed("failure"), (held) => assert.deepStrictEqual(held, [0])))

  it.effect("stays taken when the job was handed over", () =>
    Effect.map(claimed("kept"), (held) => assert.deepStrictEqual(held, [0])))

  it.effect("is free, however its use ended, when nothing was claimed", () =>
    Effect.map(claimed("unclaimed"), (held) => assert.deepStrictEqual(held, [])))

  it.effect("is taken anew for the next claim", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const capacity = yield* process(store, 1)
      yield* takes(capacity, 1)
      yield* TestClock.adjust("1 second")
      const again = yield* Effect.forkScoped(capacity.mayClaim(taker(1), 2))
      yield* TestClock.adjust("1 second")
      assert.isFalse(yield* Fiber.join(again))
      assert.isTrue(yield* capacity.mayClaim(taker(1), 2))
      const held = yield* SlotObjects.holderOf(store, folder, { slot: 0, generation: 2 })
      assert.deepStrictEqual([held?.claim, yield* slotsIn(store)], [2, [0]])
    }))

  it.effect("is removed some generations later, so that a look at slots that were used often costs no more", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const { end, taken } = yield* takes(yield* process(store, 2), ...Array(200).keys())
      for (let ended = 0; ended < 200; ended++) {
        while (!taken.includes(ended)) yield* TestClock.adjust("30 seconds")
        yield* end(ended)
      }
      const { objects } = yield* store.list("capacity/")
      assert.isBelow(objects.length, 64 + 4 * 2 + 4)
      assert.isAbove(objects.length, 4)
    }))

  it.effect("is not removed where that is not permitted, and no less given again", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      let tried = 0
      const refused = Effect.suspend(() => {
        tried++
        const reason = new Refused({ code: "AccessDenied", message: "no" })
        return Effect.fail(new BatchError({ module: "S3", method: "removeAll", reason }))
      })
      const { end, taken } = yield* takes(
        yield* process({ ...store, removeAll: () => refused }, 1, { manyOld: 1 }),
        ...Array(20).keys()
      )
      for (let ended = 0; ended < 20; ended++) {
        while (!taken.includes(ended)) yield* TestClock.adjust("30 seconds")
        yield* end(ended)
      }
      assert.strictEqual(tried, 1)
    }))
})

describe("slots of others", { timeout: 60_000 }, () => {
  it.effect.each([1, 2, 3])("are shared evenly by processes that want more, seed %i", (seed) =>
    Effect.gen(function*() {
      const store = memoryStore()
      const counts = [0, 0]
      const busy = Effect.fnUntraced(function*(which: 0 | 1) {
        const capacity = yield* process(store, 8)
        const submitted = Effect.fnUntraced(function*(index: number) {
          const job = accepted(index, `run-${which}`)
          yield* capacity.take(job)
          counts[which]!++
          yield* capacity.mayClaim(job, 1)
          yield* capacity.ledger.claim(job, 1)
          yield* capacity.ledger.accept(job)
          yield* Effect.sleep("20 minutes")
          yield* capacity.ledger.end({ ...job, ...completed })
        })
        yield* Effect.forEach(Array(2_000).keys(), (index) => Effect.scoped(submitted(index)), { concurrency: 20 })
      })
      yield* Effect.forkScoped(busy(0))
      yield* TestClock.adjust("10 minutes")
      yield* Effect.forkScoped(busy(1))
      // The first had all slots.
      yield* TestClock.adjust("3 hours")
      const before = [...counts]
      for (let hours = 0; hours < 12; hours++) yield* TestClock.adjust("1 hour")
      const [a, b] = counts.map((count, which) => count - before[which]!)
      assert.isAbove(Math.min(a!, b!) / (a! + b!), 0.4, `${a} and ${b}`)
      assert.isAbove(a! + b!, 8 * 12 * 3 * 0.95)
    }).pipe(Random.withSeed(seed)))

  it.effect("of a run that was deleted are free, and nothing is written where it was", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      yield* SlotObjects.take(store, folder, { slot: 0, generation: 1 }, {
        version: 1,
        runId: "deleted",
        job: "1-000000",
        claim: 1,
        owner: "somebody"
      })
      const { taken } = yield* takes(yield* process(store, 1), 1)
      yield* TestClock.adjust("3 minutes")
      assert.deepStrictEqual(taken, [1])
      assert.lengthOf((yield* store.list("deleted/")).objects, 0)
    }))

  it.effect("that are waited for are seen as those of jobs that have ended by one list a run", () =>
    Effect.gen(function*() {
      const files = memoryStore()
      yield* Effect.forEach(["one", "two"], (runId) => prepared(files, runId))
      for (let slot = 0; slot < 20; slot++) {
        const runId = slot % 2 === 0 ? "one" : "two"
        const job = taker(slot).key
        const holder = { version: 1, runId, job, claim: 1, owner: "somebody" } as const
        yield* SlotObjects.take(files, folder, { slot, generation: 1 }, holder)
        yield* files.create(`${runId}/jobs/${job}.claim-1`, Buffer.from("{}"))
        yield* files.create(`${runId}/jobs/${job}.refused-1`, Buffer.from("{}"))
      }
      const lists: Array<string> = []
      const store = watched(files, {
        before: (operation, key) => Effect.sync(() => void (operation === "list" && lists.push(key)))
      })
      const { taken } = yield* takes(yield* process(store, 20), ...Array(20).keys())
      yield* TestClock.adjust("1 second")
      assert.lengthOf(taken, 20)
      const ofRuns = lists.filter((key) => /^(one|two)/.test(key)).sort()
      assert.deepStrictEqual(ofRuns, ["one/jobs/1-0000", "two/jobs/1-0000"])
    }))
})

describe("jobs that have no slot", () => {
  it.effect("count while this process waits for them", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const capacity = yield* process(store, 2)
      const scope = yield* Scope.make()
      yield* Scope.provide(capacity.hold(taker(7)), scope)
      const { taken } = yield* takes(capacity, 1, 2)
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(taken, [1])
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(taken, [1, 2])
    }))

  it.effect("are beyond what the service allows: fewer slots are used, and more again one a pause", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const capacity = yield* process(store, 4)
      const { end, taken } = yield* takes(capacity, 0, 1, 2, 3, 4, 5)
      yield* TestClock.adjust("1 second")
      assert.lengthOf(taken, 4)
      assert.strictEqual(yield* capacity.exceeded(taker(3)), 60_000)
      yield* end(3)
      yield* TestClock.adjust("29 seconds")
      assert.lengthOf(taken, 4)
      yield* TestClock.adjust("4 minutes")
      assert.lengthOf(taken, 5)
    }))
})

describe("trouble with shared slots", () => {
  const failing = (reason: BatchError["reason"], times: number) => {
    const files = memoryStore()
    let left = times
    const list = (prefix: string) =>
      prefix === folder && left-- > 0
        ? Effect.fail(new BatchError({ module: "S3", method: "list", reason }))
        : files.list(prefix)
    return { ...files, list }
  }

  it.effect("that passes is waited out", () =>
    Effect.gen(function*() {
      const store = failing(new Unavailable({ code: "network", message: "away", retryAfterMillis: null }), 5)
      const { taken } = yield* takes(yield* process(store, 1), 1)
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(taken, [1])
    }))

  it.effect("that does not fails whoever waits", () =>
    Effect.gen(function*() {
      const store = failing(new Refused({ code: "AccessDenied", message: "no" }), Infinity)
      const error = yield* Effect.flip(Effect.scoped((yield* process(store, 1)).take(taker(1))))
      assert.strictEqual(error.reason._tag, "Refused")
    }))

  it.effect("leaves nothing taken of who is interrupted while he waits", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const capacity = yield* process(store, 1)
      const { end } = yield* takes(capacity, 1)
      yield* TestClock.adjust("1 second")
      const waiting = yield* Effect.forkScoped(Effect.scoped(Effect.andThen(capacity.take(taker(2)), Effect.never)))
      yield* TestClock.adjust("5 minutes")
      yield* Fiber.interrupt(waiting)
      yield* end(1)
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(yield* slotsIn(store), [])
    }))

  it.effect.each<readonly [string, SharedOptions]>([
    ["limits.maxOpenJobs", { limits: { maxOpenJobs: 0 } }],
    ["headroom", { headroom: -1 }],
    ["look.from", { look: { from: "0 seconds" } }],
    ["look.to", { look: { to: "2 days" } }],
    ["look", { look: { from: "1 minute", to: "30 seconds" } }],
    ["quotaPause", { quotaPause: "0 millis" }],
    ["quotasEvery", { quotasEvery: Infinity }]
  ])("is an option that makes no sense: %s", ([path, options]) =>
    Effect.gen(function*() {
      const { reason } = yield* Effect.flip(process(memoryStore(), 1, options))
      assert.deepInclude(reason, { _tag: "InvalidOption", path })
    }))

  it.effect("is a slot of another Region, or for no job", () =>
    Effect.gen(function*() {
      const capacity = yield* process(memoryStore(), 1)
      const wrong = (other: { readonly region?: string; readonly key?: undefined }) =>
        Effect.map(Effect.flip(Effect.scoped(capacity.take({ ...taker(1), ...other }))), ({ reason }) => reason)
      assert.deepInclude(yield* wrong({ region: "eu-west-1" }), { _tag: "InvalidOption", path: "region" })
      assert.deepInclude(yield* wrong({ key: undefined }), { _tag: "InvalidOption", path: "taker" })
    }))
})

describe("jobs with shared slots", () => {
  /** Processes over one run, and a service whose open jobs end one after the other. */
  const shared = Effect.fnUntraced(function*(count: number, maxOpenJobs: number) {
    const { jobs, run, start, store } = yield* bench(count)
    const process = <A, E>(effect: Effect.Effect<A, E, Services>) =>
      start()(Effect.provide(effect, layerShared({ limits: { maxOpenJobs } })))
    const ends = Effect.andThen(Effect.sleep("4 minutes"), Effect.sync(() => jobs.endFirst()))
    const served = <A, E>(effect: Effect.Effect<A, E>) =>
      drive(Effect.raceFirst(effect, Effect.forever(ends)), 5_000)
    return { jobs, run, process, served, store }
  })

  it.effect("that are submitted by themselves take one each, and leave it until they have ended", () =>
    Effect.gen(function*() {
      const { jobs, process, run, served, store } = yield* shared(3, 2)
      const submitted = yield* served(process(Effect.forEach(run.jobs, (job: Job) => submit(job))))
      assert.lengthOf(submitted, 3)
      assert.strictEqual(jobs.mostOpen, 2)
      assert.deepStrictEqual(yield* slotsIn(store), [0, 1])
    }))

  it.effect("end one after the other, whatever the service says to their calls, and leave no slot taken", () =>
    Effect.gen(function*() {
      const { jobs, process, run, served, store } = yield* shared(8, 2)
      jobs.turns.push("throttled", "lost", "quota", "validation", "dropped", "error-accepted", "throttled")
      const ended = yield* served(process(awaitAll(run.jobs.map(submit))))
      assert.deepStrictEqual(ended.map((job) => "status" in job ? job.status : "").sort(), [
        ...Array(7).fill("Completed"),
        "Refused"
      ])
      assert.strictEqual(jobs.mostOpen, 2)
      assert.deepStrictEqual(yield* slotsIn(store), [])
    }))

  it.effect("of one run in two processes are submitted once, and neither waits for what the other submitted", () =>
    Effect.gen(function*() {
      const { jobs, process, run, served } = yield* shared(12, 3)
      const from = yield* Clock.currentTimeMillis
      const both = yield* served(
        Effect.all([1, 2].map(() => process(awaitAll(run.jobs.map(submit)))), { concurrency: 2 })
      )
      assert.deepStrictEqual(both.map((ended) => ended.length), [12, 12])
      assert.strictEqual(jobs.made.length, 12)
      assert.isAtMost(jobs.mostOpen, 3)
      assert.isBelow((yield* Clock.currentTimeMillis) - from, 90 * 60_000)
    }))
})
