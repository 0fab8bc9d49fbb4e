import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import type { ObjectStore } from "../src/store/ObjectStore.ts"
import { folder } from "./rig/Bench.ts"
import {
  type About,
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
import { inWholeSeconds, type Violation } from "./rig/Stage.ts"

type Store = ObjectStore["Service"]

const minutes = (count: number) => count * 60_000

/** How many command sequences are played; `CASES` in the environment raises it, `SEED` gives others. */
const cases = Number(process.env.CASES ?? 150)

/** Worlds in which what the guide on reliability rests on holds. */
const sound: ReadonlyArray<Partial<Habits>> = [
  {},
  { tokenKept: 0 },
  { tokenKept: 0, lag: 200_000 },
  { tokenKept: 0, lag: 30_000, showsTokens: false },
  { tokenKept: 0, skews: [0, minutes(61), -minutes(59)] },
  { forgetful: true, lag: 200_000 },
  { lag: minutes(10) },
  { lag: minutes(10), showsTokens: false },
  // The list lags for longer than settleAfter allows, but the token is known for longer than that.
  { tokenKept: 300_000, lag: 150_000, ledger: { settleAfter: "2 minutes" } },
  { verbs: ["awaitAll", "awaitAll"], tokenKept: 0, lag: 60_000 },
  { verbs: ["submit", "awaitAll"], jobs: 2, tokenKept: 0 },
  { verbs: ["submit", "awaitAll", "submit"], tokenKept: 0, lag: 200_000 },
  { verbs: ["awaitAll", "submit", "awaitAll"], jobs: 2, forgetful: true, lag: 100_000 }
]

const int = (maximum: number) => Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum })))

const commands = Arbitrary.array(
  Arbitrary.map(
    Arbitrary.all([int(commandKinds - 1), int(5), int(10), int(3)]),
    ([what, who, a, b]) => commandOf(what, who, a, b)
  ),
  { maxLength: 60 }
)

/** Plays command sequences in worlds until one shows a violation; tells the shortest in sentences. */
const explore = Effect.fnUntraced(function*<R>(
  worlds: ReadonlyArray<Partial<Habits>>,
  runs: number,
  store: Effect.Effect<Store, never, R>
) {
  const seen = { sent: 0, several: 0, adopted: 0, givenUp: 0, cancelled: 0 }
  const result = yield* Arbitrary.checkEffect(
    Arbitrary.all({ world: int(worlds.length - 1), commands, coarse: int(1) }),
    Effect.fnUntraced(function*({ coarse, commands, world }) {
      const files = yield* store
      const played = yield* play({ ...usual, ...worlds[world] }, commands, coarse === 0 ? files : inWholeSeconds(files))
      seen.sent += played.sent
      seen.several += Number(played.sent > played.jobs.length)
      seen.adopted += Number(played.adopted > 0)
      seen.givenUp += Number(played.givenUp > 0)
      seen.cancelled += Number(played.cancelled && played.sent > 0)
      return true
    }),
    { runs, size: 60, seed: process.env.SEED ?? 1 }
  )
  if (result._tag !== "Falsified") return { seen, violation: null }
  const { failure } = result
  const why = failure._tag === "PropertyError" ? failure.error.message : "it is not so"
  return { seen, violation: `${why}\n(run ${result.runs}, replay ${result.replay})` }
})

const memory = Effect.sync(memoryStore)

describe("the ledger, over sequences of commands", { timeout: 3_600_000 }, () => {
  it.effect("names one job for each key, whoever dies, stands still or is told what when", () =>
    Effect.gen(function*() {
      const { seen, violation } = yield* explore(sound, cases, memory)
      if (violation !== null) assert.fail(violation)
      // The sequences get to where it is dangerous.
      assert.isAbove(seen.several, cases / 20)
      assert.isAbove(seen.adopted, cases / 50)
      assert.isAbove(seen.givenUp, cases / 100)
      assert.isAbove(seen.cancelled, cases / 100)
    }))

  it.effect("names one job for each key where a job's objects are looked for by their names, as in a folder", () =>
    Effect.gen(function*() {
      const byNames = Effect.sync(() => ({ ...memoryStore(), listsFolders: true }))
      const { violation } = yield* explore(sound, Math.ceil(cases / 3), byNames)
      if (violation !== null) assert.fail(violation)
    }))

  it.live("names one job for each key in a folder, too", () =>
    Effect.gen(function*() {
      const files = Effect.map(Effect.orDie(folder), ({ store }) => store)
      const { violation } = yield* explore(sound, Math.ceil(cases / 25), files)
      if (violation !== null) assert.fail(violation)
    }))
})

