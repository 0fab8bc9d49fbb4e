import * as Prompt from "@bedrock-batch/processors/Prompt"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { awaitAll } from "../src/awaitAll.ts"
import { collect, collectJob, finish } from "../src/collect.ts"
import { deleteRun } from "../src/deleteRun.ts"
import * as Layout from "../src/internal/Layout.ts"
import type { EndedJob, Job, RefusedJob } from "../src/Job.ts"
import * as Ledger from "../src/Ledger.ts"
import type { Limits } from "../src/Limits.ts"
import { noCounts } from "../src/Outcome.ts"
import { prepare, type RunDefinition } from "../src/prepare.ts"
import { retry } from "../src/retry.ts"
import * as Run from "../src/Run.ts"
import { resume } from "../src/runToEnd.ts"
import * as Source from "../src/source/Source.ts"
import type { ObjectStore } from "../src/store/ObjectStore.ts"
import { submit } from "../src/submit.ts"
import { bench, folder, model, type ProcessOptions, processOf } from "./rig/Bench.ts"
import { labels } from "./rig/labels.ts"
import { ScriptedJobs } from "./rig/ScriptedJobs.ts"
import { drive, settled } from "./rig/WatchedStore.ts"

const titan = "amazon.titan-embed-text-v2:0"

/** The rows that a job's input files ask for. */
const rowsOf = Effect.fnUntraced(function*(store: ObjectStore["Service"], job: Job) {
  const files = yield* Effect.forEach(job.files, ({ key }) => store.get(key))
  return files.flatMap((bytes) => Buffer.from(bytes!).toString().trim().split("\n"))
    .map((line): number => Layout.rowOf(JSON.parse(line).recordId))
})

const failed = { error: { errorCode: 500, errorMessage: "an error" } }

const converse = (text: string, stopReason = "end_turn") => ({
  modelOutput: {
    output: { message: { role: "assistant", content: [{ text }] } },
    stopReason,
    usage: { inputTokens: 2, outputTokens: 3 }
  }
})

interface World {
  readonly store: ObjectStore["Service"]
  readonly start: (options?: ProcessOptions) => ReturnType<typeof processOf>
}

/** Ends a job with what is said of each of its rows; null where no line comes back. */
const end = Effect.fnUntraced(function*({ start, store }: World, job: Job, said: (row: number) => object | null) {
  const lines = (yield* rowsOf(store, job)).toReversed().flatMap((row) => {
    const line = said(row)
    return line === null ? [] : [JSON.stringify({ recordId: Layout.recordId(row), modelInput: {}, ...line })]
  })
  const id = job.key.replace("-", "")
  const ended: EndedJob = {
    ...job,
    arn: `arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/${id}`,
    submittedAt: "2026-11-23T00:00:00.000Z",
    adopted: false,
    status: "Completed",
    message: null,
    counters: null,
    repeatedCalls: 0
  }
  const output = job.lane === "on-demand" ? job.output : `${job.output}${id}/`
  yield* store.create(`${output}part-0.jsonl.out`, Buffer.from([...lines, ""].join("\n")))
  return yield* start()(Ledger.Ledger.use((ledger) => ledger.end(ended)))
})

const isRefused = (job: { readonly status: string }): job is RefusedJob => job.status === "Refused"

