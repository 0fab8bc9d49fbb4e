import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { awaitAll } from "../../src/awaitAll.ts"
import { BatchError, Unavailable } from "../../src/BatchError.ts"
import type { EndedJob, RefusedJob, SubmittedJob } from "../../src/Job.ts"
import { submit } from "../../src/submit.ts"
import * as Wait from "../../src/wait/Wait.ts"
import { bench } from "../rig/Bench.ts"
import { drive } from "../rig/WatchedStore.ts"

/** A service that notes who was registered, and how many create calls there were then. */
const tokensOf = (calls: () => number, failures: Array<BatchError> = []) => {
  const registered: Array<readonly [job: string, token: string, calls: number]> = []
  const service = Wait.TaskTokens.of({
    register: (job, token) =>
      Effect.suspend(() => {
        const failure = failures.shift()
        if (failure !== undefined) return Effect.fail(failure)
        registered.push([job.key, token, calls()])
        return Effect.void
      })
  })
  return { registered, service }
}

describe("Wait.taskToken", () => {
  it.effect("stores the token before the paid call, and hands the job over without waiting", () =>
    Effect.gen(function*() {
      const { jobs, job, ledger, start } = yield* bench(1)
      const { registered, service } = tokensOf(() => jobs.creates.length)
      const handed: ReadonlyArray<SubmittedJob | EndedJob | RefusedJob> = yield* drive(
        start()(
          awaitAll([submit(job)], { wait: Wait.taskToken("token-1") }).pipe(
            Effect.provideService(Wait.TaskTokens, service)
          )
        )
      )
      assert.deepStrictEqual(registered, [[job.key, "token-1", 0]])
      assert.lengthOf(jobs.creates, 1)
      assert.lengthOf(jobs.lists, 0)
      assert.strictEqual(jobs.open, 1)
      assert.notProperty(handed[0], "status")
      assert.strictEqual((handed[0] as SubmittedJob).arn, jobs.made[0]!.state.arn)
      assert.isFalse((yield* ledger).some((key) => key.endsWith(".end")))
    }))

  it.effect("stores another token for a job that is open already, and creates nothing", () =>
    Effect.gen(function*() {
      const { jobs, job, start } = yield* bench(1)
      const { registered, service } = tokensOf(() => jobs.creates.length)
      const once = (token: string) =>
        drive(start()(
          awaitAll([submit(job)], { wait: Wait.taskToken(token) }).pipe(Effect.provideService(Wait.TaskTokens, service))
        ))
      const first = yield* once("token-1")
      assert.deepStrictEqual(yield* once("token-2"), first)
      assert.deepStrictEqual(registered, [[job.key, "token-1", 0], [job.key, "token-2", 1]])
      assert.lengthOf(jobs.creates, 1)
    }))

  it.effect("looks at no other job's ledger, however many jobs the run has", () =>
    Effect.gen(function*() {
      const { job, jobs, run, start } = yield* bench(3)
      const { service } = tokensOf(() => jobs.creates.length)
      const looked: Array<string> = []
      const around = {
        before: (operation: string, key: string) =>
          Effect.sync(() => void (key.startsWith(`${run.id}/jobs/`) && looked.push(`${operation} ${key}`)))
      }
      yield* drive(start(around)(
        awaitAll([submit(job)], { wait: Wait.taskToken("token") }).pipe(Effect.provideService(Wait.TaskTokens, service))
      ))
      assert.isAbove(looked.length, 0)
      assert.deepStrictEqual(looked.filter((one) => !one.includes(`/jobs/${job.key}.`)), [])
    }))

  it.effect("gives a job that has ended, or is refused, with its status", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(2)
      const { service } = tokensOf(() => jobs.creates.length)
      const one = (index: number) =>
        drive(start()(
          awaitAll([submit(run.jobs[index]!)], { wait: Wait.taskToken("token") }).pipe(
            Effect.provideService(Wait.TaskTokens, service)
          )
        ))
      jobs.turns.push("accept", "validation")
      yield* one(0)
      jobs.endAll("Failed")
      yield* drive(start()(awaitAll([submit(run.jobs[0]!)])))
      assert.deepInclude((yield* one(0))[0], { status: "Failed" })
      assert.deepInclude((yield* one(1))[0], { status: "Refused" })
    }))

  it.effect("takes one submission, and refuses more or none before anything is paid for or stored", () =>
    Effect.gen(function*() {
      const { jobs, ledger, run, start } = yield* bench(2)
      const { registered, service } = tokensOf(() => jobs.creates.length)
      const two = awaitAll(run.jobs.map(submit), { wait: Wait.taskToken("token") })
      const error = yield* Effect.flip(drive(start()(Effect.provideService(two, Wait.TaskTokens, service))))
      assert.deepInclude(error.reason, { _tag: "InvalidOption", path: "wait" })
      const none = awaitAll(run.jobs.slice(0, 0).map(submit), { wait: Wait.taskToken("token") })
      const empty = yield* Effect.flip(drive(start()(Effect.provideService(none, Wait.TaskTokens, service))))
      assert.deepInclude(empty.reason, { _tag: "InvalidOption", path: "wait" })
      assert.match(empty.reason.message, /takes 1 submission at least, and not 0/)
      assert.deepStrictEqual([registered.length, jobs.creates.length, (yield* ledger).length], [0, 0, 0])
      const waiter = yield* Effect.provideService(Wait.taskToken("token").open, Wait.TaskTokens, service)
      yield* waiter.before(run.jobs[0]!)
      yield* waiter.before(run.jobs[0]!)
      assert.strictEqual((yield* Effect.flip(waiter.before(run.jobs[1]!))).reason._tag, "InvalidOption")
      const nameless = Effect.provideService(Wait.taskToken("").open, Wait.TaskTokens, service)
      assert.strictEqual((yield* Effect.flip(nameless)).reason._tag, "InvalidOption")
    }))

  it.effect("creates no job when the token cannot be stored", () =>
    Effect.gen(function*() {
      const { jobs, job, start } = yield* bench(1)
      const reason = new Unavailable({ code: "server", message: "no table", retryAfterMillis: null })
      const { service } = tokensOf(() => 0, [new BatchError({ module: "Test", method: "register", reason })])
      const waiting = awaitAll([submit(job)], { wait: Wait.taskToken("token") })
      const error = yield* Effect.flip(drive(start()(Effect.provideService(waiting, Wait.TaskTokens, service))))
      assert.strictEqual(error.reason.message, "no table")
      assert.lengthOf(jobs.creates, 0)
    }))
})

describe("awaitAll", () => {
  it.effect("tells the waiter that a job's end is stored, after it is", () =>
    Effect.gen(function*() {
      const { jobs, ledger, run, start } = yield* bench(2)
      const stored: Array<string> = []
      const polling = Wait.polling()
      const wait: typeof polling = {
        ...polling,
        open: Effect.map(polling.open, (waiter) => ({
          ...waiter,
          recorded: (job) =>
            Effect.map(Effect.orDie(ledger), (keys) => void (keys.includes(`${job.key}.end`) && stored.push(job.key)))
        }))
      }
      const all = awaitAll(run.jobs.map(submit), { wait })
      const ending = Effect.forever(Effect.delay(Effect.sync(() => jobs.endFirst()), 60_000))
      const ended = yield* drive(start()(Effect.raceFirst(all, ending)), 5_000)
      assert.lengthOf(ended, 2)
      assert.sameMembers(stored, run.jobs.map(({ key }) => key))
    }))
})