describe("the ledger, where an assumption is broken", { timeout: 120_000 }, () => {
  it.effect.each<readonly [string, Partial<Habits>]>([
    ["the list lags longer than settleAfter allows", { lag: minutes(15) }],
    ["settleAfter is less than a call may take", { ledger: { settleAfter: "20 seconds" } }],
    ["claims are sent however old they are", { ledger: { sendWithin: "1 hour" } }],
    ["a process stands still after its second look", { freezes: true }]
  ])("shows the second job, in few sentences: tokens are ignored, and %s", ([, habits]) =>
    Effect.gen(function*() {
      const { violation } = yield* explore([{ tokenKept: 0, ...habits }], 4_000, memory)
      assert.isNotNull(violation, "no sequence finds it: the exploration has no teeth")
      const [why, ...sentences] = violation.split("\n")
      assert.strictEqual(why, "two paid jobs for one key:")
      assert.match(sentences[0]!, /^1\. process \d begins: submit$/)
      assert.lengthOf(sentences.filter((sentence) => /^\d+\. process \d sends a create call/.test(sentence)), 2)
      assert.isBelow(sentences.length, 60, violation)
    }))
})

const world = (habits: Partial<Habits> = {}, files: Store = memoryStore()) =>
  makeWorld({ ...usual, tokenKept: 0, ...habits }, files)

/** Lets a process go on until it is about to do something, and fails if it does not come to that. */
const reach = Effect.fnUntraced(function*(of: World, process: Process, ...abouts: ReadonlyArray<About>) {
  for (const about of abouts) {
    const reached = yield* of.until(process, about)
    assert.isTrue(reached, `${process.name} does not come to "${about}":\n${of.stage.log.join("\n")}`)
  }
})

/** A process sends its call, and the service decides. */
const send = Effect.fnUntraced(function*(of: World, process: Process, fate: Fate) {
  yield* reach(of, process, "send")
  yield* of.step(process)
  const call = of.underWay.at(-1)
  if (call === undefined) return assert.fail("no call is under way")
  yield* of.decide(call, fate)
})

/** A process goes on for as long as it can without time passing. */
const goOn = Effect.fnUntraced(function*(of: World, process: Process) {
  while (process.result === null && process.runs && (yield* of.step(process)));
})

/** Somebody's call makes the job, nobody hears of it, and he dies. */
const payAndDie = Effect.fnUntraced(function*(of: World, process: Process) {
  yield* send(of, process, "accepted, its answer lost")
  yield* of.kill(process)
})

const first = (of: World): readonly [Process, Process] => [of.processes[0]!, of.processes[1]!]

/** How many jobs are paid for, and how many calls were made for that. */
const paid = (of: World) => [of.service.made.length, of.sent]

const violationOf = <A, R>(effect: Effect.Effect<A, Violation, R>) =>
  Effect.map(Effect.flip(effect), (violation) => violation.message.split("\n")[0])

