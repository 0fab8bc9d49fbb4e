import * as Prompt from "@bedrock-batch/processors/Prompt"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Data, Effect, Exit, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { awaitAll } from "../src/awaitAll.ts"
import type { BatchError } from "../src/BatchError.ts"
import { BatchJobs, type CreateRequest, toBatchError } from "../src/bedrock/BatchJobs.ts"
import { cancel, Cancelled } from "../src/cancel.ts"
import { collect } from "../src/collect.ts"
import { sha256 } from "../src/internal/Digest.ts"
import * as Layout from "../src/internal/Layout.ts"
import { attempts, jobLists } from "../src/internal/Manifest.ts"
import type { Job } from "../src/Job.ts"
import * as Progress from "../src/Progress.ts"
import { prepare } from "../src/prepare.ts"
import * as Source from "../src/source/Source.ts"
import { submit } from "../src/submit.ts"
import { bench, model, processOf } from "./rig/Bench.ts"
import { memoryStore } from "./rig/MemoryStore.ts"
import { chanceOf } from "./rig/random.ts"
import { ScriptedJobs, type Turn } from "./rig/ScriptedJobs.ts"
import { onDemandJob, ScriptedOnDemand } from "./rig/ScriptedOnDemand.ts"
import { drive } from "./rig/WatchedStore.ts"

type Rig = Effect.Success<ReturnType<typeof bench>>

/** The end of a process, wherever it is: nothing of it runs after. */
class Death extends Data.Error<{}> {}

const now = Clock.currentTimeMillis
const minutes = (count: number) => count * 60_000
const text = (value: string) => new TextEncoder().encode(value)

const nothing = {
  total: 0,
  ended: 0,
  stopped: 0,
  stopping: 0,
  neverSent: 0,
  refused: 0,
  settledByList: 0,
  unsettled: 0,
  uncounted: 0
}
const none = { total: 0, processed: 0, notRun: 0, unknown: 0 }
const counters = (processed: number, total = 2) => ({ total, processed, succeeded: processed, failed: 0 })

/** Leaves a job claimed, with a create call that comes to this and whose answer is lost with its process. */
const claimedBy = Effect.fnUntraced(function*({ jobs, start }: Rig, job: Job, turn: Turn) {
  jobs.turns.push(turn)
  const before = jobs.creates.length
  const dies = (operation: string, key: string) =>
    operation === "list" && key.endsWith(`${job.key}.`) && jobs.creates.length > before
      ? Effect.die(new Death())
      : Effect.void
  yield* drive(Effect.exit(start({ before: dies })(submit(job))))
  assert.strictEqual(jobs.creates.length, before + 1)
})

const submitted = ({ start }: Rig, jobs: ReadonlyArray<Job>) => drive(start()(Effect.forEach(jobs, submit)))

const ends = ({ ledger }: Rig) => Effect.map(ledger, (keys) => keys.filter((key) => key.endsWith(".end")))

