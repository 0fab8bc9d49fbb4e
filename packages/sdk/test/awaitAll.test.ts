import { assert, describe, it } from "@effect/vitest"
import { Clock, Data, Effect, Exit, Fiber } from "effect"
import { awaitAll } from "../src/awaitAll.ts"
import { BatchError, Refused, Unavailable } from "../src/BatchError.ts"
import { collect, finish } from "../src/collect.ts"
import type { EndedJob, SubmittedJob } from "../src/Job.ts"
import * as Progress from "../src/Progress.ts"
import { submit } from "../src/submit.ts"
import type { WaitStrategy } from "../src/wait/Wait.ts"
import { bench } from "./rig/Bench.ts"
import type { ScriptedJobs } from "./rig/ScriptedJobs.ts"
import { drive, settled } from "./rig/WatchedStore.ts"

/** Ends the longest open job every so often, while an effect runs. */
const whileEnding = <A, E, R>(jobs: ScriptedJobs, effect: Effect.Effect<A, E, R>, millis = 60_000) =>
  Effect.raceFirst(
    effect,
    Effect.forever(Effect.delay(Effect.sync(() => jobs.endFirst()), millis))
  )

const statuses = (ended: ReadonlyArray<{ readonly status: string }>) => ended.map(({ status }) => status)
const now = Clock.currentTimeMillis
const step = 5_000

const unavailable = new BatchError({
  module: "S3",
  method: "create",
  reason: new Unavailable({ code: "server", message: "not now", retryAfterMillis: null })
})

class Death extends Data.Error<{}> {}