describe("a claim and its call", () => {
  it.effect("a process that stands still between claim and call for longer than sendWithin sends nothing by it", () =>
    Effect.gen(function*() {
      const of = yield* world()
      const [a] = first(of)
      yield* reach(of, a, "look again")
      yield* of.pass(31_000)
      yield* reach(of, a, "record")
      assert.deepStrictEqual(paid(of), [0, 0])
      yield* of.finish()
      assert.deepStrictEqual(yield* of.objectsOf(), ["arn", "claim-1", "claim-2", "intent", "refused-1"])
      assert.deepStrictEqual(paid(of), [1, 1])
    }))

  it.effect("a process that wakes up after another has sent and recorded the ARN sends nothing", () =>
    Effect.gen(function*() {
      const of = yield* world()
      const [a, b] = first(of)
      yield* reach(of, a, "look again")
      yield* of.pass(minutes(5))
      yield* send(of, b, "accepted")
      yield* goOn(of, b)
      yield* of.finish()
      assert.deepStrictEqual(yield* of.objectsOf(), ["arn", "claim-1", "claim-2", "intent", "refused-1"])
      assert.deepStrictEqual(paid(of), [1, 1])
    }))

  it.effect("a process that wakes up while the call of another is under way sends nothing", () =>
    Effect.gen(function*() {
      const of = yield* world()
      const [a, b] = first(of)
      yield* reach(of, a, "look again")
      yield* of.pass(minutes(5))
      yield* reach(of, b, "send", "hear")
      yield* goOn(of, a)
      assert.deepStrictEqual(paid(of), [0, 1])
      assert.include(yield* of.objectsOf(), "refused-1")
      yield* of.finish()
      assert.deepStrictEqual(paid(of), [1, 1])
    }))

  it.effect("an ARN that is recorded between the claim of another and his second look keeps his call back", () =>
    Effect.gen(function*() {
      const of = yield* world({ lag: minutes(15) })
      const [a, b] = first(of)
      yield* send(of, a, "accepted")
      yield* reach(of, a, "record")
      yield* of.pass(minutes(5))
      yield* reach(of, b, "look again")
      yield* of.step(a)
      yield* goOn(of, b)
      assert.deepStrictEqual(yield* of.objectsOf(), ["arn", "claim-1", "claim-2", "intent", "refused-2"])
      yield* of.finish()
      assert.deepStrictEqual(paid(of), [1, 1])
    }))

  it.effect("a call that leaves as late, takes as long and is listed as late as may be is adopted", () =>
    Effect.gen(function*() {
      const of = yield* world({ lag: 210_000 })
      const [a, b] = first(of)
      yield* reach(of, a, "look again")
      yield* of.pass(30_000)
      yield* reach(of, a, "send", "hear")
      yield* of.kill(a)
      yield* reach(of, b, "sleep")
      yield* of.pass(60_000)
      yield* of.decide(of.underWay[0]!, "accepted")
      yield* of.pass(210_000)
      yield* goOn(of, b)
      assert.deepStrictEqual(b.result?.map((job) => "adopted" in job && job.adopted), [true])
      assert.deepStrictEqual(paid(of), [1, 1])
    }))

  it.effect.each([["ignored", 0, "two paid jobs for one key:"], ["honoured", Infinity, null]] as const)(
    "a process that stands still between its second look and its call for longer than settleAfter: tokens %s",
    ([, tokenKept, expected]) =>
      Effect.gen(function*() {
        const of = yield* world({ tokenKept, freezes: true })
        const [a, b] = first(of)
        yield* reach(of, a, "send")
        yield* of.pass(minutes(5))
        yield* send(of, b, "accepted")
        yield* goOn(of, b)
        const late = send(of, a, "accepted")
        if (expected !== null) return assert.strictEqual(yield* violationOf(late), expected)
        yield* late
        yield* of.finish()
        assert.deepStrictEqual(paid(of), [1, 2])
      })
  )

  it.effect("a process whose second look is answered late sends nothing by it", () =>
    Effect.gen(function*() {
      const of = yield* world({ freezes: true })
      const [a, b] = first(of)
      yield* reach(of, a, "look again")
      yield* of.step(a)
      const answer = yield* of.hold(a, a.life!.waiting[0]!)
      yield* of.pass(minutes(5))
      yield* send(of, b, "accepted")
      yield* goOn(of, b)
      yield* answer
      yield* of.finish()
      assert.deepStrictEqual(paid(of), [1, 1])
      assert.include(yield* of.objectsOf(), "refused-1")
    }))

  it.effect("of two that write the same claim at once, one sends", () =>
    Effect.gen(function*() {
      const of = yield* world()
      const [a, b] = first(of)
      yield* reach(of, a, "claim")
      yield* reach(of, b, "claim")
      yield* of.step(a)
      yield* of.step(b)
      yield* goOn(of, b)
      yield* reach(of, b, "sleep")
      yield* of.finish()
      assert.deepStrictEqual(yield* of.objectsOf(), ["arn", "claim-1", "intent"])
      assert.deepStrictEqual(paid(of), [1, 1])
    }))

  it.effect("of two whose store tells both that the claim is theirs, both send: the second job appears", () =>
    Effect.gen(function*() {
      const files = memoryStore()
      const both = (key: string, bytes: Uint8Array) =>
        Effect.map(files.create(key, bytes), ({ created }) => ({ created: created || key.includes(".claim-") }))
      const of = yield* world({}, { ...files, create: both })
      const [a, b] = first(of)
      yield* reach(of, a, "claim")
      yield* reach(of, b, "claim")
      yield* send(of, a, "accepted")
      assert.strictEqual(yield* violationOf(send(of, b, "accepted")), "two paid jobs for one key:")
    }))

  it.effect("a claim that is written after its process died is settled like any other", () =>
    Effect.gen(function*() {
      const of = yield* world()
      const [a, b] = first(of)
      yield* reach(of, a, "claim")
      yield* of.kill(a, true)
      yield* reach(of, b, "claim")
      yield* of.stage.landLate(0)
      yield* goOn(of, b)
      yield* reach(of, b, "sleep")
      yield* of.finish()
      assert.deepStrictEqual(yield* of.objectsOf(), ["arn", "claim-1", "claim-2", "intent"])
      assert.deepStrictEqual(paid(of), [1, 1])
    }))

  it.effect("a claim whose write has no answer is settled like any other", () =>
    Effect.gen(function*() {
      const of = yield* world()
      const [a] = first(of)
      yield* reach(of, a, "claim")
      yield* of.let(a, a.life!.waiting[0]!, "answer lost")
      const before = of.stage.now
      yield* of.finish()
      assert.isAtLeast(of.stage.now - before, minutes(5))
      assert.deepStrictEqual(yield* of.objectsOf(), ["arn", "claim-1", "claim-2", "intent"])
      assert.deepStrictEqual(paid(of), [1, 1])
    }))

  it.effect("a process that is interrupted while its call is under way records the answer first", () =>
    Effect.gen(function*() {
      const of = yield* world()
      const [a] = first(of)
      yield* reach(of, a, "send", "hear")
      yield* of.interrupt(a)
      yield* of.decide(of.underWay[0]!, "accepted")
      yield* goOn(of, a)
      assert.isFalse(a.runs)
      assert.deepStrictEqual(yield* of.objectsOf(), ["arn", "claim-1", "intent"])
    }))
})