describe("cancel", () => {
  it.effect("stops what is open, waits for it, records the ends, and says what is billed", () =>
    Effect.gen(function*() {
      const rig = yield* bench(5)
      const { jobs, run, start, store } = rig
      yield* submitted(rig, run.jobs.slice(0, 3))
      const at = new Date(yield* now).toISOString()
      jobs.change(0, { status: "Completed", counters: counters(2) })
      jobs.change(1, { status: "InProgress", counters: counters(1) })
      const events: Array<Progress.Event> = []
      const cancelled = yield* drive(
        start()(cancel(run.id)).pipe(
          Effect.provideService(Progress.Progress, (event) => Effect.sync(() => void events.push(event)))
        )
      )
      const expected: Cancelled = {
        runId: run.id,
        at,
        jobs: { ...nothing, total: 5, ended: 1, stopped: 2, neverSent: 2, uncounted: 1 },
        settledByList: [],
        unsettled: [],
        records: { total: 10, processed: 3, notRun: 5, unknown: 2 }
      }
      assert.deepStrictEqual(cancelled, { ...expected, at: cancelled.at })
      const mark = yield* store.head(Layout.cancelled(run.id))
      assert.strictEqual(Date.parse(cancelled.at), Math.trunc(mark!.modifiedAt))
      assert.deepStrictEqual(
        JSON.parse(new TextDecoder().decode((yield* store.get(Layout.cancelled(run.id)))!)),
        { version: 1, why: "cancel", at }
      )
      assert.deepStrictEqual(Schema.decodeUnknownSync(Cancelled)(JSON.parse(JSON.stringify(cancelled))), cancelled)
      // A job that had ended is not asked to stop.
      assert.deepStrictEqual(jobs.stops, jobs.made.slice(1).map(({ state }) => state.arn))
      assert.lengthOf(yield* ends(rig), 3)
      assert.deepInclude(events, { _tag: "Stopping", runId: run.id, why: "cancel", open: 2 })
      const result = yield* drive(start()(awaitAll(run.jobs.map(submit))))
      assert.deepStrictEqual(
        result.map(({ status }) => status),
        ["Completed", "Stopped", "Stopped", "Refused", "Refused"]
      )
      assert.lengthOf(jobs.creates, 3)
    }))

  it.effect("done again changes nothing, nor does it to a run that has ended", () =>
    Effect.gen(function*() {
      const rig = yield* bench(3)
      const { jobs, run, start } = rig
      yield* submitted(rig, run.jobs)
      jobs.change(0, { counters: counters(1) })
      const first = yield* drive(start()(cancel(run.id)))
      assert.strictEqual(first.jobs.stopped, 3)
      const calls = [jobs.stops.length, jobs.lists.length, jobs.gets.length]
      const again = yield* drive(start()(cancel(run.id)))
      assert.deepStrictEqual(again, { ...first, jobs: { ...first.jobs, ended: 3, stopped: 0 } })
      assert.deepStrictEqual([jobs.stops.length, jobs.lists.length, jobs.gets.length], calls)

      const other = yield* bench(2)
      yield* submitted(other, other.run.jobs)
      other.jobs.endAll()
      yield* drive(other.start()(awaitAll(other.run.jobs.map(submit))))
      const ended = yield* drive(other.start()(cancel(other.run.id)))
      assert.deepStrictEqual(ended.jobs, { ...nothing, total: 2, ended: 2, uncounted: 2 })
      assert.lengthOf(other.jobs.stops, 0)
    }))

  it.effect("keeps anybody from submitting more, and lets what was processed be collected", () =>
    Effect.gen(function*() {
      const rig = yield* bench(3)
      const { jobs, run, start } = rig
      const waiting = yield* Effect.forkChild(drive(start()(awaitAll(run.jobs.map(submit), { concurrency: 1 }))))
      const cancelled = yield* drive(Effect.delay(start()(cancel(run.id)), "5 minutes"))
      assert.deepStrictEqual([cancelled.jobs.stopped, cancelled.jobs.neverSent], [1, 2])
      const result = yield* Fiber.join(waiting)
      assert.sameMembers(result.map(({ status }) => status), ["Stopped", "Refused", "Refused"])
      assert.lengthOf(jobs.creates, 1)
      const error = yield* Effect.flip(drive(start()(Effect.forEach(run.jobs, submit))))
      assert.deepInclude(error.reason, { _tag: "RunConflict", problem: "cancelled" })
      const { report } = yield* drive(start()(collect(run, result)))
      assert.deepStrictEqual([report.records, report.counts.missing], [6, 6])
    }))

  it.effect("is a mark alone for a run that is not prepared, and fails for one that does not exist", () =>
    Effect.gen(function*() {
      const { jobs, run, start, store } = yield* bench(1)
      yield* store.create(Layout.plan("begun"), text("{}"))
      const begun = yield* drive(start()(cancel("begun")))
      assert.deepStrictEqual([begun.jobs, begun.records], [nothing, none])
      assert.isNotNull(yield* store.head(Layout.cancelled("begun")))

      const error = yield* Effect.flip(drive(start()(cancel("unknown"))))
      assert.deepInclude(error.reason, { _tag: "RunConflict", problem: "not-found" })
      assert.isNull(yield* store.head(Layout.cancelled("unknown")))
      const wrong = yield* Effect.flip(drive(start()(cancel("a/b"))))
      assert.deepInclude(wrong.reason, { _tag: "InvalidOption", path: "runId" })
      const options = yield* Effect.flip(drive(start()(cancel(run.id, { wait: "no" as never }))))
      assert.deepInclude(options.reason, { _tag: "InvalidOption", path: "wait" })
      assert.isNull(yield* store.head(Layout.cancelled(run.id)))
      assert.lengthOf(jobs.lists, 0)
    }))

  it.effect("takes a mark for a mark, whatever is in it", () =>
    Effect.gen(function*() {
      const { run, start, store } = yield* bench(1)
      yield* store.create(Layout.cancelled(run.id), new Uint8Array(0))
      assert.strictEqual((yield* drive(start()(cancel(run.id)))).jobs.neverSent, 1)
    }))

  it.effect("finds and stops the job of a lost answer, and reports what the list alone settles", () =>
    Effect.gen(function*() {
      const rig = yield* bench(6)
      const { jobs, run, start } = rig
      jobs.listLag = minutes(2)
      const turns: ReadonlyArray<Turn> = ["lost", "error-accepted", "dropped", "lost", "error"]
      for (const [i, turn] of turns.entries()) yield* claimedBy(rig, run.jobs[i]!, turn)
      jobs.change(2, { status: "Completed", counters: counters(2) })
      const before = yield* now
      const cancelled = yield* drive(start()(cancel(run.id)), 5_000)
      assert.deepStrictEqual(cancelled.jobs, {
        ...nothing,
        total: 6,
        ended: 1,
        stopped: 2,
        settledByList: 2,
        neverSent: 1,
        uncounted: 2
      })
      assert.deepStrictEqual(cancelled.settledByList, ["1-000002", "1-000004"])
      assert.deepStrictEqual(cancelled.records, { total: 12, processed: 2, notRun: 6, unknown: 4 })
      assert.strictEqual(jobs.open, 0)
      assert.isAtLeast((yield* now) - before, minutes(5))
      assert.lengthOf(yield* ends(rig), 3)
      // They are stopped when they are found, not when all is settled.
      assert.isTrue(jobs.made.every(({ at, stoppedAt }) => stoppedAt === null || stoppedAt <= at + minutes(2.5)))
    }))

  it.effect("settles any number of jobs by the same lists", () =>
    Effect.gen(function*() {
      const counted = Effect.fnUntraced(function*(count: number) {
        const rig = yield* bench(count)
        const { jobs, run, start } = rig
        for (const job of run.jobs) yield* claimedBy(rig, job, "dropped")
        const lists = jobs.lists.length
        let store = 0
        const before = (operation: string) => Effect.sync(() => void (operation === "list" && store++))
        const cancelled = yield* drive(start({ before })(cancel(run.id)), 5_000)
        assert.lengthOf(cancelled.settledByList, count)
        return [jobs.lists.length - lists, store]
      })
      const [one, many] = [yield* counted(1), yield* counted(8)]
      // Claims of different ages are looked at a little more often.
      assert.isAtMost(many[0]!, one[0]! + 3)
      assert.isAtMost(many[1]!, one[1]! + 3)
    }))

  it.effect("counts a job as refused that the service refused for good, and as never sent one that it put off", () =>
    Effect.gen(function*() {
      const rig = yield* bench(3)
      const { jobs, run, start } = rig
      jobs.turns.push("validation", "quota", "access")
      yield* drive(Effect.forEach(run.jobs, (job) => Effect.exit(start()(submit(job)))))
      const cancelled = yield* drive(start()(cancel(run.id)))
      assert.deepStrictEqual(cancelled.jobs, { ...nothing, total: 3, refused: 1, neverSent: 2 })
      assert.deepStrictEqual(cancelled.records, { ...none, total: 6, notRun: 6 })
      assert.lengthOf(jobs.lists, 0)
    }))

  it.effect("returns after the stop calls where it is not to wait, and finishes when it is called again", () =>
    Effect.gen(function*() {
      const rig = yield* bench(5)
      const { jobs, run, start } = rig
      yield* submitted(rig, run.jobs.slice(0, 2))
      jobs.change(0, { status: "Expired", counters: counters(0) })
      yield* claimedBy(rig, run.jobs[2]!, "dropped")
      yield* claimedBy(rig, run.jobs[3]!, "lost")
      const before = yield* now
      const first = yield* drive(start()(cancel(run.id, { wait: false })))
      assert.strictEqual(yield* now, before)
      assert.deepStrictEqual(first.jobs, {
        ...nothing,
        total: 5,
        ended: 1,
        stopping: 2,
        unsettled: 1,
        neverSent: 1,
        uncounted: 3
      })
      assert.deepStrictEqual(first.unsettled, ["1-000002"])
      assert.deepStrictEqual(first.records, { total: 10, processed: 0, notRun: 4, unknown: 6 })
      assert.lengthOf(jobs.stops, 2)
      yield* TestClock.adjust("1 minute")
      const second = yield* drive(start()(cancel(run.id)), 5_000)
      assert.deepStrictEqual(second.jobs, {
        ...nothing,
        total: 5,
        ended: 3,
        settledByList: 1,
        neverSent: 1,
        uncounted: 2
      })
      assert.strictEqual(jobs.open, 0)
    }))

  it.effect("stops the jobs of all attempts", () =>
    Effect.gen(function*() {
      const rig = yield* bench(2)
      const { jobs, run, start, store } = rig
      yield* submitted(rig, run.jobs)
      jobs.endFirst()
      const again: Job = {
        ...run.jobs[0]!,
        key: "2-000000",
        attempt: 2,
        name: `${run.id}-2-000000-x`,
        token: "2".repeat(64),
        output: Layout.outputs(run.id, "2-000000"),
        records: 1
      }
      const list = jobLists.encode([again])
      const key = Layout.jobList(run.id, "second")
      yield* store.create(key, list)
      yield* store.create(
        Layout.attempt(run.id, 2),
        attempts.encode({
          version: 1,
          runId: run.id,
          attempt: 2,
          createdAt: run.manifest.createdAt,
          outcomes: ["failed"],
          errors: "mendable",
          lane: "auto",
          records: 1,
          jobs: { key, count: 1, sha256: sha256(list) }
        })
      )
      yield* submitted(rig, [again])
      const cancelled = yield* drive(start()(cancel(run.id)))
      assert.deepStrictEqual(cancelled.jobs, { ...nothing, total: 3, ended: 1, stopped: 2, uncounted: 3 })
      assert.strictEqual(cancelled.records.total, 5)
      assert.strictEqual(jobs.open, 0)
    }))

  it.effect("ends a job on demand that a dead process left, with the answers that it has", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 10, 23))
      const store = memoryStore()
      const jobs = new ScriptedJobs()
      const calls = new ScriptedOnDemand()
      calls.concurrency = 1
      calls.millis = () => 10_000
      const start = processOf(store, jobs, { onDemand: calls.service })
      const begun = yield* onDemandJob(store, [0, 1, 2, 3])
      const never: Job = { ...begun, key: "1-000001", output: Layout.onDemand("run", "1-000001") }
      const list = jobLists.encode([begun, never])
      yield* store.create("run/jobs.json", list)
      yield* store.create(Layout.plan("run"), text("{}"))
      const template = yield* bench(1)
      const bytes = yield* template.store.get(Layout.manifest(template.run.id))
      const manifest = JSON.parse(new TextDecoder().decode(bytes!))
      manifest.runId = "run"
      manifest.jobs = { key: "run/jobs.json", count: 2, sha256: sha256(list) }
      yield* store.create(Layout.manifest("run"), text(JSON.stringify(manifest)))

      const fiber = yield* Effect.forkChild(start(submit(begun)))
      yield* TestClock.adjust("25 seconds")
      yield* Fiber.interrupt(fiber).pipe(Effect.forkChild)
      yield* TestClock.adjust("1 minute")
      const soon = yield* start(cancel("run", { wait: false }))
      assert.deepStrictEqual(soon.jobs, { ...nothing, total: 2, stopping: 1, neverSent: 1, uncounted: 1 })
      const cancelling = yield* Effect.forkChild(start(cancel("run")))
      yield* TestClock.adjust("10 minutes")
      const cancelled = yield* Fiber.join(cancelling)
      assert.deepStrictEqual(cancelled.jobs, { ...nothing, total: 2, stopped: 1, neverSent: 1 })
      assert.strictEqual(cancelled.records.total, 8)
      assert.isAbove(cancelled.records.processed, 0)
      assert.strictEqual(cancelled.records.processed + cancelled.records.notRun, 8)
      assert.deepStrictEqual([jobs.stops.length, jobs.lists.length], [0, 0])
    }))

  it.effect("stores the mark, and stops nothing with a client of another Region", () =>
    Effect.gen(function*() {
      const rig = yield* bench(1)
      const { jobs, run, start, store } = rig
      yield* submitted(rig, run.jobs)
      const abroad = { ...jobs.service, region: "eu-west-1" }
      const error = yield* Effect.flip(drive(start({ jobs: abroad })(cancel(run.id))))
      assert.deepInclude(error.reason, { _tag: "InvalidOption", path: "region" })
      assert.include(error.message, "is in Region us-east-1")
      assert.isNotNull(yield* store.head(Layout.cancelled(run.id)))
      assert.lengthOf(jobs.stops, 0)
    }))

  it.effect("asks all jobs to stop before it fails for one of them, and again while it is throttled", () =>
    Effect.gen(function*() {
      const rig = yield* bench(6)
      const { jobs, run, start } = rig
      yield* submitted(rig, run.jobs)
      const failed = (code: string, status: number) => toBatchError("stop", { code, status, message: "x" })
      jobs.stopFailures.push(
        failed("ThrottlingException", 429),
        failed("ResourceNotFoundException", 404),
        failed("InternalServerException", 500)
      )
      const error = yield* Effect.flip(drive(start()(cancel(run.id))))
      assert.deepInclude(error.reason, { _tag: "Refused", code: "ResourceNotFoundException" })
      assert.deepStrictEqual([jobs.stops.length, jobs.open, (yield* ends(rig)).length], [8, 1, 5])
      const again = yield* drive(start()(cancel(run.id)))
      assert.deepStrictEqual([again.jobs.ended, again.jobs.stopped, jobs.open], [5, 1, 0])
    }))

  it.effect("outlives a list that is throttled", () =>
    Effect.gen(function*() {
      const rig = yield* bench(2)
      const { jobs, run, start } = rig
      yield* submitted(rig, run.jobs.slice(0, 1))
      yield* claimedBy(rig, run.jobs[1]!, "lost")
      for (let i = 0; i < 5; i++) {
        jobs.listFailures.push(toBatchError("list", { code: "ThrottlingException", status: 429, message: "x" }))
      }
      const cancelled = yield* drive(start()(cancel(run.id)))
      assert.deepStrictEqual([cancelled.jobs.stopped, jobs.open], [2, 0])
    }))

  it.effect("finishes, done again, what an earlier one began that died at any write or call", () =>
    Effect.gen(function*() {
      let deaths = 0
      for (let at = 0;; at++) {
        const rig = yield* bench(5)
        const { jobs, run, start } = rig
        yield* submitted(rig, run.jobs.slice(0, 2))
        yield* claimedBy(rig, run.jobs[2]!, "lost")
        yield* claimedBy(rig, run.jobs[3]!, "dropped")
        let writes = 0
        let dead = false
        const step = Effect.suspend(() => {
          dead ||= writes++ === at
          return dead ? Effect.die(new Death()) : Effect.void
        })
        const around = (operation: string) => operation === "create" || dead ? step : Effect.void
        const stop = (arn: string) => step.pipe(Effect.andThen(jobs.stop(arn)), Effect.tap(() => step))
        const dying = start({ before: around, after: around, jobs: { ...jobs.service, stop } })
        const exit = yield* drive(Effect.exit(dying(cancel(run.id))), 5_000)
        if (Exit.isSuccess(exit)) break
        deaths++
        const cancelled = yield* drive(start()(cancel(run.id)), 5_000)
        const { ended, settledByList, stopped } = cancelled.jobs
        assert.deepStrictEqual([ended + stopped, settledByList], [3, 1], `death ${at}`)
        assert.deepStrictEqual([jobs.open, jobs.made.length], [0, 3], `death ${at}`)
        assert.lengthOf(yield* ends(rig), 3)
        assert.isTrue(jobs.made.every(({ state }) => state.status === "Stopped"))
      }
      // The mark, an adoption, three calls to stop and three ends, before and after each; an intent is read again.
      assert.isAtLeast(deaths, 16)
    }), 60_000)
})

