import * as Prompt from "@bedrock-batch/processors/Prompt"
import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Exit, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { parquetWriteBuffer } from "hyparquet-writer"
import { setTimeout } from "node:timers/promises"
import { gzipSync } from "node:zlib"
import type { BatchError } from "../src/BatchError.ts"
import { deleteRun } from "../src/deleteRun.ts"
import * as Layout from "../src/internal/Layout.ts"
import { listRuns } from "../src/listRuns.ts"
import { prepare } from "../src/prepare.ts"
import { prepareStep } from "../src/prepareStep.ts"
import * as Run from "../src/Run.ts"
import * as Source from "../src/source/Source.ts"
import type { ObjectStore } from "../src/store/ObjectStore.ts"
import { folder, model, processOf } from "./rig/Bench.ts"
import { memoryStore } from "./rig/MemoryStore.ts"
import { contentOf, inRounds } from "./rig/rounds.ts"
import { ScriptedJobs } from "./rig/ScriptedJobs.ts"
import { ticking } from "./rig/ticking.ts"
import type { Around } from "./rig/WatchedStore.ts"

class Death extends Data.Error<{}> {}

type Store = ObjectStore["Service"]

const rowsOf = (count: number, word = "topic") => Array.from({ length: count }, (_, n) => ({ n, text: `${word} ${n}` }))

const prompt = Prompt.make("A joke about {text}.")

type AnySource = Source.Source<Source.UntypedRow, ObjectStore>

/** Jobs of two records each. */
const asked = (source: AnySource) =>
  ({ name: "jokes", runId: "jokes", source, model, prompt, limits: { minRecords: 1 }, maxRecordsPerJob: 2 }) as const

const start = (store: Store, around: Around = {}) => processOf(store, new ScriptedJobs(), around)

const reasonOf = <A, R>(effect: Effect.Effect<A, BatchError, R>) => Effect.map(Effect.flip(effect), ({ reason }) => reason)

const keysOf = (store: Store, prefix = "") =>
  Effect.map(store.list(prefix), ({ objects }) => objects.map(({ key }) => key))

const checkpointsOf = (store: Store) =>
  Effect.map(keysOf(store, "jokes/prepare/"), (keys) => keys.filter((key) => key.includes("/checkpoint-")))

const jsonAt = (store: Store, key: string): Effect.Effect<any, BatchError> =>
  Effect.map(store.get(key), (bytes) => JSON.parse(Buffer.from(bytes!).toString()))

/** A round of a few jobs, of about so many seconds by a clock that goes on when it is looked at. */
const round = (store: Store, source: AnySource, seconds = 9) =>
  ticking(start(store)(prepareStep(asked(source), `${seconds} seconds`)))