describe("awaitAll", () => {
  it.effect("keeps as many jobs open as it may, and gives their ends in order", () =>
    Effect.gen(function*() {
      const { jobs, ledger, run, start } = yield* bench(6)
      const ended = yield* drive(start()(whileEnding(jobs, awaitAll(run.jobs.map(submit), { concurrency: 2 }))), step)
      assert.deepStrictEqual(statuses(ended), Array.from({ length: 6 }, () => "Completed"))
      assert.deepStrictEqual(ended.map(({ key }) => key), run.jobs.map(({ key }) => key))
      assert.deepStrictEqual([jobs.mostOpen, jobs.creates.length], [2, 6])
      assert.lengthOf((yield* ledger).filter((key) => key.endsWith(".end")), 6)
    }))

  it.effect("opens no more jobs than the capacity has slots", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(6)
      yield* drive(start({ limits: { maxOpenJobs: 3 } })(whileEnding(jobs, awaitAll(run.jobs.map(submit)))), step)
      assert.deepStrictEqual([jobs.mostOpen, jobs.creates.length], [3, 6])
    }))

  it.effect("needs neither slot nor call for jobs that have ended", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(3)
      const first = yield* drive(start()(whileEnding(jobs, awaitAll(run.jobs.map(submit)))), step)
      const before = [jobs.creates.length, jobs.lists.length]
      assert.deepStrictEqual(yield* drive(start()(awaitAll(run.jobs.map(submit), { concurrency: 1 }))), first)
      assert.deepStrictEqual([jobs.creates.length, jobs.lists.length], before)
    }))

  it.effect("counts jobs that are open already before it opens new ones", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(5)
      const late = run.jobs.slice(3)
      yield* drive(start()(Effect.forEach(late, submit)))
      assert.strictEqual(jobs.open, 2)
      const ended = yield* drive(start()(whileEnding(jobs, awaitAll(run.jobs.map(submit), { concurrency: 3 }))), step)
      assert.deepStrictEqual(ended.map(({ key }) => key), run.jobs.map(({ key }) => key))
      assert.deepStrictEqual([jobs.mostOpen, jobs.creates.length], [3, 5])
    }))

  it.effect("waits for no slot for jobs that are open, however many", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(4)
      yield* drive(start()(Effect.forEach(run.jobs, submit)))
      jobs.endAll()
      const before = yield* now
      yield* drive(start()(awaitAll(run.jobs.map(submit), { concurrency: 1 })), 1000)
      assert.isAtMost((yield* now) - before, 6_000)
    }))

  it.effect("shrinks and waits when the service says quota, and loses no job", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(5)
      jobs.turns.push("accept", "accept", "quota", "quota", "quota")
      const events: Array<Progress.Event> = []
      const before = yield* now
      const ended = yield* drive(
        start()(whileEnding(jobs, awaitAll(run.jobs.map(submit)), 600_000)).pipe(
          Effect.provideService(Progress.Progress, (event) => Effect.sync(() => void events.push(event)))
        ),
        step
      )
      assert.deepStrictEqual(statuses(ended), Array.from({ length: 5 }, () => "Completed"))
      assert.deepStrictEqual([jobs.creates.length, jobs.made.length], [8, 5])
      const waits = events.flatMap((event) => (event._tag === "Waiting" ? [event] : []))
      assert.deepStrictEqual(waits.map(({ why }) => why), ["quota", "quota", "quota"])
      assert.isTrue(waits.every(({ millis }) => millis >= 30_000 && millis <= 90_000))
      assert.isAtLeast((yield* now) - before, 600_000)
    }))

  it.effect("backs off when it is throttled, for ever longer", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(1)
      for (let i = 0; i < 30; i++) jobs.turns.push("throttled")
      const events: Array<Progress.Event> = []
      yield* drive(
        start()(whileEnding(jobs, awaitAll(run.jobs.map(submit)))).pipe(
          Effect.provideService(Progress.Progress, (event) => Effect.sync(() => void events.push(event)))
        ),
        step
      )
      assert.deepStrictEqual([jobs.creates.length, jobs.made.length], [31, 1])
      const waits = events.flatMap((event) => (event._tag === "Waiting" ? [event.millis] : []))
      assert.lengthOf(waits, 30)
      waits.forEach((millis, i) => assert.isAtMost(millis, Math.min(60_000, 1000 * 2 ** i)))
      assert.isAbove(Math.max(...waits), 20_000)
    }))

  it.effect("gives a refused job as a value, and goes on with the others", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(3)
      jobs.turns.push("accept", "validation", "accept")
      const told: Array<string> = []
      const onEnded = (job: EndedJob) => Effect.sync(() => void told.push(job.key))
      const ended = yield* drive(
        start()(whileEnding(jobs, awaitAll(run.jobs.map(submit), { concurrency: 1, onEnded }))),
        step
      )
      assert.deepStrictEqual(statuses(ended), ["Completed", "Refused", "Completed"])
      assert.deepStrictEqual(ended[1], {
        ...run.jobs[1]!,
        status: "Refused",
        code: "ValidationException",
        message: "scripted ValidationException"
      })
      assert.deepStrictEqual(told, ["1-000000", "1-000002"])
    }))

  it.effect.each(["access", "expired"] as const)("fails when the credentials are refused (%s)", (turn) =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(3)
      jobs.turns.push("accept", turn, turn)
      const { reason } = yield* Effect.flip(drive(start()(awaitAll(run.jobs.map(submit))), step))
      assert.strictEqual(reason._tag, "Refused")
      jobs.turns.length = 0
      const ended = yield* drive(start()(whileEnding(jobs, awaitAll(run.jobs.map(submit)))), step)
      assert.deepStrictEqual(statuses(ended), ["Completed", "Completed", "Completed"])
      assert.lengthOf(jobs.made, 3)
    }))

  it.effect("runs onEnded at each job's end, while others are still open, and fails with it", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(2)
      const open: Array<number> = []
      const onEnded = () => Effect.sync(() => void open.push(jobs.open))
      yield* drive(start()(whileEnding(jobs, awaitAll(run.jobs.map(submit), { onEnded }), 600_000)), step)
      assert.deepStrictEqual(open, [1, 0])
      const failing = awaitAll(run.jobs.map(submit), { onEnded: () => Effect.fail(unavailable) })
      assert.strictEqual(yield* Effect.flip(drive(start()(failing))), unavailable)
    }))

  it.effect("leaves paid jobs running when it is interrupted, and goes on with them when it is called again", () =>
    Effect.gen(function*() {
      const { jobs, ledger, run, start } = yield* bench(3)
      const fiber = yield* Effect.forkChild(start()(awaitAll(run.jobs.map(submit), { concurrency: 2 })))
      yield* settled
      yield* drive(Effect.sleep("1 minute"), step)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual([jobs.open, jobs.stops.length], [2, 0])
      assert.lengthOf((yield* ledger).filter((key) => key.endsWith(".arn")), 2)
      jobs.endFirst("Failed")
      const ended = yield* drive(start()(whileEnding(jobs, awaitAll(run.jobs.map(submit), { concurrency: 2 }))), step)
      // Which of the two open jobs the service took first is not determined.
      assert.deepStrictEqual([...statuses(ended)].sort(), ["Completed", "Completed", "Failed"])
      assert.lengthOf(jobs.creates, 3)
    }))

  it.effect("goes on after a death at any write of the ledger, and pays for each job once", () =>
    Effect.gen(function*() {
      for (const suffix of [".intent", ".claim-1", ".arn", ".end"]) {
        for (const when of ["before", "after"] as const) {
          const { jobs, run, start } = yield* bench(2)
          jobs.tokenKept = 0
          let alive = true
          const around = (operation: string, key: string) =>
            alive && operation === "create" && key.endsWith(`1-000001${suffix}`)
              ? Effect.suspend(() => {
                alive = false
                return Effect.die(new Death())
              })
              : Effect.void
          const life = start({ [when]: around })(whileEnding(jobs, awaitAll(run.jobs.map(submit))))
          assert.isTrue(Exit.isFailure(yield* drive(Effect.exit(life), step)), `${when} ${suffix}`)
          const ended = yield* drive(life, step)
          assert.deepStrictEqual(statuses(ended), ["Completed", "Completed"])
          assert.lengthOf(jobs.made, 2, `${when} ${suffix}`)
        }
      }
    }))

  it.effect("outlives a store that is away for a moment, and fails when it stays away", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(1)
      let failures = 11
      const before = (operation: string, key: string) =>
        operation === "create" && key.endsWith(".intent") && failures-- > 0 ? Effect.fail(unavailable) : Effect.void
      yield* drive(start({ before })(whileEnding(jobs, awaitAll(run.jobs.map(submit)))), step)
      assert.lengthOf(jobs.made, 1)

      const other = yield* bench(1)
      failures = 12
      assert.strictEqual(
        yield* Effect.flip(drive(other.start({ before })(awaitAll(other.run.jobs.map(submit))), step)),
        unavailable
      )
      assert.lengthOf(other.jobs.made, 0)
    }))

  it.effect("counts failures in a row only, so that one now and then between quota errors ends nothing", () =>
    Effect.gen(function*() {
      for (const turn of ["quota", "throttled"] as const) {
        const { jobs, run, start } = yield* bench(1)
        for (let i = 0; i < 40; i++) jobs.turns.push(turn)
        let heads = 0
        const before = (operation: string, key: string) =>
          operation === "head" && key.endsWith("/cancelled") && heads++ % 3 === 1
            ? Effect.fail(unavailable)
            : Effect.void
        yield* drive(start({ before })(whileEnding(jobs, awaitAll(run.jobs.map(submit)))), step)
        assert.deepStrictEqual([jobs.creates.length, jobs.made.length], [41, 1])
      }
    }))

  it.effect("gives the same job to two submissions of it, and pays once", () =>
    Effect.gen(function*() {
      const { job, jobs, start } = yield* bench(1)
      jobs.tokenKept = 0
      const ended = yield* drive(start()(whileEnding(jobs, awaitAll([submit(job), submit(job)]))), step)
      assert.deepStrictEqual(statuses(ended), ["Completed", "Completed"])
      assert.lengthOf(jobs.made, 1)
    }))

  it.effect("asks nobody when there is nothing to submit", () =>
    Effect.gen(function*() {
      const { jobs, start } = yield* bench(1)
      assert.deepStrictEqual(yield* drive(start()(awaitAll([]))), [])
      assert.lengthOf(jobs.lists, 0)
    }))

  it.effect("refuses a concurrency under one", () =>
    Effect.gen(function*() {
      const { run, start } = yield* bench(1)
      for (const concurrency of [0, -1, NaN]) {
        const { reason } = yield* Effect.flip(start()(awaitAll(run.jobs.map(submit), { concurrency })))
        assert.strictEqual(reason._tag, "InvalidOption")
      }
    }))

  it.effect("tells a waiter of each job before the paid call, and records no end that it does not give", () =>
    Effect.gen(function*() {
      const { jobs, ledger, run, start } = yield* bench(2)
      const told: Array<number> = []
      const handOver: WaitStrategy<SubmittedJob> = {
        "~@bedrock-batch/sdk/WaitStrategy": "hand-over",
        open: Effect.succeed({
          before: () => Effect.sync(() => void told.push(jobs.creates.length)),
          wait: Effect.succeed
        })
      }
      const handed = yield* drive(start()(awaitAll(run.jobs.map(submit), { concurrency: 1, wait: handOver })))
      assert.deepStrictEqual(told, [0, 1])
      assert.deepStrictEqual(handed.map((job) => "arn" in job && job.arn), jobs.made.map(({ state }) => state.arn))
      assert.lengthOf((yield* ledger).filter((key) => key.endsWith(".end")), 0)
    }))

  it.effect("takes a refusal for quota or credentials for no end, and one of the job itself for one", () =>
    Effect.gen(function*() {
      for (const turn of ["quota", "throttled", "access"] as const) {
        const { job, jobs, run, start } = yield* bench(1)
        jobs.turns.push(turn)
        yield* drive(Effect.exit(start()(submit(job))))
        const { reason } = yield* Effect.flip(start()(finish(run)))
        assert.strictEqual(reason._tag, "RunConflict", turn)
        assert.propertyVal(reason, "problem", "not-ended")
      }
      const { job, jobs, run, start } = yield* bench(1)
      jobs.turns.push("validation")
      const error = yield* Effect.flip(drive(start()(submit(job))))
      assert.instanceOf(error.reason, Refused)
      const { report } = yield* drive(start()(collect(run, [], { format: "jsonl" })))
      assert.deepStrictEqual([report.records, report.counts.missing], [2, 2])
    }))
})