// --- cancelling while others submit

interface World {
  readonly processes: number
  readonly listLag: number
  readonly showsTokens: boolean
  /** Longest time of one store operation, in milliseconds. */
  readonly slowest: number
  readonly deaths: number
  readonly wait: boolean
  /** Whether jobs end by themselves now and then. */
  readonly ends: boolean
}

const world: World = {
  processes: 2,
  listLag: 0,
  showsTokens: true,
  slowest: 12_000,
  deaths: 3,
  wait: true,
  ends: false
}

const turns: ReadonlyArray<Turn> = [
  "accept",
  "accept",
  "accept",
  "lost",
  "lost",
  "dropped",
  "error-accepted",
  "error",
  "no-arn",
  "quota",
  "throttled",
  "validation"
]

/** A prepared run of three jobs, as the objects that it is. */
const template = Effect.gen(function*() {
  const store = memoryStore()
  const run = yield* processOf(store, new ScriptedJobs())(prepare({
    name: "jokes",
    source: Source.rows(Array.from({ length: 6 }, (_, i) => ({ topic: `topic ${i}` }))),
    model,
    prompt: Prompt.make("A joke about {topic}."),
    maxRecordsPerJob: 2
  }))
  const { objects } = yield* store.list("")
  const read = (key: string) => Effect.map(store.get(key), (bytes) => [key, bytes!] as const)
  const contents = yield* Effect.forEach(objects, ({ key }) => read(key))
  return { run, contents }
})

