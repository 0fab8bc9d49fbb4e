import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import {
  commandKinds,
  commandOf,
  type Fate,
  type Habits,
  makeWorld,
  play,
  type Process,
  usual,
  type World
} from "./rig/LedgerModel.ts"
import { memoryStore } from "./rig/MemoryStore.ts"
import { inWholeSeconds, type Waiting } from "./rig/Stage.ts"

/** How many command sequences are played; `CASES` in the environment raises it, `SEED` gives others. */
const cases = Number(process.env.CASES ?? 200)

/** Worlds of processes that share slots: what the guide on reliability rests on holds in them. */
const sound: ReadonlyArray<Partial<Habits>> = [
  { verbs: ["awaitAll", "awaitAll"], jobs: 2, slots: 1 },
  { verbs: ["awaitAll", "awaitAll"], jobs: 3, slots: 2 },
  { verbs: ["awaitAll", "submit"], jobs: 2, slots: 1 },
  { verbs: ["awaitAll", "awaitAll"], jobs: 4, parts: [[0, 1], [2, 3]], slots: 1 },
  { verbs: ["awaitAll", "awaitAll", "submit"], jobs: 5, parts: [[0, 1, 2], [2, 3], [1, 4]], slots: 2, lag: 60_000 },
  { verbs: ["submit", "submit"], jobs: 2, slots: 1 },
  { verbs: ["awaitAll", "awaitAll", "awaitAll"], jobs: 2, slots: 1, lag: 100_000 },
  { verbs: ["awaitAll", "submit", "awaitAll"], jobs: 3, slots: 2, lag: 60_000, showsTokens: false },
  { verbs: ["awaitAll", "awaitAll", "awaitAll"], jobs: 3, slots: 1, skews: [0, 3_660_000, -3_540_000] }
]

const int = (maximum: number) => Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum })))

const commands = Arbitrary.array(
  Arbitrary.map(
    Arbitrary.all([int(commandKinds - 1), int(5), int(10), int(3)]),
    ([what, who, a, b]) => commandOf(what, who, a, b)
  ),
  { maxLength: 60 }
)

describe("slots that processes share, over sequences of commands", { timeout: 3_600_000 }, () => {
  it.effect("count every open job and are never lost, whoever dies, stands still or is told what when", () =>
    Effect.gen(function*() {
      const seen = { sent: 0, several: 0, cancelled: 0 }
      const result = yield* Arbitrary.checkEffect(
        Arbitrary.all({ world: int(sound.length - 1), commands, coarse: int(1) }),
        Effect.fnUntraced(function*({ coarse, commands, world }) {
          const files = memoryStore()
          const habits = { ...usual, tokenKept: 0, ...sound[world] }
          const played = yield* play(habits, commands, coarse === 0 ? files : inWholeSeconds(files))
          seen.sent += played.sent
          seen.several += Number(played.sent > played.jobs.length)
          seen.cancelled += Number(played.cancelled)
          return true
        }),
        { runs: cases, size: 60, seed: process.env.SEED ?? 1 }
      )
      if (result._tag === "Falsified") {
        const { failure } = result
        const why = failure._tag === "PropertyError" ? failure.error.message : "it is not so"
        assert.fail(`${why}\n(run ${result.runs}, replay ${result.replay})`)
      }
      assert.isAbove(seen.several, cases / 20)
      assert.isAbove(seen.cancelled, cases / 100)
    }))
})

const minutes = (count: number) => count * 60_000

const world = (habits: Partial<Habits> = {}) =>
  makeWorld({ ...usual, tokenKept: 0, verbs: ["awaitAll", "awaitAll"], jobs: 2, slots: 1, ...habits }, memoryStore())

const first = (of: World): readonly [Process, Process] => [of.processes[0]!, of.processes[1]!]

/** An operation by its kind and a part of its key. */
type Next = readonly [Waiting["kind"], string]

const takes: Next = ["create", "capacity/"]
const claims: Next = ["create", ".claim-"]
const sends: Next = ["send", ""]
const frees: Next = ["create", ".free"]

/** Lets a process go on until it is about to do something; what is about `without` waits. */
const reach = Effect.fnUntraced(function*(of: World, process: Process, [kind, part]: Next, without = "nothing") {
  for (let steps = 0; steps < 80; steps++) {
    if (!process.runs) yield* of.step(process)
    const waiting = process.life!.waiting.filter(({ key }) => !key.includes(without))
    const next = waiting.find((waiting) => waiting.kind === kind && waiting.key.includes(part))
    if (next !== undefined) return next
    const ready = waiting.find((waiting) => waiting.ready())
    if (ready === undefined) break
    yield* of.let(process, ready)
  }
  return assert.fail(`${process.name} does not come to ${kind} ${part}:\n${of.stage.log.join("\n")}`)
})

const carryOut = Effect.fnUntraced(function*(of: World, process: Process, next: Next) {
  yield* of.let(process, yield* reach(of, process, next))
})

