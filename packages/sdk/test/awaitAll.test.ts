import * as Prompt from "@bedrock-batch/processors/Prompt"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Data, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { awaitAll, type ConfirmPlan } from "../src/awaitAll.ts"
import { BatchError, Refused, type RunConflict, Unavailable } from "../src/BatchError.ts"
import { toBatchError } from "../src/bedrock/BatchJobs.ts"
import { collect, finish } from "../src/collect.ts"
import * as Layout from "../src/internal/Layout.ts"
import type { EndedJob, Job, SubmittedJob } from "../src/Job.ts"
import * as Progress from "../src/Progress.ts"
import { prepare } from "../src/prepare.ts"
import * as Source from "../src/source/Source.ts"
import { submit } from "../src/submit.ts"
import type { WaitStrategy } from "../src/wait/Wait.ts"
import { bench, model, type ProcessOptions, processOf } from "./rig/Bench.ts"
import { memoryStore } from "./rig/MemoryStore.ts"
import { ScriptedJobs, type Turn } from "./rig/ScriptedJobs.ts"
import { ScriptedOnDemand } from "./rig/ScriptedOnDemand.ts"
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
      const waits = events.flatMap((event) => (event._tag === "Waiting" && event.why !== "slots" ? [event] : []))
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

const text = (value: string) => new TextEncoder().encode(value)
const minutes = (count: number) => count * 60_000
const hours = (count: number) => count * 3_600_000

/** What became of each job, with the code of those that were refused. */
const fates = (jobs: ReadonlyArray<{ readonly status: string; readonly code?: string }>) =>
  jobs.map(({ code, status }) => code === undefined ? status : `${status}: ${code}`)

const conflictOf = (error: BatchError): RunConflict => {
  assert.strictEqual(error.reason._tag, "RunConflict")
  return error.reason as RunConflict
}

/** Leaves a job claimed, with a create call that comes to this and whose answer is lost with its process. */
const claimedBy = Effect.fnUntraced(
  function*({ jobs, start }: Effect.Success<ReturnType<typeof bench>>, job: Job, turn: Turn) {
    jobs.turns.push(turn)
    const dies = (operation: string, key: string) =>
      operation === "list" && key.endsWith(`${job.key}.`) && jobs.creates.length > before
        ? Effect.die(new Death())
        : Effect.void
    const before = jobs.creates.length
    yield* drive(Effect.exit(start({ before: dies })(submit(job))))
    assert.strictEqual(jobs.creates.length, before + 1)
  }
)

