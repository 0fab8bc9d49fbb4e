import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { awaitAll } from "../src/awaitAll.ts"
import { BatchJobs } from "../src/bedrock/BatchJobs.ts"
import * as Ledger from "../src/Ledger.ts"
import { retry } from "../src/retry.ts"
import * as Run from "../src/Run.ts"
import { Capacity, layerFixed } from "../src/schedule/Capacity.ts"
import { layerLive } from "../src/schedule/LiveCapacity.ts"
import { ServiceQuotas } from "../src/schedule/Quotas.ts"
import { layerShared } from "../src/schedule/SharedCapacity.ts"
import { ObjectStore } from "../src/store/ObjectStore.ts"
import { submit } from "../src/submit.ts"
import * as Wait from "../src/wait/Wait.ts"
import { bench } from "./rig/Bench.ts"
import { ScriptedQuotas } from "./rig/ScriptedQuotas.ts"
import { drive } from "./rig/WatchedStore.ts"

const tokens = Wait.TaskTokens.of({ register: () => Effect.void })

/** Two jobs, where one may be open, and how a process hands one of them over or fails. */
const twoJobs = Effect.fnUntraced(function*(kind: "fixed" | "live" | "shared") {
  const rig = yield* bench(2)
  const services = Layer.mergeAll(
    Layer.succeed(ObjectStore, rig.store),
    Layer.succeed(BatchJobs, rig.jobs.service),
    Layer.succeed(ServiceQuotas, new ScriptedQuotas([]).service),
    Ledger.layer().pipe(Layer.provide(Layer.succeed(ObjectStore, rig.store)))
  )
  const limits = { maxOpenJobs: 1 }
  const live = layerLive({ limits }).pipe(Layer.provide(services))
  const shared = layerShared({ limits }).pipe(Layer.provide(services))
  const context = kind === "fixed" ? null : yield* Layer.build(kind === "live" ? live : shared)
  const process = rig.start({ limits })
  const hand = (index: number) => {
    const handed = awaitAll([submit(rig.run.jobs[index]!)], { wait: Wait.taskToken("token"), whenFull: "fail" }).pipe(
      Effect.provideService(Wait.TaskTokens, tokens)
    )
    return process(
      context === null ? handed : Effect.provideService(handed, Capacity, Context.get(context, Capacity))
    )
  }
  return { ...rig, hand }
})

describe("whenFull: fail", () => {
  for (const kind of ["shared", "live"] as const) {
    it.effect(`fails at once where all slots are taken (${kind}), and takes one when a job has ended`, () =>
      Effect.gen(function*() {
        const { hand, jobs } = yield* twoJobs(kind)
        yield* hand(0)
        assert.lengthOf(jobs.creates, 1)
        const error = yield* Effect.flip(hand(1))
        assert.deepInclude(error.reason, { _tag: "Unavailable", code: "quota" })
        assert.isTrue(error.isRetryable)
        assert.lengthOf(jobs.creates, 1)
        jobs.endAll()
        // What is open in the account is looked at about once a minute.
        yield* TestClock.adjust("2 minutes")
        const [handed] = yield* hand(1)
        assert.notProperty(handed, "status")
        assert.lengthOf(jobs.creates, 2)
      }))
  }

  it.effect("fails at once where this process has all slots open", () =>
    Effect.gen(function*() {
      const { run, start } = yield* bench(2)
      const capacity = Context.get(
        yield* Layer.build(layerFixed({ region: "us-east-1", limits: { maxOpenJobs: 1 } })),
        Capacity
      )
      const [first, second] = run.jobs
      yield* capacity.take(first!)
      const error = yield* Effect.flip(start()(
        awaitAll([submit(second!)], { whenFull: "fail" }).pipe(Effect.provideService(Capacity, capacity))
      ))
      assert.deepInclude(error.reason, { _tag: "Unavailable", code: "quota" })
    }))

  for (const [turn, code] of [["quota", "quota"], ["throttled", "throttled"]] as const) {
    it.effect(`fails at once where the service says ${turn}, and submits the job when it is called again`, () =>
      Effect.gen(function*() {
        const { hand, jobs, ledger } = yield* twoJobs("fixed")
        jobs.turns.push(turn)
        const error = yield* Effect.flip(hand(0))
        assert.deepInclude(error.reason, { _tag: "Unavailable", code })
        assert.include(yield* ledger, "1-000000.refused-1")
        const [handed] = yield* hand(0)
        assert.notProperty(handed, "status")
        assert.lengthOf(jobs.made, 1)
      }))
  }

  it.effect("does not lose a slot to a job that the service had no room for", () =>
    Effect.gen(function*() {
      const { hand, jobs } = yield* twoJobs("shared")
      jobs.turns.push("throttled")
      assert.deepInclude((yield* Effect.flip(hand(0))).reason, { _tag: "Unavailable", code: "throttled" })
      yield* hand(1)
      assert.lengthOf(jobs.made, 1)
    }))

  it.effect("is refused where it is neither wait nor fail", () =>
    Effect.gen(function*() {
      const { job, start } = yield* bench(1)
      const options: { whenFull: "fail" } = JSON.parse("{ \"whenFull\": \"never\" }")
      const error = yield* Effect.flip(start()(awaitAll([submit(job)], options)))
      assert.deepInclude(error.reason, { _tag: "InvalidOption", path: "whenFull" })
    }))
})

describe("Run.load and Run.open", () => {
  it.effect("give a run at the attempt that is asked for, and refuse one that was never made", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(1)
      jobs.turns.push("validation")
      yield* drive(start()(awaitAll(run.jobs.map(submit))))
      const second = yield* start()(retry(run))
      const [first, last, open] = yield* start()(Effect.all([
        Run.load(run.id, { attempt: 1 }),
        Run.load(run.id),
        Run.open(run.id, { attempt: 1 })
      ]))
      assert.deepStrictEqual([first.attempt, last.attempt, open.attempt], [1, 2, 1])
      assert.deepStrictEqual(first.jobs, run.jobs)
      assert.deepStrictEqual(last.jobs, second.jobs)
      for (const attempt of [0, 3, 1.5]) {
        const error = yield* Effect.flip(start()(Run.open(run.id, { attempt })))
        assert.deepInclude(error.reason, { _tag: "InvalidOption", path: "attempt" })
      }
    }))
})