/** Runs an effect while time passes: a second every few milliseconds. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    while (fiber.pollUnsafe() === undefined) {
      yield* Effect.promise(() => setTimeout(1))
      yield* TestClock.adjust("1 second")
    }
    return yield* Fiber.join(fiber)
  })

describe("the rounds of a large source", () => {
  const rows = Array.from({ length: 24_000 }, (_, n) => ({ n, text: `topic ${n} ${"é\"".repeat(n % 23)}` }))
  const csv = Buffer.from(`n,text\n${rows.map(({ n, text }) => `${n},"${text.replaceAll("\"", "\"\"")}"\n`).join("")}`)
  const jsonl = Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(""))
  const parquet = Buffer.from(parquetWriteBuffer({
    columnData: [{ name: "n", data: rows.map(({ n }) => n) }, { name: "text", data: rows.map(({ text }) => text) }],
    rowGroupSize: 2000
  }))
  const sources: ReadonlyArray<readonly [string, Uint8Array, (location: string) => AnySource]> = [
    ["rows.csv", csv, Source.csv],
    ["rows.csv.gz", gzipSync(csv), Source.csv],
    ["rows.jsonl", jsonl, Source.jsonl],
    ["rows.parquet", parquet, Source.parquet]
  ]
  for (const [name, bytes, source] of sources) {
    it.effect(`go on where the last one stopped: ${name}`, () =>
      Effect.gen(function*() {
        const { store } = yield* folder
        yield* store.write(name, Stream.succeed(bytes))
        const options = { ...asked(source(`store://${name}`)), maxRecordsPerJob: 3000, limits: { minRecords: 100 } }
        const once = yield* start(store)(prepare({ ...options, runId: "once" }))
        const rounds = yield* inRounds(
          (seconds) => start(store)(prepareStep(options, `${seconds} seconds`)),
          () => 8
        )
        assert.isAbove(rounds.length, 2)
        const run = yield* start(store)(Run.load("jokes"))
        assert.deepStrictEqual(yield* contentOf(store, run.jobs), yield* contentOf(store, once.jobs))
        const places: Array<any> = []
        for (const key of yield* checkpointsOf(store)) {
          const { position, row } = yield* jsonAt(store, key)
          assert.isAtMost(position.row, row)
          assert.include(position.identity, name)
          places.push(position)
        }
        assert.lengthOf(places, rounds.length - 1)
        assert.isAbove(Math.max(...places.map(({ offset }) => offset)), 0)
      }))
  }
})

describe("the rounds of a run", () => {
  it.effect("leave a checkpoint each, and one run.json that names who made each job", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const source = Source.rows(rowsOf(20))
      const first = yield* round(store, source)
      assert.deepInclude(first, { runId: "jokes", prepared: false, round: 1 })
      assert.strictEqual(first.records, first.jobs * 2)
      const [key] = yield* checkpointsOf(store)
      assert.strictEqual(key?.slice(-6), String(first.jobs).padStart(6, "0"))
      assert.deepInclude(yield* jsonAt(store, key!), { row: first.records, position: null, previous: null, round: 1 })
      const preparing = { jobs: first.jobs, records: first.records }
      assert.deepInclude(yield* start(store)(Run.status("jokes")), { preparing, next: "prepare" })
      assert.deepInclude((yield* start(store)(listRuns()))[0], { preparing, prepared: false })

      const rounds = yield* inRounds(() => start(store)(prepareStep(asked(source), "9 seconds")), () => 9)
      assert.deepStrictEqual(rounds.at(-1), {
        runId: "jokes",
        prepared: true,
        records: 20,
        jobs: 10,
        round: rounds.length + 1
      })
      assert.deepInclude(yield* start(store)(Run.status("jokes")), { preparing: null, next: "submit" })
      const again = yield* round(store, source)
      assert.deepStrictEqual(again, { runId: "jokes", prepared: true, records: 20, jobs: 10, round: 0 })
      const { jobs } = yield* start(store)(Run.load("jokes"))
      assert.strictEqual(new Set(jobs.map(({ prepareId }) => prepareId)).size, rounds.length + 1)
      for (const job of jobs) assert.include(job.input, job.prepareId)
    }))

  it.effect("are of the same media, parameters of rows and prompt functions as in one go", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const png = (n: number) => Buffer.concat([Buffer.from("89504e470d0a1a0a0000000d49484452", "hex"), Buffer.from([n])])
      for (let n = 0; n < 5; n++) yield* store.create(`photos/${n}.png`, png(n))
      const rows = Array.from({ length: 17 }, (_, n) => ({
        n,
        photo: n % 4 === 3 ? null : store.uri(`photos/${n % 5}.png`),
        inline: n % 3 === 0 ? `data:image/png;base64,${png(n).toString("base64")}` : null,
        most: n % 2 === 0 ? 10 + n : null
      }))
      const options = {
        name: "photos",
        source: Source.rows(rows),
        model: "us.amazon.nova-lite-v1:0",
        prompt: Prompt.make("What is it? {n}", {
          media: [Prompt.image("photo", { s3: "reference" }), Prompt.image("inline")]
        }),
        parametersFrom: { maxTokens: "most" },
        limits: { minRecords: 1 },
        maxRecordsPerJob: 3
      } as const
      const once = yield* start(store)(prepare({ ...options, runId: "whole1" }))
      const rounds = yield* inRounds(
        (seconds) => start(store)(prepareStep({ ...options, runId: "rounds" }, `${seconds} seconds`)),
        () => 9
      )
      assert.isAbove(rounds.length, 1)
      const { jobs } = yield* start(store)(Run.load("rounds"))
      const plain = (content: unknown) => JSON.parse(JSON.stringify(content).replaceAll("memory/whole1/", "memory/rounds/"))
      assert.deepStrictEqual(plain(yield* contentOf(store, jobs)), plain(yield* contentOf(store, once.jobs)))

      const spoken = (runId: string) => ({
        ...asked(Source.rows(rowsOf(13))),
        runId,
        prompt: Prompt.fromColumns(["n", "text"], ({ n, text }) => [
          ...(Number(n) % 3 === 0 ? [{ role: "system" as const, content: "Be brief." }] : []),
          { role: "user" as const, content: `A joke about ${String(text)}.` }
        ], { version: "1" })
      })
      const spokenOnce = yield* start(store)(prepare(spoken("said-once")))
      yield* inRounds((seconds) => start(store)(prepareStep(spoken("said"), `${seconds} seconds`)), () => 9)
      const said = yield* start(store)(Run.load("said"))
      assert.deepStrictEqual(yield* contentOf(store, said.jobs), yield* contentOf(store, spokenOnce.jobs))
    }))

  it.effect("refuse a file that is another one, and rows that are others", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const csv = (word: string) => Buffer.from(`text\n${rowsOf(30, word).map(({ text }) => `${text}\n`).join("")}`)
      yield* store.create("rows.csv", csv("topic"))
      yield* round(store, Source.csv("store://rows.csv"))
      yield* TestClock.adjust("1 hour")
      yield* store.remove("rows.csv")
      yield* store.create("rows.csv", csv("other"))
      const changed = yield* reasonOf(round(store, Source.csv("store://rows.csv")))
      assert.deepInclude(changed, { _tag: "RunConflict", problem: "different", differs: ["source"] })

      const stream = (count: number, word?: string) => Source.rows(Stream.fromIterable(rowsOf(count, word)))
      const streams = memoryStore()
      const { records } = yield* round(streams, stream(30))
      const others = yield* reasonOf(round(streams, stream(30, "other")))
      assert.deepInclude(others, { _tag: "RunConflict", problem: "different", differs: ["source"] })
      assert.include(others.message, "row 1 is another one")
      const fewer = yield* reasonOf(round(streams, stream(records)))
      assert.include(fewer.message, `there are no more than ${records}`)
      const first = rowsOf(30)
      yield* round(streams, Source.rows(Stream.fromIterable(first)))
      const iterator = first[Symbol.iterator]()
      for (let i = 0; i < 3; i++) iterator.next()
      const begun = yield* reasonOf(round(streams, Source.rows(iterator)))
      assert.deepInclude(begun, { _tag: "RunConflict", problem: "different" })
    }))

  it.effect("begin anew where another process made the jobs for another Region", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const source = Source.rows(rowsOf(20))
      yield* round(store, source)
      const elsewhere = processOf(store, new ScriptedJobs("eu-west-1"))
      const run = yield* elsewhere(prepare(asked(source)))
      assert.isTrue(run.jobs.every(({ region }) => region === "eu-west-1"))
      assert.strictEqual(new Set(run.jobs.map(({ prepareId }) => prepareId)).size, 1)
    }))

  it.effect("do without checkpoints that are damaged, gone, or of a run that was deleted", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const source = Source.rows(rowsOf(40))
      for (let i = 0; i < 3; i++) yield* round(store, source)
      const keys = (yield* checkpointsOf(store)).toSorted((a, b) => a.slice(-6).localeCompare(b.slice(-6)))
      assert.lengthOf(keys, 3)
      const jobsAt = (key: string) => Number(key.slice(-6))
      const taken = Effect.map(round(store, source), ({ jobs, round: number }) => ({ jobs, number }))
      // Damaged: what came before it counts.
      const kept = yield* store.get(keys[2]!)
      yield* store.remove(keys[2]!)
      yield* store.create(keys[2]!, Buffer.from("{"))
      assert.deepInclude(yield* start(store)(Run.status("jokes")), {
        preparing: { jobs: jobsAt(keys[1]!), records: jobsAt(keys[1]!) * 2 }
      })
      assert.strictEqual((yield* taken).number, 3)
      // Gone in the middle of what it builds on.
      const later = yield* checkpointsOf(store)
      for (const key of later) if (!keys.includes(key)) yield* store.remove(key)
      yield* store.remove(keys[2]!)
      yield* store.create(keys[2]!, kept!)
      yield* store.remove(keys[1]!)
      assert.strictEqual((yield* taken).number, 2)
      // Of a run that was deleted.
      const old = yield* store.get(keys[0]!)
      yield* start(store)(deleteRun("jokes"))
      assert.deepStrictEqual(yield* keysOf(store, "jokes/"), [])
      yield* store.create(Layout.checkpoint("jokes", "0123456789abcdef", 1), old!)
      assert.strictEqual((yield* taken).number, 1)
      const { jobs } = yield* start(store)(prepare(asked(source)))
      assert.isTrue(jobs.every(({ prepareId }) => prepareId !== "0123456789abcdef"))
      assert.isNotNull(yield* store.head(jobs[0]!.rows.key))
    }))

  it.effect("are refused with a budget that is none, and for a run that was cancelled", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const source = Source.rows(rowsOf(20))
      for (const budget of [0, -1, Infinity, NaN]) {
        const reason = yield* reasonOf(start(store)(prepareStep(asked(source), budget)))
        assert.deepInclude(reason, { _tag: "InvalidOption", path: "budget" })
      }
      yield* round(store, source)
      yield* start(store)(Run.cancel("jokes"))
      assert.deepInclude(yield* reasonOf(round(store, source)), { _tag: "RunConflict", problem: "cancelled" })
    }))
})

describe("a round whose time is over", () => {
  /** Each input file takes so long to store. */
  const slow = (millis: (key: string) => number): Around => ({
    before: (operation, key) =>
      operation === "write" && key.includes("/inputs/") ? Effect.sleep(millis(key)) : Effect.void
  })
  const source = Source.rows(rowsOf(20))

  it.effect("before a job is complete fails, and loses nothing of the rounds before", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const step = (budget: number, around: Around) => inTime(start(store, around)(prepareStep(asked(source), budget)))
      const tooShort = yield* reasonOf(step(5_000, slow(() => 10_000)))
      assert.deepInclude(tooShort, { _tag: "OutOfTime", runId: "jokes", records: 0 })
      assert.include(tooShort.message, "maxRecordsPerJob")
      assert.deepStrictEqual(yield* keysOf(store), ["jokes/plan.json"])
      const some = yield* step(45_000, slow(() => 10_000))
      assert.isFalse(some.prepared)
      assert.isAbove(some.jobs, 1)
      const again = yield* reasonOf(step(5_000, slow(() => 10_000)))
      assert.deepInclude(again, { _tag: "OutOfTime", records: some.records })
      assert.deepInclude(yield* step(600_000, slow(() => 10_000)), { prepared: true, records: 20, round: 2 })
    }))

  it.effect("amidst a job gives that job up and keeps those that are stored", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const stuck = slow((key) => (key.includes("1-000003/") ? 86_400_000 : 1))
      const step = (around: Around) => inTime(start(store, around)(prepareStep(asked(source), "1 minute")))
      assert.deepInclude(yield* step(stuck), { prepared: false, jobs: 3, records: 6, round: 1 })
      assert.deepInclude(yield* step({}), { prepared: true, jobs: 10, records: 20, round: 2 })
    }))

  it.effect("before the source is open fails, too", () =>
    Effect.gen(function*() {
      const never = Source.rows(Stream.fromEffect(Effect.as(Effect.never, { n: 1, text: "a" })))
      const reason = yield* reasonOf(inTime(start(memoryStore())(prepareStep(asked(never), "1 minute"))))
      assert.deepInclude(reason, { _tag: "OutOfTime", runId: "jokes", records: 0 })
    }))
})

