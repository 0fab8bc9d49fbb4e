/**
 * Peak memory of `prepare` and of `collect` for 100,000 and for 1,000,000 rows: each step in a process of its own.
 *
 *     node test/bench/memory.ts [--rows 100000,1000000] [--runs 3] [--json]
 *
 * The rows are a CSV of texts of 200 characters; the jobs run on the emulator, in a process that is not measured. The
 * figures are medians of several runs: how far V8 lets its heap grow before it collects differs from run to run.
 */
import { Local } from "@bedrock-batch/emulator"
import { type Aws, awaitAll, type BatchError, finish, prepare, Prompt, Run, Source, submit, Wait } from "@bedrock-batch/sdk"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { createWriteStream, mkdtempSync, rmSync } from "node:fs"
import { once } from "node:events"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "100000,1000000" },
    runs: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
    step: { type: "string" },
    folder: { type: "string", default: "" }
  }
})

const runId = "memory"
const csv = join(values.folder, "rows.csv")
const local = Local.layer({ directory: join(values.folder, "store"), timing: { running: "100 millis" } })
const prepared = prepare({
  name: "memory",
  runId,
  source: Source.csv(csv),
  model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
  prompt: Prompt.make("Is this text about {topic}? Answer yes or no.\n\n{text}")
})

const steps = {
  prepare: prepared,
  jobs: Effect.flatMap(prepared, (run) =>
    awaitAll(run.jobs.map(submit), { concurrency: 1, wait: Wait.polling({ from: "100 millis", to: "1 second" }) })),
  collect: Effect.flatMap(Run.load(runId), (run) => finish(run, { format: "parquet" }))
}

const isStep = (name: string): name is keyof typeof steps => Object.hasOwn(steps, name)

const writeRows = async (path: string, count: number) => {
  const file = createWriteStream(path)
  file.write("id,topic,text\n")
  for (let from = 0; from < count; from += 1_000) {
    let lines = ""
    for (let row = from; row < Math.min(count, from + 1_000); row++) {
      const text = `row ${row} says, in so many words, that "" is a quote and ${row * 7919} a number. `.padEnd(200, "lorem ipsum ")
      lines += `${row},topic ${row % 17},"${text}"\n`
    }
    if (!file.write(lines)) await once(file, "drain")
  }
  file.end()
  await once(file, "close")
}

interface Measure {
  readonly mb: number
  readonly seconds: number
}

/** Runs one step in a process of its own; gives its peak memory in MB and its seconds. */
const measure = (folder: string, step: string): Measure => {
  const child = spawnSync(process.execPath, [import.meta.filename, "--folder", folder, "--step", step], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"]
  })
  const line = child.stdout.trim().split("\n").at(-1)
  if (child.status !== 0 || line === undefined) throw new Error(`the step ${step} failed`)
  const result: Measure = JSON.parse(line)
  return result
}

if (values.step !== undefined) {
  if (!isStep(values.step)) throw new Error(`there is no step ${values.step}`)
  const began = performance.now()
  const step = Effect.asVoid<unknown, BatchError.BatchError, Aws.Services>(steps[values.step])
  await Effect.runPromise(Effect.provide(step, local))
  const seconds = (performance.now() - began) / 1000
  console.log(JSON.stringify({ mb: Math.round(process.resourceUsage().maxRSS / 1024), seconds: Number(seconds.toFixed(1)) }))
  process.exit(0)
} else {
  const results = []
  for (const rows of values.rows.split(",").map(Number)) {
    const runs: Array<{ readonly prepared: Measure; readonly collected: Measure }> = []
    for (let i = 0; i < Number(values.runs); i++) {
      const folder = mkdtempSync(join(tmpdir(), "bedrock-batch-memory-"))
      try {
        await writeRows(join(folder, "rows.csv"), rows)
        const prepared = measure(folder, "prepare")
        measure(folder, "jobs")
        runs.push({ prepared, collected: measure(folder, "collect") })
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    }
    const median = (pick: (run: typeof runs[number]) => number) =>
      runs.map(pick).sort((a, b) => a - b)[Math.floor(runs.length / 2)]!
    results.push({
      rows,
      prepareMb: median((run) => run.prepared.mb),
      collectMb: median((run) => run.collected.mb),
      prepareRowsPerSecond: Math.round(rows / median((run) => run.prepared.seconds)),
      collectRowsPerSecond: Math.round(rows / median((run) => run.collected.seconds))
    })
  }
  const [first, last] = [results[0]!, results.at(-1)!]
  const ratios = {
    prepare: Number((last.prepareMb / first.prepareMb).toFixed(2)),
    collect: Number((last.collectMb / first.collectMb).toFixed(2))
  }
  if (values.json) console.log(JSON.stringify({ results, ratios }))
  else {
    console.table(results)
    console.log(`Peak memory, ${last.rows} rows against ${first.rows}: prepare ${ratios.prepare} x, collect ${ratios.collect} x`)
  }
}