describe("awaitAll of a run that is cancelled", () => {
  it.effect("gives what was not submitted as refused, and the rest as it ended", () =>
    Effect.gen(function*() {
      for (const mark of [Layout.cancelled, (runId: string) => Layout.cancelledAttempt(runId, 1)]) {
        const { jobs, run, start, store } = yield* bench(4)
        yield* drive(start()(Effect.forEach(run.jobs.slice(1, 3), submit)))
        yield* store.create(mark(run.id), text(""))
        const told: Array<string> = []
        const onEnded = (job: EndedJob) => Effect.sync(() => void told.push(job.key))
        const ended = yield* drive(start()(whileEnding(jobs, awaitAll(run.jobs.map(submit), { onEnded }))), step)
        assert.deepStrictEqual(fates(ended), ["Refused: Cancelled", "Completed", "Completed", "Refused: Cancelled"])
        const why = mark === Layout.cancelled ? "run was cancelled" : "deadline was reached"
        assert.propertyVal(ended[0], "message", `the ${why} before this job was submitted`)
        assert.sameMembers(told, ["1-000001", "1-000002"])
        assert.lengthOf(jobs.creates, 2)
        const { report } = yield* drive(start()(collect(run, ended)))
        assert.strictEqual(report.counts.missing, 8)
      }
    }))

  it.effect("does so when it is cancelled meanwhile, by few calls to the store", () =>
    Effect.gen(function*() {
      const { jobs, run, start, store } = yield* bench(12)
      let lists = 0
      const before = (operation: string) => Effect.sync(() => void (operation === "list" && lists++))
      const fiber = yield* Effect.forkChild(
        drive(start({ before })(awaitAll(run.jobs.map(submit), { concurrency: 2 })), step)
      )
      yield* settled
      while (jobs.creates.length < 2) yield* settled
      yield* store.create(Layout.cancelled(run.id), text("{}"))
      const since = lists
      jobs.endAll()
      const ended = yield* Fiber.join(fiber)
      assert.deepStrictEqual(fates(ended), [
        "Completed",
        "Completed",
        ...Array.from({ length: 10 }, () => "Refused: Cancelled")
      ])
      assert.lengthOf(jobs.creates, 2)
      // Two jobs find out for themselves (four lists each), and read marks and ledger for all others.
      assert.isAtMost(lists - since, 2 * 4 + 2 * 2)
    }))

  it.effect("finds the job of a lost answer, since it is paid for, and says what the list alone shows", () =>
    Effect.gen(function*() {
      const rig = yield* bench(2)
      const { jobs, run, start, store } = rig
      jobs.listLag = minutes(2)
      yield* claimedBy(rig, run.jobs[0]!, "lost")
      yield* claimedBy(rig, run.jobs[1]!, "dropped")
      yield* store.create(Layout.cancelled(run.id), text("{}"))
      const ended = yield* drive(start()(whileEnding(jobs, awaitAll(run.jobs.map(submit)), minutes(20))), step)
      assert.deepStrictEqual(fates(ended), ["Completed", "Refused: Cancelled"])
      assert.propertyVal(ended[0], "adopted", true)
      assert.include((ended[1] as { readonly message: string }).message, "Bedrock's list shows no job")
      assert.deepStrictEqual([jobs.creates.length, jobs.made.length], [2, 1])
    }))

  it.effect("keeps the service's own refusal of a job", () =>
    Effect.gen(function*() {
      const { jobs, run, start, store } = yield* bench(3)
      jobs.turns.push("validation", "quota")
      yield* drive(Effect.forEach(run.jobs.slice(0, 2), (job) => Effect.exit(start()(submit(job)))))
      yield* store.create(Layout.cancelled(run.id), text("{}"))
      const ended = yield* drive(start()(awaitAll(run.jobs.map(submit))))
      assert.deepStrictEqual(fates(ended), ["Refused: ValidationException", "Refused: Cancelled", "Refused: Cancelled"])
    }))
})

describe("awaitAll with jobs on demand", () => {
  /** A run in memory whose jobs, but for the first ones, are run on demand. */
  const mixed = Effect.fnUntraced(function*(count: number, batch: number) {
    yield* TestClock.setTime(Date.UTC(2026, 10, 23))
    const store = memoryStore()
    const jobs = new ScriptedJobs()
    const calls = new ScriptedOnDemand()
    calls.concurrency = 1
    const start = (options?: ProcessOptions) => processOf(store, jobs, { onDemand: calls.service, ...options })
    const run = yield* start()(prepare({
      name: "jokes",
      source: Source.rows(Array.from({ length: 2 * count }, (_, i) => ({ topic: `topic ${i}` }))),
      model,
      prompt: Prompt.make("A joke about {topic}."),
      maxRecordsPerJob: 2
    }))
    const submissions = run.jobs.map((job, i) =>
      submit(i < batch ? job : { ...job, lane: "on-demand", output: Layout.onDemand(run.id, job.key) })
    )
    return { jobs, calls, start, submissions }
  })

  /** Runs an effect to its end, by the clock alone: nothing else is waited for. */
  const pass = Effect.fnUntraced(function*<A, E>(effect: Effect.Effect<A, E>, step: number) {
    const fiber = yield* Effect.forkChild(effect)
    for (let steps = 0; steps < 10_000 && fiber.pollUnsafe() === undefined; steps++) yield* TestClock.adjust(step)
    return yield* Fiber.join(fiber)
  })

  it.effect("runs two of them at a time, beside the batch jobs and without their slots", () =>
    Effect.gen(function*() {
      const { calls, jobs, start, submissions } = yield* mixed(6, 1)
      calls.millis = () => 2_000
      const told: Array<string> = []
      const byHand: WaitStrategy<EndedJob> = {
        "~@bedrock-batch/sdk/WaitStrategy": "by hand",
        open: Effect.succeed({
          before: ({ key }) => Effect.sync(() => void told.push(key)),
          wait: (job) => {
            const end = { status: "Completed", message: null, counters: null, repeatedCalls: 0 } as const
            return Effect.as(Effect.sleep("1 hour"), { ...job, ...end })
          }
        })
      }
      const ends: Array<string> = []
      const onEnded = ({ key }: EndedJob) => Effect.sync(() => void ends.push(key))
      const ended = yield* pass(
        start({ limits: { maxOpenJobs: 1 } })(awaitAll(submissions, { concurrency: 1, wait: byHand, onEnded })),
        step
      )
      assert.deepStrictEqual(ended.map((job) => "arn" in job && job.arn), [
        jobs.made[0]!.state.arn,
        ...Array.from({ length: 5 }, () => "on-demand")
      ])
      assert.deepStrictEqual(told, ["1-000000"])
      assert.deepStrictEqual([ends.length, ends.at(-1)], [6, "1-000000"])
      assert.deepStrictEqual([calls.mostRunning, calls.calls.length, jobs.creates.length], [2, 10, 1])
    }))

  it.effect("ends them as stopped at the cut-off, and does not begin others", () =>
    Effect.gen(function*() {
      const { calls, jobs, start, submissions } = yield* mixed(4, 0)
      // Calls that run are let finish.
      calls.millis = () => minutes(20)
      const ended = yield* pass(start()(awaitAll(submissions, { deadline: "10 minutes" })), step)
      assert.sameMembers(fates(ended), ["Stopped", "Stopped", "Refused: Cancelled", "Refused: Cancelled"])
      assert.deepStrictEqual([calls.calls.length, jobs.stops.length], [2, 0])
    }))
})

