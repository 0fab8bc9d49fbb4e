import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Fiber, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Slots from "../../src/schedule/Slots.ts"

/** Takes a slot for so long, and notes its number when it has it. */
const worker = (slots: Slots.Slots, log: Array<number>, id: number, millis: number) =>
  Effect.scoped(Effect.gen(function*() {
    yield* slots.take
    log.push(id)
    yield* Effect.sleep(millis)
  }))

describe("Slots", () => {
  it.effect("lets as many in as there are slots, first come first served", () =>
    Effect.gen(function*() {
      const slots = Slots.make(2)
      const log: Array<number> = []
      yield* Effect.forEach([0, 1, 2, 3, 4], (id) => Effect.forkChild(worker(slots, log, id, 1000)))
      yield* TestClock.adjust(0)
      assert.deepStrictEqual([log, slots.held()], [[0, 1], 2])
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual([log, slots.held()], [[0, 1, 2, 3], 2])
      yield* TestClock.adjust(2000)
      assert.deepStrictEqual([log, slots.held()], [[0, 1, 2, 3, 4], 0])
    }))

  it.effect("does not let a late comer pass those who wait", () =>
    Effect.gen(function*() {
      const slots = Slots.make(1)
      const scope = yield* Scope.make()
      yield* Scope.provide(slots.take, scope)
      const log: Array<number> = []
      yield* Effect.forkChild(worker(slots, log, 1, 10), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      yield* Effect.forkChild(worker(slots, log, 2, 10), { startImmediately: true })
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(log, [1, 2])
    }))

  it.effect("tells everybody who waits for room of it, and gives none of it away", () =>
    Effect.gen(function*() {
      const slots = Slots.make(1)
      const log: Array<number> = []
      yield* Effect.forkChild(worker(slots, log, 1, 1000), { startImmediately: true })
      yield* Effect.forkChild(worker(slots, log, 2, 1000), { startImmediately: true })
      const told: Array<number> = []
      for (const id of [3, 4]) {
        yield* Effect.forkChild(Effect.andThen(slots.room, Effect.sync(() => told.push(id))), { startImmediately: true })
      }
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual([log, told], [[1, 2], []])
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual([told, slots.held()], [[3, 4], 0])
      yield* slots.room
    }))

  it.effect("counts holders beyond the limit, and lets nobody in until they are gone", () =>
    Effect.gen(function*() {
      const slots = Slots.make(1)
      const scope = yield* Scope.make()
      yield* Scope.provide(Effect.all([slots.hold, slots.hold, slots.hold]), scope)
      assert.strictEqual(slots.held(), 3)
      const log: Array<number> = []
      const waiting = yield* Effect.forkChild(worker(slots, log, 1, 10), { startImmediately: true })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(log, [])
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(10)
      yield* Fiber.join(waiting)
      assert.strictEqual(slots.held(), 0)
    }))

  it.effect("lets those who wait in when the limit grows, and none when it shrinks", () =>
    Effect.gen(function*() {
      const slots = Slots.make(3)
      const log: Array<number> = []
      yield* Effect.forEach([0, 1, 2, 3, 4, 5], (id) => Effect.forkChild(worker(slots, log, id, 1000)))
      yield* TestClock.adjust(0)
      yield* slots.resize(1)
      assert.strictEqual(slots.held(), 3)
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual([log, slots.held()], [[0, 1, 2, 3], 1])
      yield* slots.resize(2)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(log, [0, 1, 2, 3, 4])
    }))

  it.effect("gives the slot of one who was interrupted, waiting or holding, to the next", () =>
    Effect.gen(function*() {
      const slots = Slots.make(1)
      const log: Array<number> = []
      const fork = (id: number) => Effect.forkChild(worker(slots, log, id, 1000), { startImmediately: true })
      const [holding, waiting, next] = [yield* fork(0), yield* fork(1), yield* fork(2)]
      yield* Fiber.interrupt(waiting)
      yield* Fiber.interrupt(holding)
      yield* TestClock.adjust(1000)
      yield* Fiber.join(next)
      assert.deepStrictEqual([log, slots.held()], [[0, 2], 0])
    }))

  it.effect("loses no slot with one who is interrupted as his turn comes", () =>
    Effect.gen(function*() {
      const slots = Slots.make(1)
      const log: Array<number> = []
      const scope = yield* Scope.make()
      yield* Scope.provide(slots.take, scope)
      const waiting = yield* Effect.forkChild(worker(slots, log, 1, 1000), { startImmediately: true })
      const next = yield* Effect.forkChild(worker(slots, log, 2, 1000), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      yield* Effect.sync(() => waiting.interruptUnsafe())
      yield* TestClock.adjust(2000)
      yield* Fiber.await(next)
      assert.deepStrictEqual([log.at(-1), slots.held()], [2, 0])
    }))

  it.effect("lets any number in at once, though each of them changes the limit as it comes in", () =>
    Effect.gen(function*() {
      const slots = Slots.make(0)
      let inside = 0
      const one = Effect.scoped(Effect.gen(function*() {
        yield* slots.take
        inside++
        yield* slots.resize(30_000)
        yield* Effect.never
      }))
      yield* Effect.forEach(Array.from({ length: 20_000 }), () => Effect.forkChild(one, { startImmediately: true }))
      yield* slots.resize(10_000)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual([inside, slots.held()], [20_000, 20_000])
    }))

  it.effect("fails those who wait, and neither those who hold nor those who come later", () =>
    Effect.gen(function*() {
      const slots = Slots.make<"full">(1)
      const once = Effect.scoped(Effect.andThen(slots.take, Effect.sleep(1000)))
      const take = Effect.forkChild(once, { startImmediately: true })
      const [holding, waiting, interrupted] = [yield* take, yield* take, yield* take]
      yield* slots.fail("full")
      yield* Effect.sync(() => interrupted.interruptUnsafe())
      const later = yield* take
      assert.strictEqual(yield* Effect.flip(Fiber.join(waiting)), "full")
      yield* Fiber.await(interrupted)
      assert.strictEqual(slots.held(), 1, "no slot comes of one who never had any")
      yield* TestClock.adjust(1000)
      yield* Fiber.join(holding)
      yield* TestClock.adjust(1000)
      yield* Fiber.join(later)
      assert.strictEqual(slots.held(), 0)
    }))

  const between = (minimum: number, maximum: number) =>
    Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

  it.effect.prop(
    "is never above its limit and loses no slot, whoever comes, stays, is interrupted, and however it is resized",
    {
      limit: between(1, 3),
      workers: Arbitrary.array(
        Arbitrary.all({ from: between(0, 9), stays: between(1, 9), interrupted: between(0, 12) }),
        { maxLength: 8 }
      ),
      resizes: Arbitrary.array(Arbitrary.all({ at: between(0, 9), limit: between(1, 3) }), { maxLength: 2 })
    },
    Effect.fnUntraced(function*({ limit, resizes, workers }) {
      const slots = Slots.make(limit)
      let inside = 0
      let most = 0
      const run = ({ from, interrupted, stays }: typeof workers[number]) =>
        Effect.scoped(Effect.gen(function*() {
          yield* Effect.sleep(from)
          yield* slots.take
          yield* Effect.acquireRelease(
            Effect.sync(() => void (most = Math.max(most, ++inside))),
            () => Effect.sync(() => void inside--)
          )
          yield* Effect.sleep(stays)
        })).pipe(Effect.timeoutOption(interrupted < 10 ? from + interrupted : "1 day"))
      yield* Effect.forEach(workers, (worker) => Effect.forkChild(run(worker)))
      yield* Effect.forEach(resizes, ({ at, limit }) => Effect.forkChild(Effect.delay(slots.resize(limit), at)))
      yield* TestClock.adjust("1 hour")
      assert.isAtMost(most, Math.max(limit, ...resizes.map((resize) => resize.limit)))
      assert.deepStrictEqual([inside, slots.held()], [0, 0])
    }),
    { arbitrary: { runs: 150, size: 20 }, timeout: 60_000 }
  )
})