describe("clocks", () => {
  it.effect.each([["ahead", minutes(60)], ["behind", -minutes(60)]] as const)(
    "a process whose clock is an hour %s waits for as long as any other, and adopts",
    ([, skew]) =>
      Effect.gen(function*() {
        const of = yield* world({ lag: 200_000, skews: [0, skew] })
        const [a, b] = first(of)
        yield* payAndDie(of, a)
        yield* reach(of, b, "sleep")
        assert.deepStrictEqual(paid(of), [1, 1])
        yield* of.finish()
        assert.deepStrictEqual(paid(of), [1, 1])
      })
  )

  it.effect("by a store whose own clock jumps ahead, claims are settled too early: the second job appears", () =>
    Effect.gen(function*() {
      let jump = 0
      const files = memoryStore()
      const list = (prefix: string) => Effect.map(files.list(prefix), ({ at, objects }) => ({ at: at + jump, objects }))
      const of = yield* world({ lag: 200_000 }, { ...files, list })
      const [a, b] = first(of)
      yield* payAndDie(of, a)
      yield* of.pass(1_000)
      jump = minutes(10)
      yield* reach(of, b, "claim")
      jump = 0
      assert.strictEqual(yield* violationOf(send(of, b, "accepted")), "two paid jobs for one key:")
    }))
})

