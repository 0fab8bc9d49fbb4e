import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema, Stream } from "effect"
import { collect, collectJob, finish } from "../src/collect.ts"
import * as Layout from "../src/internal/Layout.ts"
import type { EndedJob, Job, RefusedJob, TerminalStatus } from "../src/Job.ts"
import * as Ledger from "../src/Ledger.ts"
import { noCounts, type Outcome } from "../src/Outcome.ts"
import { retry, type RetryOptions } from "../src/retry.ts"
import * as Run from "../src/Run.ts"
import type { ObjectStore } from "../src/store/ObjectStore.ts"
import { bench } from "./rig/Bench.ts"

/** What a record comes to in a job: an answer, an error with this code, one that says that it was not run, or no line. */
type Fate = "answer" | "cut" | "400" | "429" | "500" | "not run" | "silent"

const fates: ReadonlyArray<Fate> = ["answer", "cut", "400", "429", "500", "not run", "silent"]

const text = (row: number, attempt: number) => `row ${row}, attempt ${attempt}`

const lineOf = (row: number, attempt: number, fate: Fate): ReadonlyArray<string> => {
  const recordId = Layout.recordId(row)
  if (fate === "silent") return []
  if (fate === "not run") {
    return [JSON.stringify({ recordId, error: { errorCode: 408, errorMessage: "not run", expired: true } })]
  }
  if (fate !== "answer" && fate !== "cut") {
    return [JSON.stringify({ recordId, error: { errorCode: Number(fate), errorMessage: "an error" } })]
  }
  const modelOutput = {
    output: { message: { role: "assistant", content: [{ text: text(row, attempt) }] } },
    stopReason: fate === "cut" ? "max_tokens" : "end_turn",
    usage: { inputTokens: 2, outputTokens: 3 }
  }
  return [JSON.stringify({ recordId, modelInput: {}, modelOutput })]
}

/** The rows that a job's input files ask for. */
const rowsOf = Effect.fnUntraced(function*(store: ObjectStore["Service"], job: Job) {
  const rows: Array<number> = []
  for (const { key } of job.files) {
    const bytes = yield* store.get(key)
    for (const line of Buffer.from(bytes!).toString().trim().split("\n")) {
      rows.push(Layout.rowOf(JSON.parse(line).recordId))
    }
  }
  return rows
})

type World = Effect.Success<ReturnType<typeof bench>>

/** Ends a job with an output in which each record comes to what `fate` says. */
const end = Effect.fnUntraced(
  function*({ start, store }: World, job: Job, status: TerminalStatus, fate: (row: number) => Fate, extra: ReadonlyArray<string> = []) {
    const lines = (yield* rowsOf(store, job)).toReversed().flatMap((row) => lineOf(row, job.attempt, fate(row)))
    const ended: EndedJob = {
      ...job,
      arn: `arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/${job.key.replace("-", "")}`,
      submittedAt: "2026-11-23T00:00:00.000Z",
      adopted: false,
      status,
      message: null,
      counters: null,
      repeatedCalls: 0
    }
    const folder = job.lane === "on-demand" ? job.output : `${job.output}${job.key.replace("-", "")}/`
    yield* store.create(`${folder}part-0.jsonl.out`, Buffer.from([...lines, ...extra, ""].join("\n")))
    return yield* start()(Ledger.Ledger.use((ledger) => ledger.end(ended)))
  }
)

const outcomeOf = (fate: Fate, status: TerminalStatus): readonly [Outcome, string | null] =>
  fate === "answer"
    ? ["succeeded", null]
    : fate === "cut"
    ? ["truncated", null]
    : fate === "not run"
    ? ["expired", "408"]
    : fate !== "silent"
    ? ["failed", fate]
    : status === "Expired" || status === "PartiallyCompleted"
    ? ["expired", `Job${status}`]
    : ["missing", status === "Completed" ? "NoOutput" : `Job${status}`]

const statuses: ReadonlyArray<TerminalStatus> = ["Completed", "PartiallyCompleted", "Stopped", "Expired", "Failed"]

const rowShape = ({ batch_error_code, batch_status, response }: Record<string, unknown>) => ({
  batch_status,
  batch_error_code,
  response
})

const between = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

