import { assert, describe, it } from "@effect/vitest"
import type { Faults } from "@bedrock-batch/emulator"
import { awaitAll, collect, Ledger, Prompt, prepare, run, submit } from "@bedrock-batch/sdk"
import { Effect, Fiber, Layer, Logger, Stream } from "effect"
import * as Servers from "../crash/servers.ts"
import { audit, cell } from "../rig/Audit.ts"
import * as Calls from "../rig/Calls.ts"
import { plainTable, sourceOf, sum } from "../rig/Data.ts"
import { everything } from "../rig/Everything.ts"
import type * as Line from "../rig/Line.ts"
import { echo, haiku, type LayerOptions, type Options, quick, soon, type Stack, start } from "../rig/Stack.ts"

const table = plainTable(330)
const definition = {
  name: "faults",
  source: sourceOf(table),
  model: haiku,
  prompt: Prompt.make("{id}: {topic}"),
  maxRecordsPerJob: 110,
  wait: soon
} as const
const ask = (cells: ReadonlyMap<string, unknown>) => `${cells.get("id")}: ${cells.get("topic")}`

/** Runs three jobs of 110 rows under faults, then audits them with the faults gone. */
const under = Effect.fnUntraced(function*(faults: Faults.FaultOptions, options: Options & LayerOptions = {}) {
  const { quotaPause, settleAfter, ...rest } = options
  const stack = yield* start({ ...rest, faults })
  const collected = yield* run(definition).pipe(
    Effect.provide(stack.layer({ quotaPause: quotaPause ?? "100 millis", settleAfter: settleAfter ?? "2 seconds" }))
  )
  stack.emulator.faults.clear()
  const audited = yield* audit(stack, collected, table, ask)
  const stats = yield* stack.emulator.stats
  assert.strictEqual(stats.jobsCreated, 3)
  assert.strictEqual(sum(audited.counts), 330)
  return { ...audited, stack, stats, report: collected.report }
})

