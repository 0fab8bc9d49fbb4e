/** Runs of the pipeline whose every row is known, and what must hold when they are over. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { readers, type Table } from "./Audit.ts"
import { csvOf, plainTable } from "./Data.ts"
import type { Execution, Options, Pipeline } from "./Pipeline.ts"
import { start } from "./Pipeline.ts"
import { echo, haiku, quick } from "./Stack.ts"
import { type Assembly, synthesize } from "./Template.ts"

/** Where the rows come from. */
export const dataBucket = "datasets"

const synthesized = new Map<string, Assembly>()

/** The CDK app's own stack. */
export const assemblyOf = (context: { readonly [name: string]: unknown } = {}): Assembly => {
  const name = JSON.stringify(context)
  const known = synthesized.get(name)
  if (known !== undefined) return known
  const out = fs.mkdtempSync(join(tmpdir(), "assembly-"))
  process.once("exit", () => fs.rmSync(out, { recursive: true, force: true }))
  const assembly = synthesize(join(import.meta.dirname, "../../packages/cdk-adapter"), out, context)
  synthesized.set(name, assembly)
  return assembly
}

/** Starts a pipeline whose models echo their prompts and whose jobs are quick. */
export const startPipeline = (options: Partial<Options> = {}) =>
  Effect.suspend(() =>
    start({
      assembly: options.assembly ?? assemblyOf(),
      buckets: [dataBucket],
      clock: { longestPause: 100 },
      ...options,
      emulator: { seed: "pipeline", timing: quick, responder: echo, ...options.emulator },
      environment: { SETTLE_AFTER: "2 seconds", QUOTA_PAUSE: "200 millis", ...options.environment }
    })
  )

/** Puts a CSV file of so many rows, and gives an input that names it. */
export const csvInput = Effect.fnUntraced(function*(
  pipeline: Pipeline,
  name: string,
  rows: number,
  rest: { readonly [field: string]: unknown } = {}
) {
  yield* pipeline.put(dataBucket, `${name}.csv`, csvOf(plainTable(rows)))
  return {
    job_name_prefix: name,
    model_id: haiku,
    s3_uri: `s3://${dataBucket}/${name}.csv`,
    prompt_template: "{id}: {topic}",
    max_records_per_job: 100,
    ...rest
  }
})

/** The answer of an execution that succeeded. */
export const outputOf = ({ cause, error, output, status }: Execution): any => {
  assert.strictEqual(status, "SUCCEEDED", `${error}: ${cause}`)
  return output
}

const placeOf = (uri: string): readonly [string, string] => {
  const [, bucket = "", key = ""] = /^s3:\/\/([^/]+)\/(.+)$/.exec(uri) ?? []
  return [bucket, key]
}

/** The result files that an execution's output names, as one table. */
export const resultsOf = Effect.fnUntraced(function*(pipeline: Pipeline, execution: Execution) {
  const { results } = outputOf(execution)
  const uris: ReadonlyArray<string> = JSON.parse(yield* pipeline.text(...placeOf(results.list)))
  assert.strictEqual(uris.length, results.count)
  assert.deepStrictEqual(results.paths, uris.slice(0, 50))
  const tables: Array<Table> = []
  for (const uri of uris) {
    const format = uri.slice(uri.lastIndexOf(".") + 1) as keyof typeof readers
    const bytes = yield* pipeline.get(...placeOf(uri))
    tables.push(yield* Effect.promise(async () => readers[format](bytes)))
  }
  const table: Table = { columns: tables[0]!.columns, rows: tables.flatMap(({ rows }) => rows) }
  return table
})

/** Columns of the results, row by row. */
export const columnsOf = ({ columns, rows }: Table, ...names: ReadonlyArray<string>) => {
  const at = names.map((name) => {
    const index = columns.indexOf(name)
    assert.isAtLeast(index, 0, `there is no column ${name}`)
    return index
  })
  return rows.map((row) => at.map((index) => row[index]))
}

/** Every row is there once, in order, with its own columns and the answer to its own request. */
export const expectEveryAnswer = Effect.fnUntraced(function*(pipeline: Pipeline, execution: Execution, rows: number) {
  const results = yield* resultsOf(pipeline, execution)
  assert.deepStrictEqual(
    columnsOf(results, "id", "topic", "batch_status", "response"),
    plainTable(rows).rows.map(([id, topic]) => [id, topic, "succeeded", `echo: ${id}: ${topic}`])
  )
  assert.strictEqual(outputOf(execution).counts.succeeded, rows)
})

/** The batch jobs that a run's manifests plan, all attempts together. */
export const plannedJobs = Effect.fnUntraced(function*(pipeline: Pipeline, runId: string) {
  const base = `runs/${runId}/`
  const keys = [`${base}run.json`, ...(yield* pipeline.keys(pipeline.bucket, `${base}attempts/`))]
  let planned = 0
  for (const key of keys) {
    const { jobs } = JSON.parse(yield* pipeline.text(pipeline.bucket, key))
    const list: ReadonlyArray<{ readonly lane: string }> = JSON.parse(
      yield* pipeline.text(pipeline.bucket, `runs/${jobs.key}`)
    )
    planned += list.filter(({ lane }) => lane === "batch").length
  }
  return planned
})

/** Items of the inventory. */
export const inventoryOf = ({ table, tables }: Pipeline) => Effect.promise(() => tables.items(table))

/**
 * What holds once the executions of some runs are over: each planned job was created once, nothing waits, no event was
 * given up, and no log shows what is in the rows.
 */
export const expectSettled = Effect.fnUntraced(function*(
  pipeline: Pipeline,
  runIds: ReadonlyArray<string>,
  /** Whether events may be in the queue of those that no function could handle. */
  { mayHaveGivenUp = false }: { readonly mayHaveGivenUp?: boolean } = {}
) {
  const stats = yield* pipeline.emulator.stats
  const planned = yield* Effect.forEach(runIds, (runId) => plannedJobs(pipeline, runId))
  assert.strictEqual(stats.jobsCreated, planned.reduce((a, b) => a + b, 0), "each job was created once")
  assert.strictEqual(pipeline.tokens.open, 0, "no task waits")
  const items = yield* inventoryOf(pipeline)
  for (const { open, pk, sk } of items) assert.isUndefined(open, `item ${pk?.S} ${sk?.S} is still looked after`)
  if (!mayHaveGivenUp) {
    for (const [name, queue] of Object.entries(pipeline.queues)) assert.deepStrictEqual(queue.bodies(), [], name)
  }
  const log = pipeline.logs.join("")
  assert.notMatch(log, /topic \d|echo: |AQC4AAAA/, "prompts, answers and task tokens are not logged")
})
