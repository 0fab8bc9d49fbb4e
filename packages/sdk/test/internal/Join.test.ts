import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema, Stream } from "effect"
import { readdir } from "node:fs/promises"
import type { Column } from "../../src/Column.ts"
import { sha256 } from "../../src/internal/Digest.ts"
import * as Join from "../../src/internal/Join.ts"
import * as Layout from "../../src/internal/Layout.ts"
import * as Merge from "../../src/internal/Merge.ts"
import * as RowsFile from "../../src/internal/RowsFile.ts"
import type { EndedJob, RefusedJob, TerminalStatus } from "../../src/Job.ts"
import type { Handle } from "../../src/RunManifest.ts"
import type { ObjectStore } from "../../src/store/ObjectStore.ts"
import { labelColumns, labels } from "../rig/labels.ts"
import { memoryStore } from "../rig/MemoryStore.ts"
import { ownTemporaryFolder } from "../rig/ownTemporaryFolder.ts"

const columns: ReadonlyArray<Column> = [{ name: "n", type: "integer" }, { name: "text", type: "string" }]
const firstRow = 1000

const handle = {
  "~@bedrock-batch/sdk/Run": {},
  id: "run",
  manifest: { columns, answer: labelColumns, rename: {} },
  processor: labels
} as unknown as Handle<object>

/** A job of so many rows in a store, with these output files. */
const ended = Effect.fnUntraced(
  function*(records: number, files: ReadonlyArray<string>, status: TerminalStatus = "Completed", rows = records) {
    const store = memoryStore()
    const batches = Array.from({ length: Math.ceil(rows / 7) }, (_, b) => {
      const length = Math.min(7, rows - b * 7)
      const at = Array.from({ length }, (_, i) => b * 7 + i)
      return { length, columns: [at, at.map((i) => (i % 3 === 0 ? null : `row ${i}`))] }
    })
    const bytes = Buffer.concat(yield* Stream.runCollect(RowsFile.encode(columns, Stream.fromIterable(batches))))
    yield* store.create("run/rows.arrow", bytes)
    for (const [i, file] of files.entries()) {
      yield* store.create(`run/outputs/1-000000/abc/part-${i}.jsonl.out`, Buffer.from(file))
    }
    yield* store.create("run/outputs/1-000000/abc/manifest.json.out", Buffer.from("{}"))
    const foreign = Buffer.from(answer(0, { label: "another job's" }))
    yield* store.create("run/outputs/1-000000/other/part-0.jsonl.out", foreign)
    const job: EndedJob = {
      version: 1,
      runId: "run",
      key: "1-000000",
      attempt: 1,
      index: 0,
      lane: "batch",
      model: "model",
      region: "us-east-1",
      invocationType: "Converse",
      name: "name",
      token: "token",
      prepareId: "p",
      input: "run/inputs/",
      output: "run/outputs/1-000000/",
      files: [],
      rows: { key: "run/rows.arrow", size: bytes.length, etag: "", sha256: sha256(bytes), records },
      firstRow,
      lastRow: firstRow + records - 1,
      records,
      bytes: 0,
      timeoutHours: 72,
      arn: "arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/abc",
      submittedAt: "2026-11-23T00:00:00.000Z",
      adopted: false,
      status,
      message: "a message",
      counters: null,
      repeatedCalls: 0
    }
    return { job, store }
  }
)

interface Fixture {
  readonly job: EndedJob | RefusedJob
  readonly store: ObjectStore["Service"]
}

/** All rows of the join, and what it counted. */
const join = Effect.fnUntraced(function*({ job, store }: Fixture, memoryBudget = 1e9) {
  const tally = Merge.emptyTally()
  const batches = yield* Stream.runCollect(Join.joined(store, { run: handle, job, later: [] }, { memoryBudget }, tally))
  const rows = batches.flatMap((batch) =>
    Array.from({ length: batch.length }, (_, i) => batch.columns.map((values) => values[i]))
  )
  return { rows, tally }
})