describe("prepare", () => {
  /** Dies at the first write of a file of this job. */
  const dyingAt = (job: string): Around => ({
    before: (operation, key) =>
      operation === "write" && key.includes(`/inputs/`) && key.includes(`/${job}/`)
        ? Effect.die(new Death())
        : Effect.void
  })

  const livesOf = (jobs: ReadonlyArray<{ readonly prepareId: string }>) =>
    jobs.map(({ prepareId }) => prepareId).filter((id, i, all) => id !== all[i - 1])

  it.effect("leaves a checkpoint every few jobs, from which it goes on after a crash", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const source = Source.rows(rowsOf(80))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(start(store, dyingAt("1-000037"))(prepare(asked(source))))))
      assert.deepStrictEqual((yield* checkpointsOf(store)).map((key) => key.slice(-6)), ["000016", "000032"])
      const written: Array<string> = []
      const counted: Around = {
        before: (operation, key) => Effect.sync(() => void (operation === "write" && written.push(key)))
      }
      const run = yield* start(store, counted)(prepare(asked(source)))
      assert.lengthOf(run.jobs, 40)
      assert.lengthOf(written.filter((key) => key.includes("/inputs/")), 8)
      assert.lengthOf(livesOf(run.jobs), 2)
      const once = yield* start(memoryStore())(prepare(asked(source)))
      assert.deepStrictEqual(
        run.jobs.map(({ files, key, records }) => [key, records, files.map(({ sha256 }) => sha256)]),
        once.jobs.map(({ files, key, records }) => [key, records, files.map(({ sha256 }) => sha256)])
      )
    }))

  it.effect("goes on from the rounds before it, and leaves one for time that has passed", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const source = Source.rows(rowsOf(20))
      const { jobs } = yield* round(store, source)
      const long: Around = {
        before: (operation, key) =>
          operation === "write" && key.includes("/inputs/") ? TestClock.adjust("20 seconds") : Effect.void
      }
      yield* Effect.exit(start(store, { before: (operation, key) =>
        Effect.andThen(long.before!(operation, key), dyingAt("1-000008").before!(operation, key)) })(prepare(asked(source))))
      assert.isAbove((yield* checkpointsOf(store)).length, 1)
      const run = yield* start(store)(prepare(asked(source)))
      assert.lengthOf(livesOf(run.jobs), 3)
      assert.strictEqual(run.jobs.filter(({ prepareId }) => prepareId === run.jobs[0]!.prepareId).length, jobs)
    }))

  it.effect("begins anew where nothing says that the rows are the same", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      yield* round(store, Source.rows(Stream.fromIterable(rowsOf(20))))
      const run = yield* start(store)(prepare(asked(Source.rows(Stream.fromIterable(rowsOf(20).toReversed())))))
      assert.lengthOf(livesOf(run.jobs), 1)
      assert.strictEqual(run.manifest.records, 20)
    }))
})
