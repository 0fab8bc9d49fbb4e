import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { readdir } from "node:fs/promises"
import { awaitAll } from "../src/awaitAll.ts"
import { collect, collectJob, finish } from "../src/collect.ts"
import type { EndedJob } from "../src/Job.ts"
import * as Layout from "../src/internal/Layout.ts"
import * as Ledger from "../src/Ledger.ts"
import { addCounts, noCounts } from "../src/Outcome.ts"
import { load, status } from "../src/Run.ts"
import { submit } from "../src/submit.ts"
import { bench } from "./rig/Bench.ts"
import { ownTemporaryFolder } from "./rig/ownTemporaryFolder.ts"
import { drive } from "./rig/WatchedStore.ts"

const converse = (text: string) => ({
  output: { message: { role: "assistant", content: [{ text }] } },
  stopReason: "end_turn",
  usage: { inputTokens: 2, outputTokens: 3 }
})

/** A run whose jobs have ended, with an answer for each record, in no order. */
const ended = Effect.fnUntraced(function*(count: number) {
  const fixture = yield* bench(count)
  const { jobs, run, start, store } = fixture
  yield* drive(start()(Effect.forEach(run.jobs, submit)))
  jobs.endAll()
  const awaited = yield* drive(start()(awaitAll(run.jobs.map(submit))))
  const done = awaited.filter((job): job is EndedJob => job.status === "Completed")
  for (const job of done) {
    const lines = [1, 0].map((i) =>
      JSON.stringify({
        recordId: Layout.recordId(job.firstRow + i),
        modelOutput: converse(`answer ${job.firstRow + i}`)
      })
    )
    const folder = `${job.output}${job.arn.slice(job.arn.lastIndexOf("/") + 1)}/`
    yield* store.create(`${folder}part-0.jsonl.out`, Buffer.from(`${lines.join("\n")}\n`))
  }
  return { ...fixture, done }
})

const expected = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ topic: `topic ${i}`, response: `answer ${i}` }))