/** Lets processes run a run to its end while another cancels it, until all of them are done. */
const explore = Effect.fnUntraced(
  function*({ contents, run }: Effect.Success<typeof template>, seed: number, world: World) {
    const chance = chanceOf(seed)
    const store = memoryStore()
    for (const [key, bytes] of contents) yield* store.create(key, bytes)
    const jobs = new ScriptedJobs()
    jobs.tokenKept = 0
    jobs.listLag = world.listLag
    jobs.showsTokens = world.showsTokens
    jobs.stopLasts = chance.below(180_000)
    let deaths = world.deaths
    let faults = 4
    const pause = (most: number) => Effect.suspend(() => Effect.sleep(chance.below(most)))
    const step = Effect.suspend(() => {
      if (deaths > 0 && chance.happens(0.01)) {
        deaths--
        return Effect.die(new Death())
      }
      return chance.happens(0.4) ? pause(world.slowest) : Effect.void
    })
    const service = BatchJobs.of({
      ...jobs.service,
      // The call goes its own way: it takes effect within the minute, whether or not its process lives to see it.
      create: Effect.fnUntraced(function*(request: CreateRequest) {
        const turn = faults > 0 ? turns[chance.below(turns.length)]! : "accept"
        if (turn !== "accept") faults--
        const call = Effect.suspend(() => {
          jobs.turns.unshift(turn)
          return jobs.create(request)
        })
        const delay = pause(chance.happens(0.3) ? 55_000 : 2_000)
        const calling = yield* Effect.forkDetach(Effect.andThen(delay, call), { startImmediately: true })
        yield* step
        const answer = yield* Fiber.join(calling)
        yield* step
        return answer
      }),
      list: (query) => Stream.concat(Stream.fromEffectDrain(step), jobs.service.list(query)),
      stop: (arn) => step.pipe(Effect.andThen(jobs.stop(arn)), Effect.tap(() => step))
    })
    const alive = processOf(store, jobs, { before: () => step, after: () => step, jobs: service })
    /** Lives one after the other until one comes to its end. */
    const lives = <A, E extends BatchError>(life: Effect.Effect<A, E>) =>
      Effect.gen(function*() {
        for (let count = 0; count < 60; count++) {
          const exit = yield* Effect.exit(life)
          if (Exit.isSuccess(exit)) return exit.value
          yield* pause(Exit.findErrorOption(exit)._tag === "Some" ? 10_000 : 300_000)
        }
        return yield* Effect.die(new Error("no end"))
      })

    const waiting = alive(awaitAll(run.jobs.map(submit)))
    const fibers = yield* Effect.forEach(
      Array.from({ length: world.processes }),
      () => Effect.forkChild(Effect.andThen(pause(60_000), lives(waiting)))
    )
    const ending = Effect.andThen(pause(120_000), Effect.sync(() => jobs.endFirst()))
    if (world.ends) yield* Effect.forkChild(Effect.forever(ending))
    const cancelling = yield* Effect.forkChild(Effect.gen(function*() {
      yield* pause(chance.happens(0.5) ? 80_000 : 300_000)
      const cancelled = yield* lives(alive(cancel(run.id, { wait: world.wait })))
      const { objects } = yield* store.list(Layout.ledger(run.id))
      const ends = objects.filter(({ key }) => key.endsWith(".end")).length
      return { cancelled, made: jobs.made.length, open: jobs.open, ends }
    }))
    const all = [...fibers, cancelling]
    const waits = () => all.some((fiber) => fiber.pollUnsafe() === undefined)
    for (let hours = 0; hours < 12 && waits(); hours++) yield* TestClock.adjust("1 hour")
    if (waits()) return yield* Effect.die(new Error(`seed ${seed}: after 12 hours somebody still waits`))
    const done = yield* Fiber.join(cancelling)
    const results = yield* Effect.forEach(fibers, Fiber.join)
    return { jobs, done, results, start: processOf(store, jobs) }
  }
)