describe("calls without an answer, tokens and lists", () => {
  it.effect("the call of a process that died takes effect within the minute, and the job is adopted", () =>
    Effect.gen(function*() {
      const of = yield* world({ lag: 200_000 })
      const [a, b] = first(of)
      yield* reach(of, a, "send", "hear")
      yield* of.kill(a)
      yield* reach(of, b, "sleep")
      yield* of.pass(60_000)
      yield* of.decide(of.underWay[0]!, "accepted")
      yield* of.finish()
      assert.deepStrictEqual(paid(of), [1, 1])
      assert.deepStrictEqual(yield* of.objectsOf(), ["arn", "claim-1", "intent"])
    }))

  it.effect("a call that was sent just before settleAfter is counted from its own claim, not from an older one", () =>
    Effect.gen(function*() {
      const of = yield* world({ lag: 200_000 })
      const [a, b] = first(of)
      yield* reach(of, a, "look again")
      yield* of.kill(a)
      yield* of.pass(minutes(5))
      yield* payAndDie(of, b)
      // Claim 1 has been old enough for long, claim 2 is not.
      yield* reach(of, a, "sleep")
      yield* of.finish()
      assert.deepStrictEqual(paid(of), [1, 1])
      assert.deepStrictEqual(yield* of.objectsOf(), ["arn", "claim-1", "claim-2", "intent"])
    }))

  it.effect("a job whose token the service has forgotten is adopted by its folders", () =>
    Effect.gen(function*() {
      const of = yield* world({ tokenKept: Infinity, forgetful: true, lag: 200_000, showsTokens: false })
      const [a] = first(of)
      yield* payAndDie(of, a)
      of.forgetTokens()
      yield* of.finish()
      assert.deepStrictEqual(paid(of), [1, 1])
    }))

  it.effect.each([["ignored", 0, "two paid jobs for one key:"], ["honoured", Infinity, null]] as const)(
    "a list that lags longer than settleAfter allows: tokens %s",
    ([, tokenKept, expected]) =>
      Effect.gen(function*() {
        const of = yield* world({ tokenKept, lag: minutes(15) })
        const [a, b] = first(of)
        yield* payAndDie(of, a)
        yield* of.pass(minutes(5))
        const again = send(of, b, "accepted")
        if (expected !== null) return assert.strictEqual(yield* violationOf(again), expected)
        yield* again
        yield* of.finish()
        assert.deepStrictEqual(paid(of), [1, 2])
      })
  )

  it.effect.each([["20 seconds", "two paid jobs for one key:"], ["5 minutes", null]] as const)(
    "another looks for a call that is still under way, with a settleAfter of %s",
    ([settleAfter, expected]) =>
      Effect.gen(function*() {
        const of = yield* world({ ledger: { settleAfter } })
        const [a, b] = first(of)
        yield* reach(of, a, "send", "hear")
        yield* of.pass(21_000)
        if (expected === null) {
          yield* reach(of, b, "sleep")
          yield* of.decide(of.underWay[0]!, "accepted")
          yield* of.finish()
          return assert.deepStrictEqual(paid(of), [1, 1])
        }
        yield* send(of, b, "accepted")
        assert.strictEqual(yield* violationOf(of.decide(of.underWay[0]!, "accepted")), expected)
      })
  )

  /** The list lags longer than settleAfter allows, but the token is known for longer than that. */
  const patient = { tokenKept: 300_000, lag: 150_000 }

  it.effect.each([["30 seconds", null], ["1 hour", "two paid jobs for one key:"]] as const)(
    "a process stands still between the list that shows no job and its claim for long, with a sendWithin of %s",
    ([sendWithin, expected]) =>
      Effect.gen(function*() {
        const of = yield* world({ ...patient, ledger: { settleAfter: "2 minutes", sendWithin } })
        const [a, b] = first(of)
        yield* payAndDie(of, a)
        yield* of.pass(121_000)
        yield* reach(of, b, "claim")
        yield* of.pass(180_000)
        if (expected !== null) return assert.strictEqual(yield* violationOf(send(of, b, "accepted")), expected)
        yield* goOn(of, b)
        assert.deepStrictEqual(b.result?.map((job) => "adopted" in job && job.adopted), [true])
        assert.deepStrictEqual(yield* of.objectsOf(), ["arn", "claim-1", "claim-2", "intent", "refused-2"])
        assert.deepStrictEqual(paid(of), [1, 1])
      })
  )

  it.effect("a refusal of a later call does not settle an earlier one: the list is asked again before the next", () =>
    Effect.gen(function*() {
      const of = yield* world({ ...patient, ledger: { settleAfter: "2 minutes" } })
      const [a, b] = first(of)
      yield* payAndDie(of, a)
      yield* of.pass(121_000)
      yield* send(of, b, "refused: quota")
      yield* goOn(of, b)
      assert.deepStrictEqual(yield* of.objectsOf(), ["claim-1", "claim-2", "intent", "refused-2"])
      yield* of.pass(180_000)
      yield* of.finish()
      assert.deepStrictEqual(paid(of), [1, 2])
    }))

  it.effect("a quota that is checked before the token refuses a second call, and the first job is adopted", () =>
    Effect.gen(function*() {
      const of = yield* world({ tokenKept: Infinity, lag: minutes(20) })
      const [a, b] = first(of)
      yield* payAndDie(of, a)
      yield* of.pass(minutes(5))
      yield* send(of, b, "refused: quota")
      yield* goOn(of, b)
      yield* of.pass(minutes(20))
      yield* of.finish()
      assert.deepStrictEqual(paid(of), [1, 2])
      assert.deepStrictEqual(yield* of.objectsOf(), ["arn", "claim-1", "claim-2", "intent", "refused-2"])
    }))

  it.effect.each<Fate>([
    "accepted, answered by a 500",
    "accepted, answered without an ARN",
    "accepted, answered by a conflict",
    "accepted, its answer lost"
  ])("a call that is %s is no refusal, and its job is adopted", (fate) =>
    Effect.gen(function*() {
      const of = yield* world({ lag: 200_000 })
      yield* send(of, first(of)[0], fate)
      yield* of.finish()
      assert.deepStrictEqual(paid(of), [1, 1])
      assert.deepStrictEqual(yield* of.objectsOf(), ["arn", "claim-1", "intent"])
    }))

  it.effect("a service that refuses a job and runs it makes a job that nobody knows", () =>
    Effect.gen(function*() {
      const of = yield* world()
      const [a] = first(of)
      yield* send(of, a, "accepted, answered by a refusal")
      assert.match((yield* violationOf(of.finish())) ?? "", /^nothing in the ledger tells of arn:/)
    }))

  it.effect.each([true, false])("jobs of strangers are not adopted; lists show tokens: %s", (showsTokens) =>
    Effect.gen(function*() {
      const of = yield* world({ tokenKept: Infinity, showsTokens })
      const [a] = first(of)
      yield* reach(of, a, "send")
      yield* of.step(a)
      const call = of.underWay[0]!
      const { request } = call
      const strangers = [
        { ...request, jobName: `${request.jobName}0`, clientRequestToken: "a", inputUri: "s3://memory/other/" },
        { ...request, jobName: `x${request.jobName}`, clientRequestToken: "b", outputUri: `${request.outputUri}x/` },
        ...(showsTokens ? [{ ...request, jobName: `y${request.jobName}`, clientRequestToken: "c" }] : [])
      ]
      for (const stranger of strangers) of.service.accept(stranger, of.stage.now)
      yield* of.decide(call, "lost on its way")
      yield* of.finish()
      assert.deepStrictEqual(paid(of), [strangers.length + 1, 2])
    }))
})