/** A process sends its call, and the service decides. */
const send = Effect.fnUntraced(function*(of: World, process: Process, fate: Fate) {
  yield* carryOut(of, process, sends)
  yield* of.decide(of.underWay.at(-1)!, fate)
})

/** A process goes on for as long as it can without time passing. */
const goOn = Effect.fnUntraced(function*(of: World, process: Process) {
  while (process.result === null && process.runs && (yield* of.step(process)));
})

/** A process goes on, while time passes, until it is about to do something; gives how long that took. */
const wait = Effect.fnUntraced(function*(of: World, process: Process, [kind, part]: Next) {
  const from = of.stage.now
  const isNext = ({ key, kind: what }: Waiting) => what === kind && key.includes(part)
  for (let rounds = 0; rounds < 400; rounds++) {
    while (!process.life?.waiting.some(isNext) && (yield* of.step(process)));
    if (process.life?.waiting.some(isNext)) return of.stage.now - from
    const at = Math.min(...process.life!.waiting.flatMap(({ at }) => at ?? []))
    if (!Number.isFinite(at)) break
    yield* of.pass(at - of.stage.now)
  }
  return assert.fail(`${process.name} does not come to ${kind} ${part}:\n${of.stage.log.join("\n")}`)
})

describe("a slot and its claim", () => {
  it.effect("who stands still before his claim finds it written in his place, and takes another generation", () =>
    Effect.gen(function*() {
      const of = yield* world({ jobs: 1 })
      const [a, b] = first(of)
      yield* reach(of, a, claims)
      yield* wait(of, b, ["create", "00000002"])
      assert.deepStrictEqual(yield* of.objectsOf(), ["claim-1", "intent", "refused-1"])
      assert.deepStrictEqual(yield* of.holders, [])
      yield* goOn(of, b)
      yield* goOn(of, a)
      assert.deepStrictEqual(yield* of.holders, [{ slot: 0, generation: 2, job: "1-000000", claim: 2 }])
      yield* of.finish()
      assert.strictEqual(of.sent, 1)
    }))

  it.effect("a slot is not freed while its claim is still to be written in time", () =>
    Effect.gen(function*() {
      const of = yield* world({ jobs: 1 })
      const [a, b] = first(of)
      yield* reach(of, a, claims)
      yield* goOn(of, b)
      yield* of.pass(59_000)
      yield* goOn(of, b)
      assert.deepStrictEqual(yield* of.holders, [{ slot: 0, generation: 1, job: "1-000000", claim: 1 }])
      assert.deepStrictEqual(yield* of.objectsOf(), ["intent"])
      yield* of.finish()
    }))

  it.effect("who read that a claim came to nothing frees its generation, and not the one that followed", () =>
    Effect.gen(function*() {
      const of = yield* world()
      const [a, b] = first(of)
      yield* send(of, a, "refused: quota")
      yield* reach(of, a, frees)
      yield* reach(of, b, frees)
      yield* goOn(of, a)
      yield* wait(of, a, ["create", "00000002"])
      yield* send(of, a, "accepted")
      yield* goOn(of, a)
      const { generation, job } = (yield* of.holders)[0]!
      assert.strictEqual(generation, 2)
      yield* carryOut(of, b, frees)
      yield* goOn(of, b)
      assert.deepStrictEqual((yield* of.holders).map((held) => [held.generation, held.job]), [[2, job]])
      yield* of.finish()
    }))

  it.effect("a slot for the second claim of a job is not freed since the first was refused", () =>
    Effect.gen(function*() {
      const of = yield* world({ jobs: 1 })
      const [a, b] = first(of)
      yield* send(of, a, "refused: throttled")
      yield* wait(of, a, ["create", ".claim-2"])
      yield* goOn(of, b)
      const holders = yield* of.holders
      assert.deepStrictEqual(holders.map(({ claim }) => claim), [2])
      yield* of.pass(30_000)
      yield* goOn(of, b)
      assert.deepStrictEqual(yield* of.holders, holders)
      yield* of.finish()
    }))

  it.effect("of two that took a slot for one claim, who meets the other's frees his own", () =>
    Effect.gen(function*() {
      const of = yield* world({ jobs: 1, slots: 2 })
      const [a, b] = first(of)
      yield* reach(of, a, claims)
      yield* of.until(b, "claim")
      assert.lengthOf(yield* of.holders, 2)
      yield* carryOut(of, b, claims)
      yield* send(of, b, "accepted")
      yield* goOn(of, b)
      yield* goOn(of, a)
      // The first has heard of the job, and waits for its end with a slot that is for nothing.
      yield* of.finish()
      assert.strictEqual(of.sent, 1)
    }))
})

