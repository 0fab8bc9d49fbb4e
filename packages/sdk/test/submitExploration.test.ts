import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Exit, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { BatchJobs, type CreateRequest } from "../src/bedrock/BatchJobs.ts"
import { OnDemand } from "../src/bedrock/OnDemand.ts"
import { sha256 } from "../src/internal/Digest.ts"
import type { Job } from "../src/Job.ts"
import * as Ledger from "../src/Ledger.ts"
import { ObjectStore } from "../src/store/ObjectStore.ts"
import { submit } from "../src/submit.ts"
import { memoryStore } from "./rig/MemoryStore.ts"
import { chanceOf } from "./rig/random.ts"
import { ScriptedJobs, type Turn } from "./rig/ScriptedJobs.ts"
import { ScriptedOnDemand } from "./rig/ScriptedOnDemand.ts"
import { watched } from "./rig/WatchedStore.ts"

/** The end of a process, wherever it is: nothing of it runs after. */
class Death extends Data.Error<{}> {}

const job: Job = {
  version: 1,
  runId: "run",
  key: "1-000000",
  attempt: 1,
  index: 0,
  lane: "batch",
  model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
  region: "us-east-1",
  invocationType: "Converse",
  name: "run-1-000000-00000000",
  token: "0".repeat(64),
  prepareId: "p",
  input: "run/inputs/p/1-000000/",
  output: "run/outputs/1-000000/",
  files: [],
  rows: { key: "run/rows/p/1-000000.arrow", size: 0, etag: "", sha256: sha256(), records: 0 },
  firstRow: 0,
  lastRow: 0,
  records: 0,
  bytes: 0,
  timeoutHours: 72
}

const turns: ReadonlyArray<Turn> = [
  "accept",
  "accept",
  "accept",
  "lost",
  "lost",
  "dropped",
  "error-accepted",
  "error",
  "no-arn",
  "quota",
  "throttled"
]

interface World {
  readonly processes: number
  readonly tokenKept: number
  readonly listLag: number
  readonly showsTokens: boolean
  readonly ledger?: Ledger.Options | undefined
  /** Longest time of one store operation, in milliseconds. */
  readonly slowest: number
  readonly deaths: number
  readonly cancelled: boolean
}

/** Lets processes submit one job over one store until each has it or sees the run cancelled. */
const explore = Effect.fnUntraced(function*(seed: number, world: World) {
  const chance = chanceOf(seed)
  const store = memoryStore()
  yield* store.create(job.rows.key, new Uint8Array(0))
  const jobs = new ScriptedJobs()
  jobs.tokenKept = world.tokenKept
  jobs.listLag = world.listLag
  jobs.showsTokens = world.showsTokens
  let deaths = world.deaths
  let faults = 3
  const pause = (most: number) => Effect.suspend(() => Effect.sleep(chance.below(most)))
  const step = Effect.suspend(() => {
    if (deaths > 0 && chance.happens(0.04)) {
      deaths--
      return Effect.die(new Death())
    }
    return chance.happens(0.5) ? pause(world.slowest) : Effect.void
  })

  const files = Layer.succeed(ObjectStore, watched(store, { before: () => step, after: () => step }))
  const service = BatchJobs.of({
    ...jobs.service,
    // The call goes its own way: it takes effect within the minute, whether or not its process lives to see it.
    create: Effect.fnUntraced(function*(request: CreateRequest) {
      const turn = faults > 0 ? turns[chance.below(turns.length)]! : "accept"
      if (turn !== "accept") faults--
      const call = Effect.suspend(() => {
        jobs.turns.unshift(turn)
        return jobs.create(request)
      })
      const calling = yield* Effect.forkDetach(
        Effect.andThen(pause(chance.happens(0.3) ? 55_000 : 2_000), call),
        { startImmediately: true }
      )
      yield* step
      const answer = yield* Fiber.join(calling)
      yield* step
      return answer
    }),
    list: (query) =>
      Stream.fromEffectDrain(step).pipe(
        Stream.concat(jobs.service.list(query)),
        Stream.concat(Stream.fromEffectDrain(step))
      )
  })
  const services = Layer.mergeAll(
    files,
    Layer.succeed(BatchJobs, service),
    Layer.succeed(OnDemand, new ScriptedOnDemand().service),
    Ledger.layer(world.ledger).pipe(Layer.provide(files))
  )

  const life = Effect.gen(function*() {
    for (let lives = 0; lives < 60; lives++) {
      const exit = yield* Effect.exit(Effect.provide(submit(job), services))
      if (Exit.isSuccess(exit)) return exit.value.arn
      const error = Exit.findErrorOption(exit)
      if (error._tag === "Some" && error.value.reason._tag === "RunConflict") return "cancelled"
      yield* pause(error._tag === "Some" ? 10_000 : 400_000)
    }
    return yield* Effect.die(new Error("no end"))
  })
  /** Whether the run was cancelled before its job was known to be accepted. */
  let cancelledFirst = false
  const canceller = Effect.gen(function*() {
    yield* pause(200_000)
    cancelledFirst = (yield* store.head("run/jobs/1-000000.arn")) === null
    yield* store.create("run/cancelled", new Uint8Array(2))
  })
  const fibers = yield* Effect.forEach(
    Array.from({ length: world.processes }),
    () => Effect.forkChild(Effect.andThen(pause(60_000), life))
  )
  if (world.cancelled) yield* Effect.forkChild(canceller)
  for (let hours = 0; hours < 100 && fibers.some((fiber) => fiber.pollUnsafe() === undefined); hours++) {
    yield* TestClock.adjust("1 hour")
  }
  const arns = yield* Effect.forEach(fibers, Fiber.join)
  return { jobs, arns, cancelledFirst }
})