describe("cancelling", () => {
  const scopes = ["run", "attempt"] as const

  it.effect.each(scopes)("a mark of the %s that is there before the claim keeps it from being written", (scope) =>
    Effect.gen(function*() {
      const of = yield* world()
      yield* of.cancel(scope)
      yield* of.finish()
      assert.deepStrictEqual(paid(of), [0, 0])
      assert.deepStrictEqual(yield* of.objectsOf(), [])
    }))

  it.effect.each(scopes)("a mark of the %s that comes between claim and second look keeps the call back", (scope) =>
    Effect.gen(function*() {
      const of = yield* world()
      const [a] = first(of)
      yield* reach(of, a, "look again")
      yield* of.cancel(scope)
      yield* of.finish()
      assert.deepStrictEqual(paid(of), [0, 0])
      assert.deepStrictEqual(yield* of.objectsOf(), ["claim-1", "intent", "refused-1"])
    }))

  it.effect("a call that left before the mark could be seen makes the job, and everybody gets it", () =>
    Effect.gen(function*() {
      const of = yield* world({ lag: 200_000 })
      const [a] = first(of)
      yield* reach(of, a, "send")
      yield* of.cancel("run")
      yield* send(of, a, "accepted, its answer lost")
      yield* of.finish()
      assert.deepStrictEqual(paid(of), [1, 1])
      assert.deepStrictEqual(of.processes.map(({ result }) => result?.map((job) => "arn" in job)), [[true], [true]])
    }))

  it.effect("nobody is told that a cancelled job does not exist while a call may still make it", () =>
    Effect.gen(function*() {
      const of = yield* world({ lag: 200_000 })
      const [a, b] = first(of)
      yield* reach(of, a, "send", "hear")
      yield* of.kill(a)
      yield* of.cancel("run")
      yield* reach(of, b, "sleep")
      yield* of.pass(61_000, "lost on its way")
      yield* reach(of, b, "ask the list", "sleep")
      yield* of.finish()
      assert.deepStrictEqual(b.result?.map((job) => "code" in job && job.code), ["Cancelled"])
      assert.deepStrictEqual(paid(of), [0, 1])
    }))

  it.effect("the job of a call that was frozen until its cancelled run was settled is found by the next look", () =>
    Effect.gen(function*() {
      const of = yield* world({ tokenKept: Infinity, freezes: true })
      const [a, b] = first(of)
      yield* reach(of, a, "send")
      yield* of.cancel("run")
      yield* of.pass(minutes(5))
      yield* of.step(b)
      yield* goOn(of, b)
      assert.deepStrictEqual(b.result?.map((job) => "code" in job && job.code), ["Cancelled"])
      yield* send(of, a, "accepted, its answer lost")
      yield* of.finish()
      assert.deepStrictEqual(paid(of), [1, 1])
      assert.include(yield* of.objectsOf(), "arn")
    }))

  it.effect("the mark of another attempt stops nothing", () =>
    Effect.gen(function*() {
      const of = yield* world()
      yield* of.files.create("run/cancelled-2", Buffer.from("{}"))
      yield* of.finish()
      assert.deepStrictEqual(paid(of), [1, 1])
    }))
})