describe("a create call that was never answered", () => {
  it.effect("does not hold up the run when the next one was refused for good", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(1)
      jobs.turns.push("dropped", "validation")
      const [refused] = yield* drive(start()(awaitAll(run.jobs.map(submit))))
      assert.deepInclude(refused, { status: "Refused", code: "ValidationException" })
      assert.lengthOf(jobs.creates, 2)
      assert.strictEqual((yield* start()(Run.status(run.id))).next, "collect")
      const { report } = yield* start()(finish(run))
      assert.deepStrictEqual(report.counts, { ...noCounts, missing: 2 })
      const status = yield* start()(Run.status(run.id))
      assert.deepStrictEqual([status.next, status.jobs.refused, status.jobs.claimed], ["nothing", 1, 0])
      const second = yield* start()(retry(run))
      assert.deepStrictEqual(second.jobs.map(({ records }) => records), [2])
    }))

  for (const mark of ["cancelled", "cancelled-1"]) {
    it.effect(`is settled for all readers of the ledger once Bedrock's list has settled it (${mark})`, () =>
      Effect.gen(function*() {
        const { jobs, run, start, store } = yield* bench(2)
        jobs.turns.push("accept", "dropped")
        const fiber = yield* Effect.forkChild(start()(awaitAll(run.jobs.map(submit))), { startImmediately: true })
        for (let i = 0; i < 20; i++) {
          yield* settled
          yield* TestClock.adjust(1000)
        }
        assert.lengthOf(jobs.creates, 2)
        yield* store.create(`${run.id}/${mark}`, new Uint8Array(2))
        const open = yield* Effect.flip(start()(finish(run)))
        assert.deepInclude(open.reason, { _tag: "RunConflict", problem: "not-ended" })
        jobs.endAll()
        const ended = yield* drive(Fiber.join(fiber))
        assert.deepStrictEqual(ended.filter(isRefused).map(({ code }) => code), ["Cancelled"])
        const { report } = yield* start()(finish(run))
        assert.strictEqual(report.counts.missing, 4)
        assert.strictEqual((yield* start()(Run.status(run.id))).next, "nothing")
        const mine = yield* start()(collect(run, ended))
        assert.strictEqual(mine.report.results, report.results)
        if (mark === "cancelled-1") {
          const second = yield* start()(retry(run, { lane: "on-demand" }))
          assert.deepStrictEqual(second.jobs.map(({ records }) => records), [2, 2])
        }
        yield* start()(deleteRun(run.id))
        assert.deepStrictEqual((yield* store.list(`${run.id}/`)).objects, [])
      }))
  }
})

describe("a job that was refused", () => {
  it.effect("is not sent again when its records are in the next attempt", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(2)
      jobs.turns.push("validation", "validation")
      yield* drive(start()(awaitAll(run.jobs.map(submit))))
      yield* start()(retry(run))
      const again = yield* drive(start()(awaitAll(run.jobs.map(submit))))
      const codes = again.filter(isRefused).map(({ code }) => code)
      assert.deepStrictEqual(codes, ["ValidationException", "ValidationException"])
      assert.lengthOf(jobs.creates, 2)
      assert.lengthOf(jobs.made, 0)
    }))

  it.effect("is sent again where no attempt has its records", () =>
    Effect.gen(function*() {
      const { jobs, run, start } = yield* bench(1)
      jobs.turns.push("validation")
      yield* drive(start()(awaitAll(run.jobs.map(submit))))
      const none = yield* start()(retry(run, { outcomes: ["failed"] }))
      assert.deepStrictEqual(none.jobs, [])
      yield* drive(start()(Effect.raceFirst(
        awaitAll(run.jobs.map(submit)),
        Effect.forever(Effect.delay(Effect.sync(() => jobs.endAll()), 1000))
      )))
      assert.lengthOf(jobs.made, 1)
    }))

  it.effect("is in no other attempt while somebody sends it again", () =>
    Effect.gen(function*() {
      const { job, jobs, run, start } = yield* bench(1)
      jobs.turns.push("validation")
      yield* drive(start()(awaitAll(run.jobs.map(submit))))
      const other = start()(Ledger.Ledger.use((ledger) => ledger.claim(job, 2)))
      const { reason } = yield* Effect.flip(
        start({
          before: (operation, key) =>
            operation === "create" && key === Layout.superseded(run.id, 1) ? Effect.orDie(other) : Effect.void
        })(retry(run))
      )
      assert.deepInclude(reason, { _tag: "RunConflict", problem: "not-ended" })
      assert.lengthOf((yield* start()(Run.status(run.id))).attempts, 1)
    }))
})