describe("awaitAll with a deadline", () => {
  it.effect("stops open jobs in time, submits nothing more, and gives an element for each", () =>
    Effect.gen(function*() {
      const { jobs, ledger, run, start, store } = yield* bench(5)
      const before = yield* now
      const events: Array<Progress.Event> = []
      const ended = yield* drive(
        start()(awaitAll(run.jobs.map(submit), { concurrency: 2, deadline: "10 hours" })).pipe(
          Effect.provideService(Progress.Progress, (event) => Effect.sync(() => void events.push(event)))
        ),
        step
      )
      assert.deepStrictEqual(fates(ended).sort(), [
        ...Array.from({ length: 3 }, () => "Refused: Cancelled"),
        "Stopped",
        "Stopped"
      ])
      const cutOff = before + hours(10) - minutes(10)
      assert.deepStrictEqual(jobs.made.map(({ stoppedAt }) => stoppedAt), [cutOff, cutOff])
      assert.isBelow(yield* now, before + hours(10))
      assert.deepStrictEqual([jobs.creates.length, jobs.stops.length], [2, 2])
      assert.lengthOf((yield* ledger).filter((key) => key.endsWith(".end")), 2)
      const mark = yield* store.get(Layout.cancelledAttempt(run.id, 1))
      assert.deepStrictEqual(JSON.parse(new TextDecoder().decode(mark!)), {
        version: 1,
        why: "deadline",
        at: new Date(before + hours(10) - minutes(10)).toISOString()
      })
      assert.isNull(yield* store.head(Layout.cancelled(run.id)))
      const stopping = events.filter(({ _tag }) => _tag === "Stopping")
      assert.deepStrictEqual(stopping, [{ _tag: "Stopping", runId: run.id, why: "deadline", open: 2 }])
      // The same call again has nothing to do.
      const again = yield* drive(start()(awaitAll(run.jobs.map(submit), { concurrency: 2, deadline: "10 hours" })))
      assert.deepStrictEqual(again, ended)
      assert.lengthOf(jobs.stops, 2)
    }))

  it.effect("keeps a tenth of a short time, and leaves alone what ended in time", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(2)
      const before = yield* now
      const ends = Effect.andThen(Effect.sleep("4 minutes"), Effect.sync(() => jobs.endFirst()))
      const waiting = start()(awaitAll(run.jobs.map(submit), { deadline: new Date(before + minutes(20)) }))
      const [ended] = yield* drive(Effect.all([waiting, ends], { concurrency: 2 }), step)
      assert.sameMembers(fates(ended), ["Completed", "Stopped"])
      assert.deepStrictEqual(jobs.made.map(({ stoppedAt }) => stoppedAt), [null, before + minutes(18)])
    }))

  it.effect("is never cut off when all ends in time", () =>
    Effect.gen(function*() {
      const { jobs, run, start, store } = yield* bench(3)
      const waiting = awaitAll(run.jobs.map(submit), { deadline: "5 hours" })
      const ended = yield* drive(start()(whileEnding(jobs, waiting)), step)
      assert.deepStrictEqual(fates(ended), ["Completed", "Completed", "Completed"])
      yield* TestClock.adjust("6 hours")
      assert.isNull(yield* store.head(Layout.cancelledAttempt(run.id, 1)))
      assert.lengthOf(jobs.stops, 0)
    }))

  it.effect("cuts off the later the fewer records remain to be asked for on demand", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(3)
      const before = yield* now
      // Six records of 20 minutes each: one job ends, another has processed one of its two.
      const reserve = { perCallMillis: minutes(20), concurrency: 1 }
      const progress = Effect.gen(function*() {
        yield* Effect.sleep("1 hour")
        jobs.change(0, { status: "Completed" })
        jobs.change(1, { status: "InProgress", counters: { total: 2, processed: 1, succeeded: 1, failed: 0 } })
      })
      const waiting = start()(awaitAll(run.jobs.map(submit), { deadline: "100 hours", reserve }))
      const [ended] = yield* drive(Effect.all([waiting, progress], { concurrency: 2 }), 30_000)
      assert.deepStrictEqual(jobs.made.map(({ stoppedAt }) => stoppedAt), [
        null,
        before + hours(100) - minutes(70),
        before + hours(100) - minutes(70)
      ])
      assert.sameMembers(fates(ended), ["Completed", "Stopped", "Stopped"])
    }))

  it.effect("that is past submits nothing, and stops what is open", () =>
    Effect.gen(function*() {
      const { job, jobs, run, start } = yield* bench(3)
      yield* drive(start()(submit(job)))
      const before = yield* now
      for (const deadline of [new Date(before - 1), 0]) {
        const ended = yield* drive(start()(awaitAll(run.jobs.map(submit), { deadline })), 1000)
        assert.deepStrictEqual(fates(ended), ["Stopped", "Refused: Cancelled", "Refused: Cancelled"])
      }
      assert.deepStrictEqual(jobs.made.map(({ stoppedAt }) => stoppedAt), [before])
      assert.deepStrictEqual([jobs.creates.length, jobs.stops.length], [1, 1])
    }))

  it.effect("gives a run that had ended before, whatever its deadline", () =>
    Effect.gen(function*() {
      const { jobs, run, start, store } = yield* bench(2)
      const first = yield* drive(start()(whileEnding(jobs, awaitAll(run.jobs.map(submit)))), step)
      for (const rescue of ["stop", "leave"] as const) {
        assert.deepStrictEqual(yield* drive(start()(awaitAll(run.jobs.map(submit), { deadline: 0, rescue }))), first)
      }
      assert.isNull(yield* store.head(Layout.cancelledAttempt(run.id, 1)))
    }))

  it.effect("goes on stopping after a death past the cut-off, and only with a deadline", () =>
    Effect.gen(function*() {
      for (const when of ["before", "after"] as const) {
        const { jobs, run, start, store } = yield* bench(3)
        const dies = (operation: string, key: string) =>
          operation === "create" && key.endsWith("/cancelled-1") ? Effect.die(new Death()) : Effect.void
        const options = { concurrency: 2, deadline: "10 hours" } as const
        const life = start({ [when]: dies })(awaitAll(run.jobs.map(submit), options))
        assert.isTrue(Exit.isFailure(yield* drive(Effect.exit(life), step)))
        const before = yield* now
        const marked = (yield* store.head(Layout.cancelledAttempt(run.id, 1))) !== null
        assert.deepStrictEqual([marked, jobs.stops.length], [when === "after", 0])
        const ended = yield* drive(start()(awaitAll(run.jobs.map(submit), options)), step)
        assert.sameMembers(fates(ended), ["Stopped", "Stopped", "Refused: Cancelled"])
        const expected = marked ? before : before + hours(10) - minutes(10)
        assert.deepStrictEqual(jobs.made.map(({ stoppedAt }) => stoppedAt), [expected, expected])
      }
      const { jobs, run, start, store } = yield* bench(2)
      yield* drive(start()(submit(run.jobs[0]!)))
      yield* store.create(Layout.cancelledAttempt(run.id, 1), text("{}"))
      const ended = yield* drive(start()(whileEnding(jobs, awaitAll(run.jobs.map(submit)))), step)
      assert.deepStrictEqual(fates(ended), ["Completed", "Refused: Cancelled"])
      assert.lengthOf(jobs.stops, 0)
    }))

  it.effect("finds, stops and counts a job whose create answer is lost when the time comes", () =>
    Effect.gen(function*() {
      for (const turn of ["lost", "error-accepted", "no-arn"] as const) {
        const { jobs, run, start } = yield* bench(2)
        jobs.turns.push(turn)
        jobs.tokenKept = 0
        jobs.listLag = minutes(3)
        const ended = yield* drive(
          start()(awaitAll(run.jobs.map(submit), { concurrency: 1, deadline: "1 minute" })),
          step
        )
        assert.sameMembers(fates(ended), ["Stopped", "Refused: Cancelled"])
        assert.isTrue(ended.some((job) => "adopted" in job && job.adopted))
        assert.deepStrictEqual([jobs.creates.length, jobs.made.length, jobs.stops.length], [1, 1, 1])
      }
    }))

  it.effect("goes on pausing after the cut-off while the service is throttled", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(1)
      jobs.turns.push("lost")
      jobs.listLag = minutes(2)
      const pauses: Array<number> = []
      const listener = (event: Progress.Event) =>
        Effect.sync(() => {
          if (event._tag === "Waiting" && event.why === "throttled") pauses.push(event.millis)
          if (event._tag !== "Stopping") return
          for (let i = 0; i < 20; i++) {
            jobs.listFailures.push(toBatchError("list", { code: "ThrottlingException", status: 429, message: "x" }))
          }
        })
      const before = yield* now
      const ended = yield* drive(
        start()(awaitAll(run.jobs.map(submit), { deadline: "1 minute" })).pipe(
          Effect.provideService(Progress.Progress, listener)
        ),
        step
      )
      assert.deepStrictEqual(fates(ended), ["Stopped"])
      assert.lengthOf(pauses, 20)
      assert.isAtLeast((yield* now) - before, pauses.reduce((sum, millis) => sum + millis))
    }))

  it.effect("waits until it is certain that a lost call made no job", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(1)
      jobs.turns.push("dropped")
      const before = yield* now
      const ended = yield* drive(start()(awaitAll(run.jobs.map(submit), { deadline: "1 minute" })), step)
      assert.deepStrictEqual(fates(ended), ["Refused: Cancelled"])
      assert.isAtLeast((yield* now) - before, minutes(5))
      assert.deepStrictEqual([jobs.creates.length, jobs.made.length], [1, 0])
    }))

  it.effect("asks again to stop while it is throttled or has no answer, and each job once", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(6)
      const failed = (code: string | null, status: number | null) =>
        toBatchError("stop", { code, status, message: "x" })
      for (let i = 0; i < 30; i++) jobs.stopFailures.push(failed("ThrottlingException", 429), failed(null, null))
      const ended = yield* drive(start()(awaitAll(run.jobs.map(submit), { deadline: "10 hours" })), step)
      assert.deepStrictEqual(fates(ended), Array.from({ length: 6 }, () => "Stopped"))
      assert.lengthOf(jobs.stops, 66)
    }))

  it.effect("waits for a job that cannot be stopped, and fails when nobody may stop jobs", () =>
    Effect.gen(function*() {
      const gone = yield* bench(2)
      const unknown = toBatchError("stop", { code: "ResourceNotFoundException", status: 404, message: "x" })
      gone.jobs.stopFailures.push(unknown)
      const waiting = gone.start()(awaitAll(gone.run.jobs.map(submit), { deadline: "1 hour" }))
      const ended = yield* drive(whileEnding(gone.jobs, waiting, hours(3)), step)
      assert.sameMembers(fates(ended), ["Completed", "Stopped"])

      const denied = yield* bench(2)
      const access = toBatchError("stop", { code: "AccessDeniedException", status: 403, message: "x" })
      denied.jobs.stopFailures.push(access, access)
      const error = yield* Effect.flip(
        drive(denied.start()(awaitAll(denied.run.jobs.map(submit), { deadline: "1 hour" })), step)
      )
      assert.deepInclude(error.reason, { _tag: "Refused", code: "AccessDeniedException" })
    }))

  it.effect("takes a job that ends by itself in the same moment for what it is", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(2)
      const service = {
        ...jobs.service,
        stop: (arn: string) => Effect.andThen(Effect.sync(() => jobs.endAll()), jobs.stop(arn))
      }
      const ended = yield* drive(start({ jobs: service })(awaitAll(run.jobs.map(submit), { deadline: "1 hour" })), step)
      assert.deepStrictEqual(fates(ended), ["Completed", "Completed"])
    }))

  it.effect("wakes up jobs that wait for the quota", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(2)
      for (let i = 0; i < 100; i++) jobs.turns.push("quota")
      const before = yield* now
      const ended = yield* drive(start()(awaitAll(run.jobs.map(submit), { deadline: "100 seconds" })), 1000)
      assert.deepStrictEqual(fates(ended), ["Refused: Cancelled", "Refused: Cancelled"])
      assert.strictEqual((yield* now) - before, 90_000)
      assert.lengthOf(jobs.made, 0)
    }))

  it.effect("stops every run and attempt that is awaited, and no other", () =>
    Effect.gen(function*() {
      const { jobs, run, start, store } = yield* bench(4)
      const other = "other"
      const [a, b, c, d] = run.jobs
      const submissions = [
        submit(a!),
        submit({ ...b!, key: "2-000000", attempt: 2, name: `${run.id}-2-000000-x`, token: "b" }),
        submit({ ...c!, runId: other, name: `${other}-1-000000-x`, token: "c" })
      ]
      yield* drive(start()(submit(d!)))
      const ended = yield* drive(start()(awaitAll(submissions, { deadline: "1 hour" })), step)
      assert.deepStrictEqual(fates(ended), ["Stopped", "Stopped", "Stopped"])
      assert.strictEqual(jobs.open, 1)
      for (const [runId, attempt] of [[run.id, 1], [run.id, 2], [other, 1]] as const) {
        assert.isNotNull(yield* store.head(Layout.cancelledAttempt(runId, attempt)))
      }
      assert.isNull(yield* store.head(Layout.cancelledAttempt(other, 2)))
    }))

  it.effect("goes on stopping only the attempts whose time had come", () =>
    Effect.gen(function*() {
      const { jobs, run, start, store } = yield* bench(2)
      const [a, b] = run.jobs
      const late = { ...b!, runId: "late", name: "late-1-000001-x", token: "b" }
      yield* drive(start()(Effect.forEach([a!, late], submit)))
      yield* store.create(Layout.cancelledAttempt(run.id, 1), text("{}"))
      const before = yield* now
      const ended = yield* drive(start()(awaitAll([submit(a!), submit(late)], { deadline: "10 hours" })), step)
      assert.deepStrictEqual(fates(ended), ["Stopped", "Stopped"])
      assert.deepStrictEqual(jobs.made.map(({ stoppedAt }) => stoppedAt), [before, before + hours(10) - minutes(10)])
    }))

  it.effect("fails when the mark cannot be stored, and outlives a store that is away for a moment", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(1)
      let failures = 5
      const before = (operation: string, key: string) =>
        operation === "create" && key.endsWith("/cancelled-1") && failures-- > 0
          ? Effect.fail(unavailable)
          : Effect.void
      const ended = yield* drive(start({ before })(awaitAll(run.jobs.map(submit), { deadline: "1 hour" })), step)
      assert.deepStrictEqual(fates(ended), ["Stopped"])

      const other = yield* bench(1)
      failures = 100
      const error = yield* Effect.flip(
        drive(other.start({ before })(awaitAll(other.run.jobs.map(submit), { deadline: "1 hour" })), step)
      )
      assert.strictEqual(error, unavailable)
      assert.deepStrictEqual([jobs.stops.length, other.jobs.stops.length], [1, 0])
    }))
})