describe.concurrent("calls that go wrong", () => {
  const calls: ReadonlyArray<readonly [string, Faults.FaultOptions, number]> = [
    ["are throttled", { throttleCreate: { next: 3 }, throttleList: { next: 3 }, throttleGet: { next: 3 } }, 6],
    ["find the quota full", { quotaFull: { next: 4 } }, 7],
    ["fail before anything is created", { serverErrorOnCreate: { next: 2 } }, 5],
    ["fail after the job was created", { serverErrorAfterCreate: { next: 2 } }, 3],
    ["lose their answer", { answerLost: { next: 3 } }, 3],
    ["lose their answer, and the token is ignored", { answerLost: { next: 3 }, token: "ignored" }, 3],
    ["lose their answer, and the token is forgotten", { answerLost: { next: 3 }, token: { forgottenAfter: "1 milli" } }, 3],
    ["lose their answer, and the list lags", { answerLost: { next: 3 }, token: "ignored", listLag: "500 millis" }, 3],
    ["fail after the job was created, and the list lags", {
      serverErrorAfterCreate: { next: 3 },
      token: "ignored",
      listLag: "500 millis"
    }, 3],
    ["are slow to create", { slowCreate: { by: "700 millis" }, token: "ignored" }, 3],
    ["are slow to answer", { slowAnswer: { by: "700 millis" }, token: "ignored" }, 3],
    ["see old counters and a list that lags", { counterLag: "1 minute", listLag: "700 millis" }, 3]
  ]
  for (const [name, faults, creates] of calls) {
    it.live(`${name}: every row is answered, and each job created once`, () =>
      Effect.gen(function*() {
        const { counts, stats, statuses } = yield* under(faults)
        assert.deepStrictEqual(counts, { succeeded: 330 })
        assert.deepStrictEqual(statuses, ["Completed", "Completed", "Completed"])
        assert.strictEqual(stats.calls.create, creates)
      }))
  }

  it.live("are not made by a process that finds the run cancelled after it claimed the right to", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const prepared = yield* prepare(definition).pipe(Effect.provide(stack.layer()))
      const runs = (key: string) => ({ method, url }: { readonly method: string; readonly url: string }) =>
        method === "PUT" && url.includes(key)
      stack.s3.faults.push({
        match: runs(".claim-1"),
        times: 1,
        act: () => Effect.runPromise(stack.put(`${prepared.id}/cancelled`, "{}"))
      })
      const { report, rows } = yield* run({ ...definition, concurrency: 1 }).pipe(Effect.provide(stack.layer()))
      assert.strictEqual(report.counts.missing, 330)
      const codes = (yield* Stream.runCollect(rows)).map((row) => row.batch_error_code)
      assert.deepStrictEqual(new Set(codes), new Set(["Cancelled"]))
      assert.strictEqual((yield* stack.emulator.stats).calls.create, 0)
      assert.deepInclude(yield* stack.json(`${prepared.id}/jobs/1-000000.refused-1`), { sent: false, code: "NotSent" })
    }))

  it.live("are not made by a process that slept too long after it claimed the right to", () =>
    Effect.gen(function*() {
      const stack = yield* start({ faults: { token: "ignored" } })
      // The first look into the ledger after the first claim takes three seconds.
      const asked = "prefix=faults-"
      let claimed = false
      stack.s3.faults.push({
        match: ({ method, url }) => {
          if (method === "PUT" && url.includes("1-000000.claim-1")) claimed = true
          return claimed && method === "GET" && url.includes(asked) && url.includes("1-000000.")
        },
        times: 1,
        delayMs: 3000
      })
      const aws = stack.layer()
      const strict = Layer.provideMerge(Ledger.layer({ settleAfter: "10 seconds", sendWithin: "1 second" }), aws)
      const collected = yield* run(definition).pipe(Effect.provide(strict))
      const { counts } = yield* audit(stack, collected, table, ask)
      assert.deepStrictEqual(counts, { succeeded: 330 })
      assert.deepInclude(yield* stack.json(`${collected.report.runId}/jobs/1-000000.refused-1`), { sent: false })
      assert.strictEqual((yield* stack.emulator.stats).calls.create, 3)
    }))

  it.live("are denied: the run fails for all jobs, and goes on when they are allowed", () =>
    Effect.gen(function*() {
      const stack = yield* start({ faults: { denyCreate: 1 } })
      const error = yield* Effect.flip(run(definition).pipe(Effect.provide(stack.layer())))
      assert.deepInclude(error.reason, { _tag: "Refused", code: "AccessDeniedException" })
      assert.strictEqual((yield* stack.emulator.stats).jobsCreated, 0)
      stack.emulator.faults.clear()
      const collected = yield* run(definition).pipe(Effect.provide(stack.layer()))
      const { counts } = yield* audit(stack, collected, table, ask)
      assert.deepStrictEqual(counts, { succeeded: 330 })
      assert.strictEqual((yield* stack.emulator.stats).jobsCreated, 3)
    }))

  it.live("are refused for the model: the rows say so, and another run asks again", () =>
    Effect.gen(function*() {
      let refuses = 2
      const stack = yield* start({ models: () => refuses-- <= 0 })
      const quiet = Layer.merge(stack.layer(), Logger.layer([]))
      const refused = yield* run(definition).pipe(Effect.provide(quiet))
      assert.deepInclude(refused.report.counts, { missing: 220, succeeded: 110 })
      const rows = yield* Stream.runCollect(refused.rows)
      assert.deepStrictEqual(
        new Set(rows.map((row) => row.batch_error_code)),
        new Set(["ValidationException", null])
      )
      assert.strictEqual((yield* stack.emulator.stats).jobsCreated, 1)
      const collected = yield* run(definition).pipe(Effect.provide(stack.layer()))
      const { counts } = yield* audit(stack, collected, table, ask)
      assert.deepStrictEqual(counts, { succeeded: 330 })
      assert.deepInclude(yield* stack.emulator.stats, { jobsCreated: 3, recordsProcessed: 330 })
    }))
})