describe("collect", () => {
  it.effect("writes a file a job and a report, and streams the rows in input order, more than once", () =>
    Effect.gen(function*() {
      const { done, run, start, store } = yield* ended(3)
      const { files, report, rows, table } = yield* start()(collect(run, done.toReversed(), { format: "jsonl" }))
      assert.deepStrictEqual([...(yield* table).getChild("response") ?? []], expected(6).map(({ response }) => response))
      const came = {
        records: 6,
        jobs: 3,
        counts: { ...noCounts, succeeded: 6 },
        mendable: 0,
        duplicates: 0,
        unknown: 0,
        malformed: 0,
        repeatedCalls: 0,
        inputTokens: 12,
        outputTokens: 18
      }
      assert.deepStrictEqual(report, {
        version: 1,
        runId: run.id,
        format: "jsonl",
        ...came,
        differences: [],
        attempts: [{ attempt: 1, ...came }],
        results: store.location(`${run.id}/results/1-jsonl/`)
      })
      assert.deepStrictEqual(files, run.jobs.map(({ key }) => store.location(`${run.id}/results/1-jsonl/${key}.jsonl`)))
      for (let i = 0; i < 2; i++) {
        const read = yield* Stream.runCollect(rows)
        assert.deepStrictEqual(read.map(({ response, topic }) => ({ topic, response })), expected(6))
      }
      const written = yield* Effect.forEach(run.jobs, ({ key }) => store.get(`${run.id}/results/1-jsonl/${key}.jsonl`))
      const lines = Buffer.concat(written.map((bytes) => bytes ?? Buffer.alloc(0))).toString().trim().split("\n")
      const responses = lines.map((line) => JSON.parse(line).response)
      assert.deepStrictEqual(responses, expected(6).map(({ response }) => response))
    }))

  it.effect("comes to the same when it is done again, in parts, by the ledger, or after a death anywhere", () =>
    Effect.gen(function*() {
      const { done, run, start, store } = yield* ended(2)
      const first = yield* start()(collect(run, done, { format: "csv" }))
      assert.deepStrictEqual((yield* start()(collect(run, done, { format: "csv" }))).report, first.report)
      const folder = `${run.id}/results/1-csv/`
      const { objects } = yield* store.list(folder)
      assert.lengthOf(objects, 5)
      for (const kept of [".csv", "000000.csv", "nothing"]) {
        for (const { key } of objects) if (!key.endsWith(kept)) yield* store.remove(key)
        const again = yield* start()(finish(run, { format: "csv" }))
        assert.deepStrictEqual(again.report, first.report, kept)
        assert.deepStrictEqual((yield* store.list(folder)).objects.length, 5)
      }
      const one = yield* start()(collectJob(run, done[1]!, { format: "csv" }))
      assert.deepStrictEqual([one.job, one.records, one.inputTokens], ["1-000001", 2, 4])
    }))

  it.effect("keeps what was collected without a refused job apart from what is collected with it", () =>
    Effect.gen(function*() {
      const { job, jobs, run, start } = yield* bench(1)
      jobs.turns.push("validation")
      const refused = yield* drive(start()(awaitAll([submit(job)])))
      const without = yield* start()(collect(run, refused, { format: "jsonl" }))
      assert.deepStrictEqual(without.report.counts, { ...noCounts, missing: 2 })
      yield* drive(start()(submit(job)))
      jobs.endAll()
      const done = yield* drive(start()(awaitAll([submit(job)])))
      const whole = yield* start()(collect(run, done, { format: "jsonl" }))
      assert.notStrictEqual(whole.report.results, without.report.results)
    }))

  it.effect("refuses jobs of another run, and a run that has not ended", () =>
    Effect.gen(function*() {
      const { done, run, start } = yield* ended(1)
      const foreign = { ...done[0]!, runId: "other" }
      const { reason } = yield* Effect.flip(start()(collect(run, [foreign])))
      assert.deepInclude(reason, { _tag: "RunConflict", problem: "not-ended" })
      const open = yield* bench(1)
      for (const effect of [collect(open.run, []), finish(open.run)]) {
        const unready = yield* Effect.flip(open.start()(effect))
        assert.include(unready.message, "job 1-000000 of run")
      }
    }))

  it.effect("refuses a memory budget that is none", () =>
    Effect.gen(function*() {
      const { done, run, start } = yield* ended(1)
      for (const memoryBudget of [0, -1, NaN]) {
        const { reason } = yield* Effect.flip(start()(collect(run, done, { memoryBudget })))
        assert.strictEqual(reason._tag, "InvalidOption")
      }
    }))

  it.effect("tells where a run stands, and loads it by its id", () =>
    Effect.gen(function*() {
      const { job, jobs, run, start, store } = yield* bench(5)
      const states = { planned: 5, claimed: 0, refused: 0, submitted: 0, ended: 0 }
      const at = start()(status(run.id))
      assert.deepStrictEqual(yield* at, {
        runId: run.id,
        records: 10,
        preparing: null,
        jobs: states,
        attempts: [{ attempt: 1, records: 10, jobs: states, cancelled: false }],
        cancelled: false,
        results: [],
        next: "submit"
      })
      jobs.turns.push("accept", "validation")
      yield* drive(start()(submit(job)))
      yield* Effect.flip(drive(start()(submit(run.jobs[1]!))))
      yield* start()(Ledger.Ledger.use((ledger) => ledger.claim(run.jobs[2]!, 1)))
      jobs.endAll()
      yield* drive(start()(awaitAll([submit(job)])))
      yield* drive(start()(submit(run.jobs[3]!)))
      const counts = { planned: 1, claimed: 1, refused: 1, submitted: 1, ended: 1 }
      assert.deepInclude(yield* at, { jobs: counts, next: "submit" })
      yield* store.create(`${run.id}/cancelled`, new Uint8Array(2))
      assert.deepInclude(yield* at, { cancelled: true, next: "await" })
      const loaded = yield* start()(load(run.id))
      assert.deepStrictEqual(loaded.jobs, run.jobs)
      const { reason } = yield* Effect.flip(start()(load("nobody")))
      assert.deepInclude(reason, { _tag: "RunConflict", problem: "not-found" })
    }))

  it("adds counts", () => {
    const one = { succeeded: 1, truncated: 2, refused: 3, invalid: 4, failed: 5, expired: 6, missing: 7 }
    assert.deepStrictEqual(addCounts(one, noCounts), one)
    assert.deepStrictEqual(Object.values(addCounts(one, one)), [2, 4, 6, 8, 10, 12, 14])
  })

  it.effect("comes to the same in threads of its own, whatever the format", () =>
    Effect.gen(function*() {
      for (const format of ["jsonl", "parquet"] as const) {
        const here = yield* ended(3)
        const one = yield* here.start()(collect(here.run, here.done, { format, parallelism: 1 }))
        const there = yield* ended(3)
        const two = yield* there.start()(collect(there.run, there.done, { format, parallelism: 2 }))
        assert.deepStrictEqual({ ...two.report, results: "" }, { ...one.report, results: "" })
        for (const { key } of here.run.jobs) {
          const name = `${here.run.id}/results/1-${format}/${key}.${format}`
          assert.deepStrictEqual(yield* there.store.get(name), yield* here.store.get(name))
        }
        // One job, whose output is read by several threads.
        const alone = yield* ended(1)
        const [job] = alone.done
        const options = { format, parallelism: 2, memoryBudget: 20 } as const
        assert.deepStrictEqual((yield* alone.start()(collectJob(alone.run, job!, options))).counts, { ...noCounts, succeeded: 2 })
        const [theirs, ours] = yield* Effect.forEach([here, alone], ({ run, store }) =>
          store.get(`${run.id}/results/1-${format}/${job!.key}.${format}`))
        assert.strictEqual(Buffer.from(ours ?? []).toString("latin1"), Buffer.from(theirs ?? []).toString("latin1"))
      }
    }), 30_000)

  it.effect("leaves no temporary file behind, also when threads are ended in the middle", () =>
    Effect.gen(function*() {
      const folder = yield* ownTemporaryFolder
      const left = Effect.map(
        Effect.promise(() => readdir(folder)),
        (names) => names.filter((name) => !name.startsWith("bedrock-batch-test-"))
      )
      const here = yield* ended(3)
      const options = { format: "jsonl", parallelism: 2, memoryBudget: 20 } as const
      yield* here.start()(collect(here.run, here.done, options))
      assert.deepStrictEqual(yield* left, [])
      const alone = yield* ended(1)
      yield* alone.start()(collectJob(alone.run, alone.done[0]!, options))
      assert.deepStrictEqual(yield* left, [])

      const broken = yield* ended(3)
      yield* broken.store.remove(broken.run.jobs[1]!.rows.key)
      yield* Effect.flip(broken.start()(collect(broken.run, broken.done, options)))
      assert.deepStrictEqual(yield* left, [])
    }), 30_000)

  it.effect("cuts the rows of a job into parts of a size, the same ones again after a death", () =>
    Effect.gen(function*() {
      const { done, run, start, store } = yield* ended(2)
      const parts = () => start()(collect(run, done, { format: "jsonl", partBytes: 1 }))
      const first = yield* parts()
      const folder = `${run.id}/results/1-jsonl-parts-1/`
      const names = run.jobs.flatMap(({ key }) => [0, 1].map((part) => `${folder}${key}-00000${part}.jsonl`))
      assert.deepStrictEqual(first.files, names.map((name) => store.location(name)))
      const responses = Effect.forEach(names, (name) =>
        Effect.map(store.get(name), (bytes) => JSON.parse(Buffer.from(bytes!).toString()).response))
      assert.deepStrictEqual(yield* responses, expected(4).map(({ response }) => response))
      for (const lost of [[], [names[0]!], [names[3]!], [names[1]!, names[2]!]]) {
        const reports = [`${folder}report.json`, ...run.jobs.map(({ key }) => `${folder}${key}.json`)]
        yield* Effect.forEach([...reports, ...lost], (key) => store.remove(key))
        assert.deepStrictEqual((yield* parts()).report, first.report)
        assert.deepStrictEqual(yield* responses, expected(4).map(({ response }) => response))
      }
    }))
})
