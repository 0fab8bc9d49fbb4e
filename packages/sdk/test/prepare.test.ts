import * as Prompt from "@bedrock-batch/processors/Prompt"
import { assert, describe, it } from "@effect/vitest"
import { Data, Deferred, Effect, Exit, Fiber, Stream } from "effect"
import { setTimeout } from "node:timers/promises"
import type { Services } from "../src/Aws.ts"
import type { BatchError } from "../src/BatchError.ts"
import { sha256 } from "../src/internal/Digest.ts"
import * as Layout from "../src/internal/Layout.ts"
import * as RowsFile from "../src/internal/RowsFile.ts"
import { prepare } from "../src/prepare.ts"
import type { Run } from "../src/RunManifest.ts"
import * as Source from "../src/source/Source.ts"
import type { ObjectStore } from "../src/store/ObjectStore.ts"
import { folder, model, processOf } from "./rig/Bench.ts"
import { memoryStore } from "./rig/MemoryStore.ts"
import { ScriptedJobs } from "./rig/ScriptedJobs.ts"

class Death extends Data.Error<{}> {}

type Store = ObjectStore["Service"]

interface Topic {
  readonly topic: string
}

const rowsOf = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ topic: `topic ${i}`, n: i, day: new Date(i) }))
const topics = rowsOf(23)
const prompt = Prompt.make("A joke about {topic}.")
const limits = { minRecords: 3, maxRecords: 10, maxFileRecords: 4 }
const options = { name: "jokes", source: Source.rows(topics), model, prompt, limits, maxRecordsPerJob: 7 } as const

const untyped = (rows: ReadonlyArray<Source.UntypedRow>) => Source.rows(rows)

const keysOf = (store: Store, prefix = "") =>
  Effect.map(store.list(prefix), ({ objects }) => objects.map(({ key }) => key))

/** Asserts that a run is whole: every file as the manifest says, every row once, in order, in records and in rows. */
const audit = Effect.fnUntraced(function*(store: Store, run: Run<object>, rows: ReadonlyArray<Topic>) {
  let row = 0
  for (const job of run.jobs) {
    assert.deepStrictEqual(yield* keysOf(store, job.input), job.files.map(({ key }) => key), "no stray file")
    assert.strictEqual(job.firstRow, row)
    const lines: Array<string> = []
    for (const file of [...job.files, job.rows]) {
      const bytes = (yield* store.get(file.key))!
      const info = yield* store.head(file.key)
      assert.deepStrictEqual([bytes.length, info?.etag, sha256(bytes)], [file.size, file.etag, file.sha256])
      if (file === job.rows) continue
      const own = Buffer.from(bytes).toString().split("\n")
      assert.strictEqual(own.pop(), "")
      assert.strictEqual(own.length, file.records)
      lines.push(...own)
    }
    const kept = yield* Stream.runCollect(RowsFile.read(store.read(job.rows.key), (message) => message))
    const cells = kept.flatMap((batch) => batch.columns[0] ?? [])
    assert.deepStrictEqual([lines.length, cells.length, job.rows.records], [job.records, job.records, job.records])
    for (const [i, line] of lines.entries()) {
      const record: unknown = JSON.parse(line)
      assert.propertyVal(record, "recordId", Layout.recordId(row))
      assert.include(line, `A joke about ${rows[row]!.topic}.`)
      assert.strictEqual(cells[i], rows[row]!.topic)
      row++
    }
  }
  assert.strictEqual(row, rows.length)
  assert.strictEqual(run.manifest.records, rows.length)
  assert.strictEqual(new Set(run.jobs.flatMap(({ name, token }) => [name, token])).size, run.jobs.length * 2)
})

const start = (store: Store, around = {}) => processOf(store, new ScriptedJobs(), around)

const reasonOf = <A>(effect: Effect.Effect<A, BatchError>) => Effect.map(Effect.flip(effect), ({ reason }) => reason)