describe("awaitAll with a deadline, leaving jobs as they are", () => {
  const leave = { deadline: "1 hour", rescue: "leave" } as const

  it.effect("fails at the deadline, stops nothing, and takes them up when it is called again", () =>
    Effect.gen(function*() {
      const { jobs, run, start, store } = yield* bench(4)
      const before = yield* now
      const ends = Effect.andThen(Effect.sleep("4 minutes"), Effect.sync(() => jobs.endFirst()))
      const waiting = Effect.flip(start()(awaitAll(run.jobs.map(submit), { ...leave, concurrency: 2 })))
      const [error] = yield* drive(Effect.all([waiting, ends], { concurrency: 2 }), step)
      const { message, problem, runId } = conflictOf(error)
      assert.deepStrictEqual([problem, runId, yield* now], ["not-ended", run.id, before + hours(1)])
      assert.include(message, `3 jobs of run ${run.id} had not ended at the deadline (2026-11-23T01:00:00.000Z)`)
      assert.include(message, "2 go on at Bedrock and will be billed, 1 are not")
      assert.deepStrictEqual([jobs.creates.length, jobs.stops.length, jobs.open], [3, 0, 2])
      assert.isNull(yield* store.head(Layout.cancelledAttempt(run.id, 1)))
      const ended = yield* drive(start()(whileEnding(jobs, awaitAll(run.jobs.map(submit), leave))), step)
      assert.deepStrictEqual(fates(ended), ["Completed", "Completed", "Completed", "Completed"])
      assert.lengthOf(jobs.creates, 4)
    }))

  it.effect("looks once at what has ended when the deadline is past, and submits nothing", () =>
    Effect.gen(function*() {
      const { jobs, ledger, run, start } = yield* bench(3)
      const past = { deadline: new Date((yield* now) - 1), rescue: "leave" } as const
      jobs.turns.push("validation")
      yield* drive(Effect.forEach(run.jobs, (job) => Effect.exit(start()(submit(job)))))
      jobs.endFirst()
      const error = yield* Effect.flip(drive(start()(awaitAll(run.jobs.map(submit), past)), step))
      assert.include(conflictOf(error).message, "1 job of run")
      assert.include(conflictOf(error).message, "1 go on at Bedrock and will be billed, 0 are not")
      assert.lengthOf((yield* ledger).filter((key) => key.endsWith(".end")), 1)
      jobs.endFirst("Expired")
      const ended = yield* drive(start()(awaitAll(run.jobs.map(submit), past)), step)
      assert.deepStrictEqual(fates(ended), ["Refused: ValidationException", "Completed", "Expired"])
      assert.deepStrictEqual([jobs.creates.length, jobs.stops.length], [3, 0])
    }))
})

