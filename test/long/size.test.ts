import { assert, it } from "@effect/vitest"
import { Prompt, run, Source } from "@bedrock-batch/sdk"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { audit } from "../rig/Audit.ts"
import { csvOf, nastyTable, plainTable } from "../rig/Data.ts"
import { bucket, folder, haiku, quick, soon, start, titan } from "../rig/Stack.ts"

it.live("250,000 nasty rows in several jobs, with lines missing, doubled and broken", () =>
  Effect.scoped(Effect.gen(function*() {
    const faults = {
      missingLines: 0.001,
      duplicateLines: 0.001,
      unknownIds: 0.001,
      malformedLines: 0.001,
      throttledRecords: 0.01,
      brokenRecords: 0.01,
      partialJob: { next: 1 }
    }
    const stack = yield* start({ timing: { ...quick, running: 1000 }, faults })
    const table = nastyTable(250_000)
    const file = path.join(yield* folder, "large.csv")
    fs.writeFileSync(file, csvOf(table))
    const collected = yield* run({
      name: "large",
      source: Source.csv(file),
      model: haiku,
      prompt: Prompt.make("{7}: {topic} {__proto__}"),
      maxRecordsPerJob: 60_000,
      wait: soon
    }).pipe(Effect.provide(stack.layer()))
    stack.emulator.faults.clear()
    const { counts, statuses } = yield* audit(
      stack,
      collected,
      table,
      (cells) => `${cells.get("7")}: ${cells.get("topic")} ${cells.get("__proto__")}`
    )
    assert.strictEqual(statuses.length, 5)
    assert.isAbove(counts["succeeded"]!, 200_000)
  })))

it.live("40,000 embeddings, divided into temporary files on the way", () =>
  Effect.scoped(Effect.gen(function*() {
    const stack = yield* start({ timing: { ...quick, running: 1000 }, faults: { duplicateLines: 0.01, unknownIds: 0.01 } })
    const table = plainTable(40_000)
    yield* stack.put("large.csv", csvOf(table))
    const collected = yield* run({
      name: "vectors",
      source: Source.csv(`s3://${bucket}/large.csv`),
      model: titan,
      embed: "topic",
      parameters: { dimensions: 256 },
      maxRecordsPerJob: 20_000,
      memoryBudget: 10_000_000,
      wait: soon
    }).pipe(Effect.provide(stack.layer()))
    stack.emulator.faults.clear()
    const { counts } = yield* audit(stack, collected, table, (cells) => String(cells.get("topic")), { answer: "embedding" })
    assert.deepStrictEqual(counts, { succeeded: 40_000 })
  })))

it.live("1,500 jobs in one run: more than a page of Bedrock's list, and of S3's", () =>
  Effect.scoped(Effect.gen(function*() {
    const stack = yield* start({ limits: { minRecords: 1, maxOpenJobs: 2000 } })
    const table = plainTable(3000)
    yield* stack.put("many.csv", csvOf(table))
    const collected = yield* run({
      name: "many",
      source: Source.csv(`s3://${bucket}/many.csv`),
      model: haiku,
      prompt: Prompt.make("{id}: {topic}"),
      maxRecordsPerJob: 2,
      limits: { minRecords: 1 },
      wait: soon
    }).pipe(Effect.provide(stack.layer({ limits: { maxOpenJobs: 300 } })))
    assert.deepInclude(collected.report, { jobs: 1500, records: 3000 })
    assert.deepInclude(collected.report.counts, { succeeded: 3000 })
    const stats = yield* stack.emulator.stats
    assert.strictEqual(stats.jobsCreated, 1500)
    assert.isAtMost(Math.max(...Object.values(stats.maxOpenSeen)), 300)
  })))
