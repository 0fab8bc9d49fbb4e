import { assert, describe, it } from "@effect/vitest"
import { Local } from "@bedrock-batch/emulator"
import { Effect, Layer, Schedule } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { audit } from "../rig/Audit.ts"
import { plainTable } from "../rig/Data.ts"
import { askPlain } from "../rig/Crash.ts"
import { layerOf, own, rowsPerJob, start as begin, type Task } from "../rig/Sharing.ts"
import { folder, quick, type Stack, start } from "../rig/Stack.ts"

const baseModel = "anthropic.claude-haiku-4-5-20251001-v1:0"

/** A service that takes as many jobs as anybody likes to send. */
const limits = { minRecords: 1, maxOpenJobs: 1000 }

/** Jobs of one run as the service saw them, in the order in which they came. */
const jobsOf = Effect.fnUntraced(function*(stack: Stack, name: string) {
  const listed = stack.emulator.list({ nameContains: name, maxResults: "1000" })
  const { invocationJobSummaries } = yield* Effect.orDie(listed)
  return invocationJobSummaries
    .map(({ endTime, submitTime }) => ({ from: Date.parse(submitTime), to: Date.parse(endTime ?? submitTime) }))
    .sort((a, b) => a.from - b.from)
})

/** Begins a process, which ends with the test. */
const begun = (task: Task) => Effect.acquireRelease(Effect.sync(() => begin(task)), ({ kill }) => Effect.sync(kill))

const openOf = (stack: Stack) => Effect.map(stack.emulator.stats, ({ open }) => open[baseModel] ?? 0)

/** Waits until so many jobs are open. */
const untilOpen = (stack: Stack, count: number) =>
  openOf(stack).pipe(Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (open) => open >= count }))

const check = Effect.fnUntraced(function*(stack: Stack, task: Task) {
  const collected = yield* own(task).pipe(Effect.provide(layerOf(task)))
  const { counts } = yield* audit(stack, collected, plainTable(task.jobs * rowsPerJob), askPlain)
  assert.deepStrictEqual(counts, { succeeded: task.jobs * rowsPerJob })
})

describe("slots that processes share", () => {
  it.live("are never more than the quota, and no process starves", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing: { ...quick, running: 200 }, limits })
      const tasks = ["left", "right"].map((name) => ({ options: stack.options, name, jobs: 30, slots: 4 }))
      const children = yield* Effect.forEach(tasks, begun)
      const codes = yield* Effect.promise(() => Promise.all(children.map(({ ended }) => ended)))
      assert.deepStrictEqual(codes, [0, 0], children.map(({ output }) => output()).join("\n"))
      const { jobsCreated, maxOpenSeen } = yield* stack.emulator.stats
      assert.strictEqual(jobsCreated, 60)
      // On a busy machine short jobs may have ended before the last slot is taken.
      assert.include([2, 3, 4], maxOpenSeen[baseModel])
      const runs = yield* Effect.forEach(tasks, ({ name }) => jobsOf(stack, name))
      // While both had something to do: in each half of that time both had jobs open.
      const from = Math.max(...runs.map((jobs) => jobs[0]!.from))
      const to = Math.min(...runs.map((jobs) => jobs.at(-1)!.to))
      assert.isBelow(from, to)
      const middle = (from + to) / 2
      for (const jobs of runs) {
        assert.lengthOf(jobs, 30)
        for (const [begins, ends] of [[from, middle], [middle, to]] as const) {
          assert.isTrue(jobs.some((job) => job.from < ends && job.to > begins))
        }
      }
      yield* Effect.forEach(tasks, (task) => check(stack, task))
      // What is left of the slots is no more than the newest generations.
      const keys = yield* stack.keys("capacity/")
      assert.isBelow(keys.length, 100)
      for (const key of keys) assert.match(key, /^capacity\/us-east-1\.anthropic\.claude-haiku-4-5-20251001-v1_3a0\//)
    }))

  it.live("are another's when the process that held them is killed, and its run is taken up without paying twice", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing: { ...quick, running: 1_500 }, limits })
      const [dying, living] = ["dying", "living"].map((name) => ({ options: stack.options, name, jobs: 6, slots: 3 }))
      const first = yield* begun(dying!)
      yield* untilOpen(stack, 3)
      const second = yield* begun(living!)
      yield* Effect.promise(() => second.begun)
      first.kill()
      assert.isNull(yield* Effect.promise(() => first.ended))
      assert.strictEqual(yield* Effect.promise(() => second.ended), 0, second.output())
      // Whoever needed their slots has recorded that the jobs have ended.
      const ends = (yield* stack.keys("dying")).filter((key) => key.endsWith(".end"))
      assert.isAtLeast(ends.length, 2)
      const again = yield* begun(dying!)
      assert.strictEqual(yield* Effect.promise(() => again.ended), 0, again.output())
      const { jobsCreated, maxOpenSeen } = yield* stack.emulator.stats
      assert.strictEqual(jobsCreated, 12)
      assert.strictEqual(maxOpenSeen[baseModel], 3)
      yield* Effect.forEach([dying!, living!], (task) => check(stack, task))
    }))

  it.live("are an option of the layer on AWS", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing: quick, limits: { minRecords: 1, maxOpenJobs: 5 } })
      const task = { name: "optional", jobs: 4 }
      yield* Effect.provide(own(task), stack.layer({ capacity: "shared", limits: { minRecords: 1 } }))
      const keys = yield* stack.keys("capacity/")
      assert.lengthOf(keys.filter((key) => key.endsWith(".free")), 4)
      assert.lengthOf(keys, 8)
    }))

  it.live("are an option of the layer over a folder", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      // Each asks an emulator of its own, that would take as many jobs as this process has slots.
      const layer = () =>
        Layer.fresh(
          Local.layer({ directory, capacity: "shared", timing: quick, limits: { minRecords: 1, maxOpenJobs: 2 } })
        )
      const runs = ["left", "right"].map((name) => Effect.provide(own({ name, jobs: 5 }), layer()))
      const reports = yield* Effect.all(runs, { concurrency: 2 })
      assert.deepStrictEqual(reports.map(({ report }) => report.counts.succeeded), [10, 10])
      const name = "us-east-1.anthropic.claude-haiku-4-5-20251001-v1_3a0"
      assert.deepStrictEqual(fs.readdirSync(path.join(directory, "capacity", name)).sort(), ["0000", "0001"])
    }))
})