const answer = (row: number, modelOutput: unknown) =>
  `{"recordId":"${Layout.recordId(firstRow + row)}","modelOutput":${JSON.stringify(modelOutput)}}\n`

describe("Join", () => {
  it.effect("gives every row once and in order, with its answer or the reason why there is none", () =>
    Effect.gen(function*() {
      const fixture = yield* ended(4, [
        answer(3, { label: "d", score: 1, in: 10, out: 2 }) + answer(0, { cut: 1, label: "a", in: 1, out: 1 }),
        `{"recordId":"${Layout.recordId(firstRow + 2)}","error":{"errorCode":400,"errorMessage":"bad"}}`
      ])
      const { rows, tally } = yield* join(fixture)
      const silent = "the job is completed, and no line came back for this record"
      assert.deepStrictEqual(rows, [
        [0, null, "r0000001000", "a", null, "truncated", "max_tokens", null, null, 1, 1],
        [1, "row 1", "r0000001001", null, null, "missing", null, "NoOutput", silent, null, null],
        [2, "row 2", "r0000001002", null, null, "failed", null, "400", "bad", null, null],
        [3, null, "r0000001003", "d", 1, "succeeded", "end_turn", null, null, 10, 2]
      ])
      const totals = {
        counts: { succeeded: 1, truncated: 1, refused: 0, invalid: 0, failed: 1, expired: 0, missing: 1 },
        mendable: 1,
        inputTokens: 11,
        outputTokens: 3
      }
      assert.deepStrictEqual(tally, {
        ...totals,
        own: totals,
        outputs: 2,
        errors: 1,
        duplicates: 0,
        unknown: 0,
        malformed: 0
      })
    }))

  it.effect("says of a row without a line what became of its job", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [TerminalStatus, string, string]> = [
        ["Completed", "missing", "NoOutput"],
        ["PartiallyCompleted", "expired", "JobPartiallyCompleted"],
        ["Expired", "expired", "JobExpired"],
        ["Stopped", "missing", "JobStopped"],
        ["Failed", "missing", "JobFailed"]
      ]
      for (const [status, outcome, code] of cases) {
        const { rows } = yield* join(yield* ended(2, [answer(1, { label: "paid" })], status))
        assert.deepStrictEqual([rows[0]?.[5], rows[0]?.[7]], [outcome, code])
        assert.deepStrictEqual([rows[1]?.[3], rows[1]?.[5]], ["paid", "succeeded"], "what was answered is read")
        if (status !== "Completed") assert.include(rows[0]?.[8], "a message")
      }
    }))

  it.effect("reads no output of a job that was refused", () =>
    Effect.gen(function*() {
      const { job, store } = yield* ended(2, [answer(0, { label: "?" })])
      const refused: RefusedJob = { ...job, status: "Refused", code: "ValidationException", message: "no such model" }
      const { rows, tally } = yield* join({ job: refused, store })
      assert.strictEqual(tally.counts.missing, 2)
      const message = "Bedrock refused the job: no such model"
      assert.deepStrictEqual(rows[0]?.slice(5), ["missing", null, "ValidationException", message, null, null])
    }))

  it.effect("counts once when its rows are run through twice", () =>
    Effect.gen(function*() {
      const twice = answer(0, { label: "a", in: 5 }) + answer(0, { label: "b", in: 5 })
      const { job, store } = yield* ended(3, [`${twice}{}\n`])
      for (const budget of [1, 1e9]) {
        const tally = Merge.emptyTally()
        const stream = Join.joined(store, { run: handle, job, later: [] }, { memoryBudget: budget }, tally)
        yield* Stream.runDrain(stream)
        const once = structuredClone(tally)
        yield* Stream.runDrain(stream)
        assert.deepStrictEqual(tally, once)
        assert.deepStrictEqual([tally.duplicates, tally.malformed, tally.inputTokens], [1, 1, 5])
      }
    }))

  it.effect("takes a job without output for one that answered nothing", () =>
    Effect.gen(function*() {
      for (const files of [[], [""], ["\n\n"]]) {
        const { tally } = yield* join(yield* ended(3, files, "Failed"), 1)
        assert.deepStrictEqual([tally.counts.missing, tally.malformed], [3, 0])
      }
    }))

  it.effect("fails where the rows are not those that prepare wrote", () =>
    Effect.gen(function*() {
      for (const rows of [4, 6, 20]) {
        for (const budget of [1, 1e9]) {
          const fixture = yield* ended(5, [answer(0, { label: "a".repeat(100) })], "Completed", rows)
          const error = yield* Effect.flip(join(fixture, budget))
          assert.strictEqual(error.reason._tag, "Damaged")
          assert.propertyVal(error.reason, "key", "run/rows.arrow")
        }
      }
      const { job, store } = yield* ended(5, [])
      const changed = { ...job, rows: { ...job.rows, sha256: "0".repeat(64) } }
      assert.include((yield* Effect.flip(join({ job: changed, store }))).message, "not what prepare wrote")
      yield* store.remove(job.rows.key)
      yield* store.create(job.rows.key, new Uint8Array(0))
      assert.strictEqual((yield* Effect.flip(join({ job, store }))).reason._tag, "Damaged")
    }))

  const outputs = Schema.Literals([
    "\"modelOutput\":{\"label\":\"a\",\"in\":1}}",
    "\"modelOutput\":{\"label\":\"b\",\"score\":2}}",
    "\"modelOutput\":{\"cut\":1,\"out\":7}}",
    "\"modelOutput\":{\"throw\":1}}",
    "\"error\":{\"errorCode\":429}}",
    "\"error\":{\"expired\":true}}",
    "cut off"
  ])
  const between = (minimum: number, maximum: number) =>
    Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))
  const outputLine = Arbitrary.all({
    row: between(-1, 42),
    output: Arbitrary.schema(outputs),
    key: Arbitrary.schema(Schema.Int),
    file: between(0, 2)
  })

  it.effect.prop(
    "comes to the same, however the lines are ordered and divided, in memory or by temporary files",
    {
      records: between(1, 40),
      lines: Arbitrary.array(outputLine, { maxLength: 60 }),
      budget: between(1, 3000)
    },
    Effect.fnUntraced(function*({ budget, lines, records }) {
      const text = ({ output, row }: typeof lines[number]) =>
        `{"recordId":"${Layout.recordId(firstRow + row)}",${output}\n`
      const whole = yield* join(yield* ended(records, [lines.map(text).join("")]))
      const files = [0, 1, 2].map((file) =>
        lines.filter((line) => line.file === file).sort((a, b) => a.key - b.key).map(text).join("")
      )
      assert.deepStrictEqual(yield* join(yield* ended(records, files), budget), whole)
      assert.deepStrictEqual(whole.rows.map((row) => row[0]), Array.from({ length: records }, (_, i) => i))
      const counts: ReadonlyArray<number> = Object.values(whole.tally.counts)
      assert.strictEqual(counts.reduce((sum, count) => sum + count, 0), records)
      const { duplicates, malformed, unknown } = whole.tally
      const answered = whole.rows.filter((row) => row[7] !== "NoOutput").length
      assert.strictEqual(duplicates + malformed + unknown + answered, lines.length)
    }),
    { arbitrary: { runs: 100, size: 60 }, timeout: 60_000 }
  )

  it.effect("leaves no temporary file behind, whether it ends or fails or is given up", () =>
    Effect.gen(function*() {
      const directory = yield* ownTemporaryFolder
      const lines = Array.from({ length: 40 }, (_, i) => answer(i, { label: "x".repeat(50) })).join("")
      const fixture = yield* ended(40, [lines])
      yield* join(fixture, 100)
      yield* Stream.runHead(Join.joined(fixture.store, { run: handle, job: fixture.job, later: [] }, { memoryBudget: 100 }))
      yield* Effect.flip(join(yield* ended(40, [lines], "Completed", 39), 100))
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(directory)), [])
    }))
})