describe("results", () => {
  it.effect("of runs that were cut off are the same, and cut at the same rows, whoever collects them", () =>
    Effect.gen(function*() {
      const world = yield* bench(3)
      const { run, start, store } = world
      yield* end(world, run.jobs[0]!, (row) => converse(`answer ${row}`))
      yield* store.create(Layout.cancelledAttempt(run.id, 1), new Uint8Array(2))
      // As a submission that met the mark says it.
      const given = run.jobs.slice(1).map((job): RefusedJob => ({
        ...job,
        status: "Refused",
        code: "Cancelled",
        message: `run ${run.id}, or its attempt 1, is cancelled: job ${job.key} is not submitted`
      }))
      const options = { format: "jsonl", partBytes: 120 } as const
      const mine = yield* start()(collect(run, given, options))
      const theirs = yield* start()(finish(run, options))
      assert.deepStrictEqual([theirs.report, theirs.files], [mine.report, mine.files])
      // Collected by its ledger and then cancelled: other words for the same rows.
      yield* store.create(Layout.cancelled(run.id), new Uint8Array(2))
      const later = yield* start()(finish(run, options))
      assert.notStrictEqual(later.report.results, mine.report.results)
      const rows = yield* Stream.runCollect(later.rows)
      const file = later.files.map((path) => path.slice(store.location("").length))
      const written = yield* Effect.forEach(file, (key) => store.get(key.replace(/^\//, "")))
      const lines = written.map((bytes) => Buffer.from(bytes!).toString()).join("").trim().split("\n")
      const messages = lines.map((line) => JSON.parse(line).batch_error_message)
      assert.deepStrictEqual(messages, rows.map((row) => row.batch_error_message))
    }))

  it.effect("are not collected for a run before the attempt of a job that is given", () =>
    Effect.gen(function*() {
      const world = yield* bench(1)
      const { run, start } = world
      yield* end(world, run.jobs[0]!, () => failed)
      const second = yield* start()(retry(run))
      const later = yield* end(world, second.jobs[0]!, (row) => converse(`answer ${row}`))
      const { message, reason } = yield* Effect.flip(start()(collect(run, [later])))
      assert.deepInclude(reason, { _tag: "InvalidOption", path: "run" })
      assert.include(message, "job 2-000000 is of attempt 2")
      assert.strictEqual((yield* start()(collect(second, [later]))).report.counts.succeeded, 2)
    }))

  for (const kind of ["renamed labels of a processor of one's own", "vectors"] as const) {
    it.effect(`merge ${kind} over attempts, in memory, in files and in threads`, () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(Date.UTC(2026, 10, 23))
        const { store } = yield* folder
        const start = (options?: ProcessOptions) => processOf(store, new ScriptedJobs(), options)
        const world: World = { store, start }
        const rows = Array.from({ length: 30 }, (_, i) => ({ input_text: `text ${i}`, other: i }))
        const source = Source.rows(rows)
        const shared = { name: "merged", source, maxRecordsPerJob: 10 }
        const first: Run.Run<object> = kind === "vectors"
          ? yield* start()(prepare({ ...shared, model: titan, rename: { embedding: "vector" } }))
          : yield* start()(prepare({
            ...shared,
            model,
            prompt: Prompt.make("{input_text}"),
            processor: labels,
            rename: { label: "kind", batch_status: "status" }
          }))
        const vectorOf = (row: number, attempt: number) => [row, attempt, ...new Array<number>(254).fill(0.5)]
        const answer = (row: number, attempt: number) =>
          kind === "vectors"
            ? { modelOutput: { embedding: vectorOf(row, attempt), inputTextTokenCount: 3 } }
            : { modelOutput: { label: `row ${row} ${attempt}`, score: row / 3, in: 1, out: 2 } }
        // Row r succeeds in attempt 1 + r mod 4; the last of these never comes.
        const nth = (row: number) => 1 + row % 4
        let run = first
        for (let attempt = 1; attempt <= 3; attempt++) {
          if (attempt > 1) run = yield* start()(retry(run, { maxRecordsPerJob: 7 }))
          for (const job of run.jobs) {
            yield* end(world, job, (row) => nth(row) <= attempt ? answer(row, attempt) : row % 8 === 7 ? null : failed)
          }
        }
        const files: Array<ReadonlyArray<Uint8Array | null>> = []
        const ways = [{ parallelism: 1 }, { parallelism: 1, memoryBudget: 40 }, { parallelism: 2, memoryBudget: 40 }]
        for (const way of ways) {
          const { report, rows: stream } = yield* start()(collect(run, [], { format: "parquet", ...way }))
          const prefix = Layout.results(run.id, "3-parquet")
          const keys = first.jobs.map(({ key }) => `${prefix}${key}.parquet`)
          files.push(yield* Effect.forEach(keys, (key) => store.get(key)))
          assert.deepStrictEqual(report.counts, { ...noCounts, succeeded: 23, failed: 4, missing: 3 })
          const sizes = report.attempts.map(({ jobs, records }) => [jobs, records])
          assert.deepStrictEqual(sizes, [[3, 30], [4, 22], [2, 14]])
          const came = yield* Stream.runCollect(stream)
          const got = came.map((row) => {
            const { kind = null, score, vector = null }: Record<string, unknown> = { ...row }
            return vector ?? (kind === null ? null : [kind, score])
          })
          const expected: ReadonlyArray<unknown> = rows.map((_, row) =>
            nth(row) > 3
              ? null
              : kind === "vectors"
              ? Float32Array.from(vectorOf(row, nth(row)))
              : [`row ${row} ${nth(row)}`, row / 3])
          assert.deepStrictEqual(got, expected)
          for (const { key } of (yield* store.list(prefix)).objects) yield* store.remove(key)
        }
        assert.deepStrictEqual(files[1], files[0])
        assert.deepStrictEqual(files[2], files[0])
      }), 30_000)
  }

  it.effect("of one job do not differ from those of all, at the same attempt", () =>
    Effect.gen(function*() {
      const world = yield* bench(3)
      const { run, start, store } = world
      const first: Array<EndedJob> = []
      const said = (row: number) => row === 2 ? converse("cut", "max_tokens") : failed
      for (const job of run.jobs) first.push(yield* end(world, job, said))
      const second = yield* start()(retry(run, { outcomes: ["truncated", "failed"], maxRecordsPerJob: 6 }))
      yield* end(world, second.jobs[0]!, (row) => row < 3 ? converse(`later ${row}`) : null)
      yield* start()(collectJob(second, first[1]!, { format: "jsonl" }))
      const key = `${Layout.results(run.id, "2-jsonl")}${first[1]!.key}.jsonl`
      const alone = yield* store.get(key)
      yield* store.remove(key)
      yield* store.remove(Layout.jobReport(run.id, "2-jsonl", first[1]!.key))
      const { report } = yield* start()(finish(second, { format: "jsonl" }))
      assert.deepStrictEqual(yield* store.get(key), alone)
      assert.deepStrictEqual(report.counts, { ...noCounts, succeeded: 3, missing: 3 })
      assert.deepStrictEqual(report.attempts[0]!.counts, { ...noCounts, truncated: 1, failed: 5 })
    }))
})

describe("a run that is cancelled", () => {
  it.effect("while another attempt is about to be made gives what it had", () =>
    Effect.gen(function*() {
      const world = yield* bench(1)
      const { run, start, store } = world
      yield* end(world, run.jobs[0]!, (row) => row === 0 ? converse("answer") : failed)
      const mark = Layout.cancelled(run.id)
      const late = start({
        before: (operation, key) =>
          operation === "head" && key === mark ? Effect.orDie(store.create(mark, new Uint8Array(2))) : Effect.void
      })
      const { report } = yield* late(resume(run.id, { retry: { attempts: 2 } }))
      assert.deepStrictEqual(report.counts, { ...noCounts, succeeded: 1, failed: 1 })
      assert.lengthOf(report.attempts, 1)
    }))
})

describe("where a run stands", () => {
  it.effect("is told by its last attempt, whatever was refused in earlier ones", () =>
    Effect.gen(function*() {
      const world = yield* bench(2)
      const { jobs, run, start, store } = world
      jobs.turns.push("throttled")
      yield* Effect.exit(drive(start()(submit(run.jobs[1]!))))
      yield* end(world, run.jobs[0]!, (row) => converse(`answer ${row}`))
      yield* store.create(Layout.cancelledAttempt(run.id, 1), new Uint8Array(2))
      const second = yield* start()(retry(run))
      assert.deepInclude(yield* start()(Run.status(run.id)), { next: "submit" })
      yield* end(world, second.jobs[0]!, (row) => converse(`answer ${row}`))
      assert.deepInclude(yield* start()(Run.status(run.id)), { next: "collect" })
      yield* start()(finish(second))
      assert.deepInclude(yield* start()(Run.status(run.id)), { next: "nothing" })
    }))
})

describe("a run that was not prepared to its end", () => {
  const definition = (limits?: Partial<Omit<Limits, "maxOpenJobs">>): RunDefinition<ObjectStore> => ({
    name: "begun",
    runId: "begun",
    source: Source.rows(Array.from({ length: 30 }, (_, i) => ({ topic: `topic ${i}` }))),
    model,
    prompt: Prompt.make("{topic}"),
    limits,
    maxRecordsPerJob: 10
  })

  it.effect("is prepared within the bounds that it was begun with", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 10, 23))
      const { store } = yield* folder
      const jobs = new ScriptedJobs()
      const hundred = { limits: { minRecords: 100 } }
      const dying = processOf(store, jobs, {
        ...hundred,
        before: (operation, key) =>
          operation === "write" && key.startsWith("begun/inputs/") ? Effect.die(new Error("death")) : Effect.void
      })
      const life = yield* Effect.exit(dying(resume("begun", { definition: definition({ minRecords: 10 }) })))
      assert.isTrue(Exit.isFailure(life))
      const start = processOf(store, jobs, hundred)
      const ended = yield* drive(start(Effect.raceFirst(
        resume("begun", { definition: definition(), format: "jsonl" }),
        Effect.forever(Effect.delay(Effect.sync(() => jobs.endAll()), 1000))
      )))
      assert.deepStrictEqual(ended.report.counts, { ...noCounts, missing: 30 })
      assert.lengthOf(jobs.made, 3)
    }))

  it.effect("is taken up with the processor that is given beside the definition", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 10, 23))
      const { store } = yield* folder
      const jobs = new ScriptedJobs()
      const start = processOf(store, jobs)
      yield* start(prepare({
        name: "begun",
        runId: "begun",
        source: Source.rows(Array.from({ length: 30 }, (_, i) => ({ topic: `topic ${i}` }))),
        model,
        prompt: Prompt.make("{topic}"),
        maxRecordsPerJob: 10,
        processor: labels
      }))
      const ended = yield* drive(start(Effect.raceFirst(
        resume("begun", { definition: definition(), processor: labels }),
        Effect.forever(Effect.delay(Effect.sync(() => jobs.endAll()), 1000))
      )))
      assert.strictEqual(ended.report.records, 30)
    }))
})

describe("what a run is prepared from, as data", () => {
  it("names the objects that were meant, however they were given", () => {
    const locations = (location: string | URL) => {
      const { recipe } = Source.csv(location)
      return recipe !== null && "locations" in recipe ? recipe.locations : null
    }
    assert.strictEqual(locations(new URL("s3://bucket/my%20topics%25.csv")), "s3://bucket/my topics%.csv")
    assert.strictEqual(locations("s3://bucket/my%20topics.csv"), "s3://bucket/my%20topics.csv")
    assert.strictEqual(locations(new URL("file:///data/my%20topics.csv")), "file:///data/my%20topics.csv")
  })

  it("holds no token, and nothing where an option is code", () => {
    const secret = "hf_abcdefghijklmnop"
    const { recipe } = Source.huggingFace("owner/name", { token: secret, split: "test", limit: 3 })
    assert.deepStrictEqual(recipe, { type: "huggingFace", id: "owner/name", options: { split: "test", limit: 3 } })
    assert.isNull(Source.rows([{ a: 1 }]).recipe)
  })
})
