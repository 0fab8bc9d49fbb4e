import { assert, describe, it } from "@effect/vitest"
import { finish, prepare, prepareStep, Prompt, resume, Run, run, Source } from "@bedrock-batch/sdk"
import { Clock, Effect, Schema, Stream } from "effect"
import { ticking } from "../../packages/sdk/test/rig/ticking.ts"
import { audit } from "../rig/Audit.ts"
import { csvOf, nastyTable, plainTable, sourceOf } from "../rig/Data.ts"
import { bucket, haiku, soon, start } from "../rig/Stack.ts"

const definition = { name: "plan", model: haiku, prompt: Prompt.make("{id}: {topic}"), wait: soon } as const
const ask = (cells: ReadonlyMap<string, unknown>) => `${cells.get("id")}: ${cells.get("topic")}`

describe.concurrent("jobs", () => {
  const splits: ReadonlyArray<readonly [rows: number, most: number, records: ReadonlyArray<number>]> = [
    [100, 100, [100]],
    [199, 100, [199]],
    [250, 100, [125, 125]],
    [301, 100, [101, 100, 100]],
    [450, 1000, [450]]
  ]
  for (const [count, most, records] of splits) {
    it.live(`of ${count} rows at ${most} a job have ${records.join(", ")} records, whatever is known beforehand`, () =>
      Effect.gen(function*() {
        const stack = yield* start()
        const table = plainTable(count)
        yield* stack.put("plan.csv", csvOf(table))
        const known = yield* run({ ...definition, source: sourceOf(table), maxRecordsPerJob: most, runId: "known" }).pipe(
          Effect.provide(stack.layer())
        )
        yield* audit(stack, known, table, ask)
        const jobs: ReadonlyArray<{ readonly records: number }> = yield* stack.json(
          (yield* stack.json("known/run.json")).jobs.key
        )
        assert.deepStrictEqual(jobs.map((job) => job.records).toSorted((a, b) => b - a), [...records])
        const unknown = yield* run({
          ...definition,
          source: Source.csv("store://plan.csv"),
          maxRecordsPerJob: most,
          runId: "unknown"
        }).pipe(Effect.provide(stack.layer()))
        yield* audit(stack, unknown, table, ask)
      }))
  }

  it.live("have several files where one may not hold all, cut by records and by bytes", () =>
    Effect.gen(function*() {
      const stack = yield* start({ limits: { maxFileRecords: 40, maxFileBytes: 8000 } })
      const table = nastyTable(330)
      yield* stack.put("nasty.csv", csvOf(table))
      const collected = yield* run({
        ...definition,
        prompt: Prompt.make("{topic}{7}"),
        source: Source.csv(`s3://${bucket}/nasty.csv`),
        maxRecordsPerJob: 150,
        limits: { maxFileRecords: 40, maxFileBytes: 8000 }
      }).pipe(Effect.provide(stack.layer()))
      const { counts } = yield* audit(stack, collected, table, (cells) => `${cells.get("topic")}${cells.get("7")}`)
      assert.deepStrictEqual(counts, { succeeded: 330 })
      const inputs = yield* stack.keys(`${collected.report.runId}/inputs/`)
      assert.isAtLeast(inputs.length, 9)
      for (const key of inputs) {
        const text = yield* stack.text(key)
        assert.isAtMost(Buffer.byteLength(text), 8000)
        assert.isAtMost(text.split("\n").length - 1, 40)
      }
    }))

  it.live("hold the rows that were asked for: maxRecordsTotal and maxJobs", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const table = plainTable(700)
      yield* stack.put("plan.csv", csvOf(table))
      const source = Source.csv("store://plan.csv")
      const total = yield* run({ ...definition, source, maxRecordsTotal: 230, maxRecordsPerJob: 100 }).pipe(
        Effect.provide(stack.layer())
      )
      yield* audit(stack, total, { ...table, rows: table.rows.slice(0, 230) }, ask)
      const jobs = yield* run({ ...definition, source, maxJobs: 2, maxRecordsPerJob: 120 }).pipe(
        Effect.provide(stack.layer())
      )
      yield* audit(stack, jobs, { ...table, rows: table.rows.slice(0, 240) }, ask)
      assert.notStrictEqual(total.report.runId, jobs.report.runId)
    }))
})