describe("prepare", () => {
  it.effect("begins the ids of runs with the beginnings of long names, and tells such runs apart", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const there = start(store)
      const longest = "n".repeat(29)
      assert.match((yield* there(prepare({ ...options, name: longest }))).id, /^n{29}-[0-9a-f]{10}$/)
      const beginning = "sentiment-of-all-our-reviews"
      const names = [`${beginning}--first-half`, `${beginning}--second-half`, beginning.padEnd(63, "x")]
      const runs = yield* Effect.forEach(names, (name) => there(prepare({ ...options, name })))
      assert.deepStrictEqual(runs.map(({ manifest }) => manifest.name), names)
      for (const { id } of runs.slice(0, 2)) assert.match(id, /^sentiment-of-all-our-reviews-[0-9a-f]{10}$/)
      assert.match(runs[2]!.id, /^sentiment-of-all-our-reviewsx-[0-9a-f]{10}$/)
      assert.strictEqual(new Set(runs.map(({ id }) => id)).size, 3)
      const again = yield* there(prepare({ ...options, name: names[0]! }))
      assert.strictEqual(again.id, runs[0]!.id)
    }))

  it.effect("writes each job's records and rows, and a manifest that tells them all", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const run = yield* start(store)(prepare(options))
      assert.match(run.id, /^jokes-[0-9a-f]{10}$/)
      assert.deepStrictEqual(run.jobs.map(({ records }) => records), [6, 6, 6, 5])
      assert.deepStrictEqual(run.jobs[0]!.files.map(({ records }) => records), [4, 2])
      yield* audit(store, run, topics)
    }))

  it.effect("finds the run prepared, in another process too, and writes nothing", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const run = yield* start(store)(prepare(options))
      const before = yield* keysOf(store)
      const again = yield* start(store)(prepare({ ...options, source: Source.rows(rowsOf(23)) }))
      assert.deepStrictEqual([again.manifest, again.jobs], [run.manifest, run.jobs])
      assert.deepStrictEqual(yield* keysOf(store), before)
    }))

  it.effect("gives two that prepare at once the same run, without a stray file in what is submitted", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const runs = yield* Effect.all(
        Array.from({ length: 3 }, () => start(store)(prepare(options))),
        { concurrency: 3 }
      )
      for (const run of runs) assert.deepStrictEqual([run.manifest, run.jobs], [runs[0]!.manifest, runs[0]!.jobs])
      yield* audit(store, runs[0]!, topics)
    }))

  it.effect("takes the plan's limits when another process planned first, whatever its own are", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const planned = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const before = (operation: string) =>
        operation === "write" ? Effect.andThen(Deferred.succeed(planned, undefined), Deferred.await(go)) : Effect.void
      const slow = yield* Effect.forkChild(start(store, { before })(prepare(options)))
      yield* Deferred.await(planned)
      const run = yield* start(store)(prepare({ ...options, maxRecordsPerJob: 4, timeoutHours: 24 }))
      assert.deepStrictEqual(run.jobs.map(({ records }) => records), [6, 6, 6, 5])
      assert.strictEqual(run.jobs[0]!.timeoutHours, 72)
      yield* Deferred.succeed(go, undefined)
      assert.deepStrictEqual((yield* Fiber.join(slow)).jobs, run.jobs)
      yield* audit(store, run, topics)
    }))

  it.effect("begins anew after it was interrupted, and comes to a whole run", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const gate = yield* Deferred.make<void>()
      const many = rowsOf(2500)
      const slowly = Stream.concat(
        Stream.fromIterable(many.slice(0, 1500)),
        Stream.fromEffectDrain(Deferred.await(gate))
      ).pipe(Stream.concat(Stream.fromIterable(many.slice(1500))))
      const prepared = (rows: Stream.Stream<typeof many[number]>) =>
        start(store)(prepare({
          ...options,
          source: Source.rows(rows, { version: "1" }),
          limits: { minRecords: 3 },
          maxRecordsPerJob: 100
        }))
      const fiber = yield* Effect.forkChild(prepared(slowly))
      while ((yield* keysOf(store)).length < 20) yield* Effect.promise(() => setTimeout(5))
      yield* Fiber.interrupt(fiber)
      const first = (yield* keysOf(store)).flatMap((key) => /inputs\/([0-9a-f]+)\//.exec(key)?.[1] ?? [])
      const run = yield* prepared(Stream.fromIterable(many))
      assert.isTrue(run.jobs.every(({ prepareId }) => prepareId !== first[0]))
      yield* audit(store, run, many)
    }))

  it.effect("comes to a whole run after a death at any operation of the store", () =>
    Effect.gen(function*() {
      for (let at = 0;; at++) {
        const store = memoryStore()
        let operations = 0
        const step = () => Effect.suspend(() => (operations++ === at ? Effect.die(new Death()) : Effect.void))
        const exit = yield* Effect.exit(start(store, { before: step, after: step })(prepare(options)))
        const run = yield* start(store)(prepare(options))
        yield* audit(store, run, topics)
        const ids = new Set(run.jobs.map(({ prepareId }) => prepareId))
        assert.strictEqual(ids.size, 1, "nobody goes on in another's folder")
        if (Exit.isSuccess(exit)) {
          assert.isAbove(at, 20)
          return
        }
      }
    }))

  it.effect("refuses other content under the id of a run, and names what differs", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const own = { ...options, runId: "mine" }
      const run = yield* start(store)(prepare(own))
      assert.strictEqual(run.id, "mine")
      const others = {
        source: prepare({ ...own, source: Source.rows(rowsOf(24)) }),
        prompt: prepare({ ...own, prompt: Prompt.make("Another joke about {topic}.") }),
        parameters: prepare({ ...own, parameters: { maxTokens: 9 } }),
        rename: prepare({ ...own, rename: { response: "joke" } }),
        selection: prepare({ ...own, maxRecordsTotal: 20 }),
        model: prepare({ ...own, model: "anthropic.claude-haiku-4-5-20251001-v1:0" })
      }
      const before = yield* keysOf(store)
      for (const [part, other] of Object.entries(others)) {
        const reason = yield* reasonOf(start(store)(Effect.asVoid<unknown, BatchError, Services>(other)))
        assert.strictEqual(reason._tag, "RunConflict")
        assert.deepInclude(reason, { problem: "different", runId: "mine", differs: [part] })
        assert.include(reason.message, `another ${part}`)
      }
      assert.deepStrictEqual(yield* keysOf(store), before)
      const same = yield* start(store)(prepare({ ...own, maxRecordsPerJob: 4, limits: { minRecords: 1 } }))
      assert.deepStrictEqual(same.jobs, run.jobs, "limits do not make another run")
    }))

  it.effect("refuses other content also while the first is still preparing", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      yield* Effect.exit(
        start(store, { before: (operation: string) => operation === "write" ? Effect.die(new Death()) : Effect.void })(
          prepare({ ...options, runId: "mine" })
        )
      )
      const reason = yield* reasonOf(start(store)(prepare({ ...options, runId: "mine", parameters: { maxTokens: 9 } })))
      assert.deepInclude(reason, { _tag: "RunConflict", problem: "different" })
    }))

  it.effect("leaves nothing behind when the options are wrong", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const wrong = [
        ["InvalidColumns", prepare({ ...options, source: untyped([{ topik: "a" }]) })],
        ["InvalidColumns", prepare({ ...options, source: untyped([{ topic: "a", response: "b" }]) })],
        ["InvalidSource", prepare({ ...options, source: Source.rows(rowsOf(2)) })],
        ["InvalidSource", prepare({ ...options, source: Source.rows(rowsOf(0)) })],
        ["InvalidOption", prepare({ ...options, limits: { ...limits, maxRecords: 2 } })],
        ["InvalidOption", prepare({ ...options, name: "a name" })],
        ["InvalidOption", prepare({ ...options, name: "n".repeat(64) })],
        ["InvalidOption", prepare({ ...options, timeoutHours: 1 })],
        ["InvalidOption", prepare({ ...options, maxJobs: 0 })],
        ["InvalidOption", prepare({ ...options, model: "no model" })],
        ["InvalidOption", prepare({ ...options, parameters: { maxTokens: 0 } })],
        ["InvalidOption", prepare({ ...options, source: Source.rows(Stream.fromIterable(topics)) })]
      ] as const
      for (const [tag, effect] of wrong) {
        const reason = yield* reasonOf(start(store)(Effect.asVoid<unknown, BatchError, Services>(effect)))
        assert.strictEqual(reason._tag, tag, reason.message)
      }
      assert.deepStrictEqual(yield* keysOf(store), [])
    }))

  it.effect("is not prepared when rows fail on the way, and names the row", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const broken = Prompt.fromColumns(["topic", "n"], (row) => {
        if (row.n === 17) throw new RangeError("secret words")
        return [{ role: "user", content: String(row.topic) }]
      }, { version: "1" })
      const reason = yield* reasonOf(start(store)(prepare({ ...options, prompt: broken })))
      assert.deepInclude(reason, { _tag: "InvalidSource", problem: "failed", row: 18 })
      assert.notInclude(reason.message, "secret")
      const few = yield* reasonOf(
        start(store)(prepare({ ...options, source: Source.rows(Stream.fromIterable(rowsOf(2)), { version: "2" }) }))
      )
      assert.deepInclude(few, { _tag: "InvalidSource", problem: "below-minimum" })
      assert.isFalse((yield* keysOf(store)).some((key) => key.endsWith("run.json")))
    }))

  it.effect("takes no more rows than it may, and reads no further", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const endless = Stream.concat(Stream.fromIterable(rowsOf(1000)), Stream.never)
      const source = Source.rows(endless, { version: "1" })
      const wanted = { ...options, source, limits: {} }
      const run = yield* start(store)(prepare({ ...wanted, maxRecordsTotal: 1000, maxRecordsPerJob: 300 }))
      yield* audit(store, run, rowsOf(1000))
      const jobs = yield* start(store)(prepare({ ...wanted, maxJobs: 2, maxRecordsPerJob: 200 }))
      assert.deepStrictEqual(jobs.jobs.map(({ records }) => records), [200, 200])
    }))

  it.effect("keeps records that wait in a file where they are large, and comes to the same", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const large = Array.from({ length: 9 }, (_, i) => ({ topic: `${i} ${"x".repeat(5_000_000)}` }))
      const source = Source.rows(Stream.fromIterable(large), { version: "1" })
      const run = yield* start(store)(prepare({ ...options, source, limits: { minRecords: 4 }, maxRecordsPerJob: 4 }))
      assert.deepStrictEqual(run.jobs.map(({ records }) => records), [4, 5])
      yield* audit(store, run, large)
    }), 30_000)
})