describe("one call of a run that goes wrong", () => {
  const create = "POST /model-invocation-job"
  const chosen: ReadonlyArray<readonly [string, ReadonlyArray<Line.Kind>]> = [
    ["PUT /run/plan.json", ["forestalled"]],
    ["PUT /run/inputs/p/1-000000/part-0.jsonl", ["repeated"]],
    ["PUT /run/run.json", ["unanswered"]],
    ["PUT /run/jobs/1-000000.claim-1", ["forestalled", "repeated", "conflicting"]],
    [create, ["lost", "unanswered", "cut off", "conflicting", "broken"]],
    ["PUT /run/jobs/1-000000.arn", ["unanswered", "throttled"]],
    ["GET /model-invocation-jobs of run", ["cut off"]],
    ["GET /run/outputs/1-000000/id/part-0.jsonl.out", ["cut off", "hanging"]],
    ["PUT /run/attempts/2.json", ["repeated"]]
  ]
  it.live("changes nothing: each job is created once, and the results are the same", () =>
    Effect.gen(function*() {
      const s3 = yield* Servers.s3(undefined, "calls-bucket")
      const [scenario] = Calls.scenarios
      const summary = yield* Calls.each(s3, scenario!, (calls) => {
        const faults = Calls.faultsOf(s3, calls, new Set())
        return chosen.flatMap(([call, kinds]) =>
          kinds.map((kind) => {
            const fault = faults.find((fault) => fault.call === call && fault.kind === kind)
            assert(fault !== undefined, `${call}, ${kind}`)
            return fault
          })
        )
      }, 4)
      assert.deepStrictEqual(summary, { runs: 17, spared: [], again: [], violations: [] })
    }))
})

describe.concurrent("a create call that made its job and lost its answer", () => {
  const lost = { answerLost: { next: 1 } } as const
  /** Runs three jobs of 110 rows; gives how many jobs were paid for. */
  const paid = Effect.fnUntraced(function*(faults: Faults.FaultOptions, settleAfter: LayerOptions["settleAfter"]) {
    const stack = yield* start({ faults })
    const { report } = yield* Effect.provide(run(definition), stack.layer({ settleAfter }))
    assert.strictEqual(report.counts.succeeded, 330)
    return (yield* stack.emulator.stats).jobsCreated
  })

  it.live("is not paid for again while Bedrock's list lags, since its token is honoured", () =>
    Effect.gen(function*() {
      yield* under({ ...lost, listLag: "6 seconds" }, { settleAfter: "1 second" })
    }))

  it.live("is not paid for again when its token is ignored, since Bedrock's list shows the job", () =>
    Effect.gen(function*() {
      yield* under({ ...lost, token: "ignored" }, { settleAfter: "1 second" })
    }))

  it.live("is not paid for again when both fail it, as long as `settleAfter` outlasts the lag", () =>
    Effect.gen(function*() {
      yield* under({ ...lost, token: "ignored", listLag: "2 seconds" }, { settleAfter: "5 seconds" })
    }))

  it.live("is paid for again when both fail it and the lag outlasts `settleAfter`, which is the documented limit", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* paid({ ...lost, token: "ignored", listLag: "6 seconds" }, "1 second"), 4)
    }))
})