const cases: ReadonlyArray<readonly [string, Partial<World>]> = [
  ["two processes", {}],
  ["two processes, a list that lags a minute and shows no tokens", { listLag: 60_000, showsTokens: false }],
  ["two processes, a list that lags two minutes, a slow store", { listLag: 120_000, slowest: 25_000 }],
  ["three processes, jobs that end by themselves", { processes: 3, ends: true, deaths: 5 }],
  ["no process but a dead one", { processes: 1, deaths: 1 }],
  ["two processes, without waiting", { wait: false }]
]

describe("cancel, over seeded interleavings with processes that submit", { timeout: 120_000 }, () => {
  it.effect.each(cases)("leaves no job open and none unknown: %s", ([, change]) =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 10, 23))
      const prepared = yield* template
      const seen = { stopped: 0, byList: 0, neverSent: 0, racing: 0 }
      for (let seed = 1; seed <= 80; seed++) {
        const { done, jobs, results, start } = yield* explore(prepared, seed, { ...world, ...change })
        const told = `seed ${seed}`
        const { cancelled } = done
        const names = jobs.made.map(({ request }) => request.jobName)
        assert.strictEqual(new Set(names).size, names.length, told)
        const counted = cancelled.jobs
        if (change.wait === false) {
          // What it did not wait for, the next one finds.
          const fiber = yield* Effect.forkChild(start(cancel(prepared.run.id)))
          yield* TestClock.adjust("1 hour")
          const { ended, stopped, stopping, unsettled } = (yield* Fiber.join(fiber)).jobs
          assert.deepStrictEqual([ended + stopped, stopping, unsettled], [jobs.made.length, 0, 0], told)
        } else {
          // When it says that it is done, all jobs that ever are have ended, and their ends are recorded.
          assert.deepStrictEqual([done.open, done.made, done.ends], [0, jobs.made.length, jobs.made.length], told)
          assert.strictEqual(counted.ended + counted.stopped, jobs.made.length, told)
          assert.deepStrictEqual([counted.stopping, counted.unsettled], [0, 0], told)
        }
        assert.strictEqual(jobs.open, 0, told)
        const { total, notRun, processed, unknown } = cancelled.records
        assert.deepStrictEqual([total, total], [6, notRun + processed + unknown], told)
        for (const key of cancelled.settledByList) {
          assert.isFalse(names.some((name) => name.includes(`-${key}-`)), `${told}: ${key}`)
        }
        // Everybody who waited has an element for each job, and is right about those that were not submitted.
        for (const element of results.flat()) {
          const made = names.some((name) => name.includes(`-${element.key}-`))
          if (element.status !== "Refused") assert.isTrue(made, told)
          else if (element.code === "Cancelled") assert.isFalse(made, `${told}: ${element.key}`)
        }
        if (counted.stopped > 0) seen.stopped++
        if (counted.settledByList > 0) seen.byList++
        if (counted.neverSent > 0) seen.neverSent++
        if (counted.stopped > 0 && counted.neverSent > 0) seen.racing++
      }
      assert.isAbove(seen.neverSent, 2)
      if (change.wait !== false) assert.isAbove(Math.min(seen.stopped, seen.byList), 2)
    }))
})