describe("retry", () => {
  it.effect.prop(
    "merges attempts by its rule, whatever jobs and records come to: the lowest success, else the last outcome",
    {
      jobs: between(1, 3),
      attempts: between(1, 3),
      chance: Arbitrary.array(between(0, 1_000_000), { minLength: 40, maxLength: 40 }),
      all: Arbitrary.schema(Schema.Boolean),
      some: Arbitrary.array(Arbitrary.schema(Schema.Literals(["truncated", "failed", "expired", "missing"])), { minLength: 1 })
    },
    ({ all, attempts, chance, jobs, some }) =>
      Effect.scoped(Effect.gen(function*() {
        const world = yield* bench(jobs)
        const { start, store } = world
        const draw = <A>(of: ReadonlyArray<A>, ...at: ReadonlyArray<number>): A =>
          of[chance[at.reduce((sum, n) => sum * 7 + n, 3) % chance.length]! % of.length]!
        const options: RetryOptions = { outcomes: some, errors: all ? "all" : "mendable", maxRecordsPerJob: draw([1, 2, 5], 9) }
        const history: Array<Array<readonly [Outcome, string | null, string | null]>> = Array.from({ length: 2 * jobs }, () => [])
        const counts = (which: (row: (typeof history)[number]) => (typeof history)[number][number] | undefined) => {
          const sum: { [K in Outcome]: number } = { ...noCounts }
          for (const row of history) {
            const one = which(row)
            if (one !== undefined) sum[one[0]]++
          }
          return sum
        }
        const current = (row: (typeof history)[number]) => row.find(([outcome]) => outcome === "succeeded") ?? row.at(-1)!
        const own: Array<object> = []
        let run: Run.Run<object> = world.run
        for (let attempt = 1;; attempt++) {
          const before = history.map(({ length }) => length)
          for (const job of run.jobs) {
            const status = draw(statuses, attempt, job.index)
            yield* end(world, job, status, (row) => draw(fates, attempt, row))
            for (const row of yield* rowsOf(store, job)) {
              const fate = draw(fates, attempt, row)
              const answered = fate === "answer" || fate === "cut"
              history[row]!.push([...outcomeOf(fate, status), answered ? text(row, attempt) : null])
            }
          }
          own.push(counts((row) => row.length > before[history.indexOf(row)]! ? row.at(-1) : undefined))
          const expected = history.map((row) => {
            const [batch_status, batch_error_code, response] = current(row)
            return { batch_status, batch_error_code, response }
          })
          for (const memoryBudget of [1, 64_000_000]) {
            const { report, rows } = yield* start()(collect(run, [], { format: "jsonl", memoryBudget, parallelism: 1 }))
            assert.deepStrictEqual((yield* Stream.runCollect(rows)).map((row) => rowShape({ ...row })), expected)
            assert.deepStrictEqual(report.counts, counts(current))
            assert.deepStrictEqual(report.attempts.map(({ counts }) => ({ ...counts })), own)
            const written = yield* Effect.forEach(world.run.jobs, ({ key }) =>
              Effect.map(store.get(`${run.id}/results/${attempt}-jsonl/${key}.jsonl`), (bytes) => Buffer.from(bytes!).toString()))
            const lines = written.join("").trim().split("\n").map((line) => rowShape(JSON.parse(line)))
            assert.deepStrictEqual(lines, expected)
          }
          if (attempt === attempts) break
          const wanted = history.flatMap((row, at) => {
            const [outcome, code] = current(row)
            const asked: ReadonlyArray<Outcome> = some
            return asked.includes(outcome) && (all || outcome !== "failed" || code !== "400") ? [at] : []
          })
          run = yield* start()(retry(run, options))
          assert.deepStrictEqual((yield* Effect.forEach(run.jobs, (job) => rowsOf(store, job))).flat(), wanted)
          if (wanted.length === 0) break
        }
      })),
    { arbitrary: { runs: 12 }, timeout: 60_000 }
  )

  it.effect("sends the same requests as before, under other names, pooled over jobs", () =>
    Effect.gen(function*() {
      const world = yield* bench(3)
      const { run, start, store } = world
      for (const job of run.jobs) yield* end(world, job, "Completed", (row) => (row % 2 === 0 ? "500" : "answer"))
      const second = yield* start()(retry(run))
      assert.strictEqual(second.attempt, 2)
      assert.deepStrictEqual(second.jobs.map(({ key, lane, records }) => [key, lane, records]), [
        ["2-000000", "batch", 2],
        ["2-000001", "batch", 1]
      ])
      const lines = Effect.fnUntraced(function*(jobs: ReadonlyArray<Job>) {
        const files = yield* Effect.forEach(jobs.flatMap(({ files }) => files), ({ key }) => store.get(key))
        return files.flatMap((bytes) => Buffer.from(bytes!).toString().trim().split("\n"))
      })
      const sent = yield* lines(run.jobs)
      assert.deepStrictEqual(yield* lines(second.jobs), sent.filter((_, row) => row % 2 === 0))
      const names = new Set([...run.jobs, ...second.jobs].flatMap(({ name, token }) => [name, token]))
      assert.strictEqual(names.size, 10)
      assert.deepStrictEqual(second.jobs.map(({ firstRow, lastRow }) => [firstRow, lastRow]), [[0, 2], [4, 4]])
    }))

  it.effect("is one attempt, however often and by whom it is asked for, and another for the run that it gave", () =>
    Effect.gen(function*() {
      const world = yield* bench(2)
      const { run, start } = world
      for (const job of run.jobs) yield* end(world, job, "Completed", () => "500")
      const both = yield* Effect.all([start()(retry(run)), start()(retry(run, { lane: "on-demand" }))], { concurrency: 2 })
      assert.deepStrictEqual(both[0], both[1])
      for (const job of both[0].jobs) yield* end(world, job, "Completed", () => "429")
      assert.deepStrictEqual(yield* start()(retry(run)), both[0])
      const third = yield* start()(retry(both[0]))
      assert.strictEqual(third.attempt, 3)
      const loaded = yield* start()(Run.load(run.id))
      assert.deepStrictEqual([loaded.attempt, loaded.jobs], [3, third.jobs])
    }))

  it.effect("runs what is too little for a job on demand, or leaves it, as asked", () =>
    Effect.gen(function*() {
      const limits = { minRecords: 3 }
      const world = yield* bench(2, { minRecords: 2 })
      const { run, start } = world
      for (const job of run.jobs) yield* end(world, job, "Completed", (row) => (row === 1 ? "500" : "answer"))
      const left = yield* start({ limits })(retry(run, { lane: "batch" }))
      assert.deepStrictEqual([left.attempt, left.jobs], [1, []])
      const second = yield* start({ limits })(retry(run))
      assert.deepStrictEqual(second.jobs.map(({ lane, records }) => [lane, records]), [["on-demand", 1]])
      assert.strictEqual(second.jobs[0]!.output, `${run.id}/ondemand/2-000000/`)
      yield* end(world, second.jobs[0]!, "Completed", () => "answer")
      const { report } = yield* start()(finish(second))
      assert.deepStrictEqual(report.counts, { ...noCounts, succeeded: 4 })
      assert.strictEqual(report.mendable, 0)
    }))

  it.effect("puts everything on demand where it is asked to", () =>
    Effect.gen(function*() {
      const world = yield* bench(3)
      for (const job of world.run.jobs) yield* end(world, job, "Expired", () => "silent")
      const second = yield* world.start()(retry(world.run, { lane: "on-demand", maxRecordsPerJob: 4 }))
      assert.deepStrictEqual(second.jobs.map(({ lane, records }) => [lane, records]), [["on-demand", 3], ["on-demand", 3]])
    }))

  it.effect("refuses a run with open jobs, a cancelled one, and wrong options, and writes nothing", () =>
    Effect.gen(function*() {
      const world = yield* bench(2)
      const { run, start, store } = world
      const writes: Array<string> = []
      const quiet = start({
        before: (operation, key) =>
          Effect.sync(() => {
            if (operation === "create" || operation === "write") writes.push(key)
          })
      })
      yield* end(world, run.jobs[0]!, "Completed", () => "500")
      const open = yield* Effect.flip(quiet(retry(run)))
      assert.deepInclude(open.reason, { _tag: "RunConflict", problem: "not-ended" })
      assert.include(open.message, run.jobs[1]!.key)
      const wrong: ReadonlyArray<readonly [string, object]> = [
        ["outcomes", { outcomes: ["succeeded"] }],
        ["outcomes", { outcomes: "failed" }],
        ["errors", { errors: "some" }],
        ["lane", { lane: "fast" }],
        ["maxRecordsPerJob", { maxRecordsPerJob: 0 }],
        ["timeoutHours", { timeoutHours: 1 }]
      ]
      for (const [path, options] of wrong) {
        const { reason } = yield* Effect.flip(quiet(retry(run, options)))
        assert.deepInclude(reason, { _tag: "InvalidOption", path })
      }
      yield* store.create(`${run.id}/cancelled`, new Uint8Array(2))
      const { reason } = yield* Effect.flip(quiet(retry(run)))
      assert.deepInclude(reason, { _tag: "RunConflict", problem: "cancelled" })
      assert.deepStrictEqual(writes, [])
    }))

  it.effect("refuses input files that are not what was sent", () =>
    Effect.gen(function*() {
      const world = yield* bench(1)
      const { job, run, start, store } = world
      yield* end(world, job, "Completed", () => "500")
      const [file] = job.files
      const bytes = Buffer.from((yield* store.get(file!.key))!)
      for (const other of [Buffer.concat([bytes, Buffer.from("{}\n")]), Buffer.from(bytes.toString().replace("topic 1", "topic 2"))]) {
        yield* store.remove(file!.key)
        yield* store.create(file!.key, other)
        const { reason } = yield* Effect.flip(start()(retry(run)))
        assert.deepInclude(reason, { _tag: "Damaged", key: file!.key })
      }
    }))

  it.effect("counts what is odd in a later attempt once, and takes no foreign answers from it", () =>
    Effect.gen(function*() {
      const world = yield* bench(3)
      const { run, start } = world
      for (const job of run.jobs) yield* end(world, job, "Completed", (row) => (row % 2 === 0 ? "500" : "answer"))
      const second = yield* start()(retry(run, { maxRecordsPerJob: 3 }))
      const extra = [
        ...lineOf(0, 9, "answer"),
        ...lineOf(1, 9, "answer"),
        ...lineOf(77, 9, "answer"),
        "{"
      ]
      yield* end(world, second.jobs[0]!, "Completed", (row) => (row === 0 ? "answer" : "silent"), extra)
      const { report, rows } = yield* start()(collect(second, []))
      const said = (yield* Stream.runCollect(rows)).map((row) => rowShape({ ...row }).response)
      assert.include(["row 0, attempt 2", "row 0, attempt 9"], said[0])
      assert.strictEqual(said[1], text(1, 1))
      assert.deepInclude(report, { duplicates: 1, unknown: 2, malformed: 1 })
      assert.deepInclude(report.attempts[0], { duplicates: 0, unknown: 0, malformed: 0 })
      assert.deepInclude(report.attempts[1], { records: 3, jobs: 1, duplicates: 1, unknown: 2, malformed: 1 })
      assert.deepStrictEqual(report.counts, { ...noCounts, succeeded: 4, missing: 2 })
    }))

  it.effect("comes to the same after a death at any write", () =>
    Effect.gen(function*() {
      const world = yield* bench(3)
      const { run, store } = world
      for (const job of run.jobs) yield* end(world, job, "Completed", (row) => (row < 4 ? "500" : "answer"))
      for (let death = 0; death < 12; death++) {
        let left = death
        const dying = world.start({
          before: (operation) =>
            Effect.suspend(() =>
              (operation === "create" || operation === "write") && left-- === 0 ? Effect.die(new Error("death")) : Effect.void)
        })
        yield* Effect.exit(dying(retry(run)))
      }
      const second = yield* world.start()(retry(run))
      assert.deepStrictEqual(yield* Effect.forEach(second.jobs, (job) => rowsOf(store, job)), [[0, 1], [2, 3]])
      for (const job of second.jobs) {
        const { objects } = yield* store.list(job.input)
        assert.deepStrictEqual(objects.map(({ key }) => key), job.files.map(({ key }) => key))
      }
    }))

  it.effect("merges a job by itself, and refuses one whose rows are elsewhere", () =>
    Effect.gen(function*() {
      const world = yield* bench(2)
      const { run, start } = world
      const first: Array<EndedJob> = []
      for (const job of run.jobs) first.push(yield* end(world, job, "Completed", () => "500"))
      const second = yield* start()(retry(run))
      const later: Array<EndedJob> = []
      for (const job of second.jobs) later.push(yield* end(world, job, "Completed", () => "answer"))
      const one = yield* start()(collectJob(second, first[1]!))
      assert.deepStrictEqual([one.counts.succeeded, one.own.counts.failed, one.results], [
        2,
        2,
        [`${run.id}/results/2-parquet/1-000001.parquet`]
      ])
      const { reason } = yield* Effect.flip(start()(collectJob(second, later[0]!)))
      assert.deepInclude(reason, { _tag: "InvalidOption", path: "job" })
      const jobs: ReadonlyArray<EndedJob | RefusedJob> = later
      const { report } = yield* start()(collect(second, jobs))
      assert.deepInclude(report, { jobs: 4, records: 4 })
    }))
})
