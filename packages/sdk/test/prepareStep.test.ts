import * as Prompt from "@bedrock-batch/processors/Prompt"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Result, Schema, Stream } from "effect"
import { parquetWriteBuffer } from "hyparquet-writer"
import { gzipSync } from "node:zlib"
import type { Bounds } from "../src/Planner.ts"
import { prepare, type RunDefinition } from "../src/prepare.ts"
import { prepareStep } from "../src/prepareStep.ts"
import * as Run from "../src/Run.ts"
import * as Source from "../src/source/Source.ts"
import type { ObjectStore } from "../src/store/ObjectStore.ts"
import { model, processOf } from "./rig/Bench.ts"
import { memoryStore } from "./rig/MemoryStore.ts"
import { contentOf, inRounds } from "./rig/rounds.ts"
import { ScriptedJobs } from "./rig/ScriptedJobs.ts"

type Store = ObjectStore["Service"]

type Row = {
  readonly n: number
  readonly text: string
}

type AnySource = Source.Source<Source.UntypedRow, ObjectStore>

const rowsOf = (count: number, length = 10): ReadonlyArray<Row> =>
  Array.from({ length: count }, (_, n) => ({ n, text: `topic ${n} ${"é".repeat((n * 7919) % length)}` }))

const prompt = Prompt.make("{n}: a joke about {text}")

const start = (store: Store, around = {}) => processOf(store, new ScriptedJobs(), around)

const csvOf = (rows: ReadonlyArray<Row>) => `n,text\n${rows.map(({ n, text }) => `${n},"${text}"\n`).join("")}`

const jsonlOf = (rows: ReadonlyArray<Row>) => rows.map((row) => `${JSON.stringify(row)}\n`).join("")

const parquetOf = (rows: ReadonlyArray<Row>, rowGroupSize: number) =>
  Buffer.from(parquetWriteBuffer({
    columnData: [
      { name: "n", data: rows.map(({ n }) => n), type: "INT32" },
      { name: "text", data: rows.map(({ text }) => text), type: "STRING" }
    ],
    rowGroupSize
  }))

/** Each kind of source: the object that it reads, if there is one, and the source of some rows. */
const kinds: ReadonlyArray<
  readonly [
    name: string,
    object: ((rows: ReadonlyArray<Row>) => Uint8Array) | null,
    source: (rows: ReadonlyArray<Row>, uri: string) => AnySource
  ]
> = [
  ["an array", null, (rows) => Source.rows(rows)],
  ["a stream", null, (rows) => Source.rows(Stream.fromIterable(rows).pipe(Stream.rechunk(7)))],
  ["CSV", (rows) => Buffer.from(csvOf(rows)), (_, uri) => Source.csv(`${uri}.csv`)],
  ["CSV.gz", (rows) => gzipSync(csvOf(rows)), (_, uri) => Source.csv(`${uri}.csv.gz`)],
  ["JSON Lines", (rows) => Buffer.from(jsonlOf(rows)), (_, uri) => Source.jsonl(`${uri}.jsonl`)],
  ["Parquet", (rows) => parquetOf(rows, 11), (_, uri) => Source.parquet(`${uri}.parquet`)]
]

const put = (store: Store, of: (typeof kinds)[number], rows: ReadonlyArray<Row>) => {
  const [, object, source] = of
  const location = source(rows, "store://rows").recipe
  const key = location !== null && "locations" in location ? String(location.locations).slice("store://".length) : ""
  return object === null ? Effect.void : store.create(key, object(rows))
}

const asked = (source: AnySource) => ({ name: "jokes", runId: "jokes", source, model, prompt })