describe("ends", () => {
  const messageOf = (process: Process) => process.result?.map((job) => ("message" in job ? job.message : null))

  it.effect("an event that arrives before the call is answered counts, and everybody gives its end", () =>
    Effect.gen(function*() {
      const of = yield* world({ verbs: ["awaitAll", "submit"] })
      const [a, b] = first(of)
      yield* send(of, a, "accepted")
      of.end(0, "PartiallyCompleted")
      const handler = yield* of.event(0)
      yield* goOn(of, handler!)
      assert.deepStrictEqual(yield* of.objectsOf(), ["claim-1", "end", "intent"])
      yield* of.step(b)
      yield* goOn(of, b)
      yield* of.finish()
      assert.deepStrictEqual([messageOf(a), messageOf(b)], [["event 1"], ["event 1"]])
      assert.deepStrictEqual(yield* of.objectsOf(), ["arn", "claim-1", "end", "intent"])
    }))

  it.effect("an end that is recorded between the claim of another and his second look keeps his call back", () =>
    Effect.gen(function*() {
      const of = yield* world({ lag: minutes(15) })
      const [a, b] = first(of)
      yield* payAndDie(of, a)
      yield* of.pass(minutes(5))
      yield* reach(of, b, "look again")
      of.end(0, "Completed")
      const handler = yield* of.event(0)
      yield* goOn(of, handler!)
      yield* of.finish()
      assert.deepStrictEqual(paid(of), [1, 1])
      assert.deepStrictEqual(yield* of.objectsOf(), ["claim-1", "claim-2", "end", "intent", "refused-2"])
    }))

  it.effect("of two events that tell different things out of order, the first that is recorded stays", () =>
    Effect.gen(function*() {
      const of = yield* world({ verbs: ["awaitAll", "awaitAll"] })
      const [a, b] = first(of)
      yield* send(of, a, "accepted")
      yield* goOn(of, a)
      of.end(0, "Stopped")
      const early = yield* of.event(0)
      const late = yield* of.event(0)
      yield* goOn(of, late!)
      yield* goOn(of, early!)
      const again = yield* of.event(0)
      yield* goOn(of, again!)
      yield* of.finish()
      assert.deepStrictEqual([messageOf(a), messageOf(b)], [["event 2"], ["event 2"]])
    }))
})