describe.concurrent("jobs that go wrong", () => {
  it.live("a failed job: its rows are missing, with the reason", () =>
    Effect.gen(function*() {
      const { counts, results, statuses } = yield* under({ failJob: { next: 1 } })
      assert.deepStrictEqual(counts, { succeeded: 220, missing: 110 })
      assert.sameMembers([...statuses], ["Failed", "Completed", "Completed"])
      const row = 110 * statuses.indexOf("Failed")
      assert.strictEqual(cell(results, row, "batch_error_code"), "JobFailed")
      assert.match(String(cell(results, row, "batch_error_message")), /failed: Internal server error/)
    }))

  it.live("an expired job: its rows are expired", () =>
    Effect.gen(function*() {
      const { counts, statuses } = yield* under({ expireJob: { next: 1 } })
      assert.deepStrictEqual(counts, { succeeded: 220, expired: 110 })
      assert.sameMembers([...statuses], ["Expired", "Completed", "Completed"])
    }))

  for (const unprocessed of ["expired", "missing"] as const) {
    it.live(`a partially completed job keeps its answers; the others are ${unprocessed} in its output`, () =>
      Effect.gen(function*() {
        const { counts, stats, statuses } = yield* under({ partialJob: { next: 1 }, unprocessed })
        assert.deepStrictEqual(counts, { succeeded: 275, expired: 55 })
        assert.sameMembers([...statuses], ["PartiallyCompleted", "Completed", "Completed"])
        assert.strictEqual(stats.recordsProcessed, 275)
      }))
  }

  it.live("a job that somebody stops keeps the answers it has", () =>
    Effect.gen(function*() {
      const stack = yield* start({ timing: { ...quick, running: "1500 millis" } })
      const fiber = yield* Effect.forkChild(run(definition).pipe(Effect.provide(stack.layer())))
      let victim: string | undefined
      while (victim === undefined) {
        yield* Effect.sleep(50)
        const { invocationJobSummaries: jobs } = yield* stack.emulator.list({})
        victim = jobs.find((job) => job.status === "InProgress" && (job.processedRecordCount ?? 0) > 5)?.jobArn
      }
      yield* stack.emulator.stop(victim)
      const collected = yield* Fiber.join(fiber)
      const { counts, statuses } = yield* audit(stack, collected, table, ask)
      assert.sameMembers([...statuses], ["Stopped", "Completed", "Completed"])
      assert.isAbove(counts["succeeded"]!, 220)
      assert.isAbove(counts["missing"]!, 0)
      assert.strictEqual((yield* stack.emulator.stats).recordsProcessed, counts["succeeded"])
    }))

  it.live("a failed job that left output all the same is read", () =>
    Effect.gen(function*() {
      const stack = yield* start({ faults: { failJob: { next: 1 } } })
      const collected = yield* Effect.gen(function*() {
        const prepared = yield* prepare(definition)
        const jobs = yield* awaitAll(prepared.jobs.map(submit), { wait: soon })
        const failed = jobs.find((job) => job.status === "Failed")
        assert(failed !== undefined && "arn" in failed)
        const lines = (yield* stack.text(failed.files[0]!.key)).trimEnd().split("\n").slice(0, 40).map((line) => {
          const { modelInput, recordId } = JSON.parse(line)
          const modelOutput = {
            output: { message: { role: "assistant", content: [{ text: `saved ${recordId}` }] } },
            stopReason: "end_turn",
            usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3 }
          }
          return `${JSON.stringify({ recordId, modelInput, modelOutput })}\n`
        })
        yield* stack.put(`${failed.output}${failed.arn.slice(-12)}/part-0.jsonl.out`, lines.reverse().join(""))
        return yield* collect(prepared, jobs)
      }).pipe(Effect.provide(stack.layer()))
      const { counts } = yield* audit(stack, collected, table, ask)
      assert.deepStrictEqual(counts, { succeeded: 260, missing: 70 })
    }))
})