describe("awaitAll with a guard on spending", () => {
  /** Notes what it is asked. */
  const asking = (answer: boolean) => {
    const asked: Array<ConfirmPlan> = []
    return { asked, confirm: (plan: ConfirmPlan) => Effect.sync(() => (asked.push(plan), answer)) }
  }

  it.effect("asks once before the first claim, and submits nothing on a no", () =>
    Effect.gen(function*() {
      const { jobs, ledger, run, start } = yield* bench(3)
      const no = asking(false)
      const error = yield* Effect.flip(drive(start()(awaitAll(run.jobs.map(submit), no))))
      const { message, problem } = conflictOf(error)
      assert.strictEqual(problem, "unconfirmed")
      assert.include(message, `6 records in 3 jobs of run ${run.id} were not confirmed; nothing was submitted`)
      const plan: ConfirmPlan = {
        runs: [{ runId: run.id, attempt: 1 }],
        records: 6,
        jobs: 3,
        bytes: run.jobs.reduce((sum, { bytes }) => sum + bytes, 0)
      }
      assert.deepStrictEqual(no.asked, [plan])
      assert.deepStrictEqual(yield* ledger, [])
      assert.lengthOf(jobs.creates, 0)
      const yes = asking(true)
      // The same job twice is one job.
      const submissions = [...run.jobs, run.jobs[0]!].map(submit)
      yield* drive(start()(whileEnding(jobs, awaitAll(submissions, yes))), step)
      assert.deepStrictEqual(yes.asked, [plan])
      assert.lengthOf(jobs.made, 3)
    }))

  it.effect("lets so many records through unasked, and fails above without somebody to ask", () =>
    Effect.gen(function*() {
      const { jobs, ledger, run, start } = yield* bench(3)
      const error = yield* Effect.flip(drive(start()(awaitAll(run.jobs.map(submit), { confirmAbove: 5 }))))
      const { message, problem } = conflictOf(error)
      assert.strictEqual(problem, "unconfirmed")
      assert.include(message, "6 records in 3 jobs")
      assert.include(message, "confirmAbove (5)")
      assert.deepStrictEqual(yield* ledger, [])
      const above = asking(true)
      const waiting = awaitAll(run.jobs.map(submit), { ...above, confirmAbove: 6 })
      yield* drive(start()(whileEnding(jobs, waiting)), step)
      assert.deepStrictEqual(above.asked, [])
      assert.lengthOf(jobs.made, 3)

      const other = yield* bench(3)
      const asked = asking(true)
      const more = awaitAll(other.run.jobs.map(submit), { ...asked, confirmAbove: 5 })
      yield* drive(other.start()(whileEnding(other.jobs, more)), step)
      assert.lengthOf(asked.asked, 1)
    }))

  it.effect("does not ask again once a job of the attempt was claimed, even if it was refused", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(3)
      jobs.turns.push("quota")
      yield* Effect.flip(drive(start()(submit(run.jobs[2]!))))
      const no = asking(false)
      yield* drive(start()(whileEnding(jobs, awaitAll(run.jobs.map(submit), { ...no, confirmAbove: 0 }))), step)
      assert.deepStrictEqual([no.asked.length, jobs.made.length], [0, 3])
    }))

  it.effect("asks for the attempts and runs that were not begun only, and not where there is nothing to submit", () =>
    Effect.gen(function*() {
      const { jobs, run, start, store } = yield* bench(4)
      const [a, b, c, d] = run.jobs
      const attempt = { ...b!, key: "2-000000", attempt: 2, name: `${run.id}-2-000000-x`, token: "b" }
      const other = { ...c!, runId: "other", name: "other-1-000002-x", token: "c" }
      const cancelled = { ...d!, runId: "cancelled", name: "cancelled-1-000003-x", token: "d" }
      yield* store.create(Layout.cancelled("cancelled"), text("{}"))
      yield* drive(start()(submit(a!)))
      const yes = asking(true)
      const submissions = [a!, attempt, other, cancelled].map(submit)
      yield* drive(start()(whileEnding(jobs, awaitAll(submissions, yes))), step)
      assert.deepStrictEqual(yes.asked.map(({ jobs, records, runs }) => ({ jobs, records, runs })), [{
        jobs: 2,
        records: 4,
        runs: [{ runId: run.id, attempt: 2 }, { runId: "other", attempt: 1 }]
      }])
      const no = asking(false)
      yield* drive(start()(awaitAll(submissions, no)), step)
      yield* drive(start()(awaitAll([], no)), step)
      yield* drive(start()(awaitAll(run.jobs.slice(1, 2).map((job) => submit({ ...job, runId: "new" })), {
        ...no,
        deadline: 0
      })))
      assert.deepStrictEqual(no.asked, [])
    }))

  it.effect("fails with what the question fails with", () =>
    Effect.gen(function*() {
      const { ledger, run, start } = yield* bench(1)
      const failing = awaitAll(run.jobs.map(submit), { confirm: () => Effect.fail(unavailable) })
      assert.strictEqual(yield* Effect.flip(drive(start()(failing))), unavailable)
      assert.deepStrictEqual(yield* ledger, [])
    }))
})

describe("awaitAll with wrong options", () => {
  it.effect("names each before anything is read or written", () =>
    Effect.gen(function*() {
      const { run, start } = yield* bench(1)
      const wrong: ReadonlyArray<readonly [string, object]> = [
        ["deadline", { deadline: new Date("soon") }],
        ["deadline", { deadline: "2026-11-23T10:00:00Z" }],
        ["deadline", { deadline: -1 }],
        ["deadline", { deadline: null }],
        ["rescue", { rescue: "on-demand" }],
        ["rescue", { rescue: null }],
        ["confirmAbove", { confirmAbove: -1 }],
        ["confirmAbove", { confirmAbove: NaN }],
        ["confirmAbove", { confirmAbove: "many" }],
        ["confirm", { confirm: true }]
      ]
      const before = () => Effect.die(new Error("the store was asked"))
      for (const [path, options] of wrong) {
        const { reason } = yield* Effect.flip(start({ before })(awaitAll(run.jobs.map(submit), options)))
        assert.strictEqual(reason._tag, "InvalidOption", JSON.stringify(options))
        assert.propertyVal(reason, "path", path)
      }
    }))
})