describe("a death, a lost operation, a switch: at every step", { timeout: 600_000 }, () => {
  const verbs = ["submit", "awaitAll"] as const

  it.effect.each(verbs)("%s: whoever comes after a death at any operation finds or makes the one job", (verb) =>
    Effect.gen(function*() {
      for (const late of [false, true]) {
        for (let steps = 1;; steps++) {
          const of = yield* world({ verbs: [verb, "submit"], lag: 200_000 })
          const [a] = first(of)
          for (let step = 0; step < steps; step++) {
            if (!(yield* of.step(a)) && of.underWay.length > 0) yield* of.decide(of.underWay[0]!, "accepted")
          }
          if (!a.runs) {
            assert.isAbove(steps, 11)
            break
          }
          yield* of.kill(a, late)
          yield* of.finish()
          assert.strictEqual(of.service.made.length, 1)
          if (steps > 30) break
        }
      }
    }))

  const losses = ["lost", "answer lost"] as const

  it.effect.each(losses)("an operation that the network fails (%s), whichever it is, costs no second job", (how) =>
    Effect.gen(function*() {
      for (let at = 0;; at++) {
        const of = yield* world({ lag: 200_000 })
        const [a] = first(of)
        let steps = 0
        yield* of.step(a)
        while (a.runs && steps < at) {
          if (!(yield* of.step(a))) yield* of.decide(of.underWay[0]!, "accepted")
          steps++
        }
        const waiting = a.life?.waiting.find(({ ready }) => ready())
        if (a.runs && waiting !== undefined) yield* of.let(a, waiting, how)
        yield* of.finish()
        assert.strictEqual(of.service.made.length, 1)
        if (a.result !== null && steps < at) {
          assert.isAbove(at, 10)
          return
        }
      }
    }))

  it.effect("two processes, whichever of them goes on when, with any two pauses between, make one job", () =>
    Effect.gen(function*() {
      let sent = 0
      const pauses = [0, 31_000, minutes(5)]
      for (let i = 1; i <= 10; i++) {
        for (let j = 1; j <= 10; j++) {
          for (const pause of pauses) {
            for (const then of pauses) {
              const of = yield* world({ lag: 200_000 })
              const [a, b] = first(of)
              for (let steps = 0; steps < i; steps++) yield* of.step(a)
              yield* of.pass(pause, "accepted")
              for (let steps = 0; steps < j; steps++) yield* of.step(b)
              yield* of.pass(then, "accepted")
              yield* of.finish()
              assert.strictEqual(of.service.made.length, 1)
              sent += of.sent
            }
          }
        }
      }
      assert.isAtLeast(sent, 900)
    }))
})
