import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type Event, Progress } from "../src/Progress.ts"
import * as ProgressSummary from "../src/ProgressSummary.ts"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

const minute = 60_000
const hour = 60 * minute

const prepared = (records: number, jobs: number, runId = "run"): Event =>
  ({ _tag: "Prepared", runId, records, jobs, done: true })
const awaiting = (records: number, jobs: number, attempt = 1, runId = "run"): Event =>
  ({ _tag: "Awaiting", runId, attempt, records, jobs })
const submitted = (job: string, how: "sent" | "found" | "known" = "sent", at = 0, runId = "run"): Event => ({
  _tag: "Submitted",
  runId,
  job,
  records: 100,
  arn: "arn",
  how,
  submittedAt: new Date(at).toISOString()
})
const counters = (processed: number, failed = 0) => ({ total: 100, processed, succeeded: processed - failed, failed })
const changed = (job: string, status: string, processed: number, failed = 0, runId = "run"): Event =>
  ({ _tag: "JobChanged", runId, job, status, records: 100, processed, counters: counters(processed, failed) })
type Status = Extract<Event, { readonly _tag: "Ended" }>["status"]
const ended = (
  job: string,
  processed: number | null,
  status: Status = "Completed",
  known = false,
  runId = "run"
): Event => ({
  _tag: "Ended",
  runId,
  job,
  status,
  records: 100,
  counters: processed === null ? null : counters(processed),
  known
})
const finished = (runId = "run", attempt = 1): Event => ({
  _tag: "Finished",
  runId,
  attempt,
  records: 100,
  jobs: 1,
  counts: { succeeded: 100, truncated: 0, refused: 0, invalid: 0, failed: 0, expired: 0, missing: 0 },
  inputTokens: 1,
  outputTokens: 1
})
const waiting = (why: "slots" | "quota", millis: number, job = "1-000001"): Event =>
  ({ _tag: "Waiting", runId: "run", job, why, millis })

/** Folds events, each with its time. */
const fold = (events: ReadonlyArray<readonly [number, Event]>) => {
  const folding = ProgressSummary.make()
  for (const [at, event] of events) folding.follow(event, at)
  return (at: number) => folding.summary(at)
}
const runOf = (events: ReadonlyArray<readonly [number, Event]>, at: number) => fold(events)(at).runs[0]!

const usedHeap = (): number => {
  setFlagsFromString("--expose-gc")
  runInNewContext("gc")()
  return process.memoryUsage().heapUsed
}