describe.concurrent("records that go wrong", () => {
  it.live("of several lines for one record the best counts, wherever they come", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const answer = (text: string, stopReason: string) => ({
        modelOutput: {
          output: { message: { role: "assistant", content: [{ text }] } },
          stopReason,
          usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3 }
        }
      })
      const kinds = [
        answer("whole", "end_turn"),
        answer("cut", "max_tokens"),
        { error: { errorCode: 500, errorMessage: "broken", expired: false } },
        { error: { errorCode: 400, errorMessage: "late", expired: true } }
      ]
      const collected = yield* Effect.gen(function*() {
        const prepared = yield* prepare({ ...definition, maxRecordsPerJob: 330 })
        const jobs = yield* awaitAll(prepared.jobs.map(submit), { wait: soon })
        const [job] = jobs
        assert(job !== undefined && "arn" in job)
        const folder = `${job.output}${job.arn.slice(-12)}/`
        // Two lines for each record, every pair of kinds in both orders, in files on either side of each other.
        const files: Array<Array<string>> = [[], []]
        for (let i = 0; i < 330; i++) {
          const pair = [kinds[i % 4], kinds[(i >> 2) % 4]]
          for (const [side, body] of pair.entries()) {
            files[side]!.push(`${JSON.stringify({ recordId: `r${String(i).padStart(10, "0")}`, ...body })}\n`)
          }
        }
        yield* stack.remove(`${folder}part-0.jsonl.out`)
        for (const [side, lines] of files.entries()) yield* stack.put(`${folder}part-${side}.jsonl.out`, lines.join(""))
        return yield* collect(prepared, jobs)
      }).pipe(Effect.provide(stack.layer()))
      const { counts } = yield* audit(stack, collected, table, ask)
      assert.strictEqual(collected.report.duplicates, 330)
      assert.sameMembers(Object.keys(counts), ["succeeded", "truncated", "failed", "expired"])
    }))

  it.live("an answer that is not what the family gives is invalid, and its row says so", () =>
    Effect.gen(function*() {
      const odd: ReadonlyArray<unknown> = [{}, { output: {} }, "text", 7, [], { output: { message: { content: null } } }, null]
      const stack = yield* start({
        responder: (request) => {
          const row = Number(request.recordId.slice(1))
          return row < odd.length ? odd[row] : echo(request)
        }
      })
      const collected = yield* run(definition).pipe(Effect.provide(stack.layer()))
      assert.deepInclude(collected.report.counts, { succeeded: 330 - odd.length, invalid: odd.length })
      const rows = yield* Stream.runCollect(Stream.take(collected.rows, odd.length + 1))
      assert.deepStrictEqual(
        rows.map((row) => [row.batch_status, row.batch_error_code, row.response]),
        [...odd.map(() => ["invalid", "InvalidAnswer", null]), ["succeeded", null, "echo: 7: topic 0"]]
      )
    }))

  it.live("missing lines: exactly those rows are missing", () =>
    Effect.gen(function*() {
      const { counts } = yield* under({ missingLines: { next: 9 } })
      assert.deepStrictEqual(counts, { succeeded: 321, missing: 9 })
    }))

  it.live("duplicate lines are counted, and change nothing", () =>
    Effect.gen(function*() {
      const { counts, report } = yield* under({ duplicateLines: { next: 9 } })
      assert.deepStrictEqual(counts, { succeeded: 330 })
      assert.strictEqual(report.duplicates, 9)
    }))

  it.live("lines with unknown ids are counted, and change nothing", () =>
    Effect.gen(function*() {
      const { counts, report } = yield* under({ unknownIds: { next: 9 } })
      assert.deepStrictEqual(counts, { succeeded: 330 })
      assert.strictEqual(report.unknown, 9)
    }))

  it.live("malformed lines are counted, and their rows are missing", () =>
    Effect.gen(function*() {
      const { counts, report } = yield* under({ malformedLines: { next: 9 } })
      assert.deepStrictEqual(counts, { succeeded: 321, missing: 9 })
      assert.strictEqual(report.malformed, 9)
    }))

  it.live("every record of a job fails with error 400: the rows say so", () =>
    Effect.gen(function*() {
      const { counts, results, statuses } = yield* under({ failAllRecords: { next: 1 } })
      assert.deepStrictEqual(counts, { succeeded: 220, failed: 110 })
      assert.deepStrictEqual(statuses, ["Completed", "Completed", "Completed"])
      const codes = results.rows.map((_, i) => cell(results, i, "batch_error_code"))
      assert.strictEqual(codes.filter((code) => code === "400").length, 110)
    }))

  it.live("some records fail with errors 429 and 500, each row with its own", () =>
    Effect.gen(function*() {
      const { counts, results, stats } = yield* under({ throttledRecords: 0.1, brokenRecords: 0.1 })
      const codes = results.rows.map((_, i) => cell(results, i, "batch_error_code"))
      const of = (code: string) => codes.filter((other) => other === code).length
      assert.isAbove(of("429"), 5)
      assert.isAbove(of("500"), 5)
      assert.strictEqual(of("429") + of("500"), counts["failed"])
      assert.strictEqual(stats.recordsProcessed, 330)
    }))
})

describe.concurrent("everything at once", () => {
  for (const seed of ["a", "b"]) {
    it.live(`every row is accounted for, and each job created once: seed ${seed}`, () =>
      Effect.gen(function*() {
        const stack: Stack = yield* start({ seed, faults: everything })
        const many = plainTable(600)
        const collected = yield* run({ ...definition, source: sourceOf(many), maxRecordsPerJob: 100, concurrency: 4 }).pipe(
          Effect.provide(stack.layer({ quotaPause: "100 millis" }))
        )
        stack.emulator.faults.clear()
        const { counts } = yield* audit(stack, collected, many, ask)
        assert.strictEqual(sum(counts), 600)
        assert.isAbove(Object.keys(counts).length, 2)
        assert.strictEqual((yield* stack.emulator.stats).jobsCreated, 6)
      }))
  }
})
