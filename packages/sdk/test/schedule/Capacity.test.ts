import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Limits from "../../src/Limits.ts"
import * as Capacity from "../../src/schedule/Capacity.ts"

const target = { region: "us-east-1", model: "anthropic.claude-haiku-4-5-20251001-v1:0" }

/** Takes slots one after the other, each for so long, and counts them. */
const taking = Effect.fnUntraced(function*(wanted: Capacity.Target, count: number, millis: number) {
  const capacity = yield* Capacity.Capacity
  const state = { taken: 0, held: 0 }
  yield* Effect.forEach(
    Array.from({ length: count }),
    () =>
      Effect.forkChild(
        Effect.scoped(Effect.gen(function*() {
          yield* capacity.take(wanted)
          state.taken++
          state.held++
          yield* Effect.sleep(millis)
          state.held--
        })),
        { startImmediately: true }
      )
  )
  return state
})

const open = (maxOpenJobs: number) => Capacity.layerFixed({ region: "us-east-1", limits: { maxOpenJobs } })

describe("Capacity", () => {
  it.effect("gives the default quotas, and those that are set", () =>
    Effect.gen(function*() {
      const capacity = yield* Capacity.Capacity
      assert.strictEqual(capacity.region, "us-east-1")
      assert.deepStrictEqual(yield* capacity.limits(target), { ...Limits.defaults, maxOpenJobs: 7 })
    }).pipe(Effect.provide(open(7))))

  it.effect("shares slots between a model and its inference profiles, and with no other model or Region", () =>
    Effect.gen(function*() {
      const hour = 3_600_000
      const direct = yield* taking(target, 1, hour)
      const profile = yield* taking({ ...target, model: `us.${target.model}` }, 1, hour)
      const arn = yield* taking(
        { ...target, model: `arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.${target.model}` },
        1,
        hour
      )
      const other = yield* taking({ ...target, model: "amazon.titan-embed-text-v2:0" }, 2, hour)
      const elsewhere = yield* taking({ ...target, region: "eu-west-1" }, 2, hour)
      assert.deepStrictEqual([direct, profile, arn, other, elsewhere].map(({ taken }) => taken), [1, 1, 0, 2, 2])
    }).pipe(Effect.provide(open(2))))

  it.effect("shrinks to what is open when the service says quota, and grows by one a minute for those who wait", () =>
    Effect.gen(function*() {
      const capacity = yield* Capacity.Capacity
      const state = yield* taking(target, 10, 3_600_000)
      assert.strictEqual(state.taken, 10)
      const waiting = yield* taking(target, 5, 3_600_000)
      for (let i = 0; i < 6; i++) assert.strictEqual(yield* capacity.exceeded(target), 60_000)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(waiting.taken, 0)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(waiting.taken, 0, "the quota of ten is never passed")
      yield* TestClock.adjust("58 minutes")
      assert.strictEqual(waiting.taken, 5)
    }).pipe(Effect.provide(open(10))))

  it.effect("grows while jobs wait, though none comes or ends", () =>
    Effect.gen(function*() {
      const capacity = yield* Capacity.Capacity
      const first = yield* taking(target, 2, 86_400_000)
      yield* capacity.exceeded(target)
      const waiting = yield* taking(target, 8, 86_400_000)
      assert.deepStrictEqual([first.held, waiting.taken], [2, 0])
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(waiting.taken, 0)
      const seen: Array<number> = []
      for (let minute = 2; minute <= 9; minute++) {
        yield* TestClock.adjust("1 minute")
        seen.push(waiting.taken)
      }
      assert.deepStrictEqual(seen, [1, 2, 3, 4, 5, 6, 7, 8])
    }).pipe(Effect.provide(open(100))))

  it.effect("lets one try a pause after the last quota where nothing is open, and not before", () =>
    Effect.gen(function*() {
      const capacity = yield* Capacity.Capacity
      yield* Effect.scoped(Effect.andThen(capacity.take(target), capacity.exceeded(target)))
      const state = yield* taking(target, 3, 86_400_000)
      yield* TestClock.adjust("50 seconds")
      yield* capacity.exceeded(target)
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual(state.taken, 0)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(state.taken, 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(state.taken, 2)
    }).pipe(Effect.provide(open(100))))

  it.effect("counts jobs that are open already", () =>
    Effect.gen(function*() {
      const capacity = yield* Capacity.Capacity
      yield* Effect.scoped(Effect.gen(function*() {
        yield* capacity.hold(target)
        yield* capacity.hold(target)
        const state = yield* taking(target, 1, 1000)
        assert.strictEqual(state.taken, 0)
      }))
      const state = yield* taking(target, 1, 1000)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(state.taken, 1)
    }).pipe(Effect.provide(open(2))))
})
