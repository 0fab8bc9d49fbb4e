import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, type Scope } from "effect"
import { TestClock } from "effect/testing"
import type { BatchError } from "../../src/BatchError.ts"
import { BatchJobs } from "../../src/bedrock/BatchJobs.ts"
import type { SubmittedJob } from "../../src/Job.ts"
import * as Wait from "../../src/wait/Wait.ts"
import { random } from "../rig/random.ts"
import { SimulatedJobs } from "../rig/SimulatedJobs.ts"

const minute = 60_000
const hour = 60 * minute
const slots = 100

type Waiting = (job: SubmittedJob) => Effect.Effect<unknown, BatchError>

/** Runs jobs of given times through the slots; a slot is free when the end of its job is known. */
const simulate = Effect.fnUntraced(function*(
  millis: ReadonlyArray<number>,
  waitOf: (jobs: SimulatedJobs) => Effect.Effect<Waiting, BatchError, Scope.Scope>,
  pageSize?: number
) {
  const began = Date.UTC(2026, 10, 23)
  yield* TestClock.setTime(began)
  const jobs = new SimulatedJobs(pageSize)
  const program = Effect.scoped(Effect.gen(function*() {
    const wait = yield* waitOf(jobs)
    yield* Effect.forEach(
      millis,
      Effect.fnUntraced(function*(millis, index) {
        yield* wait(jobs.submit("run", index, yield* Clock.currentTimeMillis, millis))
      }),
      { concurrency: slots, discard: true }
    )
    return yield* Clock.currentTimeMillis
  }))
  const fiber = yield* Effect.forkChild(program, { startImmediately: true })
  while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("6 hours")
  const minutes = ((yield* Fiber.join(fiber)) - began) / minute
  return { minutes, gets: jobs.gets, calls: jobs.pages + jobs.gets }
})

const by = (strategy: Wait.WaitStrategy<SubmittedJob, BatchJobs>) => (jobs: SimulatedJobs) =>
  Effect.map(Effect.provideService(strategy.open, BatchJobs, jobs.service), ({ wait }) => wait)

const atOnce = (jobs: SimulatedJobs): Effect.Effect<Waiting> =>
  Effect.succeed((job) => Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sleep(jobs.endOf(job.arn) - now)))

describe("ten thousand jobs, a hundred at a time", () => {
  it.effect.each<readonly [string, (chance: number) => number, number]>([
    ["that last minutes to hours", (chance) => 5 * minute * 48 ** chance, 1_000],
    ["that last minutes", (chance) => (6 + 6 * chance) * minute, 1_000],
    [
      "of which a few last days, where the service makes small pages",
      (chance) => chance < 0.002 ? 72 * hour : (10 + 50 * chance) * minute,
      100
    ]
  ])("%s, take hardly longer than with instant notice, and few calls", ([, millisOf, pageSize]) =>
    Effect.gen(function*() {
      const chance = random(7)
      const millis = Array.from({ length: 10_000 }, () => Math.round(millisOf(chance())))
      const ideal = yield* simulate(millis, atOnce)
      const polled = yield* simulate(millis, by(Wait.polling()), pageSize)
      assert.isAtMost(polled.minutes / ideal.minutes, 1.03)
      // Beside the create call of each job: one call a job and two a minute, at the very most.
      assert.isAtMost(polled.calls, 0.6 * (millis.length + 2 * polled.minutes))
      assert.isAtMost(polled.gets, 0.01 * millis.length)
    }), 120_000)

  it.effect("are asked for by as many calls, however many have ended since the oldest began", () =>
    Effect.gen(function*() {
      const callsWith = Effect.fnUntraced(function*(ended: number) {
        const jobs = new SimulatedJobs(100)
        yield* TestClock.setTime(100 * hour)
        const oldest = jobs.submit("run", 0, 0, 140 * hour)
        for (let index = 1; index <= ended; index++) jobs.submit("run", index, minute, hour)
        return yield* Effect.scoped(Effect.gen(function*() {
          const wait = yield* by(Wait.polling())(jobs)
          const latest = jobs.submit("run", 90_000, yield* Clock.currentTimeMillis, 30 * hour)
          const fibers = yield* Effect.forEach([oldest, latest], (job) => Effect.forkChild(wait(job)))
          yield* TestClock.adjust("24 hours")
          const { gets, pages } = jobs
          yield* TestClock.adjust("20 hours")
          for (const fiber of fibers) yield* Fiber.join(fiber)
          return [gets, pages] as const
        }))
      })
      const [few, many] = [yield* callsWith(1_500), yield* callsWith(15_000)]
      assert.deepStrictEqual(many, few)
      assert.isAtMost(few[0], 5)
    }), 60_000)
})