describe("slots of processes that died", () => {
  it.effect("before the claim are another's within a look or two", () =>
    Effect.gen(function*() {
      const of = yield* world()
      const [a, b] = first(of)
      yield* reach(of, a, claims)
      yield* of.kill(a)
      assert.isBelow(yield* wait(of, b, ["create", "00000002"]), minutes(2))
      assert.deepStrictEqual(yield* of.objectsOf(), ["claim-1", "intent", "refused-1"])
      yield* of.finish()
    }))

  it.effect("during a create call that made no job are another's when the call is settled", () =>
    Effect.gen(function*() {
      const of = yield* world()
      const [a, b] = first(of)
      yield* carryOut(of, a, sends)
      yield* of.kill(a)
      yield* of.decide(of.underWay[0]!, "lost on its way")
      const millis = yield* wait(of, b, ["create", "00000002"])
      assert.isAtLeast(millis, minutes(5))
      assert.isBelow(millis, minutes(7))
      yield* of.finish()
    }))

  it.effect("during a create call that made a job count it until it has ended", () =>
    Effect.gen(function*() {
      const of = yield* world({ jobs: 1, verbs: ["awaitAll", "awaitAll"] })
      const [a, b] = first(of)
      yield* send(of, a, "accepted, its answer lost")
      yield* of.kill(a)
      yield* wait(of, b, ["wait", ""])
      assert.deepStrictEqual(yield* of.objectsOf(), ["arn", "claim-1", "intent"])
      assert.deepStrictEqual(yield* of.holders, [{ slot: 0, generation: 1, job: "1-000000", claim: 1 }])
      yield* of.finish()
    }))

  it.effect("while their job ran are another's when it has ended, and its end is recorded", () =>
    Effect.gen(function*() {
      const of = yield* world({ verbs: ["awaitAll", "submit"] })
      const [a, b] = first(of)
      yield* send(of, a, "accepted")
      yield* goOn(of, a)
      yield* of.kill(a)
      yield* goOn(of, b)
      yield* of.pass(minutes(10))
      yield* goOn(of, b)
      assert.deepStrictEqual(yield* of.objectsOf(), ["arn", "claim-1", "intent"])
      of.end(0, "Stopped")
      assert.isBelow(yield* wait(of, b, ["create", "00000002"]), minutes(2))
      assert.deepStrictEqual(yield* of.objectsOf(), ["arn", "claim-1", "end", "intent"])
      yield* of.finish()
    }))

  it.effect("and whose call is under way count its job, though the next claim was never written", () =>
    Effect.gen(function*() {
      const parts = [[0, 1], [0, 1], [1]]
      const of = yield* world({ verbs: ["awaitAll", "awaitAll", "awaitAll"], parts, slots: 2, lag: 200_000 })
      const [a, b] = first(of)
      yield* reach(of, b, ["list", "1-000000."])
      yield* of.let(a, yield* reach(of, a, sends, "1-000001"))
      yield* of.kill(a)
      yield* reach(of, b, ["list jobs", ""], "1-000001")
      assert.deepStrictEqual((yield* of.holders).map(({ claim }) => claim), [1, 2])
      yield* of.kill(b)
      yield* of.pass(59_000)
      yield* of.decide(of.underWay[0]!, "accepted, its answer lost")
      const c = of.processes[2]!
      yield* of.pass(30_000)
      yield* goOn(of, c)
      assert.deepStrictEqual(yield* of.objectsOf(), ["claim-1", "intent"])
      yield* of.finish()
      assert.strictEqual(of.sent, 2)
    }))

  it.effect("and whose write comes late are another's, too", () =>
    Effect.gen(function*() {
      const of = yield* world()
      const [a, b] = first(of)
      yield* reach(of, a, takes)
      yield* of.kill(a, true)
      yield* reach(of, b, takes)
      yield* of.stage.landLate(0)
      assert.isBelow(yield* wait(of, b, ["create", "00000002"]), minutes(2))
      yield* of.finish()
    }))
})

describe("old generations", () => {
  it.effect("are removed, and who writes one that was there before gives it up", () =>
    Effect.gen(function*() {
      const of = yield* world({ jobs: 6, parts: [[0], [1, 2, 3, 4, 5]] })
      const [a, b] = first(of)
      yield* reach(of, a, ["create", "00000001"])
      for (let job = 0; job < 5; job++) {
        yield* wait(of, b, sends)
        yield* send(of, b, "accepted")
        yield* goOn(of, b)
        if (job === 4) break
        of.end(job, "Completed")
        yield* goOn(of, b)
      }
      const { objects } = yield* of.files.list("capacity/")
      assert.deepStrictEqual(objects.map(({ key }) => key.replace(/^.*\//, "")), [
        "00000003",
        "00000003.free",
        "00000004",
        "00000004.free",
        "00000005"
      ])
      yield* goOn(of, a)
      assert.deepStrictEqual(yield* of.holders, [{ slot: 0, generation: 5, job: "1-000005", claim: 1 }])
      assert.strictEqual(of.sent, 5)
      yield* of.finish()
    }))
})