describe("ProgressSummary", () => {
  it("says where a run stands", () => {
    const events: ReadonlyArray<readonly [number, Event]> = [
      [0, prepared(400, 4)],
      [0, awaiting(400, 4)],
      [0, submitted("1-000000")],
      [0, submitted("1-000001")],
      [minute, changed("1-000000", "InProgress", 40, 4)],
      [2 * minute, changed("1-000000", "Completed", 100, 10)],
      [2 * minute, ended("1-000000", 100)],
      [2 * minute, waiting("slots", minute, "1-000002")]
    ]
    assert.deepStrictEqual(runOf(events, 2 * minute + 1000), {
      runId: "run",
      phase: "running",
      attempt: 1,
      records: { total: 400, processed: 100, failed: 10, notRun: 0, unknown: 0 },
      jobs: { total: 4, waiting: 2, open: { Submitted: 1 }, ended: { Completed: 1 }, collected: 0 },
      recordsPerMinute: 100 * minute / (2 * minute + 1000),
      left: { from: 3 * minute, to: 10 * minute },
      waiting: { why: "slots", job: "1-000002", millis: 59_000 }
    })
  })

  it("goes from phase to phase", () => {
    const events: ReadonlyArray<Event> = [
      { _tag: "Prepared", runId: "run", records: 50, jobs: 0, done: false },
      prepared(100, 1),
      awaiting(100, 1),
      { _tag: "Stopping", runId: "run", why: "deadline", open: 1 },
      ended("1-000000", 30, "Stopped"),
      finished(),
      { _tag: "Retrying", runId: "run", attempt: 2, records: 70, jobs: 1 },
      awaiting(70, 1, 2)
    ]
    const phases = events.map((_, i) => runOf(events.slice(0, i + 1).map((event) => [0, event] as const), 0).phase)
    assert.deepStrictEqual(phases, [
      "preparing",
      "prepared",
      "running",
      "stopping",
      "collecting",
      "finished",
      "prepared",
      "running"
    ])
  })

  it("says what ended jobs left undone, and what is not known of them", () => {
    const { jobs, records } = runOf([
      [0, awaiting(500, 5)],
      [0, ended("1-000000", 60, "Expired")],
      [0, ended("1-000001", null, "Completed")],
      [0, ended("1-000002", null, "Failed")],
      [0, ended("1-000003", null, "Refused")]
    ], 0)
    assert.deepStrictEqual(records, { total: 500, processed: 160, failed: 0, notRun: 140, unknown: 100 })
    assert.deepStrictEqual(jobs.ended, { Expired: 1, Completed: 1, Failed: 1, Refused: 1 })
    assert.strictEqual(jobs.waiting, 1)
  })

  it("counts what is told twice, late or of an earlier attempt once", () => {
    const events: ReadonlyArray<readonly [number, Event]> = [
      [0, awaiting(200, 2)],
      [0, submitted("1-000000")],
      [0, ended("1-000000", 80, "Stopped")],
      [0, changed("1-000000", "InProgress", 50)],
      [0, submitted("1-000000", "known")],
      [0, ended("1-000000", 80, "Stopped", true)]
    ]
    const once = runOf(events.slice(0, 3), minute)
    assert.deepStrictEqual(runOf(events, minute), once)
    const second = runOf([...events, [0, awaiting(20, 1, 2)], [0, ended("1-000001", 100)]], minute)
    assert.deepStrictEqual([second.attempt, second.records.total, second.records.processed], [2, 20, 0])
  })

  it("takes the pace of the last ten minutes, and not what others had processed before", () => {
    const at = fold([
      [0, awaiting(10_000, 100)],
      [0, submitted("1-000000", "known")],
      [0, changed("1-000000", "InProgress", 70)],
      [0, ended("1-000002", 100, "Completed", true)]
    ])
    assert.isNull(at(minute).all.recordsPerMinute)
    assert.isNull(at(minute).all.left)
    const folding = ProgressSummary.make()
    folding.follow(awaiting(100_000, 1000), 0)
    for (let job = 0; job < 60; job++) {
      const key = `1-${String(job).padStart(6, "0")}`
      folding.follow(submitted(key, "sent", job * minute), job * minute)
      // The first half hour is four times as fast.
      folding.follow(changed(key, "InProgress", job < 30 ? 100 : 25), (job + 1) * minute)
    }
    const rate = folding.summary(hour).all.recordsPerMinute
    assert.isTrue(rate !== null && rate >= 24 && rate <= 27, `${rate}`)
    assert.isTrue(folding.summary(2 * hour).all.recordsPerMinute === 0)
  })

  it("sums the runs, and says nothing of the end until it can for each of them", () => {
    const first: ReadonlyArray<readonly [number, Event]> = [
      [0, awaiting(100, 1)],
      [0, submitted("1-000000")],
      [hour, changed("1-000000", "InProgress", 50)]
    ]
    const second = (runId: string): ReadonlyArray<readonly [number, Event]> => [
      [0, awaiting(100, 1, 1, runId)],
      [0, submitted("1-000000", "sent", 0, runId)]
    ]
    const alone = fold(first)(hour).all
    assert.deepStrictEqual(alone.left, runOf(first, hour).left)
    assert.isNotNull(alone.left)
    const both = fold([...first, ...second("other")])(hour).all
    assert.deepInclude(both, { runs: 2, finished: 0, left: null })
    assert.deepStrictEqual(both.records, { total: 200, processed: 50, failed: 0, notRun: 0, unknown: 0 })
    assert.deepStrictEqual(both.jobs.open, { InProgress: 1, Submitted: 1 })
    const done: ReadonlyArray<readonly [number, Event]> = [
      [hour, ended("1-000000", 100, "Completed", false, "other")],
      [hour, finished("other")]
    ]
    const then = fold([...first, ...second("other"), ...done])(hour).all
    assert.deepInclude(then, { finished: 1, left: alone.left })
  })

  it("knows what is waited for until it is over", () => {
    const events: ReadonlyArray<readonly [number, Event]> = [[0, awaiting(100, 2)], [0, waiting("quota", minute)]]
    assert.deepStrictEqual(runOf(events, 20_000).waiting, { why: "quota", job: "1-000001", millis: 40_000 })
    assert.isNull(runOf(events, minute).waiting)
    assert.isNull(runOf([...events, [0, submitted("1-000001")]], 0).waiting)
    const shorter = runOf([...events, [0, waiting("slots", 1000, "1-000002")]], 0).waiting
    assert.strictEqual(shorter?.why, "quota")
  })

  it("keeps nothing of 10,000 jobs that have ended but a bit each", () => {
    const folding = ProgressSummary.make()
    const events = (from: number, to: number) => {
      for (let job = from; job < to; job++) {
        const key = `1-${String(job).padStart(6, "0")}`
        folding.follow(submitted(key, "sent", job), job)
        for (let step = 1; step <= 5; step++) folding.follow(changed(key, "InProgress", 20 * step), job)
        folding.follow(changed(key, "Completed", 100), job)
        folding.follow(ended(key, 100), job)
        folding.follow({ _tag: "Collected", runId: "run", job: key, records: 100 }, job)
        if (job % 100 === 0) folding.summary(job)
      }
    }
    folding.follow(awaiting(2_000_000, 20_000), 0)
    events(0, 10_000)
    assert.deepStrictEqual(folding.summary(10_000).all.jobs, {
      total: 20_000,
      waiting: 10_000,
      open: {},
      ended: { Completed: 10_000 },
      collected: 10_000
    })
    const before = usedHeap()
    events(10_000, 20_000)
    // One object for each job would be more.
    assert.isBelow(usedHeap() - before, 200_000)
    assert.strictEqual(folding.summary(20_000).all.records.processed, 2_000_000)
  })

  it("forgets finished runs beyond the last hundred", () => {
    const folding = ProgressSummary.make()
    folding.follow(prepared(1, 1, "going on"), 0)
    for (let i = 0; i < 300; i++) {
      folding.follow(prepared(1, 1, `run-${i}`), 0)
      folding.follow(finished(`run-${i}`), 0)
    }
    const { runs } = folding.summary(0)
    assert.deepStrictEqual([runs.length, runs[0]?.runId, runs.at(-1)?.runId], [101, "going on", "run-299"])
  })

  const number = (most: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: most }))
  const step = Arbitrary.schema(Schema.Struct({
    kind: Schema.Literals(["submitted", "changed", "ended", "collected", "waiting", "stopping", "retrying"]),
    run: number(1),
    job: number(7),
    attempt: number(1),
    processed: number(130),
    failed: number(40),
    counted: Schema.Boolean,
    how: Schema.Literals(["sent", "found", "known"]),
    status: Schema.Literals(["Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired", "Refused"]),
    millis: number(10 * minute)
  }))
  const isSummary = Schema.is(ProgressSummary.Summary)

  it.prop(
    "goes forward only within an attempt, and stays whole, whatever comes in whatever order",
    { steps: Arbitrary.array(step, { maxLength: 60 }) },
    ({ steps }) => {
      const folding = ProgressSummary.make()
      folding.follow(awaiting(800, 8, 1, "run-0"), 0)
      folding.follow(awaiting(800, 8, 1, "run-1"), 0)
      let at = 0
      let before = folding.summary(at).runs
      for (const { attempt, counted, failed, how, job, kind, millis, processed, run, status } of steps) {
        at += millis
        const runId = `run-${run}`
        const key = `${attempt + 1}-${String(job).padStart(6, "0")}`
        const own = counted ? { total: 100, processed, succeeded: Math.max(0, processed - failed), failed } : null
        const event: Event = kind === "submitted"
          ? submitted(key, how, at - millis, runId)
          : kind === "changed"
          ? { _tag: "JobChanged", runId, job: key, status: "InProgress", records: 100, processed, counters: own }
          : kind === "ended"
          ? { _tag: "Ended", runId, job: key, status, records: 100, counters: own, known: how === "known" }
          : kind === "collected"
          ? { _tag: "Collected", runId, job: key, records: 100 }
          : kind === "waiting"
          ? { _tag: "Waiting", runId, job: key, why: "throttled", millis }
          : kind === "stopping"
          ? { _tag: "Stopping", runId, why: "cancel", open: 1 }
          : { _tag: "Retrying", runId, attempt: attempt + 1, records: 100, jobs: 1 }
        folding.follow(event, at)
        const summary = folding.summary(at)
        assert.isTrue(isSummary(summary), JSON.stringify(summary))
        assert.deepStrictEqual(JSON.parse(JSON.stringify(summary)), summary)
        summary.runs.forEach(({ attempt, jobs, left, records }, i) => {
          const sum = (states: Readonly<Record<string, number>>) => Object.values(states).reduce((a, b) => a + b, 0)
          assert.strictEqual(jobs.waiting + sum(jobs.open) + sum(jobs.ended), jobs.total)
          assert.isAtMost(records.processed + records.notRun + records.unknown, records.total)
          assert.isAtMost(records.failed, records.processed)
          if (left !== null) assert.isAtMost(left.from, left.to)
          const was = before[i]!
          assert.isAtLeast(attempt, was.attempt)
          if (attempt > was.attempt) return
          assert.isAtLeast(records.processed, was.records.processed)
          assert.isAtLeast(records.notRun + records.unknown, was.records.notRun + was.records.unknown)
          assert.isAtLeast(sum(jobs.ended), sum(was.jobs.ended))
          assert.isAtLeast(jobs.collected, was.jobs.collected)
        })
        before = summary.runs
      }
    },
    { arbitrary: { runs: 300 } }
  )

  describe("stream", () => {
    const tell = (event: Event) => Effect.flatMap(Progress, (listener) => listener(event))
    const program = Effect.gen(function*() {
      yield* tell(awaiting(400, 4))
      for (let job = 0; job < 4; job++) {
        yield* tell(submitted(`1-00000${job}`))
        yield* Effect.sleep(400)
        yield* tell(ended(`1-00000${job}`, 100))
      }
    })
    const processed = (summaries: ReadonlyArray<ProgressSummary.Summary>) =>
      summaries.map(({ all }) => all.records.processed)

    it.effect("gives summaries at their pace, and the last one at the end", () =>
      Effect.gen(function*() {
        const collecting = yield* Effect.forkChild(
          Stream.runCollect(ProgressSummary.stream(program, { every: "500 millis" }))
        )
        yield* TestClock.adjust("5 seconds")
        const summaries = yield* Fiber.join(collecting)
        assert.deepStrictEqual(processed(summaries), [0, 100, 200, 300, 400])
      }))

    it.effect("fails as the effect fails, after the last summary", () =>
      Effect.gen(function*() {
        const told: Array<ProgressSummary.Summary> = []
        const failing = Effect.andThen(tell(awaiting(400, 4)), Effect.fail("no"))
        const exit = yield* Effect.exit(
          Stream.runForEach(ProgressSummary.stream(failing), (summary) => Effect.sync(() => told.push(summary)))
        )
        assert.deepStrictEqual(exit, Exit.fail("no"))
        assert.strictEqual(told.at(-1)?.all.records.total, 400)
      }))
  })
})