describe.concurrent("other sources", () => {
  it.live("iterables, async iterables and streams with a run id", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const table = plainTable(220)
      const rows = table.rows.map(([id, topic]) => ({ id: String(id), topic: String(topic) }))
      const sources = {
        iterable: Source.rows(new Set(rows)),
        async: Source.rows((async function*() {
          yield* rows
        })()),
        stream: Source.rows(Stream.fromIterable(rows))
      }
      for (const [runId, source] of Object.entries(sources)) {
        const collected = yield* run({ ...definition, source, runId, maxRecordsPerJob: 110 }).pipe(
          Effect.provide(stack.layer())
        )
        yield* audit(stack, collected, table, ask)
      }
    }))

  it.live("a typed TSV with nulls keeps its types in the results", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const columns = Schema.Struct({
        id: Schema.Int,
        topic: Schema.String,
        score: Schema.NullOr(Schema.Finite),
        seen: Schema.Boolean
      })
      const rows = Array.from({ length: 130 }, (_, i) => [i, `topic ${i}`, i % 3 === 0 ? null : i / 8, i % 2 === 0] as const)
      yield* stack.put(
        "typed.tsv",
        ["id\ttopic\tscore\tseen", ...rows.map((row) => row.map((value) => value ?? "NA").join("\t"))].join("\r\n")
      )
      const collected = yield* run({
        ...definition,
        source: Source.csv("store://typed.tsv", { delimiter: "\t", nullValues: ["NA"], columns })
      }).pipe(Effect.provide(stack.layer()))
      yield* audit(stack, collected, { columns: ["id", "topic", "score", "seen"], rows }, ask)
    }))
})

it.live("a run is loaded, asked for its status and finished by its id alone, in another process", () =>
  Effect.gen(function*() {
    const stack = yield* start()
    const table = plainTable(220)
    const prepared = yield* prepare({ ...definition, source: sourceOf(table), maxRecordsPerJob: 110 }).pipe(
      Effect.provide(stack.layer())
    )
    const { id } = prepared
    const statusOf = Effect.provide(Run.status(id), stack.layer())
    assert.deepInclude(yield* statusOf, {
      records: 220,
      jobs: { planned: 2, claimed: 0, refused: 0, submitted: 0, ended: 0 },
      next: "submit"
    })
    const tooEarly = yield* Effect.flip(Effect.provide(Effect.flatMap(Run.load(id), finish), stack.layer()))
    assert.deepInclude(tooEarly.reason, { _tag: "RunConflict", problem: "not-ended" })
    yield* run({ ...definition, source: sourceOf(table), maxRecordsPerJob: 110 }).pipe(Effect.provide(stack.layer()))
    assert.deepInclude(yield* statusOf, { jobs: { planned: 0, claimed: 0, refused: 0, submitted: 0, ended: 2 }, next: "nothing" })
    const loaded = yield* Run.load(id).pipe(
      Effect.flatMap((run) => finish(run, { format: "jsonl" })),
      Effect.provide(stack.layer())
    )
    yield* audit(stack, loaded, table, ask)
    const missing = yield* Effect.flip(Effect.provide(Run.load("nothing-here"), stack.layer()))
    assert.deepInclude(missing.reason, { _tag: "RunConflict", problem: "not-found", runId: "nothing-here" })
    assert.strictEqual((yield* stack.emulator.stats).calls.create, 2)
  }))

it.live("a run that was begun in rounds is prepared on and finished by its id alone", () =>
  Effect.gen(function*() {
    const stack = yield* start()
    const table = plainTable(9_000)
    yield* stack.put("rows.csv", csvOf(table))
    const options = {
      ...definition,
      runId: "rounds",
      source: Source.csv(`s3://${bucket}/rows.csv`),
      maxRecordsPerJob: 1000
    }
    const clock = yield* Clock.Clock
    const step = ticking(
      Effect.provide(prepareStep(options, "7 seconds"), stack.layer()),
      (duration) => clock.sleep(duration)
    )
    const rounds = [yield* step, yield* step]
    assert.deepStrictEqual(rounds.map(({ prepared, round }) => [prepared, round]), [[false, 1], [false, 2]])
    assert.isAbove(rounds[1]!.jobs, rounds[0]!.jobs)
    const status = yield* Effect.provide(Run.status("rounds"), stack.layer())
    assert.deepStrictEqual(status.preparing, { jobs: rounds[1]!.jobs, records: rounds[1]!.records })
    const collected = yield* resume("rounds", { wait: soon }).pipe(Effect.provide(stack.layer()))
    yield* audit(stack, collected, table, ask)
    const { jobs } = yield* Effect.provide(Run.load("rounds"), stack.layer())
    assert.strictEqual(new Set(jobs.map(({ prepareId }) => prepareId)).size, 3)
    const checkpoints = (yield* stack.keys("rounds/prepare/")).filter((key) => key.includes("/checkpoint-"))
    assert.lengthOf(checkpoints, 2)
  }))