const world: World = {
  processes: 2,
  tokenKept: Infinity,
  listLag: 0,
  showsTokens: true,
  slowest: 12_000,
  deaths: 2,
  cancelled: false
}

const cases: ReadonlyArray<readonly [string, Partial<World>]> = [
  ["two processes, tokens honoured", {}],
  ["two processes, tokens ignored", { tokenKept: 0 }],
  [
    "two processes, tokens ignored, a list that lags a minute and shows no tokens",
    { tokenKept: 0, listLag: 60_000, showsTokens: false }
  ],
  ["two processes, tokens forgotten after two minutes, a list that lags two", { tokenKept: 120_000, listLag: 120_000 }],
  ["two processes, tokens honoured, a list that lags ten minutes", { listLag: 600_000 }],
  ["three processes, tokens ignored", { processes: 3, tokenKept: 0, deaths: 3 }],
  ["three processes, tokens ignored, a slow store", { processes: 3, tokenKept: 0, slowest: 40_000 }],
  ["two processes, tokens ignored, a run that is cancelled", { tokenKept: 0, cancelled: true }],
  [
    "two processes, tokens ignored, a list that lags a minute, a run that is cancelled",
    { tokenKept: 0, listLag: 60_000, showsTokens: false, cancelled: true }
  ],
  [
    "three processes, tokens ignored, a run that is cancelled",
    { processes: 3, tokenKept: 0, deaths: 4, cancelled: true }
  ]
]

describe("submit, over seeded interleavings, failures and deaths", { timeout: 120_000 }, () => {
  it.effect.each(cases)("pays once: %s", ([, change]) =>
    Effect.gen(function*() {
      const seen = { adopted: 0, several: 0, cancelled: 0, paidThoughCancelled: 0 }
      for (let seed = 1; seed <= 150; seed++) {
        const { arns, cancelledFirst, jobs } = yield* explore(seed, { ...world, ...change })
        if (jobs.made.length > 1) assert.fail(`seed ${seed}: ${jobs.made.length} paid jobs for one key`)
        const got = arns.filter((arn) => arn !== "cancelled")
        if (change.cancelled !== true && got.length !== arns.length) assert.fail(`seed ${seed}: a process gave up`)
        // Who says that nothing was submitted is right: a job that is paid for is found by all.
        if (jobs.made.length > 0 && got.length !== arns.length) assert.fail(`seed ${seed}: a paid job was not found`)
        if (got.length === 0) seen.cancelled++
        else if (cancelledFirst) seen.paidThoughCancelled++
        if (got.some((arn) => arn !== jobs.made[0]?.state.arn)) assert.fail(`seed ${seed}: ${got.join()}`)
        if (jobs.creates.length > 1) seen.several++
        if (jobs.lists.length > 0) seen.adopted++
      }
      const least = change.cancelled === true ? 1 : 10
      assert.isAbove(seen.several, least)
      assert.isAbove(seen.adopted, least)
      if (change.cancelled === true) assert.isAbove(Math.min(seen.cancelled, seen.paidThoughCancelled), least)
    }))

  it.effect.each<readonly [string, Partial<World>]>([
    ["settleAfter is less than a call may take", { tokenKept: 0, ledger: { settleAfter: "20 seconds" } }],
    ["the list lags longer than settleAfter allows, and tokens are ignored", { tokenKept: 0, listLag: 900_000 }],
    ["claims are sent however old they are", { tokenKept: 0, slowest: 200_000, ledger: { sendWithin: "1 hour" } }]
  ])("shows the second job where an assumption is broken: %s", ([, change]) =>
    Effect.gen(function*() {
      for (let seed = 1; seed <= 400; seed++) {
        const { jobs } = yield* explore(seed, { ...world, ...change })
        if (jobs.made.length > 1) return
      }
      assert.fail("no seed of 400 finds it: the exploration has no teeth")
    }))
})