/** The run in one go, and in rounds; what both came to. */
const both = Effect.fnUntraced(function*(
  of: (typeof kinds)[number],
  rows: ReadonlyArray<Row>,
  options: Pick<
    RunDefinition<never>,
    "limits" | "maxRecordsPerJob" | "maxJobs" | "maxRecordsTotal" | "belowMinimum"
  >,
  secondsOf: (round: number) => number
) {
  const [whole, stepped] = [memoryStore(), memoryStore()]
  for (const store of [whole, stepped]) yield* put(store, of, rows)
  const definition = () => ({ ...asked(of[2](rows, "store://rows")), ...options })
  const once = yield* Effect.result(start(whole)(prepare(definition())))
  if (Result.isFailure(once)) {
    const failed = yield* Effect.flip(
      inRounds((seconds) => start(stepped)(prepareStep(definition(), `${seconds} seconds`)), secondsOf)
    )
    assert.strictEqual(failed.reason.message, once.failure.reason.message)
    return { rounds: 0, jobs: 0 }
  }
  const rounds = yield* inRounds(
    (seconds) => start(stepped)(prepareStep(definition(), `${seconds} seconds`)),
    secondsOf
  )
  const run = yield* start(stepped)(Run.load("jokes"))
  assert.deepStrictEqual(yield* contentOf(stepped, run.jobs), yield* contentOf(whole, once.success.jobs))
  assert.deepStrictEqual(
    { ...run.manifest, jobs: run.manifest.jobs.count, createdAt: "" },
    { ...once.success.manifest, jobs: once.success.manifest.jobs.count, createdAt: "" }
  )
  for (const [i, round] of rounds.entries()) {
    const { jobs, prepared, records, round: number } = round
    assert.strictEqual(number, i + 1)
    assert.strictEqual(prepared, i === rounds.length - 1)
    assert.strictEqual(records, run.jobs.slice(0, jobs).reduce((sum, job) => sum + job.records, 0))
  }
  assert.strictEqual(new Set(run.jobs.map(({ prepareId }) => prepareId)).size, rounds.length)
  return { rounds: rounds.length, jobs: run.jobs.length }
})

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const cases = Number(process.env.CASES ?? 60)

describe("prepareStep", { timeout: 600_000 }, () => {
  it.effect("makes the jobs that prepare would have made, whatever the source, the limits and the budgets", () =>
    Effect.gen(function*() {
      let several = 0
      const checked = yield* Arbitrary.checkEffect(
        Arbitrary.all({
          kind: int(0, kinds.length - 1),
          count: int(1, 90),
          length: int(1, 60),
          minRecords: int(1, 5),
          maxRecords: int(10, 40),
          maxRecordsPerJob: int(1, 15),
          maxFileRecords: int(2, 30),
          maxJobBytes: int(2_000, 20_000),
          maxJobs: int(0, 8),
          maxRecordsTotal: int(0, 120),
          budgets: Arbitrary.array(int(6, 12), { minLength: 1, maxLength: 4 })
        }),
        Effect.fnUntraced(function*(given) {
          const { budgets, count, kind, length, maxFileRecords, maxJobBytes, maxRecords, minRecords } = given
          const limits: Partial<Bounds> = { minRecords, maxRecords, maxFileRecords, maxJobBytes, maxFileBytes: maxJobBytes }
          const { rounds } = yield* both(kinds[kind]!, rowsOf(count, length), {
            limits,
            maxRecordsPerJob: given.maxRecordsPerJob,
            maxJobs: given.maxJobs === 0 ? undefined : given.maxJobs,
            maxRecordsTotal: given.maxRecordsTotal === 0 ? undefined : given.maxRecordsTotal,
            belowMinimum: "on-demand"
          }, (round) => budgets[round % budgets.length]!)
          several += Number(rounds > 1)
          return true
        }),
        { runs: cases, size: 40, seed: process.env.SEED ?? 1 }
      )
      if (checked._tag === "Falsified") {
        const why = checked.failure._tag === "PropertyError" ? String(checked.failure.error) : "it is not so"
        assert.fail(`${why}\n(run ${checked.runs}, replay ${checked.replay})`)
      }
      assert.isAbove(several, cases / 3)
    }))
})
